//! Looks at a deployed stack: the circuit's item, the mapping, the queues, the ledger, the executions.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName,
};
use serde_json::{Map, Value, json};
use workflow::circuit::{CircuitState, item};
use workflow::contract::{FunctionKind, ProbeAnswer, RejitterAnswer};

use super::books::Ids;
use super::clock::now;
use super::error::call;
use super::evidence::Evidence;
use super::history::{History, Told, What};
use super::target::Target;
use super::{Clients, LiveError};
use crate::checkers::{MappingSettings, Observation};
use crate::narrate::attribute;
use crate::report::Topic;
use crate::scribe::Scribe;

/// Calls to the ledger in one look: 500 entries.
const MAX_LEDGER_CALL_COUNT: usize = 50;

/// How long a dead-lettered message stays invisible after it was looked at, seconds: as long as all are looked at.
const DEAD_LETTER_VISIBILITY_S: i32 = 60;

/// Calls to the dead-letter queue at the end: 2,000 messages.
const MAX_DEAD_LETTER_CALL_COUNT: usize = 200;

/// The counts of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) visible: u64,
    pub(super) in_flight: u64,
    pub(super) delayed: u64,
}

impl Counts {
    pub(super) fn all(self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

/// What was seen last.
pub(super) struct Eyes {
    pub(super) ids: Ids,
    pub(super) evidence: Evidence,
    pub(super) history: History,
    pub(super) queue: Counts,
    pub(super) settings: MappingSettings,
    pub(super) mapping_state: String,
    /// Copies of which the re-jitter tells the number only.
    pub(super) nameless_copies: u64,
    pub(super) dead_lettered: u64,
    dead_before: u64,
    item: Option<Value>,
}

impl Eyes {
    /// The first look, which changes nothing.
    pub(super) async fn open(clients: &Clients, target: &Target) -> Result<Eyes, LiveError> {
        let (settings, mapping_state) = mapping(clients, target).await?;
        Ok(Eyes {
            ids: Ids::default(),
            evidence: Evidence::default(),
            history: History::begin(clients, &target.state_machine_arn).await?,
            queue: counts(clients, &target.queue_url).await?,
            settings,
            mapping_state,
            nameless_copies: 0,
            dead_lettered: 0,
            dead_before: counts(clients, &target.dead_letter_queue_url).await?.all(),
            item: read_item(clients, target).await?,
        })
    }

    /// The circuit's state.
    pub(super) fn circuit(&self) -> String {
        let state = self.item.as_ref().and_then(|item| attribute(item, item::STATE));
        state.unwrap_or_else(|| CircuitState::Closed.name().to_owned())
    }

    /// Whether the queue's retention was raised and not yet given back.
    pub(super) fn retention_is_raised(&self) -> bool {
        self.item.as_ref().is_some_and(|found| attribute(found, item::ORIGINAL_RETENTION_S).is_some())
    }

    /// Looks at everything, and tells the scribe what is new.
    pub(super) async fn look(
        &mut self,
        clients: &Clients,
        target: &Target,
        scribe: &mut Scribe,
    ) -> Result<(), LiveError> {
        for told in self.history.read(clients).await? {
            self.tell(told, scribe);
        }
        if let Some(item) = read_item(clients, target).await?
            && self.item.as_ref() != Some(&item)
        {
            // Who wrote it cannot be seen from outside, and no checker asks.
            scribe.item_changed(now(), "", self.item.as_ref(), &item);
            self.item = Some(item);
        }
        let (settings, state) = mapping(clients, target).await?;
        if (&settings, &state) != (&self.settings, &self.mapping_state) {
            let limit = settings.maximum_concurrency;
            let limit = limit.map_or(String::new(), |count| format!(", maximum concurrency {count}"));
            scribe.note(now(), Topic::Mapping, format!("{state}{limit}"));
            (self.settings, self.mapping_state) = (settings, state);
        }
        self.read_ledger(clients, target, scribe).await?;
        self.queue = counts(clients, &target.queue_url).await?;
        let dead = counts(clients, &target.dead_letter_queue_url).await?.all();
        let dead = dead.saturating_sub(self.dead_before);
        if dead > self.dead_lettered {
            let text = format!("{} more messages were dead-lettered", dead - self.dead_lettered);
            scribe.note(now(), Topic::DeadLetter, text);
            self.dead_lettered = dead;
        }
        Ok(())
    }

    /// Something on record in the workflow's history.
    fn tell(&mut self, told: Told, scribe: &mut Scribe) {
        let at = told.at;
        match told.what {
            What::Started { name, by } => {
                scribe.note(at, Topic::Workflow, format!("{name} started by {by}"));
            }
            What::Ended { name, status } => {
                scribe.note(at, Topic::Workflow, format!("{name} ended: {status}"));
            }
            What::Announcing(what) => {
                scribe.note(at, Topic::Event, what.detail_type().to_owned());
                self.evidence.announced(at, what);
            }
            What::Enabling => self.evidence.mapping_asked(at),
            What::Kept(value) => {
                scribe.observe(at, &Observation::Kept { place: "the execution's history", value: &value });
            }
            What::Answered(kind, Err(error)) => scribe.answered(at, kind, Err(&error)),
            What::Answered(kind, Ok(answer)) => {
                scribe.answered(at, kind, Ok(&answer));
                match kind {
                    FunctionKind::Probe => {
                        if let Ok(answer) = serde_json::from_value(answer) {
                            self.probed(at, &answer, scribe);
                        }
                    }
                    FunctionKind::Rejitter => {
                        if let Ok(RejitterAnswer { progress, .. }) = serde_json::from_value(answer) {
                            self.nameless_copies = self.nameless_copies.max(progress.copied_count);
                        }
                    }
                    FunctionKind::Mapping
                    | FunctionKind::Queue
                    | FunctionKind::Reconciler
                    | FunctionKind::Signal
                    | FunctionKind::Consumer => {}
                }
            }
        }
    }

    fn probed(&mut self, at: crate::sim::Time, answer: &ProbeAnswer, scribe: &mut Scribe) {
        match answer {
            ProbeAnswer::Healthy { message_id, .. } => self.evidence.probed(at, message_id),
            ProbeAnswer::Unhealthy { message_id, .. } => {
                self.evidence.probed(at, message_id);
                scribe.counts.wasted_invocations += 1;
            }
            ProbeAnswer::LastReceive { message_id, copy_id, .. } => {
                self.ids.copied(&mut scribe.books, message_id, copy_id);
            }
            ProbeAnswer::Empty | ProbeAnswer::NoneVisible { .. } | ProbeAnswer::Overruled { .. } => {}
        }
    }

    /// Takes the entries out of the ledger. Answers how many there were.
    pub(super) async fn read_ledger(
        &mut self,
        clients: &Clients,
        target: &Target,
        scribe: &mut Scribe,
    ) -> Result<usize, LiveError> {
        let mut count = 0;
        for _ in 0..MAX_LEDGER_CALL_COUNT {
            let entries = receive(clients, &target.ledger_queue_url, None).await?;
            if entries.is_empty() {
                break;
            }
            count += entries.len();
            for entry in &entries {
                self.booked(entry, scribe);
            }
            delete(clients, &target.ledger_queue_url, &entries).await?;
        }
        Ok(count)
    }

    fn booked(&mut self, entry: &Message, scribe: &mut Scribe) {
        let Some(id) = entry.body() else { return };
        let sent = entry.attributes().and_then(|all| all.get(&MessageSystemAttributeName::SentTimestamp));
        if let Some(ms) = sent.and_then(|ms| ms.parse().ok()) {
            self.evidence.booked(crate::sim::Time::from_ms(ms), id);
        }
        self.ids.processed(&mut scribe.books, id);
        let ordinary = self.mapping_state == "Enabled" && !self.evidence.was_probed(id);
        if ordinary && scribe.milestones.recovered.is_some() {
            scribe.milestones.first_delivery.get_or_insert(now());
        }
    }

    /// Looks at the messages that were dead-lettered, without removing them.
    pub(super) async fn read_dead_letters(
        &mut self,
        clients: &Clients,
        target: &Target,
        scribe: &mut Scribe,
    ) -> Result<(), LiveError> {
        if self.dead_lettered == 0 {
            return Ok(());
        }
        for _ in 0..MAX_DEAD_LETTER_CALL_COUNT {
            let url = &target.dead_letter_queue_url;
            let messages = receive(clients, url, Some(DEAD_LETTER_VISIBILITY_S)).await?;
            if messages.is_empty() {
                break;
            }
            for id in messages.iter().filter_map(Message::message_id) {
                self.ids.dead_lettered(&mut scribe.books, id);
            }
        }
        Ok(())
    }
}

async fn mapping(clients: &Clients, target: &Target) -> Result<(MappingSettings, String), LiveError> {
    let answer = clients.lambda.get_event_source_mapping().uuid(&target.mapping_uuid).send().await;
    let answer = answer.map_err(|error| call("GetEventSourceMapping", &error))?;
    let state = answer.state().unwrap_or("unknown").to_owned();
    let limit = answer.scaling_config().and_then(|scaling| scaling.maximum_concurrency());
    let settings = MappingSettings {
        enabled: ["Enabled", "Enabling", "Updating", "Creating"].contains(&state.as_str()),
        maximum_concurrency: limit.and_then(|count| u32::try_from(count).ok()),
    };
    Ok((settings, state))
}

async fn counts(clients: &Clients, url: &str) -> Result<Counts, LiveError> {
    let names = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        QueueAttributeName::ApproximateNumberOfMessagesDelayed,
    ];
    let request = clients.sqs.get_queue_attributes().queue_url(url);
    let answer = request.set_attribute_names(Some(names.to_vec())).send().await;
    let answer = answer.map_err(|error| call("GetQueueAttributes", &error))?;
    let count = |name: &QueueAttributeName| {
        let value = answer.attributes().and_then(|all| all.get(name));
        value.and_then(|value| value.parse().ok()).unwrap_or_default()
    };
    Ok(Counts { visible: count(&names[0]), in_flight: count(&names[1]), delayed: count(&names[2]) })
}

/// The circuit's item in DynamoDB's JSON.
async fn read_item(clients: &Clients, target: &Target) -> Result<Option<Value>, LiveError> {
    let request = clients.dynamodb.get_item().table_name(&target.table).consistent_read(true);
    let answer = request.key(item::CIRCUIT, AttributeValue::S(target.circuit.clone())).send().await;
    let answer = answer.map_err(|error| call("GetItem", &error))?;
    Ok(answer.item().map(|item| {
        let mut names: Vec<_> = item.iter().collect();
        names.sort_by_key(|(name, _)| name.as_str());
        let plain = |value: &AttributeValue| match value {
            AttributeValue::S(text) => json!({ "S": text }),
            AttributeValue::N(text) => json!({ "N": text }),
            AttributeValue::Bool(truth) => json!({ "BOOL": truth }),
            // The workflow writes nothing else.
            _ => Value::Null,
        };
        Value::Object(
            names.iter().map(|(name, value)| ((*name).clone(), plain(value))).collect::<Map<_, _>>(),
        )
    }))
}

async fn receive(clients: &Clients, url: &str, visibility_s: Option<i32>) -> Result<Vec<Message>, LiveError> {
    let request = clients.sqs.receive_message().queue_url(url).max_number_of_messages(10);
    let request = request.message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
    let answer = request.set_visibility_timeout(visibility_s).send().await;
    let answer = answer.map_err(|error| call("ReceiveMessage", &error))?;
    Ok(answer.messages.unwrap_or_default())
}

async fn delete(clients: &Clients, url: &str, messages: &[Message]) -> Result<(), LiveError> {
    let mut request = clients.sqs.delete_message_batch().queue_url(url);
    for (at, message) in messages.iter().enumerate() {
        let entry = DeleteMessageBatchRequestEntry::builder()
            .id(at.to_string())
            .receipt_handle(message.receipt_handle().unwrap_or_default());
        request = request.entries(entry.build().expect("id and handle are set"));
    }
    request.send().await.map_err(|error| call("DeleteMessageBatch", &error))?;
    Ok(())
}

/// Empties the ledger of entries that are older than the drill.
pub(super) async fn clear_ledger(clients: &Clients, target: &Target) -> Result<usize, LiveError> {
    let mut count = 0;
    loop {
        let entries = receive(clients, &target.ledger_queue_url, None).await?;
        if entries.is_empty() {
            return Ok(count);
        }
        count += entries.len();
        delete(clients, &target.ledger_queue_url, &entries).await?;
    }
}

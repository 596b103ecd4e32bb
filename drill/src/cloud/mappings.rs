//! Event source mappings: their lagging states, their pollers, and what becomes of a batch.

use std::ops::RangeInclusive;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use serde_json::{Value, json};

use super::cloudformation::Resource;
use super::cloudwatch::{Metrics, SeriesId, SeriesKey};
use super::error::ServiceError;
use super::functions::{ConsumerOutcome, ConsumerPayload};
use super::knobs::Knobs;
use super::queues::{QueueId, Queues};
use super::sqs::{ReceiveRequest, ReceivedMessage};
use super::world::{Cloud, CloudError, text, whole};
use crate::checkers::{Actor, MappingSettings, Observation};
use crate::faults::FaultKind;
use crate::sim::Time;

/// Smallest and largest `MaximumConcurrency`.
const CONCURRENCY: RangeInclusive<u32> = 2..=1_000;

/// An event source mapping.
pub struct Mapping {
    /// UUID.
    pub uuid: String,
    /// State, in the service's own words.
    pub state: &'static str,
    /// Who made the last change.
    pub state_transition_reason: &'static str,
    /// Whether it takes `batchItemFailures`.
    pub reports_batch_item_failures: bool,
    settings: MappingSettings,
    /// The settings of its template.
    deployed: MappingSettings,
    function_arn: String,
    queue: QueueId,
    queue_arn: String,
    batch_size: usize,
    events: Option<EventMetrics>,
    /// Whether pollers run: not the same as the state.
    polling: bool,
    /// Raised by each update, so that an older transition does nothing.
    generation: u64,
    /// Raised by each update that starts pollers or stops them, so that an older one does not. An update of a mapping that is
    /// disabled and stays so does neither: pollers that still run stop when they would have.
    switch: u64,
    in_use_count: u32,
    limit_count: u32,
    limit_changed_at: Time,
    failures_since: bool,
    wake_at: Option<Time>,
}

/// The opt-in metrics of a mapping (`MetricsConfig.Metrics = ["EventCount"]`).
#[derive(Clone, Copy)]
struct EventMetrics {
    polled: SeriesId,
    invoked: SeriesId,
    failed: SeriesId,
    deleted: SeriesId,
}

/// What an update asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// The switch.
    pub enabled: Option<bool>,
    /// `ScalingConfig`: absent leaves it, an empty object removes the limit.
    pub maximum_concurrency: Option<Option<u32>>,
}

impl Mapping {
    /// Whether it publishes event metrics.
    pub fn counts_events(&self) -> bool {
        self.events.is_some()
    }

    /// The mapping of a template's resource.
    ///
    /// # Errors
    /// A property that is not modelled, or an event source that is no queue of the stack.
    pub fn create(
        resource: &Resource,
        knobs: &Knobs,
        queues: &Queues,
        metrics: &mut Metrics,
    ) -> Result<Mapping, CloudError> {
        let properties = &resource.properties;
        for name in properties.as_object().into_iter().flat_map(|object| object.keys()) {
            const KNOWN: [&str; 7] = [
                "EventSourceArn",
                "FunctionName",
                "BatchSize",
                "Enabled",
                "FunctionResponseTypes",
                "MetricsConfig",
                "ScalingConfig",
            ];
            if !KNOWN.contains(&name.as_str()) {
                return Err(CloudError::resource(resource, format!("property {name} is not modelled")));
            }
        }
        let queue_arn = text(properties, "EventSourceArn").unwrap_or_default().to_owned();
        let queue = queues
            .by_arn(&queue_arn)
            .ok_or_else(|| CloudError::resource(resource, format!("{queue_arn} is no queue of the stack")))?;
        let listed = |path: &str, word: &str| {
            let list = properties.pointer(path).and_then(Value::as_array);
            list.is_some_and(|list| list.iter().any(|entry| entry == word))
        };
        let uuid = resource.physical_id.clone();
        let dimension = [("EventSourceMappingUUID", uuid.as_str())];
        let mut series = |name: &str| metrics.intern(SeriesKey::new("AWS/Lambda", name, &dimension));
        let events = listed("/MetricsConfig/Metrics", "EventCount").then(|| EventMetrics {
            polled: series("PolledEventCount"),
            invoked: series("InvokedEventCount"),
            failed: series("FailedInvokeEventCount"),
            deleted: series("DeletedEventCount"),
        });
        let enabled =
            properties.get("Enabled").is_none_or(|enabled| enabled != &json!(false) && enabled != "false");
        let maximum_concurrency =
            properties.get("ScalingConfig").and_then(|config| whole(config, "MaximumConcurrency"));
        let settings = MappingSettings {
            enabled,
            maximum_concurrency: maximum_concurrency.and_then(|count| u32::try_from(count).ok()),
        };
        Ok(Mapping {
            uuid,
            state: if enabled { "Enabled" } else { "Disabled" },
            state_transition_reason: "USER_INITIATED",
            reports_batch_item_failures: listed("/FunctionResponseTypes", "ReportBatchItemFailures"),
            deployed: settings.clone(),
            settings,
            function_arn: text(properties, "FunctionName").unwrap_or_default().to_owned(),
            queue,
            queue_arn,
            batch_size: whole(properties, "BatchSize").unwrap_or(10) as usize,
            events,
            polling: enabled,
            generation: 0,
            switch: 0,
            in_use_count: 0,
            limit_count: knobs.initial_concurrency_count,
            limit_changed_at: Time::from_ms(0),
            failures_since: false,
            wake_at: None,
        })
    }

    /// The settings that the breaker may touch.
    pub fn settings(&self) -> MappingSettings {
        self.settings.clone()
    }

    fn settled_state(&self) -> &'static str {
        if self.settings.enabled { "Enabled" } else { "Disabled" }
    }

    fn free_count(&self, knobs: &Knobs) -> u32 {
        let cap = self.settings.maximum_concurrency.unwrap_or(knobs.maximum_concurrency_count);
        self.limit_count.min(cap).saturating_sub(self.in_use_count)
    }
}

impl Cloud {
    /// Lets every mapping begin to poll.
    pub(super) fn start_mappings(&self) {
        let uuids: Vec<String> = self.mappings.borrow().keys().cloned().collect();
        uuids.iter().for_each(|uuid| self.wake_at(uuid, self.now()));
    }

    /// `GetEventSourceMapping`.
    ///
    /// # Errors
    /// `ResourceNotFoundException`.
    pub fn describe_mapping<T>(
        &self,
        uuid: &str,
        look: impl FnOnce(&Mapping) -> T,
    ) -> Result<T, ServiceError> {
        self.mappings.borrow().get(uuid).map(look).ok_or_else(|| not_found(uuid))
    }

    /// `UpdateEventSourceMapping`.
    ///
    /// # Errors
    /// `ResourceNotFoundException`; `ResourceConflictException` while another change is under way;
    /// `InvalidParameterValueException`.
    pub fn update_mapping(&self, uuid: &str, update: Update, by: Actor) -> Result<(), ServiceError> {
        let (generation, switch, settings, state) = {
            let mut mappings = self.mappings.borrow_mut();
            let mapping = mappings.get_mut(uuid).ok_or_else(|| not_found(uuid))?;
            if mapping.state != "Enabled" && mapping.state != "Disabled" {
                let message = format!("the mapping is {}: another operation is in progress", mapping.state);
                return Err(ServiceError::new(409, "ResourceConflictException", message));
            }
            if let Some(Some(count)) = update.maximum_concurrency
                && !CONCURRENCY.contains(&count)
            {
                let message = format!("MaximumConcurrency {count} is not between 2 and 1000");
                return Err(ServiceError::new(400, "InvalidParameterValueException", message));
            }
            let was_enabled = mapping.settings.enabled;
            mapping.settings.enabled = update.enabled.unwrap_or(was_enabled);
            if let Some(limit) = update.maximum_concurrency {
                mapping.settings.maximum_concurrency = limit;
            }
            mapping.generation += 1;
            mapping.state_transition_reason = "USER_INITIATED";
            mapping.state = match (was_enabled, mapping.settings.enabled) {
                (true, false) => "Disabling",
                (false, true) => "Enabling",
                (true, true) | (false, false) => "Updating",
            };
            let switches = was_enabled || mapping.settings.enabled;
            mapping.switch += u64::from(switches);
            (mapping.generation, switches.then_some(mapping.switch), mapping.settings(), mapping.state)
        };
        match by {
            Actor::Outsider => self.observe(&Observation::MappingChangedByOthers(update)),
            Actor::Mapping | Actor::Probe | Actor::Rejitter => {
                self.observe(&Observation::MappingAsked(settings.clone()))
            }
        }
        let maximum = settings.maximum_concurrency;
        let limit = maximum.map_or(String::new(), |count| format!(", maximum concurrency {count}"));
        let (now, text) = (self.now(), format!("{state}{limit}"));
        self.with_scribe(|scribe| scribe.mapping_changed(now, state, maximum, text));
        let settled_at = self.settle_later(uuid, generation, &settings);
        if let Some(switch) = switch {
            self.switch_pollers_later(uuid, switch, settings.enabled.then_some(settled_at));
        }
        Ok(())
    }

    /// A deployment sets what the mapping's template says, as tools do that find something else.
    ///
    /// # Errors
    /// As [`Cloud::update_mapping`].
    pub fn redeploy_mapping(&self, uuid: &str) -> Result<(), ServiceError> {
        let (deployed, present) =
            self.describe_mapping(uuid, |mapping| (mapping.deployed.clone(), mapping.settings()))?;
        if deployed == present {
            return Ok(());
        }
        let update = Update {
            enabled: Some(deployed.enabled),
            maximum_concurrency: Some(deployed.maximum_concurrency),
        };
        self.update_mapping(uuid, update, Actor::Outsider)
    }

    /// How long a transition takes. One that a fault holds up ends soon after faults do.
    fn transition(&self) -> Duration {
        let usual = self.draw(&self.knobs.transition_ms);
        let slow = if self.faults.strikes(FaultKind::TransitionStuck) {
            self.faults.duration(FaultKind::TransitionStuck, 600_000..=1_800_000)
        } else if self.faults.strikes(FaultKind::TransitionSlow) {
            self.faults.duration(FaultKind::TransitionSlow, 60_000..=480_000)
        } else {
            return usual;
        };
        let left = self.faults.ends_at().since(self.now());
        slow.min(left + usual).max(usual)
    }

    /// Pollers start when the mapping is enabled, and stop in their own time where nothing says when that is.
    fn switch_pollers_later(&self, uuid: &str, switch: u64, enabled_at: Option<Time>) {
        let at = enabled_at.unwrap_or_else(|| self.now() + self.draw(&self.knobs.late_delivery_ms));
        let (cloud, name) = (self.clone(), uuid.to_owned());
        self.sim.at(at, move |_| {
            let is_current = |mapping: &Mapping| mapping.switch == switch;
            let current =
                cloud.with_mapping(&name, is_current, |mapping| mapping.polling = enabled_at.is_some());
            if current && enabled_at.is_some() {
                cloud.wake_at(&name, cloud.now());
            } else if current {
                cloud.observe(&Observation::PollersStopped);
            }
        });
    }

    /// The transition that an update begins. Answers when the state settles.
    fn settle_later(&self, uuid: &str, generation: u64, settings: &MappingSettings) -> Time {
        let settled_at = self.now() + self.transition();
        let (enabled, maximum) = (settings.enabled, settings.maximum_concurrency);
        let (cloud, name) = (self.clone(), uuid.to_owned());
        self.sim.at(settled_at, move |_| {
            let is_current = |mapping: &Mapping| mapping.generation == generation;
            if cloud.with_mapping(&name, is_current, |mapping| mapping.state = mapping.settled_state()) {
                let state = if enabled { "Enabled" } else { "Disabled" };
                let now = cloud.now();
                cloud.with_scribe(|scribe| scribe.mapping_changed(now, state, maximum, state.to_owned()));
            }
        });
        settled_at
    }

    /// Changes a mapping unless a later update has come in between; answers whether it did.
    fn with_mapping(
        &self,
        uuid: &str,
        is_current: impl FnOnce(&Mapping) -> bool,
        change: impl FnOnce(&mut Mapping),
    ) -> bool {
        match self.mappings.borrow_mut().get_mut(uuid) {
            Some(mapping) if is_current(mapping) => {
                change(mapping);
                true
            }
            Some(_) | None => false,
        }
    }

    /// A message may have arrived in a queue: its mapping's pollers will find it in a moment.
    pub(super) fn wake_mappings(&self, queue: QueueId) {
        let uuid = {
            let mappings = self.mappings.borrow();
            mappings
                .values()
                .find(|mapping| {
                    mapping.queue == queue && mapping.polling && mapping.free_count(&self.knobs) > 0
                })
                .map(|mapping| mapping.uuid.clone())
        };
        if let Some(uuid) = uuid {
            let soon = self.now() + self.draw(&self.knobs.poll_ms);
            self.wake_at(&uuid, soon);
        }
    }

    /// Has a mapping look at its queue at `when`, unless it will do so earlier anyway.
    fn wake_at(&self, uuid: &str, when: Time) {
        {
            let mut mappings = self.mappings.borrow_mut();
            let Some(mapping) = mappings.get_mut(uuid) else { return };
            if mapping.wake_at.is_some_and(|planned| planned <= when) {
                return;
            }
            mapping.wake_at = Some(when);
        }
        let (cloud, name) = (self.clone(), uuid.to_owned());
        self.sim.at(when, move |_| {
            let due = {
                let mut mappings = cloud.mappings.borrow_mut();
                mappings.get_mut(&name).is_some_and(|mapping| {
                    let due = mapping.wake_at == Some(when);
                    mapping.wake_at = if due { None } else { mapping.wake_at };
                    due
                })
            };
            if due {
                cloud.poll(&name);
            }
        });
    }

    /// Takes batches as long as there are messages and free pollers; then sleeps until there may be more.
    fn poll(&self, uuid: &str) {
        loop {
            let (queue, batch_size) = {
                let mappings = self.mappings.borrow();
                let Some(mapping) = mappings.get(uuid) else { return };
                if !mapping.polling || mapping.free_count(&self.knobs) == 0 {
                    return;
                }
                (mapping.queue, mapping.batch_size)
            };
            // A receive gives ten at most; larger batches would need several, which the example does not use.
            let request = ReceiveRequest::up_to(batch_size.min(10));
            let received = if self.faults.strikes(FaultKind::ReceiveEmpty) {
                Ok(Vec::new())
            } else {
                self.receive_now(queue, &request, Actor::Mapping)
            };
            let batch = match received {
                Ok(batch) if !batch.is_empty() => batch,
                // Nothing there, or the in-flight quota is used up: look again when something can have changed.
                Ok(_) | Err(_) => {
                    if let Some(next) = self.next_visible_at(queue) {
                        let later = Time::from_ms(next).max(self.now()) + self.draw(&self.knobs.poll_ms);
                        self.wake_at(uuid, later);
                    }
                    return;
                }
            };
            self.deliver(uuid, batch);
        }
    }

    /// Invokes the consumer with a batch and settles what comes of it.
    fn deliver(&self, uuid: &str, batch: Vec<ReceivedMessage>) {
        let (function_arn, queue, payload, traces) = {
            let mut mappings = self.mappings.borrow_mut();
            let mapping = mappings.get_mut(uuid).expect("the caller has just seen it");
            mapping.in_use_count += 1;
            let mut event = SqsEvent::default();
            event.records = batch.iter().map(|message| record(message, &mapping.queue_arn)).collect();
            let traces: Vec<u32> = batch.iter().map(ReceivedMessage::trace).collect();
            for _ in batch.iter().filter(|message| !self.message_template.is_whole(message)) {
                self.scribe.borrow_mut().books.delivered_incomplete();
            }
            (mapping.function_arn.clone(), mapping.queue, ConsumerPayload::Event(event), traces)
        };
        let (cloud, name) = (self.clone(), uuid.to_owned());
        let started_ms = self.now_ms();
        self.sim.spawn(async move {
            let outcome = cloud.run_consumer(&function_arn, &payload, &traces, Actor::Mapping).await;
            let failed = {
                let mappings = cloud.mappings.borrow();
                let mapping = mappings.get(&name).expect("a mapping is never removed");
                failed_items(&outcome, mapping.reports_batch_item_failures, &payload, batch.len())
            };
            let mut failed_count = 0;
            for (message, failed) in batch.iter().zip(&failed) {
                if *failed {
                    failed_count += 1;
                } else {
                    // The newest handle there is; a message that has become visible meanwhile is delivered again.
                    let _ = cloud.delete_received(queue, message, Actor::Mapping);
                }
            }
            cloud.settle_batch(
                &name,
                started_ms,
                batch.len(),
                failed_count,
                outcome.function_error.is_some(),
            );
            cloud.poll(&name);
        });
    }

    /// Counts a batch, and lets the mapping grow or shrink once a minute.
    fn settle_batch(
        &self,
        uuid: &str,
        started_ms: u64,
        count: usize,
        failed_count: usize,
        function_failed: bool,
    ) {
        let mut mappings = self.mappings.borrow_mut();
        let Some(mapping) = mappings.get_mut(uuid) else { return };
        if let Some(events) = mapping.events
            && !self.faults.strikes(FaultKind::MetricsLost)
        {
            let mut metrics = self.metrics.borrow_mut();
            metrics.put(events.polled, started_ms, count as f64);
            metrics.put(events.invoked, started_ms, count as f64);
            metrics.put(events.failed, started_ms, failed_count as f64);
            metrics.put(events.deleted, started_ms, (count - failed_count) as f64);
        }
        let knobs = &self.knobs;
        let busy = mapping.free_count(knobs) == 0;
        mapping.in_use_count -= 1;
        // Lambda slows its polling on failed invocations, but not on reported batch item failures.
        mapping.failures_since |= function_failed;
        if self.now() - mapping.limit_changed_at >= std::time::Duration::from_secs(60) {
            mapping.limit_count = if mapping.failures_since {
                (mapping.limit_count / 2).max(knobs.initial_concurrency_count)
            } else if busy {
                (mapping.limit_count + knobs.concurrency_step_count).min(knobs.maximum_concurrency_count)
            } else {
                mapping.limit_count
            };
            mapping.failures_since = false;
            mapping.limit_changed_at = self.now();
        }
    }
}

fn not_found(uuid: &str) -> ServiceError {
    ServiceError::new(404, "ResourceNotFoundException", format!("there is no event source mapping {uuid}"))
}

/// A record as far as the example consumer reads it. What a record holds in full is the business of
/// [`ReceivedMessage::to_lambda_record`]; making it for each delivery would take longer than the rest of a drill.
fn record(message: &ReceivedMessage, queue_arn: &str) -> SqsMessage {
    let mut record = SqsMessage::default();
    record.message_id = Some(message.message_id().to_string());
    record.body = Some(message.body().to_string());
    // The consumer looks at it for one thing only: whether the order within a batch matters.
    record.event_source_arn = queue_arn.ends_with(".fifo").then(|| queue_arn.to_owned());
    record
}

/// Which messages of a batch failed, by the mapping's own rules: a function error fails all; with
/// `ReportBatchItemFailures` the answer names those that failed, and an answer that cannot be read fails all.
fn failed_items(
    outcome: &ConsumerOutcome,
    reports: bool,
    event: &ConsumerPayload,
    count: usize,
) -> Vec<bool> {
    if outcome.function_error.is_some() {
        return vec![true; count];
    }
    if !reports || outcome.payload.is_null() || outcome.payload == json!({}) {
        return vec![false; count];
    }
    let ids: Vec<&str> = (0..count).filter_map(|at| event.message_id(at)).collect();
    let named: Option<Vec<&str>> = match outcome.payload.get("batchItemFailures") {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(list) => list.as_array().and_then(|items| {
            items.iter().map(|item| item.get("itemIdentifier").and_then(Value::as_str)).collect()
        }),
    };
    match named {
        Some(named) if named.iter().all(|name| ids.contains(name)) => {
            ids.iter().map(|id| named.contains(id)).collect()
        }
        Some(_) | None => vec![true; count],
    }
}

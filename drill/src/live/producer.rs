//! Sends the scenario's messages, each when it is due.

use std::time::Duration;

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
    SendMessageBatchRequestEntry,
};

use super::books::Ids;
use super::error::call;
use super::target::Target;
use super::{Clients, LiveError};
use crate::cloud::sqs::{AttributeValue, MessageAttribute, SendRequest};
use crate::message::Template;
use crate::scenario::{MessageKind, Scenario};
use crate::scribe::Scribe;

/// Messages in one call.
const BATCH_COUNT: usize = 10;

/// Calls that are made before the drill looks at something else again.
const MAX_CALL_COUNT: usize = 20;

/// The producer of a drill.
pub(super) struct Producer {
    /// When each message that is left is due, the next one last.
    due: Vec<(Duration, MessageKind)>,
    template: Template,
    fifo: bool,
}

impl Producer {
    pub(super) fn new(scenario: &Scenario, fifo: bool) -> Producer {
        let mut due = Vec::new();
        for traffic in &scenario.traffic {
            let interval_s = 1.0 / traffic.rate_per_s;
            let length_s = traffic.until.saturating_sub(traffic.from).as_secs_f64();
            let count = (length_s / interval_s).ceil() as u32;
            let times = (0..count).map(|n| traffic.from + Duration::from_secs_f64(f64::from(n) * interval_s));
            due.extend(times.map(|at| (at, traffic.kind)));
        }
        due.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        Producer { due, template: Template::default(), fifo }
    }

    /// Messages that are still to be sent.
    pub(super) fn left_count(&self) -> usize {
        self.due.len()
    }

    /// Sends what is due after so much of the drill.
    ///
    /// # Errors
    /// [`LiveError::Call`] when messages are refused: the books could not balance then.
    pub(super) async fn send(
        &mut self,
        elapsed: Duration,
        clients: &Clients,
        target: &Target,
        ids: &mut Ids,
        scribe: &mut Scribe,
    ) -> Result<(), LiveError> {
        for _ in 0..MAX_CALL_COUNT {
            let first = scribe.books.next_number();
            let mut numbers = Vec::new();
            let mut request = clients.sqs.send_message_batch().queue_url(&target.queue_url);
            while numbers.len() < BATCH_COUNT && self.due.last().is_some_and(|(at, _)| *at <= elapsed) {
                let Some((_, kind)) = self.due.pop() else { break };
                let number = first + numbers.len() as u32;
                request = request.entries(entry(number, &self.template.message(number, kind, self.fifo)));
                numbers.push(number);
            }
            if numbers.is_empty() {
                break;
            }
            let answer = request.send().await.map_err(|error| call("SendMessageBatch", &error))?;
            if let Some(refused) = answer.failed().first() {
                let text = format!("{}: {}", refused.code(), refused.message().unwrap_or("no reason given"));
                return Err(LiveError::Call { operation: "SendMessageBatch", text });
            }
            for _ in &numbers {
                scribe.books.sent();
            }
            for sent in answer.successful() {
                if let Ok(number) = sent.id().parse() {
                    ids.sent(sent.message_id(), number);
                }
            }
        }
        Ok(())
    }
}

/// A message of the model as an entry of a batch; its id in the batch is its number.
fn entry(number: u32, message: &SendRequest) -> SendMessageBatchRequestEntry {
    let mut entry = SendMessageBatchRequestEntry::builder()
        .id(number.to_string())
        .message_body(&*message.body)
        .set_message_group_id(message.message_group_id.as_deref().map(str::to_owned))
        .set_message_deduplication_id(message.message_deduplication_id.as_deref().map(str::to_owned));
    for (name, attribute) in message.attributes.iter().flat_map(|attributes| attributes.iter()) {
        entry = entry.message_attributes(name, value(attribute));
    }
    if let Some(header) = &message.aws_trace_header {
        let header = MessageSystemAttributeValue::builder()
            .data_type("String")
            .string_value(&**header)
            .build()
            .expect("the data type is set");
        entry = entry.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, header);
    }
    entry.build().expect("id and body are set")
}

fn value(attribute: &MessageAttribute) -> MessageAttributeValue {
    let value = MessageAttributeValue::builder().data_type(&attribute.data_type);
    let value = match &attribute.value {
        AttributeValue::String(text) => value.string_value(text),
        AttributeValue::Binary(bytes) => value.binary_value(Blob::new(bytes.clone())),
    };
    value.build().expect("the data type is set")
}

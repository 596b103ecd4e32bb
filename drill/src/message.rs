//! The messages of a drill. Each carries its number in its body, by which the books know it whatever happens to it, and
//! a mark in body and attributes that must not turn up anywhere else.

use std::rc::Rc;

use lambdas::ports::Outgoing;
use serde_json::Value;

use crate::checkers::CANARY;
use crate::cloud::sqs::{MessageAttribute, MessageAttributes, SendRequest};
use crate::scenario::MessageKind;

/// Message groups of a FIFO queue.
const GROUPS: u32 = 8;

/// Value of the `AWSTraceHeader` that every message has.
const TRACE_HEADER: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1";

/// What all messages share.
pub struct Template {
    attributes: Rc<MessageAttributes>,
    trace_header: Rc<str>,
}

impl Default for Template {
    fn default() -> Template {
        let attributes = MessageAttributes::from([
            ("Customer".to_owned(), MessageAttribute::string(format!("customer of {CANARY}"))),
            ("Priority".to_owned(), MessageAttribute::number("7")),
            ("Signature".to_owned(), MessageAttribute::binary(vec![0_u8, 159, 146, 150])),
        ]);
        Template { attributes: Rc::new(attributes), trace_header: Rc::from(TRACE_HEADER) }
    }
}

impl Template {
    /// The message with this number.
    pub fn message(&self, number: u32, kind: MessageKind, fifo: bool) -> SendRequest {
        let body = match kind {
            MessageKind::Order => format!("{{\"order\":{number},\"note\":\"{CANARY}\"}}"),
            MessageKind::Poison => format!("order {number} is not JSON: {CANARY}"),
        };
        let mut request = SendRequest::new(body);
        request.trace = number;
        request.attributes = Some(Rc::clone(&self.attributes));
        request.aws_trace_header = Some(Rc::clone(&self.trace_header));
        if fifo {
            request.message_group_id = Some(Rc::from(format!("group-{}", number % GROUPS)));
            request.message_deduplication_id = Some(Rc::from(format!("order-{number}")));
        }
        request
    }
}

/// Whether a copy has everything that the original had: a consumer must not be able to tell.
pub fn is_complete(copy: &Outgoing) -> bool {
    let attribute = |name: &str| copy.message_attributes.get(name);
    let text = |name: &str, kind: &str, value: &str| {
        attribute(name)
            .is_some_and(|found| found.data_type == kind && found.string_value.as_deref() == Some(value))
    };
    copy.message_attributes.len() == 3
        && text("Customer", "String", &format!("customer of {CANARY}"))
        && text("Priority", "Number", "7")
        && attribute("Signature")
            .is_some_and(|found| found.binary_value.as_deref() == Some(&[0, 159, 146, 150][..]))
        && copy.trace_header.as_deref() == Some(TRACE_HEADER)
}

/// The number in a message's body: its first digits.
pub fn number_of(body: &str) -> Option<u32> {
    let start = body.find(|c: char| c.is_ascii_digit())?;
    let digits = &body[start..];
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// Numbers of the messages of an SQS event, in its order.
pub fn traces_of(event: &Value) -> Vec<u32> {
    let records = event.get("Records").and_then(Value::as_array);
    records.into_iter().flatten().filter_map(|record| number_of(record.get("body")?.as_str()?)).collect()
}

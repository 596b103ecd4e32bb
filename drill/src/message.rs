//! The messages of a drill. Each carries its number in its body, by which the books know it whatever happens to it, and
//! a mark in body and attributes that must not turn up anywhere else.

use std::rc::Rc;

use lambdas::ports::Outgoing;
use serde_json::Value;

use crate::checkers::CANARY;
use crate::cloud::sqs::{MessageAttribute, MessageAttributes, ReceivedMessage, SendRequest};
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

    /// Whether a message comes with everything that it was sent with.
    pub fn is_whole(&self, message: &ReceivedMessage) -> bool {
        let same = |found: &Rc<MessageAttributes>| {
            Rc::ptr_eq(found, &self.attributes) || **found == *self.attributes
        };
        message.message_attributes().is_some_and(same)
            && message.aws_trace_header().map(|header| &**header) == Some(TRACE_HEADER)
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

/// Whether the record that a probe hands to the consumer has everything that the message was sent with.
pub fn is_whole_record(record: &Value) -> bool {
    let text = |path: &str| record.pointer(path).and_then(Value::as_str);
    let attribute = |name: &str, kind: &str, member: &str, value: &str| {
        text(&format!("/messageAttributes/{name}/dataType")) == Some(kind)
            && text(&format!("/messageAttributes/{name}/{member}")) == Some(value)
    };
    let attributes = record.get("messageAttributes").and_then(Value::as_object);
    attributes.is_some_and(|attributes| attributes.len() == 3)
        && attribute("Customer", "String", "stringValue", &format!("customer of {CANARY}"))
        && attribute("Priority", "Number", "stringValue", "7")
        && attribute("Signature", "Binary", "binaryValue", "AJ+Slg==")
        && text("/attributes/AWSTraceHeader") == Some(TRACE_HEADER)
        && text("/attributes/ApproximateReceiveCount").is_some()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_that_lacks_anything_is_seen() {
        let attribute = |kind: &str, member: &str, value: &str| json!({ "dataType": kind, member: value });
        let whole = json!({
            "body": "{}",
            "attributes": { "AWSTraceHeader": TRACE_HEADER, "ApproximateReceiveCount": "3" },
            "messageAttributes": {
                "Customer": attribute("String", "stringValue", &format!("customer of {CANARY}")),
                "Priority": attribute("Number", "stringValue", "7"),
                "Signature": attribute("Binary", "binaryValue", "AJ+Slg=="),
            },
        });
        assert!(is_whole_record(&whole));
        let body_alone = json!({ "body": "{}", "attributes": {}, "messageAttributes": {} });
        assert!(!is_whole_record(&body_alone));
        for path in ["/attributes", "/messageAttributes", "/messageAttributes/Priority"] {
            let mut stripped = whole.clone();
            *stripped.pointer_mut(path).expect("it is there") = json!({});
            assert!(!is_whole_record(&stripped), "{path}");
        }
    }
}

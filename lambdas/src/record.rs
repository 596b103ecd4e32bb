//! The event that Lambda's SQS poller hands to a consumer, byte for byte in meaning: a probe must look like any other
//! delivery.
//!
//! `aws_lambda_events` can read this event but not write it: it serialises absent fields as `null`, which consumers
//! in other languages tell apart, and its maps have no fixed order. So the writing side has its own types, and the
//! tests read them back with that crate.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use thiserror::Error;

use crate::ports::{Message, MessageAttribute};

/// `eventSource` of every record.
const EVENT_SOURCE: &str = "aws:sqs";

/// A batch of records.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The records.
    #[serde(rename = "Records")]
    pub records: Vec<Record>,
}

/// One message as a consumer sees it.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    message_id: String,
    receipt_handle: String,
    body: String,
    attributes: BTreeMap<String, String>,
    message_attributes: BTreeMap<String, RecordAttribute>,
    #[serde(skip_serializing_if = "Option::is_none")]
    md5_of_message_attributes: Option<String>,
    md5_of_body: String,
    event_source: &'static str,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: String,
    aws_region: String,
}

/// One message attribute as a consumer sees it; the lists are always there and always empty today.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordAttribute {
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
    string_list_values: Vec<String>,
    binary_list_values: Vec<String>,
    data_type: String,
}

/// The queue's ARN is not one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("queue_arn is {value:?}; it has to read arn:PARTITION:sqs:REGION:ACCOUNT:NAME")]
pub struct BadQueueArn {
    value: String,
}

/// The event with these messages, received from the queue with this ARN.
///
/// # Errors
/// [`BadQueueArn`] when the ARN does not name an SQS queue: the record's Region is taken from it.
pub fn event(messages: &[Message], queue_arn: &str) -> Result<Event, BadQueueArn> {
    let region = region(queue_arn)?;
    Ok(Event { records: messages.iter().map(|message| record(message, queue_arn, region)).collect() })
}

/// The event as the bytes that `Invoke` takes.
///
/// # Errors
/// As [`event`].
pub fn payload(messages: &[Message], queue_arn: &str) -> Result<Vec<u8>, BadQueueArn> {
    let event = event(messages, queue_arn)?;
    Ok(serde_json::to_vec(&event).expect("strings and maps with string keys always serialise"))
}

/// The Region in a queue's ARN.
///
/// # Errors
/// [`BadQueueArn`] when it is not the ARN of an SQS queue.
pub fn region(queue_arn: &str) -> Result<&str, BadQueueArn> {
    let parts: Vec<&str> = queue_arn.split(':').collect();
    match parts.as_slice() {
        ["arn", _, "sqs", region, _, name] if !region.is_empty() && !name.is_empty() => Ok(region),
        _ => Err(BadQueueArn { value: queue_arn.to_owned() }),
    }
}

fn record(message: &Message, queue_arn: &str, region: &str) -> Record {
    Record {
        message_id: message.message_id.clone(),
        receipt_handle: message.receipt_handle.clone(),
        body: message.body.clone(),
        attributes: message.attributes.clone(),
        message_attributes: message
            .message_attributes
            .iter()
            .map(|(name, attribute)| (name.clone(), record_attribute(attribute)))
            .collect(),
        md5_of_message_attributes: message.md5_of_message_attributes.clone(),
        md5_of_body: message.md5_of_body.clone(),
        event_source: EVENT_SOURCE,
        event_source_arn: queue_arn.to_owned(),
        aws_region: region.to_owned(),
    }
}

fn record_attribute(attribute: &MessageAttribute) -> RecordAttribute {
    RecordAttribute {
        string_value: attribute.string_value.clone(),
        binary_value: attribute.binary_value.as_ref().map(|bytes| STANDARD.encode(bytes)),
        string_list_values: attribute.string_list_values.clone(),
        binary_list_values: attribute.binary_list_values.iter().map(|bytes| STANDARD.encode(bytes)).collect(),
        data_type: attribute.data_type.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws_lambda_events::sqs::SqsEvent;
    use serde_json::{Value, json};

    use super::*;

    const ARN: &str = "arn:aws:sqs:eu-central-1:123456789012:orders";

    fn check(message: &Message, expected: Value) {
        let bytes = payload(std::slice::from_ref(message), ARN).unwrap();
        let written: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(written, json!({ "Records": [expected] }));
        let read: SqsEvent = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(read.records[0].message_id.as_deref(), Some(message.message_id.as_str()));
        assert_eq!(read.records[0].body.as_deref(), Some(message.body.as_str()));
        for (name, attribute) in message.message_attributes.iter() {
            let read = &read.records[0].message_attributes[name];
            assert_eq!(read.string_value, attribute.string_value);
            assert_eq!(read.binary_value.as_ref().map(|data| data.0.clone()), attribute.binary_value);
        }
    }

    fn plain() -> Message {
        Message {
            message_id: "059f36b4-87a3-44ab-83d2-661975830a7d".into(),
            receipt_handle: "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a".into(),
            body: "Test \"message\"\n\u{1F4E6}".into(),
            md5_of_body: "e4e68fb7bd0e697a0ae8f1bb342846b3".into(),
            attributes: BTreeMap::from([
                ("ApproximateReceiveCount".into(), "1".into()),
                ("SentTimestamp".into(), "1545082649183".into()),
                ("SenderId".into(), "AIDAIENQZJOLO23YVJ4VO".into()),
                ("ApproximateFirstReceiveTimestamp".into(), "1545082649185".into()),
            ]),
            ..Message::default()
        }
    }

    #[test]
    fn a_message_without_attributes_has_an_empty_object_and_no_md5_of_them() {
        check(
            &plain(),
            json!({
                "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
                "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
                "body": "Test \"message\"\n\u{1F4E6}",
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1545082649183",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": "1545082649185"
                },
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:orders",
                "awsRegion": "eu-central-1"
            }),
        );
    }

    #[test]
    fn message_attributes_keep_type_and_value() {
        let string = MessageAttribute {
            data_type: "String".into(),
            string_value: Some("café".into()),
            ..MessageAttribute::default()
        };
        let binary = MessageAttribute {
            data_type: "Binary.png".into(),
            binary_value: Some(vec![0, 255, 62, 63]),
            ..MessageAttribute::default()
        };
        let message = Message {
            md5_of_message_attributes: Some("00484c68cd".into()),
            message_attributes: Arc::new([("kind".into(), string), ("thumb".into(), binary)].into()),
            ..plain()
        };
        let mut expected = serde_json::to_value(&event(&[plain()], ARN).unwrap().records[0]).unwrap();
        expected["md5OfMessageAttributes"] = json!("00484c68cd");
        expected["messageAttributes"] = json!({
            "kind": {
                "stringValue": "café", "stringListValues": [], "binaryListValues": [], "dataType": "String"
            },
            "thumb": {
                "binaryValue": "AP8+Pw==", "stringListValues": [], "binaryListValues": [], "dataType": "Binary.png"
            }
        });
        check(&message, expected);
    }

    #[test]
    fn an_arn_of_something_else_is_refused() {
        for arn in ["", "orders", "arn:aws:sns:eu-central-1:123456789012:orders", "arn:aws:sqs::1:orders"] {
            let error = payload(&[plain()], arn).unwrap_err();
            assert!(error.to_string().contains("arn:PARTITION:sqs:REGION:ACCOUNT:NAME"), "{error}");
        }
    }
}

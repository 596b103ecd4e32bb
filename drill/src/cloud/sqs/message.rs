//! Messages as senders give them and as consumers get them.

use std::collections::BTreeMap;
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use super::digest;
use super::ids::{MessageId, Receipt};

/// The value of a message attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// The value of a `String` or `Number` attribute.
    String(String),
    /// The value of a `Binary` attribute.
    Binary(Vec<u8>),
}

/// A message attribute: a value and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageAttribute {
    /// `String`, `Number` or `Binary`, optionally with a custom label after a dot.
    pub data_type: String,
    /// The value, which fits the type.
    pub value: AttributeValue,
}

impl MessageAttribute {
    /// An attribute of type `String`.
    pub fn string(value: impl Into<String>) -> Self {
        Self { data_type: "String".to_owned(), value: AttributeValue::String(value.into()) }
    }

    /// An attribute of type `Number`, given as its text.
    pub fn number(value: impl Into<String>) -> Self {
        Self { data_type: "Number".to_owned(), value: AttributeValue::String(value.into()) }
    }

    /// An attribute of type `Binary`.
    pub fn binary(value: impl Into<Vec<u8>>) -> Self {
        Self { data_type: "Binary".to_owned(), value: AttributeValue::Binary(value.into()) }
    }

    pub(super) fn value_bytes(&self) -> &[u8] {
        match &self.value {
            AttributeValue::String(text) => text.as_bytes(),
            AttributeValue::Binary(bytes) => bytes,
        }
    }
}

/// A message's attributes by name.
pub type MessageAttributes = BTreeMap<String, MessageAttribute>;

/// One message to send.
#[derive(Debug, Clone, Default)]
pub struct SendRequest {
    /// The body: not empty, and only characters that XML allows.
    pub body: Rc<str>,
    /// Up to ten attributes.
    pub attributes: Option<Rc<MessageAttributes>>,
    /// Overrides the queue's delay, 0-900 s; a FIFO queue refuses any but 0.
    pub delay_s: Option<u32>,
    /// Required on FIFO; on a standard queue it marks the tenant of a fair queue.
    pub message_group_id: Option<Rc<str>>,
    /// FIFO only: within five minutes, messages with the same id are one.
    pub message_deduplication_id: Option<Rc<str>>,
    /// The only system attribute that can be set on send.
    pub aws_trace_header: Option<Rc<str>>,
    /// The sender's principal id, as consumers see it.
    pub sender_id: Option<Rc<str>>,
    /// An opaque number for checkers: it survives a move to a dead-letter queue, and consumers never see it.
    pub trace: u32,
}

impl SendRequest {
    /// A message with this body and nothing else.
    pub fn new(body: impl Into<Rc<str>>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }
}

/// What `send` answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendOutcome {
    /// The new message's id, or on FIFO that of the message sent before with this deduplication id.
    pub message_id: MessageId,
    /// FIFO only: the message's place in its group.
    pub sequence_number: Option<String>,
    /// FIFO only: the send succeeded and added nothing.
    pub was_deduplicated: bool,
}

/// What stays the same for a message wherever it is.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub message_id: MessageId,
    pub body: Rc<str>,
    pub attributes: Option<Rc<MessageAttributes>>,
    pub message_group_id: Option<Rc<str>>,
    pub message_deduplication_id: Option<Rc<str>>,
    pub aws_trace_header: Option<Rc<str>>,
    pub sender_id: Rc<str>,
    pub dead_letter_queue_source_arn: Option<Rc<str>>,
    pub sent_ms: u64,
    pub first_received_ms: Option<u64>,
    pub receive_count: u32,
    pub trace: u32,
}

/// A message on its way from a queue to that queue's dead-letter queue; hand it to `accept_moved` there.
#[derive(Debug, Clone)]
pub struct MovedMessage {
    /// The dead-letter queue.
    pub target_arn: Rc<str>,
    pub(super) content: Content,
}

impl MovedMessage {
    /// The sender's opaque number.
    pub fn trace(&self) -> u32 {
        self.content.trace
    }

    /// The message's id, which the move keeps.
    pub fn message_id(&self) -> MessageId {
        self.content.message_id
    }

    /// When the message was first sent, in ms since the epoch.
    pub fn sent_ms(&self) -> u64 {
        self.content.sent_ms
    }

    /// Receives so far.
    pub fn receive_count(&self) -> u32 {
        self.content.receive_count
    }
}

/// A message as a consumer receives it.
#[derive(Debug, Clone)]
pub struct ReceivedMessage {
    pub(super) receipt: Receipt,
    /// FIFO only: its place in its group.
    pub sequence_number: Option<String>,
    pub(super) content: Content,
}

impl ReceivedMessage {
    /// What deletes it, or changes its visibility, until it is received again; written at each call.
    pub fn receipt_handle(&self) -> String {
        self.receipt.encode()
    }

    /// The message's id.
    pub fn message_id(&self) -> MessageId {
        self.content.message_id
    }

    /// The body.
    pub fn body(&self) -> &Rc<str> {
        &self.content.body
    }

    /// The attributes the sender gave.
    pub fn message_attributes(&self) -> Option<&Rc<MessageAttributes>> {
        self.content.attributes.as_ref()
    }

    /// Receives so far, this one included.
    pub fn receive_count(&self) -> u32 {
        self.content.receive_count
    }

    /// When the message was sent, in ms since the epoch.
    pub fn sent_ms(&self) -> u64 {
        self.content.sent_ms
    }

    /// When the message was first received, in ms since the epoch.
    pub fn first_received_ms(&self) -> u64 {
        self.content.first_received_ms.expect("a received message has been received")
    }

    /// The message group, if the sender gave one.
    pub fn message_group_id(&self) -> Option<&Rc<str>> {
        self.content.message_group_id.as_ref()
    }

    /// FIFO only: the deduplication id, given or derived from the body.
    pub fn message_deduplication_id(&self) -> Option<&Rc<str>> {
        self.content.message_deduplication_id.as_ref()
    }

    /// The trace header the sender gave.
    pub fn aws_trace_header(&self) -> Option<&Rc<str>> {
        self.content.aws_trace_header.as_ref()
    }

    /// The sender's opaque number, for checkers; no consumer may use it.
    pub fn trace(&self) -> u32 {
        self.content.trace
    }

    /// The MD5 of the body, in hexadecimal; computed at each call.
    pub fn md5_of_body(&self) -> String {
        digest::md5_of_body(&self.content.body)
    }

    /// The MD5 of the attributes, in hexadecimal; none where there are none. Computed at each call.
    pub fn md5_of_message_attributes(&self) -> Option<String> {
        self.content.attributes.as_deref().and_then(digest::md5_of_attributes)
    }

    /// The system attributes, as `MessageSystemAttributeNames: ["All"]` answers them.
    pub fn system_attributes(&self) -> BTreeMap<&'static str, String> {
        let content = &self.content;
        let mut found = BTreeMap::from([
            ("ApproximateReceiveCount", content.receive_count.to_string()),
            ("SentTimestamp", content.sent_ms.to_string()),
            ("SenderId", content.sender_id.to_string()),
            ("ApproximateFirstReceiveTimestamp", self.first_received_ms().to_string()),
        ]);
        let optional = [
            ("AWSTraceHeader", &content.aws_trace_header),
            ("MessageGroupId", &content.message_group_id),
            ("MessageDeduplicationId", &content.message_deduplication_id),
            ("DeadLetterQueueSourceArn", &content.dead_letter_queue_source_arn),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                found.insert(name, value.to_string());
            }
        }
        if let Some(number) = &self.sequence_number {
            found.insert("SequenceNumber", number.clone());
        }
        found
    }

    /// The record that an event source mapping of this queue puts into the function's event.
    pub fn to_lambda_record(&self, queue_arn: &str) -> Value {
        let region = queue_arn.split(':').nth(3).unwrap_or_default();
        let mut record = json!({
            "messageId": self.content.message_id.to_string(),
            "receiptHandle": self.receipt_handle(),
            "body": &*self.content.body,
            "attributes": self.system_attributes(),
            "messageAttributes": self.lambda_attributes(),
            "md5OfBody": self.md5_of_body(),
            "eventSource": "aws:sqs",
            "eventSourceARN": queue_arn,
            "awsRegion": region,
        });
        if let Some(md5) = self.md5_of_message_attributes() {
            record["md5OfMessageAttributes"] = Value::String(md5);
        }
        record
    }

    fn lambda_attributes(&self) -> Value {
        let mut found = Map::new();
        for (name, attribute) in self.content.attributes.iter().flat_map(|attributes| attributes.iter()) {
            let (key, value) = match &attribute.value {
                AttributeValue::String(text) => ("stringValue", text.clone()),
                AttributeValue::Binary(bytes) => ("binaryValue", BASE64.encode(bytes)),
            };
            let entry = json!({
                key: value,
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": attribute.data_type,
            });
            found.insert(name.clone(), entry);
        }
        Value::Object(found)
    }
}

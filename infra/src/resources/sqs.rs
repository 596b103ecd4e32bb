//! Amazon SQS.

use serde::Serialize;

use crate::policy::PolicyDocument;
use crate::template::Properties;
use crate::text::Text;

/// Longest retention, seconds: fourteen days.
pub const MAX_RETENTION_S: u32 = 1_209_600;

/// `AWS::SQS::Queue`. `Ref` yields the URL.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Queue {
    /// `true` for a FIFO queue, else absent: the service refuses `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fifo_queue: Option<bool>,
    /// On FIFO queues: messages sent without a deduplication id get the hash of their body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_based_deduplication: Option<bool>,
    /// Seconds for which a received message is hidden, 0 to 43,200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility_timeout: Option<u32>,
    /// Seconds for which a message is kept, 60 to 1,209,600.
    pub message_retention_period: u32,
    /// Where a message goes that was received too often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redrive_policy: Option<RedrivePolicy>,
    /// Customer managed key that encrypts the messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_master_key_id: Option<Text>,
    /// Encryption with keys of SQS's own; excludes `kms_master_key_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqs_managed_sse_enabled: Option<bool>,
}

impl Properties for Queue {
    const TYPE: &'static str = "AWS::SQS::Queue";
}

/// Redrive policy of a queue.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RedrivePolicy {
    /// ARN of the dead-letter queue.
    pub dead_letter_target_arn: Text,
    /// Receives before a message is dead-lettered, 1 to 1,000.
    pub max_receive_count: u32,
}

/// `AWS::SQS::QueuePolicy`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct QueuePolicy {
    /// URLs of the queues.
    pub queues: Vec<Text>,
    /// Who may do what with them.
    pub policy_document: PolicyDocument,
}

impl Properties for QueuePolicy {
    const TYPE: &'static str = "AWS::SQS::QueuePolicy";
}

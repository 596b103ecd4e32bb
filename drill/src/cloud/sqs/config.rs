//! A queue's settings, as CloudFormation gives them.

use serde_json::Value;

use crate::cloud::cfn_properties::{Properties, PropertyError};

const RESOURCE: &str = "AWS::SQS::Queue";

const KNOWN: &[&str] = &[
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "DelaySeconds",
    "FifoQueue",
    "FifoThroughputLimit",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "QueueName",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "SqsManagedSseEnabled",
    "Tags",
    "VisibilityTimeout",
];

/// Where a message goes that was received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedrivePolicy {
    /// The dead-letter queue.
    pub dead_letter_target_arn: String,
    /// Receives a message may have, 1-1,000; the receive after the last of them moves it.
    pub max_receive_count: u32,
}

/// The settings of a queue that its behaviour depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueConfig {
    /// First in, first out, per message group.
    pub is_fifo: bool,
    /// FIFO: the body's SHA-256 is the deduplication id where the sender gives none.
    pub content_based_deduplication: bool,
    /// FIFO: deduplicate within a message group, instead of within the queue.
    pub deduplicate_per_group: bool,
    /// Delay of every message that brings none of its own, 0-900 s; default 0.
    pub delay_s: u32,
    /// Visibility timeout of a receive that asks for none of its own, 0-43,200 s; default 30.
    pub visibility_timeout_s: u32,
    /// How long a message is kept, 60-1,209,600 s; default 345,600 (4 days).
    pub message_retention_s: u32,
    /// Body and attributes together, 1,024-1,048,576 bytes; default 1,048,576.
    pub maximum_message_bytes: usize,
    /// The long poll of a receive that asks for none of its own, 0-20 s; default 0.
    pub receive_wait_s: u32,
    /// The dead-letter queue, if any.
    pub redrive: Option<RedrivePolicy>,
}

impl QueueConfig {
    /// Reads the properties of an `AWS::SQS::Queue`.
    ///
    /// Encryption, tags, the throughput limit and the redrive allow policy are accepted and have no effect
    /// on a queue's behaviour.
    ///
    /// # Errors
    /// An unknown property, a value of the wrong type or out of range, or a FIFO setting on a standard queue.
    pub fn from_properties(properties: &Value) -> Result<Self, PropertyError> {
        let found = Properties::new(RESOURCE, properties, KNOWN)?;
        let is_fifo = found.boolean("FifoQueue")?.unwrap_or(false);
        for name in ["ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"] {
            if !is_fifo && found.get(name).is_some_and(|value| *value != Value::Bool(false)) {
                return Err(found.unsupported(name, "it needs FifoQueue: true"));
            }
        }
        let scope = found.one_of("DeduplicationScope", &["queue", "messageGroup"])?;
        found.one_of("FifoThroughputLimit", &["perQueue", "perMessageGroupId"])?;
        found.string("KmsMasterKeyId")?;
        found.boolean("SqsManagedSseEnabled")?;
        found.integer("KmsDataKeyReusePeriodSeconds", 60, 86_400)?;
        found.object("RedriveAllowPolicy", &["redrivePermission", "sourceQueueArns"])?;
        if let Some(name) = found.string("QueueName")?
            && name.ends_with(".fifo") != is_fifo
        {
            return Err(found.invalid("QueueName", "a name ending in .fifo exactly when FifoQueue is true"));
        }
        Ok(Self {
            is_fifo,
            content_based_deduplication: found.boolean("ContentBasedDeduplication")?.unwrap_or(false),
            deduplicate_per_group: scope == Some("messageGroup"),
            delay_s: small(&found, "DelaySeconds", 0, 900, 0)?,
            visibility_timeout_s: small(&found, "VisibilityTimeout", 0, 43_200, 30)?,
            message_retention_s: small(&found, "MessageRetentionPeriod", 60, 1_209_600, 345_600)?,
            maximum_message_bytes: small(&found, "MaximumMessageSize", 1_024, 1_048_576, 1_048_576)? as usize,
            receive_wait_s: small(&found, "ReceiveMessageWaitTimeSeconds", 0, 20, 0)?,
            redrive: redrive(&found)?,
        })
    }
}

fn small(found: &Properties<'_>, key: &str, min: u32, max: u32, default: u32) -> Result<u32, PropertyError> {
    let number = found.integer(key, min.into(), max.into())?;
    Ok(number.map_or(default, |number| u32::try_from(number).expect("the range ends below u32::MAX")))
}

fn redrive(found: &Properties<'_>) -> Result<Option<RedrivePolicy>, PropertyError> {
    let Some(policy) = found.object("RedrivePolicy", &["deadLetterTargetArn", "maxReceiveCount"])? else {
        return Ok(None);
    };
    let target = policy
        .string("deadLetterTargetArn")?
        .ok_or_else(|| policy.missing("deadLetterTargetArn", "the ARN of a queue"))?;
    if policy.get("maxReceiveCount").is_none() {
        return Err(policy.missing("maxReceiveCount", "a whole number from 1 to 1000"));
    }
    let max_receive_count = small(&policy, "maxReceiveCount", 1, 1_000, 10)?;
    Ok(Some(RedrivePolicy { dead_letter_target_arn: target.to_owned(), max_receive_count }))
}

//! What SQS refuses before it looks at the queue's messages, with the service's own codes and words.

use super::config::QueueConfig;
use super::message::{AttributeValue, MessageAttributes, SendRequest};
use crate::cloud::error::ServiceError;

/// Entries in one batch call.
pub const MAX_BATCH_ENTRIES_COUNT: usize = 10;
/// Bodies and attributes of one batch call together.
pub const MAX_BATCH_BYTES: usize = 1_048_576;
/// The longest a message can stay invisible, counted from its receive.
pub const MAX_VISIBILITY_S: u32 = 43_200;
const MAX_DELAY_S: u32 = 900;
const MAX_ATTRIBUTES_COUNT: usize = 10;
const MAX_ID_CHARS: usize = 128;

/// The 400 that SQS answers for a parameter's value.
pub(super) fn invalid_value(value: impl std::fmt::Display, parameter: &str, reason: &str) -> ServiceError {
    let message = format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}");
    ServiceError::new(400, "InvalidParameterValue", message)
}

fn missing(parameter: &str) -> ServiceError {
    let message = format!("The request must contain the parameter {parameter}.");
    ServiceError::new(400, "MissingParameter", message)
}

/// Refuses a batch call as a whole; entries are then sent, deleted or changed one by one.
///
/// # Errors
/// `EmptyBatchRequest`, `TooManyEntriesInBatchRequest` above ten entries, `BatchRequestTooLong` above 1 MiB.
pub fn check_batch(entries_count: usize, total_bytes: usize) -> Result<(), ServiceError> {
    let (code, message) = if entries_count == 0 {
        ("EmptyBatchRequest", "There should be at least one entry in the request.".to_owned())
    } else if entries_count > MAX_BATCH_ENTRIES_COUNT {
        let message = format!("Maximum number of entries per request are {MAX_BATCH_ENTRIES_COUNT}.");
        ("TooManyEntriesInBatchRequest", message + &format!(" You have sent {entries_count}."))
    } else if total_bytes > MAX_BATCH_BYTES {
        let message = format!("Batch requests cannot be longer than {MAX_BATCH_BYTES} bytes.");
        ("BatchRequestTooLong", message + &format!(" You have sent {total_bytes} bytes."))
    } else {
        return Ok(());
    };
    Err(ServiceError::new(400, code, message))
}

/// The bytes that a body and its attributes count against the size limits.
pub fn message_bytes(body: &str, attributes: Option<&MessageAttributes>) -> usize {
    let attribute_bytes = attributes
        .into_iter()
        .flatten()
        .map(|(name, attribute)| name.len() + attribute.data_type.len() + attribute.value_bytes().len());
    body.len() + attribute_bytes.sum::<usize>()
}

pub(super) fn check_send(request: &SendRequest, config: &QueueConfig) -> Result<(), ServiceError> {
    if request.body.is_empty() {
        return Err(missing("MessageBody"));
    }
    if request
        .body
        .chars()
        .any(|c| (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}'))
    {
        let message = "Invalid characters found: only #x9, #xA, #xD and #x20 upwards are allowed.";
        return Err(ServiceError::new(400, "InvalidMessageContents", message));
    }
    if let Some(attributes) = request.attributes.as_deref() {
        check_attributes(attributes)?;
    }
    let limit = config.maximum_message_bytes;
    if message_bytes(&request.body, request.attributes.as_deref()) > limit {
        let reason = format!("Reason: Message must be shorter than {limit} bytes.");
        let message = format!("One or more parameters are invalid. {reason}");
        return Err(ServiceError::new(400, "InvalidParameterValue", message));
    }
    check_queue_type(request, config)
}

fn check_queue_type(request: &SendRequest, config: &QueueConfig) -> Result<(), ServiceError> {
    const WRONG_TYPE: &str = "The request include parameter that is not valid for this queue type.";
    if let Some(delay_s) = request.delay_s {
        if delay_s > MAX_DELAY_S {
            return Err(invalid_value(delay_s, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900."));
        }
        if config.is_fifo && delay_s > 0 {
            return Err(invalid_value(delay_s, "DelaySeconds", WRONG_TYPE));
        }
    }
    let ids = [
        ("MessageGroupId", &request.message_group_id),
        ("MessageDeduplicationId", &request.message_deduplication_id),
    ];
    for (name, id) in ids {
        let is_valid =
            |id: &str| (1..=MAX_ID_CHARS).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic());
        if let Some(id) = id.as_deref().filter(|id| !is_valid(id)) {
            let reason = "It can only include alphanumeric and punctuation characters, 1 to 128 in length.";
            return Err(invalid_value(id, name, reason));
        }
    }
    match (config.is_fifo, &request.message_group_id, &request.message_deduplication_id) {
        (false, _, Some(id)) => Err(invalid_value(id, "MessageDeduplicationId", WRONG_TYPE)),
        (true, None, _) => Err(missing("MessageGroupId")),
        (true, Some(_), None) if !config.content_based_deduplication => {
            let message = "The queue should either have ContentBasedDeduplication enabled or \
                           MessageDeduplicationId provided explicitly";
            Err(ServiceError::new(400, "InvalidParameterValue", message))
        }
        (false, _, None) | (true, Some(_), _) => Ok(()),
    }
}

fn check_attributes(attributes: &MessageAttributes) -> Result<(), ServiceError> {
    if attributes.len() > MAX_ATTRIBUTES_COUNT {
        let message = format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{MAX_ATTRIBUTES_COUNT}].",
            attributes.len()
        );
        return Err(ServiceError::new(400, "InvalidParameterValue", message));
    }
    for (name, attribute) in attributes {
        let base = attribute.data_type.split('.').next().unwrap_or_default();
        let fits = match attribute.value {
            AttributeValue::String(_) => matches!(base, "String" | "Number"),
            AttributeValue::Binary(_) => base == "Binary",
        };
        if !fits || attribute.value_bytes().is_empty() {
            let message = format!(
                "The message attribute '{name}' with type '{}' must use a non-empty value of that type.",
                attribute.data_type
            );
            return Err(ServiceError::new(400, "InvalidParameterValue", message));
        }
    }
    Ok(())
}

pub(super) fn check_visibility(visibility_s: u32) -> Result<(), ServiceError> {
    if visibility_s <= MAX_VISIBILITY_S {
        return Ok(());
    }
    Err(invalid_value(visibility_s, "VisibilityTimeout", "Must be >= 0 and <= 43200, if provided."))
}

pub(super) fn check_max_count(max_count: usize) -> Result<(), ServiceError> {
    if (1..=10).contains(&max_count) {
        return Ok(());
    }
    Err(invalid_value(max_count, "MaxNumberOfMessages", "Must be between 1 and 10, if provided."))
}

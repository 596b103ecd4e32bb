//! Batch calls to SQS: their limits, retrying the entries that failed, copying a message whole.
//!
//! A delete or a change of visibility may be repeated at will. A send may not: SQS gives a standard queue no way to
//! tell a repeated send from a new message, so one whose answer was lost is left alone.

use std::sync::Arc;
use std::time::Duration;

use crate::ports::{
    BatchResult, CallError, CallErrorKind, Clock, Message, MessageAttribute, MessageAttributes, Messages,
    Outgoing, VisibilityChange,
};

/// Most entries in one batch call to SQS.
pub const MAX_BATCH_COUNT: usize = 10;
/// Most bytes of one batch of sends in total, and of one message: bodies and message attributes.
pub const MAX_BATCH_BYTES: usize = 1_048_576;
/// How often an entry of a batch call is tried in all. The adapters retry calls that failed as a whole on top, except
/// sends.
pub const ATTEMPT_COUNT: u32 = 4;
/// How often a copy is tried in all: if it cannot be made, the original's next receive dead-letters it.
pub const COPY_ATTEMPT_COUNT: u32 = 7;
/// Wait before the second attempt; doubles from one attempt to the next, up to [`MAX_PAUSE`].
pub const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest wait between two attempts.
pub const MAX_PAUSE: Duration = Duration::from_secs(3);

/// System attribute that can be set on a send.
const TRACE_HEADER: &str = "AWSTraceHeader";
/// System attribute that keeps order (FIFO) or fairness (standard).
const GROUP_ID: &str = "MessageGroupId";

/// Wait before attempt `attempt`, counted from 1: none before the first.
pub fn pause_before(attempt: u32) -> Duration {
    match attempt {
        0 | 1 => Duration::ZERO,
        later => FIRST_PAUSE.saturating_mul(1u32 << (later - 2).min(16)).min(MAX_PAUSE),
    }
}

/// The whole message again: body, all message attributes, trace header and group. SQS lets nothing else be set on a
/// send, so the copy has another id, another sent time and a fresh receive count.
pub fn copy_of(message: &Message, delay_s: Option<u32>) -> Outgoing {
    Outgoing {
        body: message.body.clone(),
        message_attributes: Arc::clone(&message.message_attributes),
        trace_header: message.attributes.get(TRACE_HEADER).cloned(),
        group_id: message.attributes.get(GROUP_ID).cloned(),
        delay_s,
    }
}

/// What a message to be sent counts towards [`MAX_BATCH_BYTES`]: body, and each attribute's name, type and value.
pub fn size_bytes(message: &Outgoing) -> usize {
    content_bytes(&message.body, &message.message_attributes)
}

/// The same for a message that was received.
pub fn message_bytes(message: &Message) -> usize {
    content_bytes(&message.body, &message.message_attributes)
}

fn content_bytes(body: &str, attributes: &MessageAttributes) -> usize {
    let attributes: usize =
        attributes.iter().map(|(name, attribute)| name.len() + attribute_bytes(attribute)).sum();
    body.len() + attributes
}

fn attribute_bytes(attribute: &MessageAttribute) -> usize {
    attribute.data_type.len()
        + attribute.string_value.as_ref().map_or(0, String::len)
        + attribute.binary_value.as_ref().map_or(0, Vec::len)
}

/// Deletes by receipt handle, retrying what failed. One result per handle.
pub async fn delete<P: Messages + Clock>(queue_url: &str, handles: &[String], ports: &P) -> BatchResult<()> {
    let call = async |left: &[String]| ports.delete_batch(queue_url, left).await;
    persist(handles, ATTEMPT_COUNT, CallErrorKind::may_pass, ports, call).await
}

/// Changes visibility timeouts, retrying what failed. One result per change.
pub async fn change_visibility<P: Messages + Clock>(
    queue_url: &str,
    changes: &[VisibilityChange],
    ports: &P,
) -> BatchResult<()> {
    let call = async |left: &[VisibilityChange]| ports.change_visibility_batch(queue_url, left).await;
    persist(changes, ATTEMPT_COUNT, CallErrorKind::may_pass, ports, call).await
}

/// Sends one batch within SQS's limits, retrying the entries that SQS said it failed, and the whole call if it certainly had
/// no effect. One result per message: its new id.
///
/// A failure of kind [`CallErrorKind::Transient`] leaves open whether the message was sent. A caller that keeps the
/// original, as it must, may then have it in the queue beside its copy: this and a crash between send and delete are
/// the only ways in which that happens.
pub async fn send<P: Messages + Clock>(
    queue_url: &str,
    messages: &[Outgoing],
    attempt_count: u32,
    ports: &P,
) -> BatchResult<String> {
    let had_no_effect = |kind: CallErrorKind| kind.may_pass() && kind != CallErrorKind::Transient;
    let call = async |left: &[Outgoing]| ports.send_batch(queue_url, left).await;
    persist(messages, attempt_count, had_no_effect, ports, call).await
}

/// Calls until every entry has succeeded, failed for good, or been tried `attempt_count` times. A call that failed as a
/// whole is repeated only if `may_repeat` says so of its failure.
async fn persist<E: Clone, T>(
    entries: &[E],
    attempt_count: u32,
    may_repeat: impl Fn(CallErrorKind) -> bool,
    clock: &impl Clock,
    call: impl AsyncFn(&[E]) -> Result<BatchResult<T>, CallError>,
) -> BatchResult<T> {
    let unanswered = || Err(CallError::new("batch call", "NoAnswer", CallErrorKind::Transient));
    let mut results: BatchResult<T> = entries.iter().map(|_| unanswered()).collect();
    let mut open: Vec<usize> = (0..entries.len()).collect();
    for attempt in 1..=attempt_count {
        if open.is_empty() {
            break;
        }
        let pause = pause_before(attempt);
        if !pause.is_zero() {
            clock.sleep(pause).await;
        }
        let batch: Vec<E> = open.iter().map(|&at| entries[at].clone()).collect();
        match call(&batch).await {
            Ok(answers) => {
                for (&at, answer) in open.iter().zip(answers) {
                    results[at] = answer;
                }
                open.retain(|&at| may_work_later(&results[at]));
            }
            Err(error) => {
                for &at in &open {
                    results[at] = Err(error.clone());
                }
                if !may_repeat(error.kind) {
                    open.clear();
                }
            }
        }
    }
    results
}

fn may_work_later<T>(result: &Result<T, CallError>) -> bool {
    result.as_ref().is_err_and(|error| error.kind.may_pass())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_longest() {
        let pauses: Vec<u128> = (1..=8).map(|attempt| pause_before(attempt).as_millis()).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1_600, 3_000, 3_000]);
        assert_eq!(pause_before(u32::MAX), MAX_PAUSE);
    }

    #[test]
    fn the_size_counts_body_and_attributes_in_bytes() {
        let attribute = MessageAttribute {
            data_type: "String".into(),
            string_value: Some("é".into()),
            ..MessageAttribute::default()
        };
        let binary = MessageAttribute {
            data_type: "Binary".into(),
            binary_value: Some(vec![0; 100]),
            ..MessageAttribute::default()
        };
        let attributes = [("kind".to_owned(), attribute), ("blob".to_owned(), binary)];
        let message = Outgoing {
            body: "12345".into(),
            message_attributes: Arc::new(attributes.into()),
            trace_header: Some("not counted".into()),
            ..Outgoing::default()
        };
        assert_eq!(size_bytes(&message), 5 + (4 + 6 + 2) + (4 + 6 + 100));
    }
}

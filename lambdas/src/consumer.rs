//! The example consumer: what the breaker guards in a drill. It stands for a function that calls a dependency for
//! each message.

use std::collections::BTreeSet;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use serde_json::Value;
use thiserror::Error;
use tracing::{info, warn};
use workflow::contract::{ENV_LEDGER_QUEUE_URL, ENV_REPORT_BATCH_ITEM_FAILURES, ENV_SHOULD_ERROR};

use crate::ports::{CallError, Ledger, Work};

/// How the consumer behaves; read anew for each invocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerSettings {
    /// `SHOULD_ERROR` is `true`: the dependency is down, and every message fails.
    pub should_error: bool,
    /// `REPORT_BATCH_ITEM_FAILURES` is `true`: failed messages are reported instead of failing the invocation.
    pub report_batch_item_failures: bool,
    /// `LEDGER_QUEUE_URL`: where processed messages are booked, if anywhere.
    pub ledger_queue_url: Option<String>,
}

impl ConsumerSettings {
    /// Reads the settings from environment variables, which `variable` looks up by name.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> ConsumerSettings {
        let is_true = |name| variable(name).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        ConsumerSettings {
            should_error: is_true(ENV_SHOULD_ERROR),
            report_batch_item_failures: is_true(ENV_REPORT_BATCH_ITEM_FAILURES),
            ledger_queue_url: variable(ENV_LEDGER_QUEUE_URL).filter(|url| !url.is_empty()),
        }
    }
}

/// Why an invocation of the consumer failed. Never says what was in a message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConsumerError {
    /// The payload is not an SQS event.
    #[error("the payload is not an SQS event")]
    InvalidEvent,
    /// The dependency is down.
    #[error("the downstream service is unavailable")]
    DownstreamUnavailable,
    /// Some bodies are not JSON: these messages fail always.
    #[error("{count} of the batch's messages are not JSON")]
    MalformedMessage {
        /// How many.
        count: usize,
    },
    /// Messages were processed but could not be booked: they fail, so that the books never miss one.
    #[error("{count} processed messages could not be recorded in the ledger queue")]
    LedgerUnavailable {
        /// How many.
        count: usize,
    },
}

impl ConsumerError {
    /// The `errorType` of the failed invocation.
    pub fn error_type(&self) -> &'static str {
        match self {
            ConsumerError::InvalidEvent => "InvalidEvent",
            ConsumerError::DownstreamUnavailable => "DownstreamUnavailable",
            ConsumerError::MalformedMessage { .. } => "MalformedMessage",
            ConsumerError::LedgerUnavailable { .. } => "LedgerUnavailable",
        }
    }
}

/// Processes one batch. The answer is `null` on the wire unless failed messages are reported.
///
/// # Errors
/// Without reporting, when any message of the batch failed: none was worked on then unless the ledger was what failed.
/// With reporting, only when the payload is no event.
pub async fn handle<P: Ledger + Work>(
    payload: Value,
    settings: &ConsumerSettings,
    ports: &P,
) -> Result<Option<SqsBatchResponse>, ConsumerError> {
    // A parse error may quote the payload, so it goes no further.
    let event: SqsEvent = serde_json::from_value(payload).map_err(|_| ConsumerError::InvalidEvent)?;
    handle_event(&event, settings, ports).await
}

/// Processes one batch that has been read already.
///
/// # Errors
/// As [`handle`], but for the payload.
pub async fn handle_event<P: Ledger + Work>(
    event: &SqsEvent,
    settings: &ConsumerSettings,
    ports: &P,
) -> Result<Option<SqsBatchResponse>, ConsumerError> {
    if settings.should_error && !settings.report_batch_item_failures {
        warn!(message_count = event.records.len(), "the downstream service is unavailable");
        return Err(ConsumerError::DownstreamUnavailable);
    }
    let batch: Vec<(String, bool)> =
        event.records.iter().map(|record| (id(record), is_json(record))).collect();
    if settings.report_batch_item_failures {
        let fifo = event.records.iter().any(|record| record.event_source_arn.as_deref().is_some_and(is_fifo));
        return Ok(Some(report(&batch, fifo, settings, ports).await));
    }
    // Nothing is worked on in a batch that is going to fail: all of it will be delivered again.
    let malformed_count = batch.iter().filter(|(_, well_formed)| !well_formed).count();
    if malformed_count > 0 {
        warn!(count = malformed_count, "messages are not JSON");
        return Err(ConsumerError::MalformedMessage { count: malformed_count });
    }
    let ids: Vec<String> = batch.into_iter().map(|(id, _)| id).collect();
    let unbooked = process(&ids, settings, ports).await;
    if !unbooked.is_empty() {
        return Err(ConsumerError::LedgerUnavailable { count: unbooked.len() });
    }
    info!(message_count = ids.len(), "processed the batch");
    Ok(None)
}

/// Processes what can be processed and reports the rest. On a FIFO queue nothing after a failed message is processed,
/// because the mapping deletes whatever is not reported.
async fn report<P: Ledger + Work>(
    batch: &[(String, bool)],
    fifo: bool,
    settings: &ConsumerSettings,
    ports: &P,
) -> SqsBatchResponse {
    let mut failed: BTreeSet<&str> = BTreeSet::new();
    for (id, well_formed) in batch {
        if settings.should_error || !well_formed || (fifo && !failed.is_empty()) {
            failed.insert(id);
        }
    }
    let ids: Vec<String> =
        batch.iter().map(|(id, _)| id.clone()).filter(|id| !failed.contains(id.as_str())).collect();
    let unbooked = process(&ids, settings, ports).await;
    failed.extend(unbooked.iter().map(String::as_str));
    if !failed.is_empty() {
        warn!(message_count = batch.len(), failed_count = failed.len(), "reporting failed messages");
    }
    let mut response = SqsBatchResponse::default();
    for (id, _) in batch {
        if failed.contains(id.as_str()) {
            response.add_failure(id);
        }
    }
    response
}

/// Works on each message, then books all of them. Answers the ids that could not be booked.
async fn process<P: Ledger + Work>(ids: &[String], settings: &ConsumerSettings, ports: &P) -> Vec<String> {
    for id in ids {
        ports.perform(id).await;
    }
    let Some(queue_url) = &settings.ledger_queue_url else { return Vec::new() };
    if ids.is_empty() {
        return Vec::new();
    }
    let results = ports.record(queue_url, ids).await.unwrap_or_else(|error| vec![Err(error); ids.len()]);
    let complain =
        |id: &str, error: &CallError| warn!(message_id = id, error = %error, "could not book the message");
    let mut unbooked = Vec::new();
    for (at, id) in ids.iter().enumerate() {
        match results.get(at) {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                complain(id, error);
                unbooked.push(id.clone());
            }
            None => unbooked.push(id.clone()),
        }
    }
    unbooked
}

fn id(record: &SqsMessage) -> String {
    record.message_id.clone().unwrap_or_default()
}

fn is_json(record: &SqsMessage) -> bool {
    record.body.as_deref().is_some_and(|body| serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok())
}

fn is_fifo(arn: &str) -> bool {
    arn.ends_with(".fifo")
}

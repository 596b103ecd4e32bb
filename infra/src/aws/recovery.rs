//! Saying on the bus that a dependency has recovered, as the dependency itself would.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use workflow::contract::SignalDetail;
use workflow::events::{DOWNSTREAM_RECOVERED, REQUEST_SOURCE};

use super::error::Named as _;
use super::{Account, CloudError};

/// Puts a `Downstream Recovered` event on the account's default bus. Answers the event's id. Nothing but
/// `events:PutEvents` is needed for it, and nothing about the circuits is known.
///
/// # Errors
/// The call fails, or EventBridge refuses the event.
pub async fn signal_recovered(account: &Account, detail: &SignalDetail) -> Result<String, CloudError> {
    let entry = PutEventsRequestEntry::builder()
        .source(REQUEST_SOURCE)
        .detail_type(DOWNSTREAM_RECOVERED)
        .detail(serde_json::to_string(detail).expect("a signal is plain data"))
        .build();
    let answer = account.events.put_events().entries(entry).send().await.named("PutEvents")?;
    let outcome = answer.entries().first();
    match outcome.and_then(|entry| entry.event_id()) {
        Some(id) => Ok(id.to_owned()),
        None => Err(CloudError::Refused {
            operation: "PutEvents",
            code: outcome.and_then(|entry| entry.error_code()).unwrap_or("FailedEntry").to_owned(),
            message: outcome.and_then(|entry| entry.error_message()).unwrap_or("no text").to_owned(),
        }),
    }
}

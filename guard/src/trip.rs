//! Asking for the workflow when the guards have opened the circuit.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use workflow::contract::MAX_REASON;
use workflow::events::{REQUEST_SOURCE, TRIP_REQUESTED};

/// How long a hook may take: the call that tripped the circuit waits for it.
pub const MAX_HOOK: Duration = Duration::from_secs(5);

/// A `Trip Requested` event, as `PutEvents` of EventBridge takes it: the rule of the queue's breaker starts the workflow of
/// the circuit on it.
///
/// ```
/// # let request = guard::TripRequest::new("orders", "5 calls in a row failed");
/// assert_eq!(request.source, "sqs-circuit-breaker.request");
/// assert_eq!(request.detail_type, "Trip Requested");
/// assert_eq!(request.detail(), r#"{"circuit":"orders","reason":"guard: 5 calls in a row failed"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TripRequest {
    /// `Source` of the entry.
    pub source: &'static str,
    /// `DetailType` of the entry.
    pub detail_type: &'static str,
    /// Name of the circuit.
    pub circuit: String,
    /// Why, for people; at most 1,000 characters.
    pub reason: String,
}

#[derive(Serialize)]
struct Detail<'a> {
    circuit: &'a str,
    reason: &'a str,
}

impl TripRequest {
    /// A request to open this circuit, for this reason.
    pub fn new(circuit: &str, reason: &str) -> TripRequest {
        TripRequest {
            source: REQUEST_SOURCE,
            detail_type: TRIP_REQUESTED,
            circuit: circuit.to_owned(),
            reason: format!("guard: {reason}").chars().take(MAX_REASON as usize).collect(),
        }
    }

    /// `Detail` of the entry: JSON.
    pub fn detail(&self) -> String {
        serde_json::to_string(&Detail { circuit: &self.circuit, reason: &self.reason })
            .expect("two texts are always written")
    }
}

/// What a hook may fail with.
pub type HookError = Box<dyn Error + Send + Sync>;

/// A hook, boxed.
pub(crate) type TripHook =
    Arc<dyn Fn(TripRequest) -> Pin<Box<dyn Future<Output = Result<(), HookError>> + Send>> + Send + Sync>;

/// Calls the hook and says so if it fails: the circuit is open all the same.
pub(crate) async fn announce(hook: &TripHook, request: TripRequest) {
    let circuit = request.circuit.clone();
    match tokio::time::timeout(MAX_HOOK, hook(request)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(circuit, %error, "the trip could not be announced; the workflow was not asked to start");
        }
        Err(_) => tracing::warn!(
            circuit,
            timeout_s = MAX_HOOK.as_secs(),
            "announcing the trip took too long; whether the workflow was asked to start is not known"
        ),
    }
}

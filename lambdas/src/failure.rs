//! How a handler fails: one enum, each variant with the error name that Step Functions matches `Retry` and `Catch`
//! against.

use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;
use workflow::errors;

use crate::ports::{CallError, CallErrorKind};

/// Why a handler of the breaker failed. Holds ids, names and error codes only: its text is kept in the execution
/// history.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HandlerError {
    /// The payload does not fit the contract, or a value in it is out of range.
    #[error("the request does not fit the contract: {0}")]
    InvalidRequest(String),
    /// Another execution owns the circuit now, or none does.
    #[error(
        "circuit {circuit} has epoch {}, this execution claimed epoch {claimed}: someone else owns the circuit now",
        found.map_or("none".to_owned(), |epoch| epoch.to_string())
    )]
    StaleEpoch {
        /// The circuit.
        circuit: String,
        /// Epoch in the request.
        claimed: u64,
        /// Epoch in the circuit's item.
        found: Option<u64>,
    },
    /// The mapping is gone, or on its way out.
    #[error("event source mapping {uuid} does not exist any more")]
    MappingMissing {
        /// Its UUID.
        uuid: String,
    },
    /// The mapping is between two states, so that it can neither be changed nor relied on.
    #[error("event source mapping {uuid} is {state}: it has to settle first")]
    Unsettled {
        /// Its UUID.
        uuid: String,
        /// Its state.
        state: String,
    },
    /// The circuit is open and did not begin to wait in time: it is being opened or probed.
    #[error("circuit {circuit} is being opened or probed, and did not begin to wait in time")]
    NotWaiting {
        /// The circuit.
        circuit: String,
    },
    /// Nothing but messages came up that earlier probes have proven already.
    #[error("received {count} messages in a row that were processed before and could not get another one")]
    OnlyDuplicates {
        /// How many were received.
        count: u32,
    },
    /// The consumer was invoked and nothing came back: it may be at work right now.
    #[error("the invocation of the consumer was never answered: it may still be running")]
    MayBeRunning(#[source] CallError),
    /// A call failed. The cause is the source and is not repeated by those who walk the chain.
    #[error("a call to AWS failed")]
    Call(#[from] CallError),
}

impl HandlerError {
    /// The name that the workflow matches, from [`workflow::errors`].
    pub fn error_type(&self) -> &'static str {
        match self {
            HandlerError::InvalidRequest(_) => errors::INVALID_REQUEST,
            HandlerError::StaleEpoch { .. } => errors::STALE_EPOCH,
            HandlerError::MappingMissing { .. } => errors::MAPPING_MISSING,
            HandlerError::Unsettled { .. }
            | HandlerError::NotWaiting { .. }
            | HandlerError::OnlyDuplicates { .. } => errors::TRANSIENT,
            HandlerError::MayBeRunning(_) => errors::MAY_BE_RUNNING,
            HandlerError::Call(call) => match call.kind {
                CallErrorKind::Throttled
                | CallErrorKind::Transient
                | CallErrorKind::Conflict
                | CallErrorKind::OverLimit => errors::TRANSIENT,
                CallErrorKind::AccessDenied => errors::ACCESS_DENIED,
                CallErrorKind::NotFound | CallErrorKind::Refused => errors::REFUSED,
            },
        }
    }

    /// The whole story in one line: what failed, then its cause.
    pub fn error_message(&self) -> String {
        match self {
            HandlerError::Call(call) | HandlerError::MayBeRunning(call) => format!("{self}: {call}"),
            HandlerError::InvalidRequest(_)
            | HandlerError::StaleEpoch { .. }
            | HandlerError::MappingMissing { .. }
            | HandlerError::Unsettled { .. }
            | HandlerError::NotWaiting { .. }
            | HandlerError::OnlyDuplicates { .. } => self.to_string(),
        }
    }

    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        self.error_type() == errors::TRANSIENT
    }
}

/// Reads a request.
///
/// # Errors
/// [`HandlerError::InvalidRequest`] when the payload does not fit the type.
pub fn decode<T: DeserializeOwned>(payload: Value) -> Result<T, HandlerError> {
    serde_json::from_value(payload).map_err(|error| HandlerError::InvalidRequest(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(kind: CallErrorKind) -> HandlerError {
        HandlerError::Call(CallError::new("Op", "Code", kind))
    }

    #[test]
    fn every_failure_has_the_name_that_the_workflow_matches() {
        let table = [
            (HandlerError::InvalidRequest("x".into()), errors::INVALID_REQUEST),
            (HandlerError::StaleEpoch { circuit: "c".into(), claimed: 1, found: None }, errors::STALE_EPOCH),
            (HandlerError::MappingMissing { uuid: "u".into() }, errors::MAPPING_MISSING),
            (HandlerError::Unsettled { uuid: "u".into(), state: "Updating".into() }, errors::TRANSIENT),
            (HandlerError::NotWaiting { circuit: "c".into() }, errors::TRANSIENT),
            (HandlerError::OnlyDuplicates { count: 5 }, errors::TRANSIENT),
            (
                HandlerError::MayBeRunning(CallError::new("Invoke", "NoAnswer", CallErrorKind::Transient)),
                errors::MAY_BE_RUNNING,
            ),
            (call(CallErrorKind::Throttled), errors::TRANSIENT),
            (call(CallErrorKind::Transient), errors::TRANSIENT),
            (call(CallErrorKind::Conflict), errors::TRANSIENT),
            (call(CallErrorKind::OverLimit), errors::TRANSIENT),
            (call(CallErrorKind::AccessDenied), errors::ACCESS_DENIED),
            (call(CallErrorKind::NotFound), errors::REFUSED),
            (call(CallErrorKind::Refused), errors::REFUSED),
        ];
        for (error, name) in table {
            assert_eq!(error.error_type(), name, "{error}");
        }
    }

    #[test]
    fn a_message_names_the_cause_once() {
        let error = HandlerError::StaleEpoch { circuit: "orders".into(), claimed: 3, found: Some(4) };
        assert_eq!(
            error.error_message(),
            "circuit orders has epoch 4, this execution claimed epoch 3: someone else owns the circuit now"
        );
        assert_eq!(call(CallErrorKind::Refused).error_message(), "a call to AWS failed: Op failed with Code");
    }
}

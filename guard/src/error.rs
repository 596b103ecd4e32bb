//! What a guarded call can end with.

use std::time::Duration;

use thiserror::Error;

use crate::machine::OpenCause;

/// The call was refused: the dependency was not touched.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("circuit {circuit:?} is open ({}): the call was not made. Try again in {} ms, or answer without it", why(.cause), .retry_after.as_millis())]
pub struct CircuitOpen {
    /// Name of the circuit.
    pub circuit: String,
    /// Why it is open.
    pub cause: OpenCause,
    /// When trying again may help. At least 1 ms.
    pub retry_after: Duration,
}

fn why(cause: &OpenCause) -> &'static str {
    match cause {
        OpenCause::Tripped => "too many calls failed or were slow",
        OpenCause::Sampling => "sample calls are in flight",
        OpenCause::Workflow => "the queue's breaker has opened it",
        OpenCause::Isolated => "somebody has isolated the dependency",
    }
}

/// How a guarded call failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError<E> {
    /// It was not made.
    #[error(transparent)]
    Open(#[from] CircuitOpen),
    /// It was made and cancelled, because it took too long.
    #[error("the call took longer than {} ms and was cancelled. Raise call_timeout or sample_timeout if that is not long for it", .limit.as_millis())]
    TimedOut {
        /// How long it was allowed to take.
        limit: Duration,
    },
    /// It was made and failed with this error of the dependency.
    #[error("the guarded call failed")]
    Failed(#[source] E),
}

impl<E> CallError<E> {
    /// The dependency's error, if it has answered with one.
    pub fn into_failed(self) -> Option<E> {
        match self {
            CallError::Failed(error) => Some(error),
            CallError::Open(_) | CallError::TimedOut { .. } => None,
        }
    }
}

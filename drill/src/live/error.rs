//! Why a drill on a deployed stack cannot run, or had to stop.

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use thiserror::Error;

/// Longest text of a service that is passed on, characters: some quote the whole request.
const LONGEST_TEXT_COUNT: usize = 300;

/// Why a drill on a deployed stack cannot run, or had to stop. Each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LiveError {
    /// The scenario needs what only the model can do.
    #[error("the scenario {scenario} needs what a deployed stack cannot do: {what}")]
    Unsupported {
        /// Its name.
        scenario: &'static str,
        /// What it needs.
        what: String,
    },
    /// The outage asked for is too short, or the scenario has none that could be scaled.
    #[error("the outage of {scenario} cannot be {asked_s} s long: {why}")]
    Outage {
        /// Name of the scenario.
        scenario: &'static str,
        /// What was asked for, seconds.
        asked_s: u64,
        /// Why not.
        why: String,
    },
    /// The stack does not have what a drill needs.
    #[error("the stack {stack} {what}")]
    Stack {
        /// Its name.
        stack: String,
        /// What is wrong with it.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A call to AWS failed.
    #[error("{operation} failed: {text}")]
    Call {
        /// The operation.
        operation: &'static str,
        /// The service's error code and text, or what kept it from answering.
        text: String,
    },
    /// Somebody ended the drill.
    #[error("the drill was stopped")]
    Stopped,
    /// The consumer's variable could not be given its value back.
    #[error("SHOULD_ERROR of {function} could not be given back its value {value:?}: {cause}")]
    NotRestored {
        /// The consumer.
        function: String,
        /// The value; empty where the variable was not there.
        value: String,
        /// Why.
        cause: String,
    },
}

/// The error of a call.
pub(super) fn call<E, R>(operation: &'static str, error: &SdkError<E, R>) -> LiveError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let text = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => chain(error),
    };
    LiveError::Call { operation, text: text.chars().take(LONGEST_TEXT_COUNT).collect() }
}

/// What kept a service from answering: the causes from the outermost to the innermost.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

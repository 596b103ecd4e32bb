//! The error a modelled service answers with.

/// An error as the service itself would answer it: callers see the same code and status as on AWS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ServiceError {
    /// The service's own error code, for example `ReceiptHandleIsInvalid`.
    pub code: String,
    /// The service's explanation, for people.
    pub message: String,
    /// The HTTP status, for example 400.
    pub status: u16,
}

impl ServiceError {
    /// An error with this HTTP status, code and message.
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), status }
    }
}

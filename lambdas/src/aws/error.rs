//! What a failed SDK call means to a handler.

use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

use crate::ports::{CallError, CallErrorKind};

/// Code of a call that got no answer.
const NO_ANSWER: &str = "NoAnswer";
/// Code of a call that was never sent, because the SDK found its input wrong.
const NOT_SENT: &str = "NotSent";
/// Code of a failure that names none.
const UNNAMED: &str = "Unnamed";

/// Whether the service's text may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// Kept: it speaks of names and settings.
    Kept,
    /// Dropped: the call carries message content, and its error text may quote it.
    Dropped,
}

/// Reads a failed call.
pub(super) fn call_error<E>(
    operation: &'static str,
    text: Text,
    error: &SdkError<E, HttpResponse>,
) -> CallError
where
    E: ProvideErrorMetadata,
{
    match error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or(UNNAMED);
            let message = match text {
                Text::Kept => service.err().message().unwrap_or_default(),
                Text::Dropped => "",
            };
            let kind = classify(code, service.raw().status().as_u16());
            CallError { message: message.to_owned(), ..CallError::new(operation, code, kind) }
        }
        SdkError::ConstructionFailure(_) => CallError::new(operation, NOT_SENT, CallErrorKind::Refused),
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            CallError::new(operation, NO_ANSWER, CallErrorKind::Transient)
        }
        // The enum may grow; a failure of a new kind is tried again rather than believed final.
        _ => CallError::new(operation, UNNAMED, CallErrorKind::Transient),
    }
}

/// Reads the failure of one entry of a batch call, which comes without a status.
pub(super) fn entry_error(operation: &'static str, code: &str, sender_fault: bool) -> CallError {
    CallError::new(operation, code, classify(code, if sender_fault { 400 } else { 500 }))
}

/// An answer that lacks what the service promises.
pub(super) fn incomplete(operation: &'static str) -> CallError {
    CallError::new(operation, "IncompleteAnswer", CallErrorKind::Transient)
}

fn classify(code: &str, status: u16) -> CallErrorKind {
    // Services of the older query protocol put a namespace before the code.
    let name = code.rsplit('.').next().unwrap_or(code);
    match name {
        "TooManyRequestsException"
        | "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "ProvisionedThroughputExceededException"
        | "KmsThrottled"
        | "EC2ThrottledException" => CallErrorKind::Throttled,
        "ResourceInUseException" | "ResourceConflictException" => CallErrorKind::Conflict,
        "OverLimit" => CallErrorKind::OverLimit,
        "ResourceNotFoundException" | "QueueDoesNotExist" | "NonExistentQueue" => CallErrorKind::NotFound,
        "AccessDenied" | "AccessDeniedException" | "KmsAccessDenied" | "UnrecognizedClientException" => {
            CallErrorKind::AccessDenied
        }
        _ => match status {
            429 => CallErrorKind::Throttled,
            500.. => CallErrorKind::Transient,
            409 => CallErrorKind::Conflict,
            404 => CallErrorKind::NotFound,
            401 | 403 => CallErrorKind::AccessDenied,
            _ => CallErrorKind::Refused,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_or_else_a_status_says_what_to_do() {
        for (code, status, kind) in [
            ("TooManyRequestsException", 429, CallErrorKind::Throttled),
            ("ThrottlingException", 400, CallErrorKind::Throttled),
            ("RequestThrottled", 403, CallErrorKind::Throttled),
            ("Unheard", 429, CallErrorKind::Throttled),
            ("ServiceException", 500, CallErrorKind::Transient),
            ("ENILimitReachedException", 502, CallErrorKind::Transient),
            ("ResourceInUseException", 400, CallErrorKind::Conflict),
            ("ResourceConflictException", 409, CallErrorKind::Conflict),
            ("OverLimit", 403, CallErrorKind::OverLimit),
            ("AWS.SimpleQueueService.NonExistentQueue", 400, CallErrorKind::NotFound),
            ("ResourceNotFoundException", 404, CallErrorKind::NotFound),
            ("AccessDeniedException", 400, CallErrorKind::AccessDenied),
            ("InvalidSignatureException", 403, CallErrorKind::AccessDenied),
            ("InvalidParameterValueException", 400, CallErrorKind::Refused),
            ("ReceiptHandleIsInvalid", 400, CallErrorKind::Refused),
        ] {
            assert_eq!(classify(code, status), kind, "{code} with {status}");
        }
        assert_eq!(entry_error("SendMessageBatch", "InternalError", false).kind, CallErrorKind::Transient);
        assert_eq!(
            entry_error("SendMessageBatch", "InvalidParameterValue", true).kind,
            CallErrorKind::Refused
        );
    }
}

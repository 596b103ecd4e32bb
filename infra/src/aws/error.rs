//! Why a call came to nothing, in words of the user's side.

use std::error::Error;

use aws_sdk_cloudformation::config::http::HttpResponse;
use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};
use thiserror::Error;

/// Longest text of a service that is shown: CloudFormation may quote a whole template.
const MAX_MESSAGE: usize = 600;

/// The end of a hint to whoever has run a command that has ended.
const AGAIN: &str = ", then run the command again";

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CloudError {
    /// Nothing says which Region is meant.
    #[error("no Region is configured")]
    NoRegion,
    /// Nothing says as whom to call.
    #[error("no credentials were found: {cause}")]
    NoCredentials {
        /// What the SDK says of its search.
        cause: String,
    },
    /// No answer came.
    #[error("{operation} got no answer: {cause}")]
    NoAnswer {
        /// The call.
        operation: &'static str,
        /// What went wrong on the way.
        cause: String,
    },
    /// The service refused.
    #[error("{operation} was refused with {code}: {message}")]
    Refused {
        /// The call.
        operation: &'static str,
        /// The service's name for the error.
        code: String,
        /// The service's text.
        message: String,
    },
    /// The answer lacks what the service promises.
    #[error("the answer of {operation} lacks {what}")]
    Incomplete {
        /// The call.
        operation: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// The call went well, and what it found does not fit.
    #[error("{what}")]
    Unfit {
        /// What was found.
        what: String,
        /// What to do.
        hint: String,
    },
}

impl CloudError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            CloudError::NoRegion => "give --region, set AWS_REGION, or name one in the profile".to_owned(),
            CloudError::NoCredentials { .. } => {
                "log in as for the AWS CLI (`aws sso login`, `aws configure`, AWS_ACCESS_KEY_ID), or name a profile with \
                 --profile; `aws sts get-caller-identity` shows whether it works"
                    .to_owned()
            }
            CloudError::NoAnswer { .. } => {
                format!("check the network, the Region's name and --endpoint-url{AGAIN}")
            }
            CloudError::Refused { operation, code, .. } => hint_for(operation, code),
            CloudError::Incomplete { .. } => "run the command again; if it stays so, the endpoint is not AWS".to_owned(),
            CloudError::Unfit { hint, .. } => hint.clone(),
        }
    }

    /// What to do about it, for whoever tries again without being told to.
    pub fn remedy(&self) -> String {
        let hint = self.hint();
        hint.strip_suffix(AGAIN).map_or(hint.clone(), str::to_owned)
    }

    pub(super) fn unfit(what: impl Into<String>, hint: impl Into<String>) -> CloudError {
        CloudError::Unfit { what: what.into(), hint: hint.into() }
    }

    /// Whether the service says that what was asked for is not there.
    pub(super) fn is_missing(&self) -> bool {
        let CloudError::Refused { code, message, .. } = self else { return false };
        matches!(
            code.rsplit('.').next().unwrap_or(code),
            "ResourceNotFoundException"
                | "QueueDoesNotExist"
                | "NonExistentQueue"
                | "ChangeSetNotFound"
                | "ChangeSetNotFoundException"
                | "NoSuchBucket"
                | "NoSuchKey"
                | "NotFound"
                | "404"
        ) || (code == "ValidationError" && message.contains("does not exist"))
    }

    /// Whether the caller is not allowed to ask.
    pub(super) fn is_denied(&self) -> bool {
        let CloudError::Refused { code, .. } = self else { return false };
        matches!(code.as_str(), "AccessDenied" | "AccessDeniedException" | "AuthorizationError" | "403")
    }
}

fn hint_for(operation: &str, code: &str) -> String {
    let hint = match code.rsplit('.').next().unwrap_or(code) {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" | "TokenRefreshRequired" => {
            return format!("the credentials have expired: log in again (`aws sso login`){AGAIN}");
        }
        "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "AuthFailure"
        | "InvalidSignatureException"
        | "InvalidAccessKeyId" => {
            "the credentials are not valid for this account or Region: check --profile and --region"
        }
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "AuthorizationError" => {
            return format!(
                "the caller's policies must allow {operation}; ask whoever manages them, or use --profile"
            );
        }
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "SlowDown" => {
            return format!(
                "AWS throttles this account, and every attempt of this call; wait a minute{AGAIN}"
            );
        }
        "OptInRequired" | "InvalidRegion" => {
            "check the name of the Region, and that the account has it enabled"
        }
        "InsufficientCapabilitiesException" => "the caller may not make IAM roles with CloudFormation",
        "LimitExceededException" => "a quota of the account is used up: the text above says which",
        "ResourceNotFoundException" | "QueueDoesNotExist" | "NonExistentQueue" => {
            "check the name, and that --region and --profile are those of the consumer"
        }
        _ => "the service's text above says why; nothing was changed by this call",
    };
    hint.to_owned()
}

/// Gives a failed call its name.
pub(super) trait Named<T> {
    /// The answer, or the failure with the call's name.
    fn named(self, operation: &'static str) -> Result<T, CloudError>;
}

impl<T, E> Named<T> for Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    fn named(self, operation: &'static str) -> Result<T, CloudError> {
        self.map_err(|error| match &error {
            SdkError::ServiceError(service) => {
                let status = service.raw().status().as_u16();
                CloudError::Refused {
                    operation,
                    code: service.err().code().map_or_else(|| status.to_string(), str::to_owned),
                    message: shortened(service.err().message().unwrap_or("(no text)")),
                }
            }
            other => without_answer(operation, &chain(other)),
        })
    }
}

/// A call that was not sent or not answered; the SDK has no kind of its own for missing credentials.
fn without_answer(operation: &'static str, cause: &str) -> CloudError {
    if cause.contains("credential") || cause.contains("token provider") || cause.contains("profile") {
        // The SDK goes on to list every place that it looked in.
        let brief = cause.split(". Attempted").next().unwrap_or(cause);
        CloudError::NoCredentials { cause: shortened(brief) }
    } else {
        CloudError::NoAnswer { operation, cause: shortened(cause) }
    }
}

/// An error with the chain of its causes, each said once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}

fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_template_is_cut() {
        let text = shortened(&format!("Value '{}' failed", "x".repeat(60_000)));
        assert_eq!(text.len(), MAX_MESSAGE + 3);
    }

    #[test]
    fn a_code_says_what_to_do() {
        for (code, word) in [
            ("ExpiredToken", "log in again"),
            ("AccessDenied", "must allow CreateChangeSet"),
            ("Throttling", "every attempt"),
            ("AWS.SimpleQueueService.NonExistentQueue", "check the name"),
            ("Unheard", "text above"),
        ] {
            assert!(hint_for("CreateChangeSet", code).contains(word), "{code}");
        }
        let throttled =
            CloudError::Refused { operation: "X", code: "Throttling".to_owned(), message: String::new() };
        assert!(throttled.remedy().ends_with("wait a minute"), "{}", throttled.remedy());
        assert!(matches!(
            without_answer("X", "failed to load: no providers in chain provided credentials"),
            CloudError::NoCredentials { .. }
        ));
    }
}

//! Failures on their way up, and which of them a retrier or catcher sees.

use serde_json::json;

use super::data::Data;
use super::functions::NOT_SUPPORTED;

pub(super) const QUERY_EVALUATION_ERROR: &str = "States.QueryEvaluationError";
pub(super) const RUNTIME: &str = "States.Runtime";
pub(super) const DATA_LIMIT_EXCEEDED: &str = "States.DataLimitExceeded";
pub(super) const TIMEOUT: &str = "States.Timeout";
const HEARTBEAT_TIMEOUT: &str = "States.HeartbeatTimeout";

/// Why a state failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub error: Option<String>,
    pub cause: Option<String>,
    /// It ran into `HeartbeatSeconds`: reported as a timeout, caught under its own name as well.
    pub heartbeat: bool,
}

impl Failure {
    pub fn new(error: impl Into<String>, cause: impl Into<String>) -> Failure {
        Failure { error: Some(error.into()), cause: Some(cause.into()), heartbeat: false }
    }

    pub fn timeout(heartbeat: bool) -> Failure {
        Failure { error: Some(TIMEOUT.to_owned()), cause: None, heartbeat }
    }

    /// Something that AWS does and this interpreter does not: never retried, never caught.
    pub fn not_supported(cause: impl Into<String>) -> Failure {
        Failure::new(NOT_SUPPORTED, cause)
    }

    /// What a Catch sees as `$states.errorOutput`.
    pub fn error_output(&self) -> Data {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        Data::new(json!({"Error": text(&self.error), "Cause": text(&self.cause)}))
    }

    /// Whether one of the names in an `ErrorEquals` stands for this failure.
    ///
    /// `States.ALL` and `States.TaskFailed` are wildcards, the latter without timeouts; neither
    /// stands for an exceeded data limit, and nothing does for `States.Runtime`.
    pub fn matches(&self, names: &[String]) -> bool {
        let error = self.error.as_deref().unwrap_or_default();
        if error == RUNTIME || error == NOT_SUPPORTED {
            return false;
        }
        let timeout = error == TIMEOUT || error == HEARTBEAT_TIMEOUT;
        names.iter().any(|name| match name.as_str() {
            "States.ALL" => error != DATA_LIMIT_EXCEEDED,
            "States.TaskFailed" => error != DATA_LIMIT_EXCEEDED && !timeout,
            TIMEOUT => timeout,
            HEARTBEAT_TIMEOUT => self.heartbeat || error == HEARTBEAT_TIMEOUT,
            name => self.error.as_deref() == Some(name),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_what_the_documentation_says() {
        let check = |failure: Failure, seen: [bool; 5]| {
            let names = ["States.ALL", "States.TaskFailed", TIMEOUT, HEARTBEAT_TIMEOUT, "Mine"];
            let found = names.map(|name| failure.matches(&[name.to_owned()]));
            assert_eq!(found, seen, "{failure:?}");
        };
        check(Failure::new("Mine", ""), [true, true, false, false, true]);
        check(Failure::new("Other", ""), [true, true, false, false, false]);
        check(Failure::timeout(false), [true, false, true, false, false]);
        check(Failure::timeout(true), [true, false, true, true, false]);
        check(Failure::new(HEARTBEAT_TIMEOUT, ""), [true, false, true, true, false]);
        check(Failure::new(QUERY_EVALUATION_ERROR, ""), [true, true, false, false, false]);
        check(Failure::new(DATA_LIMIT_EXCEEDED, ""), [false; 5]);
        check(Failure::new(RUNTIME, ""), [false; 5]);
        check(Failure { error: None, ..Failure::timeout(false) }, [true, true, false, false, false]);
        let by_name = |name: &str| Failure::new(name, "").matches(&[name.to_owned()]);
        assert!(by_name(DATA_LIMIT_EXCEEDED));
        assert!(!by_name(RUNTIME));
    }
}

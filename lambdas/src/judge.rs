//! Judges an invocation of the consumer the way the event source mapping itself does.

use serde_json::Value;

use crate::ports::Invocation;

/// Error name of a consumer that was throttled and never ran.
pub const THROTTLED: &str = "Throttled";
/// Error name of an answer that did not come in time.
pub const TIMEOUT: &str = "Timeout";
/// Error name of a message that the consumer reported as failed.
pub const BATCH_ITEM_FAILURE: &str = "BatchItemFailure";
/// Error name of an answer that is no partial batch response at all.
pub const INVALID_BATCH_RESPONSE: &str = "InvalidBatchResponse";
/// Error name of a failure that names no type, or something that is no name.
pub const UNHANDLED: &str = "Unhandled";

/// Longest error name that is kept, characters; a longer one is dropped.
pub const MAX_ERROR_NAME_CHARS: usize = 128;

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every message was processed.
    Succeeded,
    /// The messages with these ids failed, the others were processed.
    PartlyFailed(Vec<String>),
    /// Every message failed; the name says how, and holds no text of the consumer's.
    Failed(String),
}

/// Judges one invocation over the messages with the ids `message_ids`.
///
/// A function error fails the whole batch, and so does a missed deadline. Beyond that the answer counts only where
/// the mapping has `ReportBatchItemFailures`.
pub fn judge(invocation: &Invocation, reports_batch_item_failures: bool, message_ids: &[&str]) -> Outcome {
    match invocation {
        Invocation::DeadlineExceeded => Outcome::Failed(TIMEOUT.to_owned()),
        Invocation::Answered { function_error: Some(kind), payload } => {
            Outcome::Failed(error_name(kind, payload))
        }
        Invocation::Answered { function_error: None, payload } if reports_batch_item_failures => {
            batch_outcome(payload, message_ids)
        }
        Invocation::Answered { function_error: None, .. } => Outcome::Succeeded,
    }
}

/// Reads a partial batch response. Nothing, `null`, an empty string or object, and a missing, null or empty list mean
/// success. What is not such a response at all, and an item that is empty, null, unknown or under a wrong key, fail
/// the whole batch: rather one message processed twice than one deleted unprocessed.
fn batch_outcome(payload: &[u8], message_ids: &[&str]) -> Outcome {
    let invalid = || Outcome::Failed(INVALID_BATCH_RESPONSE.to_owned());
    if payload.iter().all(u8::is_ascii_whitespace) {
        return Outcome::Succeeded;
    }
    let items = match serde_json::from_slice(payload) {
        Ok(Value::Null) => return Outcome::Succeeded,
        Ok(Value::String(text)) if text.is_empty() => return Outcome::Succeeded,
        Ok(Value::Object(mut response)) => match response.remove("batchItemFailures") {
            None | Some(Value::Null) => return Outcome::Succeeded,
            Some(Value::Array(items)) => items,
            Some(_) => return invalid(),
        },
        Ok(_) | Err(_) => return invalid(),
    };
    let mut failed: Vec<String> = Vec::new();
    for item in &items {
        match item.get("itemIdentifier").and_then(Value::as_str) {
            Some(id) if message_ids.contains(&id) => failed.push(id.to_owned()),
            _ => return invalid(),
        }
    }
    if failed.is_empty() { Outcome::Succeeded } else { Outcome::PartlyFailed(failed) }
}

/// The consumer's own error type if it has the shape of one, else the service's word: the text of an error may quote the
/// message and is never looked at, and what a consumer puts into the type instead of a name may do so too.
fn error_name(kind: &str, payload: &[u8]) -> String {
    let error = serde_json::from_slice::<Value>(payload).unwrap_or_default();
    let names = [error.get("errorType").and_then(Value::as_str), Some(kind)];
    names.into_iter().flatten().find(|name| is_name(name)).unwrap_or(UNHANDLED).to_owned()
}

/// Whether this is an identifier as languages write their error types. Anything else is dropped whole: what is left of
/// a sentence without its spaces is still the sentence.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.len() <= MAX_ERROR_NAME_CHARS
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.:$-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(function_error: Option<&str>, payload: &str) -> Invocation {
        Invocation::Answered {
            function_error: function_error.map(str::to_owned),
            payload: payload.as_bytes().to_vec(),
        }
    }

    fn check(invocation: &Invocation, reports: bool, expected: Outcome) {
        assert_eq!(judge(invocation, reports, &["m-1"]), expected, "{invocation:?}, reports: {reports}");
    }

    fn failed(name: &str) -> Outcome {
        Outcome::Failed(name.to_owned())
    }

    #[test]
    fn an_error_or_a_missed_deadline_fails_whatever_the_mapping_reports() {
        for reports in [false, true] {
            check(&Invocation::DeadlineExceeded, reports, failed("Timeout"));
            for (payload, name) in [
                (
                    r#"{"errorType":"DownstreamUnavailable","errorMessage":"order 4711"}"#,
                    "DownstreamUnavailable",
                ),
                (r#"{"errorType":"java.lang.Out$Of-Memory"}"#, "java.lang.Out$Of-Memory"),
                (r#"{"errorType":"Orders::Not_Found"}"#, "Orders::Not_Found"),
                (r#"{"errorType":"card of Jane Doe refused"}"#, "Unhandled"),
                (r#"{"errorType":"jane@example.com"}"#, "Unhandled"),
                (r#"{"errorType":"4711"}"#, "Unhandled"),
                (r#"{"errorType":"Refusé"}"#, "Unhandled"),
                (r#"{"errorType":"Refused "}"#, "Unhandled"),
                (r#"{"errorType":""}"#, "Unhandled"),
                (r#"{"errorType":null}"#, "Unhandled"),
                (r#"{"errorMessage":"Task timed out after 3.00 seconds"}"#, "Unhandled"),
                ("not json", "Unhandled"),
                ("", "Unhandled"),
            ] {
                check(&answered(Some("Unhandled"), payload), reports, failed(name));
            }
        }
        check(&answered(Some(""), ""), false, failed("Unhandled"));
        check(&answered(Some("Handled"), ""), false, failed("Handled"));
        for (chars, expected) in [(128, "x".repeat(128)), (129, "Unhandled".to_owned())] {
            let payload = format!(r#"{{"errorType":"{}"}}"#, "x".repeat(chars));
            check(&answered(Some("Unhandled"), &payload), false, failed(&expected));
        }
    }

    #[test]
    fn without_reporting_the_answer_is_ignored() {
        for payload in [r#"{"batchItemFailures":[{"itemIdentifier":"m-1"}]}"#, "not json", "", "null"] {
            check(&answered(None, payload), false, Outcome::Succeeded);
        }
    }

    #[test]
    fn with_reporting_nothing_reported_is_success() {
        for payload in [
            "",
            " ",
            "null",
            r#""""#,
            "{}",
            r#"{"batchItemFailures":null}"#,
            r#"{"batchItemFailures":[]}"#,
            r#"{"statusCode":200}"#,
        ] {
            check(&answered(None, payload), true, Outcome::Succeeded);
        }
    }

    #[test]
    fn with_reporting_a_reported_message_failed() {
        let payload = r#"{"batchItemFailures":[{"itemIdentifier":"m-1"}]}"#;
        check(&answered(None, payload), true, Outcome::PartlyFailed(vec!["m-1".into()]));
    }

    #[test]
    fn with_reporting_an_answer_that_makes_no_sense_fails_everything() {
        for payload in [
            "not json",
            "[]",
            "17",
            r#""done""#,
            r#"{"batchItemFailures":"m-1"}"#,
            r#"{"batchItemFailures":["m-1"]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"m-2"}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"m-1"},{"itemIdentifier":"m-2"}]}"#,
            r#"{"batchItemFailures":[{"id":"m-1"}]}"#,
        ] {
            check(&answered(None, payload), true, failed("InvalidBatchResponse"));
        }
    }
}

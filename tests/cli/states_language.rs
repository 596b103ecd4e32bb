//! `breaker drill asl`.

use serde_json::json;

use crate::sandbox::Sandbox;
use crate::{check, check_in};

/// A task that is retried once.
const RETRIED: &str = r#"{
  "QueryLanguage": "JSONata",
  "StartAt": "Charge",
  "States": {
    "Charge": {
      "Type": "Task",
      "Resource": "arn:aws:states:::lambda:invoke",
      "Arguments": { "FunctionName": "charge", "Payload": "{% $states.input %}" },
      "Retry": [{ "ErrorEquals": ["Busy"], "IntervalSeconds": 60, "MaxAttempts": 1 }],
      "Output": "{% {'paid': $states.result.paid} %}",
      "End": true
    }
  }
}"#;

const BUSY_ONCE: &str =
    r#"{"Charge": [{"throw": {"error": "Busy", "cause": "later"}}, {"return": {"paid": 7}}]}"#;
const BUSY_TWICE: &str = r#"{"Charge": [{"throw": {"error": "Busy", "cause": "later"}}, {"throw": {"error": "Busy", "cause": "later"}}]}"#;

fn sandbox() -> Sandbox {
    Sandbox::with("machine.json", RETRIED).and("input.json", r#"{"amount": 7}"#)
}

const RUN: [&str; 8] =
    ["drill", "asl", "--definition", "machine.json", "--input", "input.json", "--mock", "mock.json"];

#[test]
fn success_and_failure_are_both_results() {
    check_in(&sandbox().and("mock.json", BUSY_ONCE), "asl_succeeded", &RUN);
    check_in(&sandbox().and("mock.json", BUSY_TWICE), "asl_failed", &RUN);
}

#[test]
fn one_of_the_files_may_be_standard_input() {
    let args = ["drill", "asl", "--definition", "machine.json", "--input", "-", "--mock", "mock.json"];
    let ran = sandbox().and("mock.json", BUSY_ONCE).run_with_stdin(&args, "{}");
    assert_eq!(ran.json(), json!({"status": "SUCCEEDED", "output": {"paid": 7}}));
    check("asl_stdin_twice", &["drill", "asl", "--definition", "-", "--input", "-"]);
}

#[test]
fn every_mistake_is_told_and_standard_output_stays_empty() {
    check("asl_files_missing", &["drill", "asl", "--definition", "no.json", "--input", "none.json"]);
    let not_json = Sandbox::with("machine.json", "{").and("input.json", "nothing").and("mock.json", "[]");
    check_in(&not_json, "asl_not_json", &RUN);
    let broken =
        r#"{"StartAt": "Begin", "States": {"Wait": {"Type": "Wait", "Seconds": -1, "Next": "Gone"}}}"#;
    let broken = Sandbox::with("machine.json", broken).and("input.json", "{}").and("mock.json", "{}");
    check_in(&broken, "asl_definition_wrong", &RUN);
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let distributed = r#"{"QueryLanguage": "JSONata", "StartAt": "Each", "States": {"Each": {
        "Type": "Map", "End": true,
        "ItemReader": {"Resource": "arn:aws:states:::s3:getObject"},
        "ItemProcessor": {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}}}}"#;
    let sandbox = Sandbox::with("machine.json", distributed).and("input.json", "{}").and("mock.json", "{}");
    check_in(&sandbox, "asl_not_supported", &RUN);
}

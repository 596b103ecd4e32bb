//! The States Language interpreter from outside. Expected results follow the States Language
//! specification and the Step Functions developer guide.

mod functions;
mod recovery;
mod refusals;
mod states;
mod time;

use drill::asl::mock::run_document;
use serde_json::{Value, json};

const LAMBDA: &str = "arn:aws:states:::lambda:invoke";
const CALLBACK: &str = "arn:aws:states:::sqs:sendMessage.waitForTaskToken";

/// A JSONata definition of these states, which starts at the first one.
fn definition(states: &Value) -> String {
    let start = states.as_object().and_then(|states| states.keys().next());
    json!({"QueryLanguage": "JSONata", "StartAt": start, "States": states}).to_string()
}

/// A state with some more fields.
fn with(mut state: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().expect("fields come as an object") {
        state[name] = value.clone();
    }
    state
}

fn run(states: &Value, input: &Value, mock: &Value) -> Value {
    let (definition, mock) = (definition(states), mock.to_string());
    run_document(&definition, &input.to_string(), Some(&mock), 1)
        .unwrap_or_else(|refusal| panic!("{states}: {refusal}"))
}

/// The execution succeeds with this output.
fn check(states: Value, input: Value, mock: Value, output: Value) {
    let expected = json!({"status": "SUCCEEDED", "output": output});
    assert_eq!(run(&states, &input, &mock), expected, "{states}");
}

/// The execution fails with this error, and a cause that contains these words.
fn check_failed(states: Value, input: Value, mock: Value, error: &str, cause: &str) {
    let result = run(&states, &input, &mock);
    assert_eq!(result["status"], "FAILED", "{states}: {result}");
    assert_eq!(result["error"], error, "{states}: {result}");
    let told = result["cause"].as_str().unwrap_or_default();
    assert!(told.contains(cause), "{states}: {told}");
}

/// The output of a single Pass state.
fn check_output(output: Value, input: Value, expected: Value) {
    let state = json!({"Type": "Pass", "Output": output, "End": true});
    check(json!({"P": state}), input, json!({}), expected);
}

/// The value of an expression.
fn check_expression(expression: &str, input: Value, expected: Value) {
    check_output(json!(format!("{{% {expression} %}}")), input, expected);
}

/// An expression that fails when it is evaluated, on the input `{"n": 1}`.
fn check_evaluation_error(expression: &str, cause: &str) {
    let output = format!("{{% {expression} %}}");
    let states = json!({"P": {"Type": "Pass", "Output": output, "End": true}});
    let input = json!({"n": 1});
    check_failed(states, input, json!({}), "States.QueryEvaluationError", cause);
}

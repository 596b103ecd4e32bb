//! Each type of state, and the data that flows through it.

use drill::asl::mock::run_document;
use serde_json::{Value, json};

use super::{CALLBACK, LAMBDA, check, check_expression, check_failed, check_output, run, with};

#[test]
fn output_replaces_what_a_state_passes_on() {
    let output = json!({"a": "{% $states.input.x %}", "b": [1, "{% 1 + 1 %}"]});
    check_output(output, json!({"x": {"y": 2}}), json!({"a": {"y": 2}, "b": [1, 2]}));
    for literal in [json!(null), json!(0), json!(0.5), json!("text"), json!([]), json!({}), json!("{% x")] {
        check_output(literal.clone(), json!({}), literal);
    }
    // Only a string that is an expression from its first to its last character is one.
    for literal in [json!(" {% 1 %}"), json!("a {% 1 %}"), json!({"{% 1 %}": "$states.input"})] {
        check_output(literal.clone(), json!({}), literal);
    }
    check_output(json!("{%1%}"), json!({}), json!(1));
    check_output(json!({"v": "{% $states.input.v %}"}), json!({"v": null}), json!({"v": null}));
    let passing = json!({"P": {"Type": "Pass", "End": true}});
    check(passing.clone(), json!([1, 2]), json!({}), json!([1, 2]));
    let succeed = json!({"S": {"Type": "Succeed", "Output": "{% $states.input.a %}"}});
    check(succeed, json!({"a": 1}), json!({}), json!(1));
    // What no expression touches keeps its digits.
    let big = json!({"id": 9_007_199_254_740_993_i64});
    check(passing, big.clone(), json!({}), big);
}

#[test]
fn variables_take_effect_with_the_next_state() {
    check(
        json!({
            "A": {"Type": "Pass", "Assign": {"x": 1, "y": 2}, "Next": "B"},
            "B": {"Type": "Pass", "Assign": {"x": "{% $y %}", "y": "{% $x %}"},
                  "Output": ["{% $x %}", "{% $y %}"], "Next": "C"},
            "C": {"Type": "Pass", "Output": ["{% $states.input %}", "{% [$x, $y] %}"], "End": true},
        }),
        json!({}),
        json!({}),
        json!([[1, 2], [2, 1]]),
    );
    check(
        json!({
            "W": {"Type": "Wait", "Seconds": 5, "Output": 1, "Next": "P",
                  "Assign": {"whole": "{% $states.input %}", "é_1": {"a": [null]}}},
            "P": {"Type": "Pass", "Output": ["{% $whole.k %}", "{% $é_1 %}"], "End": true},
        }),
        json!({"k": "v"}),
        json!({}),
        json!(["v", {"a": [null]}]),
    );
}

#[test]
fn branches_read_outer_variables_and_keep_their_own() {
    check(
        json!({
            "A": {"Type": "Pass", "Assign": {"outer": "o"}, "Next": "Both"},
            "Both": {"Type": "Parallel", "Assign": {"joined": "{% $states.result %}"}, "Next": "C",
                "Branches": [
                    {"StartAt": "L1", "States": {
                        "L1": {"Type": "Pass", "Assign": {"mine": "left"}, "Next": "L2"},
                        "L2": {"Type": "Pass", "Output": "{% $outer & $mine %}", "End": true}}},
                    {"StartAt": "R1", "States": {
                        "R1": {"Type": "Pass", "Output": "{% $exists($mine) %}",
                               "Assign": {"mine": 1}, "End": true}}}]},
            "C": {"Type": "Pass", "Output": ["{% $joined %}", "{% $exists($mine) %}"], "End": true},
        }),
        json!({}),
        json!({}),
        json!([["oleft", false], false]),
    );
}

#[test]
fn the_first_rule_that_matches_is_chosen() {
    let states = json!({
        "Choose": {"Type": "Choice", "Assign": {"by": "default"}, "Output": "state's",
            "Choices": [
                {"Condition": "{% $states.input.n > 10 %}", "Next": "End", "Assign": {"by": "first"}},
                {"Condition": "{% $states.input.n > 5 %}", "Next": "End", "Output": "rule's"},
                {"Condition": "{% $states.input.n = 'x' %}", "Next": "End"}],
            "Default": "End"},
        "End": {"Type": "Pass", "End": true,
            "Output": ["{% $exists($by) ? $by : 'none' %}", "{% $states.input %}"]},
    });
    check(states.clone(), json!({"n": 11}), json!({}), json!(["first", {"n": 11}]));
    check(states.clone(), json!({"n": 6}), json!({}), json!(["none", "rule's"]));
    check(states, json!({"n": 1}), json!({}), json!(["default", "state's"]));

    let rule = |condition: Value| {
        json!({
            "Choose": {"Type": "Choice", "Choices": [{"Condition": condition, "Next": "End"}]},
            "End": {"Type": "Succeed"},
        })
    };
    check(rule(json!(true)), json!(1), json!({}), json!(1));
    let nowhere = "The state does not point to a next state";
    check_failed(rule(json!(false)), json!(1), json!({}), "States.Runtime", nowhere);
    for (expression, cause) in [
        (
            "{% 'yes' %}",
            "'Choices[0]/Condition' returned an unexpected result type. Expected 'boolean', but was 'string'",
        ),
        ("{% 1 %}", "but was 'number' for value: 1"),
        ("{% null %}", "but was 'null'"),
        ("{% $x %}", "returned nothing"),
    ] {
        let states = rule(json!(expression));
        check_failed(states, json!(1), json!({}), "States.QueryEvaluationError", cause);
    }
}

#[test]
fn failures_name_error_and_cause_as_far_as_given() {
    let fail = |fields: Value| {
        let state = with(json!({"Type": "Fail"}), fields);
        run(&json!({"F": state}), &json!({"e": "Mine", "n": 1}), &json!({}))
    };
    let failed = |error: Value, cause: Value| json!({"status": "FAILED", "error": error, "cause": cause});
    assert_eq!(fail(json!({})), failed(json!(null), json!(null)));
    assert_eq!(fail(json!({"Error": "E"})), failed(json!("E"), json!(null)));
    assert_eq!(fail(json!({"Cause": "because"})), failed(json!(null), json!("because")));
    let computed = json!({"Error": "{% $states.input.e %}", "Cause": "{% 'n=' & $states.input.n %}"});
    assert_eq!(fail(computed), failed(json!("Mine"), json!("n=1")));
    let number = fail(json!({"Cause": "{% $states.input.n %}"}));
    assert_eq!(number["error"], "States.QueryEvaluationError");
}

#[test]
fn a_task_gets_its_arguments_and_gives_its_result() {
    let task =
        |extra: Value| json!({"T": with(json!({"Type": "Task", "Resource": LAMBDA, "End": true}), extra)});
    let answer = json!({"T": [{"return": {"Payload": {"ok": true}}}]});
    let result = json!({"Payload": {"ok": true}});
    check(task(json!({})), json!({}), answer.clone(), result.clone());
    let output = json!({"Output": ["{% $states.input.a %}", "{% $states.result.Payload.ok %}"]});
    check(task(output), json!({"a": 1}), answer.clone(), json!([1, true]));
    let seconds = json!({"TimeoutSeconds": "{% $states.input.t %}", "HeartbeatSeconds": "{% $h := 1 %}"});
    check(task(seconds), json!({"t": 5}), answer.clone(), result);
    for (extra, cause) in [
        (
            json!({"Arguments": {"a": {"b": ["{% $states.input.no %}"]}}}),
            "'Arguments/a/b[0]' returned nothing",
        ),
        (json!({"TimeoutSeconds": "{% '5' %}"}), "Expected 'number', but was 'string' for value: \"5\""),
        (json!({"TimeoutSeconds": "{% -1 %}"}), "out of range"),
        (json!({"TimeoutSeconds": "{% 0 %}"}), "out of range"),
        (json!({"Output": "{% $states.result.no %}"}), "'Output' returned nothing"),
        (json!({"Assign": {"x": "{% $states.result.no %}"}}), "'Assign/x' returned nothing"),
        (json!({"Credentials": {"RoleArn": "{% $no %}"}}), "'Credentials/RoleArn' returned nothing"),
    ] {
        check_failed(task(extra), json!({}), answer.clone(), "States.QueryEvaluationError", cause);
    }
    let thrown = json!({"T": [{"throw": {"error": "E", "cause": {"k": [1]}}}]});
    check_failed(task(json!({})), json!({}), thrown, "E", r#"{"k":[1]}"#);
}

#[test]
fn a_map_keeps_the_order_of_its_items() {
    let map = |extra: Value| {
        let processor = json!({"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "Nap", "States": {
            "Nap": {"Type": "Wait", "Seconds": "{% $states.input.s %}", "End": true}}});
        let state = json!({"Type": "Map", "ItemProcessor": processor, "End": true});
        json!({"M": with(state, extra)})
    };
    let items = json!([{"s": 3}, {"s": 1}, {"s": 2}]);
    check(map(json!({})), items.clone(), json!({}), items.clone());
    check(map(json!({"MaxConcurrency": 1})), items.clone(), json!({}), items.clone());
    let chosen = json!({"Items": "{% $states.input.list %}", "MaxConcurrency": "{% 2 %}"});
    check(map(chosen), json!({"list": items}), json!({}), items);
    check(map(json!({"Items": []})), json!({}), json!({}), json!([]));
    let counted = json!({"Items": [{"s": 0}, {"s": "{% 1 %}"}], "Output": "{% $count($states.result) %}"});
    check(map(counted), json!({}), json!({}), json!(2));
    let selector = json!({"Items": ["a", "b"], "ItemSelector": {
        "s": 1, "i": "{% $states.context.Map.Item.Index %}",
        "v": "{% $states.context.Map.Item.Value & $states.input.k %}"}});
    let selected = json!([{"s": 1, "i": 0, "v": "aK"}, {"s": 1, "i": 1, "v": "bK"}]);
    check(map(selector), json!({"k": "K"}), json!({}), selected);
    for (extra, cause) in [
        (json!({"Items": "{% 'text' %}"}), "Expected 'array', but was 'string'"),
        (json!({"Items": "{% $no %}"}), "'Items' returned nothing"),
        (json!({"Items": [1], "ItemSelector": {"x": "{% $no %}"}}), "'ItemSelector/x' returned nothing"),
        (json!({"Items": [1], "MaxConcurrency": "{% -1 %}"}), "out of range"),
    ] {
        check_failed(map(extra), json!({}), json!({}), "States.QueryEvaluationError", cause);
    }
}

#[test]
fn a_callback_decides_a_task_with_a_token() {
    let states = json!({
        "T": {"Type": "Task", "Resource": CALLBACK, "Next": "Done",
              "Arguments": {"MessageBody": "{% $states.context.Task.Token %}"},
              "Catch": [{"ErrorEquals": ["Denied"], "Output": "{% $states.errorOutput.Cause %}",
                         "Next": "Done"}]},
        "Done": {"Type": "Succeed"},
    });
    check(states.clone(), json!({}), json!({"T": [{"return": {"ok": 1}}]}), json!({"ok": 1}));
    let denied = json!({"T": [{"throw": {"error": "Denied", "cause": "no"}}]});
    check(states, json!({}), denied, json!("no"));
    let without = json!({"T": {"Type": "Task", "Resource": LAMBDA, "End": true,
                               "Arguments": "{% $states.context.Task.Token %}"}});
    let error = "States.QueryEvaluationError";
    check_failed(without, json!({}), json!({}), error, "returned nothing");
}

#[test]
fn the_context_object_tells_who_is_running() {
    check_expression(
        "$states.context.[Execution.Input.a, Execution.StartTime, State.Name, State.EnteredTime, \
         State.RetryCount, StateMachine.Name]",
        json!({"a": 1}),
        json!([1, "2026-01-01T00:00:00Z", "P", "2026-01-01T00:00:00Z", 0, "Document"]),
    );
    check_expression("$keys($states)", json!({}), json!(["input", "context"]));
    let parts = json!(["Execution", "StateMachine", "State"]);
    check_expression("$keys($states.context)", json!({}), parts);
}

#[test]
fn waits_read_seconds_and_timestamps() {
    let wait = |field: &str, value: Value| {
        json!({
            "W": {"Type": "Wait", field: value, "Next": "P"},
            "P": {"Type": "Pass", "Output": "{% $millis() - 1767225600000 %}", "End": true},
        })
    };
    let input = json!({"s": 7, "t": "2026-01-01T02:00:00+01:00"});
    for (field, value, waited_ms) in [
        ("Seconds", json!(90), 90_000),
        ("Seconds", json!("{% $states.input.s * 2 %}"), 14_000),
        ("Seconds", json!(0), 0),
        ("Timestamp", json!("2026-01-01T00:01:00.250Z"), 60_250),
        ("Timestamp", json!("2020-01-01T00:00:00Z"), 0),
        ("Timestamp", json!("{% $states.input.t %}"), 3_600_000),
    ] {
        check(wait(field, value), input.clone(), json!({}), json!(waited_ms));
    }
    for (field, value, cause) in [
        ("Seconds", "{% '7' %}", "Expected 'number'"),
        ("Seconds", "{% -1 %}", "out of range"),
        ("Seconds", "{% $no %}", "'Seconds' returned nothing"),
        ("Timestamp", "{% 7 %}", "Expected 'string'"),
        ("Timestamp", "{% 'noon' %}", "cannot be parsed as an ISO-8601"),
    ] {
        let states = wait(field, json!(value));
        check_failed(states, json!({}), json!({}), "States.QueryEvaluationError", cause);
    }
}

#[test]
fn a_machine_ends_when_its_time_is_over() {
    let status = |fields: Value, input: &str| {
        let document = with(json!({"QueryLanguage": "JSONata", "StartAt": "W"}), fields);
        run_document(&document.to_string(), input, None, 1).unwrap()["status"].clone()
    };
    let wait = json!({"Type": "Wait", "Seconds": "{% $states.input %}", "End": true});
    let limited = json!({"TimeoutSeconds": 10, "States": {"W": wait}});
    assert_eq!(status(limited.clone(), "9"), "SUCCEEDED");
    assert_eq!(status(limited, "11"), "TIMED_OUT");
    // A Standard execution lives for a year.
    let far = json!({"Type": "Wait", "Timestamp": "2100-01-01T00:00:00Z", "End": true});
    assert_eq!(status(json!({"States": {"W": far}}), "{}"), "TIMED_OUT");
}

#[test]
fn data_has_its_limit() {
    let text = |bytes: usize| format!("{{% $pad('', {bytes}, 'x') %}}");
    let pass = |field: &str, bytes| json!({"P": {"Type": "Pass", field: {"v": text(bytes)}, "End": true}});
    // {"v":"..."} has eight characters around the text; as a variable the text has two.
    let fits = run(&pass("Output", 262_136), &json!({}), &json!({}));
    assert_eq!(fits["status"], "SUCCEEDED");
    let error = "States.DataLimitExceeded";
    check_failed(pass("Output", 262_137), json!({}), json!({}), error, "262145 bytes");
    check_failed(pass("Assign", 262_143), json!({}), json!({}), error, "262145 bytes");
    let task = json!({
        "T": {"Type": "Task", "Resource": LAMBDA, "Output": 1, "Next": "E",
              "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "E"}]},
        "E": {"Type": "Succeed"}});
    let mock = json!({"T": [{"return": "x".repeat(262_143)}]});
    check_failed(task, json!({}), mock, error, "result has 262145 bytes");
}

#[test]
fn a_language_neutral_state_needs_no_query_language() {
    let document = json!({"StartAt": "P", "States": {
        "P": {"Type": "Pass", "Next": "T"},
        "T": {"Type": "Task", "Resource": LAMBDA, "Next": "J",
              "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "J"}]},
        "J": {"QueryLanguage": "JSONata", "Type": "Pass", "Output": "{% $states.input %}", "Next": "F"},
        "F": {"Type": "Fail", "Error": "E", "Cause": "{% no expression here %}"}}});
    let mock = r#"{"T": [{"return": 1}]}"#;
    let result = run_document(&document.to_string(), "{}", Some(mock), 1).unwrap();
    let cause = "{% no expression here %}";
    assert_eq!(result, json!({"status": "FAILED", "error": "E", "cause": cause}));
}

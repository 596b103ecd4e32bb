//! Retry and Catch.

use serde_json::{Value, json};

use super::{LAMBDA, check, check_failed};

fn thrown(error: &str) -> Value {
    json!({"T": [{"throw": {"error": error, "cause": "c"}}]})
}

fn catching(catch: Value) -> Value {
    json!({
        "T": {"Type": "Task", "Resource": LAMBDA, "Assign": {"seen": "result"}, "Catch": catch,
              "Next": "Done"},
        "Rescue": {"Type": "Pass", "End": true,
                   "Output": ["{% $states.input %}", "{% $exists($seen) ? $seen : null %}"]},
        "Done": {"Type": "Succeed", "Output": "{% $states.input %}"},
    })
}

#[test]
fn a_catch_turns_an_error_into_a_step() {
    let rescue_all = json!([{"ErrorEquals": ["States.ALL"], "Next": "Rescue"}]);
    let output = json!([{"Error": "E", "Cause": "c"}, null]);
    check(catching(rescue_all), json!({}), thrown("E"), output);
    let listed = json!([
        {"ErrorEquals": ["A", "B"], "Next": "Done"},
        {"ErrorEquals": ["States.TaskFailed"], "Next": "Rescue",
         "Assign": {"seen": "{% $states.errorOutput.Error %}"},
         "Output": ["{% $states.errorOutput.Cause %}", "{% $states.input.k %}"]}]);
    check(catching(listed.clone()), json!({"k": 1}), thrown("E"), json!([["c", 1], "E"]));
    let error_output = json!({"Error": "B", "Cause": "c"});
    check(catching(listed), json!({}), thrown("B"), error_output);
    // What a Catch evaluates is not caught by the same state.
    let broken = json!([{"ErrorEquals": ["States.ALL"], "Next": "Rescue", "Output": "{% $no %}"}]);
    let error = "States.QueryEvaluationError";
    check_failed(catching(broken), json!({}), thrown("E"), error, "'Catch[0]/Output' returned");
}

#[test]
fn wildcards_leave_some_errors_alone() {
    let both = json!([{"ErrorEquals": ["States.TaskFailed"], "Next": "Rescue"},
                      {"ErrorEquals": ["States.ALL"], "Next": "Rescue"}]);
    for error in ["States.Runtime", "States.DataLimitExceeded"] {
        check_failed(catching(both.clone()), json!({}), thrown(error), error, "c");
    }
    let rescue = |name: &str| catching(json!([{"ErrorEquals": [name], "Output": 3, "Next": "Rescue"}]));
    let named = "States.DataLimitExceeded";
    check(rescue(named), json!({}), thrown(named), json!([3, null]));
    check_failed(rescue("States.Runtime"), json!({}), thrown("States.Runtime"), "States.Runtime", "c");
    // A timeout is no failed task.
    let timeout = "States.Timeout";
    check_failed(rescue("States.TaskFailed"), json!({}), thrown(timeout), timeout, "c");
    check(rescue("States.ALL"), json!({}), thrown(timeout), json!([3, null]));
}

#[test]
fn evaluation_errors_of_a_task_are_caught_and_retried() {
    let states = |output: &str| {
        json!({
            "T": {"Type": "Task", "Resource": LAMBDA, "Output": output, "Next": "Done",
                  "Retry": [{"ErrorEquals": ["States.QueryEvaluationError"], "MaxAttempts": 1}],
                  "Catch": [{"ErrorEquals": ["States.QueryEvaluationError"], "Output": "caught",
                             "Next": "Done"}]},
            "Done": {"Type": "Succeed"},
        })
    };
    let mock = json!({"T": [{"return": {}}, {"return": {"a": 7}}]});
    check(states("{% $states.result.a %}"), json!({}), mock.clone(), json!(7));
    check(states("{% $states.result.b %}"), json!({}), mock, json!("caught"));
}

#[test]
fn each_retrier_counts_on_its_own() {
    let states = json!({
        "T": {"Type": "Task", "Resource": LAMBDA, "Next": "Done",
              "Output": "{% $states.context.State.RetryCount %}",
              "Retry": [{"ErrorEquals": ["A"], "MaxAttempts": 2},
                        {"ErrorEquals": ["B"], "MaxAttempts": 1},
                        {"ErrorEquals": ["Never"], "MaxAttempts": 0},
                        {"ErrorEquals": ["States.ALL"]}],
              "Catch": [{"ErrorEquals": ["States.ALL"],
                         "Output": "{% $states.errorOutput.Error %}", "Next": "Done"}]},
        "Done": {"Type": "Succeed"},
    });
    for (errors, expected) in [
        ("", json!(0)),
        ("A B A", json!(3)),
        ("A B A A", json!("A")),
        ("A B B", json!("B")),
        ("Never", json!("Never")),
        ("X Y Z", json!(3)),
        ("X Y Z X", json!("X")),
    ] {
        let throw = |error: &str| json!({"throw": {"error": error}});
        let mut outcomes: Vec<Value> = errors.split_whitespace().map(throw).collect();
        outcomes.push(json!({"return": "not asked for once the retries are used up"}));
        check(states.clone(), json!({}), json!({"T": outcomes}), expected);
    }
}

#[test]
fn one_failure_fails_a_map_or_parallel_under_its_own_name() {
    let inner = json!({"StartAt": "T", "States": {
        "T": {"Type": "Task", "Resource": LAMBDA, "End": true}}});
    let states = |retry: Value| {
        json!({
            "M": {"Type": "Map", "Items": [1, 2, 3], "MaxConcurrency": 1, "ItemProcessor": inner,
                  "Retry": retry, "Next": "Done",
                  "Catch": [{"ErrorEquals": ["States.ALL"],
                             "Output": "{% $states.errorOutput.Error %}", "Next": "Done"}]},
            "Done": {"Type": "Succeed"},
        })
    };
    let mock = json!({"T": [{"return": 1}, {"throw": {"error": "Mine"}},
                            {"return": "a"}, {"return": "b"}, {"return": "c"}]});
    check(states(json!([])), json!({}), mock.clone(), json!("Mine"));
    let retried = json!(["a", "b", "c"]);
    check(states(json!([{"ErrorEquals": ["Mine"]}])), json!({}), mock, retried);

    let parallel = json!({
        "P": {"Type": "Parallel", "Arguments": {"c": "{% 'from ' & $states.input.k %}"},
              "Branches": [
                {"StartAt": "Slow", "States": {
                    "Slow": {"Type": "Wait", "Seconds": 100, "Next": "Never"},
                    "Never": {"Type": "Task", "Resource": LAMBDA, "End": true}}},
                {"StartAt": "F", "States": {
                    "F": {"Type": "Fail", "Error": "Broken", "Cause": "{% $states.input.c %}"}}}],
              "Catch": [{"ErrorEquals": ["Broken"], "Next": "Done"}], "Next": "Done"},
        "Done": {"Type": "Succeed"},
    });
    let caught = json!({"Error": "Broken", "Cause": "from outside"});
    check(parallel, json!({"k": "outside"}), json!({}), caught);
}

//! Documents that are not run, with every mistake named.

use drill::asl::Machine;
use drill::asl::mock::run_document;
use serde_json::{Value, json};

use super::{CALLBACK, LAMBDA, definition, with};

/// The findings on a document, one line each.
fn findings(document: &str) -> Vec<String> {
    match Machine::parse(document) {
        Ok(_) => Vec::new(),
        Err(findings) => findings.0.iter().map(ToString::to_string).collect(),
    }
}

/// The findings on these states contain these parts, one each, in this order.
fn check(states: Value, expected: &[&str]) {
    check_lines(&findings(&definition(&states)), expected, &states.to_string());
}

fn check_lines(lines: &[String], expected: &[&str], about: &str) {
    assert_eq!(lines.len(), expected.len(), "{about}: {lines:#?}");
    for (line, part) in lines.iter().zip(expected) {
        assert!(line.contains(part), "{about}: {line:?} has no {part:?}");
    }
}

/// The findings on a single state.
fn check_state(state: Value, expected: &[&str]) {
    check(json!({"S": state}), expected);
}

#[test]
fn all_mistakes_are_named_at_once() {
    check(
        json!({
            "A": {"Type": "Task", "Next": "Nowhere", "Colour": "red"},
            "B": {"Type": "Wait", "End": true},
            "C": {"Type": "Sleep", "End": true},
        }),
        &[
            "state \"A\", Next: leads to \"Nowhere\", which is no state here (hint: the states here are A, B, C)",
            "state \"B\", state: is never reached",
            "state \"C\", state: is never reached",
            "state \"A\", Resource: is missing",
            "state \"A\", Colour = \"red\": is no field of a Task state",
            "state \"B\", Seconds: a Wait state has exactly one of Seconds and Timestamp",
            "state \"C\", Type = \"Sleep\": is no type of state",
        ],
    );
}

#[test]
fn a_document_is_an_object_with_states() {
    let check = |document: &str, expected: &[&str]| {
        check_lines(&findings(document), expected, document);
    };
    check("{", &["definition: is no JSON: EOF"]);
    check("[]", &["definition: must be a JSON object"]);
    check("{}", &["StartAt: is missing", "States: is missing"]);
    check(r#"{"StartAt": "A", "States": {}}"#, &["has no state", "StartAt = \"A\": names no state"]);
    let pass = r#"{"Type": "Pass", "End": true}"#;
    check(
        &format!(r#"{{"StartAt": "A", "States": {{"A": {pass}, "A": {pass}}}}}"#),
        &["/States/A: stands twice"],
    );
    check(
        &format!(
            r#"{{"StartAt": "A", "Version": "2", "TimeoutSeconds": 0, "X": 1, "States": {{"A": {pass}}}}}"#
        ),
        &[
            "Version = \"2\"",
            "TimeoutSeconds = 0: must be an integer from 1",
            "X = 1: is no field of a state machine",
        ],
    );
    check(
        &format!(r#"{{"StartAt": "A", "QueryLanguage": "jsonata", "States": {{"A": {pass}}}}}"#),
        &["QueryLanguage = \"jsonata\": must be \"JSONata\" or \"JSONPath\""],
    );
}

#[test]
fn transitions_end_where_they_may() {
    check_state(json!({"Type": "Pass"}), &["has no state that ends it", "Next: is missing"]);
    check_state(json!({"Type": "Pass", "Next": "S", "End": true}), &["stands beside \"End\": true"]);
    check_state(
        json!({"Type": "Pass", "End": 1}),
        &["no state that ends it", "must be true or false", "Next: is missing"],
    );
    check_state(json!({"Type": "Succeed", "End": true}), &["End = true: is no field of a Succeed state"]);
    check_state(json!({"Type": "Fail", "Output": 1}), &["Output = 1: is no field of a Fail state"]);
    check_state(json!({"Type": "Succeed", "Assign": {}}), &["Assign = {}: is no field"]);
    check(
        json!({"C": {"Type": "Choice", "Choices": [{"Condition": true, "Next": "E"}], "Next": "E"}, "E": {"Type": "Succeed"}}),
        &["Next = \"E\": is no field of a Choice state"],
    );
    let choice = |default: &str| {
        json!({
            "C": {"Type": "Choice", "Choices": [{"Condition": true, "Next": "E"}], "Default": default},
            "D": {"Type": "Succeed"},
            "E": {"Type": "Succeed"},
        })
    };
    check(choice("D"), &[]);
    check(choice("F"), &["Default: leads to \"F\"", "state \"D\", state: is never reached"]);
    check(
        json!({"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}}),
        &["States: has no state that ends it"],
    );
    check(
        json!({"A": {"Type": "Parallel", "End": true, "Branches": [
            {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}},
            {"StartAt": "X", "States": {"Y": {"Type": "Pass", "Next": "A"}}}]}}),
        &["has the name of another state", "Branches[1]/StartAt = \"X\": names no state"],
    );
    check_state(json!({"Type": "Parallel", "Branches": [], "End": true}), &["Branches = []: has no branch"]);
    check_state(json!({"Type": "Choice", "Choices": []}), &["no state that ends it", "has no rule"]);
    check(json!({"x".repeat(81): {"Type": "Succeed"}}), &["a name has 1 to 80 characters"]);
}

#[test]
fn retriers_and_catchers_are_checked() {
    let task = |fields: Value| with(json!({"Type": "Task", "Resource": LAMBDA, "End": true}), fields);
    let retry = |fields: Value| task(json!({"Retry": [with(json!({"ErrorEquals": ["E"]}), fields)]}));
    check_state(
        retry(json!({"IntervalSeconds": 0})),
        &["Retry[0]/IntervalSeconds = 0: must be an integer from 1 to 99999999"],
    );
    check_state(retry(json!({"IntervalSeconds": "{% 1 %}"})), &["Retry[0]/IntervalSeconds"]);
    check_state(retry(json!({"MaxAttempts": -1})), &["Retry[0]/MaxAttempts = -1"]);
    check_state(
        retry(json!({"BackoffRate": 0.9})),
        &["Retry[0]/BackoffRate = 0.9: must be a number of at least 1.0"],
    );
    check_state(
        retry(json!({"IntervalSeconds": 5, "MaxDelaySeconds": 5})),
        &["Retry[0]/MaxDelaySeconds = 5: must be greater"],
    );
    check_state(retry(json!({"JitterStrategy": "HALF"})), &["Retry[0]/JitterStrategy = \"HALF\""]);
    check_state(retry(json!({"Max": 1})), &["Retry[0]/Max = 1: is no field of a retrier"]);
    check_state(task(json!({"Retry": [{}]})), &["Retry[0]/ErrorEquals: must be an array of error names"]);
    check_state(task(json!({"Retry": [{"ErrorEquals": []}]})), &["Retry[0]/ErrorEquals = []"]);
    check_state(task(json!({"Retry": [{"ErrorEquals": ["States.ALL", "E"]}]})), &["must stand alone"]);
    check_state(
        task(json!({"Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["E"]}]})),
        &["Retry[0]/ErrorEquals = [\"States.ALL\"]: States.ALL must be in the last"],
    );
    check_state(
        task(json!({"Retry": [{"ErrorEquals": ["States.Timeuot"]}]})),
        &["States.Timeuot is no error of the States Language"],
    );
    check_state(task(json!({"Catch": [{"ErrorEquals": ["E"]}]})), &["Catch[0]/Next: is missing"]);
    check_state(task(json!({"Catch": {}})), &["Catch = {}: must be an array of objects"]);
    check_state(
        json!({"Type": "Pass", "Retry": [], "End": true}),
        &["Retry = []: is no field of a Pass state"],
    );
    check_state(
        task(json!({"TimeoutSeconds": 5, "HeartbeatSeconds": 5})),
        &["HeartbeatSeconds = 5: must be less"],
    );
    check_state(task(json!({"TimeoutSeconds": "5"})), &["TimeoutSeconds = \"5\": is no JSONata expression"]);
}

#[test]
fn variables_have_names_and_levels() {
    let assign = |name: &str| json!({"Type": "Pass", "Assign": {name: 1}, "End": true});
    for name in ["states", "1x", "_x", "a.b", "a[0]", "", "$x", &"x".repeat(81)] {
        check_state(assign(name), &[&format!("Assign/{name} = 1: is no name of a variable")]);
    }
    check(
        json!({
            "A": {"Type": "Map", "Items": [1], "Next": "B", "ItemProcessor": {"StartAt": "I", "States": {"I": assign("x")}}},
            "B": assign("x"),
        }),
        &["state \"I\", Assign/x: assigns a variable that \"B\" outside assigns as well"],
    );
}

#[test]
fn jsonpath_is_refused_by_name() {
    for (field, instead) in [
        ("InputPath", "$states.input"),
        ("Parameters", "use Arguments"),
        ("ResultPath", "use Output"),
        ("ResultSelector", "use Output"),
        ("OutputPath", "use Output"),
        ("Result", "use Output"),
    ] {
        let state = with(json!({"Type": "Task", "Resource": LAMBDA, "End": true}), json!({field: "$.x"}));
        check_state(
            state.clone(),
            &[&format!("{field} = \"$.x\": belongs to JSONPath, which is not supported")],
        );
        let document = json!({"StartAt": "S", "States": {"S": state}}).to_string();
        check_lines(&findings(&document), &[instead], field);
    }
    let document = json!({"StartAt": "S", "States": {"S": {"Type": "Pass", "Output": 1, "End": true}}});
    check_lines(
        &findings(&document.to_string()),
        &["supported with JSONata only (hint: set \"QueryLanguage\": \"JSONata\")"],
        "",
    );
    let document = json!({"StartAt": "C", "States": {
        "C": {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsNull": true, "Next": "E"}]}, "E": {"Type": "Succeed"}}});
    check_lines(
        &findings(&document.to_string()),
        &[
            "Choices[0]/Condition: a Choice state with JSONPath is not supported",
            "Choices[0]/Variable = \"$.x\": belongs to JSONPath",
            "Choices[0]/IsNull = true: is no field of a choice rule",
        ],
        "Choice",
    );
    check_state(
        json!({"Type": "Pass", "QueryLanguage": "JSONPath", "End": true}),
        &["cannot be JSONPath when the whole machine uses JSONata"],
    );
}

#[test]
fn distributed_maps_are_refused_by_name() {
    let map = |fields: Value| {
        with(
            json!({"Type": "Map", "End": true, "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}}}}),
            fields,
        )
    };
    for field in [
        "ItemReader",
        "ItemBatcher",
        "ResultWriter",
        "Label",
        "ToleratedFailureCount",
        "ToleratedFailurePercentage",
    ] {
        check_state(map(json!({field: 1})), &[&format!("{field} = 1: is not supported")]);
    }
    let mut distributed = map(json!({}));
    distributed["ItemProcessor"]["ProcessorConfig"] =
        json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"});
    check_state(
        distributed,
        &["Mode = \"DISTRIBUTED\": is not supported", "ExecutionType = \"STANDARD\": is not supported"],
    );
    check_state(map(json!({"Items": {"a": 1}})), &["Items = {\"a\":1}: must be an array"]);
}

#[test]
fn expressions_are_checked_before_they_run() {
    let pass = |output: &str| json!({"Type": "Pass", "Output": {"v": [output]}, "End": true});
    check_state(pass("{% 1 + %}"), &["Output/v[0] = \"{% 1 + %}\": is no valid JSONata expression"]);
    check_state(pass("{% %}"), &["is no valid JSONata expression"]);
    check_state(
        pass("{% $eval('1') %}"),
        &["uses $eval, which Step Functions does not offer (hint: use $parse"],
    );
    check_state(pass("{% $x ?? 1 %}"), &["uses the operator '??'"]);
    check_state(pass("{% $x ?: 1 %}"), &["uses the operator '?:'"]);
    check_state(pass("{% a + b %}"), &["'a' at the top level", "'b' at the top level"]);
    check_state(pass("{% $$ %}"), &["'$$'"]);
    check_state(pass("{% $states.result %}"), &["$states.result, which does not exist here"]);
    check_state(pass("{% $states.errorOutput %}"), &["$states.errorOutput, which does not exist here"]);
    check_state(
        json!({"Type": "Wait", "Seconds": "5", "End": true}),
        &["Seconds = \"5\": is no JSONata expression"],
    );
    check_state(json!({"Type": "Wait", "Seconds": -1, "End": true}), &["Seconds = -1: must be an integer"]);
    check_state(
        json!({"Type": "Wait", "Timestamp": "noon", "End": true}),
        &["Timestamp = \"noon\": is no RFC 3339 timestamp"],
    );
    check(
        json!({"C": {"Type": "Choice", "Choices": [{"Condition": "yes", "Next": "E"}]}, "E": {"Type": "Succeed"}}),
        &["Choices[0]/Condition = \"yes\": is no JSONata expression"],
    );
}

/// The refusal of a run with this mock file.
fn check_run(states: Value, input: &str, mock: &str, expected: &[&str]) {
    let refusal =
        run_document(&definition(&states), input, Some(mock), 1).expect_err("the document is refused");
    let lines: Vec<String> = refusal.0.iter().map(ToString::to_string).collect();
    check_lines(&lines, expected, mock);
}

#[test]
fn mocks_belong_to_task_states() {
    let states = json!({
        "T": {"Type": "Task", "Resource": LAMBDA, "Retry": [{"ErrorEquals": ["E"]}], "Next": "C"},
        "C": {"Type": "Task", "Resource": CALLBACK, "Next": "P"},
        "P": {"Type": "Pass", "End": true},
    });
    check_run(states.clone(), "{", "{", &["input: is no JSON", "mock: is no JSON"]);
    check_run(states.clone(), "{}", "[]", &["mock = []: must be an object"]);
    check_run(
        states.clone(),
        "{}",
        r#"{"Q": [], "P": [{"return": 1}], "T": {}}"#,
        &[
            "state \"Q\", mock = []: is for a state that does not exist (hint: the Task states are T, C)",
            "state \"P\", mock = [{\"return\":1}]: is for a state that is no Task",
            "state \"T\", mock = {}: must be an array of outcomes",
        ],
    );
    for outcome in [
        "1",
        "{}",
        r#"{"throw": "E"}"#,
        r#"{"throw": {"cause": "c"}}"#,
        r#"{"throw": {"error": "E", "colour": 1}}"#,
        r#"{"return": 1, "throw": {"error": "E"}}"#,
    ] {
        check_run(states.clone(), "{}", &format!(r#"{{"T": [{outcome}]}}"#), &["state \"T\", mock[0] = "]);
    }
    check_run(states.clone(), "{}", "{}", &["state \"T\", mock: has no outcome for this Task state"]);
    check_run(
        states.clone(),
        "{}",
        r#"{"T": [{"throw": {"error": "E"}}]}"#,
        &["state \"T\", mock: has no outcome left for another attempt"],
    );
    check_run(
        states,
        "{}",
        r#"{"T": [{"return": 1}]}"#,
        &["state \"C\", mock: has no outcome for this Task state"],
    );
}

#[test]
fn what_is_found_at_run_time_is_refused_as_well() {
    let pass = |output: &str| json!({"P": {"Type": "Pass", "Output": output, "End": true}});
    for (output, part) in [
        ("{% $uppercase %}", "gives a function"),
        ("{% {'f': function($x){ $x }} %}", "gives a function"),
        ("{% [/a/] %}", "gives a regular expression"),
        ("{% 1 + 1/0 %}", "not finite"),
        ("{% $states.input.big %}", "9007199254740993"),
        ("{% $partition('text', 1) %}", "not an array"),
    ] {
        check_run(pass(output), r#"{"big": 9007199254740993}"#, "{}", &[part]);
    }
    let wait = json!({"W": {"Type": "Wait", "Seconds": "{% 1.5 %}", "End": true}});
    check_run(wait, "{}", "{}", &["gives 1.5: use $floor or $ceil"]);
    let map = json!({"M": {"Type": "Map", "Items": "{% $states.input %}", "End": true,
        "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}}}}});
    check_run(map, r#"{"a": 1}"#, "{}", &["gives an object: only arrays are mapped"]);
}

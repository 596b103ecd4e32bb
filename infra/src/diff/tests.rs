use serde_json::{Value, json};
use workflow::config::BreakerConfig;

use super::*;
use crate::synth;

fn template() -> Value {
    synth(&BreakerConfig::default()).expect("the default is valid").template
}

fn parameters(prefix: &str) -> Vec<(String, String)> {
    vec![("AssetBucket".to_owned(), "bucket".to_owned()), ("AssetPrefix".to_owned(), prefix.to_owned())]
}

/// Applies `change` to the deployed stack and tells what the diff calls it: `id: impact (paths)`.
fn check(change: impl FnOnce(&mut Value), expected: &[&str]) -> Diff {
    let before = template();
    let mut after = before.clone();
    change(&mut after);
    let given = parameters("p");
    let found = diff(Some(Side::new(&before, &given)), Side::new(&after, &given));
    let told: Vec<String> = found
        .changes
        .iter()
        .map(|change| {
            let paths: Vec<&str> = change.properties.iter().map(|change| change.path.as_str()).collect();
            format!("{}: {} ({})", change.logical_id, change.impact.word(), paths.join(" "))
        })
        .collect();
    assert_eq!(told, expected);
    found
}

#[test]
fn a_resource_is_told_by_the_worst_that_happens_to_it() {
    check(|_| {}, &[]);
    check(
        |stack| stack["Resources"]["ExampleSourceQueue"]["Properties"]["VisibilityTimeout"] = json!(90),
        &["ExampleSourceQueue: update (VisibilityTimeout)"],
    );
    check(
        |stack| {
            stack["Resources"].as_object_mut().expect("resources").remove("CircuitTable");
        },
        &["CircuitTable: destroy ()"],
    );
    check(
        |stack| stack["Resources"]["CircuitTable"]["Properties"]["KeySchema"] = json!([]),
        &["CircuitTable: may replace (KeySchema)"],
    );
    check(|stack| stack["Resources"]["New"] = json!({"Type": "AWS::SQS::Queue"}), &["New: create ()"]);
}

#[test]
fn what_refers_to_a_replaced_resource_changes_with_it() {
    let found = check_replaced_queue(|stack| {
        stack["Resources"]["ExampleSourceQueue"]["Properties"]["FifoQueue"] = json!(true)
    });
    let impact =
        |id: &str| found.changes.iter().find(|change| change.logical_id == id).map(|change| change.impact);
    assert_eq!(impact("ExampleSourceQueue"), Some(Impact::Replace));
    // The mapping's EventSourceArn is create-only, and the state machine only names both.
    assert_eq!(impact("ExampleMapping"), Some(Impact::Replace));
    assert_eq!(impact("ExampleStateMachine"), Some(Impact::Update));
    assert_eq!(impact("ExampleConsumer"), None);
}

fn check_replaced_queue(change: impl FnOnce(&mut Value)) -> Diff {
    let before = template();
    let mut after = before.clone();
    change(&mut after);
    diff(Some(Side::new(&before, &[])), Side::new(&after, &[]))
}

#[test]
fn new_packages_are_seen_through_the_parameter() {
    let stack = template();
    let (old, new) = (parameters("one"), parameters("two"));
    let found = diff(Some(Side::new(&stack, &old)), Side::new(&stack, &new));
    let keys: Vec<&PropertyChange> = found.changes.iter().flat_map(|change| &change.properties).collect();
    assert_eq!(keys.len(), 7, "one for each function");
    assert!(keys.iter().all(|change| change.path == "Code.S3Key"));
    assert_eq!(keys[0].after, Some(json!("two/consumer.zip")));
    assert!(!found.broadens());
}

#[test]
fn permissions_are_told_action_by_action() {
    let found = check(
        |stack| {
            let policy = &mut stack["Resources"]["ExampleExecutionPolicy"]["Properties"]["PolicyDocument"];
            policy["Statement"][0]["Action"] = json!(["states:DescribeExecution", "states:StopExecution"]);
        },
        &["ExampleExecutionPolicy: update (PolicyDocument.Statement[0].Action)"],
    );
    assert!(found.broadens());
    let added: Vec<&Permission> =
        found.permissions.iter().filter(|one| one.direction == Direction::Given).collect();
    assert!(
        added.iter().any(|one| one.action == "states:StopExecution"
            && one.who == "${ExampleStateMachineRole}"
            && one.resource.contains("execution")),
        "{added:?}"
    );
    let narrowed = check(
        |stack| {
            stack["Resources"].as_object_mut().expect("resources").remove("ExampleExecutionPolicy");
        },
        &["ExampleExecutionPolicy: destroy ()"],
    );
    assert!(!narrowed.broadens() && !narrowed.permissions.is_empty());
}

#[test]
fn a_new_stack_creates_everything_and_every_type_is_known() {
    let stack = template();
    let found = diff(None, Side::new(&stack, &[]));
    assert!(found.changes.iter().all(|change| change.impact == Impact::Create));
    assert_eq!(found.counts()[&Impact::Create], stack["Resources"].as_object().expect("resources").len());
    assert!(super::permissions::carries(&found.changes[0].resource_type), "permissions come first");
    for change in &found.changes {
        assert!(super::impact::knows(&change.resource_type), "{}", change.resource_type);
    }
}

#[test]
fn a_changed_definition_names_its_states() {
    let found = check(
        |stack| {
            let text = &mut stack["Resources"]["ExampleStateMachine"]["Properties"]["DefinitionString"];
            let mut definition: Value = serde_json::from_str(text.as_str().expect("text")).expect("JSON");
            definition["States"]["Extra"] = json!({"Type": "Succeed"});
            *text = json!(definition.to_string());
        },
        &["ExampleStateMachine: update (DefinitionString)"],
    );
    assert_eq!(found.changes[0].properties[0].note.as_deref(), Some("states: Extra (new)"));
}

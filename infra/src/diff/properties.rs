//! What differs inside a resource.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

/// Attributes of a resource, beside its properties, whose change CloudFormation acts on.
const ATTRIBUTES: [&str; 2] = ["DeletionPolicy", "UpdateReplacePolicy"];

/// Property that holds a state machine's definition as text.
const DEFINITION: &str = "DefinitionString";

/// One place that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PropertyChange {
    /// Where, as a path below `Properties`: `Code.S3Key`, `Policies[0].PolicyName`.
    pub path: String,
    /// The deployed value; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The new value; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// What the values do not say themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl PropertyChange {
    /// A value that changes because the resource that it refers to is replaced.
    pub(super) fn follows(path: String, source: &str) -> PropertyChange {
        PropertyChange { path, before: None, after: None, note: Some(format!("follows {source}")) }
    }

    fn between(path: String, before: Option<&Value>, after: Option<&Value>) -> PropertyChange {
        PropertyChange { path, before: before.cloned(), after: after.cloned(), note: None }
    }
}

/// What differs between two states of one resource.
pub(super) fn compare_resources(before: &Value, after: &Value) -> Vec<PropertyChange> {
    let mut changes = Vec::new();
    walk(String::new(), before.get("Properties"), after.get("Properties"), &mut changes);
    for name in ATTRIBUTES {
        if before.get(name) != after.get(name) {
            changes.push(PropertyChange::between(name.to_owned(), before.get(name), after.get(name)));
        }
    }
    changes
}

/// What differs between two objects.
pub(super) fn compare_objects(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> Vec<PropertyChange> {
    let mut changes = Vec::new();
    walk_objects(String::new(), before, after, &mut changes);
    changes
}

fn walk(path: String, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<PropertyChange>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            walk_objects(path, before, after, changes);
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) if before.len() == after.len() => {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                walk(format!("{path}[{index}]"), Some(before), Some(after), changes);
            }
        }
        (Some(Value::String(before)), Some(Value::String(after))) if path == DEFINITION => {
            let note = Some(states_changed(before, after));
            changes.push(PropertyChange { path, before: None, after: None, note });
        }
        _ => changes.push(PropertyChange::between(path, before, after)),
    }
}

fn walk_objects(
    path: String,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    changes: &mut Vec<PropertyChange>,
) {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        walk(below, before.get(name), after.get(name), changes);
    }
}

/// Which states of a definition differ, by name: a definition's text is too long to be read in a list.
fn states_changed(before: &str, after: &str) -> String {
    let states = |text: &str| -> BTreeMap<String, Value> {
        let definition: Value = serde_json::from_str(text).unwrap_or_default();
        definition["States"].as_object().cloned().unwrap_or_default().into_iter().collect()
    };
    let (before, after) = (states(before), states(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing: Vec<String> = names
        .into_iter()
        .filter_map(|name| match (before.get(name), after.get(name)) {
            (Some(before), Some(after)) if before == after => None,
            (Some(_), Some(_)) => Some(name.clone()),
            (None, _) => Some(format!("{name} (new)")),
            (_, None) => Some(format!("{name} (removed)")),
        })
        .collect();
    if differing.is_empty() {
        "differs outside its states".to_owned()
    } else {
        format!("states: {}", differing.join(", "))
    }
}

//! Where transitions lead: dangling ones, states that none reaches, machines that never end.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// A transition as it is written: the field it stands in and the state it names.
pub(super) type Transition<'a> = (String, &'a str);

/// All transitions of a state that name another state.
pub(super) fn transitions(state: &Value) -> Vec<Transition<'_>> {
    let mut found = Vec::new();
    for field in ["Next", "Default"] {
        if let Some(target) = state.get(field).and_then(Value::as_str) {
            found.push((field.to_owned(), target));
        }
    }
    for list in ["Choices", "Catch"] {
        let items = state.get(list).and_then(Value::as_array);
        for (index, item) in items.into_iter().flatten().enumerate() {
            if let Some(target) = item.get("Next").and_then(Value::as_str) {
                found.push((format!("{list}[{index}]/Next"), target));
            }
        }
    }
    found
}

/// The states that no path from `start` reaches, in the order they are written.
pub(super) fn unreachable<'a>(start: &str, states: &'a Map<String, Value>) -> Vec<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![start];
    while let Some(name) = open.pop() {
        if let Some((name, state)) = states.get_key_value(name)
            && reached.insert(name.as_str())
        {
            open.extend(transitions(state).into_iter().map(|(_, target)| target));
        }
    }
    states.keys().map(String::as_str).filter(|name| !reached.contains(name)).collect()
}

/// Whether some state ends the machine.
pub(super) fn can_end(states: &Map<String, Value>) -> bool {
    states.values().any(|state| {
        let kind = state.get("Type").and_then(Value::as_str);
        matches!(kind, Some("Succeed" | "Fail")) || state.get("End") == Some(&Value::Bool(true))
    })
}

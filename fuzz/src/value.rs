//! Damage to JSON.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Number, Value};

/// At most this many values are replaced.
const MAX_CHANGES: usize = 4;

/// Any JSON value, a few levels deep. Texts among it are `marker` now and then, so that a test can look for it where it
/// must not come out.
pub fn any_json(marker: &'static str) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| Number::from_f64(number).map_or(Value::Null, Value::from)),
        Just(Value::from("")),
        ".{0,12}".prop_map(Value::from),
        Just(Value::from(marker)),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(".{0,8}", inner, 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// What happens at one place of a document.
#[derive(Clone, Debug)]
enum Change {
    Replace(Value),
    Remove,
    Double,
}

/// `original` with some of its values replaced, removed or doubled, `marker` as in [`any_json`].
pub fn altered(original: Value, marker: &'static str) -> impl Strategy<Value = Value> {
    let change = prop_oneof![
        4 => any_json(marker).prop_map(Change::Replace),
        2 => Just(Change::Remove),
        1 => Just(Change::Double),
    ];
    vec((any::<Index>(), change), 0..=MAX_CHANGES).prop_map(move |changes| {
        let mut value = original.clone();
        for (at, change) in changes {
            let at = at.index(count(&value));
            alter(&mut value, at, change);
        }
        value
    })
}

/// How many values there are, the whole among them.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0usize,
    }
}

/// Changes the value that is number `at` when all are counted in the order in which they are written.
fn alter(value: &mut Value, mut at: usize, change: Change) {
    if at == 0 {
        match change {
            Change::Replace(other) => *value = other,
            Change::Remove => *value = Value::Null,
            Change::Double => *value = Value::from(vec![value.clone(), value.clone()]),
        }
        return;
    }
    at -= 1;
    match value {
        Value::Array(items) => {
            for place in 0..items.len() {
                let inside = count(&items[place]);
                if at < inside {
                    match (at, change) {
                        (0, Change::Remove) => drop(items.remove(place)),
                        (0, Change::Double) => items.insert(place, items[place].clone()),
                        (at, change) => alter(&mut items[place], at, change),
                    }
                    return;
                }
                at -= inside;
            }
        }
        Value::Object(fields) => {
            let names: Vec<String> = fields.keys().cloned().collect();
            for name in names {
                let inside = count(&fields[&name]);
                if at < inside {
                    match (at, change) {
                        (0, Change::Remove) => drop(fields.shift_remove(&name)),
                        (at, change) => alter(&mut fields[&name], at, change),
                    }
                    return;
                }
                at -= inside;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

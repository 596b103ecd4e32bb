//! Templates with the values of their parameters filled in.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A template with the values that its parameters have.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    template: &'a Value,
    parameters: &'a [(String, String)],
}

impl<'a> Side<'a> {
    /// A template and its parameters by name; those left out have their defaults.
    pub fn new(template: &'a Value, parameters: &'a [(String, String)]) -> Side<'a> {
        Side { template, parameters }
    }

    /// The template with every reference to a parameter replaced by its value, where that is known.
    pub(super) fn resolved(&self) -> Value {
        let mut values: BTreeMap<&str, Value> = BTreeMap::new();
        for (name, parameter) in self.template["Parameters"].as_object().into_iter().flatten() {
            if let Some(default) = parameter.get("Default") {
                values.insert(name, default.clone());
            }
        }
        for (name, value) in self.parameters {
            values.insert(name, json!(value));
        }
        fill(self.template, &values)
    }
}

fn fill(value: &Value, parameters: &BTreeMap<&str, Value>) -> Value {
    match value {
        Value::Object(object) => {
            if let Some(text) = filled_function(object.iter().next(), object.len(), parameters) {
                return text;
            }
            Value::Object(
                object.iter().map(|(name, value)| (name.clone(), fill(value, parameters))).collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| fill(item, parameters)).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// `Ref` of a parameter, or `Fn::Sub` with parameters in its text.
fn filled_function(
    entry: Option<(&String, &Value)>,
    length: usize,
    parameters: &BTreeMap<&str, Value>,
) -> Option<Value> {
    match entry {
        Some((name, Value::String(target))) if length == 1 && name == "Ref" => {
            parameters.get(target.as_str()).cloned()
        }
        Some((name, Value::String(text))) if length == 1 && name == "Fn::Sub" => {
            let filled = parameters.iter().fold(text.clone(), |text, (name, value)| {
                let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                text.replace(&format!("${{{name}}}"), &plain)
            });
            let is_plain = !filled.contains("${");
            Some(if is_plain { json!(filled) } else { json!({ "Fn::Sub": filled }) })
        }
        _ => None,
    }
}

/// Paths below `value` at which something refers to the resource `source`.
pub(super) fn references(value: &Value, source: &str) -> Vec<String> {
    let mut paths = Vec::new();
    collect(String::new(), value, source, &mut paths);
    paths
}

fn collect(path: String, value: &Value, source: &str, paths: &mut Vec<String>) {
    if refers(value, source) {
        paths.push(path);
        return;
    }
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(below, value, source, paths);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(format!("{path}[{index}]"), item, source, paths);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether this very value is a function that refers to the resource.
fn refers(value: &Value, source: &str) -> bool {
    let Some(object) = value.as_object().filter(|object| object.len() == 1) else { return false };
    object.iter().any(|(name, value)| match (name.as_str(), value) {
        ("Ref", Value::String(target)) => target == source,
        ("Fn::GetAtt", Value::Array(parts)) => parts.first().and_then(Value::as_str) == Some(source),
        ("Fn::Sub", Value::String(text)) => {
            text.contains(&format!("${{{source}}}")) || text.contains(&format!("${{{source}."))
        }
        _ => false,
    })
}

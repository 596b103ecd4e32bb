//! A state machine's definition: substitutions are applied, and what is left is one JSON text.

use std::collections::BTreeSet;

use serde::de::IgnoredAny;
use serde_json::Value;

/// Replaces `Definition` or `DefinitionString` and `DefinitionSubstitutions` by one `DefinitionString`
/// that is ready to run. Gives each problem with the path of its property.
///
/// A placeholder is `${Name}` with letters, digits and underscores; what else has a dollar sign and a
/// brace, as JSONata's grouping has, is left alone.
pub fn settle(properties: &mut Value) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let Some(members) = properties.as_object_mut() else {
        return vec![(String::new(), "must be an object".into())];
    };
    if members.contains_key("DefinitionS3Location") {
        problems.push((".DefinitionS3Location".into(), "is not modelled; use DefinitionString".into()));
    }
    let (member, text) = match (members.shift_remove("Definition"), members.shift_remove("DefinitionString"))
    {
        (None, Some(Value::String(text))) => (".DefinitionString", text),
        (Some(definition @ Value::Object(_)), None) => (".Definition", definition.to_string()),
        (None, None) => {
            problems.push((".DefinitionString".into(), "is missing".into()));
            return problems;
        }
        _ => {
            let problem = "needs either DefinitionString, a text, or Definition, an object";
            problems.push((".DefinitionString".into(), problem.into()));
            return problems;
        }
    };
    let substitutions = match members.shift_remove("DefinitionSubstitutions") {
        None => serde_json::Map::new(),
        Some(Value::Object(map)) => map,
        Some(other) => {
            problems.push((".DefinitionSubstitutions".into(), format!("must be an object, not {other}")));
            return problems;
        }
    };
    let mut used = BTreeSet::new();
    let mut settled = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("${") {
        settled.push_str(before);
        let name = after
            .split_once('}')
            .map(|(name, _)| name)
            .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        let Some(name) = name else {
            settled.push_str("${");
            rest = after;
            continue;
        };
        match substitutions.get(name) {
            Some(value) => {
                used.insert(name);
                settled.push_str(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
            None => {
                problems.push((member.into(), format!("${{{name}}} has no DefinitionSubstitutions.{name}")))
            }
        }
        rest = &after[name.len() + 1..];
    }
    settled.push_str(rest);
    for name in substitutions.keys().filter(|name| !used.contains(name.as_str())) {
        problems.push((format!(".DefinitionSubstitutions.{name}"), "is not used by the definition".into()));
    }
    if problems.is_empty()
        && let Err(error) = serde_json::from_str::<IgnoredAny>(&settled)
    {
        problems.push((member.into(), format!("is no valid JSON: {error}")));
    }
    members.insert("DefinitionString".into(), Value::String(settled));
    problems
}

//! A template's parameters: defaults, types and allowed values.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

use super::{LoadError, section, template_error};

const MEMBERS: [&str; 11] = [
    "Type",
    "Default",
    "Description",
    "AllowedValues",
    "MinValue",
    "MaxValue",
    "MinLength",
    "MaxLength",
    "AllowedPattern",
    "ConstraintDescription",
    "NoEcho",
];

/// The values of all parameters. `Number` gives a JSON number, `CommaDelimitedList` a list, all else text.
pub fn resolve(
    template: &Value,
    given: &BTreeMap<String, String>,
    errors: &mut Vec<LoadError>,
) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    for (name, declaration) in section(template, "Parameters") {
        let mut error = |problem: String| {
            errors.push(LoadError { logical_id: name.clone(), path: format!("Parameters.{name}"), problem });
        };
        for member in declaration.as_object().into_iter().flat_map(|map| map.keys()) {
            if !MEMBERS.contains(&member.as_str()) {
                error(format!("member {member} is unknown; allowed are {}", MEMBERS.join(", ")));
            }
        }
        // Without a regular expression engine a pattern cannot be checked, and must not be ignored.
        if declaration.get("AllowedPattern").is_some() {
            error("AllowedPattern is not modelled; use AllowedValues or lengths".into());
        }
        let default = declaration.get("Default").map(text);
        let Some(value) = given.get(name).cloned().or(default) else {
            error("has no default and no value was given".into());
            values.insert(name.clone(), Value::Null);
            continue;
        };
        match check(declaration, &value) {
            Ok(value) => drop(values.insert(name.clone(), value)),
            Err(problem) => {
                error(problem);
                values.insert(name.clone(), Value::String(value));
            }
        }
    }
    for name in given.keys().filter(|name| !values.contains_key(*name)) {
        errors.push(template_error(&format!("Parameters.{name}"), "is no parameter of the template"));
    }
    values
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn check(declaration: &Value, value: &str) -> Result<Value, String> {
    if let Some(allowed) = declaration.get("AllowedValues").and_then(Value::as_array) {
        let allowed: Vec<String> = allowed.iter().map(text).collect();
        if !allowed.iter().any(|one| one == value) {
            return Err(format!("is {value}; allowed are {}", allowed.join(", ")));
        }
    }
    let bound = |member: &str| declaration.get(member).map(text).and_then(|text| text.parse::<f64>().ok());
    let within = |measure: f64, low: &str, high: &str, what: &str| {
        let too_low = bound(low).is_some_and(|low| measure < low);
        if too_low || bound(high).is_some_and(|high| measure > high) {
            let (low, high) = (declaration.get(low), declaration.get(high));
            let show = |value: Option<&Value>| value.map_or("any".into(), text);
            return Err(format!("{what} is {measure}; allowed are {} to {}", show(low), show(high)));
        }
        Ok(())
    };
    match declaration.get("Type").and_then(Value::as_str) {
        Some("String") => {
            within(value.chars().count() as f64, "MinLength", "MaxLength", "its length")?;
            Ok(Value::String(value.to_owned()))
        }
        Some("Number") => {
            let number: f64 = value.parse().map_err(|_| format!("is {value}, which is no number"))?;
            within(number, "MinValue", "MaxValue", "its value")?;
            let whole = value.parse::<i64>().ok().map(Number::from);
            let number = whole.or_else(|| Number::from_f64(number));
            number.map(Value::Number).ok_or_else(|| format!("is {value}, which is no number"))
        }
        Some("CommaDelimitedList") => Ok(value.split(',').map(|part| Value::from(part.trim())).collect()),
        other => Err(format!(
            "has type {}; allowed are String, Number, CommaDelimitedList",
            other.unwrap_or("none")
        )),
    }
}

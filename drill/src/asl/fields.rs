//! The fields of one JSON object of a definition, read with a finding for each that is wrong.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::expr::{Expr, Offers, Template, expression_source};
use super::finding::{Finding, excerpt};
use super::model::NumberField;

/// Fields that only JSONPath states have, with what JSONata has instead.
const JSONPATH_FIELDS: &[(&str, &str)] = &[
    ("InputPath", "read $states.input in the expression that needs it"),
    ("OutputPath", "use Output"),
    ("Parameters", "use Arguments (in a Map: ItemSelector)"),
    ("ResultPath", "use Output or Assign"),
    ("ResultSelector", "use Output"),
    ("Result", "use Output"),
    ("ItemsPath", "use Items"),
    ("MaxConcurrencyPath", "use MaxConcurrency with an expression"),
    ("SecondsPath", "use Seconds with an expression"),
    ("TimestampPath", "use Timestamp with an expression"),
    ("TimeoutSecondsPath", "use TimeoutSeconds with an expression"),
    ("HeartbeatSecondsPath", "use HeartbeatSeconds with an expression"),
    ("ToleratedFailureCountPath", "use ToleratedFailureCount"),
    ("ToleratedFailurePercentagePath", "use ToleratedFailurePercentage"),
    ("ErrorPath", "use Error with an expression"),
    ("CausePath", "use Cause with an expression"),
    ("Variable", "use Condition"),
];

/// Fields that only JSONata states have.
const JSONATA_FIELDS: &[&str] = &["Arguments", "Output", "Assign", "Items", "ItemSelector", "Condition"];

pub(super) struct Fields<'a> {
    pub map: &'a Map<String, Value>,
    pub state: Option<&'a str>,
    /// What comes before the name of a field: empty, or `Retry[0]/`.
    pub prefix: String,
    /// What the object is, for the finding on an unknown field: `a Task state`.
    pub what: &'static str,
    /// Whether strings may be expressions.
    pub jsonata: bool,
    pub findings: &'a RefCell<Vec<Finding>>,
    pub known: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Fields<'a> {
    pub fn new(
        map: &'a Map<String, Value>,
        state: Option<&'a str>,
        what: &'static str,
        jsonata: bool,
        findings: &'a RefCell<Vec<Finding>>,
    ) -> Fields<'a> {
        let known = RefCell::new(BTreeSet::from(["Comment"]));
        Fields { map, state, prefix: String::new(), what, jsonata, findings, known }
    }

    /// The fields of an object within this one.
    pub fn within(&self, map: &'a Map<String, Value>, path: &str, what: &'static str) -> Fields<'a> {
        let prefix = format!("{}{path}/", self.prefix);
        Fields { prefix, ..Fields::new(map, self.state, what, self.jsonata, self.findings) }
    }

    pub fn report(&self, field: &str, value: Option<&Value>, problem: &str, hint: &str) {
        self.findings.borrow_mut().push(Finding {
            state: self.state.map(str::to_owned),
            field: format!("{}{field}", self.prefix),
            value: value.map(excerpt).unwrap_or_default(),
            problem: problem.to_owned(),
            hint: hint.to_owned(),
        });
    }

    /// A field that the object may have.
    pub fn get(&self, name: &'static str) -> Option<&'a Value> {
        self.known.borrow_mut().insert(name);
        self.map.get(name)
    }

    /// Reports a field that AWS has and this interpreter does not.
    pub fn not_supported(&self, name: &'static str, hint: &str) {
        if let Some(value) = self.get(name) {
            self.report(name, Some(value), "is not supported", hint);
        }
    }

    pub fn text(&self, name: &'static str) -> Option<&'a str> {
        let value = self.get(name)?;
        if value.is_string() {
            return value.as_str();
        }
        self.report(name, Some(value), "must be a string", "");
        None
    }

    pub fn required_text(&self, name: &'static str, hint: &str) -> Option<&'a str> {
        if self.get(name).is_none() {
            self.report(name, None, "is missing", hint);
        }
        self.text(name)
    }

    pub fn object(&self, name: &'static str) -> Option<&'a Map<String, Value>> {
        let value = self.get(name)?;
        if value.is_object() {
            return value.as_object();
        }
        self.report(name, Some(value), "must be an object", "");
        None
    }

    /// The objects of a list, with the path of each: `Retry[0]`.
    pub fn objects(&self, name: &'static str) -> Vec<(String, &'a Map<String, Value>)> {
        let Some(value) = self.get(name) else { return Vec::new() };
        let Some(items) = value.as_array() else {
            self.report(name, Some(value), "must be an array of objects", "");
            return Vec::new();
        };
        let mut objects = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("{name}[{index}]");
            match item.as_object() {
                Some(object) => objects.push((path, object)),
                None => self.report(&path, Some(item), "must be an object", ""),
            }
        }
        objects
    }

    pub fn flag(&self, name: &'static str) -> Option<bool> {
        let value = self.get(name)?;
        if !value.is_boolean() {
            self.report(name, Some(value), "must be true or false", "");
        }
        value.as_bool()
    }

    /// A whole number within bounds; an expression is none.
    pub fn integer(&self, name: &'static str, allowed: RangeInclusive<u64>) -> Option<u64> {
        let value = self.get(name)?;
        // 5.0 is the integer 5 in JSON.
        let whole = |n: f64| (n.fract() == 0.0 && n >= 0.0).then_some(n as u64);
        let number = value.as_u64().or_else(|| value.as_f64().and_then(whole));
        if let Some(number) = number.filter(|number| allowed.contains(number)) {
            return Some(number);
        }
        let problem = format!("must be an integer from {} to {}", allowed.start(), allowed.end());
        self.report(name, Some(value), &problem, "");
        None
    }

    /// A whole number within bounds, or an expression that gives one.
    pub fn number(&self, name: &'static str, allowed: RangeInclusive<u64>) -> Option<NumberField> {
        match self.get(name).and_then(Value::as_str) {
            Some(text) => Some(NumberField::Expr(self.expression(name, text)?)),
            None => self.integer(name, allowed).map(NumberField::Literal),
        }
    }

    /// A string that must be an expression.
    pub fn expression(&self, name: &str, text: &str) -> Option<Expr> {
        let field = format!("{}{name}", self.prefix);
        let value = Value::from(text);
        let Some(source) = expression_source(text).filter(|_| self.jsonata) else {
            let hint = "an expression is written \"{% ... %}\" in a state with QueryLanguage JSONata";
            self.report(name, Some(&value), "is no JSONata expression", hint);
            return None;
        };
        match Expr::parse(source, &field, Offers::default()) {
            Ok(expr) => Some(expr),
            Err(problems) => {
                for problem in problems {
                    self.report(name, Some(&value), &problem.problem, problem.hint);
                }
                None
            }
        }
    }

    /// Any JSON in which strings may be expressions.
    pub fn template(&self, name: &'static str, offers: Offers) -> Option<Template> {
        let value = self.get(name)?;
        Some(self.template_of(&name, value, offers))
    }

    /// As [`Fields::template`], for the value at a path below a field: `Assign/x`.
    /// The path is written only where something needs it.
    pub fn template_of(&self, path: &dyn Display, value: &Value, offers: Offers) -> Template {
        if !self.jsonata {
            return Template::literal(value);
        }
        match value {
            Value::String(text) => match expression_source(text) {
                Some(source) => self.expression_template(path, value, source, offers),
                None => Template::literal(value),
            },
            Value::Array(items) => {
                let part = |(index, item)| self.template_of(&format_args!("{path}[{index}]"), item, offers);
                let parts: Vec<Template> = items.iter().enumerate().map(part).collect();
                let literal = parts.iter().all(|part| matches!(part, Template::Literal(_)));
                if literal { Template::literal(value) } else { Template::Array(parts) }
            }
            Value::Object(fields) => {
                let part = |(name, field): (&String, &Value)| {
                    (name.clone(), self.template_of(&format_args!("{path}/{name}"), field, offers))
                };
                let parts: Vec<(String, Template)> = fields.iter().map(part).collect();
                let literal = parts.iter().all(|(_, part)| matches!(part, Template::Literal(_)));
                if literal { Template::literal(value) } else { Template::Object(parts) }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Template::literal(value),
        }
    }

    fn expression_template(
        &self,
        path: &dyn Display,
        value: &Value,
        source: &str,
        offers: Offers,
    ) -> Template {
        match Expr::parse(source, &format!("{}{path}", self.prefix), offers) {
            Ok(expr) => Template::Expr(expr),
            Err(problems) => {
                for problem in problems {
                    self.report(&path.to_string(), Some(value), &problem.problem, problem.hint);
                }
                // The document is refused; what stands here is never evaluated.
                Template::literal(value)
            }
        }
    }

    /// Reports every field that nobody asked for.
    pub fn finish(self) {
        let known = self.known.borrow();
        for (name, value) in self.map {
            if known.contains(name.as_str()) {
                continue;
            }
            let jsonpath = JSONPATH_FIELDS.iter().find(|(field, _)| field == name);
            if let Some((_, instead)) = jsonpath {
                let problem = "belongs to JSONPath, which is not supported";
                let hint = format!("with QueryLanguage JSONata {instead}");
                self.report(name, Some(value), problem, &hint);
            } else if !self.jsonata && JSONATA_FIELDS.contains(&name.as_str()) {
                let hint = "set \"QueryLanguage\": \"JSONata\"";
                self.report(name, Some(value), "is supported with JSONata only", hint);
            } else {
                let allowed: Vec<&str> = known.iter().copied().collect();
                let problem = format!("is no field of {}", self.what);
                self.report(name, Some(value), &problem, &format!("it has {}", allowed.join(", ")));
            }
        }
    }
}

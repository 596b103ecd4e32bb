//! Input transformers: parts of an event put into a template.
//!
//! What is known of AWS, recorded in public test suites or documented: a placeholder outside quotes
//! becomes the JSON form of its value; within quotes the value's text goes in as it is, **without
//! escaping**, so that a value with a quote or an object can spoil the JSON; a path that the event
//! lacks gives an empty text, outside quotes `""`; JSON is delivered without white space. Not
//! documented: what null gives within quotes (here `null`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::put_events::time_text;
use super::{Properties, Rule};

/// Why a target's input cannot be made from an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// The event has nothing at the target's `InputPath`.
    #[error("the event has nothing at InputPath {path}")]
    PathMissing {
        /// The path.
        path: String,
    },
    /// The template, filled in, is no JSON.
    #[error("the filled in InputTemplate is no valid JSON: {text}")]
    InvalidJson {
        /// The filled in template.
        text: String,
    },
}

/// A path into an event: `$`, then names with dots between them and indices in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EventPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

impl EventPath {
    pub(super) fn parse(path: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "is {path}; allowed are $, names with letters, digits, - _ and /, and indices: $.detail.list[0]"
            )
        };
        let mut rest = path.strip_prefix('$').ok_or_else(bad)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let is_name = |c: char| c.is_ascii_alphanumeric() || ['-', '_', '/'].contains(&c);
                let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
                if end == 0 {
                    return Err(bad());
                }
                steps.push(Step::Name(after[..end].to_owned()));
                rest = &after[end..];
            } else {
                let inner = rest.strip_prefix('[').and_then(|after| after.split_once(']')).ok_or_else(bad)?;
                steps.push(Step::Index(inner.0.parse().map_err(|_| bad())?));
                rest = inner.1;
            }
        }
        Ok(Self(steps))
    }

    pub(super) fn get<'a>(&self, event: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(event, |value, step| match step {
            Step::Name(name) => value.as_object()?.get(name),
            Step::Index(index) => value.as_array()?.get(*index),
        })
    }
}

/// `InputTransformer` of a target.
#[derive(Debug, Clone)]
pub struct InputTransformer {
    paths: BTreeMap<String, EventPath>,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder { name: String, quoted: bool },
}

/// Variables every template may use.
const PREDEFINED: [&str; 4] = [
    "aws.events.rule-arn",
    "aws.events.rule-name",
    "aws.events.event.ingestion-time",
    "aws.events.event.json",
];

/// Most entries of an `InputPathsMap`.
const MAX_PATHS: usize = 100;

/// Stands for a placeholder when a template is checked; no template contains it.
const MARK: &str = "\u{f8ff}";

impl InputTransformer {
    /// Reads `InputPathsMap` and `InputTemplate`, noting every problem.
    pub(super) fn from_properties(properties: &mut Properties) -> Option<Self> {
        let template = properties.text("InputTemplate");
        let mut paths = BTreeMap::new();
        match properties.take("InputPathsMap") {
            None => {}
            Some(Value::Object(map)) => {
                if map.len() > MAX_PATHS {
                    properties.problem("InputPathsMap", format!("has more than {MAX_PATHS} entries"));
                }
                for (name, path) in map {
                    let member = format!("InputPathsMap.{name}");
                    let is_name = |c: char| c.is_ascii_alphanumeric() || ['-', '_'].contains(&c);
                    if name.to_ascii_uppercase().starts_with("AWS")
                        || name.is_empty()
                        || !name.chars().all(is_name)
                    {
                        properties.problem(
                            &member,
                            "a name has letters, digits, - and _, and does not start with AWS",
                        );
                    }
                    match path
                        .as_str()
                        .ok_or_else(|| "must be a string".to_owned())
                        .and_then(EventPath::parse)
                    {
                        Ok(path) => drop(paths.insert(name, path)),
                        Err(problem) => properties.problem(&member, problem),
                    }
                }
            }
            Some(other) => properties.problem("InputPathsMap", format!("must be an object, not {other}")),
        }
        let pieces = split(&template?);
        let this = Self { paths, pieces };
        for problem in this.template_problems() {
            properties.problem("InputTemplate", problem);
        }
        Some(this)
    }

    fn template_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut shape = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => shape.push_str(text),
                Piece::Placeholder { name, .. } if name == "aws.events.event" => {
                    problems
                        .push("<aws.events.event> is not modelled; use <aws.events.event.json>".to_owned());
                }
                Piece::Placeholder { name, quoted } => {
                    if !self.paths.contains_key(name) && !PREDEFINED.contains(&name.as_str()) {
                        problems.push(format!("contains invalid placeholder {name}"));
                    }
                    shape.push_str(if *quoted { MARK } else { "null" });
                }
            }
        }
        if !problems.is_empty() {
            return problems;
        }
        match serde_json::from_str::<Value>(&shape) {
            Err(error) => problems.push(format!("is no valid JSON ({error}); a text needs quotes")),
            Ok(shape) if has_marked_key(&shape) => {
                problems.push("has a placeholder as an object key".to_owned());
            }
            Ok(_) => {}
        }
        problems
    }

    /// Fills in the template.
    pub(super) fn apply(
        &self,
        rule: &Rule,
        event: &Value,
        ingested_ms: i64,
    ) -> Result<String, TransformError> {
        let mut filled = String::new();
        for piece in &self.pieces {
            let (name, quoted) = match piece {
                Piece::Text(text) => {
                    filled.push_str(text);
                    continue;
                }
                Piece::Placeholder { name, quoted } => (name, *quoted),
            };
            let value = match name.as_str() {
                "aws.events.rule-arn" => Value::from(rule.arn.as_str()),
                "aws.events.rule-name" => Value::from(rule.name.as_str()),
                "aws.events.event.ingestion-time" => Value::from(time_text(ingested_ms)),
                "aws.events.event.json" => event.clone(),
                name => self.paths.get(name).and_then(|path| path.get(event)).cloned().unwrap_or("".into()),
            };
            match value {
                Value::String(text) if quoted => filled.push_str(&text),
                value => filled.push_str(&value.to_string()),
            }
        }
        let is_text =
            matches!(self.pieces.first(), Some(Piece::Text(text)) if text.trim_start().starts_with('"'));
        match serde_json::from_str::<Value>(&filled) {
            // A text is delivered as the template has it, and it is for the target to read it.
            _ if is_text => Ok(filled),
            Ok(json) => Ok(json.to_string()),
            Err(_) => Err(TransformError::InvalidJson { text: filled }),
        }
    }
}

/// Splits a template at its `<placeholders>` and notes which stand within a JSON string.
fn split(template: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let (mut text, mut quoted, mut escaped) = (String::new(), false, false);
    let mut rest = template;
    while let Some(character) = rest.chars().next() {
        if character == '<'
            && let Some((name, after)) = rest[1..].split_once('>')
        {
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(Piece::Placeholder { name: name.to_owned(), quoted });
            rest = after;
            continue;
        }
        if character == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = character == '\\' && !escaped;
        text.push(character);
        rest = &rest[character.len_utf8()..];
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

fn has_marked_key(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(key, value)| key.contains(MARK) || has_marked_key(value)),
        Value::Array(list) => list.iter().any(has_marked_key),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

//! Document paths such as `a.b[0]`, the placeholders they are written with, and reading by them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::lexer::{TokenKind, Tokens};
use super::reserved::is_reserved;
use super::validation;
use super::value::{AttributeValue, Item};
use crate::cloud::error::ServiceError;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// A member of a map (or an attribute of the item).
    Name(String),
    /// An element of a list, from 0.
    Index(usize),
}

/// A path into an item; its first segment names an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(pub Vec<Segment>);

impl fmt::Display for Path {
    /// As DynamoDB's messages show it: `[a, b, [0]]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self
            .0
            .iter()
            .map(|segment| match segment {
                Segment::Name(name) => name.clone(),
                Segment::Index(index) => format!("[{index}]"),
            })
            .collect();
        write!(f, "[{}]", shown.join(", "))
    }
}

impl Path {
    /// The attribute the path starts at.
    pub fn attribute(&self) -> &str {
        match self.0.first() {
            Some(Segment::Name(name)) => name,
            // The parser begins every path with a name.
            Some(Segment::Index(_)) | None => "",
        }
    }

    /// The value the path leads to, if there is one.
    pub fn get<'a>(&self, item: &'a Item) -> Option<&'a AttributeValue> {
        let mut value = item.get(self.attribute())?;
        for segment in self.0.iter().skip(1) {
            value = match (segment, value) {
                (Segment::Name(name), AttributeValue::M(map)) => map.get(name)?,
                (Segment::Index(index), AttributeValue::L(list)) => list.get(*index)?,
                _ => return None,
            };
        }
        Some(value)
    }
}

/// The part of an item that the paths lead to, in the item's own structure.
pub fn project(item: &Item, paths: &[&Path]) -> Item {
    let segments: Vec<&[Segment]> = paths.iter().map(|path| path.0.as_slice()).collect();
    project_map(item, &segments)
}

fn project_map(map: &Item, paths: &[&[Segment]]) -> Item {
    map.iter()
        .filter_map(|(name, value)| {
            let step = Segment::Name(name.clone());
            Some((name.clone(), project_value(value, &rest_after(&step, paths))?))
        })
        .collect()
}

fn project_value(value: &AttributeValue, paths: &[&[Segment]]) -> Option<AttributeValue> {
    if paths.iter().any(|path| path.is_empty()) {
        return Some(value.clone());
    }
    if paths.is_empty() {
        return None;
    }
    match value {
        AttributeValue::M(map) => {
            let part = project_map(map, paths);
            (!part.is_empty()).then_some(AttributeValue::M(part))
        }
        AttributeValue::L(list) => {
            let part: Vec<AttributeValue> = list
                .iter()
                .enumerate()
                .filter_map(|(index, value)| project_value(value, &rest_after(&Segment::Index(index), paths)))
                .collect();
            (!part.is_empty()).then_some(AttributeValue::L(part))
        }
        _ => None,
    }
}

fn rest_after<'a>(step: &Segment, paths: &[&'a [Segment]]) -> Vec<&'a [Segment]> {
    paths.iter().filter_map(|path| path.split_first()).filter(|(s, _)| *s == step).map(|(_, r)| r).collect()
}

/// `ExpressionAttributeNames` and `ExpressionAttributeValues` of a request, and which were used.
#[derive(Debug, Default)]
pub struct Placeholders {
    names: BTreeMap<String, String>,
    values: BTreeMap<String, AttributeValue>,
    used: BTreeSet<String>,
}

impl Placeholders {
    /// Reads both members of a request.
    ///
    /// # Errors
    /// `ValidationException` for a wrong key, an empty map or a value of the wrong form.
    pub fn from_request(request: &Value) -> Result<Self, ServiceError> {
        let mut placeholders = Self::default();
        for (key, value) in members(request, "ExpressionAttributeNames", '#')? {
            let name = value.as_str().ok_or_else(|| {
                ServiceError::new(400, "SerializationException", format!("{key} must name an attribute"))
            })?;
            placeholders.names.insert(key, name.to_owned());
        }
        for (key, value) in members(request, "ExpressionAttributeValues", ':')? {
            let value = AttributeValue::from_json(&value).map_err(|error| {
                validation(format!(
                    "ExpressionAttributeValues contains invalid value: {} for key {key}",
                    error.message
                ))
            })?;
            placeholders.values.insert(key, value);
        }
        Ok(placeholders)
    }

    /// Refuses placeholders that no expression used.
    ///
    /// # Errors
    /// `ValidationException` with DynamoDB's message.
    pub fn refuse_unused(&self, has_expressions: bool) -> Result<(), ServiceError> {
        let names = ("ExpressionAttributeNames", self.names.keys().collect::<Vec<_>>());
        let values = ("ExpressionAttributeValues", self.values.keys().collect::<Vec<_>>());
        for (member, keys) in [names, values] {
            if !has_expressions && !keys.is_empty() {
                return Err(validation(format!("{member} can only be specified when using expressions")));
            }
            let unused: Vec<&str> =
                keys.iter().filter(|key| !self.used.contains(**key)).map(|key| key.as_str()).collect();
            if !unused.is_empty() {
                let unused = unused.join(", ");
                return Err(validation(format!(
                    "Value provided in {member} unused in expressions: keys: {{{unused}}}"
                )));
            }
        }
        Ok(())
    }

    /// The value a `:value` stands for.
    ///
    /// # Errors
    /// `ValidationException` when it is not defined.
    pub fn value(&mut self, tokens: &Tokens<'_>, key: &str) -> Result<AttributeValue, ServiceError> {
        self.used.insert(key.to_owned());
        self.values.get(key).cloned().ok_or_else(|| {
            tokens.error(format!(
                "An expression attribute value used in expression is not defined; attribute value: {key}"
            ))
        })
    }

    /// Reads a path from the tokens.
    ///
    /// # Errors
    /// `ValidationException` for wrong syntax, an undefined `#name` or a reserved word.
    pub fn path(&mut self, tokens: &mut Tokens<'_>) -> Result<Path, ServiceError> {
        let mut path = vec![self.name(tokens)?];
        loop {
            if tokens.take(".") {
                path.push(self.name(tokens)?);
            } else if tokens.take("[") {
                let TokenKind::Digits(digits) = tokens.peek().clone() else {
                    return Err(tokens.syntax_error());
                };
                tokens.next();
                let index = digits.parse().map_err(|_| {
                    tokens.error(format!("List index is not within the allowable range; index: [{digits}]"))
                })?;
                path.push(Segment::Index(index));
                tokens.expect("]")?;
            } else {
                return Ok(Path(path));
            }
        }
    }

    fn name(&mut self, tokens: &mut Tokens<'_>) -> Result<Segment, ServiceError> {
        match tokens.peek().clone() {
            TokenKind::Word(word) if is_reserved(&word) => {
                Err(tokens.error(format!("Attribute name is a reserved keyword; reserved keyword: {word}")))
            }
            TokenKind::Word(word) => {
                tokens.next();
                Ok(Segment::Name(word))
            }
            TokenKind::NameRef(key) => {
                tokens.next();
                self.used.insert(key.clone());
                self.names.get(&key).cloned().map(Segment::Name).ok_or_else(|| {
                    tokens.error(format!(
                        "An expression attribute name used in the document path is not defined; \
                         attribute name: {key}"
                    ))
                })
            }
            _ => Err(tokens.syntax_error()),
        }
    }
}

fn members(request: &Value, member: &str, sigil: char) -> Result<Vec<(String, Value)>, ServiceError> {
    let Some(value) = request.get(member) else { return Ok(Vec::new()) };
    let map = value
        .as_object()
        .ok_or_else(|| ServiceError::new(400, "SerializationException", format!("{member} must be a map")))?;
    if map.is_empty() {
        return Err(validation(format!("{member} must not be empty")));
    }
    for key in map.keys() {
        let well_formed = key.strip_prefix(sigil).is_some_and(|rest| {
            !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        });
        if !well_formed {
            return Err(validation(format!("{member} contains invalid key: Syntax error; key: \"{key}\"")));
        }
    }
    Ok(map.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
}

//! Event patterns, as far as rules of this project use them; every other operator is refused by name.

use serde_json::{Map, Value};

/// A pattern that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event pattern{path}: {problem}")]
pub struct PatternError {
    /// Where in the pattern, such as `.detail.state`; empty for the pattern itself.
    pub path: String,
    /// What is wrong and what is allowed.
    pub problem: String,
}

/// A compiled event pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPattern(Fields);

/// All fields must match, and one alternative of each `$or`.
#[derive(Debug, Clone, PartialEq)]
struct Fields {
    fields: Vec<(String, Node)>,
    alternatives: Vec<Vec<Fields>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Object(Fields),
    /// One of these must match.
    Leaf(Vec<Matcher>),
}

#[derive(Debug, Clone, PartialEq)]
enum Matcher {
    /// The same text, number, boolean or null. As AWS documents, `300` and `300.0` are not the same.
    Exact(Value),
    Prefix(String),
    Suffix(String),
    EqualsIgnoreCase(String),
    Wildcard(Vec<String>),
    Numeric(Vec<(Comparison, f64)>),
    Exists(bool),
    AnythingBut(Vec<Matcher>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    Greater,
    GreaterOrEqual,
}

/// Numbers of a `numeric` matcher lie within this distance of zero.
const MAX_NUMERIC: f64 = 5e9;

const OPERATORS: &str = "prefix, suffix, anything-but, exists, numeric, equals-ignore-case and wildcard";

impl EventPattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// When the pattern is malformed or uses an operator that is not modelled.
    pub fn new(pattern: &Value) -> Result<Self, PatternError> {
        let object = pattern.as_object().ok_or_else(|| error("", "must be an object"))?;
        Ok(Self(fields(object, "")?))
    }

    /// Whether an event matches.
    pub fn matches(&self, event: &Value) -> bool {
        self.0.match_value(Some(event), &mut Vec::new(), event)
    }
}

fn error(path: &str, problem: impl Into<String>) -> PatternError {
    PatternError { path: path.into(), problem: problem.into() }
}

fn fields(object: &Map<String, Value>, path: &str) -> Result<Fields, PatternError> {
    if object.is_empty() {
        return Err(error(path, "an empty object matches nothing"));
    }
    let mut all = Fields { fields: Vec::new(), alternatives: Vec::new() };
    for (name, value) in object {
        let path = format!("{path}.{name}");
        match value {
            Value::Array(list) if name == "$or" => {
                let alternatives = list
                    .iter()
                    .map(|one| match one.as_object() {
                        Some(object) => fields(object, &path),
                        None => Err(error(&path, format!("takes objects, not {one}"))),
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                if alternatives.len() < 2 {
                    return Err(error(&path, "needs at least two alternatives"));
                }
                all.alternatives.push(alternatives);
            }
            Value::Object(object) => all.fields.push((name.clone(), Node::Object(fields(object, &path)?))),
            Value::Array(list) if list.is_empty() => {
                return Err(error(&path, "Empty arrays are not allowed"));
            }
            Value::Array(list) => {
                let matchers = list.iter().map(|one| matcher(one, &path)).collect::<Result<_, _>>()?;
                all.fields.push((name.clone(), Node::Leaf(matchers)));
            }
            scalar => return Err(error(&path, format!("must be an object or an array, not {scalar}"))),
        }
    }
    Ok(all)
}

fn matcher(value: &Value, path: &str) -> Result<Matcher, PatternError> {
    let object = match value {
        Value::Object(object) => object,
        Value::Array(_) => return Err(error(path, "an array within an array is not allowed")),
        scalar => return Ok(Matcher::Exact(scalar.clone())),
    };
    let mut members = object.iter();
    let (Some((operator, operand)), None) = (members.next(), members.next()) else {
        return Err(error(path, format!("{value} must have exactly one operator")));
    };
    let path = format!("{path}.{operator}");
    let text = || match operand {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        other => Err(error(&path, format!("takes a text that is not empty, not {other}"))),
    };
    match operator.as_str() {
        "prefix" => Ok(Matcher::Prefix(text()?)),
        "suffix" => Ok(Matcher::Suffix(text()?)),
        "equals-ignore-case" => match operand {
            Value::String(text) => Ok(Matcher::EqualsIgnoreCase(text.to_lowercase())),
            other => Err(error(&path, format!("takes a text, not {other}"))),
        },
        "wildcard" => Ok(Matcher::Wildcard(wildcard(&text()?, &path)?)),
        "exists" => match operand {
            Value::Bool(exists) => Ok(Matcher::Exists(*exists)),
            other => Err(error(&path, format!("takes true or false, not {other}"))),
        },
        "numeric" => Ok(Matcher::Numeric(numeric(operand, &path)?)),
        "anything-but" => Ok(Matcher::AnythingBut(anything_but(operand, &path)?)),
        _ => Err(error(&path, format!("is not modelled; allowed are {OPERATORS}"))),
    }
}

fn anything_but(operand: &Value, path: &str) -> Result<Vec<Matcher>, PatternError> {
    match operand {
        Value::Object(object) => {
            let mut matchers = Vec::new();
            for (operator, value) in object {
                if !["prefix", "suffix", "equals-ignore-case", "wildcard"].contains(&operator.as_str()) {
                    return Err(error(&format!("{path}.{operator}"), "is not modelled within anything-but"));
                }
                for one in value.as_array().unwrap_or(&vec![value.clone()]) {
                    let single = Map::from_iter([(operator.clone(), one.clone())]);
                    matchers.push(matcher(&Value::Object(single), path)?);
                }
            }
            if object.len() == 1 && !matchers.is_empty() {
                return Ok(matchers);
            }
            Err(error(path, "must have exactly one operator with a value"))
        }
        Value::Array(list) => {
            let texts = list.iter().all(Value::is_string);
            if list.is_empty() || !(texts || list.iter().all(Value::is_number)) {
                return Err(error(path, "takes a list of texts only or of numbers only"));
            }
            Ok(list.iter().cloned().map(Matcher::Exact).collect())
        }
        Value::String(_) | Value::Number(_) => Ok(vec![Matcher::Exact(operand.clone())]),
        other => Err(error(path, format!("takes texts or numbers, not {other}"))),
    }
}

fn numeric(operand: &Value, path: &str) -> Result<Vec<(Comparison, f64)>, PatternError> {
    let malformed = || error(path, "takes one operator and its number, or a lower and an upper bound");
    let list = operand.as_array().filter(|list| [2, 4].contains(&list.len())).ok_or_else(malformed)?;
    let mut comparisons = Vec::new();
    for pair in list.chunks(2) {
        let comparison = match pair[0].as_str() {
            Some("<") => Comparison::Less,
            Some("<=") => Comparison::LessOrEqual,
            Some("=") => Comparison::Equal,
            Some(">") => Comparison::Greater,
            Some(">=") => Comparison::GreaterOrEqual,
            Some(_) | None => return Err(malformed()),
        };
        let number = pair[1].as_f64().filter(|number| number.abs() <= MAX_NUMERIC);
        comparisons.push((comparison, number.ok_or_else(|| error(path, "takes numbers from -5e9 to 5e9"))?));
    }
    let is_range = matches!(
        comparisons.as_slice(),
        [(Comparison::Greater | Comparison::GreaterOrEqual, low), (Comparison::Less | Comparison::LessOrEqual, high)]
            if low < high
    );
    if comparisons.len() == 2 && !is_range { Err(malformed()) } else { Ok(comparisons) }
}

/// The literal parts between the stars of a wildcard; a backslash makes a star or a backslash literal.
fn wildcard(text: &str, path: &str) -> Result<Vec<String>, PatternError> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars().peekable();
    let mut after_star = false;
    while let Some(character) = characters.next() {
        match character {
            '*' if after_star => return Err(error(path, "Consecutive wildcard characters are not allowed")),
            '*' => parts.push(String::new()),
            '\\' => match characters.next_if(|next| ['*', '\\'].contains(next)) {
                Some(escaped) => parts.last_mut().expect("starts with one part").push(escaped),
                None => return Err(error(path, "a backslash must precede a star or a backslash")),
            },
            other => parts.last_mut().expect("starts with one part").push(other),
        }
        after_star = character == '*';
    }
    Ok(parts)
}

impl Fields {
    /// `root` and `path` serve `exists: false`, which asks about the whole event.
    fn match_value(&self, value: Option<&Value>, path: &mut Vec<String>, root: &Value) -> bool {
        if let Some(Value::Array(elements)) = value {
            // All fields of one pattern must match within the same element.
            return elements.iter().any(|element| self.match_value(Some(element), path, root));
        }
        let object = value.and_then(Value::as_object);
        let fields = self.fields.iter().all(|(name, node)| {
            path.push(name.clone());
            let matched = node.match_value(object.and_then(|object| object.get(name)), path, root);
            path.pop();
            matched
        });
        fields
            && self.alternatives.iter().all(|alternatives| {
                alternatives.iter().any(|alternative| alternative.match_value(value, path, root))
            })
    }
}

impl Node {
    fn match_value(&self, value: Option<&Value>, path: &mut Vec<String>, root: &Value) -> bool {
        match self {
            Self::Object(fields) => fields.match_value(value, path, root),
            Self::Leaf(matchers) => matchers.iter().any(|matcher| match matcher {
                Matcher::Exists(wanted) => leaf_exists(root, path) == *wanted,
                _ => leaves(value).into_iter().any(|leaf| matcher.match_leaf(leaf)),
            }),
        }
    }
}

/// The scalars a field stands for: itself, or the elements of a list.
fn leaves(value: Option<&Value>) -> Vec<&Value> {
    match value {
        None | Some(Value::Object(_)) => Vec::new(),
        Some(Value::Array(list)) => list.iter().flat_map(|element| leaves(Some(element))).collect(),
        Some(scalar) => vec![scalar],
    }
}

fn leaf_exists(value: &Value, path: &[String]) -> bool {
    match (value, path.split_first()) {
        (Value::Array(list), _) => list.iter().any(|element| leaf_exists(element, path)),
        (Value::Object(object), Some((first, rest))) => {
            object.get(first).is_some_and(|value| leaf_exists(value, rest))
        }
        (Value::Object(_), None) => false,
        (_, rest) => rest.is_none(),
    }
}

impl Matcher {
    fn match_leaf(&self, leaf: &Value) -> bool {
        let text = leaf.as_str();
        match self {
            Self::Exact(value) => leaf == value,
            Self::Prefix(prefix) => text.is_some_and(|text| text.starts_with(prefix)),
            Self::Suffix(suffix) => text.is_some_and(|text| text.ends_with(suffix)),
            Self::EqualsIgnoreCase(lower) => text.is_some_and(|text| text.to_lowercase() == *lower),
            Self::Wildcard(parts) => text.is_some_and(|text| match_wildcard(parts, text)),
            Self::Numeric(comparisons) => leaf.as_f64().is_some_and(|number| {
                comparisons.iter().all(|(comparison, bound)| match comparison {
                    Comparison::Less => number < *bound,
                    Comparison::LessOrEqual => number <= *bound,
                    Comparison::Equal => number == *bound,
                    Comparison::Greater => number > *bound,
                    Comparison::GreaterOrEqual => number >= *bound,
                })
            }),
            // Asked about the field, not about a leaf.
            Self::Exists(wanted) => *wanted,
            Self::AnythingBut(matchers) => !matchers.iter().any(|matcher| matcher.match_leaf(leaf)),
        }
    }
}

fn match_wildcard(parts: &[String], text: &str) -> bool {
    let Some((first, rest)) = parts.split_first() else { return text.is_empty() };
    let Some((last, middle)) = rest.split_last() else { return text == first };
    let Some(mut text) = text.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        match text.find(part.as_str()) {
            Some(position) => text = &text[position + part.len()..],
            None => return false,
        }
    }
    text.ends_with(last.as_str())
}

//! Reading a resource's resolved properties, with every problem collected and each named by its path.

use serde_json::{Map, Value};

/// A property that is missing, wrong or not modelled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct PropertyProblem {
    /// The path of the property, such as `Targets[0].Input`.
    pub path: String,
    /// What is wrong and what is allowed.
    pub problem: String,
}

/// The members of one object of a resource's properties. Members are taken out one by one, and those
/// that nobody took are problems, so that no property is passed over in silence.
#[derive(Debug)]
pub struct Properties {
    path: String,
    members: Map<String, Value>,
    problems: Vec<PropertyProblem>,
}

impl Properties {
    /// The properties of a resource.
    pub fn new(properties: &Value) -> Self {
        Self::at(String::new(), properties)
    }

    fn at(path: String, value: &Value) -> Self {
        let mut this = Self { path, members: Map::new(), problems: Vec::new() };
        match value {
            Value::Object(members) => this.members = members.clone(),
            Value::Null => {}
            other => this.problem("", format!("must be an object, not {other}")),
        }
        this
    }

    fn path_of(&self, member: &str) -> String {
        match (self.path.as_str(), member) {
            ("", member) => member.to_owned(),
            (path, "") => path.to_owned(),
            (path, member) => format!("{path}.{member}"),
        }
    }

    /// Notes a problem with a member.
    pub fn problem(&mut self, member: &str, problem: impl Into<String>) {
        let path = self.path_of(member);
        self.problems.push(PropertyProblem { path, problem: problem.into() });
    }

    /// Whether a problem has been noted.
    pub fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// Takes a member as it is.
    pub fn take(&mut self, member: &str) -> Option<Value> {
        self.members.shift_remove(member)
    }

    /// Takes a text that must be there.
    pub fn text(&mut self, member: &str) -> Option<String> {
        let text = self.optional_text(member);
        if text.is_none() && !self.problems.iter().any(|problem| problem.path == self.path_of(member)) {
            self.problem(member, "is missing");
        }
        text
    }

    /// Takes a text. Numbers and booleans count as their text, as in CloudFormation.
    pub fn optional_text(&mut self, member: &str) -> Option<String> {
        match self.take(member)? {
            Value::String(text) => Some(text),
            scalar @ (Value::Number(_) | Value::Bool(_)) => Some(scalar.to_string()),
            other => {
                self.problem(member, format!("must be a string, not {other}"));
                None
            }
        }
    }

    /// Takes a boolean, which may be written as text, as in CloudFormation.
    pub fn boolean(&mut self, member: &str) -> Option<bool> {
        let value = self.take(member)?;
        let read = value.as_bool().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        if read.is_none() {
            self.problem(member, format!("must be true or false, not {value}"));
        }
        read
    }

    /// Takes a whole number of a range, which may be written as text, as in CloudFormation.
    pub fn count(&mut self, member: &str, allowed: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let value = self.take(member)?;
        let read = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        let read = read.filter(|number| allowed.contains(number));
        if read.is_none() {
            let (low, high) = (allowed.start(), allowed.end());
            self.problem(member, format!("is {value}; allowed are {low} to {high}"));
        }
        read
    }

    /// Takes an object, to be given back to [`Self::absorb`] when it has been read.
    pub fn object(&mut self, member: &str) -> Option<Self> {
        let value = self.take(member)?;
        Some(Self::at(self.path_of(member), &value))
    }

    /// Takes a list of objects, each to be given back to [`Self::absorb`] when it has been read.
    pub fn objects(&mut self, member: &str) -> Vec<Self> {
        match self.take(member) {
            None => Vec::new(),
            Some(Value::Array(list)) => {
                let path = self.path_of(member);
                list.iter().enumerate().map(|(i, value)| Self::at(format!("{path}[{i}]"), value)).collect()
            }
            Some(other) => {
                self.problem(member, format!("must be a list, not {other}"));
                Vec::new()
            }
        }
    }

    /// Takes over the problems of a member that has been read.
    pub fn absorb(&mut self, member: Self) {
        self.problems.extend(member.into_problems());
    }

    fn into_problems(mut self) -> Vec<PropertyProblem> {
        for member in self.members.keys().cloned().collect::<Vec<_>>() {
            self.problem(&member, "is not modelled; remove it, or extend the model");
        }
        self.problems
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Every problem noted, and one for each member that nobody took.
    pub fn finish(self) -> Result<(), Vec<PropertyProblem>> {
        let problems = self.into_problems();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

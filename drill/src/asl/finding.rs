//! What is wrong with a definition, or not supported in it.

use std::fmt;

use serde_json::Value;

/// Longest excerpt of a value that a finding shows, in characters.
const EXCERPT_CHARS: usize = 80;

/// One thing that keeps a document from being run, with the place it is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The state, if it is in one.
    pub state: Option<String>,
    /// The field, as Step Functions names it: `Retry[0]/MaxAttempts`.
    pub field: String,
    /// What stands there, shortened; empty where nothing does.
    pub value: String,
    /// What is wrong with it.
    pub problem: String,
    /// What is allowed, or what to do.
    pub hint: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(state) = &self.state {
            write!(f, "state {state:?}, ")?;
        }
        write!(f, "{}", self.field)?;
        if !self.value.is_empty() {
            write!(f, " = {}", self.value)?;
        }
        write!(f, ": {}", self.problem)?;
        if !self.hint.is_empty() {
            write!(f, " (hint: {})", self.hint)?;
        }
        Ok(())
    }
}

/// All findings of one document, in the order in which it is written. Never empty as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// A single finding outside any state.
    pub fn one(field: &str, value: &str, problem: impl Into<String>, hint: &str) -> Findings {
        Findings(vec![Finding {
            state: None,
            field: field.to_owned(),
            value: value.to_owned(),
            problem: problem.into(),
            hint: hint.to_owned(),
        }])
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

/// A value as a finding shows it: compact JSON, cut to one line's length.
pub(super) fn excerpt(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= EXCERPT_CHARS {
        return text;
    }
    let cut: String = text.chars().take(EXCERPT_CHARS - 1).collect();
    format!("{cut}…")
}

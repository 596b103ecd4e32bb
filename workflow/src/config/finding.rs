//! What is wrong, or unsafe, in a configuration.

use std::fmt;

use serde::Serialize;
use thiserror::Error;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It works, but not as well, or not as safely, as it could.
    Warning,
}

/// One thing that is wrong or unsafe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The setting, as a path: `circuits.orders.backoff.base_s`.
    pub name: String,
    /// The value found.
    pub value: String,
    /// What is wrong with it, or what is allowed.
    pub allowed: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: {}", self.name, self.value, self.allowed)
    }
}

/// Everything found, errors first.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize)]
#[error("{}", .0.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// The findings with which the configuration cannot be used.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(|finding| finding.severity == Severity::Error)
    }

    /// The findings that are worth knowing.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(|finding| finding.severity == Severity::Warning)
    }
}

//! What keeps a command from running, and how it is told: what, why, what is allowed, what to do.

use std::error::Error;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use workflow::config::{Finding, Severity};

use crate::printer::paint;

/// Names further than this share of their length from each other are not suggested for one another.
const SUGGESTION_SHARE: usize = 3;

/// One mistake, or one thing worth knowing.
#[derive(Clone, Debug)]
pub struct Problem {
    severity: Severity,
    /// Name of the kind of finding, for `accept` and for programs.
    code: Option<&'static str>,
    what: String,
    /// Labelled lines below it, in the order in which they are told.
    lines: Vec<(Option<&'static str>, String)>,
}

/// Why a command did nothing: every problem that was found, at least one.
#[derive(Debug)]
pub struct Refusal(pub Vec<Problem>);

impl Problem {
    /// A mistake.
    pub fn error(what: impl Into<String>) -> Problem {
        Problem { severity: Severity::Error, code: None, what: what.into(), lines: Vec::new() }
    }

    /// A mistake told by another crate, with the chain of its causes.
    pub fn caused(what: impl Into<String>, cause: &dyn Error) -> Problem {
        let mut problem = Problem::error(what);
        let mut next = Some(cause);
        while let Some(cause) = next {
            problem.lines.push((Some("cause"), cause.to_string()));
            next = cause.source();
        }
        problem
    }

    /// What this build cannot do.
    #[cfg(not(feature = "aws"))]
    pub fn without_aws(what: &str) -> Problem {
        Problem::error(format!("this breaker was built without AWS, so it cannot {what}")).hint(
            "install it with AWS: cargo install --path . --features aws; or run cargo run --features aws -- ...",
        )
    }

    /// Adds an explanation of several lines, such as an excerpt of the input.
    pub fn detail(mut self, text: impl Into<String>) -> Problem {
        self.lines.push((None, text.into()));
        self
    }

    /// Adds what would have been right.
    pub fn allowed(mut self, text: impl Into<String>) -> Problem {
        self.lines.push((Some("allowed"), text.into()));
        self
    }

    /// Adds what to do.
    pub fn hint(mut self, text: impl Into<String>) -> Problem {
        self.lines.push((Some("hint"), text.into()));
        self
    }

    /// The block as it is printed, styled, without a newline at its end.
    pub fn block(&self) -> String {
        let (colour, word) = match self.severity {
            Severity::Error => (AnsiColor::Red, "error"),
            Severity::Unsafe => (AnsiColor::Red, "unsafe"),
            Severity::Warning => (AnsiColor::Yellow, "warning"),
        };
        let head = self.code.map_or_else(|| format!("{word}:"), |code| format!("{word}[{code}]:"));
        let mut block = format!("{} {}", paint(colour.on_default().bold(), &head), self.what);
        for (label, text) in &self.lines {
            let indented = text.trim_end().replace('\n', "\n  ");
            block.push_str("\n  ");
            if let Some(label) = label {
                let style =
                    if *label == "hint" { AnsiColor::Cyan.on_default() } else { Style::new().dimmed() };
                write!(block, "{} ", paint(style, &format!("{label}:"))).expect("a String takes everything");
            }
            block.push_str(&indented);
        }
        block
    }
}

impl From<&Finding> for Problem {
    fn from(finding: &Finding) -> Problem {
        Problem {
            severity: finding.severity,
            code: Some(finding.code),
            what: format!("{} = {}", finding.name, finding.value),
            lines: vec![(Some("allowed"), finding.allowed.clone()), (Some("hint"), finding.fix.clone())],
        }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal(vec![problem])
    }
}

/// The names as they are listed in a message, and the one that was probably meant.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(name, wanted), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / SUGGESTION_SHARE)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_that_is_near_is_suggested() {
        let names = ["outage", "long_outage", "brownout"];
        assert_eq!(nearest("outtage", names), Some("outage"));
        assert_eq!(nearest("brown_out", names), Some("brownout"));
        assert_eq!(nearest("fifo", names), None);
    }

    #[test]
    fn lines_below_the_first_stay_inside_the_block() {
        let block = Problem::error("a.toml is not TOML").detail("1 | [a\n  |   ^\n").hint("close it").block();
        let plain = anstream::adapter::strip_str(&block).to_string();
        assert_eq!(plain, "error: a.toml is not TOML\n  1 | [a\n    |   ^\n  hint: close it");
    }
}

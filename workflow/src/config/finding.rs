//! What is wrong, or unsafe, in a configuration.

use std::fmt;

use serde::Serialize;
use thiserror::Error;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The configuration cannot be used: it contradicts itself, or AWS refuses it.
    Error,
    /// The breaker would not keep its promises. It is refused unless the circuit's `accept` names it.
    Unsafe,
    /// It works, but not as well, or not as safely, as it could.
    Warning,
}

/// Names of the kinds of findings. They are a contract: people write them into `accept`, programs match on them.
pub mod code {
    /// A signal that cannot see the failures of its consumer. Unsafe.
    pub const BLIND_ALARM: &str = "blind-alarm";
    /// A fact that stands otherwise in the account than in the configuration.
    pub const CONFIG_DRIFT: &str = "config-drift";
    /// Two settings that exclude each other.
    pub const CONTRADICTION: &str = "contradiction";
    /// A dead-letter queue that is named by half, or not at all where it has to be known.
    pub const DEAD_LETTER_QUEUE: &str = "dead-letter-queue";
    /// A dead-letter queue that deletes messages before, or as soon as, the queue itself would. Unsafe.
    pub const DEAD_LETTER_RETENTION: &str = "dead-letter-retention";
    /// The mapping's event metrics are off, and the alarm looks at nothing else.
    pub const EVENT_METRICS_OFF: &str = "event-metrics-off";
    /// An existing alarm that is not named, or named although the signal is another.
    pub const EXISTING_ALARM: &str = "existing-alarm";
    /// A FIFO queue with a re-jitter.
    pub const FIFO_REJITTER: &str = "fifo-rejitter";
    /// A text that is no ARN, URL or UUID of the kind that is asked for.
    pub const INVALID_IDENTIFIER: &str = "invalid-identifier";
    /// A circuit's name that cannot be part of an identifier.
    pub const INVALID_NAME: &str = "invalid-name";
    /// A mapping that is not enabled, and not by the breaker. Unsafe.
    pub const MAPPING_DISABLED: &str = "mapping-disabled";
    /// A document without a circuit.
    pub const NO_CIRCUIT: &str = "no-circuit";
    /// A queue without a dead-letter queue.
    pub const NO_DEAD_LETTER_QUEUE: &str = "no-dead-letter-queue";
    /// A document that is not TOML.
    pub const NOT_TOML: &str = "not-toml";
    /// A value beyond its range.
    pub const OUT_OF_RANGE: &str = "out-of-range";
    /// A probe that may be judged while its consumer still works.
    pub const PROBE_DEADLINE: &str = "probe-deadline";
    /// A limited close of a mapping that cannot be limited. Unsafe.
    pub const PROVISIONED_MODE: &str = "provisioned-mode";
    /// A raised retention that is none, or that the dead-letter queue cannot follow.
    pub const RAISED_RETENTION: &str = "raised-retention";
    /// Messages that are dead-lettered before the circuit is open. Unsafe.
    pub const RECEIVE_BUDGET: &str = "receive-budget";
    /// Few receives left for the breaker after the circuit is open.
    pub const RECEIVE_MARGIN: &str = "receive-margin";
    /// A mapping that two circuits guard.
    pub const SHARED_MAPPING: &str = "shared-mapping";
    /// An `accept` that names nothing which can be accepted.
    pub const UNKNOWN_ACCEPTANCE: &str = "unknown-acceptance";
    /// A setting that does not exist.
    pub const UNKNOWN_SETTING: &str = "unknown-setting";
    /// A visibility timeout that is too short for the function's timeout.
    pub const VISIBILITY_TIMEOUT: &str = "visibility-timeout";
    /// A value of another type than its setting takes, or one that is missing.
    pub const WRONG_VALUE: &str = "wrong-value";

    /// Those that a circuit can accept: the unsafe ones.
    pub const ACCEPTABLE: [&str; 5] =
        [BLIND_ALARM, DEAD_LETTER_RETENTION, MAPPING_DISABLED, PROVISIONED_MODE, RECEIVE_BUDGET];
}

/// One thing that is wrong or unsafe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The kind of finding, one of [`code`].
    pub code: &'static str,
    /// Whether it is an unsafe one that the circuit's `accept` names. Its severity is then a warning.
    pub accepted: bool,
    /// The setting, as a path: `circuits.orders.backoff.base_s`.
    pub name: String,
    /// The value found.
    pub value: String,
    /// What is wrong with it, or what is allowed.
    pub allowed: String,
    /// What to do.
    pub fix: String,
}

impl Finding {
    /// A finding that nobody has accepted yet.
    pub fn new(
        severity: Severity,
        code: &'static str,
        name: impl Into<String>,
        value: impl fmt::Display,
        allowed: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding {
            severity,
            code,
            accepted: false,
            name: name.into(),
            value: value.to_string(),
            allowed: allowed.into(),
            fix: fix.into(),
        }
    }

    /// The finding as it counts in the circuit `circuit` whose `accept` is `accept`: an unsafe one that is named there
    /// becomes a warning that says so, an unsafe one that is not says how to accept it. Others stay as they are.
    pub fn judged(mut self, circuit: &str, accept: &[String]) -> Finding {
        if self.severity != Severity::Unsafe {
            return self;
        }
        if accept.iter().any(|name| name == self.code) {
            self.severity = Severity::Warning;
            self.accepted = true;
            self.fix = format!("accepted by `accept` of [circuits.{circuit}]; to be safe: {}", self.fix);
        } else {
            self.fix =
                format!("{}; to accept it: accept = [\"{}\"] in [circuits.{circuit}]", self.fix, self.code);
        }
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: {}", self.name, self.value, self.allowed)
    }
}

/// Everything found, the worst first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Error, Serialize)]
#[error("{}", .0.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// The findings for which the configuration is refused: errors, and what is unsafe and not accepted.
    pub fn refusing(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(|finding| match finding.severity {
            Severity::Error | Severity::Unsafe => true,
            Severity::Warning => false,
        })
    }

    /// The findings that are worth knowing, what was accepted among them.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(|finding| finding.severity == Severity::Warning)
    }

    /// Whether nothing is refused.
    pub fn is_usable(&self) -> bool {
        self.refusing().next().is_none()
    }

    /// How many findings there are of one severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|finding| finding.severity == severity).count()
    }
}

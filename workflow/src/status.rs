//! What an operator asks of a circuit in the middle of the night: why is it open, since when, what did the last probe say,
//! when is the next, how much is waiting, how long have I got, and who is in charge.
//!
//! [`Status::of`] derives the answers from what can be read: the circuit's item, the state of the execution that owns it,
//! the mapping and the queue. It asks nobody and knows no clock, so that the command line and the tests share it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::circuit::{CircuitState, Phase, item};

/// Time after the end of a wait within which its probe is expected to have begun, milliseconds.
const DUE_GRACE_MS: u64 = 120_000;

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Name of the circuit.
    pub circuit: String,
    /// The moment of the reading, milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// The circuit's item, its strings and numbers as text by attribute name; empty where there is no item.
    pub item: BTreeMap<String, String>,
    /// Whether the execution that owns the circuit still runs; absent where that is not known.
    pub owner_is_alive: Option<bool>,
    /// `State` of the event source mapping; absent where it could not be read.
    pub mapping: Option<String>,
    /// The consumer's queue; absent where it could not be read.
    pub queue: Option<Waiting>,
}

/// Messages in the consumer's queue. The counts of SQS are approximate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// To be received at once.
    pub visible_count: u64,
    /// Received, and neither deleted nor given back.
    pub in_flight_count: u64,
    /// To be received later.
    pub delayed_count: u64,
}

impl Waiting {
    /// All of them.
    pub fn all(self) -> u64 {
        self.visible_count + self.in_flight_count + self.delayed_count
    }
}

/// The answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Name of the circuit.
    pub circuit: String,
    /// [`CircuitState::name`].
    pub state: &'static str,
    /// Raised by each claim.
    pub epoch: u64,
    /// Why it was opened last; absent when it never was.
    pub why: Option<Why>,
    /// Since when it is open, or closed, milliseconds since the Unix epoch; absent when it never was opened.
    pub since_ms: Option<u64>,
    /// What the last probe of this outage said; absent before the first, and when closed.
    pub last_probe: Option<LastProbe>,
    /// Failed probes of this outage.
    pub failed_probe_count: u64,
    /// What comes next.
    pub next: Next,
    /// What is waiting in the queue; absent where it could not be read.
    pub waiting: Option<Waiting>,
    /// When the first message expires, milliseconds since the Unix epoch; absent when closed, or not known.
    pub expires_at_ms: Option<u64>,
    /// Who decides.
    pub in_charge: InCharge,
    /// `State` of the event source mapping; absent where it could not be read.
    pub mapping: Option<String>,
    /// How it closed last; absent when it never did.
    pub last_close: Option<LastClose>,
    /// What is not as it should be, with what to do about it.
    pub warnings: Vec<String>,
}

/// Why a circuit was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Why {
    /// Who asked: `alarm`, `operator`, `reconciler` or `event`.
    pub trigger: String,
    /// In their words.
    pub reason: String,
}

/// What a probe said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastProbe {
    /// `healthy`, `unhealthy`, `empty`, `none_visible`, `last_receive` or `overruled`.
    pub verdict: String,
    /// Name of the consumer's error; only of an unhealthy one.
    pub error: Option<String>,
    /// When, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// What a circuit does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Next {
    /// Closed: nothing is to be done.
    Nothing,
    /// The mapping is being disabled, or its last deliveries are waited for; then the first wait begins.
    Opening,
    /// It waits for its next probe.
    Probe {
        /// When the probe begins, milliseconds since the Unix epoch.
        at_ms: u64,
    },
    /// A probe is under way, or the backlog is being spread after it.
    Probing,
    /// Live traffic at a small concurrency is being watched, because the queue had no message to probe with.
    LimitedTraffic,
    /// The mapping gets its settings back.
    Restoring,
    /// An operator holds it: no probe before that ends.
    Release {
        /// When, milliseconds since the Unix epoch.
        at_ms: u64,
    },
    /// The configured time or attempts are used up and `exhausted.then` is `fail`: nothing happens until somebody acts.
    GivenUp,
}

/// Who decides what happens to a circuit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "who", rename_all = "snake_case")]
pub enum InCharge {
    /// Nobody has to: it is closed.
    Nobody,
    /// An execution of the workflow.
    Execution {
        /// Its ARN.
        arn: String,
    },
    /// The execution that owned it has ended; the reconciler starts another one.
    EndedExecution {
        /// Its ARN.
        arn: String,
    },
    /// An operator holds it, and an execution waits for the end of the hold.
    Operator {
        /// Who.
        by: String,
        /// Why, in their words.
        reason: String,
        /// ARN of the execution.
        arn: String,
    },
}

/// How a circuit closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastClose {
    /// When, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// [`crate::circuit::CloseReason::name`].
    pub reason: String,
    /// Who told it to and why, in their words; absent when nobody did.
    pub by: Option<String>,
}

impl Status {
    /// Derives the answers.
    pub fn of(facts: &Facts) -> Status {
        let read = Read(&facts.item);
        let state = read.state();
        let is_open = state != CircuitState::Closed;
        let mut status = Status {
            circuit: facts.circuit.clone(),
            state: state.name(),
            epoch: read.number(item::EPOCH).unwrap_or_default(),
            why: read
                .text(item::TRIGGER)
                .map(|trigger| Why { trigger, reason: read.text(item::REASON).unwrap_or_default() }),
            since_ms: read.number(if is_open { item::OPENED_AT_MS } else { item::CLOSED_AT_MS }),
            last_probe: read.last_probe().filter(|_| is_open),
            failed_probe_count: read.number(item::FAILED_PROBES).unwrap_or_default(),
            next: read.next(state, facts.now_ms),
            waiting: facts.queue,
            expires_at_ms: read.number(item::EXPIRES_AT_MS).filter(|at_ms| is_open && *at_ms > 0),
            in_charge: read.in_charge(state, facts.owner_is_alive),
            mapping: facts.mapping.clone(),
            last_close: read.number(item::CLOSED_AT_MS).filter(|_| !is_open).map(|at_ms| LastClose {
                at_ms,
                reason: read.text(item::CLOSE_REASON).unwrap_or_default(),
                by: read.text(item::CLOSED_BY).filter(|by| by != "none"),
            }),
            warnings: Vec::new(),
        };
        status.warnings = warnings(&status, read.phase(), facts.now_ms);
        status
    }

    /// Whether it is not closed.
    pub fn is_open(&self) -> bool {
        self.state != CircuitState::Closed.name()
    }
}

/// The item, asked by attribute.
struct Read<'a>(&'a BTreeMap<String, String>);

impl Read<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.parse().ok()
    }

    fn state(&self) -> CircuitState {
        self.0.get(item::STATE).and_then(|name| CircuitState::from_name(name)).unwrap_or(CircuitState::Closed)
    }

    fn phase(&self) -> Option<Phase> {
        self.0.get(item::PHASE).and_then(|name| Phase::from_name(name))
    }

    fn last_probe(&self) -> Option<LastProbe> {
        let at_ms = self.number(item::LAST_PROBE_AT_MS).filter(|at_ms| *at_ms > 0)?;
        let verdict = self.text(item::LAST_VERDICT)?;
        let error = self.text(item::LAST_ERROR).filter(|error| verdict == "unhealthy" && error != "none");
        Some(LastProbe { verdict, error, at_ms })
    }

    fn next(&self, state: CircuitState, now_ms: u64) -> Next {
        match (state, self.phase()) {
            (CircuitState::Closed, _) => Next::Nothing,
            (CircuitState::Held, _) => {
                Next::Release { at_ms: self.number(item::HELD_UNTIL_MS).unwrap_or(now_ms) }
            }
            (_, Some(Phase::GivenUp)) => Next::GivenUp,
            (_, Some(Phase::Limiting | Phase::Limited)) => Next::LimitedTraffic,
            (_, Some(Phase::Restoring | Phase::Restored)) => Next::Restoring,
            (_, Some(Phase::Opening) | None) => Next::Opening,
            (CircuitState::HalfOpen, Some(Phase::Disabled)) => Next::Probing,
            (CircuitState::Open, Some(Phase::Disabled)) => {
                self.number(item::WAIT_UNTIL_MS).map_or(Next::Probing, |at_ms| Next::Probe { at_ms })
            }
        }
    }

    fn in_charge(&self, state: CircuitState, owner_is_alive: Option<bool>) -> InCharge {
        let arn = self.text(item::OWNER).unwrap_or_default();
        match state {
            CircuitState::Closed => InCharge::Nobody,
            _ if owner_is_alive == Some(false) => InCharge::EndedExecution { arn },
            CircuitState::Held => InCharge::Operator {
                by: self.text(item::HELD_BY).unwrap_or_default(),
                reason: self.text(item::HOLD_REASON).unwrap_or_default(),
                arn,
            },
            CircuitState::Open | CircuitState::HalfOpen => InCharge::Execution { arn },
        }
    }
}

fn warnings(status: &Status, phase: Option<Phase>, now_ms: u64) -> Vec<String> {
    let mut warnings = Vec::new();
    let mapping = status.mapping.as_deref().unwrap_or_default();
    let is_enabled = ["Enabled", "Enabling"].contains(&mapping);
    match &status.in_charge {
        InCharge::EndedExecution { .. } if status.next == Next::GivenUp => warnings.push(
            "it has given up as configured (exhausted.then = \"fail\") and stays open until somebody acts: trip it again, \
             or give the mapping back by hand"
                .to_owned(),
        ),
        InCharge::EndedExecution { .. } => warnings.push(
            "the execution in charge has ended; the reconciler starts another one within about a minute"
                .to_owned(),
        ),
        InCharge::Nobody if mapping == "Disabled" => warnings.push(
            "the circuit is closed, and yet its mapping is disabled: somebody else did that, and the breaker leaves it alone"
                .to_owned(),
        ),
        InCharge::Nobody | InCharge::Execution { .. } | InCharge::Operator { .. } => {}
    }
    if status.is_open() && phase == Some(Phase::Disabled) && is_enabled {
        warnings.push(
            "somebody has enabled the mapping; the breaker yields and closes the circuit within about a minute"
                .to_owned(),
        );
    }
    if let Next::Probe { at_ms } = status.next
        && now_ms > at_ms.saturating_add(DUE_GRACE_MS)
    {
        let late_s = (now_ms - at_ms) / 1_000;
        warnings.push(format!("the next probe has been due for {late_s} s: look at the execution in charge"));
    }
    if status.expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms) {
        warnings
            .push("the retention of the oldest message may be over: SQS deletes what is older".to_owned());
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(attributes: &[(&str, &str)]) -> Facts {
        let item = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Facts {
            circuit: "orders".to_owned(),
            now_ms: 1_000_000,
            item: item.collect(),
            owner_is_alive: Some(true),
            mapping: Some("Disabled".to_owned()),
            queue: Some(Waiting { visible_count: 7, in_flight_count: 2, delayed_count: 1 }),
        }
    }

    const OPEN: [(&str, &str); 5] = [
        (item::STATE, "open"),
        (item::PHASE, "disabled"),
        (item::OWNER, "arn:e"),
        (item::OPENED_AT_MS, "500000"),
        (item::EPOCH, "3"),
    ];

    #[test]
    fn what_never_tripped_is_closed_and_needs_nobody() {
        let status = Status::of(&Facts { mapping: Some("Enabled".to_owned()), ..facts(&[]) });
        assert_eq!((status.state, status.since_ms, status.why), ("closed", None, None));
        assert_eq!((status.next, status.in_charge), (Next::Nothing, InCharge::Nobody));
        assert_eq!((status.last_close, status.warnings), (None, Vec::new()));
    }

    #[test]
    fn each_phase_says_what_comes_next() {
        let next = |state: &str, phase: &str, more: &[(&str, &str)]| {
            let mut all = OPEN.to_vec();
            all.extend([(item::STATE, state), (item::PHASE, phase)]);
            all.extend(more);
            Status::of(&facts(&all)).next
        };
        let until = [(item::WAIT_UNTIL_MS, "1200000")];
        assert_eq!(next("open", "opening", &[]), Next::Opening);
        assert_eq!(next("open", "disabled", &until), Next::Probe { at_ms: 1_200_000 });
        assert_eq!(next("half_open", "disabled", &[]), Next::Probing);
        assert_eq!(next("half_open", "limiting", &[]), Next::LimitedTraffic);
        assert_eq!(next("half_open", "limited", &[]), Next::LimitedTraffic);
        assert_eq!(next("half_open", "restoring", &[]), Next::Restoring);
        assert_eq!(next("open", "restored", &[]), Next::Restoring);
        assert_eq!(next("open", "given_up", &[]), Next::GivenUp);
        let held = [(item::HELD_UNTIL_MS, "9000000"), (item::WAIT_UNTIL_MS, "1200000")];
        assert_eq!(next("held", "disabled", &held), Next::Release { at_ms: 9_000_000 });
    }

    #[test]
    fn an_error_belongs_to_an_unhealthy_probe_only() {
        let probe = |verdict: &str| {
            let mut all = OPEN.to_vec();
            all.extend([(item::LAST_VERDICT, verdict), (item::LAST_PROBE_AT_MS, "900000")]);
            all.push((item::LAST_ERROR, "DownstreamUnavailable"));
            Status::of(&facts(&all)).last_probe.and_then(|probe| probe.error)
        };
        assert_eq!(probe("unhealthy").as_deref(), Some("DownstreamUnavailable"));
        assert_eq!(probe("none_visible"), None);
    }

    #[test]
    fn what_is_not_as_it_should_be_is_said() {
        let warned = |facts: Facts| Status::of(&facts).warnings.join("\n");
        assert!(warned(Facts { owner_is_alive: Some(false), ..facts(&OPEN) }).contains("reconciler"));
        assert!(warned(Facts { mapping: Some("Enabled".to_owned()), ..facts(&OPEN) }).contains("yields"));
        assert!(warned(facts(&[])).contains("somebody else"));
        let mut late = OPEN.to_vec();
        late.extend([(item::WAIT_UNTIL_MS, "800000"), (item::EXPIRES_AT_MS, "999999")]);
        let late = warned(facts(&late));
        assert!(late.contains("due for 200 s") && late.contains("retention"), "{late}");
        assert_eq!(warned(facts(&OPEN)), "");
    }
}

//! The circuit's states, the table of legal transitions, and the item that records both.

use std::fmt;

use thiserror::Error;

/// State of a circuit as the `CircuitStatus` table records it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CircuitState {
    /// The mappings are as their owner set them; messages flow.
    Closed,
    /// The mappings are disabled; messages wait in the queue.
    Open,
    /// Bounded test traffic runs: a probe while the mappings are disabled, or a limited close.
    HalfOpen,
    /// An operator keeps it open: the mappings are disabled, and nothing is probed until the hold ends.
    Held,
}

/// What happens to a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transition {
    /// An execution claims the circuit: a failure was seen, or somebody asked for it.
    Trip,
    /// An execution takes an open circuit over whose owner is dead.
    TakeOver,
    /// A probe, or a limited close, begins.
    Try,
    /// The test traffic failed.
    Reopen,
    /// The mappings have their settings back, or somebody else enabled one and the breaker yields.
    Close,
    /// An operator asks for it to be kept open.
    Hold,
    /// The hold has ended: by its time, or because somebody says so.
    Release,
}

impl CircuitState {
    /// All states.
    pub const ALL: [CircuitState; 4] =
        [CircuitState::Closed, CircuitState::Open, CircuitState::HalfOpen, CircuitState::Held];

    /// The value of the item's `circuit_state`.
    pub fn name(self) -> &'static str {
        match self {
            CircuitState::Closed => "closed",
            CircuitState::Open => "open",
            CircuitState::HalfOpen => "half_open",
            CircuitState::Held => "held",
        }
    }

    /// The state with this name, if there is one.
    pub fn from_name(name: &str) -> Option<CircuitState> {
        CircuitState::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The state after `transition`.
    ///
    /// # Errors
    /// [`IllegalTransition`] when the table has no such edge.
    pub fn after(self, transition: Transition) -> Result<CircuitState, IllegalTransition> {
        TRANSITIONS
            .iter()
            .find(|edge| edge.from == self && edge.transition == transition)
            .map(|edge| edge.to)
            .ok_or(IllegalTransition { from: self, transition })
    }
}

impl fmt::Display for CircuitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Transition {
    /// All transitions.
    pub const ALL: [Transition; 7] = [
        Transition::Trip,
        Transition::TakeOver,
        Transition::Try,
        Transition::Reopen,
        Transition::Close,
        Transition::Hold,
        Transition::Release,
    ];

    /// States from which this transition is legal, in the order of [`CircuitState::ALL`]. The workflow's conditional
    /// writes are made from this list, so that the table refuses what the table in this file does not allow.
    pub fn allowed_from(self) -> Vec<CircuitState> {
        CircuitState::ALL.into_iter().filter(|state| state.after(self).is_ok()).collect()
    }

    /// The one state this transition leads to.
    pub fn target(self) -> CircuitState {
        match self {
            Transition::Trip | Transition::TakeOver | Transition::Reopen | Transition::Release => {
                CircuitState::Open
            }
            Transition::Try => CircuitState::HalfOpen,
            Transition::Close => CircuitState::Closed,
            Transition::Hold => CircuitState::Held,
        }
    }
}

/// One edge of the transition table.
struct Edge {
    from: CircuitState,
    transition: Transition,
    to: CircuitState,
}

const fn edge(from: CircuitState, transition: Transition, to: CircuitState) -> Edge {
    Edge { from, transition, to }
}

/// Every legal transition. `Try` from half-open, `Reopen` and `Release` from open and `Hold` from held are in it because
/// each step may be retried after its answer was lost. Whoever takes a held circuit over finds the hold in the item, and
/// holds it again.
const TRANSITIONS: [Edge; 15] = [
    edge(CircuitState::Closed, Transition::Trip, CircuitState::Open),
    edge(CircuitState::Open, Transition::TakeOver, CircuitState::Open),
    edge(CircuitState::HalfOpen, Transition::TakeOver, CircuitState::Open),
    edge(CircuitState::Held, Transition::TakeOver, CircuitState::Open),
    edge(CircuitState::Open, Transition::Try, CircuitState::HalfOpen),
    edge(CircuitState::HalfOpen, Transition::Try, CircuitState::HalfOpen),
    edge(CircuitState::Open, Transition::Reopen, CircuitState::Open),
    edge(CircuitState::HalfOpen, Transition::Reopen, CircuitState::Open),
    edge(CircuitState::Open, Transition::Close, CircuitState::Closed),
    edge(CircuitState::HalfOpen, Transition::Close, CircuitState::Closed),
    edge(CircuitState::Closed, Transition::Close, CircuitState::Closed),
    edge(CircuitState::Open, Transition::Hold, CircuitState::Held),
    edge(CircuitState::Held, Transition::Hold, CircuitState::Held),
    edge(CircuitState::Held, Transition::Release, CircuitState::Open),
    edge(CircuitState::Open, Transition::Release, CircuitState::Open),
];

/// A transition that the table does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a circuit that is {from} cannot take the transition {transition:?}")]
pub struct IllegalTransition {
    /// The state.
    pub from: CircuitState,
    /// What was asked of it.
    pub transition: Transition,
}

/// Attribute names of the circuit's item in the `CircuitStatus` table.
pub mod item {
    /// Partition key, string: name of the circuit.
    pub const CIRCUIT: &str = "circuit";
    /// String: [`super::CircuitState::name`]. Absent means closed.
    pub const STATE: &str = "circuit_state";
    /// String: ARN of the execution that owns the circuit while it is not closed.
    pub const OWNER: &str = "owner_arn";
    /// Number: raised by each claim; fences every later write.
    pub const EPOCH: &str = "epoch";
    /// Number: when the circuit was opened, milliseconds since the Unix epoch.
    pub const OPENED_AT_MS: &str = "opened_at_ms";
    /// Number: when it was closed last, milliseconds since the Unix epoch.
    pub const CLOSED_AT_MS: &str = "closed_at_ms";
    /// String: who asked for the trip.
    pub const TRIGGER: &str = "trip_trigger";
    /// String: why.
    pub const REASON: &str = "trip_reason";
    /// String, JSON list of [`crate::contract::RecordedMapping`]: settings to give back at the close.
    pub const RECORDED: &str = "recorded_mappings";
    /// String: task token of the wait in progress.
    pub const TASK_TOKEN: &str = "task_token";
    /// Number: when the wait in progress ends, milliseconds since the Unix epoch.
    pub const WAIT_UNTIL_MS: &str = "wait_until_ms";
    /// Number: failed probes since the circuit opened.
    pub const FAILED_PROBES: &str = "failed_probe_count";
    /// String: why the last probe failed, an error's name; `none` when none did since the last wait.
    pub const LAST_ERROR: &str = "last_error";
    /// String: what the last probe said, its verdict; `none` before the first.
    pub const LAST_VERDICT: &str = "last_verdict";
    /// Number: when it said so, milliseconds since the Unix epoch; 0 before the first.
    pub const LAST_PROBE_AT_MS: &str = "last_probe_at_ms";
    /// Number: when the item was written last, milliseconds since the Unix epoch.
    pub const UPDATED_AT_MS: &str = "updated_at_ms";
    /// Number: when the oldest message that may be in the queue was sent, milliseconds since the Unix epoch; this and the
    /// four below are there while the circuit is open.
    pub const OLDEST_SENT_AT_MS: &str = "oldest_sent_at_ms";
    /// Number: the queue's retention, seconds; 0 while it is not known.
    pub const RETENTION_S: &str = "retention_s";
    /// Number: when the first message expires, milliseconds since the Unix epoch; 0 while that is not known.
    pub const EXPIRES_AT_MS: &str = "expires_at_ms";
    /// Number: the mark of the loss clock that was announced last, 0, 50 or 75 percent.
    pub const ANNOUNCED_PERCENT: &str = "retention_announced_percent";
    /// Number: messages in the dead-letter queue when the circuit opened; -1 while that is not known.
    pub const DEAD_LETTERS_AT_OPEN: &str = "dead_letter_count_at_open";
    /// Number: the queue's own retention, seconds, written before it is raised and removed when it is restored. Neither
    /// the close nor a new claim removes it.
    pub const ORIGINAL_RETENTION_S: &str = "original_retention_s";
    /// Number: the retention that the queue was given instead, seconds.
    pub const RAISED_RETENTION_S: &str = "raised_retention_s";
    /// String: why it closed, [`super::CloseReason::name`].
    pub const CLOSE_REASON: &str = "close_reason";
    /// String: who told it to close and why, in their words; `none` when nobody did.
    pub const CLOSED_BY: &str = "closed_by";
    /// String: what the owner is doing to the mappings, [`super::Phase::name`]. Absent when the circuit is closed.
    pub const PHASE: &str = "phase";
    /// Number: until when an operator keeps the circuit open, milliseconds since the Unix epoch.
    pub const HELD_UNTIL_MS: &str = "held_until_ms";
    /// String: who keeps it open.
    pub const HELD_BY: &str = "held_by";
    /// String: why, the operator's words.
    pub const HOLD_REASON: &str = "hold_reason";
}

/// What a circuit's owner is doing to the mappings. Written before the act, so that whoever takes over from a dead owner
/// knows whether a mapping that it finds enabled is the breaker's own doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// From the claim until the mappings are settled and quiet.
    Opening,
    /// Disabled and quiet; the owner waits or probes. Whoever enables a mapping now is somebody else.
    Disabled,
    /// A limited close: the mappings are enabled with a small concurrency, or about to be.
    Limiting,
    /// As `Limiting`, and Lambda has accepted it. Whoever disables a mapping now is somebody else.
    Limited,
    /// The mappings get their recorded settings back, or are about to.
    Restoring,
    /// As `Restoring`, and Lambda has accepted it. Whoever disables a mapping now is somebody else.
    Restored,
    /// Disabled, and the owner has given up as configured (`exhausted.then = "fail"`): open until somebody acts.
    GivenUp,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Phase; 7] = [
        Phase::Opening,
        Phase::Disabled,
        Phase::Limiting,
        Phase::Limited,
        Phase::Restoring,
        Phase::Restored,
        Phase::GivenUp,
    ];

    /// The value of the item's `phase`.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Opening => "opening",
            Phase::Disabled => "disabled",
            Phase::Limiting => "limiting",
            Phase::Limited => "limited",
            Phase::Restoring => "restoring",
            Phase::Restored => "restored",
            Phase::GivenUp => "given_up",
        }
    }

    /// The phase with this name, if there is one.
    pub fn from_name(name: &str) -> Option<Phase> {
        Phase::ALL.into_iter().find(|phase| phase.name() == name)
    }
}

/// Key of the item in which the reconciler remembers what it has said about a circuit. No circuit's name has a `#`.
pub fn watch_key(circuit: &str) -> String {
    format!("{circuit}#watch")
}

/// Attribute names of the reconciler's own item, beside [`item::CIRCUIT`].
pub mod watch {
    /// Number: since when the mapping was seen disabled with the circuit closed, milliseconds since the Unix epoch.
    pub const DISABLED_SINCE_MS: &str = "disabled_since_ms";
    /// Boolean: whether that was announced.
    pub const DISABLED_ANNOUNCED: &str = "disabled_announced";
    /// String: why the signal cannot fire, as announced.
    pub const BLIND: &str = "blind_reason";
    /// Number: when a trip was asked for last, milliseconds since the Unix epoch.
    pub const TRIPPED_AT_MS: &str = "tripped_at_ms";
}

/// Why a circuit closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CloseReason {
    /// Probes, or limited live traffic, succeeded.
    Recovered,
    /// An operator's command.
    Operator,
    /// Configured for when the time or the attempts are used up.
    Exhausted,
    /// Someone else enabled the mapping.
    Overruled,
    /// Every mapping was disabled by someone else before the trip: there was nothing to open.
    NothingToOpen,
    /// A step failed for good and `fault.then` is `restore`.
    Faulted,
}

impl CloseReason {
    /// The value of the item's `close_reason` and of the closing event's `close_reason`.
    pub fn name(self) -> &'static str {
        match self {
            CloseReason::Recovered => "recovered",
            CloseReason::Operator => "operator",
            CloseReason::Exhausted => "exhausted",
            CloseReason::Overruled => "overruled",
            CloseReason::NothingToOpen => "nothing_to_open",
            CloseReason::Faulted => "faulted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edge_leads_to_the_target_of_its_transition() {
        for edge in &TRANSITIONS {
            assert_eq!(edge.to, edge.transition.target(), "{} on {:?}", edge.from, edge.transition);
        }
    }

    #[test]
    fn the_table_allows_exactly_this() {
        let table: Vec<String> = Transition::ALL
            .into_iter()
            .map(|transition| {
                let from: Vec<_> = transition.allowed_from().into_iter().map(CircuitState::name).collect();
                format!("{transition:?}: {} -> {}", from.join("|"), transition.target())
            })
            .collect();
        assert_eq!(
            table,
            [
                "Trip: closed -> open",
                "TakeOver: open|half_open|held -> open",
                "Try: open|half_open -> half_open",
                "Reopen: open|half_open -> open",
                "Close: closed|open|half_open -> closed",
                "Hold: open|held -> held",
                "Release: open|held -> open",
            ]
        );
    }

    #[test]
    fn an_illegal_transition_names_both_ends() {
        let error = CircuitState::Closed.after(Transition::Try).unwrap_err();
        assert_eq!(error.to_string(), "a circuit that is closed cannot take the transition Try");
    }
}

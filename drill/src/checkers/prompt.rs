//! Promise 8: after the recovery the circuit closes within the current backoff and what the way back takes; with a recovery
//! signal, without the backoff.

use std::time::Duration;

use workflow::circuit::CircuitState;
use workflow::events::{Announcement, DOWNSTREAM_RECOVERED};

use super::calm::Calm;
use super::{Actor, Bounds, Breaches, Checker, FinalState, Observation};
use crate::report::PromiseVerdict;
use crate::sim::Time;

/// Measures from the recovery to the next attempt, and to the close. Suspended while faults run, begun anew when they end.
#[derive(Debug)]
pub struct Prompt {
    bounds: Bounds,
    calm: Calm,
    /// When the circuit was claimed; absent while it is closed.
    open_since: Option<Time>,
    /// End of the wait that is under way.
    wait_until: Option<Time>,
    gave_up: bool,
    /// Whether an operator holds the circuit.
    held: bool,
    /// Whether test traffic runs: that is the attempt.
    tries: bool,
    /// Until when the next attempt has to begin, and the circuit to be closed.
    due: Option<Due>,
    slowest: Option<(Duration, Duration)>,
    breaches: Breaches,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    from: Time,
    attempt_by: Option<Time>,
    close_by: Option<Time>,
}

impl Prompt {
    /// The bounds of a circuit.
    pub fn new(bounds: &Bounds) -> Prompt {
        Prompt {
            bounds: bounds.clone(),
            calm: Calm::default(),
            open_since: None,
            wait_until: None,
            gave_up: false,
            held: false,
            tries: false,
            due: None,
            slowest: None,
            breaches: Breaches::default(),
        }
    }

    /// What is late now.
    fn look(&mut self, at: Time) {
        let Some(due) = &mut self.due else { return };
        let from = due.from;
        if due.attempt_by.is_some_and(|by| at > by) {
            due.attempt_by = None;
            self.breaches.add(at, || {
                format!("no attempt since {from}, although the wait was over and the dependency healthy")
            });
        }
        if due.close_by.is_some_and(|by| at > by) {
            due.close_by = None;
            self.breaches.add(at, || format!("not closed since {from}, although all was well"));
        }
    }

    /// The dependency says that it has recovered, and it has: no wait counts from here on.
    fn signalled(&mut self, at: Time) {
        let Some(due) = self.due.as_mut().filter(|_| !self.held) else { return };
        due.attempt_by = due.attempt_by.map(|by| by.min(at + self.bounds.attempt));
        due.close_by = due.close_by.map(|by| by.min(at + self.bounds.close));
    }

    /// Sets the clock, or stops it.
    fn begin(&mut self, at: Time) {
        self.due = match (self.open_since, self.calm.since()) {
            (Some(open), Some(calm)) if !self.gave_up => {
                let from = open.max(calm);
                let waits = self.wait_until.map_or(Duration::ZERO, |until| until - from);
                Some(Due {
                    from,
                    attempt_by: Some(from + waits + self.bounds.attempt).filter(|_| !self.tries),
                    close_by: Some(from + waits + self.bounds.close),
                })
            }
            _ => None,
        };
        self.look(at);
    }
}

impl Checker for Prompt {
    fn observe(&mut self, at: Time, observation: &Observation<'_>) {
        self.look(at);
        let calm_since = self.calm.since();
        self.calm.observe(at, observation);
        if self.calm.since() != calm_since {
            self.begin(at);
        }
        match observation {
            Observation::Waiting { until } => {
                self.wait_until = Some(*until);
                // The wait that begins as all becomes well is the current backoff too.
                if self.due.is_some_and(|due| due.attempt_by.is_some()) {
                    self.begin(at);
                }
            }
            Observation::Circuit(state) if *state == CircuitState::Closed.name() => {
                (self.held, self.tries) = (false, false);
                if let Some(due) = self.due.take() {
                    let by = due.close_by.map_or(self.bounds.close, |by| by - due.from);
                    let took = (at - due.from, by);
                    self.slowest = Some(self.slowest.map_or(took, |slowest| slowest.max(took)));
                }
                (self.open_since, self.wait_until, self.gave_up) = (None, None, false);
            }
            Observation::Circuit(state) => {
                self.held = *state == CircuitState::Held.name();
                self.tries = *state == CircuitState::HalfOpen.name();
                if self.tries {
                    self.wait_until = None;
                    if let Some(due) = &mut self.due {
                        due.attempt_by = None;
                    }
                }
                if self.open_since.is_none() {
                    self.open_since = Some(at);
                    self.begin(at);
                }
            }
            Observation::Invoked(Actor::Probe) => {
                if let Some(due) = &mut self.due {
                    due.attempt_by = None;
                }
            }
            Observation::Announced(DOWNSTREAM_RECOVERED) => self.signalled(at),
            Observation::Announced(name) if *name == Announcement::Exhausted.detail_type() => {
                self.gave_up = self.bounds.may_fail;
                self.begin(at);
            }
            _ => {}
        }
    }

    fn verdict(&self, _end: &FinalState<'_>) -> PromiseVerdict {
        let held = match self.slowest {
            Some((took, bound)) => format!(
                "closed {} s after the circuit was open and all was well; bound {} s",
                took.as_secs(),
                bound.as_secs()
            ),
            None => format!("never open while all was well; bound {} s", self.bounds.close.as_secs()),
        };
        self.breaches.verdict("prompt", held)
    }
}

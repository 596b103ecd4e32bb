//! Promise 4: after settling, the consumer is invoked by probes only, at most one at a time.

use workflow::circuit::CircuitState;
use workflow::events::Announcement;

use super::{Actor, Breaches, Checker, FinalState, Observation};
use crate::report::PromiseVerdict;
use crate::sim::Time;

/// Counts invocations while the circuit says that it is open and quiet.
#[derive(Debug, Default)]
pub struct QuietWhileOpen {
    quiet: bool,
    /// Somebody else enabled the mapping, and its pollers may still run.
    enabled_by_others: bool,
    probes_running: u32,
    probes: u64,
    breaches: Breaches,
}

impl Checker for QuietWhileOpen {
    fn observe(&mut self, at: Time, observation: &Observation<'_>) {
        match observation {
            // The breaker itself says when it is open and settled: by announcing it, or by probing.
            Observation::Announced(name) if *name == Announcement::Opened.detail_type() => {
                self.quiet = !self.enabled_by_others;
            }
            Observation::MappingAsked(settings) => {
                self.enabled_by_others = false;
                if settings.enabled {
                    self.quiet = false;
                }
            }
            // What somebody else switched on delivers until its pollers have stopped again.
            Observation::MappingChangedByOthers(change) if change.enabled == Some(true) => {
                (self.quiet, self.enabled_by_others) = (false, true);
            }
            Observation::PollersStopped => self.enabled_by_others = false,
            Observation::Circuit(state) if *state == CircuitState::Closed.name() => self.quiet = false,
            Observation::Invoked(Actor::Mapping) if self.quiet => {
                self.breaches
                    .add(at, || "the mapping invoked the consumer while the circuit was open".to_owned());
            }
            Observation::Invoked(Actor::Probe) => {
                self.quiet = !self.enabled_by_others;
                self.probes += 1;
                self.probes_running += 1;
                if self.probes_running > 1 {
                    let running = self.probes_running;
                    self.breaches.add(at, || format!("{running} probes ran at once"));
                }
            }
            Observation::Ended(Actor::Probe) => self.probes_running = self.probes_running.saturating_sub(1),
            _ => {}
        }
    }

    fn verdict(&self, _end: &FinalState<'_>) -> PromiseVerdict {
        let probes = if self.probes == 1 { "1 probe".to_owned() } else { format!("{} probes", self.probes) };
        let held = format!("{probes}, one at a time, and nothing else while open");
        self.breaches.verdict("quiet_while_open", held)
    }
}

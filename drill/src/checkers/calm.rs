//! Since when nothing keeps a circuit from closing: what the promises about time are measured from.

use super::{Actor, Observation};
use crate::sim::Time;

/// Whether everything around the breaker is well, and since when.
#[derive(Debug)]
pub struct Calm {
    healthy: bool,
    faults: bool,
    since: Option<Time>,
}

impl Default for Calm {
    fn default() -> Calm {
        Calm { healthy: true, faults: false, since: None }
    }
}

impl Calm {
    /// Takes note; answers the new beginning of calm if there is one.
    pub fn observe(&mut self, at: Time, observation: &Observation<'_>) {
        match observation {
            Observation::DependencyChanged { healthy } => self.healthy = *healthy,
            Observation::FaultsBegan => self.faults = true,
            Observation::FaultsEnded => self.faults = false,
            // A consumer that fails although its dependency is healthy has met a message that it cannot process: what
            // follows is waited for anew. So is what an outsider did.
            Observation::ConsumerFailed(Actor::Probe)
            | Observation::OutsiderActed
            | Observation::MappingChangedByOthers(_) => {}
            _ => return,
        }
        self.since = (self.healthy && !self.faults).then_some(at);
    }

    /// Since when all is well; nothing while it is not, and before anything was wrong.
    pub fn since(&self) -> Option<Time> {
        self.since
    }
}

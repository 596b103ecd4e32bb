//! Promise 6: the mapping's settings after equal those before, and a mapping that others disabled stays disabled.

use workflow::circuit::CircuitState;

use super::{Breaches, Checker, FinalState, MappingSettings, Observation};
use crate::report::PromiseVerdict;
use crate::sim::Time;

/// Follows what the mapping's owner wants, and compares it with what the breaker leaves.
#[derive(Debug)]
pub struct ExactRestore {
    owners: MappingSettings,
    breaches: Breaches,
}

impl ExactRestore {
    /// The settings before anything happened.
    pub fn new(initial: MappingSettings) -> ExactRestore {
        ExactRestore { owners: initial, breaches: Breaches::default() }
    }
}

impl Checker for ExactRestore {
    fn observe(&mut self, at: Time, observation: &Observation<'_>) {
        match observation {
            Observation::MappingChangedByOthers(change) => {
                // What an outsider does not change stays the owner's wish, whatever the breaker has set meanwhile.
                self.owners.enabled = change.enabled.unwrap_or(self.owners.enabled);
                if let Some(limit) = change.maximum_concurrency {
                    self.owners.maximum_concurrency = limit;
                }
            }
            Observation::MappingAsked(settings) if settings.enabled && !self.owners.enabled => {
                self.breaches
                    .add(at, || "the breaker enabled a mapping that somebody else had disabled".to_owned());
            }
            Observation::MappingAsked(_)
            | Observation::Invoked(_)
            | Observation::Ended(_)
            | Observation::Circuit(_)
            | Observation::Announced(_)
            | Observation::DeadLettered { .. }
            | Observation::Deleted { .. }
            | Observation::Kept { .. } => {}
        }
    }

    fn verdict(&self, end: &FinalState<'_>) -> PromiseVerdict {
        let name = "exact_restore";
        if end.circuit == CircuitState::Closed.name()
            && end.mapping != self.owners
            && self.breaches.count == 0
        {
            let detail = format!("the mapping is {} but its owner wants it {}", end.mapping, self.owners);
            return PromiseVerdict { name, held: false, detail };
        }
        self.breaches.verdict(name, format!("{} before and after", self.owners))
    }
}

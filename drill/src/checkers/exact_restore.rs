//! Promise 6: the mapping's settings after equal those before, and a mapping that others disabled stays disabled.
//!
//! The mapping has one switch for its owner and for the breaker. Whose wish a disable is depends on when it is made:
//!
//! - While the circuit is closed, and until the breaker has looked at the mapping: its owner's. It stays disabled.
//! - Between that look and the breaker's own disable, or after somebody enabled it meanwhile: nobody can tell. Both ends
//!   are right.
//! - While the breaker keeps it disabled: it changes nothing, and says nothing. `hold` is for that.
//! - Once the breaker has enabled it, fully or within limits: its owner's again.
//! - From the moment at which the limited traffic is announced to have failed, or another execution takes over from one that
//!   died during it, until the breaker's own disable: nobody can tell, as before the first one.

use workflow::circuit::CircuitState;
use workflow::events::Announcement;

use super::{Breaches, Checker, FinalState, MappingSettings, Observation};
use crate::cloud::mappings::Update;
use crate::report::PromiseVerdict;
use crate::sim::Time;

/// Follows what the mapping's owner wants, and compares it with what the breaker leaves.
#[derive(Debug)]
pub struct ExactRestore {
    owners: MappingSettings,
    /// Both ends are right.
    either: bool,
    claim: Option<Claim>,
    breaches: Breaches,
}

/// What has happened to the switch since the circuit was claimed.
#[derive(Clone, Copy, Debug, Default)]
struct Claim {
    /// The breaker found the mapping enabled.
    found_enabled: bool,
    /// What the breaker asked for last.
    asked: Option<bool>,
    /// Somebody else enabled it since.
    enabled_by_others: bool,
    /// The breaker asked for it to be enabled with a limit that is not its owner's.
    is_limited: bool,
    /// The breaker is about to disable it again, and has not done so yet.
    is_reopening: bool,
}

impl ExactRestore {
    /// The settings before anything happened.
    pub fn new(initial: MappingSettings) -> ExactRestore {
        ExactRestore { owners: initial, either: false, claim: None, breaches: Breaches::default() }
    }

    fn changed_by_others(&mut self, change: &Update) {
        // What an outsider does not change stays the owner's wish, whatever the breaker has set meanwhile.
        if let Some(limit) = change.maximum_concurrency {
            self.owners.maximum_concurrency = limit;
        }
        match (change.enabled, &mut self.claim) {
            (None, _) => {}
            (Some(true), claim) => {
                (self.owners.enabled, self.either) = (true, false);
                if let Some(claim) = claim {
                    claim.enabled_by_others = true;
                }
            }
            (Some(false), None) => (self.owners.enabled, self.either) = (false, false),
            (Some(false), Some(claim)) => match claim.asked {
                Some(true) if claim.is_reopening => self.either = true,
                Some(true) => (self.owners.enabled, self.either) = (false, false),
                None if !claim.found_enabled => (self.owners.enabled, self.either) = (false, false),
                None => self.either = true,
                Some(false) => self.either |= claim.enabled_by_others,
            },
        }
    }
}

impl Checker for ExactRestore {
    fn observe(&mut self, at: Time, observation: &Observation<'_>) {
        match observation {
            Observation::MappingChangedByOthers(change) => self.changed_by_others(change),
            Observation::MappingFound { enabled } => {
                if let Some(claim) = &mut self.claim {
                    claim.found_enabled |= enabled;
                }
            }
            Observation::MappingAsked(settings) => {
                if settings.enabled && !self.owners.enabled && !self.either {
                    self.breaches.add(at, || {
                        "the breaker enabled a mapping that somebody else had disabled".to_owned()
                    });
                }
                if let Some(claim) = &mut self.claim {
                    claim.asked = Some(settings.enabled);
                    claim.is_limited = settings.maximum_concurrency != self.owners.maximum_concurrency;
                    claim.is_reopening = false;
                    claim.enabled_by_others &= settings.enabled;
                }
            }
            Observation::Announced(name) if *name == Announcement::ProbeFailed.detail_type() => {
                if let Some(claim) = &mut self.claim {
                    claim.is_reopening = claim.asked == Some(true);
                }
            }
            Observation::Circuit(state) if *state == CircuitState::Closed.name() => self.claim = None,
            Observation::Circuit(state) => {
                let claim = self.claim.get_or_insert_default();
                let is_open = *state == CircuitState::Open.name();
                claim.is_reopening |= is_open && claim.asked == Some(true) && claim.is_limited;
            }
            _ => {}
        }
    }

    fn verdict(&self, end: &FinalState<'_>) -> PromiseVerdict {
        let name = "exact_restore";
        let expected = MappingSettings {
            enabled: if self.either { end.mapping.enabled } else { self.owners.enabled },
            ..self.owners.clone()
        };
        if end.circuit == CircuitState::Closed.name() && end.mapping != expected && self.breaches.count == 0 {
            let detail = format!("the mapping is {} but its owner wants it {expected}", end.mapping);
            return PromiseVerdict { name, held: false, detail };
        }
        self.breaches.verdict(name, format!("{expected} before and after"))
    }
}

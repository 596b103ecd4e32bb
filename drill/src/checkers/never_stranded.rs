//! Promise 2: when faults end, every mapping that the breaker disabled is enabled again within a stated bound, unless it
//! is held or its owner wants it disabled.

use std::time::Duration;

use workflow::circuit::CircuitState;
use workflow::events::Announcement;

use super::calm::Calm;
use super::{Bounds, Breaches, Checker, FinalState, Observation};
use crate::report::PromiseVerdict;
use crate::sim::Time;

/// Follows who disabled the mapping last.
#[derive(Debug)]
pub struct NeverStranded {
    bound: Duration,
    may_fail: bool,
    calm: Calm,
    /// Since when the breaker has kept it disabled.
    disabled_since: Option<Time>,
    /// Somebody else disabled it while the breaker did not: it is theirs, whatever the breaker asks for afterwards.
    disabled_by_others: bool,
    /// The configured end has come: it stays open until somebody acts.
    gave_up: bool,
    longest: Duration,
    reported: bool,
    breaches: Breaches,
}

impl NeverStranded {
    /// The bound of a circuit.
    pub fn new(bounds: &Bounds) -> NeverStranded {
        NeverStranded {
            bound: bounds.enable,
            may_fail: bounds.may_fail,
            calm: Calm::default(),
            disabled_since: None,
            disabled_by_others: false,
            gave_up: false,
            longest: Duration::ZERO,
            reported: false,
            breaches: Breaches::default(),
        }
    }

    fn look(&mut self, at: Time) {
        let (Some(disabled), Some(calm)) = (self.disabled_since, self.calm.since()) else { return };
        if self.gave_up {
            return;
        }
        let stranded = at - disabled.max(calm);
        self.longest = self.longest.max(stranded);
        if stranded > self.bound && !self.reported {
            self.reported = true;
            let (since, bound_s) = (disabled.max(calm), self.bound.as_secs());
            self.breaches.add(at, || {
                format!("the mapping has been left disabled since {since}, for more than {bound_s} s")
            });
        }
    }
}

impl Checker for NeverStranded {
    fn observe(&mut self, at: Time, observation: &Observation<'_>) {
        self.look(at);
        self.calm.observe(at, observation);
        match observation {
            Observation::MappingAsked(settings) if settings.enabled => {
                (self.disabled_since, self.disabled_by_others) = (None, false);
            }
            Observation::MappingAsked(_) if !self.disabled_by_others => {
                self.disabled_since.get_or_insert(at);
            }
            Observation::MappingChangedByOthers(change) => match change.enabled {
                Some(true) => (self.disabled_since, self.disabled_by_others) = (None, false),
                Some(false) => self.disabled_by_others = self.disabled_since.is_none(),
                None => {}
            },
            Observation::Announced(name) if *name == Announcement::Exhausted.detail_type() => {
                self.gave_up = self.may_fail;
            }
            Observation::Circuit(state) if *state == CircuitState::Closed.name() => self.gave_up = false,
            _ => {}
        }
        if self.disabled_since.is_none() {
            self.reported = false;
        }
    }

    fn verdict(&self, end: &FinalState<'_>) -> PromiseVerdict {
        let name = "never_stranded";
        // A circuit that says it is closed while its mapping is disabled by the breaker is stranded whatever the time.
        if self.breaches.count == 0
            && self.disabled_since.is_some()
            && !end.mapping.enabled
            && end.circuit == CircuitState::Closed.name()
        {
            let detail = "the circuit is closed, and the breaker left the mapping disabled".to_owned();
            return PromiseVerdict { name, held: false, detail };
        }
        let held = format!(
            "disabled by the breaker for {} s at most once all was well; bound {} s",
            self.longest.as_secs(),
            self.bound.as_secs()
        );
        self.breaches.verdict(name, held)
    }
}

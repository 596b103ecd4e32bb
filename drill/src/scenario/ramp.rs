//! Scenarios of the ramp, by which a mapping comes back to its own concurrency.

use std::time::Duration;

use workflow::backoff::{Backoff, Jitter};

use super::catalogue::{closed, minutes, outage_until};
use super::{Action, Dependency, Ending, Scenario};

/// The scenarios of this file.
pub fn all() -> Vec<Scenario> {
    vec![relapse_during_ramp()]
}

/// The signal makes the moment of the recovery known to the second, whatever the backoff draws; the relapse two minutes after it
/// falls into the ramp's first step.
fn relapse_during_ramp() -> Scenario {
    let mut scenario = outage_until(
        "relapse_during_ramp",
        "the dependency recovers, fails again as soon as traffic comes back, and recovers for good",
        minutes(40),
    );
    scenario.circuit.backoff = Backoff { base_s: 60, rate: 2.0, cap_s: 600, jitter: Jitter::None };
    scenario.dependency = vec![
        (minutes(5), Dependency::Failing),
        (minutes(19), Dependency::Healthy),
        (minutes(21), Dependency::Failing),
        (minutes(40), Dependency::Healthy),
    ];
    scenario.actions = vec![(minutes(19) + Duration::from_secs(1), Action::SignalRecovered)];
    scenario.ending = Ending { ..closed(1..=1) };
    scenario
}

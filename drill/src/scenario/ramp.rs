//! Scenarios of the ramp, by which a mapping comes back to its own concurrency.

use std::time::Duration;

use workflow::backoff::{Backoff, Jitter};
use workflow::config::ExhaustedThen;

use super::catalogue::{minutes, outage_until};
use super::outside::seldom_probed;
use super::{Action, Dependency, Scenario};

/// The scenarios of this file.
pub fn all() -> Vec<Scenario> {
    vec![relapse_during_ramp(), mapping_settles_late_in_ramp(), limit_taken_away_in_ramp()]
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
    scenario
}

/// Found by the swarm (seed 7898): a step that was not there after the time for it opened the circuit again, although the
/// dependency was well; and with attempts that are used up it then stayed open.
fn mapping_settles_late_in_ramp() -> Scenario {
    let mut scenario = outage_until(
        "mapping_settles_late_in_ramp",
        "the mapping takes longer than it may to come back with a limit; that is no reason to open again",
        minutes(14),
    );
    scenario.circuit.open.settle_timeout_s = 60;
    scenario.circuit.backoff.cap_s = 60;
    scenario.circuit.exhausted.after_s = 600;
    scenario.circuit.exhausted.then = ExhaustedThen::Fail;
    scenario.knobs.transition_ms = 70_000..=89_000;
    scenario
}

/// Found by the swarm (seed 12208): nobody gave the mapping its limit again, nor looked at its traffic, for a quarter of an hour.
fn limit_taken_away_in_ramp() -> Scenario {
    let mut scenario = seldom_probed(
        "limit_taken_away_in_ramp",
        "a deployment takes the limit of the ramp's first step away; the mapping is given it again",
        minutes(19),
    );
    // The mapping is enabled at once and looked at a minute later; the deployment comes in between.
    scenario.circuit.open.settle_poll_s = 60;
    scenario.knobs.transition_ms = 1_000..=2_000;
    scenario.actions = vec![
        (minutes(19) + Duration::from_secs(1), Action::SignalRecovered),
        (minutes(19) + Duration::from_secs(20), Action::Redeploy),
    ];
    scenario
}

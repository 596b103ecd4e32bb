//! Scenarios in which something happens to the breaker itself, or in which people act on the circuit.

use std::time::Duration;

use workflow::backoff::{Backoff, Jitter};
use workflow::circuit::Phase;

use super::catalogue::{RATE_PER_S, closed, minutes, outage_until, retention_raised, steady};
use super::{Action, Ending, Scenario};

/// Every scenario of this kind.
pub fn all() -> Vec<Scenario> {
    vec![
        owner_dies(),
        owner_dies_while_restoring(),
        alarm_event_lost(),
        overruled_while_open(),
        disabled_by_nobody_we_know(),
        hold_expires(),
        held_owner_dies(),
        owner_dies_after_close(),
        callee_signals(),
        false_signal(),
    ]
}

fn owner_dies() -> Scenario {
    let mut scenario = outage_until(
        "owner_dies",
        "the execution that owns the open circuit is stopped; another one takes over",
        minutes(45),
    );
    scenario.actions = vec![(minutes(20), Action::AbortOwner(Phase::Disabled))];
    scenario
}

fn owner_dies_while_restoring() -> Scenario {
    let mut scenario = outage_until(
        "owner_dies_while_restoring",
        "the execution is stopped while the mapping is being enabled again; another one goes on with that",
        minutes(35),
    );
    scenario.actions = vec![(minutes(6), Action::AbortOwner(Phase::Restored))];
    scenario
}

fn alarm_event_lost() -> Scenario {
    let mut scenario = outage_until(
        "alarm_event_lost",
        "the alarm's event reaches nobody; the reconciler trips the circuit",
        minutes(35),
    );
    scenario.actions = vec![(Duration::ZERO, Action::LoseNextAlarmEvent)];
    scenario
}

fn overruled_while_open() -> Scenario {
    let mut scenario = seldom_probed(
        "overruled_while_open",
        "an operator enables the mapping in the middle of a long wait; the breaker yields",
        minutes(19),
    );
    scenario.actions = vec![(minutes(20), Action::EnableMapping)];
    scenario
}

fn disabled_by_nobody_we_know() -> Scenario {
    let mut scenario = outage_until(
        "disabled_by_nobody_we_know",
        "somebody disables the mapping of a closed circuit; the breaker says so and leaves it",
        minutes(35),
    );
    scenario.dependency.clear();
    scenario.actions = vec![(minutes(6), Action::DisableMapping)];
    scenario.length = minutes(35);
    scenario.ending = Ending { mapping: "Disabled", drained: false, ..closed(0..=0) };
    scenario
}

fn hold_expires() -> Scenario {
    let mut scenario = outage_until(
        "hold_expires",
        "an operator holds the circuit beyond the dependency's recovery; nothing is probed until the hold ends",
        minutes(35),
    );
    scenario.traffic = vec![steady(Duration::ZERO, minutes(90), RATE_PER_S)];
    scenario.actions = vec![(minutes(15), Action::HoldCircuit(minutes(60)))];
    scenario.length = minutes(90);
    scenario
}

fn held_owner_dies() -> Scenario {
    let mut scenario = hold_expires();
    scenario.name = "held_owner_dies";
    scenario.summary =
        "the execution that holds a circuit is stopped; the one that takes over goes on holding";
    scenario.actions.push((minutes(25), Action::AbortOwner(Phase::Disabled)));
    scenario
}

fn owner_dies_after_close() -> Scenario {
    let mut scenario = retention_raised();
    scenario.name = "owner_dies_after_close";
    scenario.summary = "the execution is stopped after the close, with the retention still raised; another one gives it back";
    // The circuit is closed by then, and the backlog takes hours to arrive.
    scenario.circuit.rejitter.drain_per_s = 1.0;
    scenario.actions = vec![(minutes(25 + 6 * 60), Action::AbortExecution)];
    scenario
}

/// Probes an hour apart, so that none of them sees by itself what the scenario is about.
pub fn seldom_probed(name: &'static str, summary: &'static str, until: Duration) -> Scenario {
    let mut scenario = outage_until(name, summary, until);
    scenario.circuit.backoff = Backoff { base_s: 3_600, rate: 1.0, cap_s: 3_600, jitter: Jitter::None };
    scenario
}

fn callee_signals() -> Scenario {
    let mut scenario = seldom_probed(
        "callee_signals",
        "the dependency says that it has recovered, twice, and the circuit closes an hour before its next probe",
        minutes(19),
    );
    scenario.actions =
        [0, 5].map(|late_s| (minutes(19) + Duration::from_secs(late_s), Action::SignalRecovered)).into();
    scenario
}

fn false_signal() -> Scenario {
    let mut scenario = seldom_probed(
        "false_signal",
        "the dependency says twice that it has recovered, and has not: each costs one probe, and the next comes when it would have",
        minutes(40),
    );
    scenario.actions = [15, 25].map(|minute| (minutes(minute), Action::SignalRecovered)).into();
    scenario.traffic[0].until = minutes(90);
    scenario.length = minutes(90);
    scenario
}

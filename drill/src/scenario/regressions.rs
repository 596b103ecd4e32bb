//! Defects of the workflow that the swarm or a reader found, each as a scenario of its own in which it showed every time.

use workflow::circuit::Phase;

use super::catalogue::{closed, empty_queue, minutes, outage_until};
use super::{Action, Dependency, Ending, Scenario};
use crate::faults::{FaultKind, FaultPlan};

/// Every scenario of this kind.
pub fn all() -> Vec<Scenario> {
    vec![probe_answer_lost(), disabled_in_limited_close(), disabled_while_restoring(), owner_dies_reopening()]
}

fn probe_answer_lost() -> Scenario {
    let mut scenario = outage_until(
        "probe_answer_lost",
        "Step Functions loses its connection to functions that run on; no probe begins beside another",
        minutes(35),
    );
    // A consumer that hangs keeps the lost probe running for its whole timeout.
    scenario.dependency[0].1 = Dependency::Hanging;
    scenario.circuit.fault.pause_s = 10;
    scenario.circuit.backoff.base_s = 1;
    scenario.circuit.backoff.cap_s = 5;
    scenario.faults = FaultPlan::only(FaultKind::InvokeAnswerLost, 400_000, minutes(30));
    scenario
}

fn disabled_in_limited_close() -> Scenario {
    let mut scenario = empty_queue();
    scenario.name = "disabled_in_limited_close";
    scenario.summary = "an operator disables the mapping in a limited close whose execution has just been stopped; it stays disabled";
    scenario.actions.extend([
        (minutes(17), Action::AbortOwner(Phase::Limited)),
        (minutes(17), Action::DisableMappingIn(Phase::Limited)),
    ]);
    scenario.ending = Ending { mapping: "Disabled", drained: false, ..closed(1..=1) };
    scenario
}

fn disabled_while_restoring() -> Scenario {
    let mut scenario = outage_until(
        "disabled_while_restoring",
        "an operator disables the mapping as soon as the breaker has enabled it; it stays disabled",
        minutes(35),
    );
    // Less than it takes until a mapping that is found disabled counts as somebody else's.
    scenario.circuit.open.settle_timeout_s = 60;
    // The mapping is enabled for a while before the breaker looks, so that the operator comes in between.
    scenario.circuit.open.settle_poll_s = 20;
    scenario.actions = vec![(minutes(6), Action::DisableMappingIn(Phase::Restored))];
    scenario.ending = Ending { mapping: "Disabled", drained: false, ..closed(1..=1) };
    scenario
}

fn owner_dies_reopening() -> Scenario {
    let mut scenario = empty_queue();
    scenario.name = "owner_dies_reopening";
    scenario.summary = "the owner dies as it disables the mapping again after a limited close; its successor opens what it began";
    // Messages come while the dependency still fails, so that the limited close fails too.
    scenario.traffic[1].from = minutes(19);
    scenario.dependency[1].0 = minutes(35);
    scenario.circuit.close.limited_watch_s = 600;
    // Slow enough to be seen on its way.
    scenario.knobs.transition_ms = 5_000..=20_000;
    scenario.actions.push((minutes(17), Action::AbortReopening));
    scenario.ending = closed(1..=1);
    scenario
}

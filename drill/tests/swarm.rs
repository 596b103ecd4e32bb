//! The swarm: drawn drills hold every promise, and are the same whenever and beside whichever others they run.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use drill::faults::{FaultKind, FaultPlan};
use drill::swarm::{Fleet, run_scenario, run_seed, scenario};

/// Seeds that showed a defect when the swarm first met them, and what it was: the changelog has the stories.
const REGRESSIONS: [(u64, &str); 6] = [
    (10, "a settling time below the time until quiet"),
    (281, "an operator's disable after a dead owner had given the mapping back"),
    (300, "the same with another deployment in between"),
    (682, "an operator's disable during a limited close"),
    (2_405_171_881_970, "a probe beside one whose answer was lost"),
    (2_405_171_881_040, "an operator's disable in a limited close whose execution had died"),
];

fn hashes(threads: usize) -> BTreeMap<u64, String> {
    let mut hashes = BTreeMap::new();
    let fleet = Fleet { from: 100, count: 40, threads };
    let told = fleet.run(&AtomicBool::new(false), |seed, outcome| {
        let report = outcome.expect("it can run").report;
        assert_eq!(report.exit_code(), 0, "seed {seed}: {:?} {:?}", report.promises, report.not_converged);
        hashes.insert(seed, report.trace_hash);
        true
    });
    assert_eq!(told, fleet.count);
    hashes
}

#[test]
fn drawn_drills_hold_every_promise_and_are_the_same_on_any_number_of_threads() {
    let one = hashes(1);
    assert_eq!(one, hashes(3));
    let different: std::collections::BTreeSet<&String> = one.values().collect();
    assert_eq!(different.len(), one.len(), "no two seeds are the same drill");
}

#[test]
fn what_the_swarm_found_once_stays_mended() {
    for (seed, what) in REGRESSIONS {
        let report = run_seed(seed, &mut ()).expect("it can run").report;
        assert_eq!(report.exit_code(), 0, "{what}: {:?} {:?}", report.promises, report.not_converged);
    }
}

/// A fault that never ends has to be seen: nothing that only waits for better times may pass for convergence.
#[test]
fn faults_that_do_not_end_keep_a_drill_from_converging() {
    let mut drawn = scenario(100);
    let forever = drawn.length + drawn.settle_limit * 2;
    // No function ever answers, so that a circuit that opens can never close.
    drawn.faults = FaultPlan::only(FaultKind::InvokeThrottled, 1_000_000, forever);
    let outcome = run_scenario(&drawn, 100, &mut ()).expect("it can run");
    assert!(outcome.report.trips > 0, "the seed is one in which the circuit opens");
    assert_eq!(outcome.report.exit_code(), 11, "{:?}", outcome.report.promises);
    assert!(outcome.reached.faults["invoke_throttled"] > 0);
}

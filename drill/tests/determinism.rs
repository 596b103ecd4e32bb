//! The same seed gives the same drill, to the byte; and the run with no breaker beside it changes nothing.

#[allow(dead_code, reason = "each test binary uses its part")]
mod common;

use common::{Told, drill, scenario};

/// Scenarios that between them use every source of chance: jitter, lags, duplicated events, a flaky consumer, a FIFO
/// queue.
const SCENARIOS: [&str; 4] = ["alarm_repeats", "brownout", "empty_queue", "fifo_queue"];

/// What must not depend on whether the baseline is run.
fn without_baseline(mut told: Told) -> Told {
    told.report.wasted_invocations_without_breaker = None;
    told.report.dead_lettered_without_breaker = None;
    told.baseline = None;
    told
}

#[test]
fn the_same_seed_gives_the_same_drill() {
    for name in SCENARIOS {
        let scenario = scenario(name);
        let (first, second) = (drill(&scenario, 11, true), drill(&scenario, 11, true));
        assert!(first.entries.len() > 10, "{name} tells a story");
        assert_eq!(first, second, "{name}");
    }
}

#[test]
fn another_seed_gives_another_drill() {
    for name in SCENARIOS {
        let scenario = scenario(name);
        let (first, second) = (drill(&scenario, 11, false), drill(&scenario, 12, false));
        assert_ne!(first.report.trace_hash, second.report.trace_hash, "{name}");
        assert_ne!(first.entries, second.entries, "{name}");
    }
}

#[test]
fn the_baseline_does_not_touch_the_run_beside_it() {
    for name in SCENARIOS {
        let scenario = scenario(name);
        let alone = drill(&scenario, 13, false);
        assert_eq!(alone.report.wasted_invocations_without_breaker, None, "{name}");
        let beside = drill(&scenario, 13, true);
        assert!(beside.report.wasted_invocations_without_breaker.is_some(), "{name}");
        assert_eq!(without_baseline(beside), alone, "{name}");
    }
}

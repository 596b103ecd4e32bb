//! After the close a backlog arrives as fast as it is to: the same number of messages in each slice of time, within what
//! chance allows, and no burst at either end.

#[allow(dead_code, reason = "each test binary uses its part")]
mod common;

use std::time::Duration;

use common::{drill, scenario};
use drill::arrivals::SLICE;
use drill::scenario::Scenario;
use workflow::contract::RejitterStrategy;

const BACKLOG_COUNT: u64 = 20_000;
/// Standard deviations that chance is granted: one drill in some millions has more.
const DEVIATIONS: f64 = 5.0;

fn backlog(strategy: RejitterStrategy, drain_per_s: f64) -> Scenario {
    let mut scenario = scenario("backlog_of_20000");
    scenario.circuit.rejitter.strategy = Some(strategy);
    scenario.circuit.rejitter.drain_per_s = drain_per_s;
    scenario.length += Duration::from_secs_f64(BACKLOG_COUNT as f64 / drain_per_s);
    scenario
}

/// What keeps the arrivals from being even, if anything does.
fn unevenness(per_slice: &[u64], drain_per_s: f64) -> Option<String> {
    let expected = drain_per_s * SLICE.as_secs_f64();
    let is_flowing = |count: &u64| *count as f64 >= expected / 2.0;
    let (Some(first), Some(last)) =
        (per_slice.iter().position(is_flowing), per_slice.iter().rposition(is_flowing))
    else {
        return Some(format!("they never flow: {per_slice:?}"));
    };
    let most = expected + DEVIATIONS * expected.sqrt();
    if let Some((at, count)) = per_slice.iter().enumerate().find(|(_, count)| **count as f64 > most) {
        return Some(format!(
            "a burst of {count} in slice {at} of {first} to {last}, {expected} are expected"
        ));
    }
    // The first and the last slice are cut by the window's ends.
    let inner = &per_slice[first + 1..last];
    let chi_square: f64 = inner.iter().map(|count| (*count as f64 - expected).powi(2) / expected).sum();
    let freedom = inner.len() as f64;
    let limit = freedom + DEVIATIONS * (2.0 * freedom).sqrt();
    (chi_square > limit).then(|| format!("chi-square {chi_square} of {freedom} slices: {per_slice:?}"))
}

fn check(strategy: RejitterStrategy, drain_per_s: f64) {
    for seed in [1, 7] {
        let told = drill(&backlog(strategy, drain_per_s), seed, false);
        assert_eq!(told.report.exit_code(), 0, "{}", told.story());
        let per_slice = &told.arrivals.per_slice;
        assert_eq!(per_slice.iter().sum::<u64>(), BACKLOG_COUNT, "{per_slice:?}");
        assert_eq!(unevenness(per_slice, drain_per_s), None, "{strategy:?} with seed {seed}");
    }
}

#[test]
fn a_backlog_spread_by_visibility_arrives_evenly() {
    check(RejitterStrategy::Visibility, 50.0);
}

#[test]
fn a_backlog_spread_by_requeue_arrives_evenly() {
    check(RejitterStrategy::Requeue, 50.0);
}

#[test]
fn a_requeue_beyond_the_longest_delay_arrives_evenly() {
    check(RejitterStrategy::Requeue, 10.0);
}

#[test]
fn a_burst_and_a_slope_are_uneven() {
    assert_eq!(unevenness(&[0, 60, 104, 95, 100, 110, 92, 30], 10.0), None);
    let burst = unevenness(&[0, 400, 104, 95, 100, 110, 92, 30], 10.0);
    assert!(burst.is_some_and(|text| text.starts_with("a burst of 400 in slice 1")));
    let slope = unevenness(&[60, 60, 70, 80, 100, 110, 120, 130, 140, 140], 10.0);
    assert!(slope.is_some_and(|text| text.starts_with("chi-square")));
    assert!(unevenness(&[1, 2, 1], 10.0).is_some());
}

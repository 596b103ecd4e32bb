//! What a drill costs grows with its messages and with nothing else. Events of the simulation are counted, which are the
//! same on every machine; time is not.

#[allow(dead_code, reason = "each test binary uses its part")]
mod common;

use std::time::Duration;

use common::drill;
use drill::scenario::outage_of;

/// How much more an event per message may cost in a larger drill than in the smallest.
const TOLERANCE: f64 = 1.1;

/// Messages of a drill with such an outage, and events that the simulation ran for it.
fn cost(rate_per_s: f64, outage_minutes: u64) -> (f64, f64) {
    let scenario = outage_of(Duration::from_secs(outage_minutes * 60), rate_per_s);
    let told = drill(&scenario, 1, false);
    assert_eq!(told.report.exit_code(), 0, "{}", told.story());
    (told.report.sent as f64, told.events_run as f64)
}

/// Events that each further message costs, from one drill to the next.
fn slopes(drills: &[(f64, f64)]) -> Vec<f64> {
    drills
        .windows(2)
        .map(|pair| {
            let ((messages, events), (more_messages, more_events)) = (pair[0], pair[1]);
            (more_events - events) / (more_messages - messages)
        })
        .collect()
}

fn grow_linearly(slopes: &[f64]) -> bool {
    slopes.iter().all(|slope| *slope <= slopes[0] * TOLERANCE)
}

fn check(drills: &[(f64, f64)]) {
    let slopes = slopes(drills);
    assert!(slopes[0] > 0.5, "messages are work: {slopes:?} events for each, {drills:?}");
    assert!(grow_linearly(&slopes), "{slopes:?} events for each, {drills:?}");
}

#[test]
fn events_grow_linearly_with_the_rate() {
    check(&[5.0, 10.0, 20.0].map(|rate_per_s| cost(rate_per_s, 20)));
}

#[test]
fn events_grow_linearly_with_the_length() {
    check(&[20, 40, 80].map(|outage_minutes| cost(10.0, outage_minutes)));
}

#[test]
fn what_grows_faster_is_seen() {
    assert!(!grow_linearly(&slopes(
        &[1_000.0, 2_000.0, 4_000.0].map(|messages| (messages, messages * messages))
    )));
}

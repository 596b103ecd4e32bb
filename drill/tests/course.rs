//! What is drawn of a drill is what its timeline and its balance say.

#[allow(dead_code, reason = "each test binary uses its part")]
mod common;

use std::time::Duration;

use common::{Told, drill, scenario};
use drill::course::{Course, Interval};
use drill::report::Topic;
use drill::sim::SIM_START;

/// Scenarios that between them have every state of the circuit and of the mapping, probes of several verdicts, a limited
/// close, holds and people who interfere.
const SCENARIOS: [&str; 4] = ["outage", "empty_queue", "hold_expires", "overruled_while_open"];

/// The states that the timeline's lines about `topic` tell, with their beginnings.
fn told_states(told: &Told, topic: Topic, state: fn(&str) -> &str) -> Vec<(Duration, String)> {
    let mut states: Vec<(Duration, String)> = Vec::new();
    for entry in told.entries.iter().filter(|entry| entry.topic == topic) {
        let state = state(&entry.text).to_owned();
        if states.last().is_none_or(|(_, last)| *last != state) {
            states.push((entry.at - SIM_START, state));
        }
    }
    states
}

/// The same of the course, without the state that it begins with.
fn drawn_states(intervals: &[Interval]) -> Vec<(Duration, String)> {
    let changes = intervals.iter().skip(1);
    changes.map(|interval| (interval.from, without_limit(&interval.state).to_owned())).collect()
}

/// A mapping's state without its concurrency, which the timeline tells only when it is asked for.
fn without_limit(state: &str) -> &str {
    state.split(',').next().unwrap_or(state)
}

fn course(told: &Told) -> &Course {
    &told.charted.as_ref().expect("the drill has come to its end").0
}

#[test]
fn states_are_those_of_the_timeline() {
    for name in SCENARIOS {
        let told = drill(&scenario(name), 3, false);
        let course = course(&told);
        let circuit = told_states(&told, Topic::Circuit, |text| {
            // "open -> half_open (epoch 1)", "half_open -> closed (epoch 1): recovered".
            let target = text.split_once("-> ").and_then(|(_, rest)| rest.split_once(" ("));
            target.map_or("?", |(state, _)| state)
        });
        assert!(circuit.len() > 1, "{name} opens and closes");
        assert_eq!(drawn_states(&course.circuit()), circuit, "{name}");
        assert_eq!(
            drawn_states(&course.mapping()),
            told_states(&told, Topic::Mapping, without_limit),
            "{name}"
        );
        assert_eq!(
            drawn_states(&course.alarm()),
            told_states(&told, Topic::Alarm, |text| {
                text.split_once("-> ").map_or("?", |(_, state)| state)
            }),
            "{name}"
        );
        for lane in [course.circuit(), course.mapping(), course.alarm(), course.dependency()] {
            assert_eq!(lane.first().map(|first| first.from), Some(Duration::ZERO), "{name}");
            assert_eq!(lane.last().map(|last| last.until), Some(course.end()), "{name}");
            assert!(lane.windows(2).all(|pair| pair[0].until == pair[1].from), "{name}: {lane:?}");
        }
    }
}

#[test]
fn probes_are_those_of_the_timeline() {
    for name in SCENARIOS {
        let told = drill(&scenario(name), 3, false);
        let lines: Vec<_> = told
            .entries
            .iter()
            .filter(|entry| entry.topic == Topic::Probe)
            .map(|entry| (entry.at - SIM_START, entry.text.clone()))
            .collect();
        let drawn: Vec<_> = course(&told).probes.iter().map(|probe| (probe.at, probe.text.clone())).collect();
        assert_eq!(drawn, lines, "{name}");
    }
}

#[test]
fn the_last_numbers_are_those_of_the_balance() {
    let told = drill(&scenario("outage"), 3, true);
    let (without, baseline, unused) = told.baseline.as_ref().expect("the baseline was run");
    for (report, course) in [(&told.report, course(&told)), (without, baseline)] {
        let last = course.samples.last().expect("there are samples");
        let failed_probes = course.probes.iter().filter(|probe| probe.verdict == "unhealthy").count() as u64;
        assert_eq!(last.failed + failed_probes, report.wasted_invocations);
        assert_eq!(last.dead_lettered, report.dead_lettered);
        assert_eq!(last.visible + last.hidden, report.still_queued);
        assert!(
            course
                .samples
                .windows(2)
                .all(|pair| pair[0].at <= pair[1].at && pair[0].failed <= pair[1].failed)
        );
    }
    assert!(without.dead_lettered > 0, "the outage does harm where there is no breaker");
    assert!(baseline.probes.is_empty() && baseline.circuit().len() == 1, "and nobody acts");
    let (_, usage) = told.charted.as_ref().expect("the drill has come to its end");
    assert_eq!(usage.wasted.count, told.report.wasted_invocations);
    assert_eq!(usage.events as usize, told.about(Topic::Event).len());
    assert!(usage.transitions > 100 && usage.writes > 20 && usage.sqs_requests > 1_000, "{usage:?}");
    assert_eq!((unused.transitions, unused.breaker.count, unused.sqs_requests, unused.events), (0, 0, 0, 0));
}

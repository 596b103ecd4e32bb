//! Recovery signals: one that is right ends the wait at once, one that is wrong costs a probe and nothing else.

#[allow(dead_code, reason = "each test binary uses its part")]
mod common;

use std::time::Duration;

use common::tamper::{of_type, state};
use common::{Told, drill, scenario, tampered, tampered_stack};
use drill::report::Topic;
use drill::sim::{SIM_START, Time};
use serde_json::{Value, json};

const SEED: u64 = 1;

fn whole(name: &str) -> Told {
    let told = drill(&scenario(name), SEED, false);
    assert_eq!(told.report.exit_code(), 0, "{}", told.story());
    told
}

/// Since the start, in minutes.
fn minute(at: Time) -> u64 {
    (at - SIM_START).as_secs() / 60
}

fn probed_in_minutes(told: &Told) -> Vec<u64> {
    let probes = told.entries.iter().filter(|entry| entry.topic == Topic::Probe);
    let mut minutes: Vec<u64> = probes.map(|entry| minute(entry.at)).collect();
    minutes.dedup();
    minutes
}

#[test]
fn a_signal_closes_the_circuit_long_before_its_next_probe() {
    let told = whole("callee_signals");
    assert_eq!(told.with(Topic::Workflow, "signal at example: woken").len(), 1, "{}", told.story());
    let closed = told.first(Topic::Event, "Circuit Closed").expect("it closes");
    let took = closed - (SIM_START + Duration::from_secs(19 * 60));
    // Most of it is the wait for the alarm's window, during which messages flow.
    assert!(took < Duration::from_secs(8 * 60), "{took:?}\n{}", told.story());
    // The second signal finds a circuit that is on its way back.
    let second = told.with(Topic::Workflow, "signal at example: closing").len()
        + told.with(Topic::Workflow, "signal at example: late").len();
    assert_eq!(second, 1, "{}", told.story());
}

#[test]
fn without_the_rule_for_signals_the_circuit_waits_for_its_next_probe() {
    let told = tampered_stack(&scenario("callee_signals"), SEED, &|template: &mut Value| {
        of_type(template, "AWS::Events::Rule")
            .filter(|rule| {
                rule["Properties"]["EventPattern"]["detail-type"] == json!(["Downstream Recovered"])
            })
            .for_each(|rule| rule["Properties"]["EventPattern"]["detail-type"] = json!(["Nobody Says This"]));
    });
    assert!(told.broken().contains(&"prompt"), "{}", told.story());
}

#[test]
fn a_false_signal_costs_one_probe_and_leaves_the_wait_as_it_was() {
    let told = whole("false_signal");
    let opened = minute(told.first(Topic::Event, "Circuit Opened").expect("it opens"));
    let minutes = probed_in_minutes(&told);
    assert_eq!(&minutes[..2], [15, 25], "{}", told.story());
    let next = minutes[2];
    assert!((opened + 59..=opened + 61).contains(&next), "probed in {minutes:?}, opened in {opened}");
    let failed = told.with(Topic::Event, "Circuit Probe Failed");
    assert!(
        failed.len() == 2 && failed.iter().all(|text| text.contains("failed_probe_count=0")),
        "{failed:?}"
    );
}

#[test]
fn a_wait_that_begins_anew_after_a_false_signal_is_noticed() {
    let told = tampered(&scenario("false_signal"), SEED, &|definition: &mut Value| {
        state(definition, "ChooseWait")["Assign"]["waitSeconds"] = json!(3_600);
    });
    let minutes = probed_in_minutes(&told);
    assert!(minutes.len() < 3 || minutes[2] > 80, "probed in {minutes:?}\n{}", told.story());
}

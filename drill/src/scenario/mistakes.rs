//! Situations in which earlier breakers of this kind went wrong, each as a scenario in which this one does right.
//! `docs/mistakes.md` says what went wrong there, and what keeps it from happening here.

use std::time::Duration;

use workflow::backoff::{Backoff, Jitter};

use super::catalogue::{RATE_PER_S, closed, minutes, outage_until, steady};
use super::{Action, Ending, MessageKind, Scenario, Traffic};
use crate::faults::{FaultKind, FaultPlan};

/// Every scenario of this kind.
pub fn all() -> Vec<Scenario> {
    vec![
        outage_beyond_nine_probes(),
        queue_empty_at_first_probe(),
        backlog_received_in_one_burst(),
        backlog_of_200_spread(),
        two_alarms_at_once(),
        partial_failures_of_a_minute(),
        mapping_busy_and_slow(),
        poison_at_the_head(),
        queue_shared_with_others(),
        backlog_of_20000(),
        one_failure_in_a_quiet_minute(),
        two_copies_in_one_account(),
        backlog_of_200_delivered(),
    ]
}

/// So many messages at once.
fn burst(at: Duration, count: u32, kind: MessageKind) -> Traffic {
    let rate_per_s = 100.0;
    let until = at + Duration::from_secs_f64((f64::from(count) - 0.5) / rate_per_s);
    Traffic { from: at, until, rate_per_s, kind }
}

/// A few minutes of traffic that fails and trips, then a backlog of so many messages that waits for the recovery.
fn backlog_of(name: &'static str, summary: &'static str, count: u32) -> Scenario {
    let mut scenario = outage_until(name, summary, minutes(25));
    // Two minutes of failing deliveries fire the alarm; the rest comes when the circuit is open.
    scenario.traffic =
        vec![steady(minutes(4), minutes(7), 0.5), burst(minutes(12), count - 60, MessageKind::Order)];
    scenario.circuit.backoff = Backoff { base_s: 5, rate: 1.5, cap_s: 20, jitter: Jitter::Full };
    scenario.length = minutes(30);
    scenario
}

fn outage_beyond_nine_probes() -> Scenario {
    let mut scenario = outage_until(
        "outage_beyond_nine_probes",
        "waits from 10 s, doubled, of which nine are used up after 5,110 s; the outage lasts 3 hours",
        minutes(5 + 180),
    );
    scenario.circuit.backoff = Backoff { base_s: 10, rate: 2.0, cap_s: 2_560, jitter: Jitter::None };
    scenario.circuit.exhausted.after_probes_count = Some(9);
    scenario.traffic[0].rate_per_s = 0.2;
    scenario
}

fn queue_empty_at_first_probe() -> Scenario {
    let mut scenario = outage_until(
        "queue_empty_at_first_probe",
        "the circuit is tripped on request, and the queue is empty from then on",
        minutes(20),
    );
    scenario.traffic =
        vec![steady(Duration::ZERO, minutes(4), RATE_PER_S), steady(minutes(40), minutes(45), RATE_PER_S)];
    scenario.actions = vec![(minutes(6), Action::RequestTrip)];
    scenario.length = minutes(45);
    scenario
}

fn backlog_received_in_one_burst() -> Scenario {
    let mut scenario = outage_until(
        "backlog_received_in_one_burst",
        "200 messages are received in one burst and fail; all are in flight when the first probe comes",
        minutes(9),
    );
    // Right after the dependency has failed, and nothing after that until all is over.
    scenario.traffic = vec![
        burst(minutes(5) + Duration::from_secs(1), 200, MessageKind::Order),
        steady(minutes(30), minutes(35), RATE_PER_S),
    ];
    scenario.circuit.example.visibility_timeout_s = 600;
    // There is one minute of failures, so one has to be enough.
    scenario.circuit.alarm.evaluation_periods_count = 1;
    scenario.circuit.alarm.datapoints_to_alarm_count = 1;
    scenario.circuit.backoff = Backoff { base_s: 5, rate: 1.5, cap_s: 20, jitter: Jitter::Full };
    scenario.length = minutes(35);
    scenario
}

fn backlog_of_200_spread() -> Scenario {
    backlog_of(
        "backlog_of_200_spread",
        "200 messages with attributes are re-jittered; their consumer gets them whole, and their receives are not forgotten",
        200,
    )
}

fn two_alarms_at_once() -> Scenario {
    let mut scenario = outage_until(
        "two_alarms_at_once",
        "somebody's automation asks for the trip too: before the alarm, with it, and on the way back",
        minutes(25),
    );
    let around = |minute: u64, count: u64, every_s: u64| {
        (0..count).map(move |step| minutes(minute) + Duration::from_secs(step * every_s))
    };
    scenario.actions =
        around(6, 12, 15).chain(around(25, 6, 5)).map(|at| (at, Action::RequestTrip)).collect();
    scenario.circuit.backoff = Backoff { base_s: 5, rate: 1.5, cap_s: 20, jitter: Jitter::Full };
    scenario.knobs.duplicate_event_percent = 50.0;
    scenario.traffic[0].rate_per_s = 3.0;
    scenario
}

fn partial_failures_of_a_minute() -> Scenario {
    let mut scenario = outage_until(
        "partial_failures_of_a_minute",
        "the consumer answers batchItemFailures for a minute's batches; the alarm's one period of 60 s is enough",
        minutes(15),
    );
    scenario.traffic[0].rate_per_s = 3.0;
    scenario.circuit.example.report_batch_item_failures = true;
    scenario.circuit.alarm.evaluation_periods_count = 1;
    scenario.circuit.alarm.datapoints_to_alarm_count = 1;
    scenario
}

fn mapping_busy_and_slow() -> Scenario {
    let mut scenario = outage_until(
        "mapping_busy_and_slow",
        "half of the mapping's updates are refused with a conflict, a tenth of all calls are throttled, each transition takes minutes",
        minutes(45),
    );
    scenario.traffic[0].rate_per_s = 3.0;
    scenario.faults = FaultPlan {
        rates_ppm: [
            (FaultKind::UpdateConflict, 500_000),
            (FaultKind::CallThrottled, 100_000),
            (FaultKind::TransitionSlow, 1_000_000),
        ]
        .into(),
        until: minutes(70),
    };
    scenario
}

fn poison_at_the_head() -> Scenario {
    let mut scenario = outage_until(
        "poison_at_the_head",
        "a message that always fails is the first of a FIFO queue; another one proves the recovery",
        minutes(25),
    );
    scenario.circuit.example.fifo = true;
    scenario.traffic = vec![
        burst(minutes(4) + Duration::from_secs(59), 1, MessageKind::Poison),
        steady(minutes(5), minutes(40), 1.0),
    ];
    scenario.circuit.backoff = Backoff { base_s: 20, rate: 2.0, cap_s: 300, jitter: Jitter::Full };
    scenario.length = minutes(40);
    scenario.settle_limit = minutes(240);
    scenario.ending = Ending { dead_lettered: 1..=1, ..closed(1..=1) };
    scenario
}

fn queue_shared_with_others() -> Scenario {
    let mut scenario = outage_until(
        "queue_shared_with_others",
        "a consumer as slow as its timeout allows, and somebody else who receives whatever is visible, time and again",
        minutes(25),
    );
    scenario.circuit.example.function_timeout_s = 60;
    scenario.circuit.example.visibility_timeout_s = 60;
    scenario.circuit.example.max_receive_count = 1_000;
    scenario.knobs.failing_ms = 55_000..=59_500;
    scenario.knobs.healthy_ms = 55_000..=59_500;
    // With the calls before and after it, a probe takes longer than the queue's visibility timeout.
    scenario.knobs.call_ms = 1_000..=3_000;
    scenario.traffic = vec![steady(Duration::ZERO, minutes(10), 0.5), steady(minutes(40), minutes(45), 0.5)];
    scenario.actions = (0..80)
        .map(|look| (minutes(12) + Duration::from_secs(look * 20), Action::HoldEveryMessage))
        .collect();
    scenario.length = minutes(60);
    scenario
}

fn backlog_of_20000() -> Scenario {
    let mut scenario = backlog_of(
        "backlog_of_20000",
        "20,000 messages wait for the recovery; none is missed by the re-jitter, and they arrive as fast as they are to",
        20_000,
    );
    scenario.traffic[1].rate_per_s = 1_000.0;
    scenario.traffic[1].until = scenario.traffic[1].from + Duration::from_secs_f64(19_939.5 / 1_000.0);
    scenario
}

fn one_failure_in_a_quiet_minute() -> Scenario {
    let mut scenario = outage_until(
        "one_failure_in_a_quiet_minute",
        "a message each five minutes, and one that always fails, each minute anew: no trip",
        minutes(35),
    );
    scenario.dependency.clear();
    scenario.traffic = vec![
        steady(Duration::from_secs(30), minutes(35), 1.0 / 300.0),
        burst(minutes(6), 1, MessageKind::Poison),
    ];
    scenario.length = minutes(40);
    scenario.ending = Ending { dead_lettered: 1..=1, ..closed(0..=0) };
    scenario
}

fn two_copies_in_one_account() -> Scenario {
    let mut scenario = outage_until(
        "two_copies_in_one_account",
        "a second copy of the stack stands in the same account; one trips, the other is left alone",
        minutes(25),
    );
    scenario.traffic[0].rate_per_s = 3.0;
    scenario.neighbour = true;
    scenario
}

fn backlog_of_200_delivered() -> Scenario {
    let mut scenario = backlog_of(
        "backlog_of_200_delivered",
        "200 messages wait for the recovery: the first and the last of them are delivered soon after it",
        200,
    );
    // The mapping switches at once, as where the earlier breaker was measured.
    scenario.knobs.transition_ms = 500..=1_500;
    scenario
}

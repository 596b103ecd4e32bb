//! The scenarios that can be run by name.

use std::time::Duration;

use serde_json::{Value, json};
use workflow::backoff::{Backoff, Jitter};
use workflow::config::{AlarmSignal, CircuitConfig, ExhaustedThen, RedriveAfterClose};

use super::{Action, Dependency, Ending, MessageKind, Scenario, Traffic};
use crate::cloud::Knobs;
use crate::faults::FaultPlan;

/// Messages per second in most scenarios.
pub const RATE_PER_S: f64 = 10.0;

/// Every scenario, in the order in which they are best read.
pub fn all() -> Vec<Scenario> {
    let mut all = vec![
        outage(),
        long_outage(),
        brownout(),
        empty_queue(),
        all_in_flight(),
        partial_batch(),
        alarm_repeats(),
        retries_exhausted(),
        probe_slow(),
        poison_message(),
        fifo_queue(),
        operator_disabled_before(),
        week_outage(),
        last_receives(),
        signal_function_errors(),
        signal_failed_count(),
        signal_existing_alarm(),
        signal_composite_alarm(),
        retention_at_risk(),
        retention_raised(),
        dead_letters_redriven(),
        dead_letters_not_told_apart(),
    ];
    all.extend(super::outside::all());
    all.extend(super::ramp::all());
    all.extend(super::regressions::all());
    all.extend(super::mistakes::all());
    all
}

/// The scenario with this name.
pub fn find(name: &str) -> Option<Scenario> {
    all().into_iter().find(|scenario| scenario.name == name)
}

pub const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// Failing from minute 5, healthy again from `until`; traffic from the start until fifteen minutes after that.
pub fn outage_until(name: &'static str, summary: &'static str, until: Duration) -> Scenario {
    let traffic_end = until + minutes(15);
    Scenario {
        name,
        summary,
        circuit: CircuitConfig::default(),
        own_alarms: Vec::new(),
        neighbour: false,
        traffic: vec![steady(Duration::ZERO, traffic_end, RATE_PER_S)],
        dependency: vec![(minutes(5), Dependency::Failing), (until, Dependency::Healthy)],
        actions: Vec::new(),
        knobs: Knobs::default(),
        faults: FaultPlan::default(),
        length: traffic_end,
        settle_limit: minutes(60),
        ending: closed(1..=1),
    }
}

pub fn steady(from: Duration, until: Duration, rate_per_s: f64) -> Traffic {
    Traffic { from, until, rate_per_s, kind: MessageKind::Order }
}

/// Closed, enabled, drained, nothing dead-lettered.
pub fn closed(trips: std::ops::RangeInclusive<u64>) -> Ending {
    Ending { circuit: "closed", mapping: "Enabled", drained: true, trips, dead_lettered: 0..=0 }
}

fn outage() -> Scenario {
    outage_until("outage", "a dependency is down for 40 minutes", minutes(45))
}

/// The scenario `outage` with another length and another rate, messages per second, for those who measure.
pub fn outage_of(length: Duration, rate_per_s: f64) -> Scenario {
    let mut scenario = outage_until("outage", "a dependency is down", minutes(5) + length);
    scenario.traffic[0].rate_per_s = rate_per_s;
    scenario
}

fn long_outage() -> Scenario {
    let mut scenario = outage_until("long_outage", "a dependency is down for 12 hours", minutes(5 + 12 * 60));
    scenario.traffic[0].rate_per_s = 20.0;
    scenario.settle_limit = minutes(4 * 60);
    scenario
}

fn week_outage() -> Scenario {
    let mut scenario = outage_until(
        "week_outage",
        "a dependency is down for 7 days; executions hand over before their history is full",
        minutes(5 + 7 * 24 * 60),
    );
    scenario.traffic = vec![steady(Duration::ZERO, minutes(30), 1.0)];
    // As long as there is: the dead-letter queue, which counts from the first send too, has to keep a little longer.
    scenario.circuit.example.retention_s = 1_209_000;
    scenario
}

fn last_receives() -> Scenario {
    let mut scenario = outage_until(
        "last_receives",
        "a short redrive policy: probes meet messages at their last receive",
        minutes(65),
    );
    scenario.circuit.example.max_receive_count = 10;
    // Few messages and many probes, so that each message is received time and again.
    scenario.traffic = vec![steady(Duration::ZERO, minutes(9), 0.1), steady(minutes(64), minutes(75), 1.0)];
    scenario.circuit.backoff = Backoff { base_s: 5, rate: 2.0, cap_s: 20, jitter: Jitter::Full };
    scenario.length = minutes(80);
    scenario
}

fn brownout() -> Scenario {
    let mut scenario = outage_until("brownout", "60 % of the invocations fail for 40 minutes", minutes(45));
    scenario.dependency[0].1 = Dependency::Flaky(60.0);
    // Two probes in a row succeed now and then: the circuit closes into the brownout and opens again.
    // With 60 % failures some message fails all of its fifteen times, breaker or not.
    scenario.ending = Ending { trips: 1..=20, dead_lettered: 0..=100, ..closed(1..=1) };
    scenario
}

pub fn empty_queue() -> Scenario {
    let mut scenario =
        outage_until("empty_queue", "all messages are gone while the circuit is open", minutes(25));
    scenario.traffic =
        vec![steady(Duration::ZERO, minutes(15), RATE_PER_S), steady(minutes(40), minutes(55), RATE_PER_S)];
    scenario.actions = vec![(minutes(16), Action::PurgeQueue)];
    scenario.length = minutes(55);
    // A limited close into an outage that lasts is no recovery: it reopens in the same execution.
    scenario.ending = closed(1..=2);
    scenario
}

fn all_in_flight() -> Scenario {
    let mut scenario = outage_until(
        "all_in_flight",
        "every message is in flight when the first probe is fetched",
        minutes(10),
    );
    // A burst just before the trip, and nothing after it: what there is hangs in failed batches.
    scenario.traffic =
        vec![steady(Duration::ZERO, minutes(8), RATE_PER_S), steady(minutes(30), minutes(35), RATE_PER_S)];
    scenario.circuit.example.visibility_timeout_s = 300;
    scenario.circuit.backoff = Backoff { base_s: 5, rate: 1.5, cap_s: 60, jitter: Jitter::Full };
    scenario.actions = vec![(minutes(10), Action::HoldEveryMessage)];
    scenario.length = minutes(35);
    scenario
}

fn partial_batch() -> Scenario {
    let mut scenario = outage_until(
        "partial_batch",
        "the consumer answers batchItemFailures instead of failing",
        minutes(35),
    );
    scenario.circuit.example.report_batch_item_failures = true;
    scenario
}

fn alarm_repeats() -> Scenario {
    let mut scenario = outage_until(
        "alarm_repeats",
        "the alarm's event arrives twice, and again while the circuit is open",
        minutes(35),
    );
    scenario.knobs.duplicate_event_percent = 100.0;
    scenario.actions = vec![
        (minutes(12), Action::RepeatAlarmEvent),
        (minutes(20), Action::RepeatAlarmEvent),
        (minutes(30), Action::RequestTrip),
    ];
    scenario
}

fn retries_exhausted() -> Scenario {
    let mut scenario = outage_until(
        "retries_exhausted",
        "the configured probes are used up; the breaker says so and goes on slowly",
        minutes(90),
    );
    scenario.circuit.exhausted.after_probes_count = Some(5);
    scenario.circuit.exhausted.then = ExhaustedThen::KeepProbing;
    scenario.circuit.exhausted.slow_probe_s = 600;
    scenario
}

fn probe_slow() -> Scenario {
    let mut scenario =
        outage_until("probe_slow", "the consumer runs into its timeout instead of failing", minutes(35));
    scenario.dependency[0].1 = Dependency::Hanging;
    scenario
}

fn poison_message() -> Scenario {
    let mut scenario =
        outage_until("poison_message", "one message always fails; the dependency recovers", minutes(25));
    scenario.traffic.push(Traffic {
        from: minutes(4),
        until: minutes(4) + Duration::from_millis(100),
        rate_per_s: RATE_PER_S,
        kind: MessageKind::Poison,
    });
    // It ends where it belongs: in the dead-letter queue, by the queue's own policy.
    scenario.settle_limit = minutes(120);
    // A batch fails as a whole: a message that shares every batch of the poisonous one shares its fate.
    scenario.ending = Ending { dead_lettered: 1..=10, ..closed(1..=1) };
    scenario
}

fn fifo_queue() -> Scenario {
    let mut scenario = outage_until("fifo_queue", "a FIFO queue with eight message groups", minutes(35));
    scenario.circuit.example.fifo = true;
    scenario.traffic[0].rate_per_s = 5.0;
    scenario
}

fn operator_disabled_before() -> Scenario {
    let mut scenario = outage_until(
        "operator_disabled_before",
        "an operator disabled the mapping before the trip; it stays disabled",
        minutes(35),
    );
    scenario.dependency.clear();
    scenario.actions = vec![(minutes(6), Action::DisableMapping), (minutes(10), Action::RequestTrip)];
    scenario.length = minutes(35);
    scenario.ending = Ending { mapping: "Disabled", drained: false, ..closed(1..=1) };
    scenario
}

fn signal_function_errors() -> Scenario {
    let mut scenario = outage_until(
        "signal_function_errors",
        "the alarm looks at the function's errors, which the breaker's own probes feed",
        minutes(35),
    );
    scenario.circuit.alarm.signal = AlarmSignal::FunctionErrors;
    // Six probes a minute are more than the minimum volume: they alone keep the alarm firing.
    scenario.circuit.backoff = Backoff { base_s: 10, rate: 1.0, cap_s: 10, jitter: Jitter::None };
    scenario
}

fn signal_failed_count() -> Scenario {
    let mut scenario = outage_until(
        "signal_failed_count",
        "the alarm is a plain threshold on the number of failed events",
        minutes(35),
    );
    scenario.circuit.alarm.signal = AlarmSignal::FailedCount;
    scenario.circuit.alarm.failed_events_count = 100;
    scenario
}

fn signal_existing_alarm() -> Scenario {
    let mut scenario = outage_until(
        "signal_existing_alarm",
        "a metric alarm that the user had before trips the circuit",
        minutes(35),
    );
    watch_own_alarm(&mut scenario, "orders-failing", false);
    scenario.own_alarms = vec![("UsersAlarm", failing_function("orders-failing"))];
    scenario
}

fn signal_composite_alarm() -> Scenario {
    let mut scenario = outage_until(
        "signal_composite_alarm",
        "a composite alarm that the user had before trips the circuit, but not during maintenance",
        minutes(35),
    );
    watch_own_alarm(&mut scenario, "orders-down", true);
    let maintenance = json!({
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": "orders-maintenance",
            "Namespace": "Orders",
            "MetricName": "Maintenance",
            "Statistic": "Maximum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        },
    });
    let down = json!({
        "Type": "AWS::CloudWatch::CompositeAlarm",
        "Properties": {
            "AlarmName": "orders-down",
            "AlarmRule": "ALARM(\"orders-failing\") AND NOT ALARM(\"orders-maintenance\")",
        },
    });
    scenario.own_alarms = vec![
        ("UsersAlarm", failing_function("orders-failing")),
        ("UsersMaintenanceAlarm", maintenance),
        ("UsersCompositeAlarm", down),
    ];
    scenario
}

fn retention_at_risk() -> Scenario {
    let mut scenario = outage_until(
        "retention_at_risk",
        "an outage of 8 hours, a retention of 10: the loss clock announces both its marks",
        minutes(5 + 8 * 60),
    );
    scenario.circuit.example.retention_s = 36_000;
    scenario.traffic[0].rate_per_s = 1.0;
    scenario
}

pub fn retention_raised() -> Scenario {
    let mut scenario = outage_until(
        "retention_raised",
        "an outage longer than the retention, which is raised meanwhile and given back when the queue is drained",
        minutes(5 + 6 * 60),
    );
    scenario.circuit.example.retention_s = 14_400;
    scenario.circuit.retention.raise_to_s = Some(86_400);
    scenario.traffic[0].rate_per_s = 1.0;
    scenario.settle_limit = minutes(24 * 60);
    scenario
}

/// Somebody looks at the queue time and again while it is open: each look is a receive, and the last one dead-letters.
fn dead_letters(name: &'static str, summary: &'static str) -> Scenario {
    let mut scenario = outage_until(name, summary, minutes(65));
    scenario.circuit.example.max_receive_count = 9;
    scenario.circuit.redrive.after_close = RedriveAfterClose::Incident;
    // All that waits was sent before the looks begin, and new messages come when it is over.
    scenario.traffic = vec![steady(Duration::ZERO, minutes(12), 1.0), steady(minutes(62), minutes(80), 1.0)];
    scenario.actions = (0..12).map(|look| (minutes(20 + 2 * look), Action::HoldEveryMessage)).collect();
    scenario.length = minutes(80);
    scenario.settle_limit = minutes(120);
    scenario
}

fn dead_letters_redriven() -> Scenario {
    dead_letters(
        "dead_letters_redriven",
        "somebody's receives dead-letter the backlog; the dead-letter queue was empty and is redriven after the close",
    )
}

fn dead_letters_not_told_apart() -> Scenario {
    let mut scenario = dead_letters(
        "dead_letters_not_told_apart",
        "as dead_letters_redriven, but the dead-letter queue held a message before: nothing is redriven",
    );
    // The poisonous message is dead-lettered before the outage, which begins later for that.
    let shift = minutes(30);
    for traffic in &mut scenario.traffic {
        traffic.until += shift;
    }
    scenario.traffic[1].from += shift;
    scenario.dependency.iter_mut().for_each(|(at, _)| *at += shift);
    scenario.actions.iter_mut().for_each(|(at, _)| *at += shift);
    scenario.length += shift;
    let until = Duration::from_millis(100);
    scenario.traffic.push(Traffic {
        from: Duration::ZERO,
        until,
        rate_per_s: RATE_PER_S,
        kind: MessageKind::Poison,
    });
    scenario.ending.dead_lettered = 2..=1_000_000;
    scenario
}

fn watch_own_alarm(scenario: &mut Scenario, name: &str, is_composite: bool) {
    let alarm = &mut scenario.circuit.alarm;
    alarm.signal = AlarmSignal::Existing;
    alarm.existing_alarm_arn = Some(format!("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}"));
    alarm.existing_alarm_is_composite = is_composite;
}

/// An alarm as people have them: so many errors of the function in 2 of 3 minutes, and no word about missing data, so that
/// it has insufficient data while the circuit is open.
fn failing_function(name: &str) -> Value {
    json!({
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": name,
            "Namespace": "AWS/Lambda",
            "MetricName": "Errors",
            "Dimensions": [{ "Name": "FunctionName", "Value": { "Ref": "ExampleConsumerFunction" } }],
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 3,
            "DatapointsToAlarm": 2,
            "Threshold": 10,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        },
    })
}

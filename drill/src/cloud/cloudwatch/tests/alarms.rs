//! Alarms over time: what they read, when they change, and what they tell.

use super::*;

/// Puts one value a minute (- is none), and evaluates at the end of each; the changes, by minute.
fn run(alarm: &mut Alarm, key: SeriesKey, values: &str) -> String {
    let mut metrics = Metrics::default();
    let id = metrics.intern(key);
    let mut changes = Vec::new();
    for (minute, value) in (0..).zip(values.split(' ')) {
        if let Ok(value) = value.parse() {
            metrics.put(id, START_MS + minute * MINUTE_MS + 30_000, value);
        }
        if let Some(change) = alarm.evaluate(START_MS + (minute + 1) * MINUTE_MS, &metrics) {
            changes.push(format!("{}:{}", minute + 1, change.state.value.name()));
        }
    }
    changes.join(" ")
}

#[track_caller]
fn check(properties: Value, values: &str, expected: &str) {
    assert_eq!(run(&mut alarm(&properties), errors(), values), expected);
}

#[test]
fn states_follow_the_points() {
    check(plain(json!({})), "0 1 1 0 0", "1:OK 2:ALARM 4:OK");
    check(plain(json!({ "EvaluationPeriods": 3 })), "1 1 1 0", "3:ALARM 4:OK");
    check(
        plain(json!({ "EvaluationPeriods": 3, "DatapointsToAlarm": 2 })),
        "0 1 0 1 0 0",
        "1:OK 4:ALARM 5:OK",
    );
    check(plain(json!({ "Threshold": 1 })), "0 1 2", "1:OK 3:ALARM");
    check(
        plain(json!({ "Threshold": 1, "ComparisonOperator": "LessThanOrEqualToThreshold" })),
        "0 1 2",
        "1:ALARM 3:OK",
    );
    check(
        plain(json!({ "Threshold": 1, "ComparisonOperator": "LessThanThreshold" })),
        "0 1 2",
        "1:ALARM 2:OK",
    );
}

#[test]
fn after_the_data_stops_the_last_points_decide_until_they_leave_the_range() {
    let stops = "1 1 1 - - - - - -";
    let three = |treat: &str| plain(json!({ "EvaluationPeriods": 3, "TreatMissingData": treat }));
    check(three("notBreaching"), stops, "1:OK 3:ALARM 6:OK");
    check(three("missing"), stops, "3:ALARM 8:INSUFFICIENT_DATA");
    check(three("ignore"), stops, "3:ALARM");
    check(three("breaching"), stops, "1:ALARM");
}

#[test]
fn late_data_is_seen_late_and_a_five_minute_period_slides_by_one() {
    let mut late = alarm(&plain(json!({})));
    late.knobs_mut().metric_delay_ms = 90_000;
    assert_eq!(run(&mut late, errors(), "0 0 1 0 0 0 0"), "3:OK 5:ALARM 6:OK");
    check(
        plain(
            json!({ "Period": 300, "Threshold": 3, "ComparisonOperator": "GreaterThanOrEqualToThreshold" }),
        ),
        "0 1 1 1 0 0 0 0",
        "1:OK 4:ALARM 7:OK",
    );
}

#[test]
fn statistics_aggregate_over_the_period() {
    fn check(statistic: &str, expected: f64) {
        let mut alarm = alarm(&plain(json!({
            "Statistic": statistic,
            "Period": 120,
            "Threshold": -100,
        })));
        let mut metrics = Metrics::default();
        let id = metrics.intern(errors());
        // The second value is stamped with its invocation's start, minutes after later ones were put.
        for (second, value) in [(70, 4.0), (5, 1.0), (119, -2.0)] {
            metrics.put(id, START_MS + second * 1_000, value);
        }
        let change = alarm.evaluate(START_MS + 2 * MINUTE_MS, &metrics).unwrap();
        let data: Value = serde_json::from_str(&change.state.reason_data.unwrap()).unwrap();
        assert_eq!(data["recentDatapoints"], json!([expected]));
    }
    check("Sum", 3.0);
    check("Average", 1.0);
    check("Maximum", 4.0);
    check("Minimum", -2.0);
    check("SampleCount", 3.0);
}

#[test]
fn metric_math_needs_volume_and_share() {
    let mut metrics = Metrics::default();
    let dimensions = [("EventSourceMappingUUID", "u-1")];
    let failed = metrics.intern(SeriesKey::new("AWS/Lambda", "FailedInvokeEventCount", &dimensions));
    let invoked = metrics.intern(SeriesKey::new("AWS/Lambda", "InvokedEventCount", &dimensions));
    let mut alarm = alarm(&ratio(json!({})));
    let mut changes = Vec::new();
    for (minute, (failures, invocations)) in
        (0..).zip([(1.0, 1.0), (9.0, 9.0), (6.0, 10.0), (0.0, 20.0), (10.0, 20.0)])
    {
        metrics.put(invoked, START_MS + minute * MINUTE_MS, invocations);
        metrics.put(failed, START_MS + minute * MINUTE_MS, failures);
        let change = alarm.evaluate(START_MS + (minute + 1) * MINUTE_MS, &metrics);
        changes.extend(change.map(|change| (minute + 1, change.state.value)));
    }
    assert_eq!(changes, [(1, StateValue::Ok), (5, StateValue::Alarm)]);
}

#[test]
fn a_set_state_holds_until_the_next_evaluation() {
    let mut alarm = alarm(&plain(json!({ "AlarmActions": ["arn:page"], "OKActions": ["arn:calm"] })));
    let mut metrics = Metrics::default();
    let id = metrics.intern(errors());
    metrics.put(id, START_MS, 1.0);
    let tripped = alarm.evaluate(START_MS + MINUTE_MS, &metrics).unwrap();
    assert_eq!(tripped.actions, ["arn:page"]);
    let set = alarm.set_state(StateValue::Ok, "Circuit closed", None, START_MS + 61_000).unwrap();
    assert_eq!((set.previous.value, set.state.value), (StateValue::Alarm, StateValue::Ok));
    assert_eq!(set.actions, ["arn:calm"]);
    assert!(alarm.set_state(StateValue::Ok, "again", None, START_MS + 62_000).is_none());
    metrics.put(id, START_MS + MINUTE_MS, 1.0);
    let again = alarm.evaluate(START_MS + 2 * MINUTE_MS, &metrics).unwrap();
    assert_eq!(again.previous.reason, "again");
    assert_eq!(again.state.value, StateValue::Alarm);
}

#[test]
fn disabled_actions_do_not_stop_the_event() {
    let mut alarm = alarm(&plain(json!({ "ActionsEnabled": false, "AlarmActions": ["arn:page"] })));
    let change = alarm.set_state(StateValue::Alarm, "test", None, START_MS).unwrap();
    assert_eq!(change.actions, Vec::<String>::new());
}

#[test]
fn the_first_event_of_a_metric_math_alarm() {
    let mut metrics = Metrics::default();
    let dimensions = [("EventSourceMappingUUID", "u-1")];
    let failed = metrics.intern(SeriesKey::new("AWS/Lambda", "FailedInvokeEventCount", &dimensions));
    let invoked = metrics.intern(SeriesKey::new("AWS/Lambda", "InvokedEventCount", &dimensions));
    for minute in 0..2 {
        metrics.put(failed, START_MS + minute * MINUTE_MS, 30.0);
        metrics.put(invoked, START_MS + minute * MINUTE_MS, 40.0);
    }
    let change = alarm(&ratio(json!({}))).evaluate(START_MS + 2 * MINUTE_MS + 985, &metrics).unwrap();
    insta::assert_json_snapshot!(change.to_event("2dde0eb1-528b-d2d5-9ca6-6d590caf2329"));
}

#[test]
fn a_later_event_of_a_plain_alarm() {
    let mut metrics = Metrics::default();
    let id = metrics.intern(errors());
    metrics.put(id, START_MS, 0.0);
    let mut alarm = alarm(&plain(json!({ "AlarmDescription": "The consumer fails" })));
    alarm.evaluate(START_MS + MINUTE_MS, &metrics);
    metrics.put(id, START_MS + MINUTE_MS, 3.0);
    metrics.put(id, START_MS + MINUTE_MS, 4.5);
    let change = alarm.evaluate(START_MS + 2 * MINUTE_MS, &metrics).unwrap();
    insta::assert_json_snapshot!(change.to_event("c4c1c1c9-6542-e61b-6ef0-8c4d36933a92"));
}

#[test]
fn reasons_read_like_recorded_ones() {
    fn check(changes: Value, values: &str, expected: &str) {
        let mut alarm = alarm(&plain(changes));
        run(&mut alarm, errors(), values);
        assert_eq!(alarm.state().reason, expected);
    }
    check(
        json!({ "EvaluationPeriods": 2, "Threshold": 42 }),
        "43 44",
        "Threshold Crossed: 2 datapoints [44.0 (21/11/26 08:01:00), 43.0 (21/11/26 08:00:00)] were greater than \
         the threshold (42.0).",
    );
    check(
        json!({ "EvaluationPeriods": 20, "DatapointsToAlarm": 1, "TreatMissingData": "notBreaching" }),
        "613",
        "Threshold Crossed: 1 out of the last 20 datapoints [613.0 (21/11/26 08:00:00)] was greater than the \
         threshold (0.0) and 19 missing datapoints were treated as [NonBreaching] (minimum 1 datapoint for \
         OK -> ALARM transition).",
    );
    check(
        json!({ "EvaluationPeriods": 2, "TreatMissingData": "breaching" }),
        "-",
        "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as \
         [Breaching].",
    );
    check(
        json!({ "TreatMissingData": "notBreaching" }),
        "-",
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as \
         [NonBreaching].",
    );
    check(
        json!({ "EvaluationPeriods": 3, "DatapointsToAlarm": 2, "TreatMissingData": "breaching" }),
        "0",
        "Threshold Crossed: 1 datapoint was received for 3 periods and 2 missing datapoints were treated as \
         [Breaching].",
    );
    check(json!({}), "0 - - - -", "Insufficient Data: 1 datapoint was unknown.");
}

//! Composite alarms: what a rule makes of the states, and until when a set state holds.

use super::*;
use crate::cloud::cloudwatch::alarm::AlarmState;

const COMPOSITE: &str = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:orders";

fn composite(rule: &str) -> Result<CompositeAlarm, String> {
    let properties = json!({ "AlarmName": "orders", "AlarmDescription": "Orders fail", "AlarmRule": rule });
    CompositeAlarm::from_properties("orders", COMPOSITE, &properties, START_MS)
        .map_err(|error| error.to_string())
}

fn state(value: StateValue) -> AlarmState {
    AlarmState { value, reason: String::new(), reason_data: None, timestamp_ms: START_MS }
}

/// Evaluates `rule` while the alarms in `firing` are in ALARM, `dark` is INSUFFICIENT_DATA and all others are OK.
fn check(rule: &str, firing: &[&str], expected: StateValue) {
    let mut alarm = composite(rule).unwrap();
    let state_of = |name: &str| match name {
        "dark" => StateValue::InsufficientData,
        name if firing.contains(&name) => StateValue::Alarm,
        _ => StateValue::Ok,
    };
    let change =
        alarm.evaluate((ARN, &state(StateValue::Ok)), &state_of, START_MS).expect("the first evaluation");
    assert_eq!(change.state.value, expected, "{rule}");
}

#[test]
fn a_rule_is_what_it_says() {
    use StateValue::{Alarm, Ok};
    check(r#"ALARM("a")"#, &["a"], Alarm);
    check(r#"ALARM("a")"#, &[], Ok);
    check("ALARM(a b) OR ALARM(c)", &["a b"], Alarm);
    check(r#"ALARM("a") AND NOT ALARM("b")"#, &["a"], Alarm);
    check(r#"ALARM("a") AND NOT ALARM("b")"#, &["a", "b"], Ok);
    check(r#"NOT (ALARM("a") OR OK("b"))"#, &["b"], Alarm);
    check(r#"INSUFFICIENT_DATA("dark") AND (FALSE OR TRUE)"#, &[], Alarm);
    // AND binds closer than OR.
    check("ALARM(a) OR ALARM(b) AND ALARM(c)", &["a"], Alarm);
    check("(ALARM(a) OR ALARM(b)) AND ALARM(c)", &["a"], Ok);
}

#[test]
fn a_rule_that_cannot_be_read_is_refused() {
    for (rule, said) in [
        ("", "is expected"),
        ("TRUE", "a rule that names 1 to 100 alarms"),
        ("ALARM(a", "has no end"),
        ("ALARM()", "has no name"),
        ("(ALARM(a)", "a closing parenthesis is missing"),
        ("ALARM(a) ALARM(b)", "follows after its end"),
        ("ALARMED(a)", "is expected"),
        ("AT_LEAST(2, ALARM, (a, b))", "is expected"),
    ] {
        let refused = composite(rule).unwrap_err();
        assert!(refused.contains(said), "{rule}: {refused}");
    }
    let deep = format!("{}ALARM(a){}", "(".repeat(100), ")".repeat(100));
    assert!(composite(&deep).unwrap_err().contains("nested deeper"));
}

#[test]
fn a_set_state_holds_until_a_child_changes_and_the_event_names_that_child() {
    let mut alarm = composite("ALARM(failing) OR ALARM(late)").unwrap();
    let firing = |_: &str| StateValue::Alarm;
    let first = alarm.evaluate((ARN, &state(StateValue::Alarm)), &firing, START_MS).unwrap();
    let event = first.to_event("id");
    assert_eq!(
        (&event["source"], &event["detail-type"]),
        (&json!("aws.cloudwatch"), &json!("CloudWatch Alarm State Change"))
    );
    assert_eq!(event["resources"], json!([COMPOSITE]));
    assert_eq!(
        event["detail"]["configuration"],
        json!({ "description": "Orders fail", "alarmRule": "ALARM(failing) OR ALARM(late)" })
    );
    assert_eq!(
        event["detail"]["state"]["reason"],
        format!("{ARN} transitioned to ALARM at Saturday 21 November, 2026 08:00:00 UTC")
    );
    let set = alarm.set_state(StateValue::Ok, "closed", START_MS + 1).expect("a change");
    assert_eq!(set.state.value, StateValue::Ok);
    // Nothing evaluates it until a child changes; when one does, the rule decides again.
    assert!(alarm.watches("late", ARN) && alarm.watches("failing", "") && !alarm.watches("x", "y"));
    let again = alarm.evaluate((ARN, &state(StateValue::Alarm)), &firing, START_MS + 2).expect("a change");
    assert_eq!((again.previous.value, again.state.value), (StateValue::Ok, StateValue::Alarm));
}

//! The example consumer.

use lambdas::consumer::{ConsumerSettings, handle};
use lambdas::ports::CallErrorKind;
use serde_json::{Value, json};

use crate::fake::{ARN, CANARY, World};

const GOOD: &str = r#"{"order":1}"#;
const POISON: &str = "canary-4711 is no JSON";

fn event(bodies: &[&str], arn: &str) -> Value {
    let records: Vec<Value> = bodies
        .iter()
        .enumerate()
        .map(|(at, body)| json!({ "messageId": format!("m-{at}"), "body": body, "eventSourceARN": arn }))
        .collect();
    json!({ "Records": records })
}

fn settings(variables: &[(&str, &str)]) -> ConsumerSettings {
    ConsumerSettings::from_variables(|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string())
    })
}

/// Runs the consumer and answers its JSON, or its error type.
fn ask(world: &World, payload: Value, settings: &ConsumerSettings) -> Value {
    match world.run(handle(payload, settings, world)).expect("no crash was asked for") {
        Ok(answer) => serde_json::to_value(answer).unwrap(),
        Err(error) => {
            assert!(!error.to_string().contains(CANARY), "{error}");
            json!(error.error_type())
        }
    }
}

fn check(bodies: &[&str], variables: &[(&str, &str)], expected: Value, booked: &[&str]) {
    let world = World::new();
    let mut all = vec![("LEDGER_QUEUE_URL", "https://ledger")];
    all.extend(variables);
    assert_eq!(ask(&world, event(bodies, ARN), &settings(&all)), expected, "{bodies:?} with {variables:?}");
    assert_eq!(*world.ledger.borrow(), booked, "{bodies:?} with {variables:?}");
}

fn failures(ids: &[&str]) -> Value {
    let items: Vec<Value> = ids.iter().map(|id| json!({ "itemIdentifier": id })).collect();
    json!({ "batchItemFailures": items })
}

const ERROR: (&str, &str) = ("SHOULD_ERROR", "true");
const REPORT: (&str, &str) = ("REPORT_BATCH_ITEM_FAILURES", "true");

#[test]
fn without_reporting_a_batch_succeeds_or_fails_as_a_whole() {
    check(&[GOOD, "17"], &[], Value::Null, &["m-0", "m-1"]);
    check(&[GOOD, "17"], &[("SHOULD_ERROR", "false")], Value::Null, &["m-0", "m-1"]);
    check(&[GOOD, GOOD], &[ERROR], json!("DownstreamUnavailable"), &[]);
    check(&[GOOD, POISON], &[], json!("MalformedMessage"), &[]);
    check(&[], &[], Value::Null, &[]);
}

#[test]
fn with_reporting_each_message_succeeds_or_fails_by_itself() {
    check(&[GOOD, GOOD], &[REPORT], failures(&[]), &["m-0", "m-1"]);
    check(&[GOOD, GOOD], &[REPORT, ERROR], failures(&["m-0", "m-1"]), &[]);
    check(&[GOOD, POISON, GOOD], &[REPORT], failures(&["m-1"]), &["m-0", "m-2"]);
}

#[test]
fn on_fifo_nothing_after_a_failed_message_is_processed() {
    let world = World::new();
    let payload = event(&[GOOD, POISON, GOOD], "arn:aws:sqs:eu-central-1:123456789012:orders.fifo");
    let settings = settings(&[REPORT, ("LEDGER_QUEUE_URL", "https://ledger")]);
    assert_eq!(ask(&world, payload, &settings), failures(&["m-1", "m-2"]));
    assert_eq!(*world.ledger.borrow(), ["m-0"]);
}

#[test]
fn a_message_that_cannot_be_booked_failed() {
    for (variables, expected) in [
        (vec![("LEDGER_QUEUE_URL", "https://ledger")], json!("LedgerUnavailable")),
        (vec![("LEDGER_QUEUE_URL", "https://ledger"), REPORT], failures(&["m-0"])),
        (vec![("LEDGER_QUEUE_URL", "")], Value::Null),
        (vec![], Value::Null),
    ] {
        let world = World::new();
        world.broken_entries.borrow_mut().insert("record", CallErrorKind::Transient);
        assert_eq!(ask(&world, event(&[GOOD], ARN), &settings(&variables)), expected, "{variables:?}");
    }
}

#[test]
fn a_payload_that_is_no_event_is_refused_without_quoting_it() {
    for payload in [json!(CANARY), json!({ "Records": CANARY }), json!({ "Records": [{ "body": [CANARY] }] })]
    {
        assert_eq!(ask(&World::new(), payload, &settings(&[])), json!("InvalidEvent"));
    }
}

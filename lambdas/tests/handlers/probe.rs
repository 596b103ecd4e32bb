//! The `probe` function.

use std::collections::BTreeSet;

use lambdas::ports::CallErrorKind;
use lambdas::probe::{INVOKE_ATTEMPT_COUNT, handle};
use serde_json::{Value, json};
use workflow::contract::ProbeRequest;

use crate::fake::{ARN, Consumer, Fault, START_MS, URL, World, fence, recorded};

pub fn request() -> ProbeRequest {
    ProbeRequest {
        fence: fence(),
        queue_url: URL.into(),
        queue_arn: ARN.into(),
        function_arn: "arn:aws:lambda:eu-central-1:123456789012:function:orders".into(),
        mapping: recorded("a"),
        fifo: false,
        max_receive_count: Some(5),
        deadline_s: 30,
        long_poll_s: 20,
        put_aside_s: 300,
        proven: Vec::new(),
    }
}

fn world(message_count: usize, receive_count: u32) -> World {
    let world = World::new();
    world.put_mapping("a", "Disabled", None);
    world.max_receive_count.set(Some(5));
    world.put_messages(message_count, receive_count);
    world
}

fn ask(world: &World, request: &ProbeRequest) -> Value {
    match world.run(handle(request, world)).expect("no crash was asked for") {
        Ok(answer) => {
            let mut answer = serde_json::to_value(answer).unwrap();
            // Whoever met a message says when it was sent; every message of this world is sent at its start.
            let sent = answer.as_object_mut().unwrap().remove("sent_at_ms");
            assert_eq!(sent, answer.get("message_id").map(|_| json!(START_MS)));
            answer
        }
        Err(error) => json!(error.error_type()),
    }
}

fn check(world: &World, request: &ProbeRequest, expected: Value, calls: &[&str]) {
    world.calls.borrow_mut().clear();
    assert_eq!(ask(world, request), expected, "{:#?}", world.calls.borrow());
    assert_eq!(world.call_names(), calls);
}

/// How long each message is invisible from now on, seconds.
fn invisible_s(world: &World) -> Vec<u64> {
    let now_ms = world.now_ms.get();
    world.queue.borrow().iter().map(|stored| stored.visible_at_ms.saturating_sub(now_ms) / 1_000).collect()
}

const TRIED: [&str; 6] = ["epoch", "get_mapping", "receive", "epoch", "invoke", "delete"];
const FAILED: [&str; 6] = ["epoch", "get_mapping", "receive", "epoch", "invoke", "change_visibility"];

#[test]
fn a_healthy_consumer_gets_the_exact_event_and_the_message_is_deleted() {
    let world = world(2, 0);
    check(&world, &request(), json!({ "verdict": "healthy", "message_id": "m-0" }), &TRIED);
    assert_eq!(world.queue.borrow().len(), 1);
    let event: Value = serde_json::from_slice(&world.payloads.borrow()[0]).unwrap();
    assert_eq!(
        event,
        json!({ "Records": [{
            "messageId": "m-0", "receiptHandle": "m-0#2", "body": "canary-4711 0",
            "attributes": {
                "ApproximateReceiveCount": "1", "SentTimestamp": START_MS.to_string(), "SenderId": "AIDA",
                "AWSTraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793", "MessageGroupId": "tenant-1"
            },
            "messageAttributes": {
                "kind": { "stringValue": "canary-4711", "stringListValues": [], "binaryListValues": [],
                          "dataType": "String" },
                "raw": { "binaryValue": "AJ//", "stringListValues": [], "binaryListValues": [], "dataType": "Binary" }
            },
            "md5OfMessageAttributes": "md5", "md5OfBody": "md5", "eventSource": "aws:sqs", "eventSourceARN": ARN,
            "awsRegion": "eu-central-1"
        }] })
    );
}

#[test]
fn a_failed_message_is_put_aside_and_its_error_named() {
    let failing = r#"{"errorType":"DownstreamUnavailable","errorMessage":"canary-4711"}"#;
    for (consumer, reports, error) in [
        (Consumer::Fails(failing), false, "DownstreamUnavailable"),
        (Consumer::Hangs, false, "Timeout"),
        (Consumer::Answers(r#"{"batchItemFailures":[{"itemIdentifier":"m-0"}]}"#), true, "BatchItemFailure"),
        (
            Consumer::Answers(r#"{"batchItemFailures":[{"itemIdentifier":"x"}]}"#),
            true,
            "InvalidBatchResponse",
        ),
    ] {
        let world = world(1, 2);
        *world.consumer.borrow_mut() = consumer;
        let mut request = request();
        request.mapping.reports_batch_item_failures = reports;
        let unhealthy =
            json!({ "verdict": "unhealthy", "message_id": "m-0", "error": error, "receives_left": 2 });
        check(&world, &request, unhealthy, &FAILED);
        assert_eq!(invisible_s(&world), [300]);
    }
}

#[test]
fn a_failure_to_put_aside_does_not_fail_the_probe() {
    let world = world(1, 0);
    *world.consumer.borrow_mut() = Consumer::Fails("{}");
    world.broken_entries.borrow_mut().insert("change_visibility", CallErrorKind::Transient);
    let request = ProbeRequest { max_receive_count: None, ..request() };
    let expected = json!({ "verdict": "unhealthy", "message_id": "m-0", "error": "Unhandled" });
    assert_eq!(ask(&world, &request), expected);
    assert_eq!(world.bodies().len(), 1);
}

#[test]
fn putting_aside_stays_within_twelve_hours_of_the_receive() {
    let world = world(1, 0);
    *world.consumer.borrow_mut() = Consumer::Hangs;
    ask(&world, &ProbeRequest { put_aside_s: 43_200, deadline_s: 900, ..request() });
    assert_eq!(invisible_s(&world), [43_200 - 900 - 90]);
}

#[test]
fn nothing_received_is_empty_only_when_nothing_is_anywhere() {
    let empty = world(0, 0);
    let calls = ["epoch", "get_mapping", "receive", "counts"];
    check(&empty, &request(), json!({ "verdict": "empty" }), &calls);
    for (in_flight_count, delayed_count) in [(2, 1), (1, 0), (0, 1)] {
        let busy = world(in_flight_count + delayed_count, 0);
        for (at, stored) in busy.queue.borrow_mut().iter_mut().enumerate() {
            stored.visible_at_ms = START_MS + 3_600_000;
            stored.delayed = at < delayed_count;
        }
        let expected = json!({
            "verdict": "none_visible", "in_flight_count": in_flight_count, "delayed_count": delayed_count
        });
        check(&busy, &request(), expected, &calls);
    }
}

#[test]
fn a_mapping_that_somebody_enabled_overrules_before_anything_is_received() {
    for (state, expected) in [
        ("Enabled", json!({ "verdict": "overruled", "state": "Enabled" })),
        ("Enabling", json!({ "verdict": "overruled", "state": "Enabling" })),
        ("Updating", json!("Breaker.Transient")),
        ("Deleting", json!("Breaker.MappingMissing")),
    ] {
        let world = world(1, 0);
        world.put_mapping("a", state, None);
        check(&world, &request(), expected, &["epoch", "get_mapping"]);
    }
    let gone = world(1, 0);
    gone.mappings.borrow_mut().clear();
    check(&gone, &request(), json!("Breaker.MappingMissing"), &["epoch", "get_mapping"]);
    let busy = world(1, 0);
    busy.faults.borrow_mut().insert(2, Fault::Fail(CallErrorKind::Throttled));
    check(&busy, &request(), json!("Breaker.Transient"), &["epoch", "get_mapping"]);
}

#[test]
fn a_message_that_was_proven_before_is_deleted_again_and_another_one_tried() {
    let world = world(2, 1);
    let proven = ProbeRequest { proven: vec!["m-0".into()], ..request() };
    let calls = ["epoch", "get_mapping", "receive", "delete", "receive", "epoch", "invoke", "delete"];
    check(&world, &proven, json!({ "verdict": "healthy", "message_id": "m-1" }), &calls);
    assert!(world.queue.borrow().is_empty());
    world.put_messages(9, 1);
    let ids: Vec<String> =
        world.queue.borrow().iter().map(|stored| stored.message.message_id.clone()).collect();
    let all_proven = ProbeRequest { proven: ids, ..request() };
    assert_eq!(ask(&world, &all_proven), json!("Breaker.Transient"), "bounded, not endless");
    assert_eq!(world.queue.borrow().len(), 6);
}

#[test]
fn duplicates_do_not_lengthen_the_long_poll() {
    let world = world(1, 1);
    world.latency_ms.set(4_000);
    let proven = ProbeRequest { proven: vec!["m-0".into()], ..request() };
    assert_eq!(ask(&world, &proven)["verdict"], "empty");
    let waits: Vec<String> =
        world.calls.borrow().iter().filter(|call| call.starts_with("receive")).cloned().collect();
    assert_eq!(waits, ["receive 1 for 20 s", "receive 1 for 12 s"]);
}

#[test]
fn a_message_on_its_last_receive_is_given_back_as_a_full_copy() {
    let world = world(1, 4);
    let original = world.queue.borrow()[0].message.clone();
    let calls = ["epoch", "get_mapping", "receive", "send", "delete"];
    let expected = json!({ "verdict": "last_receive", "message_id": "m-0", "copy_id": "m-2" });
    check(&world, &request(), expected, &calls);
    let queue = world.queue.borrow();
    let copy = &queue[0].message;
    assert_eq!(queue.len(), 1);
    assert_eq!((&copy.body, &copy.message_attributes), (&original.body, &original.message_attributes));
    for kept in ["AWSTraceHeader", "MessageGroupId"] {
        assert_eq!(copy.attributes[kept], original.attributes[kept]);
    }
    assert_eq!(copy.attributes["ApproximateReceiveCount"], "0");
    assert_eq!(queue[0].visible_at_ms, START_MS);
}

#[test]
fn a_last_receive_that_cannot_be_copied_is_tried_rather_than_wasted() {
    for kind in [CallErrorKind::Transient, CallErrorKind::Refused] {
        let world = world(1, 4);
        world.broken_entries.borrow_mut().insert("send", kind);
        assert_eq!(ask(&world, &request()), json!({ "verdict": "healthy", "message_id": "m-0" }));
        assert_eq!(world.tried.borrow().len(), 1);
    }
}

/// There may be a copy or not: another send might make a second one, and without a try the next receive might
/// dead-letter the only one untried.
#[test]
fn a_last_receive_whose_copy_is_in_doubt_is_tried_and_not_copied_again() {
    let world = world(1, 4);
    world.faults.borrow_mut().insert(4, Fault::LoseAnswer);
    let calls = ["epoch", "get_mapping", "receive", "send", "epoch", "invoke", "delete"];
    check(&world, &request(), json!({ "verdict": "healthy", "message_id": "m-0" }), &calls);
    assert_eq!(world.bodies().len(), 1, "the copy");
}

#[test]
fn on_fifo_the_last_receive_is_the_probe_itself() {
    let world = world(1, 4);
    *world.consumer.borrow_mut() = Consumer::Fails("{}");
    let fifo = ProbeRequest { fifo: true, ..request() };
    let expected =
        json!({ "verdict": "unhealthy", "message_id": "m-0", "error": "Unhandled", "receives_left": 0 });
    check(&world, &fifo, expected, &FAILED);
    assert_eq!(world.tried.borrow().len(), 1);
}

#[test]
fn a_success_stays_one_when_the_message_cannot_be_deleted() {
    for kind in [CallErrorKind::Transient, CallErrorKind::Refused] {
        let world = world(1, 0);
        world.broken_entries.borrow_mut().insert("delete", kind);
        assert_eq!(ask(&world, &request()), json!({ "verdict": "healthy", "message_id": "m-0" }));
        let deletes = world.call_names().iter().filter(|name| *name == "delete").count();
        assert_eq!(deletes, if kind == CallErrorKind::Transient { 4 } else { 1 });
        world.broken_entries.borrow_mut().clear();
        world.now_ms.set(world.now_ms.get() + 3_600_000);
        let next = ProbeRequest { proven: vec!["m-0".into()], ..request() };
        assert_eq!(
            ask(&world, &next),
            json!({ "verdict": "empty" }),
            "the next probe of the round deletes it"
        );
        assert_eq!(world.tried.borrow().len(), 1);
    }
}

#[test]
fn a_short_throttle_is_waited_out_with_the_message_in_hand() {
    let world = world(1, 0);
    *world.consumer.borrow_mut() = Consumer::Throttled(INVOKE_ATTEMPT_COUNT - 1);
    assert_eq!(ask(&world, &request()), json!({ "verdict": "healthy", "message_id": "m-0" }));
    assert_eq!(world.sleeps.borrow().len(), INVOKE_ATTEMPT_COUNT as usize - 1);
}

/// A consumer that certainly did not run counts as a failed probe, so that the wait grows and receives are counted.
#[test]
fn a_consumer_that_did_not_run_is_unhealthy_by_the_services_code() {
    for (consumer, error) in [
        (Consumer::Throttled(99), "Throttled"),
        (Consumer::Breaks(CallErrorKind::Refused), "Injected"),
        (Consumer::Breaks(CallErrorKind::NotFound), "Injected"),
        (Consumer::Breaks(CallErrorKind::Conflict), "Injected"),
    ] {
        let world = world(1, 2);
        *world.consumer.borrow_mut() = consumer.clone();
        let expected =
            json!({ "verdict": "unhealthy", "message_id": "m-0", "error": error, "receives_left": 2 });
        assert_eq!(ask(&world, &request()), expected, "{consumer:?}");
        assert_eq!(invisible_s(&world), [300], "{consumer:?}");
        assert!(world.tried.borrow().is_empty());
    }
}

#[test]
fn a_missing_permission_is_no_verdict_and_the_message_is_given_back() {
    let world = world(1, 2);
    *world.consumer.borrow_mut() = Consumer::Breaks(CallErrorKind::AccessDenied);
    assert_eq!(ask(&world, &request()), json!("Breaker.AccessDenied"));
    assert_eq!(invisible_s(&world), [300]);
}

/// The consumer may be at work on the message: it stays as it was received, and nobody may repeat the probe at once.
#[test]
fn an_invoke_without_an_answer_may_still_be_running() {
    for (consumer, fault) in [
        (Consumer::Breaks(CallErrorKind::Transient), None),
        (Consumer::Answers("null"), Some(Fault::LoseAnswer)),
    ] {
        let world = world(1, 0);
        *world.consumer.borrow_mut() = consumer;
        world.faults.borrow_mut().extend(fault.map(|fault| (5, fault)));
        let calls = ["epoch", "get_mapping", "receive", "epoch", "invoke"];
        check(&world, &request(), json!("Breaker.MayBeRunning"), &calls);
        assert_eq!(invisible_s(&world), [120]);
    }
}

/// The next receive of such a message dead-letters it, and its consumer never had it.
#[test]
fn on_fifo_an_untried_message_on_its_last_receive_is_held_as_long_as_sqs_allows() {
    let fifo = ProbeRequest { fifo: true, ..request() };
    let longest_s = 43_200 - 90;
    for (consumer, expected, waited_s) in [
        (Consumer::Throttled(99), json!("unhealthy"), 3),
        (Consumer::Breaks(CallErrorKind::Refused), json!("unhealthy"), 0),
        (Consumer::Breaks(CallErrorKind::AccessDenied), json!("Breaker.AccessDenied"), 0),
    ] {
        let world = world(1, 4);
        *world.consumer.borrow_mut() = consumer;
        let answer = ask(&world, &fifo);
        assert_eq!(answer.get("verdict").unwrap_or(&answer), &expected);
        if answer.is_object() {
            assert_eq!(answer["receives_left"], 0);
        }
        assert_eq!(invisible_s(&world), [longest_s - waited_s]);
    }
    let taken_over = world(1, 4);
    taken_over.faults.borrow_mut().insert(4, Fault::Fail(CallErrorKind::Transient));
    assert_eq!(ask(&taken_over, &fifo), json!("Breaker.Transient"));
    assert_eq!(invisible_s(&taken_over), [longest_s]);
}

#[test]
fn a_new_owner_during_the_long_poll_stops_the_probe_before_the_consumer_is_invoked() {
    let world = world(1, 0);
    world.faults.borrow_mut().insert(4, Fault::Fail(CallErrorKind::Transient));
    let calls = ["epoch", "get_mapping", "receive", "epoch", "change_visibility"];
    check(&world, &request(), json!("Breaker.Transient"), &calls);
    assert_eq!(invisible_s(&world), [0]);
    world.epoch.set(Some(8));
    check(&world, &request(), json!("Breaker.StaleEpoch"), &["epoch"]);
    assert!(world.tried.borrow().is_empty());
}

#[test]
fn values_out_of_range_are_refused_by_name_before_any_call() {
    for (bad, name) in [
        (ProbeRequest { deadline_s: 0, ..request() }, "deadline_s"),
        (ProbeRequest { deadline_s: 901, ..request() }, "deadline_s"),
        (ProbeRequest { long_poll_s: 21, ..request() }, "long_poll_s"),
        (ProbeRequest { put_aside_s: 43_201, ..request() }, "put_aside_s"),
        (ProbeRequest { queue_arn: "orders".into(), ..request() }, "queue_arn"),
    ] {
        let world = world(1, 0);
        let error = world.run(handle(&bad, &world)).unwrap().unwrap_err();
        assert_eq!(error.error_type(), "Breaker.InvalidRequest");
        assert!(error.to_string().contains(name), "{error}");
        assert!(world.calls.borrow().is_empty());
    }
}

/// For every call a probe makes, with every consumer and at every stage of the receive count: the world crashes, the
/// call fails, or its answer is lost; then probes go on until the queue has been tried. No message is lost, and none
/// is dead-lettered that its consumer never tried, unless the crash fell between its last receive and the copy.
#[test]
fn whatever_call_goes_wrong_nothing_is_lost() {
    let faults = [Fault::Crash, Fault::LoseAnswer, Fault::Fail(CallErrorKind::Transient)];
    for receive_count in [0, 3, 4] {
        for healthy in [true, false] {
            for fault in &faults {
                for at in 1..=8 {
                    crash_once(receive_count, healthy, fault, at);
                }
            }
        }
    }
}

fn crash_once(receive_count: u32, healthy: bool, fault: &Fault, at: usize) {
    let context = format!("received {receive_count} times, healthy {healthy}, {fault:?} at call {at}");
    let world = world(3, receive_count);
    let bodies = world.bodies();
    if !healthy {
        *world.consumer.borrow_mut() = Consumer::Fails("{}");
    }
    world.faults.borrow_mut().insert(at, fault.clone());
    let mut proven: BTreeSet<String> = BTreeSet::new();
    for round in 0..8 {
        let request = ProbeRequest { proven: proven.iter().cloned().collect(), ..request() };
        if let Some(Ok(answer)) = world.run(handle(&request, &world)) {
            let answer = serde_json::to_value(answer).unwrap();
            if answer["verdict"] == "healthy" {
                proven.insert(answer["message_id"].as_str().unwrap().to_owned());
            }
        }
        world.assert_nothing_lost(&bodies, &format!("{context}, round {round}"));
        world.now_ms.set(world.now_ms.get() + 600_000);
        *world.consumer.borrow_mut() = Consumer::Answers("null");
    }
    let tried = world.tried.borrow();
    let untried: Vec<_> = world.dead.borrow().iter().filter(|body| !tried.contains(body)).cloned().collect();
    // What the breaker held when it died on a last receive cannot be saved: nothing is left of the handler to do it.
    let excused = usize::from(receive_count == 4 && *fault != Fault::Fail(CallErrorKind::Transient));
    assert!(untried.len() <= excused, "{context}: dead-lettered untried: {untried:?}");
    assert!(
        bodies.iter().all(|body| tried.contains(body) || untried.contains(body)),
        "{context}: not all were tried"
    );
}

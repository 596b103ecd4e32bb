//! Knobs: order, misses, duplicates, late and false counts, the in-flight quota; and that a move loses nothing.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;

fn filled(properties: &Value, count: u32) -> Queue {
    let mut queue = Queue::from_properties(ARN, 1, properties).unwrap();
    for trace in 0..count {
        let request = SendRequest { trace, ..SendRequest::new(trace.to_string()) };
        queue.send(request, 0).unwrap();
    }
    queue
}

fn received(queue: &mut Queue, max_count: usize, rng: &mut ChaCha8Rng) -> Vec<u32> {
    let outcome = queue.receive(&ReceiveRequest::up_to(max_count), 0, rng).unwrap();
    outcome.messages.iter().map(ReceivedMessage::trace).collect()
}

#[test]
fn standard_order_is_rough_but_close_and_repeats_with_the_seed() {
    let drain = || {
        let (mut queue, mut rng) = (filled(&json!({}), 1_000), rng());
        (0..100).flat_map(|_| received(&mut queue, 10, &mut rng)).collect::<Vec<u32>>()
    };
    let order = drain();
    assert_eq!(order, drain());
    assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), 1_000);
    assert!(!order.is_sorted());
    // Nothing is overtaken by more than the window allows; being late is only a matter of chance.
    let earliest = order.iter().enumerate().map(|(place, trace)| i64::from(*trace) - place as i64).max();
    assert!(earliest <= Some(19), "{earliest:?}");
}

#[test]
fn polls_can_miss_and_deliveries_can_double() {
    let (mut queue, mut rng) = (filled(&json!({}), 10), rng());
    queue.knobs_mut().empty_receive_percent = 100;
    assert_eq!(received(&mut queue, 10, &mut rng), Vec::<u32>::new());
    queue.knobs_mut().empty_receive_percent = 0;

    queue.knobs_mut().short_poll_misses_percent = 100;
    let short = ReceiveRequest { is_short_poll: true, ..ReceiveRequest::up_to(10) };
    assert!(queue.receive(&short, 0, &mut rng).unwrap().messages.is_empty());

    queue.knobs_mut().duplicate_delivery_ppm = 1_000_000;
    let first = received(&mut queue, 10, &mut rng);
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 10);
    queue.knobs_mut().duplicate_delivery_ppm = 0;
    let again = queue.receive(&ReceiveRequest::up_to(10), 0, &mut rng).unwrap().messages;
    assert!(again.iter().all(|message| message.receive_count() == 2));
    assert_eq!(again.len(), 10);
    assert_eq!(queue.exact_counts(0).not_visible_count, 10);
}

#[test]
fn counts_can_be_late_or_false() {
    let mut queue = Queue::from_properties(ARN, 1, &json!({ "DelaySeconds": 30 })).unwrap();
    queue.knobs_mut().counts_lag_ms = 60_000;
    queue.send(SendRequest::new("a"), 10_000).unwrap();
    let mut seen = |at_ms| {
        let counts = queue.attributes(at_ms);
        (counts.visible_count, counts.delayed_count)
    };
    assert_eq!(seen(69_999), (0, 0));
    assert_eq!(seen(70_000), (0, 1));
    assert_eq!(seen(99_999), (0, 1));
    assert_eq!(seen(100_000), (1, 0));
    assert_eq!(queue.exact_counts(100_000).visible_count, 1);

    let lie = QueueCounts { visible_count: 7, ..QueueCounts::default() };
    queue.knobs_mut().counts_override = Some(lie);
    assert_eq!(queue.attributes(100_000), lie);
}

#[test]
fn the_in_flight_quota_is_an_error_on_standard_and_silence_on_fifo() {
    let mut rng = rng();
    let mut standard = filled(&json!({ "VisibilityTimeout": 30 }), 5);
    standard.knobs_mut().in_flight_quota_count = 3;
    assert_eq!(received(&mut standard, 10, &mut rng).len(), 3);
    let refused = standard.receive(&ReceiveRequest::up_to(10), 0, &mut rng).unwrap_err();
    assert_eq!(refused.code, "OverLimit");
    assert_eq!(standard.next_visible_at(0), Some(30_000));

    let properties = json!({ "FifoQueue": true, "ContentBasedDeduplication": true });
    let mut fifo = Queue::from_properties(ARN, 1, &properties).unwrap();
    fifo.knobs_mut().in_flight_quota_count = 3;
    for trace in 0..5 {
        let message_group_id = Some(trace.to_string().into());
        let request = SendRequest { trace, message_group_id, ..SendRequest::new(trace.to_string()) };
        fifo.send(request, 0).unwrap();
    }
    assert_eq!(received(&mut fifo, 10, &mut rng), [0, 1, 2]);
    assert_eq!(received(&mut fifo, 10, &mut rng), Vec::<u32>::new());
}

#[test]
fn a_move_keeps_identity_and_on_standard_the_send_time() {
    fn check(is_fifo: bool, expected_sent_ms: u64) {
        let redrive =
            json!({ "deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:dlq", "maxReceiveCount": 1 });
        let mut properties = json!({ "VisibilityTimeout": 1, "RedrivePolicy": redrive });
        let mut dlq_properties = json!({ "MessageRetentionPeriod": 60 });
        if is_fifo {
            for of in [&mut properties, &mut dlq_properties] {
                of["FifoQueue"] = json!(true);
                of["ContentBasedDeduplication"] = json!(true);
            }
        }
        let mut rng = rng();
        let (mut queue, mut dlq) = (strict_queue(&properties), strict_queue(&dlq_properties));
        let message_group_id = Some("g".into());
        let sent = SendRequest { trace: 42, message_group_id, ..SendRequest::new("a") };
        let id = queue.send(sent, 1_000).unwrap().message_id;
        queue.receive(&ReceiveRequest::up_to(1), 2_000, &mut rng).unwrap();
        let moved = queue.receive(&ReceiveRequest::up_to(1), 30_000, &mut rng).unwrap().moved_to_dlq;
        assert_eq!(queue.exact_counts(30_000).total_count(), 0);
        for message in moved {
            dlq.accept_moved(message, 30_000);
        }
        assert_eq!(dlq.age_of_oldest_s(31_000), Some(1));
        let message = dlq.receive(&ReceiveRequest::up_to(1), 31_000, &mut rng).unwrap().messages.remove(0);
        assert_eq!((message.message_id(), message.trace(), message.receive_count()), (id, 42, 2));
        assert_eq!((message.sent_ms(), message.first_received_ms()), (expected_sent_ms, 2_000));
        assert_eq!(message.system_attributes()["DeadLetterQueueSourceArn"], ARN);
        dlq.advance(expected_sent_ms + 59_999);
        assert_eq!(dlq.expired_count(), 0);
        dlq.advance(expected_sent_ms + 60_000);
        assert_eq!(dlq.expired_count(), 1);
    }
    check(false, 1_000);
    check(true, 30_000);
}

#[test]
fn a_longer_retention_saves_messages_already_queued() {
    let mut queue = filled(&json!({ "MessageRetentionPeriod": 60 }), 1);
    queue.set_message_retention_s(120);
    queue.advance(119_999);
    assert_eq!(queue.take_expired(), []);
    queue.advance(120_000);
    assert_eq!(queue.take_expired().len(), 1);
}

//! Random operations on the queue and on a naive model of the same rules, which must agree at every step.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[derive(Debug, Clone)]
enum Op {
    Send {
        delay_s: u32,
        group: u8,
        id: u8,
    },
    Receive {
        max_count: usize,
        visibility_s: u32,
    },
    /// Indexes count back from the newest handle.
    Delete {
        handle: usize,
    },
    ChangeVisibility {
        handle: usize,
        visibility_s: u32,
    },
    Wait {
        ms: u64,
    },
    Purge,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..8_u32, 0..3_u8, 0..6_u8).prop_map(|(delay_s, group, id)| Op::Send { delay_s, group, id }),
        8 => (1..=10_usize, 0..8_u32).prop_map(|(max_count, visibility_s)| Op::Receive { max_count, visibility_s }),
        4 => (0..12_usize).prop_map(|handle| Op::Delete { handle }),
        3 => (0..12_usize, 0..8_u32).prop_map(|(handle, visibility_s)| Op::ChangeVisibility { handle, visibility_s }),
        6 => (0..6_000_u64).prop_map(|ms| Op::Wait { ms }),
        1 => (20_000..40_000_u64).prop_map(|ms| Op::Wait { ms }),
        1 => Just(Op::Purge),
    ]
}

const MAX_RECEIVE_COUNT: u32 = 4;
const RETENTION_MS: u64 = 60_000;

/// One message of the naive model: `place` ends at `until_ms`; `rank` orders equal times.
#[derive(Debug, Clone)]
struct Naive {
    trace: u32,
    group: u8,
    order: u64,
    place: Place,
    until_ms: u64,
    rank: u64,
    sent_ms: u64,
    receive_count: u32,
}

/// The rules of the queue, written for being obvious: a list, and a search for everything.
#[derive(Debug, Default)]
struct NaiveQueue {
    is_fifo: bool,
    messages: Vec<Naive>,
    next: u64,
    expired: Vec<u32>,
    moved: Vec<u32>,
    deduplication: BTreeMap<u8, u64>,
    purged_ms: Option<u64>,
}

impl NaiveQueue {
    fn tick(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn advance(&mut self, now_ms: u64) {
        loop {
            let expiry = self.messages.iter().map(|m| (m.sent_ms + RETENTION_MS, 0, m.trace)).min();
            let timed = self.messages.iter().filter(|m| m.place != Place::Visible);
            let timer = timed.map(|m| (m.until_ms, m.rank.max(1), m.trace)).min();
            match expiry.into_iter().chain(timer).min().filter(|(at_ms, ..)| *at_ms <= now_ms) {
                None => return,
                Some((_, 0, trace)) => {
                    self.messages.retain(|m| m.trace != trace);
                    self.expired.push(trace);
                }
                Some((_, _, trace)) => {
                    let order = self.tick();
                    let is_fifo = self.is_fifo;
                    let message = self.messages.iter_mut().find(|m| m.trace == trace).unwrap();
                    message.place = Place::Visible;
                    if !is_fifo && message.receive_count >= 3 {
                        message.order = order;
                    }
                }
            }
        }
    }

    fn send(&mut self, trace: u32, delay_s: u32, group: u8, id: u8, now_ms: u64) {
        if self.is_fifo {
            if self.deduplication.get(&id).is_some_and(|sent_ms| now_ms < sent_ms + 300_000) {
                return;
            }
            self.deduplication.insert(id, now_ms);
        }
        let delay_s = if self.is_fifo { 0 } else { delay_s };
        let order = self.tick();
        let rank = self.tick();
        let place = if delay_s == 0 { Place::Visible } else { Place::Delayed };
        let until_ms = now_ms + u64::from(delay_s) * 1_000;
        let (sent_ms, receive_count) = (now_ms, 0);
        self.messages.push(Naive { trace, group, order, place, until_ms, rank, sent_ms, receive_count });
    }

    fn receive(&mut self, max_count: usize, visibility_s: u32, now_ms: u64) -> Vec<u32> {
        let blocked: Vec<u8> =
            self.messages.iter().filter(|m| m.place == Place::InFlight).map(|m| m.group).collect();
        let mut candidates: Vec<(u64, u64, u32)> = Vec::new();
        for message in self.messages.iter().filter(|m| m.place == Place::Visible) {
            let first_of_group =
                self.messages.iter().filter(|m| m.group == message.group).map(|m| m.order).min();
            match self.is_fifo {
                false => candidates.push((0, message.order, message.trace)),
                true if blocked.contains(&message.group) => {}
                true => candidates.push((first_of_group.unwrap(), message.order, message.trace)),
            }
        }
        candidates.sort_unstable();
        let mut received = Vec::new();
        for (_, _, trace) in candidates {
            if received.len() == max_count {
                break;
            }
            let rank = self.tick();
            let index = self.messages.iter().position(|m| m.trace == trace).unwrap();
            if self.messages[index].receive_count == MAX_RECEIVE_COUNT {
                self.messages.remove(index);
                self.moved.push(trace);
                continue;
            }
            let message = &mut self.messages[index];
            message.receive_count += 1;
            message.place = Place::InFlight;
            (message.until_ms, message.rank) = (now_ms + u64::from(visibility_s) * 1_000, rank);
            received.push(trace);
        }
        received
    }

    /// The message whose `receive_count`-th receive gave the handle, if that is its newest.
    fn newest(&mut self, trace: u32, receive_count: u32) -> Option<&mut Naive> {
        self.messages.iter_mut().find(|m| m.trace == trace && m.receive_count == receive_count)
    }

    fn delete(&mut self, trace: u32, receive_count: u32) -> bool {
        let is_fifo = self.is_fifo;
        let can = self.newest(trace, receive_count).is_some_and(|m| !is_fifo || m.place == Place::InFlight);
        if can {
            self.messages.retain(|m| m.trace != trace);
        }
        can
    }

    fn change(&mut self, trace: u32, receive_count: u32, visibility_s: u32, now_ms: u64) -> bool {
        let rank = self.tick();
        let Some(message) = self.newest(trace, receive_count) else { return false };
        if message.place != Place::InFlight {
            return false;
        }
        (message.until_ms, message.rank) = (now_ms + u64::from(visibility_s) * 1_000, rank);
        self.advance(now_ms);
        true
    }

    fn purge(&mut self, now_ms: u64) -> Option<usize> {
        if self.purged_ms.is_some_and(|purged_ms| now_ms < purged_ms + 60_000) {
            return None;
        }
        self.purged_ms = Some(now_ms);
        Some(std::mem::take(&mut self.messages).len())
    }
}

fn properties(is_fifo: bool) -> Value {
    let target = "arn:aws:sqs:eu-west-1:123456789012:dlq";
    let mut properties = json!({
        "MessageRetentionPeriod": RETENTION_MS / 1_000,
        "RedrivePolicy": { "deadLetterTargetArn": target, "maxReceiveCount": MAX_RECEIVE_COUNT },
    });
    if is_fifo {
        properties["FifoQueue"] = json!(true);
    }
    properties
}

fn request(is_fifo: bool, trace: u32, delay_s: u32, group: u8, id: u8) -> SendRequest {
    SendRequest {
        trace,
        delay_s: (!is_fifo).then_some(delay_s),
        message_group_id: Some(group.to_string().into()),
        message_deduplication_id: is_fifo.then(|| id.to_string().into()),
        ..SendRequest::new("x")
    }
}

fn agree(is_fifo: bool, ops: &[Op]) {
    let (mut queue, mut rng) = (strict_queue(&properties(is_fifo)), rng());
    let mut naive = NaiveQueue { is_fifo, ..NaiveQueue::default() };
    let mut handles: Vec<(u32, u32, String)> = Vec::new();
    let (mut now_ms, mut moved, mut expired) = (0, Vec::new(), Vec::new());
    for (trace, op) in (0..).zip(ops) {
        naive.advance(now_ms);
        let pick = |back: usize| handles.len().checked_sub(back + 1).map(|index| handles[index].clone());
        match op {
            Op::Send { delay_s, group, id } => {
                naive.send(trace, *delay_s, *group, *id, now_ms);
                queue.send(request(is_fifo, trace, *delay_s, *group, *id), now_ms).unwrap();
            }
            Op::Receive { max_count, visibility_s } => {
                let receive = ReceiveRequest {
                    visibility_timeout_s: Some(*visibility_s),
                    ..ReceiveRequest::up_to(*max_count)
                };
                let outcome = queue.receive(&receive, now_ms, &mut rng).unwrap();
                let traces: Vec<u32> = outcome.messages.iter().map(ReceivedMessage::trace).collect();
                assert_eq!(traces, naive.receive(*max_count, *visibility_s, now_ms));
                moved.extend(outcome.moved_to_dlq.iter().map(MovedMessage::trace));
                let received = outcome.messages.into_iter();
                handles.extend(received.map(|m| (m.trace(), m.receive_count(), m.receipt_handle())));
            }
            Op::Delete { handle } => {
                if let Some((trace, count, handle)) = pick(*handle) {
                    let outcome = queue.delete(&handle, now_ms);
                    let is_deleted =
                        matches!(outcome, Ok(DeleteOutcome::Deleted { trace: found }) if found == trace);
                    assert_eq!(is_deleted, naive.delete(trace, count));
                }
            }
            Op::ChangeVisibility { handle, visibility_s } => {
                if let Some((trace, count, handle)) = pick(*handle) {
                    let is_changed = queue.change_visibility(&handle, *visibility_s, now_ms).is_ok();
                    assert_eq!(is_changed, naive.change(trace, count, *visibility_s, now_ms));
                }
            }
            Op::Wait { ms } => now_ms += ms,
            Op::Purge => assert_eq!(queue.purge(now_ms).ok().map(|gone| gone.len()), naive.purge(now_ms)),
        }
        naive.advance(now_ms);
        compare(&mut queue, &naive, now_ms);
        expired.extend(queue.take_expired().iter().map(|gone| gone.trace));
        assert_eq!((&expired, &moved), (&naive.expired, &naive.moved));
    }
}

/// Each message is in exactly one place, the same one as in the naive model, and the counts say so.
fn compare(queue: &mut Queue, naive: &NaiveQueue, now_ms: u64) {
    let counts = queue.exact_counts(now_ms);
    let mut found: Vec<_> =
        queue.contents().map(|m| (m.trace, m.place, m.receive_count, m.sent_ms)).collect();
    found.sort_unstable();
    let mut expected: Vec<_> =
        naive.messages.iter().map(|m| (m.trace, m.place, m.receive_count, m.sent_ms)).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let count = |place| expected.iter().filter(|message| message.1 == place).count();
    let expected_counts = [Place::Visible, Place::InFlight, Place::Delayed].map(count);
    assert_eq!([counts.visible_count, counts.not_visible_count, counts.delayed_count], expected_counts);
    let next_timer = naive.messages.iter().filter(|m| m.place != Place::Visible).map(|m| m.until_ms).min();
    match queue.next_visible_at(now_ms) {
        Some(at_ms) if at_ms == now_ms => assert!(counts.visible_count > 0),
        next => assert_eq!(next, next_timer),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_standard_queue_agrees_with_the_naive_model(ops in prop::collection::vec(op(), 1..120)) {
        agree(false, &ops);
    }

    #[test]
    fn a_fifo_queue_agrees_with_the_naive_model(ops in prop::collection::vec(op(), 1..120)) {
        agree(true, &ops);
    }
}

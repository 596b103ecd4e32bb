//! The `rejitter` function.

use std::time::Duration;

use lambdas::ports::CallErrorKind;
use lambdas::rejitter::{HOLD_S, OVER_LIMIT_ATTEMPT_COUNT, WRITE_ATTEMPT_COUNT, handle};
use workflow::contract::{RejitterAnswer, RejitterProgress, RejitterRequest, RejitterStrategy};

use crate::fake::{Fault, START_MS, URL, World, fence};

const PLENTY: Duration = Duration::from_secs(840);

pub fn request(strategy: RejitterStrategy) -> RejitterRequest {
    RejitterRequest {
        fence: fence(),
        queue_url: URL.into(),
        strategy,
        drain_per_s: 10.0,
        invocations_count: 1,
        ramp_s: 0,
        only_plans: false,
        max_receive_count: Some(5),
        progress: None,
    }
}

fn world(message_count: usize, receive_count: u32) -> World {
    let world = World::new();
    world.max_receive_count.set(Some(5));
    world.put_messages(message_count, receive_count);
    world.now_ms.set(START_MS + 1_000);
    world
}

fn ask(world: &World, request: &RejitterRequest, remaining: Duration) -> RejitterAnswer {
    let answer = world.run(handle(request, remaining, world)).expect("no crash was asked for");
    answer.expect("the handler succeeds")
}

fn error_of(world: &World, request: &RejitterRequest) -> &'static str {
    world.run(handle(request, PLENTY, world)).expect("no crash").unwrap_err().error_type()
}

/// Counts, and where in time the messages are.
fn check(world: &World, answer: &RejitterAnswer, moved: u64, copied: u64, failed: u64) {
    let progress = &answer.progress;
    let counts = (progress.moved_count, progress.copied_count, progress.failed_count);
    assert_eq!((answer.done, counts), (true, (moved, copied, failed)));
    let window = progress.spread_from_ms..progress.spread_until_ms + 1_000;
    let within = world.queue.borrow().iter().filter(|stored| window.contains(&stored.visible_at_ms)).count();
    assert_eq!(within as u64, moved, "messages within the window");
}

#[test]
fn visibility_keeps_the_messages_and_spreads_their_arrival_evenly() {
    let world = world(1_000, 0);
    let ids: Vec<_> = world.queue.borrow().iter().map(|stored| stored.message.message_id.clone()).collect();
    let answer = ask(&world, &request(RejitterStrategy::Visibility), PLENTY);
    check(&world, &answer, 1_000, 0, 0);
    let progress = &answer.progress;
    assert_eq!((progress.spread_from_ms, progress.spread_until_ms), (START_MS + 91_500, START_MS + 191_500));
    let after: Vec<_> = world.queue.borrow().iter().map(|stored| stored.message.message_id.clone()).collect();
    assert_eq!(ids, after);
    for quarter in 0..4u64 {
        let from_ms = progress.spread_from_ms + quarter * 25_000;
        let window = from_ms..from_ms + 25_000;
        let share =
            world.queue.borrow().iter().filter(|stored| window.contains(&stored.visible_at_ms)).count();
        assert!((180..=320).contains(&share), "quarter {quarter} of the window has {share} of 1,000");
    }
    assert!(world.call_names().iter().all(|name| name != "send" && name != "delete"));
}

#[test]
fn requeue_replaces_each_message_by_a_full_delayed_copy() {
    let world = world(55, 1);
    let original = world.queue.borrow()[0].message.clone();
    let bodies = world.bodies();
    let answer = ask(&world, &request(RejitterStrategy::Requeue), PLENTY);
    check(&world, &answer, 55, 0, 0);
    assert_eq!(world.bodies(), bodies);
    let queue = world.queue.borrow();
    assert!(
        queue
            .iter()
            .all(|stored| stored.delayed && stored.message.message_attributes == original.message_attributes)
    );
    assert!(queue.iter().all(|stored| stored.message.attributes["MessageGroupId"] == "tenant-1"));
}

#[test]
fn a_message_on_its_last_receive_is_copied_with_a_delay() {
    let world = world(20, 1);
    let last = world.put(4, "last");
    let answer = ask(&world, &request(RejitterStrategy::Visibility), PLENTY);
    check(&world, &answer, 21, 1, 0);
    assert!(world.body_of(&last).is_none());
    let queue = world.queue.borrow();
    let copy = queue.iter().find(|stored| stored.message.body == "last").unwrap();
    assert!(copy.delayed);
    assert_eq!(copy.message.attributes["ApproximateReceiveCount"], "0");
}

#[test]
fn it_ends_when_only_newer_messages_come_up_and_spreads_those_it_received() {
    let world = world(100, 0);
    world.arriving.set(1_000_000);
    let answer = ask(&world, &request(RejitterStrategy::Visibility), PLENTY);
    let moved = answer.progress.moved_count;
    check(&world, &answer, moved, 0, 0);
    assert!((101..300).contains(&moved), "{moved}");
}

#[test]
fn out_of_time_it_answers_its_progress_and_goes_on_from_there() {
    let world = world(400, 0);
    world.latency_ms.set(100);
    let first = ask(&world, &request(RejitterStrategy::Visibility), Duration::from_secs(4));
    assert!(!first.done && (1..400).contains(&first.progress.moved_count), "{first:?}");
    let next =
        RejitterRequest { progress: Some(first.progress.clone()), ..request(RejitterStrategy::Visibility) };
    let second = ask(&world, &next, PLENTY);
    check(&world, &second, 400, 0, 0);
    let kept = |progress: &RejitterProgress| {
        (progress.started_at_ms, progress.spread_from_ms, progress.spread_until_ms)
    };
    assert_eq!(kept(&first.progress), kept(&second.progress));
}

/// The last batch that was hidden makes the room in which the others are copied and deleted.
#[test]
fn a_full_in_flight_quota_makes_it_go_on_by_requeue() {
    let world = world(300, 0);
    world.in_flight_quota.set(200);
    let bodies = world.bodies();
    let answer = ask(&world, &request(RejitterStrategy::Visibility), PLENTY);
    check(&world, &answer, 300, 0, 0);
    assert_eq!((answer.progress.strategy, world.bodies()), (RejitterStrategy::Requeue, bodies));
    let delayed = world.queue.borrow().iter().filter(|stored| stored.delayed).count();
    assert!((110..=130).contains(&delayed), "{delayed} were copied");
}

#[test]
fn an_in_flight_quota_that_others_use_up_ends_it_and_what_is_left_counts_as_failed() {
    let world = world(100, 0);
    world.in_flight_quota.set(0);
    let slow = RejitterRequest { drain_per_s: 0.5, ..request(RejitterStrategy::Visibility) };
    let answer = ask(&world, &slow, PLENTY);
    check(&world, &answer, 0, 0, 100);
    let receives = world.call_names().iter().filter(|name| *name == "receive").count();
    assert_eq!(receives, OVER_LIMIT_ATTEMPT_COUNT as usize);
}

#[test]
fn what_is_to_arrive_beyond_the_longest_delay_is_hidden_and_the_rest_copied() {
    let world = world(400, 0);
    let slow = RejitterRequest { drain_per_s: 0.2, ..request(RejitterStrategy::Requeue) };
    let answer = ask(&world, &slow, PLENTY);
    check(&world, &answer, 400, 0, 0);
    let progress = &answer.progress;
    let (near, far): (Vec<_>, Vec<_>) = world
        .queue
        .borrow()
        .iter()
        .map(|stored| (stored.visible_at_ms, stored.delayed))
        .partition(|(visible_at_ms, _)| *visible_at_ms <= progress.started_at_ms + 901_000);
    assert!(near.iter().all(|(_, delayed)| *delayed) && far.iter().all(|(_, delayed)| !delayed));
    assert_eq!(far.len() as u64, progress.hidden_count);
    // 810 of the window's 2,000 seconds are within the longest delay.
    assert!((120..=205).contains(&near.len()), "{} of 400 are", near.len());
}

#[test]
fn a_large_backlog_is_planned_first_and_then_shared() {
    let world = world(50_001, 0);
    let shared = RejitterRequest { invocations_count: 4, ..request(RejitterStrategy::Requeue) };
    let planned = ask(&world, &shared, PLENTY);
    assert_eq!((planned.done, planned.progress.share_count, planned.progress.moved_count), (false, 2, 0));
    assert_eq!(world.call_names(), ["epoch", "counts"]);
    let alone = RejitterRequest { invocations_count: 1, ..shared.clone() };
    world.queue.borrow_mut().truncate(600);
    // Each share goes on until the queue is dry.
    let share = RejitterRequest { progress: Some(planned.progress), ..shared };
    let answer = ask(&world, &share, PLENTY);
    assert_eq!((answer.done, answer.progress.moved_count, answer.progress.share_count), (true, 600, 2));
    world.put_messages(300, 0);
    assert_eq!(ask(&world, &alone, PLENTY).progress.share_count, 1);
}

/// What a backlog costs at most, whatever its latency: this is what keeps a slip in the pipeline from going unseen.
#[test]
fn a_message_costs_a_fifth_of_a_request_by_visibility_and_three_tenths_by_requeue() {
    for (strategy, most) in [(RejitterStrategy::Visibility, 0.21), (RejitterStrategy::Requeue, 0.31)] {
        let world = world(4_000, 0);
        let answer = ask(&world, &request(strategy), PLENTY);
        check(&world, &answer, 4_000, 0, 0);
        let requests = world.call_names().iter().filter(|name| *name != "epoch").count();
        let per_message = requests as f64 / 4_000.0;
        assert!(per_message <= most, "{strategy:?} takes {per_message} requests per message");
    }
}

#[test]
fn entries_that_fail_for_a_while_are_tried_again_and_none_is_spread_twice() {
    for strategy in [RejitterStrategy::Visibility, RejitterStrategy::Requeue] {
        let world = world(500, 0);
        let bodies = world.bodies();
        world.stumbles_every.set(7);
        let answer = ask(&world, &request(strategy), PLENTY);
        check(&world, &answer, 500, 0, 0);
        assert_eq!(world.bodies(), bodies);
    }
}

/// The messages of an answer that got lost are hidden, so that the queue only looks dry.
#[test]
fn messages_whose_receive_was_never_answered_are_waited_for() {
    let world = world(100, 0);
    world.faults.borrow_mut().insert(3, Fault::LoseAnswer);
    let slow = RejitterRequest { drain_per_s: 0.5, ..request(RejitterStrategy::Visibility) };
    let answer = ask(&world, &slow, PLENTY);
    check(&world, &answer, 100, 0, 0);
}

#[test]
fn a_new_owner_stops_it_midway_and_what_is_in_hand_comes_back() {
    let world = world(2_000, 0);
    world.latency_ms.set(200);
    world.faults.borrow_mut().insert(40, Fault::Overtake);
    assert_eq!(error_of(&world, &request(RejitterStrategy::Visibility)), "Breaker.StaleEpoch");
    let late_ms = world.now_ms.get() + u64::from(HOLD_S) * 1_000;
    let visible = world.queue.borrow().iter().filter(|stored| stored.visible_at_ms <= late_ms).count();
    assert!(visible > 500, "{visible}");
}

#[test]
fn an_entry_that_keeps_failing_is_counted_and_left_in_the_queue() {
    for (strategy, broken) in
        [(RejitterStrategy::Visibility, "change_visibility"), (RejitterStrategy::Requeue, "send")]
    {
        let world = world(30, 0);
        let bodies = world.bodies();
        world.broken_entries.borrow_mut().insert(broken, CallErrorKind::Transient);
        let answer = ask(&world, &request(strategy), PLENTY);
        assert_eq!((answer.progress.moved_count, answer.progress.failed_count), (0, 30), "{answer:?}");
        assert_eq!(world.bodies(), bodies);
    }
}

#[test]
fn only_originals_whose_copy_was_sent_are_deleted() {
    let world = world(10, 0);
    world.put(0, "unsendable");
    world.unsendable.borrow_mut().insert("unsendable".into());
    let bodies = world.bodies();
    let answer = ask(&world, &request(RejitterStrategy::Requeue), PLENTY);
    // When it comes up again it is spread as it is.
    check(&world, &answer, 11, 0, 0);
    assert_eq!((answer.progress.hidden_count, world.bodies()), (1, bodies));
}

/// Whether the copies were made is not known. The originals stay; one that comes up again is spread as it is, because
/// another copy might be the second.
#[test]
fn a_send_whose_answer_was_lost_is_not_repeated() {
    let world = world(10, 0);
    let bodies = world.bodies();
    world.faults.borrow_mut().insert(4, Fault::LoseAnswer);
    let answer = ask(&world, &request(RejitterStrategy::Requeue), PLENTY);
    assert_eq!((answer.progress.moved_count, answer.progress.failed_count), (0, 10));
    let names = world.call_names();
    assert_eq!(&names[..4], ["epoch", "counts", "receive", "send"]);
    assert!(!names[4..].iter().any(|name| name == "send" || name == "delete"), "{names:?}");
    assert_eq!(world.bodies().len(), 20, "each original beside its copy");

    let back = self::world(10, 0);
    // The fourth call is a look at the fence.
    back.faults.borrow_mut().insert(5, Fault::LoseAnswer);
    // Each call takes so long that the originals come up again while the work still runs.
    back.latency_ms.set(35_000);
    back.draws_latest.set(true);
    let slow = RejitterRequest { drain_per_s: 0.0125, ..request(RejitterStrategy::Requeue) };
    let answer = ask(&back, &slow, PLENTY);
    assert_eq!((answer.progress.moved_count, answer.progress.failed_count), (10, 0), "{answer:?}");
    assert_eq!(back.call_names().iter().filter(|name| *name == "send").count(), 1);
    let originals = back
        .queue
        .borrow()
        .iter()
        .filter(|stored| bodies.contains(&stored.message.body) && !stored.delayed)
        .count();
    assert_eq!(originals, 10);
}

#[test]
fn a_throttled_send_and_a_delete_whose_answer_was_lost_are_repeated() {
    for (at, fault) in [(4, Fault::Fail(CallErrorKind::Throttled)), (5, Fault::LoseAnswer)] {
        let world = world(10, 0);
        let bodies = world.bodies();
        world.faults.borrow_mut().insert(at, fault);
        let answer = ask(&world, &request(RejitterStrategy::Requeue), PLENTY);
        check(&world, &answer, 10, 0, 0);
        assert_eq!(world.bodies(), bodies);
    }
}

#[test]
fn a_copied_message_that_cannot_be_deleted_is_never_copied_again() {
    let world = world(10, 0);
    world.broken_entries.borrow_mut().insert("delete", CallErrorKind::Transient);
    // Each call takes so long that the originals come up again while the work still runs, and before their copies.
    world.latency_ms.set(12_000);
    world.draws_latest.set(true);
    let slow = RejitterRequest {
        drain_per_s: 0.0125,
        max_receive_count: None,
        ..request(RejitterStrategy::Requeue)
    };
    world.max_receive_count.set(None);
    let answer = ask(&world, &slow, PLENTY);
    let copies = world.queue.borrow().iter().filter(|stored| stored.delayed).count();
    assert_eq!((copies, answer.progress.moved_count), (10, 10), "{answer:?}");
    assert_eq!(answer.progress.failed_count, 10);
    assert!(
        world.call_names().iter().filter(|name| *name == "delete").count() > WRITE_ATTEMPT_COUNT as usize,
        "the originals came up again"
    );
}

#[test]
fn large_copies_go_out_in_batches_of_a_mebibyte() {
    let world = world(0, 0);
    for at in 0..6 {
        world.put(0, &format!("{at}{}", "x".repeat(400_000)));
    }
    world.now_ms.set(world.now_ms.get() + 1_000);
    let answer = ask(&world, &request(RejitterStrategy::Requeue), PLENTY);
    check(&world, &answer, 6, 0, 0);
    assert_eq!(world.call_names().iter().filter(|name| *name == "send").count(), 3);
}

#[test]
fn what_it_must_not_do_is_refused() {
    let good = || request(RejitterStrategy::Visibility);
    let plan = lambdas::spread::plan(&request(RejitterStrategy::Off), 10, START_MS);
    for bad in [
        request(RejitterStrategy::Off),
        RejitterRequest { queue_url: format!("{URL}.fifo"), ..good() },
        RejitterRequest { drain_per_s: 0.0, ..good() },
        RejitterRequest { drain_per_s: f64::NAN, ..good() },
        RejitterRequest { invocations_count: 0, ..good() },
        RejitterRequest { progress: Some(plan), ..good() },
    ] {
        let world = world(1, 0);
        assert_eq!(error_of(&world, &bad), "Breaker.InvalidRequest");
        assert!(world.calls.borrow().is_empty());
    }
}

#[test]
fn a_new_owner_stops_it() {
    let world = world(1_000, 0);
    world.epoch.set(Some(8));
    assert_eq!(error_of(&world, &request(RejitterStrategy::Visibility)), "Breaker.StaleEpoch");
    assert_eq!(world.call_names(), ["epoch"]);
}

#[test]
fn calls_that_keep_failing_are_an_error_only_when_nothing_was_spread() {
    let break_from = |world: &World, number: usize| {
        world.faults.borrow_mut().extend((number..100).map(|at| (at, Fault::Fail(CallErrorKind::Transient))));
    };
    let early = world(40, 0);
    break_from(&early, 3);
    assert_eq!(error_of(&early, &request(RejitterStrategy::Visibility)), "Breaker.Transient");
    let late = world(40, 0);
    break_from(&late, 5);
    let answer = ask(&late, &request(RejitterStrategy::Visibility), PLENTY);
    assert_eq!((answer.done, answer.progress.moved_count), (false, 10));
}

#[test]
fn whatever_call_goes_wrong_nothing_is_lost() {
    for strategy in [RejitterStrategy::Visibility, RejitterStrategy::Requeue] {
        for receive_count in [0, 4] {
            for fault in [Fault::Crash, Fault::LoseAnswer, Fault::Fail(CallErrorKind::Transient)] {
                for at in 1..=16 {
                    crash_once(strategy, receive_count, &fault, at);
                }
            }
        }
    }
}

fn crash_once(strategy: RejitterStrategy, receive_count: u32, fault: &Fault, at: usize) {
    let context = format!("{strategy:?}, received {receive_count} times, {fault:?} at call {at}");
    let world = world(25, receive_count);
    let bodies = world.bodies();
    world.faults.borrow_mut().insert(at, fault.clone());
    let mut request = request(strategy);
    for _ in 0..4 {
        if let Some(Ok(answer)) = world.run(handle(&request, PLENTY, &world)) {
            request.progress = Some(answer.progress);
            if answer.done {
                break;
            }
        }
        world.assert_nothing_lost(&bodies, &context);
        let held_ms = u64::from(HOLD_S) * 1_000;
        world.now_ms.set(world.now_ms.get() + held_ms);
    }
    world.assert_nothing_lost(&bodies, &context);
    // A crash, or a lost answer of a receive, on a message's last receive leaves nobody to copy what was in hand.
    let excused = if receive_count == 4 && *fault != Fault::Fail(CallErrorKind::Transient) { 25 } else { 0 };
    assert!(world.dead.borrow().len() <= excused, "{context}: dead-lettered {:?}", world.dead.borrow());
}

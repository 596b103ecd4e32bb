//! The `queue` function: the loss clock, the retention, the redrive.

use lambdas::ports::CallErrorKind;
use lambdas::queue::{QueueAnswer, handle};
use workflow::contract::{
    BitingQueue, DeadLetters, DrainedAnswer, InspectQueue, LossClock, QueueRequest, RedriveOutcome,
    RedriveQueue, RetentionAnswer, RetentionOutcome,
};
use workflow::errors;

use crate::fake::{Fault, START_MS, URL, World, fence};

const DEAD_URL: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders-dead";
const DEAD_ARN: &str = "arn:aws:sqs:eu-central-1:123456789012:orders-dead";
const HOUR_S: u32 = 3_600;
const HOUR_MS: u64 = 3_600_000;

/// A world whose queue keeps messages for so many hours, and its dead-letter queue so many messages for so many hours.
fn world(hours: u32, dead_hours: u32, dead_count: u64) -> World {
    let world = World::new();
    world.queues.borrow_mut().insert(URL.to_owned(), (hours * HOUR_S, 3));
    world.queues.borrow_mut().insert(DEAD_URL.to_owned(), (dead_hours * HOUR_S, dead_count));
    world
}

fn inspect() -> InspectQueue {
    InspectQueue {
        fence: fence(),
        queue_url: URL.to_owned(),
        dead_letter_queue_url: Some(DEAD_URL.to_owned()),
        fifo: false,
        opened_at_ms: START_MS,
        oldest_sent_at_ms: START_MS - HOUR_MS,
        dead_letter_count_at_open: Some(0),
        raise_to_s: None,
    }
}

fn ask(world: &World, request: &QueueRequest) -> QueueAnswer {
    world.run(handle(request, world)).expect("it ends").expect("it answers")
}

/// The clock so many hours after the opening.
fn clock(world: &World, request: &InspectQueue, hours: f64) -> LossClock {
    world.now_ms.set(START_MS + (hours * HOUR_MS as f64) as u64);
    match ask(world, &QueueRequest::Inspect(request.clone())) {
        QueueAnswer::Clock(clock) => clock,
        other => panic!("{other:?} is no clock"),
    }
}

/// Percent, mark and the hours from the opening to the next check and to the end.
fn read(world: &World, request: &InspectQueue, hours: f64) -> (u64, u64, f64, f64) {
    let clock = clock(world, request, hours);
    let from_open = |at_ms: u64| (at_ms - START_MS) as f64 / HOUR_MS as f64;
    (clock.percent, clock.mark_percent, from_open(clock.next_check_at_ms), from_open(clock.expires_at_ms))
}

#[test]
fn the_clock_counts_from_the_oldest_send_and_stops_at_each_mark() {
    let world = world(20, 20, 0);
    // Of 20 hours one had passed when the circuit opened; the longest time between two looks is six hours.
    assert_eq!(read(&world, &inspect(), 0.0), (5, 0, 6.0, 19.0));
    assert_eq!(read(&world, &inspect(), 6.0), (35, 0, 9.0, 19.0));
    assert_eq!(read(&world, &inspect(), 9.0), (50, 50, 14.0, 19.0));
    assert_eq!(read(&world, &inspect(), 14.0), (75, 75, 20.0, 19.0));
    assert_eq!(read(&world, &inspect(), 23.0), (120, 75, 29.0, 19.0));
}

#[test]
fn the_dead_letter_queue_bites_once_something_was_dead_lettered() {
    // Both of its marks come before the queue's own first one.
    let short = world(20, 8, 4);
    let mut request = InspectQueue { dead_letter_count_at_open: Some(4), ..inspect() };
    assert_eq!(read(&short, &request, 0.0), (5, 0, 3.0, 19.0));
    assert_eq!(read(&short, &request, 3.0), (20, 0, 5.0, 19.0));
    request.dead_letter_count_at_open = Some(3);
    assert_eq!(read(&short, &request, 3.0), (50, 50, 5.0, 7.0));
    assert_eq!(clock(&short, &request, 3.0).queue, BitingQueue::DeadLetterQueue);
    // A FIFO queue's dead-letter queue counts from the move, which came after the opening.
    request.fifo = true;
    assert_eq!(read(&short, &request, 3.0), (37, 0, 4.0, 8.0));
    // One that was not counted at the opening tells nothing.
    request.dead_letter_count_at_open = None;
    assert_eq!(clock(&short, &request, 3.0).queue, BitingQueue::Queue);
    // One that keeps longer than the queue never bites first.
    let long = world(20, 30, 4);
    assert_eq!(clock(&long, &InspectQueue { fifo: false, ..inspect() }, 9.0).queue, BitingQueue::Queue);
}

#[test]
fn a_dead_letter_queue_that_cannot_be_seen_does_not_stop_the_clock() {
    let world = world(20, 20, 0);
    world.queues.borrow_mut().remove(DEAD_URL);
    let clock = clock(&world, &inspect(), 9.0);
    assert_eq!((clock.percent, clock.dead_letter_count), (50, None));
}

#[test]
fn it_is_time_to_raise_at_half_or_early_enough_to_come_into_force() {
    let request = |to_s| InspectQueue { raise_to_s: Some(to_s), ..inspect() };
    let long = world(20, 20, 0);
    assert!(!clock(&long, &request(40 * HOUR_S), 8.9).raise);
    assert!(clock(&long, &request(40 * HOUR_S), 9.0).raise);
    assert!(!clock(&long, &request(20 * HOUR_S), 9.0).raise, "it has that retention already");
    // Of two hours, one has passed when the circuit opens; of a queue that keeps 80 minutes, half an hour is left at 50.
    let short = world(0, 20, 0);
    short.queues.borrow_mut().insert(URL.to_owned(), (4_800, 3));
    let early = InspectQueue { oldest_sent_at_ms: START_MS, ..request(40 * HOUR_S) };
    assert!(!clock(&short, &early, 0.6).raise);
    assert!(clock(&short, &early, 0.7).raise);
    short.queues.borrow_mut().insert(URL.to_owned(), (2_400, 3));
    assert_eq!(clock(&short, &early, 0.0).next_check_at_ms, START_MS + 600_000);
    assert!(clock(&short, &early, 0.17).raise, "half an hour before the end, which is before half");
}

fn change(raise: bool) -> QueueRequest {
    let (fence, queue_url) = (fence(), URL.to_owned());
    if raise {
        QueueRequest::RaiseRetention { fence, queue_url, from_s: HOUR_S, to_s: 2 * HOUR_S }
    } else {
        QueueRequest::RestoreRetention { fence, queue_url, from_s: 2 * HOUR_S, to_s: HOUR_S }
    }
}

#[test]
fn a_retention_is_changed_once_and_one_of_somebody_else_is_left_alone() {
    let world = world(1, 20, 0);
    let changes = || world.calls.borrow().iter().filter(|call| call.starts_with("set_retention")).count();
    let answer = |outcome, hours: u32| {
        QueueAnswer::Retention(RetentionAnswer { outcome, retention_s: hours * HOUR_S })
    };
    for _ in 0..2 {
        assert_eq!(ask(&world, &change(true)), answer(RetentionOutcome::Done, 2));
        assert_eq!(changes(), 1);
    }
    for _ in 0..2 {
        assert_eq!(ask(&world, &change(false)), answer(RetentionOutcome::Done, 1));
        assert_eq!(changes(), 2);
    }
    world.queues.borrow_mut().insert(URL.to_owned(), (5 * HOUR_S, 3));
    for raise in [true, false] {
        assert_eq!(ask(&world, &change(raise)), answer(RetentionOutcome::LeftAlone, 5));
    }
    assert_eq!(changes(), 2);
}

#[test]
fn a_lost_answer_is_made_up_for_by_the_next_try() {
    let world = world(1, 20, 0);
    world.faults.borrow_mut().insert(3, Fault::LoseAnswer);
    let error = world.run(handle(&change(true), &world)).expect("it ends").expect_err("the answer is lost");
    assert_eq!(error.error_type(), errors::TRANSIENT);
    let done = RetentionAnswer { outcome: RetentionOutcome::Done, retention_s: 2 * HOUR_S };
    assert_eq!(ask(&world, &change(true)), QueueAnswer::Retention(done));
}

#[test]
fn a_stale_owner_touches_nothing() {
    let world = world(1, 20, 2);
    world.epoch.set(Some(8));
    let drained = QueueRequest::Drained { fence: fence(), queue_url: URL.to_owned() };
    let requests = [
        QueueRequest::Inspect(inspect()),
        change(true),
        change(false),
        drained,
        redrive(Some(0), true, Some(5)),
    ];
    for request in requests {
        let error = world.run(handle(&request, &world)).expect("it ends").expect_err("it is stale");
        assert_eq!(error.error_type(), errors::STALE_EPOCH, "{request:?}");
    }
    assert!(world.call_names().iter().all(|name| name == "epoch"), "{:?}", world.call_names());
}

#[test]
fn a_queue_is_drained_when_nothing_is_counted() {
    let world = world(1, 20, 0);
    let request = QueueRequest::Drained { fence: fence(), queue_url: URL.to_owned() };
    assert_eq!(ask(&world, &request), QueueAnswer::Drained(DrainedAnswer { drained: false }));
    world.queues.borrow_mut().insert(URL.to_owned(), (HOUR_S, 0));
    assert_eq!(ask(&world, &request), QueueAnswer::Drained(DrainedAnswer { drained: true }));
}

fn redrive(at_open: Option<u64>, recovered: bool, max_per_s: Option<u32>) -> QueueRequest {
    QueueRequest::Redrive(RedriveQueue {
        fence: fence(),
        dead_letter_queue_url: DEAD_URL.to_owned(),
        dead_letter_queue_arn: DEAD_ARN.to_owned(),
        dead_letter_count_at_open: at_open,
        recovered,
        max_per_s,
    })
}

#[test]
fn only_what_is_the_incidents_is_redriven() {
    let cases = [
        (0, Some(0), true, Some(5), RedriveOutcome::None),
        (9, Some(0), true, None, RedriveOutcome::Off),
        (9, Some(0), false, Some(5), RedriveOutcome::NotRecovered),
        (9, Some(1), true, Some(5), RedriveOutcome::NotToldApart),
        (9, None, true, Some(5), RedriveOutcome::NotToldApart),
        (9, Some(0), true, Some(5), RedriveOutcome::Started),
    ];
    for (count_at_close, count_at_open, recovered, max_per_s, redrive_outcome) in cases {
        let world = world(1, 20, count_at_close);
        let answer = ask(&world, &redrive(count_at_open, recovered, max_per_s));
        let expected = DeadLetters { count_at_open, count_at_close, redrive: redrive_outcome };
        assert_eq!(answer, QueueAnswer::DeadLetters(expected));
        let started = world.calls.borrow().iter().any(|call| call == &format!("start_move {DEAD_ARN} 5"));
        assert_eq!(started, redrive_outcome == RedriveOutcome::Started);
    }
}

#[test]
fn a_move_that_is_under_way_is_a_start_and_a_refused_one_is_said() {
    for (kind, outcome) in [
        (CallErrorKind::Conflict, RedriveOutcome::Started),
        (CallErrorKind::AccessDenied, RedriveOutcome::Failed),
        (CallErrorKind::Transient, RedriveOutcome::Failed),
    ] {
        let world = world(1, 20, 9);
        world.faults.borrow_mut().insert(3, Fault::Fail(kind));
        let expected = DeadLetters { count_at_open: Some(0), count_at_close: 9, redrive: outcome };
        assert_eq!(ask(&world, &redrive(Some(0), true, Some(5))), QueueAnswer::DeadLetters(expected));
    }
}

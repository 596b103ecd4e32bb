//! The store cannot be reached.

use std::time::Duration;

use guard::{CallError, OpenCause};

use crate::support::*;

const AWAY: &str = "the guard's store cannot be reached";
const BACK: &str = "can be reached again";

#[tokio::test(start_paused = true)]
async fn calls_pass_and_it_is_said_once_each_way() {
    let table = Table::new();
    let log = Log::listen();
    table.set_away(true);
    let guard = table.guard(quick());
    for _ in 0..50 {
        good(&guard).await.unwrap();
        settle().await;
        wait_ms(500).await;
    }
    assert_eq!((log.count(AWAY), log.count(BACK)), (1, 0));
    let reads = table.requests().0;
    assert!((20..=26).contains(&reads), "one try a second and no more: {reads}");
    table.set_away(false);
    for _ in 0..10 {
        good(&guard).await.unwrap();
        settle().await;
        wait_ms(500).await;
    }
    assert_eq!((log.count(AWAY), log.count(BACK)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn it_keeps_a_circuit_of_its_own() {
    let table = Table::new();
    table.set_away(true);
    let guard = table.guard(quick());
    for _ in 0..3 {
        assert_eq!(bad(&guard).await, Err(CallError::Failed(Trouble::Down)));
    }
    assert!(matches!(good(&guard).await, Err(CallError::Open(open)) if open.cause == OpenCause::Tripped));
    wait_ms(10_001).await;
    for _ in 0..2 {
        good(&guard).await.unwrap();
    }
    for _ in 0..10 {
        good(&guard).await.unwrap();
    }
    assert_eq!(table.requests().1, 0);
}

#[tokio::test(start_paused = true)]
async fn within_the_grace_it_obeys_what_it_has_read_and_takes_no_sample() {
    let table = Table::new();
    let guard = table.guard(quick());
    for _ in 0..3 {
        bad(&guard).await.unwrap_err();
    }
    wait_ms(10_001).await;
    table.set_away(true);
    assert!(matches!(good(&guard).await, Err(CallError::Open(_))), "nobody knows who else takes a sample");
    wait_ms(4_000).await;
    assert!(matches!(good(&guard).await, Err(CallError::Open(_))));
    wait_ms(1_001).await;
    good(&guard).await.unwrap();
    table.set_away(false);
    wait_ms(1_000).await;
    let _ = good(&guard).await;
    settle().await;
    assert_eq!(table.state(), "open", "its own circuit was its own");
}

#[tokio::test(start_paused = true)]
async fn what_the_workflow_opened_is_tried_after_one_opening() {
    let table = Table::new();
    let guard = table.guard(quick());
    table.claim();
    good(&guard).await.unwrap_err();
    table.set_away(true);
    let mut refused_ms = 0;
    while good(&guard).await.is_err() {
        settle().await;
        wait_ms(100).await;
        refused_ms += 100;
        assert!(refused_ms < 60_000);
    }
    assert!((16_000..=17_000).contains(&refused_ms), "grace 5 s and an opening of 10 s: {refused_ms}");
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_before_the_store_went_away_still_counts() {
    let table = Table::new();
    let guard = table.guard(guard::Settings { store_grace: Duration::ZERO, ..quick() });
    bad(&guard).await.unwrap_err();
    bad(&guard).await.unwrap_err();
    table.set_away(true);
    bad(&guard).await.unwrap_err();
    bad(&guard).await.unwrap_err();
    assert!(matches!(good(&guard).await, Err(CallError::Open(_))));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_not_asked_at_every_bad_call() {
    let table = Table::new();
    let guard = table.guard(quick());
    good(&guard).await.unwrap();
    table.set_away(true);
    for _ in 0..100 {
        bad(&guard).await.unwrap_err();
    }
    assert_eq!(table.requests(), (2, 0), "once, and again after refresh_every");
}

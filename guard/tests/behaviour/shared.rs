//! Several instances, the workflow and people on one item.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use guard::{CallError, OpenCause, Settings, TripRequest};

use crate::support::*;

fn cause<T: std::fmt::Debug>(result: Result<T, CallError<Trouble>>) -> OpenCause {
    match result {
        Err(CallError::Open(open)) => open.cause,
        other => panic!("the call was made: {other:?}"),
    }
}

async fn trip(guard: &guard::Guard<Table>) {
    for _ in 0..3 {
        bad(guard).await.unwrap_err();
    }
}

#[tokio::test(start_paused = true)]
async fn failures_of_all_instances_count_together_and_all_obey() {
    let table = Table::new();
    let guards = [table.guard(quick()), table.guard(quick()), table.guard(quick())];
    bad(&guards[0]).await.unwrap_err();
    bad(&guards[0]).await.unwrap_err();
    bad(&guards[1]).await.unwrap_err();
    assert_eq!(table.state(), "open");
    assert_eq!(cause(good(&guards[2]).await), OpenCause::Tripped);
    // The first knows it from its next refresh on.
    good(&guards[0]).await.unwrap();
    wait_ms(1_000).await;
    good(&guards[0]).await.unwrap();
    settle().await;
    assert_eq!(cause(good(&guards[0]).await), OpenCause::Tripped);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_was_asleep_asks_before_it_calls() {
    let table = Table::new();
    let guards = [table.guard(quick()), table.guard(quick())];
    good(&guards[1]).await.unwrap();
    wait_ms(5_000).await;
    trip(&guards[0]).await;
    assert_eq!(cause(good(&guards[1]).await), OpenCause::Tripped);
}

/// Whoever waits for a call may go away while the state is read. The next call must not pass on what is known from before.
#[tokio::test(start_paused = true)]
async fn callers_without_patience_neither_pass_unasked_nor_wait_for_ever() {
    let table = Table::new();
    let guard = table.guard(quick());
    good(&guard).await.unwrap();
    table.claim();
    table.latency_ms.store(20, std::sync::atomic::Ordering::Relaxed);
    wait_ms(5_000).await;
    let hasty = async || tokio::time::timeout(Duration::from_millis(5), good(&guard)).await;
    for _ in 0..3 {
        assert!(hasty().await.is_err(), "it waits");
    }
    wait_ms(10).await;
    assert_eq!(cause(hasty().await.unwrap()), OpenCause::Workflow);
    assert_eq!(table.requests().0, 2, "all of them waited for one read");
}

/// One instance's own network is broken; the others call the dependency without trouble.
#[tokio::test(start_paused = true)]
async fn one_broken_instance_among_healthy_ones_does_not_open_it() {
    let table = Table::new();
    let guards: Vec<_> = (0..5).map(|_| table.guard(Settings::default())).collect();
    for _ in 0..100 {
        wait_ms(100).await;
        bad(&guards[0]).await.unwrap_err();
        for healthy in &guards[1..] {
            good(healthy).await.unwrap();
        }
        settle().await;
    }
    assert_eq!(table.state(), "closed", "20 % of all calls fail");
    for _ in 0..100 {
        wait_ms(100).await;
        for guard in &guards {
            let _ = bad(guard).await;
        }
        settle().await;
    }
    assert_ne!(table.state(), "closed", "all of them do");
}

/// Counts that were alarming an hour ago do not count as gathered since then.
#[tokio::test(start_paused = true)]
async fn gathering_begins_anew_after_a_quiet_time() {
    let table = Table::new();
    let guard =
        table.guard(Settings { flush_every: Duration::ZERO, minimum_call_count: 3, ..Settings::default() });
    bad(&guard).await.unwrap_err();
    wait_ms(3_600_000).await;
    for _ in 0..6 {
        bad(&guard).await.unwrap_err();
    }
    assert_eq!(table.state(), "closed", "nothing is gathered yet");
    wait_ms(2_000).await;
    bad(&guard).await.unwrap_err();
    assert_eq!(table.state(), "open");
}

#[tokio::test(start_paused = true)]
async fn the_workflow_opens_and_closes_for_all() {
    let table = Table::new();
    let guards = [table.guard(quick()), table.guard(quick())];
    table.claim();
    for guard in &guards {
        match good(guard).await {
            Err(CallError::Open(open)) => {
                assert_eq!(open.cause, OpenCause::Workflow);
                assert_eq!(open.retry_after, Duration::from_secs(30), "until its next probe");
            }
            other => panic!("the call was made: {other:?}"),
        }
    }
    assert_eq!(table.requests().1, 0, "a guard writes nothing while the workflow owns it");
    table.close();
    wait_ms(1_000).await;
    for guard in &guards {
        let _ = good(guard).await;
        settle().await;
        good(guard).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_takes_a_tripped_circuit_and_its_close_ends_the_trip_too() {
    let table = Table::new();
    let guard = table.guard(quick());
    trip(&guard).await;
    let attributes = table.memory.attributes(CIRCUIT);
    assert!(
        attributes.keys().all(|name| name == "circuit" || name.starts_with("guard_")),
        "nothing keeps an execution from claiming: {attributes:?}"
    );
    table.claim();
    wait_ms(11_000).await;
    let _ = good(&guard).await;
    settle().await;
    assert_eq!(cause(good(&guard).await), OpenCause::Workflow, "no sample while the workflow owns it");
    table.close();
    wait_ms(1_000).await;
    let _ = good(&guard).await;
    settle().await;
    good(&guard).await.unwrap();
    trip(&guard).await;
    settle().await;
    assert_eq!(cause(good(&guard).await), OpenCause::Tripped, "a guard can open it again afterwards");
}

#[tokio::test(start_paused = true)]
async fn the_instance_that_opens_it_asks_for_the_workflow_once() {
    let table = Table::new();
    let asked: Arc<Mutex<Vec<TripRequest>>> = Arc::default();
    let with_hook = || {
        let asked = asked.clone();
        let hook = move |request| {
            asked.lock().unwrap().push(request);
            async { Err("the bus is away".into()) }
        };
        table.builder(quick()).on_trip(hook).build().unwrap()
    };
    let guards = [with_hook(), with_hook()];
    good(&guards[1]).await.unwrap();
    // The answer of the very write that opens it is lost.
    bad(&guards[0]).await.unwrap_err();
    bad(&guards[0]).await.unwrap_err();
    table.loses_answer.store(true, std::sync::atomic::Ordering::Relaxed);
    let log = Log::listen();
    bad(&guards[0]).await.unwrap_err();
    trip(&guards[1]).await;
    let expected = TripRequest::new(CIRCUIT, "3 calls in a row failed");
    assert_eq!(*asked.lock().unwrap(), [expected]);
    assert_eq!(log.count("the trip could not be announced"), 1);
    // A sample that fails is no new trip.
    wait_ms(10_001).await;
    assert_eq!(bad(&guards[0]).await, Err(CallError::Failed(Trouble::Down)));
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_whose_answer_was_lost_is_used() {
    let table = Table::new();
    let guard = table.guard(quick());
    trip(&guard).await;
    wait_ms(10_001).await;
    table.loses_answer.store(true, std::sync::atomic::Ordering::Relaxed);
    good(&guard).await.unwrap();
    assert_eq!(table.state(), "half_open");
    good(&guard).await.unwrap();
    assert_eq!(table.state(), "closed");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_written_late_is_used() {
    let table = Table::new();
    let guard = table.guard(quick());
    trip(&guard).await;
    wait_ms(10_001).await;
    table.is_late.store(true, std::sync::atomic::Ordering::Relaxed);
    good(&guard).await.unwrap();
    assert_eq!(
        table.requests().1,
        3 + 3,
        "three to open it; then one late, one refused, and the end of the sample"
    );
    good(&guard).await.unwrap();
    assert_eq!(table.state(), "closed");
}

#[tokio::test(start_paused = true)]
async fn an_isolation_holds_through_everything_until_it_is_released() {
    let table = Table::new();
    let guards = [table.guard(quick()), table.guard(quick())];
    assert!(guards[0].isolate("ana", "data is wrong").await.unwrap());
    assert!(!guards[0].isolate("ben", "again").await.unwrap(), "it is isolated already");
    table.claim();
    table.close();
    wait_ms(100_000).await;
    for guard in &guards {
        assert_eq!(cause(good(guard).await), OpenCause::Isolated);
    }
    let isolation = guards[1].status().await.unwrap().item.record.isolation.unwrap();
    assert_eq!((isolation.by.as_str(), isolation.reason.as_str()), ("ana", "data is wrong"));
    table.claim();
    assert!(guards[1].release().await.unwrap(), "people may, while the workflow owns it");
    assert!(!guards[1].release().await.unwrap());
    assert_eq!(cause(good(&guards[1]).await), OpenCause::Workflow);
    table.close();
    assert_eq!(guards[1].status().await.unwrap().verdict, guard::Verdict::Pass);
    good(&guards[1]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_flush_says_what_is_not_said_yet() {
    let table = Table::new();
    let guard = table.guard(Settings { flush_every: Duration::from_secs(60), ..quick() });
    trip(&guard).await;
    assert_eq!(table.state(), "closed", "the first is written, the others wait");
    guard.flush().await;
    assert_eq!(table.state(), "open");
}

/// With a role that may read the item and not write it.
#[tokio::test(start_paused = true)]
async fn a_guard_that_may_only_read_obeys_and_says_that_it_cannot_write() {
    let table = Table::new();
    table.is_read_only.store(true, std::sync::atomic::Ordering::Relaxed);
    let log = Log::listen();
    let guard = table.guard(quick());
    for _ in 0..20 {
        assert_eq!(bad(&guard).await, Err(CallError::Failed(Trouble::Down)));
        wait_ms(1_000).await;
    }
    assert_eq!(log.count("cannot write"), 1);
    assert_eq!(log.count("cannot be reached"), 0);
    table.claim();
    wait_ms(1_000).await;
    let _ = good(&guard).await;
    settle().await;
    assert_eq!(cause(good(&guard).await), OpenCause::Workflow);
    table.close();
    table.is_read_only.store(false, std::sync::atomic::Ordering::Relaxed);
    wait_ms(1_000).await;
    let _ = good(&guard).await;
    settle().await;
    trip(&guard).await;
    assert_eq!(table.state(), "open");
}

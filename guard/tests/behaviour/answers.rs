//! Fallbacks.

use std::sync::atomic::Ordering;
use std::time::Duration;

use guard::{CallError, Origin, Settings};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_fallback_says_that_it_is_one_and_why() {
    let table = Table::new();
    let guard = table.guard(quick());
    let answer = guard.call_or_value(1, || async { Ok::<_, Trouble>(7) }).await.unwrap();
    assert_eq!((answer.value, answer.is_fallback()), (7, false));
    for _ in 0..3 {
        let answer = guard.call_or_value(1, || async { Err(Trouble::Down) }).await.unwrap();
        assert_eq!(answer.value, 1);
        assert_eq!(answer.why(), Some(&CallError::Failed(Trouble::Down)));
    }
    let fallback = |why: &CallError<Trouble>| if matches!(why, CallError::Open(_)) { 2 } else { 3 };
    let answer = guard.call_or(fallback, || async { Ok(7) }).await.unwrap();
    assert_eq!(answer.value, 2);
    assert!(matches!(answer.origin, Origin::Fallback { why: CallError::Open(_) }));
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_an_answer_is_no_reason_for_a_fallback() {
    let table = Table::new();
    let guard = table.builder(quick()).failure_if(|error: &Trouble| *error == Trouble::Down).build().unwrap();
    let not_found = || async { Err::<u32, _>(Trouble::NotFound) };
    assert_eq!(guard.call_or_value(1, not_found).await, Err(Trouble::NotFound));
    guard.call_or_kept("7", || async { Ok(7) }).await.unwrap();
    let answer = guard.call_or_kept("7", not_found).await;
    assert_eq!(answer, Err(CallError::Failed(Trouble::NotFound)));
}

#[tokio::test(start_paused = true)]
async fn the_last_good_answer_stands_in_for_as_long_as_it_may() {
    let table = Table::new();
    let guard = table.guard(quick());
    let down = || async { Err::<u32, _>(Trouble::Down) };
    assert_eq!(guard.call_or_kept("7", down).await, Err(CallError::Failed(Trouble::Down)), "there is none");
    guard.call_or_kept("7", || async { Ok::<_, Trouble>(41) }).await.unwrap();
    wait_ms(60_000).await;
    guard.call_or_kept("7", || async { Ok::<_, Trouble>(42) }).await.unwrap();
    wait_ms(1_000).await;
    // Another instance has it too.
    for guard in [&guard, &table.guard(quick())] {
        let answer = guard.call_or_kept("7", down).await.unwrap();
        assert_eq!(answer.value, 42);
        let why = CallError::Failed(Trouble::Down);
        assert_eq!(answer.origin, Origin::Kept { age: Duration::from_secs(1), why });
    }
    assert!(guard.call_or_kept("8", down).await.is_err(), "another key");
    wait_ms(3_600_000).await;
    assert!(guard.call_or_kept("7", down).await.is_err(), "too old");
}

/// A store may give an answer that it has not deleted yet, and instances may be configured with different ages.
#[tokio::test(start_paused = true)]
async fn the_age_is_the_readers() {
    let table = Table::new();
    table.guard(quick()).call_or_kept("7", || async { Ok::<_, Trouble>(42) }).await.unwrap();
    wait_ms(2_001).await;
    let strict = table.guard(Settings { answer_max_age: Duration::from_secs(2), ..quick() });
    assert!(strict.call_or_kept("7", || async { Err::<u32, _>(Trouble::Down) }).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_written_once_per_interval_and_key_and_not_if_it_is_too_long() {
    let table = Table::new();
    let guard = table.guard(Settings { answer_max_bytes: 10, ..quick() });
    let written = || table.answers_written.load(Ordering::Relaxed);
    for _ in 0..100 {
        guard.call_or_kept("7", || async { Ok::<_, Trouble>(42) }).await.unwrap();
    }
    assert_eq!(written(), 1);
    guard.call_or_kept("8", || async { Ok::<_, Trouble>(42) }).await.unwrap();
    assert_eq!(written(), 2);
    let long = || async { Ok::<_, Trouble>("123456789".to_owned()) };
    assert!(!guard.call_or_kept("9", long).await.unwrap().is_fallback());
    assert_eq!(written(), 2, "eleven bytes of JSON");
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_another_form_is_none() {
    let table = Table::new();
    let guard = table.guard(quick());
    guard.call_or_kept("7", || async { Ok::<_, Trouble>("text".to_owned()) }).await.unwrap();
    let answer = guard.call_or_kept("7", || async { Err::<u32, _>(Trouble::Down) }).await;
    assert_eq!(answer, Err(CallError::Failed(Trouble::Down)));
}

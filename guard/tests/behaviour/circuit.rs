//! One instance: what it counts, when it opens, and how it closes.

use std::time::Duration;

use guard::{CallError, CircuitOpen, OpenCause, Outcome, Settings};

use crate::support::*;

fn refusal(result: Result<u32, CallError<Trouble>>) -> CircuitOpen {
    match result {
        Err(CallError::Open(open)) => open,
        other => panic!("the call was made: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_common_call_makes_no_request() {
    let table = Table::new();
    let guard = table.guard(Settings::default());
    for _ in 0..1_000 {
        assert_eq!(good(&guard).await, Ok(7));
    }
    settle().await;
    assert_eq!(table.requests(), (1, 0), "the first call reads");
    for _ in 0..20 {
        wait_ms(250).await;
        assert_eq!(good(&guard).await, Ok(7));
        settle().await;
    }
    assert_eq!(table.requests(), (6, 0), "one read a second, and no write");
}

#[tokio::test(start_paused = true)]
async fn a_few_errors_among_many_calls_are_not_written() {
    let table = Table::new();
    let guard = table.guard(Settings { flush_every: Duration::ZERO, ..Settings::default() });
    for _ in 0..20 {
        for _ in 0..4 {
            good(&guard).await.unwrap();
        }
        bad(&guard).await.unwrap_err();
    }
    assert_eq!(table.requests(), (1, 0), "20 % is less than half of the 50 % that trip");
}

#[tokio::test(start_paused = true)]
async fn it_opens_on_the_failure_rate_with_the_least_volume() {
    let table = Table::new();
    let settings =
        Settings { gather_for: Duration::ZERO, flush_every: Duration::ZERO, ..Settings::default() };
    let guard = table.guard(settings);
    for _ in 0..10 {
        good(&guard).await.unwrap();
    }
    for _ in 0..9 {
        bad(&guard).await.unwrap_err();
    }
    assert_eq!(table.state(), "closed", "9 of 19");
    bad(&guard).await.unwrap_err();
    assert_eq!(table.state(), "open", "10 of 20");
    assert_eq!(table.item().record.reason, "10 of 20 calls failed within 30 s");
    let open = refusal(good(&guard).await);
    assert_eq!(open.cause, OpenCause::Tripped);
    assert!(open.retry_after > Duration::from_secs(7) && open.retry_after <= Duration::from_secs(10));
    assert_eq!(open.circuit, CIRCUIT);
}

#[tokio::test(start_paused = true)]
async fn it_writes_at_most_once_per_interval() {
    let table = Table::new();
    let guard = table.guard(Settings {
        refresh_every: Duration::from_secs(60),
        stale_after: Duration::from_secs(60),
        ..Settings::default()
    });
    for _ in 0..19 {
        bad(&guard).await.unwrap_err();
    }
    assert_eq!(table.requests(), (2, 1), "the first call reads, and the first that is bad reads and writes");
    wait_ms(1_000).await;
    bad(&guard).await.unwrap_err();
    assert_eq!(table.requests(), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn it_opens_on_slow_calls_whether_or_not_they_succeed() {
    let table = Table::new();
    let settings = Settings {
        slow_rate_percent: Some(80),
        slow_call: Duration::from_millis(300),
        minimum_call_count: 5,
        flush_every: Duration::ZERO,
        gather_for: Duration::ZERO,
        ..Settings::default()
    };
    let guard = table.guard(settings);
    let takes = async |ms| {
        let call = || async move {
            wait_ms(ms).await;
            Ok::<_, Trouble>(7)
        };
        guard.call(call).await
    };
    takes(299).await.unwrap();
    for _ in 0..4 {
        assert_eq!(table.state(), "closed");
        takes(300).await.unwrap();
    }
    assert_eq!(table.state(), "open");
    assert_eq!(table.item().record.reason, "4 of 5 calls took 300 ms or longer within 30 s");
}

#[tokio::test(start_paused = true)]
async fn only_what_the_predicate_names_is_a_failure() {
    let table = Table::new();
    let guard = table.builder(quick()).failure_if(|error: &Trouble| *error == Trouble::Down).build().unwrap();
    for _ in 0..10 {
        let result = guard.call(|| async { Err::<u32, _>(Trouble::NotFound) }).await;
        assert_eq!(result, Err(CallError::Failed(Trouble::NotFound)));
    }
    assert_eq!(table.state(), "closed");
    for _ in 0..3 {
        bad(&guard).await.unwrap_err();
    }
    assert_eq!(table.state(), "open");

    let table = Table::new();
    let judge = |result: &Result<u32, Trouble>| match result {
        Ok(7) => Outcome::Failure,
        Ok(_) | Err(_) => Outcome::Success,
    };
    let guard = table.builder(quick()).judge(judge).build().unwrap();
    for _ in 0..3 {
        good(&guard).await.unwrap();
    }
    assert_eq!(table.state(), "open", "an answer can be a failure");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_is_cancelled_and_has_failed() {
    let table = Table::new();
    let settings = Settings { call_timeout: Some(Duration::from_millis(200)), ..quick() };
    let guard = table.guard(settings);
    for _ in 0..3 {
        let result = endless(&guard).await;
        assert_eq!(result, Err(CallError::TimedOut { limit: Duration::from_millis(200) }));
    }
    assert_eq!(table.state(), "open");
}

#[tokio::test(start_paused = true)]
async fn it_closes_after_enough_successes_and_opens_for_longer_after_a_failure() {
    let table = Table::new();
    let guard = table.guard(quick());
    for _ in 0..3 {
        bad(&guard).await.unwrap_err();
    }
    let mut lengths = Vec::new();
    for _ in 0..3 {
        lengths.push(refusal(good(&guard).await).retry_after.as_secs());
        wait_ms(1_000 * lengths.last().unwrap() + 1).await;
        assert_eq!(bad(&guard).await, Err(CallError::Failed(Trouble::Down)), "a sample");
    }
    assert_eq!(lengths, [10, 20, 40]);
    wait_ms(80_001).await;
    good(&guard).await.unwrap();
    assert_eq!(table.state(), "half_open", "one of two successes");
    good(&guard).await.unwrap();
    assert_eq!(table.state(), "closed");
    for _ in 0..3 {
        bad(&guard).await.unwrap_err();
    }
    assert_eq!(refusal(good(&guard).await).retry_after.as_secs(), 10, "a close begins anew");
}

#[tokio::test(start_paused = true)]
async fn a_crashed_sample_blocks_no_longer_than_its_lease() {
    let table = Table::new();
    let guard = table.guard(quick());
    for _ in 0..3 {
        bad(&guard).await.unwrap_err();
    }
    wait_ms(10_001).await;
    let crashed = guard.call(std::future::pending::<Result<u32, Trouble>>);
    tokio::time::timeout(Duration::from_secs(1), crashed).await.unwrap_err();
    let open = refusal(good(&guard).await);
    assert_eq!(open.cause, OpenCause::Sampling);
    wait_ms(9_000).await;
    refusal(good(&guard).await);
    wait_ms(1_001).await;
    good(&guard).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_sample_that_takes_too_long_opens_it_again() {
    let table = Table::new();
    let guard = table.guard(quick());
    for _ in 0..3 {
        bad(&guard).await.unwrap_err();
    }
    wait_ms(10_001).await;
    let result = endless(&guard).await;
    assert_eq!(result, Err(CallError::TimedOut { limit: Duration::from_secs(10) }));
    assert_eq!(table.item().record.round_count, 2);
    assert_eq!(table.state(), "open");
}

/// A call that began in the closed circuit and ends when it is closed again says nothing about the dependency of now.
#[tokio::test(start_paused = true)]
async fn what_began_before_the_circuit_changed_does_not_count() {
    let table = Table::new();
    let guard = table.guard(Settings { success_count: 1, ..quick() });
    let late = {
        let guard = guard.clone();
        tokio::spawn(async move {
            let call = || async {
                wait_ms(15_000).await;
                Err::<u32, _>(Trouble::Down)
            };
            guard.call(call).await
        })
    };
    settle().await;
    for _ in 0..3 {
        bad(&guard).await.unwrap_err();
    }
    wait_ms(10_001).await;
    good(&guard).await.unwrap();
    assert_eq!(table.state(), "closed");
    for _ in 0..2 {
        bad(&guard).await.unwrap_err();
    }
    late.await.unwrap().unwrap_err();
    assert_eq!(table.state(), "closed", "two in a row, and one of the time before");
    bad(&guard).await.unwrap_err();
    assert_eq!(table.state(), "open");
}

#[tokio::test(start_paused = true)]
async fn settings_out_of_range_and_names_that_are_none_are_refused() {
    let table = Table::new();
    let settings = Settings { sample_count: 0, ..Settings::default() };
    let error = guard::Guard::builder("Orders#1", table).settings(settings).build().err().unwrap();
    assert_eq!(
        error.to_string(),
        "the guard of circuit \"Orders#1\" cannot be built: sample_count is 0; allowed: 1 to 100; circuit is \
         \"Orders#1\"; allowed: a lower case letter, then at most 31 of lower case letters, digits and -. Set what is \
         named to a value in its range"
    );
}

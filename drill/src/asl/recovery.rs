//! Retry and Catch.

use std::time::Duration;

use rand::RngExt;

use super::failure::Failure;
use super::host::Host;
use super::model::{Next, Recovery, Retrier};
use super::run::{Here, Left, Run, Step};

impl<H: Host> Run<'_, H> {
    /// Makes attempts until one succeeds or no retrier wants another, then looks for a catcher.
    pub(super) async fn recover(
        &self,
        here: &Here<'_>,
        recovery: &Recovery,
        next: Next,
        attempt: impl AsyncFn() -> Result<Left, Failure>,
    ) -> Result<Step, Failure> {
        // Each retrier counts on its own; a success ends the state, so that none starts anew.
        let mut retry_counts = vec![0; recovery.retriers.len()];
        loop {
            let failure = match attempt().await {
                Ok(left) => return self.exited(here, left, next),
                Err(failure) => failure,
            };
            let mut retriers = recovery.retriers.iter().zip(&mut retry_counts);
            let first = retriers.find(|(retrier, _)| failure.matches(&retrier.errors));
            let Some((retrier, count)) = first.filter(|(r, count)| **count < r.max_attempts) else {
                return self.catch(here, recovery, failure);
            };
            let share = self.oracle.rng.borrow_mut().random::<f64>();
            let delay = retry_delay(retrier, *count, share);
            *count += 1;
            here.context.retry_count.set(here.context.retry_count.get() + 1);
            self.sim.sleep(delay).await;
        }
    }

    fn catch(&self, here: &Here<'_>, recovery: &Recovery, failure: Failure) -> Result<Step, Failure> {
        let catcher = recovery.catchers.iter().find(|catcher| failure.matches(&catcher.errors));
        let Some(catcher) = catcher else { return Err(failure) };
        let error_output = failure.error_output();
        let mut view = self.view(here);
        view.error_output = Some(&error_output);
        let left = self.finish(here, &view, &catcher.exit, &error_output)?;
        self.exited(here, left, Next::State(catcher.next))
    }
}

/// The time before a retry: `interval * rate^n` for the retry numbered `n` from 0, at most the
/// retrier's maximum; with full jitter the given share (0 to 1) of that.
pub(super) fn retry_delay(retrier: &Retrier, n: u64, share: f64) -> Duration {
    // A power beyond what a double holds is infinite, which the cast below saturates.
    let mut delay_ms = retrier.interval.as_millis() as f64 * power(retrier.backoff_rate, n);
    if let Some(max_delay) = retrier.max_delay {
        delay_ms = delay_ms.min(max_delay.as_millis() as f64);
    }
    if retrier.full_jitter {
        delay_ms *= share;
    }
    Duration::from_millis(delay_ms as u64)
}

/// `base^exponent` by multiplications alone, which every machine rounds alike: `powi` promises no such thing, and the
/// same seed has to give the same trace everywhere.
fn power(base: f64, exponent: u64) -> f64 {
    let (mut power, mut square, mut rest) = (1.0, base, exponent);
    loop {
        if rest % 2 == 1 {
            power *= square;
        }
        rest /= 2;
        if rest == 0 {
            return power;
        }
        square *= square;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
            #[test]
            fn delays_grow_up_to_their_maximum(
                interval_s in 1u64..1000,
                rate in 1.0f64..5.0,
                n in 0u64..100,
                headroom_s in 1u64..10_000,
                share in 0.0f64..1.0,
            ) {
                let max_delay = Duration::from_secs(interval_s + headroom_s);
                let retrier = |max_delay, full_jitter| Retrier {
                    errors: Vec::new(),
                    interval: Duration::from_secs(interval_s),
                    max_attempts: u64::MAX,
                    backoff_rate: rate,
                    max_delay,
                    full_jitter,
                };
                let plain = retry_delay(&retrier(None, false), n, share);
                let expected_ms = interval_s as f64 * 1000.0 * rate.powf(n as f64);
                let error = (plain.as_millis() as f64 - expected_ms).abs();
                prop_assert!(error <= 1.0 + expected_ms * 1e-9 || expected_ms > 1e15);
                let capped = retry_delay(&retrier(Some(max_delay), false), n, share);
                prop_assert_eq!(capped, plain.min(max_delay));
                let jittered = retry_delay(&retrier(Some(max_delay), true), n, share);
                prop_assert!(jittered <= capped);
    let share_of_capped = capped.as_millis() as f64 * share;
                prop_assert!((jittered.as_millis() as f64 - share_of_capped).abs() <= 1.0);
            }
        }

    #[test]
    fn powers_are_exact_where_a_double_holds_them() {
        for exponent in 0..33 {
            assert_eq!(power(3.0, exponent) as u64, 3_u64.pow(exponent as u32));
        }
        assert_eq!(power(2.0, 1_023), f64::from_bits(0x7fe0_0000_0000_0000));
        assert_eq!(power(2.0, u64::MAX), f64::INFINITY);
        assert_eq!(power(1.0, u64::MAX), 1.0);
    }

    #[test]
    fn jitter_covers_the_whole_range() {
        let retrier = Retrier {
            errors: Vec::new(),
            interval: Duration::from_secs(8),
            max_attempts: 1,
            backoff_rate: 2.0,
            max_delay: None,
            full_jitter: true,
        };
        assert_eq!(retry_delay(&retrier, 0, 0.0), Duration::ZERO);
        assert_eq!(retry_delay(&retrier, 1, 0.5), Duration::from_secs(8));
        assert_eq!(retry_delay(&retrier, 0, 1.0), Duration::from_secs(8));
    }
}

//! Arithmetic of the backoff between probes.
//!
//! The wait before probe `n` is drawn between zero and a ceiling (full jitter) or is the ceiling itself. The ceilings
//! grow from `base` by `rate` up to `cap`. They are computed here, once, and stand as a list in the workflow's
//! definition, where an operator can read them in the console.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Most ceilings a backoff may have before it reaches its cap; keeps the definition small.
pub const MAX_CEILINGS: usize = 128;

/// Exponential backoff with a cap.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Backoff {
    /// Ceiling of the first wait, seconds, 1 to 43,200.
    pub base_s: u32,
    /// Growth of the ceiling from one wait to the next: 1 (constant), or 1.1 to 10.
    pub rate: f64,
    /// Largest ceiling, seconds, `base_s` to 43,200.
    pub cap_s: u32,
    /// How a wait is drawn below its ceiling.
    pub jitter: Jitter,
}

/// How a wait is drawn below its ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// Uniformly between 1 s and the ceiling.
    Full,
    /// The ceiling itself.
    None,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { base_s: 30, rate: 2.0, cap_s: 300, jitter: Jitter::Full }
    }
}

impl Backoff {
    /// Ceilings of the successive waits in seconds; the last one stands for every later wait. At least one, at most
    /// [`MAX_CEILINGS`], never falling, within `base_s` and `cap_s` (for values that validate).
    pub fn ceilings_s(&self) -> Vec<u32> {
        let mut ceilings = Vec::new();
        let mut exact = f64::from(self.base_s);
        loop {
            let ceiling = exact.min(f64::from(self.cap_s)).round().max(1.0) as u32;
            ceilings.push(ceiling);
            if ceiling >= self.cap_s || self.rate <= 1.0 || ceilings.len() == MAX_CEILINGS {
                break;
            }
            exact *= self.rate;
        }
        ceilings
    }

    /// Ceiling of the wait after `failed_count` failed probes.
    pub fn ceiling(&self, failed_count: usize) -> Duration {
        let ceilings = self.ceilings_s();
        Duration::from_secs(u64::from(ceilings[failed_count.min(ceilings.len() - 1)]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_doubles_up_to_five_minutes() {
        assert_eq!(Backoff::default().ceilings_s(), [30, 60, 120, 240, 300]);
    }

    #[test]
    fn a_rate_of_one_is_a_constant_wait() {
        let backoff = Backoff { rate: 1.0, ..Backoff::default() };
        assert_eq!(backoff.ceilings_s(), [30]);
        assert_eq!(backoff.ceiling(7), Duration::from_secs(30));
    }

    proptest! {
        #[test]
        fn ceilings_rise_from_base_to_cap_by_the_rate(
            base_s in 1u32..=43_200,
            spread in 0u32..=43_200,
            rate in prop_oneof![Just(1.0), 1.1f64..=10.0],
        ) {
            let cap_s = base_s.saturating_add(spread).min(43_200);
            let backoff = Backoff { base_s, rate, cap_s, jitter: Jitter::Full };
            let ceilings = backoff.ceilings_s();
            prop_assert_eq!(ceilings[0], base_s);
            prop_assert!(ceilings.len() <= MAX_CEILINGS);
            prop_assert!(ceilings.windows(2).all(|pair| pair[0] <= pair[1]));
            for (n, ceiling) in ceilings.iter().enumerate() {
                let exact = (f64::from(base_s) * rate.powi(n as i32)).min(f64::from(cap_s));
                prop_assert!((f64::from(*ceiling) - exact).abs() <= 0.5 + exact * 1e-9);
            }
        }

        #[test]
        fn a_growing_backoff_reaches_its_cap(base_s in 1u32..=1_000, rate in 1.1f64..=10.0) {
            let backoff = Backoff { base_s, rate, cap_s: 43_200, jitter: Jitter::Full };
            let ceilings = backoff.ceilings_s();
            prop_assert_eq!(ceilings.last(), Some(&43_200));
        }
    }
}

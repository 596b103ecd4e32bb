//! When the backlog of an outage reaches the consumer.

use std::time::Duration;

use crate::sim::Time;

/// Length of a slice of [`Arrivals::per_slice`].
pub const SLICE: Duration = Duration::from_secs(10);

/// How the messages arrive that were waiting when the dependency recovered last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// How many were waiting.
    pub waiting_count: u64,
    /// How many of them were processed in each ten seconds since the recovery.
    pub per_slice: Vec<u64>,
    /// From the recovery to the last of them that was processed.
    pub last: Duration,
    recovery: Option<Recovery>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Recovery {
    at: Time,
    /// Number of the first message that was sent after it.
    next_number: u32,
}

impl Arrivals {
    /// The dependency recovered: messages up to this number have been sent, and so many of them wait.
    pub fn recovered(&mut self, at: Time, next_number: u32, waiting_count: u64) {
        let recovery = Some(Recovery { at, next_number });
        *self = Arrivals { waiting_count, recovery, ..Arrivals::default() };
    }

    /// A message was processed for the first time.
    pub fn processed(&mut self, at: Time, trace: u32) {
        let Some(recovery) = self.recovery.filter(|recovery| trace < recovery.next_number) else { return };
        self.last = at - recovery.at;
        let slice = (self.last.as_millis() / SLICE.as_millis()) as usize;
        if self.per_slice.len() <= slice {
            self.per_slice.resize(slice + 1, 0);
        }
        self.per_slice[slice] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_waiting_at_the_last_recovery_counts() {
        let at = |s: u64| Time::from_ms(s * 1_000);
        let mut arrivals = Arrivals::default();
        arrivals.processed(at(1), 0);
        assert_eq!(arrivals, Arrivals::default());
        arrivals.recovered(at(100), 5, 4);
        for (s, trace) in [(103, 1), (109, 2), (110, 6), (121, 3)] {
            arrivals.processed(at(s), trace);
        }
        assert_eq!((arrivals.per_slice.as_slice(), arrivals.last), (&[2, 0, 1][..], Duration::from_secs(21)));
        arrivals.recovered(at(200), 9, 1);
        assert_eq!((arrivals.waiting_count, arrivals.per_slice.len()), (1, 0));
    }
}

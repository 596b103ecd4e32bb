//! Counting calls over a sliding window of buckets, and what the counts say.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::settings::{BUCKETS, Settings};

/// Calls of some stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All that have ended.
    #[serde(rename = "n")]
    pub call_count: u64,
    /// Those that failed.
    #[serde(rename = "f")]
    pub failure_count: u64,
    /// Those that were slow.
    #[serde(rename = "s")]
    pub slow_count: u64,
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.call_count = self.call_count.saturating_add(other.call_count);
        self.failure_count = self.failure_count.saturating_add(other.failure_count);
        self.slow_count = self.slow_count.saturating_add(other.slow_count);
    }

    fn less(self, other: Counts) -> Counts {
        Counts {
            call_count: self.call_count.saturating_sub(other.call_count),
            failure_count: self.failure_count.saturating_sub(other.failure_count),
            slow_count: self.slow_count.saturating_sub(other.slow_count),
        }
    }
}

/// The calls of one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Time since the Unix epoch in lengths of a bucket.
    #[serde(rename = "b")]
    pub index: u64,
    /// Its calls.
    #[serde(flatten)]
    pub counts: Counts,
}

/// What an instance has to say of its own calls: those not yet said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Its calls, the oldest first.
    pub buckets: Vec<Bucket>,
    /// Failures in a row at the end.
    pub run_count: u64,
    /// Whether a success came before those, and after what was said last.
    pub run_is_new: bool,
    /// Successes of the instance up to now: tells a run from the next one.
    pub serial: u64,
}

/// Which rate, or run, is high enough to trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Share of failures in the window.
    FailureRate(Counts),
    /// Failures in a row.
    ConsecutiveFailures(u64),
    /// Share of slow calls in the window.
    SlowRate(Counts),
}

/// Sum of the buckets that lie in the window at `now_ms`. A bucket from the future, by a clock that is ahead, counts if it
/// is not further ahead than the window is long.
pub fn sum(buckets: &[Bucket], now_ms: u64, settings: &Settings) -> Counts {
    let mut all = Counts::default();
    for bucket in buckets.iter().filter(|bucket| is_in_window(bucket.index, now_ms, settings)) {
        all.add(bucket.counts);
    }
    all
}

/// `buckets` and `more` together, without what has left the window. Ordered by index.
pub fn merge(buckets: &[Bucket], more: &[Bucket], now_ms: u64, settings: &Settings) -> Vec<Bucket> {
    let mut merged: Vec<Bucket> = Vec::with_capacity(buckets.len() + more.len());
    for bucket in buckets.iter().chain(more).filter(|bucket| is_in_window(bucket.index, now_ms, settings)) {
        match merged.binary_search_by_key(&bucket.index, |known| known.index) {
            Ok(at) => merged[at].counts.add(bucket.counts),
            Err(at) => merged.insert(at, *bucket),
        }
    }
    merged
}

fn is_in_window(index: u64, now_ms: u64, settings: &Settings) -> bool {
    let now = now_ms / settings.bucket_ms();
    index.saturating_add(BUCKETS) > now && index < now.saturating_add(BUCKETS)
}

/// Why these counts trip, if they do.
pub fn cause(counts: Counts, run_count: u64, settings: &Settings) -> Option<Cause> {
    if settings.consecutive_failure_count.is_some_and(|least| run_count >= u64::from(least)) {
        return Some(Cause::ConsecutiveFailures(run_count));
    }
    if counts.call_count < u64::from(settings.minimum_call_count) {
        return None;
    }
    if reaches(counts.failure_count, counts.call_count, settings.failure_rate_percent, 1) {
        return Some(Cause::FailureRate(counts));
    }
    if reaches(counts.slow_count, counts.call_count, settings.slow_rate_percent, 1) {
        return Some(Cause::SlowRate(counts));
    }
    None
}

/// Whether these counts are worth a write: at least half of what trips, whatever the volume. If the calls of all instances
/// together reach a rate, then at least one instance's own calls do, so nothing is missed; and a few errors among many
/// calls, which every service has, cost no write.
pub fn is_alarming(counts: Counts, run_count: u64, settings: &Settings) -> bool {
    settings.consecutive_failure_count.is_some_and(|least| run_count * 2 >= u64::from(least))
        || reaches(counts.failure_count, counts.call_count, settings.failure_rate_percent, 2)
        || reaches(counts.slow_count, counts.call_count, settings.slow_rate_percent, 2)
}

fn reaches(part: u64, all: u64, percent: Option<u32>, parts: u64) -> bool {
    percent.is_some_and(|percent| part > 0 && part * 100 * parts >= all * u64::from(percent))
}

/// An instance's own calls: the window, and what of it was said already.
#[derive(Debug, Default)]
pub struct LocalWindow {
    buckets: VecDeque<LocalBucket>,
    all: Counts,
    run_count: u64,
    unsaid_run_count: u64,
    serial: u64,
    said_serial: u64,
}

#[derive(Debug)]
struct LocalBucket {
    index: u64,
    counts: Counts,
    said: Counts,
}

impl LocalWindow {
    /// Counts a call that has ended.
    pub fn record(&mut self, now_ms: u64, failed: bool, slow: bool, settings: &Settings) {
        let now = now_ms / settings.bucket_ms();
        self.drop_old(now);
        let counts = Counts { call_count: 1, failure_count: u64::from(failed), slow_count: u64::from(slow) };
        self.all.add(counts);
        match self.buckets.back_mut() {
            // A clock that was set back goes on counting in the newest bucket.
            Some(last) if last.index >= now => last.counts.add(counts),
            _ => self.buckets.push_back(LocalBucket { index: now, counts, said: Counts::default() }),
        }
        if failed {
            self.run_count += 1;
            self.unsaid_run_count += 1;
        } else {
            self.run_count = 0;
            self.unsaid_run_count = 0;
            self.serial += 1;
        }
    }

    /// Whether the window at `now_ms` is worth a write.
    pub fn is_alarming(&mut self, now_ms: u64, settings: &Settings) -> bool {
        // The common case, in which nothing has failed: no bucket has to leave for knowing that.
        if self.all.failure_count == 0 && self.all.slow_count == 0 {
            return false;
        }
        self.drop_old(now_ms / settings.bucket_ms());
        is_alarming(self.all, self.run_count, settings)
    }

    /// What was not said yet.
    pub fn report(&self) -> Report {
        let unsaid = self
            .buckets
            .iter()
            .map(|bucket| Bucket { index: bucket.index, counts: bucket.counts.less(bucket.said) });
        Report {
            buckets: unsaid.filter(|bucket| bucket.counts.call_count > 0).collect(),
            run_count: self.unsaid_run_count,
            run_is_new: self.serial != self.said_serial,
            serial: self.serial,
        }
    }

    /// The whole window, said or not.
    pub fn everything(&self) -> Report {
        let all = self.buckets.iter().map(|bucket| Bucket { index: bucket.index, counts: bucket.counts });
        Report { buckets: all.collect(), run_count: self.run_count, run_is_new: true, serial: self.serial }
    }

    /// `report` has arrived. Calls that ended since then are still to be said.
    pub fn said(&mut self, report: &Report) {
        for bucket in &report.buckets {
            if let Some(own) = self.buckets.iter_mut().find(|own| own.index == bucket.index) {
                own.said.add(bucket.counts);
            }
        }
        self.said_serial = report.serial;
        // A success since then has begun a run of its own, of which nothing is said yet.
        if self.serial == report.serial {
            self.unsaid_run_count = self.unsaid_run_count.saturating_sub(report.run_count);
        }
    }

    /// Forgets everything: the circuit has changed.
    pub fn clear(&mut self) {
        *self = LocalWindow::default();
    }

    fn drop_old(&mut self, now: u64) {
        while self.buckets.front().is_some_and(|oldest| oldest.index.saturating_add(BUCKETS) <= now) {
            if let Some(old) = self.buckets.pop_front() {
                self.all = self.all.less(old.counts);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings() -> Settings {
        Settings { window: Duration::from_secs(10), minimum_call_count: 4, ..Settings::default() }
    }

    #[test]
    fn what_was_said_is_not_said_again_and_what_is_old_is_forgotten() {
        let settings = settings();
        let mut window = LocalWindow::default();
        window.record(1_000, true, false, &settings);
        window.record(1_500, false, true, &settings);
        let report = window.report();
        assert_eq!(
            report.buckets,
            [Bucket { index: 1, counts: Counts { call_count: 2, failure_count: 1, slow_count: 1 } }]
        );
        window.record(1_900, true, false, &settings);
        window.said(&report);
        assert_eq!(
            window.report(),
            Report {
                buckets: vec![Bucket {
                    index: 1,
                    counts: Counts { call_count: 1, failure_count: 1, slow_count: 0 }
                }],
                run_count: 1,
                run_is_new: false,
                serial: 1,
            }
        );
        assert!(window.is_alarming(10_999, &settings));
        assert!(!window.is_alarming(11_000, &settings), "a window of 10 s holds ten buckets of 1 s");
    }

    #[test]
    fn rates_need_volume_and_runs_do_not() {
        let settings = Settings { consecutive_failure_count: Some(3), ..settings() };
        let counts = |call_count, failure_count, slow_count| Counts { call_count, failure_count, slow_count };
        assert_eq!(cause(counts(3, 2, 0), 2, &settings), None);
        assert_eq!(cause(counts(4, 2, 0), 1, &settings), Some(Cause::FailureRate(counts(4, 2, 0))));
        assert_eq!(cause(counts(5, 2, 0), 1, &settings), None);
        assert_eq!(cause(counts(3, 3, 0), 3, &settings), Some(Cause::ConsecutiveFailures(3)));
        assert_eq!(
            cause(counts(4, 0, 4), 0, &settings),
            None,
            "slow calls trip only where that is switched on"
        );
        let settings = Settings { slow_rate_percent: Some(100), ..settings };
        assert_eq!(cause(counts(4, 0, 4), 0, &settings), Some(Cause::SlowRate(counts(4, 0, 4))));
    }
}

//! What a guard is configured with, and the one place that judges it.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

/// Buckets of the sliding window: the window moves on by a tenth of its length.
pub const BUCKETS: u64 = 10;

/// Settings of a guard. [`Settings::default`] has what each field's documentation names as default; [`Settings::findings`]
/// checks the ranges, and [`crate::Builder::build`] refuses what it finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Length of the sliding window in which calls are counted. 1 s to 1 h, 30 s by default. It moves in steps of a tenth.
    pub window: Duration,
    /// Share of calls in the window, in percent, that have to fail for a trip. 1 to 100, 50 by default; `None` switches it
    /// off.
    pub failure_rate_percent: Option<u32>,
    /// Calls in the window below which no rate trips. 1 to 1,000,000, 20 by default.
    pub minimum_call_count: u32,
    /// Failures in a row that trip, whatever the rate. 1 to 1,000,000; `None`, switched off, by default.
    pub consecutive_failure_count: Option<u32>,
    /// A call that takes at least this long is slow, whether or not it succeeds. 1 ms to 1 h, 5 s by default.
    pub slow_call: Duration,
    /// Share of calls in the window, in percent, that have to be slow for a trip. 1 to 100; `None`, switched off, by
    /// default. A slow sample opens the circuit again, unless this is switched off.
    pub slow_rate_percent: Option<u32>,
    /// How long the circuit stays open after a trip. 100 ms to 1 day, 10 s by default.
    pub open_for: Duration,
    /// Factor by which each opening without a close in between is longer than the one before. 1 to 10, 2 by default.
    pub growth: f64,
    /// Longest opening. At least `open_for`, at most 7 days, 5 min by default.
    pub open_cap: Duration,
    /// Share of an opening, in percent, by which chance may shorten it, so that circuits that opened together are not
    /// tried together. 0 to 100, 20 by default.
    pub jitter_percent: u32,
    /// Sample calls in flight while half-open, over all instances. 1 to 100, 1 by default.
    pub sample_count: u32,
    /// Sample calls that have to succeed for a close. 1 to 1,000, 2 by default.
    pub success_count: u32,
    /// How long a sample call may take: then it is cancelled, and has failed. A lease whose holder is gone is free again
    /// after this and `clock_skew`. 10 ms to 15 min, 10 s by default.
    pub sample_timeout: Duration,
    /// How long any other call may take: then it is cancelled, and has failed. 1 ms to 1 h; `None`, without a limit, by
    /// default.
    pub call_timeout: Option<Duration>,
    /// How far the clocks of two instances may be apart. 0 to 1 min, 1 s by default: AWS keeps the clocks of its machines
    /// far closer.
    pub clock_skew: Duration,
    /// Age of the cached state from which a call has it read anew, in the background and once at a time. 10 ms to 1 min, 1 s
    /// by default.
    pub refresh_every: Duration,
    /// Age of the cached state from which a call that it would let pass waits for a new one. It bounds for how long an
    /// instance can go on calling after another one, or the workflow, has opened the circuit. At least `refresh_every`, at
    /// most 10 min, 5 s by default.
    pub stale_after: Duration,
    /// Shortest time between two writes of an instance's counts. 0 to 1 min, 1 s by default.
    pub flush_every: Duration,
    /// How long counts are gathered after the first bad ones before they can trip, so that instances that see no failures
    /// have said so too. 0 to 1 min, 2 s by default: once `refresh_every` and once `flush_every`. With 0 one instance whose
    /// own network is broken can open the circuit for all.
    pub gather_for: Duration,
    /// How long a request to the store may take. 1 ms to 1 min, 1 s by default.
    pub store_timeout: Duration,
    /// How long an instance obeys what it has read last when the store cannot be reached. Then it goes on with a circuit of
    /// its own. 0 to 10 min, 5 s by default.
    pub store_grace: Duration,
    /// Age from which a kept answer is of no use any more. 1 s to 30 days, 1 h by default.
    pub answer_max_age: Duration,
    /// Shortest time between two writes of the same key's answer by one instance. 0 to 1 day, 1 min by default.
    pub answer_keep_every: Duration,
    /// Longest answer that is kept, in bytes of JSON. 1 to 350,000, 100,000 by default. An item of DynamoDB has at most
    /// 400 KB.
    pub answer_max_bytes: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            window: Duration::from_secs(30),
            failure_rate_percent: Some(50),
            minimum_call_count: 20,
            consecutive_failure_count: None,
            slow_call: Duration::from_secs(5),
            slow_rate_percent: None,
            open_for: Duration::from_secs(10),
            growth: 2.0,
            open_cap: Duration::from_secs(300),
            jitter_percent: 20,
            sample_count: 1,
            success_count: 2,
            sample_timeout: Duration::from_secs(10),
            call_timeout: None,
            clock_skew: Duration::from_secs(1),
            refresh_every: Duration::from_secs(1),
            stale_after: Duration::from_secs(5),
            flush_every: Duration::from_secs(1),
            gather_for: Duration::from_secs(2),
            store_timeout: Duration::from_secs(1),
            store_grace: Duration::from_secs(5),
            answer_max_age: Duration::from_secs(3_600),
            answer_keep_every: Duration::from_secs(60),
            answer_max_bytes: 100_000,
        }
    }
}

/// Longest `sample_timeout`.
pub(crate) const MAX_SAMPLE_TIMEOUT: Duration = Duration::from_secs(900);

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// One setting out of its range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Name of the field.
    pub setting: &'static str,
    /// Its value.
    pub value: String,
    /// What is allowed.
    pub allowed: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}; allowed: {}", self.setting, self.value, self.allowed)
    }
}

/// Settings that a guard cannot work with. Says all of them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the guard of circuit {circuit:?} cannot be built: {}. Set what is named to a value in its range", list(.findings))]
pub struct InvalidSettings {
    /// Name of the circuit.
    pub circuit: String,
    /// What is out of range.
    pub findings: Vec<Finding>,
}

fn list(findings: &[Finding]) -> String {
    findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("; ")
}

impl Settings {
    /// Everything that is out of its range.
    pub fn findings(&self) -> Vec<Finding> {
        let mut found = Findings(Vec::new());
        found.time("window", self.window, SECOND, HOUR);
        found.number("failure_rate_percent", self.failure_rate_percent.unwrap_or(1), 1, 100);
        found.number("minimum_call_count", self.minimum_call_count, 1, 1_000_000);
        found.number("consecutive_failure_count", self.consecutive_failure_count.unwrap_or(1), 1, 1_000_000);
        found.time("slow_call", self.slow_call, MS, HOUR);
        found.number("slow_rate_percent", self.slow_rate_percent.unwrap_or(1), 1, 100);
        found.time("open_for", self.open_for, 100 * MS, DAY);
        if !(1.0..=10.0).contains(&self.growth) {
            found.add("growth", &self.growth, "1 to 10".to_owned());
        }
        found.time("open_cap", self.open_cap, self.open_for, 7 * DAY);
        found.number("jitter_percent", self.jitter_percent, 0, 100);
        found.number("sample_count", self.sample_count, 1, 100);
        found.number("success_count", self.success_count, 1, 1_000);
        found.time("sample_timeout", self.sample_timeout, 10 * MS, MAX_SAMPLE_TIMEOUT);
        found.time("call_timeout", self.call_timeout.unwrap_or(SECOND), MS, HOUR);
        found.time("clock_skew", self.clock_skew, Duration::ZERO, MINUTE);
        found.time("refresh_every", self.refresh_every, 10 * MS, MINUTE);
        found.time("stale_after", self.stale_after, self.refresh_every, 10 * MINUTE);
        found.time("flush_every", self.flush_every, Duration::ZERO, MINUTE);
        found.time("gather_for", self.gather_for, Duration::ZERO, MINUTE);
        found.time("store_timeout", self.store_timeout, MS, MINUTE);
        found.time("store_grace", self.store_grace, Duration::ZERO, 10 * MINUTE);
        found.time("answer_max_age", self.answer_max_age, SECOND, 30 * DAY);
        found.time("answer_keep_every", self.answer_keep_every, Duration::ZERO, DAY);
        found.number("answer_max_bytes", self.answer_max_bytes, 1, 350_000);
        found.0
    }

    /// Length of one bucket of the window, milliseconds.
    pub(crate) fn bucket_ms(&self) -> u64 {
        (ms(self.window) / BUCKETS).max(1)
    }
}

/// A duration in milliseconds, as times in the store are.
pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, setting: &'static str, value: &dyn fmt::Debug, allowed: String) {
        self.0.push(Finding { setting, value: format!("{value:?}"), allowed });
    }

    fn time(&mut self, setting: &'static str, value: Duration, low: Duration, high: Duration) {
        if value < low || value > high {
            self.add(setting, &value, format!("{low:?} to {high:?}"));
        }
    }

    fn number<N: PartialOrd + fmt::Debug>(&mut self, setting: &'static str, value: N, low: N, high: N) {
        if value < low || value > high {
            self.add(setting, &value, format!("{low:?} to {high:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_in_range() {
        assert_eq!(Settings::default().findings(), []);
    }

    #[test]
    fn everything_out_of_range_is_said_at_once() {
        let settings = Settings {
            window: MS,
            growth: f64::NAN,
            open_cap: SECOND,
            sample_count: 0,
            stale_after: MS,
            ..Settings::default()
        };
        let error = InvalidSettings { circuit: "orders".to_owned(), findings: settings.findings() };
        assert_eq!(
            error.to_string(),
            "the guard of circuit \"orders\" cannot be built: window is 1ms; allowed: 1s to 3600s; growth is NaN; \
             allowed: 1 to 10; open_cap is 1s; allowed: 10s to 604800s; sample_count is 0; allowed: 1 to 100; \
             stale_after is 1ms; allowed: 1s to 600s. Set what is named to a value in its range"
        );
    }
}

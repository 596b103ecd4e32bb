//! Points on the simulation's clock.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

use jiff::Timestamp;

/// The instant at which every simulation starts: 2026-01-01T00:00:00Z.
pub const SIM_START: Time = Time(1_767_225_600_000);

/// The last instant that RFC 3339 can write: 9999-12-30T22:00:00Z.
const LAST_WRITABLE_MS: u64 = 253_402_207_200_000;

/// A point in virtual time, in milliseconds since the Unix epoch.
///
/// Arithmetic is in whole milliseconds (what is finer is cut off) and saturates: a wait of a
/// million years ends at the end of time instead of wrapping around.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The point `ms` milliseconds after the Unix epoch.
    pub const fn from_ms(ms: u64) -> Time {
        Time(ms)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// Reads an RFC 3339 timestamp with an offset; what is finer than a millisecond is cut off.
    ///
    /// # Errors
    /// If the text is no timestamp, has no offset, or lies before 1970.
    pub fn from_rfc3339(text: &str) -> Result<Time, ParseTimeError> {
        let refuse = |why: String| ParseTimeError { text: text.to_owned(), why };
        let timestamp: Timestamp = text.parse().map_err(|e: jiff::Error| refuse(e.to_string()))?;
        match u64::try_from(timestamp.as_millisecond()) {
            Ok(ms) => Ok(Time(ms)),
            Err(_) => Err(refuse("it lies before 1970".to_owned())),
        }
    }

    /// The time from `earlier` to `self`; zero if `earlier` is the later one.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Why a text is no point in time.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is no RFC 3339 timestamp: {why}")]
pub struct ParseTimeError {
    text: String,
    why: String,
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, duration: Duration) -> Time {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(ms))
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, duration: Duration) -> Time {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Time(self.0.saturating_sub(ms))
    }
}

impl Sub for Time {
    type Output = Duration;
    /// The same as [`Time::since`].
    fn sub(self, earlier: Time) -> Duration {
        self.since(earlier)
    }
}

/// RFC 3339 in UTC with exactly three decimals, the form that Step Functions and EventBridge use.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.min(LAST_WRITABLE_MS) as i64;
        let timestamp = Timestamp::from_millisecond(ms).expect("the value is capped to jiff's range");
        write!(f, "{timestamp:.3}")
    }
}

impl serde::Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_with_three_decimals_and_read_back() {
        assert_eq!(SIM_START.to_string(), "2026-01-01T00:00:00.000Z");
        let later = SIM_START + Duration::from_millis(90_007);
        assert_eq!(later.to_string(), "2026-01-01T00:01:30.007Z");
        assert_eq!(Time::from_rfc3339(&later.to_string()).unwrap(), later);
        assert_eq!(Time::from_rfc3339("2026-01-01T01:00:00+01:00").unwrap(), SIM_START);
    }

    #[test]
    fn refuses_what_names_no_instant() {
        for text in ["", "tomorrow", "2026-01-01T00:00:00", "1969-12-31T23:59:59Z"] {
            let error = Time::from_rfc3339(text).unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let end = SIM_START + Duration::MAX;
        assert_eq!(end.as_ms(), u64::MAX);
        assert_eq!(SIM_START - end, Duration::ZERO);
        assert_eq!((SIM_START - Duration::MAX).as_ms(), 0);
        assert_eq!(end.to_string(), "9999-12-30T22:00:00.000Z");
    }
}

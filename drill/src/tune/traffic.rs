//! A user's traffic: messages per interval, as a metric shows them.

use std::time::Duration;

use thiserror::Error;

use crate::scenario::{MessageKind, Traffic};

/// Most intervals of a profile: 14 days of minutes.
pub const MAX_INTERVALS: usize = 20_160;

/// Messages sent, interval by interval. What comes after the last interval is the first one again.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    interval: Duration,
    counts: Vec<f64>,
}

/// Rows that are no profile.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ProfileError {
    /// Fewer than two rows: the interval cannot be told.
    #[error("there are {0} rows; at least two are needed, so that the interval between them can be told")]
    TooFew(usize),
    /// More than [`MAX_INTERVALS`].
    #[error("there are {0} intervals; at most {MAX_INTERVALS} are taken, which are 14 days of minutes")]
    TooMany(u64),
    /// A row that does not come whole intervals after the row before.
    #[error(
        "row {row} comes {found_s} s after the row before; allowed are multiples of the shortest distance, {interval_s} s"
    )]
    Uneven {
        /// Number of the row, from 1.
        row: usize,
        /// Seconds since the row before.
        found_s: i64,
        /// The shortest distance between two rows, seconds.
        interval_s: i64,
    },
    /// A row that is not later than the row before.
    #[error("row {row} is not later than the row before; rows are to be in order of time, each time once")]
    Order {
        /// Number of the row, from 1.
        row: usize,
    },
    /// Rows that are too far apart.
    #[error("rows are {0} s apart; at most 86400 s are taken")]
    TooFarApart(i64),
    /// A count that is none.
    #[error("row {row} has {count} messages; allowed are numbers from 0 to 1e9")]
    Count {
        /// Number of the row, from 1.
        row: usize,
        /// The count.
        count: f64,
    },
    /// No message at all.
    #[error("there is no message in any row, so there is nothing to be tuned for")]
    Empty,
}

impl Profile {
    /// A profile from rows of a time, seconds since any point, and a number of messages sent in the interval that begins then.
    /// The interval is the shortest distance between two rows; intervals without a row have no message, as in CloudWatch.
    ///
    /// # Errors
    /// Rows that are not in order or not on a grid, or counts that are none.
    pub fn from_rows(rows: &[(i64, f64)]) -> Result<Profile, ProfileError> {
        let distances: Vec<i64> = rows.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0)).collect();
        if let Some(at) = distances.iter().position(|distance| *distance <= 0) {
            return Err(ProfileError::Order { row: at + 2 });
        }
        let interval_s = distances.iter().min().copied().ok_or(ProfileError::TooFew(rows.len()))?;
        if interval_s > 86_400 {
            return Err(ProfileError::TooFarApart(interval_s));
        }
        if let Some(at) = distances.iter().position(|distance| distance % interval_s != 0) {
            return Err(ProfileError::Uneven { row: at + 2, found_s: distances[at], interval_s });
        }
        let intervals = distances.iter().sum::<i64>().unsigned_abs() / interval_s.unsigned_abs() + 1;
        if intervals > MAX_INTERVALS as u64 {
            return Err(ProfileError::TooMany(intervals));
        }
        let mut counts = Vec::new();
        for (at, (_, count)) in rows.iter().enumerate() {
            if !(0.0..=1e9).contains(count) {
                return Err(ProfileError::Count { row: at + 1, count: *count });
            }
            counts.push(*count);
            let silent = distances.get(at).map_or(0, |distance| distance / interval_s - 1);
            counts.extend((0..silent).map(|_| 0.0));
        }
        if counts.iter().all(|count| *count < 1.0) {
            return Err(ProfileError::Empty);
        }
        Ok(Profile { interval: Duration::from_secs(interval_s.unsigned_abs()), counts })
    }

    /// The same rate all the time.
    pub fn steady(rate_per_s: f64) -> Profile {
        let interval = Duration::from_secs(60);
        Profile { interval, counts: vec![rate_per_s * interval.as_secs_f64()] }
    }

    /// Length of an interval.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Number of intervals.
    pub fn intervals_count(&self) -> usize {
        self.counts.len()
    }

    /// Messages per second, on average.
    pub fn mean_per_s(&self) -> f64 {
        self.counts.iter().sum::<f64>() / (self.counts.len() as f64 * self.interval.as_secs_f64())
    }

    /// The interval that begins the stretch of this length with the most messages, and the one that begins the stretch with
    /// the fewest of those that have any.
    pub fn busiest_and_quietest(&self, length: Duration) -> (usize, usize) {
        let width = self.intervals_in(length);
        let sums: Vec<f64> = (0..self.counts.len())
            .map(|from| (from..from + width).map(|at| self.counts[at % self.counts.len()]).sum())
            .collect();
        let (mut busiest, mut quietest) = (0, None);
        for (at, sum) in sums.iter().enumerate() {
            if *sum > sums[busiest] {
                busiest = at;
            }
            if *sum >= 1.0 && quietest.is_none_or(|best: usize| *sum < sums[best]) {
                quietest = Some(at);
            }
        }
        (busiest, quietest.unwrap_or(busiest))
    }

    /// Messages in the stretch of this length that begins with an interval.
    pub fn messages(&self, from: usize, length: Duration) -> f64 {
        let traffic = self.traffic(from, length, 1.0);
        traffic.iter().map(|one| one.rate_per_s * (one.until - one.from).as_secs_f64()).sum()
    }

    /// The traffic of that stretch, from the start of a drill on, of which a `share` is sent.
    pub fn traffic(&self, from: usize, length: Duration, share: f64) -> Vec<Traffic> {
        let stretches = (0..self.intervals_in(length)).map(|number| {
            let begin = self.interval * u32::try_from(number).unwrap_or(u32::MAX);
            Traffic {
                from: begin,
                until: (begin + self.interval).min(length),
                rate_per_s: self.counts[(from + number) % self.counts.len()] / self.interval.as_secs_f64()
                    * share,
                kind: MessageKind::Order,
            }
        });
        // A stretch of the slowest rate that there is would last longer than any drill.
        stretches.filter(|one| one.rate_per_s > 0.0).collect()
    }

    fn intervals_in(&self, length: Duration) -> usize {
        let count = length.as_secs().div_ceil(self.interval.as_secs().max(1)).max(1);
        usize::try_from(count).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_to_be_on_a_grid_and_to_be_counts() {
        let refused = |rows: &[(i64, f64)]| Profile::from_rows(rows).expect_err("it is refused").to_string();
        assert!(refused(&[(0, 1.0)]).starts_with("there are 1 rows"));
        assert!(refused(&[(60, 1.0), (0, 1.0)]).starts_with("row 2 is not later"));
        assert!(refused(&[(0, 1.0), (60, 1.0), (150, 1.0)]).starts_with("row 3 comes 90 s after"));
        assert!(refused(&[(0, 1.0), (60, -1.0)]).starts_with("row 2 has -1 messages"));
        assert!(refused(&[(0, 1.0), (60, f64::NAN)]).starts_with("row 2 has NaN messages"));
        assert!(refused(&[(0, 0.0), (60, 0.0)]).starts_with("there is no message"));
        assert!(refused(&[(0, 1.0), (1, 1.0), (9_000_000, 1.0)]).starts_with("there are 9000001 intervals"));
    }

    #[test]
    fn intervals_without_a_row_are_silent() {
        let gap = Profile::from_rows(&[(0, 5.0), (60, 6.0), (240, 7.0)]).expect("it is a profile");
        let whole = [(0, 5.0), (60, 6.0), (120, 0.0), (180, 0.0), (240, 7.0)];
        assert_eq!(gap, Profile::from_rows(&whole).expect("it is a profile"));
    }

    #[test]
    fn stretches_wrap_around() {
        let profile = Profile::from_rows(&[(0, 60.0), (60, 600.0), (120, 0.0)]).expect("it is a profile");
        assert_eq!(profile.busiest_and_quietest(Duration::from_secs(60)), (1, 0));
        let traffic = profile.traffic(1, Duration::from_secs(150), 0.5);
        let told: Vec<_> =
            traffic.iter().map(|one| (one.from.as_secs(), one.until.as_secs(), one.rate_per_s)).collect();
        assert_eq!(told, [(0, 60, 5.0), (120, 150, 0.5)]);
        assert_eq!(profile.messages(1, Duration::from_secs(150)), 630.0);
    }
}

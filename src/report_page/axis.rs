//! Scales: time to the right, counts upwards.

use std::time::Duration;

use crate::text::{clock, span};

/// Least distance between two ticks of the time axis, so that their labels do not touch.
const TICK_DISTANCE: f64 = 88.0;

/// Distances between ticks, seconds.
const STEPS_S: [u64; 20] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
    172_800, 604_800,
];

/// A stretch of time, drawn to scale.
#[derive(Clone, Copy, Debug)]
pub struct TimeAxis {
    /// What is drawn at the left end.
    pub from: Duration,
    /// What is drawn at the right end.
    pub until: Duration,
    /// The left end.
    pub left: f64,
    /// The right end.
    pub right: f64,
}

impl TimeAxis {
    /// Where a time is drawn; what is outside is drawn at the nearer end.
    pub fn x(&self, at: Duration) -> f64 {
        let length = (self.until - self.from).as_secs_f64().max(0.001);
        let part = (at.as_secs_f64() - self.from.as_secs_f64()) / length;
        self.left + part.clamp(0.0, 1.0) * (self.right - self.left)
    }

    /// Whether a time is on it.
    pub fn shows(&self, at: Duration) -> bool {
        (self.from..=self.until).contains(&at)
    }

    /// Round times, with what to write at them.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let length_s = (self.until - self.from).as_secs_f64();
        let most = ((self.right - self.left) / TICK_DISTANCE).max(1.0);
        let last = STEPS_S[STEPS_S.len() - 1];
        let step_s = STEPS_S.into_iter().find(|step| length_s / *step as f64 <= most).unwrap_or(last);
        let first = self.from.as_secs().div_ceil(step_s);
        let label = |at: Duration| match at.as_secs() {
            0 => "0".to_owned(),
            // Two units are not enough for seconds after an hour.
            _ if step_s < 60 => clock(at, self.until),
            seconds => span(seconds as f64),
        };
        (first..)
            .map(|number| Duration::from_secs(number * step_s))
            .take_while(|at| *at <= self.until)
            .map(|at| (self.x(at), label(at)))
            .collect()
    }
}

/// A round number that is not below `largest`, and what to write on the way there.
pub fn count_ticks(largest: f64) -> (f64, Vec<f64>) {
    let mut unit = 1.0;
    loop {
        for factor in [2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0] {
            let top = unit * factor;
            if largest <= top {
                return (top, vec![0.0, top / 2.0, top]);
            }
        }
        unit *= 10.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(from_s: u64, until_s: u64, width: f64) -> Vec<String> {
        let (from, until) = (Duration::from_secs(from_s), Duration::from_secs(until_s));
        let axis = TimeAxis { from, until, left: 0.0, right: width };
        axis.ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_times_with_units() {
        assert_eq!(labels(0, 3_600, 500.0), ["0", "15 min", "30 min", "45 min", "1 h"]);
        assert_eq!(labels(0, 44_400, 500.0), ["0", "3 h", "6 h", "9 h", "12 h"]);
        assert_eq!(labels(0, 605_000, 500.0), ["0", "2 d", "4 d", "6 d"]);
        assert_eq!(labels(2_690, 2_730, 500.0), ["00:44:50", "00:45:00", "00:45:10", "00:45:20", "00:45:30"]);
    }

    #[test]
    fn time_is_to_scale() {
        let (from, until) = (Duration::from_secs(100), Duration::from_secs(200));
        let axis = TimeAxis { from, until, left: 10.0, right: 110.0 };
        let at = |s| axis.x(Duration::from_secs(s));
        assert_eq!([at(0), at(100), at(125), at(200), at(900)], [10.0, 10.0, 35.0, 110.0, 110.0]);
    }

    #[test]
    fn counts_end_at_a_round_number() {
        let tops = [0.0, 1.0, 3.0, 24_180.0, 60_001.0].map(|largest| count_ticks(largest).0);
        assert_eq!(tops, [2.0, 2.0, 3.0, 30_000.0, 80_000.0]);
    }
}

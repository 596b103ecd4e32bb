//! How many calls may be under way at once: as many as the queue takes without throttling.

/// Calls at once with which an invocation begins.
pub const START_CALL_COUNT: usize = 8;
/// Most calls at once. At a latency of 20 ms they come to some 6,000 calls per second, more than one CPU makes.
pub const MAX_CALL_COUNT: usize = 128;

/// Grows by one per call that succeeds until the first setback, and more slowly beyond half of where that came; is
/// halved by each setback.
#[derive(Clone, Debug)]
pub struct Pace {
    limit: f64,
    /// Up to here it grows fast.
    threshold: f64,
    round: u32,
}

impl Pace {
    /// The pace at the beginning.
    pub fn new() -> Pace {
        Pace { limit: START_CALL_COUNT as f64, threshold: MAX_CALL_COUNT as f64, round: 0 }
    }

    /// How many calls may be under way now, at least one.
    pub fn limit(&self) -> usize {
        self.limit as usize
    }

    /// What a call that begins now is part of: the calls between two setbacks.
    pub fn round(&self) -> u32 {
        self.round
    }

    /// A call succeeded.
    pub fn quicken(&mut self) {
        let step = if self.limit < self.threshold { 1.0 } else { 1.0 / self.limit };
        self.limit = (self.limit + step).min(MAX_CALL_COUNT as f64);
    }

    /// A call of this round was throttled, or failed as calls to a busy service do. Answers whether that is news: calls
    /// that were under way together fail together, and count once.
    pub fn slow_down(&mut self, round: u32) -> bool {
        if round != self.round {
            return false;
        }
        self.round += 1;
        self.limit = (self.limit / 2.0).max(1.0);
        self.threshold = self.limit;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_with_each_round_trip_until_the_first_setback_and_then_creeps() {
        let mut pace = Pace::new();
        let round_trip = |pace: &mut Pace| {
            let calls = pace.limit();
            (0..calls).for_each(|_| pace.quicken());
            pace.limit()
        };
        let limits: Vec<usize> = (0..5).map(|_| round_trip(&mut pace)).collect();
        assert_eq!(limits, [16, 32, 64, 128, 128]);
        assert!(pace.slow_down(0));
        assert_eq!((pace.limit(), round_trip(&mut pace), pace.round()), (64, 64, 1));
        assert_eq!(round_trip(&mut pace), 65, "one more call with each round trip");
    }

    #[test]
    fn calls_that_fail_together_count_once_and_one_call_is_always_left() {
        let mut pace = Pace::new();
        assert!(pace.slow_down(0) && !pace.slow_down(0));
        assert_eq!(pace.limit(), START_CALL_COUNT / 2);
        for round in 1..20 {
            pace.slow_down(round);
        }
        assert_eq!(pace.limit(), 1);
    }
}

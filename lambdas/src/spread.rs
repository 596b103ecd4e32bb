//! Where in time the messages of a backlog are to arrive: pure arithmetic.

use workflow::contract::{RejitterProgress, RejitterRequest, RejitterStrategy};

use crate::ports::Chance;

/// Largest backlog that is spread by visibility timeouts, messages. The in-flight quota is about 120,000; the rest is
/// room for probes and for the consumer's first deliveries. A larger backlog is requeued.
pub const MAX_IN_FLIGHT_BACKLOG_COUNT: u64 = 100_000;
/// Rate at which one invocation is assumed to work through the backlog, messages per second. Deliberately low: a message
/// that reappears while the work still runs costs it another receive.
pub const ASSUMED_RATE_PER_S: u64 = 2_000;
/// Backlog per invocation that shares it, messages: less than half a minute of work is not worth another invocation.
pub const MESSAGES_PER_SHARE_COUNT: u64 = 50_000;
/// Least time from the assumed end of the work to the moment at which the first spread message may arrive.
pub const MIN_LEAD_MARGIN_MS: u64 = 15_000;
/// Most of it. A mapping takes some 30 to 90 s to be enabled: what is due before arrives with the first poll, as a burst.
/// A backlog that drains in less than that is no burst to speak of, and waits for no longer than it takes to drain.
pub const MAX_LEAD_MARGIN_MS: u64 = 90_000;
/// Longest lead of a requeue, so that two thirds of the longest delay at most go into waiting for the work to end.
pub const MAX_REQUEUE_LEAD_MS: u64 = 600_000;
/// Longest `DelaySeconds`.
pub const MAX_DELAY_S: u32 = 900;
/// Longest visibility timeout that is asked for, seconds: SQS allows 43,200 counted from the receive, and the change
/// comes some time after that.
pub const MAX_VISIBILITY_S: u32 = 43_200 - 300;

/// Plans the re-jitter of `backlog_count` messages that a request asks for and that starts at `now_ms`. Nothing is to arrive
/// before the work is over and the mapping can have been enabled and, if it comes back by a ramp, has got its own concurrency;
/// the work is over when the last message has arrived at the latest.
pub fn plan(request: &RejitterRequest, backlog_count: u64, now_ms: u64) -> RejitterProgress {
    let strategy = match request.strategy {
        RejitterStrategy::Visibility if backlog_count > MAX_IN_FLIGHT_BACKLOG_COUNT => {
            RejitterStrategy::Requeue
        }
        RejitterStrategy::Visibility => RejitterStrategy::Visibility,
        RejitterStrategy::Requeue => RejitterStrategy::Requeue,
        RejitterStrategy::Off => RejitterStrategy::Off,
    };
    let share_count = backlog_count
        .div_ceil(MESSAGES_PER_SHARE_COUNT)
        .clamp(1, u64::from(request.invocations_count.max(1)));
    // The conversion saturates: a rate next to zero asks for a spread without end and gets the longest one.
    let drain_ms = (backlog_count as f64 / request.drain_per_s * 1_000.0).ceil() as u64;
    let work_ms = backlog_count.saturating_mul(1_000).div_ceil(ASSUMED_RATE_PER_S * share_count);
    let longest_margin_ms = MAX_LEAD_MARGIN_MS + u64::from(request.ramp_s) * 1_000;
    let lead_ms = work_ms.saturating_add(drain_ms.clamp(MIN_LEAD_MARGIN_MS, longest_margin_ms));
    let longest_ms = u64::from(MAX_VISIBILITY_S) * 1_000;
    let until_ms = lead_ms.saturating_add(drain_ms).min(longest_ms);
    let from_ms = match strategy {
        RejitterStrategy::Requeue => lead_ms.min(MAX_REQUEUE_LEAD_MS),
        RejitterStrategy::Visibility | RejitterStrategy::Off => lead_ms,
    };
    RejitterProgress {
        started_at_ms: now_ms,
        spread_from_ms: now_ms.saturating_add(from_ms.min(until_ms)),
        spread_until_ms: now_ms.saturating_add(until_ms),
        strategy,
        share_count: u32::try_from(share_count).unwrap_or(u32::MAX),
        moved_count: 0,
        hidden_count: 0,
        copied_count: 0,
        failed_count: 0,
    }
}

/// Draws the moment at which one message arrives, milliseconds since the Unix epoch: uniform within the plan's window,
/// and at most `longest_s` from `now_ms` away. What cannot arrive late enough arrives uniformly within what is left of
/// the window.
pub fn draw_ms(plan: &RejitterProgress, now_ms: u64, longest_s: u32, chance: &impl Chance) -> u64 {
    let latest_ms = plan.spread_until_ms.min(now_ms.saturating_add(u64::from(longest_s) * 1_000));
    let earliest_ms = plan.spread_from_ms.max(now_ms).min(latest_ms);
    chance.between(earliest_ms, latest_ms)
}

/// From `now_ms` to `target_ms` in whole seconds, the unit of the service: rounded up, and at most `longest_s`.
pub fn seconds_until(target_ms: u64, now_ms: u64, longest_s: u32) -> u32 {
    let seconds = target_ms.saturating_sub(now_ms).div_ceil(1_000).min(u64::from(longest_s));
    u32::try_from(seconds).unwrap_or(longest_s)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;
    use workflow::contract::Fence;

    use super::*;

    /// Answers with one fixed fraction of the range.
    struct Fraction(Cell<f64>);

    impl Chance for Fraction {
        fn between(&self, low: u64, high: u64) -> u64 {
            low + ((high.saturating_sub(low)) as f64 * self.0.get()) as u64
        }
        fn unit(&self) -> f64 {
            self.0.get()
        }
    }

    fn request(strategy: RejitterStrategy, drain_per_s: f64) -> RejitterRequest {
        RejitterRequest {
            fence: Fence { circuit: "orders".to_owned(), epoch: 1 },
            queue_url: String::new(),
            strategy,
            drain_per_s,
            invocations_count: 4,
            ramp_s: 0,
            only_plans: false,
            max_receive_count: None,
            progress: None,
        }
    }

    #[test]
    fn a_large_backlog_waits_for_the_end_of_the_ramp_and_a_small_one_for_as_long_as_it_takes_to_drain() {
        let from_s = |backlog_count| {
            let ramped = RejitterRequest { ramp_s: 240, ..request(RejitterStrategy::Visibility, 100.0) };
            plan(&ramped, backlog_count, 0).spread_from_ms / 1_000
        };
        assert_eq!([200, 10_000, 100_000].map(from_s), [15, 105, 355]);
    }

    fn check(
        strategy: RejitterStrategy,
        backlog_count: u64,
        drain_per_s: f64,
        expected: (RejitterStrategy, u64, u64),
    ) {
        let plan = plan(&request(strategy, drain_per_s), backlog_count, 1_000_000);
        let from_s = (plan.spread_from_ms - 1_000_000) / 1_000;
        let until_s = (plan.spread_until_ms - 1_000_000) / 1_000;
        assert_eq!((plan.strategy, from_s, until_s), expected, "{backlog_count} at {drain_per_s}/s");
    }

    #[test]
    fn the_window_follows_backlog_and_drain_rate() {
        use RejitterStrategy::{Requeue, Visibility};
        check(Visibility, 0, 10.0, (Visibility, 15, 15));
        check(Visibility, 200, 100.0, (Visibility, 15, 17));
        check(Visibility, 4_000, 100.0, (Visibility, 42, 82));
        check(Visibility, 4_000, 20.0, (Visibility, 92, 292));
        check(Visibility, 100_000, 100.0, (Visibility, 115, 1_115));
        check(Visibility, 100_001, 100.0, (Requeue, 106, 1_106));
        check(Requeue, 4_000, 20.0, (Requeue, 92, 292));
        check(Requeue, 1_000_000, 1_000.0, (Requeue, 215, 1_215));
        check(Visibility, 100_000, 0.001, (Visibility, 115, 42_900));
        check(Requeue, u64::MAX, 1.0, (Requeue, 600, 42_900));
    }

    #[test]
    fn only_a_large_backlog_is_shared() {
        let share_count = |backlog_count, invocations_count| {
            let request = RejitterRequest { invocations_count, ..request(RejitterStrategy::Requeue, 100.0) };
            plan(&request, backlog_count, 0).share_count
        };
        let counts =
            [0, 50_000, 50_001, 1_000_000, u64::MAX].map(|backlog_count| share_count(backlog_count, 4));
        assert_eq!(counts, [1, 1, 2, 4, 4]);
        assert_eq!((share_count(1_000_000, 1), share_count(1_000_000, 40)), (1, 20));
    }

    proptest! {
        #[test]
        fn a_target_stays_within_window_and_limits(
            backlog_count in 0u64..3_000_000,
            drain_per_s in 0.001f64..10_000.0,
            requeue in any::<bool>(),
            later_ms in 0u64..50_000_000,
            ramp_s in 0u32..40_000,
            fraction in 0.0f64..=1.0,
        ) {
            let strategy = if requeue { RejitterStrategy::Requeue } else { RejitterStrategy::Visibility };
            let request = RejitterRequest { ramp_s, ..request(strategy, drain_per_s) };
            let plan = plan(&request, backlog_count, 1_700_000_000_000);
            prop_assert!(plan.started_at_ms < plan.spread_from_ms);
            prop_assert!(plan.spread_from_ms <= plan.spread_until_ms);
            let longest_s = match plan.strategy {
                RejitterStrategy::Requeue => MAX_DELAY_S,
                RejitterStrategy::Visibility | RejitterStrategy::Off => MAX_VISIBILITY_S,
            };
            let now_ms = plan.started_at_ms + later_ms;
            let target_ms = draw_ms(&plan, now_ms, longest_s, &Fraction(Cell::new(fraction)));
            let seconds = seconds_until(target_ms, now_ms, longest_s);
            prop_assert!(seconds <= longest_s);
            let arrives_ms = now_ms + u64::from(seconds) * 1_000;
            if now_ms <= plan.spread_until_ms {
                // Whole seconds are the service's unit: a target may round up by less than one.
                prop_assert!(arrives_ms < plan.spread_until_ms + 1_000);
                prop_assert!(arrives_ms >= plan.spread_from_ms.min(now_ms + u64::from(longest_s) * 1_000));
            } else {
                prop_assert_eq!(seconds, 0);
            }
        }
    }
}

//! What scenarios may vary: the parts of SQS that AWS leaves open, and faults.

use super::QueueCounts;

/// Settings of a queue that no AWS call can set. The defaults are an ordinary good day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqsKnobs {
    /// A standard queue delivers any of its first so many visible messages; 1 is strict order. Default 20.
    pub reorder_window_count: usize,
    /// How often a short poll of a standard queue with fewer than 1,000 visible messages finds nothing,
    /// 0-100; a long poll asks all servers and does not miss. Default 0.
    pub short_poll_misses_percent: u8,
    /// Fault: how often any receive finds nothing although messages are visible, 0-100. Default 0.
    pub empty_receive_percent: u8,
    /// Fault: deliveries of a standard queue, out of a million, that leave the message visible, so that it is
    /// delivered again although its timeout runs. Default 0.
    pub duplicate_delivery_ppm: u32,
    /// How old the counts are that `attributes` answers; AWS promises about a minute after producers stop.
    /// Set it before the first message. Default 0.
    pub counts_lag_ms: u64,
    /// Fault: the counts that `attributes` answers, whatever is true. Default none.
    pub counts_override: Option<QueueCounts>,
    /// Messages that may be in flight at once. Default 120,000.
    pub in_flight_quota_count: usize,
}

impl Default for SqsKnobs {
    fn default() -> Self {
        Self {
            reorder_window_count: 20,
            short_poll_misses_percent: 0,
            empty_receive_percent: 0,
            duplicate_delivery_ppm: 0,
            counts_lag_ms: 0,
            counts_override: None,
            in_flight_quota_count: 120_000,
        }
    }
}

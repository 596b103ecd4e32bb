//! How the cloud behaves where AWS gives no number: every uncertain fact is a knob that scenarios vary.

use std::ops::RangeInclusive;

/// Behaviour that AWS does not document, or that differs from day to day. Ranges are drawn from uniformly.
#[derive(Clone, Debug, PartialEq)]
pub struct Knobs {
    /// Time from an update of an event source mapping to its settled state. Public evidence puts it at 30 to 90 s.
    pub transition_ms: RangeInclusive<u64>,
    /// Time from the disable until the last poller stops, whatever the state says meanwhile. Deliveries 30 to 60 s
    /// after the disable are on record.
    pub late_delivery_ms: RangeInclusive<u64>,
    /// How long a poller takes to find a message.
    pub poll_ms: RangeInclusive<u64>,
    /// Latency of a call to a service.
    pub call_ms: RangeInclusive<u64>,
    /// Time from an event to the call of a rule's target.
    pub event_ms: RangeInclusive<u64>,
    /// Time from a change of a queue's retention until it is in force: up to 15 minutes.
    pub retention_change_ms: RangeInclusive<u64>,
    /// How often an event is delivered twice, 0 to 100 percent: EventBridge delivers at least once.
    pub duplicate_event_percent: f64,
    /// How long after its end a minute's metric data can be seen by alarms.
    pub metric_delay_ms: u64,
    /// Second of the minute at which alarms are evaluated.
    pub alarm_offset_ms: u64,
    /// Time that the consumer takes for a batch while the dependency answers.
    pub healthy_ms: RangeInclusive<u64>,
    /// Time that the consumer takes until the dependency has refused.
    pub failing_ms: RangeInclusive<u64>,
    /// Concurrent batches of a mapping when it starts: five for a standard queue.
    pub initial_concurrency_count: u32,
    /// By how many batches a busy mapping grows in a minute: 300 for a standard queue.
    pub concurrency_step_count: u32,
    /// Most concurrent batches of a mapping.
    pub maximum_concurrency_count: u32,
}

impl Default for Knobs {
    fn default() -> Knobs {
        Knobs {
            transition_ms: 20_000..=60_000,
            late_delivery_ms: 5_000..=60_000,
            poll_ms: 50..=250,
            call_ms: 5..=25,
            event_ms: 200..=1_500,
            retention_change_ms: 1_000..=900_000,
            duplicate_event_percent: 0.0,
            metric_delay_ms: 40_000,
            alarm_offset_ms: 15_000,
            healthy_ms: 30..=120,
            failing_ms: 20..=60,
            initial_concurrency_count: 5,
            concurrency_step_count: 300,
            maximum_concurrency_count: 1_000,
        }
    }
}

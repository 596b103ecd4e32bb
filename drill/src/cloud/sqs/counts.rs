//! How many messages are where, now and a while ago.

use std::collections::VecDeque;

/// A queue's message counts, as `GetQueueAttributes` answers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueCounts {
    /// `ApproximateNumberOfMessages`: could be received; on FIFO also those whose group is blocked.
    pub visible_count: usize,
    /// `ApproximateNumberOfMessagesNotVisible`: in flight.
    pub not_visible_count: usize,
    /// `ApproximateNumberOfMessagesDelayed`: not yet visible for the first time.
    pub delayed_count: usize,
}

impl QueueCounts {
    /// All messages in the queue.
    pub fn total_count(&self) -> usize {
        self.visible_count + self.not_visible_count + self.delayed_count
    }
}

/// Past counts, one entry per second of change, no older than needed.
#[derive(Debug, Clone, Default)]
pub(super) struct CountHistory {
    entries: VecDeque<(u64, QueueCounts)>,
}

impl CountHistory {
    /// Notes the counts that hold from `at_ms` on.
    pub(super) fn record(&mut self, at_ms: u64, lag_ms: u64, counts: QueueCounts) {
        if lag_ms == 0 {
            return;
        }
        match self.entries.back_mut() {
            Some((last_ms, last)) if *last_ms / 1_000 == at_ms / 1_000 => {
                (*last_ms, *last) = (at_ms, counts);
            }
            _ => self.entries.push_back((at_ms, counts)),
        }
        self.prune(at_ms.saturating_sub(lag_ms));
    }

    /// The counts as they were at `then_ms`; of a burst within one second, its end counts.
    pub(super) fn counts_at(&mut self, then_ms: u64) -> QueueCounts {
        self.prune(then_ms);
        match self.entries.front() {
            Some((at_ms, counts)) if *at_ms <= then_ms => *counts,
            _ => QueueCounts::default(),
        }
    }

    fn prune(&mut self, then_ms: u64) {
        while self.entries.get(1).is_some_and(|(at_ms, _)| *at_ms <= then_ms) {
            self.entries.pop_front();
        }
    }
}

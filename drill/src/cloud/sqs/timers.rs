//! The timers of a queue's messages, by time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Ends a message's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timer {
    pub at_ms: u64,
    /// Later timers have larger ones.
    pub stamp: u64,
    pub slot: usize,
}

/// Length of the stretches into which what is far off is sorted, ms.
const STRETCH_MS: u64 = 4_096;

/// Timers, of which the first is taken by (time, stamp). A backlog of a million messages has a million of them: one heap
/// of all would be searched in many places of memory for each, so only those of the next stretch are in one.
#[derive(Debug, Default)]
pub(super) struct Timers {
    near: BinaryHeap<Reverse<Timer>>,
    /// What ends before this is near.
    near_until_ms: u64,
    /// By number of the stretch.
    far: BTreeMap<u64, Vec<Reverse<Timer>>>,
}

impl Timers {
    pub fn push(&mut self, timer: Timer) {
        if timer.at_ms < self.near_until_ms {
            self.near.push(Reverse(timer));
        } else {
            self.far.entry(timer.at_ms / STRETCH_MS).or_default().push(Reverse(timer));
        }
    }

    /// The first timer.
    pub fn first(&mut self) -> Option<Timer> {
        while self.near.is_empty() {
            let (stretch, timers) = self.far.pop_first()?;
            self.near_until_ms = (stretch + 1).saturating_mul(STRETCH_MS);
            self.near = BinaryHeap::from(timers);
        }
        self.near.peek().map(|Reverse(timer)| *timer)
    }

    /// Takes the first timer out.
    pub fn pop(&mut self) -> Option<Timer> {
        self.first()?;
        self.near.pop().map(|Reverse(timer)| timer)
    }

    pub fn clear(&mut self) {
        *self = Timers::default();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is pushed in between, the first is always the smallest by time and stamp.
        #[test]
        fn timers_come_in_the_order_of_time_and_stamp(
            steps in prop::collection::vec((0_u64..40_000, 0_usize..3), 1..200),
        ) {
            let (mut timers, mut expected) = (Timers::default(), BTreeSet::new());
            for (stamp, (at_ms, pops)) in (1..).zip(steps) {
                let timer = Timer { at_ms, stamp, slot: 0 };
                timers.push(timer);
                expected.insert(timer);
                for _ in 0..pops {
                    prop_assert_eq!(timers.first(), expected.first().copied());
                    prop_assert_eq!(timers.pop(), expected.pop_first());
                }
            }
            while let Some(timer) = expected.pop_first() {
                prop_assert_eq!(timers.pop(), Some(timer));
            }
            prop_assert_eq!(timers.pop(), None);
        }
    }
}

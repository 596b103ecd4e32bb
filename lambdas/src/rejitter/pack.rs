//! Packs what is to be written into batches that are as full as SQS allows, by count and by bytes.

use std::collections::VecDeque;

use crate::batch::{MAX_BATCH_BYTES, MAX_BATCH_COUNT};

/// Items that wait for their batch, in order, each with what it counts towards a batch's bytes.
#[derive(Debug)]
pub struct Packer<T> {
    waiting: VecDeque<(T, usize)>,
}

impl<T> Packer<T> {
    /// An empty one.
    pub fn new() -> Packer<T> {
        Packer { waiting: VecDeque::new() }
    }

    /// Adds an item of `bytes`. One that is too large by itself gets a batch of its own: SQS refuses it by name.
    pub fn push(&mut self, item: T, bytes: usize) {
        self.waiting.push_back((item, bytes));
    }

    /// Everything that waits.
    pub fn take_all(&mut self) -> Vec<T> {
        self.waiting.drain(..).map(|(item, _)| item).collect()
    }

    /// A batch into which the next item would not fit any more.
    pub fn take_full(&mut self) -> Option<Vec<T>> {
        let (count, is_full) = self.next_batch();
        is_full.then(|| self.take(count))
    }

    /// A batch, full or not.
    pub fn take_any(&mut self) -> Option<Vec<T>> {
        let (count, _) = self.next_batch();
        (count > 0).then(|| self.take(count))
    }

    fn take(&mut self, count: usize) -> Vec<T> {
        self.waiting.drain(..count).map(|(item, _)| item).collect()
    }

    /// How many items the next batch has, and whether it is full.
    fn next_batch(&self) -> (usize, bool) {
        let mut total_bytes = 0;
        for (count, (_, bytes)) in self.waiting.iter().enumerate() {
            total_bytes += bytes;
            if count == MAX_BATCH_COUNT || (count > 0 && total_bytes > MAX_BATCH_BYTES) {
                return (count, true);
            }
        }
        let count = self.waiting.len();
        (count, count == MAX_BATCH_COUNT || total_bytes >= MAX_BATCH_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn batches_keep_every_item_in_order_within_both_limits(
            sizes in prop::collection::vec(
                prop_oneof![0usize..1_000, 100_000usize..400_000, 900_000usize..=1_200_000], 0..60)
        ) {
            let mut packer = Packer::new();
            let mut batches: Vec<Vec<usize>> = Vec::new();
            for size in &sizes {
                packer.push(*size, *size);
                batches.extend(std::iter::from_fn(|| packer.take_full()));
            }
            let full_count = batches.len();
            batches.extend(std::iter::from_fn(|| packer.take_any()));
            prop_assert!(packer.take_all().is_empty() && batches.len() <= full_count + 1);
            prop_assert_eq!(batches.concat(), sizes);
            for batch in &batches {
                prop_assert!(!batch.is_empty() && batch.len() <= MAX_BATCH_COUNT);
                prop_assert!(batch.len() == 1 || batch.iter().sum::<usize>() <= MAX_BATCH_BYTES);
            }
            for pair in batches.windows(2) {
                let full = pair[0].len() == MAX_BATCH_COUNT
                    || pair[0].iter().sum::<usize>() + pair[1][0] > MAX_BATCH_BYTES
                    || pair[0].iter().sum::<usize>() >= MAX_BATCH_BYTES;
                prop_assert!(full, "a batch was closed with room for the next item");
            }
        }
    }
}

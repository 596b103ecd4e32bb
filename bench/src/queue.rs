//! A standard queue in memory whose every operation costs the same however many messages it holds.
//!
//! It knows just what the re-jitter needs, checks receipt handles, and remembers what became of each message it began
//! with.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Of how many messages the queue takes a receive at most.
const MAX_BATCH_COUNT: usize = 10;

/// A message's place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(u32);

#[derive(Clone, Debug)]
struct Stored {
    body: String,
    receive_count: u32,
    /// Goes up with each receive and each change, so that old handles and old timers are known.
    generation: u32,
    visible_at_ms: u64,
    fate: Fate,
}

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nobody has said when it is to arrive.
    Untouched,
    /// A visibility timeout was given.
    Hidden,
    /// It was deleted.
    Deleted,
    /// It is a copy with a delay.
    Copy,
}

/// A message as a receive hands it out.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its place, which is its id.
    pub slot: Slot,
    /// Receipt handle.
    pub handle: String,
    /// Body.
    pub body: String,
    /// Receives so far, this one included.
    pub receive_count: u32,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    stored: Vec<Stored>,
    visible: VecDeque<Slot>,
    timers: BinaryHeap<Reverse<(u64, Slot, u32)>>,
    first_copy: usize,
}

/// What a drain has left, counted at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Messages that were given a visibility timeout.
    pub hidden_count: u64,
    /// Messages that were replaced by a delayed copy.
    pub replaced_count: u64,
    /// Messages that were not spread.
    pub missed_count: u64,
    /// Copies beyond the messages that were deleted.
    pub surplus_count: u64,
}

impl Queue {
    /// A queue of `count` messages with bodies of `body_bytes`.
    pub fn with(count: usize, body_bytes: usize) -> Queue {
        let stored = |number: usize| Stored {
            body: format!("{number:0>body_bytes$}"),
            receive_count: 0,
            generation: 0,
            visible_at_ms: 0,
            fate: Fate::Untouched,
        };
        Queue {
            stored: (0..count).map(stored).collect(),
            visible: (0..count as u32).map(Slot).collect(),
            timers: BinaryHeap::new(),
            first_copy: count,
        }
    }

    /// Approximate counts: visible, and not visible (in flight or delayed).
    pub fn counts(&mut self, now_ms: u64) -> (usize, usize) {
        self.wake(now_ms);
        let live = self.stored.iter().filter(|stored| stored.fate != Fate::Deleted).count();
        (self.visible.len(), live - self.visible.len())
    }

    /// Takes up to `max_count` visible messages and hides them.
    pub fn receive(&mut self, max_count: usize, visibility_ms: u64, now_ms: u64) -> Vec<Received> {
        self.wake(now_ms);
        let count = max_count.min(MAX_BATCH_COUNT).min(self.visible.len());
        let slots: Vec<Slot> = self.visible.drain(..count).collect();
        slots
            .into_iter()
            .map(|slot| {
                self.hide(slot, now_ms + visibility_ms);
                let stored = &mut self.stored[slot.0 as usize];
                stored.receive_count += 1;
                Received {
                    slot,
                    handle: format!("{}:{}", slot.0, stored.receive_count),
                    body: stored.body.clone(),
                    receive_count: stored.receive_count,
                }
            })
            .collect()
    }

    /// Changes a message's visibility timeout; `false` when the handle is not its newest or it is not in flight.
    pub fn change_visibility(&mut self, handle: &str, visibility_ms: u64, now_ms: u64) -> bool {
        self.wake(now_ms);
        let Some(slot) = self.in_flight(handle, now_ms) else { return false };
        self.stored[slot.0 as usize].fate = Fate::Hidden;
        self.hide(slot, now_ms + visibility_ms);
        true
    }

    /// Deletes a message; `false` when the handle is not its newest.
    pub fn delete(&mut self, handle: &str, now_ms: u64) -> bool {
        let Some(slot) = self.in_flight(handle, now_ms) else { return false };
        let stored = &mut self.stored[slot.0 as usize];
        stored.fate = Fate::Deleted;
        stored.body = String::new();
        stored.generation += 1;
        true
    }

    /// Adds a message that arrives after a delay.
    pub fn send(&mut self, body: String, delay_ms: u64, now_ms: u64) -> Slot {
        let slot = Slot(self.stored.len() as u32);
        let fate = Fate::Copy;
        self.stored.push(Stored { body, receive_count: 0, generation: 0, visible_at_ms: 0, fate });
        self.hide(slot, now_ms + delay_ms);
        slot
    }

    /// What became of the messages that the queue began with.
    pub fn outcome(&self) -> Outcome {
        let (first, copies) = self.stored.split_at(self.first_copy);
        let count = |fate: Fate| first.iter().filter(|stored| stored.fate == fate).count() as u64;
        let replaced_count = count(Fate::Deleted);
        let copy_count = copies.iter().filter(|stored| stored.fate != Fate::Deleted).count() as u64;
        Outcome {
            hidden_count: count(Fate::Hidden),
            replaced_count,
            missed_count: count(Fate::Untouched) + replaced_count.saturating_sub(copy_count),
            surplus_count: copy_count.saturating_sub(replaced_count),
        }
    }

    fn in_flight(&self, handle: &str, now_ms: u64) -> Option<Slot> {
        let (slot, receive) = handle.split_once(':')?;
        let (slot, receive): (u32, u32) = (slot.parse().ok()?, receive.parse().ok()?);
        let stored = self.stored.get(slot as usize)?;
        let is_current = stored.receive_count == receive && stored.fate != Fate::Deleted;
        (is_current && stored.visible_at_ms > now_ms).then_some(Slot(slot))
    }

    fn hide(&mut self, slot: Slot, until_ms: u64) {
        let stored = &mut self.stored[slot.0 as usize];
        stored.generation += 1;
        stored.visible_at_ms = until_ms;
        self.timers.push(Reverse((until_ms, slot, stored.generation)));
    }

    /// Makes visible what is due.
    fn wake(&mut self, now_ms: u64) {
        while let Some(Reverse((at_ms, slot, generation))) = self.timers.peek().copied()
            && at_ms <= now_ms
        {
            self.timers.pop();
            if self.stored[slot.0 as usize].generation == generation {
                self.visible.push_back(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_hidden_comes_back_and_old_handles_are_refused() {
        let mut queue = Queue::with(2, 4);
        let first = queue.receive(10, 1_000, 0);
        assert_eq!((first.len(), first[1].body.as_str(), queue.counts(0)), (2, "0001", (0, 2)));
        assert!(queue.change_visibility(&first[0].handle, 9_000, 500));
        let again = queue.receive(10, 1_000, 1_000);
        assert_eq!(again.iter().map(|one| (one.slot, one.receive_count)).collect::<Vec<_>>(), [(Slot(1), 2)]);
        assert!(!queue.delete(&first[1].handle, 1_100) && queue.delete(&again[0].handle, 1_100));
        assert_eq!(queue.counts(9_500), (1, 0));
    }

    #[test]
    fn what_nobody_spread_is_missed() {
        let mut queue = Queue::with(4, 4);
        let held = queue.receive(3, 60_000, 0);
        assert!(queue.change_visibility(&held[0].handle, 90_000, 1));
        queue.send(held[1].body.clone(), 90_000, 1);
        queue.send(held[1].body.clone(), 90_000, 1);
        assert!(queue.delete(&held[1].handle, 2));
        let outcome = queue.outcome();
        assert_eq!(
            outcome,
            Outcome { hidden_count: 1, replaced_count: 1, missed_count: 2, surplus_count: 1 }
        );
    }
}

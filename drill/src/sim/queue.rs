//! What is scheduled: timers of sleeping tasks and plain callbacks, ordered by (time, sequence).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::task::Waker;

use super::{Sim, Time};

/// A plain callback.
pub(super) type Call = Box<dyn FnOnce(&Sim)>;

/// What the queue hands out when its time has come.
pub(super) enum Due {
    Wake(Waker),
    Call(Call),
}

/// A timer's slot, and the sequence number that tells it from later users of the slot.
#[derive(Clone, Copy)]
pub(super) struct TimerId {
    slot: u32,
    seq: u64,
}

/// One heap entry. Payloads live in slots, so that the heap moves 24 bytes and compares two words.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: Time,
    seq: u64,
    slot: u32,
}

enum Payload {
    Free,
    /// `None` once it has fired and the sleeper has not looked yet.
    Timer(Option<Waker>),
    Call(Call),
}

struct Slot {
    seq: u64,
    payload: Payload,
}

/// Below this many entries the heap is never swept.
const SWEEP_FLOOR_COUNT: usize = 1024;

#[derive(Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    next_seq: u64,
    /// Heap entries whose timer was dropped before it fired.
    stale_count: usize,
}

impl Queue {
    pub fn push_call(&mut self, at: Time, call: Call) {
        self.push(at, Payload::Call(call));
    }

    pub fn push_timer(&mut self, at: Time, waker: Waker) -> TimerId {
        self.push(at, Payload::Timer(Some(waker)))
    }

    fn push(&mut self, at: Time, payload: Payload) -> TimerId {
        let seq = self.next_seq;
        self.next_seq += 1;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Slot { seq, payload };
                slot
            }
            None => {
                self.slots.push(Slot { seq, payload });
                u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 events are scheduled")
            }
        };
        self.heap.push(Reverse(Entry { at, seq, slot }));
        TimerId { slot, seq }
    }

    /// Takes the next live event at or before `end`.
    pub fn pop(&mut self, end: Time) -> Option<(Time, Due)> {
        while let Some(Reverse(entry)) = self.heap.peek() {
            if entry.at > end {
                return None;
            }
            let Reverse(Entry { at, seq, slot }) = self.heap.pop().expect("peeked above");
            let found = &mut self.slots[slot as usize];
            if found.seq != seq {
                self.stale_count -= 1;
                continue;
            }
            match &mut found.payload {
                Payload::Timer(waker) => {
                    let waker = waker.take().expect("a timer is in the heap once");
                    return Some((at, Due::Wake(waker)));
                }
                payload @ Payload::Call(_) => {
                    let Payload::Call(call) = std::mem::replace(payload, Payload::Free) else {
                        unreachable!("matched above")
                    };
                    self.free.push(slot);
                    return Some((at, Due::Call(call)));
                }
                Payload::Free => self.stale_count -= 1,
            }
        }
        None
    }

    /// Whether the timer's time has come.
    pub fn fired(&self, timer: TimerId) -> bool {
        match self.slots.get(timer.slot as usize) {
            Some(slot) if slot.seq == timer.seq => matches!(slot.payload, Payload::Timer(None)),
            // The queue was cleared under a sleeper that somebody still holds: it never wakes.
            Some(_) | None => false,
        }
    }

    /// The sleeper was polled by another task, or again before its time.
    pub fn set_waker(&mut self, timer: TimerId, waker: &Waker) {
        if let Some(Slot { seq, payload: Payload::Timer(Some(old)) }) =
            self.slots.get_mut(timer.slot as usize)
            && *seq == timer.seq
        {
            old.clone_from(waker);
        }
    }

    /// The sleeper is gone. Its heap entry stays until it comes up or too many have gathered.
    pub fn drop_timer(&mut self, timer: TimerId) {
        let Some(slot) = self.slots.get_mut(timer.slot as usize) else { return };
        if slot.seq != timer.seq {
            return;
        }
        let was_waiting = matches!(slot.payload, Payload::Timer(Some(_)));
        slot.payload = Payload::Free;
        self.free.push(timer.slot);
        if was_waiting {
            self.stale_count += 1;
            self.sweep();
        }
    }

    /// Rebuilds the heap once more than half of it is stale: constant cost per dropped timer.
    fn sweep(&mut self) {
        if self.heap.len() < SWEEP_FLOOR_COUNT || self.stale_count * 2 < self.heap.len() {
            return;
        }
        let slots = &self.slots;
        self.heap.retain(|Reverse(entry)| {
            let slot = &slots[entry.slot as usize];
            slot.seq == entry.seq && !matches!(slot.payload, Payload::Free)
        });
        self.stale_count = 0;
    }

    /// Hands out everything scheduled, to be dropped. Sequence numbers go on, so that a sleeper
    /// that outlives this is not mistaken for a later one.
    pub fn take_all(&mut self) -> Queue {
        let empty = Queue { next_seq: self.next_seq, ..Queue::default() };
        std::mem::replace(self, empty)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.heap.len()
    }
}

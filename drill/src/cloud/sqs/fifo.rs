//! What only FIFO queues have: message groups in order, and deduplication.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use slab::Slab;

use super::ids::MessageId;

/// How long a deduplication id is remembered, from the send that brought it.
const DEDUPLICATION_MS: u64 = 5 * 60 * 1_000;

/// One message group: all its messages, in order, wherever they are.
#[derive(Debug)]
struct Group {
    name: Rc<str>,
    slots: VecDeque<usize>,
    in_flight_count: usize,
    /// Its key in `ready`, while it is there.
    ready_key: Option<u64>,
}

/// The message groups of a queue. Each has a number while it has messages, so that its name is compared only
/// when a message is sent.
#[derive(Debug, Default)]
pub(super) struct Groups {
    numbers: BTreeMap<Rc<str>, usize>,
    groups: Slab<Group>,
    /// The groups that can be received from, by the age of their first message.
    ready: BTreeMap<u64, usize>,
}

impl Groups {
    /// Adds a message at the end of its group, and tells the group's number.
    pub(super) fn push(&mut self, name: &Rc<str>, slot: usize) -> usize {
        let number = match self.numbers.get(name) {
            Some(number) => *number,
            None => {
                let (name, slots) = (Rc::clone(name), VecDeque::new());
                let group = Group { name: Rc::clone(&name), slots, in_flight_count: 0, ready_key: None };
                let number = self.groups.insert(group);
                self.numbers.insert(name, number);
                number
            }
        };
        self.groups[number].slots.push_back(slot);
        number
    }

    /// Takes a message out of its group.
    pub(super) fn remove(&mut self, number: usize, slot: usize) {
        let slots = &mut self.groups[number].slots;
        // What leaves was received, or is the oldest: it is near the front.
        if let Some(index) = slots.iter().position(|found| *found == slot) {
            slots.remove(index);
        }
    }

    /// Counts one more (`true`) or one less of the group's messages in flight.
    pub(super) fn note_flight(&mut self, number: usize, has_started: bool) {
        let count = &mut self.groups[number].in_flight_count;
        *count = if has_started { *count + 1 } else { *count - 1 };
    }

    /// Decides anew whether the group can be received from: nothing of it is in flight, and its first message,
    /// of which `first_visible` tells the order if it is visible, can be received. Forgets an empty group.
    pub(super) fn refresh(&mut self, number: usize, first_visible: impl Fn(usize) -> Option<u64>) {
        let group = &mut self.groups[number];
        let key = match (group.in_flight_count, group.slots.front()) {
            (0, Some(slot)) => first_visible(*slot),
            _ => None,
        };
        if key != group.ready_key {
            if let Some(old) = group.ready_key {
                self.ready.remove(&old);
            }
            if let Some(new) = key {
                self.ready.insert(new, number);
            }
            group.ready_key = key;
        }
        if group.slots.is_empty() {
            let group = self.groups.remove(number);
            self.numbers.remove(&group.name);
        }
    }

    /// The group whose first message has waited longest, if any can be received from.
    pub(super) fn first_ready(&self) -> Option<usize> {
        self.ready.values().next().copied()
    }

    /// The group's `index`-th message.
    pub(super) fn slot(&self, number: usize, index: usize) -> Option<usize> {
        self.groups.get(number)?.slots.get(index).copied()
    }

    /// Forgets all groups.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

type DeduplicationKey = (Option<Rc<str>>, Rc<str>);

/// The deduplication ids of the last five minutes.
#[derive(Debug, Default)]
pub(super) struct Deduplication {
    known: BTreeMap<DeduplicationKey, (MessageId, u64)>,
    by_age: VecDeque<(u64, DeduplicationKey)>,
}

impl Deduplication {
    /// The message sent before with this id, in this scope, if it is still remembered.
    pub(super) fn find(
        &mut self,
        scope: Option<&Rc<str>>,
        id: &Rc<str>,
        now_ms: u64,
    ) -> Option<(MessageId, u64)> {
        while self.by_age.front().is_some_and(|(sent_ms, _)| sent_ms + DEDUPLICATION_MS <= now_ms) {
            if let Some((_, key)) = self.by_age.pop_front() {
                self.known.remove(&key);
            }
        }
        self.known.get(&(scope.cloned(), Rc::clone(id))).copied()
    }

    /// Remembers a message that was sent now.
    pub(super) fn remember(
        &mut self,
        scope: Option<&Rc<str>>,
        id: &Rc<str>,
        message: (MessageId, u64),
        now_ms: u64,
    ) {
        let key = (scope.cloned(), Rc::clone(id));
        self.known.insert(key.clone(), message);
        self.by_age.push_back((now_ms, key));
    }
}

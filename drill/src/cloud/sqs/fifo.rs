//! What only FIFO queues have: message groups in order, and deduplication.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::ids::MessageId;

/// How long a deduplication id is remembered, from the send that brought it.
const DEDUPLICATION_MS: u64 = 5 * 60 * 1_000;

/// One message group: all its messages, in order, wherever they are.
#[derive(Debug, Default)]
struct Group {
    slots: VecDeque<usize>,
    in_flight_count: usize,
    /// Its key in `ready`, while it is there.
    ready_key: Option<u64>,
}

/// The message groups of a queue.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: BTreeMap<Rc<str>, Group>,
    /// The groups that can be received from, by the age of their first message.
    ready: BTreeMap<u64, Rc<str>>,
}

impl Groups {
    /// Adds a message at the end of its group.
    pub(super) fn push(&mut self, name: &Rc<str>, slot: usize) {
        self.groups.entry(Rc::clone(name)).or_default().slots.push_back(slot);
    }

    /// Takes a message out of its group.
    pub(super) fn remove(&mut self, name: &str, slot: usize) {
        let Some(group) = self.groups.get_mut(name) else { return };
        // What leaves was received, or is the oldest: it is near the front.
        if let Some(index) = group.slots.iter().position(|found| *found == slot) {
            group.slots.remove(index);
        }
    }

    /// Counts one more (`true`) or one less of the group's messages in flight.
    pub(super) fn note_flight(&mut self, name: &str, has_started: bool) {
        if let Some(group) = self.groups.get_mut(name) {
            group.in_flight_count = match has_started {
                true => group.in_flight_count + 1,
                false => group.in_flight_count.saturating_sub(1),
            };
        }
    }

    /// Decides anew whether the group can be received from: nothing of it is in flight, and its first message,
    /// of which `first_visible` tells the order if it is visible, can be received.
    pub(super) fn refresh(&mut self, name: &Rc<str>, first_visible: impl Fn(usize) -> Option<u64>) {
        let Some(group) = self.groups.get_mut(name) else { return };
        let key = match (group.in_flight_count, group.slots.front()) {
            (0, Some(slot)) => first_visible(*slot),
            _ => None,
        };
        if key != group.ready_key {
            if let Some(old) = group.ready_key {
                self.ready.remove(&old);
            }
            if let Some(new) = key {
                self.ready.insert(new, Rc::clone(name));
            }
            group.ready_key = key;
        }
        if group.slots.is_empty() {
            self.groups.remove(name);
        }
    }

    /// The group whose first message has waited longest, if any can be received from.
    pub(super) fn first_ready(&self) -> Option<Rc<str>> {
        self.ready.values().next().map(Rc::clone)
    }

    /// The group's `index`-th message.
    pub(super) fn slot(&self, name: &str, index: usize) -> Option<usize> {
        self.groups.get(name)?.slots.get(index).copied()
    }

    /// Forgets all groups.
    pub(super) fn clear(&mut self) {
        self.groups.clear();
        self.ready.clear();
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

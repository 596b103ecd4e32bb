//! A store in this process, for tests and for one instance alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use workflow::circuit::item;

use super::{KeptAnswer, Store, StoreError, Written};
use crate::ports::{Clock, SystemClock};
use crate::record::{Attribute, Item, Record, attribute};

/// Most answers that are kept; then the oldest makes room.
const MAX_ANSWERS: usize = 1_000;

/// A store in this process. Clones share it.
#[derive(Clone)]
pub struct MemoryStore {
    shelves: Arc<Mutex<Shelves>>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Shelves {
    items: BTreeMap<String, BTreeMap<String, Attribute>>,
    answers: BTreeMap<(String, String), (KeptAnswer, u64)>,
}

impl MemoryStore {
    /// An empty one.
    pub fn new() -> MemoryStore {
        MemoryStore::with_clock(SystemClock::new())
    }

    /// An empty one whose kept answers expire by this clock.
    pub fn with_clock(clock: impl Clock) -> MemoryStore {
        MemoryStore { shelves: Arc::default(), clock: Arc::new(clock) }
    }

    /// Changes the attributes of a circuit's item as anybody may who is no guard: the workflow, or a person.
    pub fn edit(&self, circuit: &str, change: impl FnOnce(&mut BTreeMap<String, Attribute>)) {
        change(self.lock().items.entry(circuit.to_owned()).or_default());
    }

    /// The attributes of a circuit's item.
    pub fn attributes(&self, circuit: &str) -> BTreeMap<String, Attribute> {
        self.lock().items.get(circuit).cloned().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> MemoryStore {
        MemoryStore::new()
    }
}

impl Store for MemoryStore {
    async fn read(&self, circuit: &str) -> Result<Item, StoreError> {
        let shelves = self.lock();
        let Some(attributes) = shelves.items.get(circuit) else {
            return Ok(Item::default());
        };
        Item::from_attributes(attributes).map_err(|error| StoreError::new("reading", circuit, error))
    }

    async fn write(&self, circuit: &str, seen: &Item, record: &Record) -> Result<Written, StoreError> {
        let mut shelves = self.lock();
        let attributes = shelves.items.entry(circuit.to_owned()).or_default();
        let found =
            Item::from_attributes(attributes).map_err(|error| StoreError::new("writing", circuit, error))?;
        let fence = |item: &Item| (item.record.revision, item.workflow.epoch, item.workflow.state);
        if fence(&found) != fence(seen) {
            return Ok(Written::Refused);
        }
        for name in attribute::ALL {
            attributes.remove(name);
        }
        for (name, value) in record.attributes() {
            attributes.insert(name.to_owned(), value);
        }
        attributes.insert(item::CIRCUIT.to_owned(), Attribute::Text(circuit.to_owned()));
        Ok(Written::Done)
    }

    async fn answer(&self, circuit: &str, key: &str) -> Result<Option<KeptAnswer>, StoreError> {
        let now_ms = self.clock.now_ms();
        let shelves = self.lock();
        let kept = shelves.answers.get(&(circuit.to_owned(), key.to_owned()));
        Ok(kept.filter(|(_, until_ms)| now_ms < *until_ms).map(|(answer, _)| answer.clone()))
    }

    async fn keep_answer(
        &self,
        circuit: &str,
        key: &str,
        answer: &KeptAnswer,
        ttl_ms: u64,
    ) -> Result<(), StoreError> {
        let until_ms = self.clock.now_ms().saturating_add(ttl_ms);
        let mut shelves = self.lock();
        let answers = &mut shelves.answers;
        answers.insert((circuit.to_owned(), key.to_owned()), (answer.clone(), until_ms));
        if answers.len() > MAX_ANSWERS {
            let oldest = answers.iter().min_by_key(|(_, (_, until_ms))| *until_ms);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                answers.remove(&key);
            }
        }
        Ok(())
    }
}

//! Where the state lives that instances share.

use std::error::Error;
use std::fmt;
use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::record::{Item, Record};

#[cfg(feature = "dynamodb")]
mod dynamodb;
mod memory;
#[cfg(feature = "redis")]
mod redis;

#[cfg(feature = "dynamodb")]
pub use self::dynamodb::DynamoStore;
pub use self::memory::MemoryStore;
#[cfg(feature = "redis")]
pub use self::redis::RedisStore;

/// Holds circuits and kept answers. Every instance that is to share a circuit uses the same one.
///
/// A guard limits the time of each request itself and never asks for the same write twice without having read in between.
pub trait Store: Send + Sync + 'static {
    /// Reads a circuit's item, and sees every write that has been answered. A circuit without an item has the default.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached, refuses, or holds something else.
    fn read(&self, circuit: &str) -> impl Future<Output = Result<Item, StoreError>> + Send;

    /// Writes the guards' part of the item, if its revision and the workflow's epoch and state are still those of `seen`.
    /// The record's revision is one more than that of `seen`.
    ///
    /// # Errors
    /// [`StoreError`] if it is not known whether the write has taken place, or if it has not.
    fn write(
        &self,
        circuit: &str,
        seen: &Item,
        record: &Record,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// The answer that was kept under this key, if it is not older than its time to live.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached, refuses, or holds something else.
    fn answer(
        &self,
        circuit: &str,
        key: &str,
    ) -> impl Future<Output = Result<Option<KeptAnswer>, StoreError>> + Send;

    /// Keeps an answer, instead of the one before, for `ttl_ms` milliseconds at least.
    ///
    /// # Errors
    /// [`StoreError`] if it is not known whether it is kept.
    fn keep_answer(
        &self,
        circuit: &str,
        key: &str,
        answer: &KeptAnswer,
        ttl_ms: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Whether a write has taken place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It has.
    Done,
    /// It has not: somebody else has written since the read.
    Refused,
}

/// An answer of the dependency, kept for when there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// When it was given, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The answer, as JSON.
    pub json: String,
}

/// A request to the store that failed. The cause is its [`Error::source`].
#[derive(Debug)]
pub struct StoreError {
    operation: &'static str,
    subject: String,
    source: Box<dyn Error + Send + Sync>,
}

impl StoreError {
    /// `operation` as the store calls it, on `subject`.
    pub fn new(
        operation: &'static str,
        subject: &str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> StoreError {
        StoreError { operation, subject: subject.to_owned(), source: source.into() }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?} in the guard's store failed", self.operation, self.subject)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// Key under which an answer is kept. No circuit's name has a `#`.
#[cfg_attr(not(any(feature = "dynamodb", feature = "redis")), allow(dead_code))]
fn answer_key(circuit: &str, key: &str) -> String {
    format!("{circuit}#answer#{key}")
}

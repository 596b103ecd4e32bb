//! The promises, each an object of its own that watches a drill.

mod exact_restore;
mod no_content;
mod no_harm;
mod nothing_lost;
mod quiet;

use serde_json::Value;

use crate::books::Books;
use crate::cloud::mappings::Update;
use crate::report::PromiseVerdict;
use crate::sim::Time;

/// Marks the body and the attributes of every message of a drill; no promise-keeping program lets it out.
pub const CANARY: &str = "canary-5b1d9c";

/// Who received a message, or invoked the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// The event source mapping.
    Mapping,
    /// The breaker's probe.
    Probe,
    /// The breaker's re-jitter.
    Rejitter,
    /// Somebody else: an operator, another program.
    Outsider,
}

/// Settings of a mapping that the breaker may touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingSettings {
    /// The switch.
    pub enabled: bool,
    /// `MaximumConcurrency`.
    pub maximum_concurrency: Option<u32>,
}

impl std::fmt::Display for MappingSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.enabled { "enabled" } else { "disabled" })?;
        match self.maximum_concurrency {
            Some(count) => write!(f, " with maximum concurrency {count}"),
            None => f.write_str(" without a concurrency limit"),
        }
    }
}

impl MappingSettings {
    /// What stands for a mapping that is not there.
    pub fn unknown() -> MappingSettings {
        MappingSettings { enabled: false, maximum_concurrency: None }
    }
}

/// Something that checkers look at.
#[derive(Debug)]
pub enum Observation<'a> {
    /// The consumer was invoked.
    Invoked(Actor),
    /// An invocation of the consumer ended.
    Ended(Actor),
    /// The circuit's item says so now.
    Circuit(&'a str),
    /// The breaker announced something: its detail type.
    Announced(&'a str),
    /// The breaker asked for new settings of a mapping.
    MappingAsked(MappingSettings),
    /// Somebody else changed a mapping: what they asked for, and nothing else.
    MappingChangedByOthers(Update),
    /// A message left the queue for the dead-letter queue.
    DeadLettered {
        /// Number of the message.
        trace: u32,
        /// Who received it last.
        last_receiver: Actor,
        /// Whether the consumer was invoked with it after that receive.
        tried: bool,
        /// Whether the queue is FIFO.
        fifo: bool,
    },
    /// A message was deleted.
    Deleted {
        /// Number of the message.
        trace: u32,
        /// By whom.
        by: Actor,
        /// Whether it had been processed, or another copy of it exists.
        safe: bool,
    },
    /// Something that is kept where people can read it: execution history, the circuit's item, an event.
    Kept {
        /// Where.
        place: &'a str,
        /// What.
        value: &'a Value,
    },
}

/// How everything stands at the end of a drill.
#[derive(Debug)]
pub struct FinalState<'a> {
    /// What became of each message.
    pub books: &'a Books,
    /// Settings of the mapping.
    pub mapping: MappingSettings,
    /// State of the circuit.
    pub circuit: String,
}

/// Watches one promise.
pub trait Checker {
    /// Something happened.
    fn observe(&mut self, at: Time, observation: &Observation<'_>);

    /// Whether the promise was held.
    fn verdict(&self, end: &FinalState<'_>) -> PromiseVerdict;
}

/// The checkers that run after every scenario.
pub fn all(initial: MappingSettings) -> Vec<Box<dyn Checker>> {
    vec![
        Box::new(nothing_lost::NothingLost),
        Box::new(quiet::QuietWhileOpen::default()),
        Box::new(no_harm::NoHarmByProbing::default()),
        Box::new(exact_restore::ExactRestore::new(initial)),
        Box::new(no_content::NoContent::default()),
    ]
}

/// The first breaches of a promise, and how many there were.
#[derive(Debug, Default)]
struct Breaches {
    count: u64,
    first: Vec<String>,
}

impl Breaches {
    /// Breaches that are told in full.
    const SHOWN: usize = 3;

    fn add(&mut self, at: Time, text: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < Breaches::SHOWN {
            self.first.push(format!("{at}: {}", text()));
        }
    }

    fn verdict(&self, name: &'static str, held: String) -> PromiseVerdict {
        if self.count == 0 {
            return PromiseVerdict { name, held: true, detail: held };
        }
        let more = self.count - self.first.len() as u64;
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        PromiseVerdict { name, held: false, detail: format!("{}{more}", self.first.join("; ")) }
    }
}

//! The promises, each an object of its own that watches a drill.

mod bounds;
mod calm;
mod exact_restore;
mod never_stranded;
mod no_content;
mod no_duplicates;
mod no_harm;
mod nothing_lost;
mod one_owner;
mod prompt;
mod quiet;

use serde_json::Value;

pub use self::bounds::Bounds;
use crate::books::{Books, LastReceive};
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
        /// Its last receive; absent if nobody received it since it was sent.
        last: Option<LastReceive>,
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
    /// An invocation of the consumer by somebody failed, or reported failed messages.
    ConsumerFailed(Actor),
    /// The last poller of a mapping stopped after it was disabled.
    PollersStopped,
    /// The dependency changed its behaviour.
    DependencyChanged {
        /// Whether it answers.
        healthy: bool,
    },
    /// Faults begin.
    FaultsBegan,
    /// Nothing goes wrong any more.
    FaultsEnded,
    /// An operator, or another program, did something to the queue or the circuit.
    OutsiderActed,
    /// The circuit waits before its next probe.
    Waiting {
        /// Until when.
        until: Time,
    },
    /// An execution's write of the circuit's item was accepted.
    ItemWritten {
        /// The execution.
        by: &'a str,
        /// The item's epoch now.
        epoch: u64,
        /// The item's owner now.
        owner: &'a str,
    },
    /// The `mapping` function looked at a mapping.
    MappingFound {
        /// Whether it is enabled, or on its way there.
        enabled: bool,
    },
    /// One of the breaker's functions changed a mapping.
    MappingActed {
        /// The epoch that its request claims.
        epoch: Option<u64>,
        /// When it last read the circuit's epoch.
        fenced_at: Option<Time>,
    },
    /// The breaker sent a copy of a message.
    Copied {
        /// Number of the message.
        trace: u32,
        /// By whom.
        by: Actor,
        /// How often the original had been received.
        received_count: Option<u32>,
        /// Whether the re-jitter was asked to requeue.
        requeues: bool,
    },
    /// An invocation that nothing disturbed ended without deleting the original of a copy.
    CopyLeftBeside {
        /// Number of the message.
        trace: u32,
    },
    /// Nothing more comes: a time that has passed by now has passed for good.
    DrillEnded,
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

/// The checkers that run after every drill on the model, in the order of the promises' numbers.
pub fn all(initial: MappingSettings, bounds: &Bounds) -> Vec<Box<dyn Checker>> {
    vec![
        Box::new(nothing_lost::NothingLost),
        Box::new(never_stranded::NeverStranded::new(bounds)),
        Box::new(one_owner::OneOwner::default()),
        Box::new(quiet::QuietWhileOpen::default()),
        Box::new(no_harm::NoHarmByProbing::default()),
        Box::new(exact_restore::ExactRestore::new(initial)),
        Box::new(no_duplicates::NoDuplicates::new(bounds.max_receive_count, bounds.fifo)),
        Box::new(prompt::Prompt::new(bounds)),
        Box::new(no_content::NoContent::default()),
    ]
}

/// The checkers of what can be seen of a deployed stack from outside.
pub fn from_outside(initial: MappingSettings) -> Vec<Box<dyn Checker>> {
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

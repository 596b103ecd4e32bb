//! Scenarios: what happens to the example stack in a drill.

mod catalogue;
mod ending;
mod mistakes;
mod outside;
mod ramp;
mod regressions;

use std::time::Duration;

use serde_json::Value;
use workflow::circuit::Phase;
use workflow::config::CircuitConfig;

use crate::cloud::Knobs;
use crate::faults::FaultPlan;

pub use self::catalogue::{all, find, outage_of};
pub use self::ending::Standing;

/// One scenario: a configuration, traffic, what happens to the dependency, what people do meanwhile, and how it is to
/// end.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Name on the command line.
    pub name: &'static str,
    /// What it is about, one line.
    pub summary: &'static str,
    /// The circuit's configuration.
    pub circuit: CircuitConfig,
    /// Alarms that the user had before, as resources of a template by logical id; they may refer to the stack's resources.
    pub own_alarms: Vec<(&'static str, Value)>,
    /// Whether a second copy of the stack stands in the same account and Region, idle.
    pub neighbour: bool,
    /// What the producer sends.
    pub traffic: Vec<Traffic>,
    /// How the dependency behaves from which time on; healthy before the first entry.
    pub dependency: Vec<(Duration, Dependency)>,
    /// What people and other programs do.
    pub actions: Vec<(Duration, Action)>,
    /// How the cloud behaves where AWS does not say.
    pub knobs: Knobs,
    /// What goes wrong.
    pub faults: FaultPlan,
    /// How long it runs at least.
    pub length: Duration,
    /// How much longer it may take until everything has come to rest.
    pub settle_limit: Duration,
    /// How it is to end.
    pub ending: Ending,
}

/// A stretch of messages at a steady rate.
#[derive(Clone, Debug, PartialEq)]
pub struct Traffic {
    /// First message, since the start.
    pub from: Duration,
    /// No message from here on.
    pub until: Duration,
    /// Messages per second.
    pub rate_per_s: f64,
    /// What the messages are like.
    pub kind: MessageKind,
}

/// What a message is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// An order that the consumer can process.
    Order,
    /// A message that no consumer can ever process.
    Poison,
}

/// How the dependency behind the consumer behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dependency {
    /// It answers.
    Healthy,
    /// It refuses: the drill sets `SHOULD_ERROR=true` on the consumer.
    Failing,
    /// It refuses this share of the invocations, 0 to 100 percent.
    Flaky(f64),
    /// It does not answer: the consumer runs into its timeout.
    Hanging,
}

impl Dependency {
    /// In a word or two.
    pub fn label(self) -> String {
        match self {
            Dependency::Healthy => "healthy".to_owned(),
            Dependency::Failing => "down".to_owned(),
            Dependency::Flaky(percent) => format!("refuses {percent} %"),
            Dependency::Hanging => "hangs".to_owned(),
        }
    }
}

/// What people and other programs do during a drill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// An operator purges the queue.
    PurgeQueue,
    /// An operator disables the mapping.
    DisableMapping,
    /// An operator enables the mapping.
    EnableMapping,
    /// An operator moves what is in the dead-letter queue back into the queue.
    RedriveDeadLetters,
    /// Somebody stops the execution that owns the circuit.
    AbortExecution,
    /// A deployment gives the mapping the settings of its template, whatever anybody has set since.
    Redeploy,
    /// Somebody else receives every visible message and holds it for its visibility timeout.
    HoldEveryMessage,
    /// EventBridge delivers the alarm's last event again.
    RepeatAlarmEvent,
    /// Somebody's automation puts a `Trip Requested` event on the bus.
    RequestTrip,
    /// The event of the alarm's next change to ALARM is lost.
    LoseNextAlarmEvent,
    /// Somebody stops the execution that owns the circuit, as soon as the circuit's item says this phase.
    AbortOwner(Phase),
    /// Somebody stops the execution that owns the circuit, as soon as it disables the mapping again after a limited close.
    AbortReopening,
    /// An operator disables the mapping as soon as the circuit's item says this phase and Lambda accepts the change.
    DisableMappingIn(Phase),
    /// An operator holds the circuit for so long.
    HoldCircuit(Duration),
    /// An operator ends the hold.
    ReleaseCircuit,
    /// An operator closes the circuit.
    CloseCircuit,
    /// An operator asks for a probe now.
    ProbeNow,
    /// The dependency says that it has recovered, whether or not it has.
    SignalRecovered,
}

/// How a scenario is to end. Every field is a condition for its having converged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// State of the circuit; [`Ending::ANY_STATE`] where it is not said.
    pub circuit: &'static str,
    /// State of the mapping; [`Ending::AS_ITS_OWNER_WANTS`] for a settled one, disabled only if somebody else did it.
    pub mapping: &'static str,
    /// Whether the queue is to be empty, nothing visible, in flight or delayed.
    pub drained: bool,
    /// How often the circuit is to have opened.
    pub trips: std::ops::RangeInclusive<u64>,
    /// How many messages are to have been dead-lettered.
    pub dead_lettered: std::ops::RangeInclusive<u64>,
}

impl Ending {
    /// A mapping that is settled. Whether it is what its owner wants is judged by the promise `exact_restore`, which follows
    /// that; a queue behind a mapping that is disabled need not be drained.
    pub const AS_ITS_OWNER_WANTS: &'static str = "as its owner wants it";
    /// Whatever state the circuit is in.
    pub const ANY_STATE: &'static str = "any";
}

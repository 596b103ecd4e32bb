//! What a drill tells: entries of the timeline while it runs, and the balance at its end.

use serde::Serialize;
use serde_json::Value;

use workflow::status::Facts;

use crate::arrivals::Arrivals;
use crate::books::Balance;
use crate::course::Course;
use crate::faults::FaultKind;
use crate::scribe::Tally;
use crate::sim::Time;
use crate::usage::Usage;

/// Who or what an entry of the timeline is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// The drill itself: the dependency fails or recovers, an operator acts.
    Drill,
    /// The CloudWatch alarm.
    Alarm,
    /// Executions of the workflow.
    Workflow,
    /// The circuit's state.
    Circuit,
    /// The event source mapping.
    Mapping,
    /// Waits between probes.
    Wait,
    /// Probes and their verdicts.
    Probe,
    /// The re-jitter.
    Rejitter,
    /// Announcements on the event bus.
    Event,
    /// Messages that reach the dead-letter queue.
    DeadLetter,
    /// The queues themselves: a retention that is changed, a redrive.
    Queue,
}

impl Topic {
    /// The word that stands before an entry.
    pub fn label(self) -> &'static str {
        match self {
            Topic::Drill => "drill",
            Topic::Alarm => "alarm",
            Topic::Workflow => "workflow",
            Topic::Circuit => "circuit",
            Topic::Mapping => "mapping",
            Topic::Wait => "wait",
            Topic::Probe => "probe",
            Topic::Rejitter => "re-jitter",
            Topic::Event => "event",
            Topic::DeadLetter => "dlq",
            Topic::Queue => "queue",
        }
    }
}

/// One entry of the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When.
    pub at: Time,
    /// About what.
    pub topic: Topic,
    /// What happened, for people. Never holds message content.
    pub text: String,
}

/// Receives what a drill tells while it runs.
pub trait Observer {
    /// Something happened that an operator would want to see.
    fn entry(&mut self, entry: &Entry);

    /// Something was put on the event bus: the whole event, as its rules see it.
    fn event(&mut self, event: &Value) {
        let _ = event;
    }

    /// Simulated time has come to `now` on its way from `start` to `end`; called a few hundred times per drill.
    fn progress(&mut self, start: Time, now: Time, end: Time);

    /// What an operator could read of the circuit now, if the observer wants to know; called as often as `progress`.
    fn readable(&mut self, _now: Time, _read: &dyn Fn() -> Facts) {}

    /// The drill is over: the longest history that an execution of the workflow came to has so many events. Step
    /// Functions allows [`crate::asl::HISTORY_LIMIT_COUNT`].
    fn longest_history(&mut self, _event_count: u64) {}

    /// The drill is over: so many events were run for it. The work that it took, the same on every machine.
    fn events_run(&mut self, _count: u64) {}

    /// The drill is over: what became of the messages, and when those that waited for the recovery arrived.
    fn delivered(&mut self, _balance: &Balance, _arrivals: &Arrivals) {}

    /// The drill is over: its course, to be drawn, and what it used.
    fn charted(&mut self, _course: &Course, _usage: &Usage) {}

    /// The same outage with no breaker is over too.
    fn charted_without_breaker(&mut self, _report: &Report, _course: &Course, _usage: &Usage) {}

    /// The drill is over: which corners it reached, and how often each kind of fault struck.
    fn reached(&mut self, _tally: &Tally, _faults: &[(FaultKind, u64)]) {}
}

/// An observer that looks away.
impl Observer for () {
    fn entry(&mut self, _entry: &Entry) {}

    fn progress(&mut self, _start: Time, _now: Time, _end: Time) {}
}

/// Whether a promise was held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PromiseVerdict {
    /// Short name: `nothing_lost`, `quiet_while_open`, ...
    pub name: &'static str,
    /// Whether it was held.
    pub held: bool,
    /// What was checked, or what broke it.
    pub detail: String,
}

/// The balance of one drill.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Name of the scenario.
    pub scenario: String,
    /// The deployed stack on which it ran; absent for a drill on the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// Seed of the run; 0 on a deployed stack, which has none.
    pub seed: u64,
    /// Time in the cloud it ran on, seconds: simulated in the model.
    pub simulated_s: f64,
    /// Wall time, seconds; filled in by whoever can read a clock.
    pub wall_s: f64,
    /// Messages sent by the producer.
    pub sent: u64,
    /// Of these, processed at least once.
    pub processed: u64,
    /// Of these, processed more than once.
    pub reprocessed: u64,
    /// Copies made by the breaker: messages at their last receive, and requeued ones.
    pub copies_made: u64,
    /// Messages that the queue's redrive policy dead-lettered.
    pub dead_lettered: u64,
    /// Messages that are nowhere: not processed, not queued, not dead-lettered, not purged by the operator.
    pub lost: u64,
    /// Messages that the queue's or the dead-letter queue's retention deleted.
    pub expired: u64,
    /// Messages that an operator purged.
    pub purged: u64,
    /// Messages that are still in the queue.
    pub still_queued: u64,
    /// Consumer invocations that failed, by the mapping and by probes.
    pub wasted_invocations: u64,
    /// The same with no breaker; absent unless that was run too.
    pub wasted_invocations_without_breaker: Option<u64>,
    /// Messages dead-lettered with no breaker; absent unless that was run too.
    pub dead_lettered_without_breaker: Option<u64>,
    /// From the first failure to the circuit being claimed, seconds; absent if it never was.
    pub detect_s: Option<f64>,
    /// From the dependency's recovery to the first ordinary delivery that succeeded, seconds; absent if there was none.
    pub recover_s: Option<f64>,
    /// The mapping's state at the end.
    pub mapping_state: String,
    /// The circuit's state at the end.
    pub breaker_state: String,
    /// How often the circuit opened.
    pub trips: u64,
    /// Probes made.
    pub probes: u64,
    /// Whether the drill came to the end that the scenario states.
    pub converged: bool,
    /// What is missing for that; empty when it converged.
    pub not_converged: Vec<String>,
    /// The promises, in the order of their numbers.
    pub promises: Vec<PromiseVerdict>,
    /// SHA-256 over everything that happened: the same seed gives the same hash.
    pub trace_hash: String,
}

impl Report {
    /// The exit code of the drill: 0 all promises held, 10 a promise broken, 11 did not converge.
    pub fn exit_code(&self) -> u8 {
        if self.promises.iter().any(|promise| !promise.held) {
            10
        } else if self.converged {
            0
        } else {
            11
        }
    }
}

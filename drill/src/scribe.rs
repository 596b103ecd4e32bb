//! Takes note of what happens in a drill: the timeline for people, the books and the checkers for the verdict, and a
//! hash over everything that tells two runs apart.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::arrivals::Arrivals;
use crate::asl::HistoryEvent;
use crate::books::Books;
use crate::checkers::{Actor, Bounds, Checker, FinalState, MappingSettings, Observation};
use crate::course::Course;
use crate::report::{Entry, Report, Topic};
use crate::sim::{SIM_START, Time};
use crate::usage::Usage;

/// Times that the balance is made from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Milestones {
    /// First failed invocation of the consumer by the mapping after the dependency went down.
    pub first_failure: Option<Time>,
    /// First claim of the circuit.
    pub claimed: Option<Time>,
    /// The dependency's last recovery.
    pub recovered: Option<Time>,
    /// First successful ordinary delivery after that.
    pub first_delivery: Option<Time>,
}

/// Counts that the balance is made from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Invocations of the consumer that failed.
    pub wasted_invocations: u64,
    /// Times that the circuit was claimed from closed.
    pub trips: u64,
    /// Probes that reached the consumer.
    pub probes: u64,
}

/// How often which corner was reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// States of the workflow, by name.
    pub states: BTreeMap<Rc<str>, u64>,
    /// Announcements, by detail type.
    pub announced: BTreeMap<String, u64>,
    /// Transitions of the circuit, `closed -> open` and so on.
    pub transitions: BTreeMap<String, u64>,
}

impl Tally {
    /// Adds one.
    pub fn count<K: Ord + ?Sized, O: Ord + for<'a> From<&'a K> + std::borrow::Borrow<K>>(
        counts: &mut BTreeMap<O, u64>,
        key: &K,
    ) {
        match counts.get_mut(key) {
            Some(count) => *count += 1,
            None => {
                counts.insert(O::from(key), 1);
            }
        }
    }
}

/// What a report says beside what the scribe has noted.
#[derive(Clone, Debug)]
pub struct Closing {
    /// Name of the scenario.
    pub scenario: &'static str,
    /// Seed of the run; 0 where there was none.
    pub seed: u64,
    /// The deployed stack on which it ran; absent in the model.
    pub stack: Option<String>,
    /// How long it took, in the time of the cloud it ran on.
    pub took: Duration,
    /// Settings of the mapping.
    pub mapping: MappingSettings,
    /// State of the mapping.
    pub mapping_state: String,
    /// State of the circuit.
    pub circuit: String,
    /// What is missing for the end that the scenario states.
    pub missing: Vec<String>,
}

/// What happened so far.
pub struct Scribe {
    entries: Vec<Entry>,
    events: Vec<Value>,
    hash: Sha256,
    checkers: Vec<Box<dyn Checker>>,
    /// What was reached.
    pub tally: Tally,
    /// What became of each message.
    pub books: Books,
    /// When the backlog arrived.
    pub arrivals: Arrivals,
    /// Times.
    pub milestones: Milestones,
    /// Counts.
    pub counts: Counts,
    /// What is to be drawn.
    pub course: Course,
    /// What AWS charges for.
    pub usage: Usage,
}

impl Scribe {
    /// A scribe of a drill on a deployed stack, who has seen nothing yet.
    pub fn new(initial: MappingSettings) -> Scribe {
        Scribe::with(initial, crate::checkers::from_outside)
    }

    /// A scribe of a drill on the model, who has seen nothing yet.
    pub fn for_model(initial: MappingSettings, bounds: &Bounds) -> Scribe {
        Scribe::with(initial, |initial| crate::checkers::all(initial, bounds))
    }

    fn with(
        initial: MappingSettings,
        checkers: impl FnOnce(MappingSettings) -> Vec<Box<dyn Checker>>,
    ) -> Scribe {
        let mapping = if initial.enabled { "Enabled" } else { "Disabled" };
        let mut course = Course::beginning(mapping);
        course.mapping_is(SIM_START, mapping, initial.maximum_concurrency);
        Scribe {
            checkers: checkers(initial),
            course,
            usage: Usage::default(),
            entries: Vec::new(),
            events: Vec::new(),
            hash: Sha256::new(),
            tally: Tally::default(),
            books: Books::default(),
            arrivals: Arrivals::default(),
            milestones: Milestones::default(),
            counts: Counts::default(),
        }
    }

    /// Adds an entry to the timeline.
    pub fn note(&mut self, at: Time, topic: Topic, text: String) {
        if topic == Topic::Drill {
            self.course.remark(at, &text);
        }
        self.write(at, topic, text);
    }

    /// Adds an entry about what the course knows already.
    pub(crate) fn write(&mut self, at: Time, topic: Topic, text: String) {
        self.fold(at, topic.label(), &text);
        self.entries.push(Entry { at, topic, text });
    }

    /// Shows something to the checkers, and counts what is counted.
    pub fn observe(&mut self, at: Time, observation: &Observation<'_>) {
        match observation {
            Observation::Invoked(actor) => {
                self.counts.probes += u64::from(*actor == Actor::Probe);
                self.fold(at, "invoked", actor_name(*actor));
            }
            Observation::Deleted { trace, by, safe } => {
                let mut text = String::new();
                let _ = write!(text, "{trace} {} {safe}", actor_name(*by));
                self.fold(at, "deleted", &text);
            }
            Observation::Announced(name) => Tally::count(&mut self.tally.announced, *name),
            _ => {}
        }
        self.course.observe(at, observation);
        for checker in &mut self.checkers {
            checker.observe(at, observation);
        }
    }

    /// An execution wrote an event of its history.
    pub fn entered(&mut self, event: &HistoryEvent) {
        self.usage.history(event);
        if let Some(state) = &event.details.state
            && event.kind.as_str().ends_with("StateEntered")
        {
            Tally::count::<str, Rc<str>>(&mut self.tally.states, state);
        }
    }

    /// The consumer processed a message.
    pub fn processed(&mut self, at: Time, trace: u32) {
        if self.books.processed(trace) {
            self.arrivals.processed(at, trace);
        }
    }

    /// Takes the entries that nobody has taken yet.
    pub fn take_entries(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    /// Something was put on the event bus.
    pub fn event(&mut self, event: Value) {
        self.events.push(event);
    }

    /// Takes the events that nobody has taken yet.
    pub fn take_events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }

    /// The checkers, for their verdicts.
    pub fn checkers(&self) -> &[Box<dyn Checker>] {
        &self.checkers
    }

    /// The balance and the verdicts.
    pub fn report(&self, closing: Closing) -> Report {
        let balance = self.books.balance();
        let end =
            FinalState { books: &self.books, mapping: closing.mapping, circuit: closing.circuit.clone() };
        let promises = self.checkers.iter().map(|checker| checker.verdict(&end)).collect();
        let between = |from: Option<Time>, to: Option<Time>| {
            Some(to?.since(from?).as_secs_f64()).filter(|_| to >= from)
        };
        let milestones = self.milestones;
        Report {
            scenario: closing.scenario.to_owned(),
            stack: closing.stack,
            seed: closing.seed,
            simulated_s: closing.took.as_secs_f64(),
            wall_s: 0.0,
            sent: balance.sent,
            processed: balance.processed,
            reprocessed: balance.reprocessed,
            copies_made: balance.copies_made,
            dead_lettered: balance.dead_lettered,
            lost: balance.lost,
            expired: balance.expired,
            purged: balance.purged,
            still_queued: balance.still_queued,
            wasted_invocations: self.counts.wasted_invocations,
            wasted_invocations_without_breaker: None,
            dead_lettered_without_breaker: None,
            detect_s: between(milestones.first_failure, milestones.claimed),
            recover_s: between(milestones.recovered, milestones.first_delivery),
            mapping_state: closing.mapping_state,
            breaker_state: closing.circuit,
            trips: self.counts.trips,
            probes: self.counts.probes,
            converged: closing.missing.is_empty(),
            not_converged: closing.missing,
            promises,
            trace_hash: self.trace_hash(),
        }
    }

    /// Hash over everything so far, hexadecimal.
    pub fn trace_hash(&self) -> String {
        self.hash.clone().finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Adds something to the hash that stands in no other record.
    pub fn fold(&mut self, at: Time, what: &str, text: &str) {
        self.hash.update(at.as_ms().to_le_bytes());
        self.hash.update(what.as_bytes());
        self.hash.update([0]);
        self.hash.update(text.as_bytes());
        self.hash.update([0]);
    }
}

fn actor_name(actor: Actor) -> &'static str {
    match actor {
        Actor::Mapping => "mapping",
        Actor::Probe => "probe",
        Actor::Rejitter => "rejitter",
        Actor::Outsider => "outsider",
    }
}

//! Runs a drill and keeps what it told.

pub mod events;
pub mod mistakes;
pub mod statuses;
pub mod tamper;

use drill::arrivals::Arrivals;
use drill::books::Balance;
use drill::course::Course;
use drill::report::{Entry, Observer, Report, Topic};
use drill::scenario::{self, Scenario};
use drill::sim::Time;
use drill::usage::Usage;
use drill::{Options, run, run_tampered, run_tampered_stack};
use serde_json::Value;
use workflow::status::{Facts, Status};

/// Lines of the timeline that a failed assertion shows.
const SHOWN: usize = 60;

/// Everything that a drill told.
#[derive(Debug, PartialEq)]
pub struct Told {
    pub report: Report,
    pub entries: Vec<Entry>,
    /// What was put on the event bus.
    pub events: Vec<Value>,
    /// Events in the longest history of an execution.
    pub longest_history: u64,
    /// Events that the simulation ran.
    pub events_run: u64,
    /// What became of the messages.
    pub balance: Balance,
    /// When those that waited for the recovery arrived.
    pub arrivals: Arrivals,
    /// The course, and what was used.
    pub charted: Option<(Course, Usage)>,
    /// The balance, the course and the usage of the same with no breaker.
    pub baseline: Option<(Report, Course, Usage)>,
    /// How the circuit stood, as an operator would have been told, a few hundred times in the drill.
    pub statuses: Vec<(Time, Status)>,
}

/// The states of the mapping without what the steps of a ramp bring.
pub fn way(told: &Told) -> Vec<&str> {
    let states = told.about(Topic::Mapping).into_iter().filter_map(|text| text.split(", ").next());
    let mut way: Vec<&str> = states.filter(|state| *state != "Updating").collect();
    way.dedup();
    way
}

impl Told {
    fn new(report: Report, collector: Collector) -> Told {
        let Collector {
            entries,
            events,
            longest_history,
            events_run,
            balance,
            arrivals,
            charted,
            baseline,
            statuses,
        } = collector;
        Told {
            report,
            entries,
            events,
            longest_history,
            events_run,
            balance,
            arrivals,
            charted,
            baseline,
            statuses,
        }
    }

    /// The lines about `topic`, in their order.
    pub fn about(&self, topic: Topic) -> Vec<&str> {
        self.entries.iter().filter(|entry| entry.topic == topic).map(|entry| entry.text.as_str()).collect()
    }

    /// The lines about `topic` that hold `text`.
    pub fn with(&self, topic: Topic, text: &str) -> Vec<&str> {
        self.about(topic).into_iter().filter(|line| line.contains(text)).collect()
    }

    /// When the first line about `topic` that holds `text` was told.
    pub fn first(&self, topic: Topic, text: &str) -> Option<Time> {
        self.entries
            .iter()
            .find(|entry| entry.topic == topic && entry.text.contains(text))
            .map(|entry| entry.at)
    }

    /// Names of the promises that were broken.
    pub fn broken(&self) -> Vec<&str> {
        self.report.promises.iter().filter(|promise| !promise.held).map(|promise| promise.name).collect()
    }

    /// What a failed assertion shows: the verdict and the end of the timeline.
    pub fn story(&self) -> String {
        let report = &self.report;
        let broken: Vec<_> = report.promises.iter().filter(|promise| !promise.held).collect();
        let skipped = self.entries.len().saturating_sub(SHOWN);
        let lines: Vec<String> = self.entries[skipped..]
            .iter()
            .map(|entry| format!("{} {:9} {}", entry.at, entry.topic.label(), entry.text))
            .collect();
        format!(
            "{} with seed {}: exit code {}, not converged {:?}, broken {broken:?}\n{}",
            report.scenario,
            report.seed,
            report.exit_code(),
            report.not_converged,
            lines.join("\n")
        )
    }
}

#[derive(Default)]
struct Collector {
    entries: Vec<Entry>,
    events: Vec<Value>,
    longest_history: u64,
    events_run: u64,
    balance: Balance,
    arrivals: Arrivals,
    charted: Option<(Course, Usage)>,
    baseline: Option<(Report, Course, Usage)>,
    statuses: Vec<(Time, Status)>,
}

impl Observer for Collector {
    fn entry(&mut self, entry: &Entry) {
        self.entries.push(entry.clone());
    }

    fn event(&mut self, event: &Value) {
        self.events.push(event.clone());
    }

    fn progress(&mut self, _start: Time, _now: Time, _end: Time) {}

    fn readable(&mut self, now: Time, read: &dyn Fn() -> Facts) {
        self.statuses.push((now, Status::of(&read())));
    }

    fn longest_history(&mut self, event_count: u64) {
        self.longest_history = event_count;
    }

    fn events_run(&mut self, count: u64) {
        self.events_run = count;
    }

    fn delivered(&mut self, balance: &Balance, arrivals: &Arrivals) {
        (self.balance, self.arrivals) = (*balance, arrivals.clone());
    }

    fn charted(&mut self, course: &Course, usage: &Usage) {
        self.charted = Some((course.clone(), *usage));
    }

    fn charted_without_breaker(&mut self, report: &Report, course: &Course, usage: &Usage) {
        self.baseline = Some((report.clone(), course.clone(), *usage));
    }
}

/// The scenario with this name.
pub fn scenario(name: &str) -> Scenario {
    scenario::find(name).unwrap_or_else(|| panic!("there is no scenario {name}"))
}

/// The scenario as a build that is not optimised can run it: `scripts/check` runs the full rate.
pub fn affordable(mut scenario: Scenario) -> Scenario {
    if scenario.name == "long_outage" {
        // Enough for a backlog beyond the in-flight quota.
        scenario.traffic[0].rate_per_s = 3.0;
    }
    scenario
}

/// Runs a scenario, with the baseline beside it if asked for.
pub fn drill(scenario: &Scenario, seed: u64, baseline: bool) -> Told {
    let mut collector = Collector::default();
    let options = Options { baseline, ..Options::seeded(seed) };
    let report = run(scenario, options, &mut collector).expect("the scenario can be run");
    Told::new(report, collector)
}

/// Runs a scenario with a workflow that `tamper` changed, which is to change it.
pub fn tampered(scenario: &Scenario, seed: u64, tamper: &dyn Fn(&mut Value)) -> Told {
    let mut collector = Collector::default();
    let options = Options { baseline: false, ..Options::seeded(seed) };
    let changing = |definition: &mut Value| {
        let before = definition.clone();
        tamper(definition);
        assert_ne!(*definition, before, "the safeguard is where the test looks for it");
    };
    let report =
        run_tampered(scenario, options, &changing, &mut collector).expect("the machine can still be run");
    Told::new(report, collector)
}

/// Runs a scenario with a stack that `tamper` changed.
pub fn tampered_stack(scenario: &Scenario, seed: u64, tamper: &dyn Fn(&mut Value)) -> Told {
    let mut collector = Collector::default();
    let options = Options { baseline: false, ..Options::seeded(seed) };
    let report =
        run_tampered_stack(scenario, options, tamper, &mut collector).expect("the stack can still be run");
    Told::new(report, collector)
}

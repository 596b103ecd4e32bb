//! The swarm: drills whose scenario, traffic, configuration and faults are drawn from the seed.
//!
//! Each seed has a phase in which things go wrong, then everything is well, and the breaker has to converge within a
//! limit. All promises are checked.

mod draw;
mod fleet;

use std::collections::BTreeMap;

use crate::faults::FaultKind;
use crate::report::{Entry, Observer, Report};
use crate::run::{Options, RunError, run};
use crate::scenario::Scenario;
use crate::scribe::Tally;
use crate::sim::Time;

pub use self::draw::{HAS_WATCHDOG, needs_watchdog, scenario};
pub use self::fleet::{Fleet, Told};

/// What came of one seed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Its report.
    pub report: Report,
    /// Which corners it reached.
    pub reached: Reached,
}

/// Which corners were reached, how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Faults by the name of their kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// States of the workflow.
    pub states: BTreeMap<String, u64>,
    /// Announcements.
    pub announced: BTreeMap<String, u64>,
    /// Transitions of the circuit.
    pub transitions: BTreeMap<String, u64>,
}

impl Reached {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Reached) {
        fn add<K: Ord + Clone>(to: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
            for (key, count) in from {
                *to.entry(key.clone()).or_default() += count;
            }
        }
        add(&mut self.faults, &other.faults);
        add(&mut self.states, &other.states);
        add(&mut self.announced, &other.announced);
        add(&mut self.transitions, &other.transitions);
    }

    fn take(&mut self, tally: &Tally, faults: &[(FaultKind, u64)]) {
        self.faults.extend(faults.iter().map(|(kind, count)| (kind.name(), *count)));
        self.states.extend(tally.states.iter().map(|(state, count)| (state.to_string(), *count)));
        self.announced.extend(tally.announced.clone());
        self.transitions.extend(tally.transitions.clone());
    }
}

/// Runs one seed, and says what happens to `observer` as it happens.
///
/// # Errors
/// [`RunError`] when the drill could not begin.
pub fn run_seed(seed: u64, observer: &mut dyn Observer) -> Result<Outcome, RunError> {
    run_scenario(&scenario(seed), seed, observer)
}

/// Runs a scenario that somebody may have changed after it was drawn.
///
/// # Errors
/// [`RunError`] when the drill could not begin.
pub fn run_scenario(
    scenario: &Scenario,
    seed: u64,
    observer: &mut dyn Observer,
) -> Result<Outcome, RunError> {
    let mut watcher = Watcher { observer, reached: Reached::default() };
    let options = Options { baseline: false, ..Options::seeded(seed) };
    let report = run(scenario, options, &mut watcher)?;
    Ok(Outcome { seed, report, reached: watcher.reached })
}

struct Watcher<'a> {
    observer: &'a mut dyn Observer,
    reached: Reached,
}

impl Observer for Watcher<'_> {
    fn entry(&mut self, entry: &Entry) {
        self.observer.entry(entry);
    }

    fn progress(&mut self, start: Time, now: Time, end: Time) {
        self.observer.progress(start, now, end);
    }

    fn reached(&mut self, tally: &Tally, faults: &[(FaultKind, u64)]) {
        self.reached.take(tally, faults);
    }
}

/// What a seed draws, one line each, for people.
pub fn describe(scenario: &Scenario) -> Vec<String> {
    let circuit = &scenario.circuit;
    let mut lines = vec![
        format!("example    {:?}", circuit.example),
        format!("alarm      {:?}", circuit.alarm),
        format!("open       {:?}", circuit.open),
        format!("backoff    {:?}", circuit.backoff),
        format!("probe      {:?}", circuit.probe),
        format!("rejitter   {:?}", circuit.rejitter),
        format!("close      {:?}", circuit.close),
        format!("exhausted  {:?}", circuit.exhausted),
        format!("fault      {:?}", circuit.fault),
        format!("cloud      {:?}", scenario.knobs),
    ];
    for traffic in &scenario.traffic {
        let (from, until) = (traffic.from.as_secs(), traffic.until.as_secs());
        lines.push(format!("traffic    {from}-{until} s: {} per s, {:?}", traffic.rate_per_s, traffic.kind));
    }
    for (at, dependency) in &scenario.dependency {
        lines.push(format!("dependency {} s: {dependency:?}", at.as_secs()));
    }
    for (at, action) in &scenario.actions {
        lines.push(format!("action     {} s: {action:?}", at.as_secs()));
    }
    for (kind, rate) in &scenario.faults.rates_ppm {
        lines.push(format!("faults     {}: {:.1} %", kind.name(), f64::from(*rate) / 10_000.0));
    }
    lines.push(format!("faults     end at {} s", scenario.faults.until.as_secs()));
    lines
}

//! How long an outage is noticed after, and how long a recovery, by setting: many seeds of the scenario `outage` on the model.
//! `scripts/bench --recovery` builds and runs it. Times are the model's, so that they are the same on every machine.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use drill::report::{Entry, Observer, Topic};
use drill::scenario::{Action, Scenario, outage_of};
use drill::sim::Time;
use drill::{Options, run};

/// As the command `breaker` has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Seeds of each row unless `--seeds N` says otherwise.
const SEED_COUNT: u64 = 1_000;
/// Messages per second: enough for the alarm, few enough for thousands of drills.
const RATE_PER_S: f64 = 2.0;
const OUTAGE: Duration = Duration::from_secs(40 * 60);
/// When the dependency is well again, from the start of the drill.
const RECOVERED_AT: Duration = Duration::from_secs(45 * 60);

/// A row of the table: what differs from the defaults.
struct Row {
    what: &'static str,
    change: fn(&mut Scenario),
}

const ROWS: [Row; 7] = [
    Row { what: "the defaults", change: |_| {} },
    Row {
        what: "the dependency signals its recovery",
        change: |scenario| scenario.actions = vec![(RECOVERED_AT, Action::SignalRecovered)],
    },
    Row { what: "`backoff.cap_s = 60`", change: |scenario| scenario.circuit.backoff.cap_s = 60 },
    Row {
        what: "`ramp.concurrency_counts = []`",
        change: |scenario| scenario.circuit.ramp.concurrency_counts.clear(),
    },
    Row {
        what: "no ramp, and the dependency signals",
        change: |scenario| {
            scenario.circuit.ramp.concurrency_counts.clear();
            scenario.actions = vec![(RECOVERED_AT, Action::SignalRecovered)];
        },
    },
    Row {
        what: "an alarm of 1 of 1 periods",
        change: |scenario| {
            scenario.circuit.alarm.evaluation_periods_count = 1;
            scenario.circuit.alarm.datapoints_to_alarm_count = 1;
        },
    },
    Row {
        what: "an alarm of 3 of 5 periods",
        change: |scenario| {
            scenario.circuit.alarm.evaluation_periods_count = 5;
            scenario.circuit.alarm.datapoints_to_alarm_count = 3;
        },
    },
];

/// What one drill took, seconds.
#[derive(Clone, Copy)]
struct Took {
    /// From the first failure to the open circuit.
    detect_s: f64,
    /// From the recovery to the moment at which Lambda was asked to enable the mapping.
    asked_s: f64,
    /// From there to the first ordinary delivery: the mapping's transition.
    transition_s: f64,
    /// From the recovery to the close.
    closed_s: f64,
}

/// Takes note of the moments after the recovery.
#[derive(Default)]
struct Watch {
    recovered: Option<Time>,
    asked: Option<Time>,
    closed: Option<Time>,
}

impl Observer for Watch {
    fn entry(&mut self, entry: &Entry) {
        if entry.topic == Topic::Drill && entry.text.contains("the dependency is healthy") {
            self.recovered = Some(entry.at);
        }
        if self.recovered.is_none() {
            return;
        }
        let moment = match entry.topic {
            Topic::Mapping if entry.text.starts_with("Enabling") => &mut self.asked,
            Topic::Circuit if entry.text.contains("-> closed") => &mut self.closed,
            _ => return,
        };
        moment.get_or_insert(entry.at);
    }

    fn progress(&mut self, _start: Time, _now: Time, _end: Time) {}
}

/// Runs every row, and prints the table.
fn main() -> anyhow::Result<()> {
    let seed_count = seed_count()?;
    println!(
        "| Setting | Detected | Asked to enable | Mapping's transition | First delivery | Closed |\n|---|---|---|---|---|---|"
    );
    for Row { what, change } in ROWS {
        let mut scenario = outage_of(OUTAGE, RATE_PER_S);
        change(&mut scenario);
        let took = all(&scenario, seed_count)?;
        let column = |of: fn(&Took) -> f64| {
            let mut values: Vec<f64> = took.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
            format!("{} ({})", shown(at(0.5)), shown(at(0.95)))
        };
        println!(
            "| {what} | {} | {} | {} | {} | {} |",
            column(|took| took.detect_s),
            column(|took| took.asked_s),
            column(|took| took.transition_s),
            column(|took| took.asked_s + took.transition_s),
            column(|took| took.closed_s),
        );
    }
    Ok(())
}

fn shown(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.1} s") } else { format!("{seconds:.0} s") }
}

fn seed_count() -> anyhow::Result<u64> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(SEED_COUNT),
        ["--seeds", count] => match count.parse() {
            Ok(count @ 1..=1_000_000) => Ok(count),
            _ => bail!("--seeds is {count:?}; allowed are whole numbers from 1 to 1000000"),
        },
        _ => bail!("bench-recovery takes --seeds N and nothing else"),
    }
}

/// Every seed, side by side.
fn all(scenario: &Scenario, seed_count: u64) -> anyhow::Result<Vec<Took>> {
    let next = AtomicU64::new(1);
    let results = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > seed_count {
                return;
            }
            let took = one(scenario, seed).with_context(|| format!("seed {seed}"));
            results.lock().expect("nothing panics with the lock").push(took);
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    results.into_inner().expect("nothing panics with the lock").into_iter().collect()
}

fn one(scenario: &Scenario, seed: u64) -> anyhow::Result<Took> {
    let mut watch = Watch::default();
    // Outages do not begin with the minutes of a metric: each second of one has its turn.
    let late = Duration::from_secs(seed % 60);
    let mut scenario = scenario.clone();
    scenario.dependency.iter_mut().for_each(|(at, _)| *at += late);
    scenario.actions.iter_mut().for_each(|(at, _)| *at += late);
    let report = run(&scenario, Options { baseline: false, ..Options::seeded(seed) }, &mut watch)?;
    ensure!(report.exit_code() == 0, "the drill ended with {}", report.exit_code());
    let missing = "the drill has no such moment";
    let recovered = watch.recovered.context(missing)?;
    let since = |moment: Option<Time>| -> anyhow::Result<f64> {
        Ok(moment.context(missing)?.since(recovered).as_secs_f64())
    };
    let asked_s = since(watch.asked)?;
    Ok(Took {
        detect_s: report.detect_s.context(missing)?,
        asked_s,
        transition_s: report.recover_s.context(missing)? - asked_s,
        closed_s: since(watch.closed)?,
    })
}

//! `breaker drill swarm`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use drill::report::{Entry, Observer};
use drill::sim::{SIM_START, Time};
use drill::swarm::{self, Fleet, Outcome, Reached, Told};
use serde_json::{Value, json};

use crate::args::SwarmArgs;
use crate::commands::balance;
use crate::commands::drill_run::{Timeline, wall_clock};
use crate::exit::ExitCode;
use crate::printer::{Printer, paint};
use crate::problem::{Problem, Refusal};
use crate::text::{grouped, span};

/// Runs many seeds, or shows one.
pub fn run(args: &SwarmArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    let threads = args
        .threads
        .map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), |count| count as usize);
    let last = args.from.checked_add(args.seeds - 1).ok_or_else(|| {
        Problem::error(format!("{} seeds from {} end beyond the largest seed", args.seeds, args.from))
            .allowed(format!("seeds from 0 to {}", u64::MAX))
    })?;
    let command = format!("breaker drill swarm --seeds {} --from {}", args.seeds, args.from);
    let line = format!("seeds {} to {last} on {threads} threads, repeat with: {command}", args.from);
    if args.json {
        printer.note(&line)
    } else {
        printer.data(&line)
    }
    if args.timeline {
        if args.seeds != 1 {
            return Err(Problem::error("--timeline shows one seed")
                .hint(format!("breaker drill swarm --seeds 1 --from {} --timeline", args.from))
                .into());
        }
        return show(args.from, printer);
    }

    let stop = Arc::new(AtomicBool::new(false));
    listen(&stop)?;
    let started = wall_clock();
    printer.start_progress(!args.json, "starting");
    let mut sum = Sum::default();
    let fleet = Fleet { from: args.from, count: args.seeds, threads };
    let told = fleet.run(&stop, |seed, outcome| {
        if let Some(failure) = sum.take(seed, outcome) {
            if !args.json {
                failure.print(printer);
            }
            sum.failures.push(failure);
        }
        let (done, failed) = (sum.count, sum.failures.len());
        printer.progress_count(done, args.seeds, || {
            format!("{} of {} seeds, {failed} failed", grouped(done), grouped(args.seeds))
        });
        (sum.failures.len() as u64) < args.max_failures
    });
    printer.end_progress();
    let took_s = started.elapsed().as_secs_f64();
    if args.json {
        printer.data(&sum.as_json(args, took_s).to_string());
    } else {
        sum.print(took_s, threads, printer);
    }
    if stop.load(Ordering::Relaxed) && told < args.seeds {
        return Err(Problem::error(format!("interrupted after {told} of {} seeds", args.seeds))
            .hint(format!(
                "go on with: breaker drill swarm --seeds {} --from {}",
                args.seeds - told,
                args.from + told
            ))
            .into());
    }
    Ok(sum.exit_code())
}

/// Ctrl-C ends the run between two seeds, so that the bar is taken away and the sums are told. A second one ends it at
/// once.
fn listen(stop: &Arc<AtomicBool>) -> Result<(), Problem> {
    let cannot = |error: std::io::Error| Problem::caused("Ctrl-C cannot be listened to", &error);
    let interrupt = signal_hook::consts::SIGINT;
    signal_hook::flag::register_conditional_default(interrupt, Arc::clone(stop)).map_err(cannot)?;
    signal_hook::flag::register(interrupt, Arc::clone(stop)).map_err(cannot)?;
    Ok(())
}

/// Shows one seed: what it draws, what happens, how it ends.
fn show(seed: u64, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    let scenario = swarm::scenario(seed);
    let dimmed = Style::new().dimmed();
    for line in swarm::describe(&scenario) {
        printer.data(&paint(dimmed, &line));
    }
    printer.data("");
    let length = scenario.length;
    let mut timeline = Timeline { printer, start: SIM_START, length, shows_entries: true };
    let outcome = swarm::run_scenario(&scenario, seed, &mut Entries(&mut timeline))
        .map_err(|error| Problem::caused(format!("seed {seed} cannot run"), &error))?;
    balance::print(&outcome.report, false, printer);
    Ok(ExitCode::of_drill(&outcome.report))
}

/// The timeline without a bar.
struct Entries<'a, 'b>(&'a mut Timeline<'b>);

impl Observer for Entries<'_, '_> {
    fn entry(&mut self, entry: &Entry) {
        self.0.entry(entry);
    }

    fn progress(&mut self, _start: Time, _now: Time, _end: Time) {}
}

/// A seed that did not end well.
struct Failure {
    seed: u64,
    /// What is wrong: a promise's name, or how it did not converge; and the detail.
    what: Vec<(String, String)>,
    code: ExitCode,
}

impl Failure {
    fn of(outcome: &Outcome) -> Option<Failure> {
        let report = &outcome.report;
        let code = ExitCode::of_drill(report);
        let broken = report.promises.iter().filter(|promise| !promise.held);
        let mut what: Vec<(String, String)> =
            broken.map(|promise| (promise.name.to_owned(), promise.detail.clone())).collect();
        if !report.converged {
            what.push(("not_converged".to_owned(), report.not_converged.join("; ")));
        }
        (code != ExitCode::Done).then_some(Failure { seed: outcome.seed, what, code })
    }

    fn replay(&self) -> String {
        format!("breaker drill swarm --seeds 1 --from {} --timeline", self.seed)
    }

    fn print(&self, printer: &mut Printer) {
        let bad = AnsiColor::Red.on_default().bold();
        for (name, detail) in &self.what {
            printer.data(&format!("{}  {name}: {detail}", paint(bad, &format!("seed {}", self.seed))));
        }
        printer.data(&format!("  replay with: {}", self.replay()));
    }
}

/// The sums over all seeds.
#[derive(Default)]
struct Sum {
    count: u64,
    failures: Vec<Failure>,
    reached: Reached,
    tripped: u64,
    sent: u64,
    simulated: Duration,
}

impl Sum {
    /// Adds a seed; answers what is wrong with it.
    fn take(&mut self, seed: u64, told: Told) -> Option<Failure> {
        self.count += 1;
        let outcome = match told {
            Ok(outcome) => outcome,
            Err(error) => {
                let what = vec![("could_not_run".to_owned(), error)];
                return Some(Failure { seed, what, code: ExitCode::CannotRun });
            }
        };
        self.reached.add(&outcome.reached);
        self.tripped += u64::from(outcome.report.trips > 0);
        self.sent += outcome.report.sent;
        self.simulated += Duration::from_secs_f64(outcome.report.simulated_s);
        Failure::of(&outcome)
    }

    /// A seed that could not run outweighs a broken promise, and that one that did not converge.
    fn exit_code(&self) -> ExitCode {
        let codes = [ExitCode::CannotRun, ExitCode::PromiseBroken, ExitCode::NotConverged];
        codes
            .into_iter()
            .find(|code| self.failures.iter().any(|failure| failure.code == *code))
            .unwrap_or(ExitCode::Done)
    }

    fn print(&self, took_s: f64, threads: usize, printer: &mut Printer) {
        let bold = Style::new().bold();
        let each_ms = took_s * 1_000.0 * threads as f64 / (self.count.max(1) as f64);
        printer.data("");
        printer.data(&format!(
            "{} {} seeds in {took_s:.1} s, {each_ms:.1} ms each and thread; {} of simulated time, {} messages",
            paint(bold, "Swarm"),
            grouped(self.count),
            span(self.simulated.as_secs_f64()),
            grouped(self.sent),
        ));
        printer.data(&format!("  the circuit opened in {} seeds", grouped(self.tripped)));
        let reached = &self.reached;
        let faults = reached.faults.iter().map(|(name, count)| (*name, *count));
        columns("Faults", faults, printer);
        columns("Transitions", named(&reached.transitions), printer);
        columns("Announcements", named(&reached.announced), printer);
        columns("States of the workflow", named(&reached.states), printer);
        printer.data("");
        if self.failures.is_empty() {
            printer.data(&paint(AnsiColor::Green.on_default(), "every promise held in every seed"));
        } else {
            let text = format!("{} of {} seeds failed", self.failures.len(), grouped(self.count));
            printer.data(&paint(AnsiColor::Red.on_default().bold(), &text));
        }
    }

    fn as_json(&self, args: &SwarmArgs, took_s: f64) -> Value {
        let failure = |failure: &Failure| {
            let what: Vec<Value> =
                failure.what.iter().map(|(name, detail)| json!({ "name": name, "detail": detail })).collect();
            json!({ "seed": failure.seed, "broken": what, "replay": failure.replay() })
        };
        json!({
            "from": args.from,
            "seeds": self.count,
            "wall_s": (took_s * 1_000.0).round() / 1_000.0,
            "simulated_s": self.simulated.as_secs(),
            "sent": self.sent,
            "tripped_seeds": self.tripped,
            "failures": self.failures.iter().map(failure).collect::<Vec<_>>(),
            "faults": self.reached.faults,
            "transitions": self.reached.transitions,
            "announcements": self.reached.announced,
            "states": self.reached.states,
        })
    }
}

fn named(counts: &std::collections::BTreeMap<String, u64>) -> impl Iterator<Item = (&str, u64)> {
    counts.iter().map(|(name, count)| (name.as_str(), *count))
}

/// Names and counts, two columns.
fn columns<'a>(heading: &str, counts: impl Iterator<Item = (&'a str, u64)>, printer: &mut Printer) {
    printer.data("");
    printer.data(&paint(Style::new().bold(), heading));
    let counts: Vec<(&str, u64)> = counts.collect();
    for pair in counts.chunks(2) {
        let cells: Vec<String> =
            pair.iter().map(|(name, count)| format!("  {name:24}{:>12}", grouped(*count))).collect();
        printer.data(&cells.join("  "));
    }
}

//! `breaker drill run`, and `breaker drill` alone.

use std::path::Path;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use drill::report::{Entry, Observer, Report, Topic};
use drill::scenario::{self, Scenario};
use drill::sim::{SIM_START, Time};
use workflow::config::{AlarmConfig, AlarmSignal, BreakerConfig, CircuitConfig};

use crate::args::{On, RunOptions, Seed};
use crate::commands::drill_report::{Place, Recorder};
use crate::commands::{balance, drill_live};
use crate::config_file::{self, choose_circuit};
use crate::exit::ExitCode;
use crate::printer::{Printer, paint};
use crate::problem::{Problem, Refusal, nearest};
use crate::text::{clock, shell_word};

/// What `breaker drill` runs.
pub const DEFAULT_SCENARIO: &str = "outage";

/// Width of the topics' column.
const TOPIC_WIDTH: usize = 9;

/// Runs one scenario.
pub fn run(name: &str, options: &RunOptions, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    let scenario = scenario::find(name).ok_or_else(|| unknown_scenario(name))?;
    if options.live.on != On::Model {
        return drill_live::run(&scenario, options, printer);
    }
    if options.live.stack.is_some() {
        return Err(Problem::error("--stack is for drills on a deployed stack")
            .hint("say where it is: --on aws, or --on endpoint with --endpoint-url")
            .into());
    }
    let circuit = match &options.config {
        Some(path) => Some(configured(&scenario, path, options.circuit.as_deref(), printer)?),
        None => None,
    };
    let seed = match options.seed {
        Seed::Number(seed) => seed,
        Seed::Random => draw_seed()?,
    };
    let place = options.report.as_deref().map(Place::find).transpose()?;
    let command = repeat_command(&scenario, seed, options);
    announce(&scenario, seed, &command, options, printer);

    let started = wall_clock();
    let shows_timeline = !options.quiet && !options.json;
    // Nothing happens that could be shown until the other run is over.
    let first = if options.no_baseline { "starting" } else { "first the same with no breaker" };
    printer.start_progress(shows_timeline, first);
    let timeline =
        Timeline { printer, start: SIM_START, length: scenario.length, shows_entries: shows_timeline };
    let mut recorder = Recorder::new(timeline, place.is_some());
    let drill_options = drill::Options { seed, baseline: !options.no_baseline, circuit };
    let outcome = drill::run(&scenario, drill_options, &mut recorder);
    let mut report =
        outcome.map_err(|error| Problem::caused(format!("the drill {name} cannot run"), &error))?;
    report.wall_s = (started.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0;
    let page = place.as_ref().and_then(|_| recorder.page(&report, scenario.summary, &command));
    printer.end_progress();

    if options.json {
        printer.data(&serde_json::to_string(&report).expect("a report is plain data"));
    } else {
        balance::print(&report, !options.no_baseline, printer);
        if shows_timeline {
            hints(name, &report, printer);
        }
    }
    if let (Some(place), Some(page)) = (place, page) {
        let written = place.write(&page)?;
        printer.note(&format!("wrote {}", written.display()));
    }
    Ok(ExitCode::of_drill(&report))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that measures wall time; the drill's own time is virtual"
)]
pub(super) fn wall_clock() -> Instant {
    Instant::now()
}

fn draw_seed() -> Result<u64, Problem> {
    // 32 bits are plenty of courses, and short enough to be typed again.
    getrandom::u32().map(u64::from).map_err(|error| {
        Problem::caused("no random seed can be drawn", &error).hint("give a number: --seed 7")
    })
}

fn unknown_scenario(name: &str) -> Problem {
    let all = scenario::all();
    let names: Vec<&str> = all.iter().map(|scenario| scenario.name).collect();
    let hint = match nearest(name, names.iter().copied()) {
        Some(name) => format!("did you mean `{name}`? `breaker drill list` says what each is about"),
        None => "`breaker drill list` says what each is about".to_owned(),
    };
    Problem::error(format!("there is no scenario {name:?}")).allowed(names.join(", ")).hint(hint)
}

/// The scenario's circuit with the breaker's own settings from a file. Its queue and consumer stay those of the scenario,
/// which is about them.
fn configured(
    scenario: &Scenario,
    path: &Path,
    wanted: Option<&str>,
    printer: &mut Printer,
) -> Result<CircuitConfig, Refusal> {
    let config = config_file::load_file(path)?;
    let name = choose_circuit(config.circuits.keys(), wanted)?.to_owned();
    let given = config.circuits[&name].clone();
    let circuit = CircuitConfig {
        accept: scenario.circuit.accept.iter().chain(&given.accept).cloned().collect(),
        dependency: given.dependency,
        consumer: scenario.circuit.consumer.clone(),
        example: scenario.circuit.example.clone(),
        logs: scenario.circuit.logs.clone(),
        alarm: alarm_of_drill(scenario, given.alarm)?,
        open: given.open,
        backoff: given.backoff,
        probe: given.probe,
        rejitter: given.rejitter,
        close: given.close,
        ramp: given.ramp,
        retention: given.retention,
        redrive: given.redrive,
        exhausted: given.exhausted,
        fault: given.fault,
    };
    // What suits the file's consumer may not suit the scenario's, a FIFO queue for example.
    let findings = BreakerConfig::single(&name, circuit.clone()).validate();
    if findings.is_usable() {
        for warning in findings.warnings() {
            printer.problem(&warning.into());
        }
        return Ok(circuit);
    }
    let mut problems = vec![
        Problem::error(format!(
            "the settings of {} do not suit the scenario {}",
            path.display(),
            scenario.name
        ))
        .hint("each setting follows; the scenario brings its own queue and consumer"),
    ];
    problems.extend(findings.refusing().map(Problem::from));
    Err(Refusal(problems))
}

/// The alarm of a drill. An alarm that exists in an account does not exist in a drill, unless the scenario brings one.
fn alarm_of_drill(scenario: &Scenario, given: AlarmConfig) -> Result<AlarmConfig, Problem> {
    let own = &scenario.circuit.alarm;
    match (given.signal, own.signal) {
        (AlarmSignal::Existing, AlarmSignal::Existing) => Ok(own.clone()),
        (
            AlarmSignal::Existing,
            AlarmSignal::MappingEvents | AlarmSignal::FunctionErrors | AlarmSignal::FailedCount,
        ) => Err(Problem::error(format!("the scenario {} has no alarm that exists already", scenario.name))
            .allowed("the signals mapping-events, function-errors and failed-count")
            .hint(
                "drill the scenarios signal_existing_alarm and signal_composite_alarm, or try another signal",
            )),
        (AlarmSignal::MappingEvents | AlarmSignal::FunctionErrors | AlarmSignal::FailedCount, _) => Ok(given),
    }
}

/// The command that repeats the run.
fn repeat_command(scenario: &Scenario, seed: u64, options: &RunOptions) -> String {
    let mut command = format!("breaker drill run {} --seed {seed}", scenario.name);
    if let Some(path) = &options.config {
        command.push_str(&format!(" --config {}", shell_word(&path.to_string_lossy())));
    }
    if let Some(circuit) = &options.circuit {
        command.push_str(&format!(" --circuit {}", shell_word(circuit)));
    }
    if options.no_baseline {
        command.push_str(" --no-baseline");
    }
    command
}

/// Prints the seed before anything can go wrong, and the command that repeats the run.
fn announce(scenario: &Scenario, seed: u64, command: &str, options: &RunOptions, printer: &mut Printer) {
    let line = format!("seed {seed}, repeat with: {command}");
    if options.json {
        printer.note(&line);
    } else {
        printer.data(&line);
        printer.data(&format!("{}: {}", paint(Style::new().bold(), scenario.name), scenario.summary));
        if !options.quiet {
            printer.data("");
        }
    }
}

fn hints(name: &str, report: &Report, printer: &mut Printer) {
    match ExitCode::of_drill(report) {
        ExitCode::Done if name == DEFAULT_SCENARIO => {
            printer.hint(
                "`breaker drill list` shows the other scenarios, such as `breaker drill run long_outage`",
            );
            printer.hint("`--seed random` draws another course of events");
        }
        ExitCode::Done => printer.hint("`breaker drill list` shows the other scenarios"),
        ExitCode::PromiseBroken | ExitCode::NotConverged => {
            printer
                .hint("the same seed gives the same drill; the command that repeats it is in the first line");
        }
        ExitCode::NotAsWanted | ExitCode::CannotRun => {}
    }
}

/// Prints the timeline as it happens.
pub(super) struct Timeline<'a> {
    pub(super) printer: &'a mut Printer,
    pub(super) start: Time,
    pub(super) length: Duration,
    pub(super) shows_entries: bool,
}

impl Observer for Timeline<'_> {
    fn entry(&mut self, entry: &Entry) {
        if !self.shows_entries {
            return;
        }
        let at = paint(Style::new().dimmed(), &clock(entry.at - self.start, self.length));
        let topic = paint(topic_style(entry.topic), &format!("{:TOPIC_WIDTH$}", entry.topic.label()));
        self.printer.data(&format!("{at}  {topic}  {}", entry.text));
    }

    fn progress(&mut self, start: Time, now: Time, end: Time) {
        let (done, all) = (now - start, end - start);
        self.printer.progress(done, all, || format!("{} of {}", clock(done, all), clock(all, all)));
    }
}

fn topic_style(topic: Topic) -> Style {
    match topic {
        Topic::Drill => AnsiColor::Magenta.on_default().bold(),
        Topic::Alarm | Topic::DeadLetter | Topic::Queue => AnsiColor::Red.on_default(),
        Topic::Workflow | Topic::Event => Style::new().dimmed(),
        Topic::Circuit => AnsiColor::Yellow.on_default().bold(),
        Topic::Mapping | Topic::Rejitter => AnsiColor::Blue.on_default(),
        Topic::Wait => Style::new().dimmed(),
        Topic::Probe => AnsiColor::Cyan.on_default(),
    }
}

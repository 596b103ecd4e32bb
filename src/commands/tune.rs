//! `breaker tune`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anstyle::Style;
use drill::sim::Time;
use drill::tune::{Aim, Candidate, Line, Measure, Outcome, Profile, Setting, Value, tune};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[cfg(feature = "aws")]
use super::aws::traffic::from_cloudwatch;
use crate::args::TuneArgs;
use crate::config_file::{self, DEFAULT_FILE, choose_circuit};
use crate::exit::ExitCode;
use crate::input::read_text;
use crate::printer::{Printer, paint};
use crate::problem::{Problem, Refusal};
use crate::settings_file;
use crate::text::{dollars, grouped, span};

/// Lines of the trade-off that are printed; `--json` has all.
const SHOWN: usize = 8;

/// Tries settings on the model and says which are best.
pub fn run(args: &TuneArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    let path =
        args.config.clone().or_else(|| Path::new(DEFAULT_FILE).exists().then(|| PathBuf::from(DEFAULT_FILE)));
    if args.write && path.is_none() {
        return Err(Problem::error("--write has no file to write to")
            .allowed("a configuration named by --config, or breaker.toml in the current folder")
            .hint("`breaker init --function NAME` writes one for a consumer of yours")
            .into());
    }
    let config = config_file::load_quietly(args.config.as_deref(), printer)?;
    let name = choose_circuit(config.circuits.keys(), args.circuit.as_deref())?.to_owned();
    let circuit = config.circuits[&name].clone();
    let profile = match (&args.traffic, args.from_cloudwatch) {
        (Some(path), _) => profile(path)?,
        (None, Some(length)) => from_cloudwatch(&name, &circuit, length, &args.target, printer)?,
        (None, None) => Profile::steady(args.rate),
    };
    let aim = Aim {
        circuit,
        profile,
        outages: args.outages.clone(),
        base_error_percent: args.base_error_percent,
        seeds: args.seeds,
        threads: threads(args.threads),
    };
    if !args.json {
        describe(&name, &aim, printer);
    }
    printer.start_progress(false, "trying settings");
    let outcome = tune(&aim, |done, all| {
        printer.progress_count(done as u64, all as u64, || format!("{done} of {all} settings"));
    });
    printer.end_progress();
    let outcome =
        outcome.map_err(|error| Problem::caused(format!("the circuit {name} cannot be tuned"), &error))?;
    let changes = outcome.recommended.candidate.changes_from(&outcome.present.candidate);
    if args.json {
        printer.data(&as_json(&name, &aim, &outcome, &changes).to_string());
    } else {
        print(&outcome, &changes, printer);
    }
    match path.filter(|_| args.write) {
        Some(path) if !changes.is_empty() => {
            settings_file::write(&path, &name, &changes)?;
            printer.note(&format!("wrote {} into {}", counted(changes.len(), "setting"), path.display()));
            printer.hint("`breaker diff` shows what a deployment of it would change");
        }
        Some(path) => printer.note(&format!("{} is left as it is", path.display())),
        None if !args.json && !changes.is_empty() => {
            printer.hint("--write puts the recommended settings into the configuration");
        }
        None => {}
    }
    Ok(ExitCode::Done)
}

#[cfg(not(feature = "aws"))]
fn from_cloudwatch(
    _name: &str,
    _circuit: &workflow::config::CircuitConfig,
    _length: Duration,
    _target: &crate::args::TargetArgs,
    _printer: &mut Printer,
) -> Result<Profile, Refusal> {
    Err(Problem::without_aws("ask CloudWatch").into())
}

fn threads(given: Option<u16>) -> NonZeroUsize {
    let given = given.and_then(|count| NonZeroUsize::new(usize::from(count)));
    given.unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
}

/// A row of a traffic file.
#[derive(Deserialize)]
struct Row {
    time: String,
    messages: f64,
}

/// Reads a traffic file.
fn profile(path: &Path) -> Result<Profile, Problem> {
    let shown = path.display();
    let refuse = |problem: String| {
        Problem::error(format!("{shown} is no traffic file: {problem}"))
            .allowed(
                "CSV with the columns time (RFC 3339, or whole seconds) and messages (sent from then to the next row), in order \
                 of time",
            )
            .hint("docs/tuning.md shows how to get one from CloudWatch")
    };
    let text = read_text("the traffic file", path)?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for (number, row) in reader.deserialize().enumerate() {
        let Row { time, messages } = row.map_err(|error| refuse(error.to_string()))?;
        let seconds = time.parse::<i64>().ok().or_else(|| {
            let ms = Time::from_rfc3339(&time).ok()?.as_ms();
            i64::try_from(ms / 1_000).ok()
        });
        let seconds = seconds.ok_or_else(|| refuse(format!("row {} has the time {time:?}", number + 1)))?;
        rows.push((seconds, messages));
    }
    Profile::from_rows(&rows).map_err(|error| refuse(error.to_string()))
}

fn describe(name: &str, aim: &Aim, printer: &mut Printer) {
    let profile = &aim.profile;
    let outages: Vec<String> = aim.outages.iter().map(|length| span(length.as_secs_f64())).collect();
    printer.data(&format!(
        "circuit {name}: {} of {}, {:.1} messages per second on average",
        counted(profile.intervals_count(), "interval"),
        span(profile.interval().as_secs_f64()),
        profile.mean_per_s(),
    ));
    printer.data(&format!(
        "outages of {} where the traffic is busiest and where it is quietest; {} % of the invocations fail without an outage",
        outages.join(" and "),
        aim.base_error_percent,
    ));
    printer.data("");
}

fn print(outcome: &Outcome, changes: &[Setting], printer: &mut Printer) {
    let bold = Style::new().bold();
    let heading =
        table_line("", ["detect", "recover", "wasted", "cost", "false/day", "score"].map(str::to_owned), "");
    printer.data(&paint(Style::new().dimmed(), &heading));
    printer.data(&shown("present", &outcome.present));
    if !changes.is_empty() {
        printer.data(&paint(bold, &shown("recommended", &outcome.recommended)));
    }
    let others =
        outcome.lines.iter().filter(|line| **line != outcome.present && **line != outcome.recommended);
    for line in trade_off(others.collect()).into_iter().take(SHOWN) {
        printer.data(&shown("", line));
    }
    printer.data("");
    printer.data(&format!(
        "{} tried, {} not allowed for this circuit",
        counted(outcome.tried_count, "setting"),
        outcome.refused_count
    ));
    if changes.is_empty() {
        printer.data("nothing that was tried is clearly better than the present settings");
        return;
    }
    let now = outcome.present.candidate.clone();
    for setting in changes {
        let before = setting_of(&now, setting.path).map_or(String::new(), |value| format!("{value} -> "));
        printer.data(&format!("  {}.{}: {before}{}", setting.path.0, setting.path.1, setting.value));
    }
}

/// Lines than which no other is better in everything.
fn trade_off(lines: Vec<&Line>) -> Vec<&Line> {
    let numbers = |measure: &Measure| {
        [
            measure.detect_s,
            measure.recover_s,
            measure.wasted_invocations,
            measure.cost_usd,
            measure.false_trips_per_day,
            measure.missed_outages as f64,
        ]
    };
    let beats = |one: &Line, other: &Line| {
        let (one, other) = (numbers(&one.measure), numbers(&other.measure));
        one != other && one.iter().zip(other).all(|(one, other)| *one <= other)
    };
    lines.iter().copied().filter(|line| !lines.iter().any(|other| beats(other, line))).collect()
}

fn setting_of(candidate: &Candidate, path: (&str, &str)) -> Option<Value> {
    candidate.settings().into_iter().find(|setting| setting.path == path).map(|setting| setting.value)
}

fn shown(what: &str, line: &Line) -> String {
    let measure = &line.measure;
    let numbers = [
        span(measure.detect_s),
        span(measure.recover_s),
        grouped(measure.wasted_invocations.round() as u64),
        dollars(measure.cost_usd),
        format!("{:.1}", measure.false_trips_per_day),
        format!("{:.2}", measure.score),
    ];
    let missed = match measure.missed_outages {
        0 => String::new(),
        count => format!(" ({} missed)", counted(count as usize, "outage")),
    };
    table_line(what, numbers, &format!("{}{missed}", line.candidate))
}

fn table_line(
    what: &str,
    [detect, recover, wasted, cost, trips, score]: [String; 6],
    settings: &str,
) -> String {
    let line =
        format!("{what:12}{detect:>12}{recover:>13}{wasted:>10}{cost:>10}{trips:>11}{score:>7}  {settings}");
    line.trim_end().to_owned()
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(count as u64))
}

fn as_json(name: &str, aim: &Aim, outcome: &Outcome, changes: &[Setting]) -> serde_json::Value {
    #[derive(Serialize)]
    struct Told {
        settings: serde_json::Value,
        #[serde(flatten)]
        measure: Measure,
    }
    let told = |line: &Line| {
        let settings = as_map(&line.candidate.settings());
        json!(Told { settings, measure: line.measure })
    };
    json!({
        "circuit": name,
        "intervals_count": aim.profile.intervals_count(),
        "interval_s": aim.profile.interval().as_secs(),
        "mean_per_s": aim.profile.mean_per_s(),
        "outages_s": aim.outages.iter().map(Duration::as_secs).collect::<Vec<_>>(),
        "base_error_percent": aim.base_error_percent,
        "tried_count": outcome.tried_count,
        "refused_count": outcome.refused_count,
        "present": told(&outcome.present),
        "recommended": told(&outcome.recommended),
        "changes": as_map(changes),
        "lines": outcome.lines.iter().map(told).collect::<Vec<_>>(),
    })
}

fn as_map(settings: &[Setting]) -> serde_json::Value {
    let value = |value: Value| match value {
        Value::Whole(number) => json!(number),
        Value::Number(number) => json!(number),
    };
    settings
        .iter()
        .map(|setting| (format!("{}.{}", setting.path.0, setting.path.1), value(setting.value)))
        .collect()
}

//! A circuit's status as people read it.

use anstyle::{AnsiColor, Style};
use drill::sim::Time;
use workflow::status::{InCharge, LastProbe, Next, Status};

use crate::printer::paint;
use crate::text::{grouped, span};

/// Width of the answers' labels, columns.
pub const LABEL_WIDTH: usize = 11;

/// One answer.
pub struct Answer {
    /// What it answers, in a word or two.
    pub label: &'static str,
    /// The answer.
    pub text: String,
    /// Whether it says that something is not as it should be.
    pub is_warning: bool,
}

/// One circuit: a line that says the most, and below it one line for each answer.
pub fn block(status: &Status, now_ms: u64) -> String {
    let mut lines = vec![head(status, now_ms)];
    lines.extend(answers(status, now_ms).iter().map(|answer| {
        let label = paint(Style::new().dimmed(), &format!("{:<LABEL_WIDTH$}", answer.label));
        let text = match answer.is_warning {
            true => paint(AnsiColor::Yellow.on_default(), &answer.text),
            false => answer.text.clone(),
        };
        format!("  {label} {text}")
    }));
    lines.join("\n")
}

/// The answers that a circuit has: more of them while it is open.
pub fn answers(status: &Status, now_ms: u64) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut answer = |label: &'static str, text: String| {
        answers.push(Answer { label, text, is_warning: label == "warning" });
    };
    if status.is_open() {
        if let Some(why) = &status.why {
            answer("why", format!("{}: {}", why.trigger, why.reason));
        }
        answer("last probe", last_probe(status.last_probe.as_ref(), status.failed_probe_count, now_ms));
        answer("next", next(status.next, now_ms));
    } else if let Some(close) = &status.last_close {
        let by = close.by.as_ref().map_or(String::new(), |by| format!(", by {by}"));
        answer("last close", format!("{}{by}", close.reason));
    }
    answer("waiting", waiting(status));
    if status.is_open() {
        answer("time left", time_left(status.expires_at_ms, now_ms));
        answer("in charge", in_charge(&status.in_charge));
    }
    answer("mapping", status.mapping.clone().unwrap_or_else(|| "not known: it could not be read".to_owned()));
    for warning in &status.warnings {
        answer("warning", warning.clone());
    }
    answers
}

fn head(status: &Status, now_ms: u64) -> String {
    let colour = if status.is_open() { AnsiColor::Red } else { AnsiColor::Green };
    let state = paint(colour.on_default().bold(), status.state);
    format!("{}: {state}{}", status.circuit, since(status, now_ms))
}

/// What follows on the state: since when.
pub fn since(status: &Status, now_ms: u64) -> String {
    match status.since_ms {
        Some(since_ms) => format!(" since {}", ago(since_ms, now_ms)),
        None => ", never opened".to_owned(),
    }
}

/// What a probe said.
pub fn verdict(verdict: &str, error: Option<&str>) -> String {
    error.map_or_else(|| verdict.to_owned(), |error| format!("{verdict} ({error})"))
}

fn last_probe(probe: Option<&LastProbe>, failed_count: u64, now_ms: u64) -> String {
    let Some(probe) = probe else { return "none yet".to_owned() };
    format!(
        "{} at {}; {} failed so far",
        verdict(&probe.verdict, probe.error.as_deref()),
        ago(probe.at_ms, now_ms),
        grouped(failed_count)
    )
}

fn next(next: Next, now_ms: u64) -> String {
    match next {
        Next::Nothing => "nothing".to_owned(),
        Next::Opening => "the mapping is being disabled; then the first wait begins".to_owned(),
        Next::Probe { at_ms } => format!("a probe {}", in_time(at_ms, now_ms)),
        Next::Probing => "a probe is under way, or the backlog is being spread after it".to_owned(),
        Next::LimitedTraffic => {
            "live traffic at a small concurrency is being watched; then the mapping gets its own settings, or is disabled again"
                .to_owned()
        }
        Next::Restoring => "the mapping gets its settings back".to_owned(),
        Next::Release { at_ms } => format!("the hold ends {}; no probe before that", in_time(at_ms, now_ms)),
        Next::GivenUp => "nothing, until somebody acts".to_owned(),
    }
}

fn waiting(status: &Status) -> String {
    let Some(waiting) = status.waiting else { return "not known: the queue could not be read".to_owned() };
    format!(
        "{} messages ({} visible, {} in flight, {} delayed)",
        grouped(waiting.all()),
        grouped(waiting.visible_count),
        grouped(waiting.in_flight_count),
        grouped(waiting.delayed_count)
    )
}

fn time_left(expires_at_ms: Option<u64>, now_ms: u64) -> String {
    match expires_at_ms {
        Some(at_ms) => format!("the first message expires {}", in_time(at_ms, now_ms)),
        None => "not known: the queue's retention has not been read yet".to_owned(),
    }
}

fn in_charge(in_charge: &InCharge) -> String {
    let name = |arn: &str| arn.rsplit(':').next().unwrap_or(arn).to_owned();
    match in_charge {
        InCharge::Nobody => "nobody".to_owned(),
        InCharge::Execution { arn } => format!("execution {}", name(arn)),
        InCharge::EndedExecution { arn } => format!("nobody: execution {} has ended", name(arn)),
        InCharge::Operator { by, reason, arn } => {
            format!("{by}, who holds it: {reason} (execution {})", name(arn))
        }
    }
}

/// A moment that has been: when, and how long ago.
pub fn ago(at_ms: u64, now_ms: u64) -> String {
    format!("{}, {} ago", Time::from_ms(at_ms), span(now_ms.saturating_sub(at_ms) as f64 / 1_000.0))
}

/// A moment that is to come: how long until then, and when.
fn in_time(at_ms: u64, now_ms: u64) -> String {
    if at_ms <= now_ms {
        return format!("now: it was due at {}", Time::from_ms(at_ms));
    }
    format!("in {}, at {}", span((at_ms - now_ms) as f64 / 1_000.0), Time::from_ms(at_ms))
}

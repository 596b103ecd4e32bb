//! What a circuit's executions have on record, as one list of events, the newest first.

use serde_json::Value;
use workflow::events::Announcement;
use workflow::incidents::{Announced, Probe, Record};

use super::super::status_text::verdict;

/// Whether an event is for the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
    Neutral,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, milliseconds since the Unix epoch.
    pub at_ms: u64,
    pub tone: Tone,
    pub text: String,
}

/// The events of the records, the newest first.
pub fn events(records: &[Record]) -> Vec<Event> {
    let mut all: Vec<Event> = records.iter().flat_map(of_execution).collect();
    all.sort_by_key(|event| std::cmp::Reverse(event.at_ms));
    all
}

/// The events of one execution, in their order.
fn of_execution(record: &Record) -> Vec<Event> {
    /// One or the other, in order of time.
    enum Entry<'a> {
        Probe(&'a Probe),
        Announced(&'a Announced),
    }
    let probes = record.probes.iter().map(|probe| (probe.at_ms, Entry::Probe(probe)));
    let announced = record.announced.iter().map(|announced| (announced.at_ms, Entry::Announced(announced)));
    let mut entries: Vec<(u64, Entry<'_>)> = probes.chain(announced).collect();
    entries.sort_by_key(|(at_ms, _)| *at_ms);
    let mut events = Vec::new();
    let mut after_failed_probe = false;
    for (at_ms, entry) in entries {
        let (tone, text) = match &entry {
            Entry::Probe(probe) => of_probe(probe),
            // The probe itself has just said it; without one it was the health check, or limited traffic, that failed.
            Entry::Announced(announced)
                if announced.what == Announcement::ProbeFailed && after_failed_probe =>
            {
                after_failed_probe = false;
                continue;
            }
            Entry::Announced(announced) => of_announcement(announced),
        };
        after_failed_probe = matches!(entry, Entry::Probe(_)) && tone == Tone::Bad;
        events.push(Event { at_ms, tone, text });
    }
    events
}

fn of_probe(probe: &Probe) -> (Tone, String) {
    let tone = match probe.verdict.as_str() {
        "healthy" => Tone::Good,
        "unhealthy" | "failed" => Tone::Bad,
        _ => Tone::Neutral,
    };
    (tone, format!("probe: {}", verdict(&probe.verdict, probe.error.as_deref())))
}

fn of_announcement(announced: &Announced) -> (Tone, String) {
    let told = |name: &str| match &announced.detail[name] {
        Value::String(text) if text != "none" => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let (tone, fields): (Tone, &[&str]) = match announced.what {
        Announcement::Opened => (Tone::Bad, &["trigger", "reason"]),
        Announcement::ProbeFailed => (Tone::Bad, &["error"]),
        Announcement::HalfOpened | Announcement::Overruled => (Tone::Neutral, &[]),
        Announcement::Closed => (Tone::Good, &["close_reason", "closed_by"]),
        Announcement::Exhausted => (Tone::Bad, &["error", "then"]),
        Announcement::Faulted => (Tone::Bad, &["state", "error", "then"]),
        Announcement::RetentionAtRisk => (Tone::Bad, &[]),
        Announcement::RetentionRaise | Announcement::RetentionRestore => (Tone::Neutral, &["outcome"]),
        Announcement::Held => (Tone::Neutral, &["held_by", "reason"]),
        Announcement::Released => (Tone::Neutral, &["by"]),
        Announcement::MappingDisabled | Announcement::SignalBlind => (Tone::Bad, &["reason"]),
    };
    let name = announced.what.detail_type();
    let name = name.strip_prefix("Circuit ").unwrap_or(name).to_lowercase();
    let mut parts: Vec<String> = fields.iter().filter_map(|name| told(name)).collect();
    if let Some(percent) = told("percent") {
        parts.push(format!("{percent} % of the time is over"));
    }
    let text = if parts.is_empty() { name } else { format!("{name}: {}", parts.join(", ")) };
    (tone, text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn announced(at_ms: u64, what: Announcement, detail: Value) -> Announced {
        Announced { at_ms, what, detail }
    }

    fn probe(at_ms: u64, verdict: &str, error: Option<&str>) -> Probe {
        Probe { at_ms, verdict: verdict.to_owned(), error: error.map(str::to_owned) }
    }

    fn shown(records: &[Record]) -> Vec<String> {
        events(records)
            .iter()
            .map(|event| format!("{} {:?} {}", event.at_ms, event.tone, event.text))
            .collect()
    }

    #[test]
    fn a_failed_probe_and_its_announcement_are_one_event() {
        let record = Record {
            execution: "a".to_owned(),
            announced: vec![
                announced(10, Announcement::Opened, json!({ "trigger": "alarm", "reason": "R" })),
                announced(21, Announcement::ProbeFailed, json!({ "error": "E", "failed_probe_count": 1 })),
                announced(30, Announcement::ProbeFailed, json!({ "error": "Unhealthy" })),
                announced(
                    50,
                    Announcement::Closed,
                    json!({ "close_reason": "recovered", "closed_by": "none" }),
                ),
            ],
            probes: vec![probe(20, "unhealthy", Some("E")), probe(40, "healthy", None)],
        };
        let expected = [
            "50 Good closed: recovered",
            "40 Good probe: healthy",
            "30 Bad probe failed: Unhealthy",
            "20 Bad probe: unhealthy (E)",
            "10 Bad opened: alarm, R",
        ];
        assert_eq!(shown(&[record]), expected);
    }

    #[test]
    fn executions_are_told_in_the_order_of_time() {
        let record = |at_ms| Record {
            execution: "a".to_owned(),
            announced: vec![announced(at_ms, Announcement::RetentionAtRisk, json!({ "percent": 50 }))],
            probes: Vec::new(),
        };
        let expected = ["9", "7"].map(|at| format!("{at} Bad retention at risk: 50 % of the time is over"));
        assert_eq!(shown(&[record(7), record(9)]), expected);
    }
}

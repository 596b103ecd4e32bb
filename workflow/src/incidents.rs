//! A circuit's incidents, from what its executions announced and what its probes answered.
//!
//! An incident may be the work of several executions: a long one hands over, a dead one is taken over. All of them
//! announce the moment at which the circuit was opened, and by that they belong together.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::circuit::{CircuitState, item};
use crate::events::Announcement;

/// What one execution has on record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Name of the execution.
    pub execution: String,
    /// What it announced, in its order.
    pub announced: Vec<Announced>,
    /// What its probes answered, in their order.
    pub probes: Vec<Probe>,
}

/// One announcement.
#[derive(Clone, Debug, PartialEq)]
pub struct Announced {
    /// When, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What.
    pub what: Announcement,
    /// The event's detail.
    pub detail: Value,
}

/// One probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// When its answer came, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// [`crate::contract::ProbeAnswer::name`], or `failed` when the function gave no answer.
    pub verdict: String,
    /// Name of the consumer's error, or of the function's.
    pub error: Option<String>,
}

/// The time from an opening to its close.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Incident {
    /// When the circuit was opened, milliseconds since the Unix epoch.
    pub opened_at_ms: u64,
    /// When it was closed, milliseconds since the Unix epoch; absent while it is open, and where that is not on record.
    pub closed_at_ms: Option<u64>,
    /// Whether the circuit's item says that it is open by this incident.
    pub is_open: bool,
    /// Who asked for the trip: `alarm`, `operator`, `reconciler` or `event`.
    pub trigger: Option<String>,
    /// Why, in their words.
    pub reason: Option<String>,
    /// [`crate::circuit::CloseReason::name`].
    pub close_reason: Option<String>,
    /// Who held it and why, in their words; each hold once.
    pub holds: Vec<String>,
    /// Failed probes, with health checks and limited traffic that failed.
    pub failed_probe_count: u64,
    /// Answers of probes.
    pub probes: Vec<Probe>,
    /// What became of the messages that waited.
    pub messages: Messages,
    /// Names of the executions that worked on it, in their order.
    pub executions: Vec<String>,
}

/// Messages that an incident affected, as far as the breaker touched them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Messages {
    /// Spread over time at the close; those that were not arrived at once.
    pub spread_count: u64,
    /// Not spread although they were to be.
    pub unspread_count: u64,
    /// Full copies in place of originals whose last receive the breaker used.
    pub copied_count: u64,
    /// Ids of those that failed a probe when others succeeded, at most 10.
    pub suspect_ids: Vec<String>,
}

impl Incident {
    fn at(opened_at_ms: u64) -> Incident {
        Incident {
            opened_at_ms,
            closed_at_ms: None,
            is_open: false,
            trigger: None,
            reason: None,
            close_reason: None,
            holds: Vec::new(),
            failed_probe_count: 0,
            probes: Vec::new(),
            messages: Messages::default(),
            executions: Vec::new(),
        }
    }

    /// How long it lasted, or has lasted until `now_ms`, seconds; absent where its end is not on record.
    pub fn lasted_s(&self, now_ms: u64) -> Option<u64> {
        let until_ms = self.closed_at_ms.or_else(|| self.is_open.then_some(now_ms))?;
        Some(until_ms.saturating_sub(self.opened_at_ms) / 1_000)
    }

    fn add(&mut self, record: Record) {
        for announced in record.announced {
            self.hear(&announced);
        }
        self.probes.extend(record.probes);
        // Where the endpoint keeps no record of what was announced, the answers say as much.
        let unhealthy = self.probes.iter().filter(|probe| probe.verdict == "unhealthy").count() as u64;
        self.failed_probe_count = self.failed_probe_count.max(unhealthy);
        self.executions.push(record.execution);
    }

    fn hear(&mut self, announced: &Announced) {
        let detail = &announced.detail;
        let text = |name: &str| detail[name].as_str().map(str::to_owned);
        if let Some(count) = detail["failed_probe_count"].as_u64() {
            self.failed_probe_count = self.failed_probe_count.max(count);
        }
        match announced.what {
            // Whoever takes over announces it again, with a trigger and a reason of its own.
            Announcement::Opened => {
                self.trigger = self.trigger.take().or_else(|| text("trigger"));
                self.reason = self.reason.take().or_else(|| text("reason"));
            }
            Announcement::Held => {
                let held = format!(
                    "{}: {}",
                    text("held_by").unwrap_or_default(),
                    text("reason").unwrap_or_default()
                );
                if !self.holds.contains(&held) {
                    self.holds.push(held);
                }
            }
            Announcement::Closed => {
                self.closed_at_ms = Some(announced.at_ms);
                self.close_reason = text("close_reason");
                self.messages = messages(detail);
            }
            _ => {}
        }
    }
}

fn messages(detail: &Value) -> Messages {
    let progress = &detail["spread"]["progress"];
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    let ids = detail["suspect_message_ids"].as_array().into_iter().flatten();
    Messages {
        spread_count: count(&progress["moved_count"]),
        unspread_count: count(&progress["failed_count"]),
        copied_count: count(&detail["copies_count"]) + count(&progress["copied_count"]),
        suspect_ids: ids.filter_map(Value::as_str).map(str::to_owned).collect(),
    }
}

/// The incidents, the newest first, from the records of a circuit's executions and its item (strings and numbers as text).
/// Executions that opened nothing, because somebody else was in charge, leave no trace.
pub fn incidents(mut records: Vec<Record>, item: &BTreeMap<String, String>) -> Vec<Incident> {
    records.sort_by_key(first_ms);
    let mut found: BTreeMap<u64, Incident> = BTreeMap::new();
    let number = |name: &str| item.get(name).and_then(|text| text.parse::<u64>().ok());
    let owner = item.get(item::OWNER).and_then(|arn| arn.rsplit(':').next());
    let last_ms = number(item::OPENED_AT_MS);
    for record in records {
        // The owner may not have announced anything yet.
        let owned = last_ms.filter(|_| owner == Some(record.execution.as_str()));
        if let Some(opened_at_ms) = opened_at_ms(&record).or(owned) {
            found.entry(opened_at_ms).or_insert_with(|| Incident::at(opened_at_ms)).add(record);
        }
    }
    if let Some(opened_at_ms) = last_ms {
        finish(found.entry(opened_at_ms).or_insert_with(|| Incident::at(opened_at_ms)), item);
    }
    found.into_values().rev().collect()
}

/// Adds to the last incident what the circuit's item knows and no execution announced.
fn finish(last: &mut Incident, item: &BTreeMap<String, String>) {
    let text = |name: &str| item.get(name).cloned();
    let state = item.get(item::STATE).and_then(|name| CircuitState::from_name(name));
    last.is_open = state.is_some_and(|state| state != CircuitState::Closed);
    last.trigger = last.trigger.take().or_else(|| text(item::TRIGGER));
    last.reason = last.reason.take().or_else(|| text(item::REASON));
    if last.is_open {
        // Restored, and taken back: what was announced before it does not hold any more.
        last.closed_at_ms = None;
        last.close_reason = None;
    } else {
        let closed_at_ms = item.get(item::CLOSED_AT_MS).and_then(|text| text.parse().ok());
        last.closed_at_ms = closed_at_ms.filter(|at_ms| *at_ms >= last.opened_at_ms).or(last.closed_at_ms);
        last.close_reason = last.close_reason.take().or_else(|| text(item::CLOSE_REASON));
    }
}

/// When the circuit was opened by the incident that the execution worked on.
fn opened_at_ms(record: &Record) -> Option<u64> {
    record.announced.iter().find_map(|announced| announced.detail["opened_at_ms"].as_u64())
}

fn first_ms(record: &Record) -> u64 {
    record.announced.first().map_or(u64::MAX, |announced| announced.at_ms)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(execution: &str, announced: &[(u64, Announcement, Value)]) -> Record {
        let announced = announced.iter().map(|(at_ms, what, detail)| Announced {
            at_ms: *at_ms,
            what: *what,
            detail: detail.clone(),
        });
        Record { execution: execution.to_owned(), announced: announced.collect(), probes: Vec::new() }
    }

    fn item(attributes: &[(&str, &str)]) -> BTreeMap<String, String> {
        attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn opened(at_ms: u64, opened_at_ms: u64, trigger: &str) -> (u64, Announcement, Value) {
        let detail = json!({ "opened_at_ms": opened_at_ms, "trigger": trigger, "reason": "R" });
        (at_ms, Announcement::Opened, detail)
    }

    fn closed(at_ms: u64, opened_at_ms: u64) -> (u64, Announcement, Value) {
        let spread = json!({ "progress": { "moved_count": 40, "copied_count": 2, "failed_count": 1 } });
        let detail = json!({
            "opened_at_ms": opened_at_ms, "close_reason": "recovered", "failed_probe_count": 4,
            "copies_count": 1, "suspect_message_ids": ["m-1"], "spread": spread,
        });
        (at_ms, Announcement::Closed, detail)
    }

    #[test]
    fn what_several_executions_did_is_one_incident() {
        let failed = (5_000, Announcement::ProbeFailed, json!({ "failed_probe_count": 3 }));
        let first = record("a", &[opened(2_000, 1_000, "alarm"), failed]);
        let second = record("b", &[opened(9_000, 1_000, "reconciler"), closed(61_000, 1_000)]);
        let found = incidents(vec![second, first], &item(&[]));
        assert_eq!(found.len(), 1, "{found:#?}");
        let one = &found[0];
        assert_eq!(one.executions, ["a", "b"]);
        assert_eq!(one.trigger.as_deref(), Some("alarm"), "the first to open it says why");
        assert_eq!((one.failed_probe_count, one.lasted_s(0)), (4, Some(60)));
        let expected = Messages {
            spread_count: 40,
            unspread_count: 1,
            copied_count: 3,
            suspect_ids: vec!["m-1".to_owned()],
        };
        assert_eq!(one.messages, expected);
    }

    #[test]
    fn the_newest_comes_first_and_who_joined_leaves_no_trace() {
        let old = record("a", &[opened(2_000, 1_000, "alarm"), closed(9_000, 1_000)]);
        let new = record("b", &[opened(52_000, 51_000, "event"), closed(59_000, 51_000)]);
        let found = incidents(vec![old, record("c", &[]), new], &item(&[]));
        let opened: Vec<u64> = found.iter().map(|one| one.opened_at_ms).collect();
        assert_eq!(opened, [51_000, 1_000]);
    }

    #[test]
    fn the_item_tells_what_nobody_announced() {
        let base = [(item::OPENED_AT_MS, "1000"), (item::OWNER, "arn:x:a"), (item::TRIGGER, "operator")];
        let open = incidents(vec![record("a", &[])], &item(&[&base[..], &[(item::STATE, "open")]].concat()));
        assert!(open[0].is_open && open[0].executions == ["a"], "{open:#?}");
        assert_eq!((open[0].trigger.as_deref(), open[0].lasted_s(31_000)), (Some("operator"), Some(30)));

        let rest = [(item::STATE, "closed"), (item::CLOSED_AT_MS, "9000"), (item::CLOSE_REASON, "overruled")];
        let shut = incidents(vec![record("a", &[])], &item(&[&base[..], &rest[..]].concat()));
        assert!(!shut[0].is_open);
        assert_eq!((shut[0].close_reason.as_deref(), shut[0].lasted_s(0)), (Some("overruled"), Some(8)));
    }

    #[test]
    fn an_end_that_is_not_on_record_has_no_length() {
        let lost = record("a", &[opened(2_000, 1_000, "alarm")]);
        let found = incidents(vec![lost], &item(&[(item::OPENED_AT_MS, "70000"), (item::STATE, "open")]));
        assert_eq!((found[1].opened_at_ms, found[1].lasted_s(99_000)), (1_000, None));
        assert!(!found[1].is_open && found[0].is_open);
    }
}

//! What an operator would want to see of the circuit's item, of the functions' answers and of the dependency, in the
//! same words whether it happens in the model or on a deployed stack.

use std::time::Duration;

use serde_json::Value;
use workflow::circuit::{CircuitState, item};
use workflow::contract::FunctionKind;

use crate::checkers::Observation;
use crate::report::Topic;
use crate::scenario::Dependency;
use crate::scribe::{Scribe, Tally};
use crate::sim::Time;

/// Longest delay of a message, seconds.
const LONGEST_DELAY_S: u64 = 900;

impl Scribe {
    /// The dependency behaves differently from now on.
    pub fn dependency_changed(&mut self, at: Time, dependency: Dependency) {
        let text = match dependency {
            Dependency::Healthy => "the dependency is healthy: SHOULD_ERROR=false".to_owned(),
            Dependency::Failing => "the dependency is down: SHOULD_ERROR=true".to_owned(),
            Dependency::Flaky(percent) => format!("the dependency refuses {percent} % of the invocations"),
            Dependency::Hanging => "the dependency hangs: invocations run into their timeout".to_owned(),
        };
        self.course.dependency_is(at, dependency);
        self.write(at, Topic::Drill, text);
        self.observe(at, &Observation::DependencyChanged { healthy: dependency == Dependency::Healthy });
        if dependency == Dependency::Healthy {
            self.milestones.recovered = Some(at);
            self.milestones.first_delivery = None;
            self.arrivals.recovered(at, self.books.next_number(), self.books.balance().still_queued);
        }
    }

    /// A mapping changes its state: in the service's words, and with what limit of its concurrency.
    pub fn mapping_changed(&mut self, at: Time, state: &str, maximum_concurrency: Option<u32>, text: String) {
        self.course.mapping_is(at, state, maximum_concurrency);
        self.note(at, Topic::Mapping, text);
    }

    /// The circuit's item was written by an execution; items in DynamoDB's JSON.
    pub fn item_changed(&mut self, at: Time, by: &str, before: Option<&Value>, after: &Value) {
        if let (Some(epoch), Some(owner)) = (attribute(after, item::EPOCH), attribute(after, item::OWNER)) {
            let epoch = epoch.parse().unwrap_or_default();
            self.observe(at, &Observation::ItemWritten { by, epoch, owner: &owner });
        }
        self.observe(at, &Observation::Kept { place: "the circuit's item", value: after });
        let state_of = |item: Option<&Value>| {
            let name = item.and_then(|item| attribute(item, item::STATE));
            name.unwrap_or_else(|| CircuitState::Closed.name().to_owned())
        };
        let (was, is) = (state_of(before), state_of(Some(after)));
        let epoch_of = |item: Option<&Value>| item.and_then(|item| attribute(item, item::EPOCH));
        // A closed circuit is claimed too, by who gives a retention back.
        let opened = is != CircuitState::Closed.name() && epoch_of(before) != epoch_of(Some(after));
        if was != is || opened {
            let epoch = epoch_of(Some(after)).unwrap_or_default();
            let reason = attribute(after, item::CLOSE_REASON).filter(|_| is == CircuitState::Closed.name());
            let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
            Tally::count(&mut self.tally.transitions, format!("{was} -> {is}").as_str());
            self.note(at, Topic::Circuit, format!("{was} -> {is} (epoch {epoch}){reason}"));
            self.observe(at, &Observation::Circuit(&is));
        }
        if opened && was == CircuitState::Closed.name() {
            self.counts.trips += 1;
            self.milestones.claimed.get_or_insert(at);
        }
        let until_of =
            |item: &Value| attribute(item, item::WAIT_UNTIL_MS).and_then(|ms| ms.parse::<u64>().ok());
        if let Some(until) = until_of(after).filter(|until| before.and_then(until_of) != Some(*until)) {
            self.observe(at, &Observation::Waiting { until: Time::from_ms(until) });
            let wait_s = until.saturating_sub(at.as_ms()).div_ceil(1000);
            let failed = attribute(after, item::FAILED_PROBES).unwrap_or_default();
            self.note(at, Topic::Wait, format!("{wait_s} s until the next probe ({failed} failed so far)"));
        }
    }

    /// One of the breaker's functions answered, or failed with an error's name.
    pub fn answered(&mut self, at: Time, kind: FunctionKind, answer: Result<&Value, &str>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.note(at, Topic::Workflow, format!("{} function: {error}", kind.name()));
                return;
            }
        };
        match kind {
            FunctionKind::Probe => {
                let text = verdict(answer);
                let name = answer.get("verdict").and_then(Value::as_str).unwrap_or_default();
                self.course.probed(at, name, &text);
                self.note(at, Topic::Probe, text);
            }
            FunctionKind::Rejitter => {
                let progress = |field: &str| progress(answer, field);
                let from = Time::from_ms(progress("spread_from_ms"));
                let until = from + Duration::from_secs(spread_s(answer));
                let shared = progress("share_count") > 1;
                if !is_plan(answer) {
                    self.course.spread(at, from, until, progress("moved_count"), shared);
                }
                self.note(at, Topic::Rejitter, spread(answer));
            }
            FunctionKind::Reconciler => {
                let done =
                    answer.get("done").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                let done: Vec<&str> = done.iter().filter_map(Value::as_str).collect();
                if !done.is_empty() {
                    self.note(at, Topic::Workflow, format!("reconciler: {}", done.join(", ")));
                }
            }
            FunctionKind::Signal => {
                for one in answer.get("circuits").and_then(Value::as_array).into_iter().flatten() {
                    let of = |field: &str| one.get(field).map(plain).unwrap_or_default();
                    self.note(at, Topic::Workflow, format!("signal at {}: {}", of("circuit"), of("outcome")));
                }
            }
            FunctionKind::Mapping | FunctionKind::Queue | FunctionKind::Consumer => {}
        }
    }
}

fn verdict(answer: &Value) -> String {
    let of = |field: &str| answer.get(field).map(plain).unwrap_or_default();
    let verdict = of("verdict");
    let detail = match verdict.as_str() {
        "unhealthy" => format!(": {}", of("error")),
        "none_visible" => format!(": {} in flight, {} delayed", of("in_flight_count"), of("delayed_count")),
        "overruled" => format!(": the mapping is {}", of("state")),
        _ => String::new(),
    };
    format!("{verdict}{detail}")
}

/// Whether the function has said only how it would spread.
fn is_plan(answer: &Value) -> bool {
    answer["done"] == false
        && ["moved_count", "failed_count"].iter().all(|field| progress(answer, field) == 0)
}

fn spread(answer: &Value) -> String {
    let progress = |field: &str| progress(answer, field);
    let strategy = answer.pointer("/progress/strategy").map(plain).unwrap_or_default();
    if is_plan(answer) {
        return format!("planned: the backlog is to arrive over {} s by {strategy}", spread_s(answer));
    }
    format!(
        "{} messages spread over {} s by {strategy}, {} copied at their last receive",
        progress("moved_count"),
        spread_s(answer),
        progress("copied_count"),
    )
}

/// Over how long the backlog arrives, seconds.
fn spread_s(answer: &Value) -> u64 {
    let window_s =
        progress(answer, "spread_until_ms").saturating_sub(progress(answer, "spread_from_ms")) / 1000;
    // A delay has a longest value, however long the window is.
    let requeues = answer.pointer("/progress/strategy").and_then(Value::as_str) == Some("requeue");
    if requeues { window_s.min(LONGEST_DELAY_S) } else { window_s }
}

/// A number of what a re-jitter's answer says of its progress.
fn progress(answer: &Value, field: &str) -> u64 {
    answer.pointer(&format!("/progress/{field}")).and_then(Value::as_u64).unwrap_or_default()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A string or number attribute of an item in DynamoDB's JSON.
pub fn attribute(item: &Value, name: &str) -> Option<String> {
    let value = item.get(name)?;
    value.get("S").or_else(|| value.get("N")).and_then(Value::as_str).map(str::to_owned)
}

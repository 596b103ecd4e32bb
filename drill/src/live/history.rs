//! What the executions of the workflow have on record. Each look reads what is new.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_sfn::types::HistoryEvent;
use serde_json::Value;
use workflow::contract::FunctionKind;
use workflow::events::Announcement;

use super::error::call;
use super::{Clients, LiveError};
use crate::sim::Time;

/// Executions that are listed in one call, the newest.
const LISTED_COUNT: i32 = 20;

/// Events that are read in one call.
const PAGE_COUNT: i32 = 500;

/// Pages of one execution's history that are read at most: all of the 25,000 events that it can have.
const MAX_PAGE_COUNT: usize = 50;

/// Something on record.
#[derive(Debug)]
pub(super) struct Told {
    /// When, by the service's clock.
    pub(super) at: Time,
    /// What.
    pub(super) what: What,
}

/// What is on record.
#[derive(Debug)]
pub(super) enum What {
    /// An execution started.
    Started {
        /// Its name.
        name: String,
        /// Who asked for it.
        by: String,
    },
    /// An execution ended.
    Ended {
        /// Its name.
        name: String,
        /// How, in the service's words.
        status: String,
    },
    /// A state was entered that announces something.
    Announcing(Announcement),
    /// A state was entered that enables the mapping.
    Enabling,
    /// One of the breaker's functions answered, or failed with an error's name.
    Answered(FunctionKind, Result<Value, String>),
    /// A text that the history keeps.
    Kept(Value),
}

/// The executions of a drill.
#[derive(Debug)]
pub(super) struct History {
    state_machine_arn: String,
    /// Executions that were there before the drill.
    older: BTreeSet<String>,
    executions: BTreeMap<String, Execution>,
}

/// How far one execution has been read.
#[derive(Debug, Default)]
struct Execution {
    last_event_id: i64,
    /// The function that the current state calls.
    calls: Option<FunctionKind>,
    ended: bool,
}

impl History {
    /// Takes note of the executions that are there already.
    pub(super) async fn begin(clients: &Clients, state_machine_arn: &str) -> Result<History, LiveError> {
        let mut history = History {
            state_machine_arn: state_machine_arn.to_owned(),
            older: BTreeSet::new(),
            executions: BTreeMap::new(),
        };
        history.older = history.list(clients).await?.into_iter().collect();
        Ok(history)
    }

    /// Whether an execution runs, as far as it has been read.
    pub(super) fn running(&self) -> bool {
        self.executions.values().any(|execution| !execution.ended)
    }

    /// What is new, execution by execution, each in its order.
    pub(super) async fn read(&mut self, clients: &Clients) -> Result<Vec<Told>, LiveError> {
        let mut told = Vec::new();
        for arn in self.list(clients).await? {
            if self.older.contains(&arn) || self.executions.get(&arn).is_some_and(|one| one.ended) {
                continue;
            }
            let execution = self.executions.entry(arn.clone()).or_default();
            for event in new_events(clients, &arn, execution.last_event_id).await? {
                execution.last_event_id = event.id();
                execution.take(&event, name_of(&arn), &mut told);
            }
        }
        Ok(told)
    }

    async fn list(&self, clients: &Clients) -> Result<Vec<String>, LiveError> {
        let request = clients.sfn.list_executions().state_machine_arn(&self.state_machine_arn);
        let answer = request.max_results(LISTED_COUNT).send().await;
        let answer = answer.map_err(|error| call("ListExecutions", &error))?;
        Ok(answer.executions().iter().map(|one| one.execution_arn().to_owned()).collect())
    }
}

impl Execution {
    fn take(&mut self, event: &HistoryEvent, name: &str, told: &mut Vec<Told>) {
        let at = Time::from_ms(u64::try_from(event.timestamp().to_millis().unwrap_or_default()).unwrap_or(0));
        let mut tell = |what: What| told.push(Told { at, what });
        for text in texts(event) {
            tell(What::Kept(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))));
        }
        if let Some(started) = event.execution_started_event_details() {
            let input: Option<Value> = started.input().and_then(|text| serde_json::from_str(text).ok());
            let by = input.as_ref().and_then(|input| input.get("trigger")).and_then(Value::as_str);
            tell(What::Started { name: name.to_owned(), by: by.unwrap_or("?").to_owned() });
        }
        if let Some(entered) = event.state_entered_event_details() {
            self.calls = called_by(entered.name());
            if let Some(what) = announced_by(entered.name()) {
                tell(What::Announcing(what));
            }
            if ["RestoreMappings", "LimitMappings"].contains(&entered.name()) {
                tell(What::Enabling);
            }
        }
        if let (Some(kind), Some(done)) = (self.calls, event.task_succeeded_event_details()) {
            let output: Option<Value> = done.output().and_then(|text| serde_json::from_str(text).ok());
            if let Some(payload) = output.as_ref().and_then(|output| output.get("Payload")) {
                tell(What::Answered(kind, Ok(payload.clone())));
            }
        }
        if let (Some(kind), Some(failed)) = (self.calls, event.task_failed_event_details()) {
            tell(What::Answered(kind, Err(failed.error().unwrap_or("unknown").to_owned())));
        }
        if let Some(status) = end_of(event) {
            self.ended = true;
            tell(What::Ended { name: name.to_owned(), status });
        }
    }
}

/// Events after the one with this id, the oldest first.
async fn new_events(clients: &Clients, arn: &str, after: i64) -> Result<Vec<HistoryEvent>, LiveError> {
    let mut events = Vec::new();
    let mut next_token = None;
    for _ in 0..MAX_PAGE_COUNT {
        // The newest first: what has been read already is not read again.
        let request = clients.sfn.get_execution_history().execution_arn(arn).reverse_order(true);
        let answer = request.max_results(PAGE_COUNT).set_next_token(next_token).send().await;
        let answer = answer.map_err(|error| call("GetExecutionHistory", &error))?;
        let read = answer.events().iter().any(|event| event.id() <= after);
        events.extend(answer.events().iter().filter(|event| event.id() > after).cloned());
        next_token = answer.next_token().map(str::to_owned);
        if read || next_token.is_none() {
            break;
        }
    }
    events.reverse();
    Ok(events)
}

/// The function that a state of the workflow calls. State names are a contract.
fn called_by(state: &str) -> Option<FunctionKind> {
    match state {
        "ProbeConsumer" => Some(FunctionKind::Probe),
        "SpreadBacklog" | "SpreadShare" => Some(FunctionKind::Rejitter),
        "InspectMappings" | "DisableMappings" | "CheckQuiet" | "LimitMappings" | "RestoreMappings"
        | "CheckEnabled" => Some(FunctionKind::Mapping),
        "InspectQueue" | "CheckClock" | "RaiseRetention" | "CheckDrained" | "RestoreRetention"
        | "RedriveDeadLetters" => Some(FunctionKind::Queue),
        _ => None,
    }
}

/// What a state of the workflow announces: `AnnounceOpened` announces `Circuit Opened`.
fn announced_by(state: &str) -> Option<Announcement> {
    let short = state.strip_prefix("Announce")?;
    let named = |what: &Announcement| what.detail_type().replace("Circuit ", "").replace(' ', "");
    Announcement::ALL.into_iter().find(|what| named(what).starts_with(short))
}

fn end_of(event: &HistoryEvent) -> Option<String> {
    let failed = event.execution_failed_event_details();
    let error = failed.map(|details| details.error().unwrap_or("without an error's name"));
    match event.r#type().as_str() {
        "ExecutionSucceeded" => Some("SUCCEEDED".to_owned()),
        "ExecutionFailed" => Some(format!("FAILED: {}", error.unwrap_or_default())),
        "ExecutionAborted" => Some("ABORTED".to_owned()),
        "ExecutionTimedOut" => Some("TIMED_OUT".to_owned()),
        _ => None,
    }
}

/// The texts of an event in which message content could stand.
fn texts(event: &HistoryEvent) -> impl Iterator<Item = &str> {
    let started = event.execution_started_event_details().and_then(|details| details.input());
    let entered = event.state_entered_event_details().and_then(|details| details.input());
    let scheduled = event.task_scheduled_event_details().map(|details| details.parameters());
    let done = event.task_succeeded_event_details().and_then(|details| details.output());
    let failed = event.task_failed_event_details().and_then(|details| details.cause());
    let left = event.state_exited_event_details().and_then(|details| details.output());
    let ended = event.execution_succeeded_event_details().and_then(|details| details.output());
    [started, entered, scheduled, done, failed, left, ended].into_iter().flatten()
}

fn name_of(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_announcement_is_known_by_its_state() {
        for (state, what) in [
            ("AnnounceOpened", Some(Announcement::Opened)),
            ("AnnounceProbeFailed", Some(Announcement::ProbeFailed)),
            ("AnnounceExhausted", Some(Announcement::Exhausted)),
            ("AnnounceOverruled", Some(Announcement::Overruled)),
            ("AnnounceFault", Some(Announcement::Faulted)),
            ("AnnounceClosed", Some(Announcement::Closed)),
            ("AnnounceRetentionAtRisk", Some(Announcement::RetentionAtRisk)),
            ("AnnounceRetentionRaise", Some(Announcement::RetentionRaise)),
            ("AnnounceRetentionRestore", Some(Announcement::RetentionRestore)),
            ("MarkClosed", None),
        ] {
            assert_eq!(announced_by(state), what, "{state}");
        }
    }
}

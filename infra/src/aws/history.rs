//! What the executions of a circuit have on record, and its item.

use std::collections::BTreeMap;

use aws_sdk_sfn::types::HistoryEvent;
use serde_json::Value;
use workflow::definition::state;
use workflow::events::Announcement;
use workflow::incidents::{Announced, Probe, Record};

use super::circuits::{Circuit, item_of};
use super::error::Named;
use super::{Account, CloudError};

/// Executions that are listed in one call, the most that Step Functions gives.
const LISTED_COUNT: i32 = 1_000;

/// Events that are read in one call, the most that Step Functions gives.
const PAGE_COUNT: i32 = 1_000;

/// What is known of a circuit's past.
#[derive(Clone, Debug)]
pub struct Past {
    /// What the newest executions have on record.
    pub records: Vec<Record>,
    /// The circuit's item, its strings and numbers as text; empty where it was never opened.
    pub item: BTreeMap<String, String>,
    /// Whether there are older executions that were not read.
    pub is_cut: bool,
}

/// Reads the past of a circuit from its newest executions, `execution_count` at most.
///
/// # Errors
/// Calls that fail.
pub async fn past(account: &Account, circuit: &Circuit, execution_count: usize) -> Result<Past, CloudError> {
    let (executions, is_cut) = executions(account, &circuit.machine_arn, execution_count).await?;
    let mut records = Vec::new();
    for arn in executions {
        records.push(record(account, &arn).await?);
    }
    Ok(Past { records, item: item_of(account, &circuit.wiring).await?, is_cut })
}

/// ARNs of the newest executions, and whether there are more.
async fn executions(
    account: &Account,
    machine: &str,
    wanted_count: usize,
) -> Result<(Vec<String>, bool), CloudError> {
    let mut arns = Vec::new();
    let call = account.states.list_executions().state_machine_arn(machine).max_results(LISTED_COUNT);
    let mut pages = call.into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.named("ListExecutions")?;
        arns.extend(page.executions().iter().map(|one| one.execution_arn().to_owned()));
        if arns.len() > wanted_count {
            break;
        }
    }
    let is_cut = arns.len() > wanted_count;
    arns.truncate(wanted_count);
    Ok((arns, is_cut))
}

async fn record(account: &Account, arn: &str) -> Result<Record, CloudError> {
    let name = arn.rsplit(':').next().unwrap_or(arn).to_owned();
    let mut reader = Reader::new(name);
    let call = account.states.get_execution_history().execution_arn(arn).max_results(PAGE_COUNT);
    let mut pages = call.into_paginator().send();
    while let Some(page) = pages.next().await {
        page.named("GetExecutionHistory")?.events().iter().for_each(|event| reader.take(event));
    }
    Ok(reader.record)
}

/// Reads the events of one execution. Its states run one after the other, so that an answer belongs to the state that was
/// entered last.
struct Reader {
    record: Record,
    is_probing: bool,
    /// Whether the present state has announced what it announces: a call that is tried again is scheduled again.
    has_announced: bool,
}

impl Reader {
    fn new(execution: String) -> Reader {
        let record = Record { execution, announced: Vec::new(), probes: Vec::new() };
        Reader { record, is_probing: false, has_announced: false }
    }

    fn take(&mut self, event: &HistoryEvent) {
        let at_ms =
            event.timestamp().to_millis().ok().and_then(|ms| u64::try_from(ms).ok()).unwrap_or_default();
        let read = |text: &str| serde_json::from_str::<Value>(text).ok();
        if let Some(entered) = event.state_entered_event_details() {
            self.is_probing = entered.name() == state::PROBE_CONSUMER;
            self.has_announced = false;
        }
        if let Some(call) = event.task_scheduled_event_details()
            && let Some(entries) = read(call.parameters())
            && let Some(announced) = announced(at_ms, &entries["Entries"][0])
            && !std::mem::replace(&mut self.has_announced, true)
        {
            self.record.announced.push(announced);
        }
        if !self.is_probing {
            return;
        }
        if let Some(done) = event.task_succeeded_event_details() {
            let answer = done.output().and_then(read).unwrap_or_default();
            let text = |name: &str| answer["Payload"][name].as_str().map(str::to_owned);
            let verdict = text("verdict").unwrap_or_else(|| "unknown".to_owned());
            self.record.probes.push(Probe { at_ms, verdict, error: text("error") });
        }
        if let Some(failed) = event.task_failed_event_details() {
            let error = failed.error().map(str::to_owned);
            self.record.probes.push(Probe { at_ms, verdict: "failed".to_owned(), error });
        }
    }
}

fn announced(at_ms: u64, entry: &Value) -> Option<Announced> {
    let what = Announcement::from_detail_type(entry["DetailType"].as_str()?)?;
    // Step Functions takes an object; some interpreters keep it as the text that is sent.
    let detail = match &entry["Detail"] {
        Value::String(text) => serde_json::from_str(text).ok()?,
        detail => detail.clone(),
    };
    Some(Announced { at_ms, what, detail })
}

#[cfg(test)]
mod tests {
    use aws_sdk_sfn::primitives::DateTime;
    use aws_sdk_sfn::types::{
        HistoryEventType, StateEnteredEventDetails, TaskScheduledEventDetails, TaskSucceededEventDetails,
    };
    use serde_json::json;

    use super::*;

    fn event(at_ms: i64) -> aws_sdk_sfn::types::builders::HistoryEventBuilder {
        HistoryEvent::builder()
            .timestamp(DateTime::from_millis(at_ms))
            .r#type(HistoryEventType::TaskScheduled)
            .id(1)
    }

    fn entered(name: &str) -> HistoryEvent {
        let details = StateEnteredEventDetails::builder().name(name).build().expect("complete");
        event(1).state_entered_event_details(details).build().expect("complete")
    }

    fn succeeded(at_ms: i64, output: &Value) -> HistoryEvent {
        let details = TaskSucceededEventDetails::builder()
            .resource_type("lambda")
            .resource("invoke")
            .output(output.to_string());
        let details = details.build().expect("complete");
        event(at_ms).task_succeeded_event_details(details).build().expect("complete")
    }

    fn scheduled(at_ms: i64, parameters: &Value) -> HistoryEvent {
        let details = TaskScheduledEventDetails::builder()
            .resource_type("events")
            .resource("putEvents")
            .region("eu-west-1")
            .parameters(parameters.to_string());
        let details = details.build().expect("complete");
        event(at_ms).task_scheduled_event_details(details).build().expect("complete")
    }

    fn read(events: &[HistoryEvent]) -> Record {
        let mut reader = Reader::new("e".to_owned());
        events.iter().for_each(|event| reader.take(event));
        reader.record
    }

    #[test]
    fn only_answers_of_the_probe_are_probes() {
        let answer = json!({ "Payload": { "verdict": "unhealthy", "error": "E", "message_id": "m" } });
        let record = read(&[
            entered("CheckQuiet"),
            succeeded(1, &json!({ "Payload": { "done": true } })),
            entered(state::PROBE_CONSUMER),
            succeeded(7, &answer),
            entered("AnnounceProbeFailed"),
            succeeded(9, &json!({ "FailedEntryCount": 0 })),
        ]);
        let expected = Probe { at_ms: 7, verdict: "unhealthy".to_owned(), error: Some("E".to_owned()) };
        assert_eq!(record.probes, [expected]);
    }

    #[test]
    fn an_announcement_that_was_tried_again_counts_once() {
        let entry =
            |detail: Value| json!({ "Entries": [{ "DetailType": "Circuit Opened", "Detail": detail }] });
        let detail = json!({ "opened_at_ms": 5 });
        let record = read(&[
            entered("AnnounceOpened"),
            scheduled(6, &entry(detail.clone())),
            scheduled(8, &entry(detail.clone())),
            scheduled(9, &json!({ "FunctionName": "x" })),
            entered("AnnounceOpened"),
            scheduled(10, &entry(json!(detail.to_string()))),
        ]);
        let opened = |at_ms| Announced { at_ms, what: Announcement::Opened, detail: detail.clone() };
        assert_eq!(record.announced, [opened(6), opened(10)]);
    }
}

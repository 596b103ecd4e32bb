//! `PutEvents`: checking entries and making events of them.

use serde_json::{Map, Value, json};

use crate::cloud::error::ServiceError;

/// Entries one request may have.
const MAX_ENTRIES: usize = 10;
/// Bytes the entries of one request may have together.
const MAX_REQUEST_BYTES: usize = 256 * 1024;

/// Where events are sent from.
#[derive(Debug, Clone, Copy)]
pub struct Bus<'a> {
    /// The account, 12 digits.
    pub account: &'a str,
    /// The Region.
    pub region: &'a str,
}

/// The answer to `PutEvents`, and the events to deliver.
#[derive(Debug, Clone, PartialEq)]
pub struct PutEventsOutcome {
    /// The API's answer: `FailedEntryCount` and `Entries`.
    pub answer: Value,
    /// The name of the bus and the event, in the order of the entries that were accepted.
    pub events: Vec<(String, Value)>,
}

/// `PutEvents`. An entry that is refused does not keep the others from being sent.
///
/// `now_ms` is the time of the call in milliseconds since 1970; `next_id` makes the events' ids.
///
/// # Errors
/// When the request as a whole is refused: `ValidationException` for the number or the size of the
/// entries and for members that are not modelled.
pub fn put_events(
    request: &Value,
    bus: &Bus<'_>,
    now_ms: i64,
    next_id: &mut dyn FnMut() -> String,
) -> Result<PutEventsOutcome, ServiceError> {
    let entries = checked_entries(request)?;
    let mut results = Vec::new();
    let mut events = Vec::new();
    for entry in entries {
        match read_entry(entry) {
            Ok((source, detail_type, detail)) => {
                let id = next_id();
                events.push((
                    bus_name(entry),
                    json!({
                        "version": "0",
                        "id": id,
                        "detail-type": detail_type,
                        "source": source,
                        "account": bus.account,
                        "time": time_text(entry_time_ms(entry)?.unwrap_or(now_ms)),
                        "region": bus.region,
                        "resources": entry.get("Resources").cloned().unwrap_or_else(|| json!([])),
                        "detail": detail,
                    }),
                ));
                results.push(json!({ "EventId": id }));
            }
            Err((code, message)) => results.push(json!({ "ErrorCode": code, "ErrorMessage": message })),
        }
    }
    let failed_count = results.len() - events.len();
    Ok(PutEventsOutcome { answer: json!({ "FailedEntryCount": failed_count, "Entries": results }), events })
}

fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::new(400, "ValidationException", message)
}

fn checked_entries(request: &Value) -> Result<Vec<&Map<String, Value>>, ServiceError> {
    let wrong_form = |what: String| ServiceError::new(400, "SerializationException", what);
    let object = request.as_object().ok_or_else(|| wrong_form("the request must be an object".into()))?;
    if let Some(member) = object.keys().find(|member| *member != "Entries") {
        return Err(invalid(format!("request member {member} is not modelled; allowed is Entries")));
    }
    let list = object.get("Entries").and_then(Value::as_array);
    let list = list.ok_or_else(|| wrong_form("Entries must be a list".into()))?;
    if list.is_empty() || list.len() > MAX_ENTRIES {
        let limit = if list.is_empty() { "greater than or equal to 1" } else { "less than or equal to 10" };
        return Err(invalid(format!(
            "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have \
             length {limit}"
        )));
    }
    let mut entries = Vec::new();
    let mut size_bytes = 0;
    for (position, entry) in list.iter().enumerate() {
        let entry =
            entry.as_object().ok_or_else(|| wrong_form(format!("Entries[{position}] must be an object")))?;
        for (member, value) in entry {
            let right_form = match member.as_str() {
                "Source" | "DetailType" | "Detail" | "EventBusName" => value.is_string(),
                "Time" => value.is_string() || value.is_number(),
                "Resources" => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
                _ => {
                    return Err(invalid(format!(
                        "request member Entries[{position}].{member} is not modelled; allowed are Source, \
                         DetailType, Detail, EventBusName, Time, Resources"
                    )));
                }
            };
            if !right_form {
                return Err(wrong_form(format!("Entries[{position}].{member} must not be {value}")));
            }
        }
        size_bytes += entry_size_bytes(entry);
        entries.push(entry);
    }
    if size_bytes > MAX_REQUEST_BYTES {
        return Err(invalid("Total size of the entries in the request is over the limit."));
    }
    Ok(entries)
}

/// As the user guide counts: 14 bytes for a time, and the UTF-8 bytes of the texts.
fn entry_size_bytes(entry: &Map<String, Value>) -> usize {
    let text = |member: &str| entry.get(member).and_then(Value::as_str).map_or(0, str::len);
    let resources = entry.get("Resources").and_then(Value::as_array).into_iter().flatten();
    let time = if entry.contains_key("Time") { 14 } else { 0 };
    time + ["Source", "DetailType", "Detail"].map(text).iter().sum::<usize>()
        + resources.filter_map(Value::as_str).map(str::len).sum::<usize>()
}

type EntryError = (&'static str, String);

fn read_entry(entry: &Map<String, Value>) -> Result<(&str, &str, Value), EntryError> {
    let text = |member: &str| {
        entry.get(member).and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or_else(|| {
            (
                "InvalidArgument",
                format!("Parameter {member} is not valid. Reason: {member} is a required argument."),
            )
        })
    };
    let (source, detail_type, detail) = (text("Source")?, text("DetailType")?, text("Detail")?);
    if source.starts_with("aws.") {
        return Err(("NotAuthorizedForSourceException", "Not authorized for the source.".into()));
    }
    match serde_json::from_str::<Value>(detail) {
        Ok(detail @ Value::Object(_)) => Ok((source, detail_type, detail)),
        Ok(_) | Err(_) => Err(("MalformedDetail", "Detail is malformed.".into())),
    }
}

/// A bus is named by its name or its ARN.
fn bus_name(entry: &Map<String, Value>) -> String {
    let name = entry.get("EventBusName").and_then(Value::as_str).unwrap_or("default");
    name.rsplit('/').next().unwrap_or(name).to_owned()
}

fn entry_time_ms(entry: &Map<String, Value>) -> Result<Option<i64>, ServiceError> {
    let time = match entry.get("Time") {
        None => return Ok(None),
        Some(Value::String(text)) => text.parse().ok().map(jiff::Timestamp::as_millisecond),
        Some(number) => number.as_f64().map(|seconds| (seconds * 1000.0) as i64),
    };
    match time {
        Some(time_ms) => Ok(Some(time_ms)),
        None => Err(ServiceError::new(400, "SerializationException", "Time is no timestamp")),
    }
}

/// A time of an event: whole seconds in UTC, as `2026-01-31T12:00:00Z`.
pub(super) fn time_text(time_ms: i64) -> String {
    // Times outside jiff's ten thousand years cannot come from a simulation's clock.
    let seconds = jiff::Timestamp::from_second(time_ms.div_euclid(1000)).unwrap_or(jiff::Timestamp::MAX);
    seconds.to_string()
}

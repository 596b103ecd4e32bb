//! Promise 9: no message content in execution history, the circuit's item, events or answers of the functions.

use serde_json::Value;

use super::{Breaches, CANARY, Checker, FinalState, Observation};
use crate::report::PromiseVerdict;
use crate::sim::Time;

/// Looks for the mark that every message carries.
#[derive(Debug, Default)]
pub struct NoContent {
    looked_at: u64,
    breaches: Breaches,
}

impl Checker for NoContent {
    fn observe(&mut self, at: Time, observation: &Observation<'_>) {
        if let Observation::Kept { place, value } = observation {
            self.looked_at += 1;
            if holds_canary(value) {
                self.breaches.add(at, || format!("{place} holds message content"));
            }
        }
    }

    fn verdict(&self, _end: &FinalState<'_>) -> PromiseVerdict {
        let held = format!("{} payloads, items and events looked at", self.looked_at);
        self.breaches.verdict("no_message_content", held)
    }
}

fn holds_canary(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(CANARY),
        Value::Array(items) => items.iter().any(holds_canary),
        Value::Object(fields) => {
            fields.iter().any(|(key, value)| key.contains(CANARY) || holds_canary(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

//! Circuits in the `CircuitStatus` table, where the workflow of the queue's breaker has them.

#![allow(
    clippy::disallowed_types,
    reason = "the SDK's maps; they are never iterated in an order that matters"
)]

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use workflow::circuit::{CircuitState, item};

use super::{KeptAnswer, Store, StoreError, Written, answer_key};
use crate::ports::{Clock, SystemClock};
use crate::record::{Attribute, Item, MalformedItem, Record, attribute};

/// Attribute names of the items that hold kept answers, beside the key [`item::CIRCUIT`].
mod answer {
    /// Number: when it was given, milliseconds since the Unix epoch.
    pub const AT_MS: &str = "answer_at_ms";
    /// String: the answer, as JSON.
    pub const JSON: &str = "answer_json";
    /// Number: when the item may be deleted, **seconds** since the Unix epoch, as the time to live of DynamoDB has it.
    pub const EXPIRES_AT_S: &str = "expires_at_s";
}

/// Circuits in a table with the partition key `circuit`, a string: the breaker's own `CircuitStatus` table, or another one
/// where there is no breaker.
///
/// Circuits are read strongly consistent, kept answers are not. Those are items of their own in the same table, with the time to live in
/// `expires_at_s`; switch it on for the table, or they stay. A circuit's item never has one.
#[derive(Clone, Debug)]
pub struct DynamoStore {
    client: Client,
    table: String,
}

impl DynamoStore {
    /// On a table of this client's Region.
    pub fn new(client: Client, table: impl Into<String>) -> DynamoStore {
        DynamoStore { client, table: table.into() }
    }
}

impl Store for DynamoStore {
    async fn read(&self, circuit: &str) -> Result<Item, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(item::CIRCUIT, AttributeValue::S(circuit.to_owned()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::new("GetItem", circuit, error))?;
        let found = answer.item.unwrap_or_default();
        from_sdk(found).map_err(|error| StoreError::new("GetItem", circuit, error))
    }

    async fn write(&self, circuit: &str, seen: &Item, record: &Record) -> Result<Written, StoreError> {
        let update = Update::of(seen, record);
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(item::CIRCUIT, AttributeValue::S(circuit.to_owned()))
            .update_expression(update.expression)
            .condition_expression(update.condition)
            .set_expression_attribute_values(Some(update.values))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Written::Done),
            Err(error) if is_refusal(&error) => Ok(Written::Refused),
            Err(error) => Err(StoreError::new("UpdateItem", circuit, error)),
        }
    }

    async fn answer(&self, circuit: &str, key: &str) -> Result<Option<KeptAnswer>, StoreError> {
        let key = answer_key(circuit, key);
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(item::CIRCUIT, AttributeValue::S(key.clone()))
            .send()
            .await
            .map_err(|error| StoreError::new("GetItem", &key, error))?;
        let Some(found) = answer.item else { return Ok(None) };
        let number =
            |name: &str| found.get(name).and_then(|value| value.as_n().ok()).and_then(|n| n.parse().ok());
        let json = found.get(answer::JSON).and_then(|value| value.as_s().ok());
        let (Some(at_ms), Some(expires_at_s), Some(json)) =
            (number(answer::AT_MS), number(answer::EXPIRES_AT_S), json)
        else {
            let what = "the item is no kept answer: it lacks answer_at_ms, answer_json or expires_at_s";
            return Err(StoreError::new("GetItem", &key, what));
        };
        // DynamoDB deletes within days of the time, not at it.
        let is_expired = SystemClock::new().now_ms() / 1_000 >= expires_at_s;
        Ok((!is_expired).then(|| KeptAnswer { at_ms, json: json.clone() }))
    }

    async fn keep_answer(
        &self,
        circuit: &str,
        key: &str,
        answer: &KeptAnswer,
        ttl_ms: u64,
    ) -> Result<(), StoreError> {
        let key = answer_key(circuit, key);
        let expires_at_s = SystemClock::new().now_ms().saturating_add(ttl_ms).div_ceil(1_000);
        let call = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(item::CIRCUIT, AttributeValue::S(key.clone()))
            .update_expression(format!(
                "SET {} = :at, {} = :json, {} = :expires",
                answer::AT_MS,
                answer::JSON,
                answer::EXPIRES_AT_S
            ))
            .expression_attribute_values(":at", AttributeValue::N(answer.at_ms.to_string()))
            .expression_attribute_values(":json", AttributeValue::S(answer.json.clone()))
            .expression_attribute_values(":expires", AttributeValue::N(expires_at_s.to_string()));
        call.send().await.map(drop).map_err(|error| StoreError::new("UpdateItem", &key, error))
    }
}

fn is_refusal(error: &SdkError<UpdateItemError>) -> bool {
    error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception)
}

fn from_sdk(found: HashMap<String, AttributeValue>) -> Result<Item, MalformedItem> {
    let attributes: BTreeMap<String, Attribute> = found
        .into_iter()
        .filter_map(|(name, value)| match value {
            AttributeValue::S(text) => Some((name, Attribute::Text(text))),
            AttributeValue::N(number) => Some((name, Attribute::Text(number))),
            _ => None,
        })
        .collect();
    Item::from_attributes(&attributes)
}

/// The parts of the conditional `UpdateItem`. The names need no placeholders: none is a reserved word.
struct Update {
    expression: String,
    condition: String,
    values: HashMap<String, AttributeValue>,
}

impl Update {
    fn of(seen: &Item, record: &Record) -> Update {
        let set = record.attributes();
        let gone: Vec<&str> = attribute::ALL.into_iter().filter(|name| !set.contains_key(name)).collect();
        let assignments: Vec<String> = set.keys().map(|name| format!("{name} = :{name}")).collect();
        let mut expression = format!("SET {}", assignments.join(", "));
        if !gone.is_empty() {
            expression = format!("{expression} REMOVE {}", gone.join(", "));
        }
        let mut values: HashMap<String, AttributeValue> = set
            .into_iter()
            .map(|(name, value)| {
                let value = match value {
                    Attribute::Text(text) => AttributeValue::S(text),
                    Attribute::Number(number) => AttributeValue::N(number.to_string()),
                };
                (format!(":{name}"), value)
            })
            .collect();
        let mut conditions = Vec::new();
        if seen.record.revision == 0 {
            conditions.push(format!("attribute_not_exists({})", attribute::REVISION));
        } else {
            conditions.push(format!("{} = :seen_revision", attribute::REVISION));
            values.insert(":seen_revision".to_owned(), AttributeValue::N(seen.record.revision.to_string()));
        }
        match seen.workflow.epoch {
            None => conditions.push(format!("attribute_not_exists({})", item::EPOCH)),
            Some(epoch) => {
                conditions.push(format!("{} = :seen_epoch", item::EPOCH));
                values.insert(":seen_epoch".to_owned(), AttributeValue::N(epoch.to_string()));
            }
        }
        let state = seen.workflow.state;
        values.insert(":seen_state".to_owned(), AttributeValue::S(state.name().to_owned()));
        conditions.push(match state {
            CircuitState::Closed => {
                format!("(attribute_not_exists({state}) OR {state} = :seen_state)", state = item::STATE)
            }
            CircuitState::Open | CircuitState::HalfOpen | CircuitState::Held => {
                format!("{} = :seen_state", item::STATE)
            }
        });
        Update { expression, condition: conditions.join(" AND "), values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_write_is_fenced_and_names_no_attribute_of_the_workflow_as_its_target() {
        let mut seen = Item::default();
        seen.workflow.epoch = Some(7);
        seen.record.revision = 3;
        let update = Update::of(&seen, &Record { revision: 4, ..Record::default() });
        assert_eq!(
            update.condition,
            "guard_revision = :seen_revision AND epoch = :seen_epoch AND (attribute_not_exists(circuit_state) OR \
             circuit_state = :seen_state)"
        );
        assert_eq!(
            update.expression,
            "SET guard_epoch = :guard_epoch, guard_outage_ms = :guard_outage_ms, guard_revision = :guard_revision, \
             guard_round_count = :guard_round_count, guard_run_count = :guard_run_count, guard_state = :guard_state, \
             guard_writer = :guard_writer REMOVE guard_open_until_ms, guard_success_count, guard_leases, guard_window, \
             guard_alarming_since_ms, guard_reason, guard_isolated_by, guard_isolation_reason, guard_isolated_at_ms"
        );
        let fresh = Update::of(&Item::default(), &Record { revision: 1, ..Record::default() });
        assert!(
            fresh
                .condition
                .starts_with("attribute_not_exists(guard_revision) AND attribute_not_exists(epoch)")
        );
    }
}

//! The reconciler's ports on the modelled cloud.

use std::collections::BTreeMap;

use lambdas::ports::{
    AlarmView, Alarms, Announcements, CallError, CallErrorKind, CircuitItem, CircuitItems, Executions, Watch,
};
use serde_json::{Value, json};
use workflow::circuit::{CircuitState, Phase, item, watch, watch_key};
use workflow::contract::{TripRequest, WaitCommand};
use workflow::events::SOURCE;

use super::cloudwatch::StateValue;
use super::dynamodb::{AttributeValue, Item};
use super::ports::{Ports, call_error};

impl Ports<'_> {
    /// The item with this key; an empty one where there is none.
    async fn item(&self, key: &str) -> Result<Item, CallError> {
        let operation = "GetItem";
        let (name, arn) = self.own_table(operation)?;
        let answer = self.begin(operation, "dynamodb:GetItem", &arn).await?;
        let found = self.cloud.tables.borrow()[&name].find(key).cloned().unwrap_or_default();
        self.finish(answer, operation, Ok(found)).await
    }
}

fn string(item: &Item, name: &str) -> Option<String> {
    item.get(name)?.text().map(str::to_owned)
}

fn number(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.whole()
}

impl CircuitItems for Ports<'_> {
    async fn circuit_item(&self, circuit: &str) -> Result<CircuitItem, CallError> {
        let found = self.item(circuit).await?;
        let state = string(&found, item::STATE).and_then(|name| CircuitState::from_name(&name));
        Ok(CircuitItem {
            state: state.unwrap_or(CircuitState::Closed),
            owner_arn: string(&found, item::OWNER),
            epoch: number(&found, item::EPOCH),
            phase: string(&found, item::PHASE).and_then(|name| Phase::from_name(&name)),
            task_token: string(&found, item::TASK_TOKEN),
            closed_at_ms: number(&found, item::CLOSED_AT_MS),
            last_probe_at_ms: number(&found, item::LAST_PROBE_AT_MS),
            retention_is_raised: found.contains_key(item::ORIGINAL_RETENTION_S),
        })
    }

    async fn watch(&self, circuit: &str) -> Result<Watch, CallError> {
        let found = self.item(&watch_key(circuit)).await?;
        let announced = found.get(watch::DISABLED_ANNOUNCED);
        Ok(Watch {
            disabled_since_ms: number(&found, watch::DISABLED_SINCE_MS),
            disabled_announced: announced == Some(&AttributeValue::Bool(true)),
            blind: string(&found, watch::BLIND),
            tripped_at_ms: number(&found, watch::TRIPPED_AT_MS),
        })
    }

    async fn put_watch(&self, circuit: &str, watched: &Watch) -> Result<(), CallError> {
        let operation = "PutItem";
        let key = watch_key(circuit);
        let (name, arn) = self.own_table(operation)?;
        let context = BTreeMap::from([("dynamodb:LeadingKeys".to_owned(), key.clone())]);
        let answer = self.begin_with(operation, "dynamodb:PutItem", &arn, &context).await?;
        let mut new = json!({
            item::CIRCUIT: { "S": key },
            watch::DISABLED_ANNOUNCED: { "BOOL": watched.disabled_announced },
        });
        let ms = |ms: u64| json!({ "N": ms.to_string() });
        let optional = [
            (watch::DISABLED_SINCE_MS, watched.disabled_since_ms.map(ms)),
            (watch::TRIPPED_AT_MS, watched.tripped_at_ms.map(ms)),
            (watch::BLIND, watched.blind.as_ref().map(|text| json!({ "S": text }))),
        ];
        for (attribute, value) in optional {
            if let Some(value) = value {
                new[attribute] = value;
            }
        }
        let put = {
            let mut tables = self.cloud.tables.borrow_mut();
            let missing = || CallError::new(operation, "ResourceNotFoundException", CallErrorKind::NotFound);
            let table = tables.get_mut(&name).ok_or_else(missing)?;
            table
                .put_item(&json!({ "TableName": name, "Item": new }))
                .map(|_| ())
                .map_err(|error| call_error(operation, error.error))
        };
        self.finish(answer, operation, put).await
    }
}

impl Executions for Ports<'_> {
    async fn is_alive(&self, execution_arn: &str) -> Result<bool, CallError> {
        let operation = "DescribeExecution";
        let answer = self.begin(operation, "states:DescribeExecution", execution_arn).await?;
        self.finish(answer, operation, Ok(self.cloud.is_running(execution_arn))).await
    }

    async fn others_running(&self, machine_arn: &str, owner_arn: &str) -> Result<bool, CallError> {
        let operation = "ListExecutions";
        let answer = self.begin(operation, "states:ListExecutions", machine_arn).await?;
        self.finish(answer, operation, Ok(self.cloud.others_running(machine_arn, owner_arn))).await
    }

    async fn start(&self, machine_arn: &str, request: &TripRequest) -> Result<(), CallError> {
        let operation = "StartExecution";
        let answer = self.begin(operation, "states:StartExecution", machine_arn).await?;
        let started = self.cloud.start_execution(machine_arn, json!(request));
        let started = started.map(|_| ()).map_err(|error| call_error(operation, error));
        self.finish(answer, operation, started).await
    }

    async fn complete_wait(&self, token: &str, command: &WaitCommand) -> Result<bool, CallError> {
        let operation = "SendTaskSuccess";
        let answer = self.begin(operation, "states:SendTaskSuccess", "*").await?;
        let completed = self.cloud.send_task_success(token, json!(command)).is_ok();
        self.finish(answer, operation, Ok(completed)).await
    }
}

impl Alarms for Ports<'_> {
    async fn alarm(&self, name: &str, is_composite: bool) -> Result<Option<AlarmView>, CallError> {
        let found = if is_composite {
            let alarms = self.cloud.composite_alarms.borrow();
            alarms.iter().find(|alarm| alarm.name() == name).map(|alarm| {
                // They are shown only to who may see every alarm.
                ("*".to_owned(), alarm.state().clone())
            })
        } else {
            let alarms = self.cloud.alarms.borrow();
            let found = alarms.iter().find(|alarm| alarm.name() == name);
            found.map(|alarm| (alarm.arn().to_owned(), alarm.state().clone()))
        };
        let Some((arn, state)) = found else { return Ok(None) };
        let operation = "DescribeAlarms";
        let answer = self.begin(operation, "cloudwatch:DescribeAlarms", &arn).await?;
        let view = AlarmView { is_in_alarm: state.value == StateValue::Alarm, since_ms: state.timestamp_ms };
        self.finish(answer, operation, Ok(Some(view))).await
    }
}

impl Announcements for Ports<'_> {
    async fn announce(&self, detail_type: &str, detail: &Value) -> Result<(), CallError> {
        let operation = "PutEvents";
        let bus = format!("arn:aws:events:{}:{}:event-bus/default", self.cloud.region, self.cloud.account);
        let answer = self.begin(operation, "events:PutEvents", &bus).await?;
        let request = json!({ "Entries": [{
            "Source": SOURCE,
            "DetailType": detail_type,
            "Detail": detail.to_string(),
        }] });
        let put = self.cloud.put_events(&request).map(|_| ()).map_err(|error| call_error(operation, error));
        self.finish(answer, operation, put).await
    }
}

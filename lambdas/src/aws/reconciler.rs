//! What only the functions outside the workflow need, the reconciler and the `signal` function: executions, alarms, the bus, whole items.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cloudwatch::types::{AlarmType, StateValue};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_sfn::types::ExecutionStatus;
use serde_json::Value;
use workflow::circuit::{CircuitState, Phase, item, watch, watch_key};
use workflow::contract::{TripRequest, WaitCommand};
use workflow::events::SOURCE;

use super::error::{Text, call_error, incomplete};
use super::{Cloud, MissingVariable, load, table_name};
use crate::ports::{
    AlarmView, Alarms, Announcements, CallError, CallErrorKind, CircuitItem, CircuitItems, Clock,
    EventSourceMappings, Executions, MappingDescription, MappingUpdate, Watch,
};

/// Everything that the functions outside the workflow need of AWS.
#[derive(Clone, Debug)]
pub struct ReconcilerCloud {
    cloud: Cloud,
    states: aws_sdk_sfn::Client,
    alarms: aws_sdk_cloudwatch::Client,
    bus: aws_sdk_eventbridge::Client,
}

impl ReconcilerCloud {
    /// Clients for the environment's Region, credentials and endpoint.
    ///
    /// # Errors
    /// [`MissingVariable`] when the table's name is not in the environment.
    pub async fn connect() -> Result<ReconcilerCloud, MissingVariable> {
        let table = table_name()?;
        let config = load().await;
        Ok(ReconcilerCloud {
            cloud: Cloud::new(&config, table),
            states: aws_sdk_sfn::Client::new(&config),
            alarms: aws_sdk_cloudwatch::Client::new(&config),
            bus: aws_sdk_eventbridge::Client::new(&config),
        })
    }

    async fn item(&self, key: String) -> Result<Item, CallError> {
        let call = self
            .cloud
            .dynamodb
            .get_item()
            .table_name(&self.cloud.table)
            .key(item::CIRCUIT, AttributeValue::S(key))
            .consistent_read(true)
            .send()
            .await;
        let output = call.map_err(|error| call_error("GetItem", Text::Kept, &error))?;
        Ok(Item(output.item.unwrap_or_default().into_iter().collect()))
    }
}

/// An item of the table, asked by the names of its attributes.
struct Item(BTreeMap<String, AttributeValue>);

impl Item {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_s().ok().cloned()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_n().ok()?.parse().ok()
    }

    fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(|value| value.as_bool().ok()).copied().unwrap_or_default()
    }
}

impl CircuitItems for ReconcilerCloud {
    async fn circuit_item(&self, circuit: &str) -> Result<CircuitItem, CallError> {
        let found = self.item(circuit.to_owned()).await?;
        Ok(CircuitItem {
            state: found
                .text(item::STATE)
                .and_then(|name| CircuitState::from_name(&name))
                .unwrap_or(CircuitState::Closed),
            owner_arn: found.text(item::OWNER),
            epoch: found.number(item::EPOCH),
            phase: found.text(item::PHASE).and_then(|name| Phase::from_name(&name)),
            task_token: found.text(item::TASK_TOKEN),
            closed_at_ms: found.number(item::CLOSED_AT_MS),
            last_probe_at_ms: found.number(item::LAST_PROBE_AT_MS),
            retention_is_raised: found.number(item::ORIGINAL_RETENTION_S).is_some(),
        })
    }

    async fn watch(&self, circuit: &str) -> Result<Watch, CallError> {
        let found = self.item(watch_key(circuit)).await?;
        Ok(Watch {
            disabled_since_ms: found.number(watch::DISABLED_SINCE_MS),
            disabled_announced: found.flag(watch::DISABLED_ANNOUNCED),
            blind: found.text(watch::BLIND),
            tripped_at_ms: found.number(watch::TRIPPED_AT_MS),
        })
    }

    async fn put_watch(&self, circuit: &str, watched: &Watch) -> Result<(), CallError> {
        let number = |ms: u64| AttributeValue::N(ms.to_string());
        let call = self
            .cloud
            .dynamodb
            .put_item()
            .table_name(&self.cloud.table)
            .item(item::CIRCUIT, AttributeValue::S(watch_key(circuit)))
            .item(watch::DISABLED_ANNOUNCED, AttributeValue::Bool(watched.disabled_announced));
        let optional = [
            (watch::DISABLED_SINCE_MS, watched.disabled_since_ms.map(number)),
            (watch::TRIPPED_AT_MS, watched.tripped_at_ms.map(number)),
            (watch::BLIND, watched.blind.clone().map(AttributeValue::S)),
        ];
        let call = optional.into_iter().fold(call, |call, (name, value)| match value {
            Some(value) => call.item(name, value),
            None => call,
        });
        call.send().await.map(|_| ()).map_err(|error| call_error("PutItem", Text::Kept, &error))
    }
}

impl Executions for ReconcilerCloud {
    async fn is_alive(&self, execution_arn: &str) -> Result<bool, CallError> {
        let call = self.states.describe_execution().execution_arn(execution_arn).send().await;
        match call {
            Ok(output) => {
                Ok(matches!(output.status(), ExecutionStatus::Running | ExecutionStatus::PendingRedrive))
            }
            Err(error) => {
                let gone = error
                    .as_service_error()
                    .is_some_and(|error| error.is_execution_does_not_exist() || error.is_invalid_arn());
                if gone { Ok(false) } else { Err(call_error("DescribeExecution", Text::Kept, &error)) }
            }
        }
    }

    async fn others_running(&self, machine_arn: &str, owner_arn: &str) -> Result<bool, CallError> {
        let call = self
            .states
            .list_executions()
            .state_machine_arn(machine_arn)
            .status_filter(ExecutionStatus::Running)
            // One of them may be the owner.
            .max_results(2)
            .send()
            .await;
        let output = call.map_err(|error| call_error("ListExecutions", Text::Kept, &error))?;
        Ok(output.executions().iter().any(|execution| execution.execution_arn() != owner_arn))
    }

    async fn start(&self, machine_arn: &str, request: &TripRequest) -> Result<(), CallError> {
        let input = serde_json::to_string(request).map_err(|_| incomplete("StartExecution"))?;
        let call = self.states.start_execution().state_machine_arn(machine_arn).input(input).send().await;
        call.map(|_| ()).map_err(|error| call_error("StartExecution", Text::Kept, &error))
    }

    async fn complete_wait(&self, token: &str, command: &WaitCommand) -> Result<bool, CallError> {
        let output = serde_json::to_string(command).map_err(|_| incomplete("SendTaskSuccess"))?;
        match self.states.send_task_success().task_token(token).output(output).send().await {
            Ok(_) => Ok(true),
            Err(error) => {
                let over = error.as_service_error().is_some_and(|error| {
                    error.is_task_timed_out() || error.is_task_does_not_exist() || error.is_invalid_token()
                });
                if over { Ok(false) } else { Err(call_error("SendTaskSuccess", Text::Kept, &error)) }
            }
        }
    }
}

impl Alarms for ReconcilerCloud {
    async fn alarm(&self, name: &str, is_composite: bool) -> Result<Option<AlarmView>, CallError> {
        // Without being asked for them, CloudWatch leaves composite alarms out.
        let kind = if is_composite { AlarmType::CompositeAlarm } else { AlarmType::MetricAlarm };
        let call = self.alarms.describe_alarms().alarm_names(name).alarm_types(kind).send().await;
        let output = call.map_err(|error| call_error("DescribeAlarms", Text::Kept, &error))?;
        macro_rules! view {
            ($alarms:expr) => {
                $alarms.first().map(|alarm| AlarmView {
                    is_in_alarm: alarm.state_value() == Some(&StateValue::Alarm),
                    since_ms: alarm
                        .state_transitioned_timestamp()
                        .or(alarm.state_updated_timestamp())
                        .and_then(|moment| moment.to_millis().ok())
                        .and_then(|ms| u64::try_from(ms).ok())
                        .unwrap_or_default(),
                })
            };
        }
        Ok(if is_composite { view!(output.composite_alarms()) } else { view!(output.metric_alarms()) })
    }
}

impl Announcements for ReconcilerCloud {
    async fn announce(&self, detail_type: &str, detail: &Value) -> Result<(), CallError> {
        let entry = PutEventsRequestEntry::builder()
            .source(SOURCE)
            .detail_type(detail_type)
            .detail(detail.to_string())
            .build();
        let call = self.bus.put_events().entries(entry).send().await;
        let output = call.map_err(|error| call_error("PutEvents", Text::Kept, &error))?;
        if output.failed_entry_count() == 0 {
            return Ok(());
        }
        let code = output.entries().iter().find_map(|entry| entry.error_code()).unwrap_or("FailedEntry");
        Err(CallError::new("PutEvents", code, CallErrorKind::Transient))
    }
}

impl EventSourceMappings for ReconcilerCloud {
    async fn get_mapping(&self, uuid: &str) -> Result<MappingDescription, CallError> {
        self.cloud.get_mapping(uuid).await
    }

    async fn update_mapping(
        &self,
        uuid: &str,
        update: MappingUpdate,
    ) -> Result<MappingDescription, CallError> {
        self.cloud.update_mapping(uuid, update).await
    }
}

impl Clock for ReconcilerCloud {
    fn now_ms(&self) -> u64 {
        self.cloud.now_ms()
    }

    async fn sleep(&self, duration: Duration) {
        self.cloud.sleep(duration).await;
    }
}

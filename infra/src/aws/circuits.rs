//! The circuits of a deployed stack: how they stand, and what an operator may do to them.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::types::ExecutionStatus;
use aws_sdk_sqs::types::QueueAttributeName as Name;
use serde_json::Value;
use workflow::circuit::{CircuitState, item};
use workflow::contract::{TripRequest, WaitCommand};
use workflow::definition::Wiring;
use workflow::status::{Facts, Waiting};

use super::error::Named;
use super::{Account, CloudError, stack};

/// A circuit of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit {
    /// ARN of its state machine.
    pub machine_arn: String,
    /// What that acts on.
    pub wiring: Wiring,
}

/// The circuits of the stack, by name.
///
/// # Errors
/// Calls that fail; a stack that is not there, or that holds no circuit.
pub async fn circuits(account: &Account, stack_name: &str) -> Result<Vec<Circuit>, CloudError> {
    let found = stack::describe(account, stack_name).await?.filter(|stack| !stack.is_only_planned());
    let Some(found) = found else {
        return Err(CloudError::unfit(
            format!("there is no stack {stack_name} in this account and Region"),
            "name it with --stack; --profile and --region say where to look",
        ));
    };
    stack::is_ours(stack_name, &found)?;
    let mut circuits = Vec::new();
    for resource in stack::resources(account, &found.id).await? {
        if resource.resource_type == "AWS::StepFunctions::StateMachine" {
            circuits.extend(circuit(account, resource.physical_id).await?);
        }
    }
    if circuits.is_empty() {
        return Err(CloudError::unfit(
            format!("stack {stack_name} holds no circuit that this breaker knows"),
            "deploy it again with this version: `breaker deploy`",
        ));
    }
    circuits.sort_by(|a, b| a.wiring.circuit.cmp(&b.wiring.circuit));
    Ok(circuits)
}

/// The circuit of a state machine; nothing for a machine of another kind, or one that is gone by now.
async fn circuit(account: &Account, machine_arn: String) -> Result<Option<Circuit>, CloudError> {
    let call = account.states.describe_state_machine().state_machine_arn(&machine_arn).send().await;
    let answer = match call.named("DescribeStateMachine") {
        Err(error) if error.is_missing() => return Ok(None),
        answer => answer?,
    };
    let definition: Option<Value> = serde_json::from_str(answer.definition()).ok();
    let wiring = definition.as_ref().and_then(Wiring::read);
    Ok(wiring.map(|wiring| Circuit { machine_arn, wiring }))
}

/// Reads how a circuit stands. What cannot be read beside its item is absent: half an answer is better than none.
///
/// # Errors
/// The circuit's item cannot be read.
pub async fn facts(account: &Account, circuit: &Circuit) -> Result<Facts, CloudError> {
    let wiring = &circuit.wiring;
    let item = item_of(account, wiring).await?;
    let owner_is_alive = match item.get(item::OWNER) {
        Some(owner) if item.get(item::STATE).is_some_and(|state| state != CircuitState::Closed.name()) => {
            is_alive(account, owner).await.ok()
        }
        _ => None,
    };
    let mapping = account.lambda.get_event_source_mapping().uuid(&wiring.mapping_uuid).send().await;
    let mapping = mapping.ok().and_then(|mapping| mapping.state().map(str::to_owned));
    Ok(Facts {
        circuit: wiring.circuit.clone(),
        now_ms: now_ms(),
        item,
        owner_is_alive,
        mapping,
        queue: waiting(account, &wiring.queue_url).await.ok(),
    })
}

/// The strings and numbers of the circuit's item, by a strongly consistent read.
pub(super) async fn item_of(
    account: &Account,
    wiring: &Wiring,
) -> Result<BTreeMap<String, String>, CloudError> {
    let key = AttributeValue::S(wiring.circuit.clone());
    let call = account.dynamodb.get_item().table_name(&wiring.table).key(item::CIRCUIT, key);
    let answer = call.consistent_read(true).send().await.named("GetItem")?;
    let text = |value: AttributeValue| match value {
        AttributeValue::S(text) | AttributeValue::N(text) => Some(text),
        _ => None,
    };
    let attributes = answer.item.unwrap_or_default().into_iter();
    Ok(attributes.filter_map(|(name, value)| Some((name, text(value)?))).collect())
}

async fn is_alive(account: &Account, execution: &str) -> Result<bool, CloudError> {
    let call = account.states.describe_execution().execution_arn(execution).send().await;
    match call.named("DescribeExecution") {
        Ok(answer) => {
            Ok(matches!(answer.status(), ExecutionStatus::Running | ExecutionStatus::PendingRedrive))
        }
        Err(error) if error.is_missing() => Ok(false),
        Err(error) => Err(error),
    }
}

async fn waiting(account: &Account, queue_url: &str) -> Result<Waiting, CloudError> {
    let visible = Name::ApproximateNumberOfMessages;
    let in_flight = Name::ApproximateNumberOfMessagesNotVisible;
    let delayed = Name::ApproximateNumberOfMessagesDelayed;
    let call = account.sqs.get_queue_attributes().queue_url(queue_url);
    let names = vec![visible.clone(), in_flight.clone(), delayed.clone()];
    let answer = call.set_attribute_names(Some(names)).send().await.named("GetQueueAttributes")?;
    let count = |name: &Name| {
        let value = answer.attributes().and_then(|all| all.get(name));
        value.and_then(|text| text.parse().ok()).unwrap_or_default()
    };
    Ok(Waiting {
        visible_count: count(&visible),
        in_flight_count: count(&in_flight),
        delayed_count: count(&delayed),
    })
}

/// Starts an execution of the circuit's workflow.
///
/// # Errors
/// The call fails.
pub async fn start(account: &Account, circuit: &Circuit, request: &TripRequest) -> Result<(), CloudError> {
    let input = serde_json::to_string(request).expect("a trip request is plain data");
    let call = account.states.start_execution().state_machine_arn(&circuit.machine_arn).input(input);
    call.send().await.named("StartExecution").map(|_| ())
}

/// Completes the wait that the item names; `false` when nobody waits for its token any more.
///
/// # Errors
/// The call fails.
pub async fn signal(account: &Account, facts: &Facts, command: &WaitCommand) -> Result<bool, CloudError> {
    let Some(token) = facts.item.get(item::TASK_TOKEN) else { return Ok(false) };
    let output = serde_json::to_string(command).expect("a command is plain data");
    match account.states.send_task_success().task_token(token).output(output).send().await {
        Ok(_) => Ok(true),
        Err(error) => {
            let over = error.as_service_error().is_some_and(|error| {
                error.is_task_timed_out() || error.is_task_does_not_exist() || error.is_invalid_token()
            });
            if over { Ok(false) } else { Err(error).named("SendTaskSuccess") }
        }
    }
}

/// Now, milliseconds since the Unix epoch.
#[allow(clippy::disallowed_methods, reason = "the one place where the commands on an account read the clock")]
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

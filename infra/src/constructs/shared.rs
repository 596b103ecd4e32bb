//! What all circuits of a stack share: the `CircuitStatus` table and the breaker's functions.

use std::collections::BTreeMap;

use workflow::circuit::item;
use workflow::config::{BreakerConfig, CircuitConfig};
use workflow::contract::{ENV_CIRCUIT_TABLE, FunctionKind};
use workflow::definition::{MAPPING_TIMEOUT_S, QUEUE_TIMEOUT_S, REJITTER_TIMEOUT_S, probe_timeout_s};

use super::function::{FunctionSettings, function};
use super::{DeadLetterQueue, Guarded};
use crate::assets::Assets;
use crate::error::SynthError;
use crate::policy::Statement;
use crate::resources::dynamodb::{
    AttributeDefinition, KeySchema, PointInTimeRecovery, SseSpecification, Table,
};
use crate::template::{Attributes, Deletion, Handle, Scope, Template};
use crate::text::Text;

/// The shared resources.
#[derive(Debug)]
pub struct Shared {
    /// Table with one item per circuit.
    pub table: Handle,
    /// The function `mapping`.
    pub mapping: Handle,
    /// The function `probe`.
    pub probe: Handle,
    /// The function `rejitter`.
    pub rejitter: Handle,
    /// The function `queue`.
    pub queue: Handle,
    /// Days for which the logs of functions are kept that serve every circuit: as many as the most careful one asks for.
    pub retention_days: u32,
}

/// Adds the shared resources. The functions' roles name exactly what `guarded` lists.
///
/// # Errors
/// [`SynthError::PolicyTooLong`] when a role would have to name too much.
pub fn shared(
    template: &mut Template,
    assets: &Assets,
    config: &BreakerConfig,
    guarded: &[&Guarded],
) -> Result<Shared, SynthError> {
    let table = table(template, config);
    let circuits: Vec<&CircuitConfig> = config.circuits.values().collect();
    let retention_days = circuits.iter().map(|circuit| circuit.logs.retention_days).max().unwrap_or(1);
    let mut add = |kind, description, timeout_s, statements| {
        let variables = BTreeMap::from([(ENV_CIRCUIT_TABLE, table.reference())]);
        let settings =
            FunctionSettings { kind, description, timeout_s, variables, statements, retention_days };
        function(template, &Scope::root(), assets, settings)
    };
    let probe_timeout_s = circuits.iter().map(|circuit| probe_timeout_s(circuit)).max().unwrap_or(1);
    let mapping = add(
        FunctionKind::Mapping,
        "Disables, limits and restores event source mappings",
        MAPPING_TIMEOUT_S,
        mapping_statements(&table, guarded),
    )?;
    let probe = add(
        FunctionKind::Probe,
        "Tries the consumer with a single message",
        probe_timeout_s,
        probe_statements(&table, guarded),
    )?;
    let rejitter = add(
        FunctionKind::Rejitter,
        "Spreads the backlog before the circuit closes",
        REJITTER_TIMEOUT_S,
        queue_statements(&table, guarded),
    )?;
    let queue = add(
        FunctionKind::Queue,
        "Reads the loss clock, raises and restores the retention, redrives",
        QUEUE_TIMEOUT_S,
        loss_clock_statements(&table, guarded),
    )?;
    template.output(
        &Scope::root().child("CircuitTableName"),
        "Name of the table with the circuits' states",
        &table.reference(),
    );
    Ok(Shared { table, mapping, probe, rejitter, queue, retention_days })
}

/// Leave to end the waits of open circuits. The action knows no resources: whom it reaches is decided by the token, which only
/// the table holds.
pub fn wake_owners() -> Statement {
    Statement::allow("WakeOwners", &["states:SendTaskSuccess"], vec!["*".into()])
}

fn table(template: &mut Template, config: &BreakerConfig) -> Handle {
    let properties = Table {
        attribute_definitions: vec![AttributeDefinition {
            attribute_name: item::CIRCUIT,
            attribute_type: "S",
        }],
        key_schema: vec![KeySchema { attribute_name: item::CIRCUIT, key_type: "HASH" }],
        billing_mode: "PAY_PER_REQUEST",
        sse_specification: SseSpecification { sse_enabled: true },
        point_in_time_recovery_specification: PointInTimeRecovery { point_in_time_recovery_enabled: true },
    };
    // While a circuit is open, its item holds the only record of the settings that its mapping is to get back. A
    // consumer that exists already outlives the stack, and so must the record. The example's mapping goes with the
    // stack, and nothing should be left behind of an example.
    let outlived = config.circuits.values().any(|circuit| circuit.consumer.is_some());
    let deletion = if outlived { Deletion::Retain } else { Deletion::Delete };
    template.resource_with(
        &Scope::root().child("CircuitTable"),
        properties,
        Attributes { deletion: Some(deletion), ..Attributes::default() },
    )
}

/// Every function reads the circuit's item before it acts, to see whether the execution still owns the circuit.
fn read_circuit(table: &Handle) -> Statement {
    Statement::allow("ReadCircuit", &["dynamodb:GetItem"], vec![table.arn()])
}

fn each(guarded: &[&Guarded], pick: impl Fn(&Guarded) -> Option<Text>) -> Vec<Text> {
    let mut texts: Vec<Text> = guarded.iter().filter_map(|one| pick(one)).collect();
    texts.sort();
    texts.dedup();
    texts
}

fn mapping_statements(table: &Handle, guarded: &[&Guarded]) -> Vec<Statement> {
    vec![
        read_circuit(table),
        Statement::allow(
            "SwitchMappings",
            &["lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping"],
            each(guarded, |one| Some(one.mapping_arn.clone())),
        ),
        Statement::allow(
            "CountInFlight",
            &["sqs:GetQueueAttributes"],
            each(guarded, |one| Some(one.queue_arn.clone())),
        ),
    ]
}

fn probe_statements(table: &Handle, guarded: &[&Guarded]) -> Vec<Statement> {
    let mut statements = queue_statements(table, guarded);
    statements.push(Statement::allow(
        "InvokeConsumers",
        &["lambda:InvokeFunction"],
        each(guarded, |one| Some(one.function_arn.clone())),
    ));
    statements.push(Statement::allow(
        "SeeWhetherMappingsAreDisabled",
        &["lambda:GetEventSourceMapping"],
        each(guarded, |one| Some(one.mapping_arn.clone())),
    ));
    statements
}

/// Looking at the queues; what changes them only for the circuits that ask for it.
fn loss_clock_statements(table: &Handle, guarded: &[&Guarded]) -> Vec<Statement> {
    let redriven = |pick: fn(&DeadLetterQueue) -> Option<Text>| {
        each(guarded, |one| one.dead_letter.as_ref().filter(|_| one.redrives).and_then(pick))
    };
    let mut looked_at = each(guarded, |one| Some(one.queue_arn.clone()));
    looked_at.extend(each(guarded, |one| one.dead_letter.as_ref().map(|queue| queue.arn.clone())));
    looked_at.sort();
    looked_at.dedup();
    let mut keys = redriven(|queue| queue.kms_key_arn.clone());
    keys.extend(each(guarded, |one| one.kms_key_arn.clone().filter(|_| one.redrives)));
    keys.sort();
    keys.dedup();
    vec![
        read_circuit(table),
        Statement::allow("SeeRetention", &["sqs:GetQueueAttributes"], looked_at),
        Statement::allow(
            "RaiseRetention",
            &["sqs:SetQueueAttributes"],
            each(guarded, |one| one.raises_retention.then(|| one.queue_arn.clone())),
        ),
        // SQS moves messages with the permissions of whoever starts the move.
        Statement::allow(
            "RedriveDeadLetters",
            &["sqs:StartMessageMoveTask", "sqs:ReceiveMessage", "sqs:DeleteMessage"],
            redriven(|queue| Some(queue.arn.clone())),
        ),
        Statement::allow(
            "TakeDeadLettersBack",
            &["sqs:SendMessage"],
            each(guarded, |one| one.redrives.then(|| one.queue_arn.clone())),
        ),
        Statement::allow("UseRedrivenQueuesKeys", &["kms:Decrypt", "kms:GenerateDataKey"], keys),
    ]
}

/// Receiving, giving back, copying and deleting: what the probe does to one message, and the re-jitter to many.
fn queue_statements(table: &Handle, guarded: &[&Guarded]) -> Vec<Statement> {
    let queue_actions = [
        "sqs:ReceiveMessage",
        "sqs:ChangeMessageVisibility",
        "sqs:SendMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
    ];
    vec![
        read_circuit(table),
        Statement::allow("UseQueues", &queue_actions, each(guarded, |one| Some(one.queue_arn.clone()))),
        // Reading an encrypted message needs Decrypt, sending a copy needs both.
        Statement::allow(
            "UseQueueKeys",
            &["kms:Decrypt", "kms:GenerateDataKey"],
            each(guarded, |one| one.kms_key_arn.clone()),
        ),
    ]
}

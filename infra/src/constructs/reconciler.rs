//! The reconciler: one function for all circuits of a stack, and for each circuit a rule that invokes it, every minute and
//! whenever one of the circuit's executions ends without success.

use std::collections::BTreeMap;

use serde_json::json;
use workflow::circuit::watch_key;
use workflow::config::{AlarmSignal, CircuitConfig};
use workflow::contract::{ENV_CIRCUIT_TABLE, FunctionKind};
use workflow::definition::RECONCILER_TIMEOUT_S;

use super::Guarded;
use super::alarms::TripAlarm;
use super::breaker::EVENT_BUS;
use super::function::{FunctionSettings, function};
use super::invocation::Invocation;
use super::shared::{Shared, wake_owners};
use crate::assets::Assets;
use crate::error::SynthError;
use crate::policy::{Condition, Statement};
use crate::resources::events::RetryPolicy;
use crate::template::{Handle, Scope, Template};
use crate::text::Text;

/// How often the reconciler looks at each circuit.
const SCHEDULE: &str = "rate(1 minute)";
/// For how long EventBridge tries to invoke it, seconds: the next look comes in a minute and knows more.
const MAX_AGE_S: u32 = 60;
/// Most attempts of EventBridge.
const MAX_ATTEMPTS: u32 = 2;

/// A circuit as the reconciler sees it.
#[derive(Debug)]
pub struct Watched<'a> {
    /// Name of the circuit.
    pub name: &'a str,
    /// Its settings.
    pub circuit: &'a CircuitConfig,
    /// What it guards.
    pub guarded: &'a Guarded,
    /// Its state machine.
    pub machine: Handle,
    /// Its alarm.
    pub alarm: TripAlarm,
}

/// Adds the function and the rules of every circuit.
///
/// # Errors
/// [`SynthError::PolicyTooLong`] when its role would have to name too much.
pub fn reconciler(
    template: &mut Template,
    assets: &Assets,
    shared: &Shared,
    watched: &[Watched<'_>],
) -> Result<(), SynthError> {
    let settings = FunctionSettings {
        kind: FunctionKind::Reconciler,
        description: "Compares what is with what should be, and starts an execution where one is missing",
        timeout_s: RECONCILER_TIMEOUT_S,
        variables: BTreeMap::from([(ENV_CIRCUIT_TABLE, shared.table.reference())]),
        statements: statements(shared, watched),
        retention_days: shared.retention_days,
    };
    let handle = function(template, &Scope::root(), assets, settings)?;
    for circuit in watched {
        rule(template, circuit, &handle);
    }
    Ok(())
}

fn statements(shared: &Shared, watched: &[Watched<'_>]) -> Vec<Statement> {
    let each = |pick: &dyn Fn(&Watched<'_>) -> Text| {
        let mut texts: Vec<Text> = watched.iter().map(pick).collect();
        texts.sort();
        texts.dedup();
        texts
    };
    let own_items = watched.iter().map(|one| watch_key(one.name).into()).collect();
    let bus =
        format!("arn:${{AWS::Partition}}:events:${{AWS::Region}}:${{AWS::AccountId}}:event-bus/{EVENT_BUS}");
    vec![
        Statement::allow("ReadCircuits", &["dynamodb:GetItem"], vec![shared.table.arn()]),
        // Its own items only: a circuit's item is written by its executions and nobody else.
        Statement::allow("RememberWhatWasSaid", &["dynamodb:PutItem"], vec![shared.table.arn()])
            .when(Condition::new("ForAllValues:StringEquals", "dynamodb:LeadingKeys", own_items)),
        Statement::allow(
            "SeeMappings",
            &["lambda:GetEventSourceMapping"],
            each(&|one| one.guarded.mapping_arn.clone()),
        ),
        Statement::allow(
            "SeeAlarms",
            &["cloudwatch:DescribeAlarms"],
            each(&|one| one.alarm.described_at.clone()),
        ),
        Statement::allow(
            "StartExecutions",
            &["states:StartExecution", "states:ListExecutions"],
            each(&|one| one.machine.reference()),
        ),
        // The owner of a circuit may be any earlier execution, so the last part cannot be exact.
        Statement::allow(
            "SeeWhetherOwnersLive",
            &["states:DescribeExecution"],
            each(&|one| {
                Text::sub(format!(
                    "arn:${{AWS::Partition}}:states:${{AWS::Region}}:${{AWS::AccountId}}:execution:${{{}.Name}}:*",
                    one.machine.logical_id()
                ))
            }),
        ),
        wake_owners(),
        Statement::allow("Announce", &["events:PutEvents"], vec![Text::sub(bus)]),
    ]
}

fn rule(template: &mut Template, watched: &Watched<'_>, function: &Handle) {
    let invocation = Invocation {
        id: "Reconciler",
        description: format!(
            "Looks at circuit {} every minute, and when an execution of it failed",
            watched.name
        ),
        // It is also what makes up for an invocation that was lost.
        schedule_expression: Some(SCHEDULE),
        event_pattern: json!({
            "source": ["aws.states"],
            "detail-type": ["Step Functions Execution Status Change"],
            "detail": {
                "stateMachineArn": [watched.machine.reference()],
                "status": ["FAILED", "TIMED_OUT", "ABORTED"],
            },
        }),
        input: Some(input(watched)),
        retry_policy: RetryPolicy {
            maximum_event_age_in_seconds: MAX_AGE_S,
            maximum_retry_attempts: MAX_ATTEMPTS,
        },
    };
    invocation.add_to(template, &Scope::root().child(watched.name), "Reconcile", function);
}

/// A [`workflow::contract::ReconcileRequest`], with what only a deployment knows filled in.
fn input(watched: &Watched<'_>) -> Text {
    let needs_event_metrics = match watched.circuit.alarm.signal {
        AlarmSignal::MappingEvents | AlarmSignal::FailedCount => true,
        AlarmSignal::FunctionErrors | AlarmSignal::Existing => false,
    };
    let composite = watched.circuit.alarm.signal == AlarmSignal::Existing
        && watched.circuit.alarm.existing_alarm_is_composite;
    let raises_retention = watched.circuit.retention.raise_to_s.is_some();
    let fields = [
        ("circuit", watched.name.into()),
        ("machine_arn", watched.machine.reference()),
        ("mapping_uuid", watched.guarded.mapping_uuid.clone()),
        ("alarm_name", watched.alarm.name.clone()),
    ];
    let mut parts = Vec::new();
    for (index, (name, value)) in fields.into_iter().enumerate() {
        parts.push(Text::literal(format!("{}\"{name}\":", if index == 0 { "{" } else { "," })));
        match value {
            Text::Literal(text) => parts.push(json!(text).to_string().into()),
            other => parts.extend(["\"".into(), other, "\"".into()]),
        }
    }
    parts.push(Text::literal(format!(
        ",\"alarm_is_composite\":{composite},\"needs_event_metrics\":{needs_event_metrics},\"raises_retention\":{raises_retention}}}"
    )));
    Text::joined(parts)
}

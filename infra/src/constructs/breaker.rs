//! The circuit breaker of one consumer: the state machine, and the rules by which an alarm trips it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use workflow::config::CircuitConfig;
use workflow::contract::{Trigger, TripRequest};
use workflow::definition::placeholder;
use workflow::events::{REQUEST_SOURCE, TRIP_REQUESTED};

use super::Guarded;
use super::alarms::{TripAlarm, trip_alarm};
use super::function::role;
use super::shared::Shared;
use crate::definition::{Definition, Integration};
use crate::error::SynthError;
use crate::policy::{Condition, PolicyDocument, Principal, Statement};
use crate::resources::events::{DeadLetterConfig, InputTransformer, RetryPolicy, Rule, Target};
use crate::resources::iam::Policy;
use crate::resources::sqs::{MAX_RETENTION_S, Queue, QueuePolicy};
use crate::resources::stepfunctions::StateMachine;
use crate::template::{Attributes, Deletion, Handle, Scope, Template};
use crate::text::Text;

/// The bus for announcements and requests. Alarms report on the default bus only, and one bus is enough.
pub const EVENT_BUS: &str = "default";

/// For how long EventBridge tries to start the state machine, seconds. A trip that is an hour late says nothing any
/// more about the consumer; what could not be delivered by then lies in the undelivered queue.
const TRIP_MAX_AGE_S: u32 = 3_600;

/// Most attempts of EventBridge to deliver (its maximum); the age ends them first.
const TRIP_MAX_ATTEMPTS: u32 = 185;

/// A circuit breaker attached to a function, its queue and its mapping.
#[derive(Debug)]
pub struct CircuitBreaker<'a> {
    /// Name of the circuit.
    pub name: &'a str,
    /// Its settings.
    pub circuit: &'a CircuitConfig,
    /// What it guards.
    pub guarded: &'a Guarded,
    /// What it shares with other circuits.
    pub shared: &'a Shared,
    /// The workflow.
    pub definition: &'a Definition,
}

impl CircuitBreaker<'_> {
    /// Adds its resources; gives the state machine and the alarm.
    ///
    /// # Errors
    /// [`SynthError::PolicyTooLong`], which a single circuit's policy never is.
    pub fn add_to(&self, template: &mut Template) -> Result<(Handle, TripAlarm), SynthError> {
        let scope = Scope::root().child(self.name);
        let alarm = trip_alarm(template, &scope, self.name, self.circuit, self.guarded);
        let (machine, ready) = self.state_machine(template, &scope, &alarm)?;
        self.rules(template, &scope, &alarm, &machine, ready)?;
        template.output(&scope.child("StateMachineArn"), "ARN of the state machine", &machine.reference());
        template.output(&scope.child("FailureAlarmName"), "Name of the alarm", &alarm.name);
        Ok((machine, alarm))
    }

    /// The state machine, and what must exist before it can be started.
    fn state_machine(
        &self,
        template: &mut Template,
        scope: &Scope,
        alarm: &TripAlarm,
    ) -> Result<(Handle, Vec<Handle>), SynthError> {
        let calls = &self.definition.integrations;
        let role_scope = scope.child("StateMachineRole");
        let permissions = role("states.amazonaws.com", self.permissions(calls, alarm), &role_scope)?;
        let role = template.resource(&role_scope, permissions);
        let machine = template.resource(
            &scope.child("StateMachine"),
            StateMachine {
                state_machine_type: "STANDARD",
                role_arn: role.arn(),
                definition_string: self.definition.text.clone(),
                definition_substitutions: self.substitutions(alarm),
            },
        );
        // Permissions on the state machine itself come afterwards, as it needs its role first.
        let on_itself = own_permissions(calls, &machine);
        let mut ready = Vec::new();
        if !on_itself.is_empty() {
            ready.push(template.resource(
                &scope.child("ExecutionPolicy"),
                Policy {
                    policy_name: "OwnExecutions",
                    roles: vec![role.reference()],
                    policy_document: on_itself,
                },
            ));
        }
        Ok((machine, ready))
    }

    fn substitutions(&self, alarm: &TripAlarm) -> BTreeMap<String, Text> {
        let supplied = |name: &String| {
            let value = match name.as_str() {
                placeholder::CIRCUIT_TABLE => self.shared.table.reference(),
                placeholder::MAPPING_FUNCTION => self.shared.mapping.arn(),
                placeholder::PROBE_FUNCTION => self.shared.probe.arn(),
                placeholder::REJITTER_FUNCTION => self.shared.rejitter.arn(),
                placeholder::QUEUE_FUNCTION => self.shared.queue.arn(),
                placeholder::CONSUMER_FUNCTION => self.guarded.function_arn.clone(),
                placeholder::QUEUE_URL => self.guarded.queue_url.clone(),
                placeholder::QUEUE_ARN => self.guarded.queue_arn.clone(),
                placeholder::DEAD_LETTER_QUEUE_URL => self.guarded.dead_letter.as_ref()?.url.clone(),
                placeholder::DEAD_LETTER_QUEUE_ARN => self.guarded.dead_letter.as_ref()?.arn.clone(),
                placeholder::MAPPING_UUID => self.guarded.mapping_uuid.clone(),
                placeholder::ALARM_NAME => alarm.name.clone(),
                placeholder::HEALTH_CHECK_FUNCTION => self.guarded.health_check_function_arn.clone()?,
                placeholder::EVENT_BUS => EVENT_BUS.into(),
                _ => return None,
            };
            Some((name.clone(), value))
        };
        self.definition.placeholders.iter().filter_map(supplied).collect()
    }

    /// What the states call, on what they call it.
    fn permissions(&self, calls: &BTreeSet<Integration>, alarm: &TripAlarm) -> PolicyDocument {
        let bus = format!(
            "arn:${{AWS::Partition}}:events:${{AWS::Region}}:${{AWS::AccountId}}:event-bus/{EVENT_BUS}"
        );
        let one = |sid, action, resource| Statement::allow(sid, &[action], vec![resource]);
        let statement = |call: &Integration| match call {
            Integration::InvokeFunction => {
                Some(Statement::allow("InvokeFunctions", &["lambda:InvokeFunction"], self.invoked()))
            }
            Integration::GetItem => Some(one("ReadCircuit", "dynamodb:GetItem", self.shared.table.arn())),
            Integration::UpdateItem => {
                Some(one("WriteCircuit", "dynamodb:UpdateItem", self.shared.table.arn()))
            }
            Integration::PutEvents => Some(one("Announce", "events:PutEvents", Text::sub(bus.clone()))),
            Integration::DescribeAlarms => {
                Some(one("ReadAlarm", "cloudwatch:DescribeAlarms", alarm.described_at.clone()))
            }
            // The action knows no resources.
            Integration::GetMetricData => Some(one("ReadFailures", "cloudwatch:GetMetricData", "*".into())),
            Integration::SetAlarmState => {
                Some(one("ResetAlarm", "cloudwatch:SetAlarmState", alarm.arn.clone()))
            }
            Integration::DescribeExecution | Integration::StartExecution => None,
        };
        PolicyDocument::new(calls.iter().filter_map(statement).collect())
    }

    /// The functions that the states invoke themselves; the consumer is invoked by the probe.
    fn invoked(&self) -> Vec<Text> {
        let used = |name: &str| self.definition.placeholders.contains(name);
        let functions = [
            (placeholder::MAPPING_FUNCTION, &self.shared.mapping),
            (placeholder::PROBE_FUNCTION, &self.shared.probe),
            (placeholder::REJITTER_FUNCTION, &self.shared.rejitter),
            (placeholder::QUEUE_FUNCTION, &self.shared.queue),
        ];
        let own = functions.iter().filter(|(name, _)| used(name)).map(|(_, function)| function.arn());
        own.chain(self.guarded.health_check_function_arn.clone()).collect()
    }

    fn rules(
        &self,
        template: &mut Template,
        scope: &Scope,
        alarm: &TripAlarm,
        machine: &Handle,
        ready: Vec<Handle>,
    ) -> Result<(), SynthError> {
        let undelivered = template.resource_with(
            &scope.child("UndeliveredQueue"),
            Queue {
                message_retention_period: MAX_RETENTION_S,
                sqs_managed_sse_enabled: Some(true),
                ..Queue::default()
            },
            Attributes { deletion: Some(Deletion::Delete), ..Attributes::default() },
        );
        let start =
            Statement::allow("StartStateMachine", &["states:StartExecution"], vec![machine.reference()]);
        let role_scope = scope.child("RuleRole");
        let role = role("events.amazonaws.com", PolicyDocument::new(vec![start]), &role_scope)?;
        let role = template.resource(&role_scope, role);
        let mut rule = |segment: &str, description, event_pattern, input_transformer| {
            let target = Target {
                id: "StateMachine",
                arn: machine.reference(),
                role_arn: Some(role.arn()),
                input: None,
                input_transformer: Some(input_transformer),
                retry_policy: RetryPolicy {
                    maximum_event_age_in_seconds: TRIP_MAX_AGE_S,
                    maximum_retry_attempts: TRIP_MAX_ATTEMPTS,
                },
                dead_letter_config: Some(DeadLetterConfig { arn: undelivered.arn() }),
            };
            let attributes = Attributes { depends_on: ready.clone(), ..Attributes::default() };
            template.resource_with(
                &scope.child(segment),
                Rule { description, schedule_expression: None, event_pattern, targets: vec![target] },
                attributes,
            )
        };
        let rules = [
            rule(
                "AlarmRule",
                format!("Trips circuit {} when its alarm fires", self.name),
                json!({
                    "source": ["aws.cloudwatch"],
                    "detail-type": ["CloudWatch Alarm State Change"],
                    "resources": [alarm.arn],
                    "detail": { "state": { "value": ["ALARM"] } },
                }),
                self.trip_request(Trigger::Alarm, "$.detail.state.reason"),
            ),
            rule(
                "RequestRule",
                format!("Trips circuit {} when somebody asks for it", self.name),
                json!({
                    "source": [REQUEST_SOURCE],
                    "detail-type": [TRIP_REQUESTED],
                    "detail": { "circuit": [self.name] },
                }),
                self.trip_request(Trigger::Event, "$.detail.reason"),
            ),
        ];
        let from_rules =
            Condition::new("ArnEquals", "aws:SourceArn", rules.iter().map(Handle::arn).collect());
        let send = Statement::allow("KeepUndeliveredTrips", &["sqs:SendMessage"], vec![undelivered.arn()])
            .to(Principal::Service("events.amazonaws.com".to_owned()))
            .when(from_rules);
        template.resource(
            &scope.child("UndeliveredQueuePolicy"),
            QueuePolicy {
                queues: vec![undelivered.reference()],
                policy_document: PolicyDocument::new(vec![send]),
            },
        );
        let output = scope.child("UndeliveredQueueUrl");
        template.output(
            &output,
            "URL of the queue with trips that could not be delivered",
            &undelivered.reference(),
        );
        Ok(())
    }

    /// The workflow's input, made of an event.
    fn trip_request(&self, trigger: Trigger, reason_path: &'static str) -> InputTransformer {
        let request = TripRequest {
            circuit: self.name.to_owned(),
            trigger,
            reason: "<reason>".to_owned(),
            at: "<at>".to_owned(),
            hold: None,
            restore_retention_of: None,
        };
        let quoted = serde_json::to_string(&request).expect("a trip request is plain data");
        InputTransformer {
            input_paths_map: BTreeMap::from([("at", "$.time"), ("reason", reason_path)]),
            input_template: quoted.replace("\"<reason>\"", "<reason>").replace("\"<at>\"", "<at>"),
        }
    }
}

/// Permissions of a state machine on itself and on its executions.
fn own_permissions(calls: &BTreeSet<Integration>, machine: &Handle) -> PolicyDocument {
    let statement = |call: &Integration| match call {
        // The owner of a circuit may be any earlier execution, so the last part cannot be exact.
        Integration::DescribeExecution => Some(Statement::allow(
            "SeeWhetherOwnerLives",
            &["states:DescribeExecution"],
            vec![Text::sub(format!(
                "arn:${{AWS::Partition}}:states:${{AWS::Region}}:${{AWS::AccountId}}:execution:${{{}.Name}}:*",
                machine.logical_id()
            ))],
        )),
        Integration::StartExecution => {
            Some(Statement::allow("HandOver", &["states:StartExecution"], vec![machine.reference()]))
        }
        Integration::InvokeFunction
        | Integration::GetItem
        | Integration::UpdateItem
        | Integration::PutEvents
        | Integration::DescribeAlarms
        | Integration::GetMetricData
        | Integration::SetAlarmState => None,
    };
    PolicyDocument::new(calls.iter().filter_map(statement).collect())
}

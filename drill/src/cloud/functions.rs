//! Lambda functions: the consumer and the breaker's own. The handlers are the real ones.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use lambdas::consumer::{self, ConsumerSettings};
use lambdas::failure::{HandlerError, decode};
use lambdas::signal::Dependencies;
use lambdas::{mapping, probe, queue, reconciler, rejitter, signal};
use serde_json::{Value, json};
use workflow::contract::{
    ENV_CIRCUITS, ENV_SHOULD_ERROR, FunctionKind, MappingRequest, ProbeRequest, QueueRequest,
    ReconcileRequest, RejitterRequest, SignalEvent,
};

use super::cloudformation::Resource;
use super::cloudwatch::{Metrics, SeriesId, SeriesKey};
use super::error::ServiceError;
use super::ports::{ConsumerPorts, Ports};
use super::world::{Cloud, CloudError, text, variables, whole};
use crate::checkers::{Actor, Observation};
use crate::scenario::Dependency;
use crate::sim::{Either, race, timeout};

/// How long a dependency that hangs keeps a caller: longer than any function may run.
pub(super) const HANGS_FOR: Duration = Duration::from_secs(3_600);

/// A function of the stack.
pub struct Function {
    /// ARN.
    pub arn: String,
    /// Which of the project's binaries it runs.
    pub kind: FunctionKind,
    /// Its timeout.
    pub timeout: Duration,
    /// Its role.
    pub role_arn: String,
    memory_mb: u64,
    variables: BTreeMap<String, String>,
    invocations: SeriesId,
    errors: SeriesId,
}

impl Function {
    /// The function of a template's resource. Its `Handler` names the binary, as on AWS.
    ///
    /// # Errors
    /// A handler that is none of the project's.
    pub fn create(resource: &Resource, metrics: &mut Metrics) -> Result<Function, CloudError> {
        let properties = &resource.properties;
        let handler = text(properties, "Handler").unwrap_or_default();
        let kind = FunctionKind::from_name(handler)
            .ok_or_else(|| CloudError::resource(resource, format!("no binary is named {handler:?}")))?;
        let dimension = [("FunctionName", resource.name.as_str())];
        let mut series = |name: &str| metrics.intern(SeriesKey::new("AWS/Lambda", name, &dimension));
        Ok(Function {
            arn: resource.arn.clone().unwrap_or_default(),
            kind,
            timeout: Duration::from_secs(whole(properties, "Timeout").unwrap_or(3)),
            role_arn: text(properties, "Role").unwrap_or_default().to_owned(),
            memory_mb: whole(properties, "MemorySize").unwrap_or(128),
            variables: variables(properties),
            invocations: series("Invocations"),
            errors: series("Errors"),
        })
    }

    /// What its environment says of the stack's circuits, read as the deployed binary reads it; none where it says nothing.
    fn dependencies(&self) -> Dependencies {
        let text = self.variables.get(ENV_CIRCUITS);
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// The toggle of a drill.
    pub(super) fn set_should_error(&mut self, should_error: bool) {
        if self.kind == FunctionKind::Consumer {
            self.variables.insert(ENV_SHOULD_ERROR.to_owned(), should_error.to_string());
        }
    }
}

/// What the consumer is invoked with.
pub(super) enum ConsumerPayload {
    /// The very bytes that somebody sent, read as JSON: what a probe sends.
    Json(Value),
    /// An event that needs no reading: what a mapping delivers, a hundred thousand times in a drill.
    Event(SqsEvent),
}

impl ConsumerPayload {
    /// Id of the message at this place of the event.
    pub(super) fn message_id(&self, at: usize) -> Option<&str> {
        match self {
            ConsumerPayload::Json(payload) => payload.get("Records")?.get(at)?.get("messageId")?.as_str(),
            ConsumerPayload::Event(event) => event.records.get(at)?.message_id.as_deref(),
        }
    }
}

/// What an invocation of the consumer came to.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerOutcome {
    /// `X-Amz-Function-Error`.
    pub function_error: Option<&'static str>,
    /// The answer, or the error object.
    pub payload: Value,
}

impl ConsumerOutcome {
    fn failed(error_type: &str, message: &str) -> ConsumerOutcome {
        let payload = json!({ "errorType": error_type, "errorMessage": message });
        ConsumerOutcome { function_error: Some("Unhandled"), payload }
    }
}

impl Cloud {
    /// Runs the consumer on an event whose messages have these numbers, in its order.
    pub(super) async fn run_consumer(
        &self,
        function_arn: &str,
        payload: &ConsumerPayload,
        traces: &[u32],
        by: Actor,
    ) -> ConsumerOutcome {
        let (limit, memory_mb, invocations, errors, mut settings) = {
            let functions = self.functions.borrow();
            let Some(function) = functions.get(function_arn) else {
                return ConsumerOutcome::failed("ResourceNotFoundException", "there is no such function");
            };
            let settings = ConsumerSettings::from_variables(|name| function.variables.get(name).cloned());
            (function.timeout, function.memory_mb, function.invocations, function.errors, settings)
        };
        let dependency = self.dependency();
        if let Dependency::Flaky(percent) = dependency {
            settings.should_error = self.chance(percent);
        }
        // The books are kept from the ledger that the consumer writes, wherever it would write it.
        settings.ledger_queue_url = Some("ledger".to_owned());
        let (started, started_ms) = (self.now(), self.now_ms());
        self.observe(&Observation::Invoked(by));
        self.with_scribe(|scribe| traces.iter().for_each(|trace| scribe.books.tried(*trace)));
        let pause = if settings.should_error { &self.knobs.failing_ms } else { &self.knobs.healthy_ms };
        let pause = self.draw(pause);
        let hangs = dependency == Dependency::Hanging;
        let ports = ConsumerPorts { cloud: self, payload, traces, hangs };
        let work = async {
            self.sim.sleep(pause).await;
            match payload {
                ConsumerPayload::Json(payload) => consumer::handle(payload.clone(), &settings, &ports).await,
                ConsumerPayload::Event(event) => consumer::handle_event(event, &settings, &ports).await,
            }
        };
        let outcome = match timeout(&self.sim, limit, work).await {
            Ok(Ok(answer)) => ConsumerOutcome { function_error: None, payload: json!(answer) },
            Ok(Err(error)) => ConsumerOutcome::failed(error.error_type(), &error.to_string()),
            Err(_) => ConsumerOutcome::failed(
                "Sandbox.Timedout",
                &format!("Error: Task timed out after {:.2} seconds", limit.as_secs_f64()),
            ),
        };
        let failed = outcome.function_error.is_some();
        {
            let mut metrics = self.metrics.borrow_mut();
            metrics.put(invocations, started_ms, 1.0);
            metrics.put(errors, started_ms, f64::from(u8::from(failed)));
        }
        let reported = outcome.payload.get("batchItemFailures").and_then(Value::as_array).map_or(0, Vec::len);
        let wasted = failed || reported > 0;
        if wasted {
            let took = self.now() - started;
            self.with_scribe(|scribe| scribe.usage.wasted.add(memory_mb, took));
        }
        self.settle_invocation(by, wasted, reported < traces.len() && !failed);
        outcome
    }

    /// Notes how an invocation ended, and the times that the balance is made from.
    fn settle_invocation(&self, by: Actor, wasted: bool, delivered: bool) {
        self.observe(&Observation::Ended(by));
        if wasted {
            self.observe(&Observation::ConsumerFailed(by));
        }
        let healthy = self.dependency() == Dependency::Healthy;
        let now = self.now();
        self.with_scribe(|scribe| {
            if wasted {
                scribe.counts.wasted_invocations += 1;
                if !healthy && by == Actor::Mapping {
                    scribe.milestones.first_failure.get_or_insert(now);
                }
            }
            if delivered && healthy && by == Actor::Mapping && scribe.milestones.recovered.is_some() {
                scribe.milestones.first_delivery.get_or_insert(now);
            }
        });
    }

    /// Invokes one of the breaker's functions.
    ///
    /// # Errors
    /// The error's name and its text, as Step Functions sees them.
    pub(super) async fn run_function(
        &self,
        function_arn: &str,
        payload: Value,
    ) -> Result<Value, (String, String)> {
        let found = {
            let functions = self.functions.borrow();
            functions.get(function_arn).map(|function| {
                let dependencies = function.dependencies();
                (function.kind, function.timeout, function.memory_mb, function.role_arn.clone(), dependencies)
            })
        };
        let Some((kind, limit, memory_mb, role_arn, dependencies)) = found else {
            return Err((
                "Lambda.ResourceNotFoundException".to_owned(),
                format!("there is no function {function_arn}"),
            ));
        };
        let started = self.now();
        let ports = Ports::new(self, kind, role_arn, &payload);
        let crashed = ports.crashed();
        let run = timeout(&self.sim, limit, run_handler(kind, payload, limit, &dependencies, &ports));
        let (killed, outcome) = match race(run, crashed.notified()).await {
            Either::Left(Ok(Ok(answer))) => (false, Ok(answer)),
            Either::Left(Ok(Err(error))) => {
                (false, Err((error.error_type().to_owned(), error.error_message())))
            }
            Either::Left(Err(_)) => {
                let text = format!("Task timed out after {} s", limit.as_secs());
                (true, Err(("Sandbox.Timedout".to_owned(), text)))
            }
            Either::Right(()) => {
                let text = "RequestId: 0 Error: Runtime exited with error: exit status 1";
                (true, Err(("Runtime.ExitError".to_owned(), text.to_owned())))
            }
        };
        ports.end(killed);
        let took = self.now() - started;
        self.with_scribe(|scribe| scribe.usage.breaker.add(memory_mb, took));
        outcome
    }

    /// A name for a function's ARN to be refused with.
    pub(super) fn no_such_function(arn: &str) -> ServiceError {
        ServiceError::new(404, "ResourceNotFoundException", format!("there is no function {arn}"))
    }
}

async fn run_handler(
    kind: FunctionKind,
    payload: Value,
    limit: Duration,
    dependencies: &Dependencies,
    ports: &Ports<'_>,
) -> Result<Value, HandlerError> {
    match kind {
        FunctionKind::Mapping => {
            let request: MappingRequest = decode(payload)?;
            mapping::handle(&request, ports).await.map(|answer| json!(answer))
        }
        FunctionKind::Probe => {
            let request: ProbeRequest = decode(payload)?;
            probe::handle(&request, ports).await.map(|answer| json!(answer))
        }
        FunctionKind::Rejitter => {
            let request: RejitterRequest = decode(payload)?;
            rejitter::handle(&request, limit, ports).await.map(|answer| json!(answer))
        }
        FunctionKind::Queue => {
            let request: QueueRequest = decode(payload)?;
            queue::handle(&request, ports).await.map(|answer| json!(answer))
        }
        FunctionKind::Reconciler => {
            let request: ReconcileRequest = decode(payload)?;
            reconciler::handle(&request, ports).await.map(|answer| json!(answer))
        }
        FunctionKind::Signal => {
            let event: SignalEvent = decode(payload)?;
            signal::handle(&event, dependencies, ports).await.map(|answer| json!(answer))
        }
        FunctionKind::Consumer => {
            Err(HandlerError::InvalidRequest("the workflow does not call the consumer itself".to_owned()))
        }
    }
}

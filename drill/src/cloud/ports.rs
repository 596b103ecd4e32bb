//! The handlers' ports on the modelled cloud. Each call takes its latency and is allowed, or not, by the policies of
//! the role that the template gives the function.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use lambdas::ports::{
    BatchResult, CallError, CallErrorKind, Chance, Circuits, Clock, ConcurrencyUpdate, EventSourceMappings,
    Functions, Invocation, Ledger, MappingDescription, MappingState, MappingUpdate, Message,
    MessageAttribute, MessageAttributes, Messages, Outgoing, QueueCounts, QueueDescription, Queues,
    REPORT_BATCH_ITEM_FAILURES, Receive, VisibilityChange, Work,
};
use rand::RngExt as _;
use serde_json::{Value, json};
use workflow::circuit::item;
use workflow::contract::FunctionKind;

use super::error::ServiceError;
use super::functions::{ConsumerPayload, HANGS_FOR};
use super::mappings::Update;
use super::queues::QueueId;
use super::sqs::{self, ReceiveRequest, ReceivedMessage, SendRequest};
use super::world::{Cloud, World};
use crate::checkers::{Actor, Observation};
use crate::faults::{CallVerdict, FaultKind};
use crate::message;
use crate::sim::{Notify, Time, race, timeout};

/// The ports of one invocation of one of the breaker's functions.
pub struct Ports<'a> {
    pub(super) cloud: &'a Cloud,
    actor: Actor,
    role_arn: String,
    /// Whether its calls take their latency from the stream of what happens beside the breaker's work.
    aside: bool,
    /// The epoch that the request claims.
    epoch: Option<u64>,
    /// Whether to spread by requeuing: because the request says so, because the backlog is beyond the quota of messages in
    /// flight, or because that is used up.
    requeues: Cell<bool>,
    /// When the owner was read last.
    fenced_at: Cell<Option<Time>>,
    /// Told when a fault kills the invocation.
    crashed: Notify,
    /// Whether a fault befell a call that moves messages.
    struck: Cell<bool>,
    /// Messages received, by receipt handle.
    held: RefCell<BTreeMap<String, u32>>,
    /// Messages with a copy whose original is still to be deleted.
    copied: RefCell<Vec<u32>>,
}

/// How the answer of a call comes back.
pub(super) enum Answer {
    Prompt,
    Late(Duration),
    Lost(Duration),
}

impl<'a> Ports<'a> {
    /// Ports that act with the function's role, for this request.
    pub fn new(cloud: &'a Cloud, kind: FunctionKind, role_arn: String, request: &Value) -> Ports<'a> {
        let actor = match kind {
            FunctionKind::Mapping
            | FunctionKind::Queue
            | FunctionKind::Reconciler
            | FunctionKind::Signal
            | FunctionKind::Consumer => Actor::Mapping,
            FunctionKind::Probe => Actor::Probe,
            FunctionKind::Rejitter => Actor::Rejitter,
        };
        Ports {
            cloud,
            actor,
            role_arn,
            epoch: request.pointer("/fence/epoch").and_then(Value::as_u64),
            requeues: Cell::new(
                [request.get("strategy"), request.pointer("/progress/strategy")]
                    .contains(&Some(&json!("requeue"))),
            ),
            fenced_at: Cell::new(None),
            crashed: Notify::new(),
            struck: Cell::new(false),
            held: RefCell::default(),
            copied: RefCell::default(),
            aside: kind == FunctionKind::Reconciler,
        }
    }

    /// Told when a fault kills the invocation.
    pub fn crashed(&self) -> Notify {
        self.crashed.clone()
    }

    /// The invocation is over. One that was killed, or whose calls failed, could not give back what it held, nor delete
    /// what it had copied; any other has no excuse.
    pub fn end(&self, killed: bool) {
        if killed {
            self.excuse_held();
        }
        if !killed && !self.struck.get() {
            for trace in self.copied.borrow().iter() {
                self.cloud.observe(&Observation::CopyLeftBeside { trace: *trace });
            }
        }
    }

    /// A fault keeps it from giving back whatever it has received.
    fn excuse_held(&self) {
        self.excuse(self.held.borrow().values().copied());
    }

    fn excuse(&self, traces: impl Iterator<Item = u32>) {
        self.cloud.with_scribe(|scribe| traces.for_each(|trace| scribe.books.excuse(trace)));
    }

    /// Lets the latency of a call pass, asks the role's policies, then what the faults make of it.
    pub(super) async fn begin(
        &self,
        operation: &'static str,
        action: &str,
        resource: &str,
    ) -> Result<Answer, CallError> {
        self.begin_with(operation, action, resource, &BTreeMap::new()).await
    }

    /// The same with what the call says beside its resource.
    pub(super) async fn begin_with(
        &self,
        operation: &'static str,
        action: &str,
        resource: &str,
        context: &BTreeMap<String, String>,
    ) -> Result<Answer, CallError> {
        if self.aside {
            self.cloud.sim.sleep(self.cloud.draw_aside(&self.cloud.knobs.call_ms)).await;
        } else {
            self.cloud.latency().await;
        }
        self.cloud.with_scribe(|scribe| scribe.usage.called(action));
        self.cloud
            .allow_with(&self.role_arn, action, resource, context)
            .map_err(|error| call_error(operation, error))?;
        let verdict = self.cloud.faults.call();
        if verdict != CallVerdict::Pass && operation.contains("Message") {
            self.struck.set(true);
        }
        if operation == "Invoke" && !matches!(verdict, CallVerdict::Pass | CallVerdict::Delay(_)) {
            // What the consumer was not given, or not seen to be given, may still be tried by it: it is not given back. On a
            // FIFO queue it cannot be copied either.
            self.excuse_held();
        }
        match verdict {
            CallVerdict::Pass => Ok(Answer::Prompt),
            CallVerdict::Delay(late) => Ok(Answer::Late(late)),
            CallVerdict::LoseAnswer(after) => Ok(Answer::Lost(after)),
            CallVerdict::Throttle => {
                Err(CallError::new(operation, "ThrottlingException", CallErrorKind::Throttled))
            }
            CallVerdict::Fail => Err(CallError::new(operation, "InternalFailure", CallErrorKind::Transient)),
            CallVerdict::Lose(after) => {
                self.cloud.sim.sleep(after).await;
                Err(no_answer(operation))
            }
            CallVerdict::Crash => {
                self.crashed.notify_all();
                // Whoever runs the function hears of it and drops this future.
                std::future::pending().await
            }
        }
    }

    /// Brings the answer of a call back, or not.
    pub(super) async fn finish<T>(
        &self,
        answer: Answer,
        operation: &'static str,
        result: Result<T, CallError>,
    ) -> Result<T, CallError> {
        match answer {
            Answer::Prompt => result,
            Answer::Late(late) => {
                self.cloud.sim.sleep(late).await;
                result
            }
            Answer::Lost(after) => {
                self.cloud.sim.sleep(after).await;
                Err(no_answer(operation))
            }
        }
    }

    async fn begin_on_queue(
        &self,
        operation: &'static str,
        action: &str,
        queue_url: &str,
    ) -> Result<(QueueId, Answer), CallError> {
        let queue = self.cloud.queue_by_url(queue_url).map_err(|error| call_error(operation, error))?;
        let answer = self.begin(operation, action, &self.cloud.queue_arn(queue)).await?;
        Ok((queue, answer))
    }

    /// Name and ARN of the table that the role may read; of any, if it may read none.
    pub(super) fn own_table(&self, operation: &'static str) -> Result<(String, String), CallError> {
        let tables = self.cloud.tables.borrow();
        let allowed = |arn: &str| self.cloud.allow(&self.role_arn, "dynamodb:GetItem", arn).is_ok();
        let own = tables.iter().find(|(_, table)| allowed(table.arn())).or_else(|| tables.iter().next());
        let missing = || CallError::new(operation, "ResourceNotFoundException", CallErrorKind::NotFound);
        own.map(|(name, table)| (name.clone(), table.arn().to_owned())).ok_or_else(missing)
    }

    fn mapping_arn(&self, uuid: &str) -> String {
        format!("arn:aws:lambda:{}:{}:event-source-mapping:{uuid}", self.cloud.region, self.cloud.account)
    }
}

impl World {
    /// Whether a role may do something.
    ///
    /// # Errors
    /// `AccessDeniedException`.
    pub(super) fn allow(&self, role_arn: &str, action: &str, resource: &str) -> Result<(), ServiceError> {
        self.allow_with(role_arn, action, resource, &BTreeMap::new())
    }

    /// The same with what the call says beside its resource.
    fn allow_with(
        &self,
        role_arn: &str,
        action: &str,
        resource: &str,
        context: &BTreeMap<String, String>,
    ) -> Result<(), ServiceError> {
        let denied =
            || ServiceError::new(403, "AccessDeniedException", format!("there is no role {role_arn}"));
        self.roles.get(role_arn).ok_or_else(denied)?.check(action, resource, context)
    }
}

/// A call whose answer never came: it may have taken effect or not.
fn no_answer(operation: &'static str) -> CallError {
    CallError::new(operation, "NoAnswer", CallErrorKind::Transient)
}

/// A service's error as the handlers see it.
pub(super) fn call_error(operation: &'static str, error: ServiceError) -> CallError {
    let kind = match (error.status, error.code.as_str()) {
        (_, "OverLimit") => CallErrorKind::OverLimit,
        (_, "ResourceInUseException") | (409, _) => CallErrorKind::Conflict,
        (403, _) => CallErrorKind::AccessDenied,
        (404, _) | (_, "QueueDoesNotExist") => CallErrorKind::NotFound,
        (429, _) => CallErrorKind::Throttled,
        (500..=599, _) => CallErrorKind::Transient,
        (_, _) => CallErrorKind::Refused,
    };
    CallError { operation, code: error.code, message: error.message, kind }
}

impl EventSourceMappings for Ports<'_> {
    async fn get_mapping(&self, uuid: &str) -> Result<MappingDescription, CallError> {
        let operation = "GetEventSourceMapping";
        let answer = self.begin(operation, "lambda:GetEventSourceMapping", &self.mapping_arn(uuid)).await?;
        let result = describe(self.cloud, operation, uuid);
        if let Ok(mapping) = &result
            && self.actor == Actor::Mapping
        {
            let enabled = matches!(mapping.state, MappingState::Enabled | MappingState::Enabling);
            self.cloud.observe(&Observation::MappingFound { enabled });
        }
        self.finish(answer, operation, result).await
    }

    async fn update_mapping(
        &self,
        uuid: &str,
        update: MappingUpdate,
    ) -> Result<MappingDescription, CallError> {
        let operation = "UpdateEventSourceMapping";
        let answer =
            self.begin(operation, "lambda:UpdateEventSourceMapping", &self.mapping_arn(uuid)).await?;
        if self.cloud.faults.strikes(FaultKind::UpdateConflict) {
            let code = match self.cloud.faults.number(FaultKind::UpdateConflict, 0, 1) {
                0 => "ResourceConflictException",
                _ => "ResourceInUseException",
            };
            return Err(CallError::new(operation, code, CallErrorKind::Conflict));
        }
        let maximum_concurrency = match update.maximum_concurrency {
            ConcurrencyUpdate::Keep => None,
            ConcurrencyUpdate::Remove => Some(None),
            ConcurrencyUpdate::Set(count) => Some(Some(count)),
        };
        let update = Update { enabled: update.enabled, maximum_concurrency };
        let updated = self.cloud.update_mapping(uuid, update, self.actor);
        if updated.is_ok() {
            let (epoch, fenced_at) = (self.epoch, self.fenced_at.get());
            self.cloud.observe(&Observation::MappingActed { epoch, fenced_at });
        }
        let result = updated
            .map_err(|error| call_error(operation, error))
            .and_then(|()| describe(self.cloud, operation, uuid));
        self.finish(answer, operation, result).await
    }
}

fn describe(cloud: &Cloud, operation: &'static str, uuid: &str) -> Result<MappingDescription, CallError> {
    let response_types = |reports: bool| -> Vec<String> {
        if reports { vec![REPORT_BATCH_ITEM_FAILURES.to_owned()] } else { Vec::new() }
    };
    cloud
        .describe_mapping(uuid, |mapping| MappingDescription {
            uuid: uuid.to_owned(),
            state: MappingState::from_name(mapping.state),
            state_transition_reason: mapping.state_transition_reason.to_owned(),
            maximum_concurrency: mapping.settings().maximum_concurrency,
            provisioned: false,
            function_response_types: response_types(mapping.reports_batch_item_failures),
            counts_events: mapping.counts_events(),
        })
        .map_err(|error| call_error(operation, error))
}

impl Messages for Ports<'_> {
    async fn receive(&self, queue_url: &str, receive: Receive) -> Result<Vec<Message>, CallError> {
        let operation = "ReceiveMessage";
        let (queue, answer) = self.begin_on_queue(operation, "sqs:ReceiveMessage", queue_url).await?;
        let request = ReceiveRequest {
            max_count: receive.max_count as usize,
            visibility_timeout_s: Some(receive.visibility_s),
            is_short_poll: receive.wait_s == 0,
        };
        let deadline = self.cloud.now() + Duration::from_secs(u64::from(receive.wait_s));
        if self.cloud.faults.strikes(FaultKind::ReceiveEmpty) {
            self.cloud.sim.sleep_until(deadline).await;
            return self.finish(answer, operation, Ok(Vec::new())).await;
        }
        loop {
            let arrivals = self.cloud.arrivals(queue);
            let arrival = arrivals.notified();
            let received = self
                .cloud
                .receive_now(queue, &request, self.actor)
                .map_err(|error| call_error(operation, error))
                .inspect_err(|error| {
                    self.requeues.set(self.requeues.get() || error.kind == CallErrorKind::OverLimit);
                })?;
            if !received.is_empty() || self.cloud.now() >= deadline {
                if matches!(answer, Answer::Lost(_)) {
                    self.excuse(received.iter().map(ReceivedMessage::trace));
                }
                let messages: Vec<Message> =
                    received.iter().map(|message| self.cloud.to_message(message, self.actor)).collect();
                let traces = received.iter().map(ReceivedMessage::trace);
                let handles = messages.iter().map(|message| message.receipt_handle.clone());
                self.held.borrow_mut().extend(handles.zip(traces));
                return self.finish(answer, operation, Ok(messages)).await;
            }
            // A long poll ends with the first message that arrives, comes back or leaves its delay.
            let next = self.cloud.next_visible_at(queue).map_or(deadline, Time::from_ms).min(deadline);
            let next = next.max(self.cloud.now() + Duration::from_millis(1));
            race(arrival, self.cloud.sim.sleep_until(next)).await;
        }
    }

    async fn delete_batch(&self, queue_url: &str, handles: &[String]) -> Result<BatchResult<()>, CallError> {
        let operation = "DeleteMessageBatch";
        let (queue, answer) = self.begin_on_queue(operation, "sqs:DeleteMessage", queue_url).await?;
        let delete = |handle: &String| {
            self.cloud.delete(queue, handle, self.actor).map_err(|error| call_error(operation, error))?;
            if let Some(trace) = self.held.borrow_mut().remove(handle) {
                self.copied.borrow_mut().retain(|copied| *copied != trace);
            }
            Ok(())
        };
        let results = handles.iter().map(delete).collect();
        self.finish(answer, operation, Ok(results)).await
    }

    async fn change_visibility_batch(
        &self,
        queue_url: &str,
        changes: &[VisibilityChange],
    ) -> Result<BatchResult<()>, CallError> {
        let operation = "ChangeMessageVisibilityBatch";
        let (queue, answer) =
            self.begin_on_queue(operation, "sqs:ChangeMessageVisibility", queue_url).await?;
        let change = |change: &VisibilityChange| {
            self.cloud
                .change_visibility(queue, &change.receipt_handle, change.visibility_s)
                .map_err(|error| call_error(operation, error))
        };
        let results = changes.iter().map(change).collect();
        self.finish(answer, operation, Ok(results)).await
    }

    async fn send_batch(
        &self,
        queue_url: &str,
        messages: &[Outgoing],
    ) -> Result<BatchResult<String>, CallError> {
        let operation = "SendMessageBatch";
        let begun = self.begin_on_queue(operation, "sqs:SendMessage", queue_url).await;
        if begun.is_err() {
            // What cannot be copied is the probe itself: its last receive is its consumer's.
            let traces = messages.iter().filter_map(|outgoing| message::number_of(&outgoing.body));
            self.excuse(traces);
        }
        let (queue, answer) = begun?;
        let send = |outgoing: &Outgoing| {
            let request = self.cloud.to_request(outgoing);
            let trace = request.trace;
            let sent = self.cloud.send(queue, request).map_err(|error| call_error(operation, error))?;
            let received_count =
                self.cloud.with_scribe(|scribe| scribe.books.copied(trace, message::is_complete(outgoing)));
            self.copied.borrow_mut().push(trace);
            let (by, requeues) = (self.actor, self.requeues.get());
            self.cloud.observe(&Observation::Copied { trace, by, received_count, requeues });
            Ok(sent.message_id.to_string())
        };
        let results = messages.iter().map(send).collect();
        self.finish(answer, operation, Ok(results)).await
    }

    async fn counts(&self, queue_url: &str) -> Result<QueueCounts, CallError> {
        let operation = "GetQueueAttributes";
        let (queue, answer) = self.begin_on_queue(operation, "sqs:GetQueueAttributes", queue_url).await?;
        let counts = self.counts_of(queue);
        self.finish(answer, operation, Ok(counts)).await
    }
}

impl Ports<'_> {
    /// The counts of a queue, as approximate as faults make them.
    fn counts_of(&self, queue: QueueId) -> QueueCounts {
        let (mut visible_count, mut in_flight_count, delayed_count) = self.cloud.queue_counts(queue);
        if self.cloud.faults.strikes(FaultKind::CountsWrong) {
            // Too few as often as too many, and now and then none at all.
            let off = |count: u64| match self.cloud.faults.number(FaultKind::CountsWrong, 0, 4) {
                0 => 0,
                1 => count / 2,
                more => count + more,
            };
            (visible_count, in_flight_count) = (off(visible_count), off(in_flight_count));
        }
        if visible_count + in_flight_count > lambdas::spread::MAX_IN_FLIGHT_BACKLOG_COUNT {
            self.requeues.set(true);
        }
        QueueCounts { visible_count, in_flight_count, delayed_count }
    }
}

impl Queues for Ports<'_> {
    async fn describe_queue(&self, queue_url: &str) -> Result<QueueDescription, CallError> {
        let operation = "GetQueueAttributes";
        let (queue, answer) = self.begin_on_queue(operation, "sqs:GetQueueAttributes", queue_url).await?;
        let counts = self.counts_of(queue);
        let description = QueueDescription { retention_s: self.cloud.retention_s(queue), counts };
        self.finish(answer, operation, Ok(description)).await
    }

    async fn set_retention(&self, queue_url: &str, retention_s: u32) -> Result<(), CallError> {
        let operation = "SetQueueAttributes";
        let (queue, answer) = self.begin_on_queue(operation, "sqs:SetQueueAttributes", queue_url).await?;
        self.cloud.set_retention(queue, retention_s);
        self.finish(answer, operation, Ok(())).await
    }

    async fn start_move(&self, queue_arn: &str, max_per_s: u32) -> Result<(), CallError> {
        let operation = "StartMessageMoveTask";
        // SQS moves messages with the permissions of whoever starts the move.
        let needed = ["StartMessageMoveTask", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes"];
        let answer = self.begin(operation, "sqs:StartMessageMoveTask", queue_arn).await?;
        let allow = |action: &str, arn: &str| {
            self.cloud
                .allow(&self.role_arn, &format!("sqs:{action}"), arn)
                .map_err(|error| call_error(operation, error))
        };
        needed.iter().try_for_each(|action| allow(action, queue_arn))?;
        self.cloud.move_sources(queue_arn).iter().try_for_each(|source| allow("SendMessage", source))?;
        let started =
            self.cloud.start_move(queue_arn, max_per_s).map_err(|error| match error.code.as_str() {
                // The adapter on AWS knows it by its text.
                "InvalidParameterValue" => {
                    CallError { kind: CallErrorKind::Conflict, ..call_error(operation, error) }
                }
                _ => call_error(operation, error),
            });
        self.finish(answer, operation, started).await
    }
}

impl World {
    fn to_message(&self, received: &ReceivedMessage, actor: Actor) -> Message {
        // The MD5 sums go into the probe's event record; the re-jitter, which receives whole backlogs, looks at none.
        let wants_md5 = actor == Actor::Probe;
        Message {
            message_id: received.message_id().to_string(),
            receipt_handle: received.receipt_handle(),
            body: received.body().to_string(),
            md5_of_body: if wants_md5 { received.md5_of_body() } else { String::new() },
            md5_of_message_attributes: if wants_md5 { received.md5_of_message_attributes() } else { None },
            attributes: received
                .system_attributes()
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            message_attributes: self.shared_attributes.to_port(received.message_attributes()),
        }
    }

    fn to_request(&self, outgoing: &Outgoing) -> SendRequest {
        let mut request = SendRequest::new(outgoing.body.as_str());
        request.trace = message::number_of(&outgoing.body).unwrap_or(u32::MAX);
        request.attributes = self.shared_attributes.to_model(&outgoing.message_attributes);
        request.delay_s = outgoing.delay_s;
        request.message_group_id = outgoing.group_id.as_deref().map(Rc::from);
        request.aws_trace_header = outgoing.trace_header.as_deref().map(Rc::from);
        request
    }
}

/// The latest message attributes in both their forms, the model's and the ports'. All messages of a drill share one
/// map; converting it for each of a million messages would cost more time and memory than everything else about them.
#[derive(Default)]
pub(super) struct SharedAttributes {
    latest: RefCell<Option<(Rc<sqs::MessageAttributes>, MessageAttributes)>>,
}

impl SharedAttributes {
    fn to_port(&self, attributes: Option<&Rc<sqs::MessageAttributes>>) -> MessageAttributes {
        let Some(model) = attributes else { return MessageAttributes::default() };
        let mut latest = self.latest.borrow_mut();
        match latest.as_ref().filter(|(known, _)| Rc::ptr_eq(known, model)) {
            Some((_, port)) => Arc::clone(port),
            None => {
                let convert = |(name, attribute): (&String, _)| (name.clone(), port_attribute(attribute));
                let port = Arc::new(model.iter().map(convert).collect());
                Arc::clone(&latest.insert((Rc::clone(model), port)).1)
            }
        }
    }

    fn to_model(&self, port: &MessageAttributes) -> Option<Rc<sqs::MessageAttributes>> {
        if port.is_empty() {
            return None;
        }
        let mut latest = self.latest.borrow_mut();
        Some(match latest.as_ref().filter(|(_, known)| Arc::ptr_eq(known, port)) {
            Some((model, _)) => Rc::clone(model),
            None => {
                let convert = |(name, attribute): (&String, _)| (name.clone(), model_attribute(attribute));
                let model = Rc::new(port.iter().map(convert).collect());
                Rc::clone(&latest.insert((model, Arc::clone(port))).0)
            }
        })
    }
}

fn port_attribute(attribute: &sqs::MessageAttribute) -> MessageAttribute {
    let (string_value, binary_value) = match &attribute.value {
        sqs::AttributeValue::String(text) => (Some(text.clone()), None),
        sqs::AttributeValue::Binary(bytes) => (None, Some(bytes.clone())),
    };
    MessageAttribute {
        data_type: attribute.data_type.clone(),
        string_value,
        binary_value,
        ..MessageAttribute::default()
    }
}

fn model_attribute(attribute: &MessageAttribute) -> sqs::MessageAttribute {
    sqs::MessageAttribute {
        data_type: attribute.data_type.clone(),
        value: match (&attribute.string_value, &attribute.binary_value) {
            (_, Some(bytes)) => sqs::AttributeValue::Binary(bytes.clone()),
            (text, None) => sqs::AttributeValue::String(text.clone().unwrap_or_default()),
        },
    }
}

impl Functions for Ports<'_> {
    async fn invoke(
        &self,
        function_arn: &str,
        payload: Vec<u8>,
        deadline: Duration,
    ) -> Result<Invocation, CallError> {
        let operation = "Invoke";
        let answer = self.begin(operation, "lambda:InvokeFunction", function_arn).await?;
        if !self.cloud.functions.borrow().contains_key(function_arn) {
            return Err(call_error(operation, Cloud::no_such_function(function_arn)));
        }
        let payload: Value = serde_json::from_slice(&payload).map_err(|_| {
            CallError::new(operation, "InvalidRequestContentException", CallErrorKind::Refused)
        })?;
        let traces = message::traces_of(&payload);
        let records = payload.get("Records").and_then(Value::as_array);
        let stripped =
            records.into_iter().flatten().filter(|record| !message::is_whole_record(record)).count();
        self.cloud.with_scribe(|scribe| (0..stripped).for_each(|_| scribe.books.delivered_incomplete()));
        let (cloud, arn, actor) = (self.cloud.clone(), function_arn.to_owned(), self.actor);
        // The consumer runs on when its caller stops waiting, as it does on AWS.
        let (sender, receiver) = crate::sim::oneshot();
        self.cloud.sim.spawn(async move {
            let outcome = cloud.run_consumer(&arn, &ConsumerPayload::Json(payload), &traces, actor).await;
            let _ = sender.send(outcome);
        });
        if let Answer::Lost(after) = answer {
            self.cloud.sim.sleep(after).await;
            return Err(no_answer(operation));
        }
        let invocation = match timeout(&self.cloud.sim, deadline, receiver).await {
            Ok(Some(outcome)) => Ok(Invocation::Answered {
                function_error: outcome.function_error.map(str::to_owned),
                payload: outcome.payload.to_string().into_bytes(),
            }),
            Ok(None) | Err(_) => Ok(Invocation::DeadlineExceeded),
        };
        self.finish(answer, operation, invocation).await
    }
}

impl Circuits for Ports<'_> {
    async fn epoch(&self, circuit: &str) -> Result<Option<u64>, CallError> {
        let operation = "GetItem";
        let (name, arn) = self.own_table(operation)?;
        let way = self.begin(operation, "dynamodb:GetItem", &arn).await;
        let epoch = {
            let tables = self.cloud.tables.borrow();
            tables[&name].find(circuit).and_then(|found| found.get(item::EPOCH)?.whole())
        };
        // Whoever was overtaken after its execution died, or cannot know, may not try what it has received. On a FIFO queue
        // it cannot copy it either.
        if epoch != self.epoch || !matches!(way, Ok(Answer::Prompt | Answer::Late(_))) {
            self.excuse_held();
        }
        let way = way?;
        self.fenced_at.set(Some(self.cloud.now()));
        self.finish(way, operation, Ok(epoch)).await
    }
}

impl Clock for Ports<'_> {
    fn now_ms(&self) -> u64 {
        self.cloud.now_ms().saturating_add_signed(self.cloud.faults.function_skew_ms())
    }

    async fn sleep(&self, duration: Duration) {
        self.cloud.sim.sleep(duration).await;
    }
}

impl Chance for Ports<'_> {
    fn between(&self, low: u64, high: u64) -> u64 {
        if high <= low { low } else { self.cloud.rng.borrow_mut().random_range(low..=high) }
    }

    fn unit(&self) -> f64 {
        self.cloud.rng.borrow_mut().random_range(0.0..1.0)
    }
}

/// The consumer's ports: its work takes as long as the dependency lets it, its ledger are the books.
pub struct ConsumerPorts<'a> {
    /// The cloud.
    pub cloud: &'a Cloud,
    /// The event.
    pub payload: &'a ConsumerPayload,
    /// Numbers of its messages, in its order.
    pub traces: &'a [u32],
    /// Whether the dependency hangs.
    pub hangs: bool,
}

impl Work for ConsumerPorts<'_> {
    async fn perform(&self, _message_id: &str) {
        if self.hangs {
            self.cloud.sim.sleep(HANGS_FOR).await;
        }
    }
}

impl Ledger for ConsumerPorts<'_> {
    async fn record(&self, _queue_url: &str, message_ids: &[String]) -> Result<BatchResult<()>, CallError> {
        let now = self.cloud.now();
        self.cloud.with_scribe(|scribe| {
            for (at, trace) in self.traces.iter().enumerate() {
                let id = self.payload.message_id(at);
                if message_ids.iter().any(|booked| Some(booked.as_str()) == id) {
                    scribe.processed(now, *trace);
                }
            }
        });
        Ok(vec![Ok(()); message_ids.len()])
    }
}

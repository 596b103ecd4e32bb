//! What the handlers ask of the world: one small trait per service, named for its operations.
//!
//! The handlers are generic over these traits. The deployed binaries give them adapters on the AWS SDK (feature
//! `aws`), the drill gives them its model of the cloud, the tests give them a fake that crashes between two calls.
//!
//! The futures carry no `Send` bound: the model is single-threaded, and `lambda_runtime::run` polls its handler on
//! one task, so nothing here needs to cross threads.
#![allow(
    async_fn_in_trait,
    reason = "no caller needs `Send` futures, and the traits are for this workspace only"
)]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;
use workflow::circuit::{CircuitState, Phase};
use workflow::contract::{TripRequest, WaitCommand};

/// A call to a service failed.
///
/// `Display` never shows message content: adapters leave `message` empty for operations whose error text may quote
/// what was sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{operation} failed with {code}{}{message}", if message.is_empty() { "" } else { ": " })]
pub struct CallError {
    /// The operation in the service's own words, such as `UpdateEventSourceMapping`.
    pub operation: &'static str,
    /// The service's error code, such as `ResourceConflictException`; `NoAnswer` when there was none.
    pub code: String,
    /// The service's own text; may be empty.
    pub message: String,
    /// What the failure means to the caller.
    pub kind: CallErrorKind,
}

impl CallError {
    /// A failure without text.
    pub fn new(operation: &'static str, code: impl Into<String>, kind: CallErrorKind) -> CallError {
        CallError { operation, code: code.into(), message: String::new(), kind }
    }
}

/// What a failed call means to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallErrorKind {
    /// Throttled (429): it certainly had no effect, and may work later.
    Throttled,
    /// A 5xx answer, or no answer at all: it may have taken effect or not, and may work later.
    Transient,
    /// The thing named does not exist.
    NotFound,
    /// The caller's role may not do this.
    AccessDenied,
    /// Another operation on the same thing is in progress (409, or 400 `ResourceInUseException`): it may work later.
    Conflict,
    /// A quota is used up, such as the messages in flight of a queue (`OverLimit`).
    OverLimit,
    /// Refused for good.
    Refused,
}

impl CallErrorKind {
    /// Whether the same call may work later.
    pub fn may_pass(self) -> bool {
        match self {
            CallErrorKind::Throttled
            | CallErrorKind::Transient
            | CallErrorKind::Conflict
            | CallErrorKind::OverLimit => true,
            CallErrorKind::NotFound | CallErrorKind::AccessDenied | CallErrorKind::Refused => false,
        }
    }
}

/// State of an event source mapping.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MappingState {
    /// Polls and invokes.
    Enabled,
    /// Does not poll; a delivery that began before may still run.
    Disabled,
    /// On the way to `Enabled`.
    Enabling,
    /// On the way to `Disabled`.
    Disabling,
    /// Other settings are being changed.
    Updating,
    /// On the way to its first state.
    Creating,
    /// On the way out.
    Deleting,
    /// A value that this program does not know: not settled. The service documents the field as a plain string.
    Other(String),
}

impl MappingState {
    /// The state with this name; any other name is kept as [`MappingState::Other`].
    pub fn from_name(name: &str) -> MappingState {
        match name {
            "Enabled" => MappingState::Enabled,
            "Disabled" => MappingState::Disabled,
            "Enabling" => MappingState::Enabling,
            "Disabling" => MappingState::Disabling,
            "Updating" => MappingState::Updating,
            "Creating" => MappingState::Creating,
            "Deleting" => MappingState::Deleting,
            other => MappingState::Other(other.to_owned()),
        }
    }

    /// The service's own word.
    pub fn name(&self) -> &str {
        match self {
            MappingState::Enabled => "Enabled",
            MappingState::Disabled => "Disabled",
            MappingState::Enabling => "Enabling",
            MappingState::Disabling => "Disabling",
            MappingState::Updating => "Updating",
            MappingState::Creating => "Creating",
            MappingState::Deleting => "Deleting",
            MappingState::Other(name) => name,
        }
    }

    /// Whether no change is under way: `Enabled` and `Disabled` only.
    pub fn is_settled(&self) -> bool {
        match self {
            MappingState::Enabled | MappingState::Disabled => true,
            MappingState::Enabling
            | MappingState::Disabling
            | MappingState::Updating
            | MappingState::Creating
            | MappingState::Deleting
            | MappingState::Other(_) => false,
        }
    }
}

impl fmt::Display for MappingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `FunctionResponseTypes` value by which a mapping says that its consumer reports partial batch failures.
pub const REPORT_BATCH_ITEM_FAILURES: &str = "ReportBatchItemFailures";

/// An event source mapping, as far as the breaker looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingDescription {
    /// UUID.
    pub uuid: String,
    /// State.
    pub state: MappingState,
    /// Who made the last change, in the service's words; empty when the service does not say.
    pub state_transition_reason: String,
    /// `ScalingConfig.MaximumConcurrency`, 2 to 1,000, if one is set.
    pub maximum_concurrency: Option<u32>,
    /// Whether it has a `ProvisionedPollerConfig`, which excludes `MaximumConcurrency`.
    pub provisioned: bool,
    /// `FunctionResponseTypes`.
    pub function_response_types: Vec<String>,
    /// Whether `MetricsConfig` has `EventCount`, from which the breaker's alarms are made.
    pub counts_events: bool,
}

/// What to change of an event source mapping; whatever is not named stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappingUpdate {
    /// The switch.
    pub enabled: Option<bool>,
    /// `ScalingConfig`.
    pub maximum_concurrency: ConcurrencyUpdate,
}

/// What to do with `ScalingConfig.MaximumConcurrency`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConcurrencyUpdate {
    /// Leave it as it is: `ScalingConfig` is absent from the call.
    Keep,
    /// Remove it: `ScalingConfig` is an empty object.
    Remove,
    /// Set it, 2 to 1,000.
    Set(u32),
}

/// Lambda's event source mappings.
pub trait EventSourceMappings {
    /// `GetEventSourceMapping`.
    ///
    /// # Errors
    /// [`CallErrorKind::NotFound`] when there is none with this UUID; any other kind as the service says.
    async fn get_mapping(&self, uuid: &str) -> Result<MappingDescription, CallError>;

    /// `UpdateEventSourceMapping`. Answers the mapping as it is right after the call, which is seldom settled.
    ///
    /// # Errors
    /// [`CallErrorKind::Conflict`] while another change is under way; any other kind as the service says.
    async fn update_mapping(
        &self,
        uuid: &str,
        update: MappingUpdate,
    ) -> Result<MappingDescription, CallError>;
}

/// A message attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageAttribute {
    /// `String`, `Number` or `Binary`, with an optional custom suffix (`Number.price`).
    pub data_type: String,
    /// Value of a string or a number.
    pub string_value: Option<String>,
    /// Value of a binary.
    pub binary_value: Option<Vec<u8>>,
    /// Reserved by SQS; empty today.
    pub string_list_values: Vec<String>,
    /// Reserved by SQS; empty today.
    pub binary_list_values: Vec<Vec<u8>>,
}

/// Message attributes by name. Shared, because a copy has those of its original unchanged, and a re-jitter copies every
/// message of a backlog.
pub type MessageAttributes = Arc<BTreeMap<String, MessageAttribute>>;

/// A received message, with everything that SQS returns.
///
/// `Debug` leaves out the body, the attributes' values and the MD5 sums, so that no message content can get into a
/// log by way of `{:?}`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Id.
    pub message_id: String,
    /// Handle of this receive; only the newest one is sure to delete.
    pub receipt_handle: String,
    /// Body.
    pub body: String,
    /// MD5 of the body, hexadecimal.
    pub md5_of_body: String,
    /// MD5 of the message attributes, hexadecimal; absent when there are none.
    pub md5_of_message_attributes: Option<String>,
    /// All system attributes by name: `ApproximateReceiveCount`, `SentTimestamp`, `AWSTraceHeader`, ...
    pub attributes: BTreeMap<String, String>,
    /// All message attributes by name.
    pub message_attributes: MessageAttributes,
}

impl Message {
    /// How often it has been received, this receive included. A message without a readable count counts as received
    /// once, because it has just been.
    pub fn receive_count(&self) -> u32 {
        self.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1)
    }

    /// When it was sent, milliseconds since the Unix epoch; absent when SQS did not say.
    pub fn sent_at_ms(&self) -> Option<u64> {
        self.attributes.get("SentTimestamp").and_then(|sent| sent.parse().ok())
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("message_id", &self.message_id)
            .field("receive_count", &self.receive_count())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// How to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receive {
    /// At most this many messages, 1 to 10.
    pub max_count: u32,
    /// Long poll, 0 to 20 seconds.
    pub wait_s: u32,
    /// Visibility timeout of what is received, 0 to 43,200 seconds.
    pub visibility_s: u32,
}

/// A new visibility timeout for one received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisibilityChange {
    /// Handle of the newest receive.
    pub receipt_handle: String,
    /// Seconds from now, 0 to 43,200; within 12 hours of the receive.
    pub visibility_s: u32,
}

/// A message to be sent. `Debug` leaves out its content.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Body.
    pub body: String,
    /// All message attributes.
    pub message_attributes: MessageAttributes,
    /// System attribute `AWSTraceHeader`: the only one that can be set on a send.
    pub trace_header: Option<String>,
    /// `MessageGroupId`: order on a FIFO queue, fairness on a standard queue.
    pub group_id: Option<String>,
    /// `DelaySeconds`, 0 to 900; absent leaves the queue's own delay in force.
    pub delay_s: Option<u32>,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("body_bytes", &self.body.len())
            .field("delay_s", &self.delay_s)
            .finish_non_exhaustive()
    }
}

/// What became of each entry of a batch call, in the order of the entries. SQS answers a batch with 200 even when
/// entries in it failed.
pub type BatchResult<T> = Vec<Result<T, CallError>>;

/// Approximate counts of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// `ApproximateNumberOfMessages`.
    pub visible_count: u64,
    /// `ApproximateNumberOfMessagesNotVisible`.
    pub in_flight_count: u64,
    /// `ApproximateNumberOfMessagesDelayed`.
    pub delayed_count: u64,
}

/// SQS, as a consumer and sender of messages.
pub trait Messages {
    /// `ReceiveMessage`, asking for all attributes. An empty list when the poll found nothing.
    ///
    /// # Errors
    /// [`CallErrorKind::OverLimit`] when a standard queue's in-flight quota is used up; any other kind as the service
    /// says.
    async fn receive(&self, queue_url: &str, receive: Receive) -> Result<Vec<Message>, CallError>;

    /// `DeleteMessageBatch` of at most 10 receipt handles.
    ///
    /// # Errors
    /// When the call as a whole failed; failures of single entries are in the result.
    async fn delete_batch(
        &self,
        queue_url: &str,
        receipt_handles: &[String],
    ) -> Result<BatchResult<()>, CallError>;

    /// `ChangeMessageVisibilityBatch` of at most 10 messages.
    ///
    /// # Errors
    /// When the call as a whole failed; failures of single entries are in the result.
    async fn change_visibility_batch(
        &self,
        queue_url: &str,
        changes: &[VisibilityChange],
    ) -> Result<BatchResult<()>, CallError>;

    /// `SendMessageBatch` of at most 10 messages and 1 MiB in total, once: never retried below this trait, because a
    /// second attempt after a lost answer would send everything twice. Each success carries the new message's id.
    ///
    /// # Errors
    /// [`CallErrorKind::Transient`] when the answer was lost: the messages may have been sent. When the call as a whole failed; failures of single entries are in the result.
    async fn send_batch(
        &self,
        queue_url: &str,
        messages: &[Outgoing],
    ) -> Result<BatchResult<String>, CallError>;

    /// The queue's approximate counts, by `GetQueueAttributes`.
    ///
    /// # Errors
    /// As the service says.
    async fn counts(&self, queue_url: &str) -> Result<QueueCounts, CallError>;
}

/// A queue as its attributes show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueDescription {
    /// `MessageRetentionPeriod`, 60 to 1,209,600 seconds.
    pub retention_s: u32,
    /// Its approximate counts.
    pub counts: QueueCounts,
}

impl QueueDescription {
    /// Messages in it, wherever they are, approximately.
    pub fn message_count(&self) -> u64 {
        self.counts.visible_count + self.counts.in_flight_count + self.counts.delayed_count
    }
}

/// SQS, as one who looks after queues.
pub trait Queues {
    /// `GetQueueAttributes`.
    ///
    /// # Errors
    /// As the service says.
    async fn describe_queue(&self, queue_url: &str) -> Result<QueueDescription, CallError>;

    /// `SetQueueAttributes` with `MessageRetentionPeriod`, seconds. It can take 15 minutes to be in force, and a shorter one
    /// deletes the messages that are older.
    ///
    /// # Errors
    /// As the service says.
    async fn set_retention(&self, queue_url: &str, retention_s: u32) -> Result<(), CallError>;

    /// `StartMessageMoveTask`, back to the queues from which the messages came, 1 to 500 per second.
    ///
    /// # Errors
    /// [`CallErrorKind::Conflict`] while another task moves messages out of the same queue; any other kind as the service
    /// says.
    async fn start_move(&self, queue_arn: &str, max_per_s: u32) -> Result<(), CallError>;
}

/// What a synchronous invocation came to.
#[derive(Clone, PartialEq, Eq)]
pub enum Invocation {
    /// The function answered, or failed, in time.
    Answered {
        /// The header `X-Amz-Function-Error`: set when the function failed (`Unhandled` or `Handled`).
        function_error: Option<String>,
        /// The function's answer, or the error object when it failed.
        payload: Vec<u8>,
    },
    /// No answer within the deadline; the function may still be running.
    DeadlineExceeded,
}

impl fmt::Debug for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Invocation::Answered { function_error, payload } => f
                .debug_struct("Answered")
                .field("function_error", function_error)
                .field("payload_bytes", &payload.len())
                .finish(),
            Invocation::DeadlineExceeded => f.write_str("DeadlineExceeded"),
        }
    }
}

/// Lambda functions.
pub trait Functions {
    /// `Invoke` with `InvocationType` `RequestResponse`, once: never retried below this trait, because a second
    /// attempt would be a second probe in flight.
    ///
    /// # Errors
    /// When the function was not invoked, with the kind that the service says. [`CallErrorKind::Transient`] leaves open
    /// whether it was: it may be running. A function that ran and failed is no error but [`Invocation::Answered`] with a `function_error`.
    async fn invoke(
        &self,
        function_arn: &str,
        payload: Vec<u8>,
        deadline: Duration,
    ) -> Result<Invocation, CallError>;
}

/// The `CircuitStatus` table.
pub trait Circuits {
    /// Epoch of the circuit's item by a strongly consistent read; `None` when there is no item or no epoch in it.
    ///
    /// # Errors
    /// As the service says.
    async fn epoch(&self, circuit: &str) -> Result<Option<u64>, CallError>;
}

/// A circuit's item, as far as somebody outside the workflow looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitItem {
    /// State; closed where there is no item.
    pub state: CircuitState,
    /// ARN of the execution that claimed it last.
    pub owner_arn: Option<String>,
    /// Its epoch.
    pub epoch: Option<u64>,
    /// What its owner is doing to the mappings.
    pub phase: Option<Phase>,
    /// Token of the wait in progress.
    pub task_token: Option<String>,
    /// When it was closed last, milliseconds since the Unix epoch.
    pub closed_at_ms: Option<u64>,
    /// When the last probe began, as of the last wait, milliseconds since the Unix epoch.
    pub last_probe_at_ms: Option<u64>,
    /// Whether the queue's retention was raised and not yet given back.
    pub retention_is_raised: bool,
}

/// What the reconciler remembers of a circuit between two looks, in an item of its own, so that it says a thing once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// Since when the mapping was seen disabled with the circuit closed, milliseconds since the Unix epoch.
    pub disabled_since_ms: Option<u64>,
    /// Whether that was announced.
    pub disabled_announced: bool,
    /// Why the signal cannot fire, as announced.
    pub blind: Option<String>,
    /// When a trip was asked for last, milliseconds since the Unix epoch.
    pub tripped_at_ms: Option<u64>,
}

/// The `CircuitStatus` table, as the reconciler uses it: it reads the circuits' items and writes none of them.
pub trait CircuitItems {
    /// The circuit's item by a strongly consistent read.
    ///
    /// # Errors
    /// As the service says.
    async fn circuit_item(&self, circuit: &str) -> Result<CircuitItem, CallError>;

    /// What was remembered, by a strongly consistent read; the default when nothing was.
    ///
    /// # Errors
    /// As the service says.
    async fn watch(&self, circuit: &str) -> Result<Watch, CallError>;

    /// Remembers, in the item [`workflow::circuit::watch_key`].
    ///
    /// # Errors
    /// As the service says.
    async fn put_watch(&self, circuit: &str, watch: &Watch) -> Result<(), CallError>;
}

/// Executions of the circuits' state machines.
pub trait Executions {
    /// Whether an execution runs, by `DescribeExecution`; one that does not exist does not.
    ///
    /// # Errors
    /// As the service says.
    async fn is_alive(&self, execution_arn: &str) -> Result<bool, CallError>;

    /// Whether any execution of the machine but `owner_arn` runs, by `ListExecutions`.
    ///
    /// # Errors
    /// As the service says.
    async fn others_running(&self, machine_arn: &str, owner_arn: &str) -> Result<bool, CallError>;

    /// Starts an execution.
    ///
    /// # Errors
    /// As the service says.
    async fn start(&self, machine_arn: &str, request: &TripRequest) -> Result<(), CallError>;

    /// Completes a wait by `SendTaskSuccess`; `false` when nobody waits for the token any more.
    ///
    /// # Errors
    /// As the service says.
    async fn complete_wait(&self, token: &str, command: &WaitCommand) -> Result<bool, CallError>;
}

/// How an alarm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlarmView {
    /// Whether its state is `ALARM`.
    pub is_in_alarm: bool,
    /// Since when it is as it is, milliseconds since the Unix epoch.
    pub since_ms: u64,
}

/// CloudWatch.
pub trait Alarms {
    /// The alarm by `DescribeAlarms`; `None` when there is none of this name and kind.
    ///
    /// # Errors
    /// As the service says.
    async fn alarm(&self, name: &str, is_composite: bool) -> Result<Option<AlarmView>, CallError>;
}

/// The event bus.
pub trait Announcements {
    /// Puts one event of the breaker's own source on the bus.
    ///
    /// # Errors
    /// When the call failed, or the bus did not take the event.
    async fn announce(&self, detail_type: &str, detail: &Value) -> Result<(), CallError>;
}

/// The example consumer's book of processed messages.
pub trait Ledger {
    /// Records that these messages were processed. The result has one entry per id, in their order.
    ///
    /// # Errors
    /// When nothing at all could be recorded; failures of single entries are in the result.
    async fn record(&self, queue_url: &str, message_ids: &[String]) -> Result<BatchResult<()>, CallError>;
}

/// Time.
pub trait Clock {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;

    /// Returns after `duration`.
    async fn sleep(&self, duration: Duration);
}

/// Randomness.
pub trait Chance {
    /// Uniform between `low` and `high`, both included; `low` when `high` is not above it.
    fn between(&self, low: u64, high: u64) -> u64;

    /// Uniform in `0.0..1.0`.
    fn unit(&self) -> f64;
}

/// The example consumer's own work on one message.
pub trait Work {
    /// Returns when the work is done. The deployed consumer's takes no time; the drill makes it slow, or hang.
    async fn perform(&self, message_id: &str);
}

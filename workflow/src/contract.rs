//! Payloads between the workflow and its Lambda functions, and the names both sides use.
//!
//! Every payload is plain JSON in snake case. No field ever holds a message's body, attributes or the text of a
//! consumer's error: only ids, counts, durations and error type names cross this boundary, because whatever crosses it
//! is kept in the execution history for 90 days.

use serde::{Deserialize, Serialize};

/// Environment variable of the breaker's functions: name of the `CircuitStatus` table.
pub const ENV_CIRCUIT_TABLE: &str = "CIRCUIT_TABLE";
/// Environment variable of the example consumer: `true` makes every invocation fail.
pub const ENV_SHOULD_ERROR: &str = "SHOULD_ERROR";
/// Environment variable of the example consumer: `true` makes it answer `batchItemFailures` instead of failing whole.
pub const ENV_REPORT_BATCH_ITEM_FAILURES: &str = "REPORT_BATCH_ITEM_FAILURES";
/// Environment variable of the example consumer: URL of a queue where it records the id of each processed message.
pub const ENV_LEDGER_QUEUE_URL: &str = "LEDGER_QUEUE_URL";

/// Environment variable of the `signal` function: the stack's circuits as a JSON object, with the name of each one's
/// dependency, or null.
pub const ENV_CIRCUITS: &str = "CIRCUITS";

/// The breaker's Lambda functions and the example consumer. One binary each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FunctionKind {
    /// Disables, limits and restores event source mappings.
    Mapping,
    /// Tries the consumer with a single message.
    Probe,
    /// Spreads the backlog.
    Rejitter,
    /// Reads the loss clock, raises and restores the retention, redrives the dead-letter queue.
    Queue,
    /// Compares what is with what should be, from outside the workflow.
    Reconciler,
    /// Hears that a dependency has recovered, and wakes the circuits that wait for it.
    Signal,
    /// The example's consumer.
    Consumer,
}

impl FunctionKind {
    /// All functions, in the order in which they are listed anywhere.
    pub const ALL: [FunctionKind; 7] = [
        FunctionKind::Mapping,
        FunctionKind::Probe,
        FunctionKind::Rejitter,
        FunctionKind::Queue,
        FunctionKind::Reconciler,
        FunctionKind::Signal,
        FunctionKind::Consumer,
    ];

    /// Name of the binary, of the asset and of the `Handler` property.
    pub fn name(self) -> &'static str {
        match self {
            FunctionKind::Mapping => "mapping",
            FunctionKind::Probe => "probe",
            FunctionKind::Rejitter => "rejitter",
            FunctionKind::Queue => "queue",
            FunctionKind::Reconciler => "reconciler",
            FunctionKind::Signal => "signal",
            FunctionKind::Consumer => "consumer",
        }
    }

    /// The function with this name, if there is one.
    pub fn from_name(name: &str) -> Option<FunctionKind> {
        FunctionKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What starts the workflow: the input of an execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TripRequest {
    /// Name of the circuit.
    pub circuit: String,
    /// Who asks.
    pub trigger: Trigger,
    /// Why, for people; at most 1,000 characters are kept.
    pub reason: String,
    /// When it was asked for, RFC 3339.
    pub at: String,
    /// Keep the circuit open once it is: no probe before the hold ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Open nothing: only give back the retention that this execution, which has died after its close, left raised. For
    /// circuits with `retention.raise_to_s`; the others refuse it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_retention_of: Option<String>,
}

/// Longest hold, seconds: no message is kept for longer than this.
pub const MAX_HOLD_S: u32 = 14 * 24 * 3_600;
/// Longest name of who holds a circuit that is kept, characters.
pub const MAX_HELD_BY: u32 = 200;
/// Longest reason of an operator that is kept, characters.
pub const MAX_REASON: u32 = 1_000;

/// An operator keeps a circuit open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Until when, milliseconds since the Unix epoch; [`MAX_HOLD_S`] from now at most.
    pub until_ms: u64,
    /// Who; at most [`MAX_HELD_BY`] characters are kept.
    pub by: String,
    /// Why, for people; at most [`MAX_REASON`] characters are kept.
    #[serde(default)]
    pub reason: String,
}

/// Who asked for a trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The alarm's state change.
    Alarm,
    /// An operator, through the command line.
    Operator,
    /// The reconciler.
    Reconciler,
    /// A `Trip Requested` event on the bus.
    Event,
}

impl Trigger {
    /// Every trigger that the workflow accepts.
    pub const ALL: [Trigger; 4] = [Trigger::Alarm, Trigger::Operator, Trigger::Reconciler, Trigger::Event];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Trigger::Alarm => "alarm",
            Trigger::Operator => "operator",
            Trigger::Reconciler => "reconciler",
            Trigger::Event => "event",
        }
    }
}

/// Proof of ownership that every acting step carries. A handler reads the circuit's item (strongly consistent) before
/// it acts and answers [`crate::errors::STALE_EPOCH`] when the item's epoch is another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// Name of the circuit: the item's key.
    pub circuit: String,
    /// Epoch that the execution claimed.
    pub epoch: u64,
}

/// Settings of one event source mapping as they were before the breaker touched it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedMapping {
    /// UUID of the mapping.
    pub uuid: String,
    /// Whether it was enabled. One that was not is left alone for good: someone else disabled it.
    pub enabled: bool,
    /// `ScalingConfig.MaximumConcurrency`, 2 to 1,000; absent means that none was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_concurrency: Option<u32>,
    /// Whether the mapping runs on provisioned pollers, which exclude `MaximumConcurrency`.
    #[serde(default)]
    pub provisioned: bool,
    /// Whether `FunctionResponseTypes` has `ReportBatchItemFailures`: how a probe's answer is to be judged.
    #[serde(default)]
    pub reports_batch_item_failures: bool,
}

/// Request to the `mapping` function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum MappingRequest {
    /// Read the settings of the mappings; changes nothing.
    Inspect {
        /// Ownership.
        fence: Fence,
        /// UUIDs of the mappings.
        mappings: Vec<String>,
    },
    /// Ask for every recorded mapping that was enabled to be disabled. Done already is done.
    Disable {
        /// Ownership.
        fence: Fence,
        /// What [`MappingRequest::Inspect`] answered.
        recorded: Vec<RecordedMapping>,
    },
    /// Are the mappings disabled, settled and quiet?
    CheckQuiet {
        /// Ownership.
        fence: Fence,
        /// What was recorded.
        recorded: Vec<RecordedMapping>,
        /// Queue whose in-flight count tells whether deliveries still run.
        queue_url: String,
        /// When the disable was asked for, milliseconds since the Unix epoch.
        disabled_at_ms: u64,
        /// How long after the disable deliveries may still start, seconds.
        grace_s: u32,
        /// The consumer's timeout, seconds: how long a last delivery may run.
        function_timeout_s: u32,
    },
    /// Enable with a small maximum concurrency, to try an unproven dependency with live traffic. A mapping with
    /// provisioned pollers is enabled as it was: it has no such setting.
    Limit {
        /// Ownership.
        fence: Fence,
        /// What was recorded.
        recorded: Vec<RecordedMapping>,
        /// `MaximumConcurrency` while limited, 2 to 1,000.
        maximum_concurrency: u32,
        /// The breaker has enabled them already, with a smaller limit: one that is disabled by now was disabled by somebody
        /// else, and stays so.
        #[serde(default)]
        already_enabled: bool,
    },
    /// Are the mappings that were enabled enabled with that limit, and settled?
    CheckLimited {
        /// Ownership.
        fence: Fence,
        /// What was recorded.
        recorded: Vec<RecordedMapping>,
        /// As asked for by [`MappingRequest::Limit`].
        maximum_concurrency: u32,
    },
    /// Give every recorded mapping its recorded settings back, enabled if it was.
    Restore {
        /// Ownership.
        fence: Fence,
        /// What was recorded.
        recorded: Vec<RecordedMapping>,
        /// The breaker has enabled them already, with a limit: one that is disabled by now was disabled by somebody else,
        /// and stays so.
        #[serde(default)]
        already_enabled: bool,
    },
    /// Are the mappings that were enabled enabled again, and settled?
    CheckEnabled {
        /// Ownership.
        fence: Fence,
        /// What was recorded.
        recorded: Vec<RecordedMapping>,
    },
}

/// Answer to [`MappingRequest::Inspect`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectAnswer {
    /// One entry per mapping asked for, in that order.
    pub recorded: Vec<RecordedMapping>,
    /// How many of them are enabled: none means that there is nothing to open.
    pub enabled_count: u32,
}

/// Answer to every other [`MappingRequest`]: how far the mappings are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettleAnswer {
    /// Everything asked for has come true; for [`MappingRequest::CheckQuiet`] that includes quiet.
    pub done: bool,
    /// Worst state seen, in the service's own words (`Enabled`, `Disabling`, ...).
    pub state: String,
    /// What is being waited for, for people.
    pub waiting_for: String,
}

/// Request to the `probe` function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeRequest {
    /// Ownership.
    pub fence: Fence,
    /// The consumer's queue.
    pub queue_url: String,
    /// Its ARN, for the event record.
    pub queue_arn: String,
    /// The consumer.
    pub function_arn: String,
    /// What was recorded of the mapping whose consumer is probed.
    pub mapping: RecordedMapping,
    /// Whether the queue is FIFO.
    pub fifo: bool,
    /// `maxReceiveCount` of the queue's redrive policy; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_receive_count: Option<u32>,
    /// How long the consumer may take, seconds.
    pub deadline_s: u32,
    /// Long poll, 1 to 20 seconds.
    pub long_poll_s: u32,
    /// For how long a message that failed is put aside, 0 to 43,200 seconds.
    pub put_aside_s: u32,
    /// Ids of the messages that were processed by this round of probes; each success must be on another message.
    #[serde(default)]
    pub proven: Vec<String>,
}

/// Answer of the `probe` function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum ProbeAnswer {
    /// The consumer processed the message. It is deleted; should that fail, a later probe that meets it among the
    /// `proven` deletes it.
    Healthy {
        /// Id of the message.
        message_id: String,
        /// When it was sent, milliseconds since the Unix epoch; absent when SQS did not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent_at_ms: Option<u64>,
    },
    /// The consumer failed; the message was given back.
    Unhealthy {
        /// Id of the message.
        message_id: String,
        /// What failed: the consumer's error type, `Timeout`, `BatchItemFailure`, ... never its text.
        error: String,
        /// How often the message may still be received before the queue dead-letters it; absent without a redrive policy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receives_left: Option<u32>,
        /// When it was sent, milliseconds since the Unix epoch; absent when SQS did not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent_at_ms: Option<u64>,
    },
    /// A long poll gave nothing, and nothing is visible, in flight or delayed.
    Empty,
    /// A long poll gave nothing, but messages are in flight or delayed: ask again later.
    NoneVisible {
        /// `ApproximateNumberOfMessagesNotVisible`.
        in_flight_count: u64,
        /// `ApproximateNumberOfMessagesDelayed`.
        delayed_count: u64,
    },
    /// The probe's receive was the message's last: it was given back as a full copy with a fresh receive count.
    LastReceive {
        /// Id of the original, which is deleted.
        message_id: String,
        /// Id of the copy.
        copy_id: String,
        /// When the original was sent, milliseconds since the Unix epoch; absent when SQS did not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent_at_ms: Option<u64>,
    },
    /// Someone enabled the mapping while the circuit was open.
    Overruled {
        /// The mapping's state.
        state: String,
    },
}

impl ProbeAnswer {
    /// The verdict's name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            ProbeAnswer::Healthy { .. } => "healthy",
            ProbeAnswer::Unhealthy { .. } => "unhealthy",
            ProbeAnswer::Empty => "empty",
            ProbeAnswer::NoneVisible { .. } => "none_visible",
            ProbeAnswer::LastReceive { .. } => "last_receive",
            ProbeAnswer::Overruled { .. } => "overruled",
        }
    }
}

/// How the backlog is spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejitterStrategy {
    /// A random visibility timeout: no copies; id, attributes, group and receive history stay. Bounded by the
    /// in-flight quota of the queue, beyond which it falls back to `requeue`.
    Visibility,
    /// A delayed copy with all attributes, then the original is deleted. What is to arrive beyond the 900 s of
    /// `DelaySeconds` gets a visibility timeout as long as the in-flight quota has room for it.
    Requeue,
    /// The backlog is left as it is.
    Off,
}

/// Request to the `rejitter` function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RejitterRequest {
    /// Ownership.
    pub fence: Fence,
    /// The consumer's queue (never FIFO).
    pub queue_url: String,
    /// How to spread; never `off`.
    pub strategy: RejitterStrategy,
    /// Rate at which the backlog is to arrive after the close, messages per second.
    pub drain_per_s: f64,
    /// How many invocations may share a large backlog, 1 to 40.
    #[serde(default = "one")]
    pub invocations_count: u32,
    /// For how long the mapping is limited once it is enabled, seconds: a backlog that drains in less waits for no longer.
    #[serde(default)]
    pub ramp_s: u32,
    /// Only say how the backlog would be spread; nothing is received.
    #[serde(default)]
    pub only_plans: bool,
    /// `maxReceiveCount` of the queue's redrive policy; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_receive_count: Option<u32>,
    /// Where an earlier invocation of the same re-jitter left off; absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<RejitterProgress>,
}

/// What one invocation of `rejitter` hands to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejitterProgress {
    /// Messages sent before this moment are to be spread, milliseconds since the Unix epoch.
    pub started_at_ms: u64,
    /// First moment at which a spread message may arrive.
    pub spread_from_ms: u64,
    /// Last moment at which a spread message may arrive.
    pub spread_until_ms: u64,
    /// The strategy in use: `visibility` becomes `requeue` for a backlog beyond the in-flight quota.
    pub strategy: RejitterStrategy,
    /// How many invocations share the backlog, side by side.
    #[serde(default = "one")]
    pub share_count: u32,
    /// Messages spread so far.
    pub moved_count: u64,
    /// Those of them that were spread by a visibility timeout.
    #[serde(default)]
    pub hidden_count: u64,
    /// Full copies made of messages whose last receive the re-jitter used.
    pub copied_count: u64,
    /// Messages that could not be spread; they stay in the queue and arrive after their visibility timeout.
    pub failed_count: u64,
}

fn one() -> u32 {
    1
}

/// Answer of the `rejitter` function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejitterAnswer {
    /// Every message older than the start has been spread. The first invocation of several that are to share a backlog
    /// only plans, and answers that it is not.
    pub done: bool,
    /// Counts so far, to be handed to the next invocation unless `done`.
    pub progress: RejitterProgress,
}

/// Request to the `queue` function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum QueueRequest {
    /// How long is it until the first message expires? Changes nothing.
    Inspect(InspectQueue),
    /// Give the queue a longer retention. Done already is done; a retention that is neither is somebody else's.
    RaiseRetention {
        /// Ownership.
        fence: Fence,
        /// The consumer's queue.
        queue_url: String,
        /// The retention that it has, as it was recorded, seconds.
        from_s: u32,
        /// The retention that it is to have, seconds.
        to_s: u32,
    },
    /// Give it its own retention back. Done already is done; a retention that is neither is somebody else's.
    RestoreRetention {
        /// Ownership.
        fence: Fence,
        /// The consumer's queue.
        queue_url: String,
        /// The retention that it was given, seconds.
        from_s: u32,
        /// Its own retention, seconds.
        to_s: u32,
    },
    /// Is the queue empty? Changes nothing.
    Drained {
        /// Ownership.
        fence: Fence,
        /// The consumer's queue.
        queue_url: String,
    },
    /// Count what is in the dead-letter queue and, if it is the incident's and is to be, move it back.
    Redrive(RedriveQueue),
}

/// What the loss clock is read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectQueue {
    /// Ownership.
    pub fence: Fence,
    /// The consumer's queue.
    pub queue_url: String,
    /// Its dead-letter queue; absent without one, or where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_queue_url: Option<String>,
    /// Whether the queues are FIFO: there a message begins anew in the dead-letter queue.
    pub fifo: bool,
    /// When the circuit was opened, milliseconds since the Unix epoch.
    pub opened_at_ms: u64,
    /// When the oldest message that may be in the queue was sent, milliseconds since the Unix epoch.
    pub oldest_sent_at_ms: u64,
    /// Messages in the dead-letter queue when the circuit opened; absent when that is not known yet.
    #[serde(default)]
    pub dead_letter_count_at_open: Option<u64>,
    /// Retention to which the queue may be raised, seconds; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raise_to_s: Option<u32>,
}

/// Which queue deletes the first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BitingQueue {
    /// The consumer's queue.
    Queue,
    /// The dead-letter queue: messages were dead-lettered since the circuit opened.
    DeadLetterQueue,
}

/// The loss clock: answer to [`QueueRequest::Inspect`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossClock {
    /// Always true; the workflow's own value while no answer has come is false.
    pub known: bool,
    /// The queue's retention, seconds.
    pub retention_s: u32,
    /// Messages in the dead-letter queue, approximately; absent where it is not known.
    pub dead_letter_count: Option<u64>,
    /// What the clock was reckoned from, as it was asked for.
    pub oldest_sent_at_ms: u64,
    /// Which queue deletes the first message.
    pub queue: BitingQueue,
    /// When, milliseconds since the Unix epoch.
    pub expires_at_ms: u64,
    /// How much of the time until then has passed, percent; above 100 it is over.
    pub percent: u64,
    /// The last mark that has passed: 0, 50 or 75 percent.
    pub mark_percent: u64,
    /// Whether it is time to raise the queue's retention.
    pub raise: bool,
    /// When the clock is to be read again at the latest, milliseconds since the Unix epoch.
    pub next_check_at_ms: u64,
}

/// Answer to [`QueueRequest::RaiseRetention`] and [`QueueRequest::RestoreRetention`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionAnswer {
    /// What came of it.
    pub outcome: RetentionOutcome,
    /// The retention that the queue has now, seconds.
    pub retention_s: u32,
}

/// What came of a change of the retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetentionOutcome {
    /// The queue has the retention that was asked for.
    Done,
    /// Somebody else has given it another one, which stays.
    LeftAlone,
}

/// Answer to [`QueueRequest::Drained`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainedAnswer {
    /// Nothing is visible, in flight or delayed, as far as the counts can be believed.
    pub drained: bool,
}

/// What a redrive is judged by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveQueue {
    /// Ownership.
    pub fence: Fence,
    /// The dead-letter queue.
    pub dead_letter_queue_url: String,
    /// Its ARN.
    pub dead_letter_queue_arn: String,
    /// Messages in it when the circuit opened; absent when that was never known.
    #[serde(default)]
    pub dead_letter_count_at_open: Option<u64>,
    /// Whether the circuit closed because the dependency is believed to work again.
    pub recovered: bool,
    /// Rate at which messages may be moved back, 1 to 500 per second; absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_s: Option<u32>,
}

/// Answer to [`QueueRequest::Redrive`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetters {
    /// Messages in the dead-letter queue when the circuit opened; absent when that was never known.
    pub count_at_open: Option<u64>,
    /// Messages in it now, approximately.
    pub count_at_close: u64,
    /// What was done about them.
    pub redrive: RedriveOutcome,
}

/// What was done about the messages in the dead-letter queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedriveOutcome {
    /// They are being moved back.
    Started,
    /// Some were there before, so that the incident's cannot be told apart.
    NotToldApart,
    /// The circuit closed without the dependency being believed to work: they would only come back.
    NotRecovered,
    /// It is not configured.
    Off,
    /// There are none.
    None,
    /// SQS did not answer, or refused.
    Failed,
}

/// Request to the `reconciler`: one circuit to look at. It is the constant input of the rule that invokes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileRequest {
    /// Name of the circuit.
    pub circuit: String,
    /// ARN of its state machine.
    pub machine_arn: String,
    /// UUID of its mapping.
    pub mapping_uuid: String,
    /// Name of the alarm that trips it.
    pub alarm_name: String,
    /// Whether that is a composite alarm.
    pub alarm_is_composite: bool,
    /// Whether the alarm is made from the mapping's event metrics.
    pub needs_event_metrics: bool,
    /// Whether its state machine can raise the queue's retention, and so give it back.
    pub raises_retention: bool,
}

/// Answer of the `reconciler`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileAnswer {
    /// What was done, in few words; nothing when everything is as it should be.
    pub done: Vec<String>,
}

/// What completes the wait early: the output of the callback task, a command to a waiting execution. The workflow takes
/// what it does not know, a hold without a time among it, as [`WaitCommand::Probe`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum WaitCommand {
    /// Probe at once. A circuit that is held is released by it.
    Probe {
        /// Who says so and why, for people.
        #[serde(default)]
        reason: String,
    },
    /// Close without further probing.
    Close {
        /// Who says so and why, for people.
        #[serde(default)]
        reason: String,
    },
    /// Keep the circuit open until a time, without probing.
    Hold(Hold),
    /// End a hold and probe.
    Release {
        /// Who says so and why, for people.
        #[serde(default)]
        reason: String,
    },
    /// Probe at once, because the dependency says that it has recovered. A probe that fails all the same costs nothing but
    /// itself: the wait goes on where it was.
    Recovered {
        /// Who says so and why, for people.
        #[serde(default)]
        reason: String,
    },
    /// Look whether the mappings are still disabled, and yield if somebody enabled one: what the reconciler says. While
    /// they are, a hold goes on.
    Check,
}

impl WaitCommand {
    /// The name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            WaitCommand::Probe { .. } => "probe",
            WaitCommand::Close { .. } => "close",
            WaitCommand::Hold(_) => "hold",
            WaitCommand::Release { .. } => "release",
            WaitCommand::Recovered { .. } => "recovered",
            WaitCommand::Check => "check",
        }
    }
}

/// What the `signal` function is invoked with: an event from the bus, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalEvent {
    /// When it was sent, RFC 3339. EventBridge fills it in, in whole seconds, unless the sender did.
    pub time: String,
    /// What it says.
    pub detail: SignalDetail,
}

/// The detail of a [`crate::events::DOWNSTREAM_RECOVERED`] event. Whoever sends it names a circuit, or what circuits depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalDetail {
    /// Name of one circuit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit: Option<String>,
    /// Name of a dependency: every circuit whose `dependency` is this one is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependency: Option<String>,
    /// Who says so and why, for people; at most [`MAX_REASON`] characters are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What the `signal` function did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalAnswer {
    /// One entry for each circuit that is meant; none when the stack has no such circuit.
    pub circuits: Vec<SignalledCircuit>,
}

/// What a recovery signal came to at one circuit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalledCircuit {
    /// Name of the circuit.
    pub circuit: String,
    /// What it came to.
    pub outcome: SignalOutcome,
}

/// What a recovery signal comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalOutcome {
    /// The wait was ended: a probe begins.
    Woken,
    /// The circuit is closed: nothing to do.
    Closed,
    /// The mapping is being given back already, or tried with limited traffic: nothing to do.
    Closing,
    /// An operator holds the circuit: that stands.
    Held,
    /// A probe has begun since the signal was sent: it came late, or a second time.
    Late,
    /// The breaker has given up, after `exhausted.then = "fail"`: somebody has to trip or close the circuit.
    GivenUp,
}

//! The configuration of breakers: what stands in `breaker.toml`.
//!
//! ```
//! let config = workflow::config::BreakerConfig::from_toml(
//!     r#"
//!     [circuits.orders.backoff]
//!     base_s = 20
//!     "#,
//! )
//! .expect("every other value has a default");
//! assert_eq!(config.circuits["orders"].backoff.cap_s, 300);
//! ```
//!
//! Every field has a default; the range of each is checked by [`BreakerConfig::validate`], which returns all findings
//! at once.

mod finding;
mod parse;
mod validate;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::finding::{Finding, Findings, Severity, code};
pub use self::validate::{ALARM_LAG_S, SETTLE_S};
use crate::backoff::Backoff;
use crate::contract::RejitterStrategy;

/// Time that a cold start may take before the function's own clock begins: Lambda allows 10 s for the init phase.
const COLD_START_S: u32 = 15;
/// Longest time that a probe may give the consumer: with the long poll it has to fit into Lambda's 900 s.
const MAX_PROBE_DEADLINE_S: u32 = 850;

/// Most steps of a ramp.
pub const MAX_RAMP_STEPS: usize = 10;

/// Longest time that SQS keeps a message, seconds; the example's dead-letter queue does.
pub const MAX_RETENTION_S: u32 = 1_209_600;

/// Breakers that live in one stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BreakerConfig {
    /// One circuit per guarded dependency, by name: a lower-case letter, then up to 31 lower-case letters, digits and
    /// hyphens.
    #[serde(default)]
    pub circuits: BTreeMap<String, CircuitConfig>,
}

/// The default is the example stack: one circuit named `example` with a queue and a consumer of its own.
impl Default for BreakerConfig {
    fn default() -> BreakerConfig {
        BreakerConfig::single("example", CircuitConfig::default())
    }
}

impl BreakerConfig {
    /// A configuration with one circuit.
    pub fn single(name: &str, circuit: CircuitConfig) -> BreakerConfig {
        BreakerConfig { circuits: BTreeMap::from([(name.to_owned(), circuit)]) }
    }
}

/// Settings of one circuit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CircuitConfig {
    /// Codes of the unsafe findings that are accepted for this circuit: [`code::ACCEPTABLE`].
    pub accept: Vec<String>,
    /// Name of what the consumer depends on, 1 to 64 letters, digits, dots, hyphens and underscores: a recovery signal may
    /// name it instead of the circuit, and means every circuit that depends on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dependency: Option<String>,
    /// The consumer that exists already. Absent: the stack gets an example queue and consumer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer: Option<ConsumerConfig>,
    /// The example queue and consumer, used when `consumer` is absent.
    pub example: ExampleConfig,
    /// When the alarm fires.
    pub alarm: AlarmConfig,
    /// How the circuit opens.
    pub open: OpenConfig,
    /// How long to wait between probes.
    pub backoff: Backoff,
    /// How the consumer is probed.
    pub probe: ProbeConfig,
    /// How the backlog is spread before the close.
    pub rejitter: RejitterConfig,
    /// How the circuit closes.
    pub close: CloseConfig,
    /// By which steps the mapping comes back to its own concurrency.
    pub ramp: RampConfig,
    /// What is done against messages that expire while they wait.
    pub retention: RetentionConfig,
    /// What becomes of the dead-letter queue after the close.
    pub redrive: RedriveConfig,
    /// What happens when the dependency stays down.
    pub exhausted: ExhaustedConfig,
    /// What happens when a step of the breaker itself fails for good.
    pub fault: FaultConfig,
    /// Log groups and their retention.
    pub logs: LogsConfig,
}

/// A consumer that exists already: its function, queue and mapping, with the settings that the breaker's arithmetic
/// depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConsumerConfig {
    /// ARN of the function, unqualified or with an alias.
    pub function_arn: String,
    /// The function's timeout, 1 to 900 seconds.
    pub function_timeout_s: u32,
    /// UUID of the event source mapping.
    pub mapping_uuid: String,
    /// Whether the mapping's event metrics are on (`MetricsConfig.Metrics = ["EventCount"]`). The alarm looks at
    /// nothing else, and metrics that are off look like silence.
    #[serde(default)]
    pub event_metrics: bool,
    /// URL of the queue.
    pub queue_url: String,
    /// ARN of the queue; `.fifo` at its end marks a FIFO queue.
    pub queue_arn: String,
    /// The queue's visibility timeout, 0 to 43,200 seconds.
    pub visibility_timeout_s: u32,
    /// `maxReceiveCount` of the queue's redrive policy, 1 to 1,000; absent without a dead-letter queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_receive_count: Option<u32>,
    /// ARN of the customer managed key that encrypts the queue; absent for none or for SQS-managed keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_arn: Option<String>,
    /// The queue's retention, 60 to 1,209,600 seconds; absent: not known, and not compared with anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_s: Option<u32>,
    /// The dead-letter queue's retention, 60 to 1,209,600 seconds; absent: not known, or no dead-letter queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_retention_s: Option<u32>,
    /// URL of the dead-letter queue, together with its ARN; absent: not known, so that its retention and its messages
    /// play no part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_queue_url: Option<String>,
    /// ARN of the dead-letter queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_queue_arn: Option<String>,
    /// ARN of the customer managed key that encrypts the dead-letter queue; absent for none or for SQS-managed keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_kms_key_arn: Option<String>,
    /// Whether the mapping takes partial batch responses (`FunctionResponseTypes` has `ReportBatchItemFailures`).
    #[serde(default)]
    pub report_batch_item_failures: bool,
    /// Whether the mapping is in provisioned mode (it has a `ProvisionedPollerConfig`).
    #[serde(default)]
    pub provisioned_mode: bool,
}

/// The example's queue and consumer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExampleConfig {
    /// A FIFO queue instead of a standard one.
    pub fifo: bool,
    /// A queue encrypted with a customer managed key.
    pub encrypted: bool,
    /// The mapping takes `batchItemFailures`, and the consumer answers with them instead of failing whole.
    pub report_batch_item_failures: bool,
    /// A ledger queue in which the consumer records the id of each processed message.
    pub ledger: bool,
    /// The consumer's timeout, 1 to 900 seconds.
    pub function_timeout_s: u32,
    /// The queue's visibility timeout, seconds; AWS advises six times the function's timeout.
    pub visibility_timeout_s: u32,
    /// Receives before a message is dead-lettered, 1 to 1,000.
    pub max_receive_count: u32,
    /// The queue's retention, 60 to 1,209,600 seconds. The dead-letter queue keeps messages for 1,209,600.
    pub retention_s: u32,
    /// Messages per batch, 1 to 10.
    pub batch_size: u32,
}

impl Default for ExampleConfig {
    fn default() -> ExampleConfig {
        ExampleConfig {
            fifo: false,
            encrypted: false,
            report_batch_item_failures: false,
            ledger: false,
            function_timeout_s: 10,
            visibility_timeout_s: 60,
            max_receive_count: 15,
            retention_s: 345_600,
            batch_size: 10,
        }
    }
}

/// What the alarm looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmSignal {
    /// The share of the mapping's events that failed: `FailedInvokeEventCount` of `InvokedEventCount`. It sees partial
    /// batch responses and is blind to the breaker's own probes. Needs the mapping's event metrics.
    MappingEvents,
    /// The share of the function's invocations that failed: `Errors` of `Invocations`. The breaker's own probes feed it,
    /// and it is blind to partial batch responses and to throttles.
    FunctionErrors,
    /// A number of the mapping's events that failed, `FailedInvokeEventCount`, whatever the volume; no metric math. Needs
    /// the mapping's event metrics.
    FailedCount,
    /// A metric alarm or composite alarm that exists already. The stack makes none.
    Existing,
}

impl AlarmSignal {
    /// The signal as it stands in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            AlarmSignal::MappingEvents => "mapping-events",
            AlarmSignal::FunctionErrors => "function-errors",
            AlarmSignal::FailedCount => "failed-count",
            AlarmSignal::Existing => "existing",
        }
    }

    /// Whether it looks at metrics that a mapping has only when it is opted in (`MetricsConfig`).
    pub fn needs_event_metrics(self) -> bool {
        match self {
            AlarmSignal::MappingEvents | AlarmSignal::FailedCount => true,
            AlarmSignal::FunctionErrors | AlarmSignal::Existing => false,
        }
    }

    /// Whose metrics tell what of live traffic fails: those that the signal looks at. What an existing alarm looks at is not
    /// known; the function's own metrics are always there.
    pub fn counted(self) -> Counted {
        match self {
            AlarmSignal::MappingEvents | AlarmSignal::FailedCount => Counted::MappingEvents,
            AlarmSignal::FunctionErrors | AlarmSignal::Existing => Counted::FunctionInvocations,
        }
    }

    /// Whether a probe that fails can keep the alarm firing. What an existing alarm looks at is not known, so it counts
    /// as one that sees them.
    pub fn sees_probes(self) -> bool {
        match self {
            AlarmSignal::FunctionErrors | AlarmSignal::Existing => true,
            AlarmSignal::MappingEvents | AlarmSignal::FailedCount => false,
        }
    }
}

/// Namespace of Lambda's metrics, those of its mappings among them.
pub const METRIC_NAMESPACE: &str = "AWS/Lambda";

/// What CloudWatch counts of a consumer, each minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The mapping's events, which it has when it is opted in.
    MappingEvents,
    /// The function's invocations, whoever made them.
    FunctionInvocations,
}

impl Counted {
    /// The metric of all of them, and the one of those that failed.
    pub fn metrics(self) -> [&'static str; 2] {
        match self {
            Counted::MappingEvents => ["InvokedEventCount", "FailedInvokeEventCount"],
            Counted::FunctionInvocations => ["Invocations", "Errors"],
        }
    }
}

/// When the alarm fires: what it looks at, M of N periods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlarmConfig {
    /// What it looks at.
    pub signal: AlarmSignal,
    /// ARN of the alarm that exists already; for the signal `existing`, and only for it. The periods below then describe
    /// that alarm (of a composite alarm the slowest child), because the breaker's arithmetic depends on them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub existing_alarm_arn: Option<String>,
    /// Whether that alarm is a composite alarm. CloudWatch shows those only to who may see every alarm.
    pub existing_alarm_is_composite: bool,
    /// Share of failed events, or of failed invocations, at which a period counts as breaching, 1 to 100 percent; for the
    /// signals `mapping-events` and `function-errors`.
    pub failure_percent: f64,
    /// Events, or invocations, that a period needs before its share counts, 1 to 1,000,000; for the same signals.
    pub min_events_count: u32,
    /// Failed events at which a period counts as breaching, 1 to 1,000,000; for the signal `failed-count`.
    pub failed_events_count: u32,
    /// Length of a period, 60 to 3,600 seconds in whole minutes.
    pub period_s: u32,
    /// N: periods looked at, 1 to 60; together with the period at most 86,400 s.
    pub evaluation_periods_count: u32,
    /// M: breaching periods among them that fire the alarm, 1 to N.
    pub datapoints_to_alarm_count: u32,
}

impl Default for AlarmConfig {
    fn default() -> AlarmConfig {
        AlarmConfig {
            signal: AlarmSignal::MappingEvents,
            existing_alarm_arn: None,
            existing_alarm_is_composite: false,
            failure_percent: 50.0,
            min_events_count: 5,
            failed_events_count: 5,
            period_s: 60,
            evaluation_periods_count: 3,
            datapoints_to_alarm_count: 2,
        }
    }
}

impl AlarmConfig {
    /// Name of the alarm that exists already: what follows `alarm:` in its ARN. Empty without one.
    pub fn existing_alarm_name(&self) -> &str {
        let arn = self.existing_alarm_arn.as_deref().unwrap_or_default();
        arn.splitn(7, ':').nth(6).unwrap_or_default()
    }

    /// Length of the alarm's window: after so many seconds without failures its old datapoints count no more.
    pub fn window_s(&self) -> u32 {
        self.period_s.saturating_mul(self.evaluation_periods_count)
    }
}

/// How the circuit opens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OpenConfig {
    /// Interval at which a settling mapping is looked at, 1 to 60 seconds.
    pub settle_poll_s: u32,
    /// Time after which a mapping that does not settle is a fault, 60 to 3,600 seconds.
    pub settle_timeout_s: u32,
    /// Time after the disable during which deliveries may still start, 0 to 600 seconds. Deliveries 30 to 60 s after
    /// the disable are on record.
    pub quiet_grace_s: u32,
}

impl Default for OpenConfig {
    fn default() -> OpenConfig {
        OpenConfig { settle_poll_s: 5, settle_timeout_s: 900, quiet_grace_s: 60 }
    }
}

/// How the consumer is probed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProbeConfig {
    /// Successes in a row, on distinct messages, that close the circuit, 1 to 20.
    pub successes_to_close_count: u32,
    /// How long the consumer may take, 1 to 850 seconds; absent: the function's timeout and 15 s for a cold start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_s: Option<u32>,
    /// Long poll for the probe's message, 1 to 20 seconds.
    pub long_poll_s: u32,
    /// ARN of a function that tells whether the dependency is healthy, asked when the queue is empty: an answer is
    /// healthy, an error is not. Absent: an empty queue leads to a limited close.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_function_arn: Option<String>,
}

impl Default for ProbeConfig {
    fn default() -> ProbeConfig {
        ProbeConfig {
            successes_to_close_count: 2,
            deadline_s: None,
            long_poll_s: 20,
            health_check_function_arn: None,
        }
    }
}

/// How the backlog is spread before the close.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RejitterConfig {
    /// How to spread; absent: `visibility` for a standard queue, `off` for a FIFO queue, which is never re-jittered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<RejitterStrategy>,
    /// Rate at which the backlog arrives after the close, 0.1 to 10,000 messages per second.
    pub drain_per_s: f64,
    /// How many invocations share a large backlog, 1 to 40: one per 50,000 messages, and at most so many.
    pub invocations_count: u32,
}

impl Default for RejitterConfig {
    fn default() -> RejitterConfig {
        RejitterConfig { strategy: None, drain_per_s: 100.0, invocations_count: 4 }
    }
}

/// How the circuit closes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CloseConfig {
    /// `MaximumConcurrency` of a limited close, 2 to 1,000.
    pub limited_concurrency_count: u32,
    /// How long a limited close is watched before the exact settings are restored, 60 to 3,600 seconds.
    pub limited_watch_s: u32,
}

impl Default for CloseConfig {
    fn default() -> CloseConfig {
        CloseConfig { limited_concurrency_count: 2, limited_watch_s: 240 }
    }
}

/// By which steps the mapping comes back to its own concurrency after a recovery. Each step is watched by what of the traffic
/// failed since the first one; a relapse opens the circuit again. Provisioned pollers have no `MaximumConcurrency`: such a
/// mapping has no ramp.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RampConfig {
    /// `MaximumConcurrency` of each step, 2 to 1,000, each more than the one before, at most [`MAX_RAMP_STEPS`] of them; after
    /// the last one the mapping gets what was recorded. Steps at or above a mapping's own maximum are left out. Empty: no ramp.
    pub concurrency_counts: Vec<u32>,
    /// How long each step is watched, 120 to 3,600 seconds: a minute of metrics, and a minute until they can be read.
    pub step_s: u32,
}

impl Default for RampConfig {
    fn default() -> RampConfig {
        RampConfig { concurrency_counts: vec![2, 10], step_s: 120 }
    }
}

impl RampConfig {
    /// How long the ramp takes, seconds, if no step of it is left out.
    pub fn length_s(&self) -> u32 {
        u32::try_from(self.concurrency_counts.len()).unwrap_or(u32::MAX).saturating_mul(self.step_s)
    }
}

/// What is done against messages that expire while they wait.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetentionConfig {
    /// Retention that the queue gets for a while when half of its own has passed, 60 to 1,209,600 seconds and more than
    /// its own; absent: the retention is never touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raise_to_s: Option<u32>,
}

/// What becomes of the dead-letter queue after the close.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RedriveConfig {
    /// Whether what was dead-lettered in the incident is moved back.
    pub after_close: RedriveAfterClose,
    /// At which rate, 1 to 500 messages per second.
    pub max_per_s: u32,
}

impl Default for RedriveConfig {
    fn default() -> RedriveConfig {
        RedriveConfig { after_close: RedriveAfterClose::Off, max_per_s: 50 }
    }
}

/// Whether the dead-letter queue is redriven after the close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedriveAfterClose {
    /// Never.
    Off,
    /// When it was empty as the circuit opened, so that all that is in it now is the incident's.
    Incident,
}

/// What happens when the dependency stays down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExhaustedConfig {
    /// Time open after which the breaker says so loudly, 60 to 1,209,600 seconds.
    pub after_s: u32,
    /// Failed probes after which it does so earlier, 1 to 10,000; absent: time alone decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_probes_count: Option<u32>,
    /// What to do then.
    pub then: ExhaustedThen,
    /// Wait between probes from then on, 60 to 43,200 seconds.
    pub slow_probe_s: u32,
}

impl Default for ExhaustedConfig {
    fn default() -> ExhaustedConfig {
        ExhaustedConfig {
            after_s: 86_400,
            after_probes_count: None,
            then: ExhaustedThen::KeepProbing,
            slow_probe_s: 900,
        }
    }
}

/// What to do when the configured time or attempts are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExhaustedThen {
    /// Stay open and probe slowly.
    KeepProbing,
    /// Close, and let the consumer fail: its messages then go their way to the dead-letter queue.
    Close,
    /// End the execution as failed; the circuit stays open until somebody acts.
    Fail,
}

/// What happens when a step of the breaker itself fails for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FaultConfig {
    /// What to do.
    pub then: FaultThen,
    /// Pause before going on, 10 to 3,600 seconds.
    pub pause_s: u32,
}

impl Default for FaultConfig {
    fn default() -> FaultConfig {
        FaultConfig { then: FaultThen::KeepOpen, pause_s: 60 }
    }
}

/// Which side is safe when the breaker itself fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultThen {
    /// The queue holds the messages; go on after a pause.
    KeepOpen,
    /// Give the mapping back and let the consumer try.
    Restore,
}

/// Log groups and their retention.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogsConfig {
    /// Retention of the log groups in days: one of the values that CloudWatch Logs knows (1, 3, 5, 7, 14, 30, 60, 90,
    /// 120, 150, 180, 365, 400, 545, 731, ...).
    pub retention_days: u32,
}

impl Default for LogsConfig {
    fn default() -> LogsConfig {
        LogsConfig { retention_days: 30 }
    }
}

/// What the breaker's arithmetic needs to know of a consumer, wherever it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerFacts {
    /// The function's timeout, seconds.
    pub function_timeout_s: u32,
    /// The queue's visibility timeout, seconds.
    pub visibility_timeout_s: u32,
    /// `maxReceiveCount`, if there is a dead-letter queue.
    pub max_receive_count: Option<u32>,
    /// Whether the queue is FIFO.
    pub fifo: bool,
    /// The queue's retention, seconds, if it is known.
    pub retention_s: Option<u32>,
    /// The dead-letter queue's retention, seconds, if there is one and it is known.
    pub dead_letter_retention_s: Option<u32>,
    /// Whether the mapping takes partial batch responses.
    pub report_batch_item_failures: bool,
    /// Whether the mapping is in provisioned mode.
    pub provisioned_mode: bool,
}

impl CircuitConfig {
    /// The facts of the consumer that exists, or of the example.
    pub fn facts(&self) -> ConsumerFacts {
        match &self.consumer {
            Some(consumer) => ConsumerFacts {
                function_timeout_s: consumer.function_timeout_s,
                visibility_timeout_s: consumer.visibility_timeout_s,
                max_receive_count: consumer.max_receive_count,
                fifo: consumer.queue_arn.ends_with(".fifo"),
                retention_s: consumer.retention_s,
                dead_letter_retention_s: consumer.dead_letter_retention_s,
                report_batch_item_failures: consumer.report_batch_item_failures,
                provisioned_mode: consumer.provisioned_mode,
            },
            None => ConsumerFacts {
                function_timeout_s: self.example.function_timeout_s,
                visibility_timeout_s: self.example.visibility_timeout_s,
                max_receive_count: Some(self.example.max_receive_count),
                fifo: self.example.fifo,
                retention_s: Some(self.example.retention_s),
                dead_letter_retention_s: Some(MAX_RETENTION_S),
                report_batch_item_failures: self.example.report_batch_item_failures,
                provisioned_mode: false,
            },
        }
    }

    /// Whether it is known which queue the dead-letter queue is: the example's own, or the one that is configured.
    pub fn knows_dead_letter_queue(&self) -> bool {
        let known = |consumer: &ConsumerConfig| {
            consumer.dead_letter_queue_url.is_some() && consumer.dead_letter_queue_arn.is_some()
        };
        self.consumer.as_ref().is_none_or(known)
    }

    /// How the backlog is spread, with the default for the kind of queue applied.
    pub fn rejitter_strategy(&self) -> RejitterStrategy {
        match self.rejitter.strategy {
            _ if self.facts().fifo => RejitterStrategy::Off,
            Some(strategy) => strategy,
            None => RejitterStrategy::Visibility,
        }
    }

    /// How long a probe gives the consumer, seconds. By default the function's timeout and some time for a cold start,
    /// which comes before the function's own clock begins.
    pub fn probe_deadline_s(&self) -> u32 {
        let with_cold_start = self.facts().function_timeout_s.saturating_add(COLD_START_S);
        self.probe.deadline_s.unwrap_or(with_cold_start.min(MAX_PROBE_DEADLINE_S))
    }
}

#[cfg(test)]
mod tests;

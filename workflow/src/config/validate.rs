//! Every check of a configuration, in one place.

mod retention;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;

use super::{
    AlarmSignal, BreakerConfig, CircuitConfig, ConsumerConfig, ExampleConfig, Finding, Findings,
    MAX_PROBE_DEADLINE_S, MAX_RAMP_STEPS, MAX_RETENTION_S, RampConfig, Severity, code,
};
use crate::backoff::Backoff;
use crate::contract::RejitterStrategy;

/// Retentions that CloudWatch Logs accepts, in days.
const LOG_RETENTION_DAYS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// From the first failure to the alarm: metrics are published and evaluated up to two minutes late.
pub const ALARM_LAG_S: u32 = 120;

/// From the trip to a mapping that delivers no more, as usually seen: a transition takes 30 to 90 s.
pub const SETTLE_S: u32 = 90;

/// Receives that the breaker itself may use on one message after detection: a probe, the re-jitter, and one in hand.
const BREAKER_RECEIVES: u32 = 3;

/// `FunctionTimeout` of a mapping's queue: AWS refuses a visibility timeout below it and advises six times it.
const ADVISED_VISIBILITY_FACTOR: u32 = 6;

/// Most invocations of the re-jitter at once: an inline `Map` of Step Functions runs no more.
const MAX_INVOCATIONS_COUNT: u32 = 40;

/// Longest name of a dependency.
const MAX_DEPENDENCY: usize = 64;
/// Longest name of a circuit; it becomes part of logical ids.
const MAX_NAME: usize = 32;

impl BreakerConfig {
    /// Everything that is wrong, unsafe or worth knowing in this configuration. Empty for the default.
    pub fn validate(&self) -> Findings {
        let mut findings = Vec::new();
        for (name, circuit) in &self.circuits {
            let mut check = Check { prefix: format!("circuits.{name}"), findings: Vec::new() };
            check.name(name);
            check.circuit(circuit);
            findings.extend(check.findings.into_iter().map(|finding| finding.judged(name, &circuit.accept)));
        }
        findings.extend(self.shared_mappings());
        findings.sort_by_key(|finding| finding.severity);
        Findings(findings)
    }
}

impl BreakerConfig {
    /// Mappings that two circuits guard: each would take the other for an operator who overrules it.
    fn shared_mappings(&self) -> Vec<Finding> {
        let mut guarded: BTreeMap<&str, &str> = BTreeMap::new();
        let mut findings = Vec::new();
        for (name, circuit) in &self.circuits {
            let Some(consumer) = &circuit.consumer else { continue };
            if let Some(other) = guarded.insert(&consumer.mapping_uuid, name) {
                findings.push(Finding::new(
                    Severity::Error,
                    code::SHARED_MAPPING,
                    format!("circuits.{name}.consumer.mapping_uuid"),
                    format!("{:?}", consumer.mapping_uuid),
                    format!("circuit {other} guards this mapping already: one mapping has one circuit"),
                    "remove one of the two circuits",
                ));
            }
        }
        findings
    }
}

/// Collects the findings of one circuit.
struct Check {
    prefix: String,
    findings: Vec<Finding>,
}

impl Check {
    fn add(
        &mut self,
        (severity, code): (Severity, &'static str),
        setting: &str,
        value: impl Display,
        allowed: impl Into<String>,
        fix: &str,
    ) {
        let name =
            if setting.is_empty() { self.prefix.clone() } else { format!("{}.{setting}", self.prefix) };
        self.findings.push(Finding::new(severity, code, name, value, allowed, fix));
    }

    fn error(
        &mut self,
        code: &'static str,
        setting: &str,
        value: impl Display,
        allowed: impl Into<String>,
        fix: &str,
    ) {
        self.add((Severity::Error, code), setting, value, allowed, fix);
    }

    fn unsafe_one(
        &mut self,
        code: &'static str,
        setting: &str,
        value: impl Display,
        allowed: impl Into<String>,
        fix: &str,
    ) {
        debug_assert!(
            code::ACCEPTABLE.contains(&code),
            "{code} has to be in the list of what can be accepted"
        );
        self.add((Severity::Unsafe, code), setting, value, allowed, fix);
    }

    fn warning(
        &mut self,
        code: &'static str,
        setting: &str,
        value: impl Display,
        allowed: impl Into<String>,
        fix: &str,
    ) {
        self.add((Severity::Warning, code), setting, value, allowed, fix);
    }

    fn range<T: PartialOrd + Display>(
        &mut self,
        setting: &str,
        value: T,
        allowed: RangeInclusive<T>,
        unit: &str,
    ) {
        if !allowed.contains(&value) {
            let text = format!("must be {} to {} {unit}", allowed.start(), allowed.end());
            self.error(code::OUT_OF_RANGE, setting, value, text, "set a value in that range");
        }
    }

    fn name(&mut self, name: &str) {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
        if !starts || name.len() > MAX_NAME || !name.chars().all(letters) {
            let allowed = format!(
                "a circuit's name is a lower-case letter, then lower-case letters, digits and hyphens, {MAX_NAME} \
                 characters at most"
            );
            self.error(code::INVALID_NAME, "", format!("[circuits.{name}]"), allowed, "rename the circuit");
        }
    }

    fn dependency(&mut self, dependency: Option<&str>) {
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if let Some(name) = dependency
            && !((1..=MAX_DEPENDENCY).contains(&name.len()) && name.chars().all(letters))
        {
            let allowed = format!("1 to {MAX_DEPENDENCY} letters, digits, dots, hyphens and underscores");
            let fix = "give the dependency such a name";
            self.error(code::INVALID_NAME, "dependency", format!("{name:?}"), allowed, fix);
        }
    }

    fn circuit(&mut self, circuit: &CircuitConfig) {
        self.accept(&circuit.accept);
        self.dependency(circuit.dependency.as_deref());
        match &circuit.consumer {
            Some(consumer) => self.consumer(consumer),
            None => self.example(&circuit.example),
        }
        self.alarm(circuit);
        self.range("open.settle_poll_s", circuit.open.settle_poll_s, 1..=60, "seconds");
        self.range("open.settle_timeout_s", circuit.open.settle_timeout_s, 60..=3_600, "seconds");
        self.range("open.quiet_grace_s", circuit.open.quiet_grace_s, 0..=600, "seconds");
        self.backoff(&circuit.backoff);
        self.probe(circuit);
        self.range(
            "rejitter.drain_per_s",
            circuit.rejitter.drain_per_s,
            0.1..=10_000.0,
            "messages per second",
        );
        self.range(
            "rejitter.invocations_count",
            circuit.rejitter.invocations_count,
            1..=MAX_INVOCATIONS_COUNT,
            "invocations",
        );
        self.range(
            "close.limited_concurrency_count",
            circuit.close.limited_concurrency_count,
            2..=1_000,
            "invocations",
        );
        self.range("close.limited_watch_s", circuit.close.limited_watch_s, 60..=3_600, "seconds");
        self.ramp(&circuit.ramp);
        self.range("redrive.max_per_s", circuit.redrive.max_per_s, 1..=500, "messages per second");
        self.range("exhausted.after_s", circuit.exhausted.after_s, 60..=1_209_600, "seconds");
        if let Some(count) = circuit.exhausted.after_probes_count {
            self.range("exhausted.after_probes_count", count, 1..=10_000, "probes");
        }
        self.range("exhausted.slow_probe_s", circuit.exhausted.slow_probe_s, 60..=43_200, "seconds");
        self.range("fault.pause_s", circuit.fault.pause_s, 10..=3_600, "seconds");
        if !LOG_RETENTION_DAYS.contains(&circuit.logs.retention_days) {
            let days = LOG_RETENTION_DAYS.map(|day| day.to_string()).join(", ");
            self.error(
                code::OUT_OF_RANGE,
                "logs.retention_days",
                circuit.logs.retention_days,
                format!("CloudWatch Logs keeps logs for {days} days"),
                "choose one of these",
            );
        }
        self.fifo(circuit);
        self.receives(circuit);
        self.signal(circuit);
        self.retention(circuit);
        self.raised_retention(circuit);
        self.redrive(circuit);
        self.provisioned_mode(circuit);
    }

    /// A name that accepts nothing is a misspelt one, and the finding it was meant for would come as a surprise.
    fn accept(&mut self, accept: &[String]) {
        for name in accept.iter().filter(|name| !code::ACCEPTABLE.contains(&name.as_str())) {
            self.error(
                code::UNKNOWN_ACCEPTANCE,
                "accept",
                format!("{name:?}"),
                format!("names of unsafe findings: {}", code::ACCEPTABLE.join(", ")),
                "remove it, or correct the name",
            );
        }
    }

    fn alarm(&mut self, circuit: &CircuitConfig) {
        let alarm = &circuit.alarm;
        self.range("alarm.failure_percent", alarm.failure_percent, 1.0..=100.0, "percent");
        self.range("alarm.min_events_count", alarm.min_events_count, 1..=1_000_000, "events per period");
        self.range(
            "alarm.failed_events_count",
            alarm.failed_events_count,
            1..=1_000_000,
            "events per period",
        );
        if !alarm.period_s.is_multiple_of(60) {
            self.error(
                code::OUT_OF_RANGE,
                "alarm.period_s",
                alarm.period_s,
                "must be whole minutes: the mapping's metrics have one value a minute",
                "set a multiple of 60",
            );
        }
        self.range("alarm.period_s", alarm.period_s, 60..=3_600, "seconds");
        self.range("alarm.evaluation_periods_count", alarm.evaluation_periods_count, 1..=60, "periods");
        if alarm.window_s() > 86_400 {
            self.error(
                code::OUT_OF_RANGE,
                "alarm.evaluation_periods_count",
                alarm.evaluation_periods_count,
                "period times evaluation periods must be at most 86,400 s",
                "look at fewer or shorter periods",
            );
        }
        let periods = alarm.evaluation_periods_count;
        if !(1..=periods).contains(&alarm.datapoints_to_alarm_count) {
            self.error(
                code::CONTRADICTION,
                "alarm.datapoints_to_alarm_count",
                alarm.datapoints_to_alarm_count,
                format!("must be 1 to evaluation_periods_count, which is {periods}"),
                "ask for at most as many breaching periods as are looked at",
            );
        }
    }

    fn backoff(&mut self, backoff: &Backoff) {
        self.range("backoff.base_s", backoff.base_s, 1..=43_200, "seconds");
        self.range("backoff.cap_s", backoff.cap_s, 1..=43_200, "seconds");
        if backoff.cap_s < backoff.base_s {
            self.error(
                code::CONTRADICTION,
                "backoff.cap_s",
                backoff.cap_s,
                format!("must be at least base_s, which is {}", backoff.base_s),
                "raise cap_s, or lower base_s",
            );
        }
        if backoff.rate != 1.0 && !(1.1..=10.0).contains(&backoff.rate) {
            self.error(
                code::OUT_OF_RANGE,
                "backoff.rate",
                backoff.rate,
                "must be 1 (constant waits) or 1.1 to 10",
                "2 doubles the ceiling from one wait to the next",
            );
        }
    }

    fn ramp(&mut self, ramp: &RampConfig) {
        self.range("ramp.step_s", ramp.step_s, 120..=3_600, "seconds");
        let counts = &ramp.concurrency_counts;
        let fits = counts.iter().all(|count| (2..=1_000).contains(count))
            && counts.is_sorted_by(|one, next| one < next)
            && counts.len() <= MAX_RAMP_STEPS;
        if !fits {
            self.error(
                code::OUT_OF_RANGE,
                "ramp.concurrency_counts",
                format!("{counts:?}"),
                format!("must be at most {MAX_RAMP_STEPS} numbers of invocations from 2 to 1000, each more than the one before"),
                "[2, 10] begins with two invocations at a time and goes on with ten; [] leaves the ramp out",
            );
        }
    }

    fn probe(&mut self, circuit: &CircuitConfig) {
        let probe = &circuit.probe;
        self.range("probe.successes_to_close_count", probe.successes_to_close_count, 1..=20, "messages");
        self.range("probe.long_poll_s", probe.long_poll_s, 1..=20, "seconds");
        // The probe's function waits for the message and for the consumer, within the 900 s that Lambda allows.
        self.range("probe.deadline_s", circuit.probe_deadline_s(), 1..=MAX_PROBE_DEADLINE_S, "seconds");
        let timeout_s = circuit.facts().function_timeout_s;
        if circuit.probe_deadline_s() < timeout_s {
            self.warning(
                code::PROBE_DEADLINE,
                "probe.deadline_s",
                circuit.probe_deadline_s(),
                format!("is below the function's timeout, {timeout_s} s: a probe may be judged while it still works"),
                "remove the setting to get the function's timeout and time for a cold start",
            );
        }
        if let Some(arn) = &probe.health_check_function_arn {
            self.arn("probe.health_check_function_arn", arn, "lambda", "function:");
        }
    }

    /// Whether `value` is an ARN of this kind; if not, that is a finding.
    fn arn(&mut self, setting: &str, value: &str, service: &str, resource: &str) -> bool {
        let parts: Vec<&str> = value.splitn(6, ':').collect();
        let fits =
            matches!(parts[..], ["arn", _, of, _, _, what] if of == service && what.starts_with(resource));
        if !fits {
            let allowed =
                format!("must be an ARN such as arn:aws:{service}:eu-west-1:123456789012:{resource}...");
            self.error(
                code::INVALID_IDENTIFIER,
                setting,
                format!("{value:?}"),
                allowed,
                "copy the ARN from the console or the AWS CLI",
            );
        }
        fits
    }

    fn consumer(&mut self, consumer: &ConsumerConfig) {
        self.arn("consumer.function_arn", &consumer.function_arn, "lambda", "function:");
        self.arn("consumer.queue_arn", &consumer.queue_arn, "sqs", "");
        if let Some(key) = &consumer.kms_key_arn {
            self.arn("consumer.kms_key_arn", key, "kms", "key/");
        }
        self.queue_url("consumer.queue_url", &consumer.queue_url);
        if !is_uuid(&consumer.mapping_uuid) {
            self.error(
                code::INVALID_IDENTIFIER,
                "consumer.mapping_uuid",
                format!("{:?}", consumer.mapping_uuid),
                "must be the UUID of the event source mapping",
                "aws lambda list-event-source-mappings prints it",
            );
        }
        self.range("consumer.function_timeout_s", consumer.function_timeout_s, 1..=900, "seconds");
        self.range("consumer.visibility_timeout_s", consumer.visibility_timeout_s, 0..=43_200, "seconds");
        match consumer.max_receive_count {
            Some(count) => self.range("consumer.max_receive_count", count, 1..=1_000, "receives"),
            None => self.warning(
                code::NO_DEAD_LETTER_QUEUE,
                "consumer.max_receive_count",
                "(none)",
                "the queue has no dead-letter queue: a poison message comes back until its retention ends"
                    .to_owned(),
                "give the queue a redrive policy",
            ),
        }
        self.dead_letter_queue(consumer);
        for (setting, retention_s) in [
            ("consumer.retention_s", consumer.retention_s),
            ("consumer.dead_letter_retention_s", consumer.dead_letter_retention_s),
        ] {
            if let Some(retention_s) = retention_s {
                self.range(setting, retention_s, 60..=MAX_RETENTION_S, "seconds");
            }
        }
        self.visibility("consumer", consumer.visibility_timeout_s, consumer.function_timeout_s);
    }

    fn example(&mut self, example: &ExampleConfig) {
        self.range("example.function_timeout_s", example.function_timeout_s, 1..=900, "seconds");
        self.range("example.visibility_timeout_s", example.visibility_timeout_s, 1..=43_200, "seconds");
        self.range("example.max_receive_count", example.max_receive_count, 1..=1_000, "receives");
        self.range("example.retention_s", example.retention_s, 60..=MAX_RETENTION_S, "seconds");
        self.range("example.batch_size", example.batch_size, 1..=10, "messages");
        self.visibility("example", example.visibility_timeout_s, example.function_timeout_s);
    }

    fn visibility(&mut self, table: &str, visibility_s: u32, timeout_s: u32) {
        let setting = format!("{table}.visibility_timeout_s");
        if visibility_s < timeout_s {
            self.error(
                code::VISIBILITY_TIMEOUT,
                &setting,
                visibility_s,
                format!(
                    "must not be below the function's timeout, {timeout_s} s: Lambda refuses such a mapping"
                ),
                "raise the queue's visibility timeout",
            );
        } else if visibility_s < timeout_s.saturating_mul(ADVISED_VISIBILITY_FACTOR) {
            self.warning(
                code::VISIBILITY_TIMEOUT,
                &setting,
                visibility_s,
                format!(
                    "AWS advises {ADVISED_VISIBILITY_FACTOR} times the function's timeout, {timeout_s} s"
                ),
                "raise the queue's visibility timeout: below that a message can be delivered twice at once",
            );
        }
    }

    fn fifo(&mut self, circuit: &CircuitConfig) {
        let spreads = matches!(
            circuit.rejitter.strategy,
            Some(RejitterStrategy::Visibility | RejitterStrategy::Requeue)
        );
        if circuit.facts().fifo && spreads {
            self.error(
                code::FIFO_REJITTER,
                "rejitter.strategy",
                format!("{:?}", circuit.rejitter.strategy.map_or("off", strategy_name)),
                "a FIFO queue is never re-jittered: it would break the order",
                "remove the setting, or set \"off\"",
            );
        }
    }

    /// Whether the signal can see what it is to see.
    fn signal(&mut self, circuit: &CircuitConfig) {
        let alarm = &circuit.alarm;
        match (alarm.signal, &alarm.existing_alarm_arn) {
            (AlarmSignal::Existing, Some(arn)) => {
                let fits = self.arn("alarm.existing_alarm_arn", arn, "cloudwatch", "alarm:");
                let name = alarm.existing_alarm_name();
                let cannot_stand = |c: char| ['"', '\\', '$'].contains(&c) || c.is_control();
                if fits && (name.is_empty() || name.contains(cannot_stand)) {
                    self.error(
                        code::EXISTING_ALARM,
                        "alarm.existing_alarm_arn",
                        format!("{arn:?}"),
                        "the alarm's name must not be empty, nor hold a quote, backslash, dollar or control character: \
                         it is filled into a definition in JSON",
                        "name an alarm without them",
                    );
                }
            }
            (AlarmSignal::Existing, None) => self.error(
                code::EXISTING_ALARM,
                "alarm.existing_alarm_arn",
                "(none)",
                "the signal existing needs the ARN of the metric alarm or composite alarm that is to trip the circuit",
                "set it, or choose another signal",
            ),
            (AlarmSignal::MappingEvents | AlarmSignal::FunctionErrors | AlarmSignal::FailedCount, Some(arn)) => {
                self.error(
                    code::EXISTING_ALARM,
                    "alarm.existing_alarm_arn",
                    format!("{arn:?}"),
                    format!("the signal {} has an alarm of its own", alarm.signal.name()),
                    "set signal = \"existing\", or remove the ARN",
                );
            }
            (AlarmSignal::MappingEvents | AlarmSignal::FunctionErrors | AlarmSignal::FailedCount, None) => {}
        }
        if alarm.existing_alarm_is_composite && alarm.signal != AlarmSignal::Existing {
            self.error(
                code::EXISTING_ALARM,
                "alarm.existing_alarm_is_composite",
                true,
                format!(
                    "the signal {} has an alarm of its own, which is a metric alarm",
                    alarm.signal.name()
                ),
                "set signal = \"existing\" and the alarm's ARN, or remove the setting",
            );
        }
        if let Some(consumer) = &circuit.consumer
            && alarm.signal.needs_event_metrics()
            && !consumer.event_metrics
        {
            self.warning(
                code::EVENT_METRICS_OFF,
                "consumer.event_metrics",
                false,
                "the alarm needs the mapping's event metrics; while they are off it never fires",
                "`breaker deploy` switches them on, after asking; with another tool: aws lambda update-event-source-mapping \
                 --uuid UUID --metrics-config Metrics=EventCount; then set it to true",
            );
        }
        if alarm.signal == AlarmSignal::FunctionErrors && circuit.facts().report_batch_item_failures {
            self.unsafe_one(
                code::BLIND_ALARM,
                "alarm.signal",
                format!("{:?}", alarm.signal.name()),
                "the mapping takes partial batch responses, and a batch answered with batchItemFailures is no error of \
                 the function: the alarm never fires for it",
                "set signal = \"mapping-events\" or \"failed-count\"",
            );
        }
    }

    fn queue_url(&mut self, setting: &str, url: &str) {
        if !url.starts_with("https://") && !url.starts_with("http://") {
            self.error(
                code::INVALID_IDENTIFIER,
                setting,
                format!("{url:?}"),
                "must be the queue's URL, https://sqs.REGION.amazonaws.com/ACCOUNT/NAME",
                "aws sqs get-queue-url prints it",
            );
        }
    }

    /// A mapping in provisioned mode takes no `MaximumConcurrency`, which is what limits a limited close.
    fn provisioned_mode(&mut self, circuit: &CircuitConfig) {
        let limits = circuit.probe.health_check_function_arn.is_none();
        if circuit.facts().provisioned_mode && limits {
            self.unsafe_one(
                code::PROVISIONED_MODE,
                "consumer.provisioned_mode",
                true,
                "with an empty queue the breaker closes with a MaximumConcurrency, which Lambda refuses for a mapping in \
                 provisioned mode: the circuit then stays open until a message comes",
                "set probe.health_check_function_arn, which is asked instead, or take the mapping out of provisioned mode",
            );
        }
    }

    /// Receives are a budget: detection and probing must together stay well within `maxReceiveCount`.
    fn receives(&mut self, circuit: &CircuitConfig) {
        let facts = circuit.facts();
        let Some(max) = facts.max_receive_count else { return };
        let table = if circuit.consumer.is_some() { "consumer" } else { "example" };
        let setting = format!("{table}.max_receive_count");
        let detection = circuit.receives_until_open();
        if max <= detection {
            self.unsafe_one(
                code::RECEIVE_BUDGET,
                &setting,
                max,
                format!(
                    "messages are received up to {detection} times before the circuit is open, so they would be \
                     dead-lettered first"
                ),
                "raise maxReceiveCount, raise the visibility timeout, or shorten the alarm's window",
            );
        } else if max < detection + BREAKER_RECEIVES {
            self.warning(
                code::RECEIVE_MARGIN,
                &setting,
                max,
                format!(
                    "leaves less than {BREAKER_RECEIVES} receives after the {detection} that detection may use; the \
                     breaker then replaces messages at their last receive by copies"
                ),
                "raise maxReceiveCount, raise the visibility timeout, or shorten the alarm's window",
            );
        }
    }
}

impl CircuitConfig {
    /// How often a message may be received before the circuit is open and quiet: the alarm's window, its lag and the
    /// settling, one receive each visibility timeout.
    pub fn receives_until_open(&self) -> u32 {
        let until_open_s = self.alarm.window_s().saturating_add(ALARM_LAG_S + SETTLE_S);
        until_open_s.div_ceil(self.facts().visibility_timeout_s.max(1)).saturating_add(1)
    }
}

fn strategy_name(strategy: RejitterStrategy) -> &'static str {
    match strategy {
        RejitterStrategy::Visibility => "visibility",
        RejitterStrategy::Requeue => "requeue",
        RejitterStrategy::Off => "off",
    }
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(|group| group.chars().all(|c| c.is_ascii_hexdigit()))
}

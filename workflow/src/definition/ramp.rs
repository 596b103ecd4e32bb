//! Ramp: the mappings come back to their own concurrency by steps, each watched by what of the live traffic has failed since the
//! first one. A relapse leads back to open, in the same execution and with the backoff going on.
//!
//! The backlog is spread while the mappings are being enabled: with so small a concurrency new messages may flow meanwhile. A
//! backlog that takes several invocations is spread before, because nobody watches the traffic while they work.

use serde_json::{Value, json};

use super::steps::{GET_METRIC_DATA, patient};
use super::{Context, OVERRULED_AFTER_S, limited, placeholder, placeholder_value, spread, state};
use crate::asl::{Catcher, Choice, Rule, State, Task, Wait, jsonata};
use crate::circuit::CloseReason;
use crate::config::{AlarmSignal, Counted, METRIC_NAMESPACE};

/// Variable that holds the number of the ramp's step, from 1; [`NO_STEP`] outside of a ramp.
pub const STEP: &str = "rampStep";
/// See [`STEP`].
pub const NO_STEP: u32 = 0;
/// Variable that holds when the ramp began, milliseconds since the Unix epoch.
const BEGUN_AT: &str = "rampFromMs";
/// Variable that holds since when the mappings have the concurrency of the present step, milliseconds since the Unix epoch.
const STEP_BEGUN_AT: &str = "stepFromMs";
/// Variable that holds why the traffic could not be looked at, an error's name; `none` when it could.
pub const UNWATCHED: &str = "rampError";
/// How often the traffic is looked at, seconds: a relapse is not left alone until its step is over.
const LOOK_S: u32 = 30;
/// For how long a mapping may be found enabled with another limit before it is given the step's again: a change takes a moment to
/// show.
const REAPPLY_AFTER_S: u32 = 60;
/// First state of the ramp.
const FIRST: &str = "BeginRamp";
/// Where it judges whether there is a backlog to be spread, once the mappings are limited.
const AFTER_LIMIT: &str = "JudgeBacklog";
/// Where it waits until the mappings have the concurrency of the step.
const SETTLE: &str = "AwaitStep";
/// Where the mappings get the concurrency of the next step.
const RAISE: &str = "RaiseLimit";
/// Where it goes on once the backlog is spread.
pub const AFTER_SPREAD: &str = "JudgeRampSpread";

/// Whether the circuit has a ramp.
pub fn is_on(context: &Context<'_>) -> bool {
    !context.circuit.ramp.concurrency_counts.is_empty()
}

/// The variables of the ramp, so that none is read unset.
pub fn unset() -> [(&'static str, Value); 4] {
    [(STEP, json!(NO_STEP)), (BEGUN_AT, json!(0)), (STEP_BEGUN_AT, json!(0)), (UNWATCHED, json!("none"))]
}

/// The concurrency of the present step, as JSONata.
pub fn concurrency(context: &Context<'_>) -> String {
    format!("{}[${STEP} - 1]", counts(context))
}

fn counts(context: &Context<'_>) -> String {
    let counts: Vec<String> = context.circuit.ramp.concurrency_counts.iter().map(u32::to_string).collect();
    format!("[{}]", counts.join(", "))
}

/// Where the ramp goes on once the mappings are limited.
pub fn after_limit(context: &Context<'_>) -> &'static str {
    if spread::is_on(context) { AFTER_LIMIT } else { SETTLE }
}

/// Where an execution can resume after a fault in the ramp.
pub fn resume_points(context: &Context<'_>) -> impl Iterator<Item = &'static str> {
    is_on(context).then_some([SETTLE, RAISE]).into_iter().flatten()
}

impl Context<'_> {
    /// Where the way back to closed goes on when there is no backlog to be spread, or no more.
    pub(super) fn after_spread(&self) -> &'static str {
        if is_on(self) { FIRST } else { "MarkRestoring" }
    }
}

/// Whether a step limits any mapping that the breaker may touch, as JSONata; `index` counts from 0. One whose own concurrency is no
/// more than that, or that has provisioned pollers, is not limited by it.
fn limits_something(context: &Context<'_>, index: &str) -> String {
    let (counts, len) = (counts(context), context.circuit.ramp.concurrency_counts.len());
    format!(
        "{index} < {len} and $count($recorded[enabled and $not(provisioned) and \
         ($not($exists(maximum_concurrency)) or maximum_concurrency > {counts}[{index}])]) > 0"
    )
}

pub fn states(context: &Context<'_>) -> Vec<State> {
    if !is_on(context) {
        return Vec::new();
    }
    let first = Rule::when(limits_something(context, "0"), "MarkLimiting")
        .assign(STEP, json!(1))
        .assign(BEGUN_AT, jsonata("$millis()"));
    let mut begin = Choice::new(FIRST, first)
        .comment("Where no step would limit anything, the mappings get their own settings at once");
    let mut states = Vec::new();
    if spread::is_on(context) {
        let pending = || Rule::when(format!("${}", spread::PENDING), state::SPREAD_BACKLOG);
        begin = begin.or(pending());
        states.push(Choice::new(AFTER_LIMIT, pending()).otherwise(SETTLE));
        states.push(Choice::new(AFTER_SPREAD, Rule::when("$limited", SETTLE)).otherwise(FIRST));
    }
    states.push(begin.otherwise("MarkRestoring"));
    states.extend(watch(context));
    states
}

/// Looks at each step, and goes on to the next one.
fn watch(context: &Context<'_>) -> Vec<State> {
    let circuit = context.circuit;
    let settle = Wait::seconds(SETTLE, json!(circuit.open.settle_poll_s)).next("CheckStep");
    let check_step = context
        .call(
            "CheckStep",
            placeholder::MAPPING_FUNCTION,
            json!({
                "action": "check_limited",
                "fence": context.fence(),
                "recorded": jsonata("$recorded"),
                "maximum_concurrency": jsonata(concurrency(context)),
            }),
            patient(),
            SETTLE,
        )
        .output(jsonata("$states.result.Payload"))
        .next("JudgeStep");
    let since_s = "($millis() - $settleFromMs) / 1000";
    let reached = Rule::when("$states.input.done", "WatchRamp").assign(STEP_BEGUN_AT, jsonata("$millis()"));
    let judge_step = Choice::new("JudgeStep", reached)
        .or(Rule::when(
            // Disabled for less than that, it may be the change that does not show yet.
            format!("$states.input.state = 'Disabled' and {since_s} > {OVERRULED_AFTER_S}"),
            "YieldLimited",
        ))
        // Settled with another limit: somebody else's change has taken the step's away.
        .or(Rule::when(format!("$states.input.state = 'Enabled' and {since_s} > {REAPPLY_AFTER_S}"), RAISE))
        .or(Rule::when(format!("{since_s} > {}", circuit.open.settle_timeout_s), "AnnounceFault")
            .assign("fault", json!({ "state": "CheckStep", "error": "Breaker.NotSettled" }))
            .assign("settleFromMs", jsonata("$millis()"))
            // The dependency is well: that AWS is slow is no reason to open again.
            .assign("resumeAt", json!(SETTLE)))
        .otherwise(SETTLE);
    let watch = Wait::seconds("WatchRamp", json!(LOOK_S)).next("CheckRamp");
    let check = context.count_enabled("CheckRamp", SETTLE).next("JudgeStillRamping");
    let judge_check =
        Choice::new("JudgeStillRamping", Rule::when("$states.input.enabled_count = 0", "YieldLimited"))
            .comment("A mapping that is disabled during the ramp was disabled by somebody else")
            .otherwise("ReadFailures");
    let raise = context
        .call(
            RAISE,
            placeholder::MAPPING_FUNCTION,
            json!({
                "action": "limit",
                "fence": context.fence(),
                "recorded": jsonata("$recorded"),
                "maximum_concurrency": jsonata(concurrency(context)),
                "already_enabled": true,
            }),
            patient(),
            RAISE,
        )
        .assign("settleFromMs", jsonata("$millis()"))
        .output(json!({}))
        .next(SETTLE);
    vec![
        settle,
        check_step,
        judge_step,
        watch,
        check,
        judge_check,
        read_failures(context),
        judge(context),
        raise,
    ]
}

/// Reads how much of the traffic has failed since the ramp began.
fn read_failures(context: &Context<'_>) -> State {
    let counted = context.circuit.alarm.signal.counted();
    let query = |id: &str, metric: &str| {
        json!({
            "Id": id,
            "MetricStat": {
                "Metric": { "Namespace": METRIC_NAMESPACE, "MetricName": metric, "Dimensions": dimensions(counted) },
                "Period": MINUTE_S,
                "Stat": "Sum",
            },
        })
    };
    let [invoked, failed] = counted.metrics();
    // The mapping was disabled until now. The function was not: a probe that failed may stand in the minute in which the ramp began.
    let round = match counted {
        Counted::MappingEvents => "$floor",
        Counted::FunctionInvocations => "$ceil",
    };
    let minute_ms = MINUTE_S * 1_000;
    let values = |id: &str| {
        format!("$append([0], $states.result.MetricDataResults[Id = '{id}'].Values[$type($) = 'number'])")
    };
    let seen = format!(
        "{{'invoked_count': $sum({}), 'failed_count': $sum({failed}), 'most_failed_count': $max({failed})}}",
        values("invoked"),
        failed = values("failed"),
    );
    Task::new("ReadFailures", GET_METRIC_DATA)
        .arguments(json!({
            "StartTime": jsonata(format!("$fromMillis({round}(${BEGUN_AT} / {minute_ms}) * {minute_ms})")),
            "EndTime": jsonata("$now()"),
            "MetricDataQueries": [query("invoked", invoked), query("failed", failed)],
        }))
        .output(jsonata(seen))
        .retry(patient())
        // The probes have shown that the dependency is well, and the alarm goes on looking: not to close for good would be worse.
        .catch(
            Catcher::on(&["States.ALL"], "JudgeRamp")
                .assign(UNWATCHED, jsonata("$states.errorOutput.Error"))
                .output(json!({ "invoked_count": 0, "failed_count": 0, "most_failed_count": 0 })),
        )
        .next("JudgeRamp")
}

/// Length of the data points that are read, seconds.
const MINUTE_S: u32 = 60;

/// What the metrics are told apart by.
fn dimensions(counted: Counted) -> Value {
    match counted {
        Counted::MappingEvents => {
            json!([{ "Name": "EventSourceMappingUUID", "Value": placeholder_value(placeholder::MAPPING_UUID) }])
        }
        // The name, and with an alias both: as the alarm on a function has them.
        Counted::FunctionInvocations => {
            let arn = format!("$split('${{{}}}', ':')", placeholder::CONSUMER_FUNCTION);
            jsonata(format!(
                "$append([{{'Name': 'FunctionName', 'Value': {arn}[6]}}], $exists({arn}[7]) ? \
                 {{'Name': 'Resource', 'Value': {arn}[6] & ':' & {arn}[7]}} : [])"
            ))
        }
    }
}

/// Goes on, or back: by the alarm's own measure, applied to all that has come since the ramp began.
fn judge(context: &Context<'_>) -> State {
    let alarm = &context.circuit.alarm;
    let is_failing = match alarm.signal {
        AlarmSignal::FailedCount => {
            // The worst minute, as if the alarm's whole period were like it.
            let factor = alarm.period_s / MINUTE_S;
            format!("$states.input.most_failed_count * {factor} >= {}", alarm.failed_events_count)
        }
        AlarmSignal::MappingEvents | AlarmSignal::FunctionErrors | AlarmSignal::Existing => format!(
            "$states.input.invoked_count >= {} and 100 * $states.input.failed_count >= {} * $states.input.invoked_count",
            alarm.min_events_count, alarm.failure_percent
        ),
    };
    Choice::new(
        "JudgeRamp",
        limited::traffic_failed(is_failing)
            // What the signal was right about is over, and what fails from here on is the outage again, not a message.
            .assign("signalled", json!(false))
            .assign("sawHealthy", json!(false))
            .assign("outageError", json!("none")),
    )
    .or(Rule::when(
        format!("($millis() - ${STEP_BEGUN_AT}) / 1000 < {}", context.circuit.ramp.step_s),
        "WatchRamp",
    ))
    .or(Rule::when(limits_something(context, &format!("${STEP}")), RAISE)
        .assign(STEP, jsonata(format!("${STEP} + 1"))))
    .assign("closeReason", json!(CloseReason::Recovered.name()))
    .otherwise("MarkRestoring")
}

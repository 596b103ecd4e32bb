//! Limited traffic: the mappings are enabled with a small concurrency. The limited close judges an unproven dependency by it, the
//! ramp a recovered one; either leads back to open when the traffic fails.

use serde_json::{Value, json};

use super::probe::fresh_window_s;
use super::steps::{DESCRIBE_ALARMS, brief, patient, phase, probed, probes_so_far};
use super::{Context, placeholder, placeholder_value, ramp};
use crate::asl::{Choice, Rule, State, Task, Wait, jsonata};
use crate::circuit::{CloseReason, Phase};
use crate::config::{ALARM_LAG_S, FaultThen};
use crate::events::Announcement;

pub fn states(context: &Context<'_>) -> Vec<State> {
    // A health check stands in for the limited close.
    let closes_limited = context.circuit.probe.health_check_function_arn.is_none();
    let mut states = Vec::new();
    if closes_limited || ramp::is_on(context) {
        states.extend(limit(context, closes_limited));
    }
    if closes_limited {
        states.extend(watch(context));
    }
    // There also where nothing is ever limited: a predecessor may have been configured otherwise.
    states.extend(reopening(context));
    states
}

/// Enables the mappings with a small concurrency.
fn limit(context: &Context<'_>, closes_limited: bool) -> Vec<State> {
    let concurrency = concurrency(context);
    let mark =
        context.mark("MarkLimiting", Phase::Limiting, "ChooseWait").output(json!({})).next("LimitMappings");
    let limit = context
        .call(
            "LimitMappings",
            placeholder::MAPPING_FUNCTION,
            json!({
                "action": "limit",
                "fence": context.fence(),
                "recorded": jsonata("$recorded"),
                "maximum_concurrency": concurrency,
            }),
            patient(),
            "DisableMappings",
        )
        .assign("limited", json!(true))
        .assign("settleFromMs", jsonata("$millis()"))
        .output(json!({}))
        .next("MarkLimited");
    let next = match (ramp::is_on(context), closes_limited) {
        (true, true) => "JudgeHalfOpened",
        (true, false) => ramp::after_limit(context),
        (false, _) => "WatchLimited",
    };
    let mark_limited = context
        .mark("MarkLimited", Phase::Limited, "CheckReopening")
        .comment("Whoever takes over from here on looks first: a mapping that is disabled by then was disabled by somebody else")
        .output(json!({}))
        .next("AnnounceHalfOpened");
    let announce = context.announce(
        "AnnounceHalfOpened",
        Announcement::HalfOpened,
        &[("maximum_concurrency", concurrency.clone())],
        &[],
        next,
    );
    let mut states = vec![mark, limit, mark_limited, announce];
    if next == "JudgeHalfOpened" {
        let is_ramp = format!("${} > {}", ramp::STEP, ramp::NO_STEP);
        let judge =
            Choice::new(next, Rule::when(is_ramp, ramp::after_limit(context))).otherwise("WatchLimited");
        states.push(judge);
    }
    states
}

/// The concurrency that the mappings are limited to: that of the ramp's step, or of the limited close.
fn concurrency(context: &Context<'_>) -> Value {
    let of_close = context.circuit.close.limited_concurrency_count;
    if !ramp::is_on(context) {
        return json!(of_close);
    }
    jsonata(format!(
        "${step} = {none} ? {of_close} : {}",
        ramp::concurrency(context),
        step = ramp::STEP,
        none = ramp::NO_STEP
    ))
}

/// The limited close: live traffic at a small concurrency stands in for the probe that an empty queue cannot give.
fn watch(context: &Context<'_>) -> Vec<State> {
    let circuit = context.circuit;
    // Shorter than the alarm takes to fire, a watch would prove nothing.
    let alarm = &circuit.alarm;
    let watch_s =
        circuit.close.limited_watch_s.max(alarm.datapoints_to_alarm_count * alarm.period_s + ALARM_LAG_S);
    let watch =
        Wait::seconds("WatchLimited", jsonata(format!("$max([{watch_s}, {}])", fresh_window_s(context))))
            .comment(
                "Until the alarm can have fired, and the failures from before the trip have left its window",
            )
            .next("CheckLimited");
    let mut named = json!({ "AlarmNames": [placeholder_value(placeholder::ALARM_NAME)] });
    let mut list = "MetricAlarms";
    if alarm.existing_alarm_is_composite {
        // Without being asked for them, CloudWatch leaves composite alarms out.
        list = "CompositeAlarms";
        named["AlarmTypes"] = json!(["CompositeAlarm"]);
    }
    let read = Task::new("ReadAlarm", DESCRIBE_ALARMS)
        .arguments(named)
        .output(jsonata(format!("{{'state': $string($states.result.{list}[0].StateValue)}}")))
        .retry(brief())
        .catch(context.to_fault("ReadAlarm", "CheckReopening"))
        .next("JudgeLimited");
    let judge = Choice::new("JudgeLimited", traffic_failed("$states.input.state = 'ALARM'"))
        .or(Rule::when("$states.input.state in ['OK', 'INSUFFICIENT_DATA']", "MarkRestoring")
            .assign("closeReason", json!(CloseReason::Recovered.name())))
        .comment("An alarm that is gone proves nothing: that is a fault")
        .assign("fault", json!({ "state": "ReadAlarm", "error": "Breaker.AlarmMissing" }))
        .assign("resumeAt", json!("CheckReopening"))
        .otherwise("AnnounceFault");
    let check = context.count_enabled("CheckLimited", "CheckReopening").next("JudgeStillLimited");
    let judge_check =
        Choice::new("JudgeStillLimited", Rule::when("$states.input.enabled_count = 0", "YieldLimited"))
            .comment("A mapping that is disabled during the limited close was disabled by somebody else")
            .otherwise("ReadAlarm");
    vec![watch, check, judge_check, read, judge]
}

/// The limited traffic failed when this holds: that counts as a failed probe.
pub fn traffic_failed(condition: impl Into<String>) -> Rule {
    Rule::when(condition, "AnnounceProbeFailed")
        .assign("failedProbes", jsonata("$failedProbes + 1"))
        .assign("lastError", json!("LimitedTrafficFailed"))
        .assign("lastProbe", probed("'unhealthy'", "$millis()"))
}

/// Before the mappings are disabled again after a limited close: one that is disabled already was disabled by somebody else,
/// whose wish would be lost among the breaker's own disables.
fn reopening(context: &Context<'_>) -> Vec<State> {
    let check = context.count_enabled("CheckReopening", "CheckReopening").next("JudgeReopening");
    let mut judge =
        Choice::new("JudgeReopening", Rule::when("$states.input.enabled_count = 0", "YieldLimited"));
    if context.circuit.fault.then == FaultThen::Restore {
        // Resuming here after a fault, the mapping is to be given back; it is enabled, and needs its own settings only.
        judge = judge.or(Rule::when("$resumeAt = 'CheckReopening'", "MarkRestoring")
            .assign("closeReason", json!(CloseReason::Faulted.name())));
    }
    // It was found disabled, and may have been enabled by now: either is somebody else's doing. Only the limit is taken back.
    let give_up = context
        .call(
            "YieldLimited",
            placeholder::MAPPING_FUNCTION,
            json!({
                "action": "restore",
                "fence": context.fence(),
                "recorded": jsonata("$recorded"),
                "already_enabled": true,
            }),
            patient(),
            "YieldLimited",
        )
        .assign("closeReason", json!(CloseReason::Overruled.name()))
        .output(json!({}))
        .next("AnnounceOverruled");
    let [verdict, probed_at, error, failed] = probes_so_far();
    let opening = [phase(Phase::Opening), verdict, probed_at, error, failed];
    let mark = context
        .write("MarkReopening", context.write_arguments(None, &opening, &[]), "CheckReopening")
        .comment("Before they are disabled: whoever takes over from here on would take that for somebody else's doing")
        .output(json!({}))
        .next("DisableMappings");
    vec![check, judge.otherwise("MarkReopening"), mark, give_up]
}

//! Probe: one message, one invocation, one verdict; and what follows from it.

use serde_json::{Value, json};

use super::steps::{INVOKE, phase, probed};
use super::wait::ceiling;
use super::{
    Context, EXTRA_RANGE_PERIODS, MAX_DELAY_S, MAX_FRESH_WINDOW_S, MAX_IN_FLIGHT_WAIT_S, MAX_LAST_RECEIVES,
    MAX_SUSPECTS, SCARCE_RECEIVES, clock, placeholder, placeholder_value, ramp, spread, stale_probe_s, state,
};
use crate::asl::{Catcher, Choice, Retrier, Rule, State, Task, Wait, fail, jsonata};
use crate::circuit::{CloseReason, Phase, Transition, item};
use crate::config::ExhaustedThen;
use crate::errors;
use crate::events::Announcement;

pub fn states(context: &Context<'_>) -> Vec<State> {
    let mut states = vec![
        await_last_probe(),
        begin(context),
        probe(context),
        judge(context),
        announce_failed(context),
        judge_exhausted(context),
        announce_exhausted(context),
    ];
    if context.circuit.probe.health_check_function_arn.is_some() {
        states.push(check_health(context));
    }
    if context.circuit.exhausted.then == ExhaustedThen::Fail {
        let open = context.write_arguments(Some(Transition::Reopen), &[phase(Phase::GivenUp)], &[]);
        states.push(context.write("MarkExhausted", open, "ChooseWait").output(json!({})).next("Exhausted"));
        states.push(fail(
            "Exhausted",
            errors::EXHAUSTED,
            json!("the configured time or attempts are used up; the circuit stays open until somebody acts"),
        ));
    }
    states
}

/// Variable that holds before which moment no probe may begin, milliseconds since the Unix epoch: one whose answer was lost,
/// or that a dead owner began, may still run.
pub const PROBE_FROM: &str = "probeFromMs";

/// The moment from which no earlier probe can still run, for [`PROBE_FROM`].
pub fn after_stale_probe(context: &Context<'_>) -> Value {
    jsonata(format!("$millis() + {}", u64::from(stale_probe_s(context.circuit)) * 1_000))
}

fn await_last_probe() -> State {
    let seconds = format!("$max([0, $ceil((${PROBE_FROM} - $millis()) / 1000)])");
    Wait::seconds("AwaitLastProbe", jsonata(seconds))
        .comment("Two probes never run at once: one that was never answered, or that a dead owner began, may still run")
        .next("BeginProbe")
}

/// Marks the circuit half-open. A stale owner learns here that it is one, before it touches a message.
fn begin(context: &Context<'_>) -> State {
    context
        .write(
            "BeginProbe",
            context.write_arguments(Some(Transition::Try), &[], &[item::TASK_TOKEN, item::WAIT_UNTIL_MS]),
            "ChooseWait",
        )
        .output(json!({}))
        .next(state::PROBE_CONSUMER)
}

fn probe(context: &Context<'_>) -> State {
    let circuit = context.circuit;
    let facts = circuit.facts();
    let mut payload = json!({
        "fence": context.fence(),
        "queue_url": placeholder_value(placeholder::QUEUE_URL),
        "queue_arn": placeholder_value(placeholder::QUEUE_ARN),
        "function_arn": placeholder_value(placeholder::CONSUMER_FUNCTION),
        "mapping": jsonata("$recorded[0]"),
        "fifo": facts.fifo,
        "deadline_s": circuit.probe_deadline_s(),
        "long_poll_s": circuit.probe.long_poll_s,
        // Until the next probe at the latest, so that it meets another message if there is one.
        "put_aside_s": jsonata(ceiling(context, "$failedProbes + 1")),
        "proven": jsonata("$proven"),
    });
    if let Some(count) = facts.max_receive_count {
        payload["max_receive_count"] = json!(count);
    }
    // A consumer whose answer was lost may still be running: a probe is repeated at once only when the function itself
    // says that none is. After everything else the next one waits until it cannot.
    let retrier = Retrier::on(&[errors::TRANSIENT, "Lambda.TooManyRequestsException"], 4).backoff(5, 30);
    context
        .attempt(state::PROBE_CONSUMER, placeholder::PROBE_FUNCTION, payload, retrier)
        .catch(Catcher::on(&[errors::STALE_EPOCH], "Superseded"))
        .catch(
            context
                .to_fault(state::PROBE_CONSUMER, "ChooseWait")
                .assign(PROBE_FROM, after_stale_probe(context)),
        )
        // The function answered: whatever failed before has passed.
        .assign("faults", json!(0))
        .assign("oldestMs", jsonata(clock::OLDEST_MET))
        // When it began: a recovery signal that was sent earlier has had its probe.
        .assign(
            "lastProbe",
            probed("$states.result.Payload.verdict", "$toMillis($states.context.State.EnteredTime)"),
        )
        .output(jsonata("$states.result.Payload"))
        .next("JudgeProbe")
}

fn judge(context: &Context<'_>) -> State {
    let circuit = context.circuit;
    let facts = circuit.facts();
    let needed = circuit.probe.successes_to_close_count;
    let healthy = "$states.input.verdict = 'healthy'";
    let last_receive = "$states.input.verdict = 'last_receive'";
    let none_visible = "$states.input.verdict = 'none_visible'";
    let in_flight_wait_s = (facts.visibility_timeout_s / 4).clamp(5, MAX_IN_FLIGHT_WAIT_S);
    // Messages come back from flight within the visibility timeout, or when the time is up for which a probe put them
    // aside, and from a delay within 900 s. What is counted for longer than that is taken as not there.
    let put_aside_s = circuit.backoff.cap_s.max(circuit.exhausted.slow_probe_s);
    let longest_flight_s = facts.visibility_timeout_s.max(put_aside_s) + MAX_DELAY_S;
    let nothing_there = format!(
        "$states.input.verdict = 'empty' or ({none_visible} and $noneVisibleSinceMs > 0 and \
         ($millis() - $noneVisibleSinceMs) / 1000 > {longest_flight_s})"
    );
    let on_empty =
        if circuit.probe.health_check_function_arn.is_some() { "CheckHealth" } else { "MarkLimiting" };
    let mut on_empty = Rule::when(nothing_there.clone(), on_empty).assign("noneVisibleSinceMs", json!(0));
    if ramp::is_on(context) {
        on_empty = on_empty.assign(ramp::STEP, json!(ramp::NO_STEP));
    }
    // Only a FIFO queue gives the same message to every probe: there each one brings it nearer to the dead-letter queue.
    let scarce = if facts.fifo {
        format!("$exists($states.input.receives_left) and $states.input.receives_left <= {SCARCE_RECEIVES}")
    } else {
        "false".to_owned()
    };
    let mut unhealthy = Rule::when("$states.input.verdict = 'unhealthy'", "AnnounceProbeFailed");
    if circuit.alarm.signal.sees_probes() {
        unhealthy = unhealthy.assign(PROBE_FAILED_AT, jsonata("$millis()"));
    }
    Choice::new(
        "JudgeProbe",
        Rule::when("$states.input.verdict = 'overruled'", "AnnounceOverruled")
            .assign("closeReason", json!(CloseReason::Overruled.name())),
    )
    .or(Rule::when(format!("{healthy} and $count($proven) + 1 >= {needed}"), context.after_recovery())
        .assign("closeReason", json!(CloseReason::Recovered.name()))
        .assign("spread", spread::unset())
        .assign("sawHealthy", json!(true)))
    .or(Rule::when(healthy, state::PROBE_CONSUMER)
        .assign("proven", jsonata("$append($proven, [$states.input.message_id])"))
        .assign("sawHealthy", json!(true))
        .assign("noneVisibleSinceMs", json!(0)))
    .or(Rule::when(format!("({nothing_there}) and $count($proven) > 0"), context.after_spread())
        .assign("spread", spread::unset())
        .assign("closeReason", json!(CloseReason::Recovered.name())))
    .or(on_empty)
    .or(Rule::when(none_visible, "JudgeRounds")
        .assign("waitSeconds", json!(in_flight_wait_s))
        .assign("noneVisibleSinceMs", jsonata("$noneVisibleSinceMs > 0 ? $noneVisibleSinceMs : $millis()")))
    .or(Rule::when(format!("{last_receive} and $lastReceives < {MAX_LAST_RECEIVES}"), state::PROBE_CONSUMER)
        .assign("copies", jsonata("$copies + 1"))
        .assign("lastReceives", jsonata("$lastReceives + 1"))
        .assign("noneVisibleSinceMs", json!(0)))
    .or(Rule::when(last_receive, "ChooseWait").assign("copies", jsonata("$copies + 1")))
    .or(unhealthy
        .assign("failedProbes", jsonata("$signalled ? $failedProbes : $failedProbes + 1"))
        .assign("lastError", jsonata("$states.input.error"))
        .assign("noneVisibleSinceMs", json!(0))
        .assign("scarce", jsonata(scarce))
        .assign("outageError", jsonata("$outageError = 'none' ? $states.input.error : $outageError"))
        // The same error time and again before anything succeeded is the outage. A failure after a success, or with
        // another error, may be the message itself.
        .assign(
            "suspects",
            jsonata(format!(
                "$count($suspects) < {MAX_SUSPECTS} and ($sawHealthy or ($outageError != 'none' and \
                 $states.input.error != $outageError)) ? $append($suspects, [$states.input.message_id]) : $suspects"
            )),
        ))
    .assign("fault", json!({ "state": state::PROBE_CONSUMER, "error": "Breaker.UnknownVerdict" }))
    .assign("resumeAt", json!("ChooseWait"))
    .otherwise("AnnounceFault")
}

fn announce_failed(context: &Context<'_>) -> State {
    context.announce(
        "AnnounceProbeFailed",
        Announcement::ProbeFailed,
        &[
            ("failed_probe_count", jsonata("$failedProbes")),
            ("error", jsonata("$lastError")),
            ("signalled", jsonata("$signalled")),
        ],
        &[],
        "JudgeExhausted",
    )
}

fn judge_exhausted(context: &Context<'_>) -> State {
    let exhausted = &context.circuit.exhausted;
    let mut used_up = format!("($millis() - $openedAtMs) / 1000 >= {}", exhausted.after_s);
    if let Some(count) = exhausted.after_probes_count {
        used_up = format!("({used_up} or $failedProbes >= {count})");
    }
    // After a limited close that failed the mappings are disabled again before anything else is decided.
    Choice::new("JudgeExhausted", Rule::when("$limited", "CheckReopening"))
        .or(Rule::when(format!("$not($exhausted) and {used_up}"), "AnnounceExhausted")
            .assign("exhausted", json!(true)))
        .otherwise("ChooseWait")
}

fn announce_exhausted(context: &Context<'_>) -> State {
    let next = match context.circuit.exhausted.then {
        ExhaustedThen::KeepProbing => "JudgeExhausted",
        ExhaustedThen::Close => "MarkRestoring",
        ExhaustedThen::Fail => "MarkExhausted",
    };
    let close_reason = match context.circuit.exhausted.then {
        ExhaustedThen::Close => CloseReason::Exhausted,
        ExhaustedThen::KeepProbing | ExhaustedThen::Fail => CloseReason::Recovered,
    };
    context.announce(
        "AnnounceExhausted",
        Announcement::Exhausted,
        &[
            ("failed_probe_count", jsonata("$failedProbes")),
            ("opened_at_ms", jsonata("$openedAtMs")),
            ("error", jsonata("$lastError")),
            ("then", json!(context.circuit.exhausted.then)),
        ],
        &[("closeReason", json!(close_reason.name()))],
        next,
    )
}

/// Asks the configured health check when the queue has no message to probe with.
fn check_health(context: &Context<'_>) -> State {
    Task::new("CheckHealth", INVOKE)
        .comment("An answer is healthy, an error is not")
        .arguments(json!({
            "FunctionName": placeholder_value(placeholder::HEALTH_CHECK_FUNCTION),
            "Payload": { "circuit": context.name },
        }))
        .timeout_s(json!(context.circuit.probe_deadline_s()))
        .assign("closeReason", json!(CloseReason::Recovered.name()))
        .output(json!({}))
        .catch(
            Catcher::on(&["States.ALL"], "AnnounceProbeFailed")
                .assign("failedProbes", jsonata("$failedProbes + 1"))
                .assign("lastError", json!("HealthCheckFailed"))
                .assign("lastProbe", probed("'unhealthy'", "$millis()")),
        )
        .next(context.after_spread())
}

/// Variable that holds when a probe failed last, where the alarm sees probes.
pub const PROBE_FAILED_AT: &str = "probeFailedAtMs";

/// Seconds until the failures from before the trip, and those of probes that the alarm sees, have left the alarm's window,
/// as JSONata. Without the latter an alarm that probes feed would fire again right after the close. The window ends with whole
/// periods and reaches further back where data points are missing; the wait ends at [`MAX_FRESH_WINDOW_S`] all the same.
pub fn fresh_window_s(context: &Context<'_>) -> String {
    let alarm = &context.circuit.alarm;
    let range_s = alarm.window_s() + EXTRA_RANGE_PERIODS * alarm.period_s;
    let window_ms = u64::from(range_s.min(MAX_FRESH_WINDOW_S)) * 1000;
    let last_failure_ms = if alarm.signal.sees_probes() {
        format!("$max([$quietAtMs, ${PROBE_FAILED_AT}])")
    } else {
        "$quietAtMs".to_owned()
    };
    format!("$max([0, $ceil(({last_failure_ms} + {window_ms} - $millis()) / 1000)])")
}

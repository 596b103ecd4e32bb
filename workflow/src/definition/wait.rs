//! Wait: exponential backoff with jitter, interruptible. The wait is a callback task: its timeout is the backoff, and
//! whoever completes its token ends it at once.

use serde_json::json;

use super::hold::{asks_for_hold, hold_of};
use super::probe::{PROBE_FAILED_AT, PROBE_FROM};
use super::steps::{CONDITION_FAILED, START_EXECUTION, UPDATE_ITEM_AND_WAIT, patient, phase, probes_so_far};
use super::{Context, MAX_ROUNDS, SCARCE_WAIT_S, clock, state};
use crate::asl::{Catcher, Choice, Pass, Retrier, Rule, State, Task, jsonata, succeed};
use crate::backoff::Jitter;
use crate::circuit::{CloseReason, Phase, Transition, item};
use crate::contract::MAX_REASON;

pub fn states(context: &Context<'_>) -> Vec<State> {
    vec![
        choose_wait(context),
        judge_rounds(),
        hand_over(context),
        succeed("HandedOver", json!({ "outcome": "handed_over", "circuit": context.name })),
        await_recovery(context),
        judge_signal(),
    ]
}

/// Ceiling of the wait after `failed` failed probes, as JSONata.
pub fn ceiling(context: &Context<'_>, failed: &str) -> String {
    let ceilings = context.circuit.backoff.ceilings_s();
    let list = ceilings.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    format!(
        "($scarce ? {} : $exhausted ? {} : [{list}][$min([{failed}, {}])])",
        context.circuit.exhausted.slow_probe_s.max(SCARCE_WAIT_S),
        context.circuit.exhausted.slow_probe_s,
        ceilings.len() - 1,
    )
}

fn choose_wait(context: &Context<'_>) -> State {
    let ceiling = ceiling(context, "$failedProbes");
    let drawn = match context.circuit.backoff.jitter {
        Jitter::Full => format!("$max([1, $ceil($random() * {ceiling})])"),
        Jitter::None => ceiling,
    };
    // A probe that somebody's signal brought forward, and that failed, leaves the wait as it was.
    let wait = format!(
        "$signalled and $waitUntilMs > $millis() ? $ceil(($waitUntilMs - $millis()) / 1000) : {drawn}"
    );
    Pass::new("ChooseWait")
        .comment("The ceilings of the successive waits in seconds; the last one stands for all later ones")
        .assign("waitSeconds", jsonata(wait))
        .assign("signalled", json!(false))
        .assign("proven", json!([]))
        .assign("lastReceives", json!(0))
        .next("JudgeRounds")
}

fn judge_rounds() -> State {
    let until = jsonata("$millis() + $waitSeconds * 1000");
    Choice::new("JudgeRounds", Rule::when(format!("$rounds >= {MAX_ROUNDS}"), "HandOver"))
        .comment(
            "An execution fails at 25,000 history events: long outages go on in a fresh one well before that",
        )
        .or(Rule::when("$hold.until_ms > $millis()", "MarkHeld"))
        .or(Rule::when("$hold.until_ms > 0", "MarkReleased").assign("heldSignal", json!("expired")))
        .or(Rule::when(clock::DUE, "CheckClock").assign("waitUntilMs", until.clone()))
        .assign("rounds", jsonata("$rounds + 1"))
        .assign("waitUntilMs", until)
        .otherwise(state::AWAIT_RECOVERY)
}

/// Starts the execution that goes on. It takes the circuit over from this one by name; should the step be repeated
/// after its answer was lost, the second one finds the first in charge and joins.
fn hand_over(context: &Context<'_>) -> State {
    let mut carried = json!({
        "scarce": jsonata("$scarce"),
        "sawHealthy": jsonata("$sawHealthy"),
        "suspects": jsonata("$suspects"),
        "lastError": jsonata("$lastError"),
        "lastProbe": jsonata("$lastProbe"),
        "outageError": jsonata("$outageError"),
        "quietAtMs": jsonata("$quietAtMs"),
        PROBE_FROM: jsonata(format!("${PROBE_FROM}")),
    });
    if context.circuit.alarm.signal.sees_probes() {
        carried[PROBE_FAILED_AT] = jsonata(format!("${PROBE_FAILED_AT}"));
    }
    Task::new("HandOver", START_EXECUTION)
        .arguments(json!({
            "StateMachineArn": jsonata("$states.context.StateMachine.Id"),
            "Input": {
                "circuit": context.name,
                "trigger": jsonata("$trip.trigger"),
                "reason": jsonata("$trip.reason"),
                "at": jsonata("$now()"),
                "from": jsonata("$states.context.Execution.Id"),
                "exhausted": jsonata("$exhausted"),
                "copies": jsonata("$copies"),
                "carried": carried,
            },
        }))
        .output(json!({}))
        .retry(patient())
        .catch(context.to_fault("HandOver", "ChooseWait"))
        .next("HandedOver")
}

/// Stores the task token in the circuit's item and waits for it.
fn await_recovery(context: &Context<'_>) -> State {
    let [verdict, probed_at, error, failed] = probes_so_far();
    let arguments = context.write_arguments(
        Some(Transition::Reopen),
        &[
            (item::TASK_TOKEN, json!({ "S": jsonata("$states.context.Task.Token") })),
            (item::WAIT_UNTIL_MS, json!({ "N": jsonata("$string($waitUntilMs)") })),
            phase(Phase::Disabled),
            verdict,
            probed_at,
            error,
            failed,
        ],
        &[],
    );
    Task::new(state::AWAIT_RECOVERY, UPDATE_ITEM_AND_WAIT)
        .arguments(arguments)
        .timeout_s(jsonata(clock::WAIT_S))
        .output(jsonata(signal_output()))
        .retry(Retrier::on(&["States.Timeout"], 0))
        .retry(Retrier::on(&CONDITION_FAILED, 0))
        .retry(patient())
        .catch(Catcher::on(&["States.Timeout"], "JudgeWait"))
        .catch(Catcher::on(&CONDITION_FAILED, "Superseded"))
        .catch(context.to_fault(state::AWAIT_RECOVERY, "ChooseWait"))
        .next("JudgeSignal")
}

/// What is kept of the signal that ended a wait: whoever may complete a token may say anything.
pub fn signal_output() -> String {
    format!(
        "{{'command': $type($states.result.command) = 'string' ? $substring($states.result.command, 0, 20) : 'probe', \
         'reason': $type($states.result.reason) = 'string' ? $substring($states.result.reason, 0, {MAX_REASON}) : 'none', \
         'hold': {}}}",
        hold_of("$states.result")
    )
}

fn judge_signal() -> State {
    Choice::new(
        "JudgeSignal",
        Rule::when("$states.input.command = 'close'", "MarkRestoring")
            .assign("closeReason", json!(CloseReason::Operator.name()))
            .assign("closedBy", jsonata("$states.input.reason")),
    )
    .or(Rule::when(asks_for_hold(), "MarkHeld").assign("hold", jsonata("$states.input.hold")))
    .or(Rule::when("$states.input.command = 'check'", "CheckStillDisabled"))
    .or(Rule::when("$states.input.command = 'recovered'", "AwaitLastProbe").assign("signalled", json!(true)))
    .comment("Any other signal says that it is worth a probe now")
    .otherwise("AwaitLastProbe")
}

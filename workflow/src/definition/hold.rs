//! Hold: an operator keeps the circuit open. Nothing is probed until the hold ends, by its time or by a command.
//!
//! The hold stands in the circuit's item, so it outlives its execution: whoever takes the circuit over holds it again.

use serde_json::{Value, json};

use super::steps::{CONDITION_FAILED, UPDATE_ITEM_AND_WAIT, patient, phase};
use super::wait::signal_output;
use super::{Context, MAX_HELD_STRETCH_S, MAX_ROUNDS, clock};
use crate::asl::{Catcher, Choice, Retrier, Rule, State, Task, jsonata};
use crate::circuit::{CloseReason, Phase, Transition, item};
use crate::contract::{MAX_HELD_BY, MAX_HOLD_S, MAX_REASON};
use crate::events::Announcement;

/// Attributes that describe a hold.
pub const HELD_ATTRIBUTES: [&str; 3] = [item::HELD_UNTIL_MS, item::HELD_BY, item::HOLD_REASON];

pub fn states(context: &Context<'_>) -> Vec<State> {
    vec![
        mark_held(context),
        announce_held(context),
        judge_hold(),
        await_release(context),
        judge_held_signal(),
        mark_released(context),
        announce_released(context),
        judge_released(),
    ]
}

/// No hold, as the variable `hold` says it.
pub fn no_hold() -> Value {
    json!({ "until_ms": 0, "by": "none", "reason": "none" })
}

/// What `source` asks for, as a JSONata object: bounded in time and length, and no hold when it names no time.
pub fn hold_of(source: &str) -> String {
    format!(
        "$type({source}.until_ms) = 'number' ? {{\
         'until_ms': $min([$floor({source}.until_ms), $millis() + {max_ms}]), \
         'by': $type({source}.by) = 'string' ? $substring({source}.by, 0, {MAX_HELD_BY}) : 'unknown', \
         'reason': $type({source}.reason) = 'string' ? $substring({source}.reason, 0, {MAX_REASON}) : ''\
         }} : {{'until_ms': 0, 'by': 'none', 'reason': ''}}",
        max_ms = u64::from(MAX_HOLD_S) * 1_000,
    )
}

/// Whether a signal asks for a hold that is still to come.
pub fn asks_for_hold() -> &'static str {
    "$states.input.command = 'hold' and $states.input.hold.until_ms > $millis()"
}

fn held_attributes() -> [(&'static str, Value); 4] {
    [
        (item::HELD_UNTIL_MS, json!({ "N": jsonata("$string($hold.until_ms)") })),
        (item::HELD_BY, json!({ "S": jsonata("$hold.by") })),
        (item::HOLD_REASON, json!({ "S": jsonata("$hold.reason") })),
        phase(Phase::Disabled),
    ]
}

fn mark_held(context: &Context<'_>) -> State {
    context
        .write(
            "MarkHeld",
            context.write_arguments(Some(Transition::Hold), &held_attributes(), &[]),
            "ChooseWait",
        )
        .output(json!({}))
        .next("AnnounceHeld")
}

fn announce_held(context: &Context<'_>) -> State {
    context.announce(
        "AnnounceHeld",
        Announcement::Held,
        &[
            ("held_until_ms", jsonata("$hold.until_ms")),
            ("held_by", jsonata("$hold.by")),
            ("reason", jsonata("$hold.reason")),
        ],
        &[],
        "JudgeHold",
    )
}

fn judge_hold() -> State {
    Choice::new("JudgeHold", Rule::when(format!("$rounds >= {MAX_ROUNDS}"), "HandOver"))
        .or(Rule::when(format!("$hold.until_ms > $millis() and ({})", clock::DUE), "CheckClock"))
        .or(Rule::when("$hold.until_ms > $millis()", "AwaitRelease").assign("rounds", jsonata("$rounds + 1")))
        .assign("heldSignal", json!("expired"))
        .otherwise("MarkReleased")
}

/// The interruptible wait of a hold. A long one is waited for in stretches.
fn await_release(context: &Context<'_>) -> State {
    let arguments = context.write_arguments(
        Some(Transition::Hold),
        &[
            (item::TASK_TOKEN, json!({ "S": jsonata("$states.context.Task.Token") })),
            (item::WAIT_UNTIL_MS, json!({ "N": jsonata("$string($hold.until_ms)") })),
        ],
        &[],
    );
    // The loss clock goes on while the circuit is held.
    let left_s = "$ceil(($min([$hold.until_ms, $clock.next_check_at_ms]) - $millis()) / 1000)";
    Task::new("AwaitRelease", UPDATE_ITEM_AND_WAIT)
        .arguments(arguments)
        .timeout_s(jsonata(format!("$max([1, $min([{left_s}, {MAX_HELD_STRETCH_S}])])")))
        .output(jsonata(signal_output()))
        .retry(Retrier::on(&["States.Timeout"], 0))
        .retry(Retrier::on(&CONDITION_FAILED, 0))
        .retry(patient())
        .catch(Catcher::on(&["States.Timeout"], "JudgeHold"))
        .catch(Catcher::on(&CONDITION_FAILED, "Superseded"))
        .catch(context.to_fault("AwaitRelease", "ChooseWait"))
        .next("JudgeHeldSignal")
}

fn judge_held_signal() -> State {
    Choice::new(
        "JudgeHeldSignal",
        Rule::when(asks_for_hold(), "MarkHeld").assign("hold", jsonata("$states.input.hold")),
    )
    .comment("A check does not end a hold; every other signal does")
    .or(Rule::when("$states.input.command = 'check'", "CheckStillDisabled"))
    .assign("heldSignal", jsonata("$states.input.command = 'close' ? 'close' : 'release'"))
    .assign("closedBy", jsonata("$states.input.command = 'close' ? $states.input.reason : $closedBy"))
    .otherwise("MarkReleased")
}

fn mark_released(context: &Context<'_>) -> State {
    let mut gone = HELD_ATTRIBUTES.to_vec();
    gone.extend([item::TASK_TOKEN, item::WAIT_UNTIL_MS]);
    context
        .write("MarkReleased", context.write_arguments(Some(Transition::Release), &[], &gone), "ChooseWait")
        .assign("hold", no_hold())
        .output(json!({}))
        .next("AnnounceReleased")
}

fn announce_released(context: &Context<'_>) -> State {
    context.announce(
        "AnnounceReleased",
        Announcement::Released,
        &[("by", jsonata("$heldSignal"))],
        &[],
        "JudgeReleased",
    )
}

fn judge_released() -> State {
    Choice::new(
        "JudgeReleased",
        Rule::when("$heldSignal = 'close'", "MarkRestoring")
            .assign("closeReason", json!(CloseReason::Operator.name())),
    )
    .otherwise("AwaitLastProbe")
}

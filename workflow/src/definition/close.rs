//! Close: spread the backlog, restore the exact settings, mark the circuit closed, reset the alarm.

use serde_json::json;

use super::hold::HELD_ATTRIBUTES;
use super::probe::fresh_window_s;
use super::steps::{SET_ALARM_STATE, brief, last_probe, now_ms, patient, phase};
use super::{Context, OVERRULED_AFTER_S, after, placeholder, placeholder_value, ramp, spread};
use crate::asl::{Catcher, Choice, Rule, State, Task, Wait, jsonata, succeed};
use crate::circuit::{CloseReason, Phase, Transition, item};
use crate::events::Announcement;

pub fn states(context: &Context<'_>) -> Vec<State> {
    let mut states = Vec::new();
    states.extend(spread::states(context));
    states.extend(ramp::states(context));
    states.extend(restore(context));
    states.extend(finish(context));
    states
}

/// Gives the mappings their recorded settings back and waits until that has come true.
fn restore(context: &Context<'_>) -> Vec<State> {
    let circuit = context.circuit;
    let [verdict, probed_at] = last_probe();
    let mark = context
        .write(
            "MarkRestoring",
            context.write_arguments(
                None,
                &[
                    phase(Phase::Restoring),
                    (item::CLOSE_REASON, json!({ "S": jsonata("$closeReason") })),
                    (item::CLOSED_BY, json!({ "S": jsonata("$closedBy") })),
                    verdict,
                    probed_at,
                ],
                &[item::TASK_TOKEN, item::WAIT_UNTIL_MS],
            ),
            "MarkRestoring",
        )
        .comment("Before the mappings are enabled: whoever takes over goes on with it, rather than taking it for somebody else's doing")
        .output(json!({}))
        .next("RestoreMappings");
    let restore = context
        .call(
            "RestoreMappings",
            placeholder::MAPPING_FUNCTION,
            json!({
                "action": "restore",
                "fence": context.fence(),
                "recorded": jsonata("$recorded"),
                "already_enabled": jsonata("$limited"),
            }),
            patient(),
            "RestoreMappings",
        )
        .assign("settleFromMs", jsonata("$millis()"))
        .output(json!({}))
        .next("MarkRestored");
    let restored = context
        .mark("MarkRestored", Phase::Restored, "MarkRestored")
        .comment("Whoever takes over from here on only looks: a mapping that is disabled by then was disabled by somebody else")
        .output(json!({}))
        .next("AwaitEnabled");
    let await_enabled = Wait::seconds("AwaitEnabled", json!(circuit.open.settle_poll_s)).next("CheckEnabled");
    let check = context
        .call(
            "CheckEnabled",
            placeholder::MAPPING_FUNCTION,
            json!({ "action": "check_enabled", "fence": context.fence(), "recorded": jsonata("$recorded") }),
            patient(),
            "AwaitEnabled",
        )
        .output(jsonata("$states.result.Payload"))
        .next("JudgeEnabled");
    let judge = Choice::new("JudgeEnabled", Rule::when("$states.input.done", "AwaitFreshWindow"))
        .or(Rule::when(
            // It was enabled and is disabled for good: somebody else wants it so, and keeps it.
            format!(
                "$states.input.state = 'Disabled' and ($millis() - $settleFromMs) / 1000 > {OVERRULED_AFTER_S}"
            ),
            "AnnounceOverruled",
        )
        .assign("closeReason", json!(CloseReason::Overruled.name())))
        .or(Rule::when(
            // Disabled for less than that, it may be the change that does not show yet, or somebody else's wish.
            format!(
                "$states.input.state != 'Disabled' and ($millis() - $settleFromMs) / 1000 > {}",
                circuit.open.settle_timeout_s
            ),
            "AnnounceFault",
        )
        .assign("fault", json!({ "state": "CheckEnabled", "error": "Breaker.NotSettled" }))
        // Enabled with other settings it is given its own again. Between two states it may be on its way to where
        // somebody else wants it: that is only looked at.
        .assign(
            "resumeAt",
            jsonata("$states.input.state = 'Enabled' ? 'RestoreMappings' : 'AwaitEnabled'"),
        ))
        .otherwise("AwaitEnabled");
    let fresh = Wait::seconds("AwaitFreshWindow", jsonata(fresh_window_s(context)))
        .comment("Messages flow again; until the old failures have left the alarm's window it cannot tell a relapse")
        .next("MarkClosed");
    vec![mark, restore, restored, await_enabled, check, judge, fresh]
}

/// Marks the circuit closed, then resets the alarm: in this order a relapse that shows in between is a new transition
/// of the alarm that finds a closed circuit.
fn finish(context: &Context<'_>) -> Vec<State> {
    let mut gone = HELD_ATTRIBUTES.to_vec();
    gone.extend([
        item::TASK_TOKEN,
        item::WAIT_UNTIL_MS,
        item::RECORDED,
        item::PHASE,
        item::OLDEST_SENT_AT_MS,
        item::RETENTION_S,
        item::EXPIRES_AT_MS,
        item::ANNOUNCED_PERCENT,
        item::DEAD_LETTERS_AT_OPEN,
    ]);
    let mark = context
        .write(
            "MarkClosed",
            context.write_arguments(
                Some(Transition::Close),
                &[
                    (item::CLOSED_AT_MS, now_ms()),
                    (item::CLOSE_REASON, json!({ "S": jsonata("$closeReason") })),
                ],
                &gone,
            ),
            "MarkClosed",
        )
        .assign("closedAtMs", jsonata("$millis()"))
        .output(json!({}))
        .next("ResetAlarm");
    let reset = Task::new("ResetAlarm", SET_ALARM_STATE)
        .arguments(json!({
            "AlarmName": placeholder_value(placeholder::ALARM_NAME),
            "StateValue": "OK",
            "StateReason": format!("circuit {} closed: the next failure is a new transition", context.name),
        }))
        .output(json!({}))
        .retry(brief())
        .catch(Catcher::on(&["States.ALL"], after::after_reset(context)))
        .next(after::after_reset(context));
    let mut detail = vec![
        ("close_reason", jsonata("$closeReason")),
        ("closed_by", jsonata("$closedBy")),
        ("opened_at_ms", jsonata("$openedAtMs")),
        ("failed_probe_count", jsonata("$failedProbes")),
        ("suspect_message_ids", jsonata("$sawHealthy ? $suspects : []")),
        ("copies_count", jsonata("$copies")),
        ("spread", jsonata("$spread")),
    ];
    if context.circuit.knows_dead_letter_queue() {
        detail.push(("dead_letters", jsonata("$deadLetters")));
    }
    if ramp::is_on(context) {
        detail.push(("ramp_error", jsonata(format!("${}", ramp::UNWATCHED))));
    }
    let next = after::after_announcement(context);
    let announce = context.announce("AnnounceClosed", Announcement::Closed, &detail, &[], next);
    let closed = succeed(
        "Closed",
        json!({ "outcome": "closed", "circuit": context.name, "close_reason": jsonata("$closeReason") }),
    );
    vec![mark, reset, announce, closed]
}

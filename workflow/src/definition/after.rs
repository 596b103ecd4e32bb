//! After the close: what becomes of the dead-letter queue, and of a retention that was raised. The circuit is closed and
//! messages flow; a new trip takes over at once, and this execution then ends as superseded.

use serde_json::{Map, Value, json};

use super::claim::{become_owner, number, refused_to};
use super::steps::{brief, now_ms, patient};
use super::{Context, placeholder, placeholder_value};
use crate::asl::{Catcher, Choice, Rule, State, Wait, jsonata};
use crate::circuit::{CircuitState, CloseReason, item};
use crate::config::RedriveAfterClose;
use crate::events::Announcement;

/// First pause between two looks at whether the queue is drained, and between the two that have to find it empty, seconds:
/// counts settle within about a minute.
const FIRST_PAUSE_S: u32 = 60;
/// Longest pause, seconds.
const MAX_PAUSE_S: u32 = 3_600;
/// Where the input of an execution says whose retention it is to give back, [`crate::contract::TripRequest`].
const ERRAND: &str = "$states.input.restore_retention_of";

/// The variables of this module, unset.
pub fn unset() -> [(&'static str, Value); 5] {
    [
        ("closedAtMs", json!(0)),
        ("deadLetters", json!({ "redrive": "failed" })),
        ("drainPauseSeconds", json!(FIRST_PAUSE_S)),
        ("sawDrained", json!(false)),
        ("restored", json!({ "outcome": "none", "retention_s": 0 })),
    ]
}

/// The state that follows the check of the input.
pub fn after_input(context: &Context<'_>) -> &'static str {
    if context.circuit.retention.raise_to_s.is_some() { "JudgeErrand" } else { "ClaimCircuit" }
}

/// The state in which an execution resumes whose restore failed, if the circuit has one.
pub fn resume_point(context: &Context<'_>) -> Option<&'static str> {
    context.circuit.retention.raise_to_s.map(|_| "AwaitDrained")
}

/// The state between the reset of the alarm and what follows.
pub fn after_reset(context: &Context<'_>) -> &'static str {
    if context.circuit.knows_dead_letter_queue() { "RedriveDeadLetters" } else { "AnnounceClosed" }
}

/// The state after the close has been announced.
pub fn after_announcement(context: &Context<'_>) -> &'static str {
    if context.circuit.retention.raise_to_s.is_some() { "JudgeRetention" } else { "Closed" }
}

pub fn states(context: &Context<'_>) -> Vec<State> {
    let mut states = Vec::new();
    if context.circuit.knows_dead_letter_queue() {
        states.push(redrive(context));
    }
    if context.circuit.retention.raise_to_s.is_some() {
        states.extend(errand(context));
        states.extend(restore(context));
    }
    states
}

/// What an execution has come for that was started because another one died after its close: nothing but the retention,
/// from where that one left off. It becomes the closed circuit's owner, so that nobody else does the same, and a new trip
/// takes the circuit from it as from any owner that has closed.
fn errand(context: &Context<'_>) -> [State; 2] {
    let given = format!("$exists({ERRAND})");
    let judge = Choice::new("JudgeErrand", Rule::when(given, "ClaimRetention")).otherwise("ClaimCircuit");
    let values = Map::from_iter([
        (":me".to_owned(), json!({ "S": jsonata("$states.context.Execution.Id") })),
        (":dead".to_owned(), json!({ "S": jsonata(format!("$string({ERRAND})")) })),
        (":closed".to_owned(), json!({ "S": CircuitState::Closed.name() })),
        (":one".to_owned(), json!({ "N": "1" })),
        (":now".to_owned(), now_ms()),
    ]);
    let condition = format!(
        "{} = :closed AND attribute_exists({}) AND ({owner} = :dead OR {owner} = :me)",
        item::STATE,
        item::ORIGINAL_RETENTION_S,
        owner = item::OWNER,
    );
    let update = format!(
        "SET {} = :me, {epoch} = {epoch} + :one, {} = :now",
        item::OWNER,
        item::UPDATED_AT_MS,
        epoch = item::EPOCH,
    );
    let arguments = context.update_item(&update, &condition, values);
    let name = "ClaimRetention";
    let claim = become_owner(context, name, arguments)
        .assign("closedAtMs", number(item::CLOSED_AT_MS))
        .assign("closeReason", jsonata(format!("$states.result.Attributes.{}.S", item::CLOSE_REASON)))
        .output(json!({}));
    let claim = refused_to(context, name, "Joined", claim).next("AwaitDrained");
    [judge, claim]
}

/// Counts what is in the dead-letter queue, and moves it back where that is configured and it is the incident's. The close
/// is announced whatever comes of it.
fn redrive(context: &Context<'_>) -> State {
    let reasons =
        [CloseReason::Recovered, CloseReason::Operator].map(|reason| format!("'{}'", reason.name()));
    let mut payload = json!({
        "action": "redrive",
        "fence": context.fence(),
        "dead_letter_queue_url": placeholder_value(placeholder::DEAD_LETTER_QUEUE_URL),
        "dead_letter_queue_arn": placeholder_value(placeholder::DEAD_LETTER_QUEUE_ARN),
        "dead_letter_count_at_open": jsonata("$deadLettersAtOpen < 0 ? null : $deadLettersAtOpen"),
        "recovered": jsonata(format!("$closeReason in [{}]", reasons.join(", "))),
    });
    if context.circuit.redrive.after_close == RedriveAfterClose::Incident {
        payload["max_per_s"] = json!(context.circuit.redrive.max_per_s);
    }
    context
        .attempt("RedriveDeadLetters", placeholder::QUEUE_FUNCTION, payload, brief())
        .assign("deadLetters", jsonata("$states.result.Payload"))
        .output(json!({}))
        .catch(Catcher::on(&["States.ALL"], "AnnounceClosed"))
        .next("AnnounceClosed")
}

/// Gives the queue its own retention back. A shorter retention deletes older messages that are still there, so it waits
/// until the queue was seen empty twice, or everything sent before the close is too old to be there.
fn restore(context: &Context<'_>) -> Vec<State> {
    let judge = Choice::new("JudgeRetention", Rule::when("$originalRetentionS > 0", "AwaitDrained"))
        .comment("A retention that was raised is given back once no message needs it any more")
        .otherwise("Closed");
    let pause = Wait::seconds("AwaitDrained", jsonata("$drainPauseSeconds")).next("CheckDrained");
    let payload = json!({
        "action": "drained",
        "fence": context.fence(),
        "queue_url": placeholder_value(placeholder::QUEUE_URL),
    });
    let check = context
        .call("CheckDrained", placeholder::QUEUE_FUNCTION, payload, patient(), "AwaitDrained")
        .output(jsonata("$states.result.Payload"))
        .next("JudgeDrained");
    let all_gone = "$millis() >= $closedAtMs + $raisedRetentionS * 1000";
    let judge_drained = Choice::new(
        "JudgeDrained",
        Rule::when(format!("($states.input.drained and $sawDrained) or {all_gone}"), "RestoreRetention"),
    )
    .or(Rule::when("$states.input.drained", "AwaitDrained")
        .assign("sawDrained", json!(true))
        .assign("drainPauseSeconds", json!(FIRST_PAUSE_S)))
    .assign("sawDrained", json!(false))
    .assign("drainPauseSeconds", jsonata(format!("$min([$drainPauseSeconds * 2, {MAX_PAUSE_S}])")))
    .otherwise("AwaitDrained");
    let payload = json!({
        "action": "restore_retention",
        "fence": context.fence(),
        "queue_url": placeholder_value(placeholder::QUEUE_URL),
        "from_s": jsonata("$raisedRetentionS"),
        "to_s": jsonata("$originalRetentionS"),
    });
    let act = context
        .call("RestoreRetention", placeholder::QUEUE_FUNCTION, payload, patient(), "AwaitDrained")
        .assign("restored", jsonata("$states.result.Payload"))
        .output(json!({}))
        .next("ForgetRetention");
    let forget = context
        .write(
            "ForgetRetention",
            context.write_arguments(None, &[], &[item::ORIGINAL_RETENTION_S, item::RAISED_RETENTION_S]),
            "AwaitDrained",
        )
        .output(json!({}))
        .next("AnnounceRetentionRestore");
    let announce = context.announce(
        "AnnounceRetentionRestore",
        Announcement::RetentionRestore,
        &[
            ("outcome", jsonata("$restored.outcome")),
            ("retention_s", jsonata("$restored.retention_s")),
            ("original_retention_s", jsonata("$originalRetentionS")),
            ("raised_retention_s", jsonata("$raisedRetentionS")),
        ],
        &[],
        "Closed",
    );
    vec![judge, pause, check, judge_drained, act, forget, announce]
}

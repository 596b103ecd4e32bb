//! Open: record each mapping's settings, disable it, and wait until it is settled and quiet.

use serde_json::json;

use super::steps::patient;
use super::{Context, placeholder, placeholder_value};
use crate::asl::{Choice, Rule, State, Wait, jsonata};
use crate::circuit::{CloseReason, item};
use crate::events::Announcement;

pub fn states(context: &Context<'_>) -> Vec<State> {
    let circuit = context.circuit;
    let inspect = context
        .call(
            "InspectMappings",
            placeholder::MAPPING_FUNCTION,
            json!({
                "action": "inspect",
                "fence": context.fence(),
                "mappings": [placeholder_value(placeholder::MAPPING_UUID)],
            }),
            patient(),
            "InspectMappings",
        )
        .assign("recorded", jsonata("$states.result.Payload.recorded"))
        .output(jsonata("$states.result.Payload"))
        .next("JudgeMappings");

    let judge_mappings = Choice::new(
        "JudgeMappings",
        Rule::when("$states.input.enabled_count = 0", "MarkClosed")
            .assign("closeReason", json!(CloseReason::NothingToOpen.name())),
    )
    .comment(
        "A mapping that was disabled before the trip was disabled by someone else: it is never enabled by us",
    )
    .otherwise("RecordMappings");

    let record = context
        .write(
            "RecordMappings",
            context.write_arguments(
                None,
                &[(item::RECORDED, json!({ "S": jsonata("$string($recorded)") }))],
                &[],
            ),
            "InspectMappings",
        )
        .comment("The settings are kept outside this execution before anything is changed")
        .next("DisableMappings");

    let disable = context
        .call(
            "DisableMappings",
            placeholder::MAPPING_FUNCTION,
            json!({ "action": "disable", "fence": context.fence(), "recorded": jsonata("$recorded") }),
            patient(),
            "DisableMappings",
        )
        .assign("settleFromMs", jsonata("$millis()"))
        .assign("limited", json!(false))
        .output(json!({}))
        // The earlier the dead-letter queue is counted, the more of the incident can be told apart.
        .next("InspectQueue");

    let await_settled = Wait::seconds("AwaitSettled", json!(circuit.open.settle_poll_s)).next("CheckQuiet");

    let check_quiet = context
        .call(
            "CheckQuiet",
            placeholder::MAPPING_FUNCTION,
            json!({
                "action": "check_quiet",
                "fence": context.fence(),
                "recorded": jsonata("$recorded"),
                "queue_url": placeholder_value(placeholder::QUEUE_URL),
                "disabled_at_ms": jsonata("$settleFromMs"),
                "grace_s": circuit.open.quiet_grace_s,
                "function_timeout_s": circuit.facts().function_timeout_s,
            }),
            patient(),
            "DisableMappings",
        )
        .assign("quietAtMs", jsonata("$millis()"))
        .output(jsonata("$states.result.Payload"))
        .next("JudgeQuiet");

    let elapsed_s = "($millis() - $settleFromMs) / 1000";
    let judge_quiet =
        Choice::new("JudgeQuiet", Rule::when("$states.input.done and $announcedOpen", "JudgeExhausted"))
            .or(Rule::when("$states.input.done", "AnnounceOpened").assign("announcedOpen", json!(true)))
            .or(Rule::when(
                // The update may take a moment to show; an Enabled that lasts is somebody else's.
                format!(
                    "$states.input.state = 'Enabled' and {elapsed_s} > {}",
                    circuit.open.quiet_grace_s.max(30)
                ),
                "AnnounceOverruled",
            )
            .assign("closeReason", json!(CloseReason::Overruled.name())))
            .or(Rule::when(
                // Once it is disabled, quiet comes within the grace and the function's timeout, however short the
                // time for settling is: taking that for a fault would begin the wait anew, and never end it.
                format!(
                    "$states.input.state != 'Disabled' and {elapsed_s} > {}",
                    circuit.open.settle_timeout_s
                ),
                "AnnounceFault",
            )
            .assign("fault", json!({ "state": "CheckQuiet", "error": "Breaker.NotSettled" }))
            .assign("resumeAt", json!("DisableMappings")))
            .otherwise("AwaitSettled");

    let announce_opened = context.announce(
        "AnnounceOpened",
        Announcement::Opened,
        &[
            ("trigger", jsonata("$trip.trigger")),
            ("reason", jsonata("$trip.reason")),
            ("opened_at_ms", jsonata("$openedAtMs")),
            ("mappings", jsonata("[$recorded.uuid]")),
            ("retention_known", jsonata("$clock.known")),
            ("retention_s", jsonata("$clock.retention_s")),
            ("expires_at_ms", jsonata("$clock.expires_at_ms")),
        ],
        &[],
        "ChooseWait",
    );

    vec![
        inspect,
        judge_mappings,
        record,
        disable,
        await_settled,
        check_quiet,
        judge_quiet,
        announce_opened,
        overruled(context),
    ]
}

/// Somebody enabled the mapping while the circuit was open: yield, and say so.
fn overruled(context: &Context<'_>) -> State {
    context.announce(
        "AnnounceOverruled",
        Announcement::Overruled,
        &[("opened_at_ms", jsonata("$openedAtMs"))],
        &[],
        "MarkClosed",
    )
}

//! Fault: a step failed for good. Say so, pause, and go on from the safe side that is configured.

use serde_json::json;

use super::{BRISK_FAULTS, Context, NOWHERE, after, ramp};
use crate::asl::{Choice, Rule, State, Wait, fail, jsonata};
use crate::circuit::CloseReason;
use crate::config::FaultThen;
use crate::errors;
use crate::events::Announcement;

/// Where an execution can resume. Each step is safe to repeat.
const RESUME_POINTS: [&str; 10] = [
    "InspectMappings",
    "DisableMappings",
    "ChooseWait",
    "CheckReopening",
    "YieldLimited",
    "MarkRestoring",
    "RestoreMappings",
    "MarkRestored",
    "AwaitEnabled",
    "MarkClosed",
];

pub fn states(context: &Context<'_>) -> Vec<State> {
    let announce = context.announce(
        "AnnounceFault",
        Announcement::Faulted,
        &[
            ("state", jsonata("$fault.state")),
            ("error", jsonata("$fault.error")),
            ("fault_count", jsonata("$faults + 1")),
            ("then", json!(context.circuit.fault.then)),
        ],
        &[("faults", jsonata("$faults + 1"))],
        "JudgeFault",
    );
    let judge = Choice::new("JudgeFault", Rule::when(format!("$resumeAt = '{NOWHERE}'"), "Faulted"))
        .comment("Without a claim there is nothing to keep safe; with one the circuit is never given up")
        .otherwise("PauseAfterFault");
    let brisk_s = context.circuit.fault.pause_s;
    let slow_s = context.circuit.exhausted.slow_probe_s.max(brisk_s);
    let pause =
        Wait::seconds("PauseAfterFault", jsonata(format!("$faults > {BRISK_FAULTS} ? {slow_s} : {brisk_s}")))
            .next("Resume");
    let gave_up = fail(
        "Faulted",
        errors::FAULTED,
        jsonata(
            "'state ' & $fault.state & ' failed with ' & $fault.error & '; the circuit is as its item says'",
        ),
    );
    vec![announce, judge, pause, resume(context), gave_up]
}

fn resume(context: &Context<'_>) -> State {
    let [first, rest @ ..] = RESUME_POINTS;
    let resume_at = |point: &str| Rule::when(format!("$resumeAt = '{point}'"), point);
    let mut rules = Vec::new();
    if context.circuit.fault.then == FaultThen::Restore {
        // Give the mapping back, unless that is what failed already; with nothing recorded nothing was touched.
        let opening = "$resumeAt in ['InspectMappings', 'DisableMappings', 'ChooseWait']";
        let restored = |condition: String, next: &str| {
            Rule::when(condition, next).assign("closeReason", json!(CloseReason::Faulted.name()))
        };
        rules.push(restored(format!("{opening} and $count($recorded) = 0"), "MarkClosed"));
        rules.push(restored(opening.to_owned(), "MarkRestoring"));
    }
    rules.extend(
        rest.into_iter()
            .chain(after::resume_point(context))
            .chain(ramp::resume_points(context))
            .map(resume_at),
    );
    rules.into_iter().fold(Choice::new("Resume", resume_at(first)), Choice::or).otherwise("Faulted")
}

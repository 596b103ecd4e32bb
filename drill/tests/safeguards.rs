//! A promise is only watched if breaking it is seen. Each test takes one safeguard out of the workflow and names the
//! scenario and the checker that notice.

#[allow(dead_code, reason = "each test binary uses its part")]
mod common;

use std::time::Duration;

use common::tamper::{drop_unreachable, lead, payload, remove_reconciler, rules, state};
use common::{Told, drill, scenario, tampered, tampered_stack};
use drill::report::Topic;
use drill::scenario::Scenario;
use serde_json::{Value, json};

const SEED: u64 = 1;

/// Runs `scenario` as it is, where everything holds, and then with a workflow that `tamper` changed.
fn check(scenario: &Scenario, tamper: impl Fn(&mut Value)) -> Told {
    let whole = drill(scenario, SEED, false);
    assert_eq!(whole.report.exit_code(), 0, "{}", whole.story());
    tampered(scenario, SEED, &tamper)
}

#[test]
fn without_the_wait_for_quiet_the_mapping_still_delivers_while_open() {
    let told = check(&scenario("outage"), |definition| {
        for rule in rules(definition, "JudgeQuiet").iter_mut().take(2) {
            let condition = rule["Condition"]
                .as_str()
                .expect("a rule has a condition")
                .replace("$states.input.done", "true");
            rule["Condition"] = json!(condition);
        }
    });
    assert_eq!(told.broken(), ["quiet_while_open"], "{}", told.story());
}

#[test]
fn with_a_claim_that_everybody_gets_the_mapping_stays_disabled() {
    let told = check(&scenario("alarm_repeats"), |definition| {
        state(definition, "ClaimCircuit")["Arguments"]["ConditionExpression"] = json!(
            "attribute_not_exists(circuit_state) OR circuit_state IN (:from_closed, :state) OR owner_arn = :me"
        );
    });
    assert!(told.broken().contains(&"exact_restore"), "{}", told.story());
    assert!(!told.report.converged, "{}", told.story());
}

#[test]
fn a_refused_claim_that_goes_on_is_stopped_by_the_next_write() {
    let told = check(&scenario("alarm_repeats"), |definition| {
        let claim = state(definition, "ClaimCircuit");
        claim["Catch"][0]["Next"] = json!("RecordMappings");
        // With the owner's epoch it gets past every fence of the functions; the item still knows its owner.
        claim["Catch"][0]["Assign"] = json!({ "epoch": 1 });
        drop_unreachable(definition);
    });
    assert_eq!(told.report.exit_code(), 0, "{}", told.story());
    assert_eq!(told.with(Topic::Workflow, "ended: superseded").len(), 7, "{}", told.story());
}

#[test]
fn without_the_verdict_on_partial_batches_a_failed_message_is_deleted() {
    let told = check(&scenario("partial_batch"), |definition| {
        payload(definition, "ProbeConsumer")["mapping"] =
            json!("{% $merge([$recorded[0], {'reports_batch_item_failures': false}]) %}");
    });
    assert!(told.broken().contains(&"nothing_lost"), "{}", told.story());
    assert!(told.broken().contains(&"no_harm_by_probing"), "{}", told.story());
}

#[test]
fn without_the_branch_for_an_empty_queue_executions_fail_until_messages_come() {
    let told = check(&scenario("empty_queue"), |definition| {
        for rule in rules(definition, "JudgeProbe").iter_mut().filter(|rule| rule["Next"] == "MarkLimiting") {
            rule["Next"] = json!("Faulted");
        }
        // Nothing leads to the states of the limited close any more.
        drop_unreachable(definition);
    });
    // The reconciler starts one execution after the other; nothing but new messages helps them.
    assert!(told.with(Topic::Workflow, "FAILED with Breaker.Faulted").len() > 1, "{}", told.story());
}

#[test]
fn with_an_empty_queue_taken_for_a_failure_the_circuit_waits_for_messages_for_ever() {
    let mut scenario = scenario("empty_queue");
    // In the scenario itself the next messages come when the dependency is healthy: probing would go on with them.
    scenario.traffic.truncate(1);
    let told = check(&scenario, |definition| {
        for rule in rules(definition, "JudgeProbe").iter_mut().filter(|rule| rule["Next"] == "MarkLimiting") {
            rule["Next"] = json!("ChooseWait");
        }
        drop_unreachable(definition);
    });
    assert_eq!(told.report.exit_code(), 11, "{}", told.story());
    assert_eq!(told.report.mapping_state, "Disabled", "{}", told.story());
}

#[test]
fn without_the_protection_of_the_last_receive_probes_dead_letter_messages() {
    let told = check(&scenario("last_receives"), |definition| {
        let payload = payload(definition, "ProbeConsumer").as_object_mut().expect("it is an object");
        payload.shift_remove("max_receive_count");
    });
    assert!(told.broken().contains(&"no_harm_by_probing"), "{}", told.story());
    assert!(!told.with(Topic::DeadLetter, "by the probe").is_empty(), "{}", told.story());
}

#[test]
fn with_the_recorded_switch_ignored_an_operators_disable_is_undone() {
    let told = check(&scenario("operator_disabled_before"), |definition| {
        state(definition, "InspectMappings")["Assign"]["recorded"] =
            json!("{% [$states.result.Payload.recorded ~> |$|{'enabled': true}|] %}");
        rules(definition, "JudgeMappings")[0]["Condition"] = json!("{% false %}");
    });
    assert!(told.broken().contains(&"exact_restore"), "{}", told.story());
}

#[test]
fn with_a_limit_in_place_of_the_restore_the_close_never_comes() {
    let told = check(&scenario("outage"), limit_for_restore);
    assert_eq!(told.report.exit_code(), 11, "{}", told.story());
}

#[test]
fn with_a_limit_in_place_of_the_restore_and_nobody_looking_the_settings_differ() {
    let told = check(&scenario("outage"), |definition| {
        limit_for_restore(definition);
        state(definition, "CheckEnabled")["Output"] = json!({ "done": true });
    });
    assert_eq!(told.broken(), ["exact_restore"], "{}", told.story());
}

fn limit_for_restore(definition: &mut Value) {
    let payload = payload(definition, "RestoreMappings");
    payload["action"] = json!("limit");
    payload["maximum_concurrency"] = json!(2);
}

#[test]
fn probes_that_feed_the_alarm_open_the_circuit_again_unless_their_failures_have_left_its_window() {
    let mut at_once = scenario("signal_function_errors");
    // With a ramp the window has passed before the mapping has its settings back.
    at_once.circuit.ramp.concurrency_counts.clear();
    let told = check(&at_once, |definition| {
        let wait = &mut state(definition, "AwaitFreshWindow")["Seconds"];
        let without = wait
            .as_str()
            .expect("an expression")
            .replace("$max([$quietAtMs, $probeFailedAtMs])", "$quietAtMs");
        *wait = json!(without);
    });
    assert!(told.report.trips > 1, "{}", told.story());
}

#[test]
fn without_a_look_at_the_traffic_the_ramp_closes_into_the_outage() {
    let told = check(&scenario("relapse_during_ramp"), |definition| {
        rules(definition, "JudgeRamp")[0]["Condition"] = json!("{% false %}");
    });
    assert!(told.with(Topic::Event, "error=LimitedTrafficFailed").is_empty(), "{}", told.story());
    assert!(told.report.trips > 1, "{}", told.story());
}

#[test]
fn a_ramp_that_cannot_be_watched_closes_and_says_so() {
    let told = tampered_stack(&scenario("outage"), SEED, &|template| {
        let policies = &mut template["Resources"]["ExampleStateMachineRole"]["Properties"]["Policies"];
        let mut removed_count = 0;
        for policy in policies.as_array_mut().expect("the role has policies") {
            let statements = policy["PolicyDocument"]["Statement"].as_array_mut().expect("statements");
            let before_count = statements.len();
            statements.retain(|one| one["Sid"] != "ReadFailures");
            removed_count += before_count - statements.len();
        }
        assert_eq!(removed_count, 1, "the permission is where the test looks for it");
    });
    assert_eq!(told.report.exit_code(), 0, "{}", told.story());
    let closed =
        told.events.iter().find(|event| event["detail-type"] == "Circuit Closed").expect("it closes");
    assert!(
        closed["detail"]["ramp_error"].as_str().is_some_and(|error| error.contains("AccessDenied")),
        "{closed}"
    );
}

#[test]
fn without_the_cut_at_a_mark_it_is_announced_too_late() {
    let mut scenario = scenario("retention_at_risk");
    // Waits as long as the time that is left after a mark.
    scenario.circuit.backoff.base_s = 14_400;
    scenario.circuit.backoff.cap_s = 14_400;
    scenario.circuit.backoff.jitter = workflow::backoff::Jitter::None;
    scenario.settle_limit = Duration::from_secs(8 * 3_600);
    let at_half = |told: &Told| told.first(Topic::Event, "Circuit Retention At Risk (percent=50,");
    assert!(at_half(&drill(&scenario, SEED, false)).is_some());
    let told = tampered(&scenario, SEED, &|definition| {
        state(definition, "AwaitRecovery")["TimeoutSeconds"] = json!("{% $waitSeconds %}");
    });
    assert_eq!(at_half(&told), None, "{}", told.story());
}

#[test]
fn without_the_raise_messages_expire() {
    let told = check(&scenario("retention_raised"), |definition| {
        rules(definition, "JudgeRaise")[0]["Condition"] = json!("{% false %}");
    });
    assert_eq!(told.broken(), ["nothing_lost"], "{}", told.story());
    assert!(told.report.expired > 0, "{}", told.story());
}

#[test]
fn with_the_retention_restored_before_the_queue_is_drained_messages_expire() {
    let mut scenario = scenario("retention_raised");
    // The backlog arrives over hours, and the shorter retention is in force at once.
    scenario.circuit.rejitter.drain_per_s = 1.0;
    scenario.knobs.retention_change_ms = 1_000..=1_000;
    let told = check(&scenario, |definition| {
        rules(definition, "JudgeDrained")[0]["Condition"] = json!("{% true %}");
    });
    assert_eq!(told.broken(), ["nothing_lost"], "{}", told.story());
    assert!(told.report.expired > 0, "{}", told.story());
}

#[test]
fn with_the_record_of_the_retention_left_out_it_is_never_given_back() {
    let told = check(&scenario("retention_raised"), |definition| {
        lead(definition, "JudgeRaise", |_| true, "RaiseRetention");
    });
    assert_eq!(told.about(Topic::Queue), ["retention 14400 s -> 86400 s"], "{}", told.story());
}

#[test]
fn with_the_count_at_the_opening_taken_for_none_what_was_there_before_is_redriven() {
    let told = check(&scenario("dead_letters_not_told_apart"), |definition| {
        payload(definition, "RedriveDeadLetters")["dead_letter_count_at_open"] = json!(0);
    });
    assert!(!told.with(Topic::Queue, "the dead-letter queue is redriven").is_empty(), "{}", told.story());
}

/// Runs `scenario` as it is, where everything holds, and then without the reconciler's rule.
fn check_without_reconciler(name: &str) -> Told {
    let scenario = scenario(name);
    let whole = drill(&scenario, SEED, false);
    assert_eq!(whole.report.exit_code(), 0, "{}", whole.story());
    tampered_stack(&scenario, SEED, &remove_reconciler)
}

#[test]
fn without_the_reconciler_a_dead_owner_strands_the_mapping() {
    for name in ["owner_dies", "held_owner_dies"] {
        let told = check_without_reconciler(name);
        assert!(!told.report.converged, "{}", told.story());
        assert_eq!(told.report.mapping_state, "Disabled", "{}", told.story());
    }
    // The mapping came back, but the circuit is never closed: the next failure would find it open.
    let told = check_without_reconciler("owner_dies_while_restoring");
    assert!(!told.report.converged, "{}", told.story());
}

#[test]
fn a_mapping_that_stays_disabled_for_longer_than_the_bound_is_stranded() {
    let mut scenario = scenario("owner_dies");
    // Long enough for the bound to pass while nothing happens any more.
    scenario.settle_limit = Duration::from_secs(24 * 3_600);
    let told = tampered_stack(&scenario, SEED, &remove_reconciler);
    for promise in ["never_stranded", "prompt"] {
        assert!(told.broken().contains(&promise), "{}", told.story());
    }
}

#[test]
fn without_the_reconciler_a_retention_that_a_dead_execution_raised_stays_raised() {
    let told = check_without_reconciler("owner_dies_after_close");
    assert_eq!(told.report.not_converged, ["the queue's retention is still raised"], "{}", told.story());
}

#[test]
fn without_the_reconciler_a_lost_event_is_an_outage_without_a_breaker() {
    let told = check_without_reconciler("alarm_event_lost");
    assert_eq!(told.report.exit_code(), 11, "{}", told.story());
    assert_eq!(told.report.trips, 0, "{}", told.story());
}

#[test]
fn without_the_reconciler_nobody_sees_what_others_switch() {
    let told = check_without_reconciler("overruled_while_open");
    // The probe of the long wait would see it, an hour later.
    let closed = told.first(Topic::Circuit, "-> closed");
    let enabled = told.first(Topic::Drill, "an operator enables").expect("it was enabled");
    assert!(closed.is_none_or(|at| at.since(enabled).as_secs() > 1_800), "{}", told.story());
    let told = check_without_reconciler("disabled_by_nobody_we_know");
    assert_eq!(told.with(Topic::Event, "Mapping Disabled").len(), 0, "{}", told.story());
}

#[test]
fn without_the_phase_what_a_dead_owner_restored_is_taken_for_somebody_elses_doing() {
    let told = check(&scenario("owner_dies_while_restoring"), |definition| {
        // As if every owner had died waiting.
        state(definition, "TakeOverCircuit")["Assign"]["phase"] = json!("disabled");
    });
    assert_eq!(told.with(Topic::Event, "close_reason=overruled").len(), 1, "{}", told.story());
}

#[test]
fn without_the_mark_of_a_reopening_the_breakers_own_disable_is_taken_for_somebody_elses() {
    let told = check(&scenario("owner_dies_reopening"), |definition| {
        let values = &mut state(definition, "MarkReopening")["Arguments"]["ExpressionAttributeValues"];
        values[":phase"]["S"] = json!("limited");
    });
    assert!(told.broken().contains(&"exact_restore"), "{}", told.story());
    assert_eq!(told.report.mapping_state, "Disabled", "{}", told.story());
}

#[test]
fn without_the_fence_of_its_writes_an_execution_writes_what_another_one_owns() {
    let told = check(&scenario("alarm_repeats"), |definition| {
        // Somebody takes the circuit over from an owner that lives.
        lead(definition, "JudgeOwner", |_| true, "TakeOverCircuit");
        // The functions' own fences still stand; this is about the item.
        let states = definition["States"].as_object_mut().expect("a definition has states");
        let mut conditions: Vec<_> = states
            .values_mut()
            .filter_map(|state| state.pointer_mut("/Arguments/ConditionExpression"))
            .collect();
        for condition in &mut conditions {
            let whole = condition.as_str().expect("a condition is text");
            let without = "(epoch >= :epoch OR owner_arn = :me)";
            **condition = json!(whole.replace("epoch = :epoch AND owner_arn = :me", without));
        }
    });
    assert!(told.broken().contains(&"one_owner"), "{}", told.story());
}

#[test]
fn with_a_budget_of_receives_that_is_too_small_messages_are_copied_for_nothing() {
    let told = check(&scenario("outage"), |definition| {
        payload(definition, "ProbeConsumer")["max_receive_count"] = json!(2);
    });
    assert!(told.broken().contains(&"no_duplicates_by_us"), "{}", told.story());
}

#[test]
fn a_wait_that_goes_on_after_its_end_is_not_prompt() {
    let told = check(&scenario("outage"), |definition| {
        state(definition, "AwaitRecovery")["TimeoutSeconds"] = json!(10_800);
    });
    assert!(told.broken().contains(&"prompt"), "{}", told.story());
}

#[test]
fn a_hold_that_is_not_kept_in_the_item_dies_with_its_owner() {
    let told = check(&scenario("held_owner_dies"), |definition| {
        let take_over = state(definition, "TakeOverCircuit");
        take_over["Assign"]["hold"] = json!("{% $hold %}");
    });
    let probed = told.first(Topic::Probe, "").is_some();
    assert!(probed && told.with(Topic::Event, "Circuit Held").len() == 1, "{}", told.story());
}

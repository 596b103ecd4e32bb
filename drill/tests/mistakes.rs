//! The mistakes of earlier breakers, made on purpose: each test takes out of the workflow or of the stack what keeps this
//! breaker from one of them, and the scenario notices. `docs/mistakes.md` lists them.

#[allow(dead_code, reason = "each test binary uses its part")]
mod common;

use std::error::Error;
use std::time::Duration;

use common::mistakes::broken;
use common::tamper::{change_definition, lead, of_type, payload, remove_reconciler, rules, state};
use common::{Told, drill, scenario, tampered, tampered_stack};
use drill::faults::{FaultKind, FaultPlan};
use drill::report::Topic;
use drill::{Options, run_tampered_stack};
use serde_json::{Value, json};

const SEED: u64 = 1;

/// Runs a scenario with a workflow that `tamper` changed: this is not kept any more.
fn check(name: &str, tamper: impl Fn(&mut Value), noticed: &str) -> Told {
    not_kept(name, tampered(&scenario(name), SEED, &tamper), noticed)
}

/// The same with a stack that `tamper` changed.
fn check_stack(name: &str, tamper: impl Fn(&mut Value), noticed: &str) -> Told {
    let changing = |template: &mut Value| {
        let before = template.clone();
        tamper(template);
        assert_ne!(*template, before, "the safeguard is where the test looks for it");
    };
    not_kept(name, tampered_stack(&scenario(name), SEED, &changing), noticed)
}

fn not_kept(name: &str, told: Told, noticed: &str) -> Told {
    let broken = broken(name, &told);
    assert!(broken.contains(&noticed), "{broken:?}\n{}", told.story());
    told
}

#[test]
fn giving_up_after_nine_probes_leaves_the_mapping_disabled() {
    let told = check_stack(
        "outage_beyond_nine_probes",
        |template| {
            remove_reconciler(template);
            change_definition(template, |definition| {
                let rule = rules(definition, "JudgeExhausted").iter_mut();
                let gives_up = rule.filter(|rule| rule["Next"] == "AnnounceExhausted");
                gives_up.for_each(|rule| rule["Next"] = json!("Faulted"));
                common::tamper::drop_unreachable(definition);
            });
        },
        "the mapping is enabled",
    );
    assert_eq!(told.with(Topic::Event, "Circuit Exhausted").len(), 0, "{}", told.story());
}

#[test]
fn an_empty_queue_that_nothing_is_done_about_fails_the_workflow() {
    let empty = |condition: &str| condition.contains("'empty'");
    check(
        "queue_empty_at_first_probe",
        |definition| lead(definition, "JudgeProbe", empty, "Faulted"),
        "no execution fails",
    );
}

#[test]
fn messages_in_flight_that_are_not_waited_for_fail_the_workflow() {
    let hidden = |condition: &str| condition.contains("'none_visible'") && !condition.contains("'empty'");
    check(
        "backlog_received_in_one_burst",
        |definition| lead(definition, "JudgeProbe", hidden, "Faulted"),
        "no execution fails",
    );
}

#[test]
fn messages_in_flight_that_are_taken_for_an_empty_queue_are_not_waited_for() {
    check(
        "backlog_received_in_one_burst",
        |definition| {
            let probe = state(definition, "ProbeConsumer");
            probe["Output"] = json!(
                "{% $states.result.Payload.verdict = 'none_visible' ? {'verdict': 'empty'} : $states.result.Payload %}"
            );
        },
        "it is not taken for an empty queue",
    );
}

#[test]
fn a_rejitter_by_copies_forgets_how_often_messages_were_received() {
    check(
        "backlog_of_200_spread",
        |definition| payload(definition, "PlanSpread")["strategy"] = json!("requeue"),
        "no receive is forgotten",
    );
}

#[test]
fn a_claim_that_everybody_gets_lets_several_executions_act() {
    let everybody =
        "attribute_not_exists(circuit_state) OR circuit_state IN (:from_closed, :state) OR owner_arn = :me";
    check(
        "two_alarms_at_once",
        |definition| {
            state(definition, "ClaimCircuit")["Arguments"]["ConditionExpression"] = json!(everybody);
        },
        "one execution acts",
    );
}

#[test]
fn metrics_with_a_period_of_their_own_are_seen_minutes_later() {
    check_stack(
        "partial_failures_of_a_minute",
        |template| {
            for alarm in of_type(template, "AWS::CloudWatch::Alarm") {
                let metrics = alarm["Properties"]["Metrics"].as_array_mut().expect("it is metric math");
                for metric in metrics.iter_mut().filter(|metric| metric.get("MetricStat").is_some()) {
                    metric["MetricStat"]["Period"] = json!(300);
                }
            }
        },
        "seen within a period",
    );
}

#[test]
fn a_close_that_does_not_wait_for_the_mapping_comes_before_it_is_enabled() {
    let name = "mapping_busy_and_slow";
    let mut at_once = scenario(name);
    // With a ramp the mapping is enabled long before.
    at_once.circuit.ramp.concurrency_counts.clear();
    let no_wait =
        |definition: &mut Value| state(definition, "CheckEnabled")["Output"] = json!({ "done": true });
    not_kept(name, tampered(&at_once, SEED, &no_wait), "closed when it is enabled");
}

#[test]
fn without_retries_a_conflict_is_a_fault() {
    check(
        "mapping_busy_and_slow",
        |definition| {
            for name in ["DisableMappings", "RestoreMappings"] {
                state(definition, name).as_object_mut().expect("it is an object").shift_remove("Retry");
            }
        },
        "no step fails for good",
    );
}

#[test]
fn a_poisonous_message_that_is_not_put_aside_is_probed_each_time() {
    check(
        "poison_at_the_head",
        |definition| payload(definition, "ProbeConsumer")["put_aside_s"] = json!(0),
        "another message proves the recovery",
    );
}

#[test]
fn a_message_that_others_receive_while_a_probe_has_it_is_processed_twice() {
    let mut scenario = scenario("queue_shared_with_others");
    // As if the probe had asked for no visibility timeout. Nobody deletes with the handle that others have outdated.
    scenario.faults = FaultPlan::only(FaultKind::MessageDuplicated, 1_000_000, Duration::from_secs(38 * 60));
    not_kept(scenario.name, drill(&scenario, SEED, false), "no message is processed twice");
}

#[test]
fn a_rejitter_that_ends_with_its_time_misses_messages() {
    check_stack(
        "backlog_of_20000",
        |template| {
            let mut functions = of_type(template, "AWS::Lambda::Function");
            let rejitter = functions.find(|function| function["Properties"]["Handler"] == "rejitter");
            rejitter.expect("there is a re-jitter")["Properties"]["Timeout"] = json!(3);
            drop(functions);
            change_definition(template, |definition| {
                rules(definition, "JudgeSpread")[0]["Condition"] = json!("{% true %}");
            });
        },
        "none is missed",
    );
}

#[test]
fn a_rejitter_that_does_not_follow_the_drain_rate_ends_in_a_burst() {
    check(
        "backlog_of_20000",
        |definition| payload(definition, "PlanSpread")["drain_per_s"] = json!(10_000),
        "they arrive at the drain rate",
    );
}

#[test]
fn a_fifo_queue_is_never_rejittered_and_the_close_says_so() {
    let told = tampered_stack(&scenario("fifo_queue"), SEED, &|template| {
        change_definition(template, |definition| {
            assert!(definition["States"].get("SpreadBacklog").is_none());
            assert_eq!(
                state(definition, "AnnounceClosed")["Arguments"]["Entries"][0]["Detail"]["spread"],
                "{% $spread %}"
            );
            let never = json!({ "calls": 0, "progress": null, "error": "none" });
            assert_eq!(state(definition, "CheckInput")["Choices"][0]["Assign"]["spread"], never);
        });
    });
    assert_eq!(told.report.exit_code(), 0, "{}", told.story());
    assert!(told.about(Topic::Rejitter).is_empty(), "{}", told.story());
}

#[test]
fn without_the_minimum_volume_one_failure_in_a_quiet_minute_trips() {
    check_stack(
        "one_failure_in_a_quiet_minute",
        |template| {
            for alarm in of_type(template, "AWS::CloudWatch::Alarm") {
                let metrics = alarm["Properties"]["Metrics"].as_array_mut().expect("it is metric math");
                for metric in metrics.iter_mut().filter(|metric| metric.get("Expression").is_some()) {
                    let expression = metric["Expression"].as_str().expect("it is text");
                    metric["Expression"] = json!(expression.replace("invoked >= 5", "invoked >= 1"));
                }
            }
        },
        "no trip",
    );
}

#[test]
fn with_one_fixed_name_a_second_copy_of_the_stack_is_refused() {
    let scenario = scenario("two_copies_in_one_account");
    for (kind, property) in [
        ("AWS::DynamoDB::Table", "TableName"),
        ("AWS::SQS::Queue", "QueueName"),
        ("AWS::Lambda::Function", "FunctionName"),
        ("AWS::StepFunctions::StateMachine", "StateMachineName"),
        ("AWS::Events::Rule", "Name"),
        ("AWS::CloudWatch::Alarm", "AlarmName"),
        ("AWS::IAM::Role", "RoleName"),
    ] {
        let options = Options { baseline: false, ..Options::seeded(SEED) };
        let fix = |template: &mut Value| {
            let resource = of_type(template, kind).next().expect("there is one");
            resource["Properties"][property] = json!("circuit-breaker");
        };
        let refused = run_tampered_stack(&scenario, options, &fix, &mut ()).expect_err(property);
        let why = refused.source().map(ToString::to_string).unwrap_or_default();
        assert!(why.contains("exists already in this account and Region"), "{property}: {why}");
    }
}

#[test]
fn a_spread_that_takes_minutes_whatever_the_backlog_delivers_it_late() {
    check(
        "backlog_of_200_delivered",
        |definition| payload(definition, "PlanSpread")["drain_per_s"] = json!(1),
        "the last comes soon",
    );
}

//! Every scenario on a few fixed seeds: all promises held, come to its end, and what its operator was promised.

#[allow(dead_code, reason = "each test binary uses its part")]
mod common;

use std::time::Duration;

use common::{Told, affordable, drill, scenario};
use drill::asl::HISTORY_LIMIT_COUNT;
use drill::report::Topic;
use drill::scenario::{Dependency, Traffic};
use drill::sim::SIM_START;
use drill::{Options, run};
use workflow::backoff::{Backoff, Jitter};
use workflow::config::AlarmSignal;

/// Runs `name` on each seed and lets `promised` look at what was told.
fn check(name: &str, seeds: &[u64], promised: fn(&Told)) {
    let scenario = affordable(scenario(name));
    for seed in seeds {
        let told = drill(&scenario, *seed, true);
        assert_eq!(told.report.exit_code(), 0, "{}", told.story());
        promised(&told);
        let wrong = common::statuses::wrong_answers(&scenario, &told);
        assert!(wrong.is_empty(), "{name}, seed {seed}: {wrong:#?}");
        let invalid = common::events::invalid(&told.events);
        assert!(invalid.is_empty(), "{name}, seed {seed}: {invalid:#?}");
    }
}

/// One test per scenario, named like it, and the list of them.
macro_rules! scenarios {
    ($($name:ident on $seeds:expr,)+) => {
        const TESTED: &[&str] = &[$(stringify!($name)),+];

        $(#[test]
        fn $name() {
            check(stringify!($name), &$seeds, promised::$name);
        })+
    };
}

scenarios! {
    outage on [1, 7, 42],
    long_outage on [1],
    brownout on [1, 2, 4],
    empty_queue on [1, 7, 42],
    all_in_flight on [1, 7, 42],
    partial_batch on [1, 7, 42],
    alarm_repeats on [1, 7, 42],
    retries_exhausted on [1, 7, 42],
    probe_slow on [1, 7, 42],
    poison_message on [1, 7, 42],
    fifo_queue on [1, 7, 42],
    operator_disabled_before on [1, 7, 42],
    week_outage on [1, 7, 42],
    last_receives on [1, 7, 42],
    signal_function_errors on [1, 7, 42],
    signal_failed_count on [1, 7, 42],
    signal_existing_alarm on [1, 7, 42],
    signal_composite_alarm on [1, 7, 42],
    retention_at_risk on [1, 7],
    retention_raised on [1, 7],
    dead_letters_redriven on [1, 7, 42],
    dead_letters_not_told_apart on [1, 7, 42],
    owner_dies on [1, 7, 42],
    owner_dies_while_restoring on [1, 7, 42],
    alarm_event_lost on [1, 7, 42],
    overruled_while_open on [1, 7, 42],
    disabled_by_nobody_we_know on [1, 7, 42],
    hold_expires on [1, 7, 42],
    held_owner_dies on [1, 7, 42],
    owner_dies_after_close on [1],
    callee_signals on [1, 7, 42],
    false_signal on [1, 7, 42],
    relapse_during_ramp on [1, 7, 42],
    mapping_settles_late_in_ramp on [1, 7, 42],
    limit_taken_away_in_ramp on [1, 7, 42],
    probe_answer_lost on [1, 7, 42],
    disabled_in_limited_close on [1, 7, 42],
    disabled_while_restoring on [1, 7, 42],
    owner_dies_reopening on [1, 7, 42],
    outage_beyond_nine_probes on [1, 7, 42],
    queue_empty_at_first_probe on [1, 7, 42],
    backlog_received_in_one_burst on [1, 7, 42],
    backlog_of_200_spread on [1, 7, 42],
    two_alarms_at_once on [1, 7, 42],
    partial_failures_of_a_minute on [1, 7, 42],
    mapping_busy_and_slow on [1, 7, 42],
    poison_at_the_head on [1, 7, 42],
    queue_shared_with_others on [1, 7, 42],
    backlog_of_20000 on [1, 7, 42],
    one_failure_in_a_quiet_minute on [1, 7, 42],
    two_copies_in_one_account on [1, 7, 42],
    backlog_of_200_delivered on [1, 7, 42],
}

#[test]
fn every_scenario_has_its_test() {
    let all: Vec<&str> = drill::scenario::all().iter().map(|scenario| scenario.name).collect();
    assert_eq!(TESTED, all);
}

/// The seconds that a line about a wait begins with.
fn seconds(line: &str) -> u64 {
    let number = line.split(' ').next().and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("{line:?} begins with no number"))
}

/// One trip, one way there and back, and nothing that a consumer could notice beyond the pause.
fn one_clean_trip(told: &Told) {
    one_trip(told);
    assert_eq!(told.report.copies_made, 0, "{}", told.story());
}

/// One trip, one way there and back, and every message processed once.
fn one_trip(told: &Told) {
    let report = &told.report;
    assert_eq!(report.trips, 1, "{}", told.story());
    assert_eq!(told.with(Topic::Event, "Circuit Opened").len(), 1, "{}", told.story());
    assert_eq!(told.with(Topic::Event, "Circuit Closed").len(), 1, "{}", told.story());
    assert_eq!(common::way(told), ["Disabling", "Disabled", "Enabling", "Enabled"], "{}", told.story());
    assert_eq!(report.processed, report.sent, "{}", told.story());
    assert_eq!(report.reprocessed, 0, "{}", told.story());
}

mod promised {
    use super::*;

    pub fn outage(told: &Told) {
        one_clean_trip(told);
        let report = &told.report;
        let without = report.wasted_invocations_without_breaker.expect("the baseline was run");
        assert!(report.wasted_invocations * 10 < without, "{} of {without}", report.wasted_invocations);
        assert!(
            report.dead_lettered_without_breaker > Some(0),
            "without a breaker this outage costs messages"
        );
        // Two breaching minutes, the lag of their data, and the next evaluation.
        assert!(report.detect_s.expect("it was detected") < 300.0, "{:?}", report.detect_s);
        // The current backoff, a probe, the mapping's transition, and the spread of the first message.
        assert!(report.recover_s.expect("it recovered") < 300.0 + 120.0, "{:?}", report.recover_s);
        assert_eq!(told.with(Topic::Rejitter, " messages spread").len(), 1, "{}", told.story());
    }

    pub fn long_outage(told: &Told) {
        // The backlog is beyond the in-flight quota: it is spread by copies, of which no consumer sees two.
        one_trip(told);
        assert!(told.with(Topic::Rejitter, "by requeue").len() == told.about(Topic::Rejitter).len());
        assert!(told.longest_history > 1_000, "{} events", told.longest_history);
        assert!(told.longest_history < HISTORY_LIMIT_COUNT, "{} events", told.longest_history);
    }

    pub fn brownout(told: &Told) {
        let report = &told.report;
        let without = report.wasted_invocations_without_breaker.expect("the baseline was run");
        assert!(report.wasted_invocations < without, "{} of {without}", report.wasted_invocations);
        // It may close into the brownout by luck; each time it opens again, and each opening has its close.
        let opened = told.with(Topic::Event, "Circuit Opened").len();
        let closed = told.with(Topic::Event, "Circuit Closed").len();
        assert_eq!((opened as u64, closed as u64), (report.trips, report.trips), "{}", told.story());
        assert!(!told.with(Topic::Probe, "healthy").is_empty(), "{}", told.story());
        assert!(!told.with(Topic::Probe, "unhealthy: DownstreamUnavailable").is_empty(), "{}", told.story());
        let dead = told.about(Topic::DeadLetter);
        assert!(dead.iter().all(|line| line.ends_with("last receive by the mapping")), "{dead:?}");
    }

    pub fn empty_queue(told: &Told) {
        assert_eq!(told.with(Topic::Probe, "empty").len(), 1, "{}", told.story());
        assert_eq!(told.with(Topic::Event, "Circuit Half Opened").len(), 1, "{}", told.story());
        // The limited close, and then the exact settings: an update that names no limit.
        let way =
            ["Disabling", "Disabled", "Enabling, maximum concurrency 2", "Enabled", "Updating", "Enabled"];
        assert_eq!(told.about(Topic::Mapping), way, "{}", told.story());
        assert!(told.report.purged > 0, "an operator purged the queue");
        assert_eq!(
            told.with(Topic::Event, "Circuit Closed (close_reason=recovered").len(),
            1,
            "{}",
            told.story()
        );
    }

    pub fn all_in_flight(told: &Told) {
        let hidden = told.first(Topic::Probe, "none_visible").expect("the first probe finds all in flight");
        let closed = told.first(Topic::Circuit, "half_open -> closed").expect("it closed");
        assert!(hidden < closed, "{}", told.story());
        assert!(told.about(Topic::Probe)[0].starts_with("none_visible"), "{}", told.story());
        // Messages in flight are no empty queue: they are waited for, and one of them is the proof.
        let limited = told.first(Topic::Event, "Circuit Half Opened").expect("the ramp begins");
        assert!(told.first(Topic::Probe, "healthy").is_some_and(|proof| proof < limited), "{}", told.story());
        one_clean_trip(told);
    }

    pub fn partial_batch(told: &Told) {
        one_clean_trip(told);
        let failed = told.with(Topic::Probe, "unhealthy");
        assert!(!failed.is_empty(), "{}", told.story());
        assert!(failed.iter().all(|line| *line == "unhealthy: BatchItemFailure"), "{failed:?}");
    }

    pub fn alarm_repeats(told: &Told) {
        one_clean_trip(told);
        let started = told.with(Topic::Workflow, "started by").len();
        let joined = told.with(Topic::Workflow, "ended: joined").len();
        // Four events, each delivered twice: one execution owns the circuit, seven joined it.
        assert_eq!((started, joined), (8, 7), "{}", told.story());
        assert_eq!(told.with(Topic::Circuit, "closed -> open").len(), 1, "{}", told.story());
    }

    pub fn retries_exhausted(told: &Told) {
        one_clean_trip(told);
        let announced = told.with(Topic::Event, "Circuit Exhausted");
        assert_eq!(announced.len(), 1, "{}", told.story());
        assert!(announced[0].contains("failed_probe_count=5"), "{announced:?}");
        let exhausted_at = told.first(Topic::Event, "Circuit Exhausted").expect("it was announced");
        let waits = |after: bool| -> Vec<u64> {
            let lines = told.entries.iter().filter(|entry| (entry.at > exhausted_at) == after);
            let waits = lines.filter(|entry| entry.topic == Topic::Wait);
            waits.map(|entry| seconds(&entry.text)).collect()
        };
        let (before, after) = (waits(false), waits(true));
        assert!(before.iter().all(|wait_s| *wait_s <= 300), "the backoff's cap: {before:?}");
        assert!(after.len() > 3 && after.iter().all(|wait_s| *wait_s <= 600), "the slow wait: {after:?}");
        assert!(after.iter().any(|wait_s| *wait_s > 300), "slower than the backoff: {after:?}");
    }

    pub fn probe_slow(told: &Told) {
        one_clean_trip(told);
        let failed = told.with(Topic::Probe, "unhealthy");
        assert!(!failed.is_empty(), "{}", told.story());
        // In Lambda's words: the consumer ran into its own timeout.
        assert!(failed.iter().all(|line| *line == "unhealthy: Sandbox.Timedout"), "{failed:?}");
    }

    pub fn poison_message(told: &Told) {
        assert_eq!(told.about(Topic::DeadLetter).len(), 1, "{}", told.story());
        assert_eq!(told.with(Topic::DeadLetter, "last receive by the mapping").len(), 1, "{}", told.story());
        let report = &told.report;
        assert_eq!((report.dead_lettered, report.processed), (1, report.sent - 1), "{}", told.story());
        assert_eq!(report.trips, 1, "one bad message opens nothing: {}", told.story());
    }

    pub fn fifo_queue(told: &Told) {
        one_clean_trip(told);
        assert!(told.about(Topic::Rejitter).is_empty(), "{}", told.story());
    }

    pub fn operator_disabled_before(told: &Told) {
        assert_eq!(told.about(Topic::Mapping), ["Disabling", "Disabled"], "{}", told.story());
        assert_eq!(told.with(Topic::Event, "Circuit Closed (close_reason=nothing_to_open").len(), 1);
        assert_eq!(told.report.probes, 0, "{}", told.story());
        assert!(told.report.still_queued > 0, "the messages wait for their operator");
    }

    pub fn week_outage(told: &Told) {
        one_clean_trip(told);
        // Each execution hands over well before its history is full, and the last one closes.
        assert!(told.longest_history < HISTORY_LIMIT_COUNT / 4 * 3, "{} events", told.longest_history);
        let started = told.with(Topic::Workflow, "started by").len();
        let handed_over = told.with(Topic::Workflow, "ended: handed_over").len();
        assert!(handed_over > 1, "{}", told.story());
        assert_eq!(started, handed_over + 1, "{}", told.story());
        // Said once, not by each execution anew.
        assert_eq!(told.with(Topic::Event, "Circuit Exhausted").len(), 1, "{}", told.story());
    }

    pub fn signal_function_errors(told: &Told) {
        one_alarm(told, "");
        // The probes alone keep it firing while the circuit is open; it ends before the circuit counts as closed.
        let ended = told.first(Topic::Alarm, "ALARM -> OK").expect("it ended");
        let recovered = told.first(Topic::Drill, "the dependency is healthy").expect("it recovered");
        let closed = told.first(Topic::Circuit, "half_open -> closed").expect("it closed");
        assert!(recovered < ended && ended <= closed, "{}", told.story());
    }

    pub fn signal_failed_count(told: &Told) {
        one_alarm(told, "");
    }

    pub fn signal_existing_alarm(told: &Told) {
        one_alarm(told, "");
    }

    pub fn signal_composite_alarm(told: &Told) {
        one_alarm(told, "orders-failing: ");
        one_alarm(told, "orders-down: ");
        let child = told.first(Topic::Alarm, "orders-failing: OK -> ALARM").expect("the child fired");
        let down = told.first(Topic::Alarm, "orders-down: OK -> ALARM").expect("the composite fired");
        assert_eq!(child, down, "{}", told.story());
    }

    pub fn retention_at_risk(told: &Told) {
        one_trip(told);
        let marks = told.with(Topic::Event, "Circuit Retention At Risk");
        assert_eq!(marks.len(), 2, "each mark once: {}", told.story());
        // Ten hours from the oldest send, which is at most the window of detection before the claim.
        let claimed = told.first(Topic::Circuit, "closed -> open").expect("it opened");
        let waiting = |text: &str| told.first(Topic::Event, text).expect("it was announced").since(claimed);
        let (half, more) = (waiting("(percent=50, queue=queue"), waiting("(percent=75, queue=queue"));
        let hours = |from: f64, to: f64| {
            Duration::from_secs_f64(from * 3_600.0)..Duration::from_secs_f64(to * 3_600.0)
        };
        // A probe, which may take a minute, can stand between a mark and its announcement.
        assert!(hours(4.8, 5.05).contains(&half), "{half:?}");
        assert!(hours(7.3, 7.55).contains(&more), "{more:?}");
        assert_eq!(told.about(Topic::Queue).len(), 0, "{}", told.story());
    }

    pub fn retention_raised(told: &Told) {
        one_trip(told);
        let changes = ["retention 14400 s -> 86400 s", "retention 86400 s -> 14400 s"];
        assert_eq!(told.about(Topic::Queue), changes, "{}", told.story());
        let raise = told.with(Topic::Event, "Circuit Retention Raise (outcome=done");
        let restore = told.with(Topic::Event, "Circuit Retention Restore (outcome=done");
        assert_eq!((raise.len(), restore.len()), (1, 1), "{}", told.story());
        let closed = told.first(Topic::Event, "Circuit Closed").expect("it closed");
        assert!(told.first(Topic::Queue, changes[1]) > Some(closed), "{}", told.story());
        assert_eq!(told.report.expired, 0, "{}", told.story());
    }

    pub fn dead_letters_redriven(told: &Told) {
        let report = &told.report;
        assert!(!told.about(Topic::DeadLetter).is_empty(), "{}", told.story());
        assert_eq!(told.with(Topic::Event, "dead_letters/redrive=started").len(), 1, "{}", told.story());
        assert_eq!((report.dead_lettered, report.processed), (0, report.sent), "{}", told.story());
        assert_eq!(report.reprocessed, 0, "{}", told.story());
    }

    pub fn dead_letters_not_told_apart(told: &Told) {
        assert_eq!(
            told.with(Topic::Event, "dead_letters/redrive=not_told_apart").len(),
            1,
            "{}",
            told.story()
        );
        assert!(told.about(Topic::Queue).is_empty(), "{}", told.story());
        assert_eq!(told.report.processed + told.report.dead_lettered, told.report.sent, "{}", told.story());
    }

    pub fn owner_dies(told: &Told) {
        one_trip(told);
        assert!(!told.with(Topic::Workflow, "started by reconciler").is_empty(), "{}", told.story());
        assert!(told.with(Topic::Circuit, "(epoch 3)").is_empty(), "{}", told.story());
        assert_eq!(told.with(Topic::Event, "close_reason=recovered").len(), 1, "{}", told.story());
    }

    pub fn owner_dies_while_restoring(told: &Told) {
        // The mapping goes one way: what the dead owner began is finished, not undone.
        owner_dies(told);
    }

    pub fn alarm_event_lost(told: &Told) {
        one_clean_trip(told);
        assert_eq!(told.with(Topic::Workflow, "started by reconciler").len(), 1, "{}", told.story());
        assert_eq!(told.with(Topic::Workflow, "started by alarm").len(), 0, "{}", told.story());
        let (lost, tripped) =
            (told.first(Topic::Drill, "is lost"), told.first(Topic::Circuit, "closed -> open"));
        let took = tripped.expect("it tripped").since(lost.expect("it was lost"));
        assert!(took <= Duration::from_secs(180), "{took:?}: {}", told.story());
    }

    pub fn overruled_while_open(told: &Told) {
        let enabled = told.first(Topic::Drill, "an operator enables").expect("it was enabled");
        let closed = told.first(Topic::Circuit, "-> closed").expect("it closed");
        assert!(closed.since(enabled) <= Duration::from_secs(90), "{}", told.story());
        assert_eq!(told.with(Topic::Event, "close_reason=overruled").len(), 1, "{}", told.story());
        assert_eq!(told.with(Topic::Event, "Circuit Overruled").len(), 1, "{}", told.story());
        let way = told.about(Topic::Mapping);
        assert_eq!(way, ["Disabling", "Disabled", "Enabling", "Enabled"], "{}", told.story());
    }

    pub fn disabled_by_nobody_we_know(told: &Told) {
        assert_eq!(told.with(Topic::Event, "Mapping Disabled").len(), 1, "{}", told.story());
        assert_eq!(told.about(Topic::Mapping), ["Disabling", "Disabled"], "{}", told.story());
        assert_eq!(told.with(Topic::Workflow, "started").len(), 0, "{}", told.story());
    }

    pub fn hold_expires(told: &Told) {
        one_trip(told);
        let held = told.first(Topic::Event, "Circuit Held").expect("it was held");
        let released = told.first(Topic::Event, "Circuit Released").expect("it was released");
        assert_eq!(released.since(held).as_secs().div_ceil(60), 60, "{}", told.story());
        let probed = |entry: &&drill::report::Entry| {
            entry.topic == Topic::Probe && entry.at > held && entry.at < released
        };
        assert_eq!(told.entries.iter().filter(probed).count(), 0, "{}", told.story());
    }

    pub fn held_owner_dies(told: &Told) {
        hold_expires(told);
        // The schedule and the event may both start one; only one of them takes over.
        assert!(told.with(Topic::Circuit, "(epoch 3)").is_empty(), "{}", told.story());
        assert_eq!(told.with(Topic::Event, "Circuit Held").len(), 2, "{}", told.story());
    }

    pub fn owner_dies_after_close(told: &Told) {
        retention_raised(told);
        let closed = told.first(Topic::Event, "Circuit Closed").expect("it closed");
        let died = told.first(Topic::Workflow, "ABORTED").expect("it was stopped");
        let restored = told.first(Topic::Event, "Circuit Retention Restore").expect("it was given back");
        assert!(closed < died && died < restored, "{}", told.story());
    }

    pub fn callee_signals(told: &Told) {
        let closed = told.first(Topic::Event, "Circuit Closed").expect("it closes");
        assert!(closed - SIM_START < Duration::from_secs(27 * 60), "{}", told.story());
    }

    pub fn false_signal(told: &Told) {
        assert_eq!(told.with(Topic::Event, "Circuit Probe Failed").len(), 2, "{}", told.story());
        let opened = told.first(Topic::Event, "Circuit Opened").expect("it opens");
        let closed = told.first(Topic::Event, "Circuit Closed").expect("it closes");
        // The wait, the mapping's transition, and two steps of the ramp with theirs.
        assert!(closed - opened < Duration::from_secs(3_600 + 300 + 2 * 180), "{}", told.story());
    }

    pub fn relapse_during_ramp(told: &Told) {
        assert_eq!(told.report.trips, 1, "{}", told.story());
        assert_eq!(told.with(Topic::Event, "error=LimitedTrafficFailed").len(), 1, "{}", told.story());
        assert_eq!(told.with(Topic::Event, "Circuit Closed").len(), 1, "{}", told.story());
        let there_and_back = ["Disabling", "Disabled", "Enabling", "Enabled"];
        assert_eq!(common::way(told), [there_and_back, there_and_back].concat(), "{}", told.story());
        // The ramp sees it before the alarm does, and the wait after it is a new one.
        let relapse = SIM_START + Duration::from_secs(21 * 60);
        let reopened = told.first(Topic::Event, "error=LimitedTrafficFailed").expect("it is seen");
        assert!(reopened - relapse < Duration::from_secs(150), "{}", told.story());
        assert!(told.with(Topic::Workflow, "joined").len() <= 1, "{}", told.story());
        // What failed with the dependency is no suspect.
        assert!(told.with(Topic::Event, "suspects=").is_empty(), "{}", told.story());
    }

    pub fn mapping_settles_late_in_ramp(told: &Told) {
        assert!(!told.with(Topic::Event, "state=CheckStep").is_empty(), "{}", told.story());
        one_trip(told);
    }

    pub fn limit_taken_away_in_ramp(told: &Told) {
        let redeployed = told.first(Topic::Drill, "a deployment").expect("somebody deploys");
        let again =
            told.first(Topic::Mapping, "Updating, maximum concurrency 2").expect("it is limited again");
        assert!(redeployed < again && again - redeployed < Duration::from_secs(150), "{}", told.story());
        assert!(told.with(Topic::Event, "Circuit Faulted").is_empty(), "{}", told.story());
        one_trip(told);
    }

    pub fn probe_answer_lost(told: &Told) {
        assert!(!told.with(Topic::Event, "Circuit Faulted (").is_empty(), "{}", told.story());
        assert!(told.with(Topic::Event, "state=ProbeConsumer").len() > 1, "{}", told.story());
    }

    pub fn disabled_in_limited_close(told: &Told) {
        assert_eq!(told.with(Topic::Workflow, "ABORTED").len(), 1, "{}", told.story());
        let disabled = told.first(Topic::Drill, "an operator disables the mapping").expect("somebody did");
        let yielded = told.first(Topic::Event, "Circuit Overruled").expect("the next execution yields");
        assert!(disabled < yielded, "{}", told.story());
        assert_eq!(
            told.with(Topic::Event, "Circuit Closed (close_reason=overruled").len(),
            1,
            "{}",
            told.story()
        );
    }

    pub fn disabled_while_restoring(told: &Told) {
        assert_eq!(told.with(Topic::Drill, "an operator disables the mapping").len(), 1, "{}", told.story());
        let there = ["Disabling", "Disabled", "Enabling", "Enabled", "Disabling", "Disabled"];
        assert_eq!(common::way(told), there, "{}", told.story());
        assert_eq!(
            told.with(Topic::Event, "Circuit Closed (close_reason=overruled").len(),
            1,
            "{}",
            told.story()
        );
    }
    pub fn owner_dies_reopening(told: &Told) {
        assert_eq!(told.with(Topic::Workflow, "ABORTED").len(), 1, "{}", told.story());
        assert!(told.with(Topic::Event, "Circuit Overruled").is_empty(), "{}", told.story());
        assert_eq!(
            told.with(Topic::Event, "Circuit Closed (close_reason=recovered").len(),
            1,
            "{}",
            told.story()
        );
    }

    macro_rules! no_mistakes {
        ($($name:ident),+) => {
            $(pub fn $name(told: &Told) {
                let broken = common::mistakes::broken(stringify!($name), told);
                assert!(broken.is_empty(), "{broken:?}\n{}", told.story());
            })+
        };
    }

    no_mistakes!(
        outage_beyond_nine_probes,
        queue_empty_at_first_probe,
        backlog_received_in_one_burst,
        backlog_of_200_spread,
        two_alarms_at_once,
        partial_failures_of_a_minute,
        mapping_busy_and_slow,
        poison_at_the_head,
        queue_shared_with_others,
        backlog_of_20000,
        one_failure_in_a_quiet_minute,
        two_copies_in_one_account,
        backlog_of_200_delivered
    );

    pub fn last_receives(told: &Told) {
        one_trip(told);
        let report = &told.report;
        assert!(report.copies_made > 0, "{}", told.story());
        assert!(!told.with(Topic::Probe, "last_receive").is_empty(), "{}", told.story());
        assert!(
            report.dead_lettered_without_breaker > Some(0),
            "without a breaker this outage costs messages"
        );
    }
}

/// The alarm fires once, and the circuit neither opens twice nor flaps.
fn one_alarm(told: &Told, alarm: &str) {
    one_clean_trip(told);
    let fired = told.with(Topic::Alarm, "-> ALARM");
    let of_alarm: Vec<&&str> = fired.iter().filter(|line| line.starts_with(alarm)).collect();
    assert_eq!(of_alarm.len(), 1, "{}", told.story());
    let without = told.report.wasted_invocations_without_breaker.expect("the baseline was run");
    assert!(told.report.wasted_invocations * 10 < without, "{}", told.story());
}

#[test]
fn an_empty_queue_that_fills_while_the_outage_lasts_opens_again_in_the_same_execution() {
    let minute = |count: u64| Duration::from_secs(count * 60);
    let mut scenario = scenario("empty_queue");
    // Short waits, so that the queue is found empty before it fills; a long look, so that the relapse falls into it.
    scenario.circuit.backoff = Backoff { base_s: 2, rate: 1.0, cap_s: 2, jitter: Jitter::None };
    scenario.circuit.close.limited_watch_s = 600;
    scenario.traffic[1] = Traffic { from: minute(18), until: minute(40), ..scenario.traffic[1].clone() };
    scenario.dependency[1] = (minute(35), Dependency::Healthy);
    for seed in [1, 7, 42] {
        let told = drill(&scenario, seed, false);
        assert_eq!(told.report.exit_code(), 0, "{}", told.story());
        let refused = told.first(Topic::Event, "error=LimitedTrafficFailed").expect("the relapse was seen");
        assert!(refused < SIM_START + minute(35), "{}", told.story());
        let there_and_back = ["Disabling", "Disabled", "Enabling", "Enabled"];
        assert_eq!(common::way(&told), [there_and_back, there_and_back].concat(), "{}", told.story());
        assert_eq!(told.report.trips, 1, "{}", told.story());
        let ended = told.with(Topic::Workflow, "ended: closed");
        assert_eq!(ended, ["trip-1 ended: closed"], "{}", told.story());
    }
}

#[test]
fn one_bad_message_in_a_quiet_queue_opens_nothing() {
    let mut scenario = scenario("poison_message");
    scenario.dependency.clear();
    // Seven messages in the minute of the bad one: enough volume to count, and too few failures to trip.
    scenario.traffic[0].rate_per_s = 0.1;
    // Between two orders: one that shares every batch of the bad message would share its fate.
    let (from, until) = (Duration::from_secs(245), Duration::from_secs(246));
    scenario.traffic[1] = Traffic { from, until, rate_per_s: 1.0, ..scenario.traffic[1].clone() };
    scenario.ending.trips = 0..=0;
    for seed in [1, 7, 42] {
        let told = drill(&scenario, seed, false);
        assert_eq!(told.report.exit_code(), 0, "{}", told.story());
        assert!(told.about(Topic::Workflow).is_empty(), "{}", told.story());
    }
}

#[test]
fn errors_of_the_function_do_not_show_partial_batches() {
    // What `blind-alarm` refuses, accepted: the outage is over before anything is noticed.
    let mut scenario = scenario("partial_batch");
    scenario.circuit.alarm.signal = AlarmSignal::FunctionErrors;
    scenario.dependency[1].0 = Duration::from_secs(15 * 60);
    scenario.ending.trips = 0..=0;
    let refused = run(&scenario, Options::seeded(1), &mut ()).expect_err("it is unsafe").to_string();
    assert_eq!(refused, "the stack cannot be synthesized");
    scenario.circuit.accept = vec!["blind-alarm".to_owned()];
    for seed in [1, 7, 42] {
        let told = drill(&scenario, seed, true);
        assert_eq!(told.report.exit_code(), 0, "{}", told.story());
        assert!(told.with(Topic::Alarm, "-> ALARM").is_empty(), "{}", told.story());
        assert!(told.about(Topic::Workflow).is_empty(), "{}", told.story());
        let without = told.report.wasted_invocations_without_breaker.expect("the baseline was run");
        assert!(told.report.wasted_invocations > 1_000, "{}", told.story());
        assert_eq!(told.report.wasted_invocations, without, "a breaker that sees nothing changes nothing");
    }
}

#[test]
fn a_limited_close_reads_a_composite_alarm() {
    let composite = scenario("signal_composite_alarm");
    let mut scenario = scenario("empty_queue");
    scenario.circuit.alarm = composite.circuit.alarm;
    scenario.own_alarms = composite.own_alarms;
    for seed in [1, 7, 42] {
        let told = drill(&scenario, seed, false);
        assert_eq!(told.report.exit_code(), 0, "{}", told.story());
        promised::empty_queue(&told);
        // CloudWatch shows it only to a role that may see every alarm.
        assert!(told.with(Topic::Event, "Circuit Faulted").is_empty(), "{}", told.story());
    }
}

#[test]
fn an_outage_longer_than_the_retention_loses_messages_unless_it_is_raised() {
    let mut scenario = scenario("retention_raised");
    scenario.circuit.retention.raise_to_s = None;
    let told = drill(&scenario, 1, false);
    assert!(told.report.expired > 1_000, "{}", told.story());
    assert_eq!(told.broken(), ["nothing_lost"], "{}", told.story());
    assert_eq!(told.with(Topic::Event, "Circuit Retention At Risk").len(), 2, "{}", told.story());
}

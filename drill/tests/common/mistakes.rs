//! What was promised for the situations in which earlier breakers went wrong. The tests of the scenarios expect every
//! promise to be kept; those that take a safeguard away expect one to be broken.

use std::time::Duration;

use drill::report::Topic;

use super::Told;

/// Collects what was not kept.
struct Kept<'a> {
    told: &'a Told,
    broken: Vec<&'static str>,
}

impl Kept<'_> {
    fn that(&mut self, what: &'static str, kept: bool) {
        if !kept {
            self.broken.push(what);
        }
    }

    /// One trip and one way back, by one execution that did not fail, for messages that were all processed once.
    fn one_trip(&mut self) {
        let told = self.told;
        let report = &told.report;
        self.that("one trip", report.trips == 1);
        self.that("no execution fails", told.with(Topic::Workflow, "FAILED").is_empty());
        self.that("every message is processed", report.processed + report.dead_lettered == report.sent);
        self.that("no message is processed twice", report.reprocessed == 0);
        self.that("the mapping is enabled", report.mapping_state == "Enabled");
        self.that("no step fails for good", told.with(Topic::Event, "Circuit Faulted").is_empty());
    }

    fn way(&mut self, way: &[&str]) {
        let told = self.told;
        self.that("the mapping goes there and back", super::way(told) == way);
    }

    /// From the recovery to the close.
    fn closed_within(&mut self, what: &'static str, s: u64) {
        let healthy = self.told.first(Topic::Drill, "the dependency is healthy");
        let closed = self.told.first(Topic::Circuit, "-> closed");
        let took = healthy.zip(closed).map(|(healthy, closed)| closed.since(healthy));
        self.that(what, took.is_some_and(|took| took <= Duration::from_secs(s)));
    }

    fn in_order(&mut self, what: &'static str, first: (Topic, &str), second: (Topic, &str)) {
        let times = self.told.first(first.0, first.1).zip(self.told.first(second.0, second.1));
        self.that(what, times.is_some_and(|(first, second)| first <= second));
    }
}

const THERE_AND_BACK: [&str; 4] = ["Disabling", "Disabled", "Enabling", "Enabled"];

/// What of the promises for the scenario `name` was not kept.
pub fn broken(name: &str, told: &Told) -> Vec<&'static str> {
    let mut kept = Kept { told, broken: Vec::new() };
    kept.that("all nine promises, and the end that is stated", told.report.exit_code() == 0);
    match name {
        "one_failure_in_a_quiet_minute" => {
            kept.that("no trip", told.report.trips == 0);
            kept.that("nobody is asked", told.about(Topic::Workflow).is_empty());
            kept.that("it failed each time", told.report.wasted_invocations == 15);
        }
        "queue_empty_at_first_probe" => {
            kept.one_trip();
            kept.way(&THERE_AND_BACK);
            let limited = told.with(Topic::Mapping, "Enabling, maximum concurrency 2").len();
            kept.that("by a limited close", limited == 1);
            kept.that("the first probe finds nothing", told.about(Topic::Probe) == ["empty"]);
            let closed = told.first(Topic::Circuit, "-> closed").zip(told.first(Topic::Circuit, "-> open"));
            let took = closed.map(|(closed, opened)| closed.since(opened));
            kept.that("closed before messages come", took.is_some_and(|took| took.as_secs() < 15 * 60));
        }
        _ => {
            kept.one_trip();
            kept.way(&THERE_AND_BACK);
            special(name, &mut kept);
        }
    }
    kept.broken
}

fn special(name: &str, kept: &mut Kept<'_>) {
    let told = kept.told;
    let report = &told.report;
    let arrivals = &told.arrivals;
    match name {
        "outage_beyond_nine_probes" => {
            let announced = told.with(Topic::Event, "Circuit Exhausted");
            kept.that(
                "it says once that nine probes are used up",
                announced.len() == 1 && announced[0].contains("failed_probe_count=9"),
            );
            let failed = told.with(Topic::Probe, "unhealthy").len();
            kept.that("it goes on after that", failed > 12);
            // Each step of the ramp is awaited and watched.
            kept.closed_within("closed with the next slow probe", 900 + 180 + 2 * 180);
        }
        "backlog_received_in_one_burst" => {
            let first = told.about(Topic::Probe).first().copied().unwrap_or_default();
            kept.that("all 200 are in flight", first == "none_visible: 200 in flight, 0 delayed");
            let proof = (Topic::Probe, "healthy");
            kept.in_order("it is not taken for an empty queue", proof, (Topic::Event, "Circuit Half Opened"));
        }
        "backlog_of_200_spread" => {
            kept.that("200 wait", arrivals.waiting_count == 200);
            kept.that("they are re-jittered", is_spread(told, 200));
            kept.that("each comes whole", told.balance.incomplete_deliveries == 0);
            kept.that("no receive is forgotten", told.balance.restarted_deliveries == 0);
        }
        "two_alarms_at_once" => {
            let started = told.with(Topic::Workflow, "started by").len();
            let joined = told.with(Topic::Workflow, "ended: joined").len();
            kept.that("the alarm and others ask", !told.with(Topic::Workflow, "started by alarm").is_empty());
            kept.that("one execution acts", started >= 19 && joined + 1 == started);
            kept.that(
                "the backlog is spread once",
                told.with(Topic::Rejitter, " messages spread").len() == 1,
            );
        }
        "partial_failures_of_a_minute" => {
            kept.that("seen within a period", report.detect_s.is_some_and(|s| s < 200.0));
            let failed = told.with(Topic::Probe, "unhealthy: BatchItemFailure").len();
            kept.that("nothing but reported failures", failed > 0 && failed == report.probes as usize - 2);
        }
        "mapping_busy_and_slow" => {
            kept.that(
                "the mapping refuses",
                told.with(Topic::Workflow, "mapping function: Breaker.Transient").len() > 2,
            );
            kept.in_order(
                "opened when it is disabled",
                (Topic::Mapping, "Disabled"),
                (Topic::Event, "Circuit Opened"),
            );
            kept.in_order(
                "closed when it is enabled",
                (Topic::Mapping, "Enabled"),
                (Topic::Circuit, "-> closed"),
            );
        }
        "poison_at_the_head" => {
            kept.closed_within("another message proves the recovery", 600);
            let dead = told.about(Topic::DeadLetter);
            kept.that(
                "dead-lettered by its consumer alone",
                dead == ["message #0 dead-lettered after its last receive by the mapping"],
            );
        }
        "queue_shared_with_others" => {
            let others = told.with(Topic::Drill, "somebody else receives");
            let some = others.iter().filter(|line| !line.contains("receives 0 messages")).count();
            kept.that("others receive the backlog", some > 10);
        }
        "backlog_of_20000" => {
            kept.that("20,000 wait", arrivals.waiting_count == 20_000);
            kept.that("none is missed", is_spread(told, 20_000));
            let all: u64 = arrivals.per_slice.iter().sum();
            kept.that("all arrive", all == 20_000 && arrivals.last < Duration::from_secs(480));
            // 100 messages per second; what was due while the mapping was being enabled comes first.
            let mut slices = arrivals.per_slice.iter().skip_while(|count| **count < 10).skip(1);
            kept.that("they arrive at the drain rate", slices.all(|count| *count <= 1_200));
        }
        "two_copies_in_one_account" => {
            kept.that("one execution", told.with(Topic::Workflow, "started by").len() == 1);
            kept.that("two alarms", told.with(Topic::Alarm, "INSUFFICIENT_DATA -> OK").len() == 2);
        }
        "backlog_of_200_delivered" => {
            kept.that("200 wait", arrivals.waiting_count == 200);
            kept.that("the first comes soon", report.recover_s.is_some_and(|s| s <= 45.0));
            kept.that("the last comes soon", arrivals.last <= Duration::from_secs(60));
            kept.that("all arrive", arrivals.per_slice.iter().sum::<u64>() == 200);
        }
        _ => panic!("nothing is promised for {name}"),
    }
}

/// Whether the re-jitter says that it has spread a backlog of so many: all but the two that proved the recovery, and the
/// one that the last failed probe may have put aside.
fn is_spread(told: &Told, waiting_count: u64) -> bool {
    let count = || -> Option<u64> { told.about(Topic::Rejitter).last()?.split(' ').next()?.parse().ok() };
    count().is_some_and(|count| (waiting_count - 3..=waiting_count - 2).contains(&count))
}

//! What the workflow costs, counted in the model and priced by the list: the table in docs/benchmarks.md is this one.

use std::collections::BTreeMap;
use std::time::Duration;

use drill::faults::FaultKind;
use drill::report::{Entry, Observer};
use drill::scenario::outage_of;
use drill::scribe::Tally;
use drill::sim::Time;
use drill::{Options, run};
use serde_json::Value;
use workflow::config::CircuitConfig;
use workflow::definition::state_machine;

/// List prices of us-east-1, US dollars per million.
const TRANSITION: f64 = 25.0;
const WRITE_UNIT: f64 = 0.625;
const READ_UNIT: f64 = 0.125;
const EVENT: f64 = 1.0;
const METRIC_READ: f64 = 10.0;
const INVOCATION: f64 = 0.2;
const GB_SECOND: f64 = 16.6667;
/// What an invocation is taken to last, and its memory.
const GB_SECONDS_PER_INVOCATION: f64 = 1.0 * 256.0 / 1_024.0;

/// How often each state was entered.
#[derive(Default)]
struct States(BTreeMap<String, u64>);

impl Observer for States {
    fn entry(&mut self, _entry: &Entry) {}

    fn progress(&mut self, _start: Time, _now: Time, _end: Time) {}

    fn reached(&mut self, tally: &Tally, _faults: &[(FaultKind, u64)]) {
        self.0 = tally.states.iter().map(|(state, count)| (state.to_string(), *count)).collect();
    }
}

/// Quantities of one drill with one outage.
#[derive(Clone, Copy, Debug)]
struct Bill {
    transitions: f64,
    writes: f64,
    reads: f64,
    events: f64,
    metrics_read: f64,
    invocations: f64,
}

impl Bill {
    fn of(outage_minutes: u64) -> Bill {
        let scenario = outage_of(Duration::from_secs(outage_minutes * 60), 2.0);
        let mut states = States::default();
        let report = run(&scenario, Options { baseline: false, ..Options::seeded(1) }, &mut states);
        assert_eq!(report.expect("the scenario can be run").exit_code(), 0);
        let machine = state_machine("example", &CircuitConfig::default()).to_value();
        let entered = |resource: &str| -> f64 {
            let calls =
                |state: &Value| state["Resource"].as_str().is_some_and(|called| called.contains(resource));
            let of =
                |(name, count): (&String, &u64)| calls(&machine["States"][name]).then_some(*count as f64);
            states.0.iter().filter_map(of).sum()
        };
        let invocations = entered("lambda:invoke");
        Bill {
            transitions: states.0.values().sum::<u64>() as f64,
            writes: entered("updateItem"),
            // Each function looks at the fence first.
            reads: entered("getItem") + invocations,
            events: entered("putEvents"),
            metrics_read: 2.0 * entered("getMetricData"),
            invocations,
        }
    }

    /// What an hour more costs, from two drills that differ by so many hours.
    fn per_hour(self, longer: Bill, hours: f64) -> Bill {
        let each = |of: fn(Bill) -> f64| (of(longer) - of(self)) / hours;
        Bill {
            transitions: each(|bill| bill.transitions),
            writes: each(|bill| bill.writes),
            reads: each(|bill| bill.reads),
            events: each(|bill| bill.events),
            metrics_read: each(|bill| bill.metrics_read),
            invocations: each(|bill| bill.invocations),
        }
    }

    /// Name, quantity and price in US dollars per million of each line.
    fn lines(self) -> [(&'static str, f64, f64); 7] {
        [
            ("Step Functions transitions", self.transitions, TRANSITION),
            ("DynamoDB write units", self.writes, WRITE_UNIT),
            ("DynamoDB read units", self.reads, READ_UNIT),
            ("EventBridge events", self.events, EVENT),
            ("CloudWatch metrics read", self.metrics_read, METRIC_READ),
            ("Lambda invocations", self.invocations, INVOCATION),
            ("Lambda GB-seconds", self.invocations * GB_SECONDS_PER_INVOCATION, GB_SECOND),
        ]
    }
}

#[test]
fn the_documented_cost_of_an_outage_is_what_the_model_counts() {
    let (short, longer) = (Bill::of(60), Bill::of(360));
    let hour = short.per_hour(longer, 5.0);
    let mut table = String::from(
        "| | A trip of one hour | US$ | Each further hour open | US$ |\n|---|---|---|---|---|\n",
    );
    let mut sums = (0.0, 0.0);
    for ((name, count, price), (_, per_hour, _)) in short.lines().into_iter().zip(hour.lines()) {
        let (trip_usd, hour_usd) = (count * price / 1e6, per_hour * price / 1e6);
        table.push_str(&format!("| {name} | {count:.0} | {trip_usd:.5} | {per_hour:.0} | {hour_usd:.5} |\n"));
        sums = (sums.0 + trip_usd, sums.1 + hour_usd);
    }
    table.push_str(&format!("| **Sum** | | **{:.4}** | | **{:.4}** |\n", sums.0, sums.1));
    let documented = include_str!("../../docs/benchmarks.md");
    assert!(documented.contains(&table), "docs/benchmarks.md has another table than this:\n{table}");
}

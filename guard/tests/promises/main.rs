//! The promises of a guard, held against what its store has seen, while several instances call, writes and answers get
//! lost, clocks differ, instances crash in the middle of a sample, the workflow claims and closes, and people isolate.
//!
//! Time is virtual, and everything that chance decides comes from the seed of a case.
#![allow(
    clippy::unwrap_used,
    reason = "these are tests; clippy spares the functions marked so, not their helpers"
)]

mod truth;
mod world;

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};

use crate::world::{Course, Plan, run};

fn plans() -> impl Strategy<Value = Plan> {
    (
        any::<u64>(),
        1..=4_usize,
        1..=3_u32,
        1..=3_u32,
        0..=1_000_u64,
        0..=40_u32,
        proptest::collection::vec(1_000..20_000_u64, 1..5),
        any::<[bool; 3]>(),
    )
        .prop_map(|(seed, instances, samples, successes, skew_ms, loss_percent, phases_ms, with)| Plan {
            seed,
            instances,
            samples,
            successes,
            skew_ms,
            loss_percent,
            phases_ms,
            crashes: with[0],
            workflow: with[1],
            isolation: with[2],
        })
}

/// What has happened over all cases: a promise about what never happens is kept by a test that does nothing.
#[derive(Debug, Default)]
struct Coverage {
    openings: usize,
    samples: usize,
    refused: usize,
    crashed_samples: usize,
    claims: usize,
    claims_of_a_tripped_circuit: usize,
    isolations: usize,
    lost: usize,
    late_writes: usize,
}

impl Coverage {
    fn add(&mut self, course: &Course) {
        self.openings += course.truth.openings();
        self.samples += course.samples;
        self.refused += course.refused;
        self.crashed_samples += course.crashed_samples;
        self.claims += course.claims;
        self.claims_of_a_tripped_circuit += course.claims_of_a_tripped_circuit;
        self.isolations += course.isolations;
        self.lost += course.lost;
        self.late_writes += course.late_writes;
    }
}

#[test]
fn every_promise_holds_while_everything_goes_wrong() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let mut runner = TestRunner::new(Config {
        cases,
        source_file: Some(file!()),
        max_shrink_iters: 300,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..Config::default()
    });
    let coverage = std::cell::RefCell::new(Coverage::default());
    let result = runner.run(&plans(), |plan| {
        let course = run(&plan);
        coverage.borrow_mut().add(&course);
        let broken = course.broken();
        prop_assert!(broken.is_empty(), "{}", broken.join("\n"));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let seen = coverage.into_inner();
    let all = [
        seen.openings,
        seen.samples,
        seen.refused,
        seen.crashed_samples,
        seen.claims,
        seen.claims_of_a_tripped_circuit,
        seen.isolations,
        seen.lost,
        seen.late_writes,
    ];
    assert!(all.iter().all(|count| *count > 0), "something never happened: {seen:?}");
}

/// The same plan gives the same course: a case that fails can be looked at again.
#[test]
fn a_seed_gives_one_course() {
    let plan = Plan {
        seed: 7,
        instances: 3,
        samples: 2,
        successes: 2,
        skew_ms: 500,
        loss_percent: 20,
        phases_ms: vec![6_000, 9_000, 12_000],
        crashes: true,
        workflow: true,
        isolation: true,
    };
    let (first, second) = (run(&plan), run(&plan));
    assert!(first.calls.len() > 100);
    assert_eq!(first.calls, second.calls);
    assert!(first.ended_at > Duration::from_secs(20));
}

//! The pure machine beside a plain model of it: the same commands, and the same words to every call.
#![allow(
    clippy::unwrap_used,
    reason = "these are tests; clippy spares the functions marked so, not their helpers"
)]

use std::time::Duration;

use guard::machine::{self, OpenCause, Outcome, Verdict};
use guard::record::{Attribute, GuardState, Isolation, Item, Lease, Record};
use guard::window::{Bucket, Counts, Report};
use guard::{MemoryStore, Settings, Store, Written};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use workflow::circuit::{CircuitState, item};

const WINDOW_MS: u64 = 10_000;
const BUCKET_MS: u64 = 1_000;
const OPEN_MS: u64 = 4_000;
const CAP_MS: u64 = 20_000;
const LEASE_MS: u64 = 2_000;
const SKEW_MS: u64 = 500;
const GATHER_MS: u64 = 1_500;
const MINIMUM: u64 = 4;
const SAMPLES: usize = 2;
const SUCCESSES: u32 = 2;
const RUN: u64 = 6;

fn settings() -> Settings {
    Settings {
        window: Duration::from_millis(WINDOW_MS),
        failure_rate_percent: Some(50),
        minimum_call_count: MINIMUM as u32,
        consecutive_failure_count: Some(RUN as u32),
        slow_rate_percent: Some(80),
        open_for: Duration::from_millis(OPEN_MS),
        growth: 3.0,
        open_cap: Duration::from_millis(CAP_MS),
        jitter_percent: 0,
        sample_count: SAMPLES as u32,
        success_count: SUCCESSES,
        sample_timeout: Duration::from_millis(LEASE_MS),
        clock_skew: Duration::from_millis(SKEW_MS),
        gather_for: Duration::from_millis(GATHER_MS),
        ..Settings::default()
    }
}

#[derive(Clone, Debug)]
enum Command {
    Wait(u64),
    /// Calls of one instance that has nothing left to say after it: failures last.
    Report {
        successes: u64,
        failures: u64,
        slow: u64,
    },
    TakeLease(u64),
    EndSample(u64, bool),
    /// An execution claims the circuit.
    Claim,
    /// It closes it.
    Close,
    /// Somebody writes `circuit_state` by hand, and nothing else.
    Force(CircuitState),
    Isolate,
    Release,
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let command = prop_oneof![
        6 => (0..3_000_u64).prop_map(Command::Wait),
        1 => Just(Command::Wait(25_000)),
        8 => (0..4_u64, 0..4_u64, 0..3_u64)
            .prop_map(|(successes, failures, slow)| Command::Report { successes, failures, slow }),
        6 => (0..4_u64).prop_map(Command::TakeLease),
        6 => (0..4_u64, any::<bool>()).prop_map(|(id, good)| Command::EndSample(id, good)),
        1 => Just(Command::Claim),
        2 => Just(Command::Close),
        1 => prop_oneof![Just(CircuitState::Open), Just(CircuitState::Held), Just(CircuitState::Closed)]
            .prop_map(Command::Force),
        1 => Just(Command::Isolate),
        2 => Just(Command::Release),
    ];
    proptest::collection::vec(command, 1..60)
}

/// The model: what happened, in lists, and no more state than that.
#[derive(Debug, Default)]
struct Model {
    now_ms: u64,
    owned: bool,
    isolated: bool,
    /// Reports since the circuit was closed: bucket, calls, failures, slow.
    calls: Vec<(u64, u64, u64, u64)>,
    run: u64,
    alarming_since_ms: Option<u64>,
    open_until_ms: Option<u64>,
    half_open: bool,
    leases: Vec<(u64, u64)>,
    successes: u32,
    openings: u32,
}

impl Model {
    fn verdict(&self) -> Verdict {
        let refuse = |cause, until_ms| Verdict::Refuse { cause, until_ms };
        if self.isolated {
            return refuse(OpenCause::Isolated, None);
        }
        if self.owned {
            return refuse(OpenCause::Workflow, None);
        }
        if let Some(until_ms) = self.open_until_ms {
            return if self.now_ms < until_ms {
                refuse(OpenCause::Tripped, Some(until_ms))
            } else {
                Verdict::Sample
            };
        }
        if !self.half_open {
            return Verdict::Pass;
        }
        let live = self.live();
        if live.len() < SAMPLES {
            Verdict::Sample
        } else {
            refuse(OpenCause::Sampling, live.iter().map(|(_, until_ms)| *until_ms).min())
        }
    }

    fn live(&self) -> Vec<(u64, u64)> {
        self.leases.iter().copied().filter(|(_, until_ms)| self.now_ms <= until_ms + SKEW_MS).collect()
    }

    fn open(&mut self) {
        let mut length_ms = OPEN_MS;
        for _ in 0..self.openings {
            length_ms = (length_ms * 3).min(CAP_MS);
        }
        self.openings += 1;
        self.open_until_ms = Some(self.now_ms + length_ms);
        self.half_open = false;
        self.leases.clear();
        self.forget_calls();
    }

    fn forget_calls(&mut self) {
        self.calls.clear();
        self.run = 0;
        self.alarming_since_ms = None;
    }

    fn forget_everything(&mut self) {
        self.forget_calls();
        self.open_until_ms = None;
        self.half_open = false;
        self.leases.clear();
        self.openings = 0;
    }

    fn sums(&self) -> (u64, u64, u64) {
        self.calls.iter().fold((0, 0, 0), |sum, call| (sum.0 + call.1, sum.1 + call.2, sum.2 + call.3))
    }

    fn is_alarming(&self) -> bool {
        let (calls, failures, slow) = self.sums();
        self.run * 2 >= RUN
            || (failures > 0 && failures * 200 >= calls * 50)
            || (slow > 0 && slow * 200 >= calls * 80)
    }

    fn report(&mut self, successes: u64, failures: u64, slow: u64) {
        if self.verdict() != Verdict::Pass || successes + failures == 0 {
            return;
        }
        let bucket = self.now_ms / BUCKET_MS;
        self.calls.retain(|(old, ..)| old + 10 > bucket);
        if self.calls.is_empty() {
            self.forget_calls();
        }
        let was_alarming = self.is_alarming();
        self.calls.push((bucket, successes + failures, failures, slow.min(successes + failures)));
        self.run = if successes > 0 { failures } else { self.run + failures };
        if !self.is_alarming() {
            self.alarming_since_ms = None;
            return;
        }
        if !was_alarming || self.alarming_since_ms.is_none() {
            self.alarming_since_ms = Some(self.now_ms);
        }
        if self.now_ms - self.alarming_since_ms.unwrap() < GATHER_MS {
            return;
        }
        let (calls, failures, slow) = self.sums();
        let by_rate = calls >= MINIMUM && (failures * 100 >= calls * 50 || slow * 100 >= calls * 80);
        if by_rate || self.run >= RUN {
            self.open();
        }
    }

    fn take(&mut self, id: u64) -> bool {
        if self.verdict() != Verdict::Sample {
            return false;
        }
        if self.open_until_ms.take().is_some() {
            self.half_open = true;
            self.successes = 0;
        }
        self.leases = self.live();
        self.leases.push((id, self.now_ms + LEASE_MS));
        true
    }

    fn end(&mut self, id: u64, good: bool) {
        let Some(at) = self.leases.iter().position(|(lease, _)| *lease == id) else { return };
        if self.owned {
            return;
        }
        self.leases.remove(at);
        if !good {
            return self.open();
        }
        self.successes += 1;
        if self.successes == SUCCESSES {
            self.forget_everything();
        }
    }
}

/// The machine on a store, one command at a time.
struct Machine {
    store: MemoryStore,
    settings: Settings,
    now_ms: u64,
}

impl Machine {
    async fn item(&self) -> Item {
        self.store.read("orders").await.unwrap()
    }

    async fn write(&self, seen: &Item, next: Option<Record>) -> bool {
        let Some(mut record) = next else { return false };
        record.revision = seen.record.revision + 1;
        assert_eq!(self.store.write("orders", seen, &record).await.unwrap(), Written::Done);
        true
    }

    fn put(&self, attributes: &[(&str, Attribute)]) {
        self.store.edit("orders", |item| {
            for (name, value) in attributes {
                item.insert((*name).to_owned(), value.clone());
            }
        });
    }

    fn put_state(&self, state: CircuitState) {
        self.put(&[(item::STATE, Attribute::Text(state.name().to_owned()))]);
    }

    async fn obey(&mut self, command: &Command) -> bool {
        let seen = self.item().await;
        let (now_ms, settings) = (self.now_ms, &self.settings);
        match command {
            Command::Wait(ms) => {
                self.now_ms += ms;
                false
            }
            Command::Report { successes, failures, slow } => {
                let calls = successes + failures;
                let counts =
                    Counts { call_count: calls, failure_count: *failures, slow_count: (*slow).min(calls) };
                let bucket = Bucket { index: now_ms / BUCKET_MS, counts };
                let report = Report {
                    buckets: if calls > 0 { vec![bucket] } else { Vec::new() },
                    run_count: *failures,
                    run_is_new: *successes > 0,
                    serial: 0,
                };
                let next = machine::count(&seen, &report, true, now_ms, 0.0, settings);
                self.write(&seen, next.map(|(record, _)| record)).await
            }
            Command::TakeLease(id) => {
                self.write(&seen, machine::take_lease(&seen, *id, now_ms, settings)).await
            }
            Command::EndSample(id, good) => {
                let outcome = if *good { Outcome::Success } else { Outcome::Failure };
                self.write(&seen, machine::end_sample(&seen, *id, outcome, now_ms, 0.0, settings)).await
            }
            Command::Claim => {
                let epoch = seen.workflow.epoch.unwrap_or_default() + 1;
                self.put(&[
                    (item::EPOCH, Attribute::Number(epoch)),
                    (item::OPENED_AT_MS, Attribute::Number(now_ms + epoch)),
                ]);
                self.put_state(CircuitState::Open);
                true
            }
            Command::Close => {
                self.put_state(CircuitState::Closed);
                true
            }
            Command::Force(state) => {
                self.put_state(*state);
                true
            }
            Command::Isolate => {
                let isolation = Isolation { by: "ana".to_owned(), reason: "drill".to_owned(), at_ms: now_ms };
                self.write(&seen, machine::isolate(&seen, Some(isolation))).await
            }
            Command::Release => self.write(&seen, machine::isolate(&seen, None)).await,
        }
    }
}

/// Follows the command in the model; gives whether a lease was taken.
fn follow(model: &mut Model, command: &Command) -> bool {
    match command {
        Command::Wait(ms) => model.now_ms += ms,
        Command::Report { successes, failures, slow } => model.report(*successes, *failures, *slow),
        Command::TakeLease(id) => return model.take(*id),
        Command::EndSample(id, good) => model.end(*id, *good),
        // An execution claims only what no other has.
        Command::Claim => {
            model.owned = true;
            model.forget_everything();
        }
        Command::Close => model.owned = false,
        Command::Force(state) => model.owned = *state != CircuitState::Closed,
        Command::Isolate => model.isolated = true,
        Command::Release => model.isolated = false,
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_500,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_machine_says_what_the_model_says(commands in commands()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let start_ms = 1_764_000_000_000;
            let mut model = Model { now_ms: start_ms, ..Model::default() };
            let mut machine = Machine { store: MemoryStore::new(), settings: settings(), now_ms: start_ms };
            for (at, command) in commands.iter().enumerate() {
                let before = machine.item().await;
                let wrote = machine.obey(command).await;
                let took = follow(&mut model, command);
                if matches!(command, Command::TakeLease(_)) {
                    prop_assert_eq!(wrote, took, "command {}: {:?}", at, command);
                }
                let item = machine.item().await;
                let said = machine::verdict(&item, machine.now_ms, &machine.settings);
                prop_assert_eq!(said, model.verdict(), "after command {}: {:?}; {:?}", at, command, item);
                prop_assert!(
                    item.record.state == before.record.state
                        || item.record.epoch > before.record.epoch
                        || matches!(command, Command::TakeLease(_) | Command::EndSample(..)),
                    "a transition without a new epoch at command {}", at
                );
            }
            Ok(())
        })?;
    }
}

#[test]
fn what_a_wrong_clock_wrote_does_not_block_for_longer_than_anything_lasts() {
    let settings = settings();
    let now_ms = 1_764_000_000_000;
    let day_ms = 86_400_000;
    let opened = Item {
        record: Record { state: GuardState::Open { until_ms: now_ms + day_ms }, ..Record::default() },
        ..Item::default()
    };
    assert_eq!(machine::verdict(&opened, now_ms, &settings), Verdict::Sample);
    let mut sampled = opened;
    for id in 0..SAMPLES as u64 {
        sampled.record = machine::take_lease(&sampled, id, now_ms + day_ms, &settings).unwrap();
    }
    assert_eq!(machine::verdict(&sampled, now_ms, &settings), Verdict::Sample);
}

/// An execution that has taken over from a dead one goes on with the same outage, so the guards' record is not void.
#[test]
fn nothing_is_written_while_an_execution_owns_the_circuit() {
    let settings = settings();
    let now_ms = 1_764_000_000_000;
    let lease = Lease { id: 7, until_ms: now_ms + 1 };
    let state = GuardState::HalfOpen { success_count: 0, leases: vec![lease] };
    let report = Report {
        buckets: vec![Bucket {
            index: now_ms / BUCKET_MS,
            counts: Counts { call_count: 9, failure_count: 9, slow_count: 0 },
        }],
        run_count: 9,
        ..Report::default()
    };
    for owned in [CircuitState::Open, CircuitState::HalfOpen, CircuitState::Held] {
        let mut item =
            Item { record: Record { state: state.clone(), ..Record::default() }, ..Item::default() };
        let ends =
            |item: &Item, outcome| machine::end_sample(item, 7, outcome, now_ms, 0.0, &settings).is_some();
        assert!(ends(&item, Outcome::Success) && ends(&item, Outcome::Failure));
        item.workflow.state = owned;
        assert!(!ends(&item, Outcome::Success) && !ends(&item, Outcome::Failure));
        assert_eq!(machine::take_lease(&item, 8, now_ms, &settings), None);
        item.record.state = GuardState::Closed;
        assert_eq!(machine::count(&item, &report, false, now_ms, 0.0, &settings), None);
    }
}

/// Failures that have left the window while good calls are still in it do not count as gathered since then.
#[test]
fn gathering_begins_with_the_failures_that_are_in_the_window() {
    let settings = settings();
    let start_ms = 1_764_000_000_000;
    let mut item = Item::default();
    let mut report = |after_ms: u64, successes: u64, failures: u64| {
        let now_ms = start_ms + after_ms;
        let counts = Counts { call_count: successes + failures, failure_count: failures, slow_count: 0 };
        let buckets = vec![Bucket { index: now_ms / BUCKET_MS, counts }];
        let report = Report { buckets, run_count: failures, run_is_new: successes > 0, serial: 0 };
        let (record, cause) = machine::count(&item, &report, true, now_ms, 0.0, &settings).unwrap();
        item.record = record;
        (item.record.alarming_since_ms.map(|since_ms| since_ms - start_ms), cause.is_some())
    };
    assert_eq!(report(0, 0, 1), (Some(0), false));
    assert_eq!(report(5_000, 2, 0), (Some(0), false));
    assert_eq!(report(11_000, 1, 3), (Some(11_000), false));
    assert_eq!(report(12_499, 0, 1), (Some(11_000), false));
    assert_eq!(report(12_500, 0, 1), (None, true));
}

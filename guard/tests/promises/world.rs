//! Instances, a dependency, a store that loses, a workflow and people, on virtual time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use guard::record::{Attribute, Item, Record};
use guard::{CallError, Chance, Clock, Guard, KeptAnswer, MemoryStore, Settings, Store, StoreError, Written};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::time::{Instant, sleep};
use workflow::circuit::item;

use crate::truth::{Plain, Truth};

const CIRCUIT: &str = "orders";
/// Where the true clock begins, milliseconds since the Unix epoch.
const BEGIN_MS: u64 = 1_764_000_000_000;
/// Longest time for which an instance's requests may all be lost: less than `store_grace`, so that none goes on alone.
const MAX_GAP: Duration = Duration::from_millis(1_500);
/// How long the dependency is well at the end.
const MAX_RECOVERY: Duration = Duration::from_secs(60);

/// One case.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub instances: usize,
    pub samples: u32,
    pub successes: u32,
    /// Largest distance between two clocks.
    pub skew_ms: u64,
    /// Of requests to the store.
    pub loss_percent: u32,
    /// The dependency is well, then down, then well, and so on.
    pub phases_ms: Vec<u64>,
    pub crashes: bool,
    pub workflow: bool,
    pub isolation: bool,
}

fn settings(plan: &Plan) -> Settings {
    Settings {
        window: Duration::from_secs(3),
        minimum_call_count: 5,
        open_for: Duration::from_secs(12),
        open_cap: Duration::from_secs(20),
        jitter_percent: 10,
        sample_count: plan.samples,
        success_count: plan.successes,
        sample_timeout: Duration::from_millis(400),
        clock_skew: Duration::from_secs(1),
        refresh_every: Duration::from_millis(500),
        stale_after: Duration::from_secs(2),
        flush_every: Duration::from_millis(300),
        gather_for: Duration::from_millis(500),
        store_timeout: Duration::from_millis(200),
        store_grace: Duration::from_secs(10),
        ..Settings::default()
    }
}

/// For how long an instance may not know of an opening: the documented cache time, and what the losses add to it.
fn allowance(settings: &Settings) -> Duration {
    settings.stale_after + MAX_GAP + settings.refresh_every + 2 * settings.store_timeout
}

/// A call that reached the dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    pub instance: usize,
    pub began: Duration,
    pub ended: Duration,
}

/// What has come of a plan.
#[derive(Debug, Default)]
pub struct Course {
    settings: Option<Settings>,
    pub truth: Truth,
    pub calls: Vec<Reached>,
    pub samples: usize,
    pub refused: usize,
    pub crashed_samples: usize,
    pub claims: usize,
    pub claims_of_a_tripped_circuit: usize,
    pub isolations: usize,
    pub lost: usize,
    pub late_writes: usize,
    pub ended_at: Duration,
    trespasses: Vec<String>,
    recovered: bool,
}

impl Course {
    /// Every broken promise.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = self.trespasses.clone();
        let settings = self.settings.as_ref().unwrap();
        broken.extend(self.calls_while_open(settings));
        broken.extend(self.too_many_samples(settings));
        if !self.recovered || self.truth.at_end() != Plain::Closed {
            broken.push(format!(
                "the dependency was well for {MAX_RECOVERY:?} and the circuit is {:?}",
                self.truth.at_end()
            ));
        }
        broken
    }

    /// A call begins only if the circuit was closed within the cache time, or half-open while the lease was written.
    fn calls_while_open(&self, settings: &Settings) -> Vec<String> {
        let lease_time = 3 * settings.store_timeout;
        let is_allowed = |call: &&Reached| {
            let began = call.began;
            self.truth.was(Plain::Closed, began.saturating_sub(allowance(settings)), began)
                || self.truth.was(Plain::HalfOpen, began.saturating_sub(lease_time), began)
        };
        let calls = self.calls.iter().filter(|call| !is_allowed(call));
        calls.map(|call| format!("{call:?} began while the circuit was open")).collect()
    }

    /// Of the calls that can only be samples, never more at once than are configured.
    fn too_many_samples(&self, settings: &Settings) -> Option<String> {
        let is_sample = |call: &&Reached| {
            !self.truth.was(Plain::Closed, call.began.saturating_sub(allowance(settings)), call.began)
        };
        let samples: Vec<&Reached> = self.calls.iter().filter(is_sample).collect();
        let at_once =
            |at: Duration| samples.iter().filter(|call| call.began <= at && at < call.ended).count();
        let most = samples.iter().map(|call| (at_once(call.began), call.began)).max()?;
        (most.0 > settings.sample_count as usize).then(|| {
            format!(
                "{} samples were in flight at {:?}, at most {} may be",
                most.0, most.1, settings.sample_count
            )
        })
    }
}

struct World {
    began: Instant,
    course: Mutex<Course>,
    table: MemoryStore,
    plan: Plan,
}

impl World {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn now_ms(&self) -> u64 {
        BEGIN_MS + self.now().as_millis() as u64
    }

    fn item(&self) -> Item {
        Item::from_attributes(&self.table.attributes(CIRCUIT)).unwrap()
    }

    fn note(&self) {
        let item = self.item();
        self.course.lock().unwrap().truth.note(self.now(), &item);
    }

    fn is_well(&self) -> bool {
        let mut left = self.now().as_millis() as u64;
        for (at, phase_ms) in self.plan.phases_ms.iter().enumerate() {
            if left < *phase_ms {
                return at % 2 == 0;
            }
            left -= phase_ms;
        }
        true
    }

    fn is_over(&self) -> bool {
        self.now().as_millis() as u64 >= self.plan.phases_ms.iter().sum::<u64>() + 15_000
    }
}

struct SkewedClock {
    world: Arc<World>,
    ahead_ms: u64,
}

impl Clock for SkewedClock {
    fn now_ms(&self) -> u64 {
        self.world.now_ms() + self.ahead_ms
    }

    fn elapsed(&self) -> Duration {
        self.world.now()
    }
}

struct SeededChance(Mutex<ChaCha8Rng>);

impl Chance for SeededChance {
    fn number(&self) -> u64 {
        self.0.lock().unwrap().random()
    }
}

/// The connection of one instance to the table.
struct LossyStore {
    world: Arc<World>,
    chance: Mutex<ChaCha8Rng>,
    reached_at: Mutex<Option<Instant>>,
}

#[derive(PartialEq)]
enum Fate {
    Good,
    /// Does not arrive.
    RequestLost,
    /// Arrives, and the answer does not.
    AnswerLost,
    /// Arrives when nobody waits for it any more.
    Late,
}

impl LossyStore {
    /// Draws how long the request takes, and what becomes of it.
    fn fate(&self) -> (Duration, Fate) {
        let mut chance = self.chance.lock().unwrap();
        let latency = Duration::from_millis(chance.random_range(1..40));
        let is_reliable = self
            .reached_at
            .lock()
            .unwrap()
            .is_none_or(|at| at.elapsed() > MAX_GAP - Duration::from_millis(500));
        let lost = !is_reliable && chance.random_range(0..100) < self.world.plan.loss_percent;
        let fate = match (lost, chance.random_range(0..3)) {
            (false, _) => Fate::Good,
            (true, 0) => Fate::RequestLost,
            (true, 1) => Fate::AnswerLost,
            (true, _) => Fate::Late,
        };
        if lost {
            self.world.course.lock().unwrap().lost += 1;
        }
        (latency, fate)
    }

    fn reached(&self) {
        *self.reached_at.lock().unwrap() = Some(Instant::now());
    }
}

fn lost() -> StoreError {
    StoreError::new("request", CIRCUIT, "lost")
}

/// A write as it arrives at the table. While the workflow owns the circuit, guards change nothing but an isolation; what is
/// not theirs they never change.
async fn arrive(world: &World, seen: &Item, record: &Record) -> Result<Written, StoreError> {
    let before = world.table.attributes(CIRCUIT);
    let item_before = world.item();
    let written = world.table.write(CIRCUIT, seen, record).await?;
    let others = |all: &BTreeMap<String, Attribute>| -> Vec<(String, Attribute)> {
        let theirs = all.iter().filter(|(name, _)| !name.starts_with("guard_") && *name != item::CIRCUIT);
        theirs.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let after = world.table.attributes(CIRCUIT);
    let mut course = world.course.lock().unwrap();
    if others(&before) != others(&after) {
        course.trespasses.push(format!("a guard changed what is the workflow's: {before:?} to {after:?}"));
    }
    let is_owned = item_before.workflow.state != workflow::circuit::CircuitState::Closed;
    if written == Written::Done && is_owned && record.state != item_before.record.state {
        course
            .trespasses
            .push(format!("a guard wrote {:?} while the workflow owned the circuit", record.state));
    }
    drop(course);
    world.note();
    Ok(written)
}

impl Store for LossyStore {
    async fn read(&self, circuit: &str) -> Result<Item, StoreError> {
        let (latency, fate) = self.fate();
        sleep(latency / 2).await;
        match fate {
            Fate::Good => {
                let item = self.world.table.read(circuit).await;
                sleep(latency / 2).await;
                self.reached();
                item
            }
            Fate::RequestLost | Fate::AnswerLost => Err(lost()),
            Fate::Late => std::future::pending().await,
        }
    }

    async fn write(&self, _circuit: &str, seen: &Item, record: &Record) -> Result<Written, StoreError> {
        let (latency, fate) = self.fate();
        if fate == Fate::Late {
            self.world.course.lock().unwrap().late_writes += 1;
            let (world, seen, record) = (self.world.clone(), seen.clone(), record.clone());
            let delay = Duration::from_millis(self.chance.lock().unwrap().random_range(10..400));
            tokio::spawn(async move {
                sleep(delay).await;
                arrive(&world, &seen, &record).await.unwrap();
            });
            return std::future::pending().await;
        }
        sleep(latency / 2).await;
        if fate == Fate::RequestLost {
            return Err(lost());
        }
        let written = arrive(&self.world, seen, record).await;
        sleep(latency / 2).await;
        if fate == Fate::AnswerLost {
            return Err(lost());
        }
        self.reached();
        written
    }

    async fn answer(&self, _circuit: &str, _key: &str) -> Result<Option<KeptAnswer>, StoreError> {
        Ok(None)
    }

    async fn keep_answer(
        &self,
        _circuit: &str,
        _key: &str,
        _answer: &KeptAnswer,
        _ttl_ms: u64,
    ) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Notes a call of the dependency from its first poll until it ends or is dropped.
struct InFlight {
    world: Arc<World>,
    at: usize,
}

impl InFlight {
    fn begin(world: &Arc<World>, instance: usize) -> InFlight {
        let began = world.now();
        let mut course = world.course.lock().unwrap();
        course.calls.push(Reached { instance, began, ended: Duration::MAX });
        InFlight { world: world.clone(), at: course.calls.len() - 1 }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let now = self.world.now();
        self.world.course.lock().unwrap().calls[self.at].ended = now;
    }
}

fn guard_of(world: &Arc<World>, chance: &mut ChaCha8Rng) -> Guard<LossyStore> {
    let ahead_ms = chance.random_range(0..=world.plan.skew_ms);
    let store = LossyStore {
        world: world.clone(),
        chance: Mutex::new(ChaCha8Rng::seed_from_u64(chance.random())),
        reached_at: Mutex::default(),
    };
    Guard::builder(CIRCUIT, store)
        .settings(settings(&world.plan))
        .clock(SkewedClock { world: world.clone(), ahead_ms })
        .chance(SeededChance(Mutex::new(ChaCha8Rng::seed_from_u64(chance.random()))))
        .build()
        .unwrap()
}

/// One call, which takes `takes`.
async fn call(world: &Arc<World>, guard: &Guard<LossyStore>, instance: usize, takes: Duration) -> bool {
    let result = guard
        .call(|| async {
            let _in_flight = InFlight::begin(world, instance);
            sleep(takes).await;
            if world.is_well() { Ok(()) } else { Err("down") }
        })
        .await;
    if let Err(CallError::Open(open)) = &result {
        world.course.lock().unwrap().refused += 1;
        assert!(open.retry_after >= Duration::from_millis(1));
    }
    result.is_ok()
}

/// An instance with up to three calls at a time. It may crash in the middle of them, and begin anew.
async fn instance(world: Arc<World>, number: usize, mut chance: ChaCha8Rng) {
    while !world.is_over() {
        let guard = guard_of(&world, &mut chance);
        let life = if world.plan.crashes {
            Duration::from_millis(chance.random_range(300..8_000))
        } else {
            Duration::from_secs(3_600)
        };
        let seeds: [u64; 3] = chance.random();
        let lanes = seeds.map(|seed| lane(&world, &guard, number, ChaCha8Rng::seed_from_u64(seed)));
        let [first, second, third] = lanes;
        let all = async { tokio::join!(first, second, third) };
        if tokio::time::timeout(life, all).await.is_err() {
            note_crashed_samples(&world, number);
        }
    }
}

/// Of the calls of this instance that have just been dropped, those that were samples.
fn note_crashed_samples(world: &Arc<World>, number: usize) {
    let now = world.now();
    let cache_time = allowance(&settings(&world.plan));
    let mut course = world.course.lock().unwrap();
    let crashed = course.calls.iter().rev().take(20).filter(|call| {
        let from = call.began.saturating_sub(cache_time);
        call.instance == number && call.ended == now && !course.truth.was(Plain::Closed, from, call.began)
    });
    course.crashed_samples += crashed.count();
}

async fn lane(world: &Arc<World>, guard: &Guard<LossyStore>, number: usize, mut chance: ChaCha8Rng) {
    while !world.is_over() {
        sleep(Duration::from_millis(chance.random_range(10..250))).await;
        // One in ten takes longer than a sample may.
        let longest = if chance.random_range(0..10) == 0 { 3_000 } else { 120 };
        let takes = Duration::from_millis(chance.random_range(1..longest));
        // Who waits for it may go away, whatever the guard is doing.
        if world.plan.crashes && chance.random_range(0..5) == 0 {
            let patience = takes / 2 + Duration::from_millis(chance.random_range(0..60));
            if tokio::time::timeout(patience, call(world, guard, number, takes)).await.is_err() {
                note_crashed_samples(world, number);
            }
        } else {
            call(world, guard, number, takes).await;
        }
    }
}

/// Claims as the state `ClaimCircuit` does, and closes as `MarkClosed` does.
async fn workflow(world: Arc<World>, mut chance: ChaCha8Rng) {
    while !world.is_over() {
        sleep(Duration::from_millis(chance.random_range(2_000..20_000))).await;
        {
            let mut course = world.course.lock().unwrap();
            course.claims += 1;
            if world.item().record.state != guard::record::GuardState::Closed {
                course.claims_of_a_tripped_circuit += 1;
            }
        }
        let now_ms = world.now_ms();
        world.table.edit(CIRCUIT, |attributes| {
            let epoch = match attributes.get(item::EPOCH) {
                Some(Attribute::Number(epoch)) => *epoch,
                _ => 0,
            };
            for (name, value) in [(item::EPOCH, epoch + 1), (item::OPENED_AT_MS, now_ms)] {
                attributes.insert(name.to_owned(), Attribute::Number(value));
            }
            attributes.insert(item::STATE.to_owned(), Attribute::Text("open".to_owned()));
            attributes.insert(item::OWNER.to_owned(), Attribute::Text("arn:aws:states:execution".to_owned()));
        });
        world.note();
        sleep(Duration::from_millis(chance.random_range(500..15_000))).await;
        world.table.edit(CIRCUIT, |attributes| {
            attributes.insert(item::STATE.to_owned(), Attribute::Text("closed".to_owned()));
        });
        world.note();
    }
}

async fn people(world: Arc<World>, mut chance: ChaCha8Rng) {
    let guard = guard_of(&world, &mut chance);
    while !world.is_over() {
        sleep(Duration::from_millis(chance.random_range(3_000..15_000))).await;
        if guard.isolate("ana", "a drill").await.is_ok() {
            world.course.lock().unwrap().isolations += 1;
        }
        sleep(Duration::from_millis(chance.random_range(100..9_000))).await;
        while guard.release().await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Runs a plan.
pub fn run(plan: &Plan) -> Course {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = Arc::new(World {
            began: Instant::now(),
            course: Mutex::default(),
            table: MemoryStore::new(),
            plan: plan.clone(),
        });
        let mut chance = ChaCha8Rng::seed_from_u64(plan.seed);
        let mut stream = || ChaCha8Rng::seed_from_u64(chance.random());
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..plan.instances {
            tasks.spawn(instance(world.clone(), number, stream()));
        }
        if plan.workflow {
            tasks.spawn(workflow(world.clone(), stream()));
        }
        if plan.isolation {
            tasks.spawn(people(world.clone(), stream()));
        }
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        recover(&world, stream()).await;
        let mut course = std::mem::take(&mut *world.course.lock().unwrap());
        let settings = settings(plan);
        course.samples = course
            .calls
            .iter()
            .filter(|call| {
                !course.truth.was(Plain::Closed, call.began.saturating_sub(allowance(&settings)), call.began)
            })
            .count();
        course.settings = Some(settings);
        course.ended_at = world.now();
        course
    })
}

/// The dependency is well, nobody interferes, and one instance that knows nothing calls.
async fn recover(world: &Arc<World>, mut chance: ChaCha8Rng) {
    let guard = guard_of(world, &mut chance);
    let deadline = world.now() + MAX_RECOVERY;
    let mut in_a_row = 0;
    while world.now() < deadline && in_a_row < 20 {
        sleep(Duration::from_millis(100)).await;
        let is_good = call(world, &guard, usize::MAX, Duration::from_millis(5)).await;
        in_a_row = if is_good { in_a_row + 1 } else { 0 };
    }
    world.course.lock().unwrap().recovered = in_a_row == 20;
}

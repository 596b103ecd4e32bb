//! What a guarded call costs beside the call itself: closed, open and half-open, on a store in memory; and the requests to
//! the store per call, which is what it costs on a real one. Beside it two breakers that share nothing between processes.
//!
//! `cargo bench -p guard` prints times by criterion, then a table of requests.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use failsafe::futures::CircuitBreaker as _;
use failsafe::{Config, backoff, failure_policy};
use guard::record::{Attribute, Item, Record, attribute};
use guard::{CallError, Guard, KeptAnswer, MemoryStore, Settings, Store, StoreError, Written};
use tokio::runtime::Runtime;
use tower::{Service, ServiceExt, service_fn};
use tower_resilience_circuitbreaker::CircuitBreakerLayer;

const CIRCUIT: &str = "orders";
const AN_HOUR: Duration = Duration::from_secs(3_600);

#[derive(Clone, Default)]
struct Counting {
    memory: MemoryStore,
    reads: Arc<AtomicU64>,
    writes: Arc<AtomicU64>,
}

impl Counting {
    fn take(&self) -> (u64, u64) {
        (self.reads.swap(0, Ordering::Relaxed), self.writes.swap(0, Ordering::Relaxed))
    }
}

impl Store for Counting {
    async fn read(&self, circuit: &str) -> Result<Item, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.memory.read(circuit).await
    }

    async fn write(&self, circuit: &str, seen: &Item, record: &Record) -> Result<Written, StoreError> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.memory.write(circuit, seen, record).await
    }

    async fn answer(&self, circuit: &str, key: &str) -> Result<Option<KeptAnswer>, StoreError> {
        self.memory.answer(circuit, key).await
    }

    async fn keep_answer(
        &self,
        circuit: &str,
        key: &str,
        answer: &KeptAnswer,
        ttl_ms: u64,
    ) -> Result<(), StoreError> {
        self.memory.keep_answer(circuit, key, answer, ttl_ms).await
    }
}

#[derive(Debug, PartialEq)]
struct Down;

async fn works() -> Result<u64, Down> {
    black_box(Ok(7))
}

async fn fails() -> Result<u64, Down> {
    black_box(Err(Down))
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
fn now() -> Instant {
    Instant::now()
}

/// Calls of one run, one after another within one future, so that starting the runtime is no part of them.
async fn timed<T>(count: u64, mut call: impl AsyncFnMut() -> T) -> Duration {
    let began = now();
    for _ in 0..count {
        black_box(call().await);
    }
    began.elapsed()
}

fn guard_on(store: &Counting, settings: Settings) -> Guard<Counting> {
    Guard::builder(CIRCUIT, store.clone()).settings(settings).build().expect("the settings are in range")
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime can be started")
}

fn open_settings() -> Settings {
    Settings {
        consecutive_failure_count: Some(5),
        flush_every: Duration::ZERO,
        gather_for: Duration::ZERO,
        open_for: AN_HOUR,
        open_cap: AN_HOUR,
        ..Settings::default()
    }
}

fn closed(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("closed");
    group.bench_function("no breaker", |bencher| {
        bencher.to_async(&runtime).iter_custom(|count| timed(count, works));
    });
    let store = Counting::default();
    let guard = guard_on(&store, Settings::default());
    group.bench_function("guard", |bencher| {
        bencher.to_async(&runtime).iter_custom(|count| timed(count, async || guard.call(works).await));
    });
    let slow = Settings { slow_rate_percent: Some(50), call_timeout: Some(AN_HOUR), ..Settings::default() };
    let guard = guard_on(&store, slow);
    group.bench_function("guard with call_timeout", |bencher| {
        bencher.to_async(&runtime).iter_custom(|count| timed(count, async || guard.call(works).await));
    });
    let breaker = Config::new().build();
    group.bench_function("failsafe", |bencher| {
        bencher.to_async(&runtime).iter_custom(|count| timed(count, async || breaker.call(works()).await));
    });
    let layer = CircuitBreakerLayer::builder().sliding_window_size(100).build().expect("it is in range");
    let service = layer.layer_fn(service_fn(|()| works()));
    group.bench_function("tower-resilience", |bencher| {
        bencher.to_async(&runtime).iter_custom(|count| {
            let mut service = service.clone();
            async move { timed(count, async || service.ready().await?.call(()).await).await }
        });
    });
    group.finish();
}

fn open(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("open");
    let store = Counting::default();
    let guard = guard_on(&store, open_settings());
    runtime.block_on(trip(&guard));
    group.bench_function("guard", |bencher| {
        bencher.to_async(&runtime).iter_custom(|count| timed(count, async || guard.call(works).await));
    });
    assert!(matches!(runtime.block_on(guard.call(works)), Err(CallError::Open(_))));
    let policy = failure_policy::consecutive_failures(5, backoff::constant(AN_HOUR));
    let breaker = Config::new().failure_policy(policy).build();
    runtime.block_on(timed(5, async || breaker.call(fails()).await));
    group.bench_function("failsafe", |bencher| {
        bencher.to_async(&runtime).iter_custom(|count| timed(count, async || breaker.call(works()).await));
    });
    assert!(matches!(runtime.block_on(breaker.call(works())), Err(failsafe::Error::Rejected)));
    let layer = CircuitBreakerLayer::builder()
        .consecutive_failures(5)
        .wait_duration_in_open(AN_HOUR)
        .build()
        .expect("it is in range");
    let mut failing = layer.layer_fn(service_fn(|works_now: bool| async move {
        if works_now { works().await } else { fails().await }
    }));
    runtime.block_on(timed(5, async || failing.ready().await?.call(false).await));
    group.bench_function("tower-resilience", |bencher| {
        bencher.to_async(&runtime).iter_custom(|count| {
            let mut service = failing.clone();
            async move { timed(count, async || service.ready().await?.call(true).await).await }
        });
    });
    let refused = runtime.block_on(async { failing.ready().await?.call(true).await });
    assert!(refused.is_err(), "it is open");
    group.finish();
}

async fn trip(guard: &Guard<Counting>) {
    for _ in 0..5 {
        assert_eq!(guard.call(fails).await, Err(CallError::Failed(Down)));
    }
}

/// Samples one after another. Each is a lease taken and given back.
fn half_open(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("half-open");
    let store = Counting::default();
    let guard = guard_on(&store, Settings { success_count: 1_000, ..open_settings() });
    runtime.block_on(trip(&guard));
    let (guard, store) = (&guard, &store);
    let sample = async |number: u64| {
        // Long before the thousandth success would close it.
        if number.is_multiple_of(999) {
            make_due(store);
        }
        guard.call(works).await
    };
    let sample = &sample;
    group.bench_function("guard", |bencher| {
        bencher.to_async(&runtime).iter_custom(|count| async move {
            make_due(store);
            guard.status().await.expect("a store in memory is always there");
            let mut number = 0;
            let next = async || {
                number += 1;
                sample(number).await
            };
            timed(count, next).await
        });
    });
    let layer = CircuitBreakerLayer::builder()
        .consecutive_failures(5)
        .wait_duration_in_open(Duration::from_millis(1))
        .permitted_calls_in_half_open(1 << 40)
        .build()
        .expect("it is in range");
    let mut failing = layer.layer_fn(service_fn(|works_now: bool| async move {
        if works_now { works().await } else { fails().await }
    }));
    runtime.block_on(timed(5, async || failing.ready().await?.call(false).await));
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(5)).await });
    group.bench_function("tower-resilience", |bencher| {
        bencher.to_async(&runtime).iter_custom(|count| {
            let mut service = failing.clone();
            async move { timed(count, async || service.ready().await?.call(true).await).await }
        });
    });
    group.finish();
}

/// Has the opening be over.
fn make_due(store: &Counting) {
    store.memory.edit(CIRCUIT, |item| {
        item.insert(attribute::STATE.to_owned(), Attribute::Text("open".to_owned()));
        item.insert(attribute::OPEN_UNTIL_MS.to_owned(), Attribute::Number(0));
    });
}

/// Requests to the store per call, over calls that are spread over some seconds as those of a busy function are.
fn requests(_: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime can be started");
    let spread = async |guard: &Guard<Counting>, count: u64, works_now: bool| {
        for _ in 0..count {
            let _ = guard.call(async || if works_now { works().await } else { fails().await }).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    println!("\n| State | Calls | Reads/call | Writes/call |\n|---|---|---|---|");
    let print = |state: &str, count: u64, store: &Counting| {
        let (reads, writes) = store.take();
        println!(
            "| {state} | {count} | {:.4} | {:.4} |",
            reads as f64 / count as f64,
            writes as f64 / count as f64
        );
    };
    runtime.block_on(async {
        let store = Counting::default();
        let guard = guard_on(&store, Settings::default());
        spread(&guard, 1_000, true).await;
        print("closed, all succeed", 1_000, &store);
        let guard = guard_on(&store, open_settings());
        trip(&guard).await;
        store.take();
        spread(&guard, 1_000, true).await;
        print("open", 1_000, &store);
        make_due(&store);
        guard.status().await.expect("a store in memory is always there");
        store.take();
        spread(&guard, 2, true).await;
        print("half-open, the two samples that close it", 2, &store);
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = closed, open, half_open, requests
}
criterion_main!(benches);

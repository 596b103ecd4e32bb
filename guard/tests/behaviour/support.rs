//! Guards on virtual time, on a store that counts its requests and can be taken away.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use guard::record::{Attribute, Item, Record};
use guard::{
    Builder, CallError, Chance, Clock, Guard, KeptAnswer, MemoryStore, Settings, Store, StoreError, Written,
};
use tokio::time::Instant;
use workflow::circuit::item;

pub const CIRCUIT: &str = "orders";
const BEGIN_MS: u64 = 1_764_000_000_000;

/// The clock of the paused runtime.
#[derive(Clone, Copy)]
pub struct TestClock(Instant);

impl TestClock {
    pub fn new() -> TestClock {
        TestClock(Instant::now())
    }
}

impl Clock for TestClock {
    fn now_ms(&self) -> u64 {
        BEGIN_MS + self.0.elapsed().as_millis() as u64
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Counts up: ids differ, and an opening is hardly shortened.
pub struct Counting(pub AtomicU64);

impl Chance for Counting {
    fn number(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// A table that several guards share.
#[derive(Clone)]
pub struct Table {
    pub memory: MemoryStore,
    pub clock: TestClock,
    pub reads: Arc<AtomicU64>,
    pub writes: Arc<AtomicU64>,
    pub answers_written: Arc<AtomicU64>,
    pub is_away: Arc<AtomicBool>,
    /// Reads are answered, writes are not allowed.
    pub is_read_only: Arc<AtomicBool>,
    /// Of the next write, the answer is lost.
    pub loses_answer: Arc<AtomicBool>,
    /// The next write fails, and arrives when the one after it is on its way.
    pub is_late: Arc<AtomicBool>,
    late: Arc<Mutex<Option<(Item, Record)>>>,
    /// How long a read takes.
    pub latency_ms: Arc<AtomicU64>,
    guards: Arc<AtomicU64>,
}

impl Table {
    pub fn new() -> Table {
        let clock = TestClock::new();
        Table {
            memory: MemoryStore::with_clock(clock),
            clock,
            reads: Arc::default(),
            writes: Arc::default(),
            answers_written: Arc::default(),
            is_away: Arc::default(),
            is_read_only: Arc::default(),
            loses_answer: Arc::default(),
            is_late: Arc::default(),
            late: Arc::default(),
            latency_ms: Arc::default(),
            guards: Arc::default(),
        }
    }

    pub fn builder(&self, settings: Settings) -> Builder<Table> {
        let first = self.guards.fetch_add(1, Ordering::Relaxed) * 1_000_000 + 1;
        Guard::builder(CIRCUIT, self.clone())
            .settings(settings)
            .clock(self.clock)
            .chance(Counting(AtomicU64::new(first)))
    }

    pub fn guard(&self, settings: Settings) -> Guard<Table> {
        self.builder(settings).build().unwrap()
    }

    pub fn requests(&self) -> (u64, u64) {
        (self.reads.load(Ordering::Relaxed), self.writes.load(Ordering::Relaxed))
    }

    pub fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }

    pub fn item(&self) -> Item {
        Item::from_attributes(&self.memory.attributes(CIRCUIT)).unwrap()
    }

    pub fn state(&self) -> &'static str {
        self.item().record.state.name()
    }

    /// As the workflow's state `ClaimCircuit`.
    pub fn claim(&self) {
        let now_ms = self.clock.now_ms();
        self.memory.edit(CIRCUIT, |attributes| {
            let epoch = match attributes.get(item::EPOCH) {
                Some(Attribute::Number(epoch)) => *epoch,
                _ => 0,
            };
            attributes.insert(item::EPOCH.to_owned(), Attribute::Number(epoch + 1));
            attributes.insert(item::OPENED_AT_MS.to_owned(), Attribute::Number(now_ms));
            attributes.insert(item::WAIT_UNTIL_MS.to_owned(), Attribute::Number(now_ms + 30_000));
            attributes.insert(item::STATE.to_owned(), Attribute::Text("open".to_owned()));
        });
    }

    /// As its state `MarkClosed`.
    pub fn close(&self) {
        self.memory.edit(CIRCUIT, |attributes| {
            attributes.insert(item::STATE.to_owned(), Attribute::Text("closed".to_owned()));
            attributes.remove(item::WAIT_UNTIL_MS);
        });
    }

    fn reach(&self) -> Result<(), StoreError> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(StoreError::new("request", CIRCUIT, "no route to host"));
        }
        Ok(())
    }
}

impl Store for Table {
    async fn read(&self, circuit: &str) -> Result<Item, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let latency_ms = self.latency_ms.load(Ordering::Relaxed);
        if latency_ms > 0 {
            wait_ms(latency_ms).await;
        }
        self.reach()?;
        self.memory.read(circuit).await
    }

    async fn write(&self, circuit: &str, seen: &Item, record: &Record) -> Result<Written, StoreError> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.reach()?;
        if self.is_read_only.load(Ordering::Relaxed) {
            return Err(StoreError::new("UpdateItem", circuit, "AccessDeniedException"));
        }
        if self.is_late.swap(false, Ordering::Relaxed) {
            *self.late.lock().unwrap() = Some((seen.clone(), record.clone()));
            return Err(StoreError::new("write", circuit, "timeout"));
        }
        let late = self.late.lock().unwrap().take();
        if let Some((seen, record)) = late {
            assert_eq!(self.memory.write(circuit, &seen, &record).await.unwrap(), Written::Done);
        }
        let written = self.memory.write(circuit, seen, record).await;
        if self.loses_answer.swap(false, Ordering::Relaxed) {
            return Err(StoreError::new("write", circuit, "connection reset"));
        }
        written
    }

    async fn answer(&self, circuit: &str, key: &str) -> Result<Option<KeptAnswer>, StoreError> {
        self.reach()?;
        self.memory.answer(circuit, key).await
    }

    async fn keep_answer(
        &self,
        circuit: &str,
        key: &str,
        answer: &KeptAnswer,
        ttl_ms: u64,
    ) -> Result<(), StoreError> {
        self.answers_written.fetch_add(1, Ordering::Relaxed);
        self.reach()?;
        self.memory.keep_answer(circuit, key, answer, ttl_ms).await
    }
}

/// What the dependency answers: with a refusal it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    Down,
    NotFound,
}

/// A call that succeeds.
pub async fn good<J>(guard: &Guard<Table, J>) -> Result<u32, CallError<Trouble>>
where
    J: guard::Judge<u32, Trouble>,
{
    guard.call(|| async { Ok(7) }).await
}

/// A call that fails.
pub async fn bad<J>(guard: &Guard<Table, J>) -> Result<u32, CallError<Trouble>>
where
    J: guard::Judge<u32, Trouble>,
{
    guard.call(|| async { Err(Trouble::Down) }).await
}

/// A call that never ends, unless the guard ends it.
pub async fn endless<J>(guard: &Guard<Table, J>) -> Result<u32, CallError<Trouble>>
where
    J: guard::Judge<u32, Trouble>,
{
    let call = guard.call(std::future::pending::<Result<u32, Trouble>>);
    tokio::time::timeout(Duration::from_secs(3_600), call).await.expect("the guard ends it")
}

pub async fn wait_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Lets what runs beside the calls run.
pub async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// Trips on the third failure in a row, at once.
pub fn quick() -> Settings {
    Settings {
        consecutive_failure_count: Some(3),
        flush_every: Duration::ZERO,
        gather_for: Duration::ZERO,
        jitter_percent: 0,
        ..Settings::default()
    }
}

thread_local! {
    static LOGGED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What this test logs: each runs on one thread of its own.
pub struct Log;

impl Log {
    pub fn listen() -> Log {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            tracing_subscriber::fmt()
                .with_ansi(false)
                .with_max_level(tracing::Level::WARN)
                .with_writer(|| Log)
                .init();
        });
        LOGGED.take();
        Log
    }

    pub fn count(&self, words: &str) -> usize {
        LOGGED.with_borrow(|logged| String::from_utf8_lossy(logged).matches(words).count())
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

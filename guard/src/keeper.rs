//! Between the pure machine and the store: the cached state, its refresh, the counts not yet said, and the circuit that an
//! instance goes on with alone when the store cannot be reached.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as Gate;
use workflow::circuit::CircuitState;

use crate::error::CircuitOpen;
use crate::machine::{self, OpenCause, Outcome, Verdict};
use crate::ports::{Chance, Clock};
use crate::record::{GuardState, Isolation, Item, Record};
use crate::settings::{Settings, ms};
use crate::store::{Store, StoreError, Written};
use crate::trip::{self, TripHook, TripRequest};
use crate::window::LocalWindow;

/// Most times that a write is tried anew which somebody else's write has overtaken.
const MAX_WRITE_TRIES: usize = 3;
/// As above for the end of a sample: without it, the others wait until the lease expires.
const MAX_END_TRIES: usize = 6;

/// Writes in a row that fail although the store can be read, until that is said: a role that may only read, as a rule.
const MAX_FAILED_WRITES: u32 = 3;

/// What all clones of a guard share.
pub(crate) struct Keeper<S> {
    pub(crate) circuit: String,
    pub(crate) store: S,
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Arc<dyn Chance>,
    pub(crate) on_trip: Option<TripHook>,
    /// One conversation with the store at a time, but for the ends of samples.
    gate: Arc<Gate<()>>,
    known: Mutex<Known>,
}

/// What this instance knows.
#[derive(Default)]
struct Known {
    item: Item,
    /// When the item was asked for, by both clocks; `None` before the first answer.
    read_at_ms: Option<u64>,
    adopted_at: Duration,
    /// When it was asked for last, whether or not there was an answer.
    asked_at_ms: Option<u64>,
    /// Raised by each change of the circuit that this instance sees. Calls that began before it do not count.
    generation: u64,
    window: LocalWindow,
    flushed_at_ms: Option<u64>,
    failing_since_ms: Option<u64>,
    /// Writes in a row that have failed although the store could be read.
    failed_write_count: u32,
    /// The circuit of this instance alone, while the store cannot be reached.
    alone: Option<Item>,
}

impl Known {
    fn current(&self) -> &Item {
        self.alone.as_ref().unwrap_or(&self.item)
    }

    fn changed(&mut self) {
        self.generation += 1;
        self.window.clear();
    }
}

/// The right to make one call.
#[derive(Debug)]
pub(crate) enum Permit {
    /// As any call of a closed circuit.
    Closed { generation: u64 },
    /// As a sample, up to this time of [`Clock::elapsed`].
    Sample { lease_id: u64, until: Duration },
}

/// Keeps what a store's client needs out of the future of a guarded call: it is small that way, and the compiler is not led
/// through all of the client's types for each call.
fn off_the_common_path<'a, T>(
    future: impl Future<Output = T> + Send + 'a,
) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    Box::pin(future)
}

fn source_of(error: &StoreError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

/// Whether a moment is at least this long ago, or never was. A clock that was set back makes it old.
fn is_older(at_ms: Option<u64>, now_ms: u64, age: Duration) -> bool {
    at_ms.is_none_or(|at_ms| now_ms.abs_diff(at_ms) >= ms(age))
}

/// What follows from a call that was counted.
enum Noted {
    /// Nothing, for now.
    Enough,
    /// The counts are to be said.
    ToSay,
    /// The circuit of this instance alone has opened, for this reason.
    Tripped(String),
}

enum Look {
    Pass {
        generation: u64,
    },
    Refuse(CircuitOpen),
    Sample,
    /// It would pass, but what is known is too old.
    Wait,
}

impl<S: Store> Keeper<S> {
    pub(crate) fn new(
        circuit: String,
        store: S,
        settings: Settings,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        on_trip: Option<TripHook>,
    ) -> Keeper<S> {
        Keeper {
            circuit,
            store,
            settings,
            clock,
            chance,
            on_trip,
            gate: Arc::default(),
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing in here is left half-done by a panic.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks whether a call may be made.
    pub(crate) async fn admit(self: &Arc<Self>) -> Result<Permit, CircuitOpen> {
        let mut look = self.look(true);
        if matches!(look, Look::Wait) {
            off_the_common_path(self.freshen()).await;
            look = self.look(false);
        }
        match look {
            Look::Pass { generation } => Ok(Permit::Closed { generation }),
            Look::Refuse(open) => Err(open),
            Look::Sample => off_the_common_path(self.take_sample()).await,
            Look::Wait => unreachable!("asked not to wait"),
        }
    }

    fn look(self: &Arc<Self>, may_wait: bool) -> Look {
        let now_ms = self.clock.now_ms();
        let known = self.known();
        let verdict = machine::verdict(known.current(), now_ms, &self.settings);
        if may_wait
            && verdict == Verdict::Pass
            && known.alone.is_none()
            && is_older(known.read_at_ms, now_ms, self.settings.stale_after)
        {
            return Look::Wait;
        }
        let is_due = is_older(known.read_at_ms, now_ms, self.settings.refresh_every)
            && is_older(known.asked_at_ms, now_ms, self.settings.refresh_every);
        // Who takes a lease reads anyway.
        if is_due && (verdict != Verdict::Sample || known.alone.is_some()) {
            self.refresh_in_background();
        }
        match verdict {
            Verdict::Pass => Look::Pass { generation: known.generation },
            Verdict::Refuse { cause, until_ms } => Look::Refuse(self.refusal(cause, until_ms, now_ms)),
            Verdict::Sample => Look::Sample,
        }
    }

    fn refusal(&self, cause: OpenCause, until_ms: Option<u64>, now_ms: u64) -> CircuitOpen {
        let left = until_ms.map(|until_ms| Duration::from_millis(until_ms.saturating_sub(now_ms)));
        let retry_after = left.filter(|left| !left.is_zero()).unwrap_or(self.settings.refresh_every);
        CircuitOpen { circuit: self.circuit.clone(), cause, retry_after }
    }

    /// Reads the state anew beside the call that found it old. At most one does at a time.
    fn refresh_in_background(self: &Arc<Self>) {
        let Ok(turn) = self.gate.clone().try_lock_owned() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let keeper = Arc::clone(self);
        runtime.spawn(async move {
            let trip = keeper.sync().await;
            drop(turn);
            keeper.announce(trip).await;
        });
    }

    /// Has the state read, unless somebody just has.
    async fn freshen(&self) {
        let turn = self.gate.lock().await;
        let now_ms = self.clock.now_ms();
        let is_due = {
            let known = self.known();
            known.alone.is_none()
                && is_older(known.read_at_ms, now_ms, self.settings.stale_after)
                && is_older(known.asked_at_ms, now_ms, self.settings.refresh_every)
        };
        if !is_due {
            return;
        }
        let trip = self.sync().await;
        drop(turn);
        self.announce(trip).await;
    }

    /// Says what there is to say, whether or not it is time to.
    pub(crate) async fn flush(&self) {
        let turn = self.gate.lock().await;
        self.known().flushed_at_ms = None;
        let trip = self.sync().await;
        drop(turn);
        self.announce(trip).await;
    }

    async fn announce(&self, trip: Option<String>) {
        let Some(reason) = trip else { return };
        if let Some(hook) = &self.on_trip {
            trip::announce(hook, TripRequest::new(&self.circuit, &reason)).await;
        }
    }

    /// Reads the state, and says what the window has to say if that is worth it. Gives the reason if that trips the
    /// circuit. Whoever calls it has the gate.
    async fn sync(&self) -> Option<String> {
        for tries in 0..MAX_WRITE_TRIES {
            let item = self.read().await.ok()?;
            let now_ms = self.clock.now_ms();
            let (report, next) = {
                let mut known = self.known();
                let is_due = tries > 0 || is_older(known.flushed_at_ms, now_ms, self.settings.flush_every);
                let is_alarming = known.window.is_alarming(now_ms, &self.settings)
                    || machine::is_alarming(&machine::effective(&item), now_ms, &self.settings);
                if !is_due || !is_alarming {
                    return None;
                }
                let report = known.window.report();
                let next = machine::count(&item, &report, true, now_ms, self.chance.unit(), &self.settings);
                (report, next)
            };
            let (record, cause) = next?;
            // Whether or not it arrives: many instances that write at once must not try at every call.
            self.known().flushed_at_ms = Some(now_ms);
            let reason = cause.map(|_| record.reason.clone());
            match self.write(&item, record).await {
                Ok(Written::Done) => {
                    self.known().window.said(&report);
                    return reason;
                }
                Ok(Written::Refused) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// A lease for a sample, if there is one.
    async fn take_sample(&self) -> Result<Permit, CircuitOpen> {
        let busy = |now_ms| self.refusal(OpenCause::Sampling, None, now_ms);
        if let Some(permit) = self.sample_alone() {
            return permit;
        }
        // Calls of the same instance do not race each other for the lease.
        let Ok(turn) = self.gate.try_lock() else {
            return Err(busy(self.clock.now_ms()));
        };
        let lease_id = self.chance.number();
        for _ in 0..MAX_WRITE_TRIES {
            let Ok(item) = self.read().await else { break };
            let now_ms = self.clock.now_ms();
            // A write whose answer was lost, or that was late. It holds for as long as it says, by this clock.
            if let GuardState::HalfOpen { leases, .. } = &machine::effective(&item).state
                && let Some(lease) = leases.iter().find(|lease| lease.id == lease_id)
            {
                let left = Duration::from_millis(lease.until_ms.saturating_sub(now_ms));
                return Ok(Permit::Sample { lease_id, until: self.clock.elapsed() + left });
            }
            match machine::verdict(&item, now_ms, &self.settings) {
                Verdict::Pass => return Ok(Permit::Closed { generation: self.known().generation }),
                Verdict::Refuse { cause, until_ms } => return Err(self.refusal(cause, until_ms, now_ms)),
                Verdict::Sample => {}
            }
            // Taken before the write: the call ends before the lease does, by any clock.
            let until = self.clock.elapsed() + self.settings.sample_timeout;
            let Some(record) = machine::take_lease(&item, lease_id, now_ms, &self.settings) else { break };
            match self.write(&item, record).await {
                Ok(Written::Done) => return Ok(Permit::Sample { lease_id, until }),
                Ok(Written::Refused) | Err(_) => {}
            }
        }
        drop(turn);
        self.sample_alone().unwrap_or_else(|| Err(busy(self.clock.now_ms())))
    }

    /// As [`Keeper::take_sample`] while the store cannot be reached.
    fn sample_alone(&self) -> Option<Result<Permit, CircuitOpen>> {
        let now_ms = self.clock.now_ms();
        let mut known = self.known();
        let generation = known.generation;
        let alone = known.alone.as_mut()?;
        Some(match machine::verdict(alone, now_ms, &self.settings) {
            Verdict::Pass => Ok(Permit::Closed { generation }),
            Verdict::Refuse { cause, until_ms } => Err(self.refusal(cause, until_ms, now_ms)),
            Verdict::Sample => {
                let lease_id = self.chance.number();
                let until = self.clock.elapsed() + self.settings.sample_timeout;
                match machine::take_lease(alone, lease_id, now_ms, &self.settings) {
                    Some(record) => {
                        alone.record = record;
                        Ok(Permit::Sample { lease_id, until })
                    }
                    None => Err(self.refusal(OpenCause::Sampling, None, now_ms)),
                }
            }
        })
    }

    /// Notes how a call went that was admitted.
    pub(crate) async fn settle(&self, permit: Permit, outcome: Outcome, took: Duration) {
        let slow = self.settings.slow_rate_percent.is_some() && took >= self.settings.slow_call;
        match permit {
            Permit::Closed { generation } => {
                let now_ms = self.clock.now_ms();
                match self.note(generation, outcome == Outcome::Failure, slow, now_ms) {
                    Noted::Enough => {}
                    Noted::Tripped(reason) => off_the_common_path(self.announce(Some(reason))).await,
                    Noted::ToSay => off_the_common_path(self.say()).await,
                }
            }
            Permit::Sample { lease_id, .. } => {
                let outcome = if slow { Outcome::Failure } else { outcome };
                off_the_common_path(self.settle_sample(lease_id, outcome)).await;
            }
        }
    }

    /// Says what there is to say, at the end of a call that was bad. It waits for a refresh beside it, as a function may be
    /// frozen as soon as it has answered; that may have said it already.
    async fn say(&self) {
        let turn = self.gate.lock().await;
        let is_due = self.is_due_to_say(&self.known(), self.clock.now_ms());
        let trip = if is_due { self.sync().await } else { None };
        drop(turn);
        self.announce(trip).await;
    }

    fn note(&self, generation: u64, failed: bool, slow: bool, now_ms: u64) -> Noted {
        let mut known = self.known();
        if known.generation != generation {
            return Noted::Enough;
        }
        known.window.record(now_ms, failed, slow, &self.settings);
        if !failed && !slow {
            return Noted::Enough;
        }
        if known.alone.is_some() {
            return self.count_alone(&mut known, now_ms).map_or(Noted::Enough, Noted::Tripped);
        }
        if self.is_due_to_say(&known, now_ms) && known.window.is_alarming(now_ms, &self.settings) {
            Noted::ToSay
        } else {
            Noted::Enough
        }
    }

    /// Whether it is time to write counts. A store that does not answer is not asked at every call.
    fn is_due_to_say(&self, known: &Known, now_ms: u64) -> bool {
        is_older(known.flushed_at_ms, now_ms, self.settings.flush_every)
            && (known.failing_since_ms.is_none()
                || is_older(known.asked_at_ms, now_ms, self.settings.refresh_every))
    }

    /// Whether this instance's own calls trip its circuit.
    fn count_alone(&self, known: &mut Known, now_ms: u64) -> Option<String> {
        let report = known.window.everything();
        let alone = known.alone.as_mut()?;
        let chance = self.chance.unit();
        let (record, cause) = machine::count(alone, &report, false, now_ms, chance, &self.settings)?;
        cause?;
        let reason = record.reason.clone();
        alone.record = record;
        known.changed();
        Some(reason)
    }

    async fn settle_sample(&self, lease_id: u64, outcome: Outcome) {
        {
            let now_ms = self.clock.now_ms();
            let mut known = self.known();
            if let Some(alone) = &mut known.alone {
                let chance = self.chance.unit();
                if let Some(record) =
                    machine::end_sample(alone, lease_id, outcome, now_ms, chance, &self.settings)
                {
                    alone.record = record;
                    known.changed();
                    return;
                }
            }
        }
        for _ in 0..MAX_END_TRIES {
            let Ok(item) = self.read().await else { return };
            let now_ms = self.clock.now_ms();
            let chance = self.chance.unit();
            let next = machine::end_sample(&item, lease_id, outcome, now_ms, chance, &self.settings);
            let Some(record) = next else { return };
            match self.write(&item, record).await {
                Ok(Written::Done) => return,
                Ok(Written::Refused) | Err(_) => {}
            }
        }
    }

    /// Isolates the dependency, or ends that. Gives whether anything changed.
    pub(crate) async fn isolate(&self, order: Option<(String, String)>) -> Result<bool, StoreError> {
        let _turn = self.gate.lock().await;
        for _ in 0..MAX_END_TRIES {
            let item = self.read().await?;
            let isolation = order.clone().map(|(by, reason)| {
                let at_ms = self.clock.now_ms();
                Isolation { by, reason, at_ms }
            });
            let Some(record) = machine::isolate(&item, isolation) else { return Ok(false) };
            if self.write(&item, record).await? == Written::Done {
                return Ok(true);
            }
        }
        let what = "other instances wrote each time in between. Nothing was changed; try again";
        Err(StoreError::new("writing", &self.circuit, what))
    }

    /// Reads the item and takes it for what is known.
    pub(crate) async fn read(&self) -> Result<Item, StoreError> {
        let asked_at_ms = self.clock.now_ms();
        let asked_at = self.clock.elapsed();
        self.known().asked_at_ms = Some(asked_at_ms);
        let answer = self.timed("reading", self.store.read(&self.circuit)).await;
        match answer {
            Ok(item) => {
                self.reached();
                self.adopt(&item, asked_at_ms, asked_at);
                Ok(item)
            }
            Err(error) => Err(self.unreached(error)),
        }
    }

    /// Writes the record as the next revision. If the answer is lost, a read tells whether it has arrived.
    async fn write(&self, seen: &Item, mut record: Record) -> Result<Written, StoreError> {
        record.revision = seen.record.revision.saturating_add(1);
        record.writer = self.chance.number();
        let asked_at_ms = self.clock.now_ms();
        let asked_at = self.clock.elapsed();
        let answer = self.timed("writing", self.store.write(&self.circuit, seen, &record)).await;
        match answer {
            Ok(Written::Done) => {
                self.known().failed_write_count = 0;
                let item = Item { workflow: seen.workflow.clone(), record };
                self.adopt(&item, asked_at_ms, asked_at);
                Ok(Written::Done)
            }
            Ok(Written::Refused) => Ok(Written::Refused),
            Err(error) => {
                let error = self.unreached(error);
                let found = self.read().await?;
                if found.record.writer == record.writer {
                    return Ok(Written::Done);
                }
                let failed_write_count = {
                    let mut known = self.known();
                    known.failed_write_count = known.failed_write_count.saturating_add(1);
                    known.failed_write_count
                };
                if failed_write_count == MAX_FAILED_WRITES {
                    tracing::warn!(
                        circuit = self.circuit,
                        %error,
                        cause = source_of(&error),
                        "the guard can read its store and cannot write to it; it obeys, and does not open the circuit"
                    );
                }
                Err(error)
            }
        }
    }

    pub(crate) async fn timed<T>(
        &self,
        operation: &'static str,
        request: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let limit = self.settings.store_timeout;
        tokio::time::timeout(limit, off_the_common_path(request)).await.unwrap_or_else(|_| {
            let what = format!("no answer within {} ms (store_timeout)", limit.as_millis());
            Err(StoreError::new(operation, &self.circuit, what))
        })
    }

    /// Takes an item for what is known, unless something newer is known already: answers can overtake each other.
    fn adopt(&self, item: &Item, asked_at_ms: u64, asked_at: Duration) {
        let answered_at = self.clock.elapsed();
        let mut known = self.known();
        if known.read_at_ms.is_some()
            && asked_at < known.adopted_at
            && item.record.revision < known.item.record.revision
        {
            return;
        }
        let phase = |item: &Item| {
            let record = machine::effective(item);
            (record.epoch, record.outage_ms, machine::is_owned(item), record.isolation.is_some())
        };
        if known.read_at_ms.is_none() || phase(&known.item) != phase(item) {
            if known.read_at_ms.is_some() {
                self.say_change(item);
            }
            known.changed();
        }
        known.item = item.clone();
        known.read_at_ms = Some(asked_at_ms);
        known.adopted_at = answered_at;
    }

    fn say_change(&self, item: &Item) {
        let record = machine::effective(item);
        let state = match item.workflow.state {
            CircuitState::Closed => record.state.name(),
            CircuitState::Open | CircuitState::HalfOpen | CircuitState::Held => item.workflow.state.name(),
        };
        tracing::info!(
            circuit = self.circuit,
            state,
            by_workflow = machine::is_owned(item),
            isolated = record.isolation.is_some(),
            reason = record.reason,
            "the circuit has changed"
        );
    }

    fn reached(&self) {
        let mut known = self.known();
        known.failing_since_ms = None;
        if let Some(alone) = known.alone.take() {
            if alone.record.state != GuardState::Closed {
                known.changed();
            }
            drop(known);
            tracing::warn!(
                circuit = self.circuit,
                "the guard's store can be reached again; its state is obeyed again"
            );
        }
    }

    fn unreached(&self, error: StoreError) -> StoreError {
        let now_ms = self.clock.now_ms();
        let mut known = self.known();
        let since_ms = *known.failing_since_ms.get_or_insert(now_ms);
        let is_over = now_ms.abs_diff(since_ms) >= ms(self.settings.store_grace);
        if known.alone.is_none() && (known.read_at_ms.is_none() || is_over) {
            let alone = machine::alone(&known.item, now_ms, self.chance.unit(), &self.settings);
            // What was counted of a closed circuit still counts.
            if alone.record.state != GuardState::Closed {
                known.changed();
            }
            known.alone = Some(alone);
            drop(known);
            tracing::warn!(
                circuit = self.circuit,
                %error,
                cause = source_of(&error),
                "the guard's store cannot be reached; calls pass, and this instance counts for itself alone"
            );
        }
        error
    }
}

//! Between the pure machine and the store: the cached state, its refresh, the counts not yet said, and the circuit that an
//! instance goes on with alone when the store cannot be reached.

mod contact;
mod counts;
mod samples;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as Gate;

use self::counts::Noted;
use crate::error::CircuitOpen;
use crate::machine::{self, OpenCause, Outcome, Verdict};
use crate::ports::{Chance, Clock};
use crate::record::{Isolation, Item};
use crate::settings::{Settings, ms};
use crate::store::{Store, StoreError, Written};
use crate::trip::TripHook;
use crate::window::LocalWindow;

/// Most times that a write is tried anew which somebody else's write has overtaken.
const MAX_WRITE_TRIES: usize = 3;
/// As above for the end of a sample: without it, the others wait until the lease expires.
const MAX_END_TRIES: usize = 6;

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
    /// When the store has failed last. Not when it was asked last: who asks may be cancelled, and then nothing is known.
    failed_at_ms: Option<u64>,
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

/// Whether a moment is at least this long ago, or never was. A clock that was set back makes it old.
fn is_older(at_ms: Option<u64>, now_ms: u64, age: Duration) -> bool {
    at_ms.is_none_or(|at_ms| now_ms.abs_diff(at_ms) >= ms(age))
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
            && is_older(known.failed_at_ms, now_ms, self.settings.refresh_every);
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
        let keeper = Arc::clone(self);
        tokio::spawn(async move {
            let trip = keeper.sync().await;
            drop(turn);
            keeper.announce(trip).await;
        });
    }

    /// Waits until the state was read anew, unless the store has just failed. The read goes on if who waits goes away:
    /// callers with little patience would otherwise never get an answer.
    async fn freshen(self: &Arc<Self>) {
        // Once for somebody else's conversation with the store, and once for this one's.
        for _ in 0..2 {
            let is_due = {
                let now_ms = self.clock.now_ms();
                let known = self.known();
                known.alone.is_none()
                    && is_older(known.read_at_ms, now_ms, self.settings.stale_after)
                    && is_older(known.failed_at_ms, now_ms, self.settings.refresh_every)
            };
            if !is_due {
                return;
            }
            self.refresh_in_background();
            drop(self.gate.lock().await);
        }
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
}

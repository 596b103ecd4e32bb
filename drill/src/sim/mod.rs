//! A deterministic, single-threaded async executor on virtual time.
//!
//! Nothing here reads a clock: time jumps from one scheduled event to the next, so that hours of
//! a drill pass in seconds and the same seed gives the same run.
//!
//! ```
//! use drill::sim::{SIM_START, Sim};
//! use std::time::Duration;
//!
//! let sim = Sim::new(7);
//! let task = sim.clone();
//! sim.spawn(async move {
//!     task.sleep(Duration::from_secs(3600)).await;
//!     assert_eq!(task.now() - SIM_START, Duration::from_secs(3600));
//! });
//! sim.run_until(SIM_START + Duration::from_secs(7200));
//! assert_eq!(sim.now().to_string(), "2026-01-01T02:00:00.000Z");
//! ```
//!
//! # Order
//! Events due at the same millisecond happen in the order in which they were scheduled. A task
//! that an event wakes runs to its next wait before the next event; tasks woken by the same event
//! run in the order they were woken.

mod queue;
mod sync;
mod tasks;
mod time;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rand::SeedableRng;
use sha2::{Digest, Sha256};

use queue::{Due, Queue, TimerId};
pub use sync::{
    Either, Elapsed, Notified, Notify, Receiver, Sender, oneshot, race, timeout, try_join_bounded,
};
pub use tasks::TaskId;
use tasks::{Ready, Tasks};
pub use time::{ParseTimeError, SIM_START, Time};

/// A stream of random numbers that depends on nothing but the seed and the stream's name.
pub type SimRng = rand_chacha::ChaCha8Rng;

/// A simulation: its clock, its scheduled events and its tasks. Clones are handles to the same one.
#[derive(Clone)]
pub struct Sim(Rc<Inner>);

struct Inner {
    seed: u64,
    now: Cell<Time>,
    events_run: Cell<u64>,
    running: Cell<bool>,
    queue: RefCell<Queue>,
    tasks: RefCell<Tasks>,
    ready: Arc<Ready>,
}

impl Sim {
    /// A simulation at [`SIM_START`] with nothing to do.
    pub fn new(seed: u64) -> Sim {
        Sim(Rc::new(Inner {
            seed,
            now: Cell::new(SIM_START),
            events_run: Cell::new(0),
            running: Cell::new(false),
            queue: RefCell::default(),
            tasks: RefCell::default(),
            ready: Arc::default(),
        }))
    }

    /// The present instant of virtual time.
    pub fn now(&self) -> Time {
        self.0.now.get()
    }

    /// The seed that every random stream comes from.
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// How many callbacks and task steps have run: the work done so far, and a fingerprint that
    /// two runs of one seed share.
    pub fn events_run(&self) -> u64 {
        self.0.events_run.get()
    }

    /// A future that is ready after `duration`. The time counts from this call, the place among
    /// events of the same millisecond from the first poll; even a zero sleep waits its turn there.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
    }

    /// A future that is ready at `when`, or after what is already due if `when` is past.
    pub fn sleep_until(&self, when: Time) -> Sleep {
        Sleep { sim: self.clone(), when, timer: None }
    }

    /// Starts a task. It first runs when the simulation does.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) -> TaskId {
        self.0.tasks.borrow_mut().insert(Box::pin(future), &self.0.ready)
    }

    /// Drops a task's future where it waits: a crash. What it owns is released, nothing else of it
    /// runs. A task may cancel itself; it then ends at its next wait. An ended task is left alone.
    pub fn cancel(&self, id: TaskId) {
        let future = self.0.tasks.borrow_mut().cancel(id);
        // Dropped after the borrow ends: its destructors may use the simulation.
        drop(future);
    }

    /// Whether the task neither ended nor was cancelled.
    pub fn is_alive(&self, id: TaskId) -> bool {
        self.0.tasks.borrow().is_alive(id)
    }

    /// Calls `f` at `when`, or as soon as what is already due has run if `when` is past.
    pub fn at(&self, when: Time, f: impl FnOnce(&Sim) + 'static) {
        let when = when.max(self.now());
        self.0.queue.borrow_mut().push_call(when, Box::new(f));
    }

    /// The random stream called `stream`. Streams are independent: one more consumer of randomness
    /// with a name of its own shifts none of the others. Asking twice gives the same numbers twice.
    pub fn rng(&self, stream: &str) -> SimRng {
        let mut hash = Sha256::new();
        hash.update(self.0.seed.to_le_bytes());
        hash.update(stream.as_bytes());
        SimRng::from_seed(hash.finalize().into())
    }

    /// Runs everything due up to and including `end`; time then stands at `end`.
    ///
    /// # Panics
    /// If called from inside a task or callback of the same simulation.
    pub fn run_until(&self, end: Time) {
        self.run_while(end, || true);
    }

    /// Runs as [`Sim::run_until`] does, but stops as soon as `cond` answers false; it is asked
    /// before each step. Time then stands where the last step left it.
    ///
    /// # Panics
    /// If called from inside a task or callback of the same simulation.
    pub fn run_while(&self, end: Time, mut cond: impl FnMut() -> bool) {
        assert!(!self.0.running.replace(true), "a simulation cannot be run from inside itself");
        let _running = Running(&self.0.running);
        loop {
            if !cond() {
                return;
            }
            if !self.step(end) {
                self.0.now.set(self.now().max(end));
                return;
            }
        }
    }

    /// Drops all tasks and scheduled events. Tasks own handles to the simulation they live in, so
    /// a simulation that is done with frees its memory only after this.
    pub fn clear(&self) {
        let futures = self.0.tasks.borrow_mut().take_all();
        drop(futures);
        let events = self.0.queue.borrow_mut().take_all();
        drop(events);
        self.0.ready.clear();
    }

    /// Runs one woken task or, if there is none, the next event up to `end`. False if neither is
    /// there.
    fn step(&self, end: Time) -> bool {
        if let Some(id) = self.0.ready.pop() {
            self.poll_task(id);
            return true;
        }
        let Some((at, due)) = self.0.queue.borrow_mut().pop(end) else { return false };
        self.0.now.set(at);
        match due {
            // The wake only moves the task to the ready queue: it is counted when it runs.
            Due::Wake(waker) => waker.wake(),
            Due::Call(f) => {
                self.count_event();
                f(self);
            }
        }
        true
    }

    fn poll_task(&self, id: TaskId) {
        let Some((mut future, waker)) = self.0.tasks.borrow_mut().start(id) else { return };
        self.count_event();
        let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
        let ended = match poll {
            Poll::Ready(()) => self.0.tasks.borrow_mut().finish(id, future),
            Poll::Pending => self.0.tasks.borrow_mut().suspend(id, future),
        };
        drop(ended);
    }

    fn count_event(&self) {
        self.0.events_run.set(self.0.events_run.get() + 1);
    }
}

/// Clears the flag that guards against a nested run, also when a task panics.
struct Running<'a>(&'a Cell<bool>);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// The future of [`Sim::sleep`] and [`Sim::sleep_until`].
pub struct Sleep {
    sim: Sim,
    when: Time,
    timer: Option<TimerId>,
}

impl Sleep {
    /// When the sleep ends.
    pub fn deadline(&self) -> Time {
        self.when
    }
}

impl Future for Sleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut queue = self.sim.0.queue.borrow_mut();
        let timer = match self.timer {
            None => queue.push_timer(self.when.max(self.sim.now()), cx.waker().clone()),
            Some(timer) if queue.fired(timer) => return Poll::Ready(()),
            Some(timer) => {
                queue.set_waker(timer, cx.waker());
                timer
            }
        };
        drop(queue);
        self.timer = Some(timer);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            self.sim.0.queue.borrow_mut().drop_timer(timer);
        }
    }
}

#[cfg(test)]
mod tests;

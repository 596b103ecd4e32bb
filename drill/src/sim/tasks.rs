//! The tasks of a simulation and the queue of those that can go on.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

pub(super) type TaskFuture = Pin<Box<dyn Future<Output = ()>>>;

/// Names one task of one simulation; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    slot: u32,
    generation: u32,
}

/// The tasks that were woken, in that order. Shared with the wakers, which the standard library
/// wants to be `Send`; only one thread ever uses it, so that the lock is free.
#[derive(Default)]
pub(super) struct Ready(Mutex<VecDeque<Arc<TaskWaker>>>);

impl Ready {
    pub fn pop(&self) -> Option<TaskId> {
        let task = self.lock().pop_front()?;
        task.queued.store(false, Ordering::Relaxed);
        Some(task.id)
    }

    pub fn clear(&self) {
        let dropped = std::mem::take(&mut *self.lock());
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<TaskWaker>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts its task into the ready queue, once until the task runs.
pub(super) struct TaskWaker {
    id: TaskId,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            let ready = self.ready.clone();
            ready.lock().push_back(self);
        }
    }
}

enum State {
    Vacant,
    Waiting {
        future: TaskFuture,
        waker: Waker,
    },
    /// Its future is on the stack of the executor.
    Running {
        waker: Waker,
    },
    /// Cancelled by itself while running.
    Cancelled,
}

struct Slot {
    generation: u32,
    state: State,
}

#[derive(Default)]
pub(super) struct Tasks {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Tasks {
    pub fn insert(&mut self, future: TaskFuture, ready: &Arc<Ready>) -> TaskId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, state: State::Vacant });
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 tasks live at once")
        });
        let entry = &mut self.slots[slot as usize];
        let id = TaskId { slot, generation: entry.generation };
        let task = TaskWaker { id, queued: AtomicBool::new(false), ready: ready.clone() };
        let waker = Waker::from(Arc::new(task));
        waker.wake_by_ref();
        entry.state = State::Waiting { future, waker };
        id
    }

    /// Takes a waiting task out to run it.
    pub fn start(&mut self, id: TaskId) -> Option<(TaskFuture, Waker)> {
        let slot = self.live(id)?;
        match std::mem::replace(&mut slot.state, State::Vacant) {
            State::Waiting { future, waker } => {
                slot.state = State::Running { waker: waker.clone() };
                Some((future, waker))
            }
            other => {
                slot.state = other;
                None
            }
        }
    }

    /// Puts a task that waits again back. Returns its future instead if it was cancelled meanwhile.
    pub fn suspend(&mut self, id: TaskId, future: TaskFuture) -> Option<TaskFuture> {
        let Some(slot) = self.live(id) else { return Some(future) };
        match std::mem::replace(&mut slot.state, State::Vacant) {
            State::Running { waker } => {
                slot.state = State::Waiting { future, waker };
                None
            }
            State::Vacant | State::Waiting { .. } | State::Cancelled => self.finish(id, future),
        }
    }

    /// Frees the slot of a task that ended and hands its future back to be dropped.
    pub fn finish(&mut self, id: TaskId, future: TaskFuture) -> Option<TaskFuture> {
        self.vacate(id);
        Some(future)
    }

    /// Ends a task. Returns its future, to be dropped without a borrow of the tasks.
    pub fn cancel(&mut self, id: TaskId) -> Option<TaskFuture> {
        let slot = self.live(id)?;
        match std::mem::replace(&mut slot.state, State::Cancelled) {
            State::Waiting { future, .. } => {
                self.vacate(id);
                Some(future)
            }
            State::Running { .. } | State::Cancelled | State::Vacant => None,
        }
    }

    pub fn is_alive(&self, id: TaskId) -> bool {
        self.slots.get(id.slot as usize).is_some_and(|slot| {
            slot.generation == id.generation
                && matches!(slot.state, State::Waiting { .. } | State::Running { .. })
        })
    }

    /// Ends all tasks and returns their futures; a running one ends at its next wait.
    pub fn take_all(&mut self) -> Vec<TaskFuture> {
        let ids: Vec<TaskId> = (0u32..)
            .zip(&self.slots)
            .map(|(slot, entry)| TaskId { slot, generation: entry.generation })
            .collect();
        ids.into_iter().filter_map(|id| self.cancel(id)).collect()
    }

    fn live(&mut self, id: TaskId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        let used = slot.generation == id.generation && !matches!(slot.state, State::Vacant);
        used.then_some(slot)
    }

    fn vacate(&mut self, id: TaskId) {
        if let Some(slot) = self.slots.get_mut(id.slot as usize)
            && slot.generation == id.generation
        {
            slot.state = State::Vacant;
            slot.generation = slot.generation.wrapping_add(1);
            self.free.push(id.slot);
        }
    }
}

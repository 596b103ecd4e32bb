//! What tasks of one simulation wait on: a one-shot channel, a condition, races and timeouts.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::Sim;

/// Which of two futures was first, with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first argument was ready first, or both were.
    Left(A),
    /// The second argument was ready first.
    Right(B),
}

/// Waits for whichever future is ready first and drops the other. When one poll finds both ready
/// the left one wins.
pub async fn race<A: Future, B: Future>(a: A, b: B) -> Either<A::Output, B::Output> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    poll_fn(|cx| {
        if let Poll::Ready(value) = a.as_mut().poll(cx) {
            return Poll::Ready(Either::Left(value));
        }
        b.as_mut().poll(cx).map(Either::Right)
    })
    .await
}

/// The time allowed to a future has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time allowed has passed")]
pub struct Elapsed;

/// Waits for `future` for at most `limit` of virtual time, then drops it.
///
/// # Errors
/// [`Elapsed`] if the limit passes first. A future that becomes ready in the limit's own
/// millisecond may still win: events of one millisecond run in the order they were scheduled.
pub async fn timeout<F: Future>(sim: &Sim, limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    match race(future, sim.sleep(limit)).await {
        Either::Left(value) => Ok(value),
        Either::Right(()) => Err(Elapsed),
    }
}

struct Channel<T> {
    value: Option<T>,
    reader: Option<Waker>,
    sender_gone: bool,
    receiver_gone: bool,
}

/// Makes a channel that carries one value.
pub fn oneshot<T>() -> (Sender<T>, Receiver<T>) {
    let channel = Rc::new(RefCell::new(Channel {
        value: None,
        reader: None,
        sender_gone: false,
        receiver_gone: false,
    }));
    (Sender(channel.clone()), Receiver(channel))
}

/// The end of [`oneshot`] that gives the value. Dropping it unused ends the receiver's wait.
pub struct Sender<T>(Rc<RefCell<Channel<T>>>);

impl<T> Sender<T> {
    /// Hands the value over and wakes the receiver.
    ///
    /// # Errors
    /// Gives the value back if the receiver is gone.
    pub fn send(self, value: T) -> Result<(), T> {
        let mut channel = self.0.borrow_mut();
        if channel.receiver_gone {
            return Err(value);
        }
        channel.value = Some(value);
        Ok(())
    }

    /// Whether nobody waits for the value any more.
    pub fn is_abandoned(&self) -> bool {
        self.0.borrow().receiver_gone
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut channel = self.0.borrow_mut();
        channel.sender_gone = true;
        let reader = channel.reader.take();
        drop(channel);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

/// The end of [`oneshot`] that awaits the value: `None` if the sender was dropped without sending.
pub struct Receiver<T>(Rc<RefCell<Channel<T>>>);

impl<T> Future for Receiver<T> {
    type Output = Option<T>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut channel = self.0.borrow_mut();
        match channel.value.take() {
            Some(value) => Poll::Ready(Some(value)),
            None if channel.sender_gone => Poll::Ready(None),
            None => {
                channel.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.borrow_mut().receiver_gone = true;
    }
}

/// A condition that tasks wait on: each notification wakes all that wait at that moment.
#[derive(Clone, Default)]
pub struct Notify(Rc<Notices>);

#[derive(Default)]
struct Notices {
    count: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

impl Notify {
    /// A condition nobody has been notified of.
    pub fn new() -> Notify {
        Notify::default()
    }

    /// Wakes every task that waits now, in the order they began to wait.
    pub fn notify_all(&self) {
        self.0.count.set(self.0.count.get() + 1);
        // Taken out first: a waker may run code that waits on this very condition.
        let waiting = std::mem::take(&mut *self.0.waiting.borrow_mut());
        for waker in waiting {
            waker.wake();
        }
    }

    /// Resolves at the first notification after this call (not after its first poll, so that
    /// nothing is missed between looking at a state and waiting for it to change).
    pub fn notified(&self) -> Notified {
        Notified { notify: self.clone(), seen: self.0.count.get() }
    }

    /// Waits until `holds` answers true; it is asked at once and again at each notification.
    pub async fn wait_until(&self, mut holds: impl FnMut() -> bool) {
        loop {
            let next = self.notified();
            if holds() {
                return;
            }
            next.await;
        }
    }
}

/// The future of [`Notify::notified`].
pub struct Notified {
    notify: Notify,
    seen: u64,
}

impl Future for Notified {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.notify.0.count.get() != self.seen {
            return Poll::Ready(());
        }
        let mut waiting = self.notify.0.waiting.borrow_mut();
        // A task that is polled again for another reason must not pile up wakers.
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// Runs `count` futures, at most `limit` (at least one) of them at once, and gathers their values
/// in the order of their numbers. `start` makes the future of a number when its turn has come.
///
/// # Errors
/// The error of the first future that fails; the others are dropped where they are.
pub async fn try_join_bounded<T, E, F: Future<Output = Result<T, E>>>(
    count: usize,
    limit: usize,
    mut start: impl FnMut(usize) -> F,
) -> Result<Vec<T>, E> {
    let mut values: Vec<Option<T>> = (0..count).map(|_| None).collect();
    let mut running: Vec<(usize, Pin<Box<F>>)> = Vec::new();
    let mut next = 0;
    poll_fn(|cx| {
        loop {
            while running.len() < limit.max(1) && next < count {
                running.push((next, Box::pin(start(next))));
                next += 1;
            }
            let (running_before, mut failed) = (running.len(), None);
            running.retain_mut(|(number, future)| {
                if failed.is_some() {
                    return true;
                }
                match future.as_mut().poll(cx) {
                    Poll::Pending => true,
                    Poll::Ready(Ok(value)) => {
                        values[*number] = Some(value);
                        false
                    }
                    Poll::Ready(Err(error)) => {
                        failed = Some(error);
                        false
                    }
                }
            });
            if let Some(error) = failed {
                return Poll::Ready(Err(error));
            }
            if running.is_empty() && next == count {
                let finished = values.drain(..).map(|value| value.expect("every future has ended"));
                return Poll::Ready(Ok(finished.collect()));
            }
            // With none finished there is no room for another, and all have been polled.
            if running.len() == running_before {
                return Poll::Pending;
            }
        }
    })
    .await
}

//! Many seeds side by side. What is told does not depend on which thread was faster.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::{Outcome, run_seed};

/// Seeds by which a fast thread may run ahead of a slow one: what is held back is bounded.
const MAX_AHEAD: u64 = 10_000;
/// How often the fleet looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// Which seeds to run, and how.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    /// First seed.
    pub from: u64,
    /// How many.
    pub count: u64,
    /// Threads.
    pub threads: usize,
}

/// What came of a seed: its outcome, or why there is none.
pub type Told = Result<Outcome, String>;

impl Fleet {
    /// Runs the seeds and hands each outcome to `tell`, in the order of the seeds, until it answers false or `stop` is set.
    /// Answers how many were told.
    pub fn run(&self, stop: &AtomicBool, mut tell: impl FnMut(u64, Told) -> bool) -> u64 {
        let (next, told, over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        let (sender, receiver) = mpsc::channel::<(u64, Told)>();
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                let sender = sender.clone();
                scope.spawn(|| self.work(sender, &next, &told, &over));
            }
            drop(sender);
            let mut waiting: BTreeMap<u64, Told> = BTreeMap::new();
            let mut number = 0;
            while number < self.count && !over.load(Ordering::Relaxed) {
                match receiver.recv_timeout(LOOK) {
                    Ok((at, outcome)) => {
                        waiting.insert(at, outcome);
                    }
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                }
                while let Some(outcome) = waiting.remove(&number) {
                    let goes_on = tell(self.from + number, outcome);
                    number += 1;
                    told.store(number, Ordering::Relaxed);
                    if !goes_on {
                        over.store(true, Ordering::Relaxed);
                        break;
                    }
                }
                if stop.load(Ordering::Relaxed) {
                    over.store(true, Ordering::Relaxed);
                }
            }
            over.store(true, Ordering::Relaxed);
            number
        })
    }

    fn work(&self, sender: mpsc::Sender<(u64, Told)>, next: &AtomicU64, told: &AtomicU64, over: &AtomicBool) {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            while number > told.load(Ordering::Relaxed) + MAX_AHEAD && !over.load(Ordering::Relaxed) {
                std::thread::park_timeout(LOOK);
            }
            if number >= self.count || over.load(Ordering::Relaxed) {
                return;
            }
            // A panic is a defect of the model: the seed that shows it is worth as much as a broken promise.
            let outcome = match catch_unwind(AssertUnwindSafe(|| run_seed(self.from + number, &mut ()))) {
                Ok(Ok(outcome)) => Ok(outcome),
                Ok(Err(error)) => Err(chain(&error)),
                Err(_) => Err("the model panicked".to_owned()),
            };
            if sender.send((number, outcome)).is_err() {
                return;
            }
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

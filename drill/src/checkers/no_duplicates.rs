//! Promise 7: in visibility mode only messages at their last receive are copied; a copy is beside its original only if a
//! crash, or a call that failed, falls between send and delete.

use super::{Actor, Breaches, Checker, FinalState, Observation};
use crate::report::PromiseVerdict;
use crate::sim::Time;

/// Looks at every copy.
#[derive(Debug)]
pub struct NoDuplicates {
    max_receive_count: Option<u32>,
    fifo: bool,
    last_receives: u64,
    requeued: u64,
    breaches: Breaches,
}

impl NoDuplicates {
    /// The queue's redrive policy, and whether it is FIFO.
    pub fn new(max_receive_count: Option<u32>, fifo: bool) -> NoDuplicates {
        NoDuplicates { max_receive_count, fifo, last_receives: 0, requeued: 0, breaches: Breaches::default() }
    }
}

impl Checker for NoDuplicates {
    fn observe(&mut self, at: Time, observation: &Observation<'_>) {
        match observation {
            Observation::Copied { trace, by, received_count, requeues } => {
                let is_last = match (received_count, self.max_receive_count) {
                    (Some(count), Some(max)) => *count >= max,
                    _ => false,
                };
                if self.fifo {
                    self.breaches.add(at, || format!("message #{trace} of a FIFO queue was copied"));
                } else if is_last {
                    self.last_receives += 1;
                } else if *requeues && *by == Actor::Rejitter {
                    self.requeued += 1;
                } else {
                    let count = received_count.unwrap_or_default();
                    self.breaches.add(at, || {
                        format!("message #{trace} was copied by the {by:?} at receive {count}, not its last")
                    });
                }
            }
            Observation::CopyLeftBeside { trace } => {
                self.breaches.add(at, || {
                    format!("message #{trace} was copied and not deleted, although nothing failed in between")
                });
            }
            _ => {}
        }
    }

    fn verdict(&self, _end: &FinalState<'_>) -> PromiseVerdict {
        let held = format!(
            "{} copied at their last receive, {} requeued, each original deleted",
            self.last_receives, self.requeued
        );
        self.breaches.verdict("no_duplicates_by_us", held)
    }
}

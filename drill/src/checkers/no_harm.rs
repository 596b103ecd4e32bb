//! Promise 5: no message reaches a dead-letter queue because of a receive by the breaker; none is deleted that was not
//! processed.

use super::{Actor, Breaches, Checker, FinalState, Observation};
use crate::report::PromiseVerdict;
use crate::sim::Time;

/// Looks at who received a dead-lettered message last, and at what the breaker deletes.
#[derive(Debug, Default)]
pub struct NoHarmByProbing {
    dead_lettered: u64,
    deleted: u64,
    breaches: Breaches,
}

impl Checker for NoHarmByProbing {
    fn observe(&mut self, at: Time, observation: &Observation<'_>) {
        match observation {
            Observation::DeadLettered { trace, last: Some(last), fifo } => {
                self.dead_lettered += 1;
                let by_breaker = matches!(last.by, Actor::Probe | Actor::Rejitter);
                // On FIFO the probe is the message's own try; on a standard queue its last receive is never ours, unless
                // a fault kept the breaker from giving it back. What was processed before is not harmed, nor is what
                // was copied and deleted, and came back as SQS allows: the copy waits.
                let harmless = (*fifo && last.tried) || last.excused || last.processed || last.is_elsewhere;
                if by_breaker && !harmless {
                    self.breaches.add(at, || {
                        format!(
                            "message #{trace} was dead-lettered after its last receive by the {:?}",
                            last.by
                        )
                    });
                }
            }
            Observation::Deleted { trace, by: Actor::Probe | Actor::Rejitter, safe } => {
                self.deleted += 1;
                if !safe {
                    self.breaches
                        .add(at, || format!("message #{trace} was deleted unprocessed, without a copy"));
                }
            }
            Observation::DeadLettered { last: None, .. } => self.dead_lettered += 1,
            _ => {}
        }
    }

    fn verdict(&self, _end: &FinalState<'_>) -> PromiseVerdict {
        let held = format!(
            "{} dead-lettered, none by a receive of the breaker; {} deleted by it, each processed or copied",
            self.dead_lettered, self.deleted
        );
        self.breaches.verdict("no_harm_by_probing", held)
    }
}

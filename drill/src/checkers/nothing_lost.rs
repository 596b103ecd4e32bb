//! Promise 1: every message sent is processed, still queued, or dead-lettered by the queue's own policy.

use super::{Checker, FinalState, Observation};
use crate::report::PromiseVerdict;
use crate::sim::Time;

/// Looks at the books at the end.
#[derive(Debug)]
pub struct NothingLost;

impl Checker for NothingLost {
    fn observe(&mut self, _at: Time, _observation: &Observation<'_>) {}

    fn verdict(&self, end: &FinalState<'_>) -> PromiseVerdict {
        let balance = end.books.balance();
        let held = balance.lost == 0
            && balance.expired == 0
            && balance.incomplete_copies == 0
            && balance.incomplete_deliveries == 0;
        let detail = if balance.incomplete_copies > 0 {
            format!("{} copies lack something that the original had", balance.incomplete_copies)
        } else if balance.incomplete_deliveries > 0 {
            format!("{} deliveries lack something that was sent", balance.incomplete_deliveries)
        } else if balance.expired > 0 {
            format!(
                "{} of {} messages expired unprocessed: a retention deleted them",
                balance.expired, balance.sent
            )
        } else if held {
            format!(
                "{} sent: {} processed, {} queued, {} dead-lettered, {} purged by the operator",
                balance.sent, balance.processed, balance.still_queued, balance.dead_lettered, balance.purged
            )
        } else {
            let numbers: Vec<String> = end.books.lost().take(5).map(|trace| format!("#{trace}")).collect();
            format!("{} of {} messages are nowhere: {} ...", balance.lost, balance.sent, numbers.join(", "))
        };
        PromiseVerdict { name: "nothing_lost", held, detail }
    }
}

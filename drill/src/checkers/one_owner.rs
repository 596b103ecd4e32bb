//! Promise 3: at most one execution acts on a mapping; stale writes are refused.

use super::{Breaches, Checker, FinalState, Observation};
use crate::report::PromiseVerdict;
use crate::sim::Time;

/// Follows who owns the circuit, and holds every accepted write and every act against it.
#[derive(Debug, Default)]
pub struct OneOwner {
    owner: Option<String>,
    epoch: u64,
    claimed_at: Option<Time>,
    claims: u64,
    acts: u64,
    breaches: Breaches,
}

impl Checker for OneOwner {
    fn observe(&mut self, at: Time, observation: &Observation<'_>) {
        match observation {
            Observation::ItemWritten { by, epoch, owner } => {
                if *epoch < self.epoch {
                    let was = self.epoch;
                    self.breaches.add(at, || format!("the epoch went back from {was} to {epoch}"));
                } else if *epoch > self.epoch {
                    self.claims += 1;
                    self.claimed_at = Some(at);
                    if owner != by {
                        self.breaches.add(at, || format!("{by} claimed the circuit for {owner}"));
                    }
                } else if self.owner.as_deref() != Some(*by) {
                    let held_by = self.owner.clone().unwrap_or_default();
                    self.breaches.add(at, || {
                        format!("{by} wrote the circuit's item, which {held_by} owns with epoch {epoch}")
                    });
                }
                self.epoch = *epoch;
                self.owner = Some((*owner).to_owned());
            }
            // A claim that falls between a function's look at the fence and its act cannot be seen by it, because a
            // mapping has no conditional update. Whoever looked after the claim has no excuse.
            Observation::MappingActed { epoch, fenced_at } => {
                self.acts += 1;
                let current = self.epoch;
                let looked_late = fenced_at.is_none() || *fenced_at >= self.claimed_at;
                if *epoch != Some(current) && looked_late {
                    let epoch = epoch.map_or("none".to_owned(), |epoch| epoch.to_string());
                    self.breaches.add(at, || {
                        format!("a function changed the mapping with epoch {epoch}; the circuit has epoch {current}")
                    });
                }
            }
            _ => {}
        }
    }

    fn verdict(&self, _end: &FinalState<'_>) -> PromiseVerdict {
        let held = format!("{} claims, {} acts on the mapping, each by the owner", self.claims, self.acts);
        self.breaches.verdict("one_owner", held)
    }
}

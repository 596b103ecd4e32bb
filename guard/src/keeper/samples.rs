//! Taking the lease of a sample, and giving it back with its result.

use std::time::Duration;

use super::{Keeper, MAX_END_TRIES, MAX_WRITE_TRIES, Permit};
use crate::error::CircuitOpen;
use crate::machine::{self, OpenCause, Outcome, Verdict};
use crate::record::GuardState;
use crate::store::{Store, Written};

impl<S: Store> Keeper<S> {
    /// A lease for a sample, if there is one.
    pub(super) async fn take_sample(&self) -> Result<Permit, CircuitOpen> {
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
    pub(super) fn sample_alone(&self) -> Option<Result<Permit, CircuitOpen>> {
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

    pub(super) async fn settle_sample(&self, lease_id: u64, outcome: Outcome) {
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
}

//! Counting calls, and saying what was counted when it is worth it.

use super::{Keeper, Known, MAX_WRITE_TRIES, is_older};
use crate::machine;
use crate::store::{Store, Written};
use crate::trip::{self, TripRequest};

/// What follows from a call that was counted.
pub(super) enum Noted {
    /// Nothing, for now.
    Enough,
    /// The counts are to be said.
    ToSay,
    /// The circuit of this instance alone has opened, for this reason.
    Tripped(String),
}

impl<S: Store> Keeper<S> {
    pub(super) fn note(&self, generation: u64, failed: bool, slow: bool, now_ms: u64) -> Noted {
        let mut known = self.known();
        if known.generation != generation {
            return Noted::Enough;
        }
        known.window.record(now_ms, failed, slow, &self.settings);
        if !failed && !slow {
            return Noted::Enough;
        }
        if known.alone.is_some() {
            return self.count_alone(&mut known, now_ms).map_or(Noted::Enough, Noted::Tripped);
        }
        if self.is_due_to_say(&known, now_ms) && known.window.is_alarming(now_ms, &self.settings) {
            Noted::ToSay
        } else {
            Noted::Enough
        }
    }

    /// Whether it is time to write counts. A store that does not answer is not asked at every call.
    pub(super) fn is_due_to_say(&self, known: &Known, now_ms: u64) -> bool {
        is_older(known.flushed_at_ms, now_ms, self.settings.flush_every)
            && is_older(known.failed_at_ms, now_ms, self.settings.refresh_every)
    }

    /// Whether this instance's own calls trip its circuit.
    pub(super) fn count_alone(&self, known: &mut Known, now_ms: u64) -> Option<String> {
        let report = known.window.everything();
        let alone = known.alone.as_mut()?;
        let chance = self.chance.unit();
        let (record, cause) = machine::count(alone, &report, false, now_ms, chance, &self.settings)?;
        cause?;
        let reason = record.reason.clone();
        alone.record = record;
        known.changed();
        Some(reason)
    }

    /// Says what there is to say, at the end of a call that was bad. It waits for a refresh beside it, as a function may be
    /// frozen as soon as it has answered; that may have said it already.
    pub(super) async fn say(&self) {
        let turn = self.gate.lock().await;
        let is_due = self.is_due_to_say(&self.known(), self.clock.now_ms());
        let trip = if is_due { self.sync().await } else { None };
        drop(turn);
        self.announce(trip).await;
    }

    /// Says what there is to say, whether or not it is time to.
    pub(crate) async fn flush(&self) {
        let turn = self.gate.lock().await;
        self.known().flushed_at_ms = None;
        let trip = self.sync().await;
        drop(turn);
        self.announce(trip).await;
    }

    /// Reads the state, and says what the window has to say if that is worth it. Gives the reason if that trips the
    /// circuit. Whoever calls it has the gate.
    pub(super) async fn sync(&self) -> Option<String> {
        for tries in 0..MAX_WRITE_TRIES {
            let item = self.read().await.ok()?;
            let now_ms = self.clock.now_ms();
            let (generation, report, next) = {
                let mut known = self.known();
                let is_due = tries > 0 || is_older(known.flushed_at_ms, now_ms, self.settings.flush_every);
                let is_alarming = known.window.is_alarming(now_ms, &self.settings)
                    || machine::is_alarming(&machine::effective(&item), now_ms, &self.settings);
                if !is_due || !is_alarming {
                    return None;
                }
                let report = known.window.report();
                let next = machine::count(&item, &report, true, now_ms, self.chance.unit(), &self.settings);
                (known.generation, report, next)
            };
            let (record, cause) = next?;
            // Whether or not it arrives: many instances that write at once must not try at every call.
            self.known().flushed_at_ms = Some(now_ms);
            let reason = cause.map(|_| record.reason.clone());
            match self.write(&item, record).await {
                Ok(Written::Done) => {
                    let mut known = self.known();
                    if known.generation == generation {
                        known.window.said(&report);
                    }
                    return reason;
                }
                Ok(Written::Refused) => {}
                Err(_) => return None,
            }
        }
        None
    }

    pub(super) async fn announce(&self, trip: Option<String>) {
        let Some(reason) = trip else { return };
        if let Some(hook) = &self.on_trip {
            trip::announce(hook, TripRequest::new(&self.circuit, &reason)).await;
        }
    }
}

//! The one way to the store: how long it may take, what an answer means for what is known, and what happens without one.

use std::future::Future;
use std::time::Duration;

use workflow::circuit::CircuitState;

use super::{Keeper, off_the_common_path};
use crate::machine;
use crate::record::{GuardState, Item, Record};
use crate::settings::ms;
use crate::store::{Store, StoreError, Written};

/// Writes in a row that fail although the store can be read, until that is said: a role that may only read, as a rule.
const MAX_FAILED_WRITES: u32 = 3;

impl<S: Store> Keeper<S> {
    /// Reads the item and takes it for what is known.
    pub(crate) async fn read(&self) -> Result<Item, StoreError> {
        let asked_at_ms = self.clock.now_ms();
        let asked_at = self.clock.elapsed();
        let answer = self.timed("reading", self.store.read(&self.circuit)).await;
        match answer {
            Ok(item) => {
                self.reached();
                self.adopt(&item, asked_at_ms, asked_at);
                Ok(item)
            }
            Err(error) => Err(self.unreached(error)),
        }
    }

    /// Writes the record as the next revision. If the answer is lost, a read tells whether it has arrived.
    pub(super) async fn write(&self, seen: &Item, mut record: Record) -> Result<Written, StoreError> {
        record.revision = seen.record.revision.saturating_add(1);
        record.writer = self.chance.number();
        let asked_at_ms = self.clock.now_ms();
        let asked_at = self.clock.elapsed();
        let answer = self.timed("writing", self.store.write(&self.circuit, seen, &record)).await;
        match answer {
            Ok(Written::Done) => {
                self.known().failed_write_count = 0;
                let item = Item { workflow: seen.workflow.clone(), record };
                self.adopt(&item, asked_at_ms, asked_at);
                Ok(Written::Done)
            }
            Ok(Written::Refused) => Ok(Written::Refused),
            Err(error) => {
                let error = self.unreached(error);
                let found = self.read().await?;
                if found.record.writer == record.writer {
                    return Ok(Written::Done);
                }
                let failed_write_count = {
                    let mut known = self.known();
                    known.failed_write_count = known.failed_write_count.saturating_add(1);
                    known.failed_write_count
                };
                if failed_write_count == MAX_FAILED_WRITES {
                    tracing::warn!(
                        circuit = self.circuit,
                        %error,
                        cause = source_of(&error),
                        "the guard can read its store and cannot write to it; it obeys, and does not open the circuit"
                    );
                }
                Err(error)
            }
        }
    }

    pub(crate) async fn timed<T>(
        &self,
        operation: &'static str,
        request: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let limit = self.settings.store_timeout;
        tokio::time::timeout(limit, off_the_common_path(request)).await.unwrap_or_else(|_| {
            let what = format!("no answer within {} ms (store_timeout)", limit.as_millis());
            Err(StoreError::new(operation, &self.circuit, what))
        })
    }

    /// Takes an item for what is known, unless something newer is known already: answers can overtake each other.
    pub(super) fn adopt(&self, item: &Item, asked_at_ms: u64, asked_at: Duration) {
        let answered_at = self.clock.elapsed();
        let mut known = self.known();
        if known.read_at_ms.is_some()
            && asked_at < known.adopted_at
            && item.record.revision < known.item.record.revision
        {
            return;
        }
        let phase = |item: &Item| {
            let record = machine::effective(item);
            (record.epoch, record.outage_ms, machine::is_owned(item), record.isolation.is_some())
        };
        if known.read_at_ms.is_none() || phase(&known.item) != phase(item) {
            if known.read_at_ms.is_some() {
                self.say_change(item);
            }
            known.changed();
        }
        known.item = item.clone();
        known.read_at_ms = Some(asked_at_ms);
        known.adopted_at = answered_at;
    }

    pub(super) fn say_change(&self, item: &Item) {
        let record = machine::effective(item);
        let state = match item.workflow.state {
            CircuitState::Closed => record.state.name(),
            CircuitState::Open | CircuitState::HalfOpen | CircuitState::Held => item.workflow.state.name(),
        };
        tracing::info!(
            circuit = self.circuit,
            state,
            by_workflow = machine::is_owned(item),
            isolated = record.isolation.is_some(),
            reason = record.reason,
            "the circuit has changed"
        );
    }

    pub(super) fn reached(&self) {
        let mut known = self.known();
        known.failing_since_ms = None;
        known.failed_at_ms = None;
        if let Some(alone) = known.alone.take() {
            if alone.record.state != GuardState::Closed {
                known.changed();
            }
            drop(known);
            tracing::warn!(
                circuit = self.circuit,
                "the guard's store can be reached again; its state is obeyed again"
            );
        }
    }

    pub(super) fn unreached(&self, error: StoreError) -> StoreError {
        let now_ms = self.clock.now_ms();
        let mut known = self.known();
        known.failed_at_ms = Some(now_ms);
        let since_ms = *known.failing_since_ms.get_or_insert(now_ms);
        let is_over = now_ms.abs_diff(since_ms) >= ms(self.settings.store_grace);
        if known.alone.is_none() && (known.read_at_ms.is_none() || is_over) {
            let alone = machine::alone(&known.item, now_ms, self.chance.unit(), &self.settings);
            // What was counted of a closed circuit still counts.
            if alone.record.state != GuardState::Closed {
                known.changed();
            }
            known.alone = Some(alone);
            drop(known);
            tracing::warn!(
                circuit = self.circuit,
                %error,
                cause = source_of(&error),
                "the guard's store cannot be reached; calls pass, and this instance counts for itself alone"
            );
        }
        error
    }
}

fn source_of(error: &StoreError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

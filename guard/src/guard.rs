//! The guard that a function or a service holds.

use std::future::Future;
use std::sync::Arc;

use crate::builder::Builder;
use crate::error::CallError;
use crate::judge::{EveryError, Judge};
use crate::keeper::{Keeper, Permit};
use crate::layer::GuardLayer;
use crate::machine::{self, Outcome, Verdict};
use crate::record::Item;
use crate::store::{Store, StoreError};

/// Guards the calls of one dependency. Clones share everything; make one per process and dependency, outside of the handler.
pub struct Guard<S, J = EveryError> {
    pub(crate) keeper: Arc<Keeper<S>>,
    pub(crate) judge: Arc<J>,
    pub(crate) kept: Arc<crate::fallback::Kept>,
}

impl<S, J> Clone for Guard<S, J> {
    fn clone(&self) -> Guard<S, J> {
        Guard { keeper: self.keeper.clone(), judge: self.judge.clone(), kept: self.kept.clone() }
    }
}

/// How a circuit stands, as [`Guard::status`] reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What a call would be told now.
    pub verdict: Verdict,
    /// What the store holds.
    pub item: Item,
}

impl<S: Store> Guard<S> {
    /// A guard of the circuit with this name, which every instance gives alike, on this store. To share the circuit of a
    /// queue's breaker, it is the circuit's name in `breaker.toml`.
    pub fn builder(circuit: impl Into<String>, store: S) -> Builder<S> {
        Builder::new(circuit.into(), store)
    }
}

impl<S: Store, J> Guard<S, J> {
    /// Makes a call if the circuit lets it pass.
    ///
    /// A call that is dropped before it has ended is not counted; set `call_timeout` instead of a timeout around it. A
    /// sample that is dropped keeps its lease until that expires.
    ///
    /// # Errors
    /// [`CallError::Open`] without having called `call`; [`CallError::TimedOut`] if it took longer than `call_timeout`, or
    /// as a sample longer than `sample_timeout`; [`CallError::Failed`] with the error that it has given.
    ///
    /// # Panics
    /// Outside of a Tokio runtime with time.
    pub async fn call<T, E, F, Fut>(&self, call: F) -> Result<T, CallError<E>>
    where
        J: Judge<T, E>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let permit = self.keeper.admit().await?;
        let clock = &self.keeper.clock;
        let began = clock.elapsed();
        let limit = match permit {
            Permit::Closed { .. } => self.keeper.settings.call_timeout,
            Permit::Sample { until, .. } => {
                let left = until.saturating_sub(began);
                Some(self.keeper.settings.call_timeout.map_or(left, |limit| limit.min(left)))
            }
        };
        let ended = match limit {
            None => Some(call().await),
            Some(limit) => tokio::time::timeout(limit, call()).await.ok(),
        };
        let outcome = ended.as_ref().map_or(Outcome::Failure, |result| self.judge.judge(result));
        self.keeper.settle(permit, outcome, clock.elapsed().saturating_sub(began)).await;
        match (ended, limit) {
            (Some(result), _) => result.map_err(CallError::Failed),
            (None, limit) => Err(CallError::TimedOut { limit: limit.unwrap_or_default() }),
        }
    }

    /// A layer of `tower` that guards a service. All services made by it share this guard.
    pub fn layer(&self) -> GuardLayer<S, J> {
        GuardLayer::new(self.clone())
    }

    /// Writes the counts that were not written yet, if they are worth it. For the end of a process; the calls do it
    /// otherwise.
    pub async fn flush(&self) {
        self.keeper.flush().await;
    }

    /// Reads how the circuit stands.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached.
    pub async fn status(&self) -> Result<Status, StoreError> {
        let item = self.keeper.read().await?;
        let verdict = machine::verdict(&item, self.keeper.clock.now_ms(), &self.keeper.settings);
        Ok(Status { verdict, item })
    }

    /// Refuses every call, of every instance, until [`Guard::release`]. Other instances know of it after `refresh_every` as
    /// a rule, and after `stale_after` at the latest. The queue's breaker does not act on it: hold that with `breaker hold`.
    /// Gives whether it was not isolated before.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached, or if other instances wrote each time in between.
    pub async fn isolate(&self, by: &str, reason: &str) -> Result<bool, StoreError> {
        self.keeper.isolate(Some((by.to_owned(), reason.to_owned()))).await
    }

    /// Ends an isolation. The circuit goes on in the state in which it was. Gives whether it was isolated.
    ///
    /// # Errors
    /// As [`Guard::isolate`].
    pub async fn release(&self) -> Result<bool, StoreError> {
        self.keeper.isolate(None).await
    }
}

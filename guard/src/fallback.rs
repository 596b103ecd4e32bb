//! Answers for when the dependency gives none: the caller's own, or the last good one that was kept.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::CallError;
use crate::guard::Guard;
use crate::judge::Judge;
use crate::machine::Outcome;
use crate::settings::ms;
use crate::store::{KeptAnswer, Store};

/// Most keys of which an instance remembers when it has kept an answer last.
const MAX_KEYS: usize = 10_000;
/// Longest key, in bytes. A key of DynamoDB has at most 2,048.
pub const MAX_KEY_BYTES: usize = 1_024;

/// An answer, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T, E> {
    /// The answer.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin<E>,
}

/// Where an answer comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin<E> {
    /// The dependency has just given it.
    Dependency,
    /// The caller's fallback.
    Fallback {
        /// Why there is no other.
        why: CallError<E>,
    },
    /// The dependency gave it earlier.
    Kept {
        /// How long ago.
        age: Duration,
        /// Why there is no other.
        why: CallError<E>,
    },
}

impl<T, E> Answer<T, E> {
    /// Whether the dependency has not just given it.
    pub fn is_fallback(&self) -> bool {
        self.why().is_some()
    }

    /// Why it is a fallback, if it is one.
    pub fn why(&self) -> Option<&CallError<E>> {
        match &self.origin {
            Origin::Dependency => None,
            Origin::Fallback { why } | Origin::Kept { why, .. } => Some(why),
        }
    }
}

/// When an instance has kept an answer under which key last.
#[derive(Default)]
pub(crate) struct Kept(Mutex<BTreeMap<String, u64>>);

impl Kept {
    /// Whether it is time to keep another one; then it is noted as kept.
    fn is_due(&self, key: &str, now_ms: u64, every: Duration) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.get(key).is_some_and(|at_ms| now_ms.abs_diff(*at_ms) < ms(every)) {
            return false;
        }
        if kept.len() >= MAX_KEYS {
            kept.retain(|_, at_ms| now_ms.abs_diff(*at_ms) < ms(every));
            if kept.len() >= MAX_KEYS {
                kept.clear();
            }
        }
        kept.insert(key.to_owned(), now_ms);
        true
    }
}

impl<S: Store, J> Guard<S, J> {
    /// As [`Guard::call`], with an answer of the caller's for when the dependency is in trouble: the circuit is open, the
    /// call took too long, or its error counts as a failure.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let guard = guard::Guard::builder("prices", guard::MemoryStore::new()).build()?;
    /// let price = guard.call_or(|_why| 100, || async { Err::<u32, _>("no connection") }).await?;
    /// assert_eq!(price.value, 100);
    /// assert!(price.is_fallback());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The dependency's error, if it does not count as a failure: that is an answer.
    pub async fn call_or<T, E, F, Fut>(
        &self,
        fallback: impl FnOnce(&CallError<E>) -> T,
        call: F,
    ) -> Result<Answer<T, E>, E>
    where
        J: Judge<T, E>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        match self.call_in_trouble(call).await? {
            Ok(value) => Ok(Answer { value, origin: Origin::Dependency }),
            Err(why) => Ok(Answer { value: fallback(&why), origin: Origin::Fallback { why } }),
        }
    }

    /// As [`Guard::call_or`], with a value that is there already.
    ///
    /// # Errors
    /// As [`Guard::call_or`].
    pub async fn call_or_value<T, E, F, Fut>(&self, value: T, call: F) -> Result<Answer<T, E>, E>
    where
        J: Judge<T, E>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.call_or(|_| value, call).await
    }

    /// As [`Guard::call`], and keeps the last good answer under `key` in the store, for when the dependency is in trouble:
    /// `stale-if-error`. It is written by one instance at most every `answer_keep_every`, is of use for `answer_max_age`, and
    /// not kept if it is longer than `answer_max_bytes` as JSON. The call that keeps an answer waits for that, at most
    /// `store_timeout`.
    ///
    /// `key` names the question, within the circuit, in at most [`MAX_KEY_BYTES`]. What belongs to one user needs the user
    /// in the key, or others get it.
    ///
    /// # Errors
    /// [`CallError`] as from [`Guard::call`], if its error does not count as a failure, or if there is no answer to give
    /// instead.
    pub async fn call_or_kept<T, E, F, Fut>(&self, key: &str, call: F) -> Result<Answer<T, E>, CallError<E>>
    where
        T: Serialize + DeserializeOwned,
        J: Judge<T, E>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        match self.call_in_trouble(call).await.map_err(CallError::Failed)? {
            Ok(value) => {
                self.keep(key, &value).await;
                Ok(Answer { value, origin: Origin::Dependency })
            }
            Err(why) => match self.kept(key).await {
                Some((value, age)) => Ok(Answer { value, origin: Origin::Kept { age, why } }),
                None => Err(why),
            },
        }
    }

    /// A call whose errors are told apart: outside those that are answers, inside those that say that the dependency is in
    /// trouble.
    async fn call_in_trouble<T, E, F, Fut>(&self, call: F) -> Result<Result<T, CallError<E>>, E>
    where
        J: Judge<T, E>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        match self.call(call).await {
            Err(CallError::Failed(error)) => {
                let result = Err(error);
                let outcome = self.judge.judge(&result);
                match (result, outcome) {
                    (Err(error), Outcome::Success) => Err(error),
                    (result, _) => Ok(result.map_err(CallError::Failed)),
                }
            }
            ended => Ok(ended),
        }
    }

    async fn keep<T: Serialize>(&self, key: &str, value: &T) {
        let keeper = &self.keeper;
        let settings = &keeper.settings;
        let now_ms = keeper.clock.now_ms();
        if !self.kept.is_due(key, now_ms, settings.answer_keep_every) {
            return;
        }
        let json = match serde_json::to_string(value) {
            Ok(json) => json,
            Err(error) => {
                tracing::warn!(circuit = keeper.circuit, %error, "an answer cannot be kept, as it has no JSON form");
                return;
            }
        };
        if json.len() > settings.answer_max_bytes || key.len() > MAX_KEY_BYTES {
            tracing::warn!(
                circuit = keeper.circuit,
                answer_bytes = json.len(),
                answer_max_bytes = settings.answer_max_bytes,
                key_bytes = key.len(),
                key_max_bytes = MAX_KEY_BYTES,
                "an answer is not kept: it, or its key, is too long"
            );
            return;
        }
        let answer = KeptAnswer { at_ms: now_ms, json };
        let ttl_ms = ms(settings.answer_max_age);
        let request = keeper.store.keep_answer(&keeper.circuit, key, &answer, ttl_ms);
        if let Err(error) = keeper.timed("keeping an answer", request).await {
            tracing::debug!(circuit = keeper.circuit, %error, "an answer was not kept");
        }
    }

    async fn kept<T: DeserializeOwned>(&self, key: &str) -> Option<(T, Duration)> {
        let keeper = &self.keeper;
        let request = keeper.store.answer(&keeper.circuit, key);
        let found = match keeper.timed("reading an answer", request).await {
            Ok(found) => found?,
            Err(error) => {
                tracing::debug!(circuit = keeper.circuit, %error, "no kept answer could be read");
                return None;
            }
        };
        let age_ms = keeper.clock.now_ms().saturating_sub(found.at_ms);
        if age_ms > ms(keeper.settings.answer_max_age) {
            return None;
        }
        match serde_json::from_str(&found.json) {
            Ok(value) => Some((value, Duration::from_millis(age_ms))),
            Err(error) => {
                // Kept by another version of the program.
                tracing::warn!(circuit = keeper.circuit, %error, "a kept answer does not have the form that is asked for");
                None
            }
        }
    }
}

//! Makes a guard from its settings and its ports.

use std::future::Future;
use std::sync::Arc;

use crate::fallback::Kept;
use crate::guard::Guard;
use crate::judge::{ErrorsThat, EveryError, Results};
use crate::keeper::Keeper;
use crate::machine::Outcome;
use crate::ports::{Chance, Clock, SystemChance, SystemClock};
use crate::settings::{Finding, InvalidSettings, Settings};
use crate::store::Store;
use crate::trip::{HookError, TripHook, TripRequest};

/// Longest name of a circuit, characters: as in `breaker.toml`.
const MAX_NAME: usize = 32;

/// A guard in the making: [`Guard::builder`].
pub struct Builder<S, J = EveryError> {
    circuit: String,
    store: S,
    judge: J,
    settings: Settings,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    on_trip: Option<TripHook>,
}

impl<S: Store> Builder<S> {
    pub(crate) fn new(circuit: String, store: S) -> Builder<S> {
        Builder {
            circuit,
            store,
            judge: EveryError,
            settings: Settings::default(),
            clock: Arc::new(SystemClock::new()),
            chance: Arc::new(SystemChance),
            on_trip: None,
        }
    }
}

impl<S: Store, J> Builder<S, J> {
    /// Settings other than [`Settings::default`]. All instances of a circuit should have the same.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Counts only the errors for which this is true as failures: those that say that the dependency is in trouble. A
    /// refusal of a request that was wrong is an answer, and counts as a success.
    pub fn failure_if<E, P>(self, predicate: P) -> Builder<S, ErrorsThat<P>>
    where
        P: Fn(&E) -> bool + Send + Sync + 'static,
    {
        self.with_judge(ErrorsThat(predicate))
    }

    /// Decides by the whole result how it counts, for dependencies that say so in their answers.
    pub fn judge<T, E, P>(self, predicate: P) -> Builder<S, Results<P>>
    where
        P: Fn(&Result<T, E>) -> Outcome + Send + Sync + 'static,
    {
        self.with_judge(Results(predicate))
    }

    fn with_judge<K>(self, judge: K) -> Builder<S, K> {
        let Builder { circuit, store, judge: _, settings, clock, chance, on_trip } = self;
        Builder { circuit, store, judge, settings, clock, chance, on_trip }
    }

    /// What to do when this instance has opened the circuit; not when a sample opens it again. Put the request on the event
    /// bus, and the workflow of the queue's breaker opens the queue's circuit too. The call that has tripped it waits for
    /// it, at most [`crate::trip::MAX_HOOK`]; an error is logged.
    #[must_use]
    pub fn on_trip<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(TripRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HookError>> + Send + 'static,
    {
        self.on_trip = Some(Arc::new(move |request| Box::pin(hook(request))));
        self
    }

    /// Another clock than the machine's, for tests.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Another source of chance than the operating system, for tests.
    #[must_use]
    pub fn chance(mut self, chance: impl Chance) -> Self {
        self.chance = Arc::new(chance);
        self
    }

    /// The guard. It reads nothing yet: the first call does.
    ///
    /// # Errors
    /// [`InvalidSettings`] with everything that is out of its range.
    pub fn build(self) -> Result<Guard<S, J>, InvalidSettings> {
        let mut findings = self.settings.findings();
        if !is_name(&self.circuit) {
            findings.push(Finding {
                setting: "circuit",
                value: format!("{:?}", self.circuit),
                allowed: format!(
                    "a lower case letter, then at most {} of lower case letters, digits and -",
                    MAX_NAME - 1
                ),
            });
        }
        if !findings.is_empty() {
            return Err(InvalidSettings { circuit: self.circuit, findings });
        }
        let kept = Arc::new(Kept::default());
        let keeper =
            Keeper::new(self.circuit, self.store, self.settings, self.clock, self.chance, self.on_trip);
        Ok(Guard { keeper: Arc::new(keeper), judge: Arc::new(self.judge), kept })
    }
}

fn is_name(circuit: &str) -> bool {
    circuit.len() <= MAX_NAME
        && circuit.starts_with(|first: char| first.is_ascii_lowercase())
        && circuit.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-')
}

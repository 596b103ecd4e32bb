//! Which answers count against the dependency.

use crate::machine::Outcome;

/// Decides how a call's result counts.
pub trait Judge<T, E>: Send + Sync + 'static {
    /// How this result counts.
    fn judge(&self, result: &Result<T, E>) -> Outcome;
}

/// Every error is a failure: the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct EveryError;

impl<T, E> Judge<T, E> for EveryError {
    fn judge(&self, result: &Result<T, E>) -> Outcome {
        if result.is_err() { Outcome::Failure } else { Outcome::Success }
    }
}

/// Only errors for which the predicate is true are failures: [`crate::Builder::failure_if`].
#[derive(Clone, Copy, Debug)]
pub struct ErrorsThat<P>(pub(crate) P);

impl<T, E, P> Judge<T, E> for ErrorsThat<P>
where
    P: Fn(&E) -> bool + Send + Sync + 'static,
{
    fn judge(&self, result: &Result<T, E>) -> Outcome {
        match result {
            Err(error) if (self.0)(error) => Outcome::Failure,
            Ok(_) | Err(_) => Outcome::Success,
        }
    }
}

/// The predicate sees the whole result: [`crate::Builder::judge`].
#[derive(Clone, Copy, Debug)]
pub struct Results<P>(pub(crate) P);

impl<T, E, P> Judge<T, E> for Results<P>
where
    P: Fn(&Result<T, E>) -> Outcome + Send + Sync + 'static,
{
    fn judge(&self, result: &Result<T, E>) -> Outcome {
        (self.0)(result)
    }
}

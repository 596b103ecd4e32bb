//! A guard as a layer of `tower`.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::error::CallError;
use crate::guard::Guard;
use crate::judge::Judge;
use crate::store::Store;

/// Wraps services in a guard: [`Guard::layer`].
pub struct GuardLayer<S, J> {
    guard: Guard<S, J>,
}

impl<S, J> GuardLayer<S, J> {
    pub(crate) fn new(guard: Guard<S, J>) -> GuardLayer<S, J> {
        GuardLayer { guard }
    }
}

impl<S, J> Clone for GuardLayer<S, J> {
    fn clone(&self) -> GuardLayer<S, J> {
        GuardLayer { guard: self.guard.clone() }
    }
}

impl<S, J, Inner> Layer<Inner> for GuardLayer<S, J> {
    type Service = GuardService<Inner, S, J>;

    fn layer(&self, inner: Inner) -> Self::Service {
        GuardService { inner, guard: self.guard.clone() }
    }
}

/// A guarded service.
///
/// It is always ready: while the circuit is open it has to answer, whether or not the service inside is ready. That one is
/// waited for within the guarded call, so a dependency that is never ready is noticed by `call_timeout` and `slow_call`.
pub struct GuardService<Inner, S, J> {
    inner: Inner,
    guard: Guard<S, J>,
}

impl<Inner: Clone, S, J> Clone for GuardService<Inner, S, J> {
    fn clone(&self) -> Self {
        GuardService { inner: self.inner.clone(), guard: self.guard.clone() }
    }
}

impl<Request, Inner, S, J> Service<Request> for GuardService<Inner, S, J>
where
    Request: Send + 'static,
    Inner: Service<Request> + Clone + Send + 'static,
    Inner::Future: Send,
    Inner::Response: Send,
    Inner::Error: Send,
    S: Store,
    J: Judge<Inner::Response, Inner::Error>,
{
    type Response = Inner::Response;
    type Error = CallError<Inner::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let guard = self.guard.clone();
        let mut inner = self.inner.clone();
        Box::pin(async move {
            let guarded = || async move {
                poll_fn(|context| inner.poll_ready(context)).await?;
                inner.call(request).await
            };
            guard.call(guarded).await
        })
    }
}

//! The layer of `tower`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use guard::{CallError, Settings};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_guarded_service_fails_fast_while_it_is_open() {
    let table = Table::new();
    let calls = Arc::new(AtomicU64::new(0));
    let counted = calls.clone();
    let mut service =
        ServiceBuilder::new().layer(table.guard(quick()).layer()).service(service_fn(move |number: u32| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move { if number == 0 { Err(Trouble::Down) } else { Ok(number) } }
        }));
    assert_eq!(service.ready().await.unwrap().call(5).await, Ok(5));
    for _ in 0..3 {
        let result = service.ready().await.unwrap().call(0).await;
        assert_eq!(result, Err(CallError::Failed(Trouble::Down)));
    }
    let result = service.ready().await.unwrap().call(5).await;
    assert!(matches!(result, Err(CallError::Open(_))));
    assert_eq!(calls.load(Ordering::Relaxed), 4);
}

/// Such as a connection that cannot be made while the dependency is down.
#[derive(Clone)]
struct NeverReady;

impl Service<u32> for NeverReady {
    type Response = u32;
    type Error = Trouble;
    type Future = std::future::Ready<Result<u32, Trouble>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Trouble>> {
        Poll::Pending
    }

    fn call(&mut self, number: u32) -> Self::Future {
        std::future::ready(Ok(number))
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_never_ready_is_noticed_and_does_not_delay_the_refusal() {
    let table = Table::new();
    let guard = table.guard(Settings { call_timeout: Some(Duration::from_millis(100)), ..quick() });
    let mut service = ServiceBuilder::new().layer(guard.layer()).service(NeverReady);
    let mut call = async || {
        let call = async { service.ready().await?.call(1).await };
        tokio::time::timeout(Duration::from_secs(1), call).await
    };
    for _ in 0..3 {
        let result = call().await.unwrap();
        assert_eq!(result, Err(CallError::TimedOut { limit: Duration::from_millis(100) }));
    }
    assert!(matches!(call().await, Ok(Err(CallError::Open(_)))));
}

//! A circuit breaker for callers. The dependency that an SQS consumer calls is usually called by others too: functions
//! behind an API, services, jobs. A guard gives them the circuit that the queue's breaker has, so that one outage is one
//! incident.
//!
//! ```
//! use guard::{CallError, Guard, MemoryStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Once per process, outside of the handler. `DynamoStore` shares it with other instances and with the queue's breaker.
//! let guard = Guard::builder("orders", MemoryStore::new()).build()?;
//!
//! // For each call.
//! match guard.call(|| async { Ok::<_, std::io::Error>("price: 7") }).await {
//!     Ok(answer) => assert_eq!(answer, "price: 7"),
//!     Err(CallError::Open(open)) => println!("try again in {:?}", open.retry_after),
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(()) }
//! ```
//!
//! - **Closed**: calls pass. Outcomes are counted in memory; the store is written only when an instance's own counts are
//!   alarming, and read at most once per `refresh_every`, beside a call. The common call makes no request.
//! - **Open**: [`CircuitOpen`] at once, with the time after which trying again may help.
//! - **Half-open**: `sample_count` calls at a time over all instances, by leases that expire. Enough successes close it, one
//!   failure opens it again, for longer.
//!
//! [`Settings`] has every setting with unit, range and default; [`machine`] says how the item is shared with the workflow;
//! `docs/guard.md` has the costs, and what happens when the store is down.
//!
//! # What it does not do
//!
//! It does not retry: put the retries inside the guarded call, few of them. It limits no concurrency. It does not guarantee
//! that not one call reaches the dependency after the circuit has opened: other instances notice within `refresh_every` as a
//! rule, and within `stale_after` at the latest.

mod builder;
mod error;
mod fallback;
mod guard;
mod judge;
mod keeper;
mod layer;
pub mod machine;
mod ports;
pub mod record;
mod settings;
pub mod store;
pub mod trip;
pub mod window;

pub use crate::builder::Builder;
pub use crate::error::{CallError, CircuitOpen};
pub use crate::fallback::{Answer, MAX_KEY_BYTES, Origin};
pub use crate::guard::{Guard, Status};
pub use crate::judge::{ErrorsThat, EveryError, Judge, Results};
pub use crate::layer::{GuardLayer, GuardService};
pub use crate::machine::{OpenCause, Outcome, Verdict};
pub use crate::ports::{Chance, Clock, SystemChance, SystemClock};
pub use crate::settings::{BUCKETS, Finding, InvalidSettings, Settings};
#[cfg(feature = "dynamodb")]
pub use crate::store::DynamoStore;
pub use crate::store::MemoryStore;
#[cfg(feature = "redis")]
pub use crate::store::RedisStore;
pub use crate::store::{KeptAnswer, Store, StoreError, Written};
pub use crate::trip::{HookError, TripRequest};

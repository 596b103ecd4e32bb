//! Names of the errors that the Lambda functions answer with.
//!
//! Step Functions matches `Retry` and `Catch` against the `errorType` string of a failed function, so these names are
//! part of the contract: the workflow's definition and the handlers both take them from here.

/// An AWS call failed in a way that may pass: throttling, a conflict with an operation in progress, a 5xx answer, a
/// lost connection. The workflow retries with full jitter.
pub const TRANSIENT: &str = "Breaker.Transient";

/// The circuit's item carries another epoch than the one this execution claimed: someone else owns the circuit now.
/// The workflow ends without touching anything.
pub const STALE_EPOCH: &str = "Breaker.StaleEpoch";

/// The event source mapping does not exist (any more).
pub const MAPPING_MISSING: &str = "Breaker.MappingMissing";

/// The role of the function may not do what it has to.
pub const ACCESS_DENIED: &str = "Breaker.AccessDenied";

/// AWS refused a call for good: not throttling, not a conflict, not a missing permission.
pub const REFUSED: &str = "Breaker.Refused";

/// The payload does not fit the contract.
pub const INVALID_REQUEST: &str = "Breaker.InvalidRequest";

/// The state machine was started with an input that is not a [`crate::contract::TripRequest`] for its circuit.
pub const INVALID_INPUT: &str = "Breaker.InvalidInput";

/// The workflow gave up as configured (`exhausted.then = "fail"`); the circuit stays open.
pub const EXHAUSTED: &str = "Breaker.Exhausted";

/// A step failed for good and so did failing safe; the circuit stays open and says so.
pub const FAULTED: &str = "Breaker.Faulted";

/// A call that may have begun to run the consumer was never answered. Repeating it at once could run two probes side by
/// side; the workflow pauses instead.
pub const MAY_BE_RUNNING: &str = "Breaker.MayBeRunning";

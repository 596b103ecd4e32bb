//! The live clock.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::sim::Time;

/// Now.
#[allow(
    clippy::disallowed_methods,
    reason = "the one place where a drill on a deployed stack reads the clock"
)]
pub(super) fn now() -> Time {
    Time::from_ms(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64))
}

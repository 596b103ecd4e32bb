//! Time, randomness, and the example consumer's work.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::RngExt;

use super::{Cloud, ConsumerCloud};
use crate::ports::{Chance, Clock, Work};

impl Clock for Cloud {
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the port by which the deployed functions read the clock"
    )]
    fn now_ms(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

impl Chance for Cloud {
    fn between(&self, low: u64, high: u64) -> u64 {
        rand::rng().random_range(low..=high.max(low))
    }

    fn unit(&self) -> f64 {
        rand::rng().random_range(0.0..1.0)
    }
}

impl Work for ConsumerCloud {
    async fn perform(&self, _message_id: &str) {}
}

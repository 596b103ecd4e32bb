mod behaviour;
mod faults;
mod model;
mod records;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;

use super::*;

const ARN: &str = "arn:aws:sqs:eu-west-1:123456789012:orders";

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(7)
}

/// A queue in strict order, so that a test knows what comes next.
fn strict_queue(properties: &Value) -> Queue {
    let mut queue = Queue::from_properties(ARN, 1, properties).unwrap();
    queue.knobs_mut().reorder_window_count = 1;
    queue
}

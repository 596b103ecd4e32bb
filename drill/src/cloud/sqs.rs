//! Amazon SQS: standard and FIFO queues, as far as their own rules go.
//!
//! ```
//! use drill::cloud::sqs::{Queue, ReceiveRequest, SendRequest};
//! use rand::SeedableRng;
//!
//! let arn = "arn:aws:sqs:eu-west-1:123456789012:orders";
//! let mut queue = Queue::from_properties(arn, 1, &serde_json::json!({ "VisibilityTimeout": 60 }))?;
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
//! queue.send(SendRequest::new("hello"), 0)?;
//! let received = queue.receive(&ReceiveRequest::up_to(10), 1_000, &mut rng)?;
//! assert_eq!(&**received.messages[0].body(), "hello");
//! assert_eq!(queue.next_visible_at(1_000), Some(61_000));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Latency, long polls and faults between caller and service belong to the layer above. The tags in the
//! comments: (D) AWS documentation, (U) unverified.

mod config;
mod counts;
mod digest;
mod fifo;
mod ids;
mod knobs;
mod limits;
mod message;
mod queue;
mod receive;
#[cfg(test)]
mod tests;
mod timers;

pub use config::{QueueConfig, RedrivePolicy};
pub use counts::QueueCounts;
pub use digest::{md5_of_attributes, md5_of_body};
pub use ids::MessageId;
pub use knobs::SqsKnobs;
pub use limits::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES_COUNT, MAX_VISIBILITY_S, check_batch, message_bytes};
pub use message::{
    AttributeValue, MessageAttribute, MessageAttributes, MovedMessage, ReceivedMessage, SendOutcome,
    SendRequest,
};
pub use queue::{MessageView, Place, Queue, RemovedMessage};
pub use receive::{DeleteOutcome, ReceiveOutcome, ReceiveRequest};

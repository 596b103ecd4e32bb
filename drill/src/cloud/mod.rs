//! The AWS services that the breaker uses.
//!
//! `sqs`, `cloudwatch`, `dynamodb`, `eventbridge`, `cloudformation` and `iam` are pure data structures: every call takes
//! the time, none reads it. `world` puts the resources of a loaded stack together on virtual time; `queues`,
//! `mappings`, `functions`, `machines` and `bus` are what happens between them, `ports` is how the handlers reach them.

pub mod bus;
pub mod cfn_properties;
pub mod cloudformation;
pub mod cloudwatch;
pub mod dynamodb;
pub mod error;
pub mod eventbridge;
pub mod functions;
pub mod iam;
mod knobs;
pub mod machines;
pub mod mappings;
mod ports;
mod ports_reconciler;
pub mod queues;
pub mod sqs;
mod world;

pub use self::knobs::Knobs;
pub use self::world::{Cloud, CloudError, World};

//! The breaker's Lambda functions and the example consumer: handlers that are pure over small operation traits.
//!
//! Each handler takes a request of [`workflow::contract`] and whatever implements the [`ports`] it needs. It reads no
//! clock, draws no randomness and keeps nothing between two invocations, so the drill runs the very code that is
//! deployed. The adapters on the AWS SDK are behind the feature `aws`.

#[cfg(feature = "aws")]
pub mod aws;
pub mod batch;
pub mod consumer;
pub mod failure;
pub mod fence;
pub mod judge;
pub mod mapping;
pub mod ports;
pub mod probe;
pub mod queue;
pub mod reconciler;
pub mod record;
pub mod rejitter;
pub mod signal;
pub mod spread;

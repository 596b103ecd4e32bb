//! The circuit breaker as data: configuration, the Amazon States Language types, the workflow definition, the
//! transition table, and the payloads that the workflow and its Lambda functions exchange.
//!
//! Nothing here does IO, reads a clock or draws randomness. The state machine that is deployed, the one that the drill
//! interprets and the one that the tests compare are all made by [`definition::state_machine`].

pub mod asl;
pub mod backoff;
pub mod circuit;
pub mod command;
pub mod config;
pub mod contract;
pub mod definition;
pub mod errors;
pub mod events;
pub mod incidents;
pub mod status;

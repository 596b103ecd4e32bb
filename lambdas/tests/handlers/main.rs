//! The handlers against a fake of their ports: what they answer, which calls they make, and that a failure or a crash
//! at any call loses nothing.
#![allow(
    clippy::unwrap_used,
    reason = "these are tests; clippy spares the functions marked so, not their helpers"
)]

mod consumer;
mod fake;
mod fuzz;
mod logs;
mod mapping;
mod probe;
mod queue;
mod reconciler;
mod rejitter;
mod signal;

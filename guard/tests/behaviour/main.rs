//! What a guard does, one behaviour at a time, on virtual time.
#![allow(
    clippy::unwrap_used,
    reason = "these are tests; clippy spares the functions marked so, not their helpers"
)]

mod alone;
mod answers;
mod circuit;
mod service;
mod shared;
mod support;

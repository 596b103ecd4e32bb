//! What a guard does, one behaviour at a time, on virtual time.

mod alone;
mod answers;
mod circuit;
mod service;
mod shared;
mod support;

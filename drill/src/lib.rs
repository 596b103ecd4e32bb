//! An embedded model of the AWS services that the breaker uses, on virtual time, with the scenarios and the checkers
//! that drills are made of.

pub mod arrivals;
pub mod asl;
pub mod books;
pub mod checkers;
pub mod cloud;
pub mod course;
pub mod faults;
#[cfg(feature = "live")]
pub mod live;
pub mod message;
mod narrate;
mod operators;
pub mod report;
mod run;
pub mod scenario;
pub mod scribe;
pub mod sim;
pub mod swarm;
pub mod tune;
pub mod usage;

pub use self::run::{CIRCUIT, Options, RunError, run, run_tampered, run_tampered_stack};

//! The embedded cloud model on virtual time, with scenarios, faults and checkers.

pub mod cloud;

//! An embedded model of the AWS services that the breaker uses, on virtual time, with the scenarios and the checkers
//! that drills are made of.

pub mod cloud;
pub mod sim;

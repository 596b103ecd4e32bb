//! An embedded model of the AWS services the breaker uses, on virtual time.

pub mod asl;
pub mod sim;

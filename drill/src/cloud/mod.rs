//! The AWS services the breaker uses, as pure data structures: every call takes the time, none reads it.

pub mod cfn_properties;
pub mod cloudformation;
pub mod cloudwatch;
pub mod dynamodb;
pub mod error;
pub mod eventbridge;
pub mod iam;
pub mod sqs;

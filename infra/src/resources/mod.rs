//! The CloudFormation resources that the stack uses, with just the properties that it uses.
//!
//! Names that CloudFormation would let us fix (`QueueName`, `FunctionName`, ...) are left out on purpose: the generated
//! ones let two copies of the stack live side by side, and let a replacement be made before its original goes.

pub mod cloudwatch;
pub mod dynamodb;
pub mod events;
pub mod iam;
pub mod kms;
pub mod lambda;
pub mod logs;
pub mod sqs;
pub mod stepfunctions;

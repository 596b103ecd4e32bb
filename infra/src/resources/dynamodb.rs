//! Amazon DynamoDB.

use serde::Serialize;

use crate::template::Properties;

/// `AWS::DynamoDB::Table`. `Ref` yields the name.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Table {
    /// Types of the key attributes.
    pub attribute_definitions: Vec<AttributeDefinition>,
    /// The key.
    pub key_schema: Vec<KeySchema>,
    /// `PAY_PER_REQUEST`.
    pub billing_mode: &'static str,
    /// Encryption at rest.
    #[serde(rename = "SSESpecification")]
    pub sse_specification: SseSpecification,
    /// Backups.
    pub point_in_time_recovery_specification: PointInTimeRecovery,
}

impl Properties for Table {
    const TYPE: &'static str = "AWS::DynamoDB::Table";
}

/// Type of an attribute.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttributeDefinition {
    /// Name.
    pub attribute_name: &'static str,
    /// `S`.
    pub attribute_type: &'static str,
}

/// Part of a key.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct KeySchema {
    /// Name.
    pub attribute_name: &'static str,
    /// `HASH`.
    pub key_type: &'static str,
}

/// Encryption at rest. A table is always encrypted; `true` asks for the AWS managed key of the account instead of the
/// one that DynamoDB owns, so that its use shows up in CloudTrail.
#[derive(Clone, Debug, Serialize)]
pub struct SseSpecification {
    /// The switch.
    #[serde(rename = "SSEEnabled")]
    pub sse_enabled: bool,
}

/// Continuous backups.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PointInTimeRecovery {
    /// The switch.
    pub point_in_time_recovery_enabled: bool,
}

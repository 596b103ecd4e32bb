//! AWS Lambda.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::template::Properties;
use crate::text::Text;

/// `AWS::Lambda::Function`. `Ref` yields the name.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Function {
    /// What it does.
    pub description: String,
    /// `provided.al2023`.
    pub runtime: &'static str,
    /// Name of the binary. The runtime does not use it; whoever reads the template does.
    pub handler: String,
    /// One of `arm64` and `x86_64`.
    pub architectures: Vec<Text>,
    /// The package.
    pub code: Code,
    /// ARN of the execution role.
    pub role: Text,
    /// Seconds, 1 to 900.
    pub timeout: u32,
    /// MB, 128 to 10,240; the share of a CPU grows with it.
    pub memory_size: u32,
    /// Where its logs go.
    pub logging_config: LoggingConfig,
    /// Environment variables.
    pub environment: Environment,
}

impl Properties for Function {
    const TYPE: &'static str = "AWS::Lambda::Function";
}

/// Where a function's package lies.
#[derive(Clone, Debug, Serialize)]
pub struct Code {
    /// Bucket.
    #[serde(rename = "S3Bucket")]
    pub s3_bucket: Text,
    /// Key.
    #[serde(rename = "S3Key")]
    pub s3_key: Text,
}

/// Logging of a function.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LoggingConfig {
    /// `JSON`.
    pub log_format: &'static str,
    /// Name of the log group.
    pub log_group: Text,
}

/// Environment of a function.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Environment {
    /// By name.
    pub variables: BTreeMap<&'static str, Text>,
}

/// `AWS::Lambda::Permission`: who may invoke a function.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Permission {
    /// `lambda:InvokeFunction`.
    pub action: &'static str,
    /// Name of the function.
    pub function_name: Text,
    /// Service that invokes it.
    pub principal: &'static str,
    /// ARN of the resource on whose behalf the service does.
    pub source_arn: Text,
}

impl Properties for Permission {
    const TYPE: &'static str = "AWS::Lambda::Permission";
}

/// `AWS::Lambda::EventSourceMapping`. `Ref` yields the UUID.
///
/// `Enabled` and `ScalingConfig` are left out on purpose: they are the breaker's to change, so the template makes no
/// statement about them that an update of the stack would bring back.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EventSourceMapping {
    /// ARN of the queue.
    pub event_source_arn: Text,
    /// ARN of the function.
    pub function_name: Text,
    /// Messages per batch, 1 to 10.
    pub batch_size: u32,
    /// `ReportBatchItemFailures`, or absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub function_response_types: Vec<&'static str>,
    /// The mapping's own metrics.
    pub metrics_config: MetricsConfig,
}

impl Properties for EventSourceMapping {
    const TYPE: &'static str = "AWS::Lambda::EventSourceMapping";
}

/// Metrics that a mapping publishes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricsConfig {
    /// `EventCount`.
    pub metrics: Vec<&'static str>,
}

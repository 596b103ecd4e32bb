//! Amazon CloudWatch Logs.

use serde::Serialize;

use crate::template::Properties;

/// `AWS::Logs::LogGroup`. `Ref` yields the name; the attribute `Arn` ends in `:*`, which covers its streams.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LogGroup {
    /// Days; only certain values are allowed.
    pub retention_in_days: u32,
}

impl Properties for LogGroup {
    const TYPE: &'static str = "AWS::Logs::LogGroup";
}

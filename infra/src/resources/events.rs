//! Amazon EventBridge.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::template::Properties;
use crate::text::Text;

/// `AWS::Events::Rule` on the default bus.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Rule {
    /// What it is for.
    pub description: String,
    /// How often it acts by itself, whatever events there are: `rate(1 minute)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_expression: Option<&'static str>,
    /// Which events it takes; leaves are lists of allowed values.
    pub event_pattern: Value,
    /// Where it sends them.
    pub targets: Vec<Target>,
}

impl Properties for Rule {
    const TYPE: &'static str = "AWS::Events::Rule";
}

/// Target of a rule.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Target {
    /// Unique within its rule only.
    pub id: &'static str,
    /// ARN.
    pub arn: Text,
    /// ARN of the role with which EventBridge calls it; a function says itself who may invoke it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<Text>,
    /// What it gets instead of the event: the same JSON text each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Text>,
    /// What it gets instead of the event: made out of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_transformer: Option<InputTransformer>,
    /// How often and for how long a delivery is tried.
    pub retry_policy: RetryPolicy,
    /// Where an event goes that could not be delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter_config: Option<DeadLetterConfig>,
}

/// Makes the target's input out of an event.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InputTransformer {
    /// Variables: JSON paths into the event.
    pub input_paths_map: BTreeMap<&'static str, &'static str>,
    /// The input, with `<variable>` where a value goes. EventBridge puts quotes round a text and escapes it, so the
    /// variable itself stands without quotes.
    pub input_template: String,
}

/// Limits of the retries of a delivery.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RetryPolicy {
    /// Seconds, 60 to 86,400.
    pub maximum_event_age_in_seconds: u32,
    /// 0 to 185.
    pub maximum_retry_attempts: u32,
}

/// Dead-letter queue of a target.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeadLetterConfig {
    /// ARN of the queue.
    pub arn: Text,
}

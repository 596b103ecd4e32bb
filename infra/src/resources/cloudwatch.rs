//! Amazon CloudWatch.

use serde::Serialize;

use crate::template::Properties;
use crate::text::Text;

/// `AWS::CloudWatch::Alarm`, on metric math or on a plain metric. `Ref` yields the name.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Alarm {
    /// What it means.
    pub alarm_description: String,
    /// What it looks at.
    #[serde(flatten)]
    pub source: Source,
    /// How a value is compared.
    pub comparison_operator: &'static str,
    /// With what.
    pub threshold: f64,
    /// N: periods looked at.
    pub evaluation_periods: u32,
    /// M: breaching ones among them that fire the alarm.
    pub datapoints_to_alarm: u32,
    /// What a period without data counts as.
    pub treat_missing_data: &'static str,
}

impl Properties for Alarm {
    const TYPE: &'static str = "AWS::CloudWatch::Alarm";
}

/// What an alarm looks at.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Source {
    /// Metric math.
    Math {
        /// The metrics and the expression over them; exactly one returns data.
        #[serde(rename = "Metrics")]
        metrics: Vec<MetricDataQuery>,
    },
    /// One metric.
    #[serde(rename_all = "PascalCase")]
    Plain {
        /// The metric.
        #[serde(flatten)]
        metric: Metric,
        /// Seconds.
        period: u32,
        /// `Sum`.
        statistic: &'static str,
    },
}

/// One metric, or an expression over others.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricDataQuery {
    /// Name in expressions; a lower-case letter first.
    pub id: &'static str,
    /// Name in graphs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Metric math.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// A metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_stat: Option<MetricStat>,
    /// Whether this is the value that the alarm looks at.
    pub return_data: bool,
}

/// A metric with its statistic.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricStat {
    /// The metric.
    pub metric: Metric,
    /// Seconds. It has to stand at each metric: an alarm on metric math has no period of its own.
    pub period: u32,
    /// `Sum`.
    pub stat: &'static str,
}

/// A metric.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metric {
    /// `AWS/Lambda`.
    pub namespace: &'static str,
    /// Name.
    pub metric_name: &'static str,
    /// Of what.
    pub dimensions: Vec<Dimension>,
}

/// One dimension of a metric.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Dimension {
    /// Name.
    pub name: &'static str,
    /// Value.
    pub value: Text,
}

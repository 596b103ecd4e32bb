//! Amazon CloudWatch: a metric store, metric alarms on it, and composite alarms on those.
//!
//! ```
//! use drill::cloud::cloudwatch::{Alarm, AlarmConfig, Metrics, SeriesKey, StateValue};
//!
//! let config = AlarmConfig::from_properties(&serde_json::json!({
//!     "Namespace": "AWS/Lambda", "MetricName": "Errors", "Statistic": "Sum", "Period": 60,
//!     "EvaluationPeriods": 1, "Threshold": 0, "ComparisonOperator": "GreaterThanThreshold",
//! }))?;
//! let arn = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:failing";
//! let mut alarm = Alarm::new("failing", arn, config, 0);
//! let mut metrics = Metrics::default();
//! let errors = metrics.intern(SeriesKey::new("AWS/Lambda", "Errors", &[]));
//! metrics.put(errors, 30_000, 1.0);
//! assert!(alarm.evaluate(59_999, &metrics).is_none(), "the minute is not over");
//! let change = alarm.evaluate(60_000, &metrics).expect("one point of one breaches");
//! assert_eq!(change.state.value, StateValue::Alarm);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Not modelled: high-resolution metrics, units, percentiles, anomaly detection, and of
//! metric math everything but what [`Expression`] lists. The tags in the comments: (D) AWS documentation,
//! (M) AWS API model, (U) unverified.

mod alarm;
mod composite;
mod config;
mod event;
mod expression;
mod metrics;
mod reason;
#[cfg(test)]
mod tests;
mod verdict;

pub use alarm::{Alarm, AlarmKnobs, AlarmState, EVALUATION_INTERVAL_MS, StateChange};
pub use composite::CompositeAlarm;
pub use config::{AlarmConfig, ComparisonOperator};
pub use expression::{Expression, ExpressionError, MissingOperand};
pub use metrics::{Aggregate, Metrics, SeriesId, SeriesKey, Statistic};
pub use verdict::{MOutOfN, StateValue, TreatMissingData, Verdict, judge};

//! The event that EventBridge gets on a change of state.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::alarm::{AlarmState, Changed, StateChange};
use super::config::{AlarmConfig, Query, Source};
use super::reason::{date, event_time};

impl StateChange {
    /// The "CloudWatch Alarm State Change" event, with the id that the bus gives it.
    ///
    /// Account and Region are those of the alarm's ARN.
    pub fn to_event(&self, event_id: &str) -> Value {
        let arn: Vec<&str> = self.alarm_arn.split(':').collect();
        let part = |index: usize| arn.get(index).copied().unwrap_or_default();
        json!({
            "version": "0",
            "id": event_id,
            "detail-type": "CloudWatch Alarm State Change",
            "source": "aws.cloudwatch",
            "account": part(4),
            "time": event_time(self.state.timestamp_ms),
            "region": part(3),
            "resources": [self.alarm_arn],
            "detail": {
                "alarmName": self.alarm_name,
                "state": state_json(&self.state),
                "previousState": state_json(&self.previous),
                "configuration": self.configuration(),
            },
        })
    }

    fn configuration(&self) -> Value {
        let (description, name, value) = match &self.changed {
            Changed::Metric(config) => (&config.description, "metrics", self.metrics(config)),
            Changed::Composite { description, rule } => (description, "alarmRule", json!(rule)),
        };
        let mut found = Map::new();
        if let Some(description) = description {
            found.insert("description".to_owned(), json!(description));
        }
        found.insert(name.to_owned(), value);
        Value::Object(found)
    }

    fn metrics(&self, config: &AlarmConfig) -> Value {
        let entries = config.queries.iter().enumerate();
        entries.map(|(index, query)| self.metric(config, query, index == config.returned)).collect()
    }

    fn metric(&self, config: &AlarmConfig, query: &Query, returns_data: bool) -> Value {
        let id = if config.is_plain { plain_id(&self.alarm_arn) } else { query.id.clone() };
        let mut found = json!({ "id": id });
        match &query.source {
            Source::Series { key, statistic } => {
                found["metricStat"] = json!({
                    "metric": {
                        "namespace": key.namespace,
                        "name": key.name,
                        "dimensions": key.dimensions,
                    },
                    "period": config.period_s,
                    "stat": statistic.name(),
                });
            }
            Source::Math { text, .. } => found["expression"] = json!(text),
        }
        if let Some(label) = &query.label {
            found["label"] = json!(label);
        }
        found["returnData"] = json!(returns_data);
        found
    }
}

fn state_json(state: &AlarmState) -> Value {
    let mut found = json!({ "value": state.value.name(), "reason": state.reason });
    if let Some(data) = &state.reason_data {
        found["reasonData"] = json!(data);
    }
    found["timestamp"] = json!(date(state.timestamp_ms));
    found
}

/// A plain metric has no id of its own; CloudWatch writes a UUID, always the same for the alarm.
fn plain_id(arn: &str) -> String {
    let digest = Sha256::digest(arn.as_bytes());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32])
}

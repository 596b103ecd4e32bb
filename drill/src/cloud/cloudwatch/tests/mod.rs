mod alarms;
mod composite;
mod math;
mod properties;
mod verdicts;

use serde_json::{Value, json};

use super::*;

const ARN: &str = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:failing";
/// 2026-11-21T08:00:00Z
const START_MS: u64 = 1_795_248_000_000;
const MINUTE_MS: u64 = 60_000;

/// A plain alarm on `Errors`, with these properties added or replaced.
fn plain(changes: Value) -> Value {
    let mut properties = json!({
        "Namespace": "AWS/Lambda",
        "MetricName": "Errors",
        "Dimensions": [{ "Name": "FunctionName", "Value": "orders" }],
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
    });
    for (name, value) in changes.as_object().unwrap() {
        properties[name] = value.clone();
    }
    properties
}

/// The share of failed among invoked events, from ten events a minute.
fn ratio(changes: Value) -> Value {
    let stat = |name: &str| {
        let dimensions = json!([{ "Name": "EventSourceMappingUUID", "Value": "u-1" }]);
        let metric = json!({ "Namespace": "AWS/Lambda", "MetricName": name, "Dimensions": dimensions });
        json!({ "Metric": metric, "Period": 60, "Stat": "Sum" })
    };
    let mut properties = json!({
        "AlarmDescription": "Too many events fail",
        "Metrics": [
            { "Id": "ratio", "Expression": "IF(invoked >= 10, 100 * failed / invoked, 0)", "Label": "Failed %" },
            { "Id": "failed", "MetricStat": stat("FailedInvokeEventCount"), "ReturnData": false },
            { "Id": "invoked", "MetricStat": stat("InvokedEventCount"), "ReturnData": false },
        ],
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "Threshold": 50,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
    });
    for (name, value) in changes.as_object().unwrap() {
        properties[name] = value.clone();
    }
    properties
}

fn alarm(properties: &Value) -> Alarm {
    Alarm::new("failing", ARN, AlarmConfig::from_properties(properties).unwrap(), START_MS)
}

fn errors() -> SeriesKey {
    SeriesKey::new("AWS/Lambda", "Errors", &[("FunctionName", "orders")])
}

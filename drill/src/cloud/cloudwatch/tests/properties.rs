//! What alarms are refused, and how.

use super::*;

#[track_caller]
fn check_refused(properties: Value, expected: &str) {
    let error = AlarmConfig::from_properties(&properties).unwrap_err().to_string();
    assert_eq!(error.strip_prefix("AWS::CloudWatch::Alarm: ").unwrap_or(&error), expected);
}

#[test]
fn plain_alarms() {
    check_refused(
        plain(json!({ "Period": 30 })),
        "property Period is 30; it must be a multiple of 60 s, up to a day; shorter ones need high-resolution \
         metrics, not modelled",
    );
    check_refused(
        plain(json!({ "Statistic": "p99" })),
        "property Statistic is \"p99\"; it must be one of Sum, Average, Maximum, Minimum, SampleCount",
    );
    check_refused(
        plain(json!({ "ExtendedStatistic": "p99" })),
        "ExtendedStatistic is not supported by the model: percentiles are not modelled; use Statistic",
    );
    check_refused(
        plain(json!({ "ComparisonOperator": "GreaterThanUpperThreshold" })),
        "property ComparisonOperator is \"GreaterThanUpperThreshold\"; it must be one of GreaterThanThreshold, \
         GreaterThanOrEqualToThreshold, LessThanThreshold, LessThanOrEqualToThreshold",
    );
    check_refused(
        plain(json!({ "DatapointsToAlarm": 2 })),
        "property DatapointsToAlarm is 2; it must be a whole number from 1 to 1",
    );
    check_refused(
        plain(json!({ "EvaluationPeriods": 1_441 })),
        "property EvaluationPeriods is 1441; it must be at most 1440 periods of 60 s",
    );
    check_refused(
        plain(json!({ "Dimensions": [{ "Name": "FunctionName", "Value": { "Ref": "Function" } }] })),
        "property Dimensions[0].Value is {\"Ref\":\"Function\"}; it must be a string",
    );
    check_refused(plain(json!({ "Threshold": null })), "property Threshold is missing; it must be a number");
    check_refused(
        plain(json!({ "Unit": "Count" })),
        "Unit is not supported by the model: the metric store keeps no units; remove it",
    );
}

#[test]
fn metric_math_alarms() {
    fn check_ratio(change: fn(&mut Value), expected: &str) {
        let mut properties = ratio(json!({}));
        change(&mut properties["Metrics"]);
        check_refused(properties, expected);
    }
    check_ratio(
        |metrics| metrics[0]["Expression"] = json!("FILL(failed, 0)"),
        "Metrics[0].Expression is not supported by the model: \"FILL(failed, 0)\": FILL can pin an alarm: where \
         the newest minute is always late, it evaluates the filler for ever; use M out of N and TreatMissingData \
         instead",
    );
    check_ratio(
        |metrics| metrics[0]["Expression"] = json!("failed / retried"),
        "Metrics is not supported by the model: the expression of ratio refers to retried, which is no Id",
    );
    check_ratio(
        |metrics| metrics[0]["Expression"] = json!("failed + ratio"),
        "Metrics is not supported by the model: the expression of ratio refers to itself, directly or through \
         others",
    );
    check_ratio(
        |metrics| metrics[0]["Expression"] = json!("1 + 1"),
        "Metrics is not supported by the model: the expression of ratio refers to no metric",
    );
    check_ratio(
        |metrics| metrics[1]["Id"] = json!("Failed"),
        "property Metrics[1].Id is \"Failed\"; it must be letters, digits and underscores, starting with a \
         lower-case letter",
    );
    check_ratio(
        |metrics| metrics[1]["MetricStat"]["Metric"]["Region"] = json!("eu-west-1"),
        "property Metrics[1].MetricStat.Metric.Region is not known to the model (known: Dimensions, MetricName, \
         Namespace); remove it, or teach the model",
    );
    let starts_with = |change: fn(&mut Value), expected: &str| {
        let mut properties = ratio(json!({}));
        change(&mut properties["Metrics"]);
        let error = AlarmConfig::from_properties(&properties).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    };
    starts_with(
        |metrics| metrics[1]["MetricStat"]["Period"] = json!(300),
        "it must be a list where all entries have the same Period",
    );
    starts_with(
        |metrics| metrics[0]["Period"] = json!(300),
        "it must be a list where all entries have the same Period",
    );
    starts_with(
        |metrics| metrics[1]["ReturnData"] = json!(true),
        "it must be a list where exactly one entry has ReturnData true, the default",
    );
    starts_with(
        |metrics| metrics[2]["Id"] = json!("failed"),
        "it must be a list where every Id is used once",
    );
    check_refused(
        ratio(json!({ "Namespace": "AWS/Lambda" })),
        "Namespace is not supported by the model: it cannot stand beside Metrics; give it in a MetricStat",
    );
}

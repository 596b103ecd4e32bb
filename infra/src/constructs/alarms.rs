//! The alarm that trips a circuit: one of the stack's own, by the circuit's signal, or one that exists already.

use workflow::config::{AlarmConfig, AlarmSignal, CircuitConfig, METRIC_NAMESPACE};

use super::{ExistingAlarm, Guarded};
use crate::resources::cloudwatch::{Alarm, Dimension, Metric, MetricDataQuery, MetricStat, Source};
use crate::template::{Scope, Template};
use crate::text::Text;

/// How the rest of the stack refers to the alarm.
#[derive(Debug)]
pub struct TripAlarm {
    /// Its name.
    pub name: Text,
    /// Its ARN.
    pub arn: Text,
    /// Where its state may be read: the resource of `cloudwatch:DescribeAlarms`.
    pub described_at: Text,
}

/// Adds the circuit's alarm, or refers to the one that exists.
pub fn trip_alarm(
    template: &mut Template,
    scope: &Scope,
    name: &str,
    circuit: &CircuitConfig,
    guarded: &Guarded,
) -> TripAlarm {
    let settings = &circuit.alarm;
    let mapping_uuid = || Dimension { name: "EventSourceMappingUUID", value: guarded.mapping_uuid.clone() };
    let alarm = match settings.signal {
        // The mapping's own metrics count what the consumer reports as `batchItemFailures` too, and leave the breaker's
        // direct invocations out.
        AlarmSignal::MappingEvents => {
            share(name, settings, ("events", "the mapping's events"), &[mapping_uuid()])
        }
        AlarmSignal::FunctionErrors => {
            share(name, settings, ("invocations", "the function's invocations"), &guarded.function_dimensions)
        }
        AlarmSignal::FailedCount => count(name, settings, mapping_uuid()),
        AlarmSignal::Existing => return existing(settings, guarded),
    };
    let alarm = template.resource(&scope.child("FailureAlarm"), alarm);
    TripAlarm { name: alarm.reference(), arn: alarm.arn(), described_at: alarm.arn() }
}

/// The share that failed of what was invoked, once a period has enough of it.
fn share(name: &str, settings: &AlarmConfig, (what, whose): (&str, &str), dimensions: &[Dimension]) -> Alarm {
    let [invoked, failed] = settings.signal.counted().metrics();
    let metric = |id, metric_name| MetricDataQuery {
        id,
        label: None,
        expression: None,
        metric_stat: Some(MetricStat {
            metric: Metric { namespace: METRIC_NAMESPACE, metric_name, dimensions: dimensions.to_vec() },
            period: settings.period_s,
            stat: "Sum",
        }),
        return_data: false,
    };
    let share = MetricDataQuery {
        id: "share",
        label: Some(format!("Failed {what}, percent")),
        expression: Some(format!("IF(invoked >= {}, 100 * failed / invoked, 0)", settings.min_events_count)),
        metric_stat: None,
        return_data: true,
    };
    let description = format!(
        "Trips circuit {name}: at least {} % of {whose} failed, of {} or more in a period",
        settings.failure_percent, settings.min_events_count
    );
    let source = Source::Math { metrics: vec![metric("invoked", invoked), metric("failed", failed), share] };
    alarm(settings, description, source, settings.failure_percent)
}

/// A number of failed events, whatever the volume.
fn count(name: &str, settings: &AlarmConfig, mapping_uuid: Dimension) -> Alarm {
    let description = format!(
        "Trips circuit {name}: at least {} of the mapping's events failed in a period",
        settings.failed_events_count
    );
    let [_, failed] = settings.signal.counted().metrics();
    let source = Source::Plain {
        metric: Metric { namespace: METRIC_NAMESPACE, metric_name: failed, dimensions: vec![mapping_uuid] },
        period: settings.period_s,
        statistic: "Sum",
    };
    alarm(settings, description, source, f64::from(settings.failed_events_count))
}

fn alarm(settings: &AlarmConfig, alarm_description: String, source: Source, threshold: f64) -> Alarm {
    Alarm {
        alarm_description,
        source,
        comparison_operator: "GreaterThanOrEqualToThreshold",
        threshold,
        evaluation_periods: settings.evaluation_periods_count,
        datapoints_to_alarm: settings.datapoints_to_alarm_count,
        // While the circuit is open there is no data; that must not keep the alarm in ALARM.
        treat_missing_data: "notBreaching",
    }
}

/// The user's alarm. CloudWatch shows a composite alarm only to who may see every alarm; a metric alarm needs no more than
/// its own ARN.
fn existing(settings: &AlarmConfig, guarded: &Guarded) -> TripAlarm {
    let ExistingAlarm { arn, name } =
        guarded.existing_alarm.clone().expect("the circuit's settings name the alarm, or they are not valid");
    let described_at = if settings.existing_alarm_is_composite { "*".into() } else { arn.clone() };
    TripAlarm { name, arn, described_at }
}

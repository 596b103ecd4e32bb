//! How many messages were sent to a queue, as CloudWatch has counted them.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy, StatusCode};

use super::error::Named;
use super::{Account, CloudError};

/// The metric: SQS counts a message as sent when it accepts it, each minute.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html>
pub const METRIC: &str = "NumberOfMessagesSent";

/// Name of the one query of a call.
const QUERY_ID: &str = "sent";

/// How far back CloudWatch keeps data points of each length, seconds both.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>
const KEPT: [(u64, u64); 3] = [(60, 15 * 86_400), (300, 63 * 86_400), (3_600, 455 * 86_400)];

/// A stretch of time that CloudWatch is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its begin, seconds since the Unix epoch.
    pub from_s: u64,
    /// Its end, seconds since the Unix epoch.
    pub until_s: u64,
    /// Length of a data point, seconds.
    pub period_s: u64,
}

impl Stretch {
    /// The last `length_s` seconds before a moment: in the shortest data points that CloudWatch keeps for so long and of which there
    /// are no more than `max_points`, beginning and ending with a whole one. The newest data points are left out for as long as SQS may
    /// still be counting them.
    pub fn before(now_s: u64, length_s: u64, max_points: u64) -> Stretch {
        // "CloudWatch metrics for your queues are collected and pushed at one-minute intervals": a few minutes later they are complete.
        const COUNTING_S: u64 = 300;
        let fits = |&(period_s, kept_s): &(u64, u64)| {
            length_s + COUNTING_S + period_s <= kept_s && length_s.div_ceil(period_s) <= max_points
        };
        let period_s = KEPT.into_iter().find(fits).map_or(3_600, |(period_s, _)| period_s);
        let until_s = now_s.saturating_sub(COUNTING_S) / period_s * period_s;
        let from_s = until_s.saturating_sub(length_s.div_ceil(period_s) * period_s);
        Stretch { from_s, until_s, period_s }
    }
}

/// Messages that were sent to a queue: for each data point of the stretch its begin, seconds since the Unix epoch, and the count.
/// CloudWatch has no data point where a queue was idle for long, and none from before it was made; such are not in the answer.
///
/// # Errors
/// Calls that fail, and an answer that CloudWatch itself calls incomplete.
pub async fn messages_sent(
    account: &Account,
    queue_name: &str,
    stretch: Stretch,
) -> Result<BTreeMap<u64, f64>, CloudError> {
    let metric = Metric::builder()
        .namespace("AWS/SQS")
        .metric_name(METRIC)
        .dimensions(Dimension::builder().name("QueueName").value(queue_name).build())
        .build();
    let period_s = i32::try_from(stretch.period_s).unwrap_or(i32::MAX);
    let stat = MetricStat::builder().metric(metric).period(period_s).stat("Sum").build();
    let query = MetricDataQuery::builder().id(QUERY_ID).metric_stat(stat).build();
    let at = |seconds: u64| DateTime::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    let call = account
        .cloudwatch
        .get_metric_data()
        .metric_data_queries(query)
        .start_time(at(stretch.from_s))
        .end_time(at(stretch.until_s))
        .scan_by(ScanBy::TimestampAscending);
    let mut counts = BTreeMap::new();
    let mut pages = call.into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.named("GetMetricData")?;
        for result in page.metric_data_results() {
            if matches!(result.status_code(), Some(StatusCode::Forbidden | StatusCode::InternalError)) {
                let said = result.messages().iter().filter_map(|message| message.value());
                return Err(CloudError::unfit(
                    format!("CloudWatch gave no data of {METRIC}: {}", said.collect::<Vec<_>>().join("; ")),
                    "run the command again; the caller's policies must allow cloudwatch:GetMetricData",
                ));
            }
            for (time, count) in result.timestamps().iter().zip(result.values()) {
                if let Ok(seconds) = u64::try_from(time.secs()) {
                    counts.insert(seconds, *count);
                }
            }
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: u64 = 1_774_000_123;
    const DAY_S: u64 = 86_400;
    const MAX_POINTS: u64 = 20_160;

    #[test]
    fn longer_stretches_have_longer_data_points() {
        let period = |days: u64| Stretch::before(NOW_S, days * DAY_S, MAX_POINTS).period_s;
        assert_eq!([1, 14, 15, 62, 63, 400].map(period), [60, 60, 300, 300, 3_600, 3_600]);
        assert_eq!(Stretch::before(NOW_S, 14 * DAY_S, 1_000).period_s, 3_600, "too many points otherwise");
    }

    #[test]
    fn a_stretch_begins_and_ends_with_a_whole_data_point() {
        for length_s in [3_600, 5_000, 20 * DAY_S, 100 * DAY_S] {
            let Stretch { from_s, until_s, period_s } = Stretch::before(NOW_S, length_s, MAX_POINTS);
            assert_eq!((from_s % period_s, until_s % period_s), (0, 0), "{length_s} s");
            assert!(until_s <= NOW_S - 300 && until_s > NOW_S - 300 - period_s, "{length_s} s");
            assert!((length_s..length_s + period_s).contains(&(until_s - from_s)), "{length_s} s");
        }
    }
}

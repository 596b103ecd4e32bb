//! An alarm's settings, as CloudFormation gives them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::expression::Expression;
use super::metrics::{SeriesKey, Statistic};
use super::verdict::{MOutOfN, TreatMissingData};
use crate::cloud::cfn_properties::{Properties, PropertyError};

const RESOURCE: &str = "AWS::CloudWatch::Alarm";

const KNOWN: &[&str] = &[
    "ActionsEnabled",
    "AlarmActions",
    "AlarmDescription",
    "AlarmName",
    "ComparisonOperator",
    "DatapointsToAlarm",
    "Dimensions",
    "EvaluateLowSampleCountPercentile",
    "EvaluationPeriods",
    "ExtendedStatistic",
    "InsufficientDataActions",
    "MetricName",
    "Metrics",
    "Namespace",
    "OKActions",
    "Period",
    "Statistic",
    "Tags",
    "Threshold",
    "ThresholdMetricId",
    "TreatMissingData",
    "Unit",
];
const PLAIN: [&str; 5] = ["Dimensions", "MetricName", "Namespace", "Period", "Statistic"];
const MAX_METRICS_COUNT: usize = 10;
const DAY_S: u64 = 86_400;

/// How a point is compared with the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComparisonOperator {
    /// `GreaterThanThreshold`
    Greater,
    /// `GreaterThanOrEqualToThreshold`
    GreaterOrEqual,
    /// `LessThanThreshold`
    Less,
    /// `LessThanOrEqualToThreshold`
    LessOrEqual,
}

impl ComparisonOperator {
    const NAMES: [&'static str; 4] = [
        "GreaterThanThreshold",
        "GreaterThanOrEqualToThreshold",
        "LessThanThreshold",
        "LessThanOrEqualToThreshold",
    ];

    fn parse(name: &str) -> Option<Self> {
        match name {
            "GreaterThanThreshold" => Some(Self::Greater),
            "GreaterThanOrEqualToThreshold" => Some(Self::GreaterOrEqual),
            "LessThanThreshold" => Some(Self::Less),
            "LessThanOrEqualToThreshold" => Some(Self::LessOrEqual),
            _ => None,
        }
    }

    /// How a state's reason words it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Greater => "greater than",
            Self::GreaterOrEqual => "greater than or equal to",
            Self::Less => "less than",
            Self::LessOrEqual => "less than or equal to",
        }
    }

    /// Whether the value breaches the threshold.
    pub(super) fn is_breach(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Greater => value > threshold,
            Self::GreaterOrEqual => value >= threshold,
            Self::Less => value < threshold,
            Self::LessOrEqual => value <= threshold,
        }
    }
}

/// Where a query's points come from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    Series { key: SeriesKey, statistic: Statistic },
    Math { text: String, expression: Expression },
}

/// One entry of `Metrics`; a plain metric is a list of one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    pub id: String,
    pub label: Option<String>,
    pub source: Source,
}

/// What happens on a change to a state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Actions {
    pub ok: Vec<String>,
    pub alarm: Vec<String>,
    pub insufficient_data: Vec<String>,
}

/// The settings of an alarm.
#[derive(Debug, Clone, PartialEq)]
pub struct AlarmConfig {
    /// `AlarmDescription`.
    pub description: Option<String>,
    /// Granularity of the points: a multiple of 60 s.
    pub period_s: u64,
    /// How many points of how many make an alarm.
    pub m_out_of_n: MOutOfN,
    /// What points are compared with.
    pub threshold: f64,
    /// How they are compared.
    pub operator: ComparisonOperator,
    /// What a missing point counts as.
    pub treat_missing_data: TreatMissingData,
    /// Whether a change of state starts the alarm's own actions; events are sent either way.
    pub actions_enabled: bool,
    pub(super) actions: Actions,
    pub(super) queries: Vec<Query>,
    /// The query whose points are judged.
    pub(super) returned: usize,
    pub(super) is_plain: bool,
    pub(super) has_datapoints_to_alarm: bool,
}

impl AlarmConfig {
    /// Reads the properties of an `AWS::CloudWatch::Alarm`, intrinsic functions resolved.
    ///
    /// # Errors
    /// An unknown property, a value of the wrong type or out of range, a period that is no multiple of 60 s,
    /// metrics of different periods, and everything of metric math that [`Expression`] refuses.
    pub fn from_properties(properties: &Value) -> Result<Self, PropertyError> {
        let found = Properties::new(RESOURCE, properties, KNOWN)?;
        refuse_unsupported(&found)?;
        let is_plain = found.get("Metrics").is_none();
        let (queries, returned, period_s) = if is_plain { plain(&found)? } else { math(&found)? };
        let periods_count = required(&found, "EvaluationPeriods", 1, 10_080)?;
        let datapoints_count = found.integer("DatapointsToAlarm", 1, periods_count)?;
        // AWS allows a day, and a week for periods of an hour and more. [D]
        let longest_s = if period_s >= 3_600 { 7 * DAY_S } else { DAY_S };
        if periods_count * period_s > longest_s {
            let allowed = format!("at most {} periods of {period_s} s", longest_s / period_s);
            return Err(found.invalid("EvaluationPeriods", allowed));
        }
        let operator = found.one_of("ComparisonOperator", &ComparisonOperator::NAMES)?;
        let operator = operator.and_then(ComparisonOperator::parse);
        let treat =
            found.one_of("TreatMissingData", &TreatMissingData::NAMES)?.and_then(TreatMissingData::parse);
        Ok(Self {
            description: found.string("AlarmDescription")?.map(str::to_owned),
            period_s,
            m_out_of_n: MOutOfN {
                datapoints_count: datapoints_count.unwrap_or(periods_count) as usize,
                periods_count: periods_count as usize,
            },
            threshold: found.number("Threshold")?.ok_or_else(|| found.missing("Threshold", "a number"))?,
            operator: operator
                .ok_or_else(|| found.missing("ComparisonOperator", ComparisonOperator::NAMES.join(", ")))?,
            treat_missing_data: treat.unwrap_or_else(|| default_treatment(&queries)),
            actions_enabled: found.boolean("ActionsEnabled")?.unwrap_or(true),
            actions: Actions {
                ok: found.strings("OKActions")?,
                alarm: found.strings("AlarmActions")?,
                insufficient_data: found.strings("InsufficientDataActions")?,
            },
            queries,
            returned,
            is_plain,
            has_datapoints_to_alarm: datapoints_count.is_some(),
        })
    }

    pub(super) fn query(&self, id: &str) -> Option<&Query> {
        self.queries.iter().find(|query| query.id == id)
    }
}

/// Alarms on DynamoDB metrics ignore missing data unless told otherwise. (D)
fn default_treatment(queries: &[Query]) -> TreatMissingData {
    let is_dynamodb = |query: &Query| match &query.source {
        Source::Series { key, .. } => key.namespace == "AWS/DynamoDB",
        Source::Math { .. } => false,
    };
    if queries.iter().any(is_dynamodb) { TreatMissingData::Ignore } else { TreatMissingData::Missing }
}

fn refuse_unsupported(found: &Properties<'_>) -> Result<(), PropertyError> {
    let refused = [
        ("ThresholdMetricId", "anomaly detection is not modelled; use Threshold"),
        ("ExtendedStatistic", "percentiles are not modelled; use Statistic"),
        ("EvaluateLowSampleCountPercentile", "percentiles are not modelled; use Statistic"),
        ("Unit", "the metric store keeps no units; remove it"),
    ];
    for (name, reason) in refused {
        if found.get(name).is_some() {
            return Err(found.unsupported(name, reason));
        }
    }
    Ok(())
}

fn required(found: &Properties<'_>, key: &str, min: u64, max: u64) -> Result<u64, PropertyError> {
    let number = found.integer(key, min, max)?;
    number.ok_or_else(|| found.missing(key, format!("a whole number from {min} to {max}")))
}

fn period(found: &Properties<'_>) -> Result<u64, PropertyError> {
    let allowed = "a multiple of 60 s, up to a day; shorter ones need high-resolution metrics, not modelled";
    match required(found, "Period", 1, DAY_S)? {
        period_s if period_s % 60 == 0 => Ok(period_s),
        _ => Err(found.invalid("Period", allowed)),
    }
}

fn series(found: &Properties<'_>) -> Result<SeriesKey, PropertyError> {
    let text =
        |key: &str| found.string(key)?.map(str::to_owned).ok_or_else(|| found.missing(key, "a string"));
    let mut dimensions = BTreeMap::new();
    for dimension in found.objects("Dimensions", &["Name", "Value"])? {
        let part = |key: &str| dimension.string(key)?.ok_or_else(|| dimension.missing(key, "a string"));
        dimensions.insert(part("Name")?.to_owned(), part("Value")?.to_owned());
    }
    Ok(SeriesKey { namespace: text("Namespace")?, name: text("MetricName")?, dimensions })
}

fn statistic(found: &Properties<'_>, key: &str) -> Result<Statistic, PropertyError> {
    let name = found.one_of(key, &Statistic::NAMES)?;
    name.and_then(Statistic::parse).ok_or_else(|| found.missing(key, Statistic::NAMES.join(", ")))
}

type Queries = (Vec<Query>, usize, u64);

fn plain(found: &Properties<'_>) -> Result<Queries, PropertyError> {
    let source = Source::Series { key: series(found)?, statistic: statistic(found, "Statistic")? };
    Ok((vec![Query { id: String::new(), label: None, source }], 0, period(found)?))
}

fn math(found: &Properties<'_>) -> Result<Queries, PropertyError> {
    const ENTRY: &[&str] = &["AccountId", "Expression", "Id", "Label", "MetricStat", "Period", "ReturnData"];
    if let Some(name) = PLAIN.iter().find(|name| found.get(name).is_some()) {
        return Err(found.unsupported(name, "it cannot stand beside Metrics; give it in a MetricStat"));
    }
    let entries = found.objects("Metrics", ENTRY)?;
    let (mut queries, mut returned, mut periods) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (index, entry) in entries.iter().enumerate() {
        let (query, period_s) = query(entry)?;
        periods.extend(period_s);
        if entry.boolean("ReturnData")?.unwrap_or(true) {
            returned.push(index);
        }
        queries.push(query);
    }
    let metrics_count = queries.iter().filter(|query| matches!(query.source, Source::Series { .. })).count();
    if !(1..=MAX_METRICS_COUNT).contains(&metrics_count) {
        return Err(found.invalid("Metrics", format!("1 to {MAX_METRICS_COUNT} entries with a MetricStat")));
    }
    let [returned] = returned[..] else {
        return Err(
            found.invalid("Metrics", "a list where exactly one entry has ReturnData true, the default")
        );
    };
    let mut periods = periods.into_iter();
    let (Some(period_s), None) = (periods.next(), periods.next()) else {
        return Err(found.invalid("Metrics", "a list where all entries have the same Period"));
    };
    check_references(found, &queries)?;
    Ok((queries, returned, period_s))
}

fn query(entry: &Properties<'_>) -> Result<(Query, Option<u64>), PropertyError> {
    const STAT: &[&str] = &["Metric", "Period", "Stat", "Unit"];
    if entry.get("AccountId").is_some() {
        return Err(entry.unsupported("AccountId", "the model has one account; remove it"));
    }
    let allowed = "letters, digits and underscores, starting with a lower-case letter";
    let id = entry.string("Id")?.ok_or_else(|| entry.missing("Id", allowed))?;
    let is_id = id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_id {
        return Err(entry.invalid("Id", allowed));
    }
    let (source, period_s) = match (entry.object("MetricStat", STAT)?, entry.string("Expression")?) {
        (Some(stat), None) => {
            if stat.get("Unit").is_some() {
                return Err(stat.unsupported("Unit", "the metric store keeps no units; remove it"));
            }
            let metric = stat.object("Metric", &["Dimensions", "MetricName", "Namespace"])?;
            let metric = metric.ok_or_else(|| stat.missing("Metric", "a metric"))?;
            let source = Source::Series { key: series(&metric)?, statistic: statistic(&stat, "Stat")? };
            (source, Some(period(&stat)?))
        }
        (None, Some(text)) => {
            let expression = Expression::parse(text)
                .map_err(|error| entry.unsupported("Expression", format!("{text:?}: {error}")))?;
            let own_period = entry.get("Period").map(|_| period(entry)).transpose()?;
            (Source::Math { text: text.to_owned(), expression }, own_period)
        }
        _ => return Err(entry.missing("MetricStat", "given, or Expression, and not both")),
    };
    let label = entry.string("Label")?.map(str::to_owned);
    Ok((Query { id: id.to_owned(), label, source }, period_s))
}

/// Ids are unique, every expression leads back to metrics, and none to itself.
fn check_references(found: &Properties<'_>, queries: &[Query]) -> Result<(), PropertyError> {
    let ids: BTreeSet<&str> = queries.iter().map(|query| query.id.as_str()).collect();
    if ids.len() < queries.len() {
        return Err(found.invalid("Metrics", "a list where every Id is used once"));
    }
    let mut resolved = BTreeSet::new();
    // Each round resolves at least one query, or what is left refers to itself.
    for _ in queries {
        for query in queries {
            let is_resolved = match &query.source {
                Source::Series { .. } => true,
                Source::Math { expression, .. } => {
                    let used = expression.ids();
                    if let Some(unknown) = used.iter().find(|id| !ids.contains(**id)) {
                        let reason =
                            format!("the expression of {} refers to {unknown}, which is no Id", query.id);
                        return Err(found.unsupported("Metrics", reason));
                    }
                    if used.is_empty() {
                        let reason = format!("the expression of {} refers to no metric", query.id);
                        return Err(found.unsupported("Metrics", reason));
                    }
                    used.iter().all(|id| resolved.contains(*id))
                }
            };
            if is_resolved {
                resolved.insert(query.id.as_str());
            }
        }
    }
    match queries.iter().find(|query| !resolved.contains(query.id.as_str())) {
        Some(query) => {
            let reason =
                format!("the expression of {} refers to itself, directly or through others", query.id);
            Err(found.unsupported("Metrics", reason))
        }
        None => Ok(()),
    }
}

//! The metric store: one aggregate per series and minute.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

const MINUTE_MS: u64 = 60_000;
/// Minutes kept per series: two weeks, longer than any alarm looks back.
const MAX_MINUTES_COUNT: usize = 14 * 24 * 60;

/// Which series: namespace, name, and dimensions by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesKey {
    /// For example `AWS/Lambda`.
    pub namespace: String,
    /// For example `Errors`.
    pub name: String,
    /// A series is told apart by all of its dimensions.
    pub dimensions: BTreeMap<String, String>,
}

impl SeriesKey {
    /// The series with these dimensions, in any order.
    pub fn new(namespace: &str, name: &str, dimensions: &[(&str, &str)]) -> Self {
        let dimensions = dimensions.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Self { namespace: namespace.to_owned(), name: name.to_owned(), dimensions: dimensions.collect() }
    }

    /// The series that a `Metric` of a request means; none if a part of it is missing.
    pub fn from_metric(metric: &Value) -> Option<Self> {
        let dimensions = metric["Dimensions"].as_array()?;
        let parts = dimensions.iter().map(|one| Some((one["Name"].as_str()?, one["Value"].as_str()?)));
        let parts = parts.collect::<Option<Vec<_>>>()?;
        Some(Self::new(metric["Namespace"].as_str()?, metric["MetricName"].as_str()?, &parts))
    }
}

/// A series' place in its store, for puts that look nothing up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesId(usize);

/// What CloudWatch keeps of the values put in one period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aggregate {
    /// Their sum.
    pub sum: f64,
    /// How many there were.
    pub samples_count: u64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Aggregate {
    fn of(value: f64) -> Self {
        Self { sum: value, samples_count: 1, min: value, max: value }
    }

    fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.samples_count += other.samples_count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

/// How a period's values become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// Their sum.
    Sum,
    /// Their mean.
    Average,
    /// The largest.
    Maximum,
    /// The smallest.
    Minimum,
    /// How many there were.
    SampleCount,
}

impl Statistic {
    /// The names CloudWatch gives them.
    pub const NAMES: [&'static str; 5] = ["Sum", "Average", "Maximum", "Minimum", "SampleCount"];

    /// The statistic of this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "Sum" => Some(Self::Sum),
            "Average" => Some(Self::Average),
            "Maximum" => Some(Self::Maximum),
            "Minimum" => Some(Self::Minimum),
            "SampleCount" => Some(Self::SampleCount),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "Sum",
            Self::Average => "Average",
            Self::Maximum => "Maximum",
            Self::Minimum => "Minimum",
            Self::SampleCount => "SampleCount",
        }
    }

    /// Its value for these values.
    pub fn of(self, aggregate: &Aggregate) -> f64 {
        match self {
            Self::Sum => aggregate.sum,
            Self::Average => aggregate.sum / aggregate.samples_count as f64,
            Self::Maximum => aggregate.max,
            Self::Minimum => aggregate.min,
            Self::SampleCount => aggregate.samples_count as f64,
        }
    }
}

/// All series of an account and Region.
#[derive(Debug, Default)]
pub struct Metrics {
    ids: BTreeMap<SeriesKey, SeriesId>,
    /// Per series its minutes (since the epoch), oldest first.
    series: Vec<VecDeque<(u64, Aggregate)>>,
}

impl Metrics {
    /// The id of a series, which is created if it is new; do this once, and put by id.
    pub fn intern(&mut self, key: SeriesKey) -> SeriesId {
        let next = SeriesId(self.series.len());
        let id = *self.ids.entry(key).or_insert(next);
        if id == next {
            self.series.push(VecDeque::new());
        }
        id
    }

    /// The id of a series that anyone has put to.
    pub fn find(&self, key: &SeriesKey) -> Option<SeriesId> {
        self.ids.get(key).copied()
    }

    /// Adds a value to the minute of `timestamp_ms` (ms since the epoch), which may be long past: Lambda
    /// stamps `Errors` with the invocation's start. (D)
    pub fn put(&mut self, id: SeriesId, timestamp_ms: u64, value: f64) {
        let minute = timestamp_ms / MINUTE_MS;
        let minutes = &mut self.series[id.0];
        let after = minutes.iter().rev().take_while(|(at, _)| *at > minute).count();
        let index = minutes.len() - after;
        match index.checked_sub(1).and_then(|last| minutes.get_mut(last)) {
            Some((at, aggregate)) if *at == minute => aggregate.merge(&Aggregate::of(value)),
            _ => minutes.insert(index, (minute, Aggregate::of(value))),
        }
        if minutes.len() > MAX_MINUTES_COUNT {
            minutes.pop_front();
        }
    }

    /// The values of the whole minutes from `start_ms` until before `end_ms`; none if there are none.
    pub fn aggregate(&self, id: SeriesId, start_ms: u64, end_ms: u64) -> Option<Aggregate> {
        let minutes = &self.series[id.0];
        let first = minutes.partition_point(|(minute, _)| *minute < start_ms.div_ceil(MINUTE_MS));
        let within = minutes.range(first..).take_while(|(minute, _)| (*minute + 1) * MINUTE_MS <= end_ms);
        within.map(|(_, aggregate)| *aggregate).reduce(|mut all, next| {
            all.merge(&next);
            all
        })
    }
}

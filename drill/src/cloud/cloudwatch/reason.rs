//! Why a state is what it is: in words and as data, after recorded ones. People read it; do not parse it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::config::{AlarmConfig, Source};
use super::verdict::{StateValue, TreatMissingData};

/// One period of the evaluation range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub start_ms: u64,
    pub value: Option<f64>,
    /// Known for plain metrics only.
    pub samples_count: Option<u64>,
}

/// What an evaluation went by.
pub(super) struct Evaluation<'a> {
    pub config: &'a AlarmConfig,
    /// Oldest first.
    pub points: &'a [Point],
    pub filled_count: usize,
    pub now_ms: u64,
}

/// A time as alarms write it, for example `2019-10-02T17:04:40.985+0000`.
pub(super) fn date(at_ms: u64) -> String {
    timestamp(at_ms).strftime("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string()
}

/// A time as events write it, for example `2019-10-02T17:04:40Z`.
pub(super) fn event_time(at_ms: u64) -> String {
    timestamp(at_ms).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A time as a composite alarm's reason writes it, for example `Friday 02 August, 2019 15:29:14 UTC`.
pub(super) fn long_date(at_ms: u64) -> String {
    timestamp(at_ms).strftime("%A %d %B, %Y %H:%M:%S UTC").to_string()
}

fn timestamp(at_ms: u64) -> Timestamp {
    i64::try_from(at_ms)
        .ok()
        .and_then(|at_ms| Timestamp::from_millisecond(at_ms).ok())
        .unwrap_or(Timestamp::MAX)
}

fn datapoints(count: usize) -> &'static str {
    if count == 1 { "datapoint" } else { "datapoints" }
}

fn were(count: usize) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

impl Evaluation<'_> {
    /// The points that decided, newest first: real ones, up to N.
    fn evaluated(&self) -> Vec<(Point, f64)> {
        let real = self.points.iter().rev().filter_map(|point| Some((*point, point.value?)));
        real.take(self.config.m_out_of_n.periods_count).collect()
    }

    /// The sentence for a change to `state`.
    pub(super) fn reason(&self, state: StateValue) -> String {
        if state == StateValue::InsufficientData {
            let count = self.filled_count;
            return format!("Insufficient Data: {count} {} {} unknown.", datapoints(count), were(count));
        }
        let evaluated = self.evaluated();
        let is_breach = |value: f64| self.config.operator.is_breach(value, self.config.threshold);
        let is_alarm = state == StateValue::Alarm;
        let agreeing: Vec<&(Point, f64)> =
            evaluated.iter().filter(|(_, value)| is_breach(*value) == is_alarm).collect();
        let missing = self.missing_clause();
        if agreeing.is_empty() {
            let periods = self.config.m_out_of_n.periods_count;
            let count = evaluated.len();
            let received = if count == 0 { "no".to_owned() } else { count.to_string() };
            let were = if count == 0 { "were" } else { were(count) };
            let datapoints = if count == 0 { "datapoints" } else { datapoints(count) };
            let plural = if periods == 1 { "" } else { "s" };
            return format!(
                "Threshold Crossed: {received} {datapoints} {were} received for {periods} period{plural}{missing}."
            );
        }
        let listed: Vec<String> = agreeing
            .iter()
            .map(|(point, value)| format!("{value:?} ({})", short_date(point.start_ms)))
            .collect();
        let not = if is_alarm { "" } else { "not " };
        format!(
            "Threshold Crossed: {} [{}] {} {not}{} the threshold ({:?}){missing}{}.",
            self.counted(agreeing.len()),
            listed.join(", "),
            were(agreeing.len()),
            self.config.operator.words(),
            self.config.threshold,
            self.minimum_clause(is_alarm),
        )
    }

    fn counted(&self, count: usize) -> String {
        match self.config.has_datapoints_to_alarm {
            true => format!("{count} out of the last {} datapoints", self.config.m_out_of_n.periods_count),
            false => format!("{count} {}", datapoints(count)),
        }
    }

    fn minimum_clause(&self, is_alarm: bool) -> String {
        let rule = self.config.m_out_of_n;
        let (count, transition) = match is_alarm {
            true => (rule.datapoints_count, "OK -> ALARM"),
            false => (rule.periods_count - rule.datapoints_count + 1, "ALARM -> OK"),
        };
        match self.config.has_datapoints_to_alarm {
            true => format!(" (minimum {count} {} for {transition} transition)", datapoints(count)),
            false => String::new(),
        }
    }

    fn missing_clause(&self) -> String {
        let count = self.filled_count;
        let treated = match self.config.treat_missing_data {
            _ if count == 0 => return String::new(),
            TreatMissingData::Missing | TreatMissingData::Ignore => return String::new(),
            TreatMissingData::Breaching => "Breaching",
            TreatMissingData::NotBreaching => "NonBreaching",
        };
        format!(" and {count} missing {} {} treated as [{treated}]", datapoints(count), were(count))
    }

    /// The JSON that goes with the sentence.
    pub(super) fn reason_data(&self) -> String {
        let evaluated = self.evaluated();
        let mut data = json!({ "version": "1.0", "queryDate": date(self.now_ms) });
        if let Some((oldest, _)) = evaluated.last() {
            data["startDate"] = json!(date(oldest.start_ms));
        }
        if let (true, [query]) = (self.config.is_plain, &self.config.queries[..])
            && let Source::Series { statistic, .. } = &query.source
        {
            data["statistic"] = json!(statistic.name());
        }
        data["period"] = json!(self.config.period_s);
        data["recentDatapoints"] = evaluated.iter().rev().map(|(_, value)| json!(value)).collect();
        data["threshold"] = json!(self.config.threshold);
        data["evaluatedDatapoints"] = match evaluated.is_empty() {
            true => {
                let newest = self.points.iter().rev().take(self.config.m_out_of_n.periods_count);
                newest.map(|point| json!({ "timestamp": date(point.start_ms) })).collect()
            }
            false => evaluated.iter().map(|(point, value)| evaluated_point(point, *value)).collect(),
        };
        data.to_string()
    }
}

fn evaluated_point(point: &Point, value: f64) -> Value {
    let mut found = json!({ "timestamp": date(point.start_ms) });
    if let Some(count) = point.samples_count {
        found["sampleCount"] = json!(count as f64);
    }
    found["value"] = json!(value);
    found
}

fn short_date(at_ms: u64) -> String {
    timestamp(at_ms).strftime("%d/%m/%y %H:%M:%S").to_string()
}

//! From points to a state: M out of N, and what missing points mean.
//!
//! The rules are those of the CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data",
//! with its tables as tests. CloudWatch fetches more points than N, so that old ones can stand in for missing
//! ones: after the data stops, the last N real points keep deciding until they leave the range. (D)

/// An alarm's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateValue {
    /// Within the threshold.
    Ok,
    /// Outside of it.
    Alarm,
    /// Just created, or not enough data.
    InsufficientData,
}

impl StateValue {
    /// Its name in the API and in events.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

/// What a missing point counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreatMissingData {
    /// Nothing: with too little data the state is `INSUFFICIENT_DATA`. The default.
    Missing,
    /// A good point.
    NotBreaching,
    /// A bad point.
    Breaching,
    /// The state stays as it is.
    Ignore,
}

impl TreatMissingData {
    /// The names CloudFormation takes.
    pub const NAMES: [&'static str; 4] = ["missing", "notBreaching", "breaching", "ignore"];

    /// The treatment of this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "missing" => Some(Self::Missing),
            "notBreaching" => Some(Self::NotBreaching),
            "breaching" => Some(Self::Breaching),
            "ignore" => Some(Self::Ignore),
            _ => None,
        }
    }
}

/// How many points of how many make an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MOutOfN {
    /// Breaching points needed, 1 to `periods_count`.
    pub datapoints_count: usize,
    /// Points looked at.
    pub periods_count: usize,
}

/// What an evaluation found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The state the points call for; none keeps the present one.
    pub state: Option<StateValue>,
    /// Missing points that counted as something.
    pub filled_count: usize,
}

/// Judges the points of the evaluation range, newest last: breaching or not, none where missing.
pub fn judge(points: &[Option<bool>], rule: MOutOfN, treat: TreatMissingData) -> Verdict {
    let newest_real: Vec<bool> =
        points.iter().rev().filter_map(|point| *point).take(rule.periods_count).collect();
    let breaching_count = newest_real.iter().filter(|is_breaching| **is_breaching).count();
    let filled_count = rule.periods_count - newest_real.len();
    let decide = |breaching_count: usize| {
        Some(if breaching_count >= rule.datapoints_count { StateValue::Alarm } else { StateValue::Ok })
    };
    let state = match treat {
        _ if filled_count == 0 => decide(breaching_count),
        TreatMissingData::Breaching => decide(breaching_count + filled_count),
        TreatMissingData::NotBreaching => decide(breaching_count),
        TreatMissingData::Missing | TreatMissingData::Ignore => {
            let has_good = breaching_count < newest_real.len();
            match (has_good || breaching_count >= rule.datapoints_count, treat) {
                (true, _) => decide(breaching_count),
                (false, TreatMissingData::Missing) if is_old_enough(points, rule) => Some(StateValue::Alarm),
                (false, TreatMissingData::Missing) => Some(StateValue::InsufficientData),
                (false, _) => None,
            }
        }
    };
    Verdict { state, filled_count }
}

/// Whether the oldest real point, all of which breach, is at least M periods old: then CloudWatch waits no
/// longer for points that could disagree. (D)
fn is_old_enough(points: &[Option<bool>], rule: MOutOfN) -> bool {
    let oldest = points.iter().position(Option::is_some);
    oldest.is_some_and(|index| points.len() - index >= rule.datapoints_count)
}

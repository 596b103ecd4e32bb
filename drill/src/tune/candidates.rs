//! The settings that are tried.

use std::fmt;

use workflow::backoff::Backoff;
use workflow::config::{AlarmConfig, AlarmSignal, BreakerConfig, CircuitConfig};

/// M of N of the alarm.
const DATAPOINTS: [(u32, u32); 4] = [(1, 1), (2, 2), (2, 3), (3, 5)];
/// Shares of failures at which a period breaches, percent.
const FAILURE_PERCENTS: [f64; 3] = [25.0, 50.0, 80.0];
/// Least volumes of a period.
const MIN_EVENTS: [u32; 3] = [5, 10, 25];
/// First waits, seconds.
const BASES_S: [u32; 3] = [10, 30, 60];
/// Longest waits, seconds.
const CAPS_S: [u32; 5] = [60, 120, 300, 600, 900];
/// Successes that close.
const SUCCESSES: [u32; 3] = [1, 2, 3];

/// The settings that are looked at, of all that a circuit has.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// When the alarm fires.
    pub alarm: AlarmConfig,
    /// Waits between probes.
    pub backoff: Backoff,
    /// Successes in a row that close.
    pub successes_to_close_count: u32,
}

/// One setting as it stands in a configuration: its path below the circuit, and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Table and key: `backoff`, `cap_s`.
    pub path: (&'static str, &'static str),
    /// The value.
    pub value: Value,
}

/// A value of a setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Whole(u32),
    /// Any number.
    Number(f64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Whole(number) => write!(f, "{number}"),
            Value::Number(number) => write!(f, "{number}"),
        }
    }
}

impl Candidate {
    /// The present settings of a circuit.
    pub fn of(circuit: &CircuitConfig) -> Candidate {
        Candidate {
            alarm: circuit.alarm.clone(),
            backoff: circuit.backoff,
            successes_to_close_count: circuit.probe.successes_to_close_count,
        }
    }

    /// The circuit with these settings.
    pub fn applied_to(&self, circuit: &CircuitConfig) -> CircuitConfig {
        let mut tuned = circuit.clone();
        tuned.alarm = self.alarm.clone();
        tuned.backoff = self.backoff;
        tuned.probe.successes_to_close_count = self.successes_to_close_count;
        tuned
    }

    /// Whether the circuit may have these settings: nothing is refused that is not refused now.
    pub fn is_allowed(&self, circuit: &CircuitConfig) -> bool {
        let refused = |circuit: CircuitConfig| {
            BreakerConfig::single("tuned", circuit)
                .validate()
                .refusing()
                .map(|finding| finding.code)
                .collect::<Vec<_>>()
        };
        let now = refused(circuit.clone());
        refused(self.applied_to(circuit)).iter().all(|code| now.contains(code))
    }

    /// The settings in which it differs from another.
    pub fn changes_from(&self, other: &Candidate) -> Vec<Setting> {
        let (own, others) = (self.settings(), other.settings());
        own.into_iter().zip(others).filter(|(own, other)| own != other).map(|(own, _)| own).collect()
    }

    /// The settings, in the order in which they are printed.
    pub fn settings(&self) -> Vec<Setting> {
        let setting = |table, key, value| Setting { path: (table, key), value };
        vec![
            setting("alarm", "failure_percent", Value::Number(self.alarm.failure_percent)),
            setting("alarm", "min_events_count", Value::Whole(self.alarm.min_events_count)),
            setting("alarm", "period_s", Value::Whole(self.alarm.period_s)),
            setting("alarm", "evaluation_periods_count", Value::Whole(self.alarm.evaluation_periods_count)),
            setting("alarm", "datapoints_to_alarm_count", Value::Whole(self.alarm.datapoints_to_alarm_count)),
            setting("backoff", "base_s", Value::Whole(self.backoff.base_s)),
            setting("backoff", "cap_s", Value::Whole(self.backoff.cap_s)),
            setting("probe", "successes_to_close_count", Value::Whole(self.successes_to_close_count)),
        ]
    }

    /// This one and the alarms that are tried beside it. An alarm that exists already, or counts failures whatever their
    /// share, is left as it is.
    pub fn alarms(&self) -> Vec<Candidate> {
        let mut all = vec![self.clone()];
        match self.alarm.signal {
            AlarmSignal::MappingEvents | AlarmSignal::FunctionErrors => {}
            AlarmSignal::FailedCount | AlarmSignal::Existing => return all,
        }
        for (datapoints, periods) in DATAPOINTS {
            for failure_percent in FAILURE_PERCENTS {
                for min_events_count in MIN_EVENTS {
                    let alarm = AlarmConfig {
                        failure_percent,
                        min_events_count,
                        period_s: 60,
                        evaluation_periods_count: periods,
                        datapoints_to_alarm_count: datapoints,
                        ..self.alarm.clone()
                    };
                    all.push(Candidate { alarm, ..self.clone() });
                }
            }
        }
        without_repeats(all)
    }

    /// This one and the ways to probe and to come back that are tried beside it.
    pub fn recoveries(&self) -> Vec<Candidate> {
        let mut all = vec![self.clone()];
        for base_s in BASES_S {
            for cap_s in CAPS_S.into_iter().filter(|cap_s| *cap_s >= base_s) {
                let backoff = Backoff { base_s, cap_s, ..self.backoff };
                all.extend(SUCCESSES.map(|successes_to_close_count| Candidate {
                    backoff,
                    successes_to_close_count,
                    ..self.clone()
                }));
            }
        }
        without_repeats(all)
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alarm = &self.alarm;
        let (m, n) = (alarm.datapoints_to_alarm_count, alarm.evaluation_periods_count);
        match alarm.signal {
            AlarmSignal::MappingEvents | AlarmSignal::FunctionErrors => {
                let (percent, least) = (alarm.failure_percent, alarm.min_events_count);
                write!(f, "{percent} % of {least}+ in {m} of {n} x {} s", alarm.period_s)?;
            }
            AlarmSignal::FailedCount => {
                write!(f, "{}+ failed in {m} of {n} x {} s", alarm.failed_events_count, alarm.period_s)?;
            }
            AlarmSignal::Existing => write!(f, "existing alarm")?,
        }
        let (base, cap) = (self.backoff.base_s, self.backoff.cap_s);
        write!(f, "; waits {base}-{cap} s; {} to close", self.successes_to_close_count)
    }
}

fn without_repeats(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        if !kept.contains(&candidate) {
            kept.push(candidate);
        }
    }
    kept
}

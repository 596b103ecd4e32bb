//! The alarm: it reads its points each minute, and tells when its state changes.

use std::rc::Rc;

use super::config::{AlarmConfig, Source};
use super::expression::MissingOperand;
use super::metrics::Metrics;
use super::reason::{Evaluation, Point};
use super::verdict::{StateValue, judge};

/// How often CloudWatch evaluates an alarm whose period is a minute or more. (D)
pub const EVALUATION_INTERVAL_MS: u64 = 60_000;
const MINUTE_MS: u64 = 60_000;

/// What AWS leaves open about evaluations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlarmKnobs {
    /// How long after its end a minute's data can be seen. Default 0; on AWS seconds to a few minutes. (U)
    pub metric_delay_ms: u64,
    /// Periods looked at beyond N, in case some are missing. Default 2, as in AWS's examples (5 for N = 3);
    /// AWS says that the number depends on the period. (U)
    pub extra_range_periods_count: usize,
    /// What metric math makes of a point that only one operand has.
    pub missing_operand: MissingOperand,
}

impl Default for AlarmKnobs {
    fn default() -> Self {
        let missing_operand = MissingOperand::default();
        Self { metric_delay_ms: 0, extra_range_periods_count: 2, missing_operand }
    }
}

/// An alarm's state, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmState {
    /// The state.
    pub value: StateValue,
    /// Why, for people.
    pub reason: String,
    /// Why, as JSON in a string; absent before the first evaluation and where `SetAlarmState` gives none.
    pub reason_data: Option<String>,
    /// Since when, in ms since the epoch.
    pub timestamp_ms: u64,
}

/// A change of state; [`StateChange::to_event`] is what EventBridge gets.
#[derive(Debug, Clone, PartialEq)]
pub struct StateChange {
    /// The alarm's name.
    pub alarm_name: String,
    /// The alarm's ARN.
    pub alarm_arn: String,
    /// The state before.
    pub previous: AlarmState,
    /// The state now.
    pub state: AlarmState,
    /// The ARNs of the alarm's own actions for this state; none while actions are disabled.
    pub actions: Vec<String>,
    pub(super) changed: Changed,
}

/// What kind of alarm changed, as far as its event tells.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Changed {
    Metric(Rc<AlarmConfig>),
    Composite { description: Option<String>, rule: String },
}

/// One metric alarm.
#[derive(Debug, Clone)]
pub struct Alarm {
    name: String,
    arn: String,
    config: Rc<AlarmConfig>,
    knobs: AlarmKnobs,
    state: AlarmState,
}

impl Alarm {
    /// A new alarm: `INSUFFICIENT_DATA` until its first evaluation. (D)
    pub fn new(name: &str, arn: &str, config: AlarmConfig, created_ms: u64) -> Self {
        let state = AlarmState {
            value: StateValue::InsufficientData,
            reason: "Unchecked: Initial alarm creation".to_owned(),
            reason_data: None,
            timestamp_ms: created_ms,
        };
        let (name, arn) = (name.to_owned(), arn.to_owned());
        Self { name, arn, config: Rc::new(config), knobs: AlarmKnobs::default(), state }
    }

    /// The alarm's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The alarm's ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The alarm's settings.
    pub fn config(&self) -> &AlarmConfig {
        &self.config
    }

    /// The present state.
    pub fn state(&self) -> &AlarmState {
        &self.state
    }

    /// What scenarios vary.
    pub fn knobs_mut(&mut self) -> &mut AlarmKnobs {
        &mut self.knobs
    }

    /// Evaluates the alarm; call it each [`EVALUATION_INTERVAL_MS`].
    ///
    /// The points are those of whole periods that end with the last whole minute that can be seen, so a
    /// period of five minutes slides by one. (D)
    pub fn evaluate(&mut self, now_ms: u64, metrics: &Metrics) -> Option<StateChange> {
        let points = self.points(now_ms, metrics);
        let config = Rc::clone(&self.config);
        let breaches: Vec<Option<bool>> = points
            .iter()
            .map(|point| point.value.map(|value| config.operator.is_breach(value, config.threshold)))
            .collect();
        let verdict = judge(&breaches, config.m_out_of_n, config.treat_missing_data);
        let value = verdict.state.filter(|value| *value != self.state.value)?;
        let evaluation =
            Evaluation { config: &config, points: &points, filled_count: verdict.filled_count, now_ms };
        Some(self.change_to(AlarmState {
            value,
            reason: evaluation.reason(value),
            reason_data: Some(evaluation.reason_data()),
            timestamp_ms: now_ms,
        }))
    }

    /// `SetAlarmState`: holds until the next evaluation, which goes by the points again. (M)
    ///
    /// Setting the present state again changes its reason, and is no change of state.
    pub fn set_state(
        &mut self,
        value: StateValue,
        reason: &str,
        reason_data: Option<&str>,
        now_ms: u64,
    ) -> Option<StateChange> {
        let is_change = value != self.state.value;
        let (reason, reason_data) = (reason.to_owned(), reason_data.map(str::to_owned));
        let change = self.change_to(AlarmState { value, reason, reason_data, timestamp_ms: now_ms });
        is_change.then_some(change)
    }

    fn change_to(&mut self, state: AlarmState) -> StateChange {
        let actions = match state.value {
            _ if !self.config.actions_enabled => &[][..],
            StateValue::Ok => &self.config.actions.ok,
            StateValue::Alarm => &self.config.actions.alarm,
            StateValue::InsufficientData => &self.config.actions.insufficient_data,
        };
        StateChange {
            alarm_name: self.name.clone(),
            alarm_arn: self.arn.clone(),
            actions: actions.to_vec(),
            changed: Changed::Metric(Rc::clone(&self.config)),
            state: state.clone(),
            previous: std::mem::replace(&mut self.state, state),
        }
    }

    /// The evaluation range, oldest first.
    fn points(&self, now_ms: u64, metrics: &Metrics) -> Vec<Point> {
        let seen_ms = now_ms.saturating_sub(self.knobs.metric_delay_ms);
        let last_end_ms = seen_ms - seen_ms % MINUTE_MS;
        let period_ms = self.config.period_s * 1_000;
        let periods_count = self.config.m_out_of_n.periods_count + self.knobs.extra_range_periods_count;
        (0..periods_count as u64)
            .rev()
            .filter_map(|back| last_end_ms.checked_sub((back + 1) * period_ms))
            .map(|start_ms| self.point(start_ms, start_ms + period_ms, metrics))
            .collect()
    }

    fn point(&self, start_ms: u64, end_ms: u64, metrics: &Metrics) -> Point {
        let query = &self.config.queries[self.config.returned];
        let value = self.value(&query.source, start_ms, end_ms, metrics);
        let samples_count = match &query.source {
            Source::Series { key, .. } if self.config.is_plain => metrics
                .find(key)
                .and_then(|id| metrics.aggregate(id, start_ms, end_ms))
                .map(|aggregate| aggregate.samples_count),
            Source::Series { .. } | Source::Math { .. } => None,
        };
        Point { start_ms, value, samples_count }
    }

    fn value(&self, source: &Source, start_ms: u64, end_ms: u64, metrics: &Metrics) -> Option<f64> {
        match source {
            Source::Series { key, statistic } => {
                let aggregate = metrics.aggregate(metrics.find(key)?, start_ms, end_ms)?;
                Some(statistic.of(&aggregate))
            }
            Source::Math { expression, .. } => {
                // The configuration made sure that no expression leads back to itself.
                let point = |id: &str| self.value(&self.config.query(id)?.source, start_ms, end_ms, metrics);
                expression.evaluate(&point, self.knobs.missing_operand)
            }
        }
    }
}

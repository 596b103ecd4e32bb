//! The composite alarm: its state is a rule over the states of other alarms.
//!
//! Modelled of a rule: `ALARM(...)`, `OK(...)`, `INSUFFICIENT_DATA(...)`, `TRUE`, `FALSE`, `NOT`, `AND`, `OR` and
//! parentheses; `NOT` binds closest, then `AND` (U). An alarm is given by name or ARN, in quotes or without. Refused are
//! `AT_LEAST`, suppressors and rules that lead back to themselves.

use serde_json::{Value, json};

use super::alarm::{AlarmState, Changed, StateChange};
use super::reason::{date, long_date};
use super::verdict::StateValue;
use crate::cloud::cfn_properties::{Properties, PropertyError};

const RESOURCE: &str = "AWS::CloudWatch::CompositeAlarm";
const KNOWN: &[&str] = &["ActionsEnabled", "AlarmDescription", "AlarmName", "AlarmRule", "Tags"];
/// Alarms that a rule may name. (D)
const MAX_ALARMS_COUNT: usize = 100;
/// Deepest nesting of a rule that is read.
const MAX_DEPTH: usize = 32;

/// A composite alarm.
#[derive(Debug, Clone)]
pub struct CompositeAlarm {
    name: String,
    arn: String,
    description: Option<String>,
    text: String,
    rule: Rule,
    state: AlarmState,
}

/// A rule over the states of other alarms.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Constant(bool),
    Is { state: StateValue, alarm: String },
    Not(Box<Rule>),
    And(Vec<Rule>),
    Or(Vec<Rule>),
}

impl CompositeAlarm {
    /// A new composite alarm from its CloudFormation properties; `INSUFFICIENT_DATA` until its first evaluation.
    ///
    /// # Errors
    /// An unknown property, a rule that is missing, cannot be read, or names no alarm or more than 100.
    pub fn from_properties(
        name: &str,
        arn: &str,
        properties: &Value,
        created_ms: u64,
    ) -> Result<CompositeAlarm, PropertyError> {
        let found = Properties::new(RESOURCE, properties, KNOWN)?;
        let text = found.string("AlarmRule")?.ok_or_else(|| found.missing("AlarmRule", "a rule"))?;
        let rule = Rule::parse(text)
            .map_err(|problem| found.unsupported("AlarmRule", format!("{text:?}: {problem}")))?;
        if !(1..=MAX_ALARMS_COUNT).contains(&rule.alarms().len()) {
            let allowed = format!("a rule that names 1 to {MAX_ALARMS_COUNT} alarms");
            return Err(found.invalid("AlarmRule", allowed));
        }
        Ok(CompositeAlarm {
            name: name.to_owned(),
            arn: arn.to_owned(),
            description: found.string("AlarmDescription")?.map(str::to_owned),
            text: text.to_owned(),
            rule,
            state: AlarmState {
                value: StateValue::InsufficientData,
                reason: "Unchecked: Initial alarm creation".to_owned(),
                reason_data: None,
                timestamp_ms: created_ms,
            },
        })
    }

    /// The alarm's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The alarm's ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The present state.
    pub fn state(&self) -> &AlarmState {
        &self.state
    }

    /// The alarms that the rule names, by name or ARN as they stand there.
    pub fn children(&self) -> Vec<&str> {
        self.rule.alarms()
    }

    /// Whether the rule names this alarm.
    pub fn watches(&self, name: &str, arn: &str) -> bool {
        self.children().iter().any(|child| *child == name || *child == arn)
    }

    /// Evaluates the rule after the alarm `child` has changed. Call it then only: what `SetAlarmState` set holds until
    /// then. (M)
    pub fn evaluate(
        &mut self,
        child: (&str, &AlarmState),
        state_of: &dyn Fn(&str) -> StateValue,
        now_ms: u64,
    ) -> Option<StateChange> {
        let value = if self.rule.holds(state_of) { StateValue::Alarm } else { StateValue::Ok };
        if value == self.state.value {
            return None;
        }
        let (arn, state) = child;
        let triggering = json!({ "triggeringAlarms": [{
            "arn": arn,
            "state": { "value": state.value.name(), "timestamp": date(state.timestamp_ms) },
        }] });
        let reason =
            format!("{arn} transitioned to {} at {}", state.value.name(), long_date(state.timestamp_ms));
        let reason_data = Some(triggering.to_string());
        Some(self.change_to(AlarmState { value, reason, reason_data, timestamp_ms: now_ms }))
    }

    /// `SetAlarmState`: holds until an alarm of the rule changes. (M)
    pub fn set_state(&mut self, value: StateValue, reason: &str, now_ms: u64) -> Option<StateChange> {
        let is_change = value != self.state.value;
        let state = AlarmState { value, reason: reason.to_owned(), reason_data: None, timestamp_ms: now_ms };
        let change = self.change_to(state);
        is_change.then_some(change)
    }

    fn change_to(&mut self, state: AlarmState) -> StateChange {
        StateChange {
            alarm_name: self.name.clone(),
            alarm_arn: self.arn.clone(),
            actions: Vec::new(),
            changed: Changed::Composite { description: self.description.clone(), rule: self.text.clone() },
            state: state.clone(),
            previous: std::mem::replace(&mut self.state, state),
        }
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Rule, String> {
        let mut rest = text;
        let rule = any(&mut rest, 0)?;
        match rest.trim_start() {
            "" => Ok(rule),
            more => Err(format!("{more:?} follows after its end")),
        }
    }

    fn alarms(&self) -> Vec<&str> {
        match self {
            Rule::Constant(_) => Vec::new(),
            Rule::Is { alarm, .. } => vec![alarm],
            Rule::Not(rule) => rule.alarms(),
            Rule::And(rules) | Rule::Or(rules) => rules.iter().flat_map(Rule::alarms).collect(),
        }
    }

    fn holds(&self, state_of: &dyn Fn(&str) -> StateValue) -> bool {
        match self {
            Rule::Constant(holds) => *holds,
            Rule::Is { state, alarm } => state_of(alarm) == *state,
            Rule::Not(rule) => !rule.holds(state_of),
            Rule::And(rules) => rules.iter().all(|rule| rule.holds(state_of)),
            Rule::Or(rules) => rules.iter().any(|rule| rule.holds(state_of)),
        }
    }
}

/// `OR` over `AND` over single rules.
fn any(rest: &mut &str, depth: usize) -> Result<Rule, String> {
    list(rest, "OR", Rule::Or, &mut |rest| list(rest, "AND", Rule::And, &mut |rest| single(rest, depth)))
}

fn list(
    rest: &mut &str,
    word: &str,
    join: fn(Vec<Rule>) -> Rule,
    item: &mut dyn FnMut(&mut &str) -> Result<Rule, String>,
) -> Result<Rule, String> {
    let first = item(rest)?;
    let mut rules = vec![first];
    while take_word(rest, word) {
        rules.push(item(rest)?);
    }
    Ok(if rules.len() == 1 { rules.remove(0) } else { join(rules) })
}

fn single(rest: &mut &str, depth: usize) -> Result<Rule, String> {
    if depth >= MAX_DEPTH {
        return Err(format!("it is nested deeper than {MAX_DEPTH}"));
    }
    if take_word(rest, "NOT") {
        return Ok(Rule::Not(Box::new(single(rest, depth + 1)?)));
    }
    for (word, holds) in [("TRUE", true), ("FALSE", false)] {
        if take_word(rest, word) {
            return Ok(Rule::Constant(holds));
        }
    }
    for state in [StateValue::Alarm, StateValue::Ok, StateValue::InsufficientData] {
        if take_word(rest, state.name()) {
            return Ok(Rule::Is { state, alarm: alarm(rest)? });
        }
    }
    if take(rest, "(") {
        let rule = any(rest, depth + 1)?;
        return if take(rest, ")") { Ok(rule) } else { Err("a closing parenthesis is missing".to_owned()) };
    }
    let words = "ALARM(...), OK(...), INSUFFICIENT_DATA(...), TRUE, FALSE, NOT or a parenthesis";
    Err(format!("{:?} stands where {words} is expected", rest.trim_start()))
}

/// `("name")` or `(name)`.
fn alarm(rest: &mut &str) -> Result<String, String> {
    if !take(rest, "(") {
        return Err("an alarm stands in parentheses".to_owned());
    }
    let quoted = take(rest, "\"");
    let (alarm, after) =
        rest.split_once(if quoted { '"' } else { ')' }).ok_or("an alarm's name has no end")?;
    *rest = after;
    if quoted && !take(rest, ")") {
        return Err("a closing parenthesis is missing".to_owned());
    }
    match alarm.trim() {
        "" => Err("an alarm has no name".to_owned()),
        alarm => Ok(alarm.to_owned()),
    }
}

fn take(rest: &mut &str, text: &str) -> bool {
    let stripped = rest.trim_start().strip_prefix(text);
    stripped.inspect(|after| *rest = after).is_some()
}

/// A word, not merely the beginning of a longer one.
fn take_word(rest: &mut &str, word: &str) -> bool {
    let after = rest.trim_start().strip_prefix(word);
    let whole = after.filter(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'));
    whole.inspect(|after| *rest = after).is_some()
}

//! EventBridge: rules with their patterns and targets, input transformers, and `PutEvents`.
//!
//! The model says which events a rule matches and what each target receives; sending it there, and
//! retrying, is the business of whoever drives the model. Cron schedules and the target kinds that need
//! parameters of their own are refused by name.

mod pattern;
mod put_events;
mod transform;

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

pub use self::pattern::{EventPattern, PatternError};
pub use self::put_events::{Bus, PutEventsOutcome, put_events};
pub use self::transform::{InputTransformer, TransformError};

use self::transform::EventPath;
use super::cloudformation::problem::{Properties, PropertyProblem};

/// Targets a rule may have.
const MAX_TARGETS: usize = 5;

/// A rule on an event bus.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The rule's name.
    pub name: String,
    /// The rule's ARN.
    pub arn: String,
    /// The name of its bus; `default` unless the rule names another.
    pub bus_name: String,
    /// Whether the rule acts at all.
    pub enabled: bool,
    /// Which events it matches, if it matches events.
    pub pattern: Option<EventPattern>,
    /// Seconds between the events it makes by itself, if it has a schedule.
    pub schedule_period_s: Option<u64>,
    /// Where matching events go.
    pub targets: Vec<Target>,
}

/// One target of a rule.
#[derive(Debug, Clone)]
pub struct Target {
    /// The target's id within the rule.
    pub id: String,
    /// What is called.
    pub arn: String,
    /// The role that EventBridge assumes to call it.
    pub role_arn: Option<String>,
    /// What the target receives.
    pub input: TargetInput,
    /// The queue for events that could not be delivered.
    pub dead_letter_arn: Option<String>,
    /// How long delivery is tried, in seconds: 60-86,400, by default 86,400.
    pub max_event_age_s: u64,
    /// How often delivery is retried: 0-185, by default 185.
    pub max_retry_count: u64,
}

/// What a target receives.
#[derive(Debug, Clone)]
pub enum TargetInput {
    /// The whole event.
    Event,
    /// The same JSON text each time.
    Constant(String),
    /// The part of the event at a path.
    Path(String),
    /// The event put into a template.
    Transformer(InputTransformer),
}

impl Rule {
    /// A rule from the resolved properties of an `AWS::Events::Rule`.
    ///
    /// # Errors
    /// One problem for each property that is missing, wrong or not modelled.
    pub fn from_properties(name: &str, arn: &str, properties: &Value) -> Result<Self, Vec<PropertyProblem>> {
        let mut all = Properties::new(properties);
        for ignored in ["Name", "Description", "Tags"] {
            all.take(ignored);
        }
        let bus = all.optional_text("EventBusName").unwrap_or_else(|| "default".into());
        let bus_name = bus.rsplit('/').next().unwrap_or(&bus).to_owned();
        let state = all.optional_text("State").unwrap_or_else(|| "ENABLED".into());
        if !["ENABLED", "DISABLED"].contains(&state.as_str()) {
            all.problem("State", format!("is {state}; allowed are ENABLED and DISABLED"));
        }
        let pattern = all.take("EventPattern").and_then(|json| {
            EventPattern::new(&json)
                .map_err(|error| all.problem(&format!("EventPattern{}", error.path), error.problem))
                .ok()
        });
        let schedule_period_s = all.optional_text("ScheduleExpression").and_then(|expression| {
            rate_s(&expression).map_err(|problem| all.problem("ScheduleExpression", problem)).ok()
        });
        if pattern.is_none() && schedule_period_s.is_none() && !all.has_problems() {
            all.problem("EventPattern", "is missing, and so is ScheduleExpression; a rule needs one of them");
        }
        if schedule_period_s.is_some() && bus_name != "default" {
            all.problem("ScheduleExpression", "is supported on the default event bus only");
        }
        let mut targets: Vec<Target> = Vec::new();
        for mut properties in all.objects("Targets") {
            if let Some(target) = read_target(&mut properties) {
                if targets.iter().any(|other| other.id == target.id) {
                    properties.problem("Id", format!("{} is used twice", target.id));
                }
                targets.push(target);
            }
            all.absorb(properties);
        }
        if targets.len() > MAX_TARGETS {
            all.problem("Targets", format!("has {} entries; at most {MAX_TARGETS}", targets.len()));
        }
        all.finish()?;
        let (name, arn, enabled) = (name.to_owned(), arn.to_owned(), state == "ENABLED");
        Ok(Self { name, arn, bus_name, enabled, pattern, schedule_period_s, targets })
    }

    /// Whether the rule is enabled and its pattern matches the event.
    pub fn matches(&self, event: &Value) -> bool {
        self.enabled && self.pattern.as_ref().is_some_and(|pattern| pattern.matches(event))
    }

    /// The text a target of this rule receives for an event that came in at `ingested_ms`
    /// (milliseconds since 1970).
    ///
    /// # Errors
    /// When the event lacks the target's `InputPath`, or its template gives invalid JSON. EventBridge
    /// then cannot deliver the event.
    pub fn input_for(
        &self,
        target: &Target,
        event: &Value,
        ingested_ms: i64,
    ) -> Result<String, TransformError> {
        match &target.input {
            TargetInput::Event => Ok(event.to_string()),
            TargetInput::Constant(text) => Ok(text.clone()),
            TargetInput::Path(path) => EventPath::parse(path)
                .ok()
                .and_then(|parsed| parsed.get(event).map(Value::to_string))
                .ok_or_else(|| TransformError::PathMissing { path: path.clone() }),
            TargetInput::Transformer(transformer) => transformer.apply(self, event, ingested_ms),
        }
    }

    /// The event the rule's schedule makes at `now_ms` (milliseconds since 1970).
    pub fn scheduled_event(&self, bus: &Bus<'_>, id: &str, now_ms: i64) -> Value {
        json!({
            "version": "0",
            "id": id,
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": bus.account,
            "time": put_events::time_text(now_ms),
            "region": bus.region,
            "resources": [self.arn],
            "detail": {},
        })
    }
}

fn read_target(properties: &mut Properties) -> Option<Target> {
    let (id, arn) = (properties.text("Id"), properties.text("Arn"));
    let role_arn = properties.optional_text("RoleArn");
    let mut inputs = Vec::new();
    if let Some(text) = properties.optional_text("Input") {
        if serde_json::from_str::<Value>(&text).is_err() {
            properties.problem("Input", "is no valid JSON");
        }
        inputs.push(TargetInput::Constant(text));
    }
    if let Some(path) = properties.optional_text("InputPath") {
        if let Err(problem) = EventPath::parse(&path) {
            properties.problem("InputPath", problem);
        }
        inputs.push(TargetInput::Path(path));
    }
    if let Some(mut transformer) = properties.object("InputTransformer") {
        inputs.extend(InputTransformer::from_properties(&mut transformer).map(TargetInput::Transformer));
        properties.absorb(transformer);
    }
    if inputs.len() > 1 {
        properties.problem("", "Only one of Input, InputPath, or InputTransformer must be provided");
    }
    let dead_letter_arn = properties.object("DeadLetterConfig").and_then(|mut config| {
        let arn = config.text("Arn");
        properties.absorb(config);
        arn
    });
    let (mut max_event_age_s, mut max_retry_count) = (86_400, 185);
    if let Some(mut policy) = properties.object("RetryPolicy") {
        max_event_age_s = policy.count("MaximumEventAgeInSeconds", 60..=86_400).unwrap_or(max_event_age_s);
        max_retry_count = policy.count("MaximumRetryAttempts", 0..=185).unwrap_or(max_retry_count);
        properties.absorb(policy);
    }
    let input = inputs.pop().unwrap_or(TargetInput::Event);
    Some(Target { id: id?, arn: arn?, role_arn, input, dead_letter_arn, max_event_age_s, max_retry_count })
}

/// Seconds of a `rate(...)` expression. A value of one takes the singular unit, others the plural.
fn rate_s(expression: &str) -> Result<u64, String> {
    let allowed = "allowed are rate(1 minute), rate(5 minutes) and the same with hours and days";
    let bad = || format!("is {expression}; {allowed}");
    let inner = expression.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')'));
    let Some((count, unit)) = inner.and_then(|inner| inner.trim().split_once(' ')) else {
        return Err(if expression.starts_with("cron(") {
            format!("is {expression}; cron schedules are not modelled, {allowed}")
        } else {
            bad()
        });
    };
    let count: u64 = count.parse().ok().filter(|count| *count > 0).ok_or_else(bad)?;
    let unit_s = match (unit.trim(), count == 1) {
        ("minute", true) | ("minutes", false) => 60,
        ("hour", true) | ("hours", false) => 3_600,
        ("day", true) | ("days", false) => 86_400,
        _ => return Err(bad()),
    };
    count.checked_mul(unit_s).ok_or_else(bad)
}

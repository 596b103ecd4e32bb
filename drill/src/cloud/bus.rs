//! EventBridge and the alarms: what is put on the bus reaches the targets of the rules that match it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use workflow::events::{DOWNSTREAM_RECOVERED, REQUEST_SOURCE, TRIP_REQUESTED};

use super::cloudformation::{Kind, Stack};
use super::cloudwatch::{EVALUATION_INTERVAL_MS, StateChange, StateValue};
use super::error::ServiceError;
use super::eventbridge::{Bus, Rule, Target, put_events};
use super::world::{Cloud, CloudError, text};
use crate::checkers::Observation;
use crate::faults::FaultKind;
use crate::report::Topic;
use crate::sim::Time;

/// The rules of the stack, and the events so far.
pub struct Rules {
    rules: Vec<Rule>,
    event_count: Cell<u64>,
    last_alarm_event: RefCell<Option<Value>>,
    /// Whether the next event of an alarm that fires is lost.
    loses_alarm_event: Cell<bool>,
    /// Names of functions, and the rules on whose behalf EventBridge may invoke them.
    permissions: Vec<(String, String)>,
}

impl Rules {
    /// The rules of `stack`.
    ///
    /// # Errors
    /// A pattern, or a target, that is not modelled.
    pub fn create(stack: &Stack) -> Result<Rules, CloudError> {
        let mut rules = Vec::new();
        for resource in stack.of_kind(Kind::Rule) {
            let arn = resource.arn.as_deref().unwrap_or_default();
            let rule =
                Rule::from_properties(&resource.name, arn, &resource.properties).map_err(|problems| {
                    let all = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                    CloudError::resource(resource, all)
                })?;
            rules.push(rule);
        }
        let mut permissions = Vec::new();
        for resource in stack.of_kind(Kind::Permission) {
            let property = |name: &str| text(&resource.properties, name).unwrap_or_default().to_owned();
            let (action, principal) = (property("Action"), property("Principal"));
            if action != "lambda:InvokeFunction" || principal != "events.amazonaws.com" {
                let problem =
                    format!("{action} for {principal} is not modelled; EventBridge may invoke functions");
                return Err(CloudError::resource(resource, problem));
            }
            permissions.push((property("FunctionName"), property("SourceArn")));
        }
        Ok(Rules {
            rules,
            event_count: Cell::new(0),
            last_alarm_event: RefCell::default(),
            loses_alarm_event: Cell::new(false),
            permissions,
        })
    }
}

/// What `SetAlarmState` asks for.
pub(super) struct AlarmStateRequest<'a> {
    pub name: &'a str,
    pub value: &'a str,
    pub reason: &'a str,
}

impl Cloud {
    /// `PutEvents`.
    ///
    /// # Errors
    /// When the request as a whole is refused.
    pub fn put_events(&self, request: &Value) -> Result<Value, ServiceError> {
        let bus = Bus { account: &self.account, region: &self.region };
        let mut next_id = || self.next_event_id();
        let outcome = put_events(request, &bus, self.now_ms() as i64, &mut next_id)?;
        for (_, event) in outcome.events {
            self.observe(&Observation::Kept { place: "an event", value: &event });
            let name = event.get("detail-type").and_then(Value::as_str).unwrap_or_default();
            self.observe(&Observation::Announced(name));
            self.note(Topic::Event, format!("{name}{}", summary(&event)));
            self.publish(&event);
            self.with_scribe(|scribe| scribe.event(event));
        }
        Ok(outcome.answer)
    }

    fn next_event_id(&self) -> String {
        let number = self.rules.event_count.get() + 1;
        self.rules.event_count.set(number);
        format!("00000000-0000-4000-8000-{number:012}")
    }

    /// Brings an event to the targets of every rule that matches it, at least once.
    fn publish(&self, event: &Value) {
        for (index, rule) in self.rules.rules.iter().enumerate() {
            if !rule.matches(event) {
                continue;
            }
            for target in 0..rule.targets.len() {
                if self.faults.strikes(FaultKind::EventLost) {
                    continue;
                }
                self.deliver_event(index, target, event.clone());
                if self.chance(self.knobs.duplicate_event_percent)
                    || self.faults.strikes(FaultKind::EventDuplicated)
                {
                    self.deliver_event(index, target, event.clone());
                }
            }
        }
    }

    fn deliver_event(&self, rule: usize, target: usize, event: Value) {
        self.deliver_event_after(self.draw(&self.knobs.event_ms), rule, target, event);
    }

    fn deliver_event_after(&self, delay: Duration, rule: usize, target: usize, event: Value) {
        let cloud = self.clone();
        let mut when = self.now() + delay;
        if self.faults.strikes(FaultKind::EventLate) {
            when += self.faults.duration(FaultKind::EventLate, 10_000..=600_000);
        }
        self.sim.at(when, move |_| {
            let rule = &cloud.rules.rules[rule];
            let target = &rule.targets[target];
            if let Err(problem) = cloud.call_target(rule, target, &event) {
                cloud.note(Topic::Event, format!("rule {} could not call its target: {problem}", rule.name));
            }
        });
    }

    fn call_target(&self, rule: &Rule, target: &Target, event: &Value) -> Result<(), String> {
        let input = rule.input_for(target, event, self.now_ms() as i64).map_err(|error| error.to_string())?;
        let input: Value =
            serde_json::from_str(&input).map_err(|error| format!("the input is not JSON: {error}"))?;
        if !self.breaker_listens {
            return Ok(());
        }
        if target.arn.contains(":lambda:") {
            return self.invoke_target(rule, &target.arn, input);
        }
        let role_arn = target.role_arn.as_deref().ok_or("the target has no role")?;
        let role = self.roles.get(role_arn).ok_or_else(|| format!("there is no role {role_arn}"))?;
        let context = BTreeMap::from([
            ("aws:SourceArn".to_owned(), rule.arn.clone()),
            ("aws:SourceAccount".to_owned(), self.account.clone()),
        ]);
        if !role.can_be_assumed_by("events.amazonaws.com", &context) {
            return Err(format!("EventBridge may not assume {role_arn}"));
        }
        self.allow(role_arn, "states:StartExecution", &target.arn).map_err(|error| error.to_string())?;
        self.start_execution(&target.arn, input).map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Invokes a function that is a rule's target, without waiting for it.
    fn invoke_target(&self, rule: &Rule, function_arn: &str, input: Value) -> Result<(), String> {
        let name = function_arn.rsplit(':').next().unwrap_or_default();
        let allows = |(function, source): &(String, String)| function == name && *source == rule.arn;
        if !self.rules.permissions.iter().any(allows) {
            return Err(format!("EventBridge may not invoke {name}"));
        }
        let kind = self.functions.borrow().get(function_arn).map(|function| function.kind);
        let kind = kind.ok_or_else(|| format!("there is no function {function_arn}"))?;
        let (cloud, arn) = (self.clone(), function_arn.to_owned());
        self.sim.spawn(async move {
            let answer = cloud.run_function(&arn, input).await;
            let told = answer.as_ref().map_err(|(error, _)| error.as_str());
            let now = cloud.now();
            cloud.with_scribe(|scribe| scribe.answered(now, kind, told));
        });
        Ok(())
    }

    /// Lets the rules that have a schedule act by themselves.
    pub(super) fn start_schedules(&self) {
        if !self.breaker_listens {
            return;
        }
        for (index, rule) in self.rules.rules.iter().enumerate() {
            if let Some(period_s) = rule.schedule_period_s.filter(|_| rule.enabled) {
                self.act_on_schedule(index, Duration::from_secs(period_s));
            }
        }
    }

    fn act_on_schedule(&self, rule: usize, period: Duration) {
        let cloud = self.clone();
        self.sim.at(self.now() + period, move |_| {
            let bus = Bus { account: &cloud.account, region: &cloud.region };
            let id = cloud.next_event_id();
            let event = cloud.rules.rules[rule].scheduled_event(&bus, &id, cloud.now_ms() as i64);
            for target in 0..cloud.rules.rules[rule].targets.len() {
                let delay = cloud.draw_aside(&cloud.knobs.event_ms);
                cloud.deliver_event_after(delay, rule, target, event.clone());
            }
            cloud.act_on_schedule(rule, period);
        });
    }

    /// Tells the bus how an execution ended.
    pub(super) fn execution_changed(&self, arn: &str, machine_arn: &str, name: &str, status: &str) {
        let event = json!({
            "version": "0",
            "id": self.next_event_id(),
            "detail-type": "Step Functions Execution Status Change",
            "source": "aws.states",
            "account": self.account,
            "time": self.now().to_string(),
            "region": self.region,
            "resources": [arn],
            "detail": {
                "executionArn": arn,
                "stateMachineArn": machine_arn,
                "name": name,
                "status": status,
            },
        });
        self.publish(&event);
    }

    /// The event of the alarm's next change to ALARM reaches nobody.
    pub fn lose_next_alarm_event(&self) {
        self.rules.loses_alarm_event.set(true);
    }

    /// Lets the alarms be evaluated every minute.
    pub(super) fn start_alarms(&self) {
        let interval = EVALUATION_INTERVAL_MS;
        let next = self.now_ms() / interval * interval + self.knobs.alarm_offset_ms;
        let next = if next <= self.now_ms() { next + interval } else { next };
        self.evaluate_alarms_at(Time::from_ms(next));
    }

    fn evaluate_alarms_at(&self, when: Time) {
        let cloud = self.clone();
        self.sim.at(when, move |_| {
            let now = cloud.now_ms();
            let changes: Vec<StateChange> = {
                let metrics = cloud.metrics.borrow();
                cloud
                    .alarms
                    .borrow_mut()
                    .iter_mut()
                    .filter_map(|alarm| alarm.evaluate(now, &metrics))
                    .collect()
            };
            changes.into_iter().for_each(|change| cloud.alarm_changed(&change));
            cloud.flap_alarms();
            cloud.evaluate_alarms_at(when + Duration::from_millis(EVALUATION_INTERVAL_MS));
        });
    }

    /// A fault: an alarm changes its state, until it is evaluated again.
    fn flap_alarms(&self) {
        if !self.faults.strikes(FaultKind::AlarmFlapped) {
            return;
        }
        let names: Vec<String> = self.alarms.borrow().iter().map(|alarm| alarm.name().to_owned()).collect();
        for name in names {
            let value = match self.faults.number(FaultKind::AlarmFlapped, 0, 2) {
                0 => "OK",
                1 => "INSUFFICIENT_DATA",
                _ => "ALARM",
            };
            self.set_alarm_state(&AlarmStateRequest { name: &name, value, reason: "a fault of the drill" });
        }
    }

    /// Tells of a change, then lets the composite alarms that watch this alarm look at it.
    fn alarm_changed(&self, change: &StateChange) {
        let (was, is) = (change.previous.value.name(), change.state.value.name());
        let alarm_count = self.alarms.borrow().len() + self.composite_alarms.borrow().len();
        let whose = if alarm_count > 1 { format!("{}: ", change.alarm_name) } else { String::new() };
        let now = self.now();
        self.with_scribe(|scribe| scribe.course.alarm_is(now, is));
        self.note(Topic::Alarm, format!("{whose}{was} -> {is}"));
        let event = change.to_event(&self.next_event_id());
        if change.state.value == StateValue::Alarm {
            *self.rules.last_alarm_event.borrow_mut() = Some(event.clone());
        }
        if change.state.value == StateValue::Alarm && self.rules.loses_alarm_event.take() {
            self.note(Topic::Drill, "the alarm's event is lost");
        } else {
            self.publish(&event);
        }
        // A rule names only alarms that come before its own, so this ends.
        for composite in self.composites_changed_by(change) {
            self.alarm_changed(&composite);
        }
    }

    fn composites_changed_by(&self, change: &StateChange) -> Vec<StateChange> {
        let now_ms = self.now_ms();
        let mut states: BTreeMap<String, StateValue> = BTreeMap::new();
        let mut composites = self.composite_alarms.borrow_mut();
        for alarm in self.alarms.borrow().iter() {
            let addresses = [alarm.name(), alarm.arn()].map(str::to_owned);
            states.extend(addresses.map(|address| (address, alarm.state().value)));
        }
        for alarm in composites.iter() {
            let addresses = [alarm.name(), alarm.arn()].map(str::to_owned);
            states.extend(addresses.map(|address| (address, alarm.state().value)));
        }
        let state_of = |alarm: &str| states.get(alarm).copied().unwrap_or(StateValue::InsufficientData);
        let watching =
            composites.iter_mut().filter(|alarm| alarm.watches(&change.alarm_name, &change.alarm_arn));
        watching
            .filter_map(|alarm| alarm.evaluate((&change.alarm_arn, &change.state), &state_of, now_ms))
            .collect()
    }

    /// EventBridge delivers the alarm's last event again.
    pub fn repeat_alarm_event(&self) {
        let event = self.rules.last_alarm_event.borrow().clone();
        if let Some(event) = event {
            self.note(Topic::Drill, "the alarm's last event is delivered again");
            self.publish(&event);
        }
    }

    /// `SetAlarmState`: holds until the next evaluation, which for a composite alarm is the change of one of its alarms.
    pub(super) fn set_alarm_state(&self, request: &AlarmStateRequest<'_>) {
        let value = match request.value {
            "ALARM" => StateValue::Alarm,
            "INSUFFICIENT_DATA" => StateValue::InsufficientData,
            _ => StateValue::Ok,
        };
        let now = self.now_ms();
        let change = {
            let mut alarms = self.alarms.borrow_mut();
            let alarm = alarms.iter_mut().find(|alarm| alarm.name() == request.name);
            alarm.and_then(|alarm| alarm.set_state(value, request.reason, None, now))
        };
        let composite = || {
            let mut alarms = self.composite_alarms.borrow_mut();
            let alarm = alarms.iter_mut().find(|alarm| alarm.name() == request.name);
            alarm.and_then(|alarm| alarm.set_state(value, request.reason, now))
        };
        if let Some(change) = change.or_else(composite) {
            self.alarm_changed(&change);
        }
    }

    /// A `Trip Requested` event, as anyone's automation puts it on the bus.
    pub fn request_trip(&self, circuit: &str, reason: &str) {
        self.request(TRIP_REQUESTED, &json!({ "circuit": circuit, "reason": reason }));
    }

    /// A `Downstream Recovered` event, as the dependency puts it on the bus.
    pub fn signal_recovered(&self, circuit: &str, reason: &str) {
        self.request(DOWNSTREAM_RECOVERED, &json!({ "circuit": circuit, "reason": reason }));
    }

    fn request(&self, detail_type: &str, detail: &Value) {
        let request = json!({ "Entries": [{
            "Source": REQUEST_SOURCE,
            "DetailType": detail_type,
            "Detail": detail.to_string(),
        }] });
        if let Err(error) = self.put_events(&request) {
            self.note(Topic::Drill, format!("the event was refused: {error}"));
        }
    }
}

/// What of an event's detail is worth a line of the timeline.
fn summary(event: &Value) -> String {
    let detail = |field: &str| event.pointer(&format!("/detail/{field}"));
    let mut parts = Vec::new();
    for field in [
        "close_reason",
        "error",
        "state",
        "failed_probe_count",
        "reason",
        "percent",
        "queue",
        "outcome",
        "dead_letters/redrive",
    ] {
        match detail(field) {
            Some(Value::String(text)) if !text.is_empty() => parts.push(format!("{field}={text}")),
            Some(Value::Number(number)) => parts.push(format!("{field}={number}")),
            Some(_) | None => {}
        }
    }
    let suspects = detail("suspect_message_ids").and_then(Value::as_array).filter(|ids| !ids.is_empty());
    if let Some(ids) = suspects {
        parts
            .push(format!("suspects={}", ids.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")));
    }
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

//! Runs a scenario on a deployed stack.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use serde_json::json;
use workflow::circuit::CircuitState;
use workflow::events::{DOWNSTREAM_RECOVERED, REQUEST_SOURCE, TRIP_REQUESTED};

use super::clock::now;
use super::error::call;
use super::eyes::{Eyes, clear_ledger};
use super::producer::Producer;
use super::supported::{live_scenario, outage_of};
use super::target::Target;
use super::toggle::Toggle;
use super::{Clients, LiveError, LiveOptions, Trip};
use crate::report::{Observer, Report, Topic};
use crate::scenario::{Action, Dependency, Scenario, Standing};
use crate::scribe::{Closing, Scribe};
use crate::sim::Time;

/// How often the drill looks whether something is due.
const TICK: Duration = Duration::from_millis(200);

/// How often it looks at the stack.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long the ledger has to stay empty at the end: an entry can be a little later than the message's delete.
const LEDGER_REST: Duration = Duration::from_secs(3);

/// A drill that is ready to run.
pub struct Live {
    clients: Clients,
    target: Target,
    scenario: Scenario,
    trip: Trip,
    toggle: Toggle,
    eyes: Eyes,
}

impl Live {
    /// Finds the stack's resources and checks that a drill can run on them. Changes nothing.
    ///
    /// # Errors
    /// [`LiveError`] when the scenario cannot be run on a deployed stack, or not on this one as it is now.
    pub async fn prepare(
        config: &SdkConfig,
        scenario: &Scenario,
        options: &LiveOptions,
    ) -> Result<Live, LiveError> {
        let scenario = live_scenario(scenario, options)?;
        let clients = Clients::new(config);
        let target = Target::find(&clients, options).await?;
        let toggle = Toggle::read(clients.lambda.clone(), &target.function).await?;
        let eyes = Eyes::open(&clients, &target).await?;
        let live = Live { clients, target, scenario, trip: options.trip, toggle, eyes };
        live.check_ready()?;
        Ok(live)
    }

    /// What the stack is to be like before a drill, so that its books balance and its consumer gets back what it had.
    fn check_ready(&self) -> Result<(), LiveError> {
        let refuse = |what: &str, hint: &str| {
            let (stack, what) = (self.target.stack.clone(), what.to_owned());
            Err(LiveError::Stack { stack, what, hint: hint.to_owned() })
        };
        if self.scenario.circuit.example.fifo != self.target.fifo() {
            let has = if self.target.fifo() { "has a FIFO queue" } else { "has a standard queue" };
            return refuse(has, "the scenario needs the other kind: `fifo` in [circuits.NAME.example]");
        }
        let reports = self.scenario.circuit.example.report_batch_item_failures;
        if reports != self.toggle.reports_batch_item_failures() {
            let word = if reports { "does not report" } else { "reports" };
            return refuse(
                &format!("has a consumer that {word} batchItemFailures"),
                "the scenario needs the other kind: `report_batch_item_failures` in [circuits.NAME.example]",
            );
        }
        if self.toggle.was_failing() {
            return refuse(
                "has a consumer that is told to fail: SHOULD_ERROR=true",
                "another drill may be running; else `scripts/should-error off STACK`",
            );
        }
        let circuit = self.eyes.circuit();
        if circuit != CircuitState::Closed.name() {
            return refuse(&format!("has a circuit that is {circuit}"), "wait until it has closed");
        }
        if self.eyes.mapping_state != "Enabled" {
            return refuse(
                &format!("has a mapping that is {}", self.eyes.mapping_state),
                "a drill needs it Enabled: `aws lambda update-event-source-mapping --uuid UUID --enabled`",
            );
        }
        if self.eyes.queue.all() > 0 {
            return refuse(
                &format!("has {} messages in its queue", self.eyes.queue.all()),
                "the books of a drill begin with an empty queue: wait until the consumer has processed them",
            );
        }
        Ok(())
    }

    /// What the drill will do, line by line.
    pub fn plan(&self) -> Vec<String> {
        let messages = Producer::new(&self.scenario, self.target.fifo()).left_count();
        let s = |time: Duration| time.as_secs();
        let mut plan = vec![
            format!("stack {}", self.target.stack_id),
            format!(
                "send {messages} messages to {} within {} s",
                self.target.queue_url,
                s(self.scenario.length)
            ),
        ];
        if let Some((from, until)) = outage_of(&self.scenario) {
            plan.push(format!(
                "set SHOULD_ERROR=true on {} from second {} to {}, and then give it its value back",
                self.target.function,
                s(from),
                s(until)
            ));
        }
        plan.push(match self.trip {
            Trip::Alarm => "wait for the alarm to open the circuit".to_owned(),
            Trip::Event => format!("open circuit {} by a `{TRIP_REQUESTED}` event", self.target.circuit),
        });
        plan.push(format!("take the entries out of the ledger queue {}", self.target.ledger_queue_url));
        plan
    }

    /// How long the scenario sends messages and acts; how much longer it may take stands in its limit.
    pub fn length(&self) -> Duration {
        self.scenario.length
    }

    /// Runs the drill. `stop` ends it early; however it ends, the consumer's variable is given its value back first.
    ///
    /// # Errors
    /// [`LiveError::Stopped`], [`LiveError::Call`], and [`LiveError::NotRestored`], which matters most.
    pub async fn run(mut self, stop: &AtomicBool, observer: &mut dyn Observer) -> Result<Report, LiveError> {
        let mut scribe = Scribe::new(self.eyes.settings.clone());
        let begun = now();
        let outcome = self.drive(begun, &mut scribe, stop, observer).await;
        self.toggle.restore().await?;
        tell(&mut scribe, observer);
        outcome?;
        let report = self.close(begun, &mut scribe).await;
        tell(&mut scribe, observer);
        report
    }

    async fn drive(
        &mut self,
        begun: Time,
        scribe: &mut Scribe,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<(), LiveError> {
        let older = clear_ledger(&self.clients, &self.target).await?;
        if older > 0 {
            scribe.note(now(), Topic::Drill, format!("the ledger held {older} entries of earlier messages"));
        }
        let settings = self.eyes.settings.clone();
        let mut producer = Producer::new(&self.scenario, self.target.fifo());
        let mut dependency = self.scenario.dependency.clone().into_iter().peekable();
        let mut actions = self.scenario.actions.clone().into_iter().peekable();
        let end = begun + self.scenario.length;
        let limit = end + self.scenario.settle_limit;
        let mut next_look = begun;
        let mut rested_since = None;
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(LiveError::Stopped);
            }
            let elapsed = now() - begun;
            producer.send(elapsed, &self.clients, &self.target, &mut self.eyes.ids, scribe).await?;
            while let Some((_, what)) = dependency.next_if(|(at, _)| *at <= elapsed) {
                self.toggle.set(what == Dependency::Failing).await?;
                if what == Dependency::Failing {
                    scribe.milestones.first_failure.get_or_insert(now());
                }
                scribe.dependency_changed(now(), what);
            }
            while let Some((_, action)) = actions.next_if(|(at, _)| *at <= elapsed) {
                self.act(action, scribe).await?;
            }
            if now() >= next_look {
                self.eyes.look(&self.clients, &self.target, scribe).await?;
                next_look = now() + LOOK_INTERVAL;
            }
            tell(scribe, observer);
            observer.progress(begun, now(), end.max(now()));
            let idle = producer.left_count() == 0 && dependency.peek().is_none() && actions.peek().is_none();
            let rests = now() >= end && idle && self.missing(scribe, false).is_empty();
            rested_since = rests.then(|| rested_since.unwrap_or_else(now));
            if rested_since.is_some_and(|since| now() - since >= LEDGER_REST) || now() >= limit {
                break;
            }
            tokio::time::sleep(TICK).await;
        }
        self.eyes.evidence.show(scribe, &settings);
        Ok(())
    }

    async fn act(&self, action: Action, scribe: &mut Scribe) -> Result<(), LiveError> {
        match action {
            Action::RequestTrip => self.request(TRIP_REQUESTED, "requested by a drill", scribe).await?,
            Action::SignalRecovered => {
                self.request(DOWNSTREAM_RECOVERED, "signalled by a drill", scribe).await?;
            }
            Action::PurgeQueue
            | Action::DisableMapping
            | Action::EnableMapping
            | Action::RedriveDeadLetters
            | Action::Redeploy
            | Action::AbortExecution
            | Action::HoldEveryMessage
            | Action::RepeatAlarmEvent
            | Action::LoseNextAlarmEvent
            | Action::AbortOwner(_)
            | Action::AbortReopening
            | Action::DisableMappingIn(_)
            | Action::HoldCircuit(_)
            | Action::ReleaseCircuit
            | Action::CloseCircuit
            | Action::ProbeNow => {}
        }
        Ok(())
    }

    /// Puts a request about the circuit on the bus.
    async fn request(&self, detail_type: &str, reason: &str, scribe: &mut Scribe) -> Result<(), LiveError> {
        let detail = json!({ "circuit": self.target.circuit, "reason": reason });
        let entry = PutEventsRequestEntry::builder()
            .source(REQUEST_SOURCE)
            .detail_type(detail_type)
            .detail(detail.to_string());
        let answer = self.clients.eventbridge.put_events().entries(entry.build()).send().await;
        let answer = answer.map_err(|error| call("PutEvents", &error))?;
        if let Some(error) = answer.entries().iter().find_map(|entry| entry.error_code()) {
            return Err(LiveError::Call { operation: "PutEvents", text: error.to_owned() });
        }
        scribe.note(now(), Topic::Drill, format!("puts a `{detail_type}` event on the bus"));
        Ok(())
    }

    fn missing(&self, scribe: &Scribe, sending: bool) -> Vec<String> {
        self.scenario.ending.missing(&Standing {
            queue: (self.eyes.queue.visible, self.eyes.queue.in_flight, self.eyes.queue.delayed),
            sending,
            circuit: self.eyes.circuit(),
            mapping: self.eyes.mapping_state.clone(),
            running: self.eyes.history.running(),
            retention_is_raised: self.eyes.retention_is_raised(),
            trips: scribe.counts.trips,
            dead_lettered: self.eyes.dead_lettered,
        })
    }

    /// Closes the books.
    async fn close(mut self, begun: Time, scribe: &mut Scribe) -> Result<Report, LiveError> {
        while self.eyes.read_ledger(&self.clients, &self.target, scribe).await? > 0 {}
        self.eyes.read_dead_letters(&self.clients, &self.target, scribe).await?;
        self.eyes.ids.settle(&mut scribe.books, self.eyes.nameless_copies, self.eyes.queue.all());
        Ok(scribe.report(Closing {
            scenario: self.scenario.name,
            seed: 0,
            stack: Some(self.target.stack_id.clone()),
            took: now() - begun,
            mapping: self.eyes.settings.clone(),
            mapping_state: self.eyes.mapping_state.clone(),
            circuit: self.eyes.circuit(),
            missing: self.missing(scribe, false),
        }))
    }
}

fn tell(scribe: &mut Scribe, observer: &mut dyn Observer) {
    for entry in scribe.take_entries() {
        observer.entry(&entry);
    }
}

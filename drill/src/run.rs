//! Runs a scenario: the synthesized stack on the modelled cloud, a producer, what happens to the dependency, and the
//! verdict.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;
use workflow::circuit::{CircuitState, item};
use workflow::config::{BreakerConfig, CircuitConfig};
use workflow::contract::{Hold, WaitCommand};
use workflow::status::{Facts, Waiting};

use crate::checkers::{Actor, Observation};
use crate::cloud::cloudformation::{Environment, Kind, LoadError, Stack};
use crate::cloud::mappings::Update;
use crate::cloud::queues::QueueId;
use crate::cloud::sqs::ReceiveRequest;
use crate::cloud::{Cloud, CloudError};
use crate::course::Course;
use crate::operators;
use crate::report::{Entry, Observer, Report, Topic};
use crate::scenario::{Action, Scenario, Standing, Traffic};
use crate::scribe::Closing;
use crate::sim::{SIM_START, Sim, Time};
use crate::usage::Usage;

/// Name of the circuit in every drill.
pub const CIRCUIT: &str = "example";

/// Slices in which a drill is run, so that progress can be told in between.
const SLICES: u32 = 400;

/// Times in a slice at which the numbers are noted for its course.
const SAMPLES_PER_SLICE: u32 = 3;

/// How often a drill is looked at for having come to rest.
const REST_CHECK: Duration = Duration::from_secs(10);

/// How to run a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Where all chance comes from.
    pub seed: u64,
    /// Whether the same outage is also run with no breaker.
    pub baseline: bool,
    /// Settings to try instead of the scenario's own; its example queue and consumer stay.
    pub circuit: Option<CircuitConfig>,
}

impl Options {
    /// A run with this seed, and the baseline beside it.
    pub fn seeded(seed: u64) -> Options {
        Options { seed, baseline: true, circuit: None }
    }
}

/// A drill could not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// The configuration cannot be synthesized.
    #[error("the stack cannot be synthesized")]
    Synth(#[source] infra::SynthError),
    /// The template asks for what the model does not have.
    #[error("the stack cannot be modelled")]
    Cloud(#[source] CloudError),
    /// The stack lacks something that a drill needs.
    #[error("the stack has no {0}")]
    Missing(&'static str),
}

/// Runs `scenario`, and says what happens to `observer` as it happens.
///
/// # Errors
/// [`RunError`] when the drill could not begin; a promise that is broken is no error but part of the report.
pub fn run(scenario: &Scenario, options: Options, observer: &mut dyn Observer) -> Result<Report, RunError> {
    run_with(scenario, &options, None, observer)
}

/// As [`run`], but `tamper` changes the synthesized definition of the workflow before the stack is loaded. This is for
/// tests of the checkers: a promise is only watched if a workflow that lacks the safeguard is seen to break it.
///
/// # Errors
/// As [`run`]; [`RunError::Missing`] when the template holds no definition.
pub fn run_tampered(
    scenario: &Scenario,
    options: Options,
    tamper: &dyn Fn(&mut Value),
    observer: &mut dyn Observer,
) -> Result<Report, RunError> {
    run_with(scenario, &options, Some(&|template| change_definition(template, tamper)), observer)
}

/// As [`run_tampered`], but `tamper` changes the template: for safeguards that stand outside the workflow.
///
/// # Errors
/// As [`run`].
pub fn run_tampered_stack(
    scenario: &Scenario,
    options: Options,
    tamper: &dyn Fn(&mut Value),
    observer: &mut dyn Observer,
) -> Result<Report, RunError> {
    let tamper = |template: &mut Value| {
        tamper(template);
        Ok(())
    };
    run_with(scenario, &options, Some(&tamper), observer)
}

/// Changes a template.
type Tamper<'a> = Option<&'a dyn Fn(&mut Value) -> Result<(), RunError>>;

fn run_with(
    scenario: &Scenario,
    options: &Options,
    tamper: Tamper<'_>,
    observer: &mut dyn Observer,
) -> Result<Report, RunError> {
    // The two runs share nothing, so that each core can take one.
    std::thread::scope(|scope| {
        let without = options.baseline.then(|| {
            scope.spawn(|| {
                let mut without = Baseline::default();
                let report = Drill::begin(scenario, options, false, None)?.finish(&mut without);
                Ok((report, without.0))
            })
        });
        let mut report = Drill::begin(scenario, options, true, tamper)?.finish(observer);
        if let Some(without) = without {
            let (without, charted) =
                without.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            if let Some((course, usage)) = &charted {
                observer.charted_without_breaker(&without, course, usage);
            }
            report.wasted_invocations_without_breaker = Some(without.wasted_invocations);
            report.dead_lettered_without_breaker = Some(without.dead_lettered);
        }
        Ok(report)
    })
}

/// Keeps the course of the run with no breaker.
#[derive(Default)]
struct Baseline(Option<(Course, Usage)>);

impl Observer for Baseline {
    fn entry(&mut self, _entry: &Entry) {}

    fn progress(&mut self, _start: Time, _now: Time, _end: Time) {}

    fn charted(&mut self, course: &Course, usage: &Usage) {
        self.0 = Some((course.clone(), *usage));
    }
}

/// A drill in progress.
struct Drill {
    scenario: Scenario,
    seed: u64,
    sim: Sim,
    cloud: Cloud,
    queue: QueueId,
    mapping_uuid: String,
    with_breaker: bool,
    producers: Rc<RefCell<usize>>,
}

impl Drill {
    fn begin(
        scenario: &Scenario,
        options: &Options,
        with_breaker: bool,
        tamper: Tamper<'_>,
    ) -> Result<Drill, RunError> {
        let mut circuit = scenario.circuit.clone();
        if let Some(settings) = &options.circuit {
            let example = circuit.example.clone();
            circuit = CircuitConfig { consumer: None, example, ..settings.clone() };
        }
        let mut assembly =
            infra::synth(&BreakerConfig::single(CIRCUIT, circuit.clone())).map_err(RunError::Synth)?;
        if let Some(tamper) = tamper {
            tamper(&mut assembly.template)?;
        }
        for (logical_id, alarm) in &scenario.own_alarms {
            assembly.template["Resources"][logical_id] = alarm.clone();
        }
        let sim = Sim::new(options.seed);
        let mut stack = load(&assembly, "drill")?;
        if scenario.neighbour {
            stack = stack.beside(load(&assembly, "neighbour")?).map_err(template_errors)?;
        }
        let cloud =
            Cloud::create(&stack, &sim, scenario.knobs.clone(), &scenario.faults, &circuit, with_breaker)
                .map_err(RunError::Cloud)?;
        let mapping = stack.of_kind(Kind::EventSourceMapping).next().ok_or(RunError::Missing("mapping"))?;
        let source = mapping.properties.get("EventSourceArn").and_then(Value::as_str);
        let url = stack
            .of_kind(Kind::Queue)
            .find(|queue| queue.arn.as_deref() == source)
            .map(|queue| queue.physical_id.clone())
            .ok_or(RunError::Missing("queue that feeds the mapping"))?;
        let queue = cloud.queue_by_url(&url).map_err(|_| RunError::Missing("queue"))?;
        let mapping_uuid = mapping.physical_id.clone();
        let drill = Drill {
            scenario: scenario.clone(),
            seed: options.seed,
            sim,
            cloud,
            queue,
            mapping_uuid,
            with_breaker,
            producers: Rc::default(),
        };
        drill.plan();
        Ok(drill)
    }

    /// Schedules the producer, the dependency's behaviour and everything else that happens.
    fn plan(&self) {
        for traffic in &self.scenario.traffic {
            self.produce(traffic);
        }
        for (after, dependency) in self.scenario.dependency.clone() {
            let cloud = self.cloud.clone();
            self.sim.at(SIM_START + after, move |_| cloud.set_dependency(dependency));
        }
        for (after, action) in self.scenario.actions.clone() {
            let (cloud, queue, uuid) = (self.cloud.clone(), self.queue, self.mapping_uuid.clone());
            self.sim.at(SIM_START + after, move |_| act(&cloud, queue, &uuid, action));
        }
    }

    /// Sends messages at a steady rate.
    fn produce(&self, traffic: &Traffic) {
        let (cloud, queue, sim) = (self.cloud.clone(), self.queue, self.sim.clone());
        let (traffic, fifo) = (traffic.clone(), self.scenario.circuit.example.fifo);
        let producers = Rc::clone(&self.producers);
        *producers.borrow_mut() += 1;
        self.sim.spawn(async move {
            let mut sent: u64 = 0;
            loop {
                let due = traffic.from + Duration::from_secs_f64(sent as f64 / traffic.rate_per_s);
                if due >= traffic.until {
                    break;
                }
                sim.sleep_until(SIM_START + due).await;
                let number = cloud.with_scribe(|scribe| scribe.books.sent());
                let request = cloud.message_template.message(number, traffic.kind, fifo);
                cloud.send(queue, request).expect("the drill's own messages are well formed");
                sent += 1;
            }
            *producers.borrow_mut() -= 1;
        });
    }

    /// Runs to the end and draws the balance.
    fn finish(self, observer: &mut dyn Observer) -> Report {
        let end = SIM_START + self.scenario.length;
        let slice = self.scenario.length / SLICES;
        self.sample();
        for number in 1..=SLICES {
            for part in 1..=SAMPLES_PER_SLICE {
                self.sim.run_until(SIM_START + slice * (number - 1) + slice * part / SAMPLES_PER_SLICE);
                self.sample();
            }
            self.tell(observer, end);
        }
        self.sim.run_until(end);
        let limit = end + self.scenario.settle_limit;
        while self.sim.now() < limit && !self.missing().is_empty() {
            self.sim.run_until((self.sim.now() + REST_CHECK).min(limit));
            self.sample();
            self.tell(observer, end);
        }
        self.cloud.settle_books();
        self.sample();
        self.tell(observer, end);
        self.cloud.with_scribe(|scribe| observer.charted(&scribe.course, &scribe.usage));
        self.cloud.with_scribe(|scribe| observer.delivered(&scribe.books.balance(), &scribe.arrivals));
        observer.longest_history(self.cloud.longest_history_count());
        observer.events_run(self.sim.events_run());
        let struck: Vec<_> = self.cloud.faults.struck_counts().collect();
        self.cloud.with_scribe(|scribe| observer.reached(&scribe.tally, &struck));
        let report = self.report();
        self.sim.clear();
        report
    }

    fn tell(&self, observer: &mut dyn Observer, end: Time) {
        for entry in self.cloud.with_scribe(crate::scribe::Scribe::take_entries) {
            observer.entry(&entry);
        }
        for event in self.cloud.with_scribe(crate::scribe::Scribe::take_events) {
            observer.event(&event);
        }
        observer.progress(SIM_START, self.sim.now(), end.max(self.sim.now()));
        if self.with_breaker {
            observer.readable(self.sim.now(), &|| self.facts());
        }
    }

    /// What an operator could read of the circuit now.
    fn facts(&self) -> Facts {
        let item = self.cloud.circuit_item(CIRCUIT);
        let (visible_count, in_flight_count, delayed_count) = self.cloud.queue_counts(self.queue);
        Facts {
            circuit: CIRCUIT.to_owned(),
            now_ms: self.cloud.now_ms(),
            owner_is_alive: item.get(item::OWNER).map(|owner| self.cloud.is_running(owner)),
            item,
            mapping: Some(self.mapping_state()),
            queue: Some(Waiting { visible_count, in_flight_count, delayed_count }),
        }
    }

    /// Notes how the numbers stand, for the course.
    fn sample(&self) {
        let (visible, in_flight, delayed) = self.cloud.queue_counts(self.queue);
        let now = self.sim.now();
        self.cloud.with_scribe(|scribe| {
            let dead_lettered = scribe.books.dead_lettered_count();
            scribe.course.sample(now, (visible, in_flight + delayed), dead_lettered);
        });
    }

    /// What is missing for the drill to have come to its end.
    fn missing(&self) -> Vec<String> {
        let standing = Standing {
            queue: self.cloud.queue_counts(self.queue),
            sending: *self.producers.borrow() > 0,
            circuit: self.cloud.circuit_state(CIRCUIT),
            mapping: self.mapping_state(),
            running: self.cloud.running_executions() > 0,
            retention_is_raised: self.cloud.circuit_item(CIRCUIT).contains_key(item::ORIGINAL_RETENTION_S),
            trips: self.cloud.with_scribe(|scribe| scribe.counts.trips),
            dead_lettered: self.cloud.with_scribe(|scribe| scribe.books.dead_lettered_count()),
        };
        let ending = &self.scenario.ending;
        if self.with_breaker { ending.missing(&standing) } else { ending.missing_deliveries(&standing) }
    }

    fn mapping_state(&self) -> String {
        let state = self.cloud.describe_mapping(&self.mapping_uuid, |mapping| mapping.state.to_owned());
        state.unwrap_or_else(|error| error.to_string())
    }

    fn report(&self) -> Report {
        self.cloud.observe(&Observation::DrillEnded);
        let settings =
            self.cloud.describe_mapping(&self.mapping_uuid, crate::cloud::mappings::Mapping::settings);
        let closing = Closing {
            scenario: self.scenario.name,
            seed: self.seed,
            stack: None,
            took: self.sim.now().since(SIM_START),
            mapping: settings.unwrap_or_else(|_| crate::checkers::MappingSettings::unknown()),
            mapping_state: self.mapping_state(),
            circuit: self.cloud.circuit_state(CIRCUIT),
            missing: self.missing(),
        };
        self.cloud.with_scribe(|scribe| scribe.report(closing))
    }
}

/// Applies `tamper` to the definition that stands as text in the template.
fn change_definition(template: &mut Value, tamper: &dyn Fn(&mut Value)) -> Result<(), RunError> {
    let resources = template.get_mut("Resources").and_then(Value::as_object_mut);
    let text = resources
        .into_iter()
        .flat_map(|resources| resources.values_mut())
        .find_map(|resource| resource.pointer_mut("/Properties/DefinitionString"))
        .ok_or(RunError::Missing("definition"))?;
    let parsed = text.as_str().and_then(|text| serde_json::from_str(text).ok());
    let mut definition: Value = parsed.ok_or(RunError::Missing("definition that is JSON"))?;
    tamper(&mut definition);
    *text = Value::String(definition.to_string());
    Ok(())
}

fn load(assembly: &infra::Assembly, stack_name: &str) -> Result<Stack, RunError> {
    let environment = Environment {
        account: "123456789012".to_owned(),
        region: "eu-west-1".to_owned(),
        stack_name: stack_name.to_owned(),
        partition: "aws".to_owned(),
    };
    let parameters = BTreeMap::from([("AssetBucket".to_owned(), "assets".to_owned())]);
    Stack::load(&assembly.template, &parameters, environment).map_err(template_errors)
}

fn template_errors(errors: Vec<LoadError>) -> RunError {
    RunError::Cloud(CloudError::Template(errors))
}

/// What people and other programs do.
fn act(cloud: &Cloud, queue: QueueId, uuid: &str, action: Action) {
    cloud.observe(&Observation::OutsiderActed);
    match action {
        Action::PurgeQueue => {
            let text = match cloud.purge(queue) {
                Ok(count) => format!("an operator purges the queue: {count} messages"),
                Err(error) => format!("an operator's purge is refused: {error}"),
            };
            cloud.note(Topic::Drill, text);
        }
        Action::DisableMapping | Action::EnableMapping => {
            let enabled = action == Action::EnableMapping;
            let word = if enabled { "enables" } else { "disables" };
            cloud.note(Topic::Drill, format!("an operator {word} the mapping"));
            let update = Update { enabled: Some(enabled), maximum_concurrency: None };
            if let Err(error) = cloud.update_mapping(uuid, update, Actor::Outsider) {
                cloud.note(Topic::Drill, format!("the operator's change is refused: {error}"));
            }
        }
        Action::Redeploy => {
            cloud.note(Topic::Drill, "a deployment gives the mapping the settings of its template");
            if let Err(error) = cloud.redeploy_mapping(uuid) {
                cloud.note(Topic::Drill, format!("the deployment's change is refused: {error}"));
            }
        }
        Action::RedriveDeadLetters => {
            let count = cloud.redrive_dead_letters(queue);
            cloud.note(Topic::Drill, format!("an operator redrives the dead-letter queue: {count} messages"));
        }
        Action::HoldEveryMessage => {
            let mut held = 0;
            while let Ok(batch) = cloud.receive_now(queue, &ReceiveRequest::up_to(10), Actor::Outsider) {
                if batch.is_empty() {
                    break;
                }
                held += batch.len();
            }
            cloud.note(Topic::Drill, format!("somebody else receives {held} messages and holds them"));
        }
        Action::AbortExecution => {
            cloud.note(Topic::Drill, "somebody stops the execution that owns the circuit, if it runs");
            if let Some(owner) = cloud.circuit_attribute(CIRCUIT, item::OWNER) {
                cloud.stop_execution(&owner);
            }
        }
        Action::RepeatAlarmEvent => cloud.repeat_alarm_event(),
        Action::RequestTrip => cloud.request_trip(CIRCUIT, "requested by a drill"),
        Action::SignalRecovered => cloud.signal_recovered(CIRCUIT, "signalled by a drill"),
        Action::LoseNextAlarmEvent => cloud.lose_next_alarm_event(),
        Action::DisableMappingIn(phase) => operators::disable_mapping_in(cloud, phase, uuid),
        Action::AbortOwner(phase) => operators::abort_owner(cloud, phase),
        Action::AbortReopening => operators::abort_reopening(cloud, uuid),
        Action::HoldCircuit(length) => {
            let until_ms = cloud.now_ms() + length.as_millis() as u64;
            let hold = Hold { until_ms, by: "an operator".to_owned(), reason: "a drill".to_owned() };
            operators::command(cloud, WaitCommand::Hold(hold));
        }
        Action::ReleaseCircuit => operators::command(cloud, WaitCommand::Release { reason: String::new() }),
        Action::CloseCircuit => operators::command(cloud, WaitCommand::Close { reason: String::new() }),
        Action::ProbeNow => operators::command(cloud, WaitCommand::Probe { reason: String::new() }),
    }
}

impl Cloud {
    /// State of a circuit, as its item says; closed where there is none.
    pub fn circuit_state(&self, circuit: &str) -> String {
        self.circuit_attribute(circuit, item::STATE).unwrap_or_else(|| CircuitState::Closed.name().to_owned())
    }
}

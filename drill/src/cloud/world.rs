//! The cloud as a whole: the resources of a loaded stack, and the handle through which they reach each other.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;

use rand::RngExt as _;
use serde_json::{Map, Value};
use thiserror::Error;
use workflow::config::CircuitConfig;

use super::bus::Rules;
use super::cloudformation::{Kind, LoadError, Resource, Stack};
use super::cloudwatch::{Alarm, AlarmConfig, CompositeAlarm, Metrics};
use super::dynamodb::{AttributeValue, Table};
use super::functions::Function;
use super::iam::Roles;
use super::knobs::Knobs;
use super::machines::Machines;
use super::mappings::Mapping;
use super::ports::SharedAttributes;
use super::queues::Queues;
use crate::checkers::{Bounds, MappingSettings, Observation};
use crate::faults::{FaultPlan, Faults};
use crate::message::Template;
use crate::report::Topic;
use crate::scenario::Dependency;
use crate::scribe::Scribe;
use crate::sim::{Sim, SimRng, Time};

/// A handle to the modelled cloud. Clones are handles to the same one.
#[derive(Clone)]
pub struct Cloud(Rc<World>);

impl std::ops::Deref for Cloud {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

/// Everything there is.
pub struct World {
    /// Time and chance.
    pub sim: Sim,
    /// Behaviour that AWS does not document.
    pub knobs: Knobs,
    /// Whether executions are started: a drill with no breaker has the same stack, but nobody listens to the alarm.
    pub breaker_listens: bool,
    /// What goes wrong.
    pub faults: Faults,
    pub(super) rng: RefCell<SimRng>,
    /// Chance of what happens beside the breaker's work, so that merely looking changes nothing else.
    aside_rng: RefCell<SimRng>,
    pub(super) region: String,
    pub(super) account: String,
    pub(super) roles: Roles,
    pub(super) queues: RefCell<Queues>,
    pub(super) metrics: RefCell<Metrics>,
    pub(super) alarms: RefCell<Vec<Alarm>>,
    pub(super) composite_alarms: RefCell<Vec<CompositeAlarm>>,
    pub(super) tables: RefCell<BTreeMap<String, Table>>,
    pub(super) functions: RefCell<BTreeMap<String, Function>>,
    pub(super) mappings: RefCell<BTreeMap<String, Mapping>>,
    pub(super) rules: Rules,
    pub(super) machines: Machines,
    pub(super) scribe: RefCell<Scribe>,
    pub(super) shared_attributes: SharedAttributes,
    /// What the messages of a drill are made of.
    pub message_template: Template,
    dependency: Cell<Dependency>,
}

/// The template asks for something that the model cannot give.
#[derive(Debug, Error)]
pub enum CloudError {
    /// The template itself.
    #[error("the template cannot be loaded: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Template(Vec<LoadError>),
    /// One resource.
    #[error("resource {logical_id} ({kind}) cannot be modelled: {problem}")]
    Resource {
        /// Its logical id.
        logical_id: String,
        /// Its type.
        kind: &'static str,
        /// What is wrong.
        problem: String,
    },
}

impl CloudError {
    /// A problem with one resource.
    pub fn resource(resource: &Resource, problem: impl ToString) -> CloudError {
        CloudError::Resource {
            logical_id: resource.logical_id.clone(),
            kind: resource.kind.name(),
            problem: problem.to_string(),
        }
    }
}

impl Cloud {
    /// Creates the resources of `stack`.
    ///
    /// # Errors
    /// The first resource that asks for something that is not modelled.
    pub fn create(
        stack: &Stack,
        sim: &Sim,
        knobs: Knobs,
        plan: &FaultPlan,
        circuit: &CircuitConfig,
        breaker_listens: bool,
    ) -> Result<Cloud, CloudError> {
        let roles = Roles::from_stack(stack).map_err(CloudError::Template)?;
        let mut metrics = Metrics::default();
        let queues = Queues::create(stack, sim)?;
        let mut mappings = BTreeMap::new();
        for resource in stack.of_kind(Kind::EventSourceMapping) {
            let mapping = Mapping::create(resource, &knobs, &queues, &mut metrics)?;
            mappings.insert(resource.physical_id.clone(), mapping);
        }
        let initial = mappings
            .values()
            .next()
            .map_or(MappingSettings { enabled: false, maximum_concurrency: None }, Mapping::settings);
        let mut functions = BTreeMap::new();
        for resource in stack.of_kind(Kind::Function) {
            let function = Function::create(resource, &mut metrics)?;
            functions.insert(function.arn.clone(), function);
        }
        let cloud = Cloud(Rc::new(World {
            sim: sim.clone(),
            breaker_listens,
            faults: Faults::new(plan, sim),
            rng: RefCell::new(sim.rng("cloud")),
            aside_rng: RefCell::new(sim.rng("cloud aside")),
            region: stack.environment.region.clone(),
            account: stack.environment.account.clone(),
            roles,
            queues: RefCell::new(queues),
            metrics: RefCell::new(metrics),
            alarms: RefCell::new(create_alarms(stack, sim, &knobs)?),
            composite_alarms: RefCell::new(create_composite_alarms(stack, sim)?),
            tables: RefCell::new(create_tables(stack)?),
            functions: RefCell::new(functions),
            mappings: RefCell::new(mappings),
            rules: Rules::create(stack)?,
            machines: Machines::create(stack)?,
            scribe: RefCell::new(Scribe::for_model(initial, &Bounds::new(circuit, &knobs))),
            shared_attributes: SharedAttributes::default(),
            message_template: Template::default(),
            dependency: Cell::new(Dependency::Healthy),
            knobs,
        }));
        cloud.start_alarms();
        cloud.start_schedules();
        cloud.start_mappings();
        cloud.plan_end_of_faults();
        Ok(cloud)
    }
}

impl Cloud {
    fn plan_end_of_faults(&self) {
        if !self.faults.active() {
            return;
        }
        self.observe(&Observation::FaultsBegan);
        let cloud = self.clone();
        self.sim.at(self.faults.ends_at(), move |_| {
            cloud.faults.stop();
            cloud.observe(&Observation::FaultsEnded);
            cloud.note(Topic::Drill, "faults end");
        });
    }
}

fn create_alarms(stack: &Stack, sim: &Sim, knobs: &Knobs) -> Result<Vec<Alarm>, CloudError> {
    stack
        .of_kind(Kind::Alarm)
        .map(|resource| {
            let config = AlarmConfig::from_properties(&resource.properties)
                .map_err(|problem| CloudError::resource(resource, problem))?;
            let arn = resource.arn.as_deref().unwrap_or_default();
            let mut alarm = Alarm::new(&resource.name, arn, config, sim.now().as_ms());
            alarm.knobs_mut().metric_delay_ms = knobs.metric_delay_ms;
            Ok(alarm)
        })
        .collect()
}

/// The composite alarms, each of whose rules names alarms that come before it: so none leads back to itself. AWS takes
/// rules that do; the model refuses them.
fn create_composite_alarms(stack: &Stack, sim: &Sim) -> Result<Vec<CompositeAlarm>, CloudError> {
    let addresses = |resource: &Resource| [Some(resource.name.clone()), resource.arn.clone()];
    let mut known: BTreeSet<String> = stack.of_kind(Kind::Alarm).flat_map(addresses).flatten().collect();
    let mut alarms = Vec::new();
    for resource in stack.of_kind(Kind::CompositeAlarm) {
        let arn = resource.arn.as_deref().unwrap_or_default();
        let now_ms = sim.now().as_ms();
        let alarm = CompositeAlarm::from_properties(&resource.name, arn, &resource.properties, now_ms)
            .map_err(|problem| CloudError::resource(resource, problem))?;
        if let Some(unknown) = alarm.children().into_iter().find(|child| !known.contains(*child)) {
            let problem = format!("its rule names {unknown:?}, which is no alarm that comes before it");
            return Err(CloudError::resource(resource, problem));
        }
        known.extend(addresses(resource).into_iter().flatten());
        alarms.push(alarm);
    }
    Ok(alarms)
}

fn create_tables(stack: &Stack) -> Result<BTreeMap<String, Table>, CloudError> {
    stack
        .of_kind(Kind::Table)
        .map(|resource| {
            let arn = resource.arn.as_deref().unwrap_or_default();
            let table =
                Table::from_properties(&resource.name, arn, &resource.properties).map_err(|problems| {
                    let all = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                    CloudError::resource(resource, all)
                })?;
            Ok((resource.name.clone(), table))
        })
        .collect()
}

impl World {
    /// The present time.
    pub fn now(&self) -> Time {
        self.sim.now()
    }

    /// The present time, milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.sim.now().as_ms()
    }

    /// A duration drawn from a range of milliseconds.
    pub(super) fn draw(&self, range: &RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.rng.borrow_mut().random_range(range.clone()))
    }

    /// The same from the stream of what happens beside the breaker's work.
    pub(super) fn draw_aside(&self, range: &RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.aside_rng.borrow_mut().random_range(range.clone()))
    }

    /// Whether something that happens in so many of a hundred cases happens now.
    pub(super) fn chance(&self, percent: f64) -> bool {
        percent > 0.0 && self.rng.borrow_mut().random_range(0.0..100.0) < percent
    }

    /// Lets the latency of one call to a service pass.
    pub(super) async fn latency(&self) {
        let latency = self.draw(&self.knobs.call_ms);
        self.sim.sleep(latency).await;
    }

    /// Adds an entry to the timeline.
    pub fn note(&self, topic: Topic, text: impl Into<String>) {
        self.scribe.borrow_mut().note(self.now(), topic, text.into());
    }

    /// Shows something to the checkers.
    pub fn observe(&self, observation: &Observation<'_>) {
        self.scribe.borrow_mut().observe(self.now(), observation);
    }

    /// A string attribute of a circuit's item.
    pub fn circuit_attribute(&self, circuit: &str, name: &str) -> Option<String> {
        let tables = self.tables.borrow();
        let own = tables.values().find_map(|table| table.find(circuit))?;
        own.get(name)?.text().map(str::to_owned)
    }

    /// The strings and numbers of a circuit's item as text; nothing where there is no item.
    pub fn circuit_item(&self, circuit: &str) -> BTreeMap<String, String> {
        let tables = self.tables.borrow();
        let own = tables.values().find_map(|table| table.find(circuit));
        let text = |value: &AttributeValue| match value {
            AttributeValue::S(text) => Some(text.clone()),
            AttributeValue::N(number) => Some(number.to_string()),
            _ => None,
        };
        let attributes = own.into_iter().flatten();
        attributes.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
    }

    /// Executions that have not ended.
    pub fn running_executions(&self) -> usize {
        self.machines.executions().values().filter(|execution| execution.status == "RUNNING").count()
    }

    /// Events in the longest history that an execution came to.
    pub fn longest_history_count(&self) -> u64 {
        let executions = self.machines.executions();
        executions.values().map(|execution| execution.history_count).max().unwrap_or_default()
    }

    /// Lets the caller look at what was noted.
    pub fn with_scribe<T>(&self, look: impl FnOnce(&mut Scribe) -> T) -> T {
        look(&mut self.scribe.borrow_mut())
    }

    /// How the dependency behaves now.
    pub fn dependency(&self) -> Dependency {
        self.dependency.get()
    }

    /// Changes how the dependency behaves. A drill on any cloud does it by the consumer's `SHOULD_ERROR`; so does this.
    pub fn set_dependency(&self, dependency: Dependency) {
        self.dependency.set(dependency);
        let should_error = dependency == Dependency::Failing;
        for function in self.functions.borrow_mut().values_mut() {
            function.set_should_error(should_error);
        }
        let now = self.now();
        self.scribe.borrow_mut().dependency_changed(now, dependency);
    }
}

/// A string property.
pub(super) fn text<'a>(properties: &'a Value, name: &str) -> Option<&'a str> {
    properties.get(name).and_then(Value::as_str)
}

/// A whole number property, which CloudFormation takes as a number or as text.
pub(super) fn whole(properties: &Value, name: &str) -> Option<u64> {
    let value = properties.get(name)?;
    value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

/// The variables of a function.
pub(super) fn variables(properties: &Value) -> BTreeMap<String, String> {
    let none = Map::new();
    let variables = properties.pointer("/Environment/Variables").and_then(Value::as_object).unwrap_or(&none);
    variables.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

//! Walks the states of a machine on virtual time.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use jsonata_core::value::JValue;
use serde_json::Value;

use super::data::{DATA_LIMIT_BYTES, Data, jsonata_object};
use super::eval::{EvalError, StateContext, Variables, View, World};
use super::failure::{DATA_LIMIT_EXCEEDED, Failure, QUERY_EVALUATION_ERROR, RUNTIME};
use super::functions::Oracle;
use super::history::{Chain, Details, EventKind, HISTORY_LIMIT_COUNT, HistoryEvent};
use super::host::{ExecutionInfo, Host, Outcome};
use super::model::{Condition, Exit, Graph, Kind, Next, Rule, State, Wait};
use super::{Machine, timestamp};
use crate::sim::{Either, Sim, race};

/// The longest that a Standard execution may take (Step Functions quota: one year).
const EXECUTION_LIMIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// Runs a machine to its end.
///
/// Chance (retry jitter, `$random`, `$uuid`, task tokens) comes from the simulation's stream for
/// this execution's ARN. The future may be dropped at any point: that is what stopping the
/// execution means; it writes no further event.
pub async fn execute<H: Host>(
    sim: &Sim,
    host: &H,
    machine: &Machine,
    info: ExecutionInfo,
    input: Value,
) -> Outcome {
    let input = Data::new(input);
    let run = Run::new(sim, host, info, &input);
    // The first state's event follows nothing either: both name 0 as the one before them.
    let details = Details { input: Some(input.clone()), ..Details::default() };
    run.record(&Chain::after(0), EventKind::ExecutionStarted, details);
    let (variables, chain) = (Variables::new(None), Chain::after(0));
    let limit = machine.definition.timeout.unwrap_or(EXECUTION_LIMIT);
    let states = run.graph(&machine.definition.graph, input, &variables, &chain);
    let (kind, details, outcome) = match race(states, sim.sleep(limit)).await {
        Either::Left(Ok(output)) => {
            let outcome = Outcome::Succeeded(output.json().clone());
            let details = Details { output: Some(output), ..Details::default() };
            (EventKind::ExecutionSucceeded, details, outcome)
        }
        Either::Left(Err(Failure { error, cause, .. })) => {
            let details = Details { error: error.clone(), cause: cause.clone(), ..Details::default() };
            (EventKind::ExecutionFailed, details, Outcome::Failed { error, cause })
        }
        Either::Right(()) => (EventKind::ExecutionTimedOut, Details::default(), Outcome::TimedOut),
    };
    run.record(&chain, kind, details);
    outcome
}

/// One execution.
pub(super) struct Run<'a, H> {
    pub sim: &'a Sim,
    pub host: &'a H,
    pub info: Rc<ExecutionInfo>,
    pub oracle: Rc<Oracle>,
    world: World,
    event_count: Cell<u64>,
}

/// A state that is being run.
pub(super) struct Here<'a> {
    pub state: &'a State,
    pub input: Data,
    pub variables: &'a Variables<'a>,
    pub chain: &'a Chain,
    pub context: StateContext,
    entered_id: u64,
}

/// What a state leaves behind, evaluated and not yet in effect.
pub(super) struct Left {
    pub output: Data,
    pub assigned: Vec<(Rc<str>, Data)>,
}

/// Where a state leads.
pub(super) struct Step {
    output: Data,
    next: Next,
}

impl Here<'_> {
    /// The prefix of the cause of every failure that the interpreter finds itself.
    pub fn explain(&self, text: &str) -> String {
        format!(
            "An error occurred while executing the state '{}' (entered at the event id #{}). {text}",
            self.state.name, self.entered_id
        )
    }
}

impl<'a, H: Host> Run<'a, H> {
    fn new(sim: &'a Sim, host: &'a H, info: ExecutionInfo, input: &Data) -> Run<'a, H> {
        let (execution_input, inexact) = match input.jsonata() {
            Ok(value) => (value, None),
            Err(inexact) => (JValue::Undefined, Some(inexact)),
        };
        let execution = jsonata_object([
            ("Id", JValue::from(info.arn.as_str())),
            ("Input", execution_input),
            ("Name", JValue::from(info.name.as_str())),
            ("RedriveCount", JValue::from(0.0)),
            ("RoleArn", JValue::from(info.role_arn.as_str())),
            ("StartTime", JValue::from(timestamp::write(sim.now()))),
        ]);
        let machine = jsonata_object([
            ("Id", JValue::from(info.state_machine_arn.as_str())),
            ("Name", JValue::from(info.state_machine_name.as_str())),
        ]);
        let rng = RefCell::new(sim.rng(&format!("execution {}", info.arn)));
        Run {
            sim,
            host,
            info: Rc::new(info),
            oracle: Rc::new(Oracle { sim: sim.clone(), rng, skew_ms: host.clock_skew_ms() }),
            world: World { execution, machine, inexact },
            event_count: Cell::new(0),
        }
    }

    /// Writes an event whatever the count.
    fn record(&self, chain: &Chain, kind: EventKind, details: Details) -> u64 {
        let id = self.event_count.get() + 1;
        self.event_count.set(id);
        let event = HistoryEvent { id, previous_id: chain.last_id(), at: self.sim.now(), kind, details };
        chain.advance(id);
        self.host.history(&event);
        id
    }

    /// Writes an event, unless only the one that ends the execution still fits.
    pub fn emit(&self, chain: &Chain, kind: EventKind, details: Details) -> Result<u64, Failure> {
        if self.event_count.get() + 1 >= HISTORY_LIMIT_COUNT {
            // The name is not documented; what is sure is that nothing catches it.
            let cause = format!(
                "The execution reached the maximum number of history events ({HISTORY_LIMIT_COUNT})."
            );
            return Err(Failure::new(RUNTIME, cause));
        }
        Ok(self.record(chain, kind, details))
    }

    /// Runs states from the first one until one of them ends. Boxed, since states hold graphs.
    pub fn graph<'s>(
        &'s self,
        graph: &'s Graph,
        mut input: Data,
        variables: &'s Variables<'s>,
        chain: &'s Chain,
    ) -> Pin<Box<dyn Future<Output = Result<Data, Failure>> + 's>> {
        Box::pin(async move {
            let mut state = &graph.states[graph.start];
            loop {
                let step = self.state(state, input, variables, chain).await?;
                match step.next {
                    Next::State(index) => (state, input) = (&graph.states[index], step.output),
                    Next::End => return Ok(step.output),
                }
            }
        })
    }

    async fn state(
        &self,
        state: &State,
        input: Data,
        variables: &Variables<'_>,
        chain: &Chain,
    ) -> Result<Step, Failure> {
        let details = Details { input: Some(input.clone()), ..Details::of(&state.name) };
        let entered_id = self.emit(chain, entered(&state.kind), details)?;
        let context = StateContext {
            name: state.name.clone(),
            entered_time: timestamp::write(self.sim.now()),
            retry_count: Cell::new(0),
            token: RefCell::default(),
        };
        let here = Here { state, input, variables, chain, context, entered_id };
        match &state.kind {
            Kind::Pass(next) => self.leave_with_input(&here, &state.exit, *next),
            Kind::Succeed => self.leave_with_input(&here, &state.exit, Next::End),
            Kind::Fail { error, cause } => {
                let view = self.view(&here);
                let text = |field: &Option<_>| {
                    field.as_ref().map(|field| self.eval(&here, view.text(field))).transpose()
                };
                Err(Failure { error: text(error)?, cause: text(cause)?, heartbeat: false })
            }
            Kind::Choice(rules, default) => self.choose(&here, rules, *default),
            Kind::Wait(wait, next) => {
                self.wait(&here, wait).await?;
                self.leave_with_input(&here, &state.exit, *next)
            }
            Kind::Task(task, recovery, next) => {
                let attempt = async || self.attempt_task(&here, task).await;
                self.recover(&here, recovery, *next, attempt).await
            }
            Kind::Parallel(parallel, recovery, next) => {
                let attempt = async || self.attempt_parallel(&here, parallel).await;
                self.recover(&here, recovery, *next, attempt).await
            }
            Kind::Map(map, recovery, next) => {
                let attempt = async || self.attempt_map(&here, map).await;
                self.recover(&here, recovery, *next, attempt).await
            }
        }
    }

    fn choose(&self, here: &Here<'_>, rules: &[Rule], default: Option<usize>) -> Result<Step, Failure> {
        let view = self.view(here);
        for rule in rules {
            let matches = match &rule.condition {
                Condition::Literal(flag) => *flag,
                Condition::Expr(expr) => self.eval(here, view.boolean(expr))?,
            };
            if matches {
                return self.leave_with_input(here, &rule.exit, Next::State(rule.next));
            }
        }
        match default {
            Some(next) => self.leave_with_input(here, &here.state.exit, Next::State(next)),
            None => {
                let text = "Failed to transition out of the state. The state does not point to a \
                            next state.";
                Err(Failure::new(RUNTIME, here.explain(text)))
            }
        }
    }

    async fn wait(&self, here: &Here<'_>, wait: &Wait) -> Result<(), Failure> {
        let view = self.view(here);
        match wait {
            Wait::Seconds(seconds) => {
                let seconds = self.eval(here, view.number(seconds, 0))?;
                drop(view);
                self.sim.sleep(Duration::from_secs(seconds)).await;
            }
            Wait::Timestamp(field) => {
                let text = self.eval(here, view.text(field))?;
                let parsed = timestamp::parse(&text).ok_or_else(|| EvalError {
                    field: "Timestamp".to_owned(),
                    text: format!(
                        "The Timestamp field cannot be parsed as an ISO-8601 extended offset \
                         date-time format string: {text}"
                    ),
                    not_supported: false,
                });
                let until = self.eval(here, parsed)?;
                drop(view);
                self.sim.sleep_until(until).await;
            }
        }
        Ok(())
    }

    /// What the expressions of a state see when it is entered.
    pub fn view<'v>(&'v self, here: &'v Here<'v>) -> View<'v> {
        View {
            oracle: &self.oracle,
            variables: here.variables,
            world: &self.world,
            context: &here.context,
            input: &here.input,
            result: None,
            error_output: None,
            map_item: None,
            states: OnceCell::new(),
        }
    }

    /// Turns an expression's failure into one of its state.
    pub fn eval<T>(&self, here: &Here<'_>, answer: Result<T, EvalError>) -> Result<T, Failure> {
        let error = match answer {
            Ok(value) => return Ok(value),
            Err(error) if error.not_supported => {
                return Err(Failure::not_supported(here.explain(&error.text)));
            }
            Err(error) => error,
        };
        let failure = Failure::new(QUERY_EVALUATION_ERROR, here.explain(&error.text));
        let details = Details {
            error: failure.error.clone(),
            cause: failure.cause.clone(),
            ..Details::of(&here.state.name)
        };
        self.emit(here.chain, EventKind::EvaluationFailed, details)?;
        Err(failure)
    }

    /// Fails a state whose data is larger than Step Functions takes.
    pub fn check_size(&self, here: &Here<'_>, what: &str, data: &Data) -> Result<(), Failure> {
        if data.size_bytes() <= DATA_LIMIT_BYTES {
            return Ok(());
        }
        let text = format!(
            "{what} has {} bytes, more than the {DATA_LIMIT_BYTES} that are allowed.",
            data.size_bytes()
        );
        Err(Failure::new(DATA_LIMIT_EXCEEDED, here.explain(&text)))
    }

    /// Evaluates `Assign` and `Output`; both see the variables as they were on entry.
    pub fn finish(
        &self,
        here: &Here<'_>,
        view: &View<'_>,
        exit: &Exit,
        default_output: &Data,
    ) -> Result<Left, Failure> {
        let mut assigned = Vec::with_capacity(exit.assign.len());
        let mut assigned_bytes = 0;
        for (name, template) in &exit.assign {
            let value = self.eval(here, view.template(template))?;
            assigned_bytes += value.size_bytes();
            assigned.push((name.clone(), value));
        }
        if assigned_bytes > DATA_LIMIT_BYTES {
            let text = format!(
                "The variables of one Assign have {assigned_bytes} bytes, more than the \
                 {DATA_LIMIT_BYTES} that are allowed."
            );
            return Err(Failure::new(DATA_LIMIT_EXCEEDED, here.explain(&text)));
        }
        let output = match &exit.output {
            Some(template) => self.eval(here, view.template(template))?,
            None => default_output.clone(),
        };
        self.check_size(here, "The state's output", &output)?;
        Ok(Left { output, assigned })
    }

    fn leave_with_input(&self, here: &Here<'_>, exit: &Exit, next: Next) -> Result<Step, Failure> {
        let left = self.finish(here, &self.view(here), exit, &here.input)?;
        self.exited(here, left, next)
    }

    /// Puts what a state leaves behind into effect.
    pub fn exited(&self, here: &Here<'_>, left: Left, next: Next) -> Result<Step, Failure> {
        let Left { output, assigned } = left;
        let details = Details {
            output: Some(output.clone()),
            assigned: assigned.clone(),
            ..Details::of(&here.state.name)
        };
        self.emit(here.chain, exited(&here.state.kind), details)?;
        here.variables.assign(assigned);
        Ok(Step { output, next })
    }
}

fn entered(kind: &Kind) -> EventKind {
    match kind {
        Kind::Pass(_) => EventKind::PassStateEntered,
        Kind::Task(..) => EventKind::TaskStateEntered,
        Kind::Choice(..) => EventKind::ChoiceStateEntered,
        Kind::Wait(..) => EventKind::WaitStateEntered,
        Kind::Succeed => EventKind::SucceedStateEntered,
        Kind::Fail { .. } => EventKind::FailStateEntered,
        Kind::Parallel(..) => EventKind::ParallelStateEntered,
        Kind::Map(..) => EventKind::MapStateEntered,
    }
}

fn exited(kind: &Kind) -> EventKind {
    match kind {
        Kind::Pass(_) => EventKind::PassStateExited,
        Kind::Task(..) => EventKind::TaskStateExited,
        Kind::Choice(..) => EventKind::ChoiceStateExited,
        Kind::Wait(..) => EventKind::WaitStateExited,
        // A Fail state is never left.
        Kind::Succeed | Kind::Fail { .. } => EventKind::SucceedStateExited,
        Kind::Parallel(..) => EventKind::ParallelStateExited,
        Kind::Map(..) => EventKind::MapStateExited,
    }
}

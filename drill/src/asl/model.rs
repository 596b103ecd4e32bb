//! A definition after it has been read and found sound: what the interpreter walks.

use std::rc::Rc;
use std::time::Duration;

use super::expr::{Expr, Template};

/// The states of a machine, of a branch of a Parallel state or of a Map's item processor.
pub(super) struct Graph {
    pub start: usize,
    pub states: Vec<State>,
}

pub(super) struct State {
    pub name: Rc<str>,
    pub kind: Kind,
    /// For a Choice state: what applies when no rule matches.
    pub exit: Exit,
}

/// What a state leaves behind.
#[derive(Default)]
pub(super) struct Exit {
    pub assign: Vec<(Rc<str>, Template)>,
    /// `None`: the state's default output.
    pub output: Option<Template>,
}

#[derive(Clone, Copy)]
pub(super) enum Next {
    State(usize),
    End,
}

pub(super) enum Kind {
    Pass(Next),
    Task(Box<Task>, Recovery, Next),
    Choice(Vec<Rule>, Option<usize>),
    Wait(Wait, Next),
    Succeed,
    Fail { error: Option<Template>, cause: Option<Template> },
    Parallel(Parallel, Recovery, Next),
    Map(Box<MapState>, Recovery, Next),
}

pub(super) struct Task {
    pub resource: Rc<str>,
    pub family: Family,
    pub wait_for_token: bool,
    pub arguments: Option<Template>,
    pub credentials: Option<Template>,
    pub timeout: Option<NumberField>,
    pub heartbeat: Option<NumberField>,
}

/// Which history events a task writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Lambda,
    Activity,
    Integration,
}

/// A whole number, given or computed.
pub(super) enum NumberField {
    Literal(u64),
    Expr(Expr),
}

pub(super) struct Rule {
    pub condition: Condition,
    pub exit: Exit,
    pub next: usize,
}

pub(super) enum Condition {
    Literal(bool),
    Expr(Expr),
}

pub(super) enum Wait {
    Seconds(NumberField),
    Timestamp(Template),
}

pub(super) struct Parallel {
    pub arguments: Option<Template>,
    pub branches: Vec<Graph>,
}

pub(super) struct MapState {
    pub items: Option<Template>,
    pub item_selector: Option<Template>,
    pub max_concurrency: Option<NumberField>,
    pub processor: Graph,
}

/// What a state does about its failures.
pub(super) struct Recovery {
    pub retriers: Vec<Retrier>,
    pub catchers: Vec<Catcher>,
}

pub(super) struct Retrier {
    pub errors: Vec<String>,
    pub interval: Duration,
    pub max_attempts: u64,
    pub backoff_rate: f64,
    pub max_delay: Option<Duration>,
    pub full_jitter: bool,
}

pub(super) struct Catcher {
    pub errors: Vec<String>,
    pub exit: Exit,
    pub next: usize,
}

//! The events of an execution's history, counted as Step Functions counts them.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use super::data::Data;
use crate::sim::Time;

/// The most events that a Standard execution may have (Step Functions quota).
pub const HISTORY_LIMIT_COUNT: u64 = 25_000;

macro_rules! event_kinds {
    ($($name:ident)+) => {
        /// The type of a history event, by the name that Step Functions gives it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum EventKind { $($name),+ }

        impl EventKind {
            /// The name, as `GetExecutionHistory` writes it.
            pub const fn as_str(self) -> &'static str {
                match self { $(EventKind::$name => stringify!($name)),+ }
            }
        }
    };
}

event_kinds! {
    ExecutionStarted ExecutionSucceeded ExecutionFailed ExecutionTimedOut
    PassStateEntered PassStateExited ChoiceStateEntered ChoiceStateExited
    WaitStateEntered WaitStateExited SucceedStateEntered SucceedStateExited FailStateEntered
    TaskStateEntered TaskStateExited ParallelStateEntered ParallelStateExited
    MapStateEntered MapStateExited
    TaskScheduled TaskStarted TaskSubmitted TaskSucceeded TaskFailed TaskTimedOut
    LambdaFunctionScheduled LambdaFunctionStarted LambdaFunctionSucceeded LambdaFunctionFailed
    LambdaFunctionTimedOut
    ActivityScheduled ActivityStarted ActivitySucceeded ActivityFailed ActivityTimedOut
    ParallelStateStarted ParallelStateSucceeded ParallelStateFailed
    MapStateStarted MapStateSucceeded MapStateFailed
    MapIterationStarted MapIterationSucceeded MapIterationFailed
    EvaluationFailed
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One event of an execution's history.
#[derive(Clone, Debug)]
pub struct HistoryEvent {
    /// Its number, from 1.
    pub id: u64,
    /// The event before it in the same chain of states; 0 for the first and the one after it.
    pub previous_id: u64,
    /// When it happened.
    pub at: Time,
    /// Its type.
    pub kind: EventKind,
    /// The rest, as far as the type has it.
    pub details: Details,
}

/// What an event tells beyond its type.
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// The state it belongs to.
    pub state: Option<Rc<str>>,
    /// The resource that a task calls.
    pub resource: Option<Rc<str>>,
    /// The execution's or state's input, or what a task is given.
    pub input: Option<Data>,
    /// The execution's or state's output, or what a task gives back.
    pub output: Option<Data>,
    /// The variables that the state assigned.
    pub assigned: Vec<(Rc<str>, Data)>,
    /// The error name.
    pub error: Option<String>,
    /// The error's cause.
    pub cause: Option<String>,
    /// A Map's number of items, or an iteration's number from 0.
    pub count: Option<u64>,
}

impl Details {
    pub(super) fn of(state: &Rc<str>) -> Details {
        Details { state: Some(state.clone()), ..Details::default() }
    }
}

/// Follows one line of events: each branch and each iteration has its own.
pub(super) struct Chain {
    last_id: Cell<u64>,
}

impl Chain {
    pub fn after(last_id: u64) -> Chain {
        Chain { last_id: Cell::new(last_id) }
    }

    pub fn last_id(&self) -> u64 {
        self.last_id.get()
    }

    pub fn advance(&self, id: u64) {
        self.last_id.set(id);
    }
}

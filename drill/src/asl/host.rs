//! What an execution needs from the world around it.

use std::future::Future;
use std::rc::Rc;

use serde_json::Value;

use super::history::HistoryEvent;

/// Who is being executed: the parts of the context object that the caller knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionInfo {
    /// The execution's ARN: `$states.context.Execution.Id`.
    pub arn: String,
    /// The execution's name.
    pub name: String,
    /// The role it runs as.
    pub role_arn: String,
    /// The state machine's ARN: `$states.context.StateMachine.Id`.
    pub state_machine_arn: String,
    /// The state machine's name.
    pub state_machine_name: String,
}

/// One attempt of a Task state.
#[derive(Clone, Debug)]
pub struct TaskCall {
    /// The state's name.
    pub state: Rc<str>,
    /// What it calls, as the definition writes it.
    pub resource: Rc<str>,
    /// The evaluated `Arguments`, or the state's input if it has none.
    pub arguments: Value,
    /// Attempts before this one: `$states.context.State.RetryCount`.
    pub retry_count: u64,
    /// The task token, for a `.waitForTaskToken` resource.
    pub token: Option<String>,
    /// The execution it belongs to.
    pub execution: Rc<ExecutionInfo>,
}

/// How a task failed: the error name that `ErrorEquals` is matched against, and the cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFailure {
    /// The error name, such as `Lambda.TooManyRequestsException`.
    pub error: String,
    /// A text for humans, or JSON as text; `None` where there is none.
    pub cause: Option<String>,
}

impl TaskFailure {
    /// A failure with a cause.
    pub fn new(error: impl Into<String>, cause: impl Into<String>) -> TaskFailure {
        TaskFailure { error: error.into(), cause: Some(cause.into()) }
    }
}

/// What happens to a task that waits for its token.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    /// `SendTaskSuccess` or `SendTaskFailure`: the task is over.
    Completed(Result<Value, TaskFailure>),
    /// `SendTaskHeartbeat`: the time allowed between heartbeats starts anew.
    Heartbeat,
}

/// The world as an execution sees it.
///
/// Any future may be dropped before it is ready: on a timeout, when another branch fails, when
/// the execution is stopped.
pub trait Host {
    /// Makes one attempt of a task. For a `.waitForTaskToken` resource this is the call alone; the
    /// outcome comes by [`Host::signal`].
    fn task(&self, call: TaskCall) -> impl Future<Output = Result<Value, TaskFailure>>;

    /// The next signal for a token. Signals that arrive while nobody asks (the call that hands out
    /// the token may still be under way) are to be kept.
    fn signal(&self, token: &str) -> impl Future<Output = Signal>;

    /// By how many milliseconds the clock of the executing service, as expressions read it, is ahead of the truth.
    fn clock_skew_ms(&self) -> i64 {
        0
    }

    /// The token is no longer valid: its task succeeded, failed, timed out or was dropped.
    fn release(&self, token: &str);

    /// Takes note of an event of the execution's history.
    fn history(&self, event: &HistoryEvent);
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// `SUCCEEDED`, with its output.
    Succeeded(Value),
    /// `FAILED`; a Fail state may leave both parts open.
    Failed {
        /// The error name.
        error: Option<String>,
        /// The cause.
        cause: Option<String>,
    },
    /// `TIMED_OUT`: the machine's own `TimeoutSeconds` passed.
    TimedOut,
}

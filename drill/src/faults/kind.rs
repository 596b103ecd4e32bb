//! What can go wrong, one kind each.

/// A kind of fault. Each is asked for at its own place of the model, and draws from a stream of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// A call of one of the breaker's functions is throttled (429): it has no effect.
    CallThrottled,
    /// A call of one of the breaker's functions is answered with a 5xx: it has no effect.
    CallFailed,
    /// A call never reaches the service: no effect, and no answer within the client's time.
    CallLost,
    /// A call takes effect, and its answer is lost.
    AnswerLost,
    /// A call takes effect, and its answer takes seconds.
    AnswerLate,
    /// One of the breaker's functions dies between two of its calls.
    FunctionCrashed,
    /// Step Functions cannot invoke one of the breaker's functions: throttled.
    InvokeThrottled,
    /// One of the breaker's functions ran, or runs on, and Step Functions never hears its answer.
    InvokeAnswerLost,
    /// A task that calls another service is throttled, or answered with a 5xx: it has no effect.
    TaskFailed,
    /// A task that calls another service takes effect, and its answer is lost.
    TaskAnswerLost,
    /// An event is delivered twice.
    EventDuplicated,
    /// An event is delivered minutes late.
    EventLate,
    /// An event is never delivered.
    EventLost,
    /// An update of a mapping is refused although it has settled: another operation is in progress.
    UpdateConflict,
    /// A transition of a mapping takes minutes.
    TransitionSlow,
    /// A transition of a mapping takes longer than anybody waits.
    TransitionStuck,
    /// Somebody, or something, stops an execution of the workflow.
    ExecutionAborted,
    /// An alarm changes its state for no reason.
    AlarmFlapped,
    /// The metric data of a batch never reaches the alarm.
    MetricsLost,
    /// A message is delivered although it is in flight.
    MessageDuplicated,
    /// A message that was deleted comes back once.
    DeletedReturned,
    /// A receive finds nothing although there are messages.
    ReceiveEmpty,
    /// The counts of a queue are wrong.
    CountsWrong,
    /// Clocks of services differ by seconds.
    ClockSkewed,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [FaultKind; 24] = [
        FaultKind::CallThrottled,
        FaultKind::CallFailed,
        FaultKind::CallLost,
        FaultKind::AnswerLost,
        FaultKind::AnswerLate,
        FaultKind::FunctionCrashed,
        FaultKind::InvokeThrottled,
        FaultKind::InvokeAnswerLost,
        FaultKind::TaskFailed,
        FaultKind::TaskAnswerLost,
        FaultKind::EventDuplicated,
        FaultKind::EventLate,
        FaultKind::EventLost,
        FaultKind::UpdateConflict,
        FaultKind::TransitionSlow,
        FaultKind::TransitionStuck,
        FaultKind::ExecutionAborted,
        FaultKind::AlarmFlapped,
        FaultKind::MetricsLost,
        FaultKind::MessageDuplicated,
        FaultKind::DeletedReturned,
        FaultKind::ReceiveEmpty,
        FaultKind::CountsWrong,
        FaultKind::ClockSkewed,
    ];

    /// A short name.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::CallThrottled => "call_throttled",
            FaultKind::CallFailed => "call_failed",
            FaultKind::CallLost => "call_lost",
            FaultKind::AnswerLost => "answer_lost",
            FaultKind::AnswerLate => "answer_late",
            FaultKind::FunctionCrashed => "function_crashed",
            FaultKind::InvokeThrottled => "invoke_throttled",
            FaultKind::InvokeAnswerLost => "invoke_answer_lost",
            FaultKind::TaskFailed => "task_failed",
            FaultKind::TaskAnswerLost => "task_answer_lost",
            FaultKind::EventDuplicated => "event_duplicated",
            FaultKind::EventLate => "event_late",
            FaultKind::EventLost => "event_lost",
            FaultKind::UpdateConflict => "update_conflict",
            FaultKind::TransitionSlow => "transition_slow",
            FaultKind::TransitionStuck => "transition_stuck",
            FaultKind::ExecutionAborted => "execution_aborted",
            FaultKind::AlarmFlapped => "alarm_flapped",
            FaultKind::MetricsLost => "metrics_lost",
            FaultKind::MessageDuplicated => "message_duplicated",
            FaultKind::DeletedReturned => "deleted_returned",
            FaultKind::ReceiveEmpty => "receive_empty",
            FaultKind::CountsWrong => "counts_wrong",
            FaultKind::ClockSkewed => "clock_skewed",
        }
    }
}

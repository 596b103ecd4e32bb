//! What happens when: timeouts, heartbeats, retries and the events of the history.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use drill::asl::{
    ExecutionInfo, HistoryEvent, Host, Machine, Outcome, Signal, TaskCall, TaskFailure, execute,
};
use drill::sim::{SIM_START, Sim};
use serde_json::{Value, json};

use super::{CALLBACK, LAMBDA, definition};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:f";

/// Attempts take as long as the script says; `heartbeats` and then `done` follow for a token.
#[derive(Default)]
struct Script {
    attempts: RefCell<VecDeque<(u64, Result<Value, TaskFailure>)>>,
    signals: RefCell<VecDeque<(u64, Signal)>>,
    log: RefCell<Vec<String>>,
    events: RefCell<Vec<HistoryEvent>>,
    valid_tokens: RefCell<Vec<String>>,
}

struct Scripted(Sim, Script);

impl Scripted {
    fn note(&self, what: impl std::fmt::Display) {
        let at = (self.0.now() - SIM_START).as_millis();
        self.1.log.borrow_mut().push(format!("{at} {what}"));
    }
}

impl Host for Scripted {
    async fn task(&self, call: TaskCall) -> Result<Value, TaskFailure> {
        self.note(format_args!("{} #{}", call.state, call.retry_count));
        self.1.valid_tokens.borrow_mut().extend(call.token);
        let (takes_ms, answer) = self.1.attempts.borrow_mut().pop_front().expect("scripted");
        self.0.sleep(Duration::from_millis(takes_ms)).await;
        answer
    }

    async fn signal(&self, token: &str) -> Signal {
        assert!(self.1.valid_tokens.borrow().iter().any(|valid| valid == token));
        let next = self.1.signals.borrow_mut().pop_front();
        let Some((after_ms, signal)) = next else { return std::future::pending().await };
        self.0.sleep(Duration::from_millis(after_ms)).await;
        signal
    }

    fn release(&self, token: &str) {
        self.1.valid_tokens.borrow_mut().retain(|valid| valid != token);
    }

    fn history(&self, event: &HistoryEvent) {
        self.1.events.borrow_mut().push(event.clone());
    }
}

fn info() -> ExecutionInfo {
    let text = |name: &str| format!("arn:{name}");
    ExecutionInfo {
        arn: text("execution"),
        name: "e".to_owned(),
        role_arn: text("role"),
        state_machine_arn: text("machine"),
        state_machine_name: "m".to_owned(),
    }
}

/// Runs states under a script; answers with the outcome and the host.
fn run_scripted(states: &Value, script: Script, seed: u64) -> (Outcome, Rc<Scripted>) {
    let sim = Sim::new(seed);
    let machine = Machine::parse(&definition(states)).unwrap_or_else(|e| panic!("{e}"));
    let host = Rc::new(Scripted(sim.clone(), script));
    let outcome = Rc::new(RefCell::new(None));
    let (own_sim, own_host, own_outcome) = (sim.clone(), host.clone(), outcome.clone());
    sim.spawn(async move {
        let ended = execute(&own_sim, &*own_host, &machine, info(), json!({})).await;
        own_host.note("end");
        own_outcome.replace(Some(ended));
    });
    sim.run_while(SIM_START + Duration::from_secs(1_000_000), || outcome.borrow().is_none());
    assert!(host.1.valid_tokens.borrow().is_empty(), "a token outlived its task");
    let ended = outcome.take().expect("the execution ends");
    sim.clear();
    (ended, host)
}

fn ok(takes_ms: u64, value: Value) -> (u64, Result<Value, TaskFailure>) {
    (takes_ms, Ok(value))
}

fn fails(takes_ms: u64, error: &str) -> (u64, Result<Value, TaskFailure>) {
    (takes_ms, Err(TaskFailure { error: error.to_owned(), cause: None }))
}

/// What is called when (in ms) and when the execution ends.
fn check_log(
    task: Value,
    attempts: impl IntoIterator<Item = (u64, Result<Value, TaskFailure>)>,
    signals: impl IntoIterator<Item = (u64, Signal)>,
    expected: &[&str],
) -> Outcome {
    let script = Script {
        attempts: RefCell::new(attempts.into_iter().collect()),
        signals: RefCell::new(signals.into_iter().collect()),
        ..Script::default()
    };
    let states = json!({"T": task});
    let (outcome, host) = run_scripted(&states, script, 1);
    assert_eq!(*host.1.log.borrow(), expected, "{states}");
    outcome
}

fn failed(error: &str) -> Outcome {
    Outcome::Failed { error: Some(error.to_owned()), cause: None }
}

#[test]
fn retries_wait_longer_each_time_up_to_the_maximum() {
    let task = |retry: Value| json!({"Type": "Task", "Resource": LAMBDA, "Retry": [retry], "End": true});
    let busy = |count| std::iter::repeat_with(|| fails(10, "Busy")).take(count);
    check_log(
        task(json!({"ErrorEquals": ["Busy"]})),
        busy(3).chain([ok(10, json!(1))]),
        [],
        &["0 T #0", "1010 T #1", "3020 T #2", "7030 T #3", "7040 end"],
    );
    let outcome = check_log(
        task(json!({"ErrorEquals": ["Busy"], "IntervalSeconds": 10, "BackoffRate": 1.5,
                    "MaxDelaySeconds": 20, "MaxAttempts": 4, "JitterStrategy": "NONE"})),
        busy(5),
        [],
        &["0 T #0", "10010 T #1", "25020 T #2", "45030 T #3", "65040 T #4", "65050 end"],
    );
    assert_eq!(outcome, failed("Busy"));
}

#[test]
fn full_jitter_stays_within_the_delay_and_differs_by_seed() {
    let states = json!({"T": {"Type": "Task", "Resource": LAMBDA, "End": true, "Retry": [
        {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 100, "BackoffRate": 2,
         "JitterStrategy": "FULL", "MaxAttempts": 3}]}});
    let ends = |seed| {
        let attempts = RefCell::new((0..4).map(|_| fails(0, "E")).collect());
        let (_, host) = run_scripted(&states, Script { attempts, ..Script::default() }, seed);
        host.1.log.borrow().clone()
    };
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let log = ends(seed);
        assert_eq!(log, ends(seed));
        let at: Vec<u64> = log.iter().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect();
        for (retry, limit_ms) in [100_000, 200_000, 400_000].into_iter().enumerate() {
            assert!(at[retry + 1] - at[retry] <= limit_ms, "{log:?}");
        }
        seen.insert(at[3]);
    }
    assert!(seen.len() > 45 && seen.first() < Some(&250_000) && seen.last() > Some(&450_000));
}

#[test]
fn a_timeout_covers_the_call_and_the_wait_for_its_token() {
    let task =
        |resource: &str| json!({"Type": "Task", "Resource": resource, "TimeoutSeconds": 30, "End": true});
    let done = |after_ms| (after_ms, Signal::Completed(Ok(json!("done"))));
    let timed_out = check_log(task(LAMBDA), [ok(30_001, json!(1))], [], &["0 T #0", "30000 end"]);
    assert_eq!(timed_out, failed("States.Timeout"));
    let outcome = check_log(task(LAMBDA), [ok(29_999, json!(1))], [], &["0 T #0", "29999 end"]);
    assert_eq!(outcome, Outcome::Succeeded(json!(1)));
    let call = || [ok(10_000, json!(null))];
    let outcome = check_log(task(CALLBACK), call(), [done(19_999)], &["0 T #0", "29999 end"]);
    assert_eq!(outcome, Outcome::Succeeded(json!("done")));
    let outcome = check_log(task(CALLBACK), call(), [done(20_001)], &["0 T #0", "30000 end"]);
    assert_eq!(outcome, failed("States.Timeout"));
    let refused = [fails(5, "Sqs.SqsException")];
    let outcome = check_log(task(CALLBACK), refused, [], &["0 T #0", "5 end"]);
    assert_eq!(outcome, failed("Sqs.SqsException"));
}

#[test]
fn each_heartbeat_gives_the_task_more_time() {
    let task = json!({"Type": "Task", "Resource": CALLBACK, "HeartbeatSeconds": 10, "End": true});
    let beat = |after_ms| (after_ms, Signal::Heartbeat);
    let call = || [ok(0, json!(null))];
    let signals = [beat(9_000), beat(9_000), (9_999, Signal::Completed(Ok(json!(1))))];
    let outcome = check_log(task.clone(), call(), signals, &["0 T #0", "27999 end"]);
    assert_eq!(outcome, Outcome::Succeeded(json!(1)));
    let late = [beat(9_000), beat(10_001)];
    let outcome = check_log(task.clone(), call(), late, &["0 T #0", "19000 end"]);
    assert_eq!(outcome, failed("States.Timeout"));
    let mut caught = task;
    caught["Retry"] = json!([{"ErrorEquals": ["States.HeartbeatTimeout"], "MaxAttempts": 1}]);
    let outcome = check_log(
        caught,
        [ok(0, json!(null)), ok(0, json!(null))],
        [],
        &["0 T #0", "11000 T #1", "21000 end"],
    );
    assert_eq!(outcome, failed("States.Timeout"));
}

#[test]
fn a_map_runs_as_many_items_at_once_as_it_may() {
    let map = |max: u64| {
        json!({"Type": "Map", "Items": [1, 2, 3, 4], "MaxConcurrency": max, "End": true,
               "ItemProcessor": {"StartAt": "I", "States": {
                   "I": {"Type": "Task", "Resource": LAMBDA, "End": true}}}})
    };
    let attempts = || [4_000, 1_000, 2_000, 2_000].map(|ms| ok(ms, json!(ms)));
    let at_once = ["0 I #0", "0 I #0", "0 I #0", "0 I #0", "4000 end"];
    let outcome = check_log(map(0), attempts(), [], &at_once);
    assert_eq!(outcome, Outcome::Succeeded(json!([4000, 1000, 2000, 2000])));
    check_log(map(1), attempts(), [], &["0 I #0", "4000 I #0", "5000 I #0", "7000 I #0", "9000 end"]);
    check_log(map(2), attempts(), [], &["0 I #0", "0 I #0", "1000 I #0", "3000 I #0", "5000 end"]);
}

#[test]
fn a_failing_branch_stops_the_others_at_once() {
    let parallel = json!({"Type": "Parallel", "End": true, "Branches": [
        {"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": CALLBACK, "End": true}}},
        {"StartAt": "B", "States": {"B": {"Type": "Wait", "Seconds": 5, "Next": "F"},
                                    "F": {"Type": "Fail", "Error": "Broken"}}}]});
    // The scripted host checks that the token of the branch that is dropped has been released.
    let outcome = check_log(parallel, [ok(0, json!(null))], [], &["0 A #0", "5000 end"]);
    assert_eq!(outcome, failed("Broken"));
}

#[test]
fn stopping_an_execution_releases_its_token() {
    let sim = Sim::new(1);
    let states = json!({"T": {"Type": "Task", "Resource": CALLBACK, "End": true}});
    let machine = Machine::parse(&definition(&states)).unwrap();
    let attempts = RefCell::new([ok(0, json!(null))].into());
    let host = Rc::new(Scripted(sim.clone(), Script { attempts, ..Script::default() }));
    let (own_sim, own_host) = (sim.clone(), host.clone());
    let task = sim.spawn(async move {
        execute(&own_sim, &*own_host, &machine, info(), json!({})).await;
    });
    sim.run_until(SIM_START + Duration::from_secs(60));
    assert_eq!(host.1.valid_tokens.borrow().len(), 1);
    sim.cancel(task);
    assert!(host.1.valid_tokens.borrow().is_empty());
    let last = host.1.events.borrow().last().map(|event| event.kind.as_str());
    assert_eq!(last, Some("TaskSubmitted"));
}

/// The history of an execution, as `id<previous type state` lines.
fn check_history(states: Value, attempts: Vec<(u64, Result<Value, TaskFailure>)>, expected: &str) {
    let script = Script { attempts: RefCell::new(attempts.into()), ..Script::default() };
    script.signals.borrow_mut().push_back((0, Signal::Completed(Ok(json!(1)))));
    let (_, host) = run_scripted(&states, script, 1);
    let line = |event: &HistoryEvent| format!("{}<{} {}", event.id, event.previous_id, event.kind);
    let lines: Vec<String> = host.1.events.borrow().iter().map(line).collect();
    let expected: Vec<&str> = expected.split_terminator('\n').map(str::trim).collect();
    assert_eq!(lines, expected[1..expected.len() - 1], "{states}");
}

#[test]
fn the_history_has_the_events_of_step_functions() {
    check_history(
        json!({
            "P": {"Type": "Pass", "Next": "W"},
            "W": {"Type": "Wait", "Seconds": 1, "Next": "C"},
            "C": {"Type": "Choice", "Choices": [{"Condition": true, "Next": "S"}]},
            "S": {"Type": "Succeed"},
        }),
        vec![],
        "
        1<0 ExecutionStarted
        2<0 PassStateEntered
        3<2 PassStateExited
        4<3 WaitStateEntered
        5<4 WaitStateExited
        6<5 ChoiceStateEntered
        7<6 ChoiceStateExited
        8<7 SucceedStateEntered
        9<8 SucceedStateExited
        10<9 ExecutionSucceeded
        ",
    );
    check_history(
        json!({
            "T": {"Type": "Task", "Resource": FUNCTION, "Retry": [{"ErrorEquals": ["E"]}], "Next": "F"},
            "F": {"Type": "Fail"},
        }),
        vec![fails(1, "E"), ok(1, json!(1))],
        "
        1<0 ExecutionStarted
        2<0 TaskStateEntered
        3<2 LambdaFunctionScheduled
        4<3 LambdaFunctionStarted
        5<4 LambdaFunctionFailed
        6<5 LambdaFunctionScheduled
        7<6 LambdaFunctionStarted
        8<7 LambdaFunctionSucceeded
        9<8 TaskStateExited
        10<9 FailStateEntered
        11<10 ExecutionFailed
        ",
    );
    check_history(
        json!({
            "T": {"Type": "Task", "Resource": CALLBACK, "Output": "{% $no %}", "Next": "S",
                  "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "S"}]},
            "S": {"Type": "Succeed"},
        }),
        vec![ok(1, json!(1))],
        "
        1<0 ExecutionStarted
        2<0 TaskStateEntered
        3<2 TaskScheduled
        4<3 TaskStarted
        5<4 TaskSubmitted
        6<5 TaskSucceeded
        7<6 EvaluationFailed
        8<7 TaskStateExited
        9<8 SucceedStateEntered
        10<9 SucceedStateExited
        11<10 ExecutionSucceeded
        ",
    );
    check_history(
        json!({"M": {"Type": "Map", "Items": [1, 2], "End": true, "ItemProcessor": {
            "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}}}),
        vec![],
        "
        1<0 ExecutionStarted
        2<0 MapStateEntered
        3<2 MapStateStarted
        4<3 MapIterationStarted
        5<4 PassStateEntered
        6<5 PassStateExited
        7<6 MapIterationSucceeded
        8<3 MapIterationStarted
        9<8 PassStateEntered
        10<9 PassStateExited
        11<10 MapIterationSucceeded
        12<11 MapStateSucceeded
        13<12 MapStateExited
        14<13 ExecutionSucceeded
        ",
    );
    check_history(
        json!({"P": {"Type": "Parallel", "End": true, "Branches": [
            {"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "E"}}}]}}),
        vec![],
        "
        1<0 ExecutionStarted
        2<0 ParallelStateEntered
        3<2 ParallelStateStarted
        4<3 FailStateEntered
        5<3 ParallelStateFailed
        6<5 ExecutionFailed
        ",
    );
}

#[test]
fn an_execution_ends_at_its_25_000th_event() {
    let states = json!({
        "A": {"Type": "Choice", "Default": "A", "Choices": [{"Condition": false, "Next": "E"}]},
        "E": {"Type": "Succeed"},
    });
    let (outcome, host) = run_scripted(&states, Script::default(), 1);
    let Outcome::Failed { error, cause } = outcome else { panic!("{outcome:?}") };
    assert_eq!(error.as_deref(), Some("States.Runtime"));
    assert!(cause.is_some_and(|cause| cause.contains("25000")));
    let events = host.1.events.borrow();
    assert_eq!(events.last().map(|event| event.id), Some(25_000));
    let mut kinds = BTreeMap::new();
    for event in events.iter() {
        *kinds.entry(event.kind.as_str()).or_insert(0) += 1;
    }
    let counted = json!({"ChoiceStateEntered": 12_499, "ChoiceStateExited": 12_499,
                         "ExecutionStarted": 1, "ExecutionFailed": 1});
    assert_eq!(json!(kinds), counted);
}

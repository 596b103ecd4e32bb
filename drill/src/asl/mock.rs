//! Runs a definition alone, with the outcomes of its tasks written down beforehand.
//!
//! A mock file maps the name of a Task state to the outcomes of its attempts, in order:
//!
//! ```
//! use drill::asl::mock::run_document;
//!
//! let definition = r#"{"QueryLanguage": "JSONata", "StartAt": "Call", "States": {"Call": {
//!     "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
//!     "Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 60}], "End": true}}}"#;
//! let mock = r#"{"Call": [{"throw": {"error": "Busy", "cause": "later"}}, {"return": 7}]}"#;
//! let result = run_document(definition, "{}", Some(mock), 1).unwrap();
//! assert_eq!(result.to_string(), r#"{"status":"SUCCEEDED","output":7}"#);
//! ```

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::data::{DATA_LIMIT_BYTES, Data};
use super::finding::{Finding, Findings, excerpt};
use super::functions::NOT_SUPPORTED;
use super::host::{ExecutionInfo, Host, Outcome, Signal, TaskCall, TaskFailure};
use super::{HistoryEvent, Machine, execute, json};
use crate::sim::{SIM_START, Sim, Time};

/// Why a document was not run, or not to its end: everything found, at once.
pub type Refusal = Findings;

type Answer = Result<Value, TaskFailure>;

/// Runs a definition on virtual time and answers `{"status", "output"}` or
/// `{"status", "error", "cause"}`.
///
/// # Errors
/// If the definition, the input or the mock file is wrong, if the execution comes to a task for
/// which the mock file has no outcome (left), or to something that is not supported.
pub fn run_document(definition: &str, input: &str, mock: Option<&str>, seed: u64) -> Result<Value, Refusal> {
    let mut findings = Vec::new();
    let machine = Machine::parse(definition).map_err(|found| findings.extend(found.0)).ok();
    let input = read_input(input).map_err(|found| findings.extend(found.0)).ok();
    let outcomes = read_mock(mock, machine.as_ref(), &mut findings);
    let (Some(machine), Some(input), true) = (machine, input, findings.is_empty()) else {
        return Err(Findings(findings));
    };
    let host = MockHost { outcomes: RefCell::new(outcomes), ..MockHost::default() };
    let (outcome, host) = run(machine, host, input, seed);
    let missing = host.missing.take();
    if !missing.is_empty() {
        return Err(Findings(missing));
    }
    match outcome {
        Outcome::Succeeded(output) => Ok(json!({"status": "SUCCEEDED", "output": output})),
        Outcome::Failed { error: Some(error), cause } if error == NOT_SUPPORTED => {
            let problem = cause.unwrap_or_default();
            Err(Findings::one("execution", "", problem, "it is not known here what AWS would do"))
        }
        Outcome::Failed { error, cause } => Ok(json!({"status": "FAILED", "error": error, "cause": cause})),
        Outcome::TimedOut => Ok(json!({"status": "TIMED_OUT", "error": null, "cause": null})),
    }
}

fn run(machine: Machine, host: MockHost, input: Value, seed: u64) -> (Outcome, Rc<MockHost>) {
    let sim = Sim::new(seed);
    let host = Rc::new(host);
    let outcome = Rc::new(RefCell::new(None));
    let (own_sim, own_host, own_outcome) = (sim.clone(), host.clone(), outcome.clone());
    sim.spawn(async move {
        let ended = execute(&own_sim, &*own_host, &machine, mock_execution(), input).await;
        own_outcome.replace(Some(ended));
    });
    // Every execution ends: none may take longer than a year.
    let end = SIM_START + std::time::Duration::from_secs(2 * 365 * 24 * 3600);
    sim.run_while(end.max(Time::from_ms(0)), || outcome.borrow().is_none());
    sim.clear();
    let ended = outcome.take().expect("an execution ends within a year of virtual time");
    (ended, host)
}

fn mock_execution() -> ExecutionInfo {
    let arn = |kind, name| format!("arn:aws:states:us-east-1:123456789012:{kind}:{name}");
    ExecutionInfo {
        arn: arn("execution", "Document:run"),
        name: "run".to_owned(),
        role_arn: "arn:aws:iam::123456789012:role/Document".to_owned(),
        state_machine_arn: arn("stateMachine", "Document"),
        state_machine_name: "Document".to_owned(),
    }
}

fn read_input(text: &str) -> Result<Value, Findings> {
    let (value, _) = json::read(text).map_err(|error| {
        Findings::one("input", "", format!("is no JSON: {error}"), "an execution's input is JSON")
    })?;
    let size = Data::new(value.clone()).size_bytes();
    if size > DATA_LIMIT_BYTES {
        let problem = format!("has {size} bytes");
        let hint = format!("at most {DATA_LIMIT_BYTES} are allowed");
        return Err(Findings::one("input", "", problem, &hint));
    }
    Ok(value)
}

/// Reads a mock file; what is wrong with it is added to the findings.
fn read_mock(
    text: Option<&str>,
    machine: Option<&Machine>,
    findings: &mut Vec<Finding>,
) -> BTreeMap<String, VecDeque<Answer>> {
    let mut outcomes = BTreeMap::new();
    let Some(text) = text else { return outcomes };
    let hint = "{\"STATE\": [{\"return\": VALUE} or {\"throw\": {\"error\": NAME, \"cause\": TEXT}}]}";
    let (document, repeated) = match json::read(text) {
        Ok(read) => read,
        Err(error) => {
            findings.extend(Findings::one("mock", "", format!("is no JSON: {error}"), hint).0);
            return outcomes;
        }
    };
    for path in repeated {
        findings.extend(Findings::one(&format!("mock{path}"), "", "stands twice", hint).0);
    }
    let Some(states) = document.as_object() else {
        let problem = "must be an object";
        findings.extend(Findings::one("mock", &excerpt(&document), problem, hint).0);
        return outcomes;
    };
    for (state, list) in states {
        let mut report = |field: String, value: &Value, problem: &str, hint: &str| {
            findings.push(Finding {
                state: Some(state.clone()),
                field,
                value: excerpt(value),
                problem: problem.to_owned(),
                hint: hint.to_owned(),
            });
        };
        if let Some(machine) = machine {
            check_state(machine, state, list, &mut report);
        }
        let Some(list) = list.as_array() else {
            report("mock".to_owned(), list, "must be an array of outcomes", hint);
            continue;
        };
        let mut answers = VecDeque::new();
        for (index, item) in list.iter().enumerate() {
            match answer(item) {
                Some(answer) => answers.push_back(answer),
                None => report(format!("mock[{index}]"), item, "is no outcome", hint),
            }
        }
        outcomes.insert(state.clone(), answers);
    }
    outcomes
}

fn check_state(
    machine: &Machine,
    state: &str,
    list: &Value,
    report: &mut impl FnMut(String, &Value, &str, &str),
) {
    let tasks = machine.tasks();
    if tasks.iter().any(|(name, _)| name == state) {
        return;
    }
    let names: Vec<String> = tasks.into_iter().map(|(name, _)| name).collect();
    let hint = match names.is_empty() {
        true => "the definition has no Task state".to_owned(),
        false => format!("the Task states are {}", names.join(", ")),
    };
    let problem = match machine.state_names().iter().any(|name| name == state) {
        true => "is for a state that is no Task",
        false => "is for a state that does not exist",
    };
    report("mock".to_owned(), list, problem, &hint);
}

/// One outcome of a mock file: either to return or to throw. Further names are notes, such as the
/// event a recording was made from.
fn answer(item: &Value) -> Option<Answer> {
    let thrown: &Map<String, Value> = match (item.get("return"), item.get("throw")) {
        (Some(value), None) => return Some(Ok(value.clone())),
        (None, Some(thrown)) => thrown.as_object()?,
        (Some(_), Some(_)) | (None, None) => return None,
    };
    if thrown.keys().any(|name| name != "error" && name != "cause") {
        return None;
    }
    let error = thrown.get("error")?.as_str()?.to_owned();
    let cause = thrown.get("cause").map(|cause| match cause {
        Value::String(text) => text.clone(),
        json => json.to_string(),
    });
    Some(Err(TaskFailure { error, cause }))
}

#[derive(Default)]
struct MockHost {
    outcomes: RefCell<BTreeMap<String, VecDeque<Answer>>>,
    /// The states whose tokens have been handed out.
    tokens: RefCell<BTreeMap<String, Rc<str>>>,
    /// Attempts that the mock file has no outcome for.
    missing: RefCell<Vec<Finding>>,
}

impl MockHost {
    fn next(&self, state: &str) -> Answer {
        let mut outcomes = self.outcomes.borrow_mut();
        if let Some(answer) = outcomes.get_mut(state).and_then(VecDeque::pop_front) {
            return answer;
        }
        let problem = match outcomes.contains_key(state) {
            true => "has no outcome left for another attempt",
            false => "has no outcome for this Task state",
        };
        self.missing.borrow_mut().push(Finding {
            state: Some(state.to_owned()),
            field: "mock".to_owned(),
            value: String::new(),
            problem: problem.to_owned(),
            hint: "add {\"return\": VALUE} or {\"throw\": {\"error\": NAME, \"cause\": TEXT}}".to_owned(),
        });
        Err(TaskFailure::new(NOT_SUPPORTED, problem))
    }
}

impl Host for MockHost {
    async fn task(&self, call: TaskCall) -> Answer {
        match call.token {
            None => self.next(&call.state),
            Some(token) => {
                self.tokens.borrow_mut().insert(token, call.state);
                Ok(json!({}))
            }
        }
    }

    async fn signal(&self, token: &str) -> Signal {
        let state = self.tokens.borrow().get(token).cloned();
        let state = state.expect("a token is awaited after its task was called");
        Signal::Completed(self.next(&state))
    }

    fn release(&self, token: &str) {
        self.tokens.borrow_mut().remove(token);
    }

    fn history(&self, _: &HistoryEvent) {}
}

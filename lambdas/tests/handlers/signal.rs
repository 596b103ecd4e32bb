//! The `signal` function: which circuits a recovery signal means, and what it comes to at each.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use lambdas::failure::HandlerError;
use lambdas::ports::{CallError, CircuitItem, CircuitItems, Clock, Executions, Watch};
use lambdas::signal::{Dependencies, handle};
use workflow::circuit::{CircuitState, Phase};
use workflow::contract::{SignalDetail, SignalEvent, SignalOutcome, TripRequest, WaitCommand};

use crate::fake::{START_MS, World};

/// Circuits with the items that one look after the other finds; the last one stays.
struct Scene {
    world: World,
    items: RefCell<BTreeMap<String, VecDeque<CircuitItem>>>,
    /// Tokens that Step Functions does not take any more.
    spent: Vec<&'static str>,
}

fn item(state: CircuitState, phase: Option<Phase>, token: Option<&str>) -> CircuitItem {
    CircuitItem {
        state,
        owner_arn: None,
        epoch: Some(1),
        phase,
        task_token: token.map(str::to_owned),
        closed_at_ms: None,
        last_probe_at_ms: None,
        retention_is_raised: false,
    }
}

fn waiting(token: &str) -> CircuitItem {
    item(CircuitState::Open, Some(Phase::Disabled), Some(token))
}

fn probed() -> CircuitItem {
    item(CircuitState::HalfOpen, Some(Phase::Disabled), None)
}

fn scene(looks: impl IntoIterator<Item = CircuitItem>) -> Scene {
    let items = BTreeMap::from([("orders".to_owned(), looks.into_iter().collect())]);
    Scene { world: World::new(), items: RefCell::new(items), spent: Vec::new() }
}

fn event(detail: SignalDetail) -> SignalEvent {
    let sent = jiff::Timestamp::from_millisecond(START_MS as i64).unwrap();
    SignalEvent { time: sent.to_string(), detail }
}

fn naming(circuit: &str) -> SignalDetail {
    SignalDetail { circuit: Some(circuit.to_owned()), ..SignalDetail::default() }
}

fn dependencies() -> Dependencies {
    let on = |name: &str| Some(name.to_owned());
    let all = [("orders", on("payments")), ("refunds", on("payments")), ("mails", None)];
    all.into_iter().map(|(name, dependency)| (name.to_owned(), dependency)).collect()
}

impl Scene {
    fn signal(&self, detail: SignalDetail) -> Result<Vec<(String, SignalOutcome)>, HandlerError> {
        let (event, dependencies) = (event(detail), dependencies());
        let answer = self.world.run(handle(&event, &dependencies, self)).expect("it ends")?;
        Ok(answer.circuits.into_iter().map(|one| (one.circuit, one.outcome)).collect())
    }

    #[track_caller]
    fn check(&self, outcome: SignalOutcome) {
        assert_eq!(self.signal(naming("orders")).unwrap(), [("orders".to_owned(), outcome)]);
    }

    fn woken(&self) -> Vec<String> {
        self.world.calls.borrow().iter().filter(|call| call.starts_with("complete_wait")).cloned().collect()
    }
}

impl CircuitItems for Scene {
    async fn circuit_item(&self, circuit: &str) -> Result<CircuitItem, CallError> {
        let found = {
            let mut items = self.items.borrow_mut();
            let looks = items.get_mut(circuit).expect("a circuit of the stack");
            if looks.len() > 1 { looks.pop_front() } else { looks.front().cloned() }
        };
        let found = found.unwrap_or_else(|| item(CircuitState::Closed, None, None));
        self.world.act("circuit_item", circuit.to_owned(), || Ok(found)).await
    }

    async fn watch(&self, _circuit: &str) -> Result<Watch, CallError> {
        unreachable!("a signal looks at circuits only")
    }

    async fn put_watch(&self, _circuit: &str, _watch: &Watch) -> Result<(), CallError> {
        unreachable!("a signal writes nothing")
    }
}

impl Executions for Scene {
    async fn is_alive(&self, _execution_arn: &str) -> Result<bool, CallError> {
        unreachable!("a signal asks for no execution")
    }

    async fn others_running(&self, _machine_arn: &str, _owner_arn: &str) -> Result<bool, CallError> {
        unreachable!("a signal asks for no execution")
    }

    async fn start(&self, _machine_arn: &str, _request: &TripRequest) -> Result<(), CallError> {
        unreachable!("a signal starts nothing")
    }

    async fn complete_wait(&self, token: &str, command: &WaitCommand) -> Result<bool, CallError> {
        let text = format!("{token} {}", serde_json::to_string(command).unwrap());
        self.world.act("complete_wait", text, || Ok(!self.spent.contains(&token))).await
    }
}

impl Clock for Scene {
    fn now_ms(&self) -> u64 {
        self.world.now_ms()
    }

    async fn sleep(&self, duration: Duration) {
        self.world.sleep(duration).await;
    }
}

#[test]
fn a_circuit_that_waits_is_woken_with_the_reason() {
    let scene = scene([waiting("token")]);
    let detail = SignalDetail { reason: Some("the database is back".to_owned()), ..naming("orders") };
    assert_eq!(scene.signal(detail).unwrap(), [("orders".to_owned(), SignalOutcome::Woken)]);
    assert_eq!(
        scene.woken(),
        [r#"complete_wait token {"command":"recovered","reason":"the database is back"}"#]
    );
}

#[test]
fn there_is_nothing_to_do_for_a_circuit_that_is_closed_held_closing_or_given_up() {
    let open = CircuitState::Open;
    let table = [
        (item(CircuitState::Closed, None, None), SignalOutcome::Closed),
        // The token of a hold takes commands too: a signal is none.
        (item(CircuitState::Held, Some(Phase::Disabled), Some("token")), SignalOutcome::Held),
        (item(open, Some(Phase::GivenUp), None), SignalOutcome::GivenUp),
        (item(open, Some(Phase::Restoring), None), SignalOutcome::Closing),
        (item(open, Some(Phase::Restored), None), SignalOutcome::Closing),
        (item(CircuitState::HalfOpen, Some(Phase::Limiting), None), SignalOutcome::Closing),
        (item(CircuitState::HalfOpen, Some(Phase::Limited), None), SignalOutcome::Closing),
    ];
    for (found, outcome) in table {
        let scene = scene([found]);
        scene.check(outcome);
        assert_eq!((scene.woken().len(), scene.world.calls.borrow().len()), (0, 1));
    }
}

#[test]
fn a_signal_that_comes_while_the_circuit_opens_or_probes_waits_for_the_wait() {
    let opening = item(CircuitState::Open, Some(Phase::Opening), None);
    let scene = scene([opening, probed(), probed(), waiting("token")]);
    scene.check(SignalOutcome::Woken);
    assert_eq!(scene.world.sleeps.borrow().as_slice(), [Duration::from_secs(1); 3]);
}

#[test]
fn a_circuit_that_never_waits_is_an_error_so_that_lambda_tries_again() {
    let scene = scene([probed()]);
    let error = scene.signal(naming("orders")).unwrap_err();
    assert!(error.is_transient(), "{error}");
    let slept: Duration = scene.world.sleeps.borrow().iter().sum();
    assert_eq!(slept, Duration::from_secs(45));
}

#[test]
fn one_probe_per_signal() {
    let had_it = |began_ms| {
        let mut item = waiting("token");
        item.last_probe_at_ms = Some(began_ms);
        scene([item])
    };
    // The event's time is in whole seconds: a probe within the same second may have been too early.
    had_it(START_MS + 999).check(SignalOutcome::Woken);
    had_it(START_MS - 60_000).check(SignalOutcome::Woken);
    had_it(START_MS + 1_000).check(SignalOutcome::Late);
}

#[test]
fn a_wait_that_ends_by_itself_is_as_good() {
    let mut scene = scene([waiting("token"), probed()]);
    scene.spent = vec!["token"];
    scene.check(SignalOutcome::Late);
}

#[test]
fn the_token_of_a_dead_owner_is_tried_once_and_the_next_owner_s_is_waited_for() {
    let mut scene = scene([waiting("old"), waiting("old"), waiting("old"), waiting("new")]);
    scene.spent = vec!["old"];
    scene.check(SignalOutcome::Woken);
    let tokens: Vec<_> =
        scene.woken().iter().map(|call| call.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(tokens, ["old", "new"]);
}

#[test]
fn a_dependency_s_name_means_all_that_depend_on_it_whatever_becomes_of_one() {
    let scene = scene([probed()]);
    scene.items.borrow_mut().insert("refunds".to_owned(), [waiting("refunds-token")].into());
    let detail = SignalDetail { dependency: Some("payments".to_owned()), ..SignalDetail::default() };
    // One of the two never waits; the other one is woken all the same.
    assert!(scene.signal(detail).is_err());
    assert_eq!(
        scene.woken(),
        [r#"complete_wait refunds-token {"command":"recovered","reason":"no reason given"}"#]
    );
}

#[test]
fn a_signal_that_means_no_circuit_of_the_stack_does_nothing() {
    let scene = scene([waiting("token")]);
    let nobody = SignalDetail { dependency: Some("mails".to_owned()), ..naming("unknown") };
    assert_eq!(scene.signal(nobody).unwrap(), []);
    assert_eq!(scene.signal(SignalDetail::default()).unwrap(), []);
    assert_eq!(scene.world.calls.borrow().len(), 0);
}

#[test]
fn a_time_that_is_none_is_refused() {
    let scene = scene([waiting("token")]);
    let event = SignalEvent { time: "yesterday".to_owned(), detail: naming("orders") };
    let answer = scene.world.run(handle(&event, &dependencies(), &scene)).unwrap();
    assert!(matches!(answer, Err(HandlerError::InvalidRequest(_))), "{answer:?}");
}

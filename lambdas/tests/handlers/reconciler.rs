//! The `reconciler` function: what it does about each thing that can be amiss, and that it does nothing else.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use lambdas::ports::{
    AlarmView, Alarms, Announcements, CallError, CallErrorKind, CircuitItem, CircuitItems, Clock,
    EventSourceMappings, Executions, MappingDescription, MappingUpdate, Watch,
};
use lambdas::reconciler::handle;
use serde_json::Value;
use workflow::circuit::{CircuitState, Phase};
use workflow::contract::{ReconcileRequest, TripRequest, WaitCommand};
use workflow::errors;

use crate::fake::{Fault, START_MS, World};

const OWNER: &str = "arn:aws:states:eu-central-1:123456789012:execution:orders:e-1";
const MINUTE_MS: u64 = 60_000;

/// What the reconciler sees. What it does is in the calls of the world.
struct Scene {
    world: World,
    item: RefCell<CircuitItem>,
    watch: RefCell<Watch>,
    owner_is_alive: Cell<bool>,
    others_run: Cell<bool>,
    alarm: Cell<Option<AlarmView>>,
    token_is_valid: Cell<bool>,
}

/// A closed circuit with its mapping enabled and its alarm quiet for an hour: nothing is to be done.
fn calm() -> Scene {
    let world = World::new();
    world.put_mapping("a", "Enabled", None);
    let item = CircuitItem {
        state: CircuitState::Closed,
        owner_arn: Some(OWNER.to_owned()),
        epoch: Some(7),
        phase: None,
        task_token: None,
        closed_at_ms: Some(START_MS - 60 * MINUTE_MS),
        last_probe_at_ms: None,
        retention_is_raised: false,
    };
    Scene {
        world,
        item: RefCell::new(item),
        watch: RefCell::default(),
        owner_is_alive: Cell::new(false),
        others_run: Cell::new(false),
        alarm: Cell::new(Some(AlarmView { is_in_alarm: false, since_ms: START_MS - 60 * MINUTE_MS })),
        token_is_valid: Cell::new(true),
    }
}

/// An open circuit whose owner waits with its mapping disabled.
fn open() -> Scene {
    let scene = calm();
    scene.world.put_mapping("a", "Disabled", None);
    scene.owner_is_alive.set(true);
    let mut item = scene.item.borrow_mut();
    item.state = CircuitState::Open;
    item.phase = Some(Phase::Disabled);
    item.task_token = Some("token".to_owned());
    drop(item);
    scene
}

fn request() -> ReconcileRequest {
    ReconcileRequest {
        circuit: "orders".to_owned(),
        machine_arn: "arn:aws:states:eu-central-1:123456789012:stateMachine:orders".to_owned(),
        mapping_uuid: "a".to_owned(),
        alarm_name: "orders-alarm".to_owned(),
        alarm_is_composite: false,
        needs_event_metrics: true,
        raises_retention: true,
    }
}

impl Scene {
    /// One look, after so many minutes. Answers what it did by its own words, and which calls changed something.
    fn look_after(&self, minutes: u64) -> (Vec<String>, Vec<String>) {
        self.look_with(&request(), minutes)
    }

    fn look_with(&self, request: &ReconcileRequest, minutes: u64) -> (Vec<String>, Vec<String>) {
        self.world.now_ms.set(self.world.now_ms.get() + minutes * MINUTE_MS);
        self.world.calls.borrow_mut().clear();
        let answer = self.world.run(handle(request, self)).expect("it ends").expect("it answers");
        (answer.done, self.acts())
    }

    /// The calls that change something, but for the reconciler's own notes.
    fn acts(&self) -> Vec<String> {
        let acts = ["start", "complete_wait", "announce", "update_mapping"];
        let calls = self.world.calls.borrow();
        calls.iter().filter(|call| acts.iter().any(|act| call.starts_with(act))).cloned().collect()
    }

    #[track_caller]
    fn check_calm(&self, minutes: u64) {
        assert_eq!(self.look_after(minutes), (Vec::new(), Vec::new()));
    }

    #[track_caller]
    fn check(&self, minutes: u64, done: &str, act: &str) {
        let (told, acts) = self.look_after(minutes);
        assert_eq!(told, [done], "{acts:?}");
        assert!(matches!(acts.as_slice(), [one] if one.starts_with(act)), "{acts:?} is not {act}");
    }
}

impl CircuitItems for Scene {
    async fn circuit_item(&self, circuit: &str) -> Result<CircuitItem, CallError> {
        self.world.act("circuit_item", circuit.to_owned(), || Ok(self.item.borrow().clone())).await
    }

    async fn watch(&self, circuit: &str) -> Result<Watch, CallError> {
        self.world.act("watch", circuit.to_owned(), || Ok(self.watch.borrow().clone())).await
    }

    async fn put_watch(&self, circuit: &str, watch: &Watch) -> Result<(), CallError> {
        self.world
            .act("put_watch", circuit.to_owned(), || {
                *self.watch.borrow_mut() = watch.clone();
                Ok(())
            })
            .await
    }
}

impl Executions for Scene {
    async fn is_alive(&self, execution_arn: &str) -> Result<bool, CallError> {
        let alive = execution_arn == OWNER && self.owner_is_alive.get();
        self.world.act("is_alive", execution_arn.to_owned(), || Ok(alive)).await
    }

    async fn others_running(&self, machine_arn: &str, owner_arn: &str) -> Result<bool, CallError> {
        assert_eq!(owner_arn, OWNER);
        self.world.act("others_running", machine_arn.to_owned(), || Ok(self.others_run.get())).await
    }

    async fn start(&self, machine_arn: &str, request: &TripRequest) -> Result<(), CallError> {
        assert_eq!(machine_arn, super::reconciler::request().machine_arn);
        let text = serde_json::to_string(request).unwrap();
        self.world.act("start", text, || Ok(())).await
    }

    async fn complete_wait(&self, token: &str, command: &WaitCommand) -> Result<bool, CallError> {
        let text = format!("{token} {}", serde_json::to_string(command).unwrap());
        self.world.act("complete_wait", text, || Ok(self.token_is_valid.get())).await
    }
}

impl Alarms for Scene {
    async fn alarm(&self, name: &str, is_composite: bool) -> Result<Option<AlarmView>, CallError> {
        self.world.act("alarm", format!("{name} {is_composite}"), || Ok(self.alarm.get())).await
    }
}

impl Announcements for Scene {
    async fn announce(&self, detail_type: &str, detail: &Value) -> Result<(), CallError> {
        self.world.act("announce", format!("{detail_type}: {detail}"), || Ok(())).await
    }
}

impl EventSourceMappings for Scene {
    async fn get_mapping(&self, uuid: &str) -> Result<MappingDescription, CallError> {
        self.world.get_mapping(uuid).await
    }

    async fn update_mapping(
        &self,
        uuid: &str,
        update: MappingUpdate,
    ) -> Result<MappingDescription, CallError> {
        self.world.update_mapping(uuid, update).await
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
fn nothing_is_done_where_nothing_is_amiss() {
    for scene in [calm(), open()] {
        for _ in 0..5 {
            scene.check_calm(1);
        }
    }
}

#[test]
fn an_open_circuit_without_an_owner_is_taken_over_at_once_and_each_time() {
    let scene = open();
    scene.owner_is_alive.set(false);
    let start = r#"start {"circuit":"orders","trigger":"reconciler","reason":"the execution that owned the circuit has ended""#;
    scene.check(0, "took_over", start);
    // The claim decides who acts, so that asking again does no harm.
    scene.check(1, "took_over", start);
    for state in [CircuitState::HalfOpen, CircuitState::Held] {
        scene.item.borrow_mut().state = state;
        scene.check(1, "took_over", start);
    }
}

#[test]
fn a_circuit_that_was_given_up_is_left_alone() {
    let scene = open();
    scene.owner_is_alive.set(false);
    scene.item.borrow_mut().phase = Some(Phase::GivenUp);
    scene.check_calm(1);
}

#[test]
fn an_owner_whose_mapping_somebody_enabled_is_told_to_look() {
    for state in ["Enabled", "Enabling"] {
        let scene = open();
        scene.world.put_mapping("a", state, None);
        scene.check(0, "woke_owner", r#"complete_wait token {"command":"check"}"#);
    }
    // What the owner is doing itself is no news to it, and without a token it is not waiting.
    for phase in [Phase::Opening, Phase::Limiting, Phase::Restoring, Phase::Restored] {
        let scene = open();
        scene.world.put_mapping("a", "Enabled", None);
        scene.item.borrow_mut().phase = Some(phase);
        scene.check_calm(0);
    }
    let scene = open();
    scene.world.put_mapping("a", "Enabled", None);
    scene.item.borrow_mut().task_token = None;
    scene.check_calm(0);
}

#[test]
fn a_wait_that_has_ended_meanwhile_is_no_deed() {
    let scene = open();
    scene.world.put_mapping("a", "Enabled", None);
    scene.token_is_valid.set(false);
    assert_eq!(scene.look_after(0).0, Vec::<String>::new());
}

fn alarming(since_ms: u64) -> Option<AlarmView> {
    Some(AlarmView { is_in_alarm: true, since_ms })
}

#[test]
fn an_alarm_whose_event_was_lost_trips_after_a_minute_and_again_after_ten() {
    let trip = r#"start {"circuit":"orders","trigger":"reconciler","reason":"the alarm is in ALARM"#;
    let scene = calm();
    scene.alarm.set(alarming(START_MS));
    scene.world.now_ms.set(START_MS - 1 + MINUTE_MS);
    scene.check_calm(0);
    scene.world.now_ms.set(START_MS + MINUTE_MS);
    scene.check(0, "tripped", trip);
    for _ in 0..9 {
        scene.check_calm(1);
    }
    scene.check(1, "tripped", trip);
}

#[test]
fn an_alarm_that_is_still_up_just_after_a_close_does_not_trip() {
    let scene = calm();
    scene.alarm.set(alarming(START_MS - 30 * MINUTE_MS));
    scene.item.borrow_mut().closed_at_ms = Some(START_MS);
    scene.world.now_ms.set(START_MS + MINUTE_MS - 1);
    scene.check_calm(0);
    scene.world.now_ms.set(START_MS + MINUTE_MS);
    assert_eq!(scene.look_after(0).0, ["tripped"]);
}

#[test]
fn nothing_is_tripped_while_an_execution_runs_or_the_mapping_is_not_enabled() {
    let scene = calm();
    scene.alarm.set(alarming(START_MS - 30 * MINUTE_MS));
    scene.others_run.set(true);
    scene.check_calm(1);
    scene.others_run.set(false);
    for state in ["Disabled", "Enabling", "Updating"] {
        scene.world.put_mapping("a", state, None);
        scene.check_calm(0);
    }
}

#[test]
fn a_raised_retention_that_nobody_gives_back_is_given_back_by_another_execution() {
    let errand = format!(
        r#"start {{"circuit":"orders","trigger":"reconciler","reason":"the execution that was to give the retention back has ended","at":"2027-01-15T08:00:00Z","restore_retention_of":"{OWNER}""#
    );
    let scene = calm();
    scene.item.borrow_mut().retention_is_raised = true;
    scene.check(0, "restores_retention", &errand);
    // A failure that is going on is more urgent, and its execution gives the retention back as well.
    scene.alarm.set(alarming(START_MS - 30 * MINUTE_MS));
    assert_eq!(scene.look_after(1).0, ["tripped"]);
}

#[test]
fn a_raised_retention_is_left_alone_where_it_is_looked_after_or_cannot_be_given_back() {
    let raised = || {
        let scene = calm();
        scene.item.borrow_mut().retention_is_raised = true;
        scene
    };
    let looked_after = raised();
    looked_after.owner_is_alive.set(true);
    looked_after.check_calm(1);
    let being_opened = raised();
    being_opened.others_run.set(true);
    being_opened.check_calm(1);
    let without = ReconcileRequest { raises_retention: false, ..request() };
    assert_eq!(raised().look_with(&without, 1), (Vec::new(), Vec::new()));
}

#[test]
fn an_owner_that_only_waits_to_give_the_retention_back_is_no_obstacle_to_a_trip() {
    let scene = calm();
    scene.item.borrow_mut().retention_is_raised = true;
    scene.owner_is_alive.set(true);
    scene.alarm.set(alarming(START_MS - 30 * MINUTE_MS));
    assert_eq!(scene.look_after(1).0, ["tripped"]);
}

#[test]
fn a_mapping_that_somebody_disabled_is_announced_once_after_two_minutes() {
    let announced = r#"announce Mapping Disabled: {"circuit":"orders","epoch":7,"#;
    let scene = calm();
    scene.world.put_mapping("a", "Disabled", None);
    scene.check_calm(0);
    scene.check_calm(1);
    scene.check(1, "announced_mapping_disabled", announced);
    for _ in 0..5 {
        scene.check_calm(1);
    }
    // Somebody enables it and disables it again: that is another story.
    scene.world.put_mapping("a", "Enabled", None);
    scene.check_calm(1);
    scene.world.put_mapping("a", "Disabled", None);
    scene.check_calm(1);
    scene.check(2, "announced_mapping_disabled", announced);
}

#[test]
fn a_mapping_that_the_breaker_disables_is_nobody_elses() {
    let scene = calm();
    scene.world.put_mapping("a", "Disabled", None);
    scene.others_run.set(true);
    for _ in 0..5 {
        scene.check_calm(1);
    }
    // What was seen before a trip does not count after it.
    let scene = calm();
    scene.world.put_mapping("a", "Disabled", None);
    scene.check_calm(1);
    scene.item.borrow_mut().state = CircuitState::Open;
    scene.owner_is_alive.set(true);
    scene.check_calm(1);
    scene.item.borrow_mut().state = CircuitState::Closed;
    scene.check_calm(1);
    scene.check_calm(1);
}

#[test]
fn a_signal_that_cannot_fire_is_announced_once_for_each_reason() {
    let scene = calm();
    scene.alarm.set(None);
    let blind = "announce Signal Blind: ";
    scene.check(1, "announced_signal_blind", blind);
    assert!(scene.acts()[0].contains("the alarm does not exist"), "{:?}", scene.acts());
    scene.check_calm(1);
    // The alarm is back, but the mapping has lost its metrics.
    scene.alarm.set(calm().alarm.get());
    scene.world.mappings.borrow_mut().get_mut("a").unwrap().counts_events = false;
    scene.check(1, "announced_signal_blind", blind);
    assert!(scene.acts()[0].contains("EventCount"), "{:?}", scene.acts());
    scene.check_calm(1);
    // A signal that is made from something else does not need them.
    let other = ReconcileRequest { needs_event_metrics: false, ..request() };
    assert_eq!(scene.look_with(&other, 1), (Vec::new(), Vec::new()));
    // It is told again when it happens again.
    scene.check(1, "announced_signal_blind", blind);
}

#[test]
fn an_open_circuit_is_watched_for_blindness_too() {
    let scene = open();
    scene.alarm.set(None);
    scene.check(1, "announced_signal_blind", "announce Signal Blind: ");
}

#[test]
fn a_mapping_that_is_gone_is_nobodys_to_switch() {
    let scene = calm();
    scene.world.mappings.borrow_mut().clear();
    scene.alarm.set(alarming(START_MS - 30 * MINUTE_MS));
    scene.check_calm(1);
}

/// Whatever call fails, the next look does what this one could not, and says nothing twice that it has noted.
#[test]
fn a_failed_look_is_made_up_for_by_the_next() {
    for at in 1..=7 {
        for kind in [CallErrorKind::Transient, CallErrorKind::AccessDenied] {
            let scene = calm();
            scene.alarm.set(alarming(START_MS - 30 * MINUTE_MS));
            scene.world.faults.borrow_mut().insert(at, Fault::Fail(kind));
            let first = scene.world.run(handle(&request(), &scene)).expect("it ends");
            let struck = scene.world.calls.borrow().len() >= at;
            assert_eq!(first.is_err(), struck, "call {at}, {kind:?}: {first:?}");
            if let Err(error) = first {
                let name = if kind.may_pass() { errors::TRANSIENT } else { errors::ACCESS_DENIED };
                assert_eq!(error.error_type(), name, "call {at}");
                let (done, _) = scene.look_after(1);
                assert_eq!(done, ["tripped"], "call {at}, {kind:?}");
            }
        }
    }
}

#[test]
fn the_reconciler_never_touches_a_mapping() {
    for scene in [calm(), open()] {
        for state in ["Enabled", "Disabled", "Enabling", "Disabling", "Updating"] {
            for alive in [false, true] {
                scene.world.put_mapping("a", state, None);
                scene.owner_is_alive.set(alive);
                scene.alarm.set(alarming(START_MS - 30 * MINUTE_MS));
                let (_, acts) = scene.look_after(1);
                assert!(!acts.iter().any(|act| act.starts_with("update_mapping")), "{acts:?}");
            }
        }
    }
}

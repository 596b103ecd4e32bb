//! The `mapping` function.

use lambdas::mapping::{MappingAnswer, handle};
use lambdas::ports::{CallErrorKind, MappingState};
use serde_json::{Value, json};
use workflow::contract::{MappingRequest, RecordedMapping};

use crate::fake::{Fault, START_MS, URL, World, fence, recorded};

/// Runs one request and answers its JSON, or the name of the error.
fn ask(world: &World, request: &MappingRequest) -> Value {
    match world.run(handle(request, world)).expect("no crash was asked for") {
        Ok(answer) => serde_json::to_value(answer).unwrap(),
        Err(error) => json!(error.error_type()),
    }
}

fn check(world: &World, request: &MappingRequest, expected: Value, calls: &[&str]) {
    world.calls.borrow_mut().clear();
    assert_eq!(ask(world, request), expected, "{request:?}");
    assert_eq!(world.call_names(), calls, "{request:?}");
}

fn settling(done: bool, state: &str, waiting_for: &str) -> Value {
    json!({ "done": done, "state": state, "waiting_for": waiting_for })
}

fn disable(mappings: &[RecordedMapping]) -> MappingRequest {
    MappingRequest::Disable { fence: fence(), recorded: mappings.to_vec() }
}

fn restore(mappings: &[RecordedMapping]) -> MappingRequest {
    MappingRequest::Restore { fence: fence(), recorded: mappings.to_vec(), already_enabled: false }
}

fn check_enabled(mappings: &[RecordedMapping]) -> MappingRequest {
    MappingRequest::CheckEnabled { fence: fence(), recorded: mappings.to_vec() }
}

fn limit(mappings: &[RecordedMapping], maximum_concurrency: u32) -> MappingRequest {
    MappingRequest::Limit {
        fence: fence(),
        recorded: mappings.to_vec(),
        maximum_concurrency,
        already_enabled: false,
    }
}

fn raise(mappings: &[RecordedMapping], maximum_concurrency: u32) -> MappingRequest {
    MappingRequest::Limit {
        fence: fence(),
        recorded: mappings.to_vec(),
        maximum_concurrency,
        already_enabled: true,
    }
}

fn check_limited(mappings: &[RecordedMapping], maximum_concurrency: u32) -> MappingRequest {
    MappingRequest::CheckLimited { fence: fence(), recorded: mappings.to_vec(), maximum_concurrency }
}

fn check_quiet(mappings: &[RecordedMapping]) -> MappingRequest {
    MappingRequest::CheckQuiet {
        fence: fence(),
        recorded: mappings.to_vec(),
        queue_url: URL.into(),
        disabled_at_ms: START_MS,
        grace_s: 60,
        function_timeout_s: 30,
    }
}

#[test]
fn inspect_records_the_settings_as_they_are() {
    let world = World::new();
    world.put_mapping("a", "Enabled", Some(5));
    world.put_mapping("b", "Disabled", None);
    world.put_mapping("c", "Enabling", None);
    world.mappings.borrow_mut().get_mut("c").unwrap().provisioned = true;
    world.mappings.borrow_mut().get_mut("c").unwrap().function_response_types =
        vec!["ReportBatchItemFailures".into()];
    let inspect = |mappings: &[&str]| MappingRequest::Inspect {
        fence: fence(),
        mappings: mappings.iter().map(|uuid| uuid.to_string()).collect(),
    };
    check(
        &world,
        &inspect(&["b", "a", "c"]),
        json!({
            "recorded": [
                { "uuid": "b", "enabled": false, "provisioned": false, "reports_batch_item_failures": false },
                { "uuid": "a", "enabled": true, "maximum_concurrency": 5, "provisioned": false,
                  "reports_batch_item_failures": false },
                { "uuid": "c", "enabled": true, "provisioned": true, "reports_batch_item_failures": true }
            ],
            "enabled_count": 2
        }),
        &["epoch", "get_mapping", "get_mapping", "get_mapping"],
    );
    for (state, error) in [
        ("Updating", "Breaker.Transient"),
        ("Creating", "Breaker.Transient"),
        ("Brand new", "Breaker.Transient"),
        ("Deleting", "Breaker.MappingMissing"),
    ] {
        world.put_mapping("a", state, None);
        check(&world, &inspect(&["a"]), json!(error), &["epoch", "get_mapping"]);
    }
    check(&world, &inspect(&["gone"]), json!("Breaker.MappingMissing"), &["epoch", "get_mapping"]);
}

#[test]
fn every_action_stops_at_a_stale_fence() {
    let world = World::new();
    world.put_mapping("a", "Enabled", None);
    let mappings = [recorded("a")];
    for epoch in [None, Some(6), Some(8)] {
        world.epoch.set(epoch);
        for request in [
            MappingRequest::Inspect { fence: fence(), mappings: vec!["a".into()] },
            disable(&mappings),
            check_quiet(&mappings),
            limit(&mappings, 2),
            raise(&mappings, 2),
            check_limited(&mappings, 2),
            restore(&mappings),
            check_enabled(&mappings),
        ] {
            check(&world, &request, json!("Breaker.StaleEpoch"), &["epoch"]);
        }
    }
}

#[test]
fn disable_asks_once_and_leaves_alone_what_others_disabled() {
    let world = World::new();
    world.put_mapping("a", "Enabled", Some(5));
    world.put_mapping("b", "Enabled", None);
    let mappings = [
        RecordedMapping { maximum_concurrency: Some(5), ..recorded("a") },
        RecordedMapping { enabled: false, ..recorded("b") },
    ];
    let wait = settling(false, "Disabling", "1 of 1 mappings to be Disabled");
    check(&world, &disable(&mappings), wait.clone(), &["epoch", "get_mapping", "epoch", "update_mapping"]);
    check(&world, &disable(&mappings), wait, &["epoch", "get_mapping"]);
    world.settle();
    check(&world, &disable(&mappings), settling(true, "Disabled", ""), &["epoch", "get_mapping"]);
    assert_eq!(world.mappings.borrow()["a"].maximum_concurrency, Some(5));
    assert_eq!(world.mappings.borrow()["b"].state, MappingState::Enabled);
    check(&world, &disable(&mappings[1..]), settling(true, "Disabled", ""), &["epoch"]);
}

/// After a limited close that failed, the limit must not outlive it: somebody who enables the mapping finds its own
/// concurrency, and the next trip records that one.
#[test]
fn disable_gives_the_recorded_concurrency_back() {
    for (owned, found, state, provisioned, update) in [
        (None, Some(2), "Enabled", false, Some("enabled: Some(false), maximum_concurrency: Remove")),
        (Some(5), Some(2), "Enabled", false, Some("enabled: Some(false), maximum_concurrency: Set(5)")),
        (Some(5), Some(5), "Enabled", false, Some("enabled: Some(false), maximum_concurrency: Keep")),
        (None, Some(2), "Enabled", true, Some("enabled: Some(false), maximum_concurrency: Keep")),
        (None, Some(2), "Disabled", false, Some("enabled: Some(false), maximum_concurrency: Remove")),
        (Some(5), Some(5), "Disabled", false, None),
        (None, Some(2), "Disabled", true, None),
    ] {
        let world = World::new();
        world.put_mapping("a", state, found);
        let mapping = RecordedMapping { maximum_concurrency: owned, provisioned, ..recorded("a") };
        ask(&world, &disable(std::slice::from_ref(&mapping)));
        let updates: Vec<String> =
            world.calls.borrow().iter().filter(|call| call.starts_with("update_mapping")).cloned().collect();
        let expected: Vec<String> =
            update.iter().map(|update| format!("update_mapping a MappingUpdate {{ {update} }}")).collect();
        assert_eq!(updates, expected, "{owned:?} recorded, {found:?} found, {state}");
        world.settle();
        let done = settling(true, "Disabled", "");
        check(&world, &disable(std::slice::from_ref(&mapping)), done, &["epoch", "get_mapping"]);
        if !provisioned {
            assert_eq!(world.mappings.borrow()["a"].maximum_concurrency, owned);
        }
    }
    // One that is still turning cannot be changed; whether it is quiet does not depend on its concurrency.
    let world = World::new();
    world.put_mapping("a", "Disabling", Some(2));
    check(&world, &disable(&[recorded("a")]), json!("Breaker.Transient"), &["epoch", "get_mapping"]);
    world.settle();
    world.now_ms.set(START_MS + 100_000);
    assert_eq!(ask(&world, &check_quiet(&[recorded("a")])), settling(true, "Disabled", ""));
}

#[test]
fn one_mapping_that_cannot_be_changed_does_not_keep_the_others() {
    let world = World::new();
    for (uuid, state) in [("a", "Updating"), ("b", "Enabled"), ("d", "Enabled")] {
        world.put_mapping(uuid, state, None);
    }
    let mappings = [recorded("a"), recorded("b"), recorded("gone"), recorded("d")];
    assert_eq!(
        ask(&world, &disable(&mappings)),
        json!("Breaker.MappingMissing"),
        "what is final is reported first"
    );
    for uuid in ["b", "d"] {
        assert_eq!(world.mappings.borrow()[uuid].state, MappingState::Disabling);
    }
    assert_eq!(ask(&world, &disable(&mappings[..2])), json!("Breaker.Transient"));
}

#[test]
fn a_refused_update_has_the_name_that_tells_whether_to_retry() {
    for (kind, name) in [
        (CallErrorKind::Transient, "Breaker.Transient"),
        (CallErrorKind::Conflict, "Breaker.Transient"),
        (CallErrorKind::AccessDenied, "Breaker.AccessDenied"),
        (CallErrorKind::Refused, "Breaker.Refused"),
        (CallErrorKind::NotFound, "Breaker.MappingMissing"),
    ] {
        let world = World::new();
        world.put_mapping("a", "Enabled", None);
        world.faults.borrow_mut().insert(4, Fault::Fail(kind));
        check(
            &world,
            &disable(&[recorded("a")]),
            json!(name),
            &["epoch", "get_mapping", "epoch", "update_mapping"],
        );
    }
}

#[test]
fn quiet_takes_the_grace_and_then_an_idle_queue_or_the_functions_timeout() {
    let world = World::new();
    world.put_mapping("a", "Disabling", None);
    world.put_messages(2, 1);
    for stored in world.queue.borrow_mut().iter_mut() {
        stored.visible_at_ms = START_MS + 3_600_000;
    }
    let ask_at = |at_s: u64, expected: Value| {
        world.now_ms.set(START_MS + at_s * 1_000);
        assert_eq!(ask(&world, &check_quiet(&[recorded("a")])), expected, "{at_s} s after the disable");
    };
    ask_at(200, settling(false, "Disabling", "1 of 1 mappings to be Disabled"));
    world.settle();
    ask_at(10, settling(false, "Disabled", "50 s more in which a last delivery may start"));
    ask_at(60, settling(false, "Disabled", "2 messages in flight"));
    ask_at(89, settling(false, "Disabled", "2 messages in flight"));
    ask_at(90, settling(true, "Disabled", ""));
    world.queue.borrow_mut().clear();
    ask_at(59, settling(false, "Disabled", "1 s more in which a last delivery may start"));
    ask_at(60, settling(true, "Disabled", ""));
    for (state, named) in [("Enabled", "Enabled"), ("Enabling", "Enabling"), ("Odd", "Odd")] {
        world.put_mapping("a", state, None);
        ask_at(100, settling(false, named, "1 of 1 mappings to be Disabled"));
    }
}

#[test]
fn limit_never_gives_more_than_the_owner_allowed() {
    for (owned, asked, expected) in [(None, 2, Some(2)), (Some(5), 2, Some(2)), (Some(2), 10, Some(2))] {
        let world = World::new();
        world.put_mapping("a", "Disabled", owned);
        let mapping = RecordedMapping { maximum_concurrency: owned, ..recorded("a") };
        ask(&world, &limit(std::slice::from_ref(&mapping), asked));
        assert_eq!(world.mappings.borrow()["a"].maximum_concurrency, expected);
        world.settle();
        check(&world, &limit(&[mapping], asked), settling(true, "Enabled", ""), &["epoch", "get_mapping"]);
    }
}

#[test]
fn a_limit_is_raised_and_the_switch_left_alone() {
    let world = World::new();
    let mappings = [recorded("a")];
    world.put_mapping("a", "Enabled", Some(2));
    ask(&world, &raise(&mappings, 10));
    assert_eq!(world.mappings.borrow()["a"].maximum_concurrency, Some(10));
    // Somebody has disabled it meanwhile: it is theirs.
    world.put_mapping("a", "Disabled", Some(2));
    ask(&world, &raise(&mappings, 10));
    let mapping = world.mappings.borrow()["a"].clone();
    assert_eq!((mapping.state.name(), mapping.maximum_concurrency), ("Disabled", Some(10)));
}

#[test]
fn a_step_is_reached_when_every_mapping_is_settled_with_its_limit() {
    let world = World::new();
    let mappings = [recorded("a"), RecordedMapping { maximum_concurrency: Some(5), ..recorded("b") }];
    let not_there = "of 2 mappings to be Enabled with their settings";
    // Of the second one the limit is its owner's, which is less.
    for (state, limit, expected) in [
        ("Enabled", Some(10), settling(true, "Enabled", "")),
        ("Updating", Some(10), settling(false, "Updating", &format!("1 {not_there}"))),
        ("Enabled", Some(2), settling(false, "Enabled", &format!("1 {not_there}"))),
        ("Disabled", Some(10), settling(false, "Disabled", &format!("1 {not_there}"))),
    ] {
        world.put_mapping("a", state, limit);
        world.put_mapping("b", "Enabled", Some(5));
        check(&world, &check_limited(&mappings, 10), expected, &["epoch", "get_mapping", "get_mapping"]);
    }
}

#[test]
fn a_provisioned_mapping_is_limited_and_restored_without_a_maximum() {
    let world = World::new();
    world.put_mapping("a", "Disabled", None);
    world.mappings.borrow_mut().get_mut("a").unwrap().provisioned = true;
    // Also when the pollers were provisioned only after the settings were recorded.
    for recorded in [
        RecordedMapping { provisioned: true, ..recorded("a") },
        RecordedMapping { maximum_concurrency: Some(9), ..recorded("a") },
    ] {
        for request in [limit(std::slice::from_ref(&recorded), 2), restore(std::slice::from_ref(&recorded))] {
            world.mappings.borrow_mut().get_mut("a").unwrap().state = MappingState::Disabled;
            world.calls.borrow_mut().clear();
            ask(&world, &request);
            assert!(
                world.calls.borrow()[3].ends_with("maximum_concurrency: Keep }"),
                "{:?}",
                world.calls.borrow()
            );
        }
        world.settle();
        assert_eq!(ask(&world, &check_enabled(&[recorded])), settling(true, "Enabled", ""));
    }
}

#[test]
fn restore_gives_back_exactly_what_was_recorded() {
    for (before, limited) in [(None, Some(2)), (Some(7), Some(2)), (Some(7), None), (None, None)] {
        let world = World::new();
        world.put_mapping("a", "Disabled", limited);
        world.put_mapping("b", "Disabled", None);
        let mappings = [
            RecordedMapping { maximum_concurrency: before, ..recorded("a") },
            RecordedMapping { enabled: false, ..recorded("b") },
        ];
        let wait = settling(false, "Enabling", "1 of 1 mappings to be Enabled with their settings");
        check(
            &world,
            &restore(&mappings),
            wait.clone(),
            &["epoch", "get_mapping", "epoch", "update_mapping"],
        );
        check(&world, &restore(&mappings), wait.clone(), &["epoch", "get_mapping"]);
        assert_eq!(ask(&world, &check_enabled(&mappings)), wait);
        world.settle();
        assert_eq!(ask(&world, &check_enabled(&mappings)), settling(true, "Enabled", ""));
        assert_eq!(world.mappings.borrow()["a"].maximum_concurrency, before);
        assert_eq!(world.mappings.borrow()["b"].state, MappingState::Disabled);
        check(&world, &restore(&mappings), settling(true, "Enabled", ""), &["epoch", "get_mapping"]);
    }
}

#[test]
fn what_somebody_disabled_after_it_was_enabled_with_a_limit_is_not_enabled_again() {
    let again =
        MappingRequest::Restore { fence: fence(), recorded: vec![recorded("a")], already_enabled: true };
    let wait = settling(false, "Updating", "1 of 1 mappings to be Enabled with their settings");
    for (state, then, answer) in
        [("Disabled", "Disabled", settling(true, "Disabled", "")), ("Enabled", "Updating", wait)]
    {
        let world = World::new();
        world.put_mapping("a", state, Some(2));
        check(&world, &again, answer, &["epoch", "get_mapping", "epoch", "update_mapping"]);
        let after = world.mappings.borrow()["a"].clone();
        assert_eq!((after.state.name(), after.maximum_concurrency), (then, None));
        world.calls.borrow_mut().clear();
        world.put_mapping("a", state, None);
        let done = settling(true, state, "");
        check(&world, &again, done, &["epoch", "get_mapping"]);
    }
}

#[test]
fn restore_lifts_a_limit_from_a_mapping_that_is_enabled() {
    let world = World::new();
    world.put_mapping("a", "Enabled", Some(2));
    let wait = settling(false, "Updating", "1 of 1 mappings to be Enabled with their settings");
    check(&world, &restore(&[recorded("a")]), wait, &["epoch", "get_mapping", "epoch", "update_mapping"]);
    check(&world, &restore(&[recorded("a")]), json!("Breaker.Transient"), &["epoch", "get_mapping"]);
    world.settle();
    check(&world, &restore(&[recorded("a")]), settling(true, "Enabled", ""), &["epoch", "get_mapping"]);
}

#[test]
fn of_two_mappings_the_one_that_is_farther_from_the_goal_is_named() {
    let [enabling, disabling] = [
        // A mapping that is enabled with another limit is near: only a setting is missing.
        ["Enabled", "Enabling", "Updating", "Disabling", "Disabled"],
        ["Disabled", "Disabling", "Updating", "Enabling", "Enabled"],
    ];
    let check_farther = |nearer: &str,
                         farther: &str,
                         limit: Option<u32>,
                         request: &dyn Fn(&[RecordedMapping]) -> MappingRequest| {
        for states in [[nearer, farther], [farther, nearer]] {
            let world = World::new();
            world.put_mapping("a", states[0], limit);
            world.put_mapping("b", states[1], limit);
            let answer = ask(&world, &request(&[recorded("a"), recorded("b")]));
            assert_eq!(answer["state"], farther, "{states:?}");
        }
    };
    for pair in enabling.windows(2) {
        check_farther(pair[0], pair[1], Some(2), &check_enabled);
    }
    // What is disabled has come to its goal, whatever its limit.
    for pair in disabling.windows(2) {
        check_farther(pair[0], pair[1], None, &check_quiet);
    }
}

#[test]
fn what_was_never_recorded_is_quiet_at_once() {
    check(&World::new(), &check_quiet(&[]), settling(true, "Disabled", ""), &["epoch"]);
}

#[test]
fn a_mapping_that_turned_out_disabled_is_named_before_one_on_its_way() {
    let world = World::new();
    world.put_mapping("a", "Enabling", None);
    world.put_mapping("b", "Disabled", None);
    let expected = settling(false, "Disabled", "2 of 2 mappings to be Enabled with their settings");
    assert_eq!(ask(&world, &check_enabled(&[recorded("a"), recorded("b")])), expected);
}

#[test]
fn a_step_that_is_retried_after_a_crash_at_any_call_ends_the_same() {
    let mappings = [recorded("a"), RecordedMapping { maximum_concurrency: Some(4), ..recorded("b") }];
    for crash_at in 1..=6 {
        for fault in [Fault::Crash, Fault::LoseAnswer] {
            let world = World::new();
            world.put_mapping("a", "Enabled", None);
            world.put_mapping("b", "Enabled", Some(4));
            for request in [disable(&mappings), limit(&mappings, 2), restore(&mappings)] {
                world.calls.borrow_mut().clear();
                world.faults.borrow_mut().insert(crash_at, fault.clone());
                let _: Option<Result<MappingAnswer, _>> = world.run(handle(&request, &world));
                world.settle();
                ask(&world, &request);
                world.settle();
                let answer = ask(&world, &request);
                assert_eq!(answer["done"], true, "{request:?}, {fault:?} at call {crash_at}: {answer}");
            }
            assert_eq!(world.mappings.borrow()["a"].maximum_concurrency, None);
            assert_eq!(world.mappings.borrow()["b"].maximum_concurrency, Some(4));
        }
    }
}

#[test]
fn a_call_that_is_overtaken_changes_no_further_mapping() {
    let world = World::new();
    world.put_mapping("a", "Enabled", None);
    world.put_mapping("b", "Enabled", None);
    // Another execution takes over while this call looks at the second mapping.
    world.faults.borrow_mut().insert(5, Fault::Overtake);
    let calls = ["epoch", "get_mapping", "epoch", "update_mapping", "get_mapping", "epoch"];
    check(&world, &disable(&[recorded("a"), recorded("b")]), json!("Breaker.StaleEpoch"), &calls);
    assert_eq!(world.mappings.borrow()["b"].state, MappingState::Enabled);
}

//! The events' schemas in `docs/events`: one for each, and each says as much as it should. That what is emitted fits them is
//! seen in every scenario.

#[allow(dead_code, reason = "each test binary uses its part")]
mod common;

use std::collections::BTreeSet;

use common::events::{invalid, schemas};
use serde_json::{Value, json};
use workflow::events::{Announcement, DOWNSTREAM_RECOVERED, REQUEST_SOURCE, SOURCE, TRIP_REQUESTED};

#[test]
fn every_event_has_a_schema_and_every_schema_an_event() {
    let announced = Announcement::ALL.into_iter().map(Announcement::detail_type);
    let known: BTreeSet<&str> = announced.chain([TRIP_REQUESTED, DOWNSTREAM_RECOVERED]).collect();
    assert_eq!(schemas().keys().map(String::as_str).collect::<BTreeSet<_>>(), known);
}

fn held() -> Value {
    json!({
        "source": SOURCE,
        "detail-type": "Circuit Held",
        "detail": {
            "circuit": "orders", "epoch": 3, "execution": "arn", "at": "2026-01-01T00:00:00.000Z",
            "held_until_ms": 1, "held_by": "anna", "reason": "maintenance",
        },
    })
}

#[test]
fn an_event_that_says_too_much_too_little_or_something_else_is_noticed() {
    assert_eq!(invalid(&[held()]), Vec::<String>::new());
    let changes: [(&str, Value); 4] = [
        ("body", json!("a message")),
        ("reason", json!(7)),
        ("at", json!("yesterday")),
        ("circuit", json!("Orders!")),
    ];
    for (field, value) in changes {
        let mut event = held();
        event["detail"][field] = value;
        assert_eq!(invalid(&[event]).len(), 1, "{field}");
    }
    let mut event = held();
    event["detail"].as_object_mut().expect("a detail").remove("held_by");
    assert_eq!(invalid(&[event]).len(), 1);
}

#[test]
fn a_recovery_signal_names_a_circuit_or_a_dependency() {
    let signal = |detail: Value| json!({ "source": REQUEST_SOURCE, "detail-type": DOWNSTREAM_RECOVERED, "detail": detail });
    for fits in
        [json!({ "circuit": "orders" }), json!({ "dependency": "payments", "reason": "failover done" })]
    {
        assert_eq!(invalid(&[signal(fits)]), Vec::<String>::new());
    }
    assert_eq!(invalid(&[signal(json!({ "reason": "all is well" }))]).len(), 1);
}

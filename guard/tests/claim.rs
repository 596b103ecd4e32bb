//! The guards' attributes beside the state machine that is deployed: neither writes what is the other's, and no trip of the
//! guards keeps an execution from claiming the circuit.
#![allow(
    clippy::unwrap_used,
    reason = "these are tests; clippy spares the functions marked so, not their helpers"
)]

use guard::record::attribute;
use serde_json::Value;
use workflow::circuit::item;
use workflow::config::CircuitConfig;
use workflow::definition::definition;

/// The arguments of every `UpdateItem` in the definition, with the state's name.
fn updates() -> Vec<(String, Value)> {
    // With everything that writes the item after the close, too.
    let mut circuit = CircuitConfig::default();
    circuit.retention.raise_to_s = Some(1_209_600);
    let definition: Value = serde_json::from_str(&definition("orders", &circuit)).unwrap();
    let states = definition["States"].as_object().unwrap();
    let updates = states.iter().filter(|(_, state)| state["Arguments"]["UpdateExpression"].is_string());
    updates.map(|(name, state)| (name.clone(), state["Arguments"].clone())).collect()
}

fn text(arguments: &Value, field: &str) -> String {
    arguments[field].as_str().unwrap().to_owned()
}

#[test]
fn the_workflow_neither_writes_nor_reads_what_is_the_guards() {
    let updates = updates();
    assert!(updates.len() > 10);
    for (name, arguments) in &updates {
        for field in ["UpdateExpression", "ConditionExpression"] {
            assert!(!text(arguments, field).contains("guard_"), "{name}: {field}");
        }
    }
    assert!(attribute::ALL.iter().all(|name| name.starts_with("guard_")));
}

#[test]
fn a_claim_needs_nothing_of_an_item_that_only_guards_have_written() {
    let claim = updates().into_iter().find(|(name, _)| name == "ClaimCircuit").unwrap().1;
    let condition = text(&claim, "ConditionExpression");
    let alternatives: Vec<&str> = condition.split(" OR ").collect();
    assert_eq!(alternatives[0], format!("attribute_not_exists({})", item::STATE), "{condition}");
    let update = text(&claim, "UpdateExpression");
    // An item without an epoch is given its first, and the time by which a guard knows a new outage.
    assert!(update.contains(&format!("{epoch} = if_not_exists({epoch}, :zero) + :one", epoch = item::EPOCH)));
    assert!(update.contains(&format!("{} = :now", item::OPENED_AT_MS)));
}

/// What fences the writes of guards: only a claim changes the time of opening, and each change of owner raises the epoch.
#[test]
fn only_a_claim_begins_another_outage_and_every_owner_has_an_epoch_of_its_own() {
    for (name, arguments) in updates() {
        let update = text(&arguments, "UpdateExpression");
        let writes = |attribute: &str| {
            update.split([' ', ',']).collect::<Vec<_>>().windows(2).any(|pair| pair == [attribute, "="])
        };
        assert_eq!(writes(item::OPENED_AT_MS), name == "ClaimCircuit", "{name}: {update}");
        assert!(!writes(item::OWNER) || writes(item::EPOCH), "{name}: {update}");
    }
}

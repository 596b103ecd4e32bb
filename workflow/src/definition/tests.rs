use super::*;
use crate::config::{AlarmSignal, CircuitConfig, ExhaustedThen, FaultThen};
use crate::contract::RejitterStrategy;

/// Circuits that between them take every branch of the definition.
fn variants() -> Vec<CircuitConfig> {
    let mut fifo = CircuitConfig::default();
    fifo.example.fifo = true;
    let mut health = CircuitConfig::default();
    health.probe.health_check_function_arn =
        Some("arn:aws:lambda:eu-west-1:123456789012:function:health".to_owned());
    health.fault.then = FaultThen::Restore;
    let mut fails = CircuitConfig::default();
    fails.exhausted.then = ExhaustedThen::Fail;
    fails.exhausted.after_probes_count = Some(3);
    let mut closes = CircuitConfig::default();
    closes.exhausted.then = ExhaustedThen::Close;
    closes.rejitter.strategy = Some(RejitterStrategy::Requeue);
    let mut keeps = CircuitConfig::default();
    keeps.retention.raise_to_s = Some(1_209_600);
    keeps.redrive.after_close = crate::config::RedriveAfterClose::Incident;
    let mut errors = CircuitConfig::default();
    errors.alarm.signal = AlarmSignal::FunctionErrors;
    let mut composite = CircuitConfig::default();
    composite.alarm.signal = AlarmSignal::Existing;
    composite.alarm.existing_alarm_arn =
        Some("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:failing".to_owned());
    composite.alarm.existing_alarm_is_composite = true;
    // With a ramp too, and each without one.
    let ramps = [CircuitConfig::default(), fifo.clone(), health.clone(), errors.clone(), composite.clone()]
        .map(|mut circuit| {
            circuit.ramp.concurrency_counts = vec![2, 10];
            circuit
        });
    let mut counts = CircuitConfig::default();
    counts.alarm.signal = AlarmSignal::FailedCount;
    counts.ramp.concurrency_counts = vec![5];
    let mut variants =
        vec![CircuitConfig::default(), fifo, health, fails, closes, keeps, errors, composite, counts];
    variants.extend(ramps);
    variants
}

#[test]
fn every_variant_is_a_sound_machine() {
    for circuit in variants() {
        assert!(circuit_errors(&circuit).is_empty());
        let machine = state_machine("orders", &circuit);
        assert!(machine.state_names().count() > 30);
    }
}

fn circuit_errors(circuit: &CircuitConfig) -> Vec<String> {
    let config = crate::config::BreakerConfig::single("orders", circuit.clone());
    config.validate().refusing().map(ToString::to_string).collect()
}

#[test]
fn only_known_placeholders_occur() {
    for circuit in variants() {
        let text = definition("orders", &circuit);
        for part in text.split("${").skip(1) {
            let name = part.split('}').next().unwrap();
            assert!(placeholder::ALL.contains(&name), "unknown placeholder {name}");
        }
    }
}

#[test]
fn no_state_is_named_after_a_configured_value() {
    let slow = CircuitConfig {
        backoff: crate::backoff::Backoff {
            base_s: 7,
            rate: 3.0,
            cap_s: 77,
            jitter: crate::backoff::Jitter::None,
        },
        ..CircuitConfig::default()
    };
    let names = |circuit: &CircuitConfig| -> Vec<String> {
        state_machine("orders", circuit).state_names().map(str::to_owned).collect()
    };
    assert_eq!(names(&slow), names(&CircuitConfig::default()));
}

/// Every task either retries or says in its catcher what its failure means.
#[test]
fn every_task_has_a_catcher_for_everything() {
    fn check(machine: &serde_json::Value) {
        for (name, state) in machine["States"].as_object().unwrap() {
            if state["Type"] == "Map" {
                check(&state["ItemProcessor"]);
            }
            if state["Type"] == "Task" || state["Type"] == "Map" {
                let catchers = state["Catch"].as_array().unwrap_or_else(|| panic!("{name} has no Catch"));
                let last = catchers.last().unwrap();
                assert_eq!(last["ErrorEquals"], serde_json::json!(["States.ALL"]), "{name}");
            }
        }
    }
    for circuit in variants() {
        check(&state_machine("orders", &circuit).to_value());
    }
}

/// Names of the states that `value`, a state's `Assign`, says to resume at.
fn resumed_at(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, field)| match field.as_str() {
                // An expression chooses among names in quotes.
                Some(text) if name == "resumeAt" && text.starts_with("{%") => {
                    let names = text.split('\'').skip(1).step_by(2);
                    names
                        .filter(|name| name.starts_with(char::is_uppercase) && *name != "Enabled")
                        .map(str::to_owned)
                        .collect()
                }
                Some(text) if name == "resumeAt" => vec![text.to_owned()],
                _ => resumed_at(field),
            })
            .collect(),
        serde_json::Value::Array(items) => items.iter().flat_map(resumed_at).collect(),
        _ => Vec::new(),
    }
}

/// A fault in an owned circuit never ends its execution: every place to resume at is one that `Resume` knows.
#[test]
fn every_fault_finds_its_way_back() {
    for circuit in variants() {
        let machine = state_machine("orders", &circuit).to_value();
        let rules = machine["States"]["Resume"]["Choices"].to_string();
        let mut named = resumed_at(&machine["States"]);
        named.retain(|name| name != NOWHERE);
        assert!(named.len() > 10, "the test looks in the right place: {named:?}");
        for name in named {
            assert!(rules.contains(&format!("$resumeAt = '{name}'")), "nothing resumes at {name}");
        }
    }
}

/// asl-validator refuses an empty text in `Assign` and `Output`.
#[test]
fn no_text_is_empty() {
    fn check(path: &str, value: &serde_json::Value) {
        match value {
            serde_json::Value::String(text) => assert!(!text.is_empty(), "{path} is empty"),
            serde_json::Value::Array(items) => items.iter().for_each(|item| check(path, item)),
            serde_json::Value::Object(fields) => {
                fields.iter().for_each(|(name, field)| check(&format!("{path}/{name}"), field));
            }
            serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
        }
    }
    for circuit in variants() {
        check("", &state_machine("orders", &circuit).to_value());
    }
}

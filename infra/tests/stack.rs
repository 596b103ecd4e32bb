//! The stack as a whole: ids, bytes, events, limits, refusals.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use infra::{SynthError, synth};
use serde_json::{Value, json};
use workflow::config::{BreakerConfig, CircuitConfig};
use workflow::contract::{ENV_REPORT_BATCH_ITEM_FAILURES, FunctionKind, Trigger, TripRequest};

fn ids(config: &BreakerConfig) -> BTreeSet<String> {
    let template = synth(config).expect("a valid configuration").template;
    template["Resources"].as_object().expect("resources").keys().cloned().collect()
}

fn named(names: &[&str]) -> BreakerConfig {
    let circuits = names.iter().map(|&name| (name.to_owned(), CircuitConfig::default())).collect();
    BreakerConfig { circuits }
}

#[test]
fn the_same_configuration_gives_the_same_bytes() {
    for (variant, config) in common::variants() {
        let (first, second) = (synth(&config).expect("valid"), synth(&config.clone()).expect("valid"));
        assert_eq!(first.definitions, second.definitions, "{variant}");
        assert_eq!(first.template_json(), second.template_json(), "{variant}");
        assert_eq!(first.template_yaml(), second.template_yaml(), "{variant}");
        assert!(first.template_json().ends_with("}\n"), "{variant}");
    }
}

#[test]
fn a_circuit_keeps_its_ids_when_another_comes() {
    let (alone, together) = (ids(&named(&["order-mails"])), ids(&named(&["bills", "order-mails"])));
    assert!(alone.contains("OrderMailsStateMachine"), "{alone:?}");
    assert!(alone.is_subset(&together));
}

#[test]
fn circuits_whose_ids_would_be_the_same_are_refused() {
    let error = synth(&named(&["a-1", "a1"])).unwrap_err();
    assert!(
        matches!(&error, SynthError::Collision { first, second, .. }
            if first == "a-1/DeadLetterQueue" && second == "a1/DeadLetterQueue"),
        "{error}"
    );
}

#[test]
fn no_part_of_a_circuit_is_the_end_of_another() {
    let mut config = named(&["x"]);
    let example = &mut config.circuits.get_mut("x").expect("the only circuit").example;
    (example.encrypted, example.ledger) = (true, true);
    let all = ids(&config);
    let parts: Vec<&str> = all.iter().filter_map(|id| id.strip_prefix('X')).collect();
    assert!(parts.len() > 10, "{parts:?}");
    for part in &parts {
        let clash = all.iter().find(|id| id.ends_with(part) && id.strip_prefix('X') != Some(part));
        assert_eq!(clash, None, "a circuit could be named so that its {part} is this resource");
    }
}

#[test]
fn a_configuration_with_errors_is_refused_with_its_findings() {
    let mut config = named(&["orders"]);
    let circuit = config.circuits.get_mut("orders").expect("the only circuit");
    circuit.alarm.failure_percent = 250.0;
    circuit.backoff.base_s = 0;
    let error = synth(&config).unwrap_err();
    assert!(
        matches!(&error, SynthError::InvalidConfig(findings) if findings.refusing().count() == 2),
        "{error}"
    );
}

/// Fills an input template as EventBridge does: a text comes with quotes and escapes.
fn transform(rule: &Value, event: &Value) -> TripRequest {
    let transformer = &rule["Properties"]["Targets"][0]["InputTransformer"];
    let mut text = transformer["InputTemplate"].as_str().expect("a template").to_owned();
    for (name, path) in transformer["InputPathsMap"].as_object().expect("paths") {
        let pointer = path.as_str().expect("a path").replacen('$', "", 1).replace('.', "/");
        let value = event.pointer(&pointer).unwrap_or_else(|| panic!("the event has no {pointer}"));
        text = text.replace(&format!("<{name}>"), &value.to_string());
    }
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Checks what a rule makes of an event.
fn check_rule(rule: &str, event: &Value, expected: &TripRequest) {
    let template = common::template("existing");
    assert_eq!(&transform(&template["Resources"][rule], event), expected);
}

#[test]
fn an_alarm_becomes_a_trip_request() {
    let reason = "Threshold Crossed: 2 out of the last 3 datapoints [100.0 \"now\"]";
    check_rule(
        "OrdersAlarmRule",
        &json!({
            "source": "aws.cloudwatch",
            "time": "2026-11-21T08:00:00Z",
            "detail": { "alarmName": "x", "state": { "value": "ALARM", "reason": reason } },
        }),
        &TripRequest {
            circuit: "orders".to_owned(),
            trigger: Trigger::Alarm,
            reason: reason.to_owned(),
            at: "2026-11-21T08:00:00Z".to_owned(),
            hold: None,
            restore_retention_of: None,
        },
    );
}

#[test]
fn a_request_becomes_a_trip_request() {
    check_rule(
        "OrdersRequestRule",
        &json!({
            "source": workflow::events::REQUEST_SOURCE,
            "detail-type": workflow::events::TRIP_REQUESTED,
            "time": "2026-11-21T08:00:00Z",
            "detail": { "circuit": "orders", "reason": "planned \"maintenance\"" },
        }),
        &TripRequest {
            circuit: "orders".to_owned(),
            trigger: Trigger::Event,
            reason: "planned \"maintenance\"".to_owned(),
            at: "2026-11-21T08:00:00Z".to_owned(),
            hold: None,
            restore_retention_of: None,
        },
    );
}

#[test]
fn the_alarm_follows_the_configuration() {
    let mut config = named(&["orders"]);
    let alarm = &mut config.circuits.get_mut("orders").expect("the only circuit").alarm;
    (alarm.period_s, alarm.min_events_count, alarm.failure_percent) = (120, 7, 12.5);
    (alarm.evaluation_periods_count, alarm.datapoints_to_alarm_count) = (4, 3);
    config.circuits.get_mut("orders").expect("the only circuit").example.max_receive_count = 30;
    let template = synth(&config).expect("valid").template;
    let alarm = &template["Resources"]["OrdersFailureAlarm"]["Properties"];
    let periods: Vec<&Value> = (0..2).map(|n| &alarm["Metrics"][n]["MetricStat"]["Period"]).collect();
    assert_eq!(periods, [&json!(120), &json!(120)]);
    assert_eq!(alarm["Metrics"][2]["Expression"], "IF(invoked >= 7, 100 * failed / invoked, 0)");
    assert_eq!(alarm["Threshold"], 12.5);
    assert_eq!((&alarm["EvaluationPeriods"], &alarm["DatapointsToAlarm"]), (&json!(4), &json!(3)));
}

/// Metric name and dimensions of each series that the only alarm of a variant looks at, and its threshold.
fn looks_at(variant: &str) -> (Vec<String>, Value) {
    let template = common::template(variant);
    let resources = template["Resources"].as_object().expect("resources");
    let alarm = resources.values().find(|one| one["Type"] == "AWS::CloudWatch::Alarm").expect("an alarm");
    let properties = &alarm["Properties"];
    assert_eq!(properties["TreatMissingData"], "notBreaching", "{variant}");
    let metrics = properties["Metrics"].as_array().cloned().unwrap_or_else(|| {
        assert_eq!((&properties["Period"], &properties["Statistic"]), (&json!(60), &json!("Sum")));
        vec![json!({ "MetricStat": { "Metric": properties } })]
    });
    let series = metrics.iter().map(|one| &one["MetricStat"]["Metric"]).filter(|metric| !metric.is_null());
    let named = series.map(|metric| {
        assert_eq!(metric["Namespace"], "AWS/Lambda", "{variant}");
        let dimensions = metric["Dimensions"].as_array().expect("dimensions").iter();
        let dimensions: Vec<String> =
            dimensions.map(|one| format!("{}={}", one["Name"], one["Value"]).replace('"', "")).collect();
        format!("{} {}", metric["MetricName"].as_str().expect("a name"), dimensions.join(" "))
    });
    (named.collect(), properties["Threshold"].clone())
}

#[test]
fn the_alarm_looks_at_the_signal() {
    let events = "EventSourceMappingUUID={Ref:ExampleMapping}";
    let function = "FunctionName={Ref:ExampleConsumerFunction}";
    let alias = "FunctionName=orders-consumer Resource=orders-consumer:live";
    for (variant, series, threshold) in [
        ("example", vec![("InvokedEventCount", events), ("FailedInvokeEventCount", events)], 50.0),
        ("function-errors", vec![("Invocations", function), ("Errors", function)], 50.0),
        ("function-errors-alias", vec![("Invocations", alias), ("Errors", alias)], 50.0),
        ("failed-count", vec![("FailedInvokeEventCount", events)], 5.0),
    ] {
        let series = series.iter().map(|(metric, dimensions)| format!("{metric} {dimensions}")).collect();
        assert_eq!(looks_at(variant), (series, json!(threshold)), "{variant}");
    }
}

#[test]
fn partial_batch_responses_are_agreed_by_mapping_and_consumer() {
    for (variant, types, variable) in
        [("example", Value::Null, "false"), ("partial-batch", json!(["ReportBatchItemFailures"]), "true")]
    {
        let template = common::template(variant);
        let properties = |id: &str| template["Resources"][id]["Properties"].clone();
        assert_eq!(properties("ExampleMapping")["FunctionResponseTypes"], types, "{variant}");
        let variables = &properties("ExampleConsumerFunction")["Environment"]["Variables"];
        assert_eq!(variables[ENV_REPORT_BATCH_ITEM_FAILURES], variable, "{variant}");
    }
}

#[test]
fn ten_circuits_share_functions_and_fit_one_stack() {
    let config = common::ten_existing();
    let assembly = synth(&config).expect("valid");
    let resources = assembly.template["Resources"].as_object().expect("resources");
    let functions = resources.values().filter(|one| one["Type"] == "AWS::Lambda::Function").count();
    assert_eq!((functions, assembly.definitions.len()), (6, 10));
    assert!(resources.len() < 500, "{}", resources.len());
}

#[test]
fn more_circuits_than_a_role_can_name_are_refused() {
    let circuit = |n: u32| (format!("c{n}"), common::existing(&format!("queue-{n}"), &uuid(n)));
    let config = BreakerConfig { circuits: (0..54).map(circuit).collect::<BTreeMap<_, _>>() };
    let error = synth(&config).unwrap_err();
    assert!(
        matches!(&error, SynthError::PolicyTooLong { role, .. } if role == "ProbeFunctionRole"),
        "{error}"
    );
}

#[test]
fn a_template_beyond_the_limit_is_refused() {
    let circuit = |n: u32| (format!("c{n}"), common::existing(&format!("queue-{n}"), &uuid(n)));
    let config = BreakerConfig { circuits: (0..22).map(circuit).collect::<BTreeMap<_, _>>() };
    let error = synth(&config).unwrap_err();
    assert!(matches!(&error, SynthError::TooMany { what: "bytes of template", .. }), "{error}");
}

fn uuid(n: u32) -> String {
    format!("14e0db71-5d35-4eb5-b481-8945cf9d{n:04}")
}

#[test]
fn each_circuit_has_a_file_with_the_definition_that_is_in_the_template() {
    let assembly = synth(&common::variants()["mixed"]).expect("valid");
    let files = assembly.definition_files();
    let names: Vec<&str> = files.keys().filter_map(|path| path.to_str()).collect();
    assert_eq!(names, ["example.asl.json", "order-mails.asl.json"]);
    let machine = &assembly.template["Resources"]["OrderMailsStateMachine"]["Properties"];
    assert_eq!(
        machine["DefinitionString"].as_str(),
        files.get(Path::new("order-mails.asl.json")).map(String::as_str)
    );
}

#[test]
fn the_functions_of_an_assembly_are_those_whose_packages_the_template_refers_to() {
    for (variant, config) in common::variants() {
        let assembly = synth(&config).expect("valid");
        let listed: BTreeSet<String> =
            assembly.functions.iter().map(|&kind| infra::assets::key("${AssetPrefix}", kind)).collect();
        let resources = assembly.template["Resources"].as_object().expect("resources");
        let used: BTreeSet<String> = resources
            .values()
            .filter_map(|one| one["Properties"]["Code"]["S3Key"]["Fn::Sub"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(used, listed, "{variant}");
        for function in resources.values().filter(|one| one["Type"] == "AWS::Lambda::Function") {
            let handler = function["Properties"]["Handler"].as_str().expect("a handler");
            assert!(FunctionKind::from_name(handler).is_some(), "{variant}: {handler}");
        }
    }
}

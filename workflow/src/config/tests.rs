use proptest::prelude::*;

use super::*;

/// Reads `toml` and renders every finding as `severity name = value`.
fn check(toml: &str, expected: &[&str]) {
    let findings = match BreakerConfig::from_toml(toml) {
        Ok(config) => config.validate(),
        Err(findings) => findings,
    };
    let shown: Vec<String> = findings
        .0
        .iter()
        .map(|finding| format!("{:?} {} = {}", finding.severity, finding.name, finding.value))
        .collect();
    assert_eq!(shown, expected, "{findings}");
}

#[test]
fn an_empty_circuit_takes_every_default_and_is_clean() {
    check("[circuits.orders]", &[]);
    assert_eq!(BreakerConfig::default().validate(), Findings(Vec::new()));
}

#[test]
fn three_mistakes_of_three_kinds_are_all_reported() {
    check(
        r#"
        [circuits.orders]
        backof = { base_s = 3 }
        [circuits.orders.alarm]
        failure_percent = 250
        period_s = "a minute"
        "#,
        &[
            r#"Error circuits.orders.alarm.period_s = "a minute""#,
            "Error circuits.orders.backof = (a table)",
            "Error circuits.orders.alarm.failure_percent = 250",
        ],
    );
}

#[test]
fn an_unknown_setting_is_met_with_the_nearest_known_one() {
    let findings =
        BreakerConfig::from_toml("[circuits.orders.probe]\nsuccess_to_close_count = 1").unwrap_err();
    assert_eq!(findings.0[0].fix, "did you mean `successes_to_close_count`?");
    assert!(findings.0[0].allowed.contains("health_check_function_arn"), "{findings}");
}

#[test]
fn what_is_not_toml_is_one_finding_with_its_place() {
    let findings = BreakerConfig::from_toml("[circuits.orders\n").unwrap_err();
    assert_eq!(findings.0.len(), 1);
    assert!(findings.0[0].allowed.contains("line 1"), "{findings}");
}

#[test]
fn a_document_without_circuits_is_refused() {
    check("", &["Error circuits = (none)"]);
}

#[test]
fn settings_that_contradict_each_other_are_errors() {
    check(
        "[circuits.orders]\nbackoff = { base_s = 60, cap_s = 30 }\nalarm = { datapoints_to_alarm_count = 4 }",
        &[
            "Error circuits.orders.alarm.datapoints_to_alarm_count = 4",
            "Error circuits.orders.backoff.cap_s = 30",
        ],
    );
    check(
        "[circuits.orders]\nexample = { fifo = true }\nrejitter = { strategy = \"requeue\" }",
        &[r#"Error circuits.orders.rejitter.strategy = "requeue""#],
    );
}

#[test]
fn a_queue_that_dead_letters_before_the_trip_is_refused_and_a_tight_one_warned_of() {
    let example = |count: u32| format!("[circuits.orders.example]\nmax_receive_count = {count}");
    // Window 180 s, lag 120 s, settling 90 s, visibility 60 s: 8 receives.
    check(&example(8), &["Error circuits.orders.example.max_receive_count = 8"]);
    check(&example(9), &["Warning circuits.orders.example.max_receive_count = 9"]);
    check(&example(11), &[]);
}

#[test]
fn a_consumer_is_checked_for_what_makes_it_unsafe() {
    check(
        r#"
        [circuits.orders.consumer]
        function_arn = "orders"
        function_timeout_s = 30
        mapping_uuid = "14e0db71"
        queue_url = "orders"
        queue_arn = "arn:aws:sqs:eu-west-1:123456789012:orders"
        visibility_timeout_s = 60
        "#,
        &[
            r#"Error circuits.orders.consumer.function_arn = "orders""#,
            r#"Error circuits.orders.consumer.queue_url = "orders""#,
            r#"Error circuits.orders.consumer.mapping_uuid = "14e0db71""#,
            "Warning circuits.orders.consumer.max_receive_count = (none)",
            "Warning circuits.orders.consumer.event_metrics = false",
            "Warning circuits.orders.consumer.visibility_timeout_s = 60",
        ],
    );
}

#[test]
fn a_name_that_cannot_be_part_of_an_identifier_is_refused() {
    check("[circuits.Orders]", &["Error circuits.Orders = [circuits.Orders]"]);
}

proptest! {
    /// Whatever the bytes, reading ends with a configuration or with findings, never with a panic.
    #[test]
    fn reading_never_panics(text in "\\PC{0,200}") {
        let _ = BreakerConfig::from_toml(&text);
    }

    /// A configuration that is written out and read again is the same.
    #[test]
    fn what_is_written_is_read_back(base_s in 1u32..=300, percent in 1.0f64..=100.0, fifo: bool) {
        let mut circuit = CircuitConfig::default();
        circuit.backoff.base_s = base_s;
        circuit.alarm.failure_percent = percent;
        circuit.example.fifo = fifo;
        let config = BreakerConfig::single("orders", circuit);
        let text = toml::to_string(&config).unwrap();
        prop_assert_eq!(BreakerConfig::from_toml(&text).unwrap(), config);
    }
}

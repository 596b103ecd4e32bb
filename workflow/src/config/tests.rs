use proptest::prelude::*;

use super::*;

/// Reads `toml` and renders every finding as `severity[code] name = value`.
fn check(toml: &str, expected: &[&str]) {
    let findings = match BreakerConfig::from_toml(toml) {
        Ok(config) => config.validate(),
        Err(findings) => findings,
    };
    let shown: Vec<String> = findings
        .0
        .iter()
        .map(|finding| {
            let Finding { severity, code, name, value, .. } = finding;
            format!("{severity:?}[{code}] {name} = {value}")
        })
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
            r#"Error[wrong-value] circuits.orders.alarm.period_s = "a minute""#,
            "Error[unknown-setting] circuits.orders.backof = (a table)",
            "Error[out-of-range] circuits.orders.alarm.failure_percent = 250",
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
    check("", &["Error[no-circuit] circuits = (none)"]);
}

#[test]
fn settings_that_contradict_each_other_are_errors() {
    check(
        "[circuits.orders]\nbackoff = { base_s = 60, cap_s = 30 }\nalarm = { datapoints_to_alarm_count = 4 }",
        &[
            "Error[contradiction] circuits.orders.alarm.datapoints_to_alarm_count = 4",
            "Error[contradiction] circuits.orders.backoff.cap_s = 30",
        ],
    );
    check(
        "[circuits.orders]\nexample = { fifo = true }\nrejitter = { strategy = \"requeue\" }",
        &[r#"Error[fifo-rejitter] circuits.orders.rejitter.strategy = "requeue""#],
    );
}

#[test]
fn a_queue_that_dead_letters_before_the_trip_is_refused_and_a_tight_one_warned_of() {
    let example = |count: u32| format!("[circuits.orders.example]\nmax_receive_count = {count}");
    // Window 180 s, lag 120 s, settling 90 s, visibility 60 s: 8 receives.
    check(&example(8), &["Unsafe[receive-budget] circuits.orders.example.max_receive_count = 8"]);
    check(&example(9), &["Warning[receive-margin] circuits.orders.example.max_receive_count = 9"]);
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
            r#"Error[invalid-identifier] circuits.orders.consumer.function_arn = "orders""#,
            r#"Error[invalid-identifier] circuits.orders.consumer.queue_url = "orders""#,
            r#"Error[invalid-identifier] circuits.orders.consumer.mapping_uuid = "14e0db71""#,
            "Warning[no-dead-letter-queue] circuits.orders.consumer.max_receive_count = (none)",
            "Warning[visibility-timeout] circuits.orders.consumer.visibility_timeout_s = 60",
            "Warning[event-metrics-off] circuits.orders.consumer.event_metrics = false",
        ],
    );
}

/// A consumer with nothing unsafe about it, and `more` in its table.
fn consumer(more: &str) -> String {
    format!(
        r#"
        [circuits.orders.consumer]
        function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:orders"
        function_timeout_s = 30
        mapping_uuid = "14e0db71-1f6a-4a5e-9a1c-2d1f4a1b2c3d"
        event_metrics = true
        queue_url = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"
        visibility_timeout_s = 180
        max_receive_count = 10
        {more}
        "#
    )
}

#[test]
fn a_dead_letter_queue_has_to_keep_messages_for_longer_than_its_source() {
    let queue = |name: &str, queue_s: u32, dead_letter_s: u32| {
        consumer(&format!(
            "queue_arn = \"arn:aws:sqs:eu-west-1:123456789012:{name}\"\n\
             retention_s = {queue_s}\ndead_letter_retention_s = {dead_letter_s}"
        ))
    };
    check(
        &queue("orders", 345_600, 345_600),
        &["Unsafe[dead-letter-retention] circuits.orders.consumer.dead_letter_retention_s = 345600"],
    );
    check(&queue("orders", 345_600, 345_601), &[]);
    // A FIFO queue's message begins anew in its dead-letter queue.
    check(&queue("orders.fifo", 345_600, 60), &[]);
    check(
        "[circuits.orders.example]\nretention_s = 1209600",
        &["Unsafe[dead-letter-retention] circuits.orders.example.retention_s = 1209600"],
    );
}

#[test]
fn a_limited_close_in_provisioned_mode_is_unsafe() {
    let mapping =
        consumer("queue_arn = \"arn:aws:sqs:eu-west-1:123456789012:orders\"\nprovisioned_mode = true");
    check(&mapping, &["Unsafe[provisioned-mode] circuits.orders.consumer.provisioned_mode = true"]);
    // A health check is asked instead of a limited close.
    let asks = "probe.health_check_function_arn = \"arn:aws:lambda:eu-west-1:123456789012:function:health\"";
    check(&format!("[circuits.orders]\n{asks}\n{mapping}"), &[]);
}

#[test]
fn a_signal_has_to_see_the_failures_and_needs_its_own_settings() {
    let example = |alarm: &str| {
        format!("[circuits.orders]\nalarm = {{ {alarm} }}\nexample = {{ report_batch_item_failures = true }}")
    };
    check(&example("signal = \"mapping-events\""), &[]);
    check(&example("signal = \"failed-count\""), &[]);
    check(
        &example("signal = \"function-errors\""),
        &[r#"Unsafe[blind-alarm] circuits.orders.alarm.signal = "function-errors""#],
    );
    check("[circuits.orders.alarm]\nsignal = \"function-errors\"", &[]);
    check(
        &example("signal = \"existing\""),
        &["Error[existing-alarm] circuits.orders.alarm.existing_alarm_arn = (none)"],
    );
    let arn = "existing_alarm_arn = \"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:orders failing\"";
    check(&example(&format!("signal = \"existing\", {arn}")), &[]);
    check(
        &example(arn),
        &["Error[existing-alarm] circuits.orders.alarm.existing_alarm_arn = \
           \"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:orders failing\""],
    );
    check(
        &example("signal = \"existing\", existing_alarm_arn = \"orders-failing\""),
        &[r#"Error[invalid-identifier] circuits.orders.alarm.existing_alarm_arn = "orders-failing""#],
    );
    check(
        &example(
            "signal = \"existing\", existing_alarm_arn = \"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:a$b\"",
        ),
        &["Error[existing-alarm] circuits.orders.alarm.existing_alarm_arn = \
           \"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:a$b\""],
    );
    check(
        &example("existing_alarm_is_composite = true"),
        &["Error[existing-alarm] circuits.orders.alarm.existing_alarm_is_composite = true"],
    );
    // Only the mapping's own metrics have to be switched on.
    let off = consumer("queue_arn = \"arn:aws:sqs:eu-west-1:123456789012:orders\"")
        .replace("event_metrics = true", "");
    let metrics_off = ["Warning[event-metrics-off] circuits.orders.consumer.event_metrics = false"];
    check(&off, &metrics_off);
    check(&format!("[circuits.orders]\nalarm.signal = \"failed-count\"\n{off}"), &metrics_off);
    check(&format!("[circuits.orders]\nalarm.signal = \"function-errors\"\n{off}"), &[]);
}

#[test]
fn an_unsafe_finding_refuses_until_it_is_accepted_by_name() {
    let tight = |accept: &str| format!("[circuits.orders]\naccept = {accept}\nexample.max_receive_count = 8");
    let refused = BreakerConfig::from_toml(&tight("[]")).unwrap_err();
    assert!(!refused.is_usable());
    assert!(
        refused.0[0].fix.ends_with("to accept it: accept = [\"receive-budget\"] in [circuits.orders]"),
        "{:?}",
        refused.0
    );
    let config = BreakerConfig::from_toml(&tight("[\"receive-budget\"]")).unwrap();
    let findings = config.validate();
    assert!(findings.is_usable());
    let warning = findings.warnings().next().unwrap();
    assert!(
        warning.accepted && warning.fix.starts_with("accepted by `accept` of [circuits.orders]"),
        "{warning:?}"
    );
    // Neither another unsafe finding nor an error can be accepted that way.
    check(
        &tight("[\"blind-alarm\"]"),
        &["Unsafe[receive-budget] circuits.orders.example.max_receive_count = 8"],
    );
    check(
        &tight("[\"out-of-range\", \"receive-budget\"]"),
        &[
            r#"Error[unknown-acceptance] circuits.orders.accept = "out-of-range""#,
            "Warning[receive-budget] circuits.orders.example.max_receive_count = 8",
        ],
    );
}

#[test]
fn a_value_of_a_wrong_type_is_told_what_is_expected_in_plain_words() {
    let said = |toml: &str| {
        BreakerConfig::from_toml(&format!("[circuits.orders]\n{toml}")).unwrap_err().0[0].clone()
    };
    for (toml, expected) in [
        ("alarm.period_s = \"60\"", "must be a whole number from 0 to 4,294,967,295, without quotes"),
        ("alarm.period_s = -60", "must be a whole number from 0 to 4,294,967,295, without quotes"),
        ("alarm.period_s = 1.5", "must be a whole number from 0 to 4,294,967,295, without quotes"),
        ("alarm.failure_percent = \"half\"", "must be a number, without quotes"),
        ("example.fifo = \"yes\"", "must be true or false, without quotes"),
        ("accept = \"receive-budget\"", "must be a list, such as [\"a\", \"b\"] or [2, 10]"),
        ("alarm.existing_alarm_arn = 3", "must be text in quotes"),
        ("alarm = 3", "must be a table"),
        ("alarm.signal = 3", "must be one of its words, in quotes"),
        (
            "alarm.signal = \"errors\"",
            "must be one of `mapping-events`, `function-errors`, `failed-count`, `existing`",
        ),
    ] {
        assert_eq!(said(toml).allowed, expected, "{toml}");
    }
}

#[test]
fn a_name_that_cannot_be_part_of_an_identifier_is_refused() {
    check("[circuits.Orders]", &["Error[invalid-name] circuits.Orders = [circuits.Orders]"]);
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

#[test]
fn a_raised_retention_has_to_be_longer_and_no_longer_than_the_dead_letter_queue_keeps() {
    let raised = |to_s: u32, dead_letter_s: u32| {
        let queue = consumer(&format!(
            "queue_arn = \"arn:aws:sqs:eu-west-1:123456789012:orders\"\n\
             retention_s = 3600\ndead_letter_retention_s = {dead_letter_s}"
        ));
        format!("{queue}\n[circuits.orders.retention]\nraise_to_s = {to_s}")
    };
    let finding = |severity: &str, to_s: u32| {
        format!("{severity}[raised-retention] circuits.orders.retention.raise_to_s = {to_s}")
    };
    check(&raised(3_601, 7_200), &[]);
    check(&raised(3_600, 7_200), &[&finding("Error", 3_600)]);
    check(&raised(7_201, 7_200), &[&finding("Warning", 7_201)]);
}

#[test]
fn a_redrive_needs_to_know_its_queue_by_both_names() {
    let redriven = |names: &str| {
        let queue = consumer(&format!("queue_arn = \"arn:aws:sqs:eu-west-1:123456789012:orders\"\n{names}"));
        format!("{queue}\n[circuits.orders.redrive]\nafter_close = \"incident\"")
    };
    let unknown = "Error[dead-letter-queue] circuits.orders.redrive.after_close = \"incident\"";
    let url = "dead_letter_queue_url = \"https://sqs.eu-west-1.amazonaws.com/123456789012/dead\"";
    let arn = "dead_letter_queue_arn = \"arn:aws:sqs:eu-west-1:123456789012:dead\"";
    let half = |name: &str| format!("Error[dead-letter-queue] circuits.orders.consumer.{name} = (none)");
    check(&redriven(""), &[unknown]);
    check(&redriven(url), &[&half("dead_letter_queue_arn"), unknown]);
    check(&redriven(arn), &[&half("dead_letter_queue_url"), unknown]);
    check(&redriven(&format!("{url}\n{arn}")), &[]);
}

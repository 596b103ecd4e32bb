//! The variants of the stack that the tests look at.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;

use serde_json::Value;
use workflow::config::{AlarmSignal, BreakerConfig, CircuitConfig, ConsumerConfig, RedriveAfterClose};

/// A circuit on a consumer that exists already.
pub fn existing(queue: &str, mapping_uuid: &str) -> CircuitConfig {
    CircuitConfig {
        consumer: Some(ConsumerConfig {
            function_arn: format!("arn:aws:lambda:eu-west-1:123456789012:function:{queue}-consumer:live"),
            function_timeout_s: 30,
            mapping_uuid: mapping_uuid.to_owned(),
            event_metrics: true,
            queue_url: format!("https://sqs.eu-west-1.amazonaws.com/123456789012/{queue}"),
            queue_arn: format!("arn:aws:sqs:eu-west-1:123456789012:{queue}"),
            visibility_timeout_s: 180,
            max_receive_count: Some(10),
            kms_key_arn: Some(format!(
                "arn:aws:kms:eu-west-1:123456789012:key/0f9b4c1e-0000-4000-8000-{:012}",
                queue.len()
            )),
            retention_s: Some(345_600),
            dead_letter_retention_s: Some(1_209_600),
            dead_letter_queue_url: None,
            dead_letter_queue_arn: None,
            dead_letter_kms_key_arn: None,
            report_batch_item_failures: false,
            provisioned_mode: false,
        }),
        ..CircuitConfig::default()
    }
}

/// Ten circuits on consumers that exist already, no two alike.
pub fn ten_existing() -> BreakerConfig {
    let circuit = |n: u32| {
        let name = format!("order-mails-{}", char::from_digit(10 + n, 36).expect("a digit below 36"));
        let uuid = format!("14e0db71-5d35-4eb5-b481-8945cf9d{n:04}");
        (name.clone(), existing(&name, &uuid))
    };
    BreakerConfig { circuits: (0..10).map(circuit).collect() }
}

/// Every variant by name, from the plain example to ten circuits in one stack.
pub fn variants() -> BTreeMap<&'static str, BreakerConfig> {
    let example = CircuitConfig::default;
    let mut ledger = example();
    ledger.example.ledger = true;
    let mut partial = example();
    partial.example.report_batch_item_failures = true;
    let mut fifo = example();
    fifo.example.fifo = true;
    let mut encrypted = example();
    encrypted.example.encrypted = true;
    encrypted.example.ledger = true;
    let orders = existing("orders", "14e0db71-5d35-4eb5-b481-8945cf9d1c2e");
    let mut health = orders.clone();
    health.probe.health_check_function_arn =
        Some("arn:aws:lambda:eu-west-1:123456789012:function:orders-health".to_owned());
    let mut fifo_existing = existing("orders.fifo", "14e0db71-5d35-4eb5-b481-8945cf9d1c2e");
    if let Some(consumer) = &mut fifo_existing.consumer {
        consumer.kms_key_arn = None;
    }
    let signal = |signal| {
        let mut circuit = example();
        circuit.alarm.signal = signal;
        circuit
    };
    let existing_alarm = |is_composite| {
        let mut circuit = orders.clone();
        circuit.alarm.signal = AlarmSignal::Existing;
        circuit.alarm.existing_alarm_arn =
            Some("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:orders: failing".to_owned());
        circuit.alarm.existing_alarm_is_composite = is_composite;
        circuit
    };
    let mut errors_of_alias = orders.clone();
    errors_of_alias.alarm.signal = AlarmSignal::FunctionErrors;
    let mut loss_clock = encrypted.clone();
    loss_clock.retention.raise_to_s = Some(1_209_600);
    loss_clock.redrive.after_close = RedriveAfterClose::Incident;
    let mixed = BTreeMap::from([
        ("example".to_owned(), ledger.clone()),
        ("order-mails".to_owned(), existing("order-mails", "14e0db71-5d35-4eb5-b481-8945cf9d1c2e")),
    ]);
    BTreeMap::from([
        ("example", BreakerConfig::single("example", example())),
        ("ledger", BreakerConfig::single("example", ledger)),
        ("partial-batch", BreakerConfig::single("example", partial)),
        ("fifo", BreakerConfig::single("example", fifo)),
        ("encrypted", BreakerConfig::single("example", encrypted)),
        ("existing", BreakerConfig::single("orders", orders.clone())),
        ("function-errors", BreakerConfig::single("example", signal(AlarmSignal::FunctionErrors))),
        ("function-errors-alias", BreakerConfig::single("orders", errors_of_alias)),
        ("failed-count", BreakerConfig::single("example", signal(AlarmSignal::FailedCount))),
        ("existing-alarm", BreakerConfig::single("orders", existing_alarm(false))),
        ("composite-alarm", BreakerConfig::single("orders", existing_alarm(true))),
        ("health-check", BreakerConfig::single("orders", health)),
        ("existing-fifo", BreakerConfig::single("orders", fifo_existing)),
        ("loss-clock", BreakerConfig::single("example", loss_clock)),
        ("mixed", BreakerConfig { circuits: mixed }),
        ("ten", ten_existing()),
    ])
}

/// The template of one variant.
pub fn template(variant: &str) -> Value {
    infra::synth(&variants()[variant]).unwrap_or_else(|error| panic!("{variant}: {error}")).template
}

/// The template of every variant.
pub fn templates() -> BTreeMap<&'static str, Value> {
    variants().into_keys().map(|variant| (variant, template(variant))).collect()
}

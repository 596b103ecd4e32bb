//! What is wrong or unsafe about a consumer as the account shows it.

use serde_json::{Map, Value};
use workflow::config::{BreakerConfig, ConsumerConfig, Finding, Findings, Severity, code};

use super::FoundConsumer;

/// State of a mapping that delivers.
const ENABLED: &str = "Enabled";

/// Everything that is to be said of one circuit, with the account's facts in the place of the configuration's.
///
/// `is_open`: the breaker itself has disabled the mapping, so that being disabled is no finding.
pub fn findings(config: &BreakerConfig, circuit: &str, found: &FoundConsumer, is_open: bool) -> Findings {
    let mut present = config.clone();
    let mut all = Vec::new();
    if let Some(settings) = present.circuits.get_mut(circuit) {
        if let Some(known) = &settings.consumer {
            all.extend(drift(circuit, known, &found.facts));
        }
        settings.consumer = Some(found.facts.clone());
    }
    let prefix = format!("circuits.{circuit}");
    let of_circuit =
        |finding: &Finding| finding.name == prefix || finding.name.starts_with(&format!("{prefix}."));
    all.extend(present.validate().0.into_iter().filter(of_circuit));
    let accept = present.circuits.get(circuit).map(|settings| settings.accept.as_slice()).unwrap_or_default();
    all.extend(disabled(circuit, found, is_open).map(|finding| finding.judged(circuit, accept)));
    all.extend(blind_alarms(circuit, found));
    all.sort_by_key(|finding| finding.severity);
    Findings(all)
}

/// Facts that stand otherwise in the account than in the configuration.
///
/// Whether event metrics are on is left out: a deployment switches them.
fn drift(circuit: &str, known: &ConsumerConfig, found: &ConsumerConfig) -> Vec<Finding> {
    let fields = |facts: &ConsumerConfig| -> Map<String, Value> {
        let value = serde_json::to_value(facts).expect("facts are plain data");
        value.as_object().cloned().unwrap_or_default()
    };
    let (known, found) = (fields(known), fields(found));
    let names = known.keys().chain(found.keys().filter(|name| !known.contains_key(*name)));
    names
        .filter(|name| !["event_metrics", "queue_url", "dead_letter_queue_url"].contains(&name.as_str()))
        .filter(|name| known.get(*name) != found.get(*name))
        .map(|name| {
            let shown = |value: Option<&Value>| value.map_or_else(|| "(none)".to_owned(), Value::to_string);
            Finding::new(
                Severity::Warning,
                code::CONFIG_DRIFT,
                format!("circuits.{circuit}.consumer.{name}"),
                shown(known.get(name)),
                format!("in the account it is {}", shown(found.get(name))),
                "correct the configuration: the breaker's arithmetic depends on it",
            )
        })
        .collect()
}

/// A mapping that somebody disabled is never enabled by the breaker.
fn disabled(circuit: &str, found: &FoundConsumer, is_open: bool) -> Option<Finding> {
    let state = &found.momentary.mapping_state;
    (state != ENABLED && !is_open).then(|| {
        Finding::new(
            Severity::Unsafe,
            code::MAPPING_DISABLED,
            format!("circuits.{circuit}.consumer.mapping_uuid"),
            format!("{:?} is {state}", found.facts.mapping_uuid),
            "the breaker takes a mapping that is not enabled for one that somebody disabled: it never enables it",
            "enable the mapping first, or wait until its transition is done",
        )
    })
}

/// Alarms of the user's that do not see what this consumer reports.
fn blind_alarms(circuit: &str, found: &FoundConsumer) -> Vec<Finding> {
    if !found.facts.report_batch_item_failures {
        return Vec::new();
    }
    let on_errors = found.alarms.iter().filter(|alarm| alarm.metric == "Errors");
    on_errors
        .map(|alarm| {
            Finding::new(
                Severity::Warning,
                code::BLIND_ALARM,
                format!("circuits.{circuit}.consumer.report_batch_item_failures"),
                format!("alarm {:?} on Errors", alarm.name),
                "a batch that is answered with batchItemFailures is no error to Lambda: this alarm of yours does not see it",
                "keep `alarm.signal = \"mapping-events\"` for the breaker, and watch FailedInvokeEventCount yourself",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use workflow::config::CircuitConfig;

    use super::super::{AlarmSeen, Momentary};
    use super::*;

    fn facts() -> ConsumerConfig {
        ConsumerConfig {
            function_arn: "arn:aws:lambda:eu-west-1:123456789012:function:orders".to_owned(),
            function_timeout_s: 10,
            mapping_uuid: "14e0db71-5d35-4eb5-b481-8945cf9d10c2".to_owned(),
            event_metrics: true,
            queue_url: "https://sqs.eu-west-1.amazonaws.com/123456789012/orders".to_owned(),
            queue_arn: "arn:aws:sqs:eu-west-1:123456789012:orders".to_owned(),
            visibility_timeout_s: 60,
            max_receive_count: Some(15),
            kms_key_arn: None,
            retention_s: Some(345_600),
            dead_letter_retention_s: Some(1_209_600),
            dead_letter_queue_url: None,
            dead_letter_queue_arn: None,
            dead_letter_kms_key_arn: None,
            report_batch_item_failures: false,
            provisioned_mode: false,
        }
    }

    fn found() -> FoundConsumer {
        FoundConsumer {
            function_name: "orders".to_owned(),
            facts: facts(),
            momentary: Momentary {
                mapping_state: ENABLED.to_owned(),
                maximum_concurrency: None,
                waiting_count: 0,
                dead_letter_count: 0,
            },
            alarms: Vec::new(),
            alarms_unread: None,
        }
    }

    /// Changes what the account shows, and compares severity and code of each finding.
    fn check(change: impl FnOnce(&mut FoundConsumer), is_open: bool, expected: &[(Severity, &str)]) {
        let circuit = CircuitConfig { consumer: Some(facts()), ..CircuitConfig::default() };
        let mut seen = found();
        change(&mut seen);
        let findings = findings(&BreakerConfig::single("orders", circuit), "orders", &seen, is_open);
        let told: Vec<(Severity, &str)> = findings.0.iter().map(|one| (one.severity, one.code)).collect();
        assert_eq!(told, expected, "{findings}");
    }

    #[test]
    fn the_account_is_held_against_the_configuration() {
        check(|_| {}, false, &[]);
        check(
            |seen| seen.facts.visibility_timeout_s = 30,
            false,
            &[
                (Severity::Warning, code::CONFIG_DRIFT),
                (Severity::Warning, code::VISIBILITY_TIMEOUT),
                (Severity::Warning, code::RECEIVE_MARGIN),
            ],
        );
        check(
            |seen| seen.facts.max_receive_count = Some(3),
            false,
            &[(Severity::Unsafe, code::RECEIVE_BUDGET), (Severity::Warning, code::CONFIG_DRIFT)],
        );
        check(|seen| seen.facts.queue_url = "http://localhost:4566/orders".to_owned(), false, &[]);
    }

    #[test]
    fn a_disabled_mapping_is_unsafe_unless_the_breaker_disabled_it() {
        let disable = |seen: &mut FoundConsumer| seen.momentary.mapping_state = "Disabled".to_owned();
        check(disable, false, &[(Severity::Unsafe, code::MAPPING_DISABLED)]);
        check(disable, true, &[]);
    }

    #[test]
    fn an_alarm_that_cannot_see_partial_batch_failures_is_named() {
        let alarm = AlarmSeen {
            name: "orders-errors".to_owned(),
            arn: "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:orders-errors".to_owned(),
            metric: "Errors",
            state: "OK".to_owned(),
        };
        check(|seen| seen.alarms.push(alarm.clone()), false, &[]);
        check(
            |seen| {
                seen.alarms.push(alarm.clone());
                seen.facts.report_batch_item_failures = true;
            },
            false,
            &[(Severity::Warning, code::CONFIG_DRIFT), (Severity::Warning, code::BLIND_ALARM)],
        );
    }
}

//! Every setting of `breaker.toml` with what it means: the source of `breaker config default`.
//!
//! The values come from [`BreakerConfig::default`]; only the words and the ranges stand here. The tests below compare the
//! ranges and the names with what the configuration itself accepts.

use toml::{Table, Value};
use workflow::config::BreakerConfig;

use crate::text::grouped;

/// The circuit of the default configuration.
const CIRCUIT: &str = "example";

/// A table of settings.
struct Section {
    name: &'static str,
    about: &'static str,
    settings: &'static [Setting],
}

/// One setting.
struct Setting {
    key: &'static str,
    about: &'static str,
    allowed: Allowed,
    /// Shown, commented out, where the setting has no default.
    sample: Option<&'static str>,
}

/// What a setting takes.
enum Allowed {
    /// A number between two bounds, with its unit.
    Range(f64, f64, &'static str),
    /// `true` or `false`.
    Flag,
    /// Anything else, in words.
    Words(&'static str),
}

use Allowed::{Flag, Range, Words};

/// What stands in the circuit's own table.
const CIRCUIT_SETTINGS: &[Setting] = &[
    setting(
        "accept",
        "Unsafe findings of `breaker config check` that are accepted for this circuit. They are then warnings.",
        Words(
            "a list of \"blind-alarm\", \"dead-letter-retention\", \"mapping-disabled\", \"provisioned-mode\",\n\
             # \"receive-budget\"",
        ),
    ),
    optional(
        "dependency",
        "Name of what the consumer depends on: a recovery signal may name it, and means every circuit that has it.",
        Words("1 to 64 letters, digits, dots, hyphens and underscores"),
        "\"payments\"",
    ),
];

const fn setting(key: &'static str, about: &'static str, allowed: Allowed) -> Setting {
    Setting { key, about, allowed, sample: None }
}

const fn optional(key: &'static str, about: &'static str, allowed: Allowed, sample: &'static str) -> Setting {
    Setting { key, about, allowed, sample: Some(sample) }
}

/// The tables that have defaults, in the order in which they are printed.
const SECTIONS: &[Section] = &[
    Section {
        name: "alarm",
        about: "When the alarm fires: what it looks at, M of N periods.",
        settings: &[
            setting(
                "signal",
                "What it looks at: the share of the mapping's events that failed; the share of the function's invocations\n\
                 that failed; a number of the mapping's events that failed; an alarm that exists already.",
                Words("\"mapping-events\", \"function-errors\", \"failed-count\" or \"existing\""),
            ),
            optional(
                "existing_alarm_arn",
                "The alarm that exists already, for the signal \"existing\"; the three settings of periods below then\n\
                 describe it.",
                Words("the ARN of a metric alarm or composite alarm"),
                "\"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:orders-failing\"",
            ),
            setting("existing_alarm_is_composite", "Whether that alarm is a composite alarm.", Flag),
            setting(
                "failure_percent",
                "Share of failed events, or invocations, at which a period is breaching. Not for \"failed-count\".",
                Range(1.0, 100.0, "percent"),
            ),
            setting(
                "min_events_count",
                "Events, or invocations, that a period needs before its share counts. Not for \"failed-count\".",
                Range(1.0, 1_000_000.0, "events per period"),
            ),
            setting(
                "failed_events_count",
                "Failed events at which a period is breaching. For \"failed-count\" only.",
                Range(1.0, 1_000_000.0, "events per period"),
            ),
            setting("period_s", "Length of a period, in whole minutes.", Range(60.0, 3_600.0, "seconds")),
            setting(
                "evaluation_periods_count",
                "N: periods that are looked at; with the period 86,400 s at most.",
                Range(1.0, 60.0, "periods"),
            ),
            setting(
                "datapoints_to_alarm_count",
                "M: breaching periods among them that fire the alarm.",
                Words("1 to evaluation_periods_count"),
            ),
        ],
    },
    Section {
        name: "open",
        about: "How the circuit opens: the mapping is disabled, then awaited until it is settled and quiet.",
        settings: &[
            setting(
                "settle_poll_s",
                "Interval at which a settling mapping is looked at.",
                Range(1.0, 60.0, "seconds"),
            ),
            setting(
                "settle_timeout_s",
                "Time after which a mapping that does not settle is a fault.",
                Range(60.0, 3_600.0, "seconds"),
            ),
            setting(
                "quiet_grace_s",
                "Time after the disable in which deliveries may still start; 30 to 60 s are on record.",
                Range(0.0, 600.0, "seconds"),
            ),
        ],
    },
    Section {
        name: "backoff",
        about: "How long to wait between probes: a ceiling that grows from base_s by rate up to cap_s.",
        settings: &[
            setting("base_s", "Ceiling of the first wait.", Range(1.0, 43_200.0, "seconds")),
            setting(
                "rate",
                "Growth of the ceiling from one wait to the next.",
                Words("1 (constant waits) or 1.1 to 10"),
            ),
            setting("cap_s", "Largest ceiling, base_s or more.", Range(1.0, 43_200.0, "seconds")),
            setting(
                "jitter",
                "How a wait is drawn: anywhere below its ceiling, or the ceiling itself.",
                Words("\"full\" or \"none\""),
            ),
        ],
    },
    Section {
        name: "probe",
        about: "How the consumer is probed while the circuit is open: one message at a time.",
        settings: &[
            setting(
                "successes_to_close_count",
                "Successes in a row, on distinct messages, that close the circuit.",
                Range(1.0, 20.0, "messages"),
            ),
            optional(
                "deadline_s",
                "How long the consumer may take. Without it: the function's timeout.",
                Range(1.0, 850.0, "seconds"),
                "30",
            ),
            setting("long_poll_s", "How long to wait for the probe's message.", Range(1.0, 20.0, "seconds")),
            optional(
                "health_check_function_arn",
                "A function that is asked when the queue is empty: an answer is healthy, an error is not.\n\
                 Without it an empty queue leads to a limited close.",
                Words("the ARN of a Lambda function"),
                "\"arn:aws:lambda:eu-west-1:123456789012:function:orders-health\"",
            ),
        ],
    },
    Section {
        name: "rejitter",
        about: "How the backlog is spread before the close, so that it does not arrive at once.",
        settings: &[
            optional(
                "strategy",
                "Without it: \"visibility\" for a standard queue, \"off\" for a FIFO queue, which is never re-jittered.",
                Words("\"visibility\", \"requeue\" or \"off\""),
                "\"visibility\"",
            ),
            setting(
                "drain_per_s",
                "Rate at which the backlog arrives after the close.",
                Range(0.1, 10_000.0, "messages per second"),
            ),
            setting(
                "invocations_count",
                "How many invocations share a large backlog: one per 50,000 messages, and at most so many.",
                Range(1.0, 40.0, "invocations"),
            ),
        ],
    },
    Section {
        name: "close",
        about: "How the circuit closes.",
        settings: &[
            setting(
                "limited_concurrency_count",
                "MaximumConcurrency of a limited close, the one made when nothing could be probed.",
                Range(2.0, 1_000.0, "invocations"),
            ),
            setting(
                "limited_watch_s",
                "How long a limited close is watched before the exact settings are restored.",
                Range(60.0, 3_600.0, "seconds"),
            ),
        ],
    },
    Section {
        name: "ramp",
        about: "By which steps the mapping comes back to its own concurrency after a recovery. Traffic that fails opens the\n\
                # circuit again.",
        settings: &[
            setting(
                "concurrency_counts",
                "MaximumConcurrency of each step; after the last one the mapping gets its own settings. Empty: no ramp.",
                Words("at most 10 numbers from 2 to 1,000, each more than the one before"),
            ),
            setting("step_s", "How long each step is watched.", Range(120.0, 3_600.0, "seconds")),
        ],
    },
    Section {
        name: "retention",
        about: "What is done against messages that expire while they wait.",
        settings: &[optional(
            "raise_to_s",
            "Retention that the queue gets for a while when half of its own has passed, and more than its own; it gets\n\
             its own back when it is drained. Without it the retention is never touched.",
            Range(60.0, 1_209_600.0, "seconds"),
            "1209600",
        )],
    },
    Section {
        name: "redrive",
        about: "What becomes of the dead-letter queue after the close.",
        settings: &[
            setting(
                "after_close",
                "Whether what was dead-lettered in the incident is moved back: never; or when the dead-letter queue was\n\
                 empty as the circuit opened.",
                Words("\"off\" or \"incident\""),
            ),
            setting("max_per_s", "Rate of that.", Range(1.0, 500.0, "messages per second")),
        ],
    },
    Section {
        name: "exhausted",
        about: "What happens when the dependency stays down.",
        settings: &[
            setting(
                "after_s",
                "Time open after which the breaker says so loudly.",
                Range(60.0, 1_209_600.0, "seconds"),
            ),
            optional(
                "after_probes_count",
                "Failed probes after which it does so earlier. Without it time alone decides.",
                Range(1.0, 10_000.0, "probes"),
                "100",
            ),
            setting(
                "then",
                "What to do then: stay open and probe slowly; close and let the consumer fail; end the execution as\n\
                 failed, the circuit open until somebody acts.",
                Words("\"keep_probing\", \"close\" or \"fail\""),
            ),
            setting("slow_probe_s", "Wait between probes from then on.", Range(60.0, 43_200.0, "seconds")),
        ],
    },
    Section {
        name: "fault",
        about: "What happens when a step of the breaker itself fails for good.",
        settings: &[
            setting(
                "then",
                "Which side is safe: the queue holds the messages; or the mapping is given back.",
                Words("\"keep_open\" or \"restore\""),
            ),
            setting("pause_s", "Pause before going on.", Range(10.0, 3_600.0, "seconds")),
        ],
    },
    Section {
        name: "logs",
        about: "Log groups.",
        settings: &[setting(
            "retention_days",
            "How long logs are kept.",
            Words(
                "a number of days that CloudWatch Logs knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, ...",
            ),
        )],
    },
    Section {
        name: "example",
        about: "The example queue and consumer, which the stack gets when no consumer of yours is named.",
        settings: &[
            setting("fifo", "A FIFO queue instead of a standard one.", Flag),
            setting("encrypted", "A queue encrypted with a customer managed key.", Flag),
            setting(
                "report_batch_item_failures",
                "The consumer answers with the messages that failed instead of failing whole batches.",
                Flag,
            ),
            setting(
                "ledger",
                "A queue in which the consumer records the id of each processed message.",
                Flag,
            ),
            setting("function_timeout_s", "The consumer's timeout.", Range(1.0, 900.0, "seconds")),
            setting(
                "visibility_timeout_s",
                "The queue's visibility timeout; AWS advises six times the function's timeout.",
                Range(1.0, 43_200.0, "seconds"),
            ),
            setting(
                "max_receive_count",
                "Receives before a message is dead-lettered.",
                Range(1.0, 1_000.0, "receives"),
            ),
            setting(
                "retention_s",
                "How long the queue keeps a message.",
                Range(60.0, 1_209_600.0, "seconds"),
            ),
            setting("batch_size", "Messages per batch.", Range(1.0, 10.0, "messages")),
        ],
    },
];

/// The consumer that exists already. It has no defaults, and is commented out as a whole.
const CONSUMER: Section = Section {
    name: "consumer",
    about: "A consumer of yours, instead of the example: its function, queue and mapping as they are.",
    settings: &[
        optional(
            "function_arn",
            "The function, unqualified or with an alias.",
            Words("the ARN of a Lambda function"),
            "\"arn:aws:lambda:eu-west-1:123456789012:function:orders\"",
        ),
        optional("function_timeout_s", "The function's timeout.", Range(1.0, 900.0, "seconds"), "30"),
        optional(
            "mapping_uuid",
            "The event source mapping.",
            Words("its UUID, as `aws lambda list-event-source-mappings` prints it"),
            "\"14e0db71-1f6a-4a5e-9a1c-2d1f4a1b2c3d\"",
        ),
        optional(
            "event_metrics",
            "Whether the mapping's event metrics (EventCount) are on; without them the signals \"mapping-events\" and\n\
             \"failed-count\" never fire.",
            Flag,
            "true",
        ),
        optional(
            "queue_url",
            "The queue.",
            Words("its URL"),
            "\"https://sqs.eu-west-1.amazonaws.com/123456789012/orders\"",
        ),
        optional(
            "queue_arn",
            "The same queue.",
            Words("its ARN"),
            "\"arn:aws:sqs:eu-west-1:123456789012:orders\"",
        ),
        optional(
            "visibility_timeout_s",
            "The queue's visibility timeout; AWS advises six times the function's timeout.",
            Range(0.0, 43_200.0, "seconds"),
            "180",
        ),
        optional(
            "max_receive_count",
            "maxReceiveCount of the queue's redrive policy. Without it: no dead-letter queue.",
            Range(1.0, 1_000.0, "receives"),
            "10",
        ),
        optional(
            "kms_key_arn",
            "The customer managed key that encrypts the queue. Without it: none, or SQS's own keys.",
            Words("the ARN of a KMS key"),
            "\"arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab\"",
        ),
        optional(
            "retention_s",
            "How long the queue keeps a message. Without it: not compared with the dead-letter queue's.",
            Range(60.0, 1_209_600.0, "seconds"),
            "345600",
        ),
        optional(
            "dead_letter_retention_s",
            "How long the dead-letter queue keeps one, counted from the first send.",
            Range(60.0, 1_209_600.0, "seconds"),
            "1209600",
        ),
        optional(
            "dead_letter_queue_url",
            "The dead-letter queue. Without it and its ARN: its retention and its messages play no part.",
            Words("its URL"),
            "\"https://sqs.eu-west-1.amazonaws.com/123456789012/orders-dead\"",
        ),
        optional(
            "dead_letter_queue_arn",
            "The same queue.",
            Words("its ARN"),
            "\"arn:aws:sqs:eu-west-1:123456789012:orders-dead\"",
        ),
        optional(
            "dead_letter_kms_key_arn",
            "The customer managed key that encrypts it. Without it: none, or SQS's own keys.",
            Words("the ARN of a KMS key"),
            "\"arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab\"",
        ),
        optional(
            "report_batch_item_failures",
            "Whether the mapping takes partial batch responses (ReportBatchItemFailures).",
            Flag,
            "false",
        ),
        optional(
            "provisioned_mode",
            "Whether the mapping is in provisioned mode (it has a ProvisionedPollerConfig).",
            Flag,
            "false",
        ),
    ],
};

/// A `breaker.toml` in which every setting stands with its default, its unit and its range.
pub fn commented_default() -> String {
    let defaults = Table::try_from(BreakerConfig::default()).expect("a configuration is plain data");
    let circuit = &defaults["circuits"][CIRCUIT];
    let mut text = format!(
        "# Circuit breakers of one stack. Every setting has the default that stands here, so a line can be left out.\n\
         # Lines that begin with `#name = ` have no default; remove the `#` to set them.\n\
         # `breaker config check` says all that is wrong or unsafe in this file.\n\
         \n\
         # One table per guarded dependency. Its name: a lower-case letter, then lower-case letters, digits and\n\
         # hyphens, 32 characters at most.\n\
         [circuits.{CIRCUIT}]\n"
    );
    for setting in CIRCUIT_SETTINGS {
        text.push_str(&entry(setting, circuit.get(setting.key)));
    }
    for section in SECTIONS {
        text.push_str(&format!("\n# {}\n[circuits.{CIRCUIT}.{}]\n", section.about, section.name));
        for setting in section.settings {
            text.push_str(&entry(
                setting,
                circuit.get(section.name).and_then(|table| table.get(setting.key)),
            ));
        }
    }
    text.push_str(&format!("\n# {}\n#[circuits.{CIRCUIT}.{}]\n", CONSUMER.about, CONSUMER.name));
    for setting in CONSUMER.settings {
        text.push_str(&entry(setting, None));
    }
    text
}

/// A setting: what it means, what it takes, its value.
fn entry(setting: &Setting, default: Option<&Value>) -> String {
    let allowed = match setting.allowed {
        Range(min, max, unit) => format!("{} to {} {unit}", bound(min), bound(max)),
        Flag => "true or false".to_owned(),
        Words(words) => words.to_owned(),
    };
    let about = setting.about.replace('\n', "\n# ");
    let line = match (default, setting.sample) {
        (Some(value), _) => format!("{} = {value}", setting.key),
        (None, Some(sample)) => format!("#{} = {sample}", setting.key),
        (None, None) => unreachable!("the tests compare the settings with the defaults"),
    };
    format!("# {about}\n# Allowed: {allowed}.\n{line}\n")
}

/// A bound as it is written: whole ones with their thousands apart.
fn bound(number: f64) -> String {
    if number.fract() == 0.0 { grouped(number as u64) } else { number.to_string() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use workflow::config::Findings;

    use super::*;

    #[test]
    fn the_printed_defaults_are_the_defaults() {
        assert_eq!(BreakerConfig::from_toml(&commented_default()), Ok(BreakerConfig::default()));
    }

    /// The printed file with the `#` removed before every setting.
    fn everything_set() -> Table {
        let printed = commented_default();
        let lines = printed.lines().map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => rest,
            _ => line,
        });
        let mut table: Table = lines.collect::<Vec<_>>().join("\n").parse().unwrap();
        // The one sample that asks for another setting than the default.
        table["circuits"][CIRCUIT]["alarm"]["signal"] = Value::from("existing");
        table
    }

    #[test]
    fn the_samples_are_allowed_too() {
        let text = everything_set().to_string();
        let config = BreakerConfig::from_toml(&text).unwrap();
        assert_eq!(config.validate(), Findings(Vec::new()));
        assert!(config.circuits[CIRCUIT].consumer.is_some());
    }

    /// What the configuration answers to a setting that it does not know: the names of those it knows.
    fn known(section: &str) -> BTreeSet<String> {
        let mut table = everything_set();
        let place = table["circuits"][CIRCUIT].as_table_mut().unwrap();
        let place = if section.is_empty() { place } else { place[section].as_table_mut().unwrap() };
        place.insert("zzz".to_owned(), Value::Boolean(true));
        let Findings(findings) = BreakerConfig::from_toml(&table.to_string()).unwrap_err();
        let (_, names) = findings[0].allowed.split_once("here are: ").unwrap();
        names.split(", ").map(str::to_owned).collect()
    }

    #[test]
    fn what_can_be_accepted_is_printed() {
        let Words(words) = CIRCUIT_SETTINGS[0].allowed else { unreachable!("it is a list of words") };
        for code in workflow::config::code::ACCEPTABLE {
            assert!(words.contains(&format!("{code:?}")), "{code}");
        }
    }

    #[test]
    fn every_setting_is_printed() {
        let sections: Vec<&Section> = SECTIONS.iter().chain([&CONSUMER]).collect();
        let tables = sections.iter().map(|section| section.name.to_owned());
        let own = CIRCUIT_SETTINGS.iter().map(|setting| setting.key.to_owned());
        assert_eq!(known(""), tables.chain(own).collect());
        for section in sections {
            let printed = section.settings.iter().map(|setting| setting.key.to_owned()).collect();
            assert_eq!(known(section.name), printed, "{}", section.name);
        }
    }

    /// Sets one value and returns what is said of it.
    fn findings_of(section: &str, key: &str, value: Value) -> Vec<String> {
        let mut table = everything_set();
        let circuit = table["circuits"][CIRCUIT].as_table_mut().unwrap();
        if section != CONSUMER.name {
            circuit.remove(CONSUMER.name);
        }
        circuit[section].as_table_mut().unwrap().insert(key.to_owned(), value);
        let name = format!("circuits.{CIRCUIT}.{section}.{key}");
        match BreakerConfig::from_toml(&table.to_string()) {
            Ok(_) => Vec::new(),
            Err(findings) => findings
                .refusing()
                .filter(|finding| finding.name == name)
                .map(|finding| finding.allowed.clone())
                .collect(),
        }
    }

    #[test]
    fn the_printed_ranges_are_the_ranges() {
        let mut count = 0;
        for section in SECTIONS.iter().chain([&CONSUMER]) {
            for setting in section.settings {
                let Range(min, max, unit) = setting.allowed else { continue };
                let is_float = setting.key.ends_with("_percent") || setting.key == "drain_per_s";
                let beyond = if is_float { Value::Float(max + 1.0) } else { Value::Integer(max as i64 + 1) };
                let said = findings_of(section.name, setting.key, beyond);
                let expected = format!("must be {min} to {max} {unit}");
                assert!(
                    said.contains(&expected),
                    "{}.{}: {said:?}, not {expected}",
                    section.name,
                    setting.key
                );
                count += 1;
            }
        }
        assert!(count > 20, "{count}");
    }
}

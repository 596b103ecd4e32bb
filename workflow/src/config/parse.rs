//! From `breaker.toml` to a [`BreakerConfig`], with every mistake found in one pass.
//!
//! serde stops at the first value of a wrong type. Here the offending value is noted, taken out of the document (so
//! that its default stands in) and the document is read again, until nothing is wrong any more.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::{BreakerConfig, CircuitConfig, ConsumerConfig, Finding, Findings, Severity, code};

/// Most wrong values that are reported; a document with more is no configuration at all.
const MAX_WRONG_VALUES: usize = 100;

impl BreakerConfig {
    /// Reads and validates a configuration.
    ///
    /// # Errors
    /// All findings, when at least one of them refuses the configuration: unknown settings, values of a wrong type, values
    /// out of range, settings that contradict each other, and unsafe ones that are not accepted.
    pub fn from_toml(text: &str) -> Result<BreakerConfig, Findings> {
        let (config, mut findings) = parse(text)?;
        findings.extend(config.validate().0);
        findings.sort_by_key(|finding| finding.severity);
        let findings = Findings(findings);
        if findings.is_usable() { Ok(config) } else { Err(findings) }
    }

    /// Reads a configuration without judging its values, for those who hold them against the account first.
    ///
    /// # Errors
    /// What is wrong with the document itself: its syntax, unknown settings, values of a wrong type, no circuit.
    pub fn from_toml_unjudged(text: &str) -> Result<BreakerConfig, Findings> {
        let (config, findings) = parse(text)?;
        if findings.is_empty() { Ok(config) } else { Err(Findings(findings)) }
    }
}

/// The configuration and what is wrong with the document; wrong values are replaced by their defaults.
///
/// # Errors
/// A document of which nothing can be made.
fn parse(text: &str) -> Result<(BreakerConfig, Vec<Finding>), Findings> {
    let mut table: Table = text.parse().map_err(|error: toml::de::Error| {
        Findings(vec![Finding::new(
            Severity::Error,
            code::NOT_TOML,
            "breaker.toml",
            "(the document)",
            format!("not TOML: {}", error.to_string().trim_end()),
            "correct the syntax at the place shown",
        )])
    })?;
    let mut findings = Vec::new();
    let config = loop {
        match read(&table) {
            Ok((config, unknown)) => {
                findings.extend(unknown.iter().map(|path| unknown_setting(path, &table)));
                break config;
            }
            Err(wrong) if findings.len() < MAX_WRONG_VALUES && take_out(&mut table, &wrong.path) => {
                findings.push(*wrong.finding);
            }
            Err(wrong) => {
                findings.push(*wrong.finding);
                return Err(Findings(findings));
            }
        }
    };
    if config.circuits.is_empty() {
        findings.push(Finding::new(
            Severity::Error,
            code::NO_CIRCUIT,
            "circuits",
            "(none)",
            "at least one circuit",
            "add a table such as [circuits.orders]",
        ));
    }
    Ok((config, findings))
}

/// A value that does not fit its setting.
struct WrongValue {
    path: Vec<String>,
    finding: Box<Finding>,
}

/// Reads the document once: the configuration and the paths nobody asked for, or the first wrong value.
fn read(table: &Table) -> Result<(BreakerConfig, BTreeSet<String>), WrongValue> {
    let mut unknown = BTreeSet::new();
    let mut track = serde_path_to_error::Track::new();
    let outcome: Result<BreakerConfig, toml::de::Error> = {
        let tracked = serde_path_to_error::Deserializer::new(table.clone(), &mut track);
        serde_ignored::deserialize(tracked, |path| {
            unknown.insert(path.to_string().replace(".?", ""));
        })
    };
    let path = track.path();
    outcome.map(|config| (config, unknown)).map_err(|error| {
        let path: Vec<String> = path
            .iter()
            .filter_map(|segment| match segment {
                serde_path_to_error::Segment::Map { key } => Some(key.clone()),
                serde_path_to_error::Segment::Seq { index } => Some(index.to_string()),
                serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => None,
            })
            .collect();
        let value = look_up(table, &path).map_or_else(|| "(missing)".to_owned(), brief);
        let finding = Finding::new(
            Severity::Error,
            code::WRONG_VALUE,
            path.join("."),
            value,
            in_plain_words(error.message().trim_end()),
            "correct the value, or remove the line to get the default",
        );
        WrongValue { path, finding: Box::new(finding) }
    })
}

/// What the deserializer says of a wrong value, without the names of Rust's types. That a value is missing it says plainly.
fn in_plain_words(message: &str) -> String {
    let told = ["invalid type", "invalid value", "unknown variant"];
    let is_wrong = told.iter().any(|start| message.starts_with(start));
    let Some((_, expected)) = message.rsplit_once("expected ").filter(|_| is_wrong) else {
        return message.to_owned();
    };
    let plain = match expected {
        "u32" => "a whole number from 0 to 4,294,967,295, without quotes",
        "f64" => "a number, without quotes",
        "a boolean" => "true or false, without quotes",
        "a string" => "text in quotes",
        "string only" => "one of its words, in quotes",
        "a sequence" => "a list, such as [\"a\", \"b\"] or [2, 10]",
        "a map" => "a table",
        _ if expected.starts_with("struct ") => "a table",
        other => other,
    };
    format!("must be {plain}")
}

/// A value as it is shown in a message.
fn brief(value: &Value) -> String {
    match value {
        Value::Table(_) => "(a table)".to_owned(),
        Value::Array(_) => "(a list)".to_owned(),
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {
            value.to_string()
        }
    }
}

fn look_up<'a>(table: &'a Table, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(table.get(first)?, |value, key| value.get(key.as_str()))
}

/// Removes the value at `path`; false when there is none (a required value is missing, say).
fn take_out(table: &mut Table, path: &[String]) -> bool {
    let Some((last, parents)) = path.split_last() else { return false };
    let mut current = table;
    for key in parents {
        match current.get_mut(key) {
            Some(Value::Table(inner)) => current = inner,
            _ => return false,
        }
    }
    current.remove(last).is_some()
}

/// A setting that does not exist, with the nearest one that does.
fn unknown_setting(path: &str, table: &Table) -> Finding {
    let segments: Vec<String> = path.split('.').map(str::to_owned).collect();
    let (last, parents) = segments.split_last().expect("a path that was ignored has at least one segment");
    let known = known_settings(parents);
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(name, last), name))
        .min()
        .filter(|(distance, name)| *distance <= 1 + name.len() / 3);
    let fix = match nearest {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => "remove it".to_owned(),
    };
    Finding::new(
        Severity::Error,
        code::UNKNOWN_SETTING,
        path,
        look_up(table, &segments).map_or_else(String::new, brief),
        format!("no such setting; here are: {}", known.join(", ")),
        fix,
    )
}

/// Names of the settings in the table at `parents`, read off a configuration in which every setting is present.
fn known_settings(parents: &[String]) -> Vec<String> {
    let mut complete = Table::try_from(BreakerConfig::single("any", every_setting()))
        .map(Value::Table)
        .expect("a configuration is plain data");
    for (depth, key) in parents.iter().enumerate() {
        let key = if depth == 1 { "any" } else { key.as_str() };
        match complete.get(key) {
            Some(inner) => complete = inner.clone(),
            None => return Vec::new(),
        }
    }
    complete.as_table().map(|table| table.keys().cloned().collect()).unwrap_or_default()
}

/// A circuit whose optional settings are all present.
fn every_setting() -> CircuitConfig {
    let mut circuit = CircuitConfig {
        consumer: Some(ConsumerConfig {
            function_arn: String::new(),
            function_timeout_s: 1,
            mapping_uuid: String::new(),
            event_metrics: false,
            queue_url: String::new(),
            queue_arn: String::new(),
            visibility_timeout_s: 1,
            max_receive_count: Some(1),
            kms_key_arn: Some(String::new()),
            retention_s: Some(60),
            dead_letter_retention_s: Some(60),
            dead_letter_queue_url: Some(String::new()),
            dead_letter_queue_arn: Some(String::new()),
            dead_letter_kms_key_arn: Some(String::new()),
            report_batch_item_failures: false,
            provisioned_mode: false,
        }),
        ..CircuitConfig::default()
    };
    circuit.dependency = Some(String::new());
    circuit.alarm.existing_alarm_arn = Some(String::new());
    circuit.probe.deadline_s = Some(1);
    circuit.probe.health_check_function_arn = Some(String::new());
    circuit.rejitter.strategy = Some(crate::contract::RejitterStrategy::Off);
    circuit.retention.raise_to_s = Some(60);
    circuit.exhausted.after_probes_count = Some(1);
    circuit
}

//! `breaker init`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use infra::aws::{self, FoundConsumer, Search};
use serde_json::json;
use toml::Value;
use workflow::config::{BreakerConfig, CircuitConfig, ConsumerConfig, Finding, Findings, code};

use super::{block_on, connect, problem, unread_alarms};
use crate::args::InitArgs;
use crate::exit::ExitCode;
use crate::printer::Printer;
use crate::problem::{Problem, Refusal};

/// Longest name of a circuit.
const MAX_NAME: usize = 32;

/// Finds the consumer, writes a circuit for it into the configuration, and prints what is unsafe about it.
pub fn run(args: &InitArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    let before = existing(&args.config)?;
    let found = block_on(async {
        let account = connect(&args.target, printer).await?;
        let search = Search { function: args.function.clone(), queue: args.queue.clone() };
        aws::find_consumer(&account, &search).await.map_err(problem)
    })?;
    let name = args.circuit.clone().unwrap_or_else(|| circuit_name(&found.function_name));
    let text = match &before {
        None => format!("{HEADER}\n{}", circuit_text(&name, &found)),
        Some(text) => format!("{}\n\n{}", text.trim_end(), circuit_text(&name, &found)),
    };
    // Judged alone first: other circuits of the file are not what was asked about.
    let circuit = CircuitConfig { consumer: Some(found.facts.clone()), ..CircuitConfig::default() };
    let alone = BreakerConfig::single(&name, circuit);
    let findings = aws::findings(&alone, &name, &found, false);
    fits(&text, &name, args)?;
    write(&args.config, &text)?;
    tell(args, &name, &found, &findings, before.is_some(), printer);
    Ok(ExitCode::Done)
}

/// What a new file may be used for before the umask takes some of it away.
const NEW_FILE_MODE: u32 = 0o666;

/// What stands above the first circuit.
const HEADER: &str = "# Circuit breakers, one table [circuits.NAME] each; all of them live in one stack.\n\
    # `breaker config default` prints every setting with its default; `breaker config check` looks for mistakes.\n";

/// The configuration that is there already.
fn existing(path: &Path) -> Result<Option<String>, Refusal> {
    match fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Problem::caused(format!("{} cannot be read", path.display()), &error)
            .hint("name another file with --config")
            .into()),
    }
}

/// `Orders_Consumer` becomes `orders-consumer`.
fn circuit_name(function: &str) -> String {
    let lowered = function.to_ascii_lowercase();
    let name: String = lowered.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let name: String = name.chars().take(MAX_NAME).collect();
    let name = name.trim_end_matches('-');
    if name.is_empty() { "consumer".to_owned() } else { name.to_owned() }
}

/// Refuses a result that could not be read again, before anything is written.
fn fits(text: &str, name: &str, args: &InitArgs) -> Result<(), Refusal> {
    let file = args.config.display();
    let clash = |what: String| {
        Problem::error(what).hint("choose another name with --circuit, or another file with --config")
    };
    text.parse::<toml::Table>()
        .map_err(|error| clash(format!("circuit {name} cannot be added to {file}: {}", error.message())))?;
    let config = BreakerConfig::from_toml_unjudged(text)
        .map_err(|Findings(findings)| Refusal(findings.iter().map(Problem::from).collect()))?;
    let fatal = |finding: &&Finding| [code::SHARED_MAPPING, code::INVALID_NAME].contains(&finding.code);
    let Findings(findings) = config.validate();
    let problems: Vec<Problem> = findings.iter().filter(fatal).map(Problem::from).collect();
    if problems.is_empty() { Ok(()) } else { Err(Refusal(problems)) }
}

/// Writes the file whole or not at all.
fn write(path: &Path, text: &str) -> Result<(), Refusal> {
    let cannot = |error: &std::io::Error| {
        Problem::caused(format!("{} cannot be written", path.display()), error)
            .hint("name a file that you may write with --config; nothing was changed")
    };
    // A link stays one: what it leads to is replaced.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Others may read it as they may any new file (the umask says), or as they could before.
    let mut builder = tempfile::Builder::new();
    let before = fs::metadata(path).map(|metadata| metadata.permissions()).ok();
    let mut file = builder
        .permissions(before.clone().unwrap_or_else(|| fs::Permissions::from_mode(NEW_FILE_MODE)))
        .tempfile_in(dir)
        .map_err(|error| cannot(&error))?;
    if let Some(before) = before {
        fs::set_permissions(file.path(), before).map_err(|error| cannot(&error))?;
    }
    file.write_all(text.as_bytes()).map_err(|error| cannot(&error))?;
    file.persist(path).map_err(|error| cannot(&error.error))?;
    Ok(())
}

/// The circuit as it stands in the file, commented.
fn circuit_text(name: &str, found: &FoundConsumer) -> String {
    let ConsumerConfig {
        function_arn,
        function_timeout_s,
        mapping_uuid,
        event_metrics,
        queue_url,
        queue_arn,
        visibility_timeout_s,
        max_receive_count,
        kms_key_arn,
        retention_s,
        dead_letter_retention_s,
        dead_letter_queue_url,
        dead_letter_queue_arn,
        dead_letter_kms_key_arn,
        report_batch_item_failures,
        provisioned_mode,
    } = &found.facts;
    let mut text = format!(
        "[circuits.{name}]\n# Findings that you have looked at and want to live with, by name: accept = [\"receive-budget\"]\n\n\
         # As the account shows it. `breaker doctor` says when the account has changed.\n[circuits.{name}.consumer]\n"
    );
    let quoted = |value: &str| Value::String(value.to_owned()).to_string();
    let mut line = |key: &str, value: Option<String>, about: &str| match value {
        Some(value) => text.push_str(&format!("{key} = {value}  # {about}\n")),
        None => text.push_str(&format!("# {key}: none, {about}\n")),
    };
    line("function_arn", Some(quoted(function_arn)), "the consumer");
    line("function_timeout_s", Some(function_timeout_s.to_string()), "its timeout, seconds");
    line("mapping_uuid", Some(quoted(mapping_uuid)), "the event source mapping that is switched");
    line(
        "event_metrics",
        Some(event_metrics.to_string()),
        "`breaker deploy` asks before it switches them on",
    );
    line(
        "report_batch_item_failures",
        Some(report_batch_item_failures.to_string()),
        "whether the mapping takes partial batch responses",
    );
    line(
        "provisioned_mode",
        Some(provisioned_mode.to_string()),
        "whether the mapping has provisioned pollers",
    );
    line("queue_url", Some(quoted(queue_url)), "the queue");
    line("queue_arn", Some(quoted(queue_arn)), "the same queue");
    line(
        "visibility_timeout_s",
        Some(visibility_timeout_s.to_string()),
        "AWS advises six times the function's timeout",
    );
    line(
        "max_receive_count",
        max_receive_count.map(|count| count.to_string()),
        "receives before a message is dead-lettered",
    );
    line(
        "retention_s",
        retention_s.map(|s| s.to_string()),
        "for how long the queue keeps a message, seconds",
    );
    line(
        "dead_letter_retention_s",
        dead_letter_retention_s.map(|s| s.to_string()),
        "the same of the dead-letter queue",
    );
    line("dead_letter_queue_url", dead_letter_queue_url.as_deref().map(quoted), "the dead-letter queue");
    line("dead_letter_queue_arn", dead_letter_queue_arn.as_deref().map(quoted), "the same queue");
    line(
        "dead_letter_kms_key_arn",
        dead_letter_kms_key_arn.as_deref().map(quoted),
        "its customer managed key",
    );
    line("kms_key_arn", kms_key_arn.as_deref().map(quoted), "customer managed key of the queue");
    text.push_str(&alarm_text(name, found));
    text
}

/// Alarms that are there already could trip the circuit, so they are offered.
fn alarm_text(name: &str, found: &FoundConsumer) -> String {
    let mut text = format!(
        "\n[circuits.{name}.alarm]\n# signal = \"mapping-events\"  # share of failed events of the mapping; others: \
         \"function-errors\", \"failed-count\", \"existing\"\n"
    );
    for alarm in &found.alarms {
        text.push_str(&format!(
            "# An alarm on {} that exists: signal = \"existing\", existing_alarm_arn = \"{}\"\n",
            alarm.metric, alarm.arn
        ));
    }
    text
}

fn tell(
    args: &InitArgs,
    name: &str,
    found: &FoundConsumer,
    findings: &Findings,
    was_there: bool,
    printer: &mut Printer,
) {
    let file = args.config.display();
    if args.json {
        let answer = json!({
            "file": file.to_string(), "circuit": name, "consumer": found.facts, "now": found.momentary,
            "alarms": found.alarms, "findings": findings,
        });
        printer.data(&answer.to_string());
    } else {
        for finding in &findings.0 {
            printer.data(&Problem::from(finding).block());
        }
    }
    unread_alarms(found, printer);
    let verb = if was_there { "added to" } else { "written to" };
    printer.note(&format!("circuit {name} was {verb} {file}"));
    printer.hint(if findings.is_usable() {
        "next: `breaker package`, then `breaker diff` and `breaker deploy`"
    } else {
        "some findings keep the breaker from being deployed: mend them, or accept them by name in the file"
    });
}

#[cfg(test)]
mod tests {
    use super::circuit_name;

    #[test]
    fn a_function_gives_its_circuit_a_legal_name() {
        for (function, name) in [
            ("orders", "orders"),
            ("Orders_Consumer", "orders-consumer"),
            ("42-things", "things"),
            ("a-very-long-name-of-a-function-in-production", "a-very-long-name-of-a-function-i"),
            ("___", "consumer"),
        ] {
            assert_eq!(circuit_name(function), name);
        }
    }
}

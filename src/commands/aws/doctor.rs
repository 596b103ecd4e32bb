//! `breaker doctor`.

use infra::aws;
use serde_json::json;
use workflow::config::{Finding, Findings, Severity};

use super::deploy::open_circuits;
use super::{block_on, connect, problem, unread_alarms};
use crate::args::DoctorArgs;
use crate::config_file;
use crate::exit::ExitCode;
use crate::printer::Printer;
use crate::problem::{Problem, Refusal};

/// Holds the configuration against the account. The findings are what was asked for, so they go to standard output.
pub fn run(args: &DoctorArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    let config = config_file::load_unjudged(&args.config)?;
    block_on(async {
        let account = connect(&args.target, printer).await?;
        let open = open_circuits(&account, &args.stack).await?;
        let mut findings = Vec::new();
        let mut seen = Vec::new();
        for (name, circuit) in &config.circuits {
            let Some(consumer) = &circuit.consumer else {
                findings.extend(of_example(&config.validate(), name));
                continue;
            };
            let found = aws::reread(&account, consumer).await.map_err(problem)?;
            unread_alarms(&found, printer);
            findings.extend(aws::findings(&config, name, &found, open.contains(name)).0);
            seen.push(json!({
                "circuit": name,
                "open": open.contains(name),
                "function": found.function_name,
                "now": found.momentary,
                "event_metrics": found.facts.event_metrics,
                "alarms": found.alarms,
            }));
        }
        let findings = Findings(findings);
        let usable = findings.is_usable();
        if args.json {
            printer.data(&json!({ "healthy": usable, "findings": findings, "circuits": seen }).to_string());
        } else {
            tell(&findings, &seen, printer);
        }
        Ok(if usable { ExitCode::Done } else { ExitCode::NotAsWanted })
    })
}

fn of_example(findings: &Findings, circuit: &str) -> Vec<Finding> {
    let prefix = format!("circuits.{circuit}.");
    findings.0.iter().filter(|finding| finding.name.starts_with(&prefix)).cloned().collect()
}

fn tell(findings: &Findings, seen: &[serde_json::Value], printer: &mut Printer) {
    for circuit in seen {
        let now = &circuit["now"];
        printer.data(&format!(
            "{}: mapping {}{}, {} waiting, {} dead-lettered, event metrics {}",
            circuit["circuit"].as_str().unwrap_or_default(),
            now["mapping_state"].as_str().unwrap_or_default(),
            if circuit["open"] == true { " while its circuit is open" } else { "" },
            now["waiting_count"],
            now["dead_letter_count"],
            if circuit["event_metrics"] == true { "on" } else { "off" },
        ));
    }
    for finding in &findings.0 {
        printer.data(&Problem::from(finding).block());
    }
    printer.note(
        &match (findings.count(Severity::Error) + findings.count(Severity::Unsafe), findings.0.len()) {
            (0, 0) => "nothing was found wrong".to_owned(),
            (0, count) => {
                format!("{count} worth knowing, nothing that keeps the breaker from being deployed")
            }
            (refusing, _) => format!("{refusing} that keep the breaker from being deployed"),
        },
    );
}

//! `breaker config check` and `breaker config default`.

use serde_json::json;
use workflow::config::Severity;

use crate::args::CheckArgs;
use crate::config_file::{self, Reading};
use crate::exit::ExitCode;
use crate::printer::Printer;
use crate::problem::{Problem, Refusal};
use crate::settings;

/// Prints what is wrong or unsafe in a configuration. The findings are what was asked for, so they go to standard output.
pub fn check(args: &CheckArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    let Reading { config, findings } = config_file::read(&args.file)?;
    let file = args.file.display();
    if args.json {
        let answer = json!({ "file": file.to_string(), "usable": config.is_some(), "findings": findings });
        printer.data(&answer.to_string());
    } else {
        for finding in &findings.0 {
            printer.data(&Problem::from(finding).block());
        }
        let errors = counted(findings.count(Severity::Error), "error");
        let warnings = counted(findings.count(Severity::Warning), "warning");
        let refused = match findings.count(Severity::Unsafe) {
            0 => String::new(),
            count => format!("{count} unsafe and not accepted, "),
        };
        printer.note(&format!("{file}: {errors}, {refused}{warnings}"));
    }
    Ok(if config.is_some() { ExitCode::Done } else { ExitCode::CannotRun })
}

fn counted(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// Prints a configuration with every setting.
pub fn default(printer: &mut Printer) -> Result<ExitCode, Refusal> {
    printer.data(settings::commented_default().trim_end());
    Ok(ExitCode::Done)
}

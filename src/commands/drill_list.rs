//! `breaker drill list`.

use anstyle::Style;
use drill::scenario::{self, Scenario};
use serde_json::json;

use crate::args::ListArgs;
use crate::exit::ExitCode;
use crate::printer::{Printer, paint};
use crate::problem::Refusal;

/// Lists the scenarios.
pub fn run(args: &ListArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    let scenarios = scenario::all();
    if args.json {
        let list: Vec<_> = scenarios.iter().map(as_json).collect();
        printer.data(&serde_json::Value::from(list).to_string());
        return Ok(ExitCode::Done);
    }
    let width = scenarios.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    for scenario in &scenarios {
        let name = paint(Style::new().bold(), scenario.name);
        let gap = width - scenario.name.len() + 2;
        printer.data(&format!("{name}{:gap$}{}", "", scenario.summary));
    }
    Ok(ExitCode::Done)
}

fn as_json(scenario: &Scenario) -> serde_json::Value {
    json!({
        "name": scenario.name,
        "summary": scenario.summary,
        "simulated_s": scenario.length.as_secs(),
    })
}

//! `breaker diff`.

use serde_json::json;

use super::deploy::{load, plan};
use super::plan_text::plan_text;
use super::{block_on, connect};
use crate::args::DiffArgs;
use crate::exit::ExitCode;
use crate::packages;
use crate::printer::Printer;
use crate::problem::Refusal;

/// Prints what a deployment would change.
pub fn run(args: &DiffArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    let config = load(args.what.config.as_deref(), printer)?;
    let assembly = crate::commands::synth::assemble(&config)?;
    let ready = packages::load(&args.what.packages, &assembly)?;
    block_on(async {
        let account = connect(&args.target, printer).await?;
        let plan = plan(&account, &config, &assembly, &ready, &args.what).await?;
        if args.json {
            let answer = json!({
                "stack": plan.stack,
                "status": plan.deployed.as_ref().map(|stack| &stack.status),
                "differs": !plan.is_empty(),
                "broadens_permissions": plan.diff.broadens(),
                "diff": plan.diff,
                "event_metrics_on": plan.switch_on,
                "event_metrics_off": plan.put_back,
                "open_circuits": plan.open,
            });
            printer.data(&answer.to_string());
        } else {
            printer.data(&plan_text(&plan));
        }
        Ok(if args.fail && !plan.is_empty() { ExitCode::NotAsWanted } else { ExitCode::Done })
    })
}

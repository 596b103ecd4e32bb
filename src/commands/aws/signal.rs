//! `breaker signal recovered`.

use infra::aws;
use serde_json::json;
use workflow::contract::SignalDetail;

use super::{block_on, connect, problem};
use crate::args::RecoveredArgs;
use crate::exit::ExitCode;
use crate::printer::Printer;
use crate::problem::Refusal;

/// Says on the bus that a dependency has recovered.
pub fn recovered(args: &RecoveredArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    block_on(async {
        let account = connect(&args.target, printer).await?;
        let by = args.by.as_deref().unwrap_or(&account.caller);
        let detail = SignalDetail {
            circuit: args.circuit.clone(),
            dependency: args.dependency.clone(),
            reason: Some(format!("{by}: {}", args.reason)),
        };
        let id = aws::signal_recovered(&account, &detail).await.map_err(problem)?;
        if args.json {
            printer.data(&json!({ "event_id": id, "detail": detail }).to_string());
            return Ok(ExitCode::Done);
        }
        let meant = match (&args.circuit, &args.dependency) {
            (Some(circuit), _) => format!("circuit {circuit} probes"),
            (None, dependency) => {
                format!("every circuit that depends on {} probes", dependency.as_deref().unwrap_or_default())
            }
        };
        printer.data(&format!("event {id} is on the bus: {meant} at once, if it is open and waits"));
        printer.hint(
            "breaker status shows what came of it; the log of the signal function says what it did and why",
        );
        Ok(ExitCode::Done)
    })
}

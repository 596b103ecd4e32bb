//! `breaker status`.

use infra::aws::{self, Account, Circuit};
use serde_json::json;
use workflow::status::Status;

use super::{block_on, connect, problem, status_text};
use crate::args::StatusArgs;
use crate::exit::ExitCode;
use crate::printer::Printer;
use crate::problem::{Problem, Refusal, nearest};

/// Prints how the circuits stand.
pub fn run(args: &StatusArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    block_on(async {
        let account = connect(&args.target, printer).await?;
        let circuits = match &args.circuit {
            Some(_) => vec![find(&account, &args.stack, args.circuit.as_deref()).await?],
            None => aws::circuits(&account, &args.stack).await.map_err(problem)?,
        };
        let mut all = Vec::new();
        for circuit in &circuits {
            let facts = aws::facts(&account, circuit).await.map_err(problem)?;
            let status = Status::of(&facts);
            if !args.json {
                printer.data(&status_text::block(&status, facts.now_ms));
            }
            all.push(status);
        }
        if args.json {
            printer.data(&json!(all).to_string());
        } else if let Some(open) = all.iter().find(|status| status.is_open()) {
            printer.hint(&format!(
                "breaker probe {name} | hold {name} --for 1h | close {name}",
                name = open.circuit
            ));
        }
        Ok(ExitCode::Done)
    })
}

/// The circuit with this name, or the only one.
pub(super) async fn find(account: &Account, stack: &str, name: Option<&str>) -> Result<Circuit, Refusal> {
    let mut circuits = aws::circuits(account, stack).await.map_err(problem)?;
    let names: Vec<String> = circuits.iter().map(|circuit| circuit.wiring.circuit.clone()).collect();
    let index = match name {
        None if circuits.len() == 1 => Some(0),
        None => {
            return Err(Problem::error(format!("stack {stack} has {} circuits", names.len()))
                .allowed(names.join(", "))
                .hint("name the one that is meant")
                .into());
        }
        Some(name) => names.iter().position(|known| known == name),
    };
    if let Some(index) = index {
        return Ok(circuits.swap_remove(index));
    }
    let wanted = name.unwrap_or_default();
    let told = Problem::error(format!("stack {stack} has no circuit {wanted}")).allowed(names.join(", "));
    Err(match nearest(wanted, names.iter().map(String::as_str)) {
        Some(near) => told.hint(format!("did you mean {near}?")),
        None => told.hint("another stack is named with --stack"),
    }
    .into())
}

//! `breaker destroy`.

use infra::aws::{self, Account, Destroyed, Leaving, OpenCircuit};

use super::{Progress, agreed, block_on, connect, listen_for_interrupts, problem};
use crate::args::DestroyArgs;
use crate::exit::ExitCode;
use crate::printer::Printer;
use crate::problem::{Problem, Refusal};

/// Takes the stack away, unless a circuit is open.
pub fn run(args: &DestroyArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    block_on(async {
        let account = connect(&args.target, printer).await?;
        let Some(leaving) = aws::leaving(&account, &args.stack).await.map_err(problem)? else {
            return without_stack(&account, args, printer).await;
        };
        if !leaving.open.is_empty() {
            return Err(Refusal(leaving.open.iter().map(open_circuit).collect()));
        }
        printer.note(&plan_text(&leaving));
        if !args.yes && !agreed("Destroy this?", printer)? {
            printer.note("nothing was changed");
            return Ok(ExitCode::CannotRun);
        }
        let mut interrupt = listen_for_interrupts()?;
        let mut progress = Progress::new("deleting");
        let destroyed =
            aws::destroy(&account, &leaving, &mut interrupt, &mut |step| progress.tell(step, printer)).await;
        printer.end_progress();
        let destroyed = destroyed.map_err(problem)?;
        Ok(tell(args, destroyed, printer))
    })
}

/// There is no stack. Packages of one may lie in the bucket all the same, if its first deployment was killed.
async fn without_stack(
    account: &Account,
    args: &DestroyArgs,
    printer: &mut Printer,
) -> Result<ExitCode, Refusal> {
    let Some((bucket, count)) = aws::stray_packages(account, &args.stack).await.map_err(problem)? else {
        return Err(Problem::error(format!("there is no stack {} in this account and Region", args.stack))
            .hint("check --stack, --region and --profile; a stack that is gone needs nothing more")
            .into());
    };
    printer.note(&format!(
        "there is no stack {}, but an interrupted deployment of it left {count} objects in the bucket {}",
        args.stack, bucket.name
    ));
    if !args.yes && !agreed("Delete them?", printer)? {
        printer.note("nothing was changed");
        return Ok(ExitCode::CannotRun);
    }
    let mut progress = Progress::new("deleting");
    let mut tell = |step| progress.tell(step, printer);
    aws::clear_stray_packages(account, &bucket, &args.stack, &mut tell).await.map_err(problem)?;
    Ok(ExitCode::Done)
}

fn open_circuit(circuit: &OpenCircuit) -> Problem {
    Problem::error(format!(
        "circuit {} is {}: without its workflow the mapping would stay disabled",
        circuit.name, circuit.state
    ))
    .detail(format!("recorded settings: {}", circuit.recorded))
    .hint("wait until the circuit is closed; or enable the mapping yourself, and the breaker yields at its next probe")
}

fn plan_text(leaving: &Leaving) -> String {
    let mut lines = vec![format!(
        "stack {} ({}) with {} resources is deleted",
        leaving.name,
        leaving.stack.status,
        leaving.resources.len()
    )];
    for (id, kind) in leaving.resources.iter().filter(|(_, kind)| kind == "AWS::SQS::Queue") {
        lines.push(format!("  {id} ({kind}) goes with the messages in it"));
    }
    if let Some(table) = &leaving.table {
        lines.push(format!("  table {table} is deleted: every circuit is closed"));
    }
    for uuid in &leaving.put_back {
        lines.push(format!(
            "  mapping {uuid}: the event metrics that were switched on are switched off again"
        ));
    }
    lines.push("  nothing else of your functions, queues and mappings is touched".to_owned());
    if let Some(bucket) = &leaving.bucket {
        lines.push(format!("  the stack's packages in the bucket {} are deleted", bucket.name));
    }
    lines.join("\n")
}

fn tell(args: &DestroyArgs, destroyed: Destroyed, printer: &mut Printer) -> ExitCode {
    let told = match destroyed {
        Destroyed::Done => {
            printer.note(&format!("stack {} is gone, and nothing of it is left", args.stack));
            return ExitCode::Done;
        }
        Destroyed::Failed { status, cause } => {
            let told = Problem::error(format!(
                "CloudFormation could not delete everything: the stack is in {status}"
            ));
            let told = match cause {
                Some(cause) => told.detail(format!(
                    "first to fail: {} ({}): {}",
                    cause.logical_id, cause.resource_type, cause.reason
                )),
                None => told,
            };
            told.hint(format!("mend the cause, then `breaker destroy --stack {}` again", args.stack))
        }
        Destroyed::Stranded(table, open) => {
            let mut told = Problem::error(
                "a circuit opened while the stack was being deleted, and its mapping is disabled",
            );
            for circuit in open {
                told = told.detail(format!("{}: {}", circuit.name, circuit.recorded));
            }
            told.hint("give each mapping named above its recorded settings back: aws lambda update-event-source-mapping --uuid UUID --enabled")
                .hint(format!("the record stays in table {table}; delete it afterwards"))
        }
        Destroyed::Left => Problem::error("left while CloudFormation was still deleting").hint(format!(
            "`breaker destroy --stack {}` again goes on, and removes what the stack leaves behind",
            args.stack
        )),
    };
    printer.problem(&told);
    ExitCode::NotAsWanted
}

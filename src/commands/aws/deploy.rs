//! `breaker deploy`, and what it has in common with `breaker diff`.

use std::path::Path;

use infra::Assembly;
use infra::aws::{self, Account, CloudError, Deployed, Plan, Request, StackOutput, Wanted};
use serde_json::json;
use workflow::config::{BreakerConfig, Finding, Findings, Severity, code};

use super::plan_text::plan_text;
use super::{Progress, agreed, block_on, connect, listen_for_interrupts, problem};
use crate::args::{Approval, DeployArgs, StackArgs};
use crate::config_file;
use crate::exit::ExitCode;
use crate::packages::{self, Ready};
use crate::printer::Printer;
use crate::problem::{Problem, Refusal};

/// Makes or updates the stack: plan, approval, deployment.
pub fn run(args: &DeployArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    let config = load(args.what.config.as_deref(), printer)?;
    let assembly = crate::commands::synth::assemble(&config)?;
    let ready = packages::load(&args.what.packages, &assembly)?;
    block_on(async {
        let account = connect(&args.target, printer).await?;
        check_consumers(&account, &config, &args.what.stack, printer).await?;
        let plan = plan(&account, &config, &assembly, &ready, &args.what).await?;
        printer.note(&plan_text(&plan));
        if plan.is_empty() {
            return finished(args, &plan.deployed.map(|stack| stack.outputs).unwrap_or_default(), printer);
        }
        if !args.yes && needs_approval(args.require_approval, &plan) && !agreed("Deploy this?", printer)? {
            printer.note("nothing was changed");
            return Ok(ExitCode::CannotRun);
        }
        apply(&account, &plan, ready, args, printer).await
    })
}

/// The configuration, and its warnings. Whether event metrics are on is left to the plan, which asks the account.
pub fn load(path: Option<&Path>, printer: &mut Printer) -> Result<BreakerConfig, Refusal> {
    let config = config_file::load_quietly(path, printer)?;
    let Findings(findings) = config.validate();
    findings.iter().filter(|one| is_told(one)).for_each(|one| printer.problem(&one.into()));
    Ok(config)
}

fn is_told(finding: &Finding) -> bool {
    finding.code != code::EVENT_METRICS_OFF
}

/// What a deployment would do.
pub async fn plan(
    account: &Account,
    config: &BreakerConfig,
    assembly: &Assembly,
    ready: &Ready,
    what: &StackArgs,
) -> Result<Plan, Refusal> {
    let wanted = Wanted {
        stack: &what.stack,
        config,
        template: &assembly.template,
        digest: &ready.digest,
        architecture: ready.architecture,
        bucket: what.asset_bucket.as_deref(),
    };
    aws::plan(account, &wanted).await.map_err(problem)
}

/// Holds every consumer against the account before anything is planned.
pub async fn check_consumers(
    account: &Account,
    config: &BreakerConfig,
    stack: &str,
    printer: &mut Printer,
) -> Result<(), Refusal> {
    let open = open_circuits(account, stack).await?;
    let Findings(told) = config.validate();
    let mut refusing = Vec::new();
    for (name, circuit) in &config.circuits {
        let Some(consumer) = &circuit.consumer else { continue };
        let found = aws::reread(account, consumer).await.map_err(problem)?;
        for finding in aws::findings(config, name, &found, open.contains(name)).0 {
            match finding.severity {
                Severity::Error | Severity::Unsafe => refusing.push(Problem::from(&finding)),
                Severity::Warning if told.contains(&finding) || !is_told(&finding) => {}
                Severity::Warning => printer.problem(&(&finding).into()),
            }
        }
    }
    if refusing.is_empty() { Ok(()) } else { Err(Refusal(refusing)) }
}

/// Names of the circuits of a stack that are open; none where there is no stack.
pub async fn open_circuits(account: &Account, stack: &str) -> Result<Vec<String>, Refusal> {
    let open = aws::open_circuits_of(account, stack).await.map_err(problem)?;
    Ok(open.into_iter().map(|circuit| circuit.name).collect())
}

fn needs_approval(required: Approval, plan: &Plan) -> bool {
    match required {
        Approval::Never => false,
        // What is taken away or switched cannot be had back by deploying again.
        Approval::Broadening => {
            plan.diff.broadens()
                || plan.diff.takes_away()
                || !plan.switch_on.is_empty()
                || !plan.put_back.is_empty()
                || !plan.bucket.exists
        }
        Approval::Any => true,
    }
}

async fn apply(
    account: &Account,
    plan: &Plan,
    ready: Ready,
    args: &DeployArgs,
    printer: &mut Printer,
) -> Result<ExitCode, Refusal> {
    let request = Request { plan, packages: ready.files };
    let mut interrupt = listen_for_interrupts()?;
    let mut progress = Progress::new("deploying");
    let deployed =
        aws::deploy(account, &request, &mut interrupt, &mut |step| progress.tell(step, printer)).await;
    printer.end_progress();
    match deployed.map_err(|error| halfway(error, args))? {
        Deployed::Done { outputs, changed } => {
            printer.note(match (changed, &plan.deployed) {
                (false, _) => "CloudFormation had nothing to change",
                (true, None) => "the stack was made",
                (true, Some(_)) => "the stack was updated",
            });
            finished(args, &outputs, printer)
        }
        Deployed::NotBegun => {
            printer.note("you stopped the deployment before CloudFormation began; nothing was changed");
            Ok(ExitCode::NotAsWanted)
        }
        Deployed::RolledBack { status, cause, cancelled } => {
            Ok(rolled_back(args, &status, cause, cancelled, printer))
        }
        Deployed::Left => {
            printer.problem(
                &Problem::error("left while CloudFormation was still at work")
                    .hint(format!("`breaker diff --stack {}` shows the stack's status", args.what.stack)),
            );
            Ok(ExitCode::NotAsWanted)
        }
    }
}

/// A call failed after the plan was agreed to. Running the command again goes on from wherever that was.
fn halfway(error: CloudError, args: &DeployArgs) -> Refusal {
    let hint = error.hint();
    Problem::error(error.to_string())
        .hint(hint)
        .hint(format!(
            "`breaker deploy --stack {}` again goes on from where this ended; what is done already is kept",
            args.what.stack
        ))
        .into()
}

fn rolled_back(
    args: &DeployArgs,
    status: &str,
    cause: Option<aws::ResourceEvent>,
    cancelled: bool,
    printer: &mut Printer,
) -> ExitCode {
    let what = if cancelled { "you stopped the deployment" } else { "the deployment failed" };
    let end = if status == "DELETE_COMPLETE" { "is gone" } else { &format!("is in {status}") };
    let mut told = Problem::error(format!("{what}, and CloudFormation took it back; the stack {end}"));
    if let Some(cause) = cause {
        told = told.detail(format!(
            "first to fail: {} ({}): {}",
            cause.logical_id, cause.resource_type, cause.reason
        ));
    }
    let hint = match status {
        "ROLLBACK_COMPLETE" => {
            format!(
                "mend the cause, `breaker destroy --stack {}` to remove the empty stack, then deploy again",
                args.what.stack
            )
        }
        _ if cancelled => "deploy again whenever you like".to_owned(),
        _ => "mend the cause, then deploy again".to_owned(),
    };
    printer.problem(&told.hint(hint));
    ExitCode::NotAsWanted
}

/// The outputs are what was asked for.
fn finished(args: &DeployArgs, outputs: &[StackOutput], printer: &mut Printer) -> Result<ExitCode, Refusal> {
    if args.json {
        printer.data(&json!({ "stack": args.what.stack, "outputs": outputs }).to_string());
        return Ok(ExitCode::Done);
    }
    let width = outputs.iter().map(|output| output.name.len()).max().unwrap_or(0);
    for output in outputs {
        printer.data(&format!("{:<width$}  {}", output.name, output.value));
    }
    Ok(ExitCode::Done)
}

//! The command line of the circuit breaker: arguments in, one thin module per command, one printer out.

mod args;
mod commands;
mod config_file;
mod exit;
mod input;
#[cfg(feature = "aws")]
mod packages;
mod printer;
mod problem;
mod report_page;
mod settings;
mod settings_file;
mod text;

use clap::Parser;
use clap::error::{ContextKind, ContextValue};

use crate::args::{AwsCommand, Cli, Command, ConfigCommand, DrillCommand};
use crate::exit::ExitCode;
use crate::printer::Printer;
use crate::problem::Refusal;

/// A drill is made of small allocations, which cost about a third of its time with the allocator of glibc
/// (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let error = with_scenario_tip(error);
            // Help goes to standard output and is no failure. A reader that has gone away is none either.
            let _ = error.print();
            let code = if error.use_stderr() { ExitCode::CannotRun } else { ExitCode::Done };
            return code.into();
        }
    };
    let mut printer = Printer::new(cli.color);
    let outcome = run(cli.command, &mut printer);
    printer.finish(outcome).into()
}

/// `breaker drill brownout` lacks the word `run`, which is easily forgotten.
fn with_scenario_tip(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand)
        && let Some(name) =
            problem::nearest(word, drill::scenario::all().iter().map(|scenario| scenario.name))
    {
        let tip = format!("`{name}` is a scenario: breaker drill run {name}");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

fn run(command: Command, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    match command {
        Command::Drill(drill) => match drill.command {
            None => commands::drill_run::run(commands::drill_run::DEFAULT_SCENARIO, &drill.options, printer),
            Some(DrillCommand::Run(run)) => commands::drill_run::run(&run.name, &run.options, printer),
            Some(DrillCommand::Swarm(swarm)) => commands::drill_swarm::run(&swarm, printer),
            Some(DrillCommand::List(list)) => commands::drill_list::run(&list, printer),
            Some(DrillCommand::Asl(asl)) => commands::drill_asl::run(&asl, printer),
        },
        Command::Tune(args) => commands::tune::run(&args, printer),
        Command::Synth(synth) => commands::synth::run(&synth, printer),
        Command::Aws(command) => on_aws(&command, printer),
        Command::Package(package) => commands::package::run(&package, printer),
        Command::Asl(asl) => commands::asl::run(&asl, printer),
        Command::Config(config) => match config.command {
            ConfigCommand::Check(check) => commands::config::check(&check, printer),
            ConfigCommand::Default => commands::config::default(printer),
        },
        Command::Completions(completions) => commands::shell::completions(&completions, printer),
        Command::Man(man) => commands::shell::man(&man, printer),
    }
}

#[cfg(feature = "aws")]
fn on_aws(command: &AwsCommand, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    use crate::args::SignalCommand;
    use workflow::command::Command as Asked;
    match command {
        AwsCommand::Init(init) => commands::aws::init::run(init, printer),
        AwsCommand::Doctor(doctor) => commands::aws::doctor::run(doctor, printer),
        AwsCommand::Diff(diff) => commands::aws::diff::run(diff, printer),
        AwsCommand::Deploy(deploy) => commands::aws::deploy::run(deploy, printer),
        AwsCommand::Status(status) => commands::aws::status::run(status, printer),
        AwsCommand::Watch(watch) => commands::aws::watch::run(watch, printer),
        AwsCommand::Trip(trip) => commands::aws::order::run(Asked::Trip, trip, printer),
        AwsCommand::Close(close) => commands::aws::order::run(Asked::Close, close, printer),
        AwsCommand::Hold(hold) => {
            commands::aws::order::run(Asked::Hold { for_s: hold.for_s }, &hold.order, printer)
        }
        AwsCommand::Release(release) => commands::aws::order::run(Asked::Release, release, printer),
        AwsCommand::Probe(probe) => commands::aws::order::run(Asked::Probe, probe, printer),
        AwsCommand::Signal(signal) => match &signal.command {
            SignalCommand::Recovered(recovered) => commands::aws::signal::recovered(recovered, printer),
        },
        AwsCommand::History(history) => commands::aws::history::run(history, printer),
        AwsCommand::Destroy(destroy) => commands::aws::destroy::run(destroy, printer),
    }
}

#[cfg(not(feature = "aws"))]
fn on_aws(command: &AwsCommand, _printer: &mut Printer) -> Result<ExitCode, Refusal> {
    Err(problem::Problem::without_aws(command.name()).into())
}

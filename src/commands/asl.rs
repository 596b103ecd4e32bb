//! `breaker asl`.

use serde_json::Value;

use crate::args::AslArgs;
use crate::commands::synth::assemble;
use crate::config_file::{self, choose_circuit};
use crate::exit::ExitCode;
use crate::printer::Printer;
use crate::problem::Refusal;

/// Prints the definition of one circuit's state machine.
pub fn run(args: &AslArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    let config = config_file::load(args.config.as_deref(), printer)?;
    let circuit = choose_circuit(config.circuits.keys(), args.circuit.as_deref())?;
    let assembly = assemble(&config)?;
    let text = &assembly.definitions[circuit];
    let definition: Value = serde_json::from_str(text).expect("synth made the definition from a JSON value");
    printer.data(&format!("{definition:#}"));
    Ok(ExitCode::Done)
}

//! `breaker drill asl`.

use std::path::Path;

use drill::asl::Finding;
use drill::asl::mock::run_document;

use crate::args::DrillAslArgs;
use crate::exit::ExitCode;
use crate::input::{STDIN, read_text};
use crate::printer::Printer;
use crate::problem::{Problem, Refusal};

/// Runs a definition alone on virtual time.
pub fn run(args: &DrillAslArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    let files = [
        ("the definition", Some(args.definition.as_path())),
        ("the input", Some(args.input.as_path())),
        ("the mock file", args.mock.as_deref()),
    ];
    if files.iter().filter(|(_, path)| *path == Some(Path::new(STDIN))).count() > 1 {
        return Err(Problem::error("standard input can be read once only")
            .allowed("`-` for one of --definition, --input and --mock")
            .hint("give the other one as a file")
            .into());
    }
    let [definition, input, mock] = read_all(files)?;
    let definition = definition.expect("a definition is a required argument");
    let input = input.expect("an input is a required argument");
    let result = run_document(&definition, &input, mock.as_deref(), args.seed)
        .map_err(|findings| Refusal(findings.0.iter().map(problem).collect()))?;
    printer.data(&result.to_string());
    Ok(ExitCode::Done)
}

fn problem(finding: &Finding) -> Problem {
    // The hint gets a line of its own.
    let told = Finding { hint: String::new(), ..finding.clone() };
    let problem = Problem::error(told.to_string());
    if finding.hint.is_empty() { problem } else { problem.hint(&finding.hint) }
}

/// Reads every file that is named, so that all that cannot be read are told at once.
fn read_all(files: [(&str, Option<&Path>); 3]) -> Result<[Option<String>; 3], Refusal> {
    let mut problems = Vec::new();
    let texts = files.map(|(what, path)| match path.map(|path| read_text(what, path)) {
        Some(Ok(text)) => Some(text),
        Some(Err(problem)) => {
            problems.push(problem);
            None
        }
        None => None,
    });
    if problems.is_empty() { Ok(texts) } else { Err(Refusal(problems)) }
}

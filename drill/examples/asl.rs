//! Runs a definition with mocked tasks: `asl drill asl --definition F --input F [--mock F]`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let file = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        std::fs::read_to_string(args.get(at + 1)?).ok()
    };
    let (Some(definition), Some(input)) = (file("--definition"), file("--input")) else {
        eprintln!("usage: --definition FILE --input FILE [--mock FILE]");
        return ExitCode::from(2);
    };
    match drill::asl::mock::run_document(&definition, &input, file("--mock").as_deref(), 1) {
        Ok(result) => println!("{result}"),
        Err(refusal) => {
            eprintln!("{refusal}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

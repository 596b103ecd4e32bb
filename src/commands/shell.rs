//! `breaker completions` and `breaker man`: what a shell and a pager are told about the command line. Both are made from
//! the types in `args.rs`, so that they cannot lag behind it.

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::exit::ExitCode;
use crate::printer::Printer;
use crate::problem::{Problem, Refusal, nearest};

/// Prints the completions for a shell.
pub fn completions(args: &CompletionsArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    printer.data(String::from_utf8_lossy(&script).trim_end());
    Ok(ExitCode::Done)
}

/// Prints one manual page, or writes all.
pub fn man(args: &ManArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    match &args.out {
        Some(dir) => write_all(dir, printer)?,
        None => {
            let mut root = Cli::command();
            // Gives each command its full name, `breaker-drill-run`.
            root.build();
            let mut page = Vec::new();
            Man::new(find(&root, &args.command)?.clone())
                .render(&mut page)
                .expect("a Vec takes everything that is written");
            printer.data(String::from_utf8_lossy(&page).trim_end());
        }
    }
    Ok(ExitCode::Done)
}

fn write_all(dir: &Path, printer: &mut Printer) -> Result<(), Refusal> {
    let written = fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir));
    written.map_err(|error| {
        Problem::caused(format!("the manual pages cannot be written to {}", dir.display()), &error)
            .hint("name a folder that can be written with --out")
    })?;
    printer.note(&format!("wrote the manual pages to {}", dir.display()));
    Ok(())
}

/// The command that the words lead to.
fn find<'a>(root: &'a Command, words: &[String]) -> Result<&'a Command, Refusal> {
    words.iter().try_fold(root, |command, word| {
        command.find_subcommand(word).ok_or_else(|| {
            let known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
            let path = command.get_bin_name().unwrap_or_else(|| command.get_name());
            let told = Problem::error(format!("`{path}` has no command `{word}`"));
            if known.is_empty() {
                return told.hint(format!("leave the word out: `{path}` stands alone")).into();
            }
            let told = told.allowed(known.join(", "));
            match nearest(word, known.iter().copied()) {
                Some(near) => told.hint(format!("did you mean `{near}`?")).into(),
                None => told.hint("`breaker --help` shows what each is for").into(),
            }
        })
    })
}

//! `breaker synth`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use infra::assembly::{AssemblyError, cloud_assembly, lacking};
use infra::{Assembly, SynthError, SynthOptions};
use tempfile::Builder;
use workflow::config::BreakerConfig;

use crate::args::{SynthArgs, TemplateFormat};
use crate::commands::package;
use crate::config_file;
use crate::exit::ExitCode;
use crate::printer::Printer;
use crate::problem::{Problem, Refusal};

/// How the folder begins in which files are prepared.
const STAGING_PREFIX: &str = ".breaker-synth-";

/// Prints the template, or writes an assembly into a folder.
pub fn run(args: &SynthArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    let config = config_file::load(args.config.as_deref(), printer)?;
    if let Some(dir) = &args.out {
        return write(dir, &config, args, printer);
    }
    let options = SynthOptions { parameterized: args.parameterized, ..SynthOptions::default() };
    let assembly = infra::synth_with(&config, &options).map_err(refusal)?;
    let text = match args.format {
        TemplateFormat::CfnJson => assembly.template_json(),
        TemplateFormat::CfnYaml => assembly.template_yaml(),
    };
    printer.data(text.trim_end());
    Ok(ExitCode::Done)
}

fn write(
    dir: &Path,
    config: &BreakerConfig,
    args: &SynthArgs,
    printer: &mut Printer,
) -> Result<ExitCode, Refusal> {
    let packages = args.packages.as_deref().map(infra::package::load).transpose();
    let packages = packages.map_err(|error| package::refusal(&error))?;
    let assembly =
        cloud_assembly(config, &args.stack, args.parameterized, packages.as_ref()).map_err(|error| {
            match error {
                AssemblyError::Synth(error) => refusal(error),
                AssemblyError::Package(error) => package::refusal(&error),
            }
        })?;
    if dir.exists() && !dir.is_dir() {
        return Err(Problem::error(format!("{} is not a folder", dir.display()))
            .allowed("a folder, new or existing, in which you may create files")
            .hint("choose another name with --out")
            .into());
    }
    let files: BTreeMap<PathBuf, Content> = assembly
        .texts
        .into_iter()
        .map(|(name, text)| (name, Content::Text(text)))
        .chain(assembly.copies.into_iter().map(|(name, from)| (name, Content::CopyOf(from))))
        .collect();
    write_all(dir, &files).map_err(|error| {
        Problem::caused(format!("the folder {} cannot be written", dir.display()), &error)
            .allowed("a folder, new or existing, in which you may create files")
            .hint("choose another folder with --out; nothing was left half done")
    })?;
    for name in files.keys() {
        printer.note(&format!("wrote {}", dir.join(name).display()));
    }
    if !assembly.lacks.is_empty() {
        printer.hint(&format!(
            "{}; `breaker package` makes packages, --packages DIR takes them in",
            lacking(&assembly.lacks)
        ));
    }
    Ok(ExitCode::Done)
}

/// What is to stand in a file.
enum Content {
    Text(String),
    CopyOf(PathBuf),
}

/// Makes the stack of a configuration.
///
/// # Errors
/// What [`infra::synth`] refuses, one problem per finding.
pub fn assemble(config: &BreakerConfig) -> Result<Assembly, Refusal> {
    infra::synth(config).map_err(refusal)
}

/// How a stack that cannot be made is told: one problem per finding.
fn refusal(error: SynthError) -> Refusal {
    match error {
        SynthError::InvalidConfig(findings) => Refusal(findings.0.iter().map(Problem::from).collect()),
        other => Problem::caused("the stack cannot be made", &other).into(),
    }
}

/// Writes every file or none: all are written beside their place first, then moved.
///
/// A folder that is there already keeps its other files.
fn write_all(dir: &Path, files: &BTreeMap<PathBuf, Content>) -> io::Result<()> {
    let is_new = !dir.try_exists()?;
    let staging_parent = if is_new { parent_of(dir) } else { dir };
    if is_new {
        fs::create_dir_all(staging_parent)?;
    }
    let staging = Builder::new().prefix(STAGING_PREFIX).tempdir_in(staging_parent)?;
    for (name, content) in files {
        let path = staging.path().join(name);
        fs::create_dir_all(parent_of(&path))?;
        match content {
            Content::Text(text) => fs::write(&path, text)?,
            Content::CopyOf(from) => fs::copy(from, &path).map(drop)?,
        }
    }
    if is_new {
        fs::rename(staging.path(), dir)?;
        // It has become `dir`: there is nothing left to clean up.
        let _ = staging.keep();
        return Ok(());
    }
    // A move that fails halfway could not be taken back, so what can be seen beforehand is.
    if let Some(taken) = files.keys().map(|name| dir.join(name)).find(|place| place.is_dir()) {
        return Err(io::Error::other(format!("{} is a folder", taken.display())));
    }
    for name in files.keys() {
        let place = dir.join(name);
        fs::create_dir_all(parent_of(&place))?;
        fs::rename(staging.path().join(name), &place)?;
    }
    Ok(())
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

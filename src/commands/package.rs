//! `breaker package`.

use std::path::{Path, PathBuf};

use infra::assets::Architecture;
use infra::package::{self, MANIFEST, PackageError, Packages};
use workflow::contract::FunctionKind;

use crate::args::PackageArgs;
use crate::exit::ExitCode;
use crate::printer::Printer;
use crate::problem::{Problem, Refusal};
use crate::text::grouped;

/// The folder that this program was built from. It may be gone by now, or on another machine.
const BUILT_FROM: &str = env!("CARGO_MANIFEST_DIR");

/// Every function, because which of them a stack has is a matter of its configuration.
const KINDS: [FunctionKind; 7] = FunctionKind::ALL;

/// Builds, packs and lists.
pub fn run(args: &PackageArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    let packages = pack(args, printer).map_err(|error| refusal(&error))?;
    if args.json {
        printer.data(packages.manifest().trim_end());
    } else {
        table(&packages).iter().for_each(|line| printer.data(line));
    }
    for package in &packages.packages {
        printer.note(&format!("wrote {}", package.path.display()));
    }
    printer.note(&format!("wrote {}", args.out.join(MANIFEST).display()));
    Ok(ExitCode::Done)
}

/// How packages that cannot be made or read are told.
pub fn refusal(error: &PackageError) -> Refusal {
    let told = match std::error::Error::source(error) {
        Some(cause) => Problem::caused(error.to_string(), cause),
        None => Problem::error(error.to_string()),
    };
    told.hint(error.hint()).into()
}

fn pack(args: &PackageArgs, printer: &mut Printer) -> Result<Packages, PackageError> {
    let (binaries, architecture) = match &args.binaries {
        Some(dir) => {
            let architecture = match args.arch {
                Some(architecture) => architecture,
                None => package::architecture_of(dir, KINDS[0])?,
            };
            (dir.clone(), architecture)
        }
        None => build(args.source.as_deref(), args.arch, printer)?,
    };
    package::pack(&binaries, architecture, &KINDS, &args.out)
}

fn build(
    given: Option<&Path>,
    wanted: Option<Architecture>,
    printer: &mut Printer,
) -> Result<(PathBuf, Architecture), PackageError> {
    let source = source(given)?;
    let plan = package::plan(wanted)?;
    printer.note(&format!("building {} for {}: {}", source.display(), plan.architecture, plan.reason));
    Ok((package::build(&source, &plan, &KINDS)?, plan.architecture))
}

/// Where the sources are: in the folder given, else the current one, else the one this program was built from.
fn source(given: Option<&Path>) -> Result<PathBuf, PackageError> {
    let places = match given {
        Some(given) => vec![given],
        None => vec![Path::new("."), Path::new(BUILT_FROM)],
    };
    match places.iter().find(|place| package::is_source(place)) {
        Some(place) => Ok(place.to_path_buf()),
        None => Err(PackageError::NoSource { dir: places[0].to_owned() }),
    }
}

/// Function, size of the package, size of the binary, hash; then the digest over all.
fn table(packages: &Packages) -> Vec<String> {
    let row = |name: &str, zipped: &str, unzipped: &str, sha256: &str| {
        format!("{name:<10}{zipped:>14}{unzipped:>16}  {sha256}").trim_end().to_owned()
    };
    let mut lines = vec![row("function", "zipped bytes", "unzipped bytes", "sha256")];
    for package in &packages.packages {
        let [zipped, unzipped] = [package.bytes, package.unzipped_bytes].map(grouped);
        lines.push(row(package.kind.name(), &zipped, &unzipped, &package.sha256));
    }
    lines.push(String::new());
    lines.push(format!("architecture {}, digest {}", packages.architecture, packages.digest));
    lines
}

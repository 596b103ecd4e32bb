//! Builds the functions' binaries for Lambda.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use workflow::contract::FunctionKind;

use super::PackageError;
use crate::assets::Architecture;

/// The crate with the functions.
const PACKAGE: &str = "lambdas";

/// Its feature with the adapters on AWS.
const FEATURE: &str = "aws";

/// The build profile of what is deployed: stripped, and optimised for size.
const PROFILE: &str = "lambda";

/// Variable with the compiler's flags, and what stands between two of them. Unlike RUSTFLAGS it can hold white space.
const FLAGS: &str = "CARGO_ENCODED_RUSTFLAGS";
const SEPARATOR: char = '\u{1f}';

/// What builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builder {
    /// cargo-lambda, which cross-compiles and links against an old glibc.
    CargoLambda,
    /// cargo alone, for this machine's architecture and glibc.
    Cargo,
}

/// How the functions are to be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// With what.
    pub builder: Builder,
    /// For what.
    pub architecture: Architecture,
    /// The target triple of this machine.
    pub host: String,
    /// Why so, for people.
    pub reason: &'static str,
}

/// Looks at what is installed, and chooses: arm64 where it can be built, else this machine's own architecture.
///
/// # Errors
/// [`PackageError::CannotStart`] and [`PackageError::BuildFailed`] without a Rust toolchain;
/// [`PackageError::CannotBuild`] when what is asked for cannot be built with what is installed.
pub fn plan(wanted: Option<Architecture>) -> Result<Plan, PackageError> {
    let mut rustc = Command::new("rustc");
    let answer = output(rustc.arg("-vV"))?;
    let host = answer.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or("unknown");
    let has_cargo_lambda = output(Command::new("cargo").args(["lambda", "--version"])).is_ok();
    choose(wanted, host, has_cargo_lambda)
}

fn choose(wanted: Option<Architecture>, host: &str, has_cargo_lambda: bool) -> Result<Plan, PackageError> {
    let plan = |builder, architecture, reason| Plan { builder, architecture, host: host.to_owned(), reason };
    if has_cargo_lambda {
        return Ok(match wanted {
            Some(wanted) => plan(Builder::CargoLambda, wanted, "cargo-lambda builds for either architecture"),
            None => plan(
                Builder::CargoLambda,
                Architecture::Arm64,
                "cargo-lambda can build for it, and it costs less than x86_64",
            ),
        });
    }
    match (architecture_of_host(host), wanted) {
        (Some(own), None) => {
            Ok(plan(Builder::Cargo, own, "it is this machine's own, and cargo-lambda is not installed"))
        }
        (Some(own), Some(wanted)) if own == wanted => Ok(plan(
            Builder::Cargo,
            own,
            "cargo-lambda is not installed, and cargo can build for its own machine",
        )),
        (_, wanted) => Err(PackageError::CannotBuild {
            wanted: wanted.map_or("a function for Lambda".to_owned(), |wanted| wanted.to_string()),
            host: host.to_owned(),
        }),
    }
}

/// What Lambda would call this machine, if its own binaries run there.
fn architecture_of_host(triple: &str) -> Option<Architecture> {
    let (machine, system) = triple.split_once('-')?;
    if !system.contains("linux") {
        return None;
    }
    match machine {
        "aarch64" => Some(Architecture::Arm64),
        "x86_64" => Some(Architecture::X86_64),
        _ => None,
    }
}

/// Whether the folder holds the sources of the functions.
pub fn is_source(dir: &Path) -> bool {
    dir.join("Cargo.toml").is_file() && dir.join(PACKAGE).join("src/bin/mapping.rs").is_file()
}

/// Builds the functions in the sources at `source` and gives back the folder with the binaries, one that [`super::pack`]
/// understands. What the build says passes through to standard error.
///
/// # Errors
/// [`PackageError::NoSource`] when they are not there, [`PackageError::CannotStart`] and [`PackageError::BuildFailed`]
/// when the build does not succeed.
pub fn build(source: &Path, plan: &Plan, kinds: &[FunctionKind]) -> Result<PathBuf, PackageError> {
    if !is_source(source) {
        return Err(PackageError::NoSource { dir: source.to_owned() });
    }
    let target = target_directory(source)?;
    let mut command = Command::new("cargo");
    // A folder of its own: cargo would put a file where cargo-lambda wants a folder.
    let dir = match plan.builder {
        Builder::CargoLambda => {
            let dir = target.join("package").join(plan.architecture.name());
            let flag = match plan.architecture {
                Architecture::Arm64 => "--arm64",
                Architecture::X86_64 => "--x86-64",
            };
            command.args(["lambda", "build", flag, "--lambda-dir"]).arg(&dir);
            dir
        }
        Builder::Cargo => {
            command.args(["build", "--target", &plan.host]);
            target.join(&plan.host).join(PROFILE)
        }
    };
    command.args(["--locked", "--package", PACKAGE, "--features", FEATURE, "--profile", PROFILE]);
    for kind in kinds {
        command.args(["--bin", kind.name()]);
    }
    command.env(FLAGS, rust_flags(|name| std::env::var(name).ok()));
    command.current_dir(source).stdin(Stdio::null()).stdout(io::stderr());
    let shown = shown(&command);
    let status =
        command.status().map_err(|source| PackageError::CannotStart { command: shown.clone(), source })?;
    if !status.success() {
        return Err(PackageError::BuildFailed { command: shown, why: status.to_string() });
    }
    Ok(dir)
}

/// The compiler's flags: those that the user has set, and one that keeps the home folder out of the binaries. Messages of
/// a panic name source files, and without it those of the dependencies would differ from one home to the next.
fn rust_flags(variable: impl Fn(&str) -> Option<String>) -> String {
    let mut flags: Vec<String> = match (variable(FLAGS), variable("RUSTFLAGS")) {
        (Some(flags), _) => flags.split(SEPARATOR).map(str::to_owned).collect(),
        (None, Some(flags)) => flags.split_whitespace().map(str::to_owned).collect(),
        (None, None) => Vec::new(),
    };
    flags.retain(|flag| !flag.is_empty());
    let home = variable("CARGO_HOME").or_else(|| variable("HOME").map(|home| format!("{home}/.cargo")));
    flags.extend(home.map(|home| format!("--remap-path-prefix={home}=/cargo")));
    flags.join(&SEPARATOR.to_string())
}

/// Where cargo leaves what it builds.
fn target_directory(source: &Path) -> Result<PathBuf, PackageError> {
    let mut metadata = Command::new("cargo");
    metadata.args(["metadata", "--no-deps", "--locked", "--format-version", "1"]).current_dir(source);
    let answer = output(&mut metadata)?;
    let answer: Option<Value> = serde_json::from_str(&answer).ok();
    let directory = answer.as_ref().and_then(|answer| answer["target_directory"].as_str());
    directory.map(PathBuf::from).ok_or_else(|| PackageError::BuildFailed {
        command: shown(&metadata),
        why: "it names no target directory".to_owned(),
    })
}

/// Standard output of a command that succeeds.
fn output(command: &mut Command) -> Result<String, PackageError> {
    let shown = shown(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| PackageError::CannotStart { command: shown.clone(), source })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(PackageError::BuildFailed { command: shown, why: said.trim().to_owned() });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command line for people.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINUX: &str = "x86_64-unknown-linux-gnu";
    const MAC: &str = "aarch64-apple-darwin";

    /// Chooses, and shows with what for what, or why not.
    fn check(wanted: Option<Architecture>, host: &str, has_cargo_lambda: bool, expected: &str) {
        let shown = match choose(wanted, host, has_cargo_lambda) {
            Ok(plan) => format!("{:?} {}", plan.builder, plan.architecture),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn arm64_is_chosen_where_it_can_be_built() {
        check(None, LINUX, true, "CargoLambda arm64");
        check(None, MAC, true, "CargoLambda arm64");
        check(None, LINUX, false, "Cargo x86_64");
        check(None, "aarch64-unknown-linux-gnu", false, "Cargo arm64");
    }

    #[test]
    fn the_home_folder_is_kept_out_and_the_users_flags_stay() {
        let flags = |set: &[(&str, &str)]| {
            let variable =
                |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            rust_flags(variable).replace(SEPARATOR, " | ")
        };
        assert_eq!(flags(&[("HOME", "/home/a b")]), "--remap-path-prefix=/home/a b/.cargo=/cargo");
        assert_eq!(
            flags(&[("RUSTFLAGS", "-C  debuginfo=1"), ("CARGO_HOME", "/c"), ("HOME", "/h")]),
            "-C | debuginfo=1 | --remap-path-prefix=/c=/cargo"
        );
        assert_eq!(flags(&[(FLAGS, "--cfg\u{1f}x y"), ("RUSTFLAGS", "-g")]), "--cfg | x y");
    }

    #[test]
    fn what_is_asked_for_is_built_or_refused() {
        check(Some(Architecture::X86_64), MAC, true, "CargoLambda x86_64");
        check(Some(Architecture::X86_64), LINUX, false, "Cargo x86_64");
        let refused = "arm64 cannot be built on this machine (x86_64-unknown-linux-gnu) without cargo-lambda";
        check(Some(Architecture::Arm64), LINUX, false, refused);
        let refused = "a function for Lambda cannot be built on this machine (aarch64-apple-darwin) without cargo-lambda";
        check(None, MAC, false, refused);
    }
}

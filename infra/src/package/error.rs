//! Why packages cannot be made or read.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use workflow::contract::FunctionKind;

use super::elf::GlibcVersion;
use super::{LAMBDA_GLIBC, MANIFEST};
use crate::assets::{Architecture, RUNTIME};

/// What to install where the plain build does not do.
const INSTALL_CARGO_LAMBDA: &str = "install cargo-lambda, which links against an old glibc: `pip install cargo-lambda`, or see \
     https://www.cargo-lambda.info";

/// Why packages cannot be made or read. [`PackageError::hint`] says what to do.
#[derive(Debug, Error)]
pub enum PackageError {
    /// Nothing in the folder is the binary of this function.
    #[error("there is no binary of the function {} in {}", .kind.name(), .dir.display())]
    BinaryMissing {
        /// The function.
        kind: FunctionKind,
        /// The folder.
        dir: PathBuf,
    },
    /// The binary is nothing that Lambda could run.
    #[error("{} is no 64-bit ELF executable", .path.display())]
    NotElf {
        /// The binary.
        path: PathBuf,
    },
    /// The binary was built for another machine.
    #[error("{} was built for {}, not for {wanted}", .path.display(), .found.map_or("another machine", Architecture::name))]
    WrongArchitecture {
        /// The binary.
        path: PathBuf,
        /// Its machine; none for one that Lambda does not have.
        found: Option<Architecture>,
        /// What was asked for.
        wanted: Architecture,
    },
    /// The binary needs a newer glibc than Lambda's runtime has.
    #[error("{} needs glibc {needed}; {RUNTIME} has {LAMBDA_GLIBC}", .path.display())]
    GlibcTooNew {
        /// The binary.
        path: PathBuf,
        /// What it needs.
        needed: GlibcVersion,
    },
    /// The architecture cannot be built here.
    #[error("{wanted} cannot be built on this machine ({host}) without cargo-lambda")]
    CannotBuild {
        /// What was asked for.
        wanted: String,
        /// The machine's target triple.
        host: String,
    },
    /// The folder does not hold the sources of the functions.
    #[error("{} does not hold the sources of sqs-circuit-breaker", .dir.display())]
    NoSource {
        /// The folder.
        dir: PathBuf,
    },
    /// A program of the build could not be started.
    #[error("{command} cannot be started")]
    CannotStart {
        /// The command line.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program of the build failed, or said something that is not understood.
    #[error("{command} failed: {why}")]
    BuildFailed {
        /// The command line.
        command: String,
        /// Its exit status, or what is wrong with its answer.
        why: String,
    },
    /// The folder holds no packages.
    #[error("there is no {MANIFEST} in {}", .dir.display())]
    NoPackages {
        /// The folder.
        dir: PathBuf,
    },
    /// The list of the packages is damaged.
    #[error("{} is not a list of packages: {why}", .path.display())]
    BadManifest {
        /// The list.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A package is not the one that the list names.
    #[error("{} is not the package that {MANIFEST} lists", .path.display())]
    Altered {
        /// The package.
        path: PathBuf,
    },
    /// A function that the stack has is not among the packages.
    #[error("there is no package of the function {}", .kind.name())]
    PackageMissing {
        /// The function.
        kind: FunctionKind,
    },
    /// A file or folder cannot be read or written.
    #[error("{} cannot be {verb}", .path.display())]
    Io {
        /// What was tried: `read`, `written`.
        verb: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl PackageError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            PackageError::BinaryMissing { .. } => {
                "name the folder in which NAME or NAME/bootstrap lies for every function: target/lambda after \
                 `cargo lambda build`"
            }
            PackageError::NotElf { .. } => {
                "give the binaries themselves, built for Linux; a zip file or a script cannot be packed"
            }
            PackageError::WrongArchitecture { .. } => {
                "give --arch the architecture of the binaries, or build them for the other one"
            }
            PackageError::GlibcTooNew { .. } | PackageError::CannotBuild { .. } => INSTALL_CARGO_LAMBDA,
            PackageError::NoSource { .. } => {
                "name a clone of the repository with --source, or binaries that are built already with --binaries"
            }
            PackageError::CannotStart { .. } => "install Rust (https://rustup.rs) and try again",
            PackageError::BuildFailed { .. } => "the build says why above; correct it and try again",
            PackageError::NoPackages { .. } => {
                "`breaker package --out DIR` makes the packages; name that folder"
            }
            PackageError::BadManifest { .. }
            | PackageError::Altered { .. }
            | PackageError::PackageMissing { .. } => "run `breaker package` again",
            PackageError::Io { .. } => "check the path, its permissions, and the disk it is on",
        }
    }
}

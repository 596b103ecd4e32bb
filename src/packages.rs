//! The packages that a stack needs, as `breaker package` left them.

use std::path::{Path, PathBuf};

use infra::Assembly;
use infra::package::{self, PackageError};

use crate::problem::{Problem, Refusal};

/// Packages that can be uploaded.
pub struct Ready {
    /// Digest over all packages of the folder.
    pub digest: String,
    /// Architecture for which they were built.
    pub architecture: &'static str,
    /// Function and zip file of each package that the stack needs.
    pub files: Vec<(String, PathBuf)>,
}

/// The packages in `dir` that the stack needs.
///
/// # Errors
/// A folder without packages, packages that were altered, and a function without one.
pub fn load(dir: &Path, assembly: &Assembly) -> Result<Ready, Refusal> {
    let packages = package::load(dir).map_err(problem)?;
    let file = |&kind| packages.of(kind).map(|package| (kind.name().to_owned(), package.path.clone()));
    Ok(Ready {
        files: assembly.functions.iter().map(file).collect::<Result<_, _>>().map_err(problem)?,
        architecture: packages.architecture.name(),
        digest: packages.digest,
    })
}

fn problem(error: PackageError) -> Refusal {
    let hint = error.hint();
    Problem::caused("the packages of the functions cannot be used", &error).hint(hint).into()
}

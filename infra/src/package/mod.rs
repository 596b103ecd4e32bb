//! The functions as packages: zip files that Lambda takes, one per function, and a list of them.
//!
//! The same binaries give the same bytes, so a digest over the packages tells whether there is anything to deploy.

mod archive;
mod build;
mod elf;
mod error;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use workflow::contract::FunctionKind;

pub use self::build::{Builder, Plan, build, is_source, plan};
pub use self::elf::GlibcVersion;
pub use self::error::PackageError;
use crate::assets::{Architecture, DEFAULT_PREFIX, ENTRY};

/// Name of the list of the packages in their folder.
pub const MANIFEST: &str = "packages.json";

/// The glibc of the runtime `provided.al2023` (Amazon Linux 2023).
pub const LAMBDA_GLIBC: GlibcVersion = GlibcVersion { major: 2, minor: 34 };

/// Hexadecimal digits of the digest that go into the keys of a bucket: enough to tell any two builds apart.
const KEY_DIGITS: usize = 16;

/// The packages of one build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packages {
    /// For which architecture.
    pub architecture: Architecture,
    /// SHA-256 over architecture, names and hashes of the packages, in hexadecimal digits.
    pub digest: String,
    /// The packages, in the order of [`FunctionKind::ALL`].
    pub packages: Vec<Package>,
}

/// The package of one function: a zip file with its binary in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The function.
    pub kind: FunctionKind,
    /// The zip file.
    pub path: PathBuf,
    /// SHA-256 of the zip file, in hexadecimal digits.
    pub sha256: String,
    /// Size of the zip file, bytes.
    pub bytes: u64,
    /// Size of the binary in it, bytes.
    pub unzipped_bytes: u64,
}

impl Packages {
    /// The package of a function.
    ///
    /// # Errors
    /// [`PackageError::PackageMissing`] when it is not among them.
    pub fn of(&self, kind: FunctionKind) -> Result<&Package, PackageError> {
        let found = self.packages.iter().find(|package| package.kind == kind);
        found.ok_or(PackageError::PackageMissing { kind })
    }

    /// What the keys of these packages begin with in a bucket: the value of the template's parameter `AssetPrefix`.
    /// Other packages have another one, so that Lambda takes notice of them and the old ones stay for a rollback.
    pub fn key_prefix(&self) -> String {
        let digits = self.digest.get(..KEY_DIGITS).unwrap_or(&self.digest);
        format!("{DEFAULT_PREFIX}/{digits}")
    }

    fn new(architecture: Architecture, packages: Vec<Package>) -> Packages {
        let lines = packages.iter().map(|package| format!("{} {}\n", package.sha256, package.kind.name()));
        let text: String = std::iter::once(format!("{architecture}\n")).chain(lines).collect();
        Packages { architecture, digest: sha256(text.as_bytes()), packages }
    }

    /// The list as it stands in [`MANIFEST`]: indented JSON, with a newline at its end.
    pub fn manifest(&self) -> String {
        let listed = |package: &Package| Listed {
            name: package.kind,
            file: file_name(package.kind),
            sha256: package.sha256.clone(),
            zipped_bytes: package.bytes,
            unzipped_bytes: package.unzipped_bytes,
        };
        let manifest = Manifest {
            architecture: self.architecture,
            digest: self.digest.clone(),
            packages: self.packages.iter().map(listed).collect(),
        };
        let mut text = serde_json::to_string_pretty(&manifest).expect("a list of packages is plain data");
        text.push('\n');
        text
    }
}

/// [`MANIFEST`] as it is written.
#[derive(Serialize, Deserialize)]
struct Manifest {
    architecture: Architecture,
    digest: String,
    packages: Vec<Listed>,
}

/// One package in the list.
#[derive(Serialize, Deserialize)]
struct Listed {
    name: FunctionKind,
    file: String,
    sha256: String,
    zipped_bytes: u64,
    unzipped_bytes: u64,
}

/// Packs binaries: writes `NAME.zip` for each function and the list of them into the folder `out`, which is created if
/// need be.
///
/// The binary of a function is `NAME/bootstrap` in `binaries`, as cargo-lambda leaves it, or `NAME`, as cargo does.
/// Nothing is written before every binary was read and found fit.
///
/// # Errors
/// [`PackageError::BinaryMissing`], [`PackageError::NotElf`], [`PackageError::WrongArchitecture`] and
/// [`PackageError::GlibcTooNew`] name the binary that Lambda could not run; [`PackageError::Io`] when a file cannot be
/// read or written.
pub fn pack(
    binaries: &Path,
    architecture: Architecture,
    kinds: &[FunctionKind],
    out: &Path,
) -> Result<Packages, PackageError> {
    let mut zipped = Vec::new();
    for kind in FunctionKind::ALL.into_iter().filter(|kind| kinds.contains(kind)) {
        let binary = fit_binary(binaries, kind, architecture)?;
        let zip = archive::zip(&binary).map_err(|source| PackageError::Io {
            verb: "packed",
            path: binaries.join(kind.name()),
            source,
        })?;
        let package = Package {
            kind,
            path: out.join(file_name(kind)),
            sha256: sha256(&zip),
            bytes: length(&zip),
            unzipped_bytes: length(&binary),
        };
        zipped.push((package, zip));
    }
    let written = |path: &Path| {
        let path = path.to_owned();
        move |source| PackageError::Io { verb: "written", path, source }
    };
    fs::create_dir_all(out).map_err(written(out))?;
    for (package, zip) in &zipped {
        replace(&package.path, zip).map_err(written(&package.path))?;
    }
    let packages = Packages::new(architecture, zipped.into_iter().map(|(package, _)| package).collect());
    // The list comes last. If anything fails before, it does not fit the packages, which `load` notices.
    let path = out.join(MANIFEST);
    replace(&path, packages.manifest().as_bytes()).map_err(written(&path))?;
    Ok(packages)
}

/// Reads the packages in a folder that [`pack`] wrote, and compares each with the list.
///
/// # Errors
/// [`PackageError::NoPackages`] without a list; [`PackageError::BadManifest`] and [`PackageError::Altered`] when list or
/// packages are not as they were written; [`PackageError::Io`] when a file cannot be read.
pub fn load(dir: &Path) -> Result<Packages, PackageError> {
    let path = dir.join(MANIFEST);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(PackageError::NoPackages { dir: dir.to_owned() });
        }
        Err(source) => return Err(PackageError::Io { verb: "read", path, source }),
    };
    let bad = |why: String| PackageError::BadManifest { path: path.clone(), why };
    let manifest: Manifest = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    let mut packages = Vec::new();
    for listed in manifest.packages {
        // The name alone says where the package lies, so that a list cannot lead out of its folder.
        let path = dir.join(file_name(listed.name));
        let zip = fs::read(&path).map_err(|source| PackageError::Io {
            verb: "read",
            path: path.clone(),
            source,
        })?;
        if sha256(&zip) != listed.sha256 {
            return Err(PackageError::Altered { path });
        }
        packages.push(Package {
            kind: listed.name,
            path,
            sha256: listed.sha256,
            bytes: length(&zip),
            unzipped_bytes: listed.unzipped_bytes,
        });
    }
    let packages = Packages::new(manifest.architecture, packages);
    if packages.digest != manifest.digest {
        return Err(bad("its digest does not fit the packages in it".to_owned()));
    }
    Ok(packages)
}

/// The binary of a function, if Lambda can run it.
fn fit_binary(dir: &Path, kind: FunctionKind, wanted: Architecture) -> Result<Vec<u8>, PackageError> {
    let places = [dir.join(kind.name()).join(ENTRY), dir.join(kind.name())];
    let Some(path) = places.into_iter().find(|place| place.is_file()) else {
        return Err(PackageError::BinaryMissing { kind, dir: dir.to_owned() });
    };
    let binary =
        fs::read(&path).map_err(|source| PackageError::Io { verb: "read", path: path.clone(), source })?;
    let Some(needs) = elf::needs(&binary) else {
        return Err(PackageError::NotElf { path });
    };
    if needs.architecture != Some(wanted) {
        return Err(PackageError::WrongArchitecture { path, found: needs.architecture, wanted });
    }
    match needs.glibc {
        Some(needed) if needed > LAMBDA_GLIBC => Err(PackageError::GlibcTooNew { path, needed }),
        Some(_) | None => Ok(binary),
    }
}

/// The architecture of the binary of the first function in a folder, for those who bring binaries and do not say.
///
/// # Errors
/// As [`pack`] for this binary.
pub fn architecture_of(dir: &Path, kind: FunctionKind) -> Result<Architecture, PackageError> {
    match fit_binary(dir, kind, Architecture::ALL[0]) {
        Ok(_) => Ok(Architecture::ALL[0]),
        Err(PackageError::WrongArchitecture { found: Some(found), .. }) => Ok(found),
        Err(error) => Err(error),
    }
}

/// Name of a function's package in a folder.
pub fn file_name(kind: FunctionKind) -> String {
    format!("{}.zip", kind.name())
}

/// Writes a file beside its place and moves it there, so that nobody reads half of it.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let staged = NamedTempFile::new_in(dir)?;
    fs::write(staged.path(), bytes)?;
    readable_by_all(staged.as_file())?;
    staged.persist(path)?;
    Ok(())
}

/// A temporary file is its owner's alone; what is written here is no secret.
#[cfg(unix)]
fn readable_by_all(file: &fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable_by_all(_: &fs::File) -> io::Result<()> {
    Ok(())
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("a file in memory is shorter than 2^64 bytes")
}

/// SHA-256 in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

//! Packing: the same binaries give the same bytes, and what Lambda could not run is refused by name.

#[path = "common/elf.rs"]
mod elf;

use std::fs;
use std::io::Read;
use std::path::Path;

use elf::{AARCH64, RISCV, X86_64, elf};
use infra::assets::Architecture;
use infra::package::{self, PackageError, Packages};
use tempfile::TempDir;
use workflow::contract::FunctionKind;

/// A glibc that Lambda has, and older ones.
const FIT: [&str; 3] = ["GLIBC_2.34", "GLIBC_2.2.5", "GLIBC_2.28"];

/// A folder with the binary of every function, as cargo leaves them.
fn binaries() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    for kind in FunctionKind::ALL {
        let mut binary = elf(X86_64, &FIT);
        binary.extend(kind.name().repeat(1_000).bytes());
        fs::write(dir.path().join(kind.name()), binary).expect("it can be written");
    }
    dir
}

fn pack(binaries: &Path, out: &Path) -> Result<Packages, PackageError> {
    package::pack(binaries, Architecture::X86_64, &FunctionKind::ALL, out)
}

/// Packs with another binary of the probe and compares what is said about it.
fn check(probe: &[u8], expected: &str) {
    let dir = binaries();
    fs::write(dir.path().join("probe"), probe).expect("it can be written");
    let out = dir.path().join("out");
    let error = pack(dir.path(), &out).expect_err("it is refused");
    assert_eq!(error.to_string().replace(&dir.path().display().to_string(), "DIR"), expected);
    assert!(!out.exists(), "nothing is written before everything was found fit");
}

#[test]
fn the_same_binaries_give_the_same_bytes() {
    let dir = binaries();
    let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
    let packed = pack(dir.path(), &first).expect("fit");
    // As cargo-lambda leaves them, later: neither place nor time shows.
    for kind in FunctionKind::ALL {
        let binary = fs::read(dir.path().join(kind.name())).expect("a file");
        fs::create_dir_all(dir.path().join("built").join(kind.name())).expect("it can be made");
        fs::write(dir.path().join("built").join(kind.name()).join("bootstrap"), binary)
            .expect("it can be written");
    }
    let again = pack(&dir.path().join("built"), &second).expect("fit");
    assert_eq!(packed.digest, again.digest);
    for name in ["mapping.zip", "probe.zip", "rejitter.zip", "queue.zip", "consumer.zip", "packages.json"] {
        let [one, other] = [&first, &second].map(|dir| fs::read(dir.join(name)).expect("written"));
        assert!(one == other, "{name} differs");
    }
    // Another byte in one binary: another digest, and so other keys in the bucket.
    let mut changed = fs::read(dir.path().join("probe")).expect("a file");
    changed.push(0);
    fs::write(dir.path().join("probe"), changed).expect("it can be written");
    let other = pack(dir.path(), &second).expect("fit");
    assert_ne!(other.key_prefix(), packed.key_prefix());
    let same = |kind| other.of(kind).expect("packed").sha256 == packed.of(kind).expect("packed").sha256;
    assert_eq!(FunctionKind::ALL.map(same), FunctionKind::ALL.map(|kind| kind != FunctionKind::Probe));
}

#[test]
fn a_package_holds_one_program_that_anybody_may_run() {
    let dir = binaries();
    let packed = pack(dir.path(), &dir.path().join("out")).expect("fit");
    for package in &packed.packages {
        let file = fs::File::open(&package.path).expect("written");
        let mut zip = zip::ZipArchive::new(file).expect("a zip file");
        assert_eq!(zip.len(), 1);
        let mut entry = zip.by_index(0).expect("an entry");
        assert_eq!(entry.name().expect("text"), "bootstrap");
        assert_eq!(entry.unix_mode(), Some(0o100_755));
        assert_eq!(
            entry.last_modified().map(|time| time.to_string()).as_deref(),
            Some("1980-01-01 00:00:00")
        );
        let mut unpacked = Vec::new();
        entry.read_to_end(&mut unpacked).expect("it can be unpacked");
        assert_eq!(unpacked.len() as u64, package.unzipped_bytes);
        assert!(unpacked == fs::read(dir.path().join(package.kind.name())).expect("a file"));
        assert!(package.bytes < package.unzipped_bytes);
    }
}

#[test]
fn what_was_packed_is_loaded_and_what_was_altered_is_not() {
    let dir = binaries();
    let out = dir.path().join("out");
    let load_fails = || {
        let error = package::load(&out).expect_err("it is refused");
        error.to_string().replace(&out.display().to_string(), "OUT")
    };
    assert_eq!(load_fails(), "there is no packages.json in OUT");
    let packed = pack(dir.path(), &out).expect("fit");
    assert_eq!(package::load(&out).expect("as it was written"), packed);
    let list = fs::read_to_string(out.join("packages.json")).expect("written");
    fs::write(out.join("packages.json"), list.replace("x86_64", "arm64")).expect("it can be written");
    assert_eq!(
        load_fails(),
        "OUT/packages.json is not a list of packages: its digest does not fit the packages in it"
    );
    fs::write(out.join("packages.json"), list).expect("it can be written");
    fs::write(out.join("mapping.zip"), "PK").expect("it can be written");
    assert_eq!(load_fails(), "OUT/mapping.zip is not the package that packages.json lists");
}

#[test]
fn a_function_that_was_not_packed_is_named() {
    let dir = binaries();
    let kinds = [FunctionKind::Probe, FunctionKind::Mapping];
    let packed =
        package::pack(dir.path(), Architecture::X86_64, &kinds, &dir.path().join("out")).expect("fit");
    let listed: Vec<&str> = packed.packages.iter().map(|package| package.kind.name()).collect();
    assert_eq!(listed, ["mapping", "probe"], "in the order of all functions");
    let error = packed.of(FunctionKind::Consumer).expect_err("not packed");
    assert_eq!(error.to_string(), "there is no package of the function consumer");
}

#[test]
fn what_lambda_could_not_run_is_refused_by_name() {
    check(b"#!/bin/sh\n", "DIR/probe is no 64-bit ELF executable");
    check(&elf(X86_64, &FIT)[..70], "DIR/probe is no 64-bit ELF executable");
    check(&elf(AARCH64, &FIT), "DIR/probe was built for arm64, not for x86_64");
    check(&elf(RISCV, &[]), "DIR/probe was built for another machine, not for x86_64");
    check(
        &elf(X86_64, &["GLIBC_2.34", "GLIBC_2.9", "GLIBC_2.35", "GLIBC_2.4"]),
        "DIR/probe needs glibc 2.35; provided.al2023 has 2.34",
    );
}

#[test]
fn a_binary_that_is_not_there_is_named() {
    let dir = binaries();
    fs::remove_file(dir.path().join("rejitter")).expect("it was there");
    let error = pack(dir.path(), &dir.path().join("out")).expect_err("it is refused");
    let expected = format!("there is no binary of the function rejitter in {}", dir.path().display());
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_static_binary_needs_no_glibc() {
    let dir = binaries();
    fs::write(dir.path().join("mapping"), elf(X86_64, &[])).expect("it can be written");
    assert!(pack(dir.path(), &dir.path().join("out")).is_ok());
}

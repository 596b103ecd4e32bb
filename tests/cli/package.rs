//! `breaker package`, and what takes its packages.

#[path = "../../infra/tests/common/elf.rs"]
mod elf;

use std::fs;

use elf::{AARCH64, X86_64, elf};

use crate::sandbox::Sandbox;
use crate::{check, check_in};

/// A folder `bin` with a binary of every function.
fn binaries(machine: u16, version: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("bin")).expect("a sandbox can be written");
    for name in ["mapping", "probe", "rejitter", "queue", "reconciler", "signal", "consumer"] {
        fs::write(sandbox.path("bin").join(name), elf(machine, &[version]))
            .expect("a sandbox can be written");
    }
    sandbox
}

#[test]
fn binaries_become_packages_and_packages_an_assembly() {
    let sandbox = binaries(AARCH64, "GLIBC_2.34");
    let ran = sandbox.run(&["package", "--binaries", "bin"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert!(ran.stdout.contains("architecture arm64, digest "), "{}", ran.stdout);
    let names = [
        "consumer.zip",
        "mapping.zip",
        "packages.json",
        "probe.zip",
        "queue.zip",
        "reconciler.zip",
        "rejitter.zip",
        "signal.zip",
    ];
    assert_eq!(sandbox.names("packages"), names);
    // Once more: the same bytes, and on standard output just what is in the list.
    let ran = sandbox.run(&["package", "--binaries", "bin", "--json", "--out", "again"]);
    assert_eq!(ran.stdout, sandbox.read("packages/packages.json"));
    assert_eq!(ran.json()["packages"][1]["name"], "probe");

    check_in(
        &sandbox,
        "synth_packages",
        &["synth", "--packages", "packages", "--out", "cdk.out", "--stack", "mine"],
    );
    let zip = |place: &str| fs::read(sandbox.path(place)).unwrap();
    assert!(zip("cdk.out/probe.zip") == zip("packages/probe.zip"));
}

#[test]
fn what_cannot_be_packed_is_told_with_what_to_do() {
    let sandbox = binaries(X86_64, "GLIBC_2.38");
    check_in(&sandbox, "package_glibc", &["package", "--binaries", "bin"]);
    check_in(&sandbox, "package_other_arch", &["package", "--binaries", "bin", "--arch", "arm64"]);
    check("package_no_binaries", &["package", "--binaries", "bin", "--arch", "arm64"]);
    check("package_no_source", &["package", "--source", "."]);
    check("usage_package_arch", &["package", "--arch", "armv7"]);
}

#[test]
fn packages_that_are_not_there_or_not_as_written_are_refused() {
    let args = ["synth", "--packages", "packages", "--out", "cdk.out"];
    check("synth_packages_missing", &args);
    let sandbox = binaries(X86_64, "GLIBC_2.28");
    assert_eq!(sandbox.run(&["package", "--binaries", "bin"]).code, 0);
    let sandbox = sandbox.and("packages/probe.zip", "PK");
    check_in(&sandbox, "synth_packages_altered", &args);
    assert!(!sandbox.path("cdk.out").exists());
}

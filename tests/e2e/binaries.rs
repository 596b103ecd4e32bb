//! The functions' binaries, of the build that is being tested.

use std::path::PathBuf;
use std::process::Command;

/// Builds the binaries if need be; answers the folder that they lie in.
///
/// The build is the one of the checks, so that nothing is compiled twice: whether binaries are small is tested elsewhere.
pub fn built() -> PathBuf {
    let mut target = PathBuf::from(env!("CARGO_BIN_EXE_breaker"));
    target.pop();
    let binaries = target.clone();
    target.pop();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).arg("build").arg("--target-dir").arg(target);
    command.args(["--workspace", "--all-features", "--bins", "--locked", "--quiet"]);
    if binaries.ends_with("release") {
        command.arg("--release");
    }
    let output = command.output().expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    binaries
}

//! A folder of its own in which the real binary runs.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Variables by which a user's surroundings would change the output.
const SURROUNDINGS: [&str; 6] = ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM", "COLUMNS", "CI"];

/// A folder that goes away with the test.
pub struct Sandbox(TempDir);

impl Sandbox {
    pub fn new() -> Sandbox {
        Sandbox(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    /// A sandbox with one file.
    pub fn with(name: &str, text: &str) -> Sandbox {
        Sandbox::new().and(name, text)
    }

    /// Adds a file.
    pub fn and(self, name: &str, text: &str) -> Sandbox {
        fs::write(self.path(name), text).expect("a sandbox can be written");
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("the file exists")
    }

    /// Names in a folder, in order.
    pub fn names(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(dir)).expect("the folder exists");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> =
            entries.map(|entry| name(entry.expect("the folder can be read"))).collect();
        names.sort();
        names
    }

    /// The command, ready to be run in this folder.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_breaker"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        for name in SURROUNDINGS {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().expect("the binary starts"), self.0.path())
    }

    pub fn run_with_stdin(&self, args: &[&str], stdin: &str) -> Ran {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut pipe = child.stdin.take().expect("standard input is a pipe");
        pipe.write_all(stdin.as_bytes()).expect("the binary reads standard input");
        drop(pipe);
        Ran::of(child.wait_with_output().expect("the binary ends"), self.0.path())
    }
}

/// What a run came to.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    fn of(output: Output, dir: &Path) -> Ran {
        let dir = dir.display().to_string();
        let text = |bytes| String::from_utf8(bytes).expect("the output is text").replace(&dir, "[DIR]");
        Ran {
            code: output.status.code().expect("no signal ends the command"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Everything in one text, for a snapshot.
    pub fn shown(&self) -> String {
        format!("exit code: {}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr)
    }

    /// Standard output as one JSON value, of a run that went well.
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, 0, "{}", self.shown());
        serde_json::from_str(&self.stdout).expect("standard output is JSON")
    }
}

//! `breaker completions` and `breaker man`.

use std::process::{Command, Stdio};

use crate::check;
use crate::sandbox::Sandbox;

#[test]
fn bash_completes_commands_and_options() {
    let sandbox = Sandbox::new();
    let script = sandbox.run(&["completions", "bash"]);
    assert_eq!(script.code, 0, "{}", script.shown());
    let completed = |words: &str, index: usize| {
        let ask = format!(
            "{}\nCOMP_WORDS=({words}); COMP_CWORD={index}; _breaker breaker \"${{COMP_WORDS[{index}]}}\" \"${{COMP_WORDS[{index}-1]}}\"; echo \"${{COMPREPLY[*]}}\"",
            script.stdout
        );
        let output = Command::new("bash")
            .args(["--norc", "-c", &ask])
            .stdin(Stdio::null())
            .output()
            .expect("bash is there: scripts/check is written in it");
        String::from_utf8(output.stdout).expect("the output is text").trim().to_owned()
    };
    assert_eq!(completed("breaker drill sw", 2), "swarm");
    assert_eq!(completed("breaker drill swarm --see", 3), "--seeds");
    assert_eq!(completed("breaker deploy --require-approval br", 3), "broadening");
}

#[test]
fn every_shell_has_completions() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = sandbox.run(&["completions", shell]);
        assert!(ran.code == 0 && ran.stdout.contains("swarm"), "{shell}: {}", ran.shown());
    }
    check("usage_completions_shell", &["completions", "csh"]);
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(&["man", "--out", "man1"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let names = sandbox.names("man1");
    for name in ["breaker.1", "breaker-drill-run.1", "breaker-config-check.1", "breaker-deploy.1"] {
        assert!(names.iter().any(|written| written == name), "{name} is not in {names:?}");
    }
    let printed = sandbox.run(&["man", "drill", "run"]).stdout;
    assert_eq!(printed.trim_end(), sandbox.read("man1/breaker-drill-run.1").trim_end());
    for part in [r"breaker\-drill\-run", "Examples:", "Exit codes:", r"\-\-seed"] {
        assert!(printed.contains(part), "{part} is not in {printed}");
    }
}

#[test]
fn a_page_that_does_not_exist_is_told() {
    check("man_misspelt", &["man", "drill", "rum"]);
    check("man_too_far", &["man", "synth", "now"]);
    let file = Sandbox::with("man1", "a file");
    crate::check_in(&file, "man_out_is_a_file", &["man", "--out", "man1"]);
}

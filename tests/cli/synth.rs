//! `breaker synth` and `breaker asl`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::check_in;
use crate::sandbox::Sandbox;

/// The files of the example's assembly.
const ASSEMBLY: [&str; 5] = [
    "cdk.out",
    "example.asl.json",
    "manifest.json",
    "sqs-circuit-breaker.assets.json",
    "sqs-circuit-breaker.template.json",
];

#[test]
fn the_folder_holds_what_is_printed() {
    let sandbox = Sandbox::new();
    check_in(&sandbox, "synth_out", &["synth", "--out", "deep/stack"]);
    assert_eq!(sandbox.names("deep"), ["stack"], "nothing is left beside the folder");
    assert_eq!(sandbox.names("deep/stack"), ASSEMBLY);
    assert_eq!(sandbox.run(&["synth"]).stdout, sandbox.read("deep/stack/sqs-circuit-breaker.template.json"));
    let written: Value = serde_json::from_str(&sandbox.read("deep/stack/example.asl.json")).unwrap();
    assert_eq!(sandbox.run(&["asl"]).json(), written);
}

#[test]
fn a_folder_that_is_there_keeps_its_other_files() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("stack")).unwrap();
    let sandbox = sandbox.and("stack/notes.txt", "mine").and("stack/manifest.json", "old");
    assert_eq!(sandbox.run(&["synth", "--out", "stack"]).code, 0);
    let mut names = sandbox.names("stack");
    names.retain(|name| name != "notes.txt");
    assert_eq!(names, ASSEMBLY);
    assert_eq!(sandbox.read("stack/notes.txt"), "mine");
    assert!(sandbox.read("stack/manifest.json").contains("artifacts"));
}

#[test]
fn a_place_that_cannot_be_written_is_told_and_left_alone() {
    let sandbox = Sandbox::with("stack", "a file");
    check_in(&sandbox, "synth_out_is_a_file", &["synth", "--out", "stack"]);
    assert_eq!(sandbox.read("stack"), "a file");
    // A folder stands where a file is to go: what was there stays as it was.
    fs::create_dir_all(sandbox.path("taken/manifest.json")).unwrap();
    let refused = sandbox.run(&["synth", "--out", "taken"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    assert_eq!(sandbox.names("taken"), ["manifest.json"]);
}

#[test]
fn every_configuration_of_the_checks_is_clean_and_synthesizes() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs");
    let sandbox = Sandbox::new();
    let mut count = 0;
    for entry in fs::read_dir(configs).unwrap() {
        let file = entry.unwrap().path();
        let file = file.to_str().unwrap();
        let checked = sandbox.run(&["config", "check", file]);
        assert_eq!((checked.code, checked.stdout.as_str()), (0, ""), "{}", checked.shown());
        sandbox.run(&["synth", "--config", file]).json();
        count += 1;
    }
    assert_eq!(count, 7);
}

#[test]
fn the_same_configuration_gives_the_same_bytes() {
    let sandbox = Sandbox::new();
    for format in ["cfn-json", "cfn-yaml"] {
        let args = ["synth", "--format", format, "--parameterized"];
        assert_eq!(sandbox.run(&args).stdout, sandbox.run(&args).stdout);
    }
}

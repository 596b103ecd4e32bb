//! The same seed gives the same trace on every machine: hashes of traces, as they were when somebody last looked.
//!
//! After an intended change of what a drill does: `UPDATE_GOLDEN=1 cargo nextest run -p drill --test traces`.

#[allow(dead_code, reason = "each test binary uses its part")]
mod common;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use common::{affordable, drill};
use drill::scenario;
use drill::swarm::Fleet;

/// Compares lines of a name and a hash with those of a file, or writes the file.
fn check(file: &str, lines: &[String]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, lines.join("\n") + "\n").expect("the golden file can be written");
        return;
    }
    let golden = std::fs::read_to_string(&path).expect("the golden file is there");
    let golden: Vec<&str> = golden.lines().collect();
    let differing: Vec<&str> = lines
        .iter()
        .map(String::as_str)
        .filter(|line| !golden.contains(line))
        .chain(golden.iter().copied().filter(|line| !lines.iter().any(|other| other == line)))
        .collect();
    assert!(
        differing.is_empty(),
        "traces differ from {file}; if that is intended, run the tests with UPDATE_GOLDEN=1 and commit the file. \
         Found, then expected:\n{}",
        differing.join("\n")
    );
}

#[test]
fn scenarios_have_the_traces_of_the_golden_file() {
    let line = |scenario| {
        let scenario = affordable(scenario);
        format!("{} {}", scenario.name, drill(&scenario, 1, false).report.trace_hash)
    };
    check("scenario_traces.txt", &scenario::all().into_iter().map(line).collect::<Vec<_>>());
}

#[test]
fn swarm_seeds_have_the_traces_of_the_golden_file() {
    let mut lines = Vec::new();
    Fleet { from: 0, count: 40, threads: 1 }.run(&AtomicBool::new(false), |seed, outcome| {
        let report = outcome.unwrap_or_else(|error| panic!("seed {seed} cannot run: {error}")).report;
        lines.push(format!("{seed} {}", report.trace_hash));
        true
    });
    check("swarm_traces.txt", &lines);
}

//! `breaker drill`, `drill run` and `drill list`.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use serde_json::Value;

use crate::check;
use crate::sandbox::{Ran, Sandbox};

/// The shortest way to a real drill.
const SHORT: [&str; 4] = ["drill", "run", "empty_queue", "--no-baseline"];

fn run_short(more: &[&str]) -> Ran {
    Sandbox::new().run(&[&SHORT, more].concat())
}

#[test]
fn the_list_names_every_scenario_first_on_its_line() {
    check("drill_list", &["drill", "list"]);
    let sandbox = Sandbox::new();
    let listed = sandbox.run(&["drill", "list"]).stdout;
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let json = sandbox.run(&["drill", "list", "--json"]).json();
    let in_json: Vec<&str> =
        json.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(names, in_json);
}

#[test]
fn an_unknown_scenario_is_met_with_the_nearest() {
    check("drill_unknown_near", &["drill", "run", "outtage"]);
    check("drill_unknown_far", &["drill", "run", "earthquake"]);
}

#[test]
fn a_drill_tells_seed_timeline_and_balance() {
    let ran = run_short(&["--seed", "7"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines[0], "seed 7, repeat with: breaker drill run empty_queue --seed 7 --no-baseline");
    let balance = lines.iter().position(|line| line.starts_with("Balance after ")).unwrap();
    let timeline: Vec<&str> = lines[3..balance].iter().copied().filter(|line| !line.is_empty()).collect();
    for line in &timeline {
        // HH:MM:SS, two spaces, the topic in nine columns, two spaces, the text.
        let (clock, rest) = line.split_at(8);
        assert!(clock.split(':').all(|part| part.len() == 2 && part.parse::<u32>().is_ok()), "{line}");
        assert!(rest.starts_with("  ") && rest.as_bytes()[11..13] == *b"  ", "{line}");
    }
    let mut sorted = timeline.clone();
    sorted.sort_by_key(|line| &line[..8]);
    assert_eq!(timeline, sorted, "time never goes back");
    assert!(timeline.iter().any(|line| line.contains("  probe  ")), "{}", ran.stdout);
    for label in ["sent", "lost", "still queued", "time to recover"] {
        assert!(lines[balance..].iter().any(|line| line.trim_start().starts_with(label)), "{label}");
    }
    assert!(ran.stdout.contains("promises held"), "{}", ran.stdout);
    assert!(ran.stderr.lines().all(|line| line.starts_with("hint: ")), "{}", ran.stderr);
}

#[test]
fn quiet_leaves_only_the_balance() {
    let ran = run_short(&["--quiet"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let beginnings: Vec<&str> =
        ran.stdout.lines().take(4).map(|line| line.split([' ', ':']).next().unwrap()).collect();
    assert_eq!(beginnings, ["seed", "empty_queue", "", "Balance"]);
}

#[test]
fn json_is_one_object_with_the_documented_fields() {
    let ran = run_short(&["--json", "--seed", "7"]);
    let Value::Object(report) = ran.json() else { panic!("{}", ran.stdout) };
    assert_eq!(ran.stdout.lines().count(), 1);
    for field in [
        "scenario",
        "seed",
        "simulated_s",
        "wall_s",
        "sent",
        "processed",
        "reprocessed",
        "copies_made",
        "dead_lettered",
        "lost",
        "still_queued",
        "wasted_invocations",
        "wasted_invocations_without_breaker",
        "detect_s",
        "recover_s",
        "mapping_state",
        "breaker_state",
        "promises",
    ] {
        assert!(report.contains_key(field), "{field}: {}", ran.stdout);
    }
    assert_eq!((&report["scenario"], &report["seed"]), (&Value::from("empty_queue"), &Value::from(7)));
    assert_eq!(report["wasted_invocations_without_breaker"], Value::Null, "not asked for is not zero");
    assert!(report["wall_s"].as_f64().unwrap() > 0.0);
    assert_eq!(
        ran.stderr, "seed 7, repeat with: breaker drill run empty_queue --seed 7 --no-baseline\n",
        "the seed is told even so, and no progress bar is drawn where there is no terminal"
    );
}

#[test]
fn the_seed_decides_the_trace_and_the_configuration_changes_it() {
    let trace = |more: &[&str]| run_short(&[more, &["--json"]].concat()).json()["trace_hash"].clone();
    let fixed = trace(&["--seed", "1"]);
    assert_eq!(trace(&[]), fixed, "the default seed is 1");
    assert_ne!(trace(&["--seed", "2"]), fixed);

    let sandbox = Sandbox::with("slow.toml", "[circuits.orders.backoff]\nbase_s = 200\njitter = \"none\"\n");
    let ran = sandbox.run(&[&SHORT[..], &["--json", "--config", "slow.toml"]].concat());
    assert_ne!(ran.json()["trace_hash"], fixed);
    assert!(ran.stderr.contains("--config slow.toml"), "{}", ran.stderr);
}

#[test]
fn a_drill_that_does_not_come_to_its_end_says_what_is_missing() {
    let gives_up = "[circuits.orders.exhausted]\nafter_probes_count = 1\nthen = \"fail\"\n";
    let sandbox = Sandbox::with("gives_up.toml", gives_up);
    let ran = sandbox.run(&[&SHORT[..], &["--config", "gives_up.toml"]].concat());
    assert_eq!(ran.code, 11, "{}", ran.shown());
    assert!(ran.stdout.contains("did not converge:\n  "), "{}", ran.stdout);
    assert!(ran.stdout.contains("the mapping is Disabled, not Enabled"), "{}", ran.stdout);
}

#[test]
fn a_random_seed_is_told_so_that_the_run_can_be_repeated() {
    let seed = run_short(&["--seed", "random", "--json"]).json()["seed"].as_u64().unwrap();
    let again = run_short(&["--seed", &seed.to_string(), "--json"]);
    assert!(again.stderr.contains(&format!("--seed {seed}")), "{}", again.stderr);
}

#[test]
fn colours_are_for_terminals_or_on_demand() {
    let escape = '\u{1b}';
    let sandbox = Sandbox::new();
    assert!(!sandbox.run(&["drill", "list"]).stdout.contains(escape));
    assert!(sandbox.run(&["--color", "always", "drill", "list"]).stdout.contains(escape));
    assert!(sandbox.run(&["drill", "run", "x", "--color", "always"]).stderr.contains(escape));
}

#[test]
fn a_reader_that_goes_away_does_not_change_the_outcome() {
    let mut child = Sandbox::new()
        .command(&SHORT)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("seed 1"), "{first}");
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = Sandbox::new().command(&["drill", "list"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: standard output cannot be written"));
}

//! `breaker config`, and what every command says of a configuration that it cannot use.

use crate::sandbox::Sandbox;
use crate::{check, check_in};

/// Three mistakes: a misspelt setting, a value of a wrong type, a number out of range.
const THREE_MISTAKES: &str = r#"
[circuits.orders]
backof = { base_s = 3 }
[circuits.orders.alarm]
period_s = "a minute"
[circuits.orders.probe]
long_poll_s = 21
"#;

const ONE_WARNING: &str = "[circuits.orders.example]\nmax_receive_count = 9\n";

#[test]
fn three_mistakes_are_three_blocks() {
    let sandbox = Sandbox::with("breaker.toml", THREE_MISTAKES);
    check_in(&sandbox, "config_check_three_mistakes", &["config", "check"]);
    check_in(&sandbox, "config_check_three_mistakes_json", &["config", "check", "--json"]);
}

#[test]
fn no_command_starts_anything_with_a_bad_configuration() {
    let sandbox = Sandbox::with("bad.toml", THREE_MISTAKES);
    check_in(&sandbox, "bad_config_synth", &["synth", "--config", "bad.toml", "--out", "stack"]);
    assert_eq!(sandbox.names("."), ["bad.toml"]);
    let refused = sandbox.run(&["synth", "--config", "bad.toml"]).shown();
    assert_eq!(sandbox.run(&["asl", "--config", "bad.toml"]).shown(), refused);
    assert_eq!(sandbox.run(&["drill", "--config", "bad.toml"]).shown(), refused);
}

#[test]
fn warnings_alone_are_no_failure() {
    let sandbox = Sandbox::with("breaker.toml", ONE_WARNING);
    check_in(&sandbox, "config_check_warning", &["config", "check"]);
    let synth = sandbox.run(&["synth"]);
    assert_eq!(synth.code, 0);
    assert!(
        synth.stderr.starts_with("using breaker.toml of the current folder\nwarning[receive-margin]: "),
        "{}",
        synth.stderr
    );
    synth.json();
}

#[test]
fn what_is_unsafe_is_refused_until_it_is_accepted() {
    let tight = "[circuits.orders]\naccept = []\nexample.max_receive_count = 8\n";
    let sandbox = Sandbox::with("breaker.toml", tight);
    check_in(&sandbox, "config_check_unsafe", &["config", "check"]);
    assert_eq!(sandbox.run(&["synth"]).code, 2);
    let accepted = tight.replace("[]", "[\"receive-budget\"]");
    let sandbox = Sandbox::with("breaker.toml", &accepted);
    check_in(&sandbox, "config_check_accepted", &["config", "check"]);
    assert_eq!(sandbox.run(&["synth"]).code, 0);
    let misspelt = tight.replace("[]", "[\"recieve-budget\"]");
    check_in(&Sandbox::with("breaker.toml", &misspelt), "config_check_accept_misspelt", &["config", "check"]);
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_what_to_do() {
    check("config_check_without_file", &["config", "check"]);
    check("config_missing", &["synth", "--config", "nowhere.toml"]);
    check("config_folder", &["config", "check", "."]);
    let sandbox = Sandbox::with("broken.toml", "[circuits.orders\nbackoff = 3\n");
    check_in(&sandbox, "config_not_toml", &["config", "check", "broken.toml"]);
    std::fs::write(sandbox.path("binary.toml"), [b'#', 0xff, 0xfe]).unwrap();
    check_in(&sandbox, "config_not_text", &["config", "check", "binary.toml"]);
}

#[test]
fn one_of_several_circuits_has_to_be_chosen() {
    let sandbox = Sandbox::with("two.toml", "[circuits.orders]\n[circuits.billing]\n");
    check_in(&sandbox, "circuit_not_chosen", &["asl", "--config", "two.toml"]);
    check_in(&sandbox, "circuit_misspelt", &["drill", "--config", "two.toml", "--circuit", "order"]);
    let chosen = sandbox.run(&["asl", "--config", "two.toml", "--circuit", "billing"]);
    assert!(chosen.json()["StartAt"].is_string());
}

#[test]
fn settings_that_do_not_suit_the_scenario_are_refused_before_it_starts() {
    let sandbox = Sandbox::with("requeue.toml", "[circuits.orders.rejitter]\nstrategy = \"requeue\"\n");
    check_in(
        &sandbox,
        "config_against_scenario",
        &["drill", "run", "fifo_queue", "--config", "requeue.toml"],
    );
}

#[test]
fn an_alarm_that_exists_elsewhere_is_no_alarm_of_a_drill() {
    let arn = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:orders-failing";
    let text = format!("[circuits.orders.alarm]\nsignal = \"existing\"\nexisting_alarm_arn = \"{arn}\"\n");
    let sandbox = Sandbox::with("existing.toml", &text);
    check_in(
        &sandbox,
        "config_existing_alarm_drill",
        &["drill", "run", "outage", "--config", "existing.toml"],
    );
}

#[test]
fn the_printed_default_is_clean_and_is_the_default() {
    let sandbox = Sandbox::new();
    let printed = sandbox.run(&["config", "default"]);
    insta::assert_snapshot!("config_default", printed.shown());
    let checked = sandbox.run_with_stdin(&["config", "check", "-"], &printed.stdout);
    assert_eq!(checked.shown(), "exit code: 0\n--- stdout\n--- stderr\n-: no errors, no warnings\n");
    let of_printed = Sandbox::with("breaker.toml", &printed.stdout).run(&["synth"]);
    assert_eq!(of_printed.json(), sandbox.run(&["synth"]).json());
}

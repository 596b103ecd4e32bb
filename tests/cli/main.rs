//! The command line as its users meet it: the real binary, its exit code, standard output and standard error.

mod config;
mod drills;
mod operating;
mod package;
mod report;
mod sandbox;
mod shell;
mod states_language;
mod synth;
mod tune;

use sandbox::Sandbox;

/// Runs in an empty folder and compares exit code and both streams with the snapshot `name`.
fn check(name: &str, args: &[&str]) {
    check_in(&Sandbox::new(), name, args);
}

/// The same in a folder that was prepared.
fn check_in(sandbox: &Sandbox, name: &str, args: &[&str]) {
    insta::assert_snapshot!(name, sandbox.run(args).shown());
}

#[test]
fn every_command_explains_itself() {
    check("help", &["--help"]);
    check("help_drill", &["drill", "--help"]);
    check("help_drill_run", &["drill", "run", "--help"]);
    check("help_drill_swarm", &["drill", "swarm", "--help"]);
    check("help_drill_list", &["drill", "list", "--help"]);
    check("help_drill_asl", &["drill", "asl", "--help"]);
    check("help_tune", &["tune", "--help"]);
    check("help_synth", &["synth", "--help"]);
    check("help_package", &["package", "--help"]);
    check("help_asl", &["asl", "--help"]);
    check("help_init", &["init", "--help"]);
    check("help_doctor", &["doctor", "--help"]);
    check("help_diff", &["diff", "--help"]);
    check("help_deploy", &["deploy", "--help"]);
    for order in ["status", "watch", "trip", "close", "hold", "release", "probe"] {
        check(&format!("help_{order}"), &[order, "--help"]);
    }
    check("help_signal_recovered", &["signal", "recovered", "--help"]);
    check("help_history", &["history", "--help"]);
    check("help_destroy", &["destroy", "--help"]);
    check("help_config", &["config", "--help"]);
    check("help_config_check", &["config", "check", "--help"]);
    check("help_config_default", &["config", "default", "--help"]);
    check("help_completions", &["completions", "--help"]);
    check("help_man", &["man", "--help"]);
}

#[test]
fn bad_usage_ends_with_2_and_says_what_is_allowed() {
    check("usage_no_command", &[]);
    check("usage_unknown_command", &["dril"]);
    check("usage_unknown_option", &["synth", "--output", "x"]);
    check("usage_synth_format", &["synth", "--format", "yaml"]);
    check("usage_synth_format_and_out", &["synth", "--format", "cfn-yaml", "--out", "cdk.out"]);
    check("usage_synth_stack", &["synth", "--out", "cdk.out", "--stack", "my_stack"]);
    check("usage_synth_packages_without_out", &["synth", "--packages", "packages"]);
    check("usage_scenario_without_run", &["drill", "brown_out"]);
    check("usage_seed_out_of_range", &["drill", "run", "outage", "--seed", "18446744073709551616"]);
    check("usage_seed_no_number", &["drill", "--seed", "-3"]);
    check("usage_asl_seed", &["drill", "asl", "--definition", "a", "--input", "b", "--seed", "1e3"]);
    check("usage_history_limit", &["history", "orders", "--limit", "0"]);
    check("usage_history_no_circuit", &["history"]);
    check("usage_circuit_without_config", &["drill", "--circuit", "orders"]);
}

//! End to end, over the wire: the example stack is deployed to MiniStack, an emulator of AWS that is no part of this
//! project and runs the real Lambda binaries; then the drill `outage` is run on it with short waits, by the same
//! command that people use, and the stack is taken away again.
//!
//! What this proves: the template deploys; the binaries start and speak with AWS's APIs through the SDK; our own rule,
//! pattern and input transformer start the workflow; the states language definition runs on an interpreter that nobody
//! here wrote; mapping, probe and re-jitter do to real queues and mappings what the model says they do; every message
//! with its attributes is accounted for through the ledger queue; `destroy` leaves nothing.
//!
//! What it does not prove, because the emulator does not do it:
//! - the alarm. It refuses metric math, so the stack gets a plain threshold; it records no metrics of a mapping and sends
//!   no events of alarms, so the trip comes from a `Trip Requested` event. That an alarm fires is shown on the model, and
//!   that its event passes our rule and becomes the workflow's input in every scenario of `drill/tests/scenarios.rs`, with
//!   the rule of the template (`patterns_match_as_documented` and `templates_are_filled_in_as_aws_does` in
//!   `drill/src/cloud/eventbridge/tests.rs` hold the model of it against AWS's documentation).
//! - permissions. It enforces no IAM; the model evaluates the roles' policies.
//! - the lag of a mapping. It switches at once; the model has deliveries that come late.
//! - event metrics of a mapping: `scripts/start_ministack.py` remembers whether they are on, but there are none. Backpressure,
//!   throttling and cold starts as they are on AWS.
//! - waits of the workflow's `Wait` states in full: it is told to shorten them to a tenth (`SFN_WAIT_SCALE`).
//! - a `TimeoutSeconds` that is an expression, which `scripts/start_ministack.py` evaluates in its place.

mod binaries;
mod existing;
mod ministack;
mod operator;
mod proxy;
mod stack;
mod terminal;
mod traffic;

use std::process::Command;

use serde_json::Value;

use crate::ministack::MiniStack;

/// Name of the stack; the physical name of everything in it begins with it.
const STACK: &str = "breaker-e2e";

/// How long the dependency is down, seconds: long enough for three failed probes with the waits of [`stack::CONFIG`].
const OUTAGE_S: u32 = 24;

/// Credentials that no AWS account has; the emulator takes any.
const CREDENTIALS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "endtoend"), ("AWS_SECRET_ACCESS_KEY", "endtoend")];

#[test]
fn an_outage_on_the_deployed_example_loses_nothing_and_leaves_nothing() {
    let binaries = binaries::built();
    let cloud = MiniStack::start();
    stack::deploy(&cloud, &binaries, stack::CONFIG);
    for (service, holds) in cloud.leftovers(STACK) {
        assert!(
            holds,
            "the stack has a resource in {service}: else finding none there at the end means nothing"
        );
    }

    let report = drill(&cloud);
    check(&report);
    check_history(&cloud, &report);

    stack::destroy(&cloud);
    let left: Vec<&str> =
        cloud.leftovers(STACK).into_iter().filter(|(_, holds)| *holds).map(|(service, _)| service).collect();
    assert_eq!(left, [""; 0], "something of the stack is left");
}

/// Runs the drill, and gives its balance.
fn drill(cloud: &MiniStack) -> Value {
    let outage = OUTAGE_S.to_string();
    let mut command = breaker(cloud);
    command
        .args(["drill", "run", "outage", "--on", "endpoint", "--stack", STACK, "--trip", "event", "--json"]);
    let balance = run(command.args(["--outage-s", &outage, "--yes"]).args(cloud.target()), cloud);
    serde_json::from_str(&balance).expect("the balance is JSON")
}

/// The command, with nothing of the shell's AWS settings that could lead elsewhere.
fn breaker(cloud: &MiniStack) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breaker"));
    command.env_clear().envs(CREDENTIALS).env("HOME", cloud.folder()).current_dir(cloud.folder());
    command
}

/// Runs a command that is to succeed; answers its standard output.
fn run(command: &mut Command, cloud: &MiniStack) -> String {
    let output = command.output().expect("breaker starts");
    let (data, remarks) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        output.status.code(),
        Some(0),
        "{command:?}\n{data}\n{remarks}\nMiniStack said:\n{}",
        cloud.log()
    );
    data.into_owned()
}

fn check(report: &Value) {
    let number = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("{name} in {report}"));
    // Ten a second, for the outage, an eighth of it before and three eighths after it.
    assert_eq!(number("sent"), 360, "{report}");
    assert_eq!(number("processed"), 360, "{report}");
    for name in ["lost", "dead_lettered", "still_queued", "copies_made"] {
        assert_eq!(number(name), 0, "{name} in {report}");
    }
    assert_eq!(number("trips"), 1, "{report}");
    // Each failed probe is followed by a longer wait, and two successes close.
    assert!(number("wasted_invocations") >= 2, "{report}");
    assert!(number("probes") >= number("wasted_invocations") + 2, "{report}");
    assert_eq!(report["breaker_state"], "closed", "{report}");
    assert_eq!(report["mapping_state"], "Enabled", "{report}");
    let promises = report["promises"].as_array().expect("a list of promises");
    assert_eq!(promises.len(), 5, "{report}");
    for promise in promises {
        assert_eq!(promise["held"], true, "{promise}");
    }
}

/// `history` reads the services' own record; the drill counted along.
fn check_history(cloud: &MiniStack, report: &Value) {
    let mut command = breaker(cloud);
    command.args(["history", "example", "--stack", STACK, "--json"]).args(cloud.target());
    let history: Value = serde_json::from_str(&run(&mut command, cloud)).expect("JSON");
    let incidents = history["incidents"].as_array().expect("a list of incidents");
    assert_eq!(incidents.len(), 1, "{history}");
    let one = &incidents[0];
    assert_eq!(one["is_open"], false, "{history}");
    assert_eq!((one["trigger"].as_str(), one["close_reason"].as_str()), (Some("event"), Some("recovered")));
    assert!(
        one["lasted_s"].as_u64().is_some_and(|lasted_s| lasted_s >= 120),
        "the ramp takes two minutes: {history}"
    );
    let probes = one["probes"].as_array().expect("a list of probes");
    assert_eq!(Some(probes.len() as u64), report["probes"].as_u64(), "{history}\n{report}");
    let failed = probes.iter().filter(|probe| probe["verdict"] == "unhealthy").count() as u64;
    assert!(failed >= 2, "{history}");
    assert_eq!(one["failed_probe_count"].as_u64(), Some(failed), "{history}");

    let mut unknown = breaker(cloud);
    unknown.args(["history", "exampel", "--stack", STACK]).args(cloud.target());
    let output = unknown.output().expect("breaker starts");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("has no circuit exampel"), "{output:?}");
}

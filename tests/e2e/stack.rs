//! The example stack, with a ledger, short waits and an alarm that compares one metric with a number.

use std::fs;
use std::path::Path;

use crate::ministack::MiniStack;
use crate::{STACK, breaker, run};

/// Waits as short as the configuration allows, so that an outage of seconds has several probes. The emulator takes no
/// metric math, so the signal is the one without it.
pub const CONFIG: &str = r#"
[circuits.example.alarm]
signal = "failed-count"
evaluation_periods_count = 1
datapoints_to_alarm_count = 1

[circuits.example.open]
settle_poll_s = 1
quiet_grace_s = 2

[circuits.example.backoff]
base_s = 2
cap_s = 4
jitter = "none"

[circuits.example.probe]
long_poll_s = 2

[circuits.example.ramp]
concurrency_counts = [2]

[circuits.example.example]
ledger = true
function_timeout_s = 2
visibility_timeout_s = 12
max_receive_count = 50
"#;

/// The same with an hour between probes, so that nothing but a command or a signal ends a wait, and with no ramp, whose steps take
/// two minutes each.
pub fn seldom_probed() -> String {
    let seldom = CONFIG.replace("base_s = 2\ncap_s = 4", "base_s = 3600\ncap_s = 3600");
    assert_ne!(seldom, CONFIG, "the waits stand where they are looked for");
    let at_once = seldom.replace("concurrency_counts = [2]", "concurrency_counts = []");
    assert_ne!(at_once, seldom, "the ramp stands where it is looked for");
    at_once
}

/// Packs the binaries of the build that is being tested, and deploys the stack with them.
pub fn deploy(cloud: &MiniStack, binaries: &Path, settings: &str) {
    let (config, packages) = (cloud.folder().join("breaker.toml"), cloud.folder().join("packages"));
    fs::write(&config, settings).expect("the folder can be written");
    let mut pack = breaker(cloud);
    run(pack.arg("package").arg("--binaries").arg(binaries).arg("--out").arg(&packages), cloud);
    let mut deploy = breaker(cloud);
    deploy.args(["deploy", "--stack", STACK, "--yes"]).args(cloud.target());
    run(deploy.arg("--config").arg(&config).arg("--packages").arg(&packages), cloud);
}

/// Takes it away.
pub fn destroy(cloud: &MiniStack) {
    run(breaker(cloud).args(["destroy", "--stack", STACK, "--yes"]).args(cloud.target()), cloud);
}

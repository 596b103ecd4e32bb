//! What operators do to a circuit, while it is really open: by the same commands that people use.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::ministack::{MiniStack, pause};
use crate::terminal::Terminal;
use crate::{STACK, binaries, breaker, run, stack};

/// How often a circuit is looked at until it has come to where it is going.
const LOOK: Duration = Duration::from_millis(500);
const MAX_LOOKS: u32 = 240;

/// The answers of `breaker status` that a person needs, by their labels.
const ANSWERS: [&str; 6] = ["why", "last probe", "next", "waiting", "time left", "in charge"];

struct Desk(MiniStack);

impl Desk {
    /// Runs a command of an operator that is to end with `code`; answers both of its outputs.
    fn command(&self, args: &[&str], code: i32) -> String {
        let mut command = breaker(&self.0);
        command.args(args).args(["--stack", STACK]).args(self.0.target()).stdin(Stdio::null());
        let output = command.output().expect("breaker starts");
        let (data, remarks) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let told = format!("{data}\n{remarks}");
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{told}\nMiniStack said:\n{}", self.0.log());
        told
    }

    fn json(&self, args: &[&str]) -> Value {
        let mut command = breaker(&self.0);
        command.args(args).args(["--json", "--stack", STACK]).args(self.0.target());
        serde_json::from_str(&run(&mut command, &self.0)).expect("JSON")
    }

    /// Says that the dependency has recovered. The command knows no stack.
    fn signal_recovered(&self) -> String {
        let mut command = breaker(&self.0);
        command.args(["signal", "recovered", "example", "--reason", "rehearsal"]).args(self.0.target());
        run(&mut command, &self.0)
    }

    /// Looks at the open circuit on a terminal, and leaves by a key and by a signal.
    fn watch(&self) {
        let watch = || {
            let mut command = breaker(&self.0);
            command.args(["watch", "--stack", STACK]).args(self.0.target());
            let terminal = Terminal::run(&command);
            terminal.wait_for(&["in charge", "anna: rehearsal", "Disabled", "q quit"]);
            terminal
        };
        let mut terminal = watch();
        terminal.press("?");
        terminal.wait_for(&["q, Esc, Ctrl-C"]);
        terminal.press("q");
        let ended = terminal.end();
        assert_eq!(ended.code(), Some(0), "{ended}");
        let terminal = watch();
        terminal.signal("TERM");
        let ended = terminal.end();
        assert_eq!(ended.code(), Some(0), "{ended}");
    }

    fn status(&self) -> Value {
        self.json(&["status", "example"])[0].clone()
    }

    fn wait_until(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..MAX_LOOKS {
            let status = self.status();
            if fits(&status) {
                return status;
            }
            pause(LOOK);
        }
        panic!("the circuit is not {what}: {}\nMiniStack said:\n{}", self.status(), self.0.log());
    }
}

#[test]
fn operators_hold_release_trip_and_close_a_circuit() {
    let cloud = MiniStack::start();
    stack::deploy(&cloud, &binaries::built(), &stack::seldom_probed());
    let desk = Desk(cloud);

    let status = desk.status();
    assert_eq!((&status["state"], &status["since_ms"]), (&Value::from("closed"), &Value::Null), "{status}");
    let told = desk.command(&["close", "example", "--yes"], 0);
    assert!(told.contains("example is closed: nothing is done"), "{told}");
    // Without a terminal nobody can agree, and nothing happens.
    let told = desk.command(&["trip", "example"], 2);
    assert!(told.contains("--yes"), "{told}");
    let told = desk.command(&["trip", "exampel", "--yes"], 2);
    assert!(told.contains("did you mean example?"), "{told}");
    assert_eq!(desk.status()["state"], "closed");

    desk.command(&["hold", "example", "--for", "1h", "--reason", "maintenance", "--as", "anna", "--yes"], 0);
    let held = desk.status();
    assert_eq!(held["state"], "held", "{held}");
    assert_eq!(
        (&held["in_charge"]["who"], &held["in_charge"]["by"]),
        (&"operator".into(), &"anna".into()),
        "{held}"
    );
    assert_eq!((&held["next"]["step"], &held["mapping"]), (&"release".into(), &"Disabled".into()), "{held}");
    assert_eq!(held["why"]["reason"], "anna: maintenance", "{held}");
    let told = desk.command(&["trip", "example", "--yes"], 0);
    assert!(told.contains("example is open already"), "{told}");

    let told = desk.command(&["release", "example", "--reason", "done", "--yes"], 0);
    assert!(!told.contains("the hold ends"), "{told}");
    // Nothing waits in the queue, so live traffic stands in for a probe, and the circuit closes by itself.
    desk.wait_until("closed", |status| status["state"] == "closed");

    desk.command(&["trip", "example", "--reason", "rehearsal", "--yes"], 0);
    desk.wait_until("waiting", |status| status["next"]["step"] == "probe");
    let told = desk.signal_recovered();
    assert!(told.contains("is on the bus"), "{told}");
    // The next probe was an hour away.
    desk.wait_until("closed", |status| status["state"] == "closed");

    desk.command(&["trip", "example", "--reason", "rehearsal", "--as", "anna", "--yes"], 0);
    let told = desk.command(&["status", "example"], 0);
    for answer in ANSWERS {
        assert!(told.contains(&format!("  {answer}")), "{answer} is missing:\n{told}");
    }
    desk.watch();
    desk.command(&["close", "example", "--reason", "enough", "--as", "anna", "--yes"], 0);
    let closed = desk.wait_until("closed", |status| status["state"] == "closed");
    assert_eq!(closed["mapping"], "Enabled", "{closed}");

    let history = desk.json(&["history", "example"]);
    let incidents = history["incidents"].as_array().expect("a list of incidents");
    // The emulator's history has no parameters of calls, so that of the incident before no announcement is on record.
    let last = incidents.first().unwrap_or_else(|| panic!("no incident: {history}"));
    assert_eq!((&last["is_open"], &last["close_reason"]), (&false.into(), &"operator".into()), "{history}");
    assert_eq!(last["reason"], "anna: rehearsal", "{history}");
}

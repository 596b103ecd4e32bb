//! What an operator's command means for a circuit as it stands. The command line asks here, and then does what it is told:
//! nothing else may decide, so that a command goes through the same claim and the same wait as everything else.

use crate::circuit::item;
use crate::contract::{Hold, MAX_HELD_BY, MAX_HOLD_S, Trigger, TripRequest, WaitCommand};
use crate::status::{Facts, InCharge, Next, Status};

/// What an operator may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Open the circuit.
    Trip,
    /// Give the mapping back without another probe.
    Close,
    /// Keep the circuit open, without probes, until a time; a closed one is opened for it.
    Hold {
        /// For how long, 1 to [`MAX_HOLD_S`] seconds.
        for_s: u32,
    },
    /// End a hold and probe.
    Release,
    /// Probe now instead of at the end of the wait.
    Probe,
}

/// A command with who gives it, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What is asked for.
    pub command: Command,
    /// Who.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
    /// The moment, RFC 3339.
    pub at: String,
}

/// What is to be done for an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// It is so already, or there is nothing to do it to.
    Nothing {
        /// Why.
        why: String,
    },
    /// Start an execution with this input. Its claim decides.
    Start(TripRequest),
    /// The execution in charge has ended: start one that takes over, then ask again.
    TakeOver(TripRequest),
    /// Complete the wait in progress.
    Signal(WaitCommand),
    /// The circuit is at work on what ends by itself: ask again in a moment.
    Later {
        /// At what.
        what: &'static str,
    },
}

impl Command {
    /// The word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Command::Trip => "trip",
            Command::Close => "close",
            Command::Hold { .. } => "hold",
            Command::Release => "release",
            Command::Probe => "probe",
        }
    }
}

impl Order {
    /// What is to be done now. `status` is derived from `facts`.
    pub fn means(&self, facts: &Facts, status: &Status) -> Means {
        let nothing = |why: &str| Means::Nothing { why: format!("{} {why}", facts.circuit) };
        let is_held = matches!(status.next, Next::Release { .. });
        match (self.command, status.is_open()) {
            (Command::Trip, false) => return Means::Start(self.request(facts, None)),
            (Command::Hold { for_s }, false) => {
                return Means::Start(self.request(facts, Some(self.hold(for_s, facts.now_ms))));
            }
            (_, false) => return nothing("is closed"),
            (_, true) => {}
        }
        if matches!(status.in_charge, InCharge::EndedExecution { .. }) {
            let request = self.request(facts, None);
            return if self.command == Command::Trip {
                Means::Start(request)
            } else {
                Means::TakeOver(request)
            };
        }
        match (self.command, status.next) {
            (Command::Trip, _) => return nothing("is open already"),
            (Command::Release, _) if !is_held => return nothing("is not held"),
            (Command::Close, Next::Restoring) => return nothing("is being closed already"),
            (Command::Probe, Next::Probing) => return nothing("is being probed already"),
            _ => {}
        }
        if facts.item.contains_key(item::TASK_TOKEN) {
            return Means::Signal(self.signal(facts.now_ms));
        }
        Means::Later {
            what: match status.next {
                Next::Opening => "is being opened",
                Next::LimitedTraffic => "is being tried with limited traffic",
                Next::Restoring => "is being closed",
                Next::Nothing | Next::Probe { .. } | Next::Probing | Next::Release { .. } | Next::GivenUp => {
                    "is being probed"
                }
            },
        }
    }

    fn signal(&self, now_ms: u64) -> WaitCommand {
        let reason = self.words();
        match self.command {
            Command::Hold { for_s } => WaitCommand::Hold(self.hold(for_s, now_ms)),
            Command::Close => WaitCommand::Close { reason },
            Command::Release => WaitCommand::Release { reason },
            Command::Trip | Command::Probe => WaitCommand::Probe { reason },
        }
    }

    fn request(&self, facts: &Facts, hold: Option<Hold>) -> TripRequest {
        TripRequest {
            circuit: facts.circuit.clone(),
            trigger: Trigger::Operator,
            reason: self.words(),
            at: self.at.clone(),
            hold,
            restore_retention_of: None,
        }
    }

    fn hold(&self, for_s: u32, now_ms: u64) -> Hold {
        Hold {
            until_ms: now_ms + u64::from(for_s.min(MAX_HOLD_S)) * 1_000,
            by: self.by.chars().take(MAX_HELD_BY as usize).collect(),
            reason: self.reason.clone(),
        }
    }

    /// Who and why, where one text has to say both.
    fn words(&self) -> String {
        format!("{}: {}", self.by, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn order(command: Command) -> Order {
        let text = str::to_owned;
        Order { command, by: text("anna"), reason: text("why"), at: text("2026-01-01T00:00:00Z") }
    }

    /// What `command` means for a circuit whose item has these attributes.
    fn means(command: Command, alive: bool, attributes: &[(&str, &str)]) -> Means {
        let item: BTreeMap<_, _> =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let facts = Facts {
            circuit: "orders".to_owned(),
            now_ms: 1_000,
            item,
            owner_is_alive: Some(alive),
            ..Facts::default()
        };
        order(command).means(&facts, &Status::of(&facts))
    }

    const ALL: [Command; 5] =
        [Command::Trip, Command::Close, Command::Hold { for_s: 60 }, Command::Release, Command::Probe];

    fn kinds(alive: bool, attributes: &[(&str, &str)]) -> Vec<String> {
        let kind = |command| match means(command, alive, attributes) {
            Means::Nothing { why } => why,
            Means::Start(request) => format!("start{}", if request.hold.is_some() { " held" } else { "" }),
            Means::TakeOver(_) => "take over".to_owned(),
            Means::Signal(signal) => format!("signal {}", signal.name()),
            Means::Later { what } => format!("later: {what}"),
        };
        ALL.into_iter().map(kind).collect()
    }

    #[test]
    fn a_closed_circuit_can_only_be_opened() {
        let closed = "orders is closed";
        assert_eq!(kinds(false, &[]), ["start", closed, "start held", closed, closed]);
    }

    const WAITING: [(&str, &str); 4] = [
        (item::STATE, "open"),
        (item::PHASE, "disabled"),
        (item::WAIT_UNTIL_MS, "9000"),
        (item::TASK_TOKEN, "token"),
    ];

    #[test]
    fn a_wait_takes_every_command_that_makes_sense() {
        let expected =
            ["orders is open already", "signal close", "signal hold", "orders is not held", "signal probe"];
        assert_eq!(kinds(true, &WAITING), expected);
    }

    #[test]
    fn a_hold_takes_a_release_too() {
        let mut held = WAITING.to_vec();
        held.push((item::STATE, "held"));
        let expected =
            ["orders is open already", "signal close", "signal hold", "signal release", "signal probe"];
        assert_eq!(kinds(true, &held), expected);
    }

    #[test]
    fn without_an_owner_somebody_has_to_take_over_first() {
        assert_eq!(kinds(false, &WAITING), ["start", "take over", "take over", "take over", "take over"]);
    }

    #[test]
    fn what_is_under_way_is_waited_for() {
        let half_open = [(item::STATE, "half_open"), (item::PHASE, "disabled")];
        let later = "later: is being probed";
        let not_held = "orders is not held";
        assert_eq!(
            kinds(true, &half_open),
            ["orders is open already", later, later, not_held, "orders is being probed already"]
        );
        let restoring = [(item::STATE, "half_open"), (item::PHASE, "restoring")];
        assert_eq!(
            means(Command::Close, true, &restoring),
            Means::Nothing { why: "orders is being closed already".to_owned() }
        );
    }

    #[test]
    fn who_and_why_go_along() {
        let Means::Signal(WaitCommand::Close { reason }) = means(Command::Close, true, &WAITING) else {
            panic!("a wait takes a close")
        };
        assert_eq!(reason, "anna: why");
        let Means::Start(TripRequest { hold: Some(hold), reason, .. }) =
            means(Command::Hold { for_s: u32::MAX }, false, &[])
        else {
            panic!("a closed circuit is opened for a hold")
        };
        assert_eq!((hold.by.as_str(), hold.reason.as_str(), reason.as_str()), ("anna", "why", "anna: why"));
        assert_eq!(hold.until_ms, 1_000 + u64::from(MAX_HOLD_S) * 1_000);
    }
}

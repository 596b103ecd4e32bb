//! What was seen of a circuit from outside, in the order in which it happened rather than in which it was looked at: the
//! quiet of an open circuit is judged by that.

use std::collections::BTreeSet;

use workflow::events::Announcement;

use crate::checkers::{Actor, MappingSettings, Observation};
use crate::scribe::Scribe;
use crate::sim::Time;

/// Something that a service put on record, with the service's own time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Record {
    /// The workflow began to enable the mapping. Of records of the same millisecond it comes first, and a delivery
    /// after it: what began in that millisecond is no breach.
    MappingAsked,
    /// A probe ended with a verdict on a message.
    Probed,
    /// The consumer recorded a message as processed.
    Booked(String),
    /// The breaker announced something.
    Announced(Announcement),
}

/// The records of a drill.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    records: BTreeSet<(Time, Record)>,
    /// Messages that a probe had in hand.
    probed: BTreeSet<String>,
}

impl Evidence {
    /// The workflow enters a state that enables the mapping.
    pub(super) fn mapping_asked(&mut self, at: Time) {
        self.records.insert((at, Record::MappingAsked));
    }

    /// The breaker announces something.
    pub(super) fn announced(&mut self, at: Time, what: Announcement) {
        self.records.insert((at, Record::Announced(what)));
    }

    /// A probe tried the consumer with this message.
    pub(super) fn probed(&mut self, at: Time, id: &str) {
        self.records.insert((at, Record::Probed));
        self.probed.insert(id.to_owned());
    }

    /// The ledger has an entry with this id, made at `at`.
    pub(super) fn booked(&mut self, at: Time, id: &str) {
        self.records.insert((at, Record::Booked(id.to_owned())));
    }

    /// Whether a probe had this message in hand.
    pub(super) fn was_probed(&self, id: &str) -> bool {
        self.probed.contains(id)
    }

    /// Shows everything to the checkers. An entry of the ledger for a message that no probe had in hand is a delivery by
    /// the mapping.
    pub(super) fn show(&self, scribe: &mut Scribe, settings: &MappingSettings) {
        let enabled = MappingSettings { enabled: true, ..settings.clone() };
        for (at, record) in &self.records {
            match record {
                Record::MappingAsked => scribe.observe(*at, &Observation::MappingAsked(enabled.clone())),
                Record::Announced(what) => {
                    scribe.observe(*at, &Observation::Announced(what.detail_type()));
                }
                Record::Probed => {
                    scribe.observe(*at, &Observation::Invoked(Actor::Probe));
                    scribe.observe(*at, &Observation::Ended(Actor::Probe));
                }
                Record::Booked(id) if self.was_probed(id) => {}
                Record::Booked(_) => scribe.observe(*at, &Observation::Invoked(Actor::Mapping)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::FinalState;

    /// What the checkers of quiet say: opened at 10 s, a probe of `p` at 20 s, the mapping asked for at 30 s.
    fn check(booked: &[(u64, &str)], held: bool) {
        let at = |s: u64| Time::from_ms(s * 1_000);
        let mut evidence = Evidence::default();
        // Seen in another order than it happened.
        booked.iter().for_each(|(s, id)| evidence.booked(at(*s), id));
        evidence.mapping_asked(at(30));
        evidence.probed(at(20), "p");
        evidence.announced(at(10), Announcement::Opened);
        let settings = MappingSettings { enabled: true, maximum_concurrency: None };
        let mut scribe = Scribe::new(settings.clone());
        evidence.show(&mut scribe, &settings);
        let end =
            FinalState { books: &scribe.books, mapping: settings.clone(), circuit: "closed".to_owned() };
        let verdicts: Vec<_> = scribe.checkers().iter().map(|checker| checker.verdict(&end)).collect();
        let quiet = verdicts.iter().find(|verdict| verdict.name == "quiet_while_open").expect("it runs");
        assert_eq!(quiet.held, held, "{}", quiet.detail);
        assert_eq!(scribe.counts.probes, 1);
    }

    #[test]
    fn a_message_processed_while_open_is_a_breach_unless_a_probe_had_it() {
        check(&[(5, "a"), (19, "p"), (30, "b"), (40, "c")], true);
        check(&[(15, "a")], false);
        check(&[(25, "a")], false);
    }
}

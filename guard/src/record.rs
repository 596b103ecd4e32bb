//! What the store holds of a circuit: the workflow's part, which a guard only reads, and the guards' own part.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use workflow::circuit::{CircuitState, item};

use crate::window::Bucket;

/// Attribute names of the guards' part of the circuit's item, beside those of [`workflow::circuit::item`].
pub mod attribute {
    /// Number: raised by each write of a guard. A write is refused if it is not the one that was read.
    pub const REVISION: &str = "guard_revision";
    /// String: the write that made this revision. By it a guard whose answer was lost knows whether its write arrived.
    pub const WRITER: &str = "guard_writer";
    /// Number: raised by each transition of the guards. Fences results of calls that began before it.
    pub const EPOCH: &str = "guard_epoch";
    /// Number: the workflow's `opened_at_ms` when this was written; 0 if there was none. If it is another one by now, an
    /// execution has claimed the circuit since, and the guards' state is void.
    pub const OUTAGE_MS: &str = "guard_outage_ms";
    /// String: `closed`, `open` or `half_open`.
    pub const STATE: &str = "guard_state";
    /// Number: when an open circuit may be tried, milliseconds since the Unix epoch.
    pub const OPEN_UNTIL_MS: &str = "guard_open_until_ms";
    /// Number: openings since the last close.
    pub const ROUND_COUNT: &str = "guard_round_count";
    /// Number: sample calls that have succeeded.
    pub const SUCCESS_COUNT: &str = "guard_success_count";
    /// String, JSON list of [`super::Lease`]: sample calls in flight.
    pub const LEASES: &str = "guard_leases";
    /// String, JSON list of [`crate::window::Bucket`]: calls of all instances that have reported.
    pub const WINDOW: &str = "guard_window";
    /// Number: failures in a row, of all instances that have reported.
    pub const RUN_COUNT: &str = "guard_run_count";
    /// Number: since when the counts are alarming, milliseconds since the Unix epoch.
    pub const ALARMING_SINCE_MS: &str = "guard_alarming_since_ms";
    /// String: why it opened last.
    pub const REASON: &str = "guard_reason";
    /// String: who has isolated the dependency. While it is there, no call passes.
    pub const ISOLATED_BY: &str = "guard_isolated_by";
    /// String: why, in their words.
    pub const ISOLATION_REASON: &str = "guard_isolation_reason";
    /// Number: since when, milliseconds since the Unix epoch.
    pub const ISOLATED_AT_MS: &str = "guard_isolated_at_ms";

    /// All of them, in the order in which they are written.
    pub const ALL: [&str; 16] = [
        REVISION,
        WRITER,
        EPOCH,
        OUTAGE_MS,
        STATE,
        OPEN_UNTIL_MS,
        ROUND_COUNT,
        SUCCESS_COUNT,
        LEASES,
        WINDOW,
        RUN_COUNT,
        ALARMING_SINCE_MS,
        REASON,
        ISOLATED_BY,
        ISOLATION_REASON,
        ISOLATED_AT_MS,
    ];
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A whole number.
    Number(u64),
}

impl Attribute {
    /// As text.
    pub fn text(&self) -> String {
        match self {
            Attribute::Text(text) => text.clone(),
            Attribute::Number(number) => number.to_string(),
        }
    }
}

/// The right to make one sample call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Tells it from the others.
    pub id: u64,
    /// Until when, by the holder's clock, milliseconds since the Unix epoch.
    pub until_ms: u64,
}

/// The state of the guards, without the workflow's and without isolation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GuardState {
    /// Calls pass.
    #[default]
    Closed,
    /// No call passes.
    Open {
        /// When it may be tried, milliseconds since the Unix epoch.
        until_ms: u64,
    },
    /// Sample calls pass.
    HalfOpen {
        /// Those that have succeeded.
        success_count: u32,
        /// Those in flight.
        leases: Vec<Lease>,
    },
}

impl GuardState {
    /// The value of [`attribute::STATE`].
    pub fn name(&self) -> &'static str {
        let state = match self {
            GuardState::Closed => CircuitState::Closed,
            GuardState::Open { .. } => CircuitState::Open,
            GuardState::HalfOpen { .. } => CircuitState::HalfOpen,
        };
        state.name()
    }
}

/// A person's order that no call may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isolation {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// The guards' part of the item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// [`attribute::REVISION`]; 0 before the first write.
    pub revision: u64,
    /// [`attribute::WRITER`].
    pub writer: u64,
    /// [`attribute::EPOCH`].
    pub epoch: u64,
    /// [`attribute::OUTAGE_MS`].
    pub outage_ms: u64,
    /// The state.
    pub state: GuardState,
    /// [`attribute::ROUND_COUNT`].
    pub round_count: u32,
    /// [`attribute::WINDOW`].
    pub window: Vec<Bucket>,
    /// [`attribute::RUN_COUNT`].
    pub run_count: u64,
    /// [`attribute::ALARMING_SINCE_MS`].
    pub alarming_since_ms: Option<u64>,
    /// [`attribute::REASON`]; empty before the first opening.
    pub reason: String,
    /// The isolation, if there is one.
    pub isolation: Option<Isolation>,
}

/// The workflow's part of the item, as far as a guard obeys it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowPart {
    /// [`item::STATE`]; closed if absent.
    pub state: CircuitState,
    /// [`item::EPOCH`]; absent before the first claim.
    pub epoch: Option<u64>,
    /// [`item::OPENED_AT_MS`], 0 if absent: names the last outage that an execution has claimed.
    pub opened_at_ms: u64,
    /// [`item::WAIT_UNTIL_MS`]: when the next probe is due.
    pub wait_until_ms: Option<u64>,
}

impl Default for WorkflowPart {
    fn default() -> WorkflowPart {
        WorkflowPart { state: CircuitState::Closed, epoch: None, opened_at_ms: 0, wait_until_ms: None }
    }
}

/// A circuit's item as a guard reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// The workflow's part.
    pub workflow: WorkflowPart,
    /// The guards' part.
    pub record: Record,
}

/// An item whose attribute does not have the form that it should.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "attribute {attribute} of the circuit's item is {value:?}; allowed: {allowed}. Remove the item's attributes that begin with guard_, and the guards begin anew"
)]
pub struct MalformedItem {
    /// Name of the attribute.
    pub attribute: &'static str,
    /// Its value, at most 100 characters of it.
    pub value: String,
    /// What is allowed.
    pub allowed: &'static str,
}

impl Item {
    /// Reads an item off its attributes. Those that a guard does not know are left alone.
    ///
    /// # Errors
    /// [`MalformedItem`] if an attribute has another form than a guard or the workflow writes.
    pub fn from_attributes(attributes: &BTreeMap<String, Attribute>) -> Result<Item, MalformedItem> {
        let read = Reader(attributes);
        let workflow = WorkflowPart {
            state: match read.text(item::STATE) {
                None => CircuitState::Closed,
                Some(name) => CircuitState::from_name(&name)
                    .ok_or_else(|| malformed(item::STATE, &name, "closed, open, half_open or held"))?,
            },
            epoch: read.number(item::EPOCH)?,
            opened_at_ms: read.number(item::OPENED_AT_MS)?.unwrap_or_default(),
            wait_until_ms: read.number(item::WAIT_UNTIL_MS)?,
        };
        let state = match read.text(attribute::STATE).as_deref() {
            None | Some("closed") => GuardState::Closed,
            Some("open") => {
                GuardState::Open { until_ms: read.number(attribute::OPEN_UNTIL_MS)?.unwrap_or_default() }
            }
            Some("half_open") => GuardState::HalfOpen {
                success_count: read.small(attribute::SUCCESS_COUNT)?,
                leases: read.list(attribute::LEASES)?,
            },
            Some(name) => return Err(malformed(attribute::STATE, name, "closed, open or half_open")),
        };
        let writer = read.text(attribute::WRITER).unwrap_or_default();
        let record = Record {
            revision: read.number(attribute::REVISION)?.unwrap_or_default(),
            writer: u64::from_str_radix(&writer, 16).unwrap_or_default(),
            epoch: read.number(attribute::EPOCH)?.unwrap_or_default(),
            outage_ms: read.number(attribute::OUTAGE_MS)?.unwrap_or_default(),
            state,
            round_count: read.small(attribute::ROUND_COUNT)?,
            window: read.list(attribute::WINDOW)?,
            run_count: read.number(attribute::RUN_COUNT)?.unwrap_or_default(),
            alarming_since_ms: read.number(attribute::ALARMING_SINCE_MS)?,
            reason: read.text(attribute::REASON).unwrap_or_default(),
            isolation: match read.text(attribute::ISOLATED_BY) {
                None => None,
                Some(by) => Some(Isolation {
                    by,
                    reason: read.text(attribute::ISOLATION_REASON).unwrap_or_default(),
                    at_ms: read.number(attribute::ISOLATED_AT_MS)?.unwrap_or_default(),
                }),
            },
        };
        Ok(Item { workflow, record })
    }
}

impl Record {
    /// The attributes to write, by name. Those of [`attribute::ALL`] that are not among them are to be removed.
    pub fn attributes(&self) -> BTreeMap<&'static str, Attribute> {
        let number = Attribute::Number;
        let text = |text: &str| Attribute::Text(text.to_owned());
        let mut all = BTreeMap::from([
            (attribute::REVISION, number(self.revision)),
            (attribute::WRITER, Attribute::Text(format!("{:016x}", self.writer))),
            (attribute::EPOCH, number(self.epoch)),
            (attribute::OUTAGE_MS, number(self.outage_ms)),
            (attribute::STATE, text(self.state.name())),
            (attribute::ROUND_COUNT, number(u64::from(self.round_count))),
            (attribute::RUN_COUNT, number(self.run_count)),
        ]);
        match &self.state {
            GuardState::Closed => {}
            GuardState::Open { until_ms } => {
                all.insert(attribute::OPEN_UNTIL_MS, number(*until_ms));
            }
            GuardState::HalfOpen { success_count, leases } => {
                all.insert(attribute::SUCCESS_COUNT, number(u64::from(*success_count)));
                all.insert(attribute::LEASES, json(leases));
            }
        }
        if !self.window.is_empty() {
            all.insert(attribute::WINDOW, json(&self.window));
        }
        if let Some(since_ms) = self.alarming_since_ms {
            all.insert(attribute::ALARMING_SINCE_MS, number(since_ms));
        }
        if !self.reason.is_empty() {
            all.insert(attribute::REASON, text(&self.reason));
        }
        if let Some(isolation) = &self.isolation {
            all.insert(attribute::ISOLATED_BY, text(&isolation.by));
            all.insert(attribute::ISOLATION_REASON, text(&isolation.reason));
            all.insert(attribute::ISOLATED_AT_MS, number(isolation.at_ms));
        }
        all
    }
}

fn json<T: Serialize>(list: &[T]) -> Attribute {
    Attribute::Text(serde_json::to_string(list).expect("numbers in lists are always written"))
}

fn malformed(attribute: &'static str, value: &str, allowed: &'static str) -> MalformedItem {
    MalformedItem { attribute, value: value.chars().take(100).collect(), allowed }
}

struct Reader<'a>(&'a BTreeMap<String, Attribute>);

impl Reader<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(Attribute::text)
    }

    fn number(&self, name: &'static str) -> Result<Option<u64>, MalformedItem> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Attribute::Number(number)) => Ok(Some(*number)),
            Some(Attribute::Text(text)) => {
                text.parse().map(Some).map_err(|_| malformed(name, text, "a whole number"))
            }
        }
    }

    fn small(&self, name: &'static str) -> Result<u32, MalformedItem> {
        let number = self.number(name)?.unwrap_or_default();
        u32::try_from(number)
            .map_err(|_| malformed(name, &number.to_string(), "a whole number below 4,294,967,296"))
    }

    fn list<T: for<'de> Deserialize<'de>>(&self, name: &'static str) -> Result<Vec<T>, MalformedItem> {
        match self.text(name) {
            None => Ok(Vec::new()),
            Some(text) => serde_json::from_str(&text)
                .map_err(|_| malformed(name, &text, "a JSON list as guards write it")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::window::Counts;

    fn record() -> impl Strategy<Value = Record> {
        let lease = (any::<u64>(), any::<u64>()).prop_map(|(id, until_ms)| Lease { id, until_ms });
        let state = prop_oneof![
            Just(GuardState::Closed),
            any::<u64>().prop_map(|until_ms| GuardState::Open { until_ms }),
            (any::<u32>(), proptest::collection::vec(lease, 0..4))
                .prop_map(|(success_count, leases)| GuardState::HalfOpen { success_count, leases }),
        ];
        let bucket = any::<[u64; 4]>().prop_map(|[index, call_count, failure_count, slow_count]| Bucket {
            index,
            counts: Counts { call_count, failure_count, slow_count },
        });
        let isolation =
            (".*", ".*", any::<u64>()).prop_map(|(by, reason, at_ms)| Isolation { by, reason, at_ms });
        (
            any::<[u64; 5]>(),
            state,
            any::<u32>(),
            proptest::collection::vec(bucket, 0..4),
            any::<Option<u64>>(),
            ".*",
            proptest::option::of(isolation),
        )
            .prop_map(
                |(numbers, state, round_count, window, alarming_since_ms, reason, isolation)| {
                    let [revision, writer, epoch, outage_ms, run_count] = numbers;
                    Record {
                        revision,
                        writer,
                        epoch,
                        outage_ms,
                        state,
                        round_count,
                        window,
                        run_count,
                        alarming_since_ms,
                        reason,
                        isolation,
                    }
                },
            )
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(record in record()) {
            let written = record.attributes();
            prop_assert!(written.keys().all(|name| attribute::ALL.contains(name)));
            let attributes = written.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            prop_assert_eq!(Item::from_attributes(&attributes).unwrap().record, record);
        }

        #[test]
        fn fuzz_an_item_of_anybody_is_read_or_refused(
            attributes in proptest::collection::btree_map(
                proptest::sample::select([&attribute::ALL[..], &[item::STATE, item::EPOCH][..]].concat()),
                prop_oneof![".*".prop_map(Attribute::Text), any::<u64>().prop_map(Attribute::Number)],
                0..18,
            )
        ) {
            let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let _ = Item::from_attributes(&attributes);
        }
    }

    #[test]
    fn a_malformed_attribute_is_named_with_what_is_allowed() {
        let attributes = BTreeMap::from([("guard_state".to_owned(), Attribute::Text("ajar".to_owned()))]);
        let error = Item::from_attributes(&attributes).unwrap_err();
        assert_eq!(
            error.to_string(),
            "attribute guard_state of the circuit's item is \"ajar\"; allowed: closed, open or half_open. Remove the \
             item's attributes that begin with guard_, and the guards begin anew"
        );
    }
}

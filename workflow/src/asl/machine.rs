//! The machine as a whole, and what it refuses.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use thiserror::Error;

use super::State;

/// Longest name of a state that Step Functions takes.
const MAX_NAME: usize = 80;

/// A machine in which every state is reached and every way on leads somewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct StateMachine {
    comment: String,
    start: String,
    states: Vec<State>,
}

/// One reason why a machine is refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum Flaw {
    /// Two states have the same name.
    #[error("two states are named {0:?}: names must be unique")]
    DuplicateName(String),
    /// A state leads to one that does not exist.
    #[error("state {state:?} leads to {target:?}, which does not exist")]
    Dangling {
        /// The state.
        state: String,
        /// Where it leads.
        target: String,
    },
    /// The start does not exist.
    #[error("the machine starts at {0:?}, which does not exist")]
    NoStart(String),
    /// Nothing leads to a state.
    #[error("nothing leads to state {0:?}")]
    Unreachable(String),
    /// From a state no terminal state can be reached.
    #[error("state {0:?} can never come to an end")]
    Endless(String),
    /// A name is empty or longer than Step Functions takes.
    #[error("the name {0:?} is empty or longer than 80 characters")]
    BadName(String),
    /// `States.ALL` must stand alone in its list of errors.
    #[error("state {0:?} names States.ALL beside other errors: it must stand alone")]
    AllNotAlone(String),
}

/// Every reason why a machine is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", .0.iter().map(Flaw::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Flaws(pub Vec<Flaw>);

impl StateMachine {
    /// A machine that starts at `start`.
    ///
    /// # Errors
    /// Every [`Flaw`], when there is any.
    pub fn new(comment: &str, start: &str, states: Vec<State>) -> Result<StateMachine, Flaws> {
        let machine = StateMachine { comment: comment.to_owned(), start: start.to_owned(), states };
        let flaws = machine.flaws();
        if flaws.is_empty() { Ok(machine) } else { Err(Flaws(flaws)) }
    }

    /// Names of the states, in the order in which they stand in the definition.
    pub fn state_names(&self) -> impl Iterator<Item = &str> {
        self.states.iter().map(|state| state.name.as_str())
    }

    /// The definition as JSON.
    pub fn to_value(&self) -> Value {
        self.clone().into_value()
    }

    /// The definition as JSON, made of the machine itself.
    pub fn into_value(self) -> Value {
        let mut value = Map::from_iter([
            ("Comment".to_owned(), Value::String(self.comment.clone())),
            ("QueryLanguage".to_owned(), json!("JSONata")),
        ]);
        value.extend(self.into_parts());
        Value::Object(value)
    }

    /// What a machine inside another one has: its start and its states.
    pub(super) fn into_parts(self) -> [(String, Value); 2] {
        let states: Map<String, Value> =
            self.states.into_iter().map(|state| (state.name, Value::Object(state.fields))).collect();
        [("StartAt".to_owned(), Value::String(self.start)), ("States".to_owned(), Value::Object(states))]
    }

    fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = BTreeSet::new();
        let mut by_name: BTreeMap<&str, &State> = BTreeMap::new();
        for state in &self.states {
            if by_name.insert(&state.name, state).is_some() {
                flaws.insert(Flaw::DuplicateName(state.name.clone()));
            }
            if state.name.is_empty() || state.name.chars().count() > MAX_NAME {
                flaws.insert(Flaw::BadName(state.name.clone()));
            }
            if state.handled.iter().any(|errors| errors.len() > 1 && errors.iter().any(|e| e == "States.ALL"))
            {
                flaws.insert(Flaw::AllNotAlone(state.name.clone()));
            }
        }
        for state in &self.states {
            for target in state.targets.iter().filter(|target| !by_name.contains_key(target.as_str())) {
                flaws.insert(Flaw::Dangling { state: state.name.clone(), target: target.clone() });
            }
        }
        if !by_name.contains_key(self.start.as_str()) {
            flaws.insert(Flaw::NoStart(self.start.clone()));
        }
        let reached = reach(vec![&self.start], |name| {
            by_name
                .get(name)
                .map(|state| state.targets.iter().map(String::as_str).collect())
                .unwrap_or_default()
        });
        let terminals =
            self.states.iter().filter(|state| state.terminal).map(|state| state.name.as_str()).collect();
        let ending = reach(terminals, |name| {
            let leads_here = |state: &&State| state.targets.iter().any(|target| target == name);
            self.states.iter().filter(leads_here).map(|state| state.name.as_str()).collect()
        });
        for state in &self.states {
            if !reached.contains(state.name.as_str()) {
                flaws.insert(Flaw::Unreachable(state.name.clone()));
            }
            if !ending.contains(state.name.as_str()) {
                flaws.insert(Flaw::Endless(state.name.clone()));
            }
        }
        flaws.into_iter().collect()
    }
}

/// Everything that can be reached from `from` over `edges`.
fn reach<'a>(from: Vec<&'a str>, edges: impl Fn(&str) -> Vec<&'a str>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut pending = from;
    while let Some(name) = pending.pop() {
        if reached.insert(name) {
            pending.extend(edges(name));
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::super::{Catcher, Choice, Pass, Retrier, Rule, Task, fail, succeed};
    use super::*;

    /// The flaws of a machine that starts at `A`, as text.
    fn check(states: Vec<State>, expected: &[&str]) {
        let flaws = match StateMachine::new("test", "A", states) {
            Ok(_) => Vec::new(),
            Err(flaws) => flaws.0.iter().map(Flaw::to_string).collect(),
        };
        assert_eq!(flaws, expected);
    }

    #[test]
    fn a_sound_machine_is_taken() {
        let retry = Retrier::on(&["States.ALL"], 3).backoff(1, 10);
        check(
            vec![
                Task::new("A", "arn:x").retry(retry).catch(Catcher::on(&["States.ALL"], "C")).next("B"),
                Choice::new("B", Rule::when("$x = 1", "A")).otherwise("C"),
                succeed("C", json!({})),
            ],
            &[],
        );
    }

    #[test]
    fn every_flaw_is_named() {
        check(
            vec![
                Pass::new("A").next("Nowhere"),
                Pass::new("A").next("B"),
                Pass::new("B").next("B"),
                fail("Alone", "E", json!("cause")),
                Task::new("Both", "arn:x").catch(Catcher::on(&["States.ALL", "E"], "Alone")).next("Alone"),
            ],
            &[
                "two states are named \"A\": names must be unique",
                "state \"A\" leads to \"Nowhere\", which does not exist",
                "nothing leads to state \"Alone\"",
                "nothing leads to state \"Both\"",
                "state \"A\" can never come to an end",
                "state \"B\" can never come to an end",
                "state \"Both\" names States.ALL beside other errors: it must stand alone",
            ],
        );
    }

    #[test]
    fn a_machine_without_its_start_is_refused() {
        check(
            vec![succeed("End", json!({}))],
            &["the machine starts at \"A\", which does not exist", "nothing leads to state \"End\""],
        );
    }
}

//! Reads a definition and reports everything that is wrong with it at once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::fields::Fields;
use super::finding::{Finding, Findings};
use super::graph;
use super::json;
use super::model::{Graph, State};
use super::parse_state::StateReader;

/// The longest name of a state or a variable, in characters (Step Functions quota).
const NAME_LIMIT_CHARS: usize = 80;

/// The most seconds that a definition can write.
pub(super) const MAX_SECONDS: u64 = 99_999_999;

/// What is read from a document.
pub(super) struct Definition {
    pub graph: Graph,
    pub timeout: Option<Duration>,
}

pub(super) fn parse(text: &str) -> Result<Definition, Findings> {
    let (document, repeated) = json::read(text).map_err(|error| {
        Findings::one("definition", "", format!("is no JSON: {error}"), "check the syntax there")
    })?;
    let Some(map) = document.as_object() else {
        let hint = "a definition has StartAt and States";
        return Err(Findings::one("definition", "", "must be a JSON object", hint));
    };
    let findings = RefCell::default();
    let reader = Reader {
        jsonata: map.get("QueryLanguage").and_then(Value::as_str) == Some("JSONata"),
        findings: &findings,
        names: RefCell::default(),
    };
    for path in repeated {
        reader.report(None, &path, "stands twice in one object", "names are unique");
    }
    let definition = reader.machine(map);
    let findings = findings.into_inner();
    match definition {
        Some(definition) if findings.is_empty() => Ok(definition),
        Some(_) | None => Err(Findings(findings)),
    }
}

/// What reading shares between all levels of a document.
pub(super) struct Reader<'a> {
    /// The machine's query language, which states without one of their own have.
    jsonata: bool,
    findings: &'a RefCell<Vec<Finding>>,
    /// Names of states, unique across the whole document.
    names: RefCell<BTreeSet<String>>,
}

/// The variables that the states of one level assign, and the levels below it.
#[derive(Default)]
pub(super) struct Scope {
    /// Each variable with the first state that assigns it.
    pub assigned: RefCell<BTreeMap<String, String>>,
    pub inner: RefCell<Vec<Scope>>,
}

impl<'a> Reader<'a> {
    fn report(&self, state: Option<&str>, field: &str, problem: &str, hint: &str) {
        self.findings.borrow_mut().push(Finding {
            state: state.map(str::to_owned),
            field: field.to_owned(),
            value: String::new(),
            problem: problem.to_owned(),
            hint: hint.to_owned(),
        });
    }

    fn machine(&self, map: &'a Map<String, Value>) -> Option<Definition> {
        let fields = Fields::new(map, None, "a state machine", self.jsonata, self.findings);
        self.query_language(&fields);
        if fields.text("Version").is_some_and(|version| version != "1.0") {
            fields.report("Version", map.get("Version"), "is not supported", "only \"1.0\" exists");
        }
        let timeout = fields.integer("TimeoutSeconds", 1..=MAX_SECONDS);
        let scope = Scope::default();
        let graph = self.graph(&fields, &scope);
        fields.finish();
        self.check_scopes(&scope, &BTreeMap::new());
        Some(Definition { graph: graph?, timeout: timeout.map(Duration::from_secs) })
    }

    /// Reads `StartAt` and `States` of a machine, a branch or an item processor.
    pub fn graph(&self, fields: &Fields<'a>, scope: &Scope) -> Option<Graph> {
        let start_at = fields.required_text("StartAt", "the name of the first state");
        if fields.get("States").is_none() {
            fields.report("States", None, "is missing", "an object with at least one state");
        }
        let states = fields.object("States")?;
        if states.is_empty() {
            fields.report("States", fields.map.get("States"), "has no state", "");
        }
        if let Some(start_at) = start_at {
            self.check_graph(fields, start_at, states);
        }
        let index = |name: &str| states.keys().position(|other| other == name);
        let mut read = Vec::new();
        for (name, state) in states {
            let Some(map) = state.as_object() else {
                self.report(Some(name), "state", "must be an object", "");
                continue;
            };
            self.check_name(name);
            let fields = Fields::new(map, Some(name), "a state", self.jsonata, self.findings);
            read.extend(self.state(fields, name, &index, scope));
        }
        let start = index(start_at?)?;
        (read.len() == states.len()).then_some(Graph { start, states: read })
    }

    fn state(
        &self,
        mut fields: Fields<'a>,
        name: &'a str,
        index: &dyn Fn(&str) -> Option<usize>,
        scope: &Scope,
    ) -> Option<State> {
        fields.jsonata = self.query_language(&fields);
        let reader = StateReader { reader: self, name, index, scope };
        let (kind, exit) = reader.read(fields)?;
        Some(State { name: Rc::from(name), kind, exit })
    }

    /// Reads `QueryLanguage` and says whether it is JSONata there.
    fn query_language(&self, fields: &Fields<'_>) -> bool {
        match fields.text("QueryLanguage") {
            None => self.jsonata,
            Some("JSONata") => true,
            Some("JSONPath") if self.jsonata && fields.state.is_some() => {
                let problem = "cannot be JSONPath when the whole machine uses JSONata";
                fields.report("QueryLanguage", fields.map.get("QueryLanguage"), problem, "leave it out");
                true
            }
            Some("JSONPath") => false,
            Some(_) => {
                let problem = "must be \"JSONata\" or \"JSONPath\"";
                fields.report("QueryLanguage", fields.map.get("QueryLanguage"), problem, "");
                true
            }
        }
    }

    fn check_name(&self, name: &str) {
        if !self.names.borrow_mut().insert(name.to_owned()) {
            let hint = "names are unique across the whole machine, branches and processors included";
            self.report(Some(name), "state", "has the name of another state", hint);
        }
        if name.is_empty() || name.chars().count() > NAME_LIMIT_CHARS {
            let problem = format!("a name has 1 to {NAME_LIMIT_CHARS} characters");
            self.report(Some(name), "state", &problem, "");
        }
    }

    fn check_graph(&self, fields: &Fields<'_>, start: &str, states: &Map<String, Value>) {
        let list: Vec<&str> = states.keys().map(String::as_str).collect();
        let hint = format!("the states here are {}", list.join(", "));
        if !states.contains_key(start) {
            let value = fields.map.get("StartAt");
            fields.report("StartAt", value, "names no state", &hint);
            return;
        }
        for (name, state) in states {
            for (field, target) in graph::transitions(state) {
                if !states.contains_key(target) {
                    let problem = format!("leads to {target:?}, which is no state here");
                    self.report(Some(name), &field, &problem, &hint);
                }
            }
        }
        for name in graph::unreachable(start, states) {
            let hint = "remove the state, or name it in a Next, Default or Catch";
            self.report(Some(name), "state", "is never reached", hint);
        }
        if !states.is_empty() && !graph::can_end(states) {
            let hint = "give a state \"End\": true, or add a Succeed or Fail state";
            fields.report("States", None, "has no state that ends it", hint);
        }
    }

    /// A variable of an inner level may not have the name of one of an outer level.
    fn check_scopes(&self, scope: &Scope, outer: &BTreeMap<String, String>) {
        let own = scope.assigned.borrow();
        for (variable, state) in own.iter() {
            if let Some(other) = outer.get(variable) {
                let problem = format!("assigns a variable that {other:?} outside assigns as well");
                let hint = "inner states read outer variables but cannot write them: use another name";
                self.report(Some(state), &format!("Assign/{variable}"), &problem, hint);
            }
        }
        let mut visible = outer.clone();
        visible.extend(own.iter().map(|(variable, state)| (variable.clone(), state.clone())));
        for inner in scope.inner.borrow().iter() {
            self.check_scopes(inner, &visible);
        }
    }
}

/// Whether a text can name a variable: an identifier as Unicode defines it (UAX 31), not `states`.
pub(super) fn is_variable_name(name: &str) -> bool {
    let mut chars = name.chars();
    let starts_well = chars.next().is_some_and(char::is_alphabetic);
    starts_well
        && chars.all(|c| c.is_alphanumeric() || c == '_')
        && name.chars().count() <= NAME_LIMIT_CHARS
        && name != "states"
}

//! An interpreter of the Amazon States Language, with JSONata, on virtual time.
//!
//! It runs Standard workflows: all state types, variables, Retry with backoff and jitter, Catch,
//! timeouts, heartbeats and task tokens. What it does not know (JSONPath, distributed maps) it
//! refuses by name when the definition is read; where Step Functions does something at run time
//! that cannot be done here, the execution fails with the error `Drill.NotSupported`, which nothing
//! retries or catches. It never guesses.
//!
//! ```
//! use drill::asl::Machine;
//!
//! let findings = Machine::parse(r#"{"StartAt": "Hold", "States": {
//!     "Hold": {"Type": "Wait", "Seconds": -1, "Next": "Go"}}}"#)
//! .unwrap_err();
//! let lines: Vec<String> = findings.0.iter().map(ToString::to_string).collect();
//! assert_eq!(lines[2], r#"state "Hold", Seconds = -1: must be an integer from 0 to 99999999"#);
//! ```

mod data;
mod eval;
mod expr;
mod failure;
mod fanout;
mod fields;
mod finding;
mod functions;
mod graph;
mod history;
mod host;
mod json;
pub mod mock;
mod model;
mod parse;
mod parse_state;
mod recovery;
mod run;
mod task;
mod timestamp;

pub use data::{DATA_LIMIT_BYTES, Data};
pub use finding::{Finding, Findings};
pub use functions::NOT_SUPPORTED;
pub use history::{Details, EventKind, HISTORY_LIMIT_COUNT, HistoryEvent};
pub use host::{ExecutionInfo, Host, Outcome, Signal, TaskCall, TaskFailure};
pub use run::execute;

use model::{Graph, Kind};
use parse::Definition;

/// A state machine whose definition has been read and found sound. Its expressions are compiled
/// once; any number of executions may run on it.
pub struct Machine {
    definition: Definition,
}

impl Machine {
    /// Reads a definition.
    ///
    /// # Errors
    /// Everything that is wrong with it, or not supported in it, at once.
    pub fn parse(definition: &str) -> Result<Machine, Findings> {
        Ok(Machine { definition: parse::parse(definition)? })
    }

    /// The names of all Task states, those of branches and item processors included, and whether
    /// they wait for a task token.
    pub fn tasks(&self) -> Vec<(String, bool)> {
        let mut found = Vec::new();
        self.definition.graph.collect_tasks(&mut found);
        found
    }

    /// The names of all states, in the order of the definition.
    pub fn state_names(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.definition.graph.collect_names(&mut found);
        found
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Machine").field(&self.state_names()).finish()
    }
}

impl Graph {
    fn collect_tasks(&self, found: &mut Vec<(String, bool)>) {
        for state in &self.states {
            if let Kind::Task(task, ..) = &state.kind {
                found.push((state.name.to_string(), task.wait_for_token));
            }
            state.kind.inner().iter().for_each(|graph| graph.collect_tasks(found));
        }
    }

    fn collect_names(&self, found: &mut Vec<String>) {
        for state in &self.states {
            found.push(state.name.to_string());
            state.kind.inner().iter().for_each(|graph| graph.collect_names(found));
        }
    }
}

impl Kind {
    /// The graphs within a state.
    fn inner(&self) -> &[Graph] {
        match self {
            Kind::Parallel(parallel, ..) => &parallel.branches,
            Kind::Map(map, ..) => std::slice::from_ref(&map.processor),
            Kind::Pass(_)
            | Kind::Task(..)
            | Kind::Choice(..)
            | Kind::Wait(..)
            | Kind::Succeed
            | Kind::Fail { .. } => &[],
        }
    }
}

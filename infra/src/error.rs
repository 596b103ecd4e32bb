//! Why a template cannot be made.

use thiserror::Error;
use workflow::config::Findings;

/// Why a template cannot be made of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SynthError {
    /// The configuration has errors; the findings include its warnings.
    #[error("the configuration cannot be used:\n{0}")]
    InvalidConfig(Findings),
    /// Two constructs have the same logical id.
    #[error(
        "{first} and {second} both get the logical id {logical_id}; rename one of the circuits so that they differ by \
         more than hyphens"
    )]
    Collision {
        /// The id.
        logical_id: String,
        /// Path of the construct that had it first.
        first: String,
        /// Path of the construct that wants it too.
        second: String,
    },
    /// A quota of CloudFormation is exceeded.
    #[error(
        "the stack would have {count} {what}, CloudFormation allows {max}; split the circuits into two configurations"
    )]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many are allowed.
        max: usize,
    },
    /// A role's policies are longer than IAM allows.
    #[error(
        "the policy of the {role} would be {length} characters long, IAM allows {max}; split the circuits into two \
         configurations"
    )]
    PolicyTooLong {
        /// Whose policy.
        role: String,
        /// Its length without white space.
        length: usize,
        /// What is allowed.
        max: usize,
    },
    /// The definition is no JSON object.
    #[error("the definition of circuit {circuit} is no JSON object")]
    DefinitionNotJson {
        /// The circuit.
        circuit: String,
    },
    /// The definition has a placeholder that nothing fills in.
    #[error("the definition of circuit {circuit} has the placeholder ${{{name}}}, which is none of {known}")]
    UnknownPlaceholder {
        /// The circuit.
        circuit: String,
        /// The placeholder.
        name: String,
        /// Those that are filled in.
        known: String,
    },
    /// The definition calls a service for which no permission is known.
    #[error(
        "state {state} of circuit {circuit} calls {resource}, for which no permission is known; known are {known}"
    )]
    UnknownIntegration {
        /// The circuit.
        circuit: String,
        /// The state.
        state: String,
        /// Its `Resource`.
        resource: String,
        /// Those that are known.
        known: String,
    },
}

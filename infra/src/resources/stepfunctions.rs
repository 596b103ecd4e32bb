//! AWS Step Functions.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::template::Properties;
use crate::text::Text;

/// `AWS::StepFunctions::StateMachine`. `Ref` yields the ARN.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StateMachine {
    /// `STANDARD`.
    pub state_machine_type: &'static str,
    /// ARN of the role with which it acts.
    pub role_arn: Text,
    /// The definition, byte for byte as the workflow makes it.
    pub definition_string: String,
    /// Values for the `${...}` in it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub definition_substitutions: BTreeMap<String, Text>,
}

impl Properties for StateMachine {
    const TYPE: &'static str = "AWS::StepFunctions::StateMachine";
}

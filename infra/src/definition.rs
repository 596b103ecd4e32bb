//! What a template has to know about a definition: its placeholders, and the services that its states call.

use std::collections::BTreeSet;

use serde_json::Value;
use workflow::definition::placeholder;

use crate::error::SynthError;

/// A definition and what it needs.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The text, byte for byte.
    pub text: String,
    /// Names of the `${...}` in it.
    pub placeholders: BTreeSet<String>,
    /// What its states call.
    pub integrations: BTreeSet<Integration>,
}

/// A call to a service that a state makes, and for which a permission is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Integration {
    /// `lambda:InvokeFunction`.
    InvokeFunction,
    /// `dynamodb:GetItem`.
    GetItem,
    /// `dynamodb:UpdateItem`.
    UpdateItem,
    /// `events:PutEvents`.
    PutEvents,
    /// `cloudwatch:DescribeAlarms`.
    DescribeAlarms,
    /// `cloudwatch:GetMetricData`.
    GetMetricData,
    /// `cloudwatch:SetAlarmState`.
    SetAlarmState,
    /// `states:DescribeExecution`.
    DescribeExecution,
    /// `states:StartExecution`.
    StartExecution,
}

/// Every integration by the end of its `Resource`, after `arn:PARTITION:states:::`.
const INTEGRATIONS: [(&str, Integration); 10] = [
    ("lambda:invoke", Integration::InvokeFunction),
    ("dynamodb:getItem", Integration::GetItem),
    ("dynamodb:updateItem", Integration::UpdateItem),
    ("aws-sdk:dynamodb:updateItem", Integration::UpdateItem),
    ("events:putEvents", Integration::PutEvents),
    ("aws-sdk:cloudwatch:describeAlarms", Integration::DescribeAlarms),
    ("aws-sdk:cloudwatch:getMetricData", Integration::GetMetricData),
    ("aws-sdk:cloudwatch:setAlarmState", Integration::SetAlarmState),
    ("aws-sdk:sfn:describeExecution", Integration::DescribeExecution),
    ("states:startExecution", Integration::StartExecution),
];

impl Definition {
    /// Reads the definition of a circuit.
    ///
    /// # Errors
    /// [`SynthError::DefinitionNotJson`], [`SynthError::UnknownPlaceholder`], [`SynthError::UnknownIntegration`].
    pub fn read(circuit: &str, text: String) -> Result<Definition, SynthError> {
        let json: Value = serde_json::from_str(&text)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| SynthError::DefinitionNotJson { circuit: circuit.to_owned() })?;
        Definition::of(circuit, text, &json)
    }

    /// What the definition of a circuit needs, whose `text` is that of `json`.
    ///
    /// # Errors
    /// [`SynthError::UnknownPlaceholder`], [`SynthError::UnknownIntegration`].
    pub fn of(circuit: &str, text: String, json: &Value) -> Result<Definition, SynthError> {
        let placeholders = placeholders(&text);
        if let Some(name) = placeholders.iter().find(|name| !placeholder::ALL.contains(&name.as_str())) {
            return Err(SynthError::UnknownPlaceholder {
                circuit: circuit.to_owned(),
                name: name.clone(),
                known: placeholder::ALL.join(", "),
            });
        }
        let mut integrations = BTreeSet::new();
        let mut tasks = Vec::new();
        collect_tasks("(the machine)", json, &mut tasks);
        for (state, resource) in tasks {
            integrations.insert(integration(resource).ok_or_else(|| SynthError::UnknownIntegration {
                circuit: circuit.to_owned(),
                state: state.to_owned(),
                resource: resource.to_owned(),
                known: INTEGRATIONS.map(|(name, _)| name).join(", "),
            })?);
        }
        Ok(Definition { text, placeholders, integrations })
    }
}

/// Names between `${` and `}`.
fn placeholders(text: &str) -> BTreeSet<String> {
    text.split("${").skip(1).map(|rest| rest.split('}').next().unwrap_or(rest).to_owned()).collect()
}

/// Every task in the value, with the name under which it stands.
fn collect_tasks<'a>(name: &'a str, value: &'a Value, tasks: &mut Vec<(&'a str, &'a str)>) {
    match value {
        Value::Object(fields) => {
            if fields.get("Type").and_then(Value::as_str) == Some("Task")
                && let Some(resource) = fields.get("Resource").and_then(Value::as_str)
            {
                tasks.push((name, resource));
            }
            fields.iter().for_each(|(name, inner)| collect_tasks(name, inner, tasks));
        }
        Value::Array(items) => items.iter().for_each(|inner| collect_tasks(name, inner, tasks)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn integration(resource: &str) -> Option<Integration> {
    let (_, call) = resource.split_once(":states:::")?;
    let call = call.strip_suffix(".waitForTaskToken").unwrap_or(call);
    INTEGRATIONS.iter().find(|(name, _)| *name == call).map(|(_, integration)| *integration)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a machine with one task and shows what it needs, or why it is refused.
    fn check(resource: &str, argument: &str, expected: &str) {
        let text = format!(
            r#"{{"States":{{"Try":{{"Type":"Task","Resource":"{resource}","Arguments":{{"A":"{argument}"}}}}}}}}"#
        );
        let shown = match Definition::read("orders", text) {
            Ok(definition) => format!("{:?} {:?}", definition.integrations, definition.placeholders),
            Err(error) => error.to_string().split("; known").next().unwrap_or_default().to_owned(),
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn calls_and_placeholders_are_found() {
        check("arn:aws:states:::lambda:invoke", "${ProbeFunction}", "{InvokeFunction} {\"ProbeFunction\"}");
        check(
            "arn:aws:states:::aws-sdk:dynamodb:updateItem.waitForTaskToken",
            "${CircuitTable}-${CircuitTable}",
            "{UpdateItem} {\"CircuitTable\"}",
        );
    }

    #[test]
    fn what_nothing_is_known_about_is_refused_by_name() {
        check(
            "arn:aws:states:::sns:publish",
            "",
            "state Try of circuit orders calls arn:aws:states:::sns:publish, for which no permission is known",
        );
        check(
            "arn:aws:states:::lambda:invoke",
            "${Topic}",
            &format!(
                "the definition of circuit orders has the placeholder ${{Topic}}, which is none of {}",
                placeholder::ALL.join(", ")
            ),
        );
        let error = Definition::read("orders", "[]".to_owned()).unwrap_err();
        assert_eq!(error.to_string(), "the definition of circuit orders is no JSON object");
    }

    #[test]
    fn tasks_inside_a_map_or_a_branch_count() {
        let inner = r#"{"Type":"Task","Resource":"arn:aws:states:::events:putEvents"}"#;
        let text = format!(
            r#"{{"States":{{"All":{{"Type":"Parallel","Branches":[{{"States":{{"One":{inner}}}}}]}}}}}}"#
        );
        let definition = Definition::read("orders", text).expect("known");
        assert_eq!(definition.integrations, BTreeSet::from([Integration::PutEvents]));
    }
}

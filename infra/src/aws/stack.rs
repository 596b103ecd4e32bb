//! A stack as CloudFormation shows it.

use aws_sdk_cloudformation::types::{Output, Parameter};
use serde::Serialize;
use serde_json::Value;

use super::error::Named;
use super::{Account, CloudError};
use crate::assets::ASSET_PREFIX;

/// Output that every stack with a breaker has.
const TABLE_OUTPUT: &str = "CircuitTableName";

/// A stack that exists.
#[derive(Clone, Debug, PartialEq)]
pub struct StackState {
    /// Its ARN, which stays valid after its deletion.
    pub id: String,
    /// Its status, `CREATE_COMPLETE` for example.
    pub status: String,
    /// Why it has that status; often empty.
    pub reason: String,
    /// Values of its parameters.
    pub parameters: Vec<(String, String)>,
    /// Values of its outputs, with their descriptions.
    pub outputs: Vec<StackOutput>,
}

/// One output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StackOutput {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What it is.
    pub description: String,
}

/// One event of one resource, or of the stack itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResourceEvent {
    /// Logical id; the stack's name for the stack itself.
    pub logical_id: String,
    /// Type, `AWS::CloudFormation::Stack` for the stack itself.
    pub resource_type: String,
    /// Status, `CREATE_FAILED` for example.
    pub status: String,
    /// Why; often empty.
    pub reason: String,
    #[serde(skip)]
    pub(super) event_id: String,
}

impl ResourceEvent {
    /// Whether this resource is what made the operation fail, and did not only fail along with it.
    pub fn is_cause(&self) -> bool {
        self.status.ends_with("_FAILED")
            && self.resource_type != "AWS::CloudFormation::Stack"
            && !self.reason.contains("cancelled")
    }

    /// Whether this tells of the stack itself.
    pub fn is_of_stack(&self) -> bool {
        self.resource_type == "AWS::CloudFormation::Stack"
    }
}

impl StackState {
    /// Whether CloudFormation is at work on it.
    pub fn is_busy(&self) -> bool {
        self.status.ends_with("_IN_PROGRESS") && self.status != "REVIEW_IN_PROGRESS"
    }

    /// Whether it was never made: only a change set was prepared.
    pub fn is_only_planned(&self) -> bool {
        self.status == "REVIEW_IN_PROGRESS"
    }

    /// The value of an output.
    pub fn output(&self, name: &str) -> Option<&str> {
        self.outputs.iter().find(|output| output.name == name).map(|output| output.value.as_str())
    }
}

/// The stack with this name or ARN, if there is one.
///
/// # Errors
/// Calls that fail.
pub async fn describe(account: &Account, stack: &str) -> Result<Option<StackState>, CloudError> {
    let answer =
        account.cloudformation.describe_stacks().stack_name(stack).send().await.named("DescribeStacks");
    let answer = match answer {
        Err(error) if error.is_missing() => return Ok(None),
        other => other?,
    };
    let Some(found) = answer.stacks().first() else { return Ok(None) };
    Ok(Some(StackState {
        id: found.stack_id().unwrap_or(stack).to_owned(),
        status: found.stack_status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
        reason: found.stack_status_reason().unwrap_or_default().to_owned(),
        parameters: found.parameters().iter().map(parameter).collect(),
        outputs: found.outputs().iter().map(output).collect(),
    }))
}

/// Whether there is no such stack, or no more.
///
/// # Errors
/// Calls that fail.
pub(super) async fn is_gone(account: &Account, stack: &str) -> Result<bool, CloudError> {
    Ok(describe(account, stack).await?.is_none_or(|stack| stack.status == "DELETE_COMPLETE"))
}

/// Refuses a stack that holds no breaker: its name is a mistake, and updating or deleting it would do harm.
///
/// # Errors
/// A stack with neither the parameters of `breaker deploy` nor the table of a breaker.
pub(super) fn is_ours(name: &str, stack: &StackState) -> Result<(), CloudError> {
    let has_parameter = stack.parameters.iter().any(|(key, _)| key == ASSET_PREFIX);
    if has_parameter || stack.output(TABLE_OUTPUT).is_some() || stack.is_only_planned() {
        return Ok(());
    }
    Err(CloudError::unfit(
        format!("stack {name} holds no circuit breaker: it was made by something else"),
        "choose another name with --stack",
    ))
}

fn parameter(parameter: &Parameter) -> (String, String) {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    (text(parameter.parameter_key()), text(parameter.parameter_value()))
}

fn output(output: &Output) -> StackOutput {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    StackOutput {
        name: text(output.output_key()),
        value: text(output.output_value()),
        description: text(output.description()),
    }
}

/// The template with which the stack was made.
///
/// # Errors
/// Calls that fail, and a template that is not JSON.
pub(super) async fn template(account: &Account, stack: &str) -> Result<Value, CloudError> {
    let answer = account.cloudformation.get_template().stack_name(stack).send().await.named("GetTemplate")?;
    let body = answer.template_body().unwrap_or_default();
    serde_json::from_str(body).map_err(|_| {
        CloudError::unfit(
            format!("the template of stack {stack} is not JSON, so it was not deployed by `breaker deploy`"),
            "choose another name with --stack, or deploy it with the tool that made it",
        )
    })
}

/// A resource of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Physical {
    pub logical_id: String,
    pub physical_id: String,
    pub resource_type: String,
}

/// What the stack consists of.
///
/// # Errors
/// Calls that fail.
pub(super) async fn resources(account: &Account, stack: &str) -> Result<Vec<Physical>, CloudError> {
    let mut pages = account.cloudformation.list_stack_resources().stack_name(stack).into_paginator().send();
    let mut resources = Vec::new();
    while let Some(page) = pages.next().await {
        for summary in page.named("ListStackResources")?.stack_resource_summaries() {
            let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
            resources.push(Physical {
                logical_id: text(summary.logical_resource_id()),
                physical_id: text(summary.physical_resource_id()),
                resource_type: text(summary.resource_type()),
            });
        }
    }
    Ok(resources)
}

/// The events since `last`, the oldest first. Without `last`: none but the newest, as a place to begin from.
pub(super) async fn events_since(
    account: &Account,
    stack: &str,
    last: Option<&str>,
) -> Result<Vec<ResourceEvent>, CloudError> {
    let mut pages = account.cloudformation.describe_stack_events().stack_name(stack).into_paginator().send();
    let mut fresh = Vec::new();
    'pages: while let Some(page) = pages.next().await {
        let page = match page.named("DescribeStackEvents") {
            Err(error) if error.is_missing() => return Ok(Vec::new()),
            page => page?,
        };
        for event in page.stack_events() {
            let event_id = event.event_id().unwrap_or_default();
            if last == Some(event_id) {
                break 'pages;
            }
            let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
            fresh.push(ResourceEvent {
                logical_id: text(event.logical_resource_id()),
                resource_type: text(event.resource_type()),
                status: event.resource_status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
                reason: text(event.resource_status_reason()),
                event_id: event_id.to_owned(),
            });
            if last.is_none() {
                break 'pages;
            }
        }
    }
    fresh.reverse();
    Ok(fresh)
}

//! A change set: made, compared with the plan, and discarded where it is not to be executed.

use std::collections::BTreeSet;

use aws_sdk_cloudformation::types::{
    Capability, ChangeAction, ChangeSetStatus, ChangeSetType, Parameter, Replacement,
};

use super::error::Named;
use super::plan::Plan;
use super::stack::{self, StackState};
use super::watch::{FIRST_PAUSE, LONGEST_PAUSE};
use super::{Account, CloudError, assets};
use crate::diff::Impact;
use crate::package::sha256;

/// How often a change set in the making is looked at: with the pauses between, about a quarter of an hour. It takes seconds
/// as usually seen.
const LOOK_COUNT: u32 = 300;

/// How often it is looked whether a stack without resources has gone, which takes a moment.
const GONE_LOOK_COUNT: u32 = 10;

/// A change set that can be executed.
pub(super) struct Ready {
    /// Its ARN.
    pub(super) name: String,
    /// ARN of the stack.
    pub(super) stack_id: String,
    /// How many resources it changes.
    pub(super) resource_count: usize,
}

/// Makes a change set; none if there is nothing to change.
pub(super) async fn change_set(account: &Account, plan: &Plan) -> Result<Option<Ready>, CloudError> {
    let text = plan.template.to_string();
    let digest = sha256(format!("{text}{:?}", plan.parameters).as_bytes());
    let key = format!("{}template-{digest}.json", assets::stack_prefix(&plan.stack));
    // Small or large, it goes by way of the bucket: CloudFormation takes 51,200 bytes directly, 1 MB from there.
    assets::upload_text(account, &plan.bucket, &key, text).await?;
    let name = format!("breaker-{}", &digest[..16]);
    let kind = if plan.deployed.is_some() { ChangeSetType::Update } else { ChangeSetType::Create };
    let parameters = plan
        .parameters
        .iter()
        .map(|(key, value)| Parameter::builder().parameter_key(key).parameter_value(value).build());
    // One that an interrupted run left behind has the same name and may be stale.
    let old = account.cloudformation.delete_change_set().stack_name(&plan.stack).change_set_name(&name);
    match old.send().await.named("DeleteChangeSet") {
        Err(error) if error.is_missing() => {}
        answer => drop(answer?),
    }
    let created = account
        .cloudformation
        .create_change_set()
        .stack_name(&plan.stack)
        .change_set_name(&name)
        .change_set_type(kind)
        .template_url(assets::object_url(account, &plan.bucket, &key))
        .capabilities(Capability::CapabilityIam)
        .set_parameters(Some(parameters.collect()))
        .send()
        .await
        .named("CreateChangeSet")?;
    let stack_id = created.stack_id().unwrap_or(&plan.stack).to_owned();
    // From here on by its ARN, which names one change set whatever the stack is called by.
    let name = created.id().map_or(name, str::to_owned);
    let ready = Ready { name, stack_id, resource_count: 0 };
    prepared(account, plan, ready).await
}

/// Waits until the change set can be executed.
async fn prepared(account: &Account, plan: &Plan, mut ready: Ready) -> Result<Option<Ready>, CloudError> {
    let mut pause = FIRST_PAUSE;
    for look in 1.. {
        let set = account
            .cloudformation
            .describe_change_set()
            .stack_name(&ready.stack_id)
            .change_set_name(&ready.name)
            .send()
            .await
            .named("DescribeChangeSet")?;
        match set.status() {
            Some(ChangeSetStatus::CreateComplete) => break,
            Some(ChangeSetStatus::Failed) => {
                let reason = set.status_reason().unwrap_or_default().to_owned();
                discard(account, plan, &ready).await?;
                if reason.contains("didn't contain changes")
                    || reason.contains("No updates are to be performed")
                {
                    return Ok(None);
                }
                return Err(CloudError::unfit(
                    format!("CloudFormation cannot make a change set: {reason}"),
                    "nothing was changed; mend what it names, then deploy again",
                ));
            }
            _ if look == LOOK_COUNT => {
                return Err(CloudError::unfit(
                    "CloudFormation does not come to an end with the change set",
                    "nothing was changed; look at the stack in the console, then deploy again",
                ));
            }
            _ => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
    let replaced = replacements(account, &mut ready).await?;
    let planned: BTreeSet<&String> = plan
        .diff
        .changes
        .iter()
        .filter(|change| matches!(change.impact, Impact::Replace | Impact::MayReplace))
        .map(|change| &change.logical_id)
        .collect();
    let surprises: Vec<&str> =
        replaced.iter().filter(|id| !planned.contains(id)).map(String::as_str).collect();
    if surprises.is_empty() {
        return Ok(Some(ready));
    }
    let what = format!(
        "CloudFormation would replace {}, which the plan does not show; what they hold would be lost",
        surprises.join(", ")
    );
    discard(account, plan, &ready).await?;
    Err(CloudError::unfit(
        what,
        "nothing was changed; deploy the template from `breaker synth` by hand if this is meant",
    ))
}

/// Resources that CloudFormation is sure to replace. Counts those that change.
async fn replacements(account: &Account, ready: &mut Ready) -> Result<Vec<String>, CloudError> {
    let describe = account.cloudformation.describe_change_set();
    let mut pages = describe.stack_name(&ready.stack_id).change_set_name(&ready.name).into_paginator().send();
    let mut replaced = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.named("DescribeChangeSet")?;
        for change in page.changes().iter().filter_map(|change| change.resource_change()) {
            ready.resource_count += 1;
            let is_replaced = change.action() == Some(&ChangeAction::Modify)
                && change.replacement() == Some(&Replacement::True);
            if is_replaced {
                replaced.extend(change.logical_resource_id().map(str::to_owned));
            }
        }
    }
    Ok(replaced)
}

/// Deletes a change set that is not to be executed, and the stack if there was nothing but this change set.
pub(super) async fn discard(account: &Account, plan: &Plan, ready: &Ready) -> Result<(), CloudError> {
    let cloudformation = &account.cloudformation;
    let delete = cloudformation.delete_change_set().stack_name(&ready.stack_id).change_set_name(&ready.name);
    delete.send().await.named("DeleteChangeSet")?;
    if plan.deployed.is_some() {
        return Ok(());
    }
    // Somebody else may have begun to make it meanwhile: then it is theirs.
    let is_only_planned = |stack: &StackState| stack.is_only_planned();
    if !stack::describe(account, &ready.stack_id).await?.as_ref().is_some_and(is_only_planned) {
        return Ok(());
    }
    cloudformation.delete_stack().stack_name(&ready.stack_id).send().await.named("DeleteStack")?;
    let mut pause = FIRST_PAUSE;
    for _ in 0..GONE_LOOK_COUNT {
        if stack::is_gone(account, &ready.stack_id).await? {
            break;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}

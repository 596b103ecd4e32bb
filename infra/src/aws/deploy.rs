//! Making and updating the stack.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_cloudformation::types::{
    Capability, ChangeAction, ChangeSetStatus, ChangeSetType, Parameter, Replacement,
};
use tokio::sync::watch;

use super::error::Named;
use super::plan::Plan;
use super::stack::{self, Physical, ResourceEvent, StackOutput};
use super::{Account, CloudError, assets, destroy, event_metrics};
use crate::diff::Impact;
use crate::package::sha256;

/// Shortest and longest pause between two looks at an operation in progress.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// How often the user has asked to stop; counted up by whoever hears the signal.
pub type Interrupt = watch::Receiver<u32>;

/// A deployment that was planned and agreed to.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Name and place of each package.
    pub packages: Vec<(String, PathBuf)>,
}

/// What happens, as it happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The bucket was made.
    BucketMade(String),
    /// A package is in the bucket; `false`: it was there before.
    Uploaded(String, bool),
    /// CloudFormation begins; so many resources are to change.
    Started(usize),
    /// Something happened to a resource.
    Resource(ResourceEvent),
    /// The user wants to stop: CloudFormation is asked to take back what it did.
    Cancelling,
    /// Event metrics of a mapping were switched on (`true`) or off.
    EventMetrics(String, bool),
    /// The circuits' table, which outlives the stack, was deleted.
    TableDeleted(String),
    /// So many objects of the stack were deleted from the bucket; whether the bucket went too.
    AssetsDeleted(usize, bool),
}

/// How a deployment ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Deployed {
    /// The stack is as it was wanted.
    Done {
        /// Its outputs.
        outputs: Vec<StackOutput>,
        /// Whether CloudFormation had anything to change.
        changed: bool,
    },
    /// CloudFormation took everything back.
    RolledBack {
        /// The stack's status afterwards.
        status: String,
        /// The first resource that failed.
        cause: Option<ResourceEvent>,
        /// Whether the user asked for it.
        cancelled: bool,
    },
    /// The user left while CloudFormation was still at work.
    Left,
}

/// Uploads, makes a change set, executes it, watches it, and switches event metrics on.
///
/// # Errors
/// Calls that fail. Nothing is left half done before the change set is executed; afterwards CloudFormation brings the
/// stack to one end or the other whether it is watched or not.
pub async fn deploy(
    account: &Account,
    request: &Request<'_>,
    interrupt: &mut Interrupt,
    on_step: &mut dyn FnMut(Step),
) -> Result<Deployed, CloudError> {
    let plan = request.plan;
    upload(account, request, interrupt, on_step).await?;
    let changed = match change_set(account, plan).await? {
        None => false,
        Some(ready) => {
            if *interrupt.borrow() > 0 {
                discard(account, plan, &ready).await?;
                return Ok(Deployed::RolledBack {
                    status: "not begun".to_owned(),
                    cause: None,
                    cancelled: true,
                });
            }
            match execute(account, plan, &ready, interrupt, on_step).await? {
                Ended::Well => true,
                Ended::Otherwise(deployed) => return Ok(deployed),
            }
        }
    };
    for uuid in &plan.switch_on {
        event_metrics::switch(account, uuid, true).await?;
        on_step(Step::EventMetrics(uuid.clone(), true));
    }
    put_back(account, &plan.put_back, on_step).await?;
    let outputs = stack::describe(account, &plan.stack).await?.map(|stack| stack.outputs).unwrap_or_default();
    Ok(Deployed::Done { outputs, changed })
}

/// Switches event metrics off again. A mapping that is gone needs nothing.
pub(super) async fn put_back(
    account: &Account,
    uuids: &[String],
    on_step: &mut dyn FnMut(Step),
) -> Result<(), CloudError> {
    for uuid in uuids {
        match event_metrics::switch(account, uuid, false).await {
            Err(error) if error.is_missing() => {}
            answer => answer?,
        }
        on_step(Step::EventMetrics(uuid.clone(), false));
    }
    Ok(())
}

async fn upload(
    account: &Account,
    request: &Request<'_>,
    interrupt: &Interrupt,
    on_step: &mut dyn FnMut(Step),
) -> Result<(), CloudError> {
    let plan = request.plan;
    if !plan.bucket.exists {
        assets::create_bucket(account, &plan.bucket).await?;
        on_step(Step::BucketMade(plan.bucket.name.clone()));
    }
    let prefix = parameter(plan, crate::assets::ASSET_PREFIX);
    for (name, file) in &request.packages {
        if *interrupt.borrow() > 0 {
            break;
        }
        let key = format!("{prefix}/{name}.zip");
        let is_new = assets::upload_file(account, &plan.bucket, &key, file).await?;
        on_step(Step::Uploaded(name.clone(), is_new));
    }
    Ok(())
}

fn parameter<'a>(plan: &'a Plan, name: &str) -> &'a str {
    let found = plan.parameters.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str()).unwrap_or_default()
}

/// A change set that can be executed.
struct Ready {
    name: String,
    stack_id: String,
    resource_count: usize,
}

/// Makes a change set; none if there is nothing to change.
async fn change_set(account: &Account, plan: &Plan) -> Result<Option<Ready>, CloudError> {
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
    loop {
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
async fn discard(account: &Account, plan: &Plan, ready: &Ready) -> Result<(), CloudError> {
    let cloudformation = &account.cloudformation;
    let delete = cloudformation.delete_change_set().stack_name(&ready.stack_id).change_set_name(&ready.name);
    delete.send().await.named("DeleteChangeSet")?;
    if plan.deployed.is_none() {
        cloudformation.delete_stack().stack_name(&ready.stack_id).send().await.named("DeleteStack")?;
    }
    Ok(())
}

enum Ended {
    Well,
    Otherwise(Deployed),
}

async fn execute(
    account: &Account,
    plan: &Plan,
    ready: &Ready,
    interrupt: &mut Interrupt,
    on_step: &mut dyn FnMut(Step),
) -> Result<Ended, CloudError> {
    let mut watcher = Watcher::new(account, &ready.stack_id).await?;
    on_step(Step::Started(ready.resource_count));
    let execute = account.cloudformation.execute_change_set();
    let execute = execute.stack_name(&ready.stack_id).change_set_name(&ready.name);
    execute.send().await.named("ExecuteChangeSet")?;
    let is_new = plan.deployed.is_none();
    let cancel = async || {
        if is_new {
            account
                .cloudformation
                .delete_stack()
                .stack_name(&ready.stack_id)
                .send()
                .await
                .named("DeleteStack")
                .map(drop)
        } else {
            let cancel = account.cloudformation.cancel_update_stack().stack_name(&ready.stack_id);
            cancel.send().await.named("CancelUpdateStack").map(drop)
        }
    };
    let mut cancelled = false;
    let mut made = Vec::new();
    loop {
        let status = watcher.look(on_step).await?;
        match status.as_deref() {
            Some("CREATE_COMPLETE" | "UPDATE_COMPLETE" | "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS") => {
                return Ok(Ended::Well);
            }
            Some(status) if status.ends_with("_IN_PROGRESS") => {}
            Some(status) => {
                let (status, cause) = (status.to_owned(), watcher.cause.take());
                return Ok(Ended::Otherwise(Deployed::RolledBack { status, cause, cancelled }));
            }
            None => {
                delete_retained(account, &ready.stack_id, &made, on_step).await?;
                let (status, cause) = ("DELETE_COMPLETE".to_owned(), watcher.cause.take());
                return Ok(Ended::Otherwise(Deployed::RolledBack { status, cause, cancelled }));
            }
        }
        if !watcher.pause(interrupt).await {
            continue;
        }
        if cancelled {
            return Ok(Ended::Otherwise(Deployed::Left));
        }
        cancelled = true;
        on_step(Step::Cancelling);
        made = stack::resources(account, &ready.stack_id).await?;
        cancel().await?;
    }
}

/// Deletes the circuits' table of a stack whose creation was taken back by deleting it: to CloudFormation that is a
/// deletion like any other, and the table is retained. Nothing was ever in it.
async fn delete_retained(
    account: &Account,
    stack_id: &str,
    made: &[Physical],
    on_step: &mut dyn FnMut(Step),
) -> Result<(), CloudError> {
    // What was made between the two calls is only in the second list, which not every endpoint keeps.
    let late = stack::resources(account, stack_id).await.unwrap_or_default();
    let tables: BTreeSet<&str> = [made, &late].into_iter().filter_map(destroy::table).collect();
    for table in tables {
        destroy::delete_table(account, table, on_step).await?;
    }
    Ok(())
}

/// Follows one operation on a stack by its events.
pub(super) struct Watcher<'a> {
    account: &'a Account,
    stack_id: String,
    last: Option<String>,
    pause: Duration,
    /// The first resource that failed.
    pub(super) cause: Option<ResourceEvent>,
}

impl<'a> Watcher<'a> {
    /// Begins after the newest event.
    pub(super) async fn new(account: &'a Account, stack_id: &str) -> Result<Watcher<'a>, CloudError> {
        let newest = stack::events_since(account, stack_id, None).await?;
        Ok(Watcher {
            account,
            stack_id: stack_id.to_owned(),
            last: Some(newest.last().map(|event| event.event_id.clone()).unwrap_or_default()),
            pause: FIRST_PAUSE,
            cause: None,
        })
    }

    /// Tells what is new; the stack's status, none if it is gone.
    pub(super) async fn look(&mut self, on_step: &mut dyn FnMut(Step)) -> Result<Option<String>, CloudError> {
        // The status first: what it says, the events that are read after it explain.
        let status = stack::describe(self.account, &self.stack_id).await?.map(|stack| stack.status);
        let events = stack::events_since(self.account, &self.stack_id, self.last.as_deref()).await?;
        if let Some(newest) = events.last() {
            self.last = Some(newest.event_id.clone());
            self.pause = FIRST_PAUSE;
        }
        for event in events {
            if self.cause.is_none() && event.is_cause() {
                self.cause = Some(event.clone());
            }
            on_step(Step::Resource(event));
        }
        Ok(status.filter(|status| status != "DELETE_COMPLETE"))
    }

    /// Waits a while; whether the user asked to stop meanwhile.
    pub(super) async fn pause(&mut self, interrupt: &mut Interrupt) -> bool {
        let pause = self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        tokio::select! {
            () = tokio::time::sleep(pause) => false,
            changed = interrupt.changed() => match changed {
                Ok(()) => true,
                // Nobody listens for signals: then there is only the time.
                Err(_) => { tokio::time::sleep(pause).await; false }
            },
        }
    }
}

//! Making and updating the stack.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tokio::sync::watch;

use super::change_set::{Ready, change_set, discard};
use super::error::Named;
use super::plan::Plan;
use super::stack::{self, Physical, ResourceEvent, StackOutput};
use super::watch::Watcher;
use super::{Account, CloudError, assets, destroy, event_metrics};

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
    /// The user stopped it before CloudFormation began.
    NotBegun,
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
    let changed = match change_set(account, plan).await {
        Ok(None) => false,
        Ok(Some(ready)) if *interrupt.borrow() > 0 => {
            discard(account, plan, &ready).await?;
            forget_packages(account, plan, on_step).await?;
            return Ok(Deployed::NotBegun);
        }
        Ok(Some(ready)) => match execute(account, plan, &ready, interrupt, on_step).await? {
            Ended::Well => true,
            Ended::Otherwise(deployed) => return Ok(deployed),
        },
        Err(error) => {
            // The first error is the one to tell. What cannot be cleared now, `destroy` clears.
            let _ = forget_packages(account, plan, on_step).await;
            return Err(error);
        }
    };
    for uuid in &plan.switch_on {
        event_metrics::switch(account, uuid, true).await?;
        on_step(Step::EventMetrics(uuid.clone(), true));
    }
    put_back(account, &plan.put_back, on_step).await.map_err(|error| {
        // The stack's record of them has just gone, so nobody else will say so.
        CloudError::unfit(
            format!(
                "the stack is updated, but not all of the event metrics that an earlier deployment switched on could be \
                 switched off again ({}): {error}",
                plan.put_back.join(", ")
            ),
            "for each of them: aws lambda update-event-source-mapping --uuid UUID --metrics-config '{\"Metrics\": []}'",
        )
    })?;
    let outputs = stack::describe(account, &plan.stack).await?.map(|stack| stack.outputs).unwrap_or_default();
    Ok(Deployed::Done { outputs, changed })
}

/// Where there is no stack, nothing names its packages any more, so they go too. A stack that somebody else is making
/// needs them.
async fn forget_packages(
    account: &Account,
    plan: &Plan,
    on_step: &mut dyn FnMut(Step),
) -> Result<(), CloudError> {
    if plan.deployed.is_some() || !stack::is_gone(account, &plan.stack).await? {
        return Ok(());
    }
    let (count, bucket_too) = assets::clear(account, &plan.bucket, &plan.stack).await?;
    on_step(Step::AssetsDeleted(count, bucket_too));
    Ok(())
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
                forget_packages(account, plan, on_step).await?;
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
        cancel(account, plan, &ready.stack_id).await?;
    }
}

/// Has CloudFormation take back what it did: a creation by deleting the stack.
async fn cancel(account: &Account, plan: &Plan, stack_id: &str) -> Result<(), CloudError> {
    let cloudformation = &account.cloudformation;
    if plan.deployed.is_none() {
        let delete = cloudformation.delete_stack().stack_name(stack_id);
        return delete.send().await.named("DeleteStack").map(drop);
    }
    match cloudformation.cancel_update_stack().stack_name(stack_id).send().await.named("CancelUpdateStack") {
        // An update that has just come to its end cannot be cancelled any more: its status says how it ended.
        Err(CloudError::Refused { code, .. }) if code == "ValidationError" => Ok(()),
        answer => answer.map(drop),
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

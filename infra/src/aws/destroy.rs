//! Taking the stack away, and with it everything that `deploy` did.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use workflow::circuit::{CircuitState, item};

use super::assets::{self, Bucket};
use super::deploy::{Interrupt, Step, put_back};
use super::error::Named;
use super::plan::switched_on;
use super::stack::{self, Physical, ResourceEvent, StackState};
use super::watch::Watcher;
use super::{Account, CloudError};
use crate::assets::ASSET_BUCKET;

/// Type of the circuits' table.
const TABLE: &str = "AWS::DynamoDB::Table";

/// A circuit that is not closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCircuit {
    /// Its name.
    pub name: String,
    /// Its state: `open` or `half_open`.
    pub state: String,
    /// When it was opened, milliseconds since the Unix epoch.
    pub opened_at_ms: Option<u64>,
    /// The recorded settings of its mappings, JSON.
    pub recorded: String,
}

/// What `destroy` would take away.
#[derive(Clone, Debug)]
pub struct Leaving {
    /// The stack.
    pub stack: StackState,
    /// Its name.
    pub name: String,
    /// Logical id and type of each resource.
    pub resources: Vec<(String, String)>,
    /// Mappings whose event metrics are switched off again.
    pub put_back: Vec<String>,
    /// Circuits that are not closed: while there is one, nothing is taken away.
    pub open: Vec<OpenCircuit>,
    /// The circuits' table, where there is one.
    pub table: Option<String>,
    /// The bucket with the stack's packages, where it still exists.
    pub bucket: Option<Bucket>,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destroyed {
    /// Nothing is left.
    Done,
    /// CloudFormation could not delete everything.
    Failed {
        /// The stack's status.
        status: String,
        /// The first resource that could not be deleted.
        cause: Option<ResourceEvent>,
    },
    /// A circuit opened while the stack was being deleted; the table with its record was kept.
    Stranded(String, Vec<OpenCircuit>),
    /// The user left while CloudFormation was still at work.
    Left,
}

/// Finds out what there is to take away; none if there is no such stack.
///
/// # Errors
/// Calls that fail, and a stack that somebody is changing.
pub async fn leaving(account: &Account, name: &str) -> Result<Option<Leaving>, CloudError> {
    let Some(stack) = stack::describe(account, name).await? else { return Ok(None) };
    stack::is_ours(name, &stack)?;
    if stack.is_busy() {
        return Err(CloudError::unfit(
            format!("stack {name} is in {}: somebody is changing it", stack.status),
            "wait until that is done, then run the command again",
        ));
    }
    let resources = stack::resources(account, &stack.id).await?;
    Ok(Some(Leaving {
        put_back: switched_on(Some(&stack)).collect(),
        open: open_circuits(account, &resources).await?,
        table: table(&resources).map(str::to_owned),
        bucket: bucket(account, &stack).await?,
        resources: resources.into_iter().map(|one| (one.logical_id, one.resource_type)).collect(),
        name: name.to_owned(),
        stack,
    }))
}

/// Packages of a stack that is not there: a first deployment that was killed leaves them. The default bucket with how many
/// objects; none where there is nothing left.
///
/// # Errors
/// Calls that fail.
pub async fn stray_packages(account: &Account, name: &str) -> Result<Option<(Bucket, usize)>, CloudError> {
    let bucket = assets::find_bucket(account, None).await?;
    if !bucket.exists {
        return Ok(None);
    }
    let count = assets::keys(account, &bucket, &assets::stack_prefix(name)).await?.len();
    Ok((count > 0).then_some((bucket, count)))
}

/// Deletes them.
///
/// # Errors
/// Calls that fail. It can be run again.
pub async fn clear_stray_packages(
    account: &Account,
    bucket: &Bucket,
    name: &str,
    on_step: &mut dyn FnMut(Step),
) -> Result<(), CloudError> {
    let (count, bucket_too) = assets::clear(account, bucket, name).await?;
    on_step(Step::AssetsDeleted(count, bucket_too));
    Ok(())
}

/// The bucket that the stack's parameter names, if it still exists.
async fn bucket(account: &Account, stack: &StackState) -> Result<Option<Bucket>, CloudError> {
    let named = stack.parameters.iter().find(|(key, _)| key == ASSET_BUCKET);
    let Some((_, name)) = named else { return Ok(None) };
    let default = assets::find_bucket(account, None).await?;
    if default.name == *name {
        return Ok(Some(default).filter(|bucket| bucket.exists));
    }
    Ok(assets::find_bucket(account, Some(name)).await.ok())
}

/// Physical id of the circuits' table.
pub(super) fn table(resources: &[Physical]) -> Option<&str> {
    resources.iter().find(|one| one.resource_type == TABLE).map(|one| one.physical_id.as_str())
}

/// Circuits of the stack with this name that are not closed; none where there is no stack.
///
/// # Errors
/// Calls that fail.
pub async fn open_circuits_of(account: &Account, name: &str) -> Result<Vec<OpenCircuit>, CloudError> {
    match stack::describe(account, name).await? {
        Some(stack) if !stack.is_only_planned() => {
            open_circuits(account, &stack::resources(account, &stack.id).await?).await
        }
        _ => Ok(Vec::new()),
    }
}

/// Circuits of a stack that are not closed.
///
/// # Errors
/// Calls that fail. A table that is gone holds no circuit.
pub(super) async fn open_circuits(
    account: &Account,
    resources: &[Physical],
) -> Result<Vec<OpenCircuit>, CloudError> {
    match table(resources) {
        Some(table) => scan(account, table).await,
        None => Ok(Vec::new()),
    }
}

async fn scan(account: &Account, table: &str) -> Result<Vec<OpenCircuit>, CloudError> {
    let mut pages = account.dynamodb.scan().table_name(table).consistent_read(true).into_paginator().send();
    let mut open = Vec::new();
    while let Some(page) = pages.next().await {
        let page = match page.named("Scan") {
            Err(error) if error.is_missing() => return Ok(Vec::new()),
            page => page?,
        };
        for attributes in page.items() {
            let attributes = attributes.iter().map(|(name, value)| (name.as_str(), value)).collect();
            open.extend(open_circuit(&attributes));
        }
    }
    open.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(open)
}

fn open_circuit(attributes: &BTreeMap<&str, &AttributeValue>) -> Option<OpenCircuit> {
    let text = |name: &str| attributes.get(name).and_then(|value| value.as_s().ok()).cloned();
    // Absent means closed; a word that is not known is no reason to believe so.
    let state =
        text(item::STATE).filter(|state| CircuitState::from_name(state) != Some(CircuitState::Closed))?;
    Some(OpenCircuit {
        name: text(item::CIRCUIT).unwrap_or_default(),
        state,
        opened_at_ms: attributes
            .get(item::OPENED_AT_MS)
            .and_then(|value| value.as_n().ok())
            .and_then(|number| number.parse().ok()),
        recorded: text(item::RECORDED).unwrap_or_default(),
    })
}

/// Takes everything away. The caller has seen to it that no circuit is open, and has asked.
///
/// # Errors
/// Calls that fail. It can be run again: what is gone already is passed over.
pub async fn destroy(
    account: &Account,
    leaving: &Leaving,
    interrupt: &mut Interrupt,
    on_step: &mut dyn FnMut(Step),
) -> Result<Destroyed, CloudError> {
    let id = &leaving.stack.id;
    // First, because the record of it goes with the stack.
    put_back(account, &leaving.put_back, on_step).await?;
    let mut watcher = Watcher::new(account, id).await?;
    on_step(Step::Started(leaving.resources.len()));
    account.cloudformation.delete_stack().stack_name(id).send().await.named("DeleteStack")?;
    while let Some(status) = watcher.look(on_step).await? {
        // Right after the call the stack may still show the status that it had before, so that an event has to confirm
        // it: a resource's, or the stack's own where no resource is to blame.
        if status == "DELETE_FAILED" && (watcher.cause.is_some() || watcher.stack_failed.is_some()) {
            let cause = watcher.cause.take().or(watcher.stack_failed.take());
            return Ok(Destroyed::Failed { status, cause });
        }
        if watcher.pause(interrupt).await {
            return Ok(Destroyed::Left);
        }
    }
    // With the rules gone nothing can trip any more. A trip that came before found its functions vanish.
    if let Some(table) = &leaving.table {
        let open = scan(account, table).await?;
        if !open.is_empty() {
            return Ok(Destroyed::Stranded(table.clone(), open));
        }
        delete_table(account, table, on_step).await?;
    }
    if let Some(bucket) = &leaving.bucket {
        let (count, bucket_too) = assets::clear(account, bucket, &leaving.name).await?;
        on_step(Step::AssetsDeleted(count, bucket_too));
    }
    Ok(Destroyed::Done)
}

/// The table is retained by the stack's deletion, because while a circuit is open its item is the only record of what
/// its mapping is to get back. With every circuit closed it is of no more use.
pub(super) async fn delete_table(
    account: &Account,
    table: &str,
    on_step: &mut dyn FnMut(Step),
) -> Result<(), CloudError> {
    match account.dynamodb.delete_table().table_name(table).send().await.named("DeleteTable") {
        Err(error) if error.is_missing() => Ok(()),
        answer => {
            answer?;
            on_step(Step::TableDeleted(table.to_owned()));
            Ok(())
        }
    }
}

//! What a deployment would do, found out without changing anything.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use workflow::config::BreakerConfig;

use super::assets::{self, Bucket};
use super::destroy::{OpenCircuit, open_circuits};
use super::stack::{self, StackState};
use super::{Account, CloudError, event_metrics};
use crate::assets::{ARCHITECTURE, ASSET_BUCKET, ASSET_PREFIX};
use crate::diff::{Diff, Side, diff};

/// What a deployment would do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Name of the stack.
    pub stack: String,
    /// The stack as it is, if it exists.
    pub deployed: Option<StackState>,
    /// What differs.
    pub diff: Diff,
    /// Mappings whose event metrics are off and are wanted by the alarm.
    pub switch_on: Vec<String>,
    /// Mappings whose event metrics an earlier deployment switched on, and that no circuit guards any more.
    pub put_back: Vec<String>,
    /// Circuits that are open at the moment.
    pub open: Vec<String>,
    /// Where packages and template go.
    pub bucket: Bucket,
    /// The template with the record of the switched metrics in it.
    pub(super) template: Value,
    /// Values of its parameters.
    pub(super) parameters: Vec<(String, String)>,
}

/// What is to be deployed.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Name of the stack.
    pub stack: &'a str,
    /// The configuration.
    pub config: &'a BreakerConfig,
    /// The template that was synthesized from it.
    pub template: &'a Value,
    /// Digest over all packages.
    pub digest: &'a str,
    /// `arm64` or `x86_64`.
    pub architecture: &'a str,
    /// The bucket for the packages; absent: the default one of the account and Region.
    pub bucket: Option<&'a str>,
}

impl Plan {
    /// Whether the stack is as it is wanted, and so are the mappings.
    pub fn is_empty(&self) -> bool {
        self.diff.is_empty()
            && self.switch_on.is_empty()
            && self.put_back.is_empty()
            && self.deployed.is_some()
    }

    /// What the keys of the packages begin with.
    pub(super) fn asset_prefix(stack: &str, digest: &str) -> String {
        format!("{}{digest}", assets::stack_prefix(stack))
    }
}

/// Compares what is deployed with what is wanted.
///
/// # Errors
/// Calls that fail; a stack that cannot be updated in its status; a consumer in another account or Region; the removal
/// of a circuit that is open.
pub async fn plan(account: &Account, wanted: &Wanted<'_>) -> Result<Plan, CloudError> {
    same_place(account, wanted.config)?;
    let deployed = stack::describe(account, wanted.stack).await?;
    if let Some(stack) = &deployed {
        can_be_updated(wanted.stack, stack)?;
    }
    let deployed = deployed.filter(|stack| !stack.is_only_planned());
    let bucket = assets::find_bucket(account, wanted.bucket).await?;
    let open = match &deployed {
        Some(stack) => open_circuits(account, &stack::resources(account, &stack.id).await?).await?,
        None => Vec::new(),
    };
    for circuit in &open {
        keeps_its_mapping(circuit, wanted.config)?;
    }
    let open: Vec<String> = open.into_iter().map(|circuit| circuit.name).collect();
    let switched: BTreeSet<String> = switched_on(deployed.as_ref()).collect();
    let guarded: BTreeSet<String> = guarded(wanted.config).collect();
    let mut switch_on = Vec::new();
    for uuid in &guarded {
        if !event_metrics::are_on(account, uuid).await.map_err(|error| missing_mapping(error, uuid))? {
            switch_on.push(uuid.clone());
        }
    }
    let recorded: BTreeSet<&String> = switched.intersection(&guarded).chain(&switch_on).collect();
    let template = with_record(wanted.template, &recorded);
    let parameters = vec![
        (ASSET_BUCKET.to_owned(), bucket.name.clone()),
        (ASSET_PREFIX.to_owned(), Plan::asset_prefix(wanted.stack, wanted.digest)),
        (ARCHITECTURE.to_owned(), wanted.architecture.to_owned()),
    ];
    let before = match &deployed {
        Some(stack) => Some((stack::template(account, &stack.id).await?, &stack.parameters)),
        None => None,
    };
    let before = before.as_ref().map(|(template, parameters)| Side::new(template, parameters));
    Ok(Plan {
        stack: wanted.stack.to_owned(),
        diff: diff(before, Side::new(&template, &parameters)),
        put_back: switched.difference(&guarded).cloned().collect(),
        deployed,
        switch_on,
        open,
        bucket,
        template,
        parameters,
    })
}

/// A function's mapping lives in the function's account and Region, and the stack has to be there too.
fn same_place(account: &Account, config: &BreakerConfig) -> Result<(), CloudError> {
    for (name, circuit) in &config.circuits {
        let Some(consumer) = &circuit.consumer else { continue };
        let parts: Vec<&str> = consumer.function_arn.split(':').collect();
        let (region, id) =
            (parts.get(3).copied().unwrap_or_default(), parts.get(4).copied().unwrap_or_default());
        if region != account.region || id != account.id {
            return Err(CloudError::unfit(
                format!(
                    "the consumer of circuit {name} lives in account {id}, Region {region}; you are in account {}, Region {}",
                    account.id, account.region
                ),
                format!("give --region {region}, and a --profile of account {id}"),
            ));
        }
    }
    Ok(())
}

fn can_be_updated(name: &str, stack: &StackState) -> Result<(), CloudError> {
    stack::is_ours(name, stack)?;
    let refuse = |what: String, hint: String| Err(CloudError::unfit(what, hint));
    let status = &stack.status;
    match status.as_str() {
        "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" => refuse(
            format!(
                "stack {name} is in {status}: its creation failed, and CloudFormation can only delete it"
            ),
            format!("`breaker destroy --stack {name}` removes what is left of it; then deploy again"),
        ),
        "DELETE_FAILED" => refuse(
            format!("stack {name} is in {status}: {}", stack.reason),
            format!("remove what keeps it, then `breaker destroy --stack {name}`"),
        ),
        "UPDATE_ROLLBACK_FAILED" => refuse(
            format!(
                "stack {name} is in {status}: an update failed, and so did its rollback: {}",
                stack.reason
            ),
            format!(
                "mend what it names, then `aws cloudformation continue-update-rollback --stack-name {name}`"
            ),
        ),
        _ if stack.is_busy() => refuse(
            format!("stack {name} is in {status}: somebody is changing it"),
            "wait until that is done, then run the command again".to_owned(),
        ),
        _ => Ok(()),
    }
}

/// An open circuit's execution gives its mapping back when it closes. Until then neither the circuit nor its permissions on
/// the mapping may go.
fn keeps_its_mapping(open: &OpenCircuit, config: &BreakerConfig) -> Result<(), CloudError> {
    let name = &open.name;
    let refuse = |what: String| {
        Err(CloudError::unfit(
            format!("circuit {name} is open, and {what}: its mapping would stay disabled"),
            "keep the circuit in the configuration as it is until it is closed",
        ))
    };
    let Some(circuit) = config.circuits.get(name) else {
        return refuse("the new configuration does not have it".to_owned());
    };
    let recorded: Value = serde_json::from_str(&open.recorded).unwrap_or_default();
    let mut held = recorded.as_array().into_iter().flatten().filter_map(|one| one["uuid"].as_str());
    match &circuit.consumer {
        Some(consumer) => match held.find(|uuid| *uuid != consumer.mapping_uuid) {
            Some(uuid) => refuse(format!("the new configuration has another mapping than {uuid}")),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

fn missing_mapping(error: CloudError, uuid: &str) -> CloudError {
    if !error.is_missing() {
        return error;
    }
    CloudError::unfit(
        format!("there is no event source mapping {uuid} in this account and Region"),
        "it was deleted or made anew: `breaker init --function NAME` shows the present one; correct consumer.mapping_uuid",
    )
}

/// Mappings of the user's whose event metrics the circuits' alarms look at.
fn guarded(config: &BreakerConfig) -> impl Iterator<Item = String> + '_ {
    config
        .circuits
        .values()
        .filter(|circuit| circuit.alarm.signal.needs_event_metrics())
        .filter_map(|circuit| circuit.consumer.as_ref())
        .map(|consumer| consumer.mapping_uuid.clone())
}

/// Mappings whose event metrics earlier deployments switched on.
pub(super) fn switched_on(stack: Option<&StackState>) -> impl Iterator<Item = String> {
    let list = stack.and_then(|stack| stack.output(event_metrics::OUTPUT)).unwrap_or_default();
    let uuids: Vec<String> = list.split(',').filter(|uuid| !uuid.is_empty()).map(str::to_owned).collect();
    uuids.into_iter()
}

/// The record stands in the stack itself, so that it is there exactly as long as the stack is.
fn with_record(template: &Value, uuids: &BTreeSet<&String>) -> Value {
    let mut template = template.clone();
    if !uuids.is_empty() {
        let list: Vec<&str> = uuids.iter().map(|uuid| uuid.as_str()).collect();
        template["Outputs"][event_metrics::OUTPUT] = json!({
            "Description": "Mappings whose event metrics were switched on for the alarms; `breaker destroy` puts them back",
            "Value": list.join(","),
        });
    }
    template
}

#[cfg(test)]
mod tests {
    use workflow::config::{CircuitConfig, ConsumerConfig};

    use super::*;

    const UUID: &str = "14e0db71-5d35-4eb5-b481-8945cf9d10c2";

    fn open(name: &str) -> OpenCircuit {
        OpenCircuit {
            name: name.to_owned(),
            state: "open".to_owned(),
            opened_at_ms: None,
            recorded: format!(r#"[{{"uuid":"{UUID}","enabled":true}}]"#),
        }
    }

    #[test]
    fn an_open_circuit_keeps_its_mapping() {
        let config = |uuid: &str| {
            let consumer = ConsumerConfig {
                function_arn: "arn:aws:lambda:eu-west-1:123456789012:function:orders".to_owned(),
                function_timeout_s: 10,
                mapping_uuid: uuid.to_owned(),
                event_metrics: true,
                queue_url: "https://sqs.eu-west-1.amazonaws.com/123456789012/orders".to_owned(),
                queue_arn: "arn:aws:sqs:eu-west-1:123456789012:orders".to_owned(),
                visibility_timeout_s: 60,
                max_receive_count: Some(15),
                kms_key_arn: None,
                retention_s: None,
                dead_letter_retention_s: None,
                dead_letter_queue_url: None,
                dead_letter_queue_arn: None,
                dead_letter_kms_key_arn: None,
                report_batch_item_failures: false,
                provisioned_mode: false,
            };
            let circuit = CircuitConfig { consumer: Some(consumer), ..CircuitConfig::default() };
            BreakerConfig::single("orders", circuit)
        };
        assert_eq!(keeps_its_mapping(&open("orders"), &config(UUID)), Ok(()));
        let other = "00000000-5d35-4eb5-b481-8945cf9d10c2";
        for (name, uuid, words) in
            [("gone", UUID, "does not have it"), ("orders", other, "has another mapping than 14e0db71")]
        {
            let error = keeps_its_mapping(&open(name), &config(uuid)).expect_err("it would be stranded");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}

//! A consumer as the account shows it: function, event source mapping, queue, dead-letter queue, alarms.

use std::collections::BTreeMap;

use aws_sdk_lambda::types::{
    EventSourceMappingConfiguration, EventSourceMappingMetric, FunctionResponseType,
};
use aws_sdk_sqs::types::QueueAttributeName;
use serde::Serialize;
use serde_json::Value;
use workflow::config::ConsumerConfig;

use super::error::Named;
use super::{Account, CloudError};

/// Metrics of a function on which people have alarms that could trip a circuit.
const WATCHED_METRICS: [&str; 2] = ["Errors", "Throttles"];

/// Which consumer is meant.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Name or ARN of the function, with an alias if the mapping has one.
    pub function: String,
    /// URL, ARN or name of the queue, where the function has several.
    pub queue: Option<String>,
}

/// A consumer that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundConsumer {
    /// Name of the function.
    pub function_name: String,
    /// What the breaker depends on.
    pub facts: ConsumerConfig,
    /// What is so at the moment.
    pub momentary: Momentary,
    /// Alarms on the function's metrics.
    pub alarms: Vec<AlarmSeen>,
    /// Why they are not known, if they could not be read: knowing them is a help, not a need.
    pub alarms_unread: Option<CloudError>,
}

/// What is so at the moment and may be otherwise in an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Momentary {
    /// State of the mapping, `Enabled` or `Disabled` for example.
    pub mapping_state: String,
    /// Its present `MaximumConcurrency`, if it has one.
    pub maximum_concurrency: Option<u32>,
    /// Messages waiting in the queue, approximately.
    pub waiting_count: u64,
    /// Messages in the dead-letter queue, approximately.
    pub dead_letter_count: u64,
}

/// An alarm that looks at the function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlarmSeen {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The metric of `AWS/Lambda`.
    pub metric: &'static str,
    /// Its state.
    pub state: String,
}

/// Finds the consumer that is meant.
///
/// # Errors
/// Calls that fail; a function without a mapping from SQS, or with several and no queue named.
pub async fn find_consumer(account: &Account, search: &Search) -> Result<FoundConsumer, CloudError> {
    let mapping = find_mapping(account, search).await?;
    read(account, mapping).await
}

/// Reads a consumer again that a configuration names.
///
/// # Errors
/// Calls that fail, a mapping that is gone among them.
pub async fn reread(account: &Account, known: &ConsumerConfig) -> Result<FoundConsumer, CloudError> {
    let answer = account.lambda.get_event_source_mapping().uuid(&known.mapping_uuid).send().await;
    let answer = answer.named("GetEventSourceMapping").map_err(|error| match error.is_missing() {
        true => CloudError::unfit(
            format!("there is no event source mapping {} in this account and Region", known.mapping_uuid),
            "it was deleted or made anew: `breaker init --function NAME` shows the present one; correct \
             consumer.mapping_uuid",
        ),
        false => error,
    })?;
    let mapping = EventSourceMappingConfiguration::builder()
        .set_uuid(answer.uuid)
        .set_event_source_arn(answer.event_source_arn)
        .set_function_arn(answer.function_arn)
        .set_state(answer.state)
        .set_scaling_config(answer.scaling_config)
        .set_function_response_types(answer.function_response_types)
        .set_metrics_config(answer.metrics_config)
        .set_provisioned_poller_config(answer.provisioned_poller_config)
        .build();
    read(account, mapping).await
}

async fn find_mapping(
    account: &Account,
    search: &Search,
) -> Result<EventSourceMappingConfiguration, CloudError> {
    // This call says in plain words when there is no such function; the list would only be empty.
    let function = &search.function;
    account
        .lambda
        .get_function_configuration()
        .function_name(function)
        .send()
        .await
        .named("GetFunctionConfiguration")?;
    let list = account.lambda.list_event_source_mappings().function_name(function);
    let mut pages = list.into_paginator().send();
    let mut mappings = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.named("ListEventSourceMappings")?;
        mappings.extend(page.event_source_mappings().iter().filter(|one| is_sqs(one)).cloned());
    }
    let sources: Vec<String> = mappings.iter().map(|one| source(one).to_owned()).collect();
    match &search.queue {
        Some(wanted) => {
            let name = wanted.rsplit(['/', ':']).next().unwrap_or(wanted);
            let fits = |one: &EventSourceMappingConfiguration| {
                source(one) == wanted || source(one).rsplit(':').next() == Some(name)
            };
            mappings.into_iter().find(fits).ok_or_else(|| {
                CloudError::unfit(
                    format!(
                        "function {function} has no mapping from queue {wanted}; it has {}",
                        listed(&sources)
                    ),
                    "name one of these with --queue",
                )
            })
        }
        None if mappings.len() > 1 => Err(CloudError::unfit(
            format!("function {function} is fed by several queues: {}", listed(&sources)),
            "name one of them with --queue; each of them gets a circuit of its own",
        )),
        None => mappings.into_iter().next().ok_or_else(|| {
            CloudError::unfit(
                format!("function {function} has no event source mapping from an SQS queue"),
                "name the function, or its alias (NAME:ALIAS), that the queue feeds",
            )
        }),
    }
}

fn listed(sources: &[String]) -> String {
    if sources.is_empty() { "none".to_owned() } else { sources.join(", ") }
}

fn source(mapping: &EventSourceMappingConfiguration) -> &str {
    mapping.event_source_arn().unwrap_or_default()
}

fn is_sqs(mapping: &EventSourceMappingConfiguration) -> bool {
    source(mapping).split(':').nth(2) == Some("sqs")
}

async fn read(
    account: &Account,
    mapping: EventSourceMappingConfiguration,
) -> Result<FoundConsumer, CloudError> {
    let function_arn = mapping.function_arn().unwrap_or_default().to_owned();
    let function = account.lambda.get_function_configuration().function_name(&function_arn);
    let function = function.send().await.named("GetFunctionConfiguration")?;
    let function_name = function.function_name().unwrap_or_default().to_owned();
    let queue_arn = source(&mapping).to_owned();
    let queue = Queue::read(account, &queue_arn).await?;
    let dead_letter = match queue.dead_letter_arn() {
        Some(arn) => Queue::read_if_there(account, &arn).await?,
        None => None,
    };
    let metrics = mapping.metrics_config().map(|config| config.metrics()).unwrap_or_default();
    let response_types = mapping.function_response_types();
    let facts = ConsumerConfig {
        function_arn,
        function_timeout_s: function.timeout().and_then(|s| u32::try_from(s).ok()).unwrap_or(3),
        mapping_uuid: mapping.uuid().unwrap_or_default().to_owned(),
        event_metrics: metrics.contains(&EventSourceMappingMetric::EventCount),
        queue_url: queue.url.clone(),
        queue_arn,
        visibility_timeout_s: queue.number("VisibilityTimeout").unwrap_or(30),
        max_receive_count: queue.max_receive_count(),
        kms_key_arn: queue.kms_key_arn(account),
        retention_s: queue.number("MessageRetentionPeriod"),
        dead_letter_retention_s: dead_letter
            .as_ref()
            .and_then(|queue| queue.number("MessageRetentionPeriod")),
        dead_letter_queue_url: dead_letter.as_ref().map(|queue| queue.url.clone()),
        dead_letter_queue_arn: dead_letter.as_ref().and_then(|_| queue.dead_letter_arn()),
        dead_letter_kms_key_arn: dead_letter.as_ref().and_then(|queue| queue.kms_key_arn(account)),
        report_batch_item_failures: response_types.contains(&FunctionResponseType::ReportBatchItemFailures),
        provisioned_mode: mapping.provisioned_poller_config().is_some(),
    };
    let momentary = Momentary {
        mapping_state: mapping.state().unwrap_or("unknown").to_owned(),
        maximum_concurrency: mapping
            .scaling_config()
            .and_then(|config| config.maximum_concurrency())
            .and_then(|count| u32::try_from(count).ok()),
        waiting_count: queue.number("ApproximateNumberOfMessages").unwrap_or(0),
        dead_letter_count: dead_letter
            .and_then(|queue| queue.number("ApproximateNumberOfMessages"))
            .unwrap_or(0),
    };
    let (alarms, alarms_unread) = match alarms(account, &function_name).await {
        Ok(alarms) => (alarms, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    Ok(FoundConsumer { function_name, facts, momentary, alarms, alarms_unread })
}

/// A queue with its attributes.
struct Queue {
    url: String,
    attributes: BTreeMap<String, String>,
}

impl Queue {
    async fn read(account: &Account, arn: &str) -> Result<Queue, CloudError> {
        let parts: Vec<&str> = arn.split(':').collect();
        let (owner, name) =
            (parts.get(4).copied().unwrap_or_default(), parts.get(5).copied().unwrap_or_default());
        let url = account.sqs.get_queue_url().queue_name(name).queue_owner_aws_account_id(owner);
        let url = url.send().await.named("GetQueueUrl")?.queue_url.unwrap_or_default();
        let answer =
            account.sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
        let answer = answer.send().await.named("GetQueueAttributes")?;
        let attributes = answer.attributes.unwrap_or_default();
        let attributes =
            attributes.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect();
        Ok(Queue { url, attributes })
    }

    /// A dead-letter queue may be in another account, or gone.
    async fn read_if_there(account: &Account, arn: &str) -> Result<Option<Queue>, CloudError> {
        match Queue::read(account, arn).await {
            Ok(queue) => Ok(Some(queue)),
            Err(error) if error.is_missing() || error.is_denied() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.attributes.get(name).and_then(|value| value.parse().ok())
    }

    fn redrive_policy(&self) -> Option<Value> {
        self.attributes.get("RedrivePolicy").and_then(|text| serde_json::from_str(text).ok())
    }

    /// The count may stand there as a number or as a text: SQS takes both.
    fn max_receive_count(&self) -> Option<u32> {
        let policy = self.redrive_policy()?;
        let count = &policy["maxReceiveCount"];
        count.as_u64().or_else(|| count.as_str()?.parse().ok()).and_then(|count| u32::try_from(count).ok())
    }

    fn dead_letter_arn(&self) -> Option<String> {
        self.redrive_policy()?["deadLetterTargetArn"].as_str().map(str::to_owned)
    }

    /// The key may be named by id, alias or ARN. The key that AWS manages for SQS lets no role be added to its policy and
    /// needs none: its policy allows all callers of the account by way of SQS.
    fn kms_key_arn(&self, account: &Account) -> Option<String> {
        let key = self.attributes.get("KmsMasterKeyId").filter(|key| *key != "alias/aws/sqs")?;
        let place = format!("arn:{}:kms:{}:{}", account.partition, account.region, account.id);
        Some(match key.as_str() {
            arn if arn.starts_with("arn:") => arn.to_owned(),
            alias if alias.starts_with("alias/") => format!("{place}:{alias}"),
            id => format!("{place}:key/{id}"),
        })
    }
}

async fn alarms(account: &Account, function_name: &str) -> Result<Vec<AlarmSeen>, CloudError> {
    let dimension =
        aws_sdk_cloudwatch::types::Dimension::builder().name("FunctionName").value(function_name).build();
    let mut seen = Vec::new();
    for metric in WATCHED_METRICS {
        let answer = account
            .cloudwatch
            .describe_alarms_for_metric()
            .namespace("AWS/Lambda")
            .metric_name(metric)
            .dimensions(dimension.clone())
            .send()
            .await;
        let alarms = answer.named("DescribeAlarmsForMetric")?;
        seen.extend(alarms.metric_alarms().iter().map(|alarm| AlarmSeen {
            name: alarm.alarm_name().unwrap_or_default().to_owned(),
            arn: alarm.alarm_arn().unwrap_or_default().to_owned(),
            metric,
            state: alarm.state_value().map(|state| state.as_str().to_owned()).unwrap_or_default(),
        }));
    }
    seen.sort_by(|a, b| a.name.cmp(&b.name));
    seen.dedup_by(|a, b| a.arn == b.arn && a.metric == b.metric);
    Ok(seen)
}

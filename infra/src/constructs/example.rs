//! The example: a queue with a dead-letter queue, a consumer and the mapping between them, all of its own.

use std::collections::BTreeMap;

use workflow::config::CircuitConfig;
use workflow::contract::{
    ENV_LEDGER_QUEUE_URL, ENV_REPORT_BATCH_ITEM_FAILURES, ENV_SHOULD_ERROR, FunctionKind,
};

use super::function::{FunctionSettings, function};
use super::{DeadLetterQueue, Guarded};
use crate::assets::Assets;
use crate::error::SynthError;
use crate::policy::{PolicyDocument, Principal, Statement};
use crate::resources::cloudwatch::Dimension;
use crate::resources::kms::Key;
use crate::resources::lambda::{EventSourceMapping, MetricsConfig};
use crate::resources::sqs::{MAX_RETENTION_S, Queue, RedrivePolicy};
use crate::template::{Attributes, Deletion, Handle, Scope, Template};
use crate::text::Text;

/// Shortest time that KMS allows between a key's deletion and its end, days: it is an example.
const KEY_PENDING_DAYS: u32 = 7;

/// The queues of the example.
struct Queues {
    key: Option<Handle>,
    work: Handle,
    dead_letter: Handle,
    ledger: Option<Handle>,
}

/// Adds the example of one circuit.
///
/// # Errors
/// [`SynthError::PolicyTooLong`], which a single consumer's policy never is.
pub fn example(
    template: &mut Template,
    scope: &Scope,
    assets: &Assets,
    circuit: &CircuitConfig,
) -> Result<Guarded, SynthError> {
    let queues = queues(template, scope, circuit);
    let consumer = consumer(template, scope, assets, circuit, &queues)?;
    let response_types =
        if circuit.example.report_batch_item_failures { vec!["ReportBatchItemFailures"] } else { Vec::new() };
    let mapping = template.resource(
        &scope.child("Mapping"),
        EventSourceMapping {
            event_source_arn: queues.work.arn(),
            function_name: consumer.arn(),
            batch_size: circuit.example.batch_size,
            function_response_types: response_types,
            metrics_config: MetricsConfig { metrics: vec!["EventCount"] },
        },
    );
    template.output(&scope.child("MappingUuid"), "UUID of the event source mapping", &mapping.reference());
    let mapping_arn = format!(
        "arn:${{AWS::Partition}}:lambda:${{AWS::Region}}:${{AWS::AccountId}}:event-source-mapping:${{{}}}",
        mapping.logical_id()
    );
    Ok(Guarded {
        function_arn: consumer.arn(),
        function_dimensions: vec![Dimension { name: "FunctionName", value: consumer.reference() }],
        queue_url: queues.work.reference(),
        queue_arn: queues.work.arn(),
        mapping_uuid: mapping.reference(),
        mapping_arn: Text::sub(mapping_arn),
        kms_key_arn: queues.key.as_ref().map(Handle::arn),
        dead_letter: Some(DeadLetterQueue {
            url: queues.dead_letter.reference(),
            arn: queues.dead_letter.arn(),
            kms_key_arn: queues.key.as_ref().map(Handle::arn),
        }),
        raises_retention: false,
        redrives: false,
        health_check_function_arn: None,
        existing_alarm: None,
    })
}

fn queues(template: &mut Template, scope: &Scope, circuit: &CircuitConfig) -> Queues {
    let example = &circuit.example;
    let key = example.encrypted.then(|| key(template, scope));
    let fifo_queue = example.fifo.then_some(true);
    let plain = Queue {
        kms_master_key_id: key.as_ref().map(Handle::arn),
        sqs_managed_sse_enabled: key.is_none().then_some(true),
        message_retention_period: MAX_RETENTION_S,
        fifo_queue,
        ..Queue::default()
    };
    let dead_letter = add_queue(template, scope, "DeadLetterQueue", plain.clone());
    let work = Queue {
        content_based_deduplication: fifo_queue,
        visibility_timeout: Some(example.visibility_timeout_s),
        message_retention_period: example.retention_s,
        redrive_policy: Some(RedrivePolicy {
            dead_letter_target_arn: dead_letter.arn(),
            max_receive_count: example.max_receive_count,
        }),
        ..plain
    };
    let work = add_queue(template, scope, "SourceQueue", work);
    let ledger = example.ledger.then(|| {
        // Ids only, and always a standard queue: the order in which messages were processed is in the entries.
        let ledger = Queue {
            message_retention_period: MAX_RETENTION_S,
            sqs_managed_sse_enabled: Some(true),
            ..Queue::default()
        };
        add_queue(template, scope, "LedgerQueue", ledger)
    });
    let mut output = |segment: &str, what: &str, queue: &Handle| {
        template.output(&scope.child(segment), what, &queue.reference());
    };
    output("SourceQueueUrl", "URL of the consumer's queue", &work);
    output("DeadLetterQueueUrl", "URL of the dead-letter queue", &dead_letter);
    if let Some(ledger) = &ledger {
        output("LedgerQueueUrl", "URL of the queue in which the consumer records what it processed", ledger);
    }
    Queues { key, work, dead_letter, ledger }
}

fn add_queue(template: &mut Template, scope: &Scope, segment: &str, queue: Queue) -> Handle {
    let attributes = Attributes { deletion: Some(Deletion::Delete), ..Attributes::default() };
    template.resource_with(&scope.child(segment), queue, attributes)
}

fn key(template: &mut Template, scope: &Scope) -> Handle {
    // A key is managed by its policy alone. This is the policy that KMS itself would make: the account's root may do
    // everything, which lets the account's IAM policies decide. In a key's policy, `*` is this one key, whose ARN the
    // policy cannot name before the key exists.
    let root = Text::sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root");
    let owner =
        Statement::allow("LetIamPoliciesDecide", &["kms:*"], vec!["*".into()]).to(Principal::Account(root));
    let properties = Key {
        description: format!("Encrypts the queues of {}", scope.path()),
        enable_key_rotation: true,
        key_policy: PolicyDocument::new(vec![owner]),
        pending_window_in_days: KEY_PENDING_DAYS,
    };
    let attributes = Attributes { deletion: Some(Deletion::Delete), ..Attributes::default() };
    template.resource_with(&scope.child("QueueKey"), properties, attributes)
}

fn consumer(
    template: &mut Template,
    scope: &Scope,
    assets: &Assets,
    circuit: &CircuitConfig,
    queues: &Queues,
) -> Result<Handle, SynthError> {
    let example = &circuit.example;
    let mut variables = BTreeMap::from([
        (ENV_SHOULD_ERROR, "false".into()),
        (ENV_REPORT_BATCH_ITEM_FAILURES, example.report_batch_item_failures.to_string().into()),
    ]);
    // The mapping polls the queue with the consumer's role.
    let poll = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
    let mut statements = vec![Statement::allow("PollQueue", &poll, vec![queues.work.arn()])];
    if let Some(key) = &queues.key {
        statements.push(Statement::allow("ReadEncryptedQueue", &["kms:Decrypt"], vec![key.arn()]));
    }
    if let Some(ledger) = &queues.ledger {
        variables.insert(ENV_LEDGER_QUEUE_URL, ledger.reference());
        statements.push(Statement::allow("KeepLedger", &["sqs:SendMessage"], vec![ledger.arn()]));
    }
    let settings = FunctionSettings {
        kind: FunctionKind::Consumer,
        description: "Example consumer: fails while SHOULD_ERROR is true",
        timeout_s: example.function_timeout_s,
        variables,
        statements,
        retention_days: circuit.logs.retention_days,
    };
    let consumer = function(template, scope, assets, settings)?;
    let name = scope.child("ConsumerFunctionName");
    template.output(
        &name,
        "Name of the consumer; set SHOULD_ERROR to true to make it fail",
        &consumer.reference(),
    );
    Ok(consumer)
}

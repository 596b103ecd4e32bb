//! The resources of the deployed stack that a drill uses, found by the stack's outputs.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use infra::template::Scope;

use super::error::call;
use super::{Clients, LiveError, LiveOptions};

/// The resources of one circuit's example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) stack: String,
    pub(super) stack_id: String,
    pub(super) circuit: String,
    pub(super) queue_url: String,
    pub(super) dead_letter_queue_url: String,
    pub(super) ledger_queue_url: String,
    pub(super) function: String,
    pub(super) mapping_uuid: String,
    pub(super) table: String,
    pub(super) state_machine_arn: String,
}

impl Target {
    /// Reads the stack's outputs.
    ///
    /// # Errors
    /// [`LiveError::Stack`] when the stack is not settled, has no such circuit, guards a consumer that is not the
    /// example, or has no ledger; [`LiveError::Call`] when it cannot be read.
    pub(super) async fn find(clients: &Clients, options: &LiveOptions) -> Result<Target, LiveError> {
        let answer = clients.cloudformation.describe_stacks().stack_name(&options.stack).send().await;
        let refuse = |what: String, hint: &str| LiveError::Stack {
            stack: options.stack.clone(),
            what,
            hint: hint.to_owned(),
        };
        let absent =
            || refuse("is not there".to_owned(), "`breaker deploy` makes it; look at --region and --profile");
        let answer = answer.map_err(|error| {
            // CloudFormation has no error code of its own for this.
            let message = error.as_service_error().and_then(ProvideErrorMetadata::message);
            if message.is_some_and(|message| message.contains("does not exist")) {
                return absent();
            }
            call("DescribeStacks", &error)
        })?;
        let stack = answer.stacks().first().ok_or_else(absent)?;
        let status = stack.stack_status().map_or("unknown", |status| status.as_str());
        if !["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"].contains(&status) {
            let what = format!("is {status}");
            return Err(refuse(what, "a drill needs a stack that is deployed and at rest"));
        }
        let outputs: BTreeMap<&str, &str> =
            stack.outputs().iter().filter_map(|one| Some((one.output_key()?, one.output_value()?))).collect();
        let scope = Scope::root().child(&options.circuit);
        let output = |segment: &str, hint: &str| {
            let key = scope.child(segment).logical_id();
            let value = outputs.get(key.as_str()).map(|value| (*value).to_owned());
            value.ok_or_else(|| refuse(format!("has no output {key}"), hint))
        };
        let example = "a drill needs the example queue and consumer of a circuit: deploy one without \
                       [circuits.NAME.consumer], and name it with --stack-circuit";
        let ledger = "the books are balanced by the ledger queue: deploy with `ledger = true` in \
                      [circuits.NAME.example]";
        Ok(Target {
            stack: options.stack.clone(),
            stack_id: stack.stack_id().unwrap_or(&options.stack).to_owned(),
            circuit: options.circuit.clone(),
            queue_url: output("SourceQueueUrl", example)?,
            dead_letter_queue_url: output("DeadLetterQueueUrl", example)?,
            function: output("ConsumerFunctionName", example)?,
            mapping_uuid: output("MappingUuid", example)?,
            ledger_queue_url: output("LedgerQueueUrl", ledger)?,
            state_machine_arn: output("StateMachineArn", example)?,
            table: outputs
                .get("CircuitTableName")
                .map(|name| (*name).to_owned())
                .ok_or_else(|| refuse("has no output CircuitTableName".to_owned(), example))?,
        })
    }

    /// Whether the queue is FIFO.
    pub(super) fn fifo(&self) -> bool {
        self.queue_url.ends_with(".fifo")
    }
}

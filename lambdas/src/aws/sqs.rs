//! Queues.

use std::str::FromStr;
use std::sync::Arc;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::get_queue_attributes::GetQueueAttributesOutput;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    Message as SdkMessage, MessageAttributeValue, MessageSystemAttributeName,
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, QueueAttributeName,
    SendMessageBatchRequestEntry,
};

use super::error::{Text, call_error, entry_error, incomplete};
use super::{Cloud, ConsumerCloud};
use crate::batch;
use crate::ports::{
    BatchResult, CallError, CallErrorKind, Ledger, Message, MessageAttribute, Messages, Outgoing,
    QueueCounts, QueueDescription, Queues, Receive, VisibilityChange,
};

/// Name of every attribute, system or not, that SQS can return.
const ALL: &str = "All";

const COUNTS: [QueueAttributeName; 3] = [
    QueueAttributeName::ApproximateNumberOfMessages,
    QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    QueueAttributeName::ApproximateNumberOfMessagesDelayed,
];

impl Messages for Cloud {
    async fn receive(&self, queue_url: &str, receive: Receive) -> Result<Vec<Message>, CallError> {
        let call = self
            .receive
            .receive_message()
            .queue_url(queue_url)
            .max_number_of_messages(signed(receive.max_count))
            .wait_time_seconds(signed(receive.wait_s))
            .visibility_timeout(signed(receive.visibility_s))
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names(ALL)
            .send()
            .await;
        let output = call.map_err(|error| call_error("ReceiveMessage", Text::Dropped, &error))?;
        output.messages.unwrap_or_default().into_iter().map(message).collect()
    }

    async fn delete_batch(
        &self,
        queue_url: &str,
        receipt_handles: &[String],
    ) -> Result<BatchResult<()>, CallError> {
        let mut request = self.sqs.delete_message_batch().queue_url(queue_url);
        for (at, handle) in receipt_handles.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(at.to_string()).receipt_handle(handle);
            request = request.entries(entry.build().expect("id and handle are set"));
        }
        let output =
            request.send().await.map_err(|error| call_error("DeleteMessageBatch", Text::Dropped, &error))?;
        let succeeded = output.successful().iter().map(|entry| (entry.id(), ())).collect();
        Ok(in_order("DeleteMessageBatch", receipt_handles.len(), succeeded, output.failed()))
    }

    async fn change_visibility_batch(
        &self,
        queue_url: &str,
        changes: &[VisibilityChange],
    ) -> Result<BatchResult<()>, CallError> {
        let mut request = self.sqs.change_message_visibility_batch().queue_url(queue_url);
        for (at, change) in changes.iter().enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(at.to_string())
                .receipt_handle(&change.receipt_handle)
                .visibility_timeout(signed(change.visibility_s));
            request = request.entries(entry.build().expect("id and handle are set"));
        }
        let output = request
            .send()
            .await
            .map_err(|error| call_error("ChangeMessageVisibilityBatch", Text::Dropped, &error))?;
        let succeeded = output.successful().iter().map(|entry| (entry.id(), ())).collect();
        Ok(in_order("ChangeMessageVisibilityBatch", changes.len(), succeeded, output.failed()))
    }

    async fn send_batch(
        &self,
        queue_url: &str,
        messages: &[Outgoing],
    ) -> Result<BatchResult<String>, CallError> {
        send(&self.send, queue_url, messages).await
    }

    async fn counts(&self, queue_url: &str) -> Result<QueueCounts, CallError> {
        queue_counts(&self.attributes(queue_url, &COUNTS).await?)
    }
}

impl Queues for Cloud {
    async fn describe_queue(&self, queue_url: &str) -> Result<QueueDescription, CallError> {
        let [visible, in_flight, delayed] = COUNTS;
        let names = [visible, in_flight, delayed, QueueAttributeName::MessageRetentionPeriod];
        let output = self.attributes(queue_url, &names).await?;
        Ok(QueueDescription {
            retention_s: number(&output, &QueueAttributeName::MessageRetentionPeriod)?,
            counts: queue_counts(&output)?,
        })
    }

    async fn set_retention(&self, queue_url: &str, retention_s: u32) -> Result<(), CallError> {
        let request = self.sqs.set_queue_attributes().queue_url(queue_url);
        let request = request.attributes(QueueAttributeName::MessageRetentionPeriod, retention_s.to_string());
        request.send().await.map_err(|error| call_error("SetQueueAttributes", Text::Kept, &error))?;
        Ok(())
    }

    async fn start_move(&self, queue_arn: &str, max_per_s: u32) -> Result<(), CallError> {
        let request = self.sqs.start_message_move_task().source_arn(queue_arn);
        let call = request.max_number_of_messages_per_second(signed(max_per_s)).send().await;
        call.map_err(|error| moving_already(call_error("StartMessageMoveTask", Text::Kept, &error)))?;
        Ok(())
    }
}

/// One task at a time moves messages out of a queue. SQS has no code of its own for a second one, only a text.
fn moving_already(error: CallError) -> CallError {
    let text = error.message.to_ascii_lowercase();
    if error.kind == CallErrorKind::Refused && text.contains("already a task running") {
        return CallError { kind: CallErrorKind::Conflict, ..error };
    }
    error
}

impl Cloud {
    async fn attributes(
        &self,
        queue_url: &str,
        names: &[QueueAttributeName],
    ) -> Result<GetQueueAttributesOutput, CallError> {
        let request = self.sqs.get_queue_attributes().queue_url(queue_url);
        let call = request.set_attribute_names(Some(names.to_vec())).send().await;
        call.map_err(|error| call_error("GetQueueAttributes", Text::Kept, &error))
    }
}

fn queue_counts(output: &GetQueueAttributesOutput) -> Result<QueueCounts, CallError> {
    let [visible, in_flight, delayed] = &COUNTS;
    Ok(QueueCounts {
        visible_count: number(output, visible)?,
        in_flight_count: number(output, in_flight)?,
        delayed_count: number(output, delayed)?,
    })
}

fn number<T: FromStr>(output: &GetQueueAttributesOutput, name: &QueueAttributeName) -> Result<T, CallError> {
    let value = output.attributes().and_then(|attributes| attributes.get(name));
    value.and_then(|number| number.parse().ok()).ok_or_else(|| incomplete("GetQueueAttributes"))
}

impl Ledger for ConsumerCloud {
    async fn record(&self, queue_url: &str, message_ids: &[String]) -> Result<BatchResult<()>, CallError> {
        let mut results = Vec::with_capacity(message_ids.len());
        for ids in message_ids.chunks(batch::MAX_BATCH_COUNT) {
            let entries: Vec<Outgoing> =
                ids.iter().map(|id| Outgoing { body: id.clone(), ..Outgoing::default() }).collect();
            match send(&self.sqs, queue_url, &entries).await {
                Ok(sent) => results.extend(sent.into_iter().map(|result| result.map(|_| ()))),
                Err(error) => results.extend(ids.iter().map(|_| Err(error.clone()))),
            }
        }
        Ok(results)
    }
}

async fn send(
    client: &Client,
    queue_url: &str,
    messages: &[Outgoing],
) -> Result<BatchResult<String>, CallError> {
    let mut request = client.send_message_batch().queue_url(queue_url);
    for (at, message) in messages.iter().enumerate() {
        request = request.entries(entry(at, message));
    }
    let output =
        request.send().await.map_err(|error| call_error("SendMessageBatch", Text::Dropped, &error))?;
    let succeeded =
        output.successful().iter().map(|entry| (entry.id(), entry.message_id().to_owned())).collect();
    Ok(in_order("SendMessageBatch", messages.len(), succeeded, output.failed()))
}

fn entry(at: usize, message: &Outgoing) -> SendMessageBatchRequestEntry {
    let mut entry = SendMessageBatchRequestEntry::builder()
        .id(at.to_string())
        .message_body(&message.body)
        .set_delay_seconds(message.delay_s.map(signed))
        .set_message_group_id(message.group_id.clone());
    for (name, attribute) in message.message_attributes.iter() {
        let value = MessageAttributeValue::builder()
            .data_type(&attribute.data_type)
            .set_string_value(attribute.string_value.clone())
            .set_binary_value(attribute.binary_value.clone().map(Blob::new))
            .build()
            .expect("the data type is set");
        entry = entry.message_attributes(name, value);
    }
    if let Some(header) = &message.trace_header {
        let value = MessageSystemAttributeValue::builder()
            .data_type("String")
            .string_value(header)
            .build()
            .expect("the data type is set");
        entry = entry.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, value);
    }
    entry.build().expect("id and body are set")
}

/// Puts the answers of a batch call in the order of its entries, whose ids are their positions.
fn in_order<T>(
    operation: &'static str,
    count: usize,
    succeeded: Vec<(&str, T)>,
    failed: &[BatchResultErrorEntry],
) -> BatchResult<T> {
    let mut results: Vec<Result<T, CallError>> = (0..count).map(|_| Err(incomplete(operation))).collect();
    let mut put = |id: &str, result: Result<T, CallError>| {
        if let Some(slot) = id.parse::<usize>().ok().and_then(|at| results.get_mut(at)) {
            *slot = result;
        }
    };
    for entry in failed {
        put(entry.id(), Err(entry_error(operation, entry.code(), entry.sender_fault())));
    }
    for (id, value) in succeeded {
        put(id, Ok(value));
    }
    results
}

fn message(message: SdkMessage) -> Result<Message, CallError> {
    let (Some(message_id), Some(receipt_handle)) = (message.message_id, message.receipt_handle) else {
        return Err(incomplete("ReceiveMessage"));
    };
    let attributes = message.attributes.unwrap_or_default();
    let message_attributes = message.message_attributes.unwrap_or_default();
    Ok(Message {
        message_id,
        receipt_handle,
        body: message.body.unwrap_or_default(),
        md5_of_body: message.md5_of_body.unwrap_or_default(),
        md5_of_message_attributes: message.md5_of_message_attributes,
        attributes: attributes.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect(),
        message_attributes: Arc::new(
            message_attributes.into_iter().map(|(name, value)| (name, attribute(value))).collect(),
        ),
    })
}

fn attribute(value: MessageAttributeValue) -> MessageAttribute {
    MessageAttribute {
        data_type: value.data_type,
        string_value: value.string_value,
        binary_value: value.binary_value.map(Blob::into_inner),
        string_list_values: value.string_list_values.unwrap_or_default(),
        binary_list_values: value
            .binary_list_values
            .unwrap_or_default()
            .into_iter()
            .map(Blob::into_inner)
            .collect(),
    }
}

/// The service's integers are signed; every value here is far below the limit.
fn signed(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_move_is_known_by_its_text_alone() {
        let refused = |message: &str| CallError {
            message: message.to_owned(),
            ..CallError::new("StartMessageMoveTask", "InvalidParameterValue", CallErrorKind::Refused)
        };
        let second = "There is already a task running. Only one active task is allowed for a source queue arn at a \
                      given time.";
        assert_eq!(moving_already(refused(second)).kind, CallErrorKind::Conflict);
        assert_eq!(
            moving_already(refused("The source queue is no dead-letter queue.")).kind,
            CallErrorKind::Refused
        );
    }
}

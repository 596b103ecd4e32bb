//! Event source mappings and functions.

use std::time::Duration;

use aws_sdk_lambda::operation::get_event_source_mapping::GetEventSourceMappingOutput;
use aws_sdk_lambda::operation::update_event_source_mapping::UpdateEventSourceMappingOutput;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{EventSourceMappingMetric, FunctionResponseType, InvocationType, ScalingConfig};

use super::Cloud;
use super::error::{Text, call_error};
use crate::ports::{
    CallError, ConcurrencyUpdate, EventSourceMappings, Functions, Invocation, MappingDescription,
    MappingState, MappingUpdate,
};

/// The two operations answer the same fields in two types.
macro_rules! description {
    ($uuid:expr, $output:ident) => {
        MappingDescription {
            uuid: $uuid.to_owned(),
            state: MappingState::from_name($output.state().unwrap_or_default()),
            state_transition_reason: $output.state_transition_reason().unwrap_or_default().to_owned(),
            maximum_concurrency: $output
                .scaling_config()
                .and_then(|scaling| scaling.maximum_concurrency())
                .and_then(|maximum| u32::try_from(maximum).ok()),
            provisioned: $output.provisioned_poller_config().is_some(),
            function_response_types: names($output.function_response_types()),
            counts_events: $output
                .metrics_config()
                .is_some_and(|config| config.metrics().contains(&EventSourceMappingMetric::EventCount)),
        }
    };
}

impl EventSourceMappings for Cloud {
    async fn get_mapping(&self, uuid: &str) -> Result<MappingDescription, CallError> {
        let call = self.control.get_event_source_mapping().uuid(uuid).send().await;
        let output: GetEventSourceMappingOutput =
            call.map_err(|error| call_error("GetEventSourceMapping", Text::Kept, &error))?;
        Ok(description!(uuid, output))
    }

    async fn update_mapping(
        &self,
        uuid: &str,
        update: MappingUpdate,
    ) -> Result<MappingDescription, CallError> {
        let scaling = match update.maximum_concurrency {
            ConcurrencyUpdate::Keep => None,
            // An empty object removes the setting; an absent one would leave it.
            ConcurrencyUpdate::Remove => Some(ScalingConfig::builder().build()),
            ConcurrencyUpdate::Set(maximum) => Some(
                ScalingConfig::builder()
                    .maximum_concurrency(i32::try_from(maximum).unwrap_or(i32::MAX))
                    .build(),
            ),
        };
        let call = self
            .control
            .update_event_source_mapping()
            .uuid(uuid)
            .set_enabled(update.enabled)
            .set_scaling_config(scaling)
            .send()
            .await;
        let output: UpdateEventSourceMappingOutput =
            call.map_err(|error| call_error("UpdateEventSourceMapping", Text::Kept, &error))?;
        Ok(description!(uuid, output))
    }
}

fn names(types: &[FunctionResponseType]) -> Vec<String> {
    types.iter().map(|kind| kind.as_str().to_owned()).collect()
}

impl Functions for Cloud {
    async fn invoke(
        &self,
        function_arn: &str,
        payload: Vec<u8>,
        deadline: Duration,
    ) -> Result<Invocation, CallError> {
        let call = self
            .invoke
            .invoke()
            .function_name(function_arn)
            .invocation_type(InvocationType::RequestResponse)
            .payload(Blob::new(payload))
            .send();
        let Ok(answer) = tokio::time::timeout(deadline, call).await else {
            return Ok(Invocation::DeadlineExceeded);
        };
        let output = answer.map_err(|error| call_error("Invoke", Text::Dropped, &error))?;
        Ok(Invocation::Answered {
            function_error: output.function_error,
            payload: output.payload.map(Blob::into_inner).unwrap_or_default(),
        })
    }
}

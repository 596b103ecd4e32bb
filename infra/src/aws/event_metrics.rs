//! The event metrics of a mapping: the one thing of the user's that a deployment switches, and that `destroy` puts back.

use std::time::Duration;

use aws_sdk_lambda::types::{EventSourceMappingMetric, EventSourceMappingMetricsConfig};

use super::error::Named;
use super::{Account, CloudError};

/// Output of the stack that lists the mappings whose event metrics `deploy` switched on, separated by commas.
pub(super) const OUTPUT: &str = "EventMetricsSwitchedOn";

/// Attempts to update a mapping on which another operation is in progress, and the pause between them: a transition
/// takes 30 to 90 s as usually seen.
const BUSY_ATTEMPT_COUNT: u32 = 36;
const BUSY_PAUSE: Duration = Duration::from_secs(5);

/// Whether the mapping publishes its event counts.
pub(super) async fn are_on(account: &Account, uuid: &str) -> Result<bool, CloudError> {
    Ok(read(account, uuid).await?.contains(&EventSourceMappingMetric::EventCount))
}

/// Switches the event counts on or off and leaves the mapping's other metrics as they are.
pub(super) async fn switch(account: &Account, uuid: &str, on: bool) -> Result<(), CloudError> {
    let mut metrics = read(account, uuid).await?;
    if metrics.contains(&EventSourceMappingMetric::EventCount) == on {
        return Ok(());
    }
    metrics.retain(|metric| *metric != EventSourceMappingMetric::EventCount);
    if on {
        metrics.push(EventSourceMappingMetric::EventCount);
    }
    let config = EventSourceMappingMetricsConfig::builder().set_metrics(Some(metrics)).build();
    for attempt in 1.. {
        let update = account.lambda.update_event_source_mapping().uuid(uuid).metrics_config(config.clone());
        match update.send().await.named("UpdateEventSourceMapping") {
            Err(CloudError::Refused { code, .. }) if is_busy(&code) && attempt < BUSY_ATTEMPT_COUNT => {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            answer => return answer.map(|_| ()),
        }
    }
    Ok(())
}

fn is_busy(code: &str) -> bool {
    matches!(code, "ResourceInUseException" | "ResourceConflictException")
}

async fn read(account: &Account, uuid: &str) -> Result<Vec<EventSourceMappingMetric>, CloudError> {
    let answer = account.lambda.get_event_source_mapping().uuid(uuid).send().await;
    let answer = answer.named("GetEventSourceMapping")?;
    Ok(answer.metrics_config().map(|config| config.metrics().to_vec()).unwrap_or_default())
}

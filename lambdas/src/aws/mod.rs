//! The ports on the AWS SDK, and what the binaries share.

mod dynamodb;
mod error;
mod lambda;
mod local;
mod logging;
mod reconciler;
mod sqs;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use lambda_runtime::Diagnostic;
use workflow::contract::{ENV_CIRCUIT_TABLE, ENV_CIRCUITS};

use crate::consumer::ConsumerError;
use crate::failure::HandlerError;
use crate::signal::Dependencies;

pub use logging::start as start_logging;
pub use reconciler::ReconcilerCloud;

/// How often a call is tried in all, with the SDK's own backoff and jitter. The handlers and the workflow retry on
/// top, so this covers hiccups only. An `Invoke` and a send of messages are never retried here.
const CALL_ATTEMPT_COUNT: u32 = 3;
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one attempt of a call may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(6);
/// How long one attempt of a receive may take: the longest long poll, 20 s, and as much as any other call.
const RECEIVE_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(26);

/// Everything that the breaker's functions need of AWS.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// Lambda's control plane.
    control: aws_sdk_lambda::Client,
    /// `Invoke`: no retries and no timeout but the caller's.
    invoke: aws_sdk_lambda::Client,
    sqs: aws_sdk_sqs::Client,
    /// `SendMessageBatch`: no retries, because a repeated send after a lost answer makes a second message.
    send: aws_sdk_sqs::Client,
    /// `ReceiveMessage`, which takes as long as its long poll.
    receive: aws_sdk_sqs::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    /// Name of the `CircuitStatus` table.
    table: String,
}

/// A binary was started without a variable that it needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {name} is not set; the template sets it to {meaning}")]
pub struct MissingVariable {
    name: &'static str,
    meaning: &'static str,
}

impl Cloud {
    /// Clients for the environment's Region, credentials and endpoint.
    ///
    /// # Errors
    /// [`MissingVariable`] when the table's name is not in the environment.
    pub async fn connect() -> Result<Cloud, MissingVariable> {
        let table = table_name()?;
        Ok(Cloud::new(&load().await, table))
    }

    fn new(config: &SdkConfig, table: String) -> Cloud {
        let invoke = aws_sdk_lambda::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(no_timeouts())
            // A synchronous invocation is silent for as long as the function runs.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        let receive = aws_sdk_sqs::config::Builder::from(config)
            .timeout_config(timeouts(RECEIVE_ATTEMPT_TIMEOUT))
            .build();
        let send = aws_sdk_sqs::config::Builder::from(config).retry_config(RetryConfig::disabled()).build();
        Cloud {
            control: aws_sdk_lambda::Client::new(config),
            invoke: aws_sdk_lambda::Client::from_conf(invoke),
            sqs: aws_sdk_sqs::Client::new(config),
            send: aws_sdk_sqs::Client::from_conf(send),
            receive: aws_sdk_sqs::Client::from_conf(receive),
            dynamodb: aws_sdk_dynamodb::Client::new(config),
            table,
        }
    }
}

/// Name of the `CircuitStatus` table, as the environment has it.
fn table_name() -> Result<String, MissingVariable> {
    let missing = MissingVariable { name: ENV_CIRCUIT_TABLE, meaning: "the name of the CircuitStatus table" };
    std::env::var(ENV_CIRCUIT_TABLE).map_err(|_| missing)
}

/// The stack's circuits, as the environment names them.
///
/// # Errors
/// [`MissingVariable`] when it does not, or not as the template does.
pub fn dependencies() -> Result<Dependencies, MissingVariable> {
    let missing =
        MissingVariable { name: ENV_CIRCUITS, meaning: "the circuits and their dependencies, as JSON" };
    let text = std::env::var(ENV_CIRCUITS).map_err(|_| missing.clone())?;
    serde_json::from_str(&text).map_err(|_| missing)
}

/// What the example consumer needs of AWS: its ledger queue.
#[derive(Clone, Debug)]
pub struct ConsumerCloud {
    sqs: aws_sdk_sqs::Client,
}

impl ConsumerCloud {
    /// A client for the environment's Region, credentials and endpoint.
    pub async fn connect() -> ConsumerCloud {
        ConsumerCloud { sqs: aws_sdk_sqs::Client::new(&load().await) }
    }
}

async fn load() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::standard().with_max_attempts(CALL_ATTEMPT_COUNT))
        .timeout_config(timeouts(ATTEMPT_TIMEOUT))
        .load()
        .await
}

fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(attempt).build()
}

/// For calls that take as long as their caller waits. Each timeout is switched off by name: one that is only left out
/// would be taken from the shared configuration.
fn no_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .disable_read_timeout()
        .disable_operation_timeout()
        .disable_operation_attempt_timeout()
        .build()
}

impl From<HandlerError> for Diagnostic {
    fn from(error: HandlerError) -> Diagnostic {
        Diagnostic { error_type: error.error_type().to_owned(), error_message: error.error_message() }
    }
}

impl From<ConsumerError> for Diagnostic {
    fn from(error: ConsumerError) -> Diagnostic {
        Diagnostic { error_type: error.error_type().to_owned(), error_message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use aws_config::Region;

    use super::*;

    #[test]
    fn an_invoke_waits_for_its_caller_and_neither_it_nor_a_send_is_repeated() {
        let shared = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static("eu-central-1"))
            .retry_config(RetryConfig::standard().with_max_attempts(CALL_ATTEMPT_COUNT))
            .timeout_config(timeouts(ATTEMPT_TIMEOUT))
            .build();
        let cloud = Cloud::new(&shared, "CircuitStatus".to_owned());
        let invoke = cloud.invoke.config();
        let limits = invoke.timeout_config().expect("timeouts are configured");
        let set = [limits.read_timeout(), limits.operation_timeout(), limits.operation_attempt_timeout()];
        assert_eq!(set, [None; 3]);
        assert_eq!(invoke.retry_config().map(RetryConfig::max_attempts), Some(1));
        assert_eq!(cloud.send.config().retry_config().map(RetryConfig::max_attempts), Some(1));
        assert_eq!(
            cloud.sqs.config().retry_config().map(RetryConfig::max_attempts),
            Some(CALL_ATTEMPT_COUNT)
        );
        let receive = cloud.receive.config().timeout_config().expect("timeouts are configured");
        assert_eq!(receive.operation_attempt_timeout(), Some(RECEIVE_ATTEMPT_TIMEOUT));
    }
}

//! An account: reading a consumer in it, deploying a stack into it, comparing, and taking the stack away again.
//!
//! Everything here goes over the AWS SDK and stands behind the feature `aws`.

mod assets;
mod change_set;
mod circuits;
mod consumer;
mod deploy;
mod destroy;
mod error;
mod event_metrics;
mod findings;
mod history;
mod plan;
mod recovery;
mod stack;
mod traffic;
mod watch;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};

pub use self::assets::Bucket;
pub use self::circuits::{Circuit, circuits, facts, now_ms, signal, start};
pub use self::consumer::{AlarmSeen, FoundConsumer, Momentary, Search, find_consumer, reread};
pub use self::deploy::{Deployed, Interrupt, Request, Step, deploy};
pub use self::destroy::{
    Destroyed, Leaving, OpenCircuit, clear_stray_packages, destroy, leaving, open_circuits_of, stray_packages,
};
pub use self::error::CloudError;
use self::error::Named;
pub use self::findings::findings;
pub use self::history::{Past, past};
pub use self::plan::{Plan, Wanted, plan};
pub use self::recovery::signal_recovered;
pub use self::stack::{ResourceEvent, StackOutput, StackState, describe as describe_stack};
pub use self::traffic::{METRIC as SENT_METRIC, Stretch, messages_sent};

/// Attempts of one call, the first included. Throttles are answered within seconds, so that many cost little.
const CALL_ATTEMPT_COUNT: u32 = 8;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one attempt of a call may take; uploads of packages are the longest.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);

/// Which account is meant, as the options of the same names of the AWS CLI say it.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// Profile of the shared configuration files.
    pub profile: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Endpoint for all services, for tests against an emulator.
    pub endpoint_url: Option<String>,
    /// Attempts of one call, the first included; 8 where it is absent. Whoever calls again and again needs fewer.
    pub attempt_count: Option<u32>,
}

/// An account in a Region, with a client for each service.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its id, twelve digits.
    pub id: String,
    /// The Region.
    pub region: String,
    /// The partition: `aws`, `aws-cn`, ...
    pub partition: String,
    /// ARN of the caller.
    pub caller: String,
    endpoint_url: Option<String>,
    cloudformation: aws_sdk_cloudformation::Client,
    cloudwatch: aws_sdk_cloudwatch::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    events: aws_sdk_eventbridge::Client,
    lambda: aws_sdk_lambda::Client,
    s3: aws_sdk_s3::Client,
    sqs: aws_sdk_sqs::Client,
    states: aws_sdk_sfn::Client,
}

impl Account {
    /// Finds out Region and credentials as the AWS CLI does, and who the caller is.
    ///
    /// # Errors
    /// No Region, no credentials, credentials that are refused, an endpoint that does not answer.
    pub async fn connect(target: &Target) -> Result<Account, CloudError> {
        let config = load(target).await;
        let region = config.region().map(ToString::to_string).ok_or(CloudError::NoRegion)?;
        let identity = aws_sdk_sts::Client::new(&config)
            .get_caller_identity()
            .send()
            .await
            .named("GetCallerIdentity")?;
        let caller = identity.arn().unwrap_or_default().to_owned();
        let s3 = aws_sdk_s3::config::Builder::from(&config)
            // An emulator has one host for all buckets, wherever its address was found.
            .force_path_style(config.endpoint_url().is_some())
            .build();
        Ok(Account {
            id: identity.account().unwrap_or_default().to_owned(),
            partition: caller.split(':').nth(1).unwrap_or("aws").to_owned(),
            region,
            caller,
            endpoint_url: config.endpoint_url().map(str::to_owned),
            cloudformation: aws_sdk_cloudformation::Client::new(&config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            events: aws_sdk_eventbridge::Client::new(&config),
            lambda: aws_sdk_lambda::Client::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            sqs: aws_sdk_sqs::Client::new(&config),
            states: aws_sdk_sfn::Client::new(&config),
        })
    }
}

async fn load(target: &Target) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    let attempt_count = target.attempt_count.unwrap_or(CALL_ATTEMPT_COUNT);
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::standard().with_max_attempts(attempt_count))
        .timeout_config(timeouts);
    if let Some(profile) = &target.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &target.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = &target.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    loader.load().await
}

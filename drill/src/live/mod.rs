//! Drills on a deployed example stack, over the AWS SDK: the scenarios of the model, run against an AWS account or
//! against an endpoint that stands in for one.
//!
//! A drill sends messages at the scenario's rate, makes the dependency fail by the consumer's variable `SHOULD_ERROR`,
//! watches the circuit's item, the mapping, the queues and the executions' history, and balances the books by the
//! ledger queue, in which the example consumer records the id of each message that it has processed. Whatever happens,
//! the variable gets the value back that it had.
//!
//! What cannot be seen from outside: deliveries that failed (only failed probes are counted as wasted invocations), and
//! what happened between two looks, which are a second apart.

mod books;
mod clock;
mod error;
mod evidence;
mod eyes;
mod history;
mod producer;
mod run;
mod supported;
mod target;
mod toggle;

use std::time::Duration;

use aws_config::SdkConfig;

pub use self::error::LiveError;
pub use self::run::Live;
pub use self::toggle::Toggle;

/// Shortest outage that a scenario is shortened to: below that the breaker has no time to open.
pub const SHORTEST_OUTAGE: Duration = Duration::from_secs(20);

/// The outage of `--short`.
pub const SHORT_OUTAGE: Duration = Duration::from_secs(60);

/// How to run a scenario on a deployed stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveOptions {
    /// Name or id of the stack.
    pub stack: String,
    /// Name of the circuit in it.
    pub circuit: String,
    /// What opens the circuit.
    pub trip: Trip,
    /// How long the dependency is down, [`SHORTEST_OUTAGE`] or more: all times of the scenario are shortened or
    /// stretched with it. Without it, as long as the scenario says.
    pub outage: Option<Duration>,
}

/// What opens the circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trip {
    /// The stack's alarm, once it sees the failures.
    Alarm,
    /// A `Trip Requested` event that the drill puts on the bus: for endpoints whose alarms send no events.
    Event,
}

/// The clients of the services.
#[derive(Clone, Debug)]
struct Clients {
    cloudformation: aws_sdk_cloudformation::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    eventbridge: aws_sdk_eventbridge::Client,
    lambda: aws_sdk_lambda::Client,
    sfn: aws_sdk_sfn::Client,
    sqs: aws_sdk_sqs::Client,
}

impl Clients {
    fn new(config: &SdkConfig) -> Clients {
        Clients {
            cloudformation: aws_sdk_cloudformation::Client::new(config),
            dynamodb: aws_sdk_dynamodb::Client::new(config),
            eventbridge: aws_sdk_eventbridge::Client::new(config),
            lambda: aws_sdk_lambda::Client::new(config),
            sfn: aws_sdk_sfn::Client::new(config),
            sqs: aws_sdk_sqs::Client::new(config),
        }
    }
}

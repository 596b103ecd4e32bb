//! The deployed `rejitter` function.
// The futures of the SDK are nested deeper than the compiler looks by default.
#![recursion_limit = "256"]

use std::time::Duration;

use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use lambdas::aws::{Cloud, start_logging};
use lambdas::failure::decode;
use lambdas::ports::Clock;
use lambdas::rejitter;
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logging();
    let cloud = &Cloud::connect().await?;
    run(service_fn(move |event: LambdaEvent<Value>| async move {
        let remaining = Duration::from_millis(event.context.deadline.saturating_sub(cloud.now_ms()));
        rejitter::handle(&decode(event.payload)?, remaining, cloud).await.map_err(Diagnostic::from)
    }))
    .await
}

//! The deployed `signal` function.
// The futures of the SDK are nested deeper than the compiler looks by default.
#![recursion_limit = "256"]

use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use lambdas::aws::{ReconcilerCloud, dependencies, start_logging};
use lambdas::failure::decode;
use lambdas::signal;
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logging();
    let dependencies = &dependencies()?;
    let cloud = &ReconcilerCloud::connect().await?;
    run(service_fn(move |event: LambdaEvent<Value>| async move {
        signal::handle(&decode(event.payload)?, dependencies, cloud).await.map_err(Diagnostic::from)
    }))
    .await
}

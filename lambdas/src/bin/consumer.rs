//! The deployed example consumer.
// The futures of the SDK are nested deeper than the compiler looks by default.
#![recursion_limit = "256"]

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use lambdas::aws::{ConsumerCloud, start_logging};
use lambdas::consumer::{self, ConsumerSettings};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logging();
    let cloud = &ConsumerCloud::connect().await;
    run(service_fn(move |event: LambdaEvent<Value>| async move {
        let settings = ConsumerSettings::from_variables(|name| std::env::var(name).ok());
        consumer::handle(event.payload, &settings, cloud).await
    }))
    .await
}

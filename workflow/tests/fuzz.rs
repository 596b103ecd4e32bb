//! `breaker.toml`, damaged: it is refused with something to read, or it gives a sound state machine.
#![allow(
    clippy::unwrap_used,
    reason = "these are tests; clippy spares the functions marked so, not their helpers"
)]

use fuzz::damaged;
use proptest::prelude::*;
use serde_json::Value;
use workflow::config::BreakerConfig;
use workflow::definition::definition;

/// What Step Functions takes at most, bytes: <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>.
const MAX_DEFINITION_BYTES: usize = 1024 * 1024;

const FILES: &[&str] = &[
    include_str!("../../tests/configs/encrypted.toml"),
    include_str!("../../tests/configs/existing_consumer.toml"),
    include_str!("../../tests/configs/fifo.toml"),
    include_str!("../../tests/configs/signal_existing_alarm.toml"),
    include_str!("../../tests/configs/signal_failed_count.toml"),
    include_str!("../../tests/configs/signal_function_errors.toml"),
    include_str!("../../tests/configs/two_circuits.toml"),
    "[circuit.orders]\nexample = {}\nbackoff = { initial_s = 1, factor = 1.5, max_s = 3600 }\n\
     rejitter = { strategy = \"requeue\" }\n",
];

proptest! {
    #![proptest_config(fuzz::config())]

    #[test]
    fn a_damaged_file_is_refused_or_gives_a_sound_machine(text in damaged(FILES)) {
        match BreakerConfig::from_toml(&text) {
            Err(findings) => {
                prop_assert!(findings.refusing().next().is_some(), "refused without a reason");
                prop_assert!(findings.refusing().all(|finding| !finding.to_string().is_empty()));
            }
            Ok(config) => {
                prop_assert!(config.validate().is_usable(), "accepted what `validate` refuses");
                for (name, circuit) in &config.circuits {
                    let definition = definition(name, circuit);
                    prop_assert!(definition.len() <= MAX_DEFINITION_BYTES, "{} bytes", definition.len());
                    prop_assert!(serde_json::from_str::<Value>(&definition).is_ok());
                }
            }
        }
    }
}

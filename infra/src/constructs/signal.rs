//! Recovery signals: one function for all circuits of a stack, and one rule, because a signal may mean several of them.

use std::collections::BTreeMap;

use serde_json::json;
use workflow::config::BreakerConfig;
use workflow::contract::{ENV_CIRCUIT_TABLE, ENV_CIRCUITS, FunctionKind};
use workflow::definition::SIGNAL_TIMEOUT_S;
use workflow::events::{DOWNSTREAM_RECOVERED, REQUEST_SOURCE};

use super::function::{FunctionSettings, function};
use super::invocation::Invocation;
use super::shared::{Shared, wake_owners};
use crate::assets::Assets;
use crate::error::SynthError;
use crate::policy::Statement;
use crate::resources::events::RetryPolicy;
use crate::template::{Scope, Template};
use crate::text::Text;

/// For how long EventBridge tries to invoke it, seconds: later, the next probe by the clock is as good.
const MAX_AGE_S: u32 = 300;
/// Most attempts of EventBridge.
const MAX_ATTEMPTS: u32 = 20;

/// Adds the function and its rule.
///
/// # Errors
/// [`SynthError::PolicyTooLong`], which its short policy never is.
pub fn signal(
    template: &mut Template,
    assets: &Assets,
    config: &BreakerConfig,
    shared: &Shared,
) -> Result<(), SynthError> {
    let dependencies: BTreeMap<&String, &Option<String>> =
        config.circuits.iter().map(|(name, circuit)| (name, &circuit.dependency)).collect();
    let settings = FunctionSettings {
        kind: FunctionKind::Signal,
        description: "Hears that a dependency has recovered, and wakes the circuits that wait for it",
        timeout_s: SIGNAL_TIMEOUT_S,
        variables: BTreeMap::from([
            (ENV_CIRCUIT_TABLE, shared.table.reference()),
            (ENV_CIRCUITS, Text::literal(json!(dependencies).to_string())),
        ]),
        statements: vec![
            Statement::allow("ReadCircuits", &["dynamodb:GetItem"], vec![shared.table.arn()]),
            wake_owners(),
        ],
        retention_days: shared.retention_days,
    };
    let scope = Scope::root();
    let handle = function(template, &scope, assets, settings)?;
    // A signal that is lost costs what is left of the wait.
    let invocation = Invocation {
        id: "Signal",
        description: "Probes at once when a dependency says that it has recovered".to_owned(),
        schedule_expression: None,
        event_pattern: json!({ "source": [REQUEST_SOURCE], "detail-type": [DOWNSTREAM_RECOVERED] }),
        input: None,
        retry_policy: RetryPolicy {
            maximum_event_age_in_seconds: MAX_AGE_S,
            maximum_retry_attempts: MAX_ATTEMPTS,
        },
    };
    invocation.add_to(template, &scope, "Signal", &handle);
    Ok(())
}

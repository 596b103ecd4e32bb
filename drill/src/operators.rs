//! What operators do to a circuit in a drill: by its item and its task token, as they would on AWS.

use std::time::Duration;

use serde_json::json;
use workflow::circuit::{Phase, item};
use workflow::contract::WaitCommand;

use crate::cloud::Cloud;
use crate::report::Topic;
use crate::run::CIRCUIT;

/// How often somebody looks whether the moment has come.
const LOOK: Duration = Duration::from_secs(1);

/// Stops the execution that owns the circuit as soon as the item says `phase`.
pub fn abort_owner(cloud: &Cloud, phase: Phase) {
    let attribute = |name| cloud.circuit_attribute(CIRCUIT, name);
    if attribute(item::PHASE).as_deref() == Some(phase.name())
        && let Some(owner) = attribute(item::OWNER)
    {
        cloud.note(
            Topic::Drill,
            format!("somebody stops the execution that owns the circuit ({})", phase.name()),
        );
        cloud.stop_execution(&owner);
        return;
    }
    later(cloud, move |cloud| abort_owner(cloud, phase));
}

/// Gives a command to the execution that owns the circuit, as soon as it waits for one.
pub fn command(cloud: &Cloud, command: WaitCommand) {
    let token = cloud.circuit_attribute(CIRCUIT, item::TASK_TOKEN);
    if let Some(token) = token
        && cloud.send_task_success(&token, json!(command)).is_ok()
    {
        cloud.note(Topic::Drill, format!("an operator says: {}", command.name()));
        return;
    }
    later(cloud, move |cloud| self::command(cloud, command));
}

fn later(cloud: &Cloud, what: impl FnOnce(&Cloud) + 'static) {
    let again = cloud.clone();
    cloud.sim.at(cloud.now() + LOOK, move |_| what(&again));
}

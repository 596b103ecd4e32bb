//! What operators do to a circuit in a drill: by its item and its task token, as they would on AWS.

use std::time::Duration;

use serde_json::json;
use workflow::circuit::{Phase, item};
use workflow::contract::WaitCommand;

use crate::checkers::{Actor, Observation};
use crate::cloud::Cloud;
use crate::cloud::mappings::Update;
use crate::report::Topic;
use crate::run::CIRCUIT;

/// How often somebody looks whether the moment has come.
const LOOK: Duration = Duration::from_secs(1);

/// Stops the execution that owns the circuit as soon as the item says `phase`.
pub fn abort_owner(cloud: &Cloud, phase: Phase) {
    if is_in(cloud, phase)
        && let Some(owner) = cloud.circuit_attribute(CIRCUIT, item::OWNER)
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

/// Stops the execution that owns the circuit as soon as it disables the mapping again after a limited close. What the item
/// says by then is the workflow's own affair: this looks at the mapping.
pub fn abort_reopening(cloud: &Cloud, uuid: &str) {
    let uuid = uuid.to_owned();
    if is_in(cloud, Phase::Limited) {
        stop_when_disabling(cloud, uuid);
    } else {
        later(cloud, move |cloud| abort_reopening(cloud, &uuid));
    }
}

fn stop_when_disabling(cloud: &Cloud, uuid: String) {
    let is_disabling = cloud.describe_mapping(&uuid, |mapping| mapping.state == "Disabling");
    if is_disabling.unwrap_or_default()
        && let Some(owner) = cloud.circuit_attribute(CIRCUIT, item::OWNER)
    {
        cloud.note(Topic::Drill, "somebody stops the execution that owns the circuit (reopening)");
        cloud.stop_execution(&owner);
        return;
    }
    later(cloud, move |cloud| stop_when_disabling(cloud, uuid));
}

fn is_in(cloud: &Cloud, phase: Phase) -> bool {
    cloud.circuit_attribute(CIRCUIT, item::PHASE).as_deref() == Some(phase.name())
}

/// Disables the mapping as soon as the item says `phase` and the change is accepted: Lambda refuses one while another is in
/// progress, and an operator tries again.
pub fn disable_mapping_in(cloud: &Cloud, phase: Phase, uuid: &str) {
    if is_in(cloud, phase) {
        let update = Update { enabled: Some(false), maximum_concurrency: None };
        if cloud.update_mapping(uuid, update, Actor::Outsider).is_ok() {
            cloud.observe(&Observation::OutsiderActed);
            cloud.note(Topic::Drill, format!("an operator disables the mapping ({})", phase.name()));
            return;
        }
    }
    let uuid = uuid.to_owned();
    later(cloud, move |cloud| disable_mapping_in(cloud, phase, &uuid));
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

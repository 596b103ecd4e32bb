//! What a deployment would change: the deployed template against the new one, both with their parameters filled in.
//!
//! ```
//! use infra::diff::{Impact, Side, diff};
//! use serde_json::json;
//!
//! let before = json!({"Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "a"}}}});
//! let after = json!({"Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "b"}}}});
//! let found = diff(Some(Side::new(&before, &[])), Side::new(&after, &[]));
//! assert_eq!(found.changes[0].impact, Impact::Replace);
//! ```

mod impact;
mod permissions;
mod properties;
mod resolve;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

pub use self::impact::Impact;
pub use self::permissions::{Direction, Permission};
pub use self::properties::PropertyChange;
pub use self::resolve::Side;
use self::resolve::references;

/// Everything that differs between two templates.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Diff {
    /// Permissions that are given or taken away.
    pub permissions: Vec<Permission>,
    /// Resources, those that carry permissions first, then the worst impact first.
    pub changes: Vec<Change>,
    /// Outputs whose value or presence differs.
    pub outputs: Vec<PropertyChange>,
}

/// What happens to one resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Its logical id.
    pub logical_id: String,
    /// Its type, `AWS::Service::Resource`.
    pub resource_type: String,
    /// The worst that happens to it.
    pub impact: Impact,
    /// What differs in it; empty for one that comes or goes.
    pub properties: Vec<PropertyChange>,
}

impl Diff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.outputs.is_empty()
    }

    /// Whether anybody may do more afterwards than before.
    pub fn broadens(&self) -> bool {
        self.permissions.iter().any(|permission| permission.direction == Direction::Given)
    }

    /// Whether a resource goes, or makes room for another.
    pub fn takes_away(&self) -> bool {
        self.changes.iter().any(|change| match change.impact {
            Impact::Destroy | Impact::Replace | Impact::MayReplace | Impact::Retain => true,
            Impact::Update | Impact::Create => false,
        })
    }

    /// How many resources have each impact, the worst first.
    pub fn counts(&self) -> BTreeMap<Impact, usize> {
        let mut counts = BTreeMap::new();
        for change in &self.changes {
            *counts.entry(change.impact).or_default() += 1;
        }
        counts
    }
}

/// Compares the deployed template, if there is one, with the new one.
pub fn diff(before: Option<Side<'_>>, after: Side<'_>) -> Diff {
    let old = before.map(|side| side.resolved()).unwrap_or_default();
    let new = after.resolved();
    let (old_resources, new_resources) = (section(&old, "Resources"), section(&new, "Resources"));
    let mut changes = compare(&old_resources, &new_resources);
    follow_replacements(&mut changes, &new_resources);
    let mut changes: Vec<Change> = changes.into_values().collect();
    changes.sort_by_key(|change| {
        (!permissions::carries(&change.resource_type), change.impact, change.logical_id.clone())
    });
    Diff {
        permissions: permissions::compare(&old_resources, &new_resources),
        changes,
        outputs: properties::compare_objects(&outputs(&old), &outputs(&new)),
    }
}

fn section(template: &Value, name: &str) -> Map<String, Value> {
    template.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Values of the outputs by name: descriptions are no change.
fn outputs(template: &Value) -> Map<String, Value> {
    let value = |(name, output): (String, Value)| (name, output.get("Value").cloned().unwrap_or_default());
    section(template, "Outputs").into_iter().map(value).collect()
}

fn compare(old: &Map<String, Value>, new: &Map<String, Value>) -> BTreeMap<String, Change> {
    let ids: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    ids.into_iter()
        .filter_map(|id| {
            let (before, after) = (old.get(id), new.get(id));
            let resource_type = type_of(after.or(before)?);
            let (impact, properties) = match (before, after) {
                (None, _) => (Impact::Create, Vec::new()),
                (Some(before), None) => (impact::of_removal(before), Vec::new()),
                (Some(before), Some(_)) if type_of(before) != resource_type => {
                    (impact::of_removal(before).max_with(Impact::Replace), Vec::new())
                }
                (Some(before), Some(after)) => {
                    let differing = properties::compare_resources(before, after);
                    let impact = differing
                        .iter()
                        .map(|change| impact::of_property(&resource_type, &change.path))
                        .min()?;
                    (impact, differing)
                }
            };
            Some((id.clone(), Change { logical_id: id.clone(), resource_type, impact, properties }))
        })
        .collect()
}

fn type_of(resource: &Value) -> String {
    resource["Type"].as_str().unwrap_or_default().to_owned()
}

/// What refers to a replaced resource gets another value there, and may be replaced for it in turn.
fn follow_replacements(changes: &mut BTreeMap<String, Change>, resources: &Map<String, Value>) {
    let mut fresh: Vec<String> = replaced(changes).collect();
    while let Some(source) = fresh.pop() {
        for (id, resource) in resources {
            let paths = references(&resource["Properties"], &source);
            let is_new = changes.get(id).is_some_and(|change| change.impact == Impact::Create);
            if paths.is_empty() || is_new {
                continue;
            }
            let resource_type = type_of(resource);
            let change = changes.entry(id.clone()).or_insert_with(|| Change {
                logical_id: id.clone(),
                resource_type: resource_type.clone(),
                impact: Impact::Update,
                properties: Vec::new(),
            });
            let was_replaced = change.impact == Impact::Replace;
            for path in paths {
                change.impact = change.impact.max_with(impact::of_property(&resource_type, &path));
                if !change.properties.iter().any(|known| known.path == path) {
                    change.properties.push(PropertyChange::follows(path, &source));
                }
            }
            if change.impact == Impact::Replace && !was_replaced {
                fresh.push(id.clone());
            }
        }
    }
}

fn replaced(changes: &BTreeMap<String, Change>) -> impl Iterator<Item = String> + use<> {
    let ids: Vec<String> = changes
        .values()
        .filter(|change| change.impact == Impact::Replace)
        .map(|change| change.logical_id.clone())
        .collect();
    ids.into_iter()
}

#[cfg(test)]
mod tests;

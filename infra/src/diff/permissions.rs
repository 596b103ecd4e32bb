//! Who may do what: the statements of every policy in a template, one line each.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

/// One thing that somebody may do, given or taken away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Permission {
    /// Given or taken.
    pub direction: Direction,
    /// Logical id of the resource whose policy says so.
    pub logical_id: String,
    /// Who may: a principal of a resource's policy or of a trust policy, or the role itself.
    pub who: String,
    /// `service:Action`.
    pub action: String,
    /// On what, with the template's references as `${...}`.
    pub resource: String,
    /// Under which condition, as JSON; empty without one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub condition: String,
}

/// Whether somebody may do more or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More.
    Given,
    /// Less.
    Taken,
}

/// Types with policies in them.
const CARRIERS: [&str; 5] = [
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::KMS::Key",
    "AWS::Lambda::Permission",
    "AWS::SQS::QueuePolicy",
];

/// Whether resources of this type say who may do what.
pub(super) fn carries(resource_type: &str) -> bool {
    CARRIERS.contains(&resource_type)
}

/// What the new resources allow and the old did not, then the other way round.
pub(super) fn compare(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<Permission> {
    let (old, new) = (grants(old), grants(new));
    let with = |direction, grant: &Grant| grant.clone().directed(direction);
    let given = new.difference(&old).map(|grant| match grant.allows {
        true => with(Direction::Given, grant),
        false => with(Direction::Taken, grant),
    });
    let taken = old.difference(&new).map(|grant| match grant.allows {
        true => with(Direction::Taken, grant),
        false => with(Direction::Given, grant),
    });
    let mut permissions: Vec<Permission> = given.chain(taken).collect();
    permissions.sort();
    permissions
}

/// One action of one statement on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    logical_id: String,
    allows: bool,
    who: String,
    action: String,
    resource: String,
    condition: String,
}

impl Grant {
    fn directed(self, direction: Direction) -> Permission {
        Permission {
            direction,
            logical_id: self.logical_id,
            who: self.who,
            action: self.action,
            resource: self.resource,
            condition: self.condition,
        }
    }
}

fn grants(resources: &Map<String, Value>) -> BTreeSet<Grant> {
    let mut grants = BTreeSet::new();
    for (logical_id, resource) in resources {
        let mut documents = Vec::new();
        find_documents(&resource["Properties"], &mut documents);
        for statement in documents.into_iter().flat_map(|document| each(&document["Statement"])) {
            add_statement(logical_id, resource, statement, &mut grants);
        }
        for managed in each(&resource["Properties"]["ManagedPolicyArns"]) {
            grants.insert(Grant {
                logical_id: logical_id.clone(),
                allows: true,
                who: logical_id.clone(),
                action: format!("all that {} allows", shown(managed)),
                resource: String::new(),
                condition: String::new(),
            });
        }
    }
    grants
}

/// Policy documents are the objects that hold statements, wherever they lie.
fn find_documents<'a>(value: &'a Value, documents: &mut Vec<&'a Value>) {
    match value {
        Value::Object(object) if object.contains_key("Statement") => documents.push(value),
        Value::Object(object) => object.values().for_each(|value| find_documents(value, documents)),
        Value::Array(items) => items.iter().for_each(|value| find_documents(value, documents)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn add_statement(logical_id: &str, resource: &Value, statement: &Value, grants: &mut BTreeSet<Grant>) {
    let roles: Vec<String> = each(&resource["Properties"]["Roles"]).map(shown).collect();
    let own = if roles.is_empty() { logical_id.to_owned() } else { roles.join(", ") };
    let whos = match &statement["Principal"] {
        Value::Null => vec![own],
        Value::Object(kinds) => kinds.values().flat_map(each).map(shown).collect(),
        principal => vec![shown(principal)],
    };
    // A trust policy is about the role that carries it.
    let targets: Vec<String> = match &statement["Resource"] {
        Value::Null => vec![format!("${{{logical_id}}}")],
        resource => each(resource).map(shown).collect(),
    };
    let condition = statement.get("Condition").map(shown).unwrap_or_default();
    for who in &whos {
        for action in each(&statement["Action"]).map(shown) {
            for target in &targets {
                grants.insert(Grant {
                    logical_id: logical_id.to_owned(),
                    allows: statement["Effect"] != "Deny",
                    who: who.clone(),
                    action: action.clone(),
                    resource: target.clone(),
                    condition: condition.clone(),
                });
            }
        }
    }
}

/// The items of a list, or the one value that stands for a list.
fn each(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Null => Box::new(std::iter::empty()),
        Value::Array(items) => Box::new(items.iter()),
        one => Box::new(std::iter::once(one)),
    }
}

/// A text as CloudFormation would show it, its references as `${...}`.
fn shown(value: &Value) -> String {
    if let Value::String(text) = value {
        return text.clone();
    }
    let function =
        value.as_object().filter(|object| object.len() == 1).and_then(|object| object.iter().next());
    match function {
        Some((name, Value::String(target))) if name == "Ref" => format!("${{{target}}}"),
        Some((name, Value::String(text))) if name == "Fn::Sub" => text.clone(),
        Some((name, Value::Array(parts))) if name == "Fn::GetAtt" => {
            let parts: Vec<&str> = parts.iter().filter_map(Value::as_str).collect();
            format!("${{{}}}", parts.join("."))
        }
        _ => value.to_string(),
    }
}

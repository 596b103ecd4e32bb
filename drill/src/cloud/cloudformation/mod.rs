//! CloudFormation: a template and its parameters become resources with physical ids, resolved
//! properties and an order, as a deployment would make them.
//!
//! Everything wrong is reported at once, each finding with its logical id and property path. Resource
//! types, intrinsic functions and template sections that are not modelled are refused by name. Names are
//! generated from a hash, so that the same stack gets the same names each time.

mod definition;
mod kinds;
mod order;
mod parameters;
pub mod problem;
mod resolve;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

pub use self::kinds::Kind;

use self::order::Ordered;
use self::resolve::{Known, Resolver};

/// Where a stack is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The account, 12 digits.
    pub account: String,
    /// The Region.
    pub region: String,
    /// The stack's name.
    pub stack_name: String,
    /// The partition: `aws` for all but a few Regions.
    pub partition: String,
}

/// One thing wrong with a template or its parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct LoadError {
    /// The logical id of the resource, parameter, condition or output; empty for the template itself.
    pub logical_id: String,
    /// The full path, such as `Resources.Queue.Properties.RedrivePolicy`.
    pub path: String,
    /// What is wrong and what is allowed.
    pub problem: String,
}

/// One resource of a loaded stack.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Its name in the template.
    pub logical_id: String,
    /// Its type.
    pub kind: Kind,
    /// Its name for people: the queue's or the function's name, not its URL or ARN.
    pub name: String,
    /// What `Ref` gives.
    pub physical_id: String,
    /// The ARN, where the type has one.
    pub arn: Option<String>,
    /// What `Fn::GetAtt` gives, by attribute.
    pub attributes: BTreeMap<String, String>,
    /// The properties with every function resolved.
    pub properties: Value,
    /// The template's `Metadata`, as it is written.
    pub metadata: Value,
    /// The logical ids it needs first, explicit and implied.
    pub depends_on: BTreeSet<String>,
}

/// A loaded stack.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    /// Where it is deployed.
    pub environment: Environment,
    /// The resources whose conditions hold, each after those it depends on; in the template's order
    /// where that leaves a choice.
    pub resources: Vec<Resource>,
    /// The resolved values of the outputs.
    pub outputs: BTreeMap<String, String>,
}

const SECTIONS: [&str; 8] = [
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Mappings",
    "Conditions",
    "Resources",
    "Outputs",
];

const RESOURCE_MEMBERS: [&str; 7] =
    ["Type", "Properties", "DependsOn", "Condition", "Metadata", "DeletionPolicy", "UpdateReplacePolicy"];

impl Stack {
    /// This stack and another one in the same account and Region; this one's resources come first.
    ///
    /// # Errors
    /// A resource of the other one whose name, id or ARN this one has: CloudFormation refuses it as existing already.
    pub fn beside(mut self, other: Stack) -> Result<Stack, Vec<LoadError>> {
        let taken = |new: &Resource| {
            let same = |old: &&Resource| {
                old.kind == new.kind
                    && (old.physical_id == new.physical_id || (old.arn.is_some() && old.arn == new.arn))
            };
            self.resources.iter().find(same).map(|_| LoadError {
                logical_id: new.logical_id.clone(),
                path: format!("Resources.{}", new.logical_id),
                problem: format!("{} exists already in this account and Region", new.physical_id),
            })
        };
        let problems: Vec<LoadError> = other.resources.iter().filter_map(taken).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        self.resources.extend(other.resources);
        Ok(self)
    }

    /// Loads a template.
    ///
    /// # Errors
    /// Everything that is wrong with the template and the parameters, in the template's order.
    pub fn load(
        template: &Value,
        parameters: &BTreeMap<String, String>,
        environment: Environment,
    ) -> Result<Self, Vec<LoadError>> {
        let mut errors = Vec::new();
        let Some(sections) = template.as_object() else {
            return Err(vec![template_error("", "a template must be a JSON object")]);
        };
        for section in sections.keys().filter(|section| !SECTIONS.contains(&section.as_str())) {
            let allowed = SECTIONS.join(", ");
            errors.push(template_error(section, format!("is not modelled; allowed are {allowed}")));
        }
        let mut known = Known::new(environment, template);
        known.parameters = parameters::resolve(template, parameters, &mut errors);
        known.conditions = resolve::conditions(&known, template, &mut errors);
        let active = active_resources(template, &mut known, &mut errors);
        let (order, needs) = order::sort(&active, &known, &mut errors);
        let mut resources = Vec::new();
        for logical_id in order {
            let body = &active[&logical_id].body;
            let depends_on = needs.get(&logical_id).cloned().unwrap_or_default();
            let resource =
                load_resource(&logical_id, active[&logical_id].kind, body, depends_on, &known, &mut errors);
            known.resources.insert(logical_id, Some(resource.clone()));
            resources.push(resource);
        }
        let outputs = outputs(template, &known, &mut errors);
        if errors.is_empty() {
            Ok(Self { environment: known.environment, resources, outputs })
        } else {
            // A resource may be looked at more than once; nobody wants to read the same twice.
            let mut seen = BTreeSet::new();
            errors.retain(|error| seen.insert((error.path.clone(), error.problem.clone())));
            Err(errors)
        }
    }

    /// The resource with this logical id.
    pub fn resource(&self, logical_id: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.logical_id == logical_id)
    }

    /// The resources of one type, in the stack's order.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Resource> {
        self.resources.iter().filter(move |resource| resource.kind == kind)
    }
}

fn template_error(path: &str, problem: impl Into<String>) -> LoadError {
    let path = if path.is_empty() { "template" } else { path };
    LoadError { logical_id: String::new(), path: path.into(), problem: problem.into() }
}

/// A resource of the template whose type is known and whose condition holds.
#[derive(Debug)]
struct Active {
    kind: Kind,
    body: Map<String, Value>,
}

/// The members of a section, or none.
fn section<'a>(template: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    template.get(name).and_then(Value::as_object).into_iter().flatten()
}

fn active_resources(template: &Value, known: &mut Known, errors: &mut Vec<LoadError>) -> Ordered<Active> {
    let mut active = Ordered::default();
    if section(template, "Resources").next().is_none() {
        errors.push(template_error("Resources", "a template needs at least one resource"));
    }
    for (logical_id, body) in section(template, "Resources") {
        let mut error = |member: &str, problem: String| {
            let path = format!("Resources.{logical_id}{member}");
            errors.push(LoadError { logical_id: logical_id.clone(), path, problem });
        };
        if logical_id.is_empty() || !logical_id.chars().all(|c| c.is_ascii_alphanumeric()) {
            error("", "a logical id has letters and digits only".into());
        }
        let Some(body) = body.as_object() else {
            error("", "must be an object".into());
            continue;
        };
        for member in body.keys().filter(|member| !RESOURCE_MEMBERS.contains(&member.as_str())) {
            error(
                &format!(".{member}"),
                format!("is not modelled; allowed are {}", RESOURCE_MEMBERS.join(", ")),
            );
        }
        let kind = match body.get("Type").and_then(Value::as_str) {
            Some(name) => Kind::parse(name),
            None => {
                error(".Type", "is missing".into());
                continue;
            }
        };
        let holds = match body.get("Condition") {
            None => true,
            Some(Value::String(name)) => known.conditions.get(name).copied().unwrap_or_else(|| {
                error(".Condition", format!("{name} is no condition of the template"));
                false
            }),
            Some(other) => {
                error(".Condition", format!("must name a condition, not {other}"));
                false
            }
        };
        match kind {
            Some(kind) if holds => {
                known.resources.insert(logical_id.clone(), None);
                active.insert(logical_id.clone(), Active { kind, body: body.clone() });
            }
            Some(_) => {}
            None => {
                // Known by name, so that references to it do not bring errors of their own.
                known.unmodelled.insert(logical_id.clone());
                error(
                    ".Type",
                    format!("{} is not modelled; allowed are {}", body["Type"], Kind::all_names()),
                );
            }
        }
    }
    active
}

fn load_resource(
    logical_id: &str,
    kind: Kind,
    body: &Map<String, Value>,
    depends_on: BTreeSet<String>,
    known: &Known,
    errors: &mut Vec<LoadError>,
) -> Resource {
    let path = format!("Resources.{logical_id}.Properties");
    let mut resolver = Resolver::new(known, logical_id, path.clone());
    let mut properties = match body.get("Properties") {
        None => Value::Object(Map::new()),
        Some(properties) => resolver.resolve(properties).unwrap_or_else(|| Value::Object(Map::new())),
    };
    let clean = resolver.errors.is_empty();
    errors.append(&mut resolver.errors);
    let mut error = |member: &str, problem: String| {
        let logical_id = logical_id.to_owned();
        errors.push(LoadError { logical_id, path: format!("{path}{member}"), problem });
    };
    if kind == Kind::StateMachine && clean {
        for (member, problem) in definition::settle(&mut properties) {
            error(&member, problem);
        }
    }
    if kind == Kind::Function {
        kinds::texts_of_variables(&mut properties);
    }
    let identity = kinds::identify(kind, logical_id, &properties, &known.environment);
    for (member, problem) in identity.problems {
        error(&member, problem);
    }
    Resource {
        logical_id: logical_id.to_owned(),
        kind,
        name: identity.name,
        physical_id: identity.physical_id,
        arn: identity.arn,
        attributes: identity.attributes,
        properties,
        metadata: body.get("Metadata").cloned().unwrap_or(Value::Null),
        depends_on,
    }
}

fn outputs(template: &Value, known: &Known, errors: &mut Vec<LoadError>) -> BTreeMap<String, String> {
    let mut outputs = BTreeMap::new();
    for (name, output) in section(template, "Outputs") {
        let mut resolver = Resolver::new(known, name, format!("Outputs.{name}"));
        let condition = output.get("Condition").and_then(Value::as_str);
        let holds = condition.is_none_or(|condition| {
            known.conditions.get(condition).copied().unwrap_or_else(|| {
                resolver.error(format!("Condition {condition} is no condition of the template"));
                false
            })
        });
        match output.get("Value") {
            None => resolver.error("has no Value"),
            Some(value) if holds => {
                if let Some(text) = resolver.resolve_text(value) {
                    outputs.insert(name.clone(), text);
                }
            }
            Some(_) => {}
        }
        errors.append(&mut resolver.errors);
    }
    outputs
}

//! A template under construction: parameters, resources and outputs, in the order in which they are added.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::SynthError;
use crate::text::Text;

/// Most resources that a stack may have (CloudFormation quota).
pub const MAX_RESOURCES: usize = 500;

/// Most outputs that a stack may have (CloudFormation quota).
pub const MAX_OUTPUTS: usize = 200;

/// Most parameters that a stack may have (CloudFormation quota).
pub const MAX_PARAMETERS: usize = 200;

/// Longest template that CloudFormation takes from S3, bytes. One that is given in the request may have 51,200, which
/// the definition of a single circuit nearly fills.
pub const MAX_TEMPLATE_BYTES: usize = 1_048_576;

/// Place of a construct: its logical ids begin with it.
///
/// ```
/// use infra::template::Scope;
///
/// assert_eq!(Scope::root().child("order-mails").child("StateMachine").logical_id(), "OrderMailsStateMachine");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    segments: Vec<String>,
}

impl Scope {
    /// The stack itself.
    pub fn root() -> Scope {
        Scope::default()
    }

    /// A construct or a resource in this one.
    pub fn child(&self, segment: &str) -> Scope {
        let mut segments = self.segments.clone();
        segments.push(segment.to_owned());
        Scope { segments }
    }

    /// The logical id: the segments in PascalCase, one after the other. It depends on the path alone, so a resource
    /// keeps its id when others come or go.
    pub fn logical_id(&self) -> String {
        self.segments.iter().map(|segment| pascal_case(segment)).collect()
    }

    /// The path as it is shown in messages: `order-mails/StateMachine`.
    pub fn path(&self) -> String {
        self.segments.join("/")
    }
}

/// `order-mails` becomes `OrderMails`; what has no hyphen only gets its first letter raised.
fn pascal_case(segment: &str) -> String {
    segment
        .split('-')
        .flat_map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters)
        })
        .collect()
}

/// Properties of a resource of one type.
pub trait Properties: Serialize {
    /// The type, `AWS::Service::Resource`.
    const TYPE: &'static str;
}

/// What becomes of a resource's data when the resource is deleted or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// It goes with the resource.
    Delete,
    /// It stays, unless the stack's very creation is being rolled back.
    Retain,
}

/// What a resource has beside its properties.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    /// Resources that must exist before, where no property says so.
    pub depends_on: Vec<Handle>,
    /// Set on resources that hold data.
    pub deletion: Option<Deletion>,
}

/// A resource that was added to a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle {
    logical_id: String,
}

impl Handle {
    /// The logical id.
    pub fn logical_id(&self) -> &str {
        &self.logical_id
    }

    /// `Ref`: what it yields depends on the type (a queue's URL, a function's name, a mapping's UUID, ...).
    pub fn reference(&self) -> Text {
        Text::Ref(self.logical_id.clone())
    }

    /// `Fn::GetAtt`.
    pub fn attribute(&self, name: &'static str) -> Text {
        Text::GetAtt(self.logical_id.clone(), name)
    }

    /// The ARN, for types whose attribute is named `Arn`.
    pub fn arn(&self) -> Text {
        self.attribute("Arn")
    }
}

/// The template.
#[derive(Debug, Default)]
pub struct Template {
    parameters: Map<String, Value>,
    resources: Map<String, Value>,
    outputs: Map<String, Value>,
    /// Path of the construct behind each logical id, parameters included: they share one name space.
    paths: BTreeMap<String, String>,
    collision: Option<SynthError>,
}

impl Template {
    /// Adds a parameter; without a default it must be given at deployment.
    pub fn parameter(
        &mut self,
        name: &str,
        description: &str,
        default: Option<&str>,
        allowed: &[&str],
    ) -> Text {
        let mut parameter = Map::new();
        parameter.insert("Type".to_owned(), json!("String"));
        parameter.insert("Description".to_owned(), json!(description));
        if let Some(default) = default {
            parameter.insert("Default".to_owned(), json!(default));
        }
        if !allowed.is_empty() {
            parameter.insert("AllowedValues".to_owned(), json!(allowed));
        }
        self.claim(name, &format!("(parameter {name})"));
        self.parameters.insert(name.to_owned(), Value::Object(parameter));
        Text::Ref(name.to_owned())
    }

    /// Adds a parameter that must be given at deployment and match a pattern as a whole; its name is made of the path as
    /// logical ids are.
    pub fn parameter_like(&mut self, scope: &Scope, description: &str, pattern: &str) -> Text {
        let name = scope.logical_id();
        let text = self.parameter(&name, description, None, &[]);
        self.parameters[&name]["AllowedPattern"] = json!(pattern);
        text
    }

    /// Adds a resource.
    pub fn resource<P: Properties>(&mut self, scope: &Scope, properties: P) -> Handle {
        self.resource_with(scope, properties, Attributes::default())
    }

    /// Adds a resource with attributes.
    pub fn resource_with<P: Properties>(
        &mut self,
        scope: &Scope,
        properties: P,
        attributes: Attributes,
    ) -> Handle {
        let mut resource = Map::new();
        resource.insert("Type".to_owned(), json!(P::TYPE));
        if !attributes.depends_on.is_empty() {
            let ids: Vec<&str> = attributes.depends_on.iter().map(Handle::logical_id).collect();
            resource.insert("DependsOn".to_owned(), json!(ids));
        }
        if let Some(deletion) = attributes.deletion {
            let (on_delete, on_replace) = match deletion {
                Deletion::Delete => ("Delete", "Delete"),
                Deletion::Retain => ("RetainExceptOnCreate", "Retain"),
            };
            resource.insert("DeletionPolicy".to_owned(), json!(on_delete));
            resource.insert("UpdateReplacePolicy".to_owned(), json!(on_replace));
        }
        let properties = serde_json::to_value(properties)
            .expect("properties are structs of strings, numbers, lists and maps with string keys");
        resource.insert("Properties".to_owned(), properties);
        let logical_id = scope.logical_id();
        self.claim(&logical_id, &scope.path());
        self.resources.insert(logical_id.clone(), Value::Object(resource));
        Handle { logical_id }
    }

    /// Adds an output; its name is made of the path as logical ids are.
    pub fn output(&mut self, scope: &Scope, description: &str, value: &Text) {
        self.outputs.insert(scope.logical_id(), json!({ "Description": description, "Value": value }));
    }

    /// Notes who has a logical id, and the first pair of constructs that want the same.
    fn claim(&mut self, logical_id: &str, path: &str) {
        if let Some(first) = self.paths.insert(logical_id.to_owned(), path.to_owned()) {
            self.collision.get_or_insert(SynthError::Collision {
                logical_id: logical_id.to_owned(),
                first,
                second: path.to_owned(),
            });
        }
    }

    /// The finished template.
    ///
    /// # Errors
    /// [`SynthError::Collision`] when two constructs have the same logical id, [`SynthError::TooMany`] when a quota of
    /// CloudFormation is exceeded.
    pub fn finish(self, description: &str) -> Result<Value, SynthError> {
        if let Some(collision) = self.collision {
            return Err(collision);
        }
        for (what, count, max) in [
            ("resources", self.resources.len(), MAX_RESOURCES),
            ("outputs", self.outputs.len(), MAX_OUTPUTS),
            ("parameters", self.parameters.len(), MAX_PARAMETERS),
        ] {
            if count > max {
                return Err(SynthError::TooMany { what, count, max });
            }
        }
        Ok(json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": description,
            "Parameters": self.parameters,
            "Resources": self.resources,
            "Outputs": self.outputs,
        }))
    }
}

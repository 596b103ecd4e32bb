//! Intrinsic functions and conditions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::kinds::short_hash;
use super::{Environment, LoadError, Resource, section};

/// What is known while a template is loaded.
#[derive(Debug)]
pub struct Known {
    pub environment: Environment,
    pub parameters: BTreeMap<String, Value>,
    pub conditions: BTreeMap<String, bool>,
    /// Every active resource; those that are loaded already have their identity.
    pub resources: BTreeMap<String, Option<Resource>>,
    /// Resources whose type is not modelled.
    pub unmodelled: BTreeSet<String>,
    mappings: Value,
}

impl Known {
    pub fn new(environment: Environment, template: &Value) -> Self {
        Self {
            environment,
            parameters: BTreeMap::new(),
            conditions: BTreeMap::new(),
            resources: BTreeMap::new(),
            unmodelled: BTreeSet::new(),
            mappings: template.get("Mappings").cloned().unwrap_or(Value::Null),
        }
    }

    fn pseudo_parameter(&self, name: &str) -> Option<String> {
        let Environment { account, region, stack_name, partition } = &self.environment;
        match name {
            "AWS::AccountId" => Some(account.clone()),
            "AWS::Region" => Some(region.clone()),
            "AWS::StackName" => Some(stack_name.clone()),
            "AWS::Partition" => Some(partition.clone()),
            "AWS::URLSuffix" => {
                Some(if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" }.to_owned())
            }
            "AWS::StackId" => {
                let id = super::kinds::uuid(&format!("stack {account} {region} {stack_name}"));
                Some(format!("arn:{partition}:cloudformation:{region}:{account}:stack/{stack_name}/{id}"))
            }
            _ => None,
        }
    }
}

/// The functions that give a value.
const FUNCTIONS: &str = "Ref, Fn::GetAtt, Fn::Sub, Fn::Join, Fn::Select, Fn::Split, Fn::If, Fn::FindInMap";

/// Resolves the values of one resource or output, and collects what is wrong with them.
#[derive(Debug)]
pub struct Resolver<'a> {
    known: &'a Known,
    logical_id: String,
    path: String,
    /// The resources that were referred to.
    pub references: BTreeSet<String>,
    /// Whether resources need not have been loaded: only the references are wanted.
    pub references_only: bool,
    /// What was wrong.
    pub errors: Vec<LoadError>,
}

impl<'a> Resolver<'a> {
    pub fn new(known: &'a Known, logical_id: &str, path: String) -> Self {
        let (references, errors) = (BTreeSet::new(), Vec::new());
        Self { known, logical_id: logical_id.into(), path, references, references_only: false, errors }
    }

    pub fn error(&mut self, problem: impl Into<String>) {
        let (logical_id, path) = (self.logical_id.clone(), self.path.clone());
        self.errors.push(LoadError { logical_id, path, problem: problem.into() });
    }

    /// The value with its functions resolved; `None` for `AWS::NoValue`. What cannot be resolved
    /// becomes null and an error.
    pub fn resolve(&mut self, value: &Value) -> Option<Value> {
        match value {
            Value::Object(map) => match map.iter().next() {
                Some((name, argument)) if map.len() == 1 && (name == "Ref" || name.starts_with("Fn::")) => {
                    self.function(name, argument)
                }
                Some(_) | None => Some(Value::Object(self.members(map))),
            },
            Value::Array(list) => {
                let mut resolved = Vec::new();
                for (index, element) in list.iter().enumerate() {
                    let element = self.at(&format!("[{index}]"), |this| this.resolve(element));
                    resolved.extend(element);
                }
                Some(Value::Array(resolved))
            }
            Value::String(text) if text.contains("{{resolve:") => {
                self.error(format!("{text}: dynamic references are not modelled; use a parameter"));
                Some(Value::Null)
            }
            scalar => Some(scalar.clone()),
        }
    }

    /// Resolves a value that must be one text.
    pub fn resolve_text(&mut self, value: &Value) -> Option<String> {
        match self.resolve(value)? {
            Value::String(text) => Some(text),
            scalar @ (Value::Number(_) | Value::Bool(_)) => Some(scalar.to_string()),
            // An error has been noted already.
            Value::Null if !self.errors.is_empty() => None,
            other => {
                if !self.references_only {
                    self.error(format!("must be a text, not {other}"));
                }
                None
            }
        }
    }

    fn members(&mut self, map: &Map<String, Value>) -> Map<String, Value> {
        let mut resolved = Map::new();
        for (name, value) in map {
            if let Some(value) = self.at(&format!(".{name}"), |this| this.resolve(value)) {
                resolved.insert(name.clone(), value);
            }
        }
        resolved
    }

    fn at<T>(&mut self, step: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        self.path.push_str(step);
        let result = work(self);
        self.path.truncate(length);
        result
    }

    fn function(&mut self, name: &str, argument: &Value) -> Option<Value> {
        let result = match (name, argument) {
            ("Ref", Value::String(target)) if target == "AWS::NoValue" => return None,
            ("Ref", Value::String(target)) => self.reference(target),
            ("Fn::GetAtt", Value::String(target)) => match target.split_once('.') {
                Some((logical_id, attribute)) => self.attribute(logical_id, attribute),
                None => Err(format!("Fn::GetAtt {target} names no attribute")),
            },
            ("Fn::GetAtt", Value::Array(list)) => match list.as_slice() {
                [Value::String(logical_id), Value::String(attribute)] => {
                    self.attribute(logical_id, attribute)
                }
                _ => Err("Fn::GetAtt takes a logical id and an attribute".to_owned()),
            },
            ("Fn::Sub", Value::String(text)) => self.substitute(text, &BTreeMap::new()),
            ("Fn::Sub", Value::Array(list)) => match list.as_slice() {
                [Value::String(text), Value::Object(own)] => {
                    let own =
                        own.iter().filter_map(|(k, v)| Some((k.clone(), self.resolve_text(v)?))).collect();
                    self.substitute(text, &own)
                }
                _ => Err("Fn::Sub takes a text, or a text and an object".to_owned()),
            },
            ("Fn::Join", Value::Array(list)) => self.join(list),
            ("Fn::Select", Value::Array(list)) => self.select(list),
            ("Fn::Split", Value::Array(list)) => match list.as_slice() {
                [Value::String(separator), text] if !separator.is_empty() => {
                    let text = self.resolve_text(text)?;
                    Ok(text.split(separator.as_str()).collect())
                }
                _ => Err("Fn::Split takes a separator and a text".to_owned()),
            },
            ("Fn::If", Value::Array(list)) => match list.as_slice() {
                [Value::String(condition), yes, no] => match self.known.conditions.get(condition) {
                    Some(holds) => return self.resolve(if *holds { yes } else { no }),
                    None => Err(format!("Fn::If: {condition} is no condition of the template")),
                },
                _ => Err("Fn::If takes a condition's name and two values".to_owned()),
            },
            ("Fn::FindInMap", Value::Array(list)) => self.find_in_map(list),
            _ => Err(format!("{name} with {argument} is not modelled; allowed are {FUNCTIONS}")),
        };
        match result {
            Ok(value) => Some(value),
            Err(problem) => {
                self.error(problem);
                Some(Value::Null)
            }
        }
    }

    fn reference(&mut self, target: &str) -> Result<Value, String> {
        if let Some(value) = self.known.pseudo_parameter(target) {
            return Ok(Value::String(value));
        }
        if let Some(value) = self.known.parameters.get(target) {
            return Ok(value.clone());
        }
        Ok(self.loaded(target)?.map_or(Value::Null, |resource| resource.physical_id.clone().into()))
    }

    fn attribute(&mut self, logical_id: &str, attribute: &str) -> Result<Value, String> {
        let Some(resource) = self.loaded(logical_id)? else { return Ok(Value::Null) };
        match resource.attributes.get(attribute) {
            Some(value) => Ok(Value::String(value.clone())),
            None => Err(format!(
                "{} {logical_id} has no attribute {attribute}; allowed are {}",
                resource.kind.name(),
                resource.attributes.keys().cloned().collect::<Vec<_>>().join(", ")
            )),
        }
    }

    /// The resource, or `None` where it is not loaded and need not be.
    fn loaded(&mut self, logical_id: &str) -> Result<Option<&'a Resource>, String> {
        if self.known.unmodelled.contains(logical_id) {
            return Ok(None);
        }
        match self.known.resources.get(logical_id) {
            None => Err(format!("{logical_id} is no parameter and no resource with a condition that holds")),
            Some(resource) => {
                self.references.insert(logical_id.to_owned());
                // After a cycle, which is reported, some resources are never loaded.
                Ok(resource.as_ref())
            }
        }
    }

    fn substitute(&mut self, text: &str, own: &BTreeMap<String, String>) -> Result<Value, String> {
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| format!("Fn::Sub: a placeholder in {text} has no end"))?;
            result.push_str(before);
            rest = after;
            let value = match (name.strip_prefix('!'), own.get(name)) {
                (Some(literal), _) => format!("${{{literal}}}").into(),
                (None, Some(value)) => value.clone().into(),
                (None, None) => match name.split_once('.') {
                    Some((logical_id, attribute)) => self.attribute(logical_id, attribute)?,
                    None => self.reference(name)?,
                },
            };
            match value {
                Value::String(text) => result.push_str(&text),
                Value::Array(_) => return Err(format!("Fn::Sub: {name} is a list, not a text")),
                scalar => result.push_str(&scalar.to_string()),
            }
        }
        result.push_str(rest);
        Ok(Value::String(result))
    }

    fn join(&mut self, list: &[Value]) -> Result<Value, String> {
        let [Value::String(separator), values] = list else {
            return Err("Fn::Join takes a separator and a list".to_owned());
        };
        let Some(Value::Array(values)) = self.resolve(values) else {
            return Err("Fn::Join takes a separator and a list".to_owned());
        };
        let texts: Vec<String> = values
            .iter()
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .collect();
        Ok(Value::String(texts.join(separator)))
    }

    fn select(&mut self, list: &[Value]) -> Result<Value, String> {
        let [index, values] = list else { return Err("Fn::Select takes an index and a list".to_owned()) };
        let index = self.resolve_text(index).and_then(|index| index.parse::<usize>().ok());
        match (index, self.resolve(values)) {
            (Some(index), Some(Value::Array(values))) => match values.get(index) {
                Some(value) => Ok(value.clone()),
                None if self.references_only => Ok(Value::Null),
                None => Err(format!("Fn::Select: index {index} is beyond a list of {}", values.len())),
            },
            _ => Err("Fn::Select takes an index and a list".to_owned()),
        }
    }

    fn find_in_map(&mut self, list: &[Value]) -> Result<Value, String> {
        let mut value = &self.known.mappings;
        let mut path = String::from("Mappings");
        if list.len() != 3 {
            return Err("Fn::FindInMap takes a mapping and two keys".to_owned());
        }
        for key in list {
            let Some(key) = self.resolve_text(key) else { return Ok(Value::Null) };
            path = format!("{path}.{key}");
            value = value.get(&key).ok_or_else(|| format!("Fn::FindInMap: {path} is not in the template"))?;
        }
        Ok(value.clone())
    }
}

/// Evaluates every condition of a template.
pub fn conditions(known: &Known, template: &Value, errors: &mut Vec<LoadError>) -> BTreeMap<String, bool> {
    let mut evaluator = Conditions { known, template, values: BTreeMap::new(), open: Vec::new(), errors };
    for (name, _) in section(template, "Conditions") {
        evaluator.named(name);
    }
    evaluator.values
}

struct Conditions<'a> {
    known: &'a Known,
    template: &'a Value,
    values: BTreeMap<String, bool>,
    /// The conditions being evaluated, outermost first.
    open: Vec<String>,
    errors: &'a mut Vec<LoadError>,
}

impl Conditions<'_> {
    fn error(&mut self, problem: String) {
        let name = self.open.last().cloned().unwrap_or_default();
        self.errors.push(LoadError { path: format!("Conditions.{name}"), logical_id: name, problem });
    }

    fn named(&mut self, name: &str) -> bool {
        if let Some(value) = self.values.get(name) {
            return *value;
        }
        let Some(body) = self.template.get("Conditions").and_then(|conditions| conditions.get(name)) else {
            self.error(format!("{name} is no condition of the template"));
            return false;
        };
        if self.open.iter().any(|open| open == name) {
            self.error(format!("refers to itself: {} -> {name}", self.open.join(" -> ")));
            return false;
        }
        self.open.push(name.to_owned());
        let value = self.evaluate(body);
        self.open.pop();
        self.values.insert(name.to_owned(), value);
        value
    }

    fn evaluate(&mut self, body: &Value) -> bool {
        let single = body.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next());
        match single.map(|(function, argument)| (function.as_str(), argument)) {
            Some(("Condition", Value::String(name))) => self.named(name),
            Some(("Fn::Equals", Value::Array(list))) if list.len() == 2 => {
                let mut resolver = Resolver::new(
                    self.known,
                    self.open.last().map_or("", String::as_str),
                    format!("Conditions.{}", self.open.last().map_or("", String::as_str)),
                );
                let sides: Vec<Option<String>> =
                    list.iter().map(|side| resolver.resolve_text(side)).collect();
                self.errors.append(&mut resolver.errors);
                sides[0] == sides[1]
            }
            Some(("Fn::Not", Value::Array(list))) if list.len() == 1 => !self.evaluate(&list[0]),
            // Every member is evaluated, so that all errors are found.
            Some(("Fn::And", Value::Array(list))) if (2..=10).contains(&list.len()) => {
                !list.iter().map(|one| self.evaluate(one)).collect::<Vec<_>>().contains(&false)
            }
            Some(("Fn::Or", Value::Array(list))) if (2..=10).contains(&list.len()) => {
                list.iter().map(|one| self.evaluate(one)).collect::<Vec<_>>().contains(&true)
            }
            _ => {
                self.error(format!(
                    "{body} is no condition; allowed are Fn::Equals, Fn::Not, Fn::And, Fn::Or and Condition"
                ));
                false
            }
        }
    }
}

/// Twelve characters of a hash, as CloudFormation appends them to the names it makes.
pub fn name_suffix(environment: &Environment, logical_id: &str) -> String {
    let Environment { account, region, stack_name, .. } = environment;
    short_hash(&format!("{account} {region} {stack_name} {logical_id}"), 12)
}

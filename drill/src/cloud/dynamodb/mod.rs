//! DynamoDB: one table, with the item operations and their expressions.
//!
//! Requests and answers are the API's own JSON, as a Step Functions SDK integration sends them.
//! Numbers are exact decimals and come back normalised, as from DynamoDB. Not modelled, and refused by
//! name: queries, scans, batches, transactions, secondary indexes, streams, the legacy parameters.
//! A TTL specification is kept, but items do not expire by themselves.

mod condition;
mod lexer;
mod number;
mod path;
mod reserved;
mod update;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::condition::{Condition, check_failed, parse_projection};
use self::path::{Path, Placeholders, project};
use self::update::Update;
pub use self::value::{AttributeValue, Item, item_to_json};
use self::value::{item_from_json, item_size_bytes};
use super::cloudformation::problem::{Properties, PropertyProblem};
use super::error::ServiceError;

/// Bytes an item may have, names included.
pub const MAX_ITEM_BYTES: usize = 400 * 1024;

fn validation(message: impl Into<String>) -> ServiceError {
    ServiceError::new(400, "ValidationException", message)
}

/// The refusal of an item operation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{error}")]
pub struct ItemError {
    /// What the service answers.
    pub error: ServiceError,
    /// The item as it is, in JSON form: only with `ConditionalCheckFailedException`, and only if the
    /// request set `ReturnValuesOnConditionCheckFailure` to `ALL_OLD`.
    pub item: Option<Box<Value>>,
}

impl From<ServiceError> for ItemError {
    fn from(error: ServiceError) -> Self {
        Self { error, item: None }
    }
}

/// A table with its items.
#[derive(Debug, Clone)]
pub struct Table {
    name: String,
    arn: String,
    /// Name and type (`S`, `N` or `B`) of the partition key and, if there is one, the sort key.
    key: Vec<(String, String)>,
    ttl_attribute: Option<String>,
    /// By the JSON form of the key, which is unique because numbers are normalised.
    items: BTreeMap<Vec<String>, Item>,
}

const IGNORED_PROPERTIES: [&str; 8] = [
    "TableName",
    "BillingMode",
    "ProvisionedThroughput",
    "OnDemandThroughput",
    "SSESpecification",
    "PointInTimeRecoverySpecification",
    "DeletionProtectionEnabled",
    "Tags",
];

impl Table {
    /// An empty table from the resolved properties of an `AWS::DynamoDB::Table`.
    ///
    /// # Errors
    /// One problem for each property that is missing, wrong or not modelled.
    pub fn from_properties(name: &str, arn: &str, properties: &Value) -> Result<Self, Vec<PropertyProblem>> {
        let mut all = Properties::new(properties);
        for ignored in IGNORED_PROPERTIES {
            all.take(ignored);
        }
        let mut types = BTreeMap::new();
        for mut attribute in all.objects("AttributeDefinitions") {
            let (name, kind) = (attribute.text("AttributeName"), attribute.text("AttributeType"));
            if let (Some(name), Some(kind)) = (name, kind) {
                if !["S", "N", "B"].contains(&kind.as_str()) {
                    attribute.problem("AttributeType", format!("is {kind}; allowed are S, N and B"));
                }
                types.insert(name, kind);
            }
            all.absorb(attribute);
        }
        let mut key = Vec::new();
        for (place, mut element) in all.objects("KeySchema").into_iter().enumerate() {
            let (name, kind) = (element.text("AttributeName"), element.text("KeyType"));
            if let (Some(name), Some(kind)) = (name, kind) {
                if ["HASH", "RANGE"].get(place) != Some(&kind.as_str()) {
                    element.problem("KeyType", format!("is {kind}; a key is HASH, then at most one RANGE"));
                }
                match types.remove(&name) {
                    Some(kind) => key.push((name, kind)),
                    None => {
                        element.problem("AttributeName", format!("{name} is not in AttributeDefinitions"))
                    }
                }
            }
            all.absorb(element);
        }
        if key.is_empty() {
            all.problem("KeySchema", "must name a partition key");
        }
        for name in types.keys() {
            all.problem("AttributeDefinitions", format!("defines {name}, which no key uses"));
        }
        let ttl_attribute = all.object("TimeToLiveSpecification").and_then(|mut ttl| {
            let enabled = ttl.boolean("Enabled").unwrap_or(true);
            let name = ttl.optional_text("AttributeName");
            if enabled && name.is_none() {
                ttl.problem("AttributeName", "is missing");
            }
            all.absorb(ttl);
            name.filter(|_| enabled)
        });
        all.finish()?;
        Ok(Self { name: name.into(), arn: arn.into(), key, ttl_attribute, items: BTreeMap::new() })
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The table's ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The attribute whose number, in seconds since 1970, says when an item may be deleted.
    pub fn ttl_attribute(&self) -> Option<&str> {
        self.ttl_attribute.as_deref()
    }

    /// Every item in JSON form, in the order of their keys.
    pub fn items(&self) -> impl Iterator<Item = Value> {
        self.items.values().map(item_to_json)
    }

    /// The item with this text as its only key, as the model itself looks at it.
    pub fn find(&self, key: &str) -> Option<&Item> {
        self.items.get(&vec![AttributeValue::S(key.to_owned()).to_json().to_string()])
    }

    /// `GetItem`.
    ///
    /// # Errors
    /// `ValidationException` or `ResourceNotFoundException`.
    pub fn get_item(&self, request: &Value) -> Result<Value, ItemError> {
        self.accept(request, &["Key", "ConsistentRead", "ProjectionExpression", "ExpressionAttributeNames"])?;
        let mut placeholders = Placeholders::from_request(request)?;
        let expression = text(request, "ProjectionExpression")?;
        let paths = expression.map(|text| parse_projection(text, &mut placeholders)).transpose()?;
        placeholders.refuse_unused(paths.is_some())?;
        let key = self.key_of_request(request)?;
        let item = self.items.get(&self.index(&key)).map(|item| match &paths {
            None => item_to_json(item),
            Some(paths) => item_to_json(&project(item, &paths.iter().collect::<Vec<_>>())),
        });
        Ok(item.map_or_else(|| json!({}), |item| json!({ "Item": item })))
    }

    /// `PutItem`.
    ///
    /// # Errors
    /// `ConditionalCheckFailedException`, `ValidationException` or `ResourceNotFoundException`.
    pub fn put_item(&mut self, request: &Value) -> Result<Value, ItemError> {
        self.accept(request, &[&["Item"], WRITE_MEMBERS.as_slice()].concat())?;
        let returned = return_values(request, &["NONE", "ALL_OLD"])?;
        let mut placeholders = Placeholders::from_request(request)?;
        let condition = Precondition::parse(request, &mut placeholders)?;
        placeholders.refuse_unused(condition.expression.is_some())?;
        let item = item_from_json(required(request, "Item")?)?;
        for (name, kind) in &self.key {
            let value = item.get(name).ok_or_else(|| {
                validation(format!(
                    "One or more parameter values were invalid: Missing the key {name} in the item"
                ))
            })?;
            check_key(name, kind, value)?;
        }
        if item_size_bytes(&item) > MAX_ITEM_BYTES {
            return Err(validation("Item size has exceeded the maximum allowed size").into());
        }
        let index = self.index(&item);
        condition.check(self.items.get(&index))?;
        let old = self.items.insert(index, item);
        Ok(attributes(old.filter(|_| returned == "ALL_OLD").as_ref()))
    }

    /// `DeleteItem`. Deleting an item that does not exist succeeds.
    ///
    /// # Errors
    /// As [`Self::put_item`].
    pub fn delete_item(&mut self, request: &Value) -> Result<Value, ItemError> {
        self.accept(request, &[&["Key"], WRITE_MEMBERS.as_slice()].concat())?;
        let returned = return_values(request, &["NONE", "ALL_OLD"])?;
        let mut placeholders = Placeholders::from_request(request)?;
        let condition = Precondition::parse(request, &mut placeholders)?;
        placeholders.refuse_unused(condition.expression.is_some())?;
        let key = self.key_of_request(request)?;
        let index = self.index(&key);
        condition.check(self.items.get(&index))?;
        let old = self.items.remove(&index);
        Ok(attributes(old.filter(|_| returned == "ALL_OLD").as_ref()))
    }

    /// `UpdateItem`. An item that does not exist is created from its key.
    ///
    /// # Errors
    /// As [`Self::put_item`].
    pub fn update_item(&mut self, request: &Value) -> Result<Value, ItemError> {
        self.accept(request, &[&["Key", "UpdateExpression"], WRITE_MEMBERS.as_slice()].concat())?;
        let returned = return_values(request, &["NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"])?;
        let mut placeholders = Placeholders::from_request(request)?;
        let expression = text(request, "UpdateExpression")?;
        let update = expression.map(|text| Update::parse(text, &mut placeholders)).transpose()?;
        let condition = Precondition::parse(request, &mut placeholders)?;
        placeholders.refuse_unused(update.is_some() || condition.expression.is_some())?;
        let update = update.unwrap_or_default();
        let key = self.key_of_request(request)?;
        if let Some(path) = update.paths().find(|path| key.contains_key(path.attribute())) {
            return Err(validation(format!(
                "One or more parameter values were invalid: Cannot update attribute {}. This attribute is \
                 part of the key",
                path.attribute()
            ))
            .into());
        }
        let index = self.index(&key);
        let old = self.items.get(&index).cloned();
        condition.check(old.as_ref())?;
        let new = update.apply(old.as_ref().unwrap_or(&key))?;
        if item_size_bytes(&new) > MAX_ITEM_BYTES {
            return Err(validation("Item size to update has exceeded the maximum allowed size").into());
        }
        let paths: Vec<&Path> = update.paths().collect();
        let answer = match returned {
            "ALL_OLD" => old,
            "ALL_NEW" => Some(new.clone()),
            "UPDATED_OLD" => old.map(|old| project(&old, &paths)),
            "UPDATED_NEW" => Some(project(&new, &paths)),
            _ => None,
        };
        self.items.insert(index, new);
        Ok(attributes(answer.filter(|item| !item.is_empty()).as_ref()))
    }

    /// Checks the request's members and that it is for this table.
    fn accept(&self, request: &Value, members: &[&str]) -> Result<(), ServiceError> {
        let object = request.as_object().ok_or_else(|| {
            ServiceError::new(400, "SerializationException", "the request must be a JSON object")
        })?;
        for (member, value) in object {
            match member.as_str() {
                "TableName" => {}
                "ReturnConsumedCapacity" | "ReturnItemCollectionMetrics" => {
                    if value != "NONE" {
                        return Err(validation(format!("{member} is modelled as NONE only, not {value}")));
                    }
                }
                name if members.contains(&name) => {}
                _ => {
                    return Err(validation(format!(
                        "request member {member} is not modelled; allowed are TableName, {}",
                        members.join(", ")
                    )));
                }
            }
        }
        let table = required(request, "TableName")?;
        if table != self.name.as_str() && table != self.arn.as_str() {
            return Err(ServiceError::new(400, "ResourceNotFoundException", "Requested resource not found"));
        }
        Ok(())
    }

    fn key_of_request(&self, request: &Value) -> Result<Item, ServiceError> {
        let key = item_from_json(required(request, "Key")?)?;
        if key.len() != self.key.len() || self.key.iter().any(|(name, _)| !key.contains_key(name)) {
            return Err(validation("The provided key element does not match the schema"));
        }
        for (name, kind) in &self.key {
            if key[name].type_name() != kind {
                return Err(validation("The provided key element does not match the schema"));
            }
            check_key(name, kind, &key[name])?;
        }
        Ok(key)
    }

    fn index(&self, item: &Item) -> Vec<String> {
        self.key.iter().map(|(name, _)| item[name].to_json().to_string()).collect()
    }
}

/// What all writes take.
const WRITE_MEMBERS: [&str; 5] = [
    "ConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "ReturnValues",
    "ReturnValuesOnConditionCheckFailure",
];

/// A request's condition and what to show when it does not hold.
struct Precondition {
    expression: Option<Condition>,
    show_item: bool,
}

impl Precondition {
    fn parse(request: &Value, placeholders: &mut Placeholders) -> Result<Self, ServiceError> {
        let expression = text(request, "ConditionExpression")?;
        let show = text(request, "ReturnValuesOnConditionCheckFailure")?.unwrap_or("NONE");
        if !["NONE", "ALL_OLD"].contains(&show) {
            return Err(enum_error("returnValuesOnConditionCheckFailure", show, &["ALL_OLD", "NONE"]));
        }
        Ok(Self {
            expression: expression.map(|text| Condition::parse(text, placeholders)).transpose()?,
            show_item: show == "ALL_OLD",
        })
    }

    fn check(&self, item: Option<&Item>) -> Result<(), ItemError> {
        let missing = Item::new();
        match &self.expression {
            Some(condition) if !condition.holds(item.unwrap_or(&missing)) => Err(ItemError {
                error: check_failed(),
                item: item.filter(|_| self.show_item).map(|item| Box::new(item_to_json(item))),
            }),
            Some(_) | None => Ok(()),
        }
    }
}

fn check_key(name: &str, kind: &str, value: &AttributeValue) -> Result<(), ServiceError> {
    if value.type_name() != kind {
        return Err(validation(format!(
            "One or more parameter values were invalid: Type mismatch for key {name} expected: {kind} \
             actual: {}",
            value.type_name()
        )));
    }
    let noun = if kind == "B" { "binary" } else { "string" };
    match value.size() {
        Some(0) => Err(validation(format!(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot \
             contain an empty {noun} value. Key: {name}"
        ))),
        Some(_) | None => Ok(()),
    }
}

fn attributes(item: Option<&Item>) -> Value {
    item.map_or_else(|| json!({}), |item| json!({ "Attributes": item_to_json(item) }))
}

fn required<'a>(request: &'a Value, member: &str) -> Result<&'a Value, ServiceError> {
    request.get(member).filter(|value| !value.is_null()).ok_or_else(|| {
        let mut name = member.to_owned();
        name[..1].make_ascii_lowercase();
        validation(format!(
            "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must \
             not be null"
        ))
    })
}

fn text<'a>(request: &'a Value, member: &str) -> Result<Option<&'a str>, ServiceError> {
    match request.get(member) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(ServiceError::new(
            400,
            "SerializationException",
            format!("{member} must be a string, not {other}"),
        )),
    }
}

fn return_values<'a>(request: &'a Value, allowed: &[&str]) -> Result<&'a str, ServiceError> {
    let all = ["ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"];
    match text(request, "ReturnValues")?.unwrap_or("NONE") {
        value if allowed.contains(&value) => Ok(value),
        value if all.contains(&value) => Err(validation("Return values set to invalid value")),
        value => Err(enum_error("returnValues", value, &all)),
    }
}

fn enum_error(member: &str, value: &str, allowed: &[&str]) -> ServiceError {
    validation(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must \
         satisfy enum value set: [{}]",
        allowed.join(", ")
    ))
}

/// The item operations that are not modelled, by their API names.
pub fn not_modelled(operation: &str) -> ServiceError {
    ServiceError::new(
        400,
        "UnknownOperationException",
        format!("dynamodb:{operation} is not modelled; allowed are GetItem, PutItem, UpdateItem, DeleteItem"),
    )
}

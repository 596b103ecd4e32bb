//! Attribute values in DynamoDB's JSON form, such as `{"S": "text"}`.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use super::number::Decimal;
use super::validation;
use crate::cloud::error::ServiceError;

/// The attributes of an item by name.
pub type Item = BTreeMap<String, AttributeValue>;

/// One value of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// Text.
    S(String),
    /// A number.
    N(Decimal),
    /// Bytes, base64 in JSON.
    B(Vec<u8>),
    /// A boolean.
    Bool(bool),
    /// Null.
    Null,
    /// A list.
    L(Vec<AttributeValue>),
    /// A map.
    M(Item),
    /// A set of texts.
    Ss(BTreeSet<String>),
    /// A set of numbers.
    Ns(BTreeSet<Decimal>),
    /// A set of byte strings.
    Bs(BTreeSet<Vec<u8>>),
}

impl AttributeValue {
    /// Reads a value from its JSON form.
    ///
    /// # Errors
    /// `ValidationException` with DynamoDB's message when the form is wrong.
    pub fn from_json(json: &Value) -> Result<Self, ServiceError> {
        let empty = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes";
        let object = json.as_object().ok_or_else(|| validation(empty))?;
        let mut members = object.iter();
        let (Some((kind, value)), None) = (members.next(), members.next()) else {
            return Err(validation(if object.is_empty() {
                empty
            } else {
                "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the \
                 supported datatypes"
            }));
        };
        match kind.as_str() {
            "S" => Ok(Self::S(text(kind, value)?.to_owned())),
            "N" => Ok(Self::N(number(text(kind, value)?)?)),
            "B" => Ok(Self::B(bytes(text(kind, value)?)?)),
            "BOOL" => Ok(Self::Bool(value.as_bool().ok_or_else(|| wrong_form(kind, value))?)),
            "NULL" if value == &Value::Bool(true) => Ok(Self::Null),
            "NULL" => Err(invalid("Null attribute value types must have the value of true")),
            "L" => Ok(Self::L(list(kind, value)?.iter().map(Self::from_json).collect::<Result<_, _>>()?)),
            "M" => Ok(Self::M(item_from_json(value)?)),
            "SS" => Ok(Self::Ss(set(kind, value, "string", |text| Ok(text.to_owned()))?)),
            "NS" => Ok(Self::Ns(set(kind, value, "number", number)?)),
            "BS" => Ok(Self::Bs(set(kind, value, "binary", bytes)?)),
            _ => Err(validation(empty)),
        }
    }

    /// The JSON form of the value.
    pub fn to_json(&self) -> Value {
        match self {
            Self::S(text) => json!({ "S": text }),
            Self::N(number) => json!({ "N": number.to_string() }),
            Self::B(bytes) => json!({ "B": BASE64.encode(bytes) }),
            Self::Bool(value) => json!({ "BOOL": value }),
            Self::Null => json!({ "NULL": true }),
            Self::L(list) => json!({ "L": list.iter().map(Self::to_json).collect::<Vec<_>>() }),
            Self::M(map) => json!({ "M": item_to_json(map) }),
            Self::Ss(set) => json!({ "SS": set }),
            Self::Ns(set) => json!({ "NS": set.iter().map(Decimal::to_string).collect::<Vec<_>>() }),
            Self::Bs(set) => json!({ "BS": set.iter().map(|b| BASE64.encode(b)).collect::<Vec<_>>() }),
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::S(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one without a fraction and a sign.
    pub fn whole(&self) -> Option<u64> {
        match self {
            Self::N(number) => number.to_string().parse().ok(),
            _ => None,
        }
    }

    /// The short name of the value's type, such as `N`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::S(_) => "S",
            Self::N(_) => "N",
            Self::B(_) => "B",
            Self::Bool(_) => "BOOL",
            Self::Null => "NULL",
            Self::L(_) => "L",
            Self::M(_) => "M",
            Self::Ss(_) => "SS",
            Self::Ns(_) => "NS",
            Self::Bs(_) => "BS",
        }
    }

    /// The order of two values, where their type has one: texts and bytes by their bytes, numbers by
    /// their size. `None` for values of different types and for types without an order.
    pub fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::S(a), Self::S(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Self::N(a), Self::N(b)) => Some(a.cmp(b)),
            (Self::B(a), Self::B(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// What `size()` gives: characters, bytes or elements. `None` for types without a size.
    pub fn size(&self) -> Option<usize> {
        match self {
            // DynamoDB counts UTF-16 units, as Java strings do.
            Self::S(text) => Some(text.encode_utf16().count()),
            Self::B(bytes) => Some(bytes.len()),
            Self::L(list) => Some(list.len()),
            Self::M(map) => Some(map.len()),
            Self::Ss(set) => Some(set.len()),
            Self::Ns(set) => Some(set.len()),
            Self::Bs(set) => Some(set.len()),
            Self::N(_) | Self::Bool(_) | Self::Null => None,
        }
    }

    /// Bytes the value counts for in an item's size.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::S(text) => text.len(),
            Self::N(number) => number.size_bytes(),
            Self::B(bytes) => bytes.len(),
            Self::Bool(_) | Self::Null => 1,
            Self::L(list) => 3 + list.iter().map(|value| 1 + value.size_bytes()).sum::<usize>(),
            Self::M(map) => 3 + map.len() + item_size_bytes(map),
            Self::Ss(set) => set.iter().map(String::len).sum(),
            Self::Ns(set) => set.iter().map(Decimal::size_bytes).sum(),
            Self::Bs(set) => set.iter().map(Vec::len).sum(),
        }
    }
}

/// Reads the attributes of an item.
///
/// # Errors
/// As [`AttributeValue::from_json`].
pub fn item_from_json(json: &Value) -> Result<Item, ServiceError> {
    let object = json.as_object().ok_or_else(|| wrong_form("M", json))?;
    object.iter().map(|(name, value)| Ok((name.clone(), AttributeValue::from_json(value)?))).collect()
}

/// The JSON form of an item.
pub fn item_to_json(item: &Item) -> Value {
    Value::Object(item.iter().map(|(name, value)| (name.clone(), value.to_json())).collect::<Map<_, _>>())
}

/// Bytes an item counts for: the names and the values of its attributes.
pub fn item_size_bytes(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value.size_bytes()).sum()
}

fn invalid(what: &str) -> ServiceError {
    validation(format!("One or more parameter values were invalid: {what}"))
}

fn wrong_form(kind: &str, value: &Value) -> ServiceError {
    ServiceError::new(400, "SerializationException", format!("value of type {kind} has the form {value}"))
}

fn text<'a>(kind: &str, value: &'a Value) -> Result<&'a str, ServiceError> {
    value.as_str().ok_or_else(|| wrong_form(kind, value))
}

fn list<'a>(kind: &str, value: &'a Value) -> Result<&'a Vec<Value>, ServiceError> {
    value.as_array().ok_or_else(|| wrong_form(kind, value))
}

fn number(text: &str) -> Result<Decimal, ServiceError> {
    Decimal::parse(text).map_err(|error| validation(error.to_string()))
}

fn bytes(text: &str) -> Result<Vec<u8>, ServiceError> {
    BASE64.decode(text).map_err(|_| wrong_form("B", &json!(text)))
}

fn set<T: Ord>(
    kind: &str,
    value: &Value,
    noun: &str,
    read: impl Fn(&str) -> Result<T, ServiceError>,
) -> Result<BTreeSet<T>, ServiceError> {
    let members = list(kind, value)?;
    if members.is_empty() {
        // The doubled space is DynamoDB's.
        return Err(invalid(&format!("An {noun} set  may not be empty")));
    }
    let mut set = BTreeSet::new();
    for member in members {
        if !set.insert(read(text(kind, member)?)?) {
            let all: Vec<&str> = members.iter().filter_map(Value::as_str).collect();
            return Err(invalid(&format!("Input collection [{}] contains duplicates.", all.join(", "))));
        }
    }
    Ok(set)
}

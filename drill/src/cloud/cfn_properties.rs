//! Reading the CloudFormation properties of one resource, strictly.
//!
//! What the model does not know is refused by name: a property that is silently ignored would make the
//! model differ from the stack that is deployed.

use serde_json::{Map, Value};

/// Why a resource's properties were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// The property is not one the model knows.
    #[error(
        "{resource}: property {property} is not known to the model (known: {known}); remove it, or teach the model"
    )]
    Unknown {
        /// The resource's CloudFormation type.
        resource: &'static str,
        /// The property's path.
        property: String,
        /// The names that are known at that place.
        known: String,
    },
    /// The property is known, and the model refuses it.
    #[error("{resource}: {property} is not supported by the model: {reason}")]
    Unsupported {
        /// The resource's CloudFormation type.
        resource: &'static str,
        /// The property's path, or the expression's part.
        property: String,
        /// Why, and what to use instead.
        reason: String,
    },
    /// A required property is absent.
    #[error("{resource}: property {property} is missing; it must be {allowed}")]
    Missing {
        /// The resource's CloudFormation type.
        resource: &'static str,
        /// The property's path.
        property: String,
        /// The values that are allowed.
        allowed: String,
    },
    /// The value is of the wrong type or out of range.
    #[error("{resource}: property {property} is {value}; it must be {allowed}")]
    Invalid {
        /// The resource's CloudFormation type.
        resource: &'static str,
        /// The property's path.
        property: String,
        /// The value found.
        value: String,
        /// The values that are allowed.
        allowed: String,
    },
}

/// The properties of one resource, or one object nested in them, read by name.
#[derive(Debug, Clone)]
pub struct Properties<'a> {
    resource: &'static str,
    path: String,
    map: &'a Map<String, Value>,
}

impl<'a> Properties<'a> {
    /// Wraps `value`, which must be an object whose keys are all among `known`.
    ///
    /// # Errors
    /// [`PropertyError::Invalid`] when it is no object, [`PropertyError::Unknown`] naming the first other key.
    pub fn new(resource: &'static str, value: &'a Value, known: &[&str]) -> Result<Self, PropertyError> {
        Self::nested(resource, String::new(), value, known)
    }

    fn nested(
        resource: &'static str,
        path: String,
        value: &'a Value,
        known: &[&str],
    ) -> Result<Self, PropertyError> {
        let Value::Object(map) = value else {
            let property = if path.is_empty() { "Properties".to_owned() } else { path };
            let allowed = "an object, with intrinsic functions resolved".to_owned();
            return Err(PropertyError::Invalid { resource, property, value: value.to_string(), allowed });
        };
        let this = Self { resource, path, map };
        match map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => {
                Err(PropertyError::Unknown { resource, property: this.name(key), known: known.join(", ") })
            }
            None => Ok(this),
        }
    }

    /// The property's path within the resource, for messages.
    pub fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The raw value; a JSON null counts as absent.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// The error for a value that is not `allowed`.
    pub fn invalid(&self, key: &str, allowed: impl Into<String>) -> PropertyError {
        let value = self.get(key).map_or_else(|| "absent".to_owned(), Value::to_string);
        let (property, allowed) = (self.name(key), allowed.into());
        PropertyError::Invalid { resource: self.resource, property, value, allowed }
    }

    /// The error for a property that the model refuses.
    pub fn unsupported(&self, key: &str, reason: impl Into<String>) -> PropertyError {
        PropertyError::Unsupported {
            resource: self.resource,
            property: self.name(key),
            reason: reason.into(),
        }
    }

    /// The error for a property that must be there.
    pub fn missing(&self, key: &str, allowed: impl Into<String>) -> PropertyError {
        PropertyError::Missing { resource: self.resource, property: self.name(key), allowed: allowed.into() }
    }

    /// A string.
    ///
    /// # Errors
    /// When the value is of another type.
    pub fn string(&self, key: &str) -> Result<Option<&'a str>, PropertyError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.invalid(key, "a string")),
        }
    }

    /// One of the `allowed` strings.
    ///
    /// # Errors
    /// When the value is any other.
    pub fn one_of(&self, key: &str, allowed: &[&str]) -> Result<Option<&'a str>, PropertyError> {
        match self.string(key)? {
            Some(text) if !allowed.contains(&text) => {
                Err(self.invalid(key, format!("one of {}", allowed.join(", "))))
            }
            found => Ok(found),
        }
    }

    /// A Boolean; CloudFormation also takes the strings `true` and `false`.
    ///
    /// # Errors
    /// When the value is any other.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, PropertyError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(_) => Err(self.invalid(key, "true or false")),
        }
    }

    /// A whole number in `min..=max`; CloudFormation also takes it as a string.
    ///
    /// # Errors
    /// When the value is no whole number or out of range.
    pub fn integer(&self, key: &str, min: u64, max: u64) -> Result<Option<u64>, PropertyError> {
        let found = match self.get(key) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        match found {
            Some(number) if (min..=max).contains(&number) => Ok(Some(number)),
            _ => Err(self.invalid(key, format!("a whole number from {min} to {max}"))),
        }
    }

    /// A finite number; CloudFormation also takes it as a string.
    ///
    /// # Errors
    /// When the value is no finite number.
    pub fn number(&self, key: &str) -> Result<Option<f64>, PropertyError> {
        let found = match self.get(key) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.parse::<f64>().ok(),
            Some(_) => None,
        };
        match found {
            Some(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(self.invalid(key, "a finite number")),
        }
    }

    /// A nested object whose keys are all among `known`.
    ///
    /// # Errors
    /// As [`Properties::new`].
    pub fn object(&self, key: &str, known: &[&str]) -> Result<Option<Self>, PropertyError> {
        self.get(key).map(|value| Self::nested(self.resource, self.name(key), value, known)).transpose()
    }

    /// A list of objects whose keys are all among `known`; absent is empty.
    ///
    /// # Errors
    /// As [`Properties::new`].
    pub fn objects(&self, key: &str, known: &[&str]) -> Result<Vec<Self>, PropertyError> {
        let items = match self.get(key) {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(self.invalid(key, "a list of objects")),
        };
        let nested =
            |(index, item)| Self::nested(self.resource, format!("{}[{index}]", self.name(key)), item, known);
        items.iter().enumerate().map(nested).collect()
    }

    /// A list of strings; absent is empty.
    ///
    /// # Errors
    /// When the value is no list, or holds anything else.
    pub fn strings(&self, key: &str) -> Result<Vec<String>, PropertyError> {
        let wrong = || self.invalid(key, "a list of strings, with intrinsic functions resolved");
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
            }
            Some(_) => Err(wrong()),
        }
    }
}

//! JSON documents as they flow between states: shared, with what is computed from them kept.

use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::rc::Rc;

use indexmap::IndexMap;
use jsonata_core::value::{JValue, with_stack};
use serde::Deserialize;
use serde_json::{Number, Value};

/// The most that a state's input, output, result or variables may hold, in bytes of UTF-8 JSON
/// (Step Functions quota: 256 KiB).
pub const DATA_LIMIT_BYTES: usize = 256 * 1024;

/// An immutable JSON document. Clones share it, so that a state which passes its input on costs
/// nothing, and its size and its form as a JSONata value are computed at most once.
#[derive(Clone)]
pub struct Data(Rc<Inner>);

struct Inner {
    json: Value,
    jsonata: OnceCell<Result<JValue, NotExact>>,
    size_bytes: OnceCell<usize>,
}

/// An integer that JSONata's numbers here, which are doubles, cannot hold.
#[derive(Clone, Debug)]
pub(super) struct NotExact(pub String);

impl Data {
    /// Wraps a JSON value.
    pub fn new(json: Value) -> Data {
        Data(Rc::new(Inner { json, jsonata: OnceCell::new(), size_bytes: OnceCell::new() }))
    }

    /// The document.
    pub fn json(&self) -> &Value {
        &self.0.json
    }

    /// Its length as compact JSON in UTF-8.
    pub fn size_bytes(&self) -> usize {
        *self.0.size_bytes.get_or_init(|| json_size(&self.0.json))
    }

    /// The document as JSONata sees it.
    pub(super) fn jsonata(&self) -> Result<JValue, NotExact> {
        self.0.jsonata.get_or_init(|| to_jsonata(&self.0.json)).clone()
    }

    /// Takes over the result of an expression.
    ///
    /// # Errors
    /// The kind of value, where it has no form in JSON.
    pub(super) fn from_jsonata(value: JValue) -> Result<Data, &'static str> {
        let data = Data::new(from_jsonata(&value)?);
        // Sequences and their flags are an affair of the expression that made them: later
        // expressions see plain JSON, so the value is converted anew when one asks.
        Ok(data)
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.json)
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.json)
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Data) -> bool {
        Rc::ptr_eq(&self.0, &other.0) || self.0.json == other.0.json
    }
}

/// The length of a value as compact JSON.
fn json_size(value: &Value) -> usize {
    struct Counter(usize);
    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, value).expect("a counter takes any bytes");
    counter.0
}

/// Builds a JSONata object.
pub(super) fn jsonata_object<const N: usize>(fields: [(&str, JValue); N]) -> JValue {
    let fields: IndexMap<String, JValue> =
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    JValue::object(fields)
}

fn to_jsonata(value: &Value) -> Result<JValue, NotExact> {
    find_inexact(value)?;
    Ok(JValue::deserialize(value).expect("every JSON value has a form in JSONata"))
}

/// Step Functions keeps integers exact up to 64 bits. Doubles do not, so that a larger one must not
/// pass through an expression unnoticed.
fn find_inexact(value: &Value) -> Result<(), NotExact> {
    match value {
        Value::Number(number) if number.as_i64().is_some_and(|n| n as f64 as i128 != n.into()) => {
            Err(NotExact(number.to_string()))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        Value::Array(items) => items.iter().try_for_each(find_inexact),
        Value::Object(fields) => fields.values().try_for_each(find_inexact),
    }
}

fn from_jsonata(value: &JValue) -> Result<Value, &'static str> {
    Ok(match value {
        JValue::Null => Value::Null,
        JValue::Bool(flag) => Value::Bool(*flag),
        JValue::Number(number) => from_number(*number),
        JValue::String(text) => Value::String(text.to_string()),
        JValue::Array(items) => with_stack(|| {
            let defined = items.iter().filter(|item| !item.is_undefined());
            defined.map(from_jsonata).collect::<Result<_, _>>().map(Value::Array)
        })?,
        JValue::Object(fields) => with_stack(|| {
            let defined = fields.iter().filter(|(_, field)| !field.is_undefined());
            let converted = defined.map(|(name, field)| Ok((name.clone(), from_jsonata(field)?)));
            converted.collect::<Result<_, &'static str>>().map(Value::Object)
        })?,
        JValue::Undefined => return Err("undefined"),
        JValue::Regex { .. } => return Err("regular expression"),
        JValue::Lambda(_) | JValue::Builtin { .. } => return Err("function"),
    })
}

/// A whole number is written as an integer; one that is not finite as the text that JavaScript
/// calls it by, as Step Functions does.
fn from_number(number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return Value::from(number as i64);
    }
    match Number::from_f64(number) {
        Some(number) => Value::Number(number),
        None if number.is_nan() => Value::from("NaN"),
        None if number > 0.0 => Value::from("Infinity"),
        None => Value::from("-Infinity"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn size_is_that_of_compact_utf8_json() {
        for value in [json!(null), json!("é\n"), json!({"a": [1, 2.5, true], "b": {}}), json!(1e300)] {
            assert_eq!(Data::new(value.clone()).size_bytes(), value.to_string().len(), "{value}");
        }
    }

    #[test]
    fn values_survive_the_way_through_jsonata() {
        let value = json!({"a": [1, -2.5, "x", null, true, [], {}, [[1]]], "z": {"y": 1, "b": 2}});
        let back = Data::from_jsonata(Data::new(value.clone()).jsonata().unwrap()).unwrap();
        assert_eq!(back.to_string(), value.to_string());
    }

    #[test]
    fn integers_that_a_double_cannot_hold_are_noticed() {
        let exact = json!([9_007_199_254_740_992_i64, i64::MIN, 1u64 << 63]);
        assert!(Data::new(exact).jsonata().is_ok());
        let error = Data::new(json!({"id": [9_007_199_254_740_993_i64]})).jsonata().unwrap_err();
        assert_eq!(error.0, "9007199254740993");
        assert!(Data::new(json!(i64::MAX)).jsonata().is_err());
    }

    #[test]
    fn numbers_that_are_not_finite_are_written_as_words() {
        let words = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(from_number);
        assert_eq!(words, [json!("NaN"), json!("Infinity"), json!("-Infinity")]);
        assert_eq!(from_number(-0.0), json!(0));
    }
}

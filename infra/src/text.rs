//! Text in a template: a literal, or an intrinsic function that CloudFormation resolves.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

/// A string property.
///
/// Only these forms occur in our templates, so whoever loads one needs to know no other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Text {
    /// The text itself.
    Literal(String),
    /// `Ref`: a parameter's or pseudo parameter's value, or a resource's main identifier.
    Ref(String),
    /// `Fn::GetAtt`: an attribute of a resource.
    GetAtt(String, &'static str),
    /// `Fn::Sub` in its short form: `${Name}` and `${Resource.Attribute}` are filled in.
    Sub(String),
    /// Parts of a parameter that holds an ARN, counted from 0, with colons between them. It occurs only in templates
    /// with parameters for a consumer.
    ArnParts(String, &'static [u8]),
    /// `Fn::Join` without anything in between.
    Joined(Vec<Text>),
}

impl Text {
    /// A literal.
    pub fn literal(text: impl Into<String>) -> Text {
        Text::Literal(text.into())
    }

    /// These texts one after the other: a literal if all are, `Fn::Sub` where that can say it, else `Fn::Join`.
    pub fn joined(parts: Vec<Text>) -> Text {
        let mut all_literal = true;
        let mut sub = String::new();
        for part in &parts {
            all_literal &= matches!(part, Text::Literal(_));
            match part {
                // `${!` stands for a `${` that is meant as it is.
                Text::Literal(text) => sub.push_str(&text.replace("${", "${!")),
                Text::Ref(id) => sub.push_str(&format!("${{{id}}}")),
                Text::GetAtt(id, attribute) => sub.push_str(&format!("${{{id}.{attribute}}}")),
                Text::Sub(text) => sub.push_str(text),
                Text::ArnParts(..) | Text::Joined(_) => return Text::Joined(parts),
            }
        }
        if all_literal {
            let literal = |part| if let Text::Literal(text) = part { text } else { String::new() };
            return Text::Literal(parts.into_iter().map(literal).collect());
        }
        Text::Sub(sub)
    }

    /// A text with `${...}` in it.
    pub fn sub(text: impl Into<String>) -> Text {
        Text::Sub(text.into())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text::literal(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text::Literal(text)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Text::Literal(text) => serializer.serialize_str(text),
            Text::Ref(id) => function(serializer, "Ref", id),
            Text::GetAtt(id, attribute) => function(serializer, "Fn::GetAtt", &[id, *attribute]),
            Text::Sub(text) => function(serializer, "Fn::Sub", text),
            Text::Joined(parts) => function(serializer, "Fn::Join", &("", parts)),
            Text::ArnParts(parameter, parts) => {
                let part = |index: &u8| json!({ "Fn::Select": [index, { "Fn::Split": [":", { "Ref": parameter }] }] });
                match parts {
                    [only] => part(only).serialize(serializer),
                    several => {
                        let several: Vec<Value> = several.iter().map(part).collect();
                        function(serializer, "Fn::Join", &(":", several))
                    }
                }
            }
        }
    }
}

/// `{"NAME": ARGUMENT}`.
fn function<S: Serializer>(serializer: S, name: &str, argument: &impl Serialize) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(name, argument)?;
    map.end()
}

//! The resource types that are modelled, and the names, ARNs and attributes they get.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Environment;
use super::resolve::name_suffix;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A resource type.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $variant,)*
        }

        impl Kind {
            const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The type's name, such as `AWS::SQS::Queue`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// A queue.
    Queue = "AWS::SQS::Queue",
    /// Who may use a queue.
    QueuePolicy = "AWS::SQS::QueuePolicy",
    /// A function.
    Function = "AWS::Lambda::Function",
    /// What feeds a function from a queue.
    EventSourceMapping = "AWS::Lambda::EventSourceMapping",
    /// Who may invoke a function.
    Permission = "AWS::Lambda::Permission",
    /// A role.
    Role = "AWS::IAM::Role",
    /// A policy attached to roles.
    Policy = "AWS::IAM::Policy",
    /// A log group.
    LogGroup = "AWS::Logs::LogGroup",
    /// A metric alarm.
    Alarm = "AWS::CloudWatch::Alarm",
    /// A composite alarm.
    CompositeAlarm = "AWS::CloudWatch::CompositeAlarm",
    /// An event rule.
    Rule = "AWS::Events::Rule",
    /// An event bus.
    EventBus = "AWS::Events::EventBus",
    /// A state machine.
    StateMachine = "AWS::StepFunctions::StateMachine",
    /// A DynamoDB table.
    Table = "AWS::DynamoDB::Table",
    /// A topic.
    Topic = "AWS::SNS::Topic",
    /// Who may use a topic.
    TopicPolicy = "AWS::SNS::TopicPolicy",
    /// An encryption key.
    Key = "AWS::KMS::Key",
}

impl Kind {
    /// The type with this name, if it is modelled.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// The names of all types, for messages.
    pub fn all_names() -> String {
        Self::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
    }

    /// The property that fixes the name, and the most characters a name has.
    fn naming(self) -> (Option<&'static str>, usize) {
        match self {
            Self::Queue => (Some("QueueName"), 80),
            Self::Function => (Some("FunctionName"), 64),
            Self::Role => (Some("RoleName"), 64),
            Self::LogGroup => (Some("LogGroupName"), 512),
            Self::Alarm | Self::CompositeAlarm => (Some("AlarmName"), 255),
            Self::Rule => (Some("Name"), 64),
            Self::EventBus => (Some("Name"), 256),
            Self::StateMachine => (Some("StateMachineName"), 80),
            Self::Table => (Some("TableName"), 255),
            Self::Topic => (Some("TopicName"), 256),
            Self::QueuePolicy | Self::Permission | Self::Policy | Self::TopicPolicy => (None, 128),
            Self::EventSourceMapping | Self::Key => (None, 128),
        }
    }
}

/// How a resource is known.
#[derive(Debug)]
pub struct Identity {
    pub name: String,
    /// What `Ref` gives.
    pub physical_id: String,
    pub arn: Option<String>,
    /// What `Fn::GetAtt` gives.
    pub attributes: BTreeMap<String, String>,
    /// Problems with the path of their property.
    pub problems: Vec<(String, String)>,
}

/// Names a resource as CloudFormation would.
pub fn identify(kind: Kind, logical_id: &str, properties: &Value, environment: &Environment) -> Identity {
    let mut problems = Vec::new();
    let fifo = properties.get("FifoQueue").or(properties.get("FifoTopic")).is_some_and(is_true);
    let (name_property, max_length) = kind.naming();
    let fixed = name_property.and_then(|property| properties.get(property)).and_then(Value::as_str);
    let name = match (fixed, kind) {
        (Some(name), _) => name.to_owned(),
        (None, Kind::EventSourceMapping | Kind::Key) => {
            uuid(&format!("{} {}", environment.stack_name, name_suffix(environment, logical_id)))
        }
        (None, Kind::EventBus) => {
            problems.push((".Name".into(), "is missing".into()));
            logical_id.to_owned()
        }
        (None, _) => generated_name(environment, logical_id, max_length, fifo),
    };
    let property = name_property.map_or(String::new(), |property| format!(".{property}"));
    if name.is_empty() || name.len() > max_length {
        problems.push((property.clone(), format!("{name}: allowed are 1 to {max_length} characters")));
    }
    if [Kind::Queue, Kind::Topic].contains(&kind) && fifo != name.ends_with(".fifo") {
        let rule = "a FIFO name ends in .fifo, and no other does";
        problems.push((property, format!("{name}: {rule}")));
    }
    let (physical_id, arn, attributes) = addresses(kind, &name, properties, environment);
    let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Identity { name, physical_id, arn, attributes, problems }
}

type Addresses = (String, Option<String>, Vec<(&'static str, String)>);

fn addresses(kind: Kind, name: &str, properties: &Value, environment: &Environment) -> Addresses {
    let Environment { account, region, partition, .. } = environment;
    let arn = |service: &str, rest: &str| format!("arn:{partition}:{service}:{region}:{account}:{rest}");
    let name_and = |arn: String, attributes: Vec<(&'static str, String)>| {
        let with_arn = attributes.into_iter().chain([("Arn", arn.clone())]).collect();
        (name.to_owned(), Some(arn), with_arn)
    };
    match kind {
        Kind::Queue => {
            let suffix = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
            let url = format!("https://sqs.{region}.{suffix}/{account}/{name}");
            let arn = arn("sqs", name);
            let attributes =
                vec![("Arn", arn.clone()), ("QueueName", name.to_owned()), ("QueueUrl", url.clone())];
            (url, Some(arn), attributes)
        }
        Kind::Function => name_and(arn("lambda", &format!("function:{name}")), vec![]),
        Kind::EventSourceMapping => {
            let arn = arn("lambda", &format!("event-source-mapping:{name}"));
            let attributes = vec![("Id", name.to_owned()), ("EventSourceMappingArn", arn.clone())];
            (name.to_owned(), Some(arn), attributes)
        }
        Kind::Role => {
            let path = properties.get("Path").and_then(Value::as_str).unwrap_or("/");
            let id = format!("AROA{}", short_hash(&format!("role {account} {name}"), 17));
            name_and(format!("arn:{partition}:iam::{account}:role{path}{name}"), vec![("RoleId", id)])
        }
        Kind::LogGroup => {
            // CloudFormation's attribute has the trailing star, which IAM policies want.
            let arn = arn("logs", &format!("log-group:{name}"));
            (name.to_owned(), Some(arn.clone()), vec![("Arn", format!("{arn}:*"))])
        }
        Kind::Alarm | Kind::CompositeAlarm => name_and(arn("cloudwatch", &format!("alarm:{name}")), vec![]),
        Kind::Rule => {
            let bus = properties.get("EventBusName").and_then(Value::as_str).unwrap_or("default");
            let bus = bus.rsplit('/').next().unwrap_or(bus);
            let (id, rest) = match bus {
                "default" => (name.to_owned(), format!("rule/{name}")),
                bus => (format!("{bus}|{name}"), format!("rule/{bus}/{name}")),
            };
            let arn = arn("events", &rest);
            (id, Some(arn.clone()), vec![("Arn", arn)])
        }
        Kind::EventBus => {
            name_and(arn("events", &format!("event-bus/{name}")), vec![("Name", name.to_owned())])
        }
        Kind::StateMachine => {
            let arn = arn("states", &format!("stateMachine:{name}"));
            (arn.clone(), Some(arn.clone()), vec![("Arn", arn), ("Name", name.to_owned())])
        }
        Kind::Table => name_and(arn("dynamodb", &format!("table/{name}")), vec![]),
        Kind::Topic => {
            let arn = arn("sns", name);
            (arn.clone(), Some(arn.clone()), vec![("TopicArn", arn), ("TopicName", name.to_owned())])
        }
        Kind::Key => name_and(arn("kms", &format!("key/{name}")), vec![("KeyId", name.to_owned())]),
        Kind::QueuePolicy | Kind::Permission | Kind::Policy | Kind::TopicPolicy => {
            (name.to_owned(), None, vec![("Id", name.to_owned())])
        }
    }
}

fn is_true(value: &Value) -> bool {
    value == &Value::Bool(true) || value.as_str() == Some("true")
}

/// `stack-LogicalId-XXXXXXXXXXXX`, with stack and logical id cut where the service wants shorter names.
fn generated_name(environment: &Environment, logical_id: &str, max_length: usize, fifo: bool) -> String {
    let ending = format!("-{}{}", name_suffix(environment, logical_id), if fifo { ".fifo" } else { "" });
    let room = max_length - ending.len() - 1;
    let stack = &environment.stack_name;
    let stack_length = stack.len().min(room.saturating_sub(logical_id.len()).max(room / 2));
    let id_length = logical_id.len().min(room - stack_length);
    // Stack names and logical ids are ASCII, so a byte is a character.
    let cut = |text: &str, length: usize| text.chars().take(length).collect::<String>();
    format!("{}-{}{ending}", cut(stack, stack_length), cut(logical_id, id_length))
}

/// The first characters of a hash, in capital letters and digits.
pub fn short_hash(text: &str, length: usize) -> String {
    const ALPHABET: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(length).map(|byte| char::from(ALPHABET[usize::from(*byte) % 36])).collect()
}

/// A UUID made from a hash.
pub fn uuid(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

/// CloudFormation passes a function's environment variables on as texts, whatever they are written as.
pub fn texts_of_variables(properties: &mut Value) {
    let variables = properties.pointer_mut("/Environment/Variables").and_then(Value::as_object_mut);
    for value in variables.into_iter().flat_map(|map| map.values_mut()) {
        if value.is_number() || value.is_boolean() {
            *value = Value::String(value.to_string());
        }
    }
}

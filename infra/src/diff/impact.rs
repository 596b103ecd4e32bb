//! How bad a change is for the resource that it is made to.

use serde::Serialize;
use serde_json::Value;

/// What happens to a resource, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Impact {
    /// It is deleted, and what it holds with it.
    Destroy,
    /// A new one takes its place: another physical id, and what the old one holds is gone.
    Replace,
    /// CloudFormation may replace it; which, is not known beforehand.
    MayReplace,
    /// It leaves the stack but stays in the account.
    Retain,
    /// It is changed in place.
    Update,
    /// It is made.
    Create,
}

impl Impact {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Impact::Destroy => "destroy",
            Impact::Replace => "replace",
            Impact::MayReplace => "may replace",
            Impact::Retain => "retain",
            Impact::Update => "update",
            Impact::Create => "create",
        }
    }

    /// The worse of the two.
    pub(super) fn max_with(self, other: Impact) -> Impact {
        self.min(other)
    }
}

/// Properties that cannot be changed in place, by type: `createOnlyProperties` and `conditionalCreateOnlyProperties` of
/// the types' schemas in the CloudFormation registry. Those with a `?` are replaced under conditions only.
const CREATE_ONLY: &[(&str, &[&str])] = &[
    ("AWS::CloudWatch::Alarm", &["AlarmName"]),
    ("AWS::CloudWatch::CompositeAlarm", &["AlarmName"]),
    ("AWS::DynamoDB::Table", &["TableName", "ImportSourceSpecification", "KeySchema?"]),
    ("AWS::Events::Rule", &["Name", "EventBusName?"]),
    ("AWS::IAM::Policy", &[]),
    ("AWS::IAM::Role", &["Path", "RoleName"]),
    ("AWS::KMS::Key", &[]),
    (
        "AWS::Lambda::EventSourceMapping",
        &["EventSourceArn", "StartingPosition", "StartingPositionTimestamp", "SelfManagedEventSource"],
    ),
    ("AWS::Lambda::Function", &["FunctionName", "PackageType", "TenancyConfig", "DurableConfig?"]),
    ("AWS::Lambda::Permission", &["Action", "FunctionName", "Principal", "SourceArn"]),
    ("AWS::Logs::LogGroup", &["LogGroupName"]),
    ("AWS::SQS::Queue", &["FifoQueue", "QueueName"]),
    ("AWS::SQS::QueuePolicy", &[]),
    ("AWS::StepFunctions::StateMachine", &["StateMachineName", "StateMachineType"]),
];

/// Whether the type's properties are known here. A test holds every type that the stack uses against it.
#[cfg(test)]
pub(super) fn knows(resource_type: &str) -> bool {
    CREATE_ONLY.iter().any(|(known, _)| *known == resource_type)
}

/// What a change of `path` does to a resource of this type. A type that is not known here may be replaced.
pub(super) fn of_property(resource_type: &str, path: &str) -> Impact {
    let Some((_, create_only)) = CREATE_ONLY.iter().find(|(known, _)| *known == resource_type) else {
        return Impact::MayReplace;
    };
    let top = path.split(['.', '[']).next().unwrap_or_default();
    let entry = create_only.iter().find(|name| name.trim_end_matches('?') == top);
    match entry {
        Some(name) if name.ends_with('?') => Impact::MayReplace,
        Some(_) => Impact::Replace,
        None => Impact::Update,
    }
}

/// What becomes of a resource that the new template no longer has.
pub(super) fn of_removal(resource: &Value) -> Impact {
    match resource["DeletionPolicy"].as_str() {
        Some("Retain" | "RetainExceptOnCreate") => Impact::Retain,
        _ => Impact::Destroy,
    }
}

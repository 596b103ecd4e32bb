//! A Lambda function with a role and a log group of its own.

use std::collections::BTreeMap;

use workflow::contract::FunctionKind;

use crate::assets::Assets;
use crate::error::SynthError;
use crate::policy::{MAX_ROLE_POLICY_LENGTH, PolicyDocument, Statement};
use crate::resources::iam::{InlinePolicy, Role};
use crate::resources::lambda::{Code, Environment, Function, LoggingConfig};
use crate::resources::logs::LogGroup;
use crate::template::{Attributes, Deletion, Handle, Scope, Template};
use crate::text::Text;

/// Memory of every function, MB. The binaries need a fraction of it; what they get is the share of a CPU that makes
/// TLS handshakes short.
const MEMORY_MB: u32 = 256;

/// What makes one function differ from another.
#[derive(Debug)]
pub struct FunctionSettings<'a> {
    /// Which one.
    pub kind: FunctionKind,
    /// What it does.
    pub description: &'a str,
    /// Seconds, 1 to 900.
    pub timeout_s: u32,
    /// Environment variables.
    pub variables: BTreeMap<&'static str, Text>,
    /// What its role allows beside writing its own logs.
    pub statements: Vec<Statement>,
    /// Days for which its logs are kept.
    pub retention_days: u32,
}

/// Adds the function, its role and its log group.
///
/// # Errors
/// [`SynthError::PolicyTooLong`] when the statements do not fit one role.
pub fn function(
    template: &mut Template,
    scope: &Scope,
    assets: &Assets,
    settings: FunctionSettings<'_>,
) -> Result<Handle, SynthError> {
    let segment = segment(settings.kind);
    let logs = template.resource_with(
        &scope.child(&format!("{segment}LogGroup")),
        LogGroup { retention_in_days: settings.retention_days },
        Attributes { deletion: Some(Deletion::Delete), ..Attributes::default() },
    );
    let write_logs =
        Statement::allow("WriteOwnLogs", &["logs:CreateLogStream", "logs:PutLogEvents"], vec![logs.arn()]);
    let policy = PolicyDocument::new(std::iter::once(write_logs).chain(settings.statements).collect());
    let role_scope = scope.child(&format!("{segment}Role"));
    let role = template.resource(&role_scope, role("lambda.amazonaws.com", policy, &role_scope)?);
    Ok(template.resource(
        &scope.child(segment),
        Function {
            description: settings.description.to_owned(),
            runtime: "provided.al2023",
            handler: settings.kind.name().to_owned(),
            architectures: vec![assets.architecture.clone()],
            code: Code { s3_bucket: assets.bucket.clone(), s3_key: assets.key(settings.kind) },
            role: role.arn(),
            timeout: settings.timeout_s,
            memory_size: MEMORY_MB,
            logging_config: LoggingConfig { log_format: "JSON", log_group: logs.reference() },
            environment: Environment { variables: settings.variables },
        },
    ))
}

/// A role for `service` with one policy.
///
/// # Errors
/// [`SynthError::PolicyTooLong`] when IAM would refuse the policy.
pub fn role(service: &str, policy: PolicyDocument, scope: &Scope) -> Result<Role, SynthError> {
    let length = policy.length();
    if length > MAX_ROLE_POLICY_LENGTH {
        return Err(SynthError::PolicyTooLong { role: scope.path(), length, max: MAX_ROLE_POLICY_LENGTH });
    }
    // Lambda assumes an execution role without naming an account, so a condition on it would lock the function out.
    let assume_role_policy_document = if service == "lambda.amazonaws.com" {
        PolicyDocument::assumed_by(service)
    } else {
        PolicyDocument::assumed_by_for_this_account(service)
    };
    let policies = if policy.is_empty() {
        Vec::new()
    } else {
        vec![InlinePolicy { policy_name: "Permissions", policy_document: policy }]
    };
    Ok(Role { assume_role_policy_document, policies })
}

/// Last segment of a function's path.
pub fn segment(kind: FunctionKind) -> &'static str {
    match kind {
        FunctionKind::Mapping => "MappingFunction",
        FunctionKind::Probe => "ProbeFunction",
        FunctionKind::Rejitter => "RejitterFunction",
        FunctionKind::Queue => "QueueFunction",
        FunctionKind::Reconciler => "ReconcilerFunction",
        FunctionKind::Signal => "SignalFunction",
        FunctionKind::Consumer => "ConsumerFunction",
    }
}

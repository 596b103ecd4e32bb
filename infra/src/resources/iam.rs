//! AWS Identity and Access Management.

use serde::Serialize;

use crate::policy::PolicyDocument;
use crate::template::Properties;
use crate::text::Text;

/// `AWS::IAM::Role`. `Ref` yields the name.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Role {
    /// Who may assume it.
    pub assume_role_policy_document: PolicyDocument,
    /// What it may do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<InlinePolicy>,
}

impl Properties for Role {
    const TYPE: &'static str = "AWS::IAM::Role";
}

/// A policy that is part of a role.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InlinePolicy {
    /// Unique within its role only.
    pub policy_name: &'static str,
    /// What it allows.
    pub policy_document: PolicyDocument,
}

/// `AWS::IAM::Policy`: an inline policy that is added to a role afterwards, for permissions on something that itself
/// needs the role.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    /// Unique within its roles only.
    pub policy_name: &'static str,
    /// Names of the roles.
    pub roles: Vec<Text>,
    /// What it allows.
    pub policy_document: PolicyDocument,
}

impl Properties for Policy {
    const TYPE: &'static str = "AWS::IAM::Policy";
}

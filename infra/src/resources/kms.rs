//! AWS Key Management Service.

use serde::Serialize;

use crate::policy::PolicyDocument;
use crate::template::Properties;

/// `AWS::KMS::Key`. `Ref` yields the id.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Key {
    /// What it encrypts.
    pub description: String,
    /// Whether KMS makes a new key every year.
    pub enable_key_rotation: bool,
    /// Who may use and manage it.
    pub key_policy: PolicyDocument,
    /// Days between the deletion's request and the deletion, 7 to 30.
    pub pending_window_in_days: u32,
}

impl Properties for Key {
    const TYPE: &'static str = "AWS::KMS::Key";
}

//! IAM policy documents.

use serde::Serialize;
use serde_json::Value;

use crate::text::Text;

/// Longest sum of the inline policies of one role, characters without white space (IAM quota).
pub const MAX_ROLE_POLICY_LENGTH: usize = 10_240;

/// A policy document.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyDocument {
    version: &'static str,
    statement: Vec<Statement>,
}

impl PolicyDocument {
    /// A document of these statements, those without a resource left out.
    pub fn new(statements: Vec<Statement>) -> PolicyDocument {
        let has_object =
            |statement: &Statement| statement.resource.as_ref().is_none_or(|list| !list.is_empty());
        PolicyDocument {
            version: "2012-10-17",
            statement: statements.into_iter().filter(has_object).collect(),
        }
    }

    /// Who may assume a role: one service, without further conditions.
    pub fn assumed_by(service: &str) -> PolicyDocument {
        PolicyDocument::new(vec![Statement::trust(service)])
    }

    /// Who may assume a role: one service, on behalf of this account only, so that nobody else can make the service
    /// use the role (the confused deputy).
    pub fn assumed_by_for_this_account(service: &str) -> PolicyDocument {
        let account =
            Condition::new("StringEquals", "aws:SourceAccount", vec![Text::Ref("AWS::AccountId".into())]);
        PolicyDocument::new(vec![Statement::trust(service).when(account)])
    }

    /// Whether it allows anything.
    pub fn is_empty(&self) -> bool {
        self.statement.is_empty()
    }

    /// Its length as IAM counts: without white space. Intrinsic functions are counted as they are written, which is
    /// seldom shorter than what they yield.
    pub fn length(&self) -> usize {
        serde_json::to_string(self).map_or(usize::MAX, |text| text.len())
    }
}

/// One statement; all of ours allow.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    /// What it is for, letters and digits only.
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    effect: &'static str,
    /// Whom it allows; only in policies of resources and in trust policies.
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Principal>,
    /// Actions, `service:Action`.
    action: Vec<String>,
    /// ARNs; absent in trust policies, which are about the role itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<Vec<Text>>,
    /// Under which condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
}

impl Statement {
    /// Allows `actions` on `resources`.
    pub fn allow(sid: &str, actions: &[&str], resources: Vec<Text>) -> Statement {
        Statement {
            sid: Some(sid.to_owned()),
            effect: "Allow",
            principal: None,
            action: actions.iter().map(|&action| action.to_owned()).collect(),
            resource: Some(resources),
            condition: None,
        }
    }

    /// The same for `principal`: statements in policies of resources name whom they allow.
    pub fn to(self, principal: Principal) -> Statement {
        Statement { principal: Some(principal), ..self }
    }

    /// The same under a condition.
    pub fn when(self, condition: Condition) -> Statement {
        Statement { condition: Some(condition), ..self }
    }

    fn trust(service: &str) -> Statement {
        Statement {
            sid: None,
            effect: "Allow",
            principal: Some(Principal::Service(service.to_owned())),
            action: vec!["sts:AssumeRole".to_owned()],
            resource: None,
            condition: None,
        }
    }
}

/// Whom a statement allows.
#[derive(Clone, Debug, Serialize)]
pub enum Principal {
    /// A service, `NAME.amazonaws.com`.
    Service(String),
    /// An account, by the ARN of its root.
    #[serde(rename = "AWS")]
    Account(Text),
}

/// A condition with one operator and one key.
#[derive(Clone, Debug)]
pub struct Condition {
    operator: &'static str,
    key: &'static str,
    values: Vec<Text>,
}

impl Condition {
    /// `{OPERATOR: {KEY: VALUES}}`.
    pub fn new(operator: &'static str, key: &'static str, values: Vec<Text>) -> Condition {
        Condition { operator, key, values }
    }
}

impl Serialize for Condition {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values = match self.values.as_slice() {
            [one] => serde_json::to_value(one),
            many => serde_json::to_value(many),
        };
        let values: Value = values.map_err(serde::ser::Error::custom)?;
        serde_json::json!({ self.operator: { self.key: values } }).serialize(serializer)
    }
}

//! IAM: what the roles of a stack may do, and who may assume them.
//!
//! Only a role's own policies are looked at: `Policies` of the role and `AWS::IAM::Policy` resources
//! that name it. Resource policies, boundaries and organisation policies do not take part. Statements
//! with members or condition operators that are not modelled are refused by name.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use super::cloudformation::problem::{Properties, PropertyProblem};
use super::cloudformation::{Kind, LoadError, Resource, Stack};
use super::error::ServiceError;

/// The roles of a stack, by ARN.
#[derive(Debug, Clone, Default)]
pub struct Roles {
    roles: BTreeMap<String, Role>,
}

/// A role with the policies that apply to it.
#[derive(Debug, Clone)]
pub struct Role {
    /// The role's name.
    pub name: String,
    /// The role's ARN.
    pub arn: String,
    trust: Vec<Statement>,
    /// The name of each policy with its statements.
    policies: Vec<(String, Vec<Statement>)>,
}

/// What a role's policies say about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it, and none denies it.
    Allowed,
    /// A statement of this policy denies it.
    Denied {
        /// The policy's name.
        policy: String,
    },
    /// No statement allows it.
    NotAllowed,
}

#[derive(Debug, Clone)]
struct Statement {
    allows: bool,
    /// Service principals; only trust policies have them.
    services: Vec<String>,
    /// In lower case.
    actions: Vec<String>,
    resources: Vec<String>,
    conditions: Vec<Condition>,
}

/// One key of a condition: the call's value must match one of the patterns.
#[derive(Debug, Clone)]
struct Condition {
    key: String,
    values: Vec<String>,
    /// `ArnEquals` and `ArnLike` take wildcards, `StringEquals` does not.
    wildcards: bool,
}

const CONDITION_OPERATORS: [(&str, bool); 4] =
    // Every key that is asked about here has one value, for which `ForAllValues` changes nothing.
    [
        ("StringEquals", false),
        ("ForAllValues:StringEquals", false),
        ("ArnEquals", true),
        ("ArnLike", true),
    ];

impl Roles {
    /// The roles of a stack with their policies.
    ///
    /// # Errors
    /// Everything in a role or a policy that is wrong or not modelled.
    pub fn from_stack(stack: &Stack) -> Result<Self, Vec<LoadError>> {
        let mut errors = Vec::new();
        let mut by_name = BTreeMap::new();
        for resource in stack.of_kind(Kind::Role) {
            let mut properties = Properties::new(&resource.properties);
            let role = read_role(resource, &mut properties);
            note(resource, properties, &mut errors);
            by_name.insert(resource.name.clone(), role);
        }
        for resource in stack.of_kind(Kind::Policy) {
            let mut properties = Properties::new(&resource.properties);
            let policy = read_policy(&mut properties);
            let roles = properties.take("Roles");
            for (index, name) in roles.iter().flat_map(Value::as_array).flatten().enumerate() {
                match name.as_str().and_then(|name| by_name.get_mut(name)) {
                    Some(role) => role.policies.push(policy.clone()),
                    None => properties
                        .problem(&format!("Roles[{index}]"), format!("{name} is no role of the stack")),
                }
            }
            for member in ["Users", "Groups"] {
                if properties.take(member).is_some() {
                    properties.problem(member, "is not modelled; name roles");
                }
            }
            note(resource, properties, &mut errors);
        }
        if errors.is_empty() {
            Ok(Self { roles: by_name.into_values().map(|role| (role.arn.clone(), role)).collect() })
        } else {
            Err(errors)
        }
    }

    /// The role with this ARN.
    pub fn get(&self, arn: &str) -> Option<&Role> {
        self.roles.get(arn)
    }
}

impl Role {
    /// What the role's policies say about an action on a resource. An action that knows no resources
    /// is asked about with the resource `*`. `context` has the values of condition keys; a condition on
    /// a key that is not in it does not hold.
    pub fn decide(&self, action: &str, resource: &str, context: &BTreeMap<String, String>) -> Decision {
        let action = action.to_ascii_lowercase();
        let mut decision = Decision::NotAllowed;
        for (policy, statements) in &self.policies {
            for statement in statements.iter().filter(|one| one.covers(&action, resource, context)) {
                if !statement.allows {
                    return Decision::Denied { policy: policy.clone() };
                }
                decision = Decision::Allowed;
            }
        }
        decision
    }

    /// Refuses a call that the role may not make.
    ///
    /// # Errors
    /// `AccessDeniedException`, with the reason IAM gives.
    pub fn check(
        &self,
        action: &str,
        resource: &str,
        context: &BTreeMap<String, String>,
    ) -> Result<(), ServiceError> {
        let reason = match self.decide(action, resource, context) {
            Decision::Allowed => return Ok(()),
            Decision::Denied { .. } => "with an explicit deny in an identity-based policy".to_owned(),
            Decision::NotAllowed => format!("because no identity-based policy allows the {action} action"),
        };
        // Lambda answers with the status of HTTP, the JSON protocols with 400.
        let status = if action.starts_with("lambda:") { 403 } else { 400 };
        let user = self.arn.replacen(":iam::", ":sts::", 1).replacen(":role/", ":assumed-role/", 1);
        let message = format!(
            "User: {user}/session is not authorized to perform: {action} on resource: {resource} {reason}"
        );
        Err(ServiceError::new(status, "AccessDeniedException", message))
    }

    /// Whether a service, such as `lambda.amazonaws.com`, may assume the role.
    pub fn can_be_assumed_by(&self, service: &str, context: &BTreeMap<String, String>) -> bool {
        let applies = |statement: &&Statement| {
            statement.services.iter().any(|one| one == service)
                && statement.covers("sts:assumerole", "*", context)
        };
        let mut statements = self.trust.iter().filter(applies).peekable();
        statements.peek().is_some() && statements.all(|statement| statement.allows)
    }
}

impl Statement {
    /// `action` in lower case: IAM takes no notice of its case.
    fn covers(&self, action: &str, resource: &str, context: &BTreeMap<String, String>) -> bool {
        self.actions.iter().any(|pattern| matches_wildcards(pattern, action))
            && self.resources.iter().any(|pattern| matches_wildcards(pattern, resource))
            && self.conditions.iter().all(|condition| {
                context.get(&condition.key).is_some_and(|value| {
                    condition.values.iter().any(|pattern| match condition.wildcards {
                        true => matches_wildcards(pattern, value),
                        false => pattern == value,
                    })
                })
            })
    }
}

/// Whether a text matches a pattern in which `*` stands for any characters and `?` for one.
fn matches_wildcards(pattern: &str, text: &str) -> bool {
    if pattern.is_ascii() && text.is_ascii() {
        return matches(pattern.as_bytes(), text.as_bytes(), b'*', b'?');
    }
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    matches(&pattern, &text, '*', '?')
}

fn matches<C: PartialEq>(pattern: &[C], text: &[C], any: C, one: C) -> bool {
    let (mut at, mut position) = (0, 0);
    // Where the last star was, and how much of the text it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while position < text.len() {
        match (pattern.get(at), star) {
            (Some(sign), _) if *sign == any => {
                star = Some((at, position));
                at += 1;
            }
            (Some(sign), _) if *sign == one || *sign == text[position] => {
                at += 1;
                position += 1;
            }
            (_, Some((star_at, taken))) => {
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                position = taken + 1;
            }
            (_, None) => return false,
        }
    }
    pattern[at..].iter().all(|sign| *sign == any)
}

fn note(resource: &Resource, properties: Properties, errors: &mut Vec<LoadError>) {
    for PropertyProblem { path, problem } in properties.finish().err().into_iter().flatten() {
        errors.push(LoadError {
            logical_id: resource.logical_id.clone(),
            path: format!("Resources.{}.Properties.{path}", resource.logical_id),
            problem,
        });
    }
}

fn read_role(resource: &Resource, properties: &mut Properties) -> Role {
    for ignored in ["RoleName", "Description", "Path", "MaxSessionDuration", "Tags"] {
        properties.take(ignored);
    }
    if let Some(arns) = properties.take("ManagedPolicyArns")
        && arns.as_array().is_none_or(|list| !list.is_empty())
    {
        properties.problem(
            "ManagedPolicyArns",
            format!("{arns}: managed policies are not modelled; write the statements out"),
        );
    }
    let trust = properties.object("AssumeRolePolicyDocument").map(|mut document| {
        let statements = read_document(&mut document, true);
        properties.absorb(document);
        statements
    });
    if trust.is_none() {
        properties.problem("AssumeRolePolicyDocument", "is missing");
    }
    let mut policies = Vec::new();
    for mut policy in properties.objects("Policies") {
        policies.push(read_policy(&mut policy));
        properties.absorb(policy);
    }
    let arn = resource.arn.clone().unwrap_or_default();
    Role { name: resource.name.clone(), arn, trust: trust.unwrap_or_default(), policies }
}

fn read_policy(properties: &mut Properties) -> (String, Vec<Statement>) {
    let name = properties.text("PolicyName").unwrap_or_default();
    let statements = properties.object("PolicyDocument").map(|mut document| {
        let statements = read_document(&mut document, false);
        properties.absorb(document);
        statements
    });
    if statements.is_none() {
        properties.problem("PolicyDocument", "is missing");
    }
    (name, statements.unwrap_or_default())
}

fn read_document(document: &mut Properties, trust: bool) -> Vec<Statement> {
    let version = document.optional_text("Version");
    if version.as_deref() != Some("2012-10-17") {
        document.problem("Version", "must be 2012-10-17");
    }
    document.take("Id");
    let mut statements = Vec::new();
    for mut properties in document.objects("Statement") {
        statements.push(read_statement(&mut properties, trust));
        document.absorb(properties);
    }
    if statements.is_empty() {
        document.problem("Statement", "must have at least one statement");
    }
    statements
}

fn read_statement(properties: &mut Properties, trust: bool) -> Statement {
    properties.take("Sid");
    let effect = properties.text("Effect").unwrap_or_default();
    if !["Allow", "Deny"].contains(&effect.as_str()) {
        properties.problem("Effect", format!("is {effect}; allowed are Allow and Deny"));
    }
    let mut services = Vec::new();
    let resources = if trust {
        match properties.object("Principal") {
            Some(mut principal) => {
                services = texts(&mut principal, "Service");
                properties.absorb(principal);
            }
            None => properties.problem("Principal", "is missing"),
        }
        vec!["*".to_owned()]
    } else {
        texts(properties, "Resource")
    };
    let actions = texts(properties, "Action");
    for (member, list) in [("Action", &actions), ("Resource", &resources)] {
        if list.is_empty() {
            properties.problem(member, "is missing; NotAction and NotResource are not modelled");
        }
    }
    for action in actions.iter().filter(|action| !action.contains(':') && *action != "*") {
        properties.problem("Action", format!("{action}: an action is service:Name"));
    }
    let actions = actions.iter().map(|action| action.to_ascii_lowercase()).collect();
    let conditions = read_conditions(properties);
    Statement { allows: effect == "Allow", services, actions, resources, conditions }
}

fn read_conditions(properties: &mut Properties) -> Vec<Condition> {
    let Some(mut operators) = properties.object("Condition") else { return Vec::new() };
    let mut conditions = Vec::new();
    for (operator, wildcards) in CONDITION_OPERATORS {
        let Some(Value::Object(keys)) = operators.take(operator) else { continue };
        let mut by_key = Properties::new(&Value::Object(keys.clone()));
        for key in keys.keys() {
            conditions.push(Condition { key: key.clone(), values: texts(&mut by_key, key), wildcards });
        }
        operators.absorb(by_key);
    }
    properties.absorb(operators);
    conditions
}

/// One text or a list of texts. Policy variables are refused, since nothing here would fill them in.
fn texts(properties: &mut Properties, member: &str) -> Vec<String> {
    let values = match properties.take(member) {
        None => return Vec::new(),
        Some(Value::Array(list)) => list,
        Some(one) => vec![one],
    };
    let mut texts = Vec::new();
    for value in values {
        match value {
            Value::String(text) if text.contains("${") => {
                properties.problem(member, format!("{text}: policy variables are not modelled"));
            }
            Value::String(text) => texts.push(text),
            other => properties.problem(member, format!("must be texts, not {other}")),
        }
    }
    texts
}

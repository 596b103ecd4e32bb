//! A rule that invokes a function, and the function's leave for it.

use serde_json::Value;

use crate::resources::events::{RetryPolicy, Rule, Target};
use crate::resources::lambda::Permission;
use crate::template::{Handle, Scope, Template};
use crate::text::Text;

/// When a function is invoked, and with what. What cannot be delivered is dropped: both who listen this way make up for it by
/// themselves.
#[derive(Debug)]
pub struct Invocation {
    /// The target's id in its rule.
    pub id: &'static str,
    /// What the rule is for.
    pub description: String,
    /// How often it acts by itself, whatever events there are.
    pub schedule_expression: Option<&'static str>,
    /// Which events it takes.
    pub event_pattern: Value,
    /// What the function gets instead of the event: the same JSON text each time.
    pub input: Option<Text>,
    /// How often and for how long EventBridge tries.
    pub retry_policy: RetryPolicy,
}

impl Invocation {
    /// Adds the resources `SEGMENTRule` and `SEGMENTPermission` of `scope`.
    pub fn add_to(self, template: &mut Template, scope: &Scope, segment: &str, function: &Handle) {
        let target = Target {
            id: self.id,
            arn: function.arn(),
            role_arn: None,
            input: self.input,
            input_transformer: None,
            retry_policy: self.retry_policy,
            dead_letter_config: None,
        };
        let rule = template.resource(
            &scope.child(&format!("{segment}Rule")),
            Rule {
                description: self.description,
                schedule_expression: self.schedule_expression,
                event_pattern: self.event_pattern,
                targets: vec![target],
            },
        );
        template.resource(
            &scope.child(&format!("{segment}Permission")),
            Permission {
                action: "lambda:InvokeFunction",
                function_name: function.reference(),
                principal: "events.amazonaws.com",
                source_arn: rule.arn(),
            },
        );
    }
}

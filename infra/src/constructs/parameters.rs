//! A consumer that exists already, and that the template's user names at deployment.

use workflow::config::ConsumerConfig;

use super::Guarded;
use crate::template::{Scope, Template};
use crate::text::Text;

/// A function in any partition, unqualified or with an alias or version.
const FUNCTION_ARN: &str = "^arn:[^:]+:lambda:[^:]+:[0-9]{12}:function:[^:]+(:[^:]+)?$";

/// A key, not its alias.
const KEY_ARN: &str = "^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/.+$";

/// The UUID of a mapping.
const UUID: &str = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$";

impl Guarded {
    /// A consumer that exists already; what identifies it becomes parameters. What the breaker's arithmetic depends on,
    /// timeouts and the kind of queue among it, stays as it is configured, so each pattern demands what is possible.
    pub fn parameterized(template: &mut Template, scope: &Scope, consumer: &ConsumerConfig) -> Guarded {
        let fifo = if consumer.queue_arn.ends_with(".fifo") { r"\.fifo" } else { "" };
        let mut parameter = |segment: &str, description: &str, pattern: &str| {
            template.parameter_like(&scope.child(segment), description, pattern)
        };
        let uuid = scope.child("ConsumerMappingUuid").logical_id();
        Guarded {
            function_arn: parameter("ConsumerFunctionArn", "ARN of the function to guard", FUNCTION_ARN),
            queue_url: parameter(
                "ConsumerQueueUrl",
                "URL of the queue that feeds it",
                &format!("^https?://.+/[A-Za-z0-9_-]+{fifo}$"),
            ),
            queue_arn: parameter(
                "ConsumerQueueArn",
                "ARN of the same queue",
                &format!("^arn:[^:]+:sqs:[^:]+:[0-9]{{12}}:[A-Za-z0-9_-]+{fifo}$"),
            ),
            mapping_uuid: parameter(
                "ConsumerMappingUuid",
                "UUID of the event source mapping between them",
                UUID,
            ),
            // A mapping is always switched in the account and Region of the breaker's own function.
            mapping_arn: Text::sub(format!(
                "arn:${{AWS::Partition}}:lambda:${{AWS::Region}}:${{AWS::AccountId}}:event-source-mapping:${{{uuid}}}"
            )),
            kms_key_arn: consumer
                .kms_key_arn
                .is_some()
                .then(|| parameter("ConsumerKeyArn", "ARN of the key that encrypts the queue", KEY_ARN)),
            health_check_function_arn: None,
        }
    }

    /// Adds the function that is asked how the dependency is, as a literal or as a parameter.
    pub fn with_health_check(
        mut self,
        template: &mut Template,
        scope: &Scope,
        arn: Option<&str>,
        parameterized: bool,
    ) -> Guarded {
        self.health_check_function_arn = arn.map(|arn| {
            if parameterized {
                let scope = scope.child("HealthCheckFunctionArn");
                template.parameter_like(&scope, "ARN of the health check function", FUNCTION_ARN)
            } else {
                arn.into()
            }
        });
        self
    }
}

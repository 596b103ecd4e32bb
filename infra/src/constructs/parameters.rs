//! A consumer that exists already, and that the template's user names at deployment.

use workflow::config::{AlarmSignal, CircuitConfig, ConsumerConfig, RedriveAfterClose};

use super::{DeadLetterQueue, ExistingAlarm, Guarded};
use crate::resources::cloudwatch::Dimension;
use crate::template::{Scope, Template};
use crate::text::Text;

/// A function in any partition, unqualified.
const FUNCTION_ARN: &str = "^arn:[^:]+:lambda:[^:]+:[0-9]{12}:function:[^:]+$";

/// An alias or version of a function.
const QUALIFIED_FUNCTION_ARN: &str = "^arn:[^:]+:lambda:[^:]+:[0-9]{12}:function:[^:]+:[^:]+$";

/// A function of either kind.
const ANY_FUNCTION_ARN: &str = "^arn:[^:]+:lambda:[^:]+:[0-9]{12}:function:[^:]+(:[^:]+)?$";

/// An alarm. Its name could hold a colon, but then it could not be read off the ARN.
const ALARM_ARN: &str = "^arn:[^:]+:cloudwatch:[^:]+:[0-9]{12}:alarm:[^:]+$";

/// Where a name and its qualifier stand in an ARN.
const NAME: &[u8] = &[6];
const NAME_AND_QUALIFIER: &[u8] = &[6, 7];

/// A key, not its alias.
const KEY_ARN: &str = "^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/.+$";

/// The UUID of a mapping.
const UUID: &str = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$";

impl Guarded {
    /// A consumer that exists already; what identifies it becomes parameters. What the breaker's arithmetic depends on,
    /// timeouts and the kind of queue among it, stays as it is configured, so each pattern demands what is possible.
    pub fn parameterized(template: &mut Template, scope: &Scope, consumer: &ConsumerConfig) -> Guarded {
        let fifo = if consumer.queue_arn.ends_with(".fifo") { r"\.fifo" } else { "" };
        let url_pattern = format!("^https?://.+/[A-Za-z0-9_-]+{fifo}$");
        let arn_pattern = format!("^arn:[^:]+:sqs:[^:]+:[0-9]{{12}}:[A-Za-z0-9_-]+{fifo}$");
        let mut parameter = |segment: &str, description: &str, pattern: &str| {
            template.parameter_like(&scope.child(segment), description, pattern)
        };
        let [uuid, function] =
            ["ConsumerMappingUuid", "ConsumerFunctionArn"].map(|segment| scope.child(segment).logical_id());
        // Metrics of an alias have a dimension more, so a function cannot stand in for an alias or the other way round.
        let qualified = consumer.function_arn.split(':').nth(7).is_some();
        let dimension = |name, parts| Dimension { name, value: Text::ArnParts(function.clone(), parts) };
        let mut function_dimensions = vec![dimension("FunctionName", NAME)];
        if qualified {
            function_dimensions.push(dimension("Resource", NAME_AND_QUALIFIER));
        }
        Guarded {
            function_arn: parameter(
                "ConsumerFunctionArn",
                "ARN of the function to guard",
                if qualified { QUALIFIED_FUNCTION_ARN } else { FUNCTION_ARN },
            ),
            function_dimensions,
            queue_url: parameter("ConsumerQueueUrl", "URL of the queue that feeds it", &url_pattern),
            queue_arn: parameter("ConsumerQueueArn", "ARN of the same queue", &arn_pattern),
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
            dead_letter: DeadLetterQueue::existing(consumer).map(|known| DeadLetterQueue {
                url: parameter("ConsumerDeadLetterQueueUrl", "URL of its dead-letter queue", &url_pattern),
                arn: parameter("ConsumerDeadLetterQueueArn", "ARN of its dead-letter queue", &arn_pattern),
                kms_key_arn: known.kms_key_arn.map(|_| {
                    parameter("ConsumerDeadLetterKeyArn", "ARN of the key that encrypts it", KEY_ARN)
                }),
            }),
            raises_retention: false,
            redrives: false,
            health_check_function_arn: None,
            existing_alarm: None,
        }
    }

    /// Adds the functions and alarms that the circuit's settings name, as literals or as parameters.
    pub fn with_settings_of(
        mut self,
        circuit: &CircuitConfig,
        template: &mut Template,
        scope: &Scope,
        parameterized: bool,
    ) -> Guarded {
        self.raises_retention = circuit.retention.raise_to_s.is_some();
        self.redrives = circuit.redrive.after_close == RedriveAfterClose::Incident;
        if let Some(arn) = circuit.probe.health_check_function_arn.as_deref() {
            self.health_check_function_arn = Some(if parameterized {
                let scope = scope.child("HealthCheckFunctionArn");
                template.parameter_like(&scope, "ARN of the health check function", ANY_FUNCTION_ARN)
            } else {
                arn.into()
            });
        }
        if let (AlarmSignal::Existing, Some(arn)) =
            (circuit.alarm.signal, circuit.alarm.existing_alarm_arn.as_deref())
        {
            self.existing_alarm = Some(if parameterized {
                let scope = scope.child("ExistingAlarmArn");
                let name = Text::ArnParts(scope.logical_id(), NAME);
                ExistingAlarm { arn: template.parameter_like(&scope, "ARN of the alarm", ALARM_ARN), name }
            } else {
                ExistingAlarm { arn: arn.into(), name: circuit.alarm.existing_alarm_name().into() }
            });
        }
        self
    }
}

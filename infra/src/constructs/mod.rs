//! Constructs: groups of resources that belong together.
//!
//! Segments of their paths are chosen so that none of those below a circuit is the end of another: two circuits can
//! only get the same logical id when their own names do in PascalCase, and that is refused.

pub mod alarms;
pub mod breaker;
pub mod example;
pub mod function;
pub mod invocation;
pub mod reconciler;
pub mod shared;
pub mod signal;

mod parameters;

use workflow::config::ConsumerConfig;

use crate::resources::cloudwatch::Dimension;
use crate::text::Text;

/// What a circuit guards: a function, its queue and the mapping between them.
#[derive(Clone, Debug)]
pub struct Guarded {
    /// ARN of the consumer.
    pub function_arn: Text,
    /// The dimensions that its own metrics have.
    pub function_dimensions: Vec<Dimension>,
    /// URL of its queue.
    pub queue_url: Text,
    /// ARN of its queue.
    pub queue_arn: Text,
    /// UUID of the mapping.
    pub mapping_uuid: Text,
    /// ARN of the mapping.
    pub mapping_arn: Text,
    /// ARN of the customer managed key that encrypts the queue, if one does.
    pub kms_key_arn: Option<Text>,
    /// Its dead-letter queue, if it is known.
    pub dead_letter: Option<DeadLetterQueue>,
    /// Whether the queue's retention may be raised.
    pub raises_retention: bool,
    /// Whether the dead-letter queue may be redriven.
    pub redrives: bool,
    /// ARN of the function that says how the dependency is, if there is one.
    pub health_check_function_arn: Option<Text>,
    /// The alarm that exists already, if one is to trip the circuit.
    pub existing_alarm: Option<ExistingAlarm>,
}

/// A dead-letter queue.
#[derive(Clone, Debug)]
pub struct DeadLetterQueue {
    /// Its URL.
    pub url: Text,
    /// Its ARN.
    pub arn: Text,
    /// ARN of the customer managed key that encrypts it, if one does.
    pub kms_key_arn: Option<Text>,
}

/// An alarm that the stack does not own.
#[derive(Clone, Debug)]
pub struct ExistingAlarm {
    /// Its ARN.
    pub arn: Text,
    /// Its name.
    pub name: Text,
}

impl Guarded {
    /// A consumer that exists already; everything about it is a literal.
    pub fn existing(consumer: &ConsumerConfig) -> Guarded {
        // A mapping lives in its function's partition, Region and account: the first five parts of the ARN.
        let place: Vec<&str> = consumer.function_arn.split(':').take(5).collect();
        let mapping_arn = format!("{}:event-source-mapping:{}", place.join(":"), consumer.mapping_uuid);
        Guarded {
            function_arn: consumer.function_arn.as_str().into(),
            function_dimensions: function_dimensions(&consumer.function_arn),
            queue_url: consumer.queue_url.as_str().into(),
            queue_arn: consumer.queue_arn.as_str().into(),
            mapping_uuid: consumer.mapping_uuid.as_str().into(),
            mapping_arn: mapping_arn.into(),
            kms_key_arn: consumer.kms_key_arn.as_deref().map(Text::from),
            dead_letter: DeadLetterQueue::existing(consumer),
            raises_retention: false,
            redrives: false,
            health_check_function_arn: None,
            existing_alarm: None,
        }
    }
}

impl DeadLetterQueue {
    /// The dead-letter queue of a consumer that exists already, if both its names are known.
    fn existing(consumer: &ConsumerConfig) -> Option<DeadLetterQueue> {
        let url = consumer.dead_letter_queue_url.as_deref()?;
        let arn = consumer.dead_letter_queue_arn.as_deref()?;
        let kms_key_arn = consumer.dead_letter_kms_key_arn.as_deref().map(Text::from);
        Some(DeadLetterQueue { url: url.into(), arn: arn.into(), kms_key_arn })
    }
}

/// The dimensions of a function's metrics. Those of one version or alias have a second dimension, which names it: what the
/// function does elsewhere says nothing about this consumer.
fn function_dimensions(arn: &str) -> Vec<Dimension> {
    let mut parts = arn.splitn(8, ':').skip(6);
    let name = parts.next().unwrap_or_default();
    let mut dimensions = vec![Dimension { name: "FunctionName", value: name.into() }];
    if let Some(qualifier) = parts.next() {
        dimensions.push(Dimension { name: "Resource", value: format!("{name}:{qualifier}").into() });
    }
    dimensions
}

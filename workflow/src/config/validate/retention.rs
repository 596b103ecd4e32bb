//! How long messages are kept: by the queue, by the dead-letter queue, and by a retention that is raised.

use super::super::{CircuitConfig, ConsumerConfig, MAX_RETENTION_S, RedriveAfterClose, code};
use super::Check;

impl Check {
    /// On its way to a dead-letter queue a message of a standard queue keeps the time at which it was first sent, so that
    /// it needs a longer retention there. One of a FIFO queue begins anew.
    pub(super) fn retention(&mut self, circuit: &CircuitConfig) {
        let facts = circuit.facts();
        let (Some(queue_s), Some(dead_letter_s)) = (facts.retention_s, facts.dead_letter_retention_s) else {
            return;
        };
        if facts.fifo || facts.max_receive_count.is_none() || dead_letter_s > queue_s {
            return;
        }
        let (setting, value, fix) = match &circuit.consumer {
            Some(_) => (
                "consumer.dead_letter_retention_s",
                dead_letter_s,
                "raise the dead-letter queue's retention, or lower the queue's",
            ),
            None => ("example.retention_s", queue_s, "lower it"),
        };
        self.unsafe_one(
            code::DEAD_LETTER_RETENTION,
            setting,
            value,
            format!(
                "the dead-letter queue keeps messages for {dead_letter_s} s, the queue for {queue_s} s, both from the \
                 first send: a message that is dead-lettered late is deleted unseen"
            ),
            fix,
        );
    }

    /// A retention that is to be raised has to become longer, and no longer than a dead-letter queue can follow.
    pub(super) fn raised_retention(&mut self, circuit: &CircuitConfig) {
        let Some(raise_to_s) = circuit.retention.raise_to_s else { return };
        let setting = "retention.raise_to_s";
        self.range(setting, raise_to_s, 60..=MAX_RETENTION_S, "seconds");
        let facts = circuit.facts();
        if let Some(own_s) = facts.retention_s.filter(|own_s| raise_to_s <= *own_s) {
            self.error(
                code::RAISED_RETENTION,
                setting,
                raise_to_s,
                format!("must be more than the queue's own retention, {own_s} s"),
                "set a longer time, or remove the setting",
            );
        }
        if let Some(dead_letter_s) = facts.dead_letter_retention_s.filter(|s| !facts.fifo && raise_to_s > *s)
        {
            self.warning(
                code::RAISED_RETENTION,
                setting,
                raise_to_s,
                format!(
                    "the dead-letter queue keeps messages for {dead_letter_s} s from the first send: one that is \
                     dead-lettered later than that is deleted unseen"
                ),
                "raise the dead-letter queue's retention, or raise the queue's to less",
            );
        }
    }

    /// What is to be redriven has to be known.
    pub(super) fn redrive(&mut self, circuit: &CircuitConfig) {
        if circuit.redrive.after_close == RedriveAfterClose::Incident && !circuit.knows_dead_letter_queue() {
            self.error(
                code::DEAD_LETTER_QUEUE,
                "redrive.after_close",
                "\"incident\"",
                "needs to know the dead-letter queue: consumer.dead_letter_queue_url and consumer.dead_letter_queue_arn",
                "set both, or set \"off\"",
            );
        }
    }

    /// URL and ARN of the dead-letter queue go together: one is what calls name, the other what permissions name.
    pub(super) fn dead_letter_queue(&mut self, consumer: &ConsumerConfig) {
        match (&consumer.dead_letter_queue_url, &consumer.dead_letter_queue_arn) {
            (Some(url), Some(arn)) => {
                self.arn("consumer.dead_letter_queue_arn", arn, "sqs", "");
                self.queue_url("consumer.dead_letter_queue_url", url);
            }
            (None, None) => {}
            (url, _) => {
                let (there, other) = match url {
                    Some(_) => ("consumer.dead_letter_queue_url", "consumer.dead_letter_queue_arn"),
                    None => ("consumer.dead_letter_queue_arn", "consumer.dead_letter_queue_url"),
                };
                self.error(
                    code::DEAD_LETTER_QUEUE,
                    other,
                    "(none)",
                    format!("is needed beside {there}: calls name the URL, permissions the ARN"),
                    "set both, or neither",
                );
            }
        }
        if let Some(key) = &consumer.dead_letter_kms_key_arn {
            self.arn("consumer.dead_letter_kms_key_arn", key, "kms", "key/");
        }
    }
}

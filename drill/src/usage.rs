//! What a drill used of AWS, and what AWS charges for it by its price list.
//!
//! Counted is what an incident adds: the breaker's own work, and the consumer's invocations that failed. What the stack
//! costs while nothing happens (alarms, event metrics, stored logs) is not in it, nor are free tiers.

use std::time::Duration;

use serde::Serialize;

use crate::asl::{EventKind, HistoryEvent};

/// List prices of us-east-1 in US dollars, 2026, for x86 and for a table with on-demand capacity.
pub mod price {
    /// One state transition of a Standard workflow; a retry is one too. <https://aws.amazon.com/step-functions/pricing/>
    pub const TRANSITION: f64 = 0.025 / 1e3;
    /// One invocation. <https://aws.amazon.com/lambda/pricing/>
    pub const INVOCATION: f64 = 0.20 / 1e6;
    /// One GB-second of a function, billed by the millisecond.
    pub const GB_SECOND: f64 = 0.000_016_666_7;
    /// One request to a standard queue, of up to ten messages and 64 KiB. <https://aws.amazon.com/sqs/pricing/>
    pub const SQS_REQUEST: f64 = 0.40 / 1e6;
    /// One write request unit: an item of up to 1 KB. <https://aws.amazon.com/dynamodb/pricing/on-demand/>
    pub const WRITE_UNIT: f64 = 0.625 / 1e6;
    /// One read request unit: an item of up to 4 KB, strongly consistent.
    pub const READ_UNIT: f64 = 0.125 / 1e6;
    /// One custom event. <https://aws.amazon.com/eventbridge/pricing/>
    pub const EVENT: f64 = 1.00 / 1e6;
    /// One metric that `GetMetricData` is asked for. <https://aws.amazon.com/cloudwatch/pricing/>
    pub const METRIC_READ: f64 = 0.01 / 1e3;
}

/// Metrics of one look at the traffic during a ramp: what was invoked, and what failed.
const METRICS_PER_LOOK: u64 = 2;

/// Write units of one write of the circuit's item: with a task token it is between 1 and 2 KB.
const UNITS_PER_WRITE: u64 = 2;

/// Invocations of functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Invocations {
    /// How many.
    pub count: u64,
    /// Megabytes times milliseconds.
    pub mb_ms: u64,
}

impl Invocations {
    /// One that took so long, billed by the started millisecond.
    pub(crate) fn add(&mut self, memory_mb: u64, took: Duration) {
        self.count += 1;
        self.mb_ms += memory_mb * u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    }

    /// GB-seconds.
    pub fn gb_seconds(&self) -> f64 {
        self.mb_ms as f64 / 1_024.0 / 1_000.0
    }

    fn cost_usd(&self) -> f64 {
        self.count as f64 * price::INVOCATION + self.gb_seconds() * price::GB_SECOND
    }
}

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// State transitions of the workflow, retries among them.
    pub transitions: u64,
    /// Invocations of the breaker's own functions, the reconciler's among them.
    pub breaker: Invocations,
    /// Invocations of the consumer that failed, by the mapping and by probes.
    pub wasted: Invocations,
    /// Requests of the breaker to SQS.
    pub sqs_requests: u64,
    /// Writes of the circuit's item.
    pub writes: u64,
    /// Reads of it.
    pub reads: u64,
    /// Events that the breaker put on the bus.
    pub events: u64,
    /// Metrics that the workflow asked CloudWatch for.
    pub metrics_read: u64,
}

/// So much of something.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantity {
    /// How much: whole, but for GB-seconds.
    pub amount: f64,
    /// Of what, in the plural.
    pub unit: &'static str,
}

/// One line of the bill.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Charge {
    /// What is charged.
    pub what: &'static str,
    /// How much of it was used.
    pub used: Vec<Quantity>,
    /// US dollars.
    pub cost_usd: f64,
}

impl Usage {
    /// The bill, line by line; a line for everything that can be charged, used or not.
    pub fn bill(&self) -> Vec<Charge> {
        let of = |count: u64, unit| Quantity { amount: count as f64, unit };
        let counted = |what, count: u64, unit, price: f64| Charge {
            what,
            used: vec![of(count, unit)],
            cost_usd: count as f64 * price,
        };
        let invoked = |what, invocations: &Invocations| {
            let time = Quantity { amount: invocations.gb_seconds(), unit: "GB-s" };
            let used = vec![of(invocations.count, "invocations"), time];
            Charge { what, used, cost_usd: invocations.cost_usd() }
        };
        let units = self.writes * UNITS_PER_WRITE;
        let table = Charge {
            what: "DynamoDB",
            used: vec![of(self.writes, "writes"), of(self.reads, "reads")],
            cost_usd: units as f64 * price::WRITE_UNIT + self.reads as f64 * price::READ_UNIT,
        };
        vec![
            invoked("Consumer invocations that failed", &self.wasted),
            counted("Step Functions", self.transitions, "state transitions", price::TRANSITION),
            invoked("The breaker's functions", &self.breaker),
            counted("SQS, by the breaker", self.sqs_requests, "requests", price::SQS_REQUEST),
            table,
            counted("EventBridge", self.events, "events", price::EVENT),
            counted("CloudWatch", self.metrics_read, "metrics read", price::METRIC_READ),
        ]
    }

    /// The sum, US dollars.
    pub fn cost_usd(&self) -> f64 {
        self.bill().iter().map(|charge| charge.cost_usd).sum()
    }

    /// The breaker, or the workflow, called a service: an IAM action such as `sqs:ReceiveMessage`.
    pub(crate) fn called(&mut self, action: &str) {
        match action {
            "cloudwatch:GetMetricData" => self.metrics_read += METRICS_PER_LOOK,
            "dynamodb:UpdateItem" | "dynamodb:PutItem" => self.writes += 1,
            "dynamodb:GetItem" => self.reads += 1,
            "events:PutEvents" => self.events += 1,
            _ if action.starts_with("sqs:") => self.sqs_requests += 1,
            _ => {}
        }
    }

    /// An execution wrote an event of its history. A task that is scheduled again is a retry.
    pub(crate) fn history(&mut self, event: &HistoryEvent) {
        match event.kind {
            // Entering counts below, when the task is scheduled for the first time.
            EventKind::TaskStateEntered => {}
            EventKind::TaskScheduled | EventKind::LambdaFunctionScheduled | EventKind::ActivityScheduled => {
                self.transitions += 1;
            }
            kind if kind.as_str().ends_with("StateEntered") => self.transitions += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bill_is_what_the_price_list_says() {
        let mut usage = Usage { transitions: 4_000, ..Usage::default() };
        for _ in 0..1_000_000 {
            usage.called("sqs:ReceiveMessage");
            usage.called("dynamodb:GetItem");
        }
        // A million invocations of 1 GB for 100 ms: 0.20 USD for the requests, 1.66667 USD for the time.
        for _ in 0..1_000_000 {
            usage.wasted.add(1_024, Duration::from_millis(100));
        }
        for _ in 0..500 {
            usage.called("cloudwatch:GetMetricData");
        }
        usage.called("lambda:InvokeFunction");
        let costs: Vec<String> =
            usage.bill().iter().map(|charge| format!("{:.5}", charge.cost_usd)).collect();
        assert_eq!(costs, ["1.86667", "0.10000", "0.00000", "0.40000", "0.12500", "0.00000", "0.01000"]);
        assert_eq!(format!("{:.5}", usage.cost_usd()), "2.50167");
    }
}

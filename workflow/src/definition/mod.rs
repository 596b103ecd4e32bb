//! The workflow: one Standard state machine per circuit.
//!
//! [`definition`] is the only place where the machine is made. What it returns is what is deployed, what the drill
//! interprets and what the tests compare.
//!
//! The states stand in the order in which a trip passes them: claim, open, wait, probe, limited traffic, close; `fault` is where every
//! step leads that failed for good.

mod after;
mod claim;
mod clock;
mod close;
mod fault;
mod hold;
mod limited;
mod open;
mod probe;
mod ramp;
mod spread;
mod steps;
mod wait;
mod wiring;

use serde_json::Value;

use crate::asl::StateMachine;
use crate::config::CircuitConfig;

pub use self::wiring::Wiring;

/// Names that stand as `${Name}` in the definition and are filled in by the stack.
pub mod placeholder {
    /// Name of the `CircuitStatus` table.
    pub const CIRCUIT_TABLE: &str = "CircuitTable";
    /// ARN of the `mapping` function.
    pub const MAPPING_FUNCTION: &str = "MappingFunction";
    /// ARN of the `probe` function.
    pub const PROBE_FUNCTION: &str = "ProbeFunction";
    /// ARN of the `rejitter` function.
    pub const REJITTER_FUNCTION: &str = "RejitterFunction";
    /// ARN of the `queue` function.
    pub const QUEUE_FUNCTION: &str = "QueueFunction";
    /// ARN of the consumer.
    pub const CONSUMER_FUNCTION: &str = "ConsumerFunction";
    /// URL of the consumer's queue.
    pub const QUEUE_URL: &str = "QueueUrl";
    /// ARN of the consumer's queue.
    pub const QUEUE_ARN: &str = "QueueArn";
    /// URL of the dead-letter queue.
    pub const DEAD_LETTER_QUEUE_URL: &str = "DeadLetterQueueUrl";
    /// ARN of the dead-letter queue.
    pub const DEAD_LETTER_QUEUE_ARN: &str = "DeadLetterQueueArn";
    /// UUID of the event source mapping.
    pub const MAPPING_UUID: &str = "MappingUuid";
    /// Name of the alarm.
    pub const ALARM_NAME: &str = "AlarmName";
    /// ARN of the configured health check.
    pub const HEALTH_CHECK_FUNCTION: &str = "HealthCheckFunction";
    /// Name of the event bus for announcements.
    pub const EVENT_BUS: &str = "EventBus";

    /// All of them.
    pub const ALL: [&str; 14] = [
        CIRCUIT_TABLE,
        MAPPING_FUNCTION,
        PROBE_FUNCTION,
        REJITTER_FUNCTION,
        QUEUE_FUNCTION,
        CONSUMER_FUNCTION,
        QUEUE_URL,
        QUEUE_ARN,
        DEAD_LETTER_QUEUE_URL,
        DEAD_LETTER_QUEUE_ARN,
        MAPPING_UUID,
        ALARM_NAME,
        HEALTH_CHECK_FUNCTION,
        EVENT_BUS,
    ];
}

/// Names of the states that others refer to: reports, tests, and people in the console.
pub mod state {
    /// First state.
    pub const CHECK_INPUT: &str = "CheckInput";
    /// The wait between probes.
    pub const AWAIT_RECOVERY: &str = "AwaitRecovery";
    /// One half-open attempt.
    pub const PROBE_CONSUMER: &str = "ProbeConsumer";
    /// The re-jitter.
    pub const SPREAD_BACKLOG: &str = "SpreadBacklog";
    /// One of several shares of it.
    pub const SPREAD_SHARE: &str = "SpreadShare";
}

/// Where an execution resumes that failed before it owned the circuit.
const NOWHERE: &str = "nowhere";
/// How often a claim that lost a race looks again before it takes the circuit as joined.
const MAX_CLAIM_TRIES: u32 = 5;
/// Faults in a row after which the pauses become slow: a fault that lasts is no reason to leave an open circuit alone,
/// only to try again less often.
const BRISK_FAULTS: u32 = 10;
/// Waits after which an execution hands over to a fresh one. A wait, its probe and what follows make some 30 history
/// events; with retries this stays well below the 25,000 at which an execution fails.
const MAX_ROUNDS: u32 = 500;
/// Invocations of the re-jitter after which the circuit closes whatever is left.
const MAX_SPREADS: u32 = 500;
/// Probes in a row that may find a message at its last receive before the backoff goes on.
const MAX_LAST_RECEIVES: u32 = 10;
/// Ids of suspect messages that a closing event names at most.
const MAX_SUSPECTS: u32 = 10;
/// Longest stretch of a hold that is waited for at once, seconds.
const MAX_HELD_STRETCH_S: u32 = 12 * 3_600;
/// Longest wait for messages that are merely in flight, seconds; a quarter of the visibility timeout if that is less.
const MAX_IN_FLIGHT_WAIT_S: u32 = 30;
/// Longest delay of a message, seconds: `DelaySeconds` ends there.
const MAX_DELAY_S: u32 = 900;
/// Receives that must be left on a FIFO queue's first message for probing at the usual pace.
const SCARCE_RECEIVES: u32 = 3;
/// Least wait between probes while they are not, seconds.
const SCARCE_WAIT_S: u32 = 3_600;
/// Longest wait for old failures to leave the alarm's window before a circuit counts as closed, seconds.
const MAX_FRESH_WINDOW_S: u32 = 900;
/// Periods beyond N that an alarm may look back when data points are missing.
const EXTRA_RANGE_PERIODS: u32 = 3;
/// Time for which a mapping that was to be enabled may be found disabled before somebody else is taken to have done it,
/// seconds.
const OVERRULED_AFTER_S: u32 = 120;
/// The `TimeoutSeconds` of a call whose function ends by its own timeout, whatever that is: beyond Lambda's 900 s.
const ANY_FUNCTION_S: u32 = 905;
/// The probe's function: time beyond its long poll and the consumer's deadline, seconds.
pub const PROBE_MARGIN_S: u32 = 25;
/// Timeout of the `mapping` function, seconds.
pub const MAPPING_TIMEOUT_S: u32 = 60;
/// Timeout of the `queue` function, seconds.
pub const QUEUE_TIMEOUT_S: u32 = 60;
/// Timeout of the `reconciler`, seconds: less than the time between two looks.
pub const RECONCILER_TIMEOUT_S: u32 = 50;
/// Timeout of the `signal` function, seconds.
pub const SIGNAL_TIMEOUT_S: u32 = 60;
/// Timeout of the `rejitter` function, seconds: all that Lambda allows.
pub const REJITTER_TIMEOUT_S: u32 = 900;

/// Timeout of the `probe` function for this circuit, seconds, at most the 900 that Lambda allows: a long poll, the
/// consumer's deadline, and a margin for everything else.
pub fn probe_timeout_s(circuit: &CircuitConfig) -> u32 {
    (circuit.probe.long_poll_s + circuit.probe_deadline_s() + PROBE_MARGIN_S).min(900)
}

/// For how long a probe may still run after nobody waits for its answer any more, seconds: what is left of its function's
/// time, and an invocation of the consumer that the function has begun at its end.
pub fn stale_probe_s(circuit: &CircuitConfig) -> u32 {
    probe_timeout_s(circuit) + circuit.facts().function_timeout_s
}

/// The state machine of the circuit `name` as JSON text on one line, with the placeholders of
/// [`placeholder`] in it: the very bytes of the template's `DefinitionString`.
///
/// # Panics
/// Never for a configuration without errors: that the machine is sound is a property of this crate, held by its tests.
pub fn definition(name: &str, circuit: &CircuitConfig) -> String {
    let value = state_machine(name, circuit).into_value();
    serde_json::to_string(&value).expect("a JSON value can be written")
}

/// The state machine of the circuit `name`.
///
/// # Panics
/// As [`definition`].
pub fn state_machine(name: &str, circuit: &CircuitConfig) -> StateMachine {
    let context = Context { name, circuit };
    let states = [
        claim::states(&context),
        open::states(&context),
        wait::states(&context),
        clock::states(&context),
        hold::states(&context),
        probe::states(&context),
        limited::states(&context),
        close::states(&context),
        after::states(&context),
        fault::states(&context),
    ];
    let states = states.into_iter().flatten().collect();
    let comment = format!("Circuit breaker {name}: claim, open, wait, probe, close");
    StateMachine::new(&comment, state::CHECK_INPUT, states).expect("the tests hold that the machine is sound")
}

/// What the states are made from.
struct Context<'a> {
    name: &'a str,
    circuit: &'a CircuitConfig,
}

/// `${name}`, to be filled in by the stack.
fn placeholder_value(name: &str) -> Value {
    Value::String(format!("${{{name}}}"))
}

#[cfg(test)]
mod tests;

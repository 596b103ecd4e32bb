//! How long the breaker may take, computed from its configuration.

use std::time::Duration;

use workflow::config::{ALARM_LAG_S, CircuitConfig};
use workflow::definition::stale_probe_s;

use crate::cloud::Knobs;

/// Longest wait for messages to come back from a delay: `DelaySeconds` ends there.
const MAX_DELAY_S: u32 = 900;
/// Longest wait for old failures to leave the alarm's window.
const MAX_FRESH_WINDOW_S: u32 = 900;
/// Periods beyond its window that an alarm may look back.
const EXTRA_RANGE_PERIODS: u32 = 3;
/// Least slow wait between probes on a FIFO queue whose first message has few receives left.
const SCARCE_WAIT_S: u32 = 3_600;
/// Retries of one step, at its usual pace: about four minutes at most.
const STEP_RETRIES_S: u32 = 300;
/// Everything that has no time of its own: calls, events, polls.
const SLACK_S: u32 = 120;

/// Longest times, each after the moment from which all is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Until the next attempt while the circuit waits: the current backoff, which is known when it begins, and this.
    pub attempt: Duration,
    /// Until the circuit is closed, beside the wait that is under way.
    pub close: Duration,
    /// Until a mapping that the breaker disabled is enabled again.
    pub enable: Duration,
    /// Whether the circuit stays open by its owner's wish once the attempts are used up (`exhausted.then = "fail"`).
    pub may_fail: bool,
    /// The queue's `maxReceiveCount`.
    pub max_receive_count: Option<u32>,
    /// Whether the queue is FIFO.
    pub fifo: bool,
}

impl Bounds {
    /// The bounds of a circuit with this configuration.
    pub fn new(circuit: &CircuitConfig, knobs: &Knobs) -> Bounds {
        let (facts, alarm, exhausted) = (circuit.facts(), &circuit.alarm, &circuit.exhausted);
        let ceiling_s = circuit.backoff.ceilings_s().last().copied().unwrap_or_default();
        let wait_s = ceiling_s.max(exhausted.slow_probe_s);
        let scarce_s = if facts.fifo { exhausted.slow_probe_s.max(SCARCE_WAIT_S) } else { 0 };
        let transition_s = knobs.transition_ms.end().div_ceil(1_000) as u32;
        let window_s = (alarm.window_s() + EXTRA_RANGE_PERIODS * alarm.period_s).min(MAX_FRESH_WINDOW_S);
        let probe_s = circuit.probe.long_poll_s + circuit.probe_deadline_s() + SLACK_S;
        // Every message may be in flight, or put aside by a probe: they are waited for, then live traffic is tried.
        let flight_s = facts.visibility_timeout_s.max(wait_s) + MAX_DELAY_S + SLACK_S;
        // The last probe before may still run.
        let stale_probe_s = stale_probe_s(circuit);
        let opening_s = stale_probe_s
            + transition_s
            + circuit.open.quiet_grace_s
            + facts.function_timeout_s
            + STEP_RETRIES_S
            + SLACK_S;
        let watch_s = circuit
            .close
            .limited_watch_s
            .max(alarm.datapoints_to_alarm_count * alarm.period_s + ALARM_LAG_S)
            .max(window_s);
        let limited_s = 2 * transition_s + watch_s + STEP_RETRIES_S;
        let restore_s = 2 * transition_s + circuit.open.settle_poll_s + window_s + STEP_RETRIES_S + SLACK_S;
        let probes_s = circuit.probe.successes_to_close_count * probe_s;
        let steps_count = u32::try_from(circuit.ramp.concurrency_counts.len()).unwrap_or(u32::MAX);
        let ramp_s = circuit.ramp.length_s() + steps_count * (transition_s + STEP_RETRIES_S);
        let spread_s = 2 * MAX_DELAY_S;
        let fault_s = circuit.fault.pause_s.max(exhausted.slow_probe_s) + STEP_RETRIES_S;
        let close_s = opening_s + probes_s + flight_s + limited_s + ramp_s + spread_s + restore_s + scarce_s;
        let seconds = |s: u32| Duration::from_secs(u64::from(s));
        Bounds {
            attempt: seconds(opening_s + STEP_RETRIES_S + fault_s),
            close: seconds(close_s + fault_s),
            enable: seconds(close_s + 2 * fault_s + wait_s + scarce_s),
            may_fail: exhausted.then == workflow::config::ExhaustedThen::Fail,
            max_receive_count: facts.max_receive_count,
            fifo: facts.fifo,
        }
    }
}

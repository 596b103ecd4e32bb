//! The `signal` function: a dependency says that it has recovered, and the circuits that wait for it probe at once.
//!
//! It knows the circuits' items and their tokens, nothing else: it starts nothing and writes nothing. A signal that is
//! wrong costs one probe; one that comes twice, late or for nothing costs a read.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tracing::{info, warn};
use workflow::circuit::{CircuitState, Phase};
use workflow::contract::{
    MAX_REASON, SignalAnswer, SignalDetail, SignalEvent, SignalOutcome, SignalledCircuit, WaitCommand,
};

use crate::failure::HandlerError;
use crate::ports::{CircuitItem, CircuitItems, Clock, Executions};

/// The circuits of a stack by name, with what each one depends on where that is said.
pub type Dependencies = BTreeMap<String, Option<String>>;

/// How often a circuit that does not wait yet is looked at again.
const LOOK: Duration = Duration::from_secs(1);
/// For how long a circuit is looked at that does not wait yet, milliseconds: within the function's timeout. Lambda invokes
/// the function twice more after a failure, a minute and then two minutes later
/// (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>).
const LOOK_FOR_MS: u64 = 45_000;
/// What the time of an event may lack, milliseconds: EventBridge gives whole seconds.
const EVENT_TIME_STEP_MS: u64 = 1_000;

/// Wakes the circuits that the event means.
///
/// # Errors
/// [`HandlerError::InvalidRequest`] when the event's time is none; [`HandlerError::NotWaiting`] when a circuit is still being
/// opened or probed after 45 s, and any failed call. The other circuits were looked at all the same; invoked again, they
/// have had their probe.
pub async fn handle<P>(
    event: &SignalEvent,
    dependencies: &Dependencies,
    ports: &P,
) -> Result<SignalAnswer, HandlerError>
where
    P: CircuitItems + Executions + Clock,
{
    let sent_ms = millis(&event.time)?;
    let meant = meant(&event.detail, dependencies);
    if meant.is_empty() {
        warn!(
            circuit = event.detail.circuit,
            dependency = event.detail.dependency,
            "the recovery signal means no circuit of this stack: nothing is done"
        );
    }
    let reason: String = event
        .detail
        .reason
        .as_deref()
        .unwrap_or("no reason given")
        .chars()
        .take(MAX_REASON as usize)
        .collect();
    let command = WaitCommand::Recovered { reason };
    let command = &command;
    let each = meant.into_iter().map(|circuit| async move {
        let outcome = wake(circuit, sent_ms, command, ports).await?;
        info!(circuit, ?outcome, "a recovery signal");
        Ok::<_, HandlerError>(SignalledCircuit { circuit: circuit.clone(), outcome })
    });
    // Each to its end, whatever becomes of the others.
    let circuits = join_all(each).await.into_iter().collect::<Result<_, _>>()?;
    Ok(SignalAnswer { circuits })
}

fn meant<'a>(detail: &SignalDetail, dependencies: &'a Dependencies) -> Vec<&'a String> {
    let is_meant = |(name, dependency): &(&String, &Option<String>)| {
        detail.circuit.as_ref() == Some(name)
            || detail.dependency.as_ref().is_some_and(|said| dependency.as_ref() == Some(said))
    };
    dependencies.iter().filter(is_meant).map(|(name, _)| name).collect()
}

/// What one look at a circuit says.
enum Seen {
    Settled(SignalOutcome),
    Waits { token: String },
    Busy,
}

async fn wake<P>(
    circuit: &str,
    sent_ms: u64,
    command: &WaitCommand,
    ports: &P,
) -> Result<SignalOutcome, HandlerError>
where
    P: CircuitItems + Executions + Clock,
{
    let until_ms = ports.now_ms() + LOOK_FOR_MS;
    // A token that was refused: its wait has ended, or its execution.
    let mut refused = None;
    loop {
        match look(&ports.circuit_item(circuit).await?, sent_ms) {
            Seen::Settled(outcome) => return Ok(outcome),
            Seen::Waits { token } if refused.as_ref() != Some(&token) => {
                if ports.complete_wait(&token, command).await? {
                    return Ok(SignalOutcome::Woken);
                }
                refused = Some(token);
            }
            // The wait was over when it was to be ended: what is probed now is probed after the signal.
            Seen::Busy if refused.is_some() => return Ok(SignalOutcome::Late),
            Seen::Waits { .. } | Seen::Busy => {}
        }
        if ports.now_ms() >= until_ms {
            return Err(HandlerError::NotWaiting { circuit: circuit.to_owned() });
        }
        ports.sleep(LOOK).await;
    }
}

fn look(item: &CircuitItem, sent_ms: u64) -> Seen {
    match (item.state, item.phase) {
        (CircuitState::Closed, _) => return Seen::Settled(SignalOutcome::Closed),
        (CircuitState::Held, _) => return Seen::Settled(SignalOutcome::Held),
        (_, Some(Phase::GivenUp)) => return Seen::Settled(SignalOutcome::GivenUp),
        (_, Some(Phase::Restoring | Phase::Restored | Phase::Limiting | Phase::Limited)) => {
            return Seen::Settled(SignalOutcome::Closing);
        }
        (CircuitState::Open | CircuitState::HalfOpen, Some(Phase::Opening | Phase::Disabled) | None) => {}
    }
    let Some(token) = item.task_token.clone() else { return Seen::Busy };
    let has_had_its_probe =
        item.last_probe_at_ms.is_some_and(|at_ms| at_ms >= sent_ms.saturating_add(EVENT_TIME_STEP_MS));
    if has_had_its_probe { Seen::Settled(SignalOutcome::Late) } else { Seen::Waits { token } }
}

fn millis(time: &str) -> Result<u64, HandlerError> {
    let moment: Option<jiff::Timestamp> = time.parse().ok();
    moment
        .and_then(|moment| u64::try_from(moment.as_millisecond()).ok())
        .ok_or_else(|| HandlerError::InvalidRequest("the event's time is not as RFC 3339 has it".to_owned()))
}

//! The `probe` function: tries the consumer with one message, the way the event source mapping would.
//!
//! A message is deleted only after the consumer processed it, or after a full copy of it was sent. On every other path
//! it stays in the queue: the worst that a crash between two calls does is that its visibility timeout runs out.

use std::time::Duration;

use tracing::{error, info, warn};
use workflow::contract::{ProbeAnswer, ProbeRequest};

use crate::batch::{self, COPY_ATTEMPT_COUNT};
use crate::failure::HandlerError;
use crate::fence;
use crate::judge::{self, Outcome};
use crate::ports::{
    CallError, CallErrorKind, Circuits, Clock, EventSourceMappings, Functions, Invocation, MappingState,
    Message, Messages, Receive, VisibilityChange,
};
use crate::record;

/// How much longer than the consumer's deadline a probed message stays invisible, seconds: time to invoke through
/// throttling, to judge and to delete, with room for a slow start of the consumer.
pub const VISIBILITY_MARGIN_S: u32 = 90;
/// Most messages of [`ProbeRequest::proven`] that one probe deletes again before it gives up, so that one invocation
/// stays short.
pub const MAX_DUPLICATE_COUNT: u32 = 3;
/// How often a throttled invoke is tried in all, while the message is held: giving it back would cost a receive.
pub const INVOKE_ATTEMPT_COUNT: u32 = 6;
/// Longest visibility timeout, seconds.
const MAX_VISIBILITY_S: u32 = 43_200;
/// Longest synchronous invocation, seconds.
const MAX_DEADLINE_S: u32 = 900;
/// Longest long poll, seconds.
const MAX_LONG_POLL_S: u32 = 20;

/// Carries one probe out.
///
/// # Errors
/// [`HandlerError::InvalidRequest`] for values out of range; [`HandlerError::StaleEpoch`] when the circuit has another
/// owner, before the receive and again before the consumer is invoked; [`HandlerError::MappingMissing`] and
/// [`HandlerError::Unsettled`] for a mapping that is gone or between two states; [`HandlerError::OnlyDuplicates`];
/// [`HandlerError::MayBeRunning`] when the invoke was never answered: the message stays invisible for as long as it was
/// received for; [`HandlerError::Call`] when another call failed: the message has been given back by then. A consumer
/// that certainly did not run, throttled or refused by Lambda, is no error but [`ProbeAnswer::Unhealthy`].
pub async fn handle<P>(request: &ProbeRequest, ports: &P) -> Result<ProbeAnswer, HandlerError>
where
    P: Circuits + EventSourceMappings + Messages + Functions + Clock,
{
    validate(request)?;
    fence::check(&request.fence, ports).await?;
    if let Some(state) = overruled(request, ports).await? {
        warn!(mapping = request.mapping.uuid, state, "the mapping is not disabled: somebody enabled it");
        return Ok(ProbeAnswer::Overruled { state });
    }
    let Some(message) = fetch(request, ports).await? else {
        return nothing_received(request, ports).await;
    };
    let received_at_ms = ports.now_ms();
    info!(
        message_id = message.message_id,
        receive_count = message.receive_count(),
        "received a message to probe with"
    );
    let sent_at_ms = message.sent_at_ms();
    if !request.fifo
        && is_last_receive(request, &message)
        && let Some(copy_id) = give_back_as_copy(request, &message, ports).await
    {
        return Ok(ProbeAnswer::LastReceive { message_id: message.message_id, copy_id, sent_at_ms });
    }
    // The long poll may have taken 20 s: time enough for another execution to take the circuit over.
    if let Err(error) = fence::check(&request.fence, ports).await {
        let visibility_s = untried_visibility_s(request, &message, received_at_ms, 0, ports);
        give_back(request, &message, visibility_s, ports).await;
        return Err(error);
    }
    let invocation = match invoke(request, &message, ports).await {
        Ok(invocation) => invocation,
        Err(error) => return not_invoked(request, message, error, received_at_ms, ports).await,
    };
    match judge::judge(&invocation, request.mapping.reports_batch_item_failures, &[&message.message_id]) {
        Outcome::Succeeded => Ok(healthy(request, message, ports).await),
        Outcome::PartlyFailed(_) => {
            Ok(unhealthy(request, message, judge::BATCH_ITEM_FAILURE.to_owned(), received_at_ms, ports).await)
        }
        Outcome::Failed(error) => Ok(unhealthy(request, message, error, received_at_ms, ports).await),
    }
}

fn validate(request: &ProbeRequest) -> Result<(), HandlerError> {
    let limits = [
        ("deadline_s", request.deadline_s, 1, MAX_DEADLINE_S),
        ("long_poll_s", request.long_poll_s, 1, MAX_LONG_POLL_S),
        ("put_aside_s", request.put_aside_s, 0, MAX_VISIBILITY_S),
    ];
    for (name, value, low, high) in limits {
        if !(low..=high).contains(&value) {
            return Err(HandlerError::InvalidRequest(format!(
                "{name} is {value}; it has to be {low} to {high}"
            )));
        }
    }
    record::region(&request.queue_arn).map_err(|bad| HandlerError::InvalidRequest(bad.to_string()))?;
    Ok(())
}

/// The mapping's state when somebody has enabled it.
async fn overruled<P: EventSourceMappings>(
    request: &ProbeRequest,
    ports: &P,
) -> Result<Option<String>, HandlerError> {
    let uuid = &request.mapping.uuid;
    let mapping = match ports.get_mapping(uuid).await {
        Ok(mapping) => mapping,
        Err(error) if error.kind == CallErrorKind::NotFound => {
            return Err(HandlerError::MappingMissing { uuid: uuid.clone() });
        }
        Err(error) => return Err(error.into()),
    };
    let state = mapping.state.name().to_owned();
    match mapping.state {
        MappingState::Disabled | MappingState::Disabling => Ok(None),
        MappingState::Enabled | MappingState::Enabling => Ok(Some(state)),
        MappingState::Deleting => Err(HandlerError::MappingMissing { uuid: uuid.clone() }),
        MappingState::Updating | MappingState::Creating | MappingState::Other(_) => {
            Err(HandlerError::Unsettled { uuid: uuid.clone(), state })
        }
    }
}

/// One message that earlier probes of this round have not proven yet. A proven one that SQS delivers again has been
/// processed: it is deleted with its new handle.
async fn fetch<P: Messages + Clock>(
    request: &ProbeRequest,
    ports: &P,
) -> Result<Option<Message>, HandlerError> {
    let started_ms = ports.now_ms();
    for _ in 0..MAX_DUPLICATE_COUNT {
        let waited_s = (ports.now_ms().saturating_sub(started_ms) / 1_000) as u32;
        let receive = Receive {
            max_count: 1,
            // One long poll's time in all, whose length the function's timeout is made for.
            wait_s: request.long_poll_s.saturating_sub(waited_s).max(1),
            visibility_s: (request.deadline_s + VISIBILITY_MARGIN_S).min(MAX_VISIBILITY_S),
        };
        let Some(message) = ports.receive(&request.queue_url, receive).await?.into_iter().next() else {
            return Ok(None);
        };
        if !request.proven.contains(&message.message_id) {
            return Ok(Some(message));
        }
        info!(message_id = message.message_id, "delivered again after it was processed: deleting it again");
        delete(request, &message, ports).await;
    }
    Err(HandlerError::OnlyDuplicates { count: MAX_DUPLICATE_COUNT })
}

async fn nothing_received<P: Messages>(
    request: &ProbeRequest,
    ports: &P,
) -> Result<ProbeAnswer, HandlerError> {
    let counts = ports.counts(&request.queue_url).await?;
    info!(
        visible_count = counts.visible_count,
        in_flight_count = counts.in_flight_count,
        delayed_count = counts.delayed_count,
        "a long poll found nothing"
    );
    if counts.visible_count == 0 && counts.in_flight_count == 0 && counts.delayed_count == 0 {
        return Ok(ProbeAnswer::Empty);
    }
    Ok(ProbeAnswer::NoneVisible {
        in_flight_count: counts.in_flight_count,
        delayed_count: counts.delayed_count,
    })
}

fn is_last_receive(request: &ProbeRequest, message: &Message) -> bool {
    request.max_receive_count.is_some_and(|maximum| message.receive_count() >= maximum)
}

/// Sends a full copy, then deletes the original: in this order, so that a crash in between leaves two rather than
/// none. Answers the copy's id, or nothing if no copy could be made: the message then is the probe itself, so that
/// its consumer at least tries it before its next receive dead-letters it. A send whose answer was lost may have made
/// one nevertheless, which then is delivered too.
async fn give_back_as_copy<P: Messages + Clock>(
    request: &ProbeRequest,
    message: &Message,
    ports: &P,
) -> Option<String> {
    let copy = batch::copy_of(message, None);
    match batch::send(&request.queue_url, &[copy], COPY_ATTEMPT_COUNT, ports).await.pop() {
        Some(Ok(copy_id)) => {
            warn!(
                message_id = message.message_id,
                copy_id, "the probe's receive was the last: gave back a full copy"
            );
            delete(request, message, ports).await;
            Some(copy_id)
        }
        Some(Err(error)) => {
            error!(message_id = message.message_id, error = %error, "could not copy a message on its last receive");
            None
        }
        None => None,
    }
}

/// Invokes the consumer. Only throttling is tried again, because any other failure leaves open whether it ran.
async fn invoke<P: Functions + Clock>(
    request: &ProbeRequest,
    message: &Message,
    ports: &P,
) -> Result<Invocation, CallError> {
    let payload = record::payload(std::slice::from_ref(message), &request.queue_arn)
        .expect("the queue's ARN was checked before anything was received");
    let deadline = Duration::from_secs(u64::from(request.deadline_s));
    let mut attempt = 1;
    loop {
        match ports.invoke(&request.function_arn, payload.clone(), deadline).await {
            Err(error) if error.kind == CallErrorKind::Throttled && attempt < INVOKE_ATTEMPT_COUNT => {
                attempt += 1;
                ports.sleep(batch::pause_before(attempt)).await;
            }
            outcome => return outcome,
        }
    }
}

/// The invoke failed. Whether that is a verdict depends on what is known: a consumer that certainly did not run is as
/// unavailable as one that fails, and probing it on must slow down in the same way.
async fn not_invoked<P: Messages + Clock>(
    request: &ProbeRequest,
    message: Message,
    error: CallError,
    received_at_ms: u64,
    ports: &P,
) -> Result<ProbeAnswer, HandlerError> {
    warn!(message_id = message.message_id, error = %error, "the consumer could not be invoked");
    let verdict = match error.kind {
        CallErrorKind::Throttled => Ok(judge::THROTTLED.to_owned()),
        CallErrorKind::NotFound
        | CallErrorKind::Refused
        | CallErrorKind::Conflict
        | CallErrorKind::OverLimit => Ok(error.code),
        CallErrorKind::AccessDenied => Err(HandlerError::Call(error)),
        // It may be at work on the message right now, so the message is not given back.
        CallErrorKind::Transient => return Err(HandlerError::MayBeRunning(error)),
    };
    let visibility_s = untried_visibility_s(request, &message, received_at_ms, request.put_aside_s, ports);
    give_back(request, &message, visibility_s, ports).await;
    let receives_left = receives_left(request, &message);
    let sent_at_ms = message.sent_at_ms();
    verdict.map(|error| ProbeAnswer::Unhealthy {
        message_id: message.message_id,
        error,
        receives_left,
        sent_at_ms,
    })
}

/// The consumer processed the message. That is the verdict even if the message cannot be deleted: it will then be
/// delivered once more, as SQS may do with any message, and a later probe of this round deletes it again.
async fn healthy<P: Messages + Clock>(request: &ProbeRequest, message: Message, ports: &P) -> ProbeAnswer {
    info!(message_id = message.message_id, "the consumer processed the message");
    delete(request, &message, ports).await;
    let sent_at_ms = message.sent_at_ms();
    ProbeAnswer::Healthy { message_id: message.message_id, sent_at_ms }
}

/// Puts the message aside, so that the next probe tries another one, and says how often it may still be received.
async fn unhealthy<P: Messages + Clock>(
    request: &ProbeRequest,
    message: Message,
    error: String,
    received_at_ms: u64,
    ports: &P,
) -> ProbeAnswer {
    let receives_left = receives_left(request, &message);
    warn!(message_id = message.message_id, error, receives_left, "the consumer failed");
    let visibility_s = request.put_aside_s.min(longest_s(received_at_ms, ports));
    give_back(request, &message, visibility_s, ports).await;
    let sent_at_ms = message.sent_at_ms();
    ProbeAnswer::Unhealthy { message_id: message.message_id, error, receives_left, sent_at_ms }
}

fn receives_left(request: &ProbeRequest, message: &Message) -> Option<u32> {
    request.max_receive_count.map(|maximum| maximum.saturating_sub(message.receive_count()))
}

/// For how long a message that its consumer never had stays invisible. One on its last receive is held for as long as
/// SQS allows: its next receive, by whomever, dead-letters it untried. Until then an operator can raise the queue's
/// `maxReceiveCount`.
fn untried_visibility_s(
    request: &ProbeRequest,
    message: &Message,
    received_at_ms: u64,
    wanted_s: u32,
    ports: &impl Clock,
) -> u32 {
    let longest_s = longest_s(received_at_ms, ports);
    if is_last_receive(request, message) { longest_s } else { wanted_s.min(longest_s) }
}

/// SQS allows 12 hours in all, counted from the receive.
fn longest_s(received_at_ms: u64, ports: &impl Clock) -> u32 {
    let elapsed_s = (ports.now_ms().saturating_sub(received_at_ms) / 1_000) as u32;
    MAX_VISIBILITY_S.saturating_sub(elapsed_s + VISIBILITY_MARGIN_S)
}

/// Best effort: a message that cannot be given back now comes back when its visibility timeout runs out.
async fn give_back<P: Messages + Clock>(
    request: &ProbeRequest,
    message: &Message,
    visibility_s: u32,
    ports: &P,
) {
    let change = VisibilityChange { receipt_handle: message.receipt_handle.clone(), visibility_s };
    for result in batch::change_visibility(&request.queue_url, &[change], ports).await {
        if let Err(error) = result {
            warn!(message_id = message.message_id, error = %error, "could not put the message aside");
        }
    }
}

async fn delete<P: Messages + Clock>(request: &ProbeRequest, message: &Message, ports: &P) {
    let handles = [message.receipt_handle.clone()];
    for result in batch::delete(&request.queue_url, &handles, ports).await {
        if let Err(error) = result {
            error!(message_id = message.message_id, error = %error, "could not delete the message: it will come back");
        }
    }
}

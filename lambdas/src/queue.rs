//! The `queue` function: reads the loss clock, raises the queue's retention and gives it back, and redrives the
//! dead-letter queue.
//!
//! Every action asks for a state rather than for a change, so that a step that is retried after its answer was lost does
//! nothing twice.

use serde::Serialize;
use tracing::{info, warn};
use workflow::contract::{
    BitingQueue, DeadLetters, DrainedAnswer, Fence, InspectQueue, LossClock, QueueRequest, RedriveOutcome,
    RedriveQueue, RetentionAnswer, RetentionOutcome,
};

use crate::failure::HandlerError;
use crate::fence;
use crate::ports::{CallErrorKind, Circuits, Clock, QueueDescription, Queues};

/// Marks of the loss clock, percent of the time until the first message expires.
const MARKS_PERCENT: [u64; 2] = [50, 75];
/// Mark at which the retention is raised, percent.
const RAISE_PERCENT: u64 = 50;
/// Time that a raise takes at most until it is in force, twice over, milliseconds: a change of the retention can take up
/// to 15 minutes. A short retention is raised that long before its end.
const RAISE_LEAD_MS: u64 = 1_800_000;
/// Longest time until the clock is read again, milliseconds: somebody may have changed the retention.
const MAX_CHECK_MS: u64 = 21_600_000;
/// Shortest time, milliseconds.
const MIN_CHECK_MS: u64 = 1_000;

/// Answer of the `queue` function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum QueueAnswer {
    /// To `inspect`.
    Clock(LossClock),
    /// To `raise_retention` and `restore_retention`.
    Retention(RetentionAnswer),
    /// To `drained`.
    Drained(DrainedAnswer),
    /// To `redrive`.
    DeadLetters(DeadLetters),
}

/// Carries one request out.
///
/// # Errors
/// [`HandlerError::StaleEpoch`] before anything is touched when the circuit has another owner; any failed call but that
/// of a redrive, which is an answer.
pub async fn handle<P>(request: &QueueRequest, ports: &P) -> Result<QueueAnswer, HandlerError>
where
    P: Circuits + Queues + Clock,
{
    fence::check(fence_of(request), ports).await?;
    Ok(match request {
        QueueRequest::Inspect(inspect) => QueueAnswer::Clock(read_clock(inspect, ports).await?),
        QueueRequest::RaiseRetention { queue_url, from_s, to_s, .. }
        | QueueRequest::RestoreRetention { queue_url, from_s, to_s, .. } => {
            QueueAnswer::Retention(change_retention(queue_url, *from_s, *to_s, ports).await?)
        }
        QueueRequest::Drained { queue_url, .. } => {
            let drained = ports.describe_queue(queue_url).await?.message_count() == 0;
            QueueAnswer::Drained(DrainedAnswer { drained })
        }
        QueueRequest::Redrive(redrive) => QueueAnswer::DeadLetters(settle(redrive, ports).await?),
    })
}

fn fence_of(request: &QueueRequest) -> &Fence {
    match request {
        QueueRequest::Inspect(InspectQueue { fence, .. })
        | QueueRequest::RaiseRetention { fence, .. }
        | QueueRequest::RestoreRetention { fence, .. }
        | QueueRequest::Drained { fence, .. }
        | QueueRequest::Redrive(RedriveQueue { fence, .. }) => fence,
    }
}

async fn read_clock<P: Queues + Clock>(request: &InspectQueue, ports: &P) -> Result<LossClock, HandlerError> {
    let queue = ports.describe_queue(&request.queue_url).await?;
    let dead_letter = match &request.dead_letter_queue_url {
        Some(url) => described(url, ports).await,
        None => None,
    };
    let clock = clock(request, &queue, dead_letter.as_ref(), ports.now_ms());
    info!(
        retention_s = clock.retention_s,
        percent = clock.percent,
        expires_at_ms = clock.expires_at_ms,
        dead_letter_count = clock.dead_letter_count,
        "read the loss clock"
    );
    Ok(clock)
}

/// A dead-letter queue that cannot be looked at does not stop the queue's own clock.
async fn described<P: Queues>(url: &str, ports: &P) -> Option<QueueDescription> {
    let described = ports.describe_queue(url).await;
    described.inspect_err(|error| warn!(error = %error, "could not look at the dead-letter queue")).ok()
}

/// One queue's time: from when it counts, and how long.
#[derive(Clone, Copy)]
struct Span {
    queue: BitingQueue,
    from_ms: u64,
    length_ms: u64,
}

impl Span {
    fn end_ms(self) -> u64 {
        self.from_ms.saturating_add(self.length_ms)
    }

    fn at_percent_ms(self, percent: u64) -> u64 {
        self.from_ms.saturating_add(self.length_ms / 100 * percent)
    }

    fn percent_at(self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.from_ms).saturating_mul(100) / self.length_ms.max(1)
    }
}

/// The clock, from what is known of the queues.
fn clock(
    request: &InspectQueue,
    queue: &QueueDescription,
    dead_letter: Option<&QueueDescription>,
    now_ms: u64,
) -> LossClock {
    let length_ms = |queue: &QueueDescription| u64::from(queue.retention_s) * 1_000;
    let own =
        Span { queue: BitingQueue::Queue, from_ms: request.oldest_sent_at_ms, length_ms: length_ms(queue) };
    // In a standard queue's dead-letter queue a message keeps the time of its first send; in a FIFO queue's it begins anew.
    let from_ms = if request.fifo { request.opened_at_ms } else { request.oldest_sent_at_ms };
    let dead = dead_letter.map(|queue| Span {
        queue: BitingQueue::DeadLetterQueue,
        from_ms,
        length_ms: length_ms(queue),
    });
    let dead_letter_count = dead_letter.map(QueueDescription::message_count);
    let more_dead = match (dead_letter_count, request.dead_letter_count_at_open) {
        (Some(now), Some(at_open)) => now > at_open,
        (_, _) => false,
    };
    let bites = dead.filter(|dead| more_dead && dead.end_ms() < own.end_ms()).unwrap_or(own);
    let percent = bites.percent_at(now_ms);
    let may_raise = request.raise_to_s.is_some_and(|to_s| to_s > queue.retention_s);
    let raise_at_ms = own.at_percent_ms(RAISE_PERCENT).min(own.end_ms().saturating_sub(RAISE_LEAD_MS));
    let marks = [Some(own), dead].into_iter().flatten();
    let next_mark_ms = marks
        .flat_map(|span| MARKS_PERCENT.map(|percent| span.at_percent_ms(percent)))
        .chain(may_raise.then_some(raise_at_ms))
        .filter(|at_ms| *at_ms > now_ms)
        .min();
    let latest_ms = now_ms + MAX_CHECK_MS;
    LossClock {
        known: true,
        retention_s: queue.retention_s,
        dead_letter_count,
        oldest_sent_at_ms: request.oldest_sent_at_ms,
        queue: bites.queue,
        expires_at_ms: bites.end_ms(),
        percent,
        mark_percent: MARKS_PERCENT.into_iter().filter(|mark| percent >= *mark).max().unwrap_or(0),
        raise: may_raise && now_ms >= raise_at_ms,
        next_check_at_ms: next_mark_ms
            .map_or(latest_ms, |at_ms| at_ms.min(latest_ms))
            .max(now_ms + MIN_CHECK_MS),
    }
}

/// Takes the retention from one value to another. A third one was set by somebody else, who keeps it.
async fn change_retention<P: Queues>(
    queue_url: &str,
    from_s: u32,
    to_s: u32,
    ports: &P,
) -> Result<RetentionAnswer, HandlerError> {
    let now_s = ports.describe_queue(queue_url).await?.retention_s;
    if now_s == to_s {
        return Ok(RetentionAnswer { outcome: RetentionOutcome::Done, retention_s: to_s });
    }
    if now_s != from_s {
        warn!(now_s, from_s, to_s, "somebody else has changed the queue's retention: left as it is");
        return Ok(RetentionAnswer { outcome: RetentionOutcome::LeftAlone, retention_s: now_s });
    }
    info!(from_s, to_s, "changing the queue's retention");
    ports.set_retention(queue_url, to_s).await?;
    Ok(RetentionAnswer { outcome: RetentionOutcome::Done, retention_s: to_s })
}

/// Whatever keeps the messages where they are is an answer: the circuit is closed, and its closing event says so.
async fn settle<P: Queues>(request: &RedriveQueue, ports: &P) -> Result<DeadLetters, HandlerError> {
    let count_at_close = ports.describe_queue(&request.dead_letter_queue_url).await?.message_count();
    let redrive = match (request.max_per_s, request.dead_letter_count_at_open) {
        (_, _) if count_at_close == 0 => RedriveOutcome::None,
        (None, _) => RedriveOutcome::Off,
        (Some(_), _) if !request.recovered => RedriveOutcome::NotRecovered,
        (Some(max_per_s), Some(0)) => start(request, max_per_s, ports).await,
        (Some(_), Some(_) | None) => RedriveOutcome::NotToldApart,
    };
    info!(count_at_close, ?redrive, "settled the dead-letter queue");
    Ok(DeadLetters { count_at_open: request.dead_letter_count_at_open, count_at_close, redrive })
}

async fn start<P: Queues>(request: &RedriveQueue, max_per_s: u32, ports: &P) -> RedriveOutcome {
    match ports.start_move(&request.dead_letter_queue_arn, max_per_s).await {
        Ok(()) => RedriveOutcome::Started,
        // One is on its way already: this step's own, whose answer was lost, or an operator's.
        Err(error) if error.kind == CallErrorKind::Conflict => RedriveOutcome::Started,
        Err(error) => {
            warn!(error = %error, "could not start the redrive");
            RedriveOutcome::Failed
        }
    }
}

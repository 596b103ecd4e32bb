//! The `rejitter` function: spreads the backlog, so that a dependency that has just recovered is not hit by all of it
//! at once.
//!
//! Receives and writes are under way side by side (`flow.rs`), as many as the queue takes (`pace.rs`). Each message gets a
//! random moment within the planned window: by a visibility timeout, or as a delayed copy whose original is deleted once
//! the copy was sent. A message is never dropped: what cannot be spread comes back when its visibility timeout runs out.

mod flow;
mod job;
mod pace;
mod pack;
mod supply;
mod tally;

use std::time::Duration;

use tracing::info;
use workflow::contract::{RejitterAnswer, RejitterProgress, RejitterRequest, RejitterStrategy};

use self::flow::Flow;
use self::tally::Tally;
use crate::failure::HandlerError;
use crate::fence;
use crate::ports::{Chance, Circuits, Clock, Messages};
use crate::spread;

pub use self::pace::{MAX_CALL_COUNT, START_CALL_COUNT};

/// Long poll of the receive that tells a dry queue, seconds. A long poll asks every server of the queue.
pub const POLL_WAIT_S: u32 = 3;
/// For how long a message stays invisible while it is in hand, seconds: every retry fits in.
pub const HOLD_S: u32 = 60;
/// Most messages in hand per call that the pace allows: a batch in each, and one to come.
pub const MAX_HELD_PER_CALL_COUNT: usize = 20;
/// Most bytes of messages in hand, those that are being received included. Each may be in memory three times: as it came,
/// as it goes, and as the text of the call.
pub const MAX_HELD_BYTES: usize = 8 * 1_048_576;
/// Consecutive batches that hold only messages sent after the start, or spread before, after which all older ones
/// count as spread: a queue with a busy sender never runs dry.
pub const FRESH_BATCH_COUNT: u32 = 20;
/// Time between two looks at the fence, milliseconds.
pub const FENCE_EVERY_MS: u64 = 10_000;
/// Receiving stops this long before the invocation's time is up, or at half time if that is later.
pub const STOP_MARGIN: Duration = Duration::from_secs(30);
/// How often a failed receive is tried in all, receives that were under way together counted once: for some six seconds.
pub const RECEIVE_ATTEMPT_COUNT: u32 = 7;
/// How often an entry of a write is tried in all: for some nine seconds.
pub const WRITE_ATTEMPT_COUNT: u32 = 8;
/// How often in a row a receive may find the in-flight quota used up, with [`OVER_LIMIT_PAUSE`] in between.
pub const OVER_LIMIT_ATTEMPT_COUNT: u32 = 20;
/// Pause while the in-flight quota is used up and nothing in hand makes room.
pub const OVER_LIMIT_PAUSE: Duration = Duration::from_secs(3);
/// How often messages that failures left hidden are waited for, [`HOLD_S`] at most each time.
pub const MAX_COME_BACK_COUNT: u32 = 2;
/// Messages that could not be spread after which an invocation gives up.
pub const MAX_FAILED_COUNT: u64 = 10_000;

/// Spreads what it can within `remaining`, the time left to this invocation.
///
/// A copy whose send was never answered may exist or not; its original is left where it is, counts as failed, and comes
/// back when its visibility timeout runs out. The consumer may then get both.
///
/// Answers `done` when the queue ran dry, when only newer messages came up, when the window has passed, or when the
/// queue's in-flight quota stayed used up; what stayed visible in the last two cases counts as failed. The first
/// invocation of several that are to share a large backlog plans, and leaves the work to them; so does one that `only_plans`.
///
/// # Errors
/// [`HandlerError::InvalidRequest`] for the strategy `off`, a FIFO queue, or values out of range;
/// [`HandlerError::StaleEpoch`] when the circuit has another owner; [`HandlerError::Call`] when nothing could be
/// received or counted. A failure after some messages were spread is an answer that is not `done` instead, so that
/// the counts are not lost.
pub async fn handle<P>(
    request: &RejitterRequest,
    remaining: Duration,
    ports: &P,
) -> Result<RejitterAnswer, HandlerError>
where
    P: Circuits + Messages + Clock + Chance,
{
    validate(request)?;
    let started_ms = ports.now_ms();
    fence::check(&request.fence, ports).await?;
    let counts = ports.counts(&request.queue_url).await?;
    let plan = match &request.progress {
        Some(progress) => progress.clone(),
        None => {
            // What is in flight now was put aside by probes, or was spread by an attempt whose answer got lost; what
            // is delayed arrives when its sender wants it to.
            let backlog_count = counts.visible_count + counts.in_flight_count;
            let plan = spread::plan(request, backlog_count, started_ms);
            info!(
                backlog_count,
                strategy = ?plan.strategy,
                share_count = plan.share_count,
                from_ms = plan.spread_from_ms,
                until_ms = plan.spread_until_ms,
                "planned the re-jitter"
            );
            if plan.share_count > 1 || request.only_plans {
                return Ok(RejitterAnswer { done: false, progress: plan });
            }
            plan
        }
    };
    let margin = STOP_MARGIN.min(remaining / 2);
    let stop_at_ms = started_ms.saturating_add((remaining - margin).as_millis() as u64);
    let expected_count = counts.visible_count.div_ceil(u64::from(plan.share_count.max(1)));
    let flow = Flow::new(request, ports, plan, stop_at_ms, expected_count);
    let (end, tally, plan) = flow.run().await;
    answer(end, &tally, plan, request, ports).await
}

fn validate(request: &RejitterRequest) -> Result<(), HandlerError> {
    let refuse = |text: String| Err(HandlerError::InvalidRequest(text));
    let strategies = [Some(request.strategy), request.progress.as_ref().map(|progress| progress.strategy)];
    if strategies.contains(&Some(RejitterStrategy::Off)) {
        return refuse("strategy is off; it has to be visibility or requeue".to_owned());
    }
    if request.queue_url.ends_with(".fifo") {
        return refuse(
            "queue_url names a FIFO queue; its order would be lost, so it is never re-jittered".to_owned(),
        );
    }
    if !(request.drain_per_s.is_finite() && request.drain_per_s > 0.0) {
        return refuse(format!("drain_per_s is {}; it has to be above 0", request.drain_per_s));
    }
    if request.invocations_count == 0 {
        return refuse("invocations_count is 0; it has to be 1 or more".to_owned());
    }
    if request.progress.as_ref().is_some_and(|progress| progress.spread_until_ms < progress.spread_from_ms) {
        return refuse("progress.spread_until_ms is before progress.spread_from_ms".to_owned());
    }
    Ok(())
}

/// Why receiving ended.
#[derive(Clone, Debug)]
enum End {
    /// A long poll found nothing.
    Dry,
    /// Only newer messages came up.
    OnlyFresh,
    /// The last moment of the window has passed.
    WindowPassed,
    /// The queue's in-flight quota is used up.
    OverLimit,
    /// This invocation's time is up.
    OutOfTime,
    /// Calls kept failing.
    Failed(HandlerError),
}

async fn answer<P: Messages>(
    end: End,
    tally: &Tally,
    plan: RejitterProgress,
    request: &RejitterRequest,
    ports: &P,
) -> Result<RejitterAnswer, HandlerError> {
    let done = match &end {
        End::Dry | End::OnlyFresh | End::WindowPassed | End::OverLimit => true,
        End::OutOfTime => false,
        End::Failed(error) if error.is_transient() && tally.moved_count > 0 => false,
        End::Failed(error) => return Err(error.clone()),
    };
    let mut failed_count = tally.unspread_count();
    if matches!(end, End::WindowPassed | End::OverLimit) {
        failed_count += ports.counts(&request.queue_url).await.map_or(0, |counts| counts.visible_count);
    }
    let progress = RejitterProgress {
        moved_count: plan.moved_count + tally.moved_count,
        hidden_count: plan.hidden_count + tally.hidden_count,
        copied_count: plan.copied_count + tally.copied_count,
        failed_count: plan.failed_count + failed_count,
        ..plan
    };
    info!(
        ?end,
        done,
        moved_count = progress.moved_count,
        copied_count = progress.copied_count,
        failed_count = progress.failed_count,
        "re-jittered"
    );
    Ok(RejitterAnswer { done, progress })
}

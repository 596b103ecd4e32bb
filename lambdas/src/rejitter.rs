//! The `rejitter` function: spreads the backlog, so that a dependency that has just recovered is not hit by all of it
//! at once.
//!
//! Several receivers work side by side. Each receives a batch and gives every message of it a random moment within the
//! planned window: by a visibility timeout, or as a delayed copy whose original is deleted once the copy was sent. A
//! message is never dropped: what cannot be spread comes back when its visibility timeout runs out.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tracing::{debug, error, info, warn};
use workflow::contract::{RejitterAnswer, RejitterProgress, RejitterRequest, RejitterStrategy};

use crate::batch::{self, COPY_ATTEMPT_COUNT, MAX_BATCH_COUNT};
use crate::failure::HandlerError;
use crate::fence;
use crate::ports::{
    CallErrorKind, Chance, Circuits, Clock, Message, Messages, Outgoing, Receive, VisibilityChange,
};
use crate::spread::{self, MAX_DELAY_S, MAX_VISIBILITY_S};

/// Most receivers at work side by side.
pub const MAX_RECEIVER_COUNT: u64 = 16;
/// Messages of a backlog for which another receiver is worth its calls.
pub const MESSAGES_PER_RECEIVER_COUNT: u64 = 100;
/// Long poll of a receive, seconds. A long poll asks every server of the queue, so an empty one means a dry queue.
pub const POLL_WAIT_S: u32 = 3;
/// For how long a message stays invisible while its batch is worked on, seconds: every retry fits in.
pub const HOLD_S: u32 = 60;
/// Consecutive batches that hold only messages sent after the start, or spread before, after which all older ones
/// count as spread: a queue with a busy sender never runs dry.
pub const FRESH_BATCH_COUNT: u32 = 20;
/// Batches of one receiver between two looks at the fence.
pub const FENCE_EVERY_COUNT: u32 = 16;
/// Receiving stops this long before the invocation's time is up, or at half time if that is later.
pub const STOP_MARGIN: Duration = Duration::from_secs(30);
/// How often a failed receive is tried in all.
pub const RECEIVE_ATTEMPT_COUNT: u32 = 4;

/// Spreads what it can within `remaining`, the time left to this invocation.
///
/// A copy whose send was never answered may exist or not; its original is left where it is, counts as failed, and comes
/// back when its visibility timeout runs out. The consumer may then get both.
///
/// Answers `done` when the queue ran dry, when only newer messages came up, when the window has passed, or when the
/// queue's in-flight quota is used up; what stayed visible in the last two cases counts as failed.
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
    let (plan, receiver_count) = match &request.progress {
        Some(progress) => (progress.clone(), MAX_RECEIVER_COUNT),
        None => {
            let counts = ports.counts(&request.queue_url).await?;
            // What is in flight now was put aside by probes, or was spread by an attempt whose answer got lost; what
            // is delayed arrives when its sender wants it to.
            let backlog_count = counts.visible_count + counts.in_flight_count;
            let plan = spread::plan(request.strategy, backlog_count, request.drain_per_s, started_ms);
            info!(
                backlog_count,
                strategy = ?plan.strategy,
                from_ms = plan.spread_from_ms,
                until_ms = plan.spread_until_ms,
                "planned the re-jitter"
            );
            (plan, backlog_count.div_ceil(MESSAGES_PER_RECEIVER_COUNT).clamp(1, MAX_RECEIVER_COUNT))
        }
    };
    let margin = STOP_MARGIN.min(remaining / 2);
    let run = Run {
        request,
        stop_at_ms: started_ms.saturating_add((remaining - margin).as_millis() as u64),
        ports,
        tally: RefCell::new(Tally::default()),
        plan,
    };
    let mut receivers: FuturesUnordered<_> =
        (0..receiver_count).map(|_| run.receive_until_the_end()).collect();
    while receivers.next().await.is_some() {}
    drop(receivers);
    run.answer().await
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

/// What the receivers share.
#[derive(Default)]
struct Tally {
    end: Option<End>,
    moved_count: u64,
    copied_count: u64,
    fresh_batch_count: u32,
    /// Messages spread by visibility timeout in this invocation. One that reappears is spread again, but is no reason
    /// to go on.
    moved: BTreeSet<String>,
    /// Messages whose copy was sent but which could not be deleted. If one comes up again it is deleted, not copied.
    undeleted: BTreeSet<String>,
    /// Messages that could not be spread. One that comes up again and is spread then is no longer among them.
    failed: BTreeSet<String>,
}

struct Run<'a, P> {
    request: &'a RejitterRequest,
    plan: RejitterProgress,
    /// When to stop receiving, milliseconds since the Unix epoch.
    stop_at_ms: u64,
    ports: &'a P,
    tally: RefCell<Tally>,
}

impl<P> Run<'_, P>
where
    P: Circuits + Messages + Clock + Chance,
{
    async fn receive_until_the_end(&self) {
        let mut batch_count = 0;
        while !self.is_over() {
            if batch_count > 0
                && batch_count % FENCE_EVERY_COUNT == 0
                && let Err(error) = fence::check(&self.request.fence, self.ports).await
            {
                return self.end(End::Failed(error));
            }
            match self.receive().await {
                Ok(messages) if messages.is_empty() => return self.end(End::Dry),
                Ok(messages) => self.spread(messages).await,
                Err(end) => return self.end(end),
            }
            batch_count += 1;
        }
    }

    fn is_over(&self) -> bool {
        let now_ms = self.ports.now_ms();
        if now_ms >= self.plan.spread_until_ms {
            self.end(End::WindowPassed);
        } else if now_ms >= self.stop_at_ms {
            self.end(End::OutOfTime);
        }
        self.tally.borrow().end.is_some()
    }

    /// The first reason stands, except that a failure outweighs any other.
    fn end(&self, end: End) {
        let mut tally = self.tally.borrow_mut();
        if tally.end.is_none() || matches!(end, End::Failed(_)) {
            tally.end = Some(end);
        }
    }

    async fn receive(&self) -> Result<Vec<Message>, End> {
        let receive =
            Receive { max_count: MAX_BATCH_COUNT as u32, wait_s: POLL_WAIT_S, visibility_s: HOLD_S };
        let mut attempt = 1;
        loop {
            match self.ports.receive(&self.request.queue_url, receive).await {
                Ok(messages) => return Ok(messages),
                Err(error) if error.kind == CallErrorKind::OverLimit => return Err(End::OverLimit),
                Err(error) if error.kind.may_pass() && attempt < RECEIVE_ATTEMPT_COUNT => {
                    attempt += 1;
                    self.ports.sleep(batch::pause_before(attempt)).await;
                }
                Err(error) => return Err(End::Failed(error.into())),
            }
        }
    }

    async fn spread(&self, messages: Vec<Message>) {
        self.note_freshness(&messages);
        let (copied, rest): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .partition(|message| self.tally.borrow().undeleted.contains(&message.message_id));
        self.delete_originals(&copied).await;
        let (to_copy, to_shift): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|message| self.is_to_be_copied(message));
        self.shift(&to_shift).await;
        self.requeue(to_copy).await;
    }

    fn note_freshness(&self, messages: &[Message]) {
        let mut tally = self.tally.borrow_mut();
        let is_old = |message: &Message| {
            message.sent_at_ms().is_none_or(|sent_ms| sent_ms < self.plan.started_at_ms)
                && !tally.moved.contains(&message.message_id)
                && !tally.undeleted.contains(&message.message_id)
        };
        if messages.iter().any(is_old) {
            tally.fresh_batch_count = 0;
            return;
        }
        tally.fresh_batch_count += 1;
        if tally.fresh_batch_count >= FRESH_BATCH_COUNT && tally.end.is_none() {
            tally.end = Some(End::OnlyFresh);
        }
    }

    fn is_last_receive(&self, message: &Message) -> bool {
        self.request.max_receive_count.is_some_and(|maximum| message.receive_count() >= maximum)
    }

    /// A message that failed before may have a copy that nobody heard of: it is spread as it is, rather than copied
    /// again. On its last receive it has to be copied all the same.
    fn is_to_be_copied(&self, message: &Message) -> bool {
        let requeues = self.plan.strategy == RejitterStrategy::Requeue
            && !self.tally.borrow().failed.contains(&message.message_id);
        requeues || self.is_last_receive(message)
    }

    /// Gives each message a random visibility timeout.
    async fn shift(&self, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        let now_ms = self.ports.now_ms();
        let changes: Vec<VisibilityChange> = messages
            .iter()
            .map(|message| VisibilityChange {
                receipt_handle: message.receipt_handle.clone(),
                visibility_s: spread::draw_s(&self.plan, now_ms, MAX_VISIBILITY_S, self.ports),
            })
            .collect();
        let results = batch::change_visibility(&self.request.queue_url, &changes, self.ports).await;
        let mut tally = self.tally.borrow_mut();
        for (message, result) in messages.iter().zip(results) {
            match result {
                Ok(()) => {
                    tally.failed.remove(&message.message_id);
                    if tally.moved.insert(message.message_id.clone()) {
                        tally.moved_count += 1;
                    }
                }
                Err(error) => {
                    warn!(message_id = message.message_id, error = %error, "could not spread the message");
                    tally.failed.insert(message.message_id.clone());
                }
            }
        }
    }

    /// Sends a delayed copy of each message, then deletes the originals whose copy was sent.
    async fn requeue(&self, messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        let now_ms = self.ports.now_ms();
        let entries: Vec<(Message, Outgoing)> = messages
            .into_iter()
            .map(|message| {
                let delay_s = spread::draw_s(&self.plan, now_ms, MAX_DELAY_S, self.ports);
                let copy = batch::copy_of(&message, Some(delay_s));
                (message, copy)
            })
            .collect();
        for entries in batch::split(entries, |(_, copy)| batch::size_bytes(copy)) {
            let (originals, copies): (Vec<Message>, Vec<Outgoing>) = entries.into_iter().unzip();
            let results = batch::send(&self.request.queue_url, &copies, COPY_ATTEMPT_COUNT, self.ports).await;
            let mut sent = Vec::new();
            for (original, result) in originals.into_iter().zip(results) {
                match result {
                    Ok(copy_id) => {
                        debug!(message_id = original.message_id, copy_id, "sent a delayed copy");
                        self.note_copied(&original);
                        sent.push(original);
                    }
                    Err(error) => {
                        error!(message_id = original.message_id, error = %error, "could not copy the message");
                        self.tally.borrow_mut().failed.insert(original.message_id);
                    }
                }
            }
            self.delete_originals(&sent).await;
        }
    }

    /// Until it is deleted, a message with a copy counts as undeleted.
    fn note_copied(&self, original: &Message) {
        let mut tally = self.tally.borrow_mut();
        tally.moved_count += 1;
        tally.copied_count += u64::from(self.is_last_receive(original));
        tally.failed.remove(&original.message_id);
        tally.undeleted.insert(original.message_id.clone());
    }

    async fn delete_originals(&self, originals: &[Message]) {
        if originals.is_empty() {
            return;
        }
        let handles: Vec<String> = originals.iter().map(|message| message.receipt_handle.clone()).collect();
        let results = batch::delete(&self.request.queue_url, &handles, self.ports).await;
        let mut tally = self.tally.borrow_mut();
        for (original, result) in originals.iter().zip(results) {
            match result {
                Ok(()) => {
                    tally.undeleted.remove(&original.message_id);
                }
                Err(error) => {
                    error!(message_id = original.message_id, error = %error, "could not delete a copied message");
                }
            }
        }
    }

    async fn answer(self) -> Result<RejitterAnswer, HandlerError> {
        let tally = self.tally.into_inner();
        let end = tally.end.unwrap_or(End::Dry);
        let done = match &end {
            End::Dry | End::OnlyFresh | End::WindowPassed | End::OverLimit => true,
            End::OutOfTime => false,
            End::Failed(error) if error.is_transient() && tally.moved_count > 0 => false,
            End::Failed(error) => return Err(error.clone()),
        };
        let mut failed_count = (tally.failed.len() + tally.undeleted.len()) as u64;
        if matches!(end, End::WindowPassed | End::OverLimit) {
            failed_count +=
                self.ports.counts(&self.request.queue_url).await.map_or(0, |counts| counts.visible_count);
        }
        let progress = RejitterProgress {
            moved_count: self.plan.moved_count + tally.moved_count,
            copied_count: self.plan.copied_count + tally.copied_count,
            failed_count: self.plan.failed_count + failed_count,
            ..self.plan
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
}

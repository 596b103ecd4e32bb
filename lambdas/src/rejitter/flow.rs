//! The pipeline of one invocation: receives and writes under way side by side, as many as the pace allows.
//!
//! One loop owns all that is in hand and decides what to call next; the calls are futures that only carry it there and
//! back. Nothing is shared and nothing is locked, and what is in hand is bounded by count and by bytes, so that memory
//! stays flat whatever the backlog.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tracing::{debug, error, warn};
use workflow::contract::{RejitterProgress, RejitterRequest, RejitterStrategy};

use super::job::{Done, Entry, Job, Original, Rested, perform};
use super::pace::Pace;
use super::pack::Packer;
use super::supply::Supply;
use super::tally::Tally;
use super::{
    End, FENCE_EVERY_MS, FRESH_BATCH_COUNT, HOLD_S, MAX_COME_BACK_COUNT, MAX_FAILED_COUNT, MAX_HELD_BYTES,
    MAX_HELD_PER_CALL_COUNT, OVER_LIMIT_ATTEMPT_COUNT, OVER_LIMIT_PAUSE, RECEIVE_ATTEMPT_COUNT,
    WRITE_ATTEMPT_COUNT,
};
use crate::batch::{self, MAX_BATCH_COUNT};
use crate::failure::HandlerError;
use crate::ports::{BatchResult, CallError, CallErrorKind, Chance, Circuits, Clock, Message, Messages};
use crate::spread::{self, MAX_DELAY_S, MAX_VISIBILITY_S};

/// What one invocation has in hand and knows.
pub struct Flow<'a, P> {
    request: &'a RejitterRequest,
    ports: &'a P,
    plan: RejitterProgress,
    /// When to stop receiving, milliseconds since the Unix epoch.
    stop_at_ms: u64,
    /// How many messages a requeue may still hide: the in-flight quota is shared with the other invocations.
    hide_left_count: u64,
    end: Option<End>,
    tally: Tally,
    pace: Pace,
    supply: Supply,
    to_hide: Packer<Entry>,
    to_copy: Packer<Entry>,
    to_delete: Packer<Original>,
    /// The last batch that was hidden: requeued, it makes room when the in-flight quota is used up.
    spare: Vec<Entry>,
    /// Calls under way.
    call_count: usize,
    /// Messages in hand, and their bytes.
    held_count: usize,
    held_bytes: usize,
    /// Bytes of the largest batch so far; before the first one comes nobody knows.
    largest_batch_bytes: Option<usize>,
    /// Receiving rests after a failure, or because the queue is dry.
    receive_rests: bool,
    /// A long poll found nothing while messages were in hand. Whether one of them comes back is known once none is.
    is_dry: bool,
    receive_failure_count: u32,
    over_limit_count: u32,
    /// When the last of the messages comes back that a failure left hidden, milliseconds since the Unix epoch.
    back_at_ms: Option<u64>,
    come_back_count: u32,
    fence_at_ms: u64,
}

impl<'a, P> Flow<'a, P>
where
    P: Circuits + Messages + Clock + Chance,
{
    /// A pipeline for what `plan` says; `expected_count` messages are taken to wait for this invocation.
    pub fn new(
        request: &'a RejitterRequest,
        ports: &'a P,
        plan: RejitterProgress,
        stop_at_ms: u64,
        expected_count: u64,
    ) -> Flow<'a, P> {
        let share = spread::MAX_IN_FLIGHT_BACKLOG_COUNT / u64::from(plan.share_count.max(1));
        Flow {
            request,
            ports,
            stop_at_ms,
            hide_left_count: share.saturating_sub(plan.hidden_count),
            end: None,
            tally: Tally::default(),
            pace: Pace::new(),
            supply: Supply::new(expected_count),
            to_hide: Packer::new(),
            to_copy: Packer::new(),
            to_delete: Packer::new(),
            spare: Vec::new(),
            call_count: 0,
            held_count: 0,
            held_bytes: 0,
            largest_batch_bytes: None,
            receive_rests: false,
            is_dry: false,
            receive_failure_count: 0,
            over_limit_count: 0,
            back_at_ms: None,
            come_back_count: 0,
            fence_at_ms: ports.now_ms() + FENCE_EVERY_MS,
            plan,
        }
    }

    /// Runs until receiving has ended and nothing is in hand any more. Answers why it ended, what became of the
    /// messages, and the plan, whose strategy may have changed.
    pub async fn run(mut self) -> (End, Tally, RejitterProgress) {
        let mut jobs = FuturesUnordered::new();
        loop {
            while let Some(job) = self.next_job() {
                jobs.push(perform(job, self.pace.round(), self.request, self.ports));
            }
            let Some((round, done)) = jobs.next().await else { break };
            let rest = self.absorb(round, done).or_else(|| self.settle());
            jobs.extend(rest.map(|rest| perform(rest, round, self.request, self.ports)));
        }
        (self.end.unwrap_or(End::Dry), self.tally, self.plan)
    }

    /// The next call, if one may begin: what is in hand goes first.
    fn next_job(&mut self) -> Option<Job> {
        self.look_at_the_clock();
        if self.call_count >= self.pace.limit() {
            return None;
        }
        let job = self
            .next_fence()
            .or_else(|| self.next_write(false))
            .or_else(|| self.next_receive())
            .or_else(|| if self.more_may_come() { None } else { self.next_write(true) })?;
        self.call_count += 1;
        Some(job)
    }

    fn look_at_the_clock(&mut self) {
        let now_ms = self.ports.now_ms();
        if now_ms >= self.plan.spread_until_ms {
            self.finish(End::WindowPassed);
        } else if now_ms >= self.stop_at_ms {
            self.finish(End::OutOfTime);
        }
    }

    /// The first reason stands, except that a failure outweighs any other.
    fn finish(&mut self, end: End) {
        if self.end.is_none() || (matches!(end, End::Failed(_)) && !matches!(self.end, Some(End::Failed(_))))
        {
            self.end = Some(end);
        }
    }

    /// Whoever is no owner any more learns it here, and lets go of what is in hand.
    fn next_fence(&mut self) -> Option<Job> {
        let now_ms = self.ports.now_ms();
        if self.end.is_some() || now_ms < self.fence_at_ms {
            return None;
        }
        // The next look is due some time after this one has come back.
        self.fence_at_ms = u64::MAX;
        Some(Job::Fence)
    }

    fn next_write(&mut self, even_if_not_full: bool) -> Option<Job> {
        fn take<T>(packer: &mut Packer<T>, even_if_not_full: bool) -> Option<Vec<T>> {
            if even_if_not_full { packer.take_any() } else { packer.take_full() }
        }
        take(&mut self.to_delete, even_if_not_full)
            .map(Job::Delete)
            .or_else(|| take(&mut self.to_copy, even_if_not_full).map(Job::Copy))
            .or_else(|| take(&mut self.to_hide, even_if_not_full).map(Job::Hide))
    }

    fn next_receive(&mut self) -> Option<Job> {
        if self.end.is_some() || self.receive_rests || !self.has_room() {
            return None;
        }
        self.supply.next().map(Job::Receive)
    }

    /// Whether one more batch fits in hand, whatever those under way bring.
    fn has_room(&self) -> bool {
        let polls = self.supply.short_poll_count() as usize;
        let Some(batch_bytes) = self.largest_batch_bytes else { return polls == 0 };
        if self.held_count == 0 && polls == 0 {
            return true;
        }
        let max_held_count = MAX_HELD_PER_CALL_COUNT * self.pace.limit().max(4);
        self.held_count + (polls + 1) * MAX_BATCH_COUNT <= max_held_count
            && self.held_bytes + (polls + 1) * batch_bytes <= MAX_HELD_BYTES
    }

    /// Whether a batch that is not full may yet become it without waiting for long. When nothing else is under way it
    /// has to go as it is.
    fn more_may_come(&self) -> bool {
        let receives = self.supply.short_poll_count() > 0
            || (self.end.is_none() && self.supply.is_plentiful() && !self.receive_rests);
        receives && self.call_count > 0
    }

    /// Takes what came of a job. Answers the rest that follows from it.
    fn absorb(&mut self, round: u32, done: Done) -> Option<Job> {
        if !matches!(done, Done::Rested(_)) {
            self.call_count -= 1;
        }
        match done {
            Done::Received(wait_s, Ok(messages)) => self.received(wait_s, messages),
            Done::Received(wait_s, Err(error)) => {
                self.supply.failed(wait_s);
                return self.receive_failed(round, error);
            }
            Done::Hidden(entries, result) => return self.hidden(round, entries, result),
            Done::Copied(entries, result) => return self.copied(round, entries, result),
            Done::Deleted(originals, result) => return self.deleted(round, originals, result),
            Done::Fenced(Ok(())) => self.fence_at_ms = self.ports.now_ms() + FENCE_EVERY_MS,
            Done::Fenced(Err(error)) => self.lost_the_fence(error),
            Done::Rested(rested) => self.rested(rested),
        }
        None
    }

    /// A stale owner must not act: what it has in hand comes back by itself. What was copied is deleted all the same,
    /// or it would be there twice.
    fn lost_the_fence(&mut self, error: HandlerError) {
        let is_stale = matches!(error, HandlerError::StaleEpoch { .. });
        self.finish(End::Failed(error));
        if is_stale {
            self.to_hide.take_all();
            self.to_copy.take_all();
        }
    }

    fn is_stale(&self) -> bool {
        matches!(self.end, Some(End::Failed(HandlerError::StaleEpoch { .. })))
    }

    fn rested(&mut self, rested: Rested) {
        match rested {
            Rested::Receive => self.receive_rests = false,
            Rested::Hide(_) | Rested::Copy(_) if self.is_stale() => {}
            Rested::Hide(entries) => entries.into_iter().for_each(|entry| self.to_hide.push(entry, 0)),
            Rested::Copy(entries) => entries.into_iter().for_each(|entry| self.queue_copy(entry)),
            Rested::Delete(originals) => {
                originals.into_iter().for_each(|original| self.to_delete.push(original, 0));
            }
        }
    }

    fn received(&mut self, wait_s: u32, messages: Vec<Message>) {
        self.pace.quicken();
        self.receive_failure_count = 0;
        self.over_limit_count = 0;
        self.is_dry = self.supply.received(wait_s, messages.len());
        self.receive_rests |= self.is_dry;
        if messages.is_empty() {
            return;
        }
        let bytes = messages.iter().map(bytes_of).sum();
        self.largest_batch_bytes = self.largest_batch_bytes.max(Some(bytes));
        self.held_count += messages.len();
        self.held_bytes += bytes;
        if self.tally.note_batch(&messages, self.plan.started_at_ms) >= FRESH_BATCH_COUNT {
            self.finish(End::OnlyFresh);
        }
        messages.into_iter().for_each(|message| self.sort(message));
    }

    /// The queue is dry and nothing is in hand. Messages that a failure left hidden come back; unless that is too late
    /// they are waited for.
    fn settle(&mut self) -> Option<Job> {
        if !self.is_dry || self.held_count > 0 {
            return None;
        }
        self.is_dry = false;
        let now_ms = self.ports.now_ms();
        let latest_ms = self.stop_at_ms.min(self.plan.spread_until_ms);
        let back_at_ms = self.back_at_ms.take().filter(|at_ms| *at_ms > now_ms && *at_ms < latest_ms);
        match back_at_ms {
            Some(at_ms) if self.come_back_count < MAX_COME_BACK_COUNT => {
                self.come_back_count += 1;
                Some(Job::Rest(Duration::from_millis(at_ms - now_ms), Rested::Receive))
            }
            _ => {
                self.finish(End::Dry);
                None
            }
        }
    }

    fn receive_failed(&mut self, round: u32, error: CallError) -> Option<Job> {
        if error.kind == CallErrorKind::OverLimit {
            return self.over_limit(round);
        }
        if !error.kind.may_pass() {
            self.finish(End::Failed(error.into()));
            return None;
        }
        if error.kind == CallErrorKind::Transient {
            // The messages of an answer that was lost are hidden all the same.
            self.note_hidden_by_failure();
        }
        if !self.pace.slow_down(round) {
            return None;
        }
        self.receive_failure_count += 1;
        if self.receive_failure_count >= RECEIVE_ATTEMPT_COUNT {
            self.finish(End::Failed(error.into()));
            return None;
        }
        self.rest_receiving(batch::pause_before(self.receive_failure_count + 1))
    }

    fn rest_receiving(&mut self, pause: Duration) -> Option<Job> {
        if self.receive_rests {
            return None;
        }
        self.receive_rests = true;
        Some(Job::Rest(pause, Rested::Receive))
    }

    /// The in-flight quota is used up: from here on messages are copied and deleted, which leaves none in flight. What
    /// is to be hidden, and the last batch that was, make the room for it.
    fn over_limit(&mut self, round: u32) -> Option<Job> {
        let is_news = self.pace.slow_down(round);
        if self.plan.strategy == RejitterStrategy::Visibility {
            warn!("the queue's in-flight quota is used up: going on by requeue");
            self.plan.strategy = RejitterStrategy::Requeue;
        }
        self.hide_left_count = 0;
        self.plan.hidden_count = self.plan.hidden_count.max(spread::MAX_IN_FLIGHT_BACKLOG_COUNT);
        for entry in self.to_hide.take_all() {
            self.held_count -= 1;
            self.held_bytes -= bytes_of(&entry.message);
            self.take_in_hand(entry.message, entry.counted);
        }
        for entry in std::mem::take(&mut self.spare) {
            self.take_in_hand(entry.message, true);
        }
        self.over_limit_count += u32::from(is_news && self.held_count == 0);
        if self.over_limit_count >= OVER_LIMIT_ATTEMPT_COUNT {
            self.finish(End::OverLimit);
            return None;
        }
        self.rest_receiving(if self.held_count > 0 { batch::FIRST_PAUSE } else { OVER_LIMIT_PAUSE })
    }

    /// Puts a message that is no longer counted as held back in hand, to be copied.
    fn take_in_hand(&mut self, message: Message, counted: bool) {
        self.held_count += 1;
        self.held_bytes += bytes_of(&message);
        let target_ms = self.draw_ms(MAX_DELAY_S);
        self.queue_copy(Entry { message, target_ms, attempt_count: 0, counted });
    }

    fn draw_ms(&self, longest_s: u32) -> u64 {
        spread::draw_ms(&self.plan, self.ports.now_ms(), longest_s, self.ports)
    }

    fn is_last_receive(&self, message: &Message) -> bool {
        self.request.max_receive_count.is_some_and(|maximum| message.receive_count() >= maximum)
    }

    /// Decides when a message is to arrive, and how that is brought about.
    fn sort(&mut self, message: Message) {
        if self.tally.undeleted.contains(&message.message_id) {
            self.held_bytes -= bytes_of(&message);
            return self.queue_delete(message);
        }
        let now_ms = self.ports.now_ms();
        let is_last = self.is_last_receive(&message);
        let mut target_ms = self.draw_ms(MAX_VISIBILITY_S);
        let latest_copy_ms = now_ms + u64::from(MAX_DELAY_S) * 1_000;
        let hides = !is_last
            && match self.plan.strategy {
                // One that failed before may have a copy that nobody heard of: it is not copied again.
                _ if self.tally.failed.contains(&message.message_id) => true,
                RejitterStrategy::Visibility | RejitterStrategy::Off => true,
                // Beyond the longest delay, or if it may itself be a copy that comes up early, it is hidden instead as
                // long as there is room.
                RejitterStrategy::Requeue => {
                    let is_late =
                        target_ms > latest_copy_ms || !self.tally.is_old(&message, self.plan.started_at_ms);
                    is_late && self.hide_left_count > 0
                }
            };
        if hides {
            self.hide_left_count = self.hide_left_count.saturating_sub(1);
            return self.to_hide.push(Entry { message, target_ms, attempt_count: 0, counted: false }, 0);
        }
        if target_ms > latest_copy_ms {
            target_ms = self.draw_ms(MAX_DELAY_S);
        }
        self.queue_copy(Entry { message, target_ms, attempt_count: 0, counted: false });
    }

    fn queue_copy(&mut self, entry: Entry) {
        let bytes = batch::message_bytes(&entry.message);
        self.to_copy.push(entry, bytes);
    }

    fn queue_delete(&mut self, message: Message) {
        let (message_id, receipt_handle) = (message.message_id, message.receipt_handle);
        self.to_delete.push(Original { message_id, receipt_handle, attempt_count: 0 }, 0);
    }

    fn hidden(
        &mut self,
        round: u32,
        entries: Vec<Entry>,
        result: Result<BatchResult<()>, CallError>,
    ) -> Option<Job> {
        let results = self.each(round, entries.len(), result);
        let mut again = Vec::new();
        let mut hidden = Vec::new();
        for (entry, result) in entries.into_iter().zip(results) {
            match result {
                Ok(()) => {
                    self.tally.note_hidden(&entry.message, entry.counted);
                    self.let_go(&entry.message);
                    hidden.push(entry);
                }
                Err(error) if may_go_again(&error, entry.attempt_count) => again.push(entry),
                Err(error) => {
                    warn!(message_id = entry.message.message_id, error = %error, "could not spread the message");
                    self.give_up(entry.message, error);
                }
            }
        }
        if self.plan.strategy == RejitterStrategy::Visibility && !hidden.is_empty() {
            self.spare = hidden;
        }
        rest_of(&mut again, |entry| &mut entry.attempt_count)
            .map(|pause| Job::Rest(pause, Rested::Hide(again)))
    }

    fn copied(
        &mut self,
        round: u32,
        entries: Vec<Entry>,
        result: Result<BatchResult<String>, CallError>,
    ) -> Option<Job> {
        // Without an answer to the call the copies may be there: another attempt could make second ones.
        let may_exist = result.as_ref().is_err_and(|error| error.kind == CallErrorKind::Transient);
        let results = self.each(round, entries.len(), result);
        let mut again = Vec::new();
        for (entry, result) in entries.into_iter().zip(results) {
            match result {
                Ok(copy_id) => {
                    debug!(message_id = entry.message.message_id, copy_id, "sent a delayed copy");
                    let is_last = self.is_last_receive(&entry.message);
                    self.tally.note_copied(&entry.message, is_last, entry.counted);
                    self.held_bytes -= bytes_of(&entry.message);
                    self.queue_delete(entry.message);
                }
                Err(error) if !may_exist && may_go_again(&error, entry.attempt_count) => again.push(entry),
                Err(error) => {
                    error!(message_id = entry.message.message_id, error = %error, "could not copy the message");
                    self.give_up(entry.message, error);
                }
            }
        }
        rest_of(&mut again, |entry| &mut entry.attempt_count)
            .map(|pause| Job::Rest(pause, Rested::Copy(again)))
    }

    fn deleted(
        &mut self,
        round: u32,
        originals: Vec<Original>,
        result: Result<BatchResult<()>, CallError>,
    ) -> Option<Job> {
        let results = self.each(round, originals.len(), result);
        let mut again = Vec::new();
        for (original, result) in originals.into_iter().zip(results) {
            match result {
                Ok(()) => {
                    self.tally.undeleted.remove(&original.message_id);
                    self.held_count -= 1;
                }
                Err(error) if may_go_again(&error, original.attempt_count) => again.push(original),
                Err(error) => {
                    error!(message_id = original.message_id, error = %error, "could not delete a copied message");
                    self.held_count -= 1;
                    self.note_failure(error);
                }
            }
        }
        rest_of(&mut again, |original| &mut original.attempt_count)
            .map(|pause| Job::Rest(pause, Rested::Delete(again)))
    }

    /// One result per entry, whether the call failed as a whole or not; and the pace follows.
    fn each<T>(
        &mut self,
        round: u32,
        count: usize,
        result: Result<BatchResult<T>, CallError>,
    ) -> BatchResult<T> {
        let results = match result {
            Ok(results) => results,
            Err(error) => (0..count).map(|_| Err(error.clone())).collect(),
        };
        let is_busy = |result: &Result<T, CallError>| {
            let kind = result.as_ref().err().map(|error| error.kind);
            matches!(kind, Some(CallErrorKind::Throttled | CallErrorKind::Transient))
        };
        if results.iter().any(is_busy) {
            self.pace.slow_down(round);
        } else {
            self.pace.quicken();
        }
        results
    }

    fn let_go(&mut self, message: &Message) {
        self.held_count -= 1;
        self.held_bytes -= bytes_of(message);
    }

    fn give_up(&mut self, message: Message, error: CallError) {
        self.let_go(&message);
        self.tally.failed.insert(message.message_id);
        self.note_failure(error);
    }

    /// A queue on which everything fails is no queue to go on with.
    fn note_failure(&mut self, error: CallError) {
        self.note_hidden_by_failure();
        if self.tally.unspread_count() >= MAX_FAILED_COUNT {
            self.finish(End::Failed(error.into()));
        }
    }

    fn note_hidden_by_failure(&mut self) {
        self.back_at_ms = Some(self.ports.now_ms() + u64::from(HOLD_S) * 1_000);
    }
}

fn may_go_again(error: &CallError, attempt_count: u32) -> bool {
    error.kind.may_pass() && attempt_count + 1 < WRITE_ATTEMPT_COUNT
}

/// Counts the attempt that failed for each, and says how long to wait before the next; `None` when there are none.
fn rest_of<T>(again: &mut [T], attempt_count: impl Fn(&mut T) -> &mut u32) -> Option<Duration> {
    let mut pause = None;
    for one in again {
        let count = attempt_count(one);
        *count += 1;
        pause = pause.max(Some(batch::pause_before(*count + 1)));
    }
    pause
}

/// Bytes that a message takes in hand, roughly.
fn bytes_of(message: &Message) -> usize {
    batch::message_bytes(message) + message.receipt_handle.len()
}

//! The queue itself: where each message is, and how time moves it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use serde_json::Value;
use slab::Slab;

use super::config::QueueConfig;
use super::counts::{CountHistory, QueueCounts};
use super::digest::sha256_of_body;
use super::fifo::{Deduplication, Groups};
use super::ids::{MessageId, sequence_number};
use super::knobs::SqsKnobs;
use super::limits::check_send;
use super::message::{Content, MovedMessage, SendOutcome, SendRequest};
use super::timers::{Timer, Timers};
use crate::cloud::cfn_properties::PropertyError;
use crate::cloud::error::ServiceError;

/// A standard queue drops a message received so often from its age metric, and moves it to the back. (D)
pub(super) const POISON_RECEIVES_COUNT: u32 = 3;
const PURGE_INTERVAL_MS: u64 = 60_000;

/// Where a message is; it is always in exactly one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Sent, and not yet visible for the first time.
    Delayed,
    /// Can be received.
    Visible,
    /// Received, and its visibility timeout runs.
    InFlight,
}

/// A message that left a queue without being deleted by a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemovedMessage {
    /// The message's id.
    pub message_id: MessageId,
    /// The sender's opaque number.
    pub trace: u32,
    /// When it was sent, in ms since the epoch.
    pub sent_ms: u64,
}

/// A message in a queue, for checkers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageView {
    /// The message's id.
    pub message_id: MessageId,
    /// The sender's opaque number.
    pub trace: u32,
    /// Where it is.
    pub place: Place,
    /// Receives so far.
    pub receive_count: u32,
    /// When it was sent, in ms since the epoch.
    pub sent_ms: u64,
}

#[derive(Debug)]
pub(super) struct Stored {
    pub content: Content,
    pub serial: u64,
    /// Smaller is received earlier.
    pub order: u64,
    pub place: Place,
    /// Which delivery the newest receipt handle belongs to.
    pub delivery: u32,
    pub received_ms: u64,
    /// Receives in this queue; a dead-letter queue shows the sum, and counts anew.
    pub receives_here_count: u32,
    /// Whether the age of the oldest message counts it.
    pub counts_for_age: bool,
    /// FIFO only: its group's number.
    group: usize,
    /// The timer that ends its place; older ones are void.
    pub timer_stamp: u64,
}

/// A message's place in a log by time; it stays when the message leaves, and is dropped when its turn comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct LogEntry {
    at_ms: u64,
    serial: u64,
    slot: usize,
}

impl LogEntry {
    fn message<'a>(&self, messages: &'a Slab<Stored>) -> Option<&'a Stored> {
        messages.get(self.slot).filter(|stored| stored.serial == self.serial)
    }
}

#[derive(Debug)]
pub(super) enum Order {
    Standard(BTreeMap<u64, usize>),
    Fifo(Groups),
}

/// One SQS queue.
///
/// Every call first lets time pass up to its `now_ms` (ms since the epoch): timeouts end and messages expire.
/// A `now_ms` before that of an earlier call counts as that one's.
///
/// Not modelled: throughput quotas, the reordering of fair queues (the group id is only carried), the
/// 120,000 messages that a FIFO queue scans for groups, and `ReceiveRequestAttemptId`.
#[derive(Debug)]
pub struct Queue {
    pub(super) arn: Rc<str>,
    pub(super) tag: u32,
    seed: u64,
    pub(super) config: QueueConfig,
    pub(super) knobs: SqsKnobs,
    pub(super) now_ms: u64,
    next_serial: u64,
    next_stamp: u64,
    pub(super) messages: Slab<Stored>,
    pub(super) order: Order,
    timers: Timers,
    deduplication: Deduplication,
    /// By send time, for retention: those sent here, and those moved here, whose times come in any order.
    sent_log: VecDeque<LogEntry>,
    moved_log: BTreeSet<LogEntry>,
    /// By arrival, for the age of the oldest message.
    arrival_log: VecDeque<LogEntry>,
    pub(super) counts: QueueCounts,
    history: CountHistory,
    expired: Vec<RemovedMessage>,
    expired_count: u64,
    purged_ms: Option<u64>,
    /// A retention that was asked for, and from when on it is in force.
    coming_retention: Option<(u64, u32)>,
    default_sender: Rc<str>,
}

impl Queue {
    /// A queue from the properties of its `AWS::SQS::Queue`, intrinsic functions resolved.
    ///
    /// Queues with different seeds give different message ids and refuse each other's receipt handles.
    ///
    /// # Errors
    /// An unknown property, or a value of the wrong type or out of range.
    pub fn from_properties(arn: &str, seed: u64, properties: &Value) -> Result<Self, PropertyError> {
        Ok(Self::new(arn, seed, QueueConfig::from_properties(properties)?))
    }

    /// A queue with these settings.
    pub fn new(arn: &str, seed: u64, config: QueueConfig) -> Self {
        let order = match config.is_fifo {
            true => Order::Fifo(Groups::default()),
            false => Order::Standard(BTreeMap::new()),
        };
        Self {
            arn: arn.into(),
            tag: (seed ^ (seed >> 32)) as u32,
            seed,
            config,
            knobs: SqsKnobs::default(),
            now_ms: 0,
            next_serial: 0,
            next_stamp: 0,
            messages: Slab::new(),
            order,
            timers: Timers::default(),
            deduplication: Deduplication::default(),
            sent_log: VecDeque::new(),
            moved_log: BTreeSet::new(),
            arrival_log: VecDeque::new(),
            counts: QueueCounts::default(),
            history: CountHistory::default(),
            expired: Vec::new(),
            expired_count: 0,
            purged_ms: None,
            coming_retention: None,
            default_sender: "AROAEXAMPLESENDER:producer".into(),
        }
    }

    /// The queue's ARN.
    pub fn arn(&self) -> &Rc<str> {
        &self.arn
    }

    /// The queue's settings.
    pub fn config(&self) -> &QueueConfig {
        &self.config
    }

    /// What scenarios vary.
    pub fn knobs_mut(&mut self) -> &mut SqsKnobs {
        &mut self.knobs
    }

    /// Changes the retention of all messages, those already queued included. (D)
    pub fn set_message_retention_s(&mut self, retention_s: u32) {
        self.config.message_retention_s = retention_s;
    }

    /// The same, in force only from `at_ms` on: AWS lets a change take up to 15 minutes. (D)
    pub fn change_message_retention_s(&mut self, retention_s: u32, at_ms: u64, now_ms: u64) {
        self.advance(now_ms);
        self.coming_retention = Some((at_ms, retention_s));
    }

    /// The retention as the attributes show it: what was asked for last, in force or not. (U)
    pub fn shown_retention_s(&self) -> u32 {
        self.coming_retention.map_or(self.config.message_retention_s, |(_, retention_s)| retention_s)
    }

    /// Takes the first of the visible messages out, for a move back to the queue from which it was dead-lettered.
    pub fn take_for_move(&mut self, now_ms: u64) -> Option<(Rc<str>, SendRequest)> {
        self.advance(now_ms);
        let here = self.messages.iter().filter(|(_, stored)| stored.place == Place::Visible);
        let from_elsewhere = here.filter_map(|(slot, stored)| {
            let source = stored.content.dead_letter_queue_source_arn.clone()?;
            Some((stored.serial, slot, source))
        });
        let (_, slot, source) = from_elsewhere.min_by_key(|(serial, ..)| *serial)?;
        let content = self.remove(slot, self.now_ms);
        let request = SendRequest {
            body: content.body,
            attributes: content.attributes,
            delay_s: None,
            message_group_id: content.message_group_id,
            message_deduplication_id: None,
            aws_trace_header: content.aws_trace_header,
            sender_id: Some(content.sender_id),
            trace: content.trace,
        };
        Some((source, request))
    }

    /// Sends one message.
    ///
    /// # Errors
    /// What SQS refuses: an empty or too long body, characters outside XML, unfit attributes, a delay above
    /// 900 s, and on FIFO a missing group or deduplication id or a delay of its own.
    pub fn send(&mut self, request: SendRequest, now_ms: u64) -> Result<SendOutcome, ServiceError> {
        self.advance(now_ms);
        check_send(&request, &self.config)?;
        let message_id = MessageId::derive(self.seed, self.next_serial);
        let mut deduplication_id = request.message_deduplication_id.clone();
        if self.config.is_fifo {
            let id = deduplication_id.get_or_insert_with(|| sha256_of_body(&request.body).into());
            let scope = request.message_group_id.as_ref().filter(|_| self.config.deduplicate_per_group);
            if let Some((message_id, serial)) = self.deduplication.find(scope, id, self.now_ms) {
                let sequence_number = Some(sequence_number(serial));
                return Ok(SendOutcome { message_id, sequence_number, was_deduplicated: true });
            }
            self.deduplication.remember(scope, id, (message_id, self.next_serial), self.now_ms);
        }
        let sequence_number = self.config.is_fifo.then(|| sequence_number(self.next_serial));
        let content = Content {
            message_id,
            body: request.body,
            attributes: request.attributes.filter(|attributes| !attributes.is_empty()),
            message_group_id: request.message_group_id,
            message_deduplication_id: deduplication_id,
            aws_trace_header: request.aws_trace_header,
            sender_id: request.sender_id.unwrap_or_else(|| Rc::clone(&self.default_sender)),
            dead_letter_queue_source_arn: None,
            sent_ms: self.now_ms,
            first_received_ms: None,
            receive_count: 0,
            trace: request.trace,
        };
        let own_delay_s = request.delay_s.filter(|_| !self.config.is_fifo);
        self.insert(content, own_delay_s.unwrap_or(self.config.delay_s));
        Ok(SendOutcome { message_id, sequence_number, was_deduplicated: false })
    }

    /// Takes in a message that another queue's redrive policy moved here, visible at once.
    ///
    /// A standard queue keeps its send time, so its retention goes on; a FIFO queue counts from now. (D)
    pub fn accept_moved(&mut self, moved: MovedMessage, now_ms: u64) {
        self.advance(now_ms);
        let mut content = moved.content;
        if self.config.is_fifo {
            content.sent_ms = self.now_ms;
        }
        self.insert(content, 0);
    }

    fn insert(&mut self, mut content: Content, delay_s: u32) {
        let serial = self.next_serial;
        self.next_serial += 1;
        let slot = self.messages.vacant_key();
        let entry = LogEntry { at_ms: content.sent_ms, serial, slot };
        if content.sent_ms == self.now_ms {
            self.sent_log.push_back(entry);
        } else {
            self.moved_log.insert(entry);
        }
        self.arrival_log.push_back(LogEntry { at_ms: self.now_ms, ..entry });
        let group = match &mut self.order {
            Order::Standard(_) => 0,
            Order::Fifo(groups) => groups.push(content.message_group_id.get_or_insert_default(), slot),
        };
        self.messages.insert(Stored {
            content,
            serial,
            order: serial,
            place: Place::Delayed,
            delivery: 0,
            received_ms: 0,
            receives_here_count: 0,
            counts_for_age: true,
            group,
            timer_stamp: 0,
        });
        self.counts.delayed_count += 1;
        if delay_s == 0 {
            self.make_visible(slot, self.now_ms);
        } else {
            self.set_timer(slot, self.now_ms + u64::from(delay_s) * 1_000);
            self.history.record(self.now_ms, self.knobs.counts_lag_ms, self.counts);
        }
    }

    /// The message counts that `GetQueueAttributes` answers: late or false where the knobs say so.
    pub fn attributes(&mut self, now_ms: u64) -> QueueCounts {
        self.advance(now_ms);
        match (self.knobs.counts_override, self.knobs.counts_lag_ms) {
            (Some(counts), _) => counts,
            (None, 0) => self.counts,
            (None, lag_ms) => self.history.counts_at(self.now_ms.saturating_sub(lag_ms)),
        }
    }

    /// The true message counts, for checkers and metrics.
    pub fn exact_counts(&mut self, now_ms: u64) -> QueueCounts {
        self.advance(now_ms);
        self.counts
    }

    /// `ApproximateAgeOfOldestMessage` in s; none without messages.
    ///
    /// A standard queue leaves out messages received three or more times; a dead-letter queue counts from
    /// the move. (D)
    pub fn age_of_oldest_s(&mut self, now_ms: u64) -> Option<u64> {
        self.advance(now_ms);
        while let Some(entry) = self.arrival_log.front() {
            if entry.message(&self.messages).is_some_and(|stored| stored.counts_for_age) {
                return Some((self.now_ms - entry.at_ms) / 1_000);
            }
            self.arrival_log.pop_front();
        }
        None
    }

    /// When a receive can next find something: `now_ms` if it would now, else the next end of a delay or
    /// visibility timeout, in ms since the epoch; none if only a send can help. On FIFO, or at the in-flight
    /// quota, the receive at that time can still find nothing: ask again.
    pub fn next_visible_at(&mut self, now_ms: u64) -> Option<u64> {
        self.advance(now_ms);
        let has_some = match &self.order {
            Order::Standard(visible) => !visible.is_empty(),
            Order::Fifo(groups) => groups.first_ready().is_some(),
        };
        if has_some && self.counts.not_visible_count < self.knobs.in_flight_quota_count {
            return Some(self.now_ms);
        }
        self.next_timer_ms()
    }

    /// Deletes all messages at once, and tells which; delayed ones and those in flight included.
    ///
    /// # Errors
    /// `PurgeQueueInProgress` within 60 s of another purge.
    pub fn purge(&mut self, now_ms: u64) -> Result<Vec<RemovedMessage>, ServiceError> {
        self.advance(now_ms);
        if self.purged_ms.is_some_and(|purged_ms| self.now_ms < purged_ms + PURGE_INTERVAL_MS) {
            let message = "Only one PurgeQueue operation is allowed every 60 seconds.";
            return Err(ServiceError::new(400, "PurgeQueueInProgress", message));
        }
        self.purged_ms = Some(self.now_ms);
        let removed = self.messages.iter().map(|(_, stored)| removed(&stored.content)).collect();
        self.messages.clear();
        self.timers.clear();
        self.sent_log.clear();
        self.moved_log.clear();
        self.arrival_log.clear();
        match &mut self.order {
            Order::Standard(visible) => visible.clear(),
            Order::Fifo(groups) => groups.clear(),
        }
        self.counts = QueueCounts::default();
        self.history.record(self.now_ms, self.knobs.counts_lag_ms, self.counts);
        Ok(removed)
    }

    /// Takes every visible message out, in the order of their slots, as a redrive of a dead-letter queue does. Each goes on as a new message: with a
    /// fresh receive count, and sent now. (D)
    pub fn take_visible(&mut self, now_ms: u64) -> Vec<MovedMessage> {
        self.advance(now_ms);
        let is_visible = |(slot, stored): (usize, &Stored)| (stored.place == Place::Visible).then_some(slot);
        let slots: Vec<usize> = self.messages.iter().filter_map(is_visible).collect();
        let take = |slot: usize| {
            let mut content = self.remove(slot, self.now_ms);
            let target_arn = content.dead_letter_queue_source_arn.take().unwrap_or_else(|| self.arn.clone());
            content.receive_count = 0;
            content.sent_ms = self.now_ms;
            MovedMessage { target_arn, content }
        };
        slots.into_iter().map(take).collect()
    }

    /// The messages that outlived the retention since the last call, up to the latest time seen.
    pub fn take_expired(&mut self) -> Vec<RemovedMessage> {
        std::mem::take(&mut self.expired)
    }

    /// Messages that outlived the retention so far.
    pub fn expired_count(&self) -> u64 {
        self.expired_count
    }

    /// Every message in the queue, in no particular but always the same order, as of the latest time seen.
    pub fn contents(&self) -> impl Iterator<Item = MessageView> + '_ {
        self.messages.iter().map(|(_, stored)| MessageView {
            message_id: stored.content.message_id,
            trace: stored.content.trace,
            place: stored.place,
            receive_count: stored.content.receive_count,
            sent_ms: stored.content.sent_ms,
        })
    }

    /// Lets time pass: what is due happens in the order of its own time, so that it does not matter how
    /// often anyone asks.
    pub fn advance(&mut self, now_ms: u64) {
        if let Some((at_ms, retention_s)) = self.coming_retention.filter(|(at_ms, _)| *at_ms <= now_ms) {
            self.coming_retention = None;
            self.advance(at_ms);
            self.config.message_retention_s = retention_s;
        }
        self.now_ms = self.now_ms.max(now_ms);
        let retention_ms = u64::from(self.config.message_retention_s) * 1_000;
        loop {
            let timer_ms = self.next_timer_ms().filter(|at_ms| *at_ms <= self.now_ms);
            let oldest = self.oldest().filter(|oldest| oldest.at_ms + retention_ms <= self.now_ms);
            match (timer_ms, oldest) {
                (None, None) => return,
                (Some(at_ms), Some(oldest)) if at_ms < oldest.at_ms + retention_ms => self.fire_timer(),
                (Some(_), None) => self.fire_timer(),
                (_, Some(oldest)) => self.expire(oldest, oldest.at_ms + retention_ms),
            }
        }
    }

    fn fire_timer(&mut self) {
        if let Some(timer) = self.timers.pop() {
            self.make_visible(timer.slot, timer.at_ms);
        }
    }

    fn expire(&mut self, oldest: LogEntry, at_ms: u64) {
        let content = self.remove(oldest.slot, at_ms);
        self.expired.push(removed(&content));
        self.expired_count += 1;
    }

    /// The message that was sent first, wherever it is; entries of messages that left are dropped on the way.
    fn oldest(&mut self) -> Option<LogEntry> {
        let is_here = |entry: &LogEntry| entry.message(&self.messages).is_some();
        while self.sent_log.front().is_some_and(|entry| !is_here(entry)) {
            self.sent_log.pop_front();
        }
        while self.moved_log.first().is_some_and(|entry| !is_here(entry)) {
            self.moved_log.pop_first();
        }
        self.sent_log.front().into_iter().chain(self.moved_log.first()).min().copied()
    }

    /// The time of the next timer that still counts.
    fn next_timer_ms(&mut self) -> Option<u64> {
        while let Some(timer) = self.timers.first() {
            if self.messages.get(timer.slot).is_some_and(|stored| stored.timer_stamp == timer.stamp) {
                return Some(timer.at_ms);
            }
            self.timers.pop();
        }
        None
    }

    /// Ends the message's place at `at_ms`, and voids any earlier timer.
    pub(super) fn set_timer(&mut self, slot: usize, at_ms: u64) {
        self.next_stamp += 1;
        self.messages[slot].timer_stamp = self.next_stamp;
        self.timers.push(Timer { at_ms, stamp: self.next_stamp, slot });
    }

    /// Moves a message to another place, and keeps the counts and its group right.
    pub(super) fn set_place(&mut self, slot: usize, place: Place, at_ms: u64) {
        let stored = &mut self.messages[slot];
        let old = std::mem::replace(&mut stored.place, place);
        *self.counts.at(old) -= 1;
        *self.counts.at(place) += 1;
        self.history.record(at_ms, self.knobs.counts_lag_ms, self.counts);
        if let Order::Fifo(groups) = &mut self.order {
            let group = stored.group;
            if (old == Place::InFlight) != (place == Place::InFlight) {
                groups.note_flight(group, place == Place::InFlight);
            }
            self.refresh_group(group);
        }
    }

    /// Makes a message visible: in a standard queue in its old position, or at the back once it has been
    /// received three times. (D)
    pub(super) fn make_visible(&mut self, slot: usize, at_ms: u64) {
        let next_serial = self.next_serial;
        if let Order::Standard(visible) = &mut self.order {
            let stored = &mut self.messages[slot];
            if stored.receives_here_count >= POISON_RECEIVES_COUNT {
                stored.order = next_serial;
                self.next_serial += 1;
            }
            visible.insert(stored.order, slot);
        }
        self.messages[slot].timer_stamp = 0;
        self.set_place(slot, Place::Visible, at_ms);
    }

    /// Takes a message out of the queue.
    pub(super) fn remove(&mut self, slot: usize, at_ms: u64) -> Content {
        let stored = self.messages.remove(slot);
        *self.counts.at(stored.place) -= 1;
        self.history.record(at_ms, self.knobs.counts_lag_ms, self.counts);
        match &mut self.order {
            Order::Standard(visible) => {
                visible.remove(&stored.order);
            }
            Order::Fifo(groups) => {
                groups.remove(stored.group, slot);
                if stored.place == Place::InFlight {
                    groups.note_flight(stored.group, false);
                }
                self.refresh_group(stored.group);
            }
        }
        stored.content
    }

    fn refresh_group(&mut self, group: usize) {
        let messages = &self.messages;
        if let Order::Fifo(groups) = &mut self.order {
            groups.refresh(group, |slot| {
                messages.get(slot).filter(|stored| stored.place == Place::Visible).map(|stored| stored.order)
            });
        }
    }
}

impl QueueCounts {
    fn at(&mut self, place: Place) -> &mut usize {
        match place {
            Place::Delayed => &mut self.delayed_count,
            Place::Visible => &mut self.visible_count,
            Place::InFlight => &mut self.not_visible_count,
        }
    }
}

fn removed(content: &Content) -> RemovedMessage {
    RemovedMessage { message_id: content.message_id, trace: content.trace, sent_ms: content.sent_ms }
}

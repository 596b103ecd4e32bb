//! Receiving, deleting, and changing the visibility of messages.

use rand::{Rng, RngExt};

use super::ids::{Receipt, sequence_number};
use super::limits::{MAX_VISIBILITY_S, check_max_count, check_visibility, invalid_value};
use super::message::{MovedMessage, ReceivedMessage};
use super::queue::{Order, POISON_RECEIVES_COUNT, Place, Queue};
use crate::cloud::error::ServiceError;

/// Below so many visible messages a short poll can miss them all. (D)
const SHORT_POLL_SAFE_COUNT: usize = 1_000;

/// One receive, or one look of a long poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiveRequest {
    /// At most so many messages, 1-10.
    pub max_count: usize,
    /// Instead of the queue's visibility timeout, 0-43,200 s.
    pub visibility_timeout_s: Option<u32>,
    /// Only a sample of the servers is asked; the poll waits for nothing.
    pub is_short_poll: bool,
}

impl ReceiveRequest {
    /// A look of a long poll for at most so many messages.
    pub fn up_to(max_count: usize) -> Self {
        Self { max_count, visibility_timeout_s: None, is_short_poll: false }
    }
}

/// What a receive did.
#[derive(Debug, Default)]
pub struct ReceiveOutcome {
    /// The messages received, on FIFO in order within each group.
    pub messages: Vec<ReceivedMessage>,
    /// Messages that had been received often enough; they left this queue, and the dead-letter queue must
    /// accept them.
    pub moved_to_dlq: Vec<MovedMessage>,
}

/// What became of a delete that the service answered with success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// The message is gone.
    Deleted {
        /// The sender's opaque number.
        trace: u32,
    },
    /// The message has been received again since: nothing was deleted.
    StaleHandle,
    /// The message had left the queue before.
    AlreadyGone,
}

impl Queue {
    /// Receives messages.
    ///
    /// # Errors
    /// `InvalidParameterValue` for a count outside 1-10 or a visibility timeout above 12 h; on a standard
    /// queue `OverLimit` while the in-flight quota is used up (a FIFO queue then finds nothing).
    pub fn receive<R: Rng + ?Sized>(
        &mut self,
        request: &ReceiveRequest,
        now_ms: u64,
        rng: &mut R,
    ) -> Result<ReceiveOutcome, ServiceError> {
        self.advance(now_ms);
        check_max_count(request.max_count)?;
        let visibility_s = request.visibility_timeout_s.unwrap_or(self.config.visibility_timeout_s);
        check_visibility(visibility_s)?;
        if !self.config.is_fifo && self.quota_left_count() == 0 {
            let message = "The maximum number of in flight messages is reached.";
            return Err(ServiceError::new(400, "OverLimit", message));
        }
        let mut outcome = ReceiveOutcome::default();
        if self.misses(request, rng) {
            return Ok(outcome);
        }
        match self.config.is_fifo {
            true => self.receive_fifo(request.max_count, visibility_s, &mut outcome),
            false => self.receive_standard(request.max_count, visibility_s, &mut outcome, rng),
        }
        Ok(outcome)
    }

    /// Deletes a message by its receipt handle.
    ///
    /// On a standard queue the handle works even after its visibility timeout, until the message is received
    /// again. The service answers success for each outcome.
    ///
    /// # Errors
    /// `ReceiptHandleIsInvalid` for anything but a handle of this queue; on FIFO `InvalidParameterValue` once
    /// the visibility timeout has ended. (D)
    pub fn delete(&mut self, receipt_handle: &str, now_ms: u64) -> Result<DeleteOutcome, ServiceError> {
        let receipt = Receipt::decode(receipt_handle, self.tag)?;
        self.delete_by(receipt, now_ms)
    }

    /// Deletes a message as its receiver would by the handle, which need not be written for that.
    ///
    /// # Errors
    /// As [`Queue::delete`].
    pub fn delete_received(
        &mut self,
        message: &ReceivedMessage,
        now_ms: u64,
    ) -> Result<DeleteOutcome, ServiceError> {
        self.delete_by(message.receipt, now_ms)
    }

    fn delete_by(&mut self, receipt: Receipt, now_ms: u64) -> Result<DeleteOutcome, ServiceError> {
        self.advance(now_ms);
        let stored = self.messages.get(receipt.slot).filter(|stored| stored.serial == receipt.serial);
        let Some(stored) = stored else { return Ok(DeleteOutcome::AlreadyGone) };
        let is_newest = stored.delivery == receipt.delivery;
        if self.config.is_fifo && !(is_newest && stored.place == Place::InFlight) {
            let reason = "The receipt handle has expired.";
            return Err(invalid_value(receipt.encode(), "ReceiptHandle", reason));
        }
        if !is_newest {
            return Ok(DeleteOutcome::StaleHandle);
        }
        let content = self.remove(receipt.slot, self.now_ms);
        Ok(DeleteOutcome::Deleted { trace: content.trace })
    }

    /// Makes a message in flight visible `visibility_s` from now; 0 gives it back at once.
    ///
    /// # Errors
    /// `ReceiptHandleIsInvalid` for anything but a handle of this queue; `InvalidParameterValue` for more than
    /// 12 h in total since the receive, for a message that is gone, and (U) for a handle older than the newest;
    /// `MessageNotInflight` once the visibility timeout has ended.
    pub fn change_visibility(
        &mut self,
        receipt_handle: &str,
        visibility_s: u32,
        now_ms: u64,
    ) -> Result<(), ServiceError> {
        self.advance(now_ms);
        check_visibility(visibility_s)?;
        let receipt = Receipt::decode(receipt_handle, self.tag)?;
        let found = self.messages.get(receipt.slot).filter(|stored| stored.serial == receipt.serial);
        let Some(stored) = found.filter(|stored| stored.delivery == receipt.delivery) else {
            let reason = "Message does not exist or is not available for visibility timeout change.";
            return Err(invalid_value(receipt_handle, "ReceiptHandle", reason));
        };
        if stored.place != Place::InFlight {
            let message = "The message referred to isn't in flight.";
            return Err(ServiceError::new(400, "MessageNotInflight", message));
        }
        let until_ms = self.now_ms + u64::from(visibility_s) * 1_000;
        if until_ms > stored.received_ms + u64::from(MAX_VISIBILITY_S) * 1_000 {
            let reason = "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]";
            return Err(invalid_value(visibility_s, "VisibilityTimeout", reason));
        }
        self.set_timer(receipt.slot, until_ms);
        self.advance(self.now_ms);
        Ok(())
    }

    fn quota_left_count(&self) -> usize {
        self.knobs.in_flight_quota_count.saturating_sub(self.counts.not_visible_count)
    }

    fn misses<R: Rng + ?Sized>(&self, request: &ReceiveRequest, rng: &mut R) -> bool {
        // No number is drawn for a fault that is off, so that switching one on leaves the rest alone.
        let mut happens = |percent: u8| percent > 0 && rng.random_range(0..100) < percent;
        happens(self.knobs.empty_receive_percent)
            || (request.is_short_poll
                && !self.config.is_fifo
                && self.counts.visible_count < SHORT_POLL_SAFE_COUNT
                && happens(self.knobs.short_poll_misses_percent))
    }

    fn receive_standard<R: Rng + ?Sized>(
        &mut self,
        max_count: usize,
        visibility_s: u32,
        outcome: &mut ReceiveOutcome,
        rng: &mut R,
    ) {
        let window_count = self.knobs.reorder_window_count.max(1);
        let duplicate_ppm = self.knobs.duplicate_delivery_ppm;
        let mut window: Vec<(u64, usize)> = Vec::new();
        let mut left_visible = Vec::new();
        while outcome.messages.len() < max_count && self.quota_left_count() > 0 {
            let Order::Standard(visible) = &mut self.order else { return };
            if window.len() < window_count && window.len() < visible.len() {
                window.clear();
                window.extend(
                    visible.iter().take(window_count + max_count).map(|(order, slot)| (*order, *slot)),
                );
            }
            let choices_count = window.len().min(window_count);
            if choices_count == 0 {
                break;
            }
            let choice = if choices_count == 1 { 0 } else { rng.random_range(0..choices_count) };
            let (order, slot) = window.remove(choice);
            visible.remove(&order);
            if let Some(moved) = self.take_exhausted(slot) {
                outcome.moved_to_dlq.push(moved);
                continue;
            }
            let stays = duplicate_ppm > 0 && rng.random_range(0..1_000_000) < duplicate_ppm;
            outcome.messages.push(self.deliver(slot));
            if stays {
                left_visible.push((order, slot));
            } else {
                self.start_flight(slot, visibility_s);
            }
        }
        if let Order::Standard(visible) = &mut self.order {
            visible.extend(left_visible);
        }
    }

    fn receive_fifo(&mut self, max_count: usize, visibility_s: u32, outcome: &mut ReceiveOutcome) {
        while outcome.messages.len() < max_count {
            let Order::Fifo(groups) = &self.order else { return };
            let Some(group) = groups.first_ready() else { return };
            let mut index = 0;
            while outcome.messages.len() < max_count {
                if self.quota_left_count() == 0 {
                    return;
                }
                let Order::Fifo(groups) = &self.order else { return };
                let Some(slot) = groups.slot(group, index) else { break };
                if self.messages[slot].place != Place::Visible {
                    break;
                }
                if let Some(moved) = self.take_exhausted(slot) {
                    outcome.moved_to_dlq.push(moved);
                    continue;
                }
                outcome.messages.push(self.deliver(slot));
                self.start_flight(slot, visibility_s);
                index += 1;
            }
        }
    }

    /// Takes a message out that has had all receives its redrive policy allows.
    fn take_exhausted(&mut self, slot: usize) -> Option<MovedMessage> {
        let redrive = self.config.redrive.as_ref()?;
        if self.messages[slot].receives_here_count < redrive.max_receive_count {
            return None;
        }
        let target_arn = redrive.dead_letter_target_arn.as_str().into();
        let mut content = self.remove(slot, self.now_ms);
        content.dead_letter_queue_source_arn = Some(self.arn.clone());
        Some(MovedMessage { target_arn, content })
    }

    fn deliver(&mut self, slot: usize) -> ReceivedMessage {
        let stored = &mut self.messages[slot];
        stored.delivery += 1;
        stored.receives_here_count += 1;
        stored.received_ms = self.now_ms;
        stored.content.receive_count += 1;
        stored.content.first_received_ms.get_or_insert(self.now_ms);
        if !self.config.is_fifo && stored.receives_here_count == POISON_RECEIVES_COUNT {
            stored.counts_for_age = false;
        }
        let receipt = Receipt { queue_tag: self.tag, slot, serial: stored.serial, delivery: stored.delivery };
        ReceivedMessage {
            receipt,
            sequence_number: self.config.is_fifo.then(|| sequence_number(stored.serial)),
            content: stored.content.clone(),
        }
    }

    fn start_flight(&mut self, slot: usize, visibility_s: u32) {
        self.set_place(slot, Place::InFlight, self.now_ms);
        self.set_timer(slot, self.now_ms + u64::from(visibility_s) * 1_000);
    }
}

//! The stack's queues: moves between a queue and its dead-letter queue, long polls, and the books.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::cloudformation::{Kind, Stack};
use super::error::ServiceError;
use super::sqs::{
    DeleteOutcome, Queue, ReceiveRequest, ReceivedMessage, RemovedMessage, SendOutcome, SendRequest,
};
use super::world::{Cloud, CloudError, World};
use crate::checkers::{Actor, Observation};
use crate::faults::FaultKind;
use crate::report::Topic;
use crate::sim::{Notify, SimRng};

/// Number of a queue in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueId(usize);

/// All queues.
pub struct Queues {
    slots: Vec<Slot>,
    by_url: BTreeMap<String, QueueId>,
    by_arn: BTreeMap<String, QueueId>,
    rng: SimRng,
    /// Dead-letter queues out of which a task moves messages.
    moving: BTreeSet<String>,
}

struct Slot {
    queue: Queue,
    url: String,
    /// Told when a message arrives.
    arrivals: Notify,
    /// Whether another queue dead-letters here: what arrives is in the books as dead.
    is_dead_letter: bool,
}

impl Queues {
    /// The queues of `stack`.
    ///
    /// # Errors
    /// A queue with a property that is not modelled.
    pub fn create(stack: &Stack, sim: &crate::sim::Sim) -> Result<Queues, CloudError> {
        let mut queues = Queues {
            slots: Vec::new(),
            by_url: BTreeMap::new(),
            by_arn: BTreeMap::new(),
            rng: sim.rng("sqs"),
            moving: BTreeSet::new(),
        };
        for (number, resource) in stack.of_kind(Kind::Queue).enumerate() {
            let arn = resource.arn.as_deref().unwrap_or_default();
            let seed = sim.seed().wrapping_mul(31).wrapping_add(number as u64);
            let queue = Queue::from_properties(arn, seed, &resource.properties)
                .map_err(|problem| CloudError::resource(resource, problem))?;
            let id = QueueId(queues.slots.len());
            queues.by_url.insert(resource.physical_id.clone(), id);
            queues.by_arn.insert(arn.to_owned(), id);
            queues.slots.push(Slot {
                queue,
                url: resource.physical_id.clone(),
                arrivals: Notify::new(),
                is_dead_letter: false,
            });
        }
        let targets: Vec<String> = queues
            .slots
            .iter()
            .filter_map(|slot| slot.queue.config().redrive.as_ref())
            .map(|redrive| redrive.dead_letter_target_arn.clone())
            .collect();
        for arn in targets {
            if let Some(id) = queues.by_arn.get(&arn) {
                queues.slots[id.0].is_dead_letter = true;
            }
        }
        Ok(queues)
    }

    /// The queue with this ARN.
    pub fn by_arn(&self, arn: &str) -> Option<QueueId> {
        self.by_arn.get(arn).copied()
    }

    pub(super) fn get(&mut self, id: QueueId) -> &mut Queue {
        &mut self.slots[id.0].queue
    }
}

impl World {
    /// The queue with this URL.
    ///
    /// # Errors
    /// `QueueDoesNotExist`.
    pub fn queue_by_url(&self, url: &str) -> Result<QueueId, ServiceError> {
        let missing = || ServiceError::new(400, "QueueDoesNotExist", format!("there is no queue {url}"));
        self.queues.borrow().by_url.get(url).copied().ok_or_else(missing)
    }

    /// ARN of a queue.
    pub fn queue_arn(&self, id: QueueId) -> String {
        self.queues.borrow().slots[id.0].queue.arn().to_string()
    }

    /// URL of a queue.
    pub fn queue_url(&self, id: QueueId) -> String {
        self.queues.borrow().slots[id.0].url.clone()
    }

    /// Told when a message arrives in the queue.
    pub(super) fn arrivals(&self, id: QueueId) -> Notify {
        self.queues.borrow().slots[id.0].arrivals.clone()
    }

    /// When the queue has something to give, if it ever will as things stand.
    pub(super) fn next_visible_at(&self, id: QueueId) -> Option<u64> {
        let now = self.now_ms();
        self.queues.borrow_mut().get(id).next_visible_at(now)
    }

    /// Visible, in flight, delayed, as the service answers them.
    pub fn queue_counts(&self, id: QueueId) -> (u64, u64, u64) {
        let now = self.now_ms();
        let counts = self.queues.borrow_mut().get(id).attributes(now);
        (counts.visible_count as u64, counts.not_visible_count as u64, counts.delayed_count as u64)
    }
}

impl World {
    /// The retention that a queue's attributes show.
    pub fn retention_s(&self, id: QueueId) -> u32 {
        self.queues.borrow_mut().get(id).shown_retention_s()
    }

    /// ARNs of the queues that dead-letter into this one.
    pub(super) fn move_sources(&self, dead_letter_arn: &str) -> Vec<String> {
        let queues = self.queues.borrow();
        let target = |slot: &&Slot| {
            let redrive = slot.queue.config().redrive.as_ref();
            redrive.is_some_and(|redrive| redrive.dead_letter_target_arn == dead_letter_arn)
        };
        queues.slots.iter().filter(target).map(|slot| slot.queue.arn().to_string()).collect()
    }
}

impl Cloud {
    /// `SetQueueAttributes` with a retention.
    pub fn set_retention(&self, id: QueueId, retention_s: u32) {
        let now = self.now_ms();
        let at_ms = now + self.draw(&self.knobs.retention_change_ms).as_millis() as u64;
        let mut queues = self.queues.borrow_mut();
        let before_s = queues.get(id).shown_retention_s();
        queues.get(id).change_message_retention_s(retention_s, at_ms, now);
        drop(queues);
        self.note(Topic::Queue, format!("retention {before_s} s -> {retention_s} s"));
    }

    /// `StartMessageMoveTask`: moves messages back to where they came from, as new ones, so many each second.
    ///
    /// # Errors
    /// `ResourceNotFoundException`; `InvalidParameterValue` while another task does so.
    pub(super) fn start_move(&self, arn: &str, max_per_s: u32) -> Result<(), ServiceError> {
        let missing =
            || ServiceError::new(404, "ResourceNotFoundException", format!("there is no queue {arn}"));
        let id = self.queues.borrow().by_arn(arn).ok_or_else(missing)?;
        if !self.queues.borrow_mut().moving.insert(arn.to_owned()) {
            let text = "There is already a task running. Only one active task is allowed for a source queue arn at a \
                        given time.";
            return Err(ServiceError::new(400, "InvalidParameterValue", text));
        }
        self.note(
            Topic::Queue,
            format!("the dead-letter queue is redriven at {max_per_s} messages per second"),
        );
        let (cloud, arn) = (self.clone(), arn.to_owned());
        let pause = Duration::from_secs(1) / max_per_s.max(1);
        self.sim.spawn(async move {
            loop {
                let now = cloud.now_ms();
                let taken = cloud.queues.borrow_mut().get(id).take_for_move(now);
                cloud.book_expired(id);
                let Some((source, request)) = taken else { break };
                let trace = request.trace;
                let source = cloud.queues.borrow().by_arn(&source);
                let sent = source.map(|source| cloud.send(source, request));
                if matches!(sent, Some(Ok(_))) {
                    cloud.with_scribe(|scribe| scribe.books.redriven(trace));
                }
                cloud.sim.sleep(pause).await;
            }
            cloud.queues.borrow_mut().moving.remove(&arn);
        });
        Ok(())
    }

    /// Sends one message.
    ///
    /// # Errors
    /// As SQS answers.
    pub fn send(&self, id: QueueId, request: SendRequest) -> Result<SendOutcome, ServiceError> {
        let now = self.now_ms();
        let sent = self.queues.borrow_mut().get(id).send(request, now)?;
        self.arrivals(id).notify_all();
        self.wake_mappings(id);
        Ok(sent)
    }

    /// Receives what there is now, without waiting. Messages that have been received often enough go to the
    /// dead-letter queue instead.
    ///
    /// # Errors
    /// As SQS answers.
    pub fn receive_now(
        &self,
        id: QueueId,
        request: &ReceiveRequest,
        by: Actor,
    ) -> Result<Vec<ReceivedMessage>, ServiceError> {
        let now = self.now_ms();
        let outcome = {
            let queues = &mut *self.queues.borrow_mut();
            queues.slots[id.0].queue.receive(request, now, &mut queues.rng)?
        };
        for moved in outcome.moved_to_dlq {
            self.dead_letter(id, moved);
        }
        self.book_expired(id);
        let mut scribe = self.scribe.borrow_mut();
        for message in &outcome.messages {
            scribe.books.received(message.trace(), by, message.receive_count());
        }
        drop(scribe);
        self.duplicate(id, &outcome.messages);
        Ok(outcome.messages)
    }

    /// A fault: messages that were just received stay visible, so that they are delivered again.
    fn duplicate(&self, id: QueueId, messages: &[ReceivedMessage]) {
        if self.faults.rate_ppm(FaultKind::MessageDuplicated) == 0 {
            return;
        }
        let now = self.now_ms();
        for message in messages {
            let mut queues = self.queues.borrow_mut();
            if queues.get(id).config().is_fifo || !self.faults.strikes(FaultKind::MessageDuplicated) {
                continue;
            }
            let handle = message.receipt_handle();
            queues.get(id).change_visibility(&handle, 0, now).expect("it was received a moment ago");
            drop(queues);
            // If it was the last receive, the next attempt to receive it dead-letters it, whatever its receiver does.
            self.with_scribe(|scribe| scribe.books.excuse(message.trace()));
            self.arrivals(id).notify_all();
            self.wake_mappings(id);
        }
    }

    /// A fault: the server that holds this copy of the message does not hear that it is deleted. It comes back when its
    /// visibility timeout ends.
    fn is_kept_by_a_server(&self, id: QueueId) -> bool {
        self.faults.rate_ppm(FaultKind::DeletedReturned) > 0
            && !self.queues.borrow_mut().get(id).config().is_fifo
            && self.faults.strikes(FaultKind::DeletedReturned)
    }

    fn dead_letter(&self, from: QueueId, moved: super::sqs::MovedMessage) {
        let now = self.now_ms();
        let (trace, target) = (moved.trace(), moved.target_arn.to_string());
        let fifo = self.queues.borrow_mut().get(from).config().is_fifo;
        let last = self.with_scribe(|scribe| scribe.books.dead_lettered(trace));
        let last_receiver = last.map_or(Actor::Mapping, |last| last.by);
        self.observe(&Observation::DeadLettered { trace, last, fifo });
        self.note(
            Topic::DeadLetter,
            format!(
                "message #{trace} dead-lettered after its last receive by the {}",
                by_name(last_receiver)
            ),
        );
        let mut queues = self.queues.borrow_mut();
        if let Some(id) = queues.by_arn(&target) {
            queues.get(id).accept_moved(moved, now);
        }
    }

    /// Brings the books up to date at the end of a drill.
    pub fn settle_books(&self) {
        let now = self.now_ms();
        let count = self.queues.borrow().slots.len();
        for id in (0..count).map(QueueId) {
            self.queues.borrow_mut().get(id).advance(now);
            self.book_expired(id);
        }
    }

    /// Books what the queue's retention removed.
    fn book_expired(&self, id: QueueId) {
        let (expired, is_dead_letter) = {
            let mut queues = self.queues.borrow_mut();
            (queues.get(id).take_expired(), queues.slots[id.0].is_dead_letter)
        };
        if expired.is_empty() {
            return;
        }
        let mut scribe = self.scribe.borrow_mut();
        for message in &expired {
            match is_dead_letter {
                true => scribe.books.expired_dead(message.trace),
                false => scribe.books.expired(message.trace),
            }
        }
    }

    /// Deletes the message with this receipt handle.
    ///
    /// # Errors
    /// As SQS answers. An old handle succeeds and deletes nothing.
    pub fn delete(&self, id: QueueId, receipt_handle: &str, by: Actor) -> Result<(), ServiceError> {
        let now = self.now_ms();
        if self.is_kept_by_a_server(id) {
            return Ok(());
        }
        let outcome = self.queues.borrow_mut().get(id).delete(receipt_handle, now)?;
        self.book_delete(id, &outcome, by);
        Ok(())
    }

    /// Deletes a message that was received, as its receiver would by its handle.
    ///
    /// # Errors
    /// As SQS answers.
    pub(super) fn delete_received(
        &self,
        id: QueueId,
        message: &ReceivedMessage,
        by: Actor,
    ) -> Result<(), ServiceError> {
        let now = self.now_ms();
        if self.is_kept_by_a_server(id) {
            return Ok(());
        }
        let outcome = self.queues.borrow_mut().get(id).delete_received(message, now)?;
        self.book_delete(id, &outcome, by);
        Ok(())
    }

    fn book_delete(&self, id: QueueId, outcome: &DeleteOutcome, by: Actor) {
        if let DeleteOutcome::Deleted { trace, .. } = *outcome {
            let safe = self.with_scribe(|scribe| scribe.books.deleted(trace));
            self.observe(&Observation::Deleted { trace, by, safe });
        }
        // On FIFO a delete frees the message's group.
        self.wake_mappings(id);
    }

    /// Changes the visibility timeout of the message with this receipt handle.
    ///
    /// # Errors
    /// As SQS answers.
    pub fn change_visibility(
        &self,
        id: QueueId,
        receipt_handle: &str,
        visibility_s: u32,
    ) -> Result<(), ServiceError> {
        let now = self.now_ms();
        self.queues.borrow_mut().get(id).change_visibility(receipt_handle, visibility_s, now)?;
        self.arrivals(id).notify_all();
        self.wake_mappings(id);
        Ok(())
    }

    /// An operator moves what is visible in the dead-letter queue back; answers how many messages.
    pub fn redrive_dead_letters(&self, id: QueueId) -> usize {
        let now = self.now_ms();
        let taken = {
            let queues = &mut *self.queues.borrow_mut();
            let config = queues.slots[id.0].queue.config();
            let target = config.redrive.as_ref().map(|redrive| redrive.dead_letter_target_arn.clone());
            let Some(dead) = target.and_then(|arn| queues.by_arn(&arn)) else { return 0 };
            queues.slots[dead.0].queue.take_visible(now)
        };
        let count = taken.len();
        for moved in taken {
            self.with_scribe(|scribe| scribe.books.redriven(moved.trace()));
            self.queues.borrow_mut().get(id).accept_moved(moved, now);
        }
        self.arrivals(id).notify_all();
        self.wake_mappings(id);
        count
    }

    /// An operator purges the queue.
    ///
    /// # Errors
    /// As SQS answers.
    pub fn purge(&self, id: QueueId) -> Result<usize, ServiceError> {
        let now = self.now_ms();
        let purged: Vec<RemovedMessage> = self.queues.borrow_mut().get(id).purge(now)?;
        let mut scribe = self.scribe.borrow_mut();
        purged.iter().for_each(|message| scribe.books.purged(message.trace));
        Ok(purged.len())
    }
}

/// Who received a message, for people.
pub(super) fn by_name(actor: Actor) -> &'static str {
    match actor {
        Actor::Mapping => "mapping",
        Actor::Probe => "probe",
        Actor::Rejitter => "re-jitter",
        Actor::Outsider => "operator",
    }
}

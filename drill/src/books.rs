//! The books of a drill: what became of each message, whatever copies of it were made.

use crate::checkers::Actor;

/// What became of one message.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    /// How often the consumer processed it.
    processed_count: u16,
    /// How often it, or a copy of it, was received since it was sent or redriven.
    received_count: u32,
    /// Copies of it in the consumer's queue.
    queued_count: u16,
    /// Copies of it in the dead-letter queue.
    dead_count: u16,
    /// An operator purged it.
    purged: bool,
    /// A retention deleted a copy of it.
    expired: bool,
    /// Its last receive.
    last_receive: Option<LastReceive>,
}

/// The last receive of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastReceive {
    /// By whom.
    pub by: Actor,
    /// Its receive count then.
    pub count: u32,
    /// Whether the consumer was invoked with it since.
    pub tried: bool,
    /// Whether a fault kept the receiver from giving it back.
    pub excused: bool,
    /// Whether the consumer has processed it, or a copy of it, at any time.
    pub processed: bool,
    /// Whether another copy of it waits in the consumer's queue.
    pub is_elsewhere: bool,
}

/// What became of every message, by its number.
#[derive(Debug, Default)]
pub struct Books {
    fates: Vec<Fate>,
    /// Messages of which a copy is in the dead-letter queue.
    dead_lettered: u64,
    copies_made: u64,
    incomplete_copies: u64,
    incomplete_deliveries: u64,
    restarted_deliveries: u64,
}

/// The sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Messages sent.
    pub sent: u64,
    /// Processed at least once.
    pub processed: u64,
    /// Processed more than once.
    pub reprocessed: u64,
    /// Copies made by the breaker.
    pub copies_made: u64,
    /// In the dead-letter queue.
    pub dead_lettered: u64,
    /// Purged by an operator, and not processed before.
    pub purged: u64,
    /// Deleted by a retention, and not processed before.
    pub expired: u64,
    /// In the queue, and not processed before.
    pub still_queued: u64,
    /// Nowhere.
    pub lost: u64,
    /// Copies that lack something that the original had.
    pub incomplete_copies: u64,
    /// Deliveries to the consumer that lack something that was sent.
    pub incomplete_deliveries: u64,
    /// Deliveries to the consumer whose receive count has begun anew: the progress towards the dead-letter queue is lost.
    pub restarted_deliveries: u64,
}

impl Books {
    /// A message is sent; answers its number.
    pub fn sent(&mut self) -> u32 {
        self.fates.push(Fate { queued_count: 1, ..Fate::default() });
        u32::try_from(self.fates.len() - 1).expect("a drill sends fewer than four billion messages")
    }

    /// The number that the next message will get.
    pub fn next_number(&self) -> u32 {
        u32::try_from(self.fates.len()).expect("a drill sends fewer than four billion messages")
    }

    /// The breaker sent a copy; one that is not `complete` lacks something that the original had.
    /// Answers how often the original had been received.
    pub fn copied(&mut self, trace: u32, complete: bool) -> Option<u32> {
        self.copies_made += 1;
        self.incomplete_copies += u64::from(!complete);
        let fate = self.fate(trace);
        fate.queued_count += 1;
        fate.last_receive.take().map(|last| last.count)
    }

    /// A copy was received, for the `count`th time.
    pub fn received(&mut self, trace: u32, by: Actor, count: u32) {
        let fate = self.fate(trace);
        fate.received_count += 1;
        let restarted = count < fate.received_count;
        fate.last_receive = Some(LastReceive {
            by,
            count,
            tried: false,
            excused: false,
            processed: false,
            is_elsewhere: false,
        });
        self.restarted_deliveries += u64::from(restarted && matches!(by, Actor::Mapping | Actor::Probe));
    }

    /// The consumer is handed a message that lacks something that was sent.
    pub fn delivered_incomplete(&mut self) {
        self.incomplete_deliveries += 1;
    }

    /// The consumer is invoked with it.
    pub fn tried(&mut self, trace: u32) {
        if let Some(last) = &mut self.fate(trace).last_receive {
            last.tried = true;
        }
    }

    /// A fault keeps whoever received it from giving it back.
    pub fn excuse(&mut self, trace: u32) {
        if let Some(last) = &mut self.fate(trace).last_receive {
            last.excused = true;
        }
    }

    /// The consumer processed it. Answers whether it is the first time.
    pub fn processed(&mut self, trace: u32) -> bool {
        let fate = self.fate(trace);
        fate.processed_count = fate.processed_count.saturating_add(1);
        fate.processed_count == 1
    }

    /// A copy was deleted. Answers whether that was safe: it had been processed, or another copy exists.
    pub fn deleted(&mut self, trace: u32) -> bool {
        let fate = self.fate(trace);
        fate.queued_count = fate.queued_count.saturating_sub(1);
        fate.processed_count > 0 || fate.queued_count > 0 || fate.dead_count > 0
    }

    /// A copy went to the dead-letter queue. Answers its last receive.
    pub fn dead_lettered(&mut self, trace: u32) -> Option<LastReceive> {
        let fate = &mut self.fates[trace as usize];
        fate.queued_count = fate.queued_count.saturating_sub(1);
        self.dead_lettered += u64::from(fate.dead_count == 0);
        fate.dead_count += 1;
        let (processed, is_elsewhere) = (fate.processed_count > 0, fate.queued_count > 0);
        fate.last_receive.map(|last| LastReceive { processed, is_elsewhere, ..last })
    }

    /// A copy was purged by an operator.
    pub fn purged(&mut self, trace: u32) {
        let fate = self.fate(trace);
        fate.queued_count = fate.queued_count.saturating_sub(1);
        fate.purged = true;
    }

    /// A copy was deleted by the queue's retention.
    pub fn expired(&mut self, trace: u32) {
        let fate = self.fate(trace);
        fate.queued_count = fate.queued_count.saturating_sub(1);
        fate.expired = true;
    }

    /// A copy was deleted by the dead-letter queue's retention.
    pub fn expired_dead(&mut self, trace: u32) {
        self.left_dead_letters(trace);
        self.fate(trace).expired = true;
    }

    /// A copy is nowhere to be found.
    pub fn missing(&mut self, trace: u32) {
        let fate = self.fate(trace);
        fate.queued_count = fate.queued_count.saturating_sub(1);
    }

    /// A copy was moved back from the dead-letter queue.
    pub fn redriven(&mut self, trace: u32) {
        self.left_dead_letters(trace);
        let fate = self.fate(trace);
        fate.queued_count += 1;
        fate.last_receive = None;
        fate.received_count = 0;
    }

    /// Messages in the dead-letter queue.
    pub fn dead_lettered_count(&self) -> u64 {
        self.dead_lettered
    }

    fn left_dead_letters(&mut self, trace: u32) {
        let fate = &mut self.fates[trace as usize];
        self.dead_lettered -= u64::from(fate.dead_count == 1);
        fate.dead_count = fate.dead_count.saturating_sub(1);
    }

    /// The sums.
    pub fn balance(&self) -> Balance {
        let mut balance = Balance {
            sent: self.fates.len() as u64,
            dead_lettered: self.dead_lettered,
            copies_made: self.copies_made,
            incomplete_copies: self.incomplete_copies,
            incomplete_deliveries: self.incomplete_deliveries,
            restarted_deliveries: self.restarted_deliveries,
            ..Balance::default()
        };
        for fate in &self.fates {
            if fate.processed_count > 0 {
                balance.processed += 1;
                balance.reprocessed += u64::from(fate.processed_count > 1);
            } else if fate.queued_count > 0 {
                balance.still_queued += 1;
            } else if fate.dead_count == 0 && fate.purged {
                balance.purged += 1;
            } else if fate.dead_count == 0 && fate.expired {
                balance.expired += 1;
            } else if fate.dead_count == 0 {
                balance.lost += 1;
            }
        }
        balance
    }

    /// Numbers of the messages that are nowhere.
    pub fn lost(&self) -> impl Iterator<Item = usize> {
        self.fates.iter().enumerate().filter_map(|(trace, fate)| {
            let known = fate.purged || fate.expired;
            let somewhere = fate.processed_count > 0 || fate.queued_count > 0 || fate.dead_count > 0 || known;
            (!somewhere).then_some(trace)
        })
    }

    fn fate(&mut self, trace: u32) -> &mut Fate {
        &mut self.fates[trace as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SQS may deliver a message again that was deleted. When the breaker has copied and deleted one at its last receive,
    /// and it comes back, it is dead-lettered; its copy is what counts.
    #[test]
    fn a_dead_letter_whose_copy_waits_is_told_from_one_that_is_gone() {
        let mut books = Books::default();
        let (copied, alone) = (books.sent(), books.sent());
        for trace in [copied, alone] {
            books.received(trace, Actor::Probe, 3);
        }
        books.copied(copied, true);
        books.received(copied, Actor::Probe, 1);
        let elsewhere = |last: Option<LastReceive>| last.expect("it was received").is_elsewhere;
        assert!(elsewhere(books.dead_lettered(copied)));
        assert!(!elsewhere(books.dead_lettered(alone)));
    }
}

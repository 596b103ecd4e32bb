//! What became of the messages of one invocation.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::ports::Message;

/// Counts, and the few messages that need to be known again when they come up once more.
#[derive(Default)]
pub struct Tally {
    /// Messages spread.
    pub moved_count: u64,
    /// Those of them that were given a visibility timeout.
    pub hidden_count: u64,
    /// Copies made of messages whose last receive was used.
    pub copied_count: u64,
    /// Messages whose copy was sent but which could not be deleted. If one comes up again it is deleted, not copied.
    pub undeleted: BTreeSet<String>,
    /// Messages that could not be spread. One that comes up again and is spread then is no longer among them.
    pub failed: BTreeSet<String>,
    /// Digests of the ids of messages given a visibility timeout. One that reappears is spread again, but is no reason to
    /// go on. The in-flight quota bounds them, and a digest takes a fifth of an id's memory.
    hidden: BTreeSet<u64>,
    fresh_batch_count: u32,
}

impl Tally {
    /// A message was given a visibility timeout.
    pub fn note_hidden(&mut self, message: &Message, was_counted: bool) {
        self.failed.remove(&message.message_id);
        if self.hidden.insert(digest(&message.message_id)) {
            self.hidden_count += 1;
            self.moved_count += u64::from(!was_counted);
        }
    }

    /// A copy of a message was sent. Until it is deleted it counts as undeleted.
    pub fn note_copied(&mut self, message: &Message, is_last_receive: bool, was_counted: bool) {
        self.moved_count += u64::from(!was_counted);
        self.copied_count += u64::from(is_last_receive);
        self.failed.remove(&message.message_id);
        self.undeleted.insert(message.message_id.clone());
    }

    /// Whether a message is one that the re-jitter is for: sent before `started_at_ms`, and not spread yet.
    pub fn is_old(&self, message: &Message, started_at_ms: u64) -> bool {
        message.sent_at_ms().is_none_or(|sent_ms| sent_ms < started_at_ms)
            && !self.hidden.contains(&digest(&message.message_id))
            && !self.undeleted.contains(&message.message_id)
    }

    /// Notes a batch. Answers how many in a row held no message that the re-jitter is for.
    pub fn note_batch(&mut self, messages: &[Message], started_at_ms: u64) -> u32 {
        let has_old = messages.iter().any(|message| self.is_old(message, started_at_ms));
        self.fresh_batch_count = if has_old { 0 } else { self.fresh_batch_count + 1 };
        self.fresh_batch_count
    }

    /// Messages that were not spread, or not wholly.
    pub fn unspread_count(&self) -> u64 {
        (self.failed.len() + self.undeleted.len()) as u64
    }
}

/// Two ids of 100,000 share a digest once in four billion runs; the one would then only pass for spread already.
fn digest(message_id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    message_id.hash(&mut hasher);
    hasher.finish()
}

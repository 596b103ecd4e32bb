//! One call at a time: what the flow asks for, and what came of it.

use std::time::Duration;

use workflow::contract::RejitterRequest;

use super::HOLD_S;
use crate::batch::{self, MAX_BATCH_COUNT};
use crate::failure::HandlerError;
use crate::fence;
use crate::ports::{
    BatchResult, CallError, Chance, Circuits, Clock, Message, Messages, Outgoing, Receive, VisibilityChange,
};
use crate::spread;

/// A message in hand.
pub struct Entry {
    /// The message.
    pub message: Message,
    /// When it is to arrive, milliseconds since the Unix epoch.
    pub target_ms: u64,
    /// How often what is to be done with it was tried.
    pub attempt_count: u32,
    /// Whether it counts as spread already.
    pub counted: bool,
}

/// A message whose copy was sent.
pub struct Original {
    /// Its id.
    pub message_id: String,
    /// Handle of its newest receive.
    pub receipt_handle: String,
    /// How often its delete was tried.
    pub attempt_count: u32,
}

/// What a rest was for.
pub enum Rested {
    /// Receiving goes on.
    Receive,
    /// The entries are hidden again.
    Hide(Vec<Entry>),
    /// They are sent again.
    Copy(Vec<Entry>),
    /// They are deleted again.
    Delete(Vec<Original>),
}

/// Something to be done. A batch is within SQS's limits.
pub enum Job {
    /// Receive; a long poll of this many seconds, or a short one of none.
    Receive(u32),
    /// Give the messages their visibility timeouts.
    Hide(Vec<Entry>),
    /// Send delayed copies.
    Copy(Vec<Entry>),
    /// Delete the originals.
    Delete(Vec<Original>),
    /// Look whether the circuit is still the request's.
    Fence,
    /// Wait.
    Rest(Duration, Rested),
}

/// What came of a [`Job`]. A batch comes back with what became of each of its entries.
pub enum Done {
    Received(u32, Result<Vec<Message>, CallError>),
    Hidden(Vec<Entry>, Result<BatchResult<()>, CallError>),
    Copied(Vec<Entry>, Result<BatchResult<String>, CallError>),
    Deleted(Vec<Original>, Result<BatchResult<()>, CallError>),
    Fenced(Result<(), HandlerError>),
    Rested(Rested),
}

/// Does it. Answers with the round that was handed in, which tells calls under way together.
pub async fn perform<P>(job: Job, round: u32, request: &RejitterRequest, ports: &P) -> (u32, Done)
where
    P: Circuits + Messages + Clock + Chance,
{
    let queue_url = &request.queue_url;
    let done = match job {
        Job::Receive(wait_s) => {
            let receive = Receive { max_count: MAX_BATCH_COUNT as u32, wait_s, visibility_s: HOLD_S };
            Done::Received(wait_s, ports.receive(queue_url, receive).await)
        }
        Job::Hide(entries) => {
            let now_ms = ports.now_ms();
            let change = |entry: &Entry| VisibilityChange {
                receipt_handle: entry.message.receipt_handle.clone(),
                visibility_s: spread::seconds_until(entry.target_ms, now_ms, spread::MAX_VISIBILITY_S),
            };
            let changes: Vec<VisibilityChange> = entries.iter().map(change).collect();
            let result = ports.change_visibility_batch(queue_url, &changes).await;
            Done::Hidden(entries, result)
        }
        Job::Copy(entries) => {
            let now_ms = ports.now_ms();
            let copy = |entry: &Entry| {
                let delay_s = spread::seconds_until(entry.target_ms, now_ms, spread::MAX_DELAY_S);
                batch::copy_of(&entry.message, Some(delay_s))
            };
            let copies: Vec<Outgoing> = entries.iter().map(copy).collect();
            let result = ports.send_batch(queue_url, &copies).await;
            Done::Copied(entries, result)
        }
        Job::Delete(originals) => {
            let handles: Vec<String> =
                originals.iter().map(|original| original.receipt_handle.clone()).collect();
            let result = ports.delete_batch(queue_url, &handles).await;
            Done::Deleted(originals, result)
        }
        Job::Fence => Done::Fenced(fence::check(&request.fence, ports).await),
        Job::Rest(duration, rested) => {
            ports.sleep(duration).await;
            Done::Rested(rested)
        }
    };
    (round, done)
}

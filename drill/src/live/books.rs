//! Which message is which on a deployed stack, and what became of it: SQS gives each message an id when it is sent, the
//! ledger queue holds the ids of those that were processed, and the books of a drill know messages by their numbers.

use std::collections::{BTreeMap, BTreeSet};

use crate::books::Books;

/// The ids of a drill's messages.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// Number of the message with this id: of those sent, and of copies whose id is known.
    numbers: BTreeMap<String, u32>,
    /// Numbers that were processed or dead-lettered.
    accounted: BTreeSet<u32>,
    /// Ids in the ledger that are none of these: copies whose id is not known yet.
    foreign: BTreeSet<String>,
    sent_count: u32,
}

impl Ids {
    /// A message was sent and got this id.
    pub(super) fn sent(&mut self, id: &str, number: u32) {
        self.numbers.insert(id.to_owned(), number);
        self.sent_count += 1;
    }

    /// The ledger has an entry with this id.
    pub(super) fn processed(&mut self, books: &mut Books, id: &str) {
        match self.numbers.get(id) {
            Some(number) => {
                self.accounted.insert(*number);
                books.processed(*number);
            }
            None => {
                self.foreign.insert(id.to_owned());
            }
        }
    }

    /// The breaker gave a message back as a full copy.
    pub(super) fn copied(&mut self, books: &mut Books, original: &str, copy: &str) {
        let Some(number) = self.numbers.get(original).copied() else { return };
        self.numbers.insert(copy.to_owned(), number);
        // A copy that lacks something would have to be received to be seen; the model's drill looks at that.
        books.copied(number, true);
        if self.foreign.remove(copy) {
            self.processed(books, copy);
        }
    }

    /// A message is in the dead-letter queue. Answers its number, if it is one of this drill.
    pub(super) fn dead_lettered(&mut self, books: &mut Books, id: &str) -> Option<u32> {
        let number = self.numbers.get(id).copied()?;
        self.accounted.insert(number);
        books.dead_lettered(number);
        Some(number)
    }

    /// Closes the books: `nameless_copies` were made by the re-jitter, which tells how many and not which, and `queued`
    /// messages are still in the queue. What is left is nowhere.
    pub(super) fn settle(&mut self, books: &mut Books, nameless_copies: u64, queued: u64) {
        let missing: Vec<u32> =
            (0..self.sent_count).filter(|number| !self.accounted.contains(number)).collect();
        let copies = nameless_copies.min(self.foreign.len() as u64) as usize;
        let (copied, missing) = missing.split_at(copies.min(missing.len()));
        for number in copied {
            books.copied(*number, true);
            books.processed(*number);
        }
        // Which of them are queued cannot be told without receiving them, which would use up their receives.
        let nowhere = missing.iter().skip(queued.min(missing.len() as u64) as usize);
        nowhere.for_each(|number| books.missing(*number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::Balance;

    /// Three messages, `a`, `b` and `c`, of which `a` is processed; then what `happens`, and what the books say.
    fn check(happens: impl FnOnce(&mut Ids, &mut Books), queued: u64, expected: Balance) {
        let (mut ids, mut books) = (Ids::default(), Books::default());
        for id in ["a", "b", "c"] {
            ids.sent(id, books.next_number());
            books.sent();
        }
        ids.processed(&mut books, "a");
        happens(&mut ids, &mut books);
        ids.settle(&mut books, 0, queued);
        assert_eq!(books.balance(), Balance { sent: 3, ..expected });
    }

    #[test]
    fn what_is_nowhere_is_lost_and_what_the_queue_holds_is_not() {
        check(|_, _| {}, 0, Balance { processed: 1, lost: 2, ..Balance::default() });
        check(|_, _| {}, 1, Balance { processed: 1, still_queued: 1, lost: 1, ..Balance::default() });
        check(|_, _| {}, 9, Balance { processed: 1, still_queued: 2, ..Balance::default() });
    }

    #[test]
    fn an_entry_of_a_copy_counts_for_its_original_whichever_is_seen_first() {
        for booked_first in [true, false] {
            let happens = |ids: &mut Ids, books: &mut Books| {
                if booked_first {
                    ids.processed(books, "copy of b");
                }
                ids.copied(books, "b", "copy of b");
                if !booked_first {
                    ids.processed(books, "copy of b");
                }
                assert_eq!(ids.dead_lettered(books, "c"), Some(2));
                ids.processed(books, "a");
            };
            let expected = Balance {
                processed: 2,
                reprocessed: 1,
                copies_made: 1,
                dead_lettered: 1,
                ..Balance::default()
            };
            check(happens, 0, expected);
        }
    }

    #[test]
    fn copies_of_the_rejitter_are_matched_by_their_count() {
        let (mut ids, mut books) = (Ids::default(), Books::default());
        ids.sent("a", books.sent());
        ids.sent("b", books.sent());
        ids.processed(&mut books, "x");
        ids.processed(&mut books, "y");
        ids.settle(&mut books, 1, 0);
        let balance = books.balance();
        assert_eq!((balance.processed, balance.copies_made, balance.lost), (1, 1, 1));
    }
}

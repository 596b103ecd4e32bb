//! How the next messages are received: by short polls side by side while messages are known to wait, by one long poll
//! when the queue looks dry. A short poll asks some of the queue's servers and may find nothing although messages wait;
//! a long poll asks all of them.

use super::POLL_WAIT_S;
use crate::batch::MAX_BATCH_COUNT;

/// Messages that are taken to wait behind a first full batch which no count told of; doubles each time.
const FIRST_GUESS_COUNT: u64 = 2 * MAX_BATCH_COUNT as u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Short polls.
    Plenty,
    /// The queue looks dry: the short polls under way come in, then a long one says whether it is.
    Settling,
    /// The long poll is under way.
    LongPoll,
}

/// What is known of the messages that still wait.
#[derive(Debug)]
pub struct Supply {
    state: State,
    expected_count: u64,
    next_guess_count: u64,
    short_poll_count: u64,
}

impl Supply {
    /// So many messages wait, as far as the queue's approximate counts can be believed.
    pub fn new(expected_count: u64) -> Supply {
        Supply {
            state: State::Plenty,
            expected_count,
            next_guess_count: FIRST_GUESS_COUNT,
            short_poll_count: 0,
        }
    }

    /// Long poll of the next receive in seconds, none of a short one; `None` while there is nothing to ask.
    pub fn next(&mut self) -> Option<u32> {
        let is_covered = self.short_poll_count * MAX_BATCH_COUNT as u64 >= self.expected_count;
        match self.state {
            State::Plenty if !is_covered => {
                self.short_poll_count += 1;
                Some(0)
            }
            State::Plenty | State::Settling if self.short_poll_count == 0 => {
                self.state = State::LongPoll;
                Some(POLL_WAIT_S)
            }
            State::Plenty | State::Settling | State::LongPoll => None,
        }
    }

    /// Whether the next receive is a short poll, so that others may be under way beside it.
    pub fn is_plentiful(&self) -> bool {
        self.state == State::Plenty
    }

    /// How many short polls are under way.
    pub fn short_poll_count(&self) -> u64 {
        self.short_poll_count
    }

    /// A receive brought so many messages. Answers whether the queue is dry.
    pub fn received(&mut self, wait_s: u32, count: usize) -> bool {
        self.came_back(wait_s);
        self.expected_count = self.expected_count.saturating_sub(count as u64);
        if count == 0 {
            self.state = State::Settling;
            return wait_s > 0;
        }
        if wait_s > 0 {
            self.state = State::Plenty;
            if self.expected_count == 0 && count == MAX_BATCH_COUNT {
                self.expected_count = self.next_guess_count;
                self.next_guess_count *= 2;
            }
        }
        false
    }

    /// A receive failed.
    pub fn failed(&mut self, wait_s: u32) {
        self.came_back(wait_s);
    }

    fn came_back(&mut self, wait_s: u32) {
        if wait_s == 0 {
            self.short_poll_count -= 1;
        } else {
            self.state = State::Settling;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All receives that are asked for at once.
    fn ask(supply: &mut Supply) -> Vec<u32> {
        std::iter::from_fn(|| supply.next()).take(100).collect()
    }

    #[test]
    fn as_many_short_polls_as_messages_are_expected_then_a_long_one() {
        let mut supply = Supply::new(25);
        assert_eq!(ask(&mut supply), [0, 0, 0]);
        assert!(!supply.received(0, 10) && !supply.received(0, 10));
        assert_eq!(ask(&mut supply), [0; 0], "the one under way covers what is left");
        assert!(!supply.received(0, 5));
        assert_eq!(ask(&mut supply), [POLL_WAIT_S]);
        assert!(supply.received(POLL_WAIT_S, 0), "dry");
    }

    #[test]
    fn a_short_poll_without_messages_is_no_proof() {
        let mut supply = Supply::new(1_000);
        assert_eq!(ask(&mut supply).len(), 100);
        assert!(!supply.received(0, 0));
        for _ in 1..99 {
            assert!(!supply.received(0, 10));
            assert_eq!(ask(&mut supply), [0; 0], "the others come in first");
        }
        assert!(!supply.received(0, 10));
        assert_eq!(ask(&mut supply), [POLL_WAIT_S]);
        assert!(!supply.received(POLL_WAIT_S, 1));
        assert_eq!(ask(&mut supply), [0], "nine are expected still");
    }

    #[test]
    fn what_no_count_told_of_is_found_by_and_by() {
        let mut supply = Supply::new(0);
        let mut asked = Vec::new();
        for _ in 0..4 {
            assert_eq!(ask(&mut supply), [POLL_WAIT_S]);
            assert!(!supply.received(POLL_WAIT_S, 10));
            let short = ask(&mut supply);
            short.iter().for_each(|_| assert!(!supply.received(0, 10)));
            asked.push(short.len());
        }
        assert_eq!(asked, [2, 4, 8, 16]);
    }

    #[test]
    fn a_long_poll_that_failed_is_asked_again() {
        let mut supply = Supply::new(0);
        assert_eq!(ask(&mut supply), [POLL_WAIT_S]);
        supply.failed(POLL_WAIT_S);
        assert_eq!(ask(&mut supply), [POLL_WAIT_S]);
    }
}

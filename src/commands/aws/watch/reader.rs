//! Reads the circuits again and again, and says what each reading came to.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use infra::aws::{self, Account, Circuit, CloudError, Target};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};
use workflow::status::Facts;

use super::super::history::EXECUTIONS_PER_INCIDENT;
use super::view::{Asked, News, Trouble};

/// Circuits that are read at once: AWS allows an account few calls that read mappings and executions.
const AT_ONCE: usize = 4;

/// How long the reading of one circuit may take. A network that swallows packets would hold it up for minutes.
const READING_LIMIT: Duration = Duration::from_secs(20);

/// How long the reading of a circuit's record may take: a long incident has many pages.
const PAST_LIMIT: Duration = Duration::from_secs(60);

/// Readings of the record after the circuit's item has changed: the second has what is announced right after the change.
const PAST_READINGS: u8 = 2;

/// Most rounds that are let pass before a record that could not be read is asked for again.
const MAX_PAST_PAUSE: u32 = 32;

/// Reads an account for the view.
pub struct Reader {
    target: Target,
    account: Account,
    circuits: Vec<Circuit>,
    every: Duration,
    chosen: usize,
    pasts: Vec<PastState>,
    /// Whether the last round had a failure: the credentials may have been renewed since.
    has_failed: bool,
    news: UnboundedSender<News>,
    asked: UnboundedReceiver<Asked>,
    /// Whether a record is being read, beside the rounds: a long incident's takes longer than the pause between two.
    is_reading_past: bool,
    /// Of which circuit one was read, and whether that went well.
    past_sender: UnboundedSender<(usize, bool)>,
    past_read: UnboundedReceiver<(usize, bool)>,
}

/// What is known of when a circuit's record has to be read.
#[derive(Clone, Debug, Default)]
struct PastState {
    /// The circuit's item when it was read last.
    item: Option<BTreeMap<String, String>>,
    /// Readings of the record that are still to be made.
    due_count: u8,
    /// Readings that failed, one after the other.
    failed_count: u32,
    /// Rounds that are let pass before the next reading.
    pause_rounds: u32,
}

impl PastState {
    /// Takes note of an item; one that has changed says that there is something new on record.
    fn see(&mut self, item: &BTreeMap<String, String>) {
        if self.item.as_ref() != Some(item) {
            self.item = Some(item.clone());
            self.due_count = PAST_READINGS;
        }
    }

    /// Whether the record is to be read in this round.
    fn is_due(&mut self) -> bool {
        if self.due_count == 0 {
            return false;
        }
        let is_now = self.pause_rounds == 0;
        self.pause_rounds = self.pause_rounds.saturating_sub(1);
        is_now
    }

    /// Takes note of how a reading went. One that is refused will be refused again: it is asked for ever less often.
    fn end(&mut self, is_read: bool) {
        if is_read {
            self.due_count = self.due_count.saturating_sub(1);
            self.failed_count = 0;
            self.pause_rounds = 0;
        } else {
            self.failed_count += 1;
            self.pause_rounds = 2u32.saturating_pow(self.failed_count).min(MAX_PAST_PAUSE);
        }
    }
}

impl Reader {
    /// A reader that tells `news` and listens to what is `asked`.
    pub fn new(
        target: Target,
        account: Account,
        circuits: Vec<Circuit>,
        every: Duration,
        news: UnboundedSender<News>,
        asked: UnboundedReceiver<Asked>,
    ) -> Reader {
        let pasts = vec![PastState::default(); circuits.len()];
        let (past_sender, past_read) = unbounded_channel();
        Reader {
            target,
            account,
            circuits,
            every,
            chosen: 0,
            pasts,
            has_failed: false,
            news,
            asked,
            is_reading_past: false,
            past_sender,
            past_read,
        }
    }

    /// Reads for as long as it is polled.
    pub async fn run(mut self) -> Infallible {
        loop {
            self.round().await;
            self.rest().await;
        }
    }

    /// Reads every circuit once, the chosen one first.
    async fn round(&mut self) {
        if self.has_failed
            && let Err(trouble) = self.reconnect().await
        {
            for index in 0..self.circuits.len() {
                self.tell(News::NotRead(index, aws::now_ms(), trouble.clone()));
            }
            return;
        }
        self.has_failed = false;
        let mut order: Vec<usize> = (0..self.circuits.len()).collect();
        order.sort_by_key(|index| *index != self.chosen);
        let (account, circuits) = (self.account.clone(), self.circuits.clone());
        let read = |index: usize| {
            let (account, circuit) = (&account, &circuits[index]);
            async move { (index, within(READING_LIMIT, aws::facts(account, circuit)).await) }
        };
        let mut readings = stream::iter(order).map(read).buffer_unordered(AT_ONCE);
        while let Some((index, outcome)) = readings.next().await {
            self.note(index, outcome);
        }
        self.read_past();
    }

    fn note(&mut self, index: usize, outcome: Result<Facts, Trouble>) {
        match outcome {
            Ok(facts) => {
                self.pasts[index].see(&facts.item);
                self.tell(News::Facts(index, facts));
            }
            Err(trouble) => {
                self.has_failed = true;
                self.tell(News::NotRead(index, aws::now_ms(), trouble));
            }
        }
    }

    /// Begins to read the record of the chosen circuit, if there may be something new on it. It takes more calls than everything else.
    fn read_past(&mut self) {
        let index = self.chosen;
        if self.is_reading_past || !self.pasts[index].is_due() {
            return;
        }
        self.is_reading_past = true;
        let (account, circuit) = (self.account.clone(), self.circuits[index].clone());
        let (news, done) = (self.news.clone(), self.past_sender.clone());
        // The task ends with the runtime.
        tokio::spawn(async move {
            let past = within(PAST_LIMIT, aws::past(&account, &circuit, EXECUTIONS_PER_INCIDENT)).await;
            let is_read = past.is_ok();
            // Nobody listens only when the view is gone.
            let _ = news.send(match past {
                Ok(past) => News::Past(index, past.records),
                Err(trouble) => News::PastNotRead(index, trouble),
            });
            let _ = done.send((index, is_read));
        });
    }

    fn note_past(&mut self, (index, is_read): (usize, bool)) {
        self.is_reading_past = false;
        self.pasts[index].end(is_read);
        if index != self.chosen {
            self.read_past();
        }
    }

    /// Waits for the next round, and does meanwhile what is asked.
    async fn rest(&mut self) {
        let pause = sleep(self.every);
        tokio::pin!(pause);
        loop {
            let asked = tokio::select! {
                () = &mut pause => return,
                Some(ended) = self.past_read.recv() => {
                    self.note_past(ended);
                    continue;
                }
                asked = self.asked.recv() => asked,
            };
            match asked {
                Some(Asked::Refresh) => {
                    // A key that is held down asks many times; one round answers them all.
                    while let Ok(asked) = self.asked.try_recv() {
                        self.choose(asked);
                    }
                    self.pasts[self.chosen].pause_rounds = 0;
                    return;
                }
                Some(asked @ Asked::Choose(_)) => {
                    self.choose(asked);
                    self.read_past();
                }
                Some(Asked::Nothing | Asked::Quit) => {}
                None => pending().await,
            }
        }
    }

    fn choose(&mut self, asked: Asked) {
        if let Asked::Choose(index) = asked
            && index < self.circuits.len()
        {
            self.chosen = index;
        }
    }

    /// Connects anew: whoever has logged in again meanwhile is heard.
    async fn reconnect(&mut self) -> Result<(), Trouble> {
        let account = within(READING_LIMIT, Account::connect(&self.target)).await?;
        if (&account.id, &account.region) != (&self.account.id, &self.account.region) {
            return Err(Trouble {
                what: format!(
                    "the credentials are now those of account {}, Region {}, and the circuits are in account {}, Region {}",
                    account.id, account.region, self.account.id, self.account.region
                ),
                remedy: "log in to that account, or start `breaker watch` again".to_owned(),
            });
        }
        self.account = account;
        Ok(())
    }

    fn tell(&self, news: News) {
        // Nobody listens only when the view is gone, and then this is not polled any more.
        let _ = self.news.send(news);
    }
}

async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, CloudError>>) -> Result<T, Trouble> {
    match timeout(limit, call).await {
        Ok(outcome) => outcome.map_err(|error| Trouble::from(&error)),
        Err(_) => Err(Trouble {
            what: format!("no answer came within {} s", limit.as_secs()),
            remedy: "check the network".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_cannot_be_read_is_asked_for_ever_less_often() {
        let mut past = PastState { due_count: 1, ..PastState::default() };
        let mut asked_in = Vec::new();
        for round in 0..100 {
            if past.is_due() {
                asked_in.push(round);
                past.end(false);
            }
        }
        assert_eq!(asked_in, [0, 3, 8, 17, 34, 67]);
        past.pause_rounds = 0;
        assert!(past.is_due(), "somebody has asked for it");
        past.end(true);
        assert!(!past.is_due());
    }

    #[test]
    fn the_record_is_read_when_the_item_has_changed() {
        let item = |value: &str| BTreeMap::from([("epoch".to_owned(), value.to_owned())]);
        let mut past = PastState::default();
        past.see(&item("1"));
        assert_eq!(past.due_count, PAST_READINGS);
        past.due_count = 0;
        past.see(&item("1"));
        assert_eq!(past.due_count, 0);
        past.see(&item("2"));
        assert_eq!(past.due_count, PAST_READINGS);
    }
}

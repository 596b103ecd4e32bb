//! Reads the circuits again and again, and says what each reading came to.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use infra::aws::{self, Account, Circuit, CloudError, Target};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
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
}

/// What is known of when a circuit's record has to be read.
#[derive(Clone, Debug, Default)]
struct PastState {
    /// The circuit's item when it was read last.
    item: Option<BTreeMap<String, String>>,
    /// Readings of the record that are still to be made.
    due_count: u8,
}

impl PastState {
    /// Takes note of an item; one that has changed says that there is something new on record.
    fn see(&mut self, item: &BTreeMap<String, String>) {
        if self.item.as_ref() != Some(item) {
            self.item = Some(item.clone());
            self.due_count = PAST_READINGS;
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
        Reader { target, account, circuits, every, chosen: 0, pasts, has_failed: false, news, asked }
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
        self.read_past().await;
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

    /// Reads the record of the chosen circuit, if there may be something new on it. It takes more calls than everything else.
    async fn read_past(&mut self) {
        let index = self.chosen;
        if self.pasts[index].due_count == 0 {
            return;
        }
        let past = aws::past(&self.account, &self.circuits[index], EXECUTIONS_PER_INCIDENT);
        match within(PAST_LIMIT, past).await {
            Ok(past) => {
                self.pasts[index].due_count -= 1;
                self.tell(News::Past(index, past.records));
            }
            Err(trouble) => self.tell(News::PastNotRead(index, trouble)),
        }
    }

    /// Waits for the next round, and does meanwhile what is asked.
    async fn rest(&mut self) {
        let pause = sleep(self.every);
        tokio::pin!(pause);
        loop {
            let asked = tokio::select! {
                () = &mut pause => return,
                asked = self.asked.recv() => asked,
            };
            match asked {
                Some(Asked::Refresh) => {
                    // A key that is held down asks many times; one round answers them all.
                    while let Ok(asked) = self.asked.try_recv() {
                        self.choose(asked);
                    }
                    return;
                }
                Some(asked @ Asked::Choose(_)) => {
                    self.choose(asked);
                    self.read_past().await;
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

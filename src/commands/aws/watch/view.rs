//! What the live view knows, and what keys and readings make of it. It asks nobody, draws nothing and knows no clock.

use std::collections::VecDeque;
use std::time::Duration;

use infra::aws::CloudError;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use workflow::incidents::Record;
use workflow::status::{Facts, Status};

use super::timeline::{self, Event};

/// Readings of the backlog that are kept: more than five hours at a reading each 5 s.
const MAX_SAMPLES: usize = 4_096;

/// Events that are kept of a circuit.
const MAX_EVENTS: usize = 500;

/// Everything that is shown.
#[derive(Clone, Debug)]
pub struct View {
    /// Where the circuits are: stack, account and Region.
    pub place: String,
    /// Pause between two readings.
    pub every: Duration,
    /// The circuits, at least one.
    pub panes: Vec<Pane>,
    /// Index of the circuit that is shown in full.
    pub chosen: usize,
    /// Whether the help lies over it.
    pub helped: bool,
}

/// What is known of one circuit.
#[derive(Clone, Debug, Default)]
pub struct Pane {
    /// Its name.
    pub name: String,
    /// How it stood when it was read last.
    pub seen: Option<Seen>,
    /// Why the last reading came to nothing, if so.
    pub trouble: Option<Trouble>,
    /// Messages that waited, reading by reading; none where a reading failed.
    pub backlog: VecDeque<Sample>,
    /// What its executions have on record, the newest first; absent until that was read.
    pub events: Option<Vec<Event>>,
    /// Why the record could not be read, if so.
    pub events_trouble: Option<Trouble>,
}

/// A circuit as it stood.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When it was read, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// How it stood.
    pub status: Status,
}

/// One reading of the backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// How many messages waited.
    pub waiting_count: Option<u64>,
}

/// Why something could not be read, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What happened.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl From<&CloudError> for Trouble {
    fn from(error: &CloudError) -> Trouble {
        Trouble { what: error.to_string(), remedy: error.remedy() }
    }
}

/// What a reading came to.
#[derive(Clone, Debug)]
pub enum News {
    /// How a circuit stands.
    Facts(usize, Facts),
    /// A circuit could not be read. The moment, milliseconds since the Unix epoch.
    NotRead(usize, u64, Trouble),
    /// What a circuit's executions have on record.
    Past(usize, Vec<Record>),
    /// That could not be read.
    PastNotRead(usize, Trouble),
}

/// What a key asks for beyond the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Nothing,
    /// To read again at once.
    Refresh,
    /// To read the record of the circuit that was chosen.
    Choose(usize),
    Quit,
}

impl View {
    /// A view of circuits of which nothing is known yet.
    pub fn new(place: String, every: Duration, names: impl IntoIterator<Item = String>) -> View {
        let panes = names.into_iter().map(|name| Pane { name, ..Pane::default() }).collect();
        View { place, every, panes, chosen: 0, helped: false }
    }

    /// The circuit that is shown in full.
    pub fn chosen(&self) -> Option<&Pane> {
        self.panes.get(self.chosen)
    }

    /// Takes in what was read.
    pub fn take(&mut self, news: News) {
        let (News::Facts(index, _)
        | News::NotRead(index, ..)
        | News::Past(index, _)
        | News::PastNotRead(index, _)) = &news;
        let Some(pane) = self.panes.get_mut(*index) else { return };
        match news {
            News::Facts(_, facts) => {
                let status = Status::of(&facts);
                pane.count(facts.now_ms, status.waiting.map(|waiting| waiting.all()));
                pane.seen = Some(Seen { at_ms: facts.now_ms, status });
                pane.trouble = None;
            }
            News::NotRead(_, at_ms, trouble) => {
                pane.count(at_ms, None);
                pane.trouble = Some(trouble);
            }
            News::Past(_, records) => {
                let mut events = timeline::events(&records);
                events.truncate(MAX_EVENTS);
                pane.events = Some(events);
                pane.events_trouble = None;
            }
            News::PastNotRead(_, trouble) => pane.events_trouble = Some(trouble),
        }
    }

    /// Does what a key says, as far as it concerns the view, and says what else it asks for.
    pub fn press(&mut self, key: KeyEvent) -> Asked {
        if key.kind == KeyEventKind::Release {
            return Asked::Nothing;
        }
        let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'C') if with_control => Asked::Quit,
            _ if with_control => Asked::Nothing,
            KeyCode::Char('q') => Asked::Quit,
            KeyCode::Esc if self.helped => {
                self.helped = false;
                Asked::Nothing
            }
            KeyCode::Esc => Asked::Quit,
            KeyCode::Char('?') => {
                self.helped = !self.helped;
                Asked::Nothing
            }
            KeyCode::Char('r') => Asked::Refresh,
            KeyCode::Down | KeyCode::Tab => self.choose(1),
            KeyCode::Up | KeyCode::BackTab => self.choose(self.panes.len().saturating_sub(1)),
            _ => Asked::Nothing,
        }
    }

    /// Chooses the circuit so many further on; after the last comes the first.
    fn choose(&mut self, further: usize) -> Asked {
        let next = (self.chosen + further) % self.panes.len().max(1);
        if next == self.chosen {
            return Asked::Nothing;
        }
        self.chosen = next;
        Asked::Choose(next)
    }
}

impl Pane {
    fn count(&mut self, at_ms: u64, waiting_count: Option<u64>) {
        if self.backlog.len() == MAX_SAMPLES {
            self.backlog.pop_front();
        }
        self.backlog.push_back(Sample { at_ms, waiting_count });
    }

    /// The backlog in so many columns at most, from the first reading to the last: each column has the most that was read in
    /// its share of the readings.
    pub fn columns(&self, width: usize) -> Vec<Option<u64>> {
        let share = self.backlog.len().div_ceil(width.max(1)).max(1);
        let samples: Vec<Option<u64>> = self.backlog.iter().map(|sample| sample.waiting_count).collect();
        samples.chunks(share).map(|chunk| chunk.iter().copied().max().flatten()).collect()
    }
}

#[cfg(test)]
mod tests {
    use workflow::status::Waiting;

    use super::*;

    fn view(names: &[&str]) -> View {
        View::new("here".to_owned(), Duration::from_secs(5), names.iter().map(|name| (*name).to_owned()))
    }

    fn facts(now_ms: u64, waiting_count: u64) -> Facts {
        let queue = Waiting { visible_count: waiting_count, ..Waiting::default() };
        Facts { circuit: "a".to_owned(), now_ms, queue: Some(queue), ..Facts::default() }
    }

    fn trouble(what: &str) -> Trouble {
        Trouble { what: what.to_owned(), remedy: "wait".to_owned() }
    }

    #[test]
    fn keys_choose_refresh_help_and_quit() {
        let mut view = view(&["a", "b", "c"]);
        let mut press = |code: KeyCode| view.press(KeyEvent::new(code, KeyModifiers::NONE));
        assert_eq!(press(KeyCode::Down), Asked::Choose(1));
        assert_eq!(press(KeyCode::Tab), Asked::Choose(2));
        assert_eq!(press(KeyCode::Down), Asked::Choose(0));
        assert_eq!(press(KeyCode::Up), Asked::Choose(2));
        assert_eq!(press(KeyCode::BackTab), Asked::Choose(1));
        assert_eq!(press(KeyCode::Char('r')), Asked::Refresh);
        assert_eq!(press(KeyCode::Char('x')), Asked::Nothing);
        assert_eq!(press(KeyCode::Char('?')), Asked::Nothing);
        assert_eq!(press(KeyCode::Esc), Asked::Nothing, "it only takes the help away");
        assert_eq!(press(KeyCode::Esc), Asked::Quit);
        assert_eq!(press(KeyCode::Char('q')), Asked::Quit);
        let control = |letter| KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
        assert_eq!(view.press(control('c')), Asked::Quit);
        assert_eq!(view.press(control('r')), Asked::Nothing);
    }

    #[test]
    fn one_circuit_stays_chosen() {
        let mut view = view(&["a"]);
        for code in [KeyCode::Down, KeyCode::Up, KeyCode::Tab] {
            assert_eq!(view.press(KeyEvent::new(code, KeyModifiers::NONE)), Asked::Nothing);
        }
    }

    #[test]
    fn a_reading_that_fails_leaves_the_last_facts_and_a_gap() {
        let mut view = view(&["a"]);
        view.take(News::Facts(0, facts(1_000, 7)));
        view.take(News::NotRead(0, 2_000, trouble("throttled")));
        let pane = view.chosen().expect("there is one");
        assert_eq!(pane.seen.as_ref().map(|seen| seen.at_ms), Some(1_000));
        assert_eq!(pane.trouble, Some(trouble("throttled")));
        assert_eq!(pane.columns(80), [Some(7), None]);
        view.take(News::Facts(0, facts(3_000, 9)));
        let pane = view.chosen().expect("there is one");
        assert_eq!((&pane.trouble, pane.columns(80)), (&None, vec![Some(7), None, Some(9)]));
    }

    #[test]
    fn a_record_that_cannot_be_read_leaves_the_last_one() {
        let mut view = view(&["a"]);
        view.take(News::Past(0, Vec::new()));
        view.take(News::PastNotRead(0, trouble("denied")));
        let pane = view.chosen().expect("there is one");
        assert_eq!((&pane.events, &pane.events_trouble), (&Some(Vec::new()), &Some(trouble("denied"))));
    }

    #[test]
    fn many_readings_share_the_columns_and_the_oldest_go() {
        let mut pane = Pane::default();
        for n in 0..MAX_SAMPLES as u64 + 10 {
            pane.count(n, (n % 2 == 0).then_some(n));
        }
        assert_eq!(
            (pane.backlog.len(), pane.backlog.front().map(|sample| sample.at_ms)),
            (MAX_SAMPLES, Some(10))
        );
        let columns = pane.columns(8);
        assert_eq!(columns.len(), 8);
        assert!(columns.is_sorted() && columns.iter().all(Option::is_some), "{columns:?}");
        assert!(pane.columns(0).len() == 1 && Pane::default().columns(8).is_empty());
    }
}

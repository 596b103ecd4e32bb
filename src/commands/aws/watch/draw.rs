//! Draws the view. What is said of a circuit is what `breaker status` says, in its words.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Clear, List, ListItem, ListState, Paragraph, Sparkline};

use super::super::status_text::{LABEL_WIDTH, ago, answers, since};
use super::timeline::Tone;
use super::view::{Pane, Trouble, View};
use crate::text::{grouped, span};

/// From this width on the circuits stand beside the chosen one, and events have their full time.
const WIDE: u16 = 100;

/// Widest list of circuits beside the chosen one, columns.
const MAX_LIST_WIDTH: u16 = 44;

/// Circuits that are listed above the chosen one where there is no room beside it.
const MAX_LIST_HEIGHT: usize = 4;

/// Rows of the backlog: a title and three rows of bars.
const BACKLOG_HEIGHT: u16 = 4;

/// Rows that have to be left below the answers for the backlog to be drawn, so that the timeline has some too.
const LEAST_REST: u16 = 7;

const KEYS: &str = " q quit   up/down circuit   r read now   ? help";

const HELP: [&str; 15] = [
    "q, Esc, Ctrl-C   quit",
    "up, down, tab    choose a circuit",
    "r                read again at once",
    "?                this help, on and off",
    "",
    "The answers are those of `breaker status`,",
    "read again after each pause (--every).",
    "Between readings only the times go on.",
    "",
    "stale: the last reading failed; the facts",
    "are older, and how old is said.",
    "",
    "backlog: since the view was opened;",
    "a gap where a reading failed.",
    "timeline: what Step Functions has on record.",
];

/// How things look.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    /// Whether there are colours. Without them bold, dim and reversed are left.
    pub has_colour: bool,
}

impl Theme {
    fn colour(self, colour: Color) -> Style {
        if self.has_colour { Style::new().fg(colour) } else { Style::new() }
    }

    fn state(self, is_open: bool) -> Style {
        self.colour(if is_open { Color::Red } else { Color::Green }).add_modifier(Modifier::BOLD)
    }

    fn warning(self) -> Style {
        self.colour(Color::Yellow)
    }

    fn tone(self, tone: Tone) -> Style {
        match tone {
            Tone::Good => self.colour(Color::Green),
            Tone::Bad => self.colour(Color::Red),
            Tone::Neutral => Style::new(),
        }
    }
}

const DIM: Style = Style::new().add_modifier(Modifier::DIM);

/// Draws everything. `now_ms` is the moment, milliseconds since the Unix epoch.
pub fn draw(frame: &mut Frame<'_>, view: &View, now_ms: u64, theme: Theme) {
    let rows = [Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)];
    let [head, body, foot] = Layout::vertical(rows).areas(frame.area());
    let every = format!("read every {} ", span(view.every.as_secs_f64()));
    frame.render_widget(Line::raw(every).style(DIM).right_aligned(), head);
    frame.render_widget(Line::raw(format!(" {}", view.place)).style(DIM), head);
    frame.render_widget(Line::raw(KEYS).style(DIM), foot);
    let detail = if view.panes.len() > 1 { list(frame, view, body, theme) } else { body };
    if let Some(pane) = view.chosen() {
        circuit(frame, pane, detail, now_ms, theme);
    }
    if view.helped {
        help(frame);
    }
}

/// Lists the circuits, and answers what is left of the area.
fn list(frame: &mut Frame<'_>, view: &View, area: Rect, theme: Theme) -> Rect {
    let names = view.panes.iter().map(|pane| Span::raw(&*pane.name).width());
    let name_width = names.max().unwrap_or_default();
    let items: Vec<ListItem<'_>> = view.panes.iter().map(|pane| entry(pane, name_width, theme)).collect();
    let (part, rest) = if area.width >= WIDE {
        let widest = items.iter().map(ListItem::width).max().unwrap_or_default();
        let width = u16::try_from(widest + 4).unwrap_or(MAX_LIST_WIDTH).min(MAX_LIST_WIDTH);
        let [part, rest] = Layout::horizontal([Constraint::Length(width), Constraint::Min(0)]).areas(area);
        (part, rest)
    } else {
        // Both borders, and at most a third of what there is.
        let height = (view.panes.len().min(MAX_LIST_HEIGHT) as u16 + 2).min(area.height / 3);
        let [part, rest] = Layout::vertical([Constraint::Length(height), Constraint::Min(0)]).areas(area);
        (part, rest)
    };
    let list = List::new(items)
        .block(Block::bordered().title(" circuits "))
        .highlight_symbol("> ")
        .highlight_style(Modifier::REVERSED);
    let mut state = ListState::default().with_selected(Some(view.chosen));
    frame.render_stateful_widget(list, part, &mut state);
    rest
}

fn entry<'a>(pane: &'a Pane, name_width: usize, theme: Theme) -> ListItem<'a> {
    let mut spans = vec![Span::raw(&*pane.name)];
    let gap = name_width.saturating_sub(spans[0].width()) + 2;
    spans.push(Span::raw(" ".repeat(gap)));
    match &pane.seen {
        Some(seen) => {
            spans.push(Span::styled(format!("{:<9}", seen.status.state), theme.state(seen.status.is_open())));
            let waiting = seen.status.waiting.map_or("?".to_owned(), |waiting| grouped(waiting.all()));
            spans.push(Span::raw(format!("{waiting:>9}")));
        }
        None => spans.push(Span::styled("not read", DIM)),
    }
    if pane.trouble.is_some() {
        spans.push(Span::styled("  stale", theme.warning()));
    }
    ListItem::new(Line::from(spans))
}

/// The chosen circuit: answers, backlog, timeline. Where there is not enough room, what comes first stays.
fn circuit(frame: &mut Frame<'_>, pane: &Pane, area: Rect, now_ms: u64, theme: Theme) {
    let block = Block::bordered().title(format!(" {} ", pane.name)).title_style(Modifier::BOLD);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let lines = said(pane, usize::from(inner.width), now_ms, theme);
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(inner.height);
    let backlog_height = if inner.height - height >= LEAST_REST { BACKLOG_HEIGHT } else { 0 };
    let rows = [Constraint::Length(height), Constraint::Length(backlog_height), Constraint::Min(0)];
    let [answers_area, backlog_area, timeline_area] = Layout::vertical(rows).areas(inner);
    frame.render_widget(Paragraph::new(lines), answers_area);
    if backlog_height > 0 {
        backlog(frame, pane, backlog_area, now_ms, theme);
    }
    if timeline_area.height > 1 {
        let text = timeline(pane, timeline_area, now_ms, theme);
        frame.render_widget(Paragraph::new(text), timeline_area);
    }
}

/// The answers of `breaker status`, and before them why they are old, if they are.
fn said(pane: &Pane, width: usize, now_ms: u64, theme: Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if let Some(trouble) = &pane.trouble {
        let text = match &pane.seen {
            Some(seen) => format!("these facts are of {}: {}", ago(seen.at_ms, now_ms), told(trouble)),
            None => told(trouble),
        };
        let label = if pane.seen.is_some() { "stale" } else { "not read" };
        lines.extend(labelled(label, &text, width, theme.warning().add_modifier(Modifier::BOLD)));
    }
    let Some(seen) = &pane.seen else {
        if lines.is_empty() {
            lines.push(Line::styled("reading ...", DIM));
        }
        return lines;
    };
    let status = &seen.status;
    let state = theme.state(status.is_open());
    let mut rest = wrapped(&format!("{}{}", status.state, since(status, now_ms)), width).into_iter();
    if let Some(first) = rest.next() {
        let after = first.strip_prefix(status.state).unwrap_or_default().to_owned();
        lines.push(Line::from(vec![Span::styled(status.state, state), Span::raw(after)]));
    }
    lines.extend(rest.map(Line::raw));
    for answer in answers(status, now_ms) {
        let style = match answer.label {
            "next" => Style::new().add_modifier(Modifier::BOLD),
            _ if answer.is_warning => theme.warning(),
            _ => Style::new(),
        };
        lines.extend(labelled(answer.label, &answer.text, width, style));
    }
    lines
}

fn told(trouble: &Trouble) -> String {
    format!("{}. What to do: {}", trouble.what.trim_end_matches('.'), trouble.remedy)
}

/// A label, and beside it the text in as many lines as it needs.
fn labelled(label: &str, text: &str, width: usize, style: Style) -> Vec<Line<'static>> {
    let parts = wrapped(text, width.saturating_sub(LABEL_WIDTH + 1));
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    let line = |(label, part): (&str, String)| {
        Line::from(vec![Span::styled(format!("{label:<LABEL_WIDTH$} "), DIM), Span::styled(part, style)])
    };
    labels.zip(parts).map(line).collect()
}

/// A text in lines of so many columns, broken between words, and within a word that is longer than a line.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let word_width = Span::raw(word).width();
        if used > 0 && used + 1 + word_width > width {
            lines.push(String::new());
            used = 0;
        }
        if used > 0 {
            push(&mut lines, ' ');
            used += 1;
        }
        if used + word_width <= width {
            lines.last_mut().expect("there is a first line").push_str(word);
            used += word_width;
            continue;
        }
        for letter in word.chars() {
            let letter_width = Span::raw(letter.to_string()).width();
            if used > 0 && used + letter_width > width {
                lines.push(String::new());
                used = 0;
            }
            push(&mut lines, letter);
            used += letter_width;
        }
    }
    lines
}

fn push(lines: &mut [String], letter: char) {
    lines.last_mut().expect("there is a first line").push(letter);
}

/// What waited, reading by reading.
fn backlog(frame: &mut Frame<'_>, pane: &Pane, area: Rect, now_ms: u64, theme: Theme) {
    let most = pane.backlog.iter().filter_map(|sample| sample.waiting_count).max();
    let title = match (most, pane.backlog.front()) {
        (Some(most), Some(first)) => {
            let watched = span(now_ms.saturating_sub(first.at_ms) as f64 / 1_000.0);
            format!("backlog of the last {watched}, at most {} messages", grouped(most))
        }
        _ => "backlog".to_owned(),
    };
    let sparkline = Sparkline::default()
        .block(Block::new().title(Line::styled(title, DIM)))
        .data(pane.columns(usize::from(area.width)))
        .style(theme.colour(Color::Cyan));
    frame.render_widget(sparkline, area);
}

/// What is on record, as much as there is room for.
fn timeline(pane: &Pane, area: Rect, now_ms: u64, theme: Theme) -> Text<'static> {
    let width = usize::from(area.width);
    let mut lines = vec![Line::styled("timeline", DIM)];
    if let Some(trouble) = &pane.events_trouble {
        let text = format!("it could not be read: {}", told(trouble));
        lines.extend(wrapped(&text, width).into_iter().map(|line| Line::styled(line, theme.warning())));
    }
    match &pane.events {
        None if pane.events_trouble.is_none() => lines.push(Line::styled("reading ...", DIM)),
        Some(events) if events.is_empty() => lines.push(Line::raw("nothing is on record")),
        Some(events) => {
            let room = usize::from(area.height).saturating_sub(lines.len());
            lines.extend(events.iter().take(room).map(|event| {
                let when = if area.width >= WIDE - MAX_LIST_WIDTH {
                    ago(event.at_ms, now_ms)
                } else {
                    format!("{} ago", span(now_ms.saturating_sub(event.at_ms) as f64 / 1_000.0))
                };
                Line::from(vec![
                    Span::styled(format!("{when}  "), DIM),
                    Span::styled(event.text.clone(), theme.tone(event.tone)),
                ])
            }));
        }
        None => {}
    }
    Text::from(lines)
}

fn help(frame: &mut Frame<'_>) {
    let width = HELP.iter().map(|line| line.len()).max().unwrap_or_default() as u16 + 4;
    let height = HELP.len() as u16 + 2;
    let area = frame.area().centered(Constraint::Max(width), Constraint::Max(height));
    frame.render_widget(Clear, area);
    let lines: Vec<Line<'_>> = HELP.iter().map(|line| Line::raw(format!(" {line}"))).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" help ")), area);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;
    use workflow::circuit::item;
    use workflow::events::Announcement;
    use workflow::incidents::{Announced, Probe, Record};
    use workflow::status::{Facts, Waiting};

    use super::super::view::News;
    use super::*;

    /// 2026-11-01T12:00:00Z.
    const NOW_MS: u64 = 1_793_534_400_000;

    const MINUTE_MS: u64 = 60_000;

    const COLOURED: Theme = Theme { has_colour: true };

    fn view(names: &[&str]) -> View {
        let place = "stack breakers, account 111122223333, Region eu-west-1".to_owned();
        View::new(place, Duration::from_secs(5), names.iter().map(|name| (*name).to_owned()))
    }

    fn facts(circuit: &str, attributes: &[(&str, &str)]) -> Facts {
        let item = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let item: std::collections::BTreeMap<String, String> = item.collect();
        let is_closed = item.get(item::STATE).is_none_or(|state| state == "closed");
        Facts {
            circuit: circuit.to_owned(),
            now_ms: NOW_MS,
            item,
            owner_is_alive: Some(true),
            mapping: Some(if is_closed { "Enabled" } else { "Disabled" }.to_owned()),
            queue: Some(Waiting { visible_count: 12_040, in_flight_count: 3, delayed_count: 0 }),
        }
    }

    fn ms(minutes_from_now: i64) -> String {
        (NOW_MS as i64 + minutes_from_now * MINUTE_MS as i64).to_string()
    }

    fn open() -> Facts {
        let times = [ms(-32), ms(-4), ms(3), ms(5_000)];
        facts(
            "orders",
            &[
                (item::STATE, "open"),
                (item::PHASE, "disabled"),
                (item::OWNER, "arn:aws:states:eu-west-1:111122223333:execution:Orders:0f3a"),
                (item::OPENED_AT_MS, &times[0]),
                (item::TRIGGER, "alarm"),
                (item::REASON, "the alarm orders-failures went into ALARM"),
                (item::LAST_VERDICT, "unhealthy"),
                (item::LAST_ERROR, "PaymentsUnavailable"),
                (item::LAST_PROBE_AT_MS, &times[1]),
                (item::FAILED_PROBES, "4"),
                (item::WAIT_UNTIL_MS, &times[2]),
                (item::EXPIRES_AT_MS, &times[3]),
            ],
        )
    }

    fn held() -> Facts {
        let times = [ms(-32), ms(90), ms(200)];
        facts(
            "orders",
            &[
                (item::STATE, "held"),
                (item::PHASE, "disabled"),
                (item::OWNER, "arn:aws:states:eu-west-1:111122223333:execution:Orders:0f3a"),
                (item::OPENED_AT_MS, &times[0]),
                (item::TRIGGER, "operator"),
                (item::REASON, "duty: vendor migration"),
                (item::HELD_BY, "duty"),
                (item::HOLD_REASON, "vendor migration"),
                (item::HELD_UNTIL_MS, &times[1]),
                (item::EXPIRES_AT_MS, &times[2]),
            ],
        )
    }

    fn closed(name: &str) -> Facts {
        let at = ms(-600);
        let attributes =
            [(item::CLOSED_AT_MS, at.as_str()), (item::CLOSE_REASON, "recovered"), (item::CLOSED_BY, "none")];
        Facts { queue: Some(Waiting::default()), ..facts(name, &attributes) }
    }

    fn record() -> Record {
        let at = |minutes: u64| NOW_MS - minutes * MINUTE_MS;
        let detail = json!({ "trigger": "alarm", "reason": "the alarm orders-failures went into ALARM" });
        let probe = |minutes: u64| Probe {
            at_ms: at(minutes),
            verdict: "unhealthy".to_owned(),
            error: Some("PaymentsUnavailable".to_owned()),
        };
        Record {
            execution: "0f3a".to_owned(),
            announced: vec![Announced { at_ms: at(31), what: Announcement::Opened, detail }],
            probes: [26, 20, 12, 4].map(probe).to_vec(),
        }
    }

    /// With a backlog that has grown while it was watched.
    fn watched() -> View {
        let mut view = view(&["invoices", "orders"]);
        for n in 1..=60 {
            let queue = Waiting { visible_count: n * 200, ..Waiting::default() };
            view.take(News::Facts(
                1,
                Facts { now_ms: NOW_MS - (61 - n) * 5_000, queue: Some(queue), ..open() },
            ));
        }
        view.take(News::Facts(0, closed("invoices")));
        view.take(News::Facts(1, open()));
        view.take(News::Past(1, vec![record()]));
        view.chosen = 1;
        view
    }

    fn drawn(view: &View, now_ms: u64, theme: Theme, width: u16, height: u16) -> TestBackend {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("it needs no terminal");
        terminal.draw(|frame| draw(frame, view, now_ms, theme)).expect("it can always be drawn on");
        terminal.backend().clone()
    }

    fn shown(view: &View, width: u16, height: u16) -> String {
        drawn(view, NOW_MS + 1_000, COLOURED, width, height).to_string()
    }

    #[test]
    fn an_open_circuit_counts_down_beside_the_others() {
        insta::assert_snapshot!(shown(&watched(), 120, 26));
    }

    #[test]
    fn a_closed_circuit_says_how_it_closed() {
        let mut view = view(&["invoices"]);
        view.take(News::Facts(0, closed("invoices")));
        view.take(News::Past(0, Vec::new()));
        insta::assert_snapshot!(shown(&view, 90, 16));
    }

    #[test]
    fn a_held_circuit_says_by_whom_and_until_when() {
        let mut view = view(&["orders"]);
        view.take(News::Facts(0, held()));
        insta::assert_snapshot!(shown(&view, 90, 18));
    }

    #[test]
    fn facts_that_are_old_say_how_old_and_why() {
        let mut view = watched();
        let trouble = Trouble {
            what: "GetItem was refused with ExpiredTokenException: the token has expired".to_owned(),
            remedy: "the credentials have expired: log in again (`aws sso login`)".to_owned(),
        };
        view.take(News::NotRead(1, NOW_MS + 30_000, trouble.clone()));
        view.take(News::PastNotRead(1, trouble));
        let later = drawn(&view, NOW_MS + 95_000, COLOURED, 100, 30);
        insta::assert_snapshot!(later.to_string());
    }

    #[test]
    fn a_narrow_terminal_has_the_circuits_above() {
        insta::assert_snapshot!(shown(&watched(), 44, 40));
    }

    #[test]
    fn nothing_read_yet_and_the_help() {
        let mut view = view(&["orders"]);
        view.helped = true;
        insta::assert_snapshot!(shown(&view, 80, 20));
    }

    #[test]
    fn no_size_is_too_small() {
        let mut helped = watched();
        helped.helped = true;
        helped.take(News::PastNotRead(1, Trouble { what: "w".to_owned(), remedy: "r".to_owned() }));
        for view in [view(&["orders"]), view(&[]), watched(), helped] {
            for width in (1..30).chain([99, 100, 101]) {
                for height in 1..30 {
                    drawn(&view, NOW_MS, COLOURED, width, height);
                }
            }
        }
    }

    #[test]
    fn without_colours_there_are_none() {
        let colours = |theme| {
            let backend = drawn(&watched(), NOW_MS, theme, 120, 26);
            backend
                .buffer()
                .content
                .iter()
                .filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
                .count()
        };
        assert_eq!(colours(Theme { has_colour: false }), 0);
        assert!(colours(COLOURED) > 0);
    }

    #[test]
    fn words_longer_than_a_line_are_broken() {
        assert_eq!(wrapped("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrapped("ab cdefghij k", 4), ["ab", "cdef", "ghij", "k"]);
        assert_eq!(wrapped("出荷 停止", 4), ["出荷", "停止"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("ab", 0), ["a", "b"]);
    }

    #[test]
    fn control_characters_of_a_reason_reach_no_terminal() {
        let mut facts = open();
        facts.item.insert(item::REASON.to_owned(), "a\u{1b}[2Jb\nc".to_owned());
        let mut view = view(&["orders"]);
        view.take(News::Facts(0, facts));
        let text = shown(&view, 80, 20);
        assert!(text.chars().all(|letter| letter == '\n' || !letter.is_control()), "{text}");
    }
}

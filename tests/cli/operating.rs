//! `docs/operating.md` has a line for whatever can be announced; and the live view needs a terminal.

use workflow::circuit::CloseReason;
use workflow::events::Announcement;

use crate::check;

const DOC: &str = include_str!("../../docs/operating.md");

#[test]
fn every_announcement_and_close_reason_is_explained() {
    let has_row = |name: &str| DOC.lines().any(|line| line.starts_with(&format!("| `{name}` |")));
    for what in Announcement::ALL {
        assert!(has_row(what.detail_type()), "{}", what.detail_type());
    }
    for reason in [
        CloseReason::Recovered,
        CloseReason::Operator,
        CloseReason::Exhausted,
        CloseReason::Overruled,
        CloseReason::NothingToOpen,
        CloseReason::Faulted,
    ] {
        assert!(has_row(reason.name()), "{}", reason.name());
    }
}

#[test]
fn a_live_view_needs_a_terminal_and_a_pause_that_makes_sense() {
    check("watch_without_a_terminal", &["watch"]);
    check("watch_too_often", &["watch", "--every", "10ms"]);
}

//! The minutes in which the breaker acts, closer: in a drill of hours they are a hair's breadth.

use std::time::Duration;

use drill::course::{Course, Interval};
use maud::{Markup, html};

use super::chart::{Frame, Scale, draw};

/// Width of a drawing, two of which stand side by side.
const WIDTH: f64 = 548.0;
/// Shown before and after.
const AROUND: Duration = Duration::from_secs(60);
/// Longest stretch that is still close.
const MAX_LENGTH: Duration = Duration::from_secs(30 * 60);

/// The trip and the recovery, where the circuit opened and the whole drill is much longer than they are.
pub fn section(course: &Course) -> Markup {
    let shown: Vec<_> = [trip(course), recovery(course)].into_iter().flatten().collect();
    html! {
        @if !shown.is_empty() {
            section {
                h2 { "Closer" }
                div class="pair" {
                    @for (title, from, until) in shown {
                        figure {
                            figcaption { strong { (title) } }
                            div class="drawing" { (close(course, title, from, until)) }
                        }
                    }
                }
            }
        }
    }
}

fn close(course: &Course, title: &str, from: Duration, until: Duration) -> Markup {
    let frame = Frame { width: WIDTH, from, until, counts: 80.0, breaker: true, scale: Scale::default() };
    let scale = Scale { dead_lettered: 0.0, ..Scale::of(course, frame.axis()) };
    draw(course, &Frame { scale, ..frame }, title, "The same lanes as above, over a shorter time.")
}

/// From the first failure of the dependency to the first probe.
fn trip(course: &Course) -> Option<(&'static str, Duration, Duration)> {
    let opened = first(&course.circuit(), |state| state != "closed")?.from;
    let dependency = course.dependency();
    let failing = dependency.iter().rev().find(|one| one.state != "healthy" && one.from <= opened);
    let from = failing.map_or(opened, |one| one.from);
    let probe = course.probes.iter().map(|probe| probe.at).find(|at| *at >= opened);
    stretch(course, "The trip: from the failure to the first probe", from, probe.unwrap_or(opened))
}

/// From the dependency's last recovery to the close and the last spread message.
fn recovery(course: &Course) -> Option<(&'static str, Duration, Duration)> {
    let circuit = course.circuit();
    let opened = first(&circuit, |state| state != "closed")?.from;
    let closed = circuit.last().filter(|one| one.state == "closed")?.from;
    let healthy = course.dependency().last().filter(|one| one.state == "healthy")?.from;
    let last_open = course.probes.iter().rev().find(|probe| probe.at <= closed).map(|probe| probe.at);
    let from = if healthy > opened && healthy < closed { healthy } else { last_open? };
    let arrived = course.spreads.last().map_or(closed, |spread| spread.until.max(closed));
    stretch(course, "The way back: until the backlog has arrived", from, arrived)
}

/// A stretch with some time around it, if it is worth a drawing of its own.
fn stretch(
    course: &Course,
    title: &'static str,
    from: Duration,
    until: Duration,
) -> Option<(&'static str, Duration, Duration)> {
    let (from, until) = (from.saturating_sub(AROUND), (until + AROUND).min(course.end()));
    let length = until.checked_sub(from)?;
    (length <= MAX_LENGTH && length * 4 <= course.end()).then_some((title, from, until))
}

fn first(intervals: &[Interval], wanted: impl Fn(&str) -> bool) -> Option<&Interval> {
    intervals.iter().find(|interval| wanted(&interval.state))
}

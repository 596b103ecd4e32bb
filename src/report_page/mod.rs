//! The report of a drill as one HTML page that needs nothing else: no network, no script, no font of its own.

mod axis;
mod chart;
mod close_up;
mod tables;
mod tone;

use std::time::Duration;

use drill::course::Course;
use drill::report::{Entry, Report};
use drill::usage::Usage;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::chart::{Frame, Scale, draw};
use self::tone::Tone;
use crate::text::{clock, grouped, span};

const STYLE: &str = include_str!("style.css");

/// Width of the two large drawings.
const WIDTH: f64 = 1_120.0;

/// The same outage with no breaker.
#[derive(Debug)]
pub struct Baseline {
    /// Its balance.
    pub report: Report,
    /// Its course.
    pub course: Course,
    /// What it used.
    pub usage: Usage,
}

/// Everything that the page tells.
#[derive(Debug)]
pub struct Story<'a> {
    /// What the scenario is about.
    pub summary: &'a str,
    /// The command that repeats the run.
    pub command: &'a str,
    /// The balance and the promises.
    pub report: &'a Report,
    /// The course.
    pub course: &'a Course,
    /// What was used.
    pub usage: &'a Usage,
    /// The same outage with no breaker, if it was run.
    pub baseline: Option<&'a Baseline>,
    /// The timeline.
    pub entries: &'a [Entry],
}

/// The page.
pub fn render(story: &Story<'_>) -> String {
    let report = story.report;
    let title = format!("Failure drill {}, seed {}", report.scenario, report.seed);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (patterns())
                header {
                    p class="kind" { "Failure drill on the embedded cloud model" }
                    h1 { (report.scenario) }
                    p class="summary" { (story.summary) }
                    (tables::verdict(report))
                    dl class="facts" {
                        div { dt { "seed" } dd { (report.seed) } }
                        div { dt { "simulated time" } dd { (span(report.simulated_s)) } }
                        div { dt { "repeat with" } dd { code { (story.command) } } }
                    }
                }
                main {
                    (tables::key_numbers(report))
                    (timelines(story))
                    (close_up::section(story.course))
                    (legend())
                    section class="pair" {
                        (tables::balance(report))
                        (tables::promises(report))
                    }
                    (tables::cost(story.usage, story.baseline.map(|baseline| &baseline.usage)))
                    (tables::timeline(story.entries, end(story)))
                }
                footer {
                    p { "breaker " (env!("CARGO_PKG_VERSION")) ". The same scenario and seed give the same page. Trace " code class="hash" { (report.trace_hash) } }
                }
            }
        }
    };
    page.into_string()
}

/// When the last of the drawn courses ended.
fn end(story: &Story<'_>) -> Duration {
    let baseline = story.baseline.map_or(Duration::ZERO, |baseline| baseline.course.end());
    story.course.end().max(baseline)
}

/// The outage with the breaker, and below it, on the same scales, without.
fn timelines(story: &Story<'_>) -> Markup {
    let frame = Frame {
        width: WIDTH,
        from: Duration::ZERO,
        until: end(story),
        counts: 130.0,
        breaker: true,
        scale: Scale::default(),
    };
    let own = Scale::of(story.course, frame.axis());
    let scale = story.baseline.map_or(own, |baseline| own.or(Scale::of(&baseline.course, frame.axis())));
    let frame = Frame { scale, ..frame };
    html! {
        section {
            h2 { "What happened" }
            (figure(story.course, &frame, "With the breaker", &told(story.report, story.course)))
            @let remarks = &story.course.remarks;
            @if !remarks.is_empty() {
                div class="remarks" {
                    p { "From outside:" }
                    ol {
                        @for remark in remarks { li { (clock(remark.at, frame.until)) " " (remark.text) } }
                    }
                }
            }
            @if let Some(baseline) = story.baseline {
                @let frame = Frame { breaker: false, ..frame };
                (figure(&baseline.course, &frame, "The same outage without a breaker, on the same scales", &told(&baseline.report, &baseline.course)))
            }
        }
    }
}

fn figure(course: &Course, frame: &Frame, title: &str, description: &str) -> Markup {
    html! {
        figure {
            figcaption { strong { (title) } ". " (description) }
            div class="drawing" { (draw(course, frame, title, description)) }
        }
    }
}

/// A course in words, for whoever cannot see the drawing, or has no time for it.
fn told(report: &Report, course: &Course) -> String {
    let most = course.samples.iter().map(|sample| sample.visible + sample.hidden).max().unwrap_or(0);
    let queue = format!("Up to {} messages waited", grouped(most));
    let failed = course.samples.last().map_or(0, |sample| sample.failed);
    let failures = format!("{} deliveries failed", grouped(failed));
    let dead = match report.dead_lettered {
        0 => "none was dead-lettered".to_owned(),
        1 => "one message ended in the dead-letter queue".to_owned(),
        count => format!("{} messages ended in the dead-letter queue", grouped(count)),
    };
    let open = course.circuit();
    let opened = open.iter().find(|interval| interval.state != "closed");
    let Some(opened) = opened else { return format!("{queue}; {failures}; {dead}.") };
    let open_for: Duration = open
        .iter()
        .filter(|interval| interval.state != "closed")
        .map(|interval| interval.until - interval.from)
        .sum();
    let healthy = course.probes.iter().filter(|probe| probe.verdict == "healthy").count();
    let probes = match course.probes.len() {
        0 => "there was no probe".to_owned(),
        all => format!("{healthy} of {all} probes were healthy"),
    };
    format!(
        "The circuit opened at {} and was not closed for {} in all; {probes}. {queue}; {failures}; {dead}.",
        clock(opened.from, course.end()),
        span(open_for.as_secs_f64()),
    )
}

/// What every band, area and mark means.
fn legend() -> Markup {
    let swatch = |class: &str| {
        html! { svg class="swatch" viewBox="0 0 28 18" width="28" height="18" aria-hidden="true" { rect class=(class) width="28" height="18" {} } }
    };
    let mark = |content: Markup| {
        html! { svg class="swatch" viewBox="-14 -9 28 18" width="28" height="18" aria-hidden="true" { (content) } }
    };
    html! {
        section class="legend" {
            h2 { "How to read it" }
            p { "Time runs to the right, to scale, from the start of the drill. Hovering over a band or a mark shows its times." }
            dl {
                @for tone in Tone::ALL {
                    @let tall = 18.0 * tone.height();
                    div {
                        dt { svg class="swatch" viewBox="0 0 28 18" width="28" height="18" aria-hidden="true" {
                            rect class={ "band " (tone.class()) } width="28" y=(format!("{:.1}", 9.0 - tall / 2.0)) height=(format!("{tall:.1}")) {}
                        } }
                        dd { (tone.meaning()) }
                    }
                }
                div { dt { (mark(html! { circle class="good" r="5" {} })) } dd { "a probe whose message the consumer processed" } }
                div { dt { (mark(html! { path class="bad" d="M-4 -4l8 8m0 -8l-8 8" {} })) } dd { "a probe whose message failed" } }
                div { dt { (mark(html! { path class="open" d="M0 -6l6 6l-6 6l-6 -6z" {} })) } dd { "a probe that says neither: queue empty, all messages in flight, a message at its last receive, or somebody enabled the mapping" } }
                div { dt { (mark(html! { path class="outside" d="M0 -5l5 9l-10 0z" {} })) } dd { "something from outside: an operator, a deployment, another program" } }
                div { dt { (swatch("visible")) } dd { "messages in the queue that wait to be received" } }
                div { dt { (swatch("hidden")) } dd { "messages in the queue that are in flight, spread over time by the re-jitter, or delayed" } }
                div { dt { (swatch("failed")) } dd { "deliveries of the mapping that failed, per minute" } }
                div { dt { (swatch("dead")) } dd { "messages in the dead-letter queue" } }
            }
        }
    }
}

/// The patterns of the bands, once for all drawings.
fn patterns() -> Markup {
    html! {
        svg class="patterns" width="0" height="0" aria-hidden="true" {
            defs {
                pattern id="stopped" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    rect class="ground" width="6" height="6" {}
                    line class="stroke" x1="0" x2="0" y1="0" y2="6" {}
                }
                pattern id="tried" width="6" height="6" patternUnits="userSpaceOnUse" {
                    rect class="ground" width="6" height="6" {}
                    circle class="dot" cx="3" cy="3" r="1.4" {}
                }
                pattern id="between" width="4" height="4" patternUnits="userSpaceOnUse" {
                    rect class="ground" width="4" height="4" {}
                    line class="stroke" x1="1" x2="1" y1="0" y2="4" {}
                }
                pattern id="kept" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    rect class="ground" width="7" height="7" {}
                    path class="stroke" d="M0 0V7M0 0H7" {}
                }
                pattern id="hidden" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)" {
                    rect class="ground" width="5" height="5" {}
                    line class="stroke" x1="0" x2="0" y1="0" y2="5" {}
                }
            }
        }
    }
}

//! The timeline, drawn to scale as SVG.

use std::fmt::Write as _;
use std::time::Duration;

use drill::course::{Course, Interval, Sample, Spread};
use maud::{Markup, html};

use super::axis::{TimeAxis, count_ticks};
use super::tone::{Tone, label};
use crate::text::{clock, grouped, span};

const LABELS: f64 = 128.0;
const MARGIN: f64 = 20.0;
const GAP: f64 = 12.0;
const BAND: f64 = 24.0;
const AXIS: f64 = 34.0;
/// Width of a bar of failed invocations.
const BAR: f64 = 6.0;
/// Narrowest band that parts its lane.
const SLIVER: f64 = 3.0;
/// Room for a number under a mark.
const NUMBER: f64 = 16.0;
/// About the width of a letter of a name, which is bold: rather too wide than into its neighbour.
const LETTER: f64 = 7.2;

/// What is drawn of a course.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Width of the drawing.
    pub width: f64,
    /// From when, since the start.
    pub from: Duration,
    /// Until when.
    pub until: Duration,
    /// Height of the queue's lane; that of the other counts follows.
    pub counts: f64,
    /// Whether there is a breaker to be drawn.
    pub breaker: bool,
    /// The numbers that reach the top.
    pub scale: Scale,
}

/// The largest numbers, so that two drawings can be compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scale {
    /// Messages in the queue.
    pub queued: f64,
    /// Failed invocations per minute.
    pub failed_per_min: f64,
    /// Messages in the dead-letter queue.
    pub dead_lettered: f64,
}

impl Scale {
    /// The largest numbers of a course on this axis.
    pub fn of(course: &Course, axis: TimeAxis) -> Scale {
        let shown: Vec<&Sample> = course.samples.iter().filter(|sample| axis.shows(sample.at)).collect();
        let most = |of: fn(&Sample) -> u64| shown.iter().map(|sample| of(sample)).max().unwrap_or(0) as f64;
        Scale {
            queued: most(|sample| sample.visible + sample.hidden),
            failed_per_min: bars(course, axis).into_iter().map(|(_, _, rate)| rate).fold(0.0, f64::max),
            dead_lettered: most(|sample| sample.dead_lettered),
        }
    }

    /// The larger of both, number by number.
    pub fn or(self, other: Scale) -> Scale {
        Scale {
            queued: self.queued.max(other.queued),
            failed_per_min: self.failed_per_min.max(other.failed_per_min),
            dead_lettered: self.dead_lettered.max(other.dead_lettered),
        }
    }
}

impl Frame {
    /// The time axis.
    pub fn axis(&self) -> TimeAxis {
        TimeAxis { from: self.from, until: self.until, left: LABELS, right: self.width - MARGIN }
    }
}

/// A drawing that grows downwards, lane by lane.
struct Drawing {
    axis: TimeAxis,
    length: Duration,
    y: f64,
    lanes: Vec<Markup>,
}

/// Draws a course. `title` and `description` stand for the drawing where it cannot be seen.
pub fn draw(course: &Course, frame: &Frame, title: &str, description: &str) -> Markup {
    let axis = frame.axis();
    let mut drawing = Drawing { axis, length: frame.until, y: GAP, lanes: Vec::new() };
    drawing.bands("Dependency", &course.dependency());
    drawing.bands("Alarm", &course.alarm());
    if frame.breaker {
        drawing.bands("Circuit", &course.circuit());
        drawing.bands("Mapping", &course.mapping());
        drawing.probes(course);
        drawing.spreads(course);
    }
    drawing.remarks(course);
    drawing.queue(course, frame);
    if frame.scale.failed_per_min > 0.0 {
        drawing.failures(course, frame);
    }
    if frame.scale.dead_lettered > 0.0 {
        drawing.dead_letters(course, frame);
    }
    let height = drawing.y + AXIS;
    let bottom = drawing.y;
    let view_box = format!("0 0 {} {height:.0}", frame.width);
    html! {
        svg role="img" aria-label=(title) viewBox=(view_box) width=(frame.width) {
            title { (title) }
            desc { (description) }
            g class="grid" {
                @for (x, tick) in axis.ticks() {
                    line x1=(px(x)) x2=(px(x)) y1=(px(GAP / 2.0)) y2=(px(bottom)) {}
                    @let (at, anchor) = if x + width_of(&tick) / 2.0 > frame.width { (axis.right + MARGIN, "end") } else { (x, "middle") };
                    text class="tick" x=(px(at)) y=(px(bottom + 18.0)) text-anchor=(anchor) { (tick) }
                }
                line class="axis" x1=(px(axis.left)) x2=(px(axis.right)) y1=(px(bottom)) y2=(px(bottom)) {}
                text class="lane" x=(px(LABELS - 44.0)) y=(px(bottom + 18.0)) text-anchor="end" { "Time" }
            }
            @for lane in &drawing.lanes { (lane) }
        }
    }
}

impl Drawing {
    /// Adds a lane of this height, which `draw` fills from its upper edge on.
    fn lane(&mut self, name: &str, height: f64, draw: impl FnOnce(TimeAxis, f64) -> Markup) {
        let top = self.y;
        let content = draw(self.axis, top);
        self.lanes.push(html! {
            g data-lane=(name) {
                text class="lane" x=(px(LABELS - 12.0)) y=(px(top + height.min(BAND) / 2.0 + 4.0)) text-anchor="end" { (name) }
                (content)
            }
        });
        self.y += height + GAP;
    }

    fn bands(&mut self, name: &str, intervals: &[Interval]) {
        let length = self.length;
        self.lane(name, BAND, |axis, top| {
            let (wide, slivers) = merged(axis, intervals);
            html! {
                @for interval in &wide { (band(axis, top, interval, length)) }
                g class="slivers" { @for interval in &slivers { (band(axis, top, interval, length)) } }
                @for interval in &wide { (band_label(axis, top, interval)) }
            }
        });
    }

    fn probes(&mut self, course: &Course) {
        if course.probes.is_empty() {
            return;
        }
        let length = self.length;
        self.lane("Probes", BAND, |axis, top| {
            let middle = top + BAND / 2.0;
            html! {
                @for probe in course.probes.iter().filter(|probe| axis.shows(probe.at)) {
                    @let x = axis.x(probe.at);
                    g {
                        title { (clock(probe.at, length)) " probe: " (probe.text) }
                        @match probe.verdict.as_str() {
                            "healthy" => { circle class="good" cx=(px(x)) cy=(px(middle)) r="5" {} }
                            "unhealthy" => {
                                path class="bad" d={ "M" (px(x - 4.0)) " " (px(middle - 4.0)) "l8 8m0 -8l-8 8" } {}
                            }
                            _ => { path class="open" d={ "M" (px(x)) " " (px(middle - 6.0)) "l6 6l-6 6l-6 -6z" } {} }
                        }
                    }
                }
            }
        });
    }

    fn spreads(&mut self, course: &Course) {
        let axis = self.axis;
        let in_sight =
            |spread: &&Spread| spread.moved > 0 && spread.until >= axis.from && spread.from <= axis.until;
        let shown: Vec<_> = course.spreads.iter().filter(in_sight).collect();
        if shown.is_empty() {
            return;
        }
        self.lane("Backlog spread", BAND, |axis, top| {
            html! {
                @for spread in shown {
                    @let (from, until) = (axis.x(spread.from), axis.x(spread.until));
                    @let seconds = spread.until.saturating_sub(spread.from).as_secs_f64();
                    @let count = format!("{} messages", grouped(spread.moved));
                    @let text = format!("{count} over {}", span(seconds));
                    (block(Tone::Tried, from, until, top))
                    // The count alone, where there is no room for more.
                    @if let Some((text, (x, anchor))) = [text, count].into_iter().find_map(|text| {
                        let place = beside(axis, from, until, width_of(&text))?;
                        Some((text, place))
                    }) {
                        text class="state" x=(px(x)) y=(px(top + BAND / 2.0 + 4.0)) text-anchor=(anchor) { (text) }
                    }
                }
            }
        });
    }

    fn remarks(&mut self, course: &Course) {
        let axis = self.axis;
        let mut free = 0.0;
        let mut shown = Vec::new();
        for (number, remark) in course.remarks.iter().enumerate().filter(|(_, remark)| axis.shows(remark.at))
        {
            let x = axis.x(remark.at);
            // A number where there is room for it.
            let number = (x >= free).then_some(number + 1);
            free = if number.is_some() { x + NUMBER } else { free };
            shown.push((x, number, remark));
        }
        if shown.is_empty() {
            return;
        }
        let length = self.length;
        self.lane("From outside", BAND, |_, top| {
            html! {
                @for (x, number, remark) in shown {
                    g {
                        title { (clock(remark.at, length)) " " (remark.text) }
                        path class="outside" d={ "M" (px(x)) " " (px(top + 1.0)) "l5 9l-10 0z" } {}
                        @if let Some(number) = number {
                            text class="note" x=(px(x)) y=(px(top + BAND - 1.0)) text-anchor="middle" { (number) }
                        }
                    }
                }
            }
        });
    }

    fn queue(&mut self, course: &Course, frame: &Frame) {
        let (top_count, ticks) = count_ticks(frame.scale.queued);
        self.counts("Queue", "messages", frame.counts, &ticks, |axis, top, height| {
            let all = |sample: &Sample| (sample.visible + sample.hidden) as f64 / top_count;
            let visible = |sample: &Sample| sample.visible as f64 / top_count;
            html! {
                path class="hidden" d=(area(course, axis, top, height, all)) {}
                path class="visible" d=(area(course, axis, top, height, visible)) {}
            }
        });
    }

    fn failures(&mut self, course: &Course, frame: &Frame) {
        let (top_count, ticks) = count_ticks(frame.scale.failed_per_min);
        self.counts("Failures", "per minute", frame.counts * 0.6, &ticks, |axis, top, height| {
            html! {
                @for (from, until, rate) in bars(course, axis).into_iter().filter(|(_, _, rate)| *rate > 0.0) {
                    @let tall = (rate / top_count * height).max(1.0);
                    rect class="failed" x=(px(from)) width=(px(until - from - 1.0)) y=(px(top + height - tall)) height=(px(tall)) {}
                }
            }
        });
    }

    fn dead_letters(&mut self, course: &Course, frame: &Frame) {
        let (top_count, ticks) = count_ticks(frame.scale.dead_lettered);
        self.counts("Dead letters", "messages", frame.counts * 0.6, &ticks, |axis, top, height| {
            let dead = |sample: &Sample| sample.dead_lettered as f64 / top_count;
            html! { path class="dead" d=(area(course, axis, top, height, dead)) {} }
        });
    }

    /// A lane with a scale of its own.
    fn counts(
        &mut self,
        name: &str,
        unit: &str,
        height: f64,
        ticks: &[f64],
        draw: impl FnOnce(TimeAxis, f64, f64) -> Markup,
    ) {
        let largest = ticks.last().copied().unwrap_or(1.0);
        // Room for half a line above the uppermost number.
        self.y += 6.0;
        self.lane(name, height, |axis, top| {
            html! {
                text class="unit" x=(px(LABELS - 12.0)) y=(px(top + BAND / 2.0 + 18.0)) text-anchor="end" { (unit) }
                @for tick in ticks {
                    @let y = top + height - tick / largest * height;
                    line class="level" x1=(px(axis.left)) x2=(px(axis.right)) y1=(px(y)) y2=(px(y)) {}
                }
                (draw(axis, top, height))
                @for tick in ticks.iter().filter(|tick| **tick > 0.0) {
                    @let y = top + height - tick / largest * height;
                    text class="level" x=(px(axis.left + 4.0)) y=(px(y + 11.0)) { (grouped(*tick as u64)) }
                }
            }
        });
    }
}

/// What of a lane is on the axis: its states, and the slivers that are too narrow to part one state into two, such as a
/// circuit that is half-open for the second that a probe takes.
fn merged(axis: TimeAxis, intervals: &[Interval]) -> (Vec<Interval>, Vec<Interval>) {
    let (mut wide, mut slivers): (Vec<Interval>, Vec<Interval>) = (Vec::new(), Vec::new());
    let shown = intervals.iter().filter(|one| one.until > axis.from && one.from < axis.until);
    for interval in shown {
        let before = wide.len().checked_sub(2).map(|at| &wide[at]);
        let between = wide.last().is_some_and(|last| axis.x(last.until) - axis.x(last.from) < SLIVER);
        if between && before.is_some_and(|before| before.state == interval.state) {
            slivers.extend(wide.pop());
            if let Some(before) = wide.last_mut() {
                before.until = interval.until;
            }
        } else {
            wide.push(interval.clone());
        }
    }
    (wide, slivers)
}

fn band(axis: TimeAxis, top: f64, interval: &Interval, length: Duration) -> Markup {
    let (from, until) = (axis.x(interval.from), axis.x(interval.until));
    let text = label(&interval.state);
    let lasted = span((interval.until - interval.from).as_secs_f64());
    html! {
        g data-state=(interval.state) {
            title { (text) " from " (clock(interval.from, length)) " to " (clock(interval.until, length)) " (" (lasted) ")" }
            (block(Tone::of(&interval.state), from, until, top))
        }
    }
}

/// The state's name in its band, if there is room for it.
fn band_label(axis: TimeAxis, top: f64, interval: &Interval) -> Markup {
    let (from, until) = (axis.x(interval.from), axis.x(interval.until));
    let text = label(&interval.state);
    // A line has to be seen on both sides of its name.
    let around = if Tone::of(&interval.state) == Tone::Calm { 24.0 } else { 10.0 };
    html! {
        @if until - from > width_of(&text) + around {
            text class="state" x=(px((from + until) / 2.0)) y=(px(top + BAND / 2.0 + 4.0)) text-anchor="middle" { (text) }
        }
    }
}

/// Where a text of this width stands that belongs to a block: in it, before it, or after it.
fn beside(axis: TimeAxis, from: f64, until: f64, width: f64) -> Option<(f64, &'static str)> {
    if until - from > width + 10.0 {
        Some(((from + until) / 2.0, "middle"))
    } else if from - axis.left > width + 10.0 {
        Some((from - 6.0, "end"))
    } else if axis.right - until > width {
        Some((until + 6.0, "start"))
    } else {
        None
    }
}

/// A block in a lane, of the height that its tone has; never too narrow to be seen.
fn block(tone: Tone, from: f64, until: f64, top: f64) -> Markup {
    let tall = BAND * tone.height();
    let y = top + (BAND - tall) / 2.0;
    html! {
        rect class={ "band " (tone.class()) } x=(px(from)) y=(px(y)) width=(px((until - from).max(1.0))) height=(px(tall)) {}
    }
}

/// The outline of an area over the course's samples; `share` is 1 at the top.
fn area(course: &Course, axis: TimeAxis, top: f64, height: f64, share: impl Fn(&Sample) -> f64) -> String {
    let mut path = format!("M{} {}", px(axis.left), px(top + height));
    let mut last = None;
    let samples = course.samples.iter().filter(|sample| axis.shows(sample.at));
    let points: Vec<_> =
        samples.map(|sample| (axis.x(sample.at), top + height - share(sample) * height)).collect();
    for (number, (x, y)) in points.iter().enumerate() {
        // A flat stretch needs its two ends only.
        let next = points.get(number + 1).map(|(_, next)| px(*next));
        if last.as_ref() == Some(&px(*y)) && next == last {
            continue;
        }
        let _ = write!(path, "L{} {}", px(*x), px(*y));
        last = Some(px(*y));
    }
    let end = points.last().map_or(axis.left, |(x, _)| *x);
    let _ = write!(path, "L{} {}Z", px(end), px(top + height));
    path
}

/// Failed invocations per minute, bar by bar: left edge, right edge, rate.
fn bars(course: &Course, axis: TimeAxis) -> Vec<(f64, f64, f64)> {
    let samples: Vec<&Sample> = course.samples.iter().filter(|sample| axis.shows(sample.at)).collect();
    let mut bars = Vec::new();
    let Some(mut first) = samples.first() else { return bars };
    for sample in &samples {
        let (from, until) = (axis.x(first.at), axis.x(sample.at));
        if until - from >= BAR {
            let minutes = (sample.at - first.at).as_secs_f64() / 60.0;
            bars.push((from, until, (sample.failed - first.failed) as f64 / minutes));
            first = sample;
        }
    }
    bars
}

fn width_of(text: &str) -> f64 {
    text.chars().count() as f64 * LETTER
}

/// A coordinate, to a tenth.
fn px(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stands_where_there_is_room_for_it_or_nowhere() {
        let until = Duration::from_secs(100);
        let axis = TimeAxis { from: Duration::ZERO, until, left: 100.0, right: 400.0 };
        assert_eq!(beside(axis, 150.0, 300.0, 100.0), Some((225.0, "middle")));
        assert_eq!(beside(axis, 250.0, 300.0, 100.0), Some((244.0, "end")));
        assert_eq!(beside(axis, 150.0, 200.0, 100.0), Some((206.0, "start")));
        assert_eq!(beside(axis, 150.0, 350.0, 300.0), None);
    }

    #[test]
    fn a_sliver_does_not_part_a_band() {
        let until = Duration::from_secs(1_000);
        let axis = TimeAxis { from: Duration::ZERO, until, left: 0.0, right: 1_000.0 };
        let interval = |state: &str, from, until| Interval {
            state: state.to_owned(),
            from: Duration::from_secs(from),
            until: Duration::from_secs(until),
        };
        let lane = [
            interval("open", 0, 100),
            interval("half_open", 100, 101),
            interval("open", 101, 500),
            interval("half_open", 500, 600),
            interval("open", 600, 1_000),
        ];
        let (wide, slivers) = merged(axis, &lane);
        let wide: Vec<_> = wide.iter().map(|one| (one.state.as_str(), one.until.as_secs())).collect();
        assert_eq!(wide, [("open", 500), ("half_open", 600), ("open", 1_000)]);
        assert_eq!(slivers, [interval("half_open", 100, 101)]);
    }
}

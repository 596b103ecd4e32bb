//! The course of a drill, to be drawn: how the numbers stood from time to time, and which state lasted from when to when.
//!
//! Nothing here acts on the drill: it is told what happens and keeps it.

use std::time::Duration;

use crate::checkers::{Actor, Observation};
use crate::scenario::Dependency;
use crate::sim::{SIM_START, Time};

/// Numbers at one time. What is counted is counted since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When, since the start.
    pub at: Duration,
    /// Messages in the queue that could be received.
    pub visible: u64,
    /// Messages in the queue that could not: in flight, spread by the re-jitter, or delayed.
    pub hidden: u64,
    /// Messages in the dead-letter queue.
    pub dead_lettered: u64,
    /// Invocations of the consumer that failed, by the mapping.
    pub failed: u64,
    /// Invocations of the consumer that had nothing to complain about, by the mapping.
    pub succeeded: u64,
}

/// A stretch of time in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The state, in the words of the timeline.
    pub state: String,
    /// Its beginning, since the start.
    pub from: Duration,
    /// Its end, since the start; that of the drill for the last one.
    pub until: Duration,
}

/// A probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// When it was answered, since the start.
    pub at: Duration,
    /// Its verdict: `healthy`, `unhealthy`, `empty`, `none_visible`, `last_receive`, `overruled`.
    pub verdict: String,
    /// The verdict with its detail, as in the timeline.
    pub text: String,
}

/// The re-jitter spread a backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// When the last call for it was answered, since the start.
    pub at: Duration,
    /// When the first message is to arrive, since the start.
    pub from: Duration,
    /// When the last one is.
    pub until: Duration,
    /// Messages so far.
    pub moved: u64,
}

/// What happened from outside: an operator, a deployment, a fault of the drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// When, since the start.
    pub at: Duration,
    /// What, as in the timeline.
    pub text: String,
}

/// A state that lasts until the next one.
#[derive(Clone, Debug, PartialEq)]
struct Lane(Vec<(Duration, String)>);

impl Lane {
    fn beginning(state: &str) -> Lane {
        Lane(vec![(Duration::ZERO, state.to_owned())])
    }

    fn set(&mut self, at: Duration, state: String) {
        match self.0.last_mut() {
            Some((_, last)) if *last == state => {}
            Some((since, last)) if *since == at => *last = state,
            Some(_) | None => self.0.push((at, state)),
        }
    }

    fn intervals(&self, end: Duration) -> Vec<Interval> {
        let ends = self.0.iter().skip(1).map(|(at, _)| *at).chain([end]);
        let states = self.0.iter().zip(ends);
        states
            .map(|((from, state), until)| Interval {
                state: state.clone(),
                from: *from,
                until: until.max(*from),
            })
            .collect()
    }
}

/// The course of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// The numbers, in order of time; the last ones are those of the end.
    pub samples: Vec<Sample>,
    /// Probes, in order of time.
    pub probes: Vec<Probe>,
    /// Spreads of the backlog, one per close.
    pub spreads: Vec<Spread>,
    /// What happened from outside.
    pub remarks: Vec<Remark>,
    dependency: Lane,
    alarm: Lane,
    circuit: Lane,
    mapping: Lane,
    failed: u64,
    ended: u64,
}

impl Course {
    /// A course that begins with everything well and a mapping in this state.
    pub(crate) fn beginning(mapping: &str) -> Course {
        Course {
            samples: Vec::new(),
            probes: Vec::new(),
            spreads: Vec::new(),
            remarks: Vec::new(),
            dependency: Lane::beginning(Dependency::Healthy.label().as_str()),
            alarm: Lane::beginning("INSUFFICIENT_DATA"),
            circuit: Lane::beginning("closed"),
            mapping: Lane::beginning(mapping),
            failed: 0,
            ended: 0,
        }
    }

    /// When the run ended, since the start.
    pub fn end(&self) -> Duration {
        self.samples.last().map_or(Duration::ZERO, |sample| sample.at)
    }

    /// How the dependency behaved.
    pub fn dependency(&self) -> Vec<Interval> {
        self.dependency.intervals(self.end())
    }

    /// The alarm; where there are several, the one that changed last.
    pub fn alarm(&self) -> Vec<Interval> {
        self.alarm.intervals(self.end())
    }

    /// The circuit, as its item said.
    pub fn circuit(&self) -> Vec<Interval> {
        self.circuit.intervals(self.end())
    }

    /// The mapping, in the service's words; `Enabled, at most 2` while its concurrency is limited.
    pub fn mapping(&self) -> Vec<Interval> {
        self.mapping.intervals(self.end())
    }

    pub(crate) fn dependency_is(&mut self, at: Time, dependency: Dependency) {
        self.dependency.set(since_start(at), dependency.label());
    }

    pub(crate) fn alarm_is(&mut self, at: Time, state: &str) {
        self.alarm.set(since_start(at), state.to_owned());
    }

    pub(crate) fn mapping_is(&mut self, at: Time, state: &str, maximum_concurrency: Option<u32>) {
        let limit = maximum_concurrency.map_or(String::new(), |count| format!(", at most {count}"));
        self.mapping.set(since_start(at), format!("{state}{limit}"));
    }

    pub(crate) fn probed(&mut self, at: Time, verdict: &str, text: &str) {
        self.probes.push(Probe { at: since_start(at), verdict: verdict.to_owned(), text: text.to_owned() });
    }

    /// A call of the re-jitter was answered. A spread that takes several calls begins at the same time in all of them; each
    /// says how many messages it has come to so far, or, if the backlog is `shared`, how many it moved itself.
    pub(crate) fn spread(&mut self, at: Time, from: Time, until: Time, moved: u64, shared: bool) {
        let spread =
            Spread { at: since_start(at), from: since_start(from), until: since_start(until), moved };
        match self.spreads.last_mut() {
            Some(last) if last.from == spread.from => {
                let before = if shared { last.moved } else { 0 };
                *last = Spread { moved: before + moved, ..spread };
            }
            Some(_) | None => self.spreads.push(spread),
        }
    }

    pub(crate) fn remark(&mut self, at: Time, text: &str) {
        self.remarks.push(Remark { at: since_start(at), text: text.to_owned() });
    }

    pub(crate) fn observe(&mut self, at: Time, observation: &Observation<'_>) {
        match observation {
            Observation::Circuit(state) => self.circuit.set(since_start(at), (*state).to_owned()),
            Observation::Ended(Actor::Mapping) => self.ended += 1,
            Observation::ConsumerFailed(Actor::Mapping) => self.failed += 1,
            _ => {}
        }
    }

    /// Notes how the numbers stand: visible and hidden messages of the queue, and what was dead-lettered.
    pub(crate) fn sample(&mut self, at: Time, (visible, hidden): (u64, u64), dead_lettered: u64) {
        let (failed, succeeded) = (self.failed, self.ended - self.failed);
        let at = since_start(at);
        self.samples.push(Sample { at, visible, hidden, dead_lettered, failed, succeeded });
    }
}

fn since_start(at: Time) -> Duration {
    at.since(SIM_START)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Time {
        SIM_START + Duration::from_secs(count)
    }

    #[test]
    fn states_follow_each_other_without_gaps_and_without_repeats() {
        let mut course = Course::beginning("Enabled");
        course.mapping_is(seconds(10), "Disabling", None);
        course.mapping_is(seconds(10), "Disabled", None);
        course.mapping_is(seconds(20), "Disabled", None);
        course.mapping_is(seconds(30), "Enabled", Some(2));
        course.sample(seconds(60), (0, 0), 0);
        let told: Vec<_> = course
            .mapping()
            .into_iter()
            .map(|interval| (interval.state, interval.from.as_secs(), interval.until.as_secs()))
            .collect();
        let expected = [("Enabled", 0, 10), ("Disabled", 10, 30), ("Enabled, at most 2", 30, 60)]
            .map(|(state, from, until)| (state.to_owned(), from, until));
        assert_eq!(told, expected);
    }

    #[test]
    fn a_spread_of_several_calls_is_one() {
        let mut course = Course::beginning("Enabled");
        course.spread(seconds(10), seconds(20), seconds(80), 100, false);
        course.spread(seconds(12), seconds(20), seconds(80), 250, false);
        course.spread(seconds(500), seconds(510), seconds(520), 0, true);
        course.spread(seconds(501), seconds(510), seconds(520), 3, true);
        course.spread(seconds(502), seconds(510), seconds(520), 4, true);
        assert_eq!(course.spreads.iter().map(|spread| spread.moved).collect::<Vec<_>>(), [250, 7]);
    }
}

//! Whether `breaker status` would have told the truth at any moment of a drill: its answers beside the timeline, which is
//! written from what happened rather than from the circuit's item.

use std::time::Duration;

use drill::report::{Entry, Topic};
use drill::scenario::Scenario;
use drill::sim::Time;
use workflow::events::DOWNSTREAM_RECOVERED;
use workflow::status::{InCharge, Next, Status};

use super::Told;

/// A write takes a moment to be accepted, and the timeline tells it then.
const MOMENT: Duration = Duration::from_secs(3);
/// A probe that was answered is in the item when the next wait begins.
const WRITTEN: Duration = Duration::from_secs(20);
/// From the end of a wait until the circuit is half-open: retries of a write, and a last look at the loss clock.
const BEGUN: Duration = Duration::from_secs(70);

/// Every answer that was missing or wrong while the circuit was not closed.
pub fn wrong_answers(scenario: &Scenario, told: &Told) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, status) in told.statuses.iter().filter(|(_, status)| status.is_open()) {
        let sample = Sample { scenario, told, at: *at, status };
        let answers = [
            sample.why(),
            sample.since(),
            sample.last_probe(),
            sample.next(),
            sample.waiting(),
            sample.time_left(),
            sample.in_charge(),
        ];
        wrong.extend(answers.into_iter().flatten().map(|what| format!("{at}: {what}")));
    }
    wrong
}

struct Sample<'a> {
    scenario: &'a Scenario,
    told: &'a Told,
    at: Time,
    status: &'a Status,
}

impl Sample<'_> {
    /// The last entry before the sample that fits.
    fn before(&self, topic: Topic, fits: impl Fn(&str) -> bool) -> Option<&Entry> {
        let of_topic = |entry: &&Entry| entry.topic == topic && entry.at <= self.at && fits(&entry.text);
        self.told.entries.iter().rev().find(of_topic)
    }

    /// When the circuit was opened last.
    fn opened(&self) -> Option<&Entry> {
        self.before(Topic::Circuit, |text| text.starts_with("closed -> open"))
    }

    fn why(&self) -> Option<String> {
        let opened = self.opened()?.at;
        let started = |entry: &&Entry| {
            entry.topic == Topic::Workflow && entry.at <= opened && entry.text.contains(" started by ")
        };
        let by = self.told.entries.iter().rev().find(started)?.text.rsplit(' ').next()?;
        match &self.status.why {
            Some(why) if why.trigger == by && !why.reason.is_empty() => None,
            why => Some(format!("opened by {by}, but told {why:?}")),
        }
    }

    fn since(&self) -> Option<String> {
        let opened = self.opened()?.at;
        let told = self.status.since_ms.map(Time::from_ms);
        let fits = told.is_some_and(|told| told <= opened && opened.since(told) <= MOMENT);
        (!fits).then(|| format!("open since {opened}, but told {told:?}"))
    }

    fn last_probe(&self) -> Option<String> {
        let opened = self.opened()?.at;
        let probe = self.before(Topic::Probe, |_| true).filter(|entry| entry.at > opened);
        let limited = self.before(Topic::Event, |text| {
            text.contains("error=LimitedTrafficFailed") || text.contains("error=HealthCheckFailed")
        });
        let limited = limited.filter(|entry| entry.at > opened);
        let latest = probe.into_iter().chain(limited).max_by_key(|entry| entry.at);
        let told = self.status.last_probe.as_ref();
        let Some(latest) = latest else {
            return told.map(|told| format!("no probe yet, but told {told:?}"));
        };
        // What was answered and lost on the way, nobody knows of.
        if !self.scenario.faults.rates_ppm.is_empty() {
            return None;
        }
        // While one is under way, or has just ended, the item says what the one before said.
        if !matches!(self.status.next, Next::Probe { .. }) || self.at.since(latest.at) < WRITTEN {
            return None;
        }
        let fits = told.is_some_and(|told| {
            let at = Time::from_ms(told.at_ms);
            let apart = if at > latest.at { at.since(latest.at) } else { latest.at.since(at) };
            let verdict = latest.text.starts_with(told.verdict.as_str())
                || (latest.topic == Topic::Event && told.verdict == "unhealthy");
            let error = told.error.as_deref().is_none_or(|error| latest.text.contains(error));
            let named = told.verdict != "unhealthy" || told.error.is_some();
            apart <= self.longest_probe() + WRITTEN && verdict && error && named
        });
        (!fits).then(|| format!("the last probe at {}: {}, but told {told:?}", latest.at, latest.text))
    }

    /// A probe is told when it has answered, and its time is that of its beginning.
    fn longest_probe(&self) -> Duration {
        let circuit = &self.scenario.circuit;
        Duration::from_secs(u64::from(circuit.probe.long_poll_s + circuit.probe_deadline_s()))
    }

    fn next(&self) -> Option<String> {
        let circuit = |entry: &&Entry| entry.topic == Topic::Circuit && entry.at > self.at;
        let coming = self.told.entries.iter().find(circuit)?;
        match self.status.next {
            Next::Probe { at_ms } => {
                // A command, a recovery signal, a death of the owner and somebody's switch end a wait otherwise.
                let disturbs = |entry: &Entry| {
                    entry.topic == Topic::Drill
                        || (entry.topic == Topic::Event && entry.text.starts_with(DOWNSTREAM_RECOVERED))
                };
                let meanwhile = |entry: &&Entry| entry.at >= self.at && entry.at <= coming.at;
                let disturbed = self.told.entries.iter().filter(meanwhile).any(disturbs);
                let at = Time::from_ms(at_ms);
                let fits =
                    coming.text.contains("-> half_open") && at <= coming.at && coming.at.since(at) <= BEGUN;
                (!fits && !disturbed && self.status.warnings.is_empty())
                    .then(|| format!("a probe at {at}, but at {} came {}", coming.at, coming.text))
            }
            Next::Nothing => Some("nothing is to come of an open circuit".to_owned()),
            Next::Release { at_ms } => (at_ms <= self.status.since_ms.unwrap_or_default())
                .then(|| "a hold that ended before it began".to_owned()),
            Next::Opening | Next::Probing | Next::LimitedTraffic | Next::Restoring | Next::GivenUp => None,
        }
    }

    fn waiting(&self) -> Option<String> {
        match self.status.waiting {
            Some(waiting) if waiting.all() <= self.told.report.sent + self.told.report.copies_made => None,
            waiting => Some(format!("more waits than was sent: {waiting:?}")),
        }
    }

    fn time_left(&self) -> Option<String> {
        // It is read right after the mapping is disabled.
        let opened = self.opened()?.at;
        if self.at.since(opened) < WRITTEN || self.status.next == Next::Opening {
            return None;
        }
        let retention = &self.scenario.circuit.retention.raise_to_s;
        let longest_s =
            u64::from(retention.unwrap_or_default().max(self.scenario.circuit.example.retention_s));
        let fits = self.status.expires_at_ms.is_some_and(|at_ms| {
            let begun_ms = drill::sim::SIM_START.as_ms();
            at_ms > begun_ms && at_ms <= self.at.as_ms() + longest_s * 1_000
        });
        (!fits).then(|| format!("the first message expires at {:?}", self.status.expires_at_ms))
    }

    fn in_charge(&self) -> Option<String> {
        let (arn, alive) = match &self.status.in_charge {
            InCharge::Nobody => return Some("nobody is in charge of an open circuit".to_owned()),
            InCharge::Execution { arn } | InCharge::Operator { arn, .. } => (arn, true),
            InCharge::EndedExecution { arn } => (arn, false),
        };
        let name = arn.rsplit(':').next().unwrap_or(arn);
        let own = |text: &str| text.split(' ').next() == Some(name);
        let ended = self.before(Topic::Workflow, |text| own(text) && !text.contains(" started by "));
        let started = self.before(Topic::Workflow, |text| own(text) && text.contains(" started by "));
        let held = self.before(Topic::Circuit, |_| true).is_some_and(|entry| entry.text.contains("-> held"));
        let says_held = matches!(self.status.in_charge, InCharge::Operator { .. });
        let fits = started.is_some() && ended.is_none() == alive && (!says_held || held);
        (!fits).then(|| format!("{:?}, of whom the timeline says {ended:?}", self.status.in_charge))
    }
}

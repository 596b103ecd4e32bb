//! The circuit of the guards as pure functions: what an item says of a call, and which record follows which event. Time,
//! chance and what was read come as arguments; who calls this reads, writes and tries again.
//!
//! # One item, two writers
//!
//! The item is the one that the workflow of the queue's breaker claims (`workflow::definition`, states `ClaimCircuit` and
//! `TakeOverCircuit`). It stays the workflow's: guards write attributes of their own, whose names begin with `guard_`, and
//! never one of [`workflow::circuit::item`]. A circuit is open for a guard if **either** part says so.
//!
//! Why so, and not by writing `circuit_state`:
//!
//! - `ClaimCircuit` demands that `circuit_state` is absent or closed, `TakeOverCircuit` that the owner is an execution that
//!   has ended. A guard that wrote `open` there would keep the workflow from claiming, as there would be no execution to ask
//!   for. As it is, a trip of the guards never keeps the queue's breaker from anything.
//! - `epoch` fences what an execution does *after* its close as well: the repeat of `MarkClosed` whose answer was lost, the
//!   reset of the alarm, the redrive, and for up to 14 days the queue's retention. A guard that raised it would end that
//!   execution as superseded. So the guards' transitions raise `guard_epoch`.
//! - Each write of a guard is conditional on `guard_revision`, `epoch` and `circuit_state` as it has read them. Each claim
//!   raises `epoch`; so of a claim and a write of a guard that meet, the claim wins and the write is refused.
//! - `guard_outage_ms` holds the workflow's `opened_at_ms` at the time of the write, and only a claim changes that. If the
//!   two differ, an execution has claimed the circuit since, and whatever the guards' part says is void ([`effective`]).
//!   So a close by the workflow closes for all, without having to know of guards.
//! - While an execution owns the circuit (`circuit_state` is open, half-open or held), every function here that makes a
//!   transition answers that there is nothing to write.
//! - The item has no time to live, as DynamoDB would then delete what the workflow has recorded of its mappings. Only the
//!   kept answers, which are items of their own, have one.
//!
//! An isolation is a person's order and no state: it may be set and lifted at any time, and outlives a close.

use workflow::circuit::CircuitState;

use crate::record::{GuardState, Isolation, Item, Lease, Record};
use crate::settings::{MAX_SAMPLE_TIMEOUT, Settings, ms};
use crate::window::{self, Cause, Report};

/// Why a call may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OpenCause {
    /// The guards have opened the circuit.
    Tripped,
    /// It is half-open, and all samples are in flight.
    Sampling,
    /// An execution of the workflow owns the circuit.
    Workflow,
    /// Somebody has isolated the dependency.
    Isolated,
}

/// What an item says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Pass,
    /// It is refused.
    Refuse {
        /// Why.
        cause: OpenCause,
        /// When trying again may help, milliseconds since the Unix epoch; `None` if nobody knows.
        until_ms: Option<u64>,
    },
    /// It passes as a sample, if a lease can be taken.
    Sample,
}

/// How a call went, as the circuit sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The dependency has answered.
    Success,
    /// It has not, or not in time.
    Failure,
}

/// The guards' record as it holds under the workflow's part: void if an execution has claimed the circuit since it was
/// written. What outlasts that are the revision and an isolation; the epoch is the next one, as this is a transition.
pub fn effective(item: &Item) -> Record {
    let record = &item.record;
    if record.outage_ms == item.workflow.opened_at_ms {
        return record.clone();
    }
    Record {
        revision: record.revision,
        writer: record.writer,
        epoch: record.epoch.saturating_add(1),
        outage_ms: item.workflow.opened_at_ms,
        isolation: record.isolation.clone(),
        ..Record::default()
    }
}

/// Whether an execution of the workflow owns the circuit.
pub fn is_owned(item: &Item) -> bool {
    match item.workflow.state {
        CircuitState::Closed => false,
        CircuitState::Open | CircuitState::HalfOpen | CircuitState::Held => true,
    }
}

/// What `item` says of a call at `now_ms`.
pub fn verdict(item: &Item, now_ms: u64, settings: &Settings) -> Verdict {
    if item.record.isolation.is_some() {
        return Verdict::Refuse { cause: OpenCause::Isolated, until_ms: None };
    }
    if is_owned(item) {
        return Verdict::Refuse { cause: OpenCause::Workflow, until_ms: item.workflow.wait_until_ms };
    }
    if item.record.outage_ms != item.workflow.opened_at_ms {
        return Verdict::Pass;
    }
    match &item.record.state {
        GuardState::Closed => Verdict::Pass,
        GuardState::Open { until_ms } if is_ahead(*until_ms, now_ms, settings) => {
            Verdict::Refuse { cause: OpenCause::Tripped, until_ms: Some(*until_ms) }
        }
        GuardState::Open { .. } => Verdict::Sample,
        GuardState::HalfOpen { leases, .. } => {
            let live = leases.iter().filter(|lease| is_live(lease, now_ms, settings));
            let until_ms = live.clone().map(|lease| lease.until_ms).min();
            if live.count() < settings.sample_count as usize {
                Verdict::Sample
            } else {
                Verdict::Refuse { cause: OpenCause::Sampling, until_ms }
            }
        }
    }
}

/// Whether the end of an opening is still to come. One that is further ahead than any opening is long was written by a clock
/// that is wrong, and counts as past.
fn is_ahead(until_ms: u64, now_ms: u64, settings: &Settings) -> bool {
    let longest_ms = ms(settings.open_cap).saturating_add(ms(settings.clock_skew));
    now_ms < until_ms && until_ms - now_ms <= longest_ms
}

/// Whether the lease may still be in use, by any clock. One that is further ahead than any sample may take was written by a
/// clock that is wrong.
fn is_live(lease: &Lease, now_ms: u64, settings: &Settings) -> bool {
    now_ms <= lease.until_ms.saturating_add(ms(settings.clock_skew))
        && lease.until_ms <= now_ms.saturating_add(ms(MAX_SAMPLE_TIMEOUT) + ms(settings.clock_skew))
}

/// The record in which a lease with this id is taken, if [`verdict`] is [`Verdict::Sample`].
pub fn take_lease(item: &Item, id: u64, now_ms: u64, settings: &Settings) -> Option<Record> {
    if verdict(item, now_ms, settings) != Verdict::Sample {
        return None;
    }
    let mut record = effective(item);
    let (success_count, mut leases) = match record.state {
        GuardState::Closed => return None,
        GuardState::Open { .. } => {
            record.epoch = record.epoch.saturating_add(1);
            (0, Vec::new())
        }
        GuardState::HalfOpen { success_count, leases } => (success_count, leases),
    };
    leases.retain(|lease| is_live(lease, now_ms, settings));
    leases.push(Lease { id, until_ms: now_ms.saturating_add(ms(settings.sample_timeout)) });
    record.state = GuardState::HalfOpen { success_count, leases };
    Some(record)
}

/// The record after the sample with this lease has ended. `None` if the lease is not there any more: the circuit has moved
/// on, and the result is too late to mean anything. `chance` is in 0 to 1, 1 excluded.
pub fn end_sample(
    item: &Item,
    lease_id: u64,
    outcome: Outcome,
    now_ms: u64,
    chance: f64,
    settings: &Settings,
) -> Option<Record> {
    if is_owned(item) {
        return None;
    }
    let mut record = effective(item);
    let GuardState::HalfOpen { success_count, mut leases } = record.state.clone() else {
        return None;
    };
    let at = leases.iter().position(|lease| lease.id == lease_id)?;
    leases.remove(at);
    match outcome {
        Outcome::Failure => {
            record.reason = "a sample call failed".to_owned();
            open(&mut record, now_ms, chance, settings);
        }
        Outcome::Success if success_count + 1 >= settings.success_count => {
            record.epoch = record.epoch.saturating_add(1);
            record.round_count = 0;
            record.state = GuardState::Closed;
            forget_counts(&mut record);
        }
        Outcome::Success => record.state = GuardState::HalfOpen { success_count: success_count + 1, leases },
    }
    Some(record)
}

/// Whether the counts in the store are worth adding to: an instance that has nothing bad to say then says how many calls
/// went well.
pub fn is_alarming(record: &Record, now_ms: u64, settings: &Settings) -> bool {
    window::is_alarming(window::sum(&record.window, now_ms, settings), record.run_count, settings)
}

/// The record with `report` counted, and the cause if that trips it. `None` if the circuit is not closed, so that there is
/// nothing to count, or if there is nothing to say. `gather` is false for a circuit of one instance alone.
pub fn count(
    item: &Item,
    report: &Report,
    gather: bool,
    now_ms: u64,
    chance: f64,
    settings: &Settings,
) -> Option<(Record, Option<Cause>)> {
    if verdict(item, now_ms, settings) != Verdict::Pass {
        return None;
    }
    if report.buckets.is_empty() {
        return None;
    }
    let mut record = effective(item);
    record.window = window::merge(&record.window, &[], now_ms, settings);
    if record.window.is_empty() {
        // What was said last is out of date, and nobody has said since how calls went.
        forget_counts(&mut record);
    }
    let was_alarming = is_alarming(&record, now_ms, settings);
    record.window = window::merge(&record.window, &report.buckets, now_ms, settings);
    let earlier = if report.run_is_new { 0 } else { record.run_count };
    record.run_count = earlier.saturating_add(report.run_count);
    record.alarming_since_ms = is_alarming(&record, now_ms, settings)
        .then(|| record.alarming_since_ms.filter(|_| was_alarming).unwrap_or(now_ms));
    let gathered = match record.alarming_since_ms {
        // By the difference: a clock that is behind must not wait for ever.
        Some(since_ms) => !gather || now_ms.abs_diff(since_ms) >= ms(settings.gather_for),
        None => false,
    };
    let counts = window::sum(&record.window, now_ms, settings);
    let cause = window::cause(counts, record.run_count, settings).filter(|_| gathered);
    if let Some(cause) = cause {
        record.reason = reason(cause, settings);
        open(&mut record, now_ms, chance, settings);
    }
    Some((record, cause))
}

/// The record with or without an isolation; `None` if it is so already.
pub fn isolate(item: &Item, isolation: Option<Isolation>) -> Option<Record> {
    let mut record = item.record.clone();
    if record.isolation.is_some() == isolation.is_some() {
        return None;
    }
    record.isolation = isolation;
    Some(record)
}

/// What an instance goes on with alone when the store cannot be reached any more. What the guards and a person have said
/// holds; that the workflow owns the circuit cannot be asked any more, so it counts as a trip of the guards at `now_ms`.
pub fn alone(item: &Item, now_ms: u64, chance: f64, settings: &Settings) -> Item {
    let mut record = effective(item);
    if is_owned(item) {
        record.reason = "the workflow had opened the circuit when the store was reached last".to_owned();
        open(&mut record, now_ms, chance, settings);
    }
    record.outage_ms = 0;
    if let GuardState::HalfOpen { leases, .. } = &mut record.state {
        // The samples of others are not this instance's business any more.
        leases.clear();
    }
    Item { record, ..Item::default() }
}

fn open(record: &mut Record, now_ms: u64, chance: f64, settings: &Settings) {
    record.epoch = record.epoch.saturating_add(1);
    record.round_count = record.round_count.saturating_add(1);
    let until_ms = now_ms.saturating_add(open_for_ms(record.round_count, chance, settings));
    record.state = GuardState::Open { until_ms };
    forget_counts(record);
}

fn forget_counts(record: &mut Record) {
    record.window.clear();
    record.run_count = 0;
    record.alarming_since_ms = None;
}

/// Length of the opening with this number, counted from 1, milliseconds.
fn open_for_ms(round: u32, chance: f64, settings: &Settings) -> u64 {
    let cap = settings.open_cap.as_secs_f64();
    let mut length = settings.open_for.as_secs_f64().min(cap);
    for _ in 1..round {
        if length >= cap || settings.growth <= 1.0 {
            break;
        }
        length = (length * settings.growth).min(cap);
    }
    let jitter = f64::from(settings.jitter_percent) / 100.0 * chance;
    // The ranges of the settings keep this far below what a u64 holds.
    (length * (1.0 - jitter) * 1_000.0) as u64
}

fn reason(cause: Cause, settings: &Settings) -> String {
    let window_s = settings.window.as_secs();
    match cause {
        Cause::FailureRate(counts) => {
            format!("{} of {} calls failed within {window_s} s", counts.failure_count, counts.call_count)
        }
        Cause::ConsecutiveFailures(run_count) => format!("{run_count} calls in a row failed"),
        Cause::SlowRate(counts) => format!(
            "{} of {} calls took {} ms or longer within {window_s} s",
            counts.slow_count,
            counts.call_count,
            ms(settings.slow_call)
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn openings_grow_up_to_the_cap_and_chance_only_shortens_them() {
        let settings = Settings {
            open_for: Duration::from_secs(10),
            growth: 3.0,
            open_cap: Duration::from_secs(60),
            jitter_percent: 50,
            ..Settings::default()
        };
        let lengths = [1, 2, 3, u32::MAX].map(|round| open_for_ms(round, 0.0, &settings));
        assert_eq!(lengths, [10_000, 30_000, 60_000, 60_000]);
        assert_eq!(open_for_ms(1, 0.5, &settings), 7_500);
    }
}

//! Settings for a user's own traffic: the model is run with many of them, and what they come to is compared.

mod candidates;
mod traffic;
mod trial;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use serde::Serialize;
use workflow::config::CircuitConfig;

pub use self::candidates::{Candidate, Setting, Value};
pub use self::traffic::{MAX_INTERVALS, Profile, ProfileError};
use self::trial::Trial;
use crate::run::RunError;

/// A recommendation has to be better than the present settings by so much; less is chance.
const LEAST_GAIN: f64 = 0.05;

/// What to tune for.
#[derive(Clone, Debug)]
pub struct Aim {
    /// The circuit, with its present settings.
    pub circuit: CircuitConfig,
    /// The traffic.
    pub profile: Profile,
    /// Lengths of the outages; at least one.
    pub outages: Vec<Duration>,
    /// Share of the invocations that fail without an outage, 0 to 100 percent.
    pub base_error_percent: f64,
    /// Runs of each outage, with other chance.
    pub seeds: u64,
    /// Runs side by side.
    pub threads: NonZeroUsize,
}

/// What some settings come to: means over the outages, and what happened without any.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measure {
    /// Seconds from the first failure to the open circuit; an outage that was missed counts with its whole length.
    pub detect_s: f64,
    /// Seconds from the dependency's recovery to the first delivery.
    pub recover_s: f64,
    /// Invocations that failed, per incident.
    pub wasted_invocations: f64,
    /// US dollars per incident.
    pub cost_usd: f64,
    /// Trips per day without an outage.
    pub false_trips_per_day: f64,
    /// Outages without a trip.
    pub missed_outages: u64,
    /// Messages that were dead-lettered, in all runs.
    pub dead_lettered: u64,
    /// Promises that were broken, in all runs.
    pub broken_promises: u64,
    /// The four numbers above as shares of those of the present settings, on average: 1 is as now, 0.5 half as much.
    pub score: f64,
}

/// Settings with what they come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The settings.
    pub candidate: Candidate,
    /// What they come to.
    pub measure: Measure,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The present settings.
    pub present: Line,
    /// The best; the present ones if nothing is better.
    pub recommended: Line,
    /// Everything that was tried on all outages, the best first.
    pub lines: Vec<Line>,
    /// Settings that were tried.
    pub tried_count: usize,
    /// Settings that the circuit may not have, because its configuration would be refused.
    pub refused_count: usize,
}

/// Tries settings: alarms first, on the shortest outage and on healthy traffic; then, with the best of them, how to probe, on
/// every outage. `progress` is told how many settings are done, of how many.
///
/// # Errors
/// [`RunError`] when the circuit cannot be modelled.
pub fn tune(aim: &Aim, mut progress: impl FnMut(usize, usize)) -> Result<Outcome, RunError> {
    let present = Candidate::of(&aim.circuit);
    let shortest = aim.outages.iter().min().copied().unwrap_or(Duration::from_secs(1_200));
    let short = Trial::outages(&aim.profile, shortest, aim.seeds);
    let healthy = Trial::healthy(&aim.profile, aim.base_error_percent);
    let every: Vec<Trial> =
        aim.outages.iter().flat_map(|length| Trial::outages(&aim.profile, *length, aim.seeds)).collect();

    let alarms = present.alarms();
    let all = alarms.len() + present.recoveries().len() + 1;
    let (alarms, refused) = allowed(alarms, &aim.circuit);
    let trials: Vec<&Trial> = short.iter().chain(&healthy).collect();
    let first = measured(aim, &alarms, &trials, |done| progress(done + refused, all))?;
    let best = best_of(&first, &first[0]);
    let false_trips = (first[0].measure.false_trips_per_day, best.measure.false_trips_per_day);

    let (mut recoveries, more_refused) = allowed(best.candidate.recoveries(), &aim.circuit);
    // What is compared has to have been through the same.
    recoveries.retain(|candidate| *candidate != present);
    recoveries.insert(0, present.clone());
    let tried = first.len() + recoveries.len();
    let done_before = first.len() + refused + more_refused;
    let trials: Vec<&Trial> = every.iter().collect();
    let mut lines = measured(aim, &recoveries, &trials, |done| progress((done_before + done).min(all), all))?;
    for line in &mut lines {
        let is_present = line.candidate.alarm == present.alarm;
        line.measure.false_trips_per_day = if is_present { false_trips.0 } else { false_trips.1 };
    }
    let present = lines[0].clone();
    let best = best_of(&lines, &present);
    let recommended = if best.measure.score <= 1.0 - LEAST_GAIN { best } else { present.clone() };
    lines.sort_by(|one, other| one.measure.score.total_cmp(&other.measure.score));
    Ok(Outcome { present, recommended, lines, tried_count: tried, refused_count: refused + more_refused })
}

/// The candidates that the circuit may have, the present one always among them, and how many it may not.
fn allowed(candidates: Vec<Candidate>, circuit: &CircuitConfig) -> (Vec<Candidate>, usize) {
    let all = candidates.len();
    let allowed: Vec<Candidate> =
        candidates.into_iter().filter(|candidate| candidate.is_allowed(circuit)).collect();
    let refused = all - allowed.len();
    (allowed, refused)
}

/// The line with the lowest score of those that do no more harm than the present settings.
fn best_of(lines: &[Line], present: &Line) -> Line {
    let harmless = |line: &&Line| {
        let (own, now) = (&line.measure, &present.measure);
        own.false_trips_per_day <= now.false_trips_per_day
            && own.missed_outages <= now.missed_outages
            && own.dead_lettered <= now.dead_lettered
            && own.broken_promises <= now.broken_promises
    };
    let best =
        lines.iter().filter(harmless).min_by(|one, other| one.measure.score.total_cmp(&other.measure.score));
    best.unwrap_or(present).clone()
}

/// Runs the trials with each candidate; the first one is what the scores are shares of.
fn measured(
    aim: &Aim,
    candidates: &[Candidate],
    trials: &[&Trial],
    progress: impl FnMut(usize),
) -> Result<Vec<Line>, RunError> {
    let work = |candidate: &Candidate| measure(candidate, trials, &aim.circuit);
    let measures = side_by_side(candidates, aim.threads, work, progress);
    let mut measures = measures.into_iter().collect::<Result<Vec<Measure>, RunError>>()?;
    if let Some(first) = measures.first().copied() {
        measures.iter_mut().for_each(|measure| measure.score = score(measure, &first));
    }
    let lines = candidates.iter().cloned().zip(measures);
    Ok(lines.map(|(candidate, measure)| Line { candidate, measure }).collect())
}

fn measure(candidate: &Candidate, trials: &[&Trial], circuit: &CircuitConfig) -> Result<Measure, RunError> {
    let circuit = candidate.applied_to(circuit);
    let (mut incidents, mut quiet_s, mut false_trips) = (0.0, 0.0, 0.0);
    let mut sum = Measure {
        detect_s: 0.0,
        recover_s: 0.0,
        wasted_invocations: 0.0,
        cost_usd: 0.0,
        false_trips_per_day: 0.0,
        missed_outages: 0,
        dead_lettered: 0,
        broken_promises: 0,
        score: 1.0,
    };
    for trial in trials {
        let result = trial.run(&circuit)?;
        sum.broken_promises += result.broken;
        if !trial.has_outage() {
            quiet_s += result.length.as_secs_f64();
            false_trips += result.trips as f64;
            continue;
        }
        incidents += 1.0;
        sum.detect_s += result.detect_s;
        sum.recover_s += result.recover_s;
        sum.wasted_invocations += result.wasted;
        sum.cost_usd += result.cost_usd;
        sum.missed_outages += u64::from(result.missed);
        sum.dead_lettered += result.dead_lettered;
    }
    let per_incident = |sum: f64| if incidents > 0.0 { sum / incidents } else { 0.0 };
    Ok(Measure {
        detect_s: per_incident(sum.detect_s),
        recover_s: per_incident(sum.recover_s),
        wasted_invocations: per_incident(sum.wasted_invocations),
        cost_usd: per_incident(sum.cost_usd),
        false_trips_per_day: if quiet_s > 0.0 { false_trips * 86_400.0 / quiet_s } else { 0.0 },
        ..sum
    })
}

fn score(own: &Measure, now: &Measure) -> f64 {
    let share = |own: f64, now: f64| if now > 0.0 { own / now } else { 1.0 };
    let shares = [
        share(own.detect_s, now.detect_s),
        share(own.recover_s, now.recover_s),
        share(own.wasted_invocations, now.wasted_invocations),
        share(own.cost_usd, now.cost_usd),
    ];
    shares.iter().sum::<f64>() / shares.len() as f64
}

/// Does the work on several threads. The results come in the order of the items, whichever thread was faster.
fn side_by_side<T: Sync, R: Send>(
    items: &[T],
    threads: NonZeroUsize,
    work: impl Fn(&T) -> R + Sync,
    mut progress: impl FnMut(usize),
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        for _ in 0..threads.get().min(items.len()) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    if sender.send((at, work(item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut results = Vec::new();
        for result in receiver {
            results.push(result);
            progress(results.len());
        }
        results
    });
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

//! One run of the model with some settings: an outage in the user's traffic, or a stretch in which nothing is amiss.

use std::time::Duration;

use workflow::config::{AlarmSignal, CircuitConfig, ExampleConfig, code};

use super::traffic::Profile;
use crate::cloud::Knobs;
use crate::course::Course;
use crate::faults::FaultPlan;
use crate::report::{Entry, Observer};
use crate::run::{Options, RunError, run};
use crate::scenario::{Dependency, Ending, Scenario, Traffic};
use crate::sim::Time;
use crate::usage::Usage;

/// From the start of a run to the outage.
const LEAD: Duration = Duration::from_secs(300);
/// From the end of the outage to the end of the traffic.
const TAIL: Duration = Duration::from_secs(900);
/// By how much the outage of each seed begins later than that of the one before: alarms know whole minutes only.
const SHIFT: Duration = Duration::from_secs(17);
/// How much longer a run may take until the queue is empty.
const SETTLE_LIMIT: Duration = Duration::from_secs(3_600);
/// Longest stretch without an outage.
const HEALTHY: Duration = Duration::from_secs(6 * 3_600);
/// Most messages of a run. Of busier traffic every so manieth message is sent in an outage; a stretch without one is shorter.
const MAX_MESSAGES: f64 = 10_000.0;
/// Traffic is not thinned below so many messages per second.
const MIN_RATE_PER_S: f64 = 2.0;

/// What a run is about.
#[derive(Clone, Debug)]
pub struct Trial {
    traffic: Vec<Traffic>,
    length: Duration,
    seed: u64,
    /// Of the user's messages, the share that is sent: 1 for all.
    share: f64,
    happens: Happens,
}

#[derive(Clone, Copy, Debug)]
enum Happens {
    /// The dependency is down.
    Outage { from: Duration, length: Duration },
    /// The dependency refuses no more than it always does, in percent of the invocations.
    Nothing { base_error_percent: f64 },
}

/// What a run came to.
#[derive(Clone, Copy, Debug)]
pub struct Ran {
    /// Seconds of the outage until the circuit was open; the outage's whole length if it never was.
    pub detect_s: f64,
    /// Seconds from the recovery to the first delivery.
    pub recover_s: f64,
    /// Invocations that failed, as many as with all of the user's messages.
    pub wasted: f64,
    /// US dollars.
    pub cost_usd: f64,
    /// Whether the outage passed without a trip.
    pub missed: bool,
    /// Trips.
    pub trips: u64,
    /// Messages that were dead-lettered.
    pub dead_lettered: u64,
    /// Promises that were broken.
    pub broken: u64,
    /// Length of the traffic.
    pub length: Duration,
}

impl Trial {
    /// Outages of this length where the traffic is busiest and where it is quietest, one per seed.
    pub fn outages(profile: &Profile, length: Duration, seeds: u64) -> Vec<Trial> {
        let whole = LEAD + length + TAIL + SHIFT * u32::try_from(seeds).unwrap_or(u32::MAX);
        let (busiest, quietest) = profile.busiest_and_quietest(whole);
        let places = if busiest == quietest { vec![busiest] } else { vec![busiest, quietest] };
        let at = |place: usize, seed: u64| {
            let from = LEAD + SHIFT * u32::try_from(seed).unwrap_or(u32::MAX);
            let messages = profile.messages(place, whole);
            let least = (MIN_RATE_PER_S * whole.as_secs_f64()).max(MAX_MESSAGES);
            let share = (least / messages).min(1.0);
            let happens = Happens::Outage { from, length };
            Trial {
                traffic: profile.traffic(place, whole, share),
                length: whole,
                seed: seed + 1,
                share,
                happens,
            }
        };
        places.into_iter().flat_map(|place| (0..seeds).map(move |seed| at(place, seed))).collect()
    }

    /// Stretches without an outage where the traffic is busiest and where it is quietest.
    pub fn healthy(profile: &Profile, base_error_percent: f64) -> Vec<Trial> {
        let (busiest, quietest) = profile.busiest_and_quietest(HEALTHY);
        let places = if busiest == quietest { vec![busiest] } else { vec![busiest, quietest] };
        let at = |place: usize| {
            let part = (MAX_MESSAGES * 2.0 / profile.messages(place, HEALTHY).max(1.0)).min(1.0);
            let length = Duration::from_secs((HEALTHY.as_secs_f64() * part).max(600.0) as u64);
            let traffic = profile.traffic(place, length, 1.0);
            Trial { traffic, length, seed: 1, share: 1.0, happens: Happens::Nothing { base_error_percent } }
        };
        places.into_iter().map(at).collect()
    }

    /// Whether there is an outage in it.
    pub fn has_outage(&self) -> bool {
        matches!(self.happens, Happens::Outage { .. })
    }

    /// Runs it with a circuit.
    ///
    /// # Errors
    /// As [`run`].
    pub fn run(&self, circuit: &CircuitConfig) -> Result<Ran, RunError> {
        let mut watcher = Watcher::default();
        let options = Options { baseline: false, ..Options::seeded(self.seed) };
        let report = run(&self.scenario(circuit), options, &mut watcher)?;
        let (missed, limit_s) = match self.happens {
            Happens::Outage { length, .. } => (report.detect_s.is_none(), length.as_secs_f64()),
            Happens::Nothing { .. } => (false, 0.0),
        };
        Ok(Ran {
            detect_s: report.detect_s.unwrap_or(limit_s),
            // Whoever has no delivery for the rest of the run waits at least as long.
            recover_s: report.recover_s.unwrap_or((TAIL + SETTLE_LIMIT).as_secs_f64()),
            wasted: report.wasted_invocations as f64 / self.share,
            cost_usd: watcher.usage.cost_usd(),
            missed,
            trips: report.trips,
            dead_lettered: report.dead_lettered,
            broken: report.promises.iter().filter(|promise| !promise.held).count() as u64,
            length: self.length,
        })
    }

    fn scenario(&self, circuit: &CircuitConfig) -> Scenario {
        let dependency = match self.happens {
            Happens::Outage { from, length } => {
                vec![(from, Dependency::Failing), (from + length, Dependency::Healthy)]
            }
            Happens::Nothing { base_error_percent } => {
                vec![(Duration::ZERO, Dependency::Flaky(base_error_percent))]
            }
        };
        Scenario {
            name: "tune",
            summary: "settings that are tried",
            circuit: modelled(circuit),
            own_alarms: Vec::new(),
            neighbour: false,
            traffic: self.traffic.clone(),
            dependency,
            actions: Vec::new(),
            knobs: Knobs::default(),
            faults: FaultPlan::default(),
            length: self.length,
            settle_limit: SETTLE_LIMIT,
            ending: Ending {
                circuit: Ending::ANY_STATE,
                mapping: Ending::AS_ITS_OWNER_WANTS,
                drained: true,
                trips: 0..=u64::MAX,
                dead_lettered: 0..=u64::MAX,
            },
        }
    }
}

/// The circuit on the example's queue and consumer, with what is known of the user's own. An alarm that exists already is
/// taken for one on the mapping's events with the periods that are configured for it.
fn modelled(circuit: &CircuitConfig) -> CircuitConfig {
    let facts = circuit.facts();
    let own = circuit.example.clone();
    let mut modelled = CircuitConfig {
        consumer: None,
        example: ExampleConfig {
            fifo: facts.fifo,
            report_batch_item_failures: facts.report_batch_item_failures,
            function_timeout_s: facts.function_timeout_s,
            visibility_timeout_s: facts.visibility_timeout_s,
            max_receive_count: facts.max_receive_count.unwrap_or(1_000),
            retention_s: facts.retention_s.unwrap_or(own.retention_s),
            ..own
        },
        // What is unsafe is not made safe by refusing to look at it.
        accept: code::ACCEPTABLE.map(str::to_owned).to_vec(),
        ..circuit.clone()
    };
    modelled.probe.health_check_function_arn = None;
    if modelled.alarm.signal == AlarmSignal::Existing {
        modelled.alarm.signal = AlarmSignal::MappingEvents;
        modelled.alarm.existing_alarm_arn = None;
        modelled.alarm.existing_alarm_is_composite = false;
    }
    modelled
}

#[derive(Default)]
struct Watcher {
    usage: Usage,
}

impl Observer for Watcher {
    fn entry(&mut self, _entry: &Entry) {}

    fn progress(&mut self, _start: Time, _now: Time, _end: Time) {}

    fn charted(&mut self, _course: &Course, usage: &Usage) {
        self.usage = *usage;
    }
}

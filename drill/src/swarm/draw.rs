//! What a seed draws: configuration, traffic, the dependency's course, people who interfere, and faults.

use std::time::Duration;

use rand::RngExt as _;
use workflow::backoff::{Backoff, Jitter};
use workflow::config::{
    AlarmConfig, AlarmSignal, BreakerConfig, CircuitConfig, CloseConfig, ExampleConfig, ExhaustedConfig,
    ExhaustedThen, FaultConfig, FaultThen, OpenConfig, ProbeConfig, RampConfig, RejitterConfig,
};
use workflow::contract::RejitterStrategy;

use crate::checkers::Bounds;
use crate::cloud::Knobs;
use crate::faults::{FaultKind, FaultPlan, MILLION};
use crate::run::CIRCUIT;
use crate::scenario::{Action, Dependency, Ending, MessageKind, Scenario, Traffic};
use crate::sim::{Sim, SimRng};

/// How often a configuration is drawn until one is found that nothing can be said against.
const MAX_CONFIG_DRAWS: u32 = 200;
/// Longest time for which the breaker, or SQS, holds a message: a visibility timeout's 12 hours.
const LONGEST_HOLD: Duration = Duration::from_secs(43_200);
/// Traffic goes on for so long after faults have ended.
const TRAFFIC_AFTER: Duration = Duration::from_secs(300);
/// By how much a late delivery stays within the configured grace: clocks may differ by twice the largest skew.
const GRACE_MARGIN_S: u32 = 10;

/// The scenario of a seed.
pub fn scenario(seed: u64) -> Scenario {
    let mut rng = Sim::new(seed).rng("swarm");
    let mut circuit = CircuitConfig::default();
    for _ in 0..MAX_CONFIG_DRAWS {
        circuit = draw_circuit(&mut rng);
        if BreakerConfig::single(CIRCUIT, circuit.clone()).validate().is_usable() {
            break;
        }
        circuit = CircuitConfig::default();
    }
    let knobs = draw_knobs(&mut rng, &circuit);
    let faults_end = seconds(rng.random_range(1_200..=3_600));
    let faults = draw_faults(&mut rng, faults_end);
    let bounds = Bounds::new(&circuit, &knobs);
    let traffic = draw_traffic(&mut rng, faults_end);
    // A message that no consumer can process, and that is alone in the queue, cannot be told from an outage: the circuit
    // may stay open until other messages come. Every promise is kept all the same.
    let has_poison = traffic.iter().any(|stretch| stretch.kind == MessageKind::Poison);
    Scenario {
        name: "swarm",
        summary: "drawn from its seed",
        own_alarms: Vec::new(),
        neighbour: false,
        traffic,
        dependency: draw_dependency(&mut rng, faults_end),
        actions: draw_actions(&mut rng, faults_end, &circuit, &faults),
        length: faults_end + TRAFFIC_AFTER,
        // A message may be held for 12 hours before it is delivered; and once more by the next circuit.
        settle_limit: bounds.enable + LONGEST_HOLD * 2,
        ending: Ending {
            circuit: if has_poison { Ending::ANY_STATE } else { "closed" },
            mapping: Ending::AS_ITS_OWNER_WANTS,
            drained: !has_poison,
            trips: 0..=u64::MAX,
            dead_lettered: 0..=u64::MAX,
        },
        circuit,
        knobs,
        faults,
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Whether something that happens in so many of a hundred cases happens.
fn chance(rng: &mut SimRng, percent: u32) -> bool {
    rng.random_range(0..100) < percent
}

fn pick<T: Clone>(rng: &mut SimRng, choices: &[T]) -> T {
    choices[rng.random_range(0..choices.len())].clone()
}

fn draw_circuit(rng: &mut SimRng) -> CircuitConfig {
    let fifo = chance(rng, 15);
    let function_timeout_s = rng.random_range(3..=30);
    let evaluation_periods_count = rng.random_range(1..=5);
    let base_s = rng.random_range(1..=60);
    CircuitConfig {
        example: ExampleConfig {
            fifo,
            report_batch_item_failures: chance(rng, 30),
            function_timeout_s,
            visibility_timeout_s: function_timeout_s * rng.random_range(6..=10),
            max_receive_count: rng.random_range(5..=60),
            batch_size: pick(rng, &[1, 5, 10, 10]),
            ..ExampleConfig::default()
        },
        alarm: AlarmConfig {
            signal: pick(
                rng,
                &[AlarmSignal::MappingEvents, AlarmSignal::FunctionErrors, AlarmSignal::FailedCount],
            ),
            failure_percent: pick(rng, &[10.0, 50.0, 90.0]),
            min_events_count: rng.random_range(1..=5),
            failed_events_count: rng.random_range(1..=10),
            evaluation_periods_count,
            datapoints_to_alarm_count: rng.random_range(1..=evaluation_periods_count),
            ..AlarmConfig::default()
        },
        open: OpenConfig {
            settle_poll_s: rng.random_range(1..=30),
            settle_timeout_s: pick(rng, &[60, 300, 900]),
            quiet_grace_s: rng.random_range(20..=90),
        },
        backoff: Backoff {
            base_s,
            rate: pick(rng, &[1.0, 1.5, 2.0, 3.0]),
            cap_s: rng.random_range(base_s..=600),
            jitter: pick(rng, &[Jitter::Full, Jitter::None]),
        },
        probe: ProbeConfig {
            successes_to_close_count: rng.random_range(1..=4),
            deadline_s: None,
            long_poll_s: rng.random_range(1..=20),
            health_check_function_arn: None,
        },
        rejitter: RejitterConfig {
            strategy: match rng.random_range(0..4) {
                0 => None,
                1 => Some(RejitterStrategy::Off),
                _ if fifo => None,
                2 => Some(RejitterStrategy::Visibility),
                _ => Some(RejitterStrategy::Requeue),
            },
            drain_per_s: pick(rng, &[0.5, 5.0, 100.0]),
            ..RejitterConfig::default()
        },
        close: CloseConfig {
            limited_concurrency_count: rng.random_range(2..=10),
            limited_watch_s: rng.random_range(60..=300),
        },
        ramp: RampConfig {
            concurrency_counts: pick(rng, &[vec![], vec![2], vec![2, 10], vec![3, 5, 20]]),
            step_s: rng.random_range(120..=300),
        },
        exhausted: ExhaustedConfig {
            after_s: pick(rng, &[600, 1_800, 86_400]),
            after_probes_count: pick(rng, &[None, None, Some(3), Some(10)]),
            then: pick(
                rng,
                &[
                    ExhaustedThen::KeepProbing,
                    ExhaustedThen::KeepProbing,
                    ExhaustedThen::Close,
                    ExhaustedThen::Fail,
                ],
            ),
            slow_probe_s: rng.random_range(60..=900),
        },
        fault: FaultConfig {
            then: pick(rng, &[FaultThen::KeepOpen, FaultThen::KeepOpen, FaultThen::Restore]),
            pause_s: rng.random_range(10..=120),
        },
        ..CircuitConfig::default()
    }
}

fn draw_knobs(rng: &mut SimRng, circuit: &CircuitConfig) -> Knobs {
    let fastest_ms = rng.random_range(500..=30_000);
    let grace_ms = u64::from(circuit.open.quiet_grace_s.saturating_sub(GRACE_MARGIN_S)) * 1_000;
    Knobs {
        transition_ms: fastest_ms..=fastest_ms + rng.random_range(1_000..=60_000),
        late_delivery_ms: 1_000.min(grace_ms)..=grace_ms,
        call_ms: 1..=rng.random_range(5..=200),
        event_ms: 100..=rng.random_range(500..=5_000),
        metric_delay_ms: rng.random_range(0..=120_000),
        alarm_offset_ms: rng.random_range(0..60_000),
        ..Knobs::default()
    }
}

/// A few hundred messages, at a rate that leaves some minutes quiet, in a stretch or two.
fn draw_traffic(rng: &mut SimRng, faults_end: Duration) -> Vec<Traffic> {
    let end = faults_end + TRAFFIC_AFTER;
    let mut traffic = Vec::new();
    let mut from = Duration::ZERO;
    for _ in 0..rng.random_range(1..=3) {
        let until = from + seconds(rng.random_range(300..=3_600));
        let rate_per_s = pick(rng, &[0.02, 0.05, 0.1, 0.2, 0.4]);
        traffic.push(Traffic { from, until: until.min(end), rate_per_s, kind: MessageKind::Order });
        // A pause, in which the queue may run dry.
        from = until + seconds(pick(rng, &[0, 0, 600]));
        if from >= end {
            break;
        }
    }
    if chance(rng, 10) {
        let at = seconds(rng.random_range(0..faults_end.as_secs()));
        let until = at + seconds(1);
        traffic.push(Traffic { from: at, until, rate_per_s: 1.0, kind: MessageKind::Poison });
    }
    traffic
}

/// Fails and recovers, and may relapse; healthy for good when faults end.
fn draw_dependency(rng: &mut SimRng, faults_end: Duration) -> Vec<(Duration, Dependency)> {
    let mut course = Vec::new();
    let mut at = seconds(rng.random_range(0..=600));
    while at < faults_end && course.len() < 8 {
        course.push((
            at,
            match rng.random_range(0..10) {
                0 | 1 => Dependency::Hanging,
                2..=4 => Dependency::Flaky(pick(rng, &[20.0, 60.0, 90.0])),
                _ => Dependency::Failing,
            },
        ));
        at += seconds(rng.random_range(60..=1_800));
        if at < faults_end {
            course.push((at, Dependency::Healthy));
        }
        at += seconds(rng.random_range(10..=900));
    }
    course.push((faults_end, Dependency::Healthy));
    course
}

fn draw_actions(
    rng: &mut SimRng,
    faults_end: Duration,
    circuit: &CircuitConfig,
    faults: &FaultPlan,
) -> Vec<(Duration, Action)> {
    let all = [
        Action::PurgeQueue,
        Action::DisableMapping,
        Action::EnableMapping,
        Action::HoldEveryMessage,
        Action::RepeatAlarmEvent,
        Action::RequestTrip,
        Action::RequestTrip,
        Action::RedriveDeadLetters,
        Action::Redeploy,
        Action::SignalRecovered,
        Action::SignalRecovered,
    ];
    let mut actions = Vec::new();
    if chance(rng, 60) {
        for _ in 0..rng.random_range(1..=5) {
            actions.push((seconds(rng.random_range(60..faults_end.as_secs())), pick(rng, &all)));
        }
    }
    if faults.rates_ppm.contains_key(&FaultKind::ExecutionAborted) {
        for _ in 0..rng.random_range(1..=4) {
            actions.push((seconds(rng.random_range(60..faults_end.as_secs())), Action::AbortExecution));
        }
    }
    actions.sort_by_key(|(at, _)| *at);
    if circuit.exhausted.then == ExhaustedThen::Fail {
        // What gives up by its owner's wish waits for somebody to act. Somebody does, more than once.
        for after_s in [60, 3_600, 7_200, 10_800] {
            actions.push((faults_end + seconds(after_s), Action::RequestTrip));
        }
    }
    actions
}

/// How often each kind strikes when it is switched on, in a million: seldom, and often.
fn usual_rates(kind: FaultKind) -> (u32, u32) {
    match kind {
        FaultKind::CallThrottled | FaultKind::CallFailed | FaultKind::CallLost => (1_000, 150_000),
        FaultKind::AnswerLost | FaultKind::AnswerLate => (1_000, 100_000),
        FaultKind::FunctionCrashed => (1_000, 80_000),
        FaultKind::InvokeThrottled | FaultKind::InvokeAnswerLost => (2_000, 150_000),
        FaultKind::TaskFailed | FaultKind::TaskAnswerLost => (2_000, 150_000),
        FaultKind::EventDuplicated | FaultKind::EventLate | FaultKind::EventLost => (10_000, 500_000),
        FaultKind::UpdateConflict => (10_000, 700_000),
        FaultKind::TransitionSlow | FaultKind::TransitionStuck => (50_000, 500_000),
        FaultKind::AlarmFlapped => (5_000, 100_000),
        FaultKind::MetricsLost => (10_000, 700_000),
        FaultKind::MessageDuplicated | FaultKind::DeletedReturned => (1_000, 100_000),
        FaultKind::ReceiveEmpty => (10_000, 400_000),
        FaultKind::CountsWrong => (50_000, 800_000),
        FaultKind::ExecutionAborted | FaultKind::ClockSkewed => (MILLION, MILLION),
    }
}

/// Kinds from which only a watchdog beside the workflow recovers.
pub fn needs_watchdog(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::EventLost | FaultKind::ExecutionAborted)
}

/// Whether the stack has that watchdog.
pub const HAS_WATCHDOG: bool = true;

/// Most kinds are switched off in most seeds, so that those that are on are seen alone and in pairs too.
fn draw_faults(rng: &mut SimRng, until: Duration) -> FaultPlan {
    let mut plan = FaultPlan { until, ..FaultPlan::default() };
    let on_percent = pick(rng, &[0, 5, 15, 30, 60]);
    for kind in FaultKind::ALL {
        // Drawn for every kind, so that a kind more or less shifts none of the others.
        let (is_on, is_often) = (chance(rng, on_percent), chance(rng, 40));
        let (seldom, often) = usual_rates(kind);
        let rate = rng.random_range(seldom..=if is_often { often } else { seldom.max(often / 10) });
        if is_on && (HAS_WATCHDOG || !needs_watchdog(kind)) {
            plan.rates_ppm.insert(kind, rate);
        }
    }
    plan
}

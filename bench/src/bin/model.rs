//! What drills on the model cost, and how that grows with traffic and with the length of an outage; and what a synthesis costs.
//! `scripts/bench --model` builds and runs it.

use std::time::Duration;

use anyhow::ensure;
use drill::faults::FaultKind;
use drill::report::{Entry, Observer};
use drill::scenario::outage_of;
use drill::scribe::Tally;
use drill::sim::Time;
use drill::{Options, run, swarm};
use workflow::config::BreakerConfig;

#[path = "../clock.rs"]
mod clock;

/// As the command `breaker` has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rates and lengths of outages: messages per second, minutes.
const OUTAGES: [(f64, u64); 6] =
    [(10.0, 40), (20.0, 40), (40.0, 40), (10.0, 6 * 60), (10.0, 24 * 60), (50.0, 24 * 60)];
const SEED_COUNT: u64 = 200;
const SYNTH_COUNT: u64 = 200;

struct Silent;

impl Observer for Silent {
    fn entry(&mut self, _entry: &Entry) {}
    fn progress(&mut self, _start: Time, _now: Time, _end: Time) {}
    fn reached(&mut self, _tally: &Tally, _faults: &[(FaultKind, u64)]) {}
}

/// Measures, on one thread, and prints two tables.
fn main() -> anyhow::Result<()> {
    println!("| Messages/s | Outage | Messages | Simulated | Wall | Simulated s per s | Wall per message |");
    println!("|---|---|---|---|---|---|---|");
    for (rate_per_s, outage_minutes) in OUTAGES {
        let mut scenario = outage_of(Duration::from_secs(outage_minutes * 60), rate_per_s);
        scenario.settle_limit = Duration::from_secs(24 * 3_600);
        let options = Options { baseline: false, ..Options::seeded(1) };
        let (report, wall_s) = timed(|| run(&scenario, options, &mut Silent));
        let report = report?;
        ensure!(report.exit_code() == 0, "the drill ended with {}", report.exit_code());
        println!(
            "| {rate_per_s} | {outage_minutes} min | {} | {:.0} s | {wall_s:.2} s | {:.0} | {:.1} µs |",
            report.sent,
            report.simulated_s,
            report.simulated_s / wall_s,
            wall_s * 1e6 / report.sent as f64,
        );
    }
    println!("\n| What | Time |");
    println!("|---|---|");
    let (seeds, wall_s) =
        timed(|| (0..SEED_COUNT).try_for_each(|seed| swarm::run_seed(seed, &mut Silent).map(drop)));
    seeds?;
    println!("| a seed of the swarm, mean of {SEED_COUNT} | {:.1} ms |", wall_s * 1e3 / SEED_COUNT as f64);
    let config = BreakerConfig::default();
    let (stacks, wall_s) = timed(|| (0..SYNTH_COUNT).try_for_each(|_| infra::synth(&config).map(drop)));
    stacks?;
    println!(
        "| synthesis of the example stack, mean of {SYNTH_COUNT} | {:.2} ms |",
        wall_s * 1e3 / SYNTH_COUNT as f64
    );
    Ok(())
}

/// What `work` gives, and the seconds that it took.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let begun_ms = clock::now_ms();
    let outcome = work();
    (outcome, clock::now_ms().saturating_sub(begun_ms).max(1) as f64 / 1_000.0)
}

//! Measures the re-jitter: the deployed handler and adapters against an SQS endpoint on loopback, beside one batch at a
//! time. `scripts/bench` builds and runs it; `docs/benchmarks.md` has what came of it.
// The futures of the SDK are nested deeper than the compiler looks by default.
#![recursion_limit = "256"]

mod clock;
mod drain;
mod queue;
mod server;

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Args, Parser, ValueEnum};
use workflow::contract::{ENV_CIRCUIT_TABLE, RejitterStrategy};

use self::drain::Usage;
use self::server::Server;

/// Measures the re-jitter.
#[derive(Debug, Parser)]
enum Task {
    /// Measure and print a table
    Rejitter(Rejitter),
    /// Drain the queue at `AWS_ENDPOINT_URL` and print what that took (what `rejitter` starts)
    #[command(hide = true)]
    Drain {
        /// How to spread
        #[arg(long)]
        strategy: Strategy,
        /// One batch at a time
        #[arg(long)]
        baseline: bool,
    },
}

#[derive(Debug, Args)]
struct Rejitter {
    /// Backlogs, messages
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,100000")]
    messages: Vec<usize>,
    /// Latencies of the endpoint, milliseconds
    #[arg(long, value_delimiter = ',', default_value = "0,5,20")]
    latency_ms: Vec<u64>,
    /// Largest backlog for which one batch at a time is measured too: its rate does not depend on the backlog
    #[arg(long, default_value_t = 10_000)]
    baseline_messages: usize,
    /// Bytes of a message's body
    #[arg(long, default_value_t = 512)]
    body_bytes: usize,
    /// How to spread
    #[arg(long, value_delimiter = ',', default_value = "visibility,requeue")]
    strategy: Vec<Strategy>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Strategy {
    Visibility,
    Requeue,
}

impl Strategy {
    fn name(self) -> &'static str {
        match self {
            Strategy::Visibility => "visibility",
            Strategy::Requeue => "requeue",
        }
    }

    fn of_contract(self) -> RejitterStrategy {
        match self {
            Strategy::Visibility => RejitterStrategy::Visibility,
            Strategy::Requeue => RejitterStrategy::Requeue,
        }
    }
}

fn main() -> anyhow::Result<()> {
    match Task::parse() {
        Task::Rejitter(rejitter) => table(&rejitter),
        Task::Drain { strategy, baseline } => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let usage = runtime.block_on(drain::drain(strategy.of_contract(), baseline))?;
            println!("{}", serde_json::to_string(&usage)?);
            Ok(())
        }
    }
}

fn table(rejitter: &Rejitter) -> anyhow::Result<()> {
    println!(
        "| Strategy | Latency | Messages | How | Messages/s | Ratio | Requests/message | At once | CPU/message | Peak | Missed |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for &strategy in &rejitter.strategy {
        for &latency_ms in &rejitter.latency_ms {
            let mut baseline_per_s = None;
            for &count in &rejitter.messages {
                let run =
                    |is_baseline| measure(strategy, latency_ms, count, rejitter.body_bytes, is_baseline);
                if count <= rejitter.baseline_messages {
                    let row = run(true)?;
                    baseline_per_s = Some(row.per_s());
                    row.print(baseline_per_s);
                }
                run(false)?.print(baseline_per_s);
            }
        }
    }
    Ok(())
}

/// One line of the table.
struct Row {
    strategy: Strategy,
    latency_ms: u64,
    count: usize,
    is_baseline: bool,
    elapsed_ms: u64,
    request_count: u64,
    most_at_once_count: u64,
    usage: Usage,
    missed_count: u64,
}

impl Row {
    fn per_s(&self) -> f64 {
        self.count as f64 * 1_000.0 / self.elapsed_ms.max(1) as f64
    }

    fn print(&self, baseline_per_s: Option<f64>) {
        let count = self.count as f64;
        println!(
            "| `{}` | {} ms | {} | {} | {:.0} | {} | {:.3} | {} | {:.0} µs | {:.1} MiB | {} |",
            self.strategy.name(),
            self.latency_ms,
            self.count,
            if self.is_baseline { "one batch at a time" } else { "pipeline" },
            self.per_s(),
            baseline_per_s.map_or("-".to_owned(), |baseline| format!("{:.1}", self.per_s() / baseline)),
            self.request_count as f64 / count,
            self.most_at_once_count,
            self.usage.cpu_ms as f64 * 1_000.0 / count,
            self.usage.peak_kib as f64 / 1_024.0,
            self.missed_count,
        );
    }
}

/// Starts an endpoint and a process that drains it. The time is that from the first receive to the last write that the
/// endpoint saw, so that neither the start of the process nor its last long poll counts.
fn measure(
    strategy: Strategy,
    latency_ms: u64,
    count: usize,
    body_bytes: usize,
    is_baseline: bool,
) -> anyhow::Result<Row> {
    let server = Server::start(count, body_bytes, Duration::from_millis(latency_ms))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["drain", "--strategy", strategy.name()]);
    if is_baseline {
        command.arg("--baseline");
    }
    let drained = command
        .env("AWS_ENDPOINT_URL", format!("http://{}", server.address))
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "benchmark")
        .env("AWS_SECRET_ACCESS_KEY", "benchmark")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env(ENV_CIRCUIT_TABLE, "CircuitStatus")
        .stderr(Stdio::inherit())
        .output()
        .context("starting the process that drains")?;
    ensure!(drained.status.success(), "the process that drains ended with {}", drained.status);
    let usage: Usage = serde_json::from_slice(&drained.stdout).context("reading what the process says")?;
    let (seen, outcome) = server.result();
    let spread_count = outcome.hidden_count + outcome.replaced_count;
    ensure!(
        spread_count + outcome.missed_count == count as u64 && outcome.surplus_count == 0,
        "{count} messages do not add up: {outcome:?}"
    );
    Ok(Row {
        strategy,
        latency_ms,
        count,
        is_baseline,
        elapsed_ms: seen.last_ms.saturating_sub(seen.first_ms.unwrap_or_default()),
        request_count: seen.request_count,
        most_at_once_count: seen.most_at_once_count,
        usage,
        missed_count: outcome.missed_count,
    })
}

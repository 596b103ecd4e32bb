//! What is measured: the deployed handler on the deployed adapters, and one batch at a time to compare it with. Each runs
//! in a process of its own, so that its memory and its CPU time are its own.

use std::time::Duration;

use anyhow::{Context as _, bail};
use lambdas::aws::Cloud;
use lambdas::ports::{CallError, Chance as _, Message, Messages as _, Outgoing, Receive, VisibilityChange};
use lambdas::{batch, rejitter};
use serde::{Deserialize, Serialize};
use workflow::contract::{Fence, RejitterRequest, RejitterStrategy};

use crate::server::EPOCH;

/// The queue's URL; the endpoint is another.
const QUEUE_URL: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders";
/// Rate at which the backlog is to arrive: so slow that nothing reappears while the work runs.
const DRAIN_PER_S: f64 = 150.0;

/// Linux counts CPU time in hundredths of a second.
const MS_PER_TICK: u64 = 10;

/// What a process says of itself at its end.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time, user and system, milliseconds.
    pub cpu_ms: u64,
    /// Most memory resident, KiB.
    pub peak_kib: u64,
}

/// Drains the queue at the endpoint that the environment names, and answers what that took.
///
/// # Errors
/// When a call fails, or the handler does.
pub async fn drain(strategy: RejitterStrategy, is_baseline: bool) -> anyhow::Result<Usage> {
    let cloud = Cloud::connect().await?;
    if is_baseline {
        one_batch_at_a_time(strategy, &cloud).await.context("a call of the baseline failed")?;
    } else {
        pipeline(strategy, &cloud).await?;
    }
    usage()
}

async fn pipeline(strategy: RejitterStrategy, cloud: &Cloud) -> anyhow::Result<()> {
    let mut request = RejitterRequest {
        fence: Fence { circuit: "orders".to_owned(), epoch: EPOCH },
        queue_url: QUEUE_URL.to_owned(),
        strategy,
        drain_per_s: DRAIN_PER_S,
        invocations_count: 1,
        ramp_s: 0,
        only_plans: false,
        max_receive_count: Some(15),
        progress: None,
    };
    loop {
        let answer = rejitter::handle(&request, Duration::from_secs(900), cloud).await;
        let answer = answer.map_err(|error| anyhow::anyhow!(error.error_message()))?;
        if answer.done {
            return Ok(());
        }
        request.progress = Some(answer.progress);
    }
}

/// What is written first: receive a batch, spread it, receive the next.
async fn one_batch_at_a_time(strategy: RejitterStrategy, cloud: &Cloud) -> Result<(), CallError> {
    // Beyond what the measurement takes, and within the longest delay.
    let seconds = || cloud.between(600, 900) as u32;
    loop {
        let receive = Receive {
            max_count: batch::MAX_BATCH_COUNT as u32,
            wait_s: rejitter::POLL_WAIT_S,
            visibility_s: rejitter::HOLD_S,
        };
        let messages = cloud.receive(QUEUE_URL, receive).await?;
        if messages.is_empty() {
            return Ok(());
        }
        if strategy == RejitterStrategy::Requeue {
            let copy = |message: &Message| batch::copy_of(message, Some(seconds()));
            let copies: Vec<Outgoing> = messages.iter().map(copy).collect();
            cloud.send_batch(QUEUE_URL, &copies).await?;
            let handles: Vec<String> = messages.into_iter().map(|message| message.receipt_handle).collect();
            cloud.delete_batch(QUEUE_URL, &handles).await?;
        } else {
            let change = |message: Message| VisibilityChange {
                receipt_handle: message.receipt_handle,
                visibility_s: seconds(),
            };
            let changes: Vec<VisibilityChange> = messages.into_iter().map(change).collect();
            cloud.change_visibility_batch(QUEUE_URL, &changes).await?;
        }
    }
}

/// Reads what Linux has counted of this process, all its threads.
fn usage() -> anyhow::Result<Usage> {
    let status = std::fs::read_to_string("/proc/self/status").context("reading the peak memory")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak_kib = peak.and_then(|peak| peak.trim().strip_suffix("kB")?.trim().parse().ok());
    let stat = std::fs::read_to_string("/proc/self/stat").context("reading the CPU time")?;
    // After the name, which may hold anything: state, ten more fields, then user and system time.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<u64>().ok());
    match (peak_kib, ticks(11), ticks(12)) {
        (Some(peak_kib), Some(user), Some(system)) => {
            Ok(Usage { cpu_ms: (user + system) * MS_PER_TICK, peak_kib })
        }
        _ => bail!("/proc/self says neither VmHWM nor CPU time as Linux does; measure on Linux"),
    }
}

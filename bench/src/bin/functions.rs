//! How long the functions take from their start to their first request for work, and how much memory they have then, against a
//! runtime API on loopback that answers nothing. `scripts/bench --functions` builds and runs it.

use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use workflow::contract::{ENV_CIRCUIT_TABLE, ENV_CIRCUITS, FunctionKind};

#[path = "../clock.rs"]
mod clock;

/// Starts of each function; the median counts.
const START_COUNT: usize = 21;

/// A process that ends with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It is gone already, or it cannot be ended: either way there is nothing more to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> anyhow::Result<()> {
    let binaries = std::env::current_exe()?.parent().context("the folder of this binary")?.to_owned();
    println!("| Function | Binary | Start to first request | Memory then |");
    println!("|---|---|---|---|");
    for kind in FunctionKind::ALL {
        let path = binaries.join(kind.name());
        let bytes =
            std::fs::metadata(&path).with_context(|| format!("{} is not built", path.display()))?.len();
        let mut starts = (0..START_COUNT).map(|_| start(&path)).collect::<anyhow::Result<Vec<_>>>()?;
        starts.sort_unstable();
        let (took_ms, kib) = starts[START_COUNT / 2];
        println!(
            "| `{}` | {:.1} MiB | {took_ms} ms | {:.1} MiB |",
            kind.name(),
            bytes as f64 / 1_048_576.0,
            kib as f64 / 1_024.0,
        );
    }
    Ok(())
}

/// Milliseconds to the first request, and KiB of memory resident at its most until then.
fn start(binary: &Path) -> anyhow::Result<(u64, u64)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let begun_ms = clock::now_ms();
    let child = Command::new(binary)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "benchmark")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "benchmark")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "benchmark")
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "benchmark")
        .env("AWS_SECRET_ACCESS_KEY", "benchmark")
        .env(ENV_CIRCUIT_TABLE, "CircuitStatus")
        .env(ENV_CIRCUITS, "{}")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {}", binary.display()))?;
    let child = Running(child);
    let (mut stream, _) = listener.accept()?;
    let mut head = [0; 512];
    let count = stream.read(&mut head)?;
    let took_ms = clock::now_ms().saturating_sub(begun_ms);
    let asked = String::from_utf8_lossy(&head[..count]);
    ensure!(
        asked.starts_with("GET /2018-06-01/runtime/invocation/next"),
        "it asked for something else: {asked:?}"
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.0.id()))?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    Ok((took_ms, peak.context("/proc says no VmHWM; measure on Linux")?))
}

//! Structured logs: one JSON object per line on stdout, with the request id, never with message content.

use tracing_subscriber::EnvFilter;

/// Lambda's own setting for the level of application logs.
const LEVEL_VARIABLE: &str = "AWS_LAMBDA_LOG_LEVEL";

/// Starts logging. The level is that of `AWS_LAMBDA_LOG_LEVEL`, `info` by default, and holds for this crate only: at
/// `trace` the runtime and the SDK would log whole payloads, so they are held at `info` and `warn`.
pub fn start() {
    let level = level(std::env::var(LEVEL_VARIABLE).ok().as_deref());
    let filter = EnvFilter::new(format!("warn,lambda_runtime=info,lambdas={level}"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .init();
}

/// Lambda's names of the levels; it has one, `FATAL`, that `tracing` has not.
fn level(name: Option<&str>) -> &'static str {
    match name.map(str::to_ascii_lowercase).as_deref() {
        Some("trace") => "trace",
        Some("debug") => "debug",
        Some("warn") => "warn",
        Some("error" | "fatal") => "error",
        Some(_) | None => "info",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_lambdas_or_info() {
        for (name, expected) in
            [(None, "info"), (Some("DEBUG"), "debug"), (Some("FATAL"), "error"), (Some("loud"), "info")]
        {
            assert_eq!(level(name), expected);
        }
    }
}

//! Time and chance as a guard takes them, so that a test decides both.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where a guard has the time from.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch: what instances tell each other, and the age of what was read. It goes on while a
    /// sandbox of Lambda is frozen.
    fn now_ms(&self) -> u64;

    /// Time that never goes back, from any origin: how long a call took.
    fn elapsed(&self) -> Duration;
}

/// Where a guard has chance from.
pub trait Chance: Send + Sync + 'static {
    /// Any number, each as likely as any other. Two instances must not draw the same.
    fn number(&self) -> u64;

    /// Evenly distributed in 0 to 1, 1 excluded.
    fn unit(&self) -> f64 {
        // The 53 bits that a double has.
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// The machine's clocks.
    #[allow(clippy::disallowed_methods, reason = "this is the port by which guards read the clock")]
    pub fn new() -> SystemClock {
        SystemClock { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the port by which guards read the clock")]
    fn now_ms(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// Randomness of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    fn number(&self) -> u64 {
        // Without it leases of two instances could have the same id; a machine that has none cannot do TLS either.
        getrandom::u64().expect("the operating system gives random numbers")
    }
}

//! The command line of the circuit breaker.

fn main() {}

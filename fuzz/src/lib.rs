//! Strategies that damage valid input.
//!
//! Random bytes seldom get past the first character of a parser. So each strategy starts from something valid and
//! damages it a little: text by cutting, doubling, swapping and inserting, JSON by putting other values in the place
//! of its own. The tests that use them are named `fuzz` in the crates whose input it is; `scripts/fuzz` runs them for
//! longer than `scripts/check` does.
//!
//! What this is not: no coverage guides the damage, because that needs a nightly compiler.

mod damage;
mod value;

use proptest::test_runner::{Config, FileFailurePersistence};

pub use damage::damaged;
pub use value::{altered, any_json};

/// Cases of one test unless `PROPTEST_CASES` says otherwise: enough to notice a careless `unwrap`, little enough for
/// each run of the checks.
pub const CASES: u32 = 256;

/// The settings of a fuzz test. What failed once is kept beside the test, in a file that ends in `.regressions`.
pub fn config() -> Config {
    let config = Config::default();
    let asked_for = std::env::var_os("PROPTEST_CASES").is_some();
    Config {
        cases: if asked_for { config.cases } else { CASES },
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..config
    }
}

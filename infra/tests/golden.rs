//! The templates as files that other tools can read.
//!
//! After an intended change: `UPDATE_GOLDEN=1 cargo nextest run -p infra`, then read the difference.

mod common;

use std::fs;
use std::path::Path;

/// Compares the template of a variant with its golden file, or writes the file.
fn check(variant: &str) {
    let config = &common::variants()[variant];
    let template = infra::synth(config).expect("every variant is valid").template_json();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{variant}.template.json"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &template).expect("the golden folder can be written");
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == template,
        "{variant}.template.json differs; if that is intended, run the tests with UPDATE_GOLDEN=1 and read the \
         difference. First difference in line {}",
        golden.lines().zip(template.lines()).take_while(|(old, new)| old == new).count() + 1
    );
}

#[test]
fn example() {
    check("example");
}

#[test]
fn fifo() {
    check("fifo");
}

#[test]
fn encrypted() {
    check("encrypted");
}

#[test]
fn existing_consumer() {
    check("existing");
}

#[test]
fn failed_count() {
    check("failed-count");
}

#[test]
fn function_errors() {
    check("function-errors");
}

#[test]
fn composite_alarm() {
    check("composite-alarm");
}

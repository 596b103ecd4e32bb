//! `breaker tune`.

use serde_json::Value;

use crate::check_in;
use crate::sandbox::{Ran, Sandbox};

/// A day of a shop's orders: quiet at night, two peaks by day.
const SHOP: &str = include_str!("../traffic/shop.csv");

const TUNE: [&str; 9] =
    ["tune", "--config", "breaker.toml", "--traffic", "shop.csv", "--outage", "20m", "--seeds", "1"];

/// A user's file with comments and a setting of their own.
const CONFIG: &str = "\
# The orders of the shop.
[circuits.orders.backoff]
cap_s = 300 # five minutes

[circuits.orders.close]
# limited_watch_s = 240
";

fn tuned(more: &[&str]) -> (Sandbox, Ran) {
    let sandbox = Sandbox::with("shop.csv", SHOP).and("breaker.toml", CONFIG);
    let ran = sandbox.run(&[&TUNE, more].concat());
    (sandbox, ran)
}

fn number(line: &Value, name: &str) -> f64 {
    line[name].as_f64().unwrap_or_else(|| panic!("{name} is a number in {line}"))
}

#[test]
fn what_is_recommended_beats_the_defaults_by_a_fifth_and_does_no_more_harm() {
    let (sandbox, ran) = tuned(&["--json", "--write"]);
    let told = ran.json();
    let (present, recommended) = (&told["present"], &told["recommended"]);
    assert_eq!(number(present, "score"), 1.0);
    assert!(number(recommended, "score") <= 0.8, "{recommended}");
    let times = |line| number(line, "detect_s") + number(line, "recover_s");
    assert!(times(recommended) <= 0.8 * times(present), "{recommended}");
    for harm in ["false_trips_per_day", "missed_outages", "dead_lettered", "broken_promises"] {
        assert!(number(recommended, harm) <= number(present, harm), "{harm}: {recommended}");
    }
    let lines = told["lines"].as_array().unwrap();
    let scores: Vec<f64> = lines.iter().map(|line| number(line, "score")).collect();
    assert!(scores.is_sorted() && lines.len() > 20, "{scores:?}");

    // What is written is what was recommended, and the rest of the file is as it was.
    let written = sandbox.read("breaker.toml");
    let parsed: toml::Table = written.parse().unwrap();
    for (path, value) in told["changes"].as_object().unwrap() {
        let (table, key) = path.split_once('.').unwrap();
        let found = &parsed["circuits"]["orders"][table][key];
        let found = found.as_float().or_else(|| found.as_integer().map(|number| number as f64));
        assert_eq!(found, value.as_f64(), "{path}");
    }
    for comment in ["# The orders of the shop.", "# five minutes", "# limited_watch_s = 240"] {
        assert!(written.contains(comment), "{written}");
    }
    let check = sandbox.run(&["config", "check", "breaker.toml"]);
    assert_eq!(check.code, 0, "{}", check.shown());
}

#[test]
fn a_traffic_file_that_is_none_is_refused() {
    let sandbox = Sandbox::with("words.csv", "time,messages\nyesterday,4\n")
        .and("columns.csv", "at,count\n0,4\n60,5\n")
        .and("uneven.csv", "time,messages\n0,4\n60,5\n150,5\n")
        .and("silent.csv", "time,messages\n0,0\n60,0\n");
    for name in ["words", "columns", "uneven", "silent", "missing"] {
        check_in(&sandbox, &format!("tune_traffic_{name}"), &["tune", "--traffic", &format!("{name}.csv")]);
    }
    check_in(&sandbox, "tune_write_nowhere", &["tune", "--write"]);
    check_in(&sandbox, "tune_outage", &["tune", "--outage", "5"]);
    check_in(&sandbox, "tune_percent", &["tune", "--base-error-percent", "101"]);
}

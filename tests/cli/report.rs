//! `breaker drill run --report`.

use crate::check_in;
use crate::sandbox::{Ran, Sandbox};

const DRILL: [&str; 5] = ["drill", "run", "empty_queue", "--report", "page.html"];

fn reported(more: &[&str]) -> (Sandbox, Ran, String) {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(&[&DRILL, more].concat());
    let page = sandbox.read("page.html");
    (sandbox, ran, page)
}

/// What stands between the first `begin` and the next `end`.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(begin).unwrap_or_else(|| panic!("the page has no {begin}"));
    rest.split_once(end).map_or(rest, |(inside, _)| inside)
}

/// A text as it stands in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[test]
fn the_page_needs_nothing_else() {
    let (_, ran, page) = reported(&["--quiet"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, "wrote page.html\n"));
    for needs in
        ["http://", "https://", "//cdn", "src=", "href=", "@import", "@font-face", "<script", "<link"]
    {
        assert!(!page.contains(needs), "the page has {needs}");
    }
    // Patterns are of the page itself.
    assert_eq!(page.matches("url(").count(), page.matches("url(#").count());
}

#[test]
fn the_page_tells_what_the_drill_told() {
    let (_, ran, page) = reported(&["--json", "--seed", "7"]);
    let report = ran.json();
    assert!(page.contains("<code>breaker drill run empty_queue --seed 7</code>"));
    assert!(page.contains(report["trace_hash"].as_str().unwrap()));
    assert!(page.contains("all messages are gone while the circuit is open"));
    let promises = report["promises"].as_array().unwrap();
    assert_eq!(page.matches("data-promise=").count(), promises.len());
    for promise in promises {
        let name = promise["name"].as_str().unwrap();
        let row = between(&page, &format!("data-promise=\"{name}\""), "</tr>");
        let word = if promise["held"].as_bool().unwrap() { "✓ held" } else { "✗ broken" };
        assert!(row.contains(word), "{row}");
        assert!(row.contains(&escaped(promise["detail"].as_str().unwrap())), "{row}");
    }
    // The terminal shows the same numbers, in the same words.
    let shown = Sandbox::new().run(&["drill", "run", "empty_queue", "--quiet", "--seed", "7"]).stdout;
    let (_, balance) = shown.split_once("no breaker\n").unwrap();
    let lines = balance.lines().take_while(|line| !line.is_empty());
    let mut rows = 0;
    for line in lines {
        let mut parts = line.trim().split("   ").map(str::trim).filter(|part| !part.is_empty());
        let label = parts.next().unwrap();
        let row = between(&page, &format!("data-row=\"{label}\""), "</tr>");
        for value in parts {
            assert!(row.contains(&format!(">{value}<")), "{label}: {value} is not in {row}");
        }
        rows += 1;
    }
    assert_eq!(page.matches("data-row=").count(), rows);
}

#[test]
fn the_page_has_its_parts() {
    let (_, _, page) = reported(&["--quiet", "--seed", "7"]);
    let mut parts = Vec::new();
    for (at, _) in page.match_indices('<') {
        let tag = &page[at + 1..];
        if tag.starts_with("h1>") || tag.starts_with("h2>") || tag.starts_with("strong>") {
            parts.push(between(tag, ">", "<").to_owned());
        } else if let Some(lane) = tag.strip_prefix("g data-lane=\"") {
            parts.push(format!("  lane {}", lane.split('"').next().unwrap()));
        }
    }
    for state in ["down", "ALARM", "open", "half_open", "Disabling", "Disabled", "Enabled, at most 2"] {
        assert!(page.contains(&format!("data-state=\"{state}\"")), "no band is {state}");
    }
    insta::assert_snapshot!("report_parts", parts.join("\n"));
}

#[test]
fn the_same_seed_gives_the_same_page_and_replaces_the_old_one() {
    let (sandbox, _, page) = reported(&["--quiet"]);
    assert!(page.starts_with("<!DOCTYPE html>"));
    sandbox.run(&[&DRILL[..], &["--quiet", "--seed", "2"]].concat());
    assert_ne!(sandbox.read("page.html"), page);
    sandbox.run(&[&DRILL[..], &["--json"]].concat());
    assert_eq!(sandbox.read("page.html"), page, "how the run was shown is not in the page");
    assert_eq!(sandbox.names("."), ["page.html"], "no draft is left");
}

#[test]
fn without_a_baseline_the_page_has_one_drawing_less() {
    let (_, _, page) = reported(&["--quiet", "--no-baseline"]);
    assert!(!page.contains("without a breaker") && !page.contains("no breaker"));
}

#[test]
fn a_place_that_cannot_be_written_is_refused_before_the_drill() {
    let sandbox = Sandbox::with("file.txt", "");
    for (name, path) in [
        ("report_no_folder", "nowhere/page.html"),
        ("report_folder", "."),
        ("report_below_a_file", "file.txt/page.html"),
        ("report_device", "/dev/null"),
    ] {
        check_in(&sandbox, name, &["drill", "run", "empty_queue", "--report", path]);
    }
    check_in(
        &sandbox,
        "report_on_a_stack",
        &["drill", "--report", "page.html", "--on", "endpoint", "--stack", "x"],
    );
    assert_eq!(sandbox.names("."), ["file.txt"]);
}

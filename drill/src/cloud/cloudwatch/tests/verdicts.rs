//! The tables of the CloudWatch user guide: X breaches, 0 does not, - is missing; the newest is on the right.

use super::*;

/// The states for missing, ignore, breaching and not breaching; `Keep` where the state stays.
#[track_caller]
fn check(points: &str, (datapoints_count, periods_count): (usize, usize), expected: &str) {
    let points: Vec<Option<bool>> = points
        .split(' ')
        .map(|point| match point {
            "X" => Some(true),
            "0" => Some(false),
            _ => None,
        })
        .collect();
    let treatments = [
        TreatMissingData::Missing,
        TreatMissingData::Ignore,
        TreatMissingData::Breaching,
        TreatMissingData::NotBreaching,
    ];
    let states = treatments.map(|treat| {
        let verdict = judge(&points, MOutOfN { datapoints_count, periods_count }, treat);
        verdict.state.map_or("Keep", StateValue::name)
    });
    assert_eq!(states.join(" "), expected);
}

#[test]
fn three_out_of_three() {
    let rule = (3, 3);
    check("0 - X - X", rule, "OK OK OK OK");
    check("0 - - - -", rule, "OK OK OK OK");
    check("- - - - -", rule, "INSUFFICIENT_DATA Keep ALARM OK");
    check("0 X X - X", rule, "ALARM ALARM ALARM ALARM");
    check("- - X - -", rule, "ALARM Keep ALARM OK");
    check("X - - - -", rule, "ALARM Keep ALARM OK");
}

#[test]
fn a_lone_breach_waits_until_it_is_old_enough() {
    let rule = (3, 3);
    check("- - - - X", rule, "INSUFFICIENT_DATA Keep ALARM OK");
    check("- - - X -", rule, "INSUFFICIENT_DATA Keep ALARM OK");
    check("- - - X 0", rule, "OK OK OK OK");
    check("- - X - 0", rule, "OK OK OK OK");
}

#[test]
fn two_out_of_three() {
    let rule = (2, 3);
    check("0 - X - X", rule, "ALARM ALARM ALARM ALARM");
    check("0 0 X 0 X", rule, "ALARM ALARM ALARM ALARM");
    check("0 - X - -", rule, "OK OK ALARM OK");
    check("- - - - 0", rule, "OK OK ALARM OK");
    check("- - - X -", rule, "ALARM Keep ALARM OK");
    check("- - - - X", rule, "INSUFFICIENT_DATA Keep ALARM OK");
}

#[test]
fn only_the_newest_n_points_count_and_old_ones_replace_missing_ones() {
    check("X X 0 0 0", (1, 3), "OK OK OK OK");
    check("X X 0 0 X", (1, 3), "ALARM ALARM ALARM ALARM");
    check("X X X - -", (3, 3), "ALARM ALARM ALARM ALARM");
    check("X", (1, 1), "ALARM ALARM ALARM ALARM");
    check("0", (1, 1), "OK OK OK OK");
    check("-", (1, 1), "INSUFFICIENT_DATA Keep ALARM OK");
}

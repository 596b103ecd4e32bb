//! Metric math at one time, with the examples of the CloudWatch user guide.

use super::*;

const NONE: Option<f64> = None;

/// Evaluates with the ids a, b and c.
#[track_caller]
fn check(text: &str, points: [Option<f64>; 3], expected: Option<f64>) {
    let expression = Expression::parse(text).unwrap();
    let point = |id: &str| points["abc".find(id).unwrap()];
    assert_eq!(expression.evaluate(&point, MissingOperand::Zero), expected, "{text}");
}

#[track_caller]
fn check_refused(text: &str, expected: &str) {
    assert_eq!(Expression::parse(text).unwrap_err().to_string(), expected, "{text}");
}

#[test]
fn operators_bind_as_usual() {
    let points = [Some(6.0), Some(3.0), Some(2.0)];
    check("a - b - c", points, Some(1.0));
    check("a + b * c", points, Some(12.0));
    check("(a + b) * c", points, Some(18.0));
    check("-a * -c", points, Some(12.0));
    check("a / b / c", points, Some(1.0));
    check("100*b/a", points, Some(50.0));
    check("a > 5 AND b > 5 OR c == 2", points, Some(1.0));
    check("a > 5 && (b > 5 || c != 2)", points, Some(0.0));
    check("a >= 6", points, Some(1.0));
    check("a <= 5.5", points, Some(0.0));
    check(".5 * c", points, Some(1.0));
}

#[test]
fn a_missing_operand_counts_as_zero_unless_all_are_missing() {
    check("a + b", [Some(5.0), NONE, NONE], Some(5.0));
    check("a + b", [NONE, NONE, NONE], NONE);
    check("100 * a", [NONE, NONE, NONE], NONE);
    check("-a", [NONE, NONE, NONE], NONE);
    check("a < b", [NONE, Some(20.0), NONE], Some(1.0));
    check("a > 15 AND b > 15", [Some(20.0), NONE, NONE], Some(0.0));
    check("a > 15 AND b > 15", [Some(30.0), Some(20.0), NONE], Some(1.0));
    let expression = Expression::parse("a + b").unwrap();
    let one = |id: &str| (id == "a").then_some(5.0);
    assert_eq!(expression.evaluate(&one, MissingOperand::Drop), None);
}

#[test]
fn a_division_by_zero_drops_the_point() {
    check("a / b", [Some(1.0), Some(0.0), NONE], NONE);
    check("a / b", [Some(1.0), NONE, NONE], NONE);
    check("a / b", [NONE, Some(4.0), NONE], Some(0.0));
    check("a + 1 / 0", [Some(1.0), NONE, NONE], Some(1.0));
    check("IF(b > 0, a / b, 0)", [Some(1.0), Some(0.0), NONE], Some(0.0));
}

#[test]
fn if_follows_the_user_guide() {
    let rows = [
        ([Some(1.0), Some(30.0), Some(0.0)], Some(30.0), Some(5.0)),
        ([Some(1.0), NONE, Some(0.0)], Some(0.0), Some(5.0)),
        ([Some(0.0), Some(0.0), Some(20.0)], Some(20.0), Some(20.0)),
        ([Some(0.0), Some(0.0), NONE], NONE, NONE),
        ([NONE, Some(30.0), Some(20.0)], NONE, NONE),
    ];
    for (points, series, scalar) in rows {
        check("IF(a, b, c)", points, series);
        check("IF(a, 5, c)", points, scalar);
    }
    check("IF(a, b)", [Some(0.0), Some(1.0), NONE], NONE);
    check("IF(a < 400, 10, 2)", [Some(400.0), NONE, NONE], Some(2.0));
    check("IF(1, a, b)", [Some(7.0), Some(8.0), NONE], Some(7.0));
    check("IF(0, a, b)", [Some(7.0), Some(8.0), NONE], Some(8.0));
}

#[test]
fn what_is_refused_is_named() {
    check_refused(
        "IF(a > 1, FILL(b, 0), 0)",
        "FILL can pin an alarm: where the newest minute is always late, it evaluates the filler for ever; use \
         M out of N and TreatMissingData instead",
    );
    check_refused("SUM(METRICS())", "the function SUM is not known to the model (known: IF)");
    let operand = "a number, an id starting with a lower-case letter, IF, - or (";
    check_refused("a ^ 2", "^ is not expected at character 3; allowed there: an operator, or the end");
    check_refused("[a, b]", &format!("[ is not expected at character 1; allowed there: {operand}"));
    check_refused("a +", &format!("the end is not expected at character 4; allowed there: {operand}"));
    check_refused("a AND OR b", &format!("OR is not expected at character 7; allowed there: {operand}"));
    check_refused("(a", "the end is not expected at character 3; allowed there: an operator or )");
    check_refused("IF(a)", ") is not expected at character 5; allowed there: an operator or ,");
    check_refused("1.2.3 * a", "1 is not expected at character 1; allowed there: a number such as 5 or 0.5");
    check_refused("a é", "é is not expected at character 3; allowed there: an operator, or the end");
    let too_complex = "the expression is longer than 2048 characters or nested deeper than 32";
    check_refused(&"(".repeat(1_000), too_complex);
    check_refused(&"-".repeat(1_000), too_complex);
    check_refused(&"a+".repeat(2_000), too_complex);
}

//! The functions that Step Functions adds to JSONata.

use drill::asl::mock::run_document;
use serde_json::json;

use super::{check_evaluation_error, check_expression, definition};

#[test]
fn partition_cuts_an_array_into_pieces() {
    for (call, expected) in [
        ("$partition($states.input, 2)", json!([[1, 2], [3, 4], [5]])),
        ("$partition($states.input, 2.9)", json!([[1, 2], [3, 4], [5]])),
        ("$partition($states.input, 9)", json!([[1, 2, 3, 4, 5]])),
        ("$partition($states.input)", json!([[1, 2, 3, 4, 5]])),
        ("$partition([1], 1)", json!([[1]])),
        ("$count($partition($states.input, 1))", json!(5)),
        ("$exists($partition([], 2))", json!(false)),
        ("$exists($partition([1, 2], 0))", json!(false)),
        ("$exists($partition([1, 2], -0.5))", json!(false)),
    ] {
        check_expression(call, json!([1, 2, 3, 4, 5]), expected);
    }
    check_evaluation_error("$partition([1], -1)", "D3137");
    check_evaluation_error("$partition(null, 1)", "T0412");
    check_evaluation_error("$partition([1], '1')", "T0410");
    check_evaluation_error("$partition([], 1)", "returned nothing");
}

#[test]
fn range_counts_in_steps() {
    for (call, expected) in [
        ("$range(0, 10, 2)", json!([0, 2, 4, 6, 8, 10])),
        ("$range(0, 10, 3)", json!([0, 3, 6, 9])),
        ("$range(5, 1, -2)", json!([5, 3, 1])),
        ("$range(-1.7, 2, 1)", json!([-1, 0, 1, 2])),
        ("$range(3, 3, 1)", json!(3)),
        ("$range(1, 9, 9)", json!(1)),
        ("$exists($range(5, 1, 1))", json!(false)),
        ("$exists($range(1, 5, 0))", json!(false)),
        ("$exists($range(1, 5))", json!(false)),
        ("$count($range(1, 360145, 1))", json!(360_145)),
    ] {
        check_expression(call, json!({}), expected);
    }
    check_evaluation_error("$range(1)", "T0410");
    check_evaluation_error("$range('1', 2, 1)", "T0410");
    check_evaluation_error("$range(1, 360146, 1)", "memory limit");
}

#[test]
fn hash_digests_utf8() {
    for (algorithm, expected) in [
        ("MD5", "8b1a9953c4611296a827abf8c47804d7"),
        ("SHA-1", "f7ff9e8b7bb2e09b70935a5d785e0cc5d9d0abf0"),
        ("SHA-256", "185f8db32271fe25f561a6fc938b2e264306ec304eda518007d1764826381969"),
    ] {
        check_expression(&format!("$hash('Hello', '{algorithm}')"), json!({}), json!(expected));
    }
    let accented = json!("94e9342ecbb1458b6043ecd3bfcbc192");
    check_expression("$hash('ñ', 'MD5')", json!({}), accented);
    check_expression("$length($hash('', 'SHA-384'))", json!({}), json!(96));
    check_expression("$length($hash('', 'SHA-512'))", json!({}), json!(128));
    check_expression("$exists($hash('a'))", json!({}), json!(false));
    check_evaluation_error("$hash('a', 'md5')", "D3137");
    check_evaluation_error("$hash(1, 'MD5')", "T0410");
    check_evaluation_error("$hash('a', 5)", "T0410");
}

#[test]
fn parse_reads_json() {
    for (text, expected) in [
        ("1", json!(1)),
        ("\"a\"", json!("a")),
        ("null", json!(null)),
        ("[1,[2]]", json!([1, [2]])),
        ("{\"b\":1,\"a\":{}}", json!({"b": 1, "a": {}})),
        (" 1.50 ", json!(1.5)),
    ] {
        check_expression("$parse($states.input)", json!(text), expected);
    }
    check_expression("$parse($states.input).a.b", json!("{\"a\":{\"b\":2}}"), json!(2));
    check_evaluation_error("$parse('{')", "D3137");
    check_evaluation_error("$parse(null)", "T0410");
    check_evaluation_error("$parse($states.input.absent)", "returned nothing");
}

#[test]
fn chance_and_time_are_those_of_the_simulation() {
    let uuid_v4 = "/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/";
    for (expression, expected) in [
        (format!("$contains($uuid(), {uuid_v4})").as_str(), json!(true)),
        ("$uuid() = $uuid()", json!(false)),
        // The first numbers of java.util.Random for these seeds.
        ("$random(42)", json!(0.7275636800328681)),
        ("$random(0)", json!(0.730967787376657)),
        ("$random(0.9) = $random(0)", json!(true)),
        ("$random() >= 0 and $random() < 1 and $random() != $random()", json!(true)),
        ("$now()", json!("2026-01-01T00:00:00.000Z")),
        ("$now('[Y]/[M01] [H01]', '+0100')", json!("2026/01 01")),
        ("$millis()", json!(1_767_225_600_000_u64)),
        ("$sort($shuffle([3, 1, 2]))", json!([1, 2, 3])),
    ] {
        check_expression(expression, json!({}), expected);
    }
    check_evaluation_error("$uuid(1)", "T0410");
    check_evaluation_error("$random(1, 2)", "T0410");
    let output = "{% [$random(), $uuid(), $shuffle([1..9])] %}";
    let random = definition(&json!({"P": {"Type": "Pass", "Output": output, "End": true}}));
    let with_seed = |seed| run_document(&random, "{}", None, seed).unwrap();
    assert_eq!(with_seed(5), with_seed(5));
    assert_ne!(with_seed(5), with_seed(6));
}

#[test]
fn expressions_that_fail_say_why() {
    check_evaluation_error("$states.input.n + 'a'", "threw an error during evaluation. T2002");
    check_evaluation_error("$unknown()", "T1006");
    check_evaluation_error("($f := function($n){ 1 + $f($n + 1) }; $f(1))", "threw an error");
    check_evaluation_error("$nobody", "(entered at the event id #2). The JSONata expression");
    check_expression("$number('12') & ''", json!({}), json!("12"));
    check_expression("$states.input[x > 1].x", json!([{"x": 1}, {"x": 2}]), json!(2));
}

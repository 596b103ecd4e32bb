//! Behaviour of rules, templates and `PutEvents`.

use serde_json::{Value, json};

use super::*;

const RULE_ARN: &str = "arn:aws:events:eu-west-1:123456789012:rule/trip";

fn rule(properties: &Value) -> Result<Rule, Vec<String>> {
    Rule::from_properties("trip", RULE_ARN, properties)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

/// An alarm's state change, with what patterns and templates find hard.
fn alarm_event() -> Value {
    json!({
        "version": "0", "id": "e-1", "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch", "account": "123456789012", "time": "2026-11-21T10:00:00Z",
        "region": "eu-west-1", "resources": ["arn:alarm:orders"],
        "detail": {
            "alarmName": "orders", "state": { "value": "ALARM", "reason": "3 of \"5\" points", "reasonData": null },
            "previousState": { "value": "OK" }, "count": 3, "share": 0.5, "on": true,
            "list": [{ "k": "a", "v": 1 }, { "k": "b", "v": 2 }], "empty": []
        }
    })
}

fn check_pattern(detail: Value, expected: bool) {
    let pattern = EventPattern::new(&json!({ "detail": detail })).unwrap();
    assert_eq!(pattern.matches(&alarm_event()), expected, "{detail}");
}

#[test]
fn patterns_match_as_documented() {
    let whole = json!({ "source": ["aws.cloudwatch"], "detail-type": ["CloudWatch Alarm State Change"],
        "resources": ["arn:alarm:other", "arn:alarm:orders"], "detail": { "state": { "value": ["ALARM"] } } });
    assert!(EventPattern::new(&whole).unwrap().matches(&alarm_event()));
    for (detail, expected) in [
        (json!({ "state": { "value": ["OK", "ALARM"] } }), true),
        (json!({ "state": { "value": ["alarm"] } }), false),
        (json!({ "count": [3] }), true),
        (json!({ "count": ["3"] }), false),
        (json!({ "on": [true] }), true),
        (json!({ "state": { "reasonData": [null] } }), true),
        (json!({ "state": [{ "exists": true }] }), false),
        (json!({ "alarmName": [{ "prefix": "ord" }] }), true),
        (json!({ "alarmName": [{ "suffix": "ord" }] }), false),
        (json!({ "alarmName": [{ "equals-ignore-case": "ORDERS" }] }), true),
        (json!({ "alarmName": [{ "wildcard": "o*d*s" }] }), true),
        (json!({ "alarmName": [{ "wildcard": "*z*" }] }), false),
        (json!({ "alarmName": [{ "anything-but": ["a", "b"] }] }), true),
        (json!({ "alarmName": [{ "anything-but": { "prefix": "ord" } }] }), false),
        (json!({ "absent": [{ "anything-but": "a" }] }), false),
        (json!({ "state": { "reasonData": [{ "anything-but": "a" }] } }), true),
        (json!({ "absent": [{ "exists": false }] }), true),
        (json!({ "absent": { "deeper": [{ "exists": false }] } }), true),
        (json!({ "empty": [{ "exists": false }] }), true),
        (json!({ "alarmName": [{ "exists": false }, "orders"] }), true),
        (json!({ "share": [{ "numeric": [">", 0, "<=", 0.5] }] }), true),
        (json!({ "count": [{ "numeric": ["<", 3] }] }), false),
        // Fields of one pattern must match in the same element of a list.
        (json!({ "list": { "k": ["a"], "v": [1] } }), true),
        (json!({ "list": { "k": ["a"], "v": [2] } }), false),
        (json!({ "$or": [{ "count": [9] }, { "on": [true] }] }), true),
        (json!({ "$or": [{ "count": [9] }, { "on": [false] }], "alarmName": ["orders"] }), false),
    ] {
        check_pattern(detail, expected);
    }
}

#[test]
fn unknown_patterns_are_refused_by_name() {
    for (pattern, message) in [
        (
            json!({ "detail": { "ip": [{ "cidr": "10.0.0.0/8" }] } }),
            "event pattern.detail.ip.cidr: is not modelled; allowed are prefix, suffix, anything-but, exists, numeric, equals-ignore-case and wildcard",
        ),
        (
            json!({ "source": "aws.cloudwatch" }),
            "event pattern.source: must be an object or an array, not \"aws.cloudwatch\"",
        ),
        (json!({ "source": [] }), "event pattern.source: Empty arrays are not allowed"),
        (
            json!({ "a": [{ "wildcard": "a**" }] }),
            "event pattern.a.wildcard: Consecutive wildcard characters are not allowed",
        ),
        (
            json!({ "a": [{ "numeric": [">", 5, "<", 1] }] }),
            "event pattern.a.numeric: takes one operator and its number, or a lower and an upper bound",
        ),
        (
            json!({ "a": [{ "prefix": { "equals-ignore-case": "x" } }] }),
            "event pattern.a.prefix: takes a text that is not empty, not {\"equals-ignore-case\":\"x\"}",
        ),
    ] {
        assert_eq!(EventPattern::new(&pattern).unwrap_err().to_string(), message);
    }
}

fn rule_with(target: Value) -> Result<Rule, Vec<String>> {
    let mut whole = json!({ "Id": "t", "Arn": "arn:target" });
    for (member, value) in target.as_object().unwrap() {
        whole[member] = value.clone();
    }
    rule(&json!({ "EventPattern": { "source": ["aws.cloudwatch"] }, "Targets": [whole] }))
}

fn check_template(template: &str, expected: Result<&str, &str>) {
    let paths = json!({ "name": "$.detail.alarmName", "state": "$.detail.state", "value": "$.detail.state.value",
        "reason": "$.detail.state.reason", "count": "$.detail.count", "first": "$.resources[0]", "none": "$.detail.no.such",
        "null": "$.detail.state.reasonData" });
    let rule =
        rule_with(json!({ "InputTransformer": { "InputPathsMap": paths, "InputTemplate": template } }))
            .unwrap();
    let input = rule.input_for(&rule.targets[0], &alarm_event(), 1_795_255_201_500);
    assert_eq!(
        input.as_deref().map_err(ToString::to_string),
        expected.map_err(|text| format!("the filled in InputTemplate is no valid JSON: {text}")),
        "{template}"
    );
}

#[test]
fn templates_are_filled_in_as_aws_does() {
    check_template(r#""alarm <name> is in <value>""#, Ok(r#""alarm orders is in ALARM""#));
    check_template(r#""alarm \"<name>\" is <none>.""#, Ok(r#""alarm \"orders\" is .""#));
    check_template(
        "{\n  \"a\" : <name>,\n  \"b\": [ 9, <value>, true ]\n}",
        Ok(r#"{"a":"orders","b":[9,"ALARM",true]}"#),
    );
    check_template(r#"{"a": "x \"<name>\" y", "b": "<value>"}"#, Ok(r#"{"a":"x \"orders\" y","b":"ALARM"}"#));
    check_template(
        r#"{"n": <count>, "s": "<count>", "r": <first>, "z": <null>}"#,
        Ok(r#"{"n":3,"s":"3","r":"arn:alarm:orders","z":null}"#),
    );
    // What the event lacks is an empty text, not null and not left out.
    check_template(r#"{"a": <none>, "b": "<none>"}"#, Ok(r#"{"a":"","b":""}"#));
    // Outside quotes a value is JSON; within them it goes in raw and can spoil the template.
    check_template(r#"{"reason": <reason>}"#, Ok(r#"{"reason":"3 of \"5\" points"}"#));
    check_template(r#"{"reason": "<reason>"}"#, Err(r#"{"reason": "3 of "5" points"}"#));
    check_template(
        r#"{"state": <state>}"#,
        Ok(r#"{"state":{"value":"ALARM","reason":"3 of \"5\" points","reasonData":null}}"#),
    );
    check_template(
        r#"{"rule": <aws.events.rule-name>, "arn": "<aws.events.rule-arn>", "at": <aws.events.event.ingestion-time>}"#,
        Ok(
            r#"{"rule":"trip","arn":"arn:aws:events:eu-west-1:123456789012:rule/trip","at":"2026-11-21T10:00:01Z"}"#,
        ),
    );
    check_template("<aws.events.event.json>", Ok(&alarm_event().to_string()));
}

#[test]
fn targets_are_read_and_refused_by_name() {
    let whole = rule_with(json!({ "RoleArn": "arn:role", "DeadLetterConfig": { "Arn": "arn:dlq" },
        "RetryPolicy": { "MaximumEventAgeInSeconds": 60 }, "InputPath": "$.detail.state.value" }))
    .unwrap();
    let target = &whole.targets[0];
    assert_eq!((target.max_event_age_s, target.max_retry_count), (60, 185));
    assert_eq!(target.dead_letter_arn.as_deref(), Some("arn:dlq"));
    assert_eq!(whole.input_for(target, &alarm_event(), 0).unwrap(), r#""ALARM""#);
    assert!(whole.matches(&alarm_event()));

    let template = |template: &str| json!({ "InputTransformer": { "InputPathsMap": { "a": "$.id" }, "InputTemplate": template } });
    for (target, problem) in [
        (template("\"<b>\""), "Targets[0].InputTransformer.InputTemplate: contains invalid placeholder b"),
        (
            template("{\"<a>\": 1}"),
            "Targets[0].InputTransformer.InputTemplate: has a placeholder as an object key",
        ),
        (
            template("plain <a>"),
            "Targets[0].InputTransformer.InputTemplate: is no valid JSON (expected value at line 1 column 1); a text needs quotes",
        ),
        (
            template("<aws.events.event>"),
            "Targets[0].InputTransformer.InputTemplate: <aws.events.event> is not modelled; use <aws.events.event.json>",
        ),
        (
            json!({ "Input": "{}", "InputPath": "$" }),
            "Targets[0]: Only one of Input, InputPath, or InputTransformer must be provided",
        ),
        (
            json!({ "SqsParameters": {} }),
            "Targets[0].SqsParameters: is not modelled; remove it, or extend the model",
        ),
        (
            json!({ "RetryPolicy": { "MaximumRetryAttempts": 186 } }),
            "Targets[0].RetryPolicy.MaximumRetryAttempts: is 186; allowed are 0 to 185",
        ),
        (
            json!({ "InputPath": "$.detail[*]" }),
            "Targets[0].InputPath: is $.detail[*]; allowed are $, names with letters, digits, - _ and /, and indices: $.detail.list[0]",
        ),
    ] {
        assert_eq!(rule_with(target).unwrap_err(), [problem]);
    }
}

#[test]
fn schedules_are_rates() {
    for (expression, period_s) in [("rate(1 minute)", 60), ("rate(5 minutes)", 300), ("rate(2 hours)", 7_200)]
    {
        let rule = rule(&json!({ "ScheduleExpression": expression })).unwrap();
        assert_eq!(rule.schedule_period_s, Some(period_s));
        assert!(!rule.matches(&alarm_event()));
    }
    for expression in ["rate(1 minutes)", "rate(0 minutes)", "cron(0 12 * * ? *)"] {
        let problems = rule(&json!({ "ScheduleExpression": expression })).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(&format!("ScheduleExpression: is {expression}; ")));
    }
    let scheduled = rule(&json!({ "ScheduleExpression": "rate(1 day)" })).unwrap();
    let event = scheduled.scheduled_event(&Bus { account: "1", region: "eu-west-1" }, "id", 0);
    assert_eq!((&event["source"], &event["time"]), (&json!("aws.events"), &json!("1970-01-01T00:00:00Z")));
}

#[test]
fn put_events_sends_good_entries_and_names_bad_ones() {
    let bus = Bus { account: "123456789012", region: "eu-west-1" };
    let mut ids = 0;
    let mut next_id = || {
        ids += 1;
        format!("id-{ids}")
    };
    let entry = |source: &str, detail: &str| json!({ "Source": source, "DetailType": "Trip Requested", "Detail": detail });
    let request = json!({ "Entries": [
        entry("breaker", "{\"circuit\":\"orders\"}"), entry("aws.cloudwatch", "{}"), entry("breaker", "[]"), { "DetailType": "d", "Detail": "{}" },
    ] });
    let outcome = put_events(&request, &bus, 1_795_255_201_500, &mut next_id).unwrap();
    assert_eq!(
        outcome.answer,
        json!({ "FailedEntryCount": 3, "Entries": [
        { "EventId": "id-1" },
        { "ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source." },
        { "ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed." },
        { "ErrorCode": "InvalidArgument", "ErrorMessage": "Parameter Source is not valid. Reason: Source is a required argument." },
    ] })
    );
    assert_eq!(
        outcome.events,
        [(
            "default".to_owned(),
            json!({
                "version": "0", "id": "id-1", "detail-type": "Trip Requested", "source": "breaker", "account": "123456789012",
                "time": "2026-11-21T10:00:01Z", "region": "eu-west-1", "resources": [], "detail": { "circuit": "orders" },
            })
        )]
    );
    let mut refused = |request: Value| put_events(&request, &bus, 0, &mut next_id).unwrap_err().message;
    assert_eq!(
        refused(json!({ "Entries": [entry("b", &format!("{{\"a\":\"{}\"}}", "x".repeat(262_144)))] })),
        "Total size of the entries in the request is over the limit."
    );
    assert_eq!(
        refused(json!({ "Entries": [{ "TraceHeader": "x" }] })),
        "request member Entries[0].TraceHeader is not modelled; allowed are Source, DetailType, Detail, EventBusName, Time, Resources"
    );
    assert!(
        refused(json!({ "Entries": vec![entry("b", "{}"); 11] }))
            .ends_with("length less than or equal to 10")
    );
}

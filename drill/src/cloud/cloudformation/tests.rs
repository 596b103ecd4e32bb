//! Loading templates.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

fn environment() -> Environment {
    Environment {
        account: "123456789012".into(),
        region: "eu-west-1".into(),
        stack_name: "shop".into(),
        partition: "aws".into(),
    }
}

fn load(template: &Value, given: &[(&str, &str)]) -> Result<Stack, Vec<String>> {
    let given = given.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Stack::load(template, &given, environment())
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

/// The resolved value of an environment variable, or the errors.
fn check_value(value: Value, expected: Result<Value, &str>) {
    let template = json!({
        "Parameters": { "Size": { "Type": "Number", "Default": 5 }, "List": { "Type": "CommaDelimitedList", "Default": "a, b" },
            "Text": { "Type": "String", "Default": "t" } },
        "Mappings": { "M": { "eu-west-1": { "k": "mapped" } } },
        "Conditions": { "Big": { "Fn::Not": [{ "Fn::Equals": [{ "Ref": "Size" }, "5"] }] },
            "Either": { "Fn::Or": [{ "Condition": "Big" }, { "Fn::Equals": [{ "Ref": "AWS::Region" }, "eu-west-1"] }] } },
        "Resources": {
            "Probe": { "Type": "AWS::StepFunctions::StateMachine", "Properties": { "Definition": {}, "Tested": value } },
            "Queue": { "Type": "AWS::SQS::Queue", "Properties": { "QueueName": "q" } },
            "Never": { "Type": "AWS::SQS::Queue", "Condition": "Big" },
        },
    });
    let result =
        load(&template, &[]).map(|stack| stack.resource("Probe").unwrap().properties.get("Tested").cloned());
    match (result, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found.unwrap_or(json!("no value")), expected),
        (Err(found), Err(expected)) => {
            assert_eq!(found, [format!("Resources.Probe.Properties.Tested: {expected}")]);
        }
        (found, expected) => panic!("{value}: {found:?}, expected {expected:?}"),
    }
}

#[test]
fn functions_are_resolved() {
    for (value, expected) in [
        (json!({ "Ref": "Size" }), json!(5)),
        (json!({ "Ref": "List" }), json!(["a", "b"])),
        (json!({ "Ref": "Queue" }), json!("https://sqs.eu-west-1.amazonaws.com/123456789012/q")),
        (json!({ "Fn::GetAtt": ["Queue", "Arn"] }), json!("arn:aws:sqs:eu-west-1:123456789012:q")),
        (json!({ "Fn::GetAtt": "Queue.QueueName" }), json!("q")),
        (
            json!({ "Fn::Sub": "${AWS::Partition}:${Queue.QueueName}:${Size}:${!Kept}" }),
            json!("aws:q:5:${Kept}"),
        ),
        (
            json!({ "Fn::Sub": ["${a}-${Text}", { "a": { "Fn::Join": ["+", { "Ref": "List" }] } }] }),
            json!("a+b-t"),
        ),
        (json!({ "Fn::Select": ["1", { "Fn::Split": ["/", "x/y/z"] }] }), json!("y")),
        (json!({ "Fn::If": ["Big", { "Fn::GetAtt": ["Never", "Arn"] }, ["small"]] }), json!(["small"])),
        (json!({ "Fn::If": ["Either", { "Ref": "AWS::NoValue" }, 1] }), json!("no value")),
        (json!({ "Fn::FindInMap": ["M", { "Ref": "AWS::Region" }, "k"] }), json!("mapped")),
        // IAM statements have a member called Condition, which is no function.
        (json!({ "Condition": { "StringEquals": {} } }), json!({ "Condition": { "StringEquals": {} } })),
    ] {
        check_value(value, Ok(expected));
    }
    for (value, problem) in [
        (json!({ "Ref": "Nobody" }), "Nobody is no parameter and no resource with a condition that holds"),
        (json!({ "Ref": "Never" }), "Never is no parameter and no resource with a condition that holds"),
        (
            json!({ "Fn::GetAtt": ["Queue", "Colour"] }),
            "AWS::SQS::Queue Queue has no attribute Colour; allowed are Arn, QueueName, QueueUrl",
        ),
        (json!({ "Fn::Select": [3, ["a"]] }), "Fn::Select: index 3 is beyond a list of 1"),
        (
            json!({ "Fn::ImportValue": "x" }),
            "Fn::ImportValue with \"x\" is not modelled; allowed are Ref, Fn::GetAtt, Fn::Sub, Fn::Join, Fn::Select, Fn::Split, Fn::If, Fn::FindInMap",
        ),
        (
            json!("{{resolve:ssm:x}}"),
            "{{resolve:ssm:x}}: dynamic references are not modelled; use a parameter",
        ),
    ] {
        check_value(value, Err(problem));
    }
}

#[test]
fn resources_are_named_and_ordered() {
    let template = json!({ "Resources": {
        "Mapping": { "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": { "FunctionName": { "Ref": "Consumer" }, "EventSourceArn": { "Fn::GetAtt": ["Orders", "Arn"] } } },
        "Consumer": { "Type": "AWS::Lambda::Function", "DependsOn": "Logs", "Metadata": { "Asset": "consumer" }, "Properties": {
            "Role": { "Fn::GetAtt": ["Role", "Arn"] }, "Environment": { "Variables": { "BATCH": 10, "ON": true } } } },
        "Role": { "Type": "AWS::IAM::Role" },
        "Logs": { "Type": "AWS::Logs::LogGroup" },
        "Orders": { "Type": "AWS::SQS::Queue", "Properties": { "FifoQueue": true,
            "RedrivePolicy": { "deadLetterTargetArn": { "Fn::GetAtt": "Dead.Arn" }, "maxReceiveCount": 15 } } },
        "Dead": { "Type": "AWS::SQS::Queue", "Properties": { "FifoQueue": true } },
        "Bus": { "Type": "AWS::Events::EventBus", "Properties": { "Name": "own" } },
        "OnBus": { "Type": "AWS::Events::Rule", "Properties": { "EventBusName": { "Ref": "Bus" }, "Name": "n" } },
    }, "Outputs": { "Arn": { "Value": { "Fn::GetAtt": ["Mapping", "EventSourceMappingArn"] } } } });
    let stack = load(&template, &[]).unwrap();
    let order: Vec<&str> = stack.resources.iter().map(|resource| resource.logical_id.as_str()).collect();
    assert_eq!(order, ["Role", "Logs", "Consumer", "Dead", "Orders", "Mapping", "Bus", "OnBus"]);
    let consumer = stack.resource("Consumer").unwrap();
    assert_eq!(consumer.metadata, json!({ "Asset": "consumer" }));
    assert_eq!(consumer.depends_on, BTreeSet::from(["Logs".to_owned(), "Role".to_owned()]));
    assert_eq!(consumer.properties["Environment"]["Variables"], json!({ "BATCH": "10", "ON": "true" }));
    let suffix = consumer.physical_id.strip_prefix("shop-Consumer-").unwrap();
    assert!(suffix.len() == 12 && suffix.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()));
    assert!(stack.resource("Orders").unwrap().name.ends_with(".fifo"));
    let on_bus = stack.resource("OnBus").unwrap();
    assert_eq!(on_bus.physical_id, "own|n");
    assert_eq!(on_bus.arn.as_deref(), Some("arn:aws:events:eu-west-1:123456789012:rule/own/n"));
    let mapping = stack.resource("Mapping").unwrap();
    assert_eq!(
        stack.outputs["Arn"],
        format!("arn:aws:lambda:eu-west-1:123456789012:event-source-mapping:{}", mapping.physical_id)
    );
    assert_eq!(mapping.properties["FunctionName"], json!(consumer.physical_id));
    assert_eq!(stack, load(&template, &[]).unwrap(), "the same template gives the same names");

    let mut elsewhere = environment();
    elsewhere.stack_name = "a-stack-with-a-name-much-longer-than-any-function-may-have-at-all".into();
    let other = Stack::load(&template, &BTreeMap::new(), elsewhere).unwrap();
    let name = &other.resource("Consumer").unwrap().name;
    assert!(name.len() <= 64 && name.contains("-Consumer-"), "{name}");
}

#[test]
fn definitions_are_substituted_completely() {
    let check = |properties: Value, expected: Result<&str, &str>| {
        let template = json!({ "Resources": { "M": { "Type": "AWS::StepFunctions::StateMachine", "Properties": properties } } });
        match (load(&template, &[]), expected) {
            (Ok(stack), Ok(expected)) => {
                assert_eq!(stack.resource("M").unwrap().properties, json!({ "DefinitionString": expected }));
            }
            (Err(found), Err(expected)) => assert_eq!(found, [format!("Resources.M.Properties.{expected}")]),
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    };
    let with = |text: &str, map: Value| json!({ "DefinitionString": text, "DefinitionSubstitutions": map });
    check(with(r#"{"a":"${X}"}"#, json!({ "X": { "Ref": "AWS::Region" } })), Ok(r#"{"a":"eu-west-1"}"#));
    check(
        json!({ "Definition": { "b": "${X}${X}" }, "DefinitionSubstitutions": { "X": 7 } }),
        Ok(r#"{"b":"77"}"#),
    );
    // JSONata's grouping looks like a placeholder but has more than a name.
    check(with(r#"{"a":"{% x${'k': v} %}"}"#, json!({})), Ok(r#"{"a":"{% x${'k': v} %}"}"#));
    check(with(r#"{"a":"${X}"}"#, json!({})), Err("DefinitionString: ${X} has no DefinitionSubstitutions.X"));
    check(with("{}", json!({ "X": "1" })), Err("DefinitionSubstitutions.X: is not used by the definition"));
    check(
        with("{", json!({})),
        Err("DefinitionString: is no valid JSON: EOF while parsing an object at line 1 column 1"),
    );
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let template = json!({
        "Transform": "AWS::Serverless-2016-10-31",
        "Parameters": {
            "Env": { "Type": "String", "AllowedValues": ["dev", "prod"] },
            "Count": { "Type": "Number", "MinValue": 1, "MaxValue": 9 },
            "Lost": { "Type": "String" },
        },
        "Conditions": { "A": { "Condition": "B" }, "B": { "Condition": "A" } },
        "Resources": {
            "Bucket": { "Type": "AWS::S3::Bucket" },
            "X": { "Type": "AWS::SQS::Queue", "Properties": { "T": { "Ref": "Y" } } },
            "Y": { "Type": "AWS::SQS::Queue", "Properties": { "T": { "Fn::Sub": "${Z.Arn} ${Bucket}" } } },
            "Z": { "Type": "AWS::SQS::Queue", "DependsOn": ["X"] },
            "Q": { "Type": "AWS::SQS::Queue", "Properties": { "QueueName": "q.fifo", "V": [{ "Ref": "No1" }, { "Ref": "No2" }] } },
            "R": { "Type": "AWS::SQS::Queue", "Condition": "None", "UpdatePolicy": {} },
        },
        "Outputs": { "O": { "Value": { "Fn::GetAtt": ["Q", "Size"] } } },
    });
    let sections = "AWSTemplateFormatVersion, Description, Metadata, Parameters, Mappings, Conditions, Resources, Outputs";
    let members = "Type, Properties, DependsOn, Condition, Metadata, DeletionPolicy, UpdateReplacePolicy";
    assert_eq!(
        load(&template, &[("Env", "test"), ("Count", "10"), ("Typo", "1")]).unwrap_err(),
        [
            format!("Transform: is not modelled; allowed are {sections}"),
            "Parameters.Env: is test; allowed are dev, prod".to_owned(),
            "Parameters.Count: its value is 10; allowed are 1 to 9".to_owned(),
            "Parameters.Lost: has no default and no value was given".to_owned(),
            "Parameters.Typo: is no parameter of the template".to_owned(),
            "Conditions.B: refers to itself: A -> B -> A".to_owned(),
            format!(
                "Resources.Bucket.Type: \"AWS::S3::Bucket\" is not modelled; allowed are {}",
                Kind::all_names()
            ),
            format!("Resources.R.UpdatePolicy: is not modelled; allowed are {members}"),
            "Resources.R.Condition: None is no condition of the template".to_owned(),
            "Resources.X: Circular dependency between resources: X -> Y -> Z -> X".to_owned(),
            "Resources.Q.Properties.V[0]: No1 is no parameter and no resource with a condition that holds"
                .to_owned(),
            "Resources.Q.Properties.V[1]: No2 is no parameter and no resource with a condition that holds"
                .to_owned(),
            "Resources.Q.Properties.QueueName: q.fifo: a FIFO name ends in .fifo, and no other does"
                .to_owned(),
            "Outputs.O: AWS::SQS::Queue Q has no attribute Size; allowed are Arn, QueueName, QueueUrl"
                .to_owned(),
        ]
    );
}

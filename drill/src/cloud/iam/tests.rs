//! Decisions about calls, on the roles of a loaded stack.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::cloud::cloudformation::Environment;

fn roles(statements: Value, more: Value) -> Result<Roles, Vec<String>> {
    let mut role = json!({
        "AssumeRolePolicyDocument": { "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" }, "Action": "sts:AssumeRole" } ] },
        "RoleName": "r",
        "Policies": [{ "PolicyName": "own", "PolicyDocument": { "Version": "2012-10-17", "Statement": statements } }],
    });
    for (member, value) in more.as_object().unwrap() {
        role[member] = value.clone();
    }
    let denied = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Deny", "Action": "sqs:Purge*", "Resource": "*" }] });
    let template = json!({ "Resources": {
        "Role": { "Type": "AWS::IAM::Role", "Properties": role },
        "Extra": { "Type": "AWS::IAM::Policy", "Properties": { "PolicyName": "extra", "PolicyDocument": denied, "Roles": [{ "Ref": "Role" }] } },
    } });
    let environment = Environment {
        account: "1".into(),
        region: "eu-west-1".into(),
        stack_name: "s".into(),
        partition: "aws".into(),
    };
    let stack = Stack::load(&template, &BTreeMap::new(), environment).unwrap();
    Roles::from_stack(&stack).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

#[test]
fn policies_decide_by_action_resource_and_condition() {
    let orders = "arn:aws:sqs:eu-west-1:1:orders";
    let roles = roles(
        json!([
            { "Effect": "Allow", "Action": ["sqs:ReceiveMessage", "sqs:Purge?ueue"], "Resource": orders },
            { "Effect": "Allow", "Action": "lambda:*", "Resource": "arn:aws:lambda:*:1:function:probe-?" },
            { "Effect": "Allow", "Action": "events:PutEvents", "Resource": "*", "Condition": { "StringEquals": { "events:source": ["breaker"] } } },
            { "Effect": "Allow", "Action": "lambda:UpdateEventSourceMapping", "Resource": "*",
              "Condition": { "ArnEquals": { "lambda:FunctionArn": "arn:aws:lambda:*:function:orders" } } },
        ]),
        json!({}),
    )
    .unwrap();
    let role = roles.get("arn:aws:iam::1:role/r").unwrap();
    let check = |action: &str, resource: &str, key: &str, value: &str, expected: Decision| {
        let context = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert_eq!(role.decide(action, resource, &context), expected, "{action} on {resource}");
    };
    check("sqs:receivemessage", orders, "", "", Decision::Allowed);
    check("sqs:ReceiveMessage", "arn:aws:sqs:eu-west-1:1:orders-dlq", "", "", Decision::NotAllowed);
    check("sqs:DeleteMessage", orders, "", "", Decision::NotAllowed);
    check("sqs:PurgeQueue", orders, "", "", Decision::Denied { policy: "extra".into() });
    check("lambda:InvokeFunction", "arn:aws:lambda:eu-west-1:1:function:probe-2", "", "", Decision::Allowed);
    check(
        "lambda:InvokeFunction",
        "arn:aws:lambda:eu-west-1:1:function:probe-22",
        "",
        "",
        Decision::NotAllowed,
    );
    check("events:PutEvents", "bus", "events:source", "breaker", Decision::Allowed);
    check("events:PutEvents", "bus", "events:source", "other", Decision::NotAllowed);
    check("events:PutEvents", "bus", "", "", Decision::NotAllowed);
    let (action, key) = ("lambda:UpdateEventSourceMapping", "lambda:FunctionArn");
    check(action, "m", key, "arn:aws:lambda:eu-west-1:1:function:orders", Decision::Allowed);
    check(action, "m", key, "arn:aws:lambda:eu-west-1:1:function:other", Decision::NotAllowed);

    let none = BTreeMap::new();
    assert!(role.can_be_assumed_by("lambda.amazonaws.com", &none));
    assert!(!role.can_be_assumed_by("states.amazonaws.com", &none));
    let refusal = role.check("sqs:DeleteMessage", orders, &none).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        format!(
            "AccessDeniedException: User: arn:aws:sts::1:assumed-role/r/session is not authorized to perform: \
         sqs:DeleteMessage on resource: {orders} because no identity-based policy allows the sqs:DeleteMessage action"
        )
    );
}

#[test]
fn what_is_not_modelled_is_refused_by_name() {
    let statements = json!([{ "Effect": "Allow", "NotAction": "sqs:*", "Resource": "a${aws:username}",
        "Condition": { "Bool": { "aws:SecureTransport": "true" } } }]);
    let more =
        json!({ "ManagedPolicyArns": ["arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"] });
    let path = "Resources.Role.Properties.Policies[0].PolicyDocument.Statement[0]";
    assert_eq!(roles(statements, more).unwrap_err(), [
        "Resources.Role.Properties.ManagedPolicyArns: [\"arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole\"]: managed policies are not modelled; write the statements out".to_owned(),
        format!("{path}.Resource: a${{aws:username}}: policy variables are not modelled"),
        format!("{path}.Action: is missing; NotAction and NotResource are not modelled"),
        format!("{path}.Resource: is missing; NotAction and NotResource are not modelled"),
        format!("{path}.Condition.Bool: is not modelled; remove it, or extend the model"),
        format!("{path}.NotAction: is not modelled; remove it, or extend the model"),
    ]);
}

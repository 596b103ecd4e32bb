//! What the roles may do: named actions on named resources, and nothing else.

mod common;

use infra::SynthOptions;
use serde_json::{Map, Value};

/// Every policy statement in a value, with the path to it.
fn statements<'a>(path: &str, value: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                if name == "Statement" {
                    let list = inner.as_array().expect("a list of statements");
                    found.extend(list.iter().map(|one| (path.to_owned(), one)));
                } else {
                    statements(&format!("{path}/{name}"), inner, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|inner| statements(path, inner, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn resources(template: &Value) -> &Map<String, Value> {
    template["Resources"].as_object().expect("a template has resources")
}

/// Every variant, and each once more with parameters for its consumers.
fn templates() -> Vec<(String, Value)> {
    let options = SynthOptions { parameterized: true, ..SynthOptions::default() };
    let parameterized = common::variants().into_iter().map(|(variant, config)| {
        let assembly = infra::synth_with(&config, &options).expect("every variant is valid");
        (format!("parameterized/{variant}"), assembly.template)
    });
    let plain = common::templates().into_iter().map(|(variant, template)| (variant.to_owned(), template));
    plain.chain(parameterized).collect()
}

/// Statements with a wildcard in an action, a resource or a principal, in all variants, as `path: sid`.
fn wildcards() -> Vec<String> {
    let mut found = Vec::new();
    for (variant, template) in templates() {
        let mut all = Vec::new();
        for (id, resource) in resources(&template) {
            statements(&format!("{variant}/{id}"), resource, &mut all);
        }
        for (path, statement) in all {
            let wild = |part: &str| serde_json::to_string(&statement[part]).expect("JSON").contains('*');
            // What is allowed to all but some is a wildcard too.
            let negated =
                ["NotAction", "NotResource", "NotPrincipal"].iter().any(|part| !statement[*part].is_null());
            if wild("Action") || wild("Resource") || wild("Principal") || negated {
                found.push(format!("{path}: {}", statement["Sid"].as_str().unwrap_or("(none)")));
            }
        }
    }
    found
}

#[test]
fn wildcards_stand_only_where_they_are_explained() {
    let explained = [
        // In a key's policy `*` is the key itself, and the account's root delegates to the account's IAM policies.
        "QueueKey/Properties/KeyPolicy: LetIamPoliciesDecide",
        // Executions have names that nobody knows beforehand; the state machine before them is exact.
        "ExecutionPolicy/Properties/PolicyDocument: SeeWhetherOwnerLives",
        // CloudWatch describes composite alarms only to who may describe every alarm.
        "composite-alarm/OrdersStateMachineRole/Properties/Policies/PolicyDocument: ReadAlarm",
        "composite-alarm/ReconcilerFunctionRole/Properties/Policies/PolicyDocument: SeeAlarms",
        "ReconcilerFunctionRole/Properties/Policies/PolicyDocument: SeeWhetherOwnersLive",
        // The action knows no resources.
        "StateMachineRole/Properties/Policies/PolicyDocument: ReadFailures",
        // Nor does this one; the token decides.
        "ReconcilerFunctionRole/Properties/Policies/PolicyDocument: WakeOwners",
        "SignalFunctionRole/Properties/Policies/PolicyDocument: WakeOwners",
    ];
    let mut unexplained = wildcards();
    unexplained.retain(|one| !explained.iter().any(|end| one.ends_with(end)));
    assert_eq!(unexplained, Vec::<String>::new());
}

#[test]
fn no_role_takes_a_policy_from_elsewhere() {
    for (variant, template) in templates() {
        for (id, resource) in resources(&template) {
            let managed = resource["Properties"].get("ManagedPolicyArns");
            assert!(managed.is_none(), "{variant}: {id} has policies that are not in the template");
        }
    }
}

#[test]
fn every_queue_and_table_is_encrypted() {
    for (variant, template) in templates() {
        for (id, resource) in resources(&template) {
            let properties = &resource["Properties"];
            let encrypted = match resource["Type"].as_str() {
                Some("AWS::SQS::Queue") => {
                    properties["SqsManagedSseEnabled"] == true || properties.get("KmsMasterKeyId").is_some()
                }
                Some("AWS::DynamoDB::Table") => properties["SSESpecification"]["SSEEnabled"] == true,
                _ => true,
            };
            assert!(encrypted, "{variant}: {id}");
        }
    }
}

/// Checks what the role of a function in the variant may do beside writing logs, as `action on resource`.
fn check(variant: &str, role: &str, expected: &[&str]) {
    let template = common::template(variant);
    let mut found = Vec::new();
    statements("", &template["Resources"][role]["Properties"]["Policies"], &mut found);
    let mut allowed = Vec::new();
    for (_, statement) in found {
        for action in statement["Action"].as_array().expect("a list") {
            for resource in statement["Resource"].as_array().expect("a list") {
                allowed.push(format!("{} on {}", action.as_str().expect("text"), short(resource)));
            }
        }
    }
    allowed.retain(|one| !one.starts_with("logs:"));
    assert_eq!(allowed, expected);
}

/// A resource of a statement in few words.
fn short(resource: &Value) -> String {
    match resource {
        Value::String(arn) => arn.clone(),
        other => match (&other["Fn::GetAtt"][0], &other["Fn::Sub"], &other["Ref"]) {
            (Value::String(id), _, _) | (_, _, Value::String(id)) => id.clone(),
            (_, Value::String(text), _) => text.rsplit(':').next().unwrap_or(text).to_owned(),
            _ => other.to_string(),
        },
    }
}

#[test]
fn the_signal_function_looks_and_ends_waits() {
    let may = ["dynamodb:GetItem on CircuitTable", "states:SendTaskSuccess on *"];
    check("example", "SignalFunctionRole", &may);
}

#[test]
fn the_reconciler_looks_starts_and_writes_no_circuits_item() {
    check(
        "example",
        "ReconcilerFunctionRole",
        &[
            "dynamodb:GetItem on CircuitTable",
            "dynamodb:PutItem on CircuitTable",
            "lambda:GetEventSourceMapping on ${ExampleMapping}",
            "cloudwatch:DescribeAlarms on ExampleFailureAlarm",
            "states:StartExecution on ExampleStateMachine",
            "states:ListExecutions on ExampleStateMachine",
            "states:DescribeExecution on *",
            "states:SendTaskSuccess on *",
            "events:PutEvents on event-bus/default",
        ],
    );
    let template = common::template("example");
    let mut found = Vec::new();
    statements("", &template["Resources"]["ReconcilerFunctionRole"]["Properties"]["Policies"], &mut found);
    let put = found.iter().find(|(_, one)| one["Sid"] == "RememberWhatWasSaid").expect("it remembers");
    let own = serde_json::json!({ "ForAllValues:StringEquals": { "dynamodb:LeadingKeys": "example#watch" } });
    assert_eq!(put.1["Condition"], own);
}

#[test]
fn the_mapping_function_switches_and_counts() {
    check(
        "example",
        "MappingFunctionRole",
        &[
            "dynamodb:GetItem on CircuitTable",
            "lambda:GetEventSourceMapping on ${ExampleMapping}",
            "lambda:UpdateEventSourceMapping on ${ExampleMapping}",
            "sqs:GetQueueAttributes on ExampleSourceQueue",
        ],
    );
}

#[test]
fn the_queue_function_only_looks_unless_it_is_asked_for_more() {
    check(
        "existing",
        "QueueFunctionRole",
        &[
            "dynamodb:GetItem on CircuitTable",
            "sqs:GetQueueAttributes on arn:aws:sqs:eu-west-1:123456789012:orders",
        ],
    );
    check(
        "loss-clock",
        "QueueFunctionRole",
        &[
            "dynamodb:GetItem on CircuitTable",
            "sqs:GetQueueAttributes on ExampleDeadLetterQueue",
            "sqs:GetQueueAttributes on ExampleSourceQueue",
            "sqs:SetQueueAttributes on ExampleSourceQueue",
            "sqs:StartMessageMoveTask on ExampleDeadLetterQueue",
            "sqs:ReceiveMessage on ExampleDeadLetterQueue",
            "sqs:DeleteMessage on ExampleDeadLetterQueue",
            "sqs:SendMessage on ExampleSourceQueue",
            "kms:Decrypt on ExampleQueueKey",
            "kms:GenerateDataKey on ExampleQueueKey",
        ],
    );
}

#[test]
fn the_probe_of_an_existing_consumer_names_it_exactly() {
    let queue = "arn:aws:sqs:eu-west-1:123456789012:orders";
    let key = "arn:aws:kms:eu-west-1:123456789012:key/0f9b4c1e-0000-4000-8000-000000000006";
    check(
        "existing",
        "ProbeFunctionRole",
        &[
            "dynamodb:GetItem on CircuitTable",
            &format!("sqs:ReceiveMessage on {queue}"),
            &format!("sqs:ChangeMessageVisibility on {queue}"),
            &format!("sqs:SendMessage on {queue}"),
            &format!("sqs:DeleteMessage on {queue}"),
            &format!("sqs:GetQueueAttributes on {queue}"),
            &format!("kms:Decrypt on {key}"),
            &format!("kms:GenerateDataKey on {key}"),
            "lambda:InvokeFunction on arn:aws:lambda:eu-west-1:123456789012:function:orders-consumer:live",
            "lambda:GetEventSourceMapping on \
             arn:aws:lambda:eu-west-1:123456789012:event-source-mapping:14e0db71-5d35-4eb5-b481-8945cf9d1c2e",
        ],
    );
}

#[test]
fn the_consumer_polls_its_queue_and_keeps_the_ledger() {
    check(
        "encrypted",
        "ExampleConsumerFunctionRole",
        &[
            "sqs:ReceiveMessage on ExampleSourceQueue",
            "sqs:DeleteMessage on ExampleSourceQueue",
            "sqs:GetQueueAttributes on ExampleSourceQueue",
            "kms:Decrypt on ExampleQueueKey",
            "sqs:SendMessage on ExampleLedgerQueue",
        ],
    );
}

#[test]
fn the_state_machine_may_call_what_its_states_call() {
    check(
        "health-check",
        "OrdersStateMachineRole",
        &[
            "lambda:InvokeFunction on MappingFunction",
            "lambda:InvokeFunction on ProbeFunction",
            "lambda:InvokeFunction on RejitterFunction",
            "lambda:InvokeFunction on QueueFunction",
            "lambda:InvokeFunction on arn:aws:lambda:eu-west-1:123456789012:function:orders-health",
            "dynamodb:GetItem on CircuitTable",
            "dynamodb:UpdateItem on CircuitTable",
            "events:PutEvents on event-bus/default",
            "cloudwatch:GetMetricData on *",
            "cloudwatch:SetAlarmState on OrdersFailureAlarm",
        ],
    );
    // Without a health check an empty queue leads to a limited close, which watches the alarm.
    check(
        "existing",
        "OrdersStateMachineRole",
        &[
            "lambda:InvokeFunction on MappingFunction",
            "lambda:InvokeFunction on ProbeFunction",
            "lambda:InvokeFunction on RejitterFunction",
            "lambda:InvokeFunction on QueueFunction",
            "dynamodb:GetItem on CircuitTable",
            "dynamodb:UpdateItem on CircuitTable",
            "events:PutEvents on event-bus/default",
            "cloudwatch:DescribeAlarms on OrdersFailureAlarm",
            "cloudwatch:GetMetricData on *",
            "cloudwatch:SetAlarmState on OrdersFailureAlarm",
        ],
    );
}

#[test]
fn an_existing_alarm_is_named_exactly() {
    let arn = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:orders: failing";
    for (variant, described) in [("existing-alarm", arn), ("composite-alarm", "*")] {
        check(
            variant,
            "OrdersStateMachineRole",
            &[
                "lambda:InvokeFunction on MappingFunction",
                "lambda:InvokeFunction on ProbeFunction",
                "lambda:InvokeFunction on RejitterFunction",
                "lambda:InvokeFunction on QueueFunction",
                "dynamodb:GetItem on CircuitTable",
                "dynamodb:UpdateItem on CircuitTable",
                "events:PutEvents on event-bus/default",
                &format!("cloudwatch:DescribeAlarms on {described}"),
                "cloudwatch:GetMetricData on *",
                &format!("cloudwatch:SetAlarmState on {arn}"),
            ],
        );
        let template = common::template(variant);
        let resources = resources(&template);
        assert_eq!(
            resources["OrdersAlarmRule"]["Properties"]["EventPattern"]["resources"],
            serde_json::json!([arn])
        );
        let machine = &resources["OrdersStateMachine"]["Properties"]["DefinitionSubstitutions"];
        assert_eq!(machine["AlarmName"], "orders: failing");
        assert!(resources.values().all(|one| one["Type"] != "AWS::CloudWatch::Alarm"), "{variant}");
    }
}

#[test]
fn a_machine_that_never_spreads_may_not_invoke_the_rejitter() {
    let template = common::template("fifo");
    let role = template["Resources"]["ExampleStateMachineRole"].to_string();
    assert!(role.contains("ProbeFunction") && !role.contains("RejitterFunction"), "{role}");
}

#[test]
fn only_the_two_rules_may_fill_the_undelivered_queue() {
    let template = common::template("example");
    let policy = &template["Resources"]["ExampleUndeliveredQueuePolicy"]["Properties"]["PolicyDocument"];
    let sources: Vec<String> = policy["Statement"][0]["Condition"]["ArnEquals"]["aws:SourceArn"]
        .as_array()
        .expect("two rules")
        .iter()
        .map(short)
        .collect();
    assert_eq!(policy["Statement"][0]["Principal"]["Service"], "events.amazonaws.com");
    assert_eq!(sources, ["ExampleAlarmRule", "ExampleRequestRule"]);
}

/// Properties that would fix the physical name of a resource.
const NAME_PROPERTIES: [&str; 11] = [
    "AlarmName",
    "AliasName",
    "EventBusName",
    "FunctionName",
    "LogGroupName",
    "ManagedPolicyName",
    "Name",
    "QueueName",
    "RoleName",
    "StateMachineName",
    "TableName",
];

#[test]
fn no_resource_has_a_fixed_physical_name() {
    for (variant, template) in templates() {
        for (id, resource) in resources(&template) {
            for name in NAME_PROPERTIES {
                // The `FunctionName` of a mapping and of a permission says whose they are.
                let refers = name == "FunctionName"
                    && ["AWS::Lambda::EventSourceMapping", "AWS::Lambda::Permission"]
                        .contains(&resource["Type"].as_str().unwrap_or_default());
                assert!(refers || resource["Properties"].get(name).is_none(), "{variant}: {id} has a {name}");
            }
        }
    }
}

//! Behaviour of the table, against what DynamoDB is known to answer.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn table() -> Table {
    let properties = json!({
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
        "TimeToLiveSpecification": { "AttributeName": "expires", "Enabled": true },
    });
    Table::from_properties("T", "arn:aws:dynamodb:eu-west-1:1:table/T", &properties).unwrap()
}

/// The item most tests start from.
fn stocked() -> Table {
    let mut table = table();
    let item = json!({
        "pk": { "S": "a" }, "n": { "N": "10" }, "s": { "S": "hello" }, "t": { "BOOL": true },
        "l": { "L": [{ "N": "0" }, { "N": "1" }, { "N": "2" }] },
        "m": { "M": { "x": { "N": "1" }, "y": { "L": [{ "S": "z" }] } } },
        "ss": { "SS": ["a", "b"] }, "state": { "S": "open" },
    });
    table.put_item(&json!({ "TableName": "T", "Item": item })).unwrap();
    table
}

fn request(expression: &str, values: Value, more: Value) -> Value {
    let mut request = json!({ "TableName": "T", "Key": { "pk": { "S": "a" } } });
    if !expression.is_empty() {
        request["UpdateExpression"] = json!(expression);
    }
    if values.as_object().is_some_and(|map| !map.is_empty()) {
        request["ExpressionAttributeValues"] = values;
    }
    for (key, value) in more.as_object().unwrap() {
        request[key] = value.clone();
    }
    request
}

/// Applies an update and compares the parts of the item it touched, or the error's message.
fn check_update(expression: &str, values: Value, expected: Result<Value, &str>) {
    let answer =
        stocked().update_item(&request(expression, values, json!({ "ReturnValues": "UPDATED_NEW" })));
    match (answer, expected) {
        (Ok(answer), Ok(expected)) => {
            assert_eq!(answer.get("Attributes").unwrap_or(&json!({})), &expected, "{expression}");
        }
        (Err(refusal), Err(expected)) => {
            assert_eq!(refusal.error.code, "ValidationException");
            assert_eq!(refusal.error.message, expected, "{expression}");
        }
        (answer, expected) => panic!("{expression}: {answer:?}, expected {expected:?}"),
    }
}

#[test]
fn updates_change_what_they_name() {
    for (expression, values, expected) in [
        ("SET n = n + :d", json!({ ":d": { "N": "2.50" } }), json!({ "n": { "N": "12.5" } })),
        ("set n = :d - n", json!({ ":d": { "N": "2" } }), json!({ "n": { "N": "-8" } })),
        (
            "SET c = if_not_exists(c, :zero) + :one",
            json!({ ":zero": { "N": "0" }, ":one": { "N": "1" } }),
            json!({ "c": { "N": "1" } }),
        ),
        ("SET c = if_not_exists(n, :v)", json!({ ":v": { "N": "7" } }), json!({ "c": { "N": "10" } })),
        (
            "SET l = list_append(l, :v)",
            json!({ ":v": { "L": [{ "S": "e" }] } }),
            json!({ "l": { "L": [{ "N": "0" }, { "N": "1" }, { "N": "2" }, { "S": "e" }] } }),
        ),
        // Operands are read before anything is written.
        ("SET s = n REMOVE n", json!({}), json!({ "s": { "N": "10" } })),
        ("SET m.x = :v", json!({ ":v": { "N": "9" } }), json!({ "m": { "M": { "x": { "N": "9" } } } })),
        ("SET l[9] = :v", json!({ ":v": { "N": "3" } }), json!({})),
        ("REMOVE absent", json!({}), json!({})),
        ("ADD n :v", json!({ ":v": { "N": "-4" } }), json!({ "n": { "N": "6" } })),
        ("ADD fresh :v", json!({ ":v": { "N": "5" } }), json!({ "fresh": { "N": "5" } })),
        ("ADD ss :v", json!({ ":v": { "SS": ["c", "a"] } }), json!({ "ss": { "SS": ["a", "b", "c"] } })),
        ("DELETE ss :v", json!({ ":v": { "SS": ["a", "z"] } }), json!({ "ss": { "SS": ["b"] } })),
        ("DELETE ss :v", json!({ ":v": { "SS": ["a", "b"] } }), json!({})),
    ] {
        check_update(expression, values, Ok(expected));
    }
    // Indices mean the elements as they were before, also when several go at once.
    let mut table = stocked();
    let answer = table.update_item(&request(
        "SET l[9] = :v REMOVE l[0], l[1], m.y[0]",
        json!({ ":v": { "N": "3" } }),
        json!({ "ReturnValues": "ALL_NEW" }),
    ));
    let item = &answer.unwrap()["Attributes"];
    assert_eq!(item["l"], json!({ "L": [{ "N": "2" }, { "N": "3" }] }));
    assert_eq!(item["m"]["M"]["y"], json!({ "L": [] }));
}

#[test]
fn wrong_updates_are_refused_as_dynamodb_refuses_them() {
    let v = || json!({ ":v": { "N": "1" } });
    let text = || json!({ ":v": { "S": "x" } });
    for (expression, values, message) in [
        (
            "SET state = :v",
            v(),
            "Invalid UpdateExpression: Attribute name is a reserved keyword; reserved keyword: state",
        ),
        (
            "SET a = :w",
            v(),
            "Invalid UpdateExpression: An expression attribute value used in expression is not defined; attribute value: :w",
        ),
        (
            "SET #a = :v",
            v(),
            "Invalid UpdateExpression: An expression attribute name used in the document path is not defined; attribute name: #a",
        ),
        (
            "SET a = :v, b = n",
            json!({ ":v": { "N": "1" }, ":u": { "N": "1" } }),
            "Value provided in ExpressionAttributeValues unused in expressions: keys: {:u}",
        ),
        (
            "SET a = :v REMOVE a",
            v(),
            "Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a]",
        ),
        (
            "SET a.b = :v, a[1] = :v",
            v(),
            "Invalid UpdateExpression: Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a, [1]]",
        ),
        (
            "SET a = :v SET b = :v",
            v(),
            "Invalid UpdateExpression: The \"SET\" section can only be used once in an update expression;",
        ),
        (
            "SET pk = :v",
            v(),
            "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key",
        ),
        ("SET", json!({}), "Invalid UpdateExpression: Syntax error; token: \"<EOF>\", near: \"SET\""),
        ("SET _123 = :v", v(), "Invalid UpdateExpression: Syntax error; token: \"_\", near: \"SET _123\""),
        ("SET a = f(b)", json!({}), "Invalid UpdateExpression: Invalid function name; function: f"),
        (
            "SET a = n + :v",
            text(),
            "Invalid UpdateExpression: Incorrect operand type for operator or function; operator or function: +, operand type: S",
        ),
        ("SET a = s + :v", v(), "An operand in the update expression has an incorrect data type"),
        (
            "SET a = absent + :v",
            v(),
            "The provided expression refers to an attribute that does not exist in the item",
        ),
        (
            "SET absent.x = :v",
            v(),
            "The document path provided in the update expression is invalid for update",
        ),
        (
            "ADD n :v",
            text(),
            "Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ADD, operand type: STRING",
        ),
        ("ADD s :v", v(), "An operand in the update expression has an incorrect data type"),
        ("", v(), "ExpressionAttributeValues can only be specified when using expressions"),
    ] {
        check_update(expression, values, Err(message));
    }
}

/// Whether a condition holds for the stocked item, or the message it is refused with.
fn check_condition(condition: &str, values: Value, expected: Result<bool, &str>) {
    let more = json!({ "ConditionExpression": condition });
    let answer = stocked().delete_item(&request("", values, more));
    match (answer, expected) {
        (Ok(_), Ok(true)) => {}
        (Err(refusal), Ok(false)) => {
            assert_eq!(refusal.error.code, "ConditionalCheckFailedException", "{condition}: {refusal}");
        }
        (Err(refusal), Err(expected)) => {
            assert_eq!(refusal.error.message, format!("Invalid ConditionExpression: {expected}"));
        }
        (answer, expected) => panic!("{condition}: {answer:?}, expected {expected:?}"),
    }
}

#[test]
fn conditions_hold_as_dynamodb_says() {
    let n = |text: &str| json!({ ":v": { "N": text } });
    let s = |text: &str| json!({ ":v": { "S": text } });
    let none = || json!({});
    for (condition, values, expected) in [
        ("n = :v", n("10.0"), true),
        ("n < :v", n("9"), false),
        ("n < :v", n("100"), true),
        ("n = :v", s("10"), false),
        ("n <> :v", s("10"), true),
        // A missing attribute equals nothing, differs from everything and has no order.
        ("absent = q", none(), false),
        ("absent <> q", none(), true),
        ("absent <> :v", n("1"), true),
        ("absent < :v", n("1"), false),
        ("NOT absent < :v", n("1"), true),
        ("attribute_exists(m.y[0]) AND attribute_not_exists(m.y[1])", none(), true),
        ("attribute_type(n, :v)", s("N"), true),
        ("begins_with(s, :v)", s("hell"), true),
        ("contains(s, :v)", s("ell"), true),
        ("contains(ss, :v)", s("b"), true),
        ("contains(l, :v)", n("2"), true),
        ("size(s) = :v", n("5"), true),
        ("size(n) = :v", n("2"), false),
        ("size(m.y) < n", none(), true),
        ("n BETWEEN :v AND m.x", n("1"), false),
        ("m.x BETWEEN :v AND n", n("1"), true),
        ("n IN (:v, m.x)", n("10"), true),
        // AND binds before OR, NOT before AND.
        ("t = t2 OR n = m.x AND n = n2 OR n = :v", n("10"), true),
        ("NOT n = :v AND attribute_exists(absent)", n("1"), false),
        ("(n = :v OR n = m.x) AND (attribute_exists(absent))", n("10"), false),
    ] {
        check_condition(condition, values, Ok(expected));
    }
    for (condition, values, message) in [
        (
            "l < :v",
            json!({ ":v": { "L": [] } }),
            "Incorrect operand type for operator or function; operator or function: <, operand type: L",
        ),
        (
            "begins_with(s, :v)",
            n("1"),
            "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
        ),
        (
            "attribute_type(s, :v)",
            s("DOG"),
            "Invalid attribute type name found; type: DOG, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
        ),
        (
            "attribute_exists(:v)",
            n("1"),
            "Operator or function requires a document path; operator or function: attribute_exists",
        ),
        (
            "size(s)",
            none(),
            "The function is not allowed to be used this way in an expression; function: size",
        ),
        (
            "attribute_exists(s) < :v",
            n("1"),
            "The function is not allowed to be used this way in an expression; function: attribute_exists",
        ),
        (
            "if_not_exists(s, s) = :v",
            n("1"),
            "The function is not allowed to be used this way in an expression; function: if_not_exists",
        ),
        ("dog(s)", none(), "Invalid function name; function: dog"),
        ("((n = :v))", n("1"), "The expression has redundant parentheses;"),
        (
            "n = n",
            none(),
            "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [n]",
        ),
        ("n = :v AND", n("1"), "Syntax error; token: \"<EOF>\", near: \"AND\""),
        (
            "contains(s)",
            none(),
            "Incorrect number of operands for operator or function; operator or function: contains, number of operands: 1",
        ),
        ("", none(), "The expression can not be empty;"),
    ] {
        check_condition(condition, values, Err(message));
    }
}

#[test]
fn return_values_show_the_asked_side() {
    for (returned, expected) in [
        ("NONE", json!({})),
        ("UPDATED_OLD", json!({ "Attributes": { "n": { "N": "10" } } })),
        ("UPDATED_NEW", json!({ "Attributes": { "n": { "N": "11" }, "x": { "N": "1" } } })),
    ] {
        let more = json!({ "ReturnValues": returned });
        let answer =
            stocked().update_item(&request("SET n = n + :v, x = :v", json!({ ":v": { "N": "1" } }), more));
        assert_eq!(answer.unwrap(), expected, "{returned}");
    }
    // A refused claim can show who holds the circuit.
    let more = json!({ "ConditionExpression": "#s = :v", "ExpressionAttributeNames": { "#s": "state" },
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD" });
    let mut table = stocked();
    let before: Vec<Value> = table.items().collect();
    let refusal =
        table.update_item(&request("SET n = :v", json!({ ":v": { "S": "closed" } }), more)).unwrap_err();
    assert_eq!(
        refusal.error,
        ServiceError::new(400, "ConditionalCheckFailedException", "The conditional request failed")
    );
    assert_eq!(refusal.item.unwrap()["state"], json!({ "S": "open" }));
    assert_eq!(table.items().collect::<Vec<_>>(), before, "a refused write changes nothing");
}

#[test]
fn items_come_and_go_by_key() {
    let mut table = table();
    assert_eq!(table.ttl_attribute(), Some("expires"));
    let get = |table: &Table| table.get_item(&json!({ "TableName": "T", "Key": { "pk": { "S": "a" } } }));
    assert_eq!(get(&table).unwrap(), json!({}));
    // An update creates what it does not find.
    table.update_item(&request("", json!({}), json!({}))).unwrap();
    assert_eq!(get(&table).unwrap(), json!({ "Item": { "pk": { "S": "a" } } }));
    let put = json!({ "TableName": "T", "Item": { "pk": { "S": "a" }, "m": { "M": { "k": { "S": "v" }, "o": { "NULL": true } } } },
        "ReturnValues": "ALL_OLD" });
    assert_eq!(table.put_item(&put).unwrap(), json!({ "Attributes": { "pk": { "S": "a" } } }));
    let projection =
        json!({ "TableName": "T", "Key": { "pk": { "S": "a" } }, "ProjectionExpression": "m.k, absent" });
    assert_eq!(
        table.get_item(&projection).unwrap(),
        json!({ "Item": { "m": { "M": { "k": { "S": "v" } } } } })
    );
    let delete =
        json!({ "TableName": "arn:aws:dynamodb:eu-west-1:1:table/T", "Key": { "pk": { "S": "a" } } });
    assert_eq!(table.delete_item(&delete).unwrap(), json!({}));
    assert_eq!(table.delete_item(&delete).unwrap(), json!({}));
    assert_eq!(table.items().count(), 0);
}

#[test]
fn bad_requests_are_refused_by_name() {
    let check = |request: Value, code: &str, message: &str| {
        let error = stocked().put_item(&request).unwrap_err().error;
        assert_eq!((error.code.as_str(), error.message.as_str()), (code, message));
    };
    let v = "ValidationException";
    check(
        json!({ "TableName": "Other", "Item": {} }),
        "ResourceNotFoundException",
        "Requested resource not found",
    );
    check(
        json!({ "TableName": "T", "Item": {}, "Expected": {} }),
        v,
        "request member Expected is not modelled; allowed are TableName, Item, ConditionExpression, ExpressionAttributeNames, ExpressionAttributeValues, ReturnValues, ReturnValuesOnConditionCheckFailure",
    );
    check(
        json!({ "TableName": "T", "Item": {} }),
        v,
        "One or more parameter values were invalid: Missing the key pk in the item",
    );
    check(
        json!({ "TableName": "T", "Item": { "pk": { "N": "1" } } }),
        v,
        "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N",
    );
    check(
        json!({ "TableName": "T", "Item": { "pk": { "S": "" } } }),
        v,
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk",
    );
    check(
        json!({ "TableName": "T", "Item": { "pk": { "S": "a" }, "n": { "N": "x" } } }),
        v,
        "The parameter cannot be converted to a numeric value: x",
    );
    check(
        json!({ "TableName": "T", "Item": { "pk": { "S": "a" }, "b": { "S": "a".repeat(MAX_ITEM_BYTES) } } }),
        v,
        "Item size has exceeded the maximum allowed size",
    );
    check(
        json!({ "TableName": "T", "Item": { "pk": { "S": "a" } }, "ReturnValues": "ALL_NEW" }),
        v,
        "Return values set to invalid value",
    );
    let key = json!({ "TableName": "T", "Key": { "pk": { "S": "a" }, "sk": { "S": "b" } } });
    let error = stocked().get_item(&key).unwrap_err().error;
    assert_eq!(error.message, "The provided key element does not match the schema");
    let properties =
        json!({ "KeySchema": [{ "AttributeName": "pk", "KeyType": "RANGE" }], "StreamSpecification": {} });
    let problems = Table::from_properties("T", "arn", &properties).unwrap_err();
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "KeySchema[0].KeyType: is RANGE; a key is HASH, then at most one RANGE",
            "KeySchema[0].AttributeName: pk is not in AttributeDefinitions",
            "KeySchema: must name a partition key",
            "StreamSpecification: is not modelled; remove it, or extend the model",
        ]
    );
}

/// A condition over the numbers `a`, `b` and `c` (any of which may be missing), with its own evaluation.
#[derive(Debug, Clone)]
enum Reference {
    Compare(usize, &'static str, i32),
    Exists(usize),
    And(Box<Reference>, Box<Reference>),
    Or(Box<Reference>, Box<Reference>),
    Not(Box<Reference>),
}

const LETTERS: [&str; 3] = ["a", "b", "c"];

impl Reference {
    fn any() -> impl Strategy<Value = Self> {
        let operators = prop_oneof![Just("="), Just("<>"), Just("<"), Just("<="), Just(">"), Just(">=")];
        let leaf = prop_oneof![
            (0..3_usize, operators, -2..3).prop_map(|(letter, op, value)| Self::Compare(letter, op, value)),
            (0..3_usize).prop_map(Self::Exists),
        ];
        leaf.prop_recursive(4, 12, 2, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| Self::And(Box::new(a), Box::new(b))),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| Self::Or(Box::new(a), Box::new(b))),
                inner.prop_map(|a| Self::Not(Box::new(a))),
            ]
        })
    }

    fn holds(&self, item: &[Option<i32>; 3]) -> bool {
        match self {
            Self::Compare(letter, operator, value) => match (item[*letter], *operator) {
                (None, operator) => operator == "<>",
                (Some(own), "=") => own == *value,
                (Some(own), "<>") => own != *value,
                (Some(own), "<") => own < *value,
                (Some(own), "<=") => own <= *value,
                (Some(own), ">") => own > *value,
                (Some(own), _) => own >= *value,
            },
            Self::Exists(letter) => item[*letter].is_some(),
            Self::And(a, b) => a.holds(item) && b.holds(item),
            Self::Or(a, b) => a.holds(item) || b.holds(item),
            Self::Not(a) => !a.holds(item),
        }
    }

    /// Parentheses only where precedence needs them, so that precedence itself is tested.
    fn write(&self, values: &mut Value, level: u8) -> String {
        let (own, text) = match self {
            Self::Compare(letter, operator, value) => {
                let key = format!(":v{}", values.as_object().unwrap().len());
                values[&key] = json!({ "N": value.to_string() });
                (3, format!("{} {operator} {key}", LETTERS[*letter]))
            }
            Self::Exists(letter) => (3, format!("attribute_exists({})", LETTERS[*letter])),
            Self::And(a, b) => (1, format!("{} AND {}", a.write(values, 1), b.write(values, 1))),
            Self::Or(a, b) => (0, format!("{} or {}", a.write(values, 0), b.write(values, 0))),
            Self::Not(a) => (2, format!("NOT {}", a.write(values, 2))),
        };
        if own < level { format!("({text})") } else { text }
    }
}

proptest! {
    #[test]
    fn conditions_agree_with_a_plain_evaluation(
        condition in Reference::any(),
        item in proptest::array::uniform3(proptest::option::of(-2..3_i32)),
    ) {
        let mut values = json!({});
        let expression = condition.write(&mut values, 0);
        let mut stored = json!({ "pk": { "S": "a" } });
        for (letter, value) in LETTERS.iter().zip(item) {
            if let Some(value) = value {
                stored[*letter] = json!({ "N": value.to_string() });
            }
        }
        let mut table = table();
        table.put_item(&json!({ "TableName": "T", "Item": stored })).unwrap();
        let more = json!({ "ConditionExpression": expression });
        let answer = table.delete_item(&request("", values, more));
        prop_assert_eq!(answer.is_ok(), condition.holds(&item), "{}: {:?}", expression, answer);
    }
}

/// DynamoDB checks expressions before anything else, so placeholders of the right type are enough.
#[test]
fn every_write_of_the_workflow_is_one_that_dynamodb_takes() {
    let circuit = workflow::config::CircuitConfig::default();
    let definition: Value =
        serde_json::from_str(&workflow::definition::definition("orders", &circuit)).unwrap();
    let properties = json!({
        "AttributeDefinitions": [{ "AttributeName": "circuit", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "circuit", "KeyType": "HASH" }],
    });
    let mut writes = 0;
    for (name, state) in definition["States"].as_object().unwrap() {
        let Some(arguments) = state.get("Arguments").filter(|one| one.get("UpdateExpression").is_some())
        else {
            continue;
        };
        let mut request = arguments.clone();
        request["TableName"] = json!("T");
        for value in request["ExpressionAttributeValues"].as_object_mut().unwrap().values_mut() {
            let kind = value.as_object().unwrap().keys().next().unwrap().clone();
            *value = json!({ kind.as_str(): if kind == "N" { "1" } else { "x" } });
        }
        let answer = Table::from_properties("T", "arn", &properties).unwrap().update_item(&request);
        let code = answer.map_or_else(|refusal| refusal.error.code, |_| String::new());
        assert!(["", "ConditionalCheckFailedException"].contains(&code.as_str()), "{name}: {code}");
        writes += 1;
    }
    assert!(writes > 3, "found only {writes} writes");
}

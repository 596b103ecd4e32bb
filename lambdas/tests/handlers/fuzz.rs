//! What comes from outside, damaged: events, messages, and the answers of consumers. Nothing panics, nothing that was
//! not processed is deleted, and no content comes out.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lambda_events::sqs::SqsEvent;
use fuzz::{altered, any_json};
use lambdas::consumer::ConsumerSettings;
use lambdas::ports::{Message, MessageAttribute};
use lambdas::record;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fake::{ARN, Consumer, World};
use crate::logs::log_of;
use crate::probe;

/// Stands where content stands. The space keeps it from passing as the name of an error, which is kept.
const CONTENT: &str = "order 4711 of Jane";

/// What an SQS mapping sends.
fn event() -> Value {
    json!({"Records": [
        {
            "messageId": "m-1", "receiptHandle": "r-1", "body": CONTENT,
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183", "SenderId": "AIDA"},
            "messageAttributes": {"kind": {"stringValue": CONTENT, "stringListValues": [], "binaryListValues": [],
                "dataType": "String"}},
            "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3", "eventSource": "aws:sqs", "eventSourceARN": ARN,
            "awsRegion": "eu-central-1"
        },
        {
            "messageId": "m-2", "receiptHandle": "r-2", "body": "{\"id\": 7}", "attributes": {},
            "messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:orders.fifo", "awsRegion": "eu-central-1"
        }
    ]})
}

/// Answers of every kind that a mapping knows, and one of an error.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let partial = json!({"batchItemFailures": [{"itemIdentifier": "m-0"}, {"itemIdentifier": CONTENT}]});
    let error = json!({"errorType": "Down", "errorMessage": CONTENT, "trace": [CONTENT]});
    let nearly = prop_oneof![altered(partial, CONTENT), altered(error, CONTENT), any_json(CONTENT)];
    prop_oneof![
        4 => nearly.prop_map(|value| value.to_string().into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..64),
        1 => Just(CONTENT.as_bytes().to_vec()),
    ]
}

fn attribute() -> impl Strategy<Value = MessageAttribute> {
    let binary = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..16));
    (".{0,8}", proptest::option::of(".{0,16}"), binary).prop_map(|(data_type, string_value, binary_value)| {
        MessageAttribute { data_type, string_value, binary_value, ..MessageAttribute::default() }
    })
}

fn message() -> impl Strategy<Value = Message> {
    let attributes = proptest::collection::btree_map("[A-Za-z]{1,12}", ".{0,12}", 0..4);
    let message_attributes = proptest::collection::btree_map(".{1,12}", attribute(), 0..4);
    ("\\PC{1,20}", any::<String>(), attributes, message_attributes).prop_map(
        |(message_id, body, attributes, message_attributes)| Message {
            message_id,
            body,
            attributes,
            message_attributes: Arc::new(message_attributes),
            ..Message::default()
        },
    )
}

/// The one message of the queue is probed while its mapping reports failed items or does not. Answers what came of it
/// as JSON, and whether the message is still there.
fn probed(reports: bool, receive_count: u32, consumer: Consumer) -> (String, bool) {
    let world = World::new();
    world.put_mapping("a", "Disabled", None);
    world.put(receive_count, CONTENT);
    *world.consumer.borrow_mut() = consumer;
    let mut request = probe::request();
    request.mapping.reports_batch_item_failures = reports;
    let answer = world.run(lambdas::probe::handle(&request, &world)).expect("no crash was asked for");
    let told = match answer {
        Ok(answer) => serde_json::to_string(&answer).unwrap(),
        Err(error) => format!("{} {error} {error:?}", error.error_type()),
    };
    (told, world.bodies().contains(&CONTENT.to_owned()))
}

proptest! {
    #![proptest_config(fuzz::config())]

    #[test]
    fn a_damaged_event_is_refused_or_worked_on(
        event in altered(event(), CONTENT),
        should_error in any::<bool>(),
        report_batch_item_failures in any::<bool>(),
    ) {
        let settings = ConsumerSettings {
            should_error,
            report_batch_item_failures,
            ledger_queue_url: Some("https://sqs.eu-central-1.amazonaws.com/123456789012/ledger".into()),
        };
        let mut told = String::new();
        let log = log_of(|| {
            let world = World::new();
            let outcome = world.run(lambdas::consumer::handle(event.clone(), &settings, &world));
            if let Some(Err(error)) = outcome {
                told = format!("{} {error} {error:?}", error.error_type());
            }
        });
        // A message's id is no content, and is logged; damage can make it one.
        if !event.pointer("/Records").is_some_and(|records| ids(records).contains(&CONTENT)) {
            prop_assert!(!log.contains(CONTENT), "{log}");
        }
        prop_assert!(!told.contains(CONTENT), "{told}");
    }

    #[test]
    fn whatever_a_consumer_answers_nothing_unprocessed_is_deleted(
        payload in answers(),
        function_error in proptest::option::of(prop_oneof![Just("Unhandled".to_owned()), Just(CONTENT.to_owned()), any::<String>()]),
        reports in any::<bool>(),
        receive_count in 0..5_u32,
    ) {
        let failed = function_error.is_some();
        let consumer = Consumer::Mumbles { function_error, payload: payload.clone() };
        let mut outcome = (String::new(), false);
        let log = log_of(|| outcome = probed(reports, receive_count, consumer));
        let (told, kept) = outcome;
        prop_assert!(!told.contains(CONTENT) && !log.contains(CONTENT), "{told}\n{log}");
        prop_assert_eq!(kept, !told.contains("\"healthy\""), "{}", told);
        if failed {
            prop_assert!(kept, "deleted although the invocation failed: {told}");
        }
        // With reporting only an empty answer, or one without a failed item, proves anything.
        let items = serde_json::from_slice::<Value>(&payload).ok().and_then(|answer| answer.get("batchItemFailures").cloned());
        if reports && items.as_ref().and_then(Value::as_array).is_some_and(|items| !items.is_empty()) {
            prop_assert!(kept, "deleted although items are reported: {told}");
        }
    }

    #[test]
    fn any_message_reaches_the_consumer_as_it_is(messages in proptest::collection::vec(message(), 1..4)) {
        let payload = record::payload(&messages, ARN).unwrap();
        let event: SqsEvent = serde_json::from_slice(&payload).unwrap();
        prop_assert_eq!(event.records.len(), messages.len());
        for (record, message) in event.records.iter().zip(&messages) {
            prop_assert_eq!(record.body.as_deref(), Some(message.body.as_str()));
            prop_assert_eq!(record.message_id.as_deref(), Some(message.message_id.as_str()));
            let attributes: BTreeMap<String, String> = record.attributes.clone().into_iter().collect();
            prop_assert_eq!(&attributes, &message.attributes);
            for (name, attribute) in message.message_attributes.iter() {
                let read = &record.message_attributes[name];
                prop_assert_eq!(read.string_value.as_deref(), attribute.string_value.as_deref());
                prop_assert_eq!(read.binary_value.as_ref().map(|bytes| bytes.0.clone()), attribute.binary_value.clone());
            }
        }
    }

    #[test]
    fn any_text_is_a_queue_arn_or_refused(arn in fuzz::damaged(&[ARN])) {
        if let Ok(region) = record::region(&arn) {
            prop_assert!(!region.is_empty() && arn.contains(region));
        }
    }
}

fn ids(records: &Value) -> Vec<&str> {
    let records = records.as_array().map(Vec::as_slice).unwrap_or_default();
    records.iter().filter_map(|record| record.get("messageId").and_then(Value::as_str)).collect()
}

//! What consumers see: digests, ids, and the record in the function's event.

use serde_json::json;

use super::*;

/// Digests that AWS, or programs checked against it, are known to give for these attributes.
#[test]
fn attribute_digests_match_published_ones() {
    fn check(attributes: &[(&str, MessageAttribute)], expected: &str) {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        assert_eq!(md5_of_attributes(&attributes).as_deref(), Some(expected));
    }
    check(&[("timestamp", MessageAttribute::number("1493147359900"))], "235c5c510d26fb653d073faed50ae77c");
    check(&[("SellerName", MessageAttribute::string("Example Store"))], "cd28f3b68aeee4b2eac9c66f2f694b58");
    check(
        &[
            ("test_attribute_name_2", MessageAttribute::string("test_attribute_value_2")),
            ("test_attribute_name_1", MessageAttribute::string("test_attribute_value_1")),
        ],
        "d53f3b558fe951154770f25cb63dbba9",
    );
    check(
        &[("test_attribute_name", MessageAttribute::binary(*b"test_attribute_value"))],
        "23f6bd27ea87aab7dfeadcc9aebee495",
    );
    assert_eq!(md5_of_attributes(&MessageAttributes::new()), None);
}

#[test]
fn the_lambda_record_is_complete() {
    let properties = json!({ "FifoQueue": true });
    let arn = format!("{ARN}.fifo");
    let mut queue = Queue::from_properties(&arn, 1, &properties).unwrap();
    let attributes = MessageAttributes::from([
        ("kind".to_owned(), MessageAttribute::string("order")),
        ("raw".to_owned(), MessageAttribute::binary([0, 255])),
    ]);
    let request = SendRequest {
        attributes: Some(attributes.into()),
        message_group_id: Some("customer-1".into()),
        message_deduplication_id: Some("order-1".into()),
        aws_trace_header: Some("Root=1-5759e988-bd862e3fe1be46a994272793".into()),
        trace: 99,
        ..SendRequest::new("{\"order\":1}")
    };
    queue.send(request, 1_790_000_000_000).unwrap();
    let outcome = queue.receive(&ReceiveRequest::up_to(1), 1_790_000_001_500, &mut rng()).unwrap();
    let record = outcome.messages[0].to_lambda_record(&arn);
    insta::assert_json_snapshot!(record);
}

#[test]
fn a_plain_message_has_only_the_four_attributes_every_message_has() {
    let mut queue = strict_queue(&json!({}));
    queue.send(SendRequest::new("hello"), 0).unwrap();
    let outcome = queue.receive(&ReceiveRequest::up_to(1), 0, &mut rng()).unwrap();
    let record = outcome.messages[0].to_lambda_record(ARN);
    let names: Vec<&String> = record["attributes"].as_object().unwrap().keys().collect();
    let expected =
        ["ApproximateFirstReceiveTimestamp", "ApproximateReceiveCount", "SenderId", "SentTimestamp"];
    assert_eq!(names, expected);
    assert_eq!(record["md5OfBody"], "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(record["messageAttributes"], json!({}));
    assert_eq!(record.get("md5OfMessageAttributes"), None);
}

#[test]
fn ids_look_like_uuids_and_depend_on_seed_and_order_alone() {
    let first_ids = |seed| {
        let mut queue = Queue::from_properties(ARN, seed, &json!({})).unwrap();
        [0, 1].map(|_| queue.send(SendRequest::new("a"), 0).unwrap().message_id.to_string())
    };
    let ids = first_ids(5);
    assert_eq!(ids, first_ids(5));
    assert_ne!(ids[0], ids[1]);
    assert_ne!(ids, first_ids(6));
    let id = ids[0].as_bytes();
    assert_eq!((id.len(), id[14], [8, 13, 18, 23].map(|at| id[at])), (36, b'4', [b'-'; 4]));
    assert!(b"89ab".contains(&id[19]));
}

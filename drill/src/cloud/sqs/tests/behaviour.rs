//! The table of behaviours: short scripts, and what the queue answers to each step.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::cloud::error::ServiceError;

/// Runs a script of `<second> <command>` lines, and compares the answers of the steps that have one.
#[track_caller]
fn check(properties: Value, script: &str, expected: &str) {
    let mut bench = Bench { queue: strict_queue(&properties), handles: BTreeMap::new() };
    let answers: Vec<String> = script.lines().filter_map(|line| bench.step(line.trim())).collect();
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(answers, expected);
}

struct Bench {
    queue: Queue,
    /// Every handle received, by body.
    handles: BTreeMap<String, Vec<String>>,
}

impl Bench {
    fn step(&mut self, line: &str) -> Option<String> {
        let mut words = line.split_whitespace();
        let second = words.next()?;
        let now_ms = (second.parse::<f64>().unwrap() * 1_000.0) as u64;
        let command = words.next().unwrap();
        let (options, arguments): (Vec<&str>, Vec<&str>) = words.partition(|word| word.contains('='));
        let options: BTreeMap<&str, &str> = options.iter().map(|o| o.split_once('=').unwrap()).collect();
        let answer = match command {
            "send" => return self.send(arguments[0], &options, now_ms).map(|a| format!("{second} {a}")),
            "receive" => self.receive(arguments[0].parse().unwrap(), &options, now_ms),
            "delete" => match self.queue.delete(&self.handle(arguments[0]), now_ms) {
                Ok(DeleteOutcome::Deleted { .. }) => "deleted".to_owned(),
                Ok(outcome) => format!("{outcome:?}"),
                Err(error) => error.code,
            },
            "visibility" => {
                let handle = self.handle(arguments[0]);
                let seconds = arguments[1].parse().unwrap();
                self.queue
                    .change_visibility(&handle, seconds, now_ms)
                    .map_or_else(|e| e.code, |()| "changed".into())
            }
            "counts" => {
                let counts = self.queue.attributes(now_ms);
                format!("{}/{}/{}", counts.visible_count, counts.not_visible_count, counts.delayed_count)
            }
            "age" => format!("{:?}", self.queue.age_of_oldest_s(now_ms)),
            "next" => format!("{:?}", self.queue.next_visible_at(now_ms)),
            "expired" => {
                self.queue.advance(now_ms);
                format!("{} of {}", self.queue.take_expired().len(), self.queue.expired_count())
            }
            "purge" => {
                self.queue.purge(now_ms).map_or_else(|e| e.code, |gone| format!("{} gone", gone.len()))
            }
            other => panic!("no command {other}"),
        };
        Some(format!("{second} {answer}"))
    }

    fn send(&mut self, body: &str, options: &BTreeMap<&str, &str>, now_ms: u64) -> Option<String> {
        let outcome = self.queue.send(
            SendRequest {
                delay_s: options.get("delay").map(|text| text.parse().unwrap()),
                message_group_id: options.get("group").map(|text| (*text).into()),
                message_deduplication_id: options.get("id").map(|text| (*text).into()),
                ..SendRequest::new(body)
            },
            now_ms,
        );
        match outcome {
            Ok(outcome) => outcome.was_deduplicated.then(|| "duplicate".to_owned()),
            Err(error) => Some(error.code),
        }
    }

    fn receive(&mut self, max_count: usize, options: &BTreeMap<&str, &str>, now_ms: u64) -> String {
        let visibility_timeout_s = options.get("visibility").map(|text| text.parse().unwrap());
        let request = ReceiveRequest { visibility_timeout_s, ..ReceiveRequest::up_to(max_count) };
        let outcome = match self.queue.receive(&request, now_ms, &mut rng()) {
            Ok(outcome) => outcome,
            Err(error) => return error.code,
        };
        let mut answer = Vec::new();
        for message in outcome.messages {
            answer.push(format!("{}#{}", message.body(), message.receive_count()));
            self.handles.entry(message.body().to_string()).or_default().push(message.receipt_handle());
        }
        answer.extend(outcome.moved_to_dlq.iter().map(|moved| format!("dlq:{}", moved.content.body)));
        if answer.is_empty() { "nothing".to_owned() } else { answer.join(" ") }
    }

    /// The newest handle of `body`, or with `body@n` the n-th.
    fn handle(&self, name: &str) -> String {
        let (body, number) = name.split_once('@').map_or((name, None), |(body, n)| (body, Some(n)));
        let Some(handles) = self.handles.get(body) else { return name.to_owned() };
        let index = number.map_or(handles.len(), |number| number.parse().unwrap());
        handles[index - 1].clone()
    }
}

#[test]
fn a_received_message_is_invisible_until_its_timeout_ends() {
    check(
        json!({ "VisibilityTimeout": 30 }),
        "0 send a
         0 counts
         1 receive 10
         1 counts
         2 receive 10
         2 next
         30.999 receive 10
         31 receive 10
         32 delete a
         32 counts
         32 next",
        "0 1/0/0
         1 a#1
         1 0/1/0
         2 nothing
         2 Some(31000)
         30.999 nothing
         31 a#2
         32 deleted
         32 0/0/0
         32 None",
    );
}

#[test]
fn delays_come_from_the_message_else_the_queue() {
    check(
        json!({ "DelaySeconds": 10 }),
        "0 send a
         0 send b delay=0
         0 send c delay=900
         0 send d delay=901
         0 counts
         0 receive 10
         0 next
         10 receive 10
         899 receive 10
         900 receive 10",
        "0 InvalidParameterValue
         0 1/0/2
         0 b#1
         0 Some(10000)
         10 a#1
         899 a#2 b#2
         900 c#1",
    );
}

#[test]
fn only_the_newest_handle_deletes_and_a_late_delete_still_works() {
    check(
        json!({ "VisibilityTimeout": 10 }),
        "0 send a
         0 receive 1
         10 receive 1
         11 delete a@1
         11 counts
         20 counts
         21 delete a@2
         21 counts
         22 delete a@2
         22 delete nonsense",
        "0 a#1
         10 a#2
         11 StaleHandle
         11 0/1/0
         20 1/0/0
         21 deleted
         21 0/0/0
         22 AlreadyGone
         22 ReceiptHandleIsInvalid",
    );
}

#[test]
fn visibility_changes_count_from_now_and_end_twelve_hours_after_the_receive() {
    check(
        json!({ "VisibilityTimeout": 30 }),
        "0 send a
         0 receive 1
         10 visibility a 60
         69 receive 1
         70 receive 1
         71 visibility a@1 5
         71 visibility a 43200
         71 visibility a 43199
         72 visibility a 43201
         73 visibility a 0
         73 visibility a 10
         73 receive 1 visibility=43200
         73 visibility a 43200
         73 receive 1 visibility=43201
         74 delete a
         75 visibility a 5",
        "0 a#1
         10 changed
         69 nothing
         70 a#2
         71 InvalidParameterValue
         71 InvalidParameterValue
         71 changed
         72 InvalidParameterValue
         73 changed
         73 MessageNotInflight
         73 a#3
         73 changed
         73 InvalidParameterValue
         74 deleted
         75 InvalidParameterValue",
    );
}

#[test]
fn the_receive_after_the_last_allowed_one_moves_a_message() {
    check(
        json!({
            "VisibilityTimeout": 1,
            "RedrivePolicy": { "deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:dlq", "maxReceiveCount": 2 },
        }),
        "0 send a
         0 receive 10
         1 receive 10
         2 counts
         5 send b
         5 receive 10
         5 counts",
        "0 a#1
         1 a#2
         2 1/0/0
         5 b#1 dlq:a
         5 0/1/0",
    );
}

#[test]
fn retention_counts_from_the_send_wherever_the_message_is() {
    check(
        json!({ "MessageRetentionPeriod": 60, "VisibilityTimeout": 600 }),
        "0 send flying
         0 receive 10
         1 send waiting
         2 send delayed delay=500
         60 expired
         60 delete flying
         61 expired
         61.999 counts
         62 expired
         62 counts",
        "0 flying#1
         60 1 of 1
         60 AlreadyGone
         61 1 of 2
         61.999 0/0/1
         62 1 of 3
         62 0/0/0",
    );
}

#[test]
fn a_message_received_three_times_leaves_the_age_and_goes_to_the_back() {
    check(
        json!({ "VisibilityTimeout": 1 }),
        "0 send poison
         10 send fresh
         10 age
         11 receive 1
         12 receive 1
         13 age
         13 receive 1
         13 age
         14 receive 2
         20 age",
        "10 Some(10)
         11 poison#1
         12 poison#2
         13 Some(13)
         13 poison#3
         13 Some(3)
         14 fresh#1 poison#4
         20 Some(10)",
    );
}

#[test]
fn purging_takes_everything_once_a_minute() {
    check(
        json!({}),
        "0 send a
         0 send b
         0 send c delay=60
         0 receive 1
         1 purge
         1 counts
         2 delete a
         60.999 purge
         61 purge",
        "0 a#1
         1 3 gone
         1 0/0/0
         2 AlreadyGone
         60.999 PurgeQueueInProgress
         61 0 gone",
    );
}

#[test]
fn fifo_keeps_the_order_within_a_group_and_blocks_it_while_in_flight() {
    check(
        json!({ "FifoQueue": true, "ContentBasedDeduplication": true, "VisibilityTimeout": 30 }),
        "0 send a1 group=a
         0 send a2 group=a
         0 send b1 group=b
         0 send a3 group=a
         0 receive 2
         1 receive 10
         2 receive 10
         3 delete a1
         3 receive 10
         4 visibility a2 0
         4 receive 10
         5 delete a2
         5 delete a3
         5 counts
         31 delete b1
         31 receive 10",
        "0 a1#1 a2#1
         1 b1#1
         2 nothing
         3 deleted
         3 nothing
         4 changed
         4 a2#2 a3#1
         5 deleted
         5 deleted
         5 0/1/0
         31 InvalidParameterValue
         31 b1#2",
    );
}

#[test]
fn fifo_deduplicates_for_five_minutes_even_after_the_delete() {
    check(
        json!({ "FifoQueue": "true" }),
        "0 send a group=g id=1
         0 receive 1
         0 delete a
         299.999 send a group=other id=1
         299.999 counts
         300 send a group=g id=1
         300 counts
         301 send a group=g
         301 send a id=2
         301 send a group=g id=3 delay=1
         301 send a group=g id=4 delay=0
         301 counts",
        "0 a#1
         0 deleted
         299.999 duplicate
         299.999 0/0/0
         300 1/0/0
         301 InvalidParameterValue
         301 MissingParameter
         301 InvalidParameterValue
         301 2/0/0",
    );
    check(
        json!({ "FifoQueue": true, "ContentBasedDeduplication": true, "DeduplicationScope": "messageGroup" }),
        "0 send a group=g
         0 send a group=h
         0 send a group=g
         0 counts",
        "0 duplicate
         0 2/0/0",
    );
}

#[test]
fn fifo_moves_exhausted_messages_and_goes_on_with_the_group() {
    check(
        json!({
            "FifoQueue": true,
            "ContentBasedDeduplication": true,
            "VisibilityTimeout": 1,
            "RedrivePolicy": { "deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:dlq.fifo", "maxReceiveCount": "1" },
        }),
        "0 send a1 group=a
         0 send a2 group=a
         0 receive 1
         1 receive 1
         1 counts
         9 receive 1
         9 counts",
        "0 a1#1
         1 a2#1 dlq:a1
         1 0/1/0
         9 dlq:a2
         9 0/0/0",
    );
}

#[test]
fn fifo_delays_the_whole_queue() {
    check(
        json!({ "FifoQueue": true, "ContentBasedDeduplication": true, "DelaySeconds": 5 }),
        "0 send a1 group=a
         3 send a2 group=a
         4 receive 10
         5 receive 10
         5 delete a1
         8 receive 10",
        "4 nothing
         5 a1#1
         5 deleted
         8 a2#1",
    );
}

#[test]
fn what_the_service_refuses_to_send() {
    fn check_refused(request: SendRequest, expected: &str) {
        let error = strict_queue(&json!({ "MaximumMessageSize": 1024 })).send(request, 0).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    fn with(name: &str, attribute: MessageAttribute) -> SendRequest {
        let attributes = MessageAttributes::from([(name.to_owned(), attribute)]);
        SendRequest { attributes: Some(attributes.into()), ..SendRequest::new("x") }
    }
    check_refused(
        SendRequest::new(""),
        "MissingParameter: The request must contain the parameter MessageBody.",
    );
    check_refused(
        SendRequest::new("\u{1}"),
        "InvalidMessageContents: Invalid characters found: only #x9, #xA, #xD and #x20 upwards are allowed.",
    );
    check_refused(
        with("n", MessageAttribute::string("x".repeat(1_017))),
        "InvalidParameterValue: One or more parameters are invalid. \
         Reason: Message must be shorter than 1024 bytes.",
    );
    check_refused(
        with("n", MessageAttribute { data_type: "Binary".into(), ..MessageAttribute::string("x") }),
        "InvalidParameterValue: The message attribute 'n' with type 'Binary' must use a non-empty value of \
         that type.",
    );
    check_refused(
        SendRequest { message_deduplication_id: Some("1".into()), ..SendRequest::new("x") },
        "InvalidParameterValue: Value 1 for parameter MessageDeduplicationId is invalid. Reason: The request \
         include parameter that is not valid for this queue type.",
    );
    check_refused(
        SendRequest { message_group_id: Some("a b".into()), ..SendRequest::new("x") },
        "InvalidParameterValue: Value a b for parameter MessageGroupId is invalid. Reason: It can only \
         include alphanumeric and punctuation characters, 1 to 128 in length.",
    );
}

#[test]
fn which_properties_are_refused() {
    fn check_refused(properties: Value, expected: &str) {
        let error = QueueConfig::from_properties(&properties).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    check_refused(
        json!({ "DelaySecond": 1 }),
        "AWS::SQS::Queue: property DelaySecond is not known to the model (known: \
         ContentBasedDeduplication, DeduplicationScope, DelaySeconds, FifoQueue, FifoThroughputLimit, \
         KmsDataKeyReusePeriodSeconds, KmsMasterKeyId, MaximumMessageSize, MessageRetentionPeriod, QueueName, \
         ReceiveMessageWaitTimeSeconds, RedriveAllowPolicy, RedrivePolicy, SqsManagedSseEnabled, Tags, \
         VisibilityTimeout); remove it, or teach the model",
    );
    check_refused(
        json!({ "DelaySeconds": 901 }),
        "AWS::SQS::Queue: property DelaySeconds is 901; it must be a whole number from 0 to 900",
    );
    check_refused(
        json!({ "RedrivePolicy": { "deadLetterTargetArn": { "Fn::GetAtt": ["Dlq", "Arn"] } } }),
        "AWS::SQS::Queue: property RedrivePolicy.deadLetterTargetArn is {\"Fn::GetAtt\":[\"Dlq\",\"Arn\"]}; it \
         must be a string",
    );
    check_refused(
        json!({ "RedrivePolicy": { "deadLetterTargetArn": "arn" } }),
        "AWS::SQS::Queue: property RedrivePolicy.maxReceiveCount is missing; it must be a whole number from 1 \
         to 1000",
    );
    check_refused(
        json!({ "ContentBasedDeduplication": true }),
        "AWS::SQS::Queue: ContentBasedDeduplication is not supported by the model: it needs FifoQueue: true",
    );
    check_refused(
        json!({ "QueueName": "orders.fifo" }),
        "AWS::SQS::Queue: property QueueName is \"orders.fifo\"; it must be a name ending in .fifo exactly when \
         FifoQueue is true",
    );
}

#[test]
fn batches_are_refused_as_a_whole() {
    fn check_batch_code(entries_count: usize, total_bytes: usize, expected: Option<&str>) {
        let code = check_batch(entries_count, total_bytes).err().map(|ServiceError { code, .. }| code);
        assert_eq!(code.as_deref(), expected);
    }
    check_batch_code(0, 0, Some("EmptyBatchRequest"));
    check_batch_code(10, MAX_BATCH_BYTES, None);
    check_batch_code(11, 1, Some("TooManyEntriesInBatchRequest"));
    check_batch_code(1, MAX_BATCH_BYTES + 1, Some("BatchRequestTooLong"));
}

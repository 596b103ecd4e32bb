//! The compiled binaries, each started against a loopback Lambda Runtime API and a loopback AWS endpoint.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// Stands in every message body and consumer error; must never come out of a binary.
const CANARY: &str = "canary-4711";
const QUEUE_URL: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders";
const FUNCTION_ARN: &str = "arn:aws:lambda:eu-central-1:123456789012:function:orders";
/// How long a binary may take to answer before the test gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);

struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// What a loopback server answers: headers and a body, or nothing at all, for as long as the binary lives.
enum Reply {
    Body { headers: Vec<(&'static str, String)>, body: String },
    Never,
}

fn reply(body: impl Into<String>) -> Reply {
    Reply::Body { headers: Vec::new(), body: body.into() }
}

/// Starts a server on a free port and answers its address. It ends with the test's process.
fn serve(answer: impl Fn(Request) -> Reply + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound address").to_string();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || converse(stream, answer.as_ref()));
        }
    });
    address
}

/// One request per connection: `Connection: close` keeps the server simple.
fn converse(mut stream: TcpStream, answer: &impl Fn(Request) -> Reply) -> Option<()> {
    let request = read_request(&stream)?;
    match answer(request) {
        Reply::Body { headers, body } => {
            let headers: String =
                headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let length = body.len();
            let text = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
            );
            stream.write_all(text.as_bytes()).ok()
        }
        Reply::Never => stream.read(&mut [0]).ok().map(|_| ()),
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut parts = line.split_whitespace().map(str::to_owned);
    let (method, path) = (parts.next()?, parts.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Request { method, path, headers, body: Vec::new() };
    request.body = vec![0; request.header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// What a binary made of one event.
struct Outcome {
    /// `response` or `error`.
    kind: String,
    body: String,
    log: String,
}

/// Starts a binary, gives it one event, and ends it after its answer.
fn invoke(
    binary: &str,
    event: &Value,
    variables: &[(&str, &str)],
    aws: impl Fn(Request) -> Reply + Send + Sync + 'static,
) -> Outcome {
    let (results, result) = channel();
    let runtime = serve(runtime_api(event.to_string(), results));
    let endpoint = format!("http://{}", serve(aws));
    let mut child = Command::new(binary)
        .env_clear()
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", runtime.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "breaker"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("CIRCUIT_TABLE", "CircuitStatus"),
        ])
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let answer = result.recv_timeout(PATIENCE);
    child.kill().expect("the binary still runs");
    let output = child.wait_with_output().expect("the binary ends");
    let log =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let (kind, body) = answer.unwrap_or_else(|_| panic!("{binary} did not answer; its log: {log}"));
    Outcome { kind, body, log }
}

/// Hands out one event and takes its result. Everything after that waits.
fn runtime_api(event: String, results: Sender<(String, String)>) -> impl Fn(Request) -> Reply + Send + Sync {
    let event = Mutex::new(Some(event));
    move |request| match (request.method.as_str(), request.path.rsplit('/').next()) {
        ("GET", Some("next")) => match event.lock().expect("no thread panics").take() {
            Some(body) => Reply::Body {
                headers: vec![
                    ("Lambda-Runtime-Aws-Request-Id", "request-1".to_owned()),
                    ("Lambda-Runtime-Invoked-Function-Arn", FUNCTION_ARN.to_owned()),
                    ("Lambda-Runtime-Deadline-Ms", "4102444800000".to_owned()),
                ],
                body,
            },
            None => Reply::Never,
        },
        ("POST", Some(kind)) => {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let _ = results.send((kind.to_owned(), body));
            reply("{}")
        }
        _ => Reply::Never,
    }
}

/// The AWS that the breaker's binaries find: circuit `orders` at epoch 7, one disabled mapping, and a queue that gives
/// out one message if there is one.
fn aws(message: Option<Value>, seen: Arc<Mutex<Vec<String>>>) -> impl Fn(Request) -> Reply + Send + Sync {
    let message = Mutex::new(message);
    move |request| {
        let target = request.header("x-amz-target").rsplit('.').next().unwrap_or_default().to_owned();
        let name = if target.is_empty() { request.path.clone() } else { target };
        let entries = request.json()["Entries"].as_array().cloned().unwrap_or_default();
        seen.lock().expect("no thread panics").push(name.clone());
        match name.as_str() {
            "GetItem" => {
                assert_eq!(request.json()["ConsistentRead"], true);
                reply(json!({ "Item": { "epoch": { "N": "7" } } }).to_string())
            }
            "ReceiveMessage" => match message.lock().expect("no thread panics").take() {
                Some(message) => reply(json!({ "Messages": [message] }).to_string()),
                None => reply("{}"),
            },
            "GetQueueAttributes" => reply(
                json!({ "Attributes": {
                    "ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0",
                    "ApproximateNumberOfMessagesDelayed": "0"
                } })
                .to_string(),
            ),
            "DeleteMessageBatch" | "ChangeMessageVisibilityBatch" | "SendMessageBatch" => {
                let done: Vec<Value> = entries
                    .iter()
                    .map(|entry| json!({ "Id": entry["Id"], "MessageId": "copy", "MD5OfMessageBody": "md5" }))
                    .collect();
                reply(json!({ "Successful": done, "Failed": [] }).to_string())
            }
            path if path.ends_with("/invocations") => Reply::Body {
                headers: vec![("X-Amz-Function-Error", "Unhandled".to_owned())],
                body: json!({ "errorType": "DownstreamUnavailable", "errorMessage": CANARY }).to_string(),
            },
            path if path.contains("/event-source-mappings/") => reply(
                json!({
                    "UUID": "a", "State": "Disabled", "ScalingConfig": { "MaximumConcurrency": 5 },
                    "FunctionResponseTypes": ["ReportBatchItemFailures"]
                })
                .to_string(),
            ),
            other => panic!("nothing is expected to call {other}"),
        }
    }
}

fn message() -> Value {
    json!({
        "MessageId": "m-1", "ReceiptHandle": "handle-1", "Body": CANARY, "MD5OfBody": "md5",
        "Attributes": { "ApproximateReceiveCount": "2", "SentTimestamp": "1" },
        "MessageAttributes": { "kind": { "DataType": "String", "StringValue": CANARY } }
    })
}

/// Runs a binary and compares its answer, and the AWS calls it made. Its log has the request's id and no content.
fn check(
    binary: &str,
    event: &Value,
    queued: Option<Value>,
    expected: (&str, &str),
    calls: &[&str],
) -> Outcome {
    let seen = Arc::default();
    let outcome = invoke(binary, event, &[], aws(queued, Arc::clone(&seen)));
    assert_eq!((outcome.kind.as_str(), outcome.body.as_str()), expected, "{}", outcome.log);
    assert_eq!(*seen.lock().expect("no thread panics"), calls, "{}", outcome.log);
    assert!(!outcome.log.contains(CANARY), "{}", outcome.log);
    outcome
}

const MAPPING: &str = env!("CARGO_BIN_EXE_mapping");
const PROBE: &str = env!("CARGO_BIN_EXE_probe");
const REJITTER: &str = env!("CARGO_BIN_EXE_rejitter");
const CONSUMER: &str = env!("CARGO_BIN_EXE_consumer");
const GET_MAPPING: &str = "/2015-03-31/event-source-mappings/a";

fn fence() -> Value {
    json!({ "circuit": "orders", "epoch": 7 })
}

fn probe_request() -> Value {
    json!({
        "fence": fence(), "queue_url": QUEUE_URL, "queue_arn": "arn:aws:sqs:eu-central-1:123456789012:orders",
        "function_arn": FUNCTION_ARN, "mapping": { "uuid": "a", "enabled": true }, "fifo": false,
        "max_receive_count": 5, "deadline_s": 30, "long_poll_s": 1, "put_aside_s": 60
    })
}

#[test]
fn mapping_answers_the_contract() {
    let event = json!({ "action": "inspect", "fence": fence(), "mappings": ["a"] });
    let answer = r#"{"recorded":[{"uuid":"a","enabled":false,"maximum_concurrency":5,"provisioned":false,"reports_batch_item_failures":true}],"enabled_count":0}"#;
    let outcome = check(MAPPING, &event, None, ("response", answer), &["GetItem", GET_MAPPING]);
    let line = outcome.log.lines().find(|line| line.contains("recorded the settings")).expect("a log line");
    let line: Value = serde_json::from_str(line).expect("one JSON object per line");
    assert_eq!(line["span"]["requestId"], "request-1", "{line}");
    assert_eq!(line["enabled_count"], 0, "{line}");
}

#[test]
fn a_request_outside_the_contract_and_a_stale_one_have_the_names_the_workflow_matches() {
    for (event, name, calls) in [
        (json!({ "action": "explode" }), "Breaker.InvalidRequest", &[][..]),
        (json!("nothing"), "Breaker.InvalidRequest", &[]),
        (
            json!({ "action": "inspect", "fence": { "circuit": "orders", "epoch": 6 }, "mappings": ["a"] }),
            "Breaker.StaleEpoch",
            &["GetItem"],
        ),
    ] {
        let seen = Arc::default();
        let outcome = invoke(MAPPING, &event, &[], aws(None, Arc::clone(&seen)));
        let error: Value = serde_json::from_str(&outcome.body).expect("an error object");
        assert_eq!((outcome.kind.as_str(), error["errorType"].as_str()), ("error", Some(name)), "{error}");
        assert_eq!(*seen.lock().expect("no thread panics"), calls);
    }
}

#[test]
fn probe_finds_an_empty_queue() {
    let calls = ["GetItem", GET_MAPPING, "ReceiveMessage", "GetQueueAttributes"];
    check(PROBE, &probe_request(), None, ("response", r#"{"verdict":"empty"}"#), &calls);
}

#[test]
fn probe_names_a_failing_consumer_and_logs_nothing_of_the_message() {
    let path = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-central-1%3A123456789012%3Afunction%3Aorders/invocations";
    let calls = ["GetItem", GET_MAPPING, "ReceiveMessage", "GetItem", path, "ChangeMessageVisibilityBatch"];
    let answer = r#"{"verdict":"unhealthy","message_id":"m-1","error":"DownstreamUnavailable","receives_left":3,"sent_at_ms":1}"#;
    check(PROBE, &probe_request(), Some(message()), ("response", answer), &calls);
}

#[test]
fn rejitter_spreads_what_it_finds() {
    let event = json!({
        "fence": fence(), "queue_url": QUEUE_URL, "strategy": "visibility", "drain_per_s": 10.0
    });
    let seen = Arc::default();
    let outcome = invoke(REJITTER, &event, &[], aws(Some(message()), Arc::clone(&seen)));
    let answer: Value = serde_json::from_str(&outcome.body).expect("an answer");
    assert_eq!(
        (&answer["done"], &answer["progress"]["moved_count"]),
        (&json!(true), &json!(1)),
        "{}",
        outcome.log
    );
    let mut calls = seen.lock().expect("no thread panics").clone();
    assert_eq!(calls[..3], ["GetItem", "GetQueueAttributes", "ReceiveMessage"]);
    // The message is spread while the next receive is under way: which comes first is up to chance.
    calls[3..].sort();
    assert_eq!(calls[3..], ["ChangeMessageVisibilityBatch", "ReceiveMessage"]);
    assert!(!outcome.log.contains(CANARY), "{}", outcome.log);
}

#[test]
fn consumer_books_what_it_processed_and_fails_when_told_to() {
    let event = json!({ "Records": [{ "messageId": "m-1", "body": format!("\"{CANARY}\"") }] });
    let error =
        r#"{"errorType":"DownstreamUnavailable","errorMessage":"the downstream service is unavailable"}"#;
    for (variables, expected, booked) in [
        (vec![], ("response", "null"), true),
        (vec![("REPORT_BATCH_ITEM_FAILURES", "true")], ("response", r#"{"batchItemFailures":[]}"#), true),
        (vec![("SHOULD_ERROR", "true")], ("error", error), false),
    ] {
        let mut all = vec![("LEDGER_QUEUE_URL", QUEUE_URL)];
        all.extend(variables);
        let seen = Arc::default();
        let outcome = invoke(CONSUMER, &event, &all, aws(None, Arc::clone(&seen)));
        assert_eq!((outcome.kind.as_str(), outcome.body.as_str()), expected);
        assert_eq!(seen.lock().expect("no thread panics").len(), usize::from(booked));
        assert!(!outcome.log.contains(CANARY), "{}", outcome.log);
    }
}

#[test]
fn a_binary_without_its_table_says_which_variable_is_missing() {
    let output = Command::new(MAPPING).env_clear().output().expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("CIRCUIT_TABLE"), "{text}");
}

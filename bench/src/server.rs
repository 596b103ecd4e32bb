//! An SQS endpoint on loopback that speaks the AWS JSON protocol, with a latency of its own. It also answers the read of
//! the circuit's item, so that the deployed adapters run against it unchanged.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::clock;
use crate::queue::{Outcome, Queue, Received};

/// Largest request taken: a batch is 1 MiB, and its text somewhat more.
const MAX_REQUEST_BYTES: usize = 8 * 1_048_576;
/// How often a long poll looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The epoch in the circuit's item.
pub const EPOCH: u64 = 7;

/// What the server has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Requests to the queue.
    pub request_count: u64,
    /// When the first message was asked for, milliseconds.
    pub first_ms: Option<u64>,
    /// When the last message was spread or deleted.
    pub last_ms: u64,
    /// Most requests that were being answered at once.
    pub most_at_once_count: u64,
    now_count: u64,
}

#[derive(Debug)]
struct State {
    queue: Queue,
    seen: Seen,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    state: Arc<Mutex<State>>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts a server on a thread of its own, with a queue of `count` messages. It answers after `latency` and what the
    /// answer itself takes, and ends with the process.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(count: usize, body_bytes: usize, latency: Duration) -> anyhow::Result<Server> {
        let state = State { queue: Queue::with(count, body_bytes), seen: Seen::default() };
        let state = Arc::new(Mutex::new(state));
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let served = Arc::clone(&state);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            let local = tokio::task::LocalSet::new();
            runtime.block_on(local.run_until(async move {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                let handler = Rc::new(Handler { state: served, latency });
                while let Ok((stream, _)) = listener.accept().await {
                    let handler = Rc::clone(&handler);
                    tokio::task::spawn_local(async move {
                        // A client that goes away ends its connection, nothing else.
                        let _ = handler.serve(stream).await;
                    });
                }
            }));
        });
        Ok(Server { state, address })
    }

    /// What it has seen so far, and what became of the messages.
    pub fn result(&self) -> (Seen, Outcome) {
        let state = lock(&self.state);
        (state.seen, state.queue.outcome())
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Handler {
    state: Arc<Mutex<State>>,
    latency: Duration,
}

impl Handler {
    /// Answers one request after the other, as HTTP/1.1 wants it.
    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut buffer = Vec::with_capacity(16 * 1_024);
        loop {
            let Some((operation, head_bytes, body_bytes)) = read_head(&mut stream, &mut buffer).await? else {
                return Ok(());
            };
            let end = head_bytes + body_bytes;
            while buffer.len() < end {
                if stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
            }
            let request = serde_json::from_slice(&buffer[head_bytes..end]).unwrap_or(Value::Null);
            buffer.drain(..end);
            self.count(|seen| {
                seen.now_count += 1;
                seen.most_at_once_count = seen.most_at_once_count.max(seen.now_count);
            });
            if !self.latency.is_zero() {
                tokio::time::sleep(self.latency).await;
            }
            let (status, answer) = match self.answer(&operation, &request).await {
                Some(answer) => ("200 OK", answer),
                None => ("400 Bad Request", json!({ "__type": "UnknownOperationException" }).to_string()),
            };
            self.count(|seen| seen.now_count -= 1);
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            stream.write_all(&[head.as_bytes(), answer.as_bytes()].concat()).await?;
        }
    }

    fn count(&self, count: impl FnOnce(&mut Seen)) {
        count(&mut lock(&self.state).seen);
    }

    async fn answer(&self, operation: &str, request: &Value) -> Option<String> {
        if operation == "DynamoDB_20120810.GetItem" {
            return Some(json!({ "Item": { "epoch": { "N": EPOCH.to_string() } } }).to_string());
        }
        let operation = operation.strip_prefix("AmazonSQS.")?;
        self.count(|seen| {
            seen.request_count += 1;
            if operation == "ReceiveMessage" {
                seen.first_ms.get_or_insert_with(clock::now_ms);
            }
        });
        match operation {
            "ReceiveMessage" => Some(self.receive(request).await),
            "GetQueueAttributes" => Some(self.attributes()),
            "ChangeMessageVisibilityBatch" => self.entries(request, |queue, entry, now_ms| {
                let handle = entry["ReceiptHandle"].as_str()?;
                let visibility_ms = entry["VisibilityTimeout"].as_u64()? * 1_000;
                queue.change_visibility(handle, visibility_ms, now_ms).then(|| json!({}))
            }),
            "DeleteMessageBatch" => self.entries(request, |queue, entry, now_ms| {
                queue.delete(entry["ReceiptHandle"].as_str()?, now_ms).then(|| json!({}))
            }),
            "SendMessageBatch" => self.entries(request, |queue, entry, now_ms| {
                let body = entry["MessageBody"].as_str()?.to_owned();
                let slot = queue.send(body, entry["DelaySeconds"].as_u64()? * 1_000, now_ms);
                Some(json!({ "MessageId": format!("{slot:?}"), "MD5OfMessageBody": "0" }))
            }),
            _ => None,
        }
    }

    async fn receive(&self, request: &Value) -> String {
        let number = |name: &str| request[name].as_u64().unwrap_or_default();
        let until_ms = clock::now_ms() + number("WaitTimeSeconds") * 1_000;
        loop {
            let now_ms = clock::now_ms();
            let received = lock(&self.state).queue.receive(
                number("MaxNumberOfMessages") as usize,
                number("VisibilityTimeout") * 1_000,
                now_ms,
            );
            if !received.is_empty() {
                let messages: Vec<Value> = received.iter().map(message).collect();
                return json!({ "Messages": messages }).to_string();
            }
            if now_ms >= until_ms {
                return "{}".to_owned();
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn attributes(&self) -> String {
        let (visible, hidden) = lock(&self.state).queue.counts(clock::now_ms());
        json!({ "Attributes": {
            "ApproximateNumberOfMessages": visible.to_string(),
            "ApproximateNumberOfMessagesNotVisible": hidden.to_string(),
            "ApproximateNumberOfMessagesDelayed": "0",
        }})
        .to_string()
    }

    fn entries(
        &self,
        request: &Value,
        act: impl Fn(&mut Queue, &Value, u64) -> Option<Value>,
    ) -> Option<String> {
        let now_ms = clock::now_ms();
        let mut state = lock(&self.state);
        state.seen.last_ms = now_ms;
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in request["Entries"].as_array()? {
            match act(&mut state.queue, entry, now_ms) {
                Some(mut done) => {
                    done["Id"] = entry["Id"].clone();
                    successful.push(done);
                }
                None => failed
                    .push(json!({ "Id": entry["Id"], "Code": "InvalidParameterValue", "SenderFault": true })),
            }
        }
        Some(json!({ "Successful": successful, "Failed": failed }).to_string())
    }
}

fn message(received: &Received) -> Value {
    json!({
        "MessageId": format!("{:?}", received.slot),
        "ReceiptHandle": received.handle,
        "MD5OfBody": "0",
        "Body": received.body,
        "Attributes": {
            "SenderId": "AIDAEXAMPLE",
            "SentTimestamp": "1700000000000",
            "ApproximateFirstReceiveTimestamp": "1700000000000",
            "ApproximateReceiveCount": received.receive_count.to_string(),
        },
        "MessageAttributes": { "kind": { "DataType": "String", "StringValue": "order" } },
    })
}

/// Reads up to the end of a request's head. Answers its operation, the head's length and the body's; `None` when the
/// client has gone.
async fn read_head(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Option<(String, usize, usize)>> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut headers);
        let status = head.parse(buffer).map_err(std::io::Error::other)?;
        if let httparse::Status::Complete(head_bytes) = status {
            let header = |name: &str| {
                let header = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
                header.and_then(|header| std::str::from_utf8(header.value).ok()).unwrap_or_default()
            };
            let body_bytes = header("content-length").parse().unwrap_or(0usize).min(MAX_REQUEST_BYTES);
            return Ok(Some((header("x-amz-target").to_owned(), head_bytes, body_bytes)));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

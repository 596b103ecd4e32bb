//! A proxy before the emulator that supplies what the emulator lacks: it remembers a mapping's event metrics, throttles a
//! call, and keeps a stack in progress.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// Path of one mapping in Lambda's API, up to its UUID.
const MAPPINGS: &str = "/2015-03-31/event-source-mappings/";

/// What the proxy knows and does.
#[derive(Default)]
pub struct Faults {
    /// Event metrics by the UUID of their mapping.
    metrics: BTreeMap<String, Vec<String>>,
    /// CloudFormation's actions that are throttled, and how often yet.
    throttles: BTreeMap<String, usize>,
    /// Whether a stack that is complete is shown as in progress until it is deleted.
    held: bool,
}

/// A running proxy. Ends with its value.
pub struct Proxy {
    address: SocketAddr,
    faults: Arc<Mutex<Faults>>,
    ended: Arc<AtomicBool>,
}

impl Proxy {
    /// Starts before what listens on `upstream` of the loopback interface.
    pub fn start(upstream: u16) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let proxy = Proxy { address, faults: Arc::default(), ended: Arc::default() };
        let (faults, ended) = (Arc::clone(&proxy.faults), Arc::clone(&proxy.ended));
        std::thread::spawn(move || {
            for stream in listener.incoming().take_while(|_| !ended.load(Ordering::SeqCst)) {
                let faults = Arc::clone(&faults);
                // A client that goes away in the middle is its own affair.
                std::thread::spawn(move || stream.ok().and_then(|stream| serve(stream, upstream, &faults)));
            }
        });
        proxy
    }

    /// The options of `breaker` that lead to it.
    pub fn target(&self) -> [String; 4] {
        let url = format!("http://{}", self.address);
        ["--endpoint-url".to_owned(), url, "--region".to_owned(), "us-east-1".to_owned()]
    }

    /// Event metrics of a mapping.
    pub fn metrics(&self, uuid: &str) -> Vec<String> {
        self.faults().metrics.get(uuid).cloned().unwrap_or_default()
    }

    /// Throttles the next `count` calls of an action of CloudFormation.
    pub fn throttle(&self, action: &str, count: usize) {
        self.faults().throttles.insert(action.to_owned(), count);
    }

    /// How often the action is still to be throttled.
    pub fn throttles_left(&self, action: &str) -> usize {
        self.faults().throttles.get(action).copied().unwrap_or(0)
    }

    /// Shows stacks as in progress until one is deleted.
    pub fn hold(&self) {
        self.faults().held = true;
    }

    fn faults(&self) -> std::sync::MutexGuard<'_, Faults> {
        self.faults.lock().expect("nobody panics with the lock")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // The listener wakes up once more and sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

/// One message of HTTP: its first line, its headers in lower case, its body.
struct Message {
    first: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Message {
    fn read(stream: &mut TcpStream) -> Option<Message> {
        let mut reader = BufReader::new(stream);
        let mut line = || {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            Some(line.trim_end().to_owned())
        };
        let first = line().filter(|first| !first.is_empty())?;
        let mut headers = Vec::new();
        loop {
            let header = line()?;
            let Some((name, value)) = header.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length =
            headers.iter().find(|(name, _)| name == "content-length").map(|(_, value)| value.parse());
        let mut body = Vec::new();
        match length {
            Some(Ok(length)) => reader.take(length).read_to_end(&mut body).ok()?,
            _ if first.starts_with("HTTP/") => reader.read_to_end(&mut body).ok()?,
            _ => 0,
        };
        Some(Message { first, headers, body })
    }

    fn write(&self, stream: &mut TcpStream) -> Option<()> {
        let mut text = format!("{}\r\n", self.first);
        for (name, value) in &self.headers {
            if !["connection", "content-length", "transfer-encoding"].contains(&name.as_str()) {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        text.push_str(&format!("connection: close\r\ncontent-length: {}\r\n\r\n", self.body.len()));
        stream.write_all(text.as_bytes()).ok()?;
        stream.write_all(&self.body).ok()
    }

    fn path(&self) -> &str {
        self.first.split(' ').nth(1).unwrap_or_default()
    }

    /// The action of a request to CloudFormation.
    fn action(&self) -> Option<String> {
        let text = std::str::from_utf8(&self.body).ok()?;
        text.split('&').find_map(|pair| pair.strip_prefix("Action=")).map(str::to_owned)
    }
}

fn serve(mut client: TcpStream, upstream: u16, faults: &Mutex<Faults>) -> Option<()> {
    let request = Message::read(&mut client)?;
    if let Some(refusal) = refusal(&request, faults) {
        return refusal.write(&mut client);
    }
    let mut server = TcpStream::connect(("127.0.0.1", upstream)).ok()?;
    request.write(&mut server)?;
    let mut answer = Message::read(&mut server)?;
    let mut faults = faults.lock().ok()?;
    amend(&request, &mut answer, &mut faults);
    drop(faults);
    answer.write(&mut client)
}

/// A throttled call, as the query protocol answers it.
fn refusal(request: &Message, faults: &Mutex<Faults>) -> Option<Message> {
    let action = request.action()?;
    let mut faults = faults.lock().ok()?;
    let left = faults.throttles.get_mut(&action).filter(|left| **left > 0)?;
    *left -= 1;
    let body = "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error>\
                <RequestId>0</RequestId></ErrorResponse>";
    Some(Message {
        first: "HTTP/1.1 400 Bad Request".to_owned(),
        headers: vec![("content-type".to_owned(), "text/xml".to_owned())],
        body: body.into(),
    })
}

fn amend(request: &Message, answer: &mut Message, faults: &mut Faults) {
    if let Some(uuid) = request.path().strip_prefix(MAPPINGS).filter(|uuid| !uuid.contains('?')) {
        with_metrics(uuid, request, answer, faults);
    }
    match request.action().as_deref() {
        Some("DeleteStack") => faults.held = false,
        Some("DescribeStacks") if faults.held => {
            let text = String::from_utf8_lossy(&answer.body);
            answer.body = text.replace("CREATE_COMPLETE", "CREATE_IN_PROGRESS").into_bytes();
        }
        _ => {}
    }
}

/// Lambda answers each call on a mapping with its metrics.
fn with_metrics(uuid: &str, request: &Message, answer: &mut Message, faults: &mut Faults) {
    if let Ok(update) = serde_json::from_slice::<Value>(&request.body)
        && let Some(metrics) = update["MetricsConfig"]["Metrics"].as_array()
    {
        let names = metrics.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        faults.metrics.insert(uuid.to_owned(), names);
    }
    let known = faults.metrics.get(uuid);
    if let (Some(known), Ok(mut mapping)) = (known, serde_json::from_slice::<Value>(&answer.body)) {
        mapping["MetricsConfig"]["Metrics"] = known.clone().into();
        answer.body = mapping.to_string().into_bytes();
    }
}

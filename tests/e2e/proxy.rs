//! A proxy before the emulator that supplies what the emulator lacks: it throttles a call, keeps a stack in progress, shows
//! a template that differs, and a stack that cannot be deleted.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// The event of a stack that cannot be deleted.
const KEPT_EVENT: &str = "<StackEvents><member><EventId>kept</EventId><LogicalResourceId>guard-e2e</LogicalResourceId>\
     <ResourceType>AWS::CloudFormation::Stack</ResourceType><ResourceStatus>DELETE_FAILED</ResourceStatus>\
     <ResourceStatusReason>Export of it is in use</ResourceStatusReason></member>";

/// What the proxy knows and does.
#[derive(Default)]
pub struct Faults {
    /// CloudFormation's actions that are throttled, and how often yet.
    throttles: BTreeMap<String, usize>,
    /// Whether a stack that is complete is shown as in progress until it is deleted.
    held: bool,
    /// What deployed templates are shown with, and in the place of what.
    template: Option<(&'static str, &'static str)>,
    /// Whether stacks cannot be deleted, and whether somebody has tried.
    kept: Option<bool>,
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

    /// Shows deployed templates with `after` in the place of `before`; with two empty texts as they are.
    pub fn alter_templates(&self, before: &'static str, after: &'static str) {
        self.faults().template = Some((before, after)).filter(|_| !before.is_empty());
    }

    /// Fails to delete stacks, with no resource to blame, as for an export that others use.
    pub fn keep_stacks(&self, kept: bool) {
        self.faults().kept = kept.then_some(false);
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

/// A call that does not come through, as the query protocol answers it.
fn refusal(request: &Message, faults: &Mutex<Faults>) -> Option<Message> {
    let action = request.action()?;
    let mut faults = faults.lock().ok()?;
    if let Some(tried) = faults.kept.as_mut().filter(|_| action == "DeleteStack") {
        *tried = true;
        return Some(Message {
            first: "HTTP/1.1 200 OK".to_owned(),
            headers: vec![("content-type".to_owned(), "text/xml".to_owned())],
            body: "<DeleteStackResponse/>".into(),
        });
    }
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
    let mut replace = |before: &str, after: &str| {
        let text = String::from_utf8_lossy(&answer.body);
        answer.body = text.replacen(before, after, 1).into_bytes();
    };
    match request.action().as_deref() {
        Some("DeleteStack") => faults.held = false,
        Some("DescribeStacks") if faults.held => {
            replace("CREATE_COMPLETE", "CREATE_IN_PROGRESS");
        }
        Some("DescribeStacks") if faults.kept == Some(true) => {
            replace("UPDATE_COMPLETE<", "DELETE_FAILED<");
            replace("CREATE_COMPLETE<", "DELETE_FAILED<");
        }
        Some("DescribeStackEvents") if faults.kept == Some(true) => replace("<StackEvents>", KEPT_EVENT),
        Some("GetTemplate") => {
            if let Some((before, after)) = faults.template {
                replace(before, after);
            }
        }
        _ => {}
    }
}

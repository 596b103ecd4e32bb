//! The emulator: started on a free port of the loopback interface, and ended by its process id.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// How long it may take to be ready; it takes about a second.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// How often it is asked whether it is.
const READY_POLL: Duration = Duration::from_millis(100);

/// Times that another port is tried when somebody else takes the free one first.
const MAX_START_COUNT: usize = 5;

/// How to list what a service holds: its name, the service and operation as the emulator's request knows them, the body.
const LISTS: [(&str, Request<'static>); 11] = [
    ("CloudFormation", Request::Query("cloudformation", "DescribeStacks")),
    ("CloudWatch", Request::Query("monitoring", "DescribeAlarms")),
    ("IAM", Request::Query("iam", "ListRoles")),
    ("Lambda", Request::Get("lambda", "/2015-03-31/functions/")),
    ("Lambda mappings", Request::Get("lambda", "/2015-03-31/event-source-mappings/")),
    ("S3", Request::Get("s3", "/")),
    ("SQS", Request::Json("sqs", "AmazonSQS.ListQueues")),
    ("DynamoDB", Request::Json("dynamodb", "DynamoDB_20120810.ListTables")),
    ("Step Functions", Request::Json("states", "AWSStepFunctions.ListStateMachines")),
    ("EventBridge", Request::Json("events", "AWSEvents.ListRules")),
    ("CloudWatch Logs", Request::Json("logs", "Logs_20140328.DescribeLogGroups")),
];

/// One of the three ways in which AWS's services are asked.
#[derive(Clone, Copy)]
enum Request<'a> {
    Query(&'static str, &'a str),
    Get(&'static str, &'a str),
    Put(&'static str, &'a str),
    Json(&'static str, &'static str),
}

/// A running emulator. Ends with its value.
pub struct MiniStack {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl MiniStack {
    /// Starts it.
    ///
    /// # Panics
    /// Where it is not installed, with what to do; and where it does not become ready.
    pub fn start() -> MiniStack {
        let python = python();
        for _ in 0..MAX_START_COUNT {
            let mut cloud = MiniStack::launch(&python);
            let asked_count = READY_LIMIT.as_millis() / READY_POLL.as_millis();
            for _ in 0..asked_count {
                if cloud.get("/_ministack/ready").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                    return cloud;
                }
                if cloud.process.try_wait().expect("the process can be asked").is_some() {
                    break;
                }
                pause(READY_POLL);
            }
            assert!(cloud.log().contains("already in use"), "MiniStack does not get ready:\n{}", cloud.log());
        }
        panic!("every port that was free was taken before MiniStack had it");
    }

    fn launch(python: &Path) -> MiniStack {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let free = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = free.local_addr().expect("a bound socket has an address").port();
        drop(free);
        let log = File::create(folder.path().join("log")).expect("the folder can be written");
        let process = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/start_ministack.py"))
            .arg(port.to_string())
            // The functions inherit this environment: nothing of the shell's AWS settings may reach them.
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TMPDIR", folder.path())
            .env("SFN_WAIT_SCALE", "0.1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("Python starts");
        MiniStack { process, port, folder }
    }

    /// The port on which it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Calls a service that speaks JSON; answers the whole response.
    ///
    /// # Panics
    /// If it refuses.
    pub fn json(&self, service: &'static str, target: &'static str, body: &str) -> String {
        let answer = self.call(Request::Json(service, target), body);
        assert!(answer.starts_with("HTTP/1.1 200"), "{target}: {answer}");
        answer
    }

    /// Where it listens.
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The options of `breaker` that lead to it.
    pub fn target(&self) -> [String; 4] {
        ["--endpoint-url".to_owned(), self.url(), "--region".to_owned(), "us-east-1".to_owned()]
    }

    /// A folder that is gone when it is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it and the functions have said, the last of it.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Each service, and whether it holds something with this in its name; of S3, whether it has any bucket.
    pub fn leftovers(&self, name: &str) -> Vec<(&'static str, bool)> {
        let holds = |(service, request)| {
            let answer = self.call(request, "{}");
            assert!(answer.starts_with("HTTP/1.1 200"), "{service}: {answer}");
            // The bucket of the packages is made for all stacks of an account and Region.
            (service, answer.contains(if service == "S3" { "<Bucket>" } else { name }))
        };
        LISTS.into_iter().map(holds).collect()
    }

    /// Whether the bucket of the packages has objects whose keys begin so.
    pub fn has_objects(&self, prefix: &str) -> bool {
        let path = format!("/sqs-circuit-breaker-000000000000-us-east-1?list-type=2&prefix={prefix}");
        let answer = self.call(Request::Get("s3", &path), "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer.contains("<Key>")
    }

    /// Puts an object there, as an interrupted deployment would leave it.
    pub fn put_object(&self, key: &str) {
        let path = format!("/sqs-circuit-breaker-000000000000-us-east-1/{key}");
        let answer = self.call(Request::Put("s3", &path), "a package");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// The event metrics of a mapping that are on.
    pub fn event_metrics(&self, uuid: &str) -> Vec<String> {
        let path = format!("/2015-03-31/event-source-mappings/{uuid}");
        let answer = self.call(Request::Get("lambda", &path), "");
        let (_, body) = answer.split_once("\r\n\r\n").expect("headers and body");
        let mapping: Value = serde_json::from_str(body).expect("JSON");
        let names = mapping["MetricsConfig"]["Metrics"].as_array().cloned().unwrap_or_default();
        names.iter().map(|name| name.as_str().expect("text").to_owned()).collect()
    }

    /// Makes a stack `foreign` that holds a queue and no breaker.
    pub fn make_foreign_stack(&self) {
        const CREATE: &str = "CreateStack&StackName=foreign&TemplateBody=%7B%22Resources%22%3A%7B%22Theirs%22%3A%7B%22Type%22\
                              %3A%22AWS%3A%3ASQS%3A%3AQueue%22%7D%7D%7D";
        let answer = self.call(Request::Query("cloudformation", CREATE), "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// Has its CloudWatch count messages that were sent to a queue.
    pub fn put_sent(&self, queue: &str, at_s: u64, count: u32) {
        let put = format!(
            "PutMetricData&Namespace=AWS/SQS&MetricData.member.1.MetricName=NumberOfMessagesSent\
             &MetricData.member.1.Dimensions.member.1.Name=QueueName&MetricData.member.1.Dimensions.member.1.Value={queue}\
             &MetricData.member.1.Timestamp={at_s}&MetricData.member.1.Value={count}"
        );
        let answer = self.call(Request::Query("monitoring", &put), "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    fn call(&self, request: Request<'_>, json: &str) -> String {
        let (method, path, service, extra, body) = match request {
            Request::Get(service, path) => ("GET", path, service, String::new(), String::new()),
            Request::Put(service, path) => ("PUT", path, service, String::new(), json.to_owned()),
            Request::Query(service, action) => {
                let kind = "Content-Type: application/x-www-form-urlencoded\r\n".to_owned();
                ("POST", "/", service, kind, format!("Action={action}"))
            }
            Request::Json(service, target) => {
                let kind = format!("Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: {target}\r\n");
                ("POST", "/", service, kind, json.to_owned())
            }
        };
        // Signatures are not looked at; the service is read off the credential's scope.
        let signed = format!(
            "Authorization: AWS4-HMAC-SHA256 Credential=endtoend/20260101/us-east-1/{service}/aws4_request, \
             SignedHeaders=host, Signature=none\r\n"
        );
        self.http(method, path, &format!("{signed}{extra}"), &body).expect("MiniStack answers")
    }

    fn get(&self, path: &str) -> Option<String> {
        self.http("GET", path, "", "")
    }

    fn http(&self, method: &str, path: &str, headers: &str, body: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n");
        write!(stream, "{head}{headers}Content-Length: {length}\r\n\r\n{body}").ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    }
}

impl Drop for MiniStack {
    fn drop(&mut self) {
        // With SIGTERM it ends the functions' processes too. It ends by itself, or it is ended.
        let id = self.process.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        for _ in 0..50 {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            pause(READY_POLL);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The Python in which the emulator is installed.
fn python() -> PathBuf {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/venv/bin/python");
    let found = Command::new(&python).args(["-c", "import ministack.app"]).output();
    assert!(
        found.is_ok_and(|output| output.status.success()),
        "the end-to-end test needs Python 3.11 or later with the packages of scripts/requirements.txt in .tools/venv: \
         `scripts/check tests` installs them and runs this test"
    );
    python
}

/// Lets some time pass.
#[allow(clippy::disallowed_methods, reason = "another process is waited for, which knows no virtual time")]
pub fn pause(length: Duration) {
    std::thread::sleep(length);
}

//! What every store has to do, asked of each of them in the same words.
#![allow(
    clippy::unwrap_used,
    reason = "these are tests; clippy spares the functions marked so, not their helpers"
)]

use std::time::Duration;

use guard::record::{GuardState, Isolation, Item, Lease, Record};
use guard::window::{Bucket, Counts};
use guard::{CallError, Guard, KeptAnswer, MemoryStore, Settings, Store, Written};

/// A name that no other run has used.
fn fresh_circuit() -> String {
    format!("c{:016x}", getrandom::u64().unwrap())
}

fn record(revision: u64, writer: u64) -> Record {
    Record { revision, writer, ..Record::default() }
}

/// One with every attribute that there can be.
fn full_record(revision: u64) -> Record {
    Record {
        revision,
        writer: u64::MAX,
        epoch: 7,
        outage_ms: 1_764_000_000_123,
        state: GuardState::HalfOpen {
            success_count: 1,
            leases: vec![Lease { id: u64::MAX, until_ms: 1_764_000_000_456 }],
        },
        round_count: 3,
        window: vec![Bucket {
            index: 588_000_000,
            counts: Counts { call_count: 3, failure_count: 2, slow_count: 1 },
        }],
        run_count: 2,
        alarming_since_ms: Some(1_764_000_000_789),
        reason: "2 of 3 calls failed within 30 s".to_owned(),
        isolation: Some(Isolation {
            by: "ana".to_owned(),
            reason: "wartung \u{1f6e0} \"now\"".to_owned(),
            at_ms: 5,
        }),
    }
}

async fn suite<S: Store + Clone>(store: &S) {
    an_unknown_circuit_is_the_default(store).await;
    what_is_written_is_read_and_what_is_gone_is_removed(store).await;
    of_two_writers_with_the_same_revision_one_is_refused(store).await;
    a_write_is_refused_after_the_workflow_has_moved_on(store).await;
    answers_are_kept_replaced_and_expire(store).await;
    guards_share_a_circuit(store).await;
    of_many_guards_one_samples(store).await;
}

async fn an_unknown_circuit_is_the_default(store: &impl Store) {
    assert_eq!(store.read(&fresh_circuit()).await.unwrap(), Item::default());
}

async fn what_is_written_is_read_and_what_is_gone_is_removed(store: &impl Store) {
    let circuit = fresh_circuit();
    let full = full_record(1);
    assert_eq!(store.write(&circuit, &Item::default(), &full).await.unwrap(), Written::Done);
    let read = store.read(&circuit).await.unwrap();
    assert_eq!(read.record, full);
    let bare = record(2, 9);
    assert_eq!(store.write(&circuit, &read, &bare).await.unwrap(), Written::Done);
    assert_eq!(store.read(&circuit).await.unwrap().record, bare, "no attribute of the record before is left");
}

async fn of_two_writers_with_the_same_revision_one_is_refused(store: &impl Store) {
    let circuit = fresh_circuit();
    let seen = Item::default();
    assert_eq!(store.write(&circuit, &seen, &record(1, 1)).await.unwrap(), Written::Done);
    assert_eq!(store.write(&circuit, &seen, &record(1, 2)).await.unwrap(), Written::Refused);
    let seen = store.read(&circuit).await.unwrap();
    assert_eq!(seen.record, record(1, 1));
    assert_eq!(store.write(&circuit, &seen, &record(2, 3)).await.unwrap(), Written::Done);
    assert_eq!(store.write(&circuit, &seen, &record(2, 4)).await.unwrap(), Written::Refused);
    assert_eq!(store.read(&circuit).await.unwrap().record, record(2, 3));
}

/// A guard that has read the item in another epoch, or in another state of the workflow, than it is in.
async fn a_write_is_refused_after_the_workflow_has_moved_on(store: &impl Store) {
    let circuit = fresh_circuit();
    assert_eq!(store.write(&circuit, &Item::default(), &record(1, 1)).await.unwrap(), Written::Done);
    let mut other_epoch = store.read(&circuit).await.unwrap();
    other_epoch.workflow.epoch = Some(4);
    assert_eq!(store.write(&circuit, &other_epoch, &record(2, 2)).await.unwrap(), Written::Refused);
    let mut other_state = store.read(&circuit).await.unwrap();
    other_state.workflow.state = workflow::circuit::CircuitState::Open;
    assert_eq!(store.write(&circuit, &other_state, &record(2, 2)).await.unwrap(), Written::Refused);
}

async fn answers_are_kept_replaced_and_expire(store: &impl Store) {
    let circuit = fresh_circuit();
    let answer = |json: &str| KeptAnswer { at_ms: 1_764_000_000_000, json: json.to_owned() };
    let hour_ms = 3_600_000;
    assert_eq!(store.answer(&circuit, "price#7").await.unwrap(), None);
    for json in ["{\"price\":7}", "{\"price\":8,\"note\":\"\u{e4}\"}"] {
        store.keep_answer(&circuit, "price#7", &answer(json), hour_ms).await.unwrap();
        assert_eq!(store.answer(&circuit, "price#7").await.unwrap(), Some(answer(json)));
    }
    assert_eq!(store.answer(&circuit, "price#8").await.unwrap(), None);
    assert_eq!(
        store.read(&circuit).await.unwrap(),
        Item::default(),
        "an answer is no part of the circuit's item"
    );
    store.keep_answer(&circuit, "short", &answer("1"), 1).await.unwrap();
    // Seconds are what the time to live of DynamoDB has; its clock may be another one.
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(store.answer(&circuit, "short").await.unwrap(), None);
}

fn quick_guard<S: Store + Clone>(store: &S, circuit: &str) -> Guard<S> {
    let settings = Settings {
        consecutive_failure_count: Some(2),
        flush_every: Duration::ZERO,
        gather_for: Duration::ZERO,
        open_for: Duration::from_secs(1),
        jitter_percent: 0,
        ..Settings::default()
    };
    Guard::builder(circuit, store.clone()).settings(settings).build().unwrap()
}

async fn call<S: Store>(
    guard: &Guard<S>,
    result: Result<u8, &'static str>,
) -> Result<u8, CallError<&'static str>> {
    guard.call(|| async { result }).await
}

async fn guards_share_a_circuit<S: Store + Clone>(store: &S) {
    let circuit = fresh_circuit();
    let (first, second) = (quick_guard(store, &circuit), quick_guard(store, &circuit));
    for _ in 0..2 {
        assert_eq!(call(&first, Err("down")).await, Err(CallError::Failed("down")));
    }
    assert!(matches!(call(&second, Ok(1)).await, Err(CallError::Open(_))));
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    assert_eq!(call(&second, Ok(1)).await, Ok(1));
    assert_eq!(call(&first, Ok(2)).await, Ok(2));
    assert_eq!(
        store.read(&circuit).await.unwrap().record.state,
        GuardState::Closed,
        "two samples have succeeded"
    );
}

async fn of_many_guards_one_samples<S: Store + Clone>(store: &S) {
    let circuit = fresh_circuit();
    let guards: Vec<_> = (0..8).map(|_| quick_guard(store, &circuit)).collect();
    for _ in 0..2 {
        call(&guards[0], Err("down")).await.unwrap_err();
    }
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    let mut calls = tokio::task::JoinSet::new();
    for guard in guards {
        let sample = async || {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, &str>(7)
        };
        calls.spawn(async move { guard.call(sample).await });
    }
    let results = calls.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
}

#[tokio::test]
async fn memory() {
    suite(&MemoryStore::new()).await;
}

#[cfg(feature = "redis")]
mod redis_server {
    use std::net::TcpListener;
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    use guard::{RedisStore, Store};
    use redis::aio::ConnectionManager;

    /// A server of this test's own, on loopback. It ends with this value.
    struct Server {
        child: Child,
        port: u16,
        _directory: tempfile::TempDir,
    }

    impl Server {
        /// Starts the first of the two servers that is there.
        fn start() -> Server {
            for program in ["valkey-server", "redis-server"] {
                let port = free_port();
                let directory = tempfile::tempdir().unwrap();
                let started = Command::new(program)
                    .args([
                        "--bind",
                        "127.0.0.1",
                        "--port",
                        &port.to_string(),
                        "--save",
                        "",
                        "--appendonly",
                        "no",
                    ])
                    .arg("--dir")
                    .arg(directory.path())
                    .stdout(Stdio::null())
                    .spawn();
                if let Ok(child) = started {
                    return Server { child, port, _directory: directory };
                }
            }
            panic!(
                "neither valkey-server nor redis-server is on PATH. Install one (`apt-get install redis-server`), or \
                 leave this test out with `--skip redis`"
            );
        }

        async fn connect(&self) -> ConnectionManager {
            let client = redis::Client::open(format!("redis://127.0.0.1:{}/", self.port)).unwrap();
            for _ in 0..100 {
                if let Ok(connection) = ConnectionManager::new(client.clone()).await {
                    return connection;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            panic!("the server on port {} does not answer within 5 s", self.port);
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }

    fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    #[tokio::test]
    async fn redis() {
        let server = Server::start();
        let connection = server.connect().await;
        let store = RedisStore::new(connection.clone());
        super::suite(&store).await;
        circuits_expire_unless_they_are_isolated(&store, connection).await;
    }

    async fn circuits_expire_unless_they_are_isolated(store: &impl Store, mut connection: ConnectionManager) {
        let circuit = super::fresh_circuit();
        let mut ttl = async || {
            let command = redis::cmd("PTTL").arg(format!("guard:{circuit}")).to_owned();
            command.query_async::<i64>(&mut connection).await.unwrap()
        };
        let never = -1;
        store.write(&circuit, &super::Item::default(), &super::record(1, 1)).await.unwrap();
        let seven_days_ms = 7 * 86_400_000;
        assert!(ttl().await > seven_days_ms, "a circuit is kept for longer than any opening");
        let seen = store.read(&circuit).await.unwrap();
        store.write(&circuit, &seen, &super::full_record(2)).await.unwrap();
        assert_eq!(ttl().await, never);
        let seen = store.read(&circuit).await.unwrap();
        store.write(&circuit, &seen, &super::record(3, 3)).await.unwrap();
        assert!(ttl().await > seven_days_ms);
    }
}

#[cfg(feature = "dynamodb")]
mod dynamodb {
    use std::net::{TcpListener, TcpStream};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    use aws_sdk_dynamodb::Client;
    use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    };
    use guard::{DynamoStore, Store, Written};

    /// Another endpoint than MiniStack: that of DynamoDB local, as `http://127.0.0.1:8000`.
    const ENDPOINT: &str = "GUARD_DYNAMODB_ENDPOINT";

    /// MiniStack, an emulator of AWS, on a free port of loopback. It ends with this value.
    struct Emulator {
        child: Child,
        port: u16,
        _directory: tempfile::TempDir,
    }

    impl Emulator {
        fn start() -> Emulator {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
            let python = root.join(".tools/venv/bin/python");
            assert!(
                python.exists(),
                "MiniStack is not installed in {}: `scripts/check tests` installs it and runs this test; or set {ENDPOINT} to the URL \
                 of another endpoint",
                python.display()
            );
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let directory = tempfile::tempdir().unwrap();
            let child = Command::new(python)
                .arg(root.join("scripts/start_ministack.py"))
                .arg(port.to_string())
                .env_clear()
                .env("PATH", "/usr/bin:/bin")
                .env("TMPDIR", directory.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            Emulator { child, port, _directory: directory }
        }

        /// Waits until it listens: it does so once it is ready.
        async fn wait(&mut self) {
            for _ in 0..600 {
                if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                    return;
                }
                assert!(self.child.try_wait().unwrap().is_none(), "MiniStack has ended");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            panic!("MiniStack does not listen on port {} within 60 s", self.port);
        }
    }

    impl Drop for Emulator {
        fn drop(&mut self) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }

    fn client(endpoint: &str) -> Client {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-central-1"))
            .endpoint_url(endpoint)
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .build();
        Client::from_conf(config)
    }

    async fn create_table(client: &Client, table: &str) {
        let key =
            KeySchemaElement::builder().attribute_name("circuit").key_type(KeyType::Hash).build().unwrap();
        let name = AttributeDefinition::builder()
            .attribute_name("circuit")
            .attribute_type(ScalarAttributeType::S)
            .build()
            .unwrap();
        client
            .create_table()
            .table_name(table)
            .key_schema(key)
            .attribute_definitions(name)
            .billing_mode(BillingMode::PayPerRequest)
            .send()
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn dynamodb() {
        let Ok(endpoint) = std::env::var(ENDPOINT) else {
            let mut emulator = Emulator::start();
            emulator.wait().await;
            return hold_all(&client(&format!("http://127.0.0.1:{}", emulator.port))).await;
        };
        hold_all(&client(&endpoint)).await;
    }

    async fn hold_all(client: &Client) {
        let table = super::fresh_circuit();
        create_table(client, &table).await;
        let store = DynamoStore::new(client.clone(), &table);
        super::suite(&store).await;
        the_claim_of_the_workflow_wins(&store, client, &table).await;
        client.delete_table().table_name(&table).send().await.unwrap();
    }

    /// With the very condition and update of the workflow's state `ClaimCircuit`, on an item that guards have opened.
    async fn the_claim_of_the_workflow_wins(store: &impl Store, client: &Client, table: &str) {
        let circuit = super::fresh_circuit();
        store.write(&circuit, &super::Item::default(), &super::full_record(1)).await.unwrap();
        let seen = store.read(&circuit).await.unwrap();
        let config = workflow::config::CircuitConfig::default();
        let definition = workflow::definition::definition(&circuit, &config);
        let definition: serde_json::Value = serde_json::from_str(&definition).unwrap();
        let claim = &definition["States"]["ClaimCircuit"]["Arguments"];
        let mut call = client
            .update_item()
            .table_name(table)
            .key("circuit", AttributeValue::S(circuit.clone()))
            .condition_expression(claim["ConditionExpression"].as_str().unwrap())
            .update_expression(claim["UpdateExpression"].as_str().unwrap());
        for (name, value) in claim["ExpressionAttributeValues"].as_object().unwrap() {
            // What the state takes from its execution is put in here.
            let value = match (value["N"].as_str(), value["S"].as_str()) {
                (Some(number), _) if number.starts_with("{%") => {
                    AttributeValue::N("1764000000999".to_owned())
                }
                (Some(number), _) => AttributeValue::N(number.to_owned()),
                (None, Some(text)) => AttributeValue::S(text.to_owned()),
                (None, None) => panic!("{name} is neither a number nor a text: {value}"),
            };
            call = call.expression_attribute_values(name, value);
        }
        call.send().await.unwrap();
        let refused = store.write(&circuit, &seen, &super::record(2, 2)).await.unwrap();
        assert_eq!(refused, Written::Refused);
        let claimed = store.read(&circuit).await.unwrap();
        assert!(guard::machine::is_owned(&claimed));
        assert_eq!(claimed.workflow.epoch, Some(1));
        assert_eq!(claimed.record, super::full_record(1), "the claim leaves what guards have written");
    }
}

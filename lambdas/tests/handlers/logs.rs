//! No message content gets into a log, whatever happens.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambdas::consumer::ConsumerSettings;
use lambdas::ports::CallErrorKind;
use serde_json::json;
use workflow::contract::{MappingRequest, ProbeRequest, RejitterStrategy};

use crate::fake::{CANARY, Consumer, Fault, World, fence, recorded};
use crate::{probe, rejitter};

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log of `work` at the most talkative level.
pub fn log_of(work: impl FnOnce()) -> String {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    String::from_utf8(captured.0.lock().expect("no writer panics").clone()).unwrap()
}

fn check(name: &str, work: impl FnOnce()) {
    let log = log_of(work);
    assert!(!log.is_empty(), "{name} logged nothing");
    assert!(!log.contains(CANARY), "{name} logged message content: {log}");
}

fn world(receive_count: u32) -> World {
    let world = World::new();
    world.put_mapping("a", "Disabled", None);
    world.put_messages(25, receive_count);
    world
}

#[test]
fn no_handler_logs_message_content() {
    let consumers = [
        Consumer::Answers("null"),
        Consumer::Fails(r#"{"errorType":"E","errorMessage":"canary-4711"}"#),
        Consumer::Hangs,
        Consumer::Throttled(99),
    ];
    for consumer in consumers {
        for receive_count in [0, 4] {
            for at in 1..=7 {
                check("probe", || {
                    let world = world(receive_count);
                    *world.consumer.borrow_mut() = consumer.clone();
                    world.faults.borrow_mut().insert(at, Fault::Fail(CallErrorKind::Refused));
                    let request = ProbeRequest { proven: vec!["m-0".into()], ..probe::request() };
                    let answer = world.run(lambdas::probe::handle(&request, &world));
                    tracing::info!(?answer, "answered");
                });
            }
        }
    }
    for strategy in [RejitterStrategy::Visibility, RejitterStrategy::Requeue] {
        for at in 2..=9 {
            check("rejitter", || {
                let world = world(4);
                world.faults.borrow_mut().insert(at, Fault::Fail(CallErrorKind::Refused));
                let request = rejitter::request(strategy);
                let answer = world.run(lambdas::rejitter::handle(&request, Duration::from_secs(600), &world));
                tracing::info!(?answer, messages = ?world.queue.borrow()[0].message, "answered");
            });
        }
    }
    check("mapping", || {
        let request =
            MappingRequest::Restore { fence: fence(), recorded: vec![recorded("a")], already_enabled: false };
        let world = world(0);
        let _ = world.run(lambdas::mapping::handle(&request, &world));
    });
    for settings in [(false, false), (true, false), (false, true), (true, true)] {
        check("consumer", || {
            let settings = ConsumerSettings {
                should_error: settings.0,
                report_batch_item_failures: settings.1,
                ledger_queue_url: None,
            };
            let payload = json!({ "Records": [{ "messageId": "m-0", "body": CANARY }] });
            let world = World::new();
            let answer = world.run(lambdas::consumer::handle(payload, &settings, &world));
            tracing::info!(?answer, "answered");
        });
    }
}

//! A small world in memory behind the ports: it records the calls, and fails or crashes where a test asks it to.
//!
//! A crash is a call that never returns: the handler's future is dropped with everything in it, as when a function's
//! sandbox dies.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use lambdas::ports::{
    BatchResult, CallError, CallErrorKind, Chance, Circuits, Clock, ConcurrencyUpdate, EventSourceMappings,
    Functions, Invocation, Ledger, MappingDescription, MappingState, MappingUpdate, Message,
    MessageAttribute, Messages, Outgoing, QueueCounts, QueueDescription, Queues, Receive, VisibilityChange,
    Work,
};
use workflow::contract::{Fence, RecordedMapping};

pub const URL: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders";
pub const ARN: &str = "arn:aws:sqs:eu-central-1:123456789012:orders";
pub const START_MS: u64 = 1_800_000_000_000;
/// Stands in every body, attribute and error text; must never come out anywhere.
pub const CANARY: &str = "canary-4711";

/// What goes wrong, by the number of the call, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing returns from this call on.
    Crash,
    /// The call fails and has no effect.
    Fail(CallErrorKind),
    /// The call takes effect, but its answer is lost.
    LoseAnswer,
    /// Another execution takes the circuit over just before the call.
    Overtake,
}

/// How the consumer takes a probe.
#[derive(Clone, Debug)]
pub enum Consumer {
    Answers(&'static str),
    Fails(&'static str),
    /// Answers these bytes, with this function error; whether it did its work is not known.
    Mumbles {
        function_error: Option<String>,
        payload: Vec<u8>,
    },
    Hangs,
    /// Throttled this many times, healthy from then on.
    Throttled(u32),
    /// Cannot be invoked.
    Breaks(CallErrorKind),
}

#[derive(Clone)]
pub struct Stored {
    pub message: Message,
    pub visible_at_ms: u64,
    pub delayed: bool,
}

/// Whether the handler asked to be polled again, as one that has several calls under way does.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub struct World {
    pub now_ms: Cell<u64>,
    pub epoch: Cell<Option<u64>>,
    pub mappings: RefCell<BTreeMap<String, MappingDescription>>,
    pub queue: RefCell<Vec<Stored>>,
    pub dead: RefCell<Vec<String>>,
    pub processed: RefCell<Vec<String>>,
    pub tried: RefCell<Vec<String>>,
    pub payloads: RefCell<Vec<Vec<u8>>>,
    pub consumer: RefCell<Consumer>,
    pub max_receive_count: Cell<Option<u32>>,
    pub faults: RefCell<BTreeMap<usize, Fault>>,
    /// Operations of which every entry fails, with the kind of failure.
    pub broken_entries: RefCell<BTreeMap<&'static str, CallErrorKind>>,
    /// Of the entries of all batches each so many-th is throttled; none at 0.
    pub stumbles_every: Cell<usize>,
    entry_count: Cell<usize>,
    /// Bodies whose send fails for good.
    pub unsendable: RefCell<BTreeSet<String>>,
    pub calls: RefCell<Vec<String>>,
    pub sleeps: RefCell<Vec<Duration>>,
    pub ledger: RefCell<Vec<String>>,
    /// Sends one more message at each receive, up to this many.
    pub arriving: Cell<u32>,
    /// Retention and message count of the queues, by URL.
    pub queues: RefCell<BTreeMap<String, (u32, u64)>>,
    /// Most messages that may be in flight.
    pub in_flight_quota: Cell<usize>,
    /// How long each call takes, milliseconds.
    pub latency_ms: Cell<u64>,
    /// Chance always draws the upper end.
    pub draws_latest: Cell<bool>,
    serial: Cell<u64>,
    crashed: Cell<bool>,
    draws: Cell<u64>,
}

impl World {
    pub fn new() -> World {
        World {
            now_ms: Cell::new(START_MS),
            epoch: Cell::new(Some(7)),
            mappings: RefCell::default(),
            queue: RefCell::default(),
            dead: RefCell::default(),
            processed: RefCell::default(),
            tried: RefCell::default(),
            payloads: RefCell::default(),
            consumer: RefCell::new(Consumer::Answers("null")),
            max_receive_count: Cell::new(None),
            faults: RefCell::default(),
            broken_entries: RefCell::default(),
            stumbles_every: Cell::new(0),
            entry_count: Cell::new(0),
            unsendable: RefCell::default(),
            calls: RefCell::default(),
            sleeps: RefCell::default(),
            ledger: RefCell::default(),
            arriving: Cell::new(0),
            queues: RefCell::default(),
            in_flight_quota: Cell::new(120_000),
            latency_ms: Cell::new(0),
            draws_latest: Cell::new(false),
            serial: Cell::new(0),
            crashed: Cell::new(false),
            draws: Cell::new(1),
        }
    }

    /// Runs a handler to its end; `None` when the world crashed under it. The next run finds the world working again.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut outcome = None;
        while outcome.is_none() && woken.0.swap(false, Ordering::Relaxed) {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                outcome = Some(output);
            }
        }
        assert_eq!(outcome.is_none(), self.crashed.get(), "only a crash keeps a handler from ending");
        self.crashed.set(false);
        self.faults.borrow_mut().clear();
        outcome
    }

    pub fn put_mapping(&self, uuid: &str, state: &str, maximum_concurrency: Option<u32>) {
        let mapping = MappingDescription {
            uuid: uuid.to_owned(),
            state: MappingState::from_name(state),
            state_transition_reason: "USER_INITIATED".to_owned(),
            maximum_concurrency,
            provisioned: false,
            function_response_types: Vec::new(),
            counts_events: true,
        };
        self.mappings.borrow_mut().insert(uuid.to_owned(), mapping);
    }

    /// Lets every transition end.
    pub fn settle(&self) {
        for mapping in self.mappings.borrow_mut().values_mut() {
            mapping.state = match mapping.state {
                MappingState::Enabling | MappingState::Updating => MappingState::Enabled,
                MappingState::Disabling => MappingState::Disabled,
                ref other => other.clone(),
            };
        }
    }

    /// Puts `count` messages with attributes into the queue, received `receive_count` times before. Answers their ids.
    pub fn put_messages(&self, count: usize, receive_count: u32) -> Vec<String> {
        (0..count).map(|_| self.put(receive_count, &format!("{CANARY} {}", self.serial.get()))).collect()
    }

    pub fn put(&self, receive_count: u32, body: &str) -> String {
        let text = |value: &str| MessageAttribute {
            data_type: "String".into(),
            string_value: Some(value.into()),
            ..MessageAttribute::default()
        };
        let binary = MessageAttribute {
            data_type: "Binary".into(),
            binary_value: Some(vec![0, 159, 255]),
            ..MessageAttribute::default()
        };
        let outgoing = Outgoing {
            body: body.to_owned(),
            message_attributes: Arc::new([("kind".into(), text(CANARY)), ("raw".into(), binary)].into()),
            trace_header: Some("Root=1-5759e988-bd862e3fe1be46a994272793".into()),
            group_id: Some("tenant-1".into()),
            delay_s: None,
        };
        let id = self.store(&outgoing);
        let mut queue = self.queue.borrow_mut();
        let stored = queue.last_mut().expect("just stored");
        stored.message.attributes.insert("ApproximateReceiveCount".into(), receive_count.to_string());
        id
    }

    fn store(&self, outgoing: &Outgoing) -> String {
        let serial = self.serial.get();
        self.serial.set(serial + 1);
        let mut attributes = BTreeMap::from([
            ("ApproximateReceiveCount".to_owned(), "0".to_owned()),
            ("SentTimestamp".to_owned(), self.now_ms.get().to_string()),
            ("SenderId".to_owned(), "AIDA".to_owned()),
        ]);
        attributes
            .extend(outgoing.trace_header.iter().map(|value| ("AWSTraceHeader".to_owned(), value.clone())));
        attributes.extend(outgoing.group_id.iter().map(|value| ("MessageGroupId".to_owned(), value.clone())));
        let message = Message {
            message_id: format!("m-{serial}"),
            body: outgoing.body.clone(),
            md5_of_body: "md5".into(),
            md5_of_message_attributes: Some("md5".into()),
            message_attributes: Arc::clone(&outgoing.message_attributes),
            attributes,
            receipt_handle: String::new(),
        };
        let delay_s = outgoing.delay_s.unwrap_or(0);
        let visible_at_ms = self.now_ms.get() + u64::from(delay_s) * 1_000;
        let id = message.message_id.clone();
        self.queue.borrow_mut().push(Stored { message, visible_at_ms, delayed: delay_s > 0 });
        id
    }

    pub fn body_of(&self, id: &str) -> Option<String> {
        let queue = self.queue.borrow();
        queue.iter().find(|stored| stored.message.message_id == id).map(|stored| stored.message.body.clone())
    }

    /// Bodies still in the queue, sorted.
    pub fn bodies(&self) -> Vec<String> {
        let mut bodies: Vec<String> =
            self.queue.borrow().iter().map(|stored| stored.message.body.clone()).collect();
        bodies.sort();
        bodies
    }

    /// Nothing is lost: every one of `bodies` is in the queue or was processed; nothing was dead-lettered.
    pub fn assert_nothing_lost(&self, bodies: &[String], context: &str) {
        let left = self.bodies();
        let processed = self.processed.borrow();
        let dead = self.dead.borrow();
        for body in bodies {
            assert!(
                left.contains(body) || processed.contains(body) || dead.contains(body),
                "{context}: {body} is lost; calls: {:#?}",
                self.calls.borrow()
            );
        }
    }

    pub fn call_names(&self) -> Vec<String> {
        self.calls.borrow().iter().map(|call| call.split(' ').next().unwrap_or_default().to_owned()).collect()
    }

    /// Records the call and says what goes wrong with it.
    async fn call(&self, text: String) -> Option<Fault> {
        if self.crashed.get() {
            std::future::pending::<()>().await;
        }
        self.now_ms.set(self.now_ms.get() + self.latency_ms.get());
        self.calls.borrow_mut().push(text);
        let number = self.calls.borrow().len();
        let fault = self.faults.borrow().get(&number).cloned();
        if fault == Some(Fault::Crash) {
            self.crashed.set(true);
            std::future::pending::<()>().await;
        }
        if fault == Some(Fault::Overtake) {
            self.epoch.set(self.epoch.get().map(|epoch| epoch + 1));
            return None;
        }
        fault
    }

    /// A call: its effect happens unless it fails before.
    pub async fn act<T>(
        &self,
        operation: &'static str,
        text: String,
        effect: impl FnOnce() -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        match self.call(format!("{operation} {text}")).await {
            Some(Fault::Fail(kind)) => Err(failure(operation, kind)),
            Some(Fault::LoseAnswer) => {
                let _ = effect();
                Err(failure(operation, CallErrorKind::Transient))
            }
            Some(Fault::Crash | Fault::Overtake) | None => effect(),
        }
    }

    fn entries<T>(
        &self,
        operation: &'static str,
        count: usize,
        effect: impl Fn(usize) -> Result<T, CallError>,
    ) -> BatchResult<T> {
        let broken = self.broken_entries.borrow().get(operation).copied();
        (0..count)
            .map(|at| {
                self.entry_count.set(self.entry_count.get() + 1);
                let every = self.stumbles_every.get();
                let stumbles = self.entry_count.get().is_multiple_of(every);
                match broken.or(stumbles.then_some(CallErrorKind::Throttled)) {
                    Some(kind) => Err(failure(operation, kind)),
                    None => effect(at),
                }
            })
            .collect()
    }

    fn take(&self, receive: Receive) -> Vec<Message> {
        let now_ms = self.now_ms.get();
        let mut taken = Vec::new();
        let mut dead = Vec::new();
        for stored in self.queue.borrow_mut().iter_mut() {
            if taken.len() == receive.max_count as usize {
                break;
            }
            if stored.visible_at_ms > now_ms {
                continue;
            }
            let count = stored.message.attributes["ApproximateReceiveCount"].parse::<u32>().expect("a count");
            if self.max_receive_count.get().is_some_and(|maximum| count >= maximum) {
                dead.push(stored.message.message_id.clone());
                continue;
            }
            let serial = self.serial.get();
            self.serial.set(serial + 1);
            stored.message.attributes.insert("ApproximateReceiveCount".into(), (count + 1).to_string());
            stored.message.receipt_handle = format!("{}#{serial}", stored.message.message_id);
            stored.visible_at_ms = now_ms + u64::from(receive.visibility_s) * 1_000;
            stored.delayed = false;
            taken.push(stored.message.clone());
        }
        let mut queue = self.queue.borrow_mut();
        for id in dead {
            if let Some(at) = queue.iter().position(|stored| stored.message.message_id == id) {
                self.dead.borrow_mut().push(queue.remove(at).message.body);
            }
        }
        taken
    }
}

pub fn failure(operation: &'static str, kind: CallErrorKind) -> CallError {
    CallError::new(operation, "Injected", kind)
}

pub fn fence() -> Fence {
    Fence { circuit: "orders".into(), epoch: 7 }
}

pub fn recorded(uuid: &str) -> RecordedMapping {
    RecordedMapping {
        uuid: uuid.into(),
        enabled: true,
        maximum_concurrency: None,
        provisioned: false,
        reports_batch_item_failures: false,
    }
}

impl Circuits for World {
    async fn epoch(&self, circuit: &str) -> Result<Option<u64>, CallError> {
        self.act("epoch", circuit.to_owned(), || Ok(self.epoch.get())).await
    }
}

impl EventSourceMappings for World {
    async fn get_mapping(&self, uuid: &str) -> Result<MappingDescription, CallError> {
        self.act("get_mapping", uuid.to_owned(), || {
            let missing = || failure("GetEventSourceMapping", CallErrorKind::NotFound);
            self.mappings.borrow().get(uuid).cloned().ok_or_else(missing)
        })
        .await
    }

    async fn update_mapping(
        &self,
        uuid: &str,
        update: MappingUpdate,
    ) -> Result<MappingDescription, CallError> {
        self.act("update_mapping", format!("{uuid} {update:?}"), || {
            let mut mappings = self.mappings.borrow_mut();
            let mapping = mappings
                .get_mut(uuid)
                .ok_or_else(|| failure("UpdateEventSourceMapping", CallErrorKind::NotFound))?;
            if !mapping.state.is_settled() {
                return Err(failure("UpdateEventSourceMapping", CallErrorKind::Conflict));
            }
            match update.maximum_concurrency {
                ConcurrencyUpdate::Keep => {}
                ConcurrencyUpdate::Remove => mapping.maximum_concurrency = None,
                ConcurrencyUpdate::Set(limit) => mapping.maximum_concurrency = Some(limit),
            }
            mapping.state = match (update.enabled, &mapping.state) {
                (Some(true), MappingState::Disabled) => MappingState::Enabling,
                (Some(false), MappingState::Enabled) => MappingState::Disabling,
                (_, MappingState::Enabled) => MappingState::Updating,
                (_, other) => other.clone(),
            };
            Ok(mapping.clone())
        })
        .await
    }
}

impl Messages for World {
    async fn receive(&self, queue_url: &str, receive: Receive) -> Result<Vec<Message>, CallError> {
        assert_eq!(queue_url, URL);
        assert!(
            (1..=10).contains(&receive.max_count) && receive.wait_s <= 20 && receive.visibility_s <= 43_200
        );
        if self.arriving.get() > 0 {
            self.arriving.set(self.arriving.get() - 1);
            self.put(0, "\"fresh\"");
        }
        let now_ms = self.now_ms.get();
        let in_flight =
            self.queue.borrow().iter().filter(|one| one.visible_at_ms > now_ms && !one.delayed).count();
        self.act("receive", format!("{} for {} s", receive.max_count, receive.wait_s), || {
            if in_flight >= self.in_flight_quota.get() {
                return Err(failure("ReceiveMessage", CallErrorKind::OverLimit));
            }
            let taken = self.take(receive);
            if taken.is_empty() {
                self.now_ms.set(self.now_ms.get() + u64::from(receive.wait_s) * 1_000);
            }
            Ok(taken)
        })
        .await
    }

    async fn delete_batch(&self, _: &str, handles: &[String]) -> Result<BatchResult<()>, CallError> {
        assert!((1..=10).contains(&handles.len()));
        self.act("delete", handles.join(","), || {
            Ok(self.entries("delete", handles.len(), |at| {
                self.queue.borrow_mut().retain(|stored| stored.message.receipt_handle != handles[at]);
                Ok(())
            }))
        })
        .await
    }

    async fn change_visibility_batch(
        &self,
        _: &str,
        changes: &[VisibilityChange],
    ) -> Result<BatchResult<()>, CallError> {
        assert!((1..=10).contains(&changes.len()));
        self.act("change_visibility", format!("{changes:?}"), || {
            Ok(self.entries("change_visibility", changes.len(), |at| {
                assert!(changes[at].visibility_s <= 43_200);
                let mut queue = self.queue.borrow_mut();
                let mut stored =
                    queue.iter_mut().filter(|one| one.message.receipt_handle == changes[at].receipt_handle);
                let stored = stored
                    .next()
                    .ok_or_else(|| failure("ChangeMessageVisibility", CallErrorKind::Refused))?;
                stored.visible_at_ms = self.now_ms.get() + u64::from(changes[at].visibility_s) * 1_000;
                Ok(())
            }))
        })
        .await
    }

    async fn send_batch(&self, _: &str, messages: &[Outgoing]) -> Result<BatchResult<String>, CallError> {
        assert!((1..=10).contains(&messages.len()));
        assert!(messages.iter().map(lambdas::batch::size_bytes).sum::<usize>() <= 1_048_576);
        self.act("send", messages.len().to_string(), || {
            Ok(self.entries("send", messages.len(), |at| {
                assert!(messages[at].delay_s.is_none_or(|delay_s| delay_s <= 900));
                if self.unsendable.borrow().contains(&messages[at].body) {
                    return Err(failure("SendMessage", CallErrorKind::Refused));
                }
                Ok(self.store(&messages[at]))
            }))
        })
        .await
    }

    async fn counts(&self, _: &str) -> Result<QueueCounts, CallError> {
        self.act("counts", String::new(), || {
            let mut counts = QueueCounts::default();
            for stored in self.queue.borrow().iter() {
                match (stored.visible_at_ms <= self.now_ms.get(), stored.delayed) {
                    (true, _) => counts.visible_count += 1,
                    (false, true) => counts.delayed_count += 1,
                    (false, false) => counts.in_flight_count += 1,
                }
            }
            Ok(counts)
        })
        .await
    }
}

impl Queues for World {
    async fn describe_queue(&self, url: &str) -> Result<QueueDescription, CallError> {
        self.act("describe_queue", url.to_owned(), || {
            let missing = || failure("GetQueueAttributes", CallErrorKind::NotFound);
            let (retention_s, visible_count) = *self.queues.borrow().get(url).ok_or_else(missing)?;
            let counts = QueueCounts { visible_count, ..QueueCounts::default() };
            Ok(QueueDescription { retention_s, counts })
        })
        .await
    }

    async fn set_retention(&self, url: &str, retention_s: u32) -> Result<(), CallError> {
        self.act("set_retention", format!("{url} {retention_s}"), || {
            if let Some(queue) = self.queues.borrow_mut().get_mut(url) {
                queue.0 = retention_s;
            }
            Ok(())
        })
        .await
    }

    async fn start_move(&self, arn: &str, max_per_s: u32) -> Result<(), CallError> {
        self.act("start_move", format!("{arn} {max_per_s}"), || Ok(())).await
    }
}

impl Functions for World {
    async fn invoke(&self, arn: &str, payload: Vec<u8>, deadline: Duration) -> Result<Invocation, CallError> {
        self.act("invoke", arn.to_owned(), || {
            let event: serde_json::Value = serde_json::from_slice(&payload).expect("an event");
            let body = event["Records"][0]["body"].as_str().expect("a body").to_owned();
            self.payloads.borrow_mut().push(payload);
            let answered = |function_error: Option<&str>, payload: &str| Invocation::Answered {
                function_error: function_error.map(str::to_owned),
                payload: payload.as_bytes().to_vec(),
            };
            let mut consumer = self.consumer.borrow_mut();
            match &mut *consumer {
                Consumer::Throttled(0) => {}
                Consumer::Throttled(left) => {
                    *left -= 1;
                    return Err(CallError::new(
                        "Invoke",
                        "TooManyRequestsException",
                        CallErrorKind::Throttled,
                    ));
                }
                Consumer::Breaks(kind) => return Err(failure("Invoke", *kind)),
                Consumer::Answers(_) | Consumer::Fails(_) | Consumer::Mumbles { .. } | Consumer::Hangs => {}
            }
            self.tried.borrow_mut().push(body.clone());
            match &*consumer {
                Consumer::Fails(payload) => return Ok(answered(Some("Unhandled"), payload)),
                Consumer::Mumbles { function_error, payload } => {
                    let (function_error, payload) = (function_error.clone(), payload.clone());
                    return Ok(Invocation::Answered { function_error, payload });
                }
                Consumer::Hangs => {
                    self.now_ms.set(self.now_ms.get() + deadline.as_millis() as u64);
                    return Ok(Invocation::DeadlineExceeded);
                }
                Consumer::Answers(payload) if payload.contains("itemIdentifier") => {
                    return Ok(answered(None, payload));
                }
                Consumer::Answers(_) | Consumer::Throttled(_) | Consumer::Breaks(_) => {}
            }
            self.processed.borrow_mut().push(body);
            Ok(answered(None, "null"))
        })
        .await
    }
}

impl Ledger for World {
    async fn record(&self, _: &str, ids: &[String]) -> Result<BatchResult<()>, CallError> {
        self.act("record", ids.join(","), || {
            Ok(self.entries("record", ids.len(), |at| {
                self.ledger.borrow_mut().push(ids[at].clone());
                Ok(())
            }))
        })
        .await
    }
}

impl Work for World {
    async fn perform(&self, id: &str) {
        self.call(format!("perform {id}")).await;
    }
}

impl Clock for World {
    fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    async fn sleep(&self, duration: Duration) {
        self.sleeps.borrow_mut().push(duration);
        self.now_ms.set(self.now_ms.get() + duration.as_millis() as u64);
    }
}

impl Chance for World {
    fn between(&self, low: u64, high: u64) -> u64 {
        if self.draws_latest.get() {
            return high.max(low);
        }
        // A multiplicative congruential generator: uniform enough for the tests, and the same in every run.
        let state =
            self.draws.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.draws.set(state);
        low + (state >> 16) % (high.saturating_sub(low) + 1)
    }

    fn unit(&self) -> f64 {
        self.between(0, 1 << 53) as f64 / (1u64 << 53) as f64
    }
}

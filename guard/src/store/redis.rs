//! Circuits in Redis or Valkey. One script reads, compares and writes, so that nothing comes in between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::ConnectionLike;
use ::redis::{Cmd, RedisError, Script};
use workflow::circuit::item;

use super::{KeptAnswer, Store, StoreError, Written, answer_key};
use crate::record::{Attribute, Item, Record, attribute};
use crate::settings::ms;

/// How long a circuit is kept that nobody writes: longer than any opening. One that is isolated is kept until that ends.
const CIRCUIT_TTL: Duration = Duration::from_secs(8 * 86_400);

/// `KEYS[1]` is the circuit's hash. `ARGV`: revision, epoch and state that were read; time to live in milliseconds, 0 for
/// none; how many names follow that are removed; then these, then names and values that are set.
const WRITE: &str = r"
local function held(name, otherwise)
  return redis.call('HGET', KEYS[1], name) or otherwise
end
if held('guard_revision', '0') ~= ARGV[1] or held('epoch', '') ~= ARGV[2] or held('circuit_state', 'closed') ~= ARGV[3] then
  return 0
end
local removed = tonumber(ARGV[5])
for at = 6, 5 + removed do
  redis.call('HDEL', KEYS[1], ARGV[at])
end
for at = 6 + removed, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
end
if ARGV[4] == '0' then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1
";

/// Circuits in Redis or Valkey, under keys that begin with `guard:`.
///
/// The workflow of the queue's breaker does not see them: use `DynamoStore` to share a circuit with it. A server that fails
/// over to a replica can lose the last writes; the guards then go on with what the replica has.
#[derive(Clone)]
pub struct RedisStore<C> {
    connection: C,
    write: Arc<Script>,
}

impl<C> RedisStore<C>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    /// On a connection that reconnects by itself, such as [`::redis::aio::ConnectionManager`], or one of a cluster: each
    /// request is about one key.
    pub fn new(connection: C) -> RedisStore<C> {
        RedisStore { connection, write: Arc::new(Script::new(WRITE)) }
    }

    async fn ask<T: ::redis::FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        command.query_async(&mut self.connection.clone()).await
    }
}

fn circuit_key(circuit: &str) -> String {
    format!("guard:{circuit}")
}

impl<C> Store for RedisStore<C>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    async fn read(&self, circuit: &str) -> Result<Item, StoreError> {
        let found: BTreeMap<String, String> = self
            .ask(::redis::cmd("HGETALL").arg(circuit_key(circuit)))
            .await
            .map_err(|error| StoreError::new("HGETALL", circuit, error))?;
        let attributes = found.into_iter().map(|(name, value)| (name, Attribute::Text(value))).collect();
        Item::from_attributes(&attributes).map_err(|error| StoreError::new("HGETALL", circuit, error))
    }

    async fn write(&self, circuit: &str, seen: &Item, record: &Record) -> Result<Written, StoreError> {
        let set = record.attributes();
        let gone: Vec<&str> = attribute::ALL.into_iter().filter(|name| !set.contains_key(name)).collect();
        let ttl_ms = if record.isolation.is_some() { 0 } else { ms(CIRCUIT_TTL) };
        let mut call = self.write.key(circuit_key(circuit));
        call.arg(seen.record.revision.to_string())
            .arg(seen.workflow.epoch.map(|epoch| epoch.to_string()).unwrap_or_default())
            .arg(seen.workflow.state.name())
            .arg(ttl_ms.to_string())
            .arg(gone.len());
        for name in gone {
            call.arg(name);
        }
        for (name, value) in set {
            call.arg(name).arg(value.text());
        }
        call.arg(item::CIRCUIT).arg(circuit);
        let done: u8 = call
            .invoke_async(&mut self.connection.clone())
            .await
            .map_err(|error| StoreError::new("EVALSHA", circuit, error))?;
        Ok(if done == 1 { Written::Done } else { Written::Refused })
    }

    async fn answer(&self, circuit: &str, key: &str) -> Result<Option<KeptAnswer>, StoreError> {
        let key = format!("guard:{}", answer_key(circuit, key));
        let found: Option<String> = self
            .ask(::redis::cmd("GET").arg(&key))
            .await
            .map_err(|error| StoreError::new("GET", &key, error))?;
        let Some(found) = found else { return Ok(None) };
        serde_json::from_str(&found).map(Some).map_err(|error| StoreError::new("GET", &key, error))
    }

    async fn keep_answer(
        &self,
        circuit: &str,
        key: &str,
        answer: &KeptAnswer,
        ttl_ms: u64,
    ) -> Result<(), StoreError> {
        let key = format!("guard:{}", answer_key(circuit, key));
        let text = serde_json::to_string(answer).map_err(|error| StoreError::new("SET", &key, error))?;
        self.ask(::redis::cmd("SET").arg(&key).arg(text).arg("PX").arg(ttl_ms.max(1)))
            .await
            .map_err(|error| StoreError::new("SET", &key, error))
    }
}

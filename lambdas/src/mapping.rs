//! The `mapping` function: records, disables, limits and restores event source mappings, and tells how far they are.
//!
//! Every action asks for a state rather than for a change, so that a step that is retried after its answer was lost
//! does nothing twice. It never waits: the workflow asks again.

use serde::Serialize;
use tracing::{info, warn};
use workflow::contract::{Fence, InspectAnswer, MappingRequest, RecordedMapping, SettleAnswer};

use crate::failure::HandlerError;
use crate::fence;
use crate::ports::{
    CallErrorKind, Circuits, Clock, ConcurrencyUpdate, EventSourceMappings, MappingDescription, MappingState,
    MappingUpdate, Messages, REPORT_BATCH_ITEM_FAILURES,
};

/// Answer of the `mapping` function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum MappingAnswer {
    /// To `inspect`.
    Inspected(InspectAnswer),
    /// To everything else.
    Settling(SettleAnswer),
}

/// What an action wants of one mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// Not polling, whatever else is set.
    Disabled,
    /// Not polling, with this limit: its owner's own, so that whoever enables it meanwhile finds what was there before.
    DisabledWith(Option<u32>),
    /// Polling, at most this many invocations at a time; none means no limit is set.
    Enabled(Option<u32>),
    /// With this limit, polling or not as it is found.
    With(Option<u32>),
}

/// Carries one request out.
///
/// # Errors
/// [`HandlerError::StaleEpoch`] before anything is touched when the circuit has another owner;
/// [`HandlerError::Unsettled`] or a transient call error when a mapping cannot be changed right now: every other
/// mapping has been tried by then; [`HandlerError::MappingMissing`] when one is gone; any other failed call.
pub async fn handle<P>(request: &MappingRequest, ports: &P) -> Result<MappingAnswer, HandlerError>
where
    P: Circuits + EventSourceMappings + Messages + Clock,
{
    fence::check(fence_of(request), ports).await?;
    let settling = match request {
        MappingRequest::Inspect { mappings, .. } => {
            return inspect(mappings, ports).await.map(MappingAnswer::Inspected);
        }
        MappingRequest::Disable { fence, recorded } => reach_all(fence, recorded, disabled, ports).await?,
        MappingRequest::Limit { fence, recorded, maximum_concurrency, already_enabled } => {
            let limited = |mapping: &RecordedMapping| {
                let limit = Some(limit(mapping, *maximum_concurrency));
                if *already_enabled { Goal::With(limit) } else { Goal::Enabled(limit) }
            };
            reach_all(fence, recorded, limited, ports).await?
        }
        MappingRequest::Restore { fence, recorded, already_enabled: false } => {
            reach_all(fence, recorded, as_recorded, ports).await?
        }
        MappingRequest::Restore { fence, recorded, already_enabled: true } => {
            reach_all(fence, recorded, |mapping| Goal::With(mapping.maximum_concurrency), ports).await?
        }
        MappingRequest::CheckEnabled { recorded, .. } => check(recorded, as_recorded, ports).await?,
        MappingRequest::CheckLimited { recorded, maximum_concurrency, .. } => {
            let limited =
                |mapping: &RecordedMapping| Goal::Enabled(Some(limit(mapping, *maximum_concurrency)));
            check(recorded, limited, ports).await?
        }
        MappingRequest::CheckQuiet {
            recorded,
            queue_url,
            disabled_at_ms,
            grace_s,
            function_timeout_s,
            ..
        } => {
            let quiet = Quiet {
                queue_url,
                from_ms: disabled_at_ms.saturating_add(u64::from(*grace_s) * 1_000),
                function_timeout_ms: u64::from(*function_timeout_s) * 1_000,
            };
            check_quiet(recorded, quiet, ports).await?
        }
    };
    Ok(MappingAnswer::Settling(settling))
}

fn fence_of(request: &MappingRequest) -> &Fence {
    match request {
        MappingRequest::Inspect { fence, .. }
        | MappingRequest::Disable { fence, .. }
        | MappingRequest::CheckQuiet { fence, .. }
        | MappingRequest::Limit { fence, .. }
        | MappingRequest::CheckLimited { fence, .. }
        | MappingRequest::Restore { fence, .. }
        | MappingRequest::CheckEnabled { fence, .. } => fence,
    }
}

/// A mapping while limited never gets more than its owner allowed it.
fn limit(mapping: &RecordedMapping, maximum_concurrency: u32) -> u32 {
    mapping.maximum_concurrency.map_or(maximum_concurrency, |owned| owned.min(maximum_concurrency))
}

/// A limited close that failed left its limit behind, which the next trip would record as the owner's.
fn disabled(mapping: &RecordedMapping) -> Goal {
    Goal::DisabledWith(mapping.maximum_concurrency)
}

fn as_recorded(mapping: &RecordedMapping) -> Goal {
    Goal::Enabled(mapping.maximum_concurrency)
}

async fn inspect<P: EventSourceMappings>(uuids: &[String], ports: &P) -> Result<InspectAnswer, HandlerError> {
    let mut recorded = Vec::with_capacity(uuids.len());
    for uuid in uuids {
        let mapping = get(uuid, ports).await?;
        let enabled = match &mapping.state {
            MappingState::Enabled | MappingState::Enabling => true,
            MappingState::Disabled | MappingState::Disabling => false,
            // What it will be once it settles is not known, and a guess would decide whether it is ever enabled again.
            MappingState::Updating
            | MappingState::Creating
            | MappingState::Deleting
            | MappingState::Other(_) => {
                return Err(unsettled(mapping));
            }
        };
        recorded.push(RecordedMapping {
            uuid: uuid.clone(),
            enabled,
            maximum_concurrency: mapping.maximum_concurrency,
            provisioned: mapping.provisioned,
            reports_batch_item_failures: mapping
                .function_response_types
                .iter()
                .any(|kind| kind == REPORT_BATCH_ITEM_FAILURES),
        });
    }
    let enabled_count = recorded.iter().filter(|mapping| mapping.enabled).count() as u32;
    info!(mapping_count = recorded.len(), enabled_count, "recorded the settings of the mappings");
    Ok(InspectAnswer { recorded, enabled_count })
}

/// Takes every mapping that the breaker may touch towards its goal. One that cannot be changed does not keep the
/// others from being changed: what fails for good is reported first, then what may work later.
async fn reach_all<P: Circuits + EventSourceMappings>(
    fence: &Fence,
    recorded: &[RecordedMapping],
    goal: impl Fn(&RecordedMapping) -> Goal,
    ports: &P,
) -> Result<SettleAnswer, HandlerError> {
    let mut seen = Vec::new();
    let mut failure: Option<HandlerError> = None;
    for mapping in ours(recorded) {
        let goal = goal(mapping);
        match reach(fence, mapping, goal, ports).await {
            Ok(now) => seen.push(Seen { reached: is_reached(&now, mapping, goal), state: now.state, goal }),
            // Whoever owns the circuit now decides about the other mappings too.
            Err(error @ HandlerError::StaleEpoch { .. }) => return Err(error),
            Err(error) => {
                warn!(mapping = mapping.uuid, error = error.error_message(), "could not change the mapping");
                if failure.as_ref().is_none_or(|first| first.is_transient() && !error.is_transient()) {
                    failure = Some(error);
                }
            }
        }
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(settle_answer(&seen)),
    }
}

async fn reach<P: Circuits + EventSourceMappings>(
    fence: &Fence,
    mapping: &RecordedMapping,
    goal: Goal,
    ports: &P,
) -> Result<MappingDescription, HandlerError> {
    let now = get(&mapping.uuid, ports).await?;
    if is_under_way(&now, mapping, goal) {
        return Ok(now);
    }
    if !now.state.is_settled() {
        return Err(unsettled(now));
    }
    let (enabled, limit) = match goal {
        Goal::Disabled => (Some(false), now.maximum_concurrency),
        Goal::DisabledWith(limit) => (Some(false), limit),
        Goal::Enabled(limit) => (Some(true), limit),
        Goal::With(limit) => (None, limit),
    };
    let maximum_concurrency = match limit {
        limit if has_limit(&now, mapping, limit) => ConcurrencyUpdate::Keep,
        Some(limit) => ConcurrencyUpdate::Set(limit),
        None => ConcurrencyUpdate::Remove,
    };
    let update = MappingUpdate { enabled, maximum_concurrency };
    // This call may have outlived the execution that made it, or waited for its turn while another one took over.
    fence::check(fence, ports).await?;
    info!(mapping = mapping.uuid, from = now.state.name(), ?update, "changing the mapping");
    ports.update_mapping(&mapping.uuid, update).await.map_err(|error| missing(error, &mapping.uuid))
}

/// Whether the mapping is where it should be or already on its way there.
fn is_under_way(now: &MappingDescription, mapping: &RecordedMapping, goal: Goal) -> bool {
    match (goal, &now.state) {
        (Goal::Disabled, MappingState::Disabled | MappingState::Disabling) => true,
        (Goal::DisabledWith(limit), MappingState::Disabled | MappingState::Disabling) => {
            has_limit(now, mapping, limit)
        }
        (Goal::Enabled(limit), MappingState::Enabled | MappingState::Enabling) => {
            has_limit(now, mapping, limit)
        }
        (
            Goal::With(limit),
            MappingState::Enabled | MappingState::Enabling | MappingState::Disabled | MappingState::Disabling,
        ) => has_limit(now, mapping, limit),
        (Goal::Disabled | Goal::DisabledWith(_) | Goal::Enabled(_) | Goal::With(_), _) => false,
    }
}

fn is_reached(now: &MappingDescription, mapping: &RecordedMapping, goal: Goal) -> bool {
    now.state.is_settled() && is_under_way(now, mapping, goal)
}

fn has_limit(now: &MappingDescription, mapping: &RecordedMapping, limit: Option<u32>) -> bool {
    is_provisioned(now, mapping) || now.maximum_concurrency == limit
}

/// Provisioned pollers exclude `MaximumConcurrency`. Somebody may have switched them on while the circuit was open;
/// asking for a limit then would be refused for good and strand the mapping.
fn is_provisioned(now: &MappingDescription, mapping: &RecordedMapping) -> bool {
    now.provisioned || mapping.provisioned
}

async fn check<P: EventSourceMappings>(
    recorded: &[RecordedMapping],
    goal: impl Fn(&RecordedMapping) -> Goal,
    ports: &P,
) -> Result<SettleAnswer, HandlerError> {
    Ok(settle_answer(&look_at_all(recorded, goal, ports).await?))
}

struct Quiet<'a> {
    queue_url: &'a str,
    /// No delivery starts after this moment, milliseconds since the Unix epoch.
    from_ms: u64,
    function_timeout_ms: u64,
}

async fn check_quiet<P>(
    recorded: &[RecordedMapping],
    quiet: Quiet<'_>,
    ports: &P,
) -> Result<SettleAnswer, HandlerError>
where
    P: EventSourceMappings + Messages + Clock,
{
    let seen = look_at_all(recorded, |_| Goal::Disabled, ports).await?;
    let answer = settle_answer(&seen);
    if !answer.done || seen.is_empty() {
        return Ok(answer);
    }
    let waiting =
        |waiting_for: String| SettleAnswer { done: false, state: answer.state.clone(), waiting_for };
    // `Disabled` does not mean quiet: deliveries 30 to 60 s after the call are on record.
    let now_ms = ports.now_ms();
    if now_ms < quiet.from_ms {
        let left_s = (quiet.from_ms - now_ms).div_ceil(1_000);
        return Ok(waiting(format!("{left_s} s more in which a last delivery may start")));
    }
    // The last delivery that could start has timed out by now, whatever the approximate count says; messages that a
    // failed delivery left invisible would otherwise keep the circuit from ever being quiet.
    if now_ms >= quiet.from_ms.saturating_add(quiet.function_timeout_ms) {
        return Ok(answer);
    }
    let in_flight_count = ports.counts(quiet.queue_url).await?.in_flight_count;
    if in_flight_count > 0 {
        return Ok(waiting(format!("{in_flight_count} messages in flight")));
    }
    Ok(answer)
}

/// What was seen of one mapping.
struct Seen {
    state: MappingState,
    goal: Goal,
    reached: bool,
}

async fn look_at_all<P: EventSourceMappings>(
    recorded: &[RecordedMapping],
    goal: impl Fn(&RecordedMapping) -> Goal,
    ports: &P,
) -> Result<Vec<Seen>, HandlerError> {
    let mut seen = Vec::new();
    for mapping in ours(recorded) {
        let now = get(&mapping.uuid, ports).await?;
        let goal = goal(mapping);
        seen.push(Seen { reached: is_reached(&now, mapping, goal), state: now.state, goal });
    }
    Ok(seen)
}

fn settle_answer(seen: &[Seen]) -> SettleAnswer {
    let unreached: Vec<&Seen> = seen.iter().filter(|one| !one.reached).collect();
    let Some(worst) = unreached.iter().max_by_key(|one| distance(&one.state, one.goal)) else {
        let state = seen.first().map_or("Disabled", |one| one.state.name());
        return SettleAnswer { done: true, state: state.to_owned(), waiting_for: String::new() };
    };
    let (count, all) = (unreached.len(), seen.len());
    let waiting_for = match worst.goal {
        Goal::Disabled | Goal::DisabledWith(_) => format!("{count} of {all} mappings to be Disabled"),
        Goal::Enabled(_) | Goal::With(_) => {
            format!("{count} of {all} mappings to be Enabled with their settings")
        }
    };
    SettleAnswer { done: false, state: worst.state.name().to_owned(), waiting_for }
}

/// How far a state is from the goal: the opposite settled state is the farthest, because nothing is on its way.
fn distance(state: &MappingState, goal: Goal) -> u8 {
    let (reached, near, turning, far) = match goal {
        Goal::Disabled | Goal::DisabledWith(_) => {
            (MappingState::Disabled, MappingState::Disabling, MappingState::Enabling, MappingState::Enabled)
        }
        Goal::Enabled(_) | Goal::With(_) => {
            (MappingState::Enabled, MappingState::Enabling, MappingState::Disabling, MappingState::Disabled)
        }
    };
    match state {
        state if *state == reached => 0,
        state if *state == near => 1,
        state if *state == turning => 3,
        state if *state == far => 4,
        _ => 2,
    }
}

/// The mappings that the breaker may touch: one that was not enabled was disabled by someone else.
fn ours(recorded: &[RecordedMapping]) -> impl Iterator<Item = &RecordedMapping> {
    recorded.iter().filter(|mapping| mapping.enabled)
}

async fn get<P: EventSourceMappings>(uuid: &str, ports: &P) -> Result<MappingDescription, HandlerError> {
    let mapping = ports.get_mapping(uuid).await.map_err(|error| missing(error, uuid))?;
    if mapping.state == MappingState::Deleting {
        return Err(HandlerError::MappingMissing { uuid: uuid.to_owned() });
    }
    Ok(mapping)
}

fn missing(error: crate::ports::CallError, uuid: &str) -> HandlerError {
    match error.kind {
        CallErrorKind::NotFound => HandlerError::MappingMissing { uuid: uuid.to_owned() },
        CallErrorKind::Throttled
        | CallErrorKind::Transient
        | CallErrorKind::AccessDenied
        | CallErrorKind::Conflict
        | CallErrorKind::OverLimit
        | CallErrorKind::Refused => HandlerError::Call(error),
    }
}

fn unsettled(mapping: MappingDescription) -> HandlerError {
    HandlerError::Unsettled { uuid: mapping.uuid, state: mapping.state.name().to_owned() }
}

//! The `reconciler`: compares what is with what should be, from outside the workflow, every minute and whenever an
//! execution ends badly. It is what makes "never stranded" true of executions that end without having closed.
//!
//! It reads levels, not edges, and never writes the circuit's item: it acts by starting an execution, whose claim decides,
//! by asking a waiting one to look, and by saying what it sees. So it may run twice at once, and late.

use serde_json::{Map, Value, json};
use tracing::{info, warn};
use workflow::circuit::{CircuitState, Phase};
use workflow::contract::{ReconcileAnswer, ReconcileRequest, Trigger, TripRequest, WaitCommand};
use workflow::events::Announcement;

use crate::failure::HandlerError;
use crate::ports::{
    Alarms, Announcements, CallErrorKind, CircuitItem, CircuitItems, Clock, EventSourceMappings, Executions,
    MappingDescription, MappingState, Watch,
};

/// How long an alarm must have been in ALARM before its own event counts as lost, milliseconds.
const ALARM_GRACE_MS: u64 = 60_000;
/// How long after a trip that it asked for the reconciler asks again for the same alarm, milliseconds. A trip that came to
/// nothing is repeated, an alarm that stays in ALARM whatever is done is not tripped for every minute.
const TRIP_AGAIN_MS: u64 = 600_000;
/// How long a mapping must be seen disabled before somebody is told, milliseconds: the workflow's own last steps, and a
/// stack's update, are no incident.
const DISABLED_GRACE_MS: u64 = 120_000;

/// Looks once at one circuit and does what has to be done.
///
/// # Errors
/// Any failed call that is needed to judge; what could be said and done before it was. The next look repeats the rest.
pub async fn handle<P>(request: &ReconcileRequest, ports: &P) -> Result<ReconcileAnswer, HandlerError>
where
    P: CircuitItems + Executions + Alarms + EventSourceMappings + Announcements + Clock,
{
    // The item before the mapping: an owner writes what it is going to do before it does it.
    let item = ports.circuit_item(&request.circuit).await?;
    let mapping = look_at_mapping(request, ports).await?;
    let watched = ports.watch(&request.circuit).await?;
    let look = Look { request, item: &item, mapping: mapping.as_ref(), now_ms: ports.now_ms() };
    let mut watch = watched.clone();
    let mut done = Vec::new();

    let alarm = ports.alarm(&request.alarm_name, request.alarm_is_composite).await?;
    look.announce_blindness(alarm.is_none(), &mut watch, &mut done, ports).await?;
    if item.state == CircuitState::Closed {
        // The owner of a closed circuit has at most a raised retention to give back, for days perhaps: a new trip takes the
        // circuit from it at any time.
        let owner = item.owner_arn.as_deref().unwrap_or_default();
        let running = ports.others_running(&request.machine_arn, owner).await?;
        look.announce_disabled(running, &mut watch, &mut done, ports).await?;
        let since_ms = alarm.filter(|alarm| alarm.is_in_alarm).map(|alarm| alarm.since_ms);
        if let Some(since_ms) = since_ms.filter(|_| !running) {
            look.trip(since_ms, &mut watch, &mut done, ports).await?;
        }
        if done.is_empty() && !running {
            look.look_after_retention(owner, &mut done, ports).await?;
        }
    } else {
        watch.disabled_since_ms = None;
        watch.disabled_announced = false;
        look.look_after_owner(&mut done, ports).await?;
    }
    if watch != watched {
        ports.put_watch(&request.circuit, &watch).await?;
    }
    info!(circuit = request.circuit, ?done, "looked at the circuit");
    Ok(ReconcileAnswer { done: done.into_iter().map(str::to_owned).collect() })
}

/// A mapping that is gone is nobody's to switch; the workflow says so when it needs it.
async fn look_at_mapping<P: EventSourceMappings>(
    request: &ReconcileRequest,
    ports: &P,
) -> Result<Option<MappingDescription>, HandlerError> {
    match ports.get_mapping(&request.mapping_uuid).await {
        Ok(mapping) => Ok(Some(mapping)),
        Err(error) if error.kind == CallErrorKind::NotFound => {
            warn!(mapping = request.mapping_uuid, "the mapping does not exist");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// What one look saw.
struct Look<'a> {
    request: &'a ReconcileRequest,
    item: &'a CircuitItem,
    mapping: Option<&'a MappingDescription>,
    now_ms: u64,
}

impl Look<'_> {
    fn mapping_is(&self, states: &[MappingState]) -> bool {
        self.mapping.is_some_and(|mapping| states.contains(&mapping.state))
    }

    /// A circuit that is not closed has to have an owner that lives, and the mapping has to be as the owner left it.
    async fn look_after_owner<P: Executions>(
        &self,
        done: &mut Vec<&'static str>,
        ports: &P,
    ) -> Result<(), HandlerError> {
        let owner = self.item.owner_arn.as_deref().unwrap_or_default();
        if !ports.is_alive(owner).await? {
            if self.item.phase != Some(Phase::GivenUp) {
                self.start("the execution that owned the circuit has ended", None, ports).await?;
                done.push("took_over");
            }
            return Ok(());
        }
        let enabled = self.mapping_is(&[MappingState::Enabled, MappingState::Enabling]);
        if enabled
            && self.item.phase == Some(Phase::Disabled)
            && let Some(token) = &self.item.task_token
        {
            // The wait may have ended since the item was read: then the probe sees it.
            if ports.complete_wait(token, &WaitCommand::Check).await? {
                done.push("woke_owner");
            }
        }
        Ok(())
    }

    /// The alarm fires, and nobody has acted: its event was lost, or came when it could not be used.
    async fn trip<P: Executions>(
        &self,
        since_ms: u64,
        watch: &mut Watch,
        done: &mut Vec<&'static str>,
        ports: &P,
    ) -> Result<(), HandlerError> {
        let quiet_since_ms = since_ms.max(self.item.closed_at_ms.unwrap_or_default());
        let is_due = self.now_ms >= quiet_since_ms.saturating_add(ALARM_GRACE_MS);
        let asked_lately =
            watch.tripped_at_ms.is_some_and(|at_ms| self.now_ms < at_ms.saturating_add(TRIP_AGAIN_MS));
        // A mapping that is disabled has nothing to open, however long its alarm has not heard of anything.
        if is_due && !asked_lately && self.mapping_is(&[MappingState::Enabled]) {
            self.start("the alarm is in ALARM and nothing was opened", None, ports).await?;
            watch.tripped_at_ms = Some(self.now_ms);
            done.push("tripped");
        }
        Ok(())
    }

    /// The owner has closed the circuit and died before it gave a raised retention back: another execution does that.
    async fn look_after_retention<P: Executions>(
        &self,
        owner: &str,
        done: &mut Vec<&'static str>,
        ports: &P,
    ) -> Result<(), HandlerError> {
        // A machine that was deployed anew without the setting could not.
        if !self.item.retention_is_raised || !self.request.raises_retention || ports.is_alive(owner).await? {
            return Ok(());
        }
        let reason = "the execution that was to give the retention back has ended";
        self.start(reason, Some(owner), ports).await?;
        done.push("restores_retention");
        Ok(())
    }

    async fn start<P: Executions>(
        &self,
        reason: &str,
        restore_retention_of: Option<&str>,
        ports: &P,
    ) -> Result<(), HandlerError> {
        let request = TripRequest {
            circuit: self.request.circuit.clone(),
            trigger: Trigger::Reconciler,
            reason: reason.to_owned(),
            at: rfc3339(self.now_ms),
            hold: None,
            restore_retention_of: restore_retention_of.map(str::to_owned),
        };
        Ok(ports.start(&self.request.machine_arn, &request).await?)
    }

    /// A mapping that is disabled while its circuit is closed was disabled by somebody else. It is their business, but a
    /// queue that fills up is somebody's who should know.
    async fn announce_disabled<P: Announcements>(
        &self,
        running: bool,
        watch: &mut Watch,
        done: &mut Vec<&'static str>,
        ports: &P,
    ) -> Result<(), HandlerError> {
        if running || !self.mapping_is(&[MappingState::Disabled]) {
            watch.disabled_since_ms = None;
            watch.disabled_announced = false;
            return Ok(());
        }
        let since_ms = *watch.disabled_since_ms.get_or_insert(self.now_ms);
        if !watch.disabled_announced && self.now_ms >= since_ms.saturating_add(DISABLED_GRACE_MS) {
            let why = self.mapping.map(|mapping| mapping.state_transition_reason.clone()).unwrap_or_default();
            let detail = [("mapping", json!(self.request.mapping_uuid)), ("reason", json!(why))];
            self.announce(Announcement::MappingDisabled, &detail, ports).await?;
            watch.disabled_announced = true;
            done.push("announced_mapping_disabled");
        }
        Ok(())
    }

    /// A signal that cannot fire is worse than none: people rely on it.
    async fn announce_blindness<P: Announcements>(
        &self,
        alarm_is_missing: bool,
        watch: &mut Watch,
        done: &mut Vec<&'static str>,
        ports: &P,
    ) -> Result<(), HandlerError> {
        let lacks_metrics = self.mapping.is_some_and(|mapping| !mapping.counts_events);
        let blind = if alarm_is_missing {
            Some("the alarm does not exist")
        } else if self.request.needs_event_metrics && lacks_metrics {
            Some("the mapping publishes no event metrics: MetricsConfig lacks EventCount")
        } else {
            None
        };
        if let Some(reason) = blind.filter(|reason| watch.blind.as_deref() != Some(reason)) {
            let detail = [("alarm", json!(self.request.alarm_name)), ("reason", json!(reason))];
            self.announce(Announcement::SignalBlind, &detail, ports).await?;
            done.push("announced_signal_blind");
        }
        watch.blind = blind.map(str::to_owned);
        Ok(())
    }

    async fn announce<P: Announcements>(
        &self,
        what: Announcement,
        fields: &[(&str, Value)],
        ports: &P,
    ) -> Result<(), HandlerError> {
        let mut detail = Map::from_iter([
            ("circuit".to_owned(), json!(self.request.circuit)),
            ("epoch".to_owned(), json!(self.item.epoch.unwrap_or_default())),
            ("at".to_owned(), json!(rfc3339(self.now_ms))),
        ]);
        detail.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Ok(ports.announce(what.detail_type(), &Value::Object(detail)).await?)
    }
}

/// A moment as people and events write it.
fn rfc3339(ms: u64) -> String {
    let moment = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    moment.map_or_else(|| ms.to_string(), |moment| moment.to_string())
}

//! The kinds of steps that the workflow is made of: a function call, a write of the circuit's item, an announcement.

use serde_json::{Map, Value, json};

use super::{ANY_FUNCTION_S, Context, placeholder, placeholder_value};
use crate::asl::{Catcher, Retrier, State, Task, jsonata};
use crate::circuit::{Phase, Transition, item};
use crate::errors;
use crate::events::{Announcement, SOURCE};

/// Resource of a Lambda invocation.
pub const INVOKE: &str = "arn:aws:states:::lambda:invoke";
/// Resource of a write to the circuit's item.
pub const UPDATE_ITEM: &str = "arn:aws:states:::dynamodb:updateItem";
/// Resource of a read of the circuit's item.
pub const GET_ITEM: &str = "arn:aws:states:::dynamodb:getItem";
/// Resource of the interruptible wait: writes the task token, then waits for it.
pub const UPDATE_ITEM_AND_WAIT: &str = "arn:aws:states:::aws-sdk:dynamodb:updateItem.waitForTaskToken";
/// Resource of an announcement.
pub const PUT_EVENTS: &str = "arn:aws:states:::events:putEvents";
/// Resource of the look at another execution.
pub const DESCRIBE_EXECUTION: &str = "arn:aws:states:::aws-sdk:sfn:describeExecution";
/// Resource of the hand-over to a fresh execution.
pub const START_EXECUTION: &str = "arn:aws:states:::states:startExecution";
/// Resource of the look at the alarm.
pub const DESCRIBE_ALARMS: &str = "arn:aws:states:::aws-sdk:cloudwatch:describeAlarms";
/// Resource of the look at what of the traffic failed.
pub const GET_METRIC_DATA: &str = "arn:aws:states:::aws-sdk:cloudwatch:getMetricData";
/// Resource of the reset of the alarm.
pub const SET_ALARM_STATE: &str = "arn:aws:states:::aws-sdk:cloudwatch:setAlarmState";

/// A conditional write was refused. The optimised integration and the SDK integration spell the service differently.
pub const CONDITION_FAILED: [&str; 2] =
    ["DynamoDB.ConditionalCheckFailedException", "DynamoDb.ConditionalCheckFailedException"];

/// The attribute that says what the owner is doing to the mappings.
pub fn phase(now: Phase) -> (&'static str, Value) {
    (item::PHASE, json!({ "S": now.name() }))
}

/// The attributes that say what the last probe said, and when.
pub fn last_probe() -> [(&'static str, Value); 2] {
    [
        (item::LAST_VERDICT, json!({ "S": jsonata("$lastProbe.verdict") })),
        (item::LAST_PROBE_AT_MS, json!({ "N": jsonata("$string($lastProbe.at_ms)") })),
    ]
}

/// The attributes that say how the probes of this outage went, the last one's first.
pub fn probes_so_far() -> [(&'static str, Value); 4] {
    let [verdict, probed_at] = last_probe();
    [
        verdict,
        probed_at,
        (item::LAST_ERROR, json!({ "S": jsonata("$lastError") })),
        (item::FAILED_PROBES, json!({ "N": jsonata("$string($failedProbes)") })),
    ]
}

/// What a probe said, and when it was, for the variable `lastProbe`; both are JSONata.
pub fn probed(verdict: &str, at_ms: &str) -> Value {
    jsonata(format!("{{'verdict': {verdict}, 'at_ms': {at_ms}}}"))
}

/// Milliseconds since the Unix epoch, as a DynamoDB number.
pub fn now_ms() -> Value {
    json!({ "N": jsonata("$string($millis())") })
}

/// Repetition of a step that may safely be done twice: about two minutes in all, four at most.
pub fn patient() -> Retrier {
    Retrier::on(&["States.ALL"], 8).backoff(2, 60)
}

/// Repetition of a step that is not worth waiting for.
pub fn brief() -> Retrier {
    Retrier::on(&["States.ALL"], 3).backoff(1, 5)
}

impl Context<'_> {
    /// Proof of ownership for a function.
    pub fn fence(&self) -> Value {
        json!({ "circuit": self.name, "epoch": jsonata("$epoch") })
    }

    /// A call of one of the breaker's functions. Errors that repeating cannot mend go straight to the catchers; the
    /// others are repeated by `retrier`. What remains leads to the fault handling, which resumes at `resume_at`.
    pub fn call(
        &self,
        name: &str,
        function: &str,
        payload: Value,
        retrier: Retrier,
        resume_at: &str,
    ) -> Task {
        self.attempt(name, function, payload, retrier)
            .catch(Catcher::on(&[errors::STALE_EPOCH], "Superseded"))
            .catch(self.to_fault(name, resume_at))
    }

    /// As [`Context::call`], for a step that says itself what its failure means.
    pub fn attempt(&self, name: &str, function: &str, payload: Value, retrier: Retrier) -> Task {
        let permanent = [
            errors::STALE_EPOCH,
            errors::MAPPING_MISSING,
            errors::ACCESS_DENIED,
            errors::REFUSED,
            errors::INVALID_REQUEST,
            errors::MAY_BE_RUNNING,
        ];
        Task::new(name, INVOKE)
            .arguments(json!({ "FunctionName": placeholder_value(function), "Payload": payload }))
            // Longer than any function may run: when it passes, the function has ended.
            .timeout_s(json!(ANY_FUNCTION_S))
            .retry(Retrier::on(&permanent, 0))
            .retry(retrier)
    }

    /// Looks how many of the mappings that the breaker may touch are enabled now; answers `{enabled_count}`.
    pub fn count_enabled(&self, name: &str, resume_at: &str) -> Task {
        let payload = json!({
            "action": "inspect",
            "fence": self.fence(),
            "mappings": jsonata("[$recorded[enabled].uuid]"),
        });
        self.call(name, placeholder::MAPPING_FUNCTION, payload, patient(), resume_at)
            .output(jsonata("{'enabled_count': $states.result.Payload.enabled_count}"))
    }

    /// Leads to the fault handling, which names this state and resumes at `resume_at`. Only the error's name is kept:
    /// its cause could hold what a consumer said.
    pub fn to_fault(&self, name: &str, resume_at: &str) -> Catcher {
        Catcher::on(&["States.ALL"], "AnnounceFault")
            .assign("fault", json!({ "state": name, "error": jsonata("$states.errorOutput.Error") }))
            .assign("resumeAt", json!(resume_at))
    }

    /// Writes what the owner is doing to the mappings now, and nothing else.
    pub fn mark(&self, name: &str, now: Phase, resume_at: &str) -> Task {
        self.write(name, self.write_arguments(None, &[phase(now)], &[]), resume_at)
    }

    /// A write of the circuit's item by its owner. `set` and `remove` name attributes of [`item`]; with a transition the
    /// state is written too, and the write is refused from a state in which the table does not allow it.
    pub fn write_arguments(
        &self,
        transition: Option<Transition>,
        set: &[(&str, Value)],
        remove: &[&str],
    ) -> Value {
        let mut values = Map::new();
        values.insert(":epoch".to_owned(), json!({ "N": jsonata("$string($epoch)") }));
        values.insert(":me".to_owned(), json!({ "S": jsonata("$states.context.Execution.Id") }));
        let mut condition = format!("{} = :epoch AND {} = :me", item::EPOCH, item::OWNER);
        let mut assignments = Vec::new();
        if let Some(transition) = transition {
            assignments.push(format!("{} = :state", item::STATE));
            values.insert(":state".to_owned(), json!({ "S": transition.target().name() }));
            condition = format!("{condition} AND {}", allowed_from(transition, &mut values));
        }
        let stamped = [(item::UPDATED_AT_MS, now_ms())];
        for (attribute, value) in set.iter().chain(&stamped) {
            let key = format!(":{attribute}");
            assignments.push(format!("{attribute} = {key}"));
            values.insert(key, value.clone());
        }
        let mut update = format!("SET {}", assignments.join(", "));
        if !remove.is_empty() {
            update = format!("{update} REMOVE {}", remove.join(", "));
        }
        self.update_item(&update, &condition, values)
    }

    /// The arguments of an `UpdateItem` on the circuit's item.
    pub fn update_item(&self, update: &str, condition: &str, values: Map<String, Value>) -> Value {
        json!({
            "TableName": placeholder_value(placeholder::CIRCUIT_TABLE),
            "Key": { item::CIRCUIT: { "S": self.name } },
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        })
    }

    /// A step that writes the circuit's item.
    pub fn write(&self, name: &str, arguments: Value, resume_at: &str) -> Task {
        Task::new(name, UPDATE_ITEM)
            .arguments(arguments)
            .retry(Retrier::on(&CONDITION_FAILED, 0))
            .retry(patient())
            // Somebody else owns the circuit: this execution ends quietly.
            .catch(Catcher::on(&CONDITION_FAILED, "Superseded"))
            .catch(self.to_fault(name, resume_at))
    }

    /// A step that writes the circuit's item, if that is possible now, and says itself what its failure means.
    pub fn try_write(&self, name: &str, arguments: Value) -> Task {
        Task::new(name, UPDATE_ITEM)
            .arguments(arguments)
            .retry(Retrier::on(&CONDITION_FAILED, 0))
            .retry(brief())
    }

    /// A step that announces something and goes on to `next` whether or not the announcement arrives: saying it must
    /// never keep the breaker from doing it. Either way the variables of `assigned` are set.
    pub fn announce(
        &self,
        name: &str,
        announcement: Announcement,
        detail: &[(&str, Value)],
        assigned: &[(&str, Value)],
        next: &str,
    ) -> State {
        let mut fields = Map::from_iter([
            ("circuit".to_owned(), json!(self.name)),
            ("epoch".to_owned(), jsonata("$epoch")),
            ("execution".to_owned(), jsonata("$states.context.Execution.Id")),
            ("at".to_owned(), jsonata("$now()")),
        ]);
        fields.extend(detail.iter().map(|(field, value)| ((*field).to_owned(), value.clone())));
        let mut task = Task::new(name, PUT_EVENTS)
            .arguments(json!({
                "Entries": [{
                    "Source": SOURCE,
                    "DetailType": announcement.detail_type(),
                    "EventBusName": placeholder_value(placeholder::EVENT_BUS),
                    "Detail": fields,
                }]
            }))
            .output(json!({}))
            .retry(brief());
        let mut unheard = Catcher::on(&["States.ALL"], next);
        for (variable, value) in assigned {
            task = task.assign(variable, value.clone());
            unheard = unheard.assign(variable, value.clone());
        }
        task.catch(unheard).next(next)
    }
}

/// `circuit_state IN (...)` over the states from which `transition` is legal; adds their values.
pub fn allowed_from(transition: Transition, values: &mut Map<String, Value>) -> String {
    let keys: Vec<String> = transition
        .allowed_from()
        .into_iter()
        .map(|state| {
            let key = format!(":from_{}", state.name());
            values.insert(key.clone(), json!({ "S": state.name() }));
            key
        })
        .collect();
    format!("{} IN ({})", item::STATE, keys.join(", "))
}

//! Step Functions: executions of the stack's state machines, their task tokens, and the services that they call.

use std::cell::{Cell, Ref, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use serde_json::{Value, json};
use workflow::circuit::item;

use super::bus::AlarmStateRequest;
use super::cloudformation::{Kind, Stack};
use super::cloudwatch::{AlarmState, SeriesKey, Statistic};
use super::dynamodb::{ItemError, Table, item_to_json};
use super::error::ServiceError;
use super::world::{Cloud, CloudError, text};
use crate::asl::{
    ExecutionInfo, HistoryEvent, Host, Machine, Outcome, Signal, TaskCall, TaskFailure, execute,
};
use crate::checkers::Observation;
use crate::faults::TaskVerdict;
use crate::report::Topic;
use crate::sim::{Notify, TaskId, Time, oneshot};

/// The state machines and their executions.
pub struct Machines {
    machines: BTreeMap<String, Rc<Slot>>,
    executions: RefCell<BTreeMap<String, Execution>>,
    tokens: RefCell<BTreeMap<String, Rc<Token>>>,
    started_count: Cell<u64>,
}

struct Slot {
    name: String,
    arn: String,
    role_arn: String,
    machine: Machine,
}

/// An execution.
#[derive(Clone, Debug)]
pub struct Execution {
    /// `RUNNING`, `SUCCEEDED`, `FAILED`, `TIMED_OUT` or `ABORTED`.
    pub status: &'static str,
    /// Events in its history so far.
    pub history_count: u64,
    task: Option<TaskId>,
}

#[derive(Default)]
struct Token {
    signals: RefCell<VecDeque<Signal>>,
    arrived: Notify,
}

impl Machines {
    /// The state machines of `stack`.
    ///
    /// # Errors
    /// A definition that the interpreter refuses.
    pub fn create(stack: &Stack) -> Result<Machines, CloudError> {
        let mut machines = BTreeMap::new();
        for resource in stack.of_kind(Kind::StateMachine) {
            let arn = resource.arn.clone().unwrap_or_default();
            let definition = text(&resource.properties, "DefinitionString").unwrap_or_default();
            let machine =
                Machine::parse(definition).map_err(|findings| CloudError::resource(resource, findings))?;
            let role_arn = text(&resource.properties, "RoleArn").unwrap_or_default().to_owned();
            let slot = Slot { name: resource.name.clone(), arn: arn.clone(), role_arn, machine };
            machines.insert(arn, Rc::new(slot));
        }
        Ok(Machines {
            machines,
            executions: RefCell::default(),
            tokens: RefCell::default(),
            started_count: Cell::new(0),
        })
    }

    /// The executions so far, by ARN.
    pub fn executions(&self) -> Ref<'_, BTreeMap<String, Execution>> {
        self.executions.borrow()
    }
}

impl Cloud {
    /// `StartExecution`.
    ///
    /// # Errors
    /// `StateMachineDoesNotExist`.
    pub fn start_execution(&self, machine_arn: &str, input: Value) -> Result<String, ServiceError> {
        let missing =
            || ServiceError::new(400, "StateMachineDoesNotExist", format!("there is no {machine_arn}"));
        let slot = self.machines.machines.get(machine_arn).cloned().ok_or_else(missing)?;
        let number = self.machines.started_count.get() + 1;
        self.machines.started_count.set(number);
        let name = format!("trip-{number}");
        let arn = format!("{}:{name}", slot.arn.replacen(":stateMachine:", ":execution:", 1));
        let info = ExecutionInfo {
            arn: arn.clone(),
            name: name.clone(),
            role_arn: slot.role_arn.clone(),
            state_machine_arn: slot.arn.clone(),
            state_machine_name: slot.name.clone(),
        };
        self.observe(&Observation::Kept { place: "an execution's input", value: &input });
        let why = input.get("trigger").and_then(Value::as_str).unwrap_or("?").to_owned();
        self.note(Topic::Workflow, format!("{name} started by {why}"));
        let execution = Execution { status: "RUNNING", history_count: 0, task: None };
        self.machines.executions.borrow_mut().insert(arn.clone(), execution);
        let (cloud, own_arn) = (self.clone(), arn.clone());
        let task = self.sim.spawn(async move {
            let host = ExecutionHost { cloud: cloud.clone(), arn: own_arn.clone(), slot: Rc::clone(&slot) };
            let outcome = execute(&cloud.sim, &host, &slot.machine, info, input).await;
            cloud.end_execution(&own_arn, &name, &outcome);
        });
        if let Some(execution) = self.machines.executions.borrow_mut().get_mut(&arn) {
            execution.task = Some(task);
        }
        Ok(arn)
    }

    fn end_execution(&self, arn: &str, name: &str, outcome: &Outcome) {
        let (status, text) = match outcome {
            Outcome::Succeeded(output) => {
                self.observe(&Observation::Kept { place: "an execution's output", value: output });
                let what = output.get("outcome").and_then(Value::as_str).unwrap_or("done");
                ("SUCCEEDED", format!("{name} ended: {what}"))
            }
            Outcome::Failed { error, cause } => {
                let (error, cause) = (error.as_deref().unwrap_or("?"), cause.as_deref().unwrap_or(""));
                self.observe(&Observation::Kept { place: "an execution's cause", value: &json!(cause) });
                ("FAILED", format!("{name} FAILED with {error}: {cause}"))
            }
            Outcome::TimedOut => ("TIMED_OUT", format!("{name} TIMED OUT")),
        };
        self.note(Topic::Workflow, text);
        self.ended_as(arn, name, status);
    }

    fn ended_as(&self, arn: &str, name: &str, status: &'static str) {
        if let Some(execution) = self.machines.executions.borrow_mut().get_mut(arn) {
            execution.status = status;
            execution.task = None;
        }
        let machine = arn.replacen(":execution:", ":stateMachine:", 1);
        let machine = machine.rsplit_once(':').map_or(machine.as_str(), |(machine, _)| machine);
        self.execution_changed(arn, machine, name, status);
    }

    /// `StopExecution`. What its tasks have begun goes on without it, a function's invocation for one.
    pub fn stop_execution(&self, arn: &str) {
        let task = self.machines.executions.borrow_mut().get_mut(arn).and_then(|one| one.task.take());
        let Some(task) = task else { return };
        let name = arn.rsplit(':').next().unwrap_or(arn);
        self.sim.cancel(task);
        self.note(Topic::Workflow, format!("{name} ABORTED"));
        self.ended_as(arn, name, "ABORTED");
    }

    /// Whether an execution runs.
    pub fn is_running(&self, arn: &str) -> bool {
        self.execution_status(arn) == Some("RUNNING")
    }

    /// An execution's status, if there is such an execution.
    pub(super) fn execution_status(&self, arn: &str) -> Option<&'static str> {
        self.machines.executions.borrow().get(arn).map(|execution| execution.status)
    }

    /// Whether an execution of the machine runs beside this one.
    pub(super) fn others_running(&self, machine_arn: &str, owner_arn: &str) -> bool {
        let of_machine = format!("{}:", machine_arn.replacen(":stateMachine:", ":execution:", 1));
        let executions = self.machines.executions.borrow();
        let runs = |one: &Execution| one.status == "RUNNING";
        executions.iter().any(|(arn, one)| arn.starts_with(&of_machine) && arn != owner_arn && runs(one))
    }

    /// `SendTaskSuccess`.
    ///
    /// # Errors
    /// `TaskTimedOut` when nobody waits for the token any more.
    pub fn send_task_success(&self, token: &str, output: Value) -> Result<(), ServiceError> {
        let gone = || ServiceError::new(400, "TaskTimedOut", "the task is no longer waiting");
        let token = self.machines.tokens.borrow().get(token).cloned().ok_or_else(gone)?;
        token.signals.borrow_mut().push_back(Signal::Completed(Ok(output)));
        token.arrived.notify_all();
        Ok(())
    }
}

/// The world as one execution sees it.
#[derive(Clone)]
struct ExecutionHost {
    cloud: Cloud,
    arn: String,
    slot: Rc<Slot>,
}

impl Host for ExecutionHost {
    async fn task(&self, call: TaskCall) -> Result<Value, TaskFailure> {
        if let Some(token) = &call.token {
            self.cloud.machines.tokens.borrow_mut().entry(token.clone()).or_default();
        }
        self.cloud.observe(&Observation::Kept { place: "a task's arguments", value: &call.arguments });
        let result = self.perform(&call).await;
        match &result {
            Ok(value) => self.cloud.observe(&Observation::Kept { place: "a task's result", value }),
            Err(failure) => {
                let value = json!({ "error": failure.error, "cause": failure.cause });
                self.cloud.observe(&Observation::Kept { place: "a task's error", value: &value });
            }
        }
        result
    }

    async fn signal(&self, token: &str) -> Signal {
        let token = self.cloud.machines.tokens.borrow_mut().entry(token.to_owned()).or_default().clone();
        loop {
            let next = token.arrived.notified();
            if let Some(signal) = token.signals.borrow_mut().pop_front() {
                return signal;
            }
            next.await;
        }
    }

    fn clock_skew_ms(&self) -> i64 {
        self.cloud.faults.workflow_skew_ms()
    }

    fn release(&self, token: &str) {
        self.cloud.machines.tokens.borrow_mut().remove(token);
    }

    fn history(&self, event: &HistoryEvent) {
        let name = event.kind.as_str();
        if let Some(execution) = self.cloud.machines.executions.borrow_mut().get_mut(&self.arn) {
            execution.history_count = event.id;
        }
        self.cloud.with_scribe(|scribe| {
            scribe.fold(event.at, "history", name);
            scribe.entered(event);
        });
    }
}

/// What a task's resource calls: service and action.
enum Call {
    Invoke,
    UpdateItem { prefix: &'static str },
    GetItem { prefix: &'static str },
    PutEvents,
    DescribeExecution,
    StartExecution,
    DescribeAlarms,
    GetMetricData,
    SetAlarmState,
}

impl Call {
    /// What the names of its errors begin with.
    fn prefix(&self) -> &'static str {
        match self {
            Call::Invoke => "Lambda",
            Call::UpdateItem { prefix } | Call::GetItem { prefix } => prefix,
            Call::PutEvents => "EventBridge",
            Call::DescribeExecution => "Sfn",
            Call::StartExecution => "StepFunctions",
            Call::DescribeAlarms | Call::GetMetricData | Call::SetAlarmState => "CloudWatch",
        }
    }
}

fn call_of(resource: &str) -> Option<Call> {
    Some(match resource.trim_end_matches(".waitForTaskToken") {
        "arn:aws:states:::lambda:invoke" => Call::Invoke,
        "arn:aws:states:::dynamodb:updateItem" => Call::UpdateItem { prefix: "DynamoDB" },
        "arn:aws:states:::aws-sdk:dynamodb:updateItem" => Call::UpdateItem { prefix: "DynamoDb" },
        "arn:aws:states:::dynamodb:getItem" => Call::GetItem { prefix: "DynamoDB" },
        "arn:aws:states:::aws-sdk:dynamodb:getItem" => Call::GetItem { prefix: "DynamoDb" },
        "arn:aws:states:::events:putEvents" => Call::PutEvents,
        "arn:aws:states:::aws-sdk:sfn:describeExecution" => Call::DescribeExecution,
        "arn:aws:states:::states:startExecution" => Call::StartExecution,
        "arn:aws:states:::aws-sdk:cloudwatch:describeAlarms" => Call::DescribeAlarms,
        "arn:aws:states:::aws-sdk:cloudwatch:getMetricData" => Call::GetMetricData,
        "arn:aws:states:::aws-sdk:cloudwatch:setAlarmState" => Call::SetAlarmState,
        _ => return None,
    })
}

fn failure(prefix: &str, error: &ServiceError) -> TaskFailure {
    TaskFailure::new(format!("{prefix}.{}", error.code), error.message.clone())
}

impl ExecutionHost {
    /// Makes a call, as far as the faults let it.
    async fn perform(&self, call: &TaskCall) -> Result<Value, TaskFailure> {
        self.cloud.latency().await;
        let kind = call_of(&call.resource);
        let prefix = kind.as_ref().map_or("States", Call::prefix);
        let is_invoke = matches!(kind, Some(Call::Invoke));
        let faults = &self.cloud.faults;
        match if is_invoke { faults.invocation() } else { faults.task() } {
            TaskVerdict::Pass => self.call(kind, call).await,
            TaskVerdict::Throttle if is_invoke => {
                Err(TaskFailure::new("Lambda.TooManyRequestsException", "a fault: Rate Exceeded"))
            }
            TaskVerdict::Throttle => {
                Err(TaskFailure::new(format!("{prefix}.ThrottlingException"), "a fault: Rate exceeded"))
            }
            TaskVerdict::Fail => {
                Err(TaskFailure::new(format!("{prefix}.InternalServerError"), "a fault: Internal error"))
            }
            TaskVerdict::LoseAnswer(after) => {
                // What was called goes on, whether or not anybody listens.
                let (host, own) = (self.clone(), call.clone());
                self.cloud.sim.spawn(async move {
                    let _ = host.call(kind, &own).await;
                });
                self.cloud.sim.sleep(after).await;
                Err(TaskFailure::new(format!("{prefix}.SdkClientException"), "a fault: no answer"))
            }
        }
    }

    async fn call(&self, kind: Option<Call>, call: &TaskCall) -> Result<Value, TaskFailure> {
        let arguments = &call.arguments;
        match kind {
            Some(Call::Invoke) => self.invoke(arguments).await,
            Some(Call::UpdateItem { prefix }) => self.update_item(prefix, arguments),
            Some(Call::GetItem { prefix }) => self.get_item(prefix, arguments),
            Some(Call::PutEvents) => self.put_events(arguments),
            Some(Call::DescribeExecution) => self.describe_execution(arguments),
            Some(Call::StartExecution) => self.start_execution(arguments),
            Some(Call::DescribeAlarms) => self.describe_alarms(arguments),
            Some(Call::GetMetricData) => self.get_metric_data(arguments),
            Some(Call::SetAlarmState) => self.set_alarm_state(arguments),
            None => Err(TaskFailure::new(
                "States.Runtime",
                format!(
                    "the model knows no resource {}; it knows what the breaker's workflow calls",
                    call.resource
                ),
            )),
        }
    }

    fn allow(&self, prefix: &str, action: &str, resource: &str) -> Result<(), TaskFailure> {
        self.cloud.with_scribe(|scribe| scribe.usage.called(action));
        self.cloud.allow(&self.slot.role_arn, action, resource).map_err(|error| failure(prefix, &error))
    }

    async fn invoke(&self, arguments: &Value) -> Result<Value, TaskFailure> {
        let arn = text(arguments, "FunctionName").unwrap_or_default();
        self.allow("Lambda", "lambda:InvokeFunction", arn)?;
        let payload = arguments.get("Payload").cloned().unwrap_or_else(|| json!({}));
        let kind = self.cloud.functions.borrow().get(arn).map(|function| function.kind);
        // The invocation goes on when its execution is stopped, as it does on AWS.
        let (sender, receiver) = oneshot();
        let (cloud, function) = (self.cloud.clone(), arn.to_owned());
        self.cloud.sim.spawn(async move {
            let _ = sender.send(cloud.run_function(&function, payload).await);
        });
        let unanswered = || Err(("Lambda.Unknown".to_owned(), "the invocation gave no answer".to_owned()));
        let answer = receiver.await.unwrap_or_else(unanswered);
        if let Some(kind) = kind {
            let now = self.cloud.now();
            let told = answer.as_ref().map_err(|(error, _)| error.as_str());
            self.cloud.with_scribe(|scribe| scribe.answered(now, kind, told));
        }
        match answer {
            Ok(answer) => Ok(json!({ "ExecutedVersion": "$LATEST", "Payload": answer, "StatusCode": 200 })),
            Err((error, message)) => {
                let cause = json!({ "errorMessage": message, "errorType": error });
                Err(TaskFailure::new(error, cause.to_string()))
            }
        }
    }

    fn update_item(&self, prefix: &str, arguments: &Value) -> Result<Value, TaskFailure> {
        let name = text(arguments, "TableName").unwrap_or_default();
        let (before, result, after) = {
            let mut tables = self.cloud.tables.borrow_mut();
            let Some(table) = tables.get_mut(name) else { return Err(no_table(prefix, name)) };
            self.allow(prefix, "dynamodb:UpdateItem", table.arn())?;
            let key = arguments.get("Key").and_then(|key| text(key.get(item::CIRCUIT)?, "S"));
            let own = |table: &Table| table.find(key?).map(item_to_json);
            let before = own(table);
            let result = table.update_item(arguments);
            (before, result, own(table))
        };
        let answer = result.map_err(|error| item_failure(prefix, error))?;
        if let Some(after) = after {
            let now = self.cloud.now();
            self.cloud.with_scribe(|scribe| scribe.item_changed(now, &self.arn, before.as_ref(), &after));
        }
        Ok(answer)
    }

    fn get_item(&self, prefix: &str, arguments: &Value) -> Result<Value, TaskFailure> {
        let name = text(arguments, "TableName").unwrap_or_default();
        let tables = self.cloud.tables.borrow();
        let Some(table) = tables.get(name) else { return Err(no_table(prefix, name)) };
        self.allow(prefix, "dynamodb:GetItem", table.arn())?;
        table.get_item(arguments).map_err(|error| item_failure(prefix, error))
    }

    fn put_events(&self, arguments: &Value) -> Result<Value, TaskFailure> {
        let bus = format!("arn:aws:events:{}:{}:event-bus/default", self.cloud.region, self.cloud.account);
        self.allow("EventBridge", "events:PutEvents", &bus)?;
        // The optimised integration takes `Detail` as an object, the API as text.
        let mut request = arguments.clone();
        for entry in request.get_mut("Entries").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(detail) = entry.get("Detail").filter(|detail| detail.is_object()) {
                entry["Detail"] = json!(detail.to_string());
            }
        }
        let answer = self.cloud.put_events(&request).map_err(|error| failure("EventBridge", &error))?;
        if answer.get("FailedEntryCount").and_then(Value::as_u64).unwrap_or_default() > 0 {
            return Err(TaskFailure::new("EventBridge.FailedEntry", answer.to_string()));
        }
        Ok(answer)
    }

    fn describe_execution(&self, arguments: &Value) -> Result<Value, TaskFailure> {
        let arn = text(arguments, "ExecutionArn").unwrap_or_default();
        self.allow("Sfn", "states:DescribeExecution", arn)?;
        let executions = self.cloud.machines.executions.borrow();
        match executions.get(arn) {
            Some(execution) => Ok(json!({ "ExecutionArn": arn, "Status": execution.status })),
            None => Err(TaskFailure::new("Sfn.ExecutionDoesNotExistException", format!("there is no {arn}"))),
        }
    }

    fn start_execution(&self, arguments: &Value) -> Result<Value, TaskFailure> {
        let machine = text(arguments, "StateMachineArn").unwrap_or_default();
        self.allow("StepFunctions", "states:StartExecution", machine)?;
        let input = arguments.get("Input").cloned().unwrap_or_else(|| json!({}));
        let arn =
            self.cloud.start_execution(machine, input).map_err(|error| failure("StepFunctions", &error))?;
        Ok(json!({ "ExecutionArn": arn, "StartDate": self.cloud.now().to_string() }))
    }

    fn describe_alarms(&self, arguments: &Value) -> Result<Value, TaskFailure> {
        let texts = |name: &str| -> Option<Vec<&str>> {
            Some(arguments.get(name)?.as_array()?.iter().filter_map(Value::as_str).collect())
        };
        let names = texts("AlarmNames").unwrap_or_default();
        // Composite alarms are left out unless they are asked for.
        let types = texts("AlarmTypes").unwrap_or_else(|| vec!["MetricAlarm"]);
        let shown =
            |name: &str, state: &AlarmState| json!({ "AlarmName": name, "StateValue": state.value.name() });
        let (mut metric, mut composite) = (Vec::new(), Vec::new());
        if types.contains(&"MetricAlarm") {
            for alarm in self.cloud.alarms.borrow().iter().filter(|alarm| names.contains(&alarm.name())) {
                self.allow("CloudWatch", "cloudwatch:DescribeAlarms", alarm.arn())?;
                metric.push(shown(alarm.name(), alarm.state()));
            }
        }
        if types.contains(&"CompositeAlarm") {
            // They are shown only to who may see every alarm.
            self.allow("CloudWatch", "cloudwatch:DescribeAlarms", "*")?;
            let alarms = self.cloud.composite_alarms.borrow();
            let named = alarms.iter().filter(|alarm| names.contains(&alarm.name()));
            composite.extend(named.map(|alarm| shown(alarm.name(), alarm.state())));
        }
        Ok(json!({ "MetricAlarms": metric, "CompositeAlarms": composite }))
    }

    /// Data points of whole periods that can be seen by now. (M: CloudWatch shows the last one while it is still being counted.)
    fn get_metric_data(&self, arguments: &Value) -> Result<Value, TaskFailure> {
        self.allow("CloudWatch", "cloudwatch:GetMetricData", "*")?;
        let refused = |what: &str| {
            TaskFailure::new("CloudWatch.ValidationException", format!("{what} is missing or not understood"))
        };
        let time = |name: &str| text(arguments, name).and_then(|text| Time::from_rfc3339(text).ok());
        let start_ms = time("StartTime").ok_or_else(|| refused("StartTime"))?.as_ms();
        let end_ms = time("EndTime").ok_or_else(|| refused("EndTime"))?.as_ms();
        let seen_ms = end_ms.min(self.cloud.now().as_ms().saturating_sub(self.cloud.knobs.metric_delay_ms));
        let metrics = self.cloud.metrics.borrow();
        let queries = arguments.get("MetricDataQueries").and_then(Value::as_array);
        let results = queries.ok_or_else(|| refused("MetricDataQueries"))?.iter().map(|query| {
            let stat = &query["MetricStat"];
            let period_ms = stat["Period"].as_u64().filter(|s| *s > 0 && s % 60 == 0).ok_or_else(|| refused("Period"))? * 1_000;
            let statistic = text(stat, "Stat").and_then(Statistic::parse).ok_or_else(|| refused("Stat"))?;
            let key = SeriesKey::from_metric(&stat["Metric"]).ok_or_else(|| refused("Metric"))?;
            let series = metrics.find(&key);
            let first_ms = start_ms / period_ms * period_ms;
            let periods = (first_ms..seen_ms).step_by(period_ms as usize).take_while(|at| at + period_ms <= seen_ms);
            let (timestamps, values): (Vec<String>, Vec<f64>) = periods
                .filter_map(|at| {
                    let aggregate = metrics.aggregate(series?, at, at + period_ms)?;
                    Some((Time::from_ms(at).to_string(), statistic.of(&aggregate)))
                })
                .unzip();
            Ok(json!({ "Id": query["Id"], "StatusCode": "Complete", "Timestamps": timestamps, "Values": values }))
        });
        let results = results.collect::<Result<Vec<Value>, TaskFailure>>()?;
        Ok(json!({ "MetricDataResults": results }))
    }

    fn set_alarm_state(&self, arguments: &Value) -> Result<Value, TaskFailure> {
        let name = text(arguments, "AlarmName").unwrap_or_default();
        let alarms = self.cloud.alarms.borrow();
        let metric = alarms.iter().map(|alarm| (alarm.name(), alarm.arn()));
        let composites = self.cloud.composite_alarms.borrow();
        let composite = composites.iter().map(|alarm| (alarm.name(), alarm.arn()));
        let found = metric.chain(composite).find(|(found, _)| *found == name).map(|(_, arn)| arn.to_owned());
        drop((alarms, composites));
        let Some(arn) = found else {
            return Err(TaskFailure::new(
                "CloudWatch.ResourceNotFoundException",
                format!("there is no alarm {name}"),
            ));
        };
        self.allow("CloudWatch", "cloudwatch:SetAlarmState", &arn)?;
        self.cloud.set_alarm_state(&AlarmStateRequest {
            name,
            value: text(arguments, "StateValue").unwrap_or_default(),
            reason: text(arguments, "StateReason").unwrap_or_default(),
        });
        Ok(json!({}))
    }
}

/// A value without the quotes of JSON.
fn no_table(prefix: &str, name: &str) -> TaskFailure {
    TaskFailure::new(format!("{prefix}.ResourceNotFoundException"), format!("there is no table {name}"))
}

fn item_failure(prefix: &str, error: ItemError) -> TaskFailure {
    failure(prefix, &error.error)
}

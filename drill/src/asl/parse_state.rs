//! Reads one state of a definition.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::expr::{Offers, Template};
use super::fields::Fields;
use super::model::{
    Catcher, Condition, Exit, Family, Graph, Kind, MapState, Next, Parallel, Recovery, Retrier, Rule, Task,
    Wait,
};
use super::parse::{MAX_SECONDS, Reader, Scope, is_variable_name};
use super::timestamp;

/// The longest delay between attempts, exclusive, in seconds: 366 days.
const MAX_DELAY_LIMIT_S: u64 = 31_622_400;

/// Error names of the States Language. Others that start with `States.` do not exist.
const RESERVED_ERRORS: &[&str] = &[
    "States.ALL",
    "States.BranchFailed",
    "States.DataLimitExceeded",
    "States.ExceedToleratedFailureThreshold",
    "States.HeartbeatTimeout",
    "States.Http.Socket",
    "States.IntrinsicFailure",
    "States.ItemReaderFailed",
    "States.NoChoiceMatched",
    "States.ParameterPathFailure",
    "States.Permissions",
    "States.QueryEvaluationError",
    "States.ResultPathMatchFailure",
    "States.ResultWriterFailed",
    "States.Runtime",
    "States.TaskFailed",
    "States.Timeout",
];

const NO_OFFERS: Offers = Offers { result: false, error_output: false, map_item: false };
const WITH_RESULT: Offers = Offers { result: true, ..NO_OFFERS };
const WITH_ERROR: Offers = Offers { error_output: true, ..NO_OFFERS };
const WITH_ITEM: Offers = Offers { map_item: true, ..NO_OFFERS };

pub(super) struct StateReader<'r, 'a> {
    pub reader: &'r Reader<'a>,
    pub name: &'a str,
    /// Where a state of the same level stands.
    pub index: &'r dyn Fn(&str) -> Option<usize>,
    pub scope: &'r Scope,
}

impl<'a> StateReader<'_, 'a> {
    /// Reads a state; `None` if something in it keeps it from being built, which is then reported.
    pub fn read(&self, mut fields: Fields<'a>) -> Option<(Kind, Exit)> {
        let kind =
            fields.required_text("Type", "Pass, Task, Choice, Wait, Succeed, Fail, Parallel or Map")?;
        fields.what = match kind {
            "Pass" => "a Pass state",
            "Task" => "a Task state",
            "Choice" => "a Choice state",
            "Wait" => "a Wait state",
            "Succeed" => "a Succeed state",
            "Fail" => "a Fail state",
            "Parallel" => "a Parallel state",
            "Map" => "a Map state",
            _ => {
                let hint = "Pass, Task, Choice, Wait, Succeed, Fail, Parallel or Map";
                fields.report("Type", fields.map.get("Type"), "is no type of state", hint);
                return None;
            }
        };
        let read = match kind {
            "Pass" => self.next(&fields).map(|next| (Kind::Pass(next), self.exit(&fields, NO_OFFERS))),
            "Task" => self.task(&fields),
            "Choice" => self.choice(&fields),
            "Wait" => self.wait(&fields),
            "Succeed" => Some((Kind::Succeed, self.output_only(&fields))),
            "Fail" => Some(self.fail(&fields)),
            "Parallel" => self.parallel(&fields),
            _ => self.map(&fields),
        };
        fields.finish();
        read
    }

    /// The state after this one: exactly one of `Next` and `End`.
    fn next(&self, fields: &Fields<'a>) -> Option<Next> {
        let next = fields.text("Next");
        let end = fields.flag("End").unwrap_or(false);
        match (next, end) {
            (Some(name), false) => (self.index)(name).map(Next::State),
            (None, true) => Some(Next::End),
            (Some(_), true) => {
                fields.report(
                    "Next",
                    fields.map.get("Next"),
                    "stands beside \"End\": true",
                    "keep one of them",
                );
                None
            }
            (None, false) => {
                fields.report("Next", None, "is missing", "name the next state, or write \"End\": true");
                None
            }
        }
    }

    fn exit(&self, fields: &Fields<'a>, offers: Offers) -> Exit {
        Exit { assign: self.assign(fields, offers), ..self.output_with(fields, offers) }
    }

    fn output_only(&self, fields: &Fields<'a>) -> Exit {
        self.output_with(fields, NO_OFFERS)
    }

    fn output_with(&self, fields: &Fields<'a>, offers: Offers) -> Exit {
        // Left unread in a JSONPath state, so that it is reported as a field of JSONata.
        let output = fields.jsonata.then(|| fields.template("Output", offers)).flatten();
        Exit { output, assign: Vec::new() }
    }

    fn assign(&self, fields: &Fields<'a>, offers: Offers) -> Vec<(Rc<str>, Template)> {
        if !fields.jsonata {
            return Vec::new();
        }
        let Some(variables) = fields.object("Assign") else { return Vec::new() };
        let mut assign = Vec::new();
        for (name, value) in variables {
            let path = format!("Assign/{name}");
            if !is_variable_name(name) {
                let hint = "a letter, then letters, digits and _, at most 80, not \"states\"";
                fields.report(&path, Some(value), "is no name of a variable", hint);
            }
            self.scope.assigned.borrow_mut().entry(name.clone()).or_insert_with(|| self.name.to_owned());
            assign.push((Rc::from(name.as_str()), fields.template_of(&path, value, offers)));
        }
        assign
    }

    fn task(&self, fields: &Fields<'a>) -> Option<(Kind, Exit)> {
        let resource = fields.required_text("Resource", "the ARN of what the task calls");
        let arguments = fields.jsonata.then(|| fields.template("Arguments", NO_OFFERS)).flatten();
        let credentials = fields.template("Credentials", NO_OFFERS);
        let timeout = fields.number("TimeoutSeconds", 1..=MAX_SECONDS);
        let heartbeat = fields.number("HeartbeatSeconds", 1..=MAX_SECONDS);
        self.check_heartbeat(fields);
        let recovery = self.recovery(fields);
        let exit = self.exit(fields, WITH_RESULT);
        let next = self.next(fields);
        let resource = resource?;
        let family = if resource.contains(":activity:") {
            Family::Activity
        } else if resource.contains(":lambda:") && resource.contains(":function:") {
            Family::Lambda
        } else {
            Family::Integration
        };
        let task = Task {
            resource: Rc::from(resource),
            family,
            wait_for_token: resource.ends_with(".waitForTaskToken"),
            arguments,
            credentials,
            timeout,
            heartbeat,
        };
        Some((Kind::Task(Box::new(task), recovery, next?), exit))
    }

    fn check_heartbeat(&self, fields: &Fields<'a>) {
        let seconds = |name| fields.map.get(name).and_then(Value::as_u64);
        if let (Some(heartbeat), Some(timeout)) = (seconds("HeartbeatSeconds"), seconds("TimeoutSeconds"))
            && heartbeat >= timeout
        {
            let value = fields.map.get("HeartbeatSeconds");
            fields.report("HeartbeatSeconds", value, "must be less than TimeoutSeconds", "");
        }
    }

    fn choice(&self, fields: &Fields<'a>) -> Option<(Kind, Exit)> {
        if fields.get("Choices").is_none() {
            fields.report("Choices", None, "is missing", "an array with at least one rule");
        }
        let rules = fields.objects("Choices");
        if fields.map.get("Choices").and_then(Value::as_array).is_some_and(Vec::is_empty) {
            fields.report("Choices", fields.map.get("Choices"), "has no rule", "");
        }
        let count = rules.len();
        let rules: Vec<Rule> =
            rules.into_iter().filter_map(|(path, rule)| self.rule(fields, &path, rule)).collect();
        let exit = self.exit(fields, NO_OFFERS);
        let default = match fields.text("Default") {
            Some(name) => Some((self.index)(name)?),
            None => None,
        };
        (rules.len() == count).then_some((Kind::Choice(rules, default), exit))
    }

    fn rule(&self, fields: &Fields<'a>, path: &str, map: &'a Map<String, Value>) -> Option<Rule> {
        let fields = fields.within(map, path, "a choice rule");
        let condition = self.condition(&fields);
        let exit = self.exit(&fields, NO_OFFERS);
        let next = fields.required_text("Next", "the state to go to if the rule matches");
        fields.finish();
        Some(Rule { condition: condition?, exit, next: (self.index)(next?)? })
    }

    fn condition(&self, fields: &Fields<'a>) -> Option<Condition> {
        if !fields.jsonata {
            let problem = "a Choice state with JSONPath is not supported";
            fields.report("Condition", None, problem, "set \"QueryLanguage\": \"JSONata\"");
            return None;
        }
        match fields.get("Condition") {
            None => {
                fields.report("Condition", None, "is missing", "\"{% EXPRESSION %}\"");
                None
            }
            Some(Value::Bool(flag)) => Some(Condition::Literal(*flag)),
            Some(Value::String(text)) => fields.expression("Condition", text).map(Condition::Expr),
            Some(value) => {
                fields.report("Condition", Some(value), "must be an expression", "\"{% EXPRESSION %}\"");
                None
            }
        }
    }

    fn wait(&self, fields: &Fields<'a>) -> Option<(Kind, Exit)> {
        let seconds = fields.number("Seconds", 0..=MAX_SECONDS);
        let timestamp = fields.template("Timestamp", NO_OFFERS);
        if let Some(Template::Literal(value)) = &timestamp
            && value.json().as_str().is_none_or(|text| timestamp::parse(text).is_none())
        {
            let hint = "such as \"2026-01-31T12:00:00Z\"";
            fields.report("Timestamp", Some(value.json()), "is no RFC 3339 timestamp", hint);
        }
        let exit = self.exit(fields, NO_OFFERS);
        let next = self.next(fields);
        let given = (fields.map.contains_key("Seconds"), fields.map.contains_key("Timestamp"));
        let wait = match (seconds, timestamp) {
            (Some(seconds), None) if given == (true, false) => Wait::Seconds(seconds),
            (None, Some(timestamp)) if given == (false, true) => Wait::Timestamp(timestamp),
            _ => {
                if given.0 == given.1 {
                    let problem = "a Wait state has exactly one of Seconds and Timestamp";
                    fields.report("Seconds", fields.map.get("Seconds"), problem, "");
                }
                return None;
            }
        };
        Some((Kind::Wait(wait, next?), exit))
    }

    fn fail(&self, fields: &Fields<'a>) -> (Kind, Exit) {
        let error = self.text_template(fields, "Error");
        let cause = self.text_template(fields, "Cause");
        (Kind::Fail { error, cause }, Exit::default())
    }

    fn text_template(&self, fields: &Fields<'a>, name: &'static str) -> Option<Template> {
        fields.text(name)?;
        fields.template(name, NO_OFFERS)
    }

    fn parallel(&self, fields: &Fields<'a>) -> Option<(Kind, Exit)> {
        let arguments = fields.jsonata.then(|| fields.template("Arguments", NO_OFFERS)).flatten();
        if fields.get("Branches").is_none() {
            fields.report("Branches", None, "is missing", "an array with at least one branch");
        }
        let branches = fields.objects("Branches");
        if fields.map.get("Branches").and_then(Value::as_array).is_some_and(Vec::is_empty) {
            fields.report("Branches", fields.map.get("Branches"), "has no branch", "");
        }
        let count = branches.len();
        let branches: Vec<Graph> = branches
            .into_iter()
            .filter_map(|(path, map)| self.inner_graph(fields, map, &path, "a branch", |_| {}))
            .collect();
        let recovery = self.recovery(fields);
        let exit = self.exit(fields, WITH_RESULT);
        let next = self.next(fields)?;
        let parallel = Parallel { arguments, branches };
        (parallel.branches.len() == count).then_some((Kind::Parallel(parallel, recovery, next), exit))
    }

    /// Reads a branch or an item processor, with a scope of its own.
    fn inner_graph(
        &self,
        fields: &Fields<'a>,
        map: &'a Map<String, Value>,
        path: &str,
        what: &'static str,
        more: impl FnOnce(&Fields<'a>),
    ) -> Option<Graph> {
        let fields = fields.within(map, path, what);
        let scope = Scope::default();
        let graph = self.reader.graph(&fields, &scope);
        self.scope.inner.borrow_mut().push(scope);
        more(&fields);
        fields.finish();
        graph
    }

    fn map(&self, fields: &Fields<'a>) -> Option<(Kind, Exit)> {
        let items = fields.jsonata.then(|| fields.template("Items", NO_OFFERS)).flatten();
        let literal = fields.map.get("Items").filter(|items| !items.is_array());
        if let (Some(value), Some(Template::Literal(_) | Template::Object(_))) = (literal, &items) {
            let hint = "an array, or an expression that gives one; objects are not supported";
            fields.report("Items", Some(value), "must be an array", hint);
        }
        let item_selector = fields.jsonata.then(|| fields.template("ItemSelector", WITH_ITEM)).flatten();
        let max_concurrency = fields.number("MaxConcurrency", 0..=MAX_SECONDS);
        for name in ["ItemReader", "ItemBatcher", "ResultWriter", "Label"] {
            fields.not_supported(name, "it belongs to distributed maps; only inline ones are run");
        }
        for name in ["ToleratedFailureCount", "ToleratedFailurePercentage"] {
            fields.not_supported(name, "give the inner states a Catch");
        }
        let processor = self.processor(fields);
        let recovery = self.recovery(fields);
        let exit = self.exit(fields, WITH_RESULT);
        let next = self.next(fields);
        let map = MapState { items, item_selector, max_concurrency, processor: processor? };
        Some((Kind::Map(Box::new(map), recovery, next?), exit))
    }

    fn processor(&self, fields: &Fields<'a>) -> Option<Graph> {
        // `Iterator` is the old name of `ItemProcessor`, which still works.
        let name = match fields.get("Iterator") {
            Some(_) => "Iterator",
            None => "ItemProcessor",
        };
        if fields.get(name).is_none() {
            fields.report(name, None, "is missing", "an object with StartAt and States");
        }
        let map = fields.object(name)?;
        self.inner_graph(fields, map, name, "an item processor", |inner| {
            let Some(config) = inner.object("ProcessorConfig") else { return };
            let config = inner.within(config, "ProcessorConfig", "a processor configuration");
            if config.text("Mode").is_some_and(|mode| mode != "INLINE") {
                let value = config.map.get("Mode");
                config.report("Mode", value, "is not supported", "only \"INLINE\" is");
            }
            config.not_supported("ExecutionType", "it belongs to distributed maps");
            config.finish();
        })
    }

    fn recovery(&self, fields: &Fields<'a>) -> Recovery {
        let retriers = fields.objects("Retry");
        let catchers = fields.objects("Catch");
        let (retrier_count, catcher_count) = (retriers.len(), catchers.len());
        Recovery {
            retriers: retriers
                .into_iter()
                .enumerate()
                .filter_map(|(index, (path, map))| {
                    self.retrier(fields, &path, map, index + 1 == retrier_count)
                })
                .collect(),
            catchers: catchers
                .into_iter()
                .enumerate()
                .filter_map(|(index, (path, map))| {
                    self.catcher(fields, &path, map, index + 1 == catcher_count)
                })
                .collect(),
        }
    }

    fn retrier(
        &self,
        fields: &Fields<'a>,
        path: &str,
        map: &'a Map<String, Value>,
        last: bool,
    ) -> Option<Retrier> {
        let fields = fields.within(map, path, "a retrier");
        let errors = self.error_equals(&fields, last);
        let interval_s = fields.integer("IntervalSeconds", 1..=MAX_SECONDS).unwrap_or(1);
        let max_attempts = fields.integer("MaxAttempts", 0..=MAX_SECONDS).unwrap_or(3);
        let backoff_rate = self.backoff_rate(&fields);
        let max_delay_s = fields.integer("MaxDelaySeconds", 1..=MAX_DELAY_LIMIT_S - 1);
        if max_delay_s.is_some_and(|max_delay_s| max_delay_s <= interval_s) {
            let problem = "must be greater than IntervalSeconds";
            fields.report("MaxDelaySeconds", map.get("MaxDelaySeconds"), problem, "");
        }
        let full_jitter = match fields.text("JitterStrategy") {
            None | Some("NONE") => false,
            Some("FULL") => true,
            Some(_) => {
                let problem = "must be \"FULL\" or \"NONE\"";
                fields.report("JitterStrategy", map.get("JitterStrategy"), problem, "");
                false
            }
        };
        fields.finish();
        Some(Retrier {
            errors: errors?,
            interval: Duration::from_secs(interval_s),
            max_attempts,
            backoff_rate,
            max_delay: max_delay_s.map(Duration::from_secs),
            full_jitter,
        })
    }

    fn backoff_rate(&self, fields: &Fields<'a>) -> f64 {
        let Some(value) = fields.get("BackoffRate") else { return 2.0 };
        match value.as_f64().filter(|rate| *rate >= 1.0) {
            Some(rate) => rate,
            None => {
                fields.report("BackoffRate", Some(value), "must be a number of at least 1.0", "");
                1.0
            }
        }
    }

    fn catcher(
        &self,
        fields: &Fields<'a>,
        path: &str,
        map: &'a Map<String, Value>,
        last: bool,
    ) -> Option<Catcher> {
        let fields = fields.within(map, path, "a catcher");
        let errors = self.error_equals(&fields, last);
        let exit = self.exit(&fields, WITH_ERROR);
        let next = fields.required_text("Next", "the state to go to after the error");
        fields.finish();
        Some(Catcher { errors: errors?, exit, next: (self.index)(next?)? })
    }

    /// The error names of a retrier or catcher. `States.ALL` stands alone and in the last one.
    fn error_equals(&self, fields: &Fields<'a>, last: bool) -> Option<Vec<String>> {
        let value = fields.get("ErrorEquals");
        let names: Option<Vec<String>> = value
            .and_then(Value::as_array)
            .and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect());
        let Some(names) = names.filter(|names| !names.is_empty()) else {
            let hint = "such as [\"States.ALL\"]";
            fields.report("ErrorEquals", value, "must be an array of error names", hint);
            return None;
        };
        for name in &names {
            if name.starts_with("States.") && !RESERVED_ERRORS.contains(&name.as_str()) {
                let problem = format!("{name} is no error of the States Language");
                fields.report("ErrorEquals", value, &problem, &RESERVED_ERRORS.join(", "));
            }
        }
        if names.iter().any(|name| name == "States.ALL") {
            if names.len() > 1 {
                fields.report("ErrorEquals", value, "States.ALL must stand alone", "");
            }
            if !last {
                let problem = "States.ALL must be in the last of the list";
                fields.report("ErrorEquals", value, problem, "move it to the end");
            }
        }
        Some(names)
    }
}

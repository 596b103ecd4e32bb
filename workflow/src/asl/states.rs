//! The states and their parts.

use serde_json::{Map, Value, json};

use super::StateMachine;

/// A JSONata expression as a value: `{% text %}`.
pub fn jsonata(text: impl AsRef<str>) -> Value {
    Value::String(format!("{{% {} %}}", text.as_ref().trim()))
}

/// A finished state: it goes on, ends, or is terminal by nature. Made by the builders in this module.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub(super) name: String,
    pub(super) fields: Map<String, Value>,
    pub(super) targets: Vec<String>,
    pub(super) terminal: bool,
    pub(super) handled: Vec<Vec<String>>,
}

/// What every unfinished state has.
#[derive(Clone, Debug)]
struct Draft {
    name: String,
    fields: Map<String, Value>,
    targets: Vec<String>,
    handled: Vec<Vec<String>>,
}

impl Draft {
    fn new(name: &str, kind: &str) -> Draft {
        let fields = Map::from_iter([("Type".to_owned(), json!(kind))]);
        Draft { name: name.to_owned(), fields, targets: Vec::new(), handled: Vec::new() }
    }

    fn set(mut self, field: &str, value: Value) -> Draft {
        self.fields.insert(field.to_owned(), value);
        self
    }

    fn insert_into(mut self, field: &str, key: &str, value: Value) -> Draft {
        let entry = self.fields.entry(field).or_insert_with(|| json!({}));
        entry.as_object_mut().expect("only this method makes the field").insert(key.to_owned(), value);
        self
    }

    fn push_to(mut self, field: &str, value: Value) -> Draft {
        let entry = self.fields.entry(field).or_insert_with(|| json!([]));
        entry.as_array_mut().expect("only this method makes the field").push(value);
        self
    }

    fn next(mut self, target: &str) -> State {
        self.targets.push(target.to_owned());
        self.set("Next", json!(target)).finish(false)
    }

    fn finish(self, terminal: bool) -> State {
        State { name: self.name, fields: self.fields, targets: self.targets, terminal, handled: self.handled }
    }
}

/// A state that does nothing but assign variables.
#[derive(Clone, Debug)]
pub struct Pass(Draft);

impl Pass {
    /// A pass state.
    pub fn new(name: &str) -> Pass {
        Pass(Draft::new(name, "Pass"))
    }

    /// What the state is for.
    pub fn comment(self, text: &str) -> Pass {
        Pass(self.0.set("Comment", json!(text)))
    }

    /// Assigns a variable.
    pub fn assign(self, variable: &str, value: Value) -> Pass {
        Pass(self.0.insert_into("Assign", variable, value))
    }

    /// Goes on to `target`.
    pub fn next(self, target: &str) -> State {
        self.0.next(target)
    }
}

/// A state that waits.
#[derive(Clone, Debug)]
pub struct Wait(Draft);

impl Wait {
    /// Waits for so many seconds: a number, or an expression that gives one.
    pub fn seconds(name: &str, seconds: Value) -> Wait {
        Wait(Draft::new(name, "Wait").set("Seconds", seconds))
    }

    /// What the state is for.
    pub fn comment(self, text: &str) -> Wait {
        Wait(self.0.set("Comment", json!(text)))
    }

    /// Goes on to `target`.
    pub fn next(self, target: &str) -> State {
        self.0.next(target)
    }
}

/// A state that does work.
#[derive(Clone, Debug)]
pub struct Task(Draft);

impl Task {
    /// A task that calls `resource`, an ARN such as `arn:aws:states:::lambda:invoke`.
    pub fn new(name: &str, resource: &str) -> Task {
        Task(Draft::new(name, "Task").set("Resource", json!(resource)))
    }

    /// What the state is for.
    pub fn comment(self, text: &str) -> Task {
        Task(self.0.set("Comment", json!(text)))
    }

    /// What the resource is called with.
    pub fn arguments(self, arguments: Value) -> Task {
        Task(self.0.set("Arguments", arguments))
    }

    /// Time after which an attempt fails with `States.Timeout`: seconds, or an expression that gives them.
    pub fn timeout_s(self, seconds: Value) -> Task {
        Task(self.0.set("TimeoutSeconds", seconds))
    }

    /// Assigns a variable when the task succeeds.
    pub fn assign(self, variable: &str, value: Value) -> Task {
        Task(self.0.insert_into("Assign", variable, value))
    }

    /// The state's output when the task succeeds; by default the task's result.
    pub fn output(self, output: Value) -> Task {
        Task(self.0.set("Output", output))
    }

    /// Adds a retrier; the first that names the error decides.
    pub fn retry(mut self, retrier: Retrier) -> Task {
        self.0.handled.push(retrier.errors.clone());
        Task(self.0.push_to("Retry", retrier.to_value()))
    }

    /// Ends the machine as succeeded.
    pub fn end(self) -> State {
        Task(self.0.set("End", json!(true))).0.finish(true)
    }

    /// Adds a catcher; the first that names the error decides.
    pub fn catch(mut self, catcher: Catcher) -> Task {
        self.0.handled.push(catcher.errors.clone());
        self.0.targets.push(catcher.next.clone());
        Task(self.0.push_to("Catch", catcher.to_value()))
    }

    /// Goes on to `target`.
    pub fn next(self, target: &str) -> State {
        self.0.next(target)
    }
}

/// A state that runs a machine of its own for each item of a list, side by side: a `Map` in inline mode.
#[derive(Clone, Debug)]
pub struct ForEach(Draft);

impl ForEach {
    /// Runs `processor` for each of `items`, an expression that gives a list, so many at once: at most 40.
    pub fn new(name: &str, items: Value, max_concurrency: u32, processor: StateMachine) -> ForEach {
        let mut inner = Map::from_iter([("ProcessorConfig".to_owned(), json!({ "Mode": "INLINE" }))]);
        inner.extend(processor.into_parts());
        let draft = Draft::new(name, "Map")
            .set("Items", items)
            .set("MaxConcurrency", json!(max_concurrency))
            .set("ItemProcessor", Value::Object(inner));
        ForEach(draft)
    }

    /// What the state is for.
    pub fn comment(self, text: &str) -> ForEach {
        ForEach(self.0.set("Comment", json!(text)))
    }

    /// What each run is given, instead of its item.
    pub fn item(self, selector: Value) -> ForEach {
        ForEach(self.0.set("ItemSelector", selector))
    }

    /// Assigns a variable when all have succeeded; `$states.result` is the list of their outputs.
    pub fn assign(self, variable: &str, value: Value) -> ForEach {
        ForEach(self.0.insert_into("Assign", variable, value))
    }

    /// The state's output when all have succeeded; by default the list of their outputs.
    pub fn output(self, output: Value) -> ForEach {
        ForEach(self.0.set("Output", output))
    }

    /// Adds a catcher; the first that names the error decides.
    pub fn catch(mut self, catcher: Catcher) -> ForEach {
        self.0.handled.push(catcher.errors.clone());
        self.0.targets.push(catcher.next.clone());
        ForEach(self.0.push_to("Catch", catcher.to_value()))
    }

    /// Goes on to `target`.
    pub fn next(self, target: &str) -> State {
        self.0.next(target)
    }
}

/// When and how an attempt is repeated.
#[derive(Clone, Debug)]
pub struct Retrier {
    errors: Vec<String>,
    fields: Map<String, Value>,
}

impl Retrier {
    /// Repeats on these errors, `max_attempts` times at most; zero means never, which takes the errors away from the
    /// retriers that follow.
    pub fn on(errors: &[&str], max_attempts: u32) -> Retrier {
        let errors: Vec<String> = errors.iter().map(|&error| error.to_owned()).collect();
        Retrier { errors, fields: Map::from_iter([("MaxAttempts".to_owned(), json!(max_attempts))]) }
    }

    /// Waits `interval_s` before the first repetition, twice as long before each next one, which is the language's default, at most
    /// `max_delay_s`, each drawn with full jitter.
    pub fn backoff(mut self, interval_s: u32, max_delay_s: u32) -> Retrier {
        for (field, value) in [
            ("IntervalSeconds", json!(interval_s)),
            ("MaxDelaySeconds", json!(max_delay_s)),
            ("JitterStrategy", json!("FULL")),
        ] {
            self.fields.insert(field.to_owned(), value);
        }
        self
    }

    fn to_value(&self) -> Value {
        let mut value = Map::from_iter([("ErrorEquals".to_owned(), json!(self.errors))]);
        value.extend(self.fields.clone());
        Value::Object(value)
    }
}

/// Where an error leads that no retrier has settled.
#[derive(Clone, Debug)]
pub struct Catcher {
    errors: Vec<String>,
    assign: Map<String, Value>,
    output: Option<Value>,
    next: String,
}

impl Catcher {
    /// On these errors go on to `next`.
    pub fn on(errors: &[&str], next: &str) -> Catcher {
        let errors = errors.iter().map(|&error| error.to_owned()).collect();
        Catcher { errors, assign: Map::new(), output: None, next: next.to_owned() }
    }

    /// What `next` is given instead of the error; `$states.errorOutput` is the error.
    pub fn output(self, output: Value) -> Catcher {
        Catcher { output: Some(output), ..self }
    }

    /// Assigns a variable on the way; `$states.errorOutput` is the error.
    pub fn assign(mut self, variable: &str, value: Value) -> Catcher {
        self.assign.insert(variable.to_owned(), value);
        self
    }

    fn to_value(&self) -> Value {
        let mut value = json!({ "ErrorEquals": self.errors });
        if !self.assign.is_empty() {
            value["Assign"] = Value::Object(self.assign.clone());
        }
        if let Some(output) = &self.output {
            value["Output"] = output.clone();
        }
        value["Next"] = json!(self.next);
        value
    }
}

/// A state that chooses. It has at least one rule and always a default: no input is left without a way on.
#[derive(Clone, Debug)]
pub struct Choice(Draft);

impl Choice {
    /// A choice with its first rule.
    pub fn new(name: &str, first: Rule) -> Choice {
        Choice(Draft::new(name, "Choice")).or(first)
    }

    /// What the state is for.
    pub fn comment(self, text: &str) -> Choice {
        Choice(self.0.set("Comment", json!(text)))
    }

    /// Adds a rule; the first whose condition holds decides.
    pub fn or(mut self, rule: Rule) -> Choice {
        self.0.targets.push(rule.next.clone());
        Choice(self.0.push_to("Choices", rule.to_value()))
    }

    /// Assigns a variable when no rule holds.
    pub fn assign(self, variable: &str, value: Value) -> Choice {
        Choice(self.0.insert_into("Assign", variable, value))
    }

    /// Where to go when no rule holds.
    pub fn otherwise(mut self, target: &str) -> State {
        self.0.targets.push(target.to_owned());
        self.0.set("Default", json!(target)).finish(false)
    }
}

/// One rule of a [`Choice`].
#[derive(Clone, Debug)]
pub struct Rule {
    condition: String,
    assign: Map<String, Value>,
    next: String,
}

impl Rule {
    /// When `condition` (JSONata, without delimiters) is true, go on to `next`.
    pub fn when(condition: impl Into<String>, next: &str) -> Rule {
        Rule { condition: condition.into(), assign: Map::new(), next: next.to_owned() }
    }

    /// Assigns a variable on the way.
    pub fn assign(mut self, variable: &str, value: Value) -> Rule {
        self.assign.insert(variable.to_owned(), value);
        self
    }

    fn to_value(&self) -> Value {
        let mut value = json!({ "Condition": jsonata(&self.condition) });
        if !self.assign.is_empty() {
            value["Assign"] = Value::Object(self.assign.clone());
        }
        value["Next"] = json!(self.next);
        value
    }
}

/// A state that ends the execution as succeeded, with `output`.
pub fn succeed(name: &str, output: Value) -> State {
    Draft::new(name, "Succeed").set("Output", output).finish(true)
}

/// A state that ends the execution as failed.
pub fn fail(name: &str, error: &str, cause: Value) -> State {
    Draft::new(name, "Fail").set("Error", json!(error)).set("Cause", cause).finish(true)
}

//! Evaluates expressions: what they see, and how they fail.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use jsonata_core::evaluator::{Context, Evaluator, EvaluatorOptions};
use jsonata_core::value::JValue;
use serde_json::{Map, Value};

use super::data::{Data, NotExact, jsonata_object};
use super::expr::{Expr, Template};
use super::functions::{self, NOT_SUPPORTED, Oracle};
use super::model::NumberField;

/// A backstop against expressions that never end, in wall time. Step Functions allows one second;
/// this is longer, so that no slow machine makes a sound expression fail.
const EVALUATION_LIMIT_MS: u64 = 20_000;

/// The variables of one level. Inner levels read outer ones and write only their own.
pub(super) struct Variables<'a> {
    outer: Option<&'a Variables<'a>>,
    own: RefCell<BTreeMap<Rc<str>, Data>>,
}

impl<'a> Variables<'a> {
    pub fn new(outer: Option<&'a Variables<'a>>) -> Variables<'a> {
        Variables { outer, own: RefCell::default() }
    }

    pub fn assign(&self, values: Vec<(Rc<str>, Data)>) {
        self.own.borrow_mut().extend(values);
    }

    fn get(&self, name: &str) -> Option<Data> {
        let own = self.own.borrow().get(name).cloned();
        own.or_else(|| self.outer?.get(name))
    }
}

/// The parts of the context object that stay the same.
pub(super) struct World {
    pub execution: JValue,
    pub machine: JValue,
    /// Why `Execution.Input` could not be taken over.
    pub inexact: Option<NotExact>,
}

/// The parts of the context object that change from state to state.
pub(super) struct StateContext {
    pub name: Rc<str>,
    pub entered_time: String,
    pub retry_count: Cell<u64>,
    pub token: RefCell<Option<String>>,
}

/// What the expressions of one state see, at one point of its run.
pub(super) struct View<'a> {
    pub oracle: &'a Rc<Oracle>,
    pub variables: &'a Variables<'a>,
    pub world: &'a World,
    pub context: &'a StateContext,
    pub input: &'a Data,
    pub result: Option<&'a Data>,
    pub error_output: Option<&'a Data>,
    pub map_item: Option<JValue>,
    /// `$states`, built when the first expression asks for it.
    pub states: OnceCell<JValue>,
}

/// Why an expression gave no value that its field accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EvalError {
    /// The field, as in `Output/items[0]`.
    pub field: String,
    /// The sentence that tells what happened.
    pub text: String,
    /// Not a failure of the expression: AWS does something here that is not supported.
    pub not_supported: bool,
}

type Answer<T> = Result<T, EvalError>;

impl View<'_> {
    pub fn template(&self, template: &Template) -> Answer<Data> {
        match template {
            Template::Literal(data) => Ok(data.clone()),
            Template::Expr(expr) => self.data(expr),
            Template::Array(_) | Template::Object(_) => self.value(template).map(Data::new),
        }
    }

    fn value(&self, template: &Template) -> Answer<Value> {
        Ok(match template {
            Template::Literal(data) => data.json().clone(),
            Template::Expr(expr) => self.data(expr)?.json().clone(),
            Template::Array(parts) => {
                Value::Array(parts.iter().map(|part| self.value(part)).collect::<Answer<_>>()?)
            }
            Template::Object(parts) => {
                let mut fields = Map::with_capacity(parts.len());
                for (name, part) in parts {
                    fields.insert(name.clone(), self.value(part)?);
                }
                Value::Object(fields)
            }
        })
    }

    fn data(&self, expr: &Expr) -> Answer<Data> {
        let value = self.evaluate(expr)?;
        Data::from_jsonata(value)
            .map_err(|kind| not_supported(expr, &format!("gives a {kind}, which has no form in JSON")))
    }

    pub fn boolean(&self, expr: &Expr) -> Answer<bool> {
        match self.evaluate(expr)? {
            JValue::Bool(flag) => Ok(flag),
            other => Err(unexpected_type(expr, "boolean", &other)),
        }
    }

    /// A whole number of at least `least`.
    pub fn number(&self, field: &NumberField, least: u64) -> Answer<u64> {
        let expr = match field {
            NumberField::Literal(number) => return Ok(*number),
            NumberField::Expr(expr) => expr,
        };
        let number = match self.evaluate(expr)? {
            JValue::Number(number) => number,
            other => return Err(unexpected_type(expr, "number", &other)),
        };
        if number.fract() != 0.0 {
            let text = format!("gives {number}: use $floor or $ceil, a whole number is expected");
            return Err(not_supported(expr, &text));
        }
        if number < least as f64 || number > super::parse::MAX_SECONDS as f64 {
            let text = format!(
                "The JSONata expression '{}' specified for the field '{}' returned a value out of \
                 range: {number}",
                expr.source, expr.field
            );
            return Err(EvalError { field: expr.field.clone(), text, not_supported: false });
        }
        Ok(number as u64)
    }

    /// A string, from a field that holds one or an expression.
    pub fn text(&self, template: &Template) -> Answer<String> {
        let expr = match template {
            Template::Expr(expr) => expr,
            other => return Ok(self.template(other)?.json().as_str().unwrap_or_default().to_owned()),
        };
        match self.evaluate(expr)? {
            JValue::String(text) => Ok(text.to_string()),
            other => Err(unexpected_type(expr, "string", &other)),
        }
    }

    /// An array, from a field that holds one or an expression.
    pub fn array(&self, template: &Template) -> Answer<Vec<Value>> {
        let data = self.template(template)?;
        let (json, expr) = (data.json(), template);
        match (json, expr) {
            (Value::Array(items), _) => Ok(items.clone()),
            (Value::Object(_), Template::Expr(expr)) => {
                Err(not_supported(expr, "gives an object: only arrays are mapped"))
            }
            (other, Template::Expr(expr)) => Err(unexpected_json(expr, "array", other)),
            (_, Template::Literal(_) | Template::Array(_) | Template::Object(_)) => Ok(Vec::new()),
        }
    }

    fn evaluate(&self, expr: &Expr) -> Answer<JValue> {
        let mut context = Context::new();
        for name in expr.names() {
            if name == "states" {
                context.bind(name.clone(), self.states(expr)?);
            } else if let Some(data) = self.variables.get(name) {
                context.bind(name.clone(), exact(expr, &data)?);
            }
        }
        let options =
            EvaluatorOptions { timeout_ms: Some(EVALUATION_LIMIT_MS), ..EvaluatorOptions::default() };
        let mut evaluator = Evaluator::with_options(context, options);
        functions::register(&mut evaluator, expr, self.oracle);
        match evaluator.evaluate(expr.ast(), &JValue::Undefined) {
            Ok(JValue::Undefined) => Err(returned_nothing(expr)),
            Ok(value) => Ok(value),
            Err(error) => Err(threw(expr, error.message())),
        }
    }

    fn states(&self, expr: &Expr) -> Answer<JValue> {
        if let Some(inexact) = &self.world.inexact
            && expr.source.contains("context")
        {
            return Err(not_exact(expr, inexact));
        }
        if let Some(states) = self.states.get() {
            return Ok(states.clone());
        }
        let mut states = vec![("input", exact(expr, self.input)?), ("context", self.context_object())];
        for (name, part) in [("result", self.result), ("errorOutput", self.error_output)] {
            if let Some(data) = part {
                states.push((name, exact(expr, data)?));
            }
        }
        let fields = states.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(self.states.get_or_init(|| JValue::object(fields)).clone())
    }

    fn context_object(&self) -> JValue {
        let state = jsonata_object([
            ("EnteredTime", JValue::from(self.context.entered_time.as_str())),
            ("Name", JValue::from(&*self.context.name)),
            ("RetryCount", JValue::from(self.context.retry_count.get())),
        ]);
        let (execution, machine) = (self.world.execution.clone(), self.world.machine.clone());
        let mut object = vec![("Execution", execution), ("StateMachine", machine), ("State", state)];
        if let Some(token) = self.context.token.borrow().as_deref() {
            object.push(("Task", jsonata_object([("Token", JValue::from(token))])));
        }
        if let Some(item) = &self.map_item {
            object.push(("Map", jsonata_object([("Item", item.clone())])));
        }
        JValue::object(object.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

/// A document as an expression sees it, if its numbers can be held exactly.
fn exact(expr: &Expr, data: &Data) -> Answer<JValue> {
    data.jsonata().map_err(|inexact| not_exact(expr, &inexact))
}

fn not_exact(expr: &Expr, inexact: &NotExact) -> EvalError {
    let text = format!("reads data with the integer {}, which is beyond 2^53", inexact.0);
    not_supported(expr, &text)
}

fn not_supported(expr: &Expr, what: &str) -> EvalError {
    let text = format!("The expression '{}' in the field '{}' {what}", expr.source, expr.field);
    EvalError { field: expr.field.clone(), text, not_supported: true }
}

fn failed(expr: &Expr, what: &str) -> EvalError {
    let text =
        format!("The JSONata expression '{}' specified for the field '{}' {what}", expr.source, expr.field);
    EvalError { field: expr.field.clone(), text, not_supported: false }
}

fn returned_nothing(expr: &Expr) -> EvalError {
    failed(expr, "returned nothing (undefined).")
}

fn threw(expr: &Expr, message: &str) -> EvalError {
    if let Some(what) = message.strip_prefix(NOT_SUPPORTED) {
        return not_supported(expr, &format!("is not supported{what}"));
    }
    if message.starts_with("D1001") {
        return not_supported(expr, "computes with a number that is not finite");
    }
    failed(expr, &format!("threw an error during evaluation. {message}"))
}

fn unexpected_type(expr: &Expr, expected: &str, value: &JValue) -> EvalError {
    match Data::from_jsonata(value.clone()) {
        Ok(data) => unexpected_json(expr, expected, data.json()),
        Err(kind) => not_supported(expr, &format!("gives a {kind}, which has no form in JSON")),
    }
}

fn unexpected_json(expr: &Expr, expected: &str, value: &Value) -> EvalError {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    failed(
        expr,
        &format!(
            "returned an unexpected result type. Expected '{expected}', but was '{kind}' for \
             value: {value}"
        ),
    )
}

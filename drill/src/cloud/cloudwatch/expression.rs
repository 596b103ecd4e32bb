//! Metric math, as far as the alarms of a circuit breaker need it.
//!
//! Supported: numbers, ids, `+ - * /`, unary minus, `< <= > >= == !=`, `AND OR && ||`, parentheses and
//! `IF(condition, then[, else])`. Everything else is refused by name.

use std::collections::BTreeSet;

/// How deep parentheses and functions may nest.
const MAX_DEPTH: usize = 32;
/// The longest expression CloudFormation takes.
const MAX_CHARS: usize = 2_048;

/// Why an expression was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// `FILL`, which AWS allows and alarms should not use.
    #[error(
        "FILL can pin an alarm: where the newest minute is always late, it evaluates the filler for ever; use M out of N and TreatMissingData instead"
    )]
    Fill,
    /// Another function than `IF`.
    #[error("the function {0} is not known to the model (known: IF)")]
    Function(String),
    /// A character, operator or word that does not fit where it stands.
    #[error("{found} is not expected at character {at}; allowed there: {allowed}")]
    Unexpected {
        /// What stands there.
        found: String,
        /// Where, counted from 1.
        at: usize,
        /// What could stand there.
        allowed: &'static str,
    },
    /// Longer or deeper than anyone could read.
    #[error("the expression is longer than {MAX_CHARS} characters or nested deeper than {MAX_DEPTH}")]
    TooComplex,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    And,
    Or,
}

/// What binds loosest comes first.
const LEVELS: &[&[(&str, Operator)]] = &[
    &[("||", Operator::Or), ("OR", Operator::Or)],
    &[("&&", Operator::And), ("AND", Operator::And)],
    &[
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide)],
];

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Number(f64),
    Id(String),
    Negate(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    If(Box<Node>, Box<Node>, Option<Box<Node>>),
}

/// What stands in for a series without a point at a time when the other operand has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingOperand {
    /// 0, as documented for arithmetic, comparisons and a true `IF`. (D)
    #[default]
    Zero,
    /// Nothing: the result has no point either.
    Drop,
}

/// A value at one time: a number that is the same at all times, or a series' point, if it has one.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Value {
    Scalar(f64),
    Point(Option<f64>),
}

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    root: Node,
}

impl Expression {
    /// Parses an expression.
    ///
    /// # Errors
    /// Anything beyond the supported part of metric math, by name and place.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        if text.len() > MAX_CHARS {
            return Err(ExpressionError::TooComplex);
        }
        let mut parser = Parser { text, at: 0 };
        let root = parser.binary(0, 0)?;
        match parser.peek() {
            None => Ok(Self { root }),
            Some(_) => Err(parser.unexpected("an operator, or the end")),
        }
    }

    /// The ids it refers to.
    pub fn ids(&self) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        collect_ids(&self.root, &mut found);
        found
    }

    /// Its value at one time, where `point` gives the value of each id at that time.
    ///
    /// None where no id has a point, at a division by zero, and where `IF` drops it. (D)
    pub fn evaluate(&self, point: &dyn Fn(&str) -> Option<f64>, missing: MissingOperand) -> Option<f64> {
        match evaluate(&self.root, point, missing) {
            Value::Scalar(number) => Some(number),
            Value::Point(value) => value,
        }
    }
}

fn collect_ids<'a>(node: &'a Node, found: &mut BTreeSet<&'a str>) {
    match node {
        Node::Number(_) => {}
        Node::Id(id) => {
            found.insert(id);
        }
        Node::Negate(inner) => collect_ids(inner, found),
        Node::Binary(_, left, right) => {
            collect_ids(left, found);
            collect_ids(right, found);
        }
        Node::If(condition, then, otherwise) => {
            collect_ids(condition, found);
            collect_ids(then, found);
            if let Some(otherwise) = otherwise {
                collect_ids(otherwise, found);
            }
        }
    }
}

fn evaluate(node: &Node, point: &dyn Fn(&str) -> Option<f64>, missing: MissingOperand) -> Value {
    match node {
        Node::Number(number) => Value::Scalar(*number),
        Node::Id(id) => Value::Point(point(id)),
        Node::Negate(inner) => match evaluate(inner, point, missing) {
            Value::Scalar(number) => Value::Scalar(-number),
            Value::Point(value) => Value::Point(value.map(|number| -number)),
        },
        Node::Binary(operator, left, right) => {
            binary(*operator, evaluate(left, point, missing), evaluate(right, point, missing), missing)
        }
        Node::If(condition, then, otherwise) => {
            let branch = |node: &Node| evaluate(node, point, missing);
            let otherwise = || otherwise.as_deref().map_or(Value::Point(None), branch);
            match evaluate(condition, point, missing) {
                Value::Scalar(number) if number != 0.0 => branch(then),
                Value::Scalar(_) => otherwise(),
                Value::Point(None) => Value::Point(None),
                Value::Point(Some(0.0)) => Value::Point(number_of(otherwise())),
                Value::Point(Some(_)) => Value::Point(number_of(branch(then)).or(stand_in(missing))),
            }
        }
    }
}

fn number_of(value: Value) -> Option<f64> {
    match value {
        Value::Scalar(number) => Some(number),
        Value::Point(value) => value,
    }
}

fn stand_in(missing: MissingOperand) -> Option<f64> {
    match missing {
        MissingOperand::Zero => Some(0.0),
        MissingOperand::Drop => None,
    }
}

fn binary(operator: Operator, left: Value, right: Value, missing: MissingOperand) -> Value {
    let result = match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => {
            return calculate(operator, left, right).map_or(Value::Point(None), Value::Scalar);
        }
        (Value::Point(left), Value::Scalar(right)) => left.and_then(|left| calculate(operator, left, right)),
        (Value::Scalar(left), Value::Point(right)) => {
            right.and_then(|right| calculate(operator, left, right))
        }
        (Value::Point(None), Value::Point(None)) => None,
        (Value::Point(left), Value::Point(right)) => {
            let stand_in = stand_in(missing);
            let operands = left.or(stand_in).zip(right.or(stand_in));
            operands.and_then(|(left, right)| calculate(operator, left, right))
        }
    };
    Value::Point(result)
}

/// None for a division by zero, which drops the point. (D)
fn calculate(operator: Operator, left: f64, right: f64) -> Option<f64> {
    let truth = |is_true: bool| Some(if is_true { 1.0 } else { 0.0 });
    match operator {
        Operator::Add => Some(left + right),
        Operator::Subtract => Some(left - right),
        Operator::Multiply => Some(left * right),
        Operator::Divide => (right != 0.0).then(|| left / right),
        Operator::Less => truth(left < right),
        Operator::LessOrEqual => truth(left <= right),
        Operator::Greater => truth(left > right),
        Operator::GreaterOrEqual => truth(left >= right),
        Operator::Equal => truth(left == right),
        Operator::NotEqual => truth(left != right),
        Operator::And => truth(left != 0.0 && right != 0.0),
        Operator::Or => truth(left != 0.0 || right != 0.0),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    /// The word that starts here: letters, digits and underscores.
    fn word(&self) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    }

    fn eat(&mut self, token: &str) -> bool {
        self.peek();
        let is_word = token.starts_with(|c: char| c.is_ascii_alphabetic());
        let is_there = if is_word { self.word() == token } else { self.text[self.at..].starts_with(token) };
        if is_there {
            self.at += token.len();
        }
        is_there
    }

    fn expect(&mut self, token: &str, allowed: &'static str) -> Result<(), ExpressionError> {
        if self.eat(token) { Ok(()) } else { Err(self.unexpected(allowed)) }
    }

    fn unexpected(&mut self, allowed: &'static str) -> ExpressionError {
        let found = match (self.peek(), self.word()) {
            (None, _) => "the end".to_owned(),
            (Some(c), "") => c.to_string(),
            (Some(_), word) => word.to_owned(),
        };
        let at = self.text[..self.at].chars().count() + 1;
        ExpressionError::Unexpected { found, at, allowed }
    }

    fn binary(&mut self, level: usize, depth: usize) -> Result<Node, ExpressionError> {
        let Some(operators) = LEVELS.get(level) else { return self.unary(depth) };
        let mut left = self.binary(level + 1, depth)?;
        while let Some((_, operator)) = operators.iter().find(|(token, _)| self.eat(token)) {
            let right = self.binary(level + 1, depth)?;
            left = Node::Binary(*operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn unary(&mut self, depth: usize) -> Result<Node, ExpressionError> {
        const ALLOWED: &str = "a number, an id starting with a lower-case letter, IF, - or (";
        if depth > MAX_DEPTH {
            return Err(ExpressionError::TooComplex);
        }
        match self.peek() {
            Some('-') => {
                self.at += 1;
                Ok(Node::Negate(Box::new(self.unary(depth + 1)?)))
            }
            Some('(') => {
                self.at += 1;
                let inner = self.binary(0, depth + 1)?;
                self.expect(")", "an operator or )")?;
                Ok(inner)
            }
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_ascii_lowercase() => {
                let word = self.word();
                self.at += word.len();
                Ok(Node::Id(word.to_owned()))
            }
            Some(c) if c.is_ascii_uppercase() => self.function(depth, ALLOWED),
            _ => Err(self.unexpected(ALLOWED)),
        }
    }

    fn number(&mut self) -> Result<Node, ExpressionError> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        match rest[..end].parse() {
            Ok(number) => {
                self.at += end;
                Ok(Node::Number(number))
            }
            Err(_) => Err(self.unexpected("a number such as 5 or 0.5")),
        }
    }

    fn function(&mut self, depth: usize, allowed: &'static str) -> Result<Node, ExpressionError> {
        match self.word() {
            "IF" => {}
            "FILL" => return Err(ExpressionError::Fill),
            "AND" | "OR" => return Err(self.unexpected(allowed)),
            name => return Err(ExpressionError::Function(name.to_owned())),
        }
        self.at += "IF".len();
        self.expect("(", "(")?;
        let condition = Box::new(self.binary(0, depth + 1)?);
        self.expect(",", "an operator or ,")?;
        let then = Box::new(self.binary(0, depth + 1)?);
        let otherwise = match self.eat(",") {
            true => Some(Box::new(self.binary(0, depth + 1)?)),
            false => None,
        };
        self.expect(")", "an operator or )")?;
        Ok(Node::If(condition, then, otherwise))
    }
}

//! Condition expressions: parsing and evaluating.

use std::cmp::Ordering;

use super::lexer::{TokenKind, Tokens};
use super::number::Decimal;
use super::path::{Path, Placeholders};
use super::validation;
use super::value::{AttributeValue, Item};
use crate::cloud::error::ServiceError;

/// A parsed condition expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Both hold.
    And(Box<Condition>, Box<Condition>),
    /// At least one holds.
    Or(Box<Condition>, Box<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// A comparison of two operands.
    Compare(Comparator, Operand, Operand),
    /// `a BETWEEN b AND c`, both ends included.
    Between(Operand, Operand, Operand),
    /// `a IN (b, c)`.
    In(Operand, Vec<Operand>),
    /// `attribute_exists(path)`.
    Exists(Path),
    /// `attribute_not_exists(path)`.
    NotExists(Path),
    /// `attribute_type(operand, :type)`.
    TypeIs(Operand, String),
    /// `begins_with(a, b)`.
    BeginsWith(Operand, Operand),
    /// `contains(a, b)`.
    Contains(Operand, Operand),
}

/// Comparison operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparator {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// A place in the item.
    Path(Path),
    /// A value of the request.
    Value(AttributeValue),
    /// `size(operand)`.
    Size(Box<Operand>),
}

const COMPARATORS: [(&str, Comparator); 6] = [
    ("=", Comparator::Equal),
    ("<>", Comparator::NotEqual),
    ("<", Comparator::Less),
    ("<=", Comparator::LessOrEqual),
    (">", Comparator::Greater),
    (">=", Comparator::GreaterOrEqual),
];

const TYPE_NAMES: [&str; 10] = ["B", "NULL", "SS", "BOOL", "L", "BS", "N", "NS", "S", "M"];

/// Functions that are conditions by themselves.
const CONDITION_FUNCTIONS: [&str; 5] =
    ["attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains"];

impl Condition {
    /// Parses a `ConditionExpression`.
    ///
    /// # Errors
    /// `ValidationException` with DynamoDB's message.
    pub fn parse(text: &str, placeholders: &mut Placeholders) -> Result<Self, ServiceError> {
        let mut tokens = Tokens::new("ConditionExpression", text);
        if *tokens.peek() == TokenKind::End {
            return Err(tokens.error("The expression can not be empty;"));
        }
        let mut parser = Parser { tokens: &mut tokens, placeholders, bare_group: false };
        let condition = parser.or()?;
        match tokens.peek() {
            TokenKind::End => Ok(condition),
            _ => Err(tokens.syntax_error()),
        }
    }

    /// Whether an item meets the condition. A missing item is one without attributes.
    pub fn holds(&self, item: &Item) -> bool {
        match self {
            Self::And(a, b) => a.holds(item) && b.holds(item),
            Self::Or(a, b) => a.holds(item) || b.holds(item),
            Self::Not(inner) => !inner.holds(item),
            Self::Compare(comparator, a, b) => comparator.holds(a.value(item), b.value(item)),
            Self::Between(value, low, high) => {
                Comparator::GreaterOrEqual.holds(value.value(item), low.value(item))
                    && Comparator::LessOrEqual.holds(value.value(item), high.value(item))
            }
            Self::In(value, list) => {
                list.iter().any(|one| Comparator::Equal.holds(value.value(item), one.value(item)))
            }
            Self::Exists(path) => path.get(item).is_some(),
            Self::NotExists(path) => path.get(item).is_none(),
            Self::TypeIs(operand, name) => operand.value(item).is_some_and(|v| v.type_name() == name),
            Self::BeginsWith(a, b) => match (a.value(item), b.value(item)) {
                (Some(AttributeValue::S(text)), Some(AttributeValue::S(start))) => text.starts_with(&start),
                (Some(AttributeValue::B(bytes)), Some(AttributeValue::B(start))) => bytes.starts_with(&start),
                _ => false,
            },
            Self::Contains(a, b) => match (a.value(item), b.value(item)) {
                (Some(whole), Some(part)) => contains(&whole, &part),
                _ => false,
            },
        }
    }
}

impl Comparator {
    /// A missing value is unequal to everything, also to another missing one, and has no order.
    fn holds(self, a: Option<AttributeValue>, b: Option<AttributeValue>) -> bool {
        let order = || a.as_ref().zip(b.as_ref()).and_then(|(a, b)| a.order(b));
        match self {
            Self::Equal => a.is_some() && a == b,
            Self::NotEqual => a.is_none() || a != b,
            Self::Less => order() == Some(Ordering::Less),
            Self::LessOrEqual => order().is_some_and(Ordering::is_le),
            Self::Greater => order() == Some(Ordering::Greater),
            Self::GreaterOrEqual => order().is_some_and(Ordering::is_ge),
        }
    }
}

impl Operand {
    fn value(&self, item: &Item) -> Option<AttributeValue> {
        match self {
            Self::Path(path) => path.get(item).cloned(),
            Self::Value(value) => Some(value.clone()),
            Self::Size(of) => of.value(item)?.size().map(|size| AttributeValue::N(Decimal::from_count(size))),
        }
    }
}

fn contains(whole: &AttributeValue, part: &AttributeValue) -> bool {
    match (whole, part) {
        (AttributeValue::S(text), AttributeValue::S(part)) => text.contains(part.as_str()),
        (AttributeValue::B(bytes), AttributeValue::B(part)) => {
            part.is_empty() || bytes.windows(part.len()).any(|window| window == part.as_slice())
        }
        (AttributeValue::L(list), part) => list.contains(part),
        (AttributeValue::Ss(set), AttributeValue::S(part)) => set.contains(part),
        (AttributeValue::Ns(set), AttributeValue::N(part)) => set.contains(part),
        (AttributeValue::Bs(set), AttributeValue::B(part)) => set.contains(part),
        _ => false,
    }
}

struct Parser<'p, 't> {
    tokens: &'p mut Tokens<'t>,
    placeholders: &'p mut Placeholders,
    /// What was read last is one pair of parentheses and nothing else.
    bare_group: bool,
}

impl Parser<'_, '_> {
    fn or(&mut self) -> Result<Condition, ServiceError> {
        let mut left = self.and()?;
        while self.tokens.take_keyword("OR") {
            left = Condition::Or(Box::new(left), Box::new(self.and()?));
            self.bare_group = false;
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Condition, ServiceError> {
        let mut left = self.not()?;
        while self.tokens.take_keyword("AND") {
            left = Condition::And(Box::new(left), Box::new(self.not()?));
            self.bare_group = false;
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Condition, ServiceError> {
        if self.tokens.take_keyword("NOT") {
            let inner = self.not()?;
            self.bare_group = false;
            return Ok(Condition::Not(Box::new(inner)));
        }
        if self.tokens.take("(") {
            let inner = self.or()?;
            self.tokens.expect(")")?;
            if self.bare_group {
                return Err(self.tokens.error("The expression has redundant parentheses;"));
            }
            self.bare_group = true;
            return Ok(inner);
        }
        self.predicate()
    }

    fn predicate(&mut self) -> Result<Condition, ServiceError> {
        self.bare_group = false;
        if let (TokenKind::Word(name), TokenKind::Symbol("(")) =
            (self.tokens.peek().clone(), self.tokens.peek_second())
            && name != "size"
        {
            self.tokens.next();
            return self.function(&name);
        }
        let is_size = matches!(self.tokens.peek(), TokenKind::Word(word) if word == "size");
        let left = self.operand()?;
        for (symbol, comparator) in COMPARATORS {
            if self.tokens.take(symbol) {
                let right = self.operand()?;
                self.distinct(symbol, &left, &[&right])?;
                let ordered = !matches!(comparator, Comparator::Equal | Comparator::NotEqual);
                for operand in [&left, &right] {
                    self.literal_type(symbol, operand, if ordered { &["S", "N", "B"] } else { &TYPE_NAMES })?;
                }
                return Ok(Condition::Compare(comparator, left, right));
            }
        }
        if self.tokens.take_keyword("BETWEEN") {
            return self.between(left);
        }
        if self.tokens.take_keyword("IN") {
            return self.in_list(left);
        }
        if is_size && matches!(self.tokens.peek(), TokenKind::End) {
            return Err(self.not_allowed_here("size"));
        }
        Err(self.tokens.syntax_error())
    }

    fn between(&mut self, value: Operand) -> Result<Condition, ServiceError> {
        let low = self.operand()?;
        if !self.tokens.take_keyword("AND") {
            return Err(self.tokens.syntax_error());
        }
        let high = self.operand()?;
        self.distinct("BETWEEN", &value, &[&low, &high])?;
        for operand in [&value, &low, &high] {
            self.literal_type("BETWEEN", operand, &["S", "N", "B"])?;
        }
        if let (Operand::Value(a), Operand::Value(b)) = (&low, &high)
            && a.order(b).is_none_or(Ordering::is_gt)
        {
            let rule = match a.order(b) {
                None => "requires same data type for lower and upper bounds",
                Some(_) => "requires upper bound to be greater than or equal to lower bound",
            };
            return Err(self.tokens.error(format!(
                "The BETWEEN operator {rule}; lower bound operand: AttributeValue: {}, upper bound \
                 operand: AttributeValue: {}",
                a.to_json(),
                b.to_json()
            )));
        }
        Ok(Condition::Between(value, low, high))
    }

    fn in_list(&mut self, value: Operand) -> Result<Condition, ServiceError> {
        let list = self.arguments()?;
        if list.len() > 100 {
            let count = list.len();
            return Err(self.tokens.error(format!(
                "The IN operator is provided with too many operands; number of operands: {count}"
            )));
        }
        self.distinct("IN", &value, &list.iter().collect::<Vec<_>>())?;
        Ok(Condition::In(value, list))
    }

    fn function(&mut self, name: &str) -> Result<Condition, ServiceError> {
        if !CONDITION_FUNCTIONS.contains(&name) {
            return Err(match name {
                "if_not_exists" | "list_append" => self.not_allowed_here(name),
                _ => self.tokens.error(format!("Invalid function name; function: {name}")),
            });
        }
        let arguments = self.arguments()?;
        if COMPARATORS
            .iter()
            .any(|(symbol, _)| matches!(self.tokens.peek(), TokenKind::Symbol(s) if s == symbol))
        {
            return Err(self.not_allowed_here(name));
        }
        let count = arguments.len();
        let mut arguments = arguments.into_iter();
        match (name, arguments.next(), arguments.next(), arguments.next()) {
            ("attribute_exists", Some(path), None, None) => {
                Ok(Condition::Exists(self.path_only(name, path)?))
            }
            ("attribute_not_exists", Some(path), None, None) => {
                Ok(Condition::NotExists(self.path_only(name, path)?))
            }
            ("attribute_type", Some(operand), Some(kind), None) => self.attribute_type(operand, kind),
            ("begins_with", Some(a), Some(b), None) => {
                self.distinct(name, &a, &[&b])?;
                for operand in [&a, &b] {
                    self.literal_type(name, operand, &["S", "B"])?;
                }
                Ok(Condition::BeginsWith(a, b))
            }
            ("contains", Some(a), Some(b), None) => {
                self.distinct(name, &a, &[&b])?;
                Ok(Condition::Contains(a, b))
            }
            _ => Err(self.tokens.error(format!(
                "Incorrect number of operands for operator or function; operator or function: {name}, \
                 number of operands: {count}"
            ))),
        }
    }

    fn attribute_type(&self, operand: Operand, kind: Operand) -> Result<Condition, ServiceError> {
        let Operand::Value(AttributeValue::S(kind)) = kind else {
            let shown = match kind {
                Operand::Value(value) => value.type_name(),
                Operand::Path(_) | Operand::Size(_) => "{}",
            };
            return Err(self.wrong_type("attribute_type", shown));
        };
        if !TYPE_NAMES.contains(&kind.as_str()) {
            return Err(self.tokens.error(format!(
                "Invalid attribute type name found; type: {kind}, valid types: {{{}}}",
                TYPE_NAMES.join(",")
            )));
        }
        Ok(Condition::TypeIs(operand, kind))
    }

    fn arguments(&mut self) -> Result<Vec<Operand>, ServiceError> {
        self.tokens.expect("(")?;
        let mut list = vec![self.operand()?];
        while self.tokens.take(",") {
            list.push(self.operand()?);
        }
        self.tokens.expect(")")?;
        Ok(list)
    }

    fn operand(&mut self) -> Result<Operand, ServiceError> {
        match (self.tokens.peek().clone(), self.tokens.peek_second()) {
            (TokenKind::ValueRef(key), _) => {
                self.tokens.next();
                Ok(Operand::Value(self.placeholders.value(self.tokens, &key)?))
            }
            (TokenKind::Word(name), TokenKind::Symbol("(")) if name == "size" => {
                self.tokens.next();
                let mut arguments = self.arguments()?;
                match (arguments.pop(), arguments.len()) {
                    (Some(of), 0) => {
                        self.literal_type("size", &of, &["S", "B", "L", "M", "SS", "NS", "BS"])?;
                        Ok(Operand::Size(Box::new(of)))
                    }
                    (_, others) => Err(self.tokens.error(format!(
                        "Incorrect number of operands for operator or function; operator or function: \
                         size, number of operands: {}",
                        others + 1
                    ))),
                }
            }
            (TokenKind::Word(name), TokenKind::Symbol("(")) => Err(
                if CONDITION_FUNCTIONS.contains(&name.as_str())
                    || ["if_not_exists", "list_append"].contains(&name.as_str())
                {
                    self.not_allowed_here(&name)
                } else {
                    self.tokens.error(format!("Invalid function name; function: {name}"))
                },
            ),
            _ => Ok(Operand::Path(self.placeholders.path(self.tokens)?)),
        }
    }

    fn path_only(&self, function: &str, operand: Operand) -> Result<Path, ServiceError> {
        match operand {
            Operand::Path(path) => Ok(path),
            Operand::Value(_) | Operand::Size(_) => Err(self.tokens.error(format!(
                "Operator or function requires a document path; operator or function: {function}"
            ))),
        }
    }

    fn distinct(&self, operator: &str, first: &Operand, others: &[&Operand]) -> Result<(), ServiceError> {
        match first {
            Operand::Path(path) if others.contains(&first) => Err(self.tokens.error(format!(
                "The first operand must be distinct from the remaining operands for this operator or \
                 function; operator: {operator}, first operand: {path}"
            ))),
            Operand::Path(_) | Operand::Value(_) | Operand::Size(_) => Ok(()),
        }
    }

    /// Only values of the request are checked; an attribute of the wrong type makes a condition false.
    fn literal_type(&self, operator: &str, operand: &Operand, allowed: &[&str]) -> Result<(), ServiceError> {
        match operand {
            Operand::Value(value) if !allowed.contains(&value.type_name()) => {
                Err(self.wrong_type(operator, value.type_name()))
            }
            Operand::Path(_) | Operand::Value(_) | Operand::Size(_) => Ok(()),
        }
    }

    fn wrong_type(&self, operator: &str, kind: &str) -> ServiceError {
        self.tokens.error(format!(
            "Incorrect operand type for operator or function; operator or function: {operator}, operand \
             type: {kind}"
        ))
    }

    fn not_allowed_here(&self, function: &str) -> ServiceError {
        self.tokens.error(format!(
            "The function is not allowed to be used this way in an expression; function: {function}"
        ))
    }
}

/// The error of a condition that does not hold.
pub fn check_failed() -> ServiceError {
    ServiceError::new(400, "ConditionalCheckFailedException", "The conditional request failed")
}

/// Parses a `ProjectionExpression`: paths with commas between them.
///
/// # Errors
/// `ValidationException` with DynamoDB's message.
pub fn parse_projection(text: &str, placeholders: &mut Placeholders) -> Result<Vec<Path>, ServiceError> {
    let mut tokens = Tokens::new("ProjectionExpression", text);
    let mut paths = vec![placeholders.path(&mut tokens)?];
    while tokens.take(",") {
        paths.push(placeholders.path(&mut tokens)?);
    }
    match tokens.peek() {
        TokenKind::End => {}
        _ => return Err(tokens.syntax_error()),
    }
    super::update::refuse_overlaps(&tokens, &paths).map_err(|error| validation(error.message))?;
    Ok(paths)
}

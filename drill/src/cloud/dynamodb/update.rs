//! Update expressions: parsing and applying.

use super::lexer::{TokenKind, Tokens};
use super::number::Decimal;
use super::path::{Path, Placeholders, Segment};
use super::validation;
use super::value::{AttributeValue, Item};
use crate::cloud::error::ServiceError;

/// A parsed update expression.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    sets: Vec<(Path, SetValue)>,
    removes: Vec<Path>,
    adds: Vec<(Path, AttributeValue)>,
    deletes: Vec<(Path, AttributeValue)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum SetValue {
    One(Operand),
    Plus(Operand, Operand),
    Minus(Operand, Operand),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operand {
    Path(Path),
    Value(AttributeValue),
    IfNotExists(Path, Box<Operand>),
    ListAppend(Box<Operand>, Box<Operand>),
}

const SECTIONS: [&str; 4] = ["SET", "REMOVE", "ADD", "DELETE"];

impl Update {
    /// Parses an `UpdateExpression`.
    ///
    /// # Errors
    /// `ValidationException` with DynamoDB's message.
    pub fn parse(text: &str, placeholders: &mut Placeholders) -> Result<Self, ServiceError> {
        let mut tokens = Tokens::new("UpdateExpression", text);
        if *tokens.peek() == TokenKind::End {
            return Err(tokens.error("The expression can not be empty;"));
        }
        let mut update = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        let mut parser = Parser { tokens: &mut tokens, placeholders };
        while *parser.tokens.peek() != TokenKind::End {
            let section = SECTIONS.into_iter().find(|section| parser.tokens.take_keyword(section));
            let Some(section) = section else { return Err(parser.tokens.syntax_error()) };
            if seen.contains(&section) {
                return Err(parser.tokens.error(format!(
                    "The \"{section}\" section can only be used once in an update expression;"
                )));
            }
            seen.push(section);
            parser.section(section, &mut update)?;
        }
        refuse_overlaps(&tokens, &update.paths().cloned().collect::<Vec<_>>())?;
        Ok(update)
    }

    /// Every path the expression writes, in the order SET, REMOVE, ADD, DELETE.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let sets = self.sets.iter().map(|(path, _)| path);
        let others = self.adds.iter().chain(&self.deletes).map(|(path, _)| path);
        sets.chain(&self.removes).chain(others)
    }

    /// Applies the update. Every operand is read from the item as it was before.
    ///
    /// # Errors
    /// `ValidationException` when a path or an operand does not fit the item.
    pub fn apply(&self, before: &Item) -> Result<Item, ServiceError> {
        let mut item = before.clone();
        let mut sets = Vec::new();
        for (path, value) in &self.sets {
            sets.push((path, value.evaluate(before)?));
        }
        // Several writes past the end of a list land in the order of their indices.
        sets.sort_by(|(a, _), (b, _)| a.0.cmp(&b.0));
        for (path, value) in sets {
            put(&mut item, path, value)?;
        }
        for (path, value) in &self.adds {
            let sum = added(path.get(before), value)?;
            put(&mut item, path, sum)?;
        }
        for (path, value) in &self.deletes {
            match (path.get(before), value) {
                (None, _) => {}
                (Some(old), value) => match without(old, value)? {
                    Some(rest) => put(&mut item, path, rest)?,
                    None => remove(&mut item, path)?,
                },
            }
        }
        // From the highest index down, so that each index means the element it meant before.
        let mut removes: Vec<&Path> = self.removes.iter().collect();
        removes.sort_by(|a, b| b.0.cmp(&a.0));
        for path in removes {
            remove(&mut item, path)?;
        }
        Ok(item)
    }
}

impl SetValue {
    fn evaluate(&self, item: &Item) -> Result<AttributeValue, ServiceError> {
        let (left, right, sign): (_, _, fn(Decimal) -> Decimal) = match self {
            Self::One(operand) => return operand.evaluate(item),
            Self::Plus(left, right) => (left, right, |number| number),
            Self::Minus(left, right) => (left, right, |number| number.negated()),
        };
        match (left.evaluate(item)?, right.evaluate(item)?) {
            (AttributeValue::N(a), AttributeValue::N(b)) => sum(&a, &sign(b)),
            _ => Err(wrong_data_type()),
        }
    }
}

impl Operand {
    fn evaluate(&self, item: &Item) -> Result<AttributeValue, ServiceError> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::Path(path) => path.get(item).cloned().ok_or_else(|| {
                validation("The provided expression refers to an attribute that does not exist in the item")
            }),
            Self::IfNotExists(path, otherwise) => match path.get(item) {
                Some(value) => Ok(value.clone()),
                None => otherwise.evaluate(item),
            },
            Self::ListAppend(first, second) => match (first.evaluate(item)?, second.evaluate(item)?) {
                (AttributeValue::L(mut list), AttributeValue::L(more)) => {
                    list.extend(more);
                    Ok(AttributeValue::L(list))
                }
                _ => Err(wrong_data_type()),
            },
        }
    }
}

fn sum(a: &Decimal, b: &Decimal) -> Result<AttributeValue, ServiceError> {
    a.plus(b).map(AttributeValue::N).map_err(|error| validation(error.to_string()))
}

fn added(old: Option<&AttributeValue>, value: &AttributeValue) -> Result<AttributeValue, ServiceError> {
    match (old, value) {
        (None, value) => Ok(value.clone()),
        (Some(AttributeValue::N(old)), AttributeValue::N(value)) => sum(old, value),
        (Some(AttributeValue::Ss(old)), AttributeValue::Ss(value)) => Ok(AttributeValue::Ss(old | value)),
        (Some(AttributeValue::Ns(old)), AttributeValue::Ns(value)) => Ok(AttributeValue::Ns(old | value)),
        (Some(AttributeValue::Bs(old)), AttributeValue::Bs(value)) => Ok(AttributeValue::Bs(old | value)),
        _ => Err(wrong_data_type()),
    }
}

/// The set without the given members; `None` when nothing is left, since sets are never empty.
fn without(old: &AttributeValue, value: &AttributeValue) -> Result<Option<AttributeValue>, ServiceError> {
    let rest = match (old, value) {
        (AttributeValue::Ss(old), AttributeValue::Ss(value)) => AttributeValue::Ss(old - value),
        (AttributeValue::Ns(old), AttributeValue::Ns(value)) => AttributeValue::Ns(old - value),
        (AttributeValue::Bs(old), AttributeValue::Bs(value)) => AttributeValue::Bs(old - value),
        _ => return Err(wrong_data_type()),
    };
    Ok((rest.size() != Some(0)).then_some(rest))
}

fn put(item: &mut Item, path: &Path, value: AttributeValue) -> Result<(), ServiceError> {
    if path.0.len() == 1 {
        item.insert(path.attribute().to_owned(), value);
        return Ok(());
    }
    match (parent(item, path)?, path.0.last()) {
        (AttributeValue::M(map), Some(Segment::Name(name))) => {
            map.insert(name.clone(), value);
            Ok(())
        }
        (AttributeValue::L(list), Some(Segment::Index(index))) => {
            match list.get_mut(*index) {
                Some(element) => *element = value,
                None => list.push(value),
            }
            Ok(())
        }
        _ => Err(bad_path()),
    }
}

fn remove(item: &mut Item, path: &Path) -> Result<(), ServiceError> {
    if path.0.len() == 1 {
        item.remove(path.attribute());
        return Ok(());
    }
    match (parent(item, path)?, path.0.last()) {
        (AttributeValue::M(map), Some(Segment::Name(name))) => {
            map.remove(name);
            Ok(())
        }
        (AttributeValue::L(list), Some(Segment::Index(index))) => {
            if *index < list.len() {
                list.remove(*index);
            }
            Ok(())
        }
        _ => Err(bad_path()),
    }
}

fn parent<'a>(item: &'a mut Item, path: &Path) -> Result<&'a mut AttributeValue, ServiceError> {
    let mut value = item.get_mut(path.attribute()).ok_or_else(bad_path)?;
    for segment in &path.0[1..path.0.len() - 1] {
        value = match (segment, value) {
            (Segment::Name(name), AttributeValue::M(map)) => map.get_mut(name),
            (Segment::Index(index), AttributeValue::L(list)) => list.get_mut(*index),
            _ => None,
        }
        .ok_or_else(bad_path)?;
    }
    Ok(value)
}

fn bad_path() -> ServiceError {
    validation("The document path provided in the update expression is invalid for update")
}

fn wrong_data_type() -> ServiceError {
    validation("An operand in the update expression has an incorrect data type")
}

/// Refuses two paths of which one contains the other, or that need the same place to be list and map.
///
/// # Errors
/// `ValidationException` with DynamoDB's message.
pub fn refuse_overlaps(tokens: &Tokens<'_>, paths: &[Path]) -> Result<(), ServiceError> {
    for (position, one) in paths.iter().enumerate() {
        for two in &paths[position + 1..] {
            let how = match one.0.iter().zip(&two.0).find(|(a, b)| a != b) {
                None => "overlap",
                Some((Segment::Name(_), Segment::Index(_)) | (Segment::Index(_), Segment::Name(_))) => {
                    "conflict"
                }
                Some(_) => continue,
            };
            return Err(tokens.error(format!(
                "Two document paths {how} with each other; must remove or rewrite one of these paths; path \
                 one: {one}, path two: {two}"
            )));
        }
    }
    Ok(())
}

struct Parser<'p, 't> {
    tokens: &'p mut Tokens<'t>,
    placeholders: &'p mut Placeholders,
}

impl Parser<'_, '_> {
    fn section(&mut self, section: &str, update: &mut Update) -> Result<(), ServiceError> {
        loop {
            let path = self.placeholders.path(self.tokens)?;
            match section {
                "SET" => {
                    self.tokens.expect("=")?;
                    let value = self.set_value()?;
                    update.sets.push((path, value));
                }
                "REMOVE" => update.removes.push(path),
                "ADD" => {
                    let value = self.literal(section, &["N", "SS", "NS", "BS"])?;
                    update.adds.push((path, value));
                }
                _ => {
                    let value = self.literal(section, &["SS", "NS", "BS"])?;
                    update.deletes.push((path, value));
                }
            }
            if !self.tokens.take(",") {
                return Ok(());
            }
        }
    }

    fn set_value(&mut self) -> Result<SetValue, ServiceError> {
        let left = self.operand()?;
        for (symbol, build) in
            [("+", SetValue::Plus as fn(Operand, Operand) -> SetValue), ("-", SetValue::Minus)]
        {
            if self.tokens.take(symbol) {
                let right = self.operand()?;
                self.literal_type(symbol, &left, "N")?;
                self.literal_type(symbol, &right, "N")?;
                return Ok(build(left, right));
            }
        }
        Ok(SetValue::One(left))
    }

    fn operand(&mut self) -> Result<Operand, ServiceError> {
        match (self.tokens.peek().clone(), self.tokens.peek_second()) {
            (TokenKind::ValueRef(key), _) => {
                self.tokens.next();
                Ok(Operand::Value(self.placeholders.value(self.tokens, &key)?))
            }
            (TokenKind::Word(name), TokenKind::Symbol("(")) => {
                self.tokens.next();
                self.function(&name)
            }
            _ => Ok(Operand::Path(self.placeholders.path(self.tokens)?)),
        }
    }

    fn function(&mut self, name: &str) -> Result<Operand, ServiceError> {
        match name {
            "if_not_exists" | "list_append" => {}
            "attribute_exists"
            | "attribute_not_exists"
            | "attribute_type"
            | "begins_with"
            | "contains"
            | "size" => return Err(self.not_allowed_here(name)),
            _ => return Err(self.tokens.error(format!("Invalid function name; function: {name}"))),
        }
        self.tokens.expect("(")?;
        let mut arguments = vec![self.operand()?];
        while self.tokens.take(",") {
            arguments.push(self.operand()?);
        }
        self.tokens.expect(")")?;
        let count = arguments.len();
        let (Some(second), Some(first), None) = (arguments.pop(), arguments.pop(), arguments.pop()) else {
            return Err(self.tokens.error(format!(
                "Incorrect number of operands for operator or function; operator or function: {name}, \
                 number of operands: {count}"
            )));
        };
        match (name, first) {
            ("if_not_exists", Operand::Path(path)) => Ok(Operand::IfNotExists(path, Box::new(second))),
            ("if_not_exists", _) => Err(self.tokens.error(format!(
                "Operator or function requires a document path; operator or function: {name}"
            ))),
            (_, first) => {
                for operand in [&first, &second] {
                    self.literal_type(name, operand, "L")?;
                    if matches!(operand, Operand::ListAppend(..)) {
                        return Err(self.not_allowed_here(name));
                    }
                }
                Ok(Operand::ListAppend(Box::new(first), Box::new(second)))
            }
        }
    }

    fn literal(&mut self, section: &str, allowed: &[&str]) -> Result<AttributeValue, ServiceError> {
        let TokenKind::ValueRef(key) = self.tokens.peek().clone() else {
            return Err(self.tokens.syntax_error());
        };
        self.tokens.next();
        let value = self.placeholders.value(self.tokens, &key)?;
        if allowed.contains(&value.type_name()) {
            return Ok(value);
        }
        let kind = match value {
            AttributeValue::S(_) => "STRING",
            AttributeValue::N(_) => "NUMBER",
            AttributeValue::B(_) => "BINARY",
            AttributeValue::Bool(_) => "BOOLEAN",
            AttributeValue::Null => "NULL",
            AttributeValue::L(_) => "LIST",
            AttributeValue::M(_) => "MAP",
            AttributeValue::Ss(_) | AttributeValue::Ns(_) | AttributeValue::Bs(_) => "SET",
        };
        Err(self.tokens.error(format!(
            "Incorrect operand type for operator or function; operator: {section}, operand type: {kind}"
        )))
    }

    fn literal_type(&self, operator: &str, operand: &Operand, allowed: &str) -> Result<(), ServiceError> {
        match operand {
            Operand::Value(value) if value.type_name() != allowed => Err(self.tokens.error(format!(
                "Incorrect operand type for operator or function; operator or function: {operator}, \
                 operand type: {}",
                value.type_name()
            ))),
            Operand::Path(_) | Operand::Value(_) | Operand::IfNotExists(..) | Operand::ListAppend(..) => {
                Ok(())
            }
        }
    }

    fn not_allowed_here(&self, function: &str) -> ServiceError {
        self.tokens.error(format!(
            "The function is not allowed to be used this way in an expression; function: {function}"
        ))
    }
}

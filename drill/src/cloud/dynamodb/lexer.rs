//! Tokens of DynamoDB's expressions.

use super::validation;
use crate::cloud::error::ServiceError;

/// One token, with where it stands in the expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What kind of token it is, and its text.
    pub kind: TokenKind,
    start: usize,
    end: usize,
}

/// The kinds of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenKind {
    /// A bare word: attribute name, keyword or function.
    Word(String),
    /// `#name`.
    NameRef(String),
    /// `:value`.
    ValueRef(String),
    /// Digits, an index of a list.
    Digits(String),
    /// An operator or a punctuation mark.
    Symbol(&'static str),
    /// A character no expression has.
    Unknown(char),
    /// The end of the expression.
    End,
}

/// The tokens of one expression, read from left to right.
#[derive(Debug)]
pub struct Tokens<'a> {
    /// `UpdateExpression` and the like, for messages.
    pub expression_name: &'static str,
    text: &'a str,
    tokens: Vec<Token>,
    position: usize,
}

/// Longest first, so that `<=` is not read as `<`.
const SYMBOLS: [&str; 14] = ["<>", "<=", ">=", "<", ">", "=", "(", ")", "[", "]", ",", ".", "+", "-"];

impl<'a> Tokens<'a> {
    /// Splits an expression into tokens. Unknown characters become tokens of their own, which no rule
    /// takes.
    pub fn new(expression_name: &'static str, text: &'a str) -> Self {
        let mut tokens = Vec::new();
        let mut start = 0;
        while let Some(first) = text[start..].chars().next() {
            if first.is_whitespace() {
                start += first.len_utf8();
                continue;
            }
            let (kind, length) = read_token(&text[start..], first);
            tokens.push(Token { kind, start, end: start + length });
            start += length;
        }
        tokens.push(Token { kind: TokenKind::End, start: text.len(), end: text.len() });
        Self { expression_name, text, tokens, position: 0 }
    }

    /// The next token, without taking it.
    pub fn peek(&self) -> &TokenKind {
        &self.tokens[self.position].kind
    }

    /// The token after the next one.
    pub fn peek_second(&self) -> &TokenKind {
        &self.tokens[(self.position + 1).min(self.tokens.len() - 1)].kind
    }

    /// Takes the next token.
    pub fn next(&mut self) -> TokenKind {
        let kind = self.peek().clone();
        self.position = (self.position + 1).min(self.tokens.len() - 1);
        kind
    }

    /// Takes the next token if it is this symbol.
    pub fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), TokenKind::Symbol(next) if *next == symbol);
        if found {
            self.next();
        }
        found
    }

    /// Takes the next token if it is this keyword, in any case.
    pub fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = matches!(self.peek(), TokenKind::Word(word) if word.eq_ignore_ascii_case(keyword));
        if found {
            self.next();
        }
        found
    }

    /// Takes this symbol.
    ///
    /// # Errors
    /// A syntax error when another token is next.
    pub fn expect(&mut self, symbol: &str) -> Result<(), ServiceError> {
        if self.take(symbol) { Ok(()) } else { Err(self.syntax_error()) }
    }

    /// DynamoDB's syntax error about the next token: it names the token and its neighbours.
    pub fn syntax_error(&self) -> ServiceError {
        let token = &self.tokens[self.position];
        let shown = match token.kind {
            TokenKind::End => "<EOF>",
            _ => &self.text[token.start..token.end],
        };
        let from = self.tokens[self.position.saturating_sub(1)].start;
        let to = self.tokens[(self.position + 1).min(self.tokens.len() - 1)].end;
        self.error(format!("Syntax error; token: \"{shown}\", near: \"{}\"", self.text[from..to].trim_end()))
    }

    /// A `ValidationException` that names the expression it is about.
    pub fn error(&self, what: impl AsRef<str>) -> ServiceError {
        validation(format!("Invalid {}: {}", self.expression_name, what.as_ref()))
    }
}

fn read_token(rest: &str, first: char) -> (TokenKind, usize) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let run = |from: usize, accept: &dyn Fn(char) -> bool| {
        from + rest[from..].find(|c| !accept(c)).unwrap_or(rest.len() - from)
    };
    match first {
        'a'..='z' | 'A'..='Z' => {
            let length = run(0, &is_word);
            (TokenKind::Word(rest[..length].to_owned()), length)
        }
        '0'..='9' => {
            let length = run(0, &|c| c.is_ascii_digit());
            (TokenKind::Digits(rest[..length].to_owned()), length)
        }
        '#' | ':' if rest[1..].starts_with(is_word) => {
            let length = run(1, &is_word);
            let name = rest[..length].to_owned();
            (if first == '#' { TokenKind::NameRef(name) } else { TokenKind::ValueRef(name) }, length)
        }
        _ => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            Some(symbol) => (TokenKind::Symbol(symbol), symbol.len()),
            None => (TokenKind::Unknown(first), first.len_utf8()),
        },
    }
}

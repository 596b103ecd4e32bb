//! Damage to text.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// At most this many edits of one text.
const MAX_EDITS: usize = 6;
/// An edit cuts, doubles or moves at most this many characters.
const MAX_SPAN: usize = 40;

/// What parsers trip over: quotes and brackets without their other half, numbers at the edge of a type, nesting,
/// characters of several bytes, control characters.
const TOKENS: &[&str] = &[
    "\"",
    "'",
    "\\",
    "{",
    "}",
    "[",
    "]",
    "[[",
    "]]",
    ",",
    ":",
    "=",
    "%",
    "{%",
    "%}",
    "$",
    "$$",
    "${",
    "~>",
    "/",
    "\n",
    "\r",
    "\t",
    "\0",
    "\u{7f}",
    "\u{feff}",
    "\u{202e}",
    "é",
    "\u{1F9E8}",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "0",
    "-0",
    "-1",
    "1e400",
    "1e-400",
    "NaN",
    "inf",
    "0x10",
    "1_000",
    "18446744073709551616",
    "9223372036854775808",
    "4294967296",
    "65536",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "{\"a\":{\"a\":{\"a\":{\"a\":",
    "((((((((((((((((",
    "\u{0}",
];

#[derive(Clone, Debug)]
enum Edit {
    Cut(Index, usize),
    Double(Index, usize),
    Move(Index, usize, Index),
    Insert(Index, String),
    Truncate(Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let span = 1..=MAX_SPAN;
    let inserted = prop_oneof![
        4 => select(TOKENS).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop_oneof![
        3 => (any::<Index>(), span.clone()).prop_map(|(at, count)| Edit::Cut(at, count)),
        3 => (any::<Index>(), span.clone()).prop_map(|(at, count)| Edit::Double(at, count)),
        2 => (any::<Index>(), span, any::<Index>()).prop_map(|(at, count, to)| Edit::Move(at, count, to)),
        6 => (any::<Index>(), inserted).prop_map(|(at, text)| Edit::Insert(at, text)),
        1 => any::<Index>().prop_map(Edit::Truncate),
    ]
}

/// One of these texts with up to a handful of edits. Once in a while it is left as it is.
pub fn damaged(originals: &'static [&'static str]) -> impl Strategy<Value = String> {
    (select(originals), vec(edit(), 0..=MAX_EDITS)).prop_map(|(original, edits)| {
        let mut text: Vec<char> = original.chars().collect();
        for edit in &edits {
            apply(&mut text, edit);
        }
        text.into_iter().collect()
    })
}

fn apply(text: &mut Vec<char>, edit: &Edit) {
    // One more than there are characters: the end is a place, too.
    let places = text.len() + 1;
    let span = |at: &Index, count: usize| {
        let from = at.index(places);
        from..(from + count).min(places - 1)
    };
    match edit {
        Edit::Cut(at, count) => {
            text.drain(span(at, *count));
        }
        Edit::Double(at, count) => {
            let span = span(at, *count);
            let piece = text[span.clone()].to_vec();
            text.splice(span.end..span.end, piece);
        }
        Edit::Move(at, count, to) => {
            let piece: Vec<char> = text.drain(span(at, *count)).collect();
            let to = to.index(text.len() + 1);
            text.splice(to..to, piece);
        }
        Edit::Insert(at, piece) => {
            let at = at.index(places);
            text.splice(at..at, piece.chars());
        }
        Edit::Truncate(at) => text.truncate(at.index(places)),
    }
}

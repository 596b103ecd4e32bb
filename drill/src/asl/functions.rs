//! The JSONata functions that Step Functions adds, and those that must not read a clock or the
//! system's randomness.
//!
//! Several arguments give no value instead of an error (a chunk size of zero, a step that leads
//! away from the end): what the expression stands in then fails for having no value. Arguments that
//! are to be whole numbers are cut off towards zero.

use std::cell::RefCell;
use std::rc::Rc;

use jsonata_core::evaluator::{Context, Evaluator, EvaluatorError};
use jsonata_core::parser;
use jsonata_core::value::JValue;
use md5::Md5;
use rand::{Rng, RngExt};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::expr::Expr;
use crate::sim::{Sim, SimRng, Time};

/// Marks a failure that stands for something not supported here, not for one of the expression's.
pub const NOT_SUPPORTED: &str = "Drill.NotSupported";

/// The most elements that `$range` makes on Step Functions.
const RANGE_LIMIT_COUNT: i128 = 360_145;

/// Where expressions of one execution take time and chance from.
pub(super) struct Oracle {
    pub sim: Sim,
    pub rng: RefCell<SimRng>,
    /// By how much the clock that expressions read is ahead, milliseconds.
    pub skew_ms: i64,
}

impl Oracle {
    fn now(&self) -> Time {
        Time::from_ms(self.sim.now().as_ms().saturating_add_signed(self.skew_ms))
    }
}

type Answer = Result<JValue, EvaluatorError>;

/// Gives an evaluator those of the functions that the expression names.
pub(super) fn register(evaluator: &mut Evaluator, expr: &Expr, oracle: &Rc<Oracle>) {
    for name in expr.names() {
        let function: fn(&Oracle, &[JValue]) -> Answer = match name.as_str() {
            "partition" => |_, args| partition(args),
            "range" => |_, args| range(args),
            "hash" => |_, args| hash(args),
            "parse" => |_, args| parse(args),
            "uuid" => uuid,
            "random" => random,
            "shuffle" => shuffle,
            "now" => now,
            "millis" => millis,
            _ => continue,
        };
        let oracle = oracle.clone();
        evaluator
            .register_fn_override(name, move |args: &[JValue]| function(&oracle, args))
            .expect("none of these names is one that the library compiles");
    }
}

fn error(text: impl Into<String>) -> EvaluatorError {
    EvaluatorError::EvaluationError(text.into())
}

fn not_supported(text: &str) -> EvaluatorError {
    error(format!("{NOT_SUPPORTED}: {text}"))
}

/// An argument that does not fit the function's signature.
fn wrong_argument(function: &str, position: usize) -> EvaluatorError {
    error(format!("T0410: Argument {position} of function \"{function}\" does not match function signature"))
}

fn at_most(args: &[JValue], count: usize, function: &str) -> Result<(), EvaluatorError> {
    if args.len() > count {
        return Err(wrong_argument(function, count + 1));
    }
    Ok(())
}

/// The argument at `index` as a whole number; `None` if it is not given.
fn integer(args: &[JValue], index: usize, function: &str) -> Result<Option<i64>, EvaluatorError> {
    match args.get(index) {
        None | Some(JValue::Undefined) => Ok(None),
        // The cast cuts off towards zero and saturates.
        Some(JValue::Number(number)) => Ok(Some(number.trunc() as i64)),
        Some(_) => Err(wrong_argument(function, index + 1)),
    }
}

/// The argument at `index` as a string; `None` if it is not given.
fn string<'a>(args: &'a [JValue], index: usize, function: &str) -> Result<Option<&'a str>, EvaluatorError> {
    match args.get(index) {
        None | Some(JValue::Undefined) => Ok(None),
        Some(JValue::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong_argument(function, index + 1)),
    }
}

/// `$partition(array, size)`: the array in pieces of `size`, the last one holding the rest; in one
/// piece without a size.
fn partition(args: &[JValue]) -> Answer {
    at_most(args, 2, "partition")?;
    let items = match args.first() {
        None | Some(JValue::Undefined) => return Ok(JValue::Undefined),
        Some(JValue::Array(items)) => items,
        Some(JValue::Null) => {
            return Err(error("T0412: Argument 1 of function \"partition\" must be an array"));
        }
        Some(_) => return Err(not_supported("$partition of something that is not an array")),
    };
    let size = match integer(args, 1, "partition")? {
        Some(size) if size < 0 => {
            return Err(error("D3137: Second argument must be zero or greater"));
        }
        Some(0) => return Ok(JValue::Undefined),
        Some(size) => usize::try_from(size).unwrap_or(usize::MAX),
        None => items.len().max(1),
    };
    if items.is_empty() {
        return Ok(JValue::Undefined);
    }
    Ok(JValue::array(items.chunks(size).map(|chunk| JValue::array(chunk.to_vec())).collect()))
}

/// `$range(start, end, step)`: the numbers from `start` to at most `end`; a single one stands
/// alone, not in an array.
fn range(args: &[JValue]) -> Answer {
    at_most(args, 3, "range")?;
    let bound = |index| integer(args, index, "range")?.ok_or_else(|| wrong_argument("range", index + 1));
    let (start, end) = (i128::from(bound(0)?), i128::from(bound(1)?));
    let step = i128::from(integer(args, 2, "range")?.unwrap_or(0));
    if step == 0 || (end - start).signum() * step.signum() < 0 {
        return Ok(JValue::Undefined);
    }
    let count = (end - start) / step + 1;
    if count > RANGE_LIMIT_COUNT {
        return Err(error("Expression evaluation memory limit exceeded"));
    }
    let mut numbers: Vec<JValue> =
        (0..count).map(|index| JValue::Number((start + index * step) as f64)).collect();
    Ok(match numbers.len() {
        1 => numbers.remove(0),
        _ => JValue::array(numbers),
    })
}

/// `$hash(text, algorithm)`: the digest of the text's UTF-8 bytes in hexadecimal.
fn hash(args: &[JValue]) -> Answer {
    at_most(args, 2, "hash")?;
    let text = string(args, 0, "hash")?;
    let algorithm = string(args, 1, "hash")?;
    let (Some(text), Some(algorithm)) = (text, algorithm) else { return Ok(JValue::Undefined) };
    fn hex<D: Digest>(text: &str) -> String {
        D::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
    Ok(JValue::from(match algorithm {
        "MD5" => hex::<Md5>(text),
        "SHA-1" => hex::<Sha1>(text),
        "SHA-256" => hex::<Sha256>(text),
        "SHA-384" => hex::<Sha384>(text),
        "SHA-512" => hex::<Sha512>(text),
        other => {
            return Err(error(format!(
                "D3137: {other} is no supported algorithm: MD5, SHA-1, SHA-256, SHA-384, SHA-512"
            )));
        }
    }))
}

/// `$parse(text)`: the value of a JSON text.
fn parse(args: &[JValue]) -> Answer {
    at_most(args, 1, "parse")?;
    let Some(text) = string(args, 0, "parse")? else { return Ok(JValue::Undefined) };
    let json: serde_json::Value = serde_json::from_str(text).map_err(|why| error(format!("D3137: {why}")))?;
    super::data::Data::new(json).jsonata().map_err(|inexact| {
        not_supported(&format!("the integer {} is beyond what JSONata numbers hold here", inexact.0))
    })
}

/// `$uuid()`: a version 4 UUID.
fn uuid(oracle: &Oracle, args: &[JValue]) -> Answer {
    at_most(args, 0, "uuid")?;
    Ok(JValue::from(new_uuid(&mut *oracle.rng.borrow_mut())))
}

/// A version 4 UUID from a random stream.
pub(super) fn new_uuid(rng: &mut impl Rng) -> String {
    let high = (rng.next_u64() & !0xf000) | 0x4000;
    let low = (rng.next_u64() & !(0b11 << 62)) | (0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// `$random([seed])`: a number from 0 up to, but not including, 1. With a seed it is the number
/// that `java.util.Random` gives first, as on Step Functions.
fn random(oracle: &Oracle, args: &[JValue]) -> Answer {
    at_most(args, 1, "random")?;
    Ok(JValue::Number(match integer(args, 0, "random")? {
        None => oracle.rng.borrow_mut().random::<f64>(),
        Some(seed) => java_random(seed),
    }))
}

/// The first `nextDouble` of the 48-bit linear congruential generator that Java specifies.
fn java_random(seed: i64) -> f64 {
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const MASK: u64 = (1 << 48) - 1;
    let mut state = (seed as u64 ^ MULTIPLIER) & MASK;
    let mut next = |bits: u32| {
        state = (state.wrapping_mul(MULTIPLIER).wrapping_add(0xB)) & MASK;
        state >> (48 - bits)
    };
    let fraction = (next(26) << 27) + next(27);
    fraction as f64 / (1u64 << 53) as f64
}

/// `$shuffle(array)`, with the simulation's randomness.
fn shuffle(oracle: &Oracle, args: &[JValue]) -> Answer {
    at_most(args, 1, "shuffle")?;
    let items = match args.first() {
        None | Some(JValue::Undefined) => return Ok(JValue::Undefined),
        Some(JValue::Array(items)) => items,
        Some(_) => return Err(wrong_argument("shuffle", 1)),
    };
    let mut items = items.to_vec();
    let mut rng = oracle.rng.borrow_mut();
    for last in (1..items.len()).rev() {
        items.swap(last, rng.random_range(0..=last));
    }
    Ok(JValue::array(items))
}

/// `$millis()`: virtual time.
fn millis(oracle: &Oracle, args: &[JValue]) -> Answer {
    at_most(args, 0, "millis")?;
    Ok(JValue::Number(oracle.now().as_ms() as f64))
}

/// `$now([picture [, timezone]])`: virtual time as text.
fn now(oracle: &Oracle, args: &[JValue]) -> Answer {
    at_most(args, 2, "now")?;
    if args.is_empty() {
        return Ok(JValue::from(oracle.now().to_string()));
    }
    // JSONata defines the formatted form by $fromMillis, which needs no clock.
    let source = ["$fromMillis($t, $p)", "$fromMillis($t, $p, $z)"][args.len() - 1];
    let ast = parser::parse(source).map_err(|why| error(why.to_string()))?;
    let mut context = Context::new();
    context.bind("t".to_owned(), JValue::Number(oracle.now().as_ms() as f64));
    for (name, value) in ["p", "z"].into_iter().zip(args) {
        context.bind(name.to_owned(), value.clone());
    }
    Evaluator::with_context(context).evaluate(&ast, &JValue::Undefined)
}

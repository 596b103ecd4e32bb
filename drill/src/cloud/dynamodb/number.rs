//! DynamoDB's numbers: exact decimals of at most 38 significant digits.

use std::cmp::Ordering;
use std::fmt;

/// Significant digits a number may have.
const MAX_DIGITS: usize = 38;
/// Largest power of ten of the leading digit.
const MAX_MAGNITUDE: i64 = 125;
/// Smallest power of ten of the leading digit.
const MIN_MAGNITUDE: i64 = -130;

/// An exact decimal, kept without leading or trailing zeros, so that `1.0` and `1` are the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// Decimal digits, most significant first; empty for zero.
    digits: Vec<u8>,
    /// The number is `digits` times ten to this power.
    exponent: i64,
}

/// Why a text is no number DynamoDB stores.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// The text is no decimal number.
    #[error("The parameter cannot be converted to a numeric value: {0}")]
    NotNumeric(String),
    /// More than 38 significant digits.
    #[error("Attempting to store more than 38 significant digits in a Number")]
    TooManyDigits,
    /// Larger than DynamoDB stores.
    #[error("Number overflow. Attempting to store a number with magnitude larger than supported range")]
    Overflow,
    /// Closer to zero than DynamoDB stores.
    #[error("Number underflow. Attempting to store a number with magnitude smaller than supported range")]
    Underflow,
}

impl Decimal {
    /// Reads a decimal such as `-12.50` or `1e3`.
    ///
    /// # Errors
    /// When the text is no number, or is outside what DynamoDB stores.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let bad = || NumberError::NotNumeric(text.to_owned());
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            Some(_) | None => (false, text),
        };
        let (mantissa, power) = match rest.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, power.parse::<i32>().map_err(|_| bad())?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
            return Err(bad());
        }
        let digits = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
        Self::normal(negative, digits, i64::from(power) - fraction.len() as i64).checked()
    }

    /// A whole number.
    pub fn from_count(count: usize) -> Self {
        let digits = count.to_string().bytes().map(|byte| byte - b'0').collect();
        Self::normal(false, digits, 0)
    }

    fn normal(negative: bool, mut digits: Vec<u8>, mut exponent: i64) -> Self {
        let leading = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..leading);
        while digits.last() == Some(&0) {
            digits.pop();
            exponent += 1;
        }
        if digits.is_empty() {
            return Self { negative: false, digits, exponent: 0 };
        }
        Self { negative, digits, exponent }
    }

    fn checked(self) -> Result<Self, NumberError> {
        if self.digits.is_empty() {
            return Ok(self);
        }
        if self.digits.len() > MAX_DIGITS {
            return Err(NumberError::TooManyDigits);
        }
        match self.magnitude() {
            magnitude if magnitude > MAX_MAGNITUDE => Err(NumberError::Overflow),
            magnitude if magnitude < MIN_MAGNITUDE => Err(NumberError::Underflow),
            _ => Ok(self),
        }
    }

    /// Power of ten of the leading digit.
    fn magnitude(&self) -> i64 {
        self.exponent + self.digits.len() as i64 - 1
    }

    /// The sum of two numbers.
    ///
    /// # Errors
    /// When the exact sum needs more digits, or is larger, than DynamoDB stores.
    pub fn plus(&self, other: &Self) -> Result<Self, NumberError> {
        let exponent = self.exponent.min(other.exponent);
        let (left, right) = (self.digits_down_to(exponent), other.digits_down_to(exponent));
        let (negative, digits) = if self.negative == other.negative {
            (self.negative, add_digits(&left, &right))
        } else {
            match compare_digits(&left, &right) {
                Ordering::Less => (other.negative, subtract_digits(&right, &left)),
                Ordering::Equal | Ordering::Greater => (self.negative, subtract_digits(&left, &right)),
            }
        };
        Self::normal(negative, digits, exponent).checked()
    }

    /// The number with the other sign.
    pub fn negated(&self) -> Self {
        Self { negative: !self.negative && !self.digits.is_empty(), ..self.clone() }
    }

    /// Bytes the number counts for in an item's size: one per two significant digits, and one more.
    pub fn size_bytes(&self) -> usize {
        self.digits.len().div_ceil(2) + 1
    }

    fn digits_down_to(&self, exponent: i64) -> Vec<u8> {
        let mut digits = self.digits.clone();
        // A parsed number spans at most 256 powers of ten, so this padding is small.
        let padding = usize::try_from(self.exponent - exponent).unwrap_or(0);
        if !digits.is_empty() {
            digits.extend(std::iter::repeat_n(0, padding));
        }
        digits
    }
}

fn add_digits(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut sum = Vec::new();
    let mut carry = 0;
    for place in 0..left.len().max(right.len()) {
        let at = |digits: &[u8]| digits.iter().rev().nth(place).copied().unwrap_or(0);
        let total = at(left) + at(right) + carry;
        sum.push(total % 10);
        carry = total / 10;
    }
    sum.push(carry);
    sum.reverse();
    sum
}

fn subtract_digits(larger: &[u8], smaller: &[u8]) -> Vec<u8> {
    let mut difference = Vec::new();
    let mut borrow = 0;
    for place in 0..larger.len() {
        let at = |digits: &[u8]| digits.iter().rev().nth(place).copied().unwrap_or(0);
        let (top, bottom) = (at(larger), at(smaller) + borrow);
        borrow = u8::from(top < bottom);
        difference.push(top + 10 * borrow - bottom);
    }
    difference.reverse();
    difference
}

fn compare_digits(left: &[u8], right: &[u8]) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.digits.is_empty(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        // Digits without trailing zeros of the same magnitude compare as text does.
        let size = || self.magnitude().cmp(&other.magnitude()).then_with(|| self.digits.cmp(&other.digits));
        sign(self).cmp(&sign(other)).then_with(|| match sign(self) {
            0 => Ordering::Equal,
            1 => size(),
            _ => size().reverse(),
        })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    /// Plain notation without an exponent, as DynamoDB answers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        let digits: String = self.digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        let sign = if self.negative { "-" } else { "" };
        let point = digits.len() as i64 + self.exponent;
        match usize::try_from(point) {
            Ok(point) if point >= digits.len() => {
                write!(f, "{sign}{digits}{}", "0".repeat(point - digits.len()))
            }
            Ok(point) if point > 0 => write!(f, "{sign}{}.{}", &digits[..point], &digits[point..]),
            Ok(_) => write!(f, "{sign}0.{digits}"),
            Err(_) => write!(f, "{sign}0.{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_normalised_and_bounded() {
        for (text, expected) in [
            ("1.0", "1"),
            ("-0", "0"),
            ("1e3", "1000"),
            ("0012.3400", "12.34"),
            ("1E-3", "0.001"),
            (".5", "0.5"),
            ("-7.25e1", "-72.5"),
        ] {
            assert_eq!(Decimal::parse(text).unwrap().to_string(), expected, "{text}");
        }
        let bad = |text: &str| Decimal::parse(text).unwrap_err();
        assert_eq!(bad("1a"), NumberError::NotNumeric("1a".into()));
        assert_eq!(bad(""), NumberError::NotNumeric(String::new()));
        assert_eq!(bad(&"1".repeat(39)), NumberError::TooManyDigits);
        assert_eq!(bad("1e126"), NumberError::Overflow);
        assert_eq!(bad("1e-131"), NumberError::Underflow);
    }

    proptest! {
        #[test]
        fn sums_and_order_agree_with_integers(
            a in -1_000_000_000_000_000_000_i64..=1_000_000_000_000_000_000,
            b in -1_000_000_000_000_000_000_i64..=1_000_000_000_000_000_000,
            scale in 0_u32..20,
        ) {
            // The same power of ten on both sides leaves order and sum as those of the integers.
            let of = |number: i64| Decimal::parse(&format!("{number}e-{scale}")).unwrap();
            prop_assert_eq!(of(a).cmp(&of(b)), a.cmp(&b));
            prop_assert_eq!(of(a).plus(&of(b)).unwrap(), of(a + b));
            prop_assert_eq!(of(a).plus(&of(b).negated()).unwrap(), of(a - b));
            prop_assert_eq!(Decimal::parse(&of(a).to_string()).unwrap(), of(a));
        }
    }
}

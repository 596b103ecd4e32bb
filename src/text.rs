//! Numbers and times as people read them.

use std::time::Duration;

const DAY_S: u64 = 86_400;

/// A time on the drill's clock, to the second: `HH:MM:SS`, with days in front where the drill is a day or longer.
pub fn clock(elapsed: Duration, length: Duration) -> String {
    let s = elapsed.as_secs();
    let within_day = format!("{:02}:{:02}:{:02}", s % DAY_S / 3_600, s % 3_600 / 60, s % 60);
    if length.as_secs() >= DAY_S { format!("{}d {within_day}", s / DAY_S) } else { within_day }
}

/// A length of time in its two largest units: `1 h 5 min`, `2 min 3 s`, `40 s`.
pub fn span(seconds: f64) -> String {
    // A saturating cast: what a report holds is finite and not negative.
    let s = seconds.round() as u64;
    let (major, major_unit, minor, minor_unit) = match s {
        0..60 => return format!("{s} s"),
        60..3_600 => (s / 60, "min", s % 60, "s"),
        3_600..DAY_S => (s / 3_600, "h", s % 3_600 / 60, "min"),
        DAY_S.. => (s / DAY_S, "d", s % DAY_S / 3_600, "h"),
    };
    if minor == 0 {
        format!("{major} {major_unit}")
    } else {
        format!("{major} {major_unit} {minor} {minor_unit}")
    }
}

/// A whole number with its thousands set apart: `48,000`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An amount of money, with as many digits as such small amounts need.
pub fn dollars(amount: f64) -> String {
    match amount {
        0.0 => "0".to_owned(),
        _ if amount < 0.000_1 => "< $0.0001".to_owned(),
        _ if amount < 1.0 => format!("${amount:.4}"),
        _ => format!("${amount:.2}"),
    }
}

/// A word of a command line, quoted for a POSIX shell where it has to be.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_days_only_where_there_are_any() {
        let at = |s, length| clock(Duration::from_secs(s), Duration::from_secs(length));
        assert_eq!(at(0, 2_400), "00:00:00");
        assert_eq!(at(43_199, 43_200), "11:59:59");
        assert_eq!(at(90_061, 172_800), "1d 01:01:01");
        assert_eq!(at(61, 172_800), "0d 00:01:01");
    }

    #[test]
    fn a_span_has_two_units_at_most() {
        let shown = [0.4, 59.6, 123.4, 600.0, 3_900.0, 90_000.0].map(span);
        assert_eq!(shown, ["0 s", "1 min", "2 min 3 s", "10 min", "1 h 5 min", "1 d 1 h"]);
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1_000, 1_209_600].map(grouped), ["0", "999", "1,000", "1,209,600"]);
    }

    #[test]
    fn a_repeated_command_survives_the_shell() {
        assert_eq!(shell_word("a/b-1.toml"), "a/b-1.toml");
        assert_eq!(shell_word("it's here.toml"), r"'it'\''s here.toml'");
    }
}

//! Timestamps as the States Language writes them.

use crate::sim::Time;

/// Reads an ISO 8601 extended offset date-time: date, `T`, time with optional seconds and fraction,
/// then `Z` or an offset such as `+01:00`. An instant before 1970 reads as 1970.
pub(super) fn parse(text: &str) -> Option<Time> {
    if !text.is_ascii() || text.len() < 17 {
        return None;
    }
    let (date_time, offset) = match text.strip_suffix('Z') {
        Some(rest) => (rest, "Z"),
        None => text.split_at(text.len() - 6),
    };
    let offset_fits = offset == "Z" || has_shape(offset, "+00:00") || has_shape(offset, "-00:00");
    let (minutes, seconds) = date_time.split_at_checked(16)?;
    if !offset_fits || !has_shape(minutes, "0000-00-00T00:00") || !is_seconds(seconds) {
        return None;
    }
    let seconds = if seconds.is_empty() { ":00" } else { seconds };
    let timestamp: jiff::Timestamp = format!("{minutes}{seconds}{offset}").parse().ok()?;
    Some(Time::from_ms(u64::try_from(timestamp.as_millisecond()).unwrap_or(0)))
}

/// Nothing, or `:SS`, or `:SS.` and up to nine digits.
fn is_seconds(text: &str) -> bool {
    match text.split_once('.') {
        None => text.is_empty() || has_shape(text, ":00"),
        Some((seconds, fraction)) => {
            has_shape(seconds, ":00")
                && (1..=9).contains(&fraction.len())
                && fraction.bytes().all(|byte| byte.is_ascii_digit())
        }
    }
}

/// Whether a text has digits where the shape has `0`, and otherwise the shape's characters.
fn has_shape(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            _ => byte == wanted,
        })
}

/// An instant as the context object shows it: without a fraction on a whole second.
pub(super) fn write(time: Time) -> String {
    let text = time.to_string();
    text.strip_suffix(".000Z").map(|whole| format!("{whole}Z")).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_date_times_are_read() {
        for (text, written) in [
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
            ("2026-01-31T12:00Z", "2026-01-31T12:00:00Z"),
            ("2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.500Z"),
            ("2026-01-31T12:00:00.123456789+01:00", "2026-01-31T11:00:00.123Z"),
            ("2026-01-31T12:00:00-05:30", "2026-01-31T17:30:00Z"),
            ("1960-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(parse(text).map(write).as_deref(), Some(written), "{text}");
        }
    }

    #[test]
    fn everything_else_is_not() {
        for text in [
            "",
            "tomorrow",
            "2026-01-31",
            "2026-01-31 12:00:00Z",
            "2026-01-31T12:00:00",
            "2026-01-31t12:00:00z",
            "2026-02-30T12:00:00Z",
            "2026-01-31T25:00:00Z",
            "2026-01-31T12:00:00.Z",
            "2026-01-31T12:00:00.1234567890Z",
            "2026-01-31T12:00:00+1:00",
            "20260131T120000Z",
            "２026-01-31T12:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

//! Times in messages: Unix milliseconds, or RFC 3339 with an offset.

use jiff::Timestamp;

/// The last millisecond of the year 9999.
const MAX: i64 = 253_402_300_799_999;

/// Unix milliseconds of an integer's digits or of an RFC 3339 text with an
/// offset, from 1970 to
/// 9999. Digits below a millisecond are truncated.
pub(crate) fn read(text: &str) -> Option<i64> {
    let ms = match text.bytes().all(|c| c.is_ascii_digit()) {
        true => text.parse().ok()?,
        // What follows in brackets is of another standard.
        false if text.contains('[') => return None,
        false => text.parse::<Timestamp>().ok()?.as_millisecond(),
    };
    (0..=MAX).contains(&ms).then_some(ms)
}

/// A time as RFC 3339 in UTC, with milliseconds. A time outside the range is
/// clamped to it.
pub(crate) fn write(ms: i64) -> String {
    let at = Timestamp::from_millisecond(ms.max(0)).unwrap_or(Timestamp::MAX);
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_moment_is_read() {
        assert_eq!(read("1700000000000"), Some(1_700_000_000_000));
        assert_eq!(read("2023-11-14T22:13:20.0009Z"), Some(1_700_000_000_000));
        assert_eq!(read("2023-11-14T23:13:20+01:00"), Some(1_700_000_000_000));
        for text in [
            "",
            "-1",
            "2023-11-14T22:13:20",
            "2023-11-14",
            "1969-12-31T23:59:59Z",
            "253402300800000",
            "2023-11-14T22:13:20+00:00[UTC]",
            "99999999999999999999",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(write(1_700_000_000_000), "2023-11-14T22:13:20.000Z");
        assert_eq!(write(i64::MAX), "9999-12-30T22:00:00.999Z");
    }
}

//! Durations, written as text with units (`"30d"`, `"500ms"`, `"1h30m"`), and
//! times of day.
//!
//! | unit | length |
//! |---|---|
//! | `ms` | a millisecond |
//! | `s` | 1,000 ms |
//! | `m` | 60 s |
//! | `h` | 60 m |
//! | `d` | 24 h, not a calendar day |
//! | `w` | 7 d |
//!
//! A bare number is rejected, so that nobody has to guess whether 30 means
//! seconds or days. Calendar units such as months are settings of their own.

use std::marker::PhantomData;

use serde_json::{Value as Json, json};

use super::scalar::{Invalid, Scalar, invalid};
use crate::context::quote;

/// The units in milliseconds, longest first.
const UNITS: [(&str, i64); 6] = [
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Other names of the units, for suggestions only.
const LONG: [(&str, &str); 12] = [
    ("milliseconds", "ms"),
    ("weeks", "w"),
    ("week", "w"),
    ("days", "d"),
    ("day", "d"),
    ("hours", "h"),
    ("hour", "h"),
    ("minutes", "m"),
    ("minute", "m"),
    ("min", "m"),
    ("seconds", "s"),
    ("sec", "s"),
];

/// A duration that the model stores in milliseconds or whole seconds.
pub(crate) struct Duration<N> {
    /// The minimum, milliseconds.
    min: i64,
    /// The maximum, milliseconds.
    max: i64,
    /// The unit of the model, milliseconds.
    unit: i64,
    of: PhantomData<fn() -> N>,
}

impl<N> Duration<N> {
    /// Stored in milliseconds; `min` and `max` in milliseconds, both included.
    pub(crate) const fn millis(min: i64, max: i64) -> Duration<N> {
        Duration {
            min,
            max,
            unit: 1,
            of: PhantomData,
        }
    }

    /// Stored in whole seconds; `min` and `max` in seconds, both included.
    pub(crate) const fn seconds(min: i64, max: i64) -> Duration<N> {
        Duration {
            min: min * 1_000,
            max: max * 1_000,
            unit: 1_000,
            of: PhantomData,
        }
    }
}

/// Accepts one or more numbers with a unit, in any order: `1h30m`, `500ms`.
/// Rejects bare numbers, signs, fractions and white space; for the latter the
/// remedy suggests the accepted spelling.
impl<N: Copy + TryFrom<i64> + TryInto<i64> + 'static> Scalar for Duration<N> {
    type Out = N;

    fn kind(&self) -> String {
        format!("a duration from {} to {}", write(self.min), write(self.max))
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d|w))+$"})
    }

    /// Parses a duration into the unit of the model.
    ///
    /// # Errors
    /// Another notation, values outside of the bounds, and fractions of the
    /// model's unit.
    fn parse(&self, text: &str) -> Result<N, Invalid> {
        let millis = parse(text).ok_or_else(|| {
            invalid(
                format!("{} is not a duration", quote(text)),
                match probably(text) {
                    Some(meant) => format!("did you mean {meant:?}?"),
                    None => self.hint(),
                },
            )
        })?;
        if !(self.min..=self.max).contains(&millis) {
            let (min, max) = (write(self.min), write(self.max));
            let message = format!("{} must lie between {min} and {max}", quote(text));
            return Err(invalid(message, ""));
        }
        if millis % self.unit != 0 {
            return Err(invalid(
                format!("{} is not in whole seconds", quote(text)),
                "",
            ));
        }
        N::try_from(millis / self.unit)
            .map_err(|_| invalid(format!("{} is too long", quote(text)), ""))
    }

    /// The duration in one unit: `90m` rather than `1h30m`, which parses as the
    /// same value.
    fn write(&self, out: &N) -> String {
        let number: Result<i64, _> = (*out).try_into();
        write(number.unwrap_or(i64::MAX).saturating_mul(self.unit))
    }

    fn hint(&self) -> String {
        r#"write it as text with a unit: "500ms", "10s", "5m", "8h", "30d""#.to_owned()
    }
}

/// The milliseconds of a text such as `1h30m`; `None` if it is not a duration,
/// or overflows.
fn parse(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut sum: i64 = 0;
    while !rest.is_empty() || text.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = (tail.find(|c: char| c.is_ascii_digit())).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let number: i64 = number.parse().ok()?;
        sum = sum.checked_add(number.checked_mul(*millis)?)?;
        rest = tail;
    }
    Some(sum)
}

/// The duration that a text such as `30 Days` means.
fn probably(text: &str) -> Option<String> {
    let mut text: String = text
        .to_lowercase()
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '_')
        .collect();
    for (long, short) in LONG {
        text = text.replace(long, short);
    }
    parse(&text).map(|_| text)
}

/// Milliseconds in the largest unit that divides them, weeks aside.
fn write(millis: i64) -> String {
    if millis == 0 {
        return "0s".to_owned();
    }
    let (unit, size) = (UNITS.iter().skip(1))
        .find(|(_, size)| millis % size == 0)
        .copied()
        .unwrap_or(("ms", 1));
    format!("{}{unit}", millis / size)
}

/// A time of day, stored in seconds after midnight.
pub(crate) struct Clock;

/// Accepts `HH:MM` and `HH:MM:SS` with two digits each, from `00:00` to
/// `23:59:59` (RFC 3339, `partial-time` without a fraction and without leap
/// seconds).
impl Scalar for Clock {
    type Out = u32;

    fn kind(&self) -> String {
        "a time of day".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"})
    }

    fn parse(&self, text: &str) -> Result<u32, Invalid> {
        clock(text).ok_or_else(|| {
            invalid(
                format!("{} is not a time of day", quote(text)),
                r#"write hours and minutes, "00:00" to "23:59""#,
            )
        })
    }

    fn write(&self, out: &u32) -> String {
        let (hour, minute, second) = (out / 3600, out / 60 % 60, out % 60);
        match second {
            0 => format!("{hour:02}:{minute:02}"),
            _ => format!("{hour:02}:{minute:02}:{second:02}"),
        }
    }

    fn hint(&self) -> String {
        r#"write it in quotation marks: "04:00""#.to_owned()
    }
}

/// The seconds of `HH:MM` or `HH:MM:SS`.
fn clock(text: &str) -> Option<u32> {
    let two = |part: &str, below: u32| {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        let number: u32 = part.parse().ok()?;
        (digits && number < below).then_some(number)
    };
    let mut parts = text.split(':');
    let hour = two(parts.next()?, 24)?;
    let minute = two(parts.next()?, 60)?;
    let second = parts.next().map_or(Some(0), |part| two(part, 60))?;
    parts
        .next()
        .is_none()
        .then_some(hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        assert_eq!(parse("30d"), Some(2_592_000_000));
        assert_eq!(parse("1h30m"), Some(5_400_000));
        assert_eq!(parse("500ms"), Some(500));
        assert_eq!(parse("0s"), Some(0));
        for bad in [
            "",
            "30",
            "d",
            "-1d",
            "1.5h",
            "30 d",
            "1y",
            "99999999999w",
            "1d ",
            "٣d",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn writing_is_the_inverse_of_reading() {
        for millis in [
            0,
            1,
            500,
            1_000,
            60_000,
            90_000,
            3_600_000,
            86_400_000,
            2_592_000_000,
        ] {
            assert_eq!(parse(&write(millis)), Some(millis));
        }
        assert_eq!(write(2_592_000_000), "30d");
        assert_eq!(write(90_000), "90s");
    }

    #[test]
    fn long_units_are_understood_and_refused() {
        let window = Duration::<i64>::millis(1, 1_000_000_000_000);
        assert_eq!(
            window.parse("30 Days").unwrap_err().fix,
            "did you mean \"30d\"?"
        );
        assert!(
            window
                .parse("0s")
                .unwrap_err()
                .message
                .contains("must lie between")
        );
        assert!(window.parse("30").unwrap_err().fix.contains("unit"));
        let dwell = Duration::<i64>::seconds(0, 10);
        assert_eq!(dwell.parse("2s"), Ok(2));
        assert!(
            dwell
                .parse("1500ms")
                .unwrap_err()
                .message
                .contains("whole seconds")
        );
    }

    #[test]
    fn clocks_have_two_or_three_parts() {
        assert_eq!(clock("00:00"), Some(0));
        assert_eq!(clock("04:30"), Some(16_200));
        assert_eq!(clock("23:59:59"), Some(86_399));
        for bad in [
            "",
            "24:00",
            "4:00",
            "04:60",
            "04",
            "04:00:00:00",
            "+4:00",
            "04:0",
        ] {
            assert_eq!(clock(bad), None, "{bad:?}");
        }
        assert_eq!(Clock.write(&16_200), "04:30");
        assert_eq!(Clock.write(&16_201), "04:30:01");
    }
}

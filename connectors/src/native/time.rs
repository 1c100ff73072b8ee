//! Time stamps: RFC 3339, and what CSV files write instead.
//!
//! A time with an offset is one moment. A time without one is in the zone of
//! its source, where it may name two moments (the earlier counts) or none (it
//! moves forward by what the clock skips). Digits below a millisecond are cut.
//! A leap second, `:60`, is read as the second before it, because Unix time has
//! no place for it.
//!
//! Times before 1971 are rejected: they were sent in seconds. 1971 in seconds
//! is the year 2968 in milliseconds, so no time is in doubt.
//!
//! `jiff` does what needs a time zone or a pattern, but does not read the text
//! itself: it takes twice as long per time stamp (`examples/readers.rs`) and
//! accepts more than RFC 3339 does, such as `20231114T22Z` and `+24:00`, so that
//! a library's version would decide whether a record is rejected.

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use tributary_config::model::TimeUnit;
use tributary_operators::record::Day;

use crate::calendar;
use crate::clock;

/// The first millisecond of the year 1971, in UTC.
pub const MIN: i64 = 31_536_000_000;

/// The last millisecond of the year 9999, in UTC; RFC 3339 has years of four
/// digits.
pub const MAX: i64 = 253_402_300_799_999;

/// Why a text is not a time stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeError {
    /// It has another form.
    Invalid,
    /// It has no offset, and its source has no zone.
    NoZone,
    /// It lies before [`MIN`].
    TooEarly,
    /// It lies after [`MAX`].
    TooLate,
}

/// How the time stamps of a source are written.
#[derive(Clone, Debug, Default)]
pub struct TimeFormat {
    /// The zone of times without an offset.
    pub zone: Option<TimeZone>,
    /// The unit of integers.
    pub unit: TimeUnit,
    /// The strptime patterns (POSIX) of CSV cells, tried in order before
    /// anything else.
    pub patterns: Vec<String>,
}

impl TimeFormat {
    /// The Unix milliseconds of an integer in the source's unit, given as
    /// `-?[0-9]+`.
    ///
    /// # Errors
    /// [`TimeError::TooEarly`] and [`TimeError::TooLate`], also beyond 64 bits.
    pub fn integer(&self, digits: &str) -> Result<i64, TimeError> {
        let negative = digits.starts_with('-');
        let outside = match negative {
            true => TimeError::TooEarly,
            false => TimeError::TooLate,
        };
        let value: i64 = digits.parse().map_err(|_| outside)?;
        let ms = match self.unit {
            TimeUnit::Milliseconds => Some(value),
            TimeUnit::Seconds => value.checked_mul(1000),
        };
        in_range(ms.ok_or(outside)?)
    }

    /// The Unix milliseconds of an RFC 3339 text.
    ///
    /// # Errors
    /// [`TimeError`].
    pub fn text(&self, text: &str) -> Result<i64, TimeError> {
        time(text, self.zone.as_ref(), false)
    }

    /// The Unix milliseconds of a CSV cell, white space around it aside: by the
    /// first pattern that matches, as an integer, or as what [`time`] reads
    /// loosely.
    ///
    /// # Errors
    /// [`TimeError`].
    /// ```
    /// use jiff::tz::TimeZone;
    /// use tributary_connectors::native::time::TimeFormat;
    ///
    /// let times = TimeFormat {
    ///     zone: Some(TimeZone::UTC),
    ///     patterns: vec!["%d/%m/%Y %H:%M".to_owned()],
    ///     ..TimeFormat::default()
    /// };
    /// assert_eq!(times.read_cell("14/11/2023 22:13"), Ok(1_699_999_980_000));
    /// assert_eq!(times.read_cell("1700000000000"), Ok(1_700_000_000_000));
    /// assert_eq!(times.read_cell("2023-11-14"), Ok(1_699_920_000_000));
    /// ```
    pub fn read_cell(&self, text: &str) -> Result<i64, TimeError> {
        let text = text.trim();
        for pattern in &self.patterns {
            if let Some(found) = self.pattern(pattern, text) {
                return found;
            }
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        match !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit()) {
            true => self.integer(text),
            false => time(text, self.zone.as_ref(), true),
        }
    }

    /// The day of a CSV cell, white space around it aside, as days since
    /// 1970-01-01: by the first pattern that matches, as a [`date`], or as the date
    /// of what [`time`] reads loosely. `None` for anything else.
    /// ```
    /// use tributary_connectors::native::time::TimeFormat;
    ///
    /// let times = TimeFormat {
    ///     patterns: vec!["%d.%m.%Y".to_owned()],
    ///     ..TimeFormat::default()
    /// };
    /// for text in ["14.11.2023", " 2023-11-14", "2023-11-14T00:00:00Z"] {
    ///     assert_eq!(times.read_day(text), Some(19_675));
    /// }
    /// assert_eq!(times.read_day("11/14/2023"), None);
    /// ```
    pub fn read_day(&self, text: &str) -> Option<Day> {
        let text = text.trim();
        let mut patterns = self.patterns.iter();
        let by_pattern =
            patterns.find_map(|pattern| strtime::parse(pattern, text).ok()?.to_date().ok());
        if let Some(day) = by_pattern {
            let (month, of_month) = (u32::try_from(day.month()), u32::try_from(day.day()));
            let day = calendar::day(day.year().into(), month.ok()?, of_month.ok()?);
            return day.filter(|day| *day >= 0);
        }
        date(text).or_else(|| {
            time(text, Some(&TimeZone::UTC), true).ok()?;
            date(text.get(..10)?)
        })
    }

    /// The time of a text by one pattern; `None` if the text does not match it.
    fn pattern(&self, pattern: &str, text: &str) -> Option<Result<i64, TimeError>> {
        let parsed = strtime::parse(pattern, text).ok()?;
        if let Ok(moment) = parsed.to_timestamp() {
            return Some(in_range(moment.as_millisecond()));
        }
        let shown = parsed.to_datetime().ok()?;
        let Some(zone) = &self.zone else {
            return Some(Err(TimeError::NoZone));
        };
        Some(clock::resolve(zone, shown).map_or(Err(TimeError::TooLate), in_range))
    }
}

/// The Unix milliseconds of an RFC 3339 text, with `T` and `Z` in any case and
/// a space allowed for the `T`.
///
/// With `loose`, the time or its seconds may be missing, a space may precede
/// the offset, the offset may lack its colon or its minutes, and `UTC` and
/// `GMT` are offsets.
///
/// ```
/// use tributary_connectors::native::time::{TimeError, time};
///
/// assert_eq!(time("2023-11-14T22:13:20Z", None, false), Ok(1_700_000_000_000));
/// assert_eq!(time("2023-11-14 23:13:20 +01", None, true), Ok(1_700_000_000_000));
/// assert_eq!(time("2023-11-14T22:13:20", None, false), Err(TimeError::NoZone));
/// ```
///
/// # Errors
/// [`TimeError`].
pub fn time(text: &str, zone: Option<&TimeZone>, loose: bool) -> Result<i64, TimeError> {
    let mut rest = Digits(text.as_bytes());
    let year = rest.number(4)?;
    rest.skip(b"-")?;
    let month = rest.number(2)?;
    rest.skip(b"-")?;
    let of_month = rest.number(2)?;
    let day = calendar::day(year as i32, month, of_month).ok_or(TimeError::Invalid)?;
    let mut seconds = 0;
    let mut ms = 0;
    if !(loose && rest.0.is_empty()) {
        rest.skip(b"Tt ")?;
        let hour = rest.below(2, 24)?;
        rest.skip(b":")?;
        let minute = rest.below(2, 60)?;
        seconds = hour * 3600 + minute * 60;
        if !loose || rest.0.first() == Some(&b':') {
            rest.skip(b":")?;
            seconds += rest.below(2, 61)?.min(59);
            ms = rest.fraction()?;
        }
    }
    let local = (i64::from(day) * 86_400 + i64::from(seconds)) * 1000 + i64::from(ms);
    let moment = match rest.offset(loose)? {
        Some(offset) => local - i64::from(offset) * 1000,
        None => {
            let zone = zone.ok_or(TimeError::NoZone)?;
            let shown = shown(year, month, of_month, seconds, ms).ok_or(TimeError::Invalid)?;
            clock::resolve(zone, shown).ok_or(TimeError::TooLate)?
        }
    };
    in_range(moment)
}

/// The moment, if it lies from [`MIN`] to [`MAX`].
fn in_range(ms: i64) -> Result<i64, TimeError> {
    match ms {
        ..MIN => Err(TimeError::TooEarly),
        MIN..=MAX => Ok(ms),
        _ => Err(TimeError::TooLate),
    }
}

/// The day of a `date` such as `2025-10-26` (RFC 3339, `full-date`) from 1970
/// to 9999, as days since 1970-01-01; `None` for anything else.
/// ```
/// use tributary_connectors::native::time::date;
///
/// assert_eq!(date("2023-11-14"), Some(19_675));
/// assert_eq!(date("14.11.2023"), None);
/// ```
pub fn date(text: &str) -> Option<Day> {
    let mut rest = Digits(text.as_bytes());
    let year = rest.number(4).ok()?;
    rest.skip(b"-").ok()?;
    let month = rest.number(2).ok()?;
    rest.skip(b"-").ok()?;
    let of_month = rest.number(2).ok()?;
    let day = calendar::day(year as i32, month, of_month)?;
    (rest.0.is_empty() && day >= 0).then_some(day)
}

/// The date and time that a clock shows; `seconds` count from midnight.
fn shown(year: u32, month: u32, of_month: u32, seconds: u32, ms: u32) -> Option<DateTime> {
    let small = |value: u32| i8::try_from(value).ok();
    DateTime::new(
        i16::try_from(year).ok()?,
        small(month)?,
        small(of_month)?,
        small(seconds / 3600)?,
        small(seconds / 60 % 60)?,
        small(seconds % 60)?,
        i32::try_from(ms * 1_000_000).ok()?,
    )
    .ok()
}

/// The rest of the text.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    /// The next `digits` digits as a number.
    fn number(&mut self, digits: usize) -> Result<u32, TimeError> {
        let (head, tail) = self.0.split_at_checked(digits).ok_or(TimeError::Invalid)?;
        let mut value = 0;
        for digit in head {
            if !digit.is_ascii_digit() {
                return Err(TimeError::Invalid);
            }
            value = value * 10 + u32::from(digit - b'0');
        }
        self.0 = tail;
        Ok(value)
    }

    /// The same, if the number is below `bound`.
    fn below(&mut self, digits: usize, bound: u32) -> Result<u32, TimeError> {
        let value = self.number(digits)?;
        if value < bound {
            Ok(value)
        } else {
            Err(TimeError::Invalid)
        }
    }

    /// Consumes one byte of a set.
    fn skip(&mut self, any_of: &[u8]) -> Result<(), TimeError> {
        match self.0 {
            [first, rest @ ..] if any_of.contains(first) => {
                self.0 = rest;
                Ok(())
            }
            _ => Err(TimeError::Invalid),
        }
    }

    /// The milliseconds of an optional fraction of a second; further digits are
    /// cut.
    fn fraction(&mut self) -> Result<u32, TimeError> {
        let [b'.', rest @ ..] = self.0 else {
            return Ok(0);
        };
        let length = rest.iter().take_while(|c| c.is_ascii_digit()).count();
        if length == 0 {
            return Err(TimeError::Invalid);
        }
        let (digits, rest) = rest.split_at(length);
        let digit = |place: usize| u32::from(digits.get(place).unwrap_or(&b'0') - b'0');
        self.0 = rest;
        Ok(digit(0) * 100 + digit(1) * 10 + digit(2))
    }

    /// The offset that ends the text, in seconds east of UTC; `None` if the
    /// text just ends.
    fn offset(&mut self, loose: bool) -> Result<Option<i32>, TimeError> {
        if loose && let [b' ', rest @ ..] = self.0 {
            self.0 = rest;
            if rest.is_empty() {
                return Err(TimeError::Invalid);
            }
        }
        let is = |word: &[u8]| self.0.eq_ignore_ascii_case(word);
        if loose && (is(b"UTC") || is(b"GMT")) {
            return Ok(Some(0));
        }
        let sign = match self.0 {
            [] => return Ok(None),
            [b'Z' | b'z'] => return Ok(Some(0)),
            [b'+', ..] => 1,
            [b'-', ..] => -1,
            _ => return Err(TimeError::Invalid),
        };
        self.skip(b"+-")?;
        let hours = self.below(2, 24)?;
        let minutes = match self.0 {
            [] if loose => 0,
            [b'0'..=b'9', ..] if loose => self.below(2, 60)?,
            _ => {
                self.skip(b":")?;
                self.below(2, 60)?
            }
        };
        match self.0 {
            [] => Ok(Some(sign * (hours * 3600 + minutes * 60) as i32)),
            _ => Err(TimeError::Invalid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Result<i64, TimeError> {
        time(text, None, false)
    }

    #[test]
    fn rfc_3339_in_all_its_forms() {
        let moment = Ok(1_700_000_000_123);
        for text in [
            "2023-11-14T22:13:20.123Z",
            "2023-11-14t22:13:20.123z",
            "2023-11-14 22:13:20.123999999999999999+00:00",
            "2023-11-14T23:13:20.123+01:00",
            "2023-11-14T12:43:20.123-09:30",
            "2023-11-14T22:13:20.1239-00:00",
        ] {
            assert_eq!(utc(text), moment, "{text}");
        }
        assert_eq!(utc("1971-01-01T00:00:00Z"), Ok(MIN));
        assert_eq!(utc("9999-12-31T23:59:59.999Z"), Ok(MAX));
        assert_eq!(utc("2016-12-31T23:59:60.5Z"), utc("2016-12-31T23:59:59.5Z"));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "2023",
            "2023-11-14",
            "2023-11-14T22:13Z",
            "2023-11-14T24:00:00Z",
            "2023-11-14T22:60:00Z",
            "2023-11-14T22:13:61Z",
            "2023-02-29T00:00:00Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20,5Z",
            "2023-11-14T22:13:20+0100",
            "2023-11-14T22:13:20+24:00",
            "2023-11-14T22:13:20Zx",
            " 2023-11-14T22:13:20Z",
            "1700000000000",
            "+2023-11-14T22:13:20Z",
            "23-11-14T22:13:20Z",
            "2023-13-01T00:00:00Z",
            "2023-11-14\u{a0}22:13:20Z",
            "\u{661}023-11-14T22:13:20Z",
        ] {
            assert_eq!(utc(text), Err(TimeError::Invalid), "{text}");
        }
    }

    #[test]
    fn the_range_ends_at_1971_and_9999() {
        for text in [
            "1970-12-31T23:59:59.999Z",
            "1971-01-01T00:00:00+00:01",
            "0000-01-01T00:00:00Z",
        ] {
            assert_eq!(utc(text), Err(TimeError::TooEarly), "{text}");
        }
        let late = utc("9999-12-31T23:59:59-00:01");
        assert_eq!(late, Err(TimeError::TooLate));
        let ms = TimeFormat::default();
        for digits in [
            "-1",
            "0",
            "-0",
            "1760000000",
            "31535999999",
            "-99999999999999999999",
        ] {
            assert_eq!(ms.integer(digits), Err(TimeError::TooEarly), "{digits}");
        }
        for digits in ["253402300800000", "99999999999999999999"] {
            assert_eq!(ms.integer(digits), Err(TimeError::TooLate), "{digits}");
        }
        assert_eq!(ms.integer("31536000000"), Ok(MIN));
    }

    #[test]
    fn integers_may_be_seconds_and_nothing_else_is() {
        let s = TimeFormat {
            unit: TimeUnit::Seconds,
            ..TimeFormat::default()
        };
        assert_eq!(s.integer("1760000000"), Ok(1_760_000_000_000));
        assert_eq!(s.read_cell(" 1760000000 "), Ok(1_760_000_000_000));
        assert_eq!(s.text("2025-10-09T08:53:20Z"), Ok(1_760_000_000_000));
        assert_eq!(s.integer("1760000000000"), Err(TimeError::TooLate));
        assert_eq!(s.integer("9223372036854775807"), Err(TimeError::TooLate));
        assert_eq!(s.integer("31535999"), Err(TimeError::TooEarly));
    }

    #[test]
    fn without_a_zone_the_source_decides() {
        let paris = TimeZone::get("Europe/Paris").unwrap();
        let read = |text: &str| time(text, Some(&paris), false);
        assert_eq!(utc("2025-10-26T02:30:00"), Err(TimeError::NoZone));
        // Two moments show 02:30; the earlier is summer time.
        assert_eq!(
            read("2025-10-26T02:30:00"),
            utc("2025-10-26T02:30:00+02:00")
        );
        // None shows 02:30; it moves forward to 03:30 summer time.
        assert_eq!(
            read("2025-03-30T02:30:00.25"),
            utc("2025-03-30T03:30:00.25+02:00")
        );
        assert_eq!(read("2025-03-30T02:30:00Z"), utc("2025-03-30T02:30:00Z"));
        assert_eq!(read("1969-12-31T00:00:00"), Err(TimeError::TooEarly));
    }

    #[test]
    fn csv_files_leave_out_the_time() {
        let zone = TimeZone::UTC;
        let read = |text: &str| time(text, Some(&zone), true);
        assert_eq!(read("2017-03-03"), utc("2017-03-03T00:00:00Z"));
        assert_eq!(read("2017-03-03 10:20"), utc("2017-03-03T10:20:00Z"));
        assert_eq!(time("2017-03-03", None, true), Err(TimeError::NoZone));
    }

    #[test]
    fn csv_files_write_offsets_in_many_ways() {
        let read = |text: &str| time(text, None, true);
        let moment = utc("2025-10-01T10:00:00Z");
        for text in [
            "2025-10-01 10:00:00 UTC",
            "2025-10-01 10:00:00 utc",
            "2025-10-01 10:00:00 GMT",
            "2025-10-01 10:00:00UTC",
            "2025-10-01 10:00 UTC",
            "2025-10-01 10:00:00+0000",
            "2025-10-01 10:00:00 +0000",
            "2025-10-01 10:00:00.0 +00",
            "2025-10-01 12:00:00 +02",
            "2025-10-01T12:00:00+0200",
            "2025-10-01T04:30:00 -05:30",
            "2025-10-01T10:00:00 Z",
        ] {
            assert_eq!(read(text), moment, "{text}");
        }
        for text in [
            "2025-10-01 10:00:00 ",
            "2025-10-01 10:00:00  UTC",
            "2025-10-01 10:00:00 CET",
            "2025-10-01 10:00:00 UTC+1",
            "2025-10-01 10:00:00 +1",
            "2025-10-01 10:00:00 +020",
            "2025-10-01 10:00:00 +02000",
            "2025-10-01 10:00:00 +2400",
        ] {
            assert_eq!(read(text), Err(TimeError::Invalid), "{text}");
        }
        for text in ["2025-10-01 10:00:00 UTC", "2025-10-01 10:00:00+0000"] {
            assert_eq!(utc(text), Err(TimeError::Invalid), "{text}");
        }
    }

    #[test]
    fn patterns_read_what_spreadsheets_write() {
        let format = TimeFormat {
            zone: TimeZone::get("Europe/Paris").ok(),
            unit: TimeUnit::Milliseconds,
            patterns: vec![
                "%d/%m/%Y %H:%M:%S %z".to_owned(),
                "%d/%m/%Y %H:%M:%S".to_owned(),
                "%d/%m/%Y".to_owned(),
            ],
        };
        for (text, moment) in [
            ("01/10/2025 10:00:00", "2025-10-01T10:00:00+02:00"),
            (" 01/10/2025 ", "2025-10-01T00:00:00+02:00"),
            ("01/10/2025 10:00:00 +0000", "2025-10-01T10:00:00Z"),
            ("2025-10-01 10:00", "2025-10-01T10:00:00+02:00"),
            // Two moments show 02:30; the earlier counts. None shows 02:30 in March.
            ("26/10/2025 02:30:00", "2025-10-26T02:30:00+02:00"),
            ("30/03/2025 02:30:00", "2025-03-30T03:30:00+02:00"),
        ] {
            assert_eq!(format.read_cell(text), utc(moment), "{text}");
        }
        assert_eq!(format.read_cell("31/02/2025"), Err(TimeError::Invalid));
        assert_eq!(format.read_cell("01/10/1969"), Err(TimeError::TooEarly));
        let nowhere = TimeFormat {
            zone: None,
            ..format
        };
        assert_eq!(nowhere.read_cell("01/10/2025"), Err(TimeError::NoZone));
    }

    #[test]
    fn dates_are_days_from_1970() {
        assert_eq!(date("1970-01-02"), Some(1));
        for text in [
            "1969-12-31",
            "2025-02-29",
            "2025-1-1",
            "20250101",
            "2025-01-01T00:00:00Z",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }
}

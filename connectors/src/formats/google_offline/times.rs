//! The times of Google's files: five patterns, with an offset, a zone of the
//! database, or none.

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::{Offset, TimeZone};

use crate::clock;
use crate::native::time::TimeError;

/// The patterns (<https://support.google.com/google-ads/answer/7014069>), as
/// strptime reads them; white space matches any, and none.
const PATTERNS: [&str; 6] = [
    "%m/%d/%Y %I:%M:%S %p",
    "%b %d, %Y %I:%M:%S %p",
    "%b %d,%Y %I:%M:%S %p",
    "%m/%d/%Y %H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
];

/// The zone of a name: of the database, or an offset `±hhmm` or `±hh:mm`.
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    match offset(name) {
        Some(seconds) => Some(TimeZone::fixed(Offset::from_seconds(seconds).ok()?)),
        None => TimeZone::get(name).ok(),
    }
}

/// The seconds of an offset.
fn offset(text: &str) -> Option<i32> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let digits = digits.replacen(':', "", 1);
    if digits.len() != 4 || !digits.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = digits.split_at_checked(2)?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// A time, Unix milliseconds, and as RFC 3339 with the offset of its zone.
///
/// # Errors
/// [`TimeError::Invalid`] for another form, [`TimeError::NoZone`] without any
/// zone.
pub(super) fn read(text: &str, of_file: Option<&TimeZone>) -> Result<(i64, String), TimeError> {
    let text = text.trim();
    let (shown, own) = split(text);
    let shown = local(shown).ok_or(TimeError::Invalid)?;
    let own = own
        .map(|name| zone(name).ok_or(TimeError::Invalid))
        .transpose()?;
    let zone = own.as_ref().or(of_file).ok_or(TimeError::NoZone)?;
    let moment = clock::resolve(zone, shown).ok_or(TimeError::TooLate)?;
    let timestamp = jiff::Timestamp::from_millisecond(moment).map_err(|_| TimeError::TooLate)?;
    let zoned = timestamp.to_zoned(zone.clone());
    Ok((moment, zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()))
}

/// A time and its zone, if it ends with one.
fn split(text: &str) -> (&str, Option<&str>) {
    if let Some(shown) = text.strip_suffix(['Z', 'z']) {
        return (shown, Some("+0000"));
    }
    for length in [5, 6] {
        let place = text.len().checked_sub(length);
        if let Some((shown, end)) = place.and_then(|place| text.split_at_checked(place))
            && offset(end).is_some()
            && shown.contains(':')
        {
            return (shown.trim_end(), Some(end));
        }
    }
    match text.rsplit_once(' ') {
        Some((shown, name)) if shown.contains(':') && !is_half_of_day(name) => (shown, Some(name)),
        _ => (text, None),
    }
}

/// Whether a word is `AM` or `PM`.
fn is_half_of_day(word: &str) -> bool {
    word.eq_ignore_ascii_case("am") || word.eq_ignore_ascii_case("pm")
}

/// A time as a clock shows it, by the first pattern that fits.
fn local(text: &str) -> Option<DateTime> {
    let mut patterns = PATTERNS.iter();
    patterns.find_map(|pattern| strtime::parse(pattern, text).ok()?.to_datetime().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, TimeError> {
        let paris = zone("Europe/Paris");
        read(text, paris.as_ref()).map(|(_, shown)| shown)
    }

    #[test]
    fn the_zone_of_the_row_wins_over_that_of_the_file() {
        for (text, expected) in [
            ("05/22/2026 02:30:00 PM", "2026-05-22T14:30:00+02:00"),
            ("May 22,2026 02:30:00 PM", "2026-05-22T14:30:00+02:00"),
            ("May 22, 2026 02:30:00 pm", "2026-05-22T14:30:00+02:00"),
            ("05/22/2026 14:30:00", "2026-05-22T14:30:00+02:00"),
            ("5/2/2026 4:30:00", "2026-05-02T04:30:00+02:00"),
            ("2026-05-22 14:30:00", "2026-05-22T14:30:00+02:00"),
            ("2026-05-22T14:30:00", "2026-05-22T14:30:00+02:00"),
            ("2026-05-22 14:30:00+0800", "2026-05-22T14:30:00+08:00"),
            ("2026-05-22T14:30:00+08:00", "2026-05-22T14:30:00+08:00"),
            ("05/22/2026 14:30:00 -0530", "2026-05-22T14:30:00-05:30"),
            ("05/22/2026 02:30:00 PM-0500", "2026-05-22T14:30:00-05:00"),
            (
                "2026-05-22 14:30:00 America/New_York",
                "2026-05-22T14:30:00-04:00",
            ),
            (
                "May 22,2026 02:30:00 PM Asia/Tokyo",
                "2026-05-22T14:30:00+09:00",
            ),
            ("2026-01-22 14:30:00Z", "2026-01-22T14:30:00+00:00"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-05-22",
            "05/22/2026",
            "22/05/2026 14:30:00",
            "2026-05-22 25:00:00",
            "2026-05-22 14:30:00 Mars/Base",
            "2026-05-22 14:30:00 +2500",
            "yesterday",
        ] {
            assert_eq!(shown(text), Err(TimeError::Invalid), "{text}");
        }
        assert_eq!(
            read("2026-05-22 14:30:00", None).map(|(at, _)| at),
            Err(TimeError::NoZone)
        );
    }
}

//! Months of days, and hours of seconds.
//!
//! Days are already days of the brand's time zone, and pings carry their offset from UTC, so no
//! time zone is needed here.

use jiff::SignedDuration;
use jiff::civil::{Date, date};
use tributary_operators::record::Day;

/// The month of a day, as `year * 12 + (month - 1)`.
pub(crate) fn month(day: Day) -> i32 {
    let epoch: Date = date(1970, 1, 1);
    let civil = epoch.saturating_add(SignedDuration::from_hours(24 * i64::from(day)));
    i32::from(civil.year()) * 12 + i32::from(civil.month()) - 1
}

/// The days of a month.
pub(crate) fn days_of(month: i32) -> impl Iterator<Item = Day> {
    last_day(month - 1) + 1..=last_day(month)
}

/// The last day of a month.
pub(crate) fn last_day(of: i32) -> Day {
    let (year, month) = (of.div_euclid(12) as i16, of.rem_euclid(12) as i8 + 1);
    let last = Date::new(year, month, 1).map(Date::last_of_month);
    let since = last.map(|last| last.duration_since(date(1970, 1, 1)));
    since.map_or(Day::MAX / 2, |since| (since.as_hours() / 24) as Day)
}

/// The start of the local hour that contains a second, in Unix seconds. `utc_offset` is in seconds.
pub(crate) fn hour(second: i64, utc_offset: i32) -> i64 {
    let offset = i64::from(utc_offset);
    (second + offset).div_euclid(3600) * 3600 - offset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_turn_with_their_days() {
        assert_eq!(month(0), 1970 * 12);
        assert_eq!(month(30), 1970 * 12);
        assert_eq!(month(31), 1970 * 12 + 1);
        assert_eq!(month(-1), 1969 * 12 + 11);
        // 2024-02-29 and 2024-03-01.
        assert_eq!(month(19_782), 2024 * 12 + 1);
        assert_eq!(month(19_783), 2024 * 12 + 2);
    }

    #[test]
    fn hours_are_local_hours() {
        assert_eq!(hour(7_199, 0), 3_600);
        assert_eq!(hour(7_200, 0), 7_200);
        // 05:30 ahead of UTC the local hour begins at half past.
        assert_eq!(hour(7_200, 19_800), 5_400);
        assert_eq!(hour(0, -1_800), -1_800);
    }
}

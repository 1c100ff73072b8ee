//! Civil days and months as integers, in the proleptic Gregorian calendar.
//!
//! The conversions are those of Howard Hinnant, *chrono-Compatible Low-Level Date Algorithms*. They
//! count years from March, so that a leap day is the last day of its year, and eras of 400 years,
//! that is 146,097 days. A [`Day`] counts days from 1970-01-01, a [`Month`] counts months from
//! January of the year 0. Both are days of the brand's time zone: connectors convert from UTC.
//!
//! They are total: a calendar library ends at some year (`jiff` at 9999), after which a day would
//! have no month, and this crate would depend on clocks and time zones for the sake of two
//! divisions.

use crate::aggregate::Month;
use crate::record::Day;

/// The civil date of a day: year, month from 1 to 12, and day of the month from 1 to 31.
pub fn civil(day: Day) -> (i32, u32, u32) {
    let z = i64::from(day) + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as i32, month as u32, day_of_month as u32)
}

/// The month that contains a day.
pub fn month(day: Day) -> Month {
    let (year, month, _) = civil(day);
    year * 12 + month as i32 - 1
}

/// The first day of a month.
pub fn first_day(of: Month) -> Day {
    // Years begin in March, so that a leap day is a year's last.
    let shifted = of - 2;
    let year = shifted.div_euclid(12);
    let day_of_year = (153 * shifted.rem_euclid(12) + 2) / 5;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known dates, with a leap day and the last day of the year 9999.
    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(-1), (1969, 12, 31));
        assert_eq!(civil(19_782), (2024, 2, 29));
        assert_eq!(civil(2_932_896), (9999, 12, 31));
        assert_eq!(month(19_782), 2024 * 12 + 1);
    }

    /// The first day of each month over six centuries.
    #[test]
    fn months_begin_on_their_first_day() {
        for of in 1_900 * 12..2_500 * 12 {
            let day = first_day(of);
            assert_eq!((month(day), civil(day).2), (of, 1));
        }
    }
}

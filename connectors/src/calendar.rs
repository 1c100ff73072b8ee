//! Civil dates as days since 1970-01-01 and back, in the proleptic Gregorian
//! calendar.
//!
//! The algorithm is that of Howard Hinnant's «chrono-compatible low-level date
//! algorithms» (`days_from_civil`).

pub use tributary_operators::calendar::civil;
use tributary_operators::record::Day;

/// The day number of a civil date, days since 1970-01-01; `None` if the date
/// does not exist, such as February 29 of a common year. `month` and
/// `day_of_month` count from 1.
///
/// ```
/// use tributary_connectors::calendar::day;
///
/// assert_eq!(day(1970, 1, 1), Some(0));
/// assert_eq!(day(2024, 2, 29), Some(19_782));
/// assert_eq!(day(2023, 2, 29), None);
/// ```
pub fn day(year: i32, month: u32, day_of_month: u32) -> Option<Day> {
    if !(1..=12).contains(&month) || day_of_month == 0 || day_of_month > length(year, month) {
        return None;
    }
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = i64::from((month + 9) % 12);
    let day_of_year = (153 * shifted + 2) / 5 + i64::from(day_of_month) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    i32::try_from(era * 146_097 + day_of_era - 719_468).ok()
}

/// The number of days of a month.
fn length(year: i32, month: u32) -> u32 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_are_inverse() {
        for number in (-1_000..2_932_897).step_by(97) {
            let (year, month, of_month) = civil(number);
            assert_eq!(day(year, month, of_month), Some(number));
        }
        assert_eq!(day(1970, 1, 1), Some(0));
        assert_eq!(day(9999, 12, 31), Some(2_932_896));
    }

    #[test]
    fn dates_that_do_not_exist_are_none() {
        for (year, month, of_month) in [
            (2023, 2, 29),
            (1900, 2, 29),
            (2024, 13, 1),
            (2024, 0, 1),
            (2024, 4, 31),
            (2024, 1, 0),
        ] {
            assert_eq!(day(year, month, of_month), None);
        }
        assert!(day(2000, 2, 29).is_some());
    }
}

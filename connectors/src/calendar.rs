//! Civil dates as days since 1970-01-01 and back, in the proleptic Gregorian
//! calendar.

use jiff::civil::Date;

pub use tributary_operators::calendar::civil;
use tributary_operators::record::Day;

/// The first day of Unix time.
const EPOCH: Date = Date::constant(1970, 1, 1);

/// The day number of a civil date, days since 1970-01-01; `None` if the date
/// does not exist, such as February 29 of a common year, or if its year lies
/// outside of -9999 to 9999. `month` and `day_of_month` count from 1.
///
/// ```
/// use tributary_connectors::calendar::day;
///
/// assert_eq!(day(1970, 1, 1), Some(0));
/// assert_eq!(day(2024, 2, 29), Some(19_782));
/// assert_eq!(day(2023, 2, 29), None);
/// ```
pub fn day(year: i32, month: u32, day_of_month: u32) -> Option<Day> {
    let year = i16::try_from(year).ok()?;
    let (month, of_month) = (i8::try_from(month).ok()?, i8::try_from(day_of_month).ok()?);
    let date = Date::new(year, month, of_month).ok()?;
    Some(EPOCH.until(date).ok()?.get_days())
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

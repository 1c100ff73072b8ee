//! Civil dates as days since 1970-01-01 and back (proleptic Gregorian).

use jiff::civil::Date;

pub use tributary_operators::calendar::civil;
use tributary_operators::record::Day;

const EPOCH: Date = Date::constant(1970, 1, 1);

/// The day of a civil date; none if there is no such date or its year lies outside of -9999 to 9999. `month` counts
/// from 1.
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

//! Packed times: a time and its day in the brand's zone as small numbers, which encode as few bytes.

use crate::record::Day;

/// 2020-01-01, Unix milliseconds: packed times count from it.
const BASE: i64 = 1_577_836_800_000;

/// Length of a day in milliseconds.
const DAY: i64 = 86_400_000;

/// The milliseconds since [`BASE`], and the days between the UTC day of the time and its day.
pub(crate) fn pack(ts: i64, day: Day) -> (i64, Day) {
    (ts.wrapping_sub(BASE), day.wrapping_sub(utc_day(ts)))
}

/// The time in Unix milliseconds and its day.
pub(crate) fn unpack((since, days_off): (i64, Day)) -> (i64, Day) {
    let ts = since.wrapping_add(BASE);
    (ts, utc_day(ts).wrapping_add(days_off))
}

fn utc_day(ts: i64) -> Day {
    ts.div_euclid(DAY) as Day
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_and_day_is_what_it_was() {
        for ts in [i64::MIN, -1, 0, BASE, 1_790_000_000_000, i64::MAX] {
            for day in [Day::MIN, -3, 0, 20_000, Day::MAX] {
                assert_eq!(unpack(pack(ts, day)), (ts, day));
            }
        }
        assert_eq!(pack(BASE + 1, 18_263), (1, 1));
    }
}

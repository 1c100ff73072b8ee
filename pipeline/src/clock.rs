//! The clocks that drive what depends on the day: of the wall for gauges, of arrivals for salts.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tributary_config::model::Config;
use tributary_connectors::clock::BrandClock;
use tributary_operators::record::{BrandId, Day};

/// The day of a moment in a zone.
pub fn day(now: Timestamp, zone: &TimeZone) -> Day {
    BrandClock::new(zone, 0).day(now.as_millisecond())
}

/// The salt days of a brand at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaltDays {
    /// The tenant.
    pub brand: BrandId,
    /// The first of which pings may still come: it has not been over for 24 hours.
    pub first: Day,
    /// Tomorrow, the last that a ping of now may belong to.
    pub last: Day,
}

/// Of every brand the salt days that are open when the newest message arrived at `newest`, Unix milliseconds. None
/// before anything has arrived.
pub fn salt_days(config: &Config, newest: i64) -> Vec<SaltDays> {
    if newest <= 0 {
        return Vec::new();
    }
    let second = newest.div_euclid(1000);
    let brands = config.brands.iter();
    brands
        .map(|of| {
            let brand = BrandId::of(&of.name);
            let mut clock = BrandClock::new(&of.timezone, of.sensors.day_start_s);
            // Not yesterday: after a day of 23 hours the day before it is open for one hour more.
            let (first, _) = clock.salt_day(second - GRACE_S);
            let (today, _) = clock.salt_day(second);
            let last = today + 1;
            SaltDays { brand, first, last }
        })
        .collect()
}

/// For how long pings of a day are taken after its end, seconds.
const GRACE_S: i64 = 86_400;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    #[test]
    fn a_day_is_open_for_24_hours_after_its_end() {
        let zone = TimeZone::get("Europe/Paris").unwrap();
        let first = |at: &str| {
            let second = at.parse::<Timestamp>().unwrap().as_second();
            let mut clock = BrandClock::new(&zone, 0);
            let (first, end) = clock.salt_day(second - GRACE_S);
            assert!(end + GRACE_S > second);
            let (before, end) = clock.salt_day(second - GRACE_S - 86_400);
            assert!(before < first && end + GRACE_S <= second);
            first
        };
        let day = |at: &str| {
            BrandClock::new(&zone, 0)
                .salt_day(at.parse::<Timestamp>().unwrap().as_second())
                .0
        };
        assert_eq!(first("2025-10-08T22:00:00Z"), day("2025-10-08T12:00:00Z"));
        assert_eq!(first("2025-10-08T21:59:59Z"), day("2025-10-07T12:00:00Z"));
        // The clock goes forward on the 30th, which has 23 hours.
        assert_eq!(first("2025-03-30T22:30:00Z"), day("2025-03-29T12:00:00Z"));
        assert_eq!(first("2025-03-30T23:00:00Z"), day("2025-03-30T12:00:00Z"));
    }
}

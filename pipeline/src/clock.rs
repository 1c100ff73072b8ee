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

/// For every brand the first salt day of which pings may still come when the newest message arrived at
/// `newest` (Unix milliseconds): a ping is refused when its day has been over for 24 hours, and the day
/// before yesterday has.
pub fn salt_days(config: &Config, newest: i64) -> Vec<(BrandId, Day)> {
    let brands = config.brands.iter().enumerate();
    brands
        .map(|(at, brand)| {
            let mut clock = BrandClock::new(&brand.timezone, brand.sensors.day_start_s);
            let (today, _) = clock.salt_day(newest.div_euclid(1000));
            (BrandId(at as u16), today - 1)
        })
        .collect()
}

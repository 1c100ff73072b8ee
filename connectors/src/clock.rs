//! The clock of one brand: the day, the salt day and the UTC offset of a
//! moment.
//!
//! A query to the time-zone database costs more than decoding a record, so the
//! clock caches the answers as intervals between two changes of the offset. An
//! interval is a fact of the zone; caching it never changes an answer, and two
//! clocks of the same zone agree.
//!
//! The clock finds an interval by walking forward through the transitions from
//! the start of a fixed window. It never asks for the transition *before* a
//! moment: beyond the last transition that the database lists, where a zone
//! continues by a rule, that answer may be a transition by the rule that never
//! took place.

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use tributary_operators::record::Day;

use crate::calendar;

/// Seconds of a day without a change of the clock.
const DAY: i64 = 86_400;

/// The length of a window, seconds. No interval extends beyond its window, so
/// finding one takes a few steps and the cache stays small.
const WINDOW: i64 = 64 * DAY;

/// A half-open interval of Unix seconds, `start..end`, and the value that
/// applies in it: an offset in seconds or a day number.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: i64,
    end: i64,
    value: i32,
}

impl Span {
    /// Whether a Unix second lies in the interval.
    fn holds(&self, second: i64) -> bool {
        self.start <= second && second < self.end
    }
}

/// A caching view of a brand's time zone.
/// ```
/// use jiff::tz::TimeZone;
/// use tributary_connectors::clock::BrandClock;
///
/// // Salt days begin at 04:00.
/// let mut clock = BrandClock::new(&TimeZone::get("Europe/Paris")?, 4 * 3600);
/// let second = 1_700_000_000; // 2023-11-14T23:13:20+01:00
/// assert_eq!(clock.offset(second), 3600);
/// assert_eq!(clock.day(second * 1000), 19_675);
/// assert_eq!(clock.salt_day(second), (19_675, 1_700_017_200));
/// assert_eq!(clock.start_of_day(19_675), 1_699_916_400_000);
/// # Ok::<(), jiff::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BrandClock {
    zone: TimeZone,
    day_start: Time,
    day_start_s: i64,
    offsets: Vec<Span>,
    offset: Span,
    salt: Span,
}

impl BrandClock {
    /// A clock of the zone. Salt days begin `day_start_s` seconds after local
    /// midnight; values beyond the last second of a day count as that second.
    pub fn new(zone: &TimeZone, day_start_s: u32) -> BrandClock {
        let seconds = i64::from(day_start_s).min(DAY - 1);
        let part = |value: i64| i8::try_from(value).unwrap_or(0);
        let day_start = Time::new(
            part(seconds / 3600),
            part(seconds / 60 % 60),
            part(seconds % 60),
            0,
        );
        let nothing = Span {
            start: 0,
            end: 0,
            value: 0,
        };
        BrandClock {
            zone: zone.clone(),
            day_start: day_start.unwrap_or(Time::midnight()),
            day_start_s: seconds,
            offsets: Vec::new(),
            offset: nothing,
            salt: nothing,
        }
    }

    /// The offset of local time from UTC at a Unix second, in seconds east.
    pub fn offset(&mut self, second: i64) -> i32 {
        if !self.offset.holds(second) {
            let place = self.offsets.partition_point(|span| span.end <= second);
            match self.offsets.get(place) {
                Some(span) if span.holds(second) => self.offset = *span,
                _ => {
                    self.offset = self.look_up(second);
                    self.offsets.insert(place, self.offset);
                }
            }
        }
        self.offset.value
    }

    /// The local day of a moment in Unix milliseconds, as days since
    /// 1970-01-01.
    pub fn day(&mut self, ms: i64) -> Day {
        let second = ms.div_euclid(1000);
        let local = second + i64::from(self.offset(second));
        local.div_euclid(DAY) as Day
    }

    /// The first moment of a local day, Unix milliseconds. Where a change of
    /// the clock skips midnight, the day begins at the first moment that
    /// exists.
    pub fn start_of_day(&self, day: Day) -> i64 {
        self.instant(day, Time::midnight())
            .map_or(i64::from(day) * DAY * 1000, |second| second * 1000)
    }

    /// The salt day of a Unix second, and the Unix second at which that day
    /// ends.
    ///
    /// A salt day is named after the local day on which it begins. It has 23 or
    /// 25 hours around a change of the clock; consecutive salt days neither
    /// overlap nor leave a gap.
    pub fn salt_day(&mut self, second: i64) -> (Day, i64) {
        if !self.salt.holds(second) {
            let local = second + i64::from(self.offset(second)) - self.day_start_s;
            let guess = local.div_euclid(DAY) as Day;
            self.salt = Span {
                start: second,
                end: second.saturating_add(1),
                value: guess,
            };
            // A change of the clock moves a day's start by hours, at a date line by a whole day.
            for day in [guess, guess - 1, guess + 1, guess - 2, guess + 2] {
                let span = Span {
                    start: self.salt_start(day).unwrap_or(i64::MIN),
                    end: self.salt_start(day + 1).unwrap_or(i64::MAX),
                    value: day,
                };
                if span.holds(second) {
                    self.salt = span;
                    break;
                }
            }
        }
        (self.salt.value, self.salt.end)
    }

    /// The Unix second at which a salt day begins; `None` outside of jiff's
    /// calendar.
    fn salt_start(&self, day: Day) -> Option<i64> {
        self.instant(day, self.day_start)
    }

    /// The Unix second at which local clocks show `time` on a day; `None`
    /// outside of jiff's calendar.
    fn instant(&self, day: Day, time: Time) -> Option<i64> {
        let (year, month, of_month) = calendar::civil(day);
        let date = jiff::civil::Date::new(
            i16::try_from(year).ok()?,
            i8::try_from(month).ok()?,
            i8::try_from(of_month).ok()?,
        );
        resolve(&self.zone, date.ok()?.to_datetime(time)).map(|ms| ms.div_euclid(1000))
    }

    /// The interval around a second, cut to the second's window. Its value is
    /// the database's answer for exactly that second.
    fn look_up(&self, second: i64) -> Span {
        // The library's time ends a day before the year 9999 does; the last offset holds on.
        let nearest = |second: i64| Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
        let window = second - second.rem_euclid(WINDOW);
        let mut span = Span {
            start: window,
            end: window.saturating_add(WINDOW),
            value: self.zone.to_offset(nearest(second)).seconds(),
        };
        for change in self.zone.following(nearest(window)) {
            let change = change.timestamp().as_second();
            if change > second {
                span.end = span.end.min(change);
                break;
            }
            span.start = change;
        }
        span
    }
}

/// The moment, in Unix milliseconds, at which clocks in the zone show a date
/// and time.
///
/// A time that occurs twice is the earlier moment, and a time that the clock
/// skips moves forward by the length of the gap, as RFC 5545 (section 3.3.5)
/// prescribes. `None` outside of the years that jiff can represent.
/// ```
/// use jiff::{civil::date, tz::TimeZone};
/// use tributary_connectors::clock::resolve;
///
/// let paris = TimeZone::get("Europe/Paris")?;
/// let at = |hour, minute| date(2024, 3, 31).at(hour, minute, 0, 0);
/// // Clocks skip from 02:00 to 03:00, so 02:30 is 03:30.
/// assert_eq!(resolve(&paris, at(2, 30)), resolve(&paris, at(3, 30)));
/// # Ok::<(), jiff::Error>(())
/// ```
pub fn resolve(zone: &TimeZone, shown: DateTime) -> Option<i64> {
    let moment = zone.to_ambiguous_timestamp(shown).compatible().ok()?;
    Some(moment.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn offsets_are_those_of_the_database_in_any_order() {
        let zone = TimeZone::get("Europe/Paris").unwrap();
        let mut clock = BrandClock::new(&zone, 0);
        let mut moment = 7_i64;
        let last = Timestamp::MAX.as_second();
        for _ in 0..5_000 {
            moment = (moment * 7_919 + 104_729_104_729) % 253_402_300_799;
            let expected = zone.to_offset(Timestamp::from_second(moment.min(last)).unwrap());
            assert_eq!(clock.offset(moment), expected.seconds(), "at {moment}");
        }
        let change = second("2025-10-26T01:00:00Z");
        assert_eq!(clock.offset(change - 1), 7200);
        assert_eq!(clock.offset(change), 3600);
        assert_eq!(clock.offset(change - 1), 7200);
    }

    /// Moments of 1970 to 2100 in no order: any, and those around every change
    /// of the zone.
    fn moments(zone: &TimeZone) -> Vec<i64> {
        let last = second("2101-01-01T00:00:00Z");
        let changes = zone.following(Timestamp::UNIX_EPOCH);
        let changes = changes.map(|change| change.timestamp().as_second());
        let mut moments: Vec<i64> = changes
            .take_while(|change| *change < last)
            .flat_map(|change| [change - 1, change, change + 1, change - 3 * DAY])
            .filter(|moment| *moment >= 0)
            .collect();
        let mut state = 7_u64;
        let mut random = |below: i64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as i64 % below
        };
        moments.extend((0..400).map(|_| random(last)));
        for place in (1..moments.len()).rev() {
            moments.swap(place, random(place as i64 + 1) as usize);
        }
        moments
    }

    #[test]
    fn what_came_before_never_shows_in_any_zone() {
        let mut zones = 0;
        for name in jiff::tz::db().available() {
            let zone = TimeZone::get(name.as_str()).unwrap();
            let day_start = 4 * 3600 + 1800;
            let mut clock = BrandClock::new(&zone, day_start);
            for moment in moments(&zone) {
                let offset = zone.to_offset(Timestamp::from_second(moment).unwrap());
                let offset = offset.seconds();
                assert_eq!(clock.offset(moment), offset, "{name} at {moment}");
                let day = (moment + i64::from(offset)).div_euclid(DAY) as Day;
                assert_eq!(clock.day(moment * 1000 + 999), day, "{name} at {moment}");
                let mut alone = BrandClock::new(&zone, day_start);
                let salt_day = clock.salt_day(moment);
                assert_eq!(salt_day, alone.salt_day(moment), "{name} at {moment}");
                let start = clock.salt_start(salt_day.0).unwrap();
                assert!(
                    (start..salt_day.1).contains(&moment),
                    "{name}: {moment} lies outside of its salt day"
                );
            }
            zones += 1;
        }
        assert!(zones > 400, "the bundled database has only {zones} zones");
    }

    #[test]
    fn days_turn_at_local_midnight() {
        let mut clock = BrandClock::new(&TimeZone::get("Europe/Paris").unwrap(), 0);
        let midnight = second("2025-10-25T22:00:00Z") * 1000;
        assert_eq!(clock.day(midnight - 1) + 1, clock.day(midnight));
        let day = clock.day(midnight);
        assert_eq!(clock.start_of_day(day), midnight);
    }

    #[test]
    fn salt_days_begin_at_day_start_even_where_the_clock_skips_it() {
        let zone = TimeZone::get("Europe/Paris").unwrap();
        let mut clock = BrandClock::new(&zone, 2 * 3600 + 1800);
        // On 2025-03-30 there is no 02:30: it reads as 03:30 summer time, 01:30 UTC.
        let start = second("2025-03-30T01:30:00Z");
        let (day, end) = clock.salt_day(start);
        assert_eq!(calendar::civil(day), (2025, 3, 30));
        assert_eq!(end, second("2025-03-31T00:30:00Z"));
        assert_eq!(clock.salt_day(start - 1), (day - 1, start));
        // On 2025-10-26 there are two: the earlier counts.
        let (day, _) = clock.salt_day(second("2025-10-26T00:30:00Z"));
        assert_eq!(calendar::civil(day), (2025, 10, 26));
    }

    #[test]
    fn a_day_that_a_date_line_skips_has_no_pings() {
        let mut clock = BrandClock::new(&TimeZone::get("Pacific/Apia").unwrap(), 0);
        let before = clock.salt_day(second("2011-12-30T09:59:59Z"));
        let after = clock.salt_day(second("2011-12-30T10:00:00Z"));
        assert_eq!(calendar::civil(before.0), (2011, 12, 29));
        assert_eq!(calendar::civil(after.0), (2011, 12, 31));
    }
}

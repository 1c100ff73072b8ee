//! The clocks for everything that depends on time: the wall clock for releases,
//! freezing and retention; the times of arrival for salts.
//!
//! Epochs are numbers and not times. The source of time is the wall clock of
//! this machine, which may be wrong at a start: 800 days ahead it would erase
//! every record and freeze every day for good. [`Clocks`] therefore compares it
//! with two others, that of the broker and the newest arrival. It is trusted
//! only within `workers.max_clock_skew` of the broker's clock, and only if it
//! is not behind the newest arrival by more. An old newest arrival is not a
//! disagreement: a stream may be quiet. Between two answers of the broker, its
//! clock is extrapolated by the monotonic clock of this machine, so that a wall
//! clock that jumps is noticed at once, even without the broker.
//!
//! While the clocks disagree, nothing is erased for its age, no salt is
//! destroyed, and releases use the earliest of the clocks, by which no day is
//! frozen too early. A broker that shares the wrong clock of this machine
//! cannot be distinguished from a long quiet stream, if both are ahead; if both
//! are behind the newest arrival, it can.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tributary_config::model::{Brand, Config};
use tributary_connectors::clock::BrandClock;
use tributary_connectors::nats::{BrokerTime, Client, broker_time};
use tributary_operators::record::{BrandId, Day};

use crate::report::telemetry::Telemetry;

/// Interval between two queries of the broker's time.
const ROUND: Duration = Duration::from_secs(10);

/// The day of a moment in a time zone.
pub fn day(now: Timestamp, zone: &TimeZone) -> Day {
    BrandClock::new(zone, 0).day(now.as_millisecond())
}

/// The time at which changes that wait are published with a batch, Unix seconds:
/// the next multiple of `release.max_hold`. `None` if nothing waits.
pub fn next_release(now: Timestamp, max_hold_ms: u64) -> Option<i64> {
    let period = i64::try_from(max_hold_ms)
        .ok()
        .filter(|period| *period > 0)?;
    let next = now.as_millisecond().div_euclid(period).checked_add(1)?;
    Some(next.checked_mul(period)?.div_euclid(1_000))
}

/// The open salt days of a brand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaltDays {
    /// The tenant.
    pub brand: BrandId,
    /// The first day whose pings may still arrive: it ended less than 24 hours ago.
    pub first: Day,
    /// Tomorrow, the last day that a ping of now may belong to.
    pub last: Day,
    /// The first day whose sightings are not settled, for a brand with partners.
    pub first_unsettled: Option<Day>,
}

/// For each brand, by its index in the configuration, the salt days that are
/// open when its newest message arrived at `newest`, Unix milliseconds. Brands
/// without any arrival are omitted.
pub fn salt_days(config: &Config, newest: impl Fn(usize) -> i64) -> Vec<SaltDays> {
    let brands = config.brands.iter().enumerate();
    brands
        .map(|(at, of)| (newest(at), of))
        .filter(|(newest, _)| *newest > 0)
        .map(|(newest, of)| {
            let second = newest.div_euclid(1000);
            let brand = BrandId::of(&of.name);
            let mut clock = BrandClock::new(&of.timezone, of.sensors.day_start_s);
            // Not yesterday: after a day of 23 hours the day before it is open for one hour more.
            let (first, _) = clock.salt_day(second - GRACE_S);
            let (today, _) = clock.salt_day(second);
            let last = today + 1;
            SaltDays {
                brand,
                first,
                last,
                first_unsettled: first_unsettled(of, newest).map(|(day, _)| day),
            }
        })
        .collect()
}

/// The first salt day of a brand whose sightings are not settled at `now`, Unix
/// milliseconds, and the Unix second at which it begins; `None` for a brand
/// without partners. A sighting that arrives at `now` or later belongs to that day
/// or a later one, or is refused.
pub fn first_unsettled(brand: &Brand, now: i64) -> Option<(Day, i64)> {
    if !brand.has_partners() {
        return None;
    }
    let mut clock = BrandClock::new(&brand.timezone, brand.sensors.day_start_s);
    let latest = now.saturating_sub(brand.partners.settle_after_ms);
    let (day, end) = clock.salt_day(latest.saturating_sub(1).div_euclid(1000));
    // A day has 25 hours at most.
    let (_, start) = clock.salt_day(end - 25 * 3600 - 1);
    Some((day, start))
}

/// Time after the end of a day during which its pings are accepted, in seconds.
const GRACE_S: i64 = 86_400;

/// The clocks of a running worker, shared by its tasks.
#[derive(Debug)]
pub struct Clocks {
    /// Maximum disagreement in milliseconds.
    bound: i64,
    /// What was read so far.
    seen: Mutex<Seen>,
}

/// Times that other parts of the system have reported.
#[derive(Debug, Default)]
struct Seen {
    /// The broker's time, Unix milliseconds, and when it was read.
    broker: Option<(i64, Instant)>,
    /// The newest arrival, Unix milliseconds; 0 before any.
    newest: i64,
    /// For each brand, the time before which everything was read, Unix milliseconds
    /// by the clock that its sensor days go by; 0 before anything.
    read_until: Vec<i64>,
}

/// The clocks at one moment, in Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock of this machine.
    pub wall: i64,
    /// The clock of the broker; `None` before its first answer.
    pub broker: Option<i64>,
    /// The newest arrival; 0 before any.
    pub newest: i64,
    /// Maximum disagreement in milliseconds.
    bound: i64,
}

impl Clocks {
    /// Clocks of which only the wall clock is known. It is not trusted before the
    /// broker has answered.
    pub fn new(config: &Config) -> Clocks {
        Clocks {
            bound: config.workers.max_clock_skew_ms,
            seen: Mutex::default(),
        }
    }

    /// Records an answer of the broker.
    pub fn set_broker(&self, time: &BrokerTime) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.broker = Some((time.now, time.read));
        seen.newest = seen.newest.max(time.newest.unwrap_or(0));
    }

    /// Records an arrival, Unix milliseconds by the stream's time.
    pub fn set_newest(&self, newest: i64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.newest = seen.newest.max(newest);
    }

    /// Records for each brand the time before which everything was read, Unix
    /// milliseconds by the clock that its sensor days go by.
    pub fn set_read_until(&self, read_until: Vec<i64>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.read_until = read_until;
    }

    /// The time before which everything of a brand was read, by its index in the
    /// configuration, Unix milliseconds; 0 before anything.
    pub fn read_until(&self, brand: usize) -> i64 {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.read_until.get(brand).copied().unwrap_or_default()
    }

    /// Reads the clocks.
    pub fn read(&self) -> Reading {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = |read: Instant| i64::try_from(read.elapsed().as_millis()).unwrap_or(0);
        Reading {
            wall: Timestamp::now().as_millisecond(),
            broker: seen.broker.map(|(now, read)| now + elapsed(read)),
            newest: seen.newest,
            bound: self.bound,
        }
    }
}

impl Reading {
    /// How far the wall clock is ahead of the broker's, in milliseconds; `None`
    /// before the broker's first answer.
    pub fn offset(&self) -> Option<i64> {
        Some(self.wall.saturating_sub(self.broker?))
    }

    /// Whether the wall clock is trusted.
    pub fn agrees(&self) -> bool {
        self.disagreement().is_none()
    }

    /// A sentence that names the clock that disagrees and by how much; `None` if
    /// all agree.
    pub fn disagreement(&self) -> Option<String> {
        let Reading {
            wall,
            broker,
            newest,
            bound,
        } = *self;
        let reason = match broker {
            None => "the broker has not reported its time yet".to_owned(),
            Some(broker) if wall.abs_diff(broker) > bound.unsigned_abs() => {
                let side = if wall > broker { "ahead of" } else { "behind" };
                format!(
                    "this machine's clock ({}) is {} {side} the broker's ({})",
                    moment(wall),
                    span(wall.abs_diff(broker)),
                    moment(broker)
                )
            }
            Some(_) if newest.saturating_sub(wall) > bound => format!(
                "this machine's clock ({}) is {} behind the newest message ({})",
                moment(wall),
                span(newest.abs_diff(wall)),
                moment(newest)
            ),
            Some(_) => return None,
        };
        Some(format!(
            "{reason}: no expired data is deleted and no day is frozen until they agree within {} (workers.max_clock_skew)",
            span(bound.unsigned_abs())
        ))
    }

    /// The time of releases: the wall clock, or the earlier of wall clock and
    /// broker while they disagree.
    pub fn release_time(&self) -> i64 {
        match (self.agrees(), self.broker) {
            (false, Some(broker)) => self.wall.min(broker),
            _ => self.wall,
        }
    }
}

/// A time in Unix milliseconds as an RFC 3339 timestamp.
fn moment(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| format!("{ms} ms"), |time| time.to_string())
}

/// A span of milliseconds in its two largest units.
fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let parts = parts.into_iter().skip_while(|(count, _)| *count == 0);
    let shown: Vec<String> = parts
        .take(2)
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    match shown.is_empty() {
        true => format!("{ms}ms"),
        false => shown.join(" "),
    }
}

/// Queries the broker's time every round, forever, and reports whether the
/// clocks agree.
pub async fn watch(
    config: Config,
    client: Client,
    clocks: std::sync::Arc<Clocks>,
    telemetry: Telemetry,
) {
    let mut logged = None;
    loop {
        // A broker that is away is said elsewhere, and its clock goes on meanwhile.
        if let Ok(time) = broker_time(&client, &config.nats).await {
            clocks.set_broker(&time);
        }
        let reading = clocks.read();
        let disagreement = reading.disagreement();
        if disagreement.is_some() != logged.is_some() {
            match &disagreement {
                Some(why) => tracing::error!(why, "the clocks disagree"),
                None => tracing::info!("the clocks agree again"),
            }
        }
        telemetry
            .metrics
            .clock(reading.offset(), disagreement.is_none());
        telemetry.health.set_clock(disagreement.clone());
        logged = disagreement;
        tokio::time::sleep(ROUND).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    const NOW: i64 = 1_790_000_000_000;
    const DAY: i64 = 86_400_000;

    fn reading(wall: i64, broker: Option<i64>, newest: i64) -> Reading {
        Reading {
            wall,
            broker,
            newest,
            bound: 600_000,
        }
    }

    #[test]
    fn a_clock_is_trusted_beside_the_broker_s_and_not_behind_what_came() {
        assert!(reading(NOW, Some(NOW + 599_000), NOW).agrees());
        assert!(!reading(NOW, None, NOW).agrees());
        // A stream may be quiet for years.
        assert!(reading(NOW, Some(NOW), NOW - 800 * DAY).agrees());
        assert!(reading(NOW, Some(NOW), 0).agrees());
        let ahead = reading(NOW + 800 * DAY, Some(NOW), NOW);
        let why = ahead.disagreement().unwrap();
        assert!(why.contains("is 800d ahead of the broker's"), "{why}");
        assert_eq!(ahead.release_time(), NOW);
        let behind = reading(NOW - DAY - 3_600_000, Some(NOW), NOW);
        let why = behind.disagreement().unwrap();
        assert!(why.contains("is 1d 1h behind the broker's"), "{why}");
        assert_eq!(behind.release_time(), NOW - DAY - 3_600_000);
        // Both clocks were set back, as after an empty battery: what came tells.
        let both = reading(NOW - 800 * DAY, Some(NOW - 800 * DAY), NOW);
        let why = both.disagreement().unwrap();
        assert!(why.contains("behind the newest message"), "{why}");
    }

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

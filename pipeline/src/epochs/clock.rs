//! The clocks that drive what depends on time: of the wall for releases, freezing and retention, of arrivals for salts.
//!
//! Epochs number, they do not tell time. What does is this machine's wall clock, and a machine may start with a wrong one:
//! 800 days ahead it would erase every record and freeze every day for good. So [`Clocks`] compares it with two others,
//! the broker's and the newest arrival, and trusts it only where it is not further than `workers.max_clock_skew` from the
//! broker's, and not behind the newest arrival by more. That the newest arrival is old is no disagreement: streams may be
//! quiet. Between two answers of the broker its clock goes on by the monotonic clock of this machine, so that a wall clock
//! that jumps is noticed at once, with the broker away, too.
//!
//! While they disagree nothing is erased for its age, no salt is destroyed, and releases go by the earliest of the clocks,
//! by which no day is frozen that should not be. A broker that shares the wrong clock of this machine cannot be distinguished from
//! a stream that was quiet for long; one that is behind the newest arrival can.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tributary_config::model::Config;
use tributary_connectors::clock::BrandClock;
use tributary_connectors::nats::{BrokerTime, Client, broker_time};
use tributary_operators::record::{BrandId, Day};

use crate::report::telemetry::Telemetry;

/// How often the broker is asked for its time.
const ROUND: Duration = Duration::from_secs(10);

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

/// Of every brand, by its place in the configuration, the salt days that are open when its newest message arrived at
/// `newest`, Unix milliseconds. None of a brand of which nothing has arrived.
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
            SaltDays { brand, first, last }
        })
        .collect()
}

/// For how long pings of a day are taken after its end, seconds.
const GRACE_S: i64 = 86_400;

/// The clocks of a running worker, for comparison.
#[derive(Debug)]
pub struct Clocks {
    /// How far they may disagree, milliseconds.
    bound: i64,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// What the broker said of its time last.
    broker: Option<(i64, Instant)>,
    /// The newest arrival, Unix milliseconds; 0 before any.
    newest: i64,
}

/// The clocks at one moment, Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// This machine's.
    pub wall: i64,
    /// The broker's; none before it has answered.
    pub broker: Option<i64>,
    /// The newest arrival.
    pub newest: i64,
    /// How far they may disagree.
    bound: i64,
}

impl Clocks {
    /// Nothing is known but the wall clock, which is not trusted before the broker has answered.
    pub fn new(config: &Config) -> Clocks {
        Clocks {
            bound: config.workers.max_clock_skew_ms,
            seen: Mutex::default(),
        }
    }

    /// Takes an answer of the broker.
    pub fn set_broker(&self, time: &BrokerTime) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.broker = Some((time.now, time.read));
        seen.newest = seen.newest.max(time.newest.unwrap_or(0));
    }

    /// Something arrived at a time of the stream, Unix milliseconds.
    pub fn set_newest(&self, newest: i64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.newest = seen.newest.max(newest);
    }

    /// The clocks now.
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
    /// How far the wall clock is ahead of the broker's, milliseconds; none where that is not known.
    pub fn offset(&self) -> Option<i64> {
        Some(self.wall.saturating_sub(self.broker?))
    }

    /// Whether the wall clock is trusted.
    pub fn agrees(&self) -> bool {
        self.disagreement().is_none()
    }

    /// Which clock disagrees and by how much, in words; none where all agree.
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

    /// The time that releases go by: the wall clock, and while the clocks disagree the earliest of those that tell time.
    pub fn release_time(&self) -> i64 {
        match (self.agrees(), self.broker) {
            (false, Some(broker)) => self.wall.min(broker),
            _ => self.wall,
        }
    }
}

fn moment(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| format!("{ms} ms"), |time| time.to_string())
}

/// A span in its two largest units.
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

/// Requests the time of the broker every round, and reports whether the clocks agree.
pub async fn watch(
    config: Config,
    client: Client,
    clocks: std::sync::Arc<Clocks>,
    telemetry: Telemetry,
) {
    let mut logged = None;
    loop {
        // A broker that is away is said elsewhere, and its clock goes on meanwhile.
        if let Ok(time) = broker_time(&client, &config.nats.input_stream).await {
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

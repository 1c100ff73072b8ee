//! What a caller may choose about a world.

use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The choices. [`Options::default`] is a trace of 100,000 events over four weeks.
#[derive(Clone, Debug)]
pub struct Options {
    /// One seed, one trace.
    pub seed: u64,
    /// Stop after so many events, malformed ones included.
    pub events: Option<u64>,
    /// Stop after so many days. Default 28 where no number of events ends the trace.
    pub days: Option<u32>,
    /// How many people there are. By default so many that `events` happen in 28 days (or `days`).
    pub persons: Option<u32>,
    /// The brand's name, `[a-z0-9_-]+`.
    pub brand: String,
    /// The brand's time zone, IANA.
    pub timezone: String,
    /// The first day.
    pub start: Date,
    /// Nothing arrives after this moment, Unix milliseconds.
    pub until: i64,
    /// Stores, 1 to 500.
    pub stores: u32,
    /// Campaigns, 1 to 500.
    pub campaigns: u32,
    /// The share of events that arrive minutes to a day and a half late.
    pub late: f64,
    /// The share of malformed or impossible lines.
    pub bad: f64,
    /// The share of sales that are refunded, wholly or in part.
    pub refunds: f64,
    /// What the events are.
    pub mix: Mix,
    /// Whether visitors are asked for consent: web events carry what they chose, and some change their minds.
    pub consent: bool,
    /// Events per trace line: above 1, a line is the NDJSON of consecutive events of one subject.
    pub pack: u32,
    /// The release threshold that [`crate::config_toml`] writes. 1 shows every cell.
    pub k: u64,
}

/// The proportions of the three streams. Spend rows come on top.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// Sensor pings.
    pub pings: u32,
    /// Web events.
    pub web: u32,
    /// Transactions.
    pub transactions: u32,
}

/// Options that make no world.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OptionsError(pub(crate) String);

impl Default for Options {
    fn default() -> Self {
        Options {
            seed: 1,
            events: None,
            days: None,
            persons: None,
            brand: "orchard".to_owned(),
            timezone: "Europe/Paris".to_owned(),
            // Four weeks from here contain the end of summer time and an end of a month.
            start: jiff::civil::date(2025, 10, 6),
            until: i64::MAX,
            stores: 4,
            campaigns: 8,
            late: 0.01,
            bad: 0.001,
            refunds: 0.04,
            mix: Mix {
                pings: 45,
                web: 45,
                transactions: 10,
            },
            consent: false,
            pack: 1,
            k: 1,
        }
    }
}

impl Options {
    /// The world of `tributary demo`: four weeks of one brand that a laptop swallows in seconds.
    pub fn demo() -> Options {
        Options {
            seed: 2025,
            events: Some(60_000),
            days: Some(28),
            k: 5,
            ..Options::default()
        }
    }

    /// Checks the options.
    ///
    /// # Errors
    /// A sentence about the first option that cannot be used.
    pub fn check(&self) -> Result<(), OptionsError> {
        let wrong = |text: &str| Err(OptionsError(text.to_owned()));
        let token = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
        if self.brand.is_empty() || !self.brand.chars().all(token) {
            return wrong("the brand's name must be made of a-z, 0-9, _ and -");
        }
        if TimeZone::get(&self.timezone).is_err() {
            return wrong("the time zone is not known; expected an IANA name such as Europe/Paris");
        }
        let shares = [
            ("late", self.late),
            ("bad", self.bad),
            ("refunds", self.refunds),
        ];
        for (name, share) in shares {
            if !(0.0..=0.5).contains(&share) {
                return wrong(&format!("the share {name} must lie between 0 and 0.5"));
            }
        }
        if !(1..=500).contains(&self.stores) || !(1..=500).contains(&self.campaigns) {
            return wrong("stores and campaigns must be 1 to 500");
        }
        if self.mix.total() == 0 || self.mix.total() > 1_000_000 {
            return wrong(
                "the mix must have a part above 0, and parts that add up to a million at most",
            );
        }
        if self.pack == 0 || self.pack > 10_000 {
            return wrong("pack must be 1 to 10000");
        }
        if self.events == Some(0) || self.days == Some(0) || self.persons == Some(0) {
            return wrong("events, days and persons must be at least 1");
        }
        if self.days.is_some_and(|days| days > 36_500) {
            return wrong("days must be 36500 at most");
        }
        if !(1980..=2100).contains(&self.start.year()) {
            return wrong("the start must lie between 1980 and 2100");
        }
        Ok(())
    }

    /// How many events end the trace, and how many days; one of them always does.
    pub(crate) fn ends(&self) -> (Option<u64>, Option<u32>) {
        match (self.events, self.days, self.persons) {
            (None, None, None) => (Some(100_000), None),
            (None, None, Some(_)) => (None, Some(28)),
            (events, days, _) => (events, days),
        }
    }

    /// How many people live in the world.
    pub(crate) fn population(&self) -> u32 {
        /// What one person makes in four weeks, on average, with everything that surrounds him.
        const EVENTS_IN_28_DAYS: u64 = 22;
        /// More people than these would make a day's volume large; longer traces last longer
        /// instead.
        const MOST: u64 = 200_000;
        if let Some(persons) = self.persons {
            return persons;
        }
        let (events, days) = self.ends();
        let days = u64::from(days.unwrap_or(28));
        let persons = events.unwrap_or(100_000).saturating_mul(28) / (EVENTS_IN_28_DAYS * days);
        persons.clamp(20, MOST) as u32
    }
}

impl Mix {
    pub(crate) fn total(self) -> u64 {
        u64::from(self.pings) + u64::from(self.web) + u64::from(self.transactions)
    }
}

impl std::str::FromStr for Mix {
    type Err = String;

    /// `45/45/10`: pings, web, transactions.
    fn from_str(text: &str) -> Result<Mix, String> {
        let parts: Option<Vec<u32>> = text
            .split('/')
            .map(|part| part.trim().parse().ok())
            .collect();
        match parts.as_deref() {
            Some(&[pings, web, transactions]) => Ok(Mix {
                pings,
                web,
                transactions,
            }),
            _ => Err(
                "expected three whole numbers as PINGS/WEB/TRANSACTIONS, such as 45/45/10".into(),
            ),
        }
    }
}

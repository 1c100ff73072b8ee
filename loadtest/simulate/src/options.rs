//! The options of a world.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::vendor::Vendor;

/// The options of a world. [`Options::default`] is a trace of 100,000 events over about four weeks.
///
/// The trace ends after `events` or `days`, whichever is first. If neither is set, it ends after 28
/// days if `persons` is set, and after 100,000 events otherwise.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seed: the same seed and options yield the same trace.
    pub seed: u64,
    /// The number of events after which the trace ends, malformed ones included.
    pub events: Option<u64>,
    /// The number of days after which the trace ends. The default is 28 if no number of events ends
    /// it.
    pub days: Option<u32>,
    /// The number of people. By default as many as cause `events` in 28 days (or `days`).
    pub persons: Option<u32>,
    /// The name of the brand, `[a-z0-9_-]+`.
    pub brand: String,
    /// The time zone of the brand, an IANA name.
    pub timezone: String,
    /// The currency of the brand, an ISO 4217 code with two decimals.
    pub currency: String,
    /// The first day.
    pub start: Date,
    /// The end: nothing arrives after this time, Unix milliseconds.
    pub until: i64,
    /// The number of stores, 1 to 500.
    pub stores: u32,
    /// The number of campaigns, 1 to 500.
    pub campaigns: u32,
    /// The share of records that arrive 10 minutes to 36 hours late, 0 to 0.5.
    pub late: f64,
    /// The share of malformed or impossible lines, 0 to 0.5.
    pub bad: f64,
    /// The share of sales that are refunded, fully or in part, 0 to 0.5.
    pub refunds: f64,
    /// The proportions of the streams.
    pub mix: Mix,
    /// Whether visitors are asked for consent: web records then carry consent strings, and some
    /// people change their minds.
    pub consent: bool,
    /// Whether members of the loyalty program have wallet passes, which get messages and are read by tills.
    pub wallet: bool,
    /// Whether partners see phones in stores and show them advertisements.
    pub partners: bool,
    /// The number of events per trace line, 1 to 10,000. Above 1, a line is NDJSON of consecutive
    /// events of one subject.
    pub pack: u32,
    /// The vendor's format of the records of its kind; without one all are native.
    pub vendor: Option<Vendor>,
    /// The release threshold that [`crate::config_toml`] writes. With 1 every cell is released.
    pub k: u64,
    /// Whether [`crate::config_toml`] keeps records for 100 years, because the days of the trace may
    /// be long past. Otherwise retention has its defaults.
    pub keeps_past: bool,
}

/// The proportions of the three streams. Spend is additional.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// Sensor pings.
    pub pings: u32,
    /// Web records.
    pub web: u32,
    /// Transactions.
    pub transactions: u32,
}

/// Options that do not define a world. The text names the first problem.
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
            currency: "EUR".to_owned(),
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
            wallet: false,
            partners: false,
            pack: 1,
            vendor: None,
            k: 1,
            keeps_past: true,
        }
    }
}

impl Options {
    /// The world of `tributary demo`: four weeks of one brand that a laptop processes in seconds.
    pub fn demo() -> Options {
        Options {
            seed: 2025,
            events: Some(60_000),
            days: Some(28),
            wallet: true,
            k: 5,
            ..Options::default()
        }
    }

    /// The second brand of the demo, in the same streets as the first: smaller, with another
    /// currency, another time zone and a lower gate. It has a third of the events.
    pub fn second(first: &Options) -> Options {
        Options {
            seed: first.seed.wrapping_add(1),
            events: first.events.map(|events| (events / 2).max(1)),
            brand: "willow".to_owned(),
            timezone: "Europe/London".to_owned(),
            currency: "GBP".to_owned(),
            stores: 2,
            campaigns: 5,
            k: first.k.min(10),
            ..first.clone()
        }
    }

    /// Checks the options.
    ///
    /// # Errors
    ///
    /// A sentence about the first option that cannot be used.
    ///
    /// ```
    /// use tributary_simulate::Options;
    ///
    /// assert!(Options::default().check().is_ok());
    /// let error = Options { stores: 0, ..Options::default() }.check().unwrap_err();
    /// assert_eq!(error.to_string(), "stores and campaigns must be 1 to 500");
    /// ```
    pub fn check(&self) -> Result<(), OptionsError> {
        let wrong = |text: &str| Err(OptionsError(text.to_owned()));
        let token = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
        if self.brand.is_empty() || !self.brand.chars().all(token) {
            return wrong("the brand's name must be made of a-z, 0-9, _ and -");
        }
        if TimeZone::get(&self.timezone).is_err() {
            return wrong("the time zone is not known; expected an IANA name such as Europe/Paris");
        }
        let is_code = self.currency.len() == 3;
        if !is_code || !self.currency.chars().all(|c| c.is_ascii_uppercase()) {
            return wrong("the currency must be a code of three capital letters, such as EUR");
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

    /// The number of events and the number of days that end the trace; at least one of them is set.
    pub(crate) fn ends(&self) -> (Option<u64>, Option<u32>) {
        match (self.events, self.days, self.persons) {
            (None, None, None) => (Some(100_000), None),
            (None, None, Some(_)) => (None, Some(28)),
            (events, days, _) => (events, days),
        }
    }

    /// The number of people: `persons` if it is set, else as many as cause the events in the days,
    /// from 20 to 200,000.
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
    /// The sum of the parts.
    pub(crate) fn total(self) -> u64 {
        u64::from(self.pings) + u64::from(self.web) + u64::from(self.transactions)
    }
}

impl std::str::FromStr for Mix {
    type Err = String;

    /// Parses `PINGS/WEB/TRANSACTIONS`.
    ///
    /// # Errors
    ///
    /// A sentence that describes the expected form.
    ///
    /// ```
    /// use tributary_simulate::Mix;
    ///
    /// let mix: Mix = "45/45/10".parse()?;
    /// assert_eq!((mix.pings, mix.web, mix.transactions), (45, 45, 10));
    /// # Ok::<(), String>(())
    /// ```
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

//! The state of a simulated brand: its people, its days, and the queue of records in delivery.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use jiff::ToSpan;
use jiff::tz::TimeZone;
use tributary_config::model::Kind;

use crate::line::Line;
use crate::market::{Campaign, campaigns};
use crate::options::{Options, OptionsError};
use crate::pack::{Pack, QueuedRecord};
use crate::people::Person;
use crate::random::Random;
use crate::truth::TrueVisit;

/// One second in milliseconds.
pub(crate) const SECOND: i64 = 1_000;
/// One minute in milliseconds.
pub(crate) const MINUTE: i64 = 60 * SECOND;
/// One hour in milliseconds.
pub(crate) const HOUR: i64 = 60 * MINUTE;
/// One day in milliseconds.
pub(crate) const DAY: i64 = 24 * HOUR;

/// A simulated brand. Iterating over it yields the lines of its trace.
///
/// The iterator simulates a day whenever all complete lines have been taken. It ends after the days
/// or the events of the options, or at [`Options::until`]. Lines ascend by time of arrival; a
/// record that is late is produced when it arrives, not when it was sent.
pub struct World {
    /// The options.
    pub(crate) options: Options,
    /// The random numbers of everything that is not computed from the seed directly.
    pub(crate) random: Random,
    /// The time zone of the brand.
    pub(crate) zone: TimeZone,
    /// The campaigns of the brand.
    pub(crate) campaigns: Vec<Campaign>,
    /// The number of people.
    pub(crate) population: u32,
    /// The people.
    people: Vec<Person>,
    /// The current day, from 0.
    pub(crate) day: u32,
    /// When it starts, Unix milliseconds.
    pub(crate) midnight: i64,
    /// Whether it is a Sunday, when stores are less frequented.
    pub(crate) sunday: bool,
    /// Whether it is a Tuesday, when the newsletter is sent.
    pub(crate) tuesday: bool,
    /// The impressions and clicks of each campaign on this day.
    pub(crate) ad_counts: Vec<(u64, u64)>,
    /// The number of web records so far.
    pub(crate) webs: u64,
    /// The number of transactions so far.
    pub(crate) sales: u64,
    /// The number of orders so far.
    pub(crate) orders: u64,
    /// The number of wallet records so far.
    pub(crate) passes: u64,
    /// The number of partner records so far.
    pub(crate) partner_records: u64,
    /// The visits of the phones that partners can see, so far.
    pub(crate) true_visits: Vec<TrueVisit>,
    /// The number of pings, web records and transactions so far.
    pub(crate) generated: [u64; 3],
    /// The records in delivery.
    pub(crate) queue: BinaryHeap<Reverse<QueuedRecord>>,
    /// The number of records that were sent.
    pub(crate) queued: u64,
    /// All records that arrive before this time have been sent, Unix milliseconds.
    horizon: i64,
    /// The days that remain.
    days_left: u32,
    /// The events that remain.
    events_left: u64,
    /// The records that wait for their line, by kind.
    packs: Vec<Pack>,
    /// The lines that are complete.
    ready: VecDeque<Line>,
}

impl World {
    /// A world at the start of its first day.
    ///
    /// # Errors
    ///
    /// See [`Options::check`].
    pub fn new(options: Options) -> Result<World, OptionsError> {
        options.check()?;
        let zone =
            TimeZone::get(&options.timezone).map_err(|error| OptionsError(error.to_string()))?;
        let mut random = Random::new(options.seed);
        let population = options.population();
        let people = (0..population)
            .map(|number| Person::random(number, options.stores, &mut random))
            .collect();
        let (events, days) = options.ends();
        let campaigns = campaigns(options.campaigns);
        let words = Kind::ALL
            .map(Kind::name)
            .into_iter()
            .chain([Kind::PARTNER_MAC]);
        let packs = words.map(|word| Pack::of(&options.brand, word)).collect();
        Ok(World {
            ad_counts: vec![(0, 0); campaigns.len()],
            random,
            zone,
            campaigns,
            population,
            people,
            day: 0,
            midnight: 0,
            sunday: false,
            tuesday: false,
            webs: 0,
            sales: 0,
            orders: 0,
            passes: 0,
            partner_records: 0,
            true_visits: Vec::new(),
            generated: [0; 3],
            queue: BinaryHeap::new(),
            queued: 0,
            horizon: i64::MIN,
            days_left: days.unwrap_or(u32::MAX),
            events_left: events.unwrap_or(u64::MAX),
            packs,
            ready: VecDeque::new(),
            options,
        })
    }

    /// Takes the visits since the last call of phones that carry an advertising identifier: the truth that matching is judged
    /// by. None without [`Options::partners`].
    pub fn take_true_visits(&mut self) -> Vec<TrueVisit> {
        std::mem::take(&mut self.true_visits)
    }

    /// The factor by which the activity that produces a stream must change to reach the mix: above
    /// 1 if the stream has fewer records than its share.
    ///
    /// It is the fourth power of the ratio between the wanted and the actual share, from 0.02 to 8:
    /// what people do by themselves is far from some mixes. A stream without a share has the factor
    /// 0, and spend, consent, wallet passes and partners, which no mix includes, have 1.
    pub(crate) fn need(&self, kind: Kind) -> f64 {
        /// Below so many events the mix is left to chance.
        const SLACK: f64 = 40.0;
        let (made, part) = match kind {
            Kind::Ping => (self.generated[0], self.options.mix.pings),
            Kind::Web => (self.generated[1], self.options.mix.web),
            Kind::Transaction => (self.generated[2], self.options.mix.transactions),
            Kind::Spend | Kind::Consent | Kind::Wallet | Kind::Partner => return 1.0,
        };
        if part == 0 {
            return 0.0;
        }
        let share = f64::from(part) / self.options.mix.total() as f64;
        let all: u64 = self.generated.iter().sum();
        let ratio = share * (all as f64 + SLACK) / (made as f64 + SLACK * share);
        // A high power, because what people do by themselves is far from some mixes.
        let squared = ratio * ratio;
        (squared * squared).clamp(0.02, 8.0)
    }

    /// The start of a day, counted from the first, in Unix milliseconds.
    pub(crate) fn midnight_of(&self, day: u32) -> i64 {
        self.options
            .start
            .checked_add(i64::from(day).days())
            .and_then(|date| date.to_zoned(self.zone.clone()))
            .map(|moment| moment.timestamp().as_millisecond())
            // Beyond the calendar's end, which no checked option reaches.
            .unwrap_or(self.midnight + DAY)
    }

    /// Simulates one day: passers-by, then each person, then the spend of the campaigns.
    ///
    /// Passers-by come first, so that the activity of people can make up for their effect on the
    /// mix. The interest of every person decreases by a tenth. When the day ends, all records that
    /// arrive before the next midnight are known.
    fn simulate_day(&mut self) {
        self.midnight = self.midnight_of(self.day);
        let weekday = self
            .options
            .start
            .checked_add(i64::from(self.day).days())
            .map(|date| date.weekday())
            .unwrap_or(jiff::civil::Weekday::Monday);
        self.sunday = weekday == jiff::civil::Weekday::Sunday;
        self.tuesday = weekday == jiff::civil::Weekday::Tuesday;

        // The crowd first: what people do then makes up for it in the mix.
        self.add_passers_by();
        let mut people = std::mem::take(&mut self.people);
        for person in &mut people {
            person.interest -= person.interest / 10;
            self.send_consent_changes(person);
            self.simulate_pass(person);
            self.simulate_partners(person);
            self.simulate_online(person);
            self.simulate_stores(person);
        }
        self.people = people;
        self.spend();

        self.day += 1;
        self.days_left -= 1;
        self.horizon = match self.days_left {
            0 => i64::MAX,
            _ => self.midnight_of(self.day),
        };
    }

    /// Adds a record to the pack of its kind.
    fn emit(&mut self, item: QueuedRecord) {
        let size = self.options.pack as usize;
        if let Some(pack) = self.packs.iter_mut().find(|pack| pack.word == item.word) {
            self.ready.extend(pack.add(item, size));
        }
        self.events_left -= 1;
        if self.events_left == 0 {
            self.close();
        }
    }

    /// Whether the trace ended because it has all of its events.
    pub(crate) fn has_all_events(&self) -> bool {
        self.events_left == 0
    }

    /// Ends the trace: drops the records in delivery, and completes all packs in the order of
    /// arrival.
    fn close(&mut self) {
        self.days_left = 0;
        self.queue.clear();
        let mut rest: Vec<Line> = self.packs.iter_mut().filter_map(Pack::close).collect();
        rest.sort_by_key(|line| line.at);
        self.ready.extend(rest);
    }
}

impl Iterator for World {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            match self.queue.peek() {
                Some(Reverse(item)) if item.at > self.options.until => self.close(),
                Some(Reverse(item)) if item.at < self.horizon => {
                    if let Some(Reverse(item)) = self.queue.pop() {
                        self.emit(item);
                    }
                }
                _ if self.days_left > 0 => self.simulate_day(),
                _ => {
                    self.close();
                    if self.ready.is_empty() {
                        return None;
                    }
                }
            }
        }
    }
}

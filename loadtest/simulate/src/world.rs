//! The world itself: its people, its days, and the queue of what is on its way.

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

pub(crate) const SECOND: i64 = 1_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// A brand being simulated. Iterating gives its trace.
pub struct World {
    pub(crate) options: Options,
    pub(crate) random: Random,
    pub(crate) zone: TimeZone,
    pub(crate) campaigns: Vec<Campaign>,
    pub(crate) population: u32,
    people: Vec<Person>,
    /// The day that is simulated, from 0, and when it begins, Unix milliseconds.
    pub(crate) day: u32,
    pub(crate) midnight: i64,
    pub(crate) sunday: bool,
    pub(crate) tuesday: bool,
    /// Impressions and clicks of each campaign today.
    pub(crate) ad_counts: Vec<(u64, u64)>,
    /// The last number of a web record, a transaction and an order.
    pub(crate) webs: u64,
    pub(crate) sales: u64,
    pub(crate) orders: u64,
    /// What was made so far of pings, web events and transactions.
    pub(crate) generated: [u64; 3],
    pub(crate) queue: BinaryHeap<Reverse<QueuedRecord>>,
    pub(crate) queued: u64,
    /// What arrives before this moment is complete.
    horizon: i64,
    days_left: u32,
    events_left: u64,
    packs: [Pack; Kind::ALL.len()],
    ready: VecDeque<Line>,
}

impl World {
    /// A world at the beginning of its first day.
    ///
    /// # Errors
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
        let packs = Kind::ALL.map(|kind| Pack::of(&options.brand, kind));
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

    /// How much more (above 1) or less of a stream has to be made, so that the mix comes out.
    pub(crate) fn need(&self, kind: Kind) -> f64 {
        /// Below so many events the mix is left to chance.
        const SLACK: f64 = 40.0;
        let (made, part) = match kind {
            Kind::Ping => (self.generated[0], self.options.mix.pings),
            Kind::Web => (self.generated[1], self.options.mix.web),
            Kind::Transaction => (self.generated[2], self.options.mix.transactions),
            Kind::Spend | Kind::Consent => return 1.0,
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

    /// Unix milliseconds of the midnight that begins a day, counted from the first.
    pub(crate) fn midnight_of(&self, day: u32) -> i64 {
        self.options
            .start
            .checked_add(i64::from(day).days())
            .and_then(|date| date.to_zoned(self.zone.clone()))
            .map(|moment| moment.timestamp().as_millisecond())
            // Beyond the calendar's end, which no checked option reaches.
            .unwrap_or(self.midnight + DAY)
    }

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

    fn emit(&mut self, item: QueuedRecord) {
        let size = self.options.pack as usize;
        if let Some(pack) = self.packs.iter_mut().find(|pack| pack.kind == item.kind) {
            self.ready.extend(pack.add(item, size));
        }
        self.events_left -= 1;
        if self.events_left == 0 {
            self.close();
        }
    }

    /// Whether the number of events has ended it.
    pub(crate) fn has_all_events(&self) -> bool {
        self.events_left == 0
    }

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

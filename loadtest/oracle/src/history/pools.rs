//! The population of a random brand: the identifiers of its households, its devices and its clock.

use rand::Rng;
use tributary_operators::record::{Day, IdKind, IdSet, Identifier, Pseudonym};

use super::pick::pick;

/// One hour in milliseconds.
const MS_PER_HOUR: i64 = 3_600_000;
/// One day in seconds.
const SECONDS_PER_DAY: i64 = 86_400;

/// 2024-01-29, the first day of the world, three days before the end of a month.
const FIRST_DAY: i64 = 19_751;

/// A time at which a retention period of a month or two ends within the busiest days, Unix
/// milliseconds.
pub(super) fn random_pass_time(rng: &mut impl Rng) -> i64 {
    let day = FIRST_DAY + rng.random_range(25..75);
    (day * 24 + pick(rng, [0, 3, 23])) * MS_PER_HOUR
}

/// One clear value, as the identifiers of its hashes.
type ClearValue = Vec<Identifier>;

/// The population of one brand.
///
/// Households share few clear values, so that records link and hubs form; devices are few, so that
/// their pings merge into sessions.
pub(super) struct Pools {
    /// Clear values that mostly occur in records of their own household.
    households: Vec<Vec<ClearValue>>,
    /// The wallet pass of each household, which is also one of its clear values.
    passes: Vec<Identifier>,
    /// The telephone of each household by which partners know it, which is now and then one of its clear values.
    phones: Vec<Identifier>,
    /// Devices, and whether their MAC addresses are random.
    devices: Vec<(Pseudonym, bool)>,
    /// The offset from UTC before and after the clocks change, in seconds.
    utc_offsets: [i32; 2],
    /// When the clocks change, Unix seconds.
    clock_change: i64,
    /// When a salt day begins, in seconds after midnight.
    day_start: i64,
}

impl Pools {
    /// A random population that grows with the size of the history.
    pub(super) fn random(rng: &mut impl Rng, size: usize) -> Pools {
        let utc_offset = pick(rng, [0, 3_600, -18_000, 19_800]);
        let mut households: Vec<_> = (0..3 + size / 25).map(|_| household(rng)).collect();
        let passes = households.iter_mut().map(|household| {
            let pseudonym = rng.random();
            let pass = Identifier {
                pseudonym,
                value: pseudonym,
                kind: IdKind::Wallet,
            };
            household.push(vec![pass]);
            pass
        });
        let passes = passes.collect();
        let phones = households.iter_mut().map(|household| {
            let pseudonym = rng.random();
            let phone = Identifier {
                pseudonym,
                value: pseudonym,
                kind: IdKind::Device,
            };
            if rng.random_bool(0.3) {
                household.push(vec![phone]);
            }
            phone
        });
        let phones = phones.collect();
        Pools {
            households,
            passes,
            phones,
            devices: (0..3 + size / 60)
                .map(|_| (rng.random(), rng.random_bool(0.3)))
                .collect(),
            utc_offsets: [utc_offset, utc_offset + pick(rng, [0, 3_600, -3_600])],
            // 2024-02-02T01:00Z, in the midst of the days that see most.
            clock_change: (FIRST_DAY + 4) * SECONDS_PER_DAY + 3_600,
            day_start: pick(rng, [0, 0, 14_400, 9_000]),
        }
    }

    /// A random time in Unix milliseconds on a grid of hours, rarely some milliseconds beside it.
    ///
    /// 60 % are within the first six days, around the change of month; 20 % are a month later, when
    /// retention periods end; the rest are anywhere within 45 days.
    pub(super) fn moment(&self, rng: &mut impl Rng) -> i64 {
        let day = match rng.random_range(0..10) {
            0..=5 => rng.random_range(0..6),
            6..=7 => rng.random_range(29..34),
            _ => rng.random_range(0..45),
        };
        let hour = (FIRST_DAY + day) * 24 + pick(rng, [0, 1, 2, 3, 10, 11, 12, 23]);
        hour * MS_PER_HOUR + pick(rng, [0, 0, 0, 0, 0, 0, 1, -1, 500])
    }

    /// The offset from UTC at a Unix second, in seconds.
    pub(super) fn utc_offset(&self, second: i64) -> i32 {
        self.utc_offsets[usize::from(second >= self.clock_change)]
    }

    /// The local day of a Unix second.
    pub(super) fn day(&self, second: i64) -> Day {
        let local = second + i64::from(self.utc_offset(second));
        local.div_euclid(SECONDS_PER_DAY) as Day
    }

    /// The salt day of a Unix second.
    pub(super) fn salt_day(&self, second: i64) -> Day {
        self.day(second - self.day_start)
    }

    /// A random device, and whether its MAC address is random.
    pub(super) fn device(&self, rng: &mut impl Rng) -> (Pseudonym, bool) {
        self.devices[rng.random_range(0..self.devices.len())]
    }

    /// The index of a random household.
    pub(super) fn home(&self, rng: &mut impl Rng) -> usize {
        rng.random_range(0..self.households.len())
    }

    /// The identifiers of a wallet record: mostly the pass of the household, and now and then others.
    pub(super) fn ids_of_pass(&self, rng: &mut impl Rng, home: usize) -> IdSet {
        let mut ids = Vec::new();
        if rng.random_bool(0.9) {
            ids.push(self.passes[home]);
        }
        if rng.random_bool(0.4) {
            ids.extend(self.ids(rng, home, 1).ids());
        }
        IdSet::new(ids)
    }

    /// The identifiers of what a partner reports: nearly always the device of the household, and now and then others.
    pub(super) fn ids_of_phone(&self, rng: &mut impl Rng, home: usize) -> IdSet {
        let mut ids = Vec::new();
        if rng.random_bool(0.95) {
            ids.push(self.phones[home]);
        }
        if rng.random_bool(0.3) {
            ids.extend(self.ids(rng, home, 1).ids());
        }
        IdSet::new(ids)
    }

    /// The identifiers of a record of a household: at least `least` of its clear values, and now
    /// and then one of another household.
    pub(super) fn ids(&self, rng: &mut impl Rng, home: usize, least: usize) -> IdSet {
        let mut ids = Vec::new();
        for _ in 0..least.max(pick(rng, [0, 1, 1, 1, 1, 2, 2, 2, 3])) {
            let household = match rng.random_bool(0.02) {
                true => self.home(rng),
                false => home,
            };
            let household = &self.households[household];
            let value = &household[rng.random_range(0..household.len())];
            match rng.random_bool(0.8) {
                true => ids.extend(value),
                // A single hash that came hashed stands for itself.
                false => {
                    let id = value[rng.random_range(0..value.len())];
                    let value = id.pseudonym;
                    ids.push(Identifier { value, ..id });
                }
            }
        }
        IdSet::new(ids)
    }
}

/// Two to four clear values of any kinds, some with two or three hashes.
fn household(rng: &mut impl Rng) -> Vec<ClearValue> {
    (0..rng.random_range(2..5))
        .map(|_| {
            let kind = pick(rng, IdKind::ALL);
            let value: Pseudonym = rng.random();
            let others: Vec<Pseudonym> = (0..pick(rng, [0, 0, 0, 1, 2]))
                .map(|_| rng.random())
                .collect();
            let hash = |pseudonym| Identifier {
                pseudonym,
                value,
                kind,
            };
            std::iter::once(value).chain(others).map(hash).collect()
        })
        .collect()
}

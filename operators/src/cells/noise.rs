//! Noise: bounds what a reader of all releases, for all time, can learn about one person from the values (differential
//! privacy).
//!
//! This is the binary mechanism for continual release (Chan, Shi and Song 2011; Dwork, Naor, Pitassi and Rothblum 2010) with
//! two-sided geometric noise, the discrete Laplace distribution (Ghosh, Roughgarden and Sundararajan 2009). The timeline of a
//! cell is divided into steps, and dyadic intervals of steps are the nodes of a tree. Each node has noise of its own. The value
//! published at step `t` is the exact value plus the noise of the nodes that cover `[0, t)`: at most one per level, so that the
//! noise grows with the logarithm of the time, and a change is affected by at most one node per level. When a tree ends after
//! two years, another starts beside it.
//!
//! **Once per step, and completely.** Two values under the same noise would reveal their difference, so a group is published
//! once per step. Publishing a group only when it has changed would reveal the change regardless of the noise, so all released
//! cells are published in every step. A step lasts `max_hold`, at least a minute, and `freeze_batch` once the day is frozen. It
//! is a function of the cell and the release time alone.
//!
//! **Deterministic.** The noise of a node is derived from a keyed hash of the cell, the node and all parameters, so that it is
//! the same on every worker, for any number of workers, and after a restart. Other settings produce other noise: the same bits
//! at another scale could be subtracted.
//!
//! **Exchanged secrets.** There is a key for each secret of the brand, and the noise is the sum of a draw under each. Whoever has an
//! older secret can subtract its draws, and is left with those of the newer ones, at the full scale; an exchange changes no draw of
//! before. To everybody else the values after an exchange are those without it plus noise that depends on nothing, so that an
//! exchange spends nothing of the budget. It costs accuracy: the standard deviation grows with the root of the number of secrets.
//!
//! **Exact, in integers.** The discrete Laplace distribution is sampled without rounding (Canonne, Kamath and Steinke 2020,
//! algorithms 1 and 2): the only bias is that of the keyed hash.
//!
//! **The budget.** `epsilon` covers all published values of a brand's day; the values of a month, and `identity`, have a budget
//! of the same size each. It is divided equally among the values of the families ([`parts`]) and the levels of the tree. One
//! person is assumed to change the sum of a value over all cells of a day by at most the bound (`count`, `money`), in every
//! model. Then, given which cells are released, and with a `k_delta` of 1, any two histories that differ by one such change, at
//! any one time, lead to all published values with likelihoods within a factor of `e^epsilon`. An insertion and a later erasure
//! are two changes, and so is a move between cells. A person who changes a value by n bounds uses n times the share of that
//! value.
//!
//! **What it does not hide**: which cells have `k` contributors, and when a group was first published. With a larger `k_delta`
//! the values under the noise stay until enough contributors have changed them: the last one releases the others too, and the
//! reader sees their sum. Effects of the identity guards on other persons are not counted. Spend is not personal and has no
//! noise. A Markov chain has no bound, since one path may change all effects: with noise it is not published at all.
//!
//! Counts are clamped at zero, which reveals nothing more. Values with noise no longer add up to each other.

use crate::attribution::Model;
use crate::cell::{Dim, Family, Unit};
use crate::cells::group_key::GroupKey;
use crate::record::Day;
use crate::settings::{BrandSettings, Noise};
use zeroize::Zeroizing;

/// One day in milliseconds.
const DAY: i64 = 86_400_000;

/// The shortest step, milliseconds.
const MINUTE: i64 = 60_000;

/// The minimum duration of a tree, milliseconds.
const TREE: i64 = 731 * DAY;

/// 2020-01-01, the start of the timeline of the identity graph.
const IDENTITY: Day = 18_262;

/// The end of the year 9999, Unix milliseconds: the latest time.
const LAST: i64 = 253_402_300_800_000;

/// The timeline of a group whose cells are published with noise: the division of time into steps.
#[derive(Clone, Copy)]
pub(super) struct NoiseTimeline<'a> {
    /// The settings of the brand.
    settings: &'a BrandSettings,
    /// The budget, the bounds and the key of the brand.
    noise: &'a Noise,
    /// The start of the first step, Unix milliseconds: the start of the day or month of the group.
    origin: i64,
    /// The start of the longer steps, Unix milliseconds.
    frozen: i64,
}

impl<'a> NoiseTimeline<'a> {
    /// The timeline of a group, or `None` if it is published without noise.
    pub(super) fn of(key: &GroupKey, settings: &'a BrandSettings) -> Option<NoiseTimeline<'a>> {
        let noise = settings.noise.as_ref()?;
        if key.is_nobodys() {
            return None;
        }
        // Only the identity graph has no day.
        let day = key.first_day();
        let origin = i64::from(day.unwrap_or(IDENTITY)).saturating_mul(DAY);
        let origin = origin.min(LAST);
        let frozen = match day {
            None => i64::MAX,
            Some(_) => origin.saturating_add(settings.freeze_after),
        };
        Some(NoiseTimeline {
            settings,
            noise,
            origin,
            frozen,
        })
    }

    /// The length of a step in milliseconds, before and after the group is frozen.
    fn periods(&self) -> [i64; 2] {
        let step = self.settings.max_hold.max(MINUTE);
        [step, self.settings.freeze_batch.max(step)]
    }

    /// The step of a time, from 1: the number of periods, aligned for all cells, that have begun since the origin.
    fn step(&self, time: i64) -> u64 {
        let time = time.clamp(self.origin, LAST);
        let [young, old] = self.periods();
        let begun = |from: i64, to: i64, period| to.div_euclid(period) - from.div_euclid(period);
        let steps = begun(self.origin, time.min(self.frozen), young)
            + begun(self.frozen, time.max(self.frozen), old);
        steps.unsigned_abs() + 1
    }

    /// Whether a step has begun since the previous release. A batch is published in the next epoch, a millisecond
    /// later, which must belong to the same step.
    pub(super) fn begins(&self, before: Option<i64>, now: i64) -> bool {
        before.is_none_or(|before| {
            self.step(before) < self.step(now) && self.step(now) == self.step(now.saturating_add(1))
        })
    }

    /// The height of a tree, which covers 2^height steps.
    fn tree_height(&self) -> u32 {
        let [young, old] = self.periods();
        let fresh = match self.frozen {
            i64::MAX => TREE,
            _ => self.settings.freeze_after.clamp(0, TREE),
        };
        let steps = (fresh / young + (TREE - fresh) / old + 2).unsigned_abs();
        steps.next_power_of_two().trailing_zeros()
    }

    /// The noise of a cell at a time, or `None` if its values have no bound.
    ///
    /// The result is a function of the arguments, the settings and the key. It takes O(log `steps`)
    /// draws per value.
    pub(super) fn offset(
        &self,
        family: Family,
        dims: &[Dim],
        time: i64,
    ) -> Option<Box<NoiseOffset>> {
        if family == Family::MarkovMonth {
            return None;
        }
        let (step, height) = (self.step(time), self.tree_height());
        let [young, old] = self.periods();
        let of_cell = |key: &Zeroizing<[u8; 32]>| {
            let mut hash = Zeroizing::new(blake3::Hasher::new_keyed(key));
            for word in [young, old, self.settings.freeze_after] {
                hash.update(&word.to_le_bytes());
            }
            write_text(&mut hash, family.name());
            dims.iter().for_each(|dim| write_dim(&mut hash, dim));
            hash
        };
        let hashes: Vec<Zeroizing<blake3::Hasher>> = self.noise.keys.iter().map(of_cell).collect();
        // One for all, because overwriting it takes longer than hashing.
        let mut of_node = Zeroizing::new(blake3::Hasher::new());
        let mut offset = NoiseOffset::default();
        let slots = offset.noise.iter_mut().zip(&mut offset.is_count);
        let values = family.values().iter().zip(family.row().units);
        for ((noise, is_count), (value, unit)) in slots.zip(values) {
            let bound = self.bound(value, *unit);
            *is_count = *unit != Unit::Minor;
            let distribution = DiscreteLaplace {
                t: u128::from(bound) * parts(family) * u128::from(height + 1) * 1_000,
                s: self.noise.epsilon.max(1).into(),
            };
            for mut hash in hashes.iter().cloned() {
                write_text(&mut hash, value);
                hash.update(&distribution.t.to_le_bytes());
                hash.update(&distribution.s.to_le_bytes());
                *noise += nodes(step, height)
                    .map(|(level, index)| {
                        (*of_node).clone_from(&hash);
                        of_node.update(&level.to_le_bytes());
                        of_node.update(&index.to_le_bytes());
                        distribution.draw(&mut Prf(Zeroizing::new(of_node.finalize_xof())))
                    })
                    .sum::<i128>();
            }
        }
        Some(Box::new(offset))
    }

    /// The bound on the change of a value by one person.
    fn bound(&self, value: &str, unit: Unit) -> u64 {
        let count = self.noise.count;
        let longest = self.settings.max_presence.unsigned_abs();
        let bound = match (unit, value) {
            (Unit::Minor, _) => self.noise.money,
            (Unit::Millionths, _) => count.saturating_mul(1_000_000),
            (Unit::Seconds, _) => count.saturating_mul(longest),
            (_, "identifiers" | "links") => self.settings.max_identifiers.into(),
            _ => count,
        };
        bound.max(1)
    }
}

/// The number of values that share the budget: all values that one person can change in the families of the same
/// period. A sale is either in-store or online.
fn parts(family: Family) -> u128 {
    let of = |family: Family| family.values().len() as u128;
    let is_statistic = |family: &Family| family.row().is_path_statistic;
    if is_statistic(&family) {
        return Family::ALL.into_iter().filter(is_statistic).map(of).sum();
    }
    if family == Family::Identity {
        return of(family);
    }
    let others = [Family::StoreDay, Family::CampaignDay, Family::Visits];
    let models = Model::ALL.len() as u128;
    others.map(of).into_iter().sum::<u128>() + models * of(Family::Attribution)
}

/// The nodes that cover the first `steps` steps: complete trees, then the largest nodes of the last tree.
fn nodes(steps: u64, height: u32) -> impl Iterator<Item = (u32, u64)> {
    let roots = (0..steps >> height).map(move |index| (height, index));
    let levels = (0..height)
        .rev()
        .filter(move |level| steps >> level & 1 == 1);
    roots.chain(levels.map(move |level| (level, (steps >> level) - 1)))
}

/// The noise on the published values of a cell.
#[derive(Default)]
pub(super) struct NoiseOffset {
    /// The noise of each value.
    noise: [i128; 5],
    /// Whether each value is a count, which is clamped at zero when published.
    is_count: [bool; 5],
}

impl NoiseOffset {
    /// The published values for exact ones.
    pub(super) fn apply(&self, exact: [i128; 5]) -> [i128; 5] {
        let mut published = exact;
        for ((value, noise), is_count) in published.iter_mut().zip(self.noise).zip(self.is_count) {
            *value += noise;
            if is_count {
                *value = (*value).max(0);
            }
        }
        published
    }

    /// The exact values behind published ones. Where the current values `now` would be published equally, they are
    /// used.
    pub(super) fn remove(&self, published: [i128; 5], now: [i128; 5]) -> [i128; 5] {
        let mut exact = published;
        let same = published.into_iter().zip(self.apply(now)).zip(now);
        for ((value, noise), ((published, again), now)) in
            exact.iter_mut().zip(self.noise).zip(same)
        {
            *value = if published == again {
                now
            } else {
                published - noise
            };
        }
        exact
    }
}

/// Two-sided geometric noise, the discrete Laplace distribution: `x` has a probability in
/// proportion to `exp(-|x| s / t)`, with a scale of `t / s`.
#[derive(Clone, Copy)]
struct DiscreteLaplace {
    /// The numerator of the scale.
    t: u128,
    /// The denominator of the scale.
    s: u128,
}

impl DiscreteLaplace {
    /// Draws a value by algorithm 2 of Canonne, Kamath and Steinke 2020. The expected number of
    /// rounds is constant.
    fn draw(self, prf: &mut Prf) -> i128 {
        loop {
            let rest = prf.below(self.t);
            if !prf.exp_minus(rest, self.t) {
                continue;
            }
            let mut whole = 0;
            while prf.exp_minus(1, 1) {
                whole += 1;
            }
            let size = ((rest + self.t * whole) / self.s).cast_signed();
            match (prf.below(2), size) {
                // Zero has one sign, or it would come up twice as often.
                (1, 0) => {}
                (1, size) => return -size,
                (_, size) => return size,
            }
        }
    }
}

/// A pseudorandom function, as an endless stream of bytes.
struct Prf(Zeroizing<blake3::OutputReader>);

impl Prf {
    /// A uniformly distributed number below `end`, by rejection.
    fn below(&mut self, end: u128) -> u128 {
        let unused = end.saturating_sub(1).leading_zeros();
        let mask = u128::MAX.checked_shr(unused).unwrap_or(0);
        loop {
            let mut bytes = [0; 16];
            self.0.fill(&mut bytes);
            let number = u128::from_le_bytes(bytes) & mask;
            if number < end.max(1) {
                return number;
            }
        }
    }

    /// `true` with probability `exp(-part / of)`, for `part <= of`: algorithm 1 of Canonne, Kamath
    /// and Steinke 2020.
    fn exp_minus(&mut self, part: u128, of: u128) -> bool {
        let mut round = 1;
        while self.below(of * round) < part {
            round += 1;
        }
        round % 2 == 1
    }
}

/// Hashes a text after its length, so that consecutive texts stay distinguishable.
fn write_text(hash: &mut blake3::Hasher, text: &str) {
    hash.update(&(text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

/// Hashes a dimension injectively.
fn write_dim(hash: &mut blake3::Hasher, dim: &Dim) {
    let mut number = |tag: u8, number: i64| {
        hash.update(&[tag]);
        hash.update(&number.to_le_bytes());
    };
    match dim {
        Dim::Null => number(0, 0),
        Dim::Text(text) => {
            number(1, 0);
            write_text(hash, text);
        }
        Dim::Day(day) => number(2, (*day).into()),
        Dim::Month(month) => number(3, (*month).into()),
        Dim::Hour(second, offset) => {
            number(4, *second);
            number(4, (*offset).into());
        }
        Dim::Count(count) => number(5, count.cast_signed()),
        Dim::Path(path) => {
            number(6, path.len() as i64);
            for word in path.iter().flatten() {
                hash.update(&[u8::from(word.is_some())]);
                write_text(hash, word.as_deref().unwrap_or_default());
            }
        }
    }
}

#[cfg(test)]
mod tests;

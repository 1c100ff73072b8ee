//! Noise: what a reader of every release, for good, can learn of one person from the values, within a budget.
//!
//! This is the binary mechanism for continual release (Chan, Shi and Song 2011; Dwork, Naor, Pitassi and Rothblum 2010)
//! with two-sided geometric noise, which is Laplace's in whole numbers (Ghosh, Roughgarden and Sundararajan 2009). The time
//! line of a cell is cut into steps, and dyadic runs of steps are the nodes of a tree. Each node has noise of its own. What
//! is told at step `t` is the exact value and the noise of the nodes that `[0, t)` falls into: no more than one a level, so
//! that the noise grows with the logarithm of the time, and a change is under no more than one node a level. Where a tree
//! ends after two years, another begins beside it.
//!
//! **Once a step, and all of it.** Two values under the same noise would show what lies between them, so a group is told
//! once a step. A group that is told only when it has changed would show that it has, whatever the noise; so all that
//! is shown is told anew in every step. A step is `max_hold` long, at least a minute, and `freeze_batch` long once the day is
//! frozen. It is a function of the cell and the time of the release alone.
//!
//! **Always the same.** The noise of a node is drawn from a keyed hash of the cell, the node and everything that says how it
//! is drawn, so that it is the same for every worker, any number of them, and after a restart. Other settings draw
//! other noise: the same bits under another scale could be taken off. The key comes from the brand's oldest secret and stays.
//!
//! **Exact, in whole numbers.** The two-sided geometric law has no rounding to be read (Canonne, Kamath and Steinke
//! 2020, algorithms 1 and 2): the only bias is the keyed hash's.
//!
//! **The budget.** `epsilon` is for everything that is told of a brand's day; as much again for what is told of a month, and
//! for `identity`. It is shared equally by the values of the families ([`parts`]) and by the levels of the tree. One
//! person is taken to move the sum of a value over all cells of a day by no more than the bound (`count`, `money`), and so
//! by every model. Then, given which cells are shown, and with a `k_delta` of 1, any two histories that differ by one
//! such change, at any one moment, lead to whatever is ever told with likelihoods within `e^epsilon`. To come and to be
//! erased again are two changes, and so is to move from one cell to another. Who moves a value by n bounds takes n times
//! that value's share.
//!
//! **What it does not hide**: which cells have `k` contributors, and when a group was told first. With a larger `k_delta`
//! the values under the noise stay until enough have gathered: the last of them lets out the others too, and what is seen
//! is all of these together. What the guards of identity move of others counts for nobody. What platforms charged is
//! nobody's and has no noise. A Markov chain has no bound, since one path may turn all its effects: with noise it is not
//! told at all.
//!
//! GateCounts are cut off at zero, which tells nothing more. Numbers under noise no longer add up to each other.

use crate::aggregate::CellKey;
use crate::attribution::Model;
use crate::calendar::first_day;
use crate::cell::{Dim, Family};
use crate::cells::group_key::GroupKey;
use crate::record::Day;
use crate::settings::{BrandSettings, Noise};

const DAY: i64 = 86_400_000;

/// The shortest step, milliseconds.
const MINUTE: i64 = 60_000;

/// How long a tree lasts at least, milliseconds.
const TREE: i64 = 731 * DAY;

/// 2020-01-01, where the time line of the identity graph begins.
const IDENTITY: Day = 18_262;

/// The end of the year 9999, Unix milliseconds: no time is later.
const LAST: i64 = 253_402_300_800_000;

/// The time line of a group whose cells are published with noise.
#[derive(Clone, Copy)]
pub(super) struct NoiseTimeline<'a> {
    settings: &'a BrandSettings,
    noise: &'a Noise,
    origin: i64,
    /// From when on steps are longer, Unix milliseconds.
    frozen: i64,
}

impl<'a> NoiseTimeline<'a> {
    /// The time line of a group; none where it is published without noise.
    pub(super) fn of(key: &GroupKey, settings: &'a BrandSettings) -> Option<NoiseTimeline<'a>> {
        let noise = settings.noise.as_ref()?;
        let day = match key {
            GroupKey::Takings { day, .. } | GroupKey::Alone(CellKey::CampaignDay { day, .. }) => {
                i64::from(*day)
            }
            GroupKey::Alone(CellKey::Visits { hour, .. }) => hour.div_euclid(DAY / 1000),
            GroupKey::Month(of) => first_day(of.month).into(),
            GroupKey::Alone(CellKey::Identity { .. }) => IDENTITY.into(),
            GroupKey::Alone(_) => return None,
        };
        let origin = day.saturating_mul(DAY).min(LAST);
        let frozen = match key {
            GroupKey::Alone(CellKey::Identity { .. }) => i64::MAX,
            _ => origin.saturating_add(settings.freeze_after),
        };
        Some(NoiseTimeline {
            settings,
            noise,
            origin,
            frozen,
        })
    }

    /// How long steps are, before and after the group is frozen.
    fn periods(&self) -> [i64; 2] {
        let step = self.settings.max_hold.max(MINUTE);
        [step, self.settings.freeze_batch.max(step)]
    }

    /// The step of a time, from 1: how many of the periods that all cells share have begun since the first.
    fn step(&self, time: i64) -> u64 {
        let time = time.clamp(self.origin, LAST);
        let [young, old] = self.periods();
        let begun = |from: i64, to: i64, period| to.div_euclid(period) - from.div_euclid(period);
        let steps = begun(self.origin, time.min(self.frozen), young)
            + begun(self.frozen, time.max(self.frozen), old);
        steps.unsigned_abs() + 1
    }

    /// Whether a step has begun since the release before. What a batch lets go bears the number of the next epoch, which
    /// is a millisecond later and must not be of the next step.
    pub(super) fn begins(&self, before: Option<i64>, now: i64) -> bool {
        before.is_none_or(|before| {
            self.step(before) < self.step(now) && self.step(now) == self.step(now.saturating_add(1))
        })
    }

    /// The level of a tree's root, which has 2 to the power of it steps.
    fn tree_height(&self) -> u32 {
        let [young, old] = self.periods();
        let fresh = match self.frozen {
            i64::MAX => TREE,
            _ => self.settings.freeze_after.clamp(0, TREE),
        };
        let steps = (fresh / young + (TREE - fresh) / old + 2).unsigned_abs();
        steps.next_power_of_two().trailing_zeros()
    }

    /// The noise of a cell at a time; none for what has no bound.
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
        let mut hash = blake3::Hasher::new_keyed(&self.noise.key);
        for word in [young, old, self.settings.freeze_after] {
            hash.update(&word.to_le_bytes());
        }
        write_text(&mut hash, family.name());
        dims.iter().for_each(|dim| write_dim(&mut hash, dim));
        let mut offset = NoiseOffset::default();
        let slots = offset.noise.iter_mut().zip(&mut offset.is_count);
        for ((noise, is_count), value) in slots.zip(family.values()) {
            let bound;
            (bound, *is_count) = self.bound(value);
            let distribution = DiscreteLaplace {
                t: u128::from(bound) * parts(family) * u128::from(height + 1) * 1_000,
                s: self.noise.epsilon.max(1).into(),
            };
            let mut hash = hash.clone();
            write_text(&mut hash, value);
            hash.update(&distribution.t.to_le_bytes());
            hash.update(&distribution.s.to_le_bytes());
            *noise = nodes(step, height)
                .map(|(level, index)| {
                    let mut hash = hash.clone();
                    hash.update(&level.to_le_bytes());
                    hash.update(&index.to_le_bytes());
                    distribution.draw(&mut Prf(hash.finalize_xof()))
                })
                .sum();
        }
        Some(Box::new(offset))
    }

    /// The most that one person moves a value, and whether it is never below zero.
    fn bound(&self, value: &str) -> (u64, bool) {
        let count = self.noise.count;
        let identifiers = u64::from(self.settings.max_identifiers);
        let longest = self.settings.max_presence.unsigned_abs();
        let (bound, is_count) = match value {
            "value_minor" | "revenue_minor" => (self.noise.money, false),
            "conversions_millionths" => (count.saturating_mul(1_000_000), true),
            "dwell_seconds" => (count.saturating_mul(longest), true),
            "identifiers" | "links" => (identifiers, true),
            _ => (count, true),
        };
        (bound.max(1), is_count)
    }
}

/// How many values share the budget: all that one person can move in the families that are about the same time. A sale
/// is one in a store or online.
fn parts(family: Family) -> u128 {
    let values = |families: &[Family]| families.iter().map(|of| of.values().len() as u128).sum();
    match family {
        Family::Paths | Family::PathLength | Family::PathDays | Family::Assists => values(&[
            Family::Paths,
            Family::PathLength,
            Family::PathDays,
            Family::Assists,
        ]),
        Family::Identity => values(&[Family::Identity]),
        _ => {
            let models = Model::ALL.len() as u128;
            let others: u128 = values(&[Family::StoreDay, Family::CampaignDay, Family::Visits]);
            others + models * values(&[Family::Attribution])
        }
    }
}

/// The nodes that the first `steps` steps fall into: roots, then of the last tree the largest that fit.
fn nodes(steps: u64, height: u32) -> impl Iterator<Item = (u32, u64)> {
    let roots = (0..steps >> height).map(move |index| (height, index));
    let levels = (0..height)
        .rev()
        .filter(move |level| steps >> level & 1 == 1);
    roots.chain(levels.map(move |level| (level, (steps >> level) - 1)))
}

/// The noise on what was published of a cell.
#[derive(Default)]
pub(super) struct NoiseOffset {
    noise: [i128; 5],
    is_count: [bool; 5],
}

impl NoiseOffset {
    /// The values as they are published.
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

    /// The values that were published, where `now` are the present ones: those, wherever they would be published alike.
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

/// Two-sided geometric noise: `x` with a probability in proportion to `exp(-|x| s / t)`.
#[derive(Clone, Copy)]
struct DiscreteLaplace {
    t: u128,
    s: u128,
}

impl DiscreteLaplace {
    /// Algorithm 2.
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

/// As many random bits as are asked for.
struct Prf(blake3::OutputReader);

impl Prf {
    /// A number below another, each alike.
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

    /// True with a probability of `exp(-part / of)`, for a part no larger than the whole: algorithm 1.
    fn exp_minus(&mut self, part: u128, of: u128) -> bool {
        let mut round = 1;
        while self.below(of * round) < part {
            round += 1;
        }
        round % 2 == 1
    }
}

fn write_text(hash: &mut blake3::Hasher, text: &str) {
    hash.update(&(text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

/// A dimension so that no two are alike.
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

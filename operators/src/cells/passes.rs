//! Wallet passes by platform and day, for brands whose gate hides nothing.
//!
//! The number of active passes at the end of a day is a sum over all days up to it, so that one change may change every later day.
//! All days of a brand are therefore on one worker. A release visits the days that changed, and those behind them as long as
//! their number of active passes is another one: it costs what it publishes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included};

use crate::aggregate::Aggregate;
use crate::engine::Diff;
use crate::record::{Day, WalletPlatform};

/// What passes add to a day. The fields are those of the family.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct PassDay {
    issued: i128,
    installed: i128,
    removed: i128,
    voided: i128,
    /// The passes with a record.
    records: i128,
    pushes: i128,
    opens: i128,
}

/// The values of a cell, in the order of the family.
pub(super) type Values = [i128; 7];

/// A platform on a day.
pub(super) type PlatformDay = (WalletPlatform, Day);

/// A cell that a release publishes, with whether its values are new; `None` if it ceases to exist.
pub(super) type PassUpdate = (PlatformDay, Option<Values>, bool);

impl PassDay {
    /// The values of the cell, if so many passes are active before the day.
    fn values(&self, active: i128) -> Values {
        [
            self.issued,
            self.installed,
            self.removed,
            active + self.installed - self.removed,
            self.voided,
            self.pushes,
            self.opens,
        ]
    }
}

/// No platform and day is behind.
const LAST: PlatformDay = (WalletPlatform::Other, Day::MAX);

/// The passes of a brand.
#[derive(Default)]
pub(super) struct PassDays {
    days: BTreeMap<PlatformDay, PassDay>,
    /// The published cells.
    published: BTreeMap<PlatformDay, Values>,
    /// The days that changed since the last release, or were restored.
    changed: BTreeSet<PlatformDay>,
    /// Whether a published cell is from before a restart.
    pub(super) has_restored: bool,
}

impl PassDays {
    /// Adds the values of a part, `diff` times.
    pub(super) fn add(&mut self, at: PlatformDay, is_touches: bool, sums: &Aggregate, diff: Diff) {
        let of = self.days.entry(at).or_default();
        let PassDay {
            issued,
            installed,
            removed,
            voided,
            records,
            pushes,
            opens,
        } = of;
        let passes = [issued, installed, removed, voided, records];
        let slots = match is_touches {
            false => passes.into_iter().collect::<Vec<_>>(),
            true => vec![pushes, opens],
        };
        for (slot, value) in slots.into_iter().zip(sums.values) {
            *slot += value * i128::from(diff);
        }
        if *of == PassDay::default() {
            self.days.remove(&at);
        }
        self.changed.insert(at);
    }

    /// Restores a published cell.
    pub(super) fn restore(&mut self, at: PlatformDay, values: Values) {
        self.published.insert(at, values);
        self.has_restored = true;
    }

    /// Whether nothing changed since the last release.
    pub(super) fn is_unchanged(&self) -> bool {
        self.changed.is_empty() && !self.has_restored
    }

    /// The published cells.
    pub(super) fn published(&self) -> impl Iterator<Item = (PlatformDay, Values)> {
        self.published.iter().map(|(at, values)| (*at, *values))
    }

    /// Publishes what changed since the last release, and after a restart every cell again. Returns the number of days that were
    /// visited.
    pub(super) fn release(&mut self, mut each: impl FnMut(PassUpdate)) -> u64 {
        let mut changed = std::mem::take(&mut self.changed);
        let has_restored = std::mem::take(&mut self.has_restored);
        if has_restored {
            changed.extend(self.days.keys().chain(self.published.keys()));
        }
        let mut steps = 0;
        let mut behind: Option<PlatformDay> = None;
        while let Some(first) = match behind {
            None => changed.first().copied(),
            Some(behind) => changed
                .range((Excluded(behind), Included(LAST)))
                .next()
                .copied(),
        } {
            let mut at = first;
            // The active passes before the day, as published now and before this release.
            let mut now = self.published_before(at);
            let mut was = now;
            loop {
                steps += 1;
                let old = self.published.get(&at).copied();
                was = old.map_or(was, |[_, _, _, active, ..]| active);
                let new = self.days.get(&at).map(|of| of.values(now));
                now = new.map_or(now, |[_, _, _, active, ..]| active);
                let new = new.filter(|values| *values != [0; 7]);
                match new {
                    Some(values) => drop(self.published.insert(at, values)),
                    None => drop(self.published.remove(&at)),
                }
                if old != new || has_restored && new.is_some() {
                    each((at, new, old != new));
                }
                behind = Some(at);
                if now == was {
                    break;
                }
                // Every later day of the platform has another number than it had.
                let later = (Excluded(at), Included((at.0, Day::MAX)));
                let day = self.days.range(later).next().map(|(at, _)| *at);
                let next = changed.range(later).next().copied();
                match day.into_iter().chain(next).min() {
                    Some(next) => at = next,
                    None => break,
                }
            }
        }
        steps
    }

    /// The published number of active passes before a day. A day that is no cell has none, and follows one that has none.
    fn published_before(&self, (platform, day): PlatformDay) -> i128 {
        let before = self.published.range((platform, Day::MIN)..(platform, day));
        let last = before.map(|(_, values)| values).next_back();
        last.map_or(0, |[_, _, _, active, ..]| *active)
    }

    /// Whether nothing is known and nothing is published.
    pub(super) fn is_empty(&self) -> bool {
        self.days.is_empty() && self.published.is_empty()
    }

    /// The number of entries.
    pub(super) fn entries(&self) -> usize {
        self.days.len() + self.published.len()
    }

    /// The number of published cells.
    pub(super) fn published_cells(&self) -> u64 {
        self.published.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// All cells, from scratch.
    fn all(days: &PassDays) -> BTreeMap<PlatformDay, Values> {
        let mut active: BTreeMap<WalletPlatform, i128> = BTreeMap::new();
        let cells = days.days.iter().map(|(at, of)| {
            let active = active.entry(at.0).or_default();
            let values = of.values(*active);
            *active = values[3];
            (*at, values)
        });
        cells.filter(|(_, values)| *values != [0; 7]).collect()
    }

    fn add(days: &mut PassDays, platform: WalletPlatform, day: Day, values: [i128; 5], diff: Diff) {
        days.add((platform, day), false, &Aggregate::of(&values), diff);
    }

    #[test]
    fn a_release_publishes_what_a_sum_over_all_days_gives() {
        let mut rng = StdRng::seed_from_u64(11);
        let (mut days, mut held) = (PassDays::default(), Vec::new());
        let mut seen = BTreeMap::new();
        for at in 0..3_000 {
            let comes = held.is_empty() || rng.random_bool(if at < 2_000 { 0.6 } else { 0.2 });
            let (platform, from, until) = match comes {
                true => {
                    let platform = WalletPlatform::ALL[rng.random_range(0..4)];
                    let from = rng.random_range(0..40);
                    (platform, from, from + rng.random_range(0..20))
                }
                false => held.swap_remove(rng.random_range(0..held.len())),
            };
            let diff = if comes { 1 } else { -1 };
            add(&mut days, platform, from, [0, 1, 0, 0, 1], diff);
            add(&mut days, platform, until, [0, 0, 1, 0, 1], diff);
            if comes {
                held.push((platform, from, until));
            }
            if at % 500 == 0 {
                days.has_restored = true;
            }
            if rng.random_bool(0.4) {
                days.release(|(at, values, _)| match values {
                    Some(values) => drop(seen.insert(at, values)),
                    None => drop(seen.remove(&at)),
                });
                assert_eq!(seen, all(&days));
                assert_eq!(days.published, seen);
            }
        }
    }

    #[test]
    fn a_release_visits_what_changed() {
        let mut days = PassDays::default();
        for day in 0..10_000 {
            add(&mut days, WalletPlatform::Apple, day, [1, 1, 1, 0, 1], 1);
        }
        assert_eq!(days.release(|_| {}), 10_000);
        add(&mut days, WalletPlatform::Apple, 3, [0, 1, 0, 0, 1], 1);
        add(&mut days, WalletPlatform::Apple, 7, [0, 0, 1, 0, 1], 1);
        add(&mut days, WalletPlatform::Apple, 9_000, [1, 0, 0, 0, 1], 1);
        assert_eq!(days.release(|_| {}), 6);
        assert_eq!(days.release(|_| {}), 0);
    }
}

//! The gate in time: when the published value of a released cell may change.
//!
//! A reader sees differences between two releases. So published values stay until at least `k_delta` contributors have
//! changed each of the cells that would change. Cells that add up to one total are published together, because the
//! difference between the published and the withheld ones would reveal the rest. Changes with too few contributors wait for a
//! *batch*: when the time of a release passes a multiple of `max_hold`, waiting changes may be published together. A batch is
//! mixed: cells of one class whose values move in the same direction are published if at least `k_delta` contributors of the
//! brand have changed them; one that falls among many that rise is as visible as one alone. Days older than `freeze_after`
//! are published only when a multiple of `freeze_batch` has passed.
//!
//! The families of a month add up over its days, so that a month published before its days would reveal the changes that
//! they still withhold. Months are published only in a batch, together with all of their days.
//!
//! With noise, all released cells are published again at the start of each step of their timeline, changed or not, and not in
//! between ([`crate::cells::noise`]). The values under the noise follow the rules above.

use crate::aggregate::CellKey;
use crate::cell::BatchKind;
use crate::cells::group::Group;
use crate::cells::group_key::{GroupKey, is_total};
use crate::cells::noise::NoiseTimeline;
use crate::record::Day;
use crate::settings::BrandSettings;

const DAY: i64 = 86_400_000;

/// The class of changes that hide each other in a batch: changes of one kind in the same direction.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct BatchClass {
    /// The kind of cells.
    pub kind: BatchKind,
    /// The sign of the change of each value of the group's main cell; zero for months.
    pub signs: [i8; 5],
}

impl BatchClass {
    /// The class of the waiting changes of a group. Its main cell is the total of revenue, or the
    /// only cell of any other group.
    pub(super) fn of(key: &GroupKey, group: &Group) -> BatchClass {
        let is_main = |cell: &CellKey| match key {
            GroupKey::Takings(_) => is_total(cell),
            GroupKey::Month(_) | GroupKey::Traffic(_) => false,
            GroupKey::Alone(..) => true,
        };
        let mut signs = [0; 5];
        if let Some((_, entry)) = group.cells(key).find(|(cell, _)| is_main(cell)) {
            let was = entry.published.values().unwrap_or_default();
            let now = entry.current().values().unwrap_or_default();
            for ((sign, was), now) in signs.iter_mut().zip(was).zip(now) {
                *sign = (now - was).signum() as i8;
            }
        }
        BatchClass {
            kind: key.batch(),
            signs,
        }
    }
}

/// Whether a change has at least `k_delta` contributors.
///
/// `changed` is a set of 128 bits, one per contributor by hash. Two contributors that share a bit
/// count once, so the number is never overestimated.
pub(super) fn has_enough_contributors(changed: u128, settings: &BrandSettings) -> bool {
    u64::from(changed.count_ones()) >= settings.k_delta()
}

/// Whether every change of the group has enough contributors to be published now. A month never
/// has: it is published with its days, in a batch.
pub(super) fn may_publish(key: &GroupKey, group: &Group, settings: &BrandSettings) -> bool {
    !matches!(key, GroupKey::Month(_))
        && group
            .entries()
            .filter(|entry| entry.differs())
            .all(|entry| has_enough_contributors(entry.sums.changed, settings))
}

/// The last finished day of a brand at a time, Unix milliseconds.
pub(super) fn finished(settings: &BrandSettings, now: i64) -> Day {
    settings.utc_offsets.day(now).saturating_sub(1)
}

/// The times of two releases.
#[derive(Clone, Copy)]
pub(super) struct ReleaseTimes {
    /// The release before, Unix milliseconds.
    pub(super) before: Option<i64>,
    /// The current release, Unix milliseconds; not before the previous one.
    pub(super) now: i64,
}

impl ReleaseTimes {
    /// Whether a multiple of `period` milliseconds lies between the two releases. The first release
    /// is always a batch.
    fn crossed(self, period: i64) -> bool {
        let period = period.max(1);
        let count = |time: i64| time.div_euclid(period);
        self.before
            .is_none_or(|before| count(before) < count(self.now))
    }

    /// Whether the group may be published with a batch now. With noise, a batch takes place at each
    /// step.
    pub(super) fn is_due(self, key: &GroupKey, settings: &BrandSettings) -> bool {
        match NoiseTimeline::of(key, settings) {
            Some(timeline) => timeline.begins(self.before, self.now),
            None => {
                self.crossed(settings.freeze_batch)
                    || self.crossed(settings.max_hold) && !self.is_frozen(key, settings)
            }
        }
    }

    /// Whether the group, or a day of its month, is so old that only batches of
    /// `freeze_batch` may change it.
    pub(super) fn is_frozen(self, key: &GroupKey, settings: &BrandSettings) -> bool {
        let newest = (self.now - settings.freeze_after - 1).div_euclid(DAY);
        let newest = newest.clamp(Day::MIN.into(), Day::MAX.into()) as Day;
        key.first_day().is_some_and(|day| day <= newest) && !key.is_nobodys()
    }
}

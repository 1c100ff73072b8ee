//! The gate in time: when a released cell may take a new value.
//!
//! Between two releases a reader sees differences. So what was told stays as it is until at least `k_delta`
//! contributors have changed each of the cells that would change; what adds up to one total leaves in one moment, or the
//! difference of what has left and what has not would show the rest. What cannot gather so many waits for a *batch*:
//! whenever the time of a release has passed a multiple of `max_hold`, what waits may leave together. A batch is mixed:
//! cells of one class of which the values go the same way leave where at least `k_delta` contributors of the brand have
//! changed them. One that falls among many that rise is as plain as one alone. Days older than `freeze_after` leave only
//! when a multiple of `freeze_batch` has passed.
//!
//! The families of a month add up over its days, so that a month that was told before its days would show what they
//! still hold back. They leave in a batch alone, in which all of their days leave too.
//!
//! Where there is noise, everything that is shown leaves anew when a step of its time line begins, whether it has
//! changed or not, and nothing in between ([`crate::cells::noise`]). The values under the noise go by these rules.

use crate::aggregate::CellKey;
use crate::calendar::month;
use crate::cells::group::Group;
use crate::cells::group_key::GroupKey;
use crate::cells::noise::NoiseTimeline;
use crate::record::Day;
use crate::settings::BrandSettings;

const DAY: i64 = 86_400_000;

/// What waits and leaves together: changes in one class do not hide changes in another.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum BatchKind {
    /// Sales and what they are credited to.
    Takings,
    /// Contacts of a day.
    Contacts,
    /// Visits of an hour.
    Visits,
    /// The identity graph.
    Identity,
    /// What is told of a month.
    Month,
}

/// What hides each other in a batch: changes of one class that go the same way.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct BatchClass {
    /// The kind of cells.
    pub kind: BatchKind,
    /// The sign of what changes in each value of the cell that the group is about; of a month none.
    pub signs: [i8; 5],
}

impl BatchClass {
    pub(super) fn of(key: &GroupKey, group: &Group) -> BatchClass {
        let is_main = |cell: &CellKey| match key {
            GroupKey::Takings { .. } => {
                matches!(cell, CellKey::StoreDay { .. } | CellKey::OrdersDay { .. })
            }
            GroupKey::Month(_) => false,
            GroupKey::Alone(_) => true,
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
            kind: BatchKind::of(key),
            signs,
        }
    }
}

impl BatchKind {
    pub(super) fn of(key: &GroupKey) -> BatchKind {
        match key {
            GroupKey::Takings { .. } => BatchKind::Takings,
            GroupKey::Month(_) => BatchKind::Month,
            GroupKey::Alone(CellKey::Visits { .. }) => BatchKind::Visits,
            GroupKey::Alone(CellKey::Identity { .. }) => BatchKind::Identity,
            GroupKey::Alone(_) => BatchKind::Contacts,
        }
    }
}

/// Whether a set of changes is too large to isolate one of them.
pub(super) fn has_enough_contributors(changed: u128, settings: &BrandSettings) -> bool {
    u64::from(changed.count_ones()) >= settings.k_delta()
}

/// Whether every change of the group is made by enough contributors to be told now.
pub(super) fn may_publish(key: &GroupKey, group: &Group, settings: &BrandSettings) -> bool {
    !matches!(key, GroupKey::Month(_))
        && group
            .entries()
            .filter(|entry| entry.differs())
            .all(|entry| has_enough_contributors(entry.sums.changed, settings))
}

/// The times of two releases.
#[derive(Clone, Copy)]
pub(super) struct ReleaseTimes {
    /// The release before, Unix milliseconds.
    pub(super) before: Option<i64>,
    /// This one.
    pub(super) now: i64,
}

impl ReleaseTimes {
    /// Whether a multiple of a period lies between the releases; the first release is always a batch.
    fn crossed(self, period: i64) -> bool {
        let period = period.max(1);
        let count = |time: i64| time.div_euclid(period);
        self.before
            .is_none_or(|before| count(before) < count(self.now))
    }

    /// Whether the group may leave with a batch now.
    pub(super) fn is_due(self, key: &GroupKey, settings: &BrandSettings) -> bool {
        match NoiseTimeline::of(key, settings) {
            Some(timeline) => timeline.begins(self.before, self.now),
            None => {
                self.crossed(settings.freeze_batch)
                    || self.crossed(settings.max_hold) && !self.is_frozen(key, settings)
            }
        }
    }

    /// Whether the group is so old that only batches correct it.
    pub(super) fn is_frozen(self, key: &GroupKey, settings: &BrandSettings) -> bool {
        let newest = (self.now - settings.freeze_after - 1).div_euclid(DAY);
        let newest = newest.clamp(Day::MIN.into(), Day::MAX.into()) as Day;
        match key {
            GroupKey::Takings { day, .. } | GroupKey::Alone(CellKey::CampaignDay { day, .. }) => {
                *day <= newest
            }
            GroupKey::Alone(CellKey::Visits { hour, .. }) => {
                hour.div_euclid(DAY / 1000) <= newest.into()
            }
            // A month of which one day is frozen.
            GroupKey::Month(group) => group.month <= month(newest),
            GroupKey::Alone(_) => false,
        }
    }
}

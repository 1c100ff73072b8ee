//! Keys of groups: which cells leave together, because they add up to one total.
//!
//! The takings of a store and day, or of a day's orders, are a group with everything they are credited to; so is all that
//! is published of a month's conversions of one kind and currency. Any other cell is a group by itself. The table of families
//! ([`crate::cell`]) says which family belongs to what.

use crate::aggregate::{CellKey, MonthGroup};
use crate::calendar::first_day;
use crate::cell::{BatchKind, Family, ReleaseGroup, Takings, Threshold, Traffic, TrafficMonth};
use crate::label::Channel;
use crate::record::{BrandId, Day};

/// What leaves together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum GroupKey {
    /// The takings of a store and day, or of a day's orders, and their attribution by every model.
    Takings(Takings),
    /// The families of a month's conversions.
    Month(MonthGroup),
    /// The contacts or visits of a month that the ladder releases.
    Traffic(TrafficMonth),
    /// A cell that is no part of a total, and its family.
    Alone(Family, CellKey),
}

impl GroupKey {
    /// The group that a cell belongs to; none for the parts that no kind or currency owns.
    pub(super) fn of(key: &CellKey) -> Option<GroupKey> {
        match key.release_group() {
            ReleaseGroup::Takings(takings) => Some(GroupKey::Takings(takings)),
            ReleaseGroup::Month(group) => Some(GroupKey::Month(group)),
            ReleaseGroup::Traffic(of) => Some(GroupKey::Traffic(of)),
            ReleaseGroup::NullPaths(..) | ReleaseGroup::Wallets(_) | ReleaseGroup::Lift(_) => None,
            ReleaseGroup::Contacts | ReleaseGroup::Visits | ReleaseGroup::Identity => {
                Some(GroupKey::Alone(key.family()?, key.clone()))
            }
        }
    }

    /// The brand.
    pub(super) fn brand(&self) -> BrandId {
        match self {
            GroupKey::Takings(takings) => takings.brand,
            GroupKey::Month(group) => group.brand,
            GroupKey::Traffic(group) => group.brand,
            GroupKey::Alone(_, key) => key.brand(),
        }
    }

    /// The kind of changes that hide changes of the group in a batch.
    pub(super) fn batch(&self) -> BatchKind {
        match self {
            GroupKey::Takings(_) => BatchKind::Takings,
            GroupKey::Month(_) => BatchKind::Month,
            GroupKey::Traffic(of) => match of.traffic {
                Traffic::Contacts => BatchKind::Contacts,
                Traffic::Visits => BatchKind::Visits,
            },
            GroupKey::Alone(family, _) => family.row().batch,
        }
    }

    /// Whether nobody is behind the group.
    pub(super) fn is_nobodys(&self) -> bool {
        matches!(self, GroupKey::Alone(family, _) if family.row().threshold == Threshold::Nobody)
    }

    /// The first day of the group, in UTC for an hour; none without a time.
    pub(super) fn first_day(&self) -> Option<Day> {
        match self {
            GroupKey::Takings(takings) => Some(takings.day),
            GroupKey::Month(group) => Some(first_day(group.month)),
            GroupKey::Traffic(group) => Some(first_day(group.month)),
            GroupKey::Alone(_, key) => key.day(),
        }
    }
}

/// Whether a cell is the total that the other cells of its group add up to.
pub(super) fn is_total(key: &CellKey) -> bool {
    key.family().is_some_and(|family| family.row().is_total)
}

/// The channel of a cell that adds up others, in the families that have one.
pub(super) fn is_other(key: &CellKey) -> bool {
    matches!(
        key,
        CellKey::Attribution { channel, .. } | CellKey::MarkovMonth { channel, .. }
            if *channel == Channel::other()
    )
}

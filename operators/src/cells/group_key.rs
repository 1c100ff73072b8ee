//! Keys of groups: which cells leave together, because they add up to one total.
//!
//! The takings of a store and day, or of a day's orders, are a group with everything they are credited to; so is all that
//! is published of a month's conversions of one kind and currency. Any other cell is a group by itself.

use crate::aggregate::{CellKey, MonthGroup};
use crate::label::{Channel, Label};
use crate::record::{BrandId, Currency, Day, SaleKind};

/// What leaves together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum GroupKey {
    /// The takings of a store and day, or of a day's orders, and their attribution by every model.
    Takings {
        brand: BrandId,
        kind: SaleKind,
        store: Label,
        day: Day,
        currency: Currency,
    },
    /// The families of a month's conversions.
    Month(MonthGroup),
    /// A cell that is no part of a total.
    Alone(CellKey),
}

impl GroupKey {
    /// The group that a cell belongs to; none for the parts that no kind or currency owns.
    pub(super) fn of(key: &CellKey) -> Option<GroupKey> {
        match *key {
            CellKey::Attribution {
                brand,
                kind,
                store,
                day,
                currency,
                ..
            }
            | CellKey::Touched {
                brand,
                kind,
                store,
                day,
                currency,
            } => Some(GroupKey::Takings {
                brand,
                kind,
                store,
                day,
                currency,
            }),
            CellKey::StoreDay {
                brand,
                store,
                day,
                currency,
            } => Some(GroupKey::Takings {
                brand,
                kind: SaleKind::Transaction,
                store,
                day,
                currency,
            }),
            CellKey::OrdersDay {
                brand,
                day,
                currency,
            } => Some(GroupKey::Takings {
                brand,
                kind: SaleKind::Order,
                store: Label::ABSENT,
                day,
                currency,
            }),
            CellKey::Paths { group, .. }
            | CellKey::PathLength { group, .. }
            | CellKey::PathDays { group, .. }
            | CellKey::Assists { group, .. }
            | CellKey::ConvertingEdge { group, .. }
            | CellKey::ConvertingReach { group, .. }
            | CellKey::MarkovMonth { group, .. }
            | CellKey::Taken { group, .. }
            | CellKey::Converted { group } => Some(GroupKey::Month(group)),
            CellKey::NullEdge { .. } | CellKey::NullReach { .. } | CellKey::Sale(_) => None,
            CellKey::CampaignDay { .. }
            | CellKey::SpendDay { .. }
            | CellKey::Visits { .. }
            | CellKey::Identity { .. } => Some(GroupKey::Alone(key.clone())),
        }
    }

    /// The brand.
    pub(super) fn brand(&self) -> BrandId {
        match self {
            GroupKey::Takings { brand, .. } => *brand,
            GroupKey::Month(group) => group.brand,
            GroupKey::Alone(key) => key.brand(),
        }
    }
}

/// The channel of a cell that adds up others, in the families that have one.
pub(super) fn is_other(key: &CellKey) -> bool {
    matches!(
        key,
        CellKey::Attribution { channel, .. } | CellKey::MarkovMonth { channel, .. }
            if *channel == Channel::other()
    )
}

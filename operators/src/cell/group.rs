//! What leaves together: totals that a reader may know, and the cells that add up to them.

use serde::{Deserialize, Serialize};

use crate::label::Label;
use crate::record::{BrandId, Currency, Day, SaleKind};

/// A month: `year * 12 + (month - 1)`.
pub type Month = i32;

/// The group of conversions that month-wise families share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MonthGroup {
    /// The brand.
    pub brand: BrandId,
    /// The month of the conversions.
    pub month: Month,
    /// The kind of the conversions.
    pub kind: SaleKind,
    /// The currency of their values.
    pub currency: Currency,
}

impl MonthGroup {
    /// The routing key of the group: all kinds and currencies of a month meet on one worker.
    pub fn home(&self) -> u64 {
        use std::hash::BuildHasher;
        rustc_hash::FxBuildHasher.hash_one((self.brand, self.month))
    }
}

impl From<MonthGroup> for BrandId {
    fn from(group: MonthGroup) -> BrandId {
        group.brand
    }
}

/// Which conversions the persons of null paths lack. Visits are no conversion beside sales, and sales none beside visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lacks {
    /// Sales and visits.
    Both,
    /// Sales; they have visits.
    Sales,
    /// Visits; they have sales.
    Visits,
}

impl Lacks {
    /// Every value, in the order of their discriminants.
    pub const ALL: [Lacks; 3] = [Lacks::Both, Lacks::Sales, Lacks::Visits];

    /// Whether the paths are null paths of a kind of conversions.
    pub fn is_null_of(self, kind: SaleKind) -> bool {
        match self {
            Lacks::Both => true,
            Lacks::Sales => kind != SaleKind::Visit,
            Lacks::Visits => kind == SaleKind::Visit,
        }
    }
}

/// What is counted of a month without its conversions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Traffic {
    /// Contacts with channels.
    Contacts,
    /// Visits to stores.
    Visits,
}

/// The contacts or the visits of a month, for a brand whose months are released by the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrafficMonth {
    /// The brand.
    pub brand: BrandId,
    /// The month in the brand's time zone.
    pub month: Month,
    /// What is counted.
    pub traffic: Traffic,
}

impl TrafficMonth {
    /// The routing key of the group.
    pub fn home(&self) -> u64 {
        use std::hash::BuildHasher;
        rustc_hash::FxBuildHasher.hash_one(self)
    }
}

impl From<TrafficMonth> for BrandId {
    fn from(group: TrafficMonth) -> BrandId {
        group.brand
    }
}

/// A month of a brand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BrandMonth {
    /// The brand.
    pub brand: BrandId,
    /// The month in the brand's time zone.
    pub month: Month,
}

impl From<BrandMonth> for BrandId {
    fn from(group: BrandMonth) -> BrandId {
        group.brand
    }
}

/// The takings of a store and day, or of a day's orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Takings {
    /// The brand.
    pub brand: BrandId,
    /// In-store or online.
    pub kind: SaleKind,
    /// The store; absent online.
    pub store: Label,
    /// The day in the brand's time zone.
    pub day: Day,
    /// The currency.
    pub currency: Currency,
}

/// What a conversion is credited to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Credited {
    /// The channels of its touches.
    Touches,
    /// `unattributed`: it has no touch.
    Nothing,
    /// `unattributed`/`oversized`.
    Oversized,
}

/// The group with which an aggregate is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseGroup {
    /// The takings of a store and day, and all that they are credited to.
    Takings(Takings),
    /// All that is published of a month's conversions of one kind and currency.
    Month(MonthGroup),
    /// The null paths of a brand's month, which enter each of its groups.
    NullPaths(BrandId, Month),
    /// The wallet passes of a brand on all days, because the active ones add up over them.
    Wallets(BrandId),
    /// The panel of a month.
    Lift(BrandMonth),
    /// A day's contacts or spend, each cell by itself.
    Contacts,
    /// An hour's visits, each cell by itself.
    Visits,
    /// All contacts or all visits of a month.
    Traffic(TrafficMonth),
    /// The identity graph of a brand.
    Identity,
}

/// The kind of cells of a batch: changes of one kind do not hide changes of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum BatchKind {
    /// Sales and their attribution.
    Takings,
    /// Contacts of a day.
    Contacts,
    /// Visits of an hour.
    Visits,
    /// The identity graph.
    Identity,
    /// The families of a month.
    Month,
    /// The wallet passes of a brand.
    Wallets,
    /// The panel of a month.
    Lift,
}

impl BatchKind {
    /// What is released together, for the reference.
    pub fn meaning(self) -> &'static str {
        match self {
            BatchKind::Takings => "takings of a store and day, or of a day's orders",
            BatchKind::Month => "month, kind and currency",
            BatchKind::Wallets => "the whole brand",
            BatchKind::Lift => "month",
            BatchKind::Contacts | BatchKind::Visits | BatchKind::Identity => "each cell by itself",
        }
    }
}

//! Aggregates: the contributions that operators send to the cells.
//!
//! A cell is a sum over its contributions, so operators send only the differences that a change makes, keyed by [`CellKey`]
//! and summed per epoch and worker. The key also names parts that are never published by themselves: the transitions of the
//! Markov chains, which are sums too and are solved only on release, and the contributors of takings that the gate needs.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::attribution::Model;
use crate::label::{Channel, Label};
use crate::record::{BrandId, Currency, Day, SaleKind};
use crate::release::SaleRow;
use crate::settings::Settings;

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

/// The key of an aggregate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(
    missing_docs,
    reason = "the fields are the dimensions that crate::cell::Family::dims names"
)]
pub enum CellKey {
    Attribution {
        brand: BrandId,
        model: Model,
        channel: Channel,
        kind: SaleKind,
        store: Label,
        day: Day,
        currency: Currency,
    },
    StoreDay {
        brand: BrandId,
        store: Label,
        day: Day,
        currency: Currency,
    },
    OrdersDay {
        brand: BrandId,
        day: Day,
        currency: Currency,
    },
    CampaignDay {
        brand: BrandId,
        channel: Channel,
        day: Day,
    },
    SpendDay {
        brand: BrandId,
        platform: Label,
        channel: Channel,
        day: Day,
        currency: Currency,
    },
    Visits {
        brand: BrandId,
        store: Label,
        hour: i64,
        utc_offset: i32,
    },
    Identity {
        brand: BrandId,
    },
    Paths {
        group: MonthGroup,
        path: Arc<[Channel]>,
    },
    PathLength {
        group: MonthGroup,
        touches: u32,
    },
    PathDays {
        group: MonthGroup,
        days: u32,
    },
    Assists {
        group: MonthGroup,
        channel: Channel,
    },
    /// Transitions of converting paths; `Channel::default()` is the start as `from` and the
    /// conversion as `to`.
    ConvertingEdge {
        group: MonthGroup,
        from: Channel,
        to: Channel,
    },
    /// Persons whose converting paths hold the channel.
    ConvertingReach {
        group: MonthGroup,
        channel: Channel,
    },
    /// The conversions with a touch and their value.
    Converted {
        group: MonthGroup,
    },
    /// The persons with a touch behind the takings of a store and day, or of a day's orders.
    Touched {
        brand: BrandId,
        kind: SaleKind,
        store: Label,
        day: Day,
        currency: Currency,
    },
    /// The same takings as a part of their month: one contributor's conversions, or of what names nobody all.
    Taken {
        group: MonthGroup,
        store: Label,
        day: Day,
        credited: Credited,
        who: Option<u64>,
    },
    /// One conversion, for brands whose months are released by the ladder; its first value counts the row.
    Sale(Arc<SaleRow>),
    /// What a month's chain gives a channel. It is no sum: it names a cell that is solved from the parts above.
    MarkovMonth {
        group: MonthGroup,
        channel: Channel,
    },
    /// Transitions of the paths of persons without a conversion; `Channel::default()` is the start
    /// as `from` and the end without conversion as `to`.
    NullEdge {
        brand: BrandId,
        month: Month,
        from: Channel,
        to: Channel,
    },
    /// Persons whose null path of the month holds the channel.
    NullReach {
        brand: BrandId,
        month: Month,
        channel: Channel,
    },
}

impl CellKey {
    /// The brand.
    pub fn brand(&self) -> BrandId {
        match self {
            CellKey::Attribution { brand, .. }
            | CellKey::StoreDay { brand, .. }
            | CellKey::OrdersDay { brand, .. }
            | CellKey::CampaignDay { brand, .. }
            | CellKey::SpendDay { brand, .. }
            | CellKey::Visits { brand, .. }
            | CellKey::Identity { brand }
            | CellKey::Touched { brand, .. }
            | CellKey::NullEdge { brand, .. }
            | CellKey::NullReach { brand, .. } => *brand,
            CellKey::Paths { group, .. }
            | CellKey::PathLength { group, .. }
            | CellKey::PathDays { group, .. }
            | CellKey::Assists { group, .. }
            | CellKey::ConvertingEdge { group, .. }
            | CellKey::ConvertingReach { group, .. }
            | CellKey::MarkovMonth { group, .. }
            | CellKey::Taken { group, .. }
            | CellKey::Converted { group } => group.brand,
            CellKey::Sale(row) => row.group.brand,
        }
    }

    /// Says each label that the name of its cell holds. What only a chain is solved from names no cell.
    pub(crate) fn each_label(&self, mut each: impl FnMut(Label)) {
        let mut channel = |of: &Channel| {
            let Channel {
                source,
                medium,
                campaign,
            } = *of;
            [source, medium, campaign].into_iter().for_each(&mut each);
        };
        match self {
            CellKey::Attribution {
                channel: of, store, ..
            } => {
                channel(of);
                each(*store);
            }
            CellKey::SpendDay {
                platform,
                channel: of,
                ..
            } => {
                channel(of);
                each(*platform);
            }
            CellKey::StoreDay { store, .. }
            | CellKey::Visits { store, .. }
            | CellKey::Touched { store, .. } => each(*store),
            CellKey::CampaignDay { channel: of, .. }
            | CellKey::Assists { channel: of, .. }
            | CellKey::MarkovMonth { channel: of, .. } => channel(of),
            CellKey::Paths { path, .. } => path.iter().for_each(channel),
            CellKey::OrdersDay { .. }
            | CellKey::Sale(_)
            | CellKey::Identity { .. }
            | CellKey::PathLength { .. }
            | CellKey::PathDays { .. }
            | CellKey::ConvertingEdge { .. }
            | CellKey::ConvertingReach { .. }
            | CellKey::Converted { .. }
            | CellKey::Taken { .. }
            | CellKey::NullEdge { .. }
            | CellKey::NullReach { .. } => {}
        }
    }

    /// The key of a cell's owner: what adds up to one total meets on one worker, and so does all of a month.
    pub fn home(&self) -> u64 {
        use std::hash::BuildHasher;
        let hasher = rustc_hash::FxBuildHasher;
        match self {
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
            } => hasher.hash_one((brand, kind, store, day, currency)),
            CellKey::StoreDay {
                brand,
                store,
                day,
                currency,
            } => hasher.hash_one((brand, SaleKind::Transaction, store, day, currency)),
            CellKey::OrdersDay {
                brand,
                day,
                currency,
            } => hasher.hash_one((brand, SaleKind::Order, Label::ABSENT, day, currency)),
            CellKey::Paths { group, .. }
            | CellKey::PathLength { group, .. }
            | CellKey::PathDays { group, .. }
            | CellKey::Assists { group, .. }
            | CellKey::ConvertingEdge { group, .. }
            | CellKey::ConvertingReach { group, .. }
            | CellKey::MarkovMonth { group, .. }
            | CellKey::Taken { group, .. }
            | CellKey::Converted { group } => group.home(),
            CellKey::Sale(row) => row.group.home(),
            CellKey::NullEdge { brand, month, .. } | CellKey::NullReach { brand, month, .. } => {
                hasher.hash_one((*brand, *month))
            }
            CellKey::CampaignDay { .. }
            | CellKey::SpendDay { .. }
            | CellKey::Visits { .. }
            | CellKey::Identity { .. } => hasher.hash_one(self),
        }
    }
}

/// The difference that a change makes to a cell: up to five values in the order of
/// [`crate::cell::Family::values`], the contributors that the release gate counts, and who they are in 128 bits.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Aggregate {
    /// The values.
    pub values: [i128; 5],
    /// Distinct persons plus records without identifier.
    pub contributors: i64,
    /// Whose contribution changed, in whatever direction: a bit a contributor, of 128 by hash. Two may share a
    /// bit, so that the bits are no more than the contributors.
    pub changed: u128,
}

impl Aggregate {
    /// An aggregate of the first values, the others zero, without contributors.
    pub fn of(values: &[i128]) -> Aggregate {
        let mut sums = Aggregate::default();
        for (slot, value) in sums.values.iter_mut().zip(values) {
            *slot = *value;
        }
        sums
    }

    /// The same aggregate with a number of contributors.
    pub fn with_contributors(mut self, contributors: i64) -> Aggregate {
        self.contributors = contributors;
        self
    }

    /// The same aggregate as a change by a contributor, given by any hash.
    pub fn changed_by(mut self, who: u64) -> Aggregate {
        use std::hash::BuildHasher;
        // The upper bits of this hash are the well mixed ones.
        self.changed |= 1 << (rustc_hash::FxBuildHasher.hash_one(who) >> 57);
        self
    }

    /// Adds `count` times the other.
    pub fn add(&mut self, other: &Aggregate, count: i64) {
        for (slot, value) in self.values.iter_mut().zip(&other.values) {
            *slot += value * i128::from(count);
        }
        self.contributors += other.contributors * count;
        self.changed |= other.changed;
    }

    /// Whether values and contributors are zero, regardless of changes.
    pub fn is_zero(&self) -> bool {
        self.values == [0; 5] && self.contributors == 0
    }
}

/// How many cells of a contributor have room that is kept for the next one.
const ROOM: usize = 256;

/// Sums the differences of one epoch before they are sent. A contribution that is retracted and inserted again within
/// an epoch is no change of its contributor, whoever else changes the cell, on any worker.
#[derive(Default)]
pub struct DeltaBuffer {
    sums: FxHashMap<CellKey, Aggregate>,
    /// The differences of the current contributor.
    own: FxHashMap<CellKey, Aggregate>,
    /// How many cells the last epoch had, for which room is made at once.
    last: usize,
    /// The brands whose months are released by the ladder.
    ladders: BTreeSet<BrandId>,
}

impl DeltaBuffer {
    /// A buffer for some brands.
    pub fn new(settings: &Settings) -> DeltaBuffer {
        let brands = settings.brands.iter();
        let ladders = brands.filter(|(_, of)| of.has_ladder()).map(|(id, _)| *id);
        DeltaBuffer {
            ladders: ladders.collect(),
            ..DeltaBuffer::default()
        }
    }

    /// Whether the months of a brand are released by the ladder, which takes conversions as [`CellKey::Sale`].
    pub fn has_ladder(&self, brand: BrandId) -> bool {
        self.ladders.contains(&brand)
    }

    /// Adds `count` times the sums to a cell.
    pub fn add(&mut self, key: CellKey, sums: Aggregate, count: i64) {
        self.own.entry(key).or_default().add(&sums, count);
    }

    /// Ends the current contributor.
    pub fn end_contributor(&mut self) {
        if self.sums.capacity() == 0 && !self.own.is_empty() {
            self.sums.reserve(self.last);
        }
        for (key, sums) in self.own.drain().filter(|(_, sums)| !sums.is_zero()) {
            self.sums.entry(key).or_default().add(&sums, 1);
        }
        // To empty a map costs as much as it has room for, so that nobody pays for a large contributor before them.
        if self.own.capacity() > ROOM {
            self.own = FxHashMap::default();
        }
    }

    /// Takes the changes. Releases the buffer, whose memory the operators downstream may need.
    pub fn drain(&mut self) -> impl Iterator<Item = (CellKey, Aggregate)> + use<> {
        self.end_contributor();
        let sums = std::mem::take(&mut self.sums);
        self.last = sums.len();
        let sums = sums.into_iter();
        sums.filter(|(_, sums)| !sums.is_zero() || sums.changed != 0)
    }
}

//! What the operator learns: the visits of a store's salt day, and where devices were seen there.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::label::Label;
use crate::record::{BrandId, ClosedVisits, Day, IdSet, Pseudonym, RecordId};

/// A store and a salt day, which is all that matching looks at together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StoreDay {
    /// The brand.
    pub brand: BrandId,
    /// The store.
    pub store: Label,
    /// The salt day.
    pub salt_day: Day,
}

impl StoreDay {
    /// The routing hash.
    pub(super) fn route(&self) -> u64 {
        use std::hash::BuildHasher;
        rustc_hash::FxBuildHasher.hash_one(self)
    }
}

/// The visits of one token that may be matched, at least one, without the token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceVisits {
    /// The low 16 bits of the token's offline cookie.
    pub cookie: u16,
    /// The first and the last second of each visit, ascending.
    pub visits: Arc<[(i64, i64)]>,
}

/// A sighting of a device that counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SightingUpdate {
    /// Where and when.
    pub key: StoreDay,
    /// The device.
    pub device: Pseudonym,
    /// The sighting.
    pub sighting: Sighting,
}

/// One sighting of a device in a store and salt day. The derived order is that in which stays are made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sighting {
    /// The first second that it may stand for, Unix seconds.
    pub begin: i64,
    /// The last one.
    pub end: i64,
    /// The record's time, Unix milliseconds.
    pub ts: i64,
    /// The record's id.
    pub id: RecordId,
    /// The record's source.
    pub source: Label,
    /// The low 16 bits of its offline cookie, if it has one.
    pub cookie: Option<u16>,
    /// The identifiers of its record, unless the device is the only one.
    pub linked: Option<Arc<IdSet>>,
}

/// The input of [`Matching`](super::Matching).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MatchIn {
    /// The visits of a device.
    Visits(StoreDay, DeviceVisits),
    /// A sighting.
    Sighting(Box<SightingUpdate>),
    /// The salt day is closed: no visit changes after this epoch.
    Close(StoreDay),
    /// Visits of a day that was closed before a restart.
    Closed(ClosedVisits),
    /// To a worker: the salt days of a brand before the given one are settled, so that their visits are no longer needed.
    Settled(u64, BrandId, Day),
    /// To a worker: that is durable.
    Erase(u64, BrandId, Day),
    /// To a worker: another one accepts no sightings of a brand's salt days before the given one after this epoch.
    Accepts {
        /// The receiver.
        target: u64,
        /// The worker that says so.
        from: u64,
        /// The brand.
        brand: BrandId,
        /// The first salt day of which it accepts sightings.
        since: Day,
    },
}

impl MatchIn {
    /// The store and day, if it concerns one.
    pub(super) fn key(&self) -> Option<StoreDay> {
        match self {
            MatchIn::Visits(key, _) | MatchIn::Close(key) => Some(*key),
            MatchIn::Sighting(update) => Some(update.key),
            MatchIn::Closed(visits) => Some(StoreDay {
                brand: visits.brand,
                store: visits.store,
                salt_day: visits.salt_day,
            }),
            MatchIn::Settled(..) | MatchIn::Erase(..) | MatchIn::Accepts { .. } => None,
        }
    }
}

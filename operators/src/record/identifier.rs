//! Identifiers: the pseudonyms by which records of one person are linked.
//!
//! Identifiers never enter the dataflow in clear text. A connector canonicalizes a value and replaces it by a keyed hash; one
//! clear value may yield several hashes, because platforms canonicalize differently.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::engine::shared_bytes;
use crate::hash_key::HashKey;

/// The keyed hash of an identifier, 128 bits. Without the secret of the brand it cannot be traced to the identifier.
pub type Pseudonym = u128;

/// The kind of an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IdKind {
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A browser cookie.
    Cookie,
    /// A customer number.
    Customer,
    /// A payment wallet or loyalty card.
    Wallet,
    /// A device identifier.
    Device,
    /// First name, last name and postcode together.
    NamePostcode,
    /// The identifier of a click that an advertising platform appends to an address, such as `gclid`.
    ClickId,
}

impl IdKind {
    /// Every kind, in the order of their discriminants.
    pub const ALL: [IdKind; 8] = [
        IdKind::Email,
        IdKind::Phone,
        IdKind::Cookie,
        IdKind::Customer,
        IdKind::Wallet,
        IdKind::Device,
        IdKind::NamePostcode,
        IdKind::ClickId,
    ];

    /// The name of the kind in messages, settings and metrics.
    pub fn name(self) -> &'static str {
        match self {
            IdKind::Email => "email",
            IdKind::Phone => "phone",
            IdKind::Cookie => "cookie",
            IdKind::Customer => "customer",
            IdKind::Wallet => "wallet",
            IdKind::Device => "device",
            IdKind::NamePostcode => "name_postcode",
            IdKind::ClickId => "click_id",
        }
    }
}

/// One identifier of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identifier {
    /// The pseudonym of the identifier, by which records are linked.
    pub pseudonym: Pseudonym,
    /// The pseudonym of the clear value. Hashes of one clear value by several rules share it, and count as one identifier
    /// for the hub guard. Equal to `pseudonym` for an identifier that arrived as a hash.
    pub value: Pseudonym,
    /// The kind of identifier.
    pub kind: IdKind,
}

/// The identifiers of one record, sorted by pseudonym and without repetition. By definition they belong to one person. Cheap to
/// clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IdSet {
    /// See [`IdSet::key`].
    key: HashKey,
    /// Sorted by pseudonym.
    ids: Arc<[Identifier]>,
}

impl Hash for IdSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl IdSet {
    /// Sorts and deduplicates the identifiers of one record.
    pub fn new(mut ids: Vec<Identifier>) -> IdSet {
        IdSet::drain(&mut ids)
    }

    /// As [`IdSet::new`]; leaves the buffer empty and overwritten, for the identifiers of the next record.
    pub fn drain(ids: &mut Vec<Identifier>) -> IdSet {
        ids.sort_unstable();
        ids.dedup_by_key(|id| id.pseudonym);
        let key = match ids.is_empty() {
            true => 0,
            false => {
                let mut bytes = SmallVec::<[u8; 256]>::new();
                for id in &*ids {
                    bytes.extend_from_slice(&id.pseudonym.to_le_bytes());
                    bytes.extend_from_slice(&id.value.to_le_bytes());
                }
                xxhash_rust::xxh3::xxh3_128(&bytes).max(1)
            }
        };
        let set = IdSet {
            key: key.into(),
            ids: ids.as_slice().into(),
        };
        ids.fill(Identifier {
            pseudonym: 0,
            value: 0,
            kind: IdKind::Email,
        });
        ids.clear();
        set
    }

    /// The set of a record without identifiers.
    pub fn empty() -> IdSet {
        IdSet::new(Vec::new())
    }

    /// The key of the set: the 128-bit XXH3 of its pseudonyms and values. Zero only for the empty set.
    pub fn key(&self) -> u128 {
        self.key.into()
    }

    /// The identifiers, ascending.
    pub fn ids(&self) -> &[Identifier] {
        &self.ids
    }

    /// The bytes of its identifiers on the heap, divided among the sets that share them.
    pub fn heap_bytes(&self) -> usize {
        shared_bytes(&self.ids)
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// The bit beside the kind of a packed identifier that says that its clear value follows.
const HAS_VALUE: u8 = 1 << 7;

/// The identifiers of a set in as few bytes as they need: the number of the kind, the pseudonym, and the value if it is another.
/// The key of the set stands elsewhere.
pub(crate) struct PackedIds(Box<[u8]>);

impl PackedIds {
    /// Packs the identifiers of a set.
    pub(crate) fn pack(ids: &IdSet) -> PackedIds {
        let mut bytes = Vec::with_capacity(ids.ids.len() * (1 + 2 * size_of::<Pseudonym>()));
        for id in ids.ids() {
            let has_value = id.value != id.pseudonym;
            bytes.push(id.kind as u8 | if has_value { HAS_VALUE } else { 0 });
            bytes.extend_from_slice(&id.pseudonym.to_le_bytes());
            if has_value {
                bytes.extend_from_slice(&id.value.to_le_bytes());
            }
        }
        PackedIds(bytes.into())
    }

    /// The set, whose key is given.
    pub(crate) fn unpack(&self, key: HashKey) -> IdSet {
        let mut rest = &*self.0;
        let mut ids = Vec::with_capacity(rest.len() / (1 + size_of::<Pseudonym>()));
        while let Some(id) = unpack_id(&mut rest) {
            ids.push(id);
        }
        debug_assert!(rest.is_empty(), "what was packed can be unpacked");
        let ids = ids.into();
        IdSet { key, ids }
    }

    /// The bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.len()
    }
}

/// Takes an identifier from the front of a string.
fn unpack_id(bytes: &mut &[u8]) -> Option<Identifier> {
    let (marks, rest) = bytes.split_first()?;
    let kind = *IdKind::ALL.get(usize::from(marks & !HAS_VALUE))?;
    let (pseudonym, mut rest) = rest.split_first_chunk()?;
    let mut value = pseudonym;
    if marks & HAS_VALUE != 0 {
        (value, rest) = rest.split_first_chunk()?;
    }
    *bytes = rest;
    Some(Identifier {
        pseudonym: Pseudonym::from_le_bytes(*pseudonym),
        value: Pseudonym::from_le_bytes(*value),
        kind,
    })
}

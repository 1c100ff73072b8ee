//! The keys of a brand for data-subject requests.
//!
//! They are derived from the brand's secrets and its name, each under a separate context: two brands with the same
//! secret have unrelated keys (I7). A prefix separates the uses of the audit key, so that no output of one use can pass
//! as an output of another.
//!
//! The audit key stays that of the oldest secret across rotations, so the log and the receipts continue. The objection
//! list has one key for each [`KeyLevel`]: the entry of a pseudonym belongs to the secret under which the pseudonym was
//! made.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::hex::{Hash, Hex};

const AUDIT: &str = "tributary 2025-11 rights audit of one brand";
const SUPPRESSION: &str = "tributary 2025-11 suppression of one brand";

/// The keys of one brand. Debug output shows none.
#[derive(Clone)]
pub struct BrandKeys {
    name: String,
    tag: BrandTag,
    audit: Zeroizing<[u8; 32]>,
    /// One for each secret, the oldest first.
    suppression: Vec<Zeroizing<[u8; 32]>>,
}

/// The number of key rotations before a pseudonym was made, which is the number of key-chain links that it has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyLevel(pub u32);

impl KeyLevel {
    /// Under the first secret. What stands for a device is always of this level.
    pub const OLDEST: KeyLevel = KeyLevel(0);
}

/// What stands for a brand where it lasts: its name is no secret, and its number in a configuration does not last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BrandTag(pub [u8; 8]);

impl BrandTag {
    pub fn of(name: &str) -> BrandTag {
        let hash = blake3::hash(name.as_bytes());
        BrandTag(hash.as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

/// What stands for a request's id where it lasts: a keyed hash, since a person may have chosen the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestKey(pub(crate) Hex<16>);

/// What stands for a request's content: a keyed hash over every field, as parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub(crate) Hex<32>);

/// What a hash of the audit key is of.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Chain,
    RequestId,
    Content,
    Receipt,
}

impl std::fmt::Debug for BrandKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrandKeys").finish_non_exhaustive()
    }
}

impl std::fmt::Display for RequestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl BrandKeys {
    /// The keys of a brand of this name with this secret, its first.
    pub fn new(name: &str, secret: &SecretString) -> BrandKeys {
        BrandKeys {
            name: name.to_owned(),
            tag: BrandTag::of(name),
            audit: derive(AUDIT, name, secret),
            suppression: vec![derive(SUPPRESSION, name, secret)],
        }
    }

    /// These keys with a newer secret appended.
    pub fn with_newer_secret(mut self, newer: &SecretString) -> BrandKeys {
        let key = derive(SUPPRESSION, &self.name, newer);
        self.suppression.push(key);
        self
    }

    /// The level of the pseudonyms that the newest secret gives.
    pub fn newest(&self) -> KeyLevel {
        KeyLevel(u32::try_from(self.suppression.len() - 1).unwrap_or(u32::MAX))
    }

    /// The brand's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn tag(&self) -> BrandTag {
        self.tag
    }

    /// A hasher under the audit key.
    pub(crate) fn hasher(&self, purpose: Purpose) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&self.audit);
        hasher.update(match purpose {
            Purpose::Chain => b"chain\0",
            Purpose::RequestId => b"request\0",
            Purpose::Content => b"content\0",
            Purpose::Receipt => b"receipt\0",
        });
        hasher
    }

    /// A keyed hash of bytes under the audit key.
    pub(crate) fn hash(&self, purpose: Purpose, bytes: &[u8]) -> Hash {
        let mut hasher = self.hasher(purpose);
        Hash(Hex(*hasher.update(bytes).finalize().as_bytes()))
    }

    /// The entry of a pseudonym of a level in the objection list; none where the brand has no such level.
    pub(crate) fn suppression(&self, level: KeyLevel, pseudonym: u128) -> Option<[u8; 16]> {
        let mut hasher = blake3::Hasher::new_keyed(self.suppression.get(level.0 as usize)?);
        hasher.update(self.name.as_bytes());
        hasher.update(&pseudonym.to_le_bytes());
        Some(first_16(&hasher.finalize()))
    }

    /// What tells the key of a level from another one, without telling anything about it. It depends on the keys
    /// before it, too: with other ones, the pseudonyms of the level would be others. The name is followed by another
    /// number of bytes than a pseudonym has, so that it is the entry of nobody.
    pub(crate) fn suppression_check(&self, level: KeyLevel) -> Option<[u8; 16]> {
        let mut before: Option<[u8; 16]> = None;
        for number in 0..=level.0 as usize {
            let mut hasher = blake3::Hasher::new_keyed(self.suppression.get(number)?);
            hasher.update(self.name.as_bytes());
            hasher.update(b"\0key");
            hasher.update(before.as_ref().map_or(&[], |check| check.as_slice()));
            before = Some(first_16(&hasher.finalize()));
        }
        before
    }
}

fn derive(context: &str, name: &str, secret: &SecretString) -> Zeroizing<[u8; 32]> {
    let secret = secret.expose_secret().as_bytes();
    let mut material = Zeroizing::new(Vec::with_capacity(8 + name.len() + secret.len()));
    material.extend_from_slice(&(name.len() as u64).to_le_bytes());
    material.extend_from_slice(name.as_bytes());
    material.extend_from_slice(secret);
    Zeroizing::new(blake3::derive_key(context, &material))
}

pub(crate) fn first_16(hash: &blake3::Hash) -> [u8; 16] {
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

//! The keys of a brand, as far as the rights need them.
//!
//! They are derived from the brand's secret and its name, each under a context of its own: two brands that were
//! given the same secret have nothing in common (I7). Whatever the audit key makes is told apart by the word that it
//! starts with, so that none of it can be passed off as another.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::hex::{Hash, Hex};
use crate::request::RequestId;

const AUDIT: &str = "tributary 2025-11 rights audit of one brand";
const SUPPRESSION: &str = "tributary 2025-11 suppression of one brand";

/// The keys of one brand. Debug output shows none.
#[derive(Clone)]
pub struct BrandKeys {
    name: String,
    audit: Zeroizing<[u8; 32]>,
    suppression: Zeroizing<[u8; 32]>,
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
    /// The keys of a brand of this name with this secret.
    pub fn new(name: &str, secret: &SecretString) -> BrandKeys {
        let mut material = Zeroizing::new(Vec::with_capacity(
            8 + name.len() + secret.expose_secret().len(),
        ));
        material.extend_from_slice(&(name.len() as u64).to_le_bytes());
        material.extend_from_slice(name.as_bytes());
        material.extend_from_slice(secret.expose_secret().as_bytes());
        BrandKeys {
            name: name.to_owned(),
            audit: Zeroizing::new(blake3::derive_key(AUDIT, &material)),
            suppression: Zeroizing::new(blake3::derive_key(SUPPRESSION, &material)),
        }
    }

    /// The brand's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands for a request's id in the audit log.
    pub fn request(&self, id: &RequestId) -> RequestKey {
        let mut hasher = self.hasher(Purpose::RequestId);
        hasher.update(id.expose().as_bytes());
        RequestKey(Hex(first_16(&hasher.finalize())))
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

    /// The entry of a pseudonym in the objection list.
    pub(crate) fn suppression(&self, pseudonym: u128) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.suppression);
        hasher.update(self.name.as_bytes());
        hasher.update(&pseudonym.to_le_bytes());
        first_16(&hasher.finalize())
    }

    /// What tells the suppression key from another one, without telling anything about it. The name is followed
    /// by fewer bytes than a pseudonym has, so that it is the entry of nobody.
    pub(crate) fn suppression_check(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.suppression);
        hasher.update(self.name.as_bytes());
        first_16(&hasher.update(b"\0key").finalize())
    }
}

fn first_16(hash: &blake3::Hash) -> [u8; 16] {
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

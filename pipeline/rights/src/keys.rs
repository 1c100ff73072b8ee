//! Keys of a brand for requests of data subjects.
//!
//! They are derived from the brand's secrets and its name, each in a separate
//! context: two brands with the same secret have unrelated keys (I7). A prefix
//! separates the uses of the audit key, so that no output of one use can pass
//! as an output of another.
//!
//! IDs and contents of requests are hashed under the oldest secret across
//! rotations, so that a repeated request is recognized. Everything that proves
//! something has one key for each [`KeyLevel`]: entries of the audit log and
//! receipts are made under the newest secret, and whoever has only an older one
//! can neither continue the log nor sign a receipt that verifies under the newest
//! key. The entry of a pseudonym in the objection list begins with the secret
//! under which the pseudonym was made, and passes a link for each later one, so
//! that an older secret alone cannot tell whether somebody is on the list.

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::KeyInit;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroizing, zeroize_stack};

use crate::hex::{Hash, Hex};
use crate::signing::{PublicKey, ReceiptSigner};

mod messages;

pub(crate) use messages::Sealed;

/// Context of the derivation of the key of requests.
const REQUESTS: &str = "tributary 2025-11 rights audit of one brand";
/// Context of the derivation of the keys of the audit log.
const CHAIN: &str = "tributary 2026-11 audit chain of one brand";
/// Context of the derivation of the seeds of the keys that sign receipts.
const RECEIPTS: &str = "tributary 2026-11 receipts of one brand";
/// Context of the derivation of the keys that seal the lists beside the log.
const SEAL: &str = "tributary 2026-11 seal of the lists of one brand";
/// Context of the derivation of the keys of messages at the broker: copies of tombstones, and starts.
const COPIES: &str = "tributary 2026-11 copies of tombstones of one brand";
/// Context of the derivation of the keys of the objection list.
const SUPPRESSION: &str = "tributary 2025-11 suppression of one brand";

/// The keys of one brand. Debug output shows none.
///
/// # Example
///
/// ```
/// use secrecy::SecretString;
/// use tributary_rights::suppression::{Record, SuppressionSet};
/// use tributary_rights::{BrandKeys, KeyLevel};
///
/// let first = SecretString::from("f".repeat(40));
/// let second = SecretString::from("s".repeat(40));
/// let keys = BrandKeys::new("acme", &first).with_newer_secret(&second);
/// assert_eq!(keys.newest(), KeyLevel(1));
///
/// let pseudonym = 0x1234_u128;
/// let mut objections = SuppressionSet::default();
/// let at = 1_700_000_000_000;
/// let record = Record::objected(&keys, keys.newest(), pseudonym, at).ok_or("no such level")?;
/// objections.apply(&record);
/// assert!(objections.contains(&keys, KeyLevel(1), pseudonym));
/// // The same number under another secret, or of another brand, is another person.
/// assert!(!objections.contains(&keys, KeyLevel::OLDEST, pseudonym));
/// let other = BrandKeys::new("bolt", &first).with_newer_secret(&second);
/// assert!(!objections.contains(&other, KeyLevel(1), pseudonym));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone)]
pub struct BrandKeys {
    /// Name of the brand.
    name: String,
    /// Hash of the name.
    tag: BrandTag,
    /// Key of the IDs and contents of requests.
    requests: Zeroizing<[u8; 32]>,
    /// Keys of the oldest secret.
    oldest: LevelKeys,
    /// Keys of the newer secrets, in their order.
    newer: Vec<LevelKeys>,
}

/// The keys of one secret of a brand.
#[derive(Clone)]
struct LevelKeys {
    /// Key of entries of the audit log.
    chain: Zeroizing<[u8; 32]>,
    /// Key of the seals of the lists.
    seal: Zeroizing<[u8; 32]>,
    /// Key of the copies of tombstones at the broker.
    copies: Zeroizing<[u8; 32]>,
    /// Key of the entries of the objection list.
    suppression: Zeroizing<[u8; 32]>,
    /// Key that signs receipts.
    signer: ReceiptSigner,
}

impl LevelKeys {
    /// Derives the keys of a secret.
    fn new(name: &str, secret: &SecretString) -> LevelKeys {
        LevelKeys {
            chain: derive(CHAIN, name, secret),
            seal: derive(SEAL, name, secret),
            copies: derive(COPIES, name, secret),
            suppression: derive(SUPPRESSION, name, secret),
            signer: ReceiptSigner::new(derive(RECEIPTS, name, secret)),
        }
    }
}

/// The number of key rotations before a pseudonym was made, which is the number
/// of key-chain links that it has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyLevel(pub u32);

impl KeyLevel {
    /// The level of the first secret. Pseudonyms of devices always have this level.
    pub const OLDEST: KeyLevel = KeyLevel(0);
}

/// Identifies a brand in a file: a hash of its name, because its number in a
/// configuration is not stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BrandTag(pub [u8; 8]);

impl std::fmt::Display for BrandTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Hex(self.0).fmt(f)
    }
}

impl BrandTag {
    /// The first 8 bytes of BLAKE3 of the name.
    pub fn of(name: &str) -> BrandTag {
        let hash = blake3::hash(name.as_bytes());
        BrandTag(hash.as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

/// Identifies a request in the audit log: a keyed hash of its ID, because a
/// person may have chosen the ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestKey(pub(crate) Hex<16>);

/// Identifies the content of a request: a keyed hash over every parsed field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub(crate) Hex<32>);

/// Use of the key of requests, which determines the prefix of the hashed bytes.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// IDs of requests.
    RequestId,
    /// Contents of requests.
    Content,
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
    /// The keys of a brand with its first secret.
    pub fn new(name: &str, secret: &SecretString) -> BrandKeys {
        BrandKeys {
            name: name.to_owned(),
            tag: BrandTag::of(name),
            requests: derive(REQUESTS, name, secret),
            oldest: LevelKeys::new(name, secret),
            newer: Vec::new(),
        }
    }

    /// Appends the keys of a newer secret.
    pub fn with_newer_secret(mut self, newer: &SecretString) -> BrandKeys {
        self.newer.push(LevelKeys::new(&self.name, newer));
        self
    }

    /// The level of pseudonyms under the newest secret.
    pub fn newest(&self) -> KeyLevel {
        KeyLevel(u32::try_from(self.newer.len()).unwrap_or(u32::MAX))
    }

    /// The keys of a level; `None` if the brand has no such level.
    fn level(&self, level: KeyLevel) -> Option<&LevelKeys> {
        match level.0.checked_sub(1) {
            None => Some(&self.oldest),
            Some(newer) => self.newer.get(newer as usize),
        }
    }

    /// The key pair that signs receipts: that of the newest secret.
    pub(crate) fn signer(&self) -> &ReceiptSigner {
        &self.newer.last().unwrap_or(&self.oldest).signer
    }

    /// The public key of receipts that are signed now.
    pub fn signing_key(&self) -> PublicKey {
        self.signer().public().clone()
    }

    /// The public keys of all receipts that were ever signed, newest first.
    pub fn public_keys(&self) -> impl Iterator<Item = &PublicKey> {
        let levels = self.newer.iter().rev().chain([&self.oldest]);
        levels.map(|level| level.signer.public())
    }

    /// Name of the brand.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Hash of the brand's name.
    pub(crate) fn tag(&self) -> BrandTag {
        self.tag
    }

    /// A keyed hasher for one use of the key of requests.
    pub(crate) fn hasher(&self, purpose: Purpose) -> Zeroizing<blake3::Hasher> {
        let mut hasher = keyed(&self.requests);
        hasher.update(match purpose {
            Purpose::RequestId => b"request\0",
            Purpose::Content => b"content\0",
        });
        hasher
    }

    /// Keyed hash of an entry of the audit log under the key of a level; `None` if
    /// the brand has no such level.
    pub(crate) fn chain(&self, level: KeyLevel, bytes: &[u8]) -> Option<Hash> {
        let key = &self.level(level)?.chain;
        Some(Hash(Hex(*blake3::keyed_hash(key, bytes).as_bytes())))
    }

    /// Keyed hash of the content of a list under the key of a level; `None` if the
    /// brand has no such level.
    pub(crate) fn seal(&self, level: KeyLevel, bytes: &[u8]) -> Option<Hash> {
        let key = &self.level(level)?.seal;
        Some(Hash(Hex(*blake3::keyed_hash(key, bytes).as_bytes())))
    }

    /// The cipher of sealed messages under the key of a level, which overwrites its key
    /// in the end.
    fn copies(&self, level: KeyLevel) -> Option<XChaCha20Poly1305> {
        let key: &[u8; 32] = &self.level(level)?.copies;
        Some(XChaCha20Poly1305::new(key.into()))
    }

    /// The entries of a pseudonym of the level `made` in the objection list: for
    /// each level from that one to the newest, the entry that was entered while that
    /// level was the newest. Each follows from the one before and the key of its
    /// level, so that it takes all secrets from `made` on. Empty if the brand has no
    /// such level.
    pub(crate) fn suppressions(
        &self,
        made: KeyLevel,
        pseudonym: u128,
    ) -> impl Iterator<Item = (KeyLevel, [u8; 16])> {
        let mut before: Option<[u8; 16]> = None;
        (made.0..).map_while(move |level| {
            let key = &self.level(KeyLevel(level))?.suppression;
            let name = self.name.as_bytes();
            // At once, because every record asks, and a hasher would have to be overwritten.
            let input = match &before {
                None => [name, &pseudonym.to_le_bytes()].concat(),
                Some(entry) => [name, b"\0link", entry].concat(),
            };
            let entry = first_16(&blake3::keyed_hash(key, &input));
            before = Some(entry);
            Some((KeyLevel(level), entry))
        })
    }

    /// The tombstone of a pseudonym or token; `None` if the brand has no such level.
    /// The input differs in length from those of an entry of the objection list and of
    /// its links.
    pub(crate) fn tombstone(&self, level: KeyLevel, id: u128) -> Option<[u8; 16]> {
        let key = &self.level(level)?.suppression;
        let input = [self.name.as_bytes(), b"\0erased", &id.to_le_bytes()].concat();
        Some(first_16(&blake3::keyed_hash(key, &input)))
    }

    /// Check value of the key of a level; `None` if the brand has no such level.
    ///
    /// It identifies the key without revealing anything about it. It also depends
    /// on the keys before it, because pseudonyms pass through all of their links.
    /// The input differs in length from those of an entry and of its links, so that it
    /// is the entry of nobody.
    pub(crate) fn suppression_check(&self, level: KeyLevel) -> Option<[u8; 16]> {
        let mut before: Option<[u8; 16]> = None;
        for number in 0..=level.0 {
            let mut hasher = keyed(&self.level(KeyLevel(number))?.suppression);
            hasher.update(self.name.as_bytes());
            hasher.update(b"\0key");
            hasher.update(before.as_ref().map_or(&[], |check| check.as_slice()));
            before = Some(first_16(&hasher.finalize()));
        }
        before
    }
}

/// How much of the stack is overwritten after a key was derived, bytes; more than
/// BLAKE3 uses.
const DERIVE_STACK: usize = 8 << 10;

/// Derives a key from the length of the name, the name and the secret.
fn derive(context: &str, name: &str, secret: &SecretString) -> Zeroizing<[u8; 32]> {
    let key = derived(context, name, secret);
    zeroize_stack::<DERIVE_STACK>();
    key
}

/// [`derive`] before the stack is overwritten.
#[inline(never)]
fn derived(context: &str, name: &str, secret: &SecretString) -> Zeroizing<[u8; 32]> {
    let secret = secret.expose_secret().as_bytes();
    let mut material = Zeroizing::new(Vec::with_capacity(8 + name.len() + secret.len()));
    material.extend_from_slice(&(name.len() as u64).to_le_bytes());
    material.extend_from_slice(name.as_bytes());
    material.extend_from_slice(secret);
    Zeroizing::new(blake3::derive_key(context, &material))
}

/// A hasher under a key, which it overwrites in the end.
fn keyed(key: &[u8; 32]) -> Zeroizing<blake3::Hasher> {
    Zeroizing::new(blake3::Hasher::new_keyed(key))
}

/// The first 16 bytes of a hash.
pub(crate) fn first_16(hash: &blake3::Hash) -> [u8; 16] {
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod memory_tests;

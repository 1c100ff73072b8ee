//! Keys under which the ledger seals the entries of each brand.
//!
//! A brand's keys are derived from its secrets and its name in a separate
//! context (`blake3::derive_key`). They are independent of the keys of the
//! brand's pseudonyms, and two brands with the same secret have unrelated keys.
//! The newest key seals everything; older keys open what was sealed before a
//! rotation. Sealing uses XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), whose
//! associated data binds each sealed block to its place.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::SecretString;
use std::collections::BTreeMap;
use tributary_config::key_chain::{KeyChain, derive_key};
use tributary_config::model::{Brand, Config, Secret};
use tributary_operators::record::BrandId;
use zeroize::Zeroizing;

/// Context of the key derivation. Changing it makes every ledger unreadable.
const CONTEXT: &str = "tributary 2025-11 ledger of one brand";

/// Length of a nonce in bytes. Nonces are random: 192 bits do not repeat.
pub(crate) const NONCE: usize = 24;

/// The keys of all configured brands. Debug output shows none.
pub struct Keyring {
    /// Keys by brand.
    brands: BTreeMap<BrandId, BrandKeys>,
}

/// Keys of one brand, and the chain that maps its pseudonyms from one secret to
/// the next.
pub(crate) struct BrandKeys {
    /// Name of the brand.
    name: String,
    /// Maps pseudonyms from each secret to the next.
    chain: KeyChain,
    /// Keys of previous secrets, oldest first.
    previous: Vec<BrandKey>,
    /// Key of the current secret.
    newest: BrandKey,
}

/// One key of a brand. Its bytes are overwritten when it is dropped.
pub(crate) struct BrandKey {
    /// The key, for key checks.
    key: Zeroizing<[u8; 32]>,
    /// The AEAD under that key.
    cipher: XChaCha20Poly1305,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").finish_non_exhaustive()
    }
}

impl Keyring {
    /// Derives the keys of all brands of a configuration.
    pub fn new(config: &Config) -> Keyring {
        let brands = config.brands.iter();
        Keyring {
            brands: brands
                .map(|brand| (BrandId::of(&brand.name), BrandKeys::new(brand)))
                .collect(),
        }
    }

    /// The keys of a brand; `None` for an unknown brand.
    pub(crate) fn of(&self, brand: BrandId) -> Option<&BrandKeys> {
        self.brands.get(&brand)
    }

    /// The first brand.
    pub(crate) fn first(&self) -> Option<(BrandId, &BrandKeys)> {
        let first = self.brands.first_key_value();
        first.map(|(brand, keys)| (*brand, keys))
    }

    /// The keys of a brand by its name. The name is compared, because the ID is
    /// only a hash of it.
    pub(crate) fn find_by_name(&self, name: &str) -> Option<(BrandId, &BrandKeys)> {
        let brand = BrandId::of(name);
        let keys = self.of(brand).filter(|keys| keys.name == name)?;
        Some((brand, keys))
    }

    /// Number of links in the key chain of a brand; 0 for a brand without rotation,
    /// or an unknown one.
    pub(crate) fn links(&self, brand: BrandId) -> usize {
        self.of(brand).map_or(0, BrandKeys::links)
    }

    /// The first brand that `other` lacks, or of which it has other secrets.
    pub(crate) fn first_changed<'a>(&'a self, other: &Keyring) -> Option<&'a str> {
        let is_same = |held: &BrandKeys, other: &BrandKeys| {
            held.links() == other.links() && other.continues(held)
        };
        let mut brands = self.brands.iter();
        brands.find_map(|(brand, held)| match other.of(*brand) {
            Some(other) if is_same(held, other) => None,
            _ => Some(held.name()),
        })
    }

    /// The first brand whose secrets in `newer` do not continue those in `self`, or
    /// that only one of the two contains.
    pub(crate) fn first_mismatch<'a>(&'a self, newer: &'a Keyring) -> Option<&'a str> {
        let mut brands = self.brands.keys().chain(newer.brands.keys());
        brands.find_map(|brand| match (self.of(*brand), newer.of(*brand)) {
            (Some(held), Some(newer)) if newer.continues(held) => None,
            (Some(held), _) => Some(held.name()),
            (None, newer) => newer.map(BrandKeys::name),
        })
    }
}

impl BrandKeys {
    /// Derives the keys of a brand.
    fn new(brand: &Brand) -> BrandKeys {
        let key = |secret: &Secret| BrandKey::new(&brand.name, secret);
        BrandKeys {
            name: brand.name.clone(),
            chain: KeyChain::new(brand),
            previous: brand.previous_secrets.iter().map(key).collect(),
            newest: key(&brand.secret),
        }
    }

    /// Name of the brand.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The chain that maps pseudonyms from one secret to the next.
    pub fn chain(&self) -> &KeyChain {
        &self.chain
    }

    /// The key that seals new blocks.
    pub fn newest(&self) -> &BrandKey {
        &self.newest
    }

    /// Number of links between the oldest secret and the newest.
    pub fn links(&self) -> usize {
        self.previous.len()
    }

    /// All keys, oldest first.
    fn keys(&self) -> impl Iterator<Item = &BrandKey> {
        self.previous.iter().chain([&self.newest])
    }

    /// Whether the keys begin with those of `before`.
    fn continues(&self, before: &BrandKeys) -> bool {
        let mut keys = self.keys();
        self.name == before.name
            && before
                .keys()
                .all(|held| keys.next().is_some_and(|key| key.key == held.key))
    }

    /// The key after `links` rotations, and its check value in this ledger. `None`
    /// if there were fewer rotations.
    ///
    /// The check identifies the key without revealing anything about it. It also
    /// depends on all earlier keys, because pseudonyms pass through their links.
    pub fn key_after(&self, links: usize, ledger: &[u8; 16]) -> Option<(&BrandKey, [u8; 16])> {
        let mut before = None;
        for key in self.keys().take(links.checked_add(1)?) {
            let check = key.check(ledger, before.map(|(_, check)| check));
            before = Some((key, check));
        }
        before.filter(|_| links <= self.links())
    }
}

impl BrandKey {
    /// Derives the key of a brand from one secret.
    fn new(brand: &str, secret: &SecretString) -> BrandKey {
        BrandKey::from_bytes(derive_key(CONTEXT, brand, secret))
    }

    /// A new random key.
    pub fn draw() -> BrandKey {
        BrandKey::from_bytes(Zeroizing::new(rand::random()))
    }

    /// The key with these bytes.
    pub fn from_bytes(key: Zeroizing<[u8; 32]>) -> BrandKey {
        let cipher = XChaCha20Poly1305::new((&*key).into());
        BrandKey { key, cipher }
    }

    /// The bytes of the key.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.key
    }

    /// A hasher under the key, which it overwrites in the end.
    fn hasher(&self) -> Zeroizing<blake3::Hasher> {
        Zeroizing::new(blake3::Hasher::new_keyed(&self.key))
    }

    /// Check value: keyed BLAKE3 over the ledger's ID and the check of the previous
    /// secret (FORMAT.md, section *MANIFEST*).
    fn check(&self, ledger: &[u8; 16], before: Option<[u8; 16]>) -> [u8; 16] {
        let mut hasher = self.hasher();
        hasher
            .update(b"tributary key check\0\0\0\0\0")
            .update(ledger);
        hasher.update(before.as_ref().map_or(&[], |check| check.as_slice()));
        let hash = hasher.finalize();
        let first: Option<&[u8; 16]> = hash.as_bytes().first_chunk();
        first.copied().unwrap_or_default()
    }

    /// Code of a manifest: keyed BLAKE3 over its content (FORMAT.md, section
    /// *MANIFEST*).
    pub fn seal_manifest(&self, content: &[u8]) -> [u8; 32] {
        let mut hasher = self.hasher();
        hasher.update(b"tributary manifest\0").update(content);
        *hasher.finalize().as_bytes()
    }

    /// Code of a commit: keyed BLAKE3 over its parts (FORMAT.md, section *Commit*).
    pub fn commit_code(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hasher = self.hasher();
        hasher.update(b"tributary commit\0");
        for part in parts {
            hasher.update(part);
        }
        *hasher.finalize().as_bytes()
    }

    /// Keystream for the counts in the header of the block with this nonce
    /// (FORMAT.md, section *Data block*).
    pub fn count_mask(&self, nonce: &[u8; NONCE]) -> [u8; 20] {
        let mut hasher = self.hasher();
        hasher.update(b"tributary block counts\0").update(nonce);
        let mut mask = [0; 20];
        hasher.finalize_xof().fill(&mut mask);
        mask
    }

    /// Encrypts `plain` with `place` as associated data, under a random nonce.
    /// `None` if the message is too long for the cipher.
    pub fn seal(&self, place: &[u8], plain: &[u8]) -> Option<([u8; NONCE], Vec<u8>)> {
        let nonce: [u8; NONCE] = rand::random();
        let sealed = self.seal_under(nonce, place, plain)?;
        Some((nonce, sealed))
    }

    /// As [`BrandKey::seal`], under a nonce that was drawn for this message.
    pub fn seal_under(&self, nonce: [u8; NONCE], place: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        let payload = Payload {
            msg: plain,
            aad: place,
        };
        self.cipher.encrypt(&XNonce::from(nonce), payload).ok()
    }

    /// Decrypts a message that was sealed under this key for this `place`. `None`
    /// for any other message.
    pub fn open(&self, place: &[u8], nonce: [u8; NONCE], sealed: &[u8]) -> Option<Vec<u8>> {
        let payload = Payload {
            msg: sealed,
            aad: place,
        };
        self.cipher.decrypt(&XNonce::from(nonce), payload).ok()
    }
}

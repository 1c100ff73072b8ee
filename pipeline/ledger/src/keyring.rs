//! The keys under which the ledger seals the entries of each brand.
//!
//! A brand's keys are derived from its secrets and its name under a separate context. They share nothing with the keys
//! of the brand's pseudonyms, and two brands with the same secret have unrelated keys. The newest key seals everything;
//! older keys open what was sealed before the secret was rotated. The associated data binds each sealed block to its
//! place, so that it opens nowhere else.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::SecretString;
use std::collections::BTreeMap;
use tributary_config::key_chain::{KeyChain, derive_key};
use tributary_config::model::{Brand, Config};
use tributary_operators::record::BrandId;
use zeroize::Zeroizing;

const CONTEXT: &str = "tributary 2025-11 ledger of one brand";

/// The length of a nonce. It is drawn at random: 192 bits do not repeat.
pub(crate) const NONCE: usize = 24;

/// The keys of all configured brands. Debug output shows none.
pub struct Keyring {
    brands: BTreeMap<BrandId, BrandKeys>,
}

/// The keys of one brand, and how its pseudonyms move from one secret to the next.
pub(crate) struct BrandKeys {
    name: String,
    chain: KeyChain,
    /// The oldest first.
    previous: Vec<BrandKey>,
    newest: BrandKey,
}

/// A key of one brand.
pub(crate) struct BrandKey {
    key: Zeroizing<[u8; 32]>,
    cipher: XChaCha20Poly1305,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").finish_non_exhaustive()
    }
}

impl Keyring {
    /// The keys of a configuration's brands.
    pub fn new(config: &Config) -> Keyring {
        let brands = config.brands.iter();
        Keyring {
            brands: brands
                .map(|brand| (BrandId::of(&brand.name), BrandKeys::new(brand)))
                .collect(),
        }
    }

    pub(crate) fn of(&self, brand: BrandId) -> Option<&BrandKeys> {
        self.brands.get(&brand)
    }

    pub(crate) fn find_by_name(&self, name: &str) -> Option<(BrandId, &BrandKeys)> {
        let brand = BrandId::of(name);
        let keys = self.of(brand).filter(|keys| keys.name == name)?;
        Some((brand, keys))
    }

    /// How many links the pseudonyms of a brand go through.
    pub(crate) fn links(&self, brand: BrandId) -> usize {
        self.of(brand).map_or(0, BrandKeys::links)
    }

    /// The first brand whose secrets are not those of the other keyring, perhaps with newer ones behind them, or
    /// that only one of the two knows.
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
    fn new(brand: &Brand) -> BrandKeys {
        let key = |secret: &SecretString| BrandKey::new(&brand.name, secret);
        BrandKeys {
            name: brand.name.clone(),
            chain: KeyChain::new(brand),
            previous: brand.previous_secrets.iter().map(key).collect(),
            newest: key(&brand.secret),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn chain(&self) -> &KeyChain {
        &self.chain
    }

    pub fn newest(&self) -> &BrandKey {
        &self.newest
    }

    /// How many links there are between the oldest secret and the newest.
    pub fn links(&self) -> usize {
        self.previous.len()
    }

    fn keys(&self) -> impl Iterator<Item = &BrandKey> {
        self.previous.iter().chain([&self.newest])
    }

    fn continues(&self, before: &BrandKeys) -> bool {
        let mut keys = self.keys();
        self.name == before.name
            && before
                .keys()
                .all(|held| keys.next().is_some_and(|key| key.key == held.key))
    }

    /// The key behind so many links, and what tells it from another one in this ledger without telling anything about
    /// it. The check depends on the keys before it, too: with other ones, pseudonyms would not meet.
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
    fn new(brand: &str, secret: &SecretString) -> BrandKey {
        let key = derive_key(CONTEXT, brand, secret);
        let cipher = XChaCha20Poly1305::new((&*key).into());
        BrandKey { key, cipher }
    }

    fn check(&self, ledger: &[u8; 16], before: Option<[u8; 16]>) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher
            .update(b"tributary key check\0\0\0\0\0")
            .update(ledger);
        hasher.update(before.as_ref().map_or(&[], |check| check.as_slice()));
        let hash = hasher.finalize();
        let first: Option<&[u8; 16]> = hash.as_bytes().first_chunk();
        first.copied().unwrap_or_default()
    }

    /// Seals, under a nonce drawn for it.
    pub fn seal(&self, place: &[u8], plain: &[u8]) -> Option<([u8; NONCE], Vec<u8>)> {
        let nonce: [u8; NONCE] = rand::random();
        let payload = Payload {
            msg: plain,
            aad: place,
        };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).ok()?;
        Some((nonce, sealed))
    }

    /// Opens what was sealed for this very place under this key, and nothing else.
    pub fn open(&self, place: &[u8], nonce: [u8; NONCE], sealed: &[u8]) -> Option<Vec<u8>> {
        let payload = Payload {
            msg: sealed,
            aad: place,
        };
        self.cipher.decrypt(&XNonce::from(nonce), payload).ok()
    }
}

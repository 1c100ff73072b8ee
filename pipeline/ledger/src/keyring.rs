//! The keys of the brands, as far as the ledger needs them.
//!
//! A brand's key is derived from its secret and its name, under a context of its own: it has nothing in common
//! with the key of the brand's pseudonyms, and two brands that were given the same secret have nothing in common
//! either. What is sealed is bound to its place by the associated data, so that it opens nowhere else.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rustc_hash::FxHashMap;
use secrecy::ExposeSecret;
use tributary_config::model::{Brand, Config};
use tributary_operators::record::BrandId;
use zeroize::Zeroizing;

const CONTEXT: &str = "tributary 2025-11 ledger of one brand";

/// The length of a nonce. It is drawn at random: 192 bits do not repeat.
pub(crate) const NONCE: usize = 24;

/// The keys of all configured brands. Debug output shows none.
pub struct Keyring {
    keys: Vec<BrandKey>,
    names: FxHashMap<String, BrandId>,
}

/// The key of one brand.
pub(crate) struct BrandKey {
    name: String,
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
        let ids = (0..=u16::MAX).map(BrandId);
        let brands = || config.brands.iter();
        Keyring {
            names: brands().map(|brand| brand.name.clone()).zip(ids).collect(),
            keys: brands().map(BrandKey::new).collect(),
        }
    }

    pub(crate) fn of(&self, brand: BrandId) -> Option<&BrandKey> {
        self.keys.get(usize::from(brand.0))
    }

    pub(crate) fn named(&self, name: &str) -> Option<(BrandId, &BrandKey)> {
        let brand = *self.names.get(name)?;
        Some((brand, self.of(brand)?))
    }
}

impl BrandKey {
    fn new(brand: &Brand) -> BrandKey {
        let mut material = Zeroizing::new(Vec::new());
        material.extend_from_slice(&(brand.name.len() as u64).to_le_bytes());
        material.extend_from_slice(brand.name.as_bytes());
        material.extend_from_slice(brand.secret.expose_secret().as_bytes());
        let key = Zeroizing::new(blake3::derive_key(CONTEXT, &material));
        let cipher = XChaCha20Poly1305::new((&*key).into());
        BrandKey {
            name: brand.name.clone(),
            key,
            cipher,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What tells this key from another one in this ledger, without telling anything about it.
    pub fn check(&self, ledger: &[u8; 16]) -> [u8; 16] {
        let mut input = *b"tributary key check\0\0\0\0\0................";
        if let Some(to) = input.last_chunk_mut::<16>() {
            *to = *ledger;
        }
        let hash = blake3::keyed_hash(&self.key, &input);
        let mut check = [0; 16];
        let bytes = hash.as_bytes().iter();
        check
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        check
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

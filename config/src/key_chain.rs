//! A brand's secrets over time, and the rekeying of pseudonyms from one to the next.
//!
//! The clear value behind a pseudonym no longer exists, so a pseudonym cannot be recomputed. Rotation rekeys the old
//! pseudonym instead: the first one is keyed with the oldest secret, and each later secret is one **link**, a keyed
//! hash of the pseudonym before it. Equal values remain equal after every link, so records stay connected, and new
//! identifiers pass through the whole chain and match stored ones. With one secret there are no links.
//!
//! All secrets stay in the configuration. An old secret alone opens nothing and yields no stored pseudonym, but the
//! newest one yields none without it.

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::model::Brand;

const CONTEXT: &str = "tributary 2025-11 link of the pseudonyms of one brand";

/// The context of [`prove_secrets`].
const PROOF: &str = "tributary 2025-11 proof of the secrets of one brand";

/// The links between a brand's secrets. Debug output shows no key.
#[derive(Clone)]
pub struct KeyChain {
    links: Vec<Zeroizing<[u8; 32]>>,
}

impl std::fmt::Debug for KeyChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain")
            .field("links", &self.links.len())
            .finish_non_exhaustive()
    }
}

impl KeyChain {
    /// The links from a brand's oldest secret to its newest.
    pub fn new(brand: &Brand) -> KeyChain {
        let later = brand.secrets().skip(1);
        KeyChain {
            links: later.map(|s| derive_key(CONTEXT, &brand.name, s)).collect(),
        }
    }

    /// How many links there are: one less than secrets.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// Rekeys a pseudonym that has passed the first `from` links through all later ones.
    pub fn rekey_from(&self, pseudonym: u128, from: usize) -> u128 {
        (from..self.links()).fold(pseudonym, |pseudonym, link| self.rekey(pseudonym, link))
    }

    /// Rekeys a pseudonym that has passed the first `link` links through the next one, if there is one.
    pub fn rekey(&self, pseudonym: u128, link: usize) -> u128 {
        let Some(key) = self.links.get(link) else {
            return pseudonym;
        };
        let hash = blake3::keyed_hash(key, &pseudonym.to_le_bytes());
        let first: Option<&[u8; 16]> = hash.as_bytes().first_chunk();
        u128::from_le_bytes(first.copied().unwrap_or_default())
    }
}

/// A proof over a challenge that only a holder of all secrets of a brand, in order, can compute. It reveals none of them.
pub fn prove_secrets(brand: &Brand, challenge: &str) -> String {
    proof_hash(brand, challenge).to_hex().to_string()
}

/// Whether a proof over a challenge was computed with all secrets of a brand. Compares in constant time.
pub fn verify_proof(brand: &Brand, challenge: &str, proof: &str) -> bool {
    // The comparison of hashes runs in constant time.
    blake3::Hash::from_hex(proof).is_ok_and(|proof| proof == proof_hash(brand, challenge))
}

fn proof_hash(brand: &Brand, challenge: &str) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(&derive_key(PROOF, &brand.name, &brand.secret));
    for secret in brand.secrets() {
        hasher.update(&*derive_key(PROOF, &brand.name, secret));
    }
    hasher.update(challenge.as_bytes()).finalize()
}

/// A key of a brand for one purpose, which is the context. The brand's name is part of it, so that two brands that
/// were given the same secret still have nothing in common.
pub fn derive_key(context: &str, brand: &str, secret: &SecretString) -> Zeroizing<[u8; 32]> {
    let mut material = Zeroizing::new(Vec::new());
    material.extend_from_slice(&(brand.len() as u64).to_le_bytes());
    material.extend_from_slice(brand.as_bytes());
    material.extend_from_slice(secret.expose_secret().as_bytes());
    Zeroizing::new(blake3::derive_key(context, &material))
}

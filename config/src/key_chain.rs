//! A brand's secrets over time, and the rekeying of pseudonyms from one to the
//! next.
//!
//! The clear value behind a pseudonym no longer exists, so a pseudonym cannot
//! be recomputed. Rotation rekeys the old pseudonym instead: the first one is
//! keyed with the oldest secret, and each later secret is one **link**, a keyed
//! hash of the pseudonym before it. Equal values remain equal after every link,
//! so records stay connected, and new identifiers pass through the whole chain
//! and match stored ones. With one secret there are no links.
//!
//! ```text
//!  value ─ key(secret 1) ─▶ pseudonym 1 ─ link(secret 2) ─▶ pseudonym 2 ─ link(secret 3) ─▶ …
//! ```
//!
//! All secrets stay in the configuration. An old secret alone opens nothing and
//! yields no stored pseudonym, but the newest one yields none without it.
//!
//! Hashes and key derivation are those of BLAKE3 (section 2.3 of its
//! specification: *keyed hash*, *derive key*). The context strings are part of
//! what is stored and never change.

use secrecy::{ExposeSecret, SecretString};
use zeroize::{Zeroizing, zeroize_stack};

use crate::model::Brand;

/// The derivation context of the links.
const CONTEXT: &str = "tributary 2025-11 link of the pseudonyms of one brand";

/// The derivation context of [`prove_secrets`].
const PROOF: &str = "tributary 2025-11 proof of the secrets of one brand";

/// How much of the stack is overwritten after a key was derived, bytes; more than
/// BLAKE3 uses.
const DERIVE_STACK: usize = 8 << 10;

/// The links between a brand's secrets. Debug output shows their number only.
#[derive(Clone)]
pub struct KeyChain {
    /// The key of each link; overwritten when the chain is dropped.
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

    /// The number of links: one less than the number of secrets.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// Rekeys a pseudonym that has passed the first `from` links through all
    /// later ones. From the last link on, the pseudonym is returned unchanged.
    /// ```
    /// use tributary_config::key_chain::KeyChain;
    /// # use std::path::Path;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = |name: &str| folder.path().join(name);
    /// # std::fs::write(path("new"), "0ae8baaec39b4c10fe0cec696b25e860")?;
    /// # std::fs::set_permissions(path("new"), std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    /// # std::fs::write(path("old"), "224ff3c627f30dd0f8e3fdb63bf28aa6")?;
    /// # std::fs::set_permissions(path("old"), std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    /// # let text = format!(
    /// #     "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_file = {:?}\n\
    /// #      previous_secret_files = [{:?}]\n",
    /// #     path("new"),
    /// #     path("old")
    /// # );
    /// # let brand = tributary_config::parse(&text, Path::new("t.toml"))?.config.brands.remove(0);
    /// // A brand with one previous secret has one link.
    /// let chain = KeyChain::new(&brand);
    /// assert_eq!(chain.links(), 1);
    /// let stored = 7;
    /// assert_ne!(chain.rekey_from(stored, 0), stored);
    /// assert_eq!(chain.rekey_from(stored, 1), stored, "it has passed every link");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rekey_from(&self, pseudonym: u128, from: usize) -> u128 {
        (from..self.links()).fold(pseudonym, |pseudonym, link| self.rekey(pseudonym, link))
    }

    /// Rekeys a pseudonym that has passed the first `link` links through the
    /// next one; returns it unchanged if there is none. The result is the first
    /// 128 bits of the keyed hash, little-endian.
    pub fn rekey(&self, pseudonym: u128, link: usize) -> u128 {
        let Some(key) = self.links.get(link) else {
            return pseudonym;
        };
        let hash = blake3::keyed_hash(key, &pseudonym.to_le_bytes());
        let first: Option<&[u8; 16]> = hash.as_bytes().first_chunk();
        u128::from_le_bytes(first.copied().unwrap_or_default())
    }
}

/// Computes a proof over a challenge that only a holder of all secrets of a
/// brand, in order, can compute. It reveals none of them. The proof is 64 hex
/// digits; the challenge must be fresh. The processes of a cluster compare
/// proofs before they exchange data: a process with other secrets would
/// contribute pseudonyms that match nothing.
pub fn prove_secrets(brand: &Brand, challenge: &str) -> String {
    proof_hash(brand, challenge).to_hex().to_string()
}

/// Whether a proof over a challenge was computed with all secrets of a brand,
/// in order. The comparison takes constant time; a text that is no proof is
/// false.
/// ```
/// use tributary_config::key_chain::{prove_secrets, verify_proof};
/// # use std::path::Path;
/// # let folder = tempfile::tempdir()?;
/// # let secret = folder.path().join("acme.secret");
/// # std::fs::write(&secret, "224ff3c627f30dd0f8e3fdb63bf28aa6")?;
/// # std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
/// # let text = format!("[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_file = {secret:?}\n");
/// # let brand = tributary_config::parse(&text, Path::new("t.toml"))?.config.brands.remove(0);
///
/// let proof = prove_secrets(&brand, "challenge 1");
/// assert!(verify_proof(&brand, "challenge 1", &proof));
/// assert!(!verify_proof(&brand, "challenge 2", &proof));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify_proof(brand: &Brand, challenge: &str, proof: &str) -> bool {
    // The comparison of hashes runs in constant time.
    blake3::Hash::from_hex(proof).is_ok_and(|proof| proof == proof_hash(brand, challenge))
}

/// The keyed hash behind a proof: over the derived keys of all secrets and the
/// challenge, under a key derived from the newest secret.
fn proof_hash(brand: &Brand, challenge: &str) -> blake3::Hash {
    let key = derive_key(PROOF, &brand.name, &brand.secret);
    let mut hasher = Zeroizing::new(blake3::Hasher::new_keyed(&key));
    for secret in brand.secrets() {
        hasher.update(&*derive_key(PROOF, &brand.name, secret));
    }
    hasher.update(challenge.as_bytes()).finalize()
}

/// Derives a key of a brand for one purpose, which `context` names: a constant
/// of the program, globally unique, as BLAKE3 requires. The brand's name is
/// part of the input, so two brands with the same secret have no key in common.
///
/// ```
/// use secrecy::SecretString;
/// use tributary_config::key_chain::derive_key;
///
/// let secret = SecretString::from("224ff3c627f30dd0f8e3fdb63bf28aa6");
/// let key = derive_key("example 2026-11 a purpose", "acme", &secret);
/// assert_ne!(key, derive_key("example 2026-11 a purpose", "zeta", &secret));
/// assert_ne!(key, derive_key("example 2026-11 another purpose", "acme", &secret));
/// ```
pub fn derive_key(context: &str, brand: &str, secret: &SecretString) -> Zeroizing<[u8; 32]> {
    let key = derived(context, brand, secret);
    zeroize_stack::<DERIVE_STACK>();
    key
}

/// [`derive_key`] before the stack is overwritten.
#[inline(never)]
fn derived(context: &str, brand: &str, secret: &SecretString) -> Zeroizing<[u8; 32]> {
    let secret = secret.expose_secret();
    // Grown, it would leave copies behind.
    let mut material = Zeroizing::new(Vec::with_capacity(8 + brand.len() + secret.len()));
    material.extend_from_slice(&(brand.len() as u64).to_le_bytes());
    material.extend_from_slice(brand.as_bytes());
    material.extend_from_slice(secret.as_bytes());
    Zeroizing::new(blake3::derive_key(context, &material))
}

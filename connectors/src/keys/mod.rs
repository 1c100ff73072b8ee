//! Pseudonyms: the keyed hashes of identifiers, and how a value is prepared before it is hashed.
//!
//! A clear value is canonicalized and hashed with SHA-256 under every rule that the brand enables, and the digest is
//! then hashed with the brand's key: plain SHA-256 of an e-mail address or a phone number can be reversed by
//! dictionary, a keyed hash cannot. A value that arrives as a digest enters at the second stage, so clear and hashed
//! values match. Opaque values (cookies, wallets, devices) go straight to the keyed hash. The clear text stays in one
//! buffer that is overwritten before the decoder leaves the record.
//!
//! A brand that rotated its secret first keys with its oldest secret and then rekeys for every later one
//! ([`tributary_config::key_chain`]), so that new records match those stored earlier. A record is read under the oldest
//! secret and rekeyed once it is complete ([`crate::decode`]); its identifiers under the intermediate secrets exist
//! only there, and only for a moment.

mod blocklist;
mod canonical;
mod phone;

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tributary_config::key_chain::{KeyChain, derive_key};
use tributary_config::model::{Brand, HashRule, Source};
use tributary_operators::record::{IdKind, Identifier};
use zeroize::{Zeroize, Zeroizing};

use blocklist::Blocklist;
use phone::PhoneCache;
pub use phone::Region;

/// The most bytes that an identifier may have, as it comes.
pub const MAX_IDENTIFIER: usize = 1024;

const CONTEXT: &str = "tributary 2025-11 pseudonyms of one brand";

/// What turns a brand's identifiers into pseudonyms. Debug output shows no key.
#[derive(Clone)]
pub struct BrandKey {
    /// Of the oldest secret.
    key: Zeroizing<[u8; 32]>,
    chain: KeyChain,
    rules: Arc<[HashRule]>,
    blocked: Arc<Blocklist>,
    region: Region,
}

/// How a source's values are to be read.
#[derive(Clone, Copy, Debug)]
pub struct IdentifierRules {
    /// The region of phone numbers without a country code.
    pub region: Region,
    /// The rule of values that come as digests.
    pub rule: HashRule,
}

/// Buffers of one worker thread: the clear text of the value in hand, and the pseudonyms of the phone
/// numbers seen last (never the numbers).
#[derive(Clone, Default)]
pub struct Scratch {
    clear: Zeroizing<String>,
    phones: PhoneCache,
}

impl std::fmt::Debug for BrandKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrandKey").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

impl BrandKey {
    /// The key of a brand, derived from its secrets and its name, so that two brands that were given
    /// the same secret still have nothing in common.
    pub fn new(brand: &Brand) -> BrandKey {
        let oldest = brand.secrets().next().unwrap_or(&brand.secret);
        let region = Region::of(brand.phone_region.as_deref());
        let mut rules = brand.identity.rules.clone();
        if rules.is_empty() {
            rules.push(HashRule::Plain);
        }
        BrandKey {
            key: derive_key(CONTEXT, &brand.name, oldest),
            chain: KeyChain::new(brand),
            rules: rules.into(),
            blocked: Arc::new(Blocklist::new(&brand.identity.blocked, region)),
            region,
        }
    }

    /// How the values of a source of this brand are to be read.
    pub fn rules_of(&self, source: &Source) -> IdentifierRules {
        let own = Region::of(source.phone_region.as_deref());
        IdentifierRules {
            region: if own.is_none() { self.region } else { own },
            rule: source.hash_rule,
        }
    }

    /// How values are to be read that come from no source: the brand's region, the plain rule.
    pub fn default_rules(&self) -> IdentifierRules {
        IdentifierRules {
            region: self.region,
            rule: HashRule::Plain,
        }
    }

    /// The links between its secrets.
    pub fn chain(&self) -> &KeyChain {
        &self.chain
    }

    /// The keyed hash over kind, rule and value: BLAKE3, the first 128 bits. The value of an e-mail, a phone
    /// number and a customer number is the 32 bytes of its SHA-256, of the others its text.
    fn pseudonym(&self, kind: IdKind, rule: HashRule, value: &[u8]) -> u128 {
        self.hash(kind_tag(kind), rule_tag(rule), value)
    }

    /// The keyed hash of a MAC. It is held nowhere: the salt of the day makes a token of it at once. Tokens cannot
    /// be re-keyed, so this hash is under the oldest secret for good, and a device stays the same device
    /// through a day in which the secret is exchanged.
    pub fn mac(&self, mac: u64) -> u128 {
        self.hash(b'M', 0, &mac.to_be_bytes())
    }

    /// The keyed hash of a `device` that a sensor has already hashed; like that of a MAC.
    pub fn sensor_device(&self, device: &str) -> u128 {
        self.hash(b'D', 0, device.as_bytes())
    }

    fn hash(&self, tag: u8, rule: u8, value: &[u8]) -> u128 {
        let mut buffer = [0_u8; 130];
        let digest = match buffer.get_mut(..value.len() + 2) {
            Some(input) => {
                if let [first, second, rest @ ..] = &mut *input {
                    (*first, *second) = (tag, rule);
                    rest.copy_from_slice(value);
                }
                let digest = blake3::keyed_hash(&self.key, input);
                input.zeroize();
                digest
            }
            None => {
                let mut hasher = blake3::Hasher::new_keyed(&self.key);
                hasher.update(&[tag, rule]).update(value);
                hasher.finalize()
            }
        };
        first_128(digest.as_bytes())
    }

    /// The identifiers of one value of a record, in clear or as a digest, under the oldest secret, appended to
    /// `out`. False where the value names nobody: empty, blocked, or a phone number that is none.
    pub(crate) fn identifiers(
        &self,
        kind: IdKind,
        text: &str,
        reading: IdentifierRules,
        scratch: &mut Scratch,
        out: &mut Vec<Identifier>,
    ) -> bool {
        let named = self.read(kind, text, reading, scratch, out);
        scratch.clear.zeroize();
        named
    }

    /// The identifiers of a clear value (or a digest under the plain rule) that comes from no source, under the
    /// newest secret.
    pub fn identify(&self, kind: IdKind, text: &str) -> Vec<Identifier> {
        let mut out = Vec::new();
        let reading = self.default_rules();
        self.identifiers(kind, text, reading, &mut Scratch::default(), &mut out);
        self.rekey_to_newest(&out)
    }

    /// Identifiers under the oldest secret as they are under the newest.
    pub(crate) fn rekey_to_newest(&self, ids: &[Identifier]) -> Vec<Identifier> {
        rekey(ids, |pseudonym| self.chain.rekey_from(pseudonym, 0))
    }

    /// The identifier of first name, last name and postcode together, under the oldest secret, appended to `out`.
    /// False where one of them is empty or blocked.
    pub(crate) fn name_postcode(
        &self,
        parts: [&str; 3],
        scratch: &mut Scratch,
        out: &mut Vec<Identifier>,
    ) -> bool {
        let named = parts.iter().all(|part| {
            let mut word = Zeroizing::new(String::with_capacity(part.len()));
            canonical::lower(part, &mut word);
            scratch.clear.push_str(&word);
            scratch.clear.push('\u{1f}');
            !self.blocked.contains(&word)
        });
        if named {
            let value = scratch.clear.as_bytes();
            self.push_opaque(IdKind::NamePostcode, value, out);
        }
        scratch.clear.zeroize();
        named
    }

    fn read(
        &self,
        kind: IdKind,
        text: &str,
        reading: IdentifierRules,
        scratch: &mut Scratch,
        out: &mut Vec<Identifier>,
    ) -> bool {
        let Scratch { clear, phones } = scratch;
        match kind {
            IdKind::Cookie | IdKind::Wallet | IdKind::Device | IdKind::NamePostcode => {
                canonical::opaque(text, clear);
                // The placeholder of a vendor that hashes its cookies is a placeholder, too.
                let digest = canonical::hex_digest(clear);
                if self.blocked.contains(clear)
                    || digest.is_some_and(|d| self.blocked.contains_digest(&d))
                {
                    return false;
                }
                self.push_opaque(kind, clear.as_bytes(), out);
                true
            }
            IdKind::Email | IdKind::Customer | IdKind::Phone => {
                match kind {
                    IdKind::Email => canonical::email(text, clear),
                    _ => canonical::lower(text, clear),
                }
                if self.blocked.contains(clear) {
                    return false;
                }
                if let Some(digest) = canonical::digest(text, clear, reading.rule) {
                    return self.push_digest(kind, reading.rule, &digest, out);
                }
                match kind {
                    IdKind::Phone => self.push_phone(reading.region, clear, phones, out),
                    _ => self.push_clear(kind, clear, out),
                }
            }
        }
    }

    fn push_opaque(&self, kind: IdKind, value: &[u8], out: &mut Vec<Identifier>) {
        let pseudonym = self.pseudonym(kind, HashRule::Plain, value);
        out.push(Identifier {
            pseudonym,
            value: pseudonym,
            kind,
        });
    }

    fn push_digest(
        &self,
        kind: IdKind,
        rule: HashRule,
        digest: &[u8; 32],
        out: &mut Vec<Identifier>,
    ) -> bool {
        if self.blocked.contains_digest(digest) {
            return false;
        }
        let pseudonym = self.pseudonym(kind, rule, digest);
        out.push(Identifier {
            pseudonym,
            value: pseudonym,
            kind,
        });
        true
    }

    /// One identifier for every form of every enabled rule; all carry the first one as their value. False where there
    /// is none.
    fn push_clear(&self, kind: IdKind, clear: &str, out: &mut Vec<Identifier>) -> bool {
        let mut value = None;
        for &rule in self.rules.iter() {
            canonical::forms(kind, rule, clear, |form| {
                let mut digest: [u8; 32] = Sha256::digest(form.as_bytes()).into();
                let pseudonym = self.pseudonym(kind, rule, &digest);
                digest.zeroize();
                let value = *value.get_or_insert(pseudonym);
                out.push(Identifier {
                    pseudonym,
                    value,
                    kind,
                });
            });
        }
        value.is_some()
    }

    fn push_phone(
        &self,
        region: Region,
        clear: &str,
        phones: &mut PhoneCache,
        out: &mut Vec<Identifier>,
    ) -> bool {
        let place = self.hash(b'P', region.tag(), clear.as_bytes());
        if let Some(found) = phones.get(place) {
            let Some(&value) = found.first() else {
                return false;
            };
            out.extend(found.iter().map(|&pseudonym| Identifier {
                pseudonym,
                value,
                kind: IdKind::Phone,
            }));
            return true;
        }
        let start = out.len();
        let named = phone::e164(region, clear)
            .filter(|number| !self.blocked.contains(number))
            .is_some_and(|number| self.push_clear(IdKind::Phone, &number, out));
        phones.put(place, out.get(start..).unwrap_or_default());
        named
    }
}

/// Identifiers with other pseudonyms, of the same values.
pub(crate) fn rekey(ids: &[Identifier], key: impl Fn(u128) -> u128) -> Vec<Identifier> {
    let ids = ids.iter().map(|id| {
        let pseudonym = key(id.pseudonym);
        let value = match id.value == id.pseudonym {
            true => pseudonym,
            false => key(id.value),
        };
        Identifier {
            pseudonym,
            value,
            kind: id.kind,
        }
    });
    ids.collect()
}

fn first_128(digest: &[u8; 32]) -> u128 {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    u128::from_le_bytes(bytes)
}

/// The tags are part of what is stored: they never change.
fn kind_tag(kind: IdKind) -> u8 {
    match kind {
        IdKind::Email => 1,
        IdKind::Phone => 2,
        IdKind::Cookie => 3,
        IdKind::Customer => 4,
        IdKind::Wallet => 5,
        IdKind::Device => 6,
        IdKind::NamePostcode => 7,
    }
}

fn rule_tag(rule: HashRule) -> u8 {
    match rule {
        HashRule::Plain => 1,
        HashRule::Google => 2,
        HashRule::Meta => 3,
        HashRule::Uid2 => 4,
    }
}

#[cfg(test)]
mod phone_numbers;
#[cfg(test)]
mod tests;

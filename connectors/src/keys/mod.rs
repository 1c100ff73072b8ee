//! Pseudonyms: the keyed hashes of identifiers, and how a value is prepared
//! before it is hashed.
//!
//! A clear value is canonicalized ([UTS
//! 46](https://www.unicode.org/reports/tr46/) for domains, libphonenumber for
//! phone numbers) and hashed with SHA-256 (FIPS 180-4) under every rule that
//! the brand enables, and the digest is then hashed with the brand's key (keyed
//! BLAKE3): plain SHA-256 of an e-mail address or a phone number can be
//! reversed by dictionary, a keyed hash cannot. A value that arrives as a
//! digest enters at the second stage, so clear and hashed values match. Opaque
//! values (cookies, wallets, devices) go straight to the keyed hash. The clear
//! text stays in one buffer that is overwritten before the decoder leaves the
//! record, as is the stack below.
//!
//! ```text
//!  Jane@Example.org ─ canonical form ─ SHA-256 ─┐
//!  9f86d0…(digest) ─────────────────────────────┴─ keyed BLAKE3 ─ first 128 bits ─ rekeying
//! ```
//!
//! A brand that rotated its secret first keys with its oldest secret and then
//! rekeys for every later one ([`tributary_config::key_chain`]), so that new
//! records match those stored earlier. A record is read under the oldest secret
//! and rekeyed once it is complete ([`crate::decode`]); its identifiers under
//! the intermediate secrets exist only there, and only for a moment.
//!
//! # Example
//!
//! ```
//! use std::path::Path;
//! use tributary_connectors::keys::BrandKey;
//! use tributary_operators::record::IdKind;
//!
//! # let folder = tempfile::tempdir()?;
//! # let secret = folder.path().join("secret");
//! # std::fs::write(&secret, "224ff3c627f30dd0f8e3fdb63bf28aa6")?;
//! # std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
//! let text = format!("[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_file = {secret:?}\n");
//! let loaded = tributary_config::parse(&text, Path::new("tributary.toml"))?;
//! let key = BrandKey::new(&loaded.config.brands[0]);
//!
//! // Canonicalization: spelling does not matter, and neither does what mail programs add.
//! let jane = key.identify(IdKind::Email, "jane@example.org");
//! assert_eq!(key.identify(IdKind::Email, "Jane <mailto:JANE@Example.org>,"), jane);
//!
//! // Hashing: the SHA-256 of the canonical form is the same identifier.
//! let digest = "13d855ce931073d4924ac377cda0e9a543908b9d6607727c8033d729c65eced6";
//! assert_eq!(key.identify(IdKind::Email, digest), jane);
//!
//! // The blocklist: what software writes instead of a value identifies no one.
//! assert!(key.identify(IdKind::Email, "n/a").is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod blocklist;
mod canonical;
mod phone;

use std::sync::Arc;

use rustc_hash::FxHashSet;
use sha2::{Digest, Sha256};
use tributary_config::key_chain::{KeyChain, derive_key};
use tributary_config::model::{Brand, HashRule, Source};
use tributary_operators::record::{IdKind, Identifier};
use zeroize::{Zeroize, Zeroizing, zeroize_stack};

use blocklist::Blocklist;
pub use blocklist::is_placeholder;
pub use canonical::is_uuid;
use phone::PhoneCache;
pub use phone::Region;

/// The maximum length of an identifier as received, bytes. RFC 5321 permits 254
/// for an e-mail address; the rest is room for display names and signed
/// cookies.
pub const MAX_IDENTIFIER: usize = 1024;

/// The BLAKE3 derivation context of the key; part of what is stored, so it
/// never changes.
const CONTEXT: &str = "tributary 2025-11 pseudonyms of one brand";

/// How much of the stack is overwritten after a hash, bytes; more than BLAKE3 uses.
/// What functions leave on the stack can end up in the unused parts of values that
/// are moved to the heap later, and stay there.
const HASH_STACK: usize = 8 << 10;

/// The same after a value was made canonical and hashed.
const READ_STACK: usize = 8 << 10;

/// Turns a brand's identifiers into pseudonyms. Debug output shows no key.
#[derive(Clone)]
pub struct BrandKey {
    /// Derived from the oldest secret.
    key: Zeroizing<[u8; 32]>,
    /// Rekeys from the oldest secret to the newest.
    chain: KeyChain,
    /// The enabled rules, [`HashRule::Plain`] first; never empty.
    rules: Arc<[HashRule]>,
    /// The values that identify no one.
    blocked: Arc<Blocklist>,
    /// The domains of relays: the built-in ones, and those of the brand.
    relays: Arc<FxHashSet<Box<str>>>,
    /// The region of phone numbers without a country code.
    region: Region,
}

/// How the identifiers of one source are read.
#[derive(Clone, Copy, Debug)]
pub struct IdentifierRules {
    /// The region of phone numbers without a country code.
    pub region: Region,
    /// The rule by which values that arrive as digests were hashed.
    pub rule: HashRule,
}

/// The buffers of one worker thread: the clear text of the current value, and
/// the pseudonyms of the phone numbers seen last (never the numbers). Debug
/// output shows neither.
#[derive(Clone, Default)]
pub struct Scratch {
    clear: Zeroizing<String>,
    phones: PhoneCache,
    emails: EmailCounts,
    /// The empty buffer of the identifiers of one record.
    pub(crate) ids: Vec<Identifier>,
}

/// How many e-mail addresses were read in clear, and how many of them are at a
/// relay domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmailCounts {
    /// All addresses that identify.
    pub all: u64,
    /// Those at a relay domain.
    pub relayed: u64,
}

impl Scratch {
    /// Takes what was read since the last call.
    pub fn take_emails(&mut self) -> EmailCounts {
        std::mem::take(&mut self.emails)
    }

    /// What was read since the last [`Scratch::take_emails`].
    pub(crate) fn emails(&self) -> EmailCounts {
        self.emails
    }
}

/// The domains at which addresses hide another one: Hide My Email of Apple,
/// DuckDuckGo, Firefox Relay, SimpleLogin and Proton Pass.
const RELAYS: [&str; 5] = [
    "privaterelay.appleid.com",
    "duck.com",
    "mozmail.com",
    "simplelogin.com",
    "passinbox.com",
];

/// The built-in relay domains and those of a brand, in the form in which
/// addresses are compared.
fn relays(own: &[String]) -> FxHashSet<Box<str>> {
    let all = RELAYS.into_iter().chain(own.iter().map(String::as_str));
    let canonical = all.filter_map(|domain| {
        let mut clear = String::new();
        canonical::email(&format!("x@{domain}"), &mut clear);
        clear.rsplit_once('@').map(|(_, domain)| domain.into())
    });
    canonical.collect()
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
    /// The key of a brand, derived from its oldest secret and its name, so that
    /// two brands with the same secret have no pseudonym in common.
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
            relays: Arc::new(relays(&brand.identity.relay_domains)),
            region,
        }
    }

    /// How the identifiers of a source of this brand are read; the source's
    /// phone region takes precedence over the brand's.
    pub fn rules_of(&self, source: &Source) -> IdentifierRules {
        let own = Region::of(source.phone_region.as_deref());
        IdentifierRules {
            region: if own.is_none() { self.region } else { own },
            rule: source.hash_rule,
        }
    }

    /// How values without a source are read: the brand's phone region and the
    /// plain rule.
    pub fn default_rules(&self) -> IdentifierRules {
        IdentifierRules {
            region: self.region,
            rule: HashRule::Plain,
        }
    }

    /// The key chain from the oldest secret to the newest.
    pub fn chain(&self) -> &KeyChain {
        &self.chain
    }

    /// The keyed hash of kind, rule and value: the first 128 bits of keyed
    /// BLAKE3. The value of an e-mail address, a phone number or a customer
    /// number is the 32 bytes of its SHA-256; that of the other kinds is its
    /// text.
    fn pseudonym(&self, kind: IdKind, rule: HashRule, value: &[u8]) -> u128 {
        self.hash(kind_tag(kind), rule_tag(rule), value)
    }

    /// The keyed hash of a 48-bit MAC, under the oldest secret.
    ///
    /// It is never stored: the salt of the day turns it into a token at once.
    /// Tokens cannot be rekeyed, so this hash stays under the oldest secret,
    /// and a device remains the same device on a day on which the secret is
    /// rotated. The MAC is hashed as eight big-endian bytes behind a tag of its
    /// own, so its hash never equals that of an identifier.
    pub fn mac(&self, mac: u64) -> u128 {
        self.hash_mac(b'M', mac)
    }

    /// The keyed hash of a random MAC that is joined to the brand's network, as
    /// [`BrandKey::mac`]. It is another device than the same address without
    /// that, which comes and goes: whether a device is random never changes.
    pub fn associated_mac(&self, mac: u64) -> u128 {
        self.hash_mac(b'A', mac)
    }

    /// The keyed hash of a `device` that a sensor has already hashed; as
    /// [`BrandKey::mac`].
    pub fn sensor_device(&self, device: &str) -> u128 {
        match canonical::is_uuid(device) {
            true => self.hash_alone(b'D', device.to_ascii_lowercase().as_bytes()),
            false => self.hash_alone(b'D', device.as_bytes()),
        }
    }

    /// Whether a clear value identifies nobody: the empty one, a placeholder, or one that the brand blocks.
    pub fn blocks(&self, value: &str) -> bool {
        self.blocked.contains(value)
    }

    /// The keyed hash of a device that holds a wallet pass, in 64 bits and never 0; under the oldest secret, so that a device
    /// remains the same when the secret is rotated.
    pub fn wallet_holder(&self, holder: &str) -> u64 {
        (self.hash_alone(b'H', holder.as_bytes()) as u64).max(1)
    }

    /// The keyed hash of the eight bytes of an address; the stack that held them is overwritten after it.
    fn hash_mac(&self, tag: u8, mac: u64) -> u128 {
        #[inline(never)]
        fn hash(key: &BrandKey, tag: u8, mac: u64) -> u128 {
            key.hash(tag, 0, &mac.to_be_bytes())
        }
        let hash = hash(self, tag, mac);
        zeroize_stack::<HASH_STACK>();
        hash
    }

    /// [`BrandKey::hash`] of a value that is read by itself; the stack is overwritten after it.
    fn hash_alone(&self, tag: u8, value: &[u8]) -> u128 {
        let hash = self.hash(tag, 0, value);
        zeroize_stack::<HASH_STACK>();
        hash
    }

    /// Keyed BLAKE3 over the two tags and the value, truncated to 128 bits. Short inputs, which are almost all, are hashed from
    /// a buffer on the stack, which the caller overwrites.
    #[inline(never)]
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
                let mut hasher = Zeroizing::new(blake3::Hasher::new_keyed(&self.key));
                hasher.update(&[tag, rule]).update(value);
                hasher.finalize()
            }
        };
        first_128(digest.as_bytes())
    }

    /// Appends the identifiers of one value, clear or a digest, to `out`, under
    /// the oldest secret. Returns false if the value identifies no one: it is
    /// empty, blocked, or not a phone number.
    pub fn identifiers(
        &self,
        kind: IdKind,
        text: &str,
        reading: IdentifierRules,
        scratch: &mut Scratch,
        out: &mut Vec<Identifier>,
    ) -> bool {
        let named = self.read(kind, text, reading, scratch, out);
        scratch.clear.zeroize();
        zeroize_stack::<READ_STACK>();
        named
    }

    /// The identifiers of a value that comes from no source, under the newest
    /// secret; empty if it identifies no one. A value of 64 hex digits is a
    /// digest under the plain rule.
    /// ```
    /// # use std::path::Path;
    /// # use tributary_connectors::keys::BrandKey;
    /// # use tributary_operators::record::IdKind;
    /// # let folder = tempfile::tempdir()?;
    /// # let secret = folder.path().join("acme.secret");
    /// # std::fs::write(&secret, "224ff3c627f30dd0f8e3fdb63bf28aa6")?;
    /// # std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    /// # let text = format!(
    /// #     "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nphone_region = \"FR\"\nsecret_file = {secret:?}\n"
    /// # );
    /// # let config = tributary_config::parse(&text, Path::new("tributary.toml"))?.config;
    /// // A brand with `phone_region = "FR"`.
    /// let key = BrandKey::new(&config.brands[0]);
    /// let number = key.identify(IdKind::Phone, "06 12 34 56 78");
    /// assert_eq!(key.identify(IdKind::Phone, "+33 6 12 34 56 78"), number);
    /// assert!(key.identify(IdKind::Phone, "000-000-0000").is_empty());
    ///
    /// // Cookies are opaque: their case counts.
    /// assert_ne!(key.identify(IdKind::Cookie, "aB"), key.identify(IdKind::Cookie, "ab"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn identify(&self, kind: IdKind, text: &str) -> Vec<Identifier> {
        let mut out = Vec::new();
        let reading = self.default_rules();
        self.identifiers(kind, text, reading, &mut Scratch::default(), &mut out);
        self.rekey_to_newest(&out)
    }

    /// Rekeys identifiers from the oldest secret to the newest.
    pub(crate) fn rekey_to_newest(&self, ids: &[Identifier]) -> Vec<Identifier> {
        self.rekey_from(ids, 0)
    }

    /// Rekeys identifiers from the secret of a level, 0 for the oldest, to the newest.
    pub fn rekey_from(&self, ids: &[Identifier], level: usize) -> Vec<Identifier> {
        rekey(ids, |pseudonym| self.chain.rekey_from(pseudonym, level))
    }

    /// Appends the identifier of first name, last name and postcode together,
    /// under the oldest secret. Returns false if one of them is empty or
    /// blocked. The parts are separated by U+001F, which no canonical form
    /// contains, so different splits of one text never collide.
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
        zeroize_stack::<READ_STACK>();
        named
    }

    /// [`BrandKey::identifiers`] before the clear text is overwritten.
    #[inline(never)]
    fn read(
        &self,
        kind: IdKind,
        text: &str,
        reading: IdentifierRules,
        scratch: &mut Scratch,
        out: &mut Vec<Identifier>,
    ) -> bool {
        let Scratch {
            clear,
            phones,
            emails,
            ids: _,
        } = scratch;
        match kind {
            IdKind::Cookie
            | IdKind::Wallet
            | IdKind::Device
            | IdKind::NamePostcode
            | IdKind::ClickId => {
                canonical::opaque(text, clear);
                if kind == IdKind::Device && canonical::is_uuid(clear) {
                    clear.make_ascii_lowercase();
                }
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
                    IdKind::Email => {
                        let is_relayed = self.is_relayed(clear);
                        let rules = match is_relayed {
                            true => &[HashRule::Plain],
                            false => &*self.rules,
                        };
                        let named = self.push_clear(kind, rules, clear, out);
                        emails.all += u64::from(named);
                        emails.relayed += u64::from(named && is_relayed);
                        named
                    }
                    _ => self.push_clear(kind, &self.rules, clear, out),
                }
            }
        }
    }

    /// Appends the identifier of an opaque value.
    fn push_opaque(&self, kind: IdKind, value: &[u8], out: &mut Vec<Identifier>) {
        let pseudonym = self.pseudonym(kind, HashRule::Plain, value);
        out.push(Identifier {
            pseudonym,
            value: pseudonym,
            kind,
        });
    }

    /// Appends the identifier of a digest; false if it is the digest of a
    /// blocked value.
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

    /// Whether an e-mail address in canonical form is at a relay domain.
    fn is_relayed(&self, clear: &str) -> bool {
        let domain = clear.rsplit_once('@').map(|(_, domain)| domain);
        domain.is_some_and(|domain| self.relays.contains(domain))
    }

    /// Appends one identifier for every form of some rules; all carry
    /// the first pseudonym as their value, which marks them as one. Returns
    /// false if there is no form.
    fn push_clear(
        &self,
        kind: IdKind,
        rules: &[HashRule],
        clear: &str,
        out: &mut Vec<Identifier>,
    ) -> bool {
        let mut value = None;
        for &rule in rules {
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

    /// Appends the identifiers of a phone number, from the cache if the number
    /// was seen before.
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
        // What parsing allocates, once for all numbers, is made on the same stack and would take along what the hash left there.
        zeroize_stack::<HASH_STACK>();
        let start = out.len();
        let named = phone::e164(region, clear)
            .filter(|number| !self.blocked.contains(number))
            .is_some_and(|number| self.push_clear(IdKind::Phone, &self.rules, &number, out));
        phones.put(place, out.get(start..).unwrap_or_default());
        named
    }
}

/// Rekeys identifiers with `key`, such that those of one value still carry a
/// common value.
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

/// The first 16 bytes of a digest as a little-endian integer.
fn first_128(digest: &[u8; 32]) -> u128 {
    let first: Option<&[u8; 16]> = digest.first_chunk();
    u128::from_le_bytes(first.copied().unwrap_or_default())
}

/// The tag of a kind in the hash input. Tags are part of what is stored: they
/// never change.
fn kind_tag(kind: IdKind) -> u8 {
    match kind {
        IdKind::Email => 1,
        IdKind::Phone => 2,
        IdKind::Cookie => 3,
        IdKind::Customer => 4,
        IdKind::Wallet => 5,
        IdKind::Device => 6,
        IdKind::NamePostcode => 7,
        IdKind::ClickId => 8,
    }
}

/// The tag of a rule in the hash input; it never changes either.
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
mod stack_tests;
#[cfg(test)]
mod tests;

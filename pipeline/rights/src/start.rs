//! Starts: what process 0 of a cluster tells the others when it begins with an
//! erasure.
//!
//! Only process 0 knows whose records a request covers. It has asked the identity
//! graph, which comes apart with the first records that are erased, in whatever
//! ledger. A start therefore names all pseudonyms, and how far the erasure reaches,
//! so that every process erases the same, and so does process 0 after a kill.
//!
//! A start lies in the stream of requests until the request is complete, sealed under
//! the brand's newest secret: who reads it learns how long it is, and nobody else
//! makes one.

use serde::{Deserialize, Serialize};
use tributary_operators::reach::Reach;
use tributary_operators::record::{Identifier, Pseudonym};

use crate::keys::{BrandKeys, KeyLevel};
use crate::sealed_message::Sealed;

/// Maximum number of identifiers, and of devices, in a start, which is then well below
/// the default maximum payload of a broker.
const MOST: usize = 3_000;

/// What a start says. It holds pseudonyms, and so has no debug output.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The sequence number of the request.
    pub request: u64,
    /// When its stream was made, Unix nanoseconds: another one counts from 1 again.
    pub stream: i64,
    /// When the person has objected, Unix milliseconds; `None` for an erasure.
    pub objected: Option<i64>,
    /// How far the erasure reaches. An objection reaches as far as each process has read
    /// once it keeps the person out.
    pub reach: Reach,
    /// The secret under which the identifiers were made.
    pub level: KeyLevel,
    /// The identifiers.
    pub ids: Vec<Identifier>,
    /// Pseudonyms of the devices.
    pub devices: Vec<Pseudonym>,
}

impl Start {
    /// The same in parts that fit into a message each; at least one.
    pub fn split(self) -> Vec<Start> {
        let mut parts = Vec::new();
        let (mut ids, mut devices) = (self.ids.chunks(MOST), self.devices.chunks(MOST));
        loop {
            let (some_ids, some_devices) = (ids.next(), devices.next());
            if !parts.is_empty() && some_ids.is_none() && some_devices.is_none() {
                return parts;
            }
            parts.push(Start {
                ids: some_ids.unwrap_or_default().to_vec(),
                devices: some_devices.unwrap_or_default().to_vec(),
                ..self
            });
        }
    }

    /// Seals the start for the processes of the brand; `None` never, because the brand
    /// has its newest level and no start is too long for the cipher.
    pub fn seal(&self, keys: &BrandKeys) -> Option<Vec<u8>> {
        // Numbers and names of kinds: nothing in it can fail.
        let plain = serde_json::to_vec(self).unwrap_or_default();
        keys.seal_message(Sealed::Start, &plain)
    }

    /// Opens a start of a brand; `None` for one of another brand, and for anything that
    /// was not sealed under one of its secrets.
    pub fn open(keys: &BrandKeys, sealed: &[u8]) -> Option<Start> {
        let plain = keys.open_message(Sealed::Start, sealed)?;
        serde_json::from_slice(&plain).ok()
    }

    /// As [`Start::open`], and `None` for what was sealed under a secret that was replaced
    /// since: whoever holds that one still could have made it.
    pub fn open_newest(keys: &BrandKeys, sealed: &[u8]) -> Option<Start> {
        let is_newest = BrandKeys::level_of_message(sealed) == Some(keys.newest());
        is_newest.then(|| Start::open(keys, sealed)).flatten()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use secrecy::SecretString;
    use tributary_operators::record::IdKind;

    use super::*;

    fn start(ids: usize, devices: usize) -> Start {
        let reach = Reach {
            at: 1_700_000_000_000,
            until: 7,
            until_ping: u64::MAX,
        };
        let id = |pseudonym| Identifier {
            pseudonym,
            value: !pseudonym,
            kind: IdKind::Email,
        };
        Start {
            request: 3,
            stream: i64::MAX,
            objected: Some(-1),
            reach,
            level: KeyLevel::OLDEST,
            ids: (0..ids as u128).map(id).collect(),
            devices: (0..devices as u128).map(|n| u128::MAX - n).collect(),
        }
    }

    #[test]
    fn who_lacks_the_secret_reads_and_makes_none() {
        let secret = |letter: &str| SecretString::from(letter.repeat(40));
        let old = BrandKeys::new("acme", &secret("o"));
        let new = old.clone().with_newer_secret(&secret("n"));
        let whole = start(2, 1);
        for keys in [&old, &new] {
            let sealed = whole.seal(keys).unwrap();
            assert!(Start::open(&new, &sealed).unwrap() == whole);
            let other = BrandKeys::new("bolt", &secret("o"));
            assert!(Start::open(&other, &sealed).is_none());
            for place in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[place] ^= 1;
                assert!(Start::open(&new, &changed).is_none(), "{place}");
                assert!(Start::open(&new, &sealed[..place]).is_none());
            }
        }
        // The older secret makes none that counts as made by a process of today.
        assert!(Start::open_newest(&new, &whole.seal(&new).unwrap()).unwrap() == whole);
        assert!(Start::open_newest(&new, &whole.seal(&old).unwrap()).is_none());
        let mut renamed = whole.seal(&old).unwrap();
        renamed[9..13].copy_from_slice(&new.newest().0.to_le_bytes());
        assert!(Start::open_newest(&new, &renamed).is_none());
        // What is sealed under the new secret is not readable with the old one alone.
        assert!(Start::open(&old, &whole.seal(&new).unwrap()).is_none());
    }

    #[test]
    fn a_start_fits_into_messages() {
        for (ids, devices) in [(0, 0), (1, 0), (0, 1), (MOST, 1), (2 * MOST + 1, MOST + 1)] {
            let whole = start(ids, devices);
            let parts = whole.clone().split();
            let keys = BrandKeys::new("acme", &SecretString::from("s".repeat(40)));
            assert!(!parts.is_empty());
            let mut joined = start(0, 0);
            for part in parts {
                assert!(part.seal(&keys).unwrap().len() < 800_000);
                joined.ids.extend(&part.ids);
                joined.devices.extend(&part.devices);
            }
            assert!(joined == whole);
        }
    }
}

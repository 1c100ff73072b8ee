//! Fixed bytes that are written as hexadecimal digits.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Bytes that are written as lower-case hexadecimal digits. They are keyed
/// hashes, so they may be shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Hex<const N: usize>(pub [u8; N]);

/// A hash of 32 bytes: BLAKE3 under a key of the brand in the audit chain, or the
/// SHA-256 of a sealed answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hash(pub(crate) Hex<32>);

impl Hash {
    /// What stands before the first entry.
    pub const NONE: Hash = Hash(Hex([0; 32]));

    /// SHA-256 of bytes, which common tools compute as well.
    pub fn sha256(bytes: &[u8]) -> Hash {
        Hash(Hex(Sha256::digest(bytes).into()))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0.0
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Hash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Hash, &'static str> {
        Hex::read(text)
            .map(Hash)
            .ok_or("must be 64 lower-case hexadecimal digits")
    }
}

impl<const N: usize> Hex<N> {
    /// Reads exactly `2 * N` lower-case digits.
    pub fn read(text: &str) -> Option<Hex<N>> {
        if text.len() != 2 * N {
            return None;
        }
        let mut bytes = [0; N];
        HEXLOWER.decode_mut(text.as_bytes(), &mut bytes).ok()?;
        Some(Hex(bytes))
    }
}

impl<const N: usize> std::fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(f)
    }
}

impl<const N: usize> std::fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hex<N>, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Hex::read(&text).ok_or_else(|| serde::de::Error::custom("no hexadecimal digits"))
    }
}

//! Messages that processes of a brand leave for each other where others can read and
//! write: sealed under the brand's newest secret, and bound to the brand and to what
//! they are.
//!
//! ```text
//! 0    1   version, 1
//! 1    8   hash of the name of the brand
//! 9    4   level of the secret, least significant byte first
//! 13   24  nonce
//! 37   n   content, XChaCha20-Poly1305, with its tag of 16 bytes
//! ```

use chacha20poly1305::XNonce;
use chacha20poly1305::aead::{Aead, Payload};

use crate::keys::{BrandKeys, KeyLevel};

/// Version of the format.
const VERSION: u8 = 1;

/// What is sealed: one is not opened as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sealed {
    /// A copy of tombstones.
    Tombstones,
    /// The start of an erasure.
    Start,
}

impl Sealed {
    /// The associated data.
    fn associated(self) -> &'static [u8] {
        match self {
            // The first kind; there was none to distinguish it from.
            Sealed::Tombstones => b"",
            Sealed::Start => b"start",
        }
    }
}

impl BrandKeys {
    /// Seals a message; `None` for more than the cipher takes.
    pub(crate) fn seal_message(&self, what: Sealed, plain: &[u8]) -> Option<Vec<u8>> {
        let level = self.newest();
        let nonce: [u8; 24] = rand::random();
        let payload = Payload {
            msg: plain,
            aad: what.associated(),
        };
        let cipher = self.copies(level)?;
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload).ok()?;
        let (tag, level) = (self.tag(), level.0.to_le_bytes());
        let parts: [&[u8]; 5] = [&[VERSION], &tag.0, &level, &nonce, &sealed];
        Some(parts.concat())
    }

    /// The secret under which a message says that it was sealed; it opens under no
    /// other.
    pub(crate) fn level_of_message(sealed: &[u8]) -> Option<KeyLevel> {
        let level = sealed.get(9..)?.first_chunk()?;
        Some(KeyLevel(u32::from_le_bytes(*level)))
    }

    /// Opens what [`BrandKeys::seal_message`] has made of the same kind for the same
    /// brand; `None` for anything else.
    pub(crate) fn open_message(&self, what: Sealed, sealed: &[u8]) -> Option<Vec<u8>> {
        let (version, rest) = sealed.split_first()?;
        let (tag, rest) = rest.split_first_chunk::<8>()?;
        let (level, rest) = rest.split_first_chunk::<4>()?;
        let (nonce, msg) = rest.split_first_chunk::<24>()?;
        if *version != VERSION || *tag != self.tag().0 {
            return None;
        }
        let aad = what.associated();
        let cipher = self.copies(KeyLevel(u32::from_le_bytes(*level)))?;
        let payload = Payload { msg, aad };
        cipher.decrypt(&XNonce::from(*nonce), payload).ok()
    }
}

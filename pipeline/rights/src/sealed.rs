//! Sealed answers: only the requester can read them.
//!
//! The requester creates a key pair for one answer and sends the public key
//! with the request. The answer is sealed for it under an ephemeral key that is
//! discarded at once, so that nobody, including the operator, can open it
//! afterwards, wherever the broker or a log may have stored it. Sealing does
//! not authenticate the sender; the receipt does. The construction is that of
//! an ECIES scheme (SEC 1, section 5.1) with X25519 (RFC 7748) and
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha).
//!
//! ```text
//! 0   8   "TRIBSEAL"
//! 8   1   version, 1
//! 9   32  ephemeral X25519 public key
//! 41  n   XChaCha20-Poly1305 of the answer, the first 41 bytes as associated data; ends in its tag, 16 bytes
//! ```
//!
//! Key (32 bytes) and nonce (24) are the first 56 bytes that BLAKE3 in its key
//! derivation mode, context `tributary 2025-11 sealed answer`, derives from the
//! shared X25519 secret, the ephemeral key and the requester's key, in this
//! order. Keys are written in base64 with padding (RFC 4648, section 4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// Context of the key derivation.
const CONTEXT: &str = "tributary 2025-11 sealed answer";
/// First bytes of a sealed answer.
const MAGIC: &[u8; 8] = b"TRIBSEAL";
/// Version of the format.
const VERSION: u8 = 1;
/// Length in bytes of everything before the sealed content.
const HEADER: usize = 41;

/// Difference in bytes between a sealed answer and the answer.
pub const OVERHEAD: usize = HEADER + 16;

/// Public key that an answer is sealed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyKey(PublicKey);

/// Key pair of a requester, for one answer. Debug output shows the public key
/// only.
///
/// # Example
///
/// ```
/// use tributary_rights::sealed::{KeyPair, OVERHEAD, ReplyKey};
///
/// let pair = KeyPair::generate();
/// let text = pair.public().to_string();
/// let key = ReplyKey::read(&text).ok_or("not a key")?;
/// let sealed = key.seal(b"the answer").ok_or("too long")?;
/// assert_eq!(sealed.len(), b"the answer".len() + OVERHEAD);
///
/// let opened = pair.open(&sealed)?;
/// assert_eq!(opened.as_slice(), b"the answer");
/// assert!(KeyPair::generate().open(&sealed).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KeyPair {
    /// Private key, overwritten when it is dropped.
    secret: StaticSecret,
    /// Public key.
    public: PublicKey,
}

/// Reason why a sealed answer cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not a complete sealed answer.
    #[error("not a complete sealed answer")]
    Malformed,
    /// Sealed by a newer version of the program.
    #[error("sealed in format {0} by a newer version of Tributary: open it with that version")]
    Newer(u8),
    /// Sealed for another key, or changed.
    #[error("the answer was sealed for another key, or it was changed")]
    WrongKey,
}

impl ReplyKey {
    /// Parses a public key in base64; `None` if it is not one. A key of low order
    /// is refused, because anyone could open what is sealed for it.
    pub fn read(text: &str) -> Option<ReplyKey> {
        let bytes: [u8; 32] = STANDARD.decode(text.trim()).ok()?.try_into().ok()?;
        let key = PublicKey::from(bytes);
        let any = StaticSecret::from([1; 32]);
        any.diffie_hellman(&key)
            .was_contributory()
            .then_some(ReplyKey(key))
    }

    /// The 32 bytes of the key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Seals an answer; `None` if it is too long for the cipher, which no answer in
    /// memory is.
    pub fn seal(&self, answer: &[u8]) -> Option<Vec<u8>> {
        let once = StaticSecret::from(*Zeroizing::new(rand::random::<[u8; 32]>()));
        let public = PublicKey::from(&once);
        let mut sealed = Vec::with_capacity(OVERHEAD + answer.len());
        sealed.extend_from_slice(MAGIC);
        sealed.push(VERSION);
        sealed.extend_from_slice(public.as_bytes());
        let (cipher, nonce) = cipher(&once, &self.0, &public, &self.0);
        let payload = Payload {
            msg: answer,
            aad: &sealed,
        };
        let text = cipher.encrypt(&nonce, payload).ok()?;
        sealed.extend_from_slice(&text);
        Some(sealed)
    }
}

impl std::fmt::Display for ReplyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&STANDARD.encode(self.as_bytes()))
    }
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("KeyPair").field(&self.public).finish()
    }
}

impl KeyPair {
    /// Creates a pair from the randomness of the operating system.
    pub fn generate() -> KeyPair {
        KeyPair::of(&Zeroizing::new(rand::random()))
    }

    /// Restores a pair from the text of [`KeyPair::secret`]; `None` for any other
    /// text.
    pub fn read(secret: &str) -> Option<KeyPair> {
        let bytes = Zeroizing::new(STANDARD.decode(secret.trim()).ok()?);
        Some(KeyPair::of(bytes.as_slice().try_into().ok()?))
    }

    /// The pair of a private key.
    fn of(secret: &[u8; 32]) -> KeyPair {
        let secret = StaticSecret::from(*secret);
        let public = PublicKey::from(&secret);
        KeyPair { secret, public }
    }

    /// The public key, to be sent with the request.
    pub fn public(&self) -> ReplyKey {
        ReplyKey(self.public)
    }

    /// The private key in base64, to be stored until the answer arrives.
    pub fn secret(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.secret.as_bytes()))
    }

    /// Opens an answer that was sealed for this pair.
    ///
    /// # Errors
    ///
    /// An [`OpenError`] if it is not a sealed answer, has a newer format, was
    /// sealed for another key, or was changed.
    pub fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (header, text) = sealed
            .split_first_chunk::<HEADER>()
            .ok_or(OpenError::Malformed)?;
        let (magic, rest) = header.split_first_chunk().ok_or(OpenError::Malformed)?;
        let (version, once) = rest.split_first().ok_or(OpenError::Malformed)?;
        if magic != MAGIC {
            return Err(OpenError::Malformed);
        }
        if *version != VERSION {
            return Err(OpenError::Newer(*version));
        }
        let once: [u8; 32] = once.try_into().map_err(|_| OpenError::Malformed)?;
        let once = PublicKey::from(once);
        let (cipher, nonce) = cipher(&self.secret, &once, &once, &self.public);
        let payload = Payload {
            msg: text,
            aad: header,
        };
        let answer = cipher.decrypt(&nonce, payload);
        answer.map(Zeroizing::new).map_err(|_| OpenError::WrongKey)
    }
}

/// Cipher and nonce of one answer, from either side of the key agreement.
fn cipher(
    mine: &StaticSecret,
    theirs: &PublicKey,
    once: &PublicKey,
    requester: &PublicKey,
) -> (XChaCha20Poly1305, XNonce) {
    let shared = mine.diffie_hellman(theirs);
    let mut made = Zeroizing::new([0; 56]);
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(shared.as_bytes());
    hasher.update(once.as_bytes());
    hasher.update(requester.as_bytes());
    hasher.finalize_xof().fill(&mut *made);
    let mut key = Zeroizing::new([0; 32]);
    let mut nonce = [0; 24];
    let mut bytes = made.iter().copied();
    let places = key.iter_mut().chain(&mut nonce);
    places.zip(&mut bytes).for_each(|(to, from)| *to = from);
    (XChaCha20Poly1305::new((&*key).into()), XNonce::from(nonce))
}

//! Sealed answers: only the requester can read them.
//!
//! A sealed answer is a file in the format of age (`age-encryption.org/v1`, the
//! specification of C2SP) for one X25519 recipient. The program `age`, and every
//! other implementation of the format, opens it with the identity of that
//! recipient. It is sealed under an ephemeral key that is discarded at once, so
//! that nobody else, including the operator, can open it afterwards, wherever the
//! broker or a log may have stored it. Sealing does not authenticate the sender;
//! the receipt does, by the SHA-256 of the file.
//!
//! ```text
//! 0    168  age-encryption.org/v1
//!           -> X25519 (ephemeral key)
//!           (file key, sealed under the agreed key)
//!           --- (HMAC of the header)
//! 168  16   nonce of the payload
//! 184  n    the answer in chunks of 64 KiB, each ChaCha20-Poly1305 with its tag of 16 bytes
//! ```
//!
//! This is one recipient type of the format, written and read over the primitives
//! of `ring` and RustCrypto that the program has anyway: the crate `age` brings
//! translations, plug-ins and post-quantum key encapsulation, a hundred further
//! crates. The suite has `age` open what is sealed here, and opens what `age` has
//! sealed. What has another stanza than the one above is refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bech32::{Bech32, Hrp};
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use ring::{hkdf, hmac};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// First line of the file.
const VERSION: &str = "age-encryption.org/v1";
/// Salt-free derivations of the format are told apart by these texts.
const WRAP: &[u8] = b"age-encryption.org/v1/X25519";
/// Text of the derivation of the key of the header's HMAC.
const HEADER: &[u8] = b"header";
/// Text of the derivation of the key of the payload.
const PAYLOAD: &[u8] = b"payload";
/// Prefix of a recipient, a public key.
const RECIPIENT: Hrp = Hrp::parse_unchecked("age");
/// Prefix of an identity, a private key, which is written in upper case.
const IDENTITY: Hrp = Hrp::parse_unchecked("age-secret-key-");
/// Length in bytes of the header with one X25519 recipient.
const HEADER_LEN: usize = 168;
/// Length in bytes of the content of a full chunk.
const CHUNK: usize = 65_536;
/// Length in bytes of the tag of a chunk.
const TAG: usize = 16;

/// Public key that an answer is sealed for: an X25519 recipient of age, written
/// `age1…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyKey(PublicKey);

/// Key pair of a requester, for one answer. Debug output shows the public key
/// only.
///
/// # Example
///
/// ```
/// use tributary_rights::sealed::{KeyPair, ReplyKey, sealed_len};
///
/// let pair = KeyPair::generate();
/// let text = pair.public().to_string();
/// assert!(text.starts_with("age1"));
/// let key = ReplyKey::read(&text).ok_or("not a key")?;
/// let sealed = key.seal(b"the answer").ok_or("too long")?;
/// assert_eq!(sealed.len(), sealed_len(b"the answer".len()));
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
    /// Not a complete file of age for one X25519 recipient.
    #[error("not a complete file of age for one X25519 recipient")]
    Malformed,
    /// Sealed for another key, or changed.
    #[error("the answer was sealed for another key, or it was changed")]
    WrongKey,
}

/// Length in bytes of a sealed answer with `length` bytes.
pub fn sealed_len(length: usize) -> usize {
    HEADER_LEN + 16 + length + length.div_ceil(CHUNK).max(1) * TAG
}

impl ReplyKey {
    /// Parses a recipient of age (`age1…`); `None` if it is not one. A key of low
    /// order is refused, because anyone could open what is sealed for it.
    pub fn read(text: &str) -> Option<ReplyKey> {
        let text = text.trim();
        let key = ReplyKey(PublicKey::from(*decode(RECIPIENT, text)?));
        let any = StaticSecret::from([1; 32]);
        let is_contributory = any.diffie_hellman(&key.0).was_contributory();
        (is_contributory && key.to_string() == text).then_some(key)
    }

    /// The 32 bytes of the key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Seals an answer; `None` if it is too long for the cipher, which no answer in
    /// memory is.
    pub fn seal(&self, answer: &[u8]) -> Option<Vec<u8>> {
        let once = StaticSecret::from(*Zeroizing::new(rand::random::<[u8; 32]>()));
        let share = PublicKey::from(&once);
        let file_key = Zeroizing::new(rand::random::<[u8; 16]>());
        let wrapping = cipher(&*wrapping_key(&once, &self.0, &share, &self.0)?);
        let wrapped = wrapping
            .encrypt(&Nonce::from([0; 12]), file_key.as_slice())
            .ok()?;
        let header = header(&share, &wrapped);
        let code = hmac::sign(&code_key(&*file_key)?, header.as_bytes());
        let nonce: [u8; 16] = rand::random();
        let payload = cipher(&*derive(&*file_key, &nonce, PAYLOAD)?);

        let mut sealed = Vec::with_capacity(sealed_len(answer.len()));
        sealed.extend_from_slice(header.as_bytes());
        let code = STANDARD_NO_PAD.encode(code);
        sealed.extend_from_slice(format!(" {code}\n").as_bytes());
        sealed.extend_from_slice(&nonce);
        // An empty answer is one empty chunk.
        let mut chunks = (0_u64..).zip(answer.chunks(CHUNK)).peekable();
        if chunks.peek().is_none() {
            sealed.extend(payload.encrypt(&chunk_nonce(0, true), [].as_slice()).ok()?);
        }
        while let Some((number, chunk)) = chunks.next() {
            let nonce = chunk_nonce(number, chunks.peek().is_none());
            sealed.extend(payload.encrypt(&nonce, chunk).ok()?);
        }
        Some(sealed)
    }
}

impl std::fmt::Display for ReplyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // 32 bytes are never too long.
        f.write_str(&bech32::encode::<Bech32>(RECIPIENT, self.as_bytes()).unwrap_or_default())
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

    /// Reads an identity of age (`AGE-SECRET-KEY-1…`), as [`KeyPair::secret`] and
    /// `age-keygen` write it; `None` for any other text.
    pub fn read(secret: &str) -> Option<KeyPair> {
        decode(IDENTITY, secret.trim()).map(|secret| KeyPair::of(&secret))
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

    /// The private key as an identity of age, to be stored until the answer
    /// arrives.
    pub fn secret(&self) -> Zeroizing<String> {
        let secret = bech32::encode_upper::<Bech32>(IDENTITY, self.secret.as_bytes());
        // 32 bytes are never too long.
        Zeroizing::new(secret.unwrap_or_default())
    }

    /// Opens an answer that was sealed for this pair.
    ///
    /// # Errors
    ///
    /// An [`OpenError`] if it is not a sealed answer, was sealed for another key,
    /// or was changed.
    pub fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (head, payload) = sealed.split_at_checked(HEADER_LEN).unwrap_or_default();
        let (share, wrapped, code) = read_header(head).ok_or(OpenError::Malformed)?;
        let opened = || {
            let key = wrapping_key(&self.secret, &share, &share, &self.public)?;
            let nonce = Nonce::from([0; 12]);
            let file_key = cipher(&key).decrypt(&nonce, wrapped.as_slice()).ok()?;
            let file_key = Zeroizing::new(file_key);
            let header = header(&share, &wrapped);
            hmac::verify(&code_key(&file_key)?, header.as_bytes(), &code).ok()?;
            Some(file_key)
        };
        let file_key = opened().ok_or(OpenError::WrongKey)?;
        let (nonce, payload) = payload
            .split_first_chunk::<16>()
            .ok_or(OpenError::Malformed)?;
        let key = derive(&file_key, nonce, PAYLOAD).ok_or(OpenError::WrongKey)?;
        let cipher = cipher(&key);
        let mut answer = Zeroizing::new(Vec::with_capacity(payload.len()));
        let mut chunks = (0_u64..).zip(payload.chunks(CHUNK + TAG)).peekable();
        if chunks.peek().is_none() {
            return Err(OpenError::Malformed);
        }
        while let Some((number, chunk)) = chunks.next() {
            let nonce = chunk_nonce(number, chunks.peek().is_none());
            let chunk = cipher.decrypt(&nonce, chunk).map(Zeroizing::new);
            let chunk = chunk.map_err(|_| OpenError::WrongKey)?;
            // Only an empty answer has an empty chunk.
            if chunk.is_empty() && number > 0 {
                return Err(OpenError::Malformed);
            }
            answer.extend_from_slice(&chunk);
        }
        Ok(answer)
    }
}

/// The 32 bytes of a key in Bech32 with the prefix of its kind.
fn decode(prefix: Hrp, text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32>(text).ok()?;
    let mut key = Zeroizing::new([0; 32]);
    let mut bytes = checked.byte_iter();
    for place in key.iter_mut() {
        *place = bytes.next()?;
    }
    (checked.hrp() == prefix && bytes.next().is_none()).then_some(key)
}

/// The header of a file without its code.
fn header(share: &PublicKey, wrapped: &[u8]) -> String {
    let [share, wrapped] = [share.as_bytes(), wrapped].map(|bytes| STANDARD_NO_PAD.encode(bytes));
    format!("{VERSION}\n-> X25519 {share}\n{wrapped}\n---")
}

/// Ephemeral key, sealed file key and code of a header.
fn read_header(header: &[u8]) -> Option<(PublicKey, [u8; 32], [u8; 32])> {
    let lines = std::str::from_utf8(header).ok()?.strip_prefix(VERSION)?;
    let (share, lines) = lines.strip_prefix("\n-> X25519 ")?.split_once('\n')?;
    let (wrapped, lines) = lines.split_once('\n')?;
    let code = lines.strip_prefix("--- ")?.strip_suffix('\n')?;
    let read = |text: &str| -> Option<[u8; 32]> {
        let bytes = STANDARD_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok()
    };
    Some((PublicKey::from(read(share)?), read(wrapped)?, read(code)?))
}

/// The key that seals the file key, from either side of the key agreement.
fn wrapping_key(
    mine: &StaticSecret,
    theirs: &PublicKey,
    share: &PublicKey,
    recipient: &PublicKey,
) -> Option<Zeroizing<[u8; 32]>> {
    let shared = mine.diffie_hellman(theirs);
    let salt = [*share.as_bytes(), *recipient.as_bytes()].concat();
    let key = derive(shared.as_bytes(), &salt, WRAP)?;
    shared.was_contributory().then_some(key)
}

/// The key of the code of a header.
fn code_key(file_key: &[u8]) -> Option<hmac::Key> {
    let key = derive(file_key, &[], HEADER)?;
    Some(hmac::Key::new(hmac::HMAC_SHA256, &*key))
}

/// 32 bytes of HKDF-SHA-256 (RFC 5869).
fn derive(key: &[u8], salt: &[u8], info: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key);
    let mut derived = Zeroizing::new([0; 32]);
    let info = [info];
    let expanded = extracted.expand(&info, hkdf::HKDF_SHA256).ok()?;
    expanded.fill(derived.as_mut_slice()).ok()?;
    Some(derived)
}

/// The cipher of a key.
fn cipher(key: &[u8; 32]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(key.into())
}

/// The nonce of a chunk: its number from 0, and whether it is the last.
fn chunk_nonce(number: u64, is_last: bool) -> Nonce {
    let mut nonce = [0; 12];
    let places = nonce.iter_mut().skip(3);
    let bytes = number.to_be_bytes().into_iter().chain([u8::from(is_last)]);
    places.zip(bytes).for_each(|(place, byte)| *place = byte);
    Nonce::from(nonce)
}

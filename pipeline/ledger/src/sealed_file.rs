//! Files of a backup, each sealed under a key of its own.
//!
//! What a ledger holds is sealed under the secrets of its brands already. These
//! keys serve destruction: whoever has a copy of the file and not its key has
//! nothing, so that the key is destroyed in place of every copy.
//!
//! The content is sealed in chunks with XChaCha20-Poly1305. The nonce of a chunk is
//! its number and whether it is the last one, so that chunks cannot be exchanged,
//! left out or added, nor the end be cut off (STREAM; Hoang, Reyhanitabar, Rogaway,
//! Vizár, *Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance*,
//! CRYPTO 2015). The invariant: *a key seals one file once*, as nonces repeat from
//! file to file.

use std::io::{self, Read, Write};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use thiserror::Error;
use zeroize::Zeroizing;

/// What a sealed file begins with.
const MAGIC: &[u8; 8] = b"TRIBBAK\x01";

/// Length of the content of a chunk, bytes; the last one may be shorter.
const CHUNK: usize = 64 << 10;

/// Length of the tag of a chunk, bytes.
const TAG: usize = 16;

/// The key of one file. Its bytes are overwritten when it is dropped.
#[derive(Clone)]
pub struct FileKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for FileKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileKey").finish_non_exhaustive()
    }
}

/// Why a sealed file cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// An error of the disk.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Another key, another place, or other bytes than were written.
    #[error("it was changed or cut, or is sealed under another key")]
    NotOpened,
}

impl FileKey {
    /// A key that was drawn at random.
    pub fn draw() -> FileKey {
        FileKey(Zeroizing::new(rand::random()))
    }

    /// The key in hexadecimal.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(data_encoding::HEXLOWER.encode(self.0.as_slice()))
    }

    /// The key that hexadecimal digits say; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<FileKey> {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?;
        let bytes = Zeroizing::new(bytes);
        let key: [u8; 32] = bytes.as_slice().try_into().ok()?;
        Some(FileKey(Zeroizing::new(key)))
    }

    /// The length of a sealed file whose content has so many bytes.
    pub fn sealed_length(bytes: u64) -> u64 {
        let chunks = bytes.div_ceil(CHUNK as u64).max(1);
        let frame = MAGIC.len() as u64;
        bytes
            .saturating_add(chunks.saturating_mul(TAG as u64))
            .saturating_add(frame)
    }

    /// Seals everything that `content` gives into `file`. `place` is what the file is
    /// bound to, and must be given again to open it. Returns the length of the
    /// content, bytes.
    ///
    /// # Errors
    ///
    /// Any error of either.
    pub fn seal(
        &self,
        place: &[u8],
        content: &mut dyn Read,
        file: &mut dyn Write,
    ) -> io::Result<u64> {
        let cipher = self.cipher();
        file.write_all(MAGIC)?;
        let (mut chunk, mut next) = (vec![0; CHUNK], vec![0; CHUNK]);
        let mut length = fill(content, &mut chunk)?;
        let (mut number, mut total) = (0, 0);
        loop {
            let following = fill(content, &mut next)?;
            let is_last = following == 0;
            let payload = Payload {
                msg: chunk.get(..length).unwrap_or_default(),
                aad: place,
            };
            let sealed = cipher.encrypt(&nonce(number, is_last), payload);
            let sealed = sealed.map_err(|_| io::Error::other("a chunk cannot be sealed"))?;
            file.write_all(&sealed)?;
            total += length as u64;
            if is_last {
                return Ok(total);
            }
            std::mem::swap(&mut chunk, &mut next);
            (length, number) = (following, number + 1);
        }
    }

    /// Opens a sealed file and writes what it holds to `content`, which has a part of
    /// it after an error. Returns the length of the content, bytes.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(
        &self,
        place: &[u8],
        file: &mut dyn Read,
        content: &mut dyn Write,
    ) -> Result<u64, OpenError> {
        let cipher = self.cipher();
        let mut magic = [0; MAGIC.len()];
        if fill(file, &mut magic)? < magic.len() || magic != *MAGIC {
            return Err(OpenError::NotOpened);
        }
        let (mut chunk, mut next) = (vec![0; CHUNK + TAG], vec![0; CHUNK + TAG]);
        let mut length = fill(file, &mut chunk)?;
        let (mut number, mut total) = (0, 0);
        loop {
            let following = fill(file, &mut next)?;
            let is_last = following == 0;
            let payload = Payload {
                msg: chunk.get(..length).unwrap_or_default(),
                aad: place,
            };
            let opened = cipher.decrypt(&nonce(number, is_last), payload);
            let opened = opened.map_err(|_| OpenError::NotOpened)?;
            content.write_all(&opened)?;
            total += opened.len() as u64;
            if is_last {
                return Ok(total);
            }
            std::mem::swap(&mut chunk, &mut next);
            (length, number) = (following, number + 1);
        }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

/// The nonce of a chunk.
fn nonce(number: u64, is_last: bool) -> XNonce {
    let mut nonce = [0; 24];
    let (count, rest) = nonce.split_at_mut(8);
    count.copy_from_slice(&number.to_le_bytes());
    rest.fill(u8::from(is_last));
    nonce.into()
}

/// Reads until a buffer is full or the input ends. Returns how much was read.
fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text of so many bytes, no chunk of which is like another.
    fn text(bytes: usize) -> Vec<u8> {
        let numbers = (0_u32..).flat_map(u32::to_le_bytes);
        numbers.take(bytes).collect()
    }

    fn seal(key: &FileKey, text: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::new();
        let length = key.seal(b"place", &mut &*text, &mut sealed).unwrap();
        assert_eq!(length, text.len() as u64);
        sealed
    }

    fn open(key: &FileKey, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        let opened = key.open(place, &mut &*sealed, &mut content);
        opened.ok().map(|_| content)
    }

    #[test]
    fn what_is_sealed_opens_under_its_key_alone() {
        let (key, other) = (FileKey::draw(), FileKey::draw());
        for bytes in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let text = text(bytes);
            let sealed = seal(&key, &text);
            let length = FileKey::sealed_length(text.len() as u64);
            assert_eq!(sealed.len() as u64, length, "{bytes}");
            let read = FileKey::from_hex(&key.to_hex()).unwrap();
            assert_eq!(open(&read, b"place", &sealed), Some(text), "{bytes}");
            assert_eq!(open(&other, b"place", &sealed), None, "another key");
            assert_eq!(open(&key, b"elsewhere", &sealed), None);
        }
    }

    #[test]
    fn no_change_goes_unnoticed() {
        let key = FileKey::draw();
        let sealed = seal(&key, &text(3 * CHUNK + 5));
        let ends = (0..4).map(|chunk| MAGIC.len() + chunk * (CHUNK + TAG));
        for end in ends.chain([3, sealed.len() - 1]) {
            assert_eq!(open(&key, b"place", &sealed[..end]), None, "cut at {end}");
        }
        let (head, chunks) = sealed.split_at(MAGIC.len());
        let chunks: Vec<&[u8]> = chunks.chunks(CHUNK + TAG).collect();
        for order in [&[1, 0, 2, 3][..], &[0, 1, 3], &[0, 1, 2, 2, 3], &[3]] {
            let parts = order.iter().map(|chunk| chunks[*chunk]);
            let parts: Vec<&[u8]> = [head].into_iter().chain(parts).collect();
            assert_eq!(open(&key, b"place", &parts.concat()), None, "{order:?}");
        }
        let longer = [&sealed[..], b"more"].concat();
        assert_eq!(open(&key, b"place", &longer), None);
        for at in [0, MAGIC.len(), CHUNK, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open(&key, b"place", &changed), None, "changed at {at}");
        }
    }
}

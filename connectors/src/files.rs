//! Reads files that are plain, gzip or Zstandard, detected by their first bytes
//! and decompressed as a stream.
//!
//! The name of a file does not matter. A byte order mark before the text is
//! skipped; that of UTF-16 is an error, because no format has that encoding. Memory is bounded by the decompressor's window, whatever the size
//! of the file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The size of the read buffers, bytes.
const BUFFER: usize = 256 << 10;

/// An open file, positioned at its first byte of text.
pub struct OpenFile {
    /// The decompressed bytes.
    pub reader: Box<dyn BufRead + Send>,
    /// How much of the file has been read; a clone remains valid in other
    /// threads.
    pub progress: Progress,
}

/// How far a file has been read, in bytes as stored on disk.
#[derive(Clone, Debug)]
pub struct Progress {
    read: Arc<AtomicU64>,
    size: u64,
}

impl Progress {
    /// Bytes read so far; compressed ones if the file is compressed.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// The size of the file, bytes; 0 for a pipe.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// Opens a file and detects its format: gzip (RFC 1952), including several
/// members; Zstandard (RFC 8878), including skippable frames; plain otherwise.
///
/// # Errors
/// The operating system's error, and `InvalidData` for a text in UTF-16. A
/// damaged archive fails later, while it is read.
/// ```
/// use std::io::Read;
/// use tributary_connectors::files;
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("any name");
/// std::fs::write(&path, b"\xef\xbb\xbfplain text")?;
/// let mut text = String::new();
/// let mut file = files::open(&path)?;
/// file.reader.read_to_string(&mut text)?;
/// assert_eq!(text, "plain text");
/// assert_eq!(file.progress.read(), file.progress.size());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn open(path: &Path) -> io::Result<OpenFile> {
    let file = File::open(path)?;
    let progress = Progress {
        read: Arc::default(),
        size: file.metadata()?.len(),
    };
    let mut counted = Counted {
        file,
        read: progress.read.clone(),
    };
    let mut magic = Vec::with_capacity(4);
    counted.by_ref().take(4).read_to_end(&mut magic)?;
    let gzip = magic.starts_with(&[0x1f, 0x8b]);
    let zstd = magic == [0x28, 0xb5, 0x2f, 0xfd]
        || matches!(magic.as_slice(), [low, 0x2a, 0x4d, 0x18] if low >> 4 == 5);
    let raw = BufReader::with_capacity(BUFFER, Cursor::new(magic).chain(counted));
    let reader: Box<dyn BufRead + Send> = if gzip {
        let plain = flate2::bufread::MultiGzDecoder::new(raw);
        Box::new(BufReader::with_capacity(BUFFER, plain))
    } else if zstd {
        let plain = zstd::stream::read::Decoder::with_buffer(raw)?;
        Box::new(BufReader::with_capacity(BUFFER, plain))
    } else {
        Box::new(raw)
    };
    let reader = skip_bom(reader)?;
    Ok(OpenFile { reader, progress })
}

/// Bytes in memory as a file that is plain, whatever they contain.
///
/// # Errors
/// `InvalidData` for a text in UTF-16.
pub fn of_bytes(data: bytes::Bytes) -> io::Result<OpenFile> {
    let progress = Progress {
        read: Arc::default(),
        size: data.len() as u64,
    };
    let reader = skip_bom(Box::new(Cursor::new(data)))?;
    Ok(OpenFile { reader, progress })
}

/// The mark of UTF-8 that some programs put before a text.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Removes a byte order mark at the beginning.
///
/// ```
/// use tributary_connectors::files::strip_bom;
///
/// assert_eq!(strip_bom(b"\xef\xbb\xbf{}"), b"{}");
/// assert_eq!(strip_bom(b"{}"), b"{}");
/// ```
pub fn strip_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(MARK).unwrap_or(text)
}

/// Consumes a byte order mark at the beginning of a reader.
///
/// # Errors
/// The mark of UTF-16.
fn skip_bom(mut reader: Box<dyn BufRead + Send>) -> io::Result<Box<dyn BufRead + Send>> {
    let mut first = Vec::with_capacity(MARK.len());
    reader
        .by_ref()
        .take(MARK.len() as u64)
        .read_to_end(&mut first)?;
    if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] = first.as_slice() {
        let detail = "the text is in UTF-16: save it as UTF-8 (spreadsheets call it `CSV UTF-8`)";
        return Err(io::Error::new(io::ErrorKind::InvalidData, detail));
    }
    let rest = strip_bom(&first).to_vec();
    match rest.is_empty() {
        true => Ok(reader),
        false => Ok(Box::new(Cursor::new(rest).chain(reader))),
    }
}

/// Counts the bytes that are read from disk.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_16_is_an_error_that_names_it() {
        for mark in [*b"\xff\xfei\0", *b"\xfe\xff\0i"] {
            let error = of_bytes(mark.to_vec().into()).err().unwrap();
            assert!(error.to_string().contains("UTF-16"), "{error}");
        }
        assert!(of_bytes(bytes::Bytes::new()).is_ok());
    }
}

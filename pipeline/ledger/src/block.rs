//! The parts of a segment: header, data blocks and commits (FORMAT.md, section
//! *Segments*).
//!
//! A data block contains entries of one brand. They are compressed and then
//! sealed under the brand's key; the associated data binds the block to its
//! ledger, segment and offset, so that it cannot be opened anywhere else. Its
//! header states how many entries there are, and under the key of which kinds. The
//! checksum covers the bytes as written: it distinguishes corruption from a
//! wrong key, and can be verified without a key. A commit is in clear text, and
//! ends with a code under the key of a brand, over everything since the commit
//! before it and over the code of that one: whoever lacks the key can leave out
//! no block and change no position, but cut the segment after a commit.
//!
//! All checksums of a segment are seeded with the checksum of its header, so
//! that bytes copied from another segment are detected.

use std::path::Path;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::counts::EntryCounts;
use crate::error::LedgerError;
use crate::keyring::{BrandKey, NONCE};
use crate::position::Position;
use crate::wire::Input;

/// Version of the format of manifests and segments. A higher one is refused.
pub const FORMAT: u32 = 7;

/// Oldest version that is read. Its commits have no code.
pub(crate) const OLDEST: u32 = 4;

/// First bytes of a segment file.
const MAGIC: [u8; 8] = *b"TRIBSEG\n";

/// Length of a segment's header in bytes.
pub(crate) const SEGMENT_HEADER: usize = 48;

/// Length in bytes of the clear-text part of a data block, before the nonce.
pub(crate) const DATA_HEADER: usize = 36;

/// Length in bytes of a data block without its sealed content: header, nonce
/// and checksum.
pub(crate) const DATA_FRAME: usize = DATA_HEADER + NONCE + 8;

/// First version whose commits have a position of pings.
const WITH_PINGS: u32 = 6;

/// Length in bytes of a commit without its code and the position of pings.
const COMMIT: usize = 56 + Position::BYTES;

/// A code of a commit: 32 bytes of keyed BLAKE3.
pub(crate) type Code = [u8; 32];

/// First byte of a data block.
pub(crate) const DATA: u8 = 1;
/// First bytes of a commit. Long enough to search a damaged file for commits.
pub(crate) const COMMIT_MAGIC: [u8; 8] = *b"\x02COMMIT\n";

/// Compression level of zstd. The fastest: blocks are written once and read
/// once per restart.
const LEVEL: i32 = 1;

/// Maximum length in bytes of the content of a block before compression. A
/// reader allocates no more, whatever a header states.
pub(crate) const MAX_PLAIN: u32 = 1 << 30;

/// Identity of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentId {
    /// ID of the ledger, 16 random bytes.
    pub ledger: [u8; 16],
    /// Number of the segment in its ledger, from 1; never reused.
    pub number: u64,
    /// Version of its format.
    pub format: u32,
}

/// Clear-text header of a data block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataHeader {
    /// Number of the brand in this ledger.
    pub brand: u16,
    /// Length in bytes of the sealed content, including the tag of the AEAD.
    pub body: u32,
    /// Length in bytes of the content before compression.
    pub plain: u32,
    /// Number of entries by kind, as stored: in clear text before format 6, otherwise
    /// their total in clear text and the counts under a keystream.
    counts: [u8; 24],
}

/// The end of a group of data blocks: the blocks are valid from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommitBlock {
    /// Ordinal of this commit in the ledger, from 1.
    pub ordinal: u64,
    /// Offset of this commit in the file.
    pub offset: u64,
    /// Number of data blocks since the previous commit.
    pub blocks: u64,
    /// Number of entries in these blocks.
    pub entries: u64,
    /// Input position that these entries complete.
    pub position: Position,
    /// Checksum of all bytes since the previous commit, or since the header.
    pub running: u64,
    /// Number of the brand under whose key the code was made, and the code; `None`
    /// before format 5.
    pub code: Option<(u16, Code)>,
}

impl SegmentId {
    /// The header of the segment, as bytes.
    pub fn header(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.format.to_le_bytes());
        out.extend_from_slice(&0_u32.to_le_bytes());
        out.extend_from_slice(&self.ledger);
        out.extend_from_slice(&self.number.to_le_bytes());
        let checksum = xxh3_64(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Seed of all checksums of the segment: the checksum of its header.
    pub fn seed(&self) -> u64 {
        let header = self.header();
        let checksum = header.last_chunk().copied().unwrap_or_default();
        u64::from_le_bytes(checksum)
    }

    /// The format version of a header that a newer version of the program has
    /// written; `None` for any other bytes.
    pub fn newer(header: &[u8]) -> Option<u32> {
        let mut input = Input(header);
        let magic: [u8; 8] = input.array()?;
        let version = input.u32()?;
        (magic == MAGIC && version > FORMAT).then_some(version)
    }

    /// Parses a segment header.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Newer`] for a higher format version, [`LedgerError::Corrupt`]
    /// for anything else that is not a header of a version that is read.
    pub fn read(bytes: &[u8], path: &Path) -> Result<SegmentId, LedgerError> {
        if let Some(found) = SegmentId::newer(bytes) {
            return Err(LedgerError::Newer {
                file: path.to_owned(),
                found,
                known: FORMAT,
            });
        }
        let read = || {
            let format = Input(bytes.get(8..12)?).u32()?;
            let mut input = Input(bytes.get(16..40)?);
            let id = SegmentId {
                ledger: input.array()?,
                number: input.u64()?,
                format,
            };
            (format >= OLDEST && bytes == id.header()).then_some(id)
        };
        read().ok_or_else(|| LedgerError::corrupt(path, 0, "not a segment header"))
    }

    /// Whether this is the same segment, in whatever format.
    pub fn is_same(&self, other: &SegmentId) -> bool {
        (self.ledger, self.number) == (other.ledger, other.number)
    }

    /// Length of a commit in bytes.
    pub fn commit_len(&self) -> usize {
        let pings = if self.has_pings() {
            Position::OF_PINGS
        } else {
            0
        };
        match self.format {
            OLDEST => COMMIT,
            _ => COMMIT + pings + size_of::<u16>() + size_of::<Code>(),
        }
    }

    /// Whether commits have a position of pings.
    fn has_pings(&self) -> bool {
        self.format >= WITH_PINGS
    }

    /// Associated data of a block at `offset`: it can be opened only there.
    fn place(&self, offset: u64, header: &[u8]) -> Vec<u8> {
        let mut place = b"tributary ledger block\0\0".to_vec();
        place.extend_from_slice(&self.ledger);
        place.extend_from_slice(&self.number.to_le_bytes());
        place.extend_from_slice(&offset.to_le_bytes());
        place.extend_from_slice(header);
        place
    }

    /// Appends to `out` a data block that will be written at `offset`. `None` if
    /// the content is too large for one block, or cannot be compressed or sealed.
    pub fn seal(
        &self,
        out: &mut Vec<u8>,
        offset: u64,
        (brand, key): (u16, &BrandKey),
        (plain, entries): (&[u8], EntryCounts),
    ) -> Option<()> {
        let packed = zstd::bulk::compress(plain, LEVEL).ok()?;
        let nonce = rand::random();
        let header = DataHeader {
            brand,
            body: u32::try_from(packed.len() + 16).ok()?,
            plain: u32::try_from(plain.len())
                .ok()
                .filter(|n| *n <= MAX_PLAIN)?,
            counts: conceal(entries, &key.count_mask(&nonce))?,
        }
        .write();
        let body = key.seal_under(nonce, &self.place(offset, &header), &packed)?;
        let start = out.len();
        out.extend_from_slice(&header);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&body);
        let checksum = xxh3_64_with_seed(out.get(start..)?, self.seed());
        out.extend_from_slice(&checksum.to_le_bytes());
        Some(())
    }

    /// The content of the data block at `offset`. `None` if `key` is not the key
    /// that sealed it, or if the block belongs elsewhere.
    pub fn unseal(
        &self,
        offset: u64,
        header: &DataHeader,
        nonce: [u8; NONCE],
        body: &[u8],
        key: &BrandKey,
    ) -> Option<Vec<u8>> {
        let packed = key.open(&self.place(offset, &header.write()), nonce, body)?;
        let plain = usize::try_from(header.plain.min(MAX_PLAIN)).ok()?;
        let content = zstd::bulk::decompress(&packed, plain).ok()?;
        (content.len() == plain).then_some(content)
    }
}

impl DataHeader {
    /// Length in bytes of the whole block.
    pub fn block(&self) -> u64 {
        DATA_FRAME as u64 + u64::from(self.body)
    }

    /// Number of entries in the block.
    pub fn total(&self, format: u32) -> u64 {
        let (total, _) = self.counts.split_first_chunk().unwrap_or((&[0; 4], &[]));
        match format {
            ..6 => clear_counts(&self.counts).total(),
            _ => u32::from_le_bytes(*total).into(),
        }
    }

    /// Number of entries by kind; `None` if the key is not that of the block.
    pub fn entries(&self, format: u32, nonce: &[u8; NONCE], key: &BrandKey) -> Option<EntryCounts> {
        if format < 6 {
            return Some(clear_counts(&self.counts));
        }
        let mask = key.count_mask(nonce);
        let mut input = Input(self.counts.get(4..)?);
        let mut counts = [0; 6];
        for (count, mask) in counts.iter_mut().skip(1).zip(mask.as_chunks().0) {
            *count = u64::from(input.u32()? ^ u32::from_le_bytes(*mask));
        }
        let others = counts.iter().sum();
        let [put, ..] = &mut counts;
        *put = self.total(format).checked_sub(others)?;
        Some(EntryCounts::from_array(counts))
    }

    /// The header as bytes.
    fn write(&self) -> Vec<u8> {
        let mut out = vec![DATA, 0];
        out.extend_from_slice(&self.brand.to_le_bytes());
        out.extend_from_slice(&self.body.to_le_bytes());
        out.extend_from_slice(&self.plain.to_le_bytes());
        out.extend_from_slice(&self.counts);
        out
    }

    /// Parses the header of a data block; `None` if these bytes are none, or state
    /// more than [`MAX_PLAIN`] bytes of content.
    pub fn read(bytes: &[u8]) -> Option<DataHeader> {
        let mut input = Input(bytes);
        if input.array()? != [DATA, 0] {
            return None;
        }
        Some(DataHeader {
            brand: input.u16()?,
            body: input.u32()?,
            plain: input.u32().filter(|plain| *plain <= MAX_PLAIN)?,
            counts: input.array()?,
        })
    }
}

/// Counts as a header of format 6 has them: the total, and all but the first kind
/// under a keystream. `None` if one does not fit into its field.
fn conceal(entries: EntryCounts, mask: &[u8; 20]) -> Option<[u8; 24]> {
    let total = u32::try_from(entries.total()).ok()?;
    let mut out = total.to_le_bytes().to_vec();
    for (count, mask) in entries.to_array().iter().skip(1).zip(mask.as_chunks().0) {
        let count = u32::try_from(*count).ok()? ^ u32::from_le_bytes(*mask);
        out.extend_from_slice(&count.to_le_bytes());
    }
    out.try_into().ok()
}

/// Counts as a header before format 6 has them.
fn clear_counts(bytes: &[u8; 24]) -> EntryCounts {
    let mut counts = [0; 6];
    for (count, bytes) in counts.iter_mut().zip(bytes.as_chunks().0) {
        *count = u32::from_le_bytes(*bytes).into();
    }
    EntryCounts::from_array(counts)
}

impl CommitBlock {
    /// The commit as bytes, without code and checksum.
    fn content(&self, segment: &SegmentId) -> Vec<u8> {
        let mut block = COMMIT_MAGIC.to_vec();
        for number in [self.ordinal, self.offset, self.blocks, self.entries] {
            block.extend_from_slice(&number.to_le_bytes());
        }
        self.position.write(segment.has_pings(), &mut block);
        block.extend_from_slice(&self.running.to_le_bytes());
        block
    }

    /// The code under a key. `group` is the hash of the blocks since the previous
    /// commit of the segment, and `before` the code of that one, or zeros.
    pub fn code(
        &self,
        segment: &SegmentId,
        key: &BrandKey,
        (group, before): (&blake3::Hash, &Code),
    ) -> Code {
        let content = self.content(segment);
        let number = segment.number.to_le_bytes();
        let parts: [&[u8]; 5] = [&segment.ledger, &number, before, group.as_bytes(), &content];
        key.commit_code(&parts)
    }

    /// Appends the commit to `out`. `seed` is that of the segment.
    pub fn write(&self, out: &mut Vec<u8>, segment: &SegmentId, seed: u64) {
        let mut block = self.content(segment);
        if let Some((brand, code)) = &self.code {
            block.extend_from_slice(&brand.to_le_bytes());
            block.extend_from_slice(code);
        }
        let checksum = xxh3_64_with_seed(&block, seed);
        block.extend_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&block);
    }

    /// Parses a commit at `offset` of a segment. `None` if the bytes are not a
    /// commit, or one of another place. The code is not verified.
    pub fn read(bytes: &[u8], offset: u64, segment: &SegmentId) -> Option<CommitBlock> {
        let (content, checksum) = bytes.split_last_chunk::<8>()?;
        let mut input = Input(content);
        let magic: [u8; 8] = input.array()?;
        let commit = CommitBlock {
            ordinal: input.u64()?,
            offset: input.u64()?,
            blocks: input.u64()?,
            entries: input.u64()?,
            position: Position::read(segment.has_pings(), &mut input)?,
            running: input.u64()?,
            code: match segment.format {
                OLDEST => None,
                _ => Some((input.u16()?, input.array()?)),
            },
        };
        let sound = magic == COMMIT_MAGIC
            && input.remaining() == 0
            && commit.offset == offset
            && u64::from_le_bytes(*checksum) == xxh3_64_with_seed(content, segment.seed());
        sound.then_some(commit)
    }
}

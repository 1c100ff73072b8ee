//! What stands in a segment: its header, data blocks and commits.
//!
//! A data block holds entries of one brand: compressed, then sealed under the brand's key, and bound by the
//! associated data to its ledger, segment and offset, so that it opens nowhere else. The checksum is over the
//! bytes as written: it tells rot from a wrong key, and can be checked without any. A commit is in clear.
//!
//! All checksums of a segment are seeded with that of its header, so that what was copied from another segment
//! is not taken for this one's.

use std::path::Path;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::counts::EntryCounts;
use crate::error::LedgerError;
use crate::keyring::{BrandKey, NONCE};
use crate::position::Position;
use crate::wire::Input;

/// The version of the format of manifests and segments.
pub(crate) const FORMAT: u32 = 3;

const MAGIC: [u8; 8] = *b"TRIBSEG\n";

/// The bytes of a segment's header.
pub(crate) const SEGMENT_HEADER: usize = 48;

/// The bytes of a data block before its nonce.
pub(crate) const DATA_HEADER: usize = 36;

/// The bytes of a data block around its sealed content.
pub(crate) const DATA_FRAME: usize = DATA_HEADER + NONCE + 8;

/// The bytes of a commit.
pub(crate) const COMMIT: usize = 56 + Position::BYTES;

/// A data block begins with 1, a commit with these.
pub(crate) const DATA: u8 = 1;
pub(crate) const COMMIT_MAGIC: [u8; 8] = *b"\x02COMMIT\n";

/// The level of compression: the fastest.
const LEVEL: i32 = 1;

/// The most bytes that the content of a block may have before it is compressed.
pub(crate) const MAX_PLAIN: u32 = 1 << 30;

/// Which segment of which ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentId {
    pub ledger: [u8; 16],
    pub number: u64,
}

/// What precedes the content of a data block, in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataHeader {
    pub brand: u16,
    /// Bytes of the sealed content.
    pub body: u32,
    /// Bytes of the content before it was compressed.
    pub plain: u32,
    pub entries: EntryCounts,
}

/// The end of a group of data blocks, which counts from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommitBlock {
    /// The how manieth commit of the ledger, from 1.
    pub ordinal: u64,
    /// Where it stands.
    pub offset: u64,
    /// Data blocks since the commit before, and the entries in them.
    pub blocks: u64,
    pub entries: u64,
    pub position: Position,
    /// The checksum over all blocks since the commit before.
    pub running: u64,
}

impl SegmentId {
    pub fn header(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&0_u32.to_le_bytes());
        out.extend_from_slice(&self.ledger);
        out.extend_from_slice(&self.number.to_le_bytes());
        let checksum = xxh3_64(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    /// What the checksums of this segment are seeded with.
    pub fn seed(&self) -> u64 {
        let header = self.header();
        let checksum = header.last_chunk().copied().unwrap_or_default();
        u64::from_le_bytes(checksum)
    }

    /// The newer version that wrote a header, if one did.
    pub fn newer(header: &[u8]) -> Option<u32> {
        let mut input = Input(header);
        let magic: [u8; 8] = input.array()?;
        let version = input.u32()?;
        (magic == MAGIC && version > FORMAT).then_some(version)
    }

    /// Reads a header.
    pub fn read(bytes: &[u8], path: &Path) -> Result<SegmentId, LedgerError> {
        if let Some(found) = SegmentId::newer(bytes) {
            return Err(LedgerError::Newer {
                file: path.to_owned(),
                found,
                known: FORMAT,
            });
        }
        let read = || {
            let mut input = Input(bytes.get(16..40)?);
            let id = SegmentId {
                ledger: input.array()?,
                number: input.u64()?,
            };
            (bytes == id.header()).then_some(id)
        };
        read().ok_or_else(|| LedgerError::corrupt(path, 0, "not a segment header"))
    }

    fn place(&self, offset: u64, header: &[u8]) -> Vec<u8> {
        let mut place = b"tributary ledger block\0\0".to_vec();
        place.extend_from_slice(&self.ledger);
        place.extend_from_slice(&self.number.to_le_bytes());
        place.extend_from_slice(&offset.to_le_bytes());
        place.extend_from_slice(header);
        place
    }

    /// Appends a data block that will stand at `offset`. None where the content is too large to be sealed.
    pub fn seal(
        &self,
        out: &mut Vec<u8>,
        offset: u64,
        (brand, key): (u16, &BrandKey),
        (plain, entries): (&[u8], EntryCounts),
    ) -> Option<()> {
        let packed = zstd::bulk::compress(plain, LEVEL).ok()?;
        let header = DataHeader {
            brand,
            body: u32::try_from(packed.len() + 16).ok()?,
            plain: u32::try_from(plain.len())
                .ok()
                .filter(|n| *n <= MAX_PLAIN)?,
            entries,
        }
        .write()?;
        let (nonce, body) = key.seal(&self.place(offset, &header), &packed)?;
        let start = out.len();
        out.extend_from_slice(&header);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&body);
        let checksum = xxh3_64_with_seed(out.get(start..)?, self.seed());
        out.extend_from_slice(&checksum.to_le_bytes());
        Some(())
    }

    /// The content of the data block at `offset`, where the key is the one that sealed it.
    pub fn unseal(
        &self,
        offset: u64,
        header: &DataHeader,
        nonce: [u8; NONCE],
        body: &[u8],
        key: &BrandKey,
    ) -> Option<Vec<u8>> {
        let packed = key.open(&self.place(offset, &header.write()?), nonce, body)?;
        let plain = usize::try_from(header.plain.min(MAX_PLAIN)).ok()?;
        let content = zstd::bulk::decompress(&packed, plain).ok()?;
        (content.len() == plain).then_some(content)
    }
}

impl DataHeader {
    /// The bytes of the whole block.
    pub fn block(&self) -> u64 {
        DATA_FRAME as u64 + u64::from(self.body)
    }

    fn write(&self) -> Option<Vec<u8>> {
        let mut out = vec![DATA, 0];
        out.extend_from_slice(&self.brand.to_le_bytes());
        out.extend_from_slice(&self.body.to_le_bytes());
        out.extend_from_slice(&self.plain.to_le_bytes());
        let EntryCounts {
            put,
            drop,
            tokenized_pings: pings,
            label_names: word,
            evidence,
            settled,
        } = self.entries;
        for count in [put, drop, pings, word, evidence, settled] {
            out.extend_from_slice(&u32::try_from(count).ok()?.to_le_bytes());
        }
        Some(out)
    }

    pub fn read(bytes: &[u8]) -> Option<DataHeader> {
        let mut input = Input(bytes);
        if input.array()? != [DATA, 0] {
            return None;
        }
        Some(DataHeader {
            brand: input.u16()?,
            body: input.u32()?,
            plain: input.u32().filter(|plain| *plain <= MAX_PLAIN)?,
            entries: EntryCounts {
                put: input.u32()?.into(),
                drop: input.u32()?.into(),
                tokenized_pings: input.u32()?.into(),
                label_names: input.u32()?.into(),
                evidence: input.u32()?.into(),
                settled: input.u32()?.into(),
            },
        })
    }
}

impl CommitBlock {
    pub fn write(&self, out: &mut Vec<u8>, seed: u64) {
        let mut block = COMMIT_MAGIC.to_vec();
        for number in [self.ordinal, self.offset, self.blocks, self.entries] {
            block.extend_from_slice(&number.to_le_bytes());
        }
        self.position.write(&mut block);
        block.extend_from_slice(&self.running.to_le_bytes());
        let checksum = xxh3_64_with_seed(&block, seed);
        block.extend_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&block);
    }

    /// The commit that these bytes are, where they stand at `offset` of a segment with this seed.
    pub fn read(bytes: &[u8], offset: u64, seed: u64) -> Option<CommitBlock> {
        let (content, checksum) = bytes.split_last_chunk::<8>()?;
        let mut input = Input(content);
        let magic: [u8; 8] = input.array()?;
        let commit = CommitBlock {
            ordinal: input.u64()?,
            offset: input.u64()?,
            blocks: input.u64()?,
            entries: input.u64()?,
            position: Position::read(&mut input)?,
            running: input.u64()?,
        };
        let sound = magic == COMMIT_MAGIC
            && input.remaining() == 0
            && commit.offset == offset
            && u64::from_le_bytes(*checksum) == xxh3_64_with_seed(content, seed);
        sound.then_some(commit)
    }
}

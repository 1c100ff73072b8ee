//! Sequential reader of a segment. It needs the memory of one block, and
//! verifies every checksum.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use crate::checksum::FileChecksum;

use crate::block::{
    COMMIT_MAGIC, CommitBlock, DATA, DATA_FRAME, DATA_HEADER, DataHeader, SEGMENT_HEADER, SegmentId,
};
use crate::error::LedgerError;
use crate::keyring::NONCE;

/// One block of a segment.
pub(crate) enum Frame {
    /// A data block, still sealed.
    Data(DataFrame),
    /// A commit that matches the blocks before it.
    Commit(CommitBlock),
}

/// A sealed data block whose checksum is correct.
pub(crate) struct DataFrame {
    /// Offset in the file; part of the associated data.
    pub offset: u64,
    /// Its clear-text header.
    pub header: DataHeader,
    /// Nonce under which the content is sealed.
    pub nonce: [u8; NONCE],
    /// The sealed content.
    pub body: Vec<u8>,
}

/// Reason why the next block cannot be read.
pub(crate) enum FrameError {
    /// The bytes at this offset are not a valid block.
    Bad(u64, &'static str),
    /// The file cannot be read.
    Io(LedgerError),
}

/// Reader of the blocks of a segment up to a length.
pub(crate) struct Frames {
    /// Path of the file, for error messages.
    path: PathBuf,
    /// The file, at `offset`.
    file: BufReader<File>,
    /// Identity of the segment, as its header states it.
    id: SegmentId,
    /// Seed of its checksums.
    seed: u64,
    /// Offset of the next block.
    offset: u64,
    /// Length up to which blocks are read.
    end: u64,
    /// Checksum of everything read so far.
    whole: FileChecksum,
    /// The blocks since the last commit.
    group: OpenGroup,
    /// Hash of the blocks of the last commit, if they are hashed.
    group_hash: Option<blake3::Hash>,
}

/// Data blocks that no commit has closed yet.
struct OpenGroup {
    /// Checksum of their bytes.
    running: Xxh3,
    /// Their number.
    blocks: u64,
    /// Their entries.
    entries: u64,
    /// Hash of their bytes, for the code of their commit.
    hasher: Option<blake3::Hasher>,
}

impl OpenGroup {
    fn new(seed: u64, is_hashed: bool) -> OpenGroup {
        OpenGroup {
            hasher: is_hashed.then(blake3::Hasher::new),
            running: Xxh3::with_seed(seed),
            blocks: 0,
            entries: 0,
        }
    }
}

/// Reads the header of a segment file; `None` if the file is shorter than a
/// header.
///
/// # Errors
///
/// A file that cannot be read.
pub(crate) fn read_header(path: &Path) -> Result<Option<Vec<u8>>, LedgerError> {
    let read = || {
        let mut header = Vec::new();
        let limit = SEGMENT_HEADER as u64;
        File::open(path)?.take(limit).read_to_end(&mut header)?;
        Ok(header)
    };
    let header = read().map_err(|error| LedgerError::io(path, error))?;
    Ok((header.len() == SEGMENT_HEADER).then_some(header))
}

impl Frames {
    /// Opens a segment and verifies that it is the expected one. Blocks are read up
    /// to `end`, or to the end of the file.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Missing`] for a missing file, [`LedgerError::Corrupt`] for a
    /// wrong or incomplete header or a file shorter than `end`,
    /// [`LedgerError::Newer`].
    pub fn open(path: &Path, expected: SegmentId, end: Option<u64>) -> Result<Frames, LedgerError> {
        let failed = |error| match io::Error::kind(&error) {
            io::ErrorKind::NotFound => LedgerError::Missing {
                file: path.to_owned(),
                what: "the manifest names this segment, but it is not there",
            },
            _ => LedgerError::io(path, error),
        };
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut file = BufReader::with_capacity(1 << 18, file);
        let mut header = [0; SEGMENT_HEADER];
        if length < header.len() as u64 {
            return Err(LedgerError::corrupt(path, 0, "the header is incomplete"));
        }
        file.read_exact(&mut header).map_err(failed)?;
        let id = SegmentId::read(&header, path)?;
        if !id.is_same(&expected) {
            let what = "this is a segment of another ledger, or another segment of this one";
            return Err(LedgerError::corrupt(path, 0, what));
        }
        if end.is_some_and(|end| end > length) {
            return Err(LedgerError::corrupt(path, length, "the file is too short"));
        }
        let seed = id.seed();
        let mut whole = FileChecksum::new(id.format);
        whole.update(&header);
        Ok(Frames {
            path: path.to_owned(),
            file,
            id,
            seed,
            offset: header.len() as u64,
            end: end.unwrap_or(length),
            whole,
            group: OpenGroup::new(seed, false),
            group_hash: None,
        })
    }

    /// Has blocks be read up to `end`, which is no less than before: the file has grown.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Corrupt`] for a file that is shorter.
    pub fn extend(&mut self, end: u64) -> Result<(), LedgerError> {
        let failed = |error| LedgerError::io(&self.path, error);
        let length = self.file.get_ref().metadata().map_err(failed)?.len();
        if end < self.offset || end > length {
            let what = "the file is too short";
            return Err(LedgerError::corrupt(&self.path, length, what));
        }
        // What is buffered behind the former end may have changed.
        let there = io::Seek::seek(&mut self.file, io::SeekFrom::Start(self.offset));
        there.map_err(failed)?;
        self.end = end;
        Ok(())
    }

    /// Hashes the blocks of each commit from here on, if commits have codes.
    pub fn hash_groups(&mut self) {
        self.group = OpenGroup::new(self.seed, self.id.format >= 5);
    }

    /// Hash of the blocks of the last commit, if commits have codes.
    pub fn group_hash(&self) -> Option<&blake3::Hash> {
        self.group_hash.as_ref()
    }

    /// Offset up to which blocks were read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Offset up to which blocks will be read.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Identity of the segment.
    pub fn id(&self) -> SegmentId {
        self.id
    }

    /// Path of the segment file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checksum of everything read so far, including the header. It can be
    /// continued.
    pub fn checksum(&self) -> &FileChecksum {
        &self.whole
    }

    /// Whether data blocks were read that no commit has closed.
    pub fn has_uncommitted(&self) -> bool {
        self.group.blocks > 0
    }

    /// The next block; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`FrameError::Bad`] if the bytes are not a block; the reader must not be
    /// used afterwards.
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        let left = self.end - self.offset;
        if left == 0 {
            return Ok(None);
        }
        let mut first = [0];
        self.read(&mut first)?;
        let frame = match first {
            [DATA] => Frame::Data(self.data(left)?),
            _ => Frame::Commit(self.commit(first, left)?),
        };
        Ok(Some(frame))
    }

    /// Reads the rest of a data block. `left` is the number of bytes up to the end.
    ///
    /// # Errors
    ///
    /// [`FrameError::Bad`] for a block that is incomplete or whose checksum is
    /// wrong.
    fn data(&mut self, left: u64) -> Result<DataFrame, FrameError> {
        let bad = |what| FrameError::Bad(self.offset, what);
        if left < DATA_FRAME as u64 {
            return Err(bad("a block is incomplete"));
        }
        let mut front = [0; DATA_HEADER + NONCE];
        let offset = self.offset;
        if let Some((first, rest)) = front.split_first_mut() {
            *first = DATA;
            self.read(rest)?;
        }
        let bad = |what| FrameError::Bad(offset, what);
        let header = DataHeader::read(&front).ok_or(bad("not a block"))?;
        let nonce = front.last_chunk().copied().unwrap_or([0; NONCE]);
        if header.block() > left {
            return Err(bad("a block is incomplete"));
        }
        let mut body = vec![0; header.body as usize];
        let mut checksum = [0; 8];
        self.read(&mut body)?;
        self.read(&mut checksum)?;
        let mut hash = Xxh3::with_seed(self.seed);
        hash.update(&front);
        hash.update(&body);
        if hash.digest() != u64::from_le_bytes(checksum) {
            return Err(bad("the checksum of a block is wrong"));
        }
        for bytes in [front.as_slice(), body.as_slice(), checksum.as_slice()] {
            self.whole.update(bytes);
            self.group.running.update(bytes);
            if let Some(hasher) = &mut self.group.hasher {
                hasher.update(bytes);
            }
        }
        self.group.blocks += 1;
        self.group.entries += header.total(self.id.format);
        self.offset += header.block();
        Ok(DataFrame {
            offset,
            header,
            nonce,
            body,
        })
    }

    /// Reads the rest of a commit and verifies that it matches the blocks before
    /// it.
    ///
    /// # Errors
    ///
    /// [`FrameError::Bad`] for a commit that is incomplete, damaged, or of another
    /// place.
    fn commit(&mut self, first: [u8; 1], left: u64) -> Result<CommitBlock, FrameError> {
        let offset = self.offset;
        let bad = |what| FrameError::Bad(offset, what);
        let length = self.id.commit_len();
        if left < length as u64 {
            return Err(bad("a commit is incomplete"));
        }
        let mut bytes = vec![0; length];
        if let Some((to, rest)) = bytes.split_first_mut() {
            [*to] = first;
            self.read(rest)?;
        }
        let commit = CommitBlock::read(&bytes, offset, &self.id)
            .ok_or(bad("this is neither a block nor a commit"))?;
        let next = OpenGroup::new(self.seed, self.group.hasher.is_some());
        let group = std::mem::replace(&mut self.group, next);
        self.group_hash = group.hasher.map(|hasher| hasher.finalize());
        let of_group = (group.running.digest(), group.blocks, group.entries);
        if of_group != (commit.running, commit.blocks, commit.entries) {
            return Err(bad("a commit does not fit the blocks before it"));
        }
        self.whole.update(&bytes);
        self.offset += length as u64;
        Ok(commit)
    }

    /// Reads exactly as many bytes as `to` has room for.
    ///
    /// # Errors
    ///
    /// [`FrameError::Io`], also at the end of the file.
    fn read(&mut self, to: &mut [u8]) -> Result<(), FrameError> {
        let read = self.file.read_exact(to);
        read.map_err(|error| FrameError::Io(LedgerError::io(&self.path, error)))
    }
}

/// Checksum that a commit stores for the bytes of its group.
pub(crate) fn running_checksum(bytes: &[u8], seed: u64) -> u64 {
    xxh3_64_with_seed(bytes, seed)
}

/// Searches the bytes of a file for a commit of at least this ordinal, at any
/// offset. Damage before it does not matter.
///
/// # Errors
///
/// Any error of reading.
pub(crate) fn later_commit(
    path: &Path,
    id: SegmentId,
    places: Range<u64>,
    ordinal: u64,
) -> Result<Option<CommitBlock>, LedgerError> {
    let failed = |error| LedgerError::io(path, error);
    let mut file = File::open(path).map_err(failed)?;
    io::Seek::seek(&mut file, io::SeekFrom::Start(places.start)).map_err(failed)?;
    let mut file = file.take(places.end.saturating_sub(places.start));
    let finder = memchr::memmem::Finder::new(&COMMIT_MAGIC);
    let (length, mut base, mut window) = (id.commit_len(), places.start, Vec::new());
    loop {
        let read = file.by_ref().take(1 << 20).read_to_end(&mut window);
        let read = read.map_err(failed)?;
        for place in finder.find_iter(&window) {
            let bytes = window.get(place..place + length).unwrap_or_default();
            let commit = CommitBlock::read(bytes, base + place as u64, &id);
            if let Some(commit) = commit.filter(|commit| commit.ordinal >= ordinal) {
                return Ok(Some(commit));
            }
        }
        if read == 0 {
            return Ok(None);
        }
        // What could begin a commit that goes on in the next part is looked at again.
        let passed = window.len().saturating_sub(length - 1);
        window.drain(..passed);
        base += passed as u64;
    }
}

//! Recovery: reads all current entries of a ledger, block by block.
//!
//! Blocks are read and verified in order, with one block in memory. Opening a block is most of the work, and any thread
//! may do it.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use tributary_operators::event::Event;
use tributary_operators::record::{BrandId, Day};
use tributary_operators::salt::Salt;

use crate::block::SegmentId;
use crate::brands::find_key;
use crate::counts::{EntryCounts, LedgerStats};
use crate::error::LedgerError;
use crate::event::decode;
use crate::frames::{DataFrame, Frame, FrameError, Frames};
use crate::keyring::Keyring;
use crate::known_labels::{KnownLabels, name_key};
use crate::manifest::{Manifest, ManifestBrand, Paths};
use crate::position::Position;
use crate::rotate::rekey;

/// What a ledger held when it was opened.
pub struct Recovery {
    /// The position of the last commit; none in a new ledger.
    pub position: Option<Position>,
    /// The salts of sensor days that were not forgotten.
    pub salts: Vec<(BrandId, Day, Salt)>,
    /// How many bytes after the last commit were cut: a commit that was interrupted.
    pub cut_bytes: u64,
    /// What is held.
    pub stats: LedgerStats,
    pub(crate) blocks: BlockReader,
}

impl std::fmt::Debug for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recovered")
            .field("position", &self.position)
            .field("cut_bytes", &self.cut_bytes)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl Recovery {
    /// The next block, or none when all were read.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Corrupt`] where the bytes are not what was written. Blocks that came before are right, but
    /// they are not everything.
    pub fn next_block(&mut self) -> Result<Option<SealedBlock>, LedgerError> {
        self.blocks.next()
    }

    /// Bytes read so far.
    pub fn read_bytes(&self) -> u64 {
        self.blocks.read
    }

    /// Bytes that are to be read.
    pub fn total_bytes(&self) -> u64 {
        self.blocks.total
    }
}

/// The segments of a ledger, as far as they count.
pub(crate) struct SegmentSet {
    paths: Paths,
    segments: Vec<SegmentPart>,
    brands: Arc<ManifestBrands>,
}

/// The brands of a manifest, and where it is.
struct ManifestBrands {
    ledger: [u8; 16],
    lines: Vec<ManifestBrand>,
    file: PathBuf,
}

/// One segment.
#[derive(Clone)]
pub(crate) struct SegmentPart {
    pub id: SegmentId,
    pub bytes: u64,
    pub entries: EntryCounts,
    /// The checksum of the whole, for a sealed one.
    checksum: Option<Vec<u8>>,
}

impl SegmentSet {
    /// The sealed segments.
    pub fn sealed(paths: &Paths, manifest: &Manifest) -> SegmentSet {
        let part = |segment: &crate::manifest::SealedSegment| SegmentPart {
            id: manifest.segment(segment.number),
            bytes: segment.bytes,
            entries: segment.entries.values().copied().sum(),
            checksum: Some(segment.checksum.0.clone()),
        };
        SegmentSet {
            paths: paths.clone(),
            segments: manifest.segments.iter().map(part).collect(),
            brands: Arc::new(ManifestBrands {
                ledger: manifest.id(),
                lines: manifest.brands.clone(),
                file: paths.manifest(),
            }),
        }
    }

    /// The sealed segments, and the active one up to its last commit.
    pub fn with_active(paths: &Paths, manifest: &Manifest, committed: u64) -> SegmentSet {
        let mut source = SegmentSet::sealed(paths, manifest);
        source.segments.push(SegmentPart {
            id: manifest.segment(manifest.active),
            bytes: committed,
            entries: EntryCounts::default(),
            checksum: None,
        });
        source
    }

    /// Says what the active segment holds.
    pub fn set_active_counts(&mut self, entries: EntryCounts) {
        if let Some(part) = self.segments.last_mut() {
            part.entries = entries;
        }
    }

    pub fn parts(&self) -> &[SegmentPart] {
        &self.segments
    }

    /// All blocks.
    pub fn blocks(&self, known: KnownLabels) -> BlockReader {
        self.blocks_of(self.segments.clone(), known)
    }

    /// The blocks of some of the segments.
    pub fn blocks_of(&self, parts: Vec<SegmentPart>, known: KnownLabels) -> BlockReader {
        BlockReader {
            paths: self.paths.clone(),
            total: parts.iter().map(|part| part.bytes).sum(),
            parts: parts.into(),
            read: 0,
            current: None,
            brands: self.brands.clone(),
            known,
            broken: false,
        }
    }
}

/// The blocks of some segments, one after the other.
pub(crate) struct BlockReader {
    paths: Paths,
    parts: VecDeque<SegmentPart>,
    current: Option<(Frames, SegmentPart)>,
    pub read: u64,
    pub total: u64,
    brands: Arc<ManifestBrands>,
    known: KnownLabels,
    broken: bool,
}

impl BlockReader {
    pub fn next(&mut self) -> Result<Option<SealedBlock>, LedgerError> {
        if self.broken {
            let what = "a segment could not be read to its end";
            return Err(LedgerError::corrupt(&self.paths.0, 0, what));
        }
        let next = self.advance();
        self.broken = next.is_err();
        next
    }

    fn advance(&mut self) -> Result<Option<SealedBlock>, LedgerError> {
        loop {
            let (mut frames, part) = match self.current.take() {
                Some(current) => current,
                None => match self.parts.pop_front() {
                    Some(part) => {
                        let path = self.paths.segment(part.id.number);
                        let frames = Frames::open(&path, part.id, Some(part.bytes))?;
                        self.read += frames.offset();
                        (frames, part)
                    }
                    None => return Ok(None),
                },
            };
            let start = frames.offset();
            let next = match frames.next() {
                Ok(next) => next,
                Err(FrameError::Io(error)) => return Err(error),
                Err(FrameError::Bad(offset, what)) => {
                    return Err(LedgerError::corrupt(frames.path(), offset, what));
                }
            };
            self.read += frames.offset() - start;
            match next {
                Some(Frame::Commit(_)) => self.current = Some((frames, part)),
                Some(Frame::Data(data)) => {
                    let block = self.block(&frames, data)?;
                    self.current = Some((frames, part));
                    return Ok(Some(block));
                }
                None => part.verify_end(&frames)?,
            }
        }
    }

    fn block(&self, frames: &Frames, data: DataFrame) -> Result<SealedBlock, LedgerError> {
        let number = data.header.brand;
        let line = self.brands.lines.iter().position(|b| b.number == number);
        let line = line.ok_or_else(|| {
            let what = "a block is of a brand that the manifest does not name";
            LedgerError::corrupt(frames.path(), data.offset, what)
        })?;
        Ok(SealedBlock {
            segment: frames.id(),
            file: frames.path().to_owned(),
            data,
            brands: self.brands.clone(),
            line,
            known: self.known.clone(),
        })
    }
}

impl SegmentPart {
    fn verify_end(&self, frames: &Frames) -> Result<(), LedgerError> {
        let corrupt = |what| Err(LedgerError::corrupt(frames.path(), self.bytes, what));
        if frames.has_uncommitted() {
            return corrupt("the segment does not end with a commit");
        }
        match &self.checksum {
            Some(checksum) if *checksum != frames.checksum().digest128().to_be_bytes() => {
                corrupt("the checksum of a sealed segment is wrong")
            }
            _ => Ok(()),
        }
    }
}

/// Entries of one brand, still sealed, perhaps under a secret that was exchanged since.
pub struct SealedBlock {
    segment: SegmentId,
    file: PathBuf,
    data: DataFrame,
    brands: Arc<ManifestBrands>,
    line: usize,
    known: KnownLabels,
}

impl std::fmt::Debug for SealedBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block")
            .field("file", &self.file)
            .field("offset", &self.data.offset)
            .field("entries", &self.data.header.entries)
            .finish_non_exhaustive()
    }
}

impl SealedBlock {
    /// How many entries there are in it.
    pub fn entries(&self) -> u64 {
        self.data.header.entries.total()
    }

    /// The name of the brand that it belongs to.
    pub fn brand(&self) -> &str {
        self.brands
            .lines
            .get(self.line)
            .map_or("", |line| line.name.as_str())
    }

    pub(crate) fn number(&self) -> u16 {
        self.data.header.brand
    }

    /// Opens the block and gives its events, of which none is an [`Event::Ping`], with the pseudonyms of the keyring's
    /// newest secrets. `day` is the brand's day of a time in Unix milliseconds: it is asked for every record but
    /// spend. The words are announced by the worker thread that opens the block.
    ///
    /// # Errors
    ///
    /// [`LedgerError::UnknownBrand`] and [`LedgerError::WrongKey`] before the first event;
    /// [`LedgerError::Corrupt`] where the block does not open or does not hold what it says.
    pub fn open(
        &self,
        keyring: &Keyring,
        thread: usize,
        day: &mut dyn FnMut(BrandId, i64) -> Day,
        each: &mut dyn FnMut(Event),
    ) -> Result<(), LedgerError> {
        let corrupt = |what| LedgerError::corrupt(&self.file, self.data.offset, what);
        let DataFrame {
            offset,
            header,
            nonce,
            body,
        } = &self.data;
        let line = self.brands.lines.get(self.line);
        let line = line.ok_or_else(|| corrupt("a block is of no brand"))?;
        let found = find_key(line, &self.brands.ledger, keyring, &self.brands.file)?;
        let brand = found.id;
        let content = self
            .segment
            .unseal(*offset, header, *nonce, body, found.key);
        let content = content.ok_or_else(|| corrupt("a block does not open"))?;
        let mut words = Vec::new();
        let entries = decode(&content, brand, day, &mut |mut event| {
            if let Event::LabelName { label, word, .. } = &event {
                words.push(name_key(brand, *label, word));
            }
            rekey(&mut event, found.keys.chain(), line.links);
            each(event);
        });
        if entries != Ok(header.entries) {
            return Err(corrupt(
                "a block does not contain the entries that its header declares",
            ));
        }
        if !words.is_empty() {
            self.known.with(|known| {
                for (brand, label, _) in &words {
                    known.announce((*brand, *label), thread);
                }
                known.extend(words);
            });
        }
        Ok(())
    }
}

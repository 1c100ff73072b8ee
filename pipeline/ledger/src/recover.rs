//! Recovery: reads all current entries of a ledger, block by block.
//!
//! Blocks are read and verified in order, with one block in memory. Decrypting
//! and decoding a block is most of the work, and any thread may do it.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use tributary_config::key_chain::KeyChain;
use tributary_operators::event::Event;
use tributary_operators::record::{BrandId, Day};
use tributary_operators::salt::Salt;

use crate::block::SegmentId;
use crate::brands::find_key;
use crate::checksum;
use crate::counts::{EntryCounts, LedgerStats};
use crate::error::LedgerError;
use crate::event::decode_older;
use crate::frames::{DataFrame, Frame, FrameError, Frames, read_header};
use crate::keyring::Keyring;
use crate::known_labels::{KnownLabels, name_key};
use crate::manifest::{Manifest, ManifestBrand, Paths};
use crate::older_names::{self, OlderNames};
use crate::position::Position;
use crate::rotate::{EarlierIds, rekey, rekey_stepwise};

/// Content of a ledger at its opening.
pub struct Recovery {
    /// Position of the last commit; `None` in a new ledger.
    pub position: Option<Position>,
    /// The stored salts of sensor days, by brand and day.
    pub salts: Vec<(BrandId, Day, Salt)>,
    /// Number of bytes truncated after the last commit: an interrupted commit.
    pub cut_bytes: u64,
    /// Size of the ledger.
    pub stats: LedgerStats,
    /// Reader of all blocks.
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
    /// The next block; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Corrupt`] if the bytes are not those that were written. The
    /// blocks before are intact, but they are not the whole ledger.
    pub fn next_block(&mut self) -> Result<Option<SealedBlock>, LedgerError> {
        self.blocks.next()
    }

    /// Number of bytes read so far.
    pub fn read_bytes(&self) -> u64 {
        self.blocks.read
    }

    /// Number of bytes to read in all.
    pub fn total_bytes(&self) -> u64 {
        self.blocks.total
    }
}

/// The valid segments of a ledger, and the brands to read them with.
pub(crate) struct SegmentSet {
    /// Paths of the ledger's files.
    paths: Paths,
    /// The segments in reading order.
    segments: Vec<SegmentPart>,
    /// Brands of the manifest.
    brands: Arc<ManifestBrands>,
}

/// The brands of a manifest, shared by all blocks.
struct ManifestBrands {
    /// ID of the ledger, which key checks depend on.
    ledger: [u8; 16],
    /// The brands.
    lines: Vec<ManifestBrand>,
    /// Path of the manifest, for error messages.
    file: PathBuf,
    /// What the labels and keys of older segments stand for.
    names: OlderNames,
}

/// A segment up to a length.
#[derive(Clone)]
pub(crate) struct SegmentPart {
    /// Its identity.
    pub id: SegmentId,
    /// Length in bytes up to which it is valid.
    pub bytes: u64,
    /// Its entries.
    pub entries: EntryCounts,
    /// Checksum of the whole file, for a sealed segment.
    checksum: Option<Vec<u8>>,
}

impl SegmentSet {
    /// The sealed segments of a manifest.
    pub fn sealed(paths: &Paths, manifest: &Manifest) -> SegmentSet {
        let part = |segment: &crate::manifest::SealedSegment| SegmentPart {
            id: manifest.segment(segment.number),
            bytes: segment.bytes,
            entries: segment.entries.counts().values().copied().sum(),
            checksum: Some(segment.checksum.0.clone()),
        };
        SegmentSet {
            paths: paths.clone(),
            segments: manifest.segments.iter().map(part).collect(),
            brands: Arc::new(ManifestBrands {
                ledger: manifest.id(),
                lines: manifest.brands.clone(),
                file: paths.manifest(),
                names: OlderNames::default(),
            }),
        }
    }

    /// The sealed segments, followed by the active one up to `committed` bytes.
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

    /// Whether the labels and keys of a segment are those of an older format.
    ///
    /// # Errors
    ///
    /// Any error of reading its header.
    pub fn is_older(&self, part: &SegmentPart) -> Result<bool, LedgerError> {
        let path = self.paths.segment(part.id.number);
        let header = read_header(&path)?.unwrap_or_default();
        let id = SegmentId::read(&header, &path)?;
        Ok(id.format <= older_names::LAST)
    }

    /// Collects what the labels and keys of older segments stand for, if there are such segments; before anything else of them
    /// is read.
    ///
    /// # Errors
    ///
    /// Any error of reading.
    pub fn with_older_names(self, keyring: &Keyring) -> Result<SegmentSet, LedgerError> {
        let mut any_is_older = false;
        for part in &self.segments {
            any_is_older |= self.is_older(part)?;
        }
        if !any_is_older {
            return Ok(self);
        }
        let mut names = OlderNames::default();
        self.each_event(keyring, &mut |event| match event {
            Event::LabelName { word, .. } => names.add(&word),
            Event::Drop { key, .. } => names.add_dropped(key),
            _ => {}
        })?;
        let has_dropped = names.has_dropped();
        let source = SegmentSet {
            brands: Arc::new(ManifestBrands {
                ledger: self.brands.ledger,
                lines: self.brands.lines.clone(),
                file: self.brands.file.clone(),
                names,
            }),
            ..self
        };
        if has_dropped {
            // The records that have their keys are read.
            source.each_event(keyring, &mut |_| ())?;
        }
        Ok(source)
    }

    /// Calls `each` with the events of all brands that the keyring has.
    fn each_event(
        &self,
        keyring: &Keyring,
        each: &mut dyn FnMut(Event),
    ) -> Result<(), LedgerError> {
        let mut blocks = self.blocks(KnownLabels::default());
        while let Some(block) = blocks.next()? {
            if keyring.find_by_name(block.brand()).is_some() {
                block.open(keyring, 0, &mut |_, _| 0, each)?;
            }
        }
        Ok(())
    }

    /// Sets the entries of the last segment, which the manifest does not know.
    pub fn set_active_counts(&mut self, entries: EntryCounts) {
        if let Some(part) = self.segments.last_mut() {
            part.entries = entries;
        }
    }

    /// The segments in reading order.
    pub fn parts(&self) -> &[SegmentPart] {
        &self.segments
    }

    /// Reader of the blocks of all segments. Opened blocks add their label names to
    /// `known`.
    pub fn blocks(&self, known: KnownLabels) -> BlockReader {
        self.blocks_of(self.segments.clone(), known)
    }

    /// Reader of the blocks of some segments.
    pub fn blocks_of(&self, parts: Vec<SegmentPart>, known: KnownLabels) -> BlockReader {
        BlockReader {
            paths: self.paths.clone(),
            total: parts.iter().map(|part| part.bytes).sum(),
            parts: parts.into(),
            passed: Vec::new(),
            used: BTreeSet::new(),
            read: 0,
            current: None,
            brands: self.brands.clone(),
            known,
            broken: false,
        }
    }
}

/// Reader of the blocks of several segments in order.
pub(crate) struct BlockReader {
    /// Paths of the ledger's files.
    paths: Paths,
    /// Segments that are not open yet.
    parts: VecDeque<SegmentPart>,
    /// The segment that is being read. The active one stays open at its end, because it grows.
    current: Option<(Frames, SegmentPart)>,
    /// The sealed segments that were read to their end.
    passed: Vec<SegmentPart>,
    /// The numbers of the brands that blocks were of.
    used: BTreeSet<u16>,
    /// Number of bytes read.
    pub read: u64,
    /// Number of bytes to read.
    pub total: u64,
    /// Brands of the manifest.
    brands: Arc<ManifestBrands>,
    /// Receives the label names of opened blocks.
    known: KnownLabels,
    /// Whether an error occurred. All later reads then fail, so that nobody
    /// mistakes the rest for the whole.
    broken: bool,
}

impl BlockReader {
    /// The next block; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Corrupt`], and any error of reading.
    pub fn next(&mut self) -> Result<Option<SealedBlock>, LedgerError> {
        if self.broken {
            let what = "a segment could not be read to its end";
            return Err(LedgerError::corrupt(&self.paths.0, 0, what));
        }
        let next = self.advance();
        self.broken = next.is_err();
        next
    }

    /// Reads up to the next data block, and verifies the end of each segment that
    /// it passes.
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
                    self.used.insert(block.number());
                    self.current = Some((frames, part));
                    return Ok(Some(block));
                }
                None => {
                    part.verify_end(&frames)?;
                    match part.checksum.is_some() {
                        true => self.passed.push(part),
                        false if self.parts.is_empty() => {
                            self.current = Some((frames, part));
                            return Ok(None);
                        }
                        false => {}
                    }
                }
            }
        }
    }

    /// Verifies the sealed segments of which something was read once more: a disk may have damaged them since.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Corrupt`].
    pub fn verify_read(&self) -> Result<(), LedgerError> {
        let current = self.current.iter().map(|(_, part)| part);
        let current = current.filter(|part| part.checksum.is_some());
        for part in self.passed.iter().chain(current) {
            let path = self.paths.segment(part.id.number);
            let (bytes, checksum) = (Some(part.bytes), part.checksum.as_deref());
            if !checksum::matches(&path, bytes, checksum, part.id.format)? {
                let what = "the checksum of a sealed segment is wrong";
                return Err(LedgerError::corrupt(&path, part.bytes, what));
            }
        }
        Ok(())
    }

    /// Goes on with the blocks of a newer state of the same ledger, of which `newer` has read nothing, after those that were
    /// read of this one. Returns false if that state does not begin with what was read; the reader must not be used then.
    ///
    /// # Errors
    ///
    /// A segment that is shorter than that state says.
    pub fn go_on(&mut self, newer: &BlockReader) -> Result<bool, LedgerError> {
        let is_line_same = |number: &u16| {
            let mut lines = self.brands.lines.iter();
            let line = lines.find(|line| line.number == *number);
            line.is_some_and(|line| newer.brands.lines.contains(line))
        };
        let is_same = !self.broken
            && self.brands.ledger == newer.brands.ledger
            && self.used.iter().all(is_line_same);
        let mut parts = newer.parts.clone();
        let mut passed = self.passed.iter();
        if !is_same || !passed.all(|passed| parts.pop_front().is_some_and(|of| of.is(passed))) {
            return Ok(false);
        }
        if let Some((frames, current)) = &mut self.current {
            match parts.pop_front() {
                Some(part) if part.continues(current) => {
                    frames.extend(part.bytes)?;
                    *current = part;
                }
                _ => return Ok(false),
            }
        }
        newer.known.absorb(&self.known);
        self.known = newer.known.clone();
        (self.parts, self.brands, self.total) = (parts, newer.brands.clone(), newer.total);
        Ok(true)
    }

    /// Assigns a block to its brand.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Corrupt`] if the manifest does not list the brand number.
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
    /// Whether both are the same file, sealed.
    fn is(&self, other: &SegmentPart) -> bool {
        self.continues(other) && self.bytes == other.bytes && self.checksum == other.checksum
    }

    /// Whether this is the same segment later: longer, or sealed since.
    fn continues(&self, earlier: &SegmentPart) -> bool {
        self.id.is_same(&earlier.id)
            && self.bytes >= earlier.bytes
            && (earlier.checksum.is_none() || self.checksum == earlier.checksum)
    }

    /// Verifies that a segment ends with a commit, and the checksum of a sealed
    /// one.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Corrupt`].
    fn verify_end(&self, frames: &Frames) -> Result<(), LedgerError> {
        let corrupt = |what| Err(LedgerError::corrupt(frames.path(), self.bytes, what));
        if frames.has_uncommitted() {
            return corrupt("the segment does not end with a commit");
        }
        match &self.checksum {
            Some(checksum) if *checksum != frames.checksum().digest() => {
                corrupt("the checksum of a sealed segment is wrong")
            }
            _ => Ok(()),
        }
    }
}

/// Entries of one brand, still sealed, possibly under a previous secret.
pub struct SealedBlock {
    /// Segment of the block.
    segment: SegmentId,
    /// Path of the segment, for error messages.
    file: PathBuf,
    /// The sealed block.
    data: DataFrame,
    /// Brands of the manifest.
    brands: Arc<ManifestBrands>,
    /// Index of the block's brand in `brands`.
    line: usize,
    /// Receives the label names.
    known: KnownLabels,
}

impl std::fmt::Debug for SealedBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block")
            .field("file", &self.file)
            .field("offset", &self.data.offset)
            .field("entries", &self.entries())
            .finish_non_exhaustive()
    }
}

impl SealedBlock {
    /// Number of entries in the block.
    pub fn entries(&self) -> u64 {
        self.data.header.total(self.segment.format)
    }

    /// Name of the brand that the block belongs to.
    pub fn brand(&self) -> &str {
        self.brands
            .lines
            .get(self.line)
            .map_or("", |line| line.name.as_str())
    }

    /// Brand number of the block.
    pub(crate) fn number(&self) -> u16 {
        self.data.header.brand
    }

    /// Decrypts the block and calls `each` with its events, none of which is an
    /// [`Event::Ping`]. Pseudonyms are those of the keyring's newest secrets.
    ///
    /// `day` maps a time in Unix milliseconds to a day of the brand; it is called
    /// for every record except spend. Label names are announced for `thread`, the
    /// index of the worker thread that opens the block.
    ///
    /// # Errors
    ///
    /// [`LedgerError::UnknownBrand`] and [`LedgerError::WrongKey`] before the first
    /// event; [`LedgerError::Corrupt`] if the block does not decrypt, or does not
    /// contain the entries that its header states.
    pub fn open(
        &self,
        keyring: &Keyring,
        thread: usize,
        day: &mut dyn FnMut(BrandId, i64) -> Day,
        each: &mut dyn FnMut(Event),
    ) -> Result<(), LedgerError> {
        let mut move_up = |mut event: Event, chain: &KeyChain, links| {
            rekey(&mut event, chain, links);
            each(event);
        };
        self.unsealed(keyring, thread, day, &mut move_up)
    }

    /// [`SealedBlock::open`] for who needs the identifiers under older secrets as well.
    pub(crate) fn open_with_earlier(
        &self,
        keyring: &Keyring,
        day: &mut dyn FnMut(BrandId, i64) -> Day,
        each: &mut dyn FnMut(Event, &EarlierIds),
    ) -> Result<(), LedgerError> {
        let mut earlier = Vec::new();
        let mut move_up = |mut event: Event, chain: &KeyChain, links| {
            earlier.clear();
            rekey_stepwise(&mut event, chain, links, &mut earlier);
            each(event, &earlier);
        };
        self.unsealed(keyring, 0, day, &mut move_up)
    }

    /// Decrypts the block and calls `each` with its events as they were sealed, the links of their brand, and how many of
    /// those they have passed.
    fn unsealed(
        &self,
        keyring: &Keyring,
        thread: usize,
        day: &mut dyn FnMut(BrandId, i64) -> Day,
        each: &mut dyn FnMut(Event, &KeyChain, usize),
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
        let is_older = self.segment.format <= older_names::LAST;
        let older = is_older.then_some((&self.brands.names, line.name.as_str()));
        let entries = decode_older(&content, brand, older, day, &mut |event| {
            if let Event::LabelName { label, word, .. } = &event {
                words.push(name_key(brand, *label, word));
            }
            each(event, found.keys.chain(), line.links);
        });
        let declared = header.entries(self.segment.format, nonce, found.key);
        if entries.ok() != declared || declared.is_none() {
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

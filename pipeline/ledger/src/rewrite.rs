//! The rewrite: copies the sealed segments without superseded and erased entries.
//!
//! It runs on its own thread while commits continue. The active segment is sealed at the start, so the rewrite covers
//! all earlier commits. It first decides what to leave out ([`crate::compaction_filter`]) and then replaces every
//! segment with such an entry, every segment with an entry sealed under an old key, and small segments; a large segment
//! without any is left unchanged. The new segments are durable when [`Rewrite::run`] returns and count once they are
//! installed. A crash in between leaves files that the manifest does not name; the next opening removes them.
//!
//! Label names that no thread has announced ([`crate::known_labels`]) are left out as well.
//!
//! An erased entry takes the entries that it superseded with it: they do not become current again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustc_hash::FxHashSet;
use tributary_operators::event::Event;

use crate::active::ActiveSegment;
use crate::block::SEGMENT_HEADER;
use crate::brands::find_key;
use crate::commit::{CONTENT, Sealer};
use crate::compaction_filter::{Bitmap, DEFAULT_BUDGET, mark_superseded, read_entries};
use crate::counts::EntryCounts;
use crate::error::LedgerError;
use crate::event::Encoder;
use crate::keyring::Keyring;
use crate::known_labels::{BrandLabel, LabelTable, NameKey, name_key};
use crate::ledger::Ledger;
use crate::manifest::{Manifest, ManifestBrand, Paths, SealedSegment};
use crate::pending_segments::PendingSegments;
use crate::recover::{SealedBlock, SegmentPart, SegmentSet};

/// Decides whether an event is kept.
pub type KeepFilter = Arc<dyn Fn(&Event) -> bool + Send + Sync>;

/// The work of a rewrite, to be run on any thread.
pub struct Rewrite {
    paths: Paths,
    keyring: Arc<Keyring>,
    manifest: Manifest,
    /// The brand number under which the entries of each brand number are rewritten.
    targets: BTreeMap<u16, u16>,
    next: Arc<AtomicU64>,
    segment_bytes: u64,
    budget: u64,
    keep: KeepFilter,
    /// The labels whose names are dropped.
    idle: FxHashSet<BrandLabel>,
}

impl std::fmt::Debug for Rewrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rewrite")
            .field("segments", &self.manifest.segments.len())
            .finish_non_exhaustive()
    }
}

/// New segments to be installed. Dropping the value removes them.
pub struct RewriteResult {
    pub(crate) sources: Vec<SealedSegment>,
    pub(crate) outputs: Vec<SealedSegment>,
    /// The brands under which the new segments are written.
    pub(crate) brands: Vec<ManifestBrand>,
    pub(crate) words: Vec<NameKey>,
    pub(crate) drafts: PendingSegments,
    /// Entries left out because they were superseded, and unused label names.
    pub superseded: u64,
    /// Entries left out because they were not to be kept, superseded ones included: `put` are versions of records,
    /// `drop` are drops, `tokenized_pings` are pings.
    pub erased: EntryCounts,
    /// Entries moved from an old key to the newest.
    pub rekeyed: u64,
}

impl std::fmt::Debug for RewriteResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rewritten")
            .field("superseded", &self.superseded)
            .field("forgotten", &self.erased)
            .field("moved", &self.rekeyed)
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// Seals the active segment and begins a rewrite of everything that was committed. `keep` says what stays; the
    /// pseudonyms of the records that it is shown are those of the newest secret, and their day is that of UTC, except
    /// for spend. [`Ledger::erase`] is this for what persons ask to be forgotten.
    ///
    /// # Errors
    ///
    /// Any of the disk; nothing is lost.
    pub fn rewrite(&mut self, keep: KeepFilter) -> Result<Rewrite, LedgerError> {
        self.roll()?;
        let targets = self.rewrite_targets()?;
        Ok(Rewrite {
            paths: self.paths.clone(),
            keyring: self.keyring.clone(),
            manifest: self.manifest.clone(),
            targets,
            next: self.next_segment.clone(),
            segment_bytes: self.segment_bytes,
            budget: DEFAULT_BUDGET,
            keep,
            idle: self.known.with(LabelTable::take_idle),
        })
    }
}

impl Rewrite {
    /// Lets the table of keys take about this many bytes of memory. Default 512 MiB; with less, everything is
    /// read several times. One bit for each entry comes on top.
    pub fn budget(mut self, bytes: u64) -> Rewrite {
        self.budget = bytes;
        self
    }

    /// Runs the rewrite. `progress` receives the bytes done and the total of the compaction filter, which is most of the work.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Corrupt`] where a segment is not what was written, or any of the disk. What was written so far
    /// is removed again, and the ledger is as it was.
    pub fn run(self, progress: &mut dyn FnMut(u64, u64)) -> Result<RewriteResult, LedgerError> {
        let source = SegmentSet::sealed(&self.paths, &self.manifest);
        let total = source.parts().iter().map(|part| part.entries.total()).sum();
        let mut erased_entries = Bitmap::new(total);
        let mut words = Vec::new();
        let mut forgotten = EntryCounts::default();
        let mut idle = Vec::new();
        let mut also = |_: &SealedBlock, entry, event: &Event| {
            if !(self.keep)(event) {
                erased_entries.set(entry);
                forgotten.count(event);
                if let Event::LabelName { brand, label, word } = event {
                    words.push(name_key(*brand, *label, word));
                }
            } else if let Event::LabelName { brand, label, .. } = event
                && self.idle.contains(&(*brand, *label))
            {
                idle.push(entry);
            }
        };
        let mut superseded_entries =
            mark_superseded(&source, &self.keyring, self.budget, progress, &mut also)?;
        idle.into_iter()
            .for_each(|entry| superseded_entries.set(entry));
        let mut writer = Writer::new(&self);
        let mut sources = Vec::new();
        let (mut first, mut superseded, mut moved) = (0, 0, 0);
        let small = |bytes: u64| bytes < self.segment_bytes / 2;
        let many = source
            .parts()
            .iter()
            .filter(|part| small(part.bytes))
            .count()
            > 1;
        for (part, sealed) in source.parts().iter().zip(&self.manifest.segments) {
            let entries = first..first + part.entries.total();
            let is_dropped =
                |entry: u64| erased_entries.get(entry) || superseded_entries.get(entry);
            let behind = self.entries_under_old_keys(sealed);
            if entries.clone().any(is_dropped) || behind > 0 || (many && small(part.bytes)) {
                moved += behind;
                superseded += entries
                    .clone()
                    .filter(|entry| !erased_entries.get(*entry) && superseded_entries.get(*entry))
                    .count() as u64;
                writer.copy(&source, (part, sealed), entries.start, &is_dropped)?;
                sources.push(sealed.clone());
            }
            first = entries.end;
        }
        let (outputs, drafts) = writer.finish()?;
        let entries = |segments: &[SealedSegment]| -> u64 {
            let counts = segments.iter().flat_map(|segment| segment.entries.values());
            counts.map(|entries| entries.total()).sum()
        };
        if entries(&outputs) + superseded + forgotten.total() != entries(&sources) {
            let what = "a rewrite does not account for every entry, and is not used";
            return Err(LedgerError::corrupt(&self.paths.manifest(), 0, what));
        }
        let written =
            |line: &&ManifestBrand| outputs.iter().any(|s| s.entries.contains_key(&line.number));
        let brands = self.manifest.brands.iter().filter(written).cloned();
        Ok(RewriteResult {
            sources,
            brands: brands.collect(),
            outputs,
            words,
            drafts,
            superseded,
            erased: forgotten,
            rekeyed: moved,
        })
    }

    /// The number of entries of a segment that are sealed under an old key.
    fn entries_under_old_keys(&self, segment: &SealedSegment) -> u64 {
        let stays = |number: &u16| self.targets.get(number) == Some(number);
        let behind = segment.entries.iter().filter(|(n, _)| !stays(n));
        behind.map(|(_, entries)| entries.total()).sum()
    }
}

/// Writes new segments, each gathered in memory and then written with one commit.
struct Writer<'a> {
    rewrite: &'a Rewrite,
    encoders: BTreeMap<u16, Encoder>,
    current: Option<Sealer>,
    /// The first and last commit of what was copied so far.
    commits: (u64, u64),
    outputs: Vec<SealedSegment>,
    drafts: PendingSegments,
}

impl<'a> Writer<'a> {
    fn new(rewrite: &'a Rewrite) -> Writer<'a> {
        Writer {
            rewrite,
            encoders: BTreeMap::new(),
            current: None,
            commits: (u64::MAX, 0),
            outputs: Vec::new(),
            drafts: PendingSegments::default(),
        }
    }

    /// Copies the entries of a segment that do not go.
    fn copy(
        &mut self,
        source: &SegmentSet,
        (part, sealed): (&SegmentPart, &SealedSegment),
        first: u64,
        is_dropped: &dyn Fn(u64) -> bool,
    ) -> Result<(), LedgerError> {
        let (begin, end) = sealed.commits;
        self.commits = (self.commits.0.min(begin), self.commits.1.max(end));
        let keyring = &self.rewrite.keyring;
        let parts = vec![part.clone()];
        read_entries(
            source,
            keyring,
            parts,
            first,
            &mut |_| (),
            &mut |block, entry, event| {
                if is_dropped(entry) {
                    return Ok(());
                }
                let number = block.number();
                let number = self.rewrite.targets.get(&number).copied().unwrap_or(number);
                let encoder = self.encoders.entry(number).or_default();
                encoder.push(&event);
                match encoder.len() >= CONTENT {
                    true => self.flush(number),
                    false => Ok(()),
                }
            },
        )
    }

    /// Seals what was gathered of a brand.
    fn flush(&mut self, number: u16) -> Result<(), LedgerError> {
        let Some((run, entries)) = self.encoders.get_mut(&number).map(Encoder::take) else {
            return Ok(());
        };
        let Rewrite {
            manifest,
            keyring,
            next,
            paths,
            segment_bytes,
            ..
        } = self.rewrite;
        let file = paths.manifest();
        let line = manifest.brand(number);
        let line = line.ok_or_else(|| LedgerError::corrupt(&file, 0, "a brand is missing"))?;
        let key = find_key(line, &manifest.id(), keyring, &file)?.key;
        let sealer = self.current.get_or_insert_with(|| {
            let segment = manifest.segment(next.fetch_add(1, Ordering::Relaxed));
            Sealer::new(segment, SEGMENT_HEADER as u64)
        });
        sealer.add(number, key, &run, entries);
        sealer.seal(number, key);
        match sealer.len() >= *segment_bytes {
            true => self.finish_segment(),
            false => Ok(()),
        }
    }

    fn finish_segment(&mut self) -> Result<(), LedgerError> {
        let Some(sealer) = self.current.take() else {
            return Ok(());
        };
        let (_, last) = self.commits;
        let paths = &self.rewrite.paths;
        let id = sealer.segment();
        let path = paths.segment(id.number);
        let too_large = || std::io::Error::other("an entry is too large to be sealed");
        let mut group = sealer
            .finish()
            .ok_or_else(|| LedgerError::io(&path, too_large()))?;
        self.drafts.add(path);
        let mut segment = ActiveSegment::create(paths, id, last.saturating_sub(1))?;
        segment.commit(
            &mut group,
            self.rewrite.manifest.position.unwrap_or_default(),
        )?;
        let mut sealed = segment.seal_summary()?;
        sealed.commits = self.commits;
        self.outputs.push(sealed);
        Ok(())
    }

    fn finish(mut self) -> Result<(Vec<SealedSegment>, PendingSegments), LedgerError> {
        let numbers: Vec<u16> = self.encoders.keys().copied().collect();
        for number in numbers {
            self.flush(number)?;
        }
        self.finish_segment()?;
        Ok((self.outputs, self.drafts))
    }
}

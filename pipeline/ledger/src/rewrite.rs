//! The rewrite: copies the sealed segments without superseded and erased
//! entries.
//!
//! It runs on its own thread while commits continue. The active segment is
//! sealed at the start, so that the rewrite covers all earlier commits. It
//! first determines what to leave out ([`crate::compaction_filter`]) and then
//! replaces every segment with such an entry, every segment with an entry
//! sealed under an old key, every segment of an older format, and small segments; a large segment without any is
//! left unchanged. The new segments are durable when [`Rewrite::run`] returns
//! and count once they are installed. A crash in between leaves files that the
//! manifest does not list; the next opening removes them.
//!
//! Label names that no thread has announced ([`crate::known_labels`]) are left
//! out as well.
//!
//! An erased entry takes the entries that it superseded with it: they do not
//! become current again. Before a result is returned, the entries copied and
//! left out are checked against the entries read.

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
use crate::rotate::EarlierIds;

/// Decides whether an event is kept, by itself and its identifiers under older secrets.
pub type KeepFilter = Arc<dyn Fn(&Event, &EarlierIds) -> bool + Send + Sync>;

/// A rewrite that has begun. It can run on any thread.
pub struct Rewrite {
    /// Paths of the ledger's files.
    pub(crate) paths: Paths,
    /// Keys at the time when the rewrite began.
    pub(crate) keyring: Arc<Keyring>,
    /// The manifest at that time.
    pub(crate) manifest: Manifest,
    /// The brand number under which the entries of each brand number are rewritten.
    pub(crate) targets: BTreeMap<u16, u16>,
    /// Number of the next segment, shared with the ledger.
    pub(crate) next: Arc<AtomicU64>,
    /// Size in bytes at which a new segment is sealed.
    pub(crate) segment_bytes: u64,
    /// Memory budget of the compaction filter, in bytes.
    pub(crate) budget: u64,
    /// Entries for which it returns false are erased.
    pub(crate) keep: KeepFilter,
    /// The brand of which nothing is kept, if there is one.
    pub(crate) without: Option<String>,
    /// The labels whose names are dropped.
    pub(crate) idle: FxHashSet<BrandLabel>,
}

impl std::fmt::Debug for Rewrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rewrite")
            .field("segments", &self.manifest.segments.len())
            .finish_non_exhaustive()
    }
}

/// New segments to install. Dropping the value removes them.
pub struct RewriteResult {
    /// Segments that were copied and are to be replaced.
    pub(crate) sources: Vec<SealedSegment>,
    /// The new segments.
    pub(crate) outputs: Vec<SealedSegment>,
    /// The brands under which the new segments are written.
    pub(crate) brands: Vec<ManifestBrand>,
    /// Label names that were erased.
    pub(crate) words: Vec<NameKey>,
    /// Removes the new files if the result is dropped.
    pub(crate) drafts: PendingSegments,
    /// Number of entries left out because they were superseded, and of unused label
    /// names.
    pub superseded: u64,
    /// Entries left out because the filter did not keep them, including superseded
    /// ones: `put` counts versions of records, `drop` drops, `tokenized_pings`
    /// pings.
    pub erased: EntryCounts,
    /// Number of entries moved from an old key to the newest.
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
    /// Seals the active segment and begins a rewrite of everything committed so
    /// far. `keep` receives records with the pseudonyms of the newest secret, and
    /// those under older secrets as far back as the entry was sealed, and, except for
    /// spend, with their day in UTC. [`Ledger::erase`] is a rewrite for
    /// requests of data subjects.
    ///
    /// # Errors
    ///
    /// Any error of the disk; nothing is lost.
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
            without: None,
            idle: self.known.with(LabelTable::take_idle),
        })
    }
}

impl Rewrite {
    /// Sets the approximate memory budget of the table of keys, in bytes. The
    /// default is 512 MiB; with less, everything is read several times. One bit per
    /// entry is needed in addition.
    pub fn budget(mut self, bytes: u64) -> Rewrite {
        self.budget = bytes;
        self
    }

    /// Leaves out everything of a brand, which another ledger has now.
    pub fn without(mut self, brand: &str) -> Rewrite {
        self.without = Some(brand.to_owned());
        self
    }

    /// Executes the rewrite. `progress` receives the bytes done and the total of
    /// the compaction filter, which is most of the work.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Corrupt`] if a segment is damaged, or any error of the disk.
    /// New segments are removed again, and the ledger is unchanged.
    pub fn run(self, progress: &mut dyn FnMut(u64, u64)) -> Result<RewriteResult, LedgerError> {
        let source = SegmentSet::sealed(&self.paths, &self.manifest);
        let source = source.with_older_names(&self.keyring)?;
        let total = source.parts().iter().map(|part| part.entries.total()).sum();
        let mut erased_entries = Bitmap::new(total);
        let mut words = Vec::new();
        let mut forgotten = EntryCounts::default();
        let mut idle = Vec::new();
        // An import may bring names that the ledger has.
        let mut names = FxHashSet::default();
        let mut also = |block: &SealedBlock, entry, event: &Event, earlier: &EarlierIds| {
            let is_left_out = self.without.as_deref() == Some(block.brand());
            if is_left_out || !(self.keep)(event, earlier) {
                erased_entries.set(entry);
                forgotten.count(event);
                if let Event::LabelName { brand, label, word } = event {
                    words.push(name_key(*brand, *label, word));
                }
            } else if let Event::LabelName { brand, label, word } = event
                && (self.idle.contains(&(*brand, *label))
                    || !names.insert(name_key(*brand, *label, word)))
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
            let is_behind = behind > 0 || source.is_older(part)?;
            if entries.clone().any(is_dropped) || is_behind || (many && small(part.bytes)) {
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
            let counts = segments
                .iter()
                .flat_map(|segment| segment.entries.counts().values());
            counts.map(|entries| entries.total()).sum()
        };
        if entries(&outputs) + superseded + forgotten.total() != entries(&sources) {
            let what = "a rewrite does not account for every entry, and is not used";
            return Err(LedgerError::corrupt(&self.paths.manifest(), 0, what));
        }
        let written = |line: &&ManifestBrand| outputs.iter().any(|s| s.entries.has(line.number));
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

    /// Number of entries of a segment that are sealed under an old key.
    fn entries_under_old_keys(&self, segment: &SealedSegment) -> u64 {
        let stays = |number: &u16| self.targets.get(number) == Some(number);
        let behind = segment.entries.counts().iter().filter(|(n, _)| !stays(n));
        behind.map(|(_, entries)| entries.total()).sum()
    }
}

/// Writer of the new segments. Each is collected in memory and then written
/// with one commit.
pub(crate) struct Writer<'a> {
    /// The rewrite that it works for.
    rewrite: &'a Rewrite,
    /// Entries of each brand number that are not sealed yet.
    encoders: BTreeMap<u16, Encoder>,
    /// The segment that is being filled.
    current: Option<Sealer>,
    /// First and last commit of everything copied so far.
    commits: (u64, u64),
    /// The finished segments.
    outputs: Vec<SealedSegment>,
    /// Their files.
    drafts: PendingSegments,
}

impl<'a> Writer<'a> {
    /// A writer without segments.
    pub(crate) fn new(rewrite: &'a Rewrite) -> Writer<'a> {
        Writer {
            rewrite,
            encoders: BTreeMap::new(),
            current: None,
            commits: (u64::MAX, 0),
            outputs: Vec::new(),
            drafts: PendingSegments::default(),
        }
    }

    /// Copies the entries of a segment, except those for which `is_dropped` returns
    /// true. `first` is the number of its first entry.
    ///
    /// # Errors
    ///
    /// Any error of reading or of the disk.
    fn copy(
        &mut self,
        source: &SegmentSet,
        (part, sealed): (&SegmentPart, &SealedSegment),
        first: u64,
        is_dropped: &dyn Fn(u64) -> bool,
    ) -> Result<(), LedgerError> {
        self.cover(sealed.commits);
        let keyring = &self.rewrite.keyring;
        let parts = vec![part.clone()];
        read_entries(
            source,
            keyring,
            parts,
            first,
            &mut |_| (),
            &mut |block, entry, event, _| {
                if is_dropped(entry) {
                    return Ok(());
                }
                let number = block.number();
                let number = self.rewrite.targets.get(&number).copied().unwrap_or(number);
                self.push(number, &event)
            },
        )
    }

    /// Extends the commits whose entries the next segments may hold.
    pub(crate) fn cover(&mut self, (begin, end): (u64, u64)) {
        self.commits = (self.commits.0.min(begin), self.commits.1.max(end));
    }

    /// Adds an entry of a brand number.
    ///
    /// # Errors
    ///
    /// Those of [`Writer::flush`].
    pub(crate) fn push(&mut self, number: u16, event: &Event) -> Result<(), LedgerError> {
        let encoder = self.encoders.entry(number).or_default();
        encoder.push(event);
        match encoder.len() >= CONTENT {
            true => self.flush(number),
            false => Ok(()),
        }
    }

    /// Seals the collected entries of a brand number.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Corrupt`] for a brand number that the manifest does not list;
    /// any error of the disk.
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

    /// Writes the segment that is being filled, with one commit, durably.
    ///
    /// # Errors
    ///
    /// Any error of the disk, or an entry that is too large for a block.
    fn finish_segment(&mut self) -> Result<(), LedgerError> {
        let Some(sealer) = self.current.take() else {
            return Ok(());
        };
        let (_, last) = self.commits;
        let paths = &self.rewrite.paths;
        let id = sealer.segment();
        let path = paths.segment(id.number);
        let (manifest, file) = (&self.rewrite.manifest, paths.manifest());
        let too_large = || std::io::Error::other("an entry is too large to be sealed");
        let mut group = sealer
            .finish()
            .ok_or_else(|| LedgerError::io(&path, too_large()))?;
        self.drafts.add(path);
        let number = group.counts.keys().next().copied().unwrap_or_default();
        let line = manifest.brand(number);
        let line = line.ok_or_else(|| LedgerError::corrupt(&file, 0, "a brand is missing"))?;
        let key = find_key(line, &manifest.id(), &self.rewrite.keyring, &file)?.key;
        let mut segment = ActiveSegment::create(paths, id, last.saturating_sub(1))?;
        let position = manifest.position.unwrap_or_default();
        segment.commit(&mut group, position, (number, key))?;
        let mut sealed = segment.seal_summary()?;
        sealed.commits = self.commits;
        self.outputs.push(sealed);
        Ok(())
    }

    /// Writes everything that is left, and returns the new segments.
    pub(crate) fn finish(mut self) -> Result<(Vec<SealedSegment>, PendingSegments), LedgerError> {
        let numbers: Vec<u16> = self.encoders.keys().copied().collect();
        for number in numbers {
            self.flush(number)?;
        }
        self.finish_segment()?;
        Ok((self.outputs, self.drafts))
    }
}

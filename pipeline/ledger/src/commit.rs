//! The commit: makes write batches and the position durable together.
//!
//! The steps, in order: roll the active segment if it has grown too large; enter new brands and salts in the manifest;
//! append the blocks and their commit to the active segment in one write and one `fdatasync`. Nothing counts before the
//! last step, and a failed step leaves everything unchanged, so the same commit may be retried. Only a failed `fsync`
//! is final.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;
use tributary_operators::event::Event;
use tributary_operators::record::BrandId;

use crate::active::SealedGroup;
use crate::block::SegmentId;
use crate::brands;
use crate::counts::{CountsByBrand, EntryCounts};
use crate::error::LedgerError;
use crate::event::Encoder;
use crate::keyring::{BrandKey, BrandKeys};
use crate::known_labels::{NameKey, name_key};
use crate::ledger::{Ledger, seal_salt};
use crate::position::Position;
use crate::rotate::rekey_run;
use crate::write_batch::WriteBatch;

/// A block is sealed when its content has grown to this many bytes.
pub(crate) const CONTENT: usize = 1 << 20;

/// What a commit made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Which commit it is, from 1 on.
    pub ordinal: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Entries written; words that the ledger had are none.
    pub entries: u64,
}

impl Ledger {
    /// Takes a batch. It becomes durable with the next commit.
    pub fn append(&mut self, mut batch: WriteBatch) {
        batch.close();
        if !batch.is_empty() {
            self.pending.push(batch);
        }
    }

    /// Makes everything that was appended durable, together with the position.
    ///
    /// # Errors
    ///
    /// After [`LedgerError::Sync`] the process must stop. After any other error nothing was committed and nothing
    /// is lost: what was appended is kept, and `commit` may be called again, with this position or a later one.
    pub fn commit(&mut self, position: Position) -> Result<Commit, LedgerError> {
        self.check_usable()?;
        if self.active.committed >= self.segment_bytes {
            self.roll()?;
        }
        self.enter_in_manifest()?;
        let (mut group, words) = self.seal_pending()?;
        let written = self.active.commit(&mut group, position);
        let bytes = self.record_sync_failure(written)?;
        self.known.with(|known| {
            known.extend(words);
            self.pending.iter().for_each(|batch| known.commit(batch));
        });
        self.position = Some(position);
        self.pending.clear();
        Ok(Commit {
            ordinal: self.active.commits,
            bytes,
            entries: group.counts.values().map(EntryCounts::total).sum(),
        })
    }

    /// Enters the brands and salts that are new into the manifest.
    fn enter_in_manifest(&mut self) -> Result<(), LedgerError> {
        let mut manifest = self.manifest.clone();
        let mut numbers = self.numbers.clone();
        for brand in self.pending_brands() {
            brands::number_of(&mut manifest, &mut numbers, brand, self.keys(brand)?);
        }
        let mut new = numbers.len() > self.numbers.len();
        for (brand, day, salt) in self.pending.iter().flat_map(|batch| &batch.salts) {
            let Some(&number) = numbers.get(brand) else {
                continue;
            };
            let known =
                |line: &crate::manifest::ManifestSalt| (line.brand, line.day) == (number, *day);
            if !manifest.salts.iter().any(known) {
                let line = seal_salt(&manifest, (number, self.keys(*brand)?.newest()), *day, salt);
                manifest.salts.extend(line);
                new = true;
            }
        }
        if new {
            self.replace_manifest(manifest)?;
            self.numbers = numbers;
        }
        Ok(())
    }

    fn pending_brands(&self) -> BTreeSet<BrandId> {
        let of_page = |batch: &WriteBatch| {
            let mut brands: BTreeSet<BrandId> = batch.brands.keys().copied().collect();
            brands.extend(batch.words.iter().map(|(brand, ..)| *brand));
            brands.extend(batch.salts.iter().map(|(brand, ..)| *brand));
            brands
        };
        self.pending.iter().flat_map(of_page).collect()
    }

    fn keys(&self, brand: BrandId) -> Result<&BrandKeys, LedgerError> {
        let unknown = || LedgerError::UnknownBrand {
            file: self.paths.manifest(),
            brand: format!("{:016x}, by the hash of its name,", brand.0),
        };
        self.keyring.of(brand).ok_or_else(unknown)
    }

    /// The pending entries, sealed for their place, and the words among them.
    fn seal_pending(&self) -> Result<(SealedGroup, FxHashSet<NameKey>), LedgerError> {
        let mut words = FxHashSet::default();
        let mut sealer = Sealer::new(self.active.id(), self.active.committed);
        for brand in self.pending_brands() {
            let Some(&number) = self.numbers.get(&brand) else {
                continue;
            };
            let keys = self.keys(brand)?;
            let key = keys.newest();
            let (fresh, entries) = self.encode_new_names(brand, &mut words);
            sealer.add(number, key, &fresh, entries);
            let runs = self
                .pending
                .iter()
                .filter_map(|batch| batch.brands.get(&brand));
            let links = self.opening_keyring.links(brand);
            for (run, entries) in runs.flat_map(|runs| runs.closed()) {
                if links == keys.links() {
                    sealer.add(number, key, run, *entries);
                } else {
                    // The secret was exchanged since the process began.
                    let run = rekey_run(run, brand, keys.chain(), links);
                    let run = run.map_err(|error| {
                        LedgerError::io(self.active.path(), std::io::Error::other(error))
                    })?;
                    sealer.add(number, key, &run, *entries);
                }
            }
            sealer.seal(number, key);
        }
        let too_large = || std::io::Error::other("an entry is too large to be sealed");
        let group = sealer.finish();
        let group = group.ok_or_else(|| LedgerError::io(self.active.path(), too_large()))?;
        Ok((group, words))
    }

    /// A run of a brand's pending words that the ledger does not have yet.
    fn encode_new_names(
        &self,
        brand: BrandId,
        words: &mut FxHashSet<NameKey>,
    ) -> (Vec<u8>, EntryCounts) {
        let mut encoder = Encoder::default();
        self.known.with(|known| {
            let pending = self.pending.iter().flat_map(|batch| &batch.words);
            for (_, label, word) in pending.filter(|(of, ..)| *of == brand) {
                let key = name_key(brand, *label, word);
                if !known.contains(&key) && words.insert(key) {
                    encoder.push(&Event::LabelName {
                        brand,
                        label: *label,
                        word: word.clone(),
                    });
                }
            }
        });
        encoder.take()
    }
}

/// Puts runs together to blocks of some size, and seals them for their places.
pub(crate) struct Sealer {
    segment: SegmentId,
    start: u64,
    content: Vec<u8>,
    entries: EntryCounts,
    group: SealedGroup,
    failed: bool,
}

impl Sealer {
    /// The first block will stand at `start`.
    pub fn new(segment: SegmentId, start: u64) -> Sealer {
        Sealer {
            segment,
            start,
            content: Vec::new(),
            entries: EntryCounts::default(),
            group: SealedGroup {
                bytes: Vec::new(),
                blocks: 0,
                counts: CountsByBrand::new(),
            },
            failed: false,
        }
    }

    pub fn segment(&self) -> SegmentId {
        self.segment
    }

    /// Where the next block will stand.
    pub fn len(&self) -> u64 {
        self.start + self.group.bytes.len() as u64
    }

    pub fn add(&mut self, brand: u16, key: &BrandKey, run: &[u8], entries: EntryCounts) {
        self.content.extend_from_slice(run);
        self.entries += entries;
        if self.content.len() >= CONTENT {
            self.seal(brand, key);
        }
    }

    /// Ends the block of a brand.
    pub fn seal(&mut self, brand: u16, key: &BrandKey) {
        if self.content.is_empty() {
            return;
        }
        let (offset, brand_key) = (self.len(), (brand, key));
        let content = (self.content.as_slice(), self.entries);
        let sealed = self
            .segment
            .seal(&mut self.group.bytes, offset, brand_key, content);
        self.failed |= sealed.is_none();
        self.group.blocks += 1;
        *self.group.counts.entry(brand).or_default() += self.entries;
        self.content.clear();
        self.entries = EntryCounts::default();
    }

    /// The blocks, unless one could not be sealed.
    pub fn finish(self) -> Option<SealedGroup> {
        (!self.failed).then_some(self.group)
    }
}

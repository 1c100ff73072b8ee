//! The commit: makes write batches and the input position durable together.
//!
//! The steps, in order: seal the active segment and begin another if it has
//! grown too large; enter new brands and salts in the manifest; append the
//! blocks and their commit to the active segment in one write and one
//! `fdatasync`. Nothing counts before the last step, and a failed step leaves
//! everything unchanged, so that the same commit may be retried. Only a failed
//! `fsync` is final.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;
use tributary_operators::event::Event;
use tributary_operators::record::BrandId;

use crate::active::SealedGroup;
use crate::block::SegmentId;
use crate::brands::{self, Numbers};
use crate::counts::{CountsByBrand, EntryCounts};
use crate::error::LedgerError;
use crate::event::Encoder;
use crate::keyring::{BrandKey, BrandKeys, Keyring};
use crate::known_labels::{NameKey, name_key};
use crate::ledger::Ledger;
use crate::position::Position;
use crate::rotate::rekey_run;
use crate::salts::{self, Salts};
use crate::write_batch::WriteBatch;

/// Size in bytes of the content at which a block is sealed.
pub(crate) const CONTENT: usize = 1 << 20;

/// What a commit made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Ordinal of the commit in the ledger, from 1.
    pub ordinal: u64,
    /// Number of bytes written to the segment.
    pub bytes: u64,
    /// Number of entries written. Label names that the ledger already stores are
    /// not written again.
    pub entries: u64,
}

impl Ledger {
    /// Adds a batch to the next commit.
    pub fn append(&mut self, mut batch: WriteBatch) {
        batch.close();
        if !batch.is_empty() {
            self.pending.push(batch);
        }
    }

    /// Makes all appended batches durable, together with the position.
    ///
    /// # Errors
    ///
    /// After [`LedgerError::Sync`] the process must stop. After any other error
    /// nothing was committed and nothing is lost: the batches are kept, and
    /// `commit` may be called again with this position or a later one.
    pub fn commit(&mut self, position: Position) -> Result<Commit, LedgerError> {
        self.check_usable()?;
        if self.active.committed >= self.segment_bytes {
            self.roll()?;
        }
        self.enter_in_manifest()?;
        let (mut group, words) = self.seal_pending()?;
        let keyring = self.keyring.clone();
        let code_key = self.code_key(&keyring)?;
        let written = self.active.commit(&mut group, position, code_key);
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

    /// Enters new brands and salts in the manifest, which is replaced if there are
    /// any.
    ///
    /// # Errors
    ///
    /// [`LedgerError::UnknownBrand`], and any error of the disk; the manifest is
    /// then unchanged.
    fn enter_in_manifest(&mut self) -> Result<(), LedgerError> {
        let mut manifest = self.manifest.clone();
        let mut numbers = self.numbers.clone();
        for brand in self.pending_brands() {
            brands::number_of(&mut manifest, &mut numbers, brand, self.keys(brand)?);
        }
        // A commit without entries has a code, too.
        if let (true, Some((brand, keys))) = (numbers.is_empty(), self.keyring.first()) {
            brands::number_of(&mut manifest, &mut numbers, brand, keys);
        }
        let is_new = numbers.len() > self.numbers.len();
        match self.with_pending_salts(&numbers)? {
            Some(salts) => self.replace_salts(manifest, &salts)?,
            None if is_new => self.replace_manifest(manifest)?,
            None => return Ok(()),
        }
        self.numbers = numbers;
        Ok(())
    }

    /// The salts together with those of the pending batches; `None` if there is no
    /// new one.
    ///
    /// # Errors
    ///
    /// Those of reading the salts.
    fn with_pending_salts(&self, numbers: &Numbers) -> Result<Option<Salts>, LedgerError> {
        if self.pending.iter().all(|batch| batch.salts.is_empty()) {
            return Ok(None);
        }
        let mut salts = salts::read(&self.paths, &self.manifest, &self.keyring)?;
        let mut is_new = false;
        for (brand, day, salt) in self.pending.iter().flat_map(|batch| &batch.salts) {
            if let Some(number) = numbers.get(brand) {
                let days = salts.0.entry(*number).or_default();
                days.entry(*day).or_insert_with(|| {
                    is_new = true;
                    salt.clone()
                });
            }
        }
        Ok(is_new.then_some(salts))
    }

    /// The brand under whose key a commit has its code, by its number: one that has
    /// entries, if there is one, because the configuration has to keep it anyway.
    ///
    /// # Errors
    ///
    /// [`LedgerError::UnknownBrand`] if there is none.
    fn code_key<'a>(&self, keyring: &'a Keyring) -> Result<(u16, &'a BrandKey), LedgerError> {
        let pending = self.pending_brands();
        let has_entries = |(brand, number): &(&BrandId, &u16)| {
            let active = self.active.counts.get(number);
            pending.contains(brand)
                || active.is_some_and(|entries| entries.total() > 0)
                || self.manifest.has_entries(**number)
        };
        let best = (self.numbers.iter()).min_by_key(|of| (!has_entries(of), *of.1));
        let key = best.and_then(|(brand, number)| Some((*number, keyring.of(*brand)?.newest())));
        key.ok_or_else(|| LedgerError::UnknownBrand {
            file: self.paths.manifest(),
            brand: "no brand at all".to_owned(),
        })
    }

    /// Brands with anything in the pending batches.
    fn pending_brands(&self) -> BTreeSet<BrandId> {
        let of_page = |batch: &WriteBatch| {
            let mut brands: BTreeSet<BrandId> = batch.brands.keys().copied().collect();
            brands.extend(batch.words.iter().map(|(brand, ..)| *brand));
            brands.extend(batch.salts.iter().map(|(brand, ..)| *brand));
            brands
        };
        self.pending.iter().flat_map(of_page).collect()
    }

    /// The keys of a brand.
    ///
    /// # Errors
    ///
    /// [`LedgerError::UnknownBrand`] if the configuration does not have it.
    fn keys(&self, brand: BrandId) -> Result<&BrandKeys, LedgerError> {
        let unknown = || LedgerError::UnknownBrand {
            file: self.paths.manifest(),
            brand: format!("{:016x}, by the hash of its name,", brand.0),
        };
        self.keyring.of(brand).ok_or_else(unknown)
    }

    /// Seals the pending entries for their place in the segment. Also returns the
    /// keys of the label names among them.
    ///
    /// # Errors
    ///
    /// [`LedgerError::UnknownBrand`], or an entry that is too large for a block.
    /// Nothing is written.
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

    /// Encodes the pending label names of a brand that the ledger does not store
    /// yet, and adds their keys to `words`.
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

/// Combines runs to blocks of about [`CONTENT`] bytes and seals each for its
/// place.
pub(crate) struct Sealer {
    /// The segment that the blocks are for.
    segment: SegmentId,
    /// Offset of the first block.
    start: u64,
    /// Content of the block that is being filled.
    content: Vec<u8>,
    /// Its entries.
    entries: EntryCounts,
    /// The sealed blocks.
    group: SealedGroup,
    /// Whether a block could not be sealed.
    failed: bool,
}

impl Sealer {
    /// A sealer whose first block will be written at offset `start`.
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

    /// The segment that the blocks are for.
    pub fn segment(&self) -> SegmentId {
        self.segment
    }

    /// Offset of the next block.
    pub fn len(&self) -> u64 {
        self.start + self.group.bytes.len() as u64
    }

    /// Adds an encoded run of a brand. All runs of a brand must be added before
    /// [`Sealer::seal`] is called for it.
    pub fn add(&mut self, brand: u16, key: &BrandKey, run: &[u8], entries: EntryCounts) {
        self.content.extend_from_slice(run);
        self.entries += entries;
        if self.content.len() >= CONTENT {
            self.seal(brand, key);
        }
    }

    /// Seals what was added for a brand.
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

    /// The sealed blocks; `None` if an entry was too large to be sealed.
    pub fn finish(self) -> Option<SealedGroup> {
        (!self.failed).then_some(self.group)
    }
}

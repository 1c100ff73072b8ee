//! Import: takes entries of other ledgers over into this one, in one step.
//!
//! A brand that is moved to another process, and a change of the number of processes, take
//! entries from one ledger to another. They are copied into new segments, sealed for this
//! ledger, which count once a manifest lists them. The same manifest has the salts that come
//! along, the position up to which everything in the ledger was read, and the process that the
//! ledger belongs to: either all of it is there, or nothing. The sources are not changed.
//!
//! The names of labels are not announced by any thread here, so that the ledger does not know
//! them before it is opened again: a rewrite until then keeps them all.
//!
//! The position may be lower than before. What is read again changes nothing: a record has the
//! place in the order of arrival that it had, and pings may come more than once.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_operators::record::{BrandId, Day};

use crate::brands;
use crate::compaction_filter::DEFAULT_BUDGET;
use crate::counts::EntryCounts;
use crate::error::LedgerError;
use crate::known_labels::KnownLabels;
use crate::ledger::Ledger;
use crate::position::Position;
use crate::recover::SegmentSet;
use crate::rewrite::{KeepFilter, Rewrite, Writer};
use crate::salts;

/// What an import takes, and what the ledger is afterwards.
pub struct Import<'a> {
    /// The ledgers to take from, in the order in which their entries are read later.
    pub sources: &'a [&'a Ledger],
    /// The brand to take; `None` for all.
    pub brand: Option<BrandId>,
    /// The entries to take, of those of the brand.
    pub take: KeepFilter,
    /// Whether the salts of sensor days come along.
    pub salts: bool,
    /// The position afterwards.
    pub position: Position,
    /// The process that the ledger belongs to afterwards, and the number of processes.
    pub share: (usize, usize),
}

impl std::fmt::Debug for Import<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Import")
            .field("sources", &self.sources)
            .field("brand", &self.brand)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// Whether the ledger holds anything of a brand.
    pub fn has_brand(&self, brand: &str) -> bool {
        let mut lines = self
            .manifest
            .brands
            .iter()
            .filter(|line| line.name == brand);
        lines.any(|line| {
            let number = line.number;
            let active = self.active.counts.get(&number);
            self.manifest.has_entries(number)
                || self.manifest.has_salts(number)
                || active.is_some_and(|entries| entries.total() > 0)
        })
    }

    /// The process that the ledger belongs to, and the number of processes.
    pub fn share(&self) -> (usize, usize) {
        (self.manifest.process, self.manifest.processes)
    }

    /// Takes entries of other ledgers over. `progress` receives the bytes read and the total.
    /// Returns what was taken.
    ///
    /// # Errors
    ///
    /// A source that is damaged or has a brand that is not configured, or any error of the disk.
    /// The ledger is then as before, except after [`LedgerError::Sync`].
    pub fn import(
        &mut self,
        import: &Import<'_>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<EntryCounts, LedgerError> {
        self.check_usable()?;
        if self.position.is_none() {
            // Segments are those of a commit, and so there has to be one.
            self.commit(import.position)?;
        }
        self.roll()?;
        let keyring = self.keyring.clone();
        let mut manifest = self.manifest.clone();
        let mut numbers = self.numbers.clone();
        let of = |name: &str| {
            let found = keyring.find_by_name(name);
            found.filter(|(id, _)| import.brand.is_none_or(|brand| brand == *id))
        };
        let mut own_salts = salts::read(&self.paths, &manifest, &keyring)?;
        let mut total = 0;
        for source in import.sources {
            for line in &source.manifest.brands {
                if let Some((id, keys)) = of(&line.name) {
                    brands::number_of(&mut manifest, &mut numbers, id, keys);
                }
            }
            if import.salts {
                let salts = salts::read(&source.paths, &source.manifest, &keyring)?;
                for (brand, day, salt) in source.named_salts(&salts) {
                    if let Some(number) = numbers.get(&brand)
                        && import.brand.is_none_or(|one| one == brand)
                    {
                        let days = own_salts.0.entry(*number).or_default();
                        days.entry(day).or_insert(salt);
                    }
                }
            }
            total += source.stats().bytes;
        }
        let rewrite = Rewrite {
            paths: self.paths.clone(),
            keyring: keyring.clone(),
            manifest,
            targets: BTreeMap::new(),
            next: self.next_segment.clone(),
            segment_bytes: self.segment_bytes,
            budget: DEFAULT_BUDGET,
            keep: Arc::clone(&import.take),
            without: None,
            idle: Default::default(),
        };
        let mut writer = Writer::new(&rewrite);
        writer.cover((rewrite.manifest.commits, rewrite.manifest.commits));
        let (mut taken, mut before) = (EntryCounts::default(), 0);
        for source in import.sources {
            let committed = source.active.committed;
            let set = SegmentSet::with_active(&source.paths, &source.manifest, committed)
                .with_older_names(&keyring)?;
            let mut blocks = set.blocks(KnownLabels::default());
            while let Some(block) = blocks.next()? {
                progress(before + blocks.read, total);
                let known = keyring.find_by_name(block.brand());
                if known.is_some_and(|(id, _)| import.brand.is_some_and(|brand| brand != id)) {
                    continue;
                }
                let number = known.and_then(|(id, _)| numbers.get(&id)).copied();
                let mut failed = Ok(());
                let mut utc = |_, ts: i64| ts.div_euclid(86_400_000) as i32;
                // A brand that is not configured is refused here, by its name.
                block.open_with_earlier(&keyring, &mut utc, &mut |event, earlier| {
                    let Some(number) =
                        number.filter(|_| failed.is_ok() && (import.take)(&event, earlier))
                    else {
                        return;
                    };
                    taken.count(&event);
                    failed = writer.push(number, &event);
                })?;
                failed?;
            }
            before += source.stats().bytes;
        }
        let (outputs, mut drafts) = writer.finish()?;
        let Rewrite { mut manifest, .. } = rewrite;
        manifest.segments.extend(outputs);
        manifest.segments.sort_by_key(|s| (s.commits, s.number));
        // A brand that only a commit without entries needed is not named.
        let mut salted = numbers.clone();
        salted.retain(|_, number| own_salts.0.contains_key(number));
        brands::prune_unused(&mut manifest, &self.active.counts, &salted);
        numbers.retain(|_, number| manifest.brand(*number).is_some());
        manifest.position = Some(import.position);
        (manifest.process, manifest.processes) = import.share;
        let salts = import.salts.then_some(&own_salts);
        let replaced = self.replace_under(manifest, salts, &keyring);
        if replaced.is_ok() || self.sync_failed {
            // After a failed sync the new manifest may be the one that counts.
            drafts.disarm();
        }
        replaced?;
        self.numbers = numbers;
        self.position = Some(import.position);
        self.remove_replaced_salts()?;
        progress(total, total);
        Ok(taken)
    }

    /// Destroys the salts of a brand of which there are no entries any more, and forgets its
    /// number and the check of its key.
    ///
    /// # Errors
    ///
    /// Any error of the disk; the call is then to be repeated.
    pub fn forget_brand(&mut self, brand: BrandId) -> Result<(), LedgerError> {
        self.destroy_salts(brand, Day::MAX)?;
        let mut numbers = self.numbers.clone();
        numbers.remove(&brand);
        let mut manifest = self.manifest.clone();
        let is_pruned = brands::prune_unused(&mut manifest, &self.active.counts, &numbers);
        self.numbers = numbers;
        match is_pruned {
            true => self.replace_manifest(manifest),
            false => Ok(()),
        }
    }

    /// Destroys a ledger: its files are overwritten, as far as the file system permits, and
    /// removed with their directory. What is left of it after a crash is destroyed by another
    /// call.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Locked`] if a process has it open; any error of the disk.
    pub fn destroy(directory: &std::path::Path) -> Result<crate::Removed, LedgerError> {
        use crate::disk;
        let paths = crate::manifest::Paths(directory.to_owned());
        let mut removed = crate::Removed {
            files: 0,
            not_overwritten: 0,
        };
        if !directory.exists() {
            return Ok(removed);
        }
        let lock = crate::open::lock(&paths)?;
        let segments = paths.segment_files()?.into_iter();
        let mut files: Vec<_> = segments.map(|number| paths.segment(number)).collect();
        files.extend(
            paths
                .salts_files()?
                .into_iter()
                .map(|number| paths.salts(number)),
        );
        files.extend([paths.draft(), paths.manifest()]);
        for file in files.iter().filter(|file| file.exists()) {
            let is_overwritten = disk::overwrite(file) || disk::overwrite(file);
            removed.files += 1;
            removed.not_overwritten += usize::from(!is_overwritten);
            disk::unlink(file)?;
        }
        disk::unlink(&paths.lock())?;
        drop(lock);
        for directory in [paths.segments(), paths.0.clone()] {
            match std::fs::remove_dir(&directory) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(LedgerError::io(&directory, error));
                }
                _ => {}
            }
        }
        if let Some(parent) = paths.0.parent() {
            disk::sync_directory(parent)?;
        }
        Ok(removed)
    }
}

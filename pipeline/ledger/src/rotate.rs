//! Key rotation: replaces a brand's secret with a newer one without losing a
//! record (NIST SP 800-57 Part 1, section 5.3).
//!
//! Nothing is rewritten in place. The brand gets a new number with another key
//! check ([`crate::brands`]), everything written from then on is sealed under
//! the newest key, and pseudonyms read from under an older key are rekeyed
//! ([`tributary_config::key_chain`]). A ledger may therefore mix both keys for
//! any length of time. A rewrite moves the entries under old keys; no byte of
//! it then opens under an older secret.
//!
//! A process that receives a newer secret while it runs keeps the pseudonyms
//! that it started with. They are rekeyed on their way to the disk, and the
//! next start restores everything under the newest secret.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tributary_config::key_chain::KeyChain;
use tributary_operators::event::Event;
use tributary_operators::record::{BrandId, IdSet, Identifier};

use crate::brands::{self, Numbers, find_key};
use crate::counts::{CountsByBrand, EntryCounts, add};
use crate::error::LedgerError;
use crate::event::{Encoder, Malformed, decode};
use crate::keyring::Keyring;
use crate::ledger::Ledger;
use crate::manifest::{Manifest, ManifestSalts};
use crate::salts::{self, Salts};

impl Ledger {
    /// Switches to newer secrets while the process runs. `keyring` must contain the
    /// secrets that the ledger has, followed by the newer ones.
    ///
    /// When this returns, the salts are sealed under the newest key, and so is
    /// everything that is committed from then on. Earlier entries follow with the
    /// next [`Ledger::rewrite`] (not with one that has already begun) and remain
    /// readable until then; [`Ledger::entries_under_old_keys`] counts them. The
    /// process continues to make pseudonyms under the secret that it started with;
    /// [`Ledger::commit`] rekeys them.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NotNewer`] if the secrets do not continue those of the
    /// ledger. After any error other than [`LedgerError::Sync`] the ledger is
    /// unchanged, and the call may be repeated.
    pub fn rotate(&mut self, keyring: Arc<Keyring>) -> Result<(), LedgerError> {
        self.check_usable()?;
        self.check_successor(&keyring)?;
        let is_older = |brand: &BrandId| self.keyring.links(*brand) < keyring.links(*brand);
        if self.numbers.keys().any(is_older) {
            // No commit that is verified by its code has one under an older secret.
            self.roll()?;
        }
        let file = self.paths.manifest();
        let mut manifest = self.manifest.clone();
        let mut numbers = self.numbers.clone();
        numbers.retain(|brand, _| self.keyring.links(*brand) == keyring.links(*brand));
        let mut salts = salts::read(&self.paths, &manifest, &keyring)?;
        let resealed = move_salts(&mut manifest, &mut numbers, &mut salts, &keyring, &file)?;
        let pruned = brands::prune_unused(&mut manifest, &self.active.counts, &numbers);
        brands::enter_first(&mut manifest, &mut numbers, &keyring);
        match resealed {
            true => self.replace_under(manifest, Some(&salts), &keyring)?,
            false if pruned => self.replace_under(manifest, None, &keyring)?,
            false => {}
        }
        self.numbers = numbers;
        self.keyring = keyring;
        self.remove_replaced_salts()
    }

    /// Switches to the keys of further brands while the process runs. Nothing changes on
    /// the disk: a brand is entered in the manifest with its first entry.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NotNewer`] if `keyring` lacks a brand of the ledger, or has other
    /// secrets of one.
    pub fn add_brands(&mut self, keyring: Arc<Keyring>) -> Result<(), LedgerError> {
        if let Some(brand) = self.keyring.first_changed(&keyring) {
            return Err(LedgerError::NotNewer {
                file: self.paths.manifest(),
                brand: brand.to_owned(),
            });
        }
        self.opening_keyring = keyring.clone();
        self.keyring = keyring;
        Ok(())
    }

    /// Whether [`Ledger::rotate`] would accept these secrets; changes nothing.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NotNewer`] if it would not.
    pub fn check_successor(&self, keyring: &Keyring) -> Result<(), LedgerError> {
        match self.keyring.first_mismatch(keyring) {
            None => Ok(()),
            Some(brand) => Err(LedgerError::NotNewer {
                file: self.paths.manifest(),
                brand: brand.to_owned(),
            }),
        }
    }

    /// Number of entries that are still sealed under an old key. A rewrite moves
    /// them.
    pub fn entries_under_old_keys(&self) -> u64 {
        let mut counts: CountsByBrand = self.active.counts.clone();
        let sealed = self.manifest.segments.iter();
        sealed.for_each(|segment| add(&mut counts, segment.entries.counts()));
        let current = |number: &u16| self.numbers.values().any(|n| n == number);
        let behind = counts.iter().filter(|(number, _)| !current(number));
        behind.map(|(_, entries)| EntryCounts::total(entries)).sum()
    }

    /// For each brand number with sealed entries, the number under which a rewrite
    /// stores them. Missing numbers are entered in the manifest first.
    ///
    /// # Errors
    ///
    /// A brand whose key is not available; any error of the disk.
    pub(crate) fn rewrite_targets(&mut self) -> Result<BTreeMap<u16, u16>, LedgerError> {
        let file = self.paths.manifest();
        let mut manifest = self.manifest.clone();
        let mut numbers = self.numbers.clone();
        let mut targets = BTreeMap::new();
        for line in &self.manifest.brands {
            if manifest.has_entries(line.number) {
                let found = find_key(line, &manifest.id(), &self.keyring, &file)?;
                let target = brands::number_of(&mut manifest, &mut numbers, found.id, found.keys);
                targets.insert(line.number, target);
            }
        }
        if numbers.len() > self.numbers.len() {
            self.replace_manifest(manifest)?;
            self.numbers = numbers;
        }
        Ok(targets)
    }
}

/// Moves the salts to the numbers of the brands under their newest keys. Returns
/// whether there were any to move; they are then to be written.
///
/// # Errors
///
/// A brand whose key is not available.
pub(crate) fn move_salts(
    manifest: &mut Manifest,
    numbers: &mut Numbers,
    salts: &mut Salts,
    keyring: &Keyring,
    path: &Path,
) -> Result<bool, LedgerError> {
    let mut moved = Salts::default();
    let mut is_moved = false;
    for (before, days) in std::mem::take(&mut salts.0) {
        let what = "a salt of a brand that the manifest does not name";
        let line = manifest.brand(before).cloned();
        let line = line.ok_or_else(|| LedgerError::corrupt(path, 0, what))?;
        let found = find_key(&line, &manifest.id(), keyring, path)?;
        let number = brands::number_of(manifest, numbers, found.id, found.keys);
        is_moved |= number != before;
        moved.0.entry(number).or_default().extend(days);
    }
    if is_moved {
        // Nothing of the old numbers is left for the pruning of the manifest to keep.
        manifest.salts = ManifestSalts::File(None);
    }
    *salts = moved;
    Ok(is_moved)
}

/// Maps the pseudonyms of an event that have passed the first `links` links
/// through all later links. Record keys, names of sales and tokens of pings do
/// not depend on a secret that changes.
pub(crate) fn rekey(event: &mut Event, chain: &KeyChain, links: usize) {
    let set = match event {
        Event::Put { record, .. } => &mut record.ids,
        Event::Evidence { ids, .. } => ids,
        _ => return,
    };
    if links >= chain.links() || set.is_empty() {
        return;
    }
    let ids = set.ids().iter().map(|id| {
        let pseudonym = chain.rekey_from(id.pseudonym, links);
        let value = match id.value == id.pseudonym {
            true => pseudonym,
            false => chain.rekey_from(id.value, links),
        };
        Identifier {
            pseudonym,
            value,
            kind: id.kind,
        }
    });
    *set = IdSet::new(ids.collect());
}

/// The identifiers of an entry under older secrets of its brand, each with the number of links that they have passed, oldest
/// first; empty for an entry that was sealed under the newest secret.
pub type EarlierIds = [(usize, IdSet)];

/// Applies [`rekey`] to an event, and appends its identifiers under each older secret on the way to `earlier`.
pub(crate) fn rekey_stepwise(
    event: &mut Event,
    chain: &KeyChain,
    links: usize,
    earlier: &mut Vec<(usize, IdSet)>,
) {
    for link in links..chain.links() {
        let set = match event {
            Event::Put { record, .. } => &mut record.ids,
            Event::Evidence { ids, .. } => ids,
            _ => return,
        };
        let ids = set.ids().iter().map(|id| Identifier {
            pseudonym: chain.rekey(id.pseudonym, link),
            value: chain.rekey(id.value, link),
            kind: id.kind,
        });
        let next = IdSet::new(ids.collect());
        earlier.push((link, std::mem::replace(set, next)));
    }
}

/// Applies [`rekey`] to an encoded run of entries of a brand.
///
/// # Errors
///
/// [`Malformed`] if the bytes are not a run.
pub(crate) fn rekey_run(
    run: &[u8],
    brand: BrandId,
    chain: &KeyChain,
    links: usize,
) -> Result<Vec<u8>, Malformed> {
    let mut encoder = Encoder::default();
    // No day but that of spend is encoded, and that one is not asked for.
    decode(run, brand, &mut |_, _| 0, &mut |mut event| {
        rekey(&mut event, chain, links);
        encoder.push(&event);
    })?;
    Ok(encoder.take().0)
}

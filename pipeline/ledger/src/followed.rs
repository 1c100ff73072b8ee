//! Reading of a ledger that grows under the reader's eyes: the copy of a ledger that another process writes.
//!
//! A restore reads the blocks of a ledger once, in order. Whoever keeps a copy of a ledger reads them in the same order, as far
//! as they have arrived, and goes on with each newer state of the copy: with the rest of the segment that was active, and with
//! the segments after it. So the blocks that were read are at any time those with which a restore would begin.
//!
//! That ends when what was read has been replaced: a segment that was written anew, a salt that was destroyed, or a brand that
//! has another number or key. The reader says so, and whoever uses it begins anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tributary_operators::record::{BrandId, Day};
use tributary_operators::salt::Salt;

use crate::copy::CopiedManifest;
use crate::error::LedgerError;
use crate::keyring::Keyring;
use crate::known_labels::KnownLabels;
use crate::manifest::{ManifestSalts, Paths};
use crate::recover::{BlockReader, Recovery, SealedBlock, SegmentSet};
use crate::salts;

/// Salts of sensor days, by brand and day.
type Salts = BTreeMap<(BrandId, Day), Salt>;

/// The same, one after the other.
type NamedSalts = Vec<(BrandId, Day, Salt)>;

/// The blocks of a copy, as far as they were read.
#[derive(Default)]
pub struct FollowedBlocks {
    /// The reader; `None` before the first state.
    blocks: Option<BlockReader>,
    /// The salts that were handed out.
    salts: Salts,
    /// The number of the file of salts that was read last.
    salts_file: Option<u64>,
    /// The segments whose format was looked at.
    known_formats: BTreeSet<u64>,
    /// The label names of opened blocks.
    known: KnownLabels,
}

impl std::fmt::Debug for FollowedBlocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FollowedBlocks")
            .field("left", &self.left())
            .finish_non_exhaustive()
    }
}

impl FollowedBlocks {
    /// Goes on with a newer state of the copy in `directory`, the active segment of which is `active` bytes long. Returns the
    /// salts that were not handed out yet, which the blocks after them need; `None` if the state does not begin with what was
    /// read, or has segments of an older format, which are read as a whole.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn go_on(
        &mut self,
        directory: &Path,
        manifest: &CopiedManifest,
        active: u64,
        keyring: &Keyring,
    ) -> Result<Option<NamedSalts>, LedgerError> {
        let (paths, manifest) = (Paths(directory.to_owned()), manifest.manifest());
        let state = SegmentSet::with_active(&paths, manifest, active);
        for part in state.parts() {
            if self.known_formats.insert(part.id.number) && state.is_older(part)? {
                return Ok(None);
            }
        }
        let newer = state.blocks(self.known.clone());
        match &mut self.blocks {
            None => self.blocks = Some(newer),
            Some(blocks) => {
                if !blocks.go_on(&newer)? {
                    return Ok(None);
                }
            }
        }
        // Every change of the salts makes another file.
        let file = match &manifest.salts {
            ManifestSalts::File(file) => file.as_ref().map(|file| file.number),
            ManifestSalts::InManifest(_) => return Ok(None),
        };
        if self.salts_file == file {
            return Ok(Some(Vec::new()));
        }
        self.salts_file = file;
        let found = salts::read(&paths, manifest, keyring)?;
        let named = found.iter().filter_map(|(number, day, salt)| {
            let line = manifest.brand(number)?;
            Some((BrandId::of(&line.name), day, salt.clone()))
        });
        Ok(self.new_salts(named.collect()))
    }

    /// The salts among these that were not handed out yet; `None` if one that was is missing or another one.
    fn new_salts(&mut self, all: NamedSalts) -> Option<NamedSalts> {
        let all: Salts = all
            .into_iter()
            .map(|(brand, day, salt)| ((brand, day), salt))
            .collect();
        let mut before = self.salts.iter();
        if !before.all(|(of, salt)| all.get(of) == Some(salt)) {
            return None;
        }
        let new = all.iter().filter(|(of, _)| !self.salts.contains_key(of));
        let new = new.map(|((brand, day), salt)| (*brand, *day, salt.clone()));
        let new = new.collect();
        self.salts = all;
        Some(new)
    }

    /// The next block; `None` after the last that has arrived.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Corrupt`], and any error of reading.
    pub fn next_block(&mut self) -> Result<Option<SealedBlock>, LedgerError> {
        self.blocks.as_mut().map_or(Ok(None), BlockReader::next)
    }

    /// Verifies the sealed segments of which something was read: a disk may have damaged them since. The active one is verified when
    /// the ledger is opened.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Corrupt`], and any error of reading.
    pub fn verify(&self) -> Result<(), LedgerError> {
        self.blocks
            .as_ref()
            .map_or(Ok(()), BlockReader::verify_read)
    }

    /// How much has arrived and was not read yet, bytes.
    pub fn left(&self) -> u64 {
        let blocks = self.blocks.as_ref();
        blocks.map_or(0, |blocks| blocks.total.saturating_sub(blocks.read))
    }
}

impl Recovery {
    /// Goes on after what was read of the copy that this ledger was before it was opened: neither its blocks nor its salts are
    /// returned again. All blocks that were handed out must have been opened, so that their names are known. Returns false, and changes
    /// nothing, if the ledger does not begin with what was read.
    ///
    /// # Errors
    ///
    /// A segment that cannot be read.
    pub fn go_on_after(&mut self, mut followed: FollowedBlocks) -> Result<bool, LedgerError> {
        let Some(mut blocks) = followed.blocks.take() else {
            return Ok(false);
        };
        let Some(salts) = followed.new_salts(self.salts.clone()) else {
            return Ok(false);
        };
        if !blocks.go_on(&self.blocks)? {
            return Ok(false);
        }
        (self.salts, self.blocks) = (salts, blocks);
        Ok(true)
    }
}

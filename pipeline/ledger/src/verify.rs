//! Verification of a ledger: every block is decrypted and every event decoded;
//! nothing is changed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use crate::compaction_filter::{DEFAULT_BUDGET, mark_superseded};
use crate::counts::{CountsByBrand, EntryCounts, add};
use crate::error::LedgerError;
use crate::inspect::{Snapshot, snapshot, write_brands};
use crate::keyring::Keyring;
use crate::manifest::Paths;
use crate::open::check_length;
use crate::recover::SegmentSet;

/// Content of an intact ledger.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// The data directory.
    pub directory: String,
    /// Number of segments read, including the active one.
    pub segments: usize,
    /// Number of bytes read.
    pub bytes: u64,
    /// All entries by kind.
    pub entries: EntryCounts,
    /// Entries of each brand.
    pub brands: Vec<BrandVerification>,
    /// Number of distinct current records.
    pub held: u64,
    /// Number of puts that no longer count; a rewrite leaves them out.
    pub superseded: u64,
    /// Number of bytes after the last commit. The next opening truncates them.
    pub torn_bytes: u64,
}

/// Entries of one brand.
#[derive(Clone, Debug, Serialize)]
pub struct BrandVerification {
    /// The brand's name.
    pub brand: String,
    /// Its entries by kind.
    pub entries: EntryCounts,
    /// Number of distinct current records.
    pub held: u64,
    /// Number of puts that no longer count.
    pub superseded: u64,
}

/// Reads all of a ledger that is not in use; while commits continue, it may
/// appear damaged. `progress` receives the bytes done and the total.
///
/// # Errors
///
/// The first damage that is found; [`LedgerError::UnknownBrand`] and
/// [`LedgerError::WrongKey`] if a brand's key is not available.
pub fn verify(
    directory: &Path,
    keyring: &Keyring,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Verification, LedgerError> {
    let paths = Paths(directory.to_owned());
    let Snapshot {
        manifest, active, ..
    } = snapshot(&paths, Some(keyring))?;
    for segment in &manifest.segments {
        check_length(&paths, segment)?;
    }
    let source = SegmentSet::with_active(&paths, &manifest, active.committed);
    let mut source = source.with_older_names(keyring)?;
    source.set_active_counts(active.counts.values().copied().sum());
    let mut owners: BTreeMap<u16, u64> = BTreeMap::new();
    let marks = mark_superseded(
        &source,
        keyring,
        DEFAULT_BUDGET,
        progress,
        &mut |_, _, _, _| (),
    )?;
    // The judgement numbers the entries, and so a second reading tells whose the superseded ones are.
    if marks.count > 0 {
        let parts = source.parts().to_vec();
        crate::compaction_filter::read_entries(
            &source,
            keyring,
            parts,
            0,
            &mut |_| (),
            &mut |block, entry, _, _| {
                *owners.entry(block.number()).or_default() += u64::from(marks.get(entry));
                Ok(())
            },
        )?;
    }
    let mut counts = CountsByBrand::new();
    for segment in &manifest.segments {
        add(&mut counts, segment.entries.counts());
    }
    add(&mut counts, &active.counts);
    let names = manifest.names().into_iter();
    let brands = names.map(|(name, numbers)| {
        let entries: EntryCounts = numbers.iter().filter_map(|n| counts.get(n)).copied().sum();
        let superseded = numbers.iter().filter_map(|n| owners.get(n)).sum();
        BrandVerification {
            brand: name.to_owned(),
            entries,
            held: entries.put.saturating_sub(superseded),
            superseded,
        }
    });
    let brands: Vec<BrandVerification> = brands.collect();
    Ok(Verification {
        directory: directory.display().to_string(),
        segments: source.parts().len(),
        bytes: source.parts().iter().map(|part| part.bytes).sum(),
        entries: counts.values().copied().sum(),
        held: brands.iter().map(|brand| brand.held).sum(),
        superseded: marks.count,
        brands,
        torn_bytes: active.length - active.committed,
    })
}

impl Verification {
    /// The report for people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let _ = self.write(&mut out);
        out
    }

    /// Writes the report for people.
    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Verification {
            directory,
            segments,
            bytes,
            ..
        } = self;
        writeln!(
            out,
            "{directory}: sound, {segments} segments with {bytes} bytes"
        )?;
        writeln!(out)?;
        write_brands(
            out,
            self.brands.iter().map(|b| (b.brand.as_str(), &b.entries)),
        )?;
        let (held, superseded) = (self.held, self.superseded);
        writeln!(out, "\n{held} records stored, {superseded} superseded")?;
        if self.torn_bytes > 0 {
            let torn = self.torn_bytes;
            writeln!(
                out,
                "{torn} bytes after the last commit will be truncated at the next start"
            )?;
        }
        Ok(())
    }
}

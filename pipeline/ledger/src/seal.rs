//! Seals of the manifest: codes of its content under the key of every brand number
//! in it.
//!
//! Blocks are sealed by themselves, each in its place. What holds them together,
//! the manifest, has a checksum against damage and these seals against changes:
//! whoever lacks the keys can neither change a position, a head, a count or a
//! checksum, nor leave out a segment. A whole older directory fits its own seals;
//! the watermarks in the files beside the ledger tell it ([`crate::Watermark`]).
//!
//! What a segment holds by kind is encrypted besides, for each brand under its key.

use std::collections::BTreeMap;
use std::path::Path;

use crate::brands::find_key;
use crate::counts::EntryCounts;
use crate::error::LedgerError;
use crate::keyring::{BrandKey, Keyring};
use crate::manifest::{Manifest, ManifestBrand};
use crate::wire::{Hex, Input};

/// Seals a manifest, and the counts in it, under the key of every brand number.
///
/// # Errors
///
/// [`LedgerError::UnknownBrand`] and [`LedgerError::WrongKey`].
pub(crate) fn seal(
    manifest: &mut Manifest,
    keyring: &Keyring,
    path: &Path,
) -> Result<(), LedgerError> {
    if manifest.format >= 6 {
        for segment in &mut manifest.segments {
            segment.entries.conceal();
        }
        let mut counts = BTreeMap::new();
        let with_entries = |line: &&ManifestBrand| manifest.has_entries(line.number);
        for line in manifest.brands.iter().filter(with_entries) {
            let key = find_key(line, &manifest.id(), keyring, path)?.key;
            let sealed = seal_counts(manifest, line.number, key);
            let what = "the counts of a brand cannot be sealed";
            let sealed = sealed.ok_or_else(|| LedgerError::corrupt(path, 0, what))?;
            counts.insert(line.number, sealed);
        }
        manifest.counts = counts;
    }
    let content = manifest.sealed_content();
    let mut seals = BTreeMap::new();
    for line in &manifest.brands {
        let key = find_key(line, &manifest.id(), keyring, path)?.key;
        seals.insert(line.number, Hex(key.seal_manifest(&content).to_vec()));
    }
    manifest.seals = seals;
    Ok(())
}

/// Encrypts the counts of a brand: for each sealed segment that has entries of it,
/// in their order, six numbers of 8 bytes.
fn seal_counts(manifest: &Manifest, brand: u16, key: &BrandKey) -> Option<Hex> {
    let entries = manifest.segments.iter();
    let entries = entries.filter_map(|segment| segment.entries.counts().get(&brand));
    let plain: Vec<u8> = entries
        .flat_map(|entries| entries.to_array())
        .flat_map(u64::to_le_bytes)
        .collect();
    let (nonce, sealed) = key.seal(&counts_place(manifest, brand), &plain)?;
    Some(Hex([nonce.as_slice(), &sealed].concat()))
}

/// Decrypts the counts of all brands. Nothing is to be done before format 6.
///
/// # Errors
///
/// [`LedgerError::Corrupt`] if those of a brand are missing, or not sealed under its
/// key for this manifest; [`LedgerError::UnknownBrand`] and [`LedgerError::WrongKey`].
pub(crate) fn open_counts(
    manifest: &mut Manifest,
    keyring: &Keyring,
    path: &Path,
) -> Result<(), LedgerError> {
    if manifest.format < 6 {
        return Ok(());
    }
    for line in manifest.brands.clone() {
        if !manifest.has_entries(line.number) {
            continue;
        }
        let key = find_key(&line, &manifest.id(), keyring, path)?.key;
        let place = counts_place(manifest, line.number);
        let open = || {
            let sealed = manifest.counts.get(&line.number)?;
            let (nonce, sealed) = sealed.0.split_first_chunk()?;
            key.open(&place, *nonce, sealed)
        };
        let what = "the manifest does not have the counts of a brand sealed: it was changed";
        let corrupt = || LedgerError::corrupt(path, 0, what);
        let plain = open().ok_or_else(corrupt)?;
        let mut input = Input(&plain);
        let segments = manifest.segments.iter_mut();
        for segment in segments.filter(|segment| segment.entries.has(line.number)) {
            let mut counts = [0; 6];
            for count in &mut counts {
                *count = input.u64().ok_or_else(corrupt)?;
            }
            segment
                .entries
                .set(line.number, EntryCounts::from_array(counts));
        }
        if input.remaining() > 0 {
            return Err(corrupt());
        }
    }
    Ok(())
}

/// Associated data of the counts: ledger, generation of the manifest, and brand.
fn counts_place(manifest: &Manifest, brand: u16) -> Vec<u8> {
    let mut place = b"tributary ledger counts\0".to_vec();
    place.extend_from_slice(&manifest.id());
    place.extend_from_slice(&manifest.generation.to_le_bytes());
    place.extend_from_slice(&brand.to_le_bytes());
    place
}

/// Verifies the seals of these brand numbers of a manifest.
///
/// # Errors
///
/// [`LedgerError::Corrupt`] if a seal is missing or does not fit;
/// [`LedgerError::UnknownBrand`] and [`LedgerError::WrongKey`].
pub(crate) fn verify_seals(
    manifest: &Manifest,
    lines: &[ManifestBrand],
    keyring: &Keyring,
    path: &Path,
) -> Result<(), LedgerError> {
    let content = manifest.sealed_content();
    for line in lines {
        let key = find_key(line, &manifest.id(), keyring, path)?.key;
        let seal = manifest.seals.get(&line.number);
        let seal = seal.and_then(|seal| <[u8; 32]>::try_from(seal.0.as_slice()).ok());
        // Compared in constant time.
        if seal.map(blake3::Hash::from) != Some(key.seal_manifest(&content).into()) {
            let what = "the manifest is not sealed under the key of each brand: it was changed";
            return Err(LedgerError::corrupt(path, 0, what));
        }
    }
    Ok(())
}

/// Verifies that a manifest has a seal at all, under the key of any brand number that
/// it names, used or not. Only that of a ledger without a commit has none: an older
/// one than any that is recorded elsewhere, which a start notices.
///
/// # Errors
///
/// [`LedgerError::Corrupt`] if no seal fits.
pub(crate) fn verify_any_seal(
    manifest: &Manifest,
    keyring: &Keyring,
    path: &Path,
) -> Result<(), LedgerError> {
    let has_nothing =
        manifest.commits == 0 && manifest.position.is_none() && manifest.segments.is_empty();
    let mut lines = manifest.brands.iter();
    let fits = |line: &ManifestBrand| {
        verify_seals(manifest, std::slice::from_ref(line), keyring, path).is_ok()
    };
    if has_nothing || lines.any(fits) {
        return Ok(());
    }
    let what = "the manifest is not sealed under the key of any brand: it was changed";
    Err(LedgerError::corrupt(path, 0, what))
}

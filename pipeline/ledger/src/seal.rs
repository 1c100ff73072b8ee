//! Seals of the manifest: codes of its content under the key of every brand number
//! in it.
//!
//! Blocks are sealed by themselves, each in its place. What holds them together,
//! the manifest, has a checksum against damage and these seals against changes:
//! whoever lacks the keys can neither change a position, a head, a count or a
//! checksum, nor leave out a segment. A whole older directory fits its own seals;
//! the watermarks in the files beside the ledger tell it ([`crate::Watermark`]).

use std::path::Path;

use crate::brands::find_key;
use crate::error::LedgerError;
use crate::keyring::Keyring;
use crate::manifest::{Manifest, ManifestBrand};
use crate::wire::Hex;

/// Seals a manifest under the key of every brand number.
pub(crate) fn seal(manifest: &mut Manifest, keyring: &Keyring) {
    let (content, id) = (manifest.sealed_content(), manifest.id());
    let seals = manifest.brands.iter().filter_map(|line| {
        let (_, keys) = keyring.find_by_name(&line.name)?;
        let (key, _) = keys.key_after(line.links, &id)?;
        Some((line.number, Hex(key.seal_manifest(&content).to_vec())))
    });
    manifest.seals = seals.collect();
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

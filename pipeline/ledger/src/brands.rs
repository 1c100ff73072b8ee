//! Brand numbers: a brand under one of its secrets, within this ledger.
//!
//! The name of a brand is permanent; the number is this ledger's own. A brand
//! whose secret was rotated gets a new number, so that each block shows which
//! secret sealed it. The manifest stores a key check with each number: a
//! configured key that does not match is refused before anything is decrypted.
//! An old number is removed together with the last entry under it.

use std::collections::BTreeMap;
use std::path::Path;

use tributary_operators::record::BrandId;

use crate::counts::CountsByBrand;
use crate::error::LedgerError;
use crate::keyring::{BrandKey, BrandKeys, Keyring};
use crate::manifest::{Manifest, ManifestBrand};
use crate::wire::Hex;

/// Number of each brand under its newest secret.
pub(crate) type Numbers = BTreeMap<BrandId, u16>;

/// A brand of the manifest, with its configured keys.
pub(crate) struct BrandKeyRef<'a> {
    /// ID of the brand, a hash of its name.
    pub id: BrandId,
    /// All keys of the brand.
    pub keys: &'a BrandKeys,
    /// The key of this line, which need not be the newest.
    pub key: &'a BrandKey,
}

/// Removes brands without entries from the manifest, unless it has them under their
/// newest secret, verifies the keys of the others, and returns the numbers of those
/// under their newest secret. `active` are the entries of the active segment.
///
/// # Errors
///
/// [`LedgerError::UnknownBrand`] and [`LedgerError::WrongKey`].
pub(crate) fn assign_numbers(
    manifest: &mut Manifest,
    active: &CountsByBrand,
    keyring: &Keyring,
    path: &Path,
) -> Result<Numbers, LedgerError> {
    let mut current = Numbers::new();
    for line in &manifest.brands {
        // Of a brand without entries the secret may be another one by now.
        if let Ok(found) = find_key(line, &manifest.id(), keyring, path)
            && line.links == found.keys.links()
        {
            current.insert(found.id, line.number);
        }
    }
    prune_unused(manifest, active, &current);
    let mut numbers = Numbers::new();
    for line in &manifest.brands {
        let found = find_key(line, &manifest.id(), keyring, path)?;
        if line.links == found.keys.links() {
            numbers.insert(found.id, line.number);
        }
    }
    Ok(numbers)
}

/// Removes the numbers without entries or salts, except the current ones in
/// `numbers`. Returns whether there were any.
pub(crate) fn prune_unused(
    manifest: &mut Manifest,
    active: &CountsByBrand,
    numbers: &Numbers,
) -> bool {
    let used = |line: &ManifestBrand| {
        let number = line.number;
        numbers.values().any(|current| *current == number)
            || manifest.has_entries(number)
            || active.contains_key(&number)
            || manifest.has_salts(number)
    };
    let used: Vec<ManifestBrand> = manifest
        .brands
        .iter()
        .filter(|b| used(b))
        .cloned()
        .collect();
    let pruned = used.len() < manifest.brands.len();
    manifest.brands = used;
    pruned
}

/// The key of a brand number, if the configuration has the brand and the key
/// matches the stored check. `ledger` is the ledger's ID, `path` the file to
/// name in an error.
///
/// # Errors
///
/// [`LedgerError::UnknownBrand`] and [`LedgerError::WrongKey`].
pub(crate) fn find_key<'a>(
    line: &ManifestBrand,
    ledger: &[u8; 16],
    keyring: &'a Keyring,
    path: &Path,
) -> Result<BrandKeyRef<'a>, LedgerError> {
    let (id, keys) = keyring
        .find_by_name(&line.name)
        .ok_or_else(|| LedgerError::UnknownBrand {
            file: path.to_owned(),
            brand: line.name.clone(),
        })?;
    match keys.key_after(line.links, ledger) {
        Some((key, check)) if check.as_slice() == line.check.0.as_slice() => {
            Ok(BrandKeyRef { id, keys, key })
        }
        _ => Err(LedgerError::WrongKey {
            file: path.to_owned(),
            brand: line.name.clone(),
        }),
    }
}

/// The number of a brand under its newest key; enters a new number in the
/// manifest if there is none.
pub(crate) fn number_of(
    manifest: &mut Manifest,
    numbers: &mut Numbers,
    id: BrandId,
    keys: &BrandKeys,
) -> u16 {
    if let Some(number) = numbers.get(&id) {
        return *number;
    }
    let last = manifest.brands.iter().map(|brand| brand.number).max();
    let number = last.map_or(1, |last| last.saturating_add(1));
    let links = keys.links();
    let check = keys
        .key_after(links, &manifest.id())
        .map(|(_, check)| check);
    manifest.brands.push(ManifestBrand {
        number,
        name: keys.name().to_owned(),
        links,
        check: Hex(check.unwrap_or_default().to_vec()),
    });
    numbers.insert(id, number);
    number
}

/// Enters the first brand in a manifest without any, so that it has a seal: without
/// one nobody could tell it from a manifest that was made without the keys.
pub(crate) fn enter_first(manifest: &mut Manifest, numbers: &mut Numbers, keyring: &Keyring) {
    if manifest.brands.is_empty()
        && let Some((id, keys)) = keyring.first()
    {
        numbers.remove(&id);
        number_of(manifest, numbers, id, keys);
    }
}

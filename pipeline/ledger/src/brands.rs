//! Assigns each brand its number in this ledger, and checks that the configured key is the one that sealed its entries.
//!
//! The brand's name is permanent; within a ledger, a number stands for it. A brand whose secret was rotated gets a new
//! number, so each block shows which secret sealed it. The manifest entry of an old number, with its key check, is
//! removed together with the last entry under it.

use std::collections::BTreeMap;
use std::path::Path;

use tributary_operators::record::BrandId;

use crate::counts::CountsByBrand;
use crate::error::LedgerError;
use crate::keyring::{BrandKey, BrandKeys, Keyring};
use crate::manifest::{Manifest, ManifestBrand};
use crate::wire::Hex;

/// The numbers under which brands are written: those of their newest keys.
pub(crate) type Numbers = BTreeMap<BrandId, u16>;

/// A line of the manifest, found in the configuration.
pub(crate) struct BrandKeyRef<'a> {
    pub id: BrandId,
    pub keys: &'a BrandKeys,
    /// The key of this line, which need not be the newest.
    pub key: &'a BrandKey,
}

/// Forgets the brands that the ledger holds nothing of, and finds the others in the configuration. `active` is
/// what the active segment holds.
pub(crate) fn assign_numbers(
    manifest: &mut Manifest,
    active: &CountsByBrand,
    keyring: &Keyring,
    path: &Path,
) -> Result<Numbers, LedgerError> {
    prune_unused(manifest, active, &Numbers::new());
    let mut numbers = Numbers::new();
    for line in &manifest.brands {
        let found = find_key(line, &manifest.id(), keyring, path)?;
        if line.links == found.keys.links() {
            numbers.insert(found.id, line.number);
        }
    }
    Ok(numbers)
}

/// Forgets the lines under which nothing is held, but for those that are written under. True where there were any.
pub(crate) fn prune_unused(
    manifest: &mut Manifest,
    active: &CountsByBrand,
    numbers: &Numbers,
) -> bool {
    let used = |line: &ManifestBrand| {
        let number = line.number;
        numbers.values().any(|current| *current == number)
            || manifest.entries(number).total() > 0
            || active.contains_key(&number)
            || manifest.salts.iter().any(|salt| salt.brand == number)
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

/// The keys of a brand that the manifest names.
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

/// The number under which a brand is written: a new line, where it has none for its newest key.
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

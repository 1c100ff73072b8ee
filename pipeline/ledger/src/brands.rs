//! Which number a brand has in this ledger, and whether its key is the one that sealed it.
//!
//! A [`BrandId`] is a position in the present configuration and says nothing in another run; what lasts is the
//! brand's name, and a number of the ledger's own.

use std::collections::BTreeMap;
use std::path::Path;

use tributary_operators::record::BrandId;

use crate::counts::Counts;
use crate::error::LedgerError;
use crate::keyring::{BrandKey, Keyring};
use crate::manifest::{BrandLine, Hex, Manifest};

/// The numbers of the brands that the ledger knows.
pub(crate) type Numbers = BTreeMap<BrandId, u16>;

/// Forgets the brands that the ledger holds nothing of, and finds the others in the configuration. `active` is
/// what the active segment holds.
pub(crate) fn find(
    manifest: &mut Manifest,
    active: &Counts,
    keyring: &Keyring,
    path: &Path,
) -> Result<Numbers, LedgerError> {
    let used = |brand: &BrandLine| {
        let number = brand.number;
        manifest.entries(number).total() > 0
            || active.contains_key(&number)
            || manifest.salts.iter().any(|salt| salt.brand == number)
    };
    let brands: Vec<BrandLine> = manifest
        .brands
        .iter()
        .filter(|b| used(b))
        .cloned()
        .collect();
    let mut numbers = Numbers::new();
    for brand in &brands {
        let (id, _) = key_of(brand, &manifest.id(), keyring, path)?;
        numbers.insert(id, brand.number);
    }
    manifest.brands = brands;
    Ok(numbers)
}

/// The key of a brand that the manifest names.
pub(crate) fn key_of<'a>(
    brand: &BrandLine,
    ledger: &[u8; 16],
    keyring: &'a Keyring,
    path: &Path,
) -> Result<(BrandId, &'a BrandKey), LedgerError> {
    let (id, key) = keyring
        .named(&brand.name)
        .ok_or_else(|| LedgerError::UnknownBrand {
            file: path.to_owned(),
            brand: brand.name.clone(),
        })?;
    if key.check(ledger).as_slice() != brand.check.0.as_slice() {
        return Err(LedgerError::WrongKey {
            file: path.to_owned(),
            brand: brand.name.clone(),
        });
    }
    Ok((id, key))
}

/// The line of a brand that is new to the ledger.
pub(crate) fn enter(manifest: &mut Manifest, key: &BrandKey) -> u16 {
    let last = manifest.brands.iter().map(|brand| brand.number).max();
    let number = last.map_or(1, |last| last.saturating_add(1));
    let check = key.check(&manifest.id()).to_vec();
    manifest.brands.push(BrandLine {
        number,
        name: key.name().to_owned(),
        check: Hex(check),
    });
    number
}

//! The salts of sensor days, in a file of their own (FORMAT.md, section *SALTS*).
//!
//! Whoever has a salt and the secret of its brand can try all device addresses
//! on that day. So a salt must be gone when its day is closed, from whatever an
//! older copy of the disk and the secret give together. The salts are sealed
//! under a **day key**, and only that key under the key of the brand. Both are
//! in one small file. Every change of the salts, which is at least one for each
//! sensor day, draws another day key and writes another file; the manifest names
//! the one that counts, and the one before is overwritten and removed. A copy
//! therefore contains the salts that were open when it was made, and neither
//! its day key nor the secret opens what was written before or after.
//!
//! A file is durable before a manifest names it, as a segment is. So a crash
//! leaves either file, and at most one that the manifest does not name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tributary_operators::record::Day;
use tributary_operators::salt::Salt;
use zeroize::Zeroizing;

use crate::brands::find_key;
use crate::disk::{self, Removed};
use crate::error::LedgerError;
use crate::keyring::{BrandKey, Keyring};
use crate::manifest::{Manifest, ManifestSalt, ManifestSalts, Paths, SaltsFile};
use crate::wire::{Hex, Input};

/// Maximum length of a file that is read, in bytes: room for a thousand brands
/// with a hundred open days each.
const MAX_FILE: u64 = 16 << 20;

/// The salts of a ledger by brand number and day. Each is zeroized on drop.
#[derive(Default)]
pub(crate) struct Salts(pub BTreeMap<u16, BTreeMap<Day, Salt>>);

impl Salts {
    /// All salts with their brand numbers and days.
    pub fn iter(&self) -> impl Iterator<Item = (u16, Day, &Salt)> {
        self.0
            .iter()
            .flat_map(|(number, days)| days.iter().map(|(day, salt)| (*number, *day, salt)))
    }
}

/// Content of the file. The field names are part of the format.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    /// ID of the ledger.
    ledger: Hex,
    /// Number of the file: the generation of the manifest that named it first.
    number: u64,
    /// The salts of each brand.
    brands: Vec<BrandSalts>,
}

/// The salts of a brand.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BrandSalts {
    /// Number of the brand.
    brand: u16,
    /// The day key, sealed under the key of the brand: a nonce of 24 bytes, the 32
    /// bytes of the key, and a tag of 16.
    key: Hex,
    /// The salts, sealed under the day key: a nonce of 24 bytes, for each salt its day
    /// (i32) and its 32 bytes, and a tag of 16.
    salts: Hex,
}

/// Reads and decrypts the salts that a manifest names, in whatever format.
///
/// # Errors
///
/// [`LedgerError::Missing`] and [`LedgerError::Corrupt`] if the file is not the one
/// that the manifest names; the errors of [`find_key`].
pub(crate) fn read(
    paths: &Paths,
    manifest: &Manifest,
    keyring: &Keyring,
) -> Result<Salts, LedgerError> {
    match &manifest.salts {
        ManifestSalts::InManifest(lines) => open_in_manifest(paths, manifest, lines, keyring),
        ManifestSalts::File(None) => Ok(Salts::default()),
        ManifestSalts::File(Some(file)) => open_file(paths, manifest, file, keyring),
    }
}

/// Decrypts the salts of a file.
///
/// # Errors
///
/// Those of [`read`].
fn open_file(
    paths: &Paths,
    manifest: &Manifest,
    file: &SaltsFile,
    keyring: &Keyring,
) -> Result<Salts, LedgerError> {
    let path = paths.salts(file.number);
    let corrupt = |what| LedgerError::corrupt(&path, 0, what);
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
    read.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => LedgerError::Missing {
            file: path.clone(),
            what: "the manifest names this file of salts, but it is not there",
        },
        _ => LedgerError::io(&path, error),
    })?;
    if blake3::hash(&bytes).as_bytes().as_slice() != file.checksum.0.as_slice() {
        return Err(corrupt("these are not the salts that the manifest names"));
    }
    let content: Content =
        serde_json::from_slice(&bytes).map_err(|_| corrupt("the salts cannot be read"))?;
    if content.number != file.number || content.ledger != manifest.ledger {
        return Err(corrupt("these are the salts of another ledger"));
    }
    let mut salts = Salts::default();
    for brand in &content.brands {
        let line = manifest.brand(brand.brand);
        let line = line.ok_or_else(|| corrupt("a brand that the manifest does not name"))?;
        let key = find_key(line, &manifest.id(), keyring, &paths.manifest())?.key;
        let opened = brand.open(manifest, file.number, key);
        let opened = opened.ok_or_else(|| corrupt("a salt does not open"))?;
        salts.0.insert(brand.brand, opened);
    }
    Ok(salts)
}

impl BrandSalts {
    /// Seals the salts of a brand under a new day key, and that under the key of the
    /// brand.
    fn seal(
        manifest: &Manifest,
        number: u64,
        (brand, key): (u16, &BrandKey),
        salts: &BTreeMap<Day, Salt>,
    ) -> Option<BrandSalts> {
        let day_key = BrandKey::draw();
        let mut plain = Zeroizing::new(Vec::with_capacity(36 * salts.len()));
        for (day, salt) in salts {
            plain.extend_from_slice(&day.to_le_bytes());
            plain.extend_from_slice(salt.bytes());
        }
        let sealed = |key: &BrandKey, what, plain: &[u8]| {
            let (nonce, sealed) = key.seal(&place(what, manifest, number, brand), plain)?;
            Some(Hex([nonce.as_slice(), &sealed].concat()))
        };
        Some(BrandSalts {
            brand,
            key: sealed(key, KEY, day_key.bytes())?,
            salts: sealed(&day_key, SALTS, &plain)?,
        })
    }

    /// Decrypts the salts of a brand. `None` if they are not sealed for this place.
    fn open(
        &self,
        manifest: &Manifest,
        number: u64,
        key: &BrandKey,
    ) -> Option<BTreeMap<Day, Salt>> {
        let place = |what| place(what, manifest, number, self.brand);
        let day_key = open(&place(KEY), key, &self.key)?;
        let day_key = BrandKey::from_bytes(Zeroizing::new(day_key.as_slice().try_into().ok()?));
        let plain = open(&place(SALTS), &day_key, &self.salts)?;
        let mut input = Input(&plain);
        let mut salts = BTreeMap::new();
        while input.remaining() > 0 {
            let day = Day::from_le_bytes(input.array()?);
            salts.insert(day, Salt::from_bytes(input.array()?));
        }
        Some(salts)
    }
}

/// Decrypts what is sealed for a place: a nonce and the sealed bytes.
fn open(place: &[u8], key: &BrandKey, sealed: &Hex) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.0.split_first_chunk()?;
    key.open(place, *nonce, sealed).map(Zeroizing::new)
}

/// The day keys of the file that a manifest names, as whoever has the secret reads
/// them.
#[cfg(test)]
pub(crate) fn day_keys(paths: &Paths, manifest: &Manifest, keyring: &Keyring) -> Vec<Vec<u8>> {
    let ManifestSalts::File(Some(file)) = &manifest.salts else {
        return Vec::new();
    };
    let bytes = std::fs::read(paths.salts(file.number)).unwrap();
    let content: Content = serde_json::from_slice(&bytes).unwrap();
    let keys = content.brands.iter().map(|brand| {
        let line = manifest.brand(brand.brand).unwrap();
        let key = find_key(line, &manifest.id(), keyring, &paths.manifest()).unwrap();
        let place = place(KEY, manifest, file.number, brand.brand);
        open(&place, key.key, &brand.key).unwrap().to_vec()
    });
    keys.collect()
}

/// What the day key is sealed as.
const KEY: &[u8; 24] = b"tributary ledger day key";

/// What the salts are sealed as.
const SALTS: &[u8; 24] = b"tributary ledger salts\0\0";

/// Associated data: what is sealed, the ledger, the file and the brand.
fn place(what: &[u8; 24], manifest: &Manifest, number: u64, brand: u16) -> Vec<u8> {
    let mut place = what.to_vec();
    place.extend_from_slice(&manifest.id());
    place.extend_from_slice(&number.to_le_bytes());
    place.extend_from_slice(&brand.to_le_bytes());
    place
}

/// Decrypts the salts in a manifest of an older format than 6.
///
/// # Errors
///
/// Those of [`read`].
fn open_in_manifest(
    paths: &Paths,
    manifest: &Manifest,
    lines: &[ManifestSalt],
    keyring: &Keyring,
) -> Result<Salts, LedgerError> {
    let path = paths.manifest();
    let mut salts = Salts::default();
    for line in lines {
        let corrupt = || LedgerError::corrupt(&path, 0, "a salt does not open");
        let brand = manifest.brand(line.brand).ok_or_else(corrupt)?;
        let key = find_key(brand, &manifest.id(), keyring, &path)?.key;
        let open = || {
            let mut place = b"tributary ledger salt\0\0\0".to_vec();
            place.extend_from_slice(&manifest.id());
            place.extend_from_slice(&line.brand.to_le_bytes());
            place.extend_from_slice(&line.day.to_le_bytes());
            let nonce = line.nonce.0.as_slice().try_into().ok()?;
            let plain = Zeroizing::new(key.open(&place, nonce, &line.sealed.0)?);
            Some(Salt::from_bytes(plain.as_slice().try_into().ok()?))
        };
        let salt = open().ok_or_else(corrupt)?;
        let days = salts.0.entry(line.brand).or_default();
        days.insert(line.day, salt);
    }
    Ok(salts)
}

/// Writes the salts under new day keys into the file of the next manifest, which
/// is durable when this returns, and names it in that manifest. Without salts there
/// is no file.
///
/// # Errors
///
/// A brand whose key is not available; any error of the disk, which leaves no file
/// behind if possible.
pub(crate) fn write(
    paths: &Paths,
    manifest: &mut Manifest,
    salts: &Salts,
    keyring: &Keyring,
) -> Result<(), LedgerError> {
    let number = manifest.generation;
    let path = paths.salts(number);
    let mut brands = Vec::new();
    for (brand, days) in salts.0.iter().filter(|(_, days)| !days.is_empty()) {
        let failed = || LedgerError::corrupt(&path, 0, "a salt cannot be sealed");
        let line = manifest.brand(*brand).ok_or_else(failed)?;
        let key = find_key(line, &manifest.id(), keyring, &paths.manifest())?.key;
        brands.push(BrandSalts::seal(manifest, number, (*brand, key), days).ok_or_else(failed)?);
    }
    if brands.is_empty() {
        manifest.salts = ManifestSalts::File(None);
        return Ok(());
    }
    let numbers = brands.iter().map(|salts| salts.brand).collect();
    let content = Content {
        ledger: manifest.ledger.clone(),
        number,
        brands,
    };
    let failed = |error| LedgerError::io(&path, io::Error::other(error));
    let mut text = serde_json::to_vec_pretty(&content).map_err(failed)?;
    text.push(b'\n');
    write_durably(paths, &path, &text).inspect_err(|_| {
        // No manifest names it: if it cannot be removed now, the next opening does it.
        let _ = disk::remove(&path);
    })?;
    manifest.salts = ManifestSalts::File(Some(SaltsFile {
        number,
        brands: numbers,
        checksum: Hex(blake3::hash(&text).as_bytes().to_vec()),
    }));
    Ok(())
}

/// Writes a file, and syncs it and its name.
///
/// # Errors
///
/// Any error of the disk.
fn write_durably(paths: &Paths, path: &Path, text: &[u8]) -> Result<(), LedgerError> {
    let file = disk::create(path)?;
    disk::write(&file, path, text, 0)?;
    disk::sync(&file, path)?;
    disk::sync_directory(&paths.0)
}

/// Numbers of the files of salts that a manifest does not name.
///
/// # Errors
///
/// A directory that cannot be read; [`LedgerError::Corrupt`] for a file that a later
/// manifest has named.
pub(crate) fn orphans(paths: &Paths, manifest: &Manifest) -> Result<Vec<u64>, LedgerError> {
    let named = match &manifest.salts {
        ManifestSalts::File(Some(file)) => Some(file.number),
        _ => None,
    };
    let mut numbers = paths.salts_files()?;
    numbers.retain(|number| Some(*number) != named);
    // A crash leaves at most that of the next manifest.
    match numbers.last() {
        Some(last) if *last > manifest.generation + 1 => {
            let what =
                "the manifest does not know these salts, as if an old manifest had been put back";
            Err(LedgerError::corrupt(&paths.salts(*last), 0, what))
        }
        _ => Ok(numbers),
    }
}

/// Overwrites and removes the files of salts that the manifest does not name. A
/// file that cannot be overwritten is tried once more, and removed all the same.
///
/// # Errors
///
/// Any error of the disk other than a failed overwriting.
pub(crate) fn remove_orphans(paths: &Paths, manifest: &Manifest) -> Result<Removed, LedgerError> {
    let orphans = orphans(paths, manifest)?;
    let mut removed = Removed {
        files: orphans.len(),
        not_overwritten: 0,
    };
    for number in &orphans {
        let path = paths.salts(*number);
        let is_overwritten = disk::overwrite(&path) || disk::overwrite(&path);
        removed.not_overwritten += usize::from(!is_overwritten);
        disk::unlink(&path)?;
    }
    if !orphans.is_empty() {
        disk::sync_directory(&paths.0)?;
    }
    Ok(removed)
}

//! What backups and the long-lived secret give of the salts of sensor days.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use tributary_operators::record::Day;
use tributary_operators::salt::Salt;

use super::common::*;
use crate::manifest::{ManifestSalts, Paths};
use crate::salts;
use crate::{Ledger, LedgerError};

/// Path of the file of salts that counts.
fn salts_file(directory: &Path) -> Option<PathBuf> {
    let paths = Paths(directory.to_owned());
    match paths.read_existing().unwrap().salts {
        ManifestSalts::File(file) => Some(paths.salts(file?.number)),
        ManifestSalts::InManifest(_) => panic!("the salts are in the manifest"),
    }
}

/// The days whose salts a directory and the secret give.
fn open_days(directory: &Path) -> Result<Vec<Day>, LedgerError> {
    let paths = Paths(directory.to_owned());
    let salts = salts::read(&paths, &paths.read_existing()?, &keys())?;
    Ok(salts.iter().map(|(_, day, _)| day).collect())
}

/// Runs a sensor day: the salt of the next day comes, and that of the last but one is
/// destroyed.
fn next_day(ledger: &mut Ledger, day: Day) {
    let mut batch = page(A, &[ping(A, i64::from(day))]);
    batch.salt(A, day + 1, Salt::from_bytes([day as u8 + 1; 32]));
    ledger.append(batch);
    ledger.commit(at(day as u64)).unwrap();
    ledger.destroy_salts(A, day).unwrap();
}

/// A backup of every day: each opens the days that were open then. Nothing in it opens
/// the salts of another backup, not even together with the secret and the manifest of
/// that one: each has a day key of its own.
#[test]
fn a_backup_and_the_secret_open_the_days_of_then_and_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let live = directory.path().join("live");
    let (mut ledger, _) = open(&live);
    next_day(&mut ledger, 0);
    let (mut backups, mut day_keys) = (Vec::new(), BTreeSet::new());
    for day in 1..8 {
        next_day(&mut ledger, day);
        let backup = directory.path().join(day.to_string());
        restore(&backup, &files(&live));
        assert_eq!(open_days(&backup).unwrap(), [day, day + 1]);
        let paths = Paths(backup.clone());
        let manifest = paths.read_existing().unwrap();
        day_keys.extend(salts::day_keys(&paths, &manifest, &keys()));
        backups.push(backup);
    }
    // The sealed salts of another time, wherever they were found, do not open either.
    assert_eq!(day_keys.len(), backups.len());
    let mut mixed = 0;
    for of in &backups {
        for from in backups.iter().filter(|from| *from != of) {
            // The sealed day key of one backup in the file of another, under a manifest that takes it.
            let read = |path: &Path| -> serde_json::Value {
                serde_json::from_slice(&std::fs::read(salts_file(path).unwrap()).unwrap()).unwrap()
            };
            let (mut content, other) = (read(of), read(from));
            assert_ne!(content["brands"][0]["key"], other["brands"][0]["key"]);
            content["brands"][0]["key"] = other["brands"][0]["key"].clone();
            content["number"] = other["number"].clone();
            let copy = directory.path().join("mixed");
            restore(&copy, &files(from));
            let text = serde_json::to_vec(&content).unwrap();
            std::fs::write(salts_file(&copy).unwrap(), &text).unwrap();
            let paths = Paths(copy.clone());
            let mut manifest = paths.read_existing().unwrap();
            if let ManifestSalts::File(Some(file)) = &mut manifest.salts {
                file.checksum = crate::wire::Hex(blake3::hash(&text).as_bytes().to_vec());
            }
            let error = salts::read(&paths, &manifest, &keys())
                .map(|_| ())
                .unwrap_err();
            assert!(error.to_string().contains("does not open"), "{error}");
            mixed += 1;
        }
    }
    assert_eq!(mixed, 7 * 6);
}

/// The bytes of a replaced file are overwritten, with the sealed day key in it, and the
/// file is removed; without open days there is none.
#[test]
fn a_replaced_day_key_is_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(directory.path());
    let mut handles = Vec::new();
    for day in 1..5 {
        next_day(&mut ledger, day);
        let path = salts_file(directory.path()).unwrap();
        handles.push((File::open(&path).unwrap(), path));
    }
    ledger.destroy_salts(A, 100).unwrap();
    assert_eq!(salts_file(directory.path()), None);
    for (mut file, path) in handles {
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        assert!(bytes.len() > 200 && bytes.iter().all(|byte| *byte == 0));
        assert!(!path.exists());
    }
    let paths = Paths(directory.path().to_owned());
    assert!(paths.salts_files().unwrap().is_empty());
}

/// What a failed removal has left is removed with the next change, and counted when it
/// cannot be overwritten.
#[test]
fn what_is_left_of_a_replaced_file_goes_with_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(directory.path());
    next_day(&mut ledger, 1);
    super::hook::set(Box::new(|step, path| match step {
        "remove" if path.to_string_lossy().contains("SALTS.") => {
            Err(std::io::Error::other("the disk fails"))
        }
        _ => Ok(()),
    }));
    let mut batch = page(A, &[]);
    batch.salt(A, 9, Salt::from_bytes([9; 32]));
    ledger.append(batch);
    ledger.commit(at(2)).unwrap();
    assert!(ledger.destroy_salts(A, 9).is_err());
    super::hook::set(Box::new(|step, path| match step {
        "wipe" if path.to_string_lossy().contains("SALTS.") => {
            Err(std::io::Error::other("the disk fails"))
        }
        _ => Ok(()),
    }));
    ledger.take_not_overwritten();
    let paths = Paths(directory.path().to_owned());
    let files = paths.salts_files().unwrap().len();
    ledger.destroy_salts(A, 9).unwrap();
    super::hook::clear();
    // All but the one that counts were left by the failed removals.
    assert!(files > 1);
    assert_eq!(ledger.take_not_overwritten(), files - 1);
    assert_eq!(ledger.take_not_overwritten(), 0);
    assert_eq!(paths.salts_files().unwrap().len(), 1);
    assert_eq!(open_days(directory.path()).unwrap(), [9]);
}

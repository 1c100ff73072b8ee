//! A copy whose files cannot be overwritten: each is removed all the same, and counted.

use std::path::Path;

use super::common::*;
use crate::disk::hook;
use crate::{CopiedManifest, LedgerCopy, LedgerFile, Removed};

/// Has every overwriting fail.
fn overwrite_nothing() {
    hook::set(Box::new(|step, _| match step {
        "wipe" => Err(std::io::Error::other("the disk fails")),
        _ => Ok(()),
    }));
}

/// The file has arrived, up to its listed length.
fn receive(copy: &LedgerCopy, original: &Path, file: &LedgerFile) {
    let bytes = std::fs::read(original.join(&file.name)).unwrap();
    let length = file.bytes.map_or(bytes.len(), |length| length as usize);
    copy.receive(file, 0, &bytes[..length]).unwrap();
    assert!(copy.complete(file).unwrap());
}

#[test]
fn what_has_arrived_and_is_not_overwritten_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let [original, copied, incoming] =
        ["original", "copy", "incoming"].map(|name| directory.path().join(name));
    let (mut ledger, _) = open(&original);
    ledger.append(page(A, &[put(A, 1, 0, 1)]));
    ledger.commit(at(1)).unwrap();
    let before = ledger.extent();
    let manifest = CopiedManifest::read(&original).unwrap().unwrap();
    let (copy, removed) = LedgerCopy::open(&copied, &incoming).unwrap();
    assert_eq!(removed, Removed::default());
    let files = manifest.files(before.bytes);
    let one = Removed {
        files: 1,
        not_overwritten: 1,
    };

    // What is not installed, by the command and by the next opening.
    receive(&copy, &original, &files[0]);
    overwrite_nothing();
    assert_eq!(copy.clear_incoming().unwrap(), one);
    hook::clear();
    receive(&copy, &original, &files[0]);
    drop(copy);
    overwrite_nothing();
    let (copy, removed) = LedgerCopy::open(&copied, &incoming).unwrap();
    hook::clear();
    assert_eq!(removed, one);

    // The end of a segment that has arrived beside the copy.
    files
        .iter()
        .for_each(|file| receive(&copy, &original, file));
    copy.install(&manifest, None).unwrap();
    ledger.append(page(A, &[put(A, 2, 0, 2)]));
    ledger.commit(at(2)).unwrap();
    let active = original.join(manifest.active_name());
    let bytes = std::fs::read(active).unwrap();
    let (from, to) = (before.bytes as usize, ledger.extent().bytes as usize);
    copy.receive_end(0, &bytes[from..to]).unwrap();
    let all = manifest.files(to as u64);
    let grows = all.iter().find(|file| file.name == manifest.active_name());
    hook::set(Box::new(|step, path| match step {
        "wipe" if path.ends_with("END") => Err(std::io::Error::other("the disk fails")),
        _ => Ok(()),
    }));
    let removed = copy.install(&manifest, Some((grows.unwrap(), before.bytes)));
    hook::clear();
    assert_eq!(removed.unwrap(), one);
    assert!(!incoming.join("END").exists());
}

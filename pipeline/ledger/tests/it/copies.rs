//! A copy of a ledger leaves no bytes of files that it replaces.

use tributary_ledger::{CopiedManifest, LedgerCopy};

use crate::common::*;

#[test]
fn a_file_that_arrives_again_overwrites_the_one_before() {
    let directory = tempfile::tempdir().unwrap();
    let [original, copied, incoming, kept] =
        ["original", "copy", "incoming", "kept"].map(|name| directory.path().join(name));
    let (mut ledger, _) = open(&original);
    ledger.append(page(A, &[click(A, 1)]));
    ledger.commit(at(1)).unwrap();
    let extent = ledger.extent();
    let manifest = CopiedManifest::read(&original).unwrap().unwrap();
    let (copy, _) = LedgerCopy::open(&copied, &incoming).unwrap();
    let bring = || {
        for file in manifest.files(extent.bytes) {
            let bytes = std::fs::read(original.join(&file.name)).unwrap();
            let length = file.bytes.map_or(bytes.len(), |length| length as usize);
            copy.receive(&file, 0, &bytes[..length]).unwrap();
            assert!(copy.complete(&file).unwrap());
        }
        copy.install(&manifest, None).unwrap()
    };
    assert_eq!(bring().files, 0);
    std::fs::hard_link(copied.join(manifest.active_name()), &kept).unwrap();
    // As after a restart, which fetches the whole of the active segment.
    let removed = bring();
    assert_eq!((removed.files, removed.not_overwritten), (1, 0));
    let kept = std::fs::read(kept).unwrap();
    assert!(kept.len() as u64 == extent.bytes && kept.iter().all(|byte| *byte == 0));
}

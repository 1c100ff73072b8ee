//! A segment that the manifest does not name is removed only where nothing can be lost with it.

use std::path::PathBuf;

use crate::common::*;
use tributary_ledger::{Kind, Ledger, Options};

fn rolling(directory: &std::path::Path, commits: std::ops::RangeInclusive<u64>) {
    let options = Options {
        segment_bytes: 1,
        ..options(directory)
    };
    let (mut ledger, _) = Ledger::open(options, keys()).unwrap();
    for n in commits {
        ledger.append(page(A, &[click(A, n)]));
        ledger.commit(at(n)).unwrap();
    }
}

#[test]
fn without_a_manifest_segments_are_not_taken_for_nothing() {
    let directory = tempfile::tempdir().unwrap();
    rolling(directory.path(), 1..=2);
    std::fs::remove_file(directory.path().join("MANIFEST")).unwrap();
    let before = files(directory.path());
    let error = try_open(directory.path()).unwrap_err();
    assert_eq!(error.kind(), Kind::Missing);
    assert!(error.to_string().contains("backup"), "{error}");
    assert!(files(directory.path()) == before);
}

#[test]
fn an_old_manifest_put_back_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    rolling(directory.path(), 1..=2);
    let old = std::fs::read(directory.path().join("MANIFEST")).unwrap();
    rolling(directory.path(), 3..=4);
    std::fs::write(directory.path().join("MANIFEST"), old).unwrap();
    let before = files(directory.path());
    let error = try_open(directory.path()).unwrap_err();
    let segment = directory.path().join("segments/0000000003.seg");
    assert!(
        matches!(error.kind(), Kind::Corrupt { file, .. } if file == segment),
        "{error}"
    );
    assert!(error.to_string().contains("old manifest"), "{error}");
    assert!(files(directory.path()) == before);
}

#[test]
fn a_segment_of_another_ledger_is_not_removed() {
    let [one, two] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    rolling(one.path(), 1..=2);
    rolling(two.path(), 1..=3);
    let (from, to) = (
        two.path().join("segments/0000000003.seg"),
        one.path().join("segments/0000000003.seg"),
    );
    std::fs::copy(from, &to).unwrap();
    let error = try_open(one.path()).unwrap_err();
    assert!(error.to_string().contains("another ledger"), "{error}");
    assert!(to.exists());
    std::fs::remove_file(to).unwrap();
    assert_eq!(held(one.path()).len(), 2);
}

#[test]
fn what_a_crash_left_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    rolling(directory.path(), 1..=3);
    let mut files = files(directory.path());
    let path = |name: &str| PathBuf::from(name);
    // What a rewrite had copied, a header that was not finished, and a manifest that was not.
    let copied = files[&path("segments/0000000001.seg")].clone();
    let mut renumbered = copied.clone();
    renumbered[32] = 7;
    let checksum = xxhash_rust::xxh3::xxh3_64(&renumbered[..40]);
    renumbered[40..48].copy_from_slice(&checksum.to_le_bytes());
    files.insert(path("segments/0000000007.seg"), renumbered);
    files.insert(path("segments/0000000008.seg"), copied[..20].to_vec());
    files.insert(path("MANIFEST.new"), b"tributary-ledger 1 ".to_vec());
    // What has another name is not ours.
    files.insert(path("segments/notes.txt"), b"notes".to_vec());
    files.insert(path("segments/9.seg"), b"nine".to_vec());
    restore(directory.path(), &files);
    assert_eq!(held(directory.path()).len(), 3);
    let left: Vec<_> = self::files(directory.path()).into_keys().collect();
    let names = [
        "LOCK",
        "MANIFEST",
        "segments/0000000001.seg",
        "segments/0000000002.seg",
        "segments/0000000003.seg",
        "segments/9.seg",
        "segments/notes.txt",
    ];
    assert_eq!(left, names.map(PathBuf::from));
}

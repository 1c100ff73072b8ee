//! What a newer version has written is refused, and not a byte of the directory changes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::common::*;
use tributary_ledger::{Kind, Ledger, Options, inspect, verify};

fn ledger() -> BTreeMap<PathBuf, Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes: 1,
        ..options(directory.path())
    };
    let (mut ledger, _) = Ledger::open(options, keys()).unwrap();
    for n in 1..=3 {
        ledger.append(page(A, &[click(A, n)]));
        ledger.commit(at(n)).unwrap();
    }
    drop(ledger);
    let mut files = files(directory.path());
    // What a crash can leave is there, too, and stays.
    files.insert("MANIFEST.new".into(), b"half a manifest".to_vec());
    files.insert("segments/0000000009.seg".into(), b"half a header".to_vec());
    let active = files.get_mut(&PathBuf::from("segments/0000000003.seg"));
    active.unwrap().extend_from_slice(b"half a commit");
    files
}

fn refused(files: &BTreeMap<PathBuf, Vec<u8>>, name: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    restore(&path, files);
    for refused in [
        try_open(&path).map(|_| ()),
        inspect(&path, None).map(|_| ()),
        verify(&path, &keys(), &mut |_, _| ()).map(|_| ()),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), Kind::Newer, "{error}");
        let text = error.to_string();
        assert!(text.contains(name) && text.contains("format 8"), "{text}");
        assert!(self::files(&path) == *files);
    }
}

#[test]
fn of_the_manifest() {
    let mut files = ledger();
    let manifest = files.get_mut(&PathBuf::from("MANIFEST")).unwrap();
    // Whatever a newer manifest looks like after its version.
    *manifest = b"tributary-ledger 8 whatever comes\n\x00\xff".to_vec();
    refused(&files, "MANIFEST");
    files.remove(&PathBuf::from("LOCK"));
    refused(&files, "MANIFEST");
}

#[test]
fn of_any_segment() {
    for number in [1, 3, 9] {
        let mut files = ledger();
        let name = PathBuf::from(format!("segments/{number:010}.seg"));
        let mut header = files[&PathBuf::from("segments/0000000001.seg")][..48].to_vec();
        header[8] = 8;
        let segment = files.get_mut(&name).unwrap();
        segment.splice(..segment.len().min(48), header);
        refused(&files, name.to_str().unwrap());
    }
}

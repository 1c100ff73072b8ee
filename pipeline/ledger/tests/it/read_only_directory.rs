//! A directory that cannot be written, or is none, is refused with the reason.

use crate::common::*;
use crate::disk::Disk;
use tributary_ledger::{Kind, inspect, verify};

#[test]
fn is_refused_and_may_be_looked_at() {
    let Some(disk) = Disk::mount(1 << 20) else {
        return;
    };
    let directory = disk.path().join("ledger");
    let (mut ledger, _) = open(&directory);
    ledger.append(page(A, &[click(A, 1)]));
    ledger.commit(at(1)).unwrap();
    drop(ledger);
    disk.read_only(true);
    for path in [directory.clone(), disk.path().join("another")] {
        let error = try_open(&path).unwrap_err();
        assert_eq!(error.kind(), Kind::ReadOnly, "{error}");
        let text = error.to_string();
        assert!(
            text.contains(path.to_str().unwrap()) && text.contains("writable"),
            "{text}"
        );
    }
    assert_eq!(inspect(&directory, None).unwrap().position, Some(at(1)));
    assert_eq!(verify(&directory, &keys(), &mut |_, _| ()).unwrap().held, 1);
    disk.read_only(false);
    assert_eq!(held(&directory), [click(A, 1)]);
}

#[test]
fn a_file_in_its_place_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    std::fs::write(&path, "a file").unwrap();
    let error = try_open(&path).unwrap_err();
    assert_eq!(error.kind(), Kind::Io, "{error}");
    assert!(
        error.to_string().contains(path.to_str().unwrap()),
        "{error}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"a file");
}

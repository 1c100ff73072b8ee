//! Ledgers of this format and of those before, written once and kept in the repository, open and have what was written: a change of the code
//! that can no longer read what is on the disks of others is noticed here.

use std::path::{Path, PathBuf};

use crate::common::*;
use tributary_ledger::{FileHead, FileHeads, inspect, verify};
use tributary_operators::event::Event;
use tributary_operators::salt::Salt;

fn fixture(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/format-{format}"))
}

fn events() -> [Vec<Event>; 3] {
    [
        vec![click(A, 1), click(A, 2), put(A, 3, 7, 9)],
        vec![click(B, 4)],
        vec![put(A, 3, 8, 10)],
    ]
}

fn write(directory: &Path) {
    let (mut ledger, _) = open(directory);
    for (n, events) in (1..).zip(events()) {
        let brand = if n == 2 { B } else { A };
        let mut batch = page(brand, &events);
        if n == 1 {
            batch.salt(A, 5, Salt::from_bytes([7; 32]));
        }
        ledger.append(batch);
        ledger.commit(at(n)).unwrap();
    }
    let mut heads = FileHeads::new();
    heads.insert("objections".to_owned(), FileHead::new(4, [3; 32]));
    ledger.record_heads(&heads).unwrap();
    ledger.close().unwrap();
}

#[test]
fn opens() {
    [4, 5, 6].into_iter().for_each(opens_in);
}

fn opens_in(format: u32) {
    let directory = tempfile::tempdir().unwrap();
    let segment = "segments/0000000001.seg";
    std::fs::create_dir(directory.path().join("segments")).unwrap();
    for name in ["MANIFEST", segment] {
        std::fs::copy(fixture(format).join(name), directory.path().join(name)).unwrap();
    }
    let verified = verify(directory.path(), &keys(), &mut |_, _| ()).unwrap();
    assert_eq!((verified.entries.put, verified.superseded), (5, 1));
    assert_eq!(inspect(directory.path()).unwrap().format, format);
    let (mut ledger, mut recovered) = open(directory.path());
    assert_eq!(recovered.position, Some(at(3)));
    assert_eq!(recovered.salts.len(), 1);
    assert_eq!(ledger.heads()["objections"].entries, 4);
    let read = read(&mut recovered, &keys()).unwrap();
    assert_eq!(sorted(read), sorted(events().concat()));
    // It goes on in this format, whichever it had.
    ledger.append(page(A, &[click(A, 5)]));
    ledger.commit(at(4)).unwrap();
    drop(ledger);
    assert_eq!(inspect(directory.path()).unwrap().format, 6);
    let (_ledger, mut recovered) = open(directory.path());
    let read = self::read(&mut recovered, &keys()).unwrap();
    let all = [events().concat(), vec![click(A, 5)]].concat();
    assert_eq!(sorted(read), sorted(all));
}

/// For a new format: `cargo test -p tributary-ledger --test it_ledger -- --ignored fixture::write_anew`, into a new directory.
#[test]
#[ignore = "writes the fixture of a new format"]
fn write_anew() {
    let fixture = fixture(6);
    std::fs::remove_dir_all(&fixture).ok();
    write(&fixture);
    std::fs::remove_file(fixture.join("LOCK")).unwrap();
}

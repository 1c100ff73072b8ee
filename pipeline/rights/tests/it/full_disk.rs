//! The disk is full: an append fails and leaves nothing behind, and the same succeeds when there is space again.

use crate::common::*;
use crate::disk::Disk;
use tributary_rights::audit::{AppendError, AuditLog, Event, verify};
use tributary_rights::suppression::{Record, SuppressionFile};
use tributary_rights::{KeyLevel, Kind, Right};

#[test]
fn then_space_is_freed_and_the_same_append_succeeds() {
    let Some(disk) = Disk::mount(64 << 10) else {
        return;
    };
    let keys = keys("acme");
    let ballast = disk.path().join("ballast");
    let mut log = AuditLog::open(disk.path(), &keys).unwrap().log;
    let path = disk.path().join("objections");
    let brands = [keys.clone()];
    let mut file = SuppressionFile::open(&path, &brands, [7; 16]).unwrap().file;

    let mut asked = request("erase");
    let mut receive = |log: &mut AuditLog, n: u64| {
        asked["id"] = n.into();
        let read = parse(&asked).unwrap();
        let content = read.fingerprint(&keys);
        let received = Event::Received { content };
        log.append(AT, keys.request(&read.id), Right::Erase, received)
    };
    let mut next = 0;
    for round in 0..4_usize {
        // What is left of the disk fills up, and a smaller ballast makes room.
        std::fs::write(&ballast, vec![1; (32 << 10) - round * 8192]).unwrap();
        let error = loop {
            match receive(&mut log, next) {
                Ok(head) => {
                    next += 1;
                    assert_eq!(head.seq, next);
                }
                Err(error) => break error,
            }
        };
        assert!(
            matches!(&error, AppendError::File(error) if error.kind() == Kind::Full),
            "{error}"
        );
        let verified = verify(log.path(), &keys, Some(log.head())).unwrap();
        assert_eq!((verified.entries, verified.torn_bytes), (next, 0));
    }
    let many: Vec<Record> = (0..2000)
        .filter_map(|n| Record::objected(&keys, KeyLevel::OLDEST, n, AT))
        .collect();
    assert_eq!(file.append(&keys, &many).unwrap_err().kind(), Kind::Full);
    drop(file);
    let opened = SuppressionFile::open(&path, &brands, [7; 16]).unwrap();
    assert_eq!((opened.cut_bytes, opened.set.count("acme")), (0, 0));
    let mut file = opened.file;
    std::fs::remove_file(&ballast).unwrap();
    receive(&mut log, next).unwrap();
    file.append(&keys, &many[..100]).unwrap();
    drop(file);
    let opened = SuppressionFile::open(&path, &brands, [7; 16]).unwrap();
    assert_eq!(opened.set.count("acme"), 100);
}

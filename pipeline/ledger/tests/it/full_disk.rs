//! The disk is full: the commit fails and loses nothing, and succeeds when there is space again.

use crate::common::*;
use crate::disk::Disk;
use tributary_ledger::{Kind, Ledger, Options, WriteBatch};
use tributary_operators::event::Event;
use tributary_operators::salt::Salt;

#[test]
fn then_space_is_freed_and_the_same_commit_succeeds() {
    let Some(disk) = Disk::mount(256 << 10) else {
        return;
    };
    let directory = disk.path().join("ledger");
    let options = Options {
        segment_bytes: 20_000,
        ..options(&directory)
    };
    let (mut ledger, _) = Ledger::open(options, keys()).unwrap();
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; 100 << 10]).unwrap();

    let mut events: Vec<Event> = Vec::new();
    let (mut sequence, mut refused) = (0, 0);
    // First the ledger fills the disk, and after every refusal a part of the ballast makes room.
    while refused < 8 {
        let new: Vec<Event> = (0..40).map(|n| click(A, sequence * 40 + n)).collect();
        let mut page = WriteBatch::default();
        new.iter().for_each(|event| page.push(A, event));
        page.salt(A, sequence as i32, Salt::from_bytes([1; 32]));
        ledger.append(page);
        events.extend(new);
        sequence += 1;
        while let Err(error) = ledger.commit(at(sequence)) {
            assert_eq!(error.kind(), Kind::Full, "{error}");
            assert!(error.to_string().contains("no room"), "{error}");
            // Not only once: the disk stays full for some time.
            assert_eq!(ledger.commit(at(sequence)).unwrap_err().kind(), Kind::Full);
            assert_eq!(ledger.position(), Some(at(sequence - 1)));
            refused += 1;
            let left = (100_u64 << 10).saturating_sub(refused * 8_192);
            let file = std::fs::OpenOptions::new()
                .write(true)
                .open(&ballast)
                .unwrap();
            file.set_len(left).unwrap();
        }
    }
    assert_eq!(ledger.position(), Some(at(sequence)));
    drop(ledger);
    std::fs::remove_file(&ballast).unwrap();
    let (_ledger, mut recovered) = Ledger::open(self::options(&directory), keys()).unwrap();
    assert_eq!(recovered.cut_bytes, 0);
    assert_eq!(recovered.salts.len() as u64, sequence);
    let found = read(&mut recovered, &keys()).unwrap();
    assert_eq!(sorted(found), sorted(events));
}

//! A commit that was interrupted is cut, at whatever byte; one that was synced is never cut.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::common::*;
use tributary_ledger::{Kind, LedgerError, inspect, verify};
use tributary_operators::event::Event;

const SEGMENT: &str = "segments/0000000001.seg";

/// The files after each of three commits, and their events.
fn three_commits() -> (Vec<BTreeMap<PathBuf, Vec<u8>>>, Vec<Event>) {
    let directory = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(directory.path());
    let mut snapshots = Vec::new();
    let mut events = Vec::new();
    for n in 1..=3 {
        let two = [click(A, n), click(B, n)];
        ledger.append(page(A, &two[..1]));
        ledger.append(page(B, &two[1..]));
        ledger.commit(at(n)).unwrap();
        events.extend(two);
        snapshots.push(files(directory.path()));
    }
    (snapshots, events)
}

fn segment(files: &mut BTreeMap<PathBuf, Vec<u8>>) -> &mut Vec<u8> {
    files.get_mut(&PathBuf::from(SEGMENT)).unwrap()
}

fn cut_to_two(files: &BTreeMap<PathBuf, Vec<u8>>, events: &[Event], torn: u64, what: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    restore(&path, files);
    assert_eq!(inspect(&path, None).unwrap().torn_bytes, torn, "{what}");
    assert_eq!(
        verify(&path, &keys(), &mut |_, _| ()).unwrap().held,
        4,
        "{what}"
    );
    assert!(self::files(&path) == *files, "looking changes nothing");
    let (mut ledger, mut recovered) = open(&path);
    assert_eq!(recovered.cut_bytes, torn, "{what}");
    assert_eq!(recovered.position, Some(at(2)), "{what}");
    let found = read(&mut recovered, &keys()).unwrap();
    assert_eq!(sorted(found), sorted(events[..4].to_vec()), "{what}");
    // And it goes on.
    ledger.append(page(A, &[click(A, 9)]));
    ledger.commit(at(9)).unwrap();
    drop(ledger);
    assert_eq!(held(&path).len(), 5, "{what}");
}

#[test]
fn at_every_length() {
    let (snapshots, events) = three_commits();
    let two = snapshots[1][&PathBuf::from(SEGMENT)].len();
    let three = snapshots[2][&PathBuf::from(SEGMENT)].len();
    for length in two..three {
        let mut files = snapshots[2].clone();
        segment(&mut files).truncate(length);
        cut_to_two(
            &files,
            &events,
            (length - two) as u64,
            &format!("{length} bytes"),
        );
    }
}

#[test]
fn with_its_blocks_in_any_state() {
    let (snapshots, events) = three_commits();
    let two = snapshots[1][&PathBuf::from(SEGMENT)].len();
    let three = snapshots[2][&PathBuf::from(SEGMENT)].len();
    // The pages of the last write reach the disk in any order: its end may be there and its beginning not.
    for lost in two + 1..three {
        let mut files = snapshots[2].clone();
        segment(&mut files)[two..lost].fill(0);
        let torn = (three - two) as u64;
        cut_to_two(&files, &events, torn, &format!("zeros up to {lost}"));
    }
    // The length may have come first, and nothing else.
    let mut files = snapshots[1].clone();
    segment(&mut files).resize(two + 5_000, 0);
    cut_to_two(&files, &events, 5_000, "only zeros");
}

/// Each commit is synced before the next is written: what precedes another commit cannot be torn.
#[test]
fn before_another_commit_is_corrupt() {
    let (snapshots, _) = three_commits();
    let one = snapshots[0][&PathBuf::from(SEGMENT)].len();
    let two = snapshots[1][&PathBuf::from(SEGMENT)].len();
    for damaged in one..two {
        let mut files = snapshots[2].clone();
        segment(&mut files)[damaged] ^= 0x55;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger");
        restore(&path, &files);
        let error = try_open(&path).unwrap_err();
        let LedgerError::Corrupt { file, offset, .. } = &error else {
            panic!("{error}");
        };
        assert!(file.ends_with(SEGMENT));
        assert!(
            (one..=damaged).contains(&(*offset as usize)),
            "{damaged}: {error}"
        );
        assert!(error.to_string().contains("restore"), "{error}");
        assert!(
            matches!(verify(&path, &keys(), &mut |_, _| ()), Err(e) if e.kind() == error.kind())
        );
        let after = self::files(&path);
        assert!(files.iter().all(|(name, bytes)| after[name] == *bytes));
    }
}

#[test]
fn a_sealed_segment_is_never_cut() {
    let directory = tempfile::tempdir().unwrap();
    let options = tributary_ledger::Options {
        segment_bytes: 1,
        ..options(directory.path())
    };
    let (mut ledger, _) = tributary_ledger::Ledger::open(options, keys()).unwrap();
    for n in 1..=3 {
        ledger.append(page(A, &[click(A, n)]));
        ledger.commit(at(n)).unwrap();
    }
    drop(ledger);
    let path = directory.path().join(SEGMENT);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let short = try_open(directory.path()).unwrap_err();
    assert!(
        matches!(short.kind(), Kind::Corrupt { file, .. } if file == path),
        "{short}"
    );
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        try_open(directory.path()).unwrap_err().kind(),
        Kind::Missing
    );
}

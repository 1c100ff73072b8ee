//! A ledger is opened by those whose it is: one process, of the right share, with the brands' own secrets.

use std::path::Path;

use crate::common::*;
use tributary_ledger::{Kind, Ledger, LedgerError, Options, WriteBatch, inspect, verify};
use tributary_operators::event::Event;
use tributary_operators::record::BrandId;
use tributary_operators::salt::Salt;

fn two_brands(directory: &Path) -> Vec<Event> {
    let (mut ledger, _) = open(directory);
    let events = [
        click(A, 1),
        word(A, "google"),
        click(B, 2),
        word(B, "google"),
    ];
    ledger.append(page(A, &events[..2]));
    ledger.append(page(B, &events[2..]));
    ledger.commit(at(1)).unwrap();
    ledger.close().unwrap();
    events.to_vec()
}

fn with(directory: &Path, brands: &[(&str, char)]) -> Result<Vec<Event>, LedgerError> {
    let keys = keyring(brands);
    let (_ledger, mut recovered) = Ledger::open(options(directory), keys.clone())?;
    read(&mut recovered, &keys)
}

#[test]
fn a_second_process_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, _) = open(directory.path());
    let error = try_open(directory.path()).unwrap_err();
    assert_eq!(error.kind(), Kind::Locked);
    assert!(error.to_string().contains("LOCK"), "{error}");
    // Looking at it is allowed.
    inspect(directory.path(), None).unwrap();
    ledger.close().unwrap();
    open(directory.path());
}

#[test]
fn another_share_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let share = |process, processes| Options {
        process,
        processes,
        ..options(directory.path())
    };
    Ledger::open(share(1, 3), keys()).unwrap();
    for (process, processes) in [(0, 3), (1, 2), (2, 3), (0, 1)] {
        let error = Ledger::open(share(process, processes), keys()).unwrap_err();
        assert_eq!(error.kind(), Kind::OtherShare);
        assert!(error.to_string().contains("process 1 of 3"), "{error}");
    }
    Ledger::open(share(1, 3), keys()).unwrap();
}

#[test]
fn another_secret_is_told_from_rot() {
    let directory = tempfile::tempdir().unwrap();
    let events = two_brands(directory.path());
    let wrong = [("acme", 'a'), ("bolt", 'x')];
    let error = with(directory.path(), &wrong).unwrap_err();
    assert_eq!(error.kind(), Kind::WrongKey("bolt".into()));
    assert!(error.to_string().contains("secret"), "{error}");
    let verified = verify(directory.path(), &keyring(&wrong), &mut |_, _| ());
    assert_eq!(verified.unwrap_err().kind(), error.kind());
    assert_eq!(sorted(held(directory.path())), sorted(events));
}

#[test]
fn a_brand_that_is_not_configured_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let events = two_brands(directory.path());
    let error = with(directory.path(), &[("acme", 'a')]).unwrap_err();
    assert_eq!(error.kind(), Kind::UnknownBrand("bolt".into()));
    assert!(error.to_string().contains("bolt"), "{error}");
    assert_eq!(sorted(held(directory.path())), sorted(events));
}

#[test]
fn brands_are_known_by_their_names_whatever_their_order() {
    let directory = tempfile::tempdir().unwrap();
    two_brands(directory.path());
    // Another brand comes first in the order of names.
    let brands = [("aaa", 'c'), ("acme", 'a'), ("bolt", 'b')];
    let found = with(directory.path(), &brands).unwrap();
    let of = |event: &Event| match event {
        Event::Put { record, .. } => (record.id.to_string(), record.brand, record.day),
        _ => (String::new(), BrandId(0), 0),
    };
    let puts: Vec<_> = found
        .iter()
        .map(of)
        .filter(|(id, ..)| !id.is_empty())
        .collect();
    assert_eq!(
        puts,
        [
            ("click-1".to_owned(), A, 19_675),
            ("click-2".to_owned(), B, 19_676)
        ]
    );
}

#[test]
fn a_brand_of_which_nothing_is_held_may_go_and_change() {
    let directory = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(directory.path());
    ledger.append(page(A, &[click(A, 1)]));
    let mut only_a_salt = WriteBatch::default();
    only_a_salt.salt(B, 5, Salt::from_bytes([1; 32]));
    ledger.append(only_a_salt);
    ledger.commit(at(1)).unwrap();
    drop(ledger);
    assert!(with(directory.path(), &[("acme", 'a')]).is_err());

    let (mut ledger, recovered) = open(directory.path());
    assert_eq!(recovered.salts.len(), 1);
    ledger.destroy_salts(B, 6).unwrap();
    drop(ledger);
    assert_eq!(
        with(directory.path(), &[("acme", 'a')]).unwrap(),
        [click(A, 1)]
    );
    assert_eq!(
        with(directory.path(), &[("acme", 'a'), ("bolt", 'x')]).unwrap(),
        [click(A, 1)]
    );
}

/// The number that a brand has in the ledger is not the reader's business: it stays the same while names come and go.
#[test]
fn a_word_is_kept_once_for_each_brand() {
    let directory = tempfile::tempdir().unwrap();
    let events = two_brands(directory.path());
    let (mut ledger, mut recovered) = open(directory.path());
    read(&mut recovered, &keys()).unwrap();
    ledger.append(page(
        A,
        &[word(A, "google"), word(A, "new"), word(A, "new")],
    ));
    ledger.append(page(B, &[word(B, "google")]));
    assert_eq!(ledger.commit(at(2)).unwrap().entries, 1);
    drop(ledger);
    assert_eq!(held(directory.path()).len(), events.len() + 1);
}

#[test]
fn everything_is_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data/ledger");
    two_brands(&path);
    let mode = |name: &str| {
        std::fs::metadata(path.join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!([mode("."), mode("segments")], [0o700; 2]);
    assert_eq!(
        [
            mode("LOCK"),
            mode("MANIFEST"),
            mode("segments/0000000001.seg")
        ],
        [0o600; 3]
    );
}

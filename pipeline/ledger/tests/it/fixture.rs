//! Ledgers of this format and of those before, written once and kept in the repository, open and have what was written: a change of the code
//! that can no longer read what is on the disks of others is noticed here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::*;
use tributary_ledger::{FileHead, FileHeads, inspect, verify};
use tributary_operators::event::Event;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{Arrival, Body, IdSet, Record, RecordKey, SaleKind, TouchKind};
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
    [4, 5, 6, 7].into_iter().for_each(opens_in);
}

fn opens_in(format: u32) {
    let directory = tempfile::tempdir().unwrap();
    let segment = "segments/0000000001.seg";
    std::fs::create_dir(directory.path().join("segments")).unwrap();
    let salts = ["SALTS.2"];
    let salts = if format < 6 { &[] } else { &salts[..] };
    for name in ["MANIFEST", segment].iter().chain(salts) {
        std::fs::copy(fixture(format).join(name), directory.path().join(name)).unwrap();
    }
    let verified = verify(directory.path(), &keys(), &mut |_, _| ()).unwrap();
    assert_eq!((verified.entries.put, verified.superseded), (5, 1));
    assert_eq!(inspect(directory.path(), None).unwrap().format, format);
    let (mut ledger, mut recovered) = open(directory.path());
    assert_eq!(recovered.position, Some(at(3)));
    let [(A, 5, salt)] = &recovered.salts[..] else {
        panic!("{} salts", recovered.salts.len());
    };
    assert_eq!(salt.bytes(), &[7; 32]);
    assert_eq!(ledger.heads()["objections"].entries, 4);
    let read = read(&mut recovered, &keys()).unwrap();
    let stored: Vec<Event> = events().concat();
    let stored: Vec<Event> = stored.into_iter().map(|of| of_format(of, format)).collect();
    assert_eq!(sorted(read), sorted(stored.clone()));
    // It goes on in this format, whichever it had.
    ledger.append(page(A, &[click(A, 5)]));
    ledger.commit(at(4)).unwrap();
    drop(ledger);
    assert_eq!(inspect(directory.path(), None).unwrap().format, 7);
    let (_ledger, mut recovered) = open(directory.path());
    assert_eq!(recovered.salts.len(), 1);
    let read = self::read(&mut recovered, &keys()).unwrap();
    let all = [stored, vec![click(A, 5)]].concat();
    assert_eq!(sorted(read), sorted(all));
}

/// An event with the labels of a format, as long as the ledger has no names of them.
fn of_format(mut event: Event, format: u32) -> Event {
    let older = |word: &str| Label(xxhash_rust::xxh3::xxh3_64(word.as_bytes()));
    if let Event::Put { record, .. } = &mut event
        && format < 7
    {
        record.source = older("web");
        record.body = Body::Contact {
            kind: TouchKind::Click,
            channel: Channel {
                source: older("google"),
                medium: older("cpc"),
                campaign: Label::ABSENT,
            },
            touch: true,
        };
    }
    event
}

/// Ledgers with the names of their labels: two records of the web, a sale with its correction, and spend.
#[test]
fn labels_and_keys_of_an_older_format_are_those_of_this_one() {
    ["6", "7"].into_iter().for_each(labels_and_keys_of);
}

fn labels_and_keys_of(format: &str) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("segments")).unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/format-{format}-named"));
    for name in ["MANIFEST", "segments/0000000001.seg"] {
        std::fs::copy(from.join(name), directory.path().join(name)).unwrap();
    }
    let verified = verify(directory.path(), &keys(), &mut |_, _| ()).unwrap();
    assert_eq!((verified.entries.put, verified.superseded), (5, 1));
    let (mut ledger, mut recovered) = open(directory.path());
    let all = read(&mut recovered, &keys()).unwrap();
    let puts = |all: &[Event]| -> Vec<(RecordKey, Record)> {
        let puts = all.iter().filter_map(|event| match event {
            Event::Put { key, record, .. } => Some((*key, record.clone())),
            _ => None,
        });
        puts.collect()
    };
    for (key, record) in puts(&all) {
        let source = |name| Label::of(name) == record.source;
        let expected = match record.body {
            Body::Contact { channel, .. } => {
                assert_eq!(channel, Channel::of("google", "cpc", "spring"));
                assert!(source("web"));
                RecordKey::of_record("acme", "web", "w1")
            }
            Body::Sale {
                kind: SaleKind::Order,
                store,
                ..
            } => {
                assert!(store.is_absent() && source("web"));
                RecordKey::of_record("acme", "web", "w2")
            }
            Body::Sale { store, .. } => {
                assert!(store == Label::of("lyon") && source("till"));
                RecordKey::of_record("acme", "till", "t1")
            }
            Body::Spend {
                platform, channel, ..
            } => {
                assert_eq!(platform, Label::of("google_ads"));
                assert_eq!(channel, Channel::of("google", "cpc", "spring"));
                let words = ["google_ads", "google", "cpc", "spring"];
                RecordKey::of_spend("acme", words, record.day)
            }
            body => panic!("{body:?} was not written"),
        };
        assert_eq!(key, expected, "{}", record.id);
    }
    for event in &all {
        if let Event::LabelName { label, word, .. } = event {
            assert_eq!(*label, Label::of(word), "{word}");
        }
    }
    // A correction is one of the older record, before and after its segment was rewritten.
    let (key, mut sale) = puts(&all)
        .into_iter()
        .find(|(_, of)| of.id == "t1")
        .unwrap();
    sale.ids = IdSet::empty();
    let correction = Event::Put {
        key,
        version: 2,
        arrival: Arrival {
            message: 9,
            line: 0,
        },
        record: sale,
    };
    ledger.append(page(A, &[correction]));
    ledger.commit(at(9)).unwrap();
    let work = ledger.rewrite(Arc::new(|_, _| true)).unwrap();
    let done = work.run(&mut |_, _| ()).unwrap();
    assert_eq!(done.superseded, 2);
    ledger.install(done).unwrap().run().unwrap();
    ledger.close().unwrap();
    let rewritten = held(directory.path());
    assert_eq!(puts(&rewritten).len(), 4);
    let keys_of =
        |all: &[Event]| -> BTreeSet<RecordKey> { puts(all).iter().map(|of| of.0).collect() };
    assert_eq!(keys_of(&rewritten), keys_of(&all));
    for (name, bytes) in files(&directory.path().join("segments")) {
        assert_eq!(bytes[8..12], 7_u32.to_le_bytes(), "{name:?}");
    }
}

/// For a new format: `cargo test --workspace --test it_ledger -- --ignored fixture::write_anew`, into a new directory.
#[test]
#[ignore = "writes the fixture of a new format"]
fn write_anew() {
    let fixture = fixture(7);
    std::fs::remove_dir_all(&fixture).ok();
    write(&fixture);
    std::fs::remove_file(fixture.join("LOCK")).unwrap();
}

//! Thousands of requests are forgotten in one pass, and nobody else is.

use std::path::Path;

use crate::common::*;
use tributary_ledger::{ErasureFilter, Ledger, Options};
use tributary_operators::event::Event;
use tributary_operators::record::{IdSet, RecordKey};

const PERSONS: u64 = 3_000;

fn ledger(directory: &Path) -> (Ledger, Vec<Event>) {
    let options = Options {
        segment_bytes: 20_000,
        ..options(directory)
    };
    let (ledger, mut recovered) = Ledger::open(options, keys()).unwrap();
    let events = sorted(read(&mut recovered, &keys()).unwrap());
    (ledger, events)
}

/// What is held of one person: a record that was corrected, one that was dropped, a ping, and a record with another brand
/// under the very same pseudonym.
fn events(person: u64) -> [Event; 6] {
    let arrival = person * 10;
    [
        put(A, person, 0, arrival),
        put(A, person, 1, arrival + 1),
        put(A, person + PERSONS, 0, arrival + 2),
        drop_of(A, person + PERSONS, arrival + 3),
        ping(A, person as i64 + 1),
        put(B, person, 0, arrival),
    ]
}

#[test]
fn of_thousands_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (mut ledger, _) = ledger(directory.path());
    for persons in (0..PERSONS).collect::<Vec<_>>().chunks(100) {
        for person in persons {
            let events = events(*person);
            ledger.append(page(A, &events[..5]));
            ledger.append(page(B, &events[5..]));
        }
        ledger.commit(at(persons[0] + 1)).unwrap();
    }
    assert!(ledger.stats().segments > 5);

    // Every third person asks by pseudonym, every third by what is known of the records and the device.
    let mut forget = ErasureFilter::default();
    for person in 0..PERSONS {
        for event in events(person).into_iter().take(5) {
            match (person % 3, event) {
                (1, Event::Put { record, .. }) => {
                    let ids = record.ids.ids().iter();
                    ids.for_each(|id| forget.erase_person((A, id.pseudonym), EVERYTHING));
                }
                (2, Event::Put { key, .. }) => {
                    forget.records.insert(key);
                }
                (2, Event::TokenizedPing { ping, .. }) => {
                    forget.tokens.insert((A, ping.token));
                }
                _ => {}
            }
        }
    }
    let named = format!("{forget:?}");
    assert_eq!(
        named,
        "Forget { records: 2000, dropped: false, pseudonyms: 2000, tokens: 1000 }"
    );
    let done = ledger.erase(forget).unwrap().run(&mut |_, _| ()).unwrap();
    let forgotten = done.erased;
    assert_eq!(
        (forgotten.put, forgotten.drop, forgotten.tokenized_pings),
        (6_000, 1_000, 1_000)
    );
    // Of the others, what was corrected and what was dropped goes as with any rewrite.
    assert_eq!(done.superseded, 2_000);
    ledger.install(done).unwrap().run().unwrap();
    drop(ledger);

    let mut left = Vec::new();
    for person in 0..PERSONS {
        let [_, corrected, _, dropped, ping, other] = events(person);
        left.push(other);
        match person % 3 {
            0 => left.extend([corrected, dropped, ping]),
            1 => left.extend([dropped, ping]),
            _ => {}
        }
    }
    let (_ledger, events) = self::ledger(directory.path());
    assert!(events == sorted(left));
}

#[test]
fn evidence_is_held_from_when_it_was_last_given() {
    let directory = tempfile::tempdir().unwrap();
    let (mut ledger, _) = ledger(directory.path());
    let said = |key: u128, ts: i64| Event::Evidence {
        key: RecordKey(key),
        brand: A,
        ids: IdSet::empty(),
        ts,
        text: "{}".into(),
    };
    // One was given again and again, one long ago, and they come in any order.
    let events = [
        said(1, 50),
        said(1, 10),
        said(1, 90),
        said(1, 20),
        said(2, 10),
    ];
    for (event, position) in events.iter().zip(1..) {
        ledger.append(page(A, std::slice::from_ref(event)));
        ledger.commit(at(position)).unwrap();
    }
    let forget = ErasureFilter {
        evidence_before: [(A, 60)].into_iter().collect(),
        ..ErasureFilter::default()
    };
    let done = ledger.erase(forget).unwrap().run(&mut |_, _| ()).unwrap();
    ledger.install(done).unwrap().run().unwrap();
    drop(ledger);
    let (_ledger, events) = self::ledger(directory.path());
    assert_eq!(events, [said(1, 90)]);
}

//! A secret is exchanged, at rest and while the process runs, and every link between records holds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::common::*;
use memchr::memmem;
use tributary_connectors::keys::BrandKey;
use tributary_ledger::{ErasureFilter, KeepFilter, Kind, Ledger, WriteBatch, inspect, verify};
use tributary_operators::event::Event;
use tributary_operators::record::{Body, IdKind, IdSet, Identifier, RecordKey};
use tributary_operators::salt::Salt;

const PERSONS: u64 = 7;

/// What the connectors of a process with these secrets make of a person's e-mail address and phone number.
fn identifiers(letters: &str, person: u64) -> Vec<Identifier> {
    let mut config = rotated(&[("acme", letters)]);
    let rules = &mut config.brands[0].identity.rules;
    rules.push(tributary_config::model::HashRule::Meta);
    let key = BrandKey::new(&config.brands[0]);
    let mut ids = key.identify(IdKind::Email, &format!("person-{person}@example.org"));
    ids.extend(key.identify(IdKind::Phone, &format!("+336123456{person:02}")));
    ids.extend(key.identify(IdKind::Cookie, &format!("cookie-{person}")));
    assert_eq!(ids.len(), 5);
    ids
}

/// A record of a person, as a process with these secrets reads it.
fn seen(letters: &str, n: u64) -> Event {
    let Event::Put {
        key,
        version,
        arrival,
        mut record,
    } = click(A, n)
    else {
        unreachable!()
    };
    record.ids = IdSet::new(identifiers(letters, n % PERSONS));
    record.body = Body::Identify;
    Event::Put {
        key,
        version,
        arrival,
        record,
    }
}

fn with(directory: &Path, letters: &str) -> (Ledger, Vec<Event>) {
    let keys = rotated_keys(letters);
    let (ledger, mut recovered) = Ledger::open(options(directory), keys.clone()).unwrap();
    let salts = std::mem::take(&mut recovered.salts);
    let events = read(&mut recovered, &keys).unwrap();
    assert_eq!(salts.len(), if events.is_empty() { 0 } else { 2 });
    for (brand, day, salt) in salts {
        assert_eq!((brand, salt.bytes()), (A, &[day as u8; 32]));
    }
    (ledger, sorted(events))
}

/// Commits records of every person, read by connectors that have these secrets.
fn commit(ledger: &mut Ledger, letters: &str, from: u64) {
    let mut page = WriteBatch::default();
    for n in from..from + 2 * PERSONS {
        page.push(A, &seen(letters, n));
    }
    page.push(A, &ping(A, from as i64));
    page.push(A, &word(A, "google"));
    page.push(B, &click(B, from));
    page.salt(A, 100, Salt::from_bytes([100; 32]));
    page.salt(A, 101, Salt::from_bytes([101; 32]));
    ledger.append(page);
    ledger.commit(at(from)).unwrap();
}

/// What all commits that began at these numbers hold, under these secrets.
fn expected(letters: &str, commits: &[u64]) -> Vec<Event> {
    let mut events = vec![word(A, "google")];
    for from in commits {
        events.extend((*from..from + 2 * PERSONS).map(|n| seen(letters, n)));
        events.extend([ping(A, *from as i64), click(B, *from)]);
    }
    sorted(events)
}

fn rewrite(ledger: &mut Ledger) -> u64 {
    let keep: KeepFilter = Arc::new(|_, _| true);
    let done = ledger.rewrite(keep).unwrap().run(&mut |_, _| ()).unwrap();
    let moved = done.rekeyed;
    ledger.install(done).unwrap().run().unwrap();
    moved
}

/// The check values that stand in the manifest.
fn checks(directory: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(directory.join("MANIFEST")).unwrap();
    let lines = text.lines().filter(|line| line.contains("\"check\""));
    lines.map(|line| line.trim().to_owned()).collect()
}

fn refused(directory: &Path, letters: &str) -> Kind {
    let opened = Ledger::open(options(directory), rotated_keys(letters));
    opened.unwrap_err().kind()
}

#[test]
fn three_generations_are_one_chain() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (mut ledger, _) = with(path, "x");
    commit(&mut ledger, "x", 0);
    drop(ledger);
    let mut old = checks(path);
    assert_eq!(old.len(), 2);

    // At rest: the secret is exchanged between two starts.
    let (mut ledger, events) = with(path, "xy");
    assert!(events == expected("xy", &[0]));
    assert_eq!(ledger.entries_under_old_keys(), 2 * PERSONS + 2);
    commit(&mut ledger, "xy", 100);
    old.extend(checks(path));

    // Running: from now on everything is sealed under the third, and the connectors go on with what they have.
    ledger.rotate(rotated_keys("xyz")).unwrap();
    assert_eq!(ledger.entries_under_old_keys(), 4 * PERSONS + 3);
    commit(&mut ledger, "xy", 200);
    assert_eq!(ledger.entries_under_old_keys(), 4 * PERSONS + 3);
    assert_eq!(checks(path).len(), 4);

    // Half way it reads as one, and is sound; it is so for a copy that comes up after a crash as well.
    let verified = verify(path, &rotated_keys("xyz"), &mut |_, _| ()).unwrap();
    assert_eq!((verified.brands.len(), verified.superseded), (2, 0));
    let looked = inspect(path, Some(&rotated_keys("xyz"))).unwrap();
    assert_eq!(looked.brands.len(), 2);
    assert_eq!(looked.brands[0].behind, Some(4 * PERSONS + 3));
    assert_eq!(looked.salts.as_ref().unwrap()[0].days, [100, 101]);
    assert!(
        looked.text().contains("previous secret"),
        "{}",
        looked.text()
    );
    let copy = tempfile::tempdir().unwrap();
    restore(&copy.path().join("ledger"), &files(path));
    let (_, events) = with(&copy.path().join("ledger"), "xyz");
    assert!(events == expected("xyz", &[0, 100, 200]));

    // The rewrite moves what is behind.
    assert_eq!(rewrite(&mut ledger), 4 * PERSONS + 3);
    assert_eq!(ledger.entries_under_old_keys(), 0);
    commit(&mut ledger, "xy", 300);
    assert_eq!(rewrite(&mut ledger), 0);
    drop(ledger);
    let after: Vec<u8> = files(path).into_values().flatten().collect();
    let new = checks(path);
    assert_eq!(new.len(), 2);
    for check in old.iter().filter(|check| !new.contains(check)) {
        let digits = check.split('"').nth(3).unwrap();
        assert_eq!(digits.len(), 32);
        assert!(memmem::find(&after, digits.as_bytes()).is_none(), "{check}");
    }
    for letters in ["x", "xy", "z", "yz", "yxz"] {
        let kind = refused(path, letters);
        assert_eq!(kind, Kind::WrongKey("acme".into()), "{letters}");
    }

    // The next start makes new pseudonyms, and they meet all that were ever made.
    let (mut ledger, events) = with(path, "xyz");
    assert!(events == expected("xyz", &[0, 100, 200, 300]));
    commit(&mut ledger, "xyz", 400);
    drop(ledger);
    let (_, events) = with(path, "xyz");
    let mut persons: BTreeMap<u128, u64> = BTreeMap::new();
    for event in &events {
        if let Event::Put { record, .. } = event {
            let ids = record.ids.ids().iter();
            ids.for_each(|id| *persons.entry(id.pseudonym).or_default() += 1);
        }
    }
    // Five identifiers of each person, in all ten records of theirs.
    persons.retain(|_, records| *records == 10);
    assert_eq!(persons.len() as u64, 5 * PERSONS);
}

#[test]
fn only_what_goes_on_from_the_secrets_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let (mut ledger, _) = with(directory.path(), "xy");
    commit(&mut ledger, "xy", 0);
    let before = files(directory.path());
    for letters in ["x", "y", "yx", "xz", "yxz", "zxy"] {
        let error = ledger.rotate(rotated_keys(letters)).unwrap_err();
        assert_eq!(error.kind(), Kind::NotNewer("acme".into()), "{letters}");
        assert!(error.to_string().contains("previous_secret_files"));
    }
    let others = [("acme", "xy"), ("bold", "c"), ("bolt", "b")];
    for brands in [&others[..], &others[..2], &others[..1]] {
        let keys = tributary_ledger::Keyring::new(&rotated(brands));
        let error = ledger.rotate(Arc::new(keys)).unwrap_err();
        assert!(matches!(error.kind(), Kind::NotNewer(brand) if brand.starts_with("bol")));
    }
    // The same again changes nothing, nor did any of these.
    ledger.rotate(rotated_keys("xy")).unwrap();
    assert!(files(directory.path()) == before);
    commit(&mut ledger, "xy", 100);
    assert_eq!(ledger.entries_under_old_keys(), 0);
    drop(ledger);
    let (_, events) = with(directory.path(), "xy");
    assert!(events == expected("xy", &[0, 100]));
}

#[test]
fn a_rewrite_that_an_exchange_overtakes_is_done_again() {
    let directory = tempfile::tempdir().unwrap();
    let (mut ledger, _) = with(directory.path(), "x");
    commit(&mut ledger, "x", 0);
    ledger.destroy_salts(A, 200).unwrap();
    ledger.rotate(rotated_keys("xy")).unwrap();
    let keep: KeepFilter = Arc::new(|_, _| true);
    let work = ledger.rewrite(keep).unwrap();
    let done = work.run(&mut |_, _| ()).unwrap();
    // The second secret is forgotten before anything was held under it.
    ledger.rotate(rotated_keys("xyz")).unwrap();
    let mut only_clicks = WriteBatch::default();
    only_clicks.push(A, &seen("x", 50));
    ledger.append(only_clicks);
    ledger.commit(at(1)).unwrap();
    assert_eq!(ledger.install(done).unwrap_err().kind(), Kind::Stale);
    assert_eq!(rewrite(&mut ledger), 2 * PERSONS + 2);
    assert_eq!(ledger.entries_under_old_keys(), 0);
    drop(ledger);
    let keys = rotated_keys("xyz");
    let (_ledger, mut recovered) = Ledger::open(options(directory.path()), keys.clone()).unwrap();
    let mut all = expected("xyz", &[0]);
    all.push(seen("xyz", 50));
    assert!(sorted(read(&mut recovered, &keys).unwrap()) == sorted(all));
}

#[test]
fn a_person_is_forgotten_under_any_secret() {
    let directory = tempfile::tempdir().unwrap();
    let (mut ledger, _) = with(directory.path(), "x");
    commit(&mut ledger, "x", 0);
    ledger.rotate(rotated_keys("xy")).unwrap();
    commit(&mut ledger, "x", 100);
    // Whoever asks may know the first secret's pseudonyms of one person and the second's of another.
    let mut forget = ErasureFilter::default();
    let named = [identifiers("x", 1)[0], identifiers("xy", 2)[3]];
    for id in named {
        forget.erase_person((A, id.pseudonym), EVERYTHING);
    }
    let work = ledger.erase(forget).unwrap();
    let done = work.run(&mut |_, _| ()).unwrap();
    assert_eq!((done.erased.put, done.erased.total()), (8, 8));
    ledger.install(done).unwrap().run().unwrap();
    drop(ledger);
    let (_, events) = with(directory.path(), "xy");
    let other = |event: &Event| match event {
        Event::Put {
            key: RecordKey(key),
            record,
            ..
        } => record.brand == B || ![1, 2].contains(&(key % u128::from(PERSONS))),
        _ => true,
    };
    let mut all = expected("xy", &[0, 100]);
    all.retain(other);
    assert!(events == all);
}

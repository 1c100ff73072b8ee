//! What an operator reads of a ledger, with and without its keys, and that looking changes nothing.

use std::path::Path;

use crate::common::*;
use tributary_ledger::{
    EntryCounts, Kind, Ledger, Options, PingsPosition, Position, StreamPosition, WriteBatch,
    inspect, verify,
};
use tributary_operators::event::Event;
use tributary_operators::salt::Salt;

#[test]
fn a_directory_without_a_ledger_is_answered_with_one_that_has_one() {
    let directory = tempfile::tempdir().unwrap();
    let said = |path: &Path| inspect(path, None).unwrap_err().to_string();
    assert!(said(directory.path()).ends_with("such as data/process-0"));
    assert!(said(&directory.path().join("none")).contains("there is no ledger"));
    for name in ["process-1", "process-0", "rights-0"] {
        let path = directory.path().join(name);
        match name {
            "rights-0" => std::fs::create_dir(path).unwrap(),
            _ => drop(open(&path)),
        }
    }
    let first = directory.path().join("process-0");
    let said_of_data = said(directory.path());
    assert!(
        said_of_data.ends_with(&format!("such as {}", first.display())),
        "{said_of_data}"
    );
    // One that has lost its manifest is another matter.
    std::fs::remove_file(first.join("MANIFEST")).unwrap();
    assert!(said(&first).contains("there are segments but no manifest"));
}

#[test]
fn tells_what_is_held() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    assert_eq!(inspect(path, None).unwrap_err().kind(), Kind::Missing);
    assert_eq!(files(path).len(), 0);
    let options = Options {
        segment_bytes: 500,
        ..options(path)
    };
    let (mut ledger, _) = Ledger::open(options, keys()).unwrap();
    for n in 1..=5 {
        let mut page = page(A, &[click(A, n), put(A, 0, 0, n), word(A, "google")]);
        page.push(B, &ping(B, n as i64));
        page.push(B, &drop_of(B, n, n));
        page.salt(B, 19_675 + n as i32 / 3, Salt::from_bytes([n as u8; 32]));
        ledger.append(page);
        let position = Position {
            stream: Some(StreamPosition {
                created_ns: 1_700_000_000_000_000_000,
                generation: 2,
            }),
            sequence: n * 10,
            epoch: n,
            newest_at: 1_700_000_000_000,
            pings: Some(PingsPosition {
                stream: StreamPosition {
                    created_ns: 1_700_000_001_000_000_000,
                    generation: 1,
                },
                sequence: n * 7,
            }),
        };
        ledger.commit(position).unwrap();
    }
    // The ledger is open: looking needs no lock.
    let before = files(path);
    let sealed = inspect(path, None).unwrap();
    assert!(sealed.salts.is_none() && sealed.segments.iter().all(|s| s.entries.is_none()));
    assert!(
        sealed
            .brands
            .iter()
            .all(|b| b.entries.is_none() && b.behind.is_none())
    );
    let text = sealed.text();
    assert!(
        text.contains("brands: acme, bolt") && text.contains("--config FILE"),
        "{text}"
    );
    assert!(
        !text.contains("bytes per entry") && !text.contains("2023-11-15"),
        "{text}"
    );
    let inspection = inspect(path, Some(&keys())).unwrap();
    assert_eq!(
        (&sealed.ledger, sealed.bytes, sealed.position),
        (&inspection.ledger, inspection.bytes, inspection.position)
    );
    let stats = ledger.stats();
    assert_eq!(inspection.bytes, stats.bytes);
    assert_eq!(inspection.segments.len(), stats.segments);
    assert_eq!(inspection.position, ledger.position());
    assert_eq!((inspection.commits, inspection.torn_bytes), (5, 0));
    let [acme, bolt] = &inspection.brands[..] else {
        panic!("{:?}", inspection.brands);
    };
    let expected = EntryCounts {
        put: 10,
        label_names: 1,
        ..EntryCounts::default()
    };
    assert_eq!(
        (acme.brand.as_str(), acme.entries),
        ("acme", Some(expected))
    );
    let expected = EntryCounts {
        tokenized_pings: 5,
        drop: 5,
        ..EntryCounts::default()
    };
    assert_eq!(
        (bolt.brand.as_str(), bolt.entries),
        ("bolt", Some(expected))
    );
    assert_eq!(inspection.salts.as_ref().unwrap()[0].days, [19_675, 19_676]);
    assert_eq!(acme.entries.unwrap() + bolt.entries.unwrap(), stats.entries);
    let text = inspection.text();
    for part in [
        "process 0 of 1",
        "sequence 50",
        "pings 35 of stream 1",
        "2023-11-14T22:13:20Z",
        "sealed",
        "active",
        "acme",
        "bytes per entry",
        "salts of bolt: 2023-11-14, 2023-11-15",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }

    let mut reports = Vec::new();
    let verification = verify(path, &keys(), &mut |done, all| reports.push((done, all))).unwrap();
    assert_eq!((verification.held, verification.superseded), (6, 4));
    assert_eq!(verification.entries, stats.entries);
    assert!(
        reports.is_sorted() && reports.last().is_some_and(|(done, all)| done == all),
        "{reports:?}"
    );
    assert!(
        verification
            .text()
            .contains("6 records stored, 4 superseded")
    );
    assert!(files(path) == before);
    println!("{text}\n{}", verification.text());
}

#[test]
fn nothing_personal_stands_in_clear() {
    let directory = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(directory.path());
    let events: Vec<_> = (1..=50).map(|n| click(A, n)).collect();
    let mut page: WriteBatch = page(A, &events);
    page.push(A, &word(A, "a-word-of-this-brand"));
    page.salt(A, 5, Salt::from_bytes(*b"the salt of a day is thirty-two!"));
    ledger.append(page);
    ledger.commit(at(1)).unwrap();
    let bytes = files(directory.path())
        .into_values()
        .collect::<Vec<_>>()
        .concat();
    let holds = |needle: &[u8]| memchr::memmem::find(&bytes, needle).is_some();
    assert!(holds(b"acme"), "the brand's name is in clear");
    for secret in [
        b"click-4".as_slice(),
        b"a-word-of",
        b"the salt of",
        b"74686520",
        b"aaaaaaaa",
    ] {
        assert!(!holds(secret));
    }
    for event in &events {
        if let tributary_operators::event::Event::Put { record, key, .. } = event {
            assert!(!holds(&record.ids.ids()[0].pseudonym.to_le_bytes()));
            assert!(key.0 < 1 << 32 || !holds(&key.0.to_le_bytes()));
        }
    }
    let debug = format!("{:?} {:?}", keys(), ledger);
    assert!(!debug.contains("aaaa"), "{debug}");
}

/// How many entries of which kind there are: no two numbers of the sizes that a thief reads differ by what a ledger with the
/// same sizes and other kinds has.
#[test]
fn kinds_of_entries_are_sealed() {
    let numbers = |events: &[Event]| {
        let directory = tempfile::tempdir().unwrap();
        let options = Options {
            segment_bytes: 1,
            ..options(directory.path())
        };
        let (mut ledger, _) = Ledger::open(options, keys()).unwrap();
        for n in 1..=2 {
            ledger.append(page(A, events));
            ledger.commit(at(n)).unwrap();
        }
        drop(ledger);
        let mut files = files(directory.path());
        let manifest = files.remove(Path::new("MANIFEST")).unwrap();
        let (_, json) = std::str::from_utf8(&manifest)
            .unwrap()
            .split_once('\n')
            .unwrap();
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        for segment in json["segments"].as_array().unwrap() {
            assert_eq!(segment["entries"], serde_json::json!([1]));
        }
        assert_eq!(json["counts"].as_object().unwrap().len(), 1);
        // The header of the first block: the total is in clear, and nothing else of 4 bytes is a number that small.
        let segment = &files[Path::new("segments/0000000001.seg")];
        let header = &segment[48..48 + 36];
        let fields = header[12..].as_chunks::<4>().0;
        let fields: Vec<u32> = fields
            .iter()
            .map(|field| u32::from_le_bytes(*field))
            .collect();
        assert_eq!(fields[0] as usize, events.len());
        assert!(
            fields[1..].iter().all(|field| *field > 1 << 12),
            "{fields:?}"
        );
        fields[1..].to_vec()
    };
    let puts: Vec<Event> = (1..=5).map(|n| click(A, n)).collect();
    let drops: Vec<Event> = (1..=5).map(|n| drop_of(A, n, n)).collect();
    assert_ne!(numbers(&puts), numbers(&puts), "a keystream is used once");
    numbers(&drops);
}

#[test]
fn a_sealed_segment_with_bytes_behind_its_end_is_not_sound() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes: 1,
        ..options(directory.path())
    };
    let (mut ledger, _) = Ledger::open(options, keys()).unwrap();
    for commit in 1..3 {
        ledger.append(page(A, &[click(A, commit)]));
        ledger.commit(at(commit)).unwrap();
    }
    ledger.close().unwrap();
    let verified = || verify(directory.path(), &keys(), &mut |_, _| ());
    verified().unwrap();
    let sealed = directory.path().join("segments/0000000001.seg");
    let mut bytes = std::fs::read(&sealed).unwrap();
    bytes.extend_from_within(48..);
    std::fs::write(&sealed, bytes).unwrap();
    let error = verified().unwrap_err();
    assert!(error.to_string().contains("0000000001.seg"), "{error}");
    assert!(try_open(directory.path()).is_err());
}

//! The same request comes again, before and after a restart: it is done once. Another one under its id is refused.

use crate::common::*;
use serde_json::json;
use tributary_rights::audit::{AuditLog, Event};
use tributary_rights::request::{Replay, replay};
use tributary_rights::status::Status;
use tributary_rights::{BrandKeys, Counts, Reason, Refusal, Request, RequestId};

/// What a process does with a request that comes.
fn receive(log: &mut AuditLog, keys: &BrandKeys, request: &Request) -> Result<Replay, Refusal> {
    let key = keys.request(&request.id);
    let content = request.fingerprint(keys);
    let known = log.find(key).map(|standing| standing.content);
    let replay = replay(known, content)?;
    if replay == Replay::New {
        let received = Event::Received { content };
        log.append(AT, key, request.asked.right(), received)
            .unwrap();
    }
    Ok(replay)
}

#[test]
fn and_done_once() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys("acme");
    let open = || AuditLog::open(directory.path(), &keys).unwrap().log;
    let erase = parse(&request("erase")).unwrap();
    let key = keys.request(&erase.id);
    let right = erase.asked.right();
    let counts = Counts {
        records: 3,
        ..Counts::default()
    };

    let mut log = open();
    assert_eq!(receive(&mut log, &keys, &erase), Ok(Replay::New));
    assert_eq!(receive(&mut log, &keys, &erase), Ok(Replay::Again));
    drop(log);
    // Killed before it began: the restart knows what is left to do.
    let mut log = open();
    assert_eq!(receive(&mut log, &keys, &erase), Ok(Replay::Again));
    let left = log.open_requests();
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].0, left[0].1.status), (key, Status::Pending));
    log.append(AT + 5, key, right, Event::Started).unwrap();
    drop(log);
    let mut log = open();
    assert_eq!(log.open_requests()[0].1.status, Status::InProgress);
    let head = log
        .append(
            AT + 9,
            key,
            right,
            Event::Completed {
                counts,
                answer: None,
            },
        )
        .unwrap();
    drop(log);
    let mut log = open();
    assert_eq!(log.head(), head);
    assert_eq!(receive(&mut log, &keys, &erase), Ok(Replay::Again));
    // Somebody asks by the id how it stands.
    let id = RequestId::read("r-117").unwrap();
    let standing = *log.find(keys.request(&id)).unwrap();
    assert_eq!(standing.status, Status::Completed(counts));
    assert_eq!(
        (standing.received_at, standing.at, standing.seq),
        (AT, AT + 9, 3)
    );
    assert!(log.open_requests().is_empty());

    let unknown = RequestId::read("r-118").unwrap();
    assert_eq!(log.find(keys.request(&unknown)), None);
    assert_eq!(RequestId::read(""), None);
    assert_eq!(RequestId::read(&"r".repeat(257)), None);

    // Said again later, it is still the same.
    let mut later = request("erase");
    later["ts"] = json!(AT + 1);
    assert!(receive(&mut log, &keys, &parse(&later).unwrap()).is_ok());
    // What differs in what is asked is another request.
    let bytes = std::fs::read(log.path()).unwrap();
    for (field, value) in [
        ("type", json!("object")),
        ("whole_person", json!(false)),
        ("proof", json!("another")),
        (
            "identifiers",
            json!([{"kind": "email", "value": "jane.doe@example.org"}]),
        ),
        (
            "identifiers",
            json!([{"kind": "customer", "value": "jane.doe@example.org"}]),
        ),
    ] {
        let mut other = request("erase");
        other[field] = value;
        let refusal = receive(&mut log, &keys, &parse(&other).unwrap()).unwrap_err();
        assert_eq!(refusal.reason, Reason::IdTaken, "{field}");
    }
    assert_eq!(std::fs::read(log.path()).unwrap(), bytes);
    // Nothing in the file tells who it was.
    assert_nothing_personal(&String::from_utf8(bytes).unwrap());
}

#[test]
fn the_same_words_split_otherwise_are_another_request() {
    let keys = keys("acme");
    let with = |identifiers| {
        let mut asked = request("erase");
        asked["identifiers"] = identifiers;
        parse(&asked).unwrap().fingerprint(&keys)
    };
    let one = with(
        json!([{"kind": "name_postcode", "first_name": "ab", "last_name": "c", "postcode": "d"}]),
    );
    let two = with(
        json!([{"kind": "name_postcode", "first_name": "a", "last_name": "bc", "postcode": "d"}]),
    );
    assert_ne!(one, two);
}

#[test]
fn another_brand_knows_nothing_of_it() {
    let erase = parse(&request("erase")).unwrap();
    let (acme, bolt) = (keys("acme"), keys("bolt"));
    assert_ne!(acme.request(&erase.id), bolt.request(&erase.id));
    assert_ne!(erase.fingerprint(&acme), erase.fingerprint(&bolt));
    assert!(!format!("{acme:?}").contains("acme"));
}

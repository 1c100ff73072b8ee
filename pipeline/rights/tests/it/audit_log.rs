//! An audit log proves what was done: nobody bends it without the key, and its end cannot be cut off unseen.

use std::path::Path;

use crate::common::*;
use tributary_rights::LedgerWatermark;
use tributary_rights::audit::{
    AppendError, AuditLog, Checkpoint, Event, Head, read, repair, verify,
};
use tributary_rights::status::Status;
use tributary_rights::{BrandKeys, Counts, FileError, Kind, Reason, RequestKey, Right};

/// One request is completed and one is rejected: five entries.
fn story(directory: &Path, keys: &BrandKeys) -> Vec<Head> {
    let mut log = AuditLog::open(directory, keys).unwrap().log;
    let (erase, access) = (asked(keys, "r-117"), asked(keys, "r-118"));
    let mut heads = Vec::new();
    let mut at = AT;
    for (request, right, event) in [
        (erase.0, Right::Erase, Event::Received { content: erase.1 }),
        (erase.0, Right::Erase, Event::Started),
        (
            access.0,
            Right::Access,
            Event::Received { content: access.1 },
        ),
        (
            access.0,
            Right::Access,
            Event::Rejected {
                reason: Reason::NotFound,
            },
        ),
        (
            erase.0,
            Right::Erase,
            Event::Completed {
                counts: counts(),
                answer: None,
            },
        ),
    ] {
        at += 1000;
        heads.push(log.append(at, request, right, event).unwrap());
    }
    heads
}

fn asked(keys: &BrandKeys, id: &str) -> (RequestKey, tributary_rights::Fingerprint) {
    let mut asked = request("erase");
    asked["id"] = id.into();
    let read = parse(&asked).unwrap();
    (keys.request(&read.id), read.fingerprint(keys))
}

fn counts() -> Counts {
    Counts {
        records: 12,
        cells: 40,
        ..Counts::default()
    }
}

fn broken_line(error: &FileError) -> String {
    assert!(matches!(error.kind(), Kind::Broken(_)), "{error}");
    error.to_string()
}

#[test]
fn is_verified_from_the_first_entry_to_a_published_head() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys("acme");
    let heads = story(directory.path(), &keys);
    let path = directory.path().join("acme.jsonl");
    let verified = verify(&path, &keys, None).unwrap();
    assert_eq!(verified.entries, 5);
    assert_eq!(verified.last_hash, heads[4].hash);
    assert_eq!(
        (verified.first_at, verified.last_at),
        (Some(AT + 1000), Some(AT + 5000))
    );
    assert_eq!(verified.torn_bytes, 0);
    for head in &heads {
        assert_eq!(verify(&path, &keys, Some(*head)).unwrap(), verified);
    }

    // The last two entries are cut off: the chain holds, but not to what was published.
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    std::fs::write(&path, lines[..3].concat()).unwrap();
    assert_eq!(verify(&path, &keys, None).unwrap().entries, 3);
    verify(&path, &keys, Some(heads[2])).unwrap();
    let error = broken_line(&verify(&path, &keys, Some(heads[4])).unwrap_err());
    assert!(
        error.contains("line 4") && error.contains("missing"),
        "{error}"
    );

    // And somebody with the key goes on differently from there.
    let mut log = AuditLog::open(directory.path(), &keys).unwrap().log;
    let other = asked(&keys, "r-119");
    let received = Event::Received { content: other.1 };
    log.append(AT, other.0, Right::Object, received).unwrap();
    let error = broken_line(&verify(&path, &keys, Some(heads[3])).unwrap_err());
    assert!(
        error.contains("line 4") && error.contains("published"),
        "{error}"
    );
}

#[test]
fn an_empty_log_is_a_log_and_none_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys("acme");
    let path = directory.path().join("audit/acme.jsonl");
    assert_eq!(verify(&path, &keys, None).unwrap_err().kind(), Kind::Io);
    let log = AuditLog::open(&directory.path().join("audit"), &keys)
        .unwrap()
        .log;
    assert_eq!(verify(&path, &keys, Some(log.head())).unwrap().entries, 0);
    let again = AuditLog::open(&directory.path().join("audit"), &keys);
    assert_eq!(again.unwrap_err().kind(), Kind::Locked);
}

#[test]
fn without_the_key_no_line_can_be_changed_moved_or_made() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys("acme");
    story(directory.path(), &keys);
    let path = directory.path().join("acme.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let elsewhere = tempfile::tempdir().unwrap();
    story(elsewhere.path(), &keys_of("acme", 'x'));
    let forged = std::fs::read_to_string(elsewhere.path().join("acme.jsonl")).unwrap();
    let forged: Vec<&str> = forged.split_inclusive('\n').collect();
    for (what, text, line) in [
        ("removed", [&lines[..1], &lines[2..]].concat().concat(), 2),
        (
            "moved",
            [lines[0], lines[2], lines[1], lines[3], lines[4]].concat(),
            2,
        ),
        ("twice", [lines[0], lines[0]].concat(), 2),
        ("the first removed", lines[1..].concat(), 1),
        (
            "other counts",
            text.replace("\"records\":12", "\"records\":11"),
            5,
        ),
        ("a space", text.replacen("\"seq\":3", "\"seq\": 3", 1), 3),
        (
            "capitals",
            text.replacen("\"hash\":\"", "\"hash\":\"A", 1),
            1,
        ),
        ("an empty line", format!("{text}\n"), 6),
        (
            "made with another key",
            [&lines[..4], &forged[4..]].concat().concat(),
            5,
        ),
    ] {
        std::fs::write(&path, &text).unwrap();
        let error = broken_line(&verify(&path, &keys, None).unwrap_err());
        assert!(error.contains(&format!("line {line}:")), "{what}: {error}");
        let error = AuditLog::open(directory.path(), &keys).unwrap_err();
        assert!(
            broken_line(&error).contains(&format!("line {line}:")),
            "{what}: {error}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "{what}");
    }
    // Another brand's log is no log of this one, whatever its name.
    story(elsewhere.path(), &crate::common::keys("bolt"));
    std::fs::copy(elsewhere.path().join("bolt.jsonl"), &path).unwrap();
    assert!(verify(&path, &keys, None).is_err());
}

#[test]
fn refuses_what_no_request_comes_to() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys("acme");
    story(directory.path(), &keys);
    let mut log = AuditLog::open(directory.path(), &keys).unwrap().log;
    let head = log.head();
    let (erase, content) = asked(&keys, "r-117");
    let (unknown, _) = asked(&keys, "r-200");
    let counts = counts();
    for (request, right, event, words) in [
        (
            erase,
            Right::Erase,
            Event::Started,
            "completed cannot become in_progress",
        ),
        (
            erase,
            Right::Erase,
            Event::Received { content },
            "completed cannot become pending",
        ),
        (erase, Right::Access, Event::Started, "cannot become"),
        (
            unknown,
            Right::Erase,
            Event::Started,
            "unknown cannot become in_progress",
        ),
        (
            unknown,
            Right::Erase,
            Event::Completed {
                counts,
                answer: None,
            },
            "unknown cannot become completed",
        ),
    ] {
        let error = log.append(AT, request, right, event).unwrap_err();
        assert!(matches!(error, AppendError::Impossible(_)), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(log.head(), head);
    assert_eq!(log.find(erase).unwrap().status, Status::Completed(counts));
    let verified = verify(log.path(), &keys, Some(head)).unwrap();
    assert_eq!(verified.entries, 5);
}

#[test]
fn a_kill_at_any_byte_leaves_what_was_told() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys("acme");
    let heads = story(directory.path(), &keys);
    let path = directory.path().join("acme.jsonl");
    let bytes = std::fs::read(&path).unwrap();
    let (request, content) = asked(&keys, "r-300");
    for length in 0..=bytes.len() {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let kept = &bytes[..length];
        let whole = kept
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let lines = kept.iter().filter(|byte| **byte == b'\n').count();
        let torn = (length - whole) as u64;
        let verified = verify(&path, &keys, None).unwrap();
        assert_eq!(
            (verified.entries, verified.torn_bytes),
            (lines as u64, torn)
        );
        let opened = AuditLog::open(directory.path(), &keys).unwrap();
        assert_eq!(opened.cut_bytes, torn, "at {length}");
        let mut log = opened.log;
        assert_eq!(log.head().seq, lines as u64);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), whole as u64);
        if lines > 0 {
            assert_eq!(log.head(), heads[lines - 1]);
        }
        // And it goes on.
        let received = Event::Received { content };
        let head = log.append(AT, request, Right::Erase, received).unwrap();
        assert_eq!(
            verify(&path, &keys, Some(head)).unwrap().entries,
            lines as u64 + 1
        );
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys("acme");
    story(directory.path(), &keys);
    let path = directory.path().join("acme.jsonl");
    let bytes = std::fs::read(&path).unwrap();
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << (place % 8);
        std::fs::write(&path, &changed).unwrap();
        broken_line(&verify(&path, &keys, None).expect_err("a flip"));
        broken_line(&AuditLog::open(directory.path(), &keys).expect_err("a flip"));
        assert_eq!(std::fs::read(&path).unwrap(), changed);
    }
    // Every bit of the last end of line: what it ends has been confirmed, so it is no torn line.
    for bit in 0..8 {
        let mut changed = bytes.clone();
        *changed.last_mut().unwrap() ^= 1 << bit;
        std::fs::write(&path, &changed).unwrap();
        broken_line(&AuditLog::open(directory.path(), &keys).expect_err("a flip"));
    }
}

#[test]
fn a_checkpoint_is_in_the_chain_and_of_no_request() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys("acme");
    let path = directory.path().join("acme.jsonl");
    assert!(read(&path, &keys).unwrap().is_none());
    let mut log = AuditLog::open(directory.path(), &keys).unwrap().log;
    let first = Checkpoint {
        ledger: LedgerWatermark::new([9; 16], 4, 17),
        objections: Head::new(3, [5; 32]),
        accepted: Some(Head::new(8, [6; 32])),
    };
    let second = Checkpoint {
        ledger: LedgerWatermark::new([9; 16], 5, 18),
        accepted: None,
        ..first
    };
    let one = log.checkpoint(AT, first).unwrap();
    let two = log.checkpoint(AT + 1, second).unwrap();
    assert_eq!(
        (log.head_at(1), log.head_at(2), log.head_at(3)),
        (Some(one), Some(two), None)
    );
    drop(log);
    let read = read(&path, &keys).unwrap().unwrap();
    assert_eq!(read.checkpoint, Some(second));
    assert_eq!(read.accepted, Some((1, Head::new(8, [6; 32]))));
    assert!(read.broken.is_none() && read.entries.contains(&one) && read.entries.contains(&two));

    // A broken log begins again with what is before the break, and what it was is kept.
    let bytes = std::fs::read(&path).unwrap();
    let mut changed = bytes.clone();
    let end = changed.len() - 20;
    changed[end] ^= 1;
    std::fs::write(&path, &changed).unwrap();
    assert!(AuditLog::open(directory.path(), &keys).is_err());
    let kept = repair(&path, &keys).unwrap().unwrap();
    assert_eq!(std::fs::read(kept).unwrap(), changed);
    assert_eq!(repair(&path, &keys).unwrap(), None);
    let log = AuditLog::open(directory.path(), &keys).unwrap().log;
    assert_eq!(log.head(), one);
}

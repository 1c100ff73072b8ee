//! A receipt proves what was done, to who has the brand's secret; a changed one proves nothing.

use crate::common::*;
use serde_json::Value;
use tributary_rights::audit::{AuditLog, Event, verify};
use tributary_rights::receipt::{Receipt, ReceiptError, verify_receipt};
use tributary_rights::{BrandKeys, Counts};

fn completed(keys: &BrandKeys, directory: &std::path::Path) -> Receipt {
    let erase = parse(&request("erase")).unwrap();
    let mut log = AuditLog::open(directory, keys).unwrap().log;
    let (key, right) = (keys.request(&erase.id), erase.asked.right());
    let content = erase.fingerprint(keys);
    let counts = Counts {
        records: 3,
        ledger_entries: 5,
        raw_messages: 2,
        dead_letters: 1,
        cells: 17,
        suppressions: 0,
    };
    log.append(AT, key, right, Event::Received { content })
        .unwrap();
    log.append(AT + 1, key, right, Event::Started).unwrap();
    let audit = log
        .append(AT + 2, key, right, Event::Completed { counts })
        .unwrap();
    Receipt {
        request: erase.id,
        brand: "acme".to_owned(),
        right,
        received: AT,
        completed: AT + 2,
        counts,
        audit,
    }
}

#[test]
fn a_receipt_is_verified_and_holds_the_log_to_what_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys("acme");
    let receipt = completed(&keys, directory.path());
    let json = receipt.to_json(&keys);
    let read = verify_receipt(json.as_bytes(), &keys).unwrap();
    assert_eq!(read, receipt);
    assert_nothing_personal(&format!("{read:?}"));
    // Spaces and the order of keys are the reader's business.
    let value: Value = serde_json::from_str(&json).unwrap();
    let pretty = serde_json::to_string_pretty(&value).unwrap();
    assert_eq!(verify_receipt(pretty.as_bytes(), &keys), Ok(receipt));
    assert_eq!(value.to_string(), json, "keys are sorted");
    assert_eq!(value["counts"]["cells"], 17);
    assert_eq!(
        (&value["request"], &value["type"]),
        (&"r-117".into(), &"erase".into())
    );
    let path = directory.path().join("acme.jsonl");
    verify(&path, &keys, Some(read.audit)).unwrap();

    // A log whose end is missing does not contain what the person's receipt names.
    let text = std::fs::read_to_string(&path).unwrap();
    let end = text.trim_end().rfind('\n').unwrap() + 1;
    std::fs::write(&path, &text[..end]).unwrap();
    verify(&path, &keys, None).unwrap();
    assert!(verify(&path, &keys, Some(read.audit)).is_err());
}

#[test]
fn a_changed_one_proves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys("acme");
    let json = completed(&keys, directory.path()).to_json(&keys);
    for (from, to, error) in [
        (
            "\"records\":3",
            "\"records\":4",
            ReceiptError::WrongSignature,
        ),
        ("erase", "object", ReceiptError::WrongSignature),
        ("r-117", "r-118", ReceiptError::WrongSignature),
        ("acme", "bolt", ReceiptError::OtherBrand),
        ("signature", "sign", ReceiptError::Malformed),
        ("{", "{\"more\":1,", ReceiptError::Malformed),
    ] {
        let changed = json.replacen(from, to, 1);
        assert_ne!(changed, json);
        assert_eq!(
            verify_receipt(changed.as_bytes(), &keys),
            Err(error),
            "{from}"
        );
    }
    for place in 0..json.len() {
        let mut changed = json.clone().into_bytes();
        changed[place] ^= 1;
        let read = verify_receipt(&changed, &keys);
        assert!(read.is_err(), "at {place}");
    }
    let other = verify_receipt(json.as_bytes(), &keys_of("acme", 'x'));
    assert_eq!(other, Err(ReceiptError::WrongSignature));
}

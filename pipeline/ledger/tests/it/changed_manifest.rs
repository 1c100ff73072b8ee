//! A manifest that somebody without the secrets has changed is refused, however well its checksum was forged.

use std::path::Path;

use crate::common::*;
use tributary_ledger::{FileHead, FileHeads, Kind, verify};
use tributary_operators::salt::Salt;
use xxhash_rust::xxh3::xxh3_64;

/// Rewrites the manifest with another content and the checksum that fits.
fn forge(directory: &Path, change: impl Fn(&mut serde_json::Value)) {
    let path = directory.join("MANIFEST");
    let text = std::fs::read_to_string(&path).unwrap();
    let (first, json) = text.split_once('\n').unwrap();
    let mut json: serde_json::Value = serde_json::from_str(json).unwrap();
    let before = json.clone();
    change(&mut json);
    assert_ne!(json, before);
    let json = format!("{json}\n");
    let words: Vec<&str> = first.split(' ').collect();
    let checksum = xxh3_64(json.as_bytes());
    let text = format!("{} {} {checksum:016x}\n{json}", words[0], words[1]);
    std::fs::write(&path, text).unwrap();
}

#[test]
fn is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(directory.path());
    let mut batch = page(A, &[click(A, 1), click(A, 2)]);
    batch.salt(A, 5, Salt::from_bytes([7; 32]));
    ledger.append(batch);
    ledger.commit(at(1)).unwrap();
    ledger.append(page(B, &[click(B, 3)]));
    ledger.commit(at(2)).unwrap();
    let mut heads = FileHeads::new();
    heads.insert("objections".to_owned(), FileHead::new(4, [3; 32]));
    ledger.record_heads(&heads).unwrap();
    drop(ledger);
    let original = std::fs::read(directory.path().join("MANIFEST")).unwrap();
    type Change<'a> = &'a dyn Fn(&mut serde_json::Value);
    let changes: [(&str, Change); 5] = [
        ("a shorter list of objections", &|json| {
            json["heads"]["objections"]["entries"] = 3.into();
        }),
        ("no list at all", &|json| {
            json["heads"] = serde_json::json!({})
        }),
        ("without a salt", &|json| {
            json["salts"] = serde_json::json!([])
        }),
        ("an earlier generation", &|json| {
            json["generation"] = (json["generation"].as_u64().unwrap() - 1).into();
        }),
        ("without the seal of a brand", &|json| {
            json["seals"].as_object_mut().unwrap().remove("2");
        }),
    ];
    for (what, change) in changes {
        std::fs::write(directory.path().join("MANIFEST"), &original).unwrap();
        forge(directory.path(), change);
        let error = try_open(directory.path()).map(|_| ()).unwrap_err();
        assert!(
            matches!(error.kind(), Kind::Corrupt { .. }),
            "{what}: {error}"
        );
        assert!(error.to_string().contains("sealed"), "{what}: {error}");
        let verified = verify(directory.path(), &keys(), &mut |_, _| ());
        assert!(verified.is_err(), "{what}");
    }
    // As an older ledger, whose commits have no codes.
    let text = String::from_utf8(original.clone()).unwrap();
    let json = text.split_once('\n').unwrap().1;
    let mut json: serde_json::Value = serde_json::from_str(json).unwrap();
    json.as_object_mut().unwrap().remove("format");
    let json = format!("{json}\n");
    let older = format!(
        "tributary-ledger 4 {:016x}\n{json}",
        xxh3_64(json.as_bytes())
    );
    std::fs::write(directory.path().join("MANIFEST"), older).unwrap();
    let error = try_open(directory.path()).map(|_| ()).unwrap_err();
    assert!(matches!(error.kind(), Kind::Corrupt { .. }), "{error}");
    std::fs::write(directory.path().join("MANIFEST"), &original).unwrap();
    open(directory.path());
}

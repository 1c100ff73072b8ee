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
    let options = tributary_ledger::Options {
        segment_bytes: 1,
        ..options(directory.path())
    };
    let (mut ledger, _) = tributary_ledger::Ledger::open(options, keys()).unwrap();
    let mut batch = page(A, &[click(A, 1), click(A, 2)]);
    batch.salt(A, 5, Salt::from_bytes([7; 32]));
    ledger.append(batch);
    ledger.commit(at(1)).unwrap();
    ledger.append(page(B, &[click(B, 3)]));
    ledger.commit(at(2)).unwrap();
    ledger.append(page(A, &[click(A, 4)]));
    ledger.commit(at(3)).unwrap();
    let mut heads = FileHeads::new();
    heads.insert("objections".to_owned(), FileHead::new(4, [3; 32]));
    ledger.record_heads(&heads).unwrap();
    drop(ledger);
    let original = std::fs::read(directory.path().join("MANIFEST")).unwrap();
    type Change<'a> = &'a dyn Fn(&mut serde_json::Value);
    let changes: [(&str, Change); 6] = [
        ("a shorter list of objections", &|json| {
            json["heads"]["objections"]["entries"] = 3.into();
        }),
        ("no list at all", &|json| {
            json["heads"] = serde_json::json!({})
        }),
        ("without a salt", &|json| {
            json["salts"] = serde_json::Value::Null;
        }),
        ("other counts", &|json| {
            let (first, second) = (json["counts"]["1"].clone(), json["counts"]["2"].clone());
            json["counts"]["1"] = second;
            json["counts"]["2"] = first;
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
        let looked = tributary_ledger::inspect(directory.path(), Some(&keys()));
        assert!(looked.is_err(), "{what}");
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
    // As one whose salts lie in the manifest, where nobody misses a file.
    std::fs::write(directory.path().join("MANIFEST"), &original).unwrap();
    forge(directory.path(), |json| {
        json["salts"] = serde_json::json!([])
    });
    let error = try_open(directory.path()).map(|_| ()).unwrap_err();
    assert!(matches!(error.kind(), Kind::Corrupt { .. }), "{error}");
    // As one of no brand, which nobody could have sealed.
    std::fs::write(directory.path().join("MANIFEST"), &original).unwrap();
    let segments = directory.path().join("segments");
    let mut empty = std::fs::read(segments.join("0000000003.seg")).unwrap();
    empty.truncate(48);
    empty[32..40].copy_from_slice(&900_u64.to_le_bytes());
    let checksum = xxh3_64(&empty[..40]);
    empty[40..].copy_from_slice(&checksum.to_le_bytes());
    std::fs::write(segments.join("0000000900.seg"), empty).unwrap();
    let before = files(directory.path());
    forge(directory.path(), |json| {
        let none = serde_json::json!({});
        for (field, value) in [
            ("brands", serde_json::json!([])),
            ("segments", serde_json::json!([])),
            ("salts", serde_json::Value::Null),
            ("heads", none.clone()),
            ("seals", none),
            ("commits", 1_000_000.into()),
            ("active", 900.into()),
        ] {
            json[field] = value;
        }
        json.as_object_mut().unwrap().remove("counts");
    });
    let error = try_open(directory.path()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("sealed"), "{error}");
    assert!(verify(directory.path(), &keys(), &mut |_, _| ()).is_err());
    std::fs::write(directory.path().join("MANIFEST"), &original).unwrap();
    assert!(files(directory.path()) == before, "nothing was removed");
    open(directory.path());
}

/// The file of salts is the one that the manifest names: an older one, whose salts were destroyed since, another
/// ledger's, or none is refused, and so is a manifest from before it.
#[test]
fn and_so_are_other_salts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (mut ledger, _) = open(path);
    let salts = |path: &Path| {
        let names = files(path).into_keys();
        let salts = |name: &std::path::PathBuf| name.to_str().unwrap().starts_with("SALTS");
        names.filter(salts).collect::<Vec<_>>()
    };
    let mut states = Vec::new();
    for day in 5..8 {
        let mut batch = page(A, &[ping(A, i64::from(day))]);
        batch.salt(A, day, Salt::from_bytes([day as u8; 32]));
        ledger.append(batch);
        ledger.commit(at(day as u64)).unwrap();
        states.push(files(path));
    }
    ledger.destroy_salts(A, 7).unwrap();
    drop(ledger);
    let now = files(path);
    let [name] = &salts(path)[..] else {
        panic!("{:?}", salts(path));
    };
    let copy = directory.path().join("copy");
    let refused = |files: &_, what: &str| {
        restore(&copy, files);
        let error = try_open(&copy).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("SALTS."), "{what}: {error}");
    };
    for before in &states {
        let old = before
            .iter()
            .find(|(name, _)| name.to_str().unwrap().starts_with("SALTS"));
        let mut files = now.clone();
        files.insert(name.clone(), old.unwrap().1.clone());
        refused(&files, "an older file under the newest name");
        assert!(verify(&copy, &keys(), &mut |_, _| ()).is_err());
    }
    let mut files = now.clone();
    files.remove(name);
    refused(&files, "none");
    let mut files = states[0].clone();
    files.insert(name.clone(), now[name].clone());
    refused(&files, "an older ledger beside the newest salts");
    restore(&copy, &now);
    open(&copy);
}

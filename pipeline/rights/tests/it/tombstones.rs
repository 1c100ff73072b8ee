//! Whoever was erased is known for as long as backups exist, and no longer; nobody without the secret changes that.

use crate::common::*;
use secrecy::SecretString;
use tributary_rights::tombstones::copies::Copied;
use tributary_rights::tombstones::{Reach, Tombstones};
use tributary_rights::{BrandKeys, KeyLevel, Kind};

const JANE: u128 = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;
const JOHN: u128 = 7;

fn reach(at: i64, until: u64) -> Reach {
    Reach {
        at,
        until,
        until_ping: until / 2,
    }
}

#[test]
fn kept_until_backups_have_aged_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("erased");
    let (acme, bolt) = (keys("acme"), keys("bolt"));
    let brands = [acme.clone(), bolt.clone()];
    let mut tombstones = Tombstones::open(&path, &brands).unwrap();
    assert!(tombstones.is_empty());
    tombstones.add(&acme, KeyLevel::OLDEST, [JANE], reach(AT, 5));
    tombstones.add(&acme, KeyLevel::OLDEST, [JANE, JOHN], reach(AT + 1, 9));
    tombstones.add(&bolt, KeyLevel::OLDEST, [JOHN], reach(AT + 2, 9));
    tombstones.save().unwrap();
    let first = std::fs::read(&path).unwrap();
    for id in [JANE, JOHN] {
        assert!(!String::from_utf8_lossy(&first).contains(&format!("{id:032x}")));
    }
    // A brand that is not configured keeps its own.
    let mut tombstones = Tombstones::open(&path, std::slice::from_ref(&acme)).unwrap();
    assert_eq!(
        tombstones.find(&acme, KeyLevel::OLDEST, JANE),
        Some(reach(AT + 1, 9))
    );
    assert_eq!(tombstones.find(&bolt, KeyLevel::OLDEST, JOHN), None);
    tombstones.save().unwrap();
    let mut tombstones = Tombstones::open(&path, &brands).unwrap();
    assert_eq!(
        tombstones.find(&bolt, KeyLevel::OLDEST, JOHN),
        Some(reach(AT + 2, 9))
    );
    assert_eq!(
        tombstones.find(&bolt, KeyLevel::OLDEST, JANE),
        None,
        "brands are apart"
    );
    assert_eq!(tombstones.remove_before(AT + 2), 2);
    tombstones.save().unwrap();
    let tombstones = Tombstones::open(&path, &brands).unwrap();
    assert_eq!(
        (
            tombstones.len(),
            tombstones.find(&acme, KeyLevel::OLDEST, JANE)
        ),
        (1, None)
    );

    // After a rotation the older secret makes none.
    let newer = [acme.clone().with_newer_secret(&secret('n'))];
    let mut tombstones = Tombstones::open(&path, &newer).unwrap();
    tombstones.add(&newer[0], newer[0].newest(), [JANE], reach(AT, 1));
    tombstones.save().unwrap();
    let error = Tombstones::open(&path, &[acme]).unwrap_err();
    assert_eq!(error.kind(), Kind::WrongKey("acme".to_owned()), "{error}");
}

#[test]
fn nothing_is_changed_without_the_secret() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("erased");
    let acme = [keys("acme")];
    let mut tombstones = Tombstones::open(&path, &acme).unwrap();
    tombstones.add(&acme[0], KeyLevel::OLDEST, [JANE, JOHN], reach(AT, 5));
    tombstones.save().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let cut = text.find(",{\"at\"").unwrap();
    let end = text.find("],\"key\"").unwrap();
    for changed in [
        text.replacen("\"until\":5", "\"until\":4", 1),
        format!("{}{}", &text[..cut], &text[end..]),
        text.replace("\"version\":1", "\"version\":0.1"),
        "no list".to_owned(),
    ] {
        assert_ne!(changed, text);
        std::fs::write(&path, &changed).unwrap();
        let error = Tombstones::open(&path, &acme).unwrap_err();
        assert!(matches!(error.kind(), Kind::Broken(_)), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), changed);
    }
    // A section of a brand that nobody knows makes no other file of it, and no newer one.
    let known: serde_json::Value = serde_json::from_str(&text).unwrap();
    let forged = serde_json::json!({
        "entries": [], "key": 0, "mac": "00".repeat(32), "saves": 1_000_000,
    });
    for (brands, seq) in [
        (known["brands"].clone(), Some(1)),
        (serde_json::json!({}), None),
    ] {
        let mut brands = brands;
        brands["0000000000000000"] = forged.clone();
        let changed = serde_json::json!({"brands": brands, "version": 1});
        std::fs::write(&path, changed.to_string()).unwrap();
        let opened = Tombstones::open(&path, &acme).unwrap();
        assert_eq!(opened.head().map(|head| head.seq), seq);
    }
    let newer = text.replace("\"version\":1", "\"version\":2");
    std::fs::write(&path, newer).unwrap();
    assert_eq!(
        Tombstones::open(&path, &acme).unwrap_err().kind(),
        Kind::Newer
    );
    std::fs::write(&path, "no list").unwrap();
    let kept = Tombstones::repair(&path, &acme).unwrap().unwrap();
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "no list");
    assert!(Tombstones::open(&path, &acme).unwrap().is_empty());
    assert_eq!(Tombstones::repair(&path, &acme).unwrap(), None);
}

/// The copies of what is in none yet.
fn uncopied(of: &Tombstones) -> Vec<Vec<u8>> {
    of.uncopied().into_iter().map(|(_, copy)| copy).collect()
}

/// What is entered from copies into a file that was lost.
fn restored(
    brands: &[BrandKeys],
    copies: &[Vec<u8>],
    since: i64,
) -> (tempfile::TempDir, Tombstones) {
    let directory = tempfile::tempdir().unwrap();
    let mut tombstones = Tombstones::open(&directory.path().join("erased"), brands).unwrap();
    let mut copied = Copied::default();
    for copy in copies {
        tombstones.read_copy(copy, since, &mut copied);
    }
    assert_eq!(tombstones.join(&copied), tombstones.len());
    (directory, tombstones)
}

#[test]
fn copies_replace_a_lost_file_and_hold_no_more_than_it() {
    let directory = tempfile::tempdir().unwrap();
    let (acme, bolt) = (keys("acme"), keys("bolt"));
    let brands = [acme.clone(), bolt.clone()];
    let mut tombstones = Tombstones::open(&directory.path().join("erased"), &brands).unwrap();
    tombstones.add(&acme, KeyLevel::OLDEST, [JANE], reach(AT, 5));
    let mut copies = uncopied(&tombstones);
    assert_eq!(tombstones.uncopied()[0].0, AT);
    tombstones.set_copied();
    assert!(tombstones.uncopied().is_empty());
    // More than fit into one copy, of two brands, one of them again and further.
    let many = reach(AT + 1, 9);
    tombstones.add(&acme, KeyLevel::OLDEST, (0..10_000).chain([JANE]), many);
    tombstones.add(&bolt, KeyLevel::OLDEST, [JOHN], reach(AT + 2, 9));
    copies.extend(uncopied(&tombstones));
    assert_eq!(copies.len(), 1 + 3 + 1);
    assert!(copies.iter().all(|copy| copy.len() < 1 << 20));

    let (_directory, all) = restored(&brands, &copies, 0);
    assert_eq!(all.len(), tombstones.len());
    assert_eq!(all.find(&acme, KeyLevel::OLDEST, JANE), Some(many));
    assert_eq!(
        all.find(&bolt, KeyLevel::OLDEST, JOHN),
        Some(reach(AT + 2, 9))
    );
    assert!(all.uncopied().is_empty(), "the broker has them");
    // In any order, and any number of times.
    let mut again = copies.clone();
    again.extend(copies.iter().rev().cloned());
    let (_directory, twice) = restored(&brands, &again, 0);
    assert_eq!(twice.find(&acme, KeyLevel::OLDEST, JANE), Some(many));
    // Without those that have expired.
    let (_directory, late) = restored(&brands, &copies, AT + 2);
    assert_eq!(late.len(), 1);
    // Of a brand that is not configured, nothing.
    let (_directory, one) = restored(&brands[1..], &copies, 0);
    assert_eq!(one.len(), 1);
    // What no copy holds is published again.
    let lost = &copies[..copies.len() - 1];
    let mut copied = Copied::default();
    for copy in lost {
        tombstones.read_copy(copy, 0, &mut copied);
    }
    assert_eq!(tombstones.join(&copied), 0);
    let (_directory, rest) = restored(&brands, &uncopied(&tombstones), 0);
    assert_eq!(
        rest.find(&bolt, KeyLevel::OLDEST, JOHN),
        Some(reach(AT + 2, 9))
    );
    assert_eq!(rest.len(), 1);
}

#[test]
fn copies_are_neither_read_nor_made_without_the_secret() {
    let directory = tempfile::tempdir().unwrap();
    let acme = keys("acme");
    let brands = std::slice::from_ref(&acme);
    let mut tombstones = Tombstones::open(&directory.path().join("erased"), brands).unwrap();
    tombstones.add(&acme, KeyLevel::OLDEST, [JANE], reach(AT, 5));
    tombstones.save().unwrap();
    let copies = uncopied(&tombstones);
    let [copy] = &copies[..] else {
        panic!("{}", copies.len());
    };
    // Not even the keyed hash that the file holds.
    let file = std::fs::read_to_string(directory.path().join("erased")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&file).unwrap();
    let section = file["brands"].as_object().unwrap().values().next().unwrap();
    let entry = section["entries"][0]["entry"].as_str().unwrap();
    assert!(!String::from_utf8_lossy(copy).contains(entry));
    assert_ne!(
        uncopied(&tombstones),
        copies,
        "two copies of one are not the same"
    );

    for place in 0..copy.len() {
        let mut changed = copy.clone();
        changed[place] ^= 1;
        assert!(restored(brands, &[changed], 0).1.is_empty(), "byte {place}");
        assert!(restored(brands, &[copy[..place].to_vec()], 0).1.is_empty());
    }
    let other = SecretString::from("another secret of the same length, drawn at random");
    let forger = BrandKeys::new("acme", &other);
    let mut forged = Tombstones::open(
        &directory.path().join("other"),
        std::slice::from_ref(&forger),
    )
    .unwrap();
    forged.add(&forger, KeyLevel::OLDEST, [JOHN], reach(AT, 5));
    assert!(restored(brands, &uncopied(&forged), 0).1.is_empty());
    assert_eq!(restored(brands, &copies, 0).1.len(), 1);
}

//! Whoever was erased is known for as long as backups exist, and no longer; nobody without the secret changes that.

use crate::common::*;
use tributary_rights::tombstones::{Reach, Tombstones};
use tributary_rights::{KeyLevel, Kind};

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

//! Who objected is kept out, by this brand alone, across restarts, until the objection is withdrawn.

use std::path::Path;

use crate::common::*;
use tributary_rights::suppression::{Record, SuppressionFile, SuppressionSet, read, repair};
use tributary_rights::{BrandKeys, FileError, KeyLevel, Kind, LedgerWatermark};

const JANE: u128 = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;
const JOHN: u128 = 0xfedc_ba98_7654_3210_8899_aabb_ccdd_eeff;

fn objected(keys: &BrandKeys, pseudonym: u128, at: i64) -> Record {
    Record::objected(keys, KeyLevel::OLDEST, pseudonym, at).unwrap()
}

fn withdrawn(keys: &BrandKeys, pseudonym: u128, at: i64) -> Record {
    Record::withdrawn(keys, KeyLevel::OLDEST, pseudonym, at).unwrap()
}

fn open(path: &Path, brands: &[BrandKeys]) -> (SuppressionFile, SuppressionSet) {
    let opened = SuppressionFile::open(path, brands, [7; 16]).unwrap();
    assert_eq!(opened.cut_bytes, 0);
    (opened.file, opened.set)
}

#[test]
fn until_withdrawn() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("objections");
    let brands = [keys("acme"), keys("bolt")];
    let [acme, bolt] = &brands;
    let (mut file, mut set) = open(&path, &brands);
    assert!(!set.contains(acme, KeyLevel::OLDEST, JANE));
    file.append(acme, &[objected(acme, JANE, AT), objected(acme, JOHN, AT)])
        .unwrap();
    // The set is what its owner applies, and it is known again after a restart.
    assert!(set.apply(&objected(acme, JANE, AT)));
    assert!(!set.apply(&objected(acme, JANE, AT)), "twice");
    assert!(set.contains(acme, KeyLevel::OLDEST, JANE));
    assert_eq!(
        SuppressionFile::open(&path, &brands, [7; 16])
            .unwrap_err()
            .kind(),
        Kind::Locked
    );
    drop(file);
    let (mut file, set) = open(&path, &brands);
    assert!(
        set.contains(acme, KeyLevel::OLDEST, JANE) && set.contains(acme, KeyLevel::OLDEST, JOHN)
    );
    assert!(
        !set.contains(bolt, KeyLevel::OLDEST, JANE),
        "brands are apart"
    );
    assert_eq!((set.count("acme"), set.count("bolt")), (2, 0));

    file.append(acme, &[withdrawn(acme, JANE, AT + 1)]).unwrap();
    file.append(bolt, &[objected(bolt, JANE, AT + 1)]).unwrap();
    // A message of before comes once more.
    file.append(acme, &[objected(acme, JANE, AT)]).unwrap();
    file.append(acme, &[]).unwrap();
    drop(file);
    let (_file, set) = open(&path, &brands);
    assert!(
        !set.contains(acme, KeyLevel::OLDEST, JANE)
            && set.contains(acme, KeyLevel::OLDEST, JOHN)
            && set.contains(bolt, KeyLevel::OLDEST, JANE)
    );

    // Nothing in the file identifies a person, and the same person looks different to each brand.
    let bytes = std::fs::read(&path).unwrap();
    for pseudonym in [JANE, JOHN] {
        for secret in [pseudonym.to_le_bytes(), pseudonym.to_be_bytes()] {
            assert!(!bytes.windows(8).any(|window| window == &secret[..8]));
        }
    }
    assert_ne!(
        objected(acme, JANE, AT).to_bytes()[..16],
        objected(bolt, JANE, AT).to_bytes()[..16]
    );
}

#[test]
fn in_whatever_order_they_are_told() {
    let acme = keys("acme");
    let records = [
        objected(&acme, JANE, 1),
        withdrawn(&acme, JANE, 2),
        objected(&acme, JANE, 3),
        withdrawn(&acme, JANE, 3),
    ];
    for start in 0..4 {
        let mut set = SuppressionSet::default();
        for place in (0..8).map(|n| (start + n * 3) % 4) {
            let read = Record::from_bytes(&records[place].to_bytes()).unwrap();
            assert_eq!(read, records[place]);
            set.apply(&read);
        }
        assert!(
            set.contains(&acme, KeyLevel::OLDEST, JANE),
            "of one moment the objection counts"
        );
    }
}

#[test]
fn another_secret_would_let_everybody_in_and_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("objections");
    let acme = keys("acme");
    let (mut file, _) = open(&path, std::slice::from_ref(&acme));
    file.append(&acme, &[objected(&acme, JANE, AT)]).unwrap();
    drop(file);
    let before = std::fs::read(&path).unwrap();
    let error = SuppressionFile::open(&path, &[keys_of("acme", 'x')], [7; 16]).unwrap_err();
    assert_eq!(error.kind(), Kind::WrongKey("acme".to_owned()), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    // A brand that is not configured now keeps its objections for when it is again.
    drop(open(&path, &[keys("bolt")]));
    let (_file, set) = open(&path, std::slice::from_ref(&acme));
    assert!(set.contains(&acme, KeyLevel::OLDEST, JANE));
}

#[test]
fn what_was_entered_before_an_exchange_stands_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("objections");
    let newer = |keys: BrandKeys, letter| keys.with_newer_secret(&secret(letter));
    let one = keys("acme");
    let two = newer(one.clone(), 'y');
    let three = newer(two.clone(), 'z');
    let open = |keys: &BrandKeys| open(&path, std::slice::from_ref(keys));
    let enter = |keys: &BrandKeys, pseudonym| {
        let (mut file, _) = open(keys);
        let record = Record::objected(keys, keys.newest(), pseudonym, AT).unwrap();
        file.append(keys, &[record]).unwrap();
    };
    enter(&one, JANE);
    enter(&two, JOHN);
    let (_, set) = open(&three);
    assert!(
        set.contains(&three, KeyLevel::OLDEST, JANE) && set.contains(&three, KeyLevel(1), JOHN)
    );
    // The same number is another person on another level.
    assert!(
        !set.contains(&three, KeyLevel(1), JANE) && !set.contains(&three, KeyLevel::OLDEST, JOHN)
    );
    assert!(!set.contains(&three, KeyLevel(2), JANE) && !set.contains(&three, KeyLevel(3), JANE));
    assert_eq!((set.count("acme"), three.newest()), (2, KeyLevel(2)));
    assert_eq!(Record::objected(&one, KeyLevel(1), JANE, AT), None);

    // What was entered under the second secret needs it, and the one before it.
    let other = newer(keys_of("acme", 'x'), 'y');
    for keys in [&one, &newer(one.clone(), 'x'), &other] {
        let error = SuppressionFile::open(&path, std::slice::from_ref(keys), [7; 16]).unwrap_err();
        assert_eq!(error.kind(), Kind::WrongKey("acme".to_owned()), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
    enter(&two, JOHN);
    let error = SuppressionFile::open(&path, &[other], [7; 16]).unwrap_err();
    assert_eq!(error.kind(), Kind::WrongKey("acme".to_owned()), "{error}");
}

/// A header, a key, and three objections, each with its seal.
fn three(path: &Path, acme: &BrandKeys) -> Vec<u8> {
    let (mut file, _) = open(path, std::slice::from_ref(acme));
    for pseudonym in 1..=3 {
        file.append(acme, &[objected(acme, pseudonym, AT)]).unwrap();
    }
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(bytes.len(), 8 * 48);
    bytes
}

#[test]
fn a_kill_at_any_byte_leaves_what_was_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("objections");
    let acme = [keys("acme")];
    let bytes = three(&path, &acme[0]);
    for length in 0..=bytes.len() {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let opened = SuppressionFile::open(&path, &acme, [7; 16]).unwrap();
        // What no seal follows was never confirmed.
        let objections = (length / 48).saturating_sub(2) / 2;
        let sealed = match objections {
            0 => usize::from(length >= 48),
            _ => 2 + 2 * objections,
        };
        let cut = length - 48 * sealed;
        assert_eq!(opened.cut_bytes, cut as u64, "at {length}");
        assert_eq!(opened.set.count("acme"), objections);
        let mut file = opened.file;
        file.append(&acme[0], &[objected(&acme[0], 9, AT)]).unwrap();
        drop(file);
        let (_file, set) = open(&path, &acme);
        assert!(set.contains(&acme[0], KeyLevel::OLDEST, 9));
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("objections");
    let acme = [keys("acme")];
    let bytes = three(&path, &acme[0]);
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[place] ^= 1 << bit;
            std::fs::write(&path, &changed).unwrap();
            let error = SuppressionFile::open(&path, &acme, [7; 16]).unwrap_err();
            assert!(matches!(error, FileError::Broken { .. }), "{error}");
            assert!(error.to_string().contains("byte"), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), changed);
        }
    }
}

/// Bytes with the checksum that everybody can compute.
fn with_checksum(mut record: [u8; 48]) -> [u8; 48] {
    let sum = xxhash_rust::xxh3::xxh3_64(&record[..40]).to_le_bytes();
    record[40..].copy_from_slice(&sum);
    record
}

#[test]
fn who_lacks_the_secret_changes_nothing_unnoticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("objections");
    let acme = [keys("acme")];
    let bytes = three(&path, &acme[0]);
    let records: Vec<[u8; 48]> = bytes.as_chunks().0.to_vec();
    let mut withdrawn = records[2];
    withdrawn[32] = 2;
    let changed = |change: &dyn Fn(&mut Vec<[u8; 48]>)| {
        let mut records = records.clone();
        change(&mut records);
        records.concat()
    };
    for (what, bytes) in [
        (
            "withdrawn",
            changed(&|all| all[2] = with_checksum(withdrawn)),
        ),
        ("removed", changed(&|all| _ = all.remove(4))),
        (
            "removed with its seal",
            changed(&|all| drop(all.drain(4..6))),
        ),
        ("moved", changed(&|all| all.swap(2, 4))),
        ("added, sealed by another", {
            let mut other = [*b"................________________________________"; 1];
            other[0][16..].fill(0);
            other[0][32] = 5;
            changed(&|all| {
                all[2] = with_checksum(withdrawn);
                all.truncate(3);
                all.push(with_checksum(other[0]));
            })
        }),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        let error = SuppressionFile::open(&path, &acme, [7; 16]).unwrap_err();
        assert!(matches!(error.kind(), Kind::Broken(_)), "{what}: {error}");
        assert!(error.to_string().contains("sealed"), "{what}: {error}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        // Of what was changed nobody comes back who has objected.
        if what == "withdrawn" {
            repair(&path, &acme, [7; 16]).unwrap().unwrap();
            assert_eq!(open(&path, &acme).1.count("acme"), 2);
        }
    }
}

#[test]
fn another_file_or_a_newer_one_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("objections");
    let acme = [keys("acme")];
    for text in [
        "a note",
        &"a longer note that somebody left where the list should be".repeat(2),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = SuppressionFile::open(&path, &acme, [7; 16]).unwrap_err();
        assert!(matches!(error, FileError::Broken { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), *text);
    }
    let mut newer = *b"TRIBSUPP\x05\0\0\0............................________";
    newer[12..40].fill(0);
    let sum = xxhash_rust::xxh3::xxh3_64(&newer[..40]).to_le_bytes();
    newer[40..].copy_from_slice(&sum);
    std::fs::write(&path, newer).unwrap();
    let error = SuppressionFile::open(&path, &acme, [7; 16]).unwrap_err();
    assert_eq!(error.kind(), Kind::Newer, "{error}");
}

#[test]
fn it_names_its_ledger_and_its_heads_are_those_of_its_beginnings() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("objections");
    let acme = [keys("acme")];
    assert!(read(&path, &acme).unwrap().is_none());
    let (mut file, _) = open(&path, &acme);
    let mut heads = vec![file.head()];
    for pseudonym in 1..=3 {
        file.append(&acme[0], &[objected(&acme[0], pseudonym, AT)])
            .unwrap();
        heads.push(file.head());
    }
    let mark = LedgerWatermark::new([9; 16], 4, 17);
    file.record_watermark(&mark).unwrap();
    heads.push(file.head());
    drop(file);
    let list = read(&path, &acme).unwrap().unwrap();
    assert_eq!(list.ledger, Some(mark));
    assert_eq!(list.entries.head(), *heads.last().unwrap());
    assert!(heads.iter().all(|head| list.entries.contains(head)));
    // Who lacks the secret adds no other, sealed by nobody that is known.
    let bytes = std::fs::read(&path).unwrap();
    let (mut lie, mut nobodys) = ([0; 48], [0; 48]);
    lie[..16].fill(9);
    lie[32] = 4;
    nobodys[24..32].copy_from_slice(b"nobody's");
    nobodys[32] = 5;
    let added = [lie, nobodys].map(with_checksum).concat();
    std::fs::write(&path, [bytes.clone(), added].concat()).unwrap();
    assert_eq!(read(&path, &acme).unwrap().unwrap().ledger, Some(mark));
    // A list cut to any of them has no later one.
    for (cut, head) in heads.iter().enumerate() {
        std::fs::write(&path, &bytes[..48 * (1 + head.seq as usize)]).unwrap();
        let list = read(&path, &acme).unwrap().unwrap();
        let kept = heads
            .iter()
            .filter(|head| list.entries.contains(head))
            .count();
        assert_eq!(kept, cut + 1);
        let begun_beside = LedgerWatermark::new([7; 16], 0, 0);
        let is_marked = cut + 1 == heads.len();
        let expected = if is_marked { mark } else { begun_beside };
        assert_eq!(list.ledger, Some(expected));
    }
}

#[test]
fn of_a_broken_list_everything_is_kept_that_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("objections");
    let acme = [keys("acme")];
    let bytes = three(&path, &acme[0]);
    assert_eq!(repair(&path, &acme, [7; 16]).unwrap(), None);
    // Bytes are missing in the first objection.
    let mut changed = bytes.clone();
    changed.drain(100..105);
    std::fs::write(&path, &changed).unwrap();
    assert!(SuppressionFile::open(&path, &acme, [7; 16]).is_err());
    let kept = repair(&path, &acme, [8; 16]).unwrap().unwrap();
    assert_eq!(std::fs::read(kept).unwrap(), changed);
    let (_file, set) = open(&path, &acme);
    assert_eq!(set.count("acme"), 2);
    let list = read(&path, &acme).unwrap().unwrap();
    assert_eq!(list.ledger, Some(LedgerWatermark::new([8; 16], 0, 0)));
}

/// An exchange of the secret: an objection of before still stops the person, and is found again with the newest secret alone
/// by nobody; the old secret alone does not tell who was entered after it, not even of devices, whose pseudonyms it makes.
#[test]
fn an_older_secret_does_not_tell_who_was_entered_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("objections");
    let old = keys_of("acme", 'o');
    let new = old.clone().with_newer_secret(&secret('n'));
    let newest = new.clone().with_newer_secret(&secret('z'));
    let enter = |keys: &BrandKeys, pseudonym| {
        let (mut file, _) = open(&path, std::slice::from_ref(keys));
        // The pseudonym of a device: it is under the oldest secret whenever it is entered.
        let record = Record::objected(keys, KeyLevel::OLDEST, pseudonym, AT).unwrap();
        file.append(keys, &[record]).unwrap();
        record
    };
    enter(&old, JANE);
    let john = enter(&new, JOHN);
    let (_file, set) = open(&path, std::slice::from_ref(&newest));
    for pseudonym in [JANE, JOHN] {
        assert!(set.contains(&newest, KeyLevel::OLDEST, pseudonym));
        assert!(set.contains(&new, KeyLevel::OLDEST, pseudonym));
        assert!(
            !set.contains(&newest, KeyLevel(1), pseudonym),
            "of another level"
        );
    }
    assert_eq!((set.total(), set.count("acme")), (2, 2));
    // The thief of the old secret has the list, and tests everybody.
    let stolen: SuppressionSet = {
        let mut set = SuppressionSet::default();
        let bytes = std::fs::read(&path).unwrap();
        let records = bytes.as_chunks::<48>().0.iter();
        records.filter_map(Record::from_bytes).for_each(|record| {
            set.apply(&record);
        });
        set
    };
    assert!(
        stolen.contains(&old, KeyLevel::OLDEST, JANE),
        "was entered under it"
    );
    assert!(!stolen.contains(&old, KeyLevel::OLDEST, JOHN));
    // Nor does the entry stand there as the old secret makes it, for whoever looks for that.
    let made = Record::objected(&old, KeyLevel::OLDEST, JOHN, AT).unwrap();
    assert_ne!(made.to_bytes()[..16], john.to_bytes()[..16]);
    // And the new secret alone tells nothing without the old one.
    let alone = keys_of("acme", 'n');
    let made = Record::objected(&alone, KeyLevel::OLDEST, JOHN, AT).unwrap();
    assert_ne!(made.to_bytes()[..16], john.to_bytes()[..16]);

    // What is withdrawn is withdrawn, whenever it was entered.
    let mut set = set;
    for pseudonym in [JANE, JOHN] {
        let record = Record::withdrawn(&newest, KeyLevel::OLDEST, pseudonym, AT + 1).unwrap();
        assert_eq!(Record::from_bytes(&record.to_bytes()), Some(record));
        set.apply(&record);
        assert!(!set.contains(&newest, KeyLevel::OLDEST, pseudonym));
    }
}

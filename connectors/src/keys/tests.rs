use super::*;
use crate::fixture;

fn key() -> BrandKey {
    BrandKey::new(&fixture::brand("acme"))
}

fn key_with(rules: &[HashRule]) -> BrandKey {
    let mut brand = fixture::brand("acme");
    brand.identity.rules = rules.to_vec();
    BrandKey::new(&brand)
}

fn sha(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[test]
fn clear_and_hashed_meet_under_the_plain_rule() {
    let key = key();
    let clear = key.identify(IdKind::Email, " Jane@Example.org ");
    assert_eq!(clear.len(), 1);
    assert_eq!(key.identify(IdKind::Email, &sha("jane@example.org")), clear);
    let phone = key.identify(IdKind::Phone, "06 12 34 56 78");
    assert_eq!(key.identify(IdKind::Phone, &sha("+33612345678")), phone);
    assert_ne!(clear, phone);
}

#[test]
fn every_enabled_rule_gives_one_identifier_with_one_value() {
    let key = key_with(&[HashRule::Plain, HashRule::Meta, HashRule::Uid2]);
    let ids = key.identify(IdKind::Phone, "+33 6 12 34 56 78");
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| id.value == ids[0].pseudonym));
    let meta = Reading {
        rule: HashRule::Meta,
        ..key.default_reading()
    };
    let mut hashed = Vec::new();
    let digest = sha("33612345678");
    assert!(key.identifiers(
        IdKind::Phone,
        &digest,
        meta,
        &mut Scratch::default(),
        &mut hashed
    ));
    assert_eq!(hashed[0].pseudonym, ids[1].pseudonym);
    assert_eq!(hashed[0].value, hashed[0].pseudonym);
}

#[test]
fn uid2_digests_come_in_base64_too() {
    use base64::Engine;
    let key = key_with(&[HashRule::Plain, HashRule::Uid2]);
    let digest = Sha256::digest("janedoe@gmail.com");
    let text = base64::engine::general_purpose::STANDARD.encode(digest);
    let reading = Reading {
        rule: HashRule::Uid2,
        ..key.default_reading()
    };
    let mut hashed = Vec::new();
    key.identifiers(
        IdKind::Email,
        &text,
        reading,
        &mut Scratch::default(),
        &mut hashed,
    );
    let clear = key.identify(IdKind::Email, "Jane.Doe+x@gmail.com");
    assert_eq!(hashed[0].pseudonym, clear[1].pseudonym);
}

#[test]
fn brands_never_meet_even_with_one_secret() {
    let mut other = fixture::brand("other");
    other.secret = fixture::brand("acme").secret;
    let other = BrandKey::new(&other);
    let value = "jane@example.org";
    assert_ne!(
        key().identify(IdKind::Email, value),
        other.identify(IdKind::Email, value)
    );
    assert_eq!(
        key().identify(IdKind::Email, value),
        key().identify(IdKind::Email, value)
    );
}

#[test]
fn kinds_never_meet_and_opaque_ones_keep_their_case() {
    let key = key();
    let mut seen = std::collections::BTreeSet::new();
    for kind in [
        IdKind::Email,
        IdKind::Customer,
        IdKind::Cookie,
        IdKind::Wallet,
        IdKind::Device,
    ] {
        assert!(seen.insert(key.identify(kind, "abc")[0].pseudonym));
    }
    let cookie = |text| key.identify(IdKind::Cookie, text);
    assert_eq!(cookie(" abc "), cookie("abc"));
    assert_ne!(cookie("ABC"), cookie("abc"));
    let customer = |text| key.identify(IdKind::Customer, text);
    assert_eq!(customer("ABC"), customer("abc"));
}

#[test]
fn a_number_is_the_same_from_memory() {
    let key = key_with(&[HashRule::Plain, HashRule::Google]);
    let mut scratch = Scratch::default();
    let reading = key.default_reading();
    let mut read = |text: &str| {
        let mut out = Vec::new();
        let named = key.identifiers(IdKind::Phone, text, reading, &mut scratch, &mut out);
        (named, out)
    };
    let first = read("06 12 34 56 78");
    assert_eq!(first, read("06 12 34 56 78"));
    assert_eq!(first, read("+33612345678"));
    assert_eq!(read("call me"), (false, vec![]));
    assert_eq!(read("call me"), (false, vec![]));
}

#[test]
fn blocked_values_and_their_digests_name_nobody() {
    let key = key();
    for kind in [
        IdKind::Email,
        IdKind::Phone,
        IdKind::Customer,
        IdKind::Cookie,
    ] {
        for value in [
            "",
            " ",
            "NULL",
            "000-000-0000",
            "[object Object]",
            "test@test.com",
        ] {
            assert_eq!(key.identify(kind, value), [], "{value}");
        }
    }
    for kind in [IdKind::Email, IdKind::Cookie, IdKind::Wallet] {
        for value in ["", "null", "test@test.com", "0000000000"] {
            assert_eq!(key.identify(kind, &sha(value)), [], "{value}");
            let lower = sha(value).to_lowercase();
            assert_eq!(key.identify(kind, &lower), [], "{value}");
        }
        assert_eq!(key.identify(kind, &sha("jane@example.org")).len(), 1);
    }
}

#[test]
fn names_need_all_three_parts_and_no_part_runs_into_the_next() {
    let key = key();
    let read = |parts: [&str; 3]| {
        let mut out = Vec::new();
        key.name_postcode(parts, &mut Scratch::default(), &mut out);
        out
    };
    let one = read(["Anna Maria", "De La Cruz", "75001"]);
    assert_eq!(one, read([" anna maria", "de la cruz ", "75001"]));
    assert_eq!(one.len(), 1);
    assert_ne!(one, read(["Anna", "Maria De La Cruz", "75001"]));
    assert_eq!(read(["Anna", "", "75001"]), []);
    assert_eq!(read(["Anna", "null", "75001"]), []);
}

#[test]
fn debug_shows_no_key() {
    assert_eq!(format!("{:?}", key()), "BrandKey { .. }");
}

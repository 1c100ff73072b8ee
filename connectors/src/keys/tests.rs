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
    let meta = IdentifierRules {
        rule: HashRule::Meta,
        ..key.default_rules()
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
    let reading = IdentifierRules {
        rule: HashRule::Uid2,
        ..key.default_rules()
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
    let reading = key.default_rules();
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

/// A brand whose secrets end in these letters, the oldest first.
fn rotated(letters: &str) -> BrandKey {
    let mut brand = fixture::brand("acme");
    let secrets = letters.chars().map(|letter| {
        let text = format!("224ff3c627f30dd0f8e3fdb63bf28aa{letter}");
        tributary_config::model::Secret::from(text)
    });
    let mut secrets: Vec<_> = secrets.collect();
    brand.secret = secrets.pop().unwrap();
    brand.previous_secrets = secrets;
    brand.identity.rules = vec![HashRule::Plain, HashRule::Meta];
    BrandKey::new(&brand)
}

#[test]
fn an_exchanged_secret_re_keys_over_the_old_pseudonym() {
    let keys = ["a", "ab", "abc"].map(rotated);
    let chain = &keys[2].chain;
    for (kind, value) in [
        (IdKind::Email, "jane@example.org"),
        (IdKind::Phone, "06 12 34 56 78"),
        (IdKind::Cookie, "c-1"),
        (IdKind::Device, "d-1"),
    ] {
        let [one, two, three] = keys.each_ref().map(|key| key.identify(kind, value));
        for (before, after) in one.iter().zip(&three).chain(two.iter().zip(&three)) {
            assert_ne!(before.pseudonym, after.pseudonym);
        }
        // Each is the one before, moved up, with the value that all hashes of one text share.
        for (links, before) in [(0, &one), (1, &two)] {
            for (id, newest) in before.iter().zip(&three) {
                assert_eq!(chain.rekey_from(id.pseudonym, links), newest.pseudonym);
                assert_eq!(chain.rekey_from(id.value, links), newest.value);
            }
        }
    }
    // The order of the secrets counts, and each of them.
    let email = |key: &BrandKey| key.identify(IdKind::Email, "jane@example.org");
    assert_ne!(email(&keys[2]), email(&rotated("bac")));
    assert_ne!(email(&keys[2]), email(&rotated("bc")));
    assert_ne!(email(&keys[2]), email(&rotated("c")));
    // A device is the same through the day of the exchange.
    assert_eq!(keys[0].mac(1), keys[2].mac(1));
    assert_eq!(keys[0].sensor_device("x"), keys[2].sensor_device("x"));
}

/// What is held was written by this, and must be met again.
#[test]
fn a_secret_that_was_never_exchanged_gives_what_it_always_gave() {
    let mut material = 4_u64.to_le_bytes().to_vec();
    material.extend_from_slice(b"acme224ff3c627f30dd0f8e3fdb63bf28aaa");
    let key = blake3::derive_key("tributary 2025-11 pseudonyms of one brand", &material);
    let hash = blake3::keyed_hash(&key, b"\x03\x01c-1");
    let cookie = rotated("a").identify(IdKind::Cookie, "c-1")[0].pseudonym;
    assert_eq!(cookie.to_le_bytes(), hash.as_bytes()[..16]);
}

#[test]
fn debug_shows_no_key() {
    assert_eq!(format!("{:?}", key()), "BrandKey { .. }");
}

#[test]
fn an_address_at_a_relay_identifies_as_it_is() {
    let mut brand = fixture::brand("acme");
    brand.identity.rules = vec![HashRule::Plain, HashRule::Google, HashRule::Meta];
    brand.identity.relay_domains = vec!["Relay.Example".to_owned()];
    let key = BrandKey::new(&brand);
    let read = |address: &str| {
        let (mut scratch, mut out) = (Scratch::default(), Vec::new());
        let reading = key.default_rules();
        assert!(key.identifiers(IdKind::Email, address, reading, &mut scratch, &mut out));
        (out.len(), scratch.take_emails())
    };
    let counts = |relayed| EmailCounts { all: 1, relayed };
    for relay in [
        "x1@privaterelay.appleid.com",
        "Jane@DUCK.com",
        "a@mozmail.com",
        "a@simplelogin.com",
        "a@passinbox.com",
        "a@relay.example",
    ] {
        assert_eq!(read(relay), (1, counts(1)), "{relay}");
    }
    for other in ["a@icloud.com", "a@not.duck.com", "duck.com@example.org"] {
        assert_eq!(read(other), (3, counts(0)), "{other}");
    }
}

//! Every right can be asked for, and what is not meant clearly is refused with a reason that repeats nothing.

use crate::common::*;
use serde_json::{Value, json};
use tributary_operators::record::IdKind;
use tributary_rights::request::{AfterDeath, Identifier, RecordKind, RequestBody};
use tributary_rights::{Reason, Request, Right};

#[test]
fn every_right_is_read_as_it_was_asked() {
    for right in Right::ALL {
        let read = parse(&request(right.name())).unwrap();
        assert_eq!(read.asked.right(), right);
        assert_eq!(read.id.expose(), "r-117");
        assert_eq!((read.ts, read.brand.as_str()), (AT, "acme"));
        assert!(read.whole_person);
        assert_eq!(read.proof.expose(), "passport of jane, ticket 117");
        let [email, name] = &read.identifiers[..] else {
            panic!("two identifiers")
        };
        assert!(
            matches!(email, Identifier::One { kind: IdKind::Email, value }
            if value.expose() == "jane.doe@example.org")
        );
        assert!(
            matches!(name, Identifier::NamePostcode([first, last, postcode])
            if [first, last, postcode].map(|part| part.expose()) == ["Jane", "Doehler", "75011"])
        );
        assert_nothing_personal(&format!("{read:?}"));
        match (right, read.asked) {
            (Right::Rectify, RequestBody::Rectify(correction)) => {
                assert_eq!(correction.kind, RecordKind::Transaction);
                assert_eq!(correction.source, "till");
                let data: Value = serde_json::from_str(correction.data.expose()).unwrap();
                assert_eq!(data["store"], "paris");
            }
            (Right::Directive, asked) => assert_eq!(
                asked,
                RequestBody::Directive {
                    action: AfterDeath::Erase,
                    notice: false
                }
            ),
            _ => {}
        }
    }
}

#[test]
fn a_text_is_read_as_in_every_other_input() {
    let mut asked = request("erase");
    asked["id"] = json!(117);
    asked["ts"] = json!(AT);
    asked["identifiers"] = json!([{"kind": "customer", "value": 4711, "first_name": null}]);
    asked["directive"] = Value::Null;
    asked["whole_person"] = Value::Null;
    let read = parse(&asked).unwrap();
    assert_eq!((read.id.expose(), read.ts), ("117", AT));
    assert!(!read.whole_person);
    assert!(matches!(&read.identifiers[..],
        [Identifier::One { kind: IdKind::Customer, value }] if value.expose() == "4711"));
    let text = asked
        .to_string()
        .replace("4711", r#""j\u00e9\ud83d\ude00\n""#);
    let read = Request::parse(text.as_bytes(), Some("acme"), &|_| true).unwrap();
    assert!(matches!(&read.identifiers[..],
        [Identifier::One { value, .. }] if value.expose() == "j\u{e9}\u{1f600}\n"));
}

#[test]
fn a_brand_is_that_of_the_subject() {
    let mut asked = request("erase");
    let known = |brand: &str| brand == "acme";
    let on = |asked: &Value, subject| {
        let read = Request::parse(asked.to_string().as_bytes(), subject, &known);
        read.map(|request| request.brand)
            .map_err(|refusal| refusal.reason)
    };
    assert_eq!(on(&asked, Some("acme")), Ok("acme".to_owned()));
    assert_eq!(on(&asked, Some("bolt")), Err(Reason::UnknownBrand));
    asked["brand"] = json!("bolt");
    assert_eq!(on(&asked, None), Err(Reason::UnknownBrand));
    asked["brand"] = json!("");
    assert_eq!(on(&asked, Some("acme")), Ok("acme".to_owned()));
    assert_eq!(on(&asked, None), Err(Reason::UnknownBrand));
}

#[test]
fn what_is_wrong_is_named_and_not_repeated() {
    let email = |value: Value| json!([{"kind": "email", "value": value}]);
    let long = "jane".repeat(300);
    let many = vec![json!({"kind": "email", "value": "jane@example.org"}); 65];
    let prefix = bech32::Hrp::parse("age").unwrap();
    let low_order = bech32::encode::<bech32::Bech32>(prefix, &[0; 32]).unwrap();
    let cases = [
        ("erase", "id", Value::Null, Reason::Malformed, "`id`"),
        (
            "erase",
            "id",
            json!("jane".repeat(65)),
            Reason::Malformed,
            "256 bytes",
        ),
        (
            "erase",
            "id",
            json!("x-JANE.doe@example.org"),
            Reason::Malformed,
            "names nobody",
        ),
        ("erase", "id", json!(["jane"]), Reason::Malformed, "`id`"),
        ("erase", "ts", Value::Null, Reason::Malformed, "`ts`"),
        (
            "erase",
            "ts",
            json!("2025-11-20T09:00:00"),
            Reason::Malformed,
            "zone",
        ),
        ("erase", "ts", json!(-1), Reason::Malformed, "1970"),
        ("erase", "ts", json!(1.5), Reason::Malformed, "`ts`"),
        (
            "erase",
            "type",
            json!("forget jane"),
            Reason::UnknownType,
            "do_not_sell",
        ),
        ("erase", "type", Value::Null, Reason::UnknownType, "`type`"),
        ("erase", "proof", Value::Null, Reason::NoProof, "`proof`"),
        ("erase", "proof", json!(""), Reason::NoProof, "`proof`"),
        ("erase", "proof", json!(long), Reason::NoProof, "1024 bytes"),
        (
            "erase",
            "whole_person",
            json!("jane"),
            Reason::Malformed,
            "`whole_person`",
        ),
        (
            "erase",
            "whole_persn",
            json!("jane"),
            Reason::Malformed,
            "`whole_person`",
        ),
        (
            "erase",
            "identifiers",
            Value::Null,
            Reason::NoIdentifier,
            "`identifiers`",
        ),
        (
            "erase",
            "identifiers",
            json!([]),
            Reason::NoIdentifier,
            "at least one",
        ),
        (
            "erase",
            "identifiers",
            json!({"kind": "jane"}),
            Reason::BadIdentifier,
            "list",
        ),
        (
            "erase",
            "identifiers",
            json!(["jane"]),
            Reason::BadIdentifier,
            "identifiers[0]",
        ),
        (
            "erase",
            "identifiers",
            json!(many),
            Reason::BadIdentifier,
            "64",
        ),
        (
            "erase",
            "identifiers",
            email(Value::Null),
            Reason::BadIdentifier,
            "[0].value",
        ),
        (
            "erase",
            "identifiers",
            email(json!("")),
            Reason::BadIdentifier,
            "[0].value",
        ),
        (
            "erase",
            "identifiers",
            email(json!(long)),
            Reason::BadIdentifier,
            "1024 bytes",
        ),
        (
            "erase",
            "identifiers",
            email(json!("jane")),
            Reason::BadIdentifier,
            "must be an e-mail address",
        ),
        (
            "erase",
            "identifiers",
            email(json!(true)),
            Reason::BadIdentifier,
            "must be a text",
        ),
        (
            "erase",
            "identifiers",
            json!([{"kind": "jane", "value": "x"}]),
            Reason::BadIdentifier,
            "wallet",
        ),
        (
            "erase",
            "identifiers",
            json!([{"kind": "email", "value": "x", "postcode": "75011"}]),
            Reason::BadIdentifier,
            "[0].postcode",
        ),
        (
            "erase",
            "identifiers",
            json!([{"kind": "name_postcode", "first_name": "Jane", "last_name": "Doehler"}]),
            Reason::BadIdentifier,
            "[0].postcode",
        ),
        (
            "erase",
            "record",
            json!({"jane": 1}),
            Reason::Malformed,
            "`rectify`",
        ),
        (
            "erase",
            "directive",
            json!({"jane": 1}),
            Reason::Malformed,
            "`directive`",
        ),
        (
            "access",
            "reply_key",
            Value::Null,
            Reason::NoReplyKey,
            "age1",
        ),
        (
            "portability",
            "reply_key",
            json!("jane"),
            Reason::BadReplyKey,
            "age1",
        ),
        (
            "access",
            "reply_key",
            json!(low_order),
            Reason::BadReplyKey,
            "`reply_key`",
        ),
        (
            "rectify",
            "record",
            Value::Null,
            Reason::BadRecord,
            "`record`",
        ),
        (
            "rectify",
            "record",
            json!(["transaction", "till", {}]),
            Reason::BadRecord,
            "`record`",
        ),
        (
            "rectify",
            "record",
            json!({"kind": "ping", "source": "till", "data": {"id": "jane"}}),
            Reason::BadRecord,
            "`record.kind`",
        ),
        (
            "rectify",
            "record",
            json!({"kind": "web", "source": "shop", "data": {"email": "jane@example.org"}}),
            Reason::BadRecord,
            "`id`",
        ),
        (
            "directive",
            "directive",
            Value::Null,
            Reason::Malformed,
            "required",
        ),
        (
            "directive",
            "directive",
            json!({"action": "jane"}),
            Reason::Malformed,
            "`keep`",
        ),
        (
            "directive",
            "directive",
            json!({"action": "keep", "notice": 1}),
            Reason::Malformed,
            "true or false",
        ),
    ];
    for (right, field, value, reason, word) in cases {
        let mut asked = request(right);
        asked[field] = value;
        let refusal = parse(&asked).expect_err(field);
        let what = format!("{field} of {right}: {refusal}");
        assert_eq!(refusal.reason, reason, "{what}");
        assert!(refusal.detail.contains(word), "{what}");
        assert_nothing_personal(&format!("{refusal:?}"));
    }
}

#[test]
fn a_message_that_is_none_is_refused_whole() {
    let read = |bytes: &[u8]| Request::parse(bytes, Some("acme"), &|_| true);
    let whole = request("erase").to_string();
    let mut large = whole.clone().into_bytes();
    large.resize((64 << 10) + 1, b' ');
    assert_eq!(read(&large).unwrap_err().reason, Reason::TooLarge);
    large.pop();
    read(&large).unwrap();
    let twice = whole.replacen('{', r#"{"whole_person": false, "#, 1);
    let list = format!("[{whole}]");
    let cut = &whole[..whole.len() - 1];
    for text in [
        twice.as_str(),
        &list,
        cut,
        "",
        "null",
        "7",
        "\"jane\"",
        "{}",
    ] {
        let refusal = read(text.as_bytes()).unwrap_err();
        assert_eq!(refusal.reason, Reason::Malformed, "{text}");
        assert_nothing_personal(&refusal.detail);
    }
    assert_eq!(
        read(b"{\"id\": \"\xff\"}").unwrap_err().reason,
        Reason::Malformed
    );
    // Its sender can still be answered, if it has an ID.
    let id = |text: &str| Request::read_id(text.as_bytes()).map(|id| id.expose().to_owned());
    assert_eq!(
        id(r#"{"id": "r-8", "type": 7, "x": []}"#),
        Some("r-8".to_owned())
    );
    assert_eq!(id("[]"), None);
    assert_eq!(id(cut), None);
}

#[test]
fn reasons_have_one_word_each() {
    for reason in Reason::ALL {
        assert_eq!(serde_json::to_value(reason).unwrap(), json!(reason.name()));
    }
    for right in Right::ALL {
        assert_eq!(serde_json::to_value(right).unwrap(), json!(right.name()));
    }
}

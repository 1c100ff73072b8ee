//! The native fields that the formats of vendors need.

use tributary_connectors::dead_letter::Reason;
use tributary_operators::event::Event;
use tributary_operators::record::{
    Body, Currency, IdKind, RefundAmount, Right, SaleKind, SaleName,
};

use crate::common::{AT, brand, config};
use crate::sink::{DecoderHarness, body, reason, record};

fn kinds(line: &str) -> Vec<IdKind> {
    let mut kinds: Vec<IdKind> = record("web", line)
        .ids
        .ids()
        .iter()
        .map(|id| id.kind)
        .collect();
    kinds.sort();
    kinds
}

#[test]
fn several_values_of_a_field_all_identify() {
    let line = format!(
        r#"{{"id":"1","ts":{AT},"type":"identify","email":["a@example.org","b@example.org",null,""],"customer":["7",8],"device":["x"]}}"#
    );
    use IdKind::{Customer, Device, Email};
    assert_eq!(kinds(&line), [Email, Email, Customer, Customer, Device]);
    let many: Vec<String> = (0..17).map(|n| format!("\"c{n}\"")).collect();
    let line =
        |list: &str| format!(r#"{{"id":"1","ts":{AT},"type":"identify","customer":[{list}]}}"#);
    assert_eq!(
        reason("web", &line(&many.join(","))),
        Reason::TooManyIdentifiers
    );
    assert_eq!(reason("web", &line("true")), Reason::WrongType);
    assert_eq!(reason("web", &line("[\"a\"]")), Reason::WrongType);
    let cookies = format!(r#"{{"id":"1","ts":{AT},"type":"identify","cookie":["a"]}}"#);
    assert_eq!(reason("web", &cookies), Reason::WrongType);
}

#[test]
fn the_case_of_a_uuid_has_no_meaning_and_zero_is_no_device() {
    let ids = |device: &str| {
        record(
            "web",
            &format!(r#"{{"id":"1","ts":{AT},"type":"identify","device":"{device}"}}"#),
        )
        .ids
    };
    assert_eq!(
        ids("7A3CBEA0-BDF5-11E4-8DFC-AA07A5B093DB"),
        ids("7a3cbea0-bdf5-11e4-8dfc-aa07a5b093db")
    );
    assert_ne!(ids("AB"), ids("ab"));
    assert!(ids("00000000-0000-0000-0000-000000000000").is_empty());
}

#[test]
fn clicks_are_identifiers_of_their_own_also_those_of_addresses() {
    let line = format!(
        r#"{{"id":"1","ts":{AT},"type":"view","click_id":"A","url":"https://shop.example/?gclid=B%2B&fbclid=C&dclid=D&gclid=&x=1#msclkid=E"}}"#
    );
    let ids = record("web", &line).ids;
    let key = tributary_connectors::keys::BrandKey::new(&brand("acme"));
    let mut expected: Vec<_> = ["A", "B+", "C"]
        .iter()
        .flat_map(|click| key.identify(IdKind::ClickId, click))
        .collect();
    expected.sort_unstable();
    assert_eq!(ids.ids(), expected);
    assert_ne!(
        key.identify(IdKind::ClickId, "A")[0].pseudonym,
        key.identify(IdKind::Cookie, "A")[0].pseudonym
    );
}

#[test]
fn the_privacy_control_of_a_browser_is_an_objection_of_its_cookie() {
    let mut harness = DecoderHarness::acme();
    for (n, gpc) in ["true", "false", "null"].iter().enumerate() {
        let line = format!(
            r#"{{"id":"{n}","ts":{AT},"type":"view","cookie":"c{n}","email":"a@example.org","gpc":{gpc}}}"#
        );
        harness.send("tributary.in.acme.web", line.as_bytes());
    }
    let rights: Vec<_> = harness
        .kept
        .records()
        .into_iter()
        .filter(|record| matches!(record.body, Body::Right { .. }))
        .collect();
    assert_eq!(rights.len(), 1);
    assert_eq!(
        rights[0].body,
        Body::Right {
            right: Right::DoNotSell,
            stands: true
        }
    );
    let kinds: Vec<_> = rights[0].ids.ids().iter().map(|id| id.kind).collect();
    assert_eq!(kinds, [IdKind::Cookie]);
    let evidence = harness
        .kept
        .events
        .iter()
        .filter(|event| matches!(event, Event::Evidence { .. }));
    assert_eq!(evidence.count(), 1);
    let wrong = format!(r#"{{"id":"1","ts":{AT},"type":"view","gpc":"yes"}}"#);
    assert_eq!(reason("web", &wrong), Reason::WrongType);
}

#[test]
fn a_restatement_names_a_sale_and_is_not_negative() {
    let transaction = |more: &str| format!(r#"{{"id":"1","ts":{AT},"store":"s",{more}}}"#);
    let Body::Restatement {
        kind, name, amount, ..
    } = body(
        "transaction",
        &transaction(r#""restates":"t","amount":"12.50","currency":"EUR""#),
    )
    else {
        panic!("a restatement");
    };
    assert_eq!((kind, name), (SaleKind::Transaction, SaleName::of("t")));
    assert_eq!(amount, RefundAmount::Of(1250, Currency(*b"EUR")));
    let order = format!(r#"{{"id":"1","ts":{AT},"type":"order","restates":"o","amount":"12.50"}}"#);
    let Body::Restatement {
        kind, name, amount, ..
    } = body("web", &order)
    else {
        panic!("a restatement");
    };
    assert_eq!((kind, name), (SaleKind::Order, SaleName::of("o")));
    assert_eq!(
        amount,
        RefundAmount::InCurrencyOfSale {
            digits: 125,
            decimals: 1
        }
    );
    assert_eq!(
        reason("transaction", &transaction(r#""restates":"t","amount":-1"#)),
        Reason::InvalidAmount
    );
    assert_eq!(
        reason("transaction", &transaction(r#""restates":"t""#)),
        Reason::MissingField
    );
}

#[test]
fn a_random_address_that_is_joined_to_the_network_is_a_device_like_any_other() {
    let ping = |associated: bool, counts: bool| {
        let mut acme = brand("acme");
        acme.sensors.associated = counts;
        let mut harness = DecoderHarness::new(&config(vec![acme]));
        let line = format!(
            r#"{{"ts":{AT},"store":"s","sensor":"x","mac":"92:22:33:44:55:66","rssi":-50,"associated":{associated}}}"#
        );
        harness.send("tributary.in.acme.ping", line.as_bytes());
        harness.kept.pings()[0]
    };
    assert!(ping(false, true).random && ping(true, false).random);
    let associated = ping(true, true);
    assert!(!associated.random);
    // Whether a device is random never changes: it is another device than without the network.
    assert_ne!(associated.device, ping(false, true).device);
    let key = tributary_connectors::keys::BrandKey::new(&brand("acme"));
    let named = tributary_connectors::subject_identifiers::devices(&key, "92-22-33-44-55-66");
    assert!(named.contains(&associated.device) && named.contains(&ping(false, true).device));
}

#[test]
fn what_exports_write_for_nothing_names_no_sale() {
    let sale = |more: &str| {
        let line = format!(r#"{{"id":" 1 ","ts":{AT},"store":"s","amount":"100"{more}}}"#);
        body("transaction", &line)
    };
    let plain = sale("");
    assert!(matches!(&plain, Body::Sale { .. }));
    for null in [
        "NULL",
        "null",
        "None",
        r"\\N",
        "#N/A",
        "NaN",
        "undefined",
        " NULL ",
        "  ",
    ] {
        for key in ["refund_of", "restates", "order_id"] {
            assert_eq!(
                sale(&format!(r#","{key}":"{null}""#)),
                plain,
                "{key} {null}"
            );
        }
        let line = format!(r#"{{"id":"{null}","ts":{AT},"store":"s","amount":"100"}}"#);
        assert_eq!(reason("transaction", &line), Reason::MissingField, "{null}");
    }
    let refund = |of: &str| sale(&format!(r#","refund_of":"{of}""#));
    assert_eq!(refund(" a "), refund("a"));
    let order = |id: &str, order: &str| {
        let order = format!(
            r#"{{"id":"{id}","ts":{AT},"type":"order","amount":"1","order_id":"{order}"}}"#
        );
        body("web", &order)
    };
    assert_ne!(order("1", "NULL"), order("2", "NULL"));
    assert_eq!(order("1", "7 "), order("2", "7"));
}

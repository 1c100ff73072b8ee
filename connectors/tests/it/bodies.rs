//! What each record says: which body the fields of a web record, a transaction and a spend row become.

use crate::common::{AT, brand, config};
use crate::sink::{DecoderHarness, body, record};
use tributary_config::model::HashRule;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{
    Body, Currency, IdKind, RefundAmount, SaleKind, SaleName, TouchKind,
};

const EUR: Currency = Currency(*b"EUR");
const USD: Currency = Currency(*b"USD");

fn web(fields: &str) -> Body {
    body("web", &format!(r#"{{"id":"w","ts":{AT},{fields}}}"#))
}

fn till(fields: &str) -> Body {
    body(
        "transaction",
        &format!(r#"{{"id":"t","ts":{AT},"store":" S1 ",{fields}}}"#),
    )
}

fn refund(kind: SaleKind, name: &str, amount: Option<(i64, Currency)>) -> Body {
    Body::Refund {
        kind,
        name: SaleName::of(name),
        store: Label::ABSENT,
        amount: amount.into(),
    }
}

/// The same, given back by the till.
fn at_till(body: Body) -> Body {
    match body {
        Body::Refund {
            kind, name, amount, ..
        } => Body::Refund {
            kind,
            name,
            store: Label::of("S1"),
            amount,
        },
        other => other,
    }
}

/// A refund that names no currency.
fn unnamed(kind: SaleKind, name: &str, digits: i64, decimals: u8) -> Body {
    Body::Refund {
        kind,
        name: SaleName::of(name),
        store: Label::ABSENT,
        amount: RefundAmount::InCurrencyOfSale { digits, decimals },
    }
}

/// An order that has no `order_id`.
fn own_order(id: &str, amount: i64) -> Body {
    Body::Sale {
        kind: SaleKind::Order,
        name: SaleName::of_record(id),
        store: Label::ABSENT,
        amount,
        currency: EUR,
    }
}

fn sale(kind: SaleKind, name: &str, amount: i64) -> Body {
    let store = match kind {
        SaleKind::Order => Label::ABSENT,
        SaleKind::Transaction | SaleKind::Visit => Label::of("S1"),
    };
    Body::Sale {
        kind,
        name: SaleName::of(name),
        store,
        amount,
        currency: EUR,
    }
}

fn adjustment(kind: SaleKind, amount: i64) -> Body {
    let store = match kind {
        SaleKind::Order => Label::ABSENT,
        SaleKind::Transaction | SaleKind::Visit => Label::of("S1"),
    };
    Body::Adjustment {
        kind,
        store,
        amount,
        currency: EUR,
    }
}

#[test]
fn contacts_are_touches_unless_they_are_plain_views() {
    let contact = |fields: &str| match web(fields) {
        Body::Contact {
            kind,
            channel,
            touch,
        } => (kind, channel == Channel::direct(), touch),
        other => panic!("{other:?}"),
    };
    use TouchKind::*;
    assert_eq!(contact(r#""type":"impression""#), (Impression, true, true));
    assert_eq!(contact(r#""type":"click""#), (Click, true, true));
    assert_eq!(contact(r#""type":"view""#), (View, true, false));
    assert_eq!(
        contact(r#""type":"view","landing":true"#),
        (View, true, true)
    );
    assert_eq!(
        contact(r#""type":"view","landing":false"#),
        (View, true, false)
    );
    assert_eq!(
        contact(r#""type":"view","source":"x""#),
        (View, false, true)
    );
    assert_eq!(
        contact(r#""type":"view","source":"(Direct)""#),
        (View, true, false)
    );
    assert_eq!(
        contact(r#""type":"view","referrer":"https://bing.com/""#),
        (View, false, true)
    );
    assert_eq!(web(r#""type":"identify""#), Body::Identify);
}

#[test]
fn orders_sell_refund_and_adjust() {
    use SaleKind::*;
    let order = |fields: &str| web(&format!(r#""type":"order",{fields}"#));
    assert_eq!(order(r#""amount":12.5"#), own_order("w", 1250));
    assert_eq!(
        order(r#""amount":"12.50","order_id":77"#),
        sale(Order, "77", 1250)
    );
    assert_eq!(order(r#""amount":0,"refund_of":"t""#), own_order("w", 0));
    assert_eq!(
        order(r#""amount":-0.00,"order_id":"o""#),
        sale(Order, "o", 0)
    );
    assert_eq!(
        order(r#""amount":-5,"order_id":"o""#),
        unnamed(Order, "o", 5, 0)
    );
    assert_eq!(
        order(r#""amount":-5,"order_id":"o","currency":"eur""#),
        refund(Order, "o", Some((500, EUR)))
    );
    assert_eq!(
        order(r#""amount":-0.0050,"order_id":"o","refund_of":"t""#),
        unnamed(Transaction, "t", 5, 3)
    );
    assert_eq!(order(r#""amount":-5"#), adjustment(Order, -500));
    let dollars = order(r#""amount":1.5e2,"currency":"usd""#);
    assert!(matches!(
        dollars,
        Body::Sale {
            amount: 15_000,
            currency: USD,
            ..
        }
    ));
}

#[test]
fn refunds_name_a_sale_and_maybe_an_amount() {
    use SaleKind::*;
    let back = |fields: &str| web(&format!(r#""type":"refund",{fields}"#));
    assert_eq!(back(r#""order_id":"o""#), refund(Order, "o", None));
    assert_eq!(
        back(r#""order_id":"o","currency":"???""#),
        refund(Order, "o", None)
    );
    assert_eq!(
        back(r#""order_id":"o","amount":"""#),
        refund(Order, "o", None)
    );
    assert_eq!(
        back(r#""order_id":"o","amount":5"#),
        unnamed(Order, "o", 5, 0)
    );
    assert_eq!(
        back(r#""order_id":"o","amount":"-4.50""#),
        unnamed(Order, "o", 45, 1)
    );
    assert_eq!(
        back(r#""order_id":"o","refund_of":9,"amount":-5,"currency":"USD""#),
        refund(Transaction, "9", Some((500, USD)))
    );
}

#[test]
fn tills_sell_refund_and_adjust() {
    use SaleKind::*;
    assert_eq!(till(r#""amount":3"#), sale(Transaction, "t", 300));
    assert_eq!(
        till(r#""amount":3,"order_id":"o""#),
        sale(Transaction, "t", 300)
    );
    assert_eq!(
        till(r#""amount":-3,"order_id":"o""#),
        at_till(unnamed(Order, "o", 3, 0))
    );
    assert_eq!(till(r#""amount":-3"#), adjustment(Transaction, -300));
    assert_eq!(
        till(r#""refund_of":"u""#),
        at_till(refund(Transaction, "u", None))
    );
    assert_eq!(
        till(r#""refund_of":"u","amount":3,"order_id":"o""#),
        at_till(unnamed(Transaction, "u", 3, 0))
    );
}

#[test]
fn spend_is_one_record_a_platform_campaign_and_day() {
    let mut harness = DecoderHarness::acme();
    let send = |harness: &mut DecoderHarness, line: &str| {
        harness.send("tributary.in.acme.spend", line.as_bytes())
    };
    send(
        &mut harness,
        r#"{"date":"2023-11-14","platform":" Ads ","source":"google","medium":"(none)","cost":"-1.5","clicks":3}"#,
    );
    send(
        &mut harness,
        r#"{"date":"2023-11-14","platform":"Ads","source":"google ","cost":2,"impressions":7}"#,
    );
    send(
        &mut harness,
        r#"{"date":"2023-11-15","platform":"Ads","source":"google","cost":2}"#,
    );
    let keys: Vec<_> = harness
        .kept
        .events
        .iter()
        .filter_map(|event| match event {
            tributary_operators::event::Event::Put { key, version, .. } => Some((*key, *version)),
            _ => None,
        })
        .collect();
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[0], keys[2]);
    let records = harness.kept.records();
    let channel = Channel::of("google", "", "");
    let spend = |cost, impressions, clicks| Body::Spend {
        platform: Label::of("Ads"),
        channel,
        cost,
        currency: EUR,
        impressions,
        clicks,
    };
    assert_eq!(records[0].body, spend(-150, 0, 3));
    assert_eq!(records[1].body, spend(200, 7, 0));
    assert_eq!((records[0].day, &*records[0].id), (19_675, ""));
    // Midnight in Paris.
    assert_eq!(records[0].ts, 1_699_916_400_000);
}

#[test]
fn times_and_days_are_the_brands() {
    let at = |ts: &str| {
        record(
            "web",
            &format!(r#"{{"id":"w","ts":{ts},"type":"identify"}}"#),
        )
    };
    let number = at("1699916399999");
    assert_eq!((number.ts, number.day), (1_699_916_399_999, 19_674));
    let text = at("\"2023-11-14T00:00:00.0009+01:00\"");
    assert_eq!((text.ts, text.day), (1_699_916_400_000, 19_675));
}

#[test]
fn identifiers_are_those_of_the_kind() {
    let kinds = |kind: &str, line: &str| -> Vec<IdKind> {
        let ids = record(kind, line).ids;
        let mut kinds: Vec<IdKind> = ids.ids().iter().map(|id| id.kind).collect();
        kinds.sort();
        kinds
    };
    let all = r#""email":"jane@example.org","phone":"06 12 34 56 78","cookie":"c","customer":7,"wallet":"w","device":"d","first_name":"J","last_name":"D","postcode":75001"#;
    use IdKind::*;
    let line = format!(r#"{{"id":"w","ts":{AT},"type":"identify",{all}}}"#);
    assert_eq!(
        kinds("web", &line),
        [Email, Phone, Cookie, Customer, Device]
    );
    let line = format!(r#"{{"id":"t","ts":{AT},"store":"s","amount":1,{all}}}"#);
    assert_eq!(
        kinds("transaction", &line),
        [Email, Phone, Customer, Wallet, Device]
    );
    let nobody = r#""email":"null","phone":"call me","cookie":"0000","customer":"  ""#;
    let line = format!(r#"{{"id":"w","ts":{AT},"type":"identify",{nobody}}}"#);
    assert!(record("web", &line).ids.is_empty());
}

#[test]
fn names_identify_and_rules_multiply_where_the_brand_says_so() {
    let mut acme = brand("acme");
    acme.identity.name_postcode = true;
    acme.identity.rules = vec![HashRule::Plain, HashRule::Meta];
    let mut harness = DecoderHarness::new(&config(vec![acme]));
    let line = format!(
        r#"{{"id":"t","ts":{AT},"store":"s","amount":1,"email":"\u006aane@example.org","first_name":"J","last_name":"D","postcode":75001}}"#
    );
    harness.send("tributary.in.acme.transaction", line.as_bytes());
    let records = harness.kept.records();
    let ids = records[0].ids.ids();
    let count = |kind| ids.iter().filter(|id| id.kind == kind).count();
    assert_eq!((count(IdKind::Email), count(IdKind::NamePostcode)), (2, 1));
    let emails: Vec<_> = ids.iter().filter(|id| id.kind == IdKind::Email).collect();
    assert_eq!(emails[0].value, emails[1].value);
}

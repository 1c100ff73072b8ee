//! Snowplow, as TSV and as JSON.

use serde_json::{Value, json};
use tributary_config::model::EventMeaning;
use tributary_connectors::formats::snowplow::COLUMNS;

use super::{AT, acme, assert_gives, decode, decode_with};

/// A line of TSV with some columns.
fn line(columns: &[(&str, &str)]) -> String {
    let cells = COLUMNS.map(|name| {
        let found = columns.iter().find(|(column, _)| *column == name);
        found.map_or("", |(_, text)| text)
    });
    cells.join("\t")
}

const BASE: [(&str, &str); 4] = [
    ("event_id", "e"),
    ("collector_tstamp", "2025-10-09 08:00:01.500"),
    ("derived_tstamp", "2025-10-09 08:00:00"),
    ("domain_userid", "c"),
];

fn of(columns: &[(&str, &str)]) -> String {
    line(&[&BASE, columns].concat())
}

fn web(mut data: Value) -> Value {
    let own = json!({"id": "e", "ts": "2025-10-09T08:00:00Z", "version": -1_759_996_801_500_i64, "cookie": "c"});
    data.as_object_mut()
        .unwrap()
        .extend(own.as_object().unwrap().clone());
    json!([{"kind": "web", "data": data}])
}

#[test]
fn a_line_keeps_the_empty_columns_at_its_ends() {
    let view = of(&[("event", "page_view"), ("event_name", "page_view")]);
    assert!(view.starts_with('\t') && view.ends_with('\t'));
    assert_gives(
        "snowplow",
        &view,
        web(json!({"type": "view", "landing": true})),
    );
    let three = format!("{view}\r\n\n{view}\n{view}");
    assert_eq!(decode("snowplow", AT, &three).gives.len(), 3);
    let given = decode("snowplow", AT, &format!("{view}\t"));
    assert_eq!(given.dead[0].detail, "132 fields, not 131");
}

#[test]
fn a_referrer_of_the_same_host_begins_no_visit() {
    let at = |url, referrer, medium| {
        let columns = [
            ("event", "page_view"),
            ("page_url", url),
            ("page_referrer", referrer),
            ("refr_medium", medium),
        ];
        decode("snowplow", AT, &of(&columns)).gives[0]["data"]["landing"].clone()
    };
    assert_eq!(
        at("https://shop.example/a", "https://shop.example/b", ""),
        Value::Null
    );
    assert_eq!(
        at("https://shop.example/a", "https://SHOP.example:443/b", ""),
        Value::Null
    );
    assert_eq!(
        at(
            "https://shop.example/a",
            "https://www.google.com/",
            "search"
        ),
        true
    );
    assert_eq!(
        at(
            "https://shop.example/a",
            "https://blog.shop.example/",
            "internal"
        ),
        Value::Null
    );
}

#[test]
fn the_events_of_advertisements_name_their_campaign() {
    let event = r#"{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0","data":{"schema":"iglu:com.snowplowanalytics.snowplow/ad_click/jsonschema/1-0-0","data":{"targetUrl":"https://x.example","campaignId":"fall"}}}"#;
    let click = of(&[
        ("event", "unstruct"),
        ("event_name", "ad_click"),
        ("unstruct_event", event),
        ("mkt_source", "google"),
    ]);
    assert_gives(
        "snowplow",
        &click,
        web(json!({"type": "click", "campaign": "fall"})),
    );
}

#[test]
fn both_forms_of_a_sale_are_rounded_on_their_written_digits() {
    let json = r#"{"event":"unstruct","event_name":"snowplow_ecommerce_action","event_id":"e","collector_tstamp":"2025-10-09T08:00:01.5Z","derived_tstamp":"2025-10-09T08:00:00Z","domain_userid":"c","unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1":{"type":"transaction"},"contexts_com_snowplowanalytics_snowplow_ecommerce_transaction_1":[{"transaction_id":"t","revenue":1115.3799999999999,"currency":"EUR"}]}"#;
    let order =
        web(json!({"type": "order", "order_id": "t", "amount": "1115.38", "currency": "EUR"}));
    assert_gives("snowplow", json, order.clone());
    let old = of(&[
        ("event", "transaction"),
        ("tr_orderid", "t"),
        ("tr_total", "1115.3799999999999"),
        ("tr_currency", "EUR"),
    ]);
    assert_gives("snowplow", &old, order);
    let item = of(&[("event", "transaction_item"), ("ti_orderid", "t")]);
    assert_gives("snowplow", &item, json!([{"ignored": "not_mapped"}]));
}

#[test]
fn consent_is_that_of_all_scopes_and_refusal_of_none() {
    let event = |decision: &str, scopes: &str| {
        let event = format!(
            r#"{{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0","data":{{"schema":"iglu:com.snowplowanalytics.snowplow/consent_preferences/jsonschema/1-0-0","data":{{"eventType":"{decision}","consentScopes":{scopes}}}}}}}"#
        );
        let columns = [
            ("event", "unstruct"),
            ("event_name", "consent_preferences"),
            ("unstruct_event", event.as_str()),
        ];
        decode("snowplow", AT, &of(&columns)).gives.remove(0)
    };
    let both = r#"["statistics","marketing"]"#;
    assert_eq!(
        event("allow_all", both)["data"]["purposes"],
        json!({"1": true, "7": true, "9": true})
    );
    let none = json!({"1": false, "7": false, "9": false});
    assert_eq!(event("deny_all", both)["data"]["purposes"], none);
    assert_eq!(event("withdrawn", "[]")["data"]["purposes"], none);
    assert_eq!(event("pending", both), json!({"ignored": "not_mapped"}));
    assert_eq!(event("allow_all", "7"), json!({"refused": "wrong_type"}));
}

#[test]
fn a_source_may_name_events_and_actions() {
    let mut brand = acme();
    brand.sources[1].mapping.events = [
        ("newsletter".to_owned(), EventMeaning::Click),
        ("page_view".to_owned(), EventMeaning::Ignore),
    ]
    .into();
    let gives = |columns: &[(&str, &str)]| {
        let line = of(columns);
        json!(decode_with(brand.clone(), "snowplow", AT, &[], line.as_bytes()).gives)
    };
    let struct_event = [
        ("event", "struct"),
        ("event_name", "event"),
        ("se_action", "newsletter"),
    ];
    assert_eq!(gives(&struct_event), web(json!({"type": "click"})));
    assert_eq!(
        gives(&[("event", "page_view"), ("event_name", "page_view")]),
        json!([{"ignored": "not_mapped"}])
    );
}

#[test]
fn a_structured_event_has_its_value() {
    let mut brand = acme();
    brand.sources[1].mapping.events = [("buy".to_owned(), EventMeaning::Order)].into();
    let columns = [
        ("event", "struct"),
        ("event_name", "event"),
        ("se_action", "buy"),
        ("se_value", "12.345"),
    ];
    let given = decode_with(brand, "snowplow", AT, &[], of(&columns).as_bytes());
    assert_eq!(
        json!(given.gives),
        web(json!({"type": "order", "amount": "12.35"}))
    );
}

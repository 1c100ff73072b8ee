//! Meta's Conversions API.

use serde_json::{Value, json};
use tributary_connectors::decode::{Decoder, Message};

use super::{AT, Given, acme, assert_gives, decode, decode_with};
use crate::common::config;

fn event(more: &Value) -> Value {
    let mut event = json!({"event_name": "PageView", "event_id": "e", "event_time": 1_759_996_800, "action_source": "website"});
    event
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    event
}

fn gives(more: &Value) -> Value {
    json!(decode("meta", AT, &event(more).to_string()).gives)
}

#[test]
fn where_an_event_happened_decides_its_kind() {
    let sale = |more: &Value| {
        let mut event =
            json!({"event_name": "Purchase", "custom_data": {"value": "5", "order_id": "o"}});
        event
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        gives(&event)[0]["kind"].clone()
    };
    assert_eq!(sale(&json!({"action_source": "website"})), "web");
    assert_eq!(sale(&json!({"action_source": "app"})), "web");
    assert_eq!(
        sale(&json!({"action_source": "physical_store"})),
        "transaction"
    );
    assert_eq!(
        sale(&json!({"action_source": "system_generated"})),
        "transaction",
        "the source has a store"
    );
}

#[test]
fn values_and_lists_of_them_are_the_same() {
    let one = gives(
        &json!({"user_data": {"em": "a", "external_id": ["x"], "madid": ["7A3CBEA0-BDF5-11E4-8DFC-AA07A5B093DB"], "fbc": "fb.1.2.a.b"}}),
    );
    assert_eq!(
        one[0]["data"],
        json!({"id": "e", "ts": 1_759_996_800_000_i64, "type": "view", "email": "a", "customer": "x", "device": "7a3cbea0-bdf5-11e4-8dfc-aa07a5b093db", "click_id": "a.b"})
    );
    let many = gives(&json!({"user_data": {"em": ["a", null, "b"], "ph": [1, 2]}}));
    assert_eq!(many[0]["data"]["email"], json!(["a", "b"]));
    assert_eq!(many[0]["data"]["phone"], json!([1, 2]));
}

#[test]
fn milliseconds_are_read_as_such_unless_the_configuration_is_strict() {
    let event = event(&json!({"event_time": 1_759_996_800_000_i64})).to_string();
    assert_eq!(
        decode("meta", AT, &event).gives[0]["data"]["ts"],
        1_759_996_800_000_i64
    );
    let mut config = config(vec![acme()]);
    config.ingest.strict = true;
    let mut given = Given::default();
    let message = Message {
        subject: "tributary.in.acme.transaction.meta",
        at: AT,
        number: 1,
        headers: &[],
        data: event.as_bytes(),
    };
    Decoder::new(&config).decode(&message, &mut given);
    assert_eq!(
        json!(given.gives),
        json!([{"refused": "time_out_of_range"}])
    );
    assert!(given.dead[0].detail.contains("`event_time`"));
}

#[test]
fn a_cookie_is_read_only_where_it_is_wanted_and_the_order_is_an_id_of_last_resort() {
    let event = r#"{"event_name":"Purchase","event_time":1759996800,"action_source":"website","user_data":{"fbp":"fb.1.2.3"},"custom_data":{"order_id":"o","value":1.005,"currency":"eur"},"opt_out":true}"#;
    let order = json!({"id": "o", "ts": 1_759_996_800_000_i64, "type": "order", "order_id": "o", "amount": "1.01", "currency": "EUR"});
    assert_gives("meta", event, json!([{"kind": "web", "data": order}]));
    let mut brand = acme();
    brand.sources[4].mapping.cookies = vec!["fbp".to_owned()];
    let given = decode_with(brand, "meta", AT, &[], event.as_bytes()).gives;
    assert_eq!(given[0]["data"]["cookie"], "fb.1.2.3");
    assert_eq!(given[1]["data"]["purposes"], json!({"do_not_target": true}));
}

#[test]
fn wrong_types_are_refused_by_the_path_of_the_vendor() {
    for (more, path) in [
        (json!({"event_time": {}}), "`event_time`"),
        (json!({"user_data": []}), "`user_data`"),
        (json!({"user_data": {"em": [{}]}}), "`user_data.em`"),
        (json!({"event_name": 7}), "`event_name`"),
        (
            json!({"event_name": "Purchase", "custom_data": {"value": []}}),
            "`custom_data.value`",
        ),
    ] {
        let given = decode("meta", AT, &event(&more).to_string());
        assert_eq!(
            json!(given.gives),
            json!([{"refused": "wrong_type"}]),
            "{more}"
        );
        assert!(
            given.dead[0].detail.contains(path),
            "{}",
            given.dead[0].detail
        );
    }
}

#[test]
fn an_opt_out_of_the_wrong_type_refuses_the_statement_alone() {
    let given = decode("meta", AT, &event(&json!({"opt_out": "true"})).to_string());
    assert_eq!(given.gives[0]["kind"], "web");
    assert_eq!(given.gives[1..], [json!({"refused": "wrong_type"})]);
    assert!(given.dead[0].detail.contains("`opt_out`"));
}

#[test]
fn limited_data_use_stands_beside_an_opt_out_of_the_wrong_type() {
    let given = decode(
        "meta",
        AT,
        &event(&json!({"opt_out": 1, "data_processing_options": ["LDU"], "user_data": {"external_id": "u"}}))
            .to_string(),
    );
    let kinds: Vec<_> = given.gives.iter().map(|of| &of["kind"]).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "consent").count(), 1);
    assert_eq!(given.dead.len(), 1);
}

//! CloudEvents in every mode.

use serde_json::{Value, json};
use tributary_connectors::decode::{Decoder, Message};
use tributary_operators::event::Event;
use tributary_operators::label::Label;

use super::{AT, Given, acme, decode_with};
use crate::common::config;

fn send(source: &str, headers: &[(&str, &str)], data: &str) -> Value {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    json!(decode_with(acme(), source, AT, &headers, data.as_bytes()).gives)
}

const COMPLETE: [(&str, &str); 4] = [
    ("CE-SpecVersion", "1.0"),
    ("ce-id", "i"),
    ("ce-source", "/s"),
    ("ce-type", "t"),
];

#[test]
fn an_event_that_states_a_version_is_complete() {
    let view = r#"{"ts":1760000000000,"type":"view"}"#;
    assert_eq!(send("web", &COMPLETE, view)[0]["data"]["id"], "i");
    for missing in 1..4 {
        let mut headers = COMPLETE.to_vec();
        headers.remove(missing);
        assert_eq!(
            send("web", &headers, view),
            json!([{"refused": "malformed_cloudevent"}])
        );
    }
    let structured = [("content-type", "Application/CloudEvents+JSON")];
    for event in [
        r#"{"specversion":"1.0","id":"i","source":"s"}"#,
        r#"{"specversion":1.0,"id":"i","source":"s","type":"t"}"#,
        r#"{"specversion":"1.0","id":"i","source":"s","type":"t","data_base64":"?"}"#,
        "no JSON",
        "[1]",
    ] {
        assert_eq!(
            send("web", &structured, event),
            json!([{"refused": "malformed_cloudevent"}]),
            "{event}"
        );
    }
}

#[test]
fn every_format_may_come_in_events() {
    let message = r#"{"type":"page","anonymousId":"a"}"#;
    let headers = [&COMPLETE[..], &[("ce-time", "2025-10-09T08:00:00Z")]].concat();
    let given = send("segment", &headers, message);
    assert_eq!(given[0]["data"]["id"], "i");
    let batch = json!([
        {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": {"type": "alias", "messageId": "own", "userId": "u"}},
        {"specversion": "1.0", "id": "2", "source": "s", "type": "t"},
        {"specversion": "0.3", "id": "3", "source": "s", "type": "t"},
    ]);
    let given = send(
        "segment",
        &[("Content-Type", "application/cloudevents-batch+json")],
        &batch.to_string(),
    );
    assert_eq!(given[0]["data"]["id"], "own");
    assert_eq!(given[1], json!({"refused": "missing_field"}));
    assert_eq!(given[2], json!({"refused": "malformed_cloudevent"}));
}

#[test]
fn the_source_of_an_event_chooses_that_of_the_configuration() {
    let mut decoder = Decoder::new(&config(vec![acme()]));
    let mut source = |ce: &str| {
        let headers = [("ce-source".to_owned(), ce.to_owned())];
        let message = Message {
            subject: "tributary.in.acme.web",
            at: AT,
            number: 1,
            headers: &headers,
            data: br#"{"id":"1","ts":1760000000000,"type":"identify","source":"google"}"#,
        };
        let mut given = Given::default();
        decoder.decode(&message, &mut given);
        let record = given.events.into_iter().find_map(|event| match event {
            Event::Put { record, .. } => Some(record),
            _ => None,
        });
        record.unwrap().source
    };
    assert_eq!(source("/shop/fr"), Label::of("shop"));
    assert_eq!(source("%2Fshop%2Ffr"), Label::of("shop"));
    assert_eq!(source("/shop/be"), Label::of("web"));
}

/// The ids of the records that a message becomes.
fn ids(source: &str, headers: &[(&str, &str)], data: &str) -> Vec<Value> {
    let given = send(source, headers, data);
    let given = given.as_array().expect("a list");
    given.iter().map(|of| of["data"]["id"].clone()).collect()
}

#[test]
fn every_element_of_a_bundle_has_an_id_of_its_own() {
    let sale = |amount: u32| json!({"event_name": "Purchase", "event_time": 1_759_996_800, "action_source": "website", "user_data": {"external_id": "u"}, "custom_data": {"value": amount, "currency": "EUR"}});
    let bundle = json!({"data": [sale(10), sale(20), sale(30)]}).to_string();
    assert_eq!(ids("meta", &COMPLETE, &bundle), ["i/0", "i/1", "i/2"]);
    let alone = json!({"data": [sale(10)]}).to_string();
    assert_eq!(ids("meta", &COMPLETE, &alone), ["i"]);
    let lines = format!("{alone}\n{bundle}\n{}", sale(40));
    assert_eq!(
        ids("meta", &COMPLETE, &lines),
        ["i/0", "i/1", "i/2", "i/3", "i/4"]
    );
    let view = json!({"type": "page", "anonymousId": "a", "timestamp": "2025-10-09T08:00:00Z", "receivedAt": "2025-10-09T08:00:01Z", "properties": {"url": "https://a.example/"}});
    let batch = json!({"batch": [view, view]}).to_string();
    assert_eq!(ids("segment", &COMPLETE, &batch), ["i/0", "i/1"]);
}

#[test]
fn a_wrong_time_of_the_event_is_named_as_the_event_has_it() {
    let headers = [&COMPLETE[..], &[("ce-time", "yesterday")]].concat();
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let given = decode_with(acme(), "web", AT, &headers, br#"{"id":"w","type":"view"}"#);
    let detail = &given.dead[0].detail;
    assert!(detail.starts_with("`time` of the CloudEvent"), "{detail}");
}

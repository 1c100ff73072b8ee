//! Segment and RudderStack.

use serde_json::json;
use tributary_config::model::{EventMeaning, UserId};

use super::{AT, acme, assert_gives, decode, decode_with};

#[test]
fn what_a_message_maps_to_depends_on_its_type_and_event() {
    let ts = "2025-10-09T08:00:00.000Z";
    let of = |event: &str| {
        format!(
            r#"{{"type":"track","messageId":"m","receivedAt":"{ts}","timestamp":"{ts}","anonymousId":"a","event":"{event}","properties":{{"campaign_name":"Fall"}}}}"#
        )
    };
    for (event, kind, own) in [
        ("Push Notification Received", "impression", "push"),
        ("Push Notification Tapped", "click", "push"),
        ("Email Opened", "impression", "email"),
    ] {
        let data = json!({"id": "m", "ts": ts, "type": kind, "cookie": "a", "source": own, "medium": own, "campaign": "Fall"});
        assert_gives(
            "segment",
            &of(event),
            json!([{"kind": "web", "data": data}]),
        );
    }
    for ignored in ["Product Viewed", "Email Delivered", ""] {
        assert_gives("segment", &of(ignored), json!([{"ignored": "not_mapped"}]));
    }
}

#[test]
fn the_settings_of_a_source_override_the_defaults() {
    let mut brand = acme();
    let mapping = &mut brand.sources[0].mapping;
    mapping.user_id = Some(UserId::Email);
    mapping.events = [
        ("Course Clicked".to_owned(), EventMeaning::View),
        ("Order Completed".to_owned(), EventMeaning::Ignore),
        ("Till Closed".to_owned(), EventMeaning::Transaction),
    ]
    .into();
    let message = |event: &str| {
        format!(
            r#"{{"type":"track","messageId":"m","timestamp":"2025-10-09T08:00:00Z","userId":"u@example.org","traits":{{"email":"v@example.org"}},"event":"{event}","properties":{{"revenue":9.5,"url":"https://shop.example/?gclid=g"}}}}"#
        )
    };
    let given =
        |event| decode_with(brand.clone(), "segment", AT, &[], message(event).as_bytes()).gives;
    let emails = json!(["v@example.org", "u@example.org"]);
    assert_eq!(
        json!(given("Course Clicked")),
        json!([{"kind": "web", "data": {"id": "m", "ts": "2025-10-09T08:00:00Z", "type": "view", "email": emails, "url": "https://shop.example/?gclid=g", "landing": true}}])
    );
    assert_eq!(
        json!(given("Order Completed")),
        json!([{"ignored": "not_mapped"}])
    );
    assert_eq!(
        json!(given("Till Closed")),
        json!([{"kind": "transaction", "data": {"id": "m", "ts": "2025-10-09T08:00:00Z", "email": emails, "amount": "9.5", "store": "Lyon 2"}}])
    );
}

#[test]
fn rudderstack_names_consent_and_the_start_of_a_session_otherwise() {
    let message = r#"{"type":"page","messageId":"m","originalTimestamp":"2025-10-09T08:53:00.000Z","sentAt":"2025-10-09T08:53:19Z","anonymousId":"a","context":{"sessionStart":false,"page":{"url":"https://shop.example/"},"consentManagement":{"provider":"oneTrust","allowedConsentIds":["Advertising"],"deniedConsentIds":["Analytics"]}}}"#;
    let ts = "2025-10-09T08:53:00.000Z";
    assert_gives(
        "segment",
        message,
        json!([
            {"kind": "web", "data": {"id": "m", "ts": ts, "type": "view", "cookie": "a", "url": "https://shop.example/"}},
            {"kind": "consent", "data": {"id": "m#consent", "ts": ts, "cookie": "a", "purposes": {"1": false, "7": true, "9": false}}},
        ]),
    );
}

#[test]
fn a_decision_about_consent_is_read_though_the_event_is_no_other() {
    let message = r#"{"type":"track","event":"Segment Consent Preference Updated","messageId":"m","timestamp":"2025-10-09T08:53:00Z","userId":"u","context":{"consent":{"categoryPreferences":{"Advertising":false}}}}"#;
    assert_gives(
        "segment",
        message,
        json!([{"kind": "consent", "data": {"id": "m#consent", "ts": "2025-10-09T08:53:00Z", "customer": "u", "purposes": {"1": false, "7": false}}}]),
    );
}

#[test]
fn a_part_is_refused_alone_and_names_the_path_of_the_vendor() {
    let batch = r#"{"batch":[{"type":"page","messageId":"1","anonymousId":"a"},{"type":"track","event":"Order Completed","messageId":"2","properties":{"total":{}}},{"type":"track","event":"Order Completed","messageId":"3","properties":{"orderId":7}},7,{"type":"page","messageId":"5","timestamp":"yesterday"},{"type":"page","messageId":"6","context":"x"}],"sentAt":"2025-10-09T08:53:19Z"}"#;
    let given = decode("segment", AT, batch);
    let refused: Vec<_> = given
        .dead
        .iter()
        .map(|dead| (dead.reason.name(), dead.detail.as_str()))
        .collect();
    assert_eq!(given.gives.len(), 6);
    assert_eq!(
        refused
            .iter()
            .map(|(reason, _)| *reason)
            .collect::<Vec<_>>(),
        [
            "wrong_type",
            "missing_field",
            "not_an_object",
            "invalid_time",
            "wrong_type"
        ]
    );
    for ((_, detail), path) in refused.iter().zip([
        "`properties.total`",
        "`properties.total`",
        "`batch`",
        "`timestamp`",
        "`context`",
    ]) {
        assert!(detail.contains(path), "{detail}");
    }
    let payload = String::from_utf8(given.dead[1].payload.clone()).unwrap();
    assert!(payload.starts_with(r#"{"type":"track""#), "{payload}");
    // Each part has a place of its own, so that two records of one message have an order.
    let places: Vec<u32> = given.dead.iter().map(|dead| dead.arrival.line).collect();
    assert_eq!(places, [1, 2, 3, 4, 5]);
}

#[test]
fn a_wrong_clock_is_corrected_and_a_right_one_is_not() {
    let message = |sent: &str| {
        format!(
            r#"{{"type":"screen","messageId":"m","originalTimestamp":"2025-10-09T08:00:00.750Z","sentAt":"{sent}"}}"#
        )
    };
    let ts = |sent: &str| decode("segment", AT, &message(sent)).gives[0]["data"]["ts"].clone();
    assert_eq!(ts("2025-10-09T08:43:20Z"), "2025-10-09T08:00:00.750Z");
    assert_eq!(ts("2025-10-09T08:43:19.999Z"), "2025-10-09T08:10:00.000Z");
    assert_eq!(ts("2025-10-09T09:53:20Z"), "2025-10-09T07:00:00.000Z");
}

/// What is unreadable, or says nothing, does not take the refusals beside it away.
#[test]
fn an_unreadable_category_stands_alone() {
    let view = |consent: &serde_json::Value| {
        json!({"type": "page", "messageId": "m", "anonymousId": "a", "timestamp": "2025-10-09T08:00:00Z", "receivedAt": "2025-10-09T08:00:01Z", "context": consent}).to_string()
    };
    let preferences = |of: serde_json::Value| json!({"consent": {"categoryPreferences": of}});
    let statement = |message: &str| {
        let given = decode("segment", AT, message);
        let of_consent = given.gives.iter().find(|of| of["kind"] == "consent");
        (
            of_consent.map(|of| of["data"]["boxes"].clone()),
            given.dead.len(),
        )
    };
    let (denied, none) = statement(&view(&preferences(json!({"Advertising": false}))));
    assert!(denied.is_some() && none == 0);
    for absent in [json!(null), json!("")] {
        let message = view(&preferences(
            json!({"Advertising": false, "Analytics": absent}),
        ));
        assert_eq!(statement(&message), (denied.clone(), 0), "{absent}");
    }
    for unreadable in [json!(1), json!("no"), json!({})] {
        let message = view(&preferences(
            json!({"Analytics": unreadable, "Advertising": false}),
        ));
        assert_eq!(statement(&message), (denied.clone(), 1), "{unreadable}");
    }
    let unread = view(&json!({"consentManagement": {"deniedConsentIds": [{"id": "marketing"}]}}));
    assert_eq!(statement(&unread), (None, 1));
}

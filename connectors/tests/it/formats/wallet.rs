//! Apple Wallet, Google Wallet and Sign in with Apple: what becomes of requests, callbacks and notifications.

use serde_json::{Value, json};
use tributary_config::model::AccountDelete;

use super::{AT, acme, decode_with};

/// What a source makes of an item that arrives at [`AT`].
fn gives(source: &str, item: &Value) -> Vec<Value> {
    decode_with(acme(), source, AT, &[], item.to_string().as_bytes()).gives
}

#[test]
fn a_request_of_apple_wallet_is_a_registration_if_the_server_accepted_it() {
    let path = "/v1/devices/f7cace9f54587f6bd97bd3d1a56257f6/registrations/pass.acme/LOY%2F1";
    let line = |method: &str, path: &str, status: u16| json!({"method": method, "path": path, "status": status, "at": AT, "body": {"pushToken": "00"}});
    let record = |kind: &str| {
        // The first 16 hex digits of the SHA-256 of the device.
        let holder = "867408ee1ea20657";
        json!([{"kind": "wallet", "data": {
            "id": format!("LOY/1|{holder}|{AT}|{kind}"), "ts": AT, "type": kind, "wallet": "LOY/1",
            "platform": "apple", "holder": holder,
        }}])
    };
    let wallet = |line: &Value| json!(gives("apple_wallet", line));
    assert_eq!(wallet(&line("POST", path, 201)), record("install"));
    assert_eq!(wallet(&line("POST", path, 200)), record("install"));
    assert_eq!(wallet(&line("DELETE", path, 200)), record("remove"));
    let ignored = json!([{"ignored": "not_mapped"}]);
    assert_eq!(wallet(&line("POST", path, 401)), ignored);
    assert_eq!(wallet(&line("GET", path, 200)), ignored);
    assert_eq!(wallet(&line("POST", "/v1/log", 200)), ignored);
    let without = json!({"method": "POST", "path": path, "status": 201});
    assert_eq!(wallet(&without), json!([{"refused": "missing_field"}]));
}

#[test]
fn a_callback_of_google_wallet_is_a_registration_however_it_is_wrapped() {
    let message = |event: &str| {
        json!({
            "classId": "3388.loyalty", "objectId": "3388.LOY.7", "eventType": event,
            "expTimeMillis": AT, "nonce": "n-1",
        })
    };
    let record = |kind: &str| {
        json!([{"kind": "wallet", "data": {
            "id": "n-1", "ts": AT, "version": -AT, "type": kind, "wallet": "LOY.7",
            "platform": "google",
        }}])
    };
    let wallet = |item: &Value| json!(gives("google_wallet", item));
    assert_eq!(wallet(&message("save")), record("install"));
    assert_eq!(wallet(&message("del")), record("remove"));
    let envelope = json!({
        "signature": "x", "protocolVersion": "ECv2SigningOnly",
        "signedMessage": message("save").to_string(),
    });
    assert_eq!(wallet(&envelope), record("install"));
    let other = json!([{"ignored": "not_mapped"}]);
    assert_eq!(wallet(&message("view")), other);
    let broken = json!({"signedMessage": "{"});
    assert_eq!(wallet(&broken), json!([{"refused": "malformed_json"}]));
    let nameless = json!({"eventType": "save", "objectId": "1.a"});
    assert_eq!(wallet(&nameless), json!([{"refused": "missing_field"}]));
}

#[test]
fn a_consent_that_is_revoked_at_apple_withdraws_every_purpose() {
    let notification = |kind: &str, time: i64| {
        let event = json!({"type": kind, "sub": "0016.7f.04", "event_time": time});
        json!({"iss": "https://appleid.apple.com", "jti": "j1", "events": event.to_string()})
    };
    let seconds = AT / 1_000;
    for time in [seconds, seconds * 1_000] {
        let gives = gives("apple_signin", &notification("consent-revoked", time));
        let [one] = &gives[..] else {
            panic!("{gives:?}");
        };
        let data = &one["data"];
        assert_eq!(
            (&one["kind"], &data["customer"]),
            (&json!("consent"), &json!("0016.7f.04"))
        );
        assert_eq!(
            (&data["id"], &data["ts"]),
            (&json!("j1"), &json!(seconds * 1_000))
        );
        let purposes = data["purposes"].as_object().unwrap();
        assert!(purposes.len() == 11 && purposes.values().all(|of| *of == json!(false)));
    }
    for other in ["email-disabled", "account-delete"] {
        let gives = gives("apple_signin", &notification(other, seconds));
        assert_eq!(gives, [json!({"ignored": "not_mapped"})]);
    }
    for (setting, right) in [
        (AccountDelete::Erase, "erase"),
        (AccountDelete::Object, "object"),
    ] {
        let mut acme = acme();
        for source in &mut acme.sources {
            source.mapping.account_delete = Some(setting);
        }
        let deleted = notification("account-delete", seconds).to_string();
        let given = decode_with(acme, "apple_signin", AT, &[], deleted.as_bytes());
        let data = json!({
            "customer": "0016.7f.04", "id": "j1", "ts": seconds * 1_000, "type": right,
            "proof": "apple account-delete j1",
        });
        assert_eq!(given.gives, [json!({"kind": "rights", "data": data})]);
        assert!(given.events.is_empty());
    }
}

//! Rows of Google Analytics 4.

use serde_json::{Value, json};

use super::{AT, acme, decode, decode_with};

fn row(more: &Value) -> String {
    let mut row = json!({"event_name": "page_view", "event_timestamp": "1759990000123456", "stream_id": "1", "user_pseudo_id": "1.2"});
    row.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    row.to_string()
}

fn data(more: &Value) -> Value {
    let mut given = decode("ga4", AT, &row(more)).gives.remove(0);
    given["data"].take()
}

fn params(pairs: &[(&str, &str)]) -> Value {
    let params = pairs
        .iter()
        .map(|(key, text)| json!({"key": key, "value": {"string_value": text, "int_value": null}}));
    params.collect()
}

#[test]
fn a_row_is_known_by_what_distinguishes_it() {
    let id = |more: &Value| data(more)["id"].clone();
    let first = id(&json!({"batch_page_id": null}));
    assert_eq!(
        first,
        id(&json!({"event_date": "20251009", "geo": {"city": "Lyon"}}))
    );
    assert_eq!(first.as_str().map(str::len), Some(32));
    for other in [
        json!({"batch_event_index": "2"}),
        json!({"user_pseudo_id": null}),
        json!({"event_bundle_sequence_id": 5}),
    ] {
        assert_ne!(first, id(&other), "{other}");
    }
}

#[test]
fn a_paid_click_stands_as_organic_in_the_export() {
    let of = |collected: Value| {
        let data = data(
            &json!({"collected_traffic_source": collected, "session_traffic_source_last_click": {"google_ads_campaign": {"campaign_name": "(not set)"}}}),
        );
        [&data["source"], &data["medium"], &data["campaign"]].map(Clone::clone)
    };
    let paid = |campaign: Value| [json!("google"), json!("cpc"), campaign];
    assert_eq!(
        of(json!({"gclid": "g", "manual_medium": "organic", "manual_campaign_name": "(organic)"})),
        paid(Value::Null)
    );
    assert_eq!(
        of(json!({"gclid": "g", "manual_campaign_name": "Fall"})),
        paid(json!("Fall"))
    );
    assert_eq!(
        of(json!({"gclid": "g", "manual_source": "partner", "manual_medium": "affiliate"})),
        [json!("partner"), json!("affiliate"), Value::Null]
    );
}

#[test]
fn older_rows_have_their_channel_in_parameters_and_the_first_touch_is_never_one() {
    let first_touch = json!({"source": "google", "medium": "cpc", "name": "x"});
    let old = data(
        &json!({"traffic_source": first_touch, "event_params": params(&[("source", "news"), ("medium", "email"), ("page_location", "https://shop.example/")])}),
    );
    assert_eq!(
        old,
        json!({"id": old["id"], "ts": 1_759_990_000_123_i64, "type": "view", "cookie": "1.2", "source": "news", "medium": "email"})
    );
    let direct = data(
        &json!({"traffic_source": first_touch, "event_params": params(&[("page_location", "https://shop.example/")])}),
    );
    assert_eq!(direct["url"], "https://shop.example/");
    assert_eq!(direct["source"], Value::Null);
}

#[test]
fn a_device_is_read_unless_its_owner_limits_tracking() {
    let device = |limited: Value| {
        data(&json!({"device": {"advertising_id": "7A3CBEA0-BDF5-11E4-8DFC-AA07A5B093DB", "is_limited_ad_tracking": limited}}))["device"].clone()
    };
    assert_eq!(device(json!("No")), "7a3cbea0-bdf5-11e4-8dfc-aa07a5b093db");
    assert_eq!(device(json!("Yes")), Value::Null);
    assert_eq!(device(json!(true)), Value::Null);
}

#[test]
fn the_consent_mode_is_read_where_the_source_maps_it() {
    let mut brand = acme();
    let boxes = vec!["1".to_owned(), "9".to_owned()];
    brand.sources[5].mapping.consent_categories = [("analytics_storage".to_owned(), boxes)].into();
    let gives = |state: &str| {
        let row = row(&json!({"privacy_info": {"analytics_storage": state, "ads_storage": "No"}}));
        decode_with(brand.clone(), "ga4", AT, &[], row.as_bytes()).gives
    };
    assert_eq!(
        gives("No")[1]["data"]["purposes"],
        json!({"1": false, "9": false})
    );
    assert_eq!(
        gives("Yes")[1]["data"]["purposes"],
        json!({"1": true, "9": true})
    );
    assert_eq!(gives("Unset").len(), 1);
}

#[test]
fn wrong_types_are_refused_by_the_path_of_the_vendor() {
    for (more, path) in [
        (json!({"event_timestamp": "soon"}), "`event_timestamp`"),
        (json!({"event_params": {}}), "`event_params`"),
        (json!({"device": "phone"}), "`device`"),
        (json!({"user_id": {}}), "`user_id`"),
    ] {
        let given = decode("ga4", AT, &row(&more));
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

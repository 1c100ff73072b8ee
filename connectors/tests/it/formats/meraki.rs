//! The Scanning API of Meraki.

use serde_json::{Value, json};

use super::{AT, acme, decode, decode_with};

fn gives(post: &Value) -> Value {
    json!(decode("meraki", AT, &post.to_string()).gives)
}

fn post(kind: &str, data: Value) -> Value {
    json!({"version": "3.0", "secret": "supersecret", "type": kind, "data": data})
}

#[test]
fn of_several_access_points_the_strongest_counts() {
    let records = json!([{"apMac": "AA:AA:AA:00:00:02", "rssi": "-40"}, {"apMac": "aa:aa:aa:00:00:01", "rssi": -40}, {"apMac": "aa:aa:aa:00:00:00", "rssi": -41}]);
    let client = json!({"clientMac": "18:fe:34:fc:5a:7f", "ssid": null, "locations": [{"time": "2025-10-09T08:00:00Z", "rssiRecords": records, "nearestApTags": ["", "lyon-2"]}], "userId": "ada@example.org"});
    let given = gives(&post(
        "WiFi",
        json!({"networkId": "L_9", "observations": [client]}),
    ));
    assert_eq!(
        given,
        json!([{"kind": "ping", "data": {"mac": "18:fe:34:fc:5a:7f", "rssi": -40, "sensor": "aa:aa:aa:00:00:01", "store": "Lyon 2", "ts": "2025-10-09T08:00:00Z"}}])
    );
}

#[test]
fn a_place_that_no_table_knows_is_its_network_or_refused() {
    let seen = json!([{"clientMac": "18:fe:34:fc:5a:7f", "rssi": 40, "seenEpoch": 1_759_996_800, "ssid": "x"}]);
    let two = post(
        "DevicesSeen",
        json!({"apMac": "00:18:0a:13:dd:b0", "apTags": [], "observations": seen}),
    );
    assert_eq!(gives(&two), json!([{"refused": "missing_field"}]));
    let latest = json!([{"clientMac": "18:fe:34:fc:5a:7f", "latestRecord": {"time": "2025-10-09T08:00:00Z", "nearestApMac": "00:18:0a:13:dd:b0", "nearestApRssi": "-60"}}]);
    let three = post("WiFi", json!({"networkId": "N_1", "observations": latest}));
    assert_eq!(gives(&three)[0]["data"]["store"], "N_1");
    assert_eq!(gives(&three)[0]["data"]["rssi"], -60);
}

#[test]
fn bluetooth_is_read_only_where_it_is_wanted() {
    let seen = json!([{"clientMac": "c0:ff:ee:00:00:01", "rssi": -61, "seenEpoch": 1_759_996_800}]);
    let post = post(
        "BluetoothDevicesSeen",
        json!({"apMac": "00:18:0a:13:dd:b0", "apTags": ["lyon-2"], "observations": seen}),
    );
    assert_eq!(gives(&post), json!([{"ignored": "not_mapped"}]));
    let mut brand = acme();
    brand.sources[2].mapping.bluetooth = Some(true);
    let given = decode_with(brand, "meraki", AT, &[], post.to_string().as_bytes());
    assert_eq!(given.gives[0]["data"]["rssi"], -61);
}

#[test]
fn a_post_with_another_secret_is_refused_and_a_refused_device_does_not_show_the_secret() {
    for secret in [
        json!("supersecre"),
        json!("supersecret2"),
        json!(""),
        json!(7),
        Value::Null,
    ] {
        let mut post = post("WiFi", json!({"networkId": "N", "observations": []}));
        post["secret"] = secret;
        assert_eq!(gives(&post), json!([{"refused": "wrong_secret"}]));
    }
    let seen = json!([{"clientMac": "no", "rssi": 40, "seenEpoch": 1_759_996_800}, {"clientMac": "18:fe:34:fc:5a:7f", "rssi": {}, "seenEpoch": 1_759_996_800}]);
    let post = post(
        "DevicesSeen",
        json!({"apMac": "a", "apTags": ["lyon-2"], "observations": seen}),
    );
    let given = decode("meraki", AT, &post.to_string());
    let reasons: Vec<_> = given.dead.iter().map(|dead| dead.reason.name()).collect();
    assert_eq!(reasons, ["invalid_mac", "wrong_type"]);
    assert!(
        given.dead[1].detail.contains("`data.observations.rssi`"),
        "{}",
        given.dead[1].detail
    );
    assert!(
        given
            .dead
            .iter()
            .all(|dead| !String::from_utf8_lossy(&dead.payload).contains("supersecret"))
    );
}

//! Whatever a source of a vendor's format receives, every item ends as at least one record, dead letter or omission,
//! nothing panics, and a second decoder gives the same. Samples are mutated from a fixed seed; `TRIBUTARY_FUZZ` sets the
//! number of inputs.

use super::{AT, decode_with};
use crate::fuzz_decoders::{Dice, check, inputs};
use crate::sink::Kept;

/// Samples of each format, written for these tests.
pub const SAMPLES: [(&str, &str); 14] = [
    (
        "segment",
        r#"{"type":"page","messageId":"p","anonymousId":"a","userId":7,"receivedAt":"2025-10-09T08:00:01Z","timestamp":"2025-10-09T08:00:00.123Z","context":{"page":{"url":"https://shop.example/?gclid=1","referrer":"https://google.com/"},"consent":{"categoryPreferences":{"Advertising":true,"Analytics":false}},"device":{"adTrackingEnabled":true,"advertisingId":"7A3CBEA0-BDF5-11E4-8DFC-AA07A5B093DB"}}}"#,
    ),
    (
        "segment",
        r#"{"batch":[{"type":"track","event":"Order Completed","messageId":"o","properties":{"total":12.5,"order_id":"x","currency":"EUR"}},{"type":"alias","messageId":"l","previousId":"q","userId":"u"},{"type":"track","event":"Email Opened","messageId":"m"}],"sentAt":"2025-10-09T08:23:20Z"}"#,
    ),
    (
        "snowplow",
        r#"{"event":"page_view","event_id":"e","collector_tstamp":"2025-10-09T08:00:00Z","domain_userid":"c","user_id":"jane@example.org","mkt_source":"google","page_url":"https://shop.example/","refr_medium":"search"}"#,
    ),
    (
        "snowplow",
        r#"{"event":"unstruct","event_name":"snowplow_ecommerce_action","event_id":"e","derived_tstamp":"2025-10-09 08:00:00.5","unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1":{"type":"refund"},"contexts_com_snowplowanalytics_snowplow_ecommerce_refund_1":[{"transaction_id":"t","refund_amount":2.675,"currency":"EUR"}]}"#,
    ),
    (
        "snowplow",
        r#"{"event":"unstruct","event_id":"e","collector_tstamp":"2025-10-09 08:00:00","domain_userid":"c","event_name":"consent_preferences","unstruct_event_com_snowplowanalytics_snowplow_consent_preferences_1":{"eventType":"allow_selected","consentScopes":["statistics"],"consentUrl":"u"}}"#,
    ),
    (
        "meraki",
        r#"{"version":"2.1","secret":"supersecret","type":"DevicesSeen","data":{"apMac":"00:18:0a:13:dd:b0","apTags":["","lyon-2"],"observations":[{"clientMac":"18:fe:34:fc:5a:7f","rssi":47,"seenEpoch":1759996800,"ssid":"w"},{"clientMac":"da:a1:19:0a:0b:0c","rssi":12,"seenEpoch":1759996801,"ssid":null}]}}"#,
    ),
    (
        "meraki",
        r#"{"version":"3.0","secret":"supersecret","type":"WiFi","data":{"networkId":"L_000000000000000001","observations":[{"clientMac":"92:22:33:44:55:66","ssid":"w","latestRecord":{"time":"2025-10-09T08:00:00Z","nearestApMac":"aa:aa:aa:44:44:44","nearestApRssi":"-47"},"locations":[{"time":"2025-10-09T08:00:00Z","nearestApTags":["x"],"rssiRecords":[{"apMac":"aa:aa:aa:11:11:11","rssi":-32},{"apMac":"aa:aa:aa:22:22:22","rssi":-54}]}]}]}}"#,
    ),
    (
        "google",
        "Parameters:TimeZone=Europe/Paris\nGoogle Click ID,Conversion Name,Conversion Time,Conversion Value,Conversion Currency,Order ID,Ad User Data,Ad Personalization\ng1,In store,05/22/2025 14:30:00,49.90,EUR,T-1,Granted,Denied\ng2,In store,2025-05-22 14:30:00+0800,20,EUR,,,\n,Other,2025-05-22 14:30:00,1,EUR,T-3,,\n",
    ),
    (
        "google",
        "Google Click ID,Conversion Name,Conversion Time,Adjustment Time,Adjustment Type,Adjusted Value,Adjusted Value Currency,Order ID\n,In store,,2025-05-24 10:00:00Z,RETRACT,,,T-1\n,In store,,2025-05-24 10:00:00Z,RESTATE,15.00,EUR,T-2\n",
    ),
    (
        "google",
        r#"{"transactionId":"t","timestamp":"2025-10-09T08:00:00Z","value":5.31,"currency":"USD","eventSource":"WEB","emails":["jane@example.org"],"gclid":"g"}"#,
    ),
    (
        "meta",
        r#"{"data":[{"event_name":"Purchase","event_id":"e","event_time":1759996800,"action_source":"physical_store","user_data":{"em":["jane@example.org"],"ph":"+44 20 7946 0018","madid":"AECE52E7-03EE-455A-B3C4-E57283966239","fbc":"fb.1.2.c"},"custom_data":{"store_id":"2","value":123.45,"currency":"usd","order_id":"R"}},{"event_name":"PageView","event_time":1759996800000,"event_id":"v","opt_out":true,"user_data":{"external_id":7}}]}"#,
    ),
    (
        "meta",
        r#"{"event_name":"Purchase","event_time":1759996800,"action_source":"website","data_processing_options":["LDU"],"custom_data":{"order_id":"o","value":"9.90","currency":"EUR"},"user_data":{"em":"jane@example.org"}}"#,
    ),
    (
        "ga4",
        r#"{"event_name":"page_view","event_timestamp":"1759990000123456","stream_id":"1","user_pseudo_id":"1.2","collected_traffic_source":{"gclid":"g","manual_medium":"organic"},"event_params":[{"key":"entrances","value":{"int_value":"1"}},{"key":"page_location","value":{"string_value":"https://shop.example/"}}]}"#,
    ),
    (
        "ga4",
        r#"{"event_name":"purchase","event_timestamp":"1759990000123456","user_id":"u","ecommerce":{"purchase_revenue":1115.3799999999999,"transaction_id":"T"},"event_params":[{"key":"currency","value":{"string_value":"EUR"}}],"device":{"advertising_id":"x","is_limited_ad_tracking":"No"}}"#,
    ),
];

/// A line of Snowplow's TSV.
fn tsv() -> String {
    let cells = tributary_connectors::formats::snowplow::COLUMNS.map(|name| match name {
        "event" | "event_name" => "page_view",
        "event_id" => "e",
        "collector_tstamp" => "2025-10-09 08:00:00.123",
        "domain_userid" => "c",
        "page_url" => "https://shop.example/",
        _ => "",
    });
    cells.join("\t")
}

/// Decodes mutations of the samples of one source.
fn fuzz(source: &str, seed: u64) {
    let mut samples: Vec<Vec<u8>> = (SAMPLES.iter())
        .filter(|(of, _)| *of == source)
        .map(|(_, sample)| sample.as_bytes().to_vec())
        .collect();
    if source == "snowplow" {
        samples.push(tsv().into_bytes());
    }
    for sample in &samples {
        let given = decode_with(super::acme(), source, AT, &[], sample);
        assert_eq!(given.dead, [], "{source}");
    }
    let mut dice = Dice(seed);
    let mut accepted = 0;
    let total = inputs() / 50;
    let config = crate::common::config(vec![super::acme()]);
    for round in 0..total {
        let mut data = samples[dice.roll(samples.len())].clone();
        dice.mutate(&mut data);
        let shown = String::from_utf8_lossy(&data).into_owned();
        let kind = super::acme()
            .sources
            .iter()
            .find(|one| one.name == source)
            .unwrap()
            .kind;
        let subject = format!("tributary.in.acme.{}.{source}", kind.name());
        let [first, second] = [(); 2].map(|()| {
            let mut harness = crate::sink::DecoderHarness::new(&config);
            harness.send_with(&subject, AT, &[], &data);
            harness.kept
        });
        let outcomes = |kept: &Kept| kept.events.len() + kept.dead.len() + kept.ignored.len();
        let is_blank = data.trim_ascii().is_empty();
        // A document may lose its rows, and only their header is left.
        let may_be_empty = is_blank || source == "google";
        assert!(
            may_be_empty || outcomes(&first) > 0,
            "input {round}: {shown}"
        );
        assert_eq!(first.events, second.events, "input {round}: {shown}");
        assert_eq!(first.dead, second.dead, "input {round}: {shown}");
        check(&first);
        accepted += usize::from(!first.events.is_empty());
    }
    assert!(accepted > total / 5, "{source}: {accepted} of {total}");
}

#[test]
fn segment() {
    fuzz("segment", 0x5e9_0001);
}

#[test]
fn snowplow() {
    fuzz("snowplow", 0x5e9_0002);
}

#[test]
fn meraki() {
    fuzz("meraki", 0x5e9_0003);
}

#[test]
fn google_offline() {
    fuzz("google", 0x5e9_0004);
}

#[test]
fn meta() {
    fuzz("meta", 0x5e9_0005);
}

#[test]
fn ga4_bigquery() {
    fuzz("ga4", 0x5e9_0006);
}

/// Events of every mode, and headers that nobody would send.
#[test]
fn cloud_events() {
    let mut dice = Dice(0x5e9_0007);
    let event = r#"{"specversion":"1.0","id":"1","source":"s","type":"t","time":"2025-10-09T08:53:00Z","data":{"type":"view","cookie":"c"}}"#;
    let samples = [
        event.to_owned(),
        format!("[{event},{event}]"),
        event.replace(
            r#""data":{"type":"view","cookie":"c"}"#,
            r#""data_base64":"e30=""#,
        ),
    ];
    let mut accepted = 0;
    let total = inputs() / 50;
    for round in 0..total {
        let mut data = samples[dice.roll(samples.len())].clone().into_bytes();
        dice.mutate(&mut data);
        let mut header = b"ce-id: Euro%20%E2%82%AC".to_vec();
        dice.mutate(&mut header);
        let header = String::from_utf8_lossy(&header).into_owned();
        let (name, value) = header.split_once(':').unwrap_or((&header, ""));
        let mut headers = vec![(name.to_owned(), value.to_owned())];
        if dice.roll(4) > 0 {
            headers.push((
                "content-type".to_owned(),
                "application/cloudevents+json".to_owned(),
            ));
        }
        let given = decode_with(super::acme(), "web", AT, &headers, &data);
        let is_empty = data.trim_ascii().is_empty();
        assert!(
            is_empty || !given.gives.is_empty(),
            "input {round}: {}",
            String::from_utf8_lossy(&data)
        );
        accepted += usize::from(!given.events.is_empty());
    }
    assert!(accepted > total / 30, "{accepted} of {total}");
}

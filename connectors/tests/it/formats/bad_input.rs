//! Bad input of each format: cut off, of wrong types, and far too long.

use std::collections::BTreeMap;

use tributary_connectors::dead_letter::Reason;

use super::fuzz::SAMPLES;
use super::{AT, decode, decode_with};

#[test]
fn a_sample_that_is_cut_off_gives_one_dead_letter_and_no_record() {
    for (source, sample) in SAMPLES.iter().filter(|(_, sample)| sample.starts_with('{')) {
        for end in (1..sample.len())
            .filter(|end| sample.is_char_boundary(*end))
            .step_by(7)
        {
            let cut = &sample[..end];
            let given = decode(source, AT, cut);
            assert_eq!(given.gives.len(), 1, "{source}: {cut}");
            assert_eq!(
                given.dead[0].reason,
                Reason::MalformedJson,
                "{source}: {cut}"
            );
            assert_eq!(given.dead[0].payload, cut.trim_ascii().as_bytes());
        }
    }
}

#[test]
fn what_is_no_text_is_refused_in_every_format() {
    for source in ["segment", "snowplow", "meraki", "meta", "ga4"] {
        let given = decode_with(super::acme(), source, AT, &[], b"{\"a\":\"\xff\"}");
        let reasons: Vec<_> = given.dead.iter().map(|dead| dead.reason).collect();
        assert_eq!(reasons, [Reason::NotUtf8], "{source}");
        assert_eq!(decode(source, AT, "[]").dead.len(), 1, "{source}");
    }
    let row = b"Order ID,Conversion Name,Conversion Time\n1,In store,\xff\n";
    let given = decode_with(super::acme(), "google", AT, &[], row);
    assert_eq!(given.dead[0].reason, Reason::NotUtf8);
}

/// The size of the dead letters grows with that of the input, not with its square.
#[test]
fn a_hundred_thousand_elements_cost_what_they_weigh() {
    let many = |element: &str| vec![element; 100_000].join(",");
    let observation = r#"{"clientMac":"x","rssi":1,"seenEpoch":1759996800}"#;
    let place = r#"{"time":"2025-10-09T08:00:00Z"}"#;
    let cases: BTreeMap<&str, String> = BTreeMap::from([
        (
            "segment",
            format!(r#"{{"batch":[{}]}}"#, many(r#"{"type":"page"}"#)),
        ),
        (
            "meta",
            format!(r#"{{"data":[{}]}}"#, many(r#"{"event_name":"PageView"}"#)),
        ),
        (
            "meraki",
            format!(
                r#"{{"secret":"supersecret","type":"DevicesSeen","data":{{"apMac":"a","apTags":["lyon-2"],"observations":[{}]}}}}"#,
                many(observation)
            ),
        ),
    ]);
    for (source, data) in &cases {
        let given = decode(source, AT, data);
        assert_eq!(given.dead.len(), 100_000, "{source}");
        let held: usize = given.dead.iter().map(|dead| dead.payload.len()).sum();
        assert!(held <= data.len(), "{source}: {held} of {}", data.len());
    }
    let client = format!(
        r#"{{"clientMac":"18:fe:34:fc:5a:7f","locations":[{}]}}"#,
        many(place)
    );
    let post = format!(
        r#"{{"secret":"supersecret","type":"WiFi","data":{{"networkId":"N","observations":[{client}]}}}}"#
    );
    let given = decode("meraki", AT, &post);
    assert_eq!(given.dead.len(), 100_000);
    assert!(
        given
            .dead
            .iter()
            .map(|dead| dead.payload.len())
            .sum::<usize>()
            <= post.len()
    );
    // Lists of identifiers, of parameters and of consent.
    let ids = format!(
        r#"{{"event_name":"PageView","event_id":"e","event_time":1759996800,"user_data":{{"em":[{}]}}}}"#,
        many(r#""a@example.org""#)
    );
    assert_eq!(
        decode("meta", AT, &ids).dead[0].reason,
        Reason::TooManyIdentifiers
    );
    let params = format!(
        r#"{{"event_name":"page_view","event_timestamp":"1759990000123456","event_params":[{}]}}"#,
        many(r#"{"key":"a","value":{"string_value":"b"}}"#)
    );
    assert_eq!(decode("ga4", AT, &params).dead.len(), 0);
}

#[test]
fn depth_is_no_problem() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    for (source, data) in [
        (
            "segment",
            format!(r#"{{"type":"page","messageId":"m","properties":{{"x":{deep}}}}}"#),
        ),
        ("meta", format!(r#"{{"data":{deep}}}"#)),
        (
            "ga4",
            format!(
                r#"{{"event_name":"page_view","event_timestamp":"1759990000123456","items":{deep}}}"#
            ),
        ),
        (
            "snowplow",
            format!(
                r#"{{"event":"page_view","event_id":"e","collector_tstamp":"2025-10-09 08:00:00","contexts":{deep}}}"#
            ),
        ),
    ] {
        assert_eq!(decode(source, AT, &data).gives.len(), 1, "{source}");
    }
}

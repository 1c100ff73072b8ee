//! A day of bad input: whatever is sent, each bad line gets its own reason, the good lines around it
//! count as if it were not there, and nothing of it is repeated in what may be logged.

use crate::common::{AT, brand, config};
use crate::sink::{DecoderHarness, reason};
use tributary_connectors::dead_letter::Reason;
use tributary_operators::event::Event;

const WEB: &str = "tributary.in.acme.web";

fn good(id: u32) -> String {
    format!(r#"{{"id":"{id}","ts":{AT},"type":"click","source":"s","email":"jane@example.org"}}"#)
}

/// What stands between the good lines, and why it is refused.
fn bad_lines() -> Vec<(Vec<u8>, Reason)> {
    let web =
        |fields: &str| format!(r#"{{"id":"x","ts":{AT},"type":"click",{fields}}}"#).into_bytes();
    let order =
        |fields: &str| format!(r#"{{"id":"x","ts":{AT},"type":"order",{fields}}}"#).into_bytes();
    let at = |ts: &str| format!(r#"{{"id":"x","ts":{ts},"type":"click"}}"#).into_bytes();
    let long = "x".repeat(10 << 20);
    let mut lines = vec![
        (b"{".to_vec(), Reason::MalformedJson),
        (b"jane@example.org".to_vec(), Reason::MalformedJson),
        (b"{'id':1}".to_vec(), Reason::MalformedJson),
        (order(r#""amount":NaN"#), Reason::MalformedJson),
        (order(r#""amount":Infinity"#), Reason::MalformedJson),
        (order(r#""amount":01"#), Reason::MalformedJson),
        (web(r#""email":"\ud800""#), Reason::MalformedJson),
        (b"[1,2]".to_vec(), Reason::NotAnObject),
        (b"\"jane@example.org\"".to_vec(), Reason::NotAnObject),
        (b"null".to_vec(), Reason::NotAnObject),
        (
            web("\"email\":\"\u{fffd}\"")
                .into_iter()
                .map(|b| if b == 0xef { 0xff } else { b })
                .collect(),
            Reason::NotUtf8,
        ),
        (b"{}".to_vec(), Reason::MissingField),
        (
            format!(r#"{{"ts":{AT},"type":"click"}}"#).into_bytes(),
            Reason::MissingField,
        ),
        (
            format!(r#"{{"id":"","ts":{AT},"type":"click"}}"#).into_bytes(),
            Reason::MissingField,
        ),
        (
            br#"{"id":"x","type":"click","ts":null}"#.to_vec(),
            Reason::MissingField,
        ),
        (
            format!(r#"{{"id":"x","ts":{AT}}}"#).into_bytes(),
            Reason::MissingField,
        ),
        (
            format!(r#"{{"id":"x","ts":{AT},"type":"order"}}"#).into_bytes(),
            Reason::MissingField,
        ),
        (
            format!(r#"{{"id":"x","ts":{AT},"type":"refund","amount":1}}"#).into_bytes(),
            Reason::MissingField,
        ),
        (
            format!(r#"{{"id":"x","ts":{AT},"type":"Click"}}"#).into_bytes(),
            Reason::UnknownType,
        ),
        (web(r#""email":[["jane@example.org"]]"#), Reason::WrongType),
        (web(r#""phone":{"n":"+33612345678"}"#), Reason::WrongType),
        (web(r#""cookie":true"#), Reason::WrongType),
        (web(r#""customer":1.0"#), Reason::WrongType),
        (web(r#""campaign":1e3"#), Reason::WrongType),
        (web(r#""version":"1""#), Reason::WrongType),
        (web(r#""version":1.0"#), Reason::WrongType),
        (
            web(r#""version":9223372036854775808"#),
            Reason::NumberOutOfRange,
        ),
        (order(r#""amount":true"#), Reason::WrongType),
        (at("1700000000000.0"), Reason::WrongType),
        (at("1.7e12"), Reason::WrongType),
        (at("true"), Reason::WrongType),
        (at("\"1700000000000\""), Reason::InvalidTime),
        (at("\"yesterday\""), Reason::InvalidTime),
        (at("\"2023-11-14T22:13:20\""), Reason::TimeWithoutZone),
        (at("\"1969-12-31T23:59:59Z\""), Reason::TimeOutOfRange),
        (at("-1"), Reason::TimeOutOfRange),
        (at("1700000000"), Reason::TimeOutOfRange),
        (at("\"1970-12-31T23:59:59Z\""), Reason::TimeOutOfRange),
        (
            format!(r#"{{"id":"x","ts":{AT},"type":"refund","order_id":"o","amount":"0.00001"}}"#)
                .into_bytes(),
            Reason::TooManyDecimals,
        ),
        (at("\"10000-01-01T00:00:00Z\""), Reason::InvalidTime),
        (at("253402300800000"), Reason::TimeOutOfRange),
        (at("1e400"), Reason::WrongType),
        (at(&(AT + 600_001).to_string()), Reason::TimeInFuture),
        (at("253402300799999"), Reason::TimeInFuture),
        (order(r#""amount":"12.345""#), Reason::TooManyDecimals),
        (
            order(r#""amount":1.5,"currency":"JPY""#),
            Reason::TooManyDecimals,
        ),
        (order(r#""amount":1e-3"#), Reason::TooManyDecimals),
        (order(r#""amount":"1e2""#), Reason::InvalidAmount),
        (order(r#""amount":"1,50""#), Reason::InvalidAmount),
        (order(r#""amount":"NaN""#), Reason::InvalidAmount),
        (
            order(r#""amount":1e13,"currency":"KWD""#),
            Reason::AmountOutOfRange,
        ),
        (
            order(r#""amount":1e999999999999"#),
            Reason::AmountOutOfRange,
        ),
        (
            order(r#""amount":"99999999999999999999999""#),
            Reason::AmountOutOfRange,
        ),
        (
            order(r#""amount":1,"currency":"XXX""#),
            Reason::UnknownCurrency,
        ),
        (
            order(r#""amount":1,"currency":"EURO""#),
            Reason::UnknownCurrency,
        ),
        (
            web(&format!(r#""campaign":"{}""#, "c".repeat(257))),
            Reason::TextTooLong,
        ),
        (
            web(&format!(r#""email":"{}""#, "e".repeat(1025))),
            Reason::TextTooLong,
        ),
        (web(&format!(r#""source":"{long}""#)), Reason::TooLarge),
    ];
    let escaped = "\\u0041".repeat(1_000_000);
    lines.push((
        web(&format!(r#""source":"{escaped}""#)),
        Reason::TextTooLong,
    ));
    lines
}

#[test]
fn every_bad_line_gets_its_reason_and_changes_nothing_else() {
    let lines = bad_lines();
    let mut harness = DecoderHarness::acme();
    let mut alone = DecoderHarness::acme();
    let mut message = Vec::new();
    let mut only_good = Vec::new();
    for (number, (bad, _)) in lines.iter().enumerate() {
        let line = good(number as u32);
        message.extend_from_slice(line.as_bytes());
        message.push(b'\n');
        message.extend_from_slice(bad);
        message.extend_from_slice(b"\r\n\n");
        only_good.extend_from_slice(line.as_bytes());
        only_good.push(b'\n');
    }
    harness.send(WEB, &message);
    alone.send(WEB, &only_good);

    let reasons: Vec<Reason> = lines.iter().map(|(_, reason)| *reason).collect();
    for ((bad, reason), dead) in lines.iter().zip(&harness.kept.dead) {
        let start = String::from_utf8_lossy(&bad[..bad.len().min(200)]).into_owned();
        assert_eq!(dead.reason, *reason, "{start}: {}", dead.detail);
        assert_eq!(dead.payload, *bad);
        assert_eq!(
            (dead.brand.as_deref(), dead.kind.as_deref()),
            (Some("acme"), Some("web"))
        );
        assert_eq!(
            (dead.subject.as_str(), dead.at, dead.arrival.message),
            (WEB, AT, 0)
        );
        assert!(dead.detail.len() < 300);
        for secret in ["jane", "336", "yesterday", "cccc", "NaN", "12.345", "Click"] {
            assert!(!dead.detail.contains(secret), "{}", dead.detail);
        }
    }
    assert_eq!(harness.kept.reasons(), reasons);
    assert_eq!(harness.kept.records(), alone.kept.records());
    assert_eq!(alone.kept.dead, []);
    let places = harness.kept.events.iter().filter_map(|event| match event {
        Event::Put { arrival, .. } => Some(arrival.line),
        _ => None,
    });
    assert!(places.eq((0..lines.len() as u32).map(|n| 2 * n)));
}

#[test]
fn the_other_kinds_have_reasons_of_their_own() {
    let ping = |fields: &str| format!(r#"{{"ts":{AT},"store":"s","sensor":"d",{fields}}}"#);
    let mac = r#""mac":"00:11:22:33:44:55""#;
    for (line, expected) in [
        (
            ping(&format!(r#"{mac},"rssi":21"#)),
            Reason::NumberOutOfRange,
        ),
        (
            ping(&format!(r#"{mac},"rssi":-128"#)),
            Reason::NumberOutOfRange,
        ),
        (
            ping(&format!(r#"{mac},"rssi":99999999999999999999"#)),
            Reason::NumberOutOfRange,
        ),
        (ping(&format!(r#"{mac},"rssi":-60.5"#)), Reason::WrongType),
        (ping(&format!(r#"{mac},"rssi":"-60""#)), Reason::WrongType),
        (ping(mac), Reason::MissingField),
        (ping(r#""rssi":-60"#), Reason::MissingField),
        (
            ping(r#""mac":"00:11:22:33:44","device":"d","rssi":-60"#),
            Reason::InvalidMac,
        ),
        (
            ping(r#""mac":"00:00:00:00:00:00","device":"d","rssi":-60"#),
            Reason::InvalidMac,
        ),
        (
            ping(r#""mac":"01-00-5e-00-00-fb","rssi":-60"#),
            Reason::InvalidMac,
        ),
        (
            ping(r#""mac":"ffffffffffff","rssi":-60"#),
            Reason::InvalidMac,
        ),
        (
            format!(r#"{{"ts":{AT},"store":"s",{mac},"rssi":-60}}"#),
            Reason::MissingField,
        ),
    ] {
        assert_eq!(reason("ping", &line), expected, "{line}");
    }
    for (line, expected) in [
        (r#"{"platform":"p","cost":1}"#, Reason::MissingField),
        (r#"{"date":"2023-11-01","cost":1}"#, Reason::MissingField),
        (
            r#"{"date":"2023-11-01","platform":"p"}"#,
            Reason::MissingField,
        ),
        (
            r#"{"date":"2023-11-31","platform":"p","cost":1}"#,
            Reason::InvalidDate,
        ),
        (
            r#"{"date":"2023-11-01","platform":"p","cost":1,"clicks":-1}"#,
            Reason::NumberOutOfRange,
        ),
        (
            r#"{"date":"2023-11-01","platform":"p","cost":1,"clicks":1.5}"#,
            Reason::WrongType,
        ),
    ] {
        assert_eq!(reason("spend", line), expected, "{line}");
    }
    let sale = |fields: &str| format!(r#"{{"id":"t","ts":{AT},"store":"s"{fields}}}"#);
    assert_eq!(reason("transaction", &sale("")), Reason::MissingField);
    assert_eq!(
        reason("transaction", &sale(r#","order_id":"o""#)),
        Reason::MissingField
    );
    assert_eq!(
        reason("transaction", &sale(r#","amount":1,"store":" ""#)),
        Reason::MissingField
    );
    assert_eq!(
        reason("transaction", &sale(r#","amount":1,"postcode":7.5"#)),
        Reason::WrongType
    );
}

#[test]
fn strict_refuses_fields_that_nobody_knows_without_naming_them() {
    let mut config = config(vec![brand("acme")]);
    let line = format!(r#"{{"id":"x","ts":{AT},"type":"identify","jane@example.org":1}}"#);
    let mut lenient = DecoderHarness::new(&config);
    lenient.send(WEB, line.as_bytes());
    assert_eq!(lenient.kept.records().len(), 1);
    config.ingest.strict = true;
    let mut strict = DecoderHarness::new(&config);
    strict.send(WEB, line.as_bytes());
    strict.send(WEB, good(1).as_bytes());
    assert_eq!(strict.kept.reasons(), [Reason::UnknownField]);
    assert!(!strict.kept.dead[0].detail.contains("jane"));
    assert_eq!(strict.kept.records().len(), 1);
}

#[test]
fn fields_that_the_record_does_not_use_may_hold_anything() {
    let mut harness = DecoderHarness::acme();
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    for fields in [
        r#""type":"click","amount":{},"landing":7,"order_id":[1],"currency":5.5,"rssi":"x""#
            .to_owned(),
        r#""type":"identify","source":{},"url":[],"amount":"x""#.to_owned(),
        r#""type":"refund","order_id":"o","currency":{"a":1},"url":1.5"#.to_owned(),
        r#""type":"order","amount":1,"landing":"x","referrer":{},"tc_string":{}"#.to_owned(),
        format!(r#""type":"view","whatever":{deep}"#),
        format!(r#""type":"view","whatever":"{}""#, "w".repeat(5 << 20)),
    ] {
        harness.send(
            WEB,
            format!(r#"{{"id":"x","ts":{AT},{fields}}}"#).as_bytes(),
        );
    }
    assert_eq!(harness.kept.dead, []);
    assert_eq!(harness.kept.records().len(), 6);
}

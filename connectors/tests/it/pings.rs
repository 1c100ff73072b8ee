//! Pings: which device, which salt day, and the moment from which a ping comes too late.

use crate::common::{AT, brand, config};
use crate::sink::DecoderHarness;
use tributary_connectors::dead_letter::{Ignored, Reason};

const SUBJECT: &str = "tributary.in.acme.ping";

fn line(ts: i64, device: &str) -> String {
    format!(r#"{{"ts":{ts},"store":"s","sensor":"d1",{device},"rssi":-60}}"#)
}

#[test]
fn a_mac_is_one_device_in_any_dress_and_wins_over_device() {
    let mut harness = DecoderHarness::acme();
    for device in [
        r#""mac":"00:11:22:AA:bb:cc""#,
        r#""mac":"001122aabbcc","device":"other""#,
        r#""mac":"0011.22aa.bbcc","device":7"#,
        r#""device":" 001122aabbcc ""#,
        r#""device":"001122aabbcc","mac":null"#,
        r#""mac":"02:11:22:AA:bb:cc""#,
    ] {
        harness.send(SUBJECT, line(AT + 999, device).as_bytes());
    }
    let pings = harness.kept.pings();
    assert_eq!(harness.kept.dead, []);
    assert!(pings[0] == pings[1] && pings[1] == pings[2]);
    assert_eq!(pings[3], pings[4]);
    assert_ne!(pings[0].device, pings[3].device);
    assert_ne!(pings[0].device, pings[5].device);
    let random: Vec<bool> = pings.iter().map(|ping| ping.random).collect();
    assert_eq!(random, [false, false, false, false, false, true]);
    assert_eq!(
        (pings[0].second, pings[0].rssi, pings[0].utc_offset),
        (AT / 1000, -60, 3600)
    );
    assert_eq!(harness.kept.word(pings[0].store), "s");
}

#[test]
fn fixed_devices_are_left_out_and_counted_apart() {
    let mut acme = brand("acme");
    acme.sensors.fixed_devices = vec!["00-11-22-AA-BB-CC".to_owned(), "dc:fb:48:*".to_owned()];
    let mut harness = DecoderHarness::new(&config(vec![acme]));
    for mac in ["001122aabbcc", "dcfb48000000", "dcfb49000000"] {
        harness.send(SUBJECT, line(AT, &format!(r#""mac":"{mac}""#)).as_bytes());
    }
    assert_eq!(
        harness.kept.ignored,
        [Ignored::FixedDevice, Ignored::FixedDevice]
    );
    assert_eq!(
        (harness.kept.pings().len(), harness.kept.dead.len()),
        (1, 0)
    );
}

#[test]
fn pings_of_stores_that_the_brand_does_not_have_are_refused() {
    let device = r#""mac":"001122aabbcc""#;
    let of =
        |store: &str| line(AT, device).replace(r#""store":"s""#, &format!(r#""store":"{store}""#));
    let mut acme = brand("acme");
    acme.sensors.stores = vec!["s".to_owned(), "Caf\u{e9} Lyon".to_owned()];
    let mut harness = DecoderHarness::new(&config(vec![acme]));
    let known = ["s", " s ", "Cafe\u{301} Lyon"];
    for store in known.iter().chain(&["S", "t", "s2"]) {
        harness.send(SUBJECT, of(store).as_bytes());
    }
    assert_eq!(harness.kept.pings().len(), known.len());
    let refused: Vec<Reason> = harness.kept.dead.iter().map(|dead| dead.reason).collect();
    assert_eq!(refused, [Reason::UnknownStore; 3]);

    // Whoever names none takes all.
    let mut harness = DecoderHarness::new(&config(vec![brand("acme")]));
    harness.send(SUBJECT, of("t").as_bytes());
    assert_eq!(harness.kept.pings().len(), 1);
}

#[test]
fn salt_days_run_from_day_start_and_pings_are_late_a_day_after_their_end() {
    let mut acme = brand("acme");
    acme.sensors.day_start_s = 4 * 3600;
    let mut harness = DecoderHarness::new(&config(vec![acme]));
    // 04:00 in Paris on 2023-11-14.
    let start = 1_699_930_800_000;
    let device = r#""mac":"001122aabbcc""#;
    harness.send_with(SUBJECT, start, &[], line(start - 1, device).as_bytes());
    harness.send_with(SUBJECT, start, &[], line(start, device).as_bytes());
    let days: Vec<i32> = harness
        .kept
        .pings()
        .iter()
        .map(|ping| ping.salt_day)
        .collect();
    assert_eq!(days, [19_674, 19_675]);

    let end = start + 86_400_000;
    let salt_destroyed = end + 86_400_000;
    harness.send_with(
        SUBJECT,
        salt_destroyed - 1,
        &[],
        line(start, device).as_bytes(),
    );
    assert_eq!(harness.kept.pings().len(), 3);
    harness.send_with(SUBJECT, salt_destroyed, &[], line(start, device).as_bytes());
    harness.send_with(
        SUBJECT,
        salt_destroyed,
        &[],
        line(end - 1, device).as_bytes(),
    );
    harness.send_with(SUBJECT, salt_destroyed, &[], line(end, device).as_bytes());
    assert_eq!(harness.kept.pings().len(), 4);
    assert_eq!(harness.kept.reasons(), [Reason::LatePing, Reason::LatePing]);
}

#[test]
fn the_offset_is_that_of_the_second() {
    let mut harness = DecoderHarness::acme();
    // The clocks of Paris went back at 2023-10-29T01:00:00Z.
    let change = 1_698_541_200_000;
    for ts in [change - 1, change, change - 1000] {
        harness.send_with(SUBJECT, change, &[], line(ts, r#""device":"d""#).as_bytes());
    }
    let offsets: Vec<i32> = harness
        .kept
        .pings()
        .iter()
        .map(|ping| ping.utc_offset)
        .collect();
    assert_eq!(offsets, [7200, 3600, 7200]);
}

/// A device is read as that of a web record is: a UUID in any case, and no placeholder.
#[test]
fn a_device_is_a_uuid_in_any_case_and_no_placeholder() {
    let mut harness = DecoderHarness::acme();
    for device in [
        "AB12CD34-0000-4000-8000-00000000000F",
        "ab12cd34-0000-4000-8000-00000000000f",
    ] {
        let device = format!(r#""device":"{device}""#);
        harness.send(SUBJECT, line(AT, &device).as_bytes());
    }
    let pings = harness.kept.pings();
    assert_eq!(pings[0].device, pings[1].device);
    let nobody = [
        r#""device":"null""#,
        r#""device":"00000000-0000-0000-0000-000000000000""#,
        r#""device":"undefined""#,
        r#""device":0"#,
    ];
    for device in nobody {
        harness.send(SUBJECT, line(AT, device).as_bytes());
    }
    let reasons: Vec<_> = harness.kept.dead.iter().map(|dead| dead.reason).collect();
    assert_eq!(reasons, [Reason::MissingField; 4]);
}

//! Native partner records: what they become, what refuses them, and what their consent speaks for.

use tributary_config::model::{Format, Kind};
use tributary_connectors::dead_letter::Reason;
use tributary_connectors::settings::{NoiseDraw, settings};
use tributary_operators::event::Event;
use tributary_operators::label::Channel;
use tributary_operators::record::{Body, BrandId, IdKind, Record, SightingCookie, TouchKind};

use crate::common::{AT, brand, config};
use crate::formats::source;
use crate::sink::DecoderHarness;

/// Where records with a `mac` are sent, and others may be.
const SUBJECT: &str = "tributary.in.acme.partner_mac";

/// The zero hour after [`AT`] in Paris, when its salt day ends.
const MIDNIGHT: i64 = 1_700_002_800_000;

const HOUR: i64 = 3_600_000;

const DEVICE: &str = "d1d1d1d1-0000-4000-8000-000000000001";

/// A brand with a source of partners.
fn harness() -> DecoderHarness {
    let mut acme = brand("acme");
    acme.sources = vec![source("partner", Kind::Partner, Format::Native)];
    DecoderHarness::new(&config(vec![acme]))
}

/// The same, of a worker that reads pings from a stream of their own.
fn refusing() -> DecoderHarness {
    let mut harness = harness();
    harness.decoder = harness.decoder.refusing_addresses();
    harness
}

fn sighting(fields: &str) -> String {
    format!(r#"{{"id":"1","ts":{AT},"type":"sighting","store":"s","device":"{DEVICE}"{fields}}}"#)
}

fn record(line: &str) -> Record {
    let mut harness = harness();
    harness.send(SUBJECT, line.as_bytes());
    assert_eq!(harness.kept.dead, []);
    harness.kept.records()[0].clone()
}

fn reason_at(at: i64, line: &str) -> Option<Reason> {
    let mut harness = harness();
    harness.send_with(SUBJECT, at, &[], line.as_bytes());
    assert_eq!(harness.kept.outcomes(), 1, "{line}");
    harness.kept.reasons().first().copied()
}

fn reason(line: &str) -> Option<Reason> {
    reason_at(AT, line)
}

#[test]
fn a_sighting_has_a_store_a_device_and_a_span() {
    let plain = record(&sighting(""));
    let Body::Sighting {
        salt_day,
        until,
        blur,
        cookie,
        ..
    } = plain.body
    else {
        panic!("{plain:?}");
    };
    assert_eq!(
        (salt_day, until, blur, cookie),
        (19_675, AT, 0, SightingCookie::None)
    );
    let upper = sighting("").replace(DEVICE, &DEVICE.to_uppercase());
    assert_eq!(record(&upper), plain);
    let cookie = |fields| match record(&sighting(fields)).body {
        Body::Sighting { cookie, .. } => cookie,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        cookie(r#","offline_cookie":4294967295,"mac":7"#),
        SightingCookie::Cookie(u32::MAX)
    );
    assert_eq!(cookie(r#","offline_cookie":0"#), SightingCookie::Cookie(0));
    let until = |fields: &str| reason(&sighting(&format!(r#","until":{fields}"#)));
    assert_eq!(until(&(AT + 24 * HOUR).to_string()), None);
    for wrong in [AT - 1, AT + 24 * HOUR + 1] {
        assert_eq!(until(&wrong.to_string()), Some(Reason::TimeOutOfRange));
    }
    assert_eq!(until("true"), Some(Reason::WrongType));
}

/// A random address is the one that the phone keeps for the network.
#[test]
fn the_mac_of_a_sighting_meets_the_pings_of_its_device() {
    for (mac, associated) in [("28:fe:34:00:00:0a", false), ("da:fe:34:00:00:01", true)] {
        let Body::Sighting { cookie, .. } = record(&sighting(&format!(r#","mac":"{mac}""#))).body
        else {
            panic!("no sighting");
        };
        let mut harness = harness();
        let ping = format!(
            r#"{{"ts":{AT},"store":"s","sensor":"d","mac":"{mac}","rssi":-60,"associated":{associated}}}"#
        );
        harness.send("tributary.in.acme.ping", ping.as_bytes());
        assert_eq!(
            cookie,
            SightingCookie::Mac(harness.kept.pings()[0].device),
            "{mac}"
        );
    }
    let zero = sighting(r#","mac":"00:00:00:00:00:00""#);
    assert_eq!(reason(&zero), Some(Reason::InvalidMac));
}

/// The broker keeps the subject of everything else for days.
#[test]
fn an_address_in_clear_is_refused_under_the_subject_of_the_kind() {
    let by_mac = r#","mac":"28:fe:34:00:00:0a""#;
    let with_cookie = r#","offline_cookie":1,"mac":"28:fe:34:00:00:0a""#;
    for (subject, is_refused) in [
        ("tributary.in.acme.partner", true),
        ("tributary.in.acme.partner.partner", true),
        ("tributary.in.acme.partner.partner.7", true),
        ("tributary.in.acme.partner_mac", false),
        ("tributary.in.acme.partner_mac.partner", false),
        ("tributary.in.acme.partner_mac.partner.7", false),
    ] {
        for fields in [by_mac, with_cookie, ""] {
            // What comes from a file is kept by no broker.
            let mut of_file = harness();
            of_file.send(subject, sighting(fields).as_bytes());
            assert_eq!(of_file.kept.reasons(), [], "{subject} {fields}");
            let mut harness = refusing();
            harness.send(subject, sighting(fields).as_bytes());
            let expected: &[Reason] = match is_refused && !fields.is_empty() {
                true => &[Reason::MacInClear],
                false => &[],
            };
            assert_eq!(harness.kept.reasons(), expected, "{subject} {fields}");
        }
    }
    let mut harness = refusing();
    harness.send("tributary.in.acme.partner", sighting(by_mac).as_bytes());
    let dead = &harness.kept.dead[0];
    assert!(
        dead.detail
            .contains("tributary.in.acme.partner_mac.partner,"),
        "{}",
        dead.detail
    );
    // A source is one of partners, and not of pings.
    harness.send(
        "tributary.in.acme.partner_mac.ping",
        sighting(by_mac).as_bytes(),
    );
    assert_eq!(harness.kept.reasons()[1], Reason::UnknownSource);
}

#[test]
fn a_sighting_is_late_when_its_day_is_settled_and_by_mac_when_the_salt_is_gone() {
    let by_mac = sighting(r#","mac":"28:fe:34:00:00:0a""#);
    let plain = sighting("");
    let salt_gone = MIDNIGHT + 24 * HOUR;
    assert_eq!(reason_at(salt_gone - 1, &by_mac), None);
    assert_eq!(reason_at(salt_gone, &by_mac), Some(Reason::LateSighting));
    let settled = MIDNIGHT + 7 * 24 * HOUR;
    assert_eq!(reason_at(settled, &plain), None);
    assert_eq!(reason_at(settled + 1, &plain), Some(Reason::LateSighting));
    // What is closed stays closed, whatever arrival a message claims.
    let mut harness = harness();
    harness.decoder.close_salt_days(BrandId::of("acme"), 19_676);
    harness.send(SUBJECT, by_mac.as_bytes());
    harness.send(SUBJECT, plain.as_bytes());
    harness
        .decoder
        .settle_sightings(BrandId::of("acme"), 19_676);
    harness
        .decoder
        .settle_sightings(BrandId::of("acme"), 19_000);
    harness.send(SUBJECT, plain.as_bytes());
    assert_eq!(harness.kept.reasons(), [Reason::LateSighting; 2]);
    assert_eq!(harness.kept.records().len(), 1);
}

#[test]
fn an_exposure_is_a_touch_of_a_channel() {
    let exposure = |fields: &str| {
        format!(r#"{{"id":"1","ts":{AT},"type":"exposure","device":"{DEVICE}"{fields}}}"#)
    };
    let click = r#","touch":"click","source":"waze","campaign":"lyon""#;
    assert_eq!(
        record(&exposure(click)).body,
        Body::Exposure {
            kind: TouchKind::Click,
            channel: Channel::of("waze", "", "lyon"),
        }
    );
    let of = |fields| reason(&exposure(fields));
    assert_eq!(of(r#","source":"waze""#), Some(Reason::MissingField));
    assert_eq!(of(r#","touch":"click""#), Some(Reason::MissingField));
    assert_eq!(
        of(r#","touch":"view","source":"waze""#),
        Some(Reason::UnknownType)
    );
}

#[test]
fn a_link_names_at_least_one_identifier_that_is_not_blocked() {
    let link = |fields: &str| format!(r#"{{"id":"1","ts":{AT},"type":"link"{fields}}}"#);
    let ids = record(&link(
        r#","device":"d","email":"a@example.org","customer":"7","wallet":"W","cookie":"c""#,
    ))
    .ids;
    assert_eq!(ids.ids().len(), 5);
    assert_eq!(
        record(&link(r#","email":"a@example.org""#)).body,
        Body::PartnerLink
    );
    assert_eq!(reason(&link("")), Some(Reason::MissingField));
    let zero = r#","device":"00000000-0000-0000-0000-000000000000""#;
    assert_eq!(reason(&link(zero)), Some(Reason::MissingField));
}

#[test]
fn what_is_missing_or_unknown_refuses_the_record() {
    let without = |field: &str| sighting("").replace(field, "other");
    assert_eq!(reason(&without("store")), Some(Reason::MissingField));
    assert_eq!(reason(&without("device")), Some(Reason::MissingField));
    assert_eq!(
        reason(&sighting("").replace("sighting", "presence")),
        Some(Reason::UnknownType)
    );
    let two = sighting(r#","device":["a","b"]"#);
    assert_eq!(reason(&two), Some(Reason::WrongType));
    for cookie in ["-1", "4294967296"] {
        let line = sighting(&format!(r#","offline_cookie":{cookie}"#));
        assert_eq!(reason(&line), Some(Reason::NumberOutOfRange), "{cookie}");
    }
    let text = sighting(r#","offline_cookie":"7""#);
    assert_eq!(reason(&text), Some(Reason::WrongType));
    let unknown_box = sighting(r#","purposes":{"loyalty":true}"#);
    assert_eq!(reason(&unknown_box), Some(Reason::BadConsent));
    let mut acme = brand("acme");
    acme.sources = vec![source("partner", Kind::Partner, Format::Native)];
    acme.sensors.stores = vec!["other".to_owned()];
    let mut harness = DecoderHarness::new(&config(vec![acme]));
    harness.send(SUBJECT, sighting("").as_bytes());
    assert_eq!(harness.kept.reasons(), [Reason::UnknownStore]);
}

#[test]
fn a_ping_has_the_cookie_that_its_box_made() {
    let mut harness = harness();
    for cookie in ["0", "4294967295", "null", "4294967296", "1.5"] {
        let line = format!(
            r#"{{"ts":{AT},"store":"s","sensor":"d","device":"x","rssi":-60,"offline_cookie":{cookie}}}"#
        );
        harness.send("tributary.in.acme.ping", line.as_bytes());
    }
    let cookies = harness.kept.pings();
    let cookies: Vec<Option<u32>> = cookies.iter().map(|ping| ping.offline_cookie).collect();
    assert_eq!(cookies, [Some(0), Some(u32::MAX), None]);
    assert_eq!(
        harness.kept.reasons(),
        [Reason::NumberOutOfRange, Reason::WrongType]
    );
}

/// The statements among the events: about whom, when, and in which slot they are stored.
fn statements(harness: &DecoderHarness) -> Vec<(Vec<IdKind>, i64, i64, u128)> {
    let statements = harness.kept.events.iter().filter_map(|event| match event {
        Event::Put {
            key,
            version,
            record,
            ..
        } if matches!(record.body, Body::Consent { .. }) => {
            let kinds = record.ids.ids().iter().map(|id| id.kind).collect();
            Some((kinds, *version, record.ts, key.0))
        }
        _ => None,
    });
    statements.collect()
}

/// The checkboxes of a record speak for its device alone, and take effect when they are sent, so that consent that is given
/// again counts again.
#[test]
fn the_consent_of_a_record_is_a_statement_of_its_device() {
    let mut harness = harness();
    for (id, allowed) in [(1, true), (2, false), (3, true)] {
        let line = format!(
            r#"{{"id":"{id}","ts":{},"type":"link","device":"d","email":"a@example.org","purposes":{{"1":{allowed},"9":true}}}}"#,
            AT + id
        );
        harness.send_with(SUBJECT, AT + id, &[], line.as_bytes());
    }
    let [yes, no, again] = &statements(&harness)[..] else {
        panic!("{:?}", harness.kept.events);
    };
    assert_eq!(yes.0, [IdKind::Device]);
    assert_eq!((yes.2, no.2, again.2), (AT + 1, AT + 2, AT + 3));
    assert!(yes.3 == again.3 && yes.3 != no.3);
    assert!(again.1 > yes.1);
    let without = r#"{"id":"4","ts":1700000000000,"type":"link","email":"a@example.org","purposes":{"1":true}}"#;
    let mut nameless = self::harness();
    nameless.send(SUBJECT, without.as_bytes());
    assert_eq!(statements(&nameless)[0].0, [IdKind::Email]);
}

#[test]
fn partners_need_consent_and_a_source_that_the_brand_configures() {
    let of = |brand| {
        let config = config(vec![brand]);
        settings(&config, NoiseDraw::default()).brands[&BrandId::of("acme")].clone()
    };
    let plain = of(brand("acme"));
    assert!(!plain.has_partners && plain.on_consent.is_empty());
    let mut acme = brand("acme");
    acme.sources = vec![source("waze", Kind::Partner, Format::Native)];
    acme.sensors.cookie_bits = 4;
    acme.sensors.cookie_share = 9;
    acme.partners.slack_ms = 7;
    acme.partners.settle_after_ms = 8;
    let with = of(acme);
    assert!(with.has_partners && with.on_consent.len() == 1);
    assert_eq!(
        (
            with.cookie_bits,
            with.cookie_share,
            with.slack,
            with.settle_after
        ),
        (4, 9, 7, 8)
    );
}

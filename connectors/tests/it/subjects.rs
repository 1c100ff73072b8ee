//! Where a message belongs: brands, kinds and sources by subject, and what CloudEvents headers lend.

use crate::common::{AT, brand, config};
use crate::sink::DecoderHarness;
use tributary_config::model::{Brand, Format, HashRule, Kind, Mapping, Source, TimeUnit};
use tributary_connectors::dead_letter::Reason;
use tributary_operators::record::BrandId;

fn with_sources(names: &[&str]) -> Brand {
    let mut acme = brand("acme");
    acme.sources = names
        .iter()
        .map(|name| Source {
            name: name.to_string(),
            kind: Kind::Web,
            format: Format::Native,
            zone: Some(jiff::tz::TimeZone::get("Asia/Tokyo").unwrap()),
            phone_region: Some("GB".to_owned()),
            hash_rule: HashRule::Plain,
            basis: None,
            trust: None,
            unit: TimeUnit::default(),
            arrival_header: false,
            blur_ms: None,
            mapping: Mapping::default(),
        })
        .collect();
    acme
}

fn source_of(names: &[&str], subject: &str, headers: &[(&str, &str)]) -> String {
    let mut harness = DecoderHarness::new(&config(vec![with_sources(names)]));
    let line = format!(r#"{{"id":"w","ts":{AT},"type":"identify"}}"#);
    harness.send_with(subject, AT, headers, line.as_bytes());
    match harness.kept.records().first() {
        Some(record) => harness.kept.word(record.source),
        None => harness.kept.dead[0].reason.name().to_owned(),
    }
}

#[test]
fn a_source_is_named_or_found() {
    let web = "tributary.in.acme.web";
    assert_eq!(source_of(&[], web, &[]), "web");
    assert_eq!(source_of(&[], "tributary.in.acme.web.web", &[]), "web");
    // A partition behind the source changes nothing.
    assert_eq!(source_of(&[], "tributary.in.acme.web.web.12", &[]), "web");
    assert_eq!(source_of(&["shop"], web, &[]), "shop");
    assert_eq!(source_of(&["shop", "app"], web, &[]), "app");
    assert_eq!(source_of(&["shop", "app", "web"], web, &[]), "web");
    assert_eq!(
        source_of(&["shop", "app"], "tributary.in.acme.web.shop", &[]),
        "shop"
    );
    assert_eq!(
        source_of(&["shop"], "tributary.in.acme.web.web", &[]),
        "unknown_source"
    );
    let named = [("Ce-Source", "shop")];
    assert_eq!(source_of(&["shop", "app"], web, &named), "shop");
    assert_eq!(
        source_of(&["shop", "app"], web, &[("ce-source", "other")]),
        "app"
    );
    assert_eq!(
        source_of(&["shop", "app"], "tributary.in.acme.web.app", &named),
        "app"
    );
}

#[test]
fn subjects_that_lead_nowhere_are_refused_whole() {
    let mut harness = DecoderHarness::new(&config(vec![brand("acme"), brand("zeta")]));
    let data = b"{}\nnonsense";
    for (subject, reason, brand, kind) in [
        (
            "tributary.in.other.web",
            Reason::UnknownBrand,
            None,
            Some("web"),
        ),
        (
            "tributary.in.acme.weather",
            Reason::UnknownKind,
            Some("acme"),
            None,
        ),
        (
            "tributary.in.acme.rights",
            Reason::UnknownKind,
            Some("acme"),
            Some("rights"),
        ),
        (
            "tributary.in.acme.partner",
            Reason::UnknownSource,
            Some("acme"),
            Some("partner"),
        ),
        (
            "tributary.in.acme.rights",
            Reason::UnknownKind,
            Some("acme"),
            Some("rights"),
        ),
        (
            "tributary.in.acme.web.x.1.y",
            Reason::MalformedSubject,
            None,
            None,
        ),
        (
            "tributary.in.acme.web.x.",
            Reason::MalformedSubject,
            None,
            None,
        ),
        (
            "tributary.in.acme.web.",
            Reason::MalformedSubject,
            None,
            None,
        ),
        ("tributary.in.acme", Reason::MalformedSubject, None, None),
        ("tributary.in..web", Reason::MalformedSubject, None, None),
        (
            "tributary.out.acme.web",
            Reason::MalformedSubject,
            None,
            None,
        ),
        ("", Reason::MalformedSubject, None, None),
    ] {
        harness.send(subject, data);
        let dead = harness.kept.dead.pop().unwrap();
        assert_eq!(
            (dead.reason, dead.brand.as_deref()),
            (reason, brand),
            "{subject}"
        );
        assert_eq!(dead.kind.as_deref(), kind, "{subject}");
        assert_eq!(
            (dead.subject.as_str(), dead.payload.as_slice()),
            (subject, &data[..])
        );
        assert!(harness.kept.dead.is_empty() && harness.kept.events.is_empty());
    }
}

#[test]
fn brands_are_known_by_their_names_and_share_nothing() {
    let mut harness = DecoderHarness::new(&config(vec![brand("acme"), brand("zeta")]));
    let line = format!(r#"{{"id":"w","ts":{AT},"type":"identify","email":"jane@example.org"}}"#);
    for name in ["zeta", "acme", "zeta"] {
        harness.send(&format!("tributary.in.{name}.web"), line.as_bytes());
    }
    let records = harness.kept.records();
    let brands: Vec<_> = records.iter().map(|record| record.brand).collect();
    assert_eq!(brands, ["zeta", "acme", "zeta"].map(BrandId::of));
    assert_ne!(records[0].ids, records[1].ids);
    assert_eq!(records[0].ids, records[2].ids);
}

#[test]
fn headers_lend_what_a_record_lacks() {
    let headers = [
        ("ce-id", "from-header"),
        ("ce-time", "2023-11-14T22:13:20.5Z"),
    ];
    let mut harness = DecoderHarness::acme();
    let web = "tributary.in.acme.web";
    harness.send_with(web, AT, &headers, br#"{"type":"identify"}"#);
    let own = br#"{"id":"own","ts":31536000001,"type":"identify"}"#;
    harness.send_with(web, AT, &headers, own);
    harness.send_with(
        web,
        AT,
        &[("ce_id", "x"), ("ce_time", "bad")],
        br#"{"type":"identify"}"#,
    );
    // One id for several records would make each a correction of the one before, so each gets its place.
    harness.send_with(
        web,
        AT,
        &headers,
        b"{\"type\":\"identify\"}\n{\"type\":\"identify\"}",
    );
    let heads: Vec<_> = harness
        .kept
        .records()
        .iter()
        .map(|r| (r.id.to_string(), r.ts))
        .collect();
    assert_eq!(
        heads,
        [
            ("from-header".to_owned(), AT + 500),
            ("own".to_owned(), 31_536_000_001),
            ("from-header/0".to_owned(), AT + 500),
            ("from-header/1".to_owned(), AT + 500)
        ]
    );
    assert_eq!(harness.kept.reasons(), [Reason::InvalidTime]);
}

#[test]
fn zone_and_region_are_the_sources() {
    let mut harness = DecoderHarness::new(&config(vec![with_sources(&["shop"])]));
    let line = r#"{"id":"w","ts":"2023-11-14 07:00:00","type":"identify","phone":"020 7946 0018"}"#;
    harness.send("tributary.in.acme.web", line.as_bytes());
    let line =
        r#"{"id":"x","ts":"2023-11-13T22:00:00Z","type":"identify","phone":"+44 20 7946 0018"}"#;
    harness.send("tributary.in.acme.web", line.as_bytes());
    let records = harness.kept.records();
    assert_eq!(records[0].ts, records[1].ts);
    assert_eq!(records[0].ids, records[1].ids);
    assert_eq!(records[0].ids.ids().len(), 1);
}

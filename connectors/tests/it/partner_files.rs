//! The visit files of location partners: dwell in minutes, advertising identifiers in any case, and the zero one.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tributary_config::model::{
    Brand, Column, Csv, DecimalMark, Encoding, Format, Kind, Mapping, Source,
};
use tributary_connectors::csv;
use tributary_connectors::dead_letter::Reason;
use tributary_operators::record::Body;

use crate::common::{brand, config};
use crate::formats::{decode_with, source};
use crate::shared_csv::file;
use crate::sink::DecoderHarness;

/// The columns of Foursquare's standard feed.
const VISITS: &str = "maid,venue_id,protected_timestamp,dwell,source_indicator
9745fc4b-13f4-477b-9dcc-47728a74f974,store-2,2026-05-22T09:15:03Z,7,1P
9745FC4B-13F4-477B-9DCC-47728A74F974,store-2,2026-05-22T17:15:03Z,12,3P
00000000-0000-0000-0000-000000000000,store-2,2026-05-22T10:00:00Z,5,1P
";

/// The brand `acme` with a source of such files.
fn acme() -> (Brand, Source) {
    let name = |name: &str| Column::Name(name.to_owned());
    let columns = [
        (
            "id",
            Column::Join {
                columns: ["maid", "venue_id", "protected_timestamp"]
                    .map(str::to_owned)
                    .into(),
                with: "|".to_owned(),
            },
        ),
        ("ts", name("protected_timestamp")),
        ("type", Column::Const("sighting".to_owned())),
        ("device", name("maid")),
        ("store", name("venue_id")),
        ("until", name("dwell")),
    ];
    let map = Csv {
        delimiter: b',',
        columns: columns
            .map(|(field, column)| (field.to_owned(), column))
            .into(),
        sum_rows: false,
        only: BTreeMap::new(),
        decimal: DecimalMark::default(),
        encoding: Encoding::default(),
        time_patterns: Vec::new(),
        nulls: vec!["NULL".to_owned()],
    };
    let source = Source {
        blur_ms: Some(7_200_000),
        mapping: Mapping {
            stores: [("store-2".to_owned(), "Lyon 2".to_owned())].into(),
            ..Mapping::default()
        },
        ..source("visits", Kind::Partner, Format::Csv(map))
    };
    let mut acme = brand("acme");
    acme.sources = vec![source.clone()];
    (acme, source)
}

/// What each row of a file becomes, as the command `decode` writes it.
fn gives(data: &[u8]) -> Vec<Value> {
    let (brand, source) = acme();
    let rows = csv::of_bytes("visits.csv", data.to_vec().into(), &brand, &source).unwrap();
    let gives = rows.map(|line| {
        let line = line.unwrap();
        json!(decode_with(brand.clone(), "visits", line.at, &[], &line.data).gives)
    });
    gives.collect()
}

#[test]
fn a_row_is_a_sighting_as_long_as_its_dwell() {
    let record = |id: &str, ts: &str, until: &str| {
        json!([{"kind": "partner", "data": {
            "device": "9745fc4b-13f4-477b-9dcc-47728a74f974", "id": id, "store": "Lyon 2",
            "ts": ts, "type": "sighting", "until": until,
        }}])
    };
    assert_eq!(
        gives(VISITS.as_bytes()),
        [
            record(
                "9745fc4b-13f4-477b-9dcc-47728a74f974|store-2|2026-05-22T09:15:03Z",
                "2026-05-22T09:15:03Z",
                "2026-05-22T09:22:03Z",
            ),
            record(
                "9745FC4B-13F4-477B-9DCC-47728A74F974|store-2|2026-05-22T17:15:03Z",
                "2026-05-22T17:15:03Z",
                "2026-05-22T17:27:03Z",
            ),
            json!([{"refused": "missing_field"}]),
        ]
    );
}

#[test]
fn the_public_sample_becomes_what_it_says() {
    let (Some(visits), Some(expected)) = (
        file("formats/partner_visits/visits.csv"),
        file("formats/partner_visits/expected.ndjson"),
    ) else {
        return;
    };
    let expected = std::fs::read_to_string(expected).unwrap();
    let expected = expected.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        for one in line["gives"].as_array_mut().unwrap() {
            one.as_object_mut().unwrap().remove("detail");
        }
        line["gives"].take()
    });
    let expected: Vec<Value> = expected.collect();
    assert_eq!(gives(&std::fs::read(visits).unwrap()), expected);
}

/// Both rows are of one device, and times are as blurred as the source says.
#[test]
fn rows_that_differ_by_case_are_of_one_device() {
    let (brand, source) = acme();
    let mut harness = DecoderHarness::new(&config(vec![brand.clone()]));
    let rows = csv::of_bytes("visits.csv", VISITS.into(), &brand, &source).unwrap();
    for line in rows {
        let line = line.unwrap();
        harness.send_with(&line.subject, line.at, &[], &line.data);
    }
    let records = harness.kept.records();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].ids, records[1].ids);
    for record in records {
        let Body::Sighting { blur, store, .. } = record.body else {
            panic!("{record:?}");
        };
        assert_eq!((blur, &*harness.kept.word(store)), (7_200_000, "Lyon 2"));
    }
    assert_eq!(harness.kept.reasons(), [Reason::MissingField]);
}

#[test]
fn a_dwell_that_no_sighting_has_is_refused() {
    for dwell in ["1441", "99999999999999999999", "-5", "7.5", "an hour"] {
        let row =
            format!("maid,venue_id,protected_timestamp,dwell\nd,s,2026-05-22T09:15:03Z,{dwell}\n");
        let gives = gives(row.as_bytes());
        let reason = gives[0][0]["refused"].as_str();
        assert!(
            matches!(reason, Some("time_out_of_range" | "invalid_time")),
            "{dwell}: {gives:?}"
        );
    }
    let day = "maid,venue_id,protected_timestamp,dwell\nd,s,2026-05-22T09:15:03Z,1440\n";
    assert_eq!(
        gives(day.as_bytes())[0][0]["data"]["until"],
        "2026-05-23T09:15:03Z"
    );
}

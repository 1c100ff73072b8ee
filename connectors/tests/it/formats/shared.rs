//! The samples of all formats beside the repository, field by field.

use serde_json::{Value, json};
use tributary_config::model::{AccountDelete, Brand};
use tributary_connectors::formats;
use tributary_connectors::trace::TraceLine;

use super::{AT, Given, acme, decode_with};
use crate::shared_csv::file;

/// 2100-01-01T00:00:00Z: the rows of a file have arrived whenever they are read.
const LATER: i64 = 4_102_444_800_000;

/// The members `gives` of expected lines, without what only explains them.
fn expected(path: &str) -> Option<Vec<Value>> {
    let text = std::fs::read_to_string(file(path)?).unwrap();
    let lines = text.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        for one in line["gives"].as_array_mut().unwrap() {
            one.as_object_mut().unwrap().remove("detail");
        }
        line["gives"].take()
    });
    Some(lines.collect())
}

/// Compares each line of a sample with what it must become.
fn assert_sample(source: &str, sample: &str, expectation: &str) {
    assert_sample_of(acme(), source, sample, expectation);
}

/// The same with a brand of its own.
fn assert_sample_of(brand: Brand, source: &str, sample: &str, expectation: &str) {
    let (Some(path), Some(expected)) = (
        file(&format!("formats/{sample}")),
        expected(&format!("formats/{expectation}")),
    ) else {
        return;
    };
    let data = std::fs::read(path).unwrap();
    let format = brand.sources.iter().find(|one| one.name == source);
    let format = format.unwrap().format.clone();
    let given: Vec<Given> = match formats::is_document(&format, &data) {
        true => formats::items(&format, &data)
            .map(|item| decode_with(brand.clone(), source, LATER, &[], &item))
            .collect(),
        false => data
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| match TraceLine::parse(line) {
                Some(line) => {
                    decode_with(brand.clone(), source, line.at, &line.headers, &line.data)
                }
                None => decode_with(brand.clone(), source, AT, &[], line),
            })
            .collect(),
    };
    assert_eq!(given.len(), expected.len(), "{sample}");
    for (line, (given, expected)) in (1..).zip(given.iter().zip(expected)) {
        assert_eq!(json!(given.gives), expected, "{sample}, line {line}");
    }
}

/// With the setting that the sample of a deleted account assumes.
#[test]
fn apple_signin() {
    let mut acme = acme();
    for source in &mut acme.sources {
        source.mapping.account_delete = Some(AccountDelete::Erase);
    }
    assert_sample_of(
        acme,
        "apple_signin",
        "apple_signin/notifications.ndjson",
        "apple_signin/expected.ndjson",
    );
}

#[test]
fn segment() {
    assert_sample(
        "segment",
        "segment/messages.ndjson",
        "segment/expected.ndjson",
    );
}

#[test]
fn apple_wallet() {
    assert_sample(
        "apple_wallet",
        "apple_wallet/webservice_log.ndjson",
        "apple_wallet/expected.ndjson",
    );
}

#[test]
fn snowplow() {
    assert_sample(
        "snowplow",
        "snowplow/enriched.tsv",
        "snowplow/enriched.expected.ndjson",
    );
}

#[test]
fn meraki() {
    assert_sample("meraki", "meraki/messages.ndjson", "meraki/expected.ndjson");
}

#[test]
fn google_offline() {
    for name in ["click_conversions", "adjustments"] {
        let sample = format!("google_offline/{name}.csv");
        assert_sample(
            "google",
            &sample,
            &format!("google_offline/{name}.expected.ndjson"),
        );
    }
    let name = "google_offline/data_manager_events";
    assert_sample(
        "google",
        &format!("{name}.ndjson"),
        &format!("{name}.expected.ndjson"),
    );
}

#[test]
fn meta() {
    assert_sample(
        "meta",
        "meta_capi/messages.ndjson",
        "meta_capi/expected.ndjson",
    );
}

#[test]
fn ga4_bigquery() {
    assert_sample(
        "ga4",
        "ga4_bigquery/rows.ndjson",
        "ga4_bigquery/expected.ndjson",
    );
}

#[test]
fn cloud_events() {
    assert_sample(
        "web",
        "cloudevents/messages.ndjson",
        "cloudevents/expected.ndjson",
    );
}

/// The published sample of the analytics SDKs is one event in two forms.
#[test]
fn the_two_forms_of_a_snowplow_event_are_one() {
    let folder = "formats/snowplow/sdk_sample";
    let (Some(tsv), Some(json)) = (
        file(&format!("{folder}.tsv")),
        file(&format!("{folder}.expected.json")),
    ) else {
        return;
    };
    let [tsv, json] = [tsv, json].map(|path| {
        let data = std::fs::read(path).unwrap();
        let given = decode_with(acme(), "snowplow", AT, &[], &data);
        given.gives
    });
    assert_eq!(tsv, json);
    assert_eq!(tsv.len(), 1);
    assert_eq!(tsv[0]["data"]["cookie"], "bc2e92ec6c204a14");
}

/// The columns are those of the published list, in its order.
#[test]
fn the_columns_of_snowplow_are_the_published_ones() {
    if let Some(path) = file("formats/snowplow/columns.txt") {
        let text = std::fs::read_to_string(path).unwrap();
        let columns: Vec<&str> = text.lines().collect();
        assert_eq!(columns, formats::snowplow::COLUMNS);
    }
}

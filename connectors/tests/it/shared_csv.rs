//! Real files of others, read as they are: every row becomes a record or a ping, and what the files
//! hold comes out to the cent.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::common::{brand, config};
use crate::sink::{DecoderHarness, Kept};
use tributary_config::model::{
    Column, Csv, DecimalMark, Encoding, Format, HashRule, Kind, Mapping, Source, TimeUnit,
};
use tributary_connectors::csv;
use tributary_operators::record::Body;

pub fn file(path: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let file = root.join(path);
    if !file.exists() {
        skipped(format_args!("{path} of the public data is not here"));
        return None;
    }
    Some(file)
}

fn read(path: &str, kind: Kind, zone: Option<&str>, map: Csv) -> Option<Kept> {
    let path = file(path)?;
    let mut acme = brand("acme");
    let source = Source {
        name: "files".to_owned(),
        kind,
        format: Format::Csv(map),
        zone: zone.map(|zone| jiff::tz::TimeZone::get(zone).unwrap()),
        phone_region: None,
        hash_rule: HashRule::Plain,
        basis: None,
        trust: None,
        unit: TimeUnit::default(),
        arrival_header: false,
        blur_ms: None,
        mapping: Mapping::default(),
    };
    acme.sources = vec![source.clone()];
    let mut harness = DecoderHarness::new(&config(vec![acme.clone()]));
    for line in csv::open(&path, &acme, &source, i64::MAX).unwrap() {
        let line = line.unwrap();
        harness.send_with(&line.subject, line.at, &[], &line.data);
    }
    Some(harness.kept)
}

fn map(columns: &[(&str, &str)], sum_rows: bool) -> Csv {
    let column = |(field, name): &(&str, &str)| {
        let column = match name.strip_prefix('=') {
            Some(text) => Column::Const(text.to_owned()),
            None => Column::Name(name.to_string()),
        };
        (field.to_string(), column)
    };
    Csv {
        delimiter: b',',
        columns: columns.iter().map(column).collect(),
        sum_rows,
        only: BTreeMap::new(),
        decimal: DecimalMark::default(),
        encoding: Encoding::default(),
        time_patterns: Vec::new(),
        nulls: vec!["NULL".to_owned()],
    }
}

fn total(kept: &Kept) -> i64 {
    let amount = |body: &Body| match body {
        Body::Sale { amount, .. } | Body::Adjustment { amount, .. } => *amount,
        _ => 0,
    };
    kept.records()
        .iter()
        .map(|record| amount(&record.body))
        .sum()
}

#[test]
fn baskets_of_a_supermarket() {
    let columns = [
        ("id", "basket_id"),
        ("ts", "transaction_ts_utc"),
        ("store", "store_id"),
        ("amount", "sales_value"),
        ("currency", "=USD"),
        ("customer", "household_id"),
    ];
    let path = "crm_completejourney/transactions_sample.csv.gz";
    let (Some(baskets), Some(lines)) = (
        read(path, Kind::Transaction, None, map(&columns, true)),
        read(path, Kind::Transaction, None, map(&columns, false)),
    ) else {
        return;
    };
    assert_eq!(lines.records().len(), 50_723);
    assert!(baskets.records().len() < 50_723);
    assert_eq!((baskets.dead.len(), lines.dead.len()), (0, 0));
    assert_eq!(total(&baskets), total(&lines));
    assert!(total(&baskets) > 10_000_000);
    assert!(
        baskets
            .records()
            .iter()
            .all(|record| record.ids.ids().len() == 1)
    );
}

#[test]
fn invoices_of_a_web_shop() {
    let columns = [
        ("id", "InvoiceNo"),
        ("ts", "InvoiceDate"),
        ("store", "=web"),
        ("amount", "amount_gbp"),
        ("currency", "=GBP"),
        ("customer", "CustomerID"),
    ];
    let path = "crm_online_retail/invoices_full_period.csv.gz";
    let map = map(&columns, false);
    let Some(kept) = read(path, Kind::Transaction, Some("Europe/London"), map) else {
        return;
    };
    assert_eq!(kept.records().len() + kept.dead.len(), 17_330);
    let reasons = kept.reasons();
    assert!(reasons.is_empty(), "{:?}", &kept.dead[0]);
    let cancelled = |body: &Body| matches!(body, Body::Adjustment { .. });
    assert!(kept.records().iter().any(|record| cancelled(&record.body)));
}

#[test]
fn probes_of_a_laboratory() {
    let columns = [
        ("ts", "datetime"),
        ("store", "=lab"),
        ("sensor", "sensor"),
        ("mac", "src"),
        ("rssi", "rssi"),
    ];
    let path = "wifi_probe_brno/probes_2024-03-21.csv.gz";
    let mut count = 0;
    // The file marks random addresses itself.
    for (mark, expected) in [("0", false), ("1", true)] {
        let mut map = map(&columns, false);
        map.only.insert("randomized".to_owned(), mark.to_owned());
        let Some(kept) = read(path, Kind::Ping, Some("Europe/Prague"), map) else {
            return;
        };
        assert_eq!(kept.dead, []);
        assert!(kept.pings().iter().all(|ping| ping.random == expected));
        count += kept.pings().len();
    }
    assert_eq!(count, 37_505);
}

/// Says that a test is left out, past the capture of its output; with `CI=true` nothing may be.
fn skipped(reason: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{reason}");
}

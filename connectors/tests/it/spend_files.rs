//! Spend as advertising platforms export it: dates in the form of a country, counts with thousands grouped.

use std::collections::BTreeMap;

use tributary_config::model::{Column, Csv, DecimalMark, Encoding, Format, Kind};
use tributary_connectors::csv;
use tributary_operators::event::Event;
use tributary_operators::record::{Body, RecordKey};

use crate::common::brand;
use crate::formats::{decode_with, source};

/// The key, cost, impressions and clicks of each row, or the detail of its refusal.
fn read(rows: &str) -> Vec<Result<(RecordKey, i64, u64, u64), String>> {
    let columns = [
        ("date", "Tag"),
        ("platform", "Netz"),
        ("cost", "Kosten"),
        ("impressions", "Impr."),
        ("clicks", "Klicks"),
    ];
    let columns = columns.map(|(field, name)| (field.to_owned(), Column::Name(name.to_owned())));
    let map = Csv {
        delimiter: b';',
        columns: columns.into(),
        sum_rows: false,
        only: BTreeMap::new(),
        decimal: DecimalMark::Comma,
        encoding: Encoding::default(),
        time_patterns: vec!["%d.%m.%Y".to_owned()],
        nulls: vec!["--".to_owned()],
    };
    let ads = source("ads", Kind::Spend, Format::Csv(map));
    let mut acme = brand("acme");
    acme.sources = vec![ads.clone()];
    let text = format!("Tag;Netz;Kosten;Impr.;Klicks\n{rows}");
    let lines = csv::of_bytes("ads.csv", text.into(), &acme, &ads).unwrap();
    let read = lines.map(|line| {
        let given = decode_with(acme.clone(), "ads", i64::MAX / 4, &[], &line.unwrap().data);
        let spend = given.events.iter().find_map(|event| match event {
            Event::Put { key, record, .. } => match record.body {
                Body::Spend {
                    cost,
                    impressions,
                    clicks,
                    ..
                } => Some((*key, cost, impressions, clicks)),
                _ => None,
            },
            _ => None,
        });
        spend.ok_or_else(|| given.dead[0].detail.clone())
    });
    read.collect()
}

#[test]
fn dates_follow_the_patterns_and_counts_the_decimal_mark() {
    let rows = read(
        "01.05.2026;google;1.234,50;12.345;67\n2026-05-01;google;1,50;1 000;2,0\n2026-05-01T00:00:00Z;google;1;--;\n02.05.2026;google;1;1;1\n",
    );
    let rows: Vec<_> = rows.into_iter().map(Result::unwrap).collect();
    let figures = |place: usize| (rows[place].1, rows[place].2, rows[place].3);
    assert_eq!(figures(0), (123_450, 12_345, 67));
    assert_eq!(figures(1), (150, 1_000, 2));
    assert_eq!(figures(2), (100, 0, 0));
    // One day is one record, however it is written.
    assert!(rows[0].0 == rows[1].0 && rows[1].0 == rows[2].0 && rows[0].0 != rows[3].0);
}

#[test]
fn a_refusal_names_the_column_and_the_remedy() {
    let detail = |row: &str| read(row).remove(0).unwrap_err();
    let date = detail("05/01/2026;google;1;1;1\n");
    assert!(
        date.contains("`date` (column `Tag`)") && date.contains("time_patterns"),
        "{date}"
    );
    assert!(detail("01.05.2026;google;1;1,5;1\n").contains("`impressions` (column `Impr.`)"));
}

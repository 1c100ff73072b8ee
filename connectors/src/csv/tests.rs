use std::collections::BTreeMap;
use std::io::Write;

use tributary_config::model::{
    Column, Csv, DecimalMark, Encoding, Format, HashRule, Kind, Mapping, Source, TimeUnit,
};

use super::*;
use crate::fixture;

fn name(column: &str) -> Column {
    Column::Name(column.to_owned())
}

fn source(columns: &[(&str, Column)]) -> (Source, Csv) {
    let columns = columns.iter().cloned();
    let map = Csv {
        delimiter: b';',
        columns: columns
            .map(|(field, column)| (field.to_owned(), column))
            .collect(),
        sum_rows: false,
        only: BTreeMap::new(),
        decimal: DecimalMark::default(),
        encoding: Encoding::default(),
        time_patterns: Vec::new(),
        nulls: vec!["NULL".to_owned()],
    };
    let source = Source {
        name: "till".to_owned(),
        kind: Kind::Transaction,
        format: Format::Native,
        zone: Some(jiff::tz::TimeZone::UTC),
        phone_region: None,
        hash_rule: HashRule::Plain,
        basis: None,
        trust: None,
        unit: TimeUnit::default(),
        arrival_header: false,
        blur_ms: None,
        mapping: Mapping::default(),
    };
    (source, map)
}

/// The latest arrival of these tests, 2001-09-14.
const LATEST: i64 = 1_000_425_600_000;

fn read(file: &Path, mut source: Source, map: Csv) -> Result<Vec<(i64, String)>, CsvError> {
    source.format = Format::Csv(map);
    let rows = open(file, &fixture::brand("acme"), &source, LATEST)?;
    rows.map(|line| {
        let line = line?;
        assert_eq!(line.subject, "tributary.in.acme.transaction.till");
        Ok((line.at, String::from_utf8_lossy(&line.data).into_owned()))
    })
    .collect()
}

#[test]
fn columns_constants_joins_and_lookups() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sales.csv.gz");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let rows = "\u{feff}when;basket;line;customer;state\n\
        2001-09-10;b1;1;c1;ok\n2001-09-11;b1;2;;ok\nnever;\"b\"\"2\";;c9;ok\n2001-09-13;b3;1;c1;no\n";
    gzip.write_all(rows.as_bytes()).unwrap();
    std::fs::write(&file, gzip.finish().unwrap()).unwrap();
    std::fs::write(
        folder.path().join("people.csv"),
        "key;mail\nc1;a@b.c\nc1;late\n",
    )
    .unwrap();
    let (source, mut map) = source(&[
        ("ts", name("when")),
        ("store", Column::Const("s1".to_owned())),
        (
            "id",
            Column::Join {
                columns: vec!["basket".to_owned(), "line".to_owned()],
                with: "/".to_owned(),
            },
        ),
        (
            "email",
            Column::Lookup {
                file: "people.csv".to_owned(),
                by: "customer".to_owned(),
                key: "key".to_owned(),
                value: "mail".to_owned(),
            },
        ),
    ]);
    map.only.insert("state".to_owned(), "ok".to_owned());
    let rows = read(&file, source.clone(), map.clone()).unwrap();
    let day = 1_000_080_000_000;
    let next = day + 86_400_000;
    let expected = [
        (
            day,
            r#"{"email":"a@b.c","id":"b1/1","store":"s1","ts":"2001-09-10"}"#,
        ),
        (next, r#"{"id":"b1/2","store":"s1","ts":"2001-09-11"}"#),
        (next, r#"{"store":"s1","ts":"never"}"#),
    ];
    assert_eq!(rows, expected.map(|(at, line)| (at, line.to_owned())));
    map.columns.insert("wallet".to_owned(), name("card"));
    let error = read(&file, source, map).unwrap_err();
    assert!(matches!(error, CsvError::NoColumn { column, .. } if column == "card"));
}

#[test]
fn what_cannot_be_a_record_is_an_array() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines.csv");
    let rows = "id;ts;amount;cur\nb;31536000001;1;EUR\nc;31536000002;3;EUR;x\nb;31536000003;2;usd\nc;31536000004;5;EUR\nd;31536000005;\"a\tb\"\ne;31536000006;7;\ne;31536000007;8;eur\n";
    std::fs::write(&file, rows).unwrap();
    let columns = [
        ("id", name("id")),
        ("ts", name("ts")),
        ("amount", name("amount")),
        ("currency", name("cur")),
    ];
    let (tills, mut map) = source(&columns);
    let rows = read(&file, tills.clone(), map.clone()).unwrap();
    assert_eq!(
        rows[1],
        (
            31_536_000_001,
            r#"["c","31536000002","3","EUR","x"]"#.to_owned()
        )
    );
    assert_eq!(
        rows[4],
        (
            31_536_000_004,
            "[\"d\",\"31536000005\",\"a\\u0009b\"]".to_owned()
        )
    );
    map.sum_rows = true;
    let expected = [
        r#"[{"amount":"1","currency":"EUR","id":"b","ts":"31536000001"},{"amount":"2","currency":"usd","id":"b","ts":"31536000001"}]"#,
        r#"[["c","31536000002","3","EUR","x"],{"amount":"5","currency":"EUR","id":"c","ts":"31536000004"}]"#,
        "[[\"d\",\"31536000005\",\"a\\u0009b\"]]",
        r#"{"amount":"15","currency":"eur","id":"e","ts":"31536000006"}"#,
    ];
    let rows = read(&file, tills, map).unwrap();
    let texts: Vec<String> = rows.into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, expected);
}

#[test]
fn a_file_that_is_looked_up_must_fit_its_header() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines.csv");
    std::fs::write(&file, "id\n1\n").unwrap();
    std::fs::write(folder.path().join("people.csv"), "key;mail\n1;a@b.c;x\n").unwrap();
    let lookup = Column::Lookup {
        file: "people.csv".to_owned(),
        by: "id".to_owned(),
        key: "key".to_owned(),
        value: "mail".to_owned(),
    };
    let (tills, map) = source(&[("id", name("id")), ("email", lookup)]);
    let error = read(&file, tills, map).unwrap_err();
    assert!(error.to_string().contains("people.csv"), "{error}");
}

#[test]
fn rows_of_one_basket_are_one_record() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines.csv");
    let rows = "id;ts;amount\nb;31536000001;0.10\na;31536000002;5\nb;31536000003;0.20\n;31536000004;7\nb;31536000005;-0.05\n;31536000006;8\n";
    std::fs::write(&file, rows).unwrap();
    let (source, mut map) = source(&[
        ("id", name("id")),
        ("ts", name("ts")),
        ("amount", name("amount")),
    ]);
    map.sum_rows = true;
    let expected = [
        (
            31_536_000_001,
            r#"{"amount":"0.25","id":"b","ts":"31536000001"}"#,
        ),
        (
            31_536_000_002,
            r#"{"amount":"5","id":"a","ts":"31536000002"}"#,
        ),
        (31_536_000_004, r#"{"amount":"7","ts":"31536000004"}"#),
        (31_536_000_006, r#"{"amount":"8","ts":"31536000006"}"#),
    ];
    let rows = read(&file, source, map).unwrap();
    assert_eq!(rows, expected.map(|(at, line)| (at, line.to_owned())));
}

#[test]
fn a_native_source_has_no_rows() {
    let (source, _) = source(&[]);
    let error = open(
        Path::new("nowhere.csv"),
        &fixture::brand("acme"),
        &source,
        LATEST,
    )
    .err();
    assert!(matches!(error, Some(CsvError::NotCsv { .. })));
}

/// The rows of a text, with the column map of a till.
fn rows_of(text: &str, change: impl FnOnce(&mut Csv)) -> Result<Vec<(i64, String)>, CsvError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("till.csv");
    std::fs::write(&file, text).unwrap();
    let (source, mut map) = source(&[
        ("id", name("id")),
        ("ts", name("ts")),
        ("amount", name("amount")),
    ]);
    change(&mut map);
    read(&file, source, map)
}

#[test]
fn white_space_and_nulls_are_no_content() {
    let text = " id;ts ;amount\n b ;2001-09-10;\u{a0}1 \nNULL;2001-09-11; \n b;2001-09-12; NULL \n";
    let texts = |rows: Vec<(i64, String)>| rows.into_iter().map(|(_, text)| text);
    let rows: Vec<String> = texts(rows_of(text, |_| {}).unwrap()).collect();
    let expected = [
        r#"{"amount":"1","id":"b","ts":"2001-09-10"}"#,
        r#"{"ts":"2001-09-11"}"#,
        r#"{"id":"b","ts":"2001-09-12"}"#,
    ];
    assert_eq!(rows, expected);
    let sums = rows_of(text, |map| map.sum_rows = true).unwrap();
    assert_eq!(texts(sums).collect::<Vec<_>>(), expected[..2]);
    let kept = rows_of(text, |map| map.nulls.clear()).unwrap();
    assert_eq!(kept[1].1, r#"{"id":"NULL","ts":"2001-09-11"}"#);
}

#[test]
fn a_time_beyond_the_present_is_no_arrival() {
    let text = "id;ts;amount\na;2062-09-10;1\nb;2001-09-10;1\nc;2062-09-11;1\nd;2001-09-11;1\n";
    let day = 1_000_080_000_000;
    let arrivals: Vec<i64> = rows_of(text, |_| {})
        .unwrap()
        .iter()
        .map(|row| row.0)
        .collect();
    assert_eq!(arrivals, [0, day, day, day + 86_400_000]);
}

#[test]
fn rows_that_the_filter_leaves_out_are_counted() {
    let (mut source, mut map) = source(&[("id", name("id")), ("ts", name("ts"))]);
    map.only.insert("state".to_owned(), " paid".to_owned());
    source.format = Format::Csv(map);
    let text = "id;ts;state\n1;2001-09-10;paid \n2;2001-09-10;Paid\n3;2001-09-10;PAID\n";
    let mut rows = of_bytes("the body", text.into(), &fixture::brand("acme"), &source).unwrap();
    assert_eq!(rows.by_ref().count(), 1);
    assert_eq!(rows.left_out(), 2);
}

#[test]
fn a_column_that_is_missing_shows_the_header_and_the_remedy() {
    let said = |text: &str| rows_of(text, |_| {}).unwrap_err().to_string();
    let other = said("id,ts,amount\n");
    assert!(other.contains("`id,ts,amount`"), "{other}");
    assert!(other.contains("set `delimiter = \",\"`"), "{other}");
    let title = said("Sales report;;\nid;ts;amount\n");
    assert!(title.contains("`Sales report`"), "{title}");
    assert!(said("\u{feff}i\n").contains("no column `amount`"));
}

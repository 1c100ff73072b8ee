//! How well deterministic links find who is one person, against the true clusters of public data sets.
//!
//! The records go through the real decoder and the real identity graph with the default guards. Precision and
//! recall are of pairs of records. The table in `loadtest/IDENTITY.md` must be what this test computes;
//! `TRIBUTARY_WRITE=1` writes it.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tributary_connectors::dead_letter::{DeadLetter, Ignored, Sink};
use tributary_connectors::decode::{Decoder, Message};
use tributary_operators::engine::KeyedOperator;
use tributary_operators::event::Event;
use tributary_operators::facts::IdSetUse;
use tributary_operators::id_sets::counts::{IdSetCounts, IdSetCountsIn};
use tributary_operators::identity::graph::Graph;
use tributary_operators::identity::outcome::GraphOut;
use tributary_operators::record::Record;
use tributary_testkit::skipped;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/identity")
}

fn read(path: &Path) -> String {
    let mut text = String::new();
    let mut file = tributary_connectors::files::open(path).expect("the file opens");
    file.reader
        .read_to_string(&mut text)
        .expect("the file is text");
    text
}

/// The fields of each CSV row by name.
fn rows(text: &str) -> Vec<HashMap<String, String>> {
    let cells = |line: &str| -> Vec<String> {
        let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
        for c in line.chars() {
            match c {
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(std::mem::take(&mut cell)),
                c => cell.push(c),
            }
        }
        cells.push(cell);
        cells
    };
    let mut lines = text.lines();
    let header = cells(lines.next().unwrap_or(""));
    lines
        .map(|line| header.iter().cloned().zip(cells(line)).collect())
        .collect()
}

/// What of a row identifies, as fields of a transaction.
type Fields = Vec<(&'static str, String)>;

struct DataSet {
    name: &'static str,
    by: &'static str,
    /// What the brand has added to the blocked values.
    blocked: &'static str,
    /// The true cluster and the identifying fields of each record.
    records: Vec<(String, Fields)>,
}

fn csv_set(
    name: &'static str,
    by: &'static str,
    files: [&str; 2],
    fields: &[(&'static str, &str)],
) -> DataSet {
    let of = |row: &HashMap<String, String>, column: &str| {
        row.get(column)
            .map(|text| text.trim().to_owned())
            .unwrap_or_default()
    };
    let directory = data().join(name);
    let clusters: HashMap<String, String> = rows(&read(&directory.join(files[1])))
        .iter()
        .map(|row| (of(row, "record_id"), of(row, "cluster_id")))
        .collect();
    let records = rows(&read(&directory.join(files[0])))
        .iter()
        .map(|row| {
            let fields = fields
                .iter()
                .map(|(field, column)| (*field, of(row, column)));
            let fields = fields.filter(|(_, text)| !text.is_empty()).collect();
            (clusters[&of(row, "record_id")].clone(), fields)
        })
        .collect();
    DataSet {
        name,
        by,
        blocked: "",
        records,
    }
}

fn senzing(by: &'static str, blocked: &'static str) -> DataSet {
    let directory = data().join("senzing_truthset");
    let clusters: HashMap<(String, String), String> =
        rows(&read(&directory.join("true_clusters.csv")))
            .into_iter()
            .map(|mut row| {
                let mut take = |column: &str| row.remove(column).unwrap_or_default();
                ((take("data_source"), take("record_id")), take("cluster_id"))
            })
            .collect();
    let names = [
        ("email", "EMAIL_ADDRESS"),
        ("phone", "PHONE_NUMBER"),
        ("first_name", "NAME_FIRST"),
        ("last_name", "NAME_LAST"),
        ("postcode", "ADDR_POSTAL_CODE"),
    ];
    let records = read(&directory.join("records.jsonl"))
        .lines()
        .map(|line| {
            let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
            let mut fields = Fields::new();
            for feature in record["FEATURES"].as_array().into_iter().flatten() {
                for (field, key) in names {
                    let known = fields.iter().any(|(have, _)| *have == field);
                    if let (false, Some(value)) = (known, feature[key].as_str()) {
                        fields.push((field, value.to_owned()));
                    }
                }
            }
            (
                clusters[&(text("DATA_SOURCE"), text("RECORD_ID"))].clone(),
                fields,
            )
        })
        .collect();
    DataSet {
        name: "senzing_truthset",
        by,
        blocked,
        records,
    }
}

#[derive(Default)]
struct Held(Vec<Record>);

impl Sink for Held {
    fn event(&mut self, event: Event) {
        if let Event::Put { record, .. } = event {
            self.0.push(record);
        }
    }
    fn dead_letter(&mut self, dead: DeadLetter) {
        panic!("a record was refused: {:?} {}", dead.reason, dead.detail);
    }
    fn ignore(&mut self, _: Ignored) {}
}

/// The person of each record; none for those that identify nobody.
fn persons(set: &DataSet) -> Vec<Option<u64>> {
    let text = format!(
        "[[brand]]\nname = \"truth\"\ntimezone = \"UTC\"\nphone_region = \"US\"\nsecret_env = \"S\"\n\
                [brand.identity]\nname_postcode = true\nblocked = {:?}\n",
        Vec::from_iter(Some(set.blocked).filter(|word| !word.is_empty()))
    );
    let secret = |name: &str| (name == "S").then(|| tributary_testkit::SECRET.to_owned());
    let config = tributary_config::parse_in(&text, Path::new("truth.toml"), &secret)
        .expect("the configuration holds")
        .config;
    let mut decoder = Decoder::new(&config);
    let mut held = Held::default();
    for (number, (_, fields)) in set.records.iter().enumerate() {
        let mut record = serde_json::json!({
            "id": number, "ts": 1_700_000_000_000i64, "store": "s", "amount": 1,
        });
        for (field, value) in fields {
            record[*field] = serde_json::Value::from(value.as_str());
        }
        let data = record.to_string();
        let message = Message {
            subject: "tributary.in.truth.transaction",
            at: 1_700_000_000_000,
            number: number as u64 + 1,
            headers: &[],
            data: data.as_bytes(),
        };
        decoder.decode(&message, &mut held);
    }
    let settings = Arc::new(tributary_connectors::settings::settings(
        &config,
        tributary_connectors::settings::NoiseDraw::default(),
    ));
    let mentions = held
        .0
        .iter()
        .filter(|record| !record.ids.is_empty())
        .map(|record| {
            let Record {
                brand,
                ids,
                source,
                day,
                ..
            } = record.clone();
            (
                IdSetCountsIn::Use(IdSetUse {
                    brand,
                    set: ids,
                    source,
                    day,
                    is_fact: true,
                }),
                1,
            )
        });
    let (mut sets, mut out) = (Vec::new(), Vec::new());
    IdSetCounts::default().apply_epoch(0, mentions.collect(), &mut sets);
    Graph::new(settings.into(), Default::default()).apply_epoch(0, sets, &mut out);
    let person_of: HashMap<u128, u64> = out
        .into_iter()
        .filter_map(|(fact, _)| match fact {
            GraphOut::Assigned { set, person, .. } => Some((set, person)),
            _ => None,
        })
        .collect();
    held.0
        .iter()
        .map(|record| person_of.get(&record.ids.key()).copied())
        .collect()
}

fn pairs<K: Ord>(groups: impl Iterator<Item = K>) -> u64 {
    let mut sizes: BTreeMap<K, u64> = BTreeMap::new();
    for group in groups {
        *sizes.entry(group).or_default() += 1;
    }
    sizes.values().map(|n| n * (n - 1) / 2).sum()
}

fn line(set: &DataSet) -> String {
    let persons = persons(set);
    let named = || {
        persons
            .iter()
            .zip(&set.records)
            .filter_map(|(p, r)| p.map(|p| (p, &r.0)))
    };
    let found = pairs(named().map(|(person, _)| person));
    let right = pairs(named());
    let truth = pairs(set.records.iter().map(|(cluster, _)| cluster));
    let percent = |part: u64, of: u64| format!("{:.1} %", 100.0 * part as f64 / of.max(1) as f64);
    format!(
        "| {} | {} | {} | {truth} | {found} | {right} | {} | {} |",
        set.name,
        set.by,
        set.records.len(),
        percent(right, found),
        percent(right, truth),
    )
}

#[test]
fn the_table_of_precision_and_recall_is_true() {
    if !data().exists() {
        skipped(&format!("no identity data sets at {}", data().display()));
        return;
    }
    let febrl = ["records.csv.gz", "true_clusters.csv"];
    let names = [
        ("first_name", "given_name"),
        ("last_name", "surname"),
        ("postcode", "postcode"),
    ];
    let with_number = [names[0], names[1], names[2], ("customer", "soc_sec_id")];
    let number = "name_postcode, customer (soc_sec_id)";
    let splink = ["records.csv", "true_clusters.csv"];
    let historical = ["records.csv.gz", "true_clusters.csv.gz"];
    let fake_names = [
        ("first_name", "first_name"),
        ("last_name", "surname"),
        ("postcode", "postcode_fake"),
    ];
    let sets = [
        senzing("email, phone, name_postcode", ""),
        senzing(
            "the same, with the shared mailbox blocked",
            "info@ca-state.gov",
        ),
        csv_set("febrl_dataset1", "name_postcode", febrl, &names),
        csv_set("febrl_dataset1", number, febrl, &with_number),
        csv_set("febrl_dataset3", "name_postcode", febrl, &names),
        csv_set("febrl_dataset3", number, febrl, &with_number),
        csv_set("splink_fake_1000", "email", splink, &[("email", "email")]),
        csv_set(
            "splink_historical_50k",
            "name_postcode",
            historical,
            &fake_names,
        ),
    ];
    let table: Vec<String> = sets.iter().map(line).collect();
    let table = table.join("\n");
    println!("{table}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/IDENTITY.md");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let head = text.split("|---|").next().unwrap_or_default();
    let rule = "|---|---|--:|--:|--:|--:|--:|--:|\n";
    if std::env::var_os("TRIBUTARY_WRITE").is_some() {
        std::fs::write(&path, format!("{head}{rule}{table}\n")).expect("the file can be written");
        return;
    }
    assert_eq!(
        text,
        format!("{head}{rule}{table}\n"),
        "TRIBUTARY_WRITE=1 writes the table anew"
    );
}

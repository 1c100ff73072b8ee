//! The events of Snowplow's own web package, as enriched TSV, give the page views, the users and the stitching that its
//! expected tables hold.
//!
//! The package drops six of the page views on grounds that Tributary does not know: sessions of more than three days, an
//! identifier of the page view in a context, and the date up to which a run has read. Each is named below.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::support::{shared_data, succeed, tributary};
use flate2::read::MultiGzDecoder;
use serde_json::Value;

type Row = BTreeMap<String, String>;

const CONFIG: &str = r#"
[[brand]]
name = "acme"
secret_env = "TRIBUTARY_DATASET_SECRET"
timezone = "UTC"

[[brand.source]]
name = "web"
kind = "web"
format = "snowplow"

[release]
k = 1
"#;

/// Page views that the package leaves out, and why.
const LEFT_OUT: [(&str, &str); 6] = [
    (
        "9b02c625-be4a-4281-bb5b-553079fa8a76",
        "a session of more than three days",
    ),
    (
        "6d72f61a-ccf2-4713-a057-4715d771e2ad",
        "a session of more than three days",
    ),
    (
        "941c1388-8541-4600-b1b3-64b069e592d7",
        "sent more than three days after it was created",
    ),
    (
        "b0833046-02de-44fa-b836-9b45d953df78",
        "no page_view_id in its context",
    ),
    (
        "0464e31b16feca1840e3196aa14cfc56",
        "the page_view_id of another event",
    ),
    (
        "b0c248b551e063bd9f17b6a4e2c9ddf9db7935b7638c25b50a20a9443cd00e1c",
        "later than the run reads",
    ),
];

fn read_csv(file: impl Read) -> Vec<Row> {
    let mut reader = csv::Reader::from_reader(file);
    let rows = reader.deserialize().map(|row| row.expect("a row"));
    rows.collect()
}

struct DataSet {
    /// The events, each as a line of the enriched TSV.
    lines: Vec<String>,
    page_views: Vec<Row>,
    users: Vec<Row>,
    directory: tempfile::TempDir,
}

impl DataSet {
    fn open() -> Option<DataSet> {
        let data = shared_data()?;
        let of_package = data.join("web_snowplow_web");
        let unpacked = |name: &str| {
            let file = std::fs::File::open(of_package.join(name)).expect(name);
            read_csv(MultiGzDecoder::new(file))
        };
        let columns = std::fs::read_to_string(data.join("formats/snowplow/columns.txt")).unwrap();
        let line = |event: Row| {
            let fields = columns.lines().map(|column| {
                let field = event.get(column).map_or("", String::as_str);
                field.replace(['\t', '\n'], " ")
            });
            fields.collect::<Vec<_>>().join("\t")
        };
        let users =
            std::fs::File::open(of_package.join("expected/snowplow_web_users_expected.csv"));
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("tributary.toml"), CONFIG).unwrap();
        Some(DataSet {
            lines: unpacked("source/snowplow_web_events.csv.gz")
                .into_iter()
                .map(line)
                .collect(),
            page_views: unpacked("expected/snowplow_web_page_views_expected.csv.gz"),
            users: read_csv(users.unwrap()),
            directory,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write<'a>(&self, lines: impl Iterator<Item = &'a String>) -> PathBuf {
        let path = self.path("events.tsv");
        let lines: Vec<&str> = lines.map(String::as_str).collect();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        path
    }

    /// The views that lines become, by id.
    fn decoded(&self, events: &Path) -> BTreeMap<String, Value> {
        let mut command = tributary();
        command.args(["decode", "--json", "--source", "acme/web", "--config"]);
        let output = succeed(command.arg(self.path("tributary.toml")).arg(events));
        let lines = output.stdout.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        let mut views = BTreeMap::new();
        for line in lines {
            let line: Value = serde_json::from_slice(line).unwrap();
            for record in line["gives"].as_array().unwrap() {
                assert!(record.get("refused").is_none(), "{line}");
                if record["data"]["type"] == "view" {
                    let id = record["data"]["id"].as_str().unwrap();
                    // Of duplicates the first collected counts, which has the greatest version.
                    let view = views.entry(id.to_owned());
                    let view = view.or_insert_with(|| record["data"].clone());
                    if view["version"].as_i64() < record["data"]["version"].as_i64() {
                        *view = record["data"].clone();
                    }
                }
            }
        }
        views
    }

    /// Views and persons of a replay.
    fn replayed(&self, events: &Path) -> (i64, i64) {
        let cells = self.path("cells.ndjson");
        let mut command = tributary();
        command.args(["replay", "--quiet", "--config"]);
        command.arg(self.path("tributary.toml"));
        command.arg("--cells").arg(&cells);
        succeed(command.arg(format!("web={}", events.display())));
        let (mut views, mut persons) = (0, 0);
        for line in std::fs::read_to_string(&cells).unwrap().lines() {
            let cell: Value = serde_json::from_str(line).unwrap();
            let value = |name: &str| cell["value"][name].as_i64().unwrap_or(0);
            match cell["family"].as_str() {
                Some("campaign_day") => views += value("views"),
                Some("identity") => persons += value("persons"),
                _ => {}
            }
        }
        (views, persons)
    }
}

#[test]
fn page_views_are_those_of_the_expected_table() {
    let Some(set) = DataSet::open() else { return };
    let events = set.write(set.lines.iter());
    let views = set.decoded(&events);
    for row in &set.page_views {
        let view = &views[&row["event_id"]];
        let is = |field: &str| view[field].as_str().unwrap_or("").to_owned();
        assert_eq!(is("cookie"), row["original_domain_userid"], "{view}");
        assert_eq!(is("customer"), row["user_id"], "{view}");
        // A campaign of its own goes before what the address says.
        match is("source").is_empty() {
            true => assert_eq!(is("url"), row["page_url"], "{view}"),
            false => {
                let channel = ["source", "medium", "campaign"].map(&is);
                let expected = ["mkt_source", "mkt_medium", "mkt_campaign"];
                assert_eq!(channel, expected.map(|field| row[field].clone()), "{view}");
            }
        }
        let at = is("ts").replace('T', " ").replace('Z', "");
        // One event was collected twice within a millisecond; which of both counts is not said by its version.
        if !row["user_id"].starts_with("dupe: event_id same") {
            let seconds = |time: &str| time.split('.').next().map(str::to_owned);
            assert_eq!(seconds(&at), seconds(&row["derived_tstamp"]), "{view}");
        }
    }
    let expected: BTreeSet<&str> = set.page_views.iter().map(|row| &*row["event_id"]).collect();
    let others = views.keys().map(String::as_str);
    let others: BTreeSet<&str> = others.filter(|id| !expected.contains(id)).collect();
    assert_eq!(others, LEFT_OUT.iter().map(|(id, _)| *id).collect());

    let (replayed, _) = set.replayed(&events);
    assert_eq!(replayed as usize, expected.len() + LEFT_OUT.len());
}

#[test]
fn users_are_stitched_as_in_the_expected_table() {
    let Some(set) = DataSet::open() else { return };
    let of_table: Vec<&String> = {
        let expected: BTreeSet<&str> = set.page_views.iter().map(|row| &*row["event_id"]).collect();
        let is_expected = |line: &&String| expected.contains(line.split('\t').nth(6).unwrap_or(""));
        set.lines.iter().filter(is_expected).collect()
    };
    // Everybody at once: nobody is two and no two are one. One page view has a user id and no cookie.
    let stitched = |row: &Row| match &*row["stitched_user_id"] {
        "" => row["user_id"].clone(),
        stitched => stitched.to_owned(),
    };
    let all: BTreeSet<String> = set.page_views.iter().map(stitched).collect();
    assert_eq!(all.len(), set.users.len() + 1);
    let (views, persons) = set.replayed(&set.write(of_table.iter().copied()));
    assert_eq!(
        (views as usize, persons as usize),
        (set.page_views.len(), all.len())
    );

    // Each alone, so that the same number of persons cannot hide two errors.
    for user in &all {
        let own = set.page_views.iter().filter(|row| stitched(row) == *user);
        let own: BTreeSet<&str> = own.map(|row| &*row["event_id"]).collect();
        let is_own = |line: &&&String| own.contains(line.split('\t').nth(6).unwrap_or(""));
        let (views, persons) = set.replayed(&set.write(of_table.iter().filter(is_own).copied()));
        assert_eq!((views as usize, persons), (own.len(), 1), "{user}");
    }
}

//! The reference of metrics, what is exported, and the table behind both say the same.
//!
//! Everything is fed here, so that a metric that nobody can make appear fails the test.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tributary::otlp::queue::Signal;
use tributary::report::counts::Counts;
use tributary::report::metrics::label::{HTTP_CODES, Label, OTHER, REST, UNKNOWN};
use tributary::report::metrics::table::{Row, TABLE, Type};
use tributary::report::metrics::{Metrics, reference};
use tributary::report::published_cells::PublishedCells;
use tributary::report::worker_profile::WorkerProfile;
use tributary_config::model::Kind;
use tributary_connectors::dead_letter::{Ignored, Reason};
use tributary_operators::allowed_uses::Use;
use tributary_operators::attribution::Model;
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::engine::OperatorProfile;
use tributary_operators::record::BrandId;
use tributary_rights::Right;

/// 2025-10-26.
const TODAY: i32 = 20_387;
const MAX_SERIES: usize = 3;
const BRANDS: [&str; 2] = ["acme", "brew"];

#[test]
fn the_file_is_what_the_program_prints() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../grafana/metrics.md");
    let stands = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        stands == reference(),
        "grafana/metrics.md is not what the program exports: write it anew with\n\
         cargo run -p tributary -- reference > grafana/metrics.md"
    );
}

#[test]
fn what_is_exported_is_exactly_the_table() {
    let text = fed().encode();
    let (mut helps, mut types) = (BTreeMap::new(), BTreeMap::new());
    let mut samples: BTreeMap<&str, Vec<Sample>> = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert_eq!(helps.insert(name, help), None, "{name} is described twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(types.insert(name, kind), None, "{name} has two types");
        } else {
            let sample = Sample::of(line);
            let name = match sample.name {
                name if types.contains_key(name) => name,
                part => part.rsplit_once('_').map_or(part, |(name, _)| name),
            };
            assert!(types.contains_key(name), "{line} has no type");
            samples.entry(name).or_default().push(sample);
        }
    }
    let names: Vec<String> = TABLE.iter().map(Row::full_name).collect();
    let exported: BTreeSet<&str> = samples.keys().copied().collect();
    assert_eq!(exported, names.iter().map(String::as_str).collect());
    assert_eq!(helps.len(), TABLE.len());
    for (row, name) in TABLE.iter().zip(&names) {
        assert_eq!(helps[name.as_str()], row.help, "{name}");
        assert_eq!(types[name.as_str()], row.kind.name(), "{name}");
        let mut seen = BTreeSet::new();
        for sample in &samples[name.as_str()] {
            sample.check(row, name);
            assert!(
                seen.insert((sample.name, &sample.labels)),
                "{name} appears twice: {sample:?}"
            );
        }
        for (place, label) in row
            .labels
            .iter()
            .enumerate()
            .filter(|(_, label)| label.is_open())
        {
            let words: BTreeSet<&str> = samples[name.as_str()]
                .iter()
                .map(|sample| sample.labels[place].1.as_str())
                .collect();
            assert_eq!(
                words.len(),
                MAX_SERIES + 1,
                "{name} has {words:?} as {}",
                label.name()
            );
            assert!(words.contains(OTHER), "{name}");
        }
    }
}

#[test]
fn prometheus_finds_nothing_to_mend() {
    let Some(promtool) = promtool() else {
        tributary_testkit::skipped("no promtool on the PATH or in target/tools/bin");
        return;
    };
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let text = fed().encode();
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(text.as_bytes())
        .expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success() && said.is_empty(),
        "{}",
        String::from_utf8_lossy(&said)
    );
}

fn promtool() -> Option<std::path::PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([tools]);
    folders
        .map(|folder| folder.join("promtool"))
        .find(|file| file.is_file())
}

/// One line of the text format.
#[derive(Debug)]
struct Sample<'a> {
    name: &'a str,
    /// In the order of the line; `le` left out.
    labels: Vec<(&'a str, String)>,
}

impl<'a> Sample<'a> {
    fn of(line: &'a str) -> Sample<'a> {
        let (series, value) = line.rsplit_once(' ').expect("a series and a number");
        assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
        let Some((name, rest)) = series.split_once('{') else {
            return Sample {
                name: series,
                labels: Vec::new(),
            };
        };
        let rest = rest.strip_suffix('}').expect("a closed list of labels");
        let mut labels = Vec::new();
        // None of the words that are fed has a quote or a comma.
        for pair in rest.split(',') {
            let (label, word) = pair.split_once('=').expect("a label and a word");
            labels.push((label, word.trim_matches('"').to_owned()));
        }
        Sample { name, labels }
    }

    fn check(&self, row: &Row, name: &str) {
        let mut labels = self.labels.clone();
        match row.kind {
            Type::Histogram(_) if self.name.ends_with("_bucket") => {
                assert_eq!(labels.pop().map(|(label, _)| label), Some("le"));
            }
            Type::Histogram(_) => {
                assert!(
                    self.name.ends_with("_sum") || self.name.ends_with("_count"),
                    "{self:?}"
                );
            }
            _ => assert_eq!(self.name, name),
        }
        let names: Vec<&str> = labels.iter().map(|(label, _)| *label).collect();
        let expected: Vec<&str> = row.labels.iter().map(|label| label.name()).collect();
        assert_eq!(names, expected, "{name}");
        for (label, (_, word)) in row.labels.iter().zip(&labels) {
            let fits = match label {
                Label::Brand => BRANDS.contains(&word.as_str()),
                Label::OriginBrand => BRANDS.contains(&word.as_str()) || word == UNKNOWN,
                // Visits have none.
                Label::Currency => ["EUR", "-"].contains(&word.as_str()),
                Label::Version => word == tributary::version::VERSION,
                Label::Commit => word == tributary::version::COMMIT,
                Label::Channel => {
                    [OTHER, REST].contains(&word.as_str()) || word.split('/').count() == 3
                }
                Label::Box => word == OTHER || word.split('/').count() == 4,
                Label::Store | Label::Platform | Label::Source | Label::Operator => {
                    !word.is_empty()
                }
                Label::Thread => word.parse::<usize>().is_ok(),
                closed => closed
                    .words()
                    .expect("a closed set")
                    .contains(&word.as_str()),
            };
            assert!(fits, "{name} has {word:?} as {}", label.name());
        }
    }
}

/// Metrics to which everything has happened, with more channels, stores and platforms than may have series.
fn fed() -> Metrics {
    let mut text = format!("[http]\nmax_series = {MAX_SERIES}\n");
    for brand in BRANDS {
        text += &format!(
            "[[brand]]\nname = \"{brand}\"\ntimezone = \"UTC\"\nsecret_env = \"{brand}\"\n"
        );
    }
    let secret = |name: &str| {
        BRANDS
            .contains(&name)
            .then(|| format!("{name}-{}", tributary_testkit::SECRET))
    };
    let loaded = tributary_config::parse_in(&text, Path::new("test.toml"), &secret);
    let metrics = Metrics::new(&loaded.expect("the configuration holds").config);

    let mut counts = Counts {
        ignored: [(Ignored::FixedDevice, 3), (Ignored::Robot, 2)].into(),
        ..Counts::default()
    };
    counts.suppressed.insert(BrandId::of(BRANDS[1]), 4);
    for step in Use::ALL {
        counts
            .consents
            .insert((BrandId::of(BRANDS[0]), step), [70, 30]);
    }
    for kind in Kind::ALL {
        counts.accepted.insert(
            (BrandId::of(BRANDS[0]), kind.name(), kind.name().into()),
            10,
        );
    }
    let dead = Reason::ALL
        .iter()
        .zip(Kind::ALL.iter().cycle())
        .map(|(reason, kind)| {
            let known = *reason != Reason::UnknownBrand;
            (
                (
                    known.then(|| "acme".to_owned()),
                    known.then(|| kind.name().to_owned()),
                    *reason,
                ),
                2,
            )
        });
    metrics.sync(&counts, &dead.collect());
    metrics.input((12, Some(5)), 3, (12, 3_456));
    let since = std::time::Duration::from_millis(250);
    metrics.epoch(1_761_436_800_000, since, 0.25, 0.05);
    metrics.published(5, 1, 0);
    metrics.right_answered("acme", Some(Right::Erase), true);
    metrics.right_answered("nobody", None, false);
    metrics.rights_waiting("acme", 2, Duration::from_secs(90));
    metrics.settled_through(BRANDS[0], 1_759_276_800);
    metrics.settling_due(BRANDS[0], 1_759_363_200);
    metrics.retention_pass("brew", 1_761_436_800_000, 7);
    metrics.audit_chain("acme", Some(tributary_rights::Head::new(12, [7; 32])));
    metrics.audit_chain("brew", None);
    metrics.callback("failed");
    metrics.http_ingest_source("acme", "shop");
    for code in HTTP_CODES {
        metrics.http_ingest_request(Some(("acme", "shop")), code.parse().unwrap());
    }
    metrics.http_ingest_request(None, 401);
    metrics.http_ingest_accepted("acme", "shop", 7, Duration::from_millis(5));
    for signal in Signal::ALL {
        metrics.exported(signal, 40, 2);
    }
    let mut profile = WorkerProfile::default();
    profile
        .operators
        .insert("Persons", OperatorProfile::default());
    metrics.profiles(&[(0, profile)].into());
    metrics.connected(true);
    metrics.ready(true);
    metrics.board(&board(), |_| TODAY);
    metrics
}

fn board() -> PublishedCells {
    let mut board = PublishedCells::default();
    let text = |word: &str| Dim::Text(word.into());
    let mut put = |family: Family, dims: &[Dim], values: &[i128]| {
        board.apply(&Cell {
            family,
            dims: dims.to_vec(),
            values: values.to_vec(),
        });
    };
    let (acme, eur, day) = (text("acme"), text("EUR"), Dim::Day(TODAY));
    for n in 0..2 * MAX_SERIES {
        let channel = [text("google"), text("cpc"), text(&format!("campaign {n}"))];
        let [source, medium, campaign] = channel.clone();
        let (store, platform) = (text(&format!("store {n}")), text(&format!("platform {n}")));
        for model in Model::ALL {
            let dims = [acme.clone(), text(model.name())];
            let rest = [text("visit"), store.clone(), Dim::Day(TODAY - 1), Dim::Null];
            let dims = [dims.as_slice(), &channel, &rest].concat();
            put(Family::Attribution, &dims, &[1_000_000, 0]);
        }
        for (kind, place) in [("order", Dim::Null), ("transaction", store.clone())] {
            for model in Model::ALL {
                let dims = [acme.clone(), text(model.name())];
                // The current day is in no month.
                let rest = [text(kind), place.clone(), Dim::Day(TODAY - 1), eur.clone()];
                let dims = [dims.as_slice(), &channel, &rest].concat();
                put(Family::Attribution, &dims, &[1_000_000, 2_500]);
            }
            let dims = [
                acme.clone(),
                text(kind),
                Dim::Month(2025 * 12 + 9),
                eur.clone(),
            ];
            put(
                Family::MarkovMonth,
                &[dims.as_slice(), &channel].concat(),
                &[200_000, 1, 1],
            );
        }
        let dims = [acme.clone(), store.clone(), day.clone(), eur.clone()];
        put(Family::StoreDay, &dims, &[4, 40_000, 3]);
        let dims = [acme.clone(), Dim::Month(2025 * 12 + 9)];
        let dims = [dims.as_slice(), &channel].concat();
        put(Family::VisitLift, &dims, &[20, 3_000_000, 30, 4_000_000]);
        let dims = [acme.clone(), source.clone(), medium.clone()];
        let of_day = [campaign.clone(), store.clone(), day.clone()];
        let dims = [dims, of_day].concat();
        put(Family::RedemptionDay, &dims, &[2, 1]);
        let dims = [
            acme.clone(),
            text(&format!("notice {n}")),
            text("3"),
            text("de"),
            text("newsletter"),
            day.clone(),
        ];
        put(Family::NoticeDay, &dims, &[9, 5, 2, 1]);
        let dims = [
            acme.clone(),
            source.clone(),
            medium.clone(),
            campaign.clone(),
            day.clone(),
        ];
        put(Family::CampaignDay, &dims, &[5, 4, 3, 2]);
        let dims = [
            acme.clone(),
            platform,
            source,
            medium,
            campaign,
            day.clone(),
            eur.clone(),
        ];
        put(Family::SpendDay, &dims, &[1_200, 50, 5]);
        let mut yesterday = dims;
        yesterday[5] = Dim::Day(TODAY - 1);
        put(Family::SpendDay, &yesterday, &[1_200, 50, 5]);
        let dims = [acme.clone(), store.clone(), day.clone()];
        put(Family::ScanDay, &dims, &[3, 4, 1, 2, 1]);
        put(Family::VisitMatch, &dims, &[5, 4, 7, 3_000_000]);
        let dims = [acme.clone(), store, Dim::Hour(1_761_436_800, 3600)];
        put(Family::Visits, &dims, &[7, 9, 2_000, 15, 4]);
    }
    put(Family::OrdersDay, &[acme.clone(), day, eur], &[3, 9_999, 3]);
    for platform in ["apple", "google", "samsung", "other"] {
        let dims = [acme.clone(), text(platform), Dim::Day(TODAY)];
        put(Family::WalletDay, &dims, &[9, 8, 1, 40, 0, 5, 2]);
    }
    put(Family::Identity, &[acme], &[100, 250, 180, 1, 0]);
    board
}

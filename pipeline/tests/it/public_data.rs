//! Public data sets replay through their column maps, without a script, and every cell equals the batch
//! oracle's, with any number of workers and in any batches.
//!
//! Each set is replayed whole at least once. The other combinations replay its first rows, as many as
//! `TRIBUTARY_DATA_ROWS` says.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use crate::support::{chosen, shared_data, succeed, tributary};
use tributary_connectors::inputs;
use tributary_loadtest::verify;

/// Workers and batches of the replay of a whole set.
const WHOLE: [(&str, &str); 1] = [("4", "100000")];

/// Those of the replays of its first rows.
const FIRST: [(&str, &str); 3] = [("1", "1000"), ("2", "100000"), ("4", "1000")];

/// The traces of a set, of which `rows` of each file are read, or all.
fn traces(data: &Path, files: &[(&str, &str)], rows: Option<(&Path, usize)>) -> Vec<String> {
    let trace = |(source, file): &(&str, &str)| {
        let whole = data.join(file);
        let Some((directory, rows)) = rows else {
            return format!("{source}={}", whole.display());
        };
        // A map may join a table that lies beside its trace.
        for beside in std::fs::read_dir(whole.parent().unwrap()).unwrap() {
            let beside = beside.unwrap();
            let link = directory.join(beside.file_name());
            if !link.exists() {
                std::os::unix::fs::symlink(beside.path(), link).unwrap();
            }
        }
        let first = directory.join(format!("{source}-{}.csv", file.replace('/', "-")));
        let read = flate2::read::MultiGzDecoder::new(std::fs::File::open(whole).unwrap());
        let mut out = std::fs::File::create(&first).unwrap();
        // The line of the columns is none of them.
        for line in BufReader::new(read).lines().take(rows.saturating_add(1)) {
            writeln!(out, "{}", line.unwrap()).unwrap();
        }
        format!("{source}={}", first.display())
    };
    files.iter().map(trace).collect()
}

/// Replays traces in some ways; each must give what the oracle says, which are at least so many cells.
fn compared(name: &str, traces: &[String], runs: &[(&str, &str)], least: usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/datasets");
    let map: PathBuf = root.join(format!("{name}.toml"));
    let text = std::fs::read_to_string(&map).unwrap();
    let secret = |name: &str| {
        (name == "TRIBUTARY_DATASET_SECRET").then(|| tributary_testkit::SECRET.to_owned())
    };
    let config = tributary_config::parse_in(&text, &map, &secret)
        .unwrap()
        .config;
    let mut inputs = inputs::open(Some(&config), traces).unwrap();
    let expected = verify::expected(&config, &mut inputs).unwrap();
    assert!(
        expected.refused.is_empty(),
        "every row is a record: {:?}",
        expected.refused
    );
    let count = expected.lines.len();
    assert!(count >= least, "{name}: {count} cells");

    let directory = tempfile::tempdir().unwrap();
    let cells = directory.path().join("cells.ndjson");
    for (workers, batch) in runs {
        let mut command = tributary();
        command.args(["replay", "--quiet", "--workers", workers, "--batch", batch]);
        command
            .arg("--config")
            .arg(&map)
            .arg("--cells")
            .arg(&cells)
            .args(traces);
        succeed(&mut command);
        let output = std::fs::read(&cells).unwrap();
        let comparison = verify::compare(&expected.lines, &output);
        assert!(
            comparison.same(),
            "{name}, {workers} workers, batches of {batch}"
        );
        assert!(
            !directory
                .path()
                .join("cells.ndjson.dead-letters.ndjson")
                .exists()
        );
    }
}

/// Compares a whole set once, and its first rows in some more ways; `least` are the least numbers of cells of both.
fn data_set(name: &str, files: &[(&str, &str)], more: &[(&str, &str)], least: [usize; 2]) {
    let Some(data) = shared_data() else { return };
    compared(name, &traces(&data, files, None), &WHOLE, least[0]);
    let directory = tempfile::tempdir().unwrap();
    let rows = chosen("TRIBUTARY_DATA_ROWS", 2_000) as usize;
    let first = traces(&data, files, Some((directory.path(), rows)));
    compared(name, &first, &[FIRST.as_slice(), more].concat(), least[1]);
}

#[test]
fn campaigns_and_tills_of_the_complete_journey() {
    let files = [
        (
            "campaigns",
            "crm_completejourney/campaign_households.csv.gz",
        ),
        ("till", "crm_completejourney/transactions_sample.csv.gz"),
    ];
    data_set("completejourney", &files, &[], [200_000, 1_000]);
}

#[test]
fn invoices_and_cancellations_of_online_retail() {
    let files = [("shop", "crm_online_retail/invoices_full_period.csv.gz")];
    let row_by_row = [("1", "1"), ("2", "1")];
    data_set("online_retail", &files, &row_by_row, [10_000, 500]);
}

#[test]
fn probe_requests_of_brno() {
    let files = ["2024-03-21", "2024-03-22", "2024-03-28", "2024-05-03"]
        .map(|day| ("sensors", format!("wifi_probe_brno/probes_{day}.csv.gz")));
    let files: Vec<(&str, &str)> = files.iter().map(|(s, f)| (*s, f.as_str())).collect();
    data_set("probes_brno", &files, &[], [50, 1]);
}

//! Public data sets replay through their column maps, without a script, and every cell equals the batch
//! oracle's, with any number of workers and in any batches.

use std::path::{Path, PathBuf};

use crate::support::{shared_data, succeed, tributary};
use tributary_connectors::inputs;
use tributary_loadtest::verify;

fn data_set(name: &str, files: &[(&str, &str)], runs: &[(&str, &str)], least: usize) {
    let Some(data) = shared_data() else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/datasets");
    let map: PathBuf = root.join(format!("{name}.toml"));
    let traces: Vec<String> = files
        .iter()
        .map(|(source, file)| format!("{source}={}", data.join(file).display()))
        .collect();
    let text = std::fs::read_to_string(&map).unwrap();
    let secret = |name: &str| {
        (name == "TRIBUTARY_DATASET_SECRET").then(|| "0123456789abcdef0123456789abcdef".to_owned())
    };
    let config = tributary_config::parse_in(&text, &map, &secret)
        .unwrap()
        .config;
    let mut inputs = inputs::open(Some(&config), &traces).unwrap();
    let expected = verify::expected(&config, &mut inputs).unwrap();
    assert!(
        expected.refused.is_empty(),
        "every row is a record: {:?}",
        expected.refused
    );
    assert!(expected.lines.len() >= least);

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
            .args(&traces);
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

const MOST: [(&str, &str); 4] = [
    ("1", "1000"),
    ("2", "100000"),
    ("4", "1000"),
    ("4", "100000"),
];

#[test]
fn campaigns_and_tills_of_the_complete_journey() {
    let files = [
        (
            "campaigns",
            "crm_completejourney/campaign_households.csv.gz",
        ),
        ("till", "crm_completejourney/transactions_sample.csv.gz"),
    ];
    data_set("completejourney", &files, &MOST, 200_000);
}

#[test]
fn invoices_and_cancellations_of_online_retail() {
    let files = [("shop", "crm_online_retail/invoices_full_period.csv.gz")];
    let runs = [MOST.as_slice(), &[("1", "1"), ("2", "1")]].concat();
    data_set("online_retail", &files, &runs, 10_000);
}

#[test]
fn probe_requests_of_brno() {
    let files = ["2024-03-21", "2024-03-22", "2024-03-28", "2024-05-03"]
        .map(|day| ("sensors", format!("wifi_probe_brno/probes_{day}.csv.gz")));
    let files: Vec<(&str, &str)> = files.iter().map(|(s, f)| (*s, f.as_str())).collect();
    data_set("probes_brno", &files, &MOST, 50);
}

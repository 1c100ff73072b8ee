//! Sightings of partners in a simulated shop: the decoder accepts them, and the table in `MATCHING.md` is what matching yields.

use std::path::{Path, PathBuf};

use tributary_connectors::inputs;
use tributary_loadtest::matching::{Column, markdown, probes, simulated};
use tributary_loadtest::verify;
use tributary_simulate::{Options, SecretFrom, config_toml, lines};
use tributary_testkit::skipped;

const DOCUMENT: &str = include_str!("../../MATCHING.md");

/// The table behind a heading of the document.
fn table(heading: &str) -> String {
    let (_, behind) = DOCUMENT.split_once(heading).unwrap();
    let rows = behind.lines().skip_while(|line| !line.starts_with('|'));
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn the_table_of_stores_is_what_matching_yields() {
    let columns = [200, 800, 3_200].map(|persons| Column {
        name: String::new(),
        days: simulated(persons).unwrap(),
    });
    let computed = markdown(&columns);
    let stated = table("## Simulated stores");
    // The largest store takes the longest; the command computes it as well.
    let without_last = stated.lines().map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        format!("|{}|\n", cells[..cells.len() - 1].join("|"))
    });
    assert_eq!(without_last.collect::<String>(), computed);
}

#[test]
fn the_table_of_a_real_room_is_what_matching_yields() {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/wifi_probe_brno");
    if !folder.exists() {
        skipped("the public data set wifi_probe_brno is not here");
        return;
    }
    let columns = ["2024-03-21", "2024-03-28", "2024-05-03"].map(|day| Column {
        name: format!("{day}: "),
        days: vec![probes(&folder.join(format!("probes_{day}.csv.gz"))).unwrap()],
    });
    assert_eq!(table("## A real room"), markdown(&columns));
}

#[test]
fn the_records_of_partners_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("t.ndjson");
    let options = Options {
        days: Some(10),
        persons: Some(400),
        bad: 0.0,
        late: 0.0,
        partners: true,
        wallet: true,
        ..Options::default()
    };
    let mut world = lines(options.clone()).unwrap();
    let (mut made, mut truth) = (Vec::new(), 0);
    while let Some(line) = world.next() {
        made.push(line.to_trace_line() + "\n");
        truth += world.take_true_visits().len();
    }
    let with = |part: &str| made.iter().filter(|line| line.contains(part)).count();
    for part in [
        "\"type\":\"sighting\"",
        "\"type\":\"exposure\"",
        "\"type\":\"link\"",
        "\"associated\":true",
    ] {
        assert!(with(part) > 50, "{part}: {}", with(part));
    }
    assert!(truth > 100, "{truth}");
    std::fs::write(&trace, made.concat()).unwrap();
    std::fs::write(
        folder.path().join("orchard.secret"),
        "0123456789abcdef".repeat(4),
    )
    .unwrap();
    let config = config_toml(&options, SecretFrom::File(Path::new("orchard.secret")));
    let config = tributary_config::parse(&config, &folder.path().join("orchard.toml"));
    let config = config.unwrap().config;
    let arguments = [trace.display().to_string()];
    let mut opened = inputs::open(Some(&config), &arguments).unwrap();
    let expected = verify::expected(&config, &mut opened).unwrap();
    assert_eq!(expected.refused.values().sum::<u64>(), 0, "{expected}");
}

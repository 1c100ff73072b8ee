//! The peers of the benchmarks compute the same cells as a replay: the textbook dataflow and the DuckDB script.
//!
//! A ratio to a peer is worth something only as long as both do the same. Both compute what they compute from scratch, by
//! other ways than the product and the oracle.

#[path = "../../../../operators/benches/textbook/dataflow.rs"]
mod dataflow;
#[path = "../../../../operators/benches/textbook/run.rs"]
mod run;

use std::path::Path;
use std::process::Command;

use tributary_testkit::skipped;

use super::support::{World, succeed};

/// The lines of a replay in some families.
fn replayed(world: &World, is_in: impl Fn(&str) -> bool) -> Vec<String> {
    let family = |line: &String| {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        is_in(line["family"].as_str().expect("a family"))
    };
    world.replayed().into_iter().filter(family).collect()
}

/// Fails with the first lines that only one side has.
fn assert_same(replayed: &[String], peer: &[String], what: &str) {
    let only = |one: &[String], other: &[String]| -> Vec<String> {
        let missing = one.iter().filter(|line| !other.contains(line));
        missing.take(3).cloned().collect()
    };
    assert!(
        replayed == peer,
        "{what}: {} lines of the replay, {} of the peer; only in the replay: {:#?}; only in the peer: {:#?}",
        replayed.len(),
        peer.len(),
        only(replayed, peer),
        only(peer, replayed)
    );
}

#[test]
fn the_textbook_dataflow_has_the_cells_of_a_replay() {
    let world = World::new(6_000, None, "");
    let families = [
        "attribution",
        "store_day",
        "orders_day",
        "campaign_day",
        "visits",
    ];
    let replayed = replayed(&world, |family| families.contains(&family));
    assert!(replayed.len() > 1_000, "{} cells", replayed.len());
    for (workers, batch) in [(1, 6_000), (1, 500), (2, 900)] {
        let lines = run::run(&run::Options {
            config: world.path("tributary.toml"),
            trace: world.path("trace.ndjson").display().to_string(),
            batch,
            workers,
            decode_only: false,
        });
        let lines: Vec<String> = lines
            .iter()
            .map(|line| line.trim_end().to_owned())
            .collect();
        let what = format!("{workers} workers, batches of {batch}");
        assert_same(&replayed, &lines, &what);
    }
}

#[test]
fn duckdb_has_the_cells_of_a_replay() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = || {
        let mut python = Command::new("python3");
        python.env("PYTHONPATH", root.join("target/tools/python"));
        python
    };
    let has_duckdb = python().args(["-c", "import duckdb"]).output();
    if !has_duckdb.is_ok_and(|output| output.status.success()) {
        skipped("no Python with duckdb: bash .ci/tools.sh duckdb");
        return;
    }
    let world = World::new(50_000, None, "");
    // The path statistics and months of Markov are the product's alone.
    let replayed = replayed(&world, |family| family != "markov_month");
    assert!(replayed.len() > 10_000, "{} cells", replayed.len());
    let cells = world.path("duckdb.ndjson");
    let mut command = python();
    command
        .arg(root.join("loadtest/peers/duckdb_recompute.py"))
        .arg(world.path("trace.ndjson"))
        .arg("--cells")
        .arg(&cells)
        .arg("--temp")
        .arg(world.path("duckdb"));
    succeed(&mut command);
    let text = std::fs::read_to_string(cells).expect("the cells");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    assert_same(&replayed, &lines, "DuckDB");
}

//! A replay takes back what is past its retention by the clock of its trace: its cells are those of the batch oracle on
//! any number of workers and in any batches, its summary says how much it was, and the ledger that it leaves holds none
//! of it.
//!
//! Each day of the trace has its pass, on every worker: `TRIBUTARY_RETENTION_DAYS` says how many days there are.

use crate::support::story::{configure, inspect_open};
use crate::support::{World, chosen, succeed, tributary};
use tributary_connectors::inputs;
use tributary_loadtest::verify;
use tributary_simulate::{Mix, Options};

/// Many months of a few people who are asked for consent, with short retentions of which each ends first for some.
fn world() -> World {
    let options = Options {
        persons: Some(16),
        days: Some(chosen("TRIBUTARY_RETENTION_DAYS", 220) as u32),
        mix: Mix {
            pings: 5,
            web: 80,
            transactions: 15,
        },
        consent: true,
        ..Options::default()
    };
    let world = World::of(options, None, "");
    for (category, months) in [
        ("identification", 2),
        ("transactions", 5),
        ("cookies", 3),
        ("consent", 4),
    ] {
        let setting = |months: u32| format!("{category}_months = {months}\n");
        configure(&world, &setting(1200), &setting(months));
    }
    world
}

/// Replays, and returns the cells and the summary.
fn replay(world: &World, more: &[&str]) -> (Vec<u8>, serde_json::Value) {
    let cells = world.path("cells.ndjson");
    let mut command = tributary();
    command
        .args(["replay", "--json", "--config"])
        .arg(world.path("tributary.toml"))
        .arg("--cells")
        .arg(&cells)
        .args(more)
        .arg(world.path("trace.ndjson"));
    let output = succeed(&mut command);
    let summary = serde_json::from_slice(&output.stdout).unwrap();
    (std::fs::read(cells).unwrap(), summary)
}

fn trace(world: &World) -> Vec<String> {
    vec![world.path("trace.ndjson").to_str().unwrap().to_owned()]
}

#[test]
fn neither_workers_nor_batches_show_in_what_is_past_its_time() {
    let world = world();
    let config = world.config();
    let mut inputs = inputs::open(Some(&config), &trace(&world)).unwrap();
    let expected = verify::expected(&config, &mut inputs).unwrap();
    assert!(expected.past > 1_000, "{expected}");
    for (workers, batch) in [("1", "20000"), ("2", "37"), ("8", "1000")] {
        let (cells, summary) = replay(&world, &["--workers", workers, "--batch", batch]);
        let comparison = verify::compare(&expected.lines, &cells);
        assert!(comparison.same(), "{workers}, {batch}: {comparison}");
        let past = summary["past_retention"].as_object().unwrap();
        let past: Vec<(&str, u64)> = past
            .iter()
            .map(|(category, count)| (category.as_str(), count.as_u64().unwrap()))
            .collect();
        let counts = past.iter().map(|(_, count)| count);
        assert_eq!(counts.sum::<u64>(), expected.past, "{past:?}");
        let categories: Vec<&str> = past.iter().map(|(category, _)| *category).collect();
        assert_eq!(
            categories,
            ["consent", "cookies", "identification", "transactions"]
        );
    }
}

#[test]
fn links_end_by_the_clock_of_the_trace() {
    let world = world();
    let config = world.config();
    let mut inputs = inputs::open(Some(&config), &trace(&world)).unwrap();
    let for_good = verify::expected(&config, &mut inputs).unwrap();
    let text = std::fs::read_to_string(world.path("tributary.toml")).unwrap();
    let brand = "[brand.retention]\n";
    assert!(
        text.contains(brand) && !text.contains("[brand.identity]"),
        "{text}"
    );
    let lifetime =
        "[brand.identity]\nlink_ttl = { cookie = \"9d\", email = \"30d\", customer = \"40d\" }\n";
    configure(&world, brand, &format!("{lifetime}{brand}"));
    let config = world.config();
    let mut inputs = inputs::open(Some(&config), &trace(&world)).unwrap();
    let expected = verify::expected(&config, &mut inputs).unwrap();
    assert!(for_good.lines != expected.lines, "links end");
    for (workers, batch) in [("1", "20000"), ("3", "41"), ("8", "1000")] {
        let (cells, _) = replay(&world, &["--workers", workers, "--batch", batch]);
        let comparison = verify::compare(&expected.lines, &cells);
        assert!(comparison.same(), "{workers}, {batch}: {comparison}");
    }
}

#[test]
fn a_trace_of_one_day_and_a_leap_of_fifty_years() {
    let world = world();
    let line = |id: &str, at: i64, ts: i64| {
        format!(
            r#"{{"subject":"tributary.in.orchard.web","at":{at},"data":{{"id":"{id}","ts":{ts},"type":"click","cookie":"{id}","source":"s"}}}}"#
        )
    };
    const DAY: i64 = 86_400_000;
    let now = 20_000 * DAY;
    let (old, long_ago) = (now - 400 * DAY, 1_000 * DAY);
    let write = |lines: &[String]| std::fs::write(world.path("trace.ndjson"), lines.join("\n"));
    let left_out = serde_json::json!({"records past their retention when they came": 1});
    // What is past its time already when it comes never counts, whatever comes before or after it, and no pass is needed.
    // It does not place its cookie, either.
    let edge = now - 80 * DAY;
    for lines in [
        [line("a", now, old), line("b", now + 1, now)],
        [line("b", now, now), line("a", now + 1, old)],
        [line("a", now, now), line("a", now + 1, old)],
        [line("a", now, edge), line("b", now - 400 * DAY, old)],
    ] {
        let is_past = lines[1].contains(&format!("\"at\":{}", now - 400 * DAY));
        write(&lines).unwrap();
        let (_, summary) = replay(&world, &[]);
        let (held, ignored) = match is_past {
            // By its own arrival this one was in time, although the clock was later.
            true => (2, serde_json::json!({})),
            false => (1, left_out.clone()),
        };
        assert_eq!(summary["held"], held, "{lines:?}");
        assert_eq!(summary["ignored"], ignored, "{lines:?}");
        assert_eq!(summary["past_retention"], serde_json::json!({}));
    }
    write(&[line("a", old, old), line("b", now, now)]).unwrap();
    let (_, summary) = replay(&world, &[]);
    assert_eq!(summary["held"], 1);
    assert_eq!(summary["past_retention"], serde_json::json!({"cookies": 1}));
    // A clock that was set wrong for one line costs no thousands of passes, and one set back turns nothing back.
    write(&[
        line("a", long_ago, long_ago),
        line("b", now, now),
        line("c", now - DAY, old),
    ])
    .unwrap();
    let (_, summary) = replay(&world, &[]);
    assert_eq!(summary["ignored"], left_out);
    assert_eq!(summary["held"], 1);
    assert_eq!(summary["past_retention"], serde_json::json!({"cookies": 1}));
}

#[test]
fn the_ledger_of_a_replay_holds_nothing_that_is_past_its_time() {
    // What somebody chose is kept as evidence from when it was last said.
    let world = world();
    let directory = world.path("tributary-data");
    let ledger = ["--ledger", directory.to_str().unwrap()];
    let (with, summary) = replay(&world, &ledger);
    let (without, _) = replay(&world, &[]);
    assert!(with == without, "a ledger changes no cell");
    let entries = inspect_open(&world, 0)["brands"][0]["entries"].clone();
    // Statements that ride on web records are held as well.
    let config = world.config();
    let mut inputs = inputs::open(Some(&config), &trace(&world)).unwrap();
    let expected = verify::expected(&config, &mut inputs).unwrap();
    assert!(summary["held"].as_u64().unwrap() < expected.held);
    assert_eq!(entries["put"], expected.held, "{entries}");
    assert_eq!(entries["drop"], 0, "{entries}");
    let kept = entries["evidence"].as_u64().unwrap();
    assert!(kept > 0, "{entries}");

    // With a retention that nothing reaches, all of it would be there.
    for category in ["identification", "transactions", "cookies", "consent"] {
        let text = std::fs::read_to_string(world.path("tributary.toml")).unwrap();
        let key = format!("{category}_months = ");
        let line = text.lines().find(|line| line.starts_with(&key)).unwrap();
        configure(&world, line, &format!("{key}1200"));
    }
    std::fs::remove_dir_all(&directory).unwrap();
    let (_, all) = replay(&world, &ledger);
    assert_eq!(all["past_retention"], serde_json::json!({}));
    let entries = inspect_open(&world, 0)["brands"][0]["entries"].clone();
    let config = world.config();
    let mut inputs = inputs::open(Some(&config), &trace(&world)).unwrap();
    let everything = verify::expected(&config, &mut inputs).unwrap();
    assert_eq!(entries["put"], everything.held, "{entries}");
    assert!(entries["evidence"].as_u64().unwrap() > kept, "{entries}");
    assert!(all["held"].as_u64() > summary["held"].as_u64());
}
